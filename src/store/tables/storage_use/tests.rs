//! What is counted is what is there, and the quota holds.

use std::sync::Arc;

use super::*;
use crate::ids::Actor;
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::resources::{Password, Update};
use crate::store::tables::{history, members, resources};
use crate::store::testing::{TENANT, block_on, group, id, on_each, user, with_store};
use crate::store::{Store, Tx};

fn record(tx: &mut Tx<'_>, of: &str, kind: ChangeKind, payload: &str) {
    tx.append(Change {
        resource_id: id(of),
        resource_type: "User".into(),
        kind,
        at: 1,
        actor: Actor::Bootstrap,
        payload: payload.into(),
    });
}

fn replace(tx: &mut Tx<'_>, name: &str, doc: &str) -> Result<(), StoreError> {
    let stored = resources::get(tx.conn(), TENANT, "User", &id(name))?.unwrap();
    let new = user(name);
    let update = Update {
        id: new.id,
        at: 2,
        hot: new.hot,
        label: new.label,
        password: Password::Keep,
        doc: doc.to_owned(),
        before_bytes: stored.doc.len(),
        rows: None,
    };
    resources::update(tx, &update).map(drop)
}

async fn used(store: &Arc<Store>) -> StorageUse {
    let found = store.read(|conn| get(conn, TENANT)).await;
    found.unwrap().unwrap().bytes
}

async fn assert_exact(store: &Arc<Store>) {
    let lacking = store.read(|conn| compare(conn, TENANT)).await.unwrap();
    assert_eq!(lacking, None);
}

#[test]
fn every_write_is_counted() {
    with_store(|store| async move {
        store.put(vec![user("a"), user("b"), group("g")]).await;
        assert_exact(&store).await;
        let with_members = used(&store).await;
        store
            .tx(|tx| {
                let member = |value: &str| scim_core::Member {
                    value: value.to_owned(),
                    display: None,
                };
                members::add(tx, &id("g"), &[member("a"), member("b"), member("x")])?;
                members::remove(tx, &id("g"), &["a".to_owned(), "x".to_owned()])?;
                members::replace(tx, &id("g"), &[member("a")])?;
                replace(tx, "a", r#"{"id":"a","title":"Zoë"}"#)?;
                record(tx, "a", ChangeKind::Updated, r#"{"x":"ü"}"#);
                record(tx, "b", ChangeKind::Created, "{}");
                Ok(())
            })
            .await
            .unwrap();
        assert_exact(&store).await;
        let grown = used(&store).await;
        assert_eq!(grown.history, 2 * ROW_BYTES + 12);
        assert!(grown.documents > with_members.documents);
        store
            .tx(|tx| {
                history::empty(tx, "User", &id("a"))?;
                resources::delete(tx, "User", &id("a"))?;
                tx.amend(|change| change.payload = "[]".into());
                record(tx, "b", ChangeKind::Updated, r#"{"long":"payload"}"#);
                tx.amend(|change| change.payload = "[]".into());
                history::prune(tx, 5, 1)
            })
            .await
            .unwrap();
        assert_exact(&store).await;
        store
            .tx(|tx| resources::delete(tx, "Group", &id("g")))
            .await
            .unwrap();
        store
            .tx(|tx| resources::delete(tx, "User", &id("b")))
            .await
            .unwrap();
        assert_exact(&store).await;
        assert_eq!(used(&store).await.documents, 0);
    });
}

#[test]
fn what_was_not_counted_is_found_out_while_others_write() {
    with_store(|store| async move {
        store.put(vec![user("a")]).await;
        let old_version = "UPDATE tenants SET document_bytes = 0, history_bytes = 7";
        store
            .admin(move |conn| conn.batch(old_version))
            .await
            .unwrap();
        let lacking = store.read(|conn| compare(conn, TENANT)).await;
        let lacking = lacking.unwrap().unwrap();
        store.put(vec![user("b")]).await;
        // Two nodes have found out the same.
        for _ in 0..2 {
            let again = lacking;
            store
                .admin(move |conn| correct(conn, &again))
                .await
                .unwrap();
            assert_exact(&store).await;
        }
    });
}

#[test]
fn the_largest_resources_come_first() {
    with_store(|store| async move {
        store.put(vec![user("a"), user("b"), user("c")]).await;
        let work = |tx: &mut Tx<'_>| {
            let long = format!(r#"{{"id":"c","x":"{}"}}"#, "y".repeat(500));
            replace(tx, "c", &long)?;
            record(tx, "b", ChangeKind::Updated, &long);
            record(tx, "b", ChangeKind::Updated, &long);
            record(tx, "gone", ChangeKind::Deleted, &"z".repeat(600));
            Ok(())
        };
        store.tx(work).await.unwrap();
        let found = store.read(|conn| largest(conn, TENANT, 3)).await.unwrap();
        let ids: Vec<(&str, Option<&str>)> = found
            .iter()
            .map(|row| (row.id.as_str(), row.label.as_deref()))
            .collect();
        assert_eq!(ids, [("b", Some("b")), ("gone", None), ("c", Some("c"))]);
        assert_eq!(found[1].document_bytes, 0);
        assert_eq!(found[1].history_bytes, 600);
        assert!(found[0].history_bytes > 1000 && found[0].document_bytes > 0);
    });
}

#[test]
fn beyond_the_quota_only_reductions_pass() {
    on_each(|fresh| {
        let mut config = fresh.config.clone();
        config.tenant_quota_bytes = 2000;
        let store = Arc::new(Store::open(&config).unwrap());
        block_on(quota(&store));
        store.close();
    });
}

fn toggled(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    record(tx, "u1", ChangeKind::Activated, "{}");
    Ok(())
}

fn is_refused(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::QuotaExceeded { limit: 2000, .. }))
}

async fn quota(store: &Arc<Store>) {
    let long = |bytes: usize| format!(r#"{{"x":"{}"}}"#, "y".repeat(bytes));
    let mut created = 0;
    let refused = loop {
        let name = format!("u{created}");
        let result = store
            .tx(move |tx| {
                resources::insert(tx, &user(&name))?;
                record(tx, &name, ChangeKind::Created, "{}");
                Ok(())
            })
            .await;
        if result.is_err() {
            break result;
        }
        created += 1;
    };
    assert!(is_refused(&refused), "{refused:?}");
    assert_eq!(created, 4);
    let write = |work: fn(&mut Tx<'_>) -> Result<(), StoreError>| store.tx(work);
    // A longer document, a change without one, and a part of a job.
    let grown = long(500);
    let refused = store.tx(move |tx| replace(tx, "u1", &grown)).await;
    assert!(is_refused(&refused), "{refused:?}");
    for _ in 0..3 {
        write(|tx| {
            record(tx, "u1", ChangeKind::Deactivated, "{}");
            Ok(())
        })
        .await
        .unwrap();
    }
    let refused = write(toggled).await;
    assert!(is_refused(&refused), "{refused:?}");
    // Not even if the document becomes shorter by that.
    let shorter = |tx: &mut Tx<'_>| {
        replace(tx, "u1", "{}")?;
        toggled(tx)
    };
    let refused = write(shorter).await;
    assert!(is_refused(&refused), "{refused:?}");
    reductions(store).await;
}

/// The tenant is beyond its quota.
async fn reductions(store: &Arc<Store>) {
    let write = |work: fn(&mut Tx<'_>) -> Result<(), StoreError>| store.tx(work);
    let parts = store
        .tx(|tx| {
            let mut passed = Vec::new();
            for kind in [
                ChangeKind::Updated,
                ChangeKind::MemberRemoved,
                ChangeKind::Erased,
            ] {
                let part = tx.attempt(|tx| {
                    record(tx, "u1", kind, "{}");
                    Ok::<_, StoreError>(())
                })?;
                passed.push(part.is_ok());
            }
            Ok(passed)
        })
        .await;
    assert_eq!(parts.unwrap(), [false, true, true]);
    // The operator's own work, and a shorter document.
    write(|tx| {
        tx.exempt_from_quota();
        record(tx, "u1", ChangeKind::Updated, "{}");
        Ok(())
    })
    .await
    .unwrap();
    write(|tx| replace(tx, "u1", "{}")).await.unwrap();
    for quota in [Some(0), Some(1_000_000)] {
        store
            .admin(move |conn| set_quota(conn, TENANT, quota))
            .await
            .unwrap();
        write(toggled).await.unwrap();
    }
    store
        .admin(|conn| set_quota(conn, TENANT, None))
        .await
        .unwrap();
    let refused = write(toggled).await;
    assert!(is_refused(&refused), "{refused:?}");
    // As soon as there is space again.
    write(|tx| history::prune(tx, 5, 100).map(drop))
        .await
        .unwrap();
    write(toggled).await.unwrap();
    assert_exact(store).await;
}
