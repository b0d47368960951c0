//! Listeners of their own for administrators and for monitoring, and a service without pages.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::raw::status_of;
use crate::harness::{Client, Database, Server, both_alone};

/// The URL that the server printed for a listener.
fn printed(server: &Server, purpose: &str) -> String {
    let line = format!("{purpose} on ");
    let mut found = server.printed.iter().filter_map(|l| l.strip_prefix(&line));
    found.next().expect("an address").to_owned()
}

/// Sends a GET over a Unix socket. Returns the status and everything that was received.
fn get(socket: &Path, path: &str, token: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).expect("connects");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("asks");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reads");
    (status_of(&answer), answer)
}

/// Paths of `/admin/v1`, also as a proxy that hides them could let them pass.
const ADMIN: [&str; 5] = [
    "/admin/v1/tokens",
    "/admin/v1/tenants",
    "/%61dmin/v1/tokens",
    "//admin//v1/tokens/",
    "/scim/v2/../../admin/v1/tokens",
];

both_alone!(
    administrators_have_an_address_of_their_own,
    |database: Database| async move {
        let flags = [
            "--admin-listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ];
        let mut server = Server::start_with(&database, &flags, &[]);
        let main = server.admin().site();
        let admin = Client::new(&printed(&server, "admin"), &server.bootstrap).site();
        let metrics = Client::new(&printed(&server, "metrics"), &server.bootstrap).site();
        for path in ADMIN {
            for client in [&main, &metrics, &main.anonymous()] {
                client.get(path).await.expect_error(404, "");
            }
        }
        for (client, path, status) in [
            (&main, "/scim/v2/Users", 200),
            (&main, "/directory/v1/users?prefix=x", 200),
            (&main, "/docs/", 200),
            (&main, "/metrics", 404),
            (&main, "/healthz", 200),
            (&main, "/readyz", 200),
            (&admin, "/admin/v1/tokens", 200),
            (&admin, "/admin/v1/tenants", 200),
            (&admin, "/scim/v2/Users", 404),
            (&admin, "/directory/v1/users", 404),
            (&admin, "/docs/", 200),
            (&admin, "/metrics", 404),
            (&admin, "/healthz", 200),
            (&metrics, "/metrics", 200),
            (&metrics, "/healthz", 200),
            (&metrics, "/readyz", 200),
            (&metrics, "/scim/v2/Users", 404),
            (&metrics, "/docs/", 404),
            (&metrics, "/openapi.json", 404),
        ] {
            let reply = client.get(path).await;
            assert_eq!(reply.status, status, "{reply:?}");
        }
        assert_eq!(admin.anonymous().get("/admin/v1/tokens").await.status, 401);
        // Each document describes what its listener serves.
        for (client, has_admin) in [(&main, false), (&admin, true)] {
            let document = client.get("/openapi.json").await.plain(200);
            let paths = document["paths"].as_object().unwrap();
            assert_eq!(paths.contains_key("/admin/v1/tokens"), has_admin);
            assert_eq!(paths.contains_key("/scim/v2/Users"), !has_admin);
        }
        // What one listener creates, another one knows.
        let token = json!({ "name": "reader", "scopes": ["read"] });
        let created = admin.post("/admin/v1/tokens", &token).await.plain(201);
        let reader = Client::new(&server.address, created["token"].as_str().unwrap());
        reader.get("/Users").await.expect(200);
        assert_eq!(admin.delete("/admin/v1/tokens/reader").await.status, 204);
        reader.get("/Users").await.expect_error(401, "");
        let text = String::from_utf8(metrics.get("/metrics").await.bytes).unwrap();
        assert!(text.contains(r#"route="/admin/v1/tokens""#), "{text}");

        server.terminate();
        assert!(server.wait().success(), "{}", server.log_tail());
    }
);

both_alone!(
    one_socket_serves_administrators_and_monitoring,
    |database: Database| async move {
        let folder = tempfile::TempDir::with_prefix("rollcall-it-").expect("a directory");
        let socket = folder.path().join("admin.sock");
        let address = format!("unix:{}", socket.display());
        // As a killed process leaves it behind.
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("binds"));
        let flags = ["--admin-listen", &address, "--metrics-listen", &address];
        let mut server = Server::start_with(&database, &flags, &[]);
        assert_eq!(printed(&server, "admin and metrics"), address);
        let mode = std::fs::metadata(&socket)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o660);
        let main = server.admin().site();
        for path in ADMIN.into_iter().chain(["/metrics"]) {
            main.get(path).await.expect_error(404, "");
        }
        for (path, token, status) in [
            ("/admin/v1/tokens", &*server.bootstrap, 200),
            ("/admin/v1/tokens", "wrong", 401),
            ("/metrics", "", 200),
            ("/healthz", "", 200),
            ("/scim/v2/Users", &server.bootstrap, 404),
        ] {
            let (found, answer) = get(&socket, path, token);
            assert_eq!(found, status, "{path}: {answer}");
            assert!(
                answer.contains("x-content-type-options: nosniff"),
                "{answer}"
            );
        }
        // Its connections are watched too.
        let mut idle = UnixStream::connect(&socket).expect("connects");
        idle.write_all(b"POST /admin/v1/tokens HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("asks");
        let mut answer = String::new();
        idle.read_to_string(&mut answer).expect("it closes");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");

        // A second process does not take the socket over.
        let second = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--database",
                &database.url,
            ])
            .args(flags)
            .output()
            .expect("runs the binary");
        let complaint = String::from_utf8_lossy(&second.stderr);
        assert!(
            !second.status.success() && complaint.contains(&address),
            "{complaint}"
        );
        assert_eq!(get(&socket, "/healthz", "").0, 200);

        for (arguments, is_healthy) in [
            (vec!["healthcheck", "--listen", &*address], true),
            (
                vec!["healthcheck", "--listen", "unix:/nonexistent.sock"],
                false,
            ),
        ] {
            assert_eq!(database.cli(&arguments).status.success(), is_healthy);
        }
        let host = main.host();
        let settings = [("ROLLCALL_LISTEN", host), ("ROLLCALL_METRICS_LISTEN", "")];
        assert!(
            database
                .cli_in(&["healthcheck"], &settings)
                .status
                .success()
        );
        // The listener of the metrics comes first: it has no TLS.
        let settings = [
            ("ROLLCALL_LISTEN", "127.0.0.1:1"),
            ("ROLLCALL_METRICS_LISTEN", &*address),
        ];
        assert!(
            database
                .cli_in(&["healthcheck"], &settings)
                .status
                .success()
        );

        server.terminate();
        assert!(server.wait().success(), "{}", server.log_tail());
        assert!(!socket.exists(), "the socket is left behind");
    }
);

both_alone!(
    the_api_browser_can_be_removed,
    |database: Database| async move {
        let flags = ["--docs", "off", "--admin-listen", "127.0.0.1:0"];
        let server = Server::start_with(&database, &flags, &[]);
        let admin = Client::new(&printed(&server, "admin"), &server.bootstrap);
        for client in [server.admin().site(), admin.site()] {
            for path in [
                "/docs",
                "/docs/",
                "/docs/index.html",
                "/docs/swagger-ui.css",
                "/openapi.json",
            ] {
                client.get(path).await.expect_error(404, "");
            }
            assert_eq!(client.get("/healthz").await.status, 200);
        }
    }
);

both_alone!(
    an_address_serves_one_purpose,
    |database: Database| async move {
        for (flags, problem) in [
            (
                [
                    "--listen",
                    "127.0.0.1:8080",
                    "--admin-listen",
                    "127.0.0.1:8080",
                ],
                "admin_listen (--admin-listen): it must not be the address of `listen`",
            ),
            (
                [
                    "--listen",
                    "127.0.0.1:8080",
                    "--metrics-listen",
                    "127.0.0.1:8080",
                ],
                "metrics_listen (--metrics-listen): it must not be the address of `listen`",
            ),
            (
                [
                    "--listen",
                    "127.0.0.1:0",
                    "--metrics-listen",
                    "unix:metrics.sock",
                ],
                "metrics_listen (--metrics-listen): the absolute path of a socket was expected",
            ),
            (
                ["--listen", "127.0.0.1:0", "--admin-listen", "8081"],
                "admin_listen (--admin-listen): an address with a port was expected",
            ),
        ] {
            let output = database.cli(&[&["serve"][..], &flags[..]].concat());
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(
                !output.status.success() && complaint.contains(problem),
                "{complaint}"
            );
        }
    }
);
