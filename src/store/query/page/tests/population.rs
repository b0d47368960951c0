//! Users and groups with unusual content, in memory and in a database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use scim_core::eval::{View, matches};
use scim_core::indexing::{hot_columns, index_rows};
use scim_core::name::fold_user_name;
use scim_core::registry::{AttrRef, Extension};
use scim_core::render::Meta;
use scim_core::schema::Schema;
use scim_core::sort::{Order, SortKey};
use scim_core::views::{GroupView, MemberView};
use scim_core::{Document, Filter, Member, Registry, ResourceType, name, sort};
use serde_json::{Map, Value, json};

use crate::store::query::page::TypeQuery;
use crate::store::tables::resources::NewResource;
use crate::store::tables::{members, resources};
use crate::store::{ResourceId, StoreError, Tx};

pub const BASE_URL: &str = "https://scim.example.com/scim/v2";

/// Texts that differ in case, in normalisation, or in how databases compare them.
pub const TEXTS: &[&str] = &[
    "Ann",
    "ann",
    "ANN",
    "Anna",
    "Bob",
    "b%b",
    "b_b",
    "bxb",
    "a\\b",
    "O'Hara",
    "\"q\"",
    "Ärger",
    "ärger",
    "A\u{30a}sa",
    "Åsa",
    "åsa",
    "ΣΑΣ",
    "σας",
    "😀x",
    "x\u{10ffff}",
    "x\u{10ffff}y",
    "\u{d7ff}a",
    "\u{e000}z",
    "ﬀ",
    "İstanbul",
    "ａｂｃ",
    "abc",
    "ab c",
    " lead",
    "trail ",
    "x",
    "xy",
    "xyz",
    "%",
    "_",
    "\\",
    "\u{7f}",
    "K",
    "k",
    "work",
    "Work",
    "home",
    "0",
    "10",
    "9",
];

/// A resource and its input for `eval`.
#[derive(Debug, Clone)]
pub struct Someone {
    pub id: String,
    pub kind: &'static str,
    pub document: Document,
    pub at: i64,
    pub members: Vec<(String, Option<String>)>,
    location: String,
    member_views: Vec<MemberView>,
    group_views: Vec<GroupView>,
}

impl Someone {
    fn label(&self) -> Option<String> {
        let key = match self.kind {
            "User" => "userName",
            _ => "displayName",
        };
        self.document.0.get(key)?.as_str().map(str::to_owned)
    }
}

impl Someone {
    fn satisfies(&self, filter: &Filter) -> bool {
        self.view(|view| matches(filter, view))
    }

    fn view<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        let at = Timestamp::from_microsecond(self.at).unwrap();
        let meta = Meta {
            resource_type: self.kind,
            created: at,
            modified: at,
            location: &self.location,
            version: 1.into(),
        };
        look(&View {
            document: &self.document,
            meta: &meta,
            members: &self.member_views,
            groups: &self.group_views,
        })
    }
}

/// An extension with the types of attributes that the standard schemas lack.
const MORE: &str = r#"{
    "id": "urn:example:More", "name": "More", "attributes": [
        {"name": "level", "type": "integer"},
        {"name": "score", "type": "decimal"},
        {"name": "since", "type": "dateTime"},
        {"name": "flag", "type": "boolean"},
        {"name": "tags", "multiValued": true},
        {"name": "codes", "multiValued": true, "caseExact": true},
        {"name": "key", "type": "binary", "caseExact": true},
        {"name": "places", "type": "complex", "multiValued": true, "subAttributes": [
            {"name": "value"}, {"name": "rank", "type": "integer"}, {"name": "open", "type": "boolean"},
            {"name": "marks", "multiValued": true},
            {"name": "sizes", "type": "integer", "multiValued": true}
        ]},
        {"name": "home", "type": "complex", "subAttributes": [
            {"name": "value"},
            {"name": "rooms", "multiValued": true},
            {"name": "keys", "multiValued": true, "caseExact": true},
            {"name": "sizes", "type": "integer", "multiValued": true},
            {"name": "heights", "type": "decimal", "multiValued": true},
            {"name": "lit", "type": "boolean", "multiValued": true},
            {"name": "seen", "type": "dateTime", "multiValued": true}
        ]}
    ]
}"#;
const MORE_URN: &str = "urn:example:More";

/// An extension without a schema; resources spell the URN and the names in several ways.
pub const UNDECLARED_URN: &str = "urn:acme:undeclared";

/// The standard types, but users have more attributes and more of them indexed.
fn registry() -> Registry {
    let standard = Registry::standard();
    let user = standard.by_name("User").unwrap();
    let more = Extension {
        schema: Arc::new(Schema::parse(MORE).unwrap()),
        required: false,
    };
    let mut extensions = user.extensions.clone();
    extensions.push(more);
    let more = [
        "level",
        "since",
        "flag",
        "tags",
        "places.value",
        "places.rank",
        "places.open",
        "home.rooms",
        "home.sizes",
        "home.lit",
        "home.seen",
    ]
    .map(|name| format!("{MORE_URN}:{name}"));
    let mut indexed: Vec<&str> = user.indexed.iter().map(AttrRef::key).collect();
    indexed.push("emails.primary");
    indexed.extend(more.iter().map(String::as_str));
    let schema = user.schema.clone();
    let user = ResourceType::new("User", "/Users", "", schema, extensions).unwrap();
    let user = user.index(&indexed).unwrap();
    let schema = standard.by_name("Group").unwrap().schema.clone();
    let group = ResourceType::new("Group", "/Groups", "", schema, Vec::new()).unwrap();
    Registry::new(vec![user, group]).unwrap()
}

#[derive(Debug)]
pub struct Population {
    pub registry: Registry,
    pub all: BTreeMap<String, Someone>,
}

impl Population {
    /// Deterministic for each size.
    pub fn new(users: usize, groups: usize) -> Self {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
        let mut one =
            |strategy: BoxedStrategy<Value>| strategy.new_tree(&mut runner).unwrap().current();
        let mut all = BTreeMap::new();
        let mut names = BTreeSet::new();
        let id = |number: usize| format!("0190a8f2-7c1b-7e53-b9a4-{number:012x}");
        for number in 0..users {
            let mut content = one(user());
            let wished = content["userName"].as_str().unwrap().to_owned();
            if !names.insert(fold_user_name(&wished)) {
                let other = format!("{wished}{number}");
                names.insert(fold_user_name(&other));
                content["userName"] = other.into();
            }
            add(&mut all, id(number), "User", content);
        }
        let ids: Vec<String> = (0..users + groups).map(id).collect();
        for number in users..users + groups {
            let mut content = one(group(ids.clone()));
            let members = content.as_object_mut().unwrap().remove("members").unwrap();
            let own = id(number);
            add(&mut all, own.clone(), "Group", content);
            let members: BTreeMap<String, Option<String>> =
                serde_json::from_value(members).unwrap();
            all.get_mut(&own).unwrap().members =
                members.into_iter().filter(|(id, _)| *id != own).collect();
        }
        let mut population = Self {
            registry: registry(),
            all,
        };
        let view = |one: &Someone| (population.members_of(one), population.groups_of(one));
        let views: Vec<_> = population.all.values().map(view).collect();
        for (one, (members, groups)) in population.all.values_mut().zip(views) {
            one.member_views = members;
            if one.kind == "User" {
                one.group_views = groups;
            }
        }
        population
    }

    pub fn rt(&self, kind: &str) -> Arc<ResourceType> {
        self.registry.by_name(kind).unwrap().clone()
    }

    /// Inserts all resources into the tenant.
    pub fn store(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for someone in self.all.values() {
            let rt = self.rt(someone.kind);
            let new = NewResource {
                id: ResourceId::parse(&*someone.id).unwrap(),
                resource_type: someone.kind.to_owned(),
                at: someone.at,
                hot: hot_columns(&rt, &someone.document),
                label: someone.label(),
                password_hash: None,
                doc: serde_json::to_string(&someone.document.0).unwrap(),
                rows: index_rows(&rt, &someone.document),
            };
            resources::insert(tx, &new)?;
        }
        for someone in self.all.values().filter(|one| !one.members.is_empty()) {
            let list: Vec<Member> = someone
                .members
                .iter()
                .map(|(value, display)| Member {
                    value: value.clone(),
                    display: display.clone(),
                })
                .collect();
            let id = ResourceId::parse(&*someone.id).unwrap();
            members::add(tx, &id, &list)?;
        }
        Ok(())
    }

    /// The ids of those that match, of one type or of several, in their order by the oracle.
    pub fn sorted(&self, kinds: &[TypeQuery], order: Order) -> Vec<String> {
        let mut keys = Vec::new();
        for kind in kinds {
            let own = self.all.values().filter(|one| one.kind == kind.rt.name);
            for one in own {
                let is_match = |filter| one.satisfies(filter);
                if kind.filter.as_ref().is_none_or(is_match) {
                    let missing = SortKey::Missing;
                    let key = kind.sort.as_ref();
                    let key = key.map_or(missing, |path| one.view(|view| sort::key(path, view)));
                    keys.push((key, one.id.clone()));
                }
            }
        }
        keys.sort();
        if order == Order::Descending {
            keys.reverse();
        }
        keys.into_iter().map(|(_, id)| id).collect()
    }

    /// The result of the filter by the oracle.
    pub fn matching(&self, kind: &str, filter: &Filter) -> Vec<String> {
        self.all
            .values()
            .filter(|one| one.kind == kind && one.satisfies(filter))
            .map(|one| one.id.clone())
            .collect()
    }

    fn members_of(&self, group: &Someone) -> Vec<MemberView> {
        let view = |(id, display): &(String, Option<String>)| {
            let member = &self.all[id];
            MemberView {
                value: id.clone(),
                display: display.clone().or_else(|| member.label()),
                kind: member.kind.to_owned(),
                reference: member.location.clone(),
            }
        };
        group.members.iter().map(view).collect()
    }

    /// The groups of which this resource is a direct member.
    fn holders<'a>(&'a self, member: &'a str) -> impl Iterator<Item = &'a str> {
        let holds = move |one: &&Someone| one.members.iter().any(|(id, _)| id == member);
        self.all.values().filter(holds).map(|one| one.id.as_str())
    }

    fn groups_of(&self, user: &Someone) -> Vec<GroupView> {
        let direct: BTreeSet<&str> = self.holders(&user.id).collect();
        let mut found = direct.clone();
        let mut open: Vec<&str> = direct.iter().copied().collect();
        while let Some(group) = open.pop() {
            open.extend(self.holders(group).filter(|id| found.insert(id)));
        }
        let view = |id: &&str| {
            let group = &self.all[*id];
            GroupView {
                value: group.id.clone(),
                display: group.label(),
                reference: group.location.clone(),
                direct: direct.contains(id),
            }
        };
        found.iter().map(view).collect()
    }
}

fn add(all: &mut BTreeMap<String, Someone>, id: String, kind: &'static str, content: Value) {
    let Value::Object(mut content) = content else {
        panic!("not an object")
    };
    let at = content.remove("at").unwrap().as_i64().unwrap();
    content.retain(|_, value| !is_nothing(value));
    let core = if kind == "User" {
        name::USER
    } else {
        name::GROUP
    };
    let extensions = content.keys().filter(|key| key.contains(':'));
    let schemas: Value = std::iter::once(core)
        .chain(extensions.map(String::as_str))
        .collect();
    let mut document = Map::new();
    document.insert("schemas".to_owned(), schemas);
    document.insert("id".to_owned(), id.clone().into());
    document.append(&mut content);
    let someone = Someone {
        id: id.clone(),
        kind,
        document: Document(document),
        at,
        members: Vec::new(),
        location: format!("{BASE_URL}/{kind}s/{id}"),
        member_views: Vec::new(),
        group_views: Vec::new(),
    };
    all.insert(id, someone);
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

pub fn text() -> BoxedStrategy<String> {
    select(TEXTS).prop_map(str::to_owned).boxed()
}

pub fn at() -> BoxedStrategy<i64> {
    select(vec![
        0,
        -1_500_000,
        1_700_000_000_000_000,
        1_700_000_000_000_001,
        1_800_000_000_123_456,
    ])
    .boxed()
}

/// An object with some of the fields.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .map(|(name, value)| (name, option::of(value)))
        .unzip();
    values
        .prop_map(move |values| {
            let present = names.iter().zip(values);
            let present = present.filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
            let present: Map<String, Value> =
                present.filter(|(_, value)| !is_nothing(value)).collect();
            if present.is_empty() {
                Value::Null
            } else {
                Value::Object(present)
            }
        })
        .boxed()
}

fn string() -> BoxedStrategy<Value> {
    text().prop_map(Value::from).boxed()
}

fn boolean() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn list(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let element = object(vec![
        ("value", value),
        (
            "type",
            select(vec!["work", "Work", "home", "other"])
                .prop_map(Value::from)
                .boxed(),
        ),
        ("display", string()),
        ("primary", boolean()),
    ]);
    vec(element, 0..4)
        .prop_map(|list| {
            list.into_iter()
                .filter(|element| !element.is_null())
                .collect()
        })
        .boxed()
}

fn user() -> BoxedStrategy<Value> {
    let mail = (text(), select(vec!["example.com", "EXAMPLE.com", "b%b"]))
        .prop_map(|(local, domain)| Value::from(format!("{local}@{domain}")))
        .boxed();
    let manager = object(vec![("value", string()), ("displayName", string())]);
    let enterprise = object(vec![
        ("employeeNumber", string()),
        ("department", string()),
        ("costCenter", string()),
        ("manager", manager),
    ]);
    let optional = object(vec![
        ("externalId", string()),
        ("displayName", string()),
        ("title", string()),
        ("active", boolean()),
        ("profileUrl", string()),
        (
            "name",
            object(vec![
                ("familyName", string()),
                ("givenName", string()),
                ("formatted", string()),
            ]),
        ),
        ("emails", list(prop_oneof![mail, string()].boxed())),
        ("phoneNumbers", list(string())),
        ("roles", list(string())),
        (name::ENTERPRISE_USER, enterprise),
        (MORE_URN, more()),
    ]);
    (text(), at(), optional, undeclared())
        .prop_map(|(user_name, at, rest, undeclared)| {
            let rest = with(undeclared, rest);
            with(rest, json!({"userName": user_name, "at": at}))
        })
        .boxed()
}

fn number() -> BoxedStrategy<Value> {
    select(vec![json!(-1), json!(0), json!(1), json!(2)]).boxed()
}

fn score() -> BoxedStrategy<Value> {
    select(vec![json!(1), json!(1.5), json!(-0.5), json!(1e300)]).boxed()
}

/// Two spellings of one instant, and two different instants.
fn instant() -> BoxedStrategy<Value> {
    let texts = select(vec![
        "2023-11-14T22:13:20Z",
        "2023-11-14T23:13:20.000+01:00",
        "1970-01-01T00:00:00Z",
        "2027-01-15T08:00:00.123456Z",
    ]);
    texts.prop_map(Value::from).boxed()
}

fn several(one: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    vec(one, 0..3)
        .prop_map(|all| all.into_iter().filter(|one| !one.is_null()).collect())
        .boxed()
}

/// Part of a user or a group: the undeclared extension, with values of every form.
fn undeclared() -> BoxedStrategy<Value> {
    let any = || prop_oneof![3 => string(), 1 => number(), 1 => boolean()].boxed();
    let thing = object(vec![
        ("value", any()),
        ("type", string()),
        ("primary", boolean()),
        ("marks", several(any())),
    ]);
    let element = prop_oneof![1 => any(), 3 => thing.clone()].boxed();
    let object = object(vec![
        ("one", any()),
        ("many", several(any())),
        ("things", several(thing)),
    ]);
    let extension = self::object(vec![
        ("text", string()),
        ("number", prop_oneof![number(), score()].boxed()),
        ("flag", boolean()),
        ("words", several(string())),
        ("mixed", several(any())),
        ("list", several(element)),
        ("object", object),
    ]);
    (option::of(extension), any_case(), any_case())
        .prop_map(|(extension, urn_case, name_case)| match extension {
            Some(Value::Object(members)) => {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (name_case(&name), value));
                let members: Map<String, Value> = members.collect();
                json!({ urn_case(UNDECLARED_URN): members })
            }
            _ => json!({}),
        })
        .boxed()
}

fn any_case() -> BoxedStrategy<fn(&str) -> String> {
    let cases: [fn(&str) -> String; 3] = [str::to_owned, str::to_ascii_uppercase, |text| {
        text.replacen('a', "A", 1)
    }];
    select(cases.to_vec()).boxed()
}

fn more() -> BoxedStrategy<Value> {
    let place = object(vec![
        ("value", string()),
        ("rank", number()),
        ("open", boolean()),
        ("marks", several(string())),
        ("sizes", several(number())),
    ]);
    let home = object(vec![
        ("value", string()),
        ("rooms", several(string())),
        ("keys", several(string())),
        ("sizes", several(number())),
        ("heights", several(score())),
        ("lit", several(boolean())),
        ("seen", several(instant())),
    ]);
    object(vec![
        ("level", number()),
        ("score", score()),
        ("since", instant()),
        ("flag", boolean()),
        ("tags", several(string())),
        ("codes", several(string())),
        ("key", select(vec![json!("AQ=="), json!("aq==")]).boxed()),
        ("places", several(place)),
        ("home", home),
    ])
}

fn group(ids: Vec<String>) -> BoxedStrategy<Value> {
    let members = prop::collection::btree_map(select(ids), option::of(text()), 0..12);
    let external = option::of(text());
    (text(), at(), external, members, undeclared())
        .prop_map(|(name, at, external, members, undeclared)| {
            let known =
                json!({"displayName": name, "at": at, "externalId": external, "members": members});
            with(undeclared, known)
        })
        .boxed()
}

fn with(rest: Value, mut start: Value) -> Value {
    if let (Value::Object(start), Value::Object(mut rest)) = (&mut start, rest) {
        start.append(&mut rest);
    }
    start
}
