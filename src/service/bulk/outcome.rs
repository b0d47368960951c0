//! The result of one operation of a bulk request.

use scim_core::Version;
use scim_core::bulk::Verb;

use crate::service::Error;
use crate::service::provision::representation::Written;

/// The outcome of one operation.
#[derive(Debug)]
pub struct Outcome {
    /// As sent; in capitals if it is a known method.
    pub method: String,
    pub bulk_id: Option<String>,
    /// The URL of the resource. A failed POST has none.
    pub location: Option<String>,
    pub result: Result<Done, Error>,
}

/// An operation that succeeded.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    pub verb: Verb,
    /// The version after the operation; none after a deletion.
    pub version: Option<Version>,
}

impl Done {
    pub(super) fn written(verb: Verb, written: &Written) -> Self {
        let version = match written {
            Written::Whole(resource) => resource.version,
            Written::Minimal { version, .. } => *version,
        };
        Self {
            verb,
            version: Some(version),
        }
    }
}
