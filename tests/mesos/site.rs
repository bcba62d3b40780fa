//! A daemon on a real cluster, and what is asked of both.

use std::collections::BTreeMap;

use serde_json::Value;
use weighbridge::{Job, JobStatus};

use crate::cluster::Cluster;
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
        let status = self.cluster.command("mesos-ctl").args(args).status();
        assert!(status.expect("mesos-ctl can be run").success(), "{args:?}");
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
    let told = cluster.command("mesos-ctl").arg("status").output().expect("mesos-ctl can be run");
    let told = String::from_utf8(told.stdout).expect("text");
    let line =
        told.lines().find(|line| line.starts_with(node)).unwrap_or_else(|| panic!("no {node}: {told}"));
    line.split_whitespace().nth(1).expect("an address").to_owned()
}
