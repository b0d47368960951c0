//! Bulk requests (RFC 7644 section 3.7): many operations in few units of work.
//!
//! Operations are prepared together, outside the store's threads. Then they run in slices: each
//! slice is one unit of work, in which each operation has a savepoint, and other writers run
//! between two slices. The RFC does not undo an operation because another failed, so a request may
//! be split anywhere but within a cycle of references.

mod outcome;
mod plan;
mod run;

use std::sync::Arc;

use scim_core::bulk::Envelope;
use serde_json::Value;

use crate::memory::Held;
use crate::service::provision::body_copies;
use crate::service::{Context, Error, Service};
use plan::{Plan, Prepared};
use run::{Run, Slice};

pub use outcome::{Done, Outcome};

/// Runs the operations of a bulk request and returns the outcomes of those that ran, in the order
/// of the request.
///
/// # Errors
/// A body that is not a bulk request, [`Error::TooManyOperations`], and a fault that left nothing
/// done.
pub async fn run(
    service: &Service,
    context: &Context,
    mut body: Held<Value>,
) -> Result<Vec<Outcome>, Error> {
    body_copies::reserve_bulk(&mut body)?;
    let (body, held) = body.into_parts();
    let envelope = Envelope::parse(body, context.policy.compatibility)?;
    let limit = service.options.scim.bulk.max_operations;
    if envelope.operations.len() > limit {
        return Err(Error::TooManyOperations { limit });
    }
    let prepared = {
        let context = context.clone();
        let registry = Arc::clone(&service.registry);
        let clock = Arc::clone(&service.clock);
        let options = Arc::clone(&service.options);
        let prepare = move || {
            let plan = Plan::new(&context, &registry, &*clock, options);
            let mut prepared = plan.prepare(envelope);
            // Also if the client goes away meanwhile.
            prepared.run.held = held;
            prepared
        };
        tokio::task::spawn_blocking(prepare)
            .await
            .map_err(Error::internal)?
    };
    let Prepared { heads, mut run } = prepared;
    run.hash_new_passwords(service.options.scim.password_sync)
        .await?;
    let results = run_all(service, context, run).await?;
    let outcomes = heads.into_iter().zip(results);
    Ok(outcomes
        .filter_map(|(head, result)| Some(head.outcome(result?)))
        .collect())
}

/// Returns the result of each operation that ran.
async fn run_all(
    service: &Service,
    context: &Context,
    run: Run,
) -> Result<Vec<Option<Result<Done, Error>>>, Error> {
    let mut results: Vec<Option<Result<Done, Error>>> = Vec::new();
    results.resize_with(run.len(), || None);
    let mut next = Some(run);
    while let Some(mut run) = next.take().filter(|run| !run.is_done()) {
        run.resolve_password(service, context).await;
        let remaining = run.remaining();
        let slice = service
            .store
            .write(context.tenant(), move |tx| run.slice(tx))
            .await;
        let done = match slice {
            Ok(Slice { done, rest }) => {
                next = Some(rest);
                done
            }
            Err(error) if results.iter().all(Option::is_none) => return Err(error),
            // Earlier slices are committed, so each remaining operation gets the error.
            Err(error) => remaining
                .into_iter()
                .map(|index| (index, Err(error.repeated())))
                .collect(),
        };
        for (index, result) in done {
            if let Some(slot) = results.get_mut(index) {
                *slot = Some(result);
            }
        }
    }
    Ok(results)
}
