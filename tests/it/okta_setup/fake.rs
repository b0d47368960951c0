//! The fake itself: faults happen where they are planned, pages end, and broken rules are reported.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::fake_okta::{FakeOkta, Fault, When};
use crate::harness::runtime;

/// A client that the org takes for `rollcall setup`.
struct Caller {
    http: reqwest::Client,
    url: String,
    secret: String,
}

impl Caller {
    fn new(okta: &FakeOkta) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .user_agent("rollcall/test");
        Self {
            http: http.build().expect("a client"),
            url: okta.url.clone(),
            secret: okta.token(&["SUPER_ADMIN"]).secret,
        }
    }

    fn send(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}/api/v1{path}", self.url))
            .header("accept", "application/json")
            .header("authorization", format!("SSWS {}", self.secret))
    }

    fn make_app(&self) -> reqwest::RequestBuilder {
        let body = json!({ "name": "scim2testapp", "label": "A", "signOnMode": "SAML_2_0" });
        self.send(Method::POST, "/apps")
            .header("content-type", "application/json")
            .body(body.to_string())
    }
}

#[test]
fn faults_happen_where_they_are_planned() {
    let okta = FakeOkta::start();
    runtime().block_on(async {
        let caller = Caller::new(&okta);
        for (fault, apps) in [(Fault::LoseAnswer, 2), (Fault::LoseRequest, 3)] {
            okta.plan(When::Write(2), fault);
            let first = caller.make_app().send().await.expect("an answer");
            assert_eq!(first.status(), StatusCode::OK);
            assert!(caller.make_app().send().await.is_err(), "{fault:?}");
            assert_eq!(okta.org().apps.len(), apps, "{fault:?}");
        }
    });
    // These two are never answered, so that their sender must be on a thread of its own.
    for (fault, apps) in [(Fault::HoldAnswer, 4), (Fault::HoldRequest, 4)] {
        okta.plan(When::Write(1), fault);
        let caller = Caller::new(&okta);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let sender = std::thread::spawn(move || {
            runtime().block_on(async {
                tokio::select! {
                    answer = caller.make_app().send() => panic!("answered: {answer:?}"),
                    _ = stopped => {}
                }
            });
        });
        okta.wait_until_holding();
        assert_eq!(okta.org().apps.len(), apps, "{fault:?}");
        stop.send(()).expect("the sender waits");
        sender.join().expect("the sender ends well");
    }
    okta.wait_for_requests("POST", "/apps", 6);
    assert_eq!((okta.writes(), okta.count("POST", "/apps")), (6, 6));
}

#[test]
fn pages_are_linked_to_the_last() {
    let okta = FakeOkta::start();
    for number in 0..4 {
        okta.group(&format!("Group {number}"), &[]);
    }
    okta.org().page_size = 2;
    let names = runtime().block_on(async {
        let caller = Caller::new(&okta);
        let mut path = "/groups?limit=10".to_owned();
        let mut names = Vec::new();
        loop {
            let answer = caller
                .send(Method::GET, &path)
                .send()
                .await
                .expect("an answer");
            let links = answer.headers().get_all("link").iter();
            let links: Vec<String> = links
                .map(|link| link.to_str().expect("text").to_owned())
                .collect();
            let page: Vec<Value> = answer.json().await.expect("a list");
            names.extend(page.iter().map(|group| group["profile"]["name"].clone()));
            let Some(next) = links.iter().find(|link| link.ends_with("rel=\"next\"")) else {
                return names;
            };
            let next = next
                .trim_start_matches('<')
                .split('>')
                .next()
                .expect("an address");
            path = next.split_once("/api/v1").expect("a path").1.to_owned();
        }
    });
    assert_eq!(
        names,
        ["Everyone", "Group 0", "Group 1", "Group 2", "Group 3"]
    );
}

#[test]
fn broken_rules_are_reported() {
    let okta = FakeOkta::start();
    runtime().block_on(async {
        let caller = Caller::new(&okta);
        let requests = [
            caller.send(Method::GET, "/apps?limit=201"),
            caller.send(Method::GET, "/apps?colour=red"),
            caller.send(Method::GET, "/applications"),
            caller.send(Method::PATCH, "/apps"),
            caller.send(Method::GET, "/groups?search=name+eq+%22A%22"),
        ];
        for request in requests {
            request.send().await.expect("an answer");
            let complaints = std::mem::take(&mut okta.org().complaints);
            assert_eq!(complaints.len(), 1, "{complaints:?}");
        }
        caller
            .send(Method::POST, "/apps")
            .body("{")
            .send()
            .await
            .expect("an answer");
        assert!(!std::mem::take(&mut okta.org().complaints).is_empty());
    });
}
