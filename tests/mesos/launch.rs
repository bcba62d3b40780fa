//! What a launch carries, and what offers bring.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use weighbridge::FRAMEWORK_ID_FILE;

use crate::cluster::Cluster;
use crate::common::{Place, jobs_in, until};
use crate::http::Client;
use crate::site::Site;

/// An executor that runs many tasks, as the tool has it.
pub(crate) fn executor() -> PathBuf {
    let cache = std::env::var_os("MESOS_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache/mesos-local");
    let cache = cache.unwrap_or_else(home);
    let folders = std::fs::read_dir(&cache).expect("the tool has a cache");
    let paths = folders.filter_map(Result::ok).map(|entry| entry.path().join("libexec/mesos-multi-executor"));
    paths.filter(|path| path.is_file()).max().unwrap_or_else(|| panic!("none in {}", cache.display()))
}

/// All that the one framework has or had, by kind.
fn of_framework(cluster: &Cluster, kinds: &[&str]) -> Vec<Value> {
    let state = cluster.state();
    let framework = [&state["frameworks"][0], &state["completed_frameworks"][0]];
    let framework = framework.into_iter().find(|framework| !framework.is_null()).expect("a framework");
    kinds.iter().flat_map(|kind| framework[*kind].as_array().cloned().unwrap_or_default()).collect()
}

#[test]
fn one_executor_on_each_agent_runs_all_its_tasks_and_has_room_there() {
    const JOBS: usize = 120;
    let Some(mut site) = Site::new(&["--resources", "cpus:1;mem:512;disk:100"], &[]) else { return };
    site.daemon = None;
    let info = json!({ "executor_id": "many", "command": { "shell": false, "value": executor(),
        "arguments": ["mesos-multi-executor"] }, "resources": { "cpus": 0.25, "mem": 32 } });
    site.place.write("executor.json", &info.to_string());
    site.options = vec!["--mesos-executor", "executor.json"];
    site.start();
    let small = ["--cpus", "0.25", "--mem", "32", "--max-tries", "1"];
    site.ask(&[&["job-type", "create", "told"], small.as_slice(), &["--", "{what}"]].concat());
    let told = |site: &Site, n: usize, what: &str| {
        let what = format!("what={what}");
        site.ask(&["submit", "told", "--count", &n.to_string(), "--input", &what]);
    };
    // As much as there is room for beside three executors: three on each agent.
    told(&site, 9, "sleep 2");
    until("all of them", || site.n_tasks("TASK_RUNNING") == 9);
    let executors = of_framework(&site.cluster, &["executors"]);
    assert!(executors.is_empty() || executors.len() == 3, "{executors:#?}");
    // A daemon that is started again goes on with the executors that are there.
    site.daemon = None;
    site.start();
    told(&site, JOBS - 12, "instant");
    until("all of them", || site.is_done());
    // A command for a shell, and ends that are told like any other.
    let ran = site.place.path("ran");
    told(&site, 1, &format!("sh echo done > {}", ran.display()));
    told(&site, 2, "fail");
    until("all of them", || site.is_done());
    assert_eq!(site.place.read("ran"), "done\n");
    assert_eq!(site.ask(&["job", &(JOBS - 1).to_string()])["status"], "FAILED");
    let tasks = of_framework(&site.cluster, &["completed_tasks"]);
    let used: BTreeSet<(&str, &str)> = tasks
        .iter()
        .filter_map(|task| Some((task["slave_id"].as_str()?, task["executor_id"].as_str()?)))
        .collect();
    assert_eq!((tasks.len(), used.len()), (JOBS, 3), "one executor on each agent: {used:#?}");
    assert!(used.iter().all(|(_, executor)| executor.starts_with("many-")), "{used:#?}");
    assert!(site.daemon.take().expect("it runs").end().success());
    let jobs = jobs_in(&site.place.path("s"));
    assert!(jobs.iter().all(|job| job.launches == 1), "none was refused: {jobs:#?}");
}

/// The numbers in ranges as a master writes them: `[7-7, 31000-31003]`.
fn numbers(ranges: &Value) -> Vec<u64> {
    let ranges = ranges.as_str().unwrap_or_default().trim_matches(['[', ']']);
    let ends = ranges.split(", ").filter_map(|range| range.split_once('-'));
    let number = |text: &str| -> u64 { text.parse().expect("a number") };
    ends.flat_map(|(begin, end)| number(begin)..=number(end)).collect()
}

#[test]
fn who_asks_for_ports_is_told_which_and_nobody_else_has_them() {
    let resources = "cpus:4;mem:512;disk:100;ports:[7000-7000,31000-31003]";
    let Some(site) = Site::new(&["--resources", resources], &[]) else { return };
    let script =
        r#"test "$PORTS" = "$PORT0,$PORT1" -a -n "$PORT1" && echo "$PORTS" >> {log} && exec sleep 2"#;
    let asks = ["--cpus", "0.1", "--mem", "32", "--resource", "ports=2", "--max-tries", "1"];
    site.ask(&[&["job-type", "create", "serves"], asks.as_slice(), &["--", "sh", "-c", script]].concat());
    let log = format!("log={}", site.place.path("ports").display());
    site.ask(&["submit", "serves", "--count", "12", "--input", &log]);
    until("as many as there are ports for", || site.n_tasks("TASK_RUNNING") == 6);
    let state = site.cluster.state();
    let running = state["frameworks"][0]["tasks"].as_array().expect("tasks");
    let given: Vec<(&str, u64)> = running
        .iter()
        .filter(|task| task["state"] == "TASK_RUNNING")
        .flat_map(|task| {
            let ports = numbers(&task["resources"]["ports"]);
            ports.into_iter().map(|port| (task["slave_id"].as_str().unwrap_or_default(), port))
        })
        .collect();
    let once: BTreeSet<&(&str, u64)> = given.iter().collect();
    assert_eq!((given.len(), once.len()), (12, 12), "no port twice: {given:?}");
    until("all of them", || site.is_done());
    let told = site.place.read("ports");
    let _ = site.end(12);
    assert_eq!(told.lines().count(), 12);
    let all = ["7000", "31000", "31001", "31002", "31003"];
    let is_pair = |line: &str| {
        line.split_once(',').is_some_and(|(a, b)| a != b && all.contains(&a) && all.contains(&b))
    };
    assert!(told.lines().all(is_pair), "{told}");
}

#[test]
fn what_is_reserved_for_several_roles_is_used_by_all_jobs() {
    let resources = "cpus(a):1;mem(a):128;cpus(b):1;mem(b):128;disk:100";
    let Some(site) = Site::new(&["--resources", resources], &["--mesos-role", "a,b"]) else { return };
    // Four on each agent, two for each role; no launch is refused for being on offers of both.
    site.submit(12, "3");
    until("all of them at once", || site.n_tasks("TASK_RUNNING") == 12);
    // One that takes all of a role on an agent, and ones that take the rest.
    site.ask(&["job-type", "create", "big", "--cpus", "1", "--mem", "64", "--", "sleep", "0.2"]);
    site.ask(&["submit", "big", "--count", "6"]);
    let (cluster, jobs) = site.end(18);
    assert!(jobs.iter().all(|job| (job.num_exes, job.launches) == (1, 1)), "{jobs:#?}");
    let roles: BTreeSet<String> = of_framework(&cluster, &["completed_tasks"])
        .iter()
        .map(|task| task["role"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(roles, ["a", "b"].map(str::to_owned).into());
}

#[test]
fn what_an_operator_reserves_for_its_role_is_used_along_with_the_rest() {
    let flags = ["--agents", "1", "--resources", "cpus:1;mem:256;disk:100", "--hostname", "agent"];
    let Some(site) = Site::new(&flags, &["--mesos-role", "a"]) else { return };
    let agent = site.agent_id("agent").expect("it is registered");
    let part = |name: &str, value: f64| {
        json!({ "name": name, "type": "SCALAR", "scalar": { "value": value },
            "reservations": [{ "type": "DYNAMIC", "role": "a" }] })
    };
    let reserved =
        json!({ "agent_id": { "value": agent }, "resources": [part("cpus", 0.75), part("mem", 100.0)] });
    site.operate(&json!({ "type": "RESERVE_RESOURCES", "reserve_resources": reserved })).expect("reserved");
    let amount = |name: &str| {
        let known = site.get("/master/slaves").expect("an answer");
        known["slaves"][0]["reserved_resources"]["a"][name].as_f64().unwrap_or_default()
    };
    until("what is reserved", || amount("cpus") > 0.7);
    // Each takes all that the agent has, of both kinds.
    site.ask(&["job-type", "create", "all", "--cpus", "1", "--mem", "256", "--", "true"]);
    site.ask(&["submit", "all", "--count", "3"]);
    until("all of them", || site.is_done());
    assert_eq!((amount("cpus"), amount("mem")), (0.75, 100.0), "it stays reserved");
    let (_, jobs) = site.end(3);
    assert!(jobs.iter().all(|job| (job.num_exes, job.launches) == (1, 1)), "{jobs:#?}");
}

#[test]
fn a_master_that_asks_who_it_is_takes_the_right_secret_only() {
    let files = Place::new();
    let known = json!({ "credentials": [{ "principal": "fw", "secret": "hush" }] });
    let known = format!("credentials=file://{}", files.write("known.json", &known.to_string()).display());
    let flags = ["authenticate_http_frameworks=true", "http_framework_authenticators=basic", &known];
    let Some(cluster) = Cluster::start(&flags.map(|flag| ["--master-flag", flag]).concat()) else { return };
    let place = Place::new();
    place.write("right", "hush\n");
    place.write("wrong", "loud\n");
    let serve = |more: &[&str]| {
        let args = ["serve", "--store", "s", "--listen", "127.0.0.1:0", "--mesos", &cluster.master];
        place.run(&[args.as_slice(), more].concat())
    };
    serve(&[]).expect(1).says("401");
    serve(&["--mesos-principal", "fw", "--mesos-secret-file", "wrong"]).expect(1).says("401");
    assert!(!place.path("s").join(FRAMEWORK_ID_FILE).exists(), "it was no framework");
    let options = vec!["--mesos-principal", "fw", "--mesos-secret-file", "right"];
    let mut site = Site { cluster, place, daemon: None, options };
    site.start();
    site.ask(&["job-type", "create", "nap", "--cpus", "0.5", "--mem", "32", "--", "sleep", "{seconds}"]);
    site.submit(3, "0.1");
    let _ = site.end(3);
}

#[test]
fn each_execution_is_told_which_graphics_processor_is_its_own() {
    let resources = ["--resources", "cpus:4;mem:512;disk:100;gpus:2"];
    let Some(site) = Site::new(&resources, &["--mesos-gpus"]) else { return };
    let asks = ["--cpus", "0.1", "--mem", "32", "--gpus", "1", "--max-tries", "1"];
    let script = r#"echo "$CUDA_VISIBLE_DEVICES" >> {log}; exec sleep 2"#;
    site.ask(&[&["job-type", "create", "draws"], asks.as_slice(), &["--", "sh", "-c", script]].concat());
    let log = format!("log={}", site.place.path("gpus").display());
    site.ask(&["submit", "draws", "--count", "6", "--input", &log]);
    until("all of them", || site.n_tasks("TASK_RUNNING") == 6);
    until("their words", || site.place.read("gpus").lines().count() == 6);
    let told = site.place.read("gpus");
    let n = |gpu: &str| told.lines().filter(|line| *line == gpu).count();
    assert_eq!((n("0"), n("1")), (3, 3), "one each on three agents: {told}");
    let _ = site.end(6);
}

/// A maintenance of one machine that begins in so many minutes.
fn schedule(host: &str, minutes: u64) -> Value {
    let start = UNIX_EPOCH.elapsed().expect("after 1970") + Duration::from_secs(60 * minutes);
    let start = u64::try_from(start.as_nanos()).expect("a time");
    json!({ "windows": [{ "machine_ids": [{ "hostname": host, "ip": "127.0.0.1" }],
        "unavailability": { "start": { "nanoseconds": start } } }] })
}

#[test]
fn nothing_new_is_started_on_an_agent_before_its_maintenance() {
    let Some(site) = Site::new(&["--hostname", "agent-{i}"], &["--mesos-leave-before", "10m"]) else {
        return;
    };
    site.submit(24, "4");
    until("all of them", || site.n_tasks("TASK_RUNNING") == 24);
    let master: SocketAddr = site.cluster.master.trim_start_matches("http://").parse().expect("an address");
    let put_off = |minutes: u64| {
        let answer = Client(master).post("/master/maintenance/schedule", &schedule("agent-1", minutes));
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let agents = site.cluster.state()["slaves"].as_array().expect("agents").clone();
    let agent = agents.iter().find(|agent| agent["hostname"] == "agent-1").expect("the agent");
    let on_agent = || {
        let tasks = of_framework(&site.cluster, &["tasks", "completed_tasks"]);
        tasks.iter().filter(|task| task["slave_id"] == agent["id"]).count()
    };
    put_off(9);
    until("the framework to agree", || {
        let status = Client(master).get("/master/maintenance/status").expect(200);
        status["draining_machines"][0]["statuses"][0]["status"] == "ACCEPT"
    });
    assert_eq!(site.n_tasks("TASK_RUNNING"), 24, "what runs is not ended");
    let before = on_agent();
    assert_eq!(before, 8);
    until("all of them", || site.is_done());
    site.submit(20, "0.2");
    until("all of them", || site.is_done());
    assert_eq!(on_agent(), before);
    // It is put off: what is too far away keeps nobody from anything.
    put_off(60);
    site.submit(20, "1");
    until("all of them", || site.is_done());
    assert!(on_agent() > before);
    let _ = site.end(64);
}

#[test]
fn files_are_fetched_for_a_job_type_and_a_container_that_cannot_be_is_told() {
    let Some(mut site) = Site::new(&[], &[]) else { return };
    site.daemon = None;
    let script = site.place.write("tool.sh", "#!/bin/sh\necho fetched\n");
    let image = json!({ "type": "DOCKER", "docker": { "image": "nowhere/nothing" } });
    let tasks = json!({ "fetches": { "uris": [
            { "value": format!("file://{}", script.display()), "executable": true, "output_file": "run-me" }] },
        "boxed": { "container": image }, "lacks": { "uris": [{ "value": "file:///nowhere/nothing" }] } });
    site.place.write("tasks.json", &tasks.to_string());
    site.options = vec!["--mesos-tasks", "tasks.json"];
    site.start();
    let small = ["--cpus", "0.1", "--mem", "32", "--max-tries", "1"];
    let test = "test \"$(./run-me)\" = fetched";
    site.ask(&[&["job-type", "create", "fetches"], small.as_slice(), &["--", "sh", "-c", test]].concat());
    site.ask(&[&["job-type", "create", "boxed"], small.as_slice(), &["--", "true"]].concat());
    site.ask(&[&["job-type", "create", "lacks"], small.as_slice(), &["--", "true"]].concat());
    for kind in ["fetches", "boxed", "lacks"] {
        site.ask(&["submit", kind]);
    }
    until("all of them", || site.is_done());
    assert_eq!(site.ask(&["job", "1"])["status"], "COMPLETED", "{:#}", site.ask(&["job", "1"]));
    let end = |job: &str| -> Value {
        let told = site.ask(&["job", job]);
        assert_eq!(told["status"], "FAILED", "{told:#}");
        told["end"].clone()
    };
    // These agents know no images, which is no fault of the job; it is given up after so many executions.
    let boxed = end("2");
    assert_eq!(boxed["code"], "lost", "{boxed:#}");
    assert!(boxed["text"].as_str().is_some_and(|text| text.contains("unknown container")), "{boxed:#}");
    let lacks = end("3");
    assert_eq!(lacks["code"], "not-started", "{lacks:#}");
}
