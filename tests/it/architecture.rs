//! Checks the table of ARCHITECTURE.md against the sources: which module may use which, which
//! crates a module must not name, that no files import each other in a cycle, and that a `mod.rs`
//! only declares and re-exports.
//!
//! The table is the only list: a module without a row fails, and so does a row without a module.

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use self::sources::{Package, Sources};

/// A row of the table.
#[derive(Debug, PartialEq)]
struct Layer {
    name: String,
    /// `None` for a module that may use every module, and that no other module may use.
    may_use: Option<BTreeSet<String>>,
    /// The crates that the module must not name.
    must_not_use: BTreeSet<String>,
}

#[test]
fn every_module_has_a_row() {
    let sources = rollcall();
    let rows: BTreeSet<String> = layers().into_iter().map(|layer| layer.name).collect();
    assert_eq!(sources.top_modules(), rows);
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let sources = rollcall();
    let layers: BTreeMap<String, Layer> = layers()
        .into_iter()
        .map(|layer| (layer.name.clone(), layer))
        .collect();
    let mut faults = BTreeSet::new();
    for import in sources.imports() {
        let Some(layer) = import.from.first().and_then(|name| layers.get(name)) else {
            continue;
        };
        let Some(may_use) = &layer.may_use else {
            continue;
        };
        if let Some(used) = import.path.first()
            && *used != layer.name
            && layers.contains_key(used)
            && !may_use.contains(used)
        {
            faults.insert(format!(
                "{}: {} must not use {used}",
                import.file, layer.name
            ));
        }
    }
    for (file, module, name) in sources.external_crates() {
        if let Some(layer) = module.first().and_then(|name| layers.get(name))
            && layer.must_not_use.contains(&name)
        {
            faults.insert(format!("{file}: {} must not use {name}", layer.name));
        }
    }
    assert!(faults.is_empty(), "{}", join(&faults));
}

#[test]
fn the_imports_between_files_have_no_cycle() {
    let mut faults = BTreeSet::new();
    for package in Package::ALL {
        let sources = Sources::read(package).unwrap();
        for cycle in sources.cycles() {
            let files: Vec<&str> = cycle.iter().map(String::as_str).collect();
            faults.insert(format!(
                "{}:\n    {}",
                files.join(", "),
                sources.edges_within(&cycle).join("\n    ")
            ));
        }
    }
    assert!(faults.is_empty(), "{}", join(&faults));
}

#[test]
fn a_mod_rs_only_declares_and_re_exports() {
    let faults: BTreeSet<String> = Package::ALL
        .into_iter()
        .flat_map(|package| Sources::read(package).unwrap().mod_files_with_code())
        .collect();
    assert!(faults.is_empty(), "{}", join(&faults));
}

#[test]
fn the_table_is_parsed() {
    let text = "\
| where | what | may use | must not use |
|---|---|---|---|
| `src/store` | All SQL | `telemetry`, diesel | `actix_web`, HTTP |
| `src/cli`, `src/main.rs` | The command line | everything | |
| `migrations/` | One folder per database | | |
";
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let everything = |name: &str| Layer {
        name: name.to_owned(),
        may_use: None,
        must_not_use: BTreeSet::new(),
    };
    let store = Layer {
        name: "store".to_owned(),
        may_use: Some(set(&["telemetry"])),
        must_not_use: set(&["actix_web"]),
    };
    assert_eq!(rows(text), [store, everything("cli"), everything("main")]);
}

fn rollcall() -> Sources {
    Sources::read(Package::Rollcall).unwrap()
}

fn layers() -> Vec<Layer> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    rows(&read(&path).unwrap())
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

/// Returns the rows of the table whose first cell names files under `src/`. In the other cells,
/// only text in backticks counts.
fn rows(text: &str) -> Vec<Layer> {
    let mut layers = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let &[files_cell, _, may_use, must_not_use] = cells.as_slice() else {
            continue;
        };
        for quoted_path in quoted(files_cell) {
            let Some(name) = quoted_path.strip_prefix("src/") else {
                continue;
            };
            layers.push(Layer {
                name: name.trim_end_matches(".rs").to_owned(),
                may_use: (may_use != "everything").then(|| quoted(may_use)),
                must_not_use: quoted(must_not_use),
            });
        }
    }
    layers
}

/// Returns the texts in backticks.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn join(faults: &BTreeSet<String>) -> String {
    let lines: Vec<&str> = faults.iter().map(String::as_str).collect();
    lines.join("\n")
}
