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
use std::time::Instant;

use scim_core::bulk::Envelope;
use serde_json::Value;

use crate::memory::Held;
use crate::service::error::BulkBudget;
use crate::service::provision::body_copies;
use crate::service::{Context, Error, Service};
use plan::{Plan, Prepared};
use run::{Results, Run};

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
    let until = Instant::now() + service.options.scim.bulk.time;
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
    let results = run_all(service, context, run, until).await?;
    let outcomes = heads.into_iter().zip(results);
    Ok(outcomes
        .filter_map(|(head, result)| Some(head.outcome(result?)))
        .collect())
}

/// The store gives its share of the operations back before it answers a slice that ran.
fn exclusive(run: &mut Arc<Run>) -> Result<&mut Run, Error> {
    Arc::get_mut(run).ok_or_else(|| Error::internal("the operations are still in use"))
}

/// Returns the result of each operation that ran.
async fn run_all(
    service: &Service,
    context: &Context,
    run: Run,
    until: Instant,
) -> Result<Vec<Option<Result<Done, Error>>>, Error> {
    let mut results: Vec<Option<Result<Done, Error>>> = Vec::new();
    results.resize_with(run.len(), || None);
    let mut run = Arc::new(run);
    while !run.is_done() {
        let own = exclusive(&mut run)?;
        if let Some(budget) = exhausted(own, until) {
            // Some have run, so the request as a whole was not refused.
            record(&mut results, own.abandon(|| Error::BulkExhausted(budget)));
            break;
        }
        own.resolve_password(service, context).await;
        let shared = Arc::clone(&run);
        let slice = service
            .store
            .write(context.tenant(), move |tx| shared.slice(tx))
            .await;
        match slice {
            Ok(slice) => record(&mut results, exclusive(&mut run)?.advance(slice)),
            Err(error) if results.iter().all(Option::is_none) => return Err(error),
            // Earlier slices are committed, so each remaining operation gets the error. If this one
            // was given up while it waited, the store still has its share.
            Err(error) => {
                record(&mut results, run.abandon(|| error.repeated()));
                break;
            }
        }
    }
    Ok(results)
}

fn record(results: &mut [Option<Result<Done, Error>>], done: Results) {
    for (index, result) in done {
        if let Some(slot) = results.get_mut(index) {
            *slot = Some(result);
        }
    }
}

/// Returns the budget that the operations so far have used up.
fn exhausted(run: &Run, until: Instant) -> Option<BulkBudget> {
    if !run.may_write() {
        Some(BulkBudget::Bytes)
    } else if Instant::now() >= until {
        Some(BulkBudget::Time)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::memory::MemoryBudget;
    use crate::service::access::tokens::TokenLimits;
    use crate::service::{Options, ScimSettings};
    use crate::settings::{Settings as _, Sources};

    #[test]
    fn a_request_has_a_budget_of_time_and_of_bytes() {
        let run = |write_bytes: u64| {
            let mut scim = ScimSettings::load(&Sources::default()).unwrap();
            scim.bulk.write_bytes = write_bytes;
            Run::new(
                Vec::new(),
                Vec::new(),
                None,
                Arc::new(Options {
                    base_url: String::new(),
                    scim,
                    tokens: TokenLimits::default(),
                    memory: MemoryBudget::new(0),
                }),
            )
        };
        let now = Instant::now();
        let later = now + Duration::from_secs(600);
        assert_eq!(exhausted(&run(1), later), None);
        assert_eq!(exhausted(&run(1), now), Some(BulkBudget::Time));
        assert_eq!(exhausted(&run(0), later), Some(BulkBudget::Bytes));
    }
}
