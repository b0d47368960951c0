//! The OpenAPI document: what the registry holds and what [`super::routes`] serves, for people and tools.
//!
//! It only describes. A test holds it to the routes, and `openapi/openapi.json` to what is made here.

mod answer;
mod bulk;
mod directory;
mod example;
mod head;
mod me;
mod message;
mod resources;
mod schema;
mod search;
mod service;
mod webhooks;

use scim_core::Registry;
use scim_core::registry::{Blueprint, ClientAccess};
use utoipa::openapi::info::{InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::Paths;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::Server;
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{Components, OpenApi, OpenApiBuilder};

use crate::http::SCIM_ROOT;

const ABOUT: &str = "Rollcall is a SCIM 2.0 provisioning service (RFC 7643, RFC 7644): an identity provider such as \
    Okta pushes people and groups in, and applications read who is there.\n\n\
    Every answer has an `X-Request-Id`; a plain word that the client sends under this name is kept, so that a trace \
    can cross services. Every error has a SCIM body, also outside of SCIM. A method that an endpoint does not have is \
    answered with 405 and `Allow`.";

/// The groups of operations besides those of the resource types.
mod tag {
    pub const DIRECTORY: &str = "Directory";
    pub const ME: &str = "Me";
    pub const BULK: &str = "Bulk";
    pub const SEARCH: &str = "Search";
    pub const DISCOVERY: &str = "Discovery";
    pub const ADMINISTRATION: &str = "Administration";
    pub const OPERATIONS: &str = "Operations";
}

/// Describes the service with these resource types. The same registry gives the same document to the letter.
pub fn document(registry: &Registry) -> OpenApi {
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title("Rollcall")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .tags(Some(tags(registry)))
        .paths(paths(registry))
        .components(Some(components(registry)))
        .security(Some(
            ["bearer", "basic"].map(|name| SecurityRequirement::new(name, Vec::<String>::new())),
        ))
        .build()
}

/// Whether a resource type can be called so: the schemas of the document are named after the types.
///
/// # Errors
/// The name that is in use for something else, for the operator.
pub fn check_name(others: &[Blueprint], name: &str) -> Result<(), String> {
    let registry = Registry::of(others)?;
    let taken = components(&registry).schemas;
    let mut names = resources::components(name).into_iter();
    match names.find(|name| taken.contains_key(name)) {
        Some(name) => Err(format!(
            "the OpenAPI document calls something else {name:?}; give the type another name"
        )),
        None => Ok(()),
    }
}

fn tags(registry: &Registry) -> Vec<Tag> {
    let tag = |name: &str, text: &str| TagBuilder::new().name(name).description(Some(text)).build();
    let mut tags: Vec<Tag> = registry
        .types()
        .iter()
        .map(|rt| tag(resources::plural(rt), &rt.description))
        .collect();
    tags.push(tag(
        tag::DIRECTORY,
        "Users and groups in plain JSON, for applications that do not speak SCIM.",
    ));
    tags.push(tag(
        tag::ME,
        "The user that the caller's access token stands for.",
    ));
    tags.push(tag(tag::BULK, "Many operations in one request."));
    tags.push(tag(tag::SEARCH, "All resource types at once."));
    tags.push(tag(tag::DISCOVERY, "What the service supports and knows."));
    tags.push(tag(tag::ADMINISTRATION, "Tenants, tokens and webhooks."));
    tags.push(tag(tag::OPERATIONS, "For whoever runs the service."));
    tags
}

fn paths(registry: &Registry) -> Paths {
    let mut paths = Paths::new();
    for rt in registry.types() {
        let endpoint = format!("{SCIM_ROOT}{}", rt.endpoint);
        paths
            .paths
            .insert(format!("{endpoint}/{{id}}"), resources::single(rt));
        paths
            .paths
            .insert(format!("{endpoint}/.search"), search::one(rt));
        paths.paths.insert(endpoint, resources::collection(rt));
    }
    paths.paths.extend(directory::paths());
    paths
        .paths
        .insert(format!("{SCIM_ROOT}/Bulk"), bulk::path());
    let root = [("", search::root()), ("/.search", search::all())];
    let root = root.map(|(path, item)| (format!("{SCIM_ROOT}{path}"), item));
    paths.paths.extend(root);
    if let Some(users) = registry.by_name("User") {
        paths
            .paths
            .insert(format!("{SCIM_ROOT}/Me"), me::path(users));
    }
    paths.paths.extend(service::paths(registry));
    paths.paths.extend(webhooks::paths());
    for (path, item) in &mut paths.paths {
        if [SCIM_ROOT, "/directory/", "/admin/"]
            .iter()
            .any(|root| path.starts_with(root))
        {
            answer::can_be_malformed(item);
        }
        if path.starts_with(SCIM_ROOT) {
            head::beside_get(item);
        }
    }
    paths
}

fn components(registry: &Registry) -> Components {
    let components = directory::register(answer::register(Components::new()));
    let components = webhooks::register(components);
    let mut components = service::register(components, registry);
    let mut schemas = vec![
        ("Error".to_owned(), message::error()),
        ("PatchOp".to_owned(), message::patch_op()),
        ("PatchOperation".to_owned(), message::patch_operation()),
        ("SearchRequest".to_owned(), message::search_request()),
        (search::ANY_LIST.to_owned(), message::list_of_any()),
    ];
    for rt in registry.types() {
        schemas.push((rt.name.clone(), schema::answered(rt)));
        if rt.access == ClientAccess::ReadWrite {
            schemas.push((resources::input(rt), schema::sent(rt)));
        }
        schemas.push((resources::page(rt), message::list(&rt.name)));
    }
    components.schemas.extend(
        schemas
            .into_iter()
            .map(|(name, schema)| (name, schema.into())),
    );
    components = bulk::register(components);
    for (name, parameter) in resources::parameters() {
        components
            .parameters
            .insert(name.to_owned(), parameter.into());
    }
    for (name, scheme) in security_schemes() {
        components.add_security_scheme(name, scheme);
    }
    components
}

fn security_schemes() -> [(&'static str, SecurityScheme); 2] {
    let scheme = |scheme, text: &str| {
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(scheme)
                .description(Some(text))
                .build(),
        )
    };
    [
        (
            "bearer",
            scheme(
                HttpAuthScheme::Bearer,
                "A token of this service (`rollcall token create NAME`), or a JWT of an issuer that the service trusts.",
            ),
        ),
        (
            "basic",
            scheme(
                HttpAuthScheme::Basic,
                "A token of this service as the password; the user name is not read.",
            ),
        ),
    ]
}
