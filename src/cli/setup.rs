//! `rollcall setup`: flags, output and exit codes. The subcommands themselves are in
//! [`crate::setup`].
//!
//! Exit codes: 0 done, 1 an invalid `setup.toml` or any other error, 2 a manual step is open, 3
//! access denied, 4 Okta unavailable or limiting requests.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::config::{self, OktaArgs, OktaSettings};
use crate::service::setup::Records;
use crate::setup::commands::instructions::Polling;
use crate::setup::commands::remove::Removal;
use crate::setup::commands::{apply, check, instructions, plan, reconcile, remove, status, verify};
use crate::setup::report::{Outcome, Report};
use crate::setup::run::RunOptions;
use crate::setup::{Failure, FailureKind, OktaId, Run, Session, run};

/// The subcommands of `rollcall setup`.
#[derive(Debug, clap::Subcommand)]
pub enum SetupCommand {
    /// Check the credential, the names, the app and drift; reads only
    Check(CheckArgs),
    /// Show what `apply` would do; reads only
    Plan(PlanArgs),
    /// Make the org match setup.toml; can be stopped and repeated at any time
    Apply(ApplyArgs),
    /// Show the state of each step, the number of users and new failures
    Status(CheckArgs),
    /// Prove that provisioning works: assign a test user, see it arrive, unassign it, see it
    /// deactivated
    Verify(VerifyArgs),
    /// Remove what setup created, and nothing else; without `--yes` only show it
    Remove(RemoveArgs),
    /// Compare the users of the app in Okta with those in Rollcall; reads only
    Reconcile(CheckArgs),
    /// Print the steps to do in Okta's Admin Console, with the real values
    Instructions(CheckArgs),
}

/// Arguments of the subcommands without flags of their own.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    okta: OktaArgs,
}

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    okta: OktaArgs,
    /// Take over this app instead of creating one
    #[arg(long, value_name = "ID", value_parser = OktaId::parse)]
    app_id: Option<OktaId>,
}

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    okta: OktaArgs,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Take over this app instead of creating one
    #[arg(long, value_name = "ID", value_parser = OktaId::parse)]
    app_id: Option<OktaId>,
    /// Write the SCIM token for Okta into this file instead of printing it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Create a new SCIM token for Okta and revoke the old one
    #[arg(long)]
    new_token: bool,
    /// How long to wait for the steps in the console, such as `15m`
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0s")]
    wait: Duration,
    /// How often to check meanwhile
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    poll: Duration,
}

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    okta: OktaArgs,
    /// Credential or id of a user of the org who does not have the app; it is given and taken again
    #[arg(long, value_name = "LOGIN")]
    user: String,
    /// How long to wait for the user to arrive and to be deactivated, each, such as `15m`
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "15m")]
    wait: Duration,
    /// How often to check meanwhile
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    poll: Duration,
}

/// Arguments of `remove`.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    okta: OktaArgs,
    /// Remove it instead of only showing it
    #[arg(long)]
    yes: bool,
    /// How long to wait until Okta has deactivated the users that lose the app; `0s` does not wait
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5m")]
    wait: Duration,
    /// How often to check meanwhile
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    poll: Duration,
    /// Do not revoke Rollcall's token for Okta
    #[arg(long)]
    keep_token: bool,
    /// Revoke the Okta API token that this command uses, at the end
    #[arg(long)]
    revoke_okta_token: bool,
}

/// Runs `rollcall setup`.
pub async fn run(command: SetupCommand) -> anyhow::Result<ExitCode> {
    match command {
        SetupCommand::Check(args) => {
            let work = async |run: &mut Run, _: &OktaSettings| check::check(run).await;
            run_plain("check", &args, work).await
        }
        SetupCommand::Plan(args) => {
            let options = RunOptions {
                app_id: args.app_id,
                ..RunOptions::default()
            };
            let subcommand = Subcommand::new("plan", &args.okta);
            subcommand.run(options, plan_work).await
        }
        SetupCommand::Apply(args) => run_apply(args).await,
        SetupCommand::Status(args) => {
            let work = async |run: &mut Run, settings: &OktaSettings| {
                status::status(run, settings.event_hook_secret.clone()).await
            };
            run_plain("status", &args, work).await
        }
        SetupCommand::Verify(args) => {
            let polling = polling(args.wait, args.poll);
            let subcommand = Subcommand::new("verify", &args.okta);
            let work = async |run: &mut Run, _: &OktaSettings| {
                verify::verify(run, &args.user, polling).await
            };
            subcommand.run(RunOptions::default(), work).await
        }
        SetupCommand::Remove(args) => run_remove(args).await,
        SetupCommand::Reconcile(args) => {
            let work = async |run: &mut Run, _: &OktaSettings| reconcile::reconcile(run).await;
            run_plain("reconcile", &args, work).await
        }
        SetupCommand::Instructions(args) => {
            let work = async |run: &mut Run, _: &OktaSettings| instructions::instruct(run).await;
            run_plain("instructions", &args, work).await
        }
    }
}

/// Runs a subcommand without flags of its own.
async fn run_plain(
    name: &'static str,
    args: &CheckArgs,
    work: impl AsyncFnOnce(&mut Run, &OktaSettings) -> Result<Outcome, Failure>,
) -> anyhow::Result<ExitCode> {
    Subcommand::new(name, &args.okta)
        .run(RunOptions::default(), work)
        .await
}

async fn run_remove(args: RemoveArgs) -> anyhow::Result<ExitCode> {
    let removal = Removal {
        is_confirmed: args.yes,
        polling: polling(args.wait, args.poll),
        keep_token: args.keep_token,
        revoke_okta_token: args.revoke_okta_token,
    };
    let work = async |run: &mut Run, _: &OktaSettings| remove::remove(run, removal).await;
    Subcommand::new("remove", &args.okta)
        .run(RunOptions::default(), work)
        .await
}

async fn plan_work(run: &mut Run, settings: &OktaSettings) -> Result<Outcome, Failure> {
    plan::plan(run, settings.event_hook_secret.clone()).await
}

async fn run_apply(args: ApplyArgs) -> anyhow::Result<ExitCode> {
    let options = RunOptions {
        app_id: args.app_id,
        token_file: args.token_file,
        new_token: args.new_token,
        may_print_token: !args.okta.json,
    };
    let polling = polling(args.wait, args.poll);
    if !args.yes {
        let subcommand = Subcommand::new("apply", &args.okta);
        let planned = subcommand.report(options.clone(), plan_work).await?;
        if planned.error.is_some() {
            return subcommand.finish(planned);
        }
        if !planned.changes.is_empty() && !is_confirmed(&args.okta)? {
            eprintln!("rollcall: nothing was changed; pass `--yes` to apply without asking");
            return Ok(ExitCode::from(1));
        }
    }
    let subcommand = Subcommand::new("apply", &args.okta);
    subcommand
        .run(options, async |run, settings| {
            apply::apply(run, settings.event_hook_secret.clone(), polling).await
        })
        .await
}

/// Returns how to wait, with an interval of at least 100 ms.
fn polling(timeout: Duration, interval: Duration) -> Polling {
    Polling {
        timeout,
        interval: interval.max(Duration::from_millis(100)),
    }
}

/// Asks for confirmation at the terminal. Without one there is none.
fn is_confirmed(okta: &OktaArgs) -> anyhow::Result<bool> {
    if okta.json || !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print!("Apply these changes? [y/N] ");
    std::io::stdout().flush()?;
    let mut response = String::new();
    std::io::stdin().lock().read_line(&mut response)?;
    Ok(matches!(response.trim(), "y" | "Y" | "yes"))
}

/// A subcommand about to run.
struct Subcommand<'a> {
    name: &'static str,
    okta: &'a OktaArgs,
}

impl<'a> Subcommand<'a> {
    fn new(name: &'static str, okta: &'a OktaArgs) -> Self {
        Self { name, okta }
    }

    /// Runs the work, prints the report and returns the exit code.
    async fn run(
        &self,
        options: RunOptions,
        work: impl AsyncFnOnce(&mut Run, &OktaSettings) -> Result<Outcome, Failure>,
    ) -> anyhow::Result<ExitCode> {
        let report = self.report(options, work).await?;
        self.finish(report)
    }

    /// Opens the session and the store, runs the work and returns the report.
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
        report.org = Some(session.desired.org.to_string());
        let store = super::store::open(&self.okta.database)?;
        let tenant = session.desired.rollcall.tenant.clone();
        let org = session.desired.org.to_string();
        let limits = config::load(&self.okta.database)?;
        let records = Records::open(Arc::clone(&store), clock, tenant, org, limits).await;
        let done = match records {
            Err(error) => Err(run::store_failure(error)),
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

    /// Prints the report as JSON if that is asked for, and a failure to standard error.
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

/// Parses `90s`, `15m` or `2h`.
fn time(text: &str) -> Result<Duration, String> {
    let fault = || format!("`{text}` is not a time such as 90s, 15m or 2h");
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
