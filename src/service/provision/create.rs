//! Creates a resource (RFC 7644 section 3.3).
//!
//! [`create`] is the whole path of one request. `Create` is the part that a bulk request shares:
//! it is prepared outside the store's threads and run within a unit of work.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use scim_core::members::{Member, MemberEdit};
use scim_core::{Document, ResourceType, admit, indexing};
use serde_json::Value;

use crate::auth::Scope;
use crate::memory::Held;
use crate::service::provision::representation::{Renderer, ResponseOptions, Return, Written};
use crate::service::provision::writer::Writer;
use crate::service::provision::{body_copies, group_names, passwords, roles, user_names, writer};
use crate::service::{Context, Error, Options, PasswordSync, Service};
use crate::store::tables::changes::ChangeKind;
use crate::store::tables::resources;
use crate::store::tables::resources::{NewResource, Stored};
use crate::store::{ResourceId, Tx};

/// Creates a resource.
///
/// # Errors
/// Errors of [`admit::admit`], and `uniqueness` where a name or another unique value is taken.
pub async fn create(
    service: &Service,
    context: &Context,
    rt: &Arc<ResourceType>,
    mut body: Held<Value>,
    response: ResponseOptions,
) -> Result<Written, Error> {
    context.require(Scope::Scim)?;
    body_copies::reserve(&mut body, rt)?;
    let (body, held) = body.into_parts();
    let id = ResourceId(service.clock.new_id());
    let response = response.and_sent(rt, &body);
    let mut create = Create::prepare(context, rt, id, &body, &service.options)?;
    drop(body);
    create
        .hash_password(service.options.scim.password_sync)
        .await?;
    let user_name = create.user_name();
    let options = Arc::clone(&service.options);
    let created = service
        .store
        .write(context.tenant(), move |tx| {
            // Also if the client has gone away by now.
            let _held = &held;
            create.run(tx, &options, &response)
        })
        .await;
    user_names::explain(service, context, user_name, created).await
}

/// A create, ready to run.
#[derive(Clone)]
pub(in crate::service) struct Create {
    writer: Writer,
    new: NewResource,
    /// The members of a new group, as edits.
    members: Vec<MemberEdit>,
    /// In clear, until [`Create::hash_password`] takes it.
    password: Option<String>,
}

impl Create {
    /// Does all that can be done before the unit of work, for every other write of the tenant waits
    /// for that.
    pub fn prepare(
        context: &Context,
        rt: &Arc<ResourceType>,
        id: ResourceId,
        body: &Value,
        options: &Options,
    ) -> Result<Self, Error> {
        writer::check_writable(rt)?;
        let mut admitted = admit::admit(rt, body, context.policy.compatibility)?;
        admit::defaults(rt, &mut admitted);
        admitted.document.set_id(id.as_str());
        let writer = Writer::new(context, rt, id);
        writer.log_ignored(&admitted.ignored);
        let new = writer.new_resource(&admitted.document);
        let limits = writer.document_limits(options);
        limits.check(None, &admitted.document, &new.doc)?;
        Ok(Self {
            new,
            writer,
            members: admitted.members.map(MemberEdit::Add).into_iter().collect(),
            password: admitted.password,
        })
    }

    /// Replaces the password by its hash, or drops it where passwords are not synced.
    pub async fn hash_password(&mut self, sync: PasswordSync) -> Result<(), Error> {
        if let (PasswordSync::On, Some(password)) = (sync, self.password.take()) {
            self.new.password_hash = Some(passwords::hash(password).await?);
        }
        Ok(())
    }

    pub fn id(&self) -> &ResourceId {
        &self.new.id
    }

    /// Returns the folded user name.
    pub fn user_name(&self) -> Option<String> {
        self.new.hot.user_name.clone()
    }

    /// Removes the members that do not exist yet and returns the step that adds them later.
    pub fn defer_members(&mut self, absent: &HashSet<String>) -> Option<DeferredMembers> {
        let is_absent = |member: &Member| absent.contains(&member.value);
        let mut deferred = Vec::new();
        for edit in &mut self.members {
            if let MemberEdit::Add(members) = edit {
                let (later, now) = std::mem::take(members).into_iter().partition(is_absent);
                *members = now;
                deferred.push(later);
            }
        }
        deferred.retain(|later: &Vec<Member>| !later.is_empty());
        (!deferred.is_empty()).then(|| DeferredMembers {
            writer: self.writer.clone(),
            edits: deferred.into_iter().map(MemberEdit::Add).collect(),
        })
    }

    /// Inserts the resource, its members and its change.
    pub fn run(
        &self,
        tx: &mut Tx<'_>,
        options: &Options,
        response: &ResponseOptions,
    ) -> Result<Written, Error> {
        let writer = &self.writer;
        let new = resolve_roles(tx, &writer.rt, &self.new, options)?;
        group_names::check(tx, writer, None, &new.hot)?;
        let stamp = resources::insert(tx, &new)?;
        writer.append(tx, ChangeKind::Created, new.doc.clone());
        writer.edit_members(tx, &self.members, options)?;
        if response.preference() == Some(Return::Minimal) {
            return Ok(writer.minimal(options, stamp.version.into()));
        }
        // No other write can have come between, so the row need not be read back.
        let stored = Stored {
            id: new.id.clone(),
            resource_type: new.resource_type.clone(),
            version: stamp.version,
            created: new.at,
            modified: stamp.modified,
            doc: new.doc.clone(),
        };
        let tenant = tx.tenant();
        let renderer = Renderer {
            base_url: &options.base_url,
            rt: &writer.rt,
            selection: &response.selection,
            memory: &options.memory,
        };
        let rendered = renderer.created(tx.conn(), tenant, &stored);
        writer.whole_or_minimal(options, stamp.version.into(), rendered)
    }
}

/// Replaces roles and entitlements by those that exist.
fn resolve_roles<'n>(
    tx: &mut Tx<'_>,
    rt: &ResourceType,
    new: &'n NewResource,
    options: &Options,
) -> Result<Cow<'n, NewResource>, Error> {
    if rt.assignable.is_empty() {
        return Ok(Cow::Borrowed(new));
    }
    let mut document = Document::parse(&new.doc).map_err(Error::internal)?;
    roles::resolve(tx, rt, None, &mut document, options.scim.unknown_roles)?;
    let mut new = new.clone();
    new.doc = document.to_string();
    new.rows = indexing::index_rows(rt, &document);
    Ok(Cow::Owned(new))
}

/// Members of a group that were created after it.
pub(in crate::service) struct DeferredMembers {
    writer: Writer,
    edits: Vec<MemberEdit>,
}

impl DeferredMembers {
    /// Completes the create within its unit of work, so that both are one version.
    pub fn run(&self, tx: &mut Tx<'_>, options: &Options) -> Result<(), Error> {
        self.writer.edit_members(tx, &self.edits, options).map(drop)
    }
}
