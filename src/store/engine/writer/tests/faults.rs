//! Batches in which one job does what the database rejects only with the whole batch: no other job
//! fails with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{PENDING_BYTES, Work, change, stored, together};
use crate::store::tables::changes::Change;
use crate::store::tables::{changes, counts, history, resources, storage_use, tenants};
use crate::store::testing::{TENANT, user, with_store};
use crate::store::{Backend, Conn, Store, StoreError, Tx};

/// The jobs of a batch.
const JOBS: usize = 5;

/// The ways in which a job makes its batch fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Its change cannot be written.
    Change,
    /// The transaction cannot be committed.
    Commit,
    /// The database ends the transaction, as SQLite does if its disk is full.
    End,
    /// What it does to the changes of the batch panics.
    Amendment,
}

/// The resource whose changes [`prepare`] makes the database reject.
const BAD: &str = "bad";

/// Makes the database reject some rows, as real ones are rejected that it cannot store.
async fn prepare(store: &Arc<Store>) {
    let reject = match store.backend() {
        Backend::Sqlite => {
            "CREATE TRIGGER reject BEFORE INSERT ON changes WHEN NEW.resource_id = 'bad' \
             BEGIN SELECT RAISE(ABORT, 'rejected on purpose'); END"
        }
        Backend::Postgres => {
            "CREATE FUNCTION reject() RETURNS TRIGGER LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'rejected on purpose'; END $$; \
             CREATE TRIGGER reject BEFORE INSERT ON changes FOR EACH ROW \
             WHEN (NEW.resource_id = 'bad') EXECUTE FUNCTION reject()"
        }
    };
    let later =
        "CREATE TABLE later (id BIGINT REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED)";
    store
        .admin(move |conn| {
            conn.batch(reject)?;
            conn.batch(later)
        })
        .await
        .unwrap();
}

fn commit_fault(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.conn().batch("INSERT INTO later VALUES (99)")
}

fn cause(tx: &mut Tx<'_>, fault: Fault) -> Result<(), StoreError> {
    match fault {
        Fault::Change => {
            tx.append(change(BAD));
            Ok(())
        }
        Fault::Commit => commit_fault(tx),
        Fault::End => {
            tx.conn().batch("ROLLBACK")?;
            Err(StoreError::Busy)
        }
        Fault::Amendment => {
            tx.append(change("x"));
            tx.amend(|_| panic!("on purpose"));
            Ok(())
        }
    }
}

/// Writes a user and a change of it.
fn create(tx: &mut Tx<'_>, name: &str) -> Result<i64, StoreError> {
    resources::insert(tx, &user(name))?;
    Ok(tx.append(change(name)))
}

async fn feed(store: &Arc<Store>) -> Vec<(i64, String)> {
    let rows = store.read(|conn| changes::after(conn, TENANT, 0, 10_000));
    let rows = rows.await.unwrap().into_iter();
    rows.map(|row| (row.seq, row.change.resource_id.into_string()))
        .collect()
}

#[test]
fn a_job_fails_alone_at_every_position_in_a_batch() {
    with_store(|store| async move {
        prepare(&store).await;
        let mut expected = Vec::new();
        for fault in [Fault::Change, Fault::Commit, Fault::End, Fault::Amendment] {
            // PostgreSQL never ends a transaction by itself.
            if fault == Fault::End && store.backend() == Backend::Postgres {
                continue;
            }
            for bad in 0..JOBS {
                let name = move |index: usize| format!("{fault:?}-{bad}-{index}");
                let work = |index: usize| -> Work<i64> {
                    Box::new(move |tx| {
                        let seq = create(tx, &name(index))?;
                        if index == bad {
                            cause(tx, fault)?;
                        }
                        Ok(seq)
                    })
                };
                let results = together(&store, (0..JOBS).map(work).collect()).await;
                for (index, result) in results.iter().enumerate() {
                    assert_eq!(
                        result.is_err(),
                        index == bad,
                        "{fault:?} {bad}: {results:?}"
                    );
                    if let Ok(seq) = result {
                        expected.push((*seq, name(index)));
                    }
                }
                assert_eq!(feed(&store).await, expected);
            }
        }
        let numbers: Vec<i64> = expected.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, (1..).take(expected.len()).collect::<Vec<i64>>());
        let count = store.read(|conn| counts::of(conn, TENANT, "User")).await;
        assert_eq!(usize::try_from(count.unwrap().live), Ok(expected.len()));
    });
}

/// Long changes are written before the end of the batch, where the database rejects one of them.
#[test]
fn a_job_fails_alone_among_long_changes() {
    with_store(|store| async move {
        prepare(&store).await;
        let mut expected = Vec::new();
        for fault in [Fault::Change, Fault::Commit] {
            for bad in 0..JOBS {
                let name = move |index: usize| format!("{fault:?}-{bad}-{index}");
                let work = |index: usize| -> Work<i64> {
                    Box::new(move |tx| {
                        resources::insert(tx, &user(&name(index)))?;
                        let payload = "x".repeat(PENDING_BYTES * 2 / 3);
                        let long = Change {
                            payload: format!(r#"{{"a":"{payload}"}}"#).into(),
                            ..change(&name(index))
                        };
                        let seq = tx.append(long);
                        if index == bad {
                            cause(tx, fault)?;
                        }
                        Ok(seq)
                    })
                };
                let results = together(&store, (0..JOBS).map(work).collect()).await;
                for (index, result) in results.iter().enumerate() {
                    assert_eq!(result.is_err(), index == bad, "{fault:?} {bad}, {index}");
                    if let Ok(seq) = result {
                        expected.push((*seq, name(index)));
                    }
                }
            }
        }
        let mut found = Vec::new();
        while next_of(&store, &mut found).await {}
        assert_eq!(found, expected);
        let count = store.read(|conn| counts::of(conn, TENANT, "User")).await;
        assert_eq!(usize::try_from(count.unwrap().live), Ok(expected.len()));
        // What was counted is what is stored.
        let compared = store.read(|conn| storage_use::compare(conn, TENANT)).await;
        assert!(compared.unwrap().is_none());
    });
}

/// Reads on behind the last change that was found. Returns whether there was one.
async fn next_of(store: &Arc<Store>, found: &mut Vec<(i64, String)>) -> bool {
    let after = found.last().map_or(0, |(seq, _)| *seq);
    let rows = store.read(move |conn| changes::after(conn, TENANT, after, 10_000));
    let rows = rows.await.unwrap().into_iter();
    let before = found.len();
    found.extend(rows.map(|row| (row.seq, row.change.resource_id.into_string())));
    found.len() > before
}

#[test]
fn of_a_job_in_parts_only_the_part_at_fault_fails() {
    with_store(|store| async move {
        prepare(&store).await;
        for bad in 0..3 {
            let in_parts: Work<Vec<bool>> = Box::new(move |tx| {
                let part = |index: usize| {
                    let done = tx.attempt(|tx| {
                        create(tx, &format!("part-{bad}-{index}"))?;
                        if index == bad {
                            tx.append(change(BAD));
                        }
                        Ok::<_, StoreError>(())
                    })?;
                    Ok(done.is_ok())
                };
                (0..3).map(part).collect()
            });
            let alone: Work<Vec<bool>> =
                Box::new(move |tx| create(tx, &format!("alone-{bad}")).map(|_| Vec::new()));
            let results = together(&store, vec![in_parts, alone]).await;
            let expected: Vec<bool> = (0..3).map(|index| index != bad).collect();
            assert_eq!(results[0].as_ref().unwrap(), &expected);
            assert!(results[1].is_ok(), "{results:?}");
        }
        let numbers: Vec<i64> = feed(&store).await.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });
}

#[test]
fn a_job_sees_nothing_of_one_that_fails_after_it() {
    with_store(|store| async move {
        prepare(&store).await;
        let bad: Work<()> = Box::new(|tx| {
            create(tx, "a")?;
            tx.append(change(BAD));
            Ok(())
        });
        // In the first attempt the name is taken.
        let same_name: Work<()> = Box::new(|tx| create(tx, "a").map(drop));
        let results = together(&store, vec![bad, same_name]).await;
        assert!(results[0].is_err() && results[1].is_ok(), "{results:?}");
        assert_eq!(stored(&store).await, ["a"]);
        assert_eq!(feed(&store).await, [(1, "a".to_owned())]);
    });
}

#[test]
fn an_amendment_reaches_the_changes_that_are_written_already() {
    with_store(|store| async move {
        prepare(&store).await;
        let empty = |tx: &mut Tx<'_>| {
            let a = crate::store::testing::id("a");
            history::empty(tx, "User", &a)?;
            tx.amend(move |change| {
                if change.resource_id == a {
                    change.payload = changes::EMPTIED.into();
                }
            });
            Ok(tx.append(change("b")))
        };
        let works: Vec<Work<i64>> = vec![
            Box::new(|tx| create(tx, "a")),
            Box::new(empty),
            Box::new(|tx| Ok(tx.append(change(BAD)))),
            Box::new(|tx| create(tx, "c")),
        ];
        let results = together(&store, works).await;
        assert!(
            matches!(results[..], [Ok(1), Ok(2), Err(_), Ok(3)]),
            "{results:?}"
        );
        let rows = store.read(|conn| changes::after(conn, TENANT, 0, 10)).await;
        let rows = rows.unwrap();
        assert_eq!(rows[0].change.payload, changes::EMPTIED);
        assert_eq!(rows[1].change.payload, change("b").payload);
    });
}

#[test]
fn administrative_jobs_fail_alone_too() {
    with_store(|store| async move {
        prepare(&store).await;
        for bad in 0..JOBS {
            // A tenant's job occupies the writer, so that these become one batch.
            let (release, task) = super::occupy_admin(&store).await;
            let jobs = (0..JOBS).map(|index| {
                let store = store.clone();
                tokio::spawn(async move {
                    let name = format!("tenant-{bad}-{index}");
                    store
                        .admin(move |conn| {
                            tenants::create(conn, &name, 5)?;
                            if index == bad {
                                conn.batch("INSERT INTO later VALUES (99)")?;
                            }
                            Ok::<_, StoreError>(())
                        })
                        .await
                })
            });
            let jobs: Vec<_> = jobs.collect();
            while store.waiting().1 < JOBS {
                tokio::task::yield_now().await;
            }
            drop(release);
            task.await.unwrap();
            for (index, job) in jobs.into_iter().enumerate() {
                let result = job.await.unwrap();
                assert_eq!(result.is_err(), index == bad, "{bad}, {index}: {result:?}");
            }
        }
        let found = store.read(tenants::list).await.unwrap();
        assert_eq!(found.len(), 1 + JOBS * (JOBS - 1));
    });
}

#[test]
fn work_that_can_run_once_shares_no_batch() {
    with_store(|store| async move {
        prepare(&store).await;
        let (release, task) = super::occupy_admin(&store).await;
        let (once, bad) = (store.clone(), store.clone());
        let text = "once".to_owned();
        let once = tokio::spawn(async move {
            let work = move |conn: &mut Conn| tenants::create(conn, &{ text }, 5);
            once.admin_once(work).await
        });
        let bad = tokio::spawn(async move {
            bad.admin(|conn| conn.batch("INSERT INTO later VALUES (99)"))
                .await
        });
        while store.waiting().1 < 2 {
            tokio::task::yield_now().await;
        }
        drop(release);
        task.await.unwrap();
        assert!(once.await.unwrap().is_ok());
        assert!(bad.await.unwrap().is_err());
    });
}

#[test]
fn nothing_runs_again_after_a_lost_connection() {
    with_store(|store| async move {
        if store.backend() != Backend::Postgres {
            return;
        }
        let lose = "CREATE FUNCTION lose() RETURNS TRIGGER LANGUAGE plpgsql AS \
                    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$; \
                    CREATE TRIGGER lose BEFORE INSERT ON changes FOR EACH ROW \
                    WHEN (NEW.resource_id = 'bad') EXECUTE FUNCTION lose()";
        store.admin(move |conn| conn.batch(lose)).await.unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let work = |index: usize| -> Work<()> {
            let runs = Arc::clone(&runs);
            Box::new(move |tx| {
                runs.fetch_add(1, Ordering::Relaxed);
                let name = if index == 1 {
                    BAD.to_owned()
                } else {
                    index.to_string()
                };
                create(tx, &name).map(drop)
            })
        };
        for result in together(&store, (0..JOBS).map(work).collect()).await {
            assert!(
                matches!(result, Err(StoreError::Unavailable(_))),
                "{result:?}"
            );
        }
        assert_eq!(runs.load(Ordering::Relaxed), JOBS);
        assert!(feed(&store).await.is_empty());
    });
}
