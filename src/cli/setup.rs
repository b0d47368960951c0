//! `rollcall setup`: the verbs. What they do is in [`crate::setup`]; here is what they print and exit with.
//!
//! 0 done, 1 a wrong wish or anything else, 2 a step is left for a person, 3 refused for rights, 4 Okta unreachable
//! or limited.

use std::process::ExitCode;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::config::{OktaArgs, OktaSettings};
use crate::setup::report::{Outcome, Report};
use crate::setup::{Failure, Session, Why, check};

#[derive(Debug, clap::Subcommand)]
pub enum SetupCommand {
    /// Say who the credential is and what it may do, and what stands in the way; reads only
    Check {
        #[command(flatten)]
        okta: OktaArgs,
    },
}

pub async fn run(command: SetupCommand) -> anyhow::Result<ExitCode> {
    match command {
        SetupCommand::Check { okta } => {
            let mut report = Report::new("check");
            let done = check_all(&okta, &mut report).await;
            finish(&okta, report, done)
        }
    }
}

async fn check_all(okta: &OktaArgs, report: &mut Report) -> Result<Outcome, Failure> {
    let session = open(okta)?;
    report.org = Some(session.wish.org.to_string());
    check::org(&session, report).await?;
    check::credential(&session, report).await?;
    check::apps(&session, report).await?;
    Ok(Outcome::Done)
}

fn open(okta: &OktaArgs) -> Result<Session, Failure> {
    let settings =
        OktaSettings::load(okta).map_err(|error| Failure::new(Why::Invalid, error.to_string()))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    Session::open(&settings, clock)
}

/// Prints the report and answers the exit code. The failure goes to standard error.
fn finish(
    okta: &OktaArgs,
    mut report: Report,
    done: Result<Outcome, Failure>,
) -> anyhow::Result<ExitCode> {
    match done {
        Ok(outcome) => report.end(outcome),
        Err(failure) => report.fail(failure),
    }
    if okta.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", report.text());
    }
    if let Some(failure) = &report.error {
        eprintln!("rollcall: {failure}");
    }
    Ok(ExitCode::from(report.exit_code))
}
