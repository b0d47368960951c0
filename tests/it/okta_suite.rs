//! Okta's published suites, run as they are, where they lie beside the project.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{TestApp, both, both_typed};

both!(okta_finds_nothing_wrong, |app| async move {
    if let Some(said) = run(&app, &["Okta-SCIM-20-SPEC-Test.json", "--seed"]) {
        assert!(said.contains("52 passed, 0 failed"), "{said}");
    }
});

// The suite is written for one endpoint; each type that Okta would find is one.
both_typed!(
    okta_finds_nothing_wrong_with_entitlements,
    |app| async move {
        for endpoint in ["/Roles", "/Entitlements", "/Licenses"] {
            let body = json!({ "displayName": "Auditor" });
            app.post(endpoint, &body).await.expect(201);
            let suite = [
                "Okta-SCIM-20-Entitlements-Test.json",
                "--endpoint",
                endpoint,
            ];
            if let Some(said) = run(&app, &suite) {
                assert!(said.contains("6 passed, 0 failed"), "{endpoint}: {said}");
            }
        }
    }
);

/// Runs a suite and says what it said; `None` where there is none.
fn run(app: &TestApp, suite: &[&str]) -> Option<String> {
    let Some(folder) = find_suite() else {
        let note = "\nSKIPPED: Okta's suites: no shared/acceptance/okta beside the project, or no python3\n";
        std::io::stderr().write_all(note.as_bytes()).ok();
        return None;
    };
    let (file, more) = suite.split_first().expect("a suite");
    let text = std::fs::read_to_string(folder.join(file)).expect("reads the suite");
    let mut suite: Value = serde_json::from_str(&text).expect("a suite is JSON");
    for value in suite.pointer_mut("/steps").into_iter().flat_map(values) {
        // Okta wrote one status as a number, which the runner cannot take; it compares numbers anyway.
        if value.is_number() {
            *value = Value::from(value.to_string());
        }
    }
    let place = tempfile::TempDir::new().expect("makes a temporary directory");
    let copy = place.path().join(file);
    std::fs::write(&copy, suite.to_string()).expect("writes the suite");
    let output = Command::new("python3")
        .arg(folder.join("run_spec.py"))
        .arg(&copy)
        .args(["--url", &app.base_url(), "--auth", app.credentials()])
        .args(more)
        .output()
        .expect("runs python3");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    Some(said)
}

/// What the assertions of all steps expect.
fn values(steps: &mut Value) -> Vec<&mut Value> {
    let steps = steps.as_array_mut().into_iter().flatten();
    steps
        .filter_map(|step| step.get_mut("assertions")?.as_array_mut())
        .flatten()
        .filter_map(|assertion| assertion.get_mut("value"))
        .collect()
}

fn find_suite() -> Option<PathBuf> {
    let runs = Command::new("python3").arg("--version").output().is_ok();
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|directory| directory.join("shared/acceptance/okta"))
        .find(|directory| directory.join("run_spec.py").exists())
        .filter(|_| runs)
}
