//! `kill -9` under load: every acknowledged write exists, and no write is partial. `just crash`
//! repeats it 100 times, this run a few times.

use std::time::{Duration, Instant};

use crate::harness::cluster::Cluster;
use crate::harness::load::{Dice, Load, Record};
use crate::harness::{Client, Database, Server, TIMEOUT, both_alone, rounds, runtime};

/// Waits until a random moment, unrelated to the progress of the load.
async fn any_moment(load: &Load, dice: &mut Dice) {
    load.acknowledges(50 + dice.below(150)).await;
    let moment = u64::try_from(dice.below(5_000)).unwrap();
    tokio::time::sleep(Duration::from_micros(moment)).await;
}

/// The totals of all rounds, printed for runs with many of them.
#[derive(Default)]
struct Sum {
    rounds: usize,
    acknowledged: usize,
    refused: usize,
}

impl Sum {
    fn add(&mut self, record: &Record) {
        self.rounds += 1;
        self.acknowledged += record.acknowledged;
        self.refused += record.refused;
    }
}

impl Drop for Sum {
    fn drop(&mut self) {
        println!(
            "{} rounds held, {} acknowledged writes, {} answers 503",
            self.rounds, self.acknowledged, self.refused
        );
    }
}

/// Retries until a read succeeds; until then only "try again" is allowed.
async fn wait_until_readable(client: &Client) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let reply = client.get("/Users?count=0").await;
        if reply.status == 200 {
            return;
        }
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(Instant::now() < deadline, "{reply:?}");
    }
}

both_alone!(
    a_killed_node_loses_no_acknowledged_write,
    |database: Database| async move {
        let (mut dice, mut sum) = (Dice::new(), Sum::default());
        let mut records: Vec<Record> = Vec::new();
        for round in 0..rounds() {
            let server = Server::start(&database);
            let load = Load::start(&[server.admin()], &format!("Round {round}")).await;
            any_moment(&load, &mut dice).await;
            server.kill();
            let record = load.stop().await;

            let server = Server::start(&database);
            record.assert_nothing_lost(&server.admin()).await;
            database.assert_whole();
            sum.add(&record);
            records.push(record);
        }
        // A later crash does not remove writes from before an earlier one.
        let server = Server::start(&database);
        for record in &records {
            record.assert_nothing_lost(&server.admin()).await;
        }
    }
);

#[test]
fn a_killed_database_loses_no_acknowledged_write() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let database = Database::on(&cluster);
    runtime().block_on(async {
        let (mut dice, mut sum) = (Dice::new(), Sum::default());
        let mut records: Vec<Record> = Vec::new();
        // The same server throughout: it reconnects by itself.
        let server = Server::start(&database);
        let client = server.admin();
        for round in 0..rounds() {
            let load = Load::start(std::slice::from_ref(&client), &format!("Round {round}")).await;
            any_moment(&load, &mut dice).await;
            if round % 2 == 0 {
                cluster.kill();
            } else {
                cluster.stop_at_once();
            }
            cluster.start_again();
            // Writers and readers have separate connections: each reconnects with its next request.
            load.acknowledges(20).await;
            wait_until_readable(&client).await;
            let record = load.stop().await;

            record.assert_nothing_lost(&client).await;
            database.assert_whole();
            sum.add(&record);
            records.push(record);
        }
        for record in &records {
            record.assert_nothing_lost(&client).await;
        }
    });
}
