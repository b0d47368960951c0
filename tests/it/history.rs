//! History: a query for a past moment returns what was returned at that moment, and each change
//! names its author.

use jiff::Timestamp;
use rollcall::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, both, id, random_token, sample, texts, with_query};

fn now() -> Timestamp {
    SystemClock::default().now()
}

/// Returns status and body of a query, at a past moment or now.
async fn ask(client: &Client, query: &str, at: Option<Timestamp>) -> (u16, Value) {
    let path = format!("/directory/v1{query}");
    let at = at.map(|at| at.to_string());
    let path = match at {
        Some(at) if path.contains('?') => format!("{path}&at={at}"),
        Some(at) => format!("{path}?at={at}"),
        None => path,
    };
    let reply = client.get(&path).await;
    let body = if reply.status == 200 {
        reply.body
    } else {
        Value::Null
    };
    (reply.status, body)
}

/// A pseudo-random sequence, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    fn maybe(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// Every resource that one sequence created, deleted or not.
#[derive(Default)]
struct Created {
    users: Vec<String>,
    groups: Vec<String>,
}

impl Created {
    fn queries(&self) -> Vec<String> {
        let users = self.users.iter().map(|id| format!("/users/{id}"));
        let groups = self.groups.iter().flat_map(|id| {
            ["", "?nested=false"].map(|depth| format!("/groups/{id}/members{depth}"))
        });
        users.chain(groups).collect()
    }
}

/// A sequence of writes with one seed.
struct Sequence<'a> {
    app: &'a TestApp,
    numbers: Numbers,
    made: Created,
    seed: u64,
    step: usize,
}

impl Sequence<'_> {
    fn name(&self) -> String {
        format!("u{}-{}@example.com", self.seed, self.step)
    }

    /// Sends one write, whose result does not matter.
    async fn write(&mut self) {
        match self.step {
            0..3 => return self.create_user().await,
            3 | 4 => return self.create_group().await,
            _ => {}
        }
        match self.numbers.below(20) {
            0 if self.made.users.len() < 8 => self.create_user().await,
            1 if self.made.groups.len() < 5 => self.create_group().await,
            0..=7 => self.edit_user().await,
            8..=10 => self.put_user().await,
            11..=15 => self.edit_group().await,
            16 => self.put_group().await,
            17 | 18 => self.bulk().await,
            _ => {
                let path = if self.numbers.below(3) == 0 {
                    format!("/Groups/{}", self.numbers.one_of(&self.made.groups))
                } else {
                    format!("/Users/{}", self.numbers.one_of(&self.made.users))
                };
                self.app.delete(&path).await;
            }
        }
    }

    fn user(&mut self) -> Value {
        let name = self.name();
        let mut body = match self.numbers.maybe() {
            true => sample::user(&name),
            false => sample::full_user(&name),
        };
        body["externalId"] = json!(format!("00u{}", self.numbers.below(1000)));
        if self.numbers.below(4) == 0 {
            body["active"] = json!(false);
        }
        // A replacement removes what it leaves out.
        let left_out = [
            "name",
            "emails",
            "phoneNumbers",
            "title",
            "displayName",
            "active",
            sample::ENTERPRISE,
        ];
        for attribute in left_out {
            if self.numbers.below(5) == 0 {
                body.as_object_mut().unwrap().remove(attribute);
            }
        }
        body
    }

    async fn create_user(&mut self) {
        let body = self.user();
        let created = self.app.post("/Users", &body).await.expect(201);
        self.made.users.push(id(&created).to_owned());
    }

    async fn put_user(&mut self) {
        let path = format!("/Users/{}", self.numbers.one_of(&self.made.users));
        let body = self.user();
        self.app.put(&path, &body).await;
    }

    async fn edit_user(&mut self) {
        let path = format!("/Users/{}", self.numbers.one_of(&self.made.users));
        let operations: Vec<Value> = (0..=self.numbers.below(3))
            .map(|_| self.user_operation())
            .collect();
        self.app.edit(&path, json!(operations)).await;
    }

    fn user_operation(&mut self) -> Value {
        let step = self.step;
        let department = format!("{}:department", sample::ENTERPRISE);
        let manager = format!("{}:manager", sample::ENTERPRISE);
        let boss = self.numbers.one_of(&self.made.users);
        let work = "emails[type eq \"work\"]";
        match self.numbers.below(14) {
            0 => json!({ "op": "replace", "path": "title", "value": format!("T{step}") }),
            1 => json!({ "op": "replace", "path": "name.givenName", "value": format!("N{step}") }),
            2 | 3 => json!({ "op": "replace", "path": "active", "value": self.numbers.maybe() }),
            4 => json!({ "op": "remove", "path": "name" }),
            5 => json!({ "op": "add", "path": department, "value": format!("D{step}") }),
            6 => json!({ "op": "remove", "path": department }),
            7 => json!({ "op": "add", "path": manager, "value": { "value": boss } }),
            8 => json!({ "op": "remove", "path": manager }),
            9 => json!({ "op": "replace", "path": "userName", "value": self.name() }),
            10 => {
                json!({ "op": "add", "path": "emails", "value": [{ "value": format!("e{step}@example.com"), "type": "home" }] })
            }
            11 => {
                json!({ "op": "replace", "path": format!("{work}.value"), "value": format!("w{step}@example.com") })
            }
            12 => json!({ "op": "remove", "path": work }),
            _ => {
                json!({ "op": "add", "value": { "phoneNumbers": [{ "value": format!("+{step}"), "type": "work" }] } })
            }
        }
    }

    /// Returns a user or another group, possibly one that contains this group.
    fn member(&mut self) -> String {
        match self.numbers.below(3) {
            0 => self.numbers.one_of(&self.made.groups),
            _ => self.numbers.one_of(&self.made.users),
        }
    }

    async fn create_group(&mut self) {
        let step = self.step;
        let count = self.numbers.below(4);
        let members: Vec<String> = match self.made.groups.is_empty() {
            true => self.made.users.clone(),
            false => (0..count).map(|_| self.member()).collect(),
        };
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let created = self.app.create_group(&format!("G{step}"), &members).await;
        self.made.groups.push(id(&created).to_owned());
    }

    async fn edit_group(&mut self) {
        let path = format!("/Groups/{}", self.numbers.one_of(&self.made.groups));
        let operations: Vec<Value> = (0..=self.numbers.below(3))
            .map(|_| self.group_operation())
            .collect();
        self.app.edit(&path, json!(operations)).await;
    }

    fn group_operation(&mut self) -> Value {
        let member = self.member();
        let other = self.member();
        match self.numbers.below(8) {
            0..4 => {
                json!({ "op": "add", "path": "members", "value": [{ "value": member }, { "value": other }] })
            }
            4 | 5 => json!({ "op": "remove", "path": format!("members[value eq \"{member}\"]") }),
            6 => json!({ "op": "replace", "path": "members", "value": [{ "value": member }] }),
            _ => {
                json!({ "op": "replace", "path": "displayName", "value": format!("R{}", self.step) })
            }
        }
    }

    async fn put_group(&mut self) {
        let path = format!("/Groups/{}", self.numbers.one_of(&self.made.groups));
        let members: Vec<String> = (0..self.numbers.below(4)).map(|_| self.member()).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        self.app
            .put(&path, &sample::group(&format!("P{}", self.step), &members))
            .await;
    }

    /// Sends several writes in one request, to resources that earlier ones may have touched.
    async fn bulk(&mut self) {
        let user = self.numbers.one_of(&self.made.users);
        let other = self.numbers.one_of(&self.made.users);
        let group = self.numbers.one_of(&self.made.groups);
        let patch = |operation: Value| sample::patch(json!([operation]));
        let operations = json!([
            { "method": "PATCH", "path": format!("/Users/{user}"), "data": patch(self.user_operation()) },
            { "method": "PATCH", "path": format!("/Groups/{group}"), "data": patch(self.group_operation()) },
            { "method": "PATCH", "path": format!("/Users/{user}"), "data": patch(self.user_operation()) },
            { "method": "PUT", "path": format!("/Users/{other}"), "data": self.user() },
            { "method": "PATCH", "path": format!("/Groups/{group}"), "data": patch(self.group_operation()) }
        ]);
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations
        });
        self.app.post("/Bulk", &body).await.expect(200);
    }
}

/// The number of sequences, and of writes in each.
const SEQUENCES: usize = 8;
const STEPS: usize = 30;

/// Writes with one seed, queries after each write, and then queries each of those moments.
async fn check_past_answers(app: &TestApp, reader: &Client, seed: u64) -> (usize, usize) {
    let mut sequence = Sequence {
        app,
        // Spread, so that consecutive seeds differ.
        numbers: Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
        made: Created::default(),
        seed,
        step: 0,
    };
    let mut moments = Vec::new();
    for step in 0..STEPS {
        sequence.step = step;
        sequence.write().await;
        let mut answers = Vec::new();
        for query in sequence.made.queries() {
            let answer = ask(reader, &query, None).await;
            answers.push((query, answer));
        }
        moments.push((step, now(), answers));
    }
    // Resources that are deleted now existed then.
    for user in sequence.made.users.iter().step_by(2) {
        app.delete(&format!("/Users/{user}")).await;
    }
    for group in sequence.made.groups.iter().step_by(2) {
        app.delete(&format!("/Groups/{group}")).await;
    }
    let (mut compared, mut gone) = (0, 0);
    for (step, at, answers) in moments.iter().rev() {
        for (query, answer) in answers {
            let found = ask(reader, query, Some(*at)).await;
            assert_eq!(&found, answer, "{query} at {at}: seed {seed}, step {step}");
            compared += 1;
            gone += usize::from(answer.0 == 404);
        }
    }
    (compared, gone)
}

both!(
    a_query_for_a_past_moment_returns_its_state,
    |app| async move {
        let reader = app.client_with_scopes(&["read"]).await.site();
        let (mut compared, mut gone) = (0, 0);
        // Different in each run; a failure prints its seed.
        let base = u64::from_str_radix(random_token().get(..12).unwrap(), 16).unwrap();
        for number in 0..SEQUENCES {
            let seed = base + u64::try_from(number).unwrap() + 1;
            let found = check_past_answers(&app, &reader, seed).await;
            compared += found.0;
            gone += found.1;
        }
        assert!(
            compared > 100 * SEQUENCES && gone > SEQUENCES,
            "{compared} {gone}"
        );
    }
);

both!(
    history_names_the_author_of_changes_and_deletes,
    |app| async move {
        let before = now();
        let user = app.create_user("ada@example.com").await;
        let group = app.create_group("Surveyors", &[id(&user)]).await;
        let path = format!("/Users/{}", id(&user));
        let off = json!([{ "op": "replace", "path": "active", "value": false }]);
        app.edit(&path, off).await.expect(200);
        app.delete(&path).await.expect(204);
        let site = app.client_with_scopes(&["read"]).await.site();
        let past = async |query: &str| {
            let path = format!("/directory/v1/users/{}/history{query}", id(&user));
            let reply = site.get(&path).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let kinds = texts(reply.body["changes"].as_array().unwrap(), "kind");
            (kinds, reply.body["next"].clone(), reply.body)
        };
        let (kinds, next, body) = past("").await;
        assert_eq!(kinds, ["deleted", "deactivated", "created"]);
        assert_eq!(next, Value::Null);
        assert!(
            body["changes"][0]["actor"]
                .as_str()
                .unwrap()
                .starts_with("token:")
        );
        let (kinds, next, _) = past("?limit=2").await;
        assert_eq!(kinds, ["deleted", "deactivated"]);
        let (kinds, ..) = past(&format!("?limit=2&before={next}")).await;
        assert_eq!(kinds, ["created"]);
        let groups = site
            .get(&format!("/directory/v1/groups/{}/history", id(&group)))
            .await;
        let kinds = texts(groups.body["changes"].as_array().unwrap(), "kind");
        assert_eq!(kinds, ["member_removed", "member_added", "created"]);

        for (path, status) in [
            (format!("/users/{}/history", id(&group)), 404),
            ("/users/nobody/history".to_owned(), 404),
            (format!("/users/{}?at=yesterday", id(&user)), 400),
            (
                with_query(
                    &format!("/users/{}", id(&user)),
                    &[("at", &before.to_string())],
                ),
                404,
            ),
            (
                with_query(
                    &format!("/groups/{}/members", id(&group)),
                    &[("at", &now().to_string()), ("nested", "deep")],
                ),
                400,
            ),
        ] {
            let reply = site.get(&format!("/directory/v1{path}")).await;
            reply.expect_error(status, "");
        }
        let neighbour = app.neighbour().await.site();
        let path = format!("/directory/v1/users/{}/history", id(&user));
        neighbour.get(&path).await.expect_error(404, "");
    }
);
