//! The paths that need no credential.

use actix_web::dev::ResourceDef;

use crate::http::endpoint::Authorization;
use crate::http::endpoints::Served;

/// The paths whose endpoints need no credential.
#[derive(Clone)]
pub struct PublicPaths(Vec<ResourceDef>);

impl PublicPaths {
    /// Selects the public paths of these endpoints.
    pub fn of(served: &[Served]) -> Self {
        let paths = served
            .iter()
            .filter(|served| served.endpoint.authorization == Authorization::Public)
            .map(|served| ResourceDef::new(&*served.path));
        Self(paths.collect())
    }

    /// Returns whether a path is one of them.
    pub fn contain(&self, path: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(path))
    }
}

#[cfg(test)]
mod tests {
    use scim_core::Registry;

    use super::*;
    use crate::http::endpoints;

    #[test]
    fn discovery_and_documentation_are_public() {
        let paths = PublicPaths::of(&endpoints::served(&Registry::standard()));
        for public in [
            "/openapi.json",
            "/docs",
            "/docs/",
            "/docs/index.css",
            "/scim/v2/ServiceProviderConfig",
            "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
        ] {
            assert!(paths.contain(public), "{public}");
        }
        for other in [
            "/scim/v2/Users",
            "/scim/v2/Me",
            "/admin/v1/tokens",
            "/directory/v1/changes",
            "/unknown",
        ] {
            assert!(!paths.contain(other), "{other}");
        }
    }
}
