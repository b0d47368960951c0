//! The declaration of an endpoint: everything that is said about it, in one value beside its
//! handler.
//!
//! The routes, `Allow`, the 405, the scope check, the accepted parameters and the OpenAPI document
//! derive from it, so deleting a declaration removes all of them.

use actix_web::http::Method;
use actix_web::{HttpRequest, Route};
use scim_core::Registry;
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::ObjectBuilder;

use crate::auth::Scope;
use crate::http::describe::describer::Describer;

/// The root of the SCIM endpoints.
pub const SCIM_ROOT: &str = "/scim/v2";

/// In a declared path: the endpoint of a resource type, such as `/Users`. The declaration holds for
/// every type of the registry.
pub const TYPE_ENDPOINT: &str = "{endpoint}";

/// One method of one path.
pub struct Endpoint {
    pub method: Method,
    /// The whole path; see [`TYPE_ENDPOINT`].
    pub path: &'static str,
    pub handler: fn() -> Route,
    pub authorization: Authorization,
    pub accepts: Accepts,
    pub parameters: &'static [Parameter],
    pub body: Option<Body>,
    /// The responses that are particular to this endpoint, by status.
    pub responses: &'static [(u16, Describe<Response>)],
    /// The statuses of further errors. Those of every endpoint with a token, with a body or with
    /// parameters need no mention.
    pub errors: &'static [u16],
    /// `None` for pages that are not part of the interface for programs.
    pub operation: Option<Operation>,
}

/// The body that an endpoint reads.
pub struct Body {
    pub limit: BodyLimit,
    pub describe: Describe<RequestBody>,
}

/// The largest body of an endpoint. `body_limit_bytes` is the largest of any but a bulk request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLimit {
    /// For messages of which nothing is stored, or little.
    Bytes(usize),
    /// As large as `body_limit_bytes` allows.
    Resource,
    /// As large as `bulk_max_payload_bytes` allows.
    Bulk,
}

impl Body {
    /// A message of up to 64 KiB.
    pub const fn message(describe: Describe<RequestBody>) -> Self {
        Self {
            limit: BodyLimit::Bytes(64 << 10),
            describe,
        }
    }

    /// A list of up to 256 KiB.
    pub const fn list(describe: Describe<RequestBody>) -> Self {
        Self {
            limit: BodyLimit::Bytes(256 << 10),
            describe,
        }
    }

    /// A resource, or changes to one.
    pub const fn resource(describe: Describe<RequestBody>) -> Self {
        Self {
            limit: BodyLimit::Resource,
            describe,
        }
    }
}

/// Describes a part of an operation for the OpenAPI document.
pub type Describe<T> = fn(&mut Describer<'_>) -> T;

/// The texts of an OpenAPI operation. For an endpoint of every resource type, `{type}` is the name
/// of the type, `{types}` its endpoint without the slash, and `{noun}` its name in lower case.
pub struct Operation {
    pub tag: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    /// The required scope is appended.
    pub description: &'static str,
}

/// The credential that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// None.
    Public,
    /// Any valid token; the handler checks the rest.
    AnyToken,
    /// A valid token with this scope.
    Scope(Scope),
}

/// The query parameters that a request may have. A refused one is answered with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// Those that are declared.
    Declared,
    /// All parameters of SCIM queries: those of lists mean nothing for one resource, and clients
    /// send them.
    ScimQuery,
    /// Any. The handler ignores those that are not declared.
    Any,
}

/// One parameter of an endpoint.
#[derive(Clone, Copy)]
pub struct Parameter {
    pub name: &'static str,
    pub location: Location,
    pub is_required: bool,
    /// Whether the OpenAPI document has it once, as a component.
    pub is_component: bool,
    pub description: &'static str,
    pub schema: fn(&Registry) -> ObjectBuilder,
}

/// The part of a request that holds a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    Path,
    Query,
    Header,
}

impl Endpoint {
    /// Whether HEAD is answered as well: a SCIM client may send it wherever it may send GET.
    pub fn answers_head(&self) -> bool {
        self.method == Method::GET && self.path.starts_with(SCIM_ROOT)
    }

    /// Whether the declaration holds for every resource type.
    pub fn is_of_each_type(&self) -> bool {
        self.path.contains(TYPE_ENDPOINT)
    }

    /// The names of the declared query parameters.
    pub fn query_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.parameters
            .iter()
            .filter(|parameter| parameter.location == Location::Query)
            .map(|parameter| parameter.name)
    }

    /// The endpoint that the router chose for a request.
    pub fn of_request(request: &HttpRequest) -> Option<&'static Self> {
        let at_path: &PathEndpoints = request.app_data()?;
        at_path.for_method(request.method())
    }
}

/// The endpoints of one path, as application data of its resource.
pub struct PathEndpoints(pub Vec<&'static Endpoint>);

impl PathEndpoints {
    fn for_method(&self, method: &Method) -> Option<&'static Endpoint> {
        let mut endpoints = self.0.iter().copied();
        endpoints.find(|endpoint| {
            endpoint.method == *method || (*method == Method::HEAD && endpoint.answers_head())
        })
    }

    /// The methods of the path, as `Allow` lists them.
    pub fn allow(&self) -> String {
        let methods: Vec<&str> = self
            .0
            .iter()
            .flat_map(|endpoint| {
                let head = endpoint.answers_head().then_some("HEAD");
                std::iter::once(endpoint.method.as_str()).chain(head)
            })
            .collect();
        methods.join(", ")
    }
}

impl Parameter {
    /// An optional parameter of the query string.
    pub const fn query(
        name: &'static str,
        description: &'static str,
        schema: fn(&Registry) -> ObjectBuilder,
    ) -> Self {
        Self {
            name,
            location: Location::Query,
            is_required: false,
            is_component: false,
            description,
            schema,
        }
    }

    /// A part of the path.
    pub const fn path(
        name: &'static str,
        description: &'static str,
        schema: fn(&Registry) -> ObjectBuilder,
    ) -> Self {
        Self {
            location: Location::Path,
            is_required: true,
            ..Self::query(name, description, schema)
        }
    }

    /// An optional header.
    pub const fn header(
        name: &'static str,
        description: &'static str,
        schema: fn(&Registry) -> ObjectBuilder,
    ) -> Self {
        Self {
            location: Location::Header,
            ..Self::query(name, description, schema)
        }
    }

    #[must_use]
    pub const fn required(self) -> Self {
        Self {
            is_required: true,
            ..self
        }
    }

    /// The same parameter, described once for all endpoints.
    #[must_use]
    pub const fn shared(self) -> Self {
        Self {
            is_component: true,
            ..self
        }
    }
}
