//! A writer that records the answer to each write.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Dice, Entry, Journal, PAUSE, Person, Progress};
use crate::harness::{Client, SCIM, id, sample};

/// The reason for a missing acknowledgement.
enum NotAcknowledged {
    /// The service asked to try again.
    Later,
    /// The connection broke.
    Gone,
}

/// One of the writers.
pub(super) struct Writer {
    pub client: Client,
    pub label: String,
    pub group: String,
    pub progress: Arc<Progress>,
    pub dice: Dice,
    pub journal: Journal,
    pub named: usize,
}

impl Writer {
    /// Writes until the load ends or the service fails.
    pub async fn write(mut self) -> Journal {
        while !self.progress.is_over.load(Ordering::Relaxed) {
            let settled: Vec<usize> = (0..self.journal.entries.len())
                .filter(|&index| {
                    let entry = &self.journal.entries[index];
                    entry.doubt.is_none() && entry.sure.is_some()
                })
                .collect();
            let done = if settled.len() < 4 {
                self.create().await
            } else {
                let one = settled[self.dice.below(settled.len())];
                let other = settled[self.dice.below(settled.len())];
                match self.dice.below(10) {
                    0 | 1 => self.create().await,
                    2 | 3 => self.put(one).await,
                    4 | 5 => self.patch(one).await,
                    6 | 7 if one != other => self.join([one, other]).await,
                    6 | 7 => self.leave(one).await,
                    8 => self.delete(one).await,
                    _ => self.bulk().await,
                }
            };
            match done {
                Ok(()) => {}
                Err(NotAcknowledged::Later) => tokio::time::sleep(PAUSE).await,
                Err(NotAcknowledged::Gone) => break,
            }
        }
        self.journal
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, NotAcknowledged> {
        let bytes = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let headers = [("content-type", SCIM)];
        let Ok(reply) = self.client.try_send(method, path, &headers, bytes).await else {
            return Err(NotAcknowledged::Gone);
        };
        if reply.status == 503 {
            let after = reply.header("retry-after").parse::<u32>();
            assert!(after.is_ok(), "no Retry-After: {reply:?}");
            self.progress.refused.fetch_add(1, Ordering::Relaxed);
            self.progress.progressed.notify_one();
            return Err(NotAcknowledged::Later);
        }
        assert!(reply.status < 300, "{reply:?}");
        Ok(reply.body)
    }

    fn acknowledge(&self) {
        self.progress.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.progress.progressed.notify_one();
    }

    fn new_person(&mut self) -> Person {
        self.named += 1;
        let name = format!("{}-{}@example.com", self.label, self.named);
        let title = format!("Title {}", self.named);
        Person {
            name,
            title,
            joined: false,
        }
    }

    fn person(&self, of: usize) -> Person {
        let person = self.journal.entries[of].sure.clone();
        person.expect("a settled person")
    }

    fn path(&self, of: usize) -> String {
        let id = self.journal.entries[of].id.as_deref();
        format!("/Users/{}", id.expect("a settled person"))
    }

    /// Records the result of a request about one person.
    fn note(&mut self, of: usize, becomes: Option<Person>, done: &Result<Value, NotAcknowledged>) {
        let entry = &mut self.journal.entries[of];
        match done {
            Ok(_) => {
                entry.sure = becomes;
            }
            Err(_) => entry.doubt = Some(becomes),
        }
    }

    async fn create(&mut self) -> Result<(), NotAcknowledged> {
        let person = self.new_person();
        let done = self.send(Method::POST, "/Users", &body_of(&person)).await;
        self.add(person, done.as_ref().ok().map(|user| id(user).to_owned()));
        done.map(|_| self.acknowledge())
    }

    /// Records a person: with an id if its creation was acknowledged.
    fn add(&mut self, person: Person, id: Option<String>) {
        let (sure, doubt) = match id {
            Some(_) => (Some(person), None),
            None => (None, Some(Some(person))),
        };
        self.journal.entries.push(Entry {
            id,
            sure,
            doubt,
            updates: 0,
        });
    }

    async fn put(&mut self, of: usize) -> Result<(), NotAcknowledged> {
        let person = Person {
            joined: self.person(of).joined,
            ..self.new_person()
        };
        let done = self
            .send(Method::PUT, &self.path(of), &body_of(&person))
            .await;
        self.update(of, person, done)
    }

    async fn patch(&mut self, of: usize) -> Result<(), NotAcknowledged> {
        let person = Person {
            title: self.new_person().title,
            ..self.person(of)
        };
        let body = sample::patch(json!([
            { "op": "replace", "path": "title", "value": person.title },
            { "op": "replace", "path": "nickName", "value": person.title }
        ]));
        let done = self.send(Method::PATCH, &self.path(of), &body).await;
        self.update(of, person, done)
    }

    fn update(
        &mut self,
        of: usize,
        person: Person,
        done: Result<Value, NotAcknowledged>,
    ) -> Result<(), NotAcknowledged> {
        self.note(of, Some(person), &done);
        done?;
        self.journal.entries[of].updates += 1;
        self.acknowledge();
        Ok(())
    }

    async fn join(&mut self, pair: [usize; 2]) -> Result<(), NotAcknowledged> {
        let ids = pair.map(|of| self.journal.entries[of].id.clone().unwrap_or_default());
        let value = sample::members(&[&ids[0], &ids[1]]);
        let body = sample::patch(json!([{ "op": "add", "path": "members", "value": value }]));
        let path = format!("/Groups/{}", self.group);
        let done = self.send(Method::PATCH, &path, &body).await;
        let were_in = pair.map(|of| self.person(of).joined);
        for of in pair {
            let person = Person {
                joined: true,
                ..self.person(of)
            };
            self.note(of, Some(person), &done);
        }
        if done.is_err() && were_in == [false, false] {
            self.journal.pairs.push(pair);
        }
        done.map(|_| self.acknowledge())
    }

    async fn leave(&mut self, of: usize) -> Result<(), NotAcknowledged> {
        let person = Person {
            joined: false,
            ..self.person(of)
        };
        let user = self.journal.entries[of].id.clone().unwrap_or_default();
        let member_path = format!("members[value eq \"{user}\"]");
        let body = sample::patch(json!([{ "op": "remove", "path": member_path }]));
        let path = format!("/Groups/{}", self.group);
        let done = self.send(Method::PATCH, &path, &body).await;
        self.note(of, Some(person), &done);
        done.map(|_| self.acknowledge())
    }

    async fn delete(&mut self, of: usize) -> Result<(), NotAcknowledged> {
        let done = self
            .send(Method::DELETE, &self.path(of), &Value::Null)
            .await;
        self.note(of, None, &done);
        done.map(|_| self.acknowledge())
    }

    /// Creates two people and adds them to the group, in one request.
    async fn bulk(&mut self) -> Result<(), NotAcknowledged> {
        let people = [self.new_person(), self.new_person()];
        let post = |person: &Person| json!({ "method": "POST", "path": "/Users", "bulkId": person.name, "data": body_of(person) });
        let references = people
            .each_ref()
            .map(|person| json!({ "value": format!("bulkId:{}", person.name) }));
        let join = sample::patch(json!([{ "op": "add", "path": "members", "value": references }]));
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [
                post(&people[0]),
                post(&people[1]),
                { "method": "PATCH", "path": format!("/Groups/{}", self.group), "data": join }
            ]
        });
        let done = self.send(Method::POST, "/Bulk", &body).await;
        let results = match &done {
            Ok(answer) => results_of(answer),
            Err(_) => [(503, None), (503, None), (503, None)],
        };
        let is_whole = results.iter().all(|(status, _)| *status < 300);
        let join = results[2].0;
        for (person, (_, id)) in people.into_iter().zip(results) {
            let joined = Person {
                joined: true,
                ..person.clone()
            };
            // An operation answered with "try again" may have been applied, as a request may.
            match (id, join) {
                (Some(id), 200..300) => self.add(joined, Some(id)),
                (Some(id), 400) => self.add(person, Some(id)),
                (Some(id), _) => {
                    self.add(person, Some(id));
                    let entry = self.journal.entries.last_mut();
                    entry.expect("it was added").doubt = Some(Some(joined));
                }
                (None, _) => self.add(joined, None),
            }
        }
        done?;
        if is_whole {
            self.acknowledge();
        }
        Ok(())
    }
}

/// Returns the status of each operation of a bulk request, and the ids of created users.
fn results_of(answer: &Value) -> [(u16, Option<String>); 3] {
    let results = answer["Operations"].as_array().expect("results");
    let result = |number: usize| {
        let text = results.get(number).map_or("503", |result| {
            result["status"].as_str().unwrap_or_default()
        });
        let status: u16 = text.parse().expect("a status");
        // An operation that references a user that could not be created fails.
        let fits = matches!(status, 200..300 | 503) || (status == 400 && number == 2);
        assert!(fits, "{answer}");
        let location = results[number]["location"].as_str().unwrap_or_default();
        let id = location.rsplit('/').next().unwrap_or_default().to_owned();
        (status, Some(id).filter(|_| status == 201))
    };
    [result(0), result(1), result(2)]
}

fn body_of(person: &Person) -> Value {
    let mut body = sample::user(&person.name);
    body["title"] = json!(person.title);
    body["nickName"] = json!(person.title);
    body
}
