//! `plan` and `apply`: the same looks in the same order; `apply` makes true what they find, looks again, and goes on.
//! Each step is read, compared, written only where it differs, and read back, so that it can be stopped anywhere.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Secret;
use crate::setup::assign::{self, Resolved};
use crate::setup::connect::{self, Connection, Manual};
use crate::setup::definition::Carries;
use crate::setup::instructions::{self, TokenPlace};
use crate::setup::kept::{Keep, KeptApp};
use crate::setup::report::{Outcome, State};
use crate::setup::run::{Action, Change, Run, Write};
use crate::setup::value::{id_of, text, texts};
use crate::setup::{Failure, OktaId, Why, app, check, profile, recover, watch};

/// A step that has not come to rest after so many rounds never will.
const MAX_ROUNDS: usize = 6;

/// The steps, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    App,
    Logo,
    Token,
    Connection,
    Console,
    Profile,
    Assign,
    Push,
    Hook,
}

const STEPS: [Step; 9] = [
    Step::App,
    Step::Logo,
    Step::Token,
    Step::Connection,
    Step::Console,
    Step::Profile,
    Step::Assign,
    Step::Push,
    Step::Hook,
];

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::App => app::STEP,
            Self::Logo => app::LOGO_STEP,
            Self::Token => connect::TOKEN_STEP,
            Self::Connection => connect::STEP,
            Self::Console => connect::MANUAL_STEP,
            Self::Profile => profile::STEP,
            Self::Assign => assign::STEP,
            Self::Push => assign::PUSH_STEP,
            Self::Hook => watch::STEP,
        }
    }
}

/// How long `apply` waits for a person, and how often it looks.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    pub at_most: Duration,
    pub every: Duration,
}

/// What a run has found so far.
pub struct Found {
    pub app: Option<Value>,
    pub wished: Resolved,
    token: TokenPlace,
    hook_secret: Option<Secret>,
}

impl Found {
    pub fn app_id(&self) -> Option<OktaId> {
        self.app.as_ref().and_then(id_of)
    }
}

/// Reads the org, the credential, the wished names and the app.
///
/// # Errors
/// See [`Failure`].
pub async fn find(run: &mut Run, hook_secret: Option<Secret>) -> Result<Found, Failure> {
    let session = std::sync::Arc::clone(&run.session);
    run.report.org = Some(session.wish.org.to_string());
    // Who only wants something done need not read what is well; `check` and `status` tell it.
    run.report.hush(run.report.verb != "status");
    let org_id = check::org(&session, &mut run.report).await?;
    match &run.kept.org_id {
        Some(kept) if *kept != org_id => {
            return Err(Failure::new(
                Why::Invalid,
                format!(
                    "{} is another org (id {org_id}) than the one that was set up (id {kept}).",
                    session.wish.org
                ),
            ));
        }
        _ => run.kept.org_id = Some(org_id),
    }
    check::credential(&session, &mut run.report).await?;
    run.report.hush(false);
    recover::lost_write(run).await?;
    let wished = assign::resolve(&session).await?;
    let app = app::find(run).await?;
    run.report.app = app.as_ref().map(short);
    Ok(Found {
        app,
        wished,
        token: token_place(run),
        hook_secret,
    })
}

fn token_place(run: &Run) -> TokenPlace {
    match &run.kept.token {
        Some(token) if token.delivered => TokenPlace::Earlier,
        _ => TokenPlace::None,
    }
}

/// The app as a report shows it.
pub fn short(app: &Value) -> Value {
    json!({
        "id": text(app, "/id"),
        "name": text(app, "/name"),
        "label": text(app, "/label"),
        "status": text(app, "/status"),
        "features": texts(app, "/features"),
    })
}

async fn look(run: &mut Run, found: &Found, step: Step) -> Result<Vec<Change>, Failure> {
    let wish = run.session.wish.clone();
    let id = found.app_id();
    let provisions = wish.app.provisioning;
    let by_api = wish.app.carries() == Carries::ByApi;
    match step {
        Step::App => Ok(app::look(run, found.app.as_ref())),
        Step::Logo => app::look_at_logo(run, id.as_ref()),
        Step::Token if provisions && !by_api => connect::look_at_token(run).await,
        Step::Connection if provisions && by_api => connect::look(run, id.as_ref()).await,
        Step::Profile => profile::look(run, id.as_ref()).await,
        Step::Assign => assign::look(run, id.as_ref(), &found.wished).await,
        Step::Push => assign::look_at_pushes(run, id.as_ref(), &found.wished).await,
        Step::Hook => watch::look(run, found.hook_secret.as_ref()).await,
        Step::Token | Step::Connection | Step::Console => Ok(Vec::new()),
    }
}

/// `rollcall setup plan`: what `apply` would do. Writes nothing.
///
/// # Errors
/// See [`Failure`].
pub async fn plan(run: &mut Run, hook_secret: Option<Secret>) -> Result<Outcome, Failure> {
    let found = find(run, hook_secret).await?;
    let mut outcome = Outcome::Done;
    for step in STEPS {
        for change in look(run, &found, step).await? {
            run.report.change(change.step, change.sign, change.text);
            outcome = Outcome::Changes;
        }
        if step == Step::Console && connect::is_by_hand(&run.session.wish) {
            let manual = match &found.app {
                Some(app) => connect::look_at_clicks(run, app).await?,
                None => Manual {
                    missing: vec!["the clicks in the Admin Console".to_owned()],
                    ..Manual::default()
                },
            };
            if !manual.is_done() {
                run.report
                    .step(connect::MANUAL_STEP, State::Open, manual.missing.join("; "));
                if outcome == Outcome::Done {
                    outcome = Outcome::Manual;
                }
            }
        }
    }
    if let Some(app) = &found.app {
        report_drift(run, app);
    }
    Ok(outcome)
}

/// Each step's state, for `status`. Writes nothing.
///
/// # Errors
/// See [`Failure`].
pub async fn states(run: &mut Run, found: &Found) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::Done;
    let wish = run.session.wish.clone();
    for step in STEPS {
        if step == Step::Console {
            if !connect::is_by_hand(&wish) {
                continue;
            }
            let Some(app) = &found.app else {
                run.report
                    .step(step.name(), State::Pending, "needs the app");
                continue;
            };
            let manual = connect::look_at_clicks(run, app).await?;
            if manual.is_done() {
                let line = "Okta has come with the token, and the switches are on";
                run.report.step(step.name(), State::Done, line);
            } else {
                run.report
                    .step(step.name(), State::Open, manual.missing.join("; "));
                outcome = Outcome::Manual;
            }
            for hint in manual.hints {
                run.report.warn(step.name(), hint);
            }
            continue;
        }
        let changes = look(run, found, step).await?;
        if changes.is_empty() {
            if is_wished(&wish, step) {
                run.report.step(step.name(), State::Done, "as wished");
            }
            continue;
        }
        let lines: Vec<String> = changes
            .into_iter()
            .map(|change| format!("{} {}", change.sign, change.text))
            .collect();
        run.report
            .step(step.name(), State::Pending, lines.join("; "));
        if outcome == Outcome::Done {
            outcome = Outcome::Changes;
        }
    }
    if let Some(app) = &found.app {
        report_drift(run, app);
    }
    Ok(outcome)
}

fn is_wished(wish: &crate::setup::wish::Wish, step: Step) -> bool {
    let by_api = wish.app.carries() == Carries::ByApi;
    match step {
        Step::App => true,
        Step::Logo => wish.app.logo.is_some(),
        Step::Token => connect::is_by_hand(wish),
        Step::Connection => wish.app.provisioning && by_api,
        Step::Console => false,
        Step::Profile => !wish.attributes.is_empty(),
        Step::Assign => !(wish.assign.groups.is_empty() && wish.assign.users.is_empty()),
        Step::Push => !wish.push_groups.is_empty(),
        Step::Hook => wish.event_hook.is_some(),
    }
}

/// What differs and must not be put right by a PUT.
pub fn report_drift(run: &mut Run, app: &Value) {
    let wish = &run.session.wish;
    if wish.app.carries() == Carries::Never {
        return;
    }
    let drift = app::drift(wish, app);
    if !drift.is_empty() {
        let link = instructions::link(wish, app, "general");
        run.report.warn(
            "drift",
            format!(
                "{} of the app differ from setup.toml. A change by the API could switch SCIM off, so change them by hand: {link}",
                drift.join(", ")
            ),
        );
    }
}

/// `rollcall setup apply`: makes the wish true, as far as Okta's API goes, and stops where a person has to click.
///
/// # Errors
/// See [`Failure`]. What was done until then is on record, and the next run goes on from there.
pub async fn apply(
    run: &mut Run,
    hook_secret: Option<Secret>,
    waiting: Waiting,
) -> Result<Outcome, Failure> {
    if connect::is_by_hand(&run.session.wish)
        && run.options.token_file.is_none()
        && !run.options.may_print_token
        && !connect::look_at_token(run).await?.is_empty()
    {
        return Err(Failure::new(
            Why::Invalid,
            "A token for Okta is to be made, and JSON output does not show it: name a file for it with --token-file.",
        ));
    }
    let mut found = find(run, hook_secret).await?;
    run.save().await?;
    let mut changed = false;
    for step in STEPS {
        changed |= take(run, &mut found, step).await?;
        if step == Step::Connection {
            say_connection(run, &found).await?;
        }
        if step == Step::Console && connect::is_by_hand(&run.session.wish) {
            let open = wait_for_clicks(run, &mut found, waiting).await?;
            if open {
                return Ok(Outcome::Manual);
            }
        }
    }
    if let Some(app) = &found.app {
        report_drift(run, app);
        run.report.app = Some(short(app));
    }
    if !changed {
        run.report
            .ok("apply", "no changes: the org is as setup.toml wishes");
    }
    Ok(Outcome::Done)
}

/// Asks Okta for the connection of an app that is wired by hand, so that nobody clicks what is there already.
async fn say_connection(run: &mut Run, found: &Found) -> Result<(), Failure> {
    if !connect::is_by_hand(&run.session.wish) {
        return Ok(());
    }
    let Some(id) = found.app_id() else {
        return Ok(());
    };
    let line = match connect::probe(run, &id).await? {
        Connection::Enabled => "there is one that Okta's API knows",
        Connection::Disabled => "there is one that Okta's API knows, switched off",
        Connection::NotByApi => "not by the API (Okta answers UNKNOWN): it is made in the console",
    };
    run.report.ok(connect::STEP, line);
    Ok(())
}

/// One step: looks, writes, looks again, until there is nothing left. True where something was written.
async fn take(run: &mut Run, found: &mut Found, step: Step) -> Result<bool, Failure> {
    let mut changed = false;
    for _ in 0..MAX_ROUNDS {
        let changes = look(run, found, step).await?;
        if changes.is_empty() {
            if changed {
                run.report.step(step.name(), State::Done, "as wished");
            }
            return Ok(changed);
        }
        for change in changes {
            if matches!(change.action, Action::Later) {
                continue;
            }
            run.report
                .change(change.step, change.sign, change.text.clone());
            match perform(run, found, &change).await {
                Ok(()) => changed = true,
                // Nothing else depends on it.
                Err(failure) if is_minor(step, &failure) => {
                    run.report.warn(step.name(), failure.to_string());
                    return Ok(changed);
                }
                Err(failure) => return Err(failure),
            }
        }
        run.options.new_token = false;
    }
    run.report.warn(
        step.name(),
        "Okta does not show what was written yet; run the command again in a minute",
    );
    Ok(changed)
}

fn is_minor(step: Step, failure: &Failure) -> bool {
    let may_fail = matches!(step, Step::Logo | Step::Hook);
    may_fail && matches!(failure.why, Why::Invalid | Why::Unsupported | Why::Gone)
}

async fn perform(run: &mut Run, found: &mut Found, change: &Change) -> Result<(), Failure> {
    match &change.action {
        Action::Later => Ok(()),
        Action::Write(write) => {
            match run.write(change.step, write).await {
                Ok(_) => {}
                // Somebody was quicker, or a write before this one was done although no answer came.
                Err(failure) if failure.okta.code.as_deref() == Some("E0000062") => {
                    run.kept.keep(&write.keep, None);
                    run.save().await?;
                }
                Err(failure) => return Err(failure),
            }
            if change.step == app::STEP {
                read_back(run, found).await?;
            }
            Ok(())
        }
        Action::Adopt { app } => {
            // An app with our marker was made by us, and the answer was lost; one without is another's.
            let own = found.app.as_ref().is_some_and(|found| {
                text(found, "/settings/notes/admin")
                    .is_some_and(|notes| notes.contains(&app::marker(&run.session.wish)))
            });
            run.kept.app = Some(KeptApp {
                id: app.clone(),
                kind: run.session.wish.app.kind,
                adopted: !own,
            });
            run.save().await
        }
        Action::MakeToken => {
            let secret = connect::make_token(run).await?;
            deliver(run, found, &secret).await
        }
        Action::Connect { app } => {
            let Some(id) = app.clone().or_else(|| found.app_id()) else {
                return Ok(());
            };
            connect_by_api(run, &id).await
        }
    }
}

/// Hands the token to the admin, and only then counts it as delivered.
async fn deliver(run: &mut Run, found: &mut Found, secret: &Secret) -> Result<(), Failure> {
    match &run.options.token_file {
        Some(path) => {
            write_secret(path, secret)?;
            found.token = TokenPlace::File(path.display().to_string());
        }
        None => {
            run.report
                .tell(&format!("SCIM token (shown once): {}", secret.expose()));
            found.token = TokenPlace::Here(secret.expose().to_owned());
        }
    }
    run.kept.keep(&Keep::Connected, None);
    run.save().await
}

fn write_secret(path: &std::path::Path, secret: &Secret) -> Result<(), Failure> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut file| writeln!(file, "{}", secret.expose()))
        .map_err(|error| {
            Failure::new(
                Why::Invalid,
                format!(
                    "--token-file {}: {error}. The token is lost; the next run makes another.",
                    path.display()
                ),
            )
        })
}

async fn connect_by_api(run: &mut Run, app: &OktaId) -> Result<(), Failure> {
    let path = format!("/api/v1/apps/{app}/connections/default");
    let secret = connect::make_token(run).await?;
    let body = connect::connection_body(&run.session.wish, &secret);
    let write = Write::post(path, body, Keep::Connected).with("activate", "true");
    run.write(connect::STEP, &write).await?;
    match connect::probe(run, app).await? {
        Connection::Enabled => Ok(()),
        Connection::Disabled => {
            let path = format!("/api/v1/apps/{app}/connections/default/lifecycle/activate");
            let body = crate::setup::client::Body::None;
            let write = Write::new(reqwest::Method::POST, path, body, Keep::Nothing);
            run.write(connect::STEP, &write).await.map(|_| ())
        }
        Connection::NotByApi => Err(Failure::new(
            Why::Unsupported,
            "Okta took the connection and does not have it: this app's provisioning is out of the API's reach. Take the kind `scim-header`.",
        )),
    }
}

async fn read_back(run: &mut Run, found: &mut Found) -> Result<(), Failure> {
    // An app that was just made, and not one that --app-id named, is read by its id.
    if let Some(kept) = run.kept.app.clone() {
        let path = format!("/api/v1/apps/{}", kept.id);
        let app = run.session.client.get(&path, &[]).await?.body;
        run.report.app = Some(short(&app));
        found.app = Some(app);
    }
    Ok(())
}

/// Waits for the clicks. True where they are still open at the end.
async fn wait_for_clicks(
    run: &mut Run,
    found: &mut Found,
    waiting: Waiting,
) -> Result<bool, Failure> {
    let mut waited = Duration::ZERO;
    let mut told = Manual::default();
    let mut is_first = true;
    loop {
        if !is_first {
            read_back(run, found).await?;
        }
        let Some(app) = found.app.clone() else {
            return Ok(true);
        };
        let manual = connect::look_at_clicks(run, &app).await?;
        if manual.is_done() {
            run.report.step(
                connect::MANUAL_STEP,
                State::Done,
                "Okta has come with the token, and the switches are on",
            );
            return Ok(false);
        }
        if is_first && waiting.at_most > Duration::ZERO {
            // Whoever is to click needs to read it now.
            let lines = instructions::lines(&run.session.wish, &app, &found.token);
            for line in &lines {
                run.report.tell(line);
            }
        }
        if waited >= waiting.at_most {
            run.report
                .step(connect::MANUAL_STEP, State::Open, manual.missing.join("; "));
            for hint in &manual.hints {
                run.report.warn(connect::MANUAL_STEP, hint.clone());
            }
            let token = shown_to(run, &found.token);
            let lines = instructions::lines(&run.session.wish, &app, &token);
            if waiting.at_most == Duration::ZERO {
                for line in &lines {
                    run.report.tell(line);
                }
            }
            run.report
                .tell("Then run `rollcall setup apply` again; it goes on from here.");
            run.report.instructions = Some(lines);
            return Ok(true);
        }
        if manual != told {
            for line in manual.missing.iter().chain(&manual.hints) {
                run.report.tell(&format!("waiting: {line}"));
            }
            told = manual;
        }
        is_first = false;
        run.session.client.sleep(waiting.every).await;
        waited = waited.saturating_add(waiting.every);
    }
}

/// JSON never shows a token.
fn shown_to(run: &Run, token: &TokenPlace) -> TokenPlace {
    match token {
        TokenPlace::Here(_) if !run.options.may_print_token => TokenPlace::Earlier,
        other => other.clone(),
    }
}

/// `rollcall setup instructions`: the clicks, whether they are open or not.
///
/// # Errors
/// See [`Failure`].
pub async fn instruct(run: &mut Run) -> Result<Outcome, Failure> {
    let wish = run.session.wish.clone();
    if !connect::is_by_hand(&wish) {
        run.report.ok(
            connect::MANUAL_STEP,
            "nothing is to be clicked for this kind of app",
        );
        return Ok(Outcome::Done);
    }
    let app = app::find(run).await?.ok_or_else(|| {
        Failure::new(
            Why::Invalid,
            "The app is not made yet: run `rollcall setup apply` first.",
        )
    })?;
    run.report.app = Some(short(&app));
    let lines = instructions::lines(&wish, &app, &token_place(run));
    for line in &lines {
        run.report.tell(line);
    }
    run.report.instructions = Some(lines);
    let manual = connect::look_at_clicks(run, &app).await?;
    if manual.is_done() {
        run.report.ok(connect::MANUAL_STEP, "all of it is done");
        return Ok(Outcome::Done);
    }
    run.report
        .step(connect::MANUAL_STEP, State::Open, manual.missing.join("; "));
    for hint in manual.hints {
        run.report.warn(connect::MANUAL_STEP, hint);
    }
    Ok(Outcome::Manual)
}
