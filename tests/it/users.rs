//! Users over HTTP: create, read, replace, delete (RFC 7644 sections 3.3 to 3.6).

use serde_json::{Value, json};

use crate::harness::{both, id, sample};

both!(a_created_user_is_there, |app| async move {
    let created = app.create_user("Ada.Byron@Example.com").await;
    assert_eq!(created["userName"], "Ada.Byron@Example.com");
    assert_eq!(app.user(id(&created)).await, created);
});
