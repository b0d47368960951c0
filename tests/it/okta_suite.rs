//! Okta's published SPEC suite, run unchanged if it is present next to the project.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::both;

both!(the_published_okta_suite_passes, |app| async move {
    let Some(suite) = find_suite() else {
        let note = "\nSKIPPED: Okta's SPEC suite: no shared/acceptance/okta beside the project, or no python3\n";
        std::io::stderr().write_all(note.as_bytes()).ok();
        return;
    };
    let output = Command::new("python3")
        .arg(suite.join("run_spec.py"))
        .arg(suite.join("Okta-SCIM-20-SPEC-Test.json"))
        .args([
            "--url",
            &app.base_url(),
            "--auth",
            app.credentials(),
            "--seed",
        ])
        .output()
        .expect("runs python3");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    assert!(said.contains("52 passed, 0 failed"), "{said}");
});

fn find_suite() -> Option<PathBuf> {
    let runs = Command::new("python3").arg("--version").output().is_ok();
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|directory| directory.join("shared/acceptance/okta"))
        .find(|directory| directory.join("run_spec.py").exists())
        .filter(|_| runs)
}
