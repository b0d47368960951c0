//! `/Me` (RFC 7644 section 3.11): the caller's own user.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Database, Server, both, both_alone, id, sample};

/// An Ed25519 key made for this test; it protects nothing.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

/// A server that trusts the key for its default tenant.
struct TrustingServer {
    server: Server,
    key: jsonwebtoken::EncodingKey,
    _folder: tempfile::TempDir,
}

impl TrustingServer {
    fn start(database: &Database, me: &str) -> Self {
        let algorithm = jsonwebtoken::Algorithm::EdDSA;
        let key = jsonwebtoken::EncodingKey::from_ed_pem(KEY.as_bytes()).unwrap();
        let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, algorithm).unwrap();
        jwk.common.key_id = Some("k1".to_owned());
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.json");
        std::fs::write(&keys, json!({ "keys": [jwk] }).to_string()).unwrap();
        let config = folder.path().join("rollcall.toml");
        let text = format!(
            "me = \"{me}\"\n[[issuers]]\nissuer = \"https://id.example.com\"\naudience = \"rollcall\"\n\
             tenant = \"default\"\nscopes = {{ \"scim\" = \"scim\", \"read\" = \"read\" }}\njwks_file = {:?}\n",
            keys.to_str().unwrap()
        );
        std::fs::write(&config, text).unwrap();
        let server = Server::start_with(database, &["--config", config.to_str().unwrap()], &[]);
        Self {
            server,
            key,
            _folder: folder,
        }
    }

    /// Returns a client with an access token of this subject and scope.
    fn client(&self, subject: &str, scope: &str) -> Client {
        const YEAR_2100: i64 = 4_102_444_800;
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        header.kid = Some("k1".to_owned());
        let claims = json!({
            "iss": "https://id.example.com", "aud": "rollcall", "sub": subject, "scp": [scope], "exp": YEAR_2100,
        });
        let token = jsonwebtoken::encode(&header, &claims, &self.key).unwrap();
        Client::new(&self.server.address, &token)
    }
}

// R7644-3.11-01, R7644-3.11-03
both_alone!(me_is_the_token_subject, |database: Database| async move {
    let trusting = TrustingServer::start(&database, "userName");
    let admin = trusting.server.admin();
    let ada = admin.create_user("ada@example.com").await;
    let path = format!("/Users/{}", id(&ada));
    let me = trusting.client("ADA@example.com", "scim");
    let reply = me.get("/Me").await;
    assert_eq!(
        reply.header("location"),
        ada["meta"]["location"].as_str().unwrap()
    );
    assert_eq!(
        reply.header("etag"),
        ada["meta"]["version"].as_str().unwrap()
    );
    assert_eq!(reply.expect(200), ada);
    let head = me.send(Method::HEAD, "/Me", &[], Vec::new()).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
    let lean = me.get("/Me?attributes=userName").await.expect(200);
    assert_eq!(lean.get("name"), None);
    let operations = json!([{ "op": "replace", "path": "title", "value": "Countess" }]);
    let patched = me.edit("/Me", operations.clone()).await;
    assert_eq!(
        patched.header("location"),
        ada["meta"]["location"].as_str().unwrap()
    );
    assert_eq!(patched.expect(200)["title"], "Countess");
    assert_eq!(admin.get(&path).await.expect(200)["title"], "Countess");
    let put = me.put("/Me", &sample::user("ada@example.com")).await;
    assert_eq!(
        put.header("location"),
        ada["meta"]["location"].as_str().unwrap()
    );
    assert_eq!(put.expect(200)["id"], ada["id"]);
    let stale = [("if-match", ada["meta"]["version"].as_str().unwrap())];
    me.send(Method::DELETE, "/Me", &stale, Vec::new())
        .await
        .expect_error(412, "");
    let refused = me.post("/Me", &sample::user("eve@example.com")).await;
    assert_eq!(refused.header("allow"), "GET, HEAD, PUT, PATCH, DELETE");
    refused.expect_error(405, "");
    // A caller without read access cannot find out whether the user exists.
    for subject in ["ada@example.com", "nobody@example.com"] {
        let stranger = trusting.client(subject, "admin");
        stranger.get("/Me").await.expect_error(403, "");
    }
    // A read-only caller can only read.
    let reader = trusting.client("ada@example.com", "read");
    reader.get("/Me").await.expect(200);
    reader.edit("/Me", operations).await.expect_error(403, "");
    reader.delete("/Me").await.expect_error(403, "");
    me.delete("/Me").await.expect(204);
    let gone = trusting.client("ada@example.com", "scim");
    gone.get("/Me").await.expect_error(404, "");
    // A subject that does not fit into a change record is invalid.
    for subject in ["", "ada\0"] {
        let refused = trusting.client(subject, "scim");
        refused.get("/Me").await.expect_error(401, "");
    }
    admin.get(&path).await.expect_error(404, "");
});

// R7644-3.11-02
both!(a_machine_token_has_no_user, |app| async move {
    app.create_user("jwt:ada@example.com").await;
    app.get("/Me").await.expect_error(404, "");
    app.put("/Me", &sample::user("ada@example.com"))
        .await
        .expect_error(404, "");
    app.edit("/Me", json!([])).await.expect_error(404, "");
    app.delete("/Me").await.expect_error(404, "");
    app.anonymous().get("/Me").await.expect_error(401, "");
});

// R7644-3.11-02
both_alone!(
    me_requires_an_unambiguous_external_id,
    |database: Database| async move {
        let trusting = TrustingServer::start(&database, "externalId");
        let admin = trusting.server.admin();
        let ada = admin.create_user("ada@example.com").await;
        let me = trusting.client("00u-ada@example.com", "scim");
        assert_eq!(me.get("/Me").await.expect(200), ada);
        trusting
            .client("ada@example.com", "scim")
            .get("/Me")
            .await
            .expect_error(404, "");
        let mut group = sample::group("Surveyors", &[]);
        group["externalId"] = ada["externalId"].clone();
        admin.post("/Groups", &group).await.expect(201);
        assert_eq!(me.get("/Me").await.expect(200), ada);
        let mut twin = sample::user("twin@example.com");
        twin["externalId"] = ada["externalId"].clone();
        admin.post("/Users", &twin).await.expect(201);
        me.get("/Me").await.expect_error(404, "");
    }
);

// R7644-3.11-01
both_alone!(
    the_subject_may_be_an_id_and_me_can_be_disabled,
    |database: Database| async move {
        let trusting = TrustingServer::start(&database, "id");
        let ada = trusting.server.admin().create_user("ada@example.com").await;
        assert_eq!(
            trusting
                .client(id(&ada), "read")
                .get("/Me")
                .await
                .expect(200),
            ada
        );
        trusting
            .client("nobody", "read")
            .get("/Me")
            .await
            .expect_error(404, "");
        drop(trusting);
        let trusting = TrustingServer::start(&database, "off");
        trusting
            .client(id(&ada), "read")
            .get("/Me")
            .await
            .expect_error(501, "");
    }
);
