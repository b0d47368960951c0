//! `eval` and SQL agree, on both databases.

use std::cell::Cell;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use scim_core::sort::Order;
use scim_core::{Compatibility, filter};

use super::filters::filters;
use super::population::{BASE_URL, Population};
use crate::memory::MemoryBudget;
use crate::store::query::page::{COST_LIMIT, PageQuery, SCAN_LIMIT, Start, TypeQuery, page};
use crate::store::query::predicate::plan;
use crate::store::testing::{TENANT, block_on, on_each};
use crate::store::{Conn, ResourceId, Store};

/// The same cases in every run, so that a failure is reproducible; `PROPTEST_CASES` adds more.
const CASES: u32 = 800;

#[test]
fn eval_and_sql_agree() {
    let population = Arc::new(Population::new(90, 25));
    on_each(|fresh| {
        let store = Store::open(&fresh.config).unwrap();
        let everyone = population.clone();
        block_on(store.write(TENANT, move |tx| everyone.store(tx))).unwrap();
        let everyone = population.clone();
        let checked: Result<(), crate::store::StoreError> = block_on(store.read(move |conn| {
            check(conn, &everyone, "User");
            check(conn, &everyone, "Group");
            Ok(())
        }));
        checked.unwrap();
        store.close();
    });
}

fn check(conn: &mut Conn, population: &Population, kind: &str) {
    let rt = population.rt(kind);
    let ids: Vec<String> = population.all.keys().cloned().collect();
    let config = ProptestConfig {
        cases: CASES.max(ProptestConfig::default().cases),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let [exact, narrowed, scanned, some] = [0, 0, 0, 0].map(Cell::new);
    let conn = std::cell::RefCell::new(conn);
    let place = (any::<prop::sample::Index>(), 0..40_u32);
    let result = runner.run(&(filters(&rt, ids), place), |(text, (place, limit))| {
        let filter = filter::parse(&rt, &text, Compatibility::Tolerant)
            .map_err(|error| TestCaseError::fail(error.detail))?;
        let expected = population.matching(kind, &filter);
        let conn = &mut **conn.borrow_mut();
        let made = plan(conn.backend(), TENANT, &rt, &filter);
        let counter = match (&made.predicate, made.exact) {
            (_, true) => &exact,
            (Some(_), false) => &narrowed,
            (None, false) => &scanned,
        };
        counter.set(counter.get() + 1);
        some.set(some.get() + u32::from(!expected.is_empty()));

        let mut query = PageQuery {
            kinds: vec![TypeQuery {
                rt: rt.clone(),
                filter: Some(filter),
                sort: None,
            }],
            order: Order::Ascending,
            ahead: None,
            start: Start::Index(0),
            limit: 1_000,
            scan_limit: SCAN_LIMIT,
            cost_limit: COST_LIMIT,
            page_bytes: 1 << 30,
            memory: MemoryBudget::new(1 << 30),
            base_url: BASE_URL.to_owned(),
        };
        let all =
            page(conn, TENANT, &query).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let found: Vec<&str> = all.rows.iter().map(|row| row.id.as_str()).collect();
        prop_assert_eq!(&found, &expected, "{:?}", made);
        let total = u64::try_from(expected.len()).unwrap();
        prop_assert_eq!(all.total, Some(total));

        // A page from the middle, by number and by key.
        let skip = place.index(expected.len() + 1);
        query.limit = limit;
        query.start = Start::Index(u64::try_from(skip).unwrap());
        let by_number = page(conn, TENANT, &query).unwrap();
        let rest = &expected[skip..];
        let wanted = &rest[..rest.len().min(usize::try_from(limit).unwrap())];
        let found: Vec<&str> = by_number.rows.iter().map(|row| row.id.as_str()).collect();
        prop_assert_eq!(&found, wanted);
        prop_assert_eq!(by_number.total, Some(total));
        if let Some(before) = skip.checked_sub(1).and_then(|index| expected.get(index)) {
            query.start = Start::After(ResourceId::parse(before.as_str()).unwrap());
            let by_key = page(conn, TENANT, &query).unwrap();
            prop_assert_eq!(&by_key.rows, &by_number.rows);
            prop_assert_eq!(by_key.total, u64::try_from(rest.len()).ok());
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{kind}: {error}");
    }
    // The test is only useful if the filters are of several kinds.
    let all = exact.get() + narrowed.get() + scanned.get();
    for (name, count) in [
        ("exact", &exact),
        ("narrowed", &narrowed),
        ("scanned", &scanned),
        ("some", &some),
    ] {
        assert!(
            count.get() > all / 40,
            "{kind}: {} of {all} {name}",
            count.get()
        );
    }
}
