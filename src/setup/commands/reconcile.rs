//! `rollcall setup reconcile`: compares the users of the app in Okta with those in Rollcall. Reads
//! only.

use std::collections::{BTreeMap, BTreeSet};

use okta_client::json::{object_id, str_at};
use serde::Serialize;
use serde_json::{Value, json};

use crate::service::setup::Person;
use crate::setup::report::Outcome;
use crate::setup::run::{Run, store_failure};
use crate::setup::steps::diff;
use crate::setup::{Failure, OktaId};

/// A user that differs between Okta and Rollcall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub okta_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub user_name: String,
    pub reason: String,
}

/// The users that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UserDifferences {
    /// Assigned in Okta and not active in Rollcall.
    pub missing: Vec<Difference>,
    /// Active in Rollcall and not assigned in Okta.
    pub extra: Vec<Difference>,
    /// On both sides, with different data.
    pub stale: Vec<Difference>,
}

/// The members of a pushed group that differ, by user name or, if there is none, by Okta's id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MemberDifferences {
    pub group: String,
    /// Whether Rollcall has the group.
    pub is_here: bool,
    pub missing: Vec<String>,
    pub extra: Vec<String>,
}

/// Reports the differences between Okta and Rollcall.
///
/// # Errors
/// Returns an error if the app does not exist yet.
pub async fn reconcile(run: &mut Run) -> Result<Outcome, Failure> {
    let app = diff::load(run, None).await?.required_app_id()?;
    let path = format!("/api/v1/apps/{app}/users");
    let assigned = run.session.client.list(&path, &[("limit", "500")]).await?;
    let people = run.records.people().await.map_err(store_failure)?;
    let users = compare(&assigned, &people);
    let members = compare_members(run, &app, &assigned, &people).await?;
    report_users(run, &users);
    let groups_differ = report_members(run, &members);
    run.report.more.insert("users".into(), json!(users));
    run.report.more.insert("groups".into(), json!(members));
    if groups_differ || users != UserDifferences::default() {
        run.report.print("Missing and stale: press Force Sync or Push now in the console. Extra: deactivate the user in Rollcall, or assign it in Okta.");
        return Ok(Outcome::Changes);
    }
    run.report.ok(
        "reconcile",
        format!(
            "both sides agree; users: {}, pushed groups: {}",
            assigned.len(),
            members.len()
        ),
    );
    Ok(Outcome::Done)
}

fn report_users(run: &mut Run, users: &UserDifferences) {
    for (word, list) in [
        ("missing", &users.missing),
        ("extra", &users.extra),
        ("stale", &users.stale),
    ] {
        for user in list {
            run.report.warn(
                word,
                format!("{} ({}): {}", user.user_name, user.okta_id, user.reason),
            );
        }
    }
}

/// Reports the groups that differ. Returns whether there are any.
fn report_members(run: &mut Run, groups: &[MemberDifferences]) -> bool {
    let mut differ = false;
    for group in groups {
        if !group.is_here {
            differ = true;
            let line = format!("the group {} is not in Rollcall", group.group);
            run.report.warn("missing", line);
        }
        for (word, list) in [("missing", &group.missing), ("extra", &group.extra)] {
            for name in list {
                differ = true;
                let line = format!("{name} as a member of {}", group.group);
                run.report.warn(word, line);
            }
        }
    }
    differ
}

fn compare(assigned: &[Value], people: &[Person]) -> UserDifferences {
    let mut here: BTreeMap<&str, Vec<&Person>> = BTreeMap::new();
    for person in people {
        if let Some(external) = person.external_id.as_deref() {
            here.entry(external).or_default().push(person);
        }
    }
    let mut users = UserDifferences::default();
    let mut seen = BTreeSet::new();
    for user in assigned.iter().filter(|user| is_assigned(user)) {
        let Some(okta_id) = str_at(user, "/id") else {
            continue;
        };
        seen.insert(okta_id);
        let people = here.get(okta_id).map(Vec::as_slice).unwrap_or_default();
        users.compare(user, okta_id, people);
    }
    for (okta_id, list) in &here {
        for person in list {
            if person.active == Some(true) && !seen.contains(okta_id) {
                users.extra.push(Difference {
                    okta_id: (*okta_id).to_owned(),
                    id: Some(person.id.clone()),
                    user_name: person.user_name.clone().unwrap_or_default(),
                    reason: "active in Rollcall, not assigned in Okta".to_owned(),
                });
            }
        }
    }
    users
}

impl UserDifferences {
    /// Compares a user that is assigned in Okta with the users in Rollcall that have its id.
    fn compare(&mut self, user: &Value, okta_id: &str, people: &[&Person]) {
        let difference = |reason: String| Difference {
            okta_id: okta_id.to_owned(),
            id: people.first().map(|person| person.id.clone()),
            user_name: user_name(user).unwrap_or(okta_id).to_owned(),
            reason,
        };
        match people {
            [] => self
                .missing
                .push(difference("assigned in Okta, not in Rollcall".to_owned())),
            [person] if person.active != Some(true) => self.missing.push(difference(
                "assigned in Okta, inactive in Rollcall".to_owned(),
            )),
            [person] => {
                if let Some(reason) = staleness(user, person) {
                    self.stale.push(difference(reason));
                }
            }
            several => self.stale.push(difference(format!(
                "{} users in Rollcall have this Okta id",
                several.len()
            ))),
        }
    }
}

/// Returns whether an app user is assigned. Okta lists deactivated ones for a while.
fn is_assigned(user: &Value) -> bool {
    !matches!(
        str_at(user, "/status"),
        Some("DEPROVISIONED" | "INACTIVE" | "SUSPENDED" | "REVOKED")
    )
}

fn user_name(user: &Value) -> Option<&str> {
    str_at(user, "/credentials/userName")
}

/// Returns how the data of a user differs.
fn staleness(user: &Value, person: &Person) -> Option<String> {
    if let Some(linked) = str_at(user, "/externalId")
        && linked != person.id
    {
        return Some(format!("Okta is linked to another id ({linked})"));
    }
    let stored = person.user_name.as_deref().unwrap_or_default();
    let is_other = |name: &str| !stored.eq_ignore_ascii_case(name) && stored != name.to_lowercase();
    if user_name(user).is_some_and(is_other) {
        return Some(format!("the user name in Rollcall is {stored}"));
    }
    (str_at(user, "/syncState") == Some("ERROR"))
        .then(|| "Okta could not push the last change".to_owned())
}

/// Compares the members of the pushed groups. Users without the app do not count, because Okta does
/// not push them.
async fn compare_members(
    run: &Run,
    app: &OktaId,
    assigned: &[Value],
    people: &[Person],
) -> Result<Vec<MemberDifferences>, Failure> {
    let client = &run.session.client;
    let path = format!("/api/v1/apps/{app}/group-push/mappings");
    let mappings = client.list(&path, &[("limit", "1000")]).await?;
    if mappings.is_empty() {
        return Ok(Vec::new());
    }
    let have_app: BTreeSet<&str> = assigned
        .iter()
        .filter(|user| is_assigned(user))
        .filter_map(|user| str_at(user, "/id"))
        .collect();
    let stored = run.records.groups().await.map_err(store_failure)?;
    let mut all = Vec::new();
    for mapping in mappings {
        if str_at(&mapping, "/status") == Some("INACTIVE") {
            continue;
        }
        let Some(source) = str_at(&mapping, "/sourceGroupId").and_then(|id| OktaId::parse(id).ok())
        else {
            continue;
        };
        let group = client.get(&format!("/api/v1/groups/{source}"), &[]).await?;
        let source_name = str_at(&group.body, "/profile/name").unwrap_or(source.as_str());
        let name = target_name(run, &source, source_name, &mapping);
        let here = stored
            .iter()
            .find(|group| group.label.as_deref() == Some(name.as_str()));
        let mut differences = MemberDifferences {
            is_here: here.is_some(),
            group: name,
            ..MemberDifferences::default()
        };
        if let Some(here) = here {
            let ids = run.records.member_ids(&here.id).await;
            let ids = ids.map_err(store_failure)?;
            let path = format!("/api/v1/groups/{source}/users");
            let mut members = client.list(&path, &[("limit", "200")]).await?;
            members.retain(|user| str_at(user, "/id").is_some_and(|id| have_app.contains(id)));
            differences.compare(&members, &ids, people);
        }
        all.push(differences);
    }
    Ok(all)
}

impl MemberDifferences {
    /// Compares the members in Okta with the ids of the members in Rollcall.
    fn compare(&mut self, members: &[Value], ids: &[String], people: &[Person]) {
        let by_okta_id: BTreeMap<&str, &Person> = people
            .iter()
            .filter_map(|person| Some((person.external_id.as_deref()?, person)))
            .collect();
        let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let mut in_both = BTreeSet::new();
        for user in members {
            let okta_id = str_at(user, "/id").unwrap_or_default();
            let person = by_okta_id.get(okta_id);
            match person.filter(|person| ids.contains(person.id.as_str())) {
                Some(person) => {
                    in_both.insert(person.id.as_str());
                }
                None => {
                    let login = str_at(user, "/profile/login").unwrap_or(okta_id);
                    self.missing.push(login.to_owned());
                }
            }
        }
        let extra = ids.iter().filter(|id| !in_both.contains(**id));
        self.extra = extra.map(|id| name_of(people, id)).collect();
    }
}

fn name_of(people: &[Person], id: &str) -> String {
    people
        .iter()
        .find(|person| person.id == id)
        .and_then(|person| person.user_name.clone())
        .unwrap_or_else(|| id.to_owned())
}

/// Returns the group's name in Rollcall: the one in setup.toml, or else the one in Okta.
fn target_name(run: &Run, source: &OktaId, name: &str, mapping: &Value) -> String {
    let own = object_id(mapping).and_then(|id| run.state.pushes.get(&id).cloned());
    run.session
        .desired
        .push_groups
        .iter()
        .find(|push| {
            push.group == source.as_str() || push.group == name || Some(&push.group) == own.as_ref()
        })
        .and_then(|push| push.target.clone())
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, okta_id: &str, name: &str, active: bool) -> Person {
        Person {
            id: id.into(),
            external_id: Some(okta_id.into()),
            user_name: Some(name.into()),
            active: Some(active),
        }
    }

    fn without_active(id: &str, okta_id: &str) -> Person {
        Person {
            active: None,
            ..person(id, okta_id, "x", true)
        }
    }

    fn app_user(okta_id: &str, id: &str, name: &str) -> Value {
        json!({ "id": okta_id, "externalId": id, "status": "PROVISIONED", "credentials": { "userName": name } })
    }

    #[test]
    fn every_difference_has_its_list() {
        let assigned = [
            app_user("00u1", "1", "Ada@x"),
            app_user("00u2", "2", "bob@x"),
            app_user("00u3", "3", "cy@x"),
            app_user("00u4", "other", "dee@x"),
            app_user("00u5", "5", "eve@x"),
            app_user("00u8", "8", "hal@x"),
            json!({ "id": "00u6", "status": "DEPROVISIONED" }),
        ];
        let people = [
            person("1", "00u1", "ada@x", true),
            person("3", "00u3", "cy@x", false),
            person("4", "00u4", "dee@x", true),
            person("5", "00u5", "old@x", true),
            person("6", "00u6", "fay@x", true),
            person("7", "00u7", "gus@x", false),
            without_active("8", "00u8"),
            without_active("9", "00u9"),
        ];
        // A user without `active` counts as inactive.
        let users = compare(&assigned, &people);
        let ids = |list: &[Difference]| -> Vec<String> {
            list.iter().map(|user| user.okta_id.clone()).collect()
        };
        assert_eq!(ids(&users.missing), ["00u2", "00u3", "00u8"]);
        assert_eq!(ids(&users.extra), ["00u6"]);
        assert_eq!(ids(&users.stale), ["00u4", "00u5"]);
        assert_eq!(
            compare(&assigned[..1], &people[..1]),
            UserDifferences::default()
        );
    }
}
