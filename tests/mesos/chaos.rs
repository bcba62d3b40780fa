//! Everything fails at once: agents are killed, frozen and drained, masters killed and deposed, and the daemon is
//! killed every few seconds. Every job ends COMPLETED exactly once all the same.
//!
//! Each task tells its start and its end in a file that no agent and no daemon has a part in. What ran twice is held
//! against the store: an execution before must have been lost there, for a reason that Mesos gave. Each leaves its name
//! as an output, which is to be that of the execution that counts.
//!
//! What happens when is drawn from a seed, which is printed. `WEIGHBRIDGE_MESOS_SEED` repeats a run (the draws, not
//! the moments: a cluster takes its time), `WEIGHBRIDGE_MESOS_TASKS` makes it longer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weighbridge::{Engine, ExecutionRecord, Job, JobStatus, Options, Outcome};

use crate::common::draw::{Draw, from_env};
use crate::common::{jobs_in, now, until};
use crate::kit;
use crate::site::{Site, address};

/// Tasks where nothing else is asked for.
const TASKS: u64 = 150;

const AGENTS: u64 = 5;

/// How many agents may be away at once.
const AWAY_MAX: usize = 2;

/// How long what is left may take once nothing fails any more.
const REST: Duration = Duration::from_mins(2);

/// How long what was told lately may take to arrive.
const SETTLED: Duration = Duration::from_secs(5);

/// The waits between two failures, and how long what failed is away.
const PAUSE_MAX: Duration = Duration::from_millis(2_500);
const AWAY_MIN: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_secs(7);

/// Between two ends of the daemon.
const LIFE_MAX: Duration = Duration::from_secs(6);

/// Words of Mesos for what nobody can answer for any more.
const OF_MESOS: [&str; 5] = ["TASK_UNREACHABLE", "TASK_UNKNOWN", "TASK_LOST", "TASK_GONE", "REASON_"];

#[derive(Clone, Copy, Debug)]
enum Failure {
    KillAgent,
    FreezeAgent,
    DrainAgent,
    KillMaster,
    Promote,
}

/// A round of them: agents fail more often than masters.
const FAILURES: [Failure; 7] = [
    Failure::KillAgent,
    Failure::KillAgent,
    Failure::FreezeAgent,
    Failure::FreezeAgent,
    Failure::DrainAgent,
    Failure::KillMaster,
    Failure::Promote,
];

#[derive(Clone, Debug)]
enum Repair {
    Start(String),
    Continue(String),
    Reactivate(String),
}

/// A job that tells its start and its end in a file of that folder, and leaves its name.
fn manifest(folder: &str) -> Value {
    let command = format!(
        r#"job=${{MESOS_EXECUTOR_ID##*_local_}}; file={folder}/${{job%%x*}}; echo "start $MESOS_EXECUTOR_ID" >> $file;
           sleep $SECONDS; echo "{{\"TASK\": \"$MESOS_EXECUTOR_ID\"}}" > seed.outputs.json; echo "end $MESOS_EXECUTOR_ID" >> $file"#
    );
    let mut manifest = kit::manifest("mark", &[], &[]);
    let job = &mut manifest["job"];
    job["interface"] = json!({ "command": command,
        "inputs": { "json": [{ "name": "SECONDS", "type": "number" }] },
        "outputs": { "json": [{ "name": "TASK", "type": "string" }] } });
    manifest
}

struct Chaos {
    site: Site,
    /// What is submitted, when the daemon ends, and what else fails: none depends on how fast another one is.
    jobs: Draw,
    lives: Draw,
    failures: Draw,
    /// What is away, until when, and how it comes back.
    away: Vec<(Instant, Repair)>,
    /// The failures that are still to come in this round.
    deck: Vec<Failure>,
    /// How often each thing happened.
    counts: BTreeMap<String, u64>,
    n_submitted: u64,
}

impl Chaos {
    fn new() -> Option<Self> {
        let seed = Draw::by("WEIGHBRIDGE_MESOS_SEED", 0).next();
        let [jobs, lives, failures] = [1, 2, 3].map(|salt| Draw::from(seed ^ salt));
        let agents = AGENTS.to_string();
        let flags = ["--masters", "2", "--agents", &agents, "--fast-failure", "--log-level", "WARNING"];
        let more = ["--resources", "cpus:4;mem:4096;disk:1000", "--allocation-interval", "200ms"];
        let mut site = Site::new(&[flags.as_slice(), &more].concat(), &["--mesos-unreachable", "2s"])?;
        // The daemon is to know all masters.
        let other = address(&site.cluster, "master-1");
        site.daemon = None;
        site.cluster.master = format!("{},{other}", site.cluster.master);
        site.start();
        std::fs::create_dir(site.place.path("ran")).expect("writable");
        site.place.write("mark.json", &manifest(&site.place.path("ran").display().to_string()).to_string());
        site.ask(&["job-type", "create", "--manifest", "mark.json"]);
        let (away, deck, counts) = (Vec::new(), Vec::new(), BTreeMap::new());
        Some(Self { site, jobs, lives, failures, away, deck, counts, n_submitted: 0 })
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    fn submit(&mut self, n: u64) {
        let seconds = format!("SECONDS={}.{}", self.jobs.next() % 3, 1 + self.jobs.next() % 9);
        self.site.ask(&["submit", "mark", "--count", &n.to_string(), "--input", &seconds]);
        self.n_submitted += n;
    }

    /// Dropped, it is killed by force.
    fn kill_daemon(&mut self) {
        self.site.daemon = None;
        self.count("daemons killed");
        std::thread::sleep(self.lives.within(Duration::from_secs(1)));
        self.site.start();
    }

    fn fail(&mut self) {
        if self.deck.is_empty() {
            self.deck = FAILURES.to_vec();
        }
        let next = self.failures.next() % self.deck.len() as u64;
        let failure = self.deck.swap_remove(usize::try_from(next).expect("small"));
        println!("{failure:?}");
        match failure {
            Failure::KillMaster => {
                let leader = self.site.leader().0;
                self.site.ctl(&["kill", &leader]);
                std::thread::sleep(self.failures.within(Duration::from_secs(2)));
                self.site.ctl(&["start", &leader]);
                self.count("masters killed");
            }
            Failure::Promote => {
                let leader = self.site.leader().0;
                let other = if leader == "master-0" { "master-1" } else { "master-0" };
                self.site.ctl(&["promote", other]);
                // It ends by itself.
                until("the old leader's end", || self.site.try_ctl(&["start", &leader]));
                self.count("masters deposed");
            }
            Failure::KillAgent | Failure::FreezeAgent | Failure::DrainAgent => self.fail_agent(failure),
        }
    }

    fn fail_agent(&mut self, failure: Failure) {
        let agent = format!("agent-{}", self.failures.next() % AGENTS);
        let is_away = self.away.iter().any(|(_, repair)| repair.agent() == agent);
        if is_away || self.away.len() >= AWAY_MAX {
            return;
        }
        let repair = match failure {
            Failure::KillAgent => {
                self.site.ctl(&["kill", &agent]);
                self.count("agents killed");
                Repair::Start(agent)
            }
            Failure::FreezeAgent => {
                self.site.ctl(&["kill", &agent, "STOP"]);
                self.count("agents frozen");
                Repair::Continue(agent)
            }
            _ => {
                let Some(id) = self.site.agent_id(&agent) else { return };
                let grace = json!({ "nanoseconds": 1_000_000_000_u64 });
                let drain = json!({ "type": "DRAIN_AGENT",
                    "drain_agent": { "agent_id": { "value": id }, "max_grace_period": grace } });
                if let Err(error) = self.site.operate(&drain) {
                    println!("not drained: {error}");
                    return;
                }
                self.count("agents drained");
                Repair::Reactivate(agent)
            }
        };
        let until = now() + AWAY_MIN + self.failures.within(AWAY);
        self.away.push((until, repair));
    }

    /// Brings back what was away for long enough, or all of it.
    fn repair(&mut self, is_all: bool) {
        let (now, away) = (now(), std::mem::take(&mut self.away));
        for (until, repair) in away {
            let is_back = (until <= now || is_all)
                && match &repair {
                    Repair::Start(agent) => self.site.try_ctl(&["start", agent]),
                    Repair::Continue(agent) => self.site.try_ctl(&["kill", agent, "CONT"]),
                    Repair::Reactivate(agent) => self.reactivate(agent),
                };
            if !is_back {
                self.away.push((until, repair));
            }
        }
    }

    /// A master that leads only since then may not have heard of it yet, or not that it was drained.
    fn reactivate(&self, agent: &str) -> bool {
        let Some(id) = self.site.agent_id(agent) else { return false };
        let call = json!({ "type": "REACTIVATE_AGENT", "reactivate_agent": { "agent_id": { "value": id } } });
        self.site.operate(&call).map_or_else(|error| error.to_string().starts_with("HTTP/1.1 400"), |_| true)
    }

    /// Fails until all is over, or for long enough.
    fn run(&mut self, n: u64) {
        let end =
            now() + Duration::from_secs(25) + Duration::from_millis(200) * u32::try_from(n).expect("few");
        let (mut next_kill, mut next_failure) = (now() + LIFE_MAX / 2, now() + PAUSE_MAX);
        while now() < end && (self.n_submitted < n || !self.site.is_done()) {
            if self.n_submitted < n {
                self.submit((n / 15).clamp(1, n - self.n_submitted));
            }
            if next_kill <= now() {
                self.kill_daemon();
                next_kill = now() + self.lives.within(LIFE_MAX);
            }
            if next_failure <= now() {
                self.fail();
                next_failure = now() + self.failures.within(PAUSE_MAX);
            }
            self.repair(false);
            std::thread::sleep(Duration::from_millis(200));
        }
        let left = n - self.n_submitted;
        if left > 0 {
            self.submit(left);
        }
        until("all that was away", || {
            self.repair(true);
            self.away.is_empty()
        });
    }
}

impl Repair {
    fn agent(&self) -> &str {
        let (Self::Start(agent) | Self::Continue(agent) | Self::Reactivate(agent)) = self;
        agent
    }
}

/// Holds that neither the master nor an agent has anything left of the framework.
fn check_nothing_is_left(site: &Site) {
    let metric = |name: &str| site.get("/metrics/snapshot").ok().and_then(|all| all[name].as_f64());
    for name in ["outstanding_offers", "tasks_running", "tasks_staging", "tasks_starting", "tasks_killing"] {
        let name = format!("master/{name}");
        until(&name, || metric(&name) == Some(0.0));
    }
    until("a framework without offers", || {
        let state = site.get("/master/state").unwrap_or_default();
        state["frameworks"][0]["offers"] == json!([]) && state["frameworks"][0]["active"] == true
    });
    until("the end of all processes of tasks", || site.processes().is_empty());
}

/// The tasks that told their start, and those that told their end, by job.
fn ran(site: &Site, job: &Job) -> (Vec<String>, Vec<String>) {
    let text = std::fs::read_to_string(site.place.path("ran").join(job.id.to_string())).unwrap_or_default();
    let of =
        |word: &str| text.lines().filter_map(|line| line.strip_prefix(word)).map(str::to_owned).collect();
    (of("start "), of("end "))
}

/// Why an execution was lost, in a word or two of Mesos; none where it was not.
fn loss(record: &ExecutionRecord) -> Option<String> {
    let Outcome::Lost { reason } = &record.end.as_ref()?.outcome else { return None };
    assert!(OF_MESOS.iter().any(|word| reason.contains(word)), "no reason of Mesos: {record:?}");
    Some(reason.split(':').next().unwrap_or_default().to_owned())
}

/// Holds what a job must have come to, given its executions, the newest first; tells what it took.
fn check(site: &Site, engine: &Engine, job: &Job, took: &mut Took) {
    let records = engine.job_executions(job);
    assert_eq!(job.status, JobStatus::Completed, "{job:#?}");
    let end = job.end.as_ref().expect("it ended");
    assert_eq!((end.exe_num, &end.outcome), (job.num_exes, &Outcome::Exited { code: 0 }), "{job:#?}");
    assert!(job.tries <= 1, "a fault of the cluster uses no try: {job:#?} {records:#?}");
    let (starts, ends) = ran(site, job);
    let name = |exe_num: u32, launch| format!("scale_job_local_{}x{exe_num}_{launch}", job.id);
    // Each task began once, and the one that counts came to its end.
    let once: BTreeSet<&String> = starts.iter().collect();
    assert_eq!(once.len(), starts.len(), "a task that began twice: {starts:?}");
    assert!(ends.contains(&name(job.num_exes, end.launch)), "{job:#?} {starts:?} {ends:?}");
    let left = |exe_num| engine.job_output(job.id, exe_num).map(|output| output.output.to_string());
    let own = json!({ "files": {}, "json": { "TASK": name(job.num_exes, end.launch) } });
    assert_eq!(left(job.num_exes), Some(own.to_string()), "{job:#?}");
    assert!((1..job.num_exes).all(|exe_num| left(exe_num).is_none()), "of what counts alone: {job:#?}");
    let mut may_run = BTreeSet::from([name(job.num_exes, end.launch)]);
    for record in records.iter().filter(|record| record.exe_num < job.num_exes) {
        let why = loss(record).unwrap_or_else(|| panic!("{record:#?} was not lost, and there is a next one"));
        let launch = record.end.as_ref().expect("it was lost").launch;
        may_run.insert(name(record.exe_num, launch));
        *took.losses.entry(why).or_default() += 1;
    }
    assert!(starts.iter().all(|task| may_run.contains(task)), "{starts:?}, of {may_run:?}: {records:#?}");
    took.n_executions += u64::from(job.num_exes);
    took.n_refused += u64::from(job.launches - 1);
    took.n_twice += u64::from(starts.len() > 1);
    took.n_ended_twice += u64::from(ends.len() > 1);
}

/// What all of it took.
#[derive(Debug, Default)]
struct Took {
    n_executions: u64,
    /// Launches of a last execution that were refused.
    n_refused: u64,
    /// Jobs whose program began, or ended, more than once.
    n_twice: u64,
    n_ended_twice: u64,
    losses: BTreeMap<String, u64>,
}

/// The tasks that the master has as running. Left out are those whose program has ended where `is_alive`.
fn running(site: &Site, is_alive: bool) -> Vec<String> {
    let state = site.get("/master/state").unwrap_or_default();
    let tasks = state["frameworks"][0]["tasks"].as_array().cloned().unwrap_or_default();
    let names =
        tasks.iter().filter(|task| task["state"] == "TASK_RUNNING").filter_map(|task| task["id"].as_str());
    let has_ended = |task: &str| {
        let job = task.trim_start_matches("scale_job_local_").split('x').next().unwrap_or_default();
        let text = std::fs::read_to_string(site.place.path("ran").join(job)).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("end ") == Some(task))
    };
    names.filter(|task| !is_alive || !has_ended(task)).map(str::to_owned).collect()
}

/// Waits for the end of all jobs, and tells how it stands where that does not come.
///
/// Executors of this Mesos tell an end once: one that comes while their agent is recovering is told when the agent
/// starts again. So it does, where nothing else is left.
fn wait(site: &Site, counts: &mut BTreeMap<String, u64>) {
    let (end, mut next_start) = (now() + REST, now() + SETTLED);
    loop {
        let (all, alive) = (running(site, false), running(site, true));
        if site.is_done() && all.is_empty() {
            return;
        }
        if now() > end {
            let left = site.ask(&["jobs", "--status", "pending,blocked,queued,running", "--limit", "3"]);
            println!("{left:#} {all:?} {alive:?} {:#}", site.ask(&["nodes"]));
            panic!("all jobs: not within {REST:?}");
        }
        if now() > next_start && alive.is_empty() && !all.is_empty() {
            println!("ends that were not told: {all:?}");
            for agent in (0..AGENTS).map(|number| format!("agent-{number}")) {
                site.ctl(&["kill", &agent]);
                until("its end", || site.try_ctl(&["start", &agent]));
            }
            *counts.entry("restarts for ends that were not told".to_owned()).or_default() += 1;
            next_start = now() + SETTLED;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn everything_fails_and_each_job_completes_once() {
    let n = from_env("WEIGHBRIDGE_MESOS_TASKS").unwrap_or(TASKS);
    let Some(mut chaos) = Chaos::new() else { return };
    let began = now();
    chaos.run(n);
    let of_chaos = began.elapsed();
    let Chaos { mut site, mut counts, .. } = chaos;
    wait(&site, &mut counts);
    let of_all = began.elapsed();
    check_nothing_is_left(&site);
    assert!(site.daemon.take().expect("it runs").end().success());
    let jobs = jobs_in(&site.place.path("s"));
    assert_eq!(jobs.len() as u64, n);
    let engine = Engine::open(site.place.path("s"), Options::default()).expect("the store opens");
    let mut took = Took::default();
    for job in &jobs {
        check(&site, &engine, job, &mut took);
    }
    println!("{n} tasks over {AGENTS} agents: {of_chaos:.1?} of failures, {of_all:.1?} in all");
    println!("{counts:#?} {took:#?}");
}
