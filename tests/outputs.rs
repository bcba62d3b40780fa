//! What executions leave on this machine: found when they end, handed on to what waits for it, and refused where
//! it is not what their manifest says.

mod common;
#[path = "common/http.rs"]
#[expect(dead_code, reason = "shared with tests/api.rs")]
mod http;
#[path = "common/recipes.rs"]
#[expect(dead_code, reason = "shared with tests/recipes.rs")]
mod kit;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Daemon, Place, until};
use http::Client;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use weighbridge::{
    Doc, DocKey, Engine, Interface, JobId, JobStatus, LaunchName, Left, LeftError, LeftFile, Options,
    Outcome, OutputSource, StatusUpdate, TaskState, Usage, kind, status_sink,
};

/// What its job types say of an image is left aside: jobs run on this machine.
const SERVE: [&str; 6] =
    ["--store", "store", "--resources", "cpus:2,mem:1000,disk:1000", "--local-images", "ignore"];

fn manifest(name: &str, command: &str, interface: &Value) -> Value {
    let mut manifest = json!({"seedVersion": "1.0.0", "job": {
        "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "", "description": "",
        "maintainer": {"name": "A", "email": "a@example.com"}, "timeout": 60, "interface": interface,
        "resources": {"scalar": [{"name": "cpus", "value": 0.1}, {"name": "mem", "value": 1}]}}});
    manifest["job"]["interface"]["command"] = command.into();
    manifest
}

fn client_of(daemon: &Daemon) -> Client {
    Client(daemon.url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address"))
}

fn job_type(client: Client, manifest: &Value) -> Value {
    let configuration = json!({"output_workspaces": {"default": "here"}});
    let body = json!({"docker_image": "none", "manifest": manifest, "configuration": configuration});
    client.post("/v6/job-types/", &body).expect(201)["id"].clone()
}

/// A daemon with a workspace, without which no job type may have files as outputs.
fn start_daemon(place: &Place) -> Daemon {
    let daemon = Daemon::start(place, &SERVE);
    let configuration = json!({"version": "1.0", "broker": {"type": "host", "host_path": "/none"}});
    let body = json!({"title": "Here", "configuration": configuration});
    assert_eq!(client_of(&daemon).post("/v6/workspaces/", &body).expect(201)["name"], "here");
    daemon
}

/// A recipe of `make`, which leaves a number, a text and a file, and `take`, which writes down what it is given.
/// `make` waits for the file `go` where `is_held`.
fn start_recipe(place: &Place, client: Client, is_held: bool) -> Value {
    let wait = if is_held { "while [ ! -e \"$HOME_OF/go\" ]; do sleep 0.02; done; " } else { "" };
    let wait = wait.replace("$HOME_OF", &place.path("").display().to_string());
    let make = format!(
        "{wait}mkdir sub; printf hello > ${{OUTPUT_DIR}}/sub/note.txt; \
         echo '{{\"count\": 7, \"TEXT\": \"a b\", \"more\": 1}}' > ${{OUTPUT_DIR}}/seed.outputs.json"
    );
    let outputs = json!({"outputs": {
        "files": [{"name": "NOTE", "pattern": "sub/*.txt", "mediaType": "text/plain"},
                  {"name": "OPT", "pattern": "*.none", "required": false}],
        "json": [{"name": "COUNT", "key": "count", "type": "integer"}, {"name": "TEXT", "type": "string"}]}});
    job_type(client, &manifest("make", &make, &outputs));
    let seen = place.path("seen").display().to_string();
    let take = format!(
        "env > ${{OUTPUT_DIR}}/all; printf '%s|%s|%s|' \"$N\" \"$TEXT\" \"$NOTE\" > {seen}.part; \
         cat \"$NOTE\" >> {seen}.part; mv {seen}.part {seen}"
    );
    let inputs = json!({"inputs": {
        "files": [{"name": "NOTE", "mediaTypes": ["text/plain"]}, {"name": "OPT", "required": false}],
        "json": [{"name": "N", "type": "integer"}, {"name": "TEXT", "type": "string"}]}});
    job_type(client, &manifest("take", &take, &inputs));
    let output = |name: &str| json!({"type": "dependency", "node": "make", "output": name});
    let input =
        json!({"N": output("COUNT"), "TEXT": output("TEXT"), "NOTE": output("NOTE"), "OPT": output("OPT")});
    let definition = json!({"input": {}, "nodes": {
        "make": kit::job_node("make", &[], &json!({})), "take": kit::job_node("take", &["make"], &input)}});
    let body = json!({"title": "both", "definition": definition});
    let kind = client.post("/v6/recipe-types/", &body).expect(201)["id"].clone();
    client.post("/v6/recipes/", &json!({"recipe_type_id": kind, "input": {}})).expect(201)["id"].clone()
}

fn is_completed(client: Client, recipe: &Value) -> bool {
    client.get(&format!("/v6/recipes/{recipe}/")).expect(200)["is_completed"] == true
}

/// What the second node of the recipe was given.
fn check_seen(place: &Place) {
    let note = place.path("store").canonicalize().expect("a store").join("sandbox/1x1.1/sub/note.txt");
    assert_eq!(place.read("seen"), format!("7|a b|{}|hello", note.display()));
    let engine = Engine::open(place.path("store"), Options::default()).expect("the store opens");
    let output = engine.job_output(JobId(1), 1).expect("an output");
    let document: Value = serde_json::from_str(&output.output).expect("JSON");
    assert_eq!(document, json!({"files": {"NOTE": [1]}, "json": {"COUNT": 7, "TEXT": "a b"}}));
    let Some(Doc::File(file)) = engine.doc(file_key(1)).as_deref().cloned() else { panic!("a file") };
    assert_eq!(
        (file.bytes, file.media_type.as_str(), Path::new(&file.name)),
        (5, "text/plain", note.as_path())
    );
    assert!(engine.doc(file_key(2)).is_none(), "one file, once");
    let of_second = engine.job(JobId(2)).expect("a job");
    assert_eq!(
        (of_second.status, of_second.num_exes, of_second.input_mib),
        (JobStatus::Completed, 1, Some(1))
    );
    engine.check_invariants();
}

const fn file_key(id: u64) -> DocKey {
    DocKey { kind: kind::FILE, id, sub: 0 }
}

#[test]
fn the_second_node_of_a_recipe_is_given_what_the_first_one_left() {
    let place = Place::new();
    let daemon = start_daemon(&place);
    let client = client_of(&daemon);
    let recipe = start_recipe(&place, client, false);
    until("the recipe", || is_completed(client, &recipe));
    let job = client.get("/v6/jobs/1/").expect(200);
    assert_eq!(job["output"], json!({"files": {"NOTE": [1]}, "json": {"COUNT": 7, "TEXT": "a b"}}), "{job}");
    let variables = place.read("store/sandbox/2x1.1/all");
    let has = |start: &str| variables.lines().any(|line| line.starts_with(start));
    assert!(has("NOTE=/") && !has("OPT="), "nothing was left for OPT: {variables}");
    assert_eq!(daemon.end().code(), Some(0));
    check_seen(&place);
}

#[test]
fn what_was_left_while_no_daemon_lived_is_found_by_the_next_one() {
    let place = Place::new();
    let daemon = start_daemon(&place);
    let recipe = start_recipe(&place, client_of(&daemon), true);
    until("the first job", || place.path("store/sandbox/1x1.1/stdout").exists());
    // Killed.
    drop(daemon);
    place.write("go", "");
    until("its end", || place.path("store/sandbox/1x1.1/weighbridge-result.json").exists());
    // The next supervisor has nothing but the sandbox.
    let supervisor: i32 = place.read("store/supervisor.lock").trim().parse().expect("a number");
    kill_process(Pid::from_raw(supervisor).expect("a process"), Signal::KILL).expect("it lives");
    let daemon = Daemon::start(&place, &SERVE);
    let client = client_of(&daemon);
    until("the recipe", || is_completed(client, &recipe));
    assert_eq!(daemon.end().code(), Some(0));
    check_seen(&place);
}

/// Runs a job whose outputs are declared like that, and compares how it failed.
struct Failing {
    place: Place,
    daemon: Daemon,
    n_types: u32,
}

impl Failing {
    fn check(&mut self, outputs: &Value, command: &str, error: &str, description: &str) {
        let client = client_of(&self.daemon);
        self.n_types += 1;
        let name = format!("bad-{}", self.n_types);
        let kind = job_type(client, &manifest(&name, command, &json!({"outputs": outputs})));
        let job =
            client.post("/v6/jobs/", &json!({"job_type_id": kind, "input": {}})).expect(201)["id"].clone();
        let path = format!("/v6/jobs/{job}/");
        until("its end", || client.get(&path).expect(200)["ended"].is_string());
        let job = client.get(&path).expect(200);
        assert_eq!(
            (&job["status"], &job["num_exes"]),
            (&json!("FAILED"), &json!(1)),
            "not tried again: {job}"
        );
        let told = &job["error"];
        assert_eq!((&told["name"], &told["category"]), (&json!(error), &json!("ALGORITHM")), "{job}");
        assert_eq!(told["description"], description, "{job}");
        let shown = self.daemon.ask(&self.place, &["job", &job["id"].to_string()]).expect(0).stdout;
        assert!(shown.contains(&format!("{error}: {description}")), "{shown}");
    }
}

#[test]
fn what_is_no_output_of_the_manifest_fails_the_job_with_an_error_that_names_it() {
    let place = Place::new();
    let daemon = start_daemon(&place);
    let mut bad = Failing { place, daemon, n_types: 0 };
    let file = json!({"files": [{"name": "tif", "pattern": "*.tif"}]});
    bad.check(
        &file,
        "true",
        "missing-output-tif",
        "The command ended well and left nothing for the output 'tif': no file matches '*.tif'",
    );
    let several = "The command left several files for the output 'tif', which is one file";
    bad.check(&file, "touch a.tif b.tif", "several-files-tif", several);
    let value = json!({"json": [{"name": "n", "key": "N", "type": "integer"}]});
    bad.check(
        &value,
        "true",
        "missing-output-n",
        "The command ended well and left nothing for the output 'n': seed.outputs.json has no 'N'",
    );
    let write = |text: &str| format!("echo '{text}' > seed.outputs.json");
    let wrong = "The output 'n' is of another type than 'integer'";
    bad.check(&value, &write(r#"{"N": "7"}"#), "wrong-type-n", wrong);
    bad.check(&value, &write("7"), "outputs-unreadable", "seed.outputs.json is no JSON object");
    let long =
        "{ printf '{\"N\": 1'; head -c 1048570 /dev/zero | tr '\\0' ' '; printf '}'; } > seed.outputs.json";
    let too_long = "seed.outputs.json is longer than 1048576 bytes";
    bad.check(&value, long, "outputs-too-large", too_long);
    // Within the limit as it is written, and beyond it with what stands around it on record.
    let text = json!({"json": [{"name": "t", "type": "string"}]});
    let long =
        "{ printf '{\"t\":\"'; head -c 1048560 /dev/zero | tr '\\0' x; printf '\"}'; } > seed.outputs.json";
    bad.check(&text, long, "outputs-too-large", "The outputs have more than 1048576 bytes as JSON");
    assert_eq!(bad.daemon.end().code(), Some(0));
}

/// Finds what a test says, and counts how often it was asked.
struct Told(Mutex<(Vec<Result<Left, LeftError>>, usize)>);

impl OutputSource for Told {
    fn collect(&self, _: (LaunchName, JobId, u32), declared: &Interface) -> Result<Left, LeftError> {
        assert_eq!(declared.json[0].name, "N");
        let mut told = self.0.lock();
        told.1 += 1;
        told.0.remove(0)
    }
}

fn left(n: u64) -> Left {
    let file = |name: &str| LeftFile {
        output: "F".into(),
        path: name.into(),
        bytes: n,
        media_type: "text/plain".into(),
    };
    let mut left = Left { files: vec![file("/a"), file("/b")], ..Left::default() };
    left.json.insert("N".into(), n.into());
    left
}

fn with_outputs(engine: &Engine, answers: Vec<Result<Left, LeftError>>) -> (JobId, Arc<Told>) {
    let told = Arc::new(Told(Mutex::new((answers, 0))));
    engine.collect_outputs(told.clone());
    let mut manifest = kit::manifest("gives", &[], &["N"]);
    manifest["job"]["interface"]["outputs"]["files"] =
        json!([{"name": "F", "pattern": "*", "multiple": true}]);
    kit::job_type_of(engine, "gives", &manifest);
    let definition = json!({"input": {}, "nodes": {"one": kit::job_node("gives", &[], &json!({}))}});
    let kind = kit::recipe_type(engine, "one", &definition);
    let recipe = kit::recipe(engine, kind, json!({}));
    (kit::job_ids(engine, recipe)[0], told)
}

fn good_end(engine: &Engine, job: JobId) -> StatusUpdate {
    let name = engine.running().into_iter().find(|run| run.job == job).expect("it runs").name;
    let state = TaskState::Ended { outcome: kit::DONE, usage: Usage::default() };
    StatusUpdate { name, state, when: engine.now() }
}

fn store_of(directory: &tempfile::TempDir) -> (PathBuf, Engine) {
    let path = directory.path().join("store");
    let engine = Engine::open(&path, Options::default()).expect("a store");
    (path, engine)
}

#[test]
fn an_end_that_is_told_again_gives_its_output_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, engine) = store_of(&directory);
    let (job, told) = with_outputs(&engine, vec![Ok(left(7))]);
    kit::start(&engine, job);
    let end = good_end(&engine, job);
    let sink = status_sink(&engine);
    sink(end.clone());
    sink(end.clone());
    engine.pump();
    assert!(engine.settle(kit::WAIT));
    assert_eq!(told.0.lock().1, 1, "nobody looks for what is on record");
    // Not closed: what is there is what the log holds.
    drop((sink, engine));
    let engine = Engine::open(path, Options::default()).expect("the store opens");
    assert_eq!(engine.job(job).expect("a job").status, JobStatus::Completed);
    let output = engine.job_output(job, 1).expect("an output");
    assert_eq!(&*output.output, r#"{"files":{"F":[1,2]},"json":{"N":7}}"#);
    assert_eq!(output.files.iter().map(|file| &*file.name).collect::<Vec<_>>(), ["/a", "/b"]);
    assert!(engine.doc(file_key(2)).is_some() && engine.doc(file_key(3)).is_none());
    engine.check_invariants();
}

#[test]
fn what_cannot_be_read_is_no_fault_of_the_job() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, engine) = store_of(&directory);
    let unreadable = LeftError::Unreadable { reason: "no disk".into() };
    let (job, _) = with_outputs(&engine, vec![Err(unreadable), Ok(left(1))]);
    kit::start(&engine, job);
    let sink = status_sink(&engine);
    sink(good_end(&engine, job));
    let again = engine.job(job).expect("a job");
    assert_eq!((again.status, again.tries, again.num_exes), (JobStatus::Queued, 0, 2), "run again");
    let outcome = again.end.map(|end| end.outcome);
    assert!(matches!(&outcome, Some(Outcome::Lost { reason }) if reason == "no disk"), "{outcome:?}");
    assert!(engine.job_output(job, 1).is_none() && engine.doc(file_key(1)).is_none());
    kit::start(&engine, job);
    sink(good_end(&engine, job));
    assert_eq!(engine.job(job).expect("a job").status, JobStatus::Completed);
    assert!(engine.job_output(job, 2).is_some());
}

#[test]
fn a_canceled_execution_gives_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (_, engine) = store_of(&directory);
    let (job, told) = with_outputs(&engine, Vec::new());
    kit::start(&engine, job);
    let end = good_end(&engine, job);
    engine.cancel(vec![job]).expect("room").wait_durable(kit::WAIT).expect("canceled");
    status_sink(&engine)(end);
    engine.pump();
    assert_eq!(engine.job(job).expect("a job").status, JobStatus::Canceled);
    assert_eq!((told.0.lock().1, engine.running().len()), (0, 0));
}
