//! Applies a PATCH (RFC 7644 section 3.5.2): all of its operations or none.
//!
//! [`patch`] is the whole path of one request. `Patch` is the part that a bulk request shares.

use std::sync::Arc;

use scim_core::patch::Patched;
use scim_core::{Document, Precondition, patch as core_patch};
use serde_json::Value;

use crate::auth::Scope;
use crate::memory::Held;
use crate::service::provision::representation::{ResponseOptions, Return, Written};
use crate::service::provision::update::ResourceUpdate;
use crate::service::provision::writer::{WriteTarget, Writer};
use crate::service::provision::{body_copies, passwords, user_names, writer};
use crate::service::{Context, Error, Options, PatchAnswer, Service};
use crate::store::Tx;
use crate::store::tables::members;
use crate::store::tables::resources::Password;

/// Applies a PATCH.
///
/// # Errors
/// Errors of [`core_patch::parse`] and [`core_patch::Patch::apply`], [`Error::NotFound`],
/// [`Error::PreconditionFailed`], `uniqueness`.
pub async fn patch(
    service: &Service,
    context: &Context,
    target: WriteTarget,
    mut body: Held<Value>,
    response: ResponseOptions,
) -> Result<Written, Error> {
    context.require(Scope::Scim)?;
    body_copies::reserve(&mut body, &target.rt)?;
    let (body, held) = body.into_parts();
    let response = response.and_sent(&target.rt, &body);
    let mut patch = Patch::prepare(context, target, &body)?;
    drop(body);
    patch.resolve_password(service, context).await?;
    let options = Arc::clone(&service.options);
    let patched = service
        .store
        .write(context.tenant(), move |tx| {
            // Also if the client has gone away by now.
            let _held = &held;
            patch.run(tx, &options, &response)
        })
        .await;
    user_names::explain(service, context, None, patched).await
}

/// A PATCH, ready to run.
pub(in crate::service) struct Patch {
    writer: Writer,
    patch: core_patch::Patch,
    precondition: Precondition,
    /// The tenant's setting, for a client that states no preference.
    default_answer: PatchAnswer,
    /// Set by [`Patch::resolve_password`].
    password: Password,
}

impl Patch {
    /// Does all that can be done before the unit of work.
    pub fn prepare(context: &Context, target: WriteTarget, body: &Value) -> Result<Self, Error> {
        writer::check_writable(&target.rt)?;
        let patch = core_patch::parse(&target.rt, body, context.policy.compatibility)?;
        let writer = Writer::new(context, &target.rt, target.id);
        writer.log_ignored(&patch.ignored);
        Ok(Self {
            writer,
            patch,
            precondition: target.precondition,
            default_answer: context.policy.patch_answer,
            password: Password::Keep,
        })
    }

    pub fn sets_password(&self) -> bool {
        self.patch.sets_password()
    }

    /// Finds out what the operations do to the password, and hashes a new one. That takes too long
    /// for the unit of work.
    pub async fn resolve_password(
        &mut self,
        service: &Service,
        context: &Context,
    ) -> Result<(), Error> {
        self.password =
            passwords::resolve_patch(service, context, &self.writer, &self.patch).await?;
        Ok(())
    }

    /// Applies the operations to the stored resource and writes the difference.
    pub fn run(
        &self,
        tx: &mut Tx<'_>,
        options: &Options,
        response: &ResponseOptions,
    ) -> Result<Written, Error> {
        let writer = &self.writer;
        let patch = &self.patch;
        let stored = writer.read_if(tx, &self.precondition)?;
        let member_edits = patch.member_edits();
        if patch.touches_document() {
            let _work = writer.reserve_work(options, tx.tenant(), &stored)?;
            let before = Document::parse(&stored.doc).map_err(Error::internal)?;
            let Patched {
                document: after,
                ignored,
                ..
            } = patch.apply(&writer.rt, &before)?;
            writer.log_ignored(&ignored);
            let update = ResourceUpdate {
                stored: &stored,
                before: &before,
                after,
                password: self.password.clone(),
                member_edits,
            };
            writer.update(tx, update, options)?;
        } else {
            writer.update_members(tx, &stored, member_edits, options)?;
        }
        let form = match response.preference() {
            Some(preference) => preference,
            None if response.selection.is_all() => {
                default_form(tx, writer, self.default_answer, options)?
            }
            None => Return::Representation,
        };
        writer.respond(tx, options, &response.selection, form)
    }
}

/// Returns the form of the response to a client that states no preference: the tenant's setting,
/// but never the list of a large group.
fn default_form(
    tx: &mut Tx<'_>,
    writer: &Writer,
    setting: PatchAnswer,
    options: &Options,
) -> Result<Return, Error> {
    if setting == PatchAnswer::NoContent {
        return Ok(Return::Minimal);
    }
    let tenant = tx.tenant();
    let is_large = writer.rt.is_relational("members")
        && members::has_more_than(
            tx.conn(),
            tenant,
            &writer.id,
            options.scim.patch_answer_members,
        )?;
    Ok(if is_large {
        Return::Minimal
    } else {
        Return::Representation
    })
}
