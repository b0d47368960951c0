use super::*;

/// Values that look enough like a client's to get past the first check.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        prop::sample::select(vec!["", "work", "a@w.org", "true", "a\u{0}", "urn:x:y"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let known = vec![
        "userName",
        "USERNAME",
        "displayName",
        "emails",
        "name",
        "givenName",
        "value",
        "type",
        "primary",
        "display",
        "active",
        "members",
        "groups",
        "schemas",
        "id",
        "meta",
        "password",
        "x509Certificates",
        "addresses",
        "manager",
        "department",
        "$ref",
        EU,
        ACME,
        "externalId",
        "emails[type eq \"work\"].value",
        "name.givenName",
        "roles",
        "op",
        "path",
        "value",
    ];
    prop_oneof![
        8 => prop::sample::select(known).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => "urn:[a-z]{1,3}:[a-z]{1,3}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let known = [
        "userName",
        "emails",
        "emails.value",
        "emails.primary",
        "emails[type eq \"work\"]",
        "emails[type eq \"work\"].value",
        "emails[primary eq true].primary",
        "name",
        "name.givenName",
        "active",
        "password",
        "members",
        "members[value eq \"a\"]",
        "addresses[type eq \"home\"]",
        "roles[value pr].display",
        "externalId",
        "emails[value ne \"x\"]",
        "schemas",
        "displayName",
        "x509Certificates",
    ];
    let mut known: Vec<String> = known.iter().map(|&path| path.to_owned()).collect();
    known.extend([
        EU.to_owned(),
        ACME.to_owned(),
        format!("{EU}:manager"),
        format!("{EU}:manager.value"),
        format!("{ACME}:costBand"),
        format!("{ACME}:badge.number"),
    ]);
    prop_oneof![12 => prop::sample::select(known), 1 => "\\PC{0,12}", 1 => name()]
}

fn operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "replace", "remove"]);
    let path = prop::option::weighted(0.8, path());
    (op, path, prop::option::weighted(0.9, json_value())).prop_map(|(op, path, value)| {
        let mut operation = json!({"op": op});
        if let Some(path) = path {
            operation["path"] = Value::from(path);
        }
        if let Some(value) = value {
            operation["value"] = value;
        }
        operation
    })
}

/// Documents as other requests have left them.
fn document() -> impl Strategy<Value = Document> {
    let body = prop::collection::vec((name(), json_value()), 0..6);
    body.prop_map(|members| {
        let rt = user();
        let mut body: Map<String, Value> = members.into_iter().collect();
        body.retain(|name, _| !["schemas", "username"].contains(&&*name.to_lowercase()));
        body.insert("userName".to_owned(), json!("ada"));
        let mut document = match admit(&rt, &Value::Object(body), Compatibility::Tolerant) {
            Ok(admitted) => admitted.document,
            Err(_) => complete(&rt, &emails()),
        };
        document.set_id(ID);
        document
    })
}

fn readmitted(rt: &ResourceType, document: &Document) -> String {
    let body = Value::Object(document.0.clone());
    let mut again = admit(rt, &body, Compatibility::Tolerant).unwrap().document;
    again.set_id(ID);
    again.to_string()
}

proptest! {
    #![proptest_config(default_times(2))]

    #[test]
    fn whatever_comes_is_answered(body in json_value()) {
        for compatibility in [Compatibility::Tolerant, Compatibility::Strict] {
            for rt in [user(), group()] {
                let _ = admit(&rt, &body, compatibility);
                let _ = parse(&rt, &body, compatibility);
                let _ = parse(&rt, &patch_op(body.clone()), compatibility);
                let add = patch_op(json!([{"op": "add", "value": body}]));
                if let Ok(patch) = parse(&rt, &add, compatibility) {
                    let _ = patch.apply(&rt, &complete(&rt, &json!({})));
                }
            }
        }
    }

    /// To be strict is to refuse more, never to read anything differently.
    #[test]
    fn what_the_strict_take_the_tolerant_read_the_same(
        members in prop::collection::vec((name(), json_value()), 0..4),
        document in document(),
        operations in prop::collection::vec(operation(), 1..3),
    ) {
        let rt = user();
        let mut body: Map<String, Value> = members.into_iter().collect();
        body.entry("userName").or_insert_with(|| json!("ada"));
        body.insert("schemas".to_owned(), json!([rt.schema.id, EU]));
        let body = Value::Object(body);
        if let Ok(strict) = admit(&rt, &body, Compatibility::Strict) {
            let tolerant = admit(&rt, &body, Compatibility::Tolerant).unwrap();
            prop_assert_eq!(strict.document.to_string(), tolerant.document.to_string());
            prop_assert_eq!(strict.password, tolerant.password);
        }
        let body = patch_op(Value::Array(operations));
        let run = |compatibility| parse(&rt, &body, compatibility)?.apply(&rt, &document);
        if let Ok(strict) = run(Compatibility::Strict) {
            let tolerant = run(Compatibility::Tolerant).unwrap();
            prop_assert_eq!(strict.document.to_string(), tolerant.document.to_string());
            prop_assert_eq!(strict.password, tolerant.password);
        }
    }

    #[test]
    fn admitted_documents_admit_to_themselves(document in document()) {
        prop_assert_eq!(readmitted(&user(), &document), document.to_string());
    }

    #[test]
    fn patched_documents_admit_to_themselves(
        document in document(),
        operations in prop::collection::vec(operation(), 1..4),
    ) {
        let rt = user();
        let patch = parse(&rt, &patch_op(Value::Array(operations)), Compatibility::Tolerant);
        if let Ok(patched) = patch.and_then(|patch| patch.apply(&rt, &document)) {
            let text = patched.document.to_string();
            prop_assert_eq!(readmitted(&rt, &patched.document), text);
        }
    }

    #[test]
    fn replacing_an_attribute_is_a_put_with_it(
        document in document(),
        name in prop::sample::select(vec!["title", "emails", "active", "roles", "externalId"]),
        value in json_value(),
    ) {
        let rt = user();
        let mut body = document.0.clone();
        body.insert(name.to_owned(), value.clone());
        let put = admit(&rt, &Value::Object(body), Compatibility::Tolerant)
            .and_then(|admitted| replace(&rt, &document, &admitted));
        let operation = json!([{"op": "replace", "path": name, "value": value}]);
        let patch = parse(&rt, &patch_op(operation), Compatibility::Tolerant);
        let patched = patch.and_then(|patch| patch.apply(&rt, &document));
        match (put, patched) {
            (Ok(put), Ok(patched)) => {
                prop_assert_eq!(put.to_string(), patched.document.to_string());
            }
            (Err(put), Err(patched)) => prop_assert_eq!(put.kind, patched.kind),
            (put, patched) => prop_assert!(false, "{put:?} but {patched:?}"),
        }
    }
}
