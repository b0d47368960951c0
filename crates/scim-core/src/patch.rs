//! PATCH (RFC 7644 section 3.5.2): [`parse`] resolves a `PatchOp` body to edits, [`Patch::apply`]
//! applies them to a [`Document`], all or none.
//!
//! Edits of `members` come out as [`MemberEdit`]s, so that a server can keep members as rows and
//! never has to load a large group. The module knows nothing of what is stored but the document
//! that it is given.
//!
//! If the RFC leaves a choice: a `remove` that finds nothing succeeds; `replace` on `x[filter]`
//! replaces the whole element, while on a singular complex attribute it merges.
//!
//! [`Compatibility::Tolerant`] goes beyond the RFC: an `add` or `replace` whose filter finds
//! nothing creates the element that the filter's `eq` terms describe; `remove` with a value removes
//! what the value lists; readOnly attributes in the value of an operation without path are ignored,
//! and so are attributes that no schema defines, with or without path. [`Compatibility::Strict`]
//! rejects all four; only the echo of `meta` and of the resource's own `id` is accepted.
//!
//! ```
//! use scim_core::{Compatibility, Document, Registry, patch};
//! use serde_json::json;
//!
//! let registry = Registry::standard();
//! let user = registry.by_name("User").expect("every registry has users");
//! let text = r#"{"id":"1","userName":"ada","emails":[{"value":"a@x","type":"work"}]}"#;
//! let before = Document::parse(text)?;
//!
//! let body = json!({
//!     "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
//!     "Operations": [
//!         { "op": "replace", "path": "emails[type eq \"work\"].value", "value": "ada@x" },
//!         { "op": "add", "value": { "title": "Countess" } },
//!     ],
//! });
//! let patch = patch::parse(user, &body, Compatibility::Tolerant)?;
//! let after = patch.apply(user, &before)?.document;
//! assert_eq!(after.0["emails"][0]["value"], "ada@x");
//! assert_eq!(after.0["title"], "Countess");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod attribute;
mod cost;
mod edit;
mod member;
mod operation;
mod read;
mod reader;
mod refuse;
mod undeclared;

use serde_json::Value;

pub use self::apply::Patched;
use self::cost::MAX_STEPS;
use self::edit::Edit;
pub use self::edit::PasswordEdit;
use self::operation::{Op, distinct, operations};
use self::reader::{Reader, Source};
use crate::registry::ResourceType;
use crate::validate::validate;
use crate::{Compatibility, Document, Member, MemberEdit, ScimError};

/// A PATCH whose paths and values have been checked against one resource type.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Each with the index of its operation, for error details.
    edits: Vec<(usize, Edit)>,
    members: Vec<MemberEdit>,
    /// The names and paths that no schema defines, as the client wrote them.
    pub ignored: Vec<String>,
}

/// The parts of a create or replace that its unusual names add beside the document.
#[derive(Debug, Default)]
pub(super) struct Completed {
    /// Members that were named in another way than by `members`.
    pub members: Vec<Member>,
    /// The password in clear.
    pub password: Option<String>,
    /// The names that no schema defines.
    pub ignored: Vec<String>,
}

/// Reads a `PatchOp` body.
///
/// # Errors
/// The first operation that is wrong fails the whole body; `detail` begins with its location, such
/// as `Operations[1]: `. The kind is one of those of RFC 7644 section 3.12 Table 9:
/// `invalidSyntax`, `invalidPath`, `invalidFilter`, `invalidValue`, `mutability`, `noTarget`.
pub fn parse(
    rt: &ResourceType,
    body: &Value,
    compatibility: Compatibility,
) -> Result<Patch, ScimError> {
    let mut reader = Reader::new(compatibility, Source::Operation);
    for (index, operation) in operations(body, compatibility)?.iter().enumerate() {
        reader.index = index;
        read::operation(rt, operation, &mut reader).map_err(|error| in_operation(index, error))?;
    }
    reader.dedupe_members();
    Ok(Patch::from(reader))
}

/// Adds to the draft of a document what the body of a create or replace says in names that only a
/// PATCH without path is known for: full names, dotted names, `emails[type eq "work"].value`, the
/// core schema's URN, extensions that no schema describes.
///
/// For tolerant tenants. The caller arranges and validates the document.
pub(super) fn complete(
    rt: &ResourceType,
    document: &mut Document,
    names: &[(String, &Value)],
) -> Result<Completed, ScimError> {
    // A name without a colon belongs to no schema and is dropped, so it may occur twice.
    let urns = names.iter().map(|(name, _)| name.as_str());
    distinct(urns.filter(|name| name.contains(':')))?;
    let mut reader = Reader::new(Compatibility::Tolerant, Source::Body);
    for (name, value) in names {
        read::other(rt, Op::Add, name, value, &mut reader)?;
    }
    let patch = Patch::from(reader);
    let mut patched = Patched::of(std::mem::take(document));
    patch.apply_to(&mut patched, |_, error| error)?;
    *document = patched.document;
    let mut completed = Completed {
        password: match patched.password {
            PasswordEdit::Set(password) => Some(password),
            PasswordEdit::Keep | PasswordEdit::Clear => None,
        },
        ignored: patch.ignored,
        members: Vec::new(),
    };
    completed.ignored.append(&mut patched.ignored);
    for edit in patch.members {
        if let MemberEdit::Add(members) = edit {
            completed.members.extend(members);
        }
    }
    Ok(completed)
}

impl From<Reader> for Patch {
    fn from(reader: Reader) -> Self {
        Self {
            edits: reader.edits,
            members: reader.members,
            ignored: reader.ignored,
        }
    }
}

impl Patch {
    /// Returns whether [`Self::apply`] has anything to do: if not, the document need not be loaded.
    pub fn touches_document(&self) -> bool {
        !self.edits.is_empty()
    }

    /// Returns whether an operation sets or clears the password.
    pub fn sets_password(&self) -> bool {
        let mut edits = self.edits.iter();
        edits.any(|(_, edit)| matches!(edit, Edit::Password(_)))
    }

    /// Returns the edits of a group's `members`, in order, neighbours of one kind joined.
    pub fn member_edits(&self) -> &[MemberEdit] {
        &self.members
    }

    /// Returns the document after all edits. Where nothing changes it is equal to `document`, byte
    /// for byte.
    ///
    /// # Errors
    /// `noTarget` where a filter finds nothing, `mutability` for a change of an immutable value,
    /// `invalidValue` where the result breaks the schema or the edits would take too many steps.
    pub fn apply(&self, rt: &ResourceType, document: &Document) -> Result<Patched, ScimError> {
        let mut patched = Patched::of(document.clone());
        if self.edits.is_empty() {
            return Ok(patched);
        }
        self.apply_to(&mut patched, in_operation)?;
        patched.document.arrange(rt);
        validate(rt, &patched.document)?;
        if patched.document == *document {
            patched.document = document.clone();
        }
        Ok(patched)
    }

    /// Applies the edits; `locate` adds to an error the index of its operation.
    fn apply_to(
        &self,
        patched: &mut Patched,
        locate: impl Fn(usize, ScimError) -> ScimError,
    ) -> Result<(), ScimError> {
        let mut steps = 0_usize;
        for (index, edit) in &self.edits {
            steps = steps.saturating_add(edit.steps(&patched.document));
            if steps > MAX_STEPS {
                return Err(ScimError::invalid_value(
                    "too many operations on attributes with very many values; \
                     send fewer at once, or all values in one operation",
                ));
            }
            edit.apply(patched).map_err(|error| locate(*index, error))?;
        }
        Ok(())
    }
}

fn in_operation(index: usize, error: ScimError) -> ScimError {
    ScimError {
        detail: format!("Operations[{index}]: {}", error.detail),
        ..error
    }
}

#[cfg(test)]
mod tests;
