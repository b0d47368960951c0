//! Several nodes on one PostgreSQL: a node has no state of its own. SQLite has only one node, so it
//! is not tested here.

use serde_json::json;

use crate::harness::{
    Backend, Client, Database, Server, id, member_ids, runtime, sample, together, with_query,
};

/// Two servers on one fresh database, and a token for both.
struct Nodes {
    _servers: [Server; 2],
    clients: [Client; 2],
    _database: Database,
}

impl Nodes {
    /// Returns `None` if this machine has no PostgreSQL.
    fn start() -> Option<Self> {
        let database = Database::fresh(Backend::Postgres)?;
        database.cli_ok(&["migrate"]);
        let token = database.cli_ok(&["token", "create", "okta", "--scope", "scim"]);
        let base_url = ["--base-url", "https://scim.example.com/scim/v2"];
        let servers = [(); 2].map(|()| Server::start_with(&database, &base_url, &[]));
        let clients = [0, 1].map(|node: usize| Client::new(&servers[node].address, token.trim()));
        Some(Self {
            _servers: servers,
            clients,
            _database: database,
        })
    }

    /// Alternates between the nodes.
    fn client_of(&self, number: usize) -> Client {
        self.clients[number % 2].clone()
    }
}

#[test]
fn one_of_equal_creates_on_two_nodes_succeeds() {
    let Some(nodes) = Nodes::start() else { return };
    runtime().block_on(async {
        let user = sample::user("ada@example.com");
        let creates = (0..20).map(|number| {
            let (client, user) = (nodes.client_of(number), user.clone());
            async move { client.post("/Users", &user).await.status }
        });
        let mut statuses = together(creates).await;
        statuses.sort_unstable();
        let mut expected = vec![201];
        expected.extend([409; 19]);
        assert_eq!(statuses, expected);
    });
}

#[test]
fn one_of_equal_groups_on_two_nodes_succeeds() {
    let Some(nodes) = Nodes::start() else { return };
    runtime().block_on(async {
        let mut group = sample::group("Sales", &[]);
        group["externalId"] = json!("c420");
        let creates = (0..20).map(|number| {
            let (client, group) = (nodes.client_of(number), group.clone());
            async move { client.post("/Groups", &group).await.status }
        });
        let mut statuses = together(creates).await;
        statuses.sort_unstable();
        let mut expected = vec![201];
        expected.extend([409; 19]);
        assert_eq!(statuses, expected);
    });
}

#[test]
fn parallel_adds_on_two_nodes_all_apply() {
    let Some(nodes) = Nodes::start() else { return };
    runtime().block_on(async {
        let group = nodes.client_of(0).create_group("Everyone", &[]).await;
        let path = format!("/Groups/{}", id(&group));
        let adds = (0..40).map(|number| {
            let (client, path) = (nodes.client_of(number), path.clone());
            async move {
                let user = client.create_user(&format!("u{number}@example.com")).await;
                let add =
                    json!([{ "op": "add", "path": "members", "value": [{ "value": id(&user) }] }]);
                client.edit(&path, add).await.expect(200);
                id(&user).to_owned()
            }
        });
        let mut ids = together(adds).await;
        ids.sort();
        for number in 0..2 {
            assert_eq!(
                member_ids(&nodes.client_of(number).group(id(&group)).await),
                ids
            );
        }
    });
}

#[test]
fn an_import_can_use_another_node_for_every_page() {
    let Some(nodes) = Nodes::start() else { return };
    runtime().block_on(async {
        let mut ids = Vec::new();
        for number in 0..250 {
            let user = nodes
                .client_of(number)
                .create_user(&format!("u{number}@example.com"))
                .await;
            ids.push(id(&user).to_owned());
        }
        let mut seen = Vec::new();
        for page_number in 0.. {
            let start = (page_number * 100 + 1).to_string();
            let parameters = [("startIndex", &*start), ("count", "100")];
            let client = nodes.client_of(page_number);
            let page = client.get(&with_query("/Users", &parameters)).await.page();
            seen.extend(page.ids());
            if seen.len() >= ids.len() || page.resources.is_empty() {
                break;
            }
            // Deletions behind the import's position must not shift others past it.
            for gone in seen.iter().rev().take(15) {
                let path = format!("/Users/{gone}");
                nodes
                    .client_of(page_number + 1)
                    .delete(&path)
                    .await
                    .expect(204);
            }
        }
        seen.sort();
        assert_eq!(seen, ids);
    });
}
