//! Create, read, replace, patch and delete resources of any type.

use std::sync::Arc;

use scim_core::project::Selection;
use scim_core::{Precondition, ResourceType, ScimError};
use serde_json::Value;

use crate::auth::Scope;
use crate::service::access::caller_cache::CachedCaller;
use crate::service::provision::representation::{
    Lookup, ReadOutcome, Resource, ResponseOptions, Written,
};
use crate::service::provision::writes::{Create, Delete, Patch, Replace};
use crate::service::provision::{passwords, representation};
use crate::service::{Context, Error, PasswordSync, Service};
use crate::store::query::lookup::LookupKey;
use crate::store::tables::resources;
use crate::store::tables::resources::UserNameHolder;
use crate::store::{ResourceId, Tx, Unique};

/// Creates a resource (RFC 7644 section 3.3).
///
/// # Errors
/// What [`admit::admit`](scim_core::admit::admit) refuses, and `uniqueness` where the user name is taken.
pub async fn create(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    body: &Value,
    wish: ResponseOptions,
) -> Result<Written, Error> {
    context.require(Scope::Scim)?;
    let id = ResourceId(service.clock.new_id());
    let wish = wish.and_sent(rt, body);
    let mut create = Create::prepare(context, rt, id, body)?;
    if let (PasswordSync::On, Some(password)) =
        (service.options.scim.password_sync, create.password.take())
    {
        create.set_password_hash(passwords::hash(password).await?);
    }
    let user_name = create.user_name();
    let options = Arc::clone(&service.options);
    let created = service
        .store
        .write(context.tenant(), move |tx| create.run(tx, &options, &wish))
        .await;
    explain(service, context, user_name, created).await
}

/// Reads one resource (RFC 7644 section 3.4.1).
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`].
pub async fn get(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
    selection: Selection,
    precondition: Precondition,
) -> Result<ReadOutcome, Error> {
    context.require(Scope::Read)?;
    let selection = selection.within(context.limit());
    let (tenant, options) = (context.tenant(), Arc::clone(&service.options));
    let lookup = Lookup::of(rt, &selection).filter(|_| !service.is_read_behind(context));
    if let Some(lookup) = lookup {
        let seen = lookup.find(&service.reads, tenant, LookupKey::Id(id.clone()));
        let seen = seen
            .await?
            .resource
            .ok_or_else(|| Error::no_resource(rt, &id))?;
        return conditional(lookup.render(&options.base_url, seen), &precondition);
    }
    let rt = Arc::clone(rt);
    service
        .read(context, move |conn| {
            let row = resources::get(conn, tenant, &rt.name, &id)?
                .ok_or_else(|| Error::no_resource(&rt, &id))?;
            if precondition != Precondition::default() {
                let version = representation::version(conn, tenant, &rt, &row, &selection)?;
                if !precondition.allows_read(&version) {
                    return Err(Error::PreconditionFailed(version));
                }
                if precondition.has(&version) {
                    return Ok(ReadOutcome::NotModified(version));
                }
            }
            representation::one(conn, tenant, &options.base_url, &rt, row, &selection)
                .map(ReadOutcome::Resource)
        })
        .await
}

/// [`get`] for a caller who is remembered. `None` where that cannot be: then the caller must be looked up.
///
/// # Errors
/// As [`get`].
pub async fn glance(
    service: &Service,
    presumed: &CachedCaller,
    rt: &Arc<ResourceType>,
    id: &ResourceId,
    selection: Selection,
    precondition: &Precondition,
) -> Result<Option<ReadOutcome>, Error> {
    let context = presumed.context();
    let selection = selection.within(context.limit());
    let may = context.require(Scope::Read).is_ok() && !service.is_read_behind(context);
    let lookup = Lookup::of(rt, &selection).filter(|_| may);
    let Some(lookup) = lookup else {
        return Ok(None);
    };
    let by = LookupKey::Id(id.clone());
    let seen = lookup.find(&service.reads, context.tenant(), by).await?;
    if !service.authenticator.confirm(presumed, seen.epoch) {
        return Ok(None);
    }
    let shown = seen.resource.ok_or_else(|| Error::no_resource(rt, id))?;
    let resource = lookup.render(&service.options.base_url, shown);
    conditional(resource, precondition).map(Some)
}

/// The answer to a read of this resource.
fn conditional(resource: Resource, precondition: &Precondition) -> Result<ReadOutcome, Error> {
    if !precondition.allows_read(&resource.version) {
        return Err(Error::PreconditionFailed(resource.version));
    }
    Ok(if precondition.has(&resource.version) {
        ReadOutcome::NotModified(resource.version)
    } else {
        ReadOutcome::Resource(resource)
    })
}

/// Replaces a resource (RFC 7644 section 3.5.1). What is equal already leaves no trace.
///
/// # Errors
/// What [`admit::admit`](scim_core::admit::admit) and [`admit::replace`](scim_core::admit::replace) refuse,
/// [`Error::NotFound`], [`Error::PreconditionFailed`], `uniqueness`.
pub async fn replace(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
    body: &Value,
    wish: ResponseOptions,
    precondition: Precondition,
) -> Result<Written, Error> {
    context.require(Scope::Scim)?;
    let wish = wish.and_sent(rt, body);
    let mut replace = Replace::prepare(context, rt, id.clone(), body, precondition)?;
    let password = replace.password.take().map(Some);
    let password = passwords::wished(service, context, &id, password).await?;
    let user_name = replace.user_name();
    let options = Arc::clone(&service.options);
    let replaced = service
        .store
        .write(context.tenant(), move |tx| {
            replace.run(tx, password, &options, &wish)
        })
        .await;
    explain(service, context, user_name, replaced).await
}

/// Applies a PATCH (RFC 7644 section 3.5.2): all of its operations or none.
///
/// # Errors
/// What [`patch::parse`](scim_core::patch::parse) and [`Patch::apply`](scim_core::patch::Patch::apply) refuse,
/// [`Error::NotFound`], [`Error::PreconditionFailed`], `uniqueness`.
pub async fn patch(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
    body: &Value,
    wish: ResponseOptions,
    precondition: Precondition,
) -> Result<Written, Error> {
    context.require(Scope::Scim)?;
    let wish = wish.and_sent(rt, body);
    let patch = Patch::prepare(context, rt, id.clone(), body, precondition)?;
    let password = passwords::patched(service, context, rt, &id, &patch.patch).await?;
    let options = Arc::clone(&service.options);
    let patched = service
        .store
        .write(context.tenant(), move |tx| {
            patch.run(tx, password, &options, &wish)
        })
        .await;
    explain(service, context, None, patched).await
}

/// Deletes a resource; a user or group also leaves the groups that it was in (RFC 7644 section 3.6).
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`].
pub async fn delete(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
    precondition: Precondition,
) -> Result<(), Error> {
    context.require(Scope::Scim)?;
    let delete = Delete::prepare(context, rt, id, precondition);
    service
        .store
        .write(context.tenant(), move |tx| delete.run(tx))
        .await
}

/// Passes a result on; a user name that is taken becomes the 409 that names its holder.
async fn explain<T>(
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
                    .read(move |conn| {
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

/// The same within a unit of work.
pub(in crate::service) fn taken_within(tx: &mut Tx<'_>, user_name: Option<&str>) -> Error {
    let tenant = tx.tenant();
    let holder = user_name.and_then(|name| {
        let found = resources::by_user_name(tx.conn(), tenant, "User", name);
        found.ok().flatten()
    });
    taken(holder)
}

/// The 409 for a user name that is taken. Okta shows the text to the admin, who wants to know which user it is.
fn taken(holder: Option<UserNameHolder>) -> Error {
    let detail = match holder {
        Some(row) => {
            // A user without `active` counts as inactive: nobody said that it may come in.
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

/// Whether the database answers.
///
/// # Errors
/// Where it does not.
pub async fn ready(service: &Service) -> Result<(), Error> {
    Ok(service.store.ready().await?)
}
