//! How things were: what was answered at a moment is answered again for that moment, and who changed what is told.

use jiff::Timestamp;
use rollcall::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Client, TestApp, both, id, sample, texts, with_query};

fn now() -> Timestamp {
    SystemClock::default().now()
}

/// Status and body of a question, at a moment or now.
async fn ask(client: &Client, path: &str, at: Option<Timestamp>) -> (u16, Value) {
    let path = format!("/directory/v1{path}");
    let at = at.map(|at| at.to_string());
    let mut parameters = Vec::new();
    if let Some(at) = &at {
        parameters.push(("at", at.as_str()));
    } else if path.ends_with("/members") {
        parameters.push(("nested", "false"));
    }
    let reply = client.site().get(&with_query(&path, &parameters)).await;
    let body = if reply.status == 200 {
        reply.body
    } else {
        Value::Null
    };
    (reply.status, body)
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn one_of<'l>(&mut self, list: &'l [String]) -> Option<&'l String> {
        (!list.is_empty()).then(|| &list[self.below(list.len())])
    }
}

/// All that was ever made, deleted or not.
#[derive(Default)]
struct Made {
    users: Vec<String>,
    groups: Vec<String>,
}

impl Made {
    fn questions(&self) -> Vec<String> {
        let users = self.users.iter().map(|id| format!("/users/{id}"));
        let groups = self.groups.iter().map(|id| format!("/groups/{id}/members"));
        users.chain(groups).collect()
    }
}

/// One write, whatever comes of it.
async fn write_something(app: &TestApp, made: &mut Made, numbers: &mut Numbers, step: usize) {
    let user = numbers.one_of(&made.users).cloned().unwrap_or_default();
    let group = numbers.one_of(&made.groups).cloned().unwrap_or_default();
    let (at_user, at_group) = (format!("/Users/{user}"), format!("/Groups/{group}"));
    let department = format!("{}:department", sample::ENTERPRISE);
    let what = match step {
        0..4 => 0,
        4 | 5 => 2,
        _ => numbers.below(12),
    };
    match what {
        0 | 1 => {
            let body = match numbers.below(2) {
                0 => sample::user(&format!("u{step}@example.com")),
                _ => sample::full_user(&format!("u{step}@example.com")),
            };
            let created = app.post("/Users", &body).await.expect(201);
            made.users.push(id(&created).to_owned());
        }
        2 => {
            let members: Vec<&str> = made.users.iter().take(3).map(String::as_str).collect();
            let created = app.create_group(&format!("G{step}"), &members).await;
            made.groups.push(id(&created).to_owned());
        }
        3 | 4 => {
            let operations = json!([
                { "op": "replace", "path": "title", "value": format!("T{step}") },
                { "op": "replace", "path": "name.givenName", "value": format!("N{step}") },
                { "op": "replace", "path": "active", "value": numbers.below(2) == 0 }
            ]);
            app.edit(&at_user, operations).await;
        }
        5 => {
            let operations = json!([{ "op": "remove", "path": "name" }, { "op": "add", "path": department, "value": "D" }]);
            app.edit(&at_user, operations).await;
        }
        6 => {
            let operations = json!([{ "op": "remove", "path": department }, { "op": "remove", "path": "emails" }]);
            app.edit(&at_user, operations).await;
        }
        7 => {
            app.put(&at_user, &sample::user(&format!("p{step}@example.com")))
                .await;
        }
        8 | 9 => {
            let operations =
                json!([{ "op": "add", "path": "members", "value": [{ "value": user }] }]);
            app.edit(&at_group, operations).await;
        }
        10 => {
            let remove = format!("members[value eq \"{user}\"]");
            app.edit(&at_group, json!([{ "op": "remove", "path": remove }]))
                .await;
        }
        _ => {
            let path = if numbers.below(3) == 0 {
                at_group
            } else {
                at_user
            };
            app.delete(&path).await;
        }
    }
}

both!(
    each_past_moment_is_told_as_it_was_told_then,
    |app| async move {
        let mut numbers = Numbers(88_172_645_463_325_252);
        let mut made = Made::default();
        let mut moments = Vec::new();
        for step in 0..60 {
            write_something(&app, &mut made, &mut numbers, step).await;
            let mut answers = Vec::new();
            for question in made.questions() {
                let answer = ask(&app, &question, None).await;
                answers.push((question, answer));
            }
            moments.push((now(), answers));
        }
        // What is gone now was there then.
        for user in made.users.iter().step_by(2) {
            app.delete(&format!("/Users/{user}")).await;
        }
        for group in made.groups.iter().step_by(2) {
            app.delete(&format!("/Groups/{group}")).await;
        }
        let reader = app.client_with_scopes(&["read"]).await;
        let (mut compared, mut gone) = (0, 0);
        for (at, answers) in moments.iter().rev().step_by(3) {
            for (question, answer) in answers {
                let found = ask(&reader, question, Some(*at)).await;
                assert_eq!(&found, answer, "{question} at {at}");
                compared += 1;
                gone += usize::from(answer.0 == 404);
            }
        }
        assert!(compared > 100 && gone > 5, "{compared} {gone}");
    }
);

both!(
    who_changed_what_is_told_also_of_the_deleted,
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
                    &[("at", &now().to_string()), ("nested", "true")],
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
