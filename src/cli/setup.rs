//! `rollcall setup`: the verbs. What they do is in [`crate::setup`]; here is what they print and exit with.
//!
//! 0 done, 1 a wrong wish or anything else, 2 a step is left for a person, 3 refused for rights, 4 Okta unreachable
//! or limited.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::config::{OktaArgs, OktaSettings};
use crate::service::setup::Records;
use crate::setup::commands::instructions::PendingStep;
use crate::setup::commands::remove::Removal;
use crate::setup::commands::{apply, check, instructions, plan, reconcile, remove, status, verify};
use crate::setup::report::{Outcome, Report};
use crate::setup::run::RunOptions;
use crate::setup::{Failure, FailureKind, OktaId, Run, Session, run};

#[derive(Debug, clap::Subcommand)]
pub enum SetupCommand {
    /// Say who the credential is, what it may do, and what stands in the way or has drifted; reads only
    Check(CheckArgs),
    /// Show what `apply` would do; reads only
    Plan(PlanArgs),
    /// Make the org as setup.toml wishes; may be stopped and run again at any time
    Apply(ApplyArgs),
    /// Say how far it is, who has the app, and what failed since the last time
    Status(CheckArgs),
    /// Prove that provisioning works: assign a test user, see it arrive, take it away, see it deactivated
    Verify(VerifyArgs),
    /// Take away what setup made, and nothing else; without `--yes` only shown
    Remove(RemoveArgs),
    /// Compare who has the app in Okta with who is stored here; reads only
    Reconcile(CheckArgs),
    /// Print the clicks in Okta's Admin Console that no API does, with the real values
    Instructions(CheckArgs),
}

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    okta: OktaArgs,
}

#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    okta: OktaArgs,
    /// Take over this app instead of making one
    #[arg(long, value_name = "ID", value_parser = OktaId::parse)]
    app_id: Option<OktaId>,
}

#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    okta: OktaArgs,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Take over this app instead of making one
    #[arg(long, value_name = "ID", value_parser = OktaId::parse)]
    app_id: Option<OktaId>,
    /// Write the SCIM token for Okta into this file instead of printing it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Make a new SCIM token for Okta and revoke the old one
    #[arg(long)]
    new_token: bool,
    /// How long to wait for the clicks in the console, such as `15m`
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0s")]
    wait: Duration,
    /// How often to look meanwhile
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    poll: Duration,
}

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    okta: OktaArgs,
    /// Login or id of a user of the org who does not have the app; it is given and taken again
    #[arg(long, value_name = "LOGIN")]
    user: String,
    /// How long to wait for each of the two, such as `15m`
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "15m")]
    wait: Duration,
    /// How often to look meanwhile
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    poll: Duration,
}

#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    okta: OktaArgs,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// How long to wait until Okta has deactivated here whom the app is taken from; `0s` waits for nobody
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5m")]
    wait: Duration,
    /// How often to look meanwhile
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    poll: Duration,
    /// Leave Rollcall's token for Okta alive
    #[arg(long)]
    keep_token: bool,
    /// Revoke the Okta API token that this command uses, at the end
    #[arg(long)]
    revoke_okta_token: bool,
}

pub async fn run(command: SetupCommand) -> anyhow::Result<ExitCode> {
    match command {
        SetupCommand::Check(args) => {
            let verb = Verb::new("check", &args.okta);
            verb.run(RunOptions::default(), async |run, _| {
                check::check(run).await
            })
            .await
        }
        SetupCommand::Plan(args) => {
            let options = RunOptions {
                app_id: args.app_id,
                ..RunOptions::default()
            };
            let verb = Verb::new("plan", &args.okta);
            verb.run(options, async |run, settings| {
                plan::plan(run, settings.event_hook_secret.clone()).await
            })
            .await
        }
        SetupCommand::Apply(args) => apply_verb(args).await,
        SetupCommand::Status(args) => {
            let verb = Verb::new("status", &args.okta);
            verb.run(RunOptions::default(), async |run, settings| {
                status::status(run, settings.event_hook_secret.clone()).await
            })
            .await
        }
        SetupCommand::Verify(args) => {
            let waiting = waiting(args.wait, args.poll);
            let verb = Verb::new("verify", &args.okta);
            verb.run(RunOptions::default(), async |run, _| {
                verify::verify(run, &args.user, waiting).await
            })
            .await
        }
        SetupCommand::Remove(args) => {
            let removal = Removal {
                do_it: args.yes,
                waiting: waiting(args.wait, args.poll),
                keep_token: args.keep_token,
                revoke_okta_token: args.revoke_okta_token,
            };
            let verb = Verb::new("remove", &args.okta);
            verb.run(RunOptions::default(), async |run, _| {
                remove::remove(run, removal).await
            })
            .await
        }
        SetupCommand::Reconcile(args) => {
            let verb = Verb::new("reconcile", &args.okta);
            verb.run(RunOptions::default(), async |run, _| {
                reconcile::reconcile(run).await
            })
            .await
        }
        SetupCommand::Instructions(args) => {
            let verb = Verb::new("instructions", &args.okta);
            verb.run(RunOptions::default(), async |run, _| {
                instructions::instruct(run).await
            })
            .await
        }
    }
}

async fn apply_verb(args: ApplyArgs) -> anyhow::Result<ExitCode> {
    let options = RunOptions {
        app_id: args.app_id,
        token_file: args.token_file,
        new_token: args.new_token,
        may_print_token: !args.okta.json,
    };
    let waiting = waiting(args.wait, args.poll);
    if !args.yes {
        let verb = Verb::new("apply", &args.okta);
        let planned = verb
            .report(options.clone(), async |run, settings| {
                plan::plan(run, settings.event_hook_secret.clone()).await
            })
            .await?;
        if planned.error.is_some() {
            return verb.finish(planned);
        }
        if !planned.changes.is_empty() && !agrees(&args.okta)? {
            eprintln!("rollcall: nothing was done; `--yes` does it without asking");
            return Ok(ExitCode::from(1));
        }
    }
    let verb = Verb::new("apply", &args.okta);
    verb.run(options, async |run, settings| {
        apply::apply(run, settings.event_hook_secret.clone(), waiting).await
    })
    .await
}

fn waiting(at_most: Duration, poll: Duration) -> PendingStep {
    PendingStep {
        at_most,
        every: poll.max(Duration::from_millis(100)),
    }
}

/// Asks the person at the terminal; where there is none, nobody agrees.
fn agrees(okta: &OktaArgs) -> anyhow::Result<bool> {
    if okta.json || !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("Do this? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A verb that is about to run.
struct Verb<'a> {
    name: &'static str,
    okta: &'a OktaArgs,
}

impl<'a> Verb<'a> {
    fn new(name: &'static str, okta: &'a OktaArgs) -> Self {
        Self { name, okta }
    }

    /// Opens everything, does the work, prints, and answers the exit code.
    async fn run(
        &self,
        options: RunOptions,
        work: impl AsyncFnOnce(&mut Run, &OktaSettings) -> Result<Outcome, Failure>,
    ) -> anyhow::Result<ExitCode> {
        let report = self.report(options, work).await?;
        self.finish(report)
    }

    async fn report(
        &self,
        options: RunOptions,
        work: impl AsyncFnOnce(&mut Run, &OktaSettings) -> Result<Outcome, Failure>,
    ) -> anyhow::Result<Report> {
        let listener: Option<fn(&str)> = if self.okta.json { None } else { Some(print) };
        let mut report = Report::new(self.name, listener);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let opened = OktaSettings::load(self.okta)
            .map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))
            .and_then(|settings| {
                let session = Session::open(&settings, Arc::clone(&clock))?;
                Ok((settings, Arc::new(session)))
            });
        let (settings, session) = match opened {
            Ok(opened) => opened,
            Err(failure) => {
                report.fail(failure);
                return Ok(report);
            }
        };
        report.org = Some(session.wish.org.to_string());
        let store = super::store::open(&self.okta.database)?;
        let tenant = session.wish.rollcall.tenant.clone();
        let org = session.wish.org.to_string();
        let records = Records::open(Arc::clone(&store), clock, tenant, org).await;
        let done = match records {
            Err(error) => Err(run::ours(error)),
            Ok(records) => match Run::open(session, records, report.clone(), options).await {
                Err(failure) => Err(failure),
                Ok(mut run) => {
                    let done = work(&mut run, &settings).await;
                    report = run.report;
                    done
                }
            },
        };
        store.close();
        match done {
            Ok(outcome) => report.end(outcome),
            Err(failure) => report.fail(failure),
        }
        Ok(report)
    }

    /// The failure goes to standard error.
    fn finish(&self, report: Report) -> anyhow::Result<ExitCode> {
        if self.okta.json {
            println!("{}", serde_json::to_string(&report)?);
        }
        if let Some(failure) = &report.error {
            eprintln!("rollcall: {failure}");
        }
        Ok(ExitCode::from(report.exit_code))
    }
}

fn print(line: &str) {
    println!("{line}");
}

/// `90s`, `15m`, `2h`.
fn time(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{text}` is no time such as 90s, 15m or 2h");
    let span: jiff::SignedDuration = text.parse().map_err(|_| fault())?;
    Duration::try_from(span).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        assert!(time("soon").is_err() && time("-1s").is_err());
    }
}
