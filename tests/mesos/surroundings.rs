//! The image of a job type and the files to fetch for it, on a real cluster.

use serde_json::{Value, json};

use crate::common::until;
use crate::launch::executor;
use crate::site::Site;

/// Small enough for any agent, and tried once.
const SMALL: [&str; 6] = ["--cpus", "0.1", "--mem", "32", "--max-tries", "1"];

fn create(site: &Site, name: &str, more: &[&str], command: &[&str]) {
    site.ask(&[&["job-type", "create", name], SMALL.as_slice(), more, &["--"], command].concat());
}

/// The container of a job's task, as the master has it.
fn container(site: &Site, job: u64) -> Value {
    let state = site.cluster.state();
    let framework = &state["frameworks"][0];
    let all =
        ["tasks", "completed_tasks"].into_iter().filter_map(|kind| framework[kind].as_array()).flatten();
    let begin = format!("scale_job_local_{job}x1_");
    let mut tasks = all.filter(|task| task["id"].as_str().is_some_and(|id| id.starts_with(&begin)));
    tasks.next().unwrap_or_else(|| panic!("no task of job {job}: {framework:#}"))["container"].clone()
}

fn end(site: &Site, job: &str) -> Value {
    let told = site.ask(&["job", job]);
    assert_eq!(told["status"], "FAILED", "{told:#}");
    told["end"].clone()
}

#[test]
fn a_task_has_the_files_of_its_job_type_in_its_sandbox() {
    let Some(site) = Site::new(&[], &[]) else { return };
    let script = site.place.write("tool.sh", "#!/bin/sh\necho fetched\n");
    let plain = site.place.write("words.txt", "as it is\n");
    let uri = json!({ "value": format!("file://{}", script.display()), "executable": true, "output_file": "run-me" });
    let plain = plain.display().to_string();
    let flags = ["--uri", &uri.to_string(), "--uri", &plain];
    let test =
        r#"test "$(./run-me)" = fetched && test "$(cat words.txt)" = "as it is" && test ! -x words.txt"#;
    create(&site, "fetches", &flags, &["sh", "-c", test]);
    create(&site, "lacks", &["--uri", "/nowhere/nothing"], &["true"]);
    site.ask(&["submit", "fetches"]);
    site.ask(&["submit", "lacks"]);
    until("both", || site.is_done());
    assert_eq!(site.ask(&["job", "1"])["status"], "COMPLETED", "{:#}", site.ask(&["job", "1"]));
    assert_eq!(end(&site, "2")["code"], "not-started");
}

#[test]
fn more_files_than_an_agent_can_be_told_of_are_told() {
    let Some(site) = Site::new(&[], &[]) else { return };
    let uri = |n: usize| format!("/nowhere/{n}/{}", "x".repeat(2_000));
    let uris: Vec<String> = (0..64).map(uri).collect();
    let flags: Vec<&str> = uris.iter().flat_map(|uri| ["--uri", uri.as_str()]).collect();
    create(&site, "many", &flags, &["true"]);
    create(&site, "none", &[], &["true"]);
    site.ask(&["submit", "many"]);
    site.ask(&["submit", "none"]);
    until("both", || site.is_done());
    let end = end(&site, "1");
    assert_eq!(end["code"], "not-started", "{end:#}");
    assert!(end["text"].as_str().is_some_and(|text| text.contains("64 files are to be fetched")), "{end:#}");
    assert_eq!(site.ask(&["job", "2"])["status"], "COMPLETED");
}

#[test]
fn an_image_is_handed_on_and_its_end_is_told_where_agents_know_none() {
    let Some(mut site) = Site::new(&[], &[]) else { return };
    create(&site, "boxed", &["--image", "h/boxed:1"], &["true"]);
    let manifest = json!({ "seedVersion": "1.0.0", "job": {
        "name": "seed", "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "", "description": "",
        "maintainer": { "name": "A", "email": "a@example.com" }, "timeout": 60,
        "interface": { "command": "true" },
        "resources": { "scalar": [{ "name": "cpus", "value": 0.1 }, { "name": "mem", "value": 32 }] } } });
    site.place.write("seed.json", &manifest.to_string());
    site.ask(&["job-type", "create", "--manifest", "seed.json", "--image", "h/seed:1"]);
    site.ask(&["submit", "boxed"]);
    site.ask(&["submit", "seed"]);
    until("both", || site.is_done());
    let image = |name: &str| json!({ "type": "DOCKER", "docker": { "name": name } });
    for (job, name) in [(1, "h/boxed:1"), (2, "h/seed:1")] {
        let told = container(&site, job);
        assert_eq!(
            (&told["type"], &told["mesos"]["image"]["docker"]),
            (&json!("MESOS"), &image(name)["docker"])
        );
        let end = end(&site, &job.to_string());
        assert_eq!(end["code"], "not-started", "{end:#}");
    }
    // A file of the daemon's stands above it: a container without an image is one that these agents know.
    site.daemon = None;
    site.place.write("tasks.json", &json!({ "boxed": { "container": { "type": "MESOS" } } }).to_string());
    site.options = vec!["--mesos-tasks", "tasks.json", "--mesos-containerizer", "docker"];
    site.start();
    site.ask(&["submit", "boxed"]);
    site.ask(&["submit", "seed"]);
    until("both", || site.is_done());
    assert_eq!(site.ask(&["job", "3"])["status"], "COMPLETED", "{:#}", site.ask(&["job", "3"]));
    let told = container(&site, 4);
    assert_eq!((&told["type"], &told["docker"]["image"]), (&json!("DOCKER"), &json!("h/seed:1")));
    // These agents have no Docker, which is no fault of the job.
    let end = end(&site, "4");
    assert_eq!(end["code"], "lost", "{end:#}");
}

#[test]
fn an_executor_that_is_told_a_line_alone_is_told_nothing_of_what_runs_in_an_image() {
    let Some(mut site) = Site::new(&[], &[]) else { return };
    site.daemon = None;
    let info = json!({ "executor_id": "many", "command": { "shell": false, "value": executor(),
        "arguments": ["mesos-multi-executor"] } });
    site.place.write("executor.json", &info.to_string());
    site.options = vec!["--mesos-executor", "executor.json"];
    site.start();
    create(&site, "boxed", &["--image", "h/boxed:1"], &["instant"]);
    create(&site, "plain", &[], &["instant"]);
    site.ask(&["submit", "boxed", "--count", "2"]);
    site.ask(&["submit", "plain", "--count", "2"]);
    until("all of them", || site.is_done());
    for job in ["1", "2"] {
        let end = end(&site, job);
        assert_eq!(end["code"], "not-started", "{end:#}");
        assert!(end["text"].as_str().is_some_and(|text| text.contains("--mesos-executor")), "{end:#}");
    }
    for job in ["3", "4"] {
        assert_eq!(site.ask(&["job", job])["status"], "COMPLETED");
    }
}
