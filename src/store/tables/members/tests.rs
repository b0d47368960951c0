use super::*;
use crate::store::tables::resources;
use crate::store::testing::{TENANT, group, id, ids, user, with_store};

fn member(value: &str, display: Option<&str>) -> Member {
    Member {
        value: value.into(),
        display: display.map(Into::into),
    }
}

fn members(values: &[&str]) -> Vec<Member> {
    values.iter().map(|value| member(value, None)).collect()
}

#[test]
fn adds_new_members_and_reports_unknown_ones() {
    with_store(|store| async move {
        let mut role = user("role");
        role.resource_type = "Role".into();
        role.hot.user_name = None;
        store
            .put(vec![user("Ann"), user("bob"), group("g"), group("h"), role])
            .await;
        let first = store
            .tx(|tx| add(tx, &id("g"), &members(&["bob", "nobody"])))
            .await
            .unwrap();
        assert_eq!(first.added, ids(&["bob"]));
        assert_eq!(first.unknown, ["nobody"]);
        let second = store
            .tx(|tx| {
                let wanted = [
                    member("Ann", Some("Ann A.")),
                    member("Ann", Some("again")),
                    member("bob", Some("Bob")),
                    member("h", None),
                    member("g", None),
                    member("role", None),
                    member("", None),
                    member("nul\0", None),
                ];
                add(tx, &id("g"), &wanted)
            })
            .await
            .unwrap();
        assert_eq!(second.added, ids(&["Ann", "h"]));
        assert_eq!(second.unknown, ["", "nul\0", "g", "role"]);
        let rows = store
            .read(|conn| of_group(conn, TENANT, &id("g")))
            .await
            .unwrap();
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.value.as_str(),
                    row.kind.as_str(),
                    row.display.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("Ann", "User", Some("Ann A.")),
                ("bob", "User", Some("bob")),
                ("h", "Group", Some("h")),
            ]
        );
    });
}

#[test]
fn replaces_by_difference() {
    with_store(|store| async move {
        store
            .put(vec![user("a"), user("b"), user("c"), user("d"), group("g")])
            .await;
        store
            .tx(|tx| add(tx, &id("g"), &members(&["a", "b", "c"])))
            .await
            .unwrap();
        let done = store
            .tx(|tx| {
                replace(
                    tx,
                    &id("g"),
                    &[member("b", Some("B")), member("c", None), member("d", None)],
                )
            })
            .await
            .unwrap();
        assert_eq!(done.added, ids(&["d"]));
        assert_eq!(done.removed, ids(&["a"]));
        assert_eq!(done.renamed, ids(&["b"]));
        let again = store
            .tx(|tx| {
                replace(
                    tx,
                    &id("g"),
                    &[member("b", Some("B")), member("d", None), member("c", None)],
                )
            })
            .await
            .unwrap();
        assert!(again.is_nothing(), "{again:?}");
        let empty = store.tx(|tx| replace(tx, &id("g"), &[])).await.unwrap();
        assert_eq!(empty.removed, ids(&["b", "c", "d"]));
    });
}

#[test]
fn removes_present_members() {
    with_store(|store| async move {
        store
            .put(vec![user("a"), user("b"), user("c"), group("g")])
            .await;
        store
            .tx(|tx| add(tx, &id("g"), &members(&["a", "b", "c"])))
            .await
            .unwrap();
        let list = ["a".to_owned(), "x".to_owned(), String::new()];
        let removed = store
            .tx(move |tx| remove(tx, &id("g"), &list))
            .await
            .unwrap();
        assert_eq!(removed, ids(&["a"]));
        let removed = store.tx(|tx| remove_all(tx, &id("g"))).await.unwrap();
        assert_eq!(removed, ids(&["b", "c"]));
    });
}

#[test]
fn groups_are_direct_or_nested_and_cycles_end() {
    with_store(|store| async move {
        store
            .put(vec![
                user("u"),
                user("v"),
                group("a"),
                group("b"),
                group("c"),
                group("z"),
            ])
            .await;
        store
            .tx(|tx| {
                add(tx, &id("a"), &members(&["u", "c"]))?;
                add(tx, &id("b"), &members(&["a"]))?;
                add(tx, &id("c"), &members(&["b", "u"]))?;
                add(tx, &id("z"), &members(&["v"]))
            })
            .await
            .unwrap();
        let rows = store
            .read(|conn| groups_of(conn, TENANT, &ids(&["u", "v", "a", "nobody"])))
            .await
            .unwrap();
        let rows: Vec<_> = rows
            .rows
            .iter()
            .map(|row| (row.member.as_str(), row.group.as_str(), row.direct))
            .collect();
        assert_eq!(
            rows,
            [
                ("a", "b", true),
                ("a", "c", false),
                ("u", "a", true),
                ("u", "b", false),
                ("u", "c", true),
                ("v", "z", true),
            ]
        );
    });
}

#[test]
fn a_deletion_forgets_memberships_on_both_sides() {
    with_store(|store| async move {
        store
            .put(vec![user("u"), group("a"), group("b"), group("c")])
            .await;
        store
            .tx(|tx| {
                add(tx, &id("a"), &members(&["u", "c"]))?;
                add(tx, &id("b"), &members(&["u"]))?;
                add(tx, &id("c"), &members(&["u"]))
            })
            .await
            .unwrap();
        let wrong_type = store
            .tx(|tx| resources::delete(tx, "Group", &id("u")))
            .await
            .unwrap();
        assert_eq!(wrong_type, None);
        let gone = store
            .tx(|tx| resources::delete(tx, "Group", &id("c")))
            .await
            .unwrap();
        assert_eq!(gone.unwrap().groups, ids(&["a"]));
        let gone = store
            .tx(|tx| resources::delete(tx, "User", &id("u")))
            .await
            .unwrap();
        assert_eq!(gone.unwrap().groups, ids(&["a", "b"]));
        let left = store
            .read(|conn| of_groups(conn, TENANT, &ids(&["a", "b", "c"])))
            .await
            .unwrap();
        assert_eq!(left.rows, []);
    });
}

#[test]
fn long_lists_are_a_few_quick_statements() {
    with_store(|store| async move {
        let names: Vec<String> = (0..5000).map(|n| format!("u{n:05}")).collect();
        let mut all: Vec<_> = names.iter().map(|name| user(name)).collect();
        all.push(group("g"));
        store.put(all).await;
        let wanted: Vec<Member> = names.iter().map(|name| member(name, Some(name))).collect();
        let since = std::time::Instant::now();
        let (list, half) = (wanted.clone(), wanted[2500..].to_vec());
        let added = store.tx(move |tx| add(tx, &id("g"), &list)).await.unwrap();
        assert_eq!((added.added.len(), added.unknown.len()), (5000, 0));
        let done = store
            .tx(move |tx| replace(tx, &id("g"), &half))
            .await
            .unwrap();
        assert_eq!(
            (done.added.len(), done.removed.len(), done.renamed.len()),
            (0, 2500, 0)
        );
        let done = store
            .tx(move |tx| replace(tx, &id("g"), &wanted))
            .await
            .unwrap();
        assert_eq!((done.added.len(), done.removed.len()), (2500, 0));
        // A quadratic plan takes minutes.
        assert!(since.elapsed().as_secs() < 20, "{:?}", since.elapsed());
    });
}

#[test]
fn very_many_come_in_parts() {
    with_store(|store| async move {
        let count = PART_SIZE * 2 + 1;
        let names: Vec<String> = (0..count).map(|number| format!("u{number:05}")).collect();
        let mut all: Vec<_> = names.iter().map(|name| user(name)).collect();
        all.push(group("g"));
        store.put(all).await;
        let wanted: Vec<Member> = names.iter().map(|name| member(name, None)).collect();
        store
            .tx(move |tx| add(tx, &id("g"), &wanted))
            .await
            .unwrap();
        let found = store
            .read(|conn| {
                let mut found = Vec::new();
                each(conn, TENANT, &id("g"), |row| {
                    found.push(row);
                    Ok::<_, StoreError>(())
                })?;
                let listed = of_group(conn, TENANT, &id("g"))?;
                Ok::<_, StoreError>((found, listed))
            })
            .await
            .unwrap();
        assert_eq!(found.0.len(), count);
        assert_eq!(found.0, found.1);
    });
}
