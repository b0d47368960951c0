//! The fixture of the setup tests: an org, a tenant, a desired state in a file, and the real
//! binary.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake_okta::{ApiToken, FakeOkta, Typed};
use crate::harness::{Client, TestApp};

/// A tenant of the service and an org.
pub struct Story {
    pub app: TestApp,
    pub okta: FakeOkta,
    pub admin: ApiToken,
    folder: TempDir,
    /// The environment variables of each run.
    environment: Vec<(&'static str, String)>,
}

/// The output and exit code of a run of `rollcall setup`.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    /// The JSON object of `--json`; null for text output.
    pub json: Value,
    pub text: String,
    pub stderr: String,
}

impl Story {
    /// Starts with a super admin's token, and a desired state with only an app.
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
        story.write_setup("[app]\nlabel = \"Rollcall\"\n");
        story
    }

    /// Writes `setup.toml`, beginning with the connection settings.
    pub fn write_setup(&self, rest: &str) {
        self.write_setup_with_login("", rest);
    }

    /// The same with additional lines under `[okta]`.
    pub fn write_setup_with_login(&self, okta: &str, rest: &str) {
        let text = format!(
            "[okta]\norg = \"{}\"\n{okta}\n[rollcall]\nbase_url = \"{}\"\ntenant = \"{}\"\n{rest}",
            self.okta.url,
            self.app.base_url(),
            self.app.tenant,
        );
        self.write("setup.toml", text.as_bytes());
    }

    /// Writes a file next to `setup.toml`.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("writes a file");
        path
    }

    /// Reads a file that a run wrote.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::read_to_string(path)
            .expect("a file")
            .trim()
            .to_owned()
    }

    /// Sets an environment variable of the runs, or removes it if the value is "".
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            self.environment.push((name, value.to_owned()));
        }
    }

    /// Runs one command with `--json` until it ends.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let with_json: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let mut ran = self.run_for_people(&with_json);
        ran.json = serde_json::from_str(&ran.text)
            .unwrap_or_else(|_| panic!("{arguments:?} printed no JSON: {ran:?}"));
        assert_eq!(ran.json["exit_code"], ran.code, "{ran:?}");
        ran
    }

    /// Runs one command with text output, as a person does.
    pub fn run_for_people(&self, arguments: &[&str]) -> Ran {
        ended(
            self.command(arguments).output().expect("runs the binary"),
            &self.secrets(),
        )
    }

    /// Starts a command; the test stops it or waits for it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("starts the binary")
    }

    /// Waits for the end of a started command.
    pub fn wait(&self, child: Child) -> Ran {
        ended(child.wait_with_output().expect("waits"), &self.secrets())
    }

    /// Runs one command with this standard input.
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

    /// Values that must not appear in any output.
    fn secrets(&self) -> Vec<String> {
        let variables = self.environment.iter();
        let secrets = ["ROLLCALL_OKTA_TOKEN", "ROLLCALL_EVENT_HOOK_SECRET"];
        variables
            .filter(|(name, _)| secrets.contains(name))
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Runs `apply`, with our token for Okta in the file `token`.
    pub fn apply(&self) -> Ran {
        self.run(&["apply", "--yes", "--token-file", "token"])
    }

    /// Runs `apply` after the manual steps: the server records requests in the background, so it
    /// may have to check twice.
    pub fn apply_after_clicks(&self) -> Ran {
        self.run(&["apply", "--yes", "--token-file", "token", "--wait", "15m"])
    }

    /// Returns the value that the admin types into the token field of the app's form.
    pub fn typed_token(&self, app: &str) -> String {
        let token = self.read("token");
        match self.okta.org().apps[app].name.as_str() {
            "scim2headerauth" => format!("Bearer {token}"),
            "scim2testapp_basic" => format!("rollcall:{token}"),
            _ => token,
        }
    }

    /// Does all manual steps of the instructions.
    pub async fn click(&self, app: &str) {
        let token = self.typed_token(app);
        let typed = Typed {
            base_url: &self.app.base_url(),
            token: &token,
        };
        self.okta.click_through(app, typed).await.expect("connects");
    }

    /// Returns the state of the org, without the ids that differ between runs.
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

    /// Returns the number of tokens of this tenant that `setup` could have given to Okta.
    pub fn live_tokens(&self) -> i64 {
        let sql = "SELECT count(*) AS n FROM tokens WHERE name = 'okta-setup' AND revoked IS NULL";
        self.count(sql)
    }

    /// Returns the number of this tenant's rows that a `SELECT count(*) AS n FROM .. WHERE ..`
    /// finds.
    pub fn count(&self, sql: &str) -> i64 {
        let tenant = format!(
            "(SELECT id FROM tenants WHERE name = '{}')",
            self.app.tenant
        );
        self.app
            .database
            .count(&format!("{sql} AND tenant_id = {tenant}"))
    }

    // Actions of an admin of the org, through its API.

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

    /// Returns an app created and connected without `setup`: a template (dialect B) or a SAML app
    /// (dialect A).
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
                // As typed, with the scheme.
                Some("scim2headerauth") => credentials,
                _ => credentials.trim_start_matches("Bearer "),
            },
        };
        self.okta.click_through(&id, typed).await.expect("connects");
        id
    }

    /// Returns the SCIM client of this tenant.
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

    /// Checks the exit code, and that the message contains this.
    #[track_caller]
    pub fn expect_message(self, code: i32, part: &str) -> Self {
        let ran = self.expect(code);
        assert!(ran.stderr.contains(part), "no {part:?} in {:?}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran
    }

    /// Returns a member specific to the command.
    pub fn more(&self, name: &str) -> Value {
        self.json["more"][name].clone()
    }

    /// Returns the number of changes that it lists for this step.
    pub fn changes_of(&self, step: &str) -> usize {
        let changes = self.json["changes"].as_array().into_iter().flatten();
        changes.filter(|change| change["step"] == step).count()
    }

    /// Returns the finding about this subject.
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
