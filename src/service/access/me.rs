//! Who the caller is as a resource: `/Me` (RFC 7644 section 3.11).

use scim_core::name;

use crate::auth::Scope;
use crate::service::{Context, Error, Service, Subject};
use crate::store::ResourceId;
use crate::store::tables::resources;

/// The user that the caller is.
///
/// # Errors
/// [`Error::NotFound`] for a token of this service, which is a machine's, and for a subject that is nobody or several.
pub async fn find(service: &Service, context: &Context, by: Subject) -> Result<ResourceId, Error> {
    // Whether there is such a user is nothing for one who may not read.
    context.require(Scope::Read)?;
    let nobody = || Error::NotFound("A user that this credential stands for".to_owned());
    // No text of a user holds a U+0000, and PostgreSQL refuses to look for one.
    let subject = context
        .principal
        .subject()
        .filter(|subject| !subject.is_empty() && !subject.contains('\0'))
        .ok_or_else(nobody)?
        .to_owned();
    let tenant = context.tenant();
    service
        .store
        .read(move |conn| {
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
        .ok_or_else(nobody)
}
