//! The OpenAPI document, derived from the declared endpoints and from the registry.
//!
//! It only describes. A test compares it with the served routes, and `openapi/openapi.json` with
//! the generated document.

mod head;

use std::collections::BTreeSet;

use actix_web::http::Method;
use scim_core::registry::{Blueprint, ClientAccess};
use scim_core::{Registry, ResourceType};
use utoipa::openapi::info::{InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{
    Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, Paths,
};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::Server;
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{Components, OpenApi, OpenApiBuilder, RefOr, Required};

use crate::auth::Scope;
use crate::http::describe::describer::Describer;
use crate::http::describe::{message, names, resources, response, schema, tag};
use crate::http::endpoint;
use crate::http::endpoint::{
    Authorization, Body, BodyLimit, Endpoint, Location, Parameter, SCIM_ROOT,
};
use crate::http::endpoints::{self, Served};

/// The prefix of the schemas that describe the service itself.
const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0";

const ABOUT: &str = "Rollcall is a SCIM 2.0 provisioning service (RFC 7643, RFC 7644): an identity provider such as \
    Okta pushes users and groups in, and applications read them.\n\n\
    Every response has an `X-Request-Id`. If the client sends a plain word in this header, the service uses it, so \
    that a trace can cross services. Every error has a SCIM body, also outside of SCIM. A method that an endpoint \
    does not have is answered with 405 and `Allow`.\n\n\
    The operator can serve `/admin/v1` and `/metrics` on addresses of their own (`admin_listen`, \
    `metrics_listen`); the service's own document then describes what its address serves.";

/// Describes a service with these resource types. The same registry gives the same document.
pub fn document(registry: &Registry) -> OpenApi {
    describe(registry, &endpoints::served(registry))
}

/// Describes these endpoints.
pub fn describe(registry: &Registry, served: &[Served]) -> OpenApi {
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title("Rollcall")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let (paths, components) = paths_and_components(registry, served);
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .tags(Some(tags(registry)))
        .paths(paths)
        .components(Some(components))
        .security(Some(
            ["bearer", "basic"].map(|name| SecurityRequirement::new(name, Vec::<String>::new())),
        ))
        .build()
}

/// Checks that a resource type can have this name: schemas of the document are named after types.
///
/// # Errors
/// The name that the document uses for something else, for the operator.
pub fn check_name(others: &[Blueprint], name: &str) -> Result<(), String> {
    let registry = Registry::of(others)?;
    let (_, Components { schemas: taken, .. }) =
        paths_and_components(&registry, &endpoints::served(&registry));
    let mut names = names::components(name).into_iter();
    match names.find(|name| taken.contains_key(name)) {
        Some(name) => Err(format!(
            "the OpenAPI document calls something else {name:?}; give the type another name"
        )),
        None => Ok(()),
    }
}

fn tags(registry: &Registry) -> Vec<Tag> {
    let tag = |name: &str, text: &str| TagBuilder::new().name(name).description(Some(text)).build();
    let types = registry.types().iter();
    let types = types.map(|rt| tag(names::plural(rt), &rt.description));
    let others = tag::DESCRIBED.iter();
    types
        .chain(others.map(|(name, text)| tag(name, text)))
        .collect()
}

/// Describes every endpoint. The schemas of bodies are collected on the way.
fn paths_and_components(registry: &Registry, served: &[Served]) -> (Paths, Components) {
    let mut paths = Paths::new();
    let mut describer = Describer {
        registry,
        resource_type: None,
        components: components(registry),
    };
    let users = registry.by_name("User");
    for served in served {
        let rt = served.resource_type.as_ref().or(users);
        describer.resource_type = rt.map(|rt| &**rt);
        let Some(texts) = &served.endpoint.operation else {
            continue;
        };
        let item = paths.paths.entry(served.path.clone()).or_default();
        let operation = operation(&mut describer, served, texts);
        add(item, &served.endpoint.method, operation);
        if served.resource_type.is_some() {
            let ids = shared_in_path(served.endpoint, registry);
            item.parameters = item.parameters.take().or(ids);
        }
        if served.endpoint.answers_head() {
            head::beside_get(item);
        }
    }
    remove_dangling_links(&mut paths);
    (paths, describer.components)
}

fn operation(
    describer: &mut Describer<'_>,
    served: &Served,
    texts: &endpoint::Operation,
) -> Operation {
    let endpoint = served.endpoint;
    let name = |text: &str| describer.named(text);
    let mut operation = OperationBuilder::new()
        .tag(name(texts.tag))
        .operation_id(Some(name(texts.id)))
        .summary(Some(name(texts.summary)))
        .description(Some(with_scope(
            name(texts.description),
            endpoint.authorization,
        )));
    if endpoint.authorization == Authorization::Public {
        // An empty list of requirements: no token is needed.
        operation = operation.securities(Some([]));
    }
    for parameter in endpoint.parameters {
        operation = match parameter.is_component {
            true => {
                let reference = format!("#/components/parameters/{}", parameter.name);
                let described = described(parameter, describer.registry);
                let parameters = &mut describer.components.parameters;
                parameters.insert(parameter.name.to_owned(), described.into());
                operation.parameter_ref(Ref::new(reference))
            }
            false if is_shared_in_path(served, parameter) => operation,
            false => operation.parameter(described(parameter, describer.registry)),
        };
    }
    if let Some(body) = &endpoint.body {
        operation = operation.request_body(Some(described_body(body, describer)));
    }
    for (status, describe) in endpoint.responses {
        operation = operation.response(status.to_string(), describe(describer));
    }
    let mut operation = operation.build();
    for status in errors(endpoint, describer.resource_type) {
        if let Some(error) = response::shared_error(status) {
            let responses = &mut operation.responses.responses;
            let response = responses.entry(status.to_string());
            response.or_insert(error.into());
        }
    }
    operation
}

/// The body of an operation, and how large it may be.
fn described_body(body: &Body, describer: &mut Describer<'_>) -> RequestBody {
    let limit = match body.limit {
        BodyLimit::Bytes(bytes) => format!("At most {} KiB.", bytes / 1024),
        BodyLimit::Resource => "At most the bytes of the setting `body_limit_bytes`.".to_owned(),
        BodyLimit::Bulk => "At most `bulk.maxPayloadSize` bytes.".to_owned(),
    };
    let mut described = (body.describe)(describer);
    let text = described.description.take();
    let texts = text.into_iter().chain([limit]).collect::<Vec<_>>();
    described.description = Some(texts.join(" "));
    described
}

/// The errors that an endpoint declares, and those that follow from its declaration.
fn errors(endpoint: &Endpoint, rt: Option<&ResourceType>) -> Vec<u16> {
    let mut statuses = endpoint.errors.to_vec();
    let is_scim = endpoint.path.starts_with(SCIM_ROOT);
    if endpoint.authorization != Authorization::Public {
        statuses.extend([401, 403, 429, 500, 503]);
        if is_scim {
            statuses.push(406);
        }
    }
    if endpoint.body.is_some() {
        statuses.extend([400, 408, 413, 415]);
    }
    // Every address can hold an unknown parameter or U+0000.
    let texts = endpoint.operation.as_ref();
    if texts.is_some_and(|texts| texts.tag != tag::OPERATIONS) {
        statuses.push(400);
    }
    if is_scim && !rt.is_some_and(names::can_conflict) {
        statuses.retain(|status| *status != 409);
    }
    statuses
}

fn with_scope(description: String, authorization: Authorization) -> String {
    let needs = match authorization {
        Authorization::Public | Authorization::AnyToken => return description,
        Authorization::Scope(Scope::Read) => "Needs the scope `read` or `scim`.".to_owned(),
        Authorization::Scope(scope) => format!("Needs the scope `{scope}`."),
    };
    format!("{description} {needs}")
}

/// Whether the document has a parameter once for all methods of a path, as the id of a resource.
fn is_shared_in_path(served: &Served, parameter: &Parameter) -> bool {
    served.resource_type.is_some() && parameter.location == Location::Path
}

fn shared_in_path(
    endpoint: &Endpoint,
    registry: &Registry,
) -> Option<Vec<RefOr<utoipa::openapi::path::Parameter>>> {
    let mut parameters = endpoint.parameters.iter();
    let id = parameters.find(|parameter| parameter.location == Location::Path)?;
    Some(vec![described(id, registry).into()])
}

fn described(parameter: &Parameter, registry: &Registry) -> utoipa::openapi::path::Parameter {
    let is_required = match parameter.is_required {
        true => Required::True,
        false => Required::False,
    };
    let location = match parameter.location {
        Location::Path => ParameterIn::Path,
        Location::Query => ParameterIn::Query,
        Location::Header => ParameterIn::Header,
    };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(location)
        .required(is_required)
        .description(Some(parameter.description))
        .schema(Some((parameter.schema)(registry)))
        .build()
}

fn add(item: &mut PathItem, method: &Method, operation: Operation) {
    let of_method = match *method {
        Method::HEAD => &mut item.head,
        Method::POST => &mut item.post,
        Method::PUT => &mut item.put,
        Method::PATCH => &mut item.patch,
        Method::DELETE => &mut item.delete,
        _ => &mut item.get,
    };
    *of_method = Some(operation);
}

/// Removes links to operations that no endpoint declares.
fn remove_dangling_links(paths: &mut Paths) {
    let ids: BTreeSet<String> = operations(paths)
        .filter_map(|operation| operation.operation_id.clone())
        .collect();
    for operation in operations(paths) {
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                response.links.retain(|id, _| ids.contains(id));
            }
        }
    }
}

fn operations(paths: &mut Paths) -> impl Iterator<Item = &mut Operation> {
    paths.paths.values_mut().flat_map(|item| {
        let operations = [
            &mut item.get,
            &mut item.head,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        operations.into_iter().flatten()
    })
}

/// The components that do not belong to a single endpoint.
fn components(registry: &Registry) -> Components {
    let mut components = response::register(Components::new());
    let mut schemas = vec![
        ("Error".to_owned(), message::error()),
        ("PatchOp".to_owned(), message::patch_op()),
        ("PatchOperation".to_owned(), message::patch_operation()),
        ("SearchRequest".to_owned(), message::search_request()),
        (resources::ANY_LIST.to_owned(), message::list_of_any()),
    ];
    for rt in registry.types() {
        schemas.push((rt.name.clone(), schema::answered(rt)));
        if rt.access == ClientAccess::ReadWrite {
            schemas.push((names::input(rt), schema::sent(rt)));
        }
        schemas.push((names::page_name(rt), message::list(&rt.name)));
    }
    for name in ["ServiceProviderConfig", "ResourceType", "Schema"] {
        if let Some(found) = registry.schema(&format!("{CORE}:{name}")) {
            schemas.push((name.to_owned(), schema::discovery(found)));
        }
    }
    for name in ["ResourceType", "Schema"] {
        schemas.push((format!("{name}List"), message::list(name)));
    }
    let schemas = schemas.into_iter();
    components
        .schemas
        .extend(schemas.map(|(name, schema)| (name, schema.into())));
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
                "A token of this service as the password. The user name is ignored.",
            ),
        ),
    ]
}
