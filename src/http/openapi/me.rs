//! `/Me`: what there is for one user, but for the id.

use scim_core::ResourceType;
use utoipa::openapi::path::{Operation, PathItem};

use crate::http::openapi::{answer, resources, tag};

/// `/Me`, where `rt` is the type of users.
pub fn path(rt: &ResourceType) -> PathItem {
    let mut item = resources::single(rt);
    item.parameters = None;
    for operation in [
        &mut item.get,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
    {
        of_the_caller(rt, operation);
    }
    item
}

fn of_the_caller(rt: &ResourceType, operation: &mut Operation) {
    let own = |text: &str| text.replace(&rt.name, "Me");
    operation.operation_id = operation.operation_id.as_deref().map(own);
    operation.tags = Some(vec![tag::ME.to_owned()]);
    operation.summary = operation
        .summary
        .as_ref()
        .map(|summary| format!("{summary}: the caller"));
    let description = operation.description.take().unwrap_or_default();
    operation.description = Some(format!(
        "{description} The user is the one that the subject of the access token names; `Location` has the lasting \
         address. The tokens of this service are no users', and get 404."
    ));
    operation.responses.responses.insert(
        "501".to_owned(),
        answer::error(
            501,
            "The operator has switched this off.",
            "The operator of this service has switched this off, by the setting `me`.",
        )
        .into(),
    );
}
