//! The list of all endpoints.

use std::sync::Arc;

use scim_core::registry::ClientAccess;
use scim_core::{Registry, ResourceType};

use crate::auth::Scope;
use crate::http::admin::{erasures, storage, tenants, tokens, webhooks};
use crate::http::directory::{feed, groups, memberships, users};
use crate::http::endpoint::{Authorization, Endpoint, TYPE_ENDPOINT};
use crate::http::listener::Groups;
use crate::http::operations::{docs, health};
use crate::http::scim::{bulk, discovery, me, resources, search};

/// The declarations, file by file. The router tries the paths in this order, so the most frequent
/// ones come first, and `/.search` of a type before the id that it could be taken for.
const DECLARED: [&[Endpoint]; 17] = [
    search::OF_TYPE,
    resources::ENDPOINTS,
    search::ENDPOINTS,
    discovery::ENDPOINTS,
    me::ENDPOINTS,
    bulk::ENDPOINTS,
    health::ENDPOINTS,
    docs::ENDPOINTS,
    tenants::ENDPOINTS,
    storage::ENDPOINTS,
    tokens::ENDPOINTS,
    erasures::ENDPOINTS,
    webhooks::ENDPOINTS,
    users::ENDPOINTS,
    groups::ENDPOINTS,
    memberships::ENDPOINTS,
    feed::ENDPOINTS,
];

/// An endpoint as it is served.
pub struct Served {
    pub path: String,
    pub endpoint: &'static Endpoint,
    /// The type that it is for, where it is one of every type's.
    pub resource_type: Option<Arc<ResourceType>>,
}

/// Every endpoint of a service with these resource types, in the order of matching.
pub fn served(registry: &Registry) -> Vec<Served> {
    let declared = || DECLARED.into_iter().flatten();
    let of_types = registry.types().iter().flat_map(|rt| {
        declared()
            .filter(|endpoint| endpoint.is_of_each_type() && is_allowed(rt, endpoint))
            .map(|endpoint| Served {
                path: endpoint.path.replace(TYPE_ENDPOINT, &rt.endpoint),
                endpoint,
                resource_type: Some(Arc::clone(rt)),
            })
    });
    let others = declared()
        .filter(|endpoint| !endpoint.is_of_each_type())
        .map(|endpoint| Served {
            path: endpoint.path.to_owned(),
            endpoint,
            resource_type: None,
        });
    of_types.chain(others).collect()
}

/// The endpoints that a listener with these groups serves.
pub fn served_by(registry: &Registry, groups: Groups) -> Vec<Served> {
    let mut served = served(registry);
    served.retain(|served| groups.include(&served.path));
    served
}

/// Clients only read the resources that the operator writes.
fn is_allowed(rt: &ResourceType, endpoint: &Endpoint) -> bool {
    match rt.access {
        ClientAccess::ReadOnly => endpoint.authorization == Authorization::Scope(Scope::Read),
        ClientAccess::ReadWrite => true,
    }
}
