//! The writes of SCIM in two halves. *Prepare* reads the request and needs no store; *run* is the part within a unit
//! of work, so that one request may run one of them and a bulk request many.

use std::collections::HashSet;
use std::sync::Arc;

use scim_core::admit::Admitted;
use scim_core::members::{Member, MemberEdit};
use scim_core::registry::ClientAccess;
use scim_core::{Document, Precondition, ResourceType, admit, indexing, patch};
use serde_json::{Value, json};

use crate::service::provision::representation::{ResponseOptions, Return, Written};
use crate::service::provision::writer::Writer;
use crate::service::provision::{group_names, representation, roles};
use crate::service::{Context, Error, Options, PatchAnswer};
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::resources::{NewResource, Password, Stored};
use crate::store::tables::{members, resources};
use crate::store::{ResourceId, Tx};

/// A create that was read (RFC 7644 section 3.3).
pub(in crate::service) struct Create {
    writer: Writer,
    new: NewResource,
    members: Option<Vec<Member>>,
    /// To be hashed into [`Create::set_password_hash`], where passwords are synced.
    pub password: Option<String>,
}

impl Create {
    pub fn prepare(
        context: &Context,
        rt: &Arc<ResourceType>,
        id: ResourceId,
        body: &Value,
    ) -> Result<Self, Error> {
        writable(rt)?;
        let mut admitted = admit::admit(rt, body, context.policy.compatibility)?;
        admit::defaults(rt, &mut admitted);
        let document = &mut admitted.document;
        document.set_id(id.as_str());
        let writer = Writer::new(context, rt, id);
        writer.log_ignored(&admitted.ignored);
        // All that can be made ready is, for every write of the tenant waits for this one.
        let new = NewResource {
            id: writer.id.clone(),
            resource_type: rt.name.clone(),
            at: writer.at,
            hot: indexing::hot_columns(rt, document),
            label: indexing::label(document),
            password_hash: None,
            doc: document.to_string(),
            rows: indexing::index_rows(rt, document),
        };
        Ok(Self {
            writer,
            new,
            members: admitted.members,
            password: admitted.password,
        })
    }

    pub fn set_password_hash(&mut self, hash: String) {
        self.new.password_hash = Some(hash);
    }

    pub fn id(&self) -> String {
        self.new.id.0.clone()
    }

    /// Leaves members out that are not there yet, to be added when they are.
    pub fn put_off(&mut self, absent: &HashSet<String>) -> Option<Link> {
        let members = self.members.as_mut()?;
        let (later, now) = std::mem::take(members)
            .into_iter()
            .partition(|member: &Member| absent.contains(&member.value));
        *members = now;
        let link = Link {
            writer: self.writer.clone(),
            members: later,
        };
        (!link.members.is_empty()).then_some(link)
    }

    /// Folded, for the one who has to tell whose it is.
    pub fn user_name(&self) -> Option<String> {
        self.new.hot.user_name.clone()
    }

    pub fn run(
        self,
        tx: &mut Tx<'_>,
        options: &Options,
        wish: &ResponseOptions,
    ) -> Result<Written, Error> {
        let Self {
            writer,
            new,
            members,
            ..
        } = self;
        let new = settled(tx, &writer.rt, new, options)?;
        group_names::check(tx, &writer, None, &new.hot)?;
        let stamp = resources::insert(tx, &new)?;
        writer.append(tx, ChangeKind::Created, new.doc.clone());
        let edits = members.map(MemberEdit::Add).into_iter().collect();
        writer.edit_members(tx, edits, options)?;
        if wish.preference() == Some(Return::Minimal) {
            return Ok(writer.quiet(options, stamp.version.into()));
        }
        // Nobody can have written to it since, so nothing has to be read back.
        let stored = Stored {
            id: new.id,
            resource_type: new.resource_type,
            version: stamp.version,
            created: new.at,
            modified: stamp.modified,
            doc: new.doc,
        };
        let tenant = tx.tenant();
        let (base_url, selection) = (&options.base_url, &wish.selection);
        representation::newborn(tx.conn(), tenant, base_url, &writer.rt, stored, selection)
            .map(Written::Whole)
    }
}

/// The routes let no write through, but a bulk request may name any type.
fn writable(rt: &ResourceType) -> Result<(), Error> {
    match rt.access {
        ClientAccess::ReadWrite => Ok(()),
        ClientAccess::ReadOnly => Err(Error::ReadOnly(rt.name.clone())),
    }
}

/// The resource with the roles and entitlements that are there.
fn settled(
    tx: &mut Tx<'_>,
    rt: &ResourceType,
    mut new: NewResource,
    options: &Options,
) -> Result<NewResource, Error> {
    if rt.assignable.is_empty() {
        return Ok(new);
    }
    let mut document = Document::parse(&new.doc).map_err(Error::internal)?;
    roles::settle(tx, rt, None, &mut document, options.scim.unknown_roles)?;
    new.doc = document.to_string();
    new.rows = indexing::index_rows(rt, &document);
    Ok(new)
}

/// Members of a group that was created before them.
pub(in crate::service) struct Link {
    writer: Writer,
    members: Vec<Member>,
}

impl Link {
    /// Completes the create within its unit of work, so that it is one version with it.
    pub fn run(self, tx: &mut Tx<'_>, options: &Options) -> Result<(), Error> {
        let edits = vec![MemberEdit::Add(self.members)];
        self.writer.edit_members(tx, edits, options).map(drop)
    }
}

/// A replacement that was read (RFC 7644 section 3.5.1).
pub(in crate::service) struct Replace {
    writer: Writer,
    admitted: Admitted,
    edits: Vec<MemberEdit>,
    precondition: Precondition,
    /// To be weighed against the stored one into the argument of [`Replace::run`].
    pub password: Option<String>,
}

impl Replace {
    pub fn prepare(
        context: &Context,
        rt: &Arc<ResourceType>,
        id: ResourceId,
        body: &Value,
        precondition: Precondition,
    ) -> Result<Self, Error> {
        writable(rt)?;
        let mut admitted = admit::admit(rt, body, context.policy.compatibility)?;
        // RFC 7644 section 3.5.1: what a replacing body leaves out is cleared, members like the rest.
        let edits = match admitted.members.take() {
            _ if !rt.is_relational("members") => Vec::new(),
            Some(list) => vec![MemberEdit::Replace(list)],
            None => vec![MemberEdit::RemoveAll],
        };
        let writer = Writer::new(context, rt, id);
        writer.log_ignored(&admitted.ignored);
        Ok(Self {
            writer,
            edits,
            precondition,
            password: admitted.password.take(),
            admitted,
        })
    }

    pub fn user_name(&self) -> Option<String> {
        indexing::hot_columns(&self.writer.rt, &self.admitted.document).user_name
    }

    pub fn run(
        self,
        tx: &mut Tx<'_>,
        password: Password,
        options: &Options,
        wish: &ResponseOptions,
    ) -> Result<Written, Error> {
        let writer = self.writer;
        let stored = writer.current_if(tx, &self.precondition)?;
        let before = Document::parse(&stored.doc).map_err(Error::internal)?;
        let after = admit::replace(&writer.rt, &before, &self.admitted)?;
        writer.update(tx, &stored, &before, after, password, self.edits, options)?;
        let answer = wish.preference().unwrap_or(Return::Representation);
        writer.answer(tx, options, &wish.selection, answer)
    }
}

/// A PATCH that was read (RFC 7644 section 3.5.2).
pub(in crate::service) struct Patch {
    writer: Writer,
    pub patch: patch::Patch,
    precondition: Precondition,
    usual: PatchAnswer,
}

impl Patch {
    pub fn prepare(
        context: &Context,
        rt: &Arc<ResourceType>,
        id: ResourceId,
        body: &Value,
        precondition: Precondition,
    ) -> Result<Self, Error> {
        writable(rt)?;
        let writer = Writer::new(context, rt, id);
        let patch = patch::parse(rt, body, context.policy.compatibility)?;
        writer.log_ignored(&patch.ignored);
        Ok(Self {
            writer,
            patch,
            precondition,
            usual: context.policy.patch_answer,
        })
    }

    pub fn resource_type(&self) -> &Arc<ResourceType> {
        &self.writer.rt
    }

    pub fn run(
        self,
        tx: &mut Tx<'_>,
        password: Password,
        options: &Options,
        wish: &ResponseOptions,
    ) -> Result<Written, Error> {
        let (writer, patch) = (self.writer, self.patch);
        let stored = writer.current_if(tx, &self.precondition)?;
        let edits = patch.member_edits();
        if patch.touches_document() {
            let before = Document::parse(&stored.doc).map_err(Error::internal)?;
            let patch::Patched {
                document: after,
                ignored,
                ..
            } = patch.apply(&writer.rt, &before)?;
            writer.log_ignored(&ignored);
            writer.update(tx, &stored, &before, after, password, edits, options)?;
        } else {
            writer.update_members(tx, &stored, edits, options)?;
        }
        let answer = match wish.preference() {
            Some(preference) => preference,
            None if wish.selection.is_all() => writer.patch_answer(tx, self.usual, options)?,
            None => Return::Representation,
        };
        writer.answer(tx, options, &wish.selection, answer)
    }
}

/// A deletion (RFC 7644 section 3.6).
pub(in crate::service) struct Delete {
    writer: Writer,
    precondition: Precondition,
}

impl Delete {
    pub fn prepare(
        context: &Context,
        rt: &Arc<ResourceType>,
        id: ResourceId,
        precondition: Precondition,
    ) -> Self {
        Self {
            writer: Writer::new(context, rt, id),
            precondition,
        }
    }

    pub fn run(self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let writer = self.writer;
        writable(&writer.rt)?;
        let stored = writer.current_if(tx, &self.precondition)?;
        writer.remove(tx, stored)
    }
}

impl Writer {
    /// Deletes the resource; it leaves the groups that it was in and the users who had it.
    pub(in crate::service) fn remove(&self, tx: &mut Tx<'_>, stored: Stored) -> Result<(), Error> {
        let left = resources::delete(tx, &self.rt.name, &self.id)?
            .map_or_else(Vec::new, |deleted| deleted.groups);
        resources::touch_many(tx, &left, self.at)?;
        for group in left {
            tx.append(Change {
                resource_id: group,
                resource_type: "Group".to_owned(),
                kind: ChangeKind::MemberRemoved,
                at: self.at,
                actor: self.actor.clone(),
                payload: json!({ "members": [{ "value": self.id.as_str() }] }).to_string(),
            });
        }
        self.append(tx, ChangeKind::Deleted, stored.doc);
        roles::withdraw(tx, self)
    }

    /// How a PATCH is answered that says nothing of it: as the tenant has it, and nobody wants the list of a large
    /// group.
    fn patch_answer(
        &self,
        tx: &mut Tx<'_>,
        usual: PatchAnswer,
        options: &Options,
    ) -> Result<Return, Error> {
        if usual == PatchAnswer::NoContent {
            return Ok(Return::Minimal);
        }
        let tenant = tx.tenant();
        let is_long = self.rt.is_relational("members")
            && members::has_more_than(
                tx.conn(),
                tenant,
                &self.id,
                options.scim.patch_answer_members,
            )?;
        Ok(if is_long {
            Return::Minimal
        } else {
            Return::Representation
        })
    }
}
