//! `kill -9` at any moment, then the same command again: every job ends once as COMPLETED, none is
//! missing, none runs twice; and what was lost with the supervisor is run again and told.
//!
//! Moments are drawn from a seed, which is printed. `WEIGHBRIDGE_KILL_SEED` repeats a run,
//! `WEIGHBRIDGE_KILL_CYCLES` makes more of them.

mod common;

use std::path::Path;
use std::time::Duration;

use common::draw::{Draw, from_env};
use common::{Ended, Place, appending, held, ids_in, jobs_in, let_go, now, until};
use rustix::process::{Pid, Signal, kill_process};
use weighbridge::JobStatus;

const JOBS: u64 = 60;
const CYCLES: u64 = 10;

/// How long the workload takes, about; kills fall between a little after the start and this.
const LENGTH: Duration = Duration::from_millis(600);

/// How long a run takes to open its store, about.
const START: Duration = Duration::from_millis(50);

/// Anywhere in the run; every fourth time while it starts.
fn moment(draw: &mut Draw) -> Duration {
    let longest = if draw.next().is_multiple_of(4) { START } else { LENGTH };
    draw.within(longest)
}

/// As many at once on every machine.
const AT_ONCE: usize = 8;

const RUN: [&str; 7] = ["run", "w.json", "--no-progress", "--output", "json", "--resources", "cpus:2"];

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
        let after = moment(&mut draw);
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
    for cycle in 0..from_env("WEIGHBRIDGE_KILL_CYCLES").unwrap_or(CYCLES) {
        let place = Place::new();
        let store = place.path(".weighbridge/w");
        place.write("w.json", &appending(u32::try_from(JOBS).expect("few"), "0.06"));
        let after = moment(&mut draw);
        kill_after(&place, after);
        kill_supervisor(&store);
        println!("cycle {cycle}: both killed after {after:?}");
        check_lost_are_run_again(&place);
    }
}

#[test]
fn with_both_killed_while_jobs_run_those_are_lost_and_run_again() {
    let place = Place::new();
    let store = place.path(".weighbridge/w");
    place.write("w.json", &held(u32::try_from(JOBS).expect("few"), 0));
    let process = place.start(&RUN);
    until("all that fit", || ids_in(&store.join("out/ran")).len() == AT_ONCE);
    process.signal(Signal::KILL);
    process.wait();
    kill_supervisor(&store);
    let_go(&place);
    // Some may end by themselves before a new supervisor ends them; without a result they are lost.
    assert_eq!(check_lost_are_run_again(&place), AT_ONCE as u64);
}

fn kill_supervisor(store: &Path) {
    if let Some(pid) = supervisor_of(store).filter(|&pid| is_supervisor(pid)) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Goes on after a run and its supervisor were killed; how many executions were lost.
fn check_lost_are_run_again(place: &Place) -> u64 {
    let store = place.path(".weighbridge/w");
    let n_before = ids_in(&store.join("out/ran")).len();
    let last = place.run(&RUN).expect(0);
    check_all_completed(place, &last);
    let lost = last.json()["totals"]["lost"].as_u64().expect("a number");
    println!("{n_before} had begun, {lost} lost");
    let n_exes: u64 = jobs_in(&store).iter().map(|job| u64::from(job.num_exes)).sum();
    assert_eq!(n_exes, JOBS + lost, "one execution more for each that was lost: {last:#?}");
    if lost > 0 {
        last.says("were lost with the supervisor and are run again");
    }
    let mut ids = ids_in(&store.join("out/ran"));
    let n_began = ids.len() as u64;
    ids.dedup();
    assert_eq!(ids, (1..=JOBS).collect::<Vec<_>>(), "{last:#?}");
    assert!(n_began <= JOBS + lost, "{n_began} began, {lost} were lost: {last:#?}");
    lost
}

/// The processes whose command line holds `word`.
fn processes_with(word: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").expect("readable").flatten();
    let names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let line = |pid: &str| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let holds = |pid: &String| String::from_utf8_lossy(&line(pid)).contains(word);
    names.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(holds).collect()
}

#[test]
fn fresh_after_both_were_killed_ends_what_still_runs_before_it_begins() {
    let place = Place::new();
    let store = place.path(".weighbridge/w");
    place.write("w.json", &held(4, 0));
    let process = place.start(&RUN);
    let ran = store.join("out/ran");
    until("all jobs", || ids_in(&ran).len() == 4);
    process.signal(Signal::KILL);
    process.wait();
    kill_supervisor(&store);
    let out = ran.to_str().expect("text");
    assert_eq!(processes_with(out).len(), 4, "they outlive both");
    place.write("w.json", &appending(2, "0"));
    place.run(&[&RUN[..], &["--fresh"]].concat()).expect(0).says("the earlier run is kept in ");
    assert_eq!(processes_with(out), Vec::<String>::new(), "they were ended");
    assert_eq!(ids_in(&ran), [1, 2], "only the new run writes where it writes");
}

#[test]
fn a_supervisor_killed_under_a_living_run_is_replaced_and_what_ran_is_run_again() {
    let place = Place::new();
    let store = place.path(".weighbridge/w");
    place.write("w.json", &held(u32::try_from(JOBS).expect("few"), 0));
    let process = place.start(&RUN);
    until("all that fit", || ids_in(&store.join("out/ran")).len() == AT_ONCE);
    let pid = supervisor_of(&store).expect("a supervisor");
    kill_process(pid, Signal::KILL).expect("it lives");
    let_go(&place);
    let last = process.wait().expect(0);
    check_all_completed(&place, &last);
    let lost = last.json()["totals"]["lost"].as_u64().expect("a number");
    assert_eq!(lost, AT_ONCE as u64, "{last:#?}");
}
