//! From the stored text of a document to the text of a response.
//!
//! The common answer shows the whole resource; then the stored text is copied unread, and
//! `members`, `groups` and `meta` are written before its last brace. Only a selection of attributes
//! needs the text to be parsed.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::{Map, Value, json};

use crate::project::{Selection, project};
use crate::registry::ResourceType;
use crate::version::Version;
use crate::views::{GroupView, MemberView, Related};

/// The attributes of a resource that the server sets (RFC 7643 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta<'a> {
    /// The name of the resource type.
    pub resource_type: &'a str,
    /// The time of the resource's creation.
    pub created: Timestamp,
    /// The time of its last change.
    pub modified: Timestamp,
    /// The absolute URI of the resource.
    pub location: &'a str,
    /// The version, of which `meta.version` is the entity tag.
    pub version: Version,
}

/// Renders a resource as JSON text.
///
/// `doc_text` is the stored text of a document: where all of it is shown, `meta` and the related
/// rows are spliced in before its last brace, without parsing it.
///
/// ```
/// use jiff::Timestamp;
/// use scim_core::project::Selection;
/// use scim_core::render::{Meta, render};
/// use scim_core::views::Related;
/// use scim_core::Registry;
///
/// let registry = Registry::standard();
/// let user = registry.by_name("User").expect("every registry has users");
/// let meta = Meta {
///     resource_type: "User",
///     created: Timestamp::UNIX_EPOCH,
///     modified: Timestamp::UNIX_EPOCH,
///     location: "https://example.com/scim/v2/Users/1",
///     version: 1.into(),
/// };
/// let selection = Selection::parse(Some("userName"), None)?;
/// let stored = r#"{"id":"1","userName":"ada","title":"Countess"}"#;
/// let text = render(user, stored, &meta, Related::default(), &selection);
/// assert_eq!(text, r#"{"id":"1","userName":"ada"}"#);
/// # Ok::<(), scim_core::ScimError>(())
/// ```
pub fn render(
    rt: &ResourceType,
    doc_text: &str,
    meta: &Meta<'_>,
    related: Related<'_>,
    selection: &Selection,
) -> String {
    if let Some(open) = whole(rt, doc_text, selection) {
        let wanted = Related {
            members: related.members.filter(|_| selection.wants(rt, "members")),
            groups: related.groups.filter(|_| selection.wants(rt, "groups")),
        };
        return splice(open, meta, wanted);
    }
    // The stored text was written by [`Document`](crate::Document); were it damaged, the rest is
    // still worth showing.
    let mut resource: Map<String, Value> = serde_json::from_str(doc_text).unwrap_or_default();
    if related
        .members
        .is_some_and(|members| members.len() > PROJECTED_AT_ONCE)
    {
        return with_many_members(rt, resource, meta, related, selection);
    }
    let mut put = |name: &str, value: Value| resource.insert(name.to_owned(), value);
    if let Some(members) = related.members {
        put("members", members.iter().map(member_value).collect());
    }
    if let Some(groups) = related.groups {
        put("groups", groups.iter().map(group_value).collect());
    }
    put("meta", meta_value(meta));
    project(rt, &mut resource, selection);
    Value::Object(resource).to_string()
}

/// The members of a group that are projected at once: as values they take many times the memory of
/// their text.
const PROJECTED_AT_ONCE: usize = 500;

/// As [`render`], for a group with very many members of which the response shows a part.
fn with_many_members(
    rt: &ResourceType,
    mut resource: Map<String, Value>,
    meta: &Meta<'_>,
    related: Related<'_>,
    selection: &Selection,
) -> String {
    const MEMBERS: &str = "members";
    let members = related.members.unwrap_or_default();
    let shown = |part: &[MemberView]| {
        let values = part.iter().map(member_value).collect();
        let mut only = Map::from_iter([(MEMBERS.to_owned(), values)]);
        project(rt, &mut only, selection);
        only.remove(MEMBERS)
    };
    let mut parts = members.chunks(PROJECTED_AT_ONCE);
    let first = parts.next().and_then(shown);
    let is_shown = first.is_some();
    // The first part has the place of the whole list among the attributes.
    if let Some(first) = first {
        resource.insert(MEMBERS.to_owned(), first);
    }
    if let Some(groups) = related.groups {
        resource.insert(
            "groups".to_owned(),
            groups.iter().map(group_value).collect(),
        );
    }
    resource.insert("meta".to_owned(), meta_value(meta));
    project(rt, &mut resource, selection);
    let mut text = String::from("{");
    for (name, value) in resource {
        if text.len() > 1 {
            text.push(',');
        }
        push_text(&mut text, &name);
        text.push(':');
        if name == MEMBERS && is_shown {
            let rest = parts.by_ref().filter_map(shown);
            push_elements(&mut text, std::iter::once(value).chain(rest));
        } else {
            text.push_str(&value.to_string());
        }
    }
    text.push('}');
    text
}

/// Writes the elements of several lists as one list.
fn push_elements(text: &mut String, lists: impl Iterator<Item = Value>) {
    text.push('[');
    let start = text.len();
    for list in lists {
        let elements = match list {
            Value::Array(elements) => elements,
            other => vec![other],
        };
        for element in elements {
            if text.len() > start {
                text.push(',');
            }
            text.push_str(&element.to_string());
        }
    }
    text.push(']');
}

/// Returns the document without its last brace if the response shows all of it.
fn whole<'t>(rt: &ResourceType, doc_text: &'t str, selection: &Selection) -> Option<&'t str> {
    let is_whole = rt.is_returned_whole() && selection.shows_whole_document(rt);
    let text = doc_text.trim_end().strip_suffix('}');
    text.filter(|_| is_whole)
}

/// Renders a group whose members are written as they are read, so that a very large group never
/// exists in a second form. The text is equal to that of [`render`].
pub struct MemberStream {
    /// The full chunks. One long text would be copied as it grows.
    chunks: Vec<String>,
    last: String,
}

/// The approximate size of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;

impl MemberStream {
    /// Begins the text; returns `None` if the response is not the whole resource.
    pub fn begin(rt: &ResourceType, doc_text: &str, selection: &Selection) -> Option<Self> {
        let open = whole(rt, doc_text, selection)?;
        let fits = selection.wants(rt, "members") && !selection.wants(rt, "groups");
        fits.then(|| {
            let mut last = open_object(open, 1024);
            last.push_str(r#""members":["#);
            let chunks = Vec::new();
            Self { chunks, last }
        })
    }

    /// Writes one member.
    pub fn push(&mut self, member: &MemberView) {
        if !self.last.ends_with('[') {
            self.last.push(',');
        }
        push_element(&mut self.last, member_parts(member));
        if self.last.len() >= CHUNK_BYTES {
            let next = String::with_capacity(CHUNK_BYTES + 1024);
            self.chunks.push(std::mem::replace(&mut self.last, next));
        }
    }

    /// Returns the text, in chunks.
    pub fn end(mut self, meta: &Meta<'_>) -> Vec<String> {
        self.last.push_str("],");
        push_meta(&mut self.last, meta);
        self.chunks.push(self.last);
        self.chunks
    }
}

fn open_object(open: &str, capacity: usize) -> String {
    let mut text = String::with_capacity(open.len() + capacity);
    text.push_str(open);
    if !open.trim_end().ends_with('{') {
        text.push(',');
    }
    text
}

/// `open` is an object without its last brace.
fn splice(open: &str, meta: &Meta<'_>, related: Related<'_>) -> String {
    let Related { members, groups } = related;
    let rows = members.map_or(0, <[_]>::len) + groups.map_or(0, <[_]>::len);
    let mut text = open_object(open, 256 + meta.location.len() + 192 * rows);
    if let Some(members) = members {
        push_list(
            &mut text,
            r#""members":["#,
            members.iter().map(member_parts),
        );
    }
    if let Some(groups) = groups {
        push_list(&mut text, r#""groups":["#, groups.iter().map(group_parts));
    }
    push_meta(&mut text, meta);
    text
}

/// Writes `meta` and the brace that closes the resource.
fn push_meta(text: &mut String, meta: &Meta<'_>) {
    text.push_str(r#""meta":{"resourceType":"#);
    push_text(text, meta.resource_type);
    text.push_str(r#","created":""#);
    push_time(text, meta.created);
    text.push_str(r#"","lastModified":""#);
    push_time(text, meta.modified);
    text.push_str(r#"","location":"#);
    push_text(text, meta.location);
    text.push_str(r#","version":"#);
    push_text(text, &meta.version.to_string());
    text.push_str("}}");
}

/// Writes a time as its `Display` does, but without the formatting machinery, which took longer
/// than the rest of `meta`.
fn push_time(text: &mut String, time: Timestamp) {
    let date = Offset::UTC.to_datetime(time);
    let micros = date.subsec_nanosecond() / 1000;
    let nanos = date.subsec_nanosecond() % 1000;
    if date.year() < 0 || nanos != 0 {
        text.push_str(&time.to_string());
        return;
    }
    push_digits(text, date.year().into(), 1000);
    for (before, number) in [
        ('-', date.month()),
        ('-', date.day()),
        ('T', date.hour()),
        (':', date.minute()),
        (':', date.second()),
    ] {
        text.push(before);
        push_digits(text, number.into(), 10);
    }
    if micros != 0 {
        text.push('.');
        push_digits(text, micros, 100_000);
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push('Z');
}

/// Writes the digits of a number, from that of `unit` on.
fn push_digits(text: &mut String, number: i32, mut unit: i32) {
    while unit > 0 {
        let digit = u8::try_from(number / unit % 10).unwrap_or_default();
        text.push(char::from(b'0'.saturating_add(digit)));
        unit /= 10;
    }
}

fn push_list<'a>(text: &mut String, name: &str, elements: impl Iterator<Item = [Part<'a>; 4]>) {
    text.push_str(name);
    for (index, parts) in elements.enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_element(text, parts);
    }
    text.push_str("],");
}

/// Returns the sub-attributes of an element of `members`.
fn member_parts(member: &MemberView) -> [Part<'_>; 4] {
    [
        ("value", Some(&member.value)),
        ("display", member.display.as_deref()),
        ("type", Some(&member.kind)),
        ("$ref", Some(&member.reference)),
    ]
}

/// Returns the sub-attributes of an element of `groups`.
fn group_parts(group: &GroupView) -> [Part<'_>; 4] {
    let directness = if group.direct { "direct" } else { "indirect" };
    [
        ("value", Some(&group.value)),
        ("$ref", Some(&group.reference)),
        ("display", group.display.as_deref()),
        ("type", Some(directness)),
    ]
}

/// A sub-attribute and its text, if it has one. The first of an element always has one.
type Part<'a> = (&'static str, Option<&'a str>);

/// Writes one element.
fn push_element(text: &mut String, parts: [Part<'_>; 4]) {
    let mut separator = "{\"";
    for (name, value) in parts {
        if let Some(value) = value {
            text.push_str(separator);
            text.push_str(name);
            text.push_str("\":");
            push_text(text, value);
            separator = ",\"";
        }
    }
    text.push('}');
}

/// Returns one element as a value.
fn element_value(parts: [Part<'_>; 4]) -> Value {
    let assigned = parts.into_iter();
    assigned
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))))
        .collect()
}

/// Writes a JSON string; ids, URIs and most names need no escape and are copied.
fn push_text(text: &mut String, value: &str) {
    // Without an early exit the compiler checks many bytes in one step.
    let is_plain = |so_far, byte| so_far & (byte >= b' ') & (byte != b'"') & (byte != b'\\');
    if value.bytes().fold(true, is_plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&Value::from(value).to_string());
    }
}

/// Returns `meta` as a value, equal to that of [`render`].
pub fn meta_value(meta: &Meta<'_>) -> Value {
    json!({
        "resourceType": meta.resource_type,
        "created": meta.created.to_string(),
        "lastModified": meta.modified.to_string(),
        "location": meta.location,
        "version": meta.version.to_string(),
    })
}

/// Returns one element of `members` as a value, equal to that of [`render`].
pub fn member_value(member: &MemberView) -> Value {
    element_value(member_parts(member))
}

/// Returns one element of `groups` as a value, equal to that of [`render`].
pub fn group_value(group: &GroupView) -> Value {
    element_value(group_parts(group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    const LOCATION: &str = "https://h/Groups/g1";

    fn meta() -> Meta<'static> {
        Meta {
            resource_type: "Group",
            created: Timestamp::from_microsecond(0).unwrap(),
            modified: Timestamp::from_microsecond(1_500_000).unwrap(),
            location: LOCATION,
            version: 3.into(),
        }
    }

    const META: &str = r#""meta":{"resourceType":"Group","created":"1970-01-01T00:00:00Z","lastModified":"1970-01-01T00:00:01.5Z","location":"https://h/Groups/g1","version":"W/\"3\""}"#;

    fn members() -> Vec<MemberView> {
        let view = |value: &str, display: Option<&str>| MemberView {
            value: value.to_owned(),
            display: display.map(str::to_owned),
            kind: "User".to_owned(),
            reference: format!("https://h/Users/{value}"),
        };
        vec![view("u1", Some("A \"B\" \\ \u{1} é")), view("u2", None)]
    }

    const MEMBERS: &str = r#""members":[{"value":"u1","display":"A \"B\" \\ \u0001 é","type":"User","$ref":"https://h/Users/u1"},{"value":"u2","type":"User","$ref":"https://h/Users/u2"}]"#;

    fn check(doc: &str, members: Option<&[MemberView]>, excluded: &str, expected: &str) {
        let registry = Registry::standard();
        let group = registry.by_name("Group").unwrap();
        let selection = Selection::parse(None, Some(excluded)).unwrap();
        let text = render(
            group,
            doc,
            &meta(),
            Related {
                members,
                groups: None,
            },
            &selection,
        );
        assert_eq!(text, expected);
        // One by one they come to the same.
        if let (Some(mut stream), Some(members)) =
            (MemberStream::begin(group, doc, &selection), members)
        {
            members.iter().for_each(|member| stream.push(member));
            assert_eq!(stream.end(&meta()).concat(), expected);
        }
    }

    #[test]
    fn times_are_written_as_they_print_themselves() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2026-11-29T23:59:59.999999Z",
            "2024-02-29T12:00:00.5Z",
            "2024-02-29T12:00:00.00001Z",
            "2024-02-29T12:00:00.123456789Z",
            "0000-01-01T00:00:00Z",
            "-000001-12-31T23:59:59Z",
            "1969-12-31T23:59:59.25Z",
            "9999-12-30T21:59:59.1Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            let mut written = String::new();
            push_time(&mut written, time);
            assert_eq!(written, time.to_string());
            assert_eq!(written, text);
        }
    }

    #[test]
    fn texts_are_written_as_json_writes_them() {
        for text in [
            "",
            "a",
            "ab",
            "\"",
            "\\",
            "\u{1}",
            "\u{1f}\u{1}",
            "\"\"",
            "é",
            "a\"b",
            " ",
            "\u{7f}",
        ] {
            let mut written = String::new();
            push_text(&mut written, text);
            assert_eq!(written, Value::from(text).to_string());
        }
    }

    #[test]
    fn a_streamed_group_is_the_rendered_text() {
        let registry = Registry::standard();
        let group = registry.by_name("Group").unwrap();
        let all = Selection::parse(None, None).unwrap();
        let doc = r#"{"id":"g1","displayName":"G"}"#;
        let many: Vec<MemberView> = (0..2000).flat_map(|_| members()).collect();
        let mut stream = MemberStream::begin(group, doc, &all).unwrap();
        many.iter().for_each(|member| stream.push(member));
        let chunks = stream.end(&meta());
        assert!((3..20).contains(&chunks.len()), "{}", chunks.len());
        let expected = render(
            group,
            doc,
            &meta(),
            Related {
                members: Some(&many),
                groups: None,
            },
            &all,
        );
        assert_eq!(chunks.concat(), expected);
    }

    #[test]
    fn many_members_are_projected_as_few_are() {
        let rt = Registry::standard().by_name("Group").unwrap().clone();
        let doc = r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"7","displayName":"A"}"#;
        let many: Vec<MemberView> = (0..PROJECTED_AT_ONCE * 2 + 1)
            .map(|number| MemberView {
                value: format!("m{number}"),
                reference: format!("https://x/Users/m{number}"),
                display: (number % 2 == 0).then(|| format!("Member {number}")),
                kind: "User".to_owned(),
            })
            .collect();
        for (attributes, excluded) in [
            (Some("members"), None),
            (Some("displayName,members.value"), None),
            (Some("displayName"), None),
            (None, Some("members.display,meta")),
            (None, Some("members")),
        ] {
            let selection = Selection::parse(attributes, excluded).unwrap();
            let mut expected: Map<String, Value> = serde_json::from_str(doc).unwrap();
            let values = many.iter().map(member_value).collect();
            expected.insert("members".to_owned(), values);
            expected.insert("meta".to_owned(), meta_value(&meta()));
            project(&rt, &mut expected, &selection);
            let related = Related {
                members: Some(&many),
                groups: None,
            };
            let text = render(&rt, doc, &meta(), related, &selection);
            assert_eq!(
                text,
                Value::Object(expected).to_string(),
                "{attributes:?} {excluded:?}"
            );
        }
    }

    #[test]
    fn groups() {
        let doc = r#"{"id":"g1","displayName":"G"}"#;
        let rows = members();
        let all = format!(r#"{{"id":"g1","displayName":"G",{MEMBERS},{META}}}"#);
        check(doc, Some(&rows), "", &all);
        let none = format!(r#"{{"id":"g1","displayName":"G",{META}}}"#);
        check(doc, None, "", &none);
        check(doc, Some(&rows), "members", &none);
        let empty = format!(r#"{{"id":"g1","displayName":"G","members":[],{META}}}"#);
        check(doc, Some(&[]), "", &empty);
        check("{} ", None, "", &format!("{{{META}}}"));
        check("damaged", None, "", &format!("{{{META}}}"));
        // The way through the parsed text says the same, in the same order.
        check(doc, Some(&rows), "externalId", &all);
        check(doc, Some(&[]), "externalId", &empty);
        check(doc, None, "meta", doc);
        check(
            doc,
            Some(&rows),
            "displayName",
            &format!(r#"{{"id":"g1",{MEMBERS},{META}}}"#),
        );
    }

    #[test]
    fn users() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let view = |value: &str, display: Option<&str>, direct| GroupView {
            value: value.to_owned(),
            display: display.map(str::to_owned),
            reference: format!("https://h/Groups/{value}"),
            direct,
        };
        let rows = [view("g1", Some("G"), true), view("g2", None, false)];
        let expected = format!(
            r#"{{"id":"1","groups":[{{"value":"g1","$ref":"https://h/Groups/g1","display":"G","type":"direct"}},{{"value":"g2","$ref":"https://h/Groups/g2","type":"indirect"}}],{META}}}"#
        );
        for excluded in [None, Some("nickName")] {
            let selection = Selection::parse(None, excluded).unwrap();
            let text = render(
                user,
                r#"{"id":"1"}"#,
                &meta(),
                Related {
                    members: None,
                    groups: Some(&rows),
                },
                &selection,
            );
            assert_eq!(text, expected);
        }
        let selection = Selection::parse(Some("groups.value"), None).unwrap();
        let text = render(
            user,
            r#"{"id":"1"}"#,
            &meta(),
            Related {
                members: None,
                groups: Some(&rows),
            },
            &selection,
        );
        assert_eq!(
            text,
            r#"{"id":"1","groups":[{"value":"g1"},{"value":"g2"}]}"#
        );
    }
}
