//! The record of a load, and the checks of the service against it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Entry, FeedEntry, Journal, Person, feed_entries, last_number};
use crate::harness::{Client, id, member_ids, texts};

/// The results of a load that has ended.
pub struct Record {
    pub acknowledged: usize,
    /// The number of answers that asked to try again.
    pub refused: usize,
    pub(super) group: String,
    pub(super) first: i64,
    pub(super) journals: Vec<Journal>,
    /// The changes that a follower read from the feed meanwhile.
    pub(super) seen: Vec<FeedEntry>,
}

impl Record {
    /// Checks that every acknowledged write exists, that every other write exists as a whole or not
    /// at all, and that the feed agrees without a gap.
    pub async fn assert_nothing_lost(&self, client: &Client) {
        let members: BTreeSet<String> = member_ids(&client.group(&self.group).await)
            .into_iter()
            .collect();
        let feed = self.feed(client).await;
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (_, kind, resource) in &feed {
            *counts.entry((kind, resource)).or_default() += 1;
        }
        for journal in &self.journals {
            let mut are_in = Vec::new();
            for entry in &journal.entries {
                let found = find(client, entry).await;
                let person = found.as_ref().map(|user| self.whole_person(user, &members));
                let fits = person == entry.sure
                    || entry.doubt.as_ref().is_some_and(|doubt| person == *doubt);
                assert!(fits, "found {person:?} of {entry:?}");
                are_in.push(person.as_ref().is_some_and(|person| person.joined));
                let Some(of) = entry.id.as_deref().or(found.as_ref().map(id)) else {
                    continue;
                };
                let count = |kind| counts.get(&(kind, of)).copied().unwrap_or(0);
                assert_eq!(count("created"), 1, "{entry:?}");
                assert_eq!(count("deleted"), usize::from(found.is_none()), "{entry:?}");
                let most = entry.updates + usize::from(entry.doubt.is_some());
                assert!(
                    (entry.updates..=most).contains(&count("updated")),
                    "{entry:?}"
                );
            }
            for pair in &journal.pairs {
                let there = pair.map(|of| are_in[of]);
                assert_eq!(there[0], there[1], "half a pair: {there:?}");
            }
        }
        // Changes that a follower has read do not change afterwards.
        let seen = self.seen.len();
        assert!(
            seen <= feed.len(),
            "the feed has lost changes that were seen"
        );
        assert_eq!(self.seen, feed[..seen]);
    }

    /// Reads the changes since the load began.
    async fn feed(&self, client: &Client) -> Vec<FeedEntry> {
        let last = last_number(client).await;
        let mut feed: Vec<FeedEntry> = Vec::new();
        let mut after = self.first;
        while after < last {
            let path = format!("/directory/v1/changes?after={after}&limit=1000");
            let page = feed_entries(&client.site().get(&path).await.plain(200));
            assert!(!page.is_empty(), "the feed ends at {after} of {last}");
            feed.extend(page);
            after = feed.last().map_or(after, |entry| entry.0);
        }
        for (entry, number) in feed.iter().zip(self.first + 1..) {
            assert_eq!(entry.0, number, "a gap in the changes");
        }
        feed
    }

    /// Converts a resource to a person, checking that its attributes are consistent.
    fn whole_person(&self, user: &Value, members: &BTreeSet<String>) -> Person {
        let text = |name: &str| user[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(user["emails"][0]["value"], user["userName"], "{user}");
        assert_eq!(user["nickName"], user["title"], "{user}");
        let groups = user["groups"].as_array().cloned().unwrap_or_default();
        let joined = texts(&groups, "value").contains(&self.group);
        assert_eq!(joined, members.contains(id(user)), "{user}");
        Person {
            name: text("userName"),
            title: text("title"),
            joined,
        }
    }
}

/// Finds the resource of an entry by its id, if known, and by its indexed e-mail, which must agree.
async fn find(client: &Client, entry: &Entry) -> Option<Value> {
    let by_email = async |name: &str| {
        let filter = format!("emails.value eq \"{name}\"");
        let found = client.list("/Users", &[("filter", &filter)]).await;
        assert!(found.resources.len() < 2, "twice: {found:?}");
        found.resources.into_iter().next()
    };
    let Some(of) = &entry.id else {
        let person = entry.doubt.clone().flatten().expect("a name");
        return by_email(&person.name).await;
    };
    let reply = client.get(&format!("/Users/{of}")).await;
    if reply.status == 404 {
        return None;
    }
    let user = reply.expect(200);
    let name = user["userName"].as_str().unwrap_or_default();
    assert_eq!(by_email(name).await.as_ref().map(id), Some(of.as_str()));
    Some(user)
}
