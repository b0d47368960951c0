//! Pages by cursor (RFC 9865).

use serde_json::{Value, json};

use crate::harness::{Client, Database, Server, both, both_alone, id, sample, texts, with_query};

/// One page by cursor, with the checks that apply to every page.
struct Page {
    ids: Vec<String>,
    total: Option<u64>,
    previous: Option<String>,
    next: Option<String>,
    body: Value,
}

fn page_of(body: Value) -> Page {
    let resources = body["Resources"].as_array().cloned().unwrap_or_default();
    assert_eq!(body["itemsPerPage"], json!(resources.len()), "{body}");
    assert_eq!(body.get("startIndex"), None, "{body}");
    let cursor = |name: &str| {
        let text = body.get(name)?.as_str().expect("a text").to_owned();
        let is_unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        assert!(
            !text.is_empty() && text.chars().all(is_unreserved),
            "{text}"
        );
        Some(text)
    };
    Page {
        ids: texts(&resources, "id"),
        total: body
            .get("totalResults")
            .map(|total| total.as_u64().expect("a number")),
        previous: cursor("previousCursor"),
        next: cursor("nextCursor"),
        body,
    }
}

async fn page(client: &Client, endpoint: &str, cursor: &str, rest: &[(&str, &str)]) -> Page {
    let parameters = [&[("cursor", cursor)], rest].concat();
    let reply = client.get(&with_query(endpoint, &parameters)).await;
    page_of(reply.expect(200))
}

/// Returns every user, page by page.
async fn walk(client: &Client, endpoint: &str, rest: &[(&str, &str)]) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(client, endpoint, &cursor, rest).await;
        ids.extend(page.ids);
        match page.next {
            Some(next) => cursor = next,
            None => return ids,
        }
    }
}

async fn people(client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let mut user = sample::user(&format!("p{number:02}@example.com"));
        user["title"] = json!(if number % 2 == 0 { "even" } else { "odd" });
        ids.push(id(&client.post("/Users", &user).await.expect(201)).to_owned());
    }
    ids
}

// R9865-2-01, R9865-2-02, R9865-2-03, R9865-2-07, R9865-2.2-01, R9865-2.4-03
both!(a_list_can_be_walked_in_both_directions, |app| async move {
    let all = people(&app, 7).await;
    let count = [("count", "3")];
    for start in ["/Users?cursor&count=3", "/Users?cursor=&count=3"] {
        let first = page_of(app.get(start).await.expect(200));
        assert_eq!(first.ids, all[..3]);
        assert!(first.next.is_some() && first.previous.is_none());
    }
    let first = page(&app, "/Users", "", &count).await;
    let second = page(&app, "/Users", &first.next.unwrap(), &count).await;
    let third = page(&app, "/Users", &second.next.unwrap(), &count).await;
    assert_eq!((&*second.ids, &*third.ids), (&all[3..6], &all[6..]));
    assert!(third.next.is_none());
    for total in [first.total, second.total, third.total] {
        assert_eq!(total, Some(7));
    }
    let back = page(&app, "/Users", &third.previous.unwrap(), &count).await;
    assert_eq!(back.ids, all[3..6]);
    let back = page(&app, "/Users", &back.previous.unwrap(), &count).await;
    assert_eq!(back.ids, all[..3]);
    assert!(back.previous.is_none(), "the first page has none before it");
    let on = page(&app, "/Users", &back.next.unwrap(), &count).await;
    assert_eq!(on.ids, all[3..6]);
    // One page that holds every user, and an empty result.
    let whole = page(&app, "/Users", "", &[]).await;
    assert_eq!(whole.ids, all);
    assert!(whole.next.is_none() && whole.previous.is_none());
    let empty = page(&app, "/Groups", "", &[]).await;
    assert_eq!((empty.ids.len(), empty.total), (0, Some(0)));
    assert!(empty.next.is_none() && empty.previous.is_none());
});

both!(cursors_work_with_filters_and_sorting, |app| async move {
    let all = people(&app, 12).await;
    let odd: Vec<String> = all.iter().skip(1).step_by(2).cloned().collect();
    // Filters on a column, on documents alone, and on both; with and without an order.
    for (filter, expected) in [
        (r#"userName sw "p""#, &all),
        (r#"title eq "odd""#, &odd),
        (r#"title eq "odd" and active eq true"#, &odd),
    ] {
        for count in ["1", "4", "5", "100"] {
            let query = [("filter", filter), ("count", count)];
            assert_eq!(&walk(&app, "/Users", &query).await, expected, "{query:?}");
            let first = page(&app, "/Users", "", &query).await;
            assert_eq!(first.total, u64::try_from(expected.len()).ok());
            let sorted = [&query[..], &[("sortBy", "userName")]].concat();
            assert_eq!(&walk(&app, "/Users", &sorted).await, expected, "{sorted:?}");
            let turned = [&sorted[..], &[("sortOrder", "descending")]].concat();
            let mut ids = walk(&app, "/Users", &turned).await;
            ids.reverse();
            assert_eq!(&ids, expected, "{turned:?}");
        }
    }
});

// R9865-2-05, R9865-2-06, R9865-2.1-01
both!(each_page_respects_the_count, |app| async move {
    people(&app, 5).await;
    for none in ["0", "-1"] {
        let empty = page(&app, "/Users", "", &[("count", none)]).await;
        assert_eq!((empty.ids.len(), empty.total), (0, Some(5)));
        assert!(empty.next.is_none() && empty.previous.is_none());
    }
    let next = page(&app, "/Users", "", &[("count", "2")])
        .await
        .next
        .unwrap();
    assert_eq!(page(&app, "/Users", &next, &[]).await.ids.len(), 2);
    assert_eq!(
        page(&app, "/Users", &next, &[("count", "2")])
            .await
            .ids
            .len(),
        2
    );
    for other in ["1", "3", "0", "abc", "1.5"] {
        let path = with_query("/Users", &[("cursor", &next), ("count", other)]);
        app.get(&path).await.expect_error(400, "invalidCount");
    }
    let path = with_query("/Users", &[("cursor", ""), ("count", "many")]);
    app.get(&path).await.expect_error(400, "invalidCount");
    // A count above the maximum is reduced without an error, on every page.
    let all = page(&app, "/Users", "", &[("count", "1000000")]).await;
    assert_eq!(all.ids.len(), 5);
});

// R9865-2-06, R9865-2.1-01, R9865-5-01, R9865-5-02
both!(
    a_cursor_is_bound_to_its_query_and_caller,
    |app| async move {
        people(&app, 5).await;
        let count = ("count", "2");
        let query = [count, ("filter", "userName pr"), ("sortBy", "userName")];
        let next = page(&app, "/Users", "", &query).await.next.unwrap();
        let refused =
            async |client: &Client, endpoint: &str, cursor: &str, rest: &[(&str, &str)]| {
                let parameters = [&[("cursor", cursor)], rest].concat();
                let reply = client.get(&with_query(endpoint, &parameters)).await;
                reply.expect_error(400, "invalidCursor")["detail"].clone()
            };
        let garbage = refused(&app, "/Users", "garbage", &query).await;
        let other_queries: [&[(&str, &str)]; 7] = [
            &[count],
            &[count, ("filter", "userName pr")],
            &[count, ("filter", "id pr"), ("sortBy", "userName")],
            &[count, ("filter", "userName pr"), ("sortBy", "displayName")],
            &[&query[..], &[("sortOrder", "descending")]].concat(),
            &[&query[..], &[("attributes", "userName")]].concat(),
            &[&query[..], &[("excludedAttributes", "userName")]].concat(),
        ];
        for other in other_queries {
            assert_eq!(
                refused(&app, "/Users", &next, other).await,
                garbage,
                "{other:?}"
            );
        }
        let plain = page(&app, "/Users", "", &[count]).await.next.unwrap();
        assert_eq!(refused(&app, "/Groups", &plain, &[count]).await, garbage);
        let colleague = app.client_with_scopes(&["scim"]).await;
        assert_eq!(
            refused(&colleague, "/Users", &plain, &[count]).await,
            garbage
        );
        let neighbour = app.neighbour().await;
        assert_eq!(
            refused(&neighbour, "/Users", &plain, &[count]).await,
            garbage
        );
        let longer = format!("{plain}A");
        for bad in [
            plain.split_at(1).1,
            &longer,
            "a=b",
            "%",
            "å",
            " ",
            &"A".repeat(5_000),
        ] {
            assert_eq!(
                refused(&app, "/Users", bad, &[count]).await,
                garbage,
                "{bad}"
            );
        }
        assert_eq!(page(&app, "/Users", &plain, &[count]).await.ids.len(), 2);
    }
);

// R9865-2.4-01, R9865-2.4-02
both!(
    index_paging_is_the_default_and_excludes_cursors,
    |app| async move {
        people(&app, 3).await;
        let page = app.list("/Users", &[("count", "2")]).await;
        assert_eq!((page.start, page.total), (1, 3));
        for path in [
            "/Users?cursor=&startIndex=1",
            "/Users?startIndex=2&cursor=abc",
        ] {
            app.get(path).await.expect_error(400, "invalidCursor");
        }
        page_of(app.get("/Users?cursor=&startIndex=").await.expect(200));
    }
);

// R9865-4-01
both!(cursors_are_advertised, |app| async move {
    let config = app.get("/ServiceProviderConfig").await.expect(200);
    assert_eq!(
        config["pagination"],
        json!({
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": 100,
            "maxPageSize": 1000,
            "cursorTimeout": 3600,
        })
    );
});

both!(a_cursor_survives_deletion_of_its_users, |app| async move {
    let all = people(&app, 9).await;
    let count = [("count", "3")];
    let delete = async |ids: &[String]| {
        for id in ids {
            app.delete(&format!("/Users/{id}")).await.expect(204);
        }
    };
    let first = page(&app, "/Users", "", &count).await;
    let second = page(&app, "/Users", &first.next.unwrap(), &count).await;
    // Deletes the whole page that the cursors point to.
    delete(&second.ids).await;
    let third = page(&app, "/Users", second.next.as_ref().unwrap(), &count).await;
    assert_eq!(third.ids, all[6..]);
    let back = page(&app, "/Users", second.previous.as_ref().unwrap(), &count).await;
    assert_eq!(back.ids, all[..3]);
    assert!(back.next.is_some() && back.previous.is_none());
    // Deletes everything ahead: the page is empty, and the way back still works.
    delete(&all[6..]).await;
    let end = page(&app, "/Users", second.next.as_ref().unwrap(), &count).await;
    assert!(end.ids.is_empty() && end.next.is_none());
    let back = page(&app, "/Users", &end.previous.unwrap(), &count).await;
    assert_eq!(back.ids, all[..3]);
    // Deletes everything behind as well.
    delete(&all[..3]).await;
    let start = page(&app, "/Users", second.previous.as_ref().unwrap(), &count).await;
    assert!(start.ids.is_empty() && start.next.is_none() && start.previous.is_none());
});

// The service stores nothing for a cursor, so open cursors cost no memory.
// R9865-5-03
both_alone!(cursors_survive_a_restart, |database: Database| async move {
    let token = database.cli_ok(&["token", "create", "okta", "--scope", "scim"]);
    let (all, next) = {
        let server = Server::start(&database);
        let client = Client::new(&server.address, token.trim());
        let all = people(&client, 5).await;
        let next = page(&client, "/Users", "", &[("count", "2")]).await.next;
        server.kill();
        (all, next.unwrap())
    };
    let server = Server::start_with(&database, &["--cursor-timeout-s", "60"], &[]);
    let client = Client::new(&server.address, token.trim());
    let second = page(&client, "/Users", &next, &[]).await;
    assert_eq!(second.ids, all[2..4]);
    let config = client.get("/ServiceProviderConfig").await.expect(200);
    assert_eq!(config["pagination"]["cursorTimeout"], 60);
});

/// One client walks the list while another creates and deletes.
async fn walk_during_writes(database: &Database, sort_by: Option<&str>) {
    const PLANTED: usize = 3_000;
    let server = Server::start(database);
    let client = server.admin();
    database.plant_users(PLANTED);
    // Users who remain throughout lie between users who are deleted.
    let leaves = |number: &usize| number % 8 == 3;
    let writer = {
        let client = client.clone();
        tokio::spawn(async move {
            for number in (0..PLANTED).rev().filter(leaves) {
                let path = format!("/Users/{}", Database::planted_id(number));
                client.delete(&path).await.expect(204);
                let name = format!("planted{number:012}.5");
                client.create_user(&name).await;
            }
        })
    };
    let mut query = vec![("count", "20")];
    query.extend(sort_by.map(|path| ("sortBy", path)));
    let mut seen = walk(&client, "/Users", &query).await;
    writer.await.expect("writes to its end");
    seen.sort();
    let all = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), all, "somebody was seen twice");
    let stay = (0..PLANTED).filter(|number| !leaves(number));
    let missed = stay
        .map(Database::planted_id)
        .find(|id| seen.binary_search(id).is_err());
    assert_eq!(missed, None);
}

both_alone!(
    a_walk_during_writes_returns_each_user_once,
    |database: Database| async move {
        walk_during_writes(&database, None).await;
    }
);

both_alone!(
    a_sorted_walk_during_writes_returns_each_user_once,
    |database: Database| async move {
        walk_during_writes(&database, Some("userName")).await;
    }
);

// R9865-5-02
both!(
    sorting_reveals_no_attribute_without_permission,
    |app| async move {
        people(&app, 2).await;
        let body = json!({ "tenant": app.tenant, "name": "narrow", "scopes": ["read"], "fields": ["userName"] });
        let admin = app.server.admin().site();
        let created = admin.post("/admin/v1/tokens", &body).await;
        let token = created.body["token"].as_str().expect("a token");
        let narrow = Client::new(&app.server.address, token);
        narrow
            .get("/Users?sortBy=displayName&cursor=")
            .await
            .expect_error(403, "");
        let first = page(
            &narrow,
            "/Users",
            "",
            &[("sortBy", "userName"), ("count", "1")],
        )
        .await;
        assert!(first.next.is_some());
        assert_eq!(first.body["Resources"][0].get("displayName"), None);
    }
);
