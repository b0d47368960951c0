//! A password is never returned; without password sync it is not even stored.

use serde_json::{Value, json};

use crate::harness::{Client, Database, Server, both, both_alone, id, sample};

const SECRET: &str = "S3cret-q7Lm2xz";

/// Counts the rows in all tables with the secret, and those with a hash.
fn count_stored(database: &Database) -> (i64, i64) {
    let clear = format!(
        "SELECT (SELECT count(*) FROM resources WHERE doc LIKE '%{SECRET}%') \
         + (SELECT count(*) FROM attributes WHERE text LIKE '%{SECRET}%') \
         + (SELECT count(*) FROM changes WHERE payload LIKE '%{SECRET}%' OR payload LIKE '%argon2%') AS n"
    );
    let hashed = "SELECT count(*) AS n FROM resources WHERE password_hash LIKE '$argon2id$%'";
    (database.count(&clear), database.count(hashed))
}

/// Sends a password in every possible way; the responses must not contain it.
async fn send_everywhere(client: &Client) {
    let shows_nothing = |answer: &Value| {
        let text = answer.to_string();
        assert!(!text.contains(SECRET) && !text.contains("argon2"), "{text}");
        assert!(answer.get("password").is_none(), "{text}");
    };
    let mut body = sample::user("ada@example.com");
    body["password"] = json!(SECRET);
    let user = client.post("/Users", &body).await.expect(201);
    shows_nothing(&user);
    let path = format!("/Users/{}", id(&user));
    shows_nothing(&client.put(&path, &body).await.expect(200));
    for operation in [
        json!({ "op": "replace", "value": { "password": SECRET } }),
        json!({ "op": "Replace", "path": "password", "value": SECRET }),
        json!({ "op": "add", "path": "password", "value": SECRET }),
    ] {
        let patched = client.edit(&path, json!([operation])).await.expect(200);
        shows_nothing(&patched);
    }
    for query in ["", "?attributes=password", "?attributes=userName,password"] {
        shows_nothing(&client.get(&format!("{path}{query}")).await.expect(200));
        shows_nothing(&client.get(&format!("/Users{query}")).await.expect(200));
    }
    // Nor can a filter reveal it.
    for filter in [
        format!("password%20eq%20%22{SECRET}%22"),
        "password%20pr".to_owned(),
    ] {
        let refused = client.get(&format!("/Users?filter={filter}")).await;
        let error = refused.expect_error(400, "invalidFilter");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

// R7643-4.1.1-08, R7643-4.1.1-09, R7643-4.1.1-11, R7643-7-06, R7644-3.3-11, R7644-3.4.2.2-36
both_alone!(
    without_sync_a_password_is_discarded,
    |database: Database| async move {
        let server = Server::start(&database);
        send_everywhere(&server.admin()).await;
        assert_eq!(count_stored(&database), (0, 0));
        assert!(!server.log().contains(SECRET));
    }
);

// R7643-4.1.1-08, R7643-4.1.1-09, R7643-7-04, R7643-7-06, R7643-9-01, R7644-3.3-11
both_alone!(
    with_sync_only_the_hash_is_stored,
    |database: Database| async move {
        let on = [("ROLLCALL_PASSWORD_SYNC", "on")];
        let server = Server::start_with(&database, &[], &on);
        send_everywhere(&server.admin()).await;
        assert_eq!(count_stored(&database), (0, 1));
        assert!(!server.log().contains(SECRET));
    }
);

both!(every_password_is_accepted, |app| async move {
    for (number, password) in ["aaaaaaaa", "q7#Lm2xz", "", "🦀", &"x".repeat(3_000)]
        .iter()
        .enumerate()
    {
        let mut body = sample::user(&format!("p{number}@example.com"));
        body["password"] = json!(password);
        app.post("/Users", &body).await.expect(201);
    }
});
