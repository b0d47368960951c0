//! Lookups read indexes, never a whole table.

use std::sync::Arc;

use diesel::sql_types::{Integer, Text};
use scim_core::indexing::{hot_columns, index_rows};
use scim_core::name::ENTERPRISE_USER;
use scim_core::registry::{Blueprint, ClientAccess, Extension};
use scim_core::schema::Schema;
use scim_core::sort::{Order, SortKey};
use scim_core::{Compatibility, Document, Member, Registry, ResourceType, filter, sort};
use serde_json::{Value, json};

use crate::memory::MemoryBudget;
use crate::store::engine::fragment::Fragment;
use crate::store::engine::statement::Fetch;
use crate::store::query::page::order::Segment;
use crate::store::query::page::search::{Search, Window};
use crate::store::query::page::{
    COST_LIMIT, Edge, PageKey, PageQuery, SCAN_LIMIT, Start, TypeQuery,
};
use crate::store::tables::resources::NewResource;
use crate::store::tables::{members, resources};
use crate::store::testing::{TENANT, block_on, on_each};
use crate::store::{Backend, Conn, ResourceId, Store, StoreError, Tx};

const USERS: usize = 3_000;
const GROUPS: usize = 1_000;

/// Each is answered by indexes alone, on both databases.
const LOOKUPS: &[(&str, &str)] = &[
    ("User", r#"id eq "u00042""#),
    ("User", r#"userName eq "user42@example.com""#),
    ("User", r#"userName sw "user42""#),
    ("User", r#"userName ge "user42" and userName lt "user43""#),
    ("User", r#"externalId eq "00u42""#),
    ("User", r#"displayName eq "User 42""#),
    ("User", r#"displayName sw "User 42""#),
    (
        "User",
        r#"active eq true and userName eq "user42@example.com""#,
    ),
    ("User", r#"title pr and userName eq "user42@example.com""#),
    ("User", r#"emails.value eq "user42@example.com""#),
    ("User", r#"emails.value sw "user42""#),
    ("User", r#"emails.type eq "other""#),
    ("User", r#"phoneNumbers.value eq "+1-42""#),
    ("User", r#"name.familyName eq "Family 42""#),
    ("User", r#"name.givenName eq "Given 42""#),
    (
        "User",
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq "E42""#,
    ),
    (
        "User",
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "D42""#,
    ),
    (
        "User",
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "u00042""#,
    ),
    (
        "User",
        r#"emails[type eq "work" and value eq "user42@example.com"]"#,
    ),
    (
        "User",
        r#"emails[value eq "user42@example.com" and not (type eq "home")]"#,
    ),
    (
        "User",
        r#"emails[type eq "work" and (value eq "a@x" or value eq "b@x")]"#,
    ),
    (
        "User",
        r#"userName eq "user42@example.com" or emails.value eq "user43@example.com""#,
    ),
    (
        "User",
        r#"userName eq "user42@example.com" or displayName eq "User 43" or externalId eq "00u44""#,
    ),
    (
        "User",
        r#"userName eq "user42@example.com" or active eq true and externalId eq "00u44""#,
    ),
    ("User", r#"groups.value eq "g00042""#),
    ("Group", r#"id eq "g00042""#),
    ("Group", r#"displayName eq "Group 42""#),
    ("Group", r#"externalId eq "00g42""#),
    ("Group", r#"members.value eq "u00042""#),
    ("Group", r#"members[value eq "u00042" and type eq "User"]"#),
    (
        "Group",
        r#"members.value eq "u00042" or displayName eq "Group 43""#,
    ),
    // A declared type.
    ("Robot", r#"maker eq "Maker 42""#),
    ("Robot", r#"serial eq "S42""#),
    ("Robot", "size eq 42"),
    ("Robot", "size gt 42 and size lt 44"),
    ("Robot", r#"built eq "1970-01-01T00:00:42Z""#),
    ("Robot", r#"urn:x:Arm:grip eq "G42""#),
    ("Robot", r#"parts[value eq "P42" and count eq 42]"#),
];

/// The standard's types and one that an operator declares.
fn registry() -> Registry {
    let parse = |text| Arc::new(Schema::parse(text).unwrap());
    let mut blueprints = Blueprint::standard().unwrap();
    blueprints.push(Blueprint {
        name: "Robot".to_owned(),
        endpoint: "/Robots".to_owned(),
        description: String::new(),
        schema: parse(
            r#"{"id":"urn:x:Robot","name":"Robot","attributes":[{"name":"maker"},
            {"name":"serial","uniqueness":"server"},{"name":"size","type":"integer"},
            {"name":"built","type":"dateTime"},{"name":"parts","type":"complex","multiValued":true,
            "subAttributes":[{"name":"value"},{"name":"count","type":"integer"}]}]}"#,
        ),
        extensions: vec![Extension {
            schema: parse(r#"{"id":"urn:x:Arm","name":"Arm","attributes":[{"name":"grip"}]}"#),
            required: false,
        }],
        indexed: [
            "maker",
            "size",
            "built",
            "parts.value",
            "parts.count",
            "urn:x:Arm:grip",
        ]
        .map(str::to_owned)
        .to_vec(),
        access: ClientAccess::ReadWrite,
    });
    Registry::of(&blueprints).unwrap()
}

#[test]
fn lookups_use_indexes() {
    on_each(|fresh| {
        let store = Store::open(&fresh.config).unwrap();
        block_on(store.write(TENANT, fill)).unwrap();
        let analysed =
            block_on(store.admin(|conn| {
                conn.batch("ANALYZE resources; ANALYZE attributes; ANALYZE members")
            }));
        analysed.unwrap();
        let checked: Result<(), StoreError> = block_on(store.read(|conn| {
            let registry = registry();
            for (kind, text) in LOOKUPS {
                check(conn, registry.by_name(kind).unwrap(), Some(text));
            }
            let user = registry.by_name("User").unwrap();
            check(conn, user, None);
            for (sort_by, value) in orders() {
                check_order(conn, user, sort_by, value);
            }
            Ok(())
        }));
        checked.unwrap();
        store.close();
    });
}

fn query(rt: &Arc<ResourceType>, text: Option<&str>, sort_by: Option<&str>) -> PageQuery {
    PageQuery {
        kinds: vec![TypeQuery {
            rt: rt.clone(),
            filter: text.map(|text| filter::parse(rt, text, Compatibility::Tolerant).unwrap()),
            sort: sort_by.map(|path| {
                sort::resolve(rt, path, Compatibility::Tolerant)
                    .unwrap()
                    .unwrap()
            }),
        }],
        order: Order::Ascending,
        ahead: None,
        start: Start::Index(0),
        limit: 100,
        scan_limit: SCAN_LIMIT,
        cost_limit: COST_LIMIT,
        page_bytes: 1 << 30,
        memory: MemoryBudget::new(1 << 30),
        base_url: String::new(),
    }
}

fn check(conn: &mut Conn, rt: &Arc<ResourceType>, text: Option<&str>) {
    let query = query(rt, text, None);
    let search = Search::new(conn, TENANT, &query, &query.kinds[0]);
    let after = edge(SortKey::Missing);
    let select = |edge| {
        let wanted = Window {
            edge,
            upwards: true,
            skip: 0,
            most: 101,
        };
        search.select_sql(Segment::Missing, &wanted).unwrap()
    };
    let mut statements = vec![select(None), select(Some(&after))];
    if text.is_some() {
        statements.push(search.count_sql(None));
    }
    for sql in statements {
        let plan = uses_indexes(conn, sql, &format!("{text:?}"));
        if text.is_some_and(|text| text.starts_with("size")) {
            assert!(plan.contains("attributes_num_idx"), "{text:?}:\n{plan}");
        }
    }
}

/// The sort keys with an index: the path and a value from the middle.
fn orders() -> [(&'static str, SortKey); 8] {
    let text = |text: &str| SortKey::Text(text.to_owned());
    [
        ("id", SortKey::Missing),
        ("userName", text("user42@example.com")),
        ("displayName", text("user 42")),
        ("externalId", text("00u42")),
        ("meta.created", SortKey::Instant(1)),
        ("meta.lastModified", SortKey::Instant(1)),
        ("name.familyName", text("family 2")),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            text("d2"),
        ),
    ]
}

fn edge(value: SortKey) -> Edge {
    Edge {
        key: PageKey {
            value,
            id: ResourceId::parse("u00100").unwrap(),
        },
        including: false,
    }
}

/// Every page of an order is read from an index in this order: nothing is sorted, and nothing
/// skipped.
fn check_order(conn: &mut Conn, rt: &Arc<ResourceType>, sort_by: &str, value: SortKey) {
    let query = query(rt, None, Some(sort_by));
    let search = Search::new(conn, TENANT, &query, &query.kinds[0]);
    let places = [None, Some(edge(value)), Some(edge(SortKey::Missing))];
    for (place, upwards) in places
        .iter()
        .flat_map(|place| [(place, true), (place, false)])
    {
        for segment in [Segment::Present, Segment::Missing] {
            let wanted = Window {
                edge: place.as_ref(),
                upwards,
                skip: 0,
                most: 101,
            };
            // Every user has a user name.
            let is_empty = sort_by == "userName" && segment == Segment::Missing;
            if is_empty || !search.has(segment) {
                continue;
            }
            let Some(sql) = search.select_sql(segment, &wanted) else {
                continue;
            };
            let what = format!("{sort_by} {segment:?} {place:?} upwards {upwards}");
            let plan = uses_indexes(conn, sql, &what);
            // For a missing value, PostgreSQL may decide to sort the rows.
            let may_sort = segment == Segment::Missing
                && sort_by.contains('.')
                && conn.backend() == Backend::Postgres;
            let sorts = plan.contains("TEMP B-TREE") || plan.contains("Sort");
            assert!(may_sort || !sorts, "{what} is sorted:\n{plan}");
        }
    }
}

fn uses_indexes(conn: &mut Conn, sql: Fragment, what: &str) -> String {
    let plan = explain(conn, sql);
    // SQLite reports SCAN for a table, and also for a subquery, which is fine.
    let tables = ["resources", "attributes", "members", "driver"];
    let is_scan = |line: &&str| {
        tables.iter().any(|table| {
            line.starts_with(&format!("SCAN {table}"))
                || line.contains(&format!("Seq Scan on {table}"))
        })
    };
    let scan = plan.lines().find(is_scan);
    assert!(scan.is_none(), "{what} reads a whole table:\n{plan}");
    assert!(
        plan.contains("INDEX") || plan.contains("Index"),
        "{what}:\n{plan}"
    );
    plan
}

fn explain(conn: &mut Conn, sql: Fragment) -> String {
    match conn.backend() {
        Backend::Sqlite => {
            let sql = Fragment::text("EXPLAIN QUERY PLAN ").append(sql);
            let rows: Vec<(i32, i32, i32, String)> = sql
                .query::<(Integer, Integer, Integer, Text)>()
                .fetch_all(conn)
                .unwrap();
            let lines: Vec<String> = rows.into_iter().map(|row| row.3).collect();
            lines.join("\n")
        }
        Backend::Postgres => {
            let sql = Fragment::text("EXPLAIN ").append(sql);
            let lines: Vec<String> = sql.query::<Text>().fetch_all(conn).unwrap();
            lines.join("\n")
        }
    }
}

fn fill(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let registry = registry();
    let user = registry.by_name("User").unwrap();
    let group = registry.by_name("Group").unwrap();
    for number in 0..USERS {
        // The long title makes reading all users as expensive as in a larger directory. One in a
        // hundred has the rare type, so that an index is worthwhile for it.
        let kind = if number % 100 == 0 { "other" } else { "work" };
        let mail = format!("user{number}@example.com");
        let content = json!({
            "userName": mail, "displayName": format!("User {number}"), "externalId": format!("00u{number}"),
            "active": true, "title": "x".repeat(1_000),
            "name": {"familyName": format!("Family {number}"), "givenName": format!("Given {number}")},
            "emails": [{"value": mail, "type": kind}, {"value": format!("home-{mail}"), "type": "home"}],
            "phoneNumbers": [{"value": format!("+1-{number}")}],
            ENTERPRISE_USER: {
                "employeeNumber": format!("E{number}"), "department": format!("D{number}"),
                "manager": {"value": format!("u{number:05}")},
            },
        });
        insert(tx, user, format!("u{number:05}"), content)?;
    }
    let robot = registry.by_name("Robot").unwrap();
    for number in 0..USERS {
        let content = json!({
            "maker": format!("Maker {number}"), "serial": format!("S{number}"), "size": number,
            "built": jiff::Timestamp::from_second(i64::try_from(number).unwrap()).unwrap().to_string(),
            "parts": [{"value": format!("P{number}"), "count": number}],
            "urn:x:Arm": {"grip": format!("G{number}")},
        });
        insert(tx, robot, format!("r{number:05}"), content)?;
    }
    for number in 0..GROUPS {
        let content = json!({
            "displayName": format!("Group {number}"), "externalId": format!("00g{number}"),
        });
        let id = insert(tx, group, format!("g{number:05}"), content)?;
        let users = (0..20).map(|index| format!("u{:05}", (number * 20 + index) % USERS));
        let list: Vec<Member> = users
            .map(|value| Member {
                value,
                display: None,
            })
            .collect();
        members::add(tx, &id, &list)?;
    }
    Ok(())
}

fn insert(
    tx: &mut Tx<'_>,
    rt: &ResourceType,
    id: String,
    content: Value,
) -> Result<ResourceId, StoreError> {
    let Value::Object(content) = content else {
        panic!("not an object")
    };
    let id = ResourceId::parse(id).unwrap();
    let document = Document(content);
    resources::insert(
        tx,
        &NewResource {
            id: id.clone(),
            resource_type: rt.name.clone(),
            at: 1,
            hot: hot_columns(rt, &document),
            label: None,
            password_hash: None,
            doc: serde_json::to_string(&document.0).unwrap(),
            rows: index_rows(rt, &document),
        },
    )?;
    Ok(id)
}
