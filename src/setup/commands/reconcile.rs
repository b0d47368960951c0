//! `rollcall setup reconcile`: compares who has the app in Okta with who is stored here. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use okta_client::value::{id_of, text};
use serde::Serialize;
use serde_json::{Value, json};

use crate::service::setup::Person;
use crate::setup::commands::status::needed;
use crate::setup::report::Outcome;
use crate::setup::run::{Run, ours};
use crate::setup::steps::diff;
use crate::setup::{Failure, OktaId};

/// A user on whom the two sides differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub okta_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub user_name: String,
    pub reason: String,
}

/// What differs of the users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Users {
    /// Assigned in Okta and not active here.
    pub missing: Vec<Difference>,
    /// Active here and not assigned in Okta.
    pub extra: Vec<Difference>,
    /// On both sides, with something that differs.
    pub stale: Vec<Difference>,
}

/// What differs of one pushed group's members, by user name or, where there is none, by Okta's id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Members {
    pub group: String,
    /// Whether the group is here at all.
    pub is_here: bool,
    pub missing: Vec<String>,
    pub extra: Vec<String>,
}

/// # Errors
/// See [`Failure`].
pub async fn reconcile(run: &mut Run) -> Result<Outcome, Failure> {
    let found = diff::find(run, None).await?;
    let app = needed(&found)?;
    let path = format!("/api/v1/apps/{app}/users");
    let assigned = run.session.client.list(&path, &[("limit", "500")]).await?;
    let people = run.records.people().await.map_err(ours)?;
    let users = compare(&assigned, &people);
    for (word, list) in [
        ("missing", &users.missing),
        ("extra", &users.extra),
        ("stale", &users.stale),
    ] {
        for one in list {
            run.report.warn(
                word,
                format!("{} ({}): {}", one.user_name, one.okta_id, one.reason),
            );
        }
    }
    let members = members(run, &app, &assigned, &people).await?;
    let mut differ = users != Users::default();
    for group in &members {
        if !group.is_here {
            differ = true;
            run.report
                .warn("missing", format!("the group {} is not here", group.group));
        }
        for (word, list) in [("missing", &group.missing), ("extra", &group.extra)] {
            for who in list {
                differ = true;
                run.report
                    .warn(word, format!("{who} as a member of {}", group.group));
            }
        }
    }
    run.report.more.insert("users".into(), json!(users));
    run.report.more.insert("groups".into(), json!(members));
    if differ {
        run.report.tell("Missing and stale: press Force Sync or Push now in the console. Extra: deactivate here, or assign in Okta.");
        return Ok(Outcome::Changes);
    }
    run.report.ok(
        "reconcile",
        format!(
            "the same on both sides; users: {}, pushed groups: {}",
            assigned.len(),
            members.len()
        ),
    );
    Ok(Outcome::Done)
}

fn compare(assigned: &[Value], people: &[Person]) -> Users {
    let mut here: BTreeMap<&str, Vec<&Person>> = BTreeMap::new();
    for person in people {
        if let Some(external) = person.external_id.as_deref() {
            here.entry(external).or_default().push(person);
        }
    }
    let mut users = Users::default();
    let mut seen = BTreeSet::new();
    for user in assigned.iter().filter(|user| is_assigned(user)) {
        let Some(okta_id) = text(user, "/id") else {
            continue;
        };
        seen.insert(okta_id);
        let name = user_name(user).unwrap_or(okta_id);
        let differs = |id: Option<&Person>, reason: String| Difference {
            okta_id: okta_id.to_owned(),
            id: id.map(|person| person.id.clone()),
            user_name: name.to_owned(),
            reason,
        };
        match here.get(okta_id).map(Vec::as_slice) {
            None | Some([]) => users
                .missing
                .push(differs(None, "assigned in Okta, not here".to_owned())),
            Some([one]) if one.active != Some(true) => users.missing.push(differs(
                Some(one),
                "assigned in Okta, inactive here".to_owned(),
            )),
            Some([one]) => {
                if let Some(reason) = staleness(user, one) {
                    users.stale.push(differs(Some(one), reason));
                }
            }
            Some(several) => users.stale.push(differs(
                several.first().copied(),
                format!("{} users here have this Okta id", several.len()),
            )),
        }
    }
    for (okta_id, list) in &here {
        for person in list {
            if person.active == Some(true) && !seen.contains(okta_id) {
                users.extra.push(Difference {
                    okta_id: (*okta_id).to_owned(),
                    id: Some(person.id.clone()),
                    user_name: person.user_name.clone().unwrap_or_default(),
                    reason: "active here, not assigned in Okta".to_owned(),
                });
            }
        }
    }
    users
}

/// An app user that Okta has deactivated stays in the list for a while.
fn is_assigned(user: &Value) -> bool {
    !matches!(
        text(user, "/status"),
        Some("DEPROVISIONED" | "INACTIVE" | "SUSPENDED" | "REVOKED")
    )
}

fn user_name(user: &Value) -> Option<&str> {
    text(user, "/credentials/userName")
}

fn staleness(user: &Value, person: &Person) -> Option<String> {
    if let Some(linked) = text(user, "/externalId")
        && linked != person.id
    {
        return Some(format!("Okta is linked to another id ({linked})"));
    }
    let stored = person.user_name.as_deref().unwrap_or_default();
    let is_other = |name: &str| !stored.eq_ignore_ascii_case(name) && stored != name.to_lowercase();
    if user_name(user).is_some_and(is_other) {
        return Some(format!("here the user name is {stored}"));
    }
    (text(user, "/syncState") == Some("ERROR"))
        .then(|| "Okta could not push the last change".to_owned())
}

/// Compares the members of the pushed groups, as far as they have the app: Okta pushes no others.
async fn members(
    run: &Run,
    app: &OktaId,
    assigned: &[Value],
    people: &[Person],
) -> Result<Vec<Members>, Failure> {
    let client = &run.session.client;
    let path = format!("/api/v1/apps/{app}/group-push/mappings");
    let mappings = client.list(&path, &[("limit", "1000")]).await?;
    if mappings.is_empty() {
        return Ok(Vec::new());
    }
    let have_app: BTreeSet<&str> = assigned
        .iter()
        .filter(|user| is_assigned(user))
        .filter_map(|user| text(user, "/id"))
        .collect();
    let by_okta_id: BTreeMap<&str, &Person> = people
        .iter()
        .filter_map(|person| Some((person.external_id.as_deref()?, person)))
        .collect();
    let stored = run.records.groups().await.map_err(ours)?;
    let mut all = Vec::new();
    for mapping in mappings {
        if text(&mapping, "/status") == Some("INACTIVE") {
            continue;
        }
        let Some(source) = text(&mapping, "/sourceGroupId").and_then(|id| OktaId::parse(id).ok())
        else {
            continue;
        };
        let group = client
            .get(&format!("/api/v1/groups/{source}"), &[])
            .await?
            .body;
        let source_name = text(&group, "/profile/name").unwrap_or(source.as_str());
        let name = target_name(run, &source, source_name, &mapping);
        let mut one = Members {
            group: name.clone(),
            ..Members::default()
        };
        let here = stored
            .iter()
            .find(|group| group.label.as_deref() == Some(name.as_str()));
        let Some(here) = here else {
            all.push(one);
            continue;
        };
        one.is_here = true;
        let ids = run.records.member_ids(&here.id).await.map_err(ours)?;
        let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let path = format!("/api/v1/groups/{source}/users");
        let there = client.list(&path, &[("limit", "200")]).await?;
        let mut wanted = BTreeSet::new();
        for user in there
            .iter()
            .filter(|user| text(user, "/id").is_some_and(|id| have_app.contains(id)))
        {
            let okta_id = text(user, "/id").unwrap_or_default();
            let person = by_okta_id.get(okta_id);
            match person.filter(|person| ids.contains(person.id.as_str())) {
                Some(person) => {
                    wanted.insert(person.id.as_str());
                }
                None => one
                    .missing
                    .push(text(user, "/profile/login").unwrap_or(okta_id).to_owned()),
            }
        }
        let extra = ids.iter().filter(|id| !wanted.contains(**id));
        one.extra = extra.map(|id| name_of(people, id)).collect();
        all.push(one);
    }
    Ok(all)
}

fn name_of(people: &[Person], id: &str) -> String {
    people
        .iter()
        .find(|person| person.id == id)
        .and_then(|person| person.user_name.clone())
        .unwrap_or_else(|| id.to_owned())
}

/// What the group is called here: as setup.toml says, else as in Okta.
fn target_name(run: &Run, source: &OktaId, name: &str, mapping: &Value) -> String {
    let own = id_of(mapping).and_then(|id| run.kept.pushes.get(&id).cloned());
    run.session
        .wish
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
        // Who is without `active` counts as inactive.
        let users = compare(&assigned, &people);
        let ids = |list: &[Difference]| -> Vec<String> {
            list.iter().map(|one| one.okta_id.clone()).collect()
        };
        assert_eq!(ids(&users.missing), ["00u2", "00u3", "00u8"]);
        assert_eq!(ids(&users.extra), ["00u6"]);
        assert_eq!(ids(&users.stale), ["00u4", "00u5"]);
        assert_eq!(compare(&assigned[..1], &people[..1]), Users::default());
    }
}
