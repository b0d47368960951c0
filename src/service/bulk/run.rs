//! Running the operations of a bulk request, slice by slice.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use scim_core::bulk::Verb;
use scim_core::project::Selection;
use scim_core::{ScimError, Version};

use crate::service::bulk::Done;
use crate::service::provision::representation::{ResponseOptions, Return, Written};
use crate::service::provision::writes::{Create, Delete, Patch, Replace};
use crate::service::provision::{passwords, requests};
use crate::service::{Context, Error, Options, PasswordSync, Service};
use crate::store::tables::resources::Password;
use crate::store::{ResourceId, StoreError, Tx, Unique};

/// How long a slice may hold the tenant; every other write of it waits meanwhile, and on SQLite all others.
const SLICE: Duration = Duration::from_millis(50);

/// A write that was made ready.
pub(super) enum Write {
    Create(Create),
    Replace(ResourceId, Replace),
    Patch(ResourceId, Patch),
    Delete(Delete),
}

pub(super) enum BulkJob {
    Ready(Box<Write>),
    /// It is wrong by itself, which its turn will tell.
    Refused(Error),
    /// It was run.
    Gone,
}

struct Operation {
    job: BulkJob,
    /// The operations that create what it refers to.
    uses: BTreeSet<usize>,
    /// `None`: to be weighed against the stored one before the operation may run.
    password: Option<Password>,
}

/// The operations that are still to be run.
pub(super) struct Run {
    operations: Vec<Operation>,
    units: VecDeque<Vec<usize>>,
    failed: HashSet<usize>,
    fail_on_errors: Option<usize>,
    options: Arc<Options>,
    wish: ResponseOptions,
}

/// The numbers of operations, and what became of each.
type Results = Vec<(usize, Result<Done, Error>)>;

/// What one unit of work did, and what is left.
pub(super) struct Slice {
    pub done: Results,
    pub rest: Run,
}

/// Why nothing of a circle is kept.
struct Broken {
    /// The operation that failed, where it was one of them.
    by: Option<usize>,
    error: Error,
}

impl From<StoreError> for Broken {
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
        let weighs = options.scim.password_sync == PasswordSync::On;
        let operations = jobs
            .into_iter()
            .map(|(job, uses)| Operation {
                password: match &job {
                    BulkJob::Ready(write) if weighs && write.may_set_password() => None,
                    _ => Some(Password::Keep),
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
            wish: ResponseOptions {
                selection: Selection::all(),
                preference: Some(Return::Minimal),
            },
        }
    }

    pub fn len(&self) -> usize {
        self.operations.len()
    }

    pub fn is_done(&self) -> bool {
        self.units.is_empty()
    }

    /// The operations that were not run, in their order.
    pub fn left(&self) -> Vec<usize> {
        self.units.iter().flatten().copied().collect()
    }

    /// Hashes the passwords of new users, some at a time.
    pub async fn hash_new_passwords(&mut self, service: &Service) -> Result<(), Error> {
        if service.options.scim.password_sync == PasswordSync::Off {
            return Ok(());
        }
        let creates = self
            .operations
            .iter_mut()
            .filter_map(|operation| match &mut operation.job {
                BulkJob::Ready(write) => match &mut **write {
                    Write::Create(create) => {
                        let password = create.password.take()?;
                        Some((create, password))
                    }
                    _ => None,
                },
                _ => None,
            });
        let mut hashed = stream::iter(creates)
            .map(async |(create, password)| (create, passwords::hash(password).await))
            .buffer_unordered(passwords::AT_ONCE);
        while let Some((create, hash)) = hashed.next().await {
            create.set_password_hash(hash?);
        }
        Ok(())
    }

    /// Makes the next operation ready where it may set a password: only the stored one tells whether it is another,
    /// and that takes too long for a unit of work.
    pub async fn weigh_password(&mut self, service: &Service, context: &Context) {
        let Some(index) = self.units.front().and_then(|unit| unit.first()).copied() else {
            return;
        };
        let Some(operation) = self.operations.get_mut(index) else {
            return;
        };
        if operation.password.is_some() {
            return;
        }
        let weighed = match &mut operation.job {
            BulkJob::Ready(write) => match &mut **write {
                Write::Replace(id, replace) => {
                    let wish = replace.password.take().map(Some);
                    passwords::wished(service, context, id, wish).await
                }
                Write::Patch(id, patch) => {
                    let (rt, patch) = (patch.resource_type(), &patch.patch);
                    passwords::patched(service, context, rt, id, patch).await
                }
                _ => Ok(Password::Keep),
            },
            _ => Ok(Password::Keep),
        };
        operation.password = Some(match weighed {
            Ok(password) => password,
            Err(error) => {
                operation.job = BulkJob::Refused(error);
                Password::Keep
            }
        });
    }

    /// Runs as many operations as fit into a slice, and at least one.
    pub fn slice(mut self, tx: &mut Tx<'_>) -> Result<Slice, Error> {
        let mut done = Vec::new();
        while let Some(unit) = self.units.pop_front() {
            if !self.is_weighed(&unit) {
                self.units.push_front(unit);
                break;
            }
            let results = match unit.as_slice() {
                [index] => vec![(*index, self.run_one(tx, *index)?)],
                _ => self.run_circle(tx, unit)?,
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
            if tx.held_for() >= SLICE {
                break;
            }
        }
        Ok(Slice { done, rest: self })
    }

    fn is_weighed(&self, unit: &[usize]) -> bool {
        let operations = unit.iter().filter_map(|index| self.operations.get(*index));
        operations.into_iter().all(|one| one.password.is_some())
    }

    fn take(&mut self, index: usize) -> (BulkJob, Password) {
        match self.operations.get_mut(index) {
            Some(one) => (
                std::mem::replace(&mut one.job, BulkJob::Gone),
                one.password.take().unwrap_or(Password::Keep),
            ),
            None => (BulkJob::Gone, Password::Keep),
        }
    }

    /// The error of an operation that refers to one that failed.
    fn missing(&self, index: usize) -> Option<Error> {
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

    /// The outer fault is that of a database that does not go on.
    fn run_one(&mut self, tx: &mut Tx<'_>, index: usize) -> Result<Result<Done, Error>, Error> {
        let missing = self.missing(index);
        let (job, password) = self.take(index);
        let write = match (missing, job) {
            (Some(error), _) | (None, BulkJob::Refused(error)) => return Ok(Err(error)),
            (None, BulkJob::Ready(write)) => write,
            (None, BulkJob::Gone) => return Ok(Err(Error::internal("an operation ran twice"))),
        };
        let user_name = write.user_name();
        let result = tx.attempt(|tx| write.run(tx, password, &self.options, &self.wish))?;
        match result {
            Err(Error::Taken(Unique::UserName)) => {
                Ok(Err(requests::taken_within(tx, user_name.as_deref())))
            }
            other => Ok(other),
        }
    }

    /// Creates that refer to one another: first each without those that are not there yet, then the links. All of
    /// them are kept or none (RFC 7644 section 3.7.1).
    fn run_circle(&mut self, tx: &mut Tx<'_>, unit: Vec<usize>) -> Result<Results, Error> {
        let outside = unit
            .iter()
            .find_map(|index| Some((*index, self.missing(*index)?)));
        let mut creates = Vec::with_capacity(unit.len());
        let mut refused = outside;
        for index in &unit {
            let create = match self.take(*index).0 {
                BulkJob::Ready(write) => write.into_create(),
                BulkJob::Refused(error) => Err(error),
                BulkJob::Gone => Err(Error::internal("an operation ran twice")),
            };
            match create {
                Ok(create) => creates.push((*index, create)),
                Err(error) => refused = refused.or(Some((*index, error))),
            }
        }
        let result = match refused {
            Some((by, error)) => Err(Broken {
                by: Some(by),
                error,
            }),
            None => {
                let (options, wish) = (&self.options, &self.wish);
                let names: Vec<_> = creates
                    .iter()
                    .map(|(index, create)| (*index, create.user_name()))
                    .collect();
                let linked = tx.attempt(|tx| create_linked(tx, creates, options, wish))?;
                linked.map_err(|broken| explain(tx, broken, &names))
            }
        };
        Ok(match result {
            Ok(done) => done.into_iter().map(|(index, done)| (index, Ok(done))).collect(),
            Err(mut broken) => unit
                .into_iter()
                .map(|index| {
                    let error = if broken.by == Some(index) {
                        std::mem::replace(&mut broken.error, Error::Busy)
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
}

fn create_linked(
    tx: &mut Tx<'_>,
    mut creates: Vec<(usize, Create)>,
    options: &Options,
    wish: &ResponseOptions,
) -> Result<Vec<(usize, Done)>, Broken> {
    let mut absent: HashSet<String> = creates.iter().map(|(_, create)| create.id()).collect();
    let mut links = Vec::new();
    for (index, create) in &mut creates {
        absent.remove(&create.id());
        links.extend(create.put_off(&absent).map(|link| (*index, link)));
    }
    let at = |index: usize| {
        move |error: Error| Broken {
            by: Some(index),
            error,
        }
    };
    let mut done = Vec::with_capacity(creates.len());
    for (index, create) in creates {
        let written = create.run(tx, options, wish).map_err(at(index))?;
        done.push((index, Done::of(Verb::Create, &written)));
    }
    for (index, link) in links {
        link.run(tx, options).map_err(at(index))?;
    }
    Ok(done)
}

/// Says whose the user name is.
fn explain(tx: &mut Tx<'_>, mut broken: Broken, names: &[(usize, Option<String>)]) -> Broken {
    if matches!(broken.error, Error::Taken(Unique::UserName)) {
        let name = names.iter().find(|(index, _)| Some(*index) == broken.by);
        let name = name.and_then(|(_, name)| name.as_deref());
        broken.error = requests::taken_within(tx, name);
    }
    broken
}

impl Done {
    fn of(verb: Verb, written: &Written) -> Self {
        let version: Version = match written {
            Written::Whole(resource) => resource.version,
            Written::Quiet { version, .. } => *version,
        };
        Self {
            verb,
            version: Some(version),
        }
    }
}

impl Write {
    /// Whether it has to be weighed against what is stored before it runs. A create is not.
    fn may_set_password(&self) -> bool {
        match self {
            Self::Create(_) | Self::Delete(_) => false,
            Self::Replace(_, replace) => replace.password.is_some(),
            Self::Patch(_, patch) => patch.patch.sets_password(),
        }
    }

    /// Only a POST has a `bulkId` that others can wait for.
    fn into_create(self) -> Result<Create, Error> {
        match self {
            Self::Create(create) => Ok(create),
            _ => Err(Error::internal("a circle that is not made of creates")),
        }
    }

    fn user_name(&self) -> Option<String> {
        match self {
            Self::Create(create) => create.user_name(),
            Self::Replace(_, replace) => replace.user_name(),
            Self::Patch(..) | Self::Delete(_) => None,
        }
    }

    fn run(
        self,
        tx: &mut Tx<'_>,
        password: Password,
        options: &Options,
        wish: &ResponseOptions,
    ) -> Result<Done, Error> {
        Ok(match self {
            Self::Create(create) => Done::of(Verb::Create, &create.run(tx, options, wish)?),
            Self::Replace(_, replace) => {
                Done::of(Verb::Replace, &replace.run(tx, password, options, wish)?)
            }
            Self::Patch(_, patch) => {
                Done::of(Verb::Patch, &patch.run(tx, password, options, wish)?)
            }
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
