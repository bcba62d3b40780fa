//! `serve --mesos` on a real Mesos: a master and three agents, as processes of this machine.
//!
//! What Mesos knows of the tasks is asked of its master. Where it is missing, the tests that need a cluster say
//! that they are skipped.

#[path = "mesos/chaos.rs"]
mod chaos;
#[path = "common/cluster.rs"]
mod cluster;
mod common;
#[path = "mesos/corners.rs"]
mod corners;
#[path = "common/fake_master.rs"]
mod fake_master;
#[expect(dead_code, reason = "shared with tests/api.rs")]
#[path = "common/http.rs"]
mod http;
#[expect(dead_code, reason = "shared with tests/recipes.rs")]
#[path = "common/recipes.rs"]
mod kit;
#[path = "mesos/launch.rs"]
mod launch;
#[path = "mesos/logs.rs"]
mod logs;
#[path = "mesos/outputs.rs"]
mod outputs;
#[path = "mesos/scenarios.rs"]
mod scenarios;
#[path = "mesos/site.rs"]
mod site;
#[path = "mesos/surroundings.rs"]
mod surroundings;
#[path = "mesos/told.rs"]
mod told;

use std::io::Write;
use std::net::TcpStream;

use common::{Place, until};
use serde_json::json;
use site::{Site, address, check_once_each};
use weighbridge::{FRAMEWORK_ID_FILE, Job};

#[test]
fn a_hundred_tasks_over_three_agents_run_once_each() {
    let Some(site) = Site::new(&[], &[]) else { return };
    site.submit(100, "0.2");
    until("a task", || !site.tasks().is_empty());
    let nodes = site.ask(&["nodes"]);
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(3), "{nodes}");
    until("all jobs", || site.is_done());
    // While it is there: one that is gone has no offers anyway.
    until("no offer that is kept from others", || {
        let state = site.cluster.state();
        // What the last tasks had may be offered just now, and is declined a moment later.
        let metrics = site.get("/metrics/snapshot").expect("the master answers");
        state["frameworks"][0]["active"] == true
            && state["frameworks"][0]["offers"] == json!([])
            && metrics["master/outstanding_offers"] == 0.0
    });
    let (cluster, jobs) = site.end(100);
    check_once_each(&cluster, &jobs);
    assert!(jobs.iter().all(|job| (job.num_exes, job.launches) == (1, 1)), "{jobs:#?}");
    let state = cluster.state();
    let framework = &state["frameworks"][0];
    assert_eq!((&framework["active"], &framework["checkpoint"]), (&false.into(), &true.into()), "it stays");
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
    place.write("secret", "hush\n");
    serve(&["--mesos-principal", "p", "--mesos-secret-file", "secret"]).expect(2).says("--mesos <URL");
    let long = |bytes: usize| place.write("long", &" ".repeat(bytes));
    long((64 << 10) + 1);
    serve(&["--mesos", "m", "--mesos-principal", "p", "--mesos-secret-file", "long"])
        .expect(1)
        .says("more than 65536 bytes");
    long((1 << 20) + 1);
    for file in ["--mesos-executor", "--mesos-tasks"] {
        serve(&["--mesos", "m", file, "long"]).expect(1).says("more than 1048576 bytes");
    }
}
