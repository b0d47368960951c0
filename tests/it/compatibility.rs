//! One tenant tolerant, one strict: the same request, and what each makes of it.

use serde_json::json;

use crate::harness::{both, id, sample, with_query};

// R7644-3.3-07, RINTEROP-5.3-01
both!(
    a_setting_takes_effect_with_the_next_request,
    |app| async move {
        let mut body = sample::user("ada@example.com");
        body["nope"] = json!("x");
        app.set(&json!({ "compatibility": "strict" })).await;
        app.post("/Users", &body)
            .await
            .expect_error(400, "invalidSyntax");
        app.set(&json!({ "compatibility": "tolerant" })).await;
        let user = app.post("/Users", &body).await.expect(201);
        assert!(user.get("nope").is_none(), "{user}");
        app.set(&json!({ "compatibility": "strict" })).await;
        let path = format!("/Users/{}", id(&user));
        let operations = json!([{ "op": "Replace", "path": "title", "value": "Countess" }]);
        app.edit(&path, operations.clone())
            .await
            .expect_error(400, "invalidSyntax");
        let search = with_query("/Users", &[("filter", "userName eq 'ada@example.com'")]);
        app.get(&search).await.expect_error(400, "invalidFilter");
        app.set(&json!({ "compatibility": "tolerant" })).await;
        app.edit(&path, operations).await.expect(200);
        assert_eq!(app.get(&search).await.page().total, 1);
    }
);
