//! What a verb found and did: the same for people and, as JSON, for programs.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::setup::{Failure, Why};

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
    pub fn new(verb: &'static str) -> Self {
        Self {
            verb,
            ..Self::default()
        }
    }

    pub fn ok(&mut self, about: &'static str, text: impl Into<String>) {
        self.find(Level::Ok, about, text);
    }

    pub fn warn(&mut self, about: &'static str, text: impl Into<String>) {
        self.find(Level::Warning, about, text);
    }

    pub fn fault(&mut self, about: &'static str, text: impl Into<String>) {
        self.find(Level::Fault, about, text);
    }

    fn find(&mut self, level: Level, about: &'static str, text: impl Into<String>) {
        self.findings.push(Finding {
            level,
            about,
            text: text.into(),
        });
    }

    pub fn step(&mut self, step: &'static str, state: State, detail: impl Into<String>) {
        self.steps.push(StepLine {
            step,
            state,
            detail: detail.into(),
        });
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
            Why::Refused => Outcome::Refused,
            Why::Unreachable | Why::Uncertain => Outcome::Unreachable,
            _ => Outcome::Failed,
        };
        self.exit_code = failure.why.exit_code();
        self.error = Some(failure);
    }

    /// For people. The failure is not in it: it goes to standard error.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let mark = match finding.level {
                Level::Ok => "ok  ",
                Level::Warning => "warn",
                Level::Fault => "FAIL",
            };
            let _ = writeln!(text, "{mark}  {:<11} {}", finding.about, finding.text);
        }
        for step in &self.steps {
            let mark = match step.state {
                State::Done => "done",
                State::Open => "OPEN",
                State::Pending => "-   ",
                State::Skipped => "skip",
                State::Failed => "FAIL",
            };
            let _ = writeln!(text, "{mark}  {:<11} {}", step.step, step.detail);
        }
        for change in &self.changes {
            let _ = writeln!(
                text,
                "  {} {:<11} {}",
                change.sign, change.step, change.text
            );
        }
        if let Some(lines) = &self.instructions {
            for line in lines {
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }
}
