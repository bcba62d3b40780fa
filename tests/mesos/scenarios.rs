//! One failure each, on a real cluster: what becomes of the tasks, and of whom it is the fault.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use weighbridge::{Engine, FRAMEWORK_ID_FILE, Job, JobStatus, Options, Outcome};

use crate::common::{Ended, Process, jobs_in, now, until};
use crate::site::{Site, check_once_each};

/// How many tasks of this framework the master has in `state`.
fn wait_for_tasks(site: &Site, n: usize, state: &str) {
    until(state, || site.n_tasks(state) == n);
}

/// Starts a daemon on a store, and gives what it says when it ends by itself.
fn end_of_daemon(site: &Site, store: &str) -> Ended {
    let args = ["serve", "--listen", "127.0.0.1:0", "--store", store, "--mesos", &site.cluster.master];
    site.place.run(&[args.as_slice(), &site.options].concat())
}

#[test]
fn a_framework_that_stayed_away_for_too_long_ends_with_the_words_of_the_master() {
    let Some(mut site) = Site::new(&[], &["--mesos-failover", "1s"]) else { return };
    site.submit(2, "600");
    wait_for_tasks(&site, 2, "TASK_RUNNING");
    site.daemon = None;
    until("its removal", || site.cluster.state()["frameworks"] == json!([]));
    end_of_daemon(&site, "s").expect(1).says("Framework has been removed");
    // What the help says: it starts anew, and what ran runs again.
    std::fs::rename(site.place.path("s").join(FRAMEWORK_ID_FILE), site.place.path("old-id"))
        .expect("it is there");
    site.start();
    until("both again", || {
        let state = site.cluster.state();
        let tasks = state["frameworks"][0]["tasks"].as_array().cloned().unwrap_or_default();
        tasks.iter().filter(|task| task["state"] == "TASK_RUNNING").count() == 2
    });
}

#[test]
fn offers_that_are_taken_back_are_used_no_more() {
    let Some(site) = Site::new(&["--master-flag", "offer_timeout=1secs"], &[]) else { return };
    // Nothing can use them, so they are held until they are taken back.
    site.ask(&["job-type", "create", "big", "--cpus", "100", "--mem", "32", "--", "true"]);
    site.ask(&["submit", "big"]);
    let id = site.place.read(&format!("s/{FRAMEWORK_ID_FILE}"));
    let rescinded = format!("master/frameworks/weighbridge/{}/offers/rescinded", id.trim());
    let n_rescinded = || site.get("/metrics/snapshot").ok().and_then(|all| all[&rescinded].as_f64());
    until("offers to be taken back", || n_rescinded() >= Some(3.0));
    for _ in 0..10 {
        site.submit(5, "0.1");
        std::thread::sleep(Duration::from_millis(150));
    }
    site.ask(&["cancel", "1"]);
    until("all jobs", || site.is_done());
    let Site { cluster, place, daemon, .. } = site;
    assert!(daemon.expect("it runs").end().success());
    let mut jobs = jobs_in(&place.path("s"));
    jobs.remove(0);
    assert_eq!(jobs.len(), 50);
    assert!(jobs.iter().all(|job| job.num_exes == 1), "{jobs:#?}");
    check_once_each(&cluster, &jobs);
}

#[test]
fn what_runs_on_an_agent_that_freezes_for_a_while_runs_on() {
    let Some(site) = Site::new(&["--fast-failure"], &["--mesos-unreachable", "1m"]) else { return };
    site.submit(24, "9");
    wait_for_tasks(&site, 24, "TASK_RUNNING");
    site.ctl(&["kill", "agent-1", "STOP"]);
    wait_for_tasks(&site, 8, "TASK_UNREACHABLE");
    site.ctl(&["kill", "agent-1", "CONT"]);
    let (cluster, jobs) = site.end(24);
    check_once_each(&cluster, &jobs);
    assert!(jobs.iter().all(|job| (job.num_exes, job.launches) == (1, 1)), "{jobs:#?}");
}

#[test]
fn what_runs_on_an_agent_that_starts_anew_runs_on() {
    let Some(site) = Site::new(&[], &[]) else { return };
    site.submit(12, "6");
    wait_for_tasks(&site, 12, "TASK_RUNNING");
    for agent in ["agent-0", "agent-1", "agent-2"] {
        site.ctl(&["kill", agent]);
        until("its end", || site.try_ctl(&["start", agent]));
    }
    let (cluster, jobs) = site.end(12);
    check_once_each(&cluster, &jobs);
    assert!(jobs.iter().all(|job| (job.num_exes, job.launches) == (1, 1)), "{jobs:#?}");
}

#[test]
fn what_ran_on_an_agent_that_is_drained_runs_elsewhere_and_uses_up_no_try() {
    let Some(site) = Site::new(&[], &[]) else { return };
    site.submit(12, "6");
    wait_for_tasks(&site, 12, "TASK_RUNNING");
    let state = site.cluster.state();
    let tasks = state["frameworks"][0]["tasks"].as_array().expect("a list");
    // Two of the three agents may have got them all, and have room for all of one.
    let agent = &tasks[0]["slave_id"];
    let n_there = tasks.iter().filter(|task| task["slave_id"] == *agent).count();
    let agent = json!({ "value": agent });
    site.operate(&json!({ "type": "DRAIN_AGENT", "drain_agent": { "agent_id": agent } })).expect("drained");
    let place = site.place.path("s");
    until("all jobs", || site.is_done());
    let Site { daemon, place: _place, .. } = site;
    assert!(daemon.expect("it runs").end().success());
    let jobs = jobs_in(&place);
    let again: Vec<&Job> = jobs.iter().filter(|job| job.num_exes > 1).collect();
    assert_eq!(again.len(), n_there, "{again:#?}");
    let engine = Engine::open(place, Options::default()).expect("the store opens");
    for job in again {
        assert_eq!((job.num_exes, job.tries), (2, 1), "{job:#?}");
        let first = engine.job_executions(job).pop().expect("an execution").end.expect("it ended");
        let Outcome::Lost { reason } = &first.outcome else { panic!("{first:?}") };
        assert!(reason.contains("REASON_AGENT_DRAINING"), "{reason}");
    }
}

/// A daemon whose files may not grow beyond what the largest is now, and its address.
fn start_with_a_full_disk(site: &Site) -> (Process, String) {
    let files = std::fs::read_dir(site.place.path("s")).expect("a store");
    let largest = files.map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).max();
    let blocks = largest.expect("files") / 1024 + 64;
    let store = ["serve", "--listen", "127.0.0.1:0", "--store", "s", "--output", "json"];
    let serve = site.place.command(&[store.as_slice(), &["--mesos", &site.cluster.master]].concat());
    let mut limited = Command::new("bash");
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -Sf {blocks}; exec \"$0\" \"$@\""));
    limited.arg(serve.get_program()).args(serve.get_args()).current_dir(site.place.path("."));
    let out = std::fs::File::create(site.place.path("line")).expect("writable");
    let daemon = Process::start_to(limited, out);
    until("its address", || site.place.read("line").contains('\n'));
    let line: Value = serde_json::from_str(&site.place.read("line")).expect("JSON");
    (daemon, line["url"].as_str().expect("an address").to_owned())
}

#[test]
fn while_the_log_takes_nothing_nothing_is_launched_and_no_end_is_acknowledged() {
    let Some(mut site) = Site::new(&[], &[]) else { return };
    site.ask(&["job-type", "create", "big", "--cpus", "100", "--mem", "32", "--", "echo", "{pad}"]);
    assert!(site.daemon.take().expect("it runs").end().success());
    let (daemon, url) = start_with_a_full_disk(&site);
    let submit = |args: &[&str]| {
        let mut command = site.place.command(&[&["submit"], args].concat());
        Process::start({
            command.env("WEIGHBRIDGE_SERVER", &url);
            command
        })
    };
    submit(&["nap", "--count", "30", "--input", "seconds=4"]).wait().expect(0);
    wait_for_tasks(&site, 24, "TASK_RUNNING");
    // What fills the log never runs. Once there is no room, nobody is told that a job was taken.
    let pad = format!("pad={}", "x".repeat(4_000));
    let is_taken = |mut process: Process| {
        let end = now() + Duration::from_secs(1);
        while now() < end && !process.is_over() {
            std::thread::sleep(Duration::from_millis(10));
        }
        process.is_over()
    };
    until("a log that is full", || !is_taken(submit(&["big", "--input", &pad])));
    let known = || {
        let state = site.cluster.state();
        let tasks = state["frameworks"][0]["tasks"].as_array().cloned().unwrap_or_default();
        tasks.iter().filter(|task| task["state"] == "TASK_FINISHED").count()
    };
    // A master has an end among its tasks until it is acknowledged.
    until("all ends", || known() == 24);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((known(), site.tasks().len()), (24, 24), "no acknowledgement, no launch");
    drop(daemon);
    site.start();
    let left = ["jobs", "--status", "queued,running", "--job-type", "nap", "--limit", "1"];
    until("all naps", || site.ask(&left)["jobs"] == json!([]));
    assert!(site.daemon.take().expect("it runs").end().success());
    let mut jobs = jobs_in(&site.place.path("s"));
    jobs.retain(|job| job.status != JobStatus::Queued);
    assert_eq!(jobs.len(), 30);
    assert!(jobs.iter().all(|job| job.status == JobStatus::Completed && job.num_exes == 1), "{jobs:#?}");
    check_once_each(&site.cluster, &jobs);
}

#[test]
fn a_store_that_is_an_older_copy_leaves_the_tasks_of_the_newer_one_alone() {
    let Some(mut site) = Site::new(&[], &[]) else { return };
    until("an id", || site.place.path("s").join(FRAMEWORK_ID_FILE).exists());
    assert!(site.daemon.take().expect("it runs").end().success());
    let copied = Command::new("cp").arg("-r").args([site.place.path("s"), site.place.path("copy")]).status();
    assert!(copied.expect("cp").success());
    site.start();
    site.submit(3, "5");
    wait_for_tasks(&site, 3, "TASK_RUNNING");
    site.daemon = None;
    end_of_daemon(&site, "copy").expect(1).says("older copy");
    assert_eq!(site.n_tasks("TASK_RUNNING"), 3, "they are left alone");
    site.start();
    let (cluster, jobs) = site.end(3);
    check_once_each(&cluster, &jobs);
    assert!(jobs.iter().all(|job| (job.num_exes, job.launches) == (1, 1)), "{jobs:#?}");
}

#[test]
fn a_job_that_is_canceled_as_its_task_ends_is_over_once() {
    let Some(site) = Site::new(&[], &[]) else { return };
    site.submit(20, "0.8");
    // Some are over by then, some end meanwhile.
    until("all of them", || site.tasks().len() == 20);
    std::thread::sleep(Duration::from_millis(500));
    for job in 1..=20 {
        let _ = site.daemon.as_ref().expect("it runs").ask(&site.place, &["cancel", &job.to_string()]);
    }
    until("all jobs", || site.is_done());
    until("no task", || {
        let over = ["TASK_FINISHED", "TASK_KILLED"];
        site.tasks().values().all(|state| over.contains(&state.as_str()))
    });
    let Site { place, daemon, .. } = site;
    assert!(daemon.expect("it runs").end().success());
    let jobs = jobs_in(&place.path("s"));
    let n = |status| jobs.iter().filter(|job| job.status == status).count();
    let (completed, canceled) = (n(JobStatus::Completed), n(JobStatus::Canceled));
    println!("{completed} completed, {canceled} canceled");
    assert_eq!(completed + canceled, 20, "{jobs:#?}");
    assert!(jobs.iter().all(|job| job.num_exes <= 1), "{jobs:#?}");
}
