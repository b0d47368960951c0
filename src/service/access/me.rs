//! `/Me`: the caller as a resource (RFC 7644 section 3.11).

use scim_core::name;

use crate::auth::Scope;
use crate::service::{Context, Error, Service, Subject};
use crate::store::ResourceId;
use crate::store::tables::resources;

/// Returns the id of the user that the caller is.
///
/// # Errors
/// [`Error::NotFound`] for a token of this service, which belongs to a machine, and for a subject
/// of no user or of several.
pub async fn find(service: &Service, context: &Context, by: Subject) -> Result<ResourceId, Error> {
    // A caller that may not read must not learn whether the user exists.
    context.require(Scope::Read)?;
    let not_found = || Error::NotFound("A user that this credential stands for".to_owned());
    // No text of a user contains a U+0000, and PostgreSQL rejects a search for one.
    let subject = context
        .principal
        .actor
        .subject()
        .filter(|subject| !subject.is_empty() && !subject.contains('\0'))
        .ok_or_else(not_found)?
        .to_owned();
    let tenant = context.tenant();
    service
        .store
        .query(tenant, move |conn| {
            Ok::<_, Error>(match by {
                Subject::Id => ResourceId::parse(&subject),
                Subject::UserName => {
                    let folded = name::fold_user_name(&subject).into_string();
                    resources::by_user_name(conn, tenant, "User", &folded)?.map(|user| user.id)
                }
                Subject::ExternalId => {
                    resources::only_by_external_id(conn, tenant, "User", &subject)?
                }
            })
        })
        .await?
        .ok_or_else(not_found)
}
