//! Operation: health, metrics, the command line, and invalid settings.

use std::process::Command;

use crate::harness::{Backend, Client, Database, Server, both, both_alone, id, sample, together};

both!(health_and_metrics_report_the_state, |app| async move {
    let site = app.anonymous().site();
    for path in ["/healthz", "/readyz"] {
        let reply = site.get(path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    app.list("/Users", &[]).await;
    let metrics = site.get("/metrics").await;
    assert_eq!(metrics.status, 200, "{metrics:?}");
    let text = String::from_utf8(metrics.bytes).unwrap();
    assert!(text.contains("# TYPE"), "{text}");
    assert!(!text.contains(&app.tenant), "a name in the metrics");
});

both!(every_response_has_a_request_id, |app| async move {
    let first = app.get("/Users").await;
    let second = app.get("/Users/unknown").await;
    let ids = [&first, &second].map(|reply| reply.header("x-request-id").to_owned());
    assert!(!ids[0].is_empty() && ids[0] != ids[1], "{ids:?}");
});

// R7644-7.5.2-02
both!(the_log_contains_no_names_or_tokens, |app| async move {
    app.create_user("ada.lovelace.secret@example.com").await;
    app.get("/Users?filter=userName%20eq%20%22ada.lovelace.secret@example.com%22")
        .await;
    let wrong = app.authorization("Bearer wrong-token-wrong-token");
    wrong.get("/Users").await.expect_error(401, "");
    let log = app.server.log();
    let token = app.credentials().trim_start_matches("Bearer ");
    for secret in [
        "ada.lovelace.secret",
        token,
        "wrong-token-wrong-token",
        &app.server.bootstrap,
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    assert!(!log.contains("panicked at"), "{}", app.server.log_tail());
});

both_alone!(
    the_command_line_manages_tenants_and_tokens,
    |database: Database| async move {
        database.cli_ok(&["migrate"]);
        database.cli_ok(&["migrate"]);
        database.cli_ok(&["tenant", "create", "acme"]);
        let tenants = database.cli_ok(&["tenant", "list"]);
        assert!(
            tenants.contains("acme") && tenants.contains("default"),
            "{tenants}"
        );
        assert!(!database.cli(&["tenant", "create", "acme"]).status.success());
        assert_eq!(tenants.matches("tolerant").count(), 2, "{tenants}");
        let strict = ["tenant", "set", "acme", "--compatibility", "strict"];
        database.cli_ok(&strict);
        database.cli_ok(&["tenant", "set", "acme", "--patch-answer", "no-content"]);
        let tenants = database.cli_ok(&["tenant", "list"]);
        let acme = tenants.lines().find(|line| line.starts_with("acme"));
        let acme = acme.map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            acme,
            Some(vec!["acme", "strict", "no-content", "any", "-", "-"])
        );
        assert_eq!(tenants.matches("strict").count(), 1, "{tenants}");

        let create = [
            "token",
            "create",
            "--tenant",
            "acme",
            "okta",
            "--scope",
            "scim",
            "--scope",
            "read",
            "--expires",
            "90d",
        ];
        let token = database.cli_ok(&create);
        let listed = database.cli_ok(&["token", "list", "--tenant", "acme"]);
        assert!(listed.contains("okta"), "{listed}");
        assert!(!listed.contains(token.trim_end()), "a token is shown once");
        for wrong in [
            &[
                "token", "create", "--tenant", "nowhere", "x", "--scope", "scim",
            ][..],
            &[
                "token", "create", "--tenant", "acme", "x", "--scope", "root",
            ],
            &[
                "token",
                "create",
                "--tenant",
                "acme",
                "x",
                "--scope",
                "scim",
                "--expires",
                "soon",
            ],
            &["token", "revoke", "nobody", "--tenant", "acme"],
            &["tenant", "set", "acme"],
            &["tenant", "set", "acme", "--compatibility", "lenient"],
            &["tenant", "set", "nowhere", "--compatibility", "strict"],
        ] {
            assert!(!database.cli(wrong).status.success(), "{wrong:?}");
        }

        let server = Server::start(&database);
        let client = Client::new(&server.address, token.trim_end());
        client.create_user("ada@example.com").await;
        assert_eq!(
            server.admin().list("/Users", &[]).await.total,
            0,
            "another tenant"
        );
    }
);

/// Each invalid setting is named at startup, and the server does not start.
#[test]
fn invalid_settings_are_named() {
    let database = Database::fresh(Backend::Sqlite).expect("SQLite is always there");
    let directory = tempfile::tempdir().expect("makes a temporary directory");
    let file = directory.path().join("rollcall.toml");
    std::fs::write(&file, "listn = \"127.0.0.1:0\"\n").expect("writes the file");
    let file = file.to_str().unwrap();
    let rows = [
        (vec!["--listen", "nowhere"], "", "listen"),
        (
            vec!["--config", "/nonexistent.toml"],
            "",
            "/nonexistent.toml",
        ),
        (vec!["--config", file], "", "listn"),
        (vec![], "999.1.1.1:0", "LISTEN"),
        (vec!["--database", "mysql://localhost/x"], "", "database"),
    ];
    for (arguments, listen, named) in rows {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
        command
            .arg("serve")
            .args(&arguments)
            .env("ROLLCALL_LISTEN", listen);
        if !arguments.contains(&"--database") {
            command.args(["--database", &database.url]);
        }
        let output = command.output().expect("runs the binary");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} {listen}");
        assert!(complaint.contains(named), "{arguments:?}: {complaint}");
    }
}

both_alone!(
    two_servers_share_one_database,
    |database: Database| async move {
        if database.backend == Backend::Sqlite {
            return;
        }
        let (first, second) = (Server::start(&database), Server::start(&database));
        let token = database.cli_ok(&[
            "token", "create", "--tenant", "default", "both", "--scope", "scim",
        ]);
        let [here, there] =
            [&first, &second].map(|server| Client::new(&server.address, token.trim_end()));
        let mut ids = Vec::new();
        for number in 0..20 {
            let client = if number % 2 == 0 { &here } else { &there };
            let user = client.create_user(&format!("p{number}@example.com")).await;
            ids.push(id(&user).to_owned());
        }
        there
            .post("/Users", &sample::user("P0@example.com"))
            .await
            .expect_error(409, "uniqueness");
        // A walk that uses another node for each page, as behind a load balancer.
        let mut seen = Vec::new();
        for (start, client) in [("1", &here), ("8", &there), ("15", &here)] {
            seen.extend(
                client
                    .list("/Users", &[("startIndex", start), ("count", "7")])
                    .await
                    .ids(),
            );
            if let Some(gone) = seen.first().filter(|_| start != "15") {
                there.delete(&format!("/Users/{gone}")).await;
            }
        }
        ids.sort();
        seen.sort();
        assert_eq!(seen, ids, "everybody was seen before they went");
    }
);

both!(the_api_describes_itself, |app| async move {
    let site = app.anonymous().site();
    let document = site.get("/openapi.json").await;
    assert_eq!(document.status, 200);
    assert_eq!(document.body["openapi"], "3.1.0");
    let paths = document.body["paths"].as_object().unwrap();
    for path in ["/scim/v2/Users", "/scim/v2/Groups/{id}", "/admin/v1/tokens"] {
        assert!(paths.contains_key(path), "{path}");
    }
    let page = site.get("/docs/").await;
    assert_eq!(page.status, 200);
    let html = String::from_utf8(page.bytes).unwrap();
    for elsewhere in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(!html.contains(elsewhere), "{html}");
    }
});

both!(responses_are_compressed_on_request, |app| async move {
    for number in 0..20 {
        app.create_user(&format!("p{number}@example.com")).await;
    }
    let headers = [("accept-encoding", "gzip,deflate")];
    let packed = app
        .send(reqwest::Method::GET, "/Users", &headers, Vec::new())
        .await;
    assert_eq!(packed.status, 200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.bytes.starts_with(&[0x1f, 0x8b]));
    assert!(packed.bytes.len() * 3 < app.get("/Users").await.bytes.len());
    // A response that fits into one packet is sent uncompressed, without a Content-Encoding header.
    let path = "/Users?count=1&attributes=userName";
    let small = app
        .send(reqwest::Method::GET, path, &headers, Vec::new())
        .await;
    assert_eq!(small.header("content-encoding"), "");
    assert!(small.bytes.starts_with(b"{"));
});

// R7644-7-04
both_alone!(
    locations_use_the_public_url,
    |database: Database| async move {
        let arguments = ["--base-url", "https://scim.example.com/scim/v2"];
        let server = Server::start_with(&database, &arguments, &[]);
        let user = server.admin().create_user("ada@example.com").await;
        let expected = format!("https://scim.example.com/scim/v2/Users/{}", id(&user));
        assert_eq!(user["meta"]["location"], expected);
    }
);

// R7644-7-03
both_alone!(
    overload_is_reported_and_loses_no_write,
    |database: Database| async move {
        let narrow = ["--database-queue", "2", "--database-readers", "2"];
        let server = Server::start_with(&database, &narrow, &[]);
        let client = server.admin();
        let creates = (0..300).map(|number| {
            let client = client.clone();
            let body = sample::user(&format!("p{number}@example.com"));
            async move { client.post("/Users", &body).await }
        });
        let replies = together(creates).await;
        let (done, refused): (Vec<_>, Vec<_>) =
            replies.into_iter().partition(|reply| reply.status == 201);
        for reply in refused {
            let after = reply.header("retry-after").to_owned();
            assert!(after.parse::<u32>().is_ok(), "Retry-After is {after:?}");
            assert!([429, 503].contains(&reply.status), "{reply:?}");
            let status = reply.status;
            reply.expect_error(status, "");
        }
        let total = client.list("/Users", &[("count", "0")]).await.total;
        assert_eq!(total, u64::try_from(done.len()).unwrap());
    }
);
