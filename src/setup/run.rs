//! The context of a subcommand: the session, the stored state, and the function that sends writes.

use std::sync::Arc;

use okta_client::{Method, RequestBody, Response};
use serde_json::Value;

use crate::service;
use crate::service::setup::{Ended, Records};
use crate::setup::report::Report;
use crate::setup::session::Session;
use crate::setup::state::{SetupState, StateChange};
use crate::setup::{Failure, FailureKind, OktaId};

/// The context of a subcommand.
pub struct Run {
    pub session: Arc<Session>,
    pub records: Records,
    pub state: SetupState,
    pub report: Report,
    pub options: RunOptions,
}

/// The flags of a subcommand.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Take over this app instead of creating one.
    pub app_id: Option<OktaId>,
    /// Where the SCIM token is written instead of printed.
    pub token_file: Option<std::path::PathBuf>,
    pub new_token: bool,
    /// Whether a token may be printed.
    pub may_print_token: bool,
}

/// A write, before it is sent.
#[derive(Debug, Clone)]
pub struct Write {
    pub method: Method,
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub body: RequestBody,
    /// What the write changes in the stored state.
    pub change: StateChange,
}

/// A difference from the desired state, and the action that removes it.
#[derive(Debug, Clone)]
pub struct PlannedChange {
    pub step: &'static str,
    pub sign: char,
    pub text: String,
    pub action: Action,
}

/// The action of a planned change.
#[derive(Debug, Clone)]
pub enum Action {
    /// Send a write to Okta.
    Write(Box<Write>),
    /// Create the token that the user enters in the console.
    CreateToken,
    /// Create the connection with a token.
    Connect { app: Option<OktaId> },
    /// Take over the app that `--app-id` names.
    Adopt { app: OktaId },
    /// Nothing yet: the app must exist first. Only a plan shows it.
    Later,
}

impl Write {
    /// Creates a write.
    pub fn new(method: Method, path: String, body: RequestBody, change: StateChange) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body,
            change,
        }
    }

    /// Creates a POST with a JSON body.
    pub fn post(path: String, body: Value, change: StateChange) -> Self {
        Self::new(Method::POST, path, RequestBody::Json(body), change)
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }
}

impl PlannedChange {
    /// Creates a change that a write makes.
    pub fn write(step: &'static str, sign: char, text: impl Into<String>, write: Write) -> Self {
        Self {
            step,
            sign,
            text: text.into(),
            action: Action::Write(Box::new(write)),
        }
    }

    /// Creates a change that waits for the app.
    pub fn later(step: &'static str, text: impl Into<String>) -> Self {
        Self {
            step,
            sign: '+',
            text: text.into(),
            action: Action::Later,
        }
    }
}

/// Converts an error of Rollcall's own services.
pub fn store_failure(error: service::Error) -> Failure {
    let message = match &error {
        service::Error::NotFound(_) => {
            format!("{error}. Set rollcall.tenant in setup.toml to an existing one.")
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
    /// Loads the stored state of the tenant and the org.
    ///
    /// # Errors
    /// Returns an error if a newer version wrote the state.
    pub async fn open(
        session: Arc<Session>,
        records: Records,
        report: Report,
        options: RunOptions,
    ) -> Result<Self, Failure> {
        let state = match records.load().await.map_err(store_failure)? {
            None => SetupState::default(),
            Some(text) => serde_json::from_str(&text).map_err(|error| {
                Failure::new(
                    FailureKind::Invalid,
                    format!("Cannot read the stored state of the setup ({error}). Was it written by a newer Rollcall?"),
                )
            })?,
        };
        Ok(Self {
            session,
            records,
            state,
            report,
            options,
        })
    }

    /// Saves the state.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written.
    pub async fn save(&self) -> Result<(), Failure> {
        self.records
            .save(self.state_json()?)
            .await
            .map_err(store_failure)
    }

    fn state_json(&self) -> Result<String, Failure> {
        serde_json::to_string(&self.state)
            .map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))
    }

    /// Sends a write. It is recorded before, and with Okta's request id afterwards. Without a
    /// response the record stays open, and the next run finds out what became of the write.
    ///
    /// # Errors
    /// Returns the failure of the request.
    pub async fn write(&mut self, step: &'static str, write: &Write) -> Result<Response, Failure> {
        self.state.pending = Some(write.change.clone());
        let state = self.state_json()?;
        let id = self
            .records
            .begin(step, write.method.as_str(), &write.path, state)
            .await
            .map_err(store_failure)?;
        let query: Vec<(&str, &str)> = write
            .query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let client = &self.session.client;
        let sent = client
            .send(write.method.clone(), &write.path, &query, &write.body)
            .await;
        let ended = match &sent {
            Ok(response) => Ended {
                status: Some(i64::from(response.status)),
                request_id: response.request_id.clone(),
                ..Ended::default()
            },
            Err(failure) if failure.okta.status.is_none() => return sent,
            Err(failure) => Ended {
                status: failure.okta.status.map(i64::from),
                request_id: failure.okta.request_id.clone(),
                error_code: failure.okta.code.clone(),
                error_id: failure.okta.error_id.clone(),
            },
        };
        // Okta may have executed a write that it answered with a 5xx.
        if ended.status.is_none_or(|status| status < 500) {
            self.state.pending = None;
        }
        if let Ok(response) = &sent {
            let created = response.body.get("id").and_then(Value::as_str);
            self.state
                .apply(&write.change, created.and_then(|id| OktaId::parse(id).ok()));
        }
        let state = self.state_json()?;
        self.records
            .end(id, ended, state)
            .await
            .map_err(store_failure)?;
        sent
    }

    /// Sends a write that removes something, which may be gone already.
    ///
    /// # Errors
    /// Returns the failure of the request, unless the object does not exist.
    pub async fn write_unless_gone(
        &mut self,
        step: &'static str,
        write: &Write,
    ) -> Result<(), Failure> {
        match self.write(step, write).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.kind == FailureKind::NotFound => {
                self.state.apply(&write.change, None);
                self.save().await
            }
            Err(failure) => Err(failure),
        }
    }
}
