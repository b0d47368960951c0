//! Filters on sub-attributes that have several values.

use serde_json::{Value, json};

use crate::harness::{TestApp, both_typed, id, sample, texts, with_query};

const PREMISES: &str = "urn:example:scim:schemas:extension:premises:2.0:User";

/// Returns a user with the extension whose sub-attributes are lists.
fn resident(user_name: &str, premises: Value) -> Value {
    let mut user = sample::user(user_name);
    user["schemas"] = json!([sample::USER, PREMISES]);
    user[PREMISES] = premises;
    user
}

async fn residents(app: &TestApp) {
    for user in [
        resident(
            "ada",
            json!({
                "home": { "rooms": ["Attic", "Hall"], "codes": ["A1", "B2"], "sizes": [3, 12] },
                "places": [
                    { "value": "p1", "type": "work", "tags": ["quiet", "warm"], "keys": ["k1", "k2"] },
                    { "value": "p2", "type": "gym", "tags": ["loud"] },
                ],
            }),
        ),
        resident(
            "bob",
            json!({
                "home": { "rooms": ["hall"], "sizes": [7] },
                "places": [{ "value": "p3", "type": "work", "tags": ["loud", "Warm"], "keys": ["k3"] }],
            }),
        ),
        resident("cyd", json!({ "places": [{ "value": "p4" }] })),
        sample::user("dot"),
    ] {
        app.post("/Users", &user).await.expect(201);
    }
}

/// Filters, in which `%` stands for the URN and its colon, and the users that they match.
const ROWS: &[(&str, &[&str])] = &[
    (r#"%home.rooms eq "hall""#, &["ada", "bob"]),
    (r#"%home.rooms eq "ATTIC""#, &["ada"]),
    (r#"%home.rooms ne "hall""#, &["ada", "cyd", "dot"]),
    (r#"not (%home.rooms eq "attic")"#, &["bob", "cyd", "dot"]),
    (r#"not (%home.rooms ne "hall")"#, &["bob"]),
    (r#"%home.rooms co "al""#, &["ada", "bob"]),
    (r#"%home.rooms sw "att""#, &["ada"]),
    (r#"%home.rooms ew "tic""#, &["ada"]),
    (r#"%home.rooms gt "attic""#, &["ada", "bob"]),
    (r#"%home.rooms le "attic""#, &["ada"]),
    ("%home.rooms pr", &["ada", "bob"]),
    ("not (%home.rooms pr)", &["cyd", "dot"]),
    ("%home.rooms eq null", &["cyd", "dot"]),
    (r#"%home.codes eq "B2""#, &["ada"]),
    (r#"%home.codes eq "b2""#, &[]),
    (r#"%home.codes ne "A1""#, &["ada", "bob", "cyd", "dot"]),
    ("%home.sizes gt 7", &["ada"]),
    ("%home.sizes lt 7", &["ada"]),
    ("%home.sizes ge 7", &["ada", "bob"]),
    (r#"%home.rooms[value eq "attic"]"#, &["ada"]),
    (r#"%home.rooms[value sw "a" and value ew "c"]"#, &["ada"]),
    (r#"%home.rooms[value sw "a" and value ew "l"]"#, &[]),
    (r#"%home.rooms[not (value eq "hall")]"#, &["ada"]),
    (
        r#"not (%home.rooms[value eq "attic"])"#,
        &["bob", "cyd", "dot"],
    ),
    (r#"%home.sizes[value gt 7]"#, &["ada"]),
    (r#"%places.tags eq "warm""#, &["ada", "bob"]),
    (r#"%places.tags eq "quiet""#, &["ada"]),
    (r#"%places.tags[value eq "quiet"]"#, &["ada"]),
    (r#"%places.keys eq "k2""#, &["ada"]),
    ("%places.keys pr", &["ada", "bob"]),
    (r#"%places[tags eq "quiet" and tags eq "warm"]"#, &["ada"]),
    (r#"%places[tags eq "quiet" and tags eq "loud"]"#, &[]),
    (r#"%places[type eq "work" and tags eq "loud"]"#, &["bob"]),
    (r#"%places[keys eq "k1" and type eq "work"]"#, &["ada"]),
    (r#"%places[keys eq "k1" and type eq "gym"]"#, &[]),
    (r#"%places[not (tags eq "loud") and type pr]"#, &["ada"]),
    ("%places[tags eq null]", &["cyd"]),
];

both_typed!(
    a_list_in_a_sub_attribute_is_compared_value_by_value,
    |app| async move {
        residents(&app).await;
        for compatibility in ["tolerant", "strict"] {
            app.set(&json!({ "compatibility": compatibility })).await;
            for (filter, expected) in ROWS {
                let filter = filter.replace('%', &format!("{PREMISES}:"));
                let mut found = app.find_users(&filter).await;
                found.sort();
                assert_eq!(&found, expected, "{compatibility} {filter}");
            }
            for wrong in [
                r#"%home[rooms eq "hall"]"#,
                r#"%home.rooms[rooms eq "hall"]"#,
                r#"%places.type[value eq "work"]"#,
            ] {
                let filter = wrong.replace('%', &format!("{PREMISES}:"));
                let path = with_query("/Users", &[("filter", &filter)]);
                app.get(&path).await.expect_error(400, "invalidFilter");
            }
        }
        app.set(&json!({ "compatibility": "tolerant" })).await;
        let filter = format!(r#"{PREMISES}:places[type eq "work"].tags eq "quiet""#);
        assert_eq!(app.find_users(&filter).await, ["ada"]);
    }
);

both_typed!(
    a_list_in_a_sub_attribute_is_sorted_by_its_first_value,
    |app| async move {
        residents(&app).await;
        let sorted = async |by: &str| {
            let by = format!("{PREMISES}:{by}");
            let page = app.list("/Users", &[("sortBy", by.as_str())]).await;
            texts(&page.resources, "userName")
        };
        assert_eq!(sorted("home.rooms").await[..2], ["ada", "bob"]);
        assert_eq!(sorted("places.tags").await[..2], ["bob", "ada"]);
        assert_eq!(sorted("home.sizes").await[..2], ["ada", "bob"]);
    }
);

both_typed!(
    unique_values_in_nested_lists_have_one_owner,
    |app| async move {
        residents(&app).await;
        let taken = resident(
            "eve",
            json!({ "places": [{ "keys": ["new"] }, { "keys": ["new2", "k2"] }] }),
        );
        app.post("/Users", &taken)
            .await
            .expect_error(409, "uniqueness");
        let free = resident(
            "eve",
            json!({ "places": [{ "keys": ["K2", "k4"] }, { "keys": ["k4"] }] }),
        );
        let eve = app.post("/Users", &free).await.expect(201);
        // A released value can be used again.
        let path = format!("/Users/{}", id(&eve));
        let fewer = resident("eve", json!({ "places": [{ "keys": ["K2"] }] }));
        app.put(&path, &fewer).await.expect(200);
        let other = resident("fay", json!({ "places": [{ "keys": ["k4"] }] }));
        app.post("/Users", &other).await.expect(201);
        let long = "x".repeat(3_000);
        for premises in [
            json!({ "home": { "rooms": ["a", long] } }),
            json!({ "places": [{ "keys": [long] }] }),
        ] {
            let body = resident("gus", premises);
            app.post("/Users", &body)
                .await
                .expect_error(400, "invalidValue");
        }
    }
);
