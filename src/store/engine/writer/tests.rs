//! The guarantees of the writer, on both databases.

mod faults;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use futures_util::future::join_all;

use super::PENDING_BYTES;
use crate::ids::Actor;
use crate::store::engine::schema::tenants;
use crate::store::engine::write_queue::BATCH;
use crate::store::tables::changes::{Change, ChangeKind};
use crate::store::tables::{changes, counts, resources};
use crate::store::testing::{TENANT, block_on, id, on_each, user, with_store};
use crate::store::{Backend, Conn, Store, StoreError, TenantId, Tx, Unique};

fn change(of: &str) -> Change {
    Change {
        resource_id: id(of),
        resource_type: "User".into(),
        kind: ChangeKind::Created,
        at: 1,
        actor: Actor::parse("test"),
        payload: r#"{"a":"\u0001 ü"}"#.into(),
    }
}

/// Occupies the writer until the sender is dropped; writes sent meanwhile become one batch.
async fn occupy(store: &Arc<Store>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released) = mpsc::channel();
    let (started, mut start) = tokio::sync::mpsc::unbounded_channel();
    let store = store.clone();
    let task = tokio::spawn(async move {
        store
            .tx(move |_| {
                let _ = started.send(());
                let _: Result<(), _> = released.recv();
                Ok(())
            })
            .await
            .unwrap();
    });
    start.recv().await.unwrap();
    (release, task)
}

/// As [`occupy`], for work outside any tenant.
async fn occupy_admin(store: &Arc<Store>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released) = mpsc::channel();
    let (started, mut start) = tokio::sync::mpsc::unbounded_channel();
    let store = store.clone();
    let task = tokio::spawn(async move {
        let wait = move |_: &mut Conn| {
            let _ = started.send(());
            let _: Result<(), _> = released.recv();
            Ok::<_, StoreError>(())
        };
        store.admin(wait).await.unwrap();
    });
    start.recv().await.unwrap();
    (release, task)
}

type Work<T> = Box<dyn Fn(&mut Tx<'_>) -> Result<T, StoreError> + Send>;

/// Writes all of these in one batch.
async fn together<T: Send + 'static>(
    store: &Arc<Store>,
    works: Vec<Work<T>>,
) -> Vec<Result<T, StoreError>> {
    let (release, task) = occupy(store).await;
    let tasks: Vec<_> = works
        .into_iter()
        .map(|work| {
            let store = store.clone();
            tokio::spawn(async move { store.tx(work).await })
        })
        .collect();
    while store.waiting().1 < tasks.len() {
        tokio::task::yield_now().await;
    }
    drop(release);
    task.await.unwrap();
    join_all(tasks)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

async fn stored(store: &Arc<Store>) -> Vec<String> {
    let all = store
        .read(|conn| resources::get_many(conn, TENANT, &["a", "b", "c", "d"].map(id)))
        .await
        .unwrap();
    all.into_iter().map(|one| one.id.into_string()).collect()
}

#[test]
fn an_amendment_applies_to_earlier_changes_of_the_batch() {
    with_store(|store| async move {
        let amend = |text: &'static str| move |change: &mut Change| change.payload = text.into();
        together::<i64>(
            &store,
            vec![
                Box::new(|tx| Ok(tx.append(change("a")))),
                Box::new(move |tx| {
                    tx.append(change("b"));
                    tx.amend(amend("{}"));
                    Ok(tx.append(change("c")))
                }),
                // Undone together with its amendment.
                Box::new(move |tx| {
                    tx.append(change("d"));
                    tx.amend(amend("[]"));
                    Err(StoreError::Busy)
                }),
                Box::new(|tx| Ok(tx.append(change("d")))),
            ],
        )
        .await;
        let rows = store.read(|conn| changes::after(conn, TENANT, 0, 10));
        let rows = rows.await.unwrap();
        let empty: Vec<bool> = rows.iter().map(|row| row.change.payload == "{}").collect();
        assert_eq!(empty, [true, true, false, false]);
        assert_eq!(rows[3].change.payload, change("d").payload);
    });
}

/// Long changes are written during the batch, and a job that fails later undoes only its own.
#[test]
fn long_changes_do_not_wait_for_the_end_of_the_batch() {
    with_store(|store| async move {
        let long = |of: &str| Change {
            payload: format!(r#"{{"a":"{}"}}"#, "x".repeat(PENDING_BYTES * 2 / 3)).into(),
            ..change(of)
        };
        let append =
            |change: Change| -> Work<i64> { Box::new(move |tx| Ok(tx.append(change.clone()))) };
        let fails = |change: Change| -> Work<i64> {
            Box::new(move |tx| {
                tx.append(change.clone());
                Err(StoreError::Busy)
            })
        };
        let works = vec![
            append(long("a")),
            fails(long("b")),
            append(long("c")),
            fails(long("d")),
            append(change("e")),
            append(long("f")),
        ];
        let results = together(&store, works).await;
        let numbers: Vec<i64> = results.into_iter().filter_map(Result::ok).collect();
        let ids = async |after| {
            let rows = store.read(move |conn| changes::after(conn, TENANT, after, 10));
            let rows = rows.await.unwrap();
            let id = |row: changes::RecordedChange| (row.seq, row.change.resource_id.into_string());
            rows.into_iter().map(id).collect::<Vec<_>>()
        };
        // A read ends by its bytes, too.
        let mut found = ids(0).await;
        assert!(found.len() < numbers.len());
        while let Some((last, _)) = found.last()
            && found.len() < numbers.len()
        {
            let more = ids(*last).await;
            found.extend(more);
        }
        let expected = numbers
            .into_iter()
            .zip(["a", "c", "e", "f"].map(str::to_owned));
        assert_eq!(found, expected.collect::<Vec<_>>());
    });
}

#[test]
fn a_job_that_fails_is_undone_alone() {
    with_store(|store| async move {
        let results = together::<i64>(
            &store,
            vec![
                Box::new(|tx| {
                    resources::insert(tx, &user("a"))?;
                    Ok(tx.append(change("a")))
                }),
                Box::new(|tx| {
                    resources::insert(tx, &user("b"))?;
                    tx.append(change("b"));
                    Err(StoreError::Busy)
                }),
                Box::new(|tx| {
                    resources::insert(tx, &user("c"))?;
                    tx.append(change("c"));
                    let mut same_name = user("d");
                    same_name.hot.user_name = Some("a".into());
                    resources::insert(tx, &same_name)?;
                    Ok(0)
                }),
                Box::new(|tx| {
                    resources::insert(tx, &user("d"))?;
                    Ok(tx.append(change("d")))
                }),
            ],
        )
        .await;
        assert!(matches!(results[0], Ok(1)), "{results:?}");
        assert!(matches!(results[1], Err(StoreError::Busy)), "{results:?}");
        assert!(
            matches!(results[2], Err(StoreError::Duplicate(Unique::UserName))),
            "{results:?}"
        );
        assert!(matches!(results[3], Ok(2)), "{results:?}");
        assert_eq!(stored(&store).await, ["a", "d"]);
        let count = store
            .read(|conn| counts::of(conn, TENANT, "User"))
            .await
            .unwrap();
        assert_eq!((count.live, count.deleted), (2, 0));
        let log = store
            .read(|conn| changes::after(conn, TENANT, 0, 10))
            .await
            .unwrap();
        assert_eq!(log.len(), 2);
        assert_eq!(log[1].change, change("d"));
    });
}

#[test]
fn a_part_that_fails_is_undone_alone() {
    with_store(|store| async move {
        let numbers = store
            .tx(|tx| {
                resources::insert(tx, &user("a"))?;
                let mut numbers = vec![tx.append(change("a"))];
                for (number, name) in ["b", "c", "d"].into_iter().enumerate() {
                    let part = tx.attempt(|tx| {
                        resources::insert(tx, &user(name))?;
                        let number_of_change = tx.append(change(name));
                        match number {
                            0 => Err(StoreError::Busy),
                            1 => panic!("on purpose"),
                            _ => Ok(number_of_change),
                        }
                    })?;
                    numbers.extend(part);
                }
                let broken: Result<(), StoreError> = tx.attempt(|tx| {
                    let mut same_name = user("x");
                    same_name.hot.user_name = Some("a".into());
                    resources::insert(tx, &same_name).map(drop)
                })?;
                assert!(
                    matches!(broken, Err(StoreError::Duplicate(_))),
                    "{broken:?}"
                );
                Ok(numbers)
            })
            .await
            .unwrap();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(stored(&store).await, ["a", "d"]);
        let count = store
            .read(|conn| counts::of(conn, TENANT, "User"))
            .await
            .unwrap();
        assert_eq!(count.live, 2);
        let log = store
            .read(|conn| changes::after(conn, TENANT, 0, 10))
            .await
            .unwrap();
        assert_eq!(log.len(), 2);
    });
}

#[test]
fn a_panic_is_undone_alone() {
    with_store(|store| async move {
        let results = together::<()>(
            &store,
            vec![
                Box::new(|tx| resources::insert(tx, &user("a")).map(drop)),
                Box::new(|tx| {
                    resources::insert(tx, &user("b"))?;
                    panic!("on purpose");
                }),
                Box::new(|tx| resources::insert(tx, &user("c")).map(drop)),
            ],
        )
        .await;
        assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
        assert!(
            matches!(results[1], Err(StoreError::Internal(_))),
            "{results:?}"
        );
        assert_eq!(stored(&store).await, ["a", "c"]);
        let panic = store
            .read(|_| -> Result<(), StoreError> { panic!("on purpose") })
            .await;
        assert!(matches!(panic, Err(StoreError::Internal(_))), "{panic:?}");
    });
}

#[test]
fn continuing_after_a_failed_statement_affects_no_other_job() {
    with_store(|store| async move {
        let results = together::<()>(
            &store,
            vec![
                Box::new(|tx| resources::insert(tx, &user("a")).map(drop)),
                Box::new(|tx| {
                    let _ = resources::insert(tx, &user("a"));
                    Ok(())
                }),
                Box::new(|tx| resources::insert(tx, &user("c")).map(drop)),
            ],
        )
        .await;
        assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
        // PostgreSQL undoes such a transaction and reports an error.
        assert_eq!(
            results[1].is_ok(),
            store.backend() == Backend::Sqlite,
            "{results:?}"
        );
        assert_eq!(stored(&store).await, ["a", "c"]);
    });
}

#[test]
fn change_numbers_have_no_gaps() {
    with_store(|store| async move {
        let jobs = (0..3 * BATCH).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .tx(move |tx| {
                        let numbers: Vec<i64> =
                            (0..n % 4).map(|_| tx.append(change("a"))).collect();
                        match n % 3 {
                            0 => Err(StoreError::Busy),
                            1 if n % 50 == 0 => panic!("on purpose"),
                            _ => Ok(numbers),
                        }
                    })
                    .await
            })
        });
        let mut handed: Vec<i64> = Vec::new();
        for result in join_all(jobs.collect::<Vec<_>>()).await {
            handed.extend(result.unwrap().unwrap_or_default());
        }
        handed.sort_unstable();
        let expected: Vec<i64> = (1..).take(handed.len()).collect();
        assert!(handed.len() > 100);
        assert_eq!(handed, expected);
        let log = store
            .read(|conn| changes::after(conn, TENANT, 0, 10_000))
            .await
            .unwrap();
        assert_eq!(log.iter().map(|one| one.seq).collect::<Vec<_>>(), expected);
        let last: i64 = store
            .read(|conn| -> Result<i64, StoreError> {
                Ok(tenants::table
                    .find(1)
                    .select(tenants::change_seq)
                    .first(conn)?)
            })
            .await
            .unwrap();
        assert_eq!(usize::try_from(last), Ok(handed.len()));
    });
}

#[test]
fn a_full_queue_and_a_long_wait_are_busy() {
    on_each(|fresh| {
        let mut config = fresh.config.clone();
        config.queue = 2;
        config.writers = 1;
        config.wait = Duration::from_millis(100);
        let store = Arc::new(Store::open(&config).unwrap());
        block_on(async {
            let (release, task) = occupy(&store).await;
            let late: Vec<_> = (0..2)
                .map(|_| {
                    let store = store.clone();
                    tokio::spawn(async move { store.tx(|_| Ok(())).await })
                })
                .collect();
            while store.waiting().1 < 2 {
                tokio::task::yield_now().await;
            }
            let full = store.tx(|_| Ok(())).await;
            assert!(matches!(full, Err(StoreError::Busy)), "{full:?}");
            std::thread::sleep(Duration::from_millis(150));
            drop(release);
            task.await.unwrap();
            for result in join_all(late).await {
                assert!(matches!(result.unwrap(), Err(StoreError::Busy)));
            }
            // On a slow machine the queue counts as a standing one, which refuses more for a while.
            while let Err(error) = store.tx(|_| Ok(())).await {
                assert!(matches!(error, StoreError::Busy), "{error:?}");
            }
        });
    });
}

#[test]
fn work_without_a_waiting_caller_is_not_begun() {
    with_store(|store| async move {
        let (release, task) = occupy(&store).await;
        let abandoned = {
            let store = store.clone();
            tokio::spawn(async move { store.tx(|tx| resources::insert(tx, &user("a"))).await })
        };
        while store.waiting().1 < 1 {
            tokio::task::yield_now().await;
        }
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        drop(release);
        task.await.unwrap();
        store.tx(|_| Ok(())).await.unwrap();
        assert!(stored(&store).await.is_empty());
    });
}

#[test]
fn unknown_tenants_and_admin_work() {
    with_store(|store| async move {
        let unknown = store.write(TenantId(77), |_| Ok::<_, StoreError>(())).await;
        assert!(
            matches!(unknown, Err(StoreError::UnknownTenant(TenantId(77)))),
            "{unknown:?}"
        );
        let acme = store
            .admin(|conn| crate::store::tables::tenants::create(conn, "acme", 5))
            .await
            .unwrap();
        assert_eq!(acme.id, TenantId(2));
        let again = store
            .admin(|conn| crate::store::tables::tenants::create(conn, "acme", 5))
            .await;
        assert!(
            matches!(again, Err(StoreError::Duplicate(Unique::TenantName))),
            "{again:?}"
        );
        store
            .write(acme.id, |tx| resources::insert(tx, &user("a")))
            .await
            .unwrap();
        assert!(stored(&store).await.is_empty());
    });
}

#[test]
fn a_reader_sees_one_state_and_cannot_write() {
    with_store(|store| async move {
        store.put(vec![user("a")]).await;
        let (seen, first) = tokio::sync::oneshot::channel();
        let (go, gone) = mpsc::channel::<()>();
        let reading = {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .read(move |conn| -> Result<usize, StoreError> {
                        let all =
                            |conn: &mut _| resources::get_many(conn, TENANT, &["a", "b"].map(id));
                        all(conn)?;
                        let _ = seen.send(());
                        let _ = gone.recv();
                        Ok(all(conn)?.len())
                    })
                    .await
            })
        };
        first.await.unwrap();
        store.put(vec![user("b")]).await;
        drop(go);
        assert_eq!(reading.await.unwrap().unwrap(), 1);
        let write = store
            .read(|conn| -> Result<(), StoreError> {
                diesel::update(tenants::table)
                    .set(tenants::name.eq("x"))
                    .execute(conn)?;
                Ok(())
            })
            .await;
        assert!(write.is_err());
        store.ready().await.unwrap();
    });
}

#[test]
fn closing_finishes_what_waits() {
    on_each(|fresh| {
        let store = Arc::new(Store::open(&fresh.config).unwrap());
        block_on(async {
            let (release, task) = occupy(&store).await;
            let waiting = {
                let store = store.clone();
                tokio::spawn(async move { store.tx(|tx| resources::insert(tx, &user("a"))).await })
            };
            while store.waiting().1 < 1 {
                tokio::task::yield_now().await;
            }
            let closing = {
                let store = store.clone();
                std::thread::spawn(move || store.close())
            };
            drop(release);
            task.await.unwrap();
            waiting.await.unwrap().unwrap();
            closing.join().unwrap();
            let late = store.tx(|_| Ok(())).await;
            assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
            assert!(store.ready().await.is_err());
        });
        let again = Arc::new(Store::open(&fresh.config).unwrap());
        block_on(async { assert_eq!(stored(&again).await, ["a"]) });
    });
}

#[test]
fn on_a_full_disk_only_what_does_not_fit_fails() {
    with_store(|store| async move {
        if store.backend() != Backend::Sqlite {
            return;
        }
        store.put(vec![user("a")]).await;
        let limit = |pages: i64| {
            let store = store.clone();
            async move {
                store
                    .admin(move |conn| conn.batch(&format!("PRAGMA max_page_count = {pages}")))
                    .await
                    .unwrap();
            }
        };
        limit(1).await;
        let mut big = user("b");
        big.doc = "x".repeat(1 << 20);
        let results = together::<()>(
            &store,
            vec![
                Box::new(|tx| resources::touch(tx, &id("a"), 9).map(drop)),
                Box::new(move |tx| resources::insert(tx, &big).map(drop)),
            ],
        )
        .await;
        assert!(
            matches!(results[1], Err(StoreError::Full(_))),
            "{results:?}"
        );
        limit(1 << 30).await;
        store.put(vec![user("c")]).await;
        assert_eq!(stored(&store).await, ["a", "c"]);
        let a = store
            .read(|conn| resources::get(conn, TENANT, "User", &id("a")))
            .await
            .unwrap()
            .unwrap();
        // It fits into the pages that the file has.
        assert!(results[0].is_ok(), "{results:?}");
        assert_eq!(a.version, 2);
    });
}

#[test]
fn a_broken_connection_is_replaced() {
    with_store(|store| async move {
        if store.backend() != Backend::Postgres {
            return;
        }
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        store.admin(move |conn| conn.batch(kill)).await.unwrap();
        store
            .tx(|tx| resources::insert(tx, &user("a")))
            .await
            .unwrap();
        for _ in 0..10 {
            assert_eq!(stored(&store).await, ["a"]);
        }
        let results = together::<()>(
            &store,
            vec![
                Box::new(|tx| resources::insert(tx, &user("b")).map(drop)),
                Box::new(|tx| {
                    tx.conn()
                        .batch("SELECT pg_terminate_backend(pg_backend_pid())")
                }),
                Box::new(|tx| resources::insert(tx, &user("c")).map(drop)),
            ],
        )
        .await;
        for result in results {
            assert!(
                matches!(result, Err(StoreError::Unavailable(_))),
                "{result:?}"
            );
        }
        store
            .tx(|tx| resources::insert(tx, &user("d")))
            .await
            .unwrap();
        assert_eq!(stored(&store).await, ["a", "d"]);
    });
}
