//! A run that may write: the session, the record, and the one way in which a write is sent.

use std::sync::Arc;

use okta_client::client::Response;
use okta_client::transport::RequestBody;
use reqwest::Method;
use serde_json::Value;

use crate::service;
use crate::service::setup::{Ended, Records};
use crate::setup::report::Report;
use crate::setup::session::Session;
use crate::setup::state::{SetupState, StateChange};
use crate::setup::{Failure, FailureKind, OktaId};

pub struct Run {
    pub session: Arc<Session>,
    pub records: Records,
    pub kept: SetupState,
    pub report: Report,
    pub options: RunOptions,
}

/// What the flags of a verb ask for.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Take over this app instead of making one.
    pub app_id: Option<OktaId>,
    /// Where the SCIM token is written instead of printed.
    pub token_file: Option<std::path::PathBuf>,
    pub new_token: bool,
    /// Whether there is somebody to print a token for.
    pub may_print_token: bool,
}

/// A write, before it is sent.
#[derive(Debug, Clone)]
pub struct Write {
    pub method: Method,
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: RequestBody,
    pub keep: StateChange,
}

/// One line of the diff, and what it takes to make it true.
#[derive(Debug, Clone)]
pub struct PlannedChange {
    pub step: &'static str,
    pub sign: char,
    pub text: String,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    Write(Box<Write>),
    /// Our own token for Okta, by hand into the console.
    MakeToken,
    /// Our own token, given to Okta with the connection.
    Connect {
        app: Option<OktaId>,
    },
    /// Take over the app that `--app-id` names.
    Adopt {
        app: OktaId,
    },
    /// It needs an app that is still to be made: it is shown in a plan, and looked at again when there is one.
    Later,
}

impl Write {
    pub fn new(method: Method, path: String, body: RequestBody, keep: StateChange) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body,
            keep,
        }
    }

    pub fn post(path: String, body: Value, keep: StateChange) -> Self {
        Self::new(Method::POST, path, RequestBody::Json(body), keep)
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }
}

impl PlannedChange {
    pub fn write(step: &'static str, sign: char, text: impl Into<String>, write: Write) -> Self {
        Self {
            step,
            sign,
            text: text.into(),
            action: Action::Write(Box::new(write)),
        }
    }

    pub fn later(step: &'static str, text: impl Into<String>) -> Self {
        Self {
            step,
            sign: '+',
            text: text.into(),
            action: Action::Later,
        }
    }
}

/// A fault of our own database.
pub fn ours(error: service::Error) -> Failure {
    let message = match &error {
        service::Error::NotFound(_) => {
            format!("{error}. Name an existing one as rollcall.tenant in setup.toml.")
        }
        service::Error::Conflict(text) | service::Error::BadRequest(text) => text.clone(),
        _ => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!(
                "Rollcall's own database: {error} {}",
                cause.unwrap_or_default()
            )
        }
    };
    Failure::new(FailureKind::Invalid, message)
}

impl Run {
    /// Loads the record of the wished tenant and org.
    ///
    /// # Errors
    /// An unknown tenant, or a record that a newer version wrote.
    pub async fn open(
        session: Arc<Session>,
        records: Records,
        report: Report,
        options: RunOptions,
    ) -> Result<Self, Failure> {
        let kept = match records.load().await.map_err(ours)? {
            None => SetupState::default(),
            Some(text) => serde_json::from_str(&text).map_err(|error| {
                Failure::new(
                    FailureKind::Invalid,
                    format!("The record of the setup cannot be read ({error}); was it written by a newer Rollcall?"),
                )
            })?,
        };
        Ok(Self {
            session,
            records,
            kept,
            report,
            options,
        })
    }

    /// # Errors
    /// Where the database does not answer.
    pub async fn save(&self) -> Result<(), Failure> {
        self.records.save(self.state()?).await.map_err(ours)
    }

    fn state(&self) -> Result<String, Failure> {
        serde_json::to_string(&self.kept)
            .map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))
    }

    /// Sends one write: noted before, with Okta's request id after, together with what is kept of it. Without an answer
    /// the note stays open, and the next run looks what became of it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn write(&mut self, step: &'static str, write: &Write) -> Result<Response, Failure> {
        self.kept.pending = Some(write.keep.clone());
        let state = self.state()?;
        let id = self
            .records
            .begin(step, write.method.as_str(), &write.path, state)
            .await
            .map_err(ours)?;
        let query: Vec<(&str, &str)> = write
            .query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let client = &self.session.client;
        let sent = client
            .send(write.method.clone(), &write.path, &query, &write.body)
            .await;
        let (answer, ended) = match sent {
            Ok(answer) => {
                let ended = Ended {
                    status: Some(i64::from(answer.status)),
                    request_id: answer.request_id.clone(),
                    ..Ended::default()
                };
                (Ok(answer), ended)
            }
            Err(failure) if failure.okta.status.is_none() => return Err(failure),
            Err(failure) => {
                let ended = Ended {
                    status: failure.okta.status.map(i64::from),
                    request_id: failure.okta.request_id.clone(),
                    error_code: failure.okta.code.clone(),
                    error_id: failure.okta.error_id.clone(),
                };
                (Err(failure), ended)
            }
        };
        // A refusal by 5xx may have been done all the same.
        if ended.status.is_none_or(|status| status < 500) {
            self.kept.pending = None;
        }
        if let Ok(answer) = &answer {
            let made = answer.body.get("id").and_then(Value::as_str);
            self.kept
                .keep(&write.keep, made.and_then(|id| OktaId::parse(id).ok()));
        }
        let state = self.state()?;
        self.records.end(id, ended, state).await.map_err(ours)?;
        answer
    }

    /// [`Run::write`], where it is no fault that there is nothing to do any more.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn write_if_there(
        &mut self,
        step: &'static str,
        write: &Write,
    ) -> Result<(), Failure> {
        match self.write(step, write).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.why == FailureKind::Gone => {
                self.kept.keep(&write.keep, None);
                self.save().await
            }
            Err(failure) => Err(failure),
        }
    }
}
