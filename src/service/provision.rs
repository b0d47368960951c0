//! Create, read, replace, patch and delete resources of any type.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::Scope;
use crate::scim::leaves;
use crate::scim::members::MemberEdit;
use crate::scim::project::Selection;
use crate::scim::{Document, ResourceType, ScimError, admit, patch};
use crate::service::present::{self, Patched, Resource};
use crate::service::write::Writer;
use crate::service::{Context, Error, PasswordSync, Service, passwords};
use crate::store::changes::{Change, ChangeKind};
use crate::store::resources::NewResource;
use crate::store::{ResourceId, Unique, resources};

/// Creates a resource (RFC 7644 section 3.3).
///
/// # Errors
/// What [`admit::admit`] refuses, and `uniqueness` where the user name is taken.
pub async fn create(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    body: &Value,
    selection: Selection,
) -> Result<Resource, Error> {
    context.require(Scope::Scim)?;
    let selection = selection.and_sent(rt, body);
    let mut admitted = admit::admit(rt, body, context.policy.compatibility)?;
    admit::defaults(rt, &mut admitted.document);
    let id = ResourceId(service.clock.new_id());
    admitted.document.set_id(id.as_str());
    let password_hash = match (service.options.password_sync, admitted.password) {
        (PasswordSync::On, Some(password)) => Some(passwords::hash(password).await?),
        _ => None,
    };
    let options = Arc::clone(&service.options);
    let (rt, writer) = (Arc::clone(rt), Writer::new(context, rt, id));
    let document = &admitted.document;
    let hot = leaves::hot_columns(&rt, document);
    let user_name = hot.user_name.clone();
    // All that can be made ready is, for every write of the tenant waits for this one.
    let new = NewResource {
        id: writer.id.clone(),
        resource_type: rt.name.clone(),
        at: writer.at,
        hot,
        label: leaves::label(document),
        password_hash,
        doc: document.to_string(),
        rows: leaves::index_rows(&rt, document),
    };
    let created = service
        .store
        .write(context.tenant(), move |tx| {
            resources::insert(tx, &new)?;
            writer.append(tx, ChangeKind::Created, new.doc);
            let edits = admitted.members.map(MemberEdit::Add).into_iter().collect();
            writer.edit_members(tx, edits, &options)?;
            writer.read_back(tx, &options, &selection)
        })
        .await;
    explain(service, context, user_name, created).await
}

/// Reads one resource (RFC 7644 section 3.4.1).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
    selection: Selection,
) -> Result<Resource, Error> {
    context.require(Scope::Read)?;
    let (tenant, rt, options) = (
        context.tenant(),
        Arc::clone(rt),
        Arc::clone(&service.options),
    );
    service
        .store
        .read(move |conn| {
            let row = resources::get(conn, tenant, &rt.name, &id)?
                .ok_or_else(|| Error::no_resource(&rt, &id))?;
            present::one(conn, tenant, &options.base_url, &rt, row, &selection)
        })
        .await
}

/// Replaces a resource (RFC 7644 section 3.5.1). What is equal already leaves no trace.
///
/// # Errors
/// What [`admit::admit`] and [`admit::replace`] refuse, [`Error::NotFound`], `uniqueness`.
pub async fn replace(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
    body: &Value,
    selection: Selection,
) -> Result<Resource, Error> {
    context.require(Scope::Scim)?;
    let selection = selection.and_sent(rt, body);
    let admitted = admit::admit(rt, body, context.policy.compatibility)?;
    let password = passwords::wished(service, context, &id, admitted.password.map(Some)).await?;
    let user_name = leaves::hot_columns(rt, &admitted.document).user_name;
    let options = Arc::clone(&service.options);
    let (rt, writer) = (Arc::clone(rt), Writer::new(context, rt, id));
    // RFC 7644 section 3.5.1: what a replacing body leaves out is cleared, members like the rest.
    let edits = match admitted.members {
        _ if !rt.is_relational("members") => Vec::new(),
        Some(list) => vec![MemberEdit::Replace(list)],
        None => vec![MemberEdit::RemoveAll],
    };
    let replaced = service
        .store
        .write(context.tenant(), move |tx| {
            let stored = writer.current(tx)?;
            let before = Document::parse(&stored.doc).map_err(Error::internal)?;
            let after = admit::replace(&rt, &before, &admitted.document)?;
            writer.update(tx, &stored, &before, after, password, edits, &options)?;
            writer.read_back(tx, &options, &selection)
        })
        .await;
    explain(service, context, user_name, replaced).await
}

/// Applies a PATCH (RFC 7644 section 3.5.2): all of its operations or none.
///
/// # Errors
/// What [`patch::parse`] and [`patch::Patch::apply`] refuse, [`Error::NotFound`], `uniqueness`.
pub async fn patch(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
    body: &Value,
    selection: Selection,
) -> Result<Patched, Error> {
    context.require(Scope::Scim)?;
    let selection = selection.and_sent(rt, body);
    let patch = patch::parse(rt, body, context.policy.compatibility)?;
    let password = passwords::patched(service, context, rt, &id, &patch).await?;
    let options = Arc::clone(&service.options);
    let (rt, writer) = (Arc::clone(rt), Writer::new(context, rt, id));
    let patched = service
        .store
        .write(context.tenant(), move |tx| {
            let stored = writer.current(tx)?;
            if patch.touches_document() {
                let before = Document::parse(&stored.doc).map_err(Error::internal)?;
                let after = patch.apply(&rt, &before)?.document;
                writer.update(
                    tx,
                    &stored,
                    &before,
                    after,
                    password,
                    patch.member_edits(),
                    &options,
                )?;
            } else {
                writer.update_members(tx, &stored, patch.member_edits(), &options)?;
            }
            writer.answer_patch(tx, &options, &selection)
        })
        .await;
    explain(service, context, None, patched).await
}

/// Deletes a resource; a user or group also leaves the groups that it was in (RFC 7644 section 3.6).
///
/// # Errors
/// [`Error::NotFound`].
pub async fn delete(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
) -> Result<(), Error> {
    context.require(Scope::Scim)?;
    let (rt, writer) = (Arc::clone(rt), Writer::new(context, rt, id));
    service
        .store
        .write(context.tenant(), move |tx| {
            let stored = writer.current(tx)?;
            let left = resources::delete(tx, &rt.name, &writer.id)?
                .map_or_else(Vec::new, |deleted| deleted.groups);
            resources::touch_many(tx, &left, writer.at)?;
            for group in left {
                tx.append(Change {
                    resource_id: group,
                    resource_type: "Group".to_owned(),
                    kind: ChangeKind::MemberRemoved,
                    at: writer.at,
                    actor: writer.actor.clone(),
                    payload: json!({ "members": [{ "value": writer.id.as_str() }] }).to_string(),
                });
            }
            writer.append(tx, ChangeKind::Deleted, stored.doc);
            Ok(())
        })
        .await
}

/// Passes a result on; a user name that is taken becomes the 409 that names its holder.
async fn explain<T>(
    service: &Service,
    context: &Context,
    user_name: Option<String>,
    result: Result<T, Error>,
) -> Result<T, Error> {
    match result {
        Err(Error::Taken(Unique::UserName)) => Err(taken(service, context, user_name).await),
        other => other,
    }
}

/// The 409 for a user name that is taken. Okta shows the text to the admin, who wants to know which user it is.
async fn taken(service: &Service, context: &Context, user_name: Option<String>) -> Error {
    let tenant = context.tenant();
    let holder = match user_name {
        None => None,
        Some(name) => service
            .store
            .read(move |conn| Ok::<_, Error>(resources::by_user_name(conn, tenant, "User", &name)?))
            .await
            .ok()
            .flatten(),
    };
    let detail = match holder {
        Some(row) => {
            let state = if row.active == Some(false) {
                "inactive"
            } else {
                "active"
            };
            format!(
                "A user with this userName exists: id {} ({state}). Assign that user again or link it, instead of creating a second one.",
                row.id.as_str()
            )
        }
        None => {
            "A user with this userName exists. Choose another userName, or link the existing user."
                .to_owned()
        }
    };
    ScimError::uniqueness(detail).into()
}

/// Whether the database answers.
///
/// # Errors
/// Where it does not.
pub async fn ready(service: &Service) -> Result<(), Error> {
    Ok(service.store.ready().await?)
}
