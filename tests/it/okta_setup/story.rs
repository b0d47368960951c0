//! The set-up of the stories: an org, a tenant, a `setup.toml` and the real binary.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake_okta::{ApiToken, FakeOkta, Typed};
use crate::harness::{Client, TestApp};

/// A tenant of ours and an org of theirs.
pub struct Story {
    pub app: TestApp,
    pub okta: FakeOkta,
    pub admin: ApiToken,
    folder: TempDir,
    /// The environment of each run.
    environment: Vec<(&'static str, String)>,
}

/// What a run of `rollcall setup` printed and ended with.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    /// The JSON object of `--json`; null for text.
    pub json: Value,
    pub text: String,
    pub stderr: String,
}

impl Story {
    /// Starts with a super admin's token and a minimal `setup.toml`.
    pub fn new(app: TestApp) -> Self {
        let okta = FakeOkta::start();
        let admin = okta.token(&["SUPER_ADMIN"]);
        let folder = TempDir::with_prefix("rollcall-it-").expect("makes a temporary directory");
        let environment = vec![
            ("ROLLCALL_SETUP_REHEARSE", "1".to_owned()),
            ("ROLLCALL_OKTA_TOKEN", admin.secret.clone()),
        ];
        let story = Self {
            app,
            okta,
            admin,
            folder,
            environment,
        };
        story.write_setup_toml("[app]\nlabel = \"Rollcall\"\n");
        story
    }

    /// Writes `setup.toml`, with the tables that every file needs.
    pub fn write_setup_toml(&self, rest: &str) {
        self.write_setup_toml_for("", rest);
    }

    /// The same with more lines under `[okta]`.
    pub fn write_setup_toml_for(&self, okta: &str, rest: &str) {
        let text = format!(
            "[okta]\norg = \"{}\"\n{okta}\n[rollcall]\nbase_url = \"{}\"\ntenant = \"{}\"\n{rest}",
            self.okta.url,
            self.app.base_url(),
            self.app.tenant,
        );
        self.write("setup.toml", text.as_bytes());
    }

    /// A file beside `setup.toml`.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("writes a file");
        path
    }

    /// A file that a run wrote.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::read_to_string(path)
            .expect("a file")
            .trim()
            .to_owned()
    }

    /// Sets, or with "" takes away, a variable of the runs.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            self.environment.push((name, value.to_owned()));
        }
    }

    /// One verb with `--json`, to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let with_json: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let mut ran = self.run_for_people(&with_json);
        ran.json = serde_json::from_str(&ran.text)
            .unwrap_or_else(|_| panic!("{arguments:?} printed no JSON: {ran:?}"));
        assert_eq!(ran.json["exit_code"], ran.code, "{ran:?}");
        ran
    }

    /// One verb as a person runs it.
    pub fn run_for_people(&self, arguments: &[&str]) -> Ran {
        ended(
            self.command(arguments).output().expect("runs the binary"),
            &self.secrets(),
        )
    }

    /// A verb that is running; the story ends it or waits for it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("starts the binary")
    }

    /// The end of a started verb.
    pub fn wait(&self, child: Child) -> Ran {
        ended(child.wait_with_output().expect("waits"), &self.secrets())
    }

    /// One verb with this on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts the binary");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("writes");
        drop(stdin);
        self.wait(child)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command
            .arg("setup")
            .args(arguments)
            .args(["--database", &self.app.database.url, "--file"])
            .arg(self.folder.path().join("setup.toml"))
            .env_remove("ROLLCALL_OKTA_TOKEN")
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// What no output may show.
    fn secrets(&self) -> Vec<String> {
        let variables = self.environment.iter();
        let secrets = ["ROLLCALL_OKTA_TOKEN", "ROLLCALL_EVENT_HOOK_SECRET"];
        variables
            .filter(|(name, _)| secrets.contains(name))
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// `apply`, with our token for Okta in the file `token`.
    pub fn apply(&self) -> Ran {
        self.run(&["apply", "--yes", "--token-file", "token"])
    }

    /// Runs `apply` again after the manual steps. The server records requests in the background, so
    /// it may have to check twice.
    pub fn apply_after_manual_steps(&self) -> Ran {
        self.run(&["apply", "--yes", "--token-file", "token", "--wait", "15m"])
    }

    /// What the admin types into the app's form, by what it is called there.
    pub fn typed_token(&self, app: &str) -> String {
        let token = self.read("token");
        match self.okta.org().apps[app].name.as_str() {
            "scim2headerauth" => format!("Bearer {token}"),
            "scim2testapp_basic" => format!("rollcall:{token}"),
            _ => token,
        }
    }

    /// Does all the manual steps, as the instructions say.
    pub async fn click(&self, app: &str) {
        let token = self.typed_token(app);
        let typed = Typed {
            base_url: &self.app.base_url(),
            token: &token,
        };
        self.okta.click_through(app, typed).await.expect("connects");
    }

    /// What there is in the org, without the ids that differ from run to run.
    pub fn shape(&self) -> Value {
        let org = self.okta.org();
        let apps = org.apps.values().map(|app| {
            let logins = app.users.keys().map(|id| org.users[id].login());
            let groups = app.groups.keys().map(|id| org.groups[id].name.as_str());
            let pushes = app.pushes.values();
            let pushes = pushes.map(|push| json!([org.groups[&push.source].name, push.target_name, push.status]));
            let mapping = org.mappings.values().find(|mapping| mapping.target == app.id);
            json!({
                "name": app.name, "label": app.label, "active": app.is_active, "features": app.features,
                "has_logo": app.logos > 0, "connected": app.connection.is_some(),
                "attributes": app.attributes, "mapping": mapping.map(|mapping| &mapping.properties),
                "users": logins.collect::<Vec<_>>(), "groups": groups.collect::<Vec<_>>(),
                "pushes": pushes.collect::<Vec<_>>(),
            })
        });
        let hooks = org.hooks.values();
        let hooks =
            hooks.map(|hook| json!([hook["name"], hook["verificationStatus"], hook["status"]]));
        json!({ "apps": apps.collect::<Vec<_>>(), "hooks": hooks.collect::<Vec<_>>() })
    }

    /// How many tokens of this tenant Okta could have from `setup`.
    pub fn live_tokens(&self) -> i64 {
        let sql = "SELECT count(*) AS n FROM tokens WHERE name = 'okta-setup' AND revoked IS NULL";
        self.count(sql)
    }

    /// How many rows of this tenant a `SELECT count(*) AS n FROM .. WHERE ..` finds.
    pub fn count(&self, sql: &str) -> i64 {
        let tenant = format!(
            "(SELECT id FROM tenants WHERE name = '{}')",
            self.app.tenant
        );
        self.app
            .database
            .count(&format!("{sql} AND tenant_id = {tenant}"))
    }

    // As an admin of the org, by its API.

    pub async fn okta_api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let mut request = http
            .request(method, format!("{}/api/v1{path}", self.okta.url))
            .header("accept", "application/json")
            .header("authorization", format!("SSWS {}", self.admin.secret));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        )
    }

    /// An app made and connected without `setup`: a template (dialect B) or one of SAML (dialect
    /// A).
    pub async fn connected_app(&self, name: Option<&str>) -> String {
        let body = match name {
            Some(name) => json!({ "name": name, "label": "By hand", "signOnMode": "SAML_2_0" }),
            None => json!({ "label": "By hand", "signOnMode": "AUTO_LOGIN",
                "settings": { "signOn": { "loginUrl": "https://acme.example/login" } } }),
        };
        let (status, app) = self.okta_api(Method::POST, "/apps", Some(body)).await;
        assert_eq!(status, 200, "{app}");
        let id = app["id"].as_str().expect("an id").to_owned();
        let credentials = self.app.credentials();
        let typed = Typed {
            base_url: &self.app.base_url(),
            token: match name {
                // As typed, with the word.
                Some("scim2headerauth") => credentials,
                _ => credentials.trim_start_matches("Bearer "),
            },
        };
        self.okta.click_through(&id, typed).await.expect("connects");
        id
    }

    /// The SCIM client of this tenant.
    pub fn ours(&self) -> &Client {
        &self.app.client
    }
}

fn ended(output: Output, secrets: &[String]) -> Ran {
    let text = String::from_utf8(output.stdout).expect("UTF-8 on stdout");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8 on stderr");
    for secret in secrets {
        assert!(
            !text.contains(secret) && !stderr.contains(secret),
            "a secret was printed"
        );
    }
    Ran {
        code: output.status.code().unwrap_or(-1),
        json: Value::Null,
        text,
        stderr,
    }
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.text, self.stderr);
        self
    }

    /// Checks the end and that its message holds this.
    #[track_caller]
    pub fn expect_message(self, code: i32, part: &str) -> Self {
        let ran = self.expect(code);
        assert!(ran.stderr.contains(part), "no {part:?} in {:?}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran
    }

    /// What the verb has to say beside the common.
    pub fn more(&self, name: &str) -> Value {
        self.json["more"][name].clone()
    }

    /// How many changes of this step it shows.
    pub fn changes_of(&self, step: &str) -> usize {
        let changes = self.json["changes"].as_array().into_iter().flatten();
        changes.filter(|change| change["step"] == step).count()
    }

    /// What was found about this.
    #[track_caller]
    pub fn finding(&self, level: &str, about: &str) -> String {
        let findings = self.json["findings"].as_array().expect("findings");
        let found = findings
            .iter()
            .find(|one| one["level"] == level && one["about"] == about);
        let found = found.unwrap_or_else(|| panic!("no {level} about {about}: {findings:#?}"));
        found["text"].as_str().expect("a text").to_owned()
    }
}
