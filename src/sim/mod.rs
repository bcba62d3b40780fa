//! The whole engine under days of virtual time, with faults: seeded steps on the real core, intake, log,
//! store and checkpoints, over a disk that is slow, full, broken or forgetful on order.
//!
//! For tests only. A run is a function of its seed; one that fails prints the seed and its steps.
//!
//! S1  What was acknowledged is there after any crash; what was not is there by whole commands.
//! S2  The state that comes back is one that was, down to its hash and the order of the queue.
//! S3  Nothing is handed out twice, and an execution runs at most once at a time.
//! S4  Jobs, limits, nodes and offers as `watch.rs` says, after every step.
//! S5  When faults stop, all jobs end.

mod cluster;
mod dice;
mod run;
mod steps;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use self::run::{Plant, Run, Tally};
use crate::engine::{Engine, Options};
use crate::model::{Event, StoreId};
use crate::testing::TracedDisk;
use crate::wal::{Disk, LogError, LogFile, ReadBatch};

/// Seeds that once showed something. They run first.
const KEPT: &[u64] = &[];

/// Seeds that run when the environment says nothing.
const N_SEEDS: u64 = 1_000;

/// The files of a store that was just made.
fn new_store() -> [Vec<u8>; 2] {
    let new = TracedDisk::default();
    let disk: Arc<dyn Disk> = Arc::new(new.clone());
    let engine = Engine::open_on(&disk, Options::default().load_period(None)).expect("a new store");
    engine.close().expect("closed");
    new.files()
}

/// Runs a seed; one that fails tells its steps.
fn run(seed: u64, files: &[Vec<u8>; 2], plant: Option<Plant>) -> Tally {
    let mut run = Run::new(seed, files.clone(), plant);
    let ran = catch_unwind(AssertUnwindSafe(|| run.go()));
    if let Err(panic) = ran {
        if plant.is_none() {
            for (n, step) in run.trail.iter().enumerate() {
                println!("{n:4} {step}");
            }
            println!("seed {seed} failed after these steps: just sim 1 {seed}");
        }
        resume_unwind(panic);
    }
    run.tally
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn what_always_holds_does_under_faults() {
    let files = new_store();
    let first = number("WEIGHBRIDGE_SIM_SEED");
    let n_seeds = number("WEIGHBRIDGE_SIM_SEEDS").unwrap_or(if first.is_some() { 1 } else { N_SEEDS });
    let seeds = KEPT.iter().copied().chain((0..n_seeds).map(|n| first.unwrap_or(0) + n));
    let mut sum = Tally::default();
    for seed in seeds {
        sum.add(run(seed, &files, None));
    }
    println!("{sum:#?}");
}

/// All events of a run that nothing goes wrong in, and what it came to.
fn events_of(seed: u64, files: &[Vec<u8>; 2]) -> (Vec<Event>, Tally) {
    let mut run = Run::new(seed, files.clone(), None);
    run.go_fair();
    let (disk, tally) = (run.disk.clone(), run.tally);
    drop(run);
    let disk = disk.process();
    let (log, id) = LogFile::open(&disk, StoreId(0)).expect("a log");
    let mut events = Vec::new();
    log.for_each(|_, row| {
        events.extend(ReadBatch::read(row, id).expect("a batch").events);
        Ok::<_, LogError>(())
    })
    .expect("readable");
    (events, tally)
}

#[test]
fn the_same_commands_at_the_same_times_give_the_same_events() {
    let files = new_store();
    for seed in 0..20 {
        let (one, other) = (events_of(seed, &files), events_of(seed, &files));
        assert!(one.0.len() > 10, "seed {seed} does next to nothing");
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let files = new_store();
    for seed in 0..number("WEIGHBRIDGE_SIM_SEEDS").unwrap_or(20) {
        let ran = || {
            let mut run = Run::new(seed, files.clone(), None);
            run.go();
            (run.tally, std::mem::take(&mut run.trail))
        };
        let ((one, steps), (other, again)) = (ran(), ran());
        for (n, (step, again)) in steps.iter().zip(&again).enumerate() {
            assert_eq!(step, again, "seed {seed}, step {n}, after {:?}", &steps[n.saturating_sub(10)..n]);
        }
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn what_is_planted_is_found() {
    let files = new_store();
    let plants = [
        Plant::LyingSync,
        Plant::OldFiles,
        Plant::DoubleOffer,
        Plant::LiveLost,
        Plant::NoReconciliation,
        Plant::ToldOnce,
    ];
    for plant in plants {
        let is_found = |seed| catch_unwind(|| run(seed, &files, Some(plant))).is_err();
        let found = (0..200).find(|seed| is_found(*seed));
        println!("{plant:?} is found by seed {found:?}");
        assert!(found.is_some(), "{plant:?} is not noticed");
    }
}
