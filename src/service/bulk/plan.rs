//! Prepares a bulk request before the store is asked: resolves each operation and its references,
//! and orders them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use scim_core::bulk::{BulkTarget, Envelope, KnownResource, Operation, References, Task, Verb};
use scim_core::version::{Precondition, Tags};
use scim_core::{Registry, ResourceType, ScimError, bulk};

use crate::auth::Scope;
use crate::clock::Clock;
use crate::service::bulk::outcome::{Done, Outcome};
use crate::service::bulk::run::{BulkJob, Run, Write};
use crate::service::provision::create::Create;
use crate::service::provision::delete::Delete;
use crate::service::provision::patch::Patch;
use crate::service::provision::replace::Replace;
use crate::service::provision::{WriteTarget, representation};
use crate::service::{Context, Error, Options};
use crate::store::ResourceId;

/// What all operations share.
pub(super) struct Plan<'a> {
    context: &'a Context,
    registry: &'a Registry,
    clock: &'a dyn Clock,
    options: Arc<Options>,
}

pub(super) struct Prepared {
    pub heads: Vec<Head>,
    pub run: Run,
}

/// The part of an outcome that does not depend on the result.
pub(super) struct Head {
    method: String,
    bulk_id: Option<String>,
    location: Option<String>,
    is_post: bool,
}

impl Head {
    pub fn outcome(self, result: Result<Done, Error>) -> Outcome {
        let has_location = !self.is_post || result.is_ok();
        Outcome {
            method: self.method,
            bulk_id: self.bulk_id,
            location: self.location.filter(|_| has_location),
            result,
        }
    }
}

/// An operation with its references resolved.
struct Resolved {
    head: Head,
    job: BulkJob,
    /// The operations that create what it refers to.
    uses: BTreeSet<usize>,
    /// The resource that it writes, where that is not its own.
    target: Option<ResourceId>,
}

impl<'a> Plan<'a> {
    pub fn new(
        context: &'a Context,
        registry: &'a Registry,
        clock: &'a dyn Clock,
        options: Arc<Options>,
    ) -> Self {
        Self {
            context,
            registry,
            clock,
            options,
        }
    }

    pub fn prepare(self, envelope: Envelope) -> Prepared {
        let base_url = self.options.base_url.clone();
        let path = base_url.find("://").and_then(|at| {
            let host = base_url.get(at.saturating_add(3)..)?;
            host.find('/').and_then(|slash| host.get(slash..))
        });
        let bases: Vec<&str> = std::iter::once(base_url.as_str()).chain(path).collect();
        let mut operations: Vec<Operation> = envelope
            .operations
            .into_iter()
            .map(|operation| Operation::parse(self.registry, &bases, operation))
            .collect();
        let known = self.known_resources(&mut operations);
        let resolved: Vec<Resolved> = operations
            .into_iter()
            .enumerate()
            .map(|(index, operation)| self.resolve(index, operation, &known))
            .collect();
        let units = bulk::units(&waits_for(&resolved));
        let mut heads = Vec::with_capacity(resolved.len());
        let mut jobs = Vec::with_capacity(resolved.len());
        for operation in resolved {
            heads.push(operation.head);
            jobs.push((operation.job, operation.uses));
        }
        Prepared {
            heads,
            run: Run::new(jobs, units, envelope.fail_on_errors, self.options),
        }
    }

    /// Resolves each `bulkId`. Ids are generated before anything runs, so that each operation can
    /// refer to every other.
    fn known_resources(&self, operations: &mut [Operation]) -> HashMap<String, KnownResource> {
        let mut known = HashMap::new();
        for (index, operation) in operations.iter_mut().enumerate() {
            let (Ok(task), Some(bulk_id)) = (&operation.task, &operation.bulk_id) else {
                continue;
            };
            if task.verb != Verb::Create {
                continue;
            }
            if known.contains_key(bulk_id) {
                operation.task = Err(ScimError::invalid_value(format!(
                    "Another POST of this request has the bulkId {bulk_id} already."
                )));
                continue;
            }
            let id = self.clock.new_id();
            let resource = ResourceId(id.clone());
            let location = representation::location(&self.options.base_url, &task.rt, &resource);
            known.insert(
                bulk_id.clone(),
                KnownResource {
                    operation: index,
                    id,
                    location,
                },
            );
        }
        known
    }

    fn resolve(
        &self,
        index: usize,
        operation: Operation,
        known: &HashMap<String, KnownResource>,
    ) -> Resolved {
        let Operation {
            method,
            bulk_id,
            task,
        } = operation;
        let own = bulk_id.as_ref().and_then(|bulk_id| known.get(bulk_id));
        let own = own.filter(|known| known.operation == index);
        let mut references = References::new(known);
        let mut target = None;
        let mut location = None;
        let mut is_post = false;
        let job = task.map_err(Error::from).and_then(|mut task| {
            is_post = task.verb == Verb::Create;
            let id = match &task.target {
                None => own.map(|known| known.id.clone()),
                Some(BulkTarget::Id(id)) => Some(id.clone()),
                Some(BulkTarget::BulkId(bulk_id)) => references.id(bulk_id),
            };
            if let Some(id) = &id {
                let resource = ResourceId(id.clone());
                location = Some(representation::location(
                    &self.options.base_url,
                    &task.rt,
                    &resource,
                ));
                target = (!is_post).then_some(resource);
            }
            match task.verb {
                Verb::Create | Verb::Replace => {
                    references.resolve_resource(&task.rt, &mut task.data);
                }
                Verb::Patch => references.resolve_patch(&task.rt, &mut task.data),
                Verb::Delete => {}
            }
            self.write(task, id)
        });
        // An operation may refer to itself and need not wait for itself.
        let (job, mut uses) = match (job, references.finish()) {
            (Ok(write), Ok(uses)) => (BulkJob::Ready(Box::new(write)), uses),
            (_, Err(error)) => (BulkJob::Rejected(error.into()), BTreeSet::new()),
            (Err(error), Ok(_)) => (BulkJob::Rejected(error), BTreeSet::new()),
        };
        uses.remove(&index);
        Resolved {
            head: Head {
                method,
                bulk_id,
                location,
                is_post,
            },
            job,
            uses,
            target,
        }
    }

    fn write(&self, task: Task, id: Option<String>) -> Result<Write, Error> {
        let context = self.context;
        let rt = &task.rt;
        context.require(Scope::Scim)?;
        let id = id.unwrap_or_default();
        let id = ResourceId::parse(&id).ok_or_else(|| not_found(rt, &id))?;
        let precondition = Precondition {
            if_match: task.version.as_deref().map(Tags::parse),
            if_none_match: None,
        };
        let target = |id| WriteTarget {
            rt: Arc::clone(rt),
            id,
            precondition,
        };
        match task.verb {
            Verb::Create => {
                Create::prepare(context, rt, id, &task.data, &self.options).map(Write::Create)
            }
            Verb::Replace => Replace::prepare(context, target(id), &task.data).map(Write::Replace),
            Verb::Patch => Patch::prepare(context, target(id), &task.data).map(Write::Patch),
            Verb::Delete => Ok(Write::Delete(Delete::prepare(context, target(id)))),
        }
    }
}

fn not_found(rt: &ResourceType, id: &str) -> Error {
    Error::NotFound(format!("{} {id}", rt.name))
}

/// Returns the operations that each one waits for: those that it refers to, and the one before it
/// on the same resource, so that reordering never changes the result of two writes of a resource.
fn waits_for(resolved: &[Resolved]) -> Vec<BTreeSet<usize>> {
    let mut last: HashMap<&ResourceId, usize> = HashMap::new();
    let mut all = Vec::with_capacity(resolved.len());
    for (index, operation) in resolved.iter().enumerate() {
        let mut waits = operation.uses.clone();
        if let Some(target) = &operation.target {
            waits.extend(last.insert(target, index));
        }
        all.push(waits);
    }
    all
}
