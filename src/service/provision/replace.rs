//! Replaces a resource (RFC 7644 section 3.5.1).
//!
//! [`replace`] is the whole path of one request. `Replace` is the part that a bulk request
//! shares.

use std::sync::Arc;

use scim_core::admit::Admitted;
use scim_core::members::MemberEdit;
use scim_core::patch::PasswordEdit;
use scim_core::{Document, Precondition, admit, indexing};
use serde_json::Value;

use crate::auth::Scope;
use crate::memory::Held;
use crate::service::provision::passwords;
use crate::service::provision::representation::{ResponseOptions, Return, Written};
use crate::service::provision::update::ResourceUpdate;
use crate::service::provision::writer::{WriteTarget, Writer};
use crate::service::provision::{body_copies, user_names, writer};
use crate::service::{Context, Error, Options, Service};
use crate::store::Tx;
use crate::store::tables::resources::Password;

/// Replaces a resource. A body that equals the stored resource changes nothing and leaves no trace.
///
/// # Errors
/// Errors of [`admit::admit`] and [`admit::replace`], [`Error::NotFound`],
/// [`Error::PreconditionFailed`], `uniqueness`.
pub async fn replace(
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
    let mut replace = Replace::prepare(context, target, &body)?;
    drop(body);
    replace.resolve_password(service, context).await?;
    let user_name = replace.user_name();
    let options = Arc::clone(&service.options);
    let replaced = service
        .store
        .write(context.tenant(), move |tx| {
            // Also if the client has gone away by now.
            let _held = &held;
            replace.run(tx, &options, &response)
        })
        .await;
    user_names::explain(service, context, user_name, replaced).await
}

/// A replacement, ready to run.
pub(in crate::service) struct Replace {
    writer: Writer,
    admitted: Admitted,
    edits: Vec<MemberEdit>,
    precondition: Precondition,
    /// Set by [`Replace::resolve_password`].
    password: Password,
}

impl Replace {
    /// Does all that can be done before the unit of work.
    pub fn prepare(context: &Context, target: WriteTarget, body: &Value) -> Result<Self, Error> {
        writer::check_writable(&target.rt)?;
        let mut admitted = admit::admit(&target.rt, body, context.policy.compatibility)?;
        // RFC 7644 section 3.5.1: attributes that the body omits are cleared, members included.
        let edits = match admitted.members.take() {
            _ if !target.rt.is_relational("members") => Vec::new(),
            Some(list) => vec![MemberEdit::Replace(list)],
            None => vec![MemberEdit::RemoveAll],
        };
        let writer = Writer::new(context, &target.rt, target.id);
        writer.log_ignored(&admitted.ignored);
        Ok(Self {
            writer,
            admitted,
            edits,
            precondition: target.precondition,
            password: Password::Keep,
        })
    }

    pub fn has_password(&self) -> bool {
        self.admitted.password.is_some()
    }

    /// Compares the password of the body with the stored one and hashes it where it differs.
    pub async fn resolve_password(
        &mut self,
        service: &Service,
        context: &Context,
    ) -> Result<(), Error> {
        let edit = match self.admitted.password.take() {
            Some(password) => PasswordEdit::Set(password),
            None => PasswordEdit::Keep,
        };
        self.password = passwords::resolve(service, context, &self.writer.id, edit).await?;
        Ok(())
    }

    /// Returns the folded user name.
    pub fn user_name(&self) -> Option<String> {
        indexing::hot_columns(&self.writer.rt, &self.admitted.document).user_name
    }

    /// Writes the difference between the body and the stored resource.
    pub fn run(
        &self,
        tx: &mut Tx<'_>,
        options: &Options,
        response: &ResponseOptions,
    ) -> Result<Written, Error> {
        let writer = &self.writer;
        let stored = writer.read_if(tx, &self.precondition)?;
        let _work = writer.reserve_work(options, tx.tenant(), &stored)?;
        let before = Document::parse(&stored.doc).map_err(Error::internal)?;
        let after = admit::replace(&writer.rt, &before, &self.admitted)?;
        let update = ResourceUpdate {
            stored: &stored,
            before: &before,
            after,
            password: self.password.clone(),
            member_edits: &self.edits,
        };
        writer.update(tx, update, options)?;
        let form = response.preference().unwrap_or(Return::Representation);
        writer.respond(tx, options, &response.selection, form)
    }
}
