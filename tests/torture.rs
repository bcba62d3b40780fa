//! `kill -9` of a daemon again and again over one store, with a checkpoint after every few commands:
//! at the end every job has exactly one end mark, and the marks agree with the store.
//!
//! Every execution leaves a mark when it starts and one when it ends, with its job, number and launch.
//! Submissions go in while kills fall; what was not answered is sent again under its id. Every third kill
//! falls while the daemon starts. Moments are drawn from a seed, which is printed:
//! `WEIGHBRIDGE_KILL_SEED` repeats a run, `WEIGHBRIDGE_KILL_CYCLES` makes more of them.

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::draw::{Draw, from_env};
use common::{Daemon, PATIENCE, Place, jobs_in, now, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use weighbridge::{JobStatus, check, inspect};

const CYCLES: u64 = 30;

/// How long a daemon lives after it is ready, at most.
const LIFE: Duration = Duration::from_millis(250);

/// How long a daemon takes to be ready, about.
const START: Duration = Duration::from_millis(40);

/// Jobs of one submission.
const JOBS: u64 = 3;

/// Bytes that gather before a checkpoint: a few jobs.
const CHECKPOINT_BYTES: &str = "3000";

const SERVE: [&str; 6] = ["--store", "s", "--resources", "cpus:2", "--checkpoint-bytes", CHECKPOINT_BYTES];

/// What one submission was answered: its first job.
type Answers = BTreeMap<u64, u64>;

fn body(n: u64, marks: &Path) -> Value {
    let mark = |word: &str| {
        format!("echo {word} $WEIGHBRIDGE_JOB_ID $WEIGHBRIDGE_EXE_NUM $WEIGHBRIDGE_LAUNCH >> \"$0\"")
    };
    let script = format!("{}; sleep 0.0{}; {}", mark("start"), n % 8, mark("end"));
    json!({
        "id": format!("s{n}"),
        "job_types": [{
            "name": format!("kind{}", n % 8),
            "version": "1.0",
            "command": ["sh", "-c", script, marks],
            "resources": { "cpus": 0.25, "mem": 1 },
        }],
        "jobs": [{ "job_type": 0, "count": JOBS }],
    })
}

/// The answer to a submission; none where the daemon is gone before it is read whole.
fn submit(url: &str, body: &Value) -> Option<Value> {
    let host = url.strip_prefix("http://").expect("an address");
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let body = body.to_string();
    let head = format!(
        "POST /api/v1/submissions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let is_taken = head.starts_with("HTTP/1.1 20");
    assert!(is_taken, "{text}");
    serde_json::from_str(body).ok()
}

/// Sends what was not answered, then more, until the daemon is gone, or `last` was answered.
fn submit_all(url: &str, marks: &Path, answers: &mut Answers, last: u64, is_over: &AtomicBool) {
    for n in 0..=last {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        if answers.contains_key(&n) && n % 16 != 0 {
            continue;
        }
        let Some(answer) = submit(url, &body(n, marks)) else { return };
        let first = answer["first_job"].as_u64().unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(*answers.entry(n).or_insert(first), first, "submission {n} was answered twice");
    }
}

/// The process that holds the store's supervisor lock, where it is one.
fn kill_supervisor(store: &Path) {
    let Ok(pid) = std::fs::read_to_string(store.join("supervisor.lock")) else { return };
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    if line.split(|&byte| byte == 0).any(|word| word == b"supervisor") {
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A mark: job, number of the execution, the execution, number of its launch.
type Mark = (u64, u32, u64, u32);

fn marks_in(path: &Path, word: &str) -> Vec<Mark> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mark = |line: &str| -> Option<Mark> {
        let (job, rest) = line.strip_prefix(word)?.trim().split_once(' ')?;
        let (num, launch) = rest.split_once(' ')?;
        let (exe, launch) = launch.split_once('.')?;
        Some((job.parse().ok()?, num.parse().ok()?, exe.parse().ok()?, launch.parse().ok()?))
    };
    assert!(
        text.lines().all(|line| mark(line).is_some() != (line.starts_with("start") != (word == "start")))
    );
    text.lines().filter_map(mark).collect()
}

/// Kills the daemon, and the supervisor with it where `takes_supervisor` says so for a cycle; returns
/// how many jobs were run again since the supervisor was killed.
fn torture(salt: u64, takes_supervisor: impl Fn(u64) -> bool) -> u64 {
    let cycles = from_env("WEIGHBRIDGE_KILL_CYCLES").unwrap_or(CYCLES);
    let mut draw = Draw::new(salt);
    let place = Place::new();
    let (store, marks) = (place.path("s"), place.path("marks"));
    let mut answers = Answers::new();
    let (mut n_starting, mut n_both) = (0, 0);
    for cycle in 0..cycles {
        if cycle % 3 == 2 {
            let mut process = place.start(&[&["serve", "--listen", "127.0.0.1:0"][..], &SERVE].concat());
            let end = now() + draw.within(START);
            while now() < end {
                std::thread::sleep(Duration::from_micros(100));
            }
            assert!(!process.is_over(), "it does not start: {:#?}", process.wait());
            process.signal(Signal::KILL);
            process.wait();
            n_starting += 1;
        } else {
            let daemon = Daemon::start(&place, &SERVE);
            let (url, is_over) = (daemon.url.clone(), AtomicBool::new(false));
            let life = draw.within(LIFE);
            std::thread::scope(|scope| {
                let its = &is_over;
                scope.spawn(move || {
                    std::thread::sleep(life);
                    its.store(true, Ordering::Relaxed);
                    // SIGKILL, and waits for its end.
                    drop(daemon);
                });
                submit_all(&url, &marks, &mut answers, 8 * cycle + 7, &is_over);
            });
        }
        if takes_supervisor(cycle) {
            kill_supervisor(&store);
            n_both += 1;
        }
    }
    let last = *answers.keys().last().unwrap_or(&0) + 1;
    let daemon = Daemon::start(&place, &SERVE);
    submit_all(&daemon.url, &marks, &mut answers, last, &AtomicBool::new(false));
    assert_eq!(answers.len() as u64, last + 1, "all are answered in the end");
    let ask = || daemon.ask(&place, &["status", "--output", "json"]).expect(0).json();
    let is_done = |status: &Value| status["totals"]["completed"].as_u64() == Some(JOBS * (last + 1));
    until("the end of all jobs", || is_done(&ask()));
    assert_eq!(daemon.end().code(), Some(0));
    let lost = compare(&store, &marks, &answers);
    let totals = inspect(&store, None).expect("inspected").state.totals.expect("a checkpoint was made");
    // Every checkpoint writes one at least.
    assert!(u64::from(totals.next_segment) > cycles / 2, "too few checkpoints: {totals:?}");
    println!(
        "{cycles} kills, {n_starting} of them while it started, {n_both} of the supervisor too: {} submissions, {} \
         jobs, none lost, none twice; {lost} run again after the supervisor was killed; {} segments written in {} epochs",
        answers.len(),
        JOBS * (last + 1),
        totals.next_segment,
        totals.epoch,
    );
    lost
}

/// Holds marks, answers and store against each other.
fn compare(store: &Path, marks: &Path, answers: &Answers) -> u64 {
    assert_eq!(check(store, |_| ()).expect("checked").faults.list(), []);
    let jobs: BTreeMap<u64, _> = jobs_in(store).into_iter().map(|job| (job.id.0, job)).collect();
    assert_eq!(jobs.len() as u64, JOBS * answers.len() as u64, "no submission was taken twice or halved");
    let mut firsts: Vec<u64> = answers.values().copied().collect();
    firsts.sort_unstable();
    let expected: Vec<u64> = (0..answers.len() as u64).map(|n| 1 + JOBS * n).collect();
    assert_eq!(firsts, expected, "each was answered with jobs of its own");
    let (starts, ends) = (marks_in(marks, "start"), marks_in(marks, "end"));
    for all in [&starts, &ends] {
        let mut sorted: Vec<_> = all.iter().map(|mark| (mark.2, mark.3)).collect();
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]), "a launch ran twice: {all:?}");
    }
    for (job, num, exe, launch) in &starts {
        let known = &jobs[job];
        // Executions before the newest are those that were lost.
        assert!((1..=known.num_exes).contains(num), "no such execution: {known:?}, {num}");
        let newest = known.exe.expect("it ran").0;
        assert_eq!(*num == known.num_exes, *exe == newest, "{known:?}, {exe}");
        assert!(*exe < newest || *launch <= known.launches, "no such launch on record: {known:?}, {launch}");
    }
    let mut n_lost = 0;
    for job in jobs.values() {
        assert_eq!(job.status, JobStatus::Completed, "{job:?}");
        let of = |all: &[Mark]| all.iter().filter(|mark| mark.0 == job.id.0).copied().collect::<Vec<_>>();
        let (starts, ends) = (of(&starts), of(&ends));
        let end = job.end.as_ref().expect("it ended");
        let recorded = (job.id.0, end.exe_num, end.launch.exe.0, end.launch.number);
        assert_eq!(end.exe_num, job.num_exes, "{job:?}");
        let is_lost = |mark: &&Mark| mark.1 < job.num_exes;
        let kept: Vec<_> = ends.iter().filter(|mark| !is_lost(mark)).copied().collect();
        assert_eq!(kept, [recorded], "one end mark, of the launch on record: {job:?}, {starts:?}");
        assert_eq!(
            starts.iter().filter(|mark| !is_lost(mark)).count(),
            1,
            "it ran once: {job:?}, {starts:?}"
        );
        assert!(ends.iter().all(|mark| starts.contains(mark)), "{starts:?} {ends:?}");
        n_lost += u64::from(job.num_exes) - 1;
    }
    n_lost
}

#[test]
fn a_daemon_killed_again_and_again_runs_every_job_exactly_once() {
    assert_eq!(torture(3, |_| false), 0, "nothing is lost while the supervisor lives");
}

#[test]
fn with_the_supervisor_killed_every_other_time_only_what_it_ran_is_run_again() {
    torture(4, |cycle| cycle % 2 == 1);
}
