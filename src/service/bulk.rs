//! Bulk requests (RFC 7644 section 3.7): many operations in few units of work.
//!
//! Operations are made ready together, off the store's threads. Then they run in slices: each slice is one unit of
//! work, in which each operation has a savepoint, and between two slices other writers have their turn. The RFC wants
//! no operation undone because another failed, so a request may be cut anywhere but within a circle of references.

mod plan;
mod run;

use std::sync::Arc;

use scim_core::Version;
use scim_core::bulk::{Envelope, Verb};
use serde_json::Value;

use crate::service::{Context, Error, Service};
use plan::{Plan, Prepared};
use run::{Run, Slice};

/// What became of one operation.
#[derive(Debug)]
pub struct Outcome {
    /// As sent, in capitals where it is one that we know.
    pub method: String,
    pub bulk_id: Option<String>,
    /// Where the resource is, or would be; nowhere for a POST that failed.
    pub location: Option<String>,
    pub result: Result<Done, Error>,
}

#[derive(Debug, Clone, Copy)]
pub struct Done {
    pub verb: Verb,
    /// Nothing has a version that was deleted.
    pub version: Option<Version>,
}

/// Runs the operations of a bulk request and answers those that were run, in the order of the request.
///
/// # Errors
/// What is no bulk request, [`Error::TooManyOperations`], and where nothing at all could be done.
pub async fn run(service: &Service, context: &Context, body: Value) -> Result<Vec<Outcome>, Error> {
    let envelope = Envelope::parse(body, context.policy.compatibility)?;
    let limit = service.options.scim.bulk.max_operations;
    if envelope.operations.len() > limit {
        return Err(Error::TooManyOperations { limit });
    }
    let prepared = {
        let (context, registry) = (context.clone(), Arc::clone(&service.registry));
        let (clock, options) = (Arc::clone(&service.clock), Arc::clone(&service.options));
        let prepare = move || Plan::new(&context, &registry, &*clock, options).prepare(envelope);
        tokio::task::spawn_blocking(prepare)
            .await
            .map_err(Error::internal)?
    };
    let Prepared { heads, mut run } = prepared;
    run.hash_new_passwords(service).await?;
    let results = run_all(service, context, run).await?;
    let outcomes = heads.into_iter().zip(results);
    Ok(outcomes
        .filter_map(|(head, result)| Some(head.outcome(result?)))
        .collect())
}

/// The result of each operation that was run.
async fn run_all(
    service: &Service,
    context: &Context,
    run: Run,
) -> Result<Vec<Option<Result<Done, Error>>>, Error> {
    let mut results: Vec<Option<Result<Done, Error>>> = Vec::new();
    results.resize_with(run.len(), || None);
    let mut next = Some(run);
    while let Some(mut run) = next.take().filter(|run| !run.is_done()) {
        run.weigh_password(service, context).await;
        let left = run.left();
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
            // What was done before is kept, so the rest has to be told one by one.
            Err(error) => left
                .into_iter()
                .map(|index| (index, Err(error.again())))
                .collect(),
        };
        for (index, result) in done {
            if let Some(place) = results.get_mut(index) {
                *place = Some(result);
            }
        }
    }
    Ok(results)
}
