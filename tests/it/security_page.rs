//! docs/security.md names tests, and each of them exists.

use std::collections::HashSet;
use std::path::Path;

/// Returns the words of a text that look like the name of a test: lower case with underscores.
fn names(text: &str) -> HashSet<&str> {
    let is_name = |word: &&str| {
        word.matches('_').count() >= 2
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(is_name).collect()
}

fn read_sources(directory: &Path, all: &mut String) {
    for entry in std::fs::read_dir(directory).expect("lists a directory") {
        let path = entry.expect("reads an entry").path();
        if path.is_dir() {
            read_sources(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push_str(&std::fs::read_to_string(&path).expect("reads a file"));
        }
    }
}

#[test]
fn the_page_names_tests_that_exist() {
    let page = std::fs::read_to_string("docs/security.md").expect("reads the page");
    let (_, promises) = page.split_once("## Promises").expect("the promises");
    let (promises, _) = promises.split_once("## What field").expect("their end");
    let mut sources = String::new();
    for directory in ["src", "crates", "tests/it"] {
        read_sources(Path::new(directory), &mut sources);
    }
    let tests: HashSet<&str> = sources
        .split("fn ")
        .chain(sources.split("both!("))
        .chain(sources.split("both_alone!("))
        .filter_map(|rest| {
            let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
            rest.trim_start().split(is_end).next()
        })
        .collect();
    let named = names(promises);
    assert!(named.len() > 30, "{named:?}");
    let mut missing: Vec<&&str> = named
        .iter()
        .filter(|name| !tests.contains(**name))
        .collect();
    missing.sort_unstable();
    assert!(
        missing.is_empty(),
        "docs/security.md names tests that do not exist: {missing:?}"
    );
}
