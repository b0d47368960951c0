//! The content of a delivery, in the form of Standard Webhooks
//! (<https://www.standardwebhooks.com>).

use std::sync::Arc;

use jiff::Timestamp;
use scim_core::Registry;
use serde::Serialize;
use serde_json::json;

use crate::service::Error;
use crate::service::feed::{Change, View};
use crate::store::tables::changes::{self, ChangeKind, RecordedChange};
use crate::store::tables::subscriptions::Subscription;
use crate::store::tables::tenants::{self, Tenant};
use crate::store::{Conn, StoreError, TenantId};
use crate::webhooks::sign::SigningSecret;

/// The URL of a subscription's receiver, and the secrets that sign deliveries, the newest first.
#[derive(Debug, Clone)]
pub struct DeliveryTarget {
    pub url: String,
    pub secrets: Vec<SigningSecret>,
}

/// Returns the receiver of a subscription and the secrets that are valid at `now`.
pub fn target_of(row: &Subscription, now: Timestamp) -> Result<DeliveryTarget, Error> {
    let mut secrets = vec![SigningSecret::parse(&row.secret)?];
    if let (Some(old), Some(until)) = (&row.old_secret, row.old_secret_until)
        && now.as_microsecond() < until
    {
        secrets.push(SigningSecret::parse(old)?);
    }
    Ok(DeliveryTarget {
        url: row.url.clone(),
        secrets,
    })
}

/// Returns whether a subscription selects a change.
pub fn wants(row: &Subscription, change: &RecordedChange) -> bool {
    let is_in = |list: &str, word: &str| {
        list.is_empty() || list.split(' ').any(|name| name.eq_ignore_ascii_case(word))
    };
    // Every subscription gets erasures: those of other kinds have received the erased values by
    // them.
    let is_wanted =
        change.change.kind == ChangeKind::Erased || is_in(&row.kinds, change.change.kind.as_str());
    is_wanted && is_in(&row.resource_types, &change.change.resource_type)
}

/// A message to post. Its id stays the same over all attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: String,
    pub body: String,
}

/// Renders changes as the feed shows them to a reader that may read everything.
pub struct MessageRenderer(View);

impl MessageRenderer {
    pub fn new(registry: &Arc<Registry>) -> Self {
        Self(View::whole(registry))
    }

    /// Knows only the resource types of RFC 7643.
    #[cfg(test)]
    pub(crate) fn standard() -> Self {
        Self::new(&Arc::new(Registry::standard()))
    }

    /// Returns the message of a change, or `None` if there is nothing in it to show.
    pub fn message(
        &self,
        tenant: &Tenant,
        recorded: RecordedChange,
    ) -> Result<Option<Message>, Error> {
        let Some(change) = self.0.change(recorded) else {
            return Ok(None);
        };
        let kind = change.kind.as_str();
        let body = EventBody {
            kind: format!("{}.{kind}", change.resource_type.to_ascii_lowercase()),
            timestamp: change.at,
            data: Data {
                tenant: &tenant.name,
                change: &change,
            },
        };
        Ok(Some(Message {
            id: format!("change_{}_{}", tenant.id.0, change.seq),
            body: serde_json::to_string(&body).map_err(Error::internal)?,
        }))
    }
}

#[derive(Serialize)]
struct EventBody<'a> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    tenant: &'a str,
    #[serde(flatten)]
    change: &'a Change,
}

/// Returns a message without a change, to test a receiver.
pub fn test_message(tenant: &str, id: &str, now: Timestamp) -> Message {
    let body = json!({
        "type": "webhook.test",
        "timestamp": now.to_string(),
        "data": { "tenant": tenant },
    });
    Message {
        id: format!("test_{id}"),
        body: body.to_string(),
    }
}

/// Reads the tenant and at most `limit` changes after a number.
pub fn changes_after(
    conn: &mut Conn,
    tenant: TenantId,
    seq: i64,
    limit: u32,
) -> Result<Option<(Tenant, Vec<RecordedChange>)>, StoreError> {
    let Some(tenant) = tenants::get(conn, tenant)? else {
        return Ok(None);
    };
    let found = changes::after(conn, tenant.id, seq, limit)?;
    Ok(Some((tenant, found)))
}
