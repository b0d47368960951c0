//! Filters over every attribute and operator, as clients would write them.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use scim_core::ResourceType;
use scim_core::registry::AttrRef;
use scim_core::schema::{Attribute, Returned, Type};

use super::population::{BASE_URL, TEXTS, UNDECLARED_URN, at};

/// Texts of filters on the resource type; each resolves. `ids` are the existing ids.
pub fn filters(rt: &ResourceType, ids: Vec<String>) -> BoxedStrategy<String> {
    let ids = Arc::new(ids);
    let mut plain = Vec::new();
    let mut lists = Vec::new();
    let common = scim_core::registry::common().attributes.iter();
    for attribute in common.chain(&rt.schema.attributes) {
        add(&mut plain, &mut lists, "", attribute);
    }
    for extension in &rt.extensions {
        let prefix = format!("{}:", extension.schema.id);
        for attribute in &extension.schema.attributes {
            add(&mut plain, &mut lists, &prefix, attribute);
        }
    }
    let is_looked_up = |name: &str| {
        let hot = [
            "id",
            "userName",
            "externalId",
            "displayName",
            "active",
            "meta.created",
        ];
        let relational = ["members.value", "members.type", "groups.value"];
        hot.contains(&name)
            || relational.contains(&name)
            || rt.indexed.iter().any(|path| path.key() == name)
    };
    let hot: Vec<Target> = plain
        .iter()
        .filter(|target| is_looked_up(&target.name))
        .cloned()
        .collect();
    // Lists with an SQL form are more frequent.
    let known = |target: &&Target| {
        let name = target.name.as_str();
        ["emails", "members", "groups"].contains(&name)
            || [":places", ":home.rooms", ":home.sizes"]
                .iter()
                .any(|end| name.ends_with(end))
    };
    let usual: Vec<Target> = lists.iter().filter(known).cloned().collect();
    lists.extend(usual.iter().cycle().take(lists.len()).cloned());
    let (others, other_lists) = undeclared();
    lists.extend(other_lists);
    let test = prop_oneof![6 => select(hot), 4 => select(plain), 1 => select(others)]
        .prop_flat_map({
            let ids = ids.clone();
            move |target| comparison(&target, &ids)
        })
        .boxed();
    let element = select(lists)
        .prop_flat_map(move |list| {
            let name = list.name.clone();
            let ids = ids.clone();
            let inner = select(subs_of(&list.attribute))
                .prop_flat_map(move |target| comparison(&target, &ids))
                .boxed();
            nested(inner, 3).prop_map(move |inner| format!("{name}[{inner}]"))
        })
        .boxed();
    nested(prop_oneof![3 => test, 1 => element].boxed(), 3)
}

/// `and`, `or` and `not` over the parts.
fn nested(part: BoxedStrategy<String>, depth: u32) -> BoxedStrategy<String> {
    part.prop_recursive(depth, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|terms| format!("({})", terms.join(" and "))),
            vec(inner.clone(), 2..4).prop_map(|terms| format!("({})", terms.join(" or "))),
            inner.prop_map(|term| format!("not ({term})")),
        ]
    })
    .boxed()
}

/// An attribute to compare, and its name.
#[derive(Debug, Clone)]
struct Target {
    name: String,
    attribute: Arc<Attribute>,
}

fn add(plain: &mut Vec<Target>, lists: &mut Vec<Target>, prefix: &str, attribute: &Arc<Attribute>) {
    if attribute.returned == Returned::Never {
        return;
    }
    let target = |name: String, attribute: &Arc<Attribute>| Target {
        name: format!("{prefix}{name}"),
        attribute: attribute.clone(),
    };
    plain.push(target(attribute.name.clone(), attribute));
    for sub in &attribute.sub_attributes {
        let name = format!("{}.{}", attribute.name, sub.name);
        plain.push(target(name.clone(), sub));
        if sub.multi_valued {
            lists.push(target(name, &list_of(sub, &[("value", sub.kind)])));
        }
    }
    if attribute.multi_valued && attribute.is_complex() {
        lists.push(target(attribute.name.clone(), attribute));
    } else if attribute.multi_valued {
        let list = list_of(attribute, &[("value", attribute.kind)]);
        lists.push(target(attribute.name.clone(), &list));
    }
}

/// A list whose elements are distinguished by these names.
fn list_of(attribute: &Attribute, names: &[(&str, Type)]) -> Arc<Attribute> {
    let sub = |(name, kind): &(&str, Type)| {
        Arc::new(Attribute {
            name: (*name).to_owned(),
            kind: *kind,
            ..attribute.clone()
        })
    };
    Arc::new(Attribute {
        sub_attributes: names.iter().map(sub).collect(),
        ..attribute.clone()
    })
}

/// Filters on the undeclared extension: each name compared with values of each kind, and the lists.
fn undeclared() -> (Vec<Target>, Vec<Target>) {
    let kinds = [Type::String, Type::String, Type::Decimal, Type::Boolean];
    let target = |name: &str, attribute: Arc<Attribute>| Target {
        name: format!("{UNDECLARED_URN}:{name}"),
        attribute,
    };
    let attribute = |kind| {
        let path = AttrRef::undeclared(UNDECLARED_URN, "attribute", None, kind);
        path.attribute.clone()
    };
    let names = [
        "text",
        "number",
        "Flag",
        "words",
        "mixed",
        "LIST",
        "list.value",
        "list.type",
        "list.marks",
        "object",
        "object.one",
        "object.Many",
        "object.things",
        "missing",
        "missing.sub",
    ];
    let plain = names.iter().flat_map(|name| {
        kinds
            .iter()
            .map(|kind| target(name, attribute(*kind)))
            .collect::<Vec<_>>()
    });
    let inner: Vec<(&str, Type)> = ["value", "type", "primary", "marks", "missing"]
        .iter()
        .flat_map(|name| kinds.map(|kind| (*name, kind)))
        .collect();
    let lists = [
        "text",
        "words",
        "mixed",
        "list",
        "object",
        "Object.many",
        "object.things",
        "missing",
    ];
    let lists = lists.map(|name| target(name, list_of(&attribute(Type::String), &inner)));
    (plain.collect(), lists.to_vec())
}

fn subs_of(attribute: &Attribute) -> Vec<Target> {
    let named = |sub: &Arc<Attribute>| Target {
        name: sub.name.clone(),
        attribute: sub.clone(),
    };
    let all: Vec<Target> = attribute.sub_attributes.iter().map(named).collect();
    // The operators with an index are more frequent.
    let usual = all
        .iter()
        .filter(|target| {
            ["value", "type", "primary", "rank", "open"].contains(&target.name.as_str())
        })
        .cloned();
    all.iter().cloned().chain(usual).collect()
}

fn comparison(target: &Target, ids: &Arc<Vec<String>>) -> BoxedStrategy<String> {
    let name = target.name.clone();
    let kind = target.attribute.kind;
    let ops: &[&str] = match kind {
        Type::Complex => &["pr", "eq null", "ne null"],
        Type::Boolean => &["pr", "eq null", "ne null", "eq", "ne"],
        Type::Integer | Type::Decimal | Type::DateTime => &[
            "pr", "eq null", "ne null", "eq", "ne", "gt", "ge", "lt", "le",
        ],
        Type::Binary => &["pr", "eq null", "ne null", "eq", "ne", "co", "sw", "ew"],
        Type::String | Type::Reference => &[
            "pr", "eq null", "ne null", "eq", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le",
        ],
    };
    let operand = match kind {
        Type::Boolean => any::<bool>().prop_map(|truth| truth.to_string()).boxed(),
        Type::Integer | Type::Decimal => (0..3_i32).prop_map(|number| number.to_string()).boxed(),
        Type::DateTime => at()
            .prop_map(|at| format!("\"{}\"", jiff::Timestamp::from_microsecond(at).unwrap()))
            .boxed(),
        _ => text_operand(&name, ids)
            .prop_map(|text| serde_json::to_string(&text).unwrap())
            .boxed(),
    };
    (select(ops), operand)
        .prop_map(move |(op, operand)| match op {
            "pr" | "eq null" | "ne null" => format!("{name} {op}"),
            op => format!("{name} {op} {operand}"),
        })
        .boxed()
}

fn text_operand(name: &str, ids: &Arc<Vec<String>>) -> BoxedStrategy<String> {
    let fixed: &[&str] = match name {
        "meta.version" => &["W/\"1\"", "W/\"2\"", "W/\"01\"", "W/"],
        "meta.resourceType" => &["User", "user", "Group"],
        "members.type" | "groups.type" | "type" => &[
            "User", "GROUP", "u", "direct", "indirect", "work", "Work", "home", "o",
        ],
        "schemas" => &[
            scim_core::name::USER,
            scim_core::name::ENTERPRISE_USER,
            "urn:",
        ],
        _ => TEXTS,
    };
    let fixed = select(fixed).prop_map(str::to_owned);
    let usual = prop_oneof![
        4 => fixed.clone(),
        2 => (fixed.clone(), any::<Index>(), any::<Index>()).prop_map(|(text, a, b)| cut(&text, a, b)),
        1 => fixed.prop_map(|text| text.to_uppercase()),
        1 => Just(String::new()),
        1 => Just("@example.com".to_owned()),
    ];
    let is_id = [
        "id",
        "members.value",
        "groups.value",
        "meta.location",
        "value",
    ]
    .contains(&name)
        || name.ends_with("$ref");
    if !is_id {
        return usual.boxed();
    }
    let id = select(ids.to_vec());
    prop_oneof![
        4 => id.clone(),
        1 => id.clone().prop_map(|id| format!("{BASE_URL}/Users/{id}")),
        2 => (id, any::<Index>(), any::<Index>()).prop_map(|(text, a, b)| cut(&text, a, b)),
        3 => usual,
    ]
    .boxed()
}

/// Some characters from the middle.
fn cut(text: &str, a: Index, b: Index) -> String {
    let letters: Vec<char> = text.chars().collect();
    let (a, b) = (a.index(letters.len() + 1), b.index(letters.len() + 1));
    letters[a.min(b)..a.max(b)].iter().collect()
}
