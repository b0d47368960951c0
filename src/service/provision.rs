//! Create, read, replace, patch, delete and list resources of any type.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::Scope;
use crate::scim::leaves;
use crate::scim::members::MemberEdit;
use crate::scim::patch::Patch;
use crate::scim::project::Selection;
use crate::scim::{Document, ResourceType, ScimError, admit, diff, patch};
use crate::service::membership::{self, Effect};
use crate::service::present::{self, Resource};
use crate::service::{Context, Error, Options, PasswordSync, Service, passwords};
use crate::store::changes::{Change, ChangeKind};
use crate::store::resources::{NewResource, Password, Stored, Update};
use crate::store::{ResourceId, Tx, Unique, members, resources};

/// What a PATCH answers: the resource, or nothing where the whole list of a large group would be the answer.
#[derive(Debug, Clone)]
pub enum Patched {
    Whole(Resource),
    Quiet { location: String, version: i64 },
}

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
    require(context, Scope::Scim)?;
    let mut admitted = admit::admit(rt, body)?;
    admit::defaults(rt, &mut admitted.document);
    let id = ResourceId(service.clock.new_id());
    admitted.document.set_id(id.as_str());
    let password_hash = match (service.options.password_sync, admitted.password) {
        (PasswordSync::On, Some(password)) => Some(passwords::hash(password).await?),
        _ => None,
    };
    let options = Arc::clone(&service.options);
    let (rt, writer) = (Arc::clone(rt), Writer::new(context, rt, id));
    let hot = leaves::hot_columns(&rt, &admitted.document);
    let user_name = hot.user_name.clone();
    let created = service
        .store
        .write(context.tenant(), move |tx| {
            let document = admitted.document;
            let new = NewResource {
                id: writer.id.clone(),
                resource_type: rt.name.clone(),
                at: writer.at,
                hot,
                label: leaves::label(&document),
                password_hash,
                doc: document.to_string(),
                rows: leaves::index_rows(&rt, &document),
            };
            resources::insert(tx, &new)?;
            writer.append(tx, ChangeKind::Created, new.doc);
            let edits = admitted.members.map(MemberEdit::Add).into_iter().collect();
            writer.edit_members(tx, edits, &options)?;
            writer.read_back(tx, &options, &selection)
        })
        .await;
    match created {
        Err(Error::Taken(Unique::UserName)) => Err(taken(service, context, user_name).await),
        other => other,
    }
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
    require(context, Scope::Read)?;
    let (tenant, rt, options) = (
        context.tenant(),
        Arc::clone(rt),
        Arc::clone(&service.options),
    );
    service
        .store
        .read(move |conn| {
            let row =
                resources::get(conn, tenant, &rt.name, &id)?.ok_or_else(|| not_found(&rt, &id))?;
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
    require(context, Scope::Scim)?;
    let admitted = admit::admit(rt, body)?;
    let password = new_password(service, context, &id, admitted.password.map(Some)).await?;
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
    match replaced {
        Err(Error::Taken(Unique::UserName)) => Err(taken(service, context, user_name).await),
        other => other,
    }
}

/// Applies a PATCH (RFC 7644 section 3.5.2): all of its operations or none.
///
/// # Errors
/// What [`patch::parse`] and [`Patch::apply`] refuse, [`Error::NotFound`], `uniqueness`.
pub async fn patch(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: ResourceId,
    body: &Value,
    selection: Selection,
) -> Result<Patched, Error> {
    require(context, Scope::Scim)?;
    let patch = patch::parse(rt, body)?;
    let password = patched_password(service, context, rt, &id, &patch).await?;
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
    match patched {
        Err(Error::Taken(Unique::UserName)) => Err(taken(service, context, None).await),
        other => other,
    }
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
    require(context, Scope::Scim)?;
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

/// What every step of one write shares.
struct Writer {
    rt: Arc<ResourceType>,
    id: ResourceId,
    at: i64,
    actor: String,
}

impl Writer {
    fn new(context: &Context, rt: &Arc<ResourceType>, id: ResourceId) -> Self {
        Self {
            rt: Arc::clone(rt),
            id,
            at: context.at_us(),
            actor: context.principal.name.clone(),
        }
    }

    fn current(&self, tx: &mut Tx<'_>) -> Result<Stored, Error> {
        let tenant = tx.tenant();
        resources::get(tx.conn(), tenant, &self.rt.name, &self.id)?
            .ok_or_else(|| not_found(&self.rt, &self.id))
    }

    fn append(&self, tx: &mut Tx<'_>, kind: ChangeKind, payload: String) {
        tx.append(Change {
            resource_id: self.id.clone(),
            resource_type: self.rt.name.clone(),
            kind,
            at: self.at,
            actor: self.actor.clone(),
            payload,
        });
    }

    /// Writes what differs between `before` and `after`, and the members; one new version for all of it.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one update, each used once"
    )]
    fn update(
        &self,
        tx: &mut Tx<'_>,
        stored: &Stored,
        before: &Document,
        after: Document,
        password: Password,
        edits: Vec<MemberEdit>,
        options: &Options,
    ) -> Result<(), Error> {
        let mut differences = diff::diff(&self.rt, before, &after);
        if password != Password::Keep {
            // A secret is named and never shown.
            differences.push(diff::AttrChange {
                path: "password".to_owned(),
                before: None,
                after: None,
            });
        }
        let effect = self.edit_members(tx, edits, options)?;
        if differences.is_empty() {
            if effect.is_change() {
                resources::touch(tx, &self.id, self.modified(stored))?;
            }
            return Ok(());
        }
        let rows = leaves::index_rows(&self.rt, &after);
        let rows = (rows != leaves::index_rows(&self.rt, before)).then_some(rows);
        let new = Update {
            id: self.id.clone(),
            at: self.modified(stored),
            hot: leaves::hot_columns(&self.rt, &after),
            label: leaves::label(&after),
            password,
            doc: after.to_string(),
            rows,
        };
        resources::update(tx, &new)?;
        self.append_differences(tx, differences);
        Ok(())
    }

    fn update_members(
        &self,
        tx: &mut Tx<'_>,
        stored: &Stored,
        edits: Vec<MemberEdit>,
        options: &Options,
    ) -> Result<(), Error> {
        if self.edit_members(tx, edits, options)?.is_change() {
            resources::touch(tx, &self.id, self.modified(stored))?;
        }
        Ok(())
    }

    fn edit_members(
        &self,
        tx: &mut Tx<'_>,
        edits: Vec<MemberEdit>,
        options: &Options,
    ) -> Result<Effect, Error> {
        let attr = self.rt.attr_by_key("members");
        let effect =
            membership::apply(tx, &self.id, attr.as_ref(), edits, options.unknown_members)?;
        for (kind, payload) in effect.changes() {
            self.append(tx, kind, payload.to_string());
        }
        Ok(effect)
    }

    /// Time never runs backwards for one resource, whatever the clocks of several nodes say.
    fn modified(&self, stored: &Stored) -> i64 {
        stored.modified.max(self.at)
    }

    fn append_differences(&self, tx: &mut Tx<'_>, differences: Vec<diff::AttrChange>) {
        let (flips, rest): (Vec<_>, Vec<_>) = differences
            .into_iter()
            .partition(|change| change.path == "active");
        for flip in flips {
            let kind = if flip.after == Some(Value::Bool(true)) {
                ChangeKind::Activated
            } else {
                ChangeKind::Deactivated
            };
            self.append(tx, kind, json!({ "attributes": [flip] }).to_string());
        }
        if !rest.is_empty() {
            self.append(
                tx,
                ChangeKind::Updated,
                json!({ "attributes": rest }).to_string(),
            );
        }
    }

    fn read_back(
        &self,
        tx: &mut Tx<'_>,
        options: &Options,
        selection: &Selection,
    ) -> Result<Resource, Error> {
        let stored = self.current(tx)?;
        let tenant = tx.tenant();
        present::one(
            tx.conn(),
            tenant,
            &options.base_url,
            &self.rt,
            stored,
            selection,
        )
    }

    fn answer_patch(
        &self,
        tx: &mut Tx<'_>,
        options: &Options,
        selection: &Selection,
    ) -> Result<Patched, Error> {
        let tenant = tx.tenant();
        // A selection is a wish for content (RFC 7644 section 3.5.2), so only the plain answer may be left out.
        if self.rt.is_relational("members")
            && selection.is_all()
            && members::has_more_than(tx.conn(), tenant, &self.id, options.patch_answer_members)?
        {
            let stored = self.current(tx)?;
            let location = present::location(&options.base_url, &self.rt, &self.id);
            return Ok(Patched::Quiet {
                location,
                version: stored.version,
            });
        }
        self.read_back(tx, options, selection).map(Patched::Whole)
    }
}

/// The hash to store for a password of the request, where passwords are synced and it is not the stored one already.
/// `wish` is `None` where the request names no password and `Some(None)` where it clears it.
async fn new_password(
    service: &Service,
    context: &Context,
    id: &ResourceId,
    wish: Option<Option<String>>,
) -> Result<Password, Error> {
    let (PasswordSync::On, Some(wish)) = (service.options.password_sync, wish) else {
        return Ok(Password::Keep);
    };
    let (tenant, id) = (context.tenant(), id.clone());
    let stored = service
        .store
        .read(move |conn| Ok::<_, Error>(resources::password_hash(conn, tenant, &id)?))
        .await?;
    match (wish, stored) {
        (None, None) => Ok(Password::Keep),
        (None, Some(_)) => Ok(Password::Clear),
        (Some(password), Some(hash)) => {
            if passwords::matches(password.clone(), hash).await? {
                Ok(Password::Keep)
            } else {
                Ok(Password::Set(passwords::hash(password).await?))
            }
        }
        (Some(password), None) => Ok(Password::Set(passwords::hash(password).await?)),
    }
}

/// As [`new_password`], for a PATCH: the edits have to be tried to know what they do to the password, and hashing
/// takes too long to be done within the write.
async fn patched_password(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    id: &ResourceId,
    patch: &Patch,
) -> Result<Password, Error> {
    if service.options.password_sync == PasswordSync::Off || !patch.touches_document() {
        return Ok(Password::Keep);
    }
    let (tenant, rt, patch, resource) =
        (context.tenant(), Arc::clone(rt), patch.clone(), id.clone());
    let wish = service
        .store
        .read(move |conn| {
            let stored = resources::get(conn, tenant, &rt.name, &resource)?
                .ok_or_else(|| not_found(&rt, &resource))?;
            let document = Document::parse(&stored.doc).map_err(Error::internal)?;
            Ok::<_, Error>(patch.apply(&rt, &document)?.password)
        })
        .await?;
    new_password(service, context, id, wish).await
}

/// Stops a caller whose token does not allow what it asks for.
pub(super) fn require(context: &Context, scope: Scope) -> Result<(), Error> {
    if context.principal.scopes.allow(scope) {
        Ok(())
    } else {
        Err(Error::Forbidden(scope))
    }
}

fn not_found(rt: &ResourceType, id: &ResourceId) -> Error {
    Error::NotFound(format!("{} {}", rt.name, id.as_str()))
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
