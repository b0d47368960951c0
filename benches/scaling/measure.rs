//! Sends requests to two sides alternately and records the latency of each.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::connection::Request;
use crate::directory::{Directory, Group};

/// Warm-up rounds, which are not counted.
const WARM_UP: usize = 50;
/// The minimum number of rounds, however long they take.
const AT_LEAST: usize = 200;

/// The limits of a measurement; the first one reached ends it.
pub struct Limits {
    pub rounds: usize,
    pub time: Duration,
}

/// One operation, and its duration in each round.
pub struct Case {
    pub name: &'static str,
    pub baseline: Vec<Duration>,
    pub large: Vec<Duration>,
}

#[derive(Clone, Copy)]
enum Side {
    Baseline,
    Large,
}

type OnDirectory = fn(&mut Directory, usize) -> Result<Request>;
type OnGroup = fn(&Directory, &Group, usize) -> Request;

/// The requests to both directories in each round. A create is followed by its delete, so that the
/// sizes stay the same.
const USERS: [(&str, OnDirectory); 7] = [
    ("look up a userName", |on, _| Ok(on.look_up())),
    ("look up a free userName", |on, _| Ok(on.look_up_unknown())),
    ("GET by id", |on, _| Ok(on.read())),
    ("first page of 100", |on, _| Ok(on.first_page())),
    ("create", |on, round| Ok(on.create(round))),
    ("delete", |on, _| on.delete_created()),
    ("PATCH active", |on, _| Ok(on.flip_active())),
];

/// The requests for both groups in each round. An addition is followed by its removal, so that the
/// sizes stay the same.
const GROUPS: [(&str, OnGroup); 3] = [
    ("PATCH: add one member", Directory::add_member),
    ("PATCH: remove one member", Directory::remove_member),
    ("GET a user who is a member", Directory::read_member),
];

/// Measures a small and a large directory.
pub fn users(small: &mut Directory, large: &mut Directory, limits: &Limits) -> Result<Vec<Case>> {
    rounds(limits, &USERS, |make, round, side| {
        let on = match side {
            Side::Baseline => &mut *small,
            Side::Large => &mut *large,
        };
        let request = make(on, round)?;
        on.connection.send(&request)
    })
}

/// Measures a small and a large group of one directory.
pub fn groups(on: &mut Directory, few: &Group, many: &Group, limits: &Limits) -> Result<Vec<Case>> {
    rounds(limits, &GROUPS, |make, round, side| {
        let group = match side {
            Side::Baseline => few,
            Side::Large => many,
        };
        let request = make(on, group, round);
        on.connection.send(&request)
    })
}

/// Sends every request to both sides, round after round, in alternating order.
fn rounds<Make>(
    limits: &Limits,
    questions: &[(&'static str, Make)],
    mut ask: impl FnMut(&Make, usize, Side) -> Result<Duration>,
) -> Result<Vec<Case>> {
    let new = |&(name, _): &(&'static str, Make)| Case {
        name,
        baseline: Vec::new(),
        large: Vec::new(),
    };
    let mut cases: Vec<Case> = questions.iter().map(new).collect();
    let started = Instant::now();
    for round in 0..WARM_UP + limits.rounds {
        if round >= WARM_UP + AT_LEAST && started.elapsed() > limits.time {
            break;
        }
        let order = if round % 2 == 0 {
            [Side::Baseline, Side::Large]
        } else {
            [Side::Large, Side::Baseline]
        };
        for ((_, make), case) in questions.iter().zip(&mut cases) {
            for side in order {
                let took = ask(make, round, side)?;
                match side {
                    _ if round < WARM_UP => {}
                    Side::Baseline => case.baseline.push(took),
                    Side::Large => case.large.push(took),
                }
            }
        }
    }
    Ok(cases)
}
