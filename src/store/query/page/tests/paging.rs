//! Pages, totals and the limit of a scan.

use scim_core::sort::Order;
use scim_core::{Compatibility, ErrorKind, filter};

use super::population::{BASE_URL, Population};
use crate::memory::MemoryBudget;
use crate::store::query::page::{
    COST_LIMIT, PageError, PageQuery, SCAN_LIMIT, Start, TypeQuery, page,
};
use crate::store::testing::{TENANT, block_on, on_each};
use crate::store::{Conn, ResourceId, Store, StoreError, TenantId};

#[test]
fn pages() {
    let population = std::sync::Arc::new(Population::new(25, 3));
    on_each(|fresh| {
        let store = Store::open(&fresh.config).unwrap();
        let everyone = population.clone();
        block_on(store.write(TENANT, move |tx| everyone.store(tx))).unwrap();
        let everyone = population.clone();
        let checked: Result<(), StoreError> = block_on(store.read(move |conn| {
            everything(conn, &everyone);
            only_the_total(conn, &everyone);
            beyond_the_end(conn, &everyone);
            other_tenants(conn, &everyone);
            too_many(conn, &everyone);
            Ok(())
        }));
        checked.unwrap();
        store.close();
    });
}

fn query(population: &Population, text: &str) -> PageQuery {
    let rt = population.rt("User");
    PageQuery {
        kinds: vec![TypeQuery {
            filter: (!text.is_empty())
                .then(|| filter::parse(&rt, text, Compatibility::Tolerant).unwrap()),
            rt,
            sort: None,
        }],
        order: Order::Ascending,
        ahead: None,
        start: Start::Index(0),
        limit: 10,
        scan_limit: SCAN_LIMIT,
        cost_limit: COST_LIMIT,
        page_bytes: 1 << 30,
        memory: MemoryBudget::new(1 << 30),
        base_url: BASE_URL.to_owned(),
    }
}

/// Pages in sequence, by number and by key, return each resource exactly once.
fn everything(conn: &mut Conn, population: &Population) {
    for text in ["", "id pr", "schemas pr"] {
        let mut query = query(population, text);
        let mut all = Vec::new();
        for (start, expected) in [(0, 10), (10, 10), (20, 5)] {
            query.start = Start::Index(start);
            let found = page(conn, TENANT, &query).unwrap();
            assert_eq!(
                (found.rows.len(), found.total),
                (expected, Some(25)),
                "{text}"
            );
            all.extend(found.rows);
        }
        assert!(all.is_sorted_by(|a, b| a.id < b.id));
        let (mut walked, mut ahead) = (Vec::new(), 25);
        query.start = Start::Index(0);
        while walked.len() < 25 {
            let found = page(conn, TENANT, &query).unwrap();
            assert_eq!(found.total, Some(ahead), "{text}");
            ahead -= u64::try_from(found.rows.len()).unwrap();
            walked.extend(found.rows);
            query.start = Start::After(walked.last().unwrap().id.clone());
        }
        assert_eq!(all, walked);
    }
}

fn only_the_total(conn: &mut Conn, population: &Population) {
    for text in ["", "userName pr", "schemas pr"] {
        let mut query = query(population, text);
        query.limit = 0;
        let found = page(conn, TENANT, &query).unwrap();
        assert_eq!((found.rows.len(), found.total), (0, Some(25)), "{text}");
        query.start =
            Start::After(ResourceId::parse("0190a8f2-7c1b-7e53-b9a4-000000000013").unwrap());
        assert_eq!(page(conn, TENANT, &query).unwrap().total, Some(5), "{text}");
    }
}

fn beyond_the_end(conn: &mut Conn, population: &Population) {
    for text in ["", "userName pr", "schemas pr"] {
        let mut query = query(population, text);
        query.start = Start::Index(1_000);
        let found = page(conn, TENANT, &query).unwrap();
        assert_eq!((found.rows.len(), found.total), (0, Some(25)), "{text}");
        query.start = Start::Index(u64::MAX);
        assert_eq!(
            page(conn, TENANT, &query).unwrap().total,
            Some(25),
            "{text}"
        );
        query.start = Start::After(ResourceId::parse("~").unwrap());
        assert_eq!(page(conn, TENANT, &query).unwrap().total, Some(0), "{text}");
    }
}

fn other_tenants(conn: &mut Conn, population: &Population) {
    for text in [
        "",
        "userName pr",
        "schemas pr",
        "not (emails.value eq \"x\")",
    ] {
        let found = page(conn, TenantId(2), &query(population, text)).unwrap();
        assert_eq!((found.rows.len(), found.total), (0, Some(0)), "{text}");
    }
}

fn too_many(conn: &mut Conn, population: &Population) {
    let mut scan = query(population, "schemas pr");
    scan.scan_limit = 24;
    let Err(PageError::Scim(error)) = page(conn, TENANT, &scan) else {
        panic!("25 documents were read")
    };
    assert_eq!(error.kind, ErrorKind::TooMany);
    assert!(error.detail.contains("userName, displayName"), "{error}");
    scan.scan_limit = 25;
    assert!(page(conn, TENANT, &scan).is_ok());
    // A query that SQL answers or narrows down is not limited.
    for text in ["userName pr", "title pr and id eq \"x\""] {
        let mut query = query(population, text);
        query.scan_limit = 0;
        assert!(page(conn, TENANT, &query).is_ok(), "{text}");
    }
}
