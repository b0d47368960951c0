//! PATCH (RFC 7644 section 3.5.2): a `PatchOp` body -> resolved edits; apply them to a [`Document`], all or none.
//!
//! Tolerant of what Okta, Entra and others send, or strict, as the tenant wants it. Edits of
//! `members` come out as [`MemberEdit`]s for the store, which holds members as rows. It must not
//! know what is stored, but for the document it is given.
//!
//! Where the RFC leaves room: a `remove` that finds nothing succeeds; `replace` on `x[filter]`
//! replaces the whole element while on a singular complex attribute it merges. Beyond the RFC, for
//! a tolerant tenant: an `add` or `replace` whose filter finds nothing creates the element that the
//! filter's `eq` terms describe; `remove` with a value removes what the value lists; readOnly
//! attributes in the value of an operation without path are ignored, and so are attributes that no
//! schema defines, with or without path. For a strict tenant all four are faults; only the echo of
//! `meta` and of the own `id` is none.

mod apply;
mod edit;
mod member;
mod read;
mod refuse;
mod undeclared;

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::undeclared::UndeclaredEdit;
use crate::admit::coerce;
use crate::admit::validate::validate;
use crate::registry::{AttrRef, ResourceType};
use crate::schema::Attribute;
use crate::{Compatibility, Document, Filter, Member, MemberEdit, ScimError};

/// Each operation on a multi-valued attribute looks at all its values, so that a body of a few megabytes could
/// keep a processor busy for minutes. A thousand operations on a thousand values are far below this.
const MAX_STEPS: usize = 5_000_000;

/// The URN of a PATCH body.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A PATCH whose paths and values have been checked against one resource type.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Each with the number of its operation, for error details.
    edits: Vec<(usize, Edit)>,
    members: Vec<MemberEdit>,
    /// The names and paths that no schema defines, as the client wrote them.
    pub ignored: Vec<String>,
}

/// A document after a PATCH.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    pub document: Document,
    /// The password to set; `Some(None)` clears it, `None` leaves it.
    pub password: Option<Option<String>>,
    /// As [`Patch::ignored`], for names that only the document could tell to be unknown.
    pub ignored: Vec<String>,
}

/// The parts of a create or replace that its unusual names add beside the document.
#[derive(Debug, Default)]
pub(super) struct Completed {
    /// Members that were named in another way than by `members`.
    pub members: Vec<Member>,
    pub password: Option<String>,
    pub ignored: Vec<String>,
}

/// Reads a `PatchOp` body.
pub fn parse(
    rt: &ResourceType,
    body: &Value,
    compatibility: Compatibility,
) -> Result<Patch, ScimError> {
    let mut patch = Patch::default();
    for (index, operation) in operations(body, compatibility)?.iter().enumerate() {
        let mut reader = Reader {
            patch: &mut patch,
            index,
            compatibility,
            source: Source::Operation,
        };
        read::operation(rt, operation, &mut reader).map_err(|error| in_operation(index, error))?;
    }
    member::dedupe(&mut patch.members);
    Ok(patch)
}

/// Adds to the draft of a document what the body of a create or replace says in names that only a
/// PATCH without path is known for: full names, dotted names, `emails[type eq "work"].value`, the
/// core schema's URN, extensions that no schema describes.
///
/// For tolerant tenants. The document is left to be arranged and validated.
pub(super) fn complete(
    rt: &ResourceType,
    document: &mut Document,
    names: &[(String, &Value)],
) -> Result<Completed, ScimError> {
    let mut patch = Patch::default();
    let mut reader = Reader {
        patch: &mut patch,
        index: 0,
        compatibility: Compatibility::Tolerant,
        source: Source::Body,
    };
    // Of what no schema defines nothing is kept, so it may be there twice.
    let names_kept = names.iter().map(|(name, _)| name.as_str());
    distinct(names_kept.filter(|name| name.contains(':')))?;
    for (name, value) in names {
        read::other(rt, Op::Add, name, value, &mut reader)?;
    }
    let mut patched = Patched::of(std::mem::take(document));
    patch.apply_to(&mut patched, |_, error| error)?;
    *document = patched.document;
    let mut completed = Completed {
        password: patched.password.flatten(),
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

impl Patched {
    fn of(document: Document) -> Self {
        Self {
            document,
            password: None,
            ignored: Vec::new(),
        }
    }
}

impl Patch {
    /// Whether [`Self::apply`] has anything to do.
    pub fn touches_document(&self) -> bool {
        !self.edits.is_empty()
    }

    /// Whether an operation names the password.
    pub fn sets_password(&self) -> bool {
        let mut edits = self.edits.iter();
        edits.any(|(_, edit)| matches!(edit, Edit::Password(_)))
    }

    /// The edits of `members` in order, neighbours of one kind joined.
    pub fn member_edits(&self) -> Vec<MemberEdit> {
        self.members.clone()
    }

    /// The document after all edits. `document` stays as it is, so a fault leaves no trace; where nothing changes
    /// the result is equal to it, byte for byte.
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

    /// Applies the edits; `locate` adds to an error which operation it is about.
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

/// Takes the edits of one operation.
struct Reader<'a> {
    patch: &'a mut Patch,
    index: usize,
    compatibility: Compatibility,
    source: Source,
}

/// The source of a name that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// An operation of a PATCH.
    Operation,
    /// The body of a create or replace.
    Body,
}

impl Reader<'_> {
    fn is_strict(&self) -> bool {
        self.compatibility.is_strict()
    }

    fn edit(&mut self, edit: Edit) {
        self.patch.edits.push((self.index, edit));
    }

    fn members(&mut self, edit: MemberEdit) {
        member::push(&mut self.patch.members, edit);
    }

    /// Takes note of a name that is left out.
    fn ignore(&mut self, name: &str) {
        self.patch.ignored.push(name.to_owned());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
}

/// The operator and the value of an operation.
#[derive(Debug, Clone, Copy)]
struct Action<'a> {
    op: Op,
    value: Option<&'a Value>,
}

/// One step on the document.
#[derive(Debug, Clone)]
enum Edit {
    /// A client that sends the id must send the right one.
    CheckId(String),
    Password(Option<String>),
    Attribute {
        /// Of the whole attribute, never of a sub-attribute.
        path: AttrRef,
        change: ValueEdit,
    },
    /// Removes all that an extension holds.
    Clear(String),
    Undeclared(UndeclaredEdit),
}

/// A change of one attribute or sub-attribute.
#[derive(Debug, Clone)]
enum ValueEdit {
    Unassign,
    /// Singular and simple: unassign where the value is equal to this one.
    UnassignEqual(Value),
    /// Singular and simple.
    Set(Value),
    /// Singular and complex.
    Merge(Vec<SubEdit>),
    /// Multi-valued: add elements.
    Append(Vec<Value>),
    /// Multi-valued: these elements and no others.
    Elements(Vec<Value>),
    /// Multi-valued: remove the elements that hold all that one of these holds.
    RemoveListed(Vec<Value>),
    /// Multi-valued: one sub-attribute of each element.
    Each(Box<SubEdit>),
    /// Multi-valued: the elements that satisfy the filter.
    Where(Box<ElementSelection>),
}

/// A change of one sub-attribute.
type SubEdit = (Arc<Attribute>, ValueEdit);

/// The elements that a filter finds, and what happens to them.
#[derive(Debug, Clone)]
struct ElementSelection {
    /// The attribute, or the multi-valued sub-attribute, whose elements are meant.
    path: AttrRef,
    filter: Filter,
    step: ElementEdit,
    on_miss: OnMiss,
}

/// What happens to each element that a filter finds.
#[derive(Debug, Clone)]
enum ElementEdit {
    Remove,
    /// Remove those that also hold all that one of these holds.
    RemoveListed(Vec<Value>),
    Replace(Value),
    /// Leave them, and add this value to the list.
    Append(Value),
    Merge(Vec<SubEdit>),
}

/// What happens where a filter finds no element.
#[derive(Debug, Clone)]
enum OnMiss {
    Ignore,
    Refuse,
    Create(Value),
}

/// The list of operations in a `PatchOp` body.
fn operations(body: &Value, compatibility: Compatibility) -> Result<&[Value], ScimError> {
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax(format!(
            "the body of a PATCH must be a JSON object with schemas and Operations, not {}",
            coerce::kind_of(body)
        )));
    };
    let [schemas, operations] = named(body, ["schemas", "Operations"])?;
    if compatibility.is_strict() {
        check_schemas(schemas)?;
    }
    match operations {
        // Entra ID's validator sends an empty list, and means what it says.
        Some(Value::Array(operations)) if !operations.is_empty() || !compatibility.is_strict() => {
            Ok(operations)
        }
        _ => Err(ScimError::invalid_syntax(
            "Operations of a PATCH must be a list of at least one operation",
        )),
    }
}

/// RFC 7644 section 3.5.2: the body names the PATCH message. A tolerant tenant's clients may leave
/// it out or name something else, since the method has said it already.
fn check_schemas(schemas: Option<&Value>) -> Result<(), ScimError> {
    let is_patch = |urn: &Value| {
        urn.as_str()
            .is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_OP))
    };
    let urns = schemas.and_then(Value::as_array);
    if urns.is_some_and(|urns| urns.iter().any(is_patch)) {
        return Ok(());
    }
    Err(ScimError::invalid_syntax(format!(
        "schemas of a PATCH must hold \"{PATCH_OP}\""
    )))
}

/// The members of an object by name, ignoring case.
fn named<'a, const N: usize>(
    object: &'a Map<String, Value>,
    names: [&str; N],
) -> Result<[Option<&'a Value>; N], ScimError> {
    let mut found = [None; N];
    for (key, value) in object {
        let mut slots = names.iter().zip(&mut found);
        if let Some((name, slot)) = slots.find(|(name, _)| name.eq_ignore_ascii_case(key))
            && slot.replace(value).is_some()
        {
            return Err(coerce::twice(&coerce::Location::root(name)));
        }
    }
    Ok(found)
}

/// Refuses two spellings of one name.
fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), ScimError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(coerce::twice(&coerce::Location::root(name)));
        }
    }
    Ok(())
}

fn in_operation(index: usize, error: ScimError) -> ScimError {
    ScimError {
        detail: format!("Operations[{index}]: {}", error.detail),
        ..error
    }
}

#[cfg(test)]
mod tests;
