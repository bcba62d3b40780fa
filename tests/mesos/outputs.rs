//! What tasks leave in their sandboxes: found on their agents, and handed on.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use weighbridge::{Doc, DocKey, Engine, JobId, JobStatus, Options, kind};

use crate::common::until;
use crate::http::Client;
use crate::kit;
use crate::site::Site;

fn client(site: &Site) -> Client {
    let url = &site.daemon.as_ref().expect("it runs").url;
    Client(url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address"))
}

/// A workspace, without which no job type may have files as outputs.
fn put_workspace(site: &Site) {
    let configuration = json!({ "version": "1.0", "broker": { "type": "host", "host_path": "/none" } });
    let body = json!({ "title": "Here", "configuration": configuration });
    assert_eq!(client(site).post("/v6/workspaces/", &body).expect(201)["name"], "here");
}

fn put_type(site: &Site, name: &str, command: &str, interface: &Value) -> Value {
    put_type_of(site, (name, 0.1), command, interface)
}

/// Of which an agent has room for one.
fn put_large_type(site: &Site, name: &str, command: &str, interface: &Value) -> Value {
    put_type_of(site, (name, 3.0), command, interface)
}

fn put_type_of(site: &Site, (name, cpus): (&str, f64), command: &str, interface: &Value) -> Value {
    let mut manifest = json!({ "seedVersion": "1.0.0", "job": {
        "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "", "description": "",
        "maintainer": { "name": "A", "email": "a@example.com" }, "timeout": 60, "interface": interface,
        "resources": { "scalar": [{ "name": "cpus", "value": cpus }, { "name": "mem", "value": 32 }] } } });
    manifest["job"]["interface"]["command"] = command.into();
    let configuration = json!({ "output_workspaces": { "default": "here" } });
    let body = json!({ "docker_image": "", "manifest": manifest, "configuration": configuration });
    client(site).post("/v6/job-types/", &body).expect(201)["id"].clone()
}

fn submit(site: &Site, kind: &Value) -> Value {
    let body = json!({ "job_type_id": kind, "input": {} });
    client(site).post("/v6/jobs/", &body).expect(201)["id"].clone()
}

/// A recipe of a `make`, and a `take` with that input.
fn submit_recipe(site: &Site, input: &Value) {
    let definition = json!({ "input": {}, "nodes": {
        "make": kit::job_node("make", &[], &json!({})), "take": kit::job_node("take", &["make"], input) } });
    let body = json!({ "title": "both", "definition": definition });
    let kind = client(site).post("/v6/recipe-types/", &body).expect(201)["id"].clone();
    client(site).post("/v6/recipes/", &json!({ "recipe_type_id": kind, "input": {} })).expect(201);
}

fn job(site: &Site, id: u64) -> Value {
    client(site).get(&format!("/v6/jobs/{id}/")).expect(200)
}

/// A figure of the framework.
fn figure(site: &Site, name: &str) -> u64 {
    let status = client(site).get("/api/v1/status").expect(200);
    status["driver"]["figures"][name].as_u64().expect("a figure")
}

/// The bytes at an address.
fn fetched(address: &str) -> String {
    let (agent, path) =
        address.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an address");
    let agent = Client(agent.parse().expect("where an agent listens"));
    let answer = agent.get(&format!("/{path}"));
    assert_eq!(answer.status, 200, "{address}");
    answer.body
}

fn file_of(engine: &Engine, id: u64) -> Option<(String, u64, String)> {
    match engine.doc(DocKey { kind: kind::FILE, id, sub: 0 }).as_deref() {
        Some(Doc::File(file)) => Some((file.name.clone(), file.bytes, file.media_type.clone())),
        _ => None,
    }
}

/// Ends the daemon and opens its store.
fn store_of(mut site: Site, look: impl FnOnce(&Engine)) {
    assert!(site.daemon.take().expect("it runs").end().success());
    let engine = Engine::open(site.place.path("s"), Options::default()).expect("the store opens");
    look(&engine);
    engine.check_invariants();
}

fn outputs() -> Value {
    json!({ "files": [
            { "name": "NOTE", "pattern": "sub/*.txt", "mediaType": "text/plain" },
            { "name": "PARTS", "pattern": "*.part", "multiple": true },
            { "name": "OPT", "pattern": "*.none", "required": false }],
        "json": [{ "name": "COUNT", "key": "count", "type": "integer" }, { "name": "TEXT", "type": "string" }] })
}

#[test]
fn the_second_node_of_a_recipe_is_given_what_the_first_one_left_on_its_agent() {
    let Some(site) = Site::new(&[], &[]) else { return };
    put_workspace(&site);
    // It looks like the address of a file, and is a value: nobody fetches it.
    let text = "http://127.0.0.1:1/files/download?path=/frameworks/f/executors/e/runs/latest/x";
    let make = "mkdir sub && printf hello > ${OUTPUT_DIR}/sub/\"a note's.txt\" && printf 1 > 1.part && printf 22 > 2.part \
                && echo '{\"count\": 7, \"TEXT\": \"a text\", \"more\": 1}' > ${OUTPUT_DIR}/seed.outputs.json";
    put_type(&site, "make", &make.replace("a text", text), &json!({ "outputs": outputs() }));
    let seen = site.place.path("seen").display().to_string();
    let take = format!(
        "printf '%s|%s|%s|%s|%s|' \"$N\" \"$TEXT\" \"$NOTE\" \"$PARTS\" \"${{OPT-none}}\" > {seen} && cat \"$NOTE\" $PARTS >> {seen}"
    );
    // What it was given is nothing that it leaves.
    let interface = json!({ "inputs": {
            "files": [{ "name": "NOTE" }, { "name": "PARTS", "multiple": true }, { "name": "OPT", "required": false }],
            "json": [{ "name": "N", "type": "integer" }, { "name": "TEXT", "type": "string" }] },
        "outputs": { "files": [{ "name": "AGAIN", "pattern": "*/*/*", "required": false, "multiple": true }] } });
    put_type(&site, "take", &take, &interface);
    let output = |name: &str| json!({ "type": "dependency", "node": "make", "output": name });
    let input = json!({ "N": output("COUNT"), "TEXT": output("TEXT"), "NOTE": output("NOTE"), "OPT": output("OPT"),
        "PARTS": output("PARTS") });
    submit_recipe(&site, &input);
    until("the recipe", || {
        let second = job(&site, 2);
        assert_ne!(second["status"], "FAILED", "{second:#}");
        second["status"] == "COMPLETED"
    });
    let near = "weighbridge-inputs";
    let given = format!("7|{text}|{near}/1/a_note_s.txt|{near}/2/1.part {near}/3/2.part|none|hello122");
    // Addresses are numbered as a task names them.
    let told = site.place.read("seen");
    let numbers = |text: &str| text.replace(['1', '2', '3'], "#");
    assert_eq!(numbers(&told), numbers(&given));
    let output = json!({ "files": { "NOTE": [1], "PARTS": [2, 3] }, "json": { "COUNT": 7, "TEXT": text } });
    assert_eq!(job(&site, 1)["output"], output);
    assert_eq!(job(&site, 2)["output"], json!({ "files": {}, "json": {} }), "what it was given is not found");
    until("the figures", || figure(&site, "outputs_read") == 2);
    assert_eq!(figure(&site, "outputs_unreadable"), 0);
    store_of(site, |engine| {
        let (address, bytes, media_type) = file_of(engine, 1).expect("a file");
        assert_eq!((bytes, media_type.as_str()), (5, "text/plain"));
        assert!(address.ends_with("/runs/latest/sub/a%20note%27s.txt"), "{address}");
        assert_eq!(fetched(&address), "hello");
        assert!(file_of(engine, 3).is_some() && file_of(engine, 4).is_none(), "three files, once");
    });
}

#[test]
fn what_is_no_output_fails_the_job_with_an_error_that_names_it() {
    let Some(site) = Site::new(&[], &[]) else { return };
    put_workspace(&site);
    let file = json!({ "outputs": { "files": [{ "name": "tif", "pattern": "*.tif" }] } });
    let value = json!({ "outputs": { "json": [{ "name": "n", "type": "integer" }] } });
    let bad = [
        ("ln -s /etc/hostname x.tif", &file, "missing-output-tif"),
        ("touch a.tif b.tif", &file, "several-files-tif"),
        ("mkfifo seed.outputs.json", &value, "outputs-unreadable"),
        ("echo '{\"n\": \"7\"}' > seed.outputs.json", &value, "wrong-type-n"),
        ("head -c 1048577 /dev/zero > seed.outputs.json", &value, "outputs-too-large"),
    ];
    for (n, (command, interface, _)) in bad.iter().enumerate() {
        let kind = put_type(&site, &format!("bad-{n}"), command, interface);
        submit(&site, &kind);
    }
    until("all of them", || site.is_done());
    for (id, (command, _, error)) in (1..).zip(bad) {
        let job = job(&site, id);
        assert_eq!((&job["status"], &job["num_exes"]), (&json!("FAILED"), &json!(1)), "{command}: {job:#}");
        assert_eq!(job["error"]["name"], error, "{command}: {job:#}");
    }
}

/// Three jobs, each on a machine of its own, that leave a number and a file once the test lets them.
fn submit_held(site: &Site) {
    put_workspace(site);
    let go = site.place.path("go").display().to_string();
    let command = format!(
        "while [ ! -e {go} ]; do sleep 0.05; done; echo '{{\"n\": 7}}' > seed.outputs.json; touch a.tif"
    );
    let interface = json!({ "outputs": { "json": [{ "name": "n", "type": "integer" }],
        "files": [{ "name": "tif", "pattern": "*.tif" }] } });
    let kind = put_large_type(site, "held", &command, &interface);
    (0..3).for_each(|_| drop(submit(site, &kind)));
    until("its task", || site.n_tasks("TASK_RUNNING") == 3);
}

#[test]
fn what_a_frozen_agent_has_is_found_when_it_is_back() {
    check_frozen(false);
}

#[test]
fn what_a_frozen_agent_has_is_found_once_though_the_daemon_was_killed_meanwhile() {
    check_frozen(true);
}

fn check_frozen(is_killed: bool) {
    let Some(mut site) = Site::new(&[], &[]) else { return };
    submit_held(&site);
    let host = site.ask(&["job", "1"])["node"]["name"].as_str().expect("a node").to_owned();
    // So that their ends come, and the agent is frozen before one is read.
    let pid = i32::try_from(site.daemon.as_ref().expect("it runs").id()).expect("a process id");
    let pid = Pid::from_raw(pid).expect("a process id");
    kill_process(pid, Signal::STOP).expect("it lives");
    site.place.write("go", "");
    until("their ends", || site.n_tasks("TASK_FINISHED") == 3);
    site.ctl(&["kill", &host, "STOP"]);
    kill_process(pid, Signal::CONT).expect("it lives");
    until("word of it", || figure(&site, "outputs_waiting") == 1);
    until("the others", || (2..=3).all(|id| job(&site, id)["status"] == "COMPLETED"));
    assert_eq!(job(&site, 1)["status"], "RUNNING");
    if is_killed {
        // Between its end and the record of it.
        site.daemon = None;
        site.start();
    }
    site.ctl(&["kill", &host, "CONT"]);
    until("its outputs", || job(&site, 1)["status"] == "COMPLETED");
    store_of(site, |engine| {
        for id in 1..=3 {
            let job = engine.job(JobId(id)).expect("a job");
            assert_eq!((job.status, job.num_exes, job.launches), (JobStatus::Completed, 1, 1));
            let output = engine.job_output(JobId(id), 1).expect("an output").output;
            let output: Value = serde_json::from_str(&output).expect("JSON");
            assert_eq!(output["json"], json!({ "n": 7 }));
        }
        assert!(file_of(engine, 3).is_some() && file_of(engine, 4).is_none(), "one each, once");
    });
}

#[test]
fn a_sandbox_that_is_gone_is_no_fault_of_the_job() {
    let Some(site) = Site::new(&[], &["--mesos-outputs-wait", "1s"]) else { return };
    put_workspace(&site);
    let first = site.place.path("first").display().to_string();
    let command = format!(
        "echo '{{\"n\": 7}}' > seed.outputs.json; if [ ! -e {first} ]; then touch {first}; rm -r \"$MESOS_SANDBOX\"; fi"
    );
    let interface = json!({ "outputs": { "json": [{ "name": "n", "type": "integer" }] } });
    let kind = put_type(&site, "gone", &command, &interface);
    submit(&site, &kind);
    until("the second execution", || job(&site, 1)["status"] == "COMPLETED");
    until("the figures", || (figure(&site, "outputs_read"), figure(&site, "outputs_unreadable")) == (1, 1));
    store_of(site, |engine| {
        let job = engine.job(JobId(1)).expect("a job");
        assert_eq!((job.num_exes, job.tries), (2, 1), "the first one counts as no try");
        assert!(engine.job_output(JobId(1), 1).is_none() && engine.job_output(JobId(1), 2).is_some());
    });
}

/// A file that a task left, on the disk of its agent.
fn file_below(folder: &Path, task: &str, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink()).collect();
    let of_task = folders.iter().filter(|path| path.to_string_lossy().ends_with(task));
    let file = of_task.map(|path| path.join("runs/latest").join(name)).find(|path| path.is_file());
    file.or_else(|| folders.iter().find_map(|path| file_below(path, task, name)))
}

#[test]
fn a_file_that_is_gone_when_it_is_wanted_is_told() {
    let Some(site) = Site::new(&[], &[]) else { return };
    put_workspace(&site);
    let interface = json!({ "outputs": { "files": [{ "name": "F", "pattern": "f" }] } });
    put_type(&site, "make", "pwd > f", &interface);
    put_type(&site, "take", "cat $F", &json!({ "inputs": { "files": [{ "name": "F" }] } }));
    site.ask(&["pause", "take"]);
    submit_recipe(&site, &json!({ "F": { "type": "dependency", "node": "make", "output": "F" } }));
    until("the first", || job(&site, 1)["status"] == "COMPLETED");
    let file = file_below(site.cluster.directory(), "_local_1x1_1.1", "f").expect("it is there");
    std::fs::remove_file(file).expect("it was there");
    site.ask(&["resume", "take"]);
    until("the end of the second", || job(&site, 2)["ended"].is_string());
    let end = site.ask(&["job", "2"])["end"].clone();
    assert_eq!(end["code"], "not-started", "{end:#}");
}

#[test]
fn many_that_end_at_once_each_give_what_they_left() {
    const JOBS: u64 = 40;
    let Some(site) = Site::new(&[], &[]) else { return };
    put_workspace(&site);
    let interface = json!({ "outputs": { "json": [{ "name": "n", "type": "string" }],
        "files": [{ "name": "log", "pattern": "*.log" }] } });
    let command = "echo \"{\\\"n\\\": \\\"$PWD\\\"}\" > seed.outputs.json; echo $PWD > $$.log";
    let kind = put_type(&site, "many", command, &interface);
    (0..JOBS).for_each(|_| drop(submit(&site, &kind)));
    until("all of them", || site.is_done());
    store_of(site, |engine| {
        for id in 1..=JOBS {
            let job = engine.job(JobId(id)).expect("a job");
            assert_eq!((job.status, job.num_exes), (JobStatus::Completed, 1), "{job:#?}");
            let output = engine.job_output(JobId(id), 1).expect("an output");
            assert!(
                output.output.contains(&format!("scale_job_local_{id}x1_")),
                "its own: {}",
                output.output
            );
            assert!(output.files[0].name.contains(&format!("scale_job_local_{id}x1_")), "{output:?}");
        }
        assert!(file_of(engine, JOBS).is_some() && file_of(engine, JOBS + 1).is_none());
    });
}
