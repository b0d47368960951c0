//! A resource as a small server keeps it: a document and the attributes that the server sets.
//!
//! For resources that show nothing but their document, such as users without `groups`. A server
//! that keeps groups, or resources in a database, calls [`crate::render`] and [`crate::eval`]
//! itself.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::eval::{View, matches};
use crate::indexing::{IndexRow, index_rows, rows_at};
use crate::project::Selection;
use crate::render::{Meta, render};
use crate::views::Related;
use crate::{Document, Filter, ResourceType, ScimError};

/// A document with its `meta`.
///
/// ```
/// use scim_core::{Compatibility, Registry, Resource, Timestamp, admit, filter, patch};
/// use serde_json::json;
///
/// let registry = Registry::standard();
/// let user = registry.by_name("User").expect("every registry has users");
/// let admitted = admit::admit(user, &json!({ "userName": "ada" }), Compatibility::Tolerant)?;
/// let now = Timestamp::UNIX_EPOCH;
/// let mut ada = Resource::new(user, "1", admitted.document, "https://example.com/v2", now);
/// assert_eq!(ada.meta().location, "https://example.com/v2/Users/1");
///
/// let filter = filter::parse(user, r#"userName sw "A""#, Compatibility::Tolerant)?;
/// assert!(ada.matches(&filter));
///
/// let operations = json!([{ "op": "add", "path": "title", "value": "Countess" }]);
/// let body = json!({ "Operations": operations });
/// let patch = patch::parse(user, &body, Compatibility::Tolerant)?;
/// let patched = patch.apply(user, ada.document())?;
/// assert!(ada.update(patched.document, now));
/// assert_eq!(ada.meta().version.to_string(), r#"W/"2""#);
/// assert!(ada.to_string().contains(r#""title":"Countess","meta":{"#));
/// # Ok::<(), scim_core::ScimError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Resource {
    rt: Arc<ResourceType>,
    document: Document,
    location: String,
    created: Timestamp,
    modified: Timestamp,
    version: i64,
}

impl Resource {
    /// Makes the first version of a resource, and sets the `id` of its document. Its location is
    /// the endpoint of the resource type below `base_url`.
    pub fn new(
        rt: &Arc<ResourceType>,
        id: &str,
        mut document: Document,
        base_url: &str,
        now: Timestamp,
    ) -> Self {
        document.set_id(id);
        let base_url = base_url.trim_end_matches('/');
        Self {
            location: format!("{base_url}{}/{id}", rt.endpoint),
            rt: Arc::clone(rt),
            document,
            created: now,
            modified: now,
            version: 1,
        }
    }

    /// Returns the attributes that clients set.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Returns the attributes that the server sets.
    pub fn meta(&self) -> Meta<'_> {
        Meta {
            resource_type: &self.rt.name,
            created: self.created,
            modified: self.modified,
            location: &self.location,
            version: self.version.into(),
        }
    }

    /// Replaces the document, and returns whether that changed it. An equal document leaves the
    /// version and the time of the last change.
    pub fn update(&mut self, document: Document, now: Timestamp) -> bool {
        let is_changed = self.document != document;
        if is_changed {
            self.document = document;
            self.modified = now;
            self.version = self.version.saturating_add(1);
        }
        is_changed
    }

    /// Rejects a document that has the same `userName` as this resource, or the same value of
    /// another attribute that is unique among the resources of the type (RFC 7643 section 2.2). A
    /// document with the `id` of this resource is its own next version, and passes.
    ///
    /// # Errors
    /// `uniqueness`, with the attribute in the detail.
    pub fn check_distinct(&self, document: &Document) -> Result<(), ScimError> {
        if self.document.id() == document.id() {
            return Ok(());
        }
        let own = unique_rows(&self.rt, &self.document);
        let rows = unique_rows(&self.rt, document);
        match rows.iter().find(|row| own.contains(row)) {
            Some(row) => Err(ScimError::uniqueness(format!(
                "Another {} has this {}.",
                self.rt.name, row.path
            ))),
            None => Ok(()),
        }
    }

    /// Returns whether the resource satisfies the filter.
    pub fn matches(&self, filter: &Filter) -> bool {
        matches(filter, &View::new(&self.document, &self.meta()))
    }

    /// Returns the JSON of a response that shows the selected attributes.
    pub fn render(&self, selection: &Selection) -> String {
        let text = self.document.to_string();
        let rows = Related::default();
        render(&self.rt, &text, &self.meta(), rows, selection)
    }
}

/// Returns the values that no other resource of the type may have, whatever their position.
fn unique_rows(rt: &ResourceType, document: &Document) -> Vec<IndexRow> {
    let user_name = rt.attr_by_key("userName");
    let user_name = user_name.map(|path| rows_at(&path, document));
    let others = index_rows(rt, document).into_iter();
    let others = others.filter(|row| row.unique_in.is_some());
    let all = user_name.into_iter().flatten().chain(others);
    all.map(|row| IndexRow { position: 0, ..row }).collect()
}

/// The JSON of a response that shows all that is returned by default.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Selection::all()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::schema::Schema;
    use crate::{Compatibility, Registry, admit, filter};

    fn document(body: Value) -> Document {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let admitted = admit::admit(user, &body, Compatibility::Strict);
        admitted.unwrap().document
    }

    #[test]
    fn versions() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let ada = json!({ "schemas": [user.schema.id], "userName": "ada" });
        let mut resource = Resource::new(user, "7", document(ada), "https://h/v2/", time(1));
        let same = resource.document().clone();
        assert!(!resource.update(same, time(2)));
        let meta = |version: i64, modified: i64| Meta {
            resource_type: "User",
            created: time(1),
            modified: time(modified),
            location: "https://h/v2/Users/7",
            version: version.into(),
        };
        assert_eq!(resource.meta(), meta(1, 1));
        let mut other = resource.document().clone();
        other.0.insert("title".to_owned(), json!("Countess"));
        assert!(resource.update(other, time(3)));
        let text = resource.to_string();
        assert!(text.starts_with(r#"{"schemas":["#) && text.contains(r#""version":"W/\"2\"""#));
        assert_eq!(resource.meta(), meta(2, 3));
        let selection = Selection::parse(None, Some("userName,meta")).unwrap();
        assert_eq!(
            resource.render(&selection),
            r#"{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"7","title":"Countess"}"#
        );
    }

    #[test]
    fn unique_values() {
        let schema = r#"{"id": "urn:x:Device", "attributes": [
            {"name": "serial", "uniqueness": "server"},
            {"name": "tags", "multiValued": true, "uniqueness": "global"},
            {"name": "room"}]}"#;
        let schema = Arc::new(Schema::parse(schema).unwrap());
        let device = ResourceType::new("Device", "/Devices", "", schema, vec![]);
        let device = Arc::new(device.unwrap().index(&["room"]).unwrap());
        let user = Arc::clone(Registry::standard().by_name("User").unwrap());
        let check = |rt: &Arc<ResourceType>, own: &Value, other: Value, expected: Option<&str>| {
            let document = |value: &Value| Document(value.as_object().unwrap().clone());
            let resource =
                Resource::new(rt, "1", document(own), "https://h", Timestamp::UNIX_EPOCH);
            let found = resource.check_distinct(&document(&other)).err();
            let detail = expected.map(|name| format!("Another {} has this {name}.", rt.name));
            assert_eq!(found, detail.map(ScimError::uniqueness), "{own} {other}");
        };
        let ada = json!({"userName": "ada", "title": "x"});
        check(&user, &ada, json!({"userName": "ADA"}), Some("userName"));
        check(
            &user,
            &ada,
            json!({"id": "2", "userName": "ada"}),
            Some("userName"),
        );
        check(&user, &ada, json!({"id": "1", "userName": "ada"}), None);
        check(&user, &ada, json!({"userName": "bob", "title": "x"}), None);
        let one = json!({"serial": "a", "tags": ["s", "t"], "room": "r"});
        check(
            &device,
            &one,
            json!({"serial": "A", "room": "r"}),
            Some("serial"),
        );
        check(
            &device,
            &one,
            json!({"serial": "s", "tags": ["a"], "room": "r"}),
            None,
        );
        check(&device, &one, json!({"tags": ["T"]}), Some("tags"));
        check(&device, &json!({}), json!({}), None);
    }

    #[test]
    fn filters() {
        let registry = Registry::standard();
        let user = registry.by_name("User").unwrap();
        let ada = json!({ "schemas": [user.schema.id], "userName": "ada" });
        let now = Timestamp::UNIX_EPOCH;
        let resource = Resource::new(user, "7", document(ada), "https://h", now);
        for (text, expected) in [
            (r#"userName eq "Ada""#, true),
            (r#"id eq "7""#, true),
            (r#"meta.location ew "/Users/7""#, true),
            (r#"userName eq "bob""#, false),
            ("groups pr", false),
        ] {
            let filter = filter::parse(user, text, Compatibility::Strict).unwrap();
            assert_eq!(resource.matches(&filter), expected, "{text}");
        }
    }
}
