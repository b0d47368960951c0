//! What a verb found and did: the same for people and, as JSON, for programs.

use serde::Serialize;
use serde_json::Value;

use crate::setup::{Failure, FailureKind};

/// The end of a verb.
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
    /// What a verb has to say beside all that, by name.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub more: serde_json::Map<String, Value>,
    pub error: Option<Failure>,
    /// Told of each line as it comes to be, for people who wait.
    #[serde(skip)]
    listener: Option<fn(&str)>,
    /// Good news is only kept, not told.
    #[serde(skip)]
    is_hushed: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    #[default]
    Done,
    /// A plan that has something to do.
    Changes,
    /// A step is left that only a person can do.
    Manual,
    Refused,
    Unreachable,
    Failed,
}

#[derive(Debug, Clone, Serialize)]
pub struct StepLine {
    pub step: &'static str,
    pub state: State,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Done,
    /// Waits for a person.
    Open,
    /// Not yet tried.
    Pending,
    Skipped,
    Failed,
}

/// One line of a diff.
#[derive(Debug, Clone, Serialize)]
pub struct ChangeLine {
    pub step: &'static str,
    /// `+` makes, `~` changes, `-` removes.
    pub sign: char,
    pub text: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub level: Level,
    pub about: &'static str,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    Warning,
    Fault,
}

impl Report {
    /// `listener` is told of each line at once; there is none for JSON.
    pub fn new(verb: &'static str, listener: Option<fn(&str)>) -> Self {
        Self {
            verb,
            listener,
            ..Self::default()
        }
    }

    /// From here on, or no longer, only what is not well is told; all of it is kept.
    pub fn hush(&mut self, is_hushed: bool) {
        self.is_hushed = is_hushed;
    }

    /// A line for people alone.
    pub fn tell(&self, line: &str) {
        if let Some(listener) = self.listener {
            listener(line);
        }
    }

    pub fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.find(Level::Ok, about, text.into());
    }

    pub fn warn(&mut self, about: &'static str, text: impl Into<String>) {
        self.find(Level::Warning, about, text.into());
    }

    pub fn fault(&mut self, about: &'static str, text: impl Into<String>) {
        self.find(Level::Fault, about, text.into());
    }

    fn find(&mut self, level: Level, about: &'static str, text: String) {
        let mark = match level {
            Level::Ok => "ok  ",
            Level::Warning => "warn",
            Level::Fault => "FAIL",
        };
        if !(self.is_hushed && level == Level::Ok) {
            self.tell(&format!("{mark}  {about:<11} {text}"));
        }
        self.findings.push(Finding { level, about, text });
    }

    pub fn step(&mut self, step: &'static str, state: State, detail: impl Into<String>) {
        let detail = detail.into();
        let mark = match state {
            State::Done => "done",
            State::Open => "OPEN",
            State::Pending => "-   ",
            State::Skipped => "skip",
            State::Failed => "FAIL",
        };
        self.tell(&format!("{mark}  {step:<11} {detail}"));
        self.steps.push(StepLine {
            step,
            state,
            detail,
        });
    }

    pub fn change(&mut self, step: &'static str, sign: char, text: impl Into<String>) {
        let text = text.into();
        self.tell(&format!("   {sign}  {step:<11} {text}"));
        self.changes.push(ChangeLine { step, sign, text });
    }

    /// Ends the verb. A failure that came before counts for more.
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

    /// Ends the verb with a failure.
    pub fn fail(&mut self, failure: Failure) {
        self.outcome = match failure.why {
            FailureKind::Refused => Outcome::Refused,
            FailureKind::Unreachable | FailureKind::Uncertain => Outcome::Unreachable,
            _ => Outcome::Failed,
        };
        self.exit_code = failure.why.exit_code();
        self.error = Some(failure);
    }
}
