//! Holds the import table of ARCHITECTURE.md: which layer may name which, read from the text of `src/`.
//! A module without a row fails, and so does a row without its module: where a layer stands is decided, not drifted into.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

struct Layer {
    name: &'static str,
    /// The modules of this crate that it may name, besides itself.
    may_use: &'static [&'static str],
    /// The crates that it must not know.
    must_not: &'static [&'static str],
}

/// `app`, `cli` and `main` may use everything, and nothing may name them.
const ROOTS: [&str; 3] = ["app", "cli", "main"];

const LAYERS: &[Layer] = &[
    Layer {
        name: "store",
        may_use: &["telemetry"],
        must_not: &["actix_web", "jsonwebtoken"],
    },
    Layer {
        name: "service",
        may_use: &["store", "clock", "auth", "issuers"],
        must_not: &["actix_web", "diesel"],
    },
    Layer {
        name: "deliver",
        may_use: &["service", "store", "clock", "telemetry"],
        must_not: &["actix_web", "diesel"],
    },
    Layer {
        name: "setup",
        may_use: &["config", "service", "auth", "clock"],
        must_not: &["actix_web", "diesel"],
    },
    Layer {
        name: "auth",
        may_use: &["clock"],
        must_not: &["actix_web", "diesel"],
    },
    Layer {
        name: "http",
        may_use: &["service", "auth", "deliver", "telemetry"],
        must_not: &["diesel"],
    },
    Layer {
        name: "issuers",
        may_use: &["auth", "telemetry"],
        must_not: &["actix_web", "diesel"],
    },
    Layer {
        name: "config",
        may_use: &["service", "store", "auth", "issuers", "deliver"],
        must_not: &["actix_web", "diesel"],
    },
    Layer {
        name: "telemetry",
        may_use: &["clock"],
        must_not: &["actix_web", "diesel"],
    },
    Layer {
        name: "clock",
        may_use: &[],
        must_not: &["actix_web", "diesel", "tokio"],
    },
];

#[test]
fn every_module_has_its_row() -> io::Result<()> {
    let found: BTreeSet<String> = sources()?.into_keys().collect();
    let rows: BTreeSet<String> = LAYERS
        .iter()
        .map(|layer| layer.name.to_owned())
        .chain(ROOTS.map(str::to_owned))
        .collect();
    assert_eq!(
        found, rows,
        "the modules under src/, and the rows of the table"
    );
    Ok(())
}

#[test]
fn no_layer_names_what_it_must_not_know() -> io::Result<()> {
    let sources = sources()?;
    let mut faults = Vec::new();
    for layer in LAYERS {
        for file in sources.get(layer.name).into_iter().flatten() {
            for (number, line) in code(&fs::read_to_string(file)?) {
                let above = named_after(&line, "crate::").into_iter().filter(|module| {
                    sources.contains_key(module)
                        && module != layer.name
                        && !layer.may_use.contains(&module.as_str())
                });
                let crates = layer
                    .must_not
                    .iter()
                    .filter(|known| names_crate(&line, known))
                    .map(ToString::to_string);
                let place = format!("{}:{number}", file.display());
                faults.extend(
                    above
                        .chain(crates)
                        .map(|known| format!("{place}: {} must not know {known}", layer.name)),
                );
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[test]
fn the_reader_sees_every_spelling() {
    let cases: [(&str, &[&str]); 6] = [
        ("use crate::store::Store;", &["store"]),
        ("use crate::{scim::Filter, store};", &["store"]),
        (
            "use crate::{service::{a, b}, http::c};",
            &["service", "http"],
        ),
        (
            "fn f(x: crate::auth::Principal) -> crate::clock::Now {",
            &["auth", "clock"],
        ),
        ("pub(crate) fn f() {}", &[]),
        ("use other_crate::store;", &[]),
    ];
    for (line, expected) in cases {
        assert_eq!(named_after(line, "crate::"), expected, "{line}");
    }
    assert!(names_crate("use diesel::prelude::*;", "diesel"));
    assert!(names_crate("use diesel;", "diesel"));
    assert!(!names_crate("use diesel_migrations::embed;", "diesel"));
    assert!(!names_crate("use crate::scim::diesel_free;", "diesel"));
    let wrapped: Vec<(usize, String)> =
        code("use crate::{\n    scim, // the core\n    store,\n};\n").collect();
    assert_eq!(wrapped, [(1, "use crate::{ scim, store, };".to_owned())]);
}

/// The source files of each top module: `src/NAME.rs` and everything under `src/NAME/`.
fn sources() -> io::Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut modules: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name != "lib" {
            rust_files(&path, modules.entry(name).or_default())?;
        }
    }
    Ok(modules)
}

fn rust_files(path: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            rust_files(&entry?.path(), found)?;
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
    Ok(())
}

/// The lines of a source with their numbers, without comments; an import over several lines counts as its first.
fn code(source: &str) -> impl Iterator<Item = (usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open_import = false;
    for (index, line) in source.lines().enumerate() {
        let text = line.split("//").next().unwrap_or_default().trim();
        match lines.last_mut().filter(|_| open_import) {
            Some((_, import)) => {
                import.push(' ');
                import.push_str(text);
            }
            None => lines.push((index + 1, text.to_owned())),
        }
        let starts = text.starts_with("use ") || text.contains(" use ");
        open_import = (open_import || starts) && !text.ends_with(';');
    }
    lines.into_iter()
}

/// The first path segment after each `prefix`, also inside one level of braces.
fn named_after(line: &str, prefix: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        let (before, from) = line.split_at(at);
        if before.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
            continue;
        }
        let rest = from.trim_start_matches(prefix);
        match rest.strip_prefix('{') {
            Some(list) => named.extend(top_segments(list)),
            None => named.push(first_segment(rest)),
        }
    }
    named
}

/// `scim::Filter, store::{a, b}}` names `scim` and `store`.
fn top_segments(list: &str) -> Vec<String> {
    let mut depth = 1_u32;
    let mut items = vec![String::new()];
    for letter in list.chars() {
        depth = match letter {
            '{' => depth + 1,
            '}' => depth - 1,
            _ => depth,
        };
        match (letter, depth, items.last_mut()) {
            (_, 0, _) => break,
            (',', 1, _) => items.push(String::new()),
            (_, _, Some(item)) => item.push(letter),
            (_, _, None) => {}
        }
    }
    items
        .iter()
        .map(|item| first_segment(item.trim()))
        .filter(|name| !name.is_empty())
        .collect()
}

fn first_segment(path: &str) -> String {
    path.chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, from) = line.split_at(at);
        let after = from.trim_start_matches(name);
        let starts =
            !before.ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == ':');
        let is_path = after.starts_with("::")
            || (before.trim_end().ends_with("use") && after.starts_with(';'));
        starts && is_path
    })
}
