//! A consumer that maintains a copy through the feed, crashes at any point and resumes: in the end
//! its copy equals the server's state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::harness::{
    Backend, Client, Database, Server, both_alone, id, runtime, sample, texts, together,
};

/// The number of changes to write.
const CHANGES: usize = 10_000;
const WRITERS: usize = 16;
/// The progress value that marks that all writers have ended.
const ALL_WRITTEN: usize = usize::MAX;

/// The data that a consumer stores on disk; replaced in one step, and read again after a crash.
#[derive(Default)]
struct Copy {
    /// The number of the last change in it. `None` if there is no copy yet.
    after: Option<i64>,
    resources: BTreeMap<String, Value>,
    members: BTreeMap<String, BTreeSet<String>>,
}

impl Copy {
    fn apply(&mut self, change: &Value) {
        let id = change["id"].as_str().unwrap();
        match change["kind"].as_str().unwrap() {
            "created" => {
                self.resources
                    .insert(id.to_owned(), change["resource"].clone());
            }
            "updated" | "activated" | "deactivated" => {
                let Some(resource) = self.resources.get_mut(id) else {
                    // The snapshot already lacked it.
                    return;
                };
                for difference in change["attributes"].as_array().into_iter().flatten() {
                    let path = difference["path"].as_str().unwrap();
                    set(
                        resource.as_object_mut().unwrap(),
                        &steps(path),
                        &difference["after"],
                    );
                }
            }
            "deleted" => {
                self.resources.remove(id);
                self.members.remove(id);
            }
            kind => {
                let members = self.members.entry(id.to_owned()).or_default();
                for member in change["members"].as_array().into_iter().flatten() {
                    let member = member.as_str().unwrap().to_owned();
                    match kind {
                        "member_added" => members.insert(member),
                        "member_removed" => members.remove(&member),
                        _ => false,
                    };
                }
            }
        }
    }
}

/// Returns the names on the path to an attribute.
fn steps(path: &str) -> Vec<&str> {
    let Some(rest) = path.strip_prefix(sample::ENTERPRISE) else {
        return path.split('.').collect();
    };
    let inner = rest.trim_start_matches(':');
    let inner = inner.split('.').filter(|name| !name.is_empty());
    std::iter::once(sample::ENTERPRISE).chain(inner).collect()
}

fn set(object: &mut Map<String, Value>, steps: &[&str], after: &Value) {
    let (first, rest) = steps.split_first().unwrap();
    if rest.is_empty() {
        match after {
            Value::Null => object.remove(*first),
            value => object.insert((*first).to_owned(), value.clone()),
        };
        return;
    }
    let inner = object.entry(*first).or_insert_with(|| json!({}));
    set(inner.as_object_mut().unwrap(), rest, after);
    if inner.as_object().unwrap().is_empty() {
        object.remove(*first);
    }
}

/// How a consumer follows the feed.
#[derive(Clone, Copy)]
enum Way {
    Pages,
    Stream,
}

/// Follows the feed until it is killed or has reached `end`.
async fn follow(way: Way, client: Client, copy: Arc<Mutex<Copy>>, end: Arc<AtomicUsize>) {
    let site = client.site();
    if copy.lock().unwrap().after.is_none() {
        *copy.lock().unwrap() = snapshot(&site).await;
    }
    match way {
        Way::Pages => by_pages(&site, &copy, &end).await,
        Way::Stream => by_stream(&site, &copy, &end).await,
    }
}

fn has_reached(copy: &Mutex<Copy>, end: &AtomicUsize) -> bool {
    let after = copy.lock().unwrap().after.unwrap();
    after >= i64::try_from(end.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
}

async fn snapshot(site: &Client) -> Copy {
    let mut copy = Copy::default();
    let mut cursor = String::new();
    loop {
        let page = site
            .get(&format!("/directory/v1/snapshot?limit=37&cursor={cursor}"))
            .await;
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.body;
        let seq = page["seq"].as_i64().unwrap();
        assert_eq!(
            *copy.after.get_or_insert(seq),
            seq,
            "one snapshot, one number"
        );
        for item in page["resources"].as_array().unwrap() {
            copy.resources
                .insert(id(item).to_owned(), item["resource"].clone());
        }
        for pair in page["members"].as_array().unwrap() {
            let text = |name: &str| pair[name].as_str().unwrap().to_owned();
            copy.members
                .entry(text("group"))
                .or_default()
                .insert(text("member"));
        }
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return copy,
        }
    }
}

async fn by_pages(site: &Client, copy: &Mutex<Copy>, end: &AtomicUsize) {
    let mut round = 0;
    while !has_reached(copy, end) {
        let after = copy.lock().unwrap().after.unwrap();
        let path = format!("/directory/v1/changes?after={after}&limit=150&wait=1");
        let page = site.get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        let mut copy = copy.lock().unwrap();
        for (number, change) in (after + 1..).zip(page.body["changes"].as_array().unwrap()) {
            assert_eq!(change["seq"], number, "a gap");
            copy.apply(change);
        }
        round += 1;
        // From time to time it crashes between changing its copy and recording its position.
        if round % 7 != 0 {
            copy.after = page.body["next"].as_i64();
        }
    }
}

async fn by_stream(site: &Client, copy: &Mutex<Copy>, end: &AtomicUsize) {
    let after = copy.lock().unwrap().after.unwrap().to_string();
    let headers = [("last-event-id", &*after)];
    let mut stream = site.open("/directory/v1/changes/stream", &headers).await;
    assert_eq!(stream.status(), 200);
    let mut text = String::new();
    while !has_reached(copy, end) {
        let chunk = match stream.chunk().await {
            Ok(Some(chunk)) => chunk,
            // The connection broke; the restarted consumer opens another.
            _ => return,
        };
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                let line = event.lines().find_map(|line| line.strip_prefix(name));
                line.map(str::trim)
            };
            let mut copy = copy.lock().unwrap();
            if let Some(data) = field("data:") {
                let change: Value = serde_json::from_str(data).unwrap();
                assert_eq!(
                    change["seq"].as_i64(),
                    copy.after.map(|after| after + 1),
                    "a gap"
                );
                copy.apply(&change);
            }
            if let Some(number) = field("id:") {
                copy.after = number.parse().ok();
            }
            drop(copy);
            text = rest.to_owned();
        }
    }
}

/// Runs a consumer, kills it repeatedly while changes are written, and lets it reach the end.
async fn run_with_crashes(
    way: Way,
    clients: Vec<Client>,
    mut progress: watch::Receiver<usize>,
    end: Arc<AtomicUsize>,
) -> (Copy, usize) {
    let copy = Arc::new(Mutex::new(Copy::default()));
    let mut deaths = 0;
    let mut random = 88_172_645_463_325_252_u64;
    loop {
        let client = clients[deaths % clients.len()].clone();
        let life = tokio::spawn(follow(way, client, Arc::clone(&copy), Arc::clone(&end)));
        if *progress.borrow() == ALL_WRITTEN {
            life.await.expect("the consumer reads well");
            if copy.lock().unwrap().after.is_some() && has_reached(&copy, &end) {
                break;
            }
            continue;
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Kills it after this many more writes, whatever it is doing.
        let until = *progress.borrow() + usize::try_from(random % 400).unwrap();
        let writing = progress.wait_for(|done| *done >= until).await;
        writing.expect("the writers are there to the end");
        life.abort();
        match life.await {
            Ok(()) => {}
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
        deaths += 1;
    }
    let copy = Arc::into_inner(copy).unwrap().into_inner().unwrap();
    (copy, deaths)
}

/// Writes users and memberships of all kinds until enough changes are written.
async fn write(client: Client, writer: usize, group: String, progress: Arc<watch::Sender<usize>>) {
    for number in 0.. {
        if *progress.borrow() >= CHANGES {
            break;
        }
        let name = format!("w{writer}-{number}@example.com");
        let user = client.create_user(&name).await;
        let path = format!("/Users/{}", id(&user));
        let department = format!("{}:department", sample::ENTERPRISE);
        let operations = json!([
            { "op": "replace", "path": "title", "value": format!("T{number}") },
            { "op": "replace", "path": "active", "value": false },
            { "op": "add", "path": department, "value": "Looms" },
            { "op": "remove", "path": "name.familyName" }
        ]);
        client.edit(&path, operations).await.expect(200);
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": id(&user) }] }]);
        client.edit(&format!("/Groups/{group}"), add).await;
        let mut done = 4;
        match number % 3 {
            0 => {
                client.delete(&path).await.expect(204);
                done += 2;
            }
            1 => {
                let operations = json!([
                    { "op": "remove", "path": department },
                    { "op": "add", "path": "emails", "value": [{ "value": format!("x{name}"), "type": "home" }] }
                ]);
                client.edit(&path, operations).await.expect(200);
                let remove = format!("members[value eq \"{}\"]", id(&user));
                let remove = json!([{ "op": "remove", "path": remove }]);
                client.edit(&format!("/Groups/{group}"), remove).await;
                done += 2;
            }
            _ => {}
        }
        progress.send_modify(|all| *all += done);
    }
}

/// Returns the server's state in the form of the copy.
async fn server_state(
    client: &Client,
) -> (BTreeMap<String, Value>, BTreeMap<String, BTreeSet<String>>) {
    let (mut resources, mut members) = (BTreeMap::new(), BTreeMap::new());
    for endpoint in ["/Users", "/Groups"] {
        for page in 0.. {
            let start = (page * 1000 + 1).to_string();
            let list = client
                .list(endpoint, &[("startIndex", &start), ("count", "1000")])
                .await;
            for mut resource in list.resources {
                let object = resource.as_object_mut().unwrap();
                object.remove("meta");
                object.remove("groups");
                if let Some(Value::Array(list)) = object.remove("members") {
                    members.insert(
                        id(&resource).to_owned(),
                        texts(&list, "value").into_iter().collect(),
                    );
                }
                resources.insert(id(&resource).to_owned(), resource);
            }
            if page * 1000 + 1000 >= usize::try_from(list.total).unwrap() {
                break;
            }
        }
    }
    (resources, members)
}

/// Runs two consumers, one of each way, on these nodes in turn, with writers on all of them.
async fn consumers_miss_no_change(nodes: &[Client]) {
    let first = &nodes[0];
    let groups = together((0..4).map(|number| {
        let client = nodes[number % nodes.len()].clone();
        async move { id(&client.create_group(&format!("G{number}"), &[]).await).to_owned() }
    }))
    .await;
    let progress = Arc::new(watch::Sender::new(0));
    let end = Arc::new(AtomicUsize::new(usize::MAX));
    let consumers: Vec<_> = [Way::Pages, Way::Stream]
        .into_iter()
        .map(|way| {
            tokio::spawn(run_with_crashes(
                way,
                nodes.to_vec(),
                progress.subscribe(),
                Arc::clone(&end),
            ))
        })
        .collect();
    let writers = (0..WRITERS).map(|writer| {
        let client = nodes[writer % nodes.len()].clone();
        write(
            client,
            writer,
            groups[writer % 4].clone(),
            Arc::clone(&progress),
        )
    });
    together(writers).await;
    let last = first.site().get("/directory/v1/changes?limit=1").await.body["last"]
        .as_u64()
        .unwrap();
    assert!(last >= u64::try_from(CHANGES).unwrap(), "{last}");
    end.store(usize::try_from(last).unwrap(), Ordering::Relaxed);
    progress.send_replace(ALL_WRITTEN);
    let (resources, members) = server_state(first).await;
    for consumer in consumers {
        let (mut copy, deaths) = consumer.await.expect("a consumer ends well");
        assert!(deaths > 5, "it died only {deaths} times");
        copy.members.retain(|_, members| !members.is_empty());
        let different = resources
            .iter()
            .find(|(id, server_state)| copy.resources.get(*id) != Some(server_state));
        assert_eq!(
            different.map(|(id, server_state)| (server_state, copy.resources.get(id))),
            None
        );
        assert_eq!(copy.resources.len(), resources.len());
        let filled: BTreeMap<_, _> = members
            .iter()
            .filter(|(_, list)| !list.is_empty())
            .collect();
        assert_eq!(copy.members.iter().collect::<BTreeMap<_, _>>(), filled);
    }
}

both_alone!(
    a_repeatedly_killed_consumer_misses_no_change,
    |database: Database| async move {
        let server = Server::start(&database);
        consumers_miss_no_change(&[server.admin()]).await;
    }
);

#[test]
fn a_consumer_of_two_nodes_misses_no_change() {
    let Some(database) = Database::fresh(Backend::Postgres) else {
        return;
    };
    database.cli_ok(&["migrate"]);
    let token = database.cli_ok(&["token", "create", "okta", "--scope", "scim"]);
    let base_url = ["--base-url", "https://scim.example.com/scim/v2"];
    let servers = [(); 2].map(|()| Server::start_with(&database, &base_url, &[]));
    let nodes = servers
        .each_ref()
        .map(|server| Client::new(&server.address, token.trim()));
    runtime().block_on(consumers_miss_no_change(&nodes));
}
