//! The example `mesos_loop` on a real Mesos: a master and three agents, as processes of this machine.
//!
//! What Mesos knows of the tasks is asked of its master. Where it is missing, the tests that need a cluster say
//! that they are skipped.

#[path = "common/cluster.rs"]
mod cluster;
#[path = "../examples/mesos_loop.rs"]
#[allow(dead_code, reason = "its `main` is for the command line")]
mod mesos_loop;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cluster::Cluster;
use mesos_loop::arguments::{Arguments, Summary};
use mesos_loop::http::Events;
use mesos_loop::words::{offered, state};
use serde_json::{Value, json};
use weighbridge::{
    Durable, Engine, Job, JobId, JobStatus, Launch, NodeId, Offer, Options, Outcome, TaskState,
};

/// Set in the process that a test starts to be killed: the master and the store.
const CHILD: &str = "WEIGHBRIDGE_MESOS_LOOP_CHILD";

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(2);

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(10);

#[expect(clippy::disallowed_methods, reason = "tests wait in real time, with a deadline")]
fn now() -> Instant {
    Instant::now()
}

fn arguments(cluster: &Cluster, store: &Path) -> Arguments {
    let (master, store) = (cluster.master.clone(), store.to_owned());
    Arguments { master, store, n_jobs: 100, sleep: "0.2".into() }
}

/// Runs the loop to its end, in a thread of its own: one that hangs fails its test.
fn run(arguments: Arguments) -> Summary {
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let told = mesos_loop::run(&arguments).map_err(|error| error.to_string());
        // Nobody hears it where the test gave up.
        let _ = tell.send(told);
    });
    let told = heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not over within {PATIENCE:?}"));
    let told = told.unwrap_or_else(|error| panic!("it failed: {error}"));
    println!("{told}");
    told
}

/// Waits until `is_so`, of what the master tells.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = now() + PATIENCE;
    while !is_so() {
        assert!(now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
}

fn jobs_in(store: &Path) -> Vec<Job> {
    let engine = Engine::open(store, Options::default()).expect("the store opens");
    engine.check_invariants();
    engine.jobs(JobId(0), 1_000)
}

/// Holds that `n` jobs completed, each by a task of its own that finished, and gives all states there were.
fn check_each_done_once(cluster: &Cluster, store: &Path, n: usize) -> BTreeMap<String, usize> {
    let tasks = cluster.tasks();
    let jobs = jobs_in(store);
    assert_eq!(jobs.len(), n);
    for job in &jobs {
        assert_eq!(job.status, JobStatus::Completed, "{job:?}");
        let end = job.end.as_ref().expect("it ended");
        assert_eq!(tasks.get(&end.launch.to_string()).map(String::as_str), Some("TASK_FINISHED"), "{job:?}");
    }
    let mut states = BTreeMap::new();
    for state in tasks.into_values() {
        *states.entry(state).or_default() += 1;
    }
    assert_eq!(states.get("TASK_FINISHED"), Some(&n), "{states:?}");
    states
}

#[test]
fn a_hundred_tasks_on_three_agents_are_launched_once_each() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let store = tempfile::tempdir().expect("a directory");
    let told = run(arguments(&cluster, store.path()));
    let Summary { n_jobs, n_completed, n_offers, n_picks, n_refused, launches, .. } = told;
    assert_eq!((n_jobs, n_completed, n_picks, n_refused), (100, 100, 100, 0));
    assert_eq!(launches, BTreeMap::from([(1, 100)]));
    assert!(n_offers >= 5, "24 fit at once: {n_offers}");
    assert_eq!(check_each_done_once(&cluster, store.path(), 100).len(), 1, "no task ended in another way");
    assert!(jobs_in(store.path()).iter().all(|job| (job.num_exes, job.launches) == (1, 1)));
}

/// Starts the loop as a process of its own, which a test can kill.
fn start_child(cluster: &Cluster, store: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("a path"));
    child.args(["--exact", "the_loop_that_is_killed"]).stdout(Stdio::null());
    child.env(CHILD, format!("{} {}", cluster.master, store.display()));
    child.spawn().expect("it starts")
}

/// Nothing by itself: another test starts it as a process of its own, to kill it.
#[test]
fn the_loop_that_is_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (master, store) = told.split_once(' ').expect("a master and a store");
    let (master, store) = (master.to_owned(), store.into());
    mesos_loop::run(&Arguments { master, store, n_jobs: 100, sleep: "0.2".into() }).expect("it runs");
}

/// Puts a launch on record, as a loop does that is killed before the call.
fn launch_that_never_leaves(store: &Path) -> Durable<Launch> {
    let engine = Engine::open(store, Options::default()).expect("the store opens");
    let free = "cpus:0.5,mem:32".parse().expect("resources");
    let mut launches = engine.offer(&Offer::new(NodeId(1), free)).commit().wait(PATIENCE).expect("durable");
    engine.close().expect("it closes");
    launches.pop().expect("something waits")
}

#[test]
fn a_loop_that_is_killed_goes_on_and_no_task_is_launched_twice() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let store = tempfile::tempdir().expect("a directory");
    // Tasks are launched 24 at once: each time just after more of them are known to the master.
    for n_known in [1, 30, 60] {
        let mut child = start_child(&cluster, store.path());
        until("tasks", || {
            assert_eq!(child.try_wait().expect("a child"), None, "it ended before {n_known} tasks");
            !cluster.state()["frameworks"][0].is_null() && cluster.tasks().len() >= n_known
        });
        child.kill().expect("it can be killed");
        child.wait().expect("it is over");
    }
    let lost = launch_that_never_leaves(store.path());
    let told = run(arguments(&cluster, store.path()));
    assert_eq!((told.n_jobs, told.n_completed), (100, 100));
    assert!(told.n_picks < 100, "it went on where it was: {told}");
    let states = check_each_done_once(&cluster, store.path(), 100);
    assert_eq!(states.len(), 1, "no task ended in another way: {states:?}");
    assert!(!cluster.tasks().contains_key(&lost.get().name.to_string()), "Mesos never heard of {lost:?}");
    let job = jobs_in(store.path()).into_iter().find(|job| job.id == lost.get().job).expect("its job");
    assert_eq!((job.num_exes, job.tries), (2, 1), "it is no fault of the job: {job:?}");
}

#[test]
fn what_ran_on_an_agent_that_dies_runs_elsewhere() {
    const JOBS: u32 = 24;
    // It is given up after eight seconds: long enough for agents that are only slow.
    let pings = ["agent_ping_timeout=2secs", "max_agent_ping_timeouts=4"].map(|flag| ["--master-flag", flag]);
    let Some(cluster) = Cluster::start(&pings.concat()) else { return };
    let store = tempfile::tempdir().expect("a directory");
    let arguments = Arguments { n_jobs: JOBS, sleep: "6".into(), ..arguments(&cluster, store.path()) };
    let told = std::thread::scope(|scope| {
        let over = scope.spawn(|| run(arguments));
        until("a task that runs on agent-1", || {
            let state = cluster.state();
            let agents = state["slaves"].as_array().expect("agents");
            let agent = agents.iter().find(|agent| agent["hostname"] == "agent-1").expect("it is there");
            let runs = |task: &Value| task["slave_id"] == agent["id"] && task["state"] == "TASK_RUNNING";
            state["frameworks"][0]["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(runs))
        });
        let killed = cluster.command("mesos-ctl").args(["kill", "agent-1"]).status();
        assert!(killed.expect("mesos-ctl can be run").success());
        over.join().expect("no panic")
    });
    assert_eq!((told.n_jobs, told.n_completed), (u64::from(JOBS), u64::from(JOBS)));
    check_each_done_once(&cluster, store.path(), JOBS as usize);
    let n_again = jobs_in(store.path()).iter().filter(|job| job.num_exes > 1).count();
    assert!((1..=8).contains(&n_again), "an agent has room for 8: {n_again}");
    assert_eq!(told.launches, BTreeMap::from([(1, JOBS as usize + n_again)]));
}

/// One event after the other in chunks of `n` bytes.
fn chunked(events: &[Value], n: usize) -> Vec<u8> {
    let record = |text: String| format!("{}\n{text}", text.len());
    let records: Vec<String> = events.iter().map(Value::to_string).map(record).collect();
    let mut body = Vec::new();
    for chunk in records.concat().as_bytes().chunks(n) {
        write!(body, "{:x}\r\n", chunk.len()).expect("memory");
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

#[test]
fn events_are_read_wherever_their_chunks_are_cut() {
    let sent = [json!({ "type": "HEARTBEAT" }), json!({ "type": "OFFERS", "text": "two\r\nlines, ü" })];
    for n in 1..100 {
        let body = chunked(&sent, n);
        let mut events = Events::new(body.as_slice());
        for event in &sent {
            assert_eq!(events.next().expect("an event"), *event, "chunks of {n}");
        }
        events.next().expect_err("the body is over");
        // Cut off anywhere before, it is an error too, and no event that was not sent.
        let mut events = Events::new(&body[..body.len() - 8]);
        let read: Vec<Value> = std::iter::from_fn(|| events.next().ok()).collect();
        assert_eq!(read, sent[..1], "chunks of {n}");
    }
    for bad in ["x\r\n", "3\r\nabc\r\n", "5\r\n3\n{x}\r\n", "12\r\n99999999999999999\n\r\n"] {
        Events::new(bad.as_bytes()).next().expect_err(bad);
    }
}

#[test]
fn an_offer_is_its_parts_by_role_rounded_down() {
    let part =
        |name: &str, value: Value| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
    let mut reserved = part("cpus", json!(4));
    reserved["role"] = "web".into();
    let ports =
        json!({ "name": "ports", "type": "RANGES", "ranges": { "range": [{ "begin": 1, "end": 9 }] } });
    let parts = json!([
        part("cpus", json!(1.5)),
        ports,
        part("mem", json!(512)),
        part("cpus", json!(0.300_7)),
        reserved
    ]);
    let rack = json!({ "name": "rack", "type": "TEXT", "text": { "value": "r7" } });
    let floor = json!({ "name": "floor", "type": "SCALAR", "scalar": { "value": 2 } });
    let id = |text: &str| json!({ "value": text });
    let offer = json!({
        "id": id("o-1"), "agent_id": id("a-1"), "hostname": "h", "resources": parts, "attributes": [rack, floor],
    });
    let offer = offered(&offer).expect("amounts");
    assert_eq!((offer.id.as_str(), offer.agent.as_str(), offer.host.as_str()), ("o-1", "a-1", "h"));
    let amounts: Vec<String> =
        offer.amounts.iter().map(|part| format!("{} {}:{}", part.role, part.name, part.amount)).collect();
    assert_eq!(amounts, ["* cpus:1.5", "* mem:512", "* cpus:0.3", "web cpus:4"]);
    let attributes =
        [("floor", "2"), ("rack", "r7")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(offer.attributes, BTreeMap::from(attributes));
}

#[test]
fn a_state_is_told_by_who_is_at_fault() {
    let told = |word: &str, why: &str| state(&json!({ "state": word, "reason": why, "message": "m" }));
    let ended = |word: &str, why: &str| match told(word, why) {
        TaskState::Ended { outcome, .. } => outcome,
        other => panic!("{word}: {other:?}"),
    };
    for word in ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"] {
        assert_eq!(told(word, ""), TaskState::Running, "{word}");
    }
    assert!(ended("TASK_FINISHED", "REASON_RECONCILIATION").is_success());
    assert_eq!(ended("TASK_FAILED", "REASON_COMMAND_EXECUTOR_FAILED"), Outcome::Exited { code: 1 });
    assert_eq!(ended("TASK_FAILED", "REASON_MAX_COMPLETION_TIME_REACHED"), Outcome::TimedOut);
    assert_eq!(ended("TASK_KILLED", ""), Outcome::Canceled);
    assert!(matches!(ended("TASK_ERROR", "REASON_TASK_INVALID"), Outcome::NotStarted { .. }));
    for word in ["TASK_LOST", "TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_UNREACHABLE", "TASK_UNKNOWN"] {
        assert!(ended(word, "REASON_RECONCILIATION").is_system_fault(), "{word}");
    }
    assert!(ended("TASK_KILLED", "REASON_AGENT_DRAINING").is_system_fault());
    let dropped = told("TASK_DROPPED", "REASON_INVALID_OFFERS");
    assert_eq!(dropped, TaskState::Refused { reason: "TASK_DROPPED, REASON_INVALID_OFFERS: m".into() });
}
