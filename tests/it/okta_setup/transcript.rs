//! The terminal session of docs/okta.md, compared with the page, so that the page says
//! what is really printed.

use crate::fake_okta::Typed;
use crate::harness::both;

use super::story::Story;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/okta.md");

const SETUP_TOML: &str = r#"[app]
label = "Rollcall"

[assign]
groups = ["Engineering"]

[[push_groups]]
group = "Engineering (pushed)"
target = "Engineering"
"#;

both!(the_session_of_the_page, |app| async move {
    let story = Story::new(app);
    let ada = story.okta.hire("ada@acme.example");
    story.okta.hire("test@acme.example");
    story.okta.group("Engineering", &[&ada]);
    story.okta.group("Engineering (pushed)", &[&ada]);
    story.write_setup_toml(SETUP_TOML);
    let before = story.okta.snapshot();
    let mut session = Session {
        story: &story,
        text: String::new(),
    };

    session.run(&["plan"], 0);
    let token = session.run(&["apply", "--yes"], 2);
    let token = token
        .lines()
        .find_map(|line| line.strip_prefix("SCIM token (shown once): "))
        .expect("the token is shown")
        .to_owned();
    let id = story.okta.app("Rollcall");
    let base_url = story.app.base_url();
    let typed = format!("Bearer {token}");
    let typed = Typed {
        base_url: &base_url,
        token: &typed,
    };
    story
        .okta
        .click_through(&id, typed)
        .await
        .expect("connects");
    session.run(&["apply", "--yes"], 0);
    story.okta.settle();
    session.run(&["apply", "--yes"], 0);
    session.run(&["status"], 0);
    session.run(&["reconcile"], 0);
    session.run(
        &["verify", "--user", "test@acme.example", "--wait", "15m"],
        0,
    );
    session.run(&["remove"], 0);
    session.run(&["remove", "--yes"], 0);
    assert_eq!(story.okta.snapshot(), before, "the org is as it was found");

    let page = std::fs::read_to_string(PAGE).expect("the page is there");
    if std::env::var_os("ROLLCALL_PRINT_SESSION").is_some() {
        println!("{}", session.text);
    }
    for part in session.text.split("\n$ ").filter(|part| !part.is_empty()) {
        let part = part.trim_start_matches("$ ").trim_end();
        assert!(
            page.contains(part),
            "docs/okta.md does not show this:\n{}",
            session.text
        );
    }
});

/// Commands and their output, with the names of the page instead of those of this run.
struct Session<'s> {
    story: &'s Story,
    text: String,
}

impl Session<'_> {
    fn run(&mut self, arguments: &[&str], code: i32) -> String {
        let ran = self.story.run_for_people(arguments).expect(code);
        let shown = self.redact(&ran.text);
        self.text.push_str(&format!(
            "\n$ rollcall setup {}\n{shown}",
            arguments.join(" ")
        ));
        ran.text
    }

    fn redact(&self, text: &str) -> String {
        let replaced = text
            .replace(
                &self.story.app.base_url(),
                "https://scim.acme.example/scim/v2",
            )
            .replace(
                &format!("{}/admin", self.story.okta.url),
                "https://acme-admin.okta.com/admin",
            )
            .replace(&self.story.okta.url, "https://acme.okta.com")
            .replace(
                &format!("setup: {} @", self.story.app.tenant),
                "setup: default @",
            );
        let mut lines = String::new();
        // Whether there is something to wait for depends on who is quicker.
        let lines_shown = replaced
            .lines()
            .filter(|line| !line.starts_with("waiting: "));
        for line in lines_shown {
            let words: Vec<String> = line.split(' ').map(word).collect();
            lines.push_str(&words.join(" "));
            lines.push('\n');
        }
        lines
    }
}

/// An id, a token or a time is another one in each run.
fn word(text: &str) -> String {
    let bare = text.trim_matches(|letter: char| "(),.;:`".contains(letter));
    if let Some((_, rest)) = bare.split_once("/instance/") {
        let id = rest.split('/').next().unwrap_or_default();
        return text.replace(id, "0oa1a2b3c4d5E6f7g8h9");
    }
    let known = match bare {
        _ if bare.starts_with("rct_") => "rct_h3kW…",
        _ if bare.len() == 36 && bare.matches('-').count() == 4 => {
            "01a20938-6b1e-7c3a-9d42-5f8e0c7b1a24"
        }
        _ if bare.len() == 20 && bare.starts_with("20") && bare.ends_with('Z') => {
            "2026-12-24T20:00:00Z"
        }
        _ if bare.len() == 20 && bare.starts_with("0oa") => "0oa1a2b3c4d5E6f7g8h9",
        _ if bare.len() == 20 && bare.starts_with("00") => "00o1a2b3c4d5E6f7g8h9",
        _ => return text.to_owned(),
    };
    text.replace(bare, known)
}
