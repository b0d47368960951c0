//! The operations of `/admin/v1/webhooks`.

use std::iter;

use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem, PathItemBuilder};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, RefOr};

use crate::http::admin::webhooks;
use crate::http::openapi::answer::{self, BODY, GUARDED};
use crate::http::openapi::directory::add;
use crate::http::openapi::service::{admin, body, in_path, many, one, tenant_parameter};

/// The schemas of what the operations here take and answer.
pub fn register(mut components: Components) -> Components {
    let mut typed: Vec<(String, RefOr<Schema>)> = Vec::new();
    add::<webhooks::NewWebhook>(&mut typed);
    add::<webhooks::Webhook>(&mut typed);
    add::<webhooks::WebhookSecret>(&mut typed);
    add::<webhooks::WebhookDeadLetter>(&mut typed);
    add::<webhooks::WebhookAgain>(&mut typed);
    add::<webhooks::WebhookWanted>(&mut typed);
    add::<webhooks::WebhookRotation>(&mut typed);
    add::<webhooks::WebhookTest>(&mut typed);
    components.schemas.extend(typed);
    components
}

/// Every path here with its operations.
pub fn paths() -> Vec<(String, PathItem)> {
    let path = |path: &str, item: PathItem| (format!("/admin/v1/webhooks{path}"), item);
    vec![
        path("", collection()),
        path("/{name}", single()),
        path("/{name}/dead-letters", dead_letters()),
        path("/{name}/redeliver", redeliver()),
        path("/{name}/rotate", rotate()),
        path("/{name}/test", test()),
    ]
}

fn collection() -> PathItem {
    let list = admin(
        "listWebhooks",
        "List webhooks",
        "By name, with how they are doing. Needs the scope `admin`.",
    )
    .parameter(tenant_parameter())
    .response("200", many("Webhook", "The webhooks.", json!([webhook()])));
    let wish = json!({
        "name": "payroll",
        "url": "https://payroll.example.com/rollcall",
        "kinds": ["created", "deactivated"],
        "resourceTypes": ["User"],
    });
    let create = admin(
        "createWebhook",
        "Create a webhook",
        "Changes are posted in the form of Standard Webhooks, at least once and in their order. The answer is the only place \
         where the secret is ever shown. Needs the scope `admin`.",
    )
    .request_body(Some(body("NewWebhook", wish)))
    .response("201", one("WebhookSecret", "It was created.", secret()));
    PathItemBuilder::new()
        .operation(HttpMethod::Get, errors(list, &[]))
        .operation(
            HttpMethod::Post,
            errors(create, &[&[409], &BODY[..]].concat()),
        )
        .build()
}

fn single() -> PathItem {
    let delete = named(
        "deleteWebhook",
        "Delete a webhook",
        "What is on its way may still arrive. Needs the scope `admin`.",
    )
    .response("204", Response::new("It is deleted."));
    PathItem::new(HttpMethod::Delete, errors(delete, &[]))
}

fn dead_letters() -> PathItem {
    let letter = json!({
        "seq": 4711,
        "givenUp": "2026-03-04T08:00:00Z",
        "attempts": 75,
        "failure": "the receiver answered 503 Service Unavailable",
        "wanted": false,
    });
    let list = named(
        "listDeadLetters",
        "List the changes that were given up",
        "The first thousand, in the order of the changes. Needs the scope `admin`.",
    )
    .response(
        "200",
        many("WebhookDeadLetter", "The dead letters.", json!([letter])),
    );
    PathItem::new(HttpMethod::Get, errors(list, &[]))
}

fn redeliver() -> PathItem {
    let operation = named(
        "redeliverWebhook",
        "Deliver once more",
        "Every dead letter, one of them, or everything behind a change. A webhook that waits or was stopped goes on. \
         Needs the scope `admin`.",
    )
    .request_body(Some(body("WebhookAgain", json!({ "seq": 4711 }))))
    .response(
        "200",
        one("WebhookWanted", "It was asked for.", json!({ "deadLetters": 1 })),
    );
    PathItem::new(HttpMethod::Post, errors(operation, &BODY))
}

fn rotate() -> PathItem {
    let operation = named(
        "rotateWebhookSecret",
        "Make a new secret",
        "The one before signs beside it for a while, so that a receiver can change over. Needs the scope `admin`.",
    )
    .request_body(Some(body("WebhookRotation", json!({ "keepSeconds": 86_400 }))))
    .response("200", one("WebhookSecret", "It was made.", secret()));
    PathItem::new(HttpMethod::Post, errors(operation, &BODY))
}

fn test() -> PathItem {
    let operation = named(
        "testWebhook",
        "Post a test message",
        "Once and now; the answer tells how it went. Needs the scope `admin`.",
    )
    .response(
        "200",
        one(
            "WebhookTest",
            "It was tried.",
            json!({ "delivered": false, "failure": "the receiver answered 404 Not Found" }),
        ),
    );
    PathItem::new(HttpMethod::Post, errors(operation, &[]))
}

fn named(id: &str, summary: &str, description: &str) -> OperationBuilder {
    admin(id, summary, description)
        .parameter(in_path(
            "name",
            "The name of the webhook.",
            iter::once("payroll"),
        ))
        .parameter(tenant_parameter())
}

/// Every operation here names a tenant, which may not be there.
fn errors(operation: OperationBuilder, more: &[u16]) -> OperationBuilder {
    answer::errors(operation, &[&[404], &GUARDED[..], more].concat())
}

fn secret() -> Value {
    json!({ "secret": "whsec_EXAMPLE-shown-only-once" })
}

fn webhook() -> Value {
    json!({
        "name": "payroll",
        "url": "https://payroll.example.com/rollcall",
        "kinds": ["created", "deactivated"],
        "resourceTypes": ["User"],
        "created": "2026-03-01T08:00:00Z",
        "stopped": null,
        "done": 4711,
        "behind": 0,
        "attempts": 0,
        "failure": null,
        "deadLetters": 0,
    })
}
