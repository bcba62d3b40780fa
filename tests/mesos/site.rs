//! A daemon on a real cluster, and what is asked of both.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use serde_json::Value;
use weighbridge::{Job, JobStatus};

use crate::cluster::{self, Cluster};
use crate::common::{Daemon, Place, jobs_in, until};

/// A daemon on a cluster, with a type of job that sleeps.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    pub(crate) place: Place,
    pub(crate) daemon: Option<Daemon>,
    /// Beside the address of the cluster.
    pub(crate) options: Vec<&'static str>,
}

impl Site {
    /// `None` where there is no Mesos.
    pub(crate) fn new(flags: &[&str], options: &[&'static str]) -> Option<Self> {
        let cluster = Cluster::start(flags)?;
        let mut site = Self { cluster, place: Place::new(), daemon: None, options: options.to_vec() };
        site.start();
        site.ask(&["job-type", "create", "nap", "--cpus", "0.5", "--mem", "32", "--", "sleep", "{seconds}"]);
        Some(site)
    }

    pub(crate) fn start(&mut self) {
        let args = [&["--store", "s", "--mesos", &self.cluster.master], self.options.as_slice()].concat();
        self.daemon = Some(Daemon::start(&self.place, &args));
    }

    pub(crate) fn ask(&self, args: &[&str]) -> Value {
        let daemon = self.daemon.as_ref().expect("it runs");
        daemon.ask(&self.place, &[&["--output", "json"], args].concat()).expect(0).json()
    }

    pub(crate) fn submit(&self, n: usize, seconds: &str) {
        let (n, seconds) = (n.to_string(), format!("seconds={seconds}"));
        self.ask(&["submit", "nap", "--count", &n, "--input", &seconds]);
    }

    pub(crate) fn is_done(&self) -> bool {
        let page = self.ask(&["jobs", "--status", "pending,blocked,queued,running", "--limit", "1"]);
        page["jobs"].as_array().is_some_and(Vec::is_empty)
    }

    pub(crate) fn ctl(&self, args: &[&str]) {
        assert!(self.try_ctl(args), "{args:?}");
    }

    /// False where it cannot be done now.
    pub(crate) fn try_ctl(&self, args: &[&str]) -> bool {
        self.cluster.command("mesos-ctl").args(args).status().expect("mesos-ctl can be run").success()
    }

    /// The master that leads: its name and its address.
    pub(crate) fn leader(&self) -> (String, String) {
        let told = status(&self.cluster);
        let line = told.lines().find(|line| line.ends_with(" leader")).expect("one leads");
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().expect("a name"), words.next().expect("an address"))
    }

    /// What the leader tells under `path`.
    pub(crate) fn get(&self, path: &str) -> io::Result<Value> {
        cluster::get(&self.leader().1, path)
    }

    /// Has an operator call something at the leader.
    pub(crate) fn operate(&self, call: &Value) -> io::Result<String> {
        cluster::operate(&self.leader().1, call)
    }

    /// The id of an agent, where the leader knows it.
    pub(crate) fn agent_id(&self, host: &str) -> Option<String> {
        let known = self.get("/master/slaves").ok()?;
        let agent = known["slaves"].as_array()?.iter().find(|agent| agent["hostname"] == host)?;
        agent["id"].as_str().map(str::to_owned)
    }

    /// The processes of tasks and their executors, told by their sandbox.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mark = format!("MESOS_DIRECTORY={}/", self.cluster.directory().display());
        let all = std::fs::read_dir("/proc").expect("processes are listed");
        let paths = all.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        let is_ours = |path: &PathBuf| {
            let variables = std::fs::read(path.join("environ")).unwrap_or_default();
            variables.split(|&byte| byte == 0).any(|variable| variable.starts_with(mark.as_bytes()))
        };
        paths.filter(is_ours).map(|path| path.display().to_string()).collect()
    }

    /// The tasks that the master knows, of this framework.
    pub(crate) fn tasks(&self) -> BTreeMap<String, String> {
        let is_known = !self.cluster.state()["frameworks"][0].is_null();
        if is_known { self.cluster.tasks() } else { BTreeMap::new() }
    }

    pub(crate) fn n_tasks(&self, state: &str) -> usize {
        self.tasks().values().filter(|known| *known == state).count()
    }

    /// Ends the daemon and gives all jobs, each of which completed.
    pub(crate) fn end(mut self, n: usize) -> (Cluster, Vec<Job>) {
        until("all jobs", || self.is_done());
        assert!(self.daemon.take().expect("it runs").end().success());
        let jobs = jobs_in(&self.place.path("s"));
        assert_eq!(jobs.len(), n);
        assert!(jobs.iter().all(|job| job.status == JobStatus::Completed), "{jobs:#?}");
        (self.cluster, jobs)
    }
}

/// Holds that each job was one task, and no other one was.
pub(crate) fn check_once_each(cluster: &Cluster, jobs: &[Job]) {
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

/// Where a node of the cluster listens.
pub(crate) fn address(cluster: &Cluster, node: &str) -> String {
    let told = status(cluster);
    let line =
        told.lines().find(|line| line.starts_with(node)).unwrap_or_else(|| panic!("no {node}: {told}"));
    line.split_whitespace().nth(1).expect("an address").to_owned()
}

/// A line for each node.
fn status(cluster: &Cluster) -> String {
    let told = cluster.command("mesos-ctl").arg("status").output().expect("mesos-ctl can be run");
    String::from_utf8(told.stdout).expect("text")
}
