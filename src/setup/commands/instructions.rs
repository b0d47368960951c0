//! What a person has to click in the console: telling it, and waiting until it is done.

use std::time::Duration;

use crate::setup::report::{Outcome, State};
use crate::setup::steps::connection::Manual;
use crate::setup::steps::diff::{OrgState, read_back, short, token_place};
use crate::setup::steps::manual_steps::TokenLocation;
use crate::setup::steps::{app, connection, manual_steps};
use crate::setup::{Failure, FailureKind, Run};

/// How long `apply` waits for a person, and how often it looks.
#[derive(Debug, Clone, Copy)]
pub struct PendingStep {
    pub at_most: Duration,
    pub every: Duration,
}

/// Waits for the clicks. True where they are still open at the end.
pub async fn wait_for_clicks(
    run: &mut Run,
    found: &mut OrgState,
    waiting: PendingStep,
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
        let manual = connection::look_at_clicks(run, &app).await?;
        if manual.is_done() {
            run.report.step(
                connection::MANUAL_STEP,
                State::Done,
                "Okta has come with the token, and the switches are on",
            );
            return Ok(false);
        }
        if is_first && waiting.at_most > Duration::ZERO {
            // Whoever is to click needs to read it now.
            let lines = manual_steps::lines(&run.session.wish, &app, &found.token);
            for line in &lines {
                run.report.tell(line);
            }
        }
        if waited >= waiting.at_most {
            run.report.step(
                connection::MANUAL_STEP,
                State::Open,
                manual.missing.join("; "),
            );
            for hint in &manual.hints {
                run.report.warn(connection::MANUAL_STEP, hint.clone());
            }
            let token = shown_to(run, &found.token);
            let lines = manual_steps::lines(&run.session.wish, &app, &token);
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
fn shown_to(run: &Run, token: &TokenLocation) -> TokenLocation {
    match token {
        TokenLocation::Here(_) if !run.options.may_print_token => TokenLocation::Earlier,
        other => other.clone(),
    }
}

/// `rollcall setup instructions`: the clicks, whether they are open or not.
///
/// # Errors
/// See [`Failure`].
pub async fn instruct(run: &mut Run) -> Result<Outcome, Failure> {
    let wish = run.session.wish.clone();
    if !connection::is_by_hand(&wish) {
        run.report.ok(
            connection::MANUAL_STEP,
            "nothing is to be clicked for this kind of app",
        );
        return Ok(Outcome::Done);
    }
    let app = app::find(run).await?.ok_or_else(|| {
        Failure::new(
            FailureKind::Invalid,
            "The app is not made yet: run `rollcall setup apply` first.",
        )
    })?;
    run.report.app = Some(short(&app));
    let lines = manual_steps::lines(&wish, &app, &token_place(run));
    for line in &lines {
        run.report.tell(line);
    }
    run.report.instructions = Some(lines);
    let manual = connection::look_at_clicks(run, &app).await?;
    if manual.is_done() {
        run.report.ok(connection::MANUAL_STEP, "all of it is done");
        return Ok(Outcome::Done);
    }
    run.report.step(
        connection::MANUAL_STEP,
        State::Open,
        manual.missing.join("; "),
    );
    for hint in manual.hints {
        run.report.warn(connection::MANUAL_STEP, hint);
    }
    Ok(Outcome::Manual)
}
