//! Reads one resource (RFC 7644 section 3.4.1).

use std::sync::Arc;

use scim_core::project::Selection;
use scim_core::{Precondition, ResourceType, Version};

use crate::auth::Scope;
use crate::service::access::caller_cache::CachedCaller;
use crate::service::provision::representation::{Lookup, Renderer, Resource};
use crate::service::{Context, Error, Options, Service};
use crate::store::query::lookup::{LookupKey, LookupResult};
use crate::store::tables::resources;
use crate::store::{ResourceId, TenantId};

/// The resource that a request reads, and the attributes that it asks for.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    pub rt: Arc<ResourceType>,
    pub id: ResourceId,
    pub selection: Selection,
    pub precondition: Precondition,
}

/// The result of a read.
#[derive(Debug)]
pub enum ReadOutcome {
    Resource(Resource),
    /// The client has this version already.
    /// For a caller that may not read the version.
    WithoutVersion(Resource),
    NotModified(Version),
}

/// Reads a resource.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PreconditionFailed`].
pub async fn read(
    service: &Service,
    context: &Context,
    request: ReadRequest,
) -> Result<ReadOutcome, Error> {
    context.require(Scope::Read)?;
    let request = request.limited_to(context);
    let tenant = context.tenant();
    if let Some(lookup) = lookup(service, context, &request) {
        let key = LookupKey::Id(request.id.clone());
        let found = lookup.find(&service.reads, tenant, key).await?;
        return request.outcome(tenant, lookup, found);
    }
    let options = Arc::clone(&service.options);
    service
        .read(context, move |conn| {
            let ReadRequest { rt, id, .. } = &request;
            let row = resources::get(conn, tenant, &rt.name, id)?
                .ok_or_else(|| Error::no_resource(rt, id))?;
            let renderer = request.renderer(&options);
            if request.precondition != Precondition::default() {
                let version = renderer.version(conn, tenant, &row)?;
                if !request.precondition.allows_read(&version) {
                    return Err(Error::PreconditionFailed(version));
                }
                if request.precondition.has(&version) {
                    return Ok(ReadOutcome::NotModified(version));
                }
            }
            let resource = renderer.one(conn, tenant, &row)?;
            Ok(request.found(resource))
        })
        .await
}

/// Reads a resource for a cached caller, with one statement for both. Returns `None` where that is
/// not possible or the cached caller is out of date; then the credential must be checked and
/// [`read`] called.
///
/// # Errors
/// As [`read`].
pub async fn read_cached(
    service: &Service,
    caller: &CachedCaller,
    request: ReadRequest,
) -> Result<Option<ReadOutcome>, Error> {
    let context = caller.context();
    if context.require(Scope::Read).is_err() {
        return Ok(None);
    }
    let request = request.limited_to(context);
    let Some(lookup) = lookup(service, context, &request) else {
        return Ok(None);
    };
    let key = LookupKey::Id(request.id.clone());
    let found = lookup.find(&service.reads, context.tenant(), key).await?;
    if !service.authenticator.confirm(caller, found.epoch) {
        return Ok(None);
    }
    request.outcome(context.tenant(), lookup, found).map(Some)
}

/// Returns the lookup of the resource, where it takes one statement and the primary is asked.
fn lookup<'r>(
    service: &'r Service,
    context: &Context,
    request: &'r ReadRequest,
) -> Option<Lookup<'r>> {
    let lookup = request.renderer(&service.options).lookup();
    lookup.filter(|_| !service.is_read_behind(context))
}

impl ReadRequest {
    fn limited_to(mut self, context: &Context) -> Self {
        self.selection = self.selection.within(context.limit());
        if self.hides_version() {
            // The version moves with attributes that the caller may not read, and a condition on it
            // would tell.
            self.precondition = Precondition::default();
        }
        self
    }

    fn hides_version(&self) -> bool {
        let path = self.rt.attr_by_key("meta.version");
        path.is_some_and(|path| !self.selection.may_show(&self.rt, &path))
    }

    fn found(&self, resource: Resource) -> ReadOutcome {
        match self.hides_version() {
            true => ReadOutcome::WithoutVersion(resource),
            false => ReadOutcome::Resource(resource),
        }
    }

    fn renderer<'r>(&'r self, options: &'r Options) -> Renderer<'r> {
        Renderer {
            base_url: &options.base_url,
            rt: &self.rt,
            selection: &self.selection,
            memory: &options.memory,
        }
    }

    /// Renders what the lookup found, unless the precondition rejects it or makes it unnecessary.
    fn outcome(
        &self,
        tenant: TenantId,
        lookup: Lookup<'_>,
        found: LookupResult,
    ) -> Result<ReadOutcome, Error> {
        let view = found
            .resource
            .ok_or_else(|| Error::no_resource(&self.rt, &self.id))?;
        let resource = lookup.render(view, tenant)?;
        if !self.precondition.allows_read(&resource.version) {
            return Err(Error::PreconditionFailed(resource.version));
        }
        Ok(if self.precondition.has(&resource.version) {
            ReadOutcome::NotModified(resource.version)
        } else {
            self.found(resource)
        })
    }
}
