//! `serve --mesos` on a real Mesos: a master and three agents, as processes of this machine.
//!
//! What Mesos knows of the tasks is asked of its master. Where it is missing, the tests that need a cluster say
//! that they are skipped.

#[path = "common/cluster.rs"]
mod cluster;
mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;

use cluster::Cluster;
use common::{Daemon, Place, jobs_in, until};
use serde_json::{Value, json};
use weighbridge::{FRAMEWORK_ID_FILE, Job, JobStatus};

/// A daemon on a cluster, with a type of job that sleeps.
struct Site {
    cluster: Cluster,
    place: Place,
    daemon: Option<Daemon>,
    /// Beside the address of the cluster.
    options: Vec<&'static str>,
}

impl Site {
    /// `None` where there is no Mesos.
    fn new(flags: &[&str], options: &[&'static str]) -> Option<Self> {
        let cluster = Cluster::start(flags)?;
        let mut site = Self { cluster, place: Place::new(), daemon: None, options: options.to_vec() };
        site.start();
        site.ask(&["job-type", "create", "nap", "--cpus", "0.5", "--mem", "32", "--", "sleep", "{seconds}"]);
        Some(site)
    }

    fn start(&mut self) {
        let args = [&["--store", "s", "--mesos", &self.cluster.master], self.options.as_slice()].concat();
        self.daemon = Some(Daemon::start(&self.place, &args));
    }

    fn ask(&self, args: &[&str]) -> Value {
        let daemon = self.daemon.as_ref().expect("it runs");
        daemon.ask(&self.place, &[&["--output", "json"], args].concat()).expect(0).json()
    }

    fn submit(&self, n: usize, seconds: &str) {
        let (n, seconds) = (n.to_string(), format!("seconds={seconds}"));
        self.ask(&["submit", "nap", "--count", &n, "--input", &seconds]);
    }

    fn is_done(&self) -> bool {
        let page = self.ask(&["jobs", "--status", "pending,blocked,queued,running", "--limit", "1"]);
        page["jobs"].as_array().is_some_and(Vec::is_empty)
    }

    fn ctl(&self, args: &[&str]) {
        let status = self.cluster.command("mesos-ctl").args(args).status();
        assert!(status.expect("mesos-ctl can be run").success(), "{args:?}");
    }

    /// The tasks that the master knows, of this framework.
    fn tasks(&self) -> BTreeMap<String, String> {
        let is_known = !self.cluster.state()["frameworks"][0].is_null();
        if is_known { self.cluster.tasks() } else { BTreeMap::new() }
    }

    fn n_tasks(&self, state: &str) -> usize {
        self.tasks().values().filter(|known| *known == state).count()
    }

    /// Ends the daemon and gives all jobs, each of which completed.
    fn end(mut self, n: usize) -> (Cluster, Vec<Job>) {
        until("all jobs", || self.is_done());
        assert!(self.daemon.take().expect("it runs").end().success());
        let jobs = jobs_in(&self.place.path("s"));
        assert_eq!(jobs.len(), n);
        assert!(jobs.iter().all(|job| job.status == JobStatus::Completed), "{jobs:#?}");
        (self.cluster, jobs)
    }
}

/// Holds that each job was one task, and no other one was.
fn check_once_each(cluster: &Cluster, jobs: &[Job]) {
    let tasks = cluster.tasks();
    assert!(tasks.values().all(|state| state == "TASK_FINISHED"), "{tasks:#?}");
    let of_jobs: Vec<String> = jobs
        .iter()
        .map(|job| {
            let launch = job.end.as_ref().expect("it ended").launch;
            format!("scale_job_local_{}x{}_{launch}", job.id, job.num_exes)
        })
        .collect();
    assert_eq!(of_jobs.len(), tasks.len(), "{tasks:#?}");
    assert!(of_jobs.iter().all(|id| tasks.contains_key(id)), "{of_jobs:#?} {tasks:#?}");
    assert!(jobs.iter().all(|job| job.tries <= 1), "{jobs:#?}");
}

#[test]
fn a_hundred_tasks_over_three_agents_run_once_each() {
    let Some(site) = Site::new(&[], &[]) else { return };
    site.submit(100, "0.2");
    until("a task", || !site.tasks().is_empty());
    let nodes = site.ask(&["nodes"]);
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(3), "{nodes}");
    let (cluster, jobs) = site.end(100);
    check_once_each(&cluster, &jobs);
    assert!(jobs.iter().all(|job| (job.num_exes, job.launches) == (1, 1)), "{jobs:#?}");
    let state = cluster.state();
    let framework = &state["frameworks"][0];
    assert_eq!((&framework["active"], &framework["checkpoint"]), (&false.into(), &true.into()), "it stays");
    assert_eq!(framework["offers"], json!([]), "no offer is kept from others: {framework:#}");
}

#[test]
fn a_daemon_that_is_killed_takes_its_tasks_up_again() {
    let Some(mut site) = Site::new(&[], &[]) else { return };
    site.submit(60, "1");
    for n_known in [1, 30] {
        until("tasks", || site.tasks().len() >= n_known);
        // Dropped, it is killed by force.
        site.daemon = None;
        site.start();
    }
    // A launch on record that had not left when its daemon was killed is another execution's, and no task.
    let (cluster, jobs) = site.end(60);
    check_once_each(&cluster, &jobs);
}

#[test]
fn what_ran_on_an_agent_that_dies_runs_elsewhere() {
    const JOBS: usize = 24;
    // It is given up after eight seconds: long enough for agents that are only slow.
    let pings = ["agent_ping_timeout=2secs", "max_agent_ping_timeouts=4"].map(|flag| ["--master-flag", flag]);
    let Some(site) = Site::new(&pings.concat(), &["--mesos-unreachable", "1s"]) else { return };
    site.submit(JOBS, "6");
    until("all of them", || site.n_tasks("TASK_RUNNING") == JOBS);
    site.ctl(&["kill", "agent-1"]);
    let (_, jobs) = site.end(JOBS);
    let again: Vec<&Job> = jobs.iter().filter(|job| job.num_exes > 1).collect();
    assert!((1..=8).contains(&again.len()), "an agent has room for 8: {again:#?}");
    assert!(again.iter().all(|job| (job.num_exes, job.tries) == (2, 1)), "no fault of theirs: {again:#?}");
}

#[test]
fn a_master_that_is_killed_and_comes_back_finds_all_that_runs() {
    let Some(site) = Site::new(&[], &[]) else { return };
    site.submit(24, "5");
    until("all of them", || site.n_tasks("TASK_RUNNING") == 24);
    site.ctl(&["kill", "master-0"]);
    site.ctl(&["start", "master-0"]);
    // It takes more when it is back.
    site.submit(6, "0.1");
    let (_, jobs) = site.end(30);
    assert!(jobs.iter().all(|job| (job.num_exes, job.launches) == (1, 1)), "{jobs:#?}");
}

/// Where a node of the cluster listens.
fn address(cluster: &Cluster, node: &str) -> String {
    let told = cluster.command("mesos-ctl").arg("status").output().expect("mesos-ctl can be run");
    let told = String::from_utf8(told.stdout).expect("text");
    let line =
        told.lines().find(|line| line.starts_with(node)).unwrap_or_else(|| panic!("no {node}: {told}"));
    line.split_whitespace().nth(1).expect("an address").to_owned()
}

#[test]
fn the_leader_is_found_from_any_master() {
    let Some(mut site) = Site::new(&["--masters", "2"], &[]) else { return };
    // One that is not there, and one that sends on to the leader.
    site.daemon = None;
    site.cluster.master = format!("127.0.0.1:1,{}", address(&site.cluster, "master-1"));
    site.start();
    site.submit(1, "0.1");
    until("the job", || site.is_done());
    // The leader ends, and the other one leads.
    site.ctl(&["promote", "master-1"]);
    site.submit(1, "0.1");
    until("the other job", || site.is_done());
}

#[test]
fn the_task_of_a_canceled_job_is_killed() {
    let Some(site) = Site::new(&[], &[]) else { return };
    site.submit(2, "600");
    until("both", || site.n_tasks("TASK_RUNNING") == 2);
    site.ask(&["cancel", "1"]);
    until("the end of one", || site.n_tasks("TASK_KILLED") == 1);
    assert_eq!(site.ask(&["job", "1"])["status"], "CANCELED");
    assert_eq!(
        (site.ask(&["job", "2"])["status"].clone(), site.n_tasks("TASK_RUNNING")),
        ("RUNNING".into(), 1)
    );
}

#[test]
fn a_task_that_fails_or_takes_too_long_is_told_as_such() {
    let Some(site) = Site::new(&[], &[]) else { return };
    let small = ["--cpus", "0.1", "--mem", "32", "--max-tries", "1"];
    site.ask(&[&["job-type", "create", "bad"], small.as_slice(), &["--", "sh", "-c", "exit 42"]].concat());
    site.ask(
        &[&["job-type", "create", "long"], small.as_slice(), &["--timeout", "1s", "--", "sleep", "600"]]
            .concat(),
    );
    site.ask(&["submit", "bad"]);
    site.ask(&["submit", "long"]);
    until("both", || site.is_done());
    assert_eq!(site.ask(&["job", "1"])["end"]["exit_code"], 42);
    assert_eq!(site.ask(&["job", "2"])["end"]["code"], "timeout");
}

/// Subscribes in place of whoever has that id.
fn replace(master: &str, id: &str) -> TcpStream {
    let info = json!({ "id": { "value": id }, "name": "other", "user": "root", "roles": ["*"],
        "failover_timeout": 600, "checkpoint": true,
        "capabilities": [{ "type": "MULTI_ROLE" }, { "type": "PARTITION_AWARE" }] });
    let body = json!({ "type": "SUBSCRIBE", "framework_id": { "value": id },
        "subscribe": { "framework_info": info, "force": true } });
    let (host, body) = (master.trim_start_matches("http://"), body.to_string());
    let mut stream = TcpStream::connect(host).expect("the master listens");
    let length = body.len();
    write!(
        stream,
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    stream
}

#[test]
fn a_daemon_that_is_replaced_stops_deciding_and_ends() {
    let Some(site) = Site::new(&[], &[]) else { return };
    until("an id", || site.place.path("s").join(FRAMEWORK_ID_FILE).exists());
    let id = site.place.read(&format!("s/{FRAMEWORK_ID_FILE}"));
    let pid = i32::try_from(site.daemon.as_ref().expect("it runs").id()).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    let _other = replace(&site.cluster.master, &id);
    let is_over = || {
        std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
            .map_or(true, |stat| stat.contains(") Z"))
    };
    until("the end of the daemon", is_over);
}

#[test]
fn what_cannot_be_asked_is_refused_in_words() {
    let place = Place::new();
    let serve =
        |args: &[&str]| place.run(&[&["serve", "--store", "s", "--listen", "127.0.0.1:0"], args].concat());
    serve(&["--mesos", "https://m:5050"]).expect(2).says("plain HTTP");
    serve(&["--mesos", "a b"]).expect(2).says("no address of a master");
    serve(&["--mesos", "m", "--driver", "local"]).expect(2).says("cannot be used with");
    serve(&["--mesos", "m", "--mesos-principal", "p"]).expect(2).says("--mesos-secret-file");
    serve(&["--mesos", "m", "--mesos-principal", "p", "--mesos-secret-file", "nothing"])
        .expect(1)
        .says("could not read the secret");
}
