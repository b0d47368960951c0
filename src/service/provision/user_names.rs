//! The 409 for a user name that is taken. Okta shows its text to the administrator, who needs to
//! know which user has the name.

use scim_core::ScimError;

use crate::service::{Context, Error, Service};
use crate::store::tables::resources;
use crate::store::tables::resources::UserNameHolder;
use crate::store::{Tx, Unique};

/// Adds the user who has the name to the error of a write that failed over it. `user_name` is
/// folded.
pub(in crate::service) async fn explain<T>(
    service: &Service,
    context: &Context,
    user_name: Option<String>,
    result: Result<T, Error>,
) -> Result<T, Error> {
    match result {
        Err(Error::Taken(Unique::UserName)) => {
            let tenant = context.tenant();
            let holder = match user_name {
                None => None,
                Some(name) => service
                    .store
                    .query(tenant, move |conn| {
                        Ok::<_, Error>(resources::by_user_name(conn, tenant, "User", &name)?)
                    })
                    .await
                    .ok()
                    .flatten(),
            };
            Err(taken(holder))
        }
        other => other,
    }
}

/// As [`explain`], within a unit of work.
pub(in crate::service) fn explain_in(
    tx: &mut Tx<'_>,
    user_name: Option<&str>,
    error: Error,
) -> Error {
    let Error::Taken(Unique::UserName) = error else {
        return error;
    };
    let tenant = tx.tenant();
    let holder = user_name.and_then(|name| {
        let found = resources::by_user_name(tx.conn(), tenant, "User", name);
        found.ok().flatten()
    });
    taken(holder)
}

fn taken(holder: Option<UserNameHolder>) -> Error {
    let detail = match holder {
        Some(row) => {
            // A user without `active` counts as inactive.
            let state = if row.active == Some(true) {
                "active"
            } else {
                "inactive"
            };
            format!(
                "A user with this userName exists: id {} ({state}). Assign that user again or link it, instead of creating a second one.",
                row.id.as_str()
            )
        }
        None => {
            "A user with this userName exists. Choose another userName, or link the existing user."
                .to_owned()
        }
    };
    ScimError::uniqueness(detail).into()
}
