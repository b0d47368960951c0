//! A fault in the tables or in a schema file prevents the start, and is reported with its location.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Starts with this configuration and these files next to it; returns the error message.
fn startup_error(config: &str, files: &[(&str, &str)]) -> String {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("rollcall.toml", config);
    for (name, text) in files {
        write(name, text);
    }
    serve(folder.path())
}

fn serve(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(folder.join("rollcall.toml"))
        .args(["--database", "sqlite:never.sqlite"])
        .current_dir(folder)
        .output()
        .expect("runs the binary");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // It stopped before it opened a database.
    assert!(!folder.join("never.sqlite").exists());
    String::from_utf8(output.stderr).unwrap()
}

fn check(config: &str, files: &[(&str, &str)], expected: &[&str]) {
    let said = startup_error(config, files);
    for part in expected {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

/// Checks an extension of users in `e.json` with these attributes.
fn check_attributes(attributes: Value, expected: &[&str]) {
    let schema = json!({ "id": "urn:x:E", "name": "E", "attributes": attributes });
    let mut expected = expected.to_vec();
    expected.extend(["extensions (", "rollcall.toml line 2", "e.json"]);
    check(EXTENSION, &[("e.json", &schema.to_string())], &expected);
}

const EXTENSION: &str = "\n[[extensions]]\nresource_type = \"User\"\nschema = \"e.json\"\n";

const TYPE: &str =
    "[[resource_types]]\nname = \"Robot\"\nendpoint = \"/Robots\"\nschema = \"r.json\"\n";

const ROBOT: &str = r#"{"id":"urn:x:Robot","name":"Robot","attributes":[{"name":"model"}]}"#;

#[test]
fn a_missing_file() {
    check(
        EXTENSION,
        &[],
        &[
            "extensions (",
            "rollcall.toml line 2",
            "e.json",
            "cannot read",
        ],
    );
}

#[test]
fn a_file_that_is_not_json() {
    let broken = "{\n  \"id\": \"urn:x:E\",\n  \"name\": \"E\"\n  \"attributes\": []\n}";
    check(EXTENSION, &[("e.json", broken)], &["e.json", "line 4"]);
}

#[test]
fn a_file_that_is_not_a_schema() {
    check(
        EXTENSION,
        &[("e.json", "{\"id\":\"urn:x:E\",\"name\":\"E\"}")],
        &["e.json", "attributes"],
    );
}

// R7643-2.1-03
#[test]
fn an_attribute_with_a_bad_name() {
    check_attributes(json!([{ "name": "1x" }]), &["\"1x\"", "2.1"]);
    check_attributes(json!([{ "name": "a b" }]), &["\"a b\"", "2.1"]);
}

#[test]
fn a_duplicate_attribute() {
    check_attributes(
        json!([{ "name": "a" }, { "name": "A" }]),
        &["\"A\"", "twice"],
    );
}

// R7643-2.3.8-01
#[test]
fn a_complex_attribute_inside_another() {
    let inner = json!([{ "name": "c", "type": "complex", "subAttributes": [{ "name": "d" }] }]);
    check_attributes(
        json!([{ "name": "a", "type": "complex", "subAttributes": inner }]),
        &["\"c\"", "complex inside a complex"],
    );
}

#[test]
fn an_index_of_lists_inside_a_list() {
    let schema = json!({ "id": "urn:x:E", "name": "E", "attributes": [
        { "name": "places", "type": "complex", "multiValued": true, "subAttributes": [
            { "name": "tags", "multiValued": true },
        ] },
    ] });
    let config = format!("{EXTENSION}indexed = [\"places.tags\"]\n");
    check(
        &config,
        &[("e.json", &schema.to_string())],
        &["rollcall.toml line 2", "places.tags", "lists inside a list"],
    );
}

#[test]
fn an_attribute_of_an_unknown_type() {
    check_attributes(
        json!([{ "name": "a", "type": "text" }]),
        &["unknown variant `text`", "line 1"],
    );
}

#[test]
fn a_misspelled_characteristic() {
    check_attributes(json!([{ "name": "a", "caseexact": true }]), &["caseexact"]);
}

// R7643-2.3.6-02
#[test]
fn an_unsupported_uniqueness() {
    for kind in ["binary", "boolean"] {
        check_attributes(
            json!([{ "name": "a", "type": kind, "uniqueness": "server" }]),
            &["\"a\"", "unique"],
        );
    }
    check_attributes(
        json!([{ "name": "a", "type": "complex", "uniqueness": "server", "subAttributes": [{ "name": "b" }] }]),
        &["\"a\"", "unique"],
    );
}

#[test]
fn a_secret_that_would_be_returned() {
    check_attributes(
        json!([{ "name": "a", "mutability": "writeOnly" }]),
        &["\"a\"", "never"],
    );
}

#[test]
fn a_reserved_name() {
    for name in ["id", "meta", "externalId", "schemas"] {
        let schema = json!({ "id": "urn:x:Robot", "name": "R", "attributes": [{ "name": name }] });
        check(
            TYPE,
            &[("r.json", &schema.to_string())],
            &[
                "resource_types (",
                "line 1",
                "r.json",
                &format!("{name:?}"),
                "every resource",
            ],
        );
    }
}

#[test]
fn an_attribute_of_the_core_with_another_type() {
    for attribute in [
        json!({ "name": "active", "type": "string" }),
        json!({ "name": "displayName", "multiValued": true }),
        json!({ "name": "userName", "type": "string" }),
        json!({ "name": "userName", "uniqueness": "server" }),
    ] {
        let name = attribute["name"].to_string();
        let schema = json!({ "id": "urn:x:Robot", "name": "R", "attributes": [attribute] });
        check(TYPE, &[("r.json", &schema.to_string())], &["r.json", &name]);
    }
}

#[test]
fn an_undeclared_resource_type() {
    let config = "[[extensions]]\nresource_type = \"Robot\"\nschema = \"e.json\"\n";
    check(
        config,
        &[("e.json", ROBOT)],
        &["extensions (", "line 1", "\"Robot\"", "User, Group"],
    );
}

#[test]
fn two_types_at_one_endpoint() {
    let config = format!("{TYPE}\n{}", TYPE.replace("\"Robot\"", "\"Droid\""));
    check(
        &config,
        &[("r.json", ROBOT)],
        &["line 6", "endpoint", "\"/Robots\""],
    );
    let config = TYPE.replace("/Robots", "/users");
    check(
        &config,
        &[("r.json", ROBOT)],
        &["line 1", "endpoint", "\"/users\""],
    );
}

#[test]
fn two_types_of_one_name() {
    let config = format!("{TYPE}\n{}", TYPE.replace("/Robots", "/Droids"));
    check(
        &config,
        &[("r.json", ROBOT)],
        &["line 6", "name", "\"Robot\""],
    );
}

#[test]
fn a_name_that_means_something_else_in_the_open_api_document() {
    for name in ["Error", "PatchOp", "UserInput"] {
        let config = TYPE.replace("\"Robot\"", &format!("{name:?}"));
        check(&config, &[("r.json", ROBOT)], &["line 1", name, "OpenAPI"]);
    }
}

#[test]
fn an_endpoint_of_scim_itself() {
    for endpoint in ["/Schemas", "/bulk", "/Me"] {
        let config = TYPE.replace("/Robots", endpoint);
        check(&config, &[("r.json", ROBOT)], &[endpoint, "own"]);
    }
    check(
        &TYPE.replace("/Robots", "Robots"),
        &[("r.json", ROBOT)],
        &["endpoint"],
    );
    check(
        &TYPE.replace("/Robots", "/a/b"),
        &[("r.json", ROBOT)],
        &["endpoint"],
    );
}

#[test]
fn a_urn_in_use() {
    let user = ROBOT.replace("urn:x:Robot", "urn:ietf:params:scim:schemas:core:2.0:User");
    check(TYPE, &[("r.json", &user)], &["r.json", "core:2.0:User"]);
    let twice = format!("{EXTENSION}{EXTENSION}");
    check(&twice, &[("e.json", ROBOT)], &["line 6", "twice"]);
}

#[test]
fn an_invalid_urn() {
    let schema = ROBOT.replace("urn:x:Robot", "Robot");
    check(TYPE, &[("r.json", &schema)], &["r.json", "URN"]);
    check(
        &TYPE.replace("r.json", "urn:x:unknown"),
        &[],
        &["urn:x:unknown", "no schema"],
    );
}

#[test]
fn an_index_of_an_unknown_attribute() {
    let config = format!("{TYPE}indexed = [\"maker\"]\n");
    check(&config, &[("r.json", ROBOT)], &["line 1", "\"maker\""]);
}

#[test]
fn an_unknown_setting() {
    let config = format!("{TYPE}colour = \"red\"\n");
    check(&config, &[("r.json", ROBOT)], &["line 5", "colour"]);
    check(
        "[[resource_types]]\nname = \"Robot\"\n",
        &[],
        &["line 1", "endpoint"],
    );
    check("extensions = 5\n", &[], &["line 1"]);
}
