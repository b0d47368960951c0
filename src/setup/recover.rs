//! Recovery of a write without a response.

use std::sync::Arc;

use crate::setup::state::StateChange;
use crate::setup::steps::{assignments, event_hook};
use crate::setup::{Failure, Run};

/// Finds out what became of an earlier run's write without a response, and updates the state.
///
/// # Errors
/// Returns an error if Okta does not list the objects that the write may have created.
pub async fn resolve_pending_write(run: &mut Run) -> Result<(), Failure> {
    let Some(pending) = run.state.pending.take() else {
        return Ok(());
    };
    let session = Arc::clone(&run.session);
    let found = match (&pending, &run.state.app) {
        (StateChange::Push(source, _), Some(app)) => {
            assignments::find_push(&session, &app.id, source).await?
        }
        (StateChange::Hook, _) => event_hook::find(&session).await?,
        // The marker identifies an app.
        _ => None,
    };
    match found {
        Some(id) => run.state.apply(&pending, Some(id)),
        None => run.state.assume(&pending),
    }
    Ok(())
}
