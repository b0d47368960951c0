//! Access tokens of external issuers: accepted and rejected tokens, and the number of requests to
//! the issuer. The library tests pass the time as an argument; the others use the server.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use rollcall::auth::Principal;
use rollcall::auth::jwt::{Issuer, Rejected, TenantOf, TokenTypes};
use rollcall::clock::{Clock as _, SystemClock};
use rollcall::ids::TenantId;
use rollcall::issuers::{Bounds, Issuers, Origin, Pace};
use serde_json::{Value, json};

use crate::harness::issuer::{Behavior, FakeIssuer, Key};
use crate::harness::{Client, Database, Server, both_alone, id, runtime, sample, together};

const NOW_S: i64 = 1_800_000_000;
const FLOOR_S: i64 = 30;
const REFRESH_S: i64 = 900;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW_S + seconds).unwrap()
}

fn trust(issuer: &FakeIssuer, origin: Origin) -> Issuers {
    let rule = Issuer {
        issuer: issuer.url.clone(),
        audience: "rollcall".to_owned(),
        tenant: TenantOf::One(TenantId(7)),
        scopes: None,
        types: TokenTypes::default(),
        fields: None,
    };
    let pace = Pace {
        floor: SignedDuration::from_secs(FLOOR_S),
        refresh: SignedDuration::from_secs(REFRESH_S),
    };
    let bounds = Bounds {
        time: Duration::from_millis(300),
        size_bytes: 64 * 1024,
    };
    Issuers::new(vec![(rule, origin)], pace, bounds)
}

/// Whether a token signed with this key at this time is accepted at this time.
async fn is_taken(issuers: &Issuers, issuer: &FakeIssuer, key: &Key, seconds: i64) -> bool {
    let token = key.sign(&issuer.claims(NOW_S + seconds));
    let verified = issuers.verify(&token, at(seconds)).await;
    match verified.map(|verified| verified.principal) {
        Ok(Principal { tenant, .. }) => tenant == TenantId(7),
        Err(Rejected::Key) => false,
        Err(other) => panic!("{other:?}"),
    }
}

fn run(test: impl Future<Output = ()>) {
    runtime().block_on(test);
}

#[test]
fn the_keys_of_each_algorithm_are_found_by_discovery() {
    run(async {
        let keys = [Key::rsa("r"), Key::ec("e"), Key::ed("o")];
        let issuer = FakeIssuer::start(&keys.each_ref()).await;
        let issuers = trust(&issuer, Origin::Discovery);
        for key in &keys {
            assert!(is_taken(&issuers, &issuer, key, 0).await, "{}", key.kid);
        }
        assert_eq!((issuer.requests(), issuer.key_fetches()), (2, 1));

        issuer.is(Behavior::OAuthOnly);
        let issuers = trust(&issuer, Origin::Discovery);
        assert!(is_taken(&issuers, &issuer, &keys[0], 0).await);
    });
}

#[test]
fn a_new_key_is_found_after_the_minimum_interval() {
    run(async {
        let (old, new) = (Key::ed("old"), Key::other_ed("new"));
        let issuer = FakeIssuer::start(&[&old]).await;
        let issuers = trust(&issuer, Origin::Address(issuer.jwks_uri()));
        assert!(is_taken(&issuers, &issuer, &old, 0).await);
        issuer.publish(&[&old, &new]);
        for second in 1..FLOOR_S {
            assert!(!is_taken(&issuers, &issuer, &new, second).await);
        }
        assert_eq!(issuer.key_fetches(), 1);
        assert!(is_taken(&issuers, &issuer, &new, FLOOR_S).await);
        assert!(is_taken(&issuers, &issuer, &old, FLOOR_S).await);
        assert_eq!(issuer.key_fetches(), 2);
    });
}

#[test]
fn unknown_keys_cause_one_fetch_per_interval() {
    run(async {
        let key = Key::ed("k");
        let issuer = FakeIssuer::start(&[&key]).await;
        let issuers = std::sync::Arc::new(trust(&issuer, Origin::Address(issuer.jwks_uri())));
        for round in 0..3 {
            let tokens = (0..50).map(|number| {
                let mut invented = key.clone();
                invented.kid = format!("k{number}");
                let token = invented.sign(&issuer.claims(NOW_S + round * FLOOR_S));
                let issuers = std::sync::Arc::clone(&issuers);
                async move { issuers.verify(&token, at(round * FLOOR_S)).await }
            });
            for refused in together(tokens).await {
                assert_eq!(refused.err(), Some(Rejected::Key));
            }
            assert_eq!(issuer.key_fetches(), usize::try_from(round).unwrap() + 1);
        }
    });
}

#[test]
fn concurrent_requests_share_the_first_fetch() {
    run(async {
        let key = Key::ed("k");
        let issuer = FakeIssuer::start(&[&key]).await;
        let issuers = std::sync::Arc::new(trust(&issuer, Origin::Discovery));
        let token = key.sign(&issuer.claims(NOW_S));
        let calls = (0..20).map(|_| {
            let (issuers, token) = (std::sync::Arc::clone(&issuers), token.clone());
            async move { issuers.verify(&token, at(0)).await.is_ok() }
        });
        assert_eq!(together(calls).await, vec![true; 20]);
        assert_eq!(issuer.key_fetches(), 1);
    });
}

#[test]
fn a_withdrawn_key_expires_with_the_next_fetch() {
    run(async {
        let (good, stolen) = (Key::ed("good"), Key::other_ed("stolen"));
        let issuer = FakeIssuer::start(&[&good, &stolen]).await;
        let issuers = trust(&issuer, Origin::Address(issuer.jwks_uri()));
        assert!(is_taken(&issuers, &issuer, &stolen, 0).await);
        issuer.publish(&[&good]);
        assert!(is_taken(&issuers, &issuer, &stolen, REFRESH_S - 1).await);
        assert!(!is_taken(&issuers, &issuer, &stolen, REFRESH_S).await);
        assert!(is_taken(&issuers, &issuer, &good, REFRESH_S).await);
    });
}

#[test]
fn a_verification_lasts_until_expiry_or_the_next_fetch() {
    run(async {
        let key = Key::ed("k");
        let issuer = FakeIssuer::start(&[&key]).await;
        let issuers = trust(&issuer, Origin::Discovery);
        let token = key.sign(&with(&issuer.claims(NOW_S), "exp", json!(NOW_S + 100)));
        let validity = issuers.verify(&token, at(0)).await.unwrap().validity;
        let last = (1..1000).take_while(|second| validity.holds(at(*second)));
        let last = i64::try_from(last.count()).unwrap();
        assert!((100..200).contains(&last), "{last}");
        assert!(issuers.verify(&token, at(last)).await.is_ok());
        let refused = issuers.verify(&token, at(last + 1)).await.err();
        assert_eq!(refused, Some(Rejected::Expired));

        let token = key.sign(&issuer.claims(NOW_S));
        let validity = issuers.verify(&token, at(0)).await.unwrap().validity;
        assert!(validity.holds(at(REFRESH_S - 1)));
        assert!(!validity.holds(at(REFRESH_S)));
        // A token with another key triggers a fetch, and the issuer no longer publishes ours.
        let new = Key::other_ed("new");
        issuer.publish(&[&new]);
        assert!(is_taken(&issuers, &issuer, &new, FLOOR_S).await);
        assert!(!validity.holds(at(FLOOR_S)));
    });
}

#[test]
fn old_keys_remain_valid_during_an_outage() {
    run(async {
        let (old, new) = (Key::ed("old"), Key::other_ed("new"));
        let issuer = FakeIssuer::start(&[&old]).await;
        let issuers = trust(&issuer, Origin::Address(issuer.jwks_uri()));
        assert!(is_taken(&issuers, &issuer, &old, 0).await);
        for behavior in [
            Behavior::Down,
            Behavior::Silent,
            Behavior::Huge,
            Behavior::Elsewhere,
        ] {
            issuer.is(behavior);
            for round in 1..4 {
                let second = REFRESH_S * round;
                assert!(
                    is_taken(&issuers, &issuer, &old, second).await,
                    "{behavior:?}"
                );
                assert!(
                    !is_taken(&issuers, &issuer, &new, second).await,
                    "{behavior:?}"
                );
            }
        }
        issuer.is(Behavior::Well);
        issuer.publish(&[&new]);
        assert!(is_taken(&issuers, &issuer, &new, REFRESH_S * 10).await);
        assert!(!is_taken(&issuers, &issuer, &old, REFRESH_S * 10).await);
    });
}

#[test]
fn an_issuer_without_a_valid_response_authenticates_no_token() {
    run(async {
        let key = Key::ed("k");
        let issuer = FakeIssuer::start(&[&key]).await;
        for behavior in [
            Behavior::Down,
            Behavior::Silent,
            Behavior::Huge,
            Behavior::Elsewhere,
            Behavior::Impostor,
        ] {
            issuer.is(behavior);
            let issuers = trust(&issuer, Origin::Discovery);
            let before = issuer.requests();
            for second in 0..5 {
                assert!(
                    !is_taken(&issuers, &issuer, &key, second).await,
                    "{behavior:?}"
                );
            }
            assert!(issuer.requests() <= before + 2, "{behavior:?}");
        }
    });
}

#[test]
fn an_untrusted_issuer_is_never_contacted() {
    run(async {
        let key = Key::ed("k");
        let (trusted, stranger) = (
            FakeIssuer::start(&[&key]).await,
            FakeIssuer::start(&[&key]).await,
        );
        let issuers = trust(&trusted, Origin::Discovery);
        let token = key.sign(&stranger.claims(NOW_S));
        let refused = issuers.verify(&token, at(0)).await.err();
        assert_eq!(refused, Some(Rejected::Issuer));
        assert_eq!((trusted.requests(), stranger.requests()), (0, 0));
    });
}

/// A server that trusts two issuers: `first` for the tenant `acme`, by discovery, and `second` for
/// the tenant that its claim `org` names, which may only be `beta`.
fn server_with(database: &Database, first: &FakeIssuer, second: &FakeIssuer) -> Server {
    create_tenants(database);
    restart_with(database, first, second, &[])
}

fn create_tenants(database: &Database) {
    for tenant in ["acme", "beta"] {
        database.cli_ok(&["tenant", "create", tenant]);
    }
}

/// The same with more arguments, on a database that has the tenants.
fn restart_with(
    database: &Database,
    first: &FakeIssuer,
    second: &FakeIssuer,
    arguments: &[&str],
) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("rollcall.toml");
    let text = format!(
        "[[issuers]]\nissuer = \"{}\"\naudience = \"rollcall\"\ntenant = \"acme\"\n\
         [[issuers]]\nissuer = \"{}\"\naudience = \"rollcall\"\ntenant_claim = \"org\"\n\
         tenants = {{ b = \"beta\" }}\nscopes = {{ \"people.read\" = \"read\" }}\n\
         fields = [\"userName\", \"name\", \"groups\"]\njwks_uri = \"{}\"\n",
        first.url,
        second.url,
        second.jwks_uri(),
    );
    std::fs::write(&config, text).unwrap();
    let config = ["--config", config.to_str().unwrap()];
    Server::start_with(database, &[&config, arguments].concat(), &[])
}

fn provisioner(database: &Database, server: &Server, tenant: &str) -> Client {
    let token = database.cli_ok(&[
        "token", "create", "--tenant", tenant, "okta", "--scope", "scim",
    ]);
    Client::new(&server.address, token.trim())
}

fn now_s() -> i64 {
    SystemClock::default().now().as_second()
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

/// Header and claims as text, without a signature.
fn unsigned(header: Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&header), part(claims))
}

/// Invalid tokens, each with a description of its fault.
fn invalid_tokens(
    key: &Key,
    first: &FakeIssuer,
    second: &FakeIssuer,
) -> Vec<(&'static str, String)> {
    let now = now_s();
    let good = first.claims(now);
    let hs256 = |secret: &[u8]| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, &good, &EncodingKey::from_secret(secret)).unwrap()
    };
    let public = key.public();
    let modulus = public["n"].as_str().unwrap();
    let raw_modulus = URL_SAFE_NO_PAD.decode(modulus).unwrap();
    let mut strange = key.clone();
    strange.kid = "unknown".to_owned();
    let mut cut = key.sign(&good);
    cut.truncate(cut.len() - 8);
    let (honest, forged) = (
        key.sign(&good),
        with(&good, "scp", json!(["admin", "scim"])),
    );
    let parts: Vec<&str> = honest.split('.').collect();
    let swapped = format!(
        "{}.{}.{}",
        parts[0],
        URL_SAFE_NO_PAD.encode(forged.to_string()),
        parts[2]
    );
    let signed = |name: &str, value: Value| key.sign(&with(&good, name, value));
    vec![
        (
            "alg none",
            unsigned(json!({ "alg": "none", "kid": key.kid }), &good),
        ),
        (
            "alg None",
            unsigned(json!({ "alg": "None", "kid": key.kid }), &good),
        ),
        (
            "no signature",
            unsigned(json!({ "alg": "RS256", "kid": key.kid }), &good),
        ),
        ("HS256 with the modulus", hs256(&raw_modulus)),
        ("HS256 with the key's text", hs256(modulus.as_bytes())),
        (
            "HS256 with the whole key",
            hs256(public.to_string().as_bytes()),
        ),
        (
            "a wrong issuer",
            signed("iss", json!("https://id.example.com")),
        ),
        ("no issuer", signed("iss", Value::Null)),
        ("a wrong audience", signed("aud", json!("payroll"))),
        ("no audience", signed("aud", Value::Null)),
        ("expired", signed("exp", json!(now - 60))),
        ("no end", signed("exp", Value::Null)),
        ("not yet valid", signed("nbf", json!(now + 600))),
        ("issued in the future", signed("iat", json!(now + 600))),
        ("an unknown kid", strange.sign(&good)),
        ("another key under this kid", Key::ec(&key.kid).sign(&good)),
        (
            "the other issuer's key under this kid",
            Key::other_ed(&key.kid).sign(&good),
        ),
        (
            "the other issuer's name",
            key.sign(&with(&second.claims(now), "org", json!("b"))),
        ),
        ("a cut signature", cut),
        ("changed claims", swapped),
        ("no token", "eyJ.eyJ.x".to_owned()),
        ("a huge one", format!("ey{}.e30.x", "A".repeat(20_000))),
    ]
}

// R6750-3.1-02, R9700-2.3-01, R9110-11.4-01
both_alone!(
    an_adversarys_token_is_rejected_without_a_fetch,
    |database: Database| async move {
        let (key, other) = (Key::rsa("k1"), Key::other_ed("k1"));
        let first = FakeIssuer::start(&[&key]).await;
        let second = FakeIssuer::start(&[&other]).await;
        let server = server_with(&database, &first, &second);
        let since = Instant::now();
        let good = Client::new(&server.address, &key.sign(&first.claims(now_s())));
        assert_eq!(good.get("/Users").await.page().total, 0);
        for (what, token) in invalid_tokens(&key, &first, &second) {
            let reply = Client::new(&server.address, &token).get("/Users").await;
            let challenge = reply.header("www-authenticate").to_owned();
            assert!(
                challenge.starts_with("Bearer realm=")
                    && challenge.contains("error=\"invalid_token\""),
                "{what}: {challenge:?}"
            );
            assert_eq!(reply.status, 401, "{what}");
            reply.expect_error(401, "");
        }
        // An unknown key is rejected while its issuer fails, without repeated fetches.
        let strange = Key::ed("k2").sign(&first.claims(now_s()));
        for behavior in [Behavior::Huge, Behavior::Elsewhere] {
            first.is(behavior);
            for _ in 0..3 {
                let reply = Client::new(&server.address, &strange).get("/Users").await;
                let challenge = reply.header("www-authenticate").to_owned();
                assert!(
                    challenge.contains("error=\"invalid_token\""),
                    "{behavior:?}: {challenge:?}"
                );
                reply.expect_error(401, "");
            }
        }
        // The issuer fails: valid tokens remain valid, and no others become valid.
        first.is(Behavior::Down);
        good.get("/Users").await.expect(200);
        let floors = usize::try_from(since.elapsed().as_secs() / 30).unwrap() + 1;
        for issuer in [&first, &second] {
            assert!(issuer.key_fetches() <= floors, "{}", issuer.key_fetches());
            assert!(issuer.requests() <= 2 * floors, "{}", issuer.requests());
        }
    }
);

// R7644-2.1-01, R6750-3.1-03
both_alone!(
    a_token_is_limited_to_its_tenant_and_scopes,
    |database: Database| async move {
        let (key, other) = (Key::ec("k1"), Key::other_ed("k1"));
        let first = FakeIssuer::start(&[&key]).await;
        let second = FakeIssuer::start(&[&other]).await;
        let server = server_with(&database, &first, &second);
        let (acme, beta) = (
            provisioner(&database, &server, "acme"),
            provisioner(&database, &server, "beta"),
        );
        let ada = acme.create_user("ada@example.com").await;
        let bob = beta.create_user("bob@example.com").await;
        let now = now_s();
        let of_first = Client::new(&server.address, &key.sign(&first.claims(now)));
        assert_eq!(
            of_first.find_users("userName pr").await,
            ["ada@example.com"]
        );
        let bobs = format!("/Users/{}", id(&bob));
        of_first.get(&bobs).await.expect_error(404, "");
        let refused = of_first
            .post("/Users", &sample::user("eve@example.com"))
            .await;
        let challenge = refused.header("www-authenticate").to_owned();
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{challenge}"
        );
        refused.expect_error(403, "");

        let claims = |scope: &str, org: &str| {
            let claims = with(&second.claims(now), "org", json!(org));
            let mut claims = with(&claims, "scope", json!(scope));
            claims["scp"] = Value::Null;
            Client::new(&server.address, &other.sign(&claims))
        };
        let of_second = claims("openid people.read", "b");
        assert_eq!(
            of_second.find_users("userName pr").await,
            ["bob@example.com"]
        );
        let adas = format!("/Users/{}", id(&ada));
        of_second.get(&adas).await.expect_error(404, "");
        claims("read", "b")
            .get("/Users")
            .await
            .expect_error(403, "");
        claims("people.read", "acme")
            .get("/Users")
            .await
            .expect_error(401, "");
        // The issuer's rule sets the fields.
        let seen = of_second.user(id(&bob)).await;
        assert_eq!(seen["emails"], Value::Null);
        assert_eq!(seen["name"]["familyName"], "Byron");
    }
);

both_alone!(
    cached_callers_use_the_current_settings,
    |database: Database| async move {
        let (key, other) = (Key::ed("k1"), Key::other_ed("k1"));
        let first = FakeIssuer::start(&[&key]).await;
        let second = FakeIssuer::start(&[&other]).await;
        let server = server_with(&database, &first, &second);
        let acme = provisioner(&database, &server, "acme");
        let operator = server.admin();
        let of_first = Client::new(&server.address, &key.sign(&first.claims(now_s())));
        let callers = [
            (&of_first, acme.create_user("ada@example.com").await, "acme"),
            (
                &operator,
                operator.create_user("bob@example.com").await,
                "default",
            ),
        ];
        for (client, user, tenant) in &callers {
            // A request for one resource authenticates in the same statement; a list looks the
            // caller up first.
            let paths = [format!("/Users/{}", id(user)), "/Users".to_owned()];
            let ask = |path| client.send(Method::GET, path, &[("accept", "text/html")], Vec::new());
            for path in paths.iter().cycle().take(6) {
                assert_eq!(ask(path).await.status, 200);
            }
            let settings = json!({ "compatibility": "strict" });
            let tenant = format!("/admin/v1/tenants/{tenant}");
            let set = operator.site().patch(&tenant, &settings).await;
            assert_eq!(set.status, 200, "{set:?}");
            for path in paths.iter().cycle().take(6) {
                ask(path).await.expect_error(406, "");
            }
        }
    }
);

both_alone!(
    an_access_token_that_expires_ends_a_stream_and_a_long_poll,
    |database: Database| async move {
        let key = Key::ed("k");
        let (first, second) = (
            FakeIssuer::start(&[&key]).await,
            FakeIssuer::start(&[&key]).await,
        );
        let server = server_with(&database, &first, &second);
        let ada = provisioner(&database, &server, "acme");
        ada.create_user("ada@example.com").await;
        // Accepted for 30 seconds beyond its end, of which two are left.
        let claims = with(&first.claims(now_s() - 60), "exp", json!(now_s() - 28));
        let site = Client::new(&server.address, &key.sign(&claims)).site();
        let mut live = site.open("/directory/v1/changes/stream", &[]).await;
        assert_eq!(live.status(), 200);
        let ended = async {
            let poll = site.get("/directory/v1/changes?after=1&wait=60").await;
            poll.expect_error(401, "");
            while let Ok(Some(_)) = live.chunk().await {}
        };
        let ended = tokio::time::timeout(Duration::from_secs(40), ended).await;
        assert!(ended.is_ok(), "it still listens");
    }
);

both_alone!(
    renewed_tokens_are_accepted_during_a_flood_of_invalid_ones,
    |database: Database| async move {
        let (key, other) = (Key::ed("k1"), Key::other_ed("k1"));
        let first = FakeIssuer::start(&[&key]).await;
        let second = FakeIssuer::start(&[&other]).await;
        create_tenants(&database);
        let limits = [
            "--unknown-tokens-per-s",
            "1",
            "--address-unknown-tokens-per-s",
            "1",
        ];
        let since = Instant::now();
        let unknown_kid = |number: usize| {
            let mut invented = key.clone();
            invented.kid = format!("invented-{number}");
            invented.sign(&first.claims(now_s()))
        };
        let unknown_issuer = |number: usize| {
            let claims = with(&first.claims(now_s()), "iss", json!(number.to_string()));
            key.sign(&claims)
        };
        let unsigned = |number: usize| {
            let claims = with(&first.claims(now_s()), "jti", json!(number));
            let token = key.sign(&claims);
            let (signed, _) = token.rsplit_once('.').unwrap();
            format!("{signed}.{}", "A".repeat(86))
        };
        // Each start has no keys yet, and the second flood does not make it fetch them.
        let floods: [&dyn Fn(usize) -> String; 3] = [&unknown_kid, &unknown_issuer, &unsigned];
        for flood in floods {
            let server = restart_with(&database, &first, &second, &limits);
            let client = server.admin();
            let with_token = |token: &str| client.authorization(&format!("Bearer {token}"));
            let mut statuses = Vec::new();
            for number in 0..40 {
                statuses.push(with_token(&flood(number)).get("/Users").await.status);
            }
            assert!(statuses.contains(&429), "{statuses:?}");
            assert!(
                statuses.iter().all(|status| matches!(status, 401 | 429)),
                "{statuses:?}"
            );
            for number in 0..20 {
                let claims = with(&first.claims(now_s()), "jti", json!(number));
                with_token(&key.sign(&claims)).get("/Users").await.page();
            }
        }
        let floors = usize::try_from(since.elapsed().as_secs() / 30).unwrap() + 3;
        assert!(first.key_fetches() <= floors, "{}", first.key_fetches());
    }
);

both_alone!(
    all_tokens_of_a_subject_are_one_caller,
    |database: Database| async move {
        let (key, other) = (Key::ed("k1"), Key::other_ed("k1"));
        let first = FakeIssuer::start(&[&key]).await;
        let second = FakeIssuer::start(&[&other]).await;
        create_tenants(&database);
        let limits = ["--token-rate-per-s", "1", "--token-burst", "5"];
        let server = restart_with(&database, &first, &second, &limits);
        let client = server.admin();
        let started = Instant::now();
        let mut accepted = 0;
        for number in 0..40 {
            let claims = with(&first.claims(now_s()), "jti", json!(number));
            let bearer = format!("Bearer {}", key.sign(&claims));
            match client.authorization(&bearer).get("/Users").await.status {
                200 => accepted += 1,
                status => assert_eq!(status, 429),
            }
        }
        let allowed = 6 + started.elapsed().as_secs();
        assert!(accepted <= allowed, "{accepted} of 40, {allowed} allowed");
    }
);
