//! What a launch carries, and what offers bring.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::common::{jobs_in, until};
use crate::site::Site;

/// An executor that runs many tasks, as the tool has it.
fn executor() -> PathBuf {
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
