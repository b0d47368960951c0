//! Checks every row of `docs/compatibility.md` with requests to a tolerant and a strict tenant.
//!
//! The requests are in `compatibility_table/cases.txt`, under the text of each row's first cell, so
//! that the tests notice rows without requests and requests without a row.

mod case;
mod parse;

use std::collections::BTreeSet;
use std::path::Path;

use self::case::Row;
use crate::harness::{TestApp, both_typed};

fn rows() -> Vec<Row> {
    parse::rows(include_str!("compatibility_table/cases.txt"))
}

/// Runs the cases of one table.
async fn check_table(app: TestApp, table: &str) {
    let rows: Vec<Row> = rows()
        .into_iter()
        .filter(|row| row.table == table)
        .collect();
    assert!(!rows.is_empty(), "no table is called {table}");
    case::check(&app, &rows).await;
}

both_typed!(values_in_bodies, |app| async move {
    check_table(app, "Bodies of POST, PUT and Bulk, and values of PATCH").await;
});

both_typed!(patch_operations, |app| async move {
    check_table(app, "PATCH").await;
});

both_typed!(queries_and_headers, |app| async move {
    check_table(app, "Queries and headers").await;
});

both_typed!(rows_that_are_the_same_for_both, |app| async move {
    check_table(app, "The same for both").await;
});

both_typed!(active_without_a_value, |app| async move {
    check_table(app, "`active` without a value").await;
});

#[test]
fn every_row_of_the_page_has_cases() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let page = std::fs::read_to_string(page).expect("reads the page");
    let on_page = first_cells(&page);
    assert!(on_page.len() > 50, "the tables were not found: {on_page:?}");
    let rows = rows();
    for row in &rows {
        assert!(
            row.cases.len() >= 2,
            "fewer than two cases: {}",
            row.first_cell
        );
    }
    let checked: BTreeSet<(&str, &str)> = rows
        .iter()
        .map(|row| (row.table.as_str(), row.first_cell.as_str()))
        .collect();
    assert_eq!(checked.len(), rows.len(), "two entries for one row");
    let without_cases: Vec<_> = on_page.difference(&checked).collect();
    let without_row: Vec<_> = checked.difference(&on_page).collect();
    assert!(
        without_cases.is_empty() && without_row.is_empty(),
        "rows of the page without cases: {without_cases:#?}\n\
         cases without a row on the page: {without_row:#?}"
    );
}

/// Returns the first cell of each row, with the heading above its table.
fn first_cells(page: &str) -> BTreeSet<(&str, &str)> {
    let lines: Vec<&str> = page.lines().collect();
    let is_rule = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("|---"));
    let mut heading = "";
    let mut cells = BTreeSet::new();
    for (number, line) in lines.iter().enumerate() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text;
        }
        let Some(row) = line.strip_prefix("| ") else {
            continue;
        };
        if is_rule(lines.get(number + 1)) {
            continue;
        }
        let (cell, _) = row.split_once(" | ").expect("a second cell");
        assert!(cells.insert((heading, cell)), "two rows say {cell}");
    }
    cells
}
