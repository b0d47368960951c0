//! Runs the operations of a bulk request, slice by slice.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use scim_core::ScimError;
use scim_core::bulk::Verb;
use scim_core::project::Selection;

use crate::memory::Reservation;
use crate::service::bulk::outcome::Done;
use crate::service::provision::create::Create;
use crate::service::provision::delete::Delete;
use crate::service::provision::patch::Patch;
use crate::service::provision::replace::Replace;
use crate::service::provision::representation::{ResponseOptions, Return};
use crate::service::provision::{passwords, user_names};
use crate::service::{Context, Error, Options, PasswordSync, Service};
use crate::store::{StoreError, Tx};

/// How long a slice may hold the tenant. Meanwhile its other writes wait, and on SQLite all others.
const SLICE: Duration = Duration::from_millis(50);

/// A write, ready to run.
pub(super) enum Write {
    Create(Create),
    Replace(Replace),
    Patch(Patch),
    Delete(Delete),
}

pub(super) enum BulkJob {
    Ready(Box<Write>),
    /// It is invalid by itself. Its error is reported when its turn comes.
    Rejected(Error),
    /// It has run.
    Taken,
}

struct Operation {
    job: BulkJob,
    /// The operations that create what it refers to.
    uses: BTreeSet<usize>,
    /// Its password must be compared with the stored one before it may run.
    awaits_password: bool,
}

/// The operations that have not run yet.
pub(super) struct Run {
    operations: Vec<Operation>,
    units: VecDeque<Vec<usize>>,
    failed: HashSet<usize>,
    fail_on_errors: Option<usize>,
    options: Arc<Options>,
    response: ResponseOptions,
    /// The memory of the operations.
    pub held: Option<Reservation>,
}

/// The indexes of operations, and the result of each.
type Results = Vec<(usize, Result<Done, Error>)>;

/// The results of one unit of work, and the operations that remain.
pub(super) struct Slice {
    pub done: Results,
    pub rest: Run,
}

/// The reason why a cycle of creates was rolled back.
struct CycleFailure {
    /// The operation that failed, if it was one of them.
    by: Option<usize>,
    error: Error,
}

impl From<StoreError> for CycleFailure {
    fn from(error: StoreError) -> Self {
        Self {
            by: None,
            error: error.into(),
        }
    }
}

impl Run {
    pub fn new(
        jobs: Vec<(BulkJob, BTreeSet<usize>)>,
        units: Vec<Vec<usize>>,
        fail_on_errors: Option<usize>,
        options: Arc<Options>,
    ) -> Self {
        let syncs = options.scim.password_sync == PasswordSync::On;
        let operations = jobs
            .into_iter()
            .map(|(job, uses)| Operation {
                awaits_password: match &job {
                    BulkJob::Ready(write) => syncs && write.may_change_password(),
                    BulkJob::Rejected(_) | BulkJob::Taken => false,
                },
                job,
                uses,
            })
            .collect();
        Self {
            operations,
            units: units.into(),
            failed: HashSet::new(),
            fail_on_errors,
            options,
            response: ResponseOptions {
                selection: Selection::all(),
                preference: Some(Return::Minimal),
            },
            held: None,
        }
    }

    pub fn len(&self) -> usize {
        self.operations.len()
    }

    pub fn is_done(&self) -> bool {
        self.units.is_empty()
    }

    /// Returns the operations that have not run, in their order.
    pub fn remaining(&self) -> Vec<usize> {
        self.units.iter().flatten().copied().collect()
    }

    /// Hashes the passwords of new users, several at a time.
    pub async fn hash_new_passwords(&mut self, sync: PasswordSync) -> Result<(), Error> {
        let creates = self
            .operations
            .iter_mut()
            .filter_map(|operation| match &mut operation.job {
                BulkJob::Ready(write) => match &mut **write {
                    Write::Create(create) => Some(create),
                    Write::Replace(_) | Write::Patch(_) | Write::Delete(_) => None,
                },
                BulkJob::Rejected(_) | BulkJob::Taken => None,
            });
        let mut hashed = stream::iter(creates)
            .map(|create| create.hash_password(sync))
            .buffer_unordered(passwords::MAX_CONCURRENT);
        while let Some(result) = hashed.next().await {
            result?;
        }
        Ok(())
    }

    /// Prepares the next operation if it may change a password: it must be compared with the stored
    /// one, which takes too long for a unit of work.
    pub async fn resolve_password(&mut self, service: &Service, context: &Context) {
        let Some(index) = self.units.front().and_then(|unit| unit.first()).copied() else {
            return;
        };
        let Some(operation) = self.operations.get_mut(index) else {
            return;
        };
        if !operation.awaits_password {
            return;
        }
        operation.awaits_password = false;
        if let BulkJob::Ready(write) = &mut operation.job
            && let Err(error) = write.resolve_password(service, context).await
        {
            operation.job = BulkJob::Rejected(error);
        }
    }

    /// Runs as many operations as fit into a slice, and at least one if none awaits its password.
    pub fn slice(mut self, tx: &mut Tx<'_>) -> Result<Slice, Error> {
        let mut done = Vec::new();
        while let Some(unit) = self.units.pop_front() {
            if !self.is_ready(&unit) {
                self.units.push_front(unit);
                break;
            }
            let results = match unit.as_slice() {
                [index] => vec![(*index, self.run_one(tx, *index)?)],
                _ => self.run_cycle(tx, unit)?,
            };
            for (index, result) in results {
                if result.is_err() {
                    self.failed.insert(index);
                }
                done.push((index, result));
            }
            if self
                .fail_on_errors
                .is_some_and(|limit| self.failed.len() >= limit)
            {
                self.units.clear();
            }
            if tx.held_for() >= SLICE || tx.is_full() {
                break;
            }
        }
        Ok(Slice { done, rest: self })
    }

    fn is_ready(&self, unit: &[usize]) -> bool {
        unit.iter()
            .filter_map(|index| self.operations.get(*index))
            .all(|operation| !operation.awaits_password)
    }

    fn take(&mut self, index: usize) -> BulkJob {
        match self.operations.get_mut(index) {
            Some(operation) => std::mem::replace(&mut operation.job, BulkJob::Taken),
            None => BulkJob::Taken,
        }
    }

    /// Returns the error of an operation that refers to one that failed.
    fn unresolved(&self, index: usize) -> Option<Error> {
        let uses = &self.operations.get(index)?.uses;
        uses.iter()
            .any(|other| self.failed.contains(other))
            .then(|| {
                ScimError::invalid_value(
                "A bulkId did not resolve: the operation that should create the resource failed.",
            )
            .into()
            })
    }

    /// Runs one operation. The outer error is a fault of the database, which ends the slice.
    fn run_one(&mut self, tx: &mut Tx<'_>, index: usize) -> Result<Result<Done, Error>, Error> {
        let unresolved = self.unresolved(index);
        let write = match (unresolved, self.take(index)) {
            (Some(error), _) | (None, BulkJob::Rejected(error)) => return Ok(Err(error)),
            (None, BulkJob::Ready(write)) => write,
            (None, BulkJob::Taken) => return Ok(Err(Error::internal("an operation ran twice"))),
        };
        let user_name = write.user_name();
        let result = tx.attempt(|tx| write.run(tx, &self.options, &self.response))?;
        Ok(result.map_err(|error| user_names::explain_in(tx, user_name.as_deref(), error)))
    }

    /// Runs creates that refer to one another: first each without the members that do not exist
    /// yet, then these members. All of them are committed or none (RFC 7644 section 3.7.1).
    fn run_cycle(&mut self, tx: &mut Tx<'_>, unit: Vec<usize>) -> Result<Results, Error> {
        let result = match self.take_creates(&unit) {
            Err(failure) => Err(failure),
            Ok(creates) => {
                let names: Vec<_> = creates
                    .iter()
                    .map(|(index, create)| (*index, create.user_name()))
                    .collect();
                let created =
                    tx.attempt(|tx| create_linked(tx, creates, &self.options, &self.response))?;
                created.map_err(|failure| explain(tx, failure, &names))
            }
        };
        Ok(match result {
            Ok(done) => done.into_iter().map(|(index, done)| (index, Ok(done))).collect(),
            Err(mut failure) => unit
                .into_iter()
                .map(|index| {
                    let error = if failure.by == Some(index) {
                        std::mem::replace(&mut failure.error, Error::Busy)
                    } else {
                        Error::Conflict(
                            "It refers, in a circle, to an operation that failed; none of the circle was kept."
                                .to_owned(),
                        )
                    };
                    (index, Err(error))
                })
                .collect(),
        })
    }

    /// Takes the creates of a cycle, or the first error among its operations.
    fn take_creates(&mut self, unit: &[usize]) -> Result<Vec<(usize, Create)>, CycleFailure> {
        let unresolved = unit
            .iter()
            .find_map(|index| Some((*index, self.unresolved(*index)?)));
        let mut creates = Vec::with_capacity(unit.len());
        let mut failed = unresolved;
        for index in unit {
            let create = match self.take(*index) {
                BulkJob::Ready(write) => write.into_create(),
                BulkJob::Rejected(error) => Err(error),
                BulkJob::Taken => Err(Error::internal("an operation ran twice")),
            };
            match create {
                Ok(create) => creates.push((*index, create)),
                Err(error) => failed = failed.or(Some((*index, error))),
            }
        }
        match failed {
            None => Ok(creates),
            Some((by, error)) => Err(CycleFailure {
                by: Some(by),
                error,
            }),
        }
    }
}

fn create_linked(
    tx: &mut Tx<'_>,
    mut creates: Vec<(usize, Create)>,
    options: &Options,
    response: &ResponseOptions,
) -> Result<Vec<(usize, Done)>, CycleFailure> {
    let id = |create: &Create| create.id().as_str().to_owned();
    let mut absent: HashSet<String> = creates.iter().map(|(_, create)| id(create)).collect();
    let mut deferred = Vec::new();
    for (index, create) in &mut creates {
        absent.remove(create.id().as_str());
        let members = create.defer_members(&absent);
        deferred.extend(members.map(|members| (*index, members)));
    }
    let failed = |index: usize| {
        move |error: Error| CycleFailure {
            by: Some(index),
            error,
        }
    };
    let mut done = Vec::with_capacity(creates.len());
    for (index, create) in creates {
        let written = create.run(tx, options, response).map_err(failed(index))?;
        done.push((index, Done::written(Verb::Create, &written)));
    }
    for (index, members) in deferred {
        members.run(tx, options).map_err(failed(index))?;
    }
    Ok(done)
}

/// Adds the user who has the name to the failure of a create over its user name.
fn explain(
    tx: &mut Tx<'_>,
    failure: CycleFailure,
    names: &[(usize, Option<String>)],
) -> CycleFailure {
    let name = names
        .iter()
        .find(|(index, _)| Some(*index) == failure.by)
        .and_then(|(_, name)| name.as_deref());
    CycleFailure {
        by: failure.by,
        error: user_names::explain_in(tx, name, failure.error),
    }
}

impl Write {
    /// Returns whether the password must be compared with the stored one before the write runs. A
    /// create has none.
    fn may_change_password(&self) -> bool {
        match self {
            Self::Create(_) | Self::Delete(_) => false,
            Self::Replace(replace) => replace.has_password(),
            Self::Patch(patch) => patch.sets_password(),
        }
    }

    async fn resolve_password(
        &mut self,
        service: &Service,
        context: &Context,
    ) -> Result<(), Error> {
        match self {
            Self::Create(_) | Self::Delete(_) => Ok(()),
            Self::Replace(replace) => replace.resolve_password(service, context).await,
            Self::Patch(patch) => patch.resolve_password(service, context).await,
        }
    }

    /// Only a POST has a `bulkId` that others can refer to.
    fn into_create(self) -> Result<Create, Error> {
        match self {
            Self::Create(create) => Ok(create),
            Self::Replace(_) | Self::Patch(_) | Self::Delete(_) => {
                Err(Error::internal("a circle that is not made of creates"))
            }
        }
    }

    fn user_name(&self) -> Option<String> {
        match self {
            Self::Create(create) => create.user_name(),
            Self::Replace(replace) => replace.user_name(),
            Self::Patch(_) | Self::Delete(_) => None,
        }
    }

    fn run(
        self,
        tx: &mut Tx<'_>,
        options: &Options,
        response: &ResponseOptions,
    ) -> Result<Done, Error> {
        Ok(match self {
            Self::Create(create) => {
                Done::written(Verb::Create, &create.run(tx, options, response)?)
            }
            Self::Replace(replace) => {
                Done::written(Verb::Replace, &replace.run(tx, options, response)?)
            }
            Self::Patch(patch) => Done::written(Verb::Patch, &patch.run(tx, options, response)?),
            Self::Delete(delete) => {
                delete.run(tx)?;
                Done {
                    verb: Verb::Delete,
                    version: None,
                }
            }
        })
    }
}
