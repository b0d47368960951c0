//! What became of a write of which no answer came.

use std::sync::Arc;

use crate::setup::state::StateChange;
use crate::setup::steps::{assignments, event_hook};
use crate::setup::{Failure, Run};

/// Finds out about a write of an earlier run of which no answer came, so that what it made is known to be ours.
///
/// # Errors
/// See [`Failure`].
pub async fn lost_write(run: &mut Run) -> Result<(), Failure> {
    let Some(pending) = run.kept.pending.take() else {
        return Ok(());
    };
    let session = Arc::clone(&run.session);
    let found = match (&pending, &run.kept.app) {
        (StateChange::Push(source, _), Some(app)) => {
            assignments::push_of(&session, &app.id, source).await?
        }
        (StateChange::Hook, _) => event_hook::find(&session).await?,
        // An app is found by its marker.
        _ => None,
    };
    match found {
        Some(id) => run.kept.keep(&pending, Some(id)),
        None => run.kept.assume(&pending),
    }
    Ok(())
}
