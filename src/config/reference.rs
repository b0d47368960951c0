//! Holds `deploy/rollcall.example.toml` and the tables of `docs/settings.md` equal to the declared
//! settings. `just settings` rewrites both.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::config::load::read_file;
use crate::config::serve::Config;
use crate::config::tables::{ExtensionSettings, IssuerSettings, Tables, TypeSettings};
use crate::settings::{
    Column, FileTable, Origin, Setting, Settings, ShownDefault, Sources, plain_text,
};

const EXAMPLE: &str = "deploy/rollcall.example.toml";
const REFERENCE: &str = "docs/settings.md";

const EXAMPLE_HEADER: &str = "\
# Every setting of `rollcall serve`, with its default. `just settings` generates this file.
#
# Rollcall reads ./rollcall.toml, or the file that --config names. Each setting has a flag and an
# environment variable too, and both win over the file: max_page_size is --max-page-size and
# ROLLCALL_MAX_PAGE_SIZE. An unknown setting stops the start. docs/settings.md is the reference.
";

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap()
}

/// Compares a file with what it should be, or rewrites it.
fn compare(file: &str, expected: &str) {
    if std::env::var_os("ROLLCALL_UPDATE_SETTINGS").is_some() {
        std::fs::write(path(file), expected).unwrap();
    }
    let found = read(file);
    let lines = found.lines().zip(expected.lines()).enumerate();
    for (index, (found, expected)) in lines {
        let line = index + 1;
        assert_eq!(found, expected, "{file} line {line}: run `just settings`");
    }
    assert_eq!(found, expected, "{file}: run `just settings`");
}

/// The settings under each heading, in order.
fn groups() -> Vec<(&'static str, Vec<Setting>)> {
    let mut groups: Vec<(&'static str, Vec<Setting>)> = Vec::new();
    for setting in Config::declared() {
        if setting.origin != Origin::Anywhere {
            continue;
        }
        assert_ne!(setting.heading, "", "{} has no heading", setting.key);
        match groups.last_mut() {
            Some((heading, group)) if *heading == setting.heading => group.push(setting),
            _ => groups.push((setting.heading, vec![setting])),
        }
    }
    groups
}

/// A table of the file: its name, its introduction and its keys.
struct TableText {
    name: &'static str,
    description: String,
    columns: &'static [Column],
}

fn tables() -> [TableText; 3] {
    fn table<T: FileTable>() -> TableText {
        TableText {
            name: T::NAME,
            description: T::DESCRIPTION.concat().trim().to_owned(),
            columns: T::COLUMNS,
        }
    }
    [
        table::<IssuerSettings>(),
        table::<ExtensionSettings>(),
        table::<TypeSettings>(),
    ]
}

/// Writes a text as comment lines of at most 100 columns.
fn comment(out: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > 100 {
            writeln!(out, "{line}").unwrap();
            line = "#".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{line}").unwrap();
}

fn example() -> String {
    let mut out = EXAMPLE_HEADER.to_owned();
    for (heading, group) in groups() {
        writeln!(out, "\n#### {heading}").unwrap();
        for setting in group {
            out.push('\n');
            let mut description = setting.plain_description();
            if let ShownDefault::Description(shown) = setting.default
                && shown != "none"
            {
                write!(description, " Default: {shown}.").unwrap();
            }
            if setting.values.contains('`') || setting.values.contains(" to ") {
                write!(description, " Accepts {}.", setting.values).unwrap();
            }
            comment(&mut out, &description);
            let value = match setting.example.parse::<u64>() {
                Ok(number) => number.to_string(),
                Err(_) => format!("{:?}", setting.example),
            };
            writeln!(out, "# {} = {value}", setting.key).unwrap();
        }
    }
    out.push_str("\n#### Tables. They come last in the file.\n");
    for table in tables() {
        out.push('\n');
        comment(&mut out, &plain_text(&table.description));
        writeln!(out, "# [[{}]]", table.name).unwrap();
        for column in table.columns {
            let description = plain_text(column.description.concat().trim());
            match column.example {
                Some(value) => {
                    comment(&mut out, &description);
                    writeln!(out, "# {} = {value}", column.key).unwrap();
                }
                None => comment(&mut out, &format!("{}: {description}", column.key)),
            }
        }
    }
    out
}

fn settings_table(group: &[Setting]) -> String {
    let mut out =
        "| file key | flag | environment variable | default | values | meaning |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for setting in group {
        let default = match &setting.default {
            ShownDefault::Text(text) => format!("`{text}`"),
            ShownDefault::Description(shown) => (*shown).to_owned(),
            ShownDefault::Required => "none".to_owned(),
        };
        writeln!(
            out,
            "| `{}` | `--{}` | `{}` | {default} | {} | {} |",
            setting.key,
            setting.flag(),
            setting.variable(),
            setting.values,
            setting.description
        )
        .unwrap();
    }
    out
}

fn keys_table(table: &TableText) -> String {
    let mut out = "| key | default | meaning |\n|---|---|---|\n".to_owned();
    for column in table.columns {
        let default = column.default.unwrap_or("required");
        let description = column.description.concat();
        writeln!(
            out,
            "| `{}` | {default} | {} |",
            column.key,
            description.trim()
        )
        .unwrap();
    }
    out
}

/// Replaces what is between the marks of a region.
fn replace_region(page: &str, name: &str, content: &str) -> String {
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{REFERENCE} has no line {begin}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{begin}\n{content}\n<!-- end -->{after}")
}

#[test]
fn the_reference_has_every_setting() {
    let mut page = read(REFERENCE);
    for (heading, group) in groups() {
        page = replace_region(&page, heading, &settings_table(&group));
    }
    for table in tables() {
        let name = format!("[[{}]]", table.name);
        page = replace_region(&page, &name, &keys_table(&table));
    }
    compare(REFERENCE, &page);
    for setting in Config::declared() {
        if setting.origin == Origin::Environment {
            let row = format!(
                "| `{}` | none | {} |",
                setting.variable(),
                setting.description
            );
            assert!(page.contains(&row), "{REFERENCE} has no line {row}");
        }
    }
}

#[test]
fn the_example_file_has_every_setting() {
    compare(EXAMPLE, &example());
}

/// The example file with its settings uncommented, without those that `skip` names.
fn uncommented(skip: &[&str]) -> String {
    example()
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| {
            let key = line.split_once(" = ").map(|(key, _)| key);
            line.starts_with("[[")
                || key.is_some_and(|key| !key.contains(' ') && !skip.contains(&key))
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

fn load(text: &str) -> (Config, Tables) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollcall.toml");
    std::fs::write(&path, text).unwrap();
    let file = read_file(&path).unwrap();
    let sources = Sources::new(vec![file.settings]);
    (<Config as Settings>::load(&sources).unwrap(), file.tables)
}

#[test]
fn the_example_file_has_the_defaults() {
    let without_default = [
        "base_url",
        "tls_certificate",
        "tls_key",
        "trusted_proxies",
        "admin_listen",
        "metrics_listen",
        "workers",
        // SQLite, the default, has no replica.
        "database_replica",
        "bootstrap_token_file",
    ];
    let (example, tables) = load(&uncommented(&without_default));
    let (default, _) = load("");
    assert_eq!(format!("{example:?}"), format!("{default:?}"));
    assert_eq!(tables.issuers.len(), 1);
    assert_eq!(tables.types.extensions.len(), 1);
    assert_eq!(tables.types.types.len(), 1);

    let (example, _) = load(&uncommented(&["database_replica", "bootstrap_token_file"]));
    assert!(example.server.tls.is_some());
    assert_eq!(example.server.workers, 2);
    assert_eq!(
        example.server.base_url.as_deref(),
        Some("https://scim.example.com/scim/v2")
    );
}
