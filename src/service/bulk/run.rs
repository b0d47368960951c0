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
    /// It has run, and its result is committed.
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
    /// The bytes of resources and changes that it may still write.
    bytes_left: u64,
    options: Arc<Options>,
    response: ResponseOptions,
    /// The memory of the operations.
    pub held: Option<Reservation>,
}

/// The indexes of operations, and the result of each.
pub(super) type Results = Vec<(usize, Result<Done, Error>)>;
type SliceResults = Vec<(usize, Result<Done, OperationFailure>)>;

/// The results of one unit of work.
#[derive(Default)]
pub(super) struct Slice {
    done: SliceResults,
    failed: HashSet<usize>,
    /// How many of the remaining units it has run.
    units: usize,
    /// Enough operations have failed that the others do not run.
    is_last: bool,
    /// The bytes of resources and changes that it has written.
    bytes: u64,
}

/// Why an operation failed.
enum OperationFailure {
    /// It was rejected before it ran, with the error of its job.
    Before,
    Within(Error),
}

/// The reason why a cycle of creates was rolled back.
struct CycleFailure {
    /// The operation that failed, if it was one of them.
    by: Option<usize>,
    error: OperationFailure,
}

impl From<StoreError> for CycleFailure {
    fn from(error: StoreError) -> Self {
        Self {
            by: None,
            error: OperationFailure::Within(error.into()),
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
            bytes_left: options.scim.bulk.write_bytes,
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

    pub fn may_write(&self) -> bool {
        self.bytes_left > 0
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
    /// It may run again if the slice is undone, so only [`Run::advance`] removes them.
    pub fn slice(&self, tx: &mut Tx<'_>) -> Result<Slice, Error> {
        let mut slice = Slice::default();
        let before = tx.bytes_written();
        for unit in &self.units {
            if !self.is_ready(unit) {
                break;
            }
            let results = match unit.as_slice() {
                [index] => vec![(*index, self.run_one(tx, &slice, *index)?)],
                _ => self.run_cycle(tx, &slice, unit)?,
            };
            slice.units += 1;
            for (index, result) in results {
                if result.is_err() {
                    slice.failed.insert(index);
                }
                slice.done.push((index, result));
            }
            let failed = self.failed.len() + slice.failed.len();
            slice.is_last = self.fail_on_errors.is_some_and(|limit| failed >= limit);
            slice.bytes = tx.bytes_written().saturating_sub(before);
            let is_full = slice.bytes >= self.bytes_left || tx.is_full();
            if slice.is_last || is_full || tx.held_for() >= SLICE {
                break;
            }
        }
        Ok(slice)
    }

    /// Removes the operations of a slice that is committed, and returns their results.
    pub fn advance(&mut self, slice: Slice) -> Results {
        self.units.drain(..slice.units.min(self.units.len()));
        if slice.is_last {
            self.units.clear();
        }
        self.failed.extend(slice.failed);
        self.bytes_left = self.bytes_left.saturating_sub(slice.bytes);
        let done = slice.done.into_iter();
        done.map(|(index, result)| {
            let job = self.operations.get_mut(index);
            let job = job.map(|operation| std::mem::replace(&mut operation.job, BulkJob::Taken));
            let result = result.map_err(|failure| match (failure, job) {
                (OperationFailure::Before, Some(BulkJob::Rejected(error))) => error,
                (OperationFailure::Before, _) => Error::internal("an operation ran twice"),
                (OperationFailure::Within(error), _) => error,
            });
            (index, result)
        })
        .collect()
    }

    /// The results of a run that ends here: each operation that has not run gets this error.
    pub fn abandon(&self, error: impl Fn() -> Error) -> Results {
        let remaining = self.units.iter().flatten();
        remaining.map(|index| (*index, Err(error()))).collect()
    }

    fn is_ready(&self, unit: &[usize]) -> bool {
        unit.iter()
            .filter_map(|index| self.operations.get(*index))
            .all(|operation| !operation.awaits_password)
    }

    /// Returns the write of an operation, or its error if it is rejected or refers to one that
    /// failed.
    fn write_of(&self, slice: &Slice, index: usize) -> Result<&Write, OperationFailure> {
        let operation = self.operations.get(index).ok_or(OperationFailure::Before)?;
        let has_failed = |other| self.failed.contains(other) || slice.failed.contains(other);
        if operation.uses.iter().any(has_failed) {
            let unresolved =
                "A bulkId did not resolve: the operation that should create the resource failed.";
            let error = ScimError::invalid_value(unresolved);
            return Err(OperationFailure::Within(error.into()));
        }
        match &operation.job {
            BulkJob::Ready(write) => Ok(write),
            BulkJob::Rejected(_) | BulkJob::Taken => Err(OperationFailure::Before),
        }
    }

    /// Runs one operation. The outer error is a fault of the database, which ends the slice.
    fn run_one(
        &self,
        tx: &mut Tx<'_>,
        slice: &Slice,
        index: usize,
    ) -> Result<Result<Done, OperationFailure>, Error> {
        let write = match self.write_of(slice, index) {
            Ok(write) => write,
            Err(failure) => return Ok(Err(failure)),
        };
        let result = tx.attempt(|tx| write.run(tx, &self.options, &self.response))?;
        Ok(result.map_err(|error| {
            let user_name = write.user_name();
            let error = user_names::explain_in(tx, user_name.as_deref(), error);
            OperationFailure::Within(error)
        }))
    }

    /// Runs creates that refer to one another: first each without the members that do not exist
    /// yet, then these members. All of them are committed or none (RFC 7644 section 3.7.1).
    fn run_cycle(
        &self,
        tx: &mut Tx<'_>,
        slice: &Slice,
        unit: &[usize],
    ) -> Result<SliceResults, Error> {
        let result = match self.creates_of(slice, unit) {
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
        let mut failure = match result {
            Ok(done) => {
                return Ok(done
                    .into_iter()
                    .map(|(index, done)| (index, Ok(done)))
                    .collect());
            }
            Err(failure) => failure,
        };
        let failed = unit.iter().map(|index| {
            let error = if failure.by == Some(*index) {
                std::mem::replace(&mut failure.error, OperationFailure::Before)
            } else {
                OperationFailure::Within(Error::Conflict(
                    "It refers, in a circle, to an operation that failed; none of the circle was kept."
                        .to_owned(),
                ))
            };
            (*index, Err(error))
        });
        Ok(failed.collect())
    }

    /// Returns the creates of a cycle, or the first error among its operations. They are copies,
    /// because each leaves members out.
    fn creates_of(
        &self,
        slice: &Slice,
        unit: &[usize],
    ) -> Result<Vec<(usize, Create)>, CycleFailure> {
        let creates = unit.iter().map(|index| {
            let create = self.write_of(slice, *index).and_then(Write::to_create);
            match create {
                Ok(create) => Ok((*index, create)),
                Err(error) => Err(CycleFailure {
                    by: Some(*index),
                    error,
                }),
            }
        });
        creates.collect()
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
            error: OperationFailure::Within(error),
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
        error: match failure.error {
            OperationFailure::Before => OperationFailure::Before,
            OperationFailure::Within(error) => {
                OperationFailure::Within(user_names::explain_in(tx, name, error))
            }
        },
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
    fn to_create(&self) -> Result<Create, OperationFailure> {
        match self {
            Self::Create(create) => Ok(create.clone()),
            Self::Replace(_) | Self::Patch(_) | Self::Delete(_) => {
                let error = Error::internal("a circle that is not made of creates");
                Err(OperationFailure::Within(error))
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
        &self,
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
