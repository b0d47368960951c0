//! Checks that every statement of the store uses an index: each is recorded as it runs and
//! explained by SQLite, and PostgreSQL counts the rows that it reads.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use diesel::connection::{Connection, Instrumentation, InstrumentationEvent};
use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use scim_core::Member;

use crate::ids::Actor;
use crate::store::query::directory;
use crate::store::query::directory::LookupColumn;
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::resources::{Password, Update};
use crate::store::tables::{
    attributes, changes, counts, group_names, history, members, resources, tenants, tokens, walks,
};
use crate::store::testing::{TENANT, group, id, ids, user, with_store};
use crate::store::{Backend, Conn, StoreError, Tx};

/// Tables that are small, or of which all rows are needed.
const MAY_BE_SCANNED: [&str; 6] = [
    "SCAN tenants",
    "SCAN json_each",
    "SCAN up",
    "SCAN down",
    "SCAN w",
    "SCAN shared",
];

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<BTreeSet<String>>>);

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let text = text.split(" -- binds").next().unwrap();
            self.0.lock().unwrap().insert(text.to_owned());
        }
    }
}

#[derive(QueryableByName)]
struct PlanStep {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn read_all(conn: &mut Conn) -> Result<(), StoreError> {
    resources::get(conn, TENANT, "User", &id("a"))?;
    resources::get_many(conn, TENANT, &ids(&["a", "b"]))?;
    resources::by_user_name(conn, TENANT, "User", "a")?;
    resources::password_hash(conn, TENANT, &id("a"))?;
    group_names::by_name(conn, TENANT, &id("g"), "a")?;
    group_names::twin(conn, TENANT, &id("g"), "a", "x")?;
    group_names::shared(conn, TENANT)?;
    members::of_groups(conn, TENANT, &ids(&["g"]))?;
    members::has_more_than(conn, TENANT, &id("g"), 3)?;
    members::groups_of(conn, TENANT, &ids(&["a"]))?;
    changes::after(conn, TENANT, 0, 10)?;
    changes::of_resource(conn, TENANT, &id("a"), None, 10)?;
    read_directory(conn)?;
    changes::reach(conn, TENANT)?;
    resources::all_after(conn, TENANT, "a", 10)?;
    members::all_after(conn, TENANT, "g", "a", 10)?;
    counts::of(conn, TENANT, "User")?;
    tenants::get(conn, TENANT)?;
    tenants::by_name(conn, "default")?;
    tokens::by_hash(conn, "x")?;
    walks::recall(conn, TENANT, "x")?;
    Ok(())
}

fn read_directory(conn: &mut Conn) -> Result<(), StoreError> {
    for column in [
        LookupColumn::UserName,
        LookupColumn::ExternalId,
        LookupColumn::DisplayName,
    ] {
        directory::by_column(conn, TENANT, "User", column.with("a"), 10)?;
        directory::users_by_column_prefix(conn, TENANT, column, "a", 10)?;
    }
    directory::users_by_attribute(conn, TENANT, "emails.value", "a", 10)?;
    directory::users_by_attribute_prefix(conn, TENANT, "emails.value", "a", 10)?;
    directory::groups_within(conn, TENANT, &id("g"))?;
    directory::active_users_in(conn, TENANT, &id("g"), Some(&id("a")), 10)?;
    Ok(())
}

#[test]
fn no_statement_reads_a_whole_table() {
    with_store(|store| async move {
        if store.backend() != Backend::Sqlite {
            return;
        }
        let recorder = Recorder::default();
        let listen = recorder.clone();
        store
            .admin(move |conn| -> Result<(), StoreError> {
                conn.set_instrumentation(listen.clone());
                read_all(conn)?;
                tokens::revoke(conn, TENANT, "x", 1)?;
                tokens::touch_last_used(conn, TENANT, "x", 1)?;
                walks::forget_before(conn, 1)?;
                Ok(())
            })
            .await
            .unwrap();
        store.put(vec![user("a"), user("b"), group("g")]).await;
        store
            .tx(|tx| {
                let wanted = [Member {
                    value: "a".into(),
                    display: None,
                }];
                members::add(tx, &id("g"), &wanted)?;
                members::remove(tx, &id("g"), &["a".into()])?;
                members::replace(tx, &id("g"), &wanted)?;
                members::remove_all(tx, &id("g"))?;
                attributes::replace(tx, &id("a"), &[])?;
                let new = user("a");
                let update = Update {
                    id: new.id,
                    at: 2,
                    hot: new.hot,
                    label: new.label,
                    password: Password::Set("x".into()),
                    before_bytes: new.doc.len(),
                    doc: new.doc,
                    rows: None,
                };
                resources::update(tx, &update)?;
                resources::touch(tx, &id("a"), 3)?;
                resources::touch_many(tx, &ids(&["a", "b"]), 3)?;
                resources::delete(tx, "User", &id("a"))?;
                history::prune(tx, 1, 10)?;
                tx.append(Change {
                    resource_id: id("a"),
                    resource_type: "User".into(),
                    kind: ChangeKind::Deleted,
                    at: 3,
                    actor: Actor::parse("test"),
                    payload: "{}".into(),
                });
                Ok(())
            })
            .await
            .unwrap();
        let texts = std::mem::take(&mut *recorder.0.lock().unwrap());
        store.read(move |conn| explain(conn, &texts)).await.unwrap();
    });
}

fn explain(conn: &mut Conn, texts: &BTreeSet<String>) -> Result<(), StoreError> {
    let mut explained = 0;
    for text in texts {
        let is_query = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"]
            .iter()
            .any(|word| text.trim_start().starts_with(word));
        if !is_query {
            continue;
        }
        let steps: Vec<PlanStep> = sql_query(format!("EXPLAIN QUERY PLAN {text}")).load(conn)?;
        for step in steps {
            let scan = step.detail.starts_with("SCAN")
                && !step.detail.contains("VIRTUAL TABLE")
                && step.detail != "SCAN CONSTANT ROW"
                && !MAY_BE_SCANNED
                    .iter()
                    .any(|allowed| step.detail.starts_with(allowed));
            assert!(!scan, "{}\n{text}", step.detail);
        }
        explained += 1;
    }
    assert!(explained > 30, "{explained}");
    Ok(())
}

/// The statements of a request with one member of a group.
fn with_one_member(tx: &mut Tx<'_>, group: &str, member: &str) -> Result<(), StoreError> {
    let wanted = [Member {
        value: member.into(),
        display: None,
    }];
    members::add(tx, &id(group), &wanted)?;
    members::groups_of(tx.conn(), TENANT, &ids(&[member]))?;
    members::remove(tx, &id(group), &[member.into()])?;
    resources::touch_many(tx, &ids(&[member]), 3)?;
    resources::get_many(tx.conn(), TENANT, &ids(&[member]))?;
    Ok(())
}

#[derive(QueryableByName)]
struct RowsRead {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// The rows that this connection has read.
fn rows_read(conn: &mut Conn) -> Result<i64, StoreError> {
    let counted: RowsRead = sql_query(
        "SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::BIGINT AS n \
         FROM pg_stat_xact_user_tables",
    )
    .get_result(conn)?;
    Ok(counted.n)
}

/// PostgreSQL keeps the plans that it made for empty tables and has no statistics until it analyses
/// them, a minute later: until then, an import must not read all users for each new one.
#[test]
fn one_member_costs_a_few_rows_before_statistics() {
    with_store(|store| async move {
        if store.backend() != Backend::Postgres {
            return;
        }
        for _ in 0..10 {
            store
                .tx(|tx| with_one_member(tx, "few", "u0"))
                .await
                .unwrap();
        }
        let names: Vec<String> = (0..3000).map(|number| format!("u{number}")).collect();
        let mut all: Vec<_> = names.iter().map(|name| user(name)).collect();
        all.extend([group("few"), group("many")]);
        store.put(all).await;
        let list: Vec<Member> = names
            .iter()
            .skip(100)
            .map(|name| Member {
                value: name.clone(),
                display: None,
            })
            .collect();
        store
            .tx(move |tx| members::add(tx, &id("many"), &list))
            .await
            .unwrap();
        for (group, member) in [("few", "u0"), ("few", "u200"), ("many", "u0")] {
            let read = store
                .tx(move |tx| {
                    let before = rows_read(tx.conn())?;
                    with_one_member(tx, group, member)?;
                    members::of_group(tx.conn(), TENANT, &id("few"))?;
                    Ok(rows_read(tx.conn())? - before)
                })
                .await
                .unwrap();
            assert!(read < 50, "{read} rows for {member} in {group}");
        }
    });
}

/// Plans made for empty tables and plans made after statistics both find a group's twin by its
/// `externalId`, and a name by its index, however many other groups share the name.
#[test]
fn the_twin_of_a_group_costs_a_few_rows() {
    with_store(|store| async move {
        if store.backend() != Backend::Postgres {
            return;
        }
        for _ in 0..10 {
            store.tx(|tx| look_for_twins(tx.conn())).await.unwrap();
        }
        let mut all = Vec::new();
        for number in 0..3000 {
            let mut new = group(&format!("g{number}"));
            new.hot.external_id = Some(format!("x{number}"));
            if number % 2 == 0 {
                new.hot.display_name = Some("sales".to_owned());
            }
            all.push(new);
        }
        store.put(all).await;
        for analysed in [false, true] {
            let read = store
                .tx(move |tx| {
                    if analysed {
                        tx.conn().batch("ANALYZE")?;
                    }
                    let before = rows_read(tx.conn())?;
                    look_for_twins(tx.conn())?;
                    Ok(rows_read(tx.conn())? - before)
                })
                .await
                .unwrap();
            assert!(read < 50, "{read} rows, analysed: {analysed}");
        }
    });
}

fn look_for_twins(conn: &mut Conn) -> Result<(), StoreError> {
    for (name, external_id) in [("sales", "x20"), ("g21", "x21"), ("sales", "none")] {
        group_names::twin(conn, TENANT, &id("new"), name, external_id)?;
        group_names::by_name(conn, TENANT, &id("new"), name)?;
    }
    group_names::by_name(conn, TENANT, &id("new"), "none")?;
    Ok(())
}

/// PostgreSQL reads no more than the result and the rows beside it, with many users and a group of
/// thousands.
#[test]
fn the_directory_reads_what_it_answers() {
    with_store(|store| async move {
        if store.backend() != Backend::Postgres {
            return;
        }
        let names: Vec<String> = (0..3000).map(|number| format!("u{number:04}")).collect();
        let mut all: Vec<_> = names.iter().map(|name| user(name)).collect();
        for one in &mut all {
            one.hot.external_id = Some(one.label.clone().unwrap_or_default());
            one.hot.display_name = one.hot.user_name.clone();
        }
        all.extend([group("within"), group("many")]);
        store.put(all).await;
        let member = |name: &str| Member {
            value: name.to_owned(),
            display: None,
        };
        let list: Vec<Member> = names.iter().map(|name| member(name)).collect();
        let within = member("within");
        store
            .tx(move |tx| {
                members::add(tx, &id("many"), &list)?;
                members::add(tx, &id("many"), std::slice::from_ref(&within))
            })
            .await
            .unwrap();
        for analysed in [false, true] {
            let read = store
                .admin(move |conn| -> Result<i64, StoreError> {
                    if analysed {
                        conn.batch("ANALYZE")?;
                    }
                    let before = rows_read(conn)?;
                    read_directory(conn)?;
                    directory::users_by_column_prefix(
                        conn,
                        TENANT,
                        LookupColumn::UserName,
                        "u",
                        10,
                    )?;
                    directory::groups_within(conn, TENANT, &id("many"))?;
                    let after = Some(&id("u1500"));
                    let page = directory::active_users_in(conn, TENANT, &id("many"), after, 10)?;
                    assert_eq!(page.first(), Some(&id("u1501")));
                    Ok(rows_read(conn)? - before)
                })
                .await
                .unwrap();
            assert!(read < 300, "{read} rows, analysed: {analysed}");
        }
    });
}
