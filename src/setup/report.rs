//! The report of a subcommand: lines of text, or one JSON object with the same content.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::setup::{Failure, FailureKind, advice};

/// The report of one subcommand.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub verb: &'static str,
    pub outcome: Outcome,
    pub exit_code: u8,
    pub org: Option<String>,
    pub app: Option<Value>,
    pub steps: Vec<StepLine>,
    pub changes: Vec<ChangeLine>,
    pub findings: Vec<Finding>,
    pub instructions: Option<Vec<String>>,
    /// Further results of the subcommand, by name.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub more: serde_json::Map<String, Value>,
    #[serde(serialize_with = "serialize_failure")]
    pub error: Option<Failure>,
    /// Prints each line at once.
    #[serde(skip)]
    listener: Option<fn(&str)>,
    /// Whether findings of the level `ok` are recorded without being printed.
    #[serde(skip)]
    is_quiet: bool,
}

/// The outcome of a subcommand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    #[default]
    Done,
    /// There is something to do.
    Changes,
    /// A step is open that the user has to do in the Admin Console.
    Manual,
    Refused,
    Unreachable,
    Failed,
}

/// The state of one step.
#[derive(Debug, Clone, Serialize)]
pub struct StepLine {
    pub step: &'static str,
    pub state: StepState,
    pub detail: String,
}

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Done,
    /// Waits for the user.
    Open,
    /// Not started.
    Pending,
    Skipped,
    Failed,
}

/// A planned or applied change.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeLine {
    pub step: &'static str,
    /// `+` creates, `~` changes, `-` removes.
    pub sign: char,
    pub text: String,
}

/// An observation about the org, the credential or the app.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub level: Level,
    pub about: &'static str,
    pub text: String,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    Warning,
    Fault,
}

impl Report {
    /// Creates a report. `listener` prints each line; there is none for JSON.
    pub fn new(verb: &'static str, listener: Option<fn(&str)>) -> Self {
        Self {
            verb,
            listener,
            ..Self::default()
        }
    }

    /// Stops printing findings of the level `ok`. They are still recorded.
    pub fn mute_ok(&mut self) {
        self.is_quiet = true;
    }

    /// Prints findings of every level again.
    pub fn unmute_ok(&mut self) {
        self.is_quiet = false;
    }

    /// Prints a line that is not part of the JSON.
    pub fn print(&self, line: &str) {
        if let Some(listener) = self.listener {
            listener(line);
        }
    }

    /// Records a finding that is in order.
    pub fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.record(Level::Ok, about, text.into());
    }

    /// Records a warning.
    pub fn warn(&mut self, about: &'static str, text: impl Into<String>) {
        self.record(Level::Warning, about, text.into());
    }

    /// Records a fault, which makes `check` fail.
    pub fn fault(&mut self, about: &'static str, text: impl Into<String>) {
        self.record(Level::Fault, about, text.into());
    }

    fn record(&mut self, level: Level, about: &'static str, text: String) {
        let mark = match level {
            Level::Ok => "ok  ",
            Level::Warning => "warn",
            Level::Fault => "FAIL",
        };
        if !(self.is_quiet && level == Level::Ok) {
            self.print(&format!("{mark}  {about:<11} {text}"));
        }
        self.findings.push(Finding { level, about, text });
    }

    /// Records the state of a step.
    pub fn step(&mut self, step: &'static str, state: StepState, detail: impl Into<String>) {
        let detail = detail.into();
        let mark = match state {
            StepState::Done => "done",
            StepState::Open => "OPEN",
            StepState::Pending => "-   ",
            StepState::Skipped => "skip",
            StepState::Failed => "FAIL",
        };
        self.print(&format!("{mark}  {step:<11} {detail}"));
        self.steps.push(StepLine {
            step,
            state,
            detail,
        });
    }

    /// Records a change.
    pub fn change(&mut self, step: &'static str, sign: char, text: impl Into<String>) {
        let text = text.into();
        self.print(&format!("   {sign}  {step:<11} {text}"));
        self.changes.push(ChangeLine { step, sign, text });
    }

    /// Ends the report. An earlier failure takes precedence.
    pub fn end(&mut self, outcome: Outcome) {
        if self.error.is_none() {
            self.outcome = outcome;
            self.exit_code = match outcome {
                Outcome::Done | Outcome::Changes => 0,
                Outcome::Manual => 2,
                Outcome::Refused => 3,
                Outcome::Unreachable => 4,
                Outcome::Failed => 1,
            };
        }
    }

    /// Ends the report with a failure, and adds the advice for it.
    pub fn fail(&mut self, failure: Failure) {
        self.outcome = match failure.kind {
            FailureKind::AccessDenied => Outcome::Refused,
            FailureKind::Unavailable | FailureKind::OutcomeUnknown => Outcome::Unreachable,
            _ => Outcome::Failed,
        };
        self.exit_code = exit_code(failure.kind);
        self.error = Some(advice::add(failure));
    }
}

/// Returns the exit code of `rollcall setup`.
fn exit_code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::AccessDenied => 3,
        FailureKind::Unavailable | FailureKind::OutcomeUnknown => 4,
        FailureKind::NotFound
        | FailureKind::AlreadyExists
        | FailureKind::Unsupported
        | FailureKind::Invalid
        | FailureKind::UnexpectedResponse => 1,
    }
}

/// The JSON form of a failure.
#[derive(Serialize)]
struct FailureJson<'f> {
    why: &'static str,
    message: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    okta_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    okta_code: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    okta_error_id: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    okta_request_id: Option<&'f str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    causes: &'f [String],
}

fn serialize_failure<S: Serializer>(
    failure: &Option<Failure>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    failure
        .as_ref()
        .map(|failure| FailureJson {
            why: match failure.kind {
                FailureKind::AccessDenied => "refused",
                FailureKind::Unavailable => "unreachable",
                FailureKind::OutcomeUnknown => "uncertain",
                FailureKind::NotFound => "gone",
                FailureKind::AlreadyExists => "taken",
                FailureKind::Unsupported => "unsupported",
                FailureKind::Invalid | FailureKind::UnexpectedResponse => "invalid",
            },
            message: &failure.message,
            okta_status: failure.okta.status,
            okta_code: failure.okta.code.as_deref(),
            okta_error_id: failure.okta.error_id.as_deref(),
            okta_request_id: failure.okta.request_id.as_deref(),
            causes: &failure.okta.causes,
        })
        .serialize(serializer)
}
