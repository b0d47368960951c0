//! The service as a role of PostgreSQL that may change rows and no tables. SQLite has no roles.

use diesel::{Connection as _, PgConnection, RunQueryDsl as _};

use crate::harness::cluster::Cluster;
use crate::harness::{Client, Database, Server, id, runtime, sample};

/// The grants of docs/operating.md.
fn grants() -> Vec<String> {
    let page = std::fs::read_to_string("docs/operating.md").expect("reads the page");
    let (_, rest) = page.split_once("```sql\n").expect("a block of SQL");
    let (block, _) = rest.split_once("```").expect("the end of the block");
    let statements = block.split_terminator(";\n");
    statements.map(str::to_owned).collect()
}

#[test]
fn the_service_runs_without_rights_on_tables() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let owner = Database::on(&cluster);
    owner.cli_ok(&["migrate"]);
    for grant in grants() {
        owner.execute(&grant);
    }
    let service = owner.as_role("rollcall_service");
    let mut connection = PgConnection::establish(&service.url).unwrap();
    for refused in [
        "CREATE TABLE more (n INT)",
        "DROP TABLE tokens",
        "ALTER TABLE tokens ADD n INT",
    ] {
        let done = diesel::sql_query(refused).execute(&mut connection);
        assert!(done.is_err(), "{refused}");
    }
    runtime().block_on(async {
        let server = Server::start(&service);
        let token = service.cli_ok(&["token", "create", "okta", "--scope", "scim,read"]);
        let client = Client::new(&server.address, token.trim());
        let user = client.create_user("ada@example.com").await;
        let group = client.create_group("Sales", &[id(&user)]).await;
        let path = format!("/Users/{}", id(&user));
        client
            .put(&path, &sample::full_user("ada@example.com"))
            .await
            .expect(200);
        client
            .delete(&format!("/Groups/{}", id(&group)))
            .await
            .expect(204);
        client.delete(&path).await.expect(204);
        let changes = client.site().get("/directory/v1/changes").await.plain(200);
        assert!(
            changes["changes"].as_array().unwrap().len() >= 5,
            "{changes}"
        );
    });

    // A migration that is pending needs the owner, and the error says so.
    owner.execute("DELETE FROM __diesel_schema_migrations WHERE version = '0015'");
    let refused = service.cli(&["migrate"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("rollcall migrate"),
        "{said}"
    );
    owner.cli_ok(&["migrate"]);
    service.cli_ok(&["migrate"]);
}
