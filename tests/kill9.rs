//! `kill -9` at any moment, then the same command again: every job ends once as COMPLETED, none is
//! missing, none runs twice; and what was lost with the supervisor is run again and told.
//!
//! Moments are drawn from a seed, which is printed. `WEIGHBRIDGE_KILL_SEED` repeats a run,
//! `WEIGHBRIDGE_KILL_CYCLES` makes more of them.

mod common;

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

use common::{Ended, Place, appending, ids_in, jobs_in, now, until};
use rustix::process::{Pid, Signal, kill_process};
use weighbridge::JobStatus;

const JOBS: u64 = 60;
const CYCLES: u64 = 10;

/// How long the workload takes, about; kills fall between a little after the start and this.
const LENGTH: Duration = Duration::from_millis(600);

/// How long a run takes to open its store, about.
const START: Duration = Duration::from_millis(50);

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// A sequence of numbers that a seed determines (`splitmix64`).
struct Draw(u64);

impl Draw {
    fn new(salt: u64) -> Self {
        let fixed = from_env("WEIGHBRIDGE_KILL_SEED");
        let seed = fixed.unwrap_or_else(|| RandomState::new().hash_one("moments"));
        println!("WEIGHBRIDGE_KILL_SEED={seed}");
        Self(seed ^ salt)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Anywhere in the run; every fourth time while it starts.
    fn moment(&mut self) -> Duration {
        let within = if self.next().is_multiple_of(4) { START } else { LENGTH };
        let micros = u64::try_from(within.as_micros()).expect("short");
        Duration::from_micros(self.next() % micros)
    }
}

const RUN: [&str; 5] = ["run", "w.json", "--no-progress", "--output", "json"];

/// Starts the run and kills it `after` so long; false when it had ended before.
fn kill_after(place: &Place, after: Duration) -> bool {
    let mut process = place.start(&RUN);
    let end = now() + after;
    while now() < end && !process.is_over() {
        std::thread::sleep(Duration::from_micros(200));
    }
    let is_killed = !process.is_over();
    if is_killed {
        process.signal(Signal::KILL);
    }
    let ended = process.wait();
    if !is_killed {
        ended.expect(0);
    }
    is_killed
}

fn check_all_completed(place: &Place, last: &Ended) {
    let jobs = jobs_in(&place.path(".weighbridge/w"));
    assert_eq!(jobs.len() as u64, JOBS, "{last:#?}");
    for job in &jobs {
        assert_eq!(job.status, JobStatus::Completed, "{job:?} {last:#?}");
    }
    assert_eq!(last.json()["totals"]["done"], JOBS, "{last:#?}");
}

#[test]
fn a_killed_run_goes_on_and_every_job_ends_exactly_once() {
    let mut draw = Draw::new(1);
    let mut n_killed = 0;
    for cycle in 0..from_env("WEIGHBRIDGE_KILL_CYCLES").unwrap_or(CYCLES) {
        let place = Place::new();
        place.write("w.json", &appending(u32::try_from(JOBS).expect("few"), "0.06"));
        let after = draw.moment();
        n_killed += u64::from(kill_after(&place, after));
        let n_before = ids_in(&place.path(".weighbridge/w/out/ran")).len();
        println!("cycle {cycle}: killed after {after:?}, {n_before} had begun");
        let last = place.run(&RUN).expect(0);
        check_all_completed(&place, &last);
        let ids = ids_in(&place.path(".weighbridge/w/out/ran"));
        assert_eq!(ids, (1..=JOBS).collect::<Vec<_>>(), "cycle {cycle}, {after:?}: {last:#?}");
        let lost = &last.json()["totals"]["lost"];
        assert_eq!(*lost, 0, "nothing is lost while the supervisor lives: {last:#?}");
    }
    assert!(n_killed > 0, "no kill hit a run");
}

/// The process that holds the store's supervisor lock.
fn supervisor_of(store: &Path) -> Option<Pid> {
    let pid = std::fs::read_to_string(store.join("supervisor.lock")).ok()?;
    Pid::from_raw(pid.trim().parse().ok()?)
}

fn is_supervisor(pid: Pid) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|&byte| byte == 0).any(|word| word == b"supervisor")
}

#[test]
fn with_the_supervisor_killed_too_what_ran_is_run_again_and_told() {
    let mut draw = Draw::new(2);
    let mut n_lost = 0;
    for cycle in 0..from_env("WEIGHBRIDGE_KILL_CYCLES").unwrap_or(CYCLES) {
        let place = Place::new();
        let store = place.path(".weighbridge/w");
        place.write("w.json", &appending(u32::try_from(JOBS).expect("few"), "0.06"));
        let after = draw.moment();
        kill_after(&place, after);
        if let Some(pid) = supervisor_of(&store).filter(|&pid| is_supervisor(pid)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let n_before = ids_in(&store.join("out/ran")).len();
        let last = place.run(&RUN).expect(0);
        check_all_completed(&place, &last);
        let lost = last.json()["totals"]["lost"].as_u64().expect("a number");
        println!("cycle {cycle}: both killed after {after:?}, {n_before} had begun, {lost} lost");
        let n_exes: u64 = jobs_in(&store).iter().map(|job| u64::from(job.num_exes)).sum();
        assert_eq!(n_exes, JOBS + lost, "one execution more for each that was lost: {last:#?}");
        if lost > 0 {
            last.says("were lost with the supervisor and are run again");
        }
        let mut ids = ids_in(&store.join("out/ran"));
        let n_began = ids.len() as u64;
        ids.dedup();
        assert_eq!(ids, (1..=JOBS).collect::<Vec<_>>(), "cycle {cycle}, {after:?}: {last:#?}");
        assert!(n_began <= JOBS + lost, "{n_began} began, {lost} were lost: {last:#?}");
        n_lost += lost;
    }
    assert!(n_lost > 0, "no kill hit an execution");
}

#[test]
fn a_supervisor_killed_under_a_living_run_is_replaced_and_what_ran_is_run_again() {
    let place = Place::new();
    let store = place.path(".weighbridge/w");
    place.write("w.json", &appending(u32::try_from(JOBS).expect("few"), "0.05"));
    let process = place.start(&RUN);
    until("some jobs", || ids_in(&store.join("out/ran")).len() > 8);
    let pid = supervisor_of(&store).expect("a supervisor");
    kill_process(pid, Signal::KILL).expect("it lives");
    let last = process.wait().expect(0);
    check_all_completed(&place, &last);
    let lost = last.json()["totals"]["lost"].as_u64().expect("a number");
    assert!(lost > 0, "{last:#?}");
}
