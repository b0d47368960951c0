//! Actions of admins in Okta's Admin Console, and changes in the directory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::org::{ApiToken, Connection, Dialect, Job, Org, ServiceApp};
use super::{FakeOkta, assign, push};

/// The actions that an admin can switch on for an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Click {
    Create,
    Update,
    Deactivate,
    SyncPassword,
}

/// The values that an admin types into the form of the API integration.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'t> {
    pub base_url: &'t str,
    /// The value of the token field.
    pub token: &'t str,
}

impl FakeOkta {
    // Credentials.

    /// An API token of a service account with these roles.
    pub fn token(&self, roles: &[&'static str]) -> ApiToken {
        let mut org = self.org();
        let user = org.add_user(person("svc-rollcall@acme.example", "Service", "Rollcall"));
        let token = ApiToken {
            id: org.new_id("00T"),
            secret: org.new_id("00secretOf"),
            user,
            roles: roles.to_vec(),
            is_expired: false,
            is_elsewhere: false,
            days_left: 30,
        };
        org.tokens.push(token.clone());
        token
    }

    /// Changes the existing token.
    pub fn change_token(&self, change: impl FnOnce(&mut ApiToken)) {
        change(self.org().tokens.last_mut().expect("a token"));
    }

    /// A service app with this public key.
    pub fn service_app(&self, key: Value, scopes: &[&str], wants_proof: bool) -> String {
        let mut org = self.org();
        let client_id = org.new_id("0oa");
        org.service_apps.push(ServiceApp {
            client_id: client_id.clone(),
            keys: vec![key],
            scopes: scopes.iter().map(ToString::to_string).collect(),
            roles: vec!["SUPER_ADMIN"],
            wants_proof,
        });
        client_id
    }

    // The directory.

    /// Adds a user with this login, found by the part before the `@`.
    pub fn hire(&self, login: &str) -> String {
        let name = login.split(['@', '.']).next().unwrap_or(login);
        self.org().add_user(person(login, name, "Byron"))
    }

    /// Adds a group with these members (by id).
    pub fn group(&self, name: &str, members: &[&str]) -> String {
        let mut org = self.org();
        let id = org.add_group(name, false);
        let group = org.groups.get_mut(&id).expect("just made");
        group.members = members.iter().map(ToString::to_string).collect();
        id
    }

    pub fn join(&self, group: &str, user: &str) {
        self.change_group(group, |org| {
            let group = org.groups.get_mut(group).expect("a group");
            group.members.insert(user.to_owned());
        });
    }

    pub fn leave(&self, group: &str, user: &str) {
        self.change_group(group, |org| {
            org.groups
                .get_mut(group)
                .expect("a group")
                .members
                .remove(user);
        });
    }

    pub fn rename_group(&self, group: &str, name: &str) {
        self.change_group(group, |org| {
            org.groups.get_mut(group).expect("a group").name = name.to_owned();
        });
    }

    fn change_group(&self, group: &str, change: impl FnOnce(&mut Org)) {
        let mut org = self.org();
        change(&mut org);
        assign::follow_group(&mut org, group);
        drop(org);
        self.shared.notify();
    }

    /// Changes attributes of a user's profile in Okta.
    pub fn edit_profile(&self, user: &str, profile: Value) {
        let Value::Object(profile) = profile else {
            panic!("no profile");
        };
        assign::change_profile(&mut self.org(), user, profile);
        self.shared.notify();
    }

    pub fn deactivate_user(&self, user: &str) {
        assign::deactivate_user(&mut self.org(), user);
        self.shared.notify();
    }

    /// Sets a new password, with Sync Password on.
    pub fn change_password(&self, app: &str, user: &str, password: &str) {
        let mut org = self.org();
        let row = org.apps.get_mut(app).expect("an app");
        let row = row.users.get_mut(user).expect("assigned");
        row.password = Some(password.to_owned());
        let (app, user) = (app.to_owned(), user.to_owned());
        org.jobs.push_back(Job::Update { app, user });
        drop(org);
        self.shared.notify();
    }

    // Provisioning in the console.

    /// Does all eight steps: Provisioning > Configure API Integration > Enable, base URL, token,
    /// Test, Save; then To App > Edit > Create Users, Update User Attributes, Deactivate Users >
    /// Save.
    ///
    /// Returns the error that the console shows if the connection test fails; then nothing is
    /// saved.
    pub async fn click_through(&self, app: &str, typed: Typed<'_>) -> Result<(), String> {
        self.click_integration(app, typed).await?;
        self.click_to_app(app, &[Click::Create, Click::Update, Click::Deactivate]);
        Ok(())
    }

    /// Saves the API integration only, with Okta's connection test against the real server.
    pub async fn click_integration(&self, app: &str, typed: Typed<'_>) -> Result<(), String> {
        let connection = {
            let org = self.org();
            let app = &org.apps[app];
            assert!(
                app.is_template() || app.is_custom(),
                "{} has no Provisioning tab",
                app.name
            );
            let authorization = match app.name.as_str() {
                "scim2headerauth" => typed.token.to_owned(),
                "scim2testapp_basic" => format!("Basic {}", STANDARD.encode(typed.token)),
                _ => format!("Bearer {}", typed.token),
            };
            Connection {
                base_url: typed.base_url.trim_end_matches('/').to_owned(),
                authorization,
                dialect: if app.is_custom() {
                    Dialect::Put
                } else {
                    Dialect::Patch
                },
            }
        };
        push::test(&push::client(), &connection).await?;
        let mut org = self.org();
        let app = org.apps.get_mut(app).expect("an app");
        app.connection = Some(connection);
        for feature in [
            "SCIM_PROVISIONING",
            "GROUP_PUSH",
            "IMPORT_NEW_USERS",
            "IMPORT_PROFILE_UPDATES",
        ] {
            if !app.features.contains(&feature) {
                app.features.push(feature);
            }
        }
        Ok(())
    }

    /// To App > Edit > these boxes > Save. The tab appears only after the integration is saved.
    pub fn click_to_app(&self, app: &str, clicks: &[Click]) {
        let mut org = self.org();
        let app = org.apps.get_mut(app).expect("an app");
        assert!(app.connection.is_some(), "there is no tab `To App` yet");
        for click in clicks {
            let feature = match click {
                Click::Create => "PUSH_NEW_USERS",
                Click::Update => "PUSH_PROFILE_UPDATES",
                Click::Deactivate => "PUSH_USER_DEACTIVATION",
                Click::SyncPassword => "PUSH_PASSWORD_UPDATES",
            };
            if !app.features.contains(&feature) {
                app.features.push(feature);
            }
        }
    }

    /// Push Groups > Push Now.
    pub fn push_now(&self, app: &str, group: &str) {
        let mut org = self.org();
        let pushes = org.apps[app].pushes.values();
        let push = pushes
            .filter(|push| push.source == group)
            .map(|push| push.id.clone())
            .next();
        assign::push_soon(&mut org, app, &push.expect("a pushed group"), true);
        drop(org);
        self.shared.notify();
    }

    /// Dashboard > Tasks > Retry Selected, for every failed user of the app.
    pub fn retry_failed(&self, app: &str) {
        let mut org = self.org();
        let rows = org.apps[app]
            .users
            .values()
            .filter(|row| row.sync_state == "ERROR");
        let jobs: Vec<Job> = rows
            .map(|row| Job::Provision {
                app: app.to_owned(),
                user: row.user.clone(),
            })
            .collect();
        org.jobs.extend(jobs);
        drop(org);
        self.shared.notify();
    }

    /// Import > Import Now: all users of the app, page by page.
    pub async fn import(&self, app: &str) -> Vec<Value> {
        let connection = self.connection(app);
        push::import(&push::client(), &connection, "/Users").await
    }

    pub fn connection(&self, app: &str) -> Connection {
        self.org().apps[app]
            .connection
            .clone()
            .expect("a connection")
    }

    // What the console shows.

    /// Returns the id of the only app with this label.
    #[track_caller]
    pub fn app(&self, label: &str) -> String {
        let org = self.org();
        let found: Vec<&String> = org
            .apps
            .values()
            .filter(|app| app.label == label)
            .map(|app| &app.id)
            .collect();
        assert_eq!(found.len(), 1, "apps called {label}");
        found[0].clone()
    }

    /// Returns `PROVISIONED` or another status, and the id that the app assigned to the user.
    pub fn app_user(
        &self,
        app: &str,
        user: &str,
    ) -> Option<(&'static str, &'static str, Option<String>)> {
        let org = self.org();
        let row = org.apps[app].users.get(user)?;
        Some((row.status, row.sync_state, row.external_id.clone()))
    }

    /// Returns our id of a user of the app.
    #[track_caller]
    pub fn external_id(&self, app: &str, user: &str) -> String {
        let (status, sync, id) = self.app_user(app, user).expect("assigned");
        id.unwrap_or_else(|| panic!("{user} is not provisioned: {status} {sync}"))
    }

    /// Returns the reasons of all failures in the System Log.
    pub fn failures(&self) -> Vec<String> {
        let org = self.org();
        let failed = org
            .log
            .iter()
            .filter(|event| event["outcome"]["result"] == "FAILURE");
        failed
            .map(|event| {
                event["outcome"]["reason"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    }
}

fn person(login: &str, given: &str, family: &str) -> Map<String, Value> {
    let profile = json!({
        "login": login, "email": login, "firstName": given, "lastName": family,
        "displayName": format!("{given} {family}"),
    });
    profile.as_object().expect("an object").clone()
}
