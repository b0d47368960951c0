//! The core and SQL sort alike, on both databases, and a walk in any order returns each resource
//! once.

use std::sync::Arc;

use scim_core::filter::parse_for_any;
use scim_core::sort::Order;
use scim_core::{Compatibility, ErrorKind, sort};

use super::population::{BASE_URL, Population};
use crate::memory::MemoryBudget;
use crate::store::query::page::{
    COST_LIMIT, PageError, PageQuery, SCAN_LIMIT, Start, TypeQuery, page,
};
use crate::store::testing::{TENANT, block_on, on_each};
use crate::store::{Conn, Store, StoreError};

/// Columns, rows of the index, attributes of documents, and attributes that one of the types lacks.
const PATHS: &[&str] = &[
    "id",
    "userName",
    "displayName",
    "externalId",
    "active",
    "meta.created",
    "meta.lastModified",
    "meta.resourceType",
    "meta.location",
    "name.familyName",
    "name.formatted",
    "title",
    "emails",
    "emails.type",
    "phoneNumbers.primary",
    "groups.display",
    "members.value",
    "members.type",
    "schemas",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    "urn:example:More:level",
    "urn:example:More:score",
    "urn:example:More:since",
    "urn:example:More:flag",
    "urn:example:More:codes",
    "urn:example:More:key",
    "urn:example:More:places.rank",
    "nothing.like.this",
];

/// No filter, and filters by a column, by rows of the index and by documents.
const FILTERS: &[&str] = &[
    "",
    "active eq true",
    r#"emails.type eq "work""#,
    "title pr or displayName pr",
];

// R7644-3.4.2.3-03, R7644-3.4.2.3-04, R7644-3.4.2.3-05, R7644-3.4.2.3-06, R9865-2.2-01
#[test]
fn every_order_is_the_same_in_core_and_sql_and_can_be_walked() {
    let population = Arc::new(Population::new(24, 9));
    on_each(|fresh| {
        let store = Store::open(&fresh.config).unwrap();
        let everyone = population.clone();
        block_on(store.write(TENANT, move |tx| everyone.store(tx))).unwrap();
        let everyone = population.clone();
        let checked: Result<(), StoreError> = block_on(store.read(move |conn| {
            for path in PATHS {
                for filter in FILTERS {
                    for order in [Order::Ascending, Order::Descending] {
                        for names in [&["User"][..], &["Group"], &["User", "Group"]] {
                            check(conn, &everyone, names, path, filter, order);
                        }
                    }
                }
            }
            Ok(())
        }));
        checked.unwrap();
        store.close();
    });
}

fn query(
    population: &Population,
    names: &[&str],
    path: &str,
    filter: &str,
    order: Order,
) -> PageQuery {
    let kind = |name: &&str| {
        let rt = population.rt(name);
        let registry = &population.registry;
        let parse = |filter| parse_for_any(registry, &rt, filter, Compatibility::Tolerant).unwrap();
        TypeQuery {
            filter: (!filter.is_empty()).then(|| parse(filter)),
            sort: sort::resolve(&rt, path, Compatibility::Tolerant).unwrap(),
            rt,
        }
    };
    PageQuery {
        kinds: names.iter().map(kind).collect(),
        order,
        ahead: None,
        start: Start::Index(0),
        limit: 1_000,
        scan_limit: SCAN_LIMIT,
        cost_limit: COST_LIMIT,
        page_bytes: 1 << 30,
        memory: MemoryBudget::new(1 << 30),
        base_url: BASE_URL.to_owned(),
    }
}

fn check(
    conn: &mut Conn,
    population: &Population,
    names: &[&str],
    path: &str,
    filter: &str,
    order: Order,
) {
    let what = format!("{names:?} by {path}, {order:?}, where {filter:?}");
    let mut query = query(population, names, path, filter, order);
    let expected = population.sorted(&query.kinds, order);
    let total = u64::try_from(expected.len()).unwrap();
    let mut read = |start: Start, limit: u32| {
        query.start = start;
        query.limit = limit;
        let page = page(conn, TENANT, &query).unwrap();
        let ids = page.rows.iter().map(|row| row.id.as_str().to_owned());
        (ids.collect::<Vec<_>>(), page)
    };
    for skip in [0, 7, 22, 40] {
        let (ids, page) = read(Start::Index(u64::try_from(skip).unwrap()), 7);
        let wanted: Vec<_> = expected.iter().skip(skip).take(7).cloned().collect();
        assert_eq!((ids, page.total), (wanted, Some(total)), "{what}, {skip}");
    }
    // Onwards to the end, then back to the start, which needs no total.
    let (mut onwards, mut place, mut pages) = (Vec::new(), None, 0);
    let last = loop {
        let (ids, page) = read(Start::Position(place), 7);
        assert_eq!(page.previous.is_some(), pages > 0, "{what}, {pages}");
        assert!(page.total.is_none_or(|found| found == total), "{what}");
        assert!(pages > 0 || page.total.is_some(), "{what}");
        onwards.extend(ids);
        pages += 1;
        place = page.next.clone();
        if place.is_none() {
            break page;
        }
    };
    assert_eq!(onwards, expected, "{what}");
    assert_eq!(pages, expected.len().div_ceil(7).max(1), "{what}");
    let mut backwards: Vec<_> = last.rows.iter().map(|row| row.id.0.clone()).collect();
    let mut place = last.previous;
    while let Some(at) = place {
        let (ids, page) = read(Start::Position(Some(at)), 7);
        assert!(page.next.is_some(), "{what}");
        backwards.splice(0..0, ids);
        place = page.previous;
    }
    assert_eq!(backwards, expected, "{what}, backwards");
}

#[test]
fn an_order_that_no_index_has_is_read_up_to_a_limit() {
    let population = Arc::new(Population::new(10, 5));
    on_each(|fresh| {
        let store = Store::open(&fresh.config).unwrap();
        let everyone = population.clone();
        block_on(store.write(TENANT, move |tx| everyone.store(tx))).unwrap();
        let everyone = population.clone();
        let checked: Result<(), StoreError> = block_on(store.read(move |conn| {
            let mut limited = |names: &[&str], path, filter, start, scan_limit| {
                let mut query = query(&everyone, names, path, filter, Order::Ascending);
                (query.scan_limit, query.start) = (scan_limit, start);
                match page(conn, TENANT, &query) {
                    Ok(_) => None,
                    Err(PageError::Scim(error)) => {
                        assert_eq!(error.kind, ErrorKind::TooMany);
                        Some(error.detail)
                    }
                    Err(error) => panic!("{error}"),
                }
            };
            let start = || Start::Index(0);
            assert_eq!(limited(&["User"], "title", "", start(), 10), None);
            let detail = limited(&["User"], "title", "", start(), 9).unwrap();
            assert!(detail.contains("Sorting by title"), "{detail}");
            let one = r#"userName eq "nobody at all""#;
            for (path, filter) in [("title", one), ("name.familyName", ""), ("active", "")] {
                assert_eq!(limited(&["User"], path, filter, start(), 0), None);
            }
            let both = ["User", "Group"];
            assert_eq!(limited(&both, "id", "", Start::Index(5), 5), None);
            let detail = limited(&both, "id", "", Start::Index(6), 5).unwrap();
            assert!(detail.contains("by cursor"), "{detail}");
            Ok(())
        }));
        checked.unwrap();
        store.close();
    });
}
