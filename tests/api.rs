//! The server as its clients see it: a real one, on a free port, spoken to over TCP.
//!
//! Shapes under `/v6/` are compared with exchanges recorded from Scale 7.2.2 (`tests/api/scale.jsonl`).

#![cfg(feature = "server")]

#[path = "common/http.rs"]
mod http;
#[path = "api/logs.rs"]
mod logs;
#[path = "api/waits.rs"]
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use http::{Answer, Client, read_answer};
use serde_json::{Value, json};
use weighbridge::{
    ApiState, Engine, JobTypeId, JobTypeSpec, NodeId, NodeResources, Offer, Options, Retention, ServeError,
    Server, ServerOptions, Service, StatusUpdate, TaskState, Timestamp,
};

const WAIT: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "a test waits in real time")]
fn now() -> Instant {
    Instant::now()
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A server over an engine that runs nothing.
struct Daemon {
    engine: Engine,
    client: Client,
    server: Option<Server>,
    service: Option<Service>,
}

impl Daemon {
    fn over(engine: Engine, options: ServerOptions) -> Self {
        let service = Service::start_without_driver(engine.clone()).expect("a thread");
        let server =
            Server::bind_with(any_port(), ApiState::new(engine.clone()), options).expect("a free port");
        let client = Client(server.local_addr());
        Self { engine, client, server: Some(server), service: Some(service) }
    }

    fn in_memory() -> Self {
        Self::over(Engine::in_memory(Options::default()), ServerOptions::default())
    }

    fn stored(directory: &Path) -> Self {
        Self::over(Engine::open(directory, Options::default()).expect("a store"), ServerOptions::default())
    }

    fn put(&self, spec: JobTypeSpec) -> JobTypeId {
        self.engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a job type")
    }

    /// A job type with one input, `N`.
    fn put_step(&self, name: &str, priority: i32) -> JobTypeId {
        self.put(JobTypeSpec::new(name, "1.0.0").command(["run.sh", "{N}"]).priority(priority))
    }

    /// A job type as recorded.
    fn put_recorded(&self, line: &Value) -> JobTypeId {
        let text = |name: &str| line[name].as_str().expect(name).to_owned();
        let whole = |name: &str| line[name].as_f64().map(|n| n.to_string()).expect(name);
        let needs = ["cpus", "mem", "disk"].into_iter().fold(NodeResources::new(), |needs, name| {
            needs.with(name, whole(name).parse().expect(name)).expect(name)
        });
        let inputs = line["inputs"].as_array().expect("inputs").iter();
        let inputs = inputs.map(|name| format!("{{{}}}", name.as_str().expect("a name")));
        let priority = line["priority"].as_i64().and_then(|n| n.try_into().ok()).expect("a priority");
        let command = std::iter::once("run.sh".to_owned()).chain(inputs);
        let mut spec = JobTypeSpec::new(text("job_type"), "1.0.0").needs(needs).command(command);
        spec.priority = priority;
        spec.title = text("title");
        spec.description = text("description");
        self.put(spec)
    }

    /// Queues a job and gives its id.
    fn queue(&self, job_type: JobTypeId, n: u32) -> u64 {
        let body = json!({"job_type_id": job_type, "input": {"json": {"N": n}}});
        self.client.post("/v6/jobs/", &body).expect(201)["id"].as_u64().expect("an id")
    }

    /// Ends the server and its threads, without a word to the engine.
    fn stop(&mut self) -> bool {
        let ended = self.server.take().is_none_or(|server| server.shutdown(Duration::from_secs(5)));
        drop(self.service.take());
        ended
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

fn code(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.body);
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status);
    assert!(problem["detail"].is_string() && problem["title"].is_string());
    let code = problem["code"].as_str().expect("a code").to_owned();
    assert_eq!(problem["type"], format!("urn:weighbridge:problem:{code}"));
    code
}

/// Recorded exchanges: what was asked, what Scale answered.
fn recorded() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/scale.jsonl");
    let text = std::fs::read_to_string(path).expect("the exchanges are there");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Binds symbols (`$job1`) to what first stands in their place.
#[derive(Default)]
struct Symbols {
    bound: BTreeMap<String, Value>,
    /// Only members that were recorded are compared.
    is_subset: bool,
}

impl Symbols {
    fn replace(&self, text: &str) -> String {
        // The longer name first: `$job1` is the beginning of `$job10`.
        let mut names: Vec<_> = self.bound.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.into_iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("\"{name}\""), &value.to_string())
                .replace(name.as_str(), &value.to_string())
        })
    }

    /// Differences between what was recorded and what came, as pointers and texts.
    fn compare(&mut self, at: &str, expected: &Value, found: &Value, host: &str, out: &mut Vec<String>) {
        match (expected, found) {
            (Value::String(text), _) if text.starts_with('$') => {
                let bound = self.bound.entry(text.clone()).or_insert_with(|| found.clone());
                if bound != found || !found.is_u64() {
                    out.push(format!("{at}: {text} is {bound}, found {found}"));
                }
            }
            (Value::String(text), Value::String(found)) if text == "@time" => {
                let (len, has_end) = (found.len(), found.ends_with('Z'));
                if !has_end || !(len == 20 || len == 27) {
                    out.push(format!("{at}: {found} is no time"));
                }
            }
            (Value::String(text), Value::String(found)) if text.starts_with("@host") => {
                let expected = self.replace(&text.replacen("@host", host, 1));
                if expected != *found {
                    out.push(format!("{at}: {expected}, found {found}"));
                }
            }
            (Value::Object(expected), Value::Object(found)) => {
                let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
                for name in names {
                    match (expected.get(name), found.get(name)) {
                        (Some(a), Some(b)) => self.compare(&format!("{at}/{name}"), a, b, host, out),
                        (Some(_), None) => out.push(format!("{at}/{name}: missing")),
                        _ if self.is_subset => {}
                        _ => out.push(format!("{at}/{name}: too much")),
                    }
                }
            }
            (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
                for (n, (a, b)) in expected.iter().zip(found).enumerate() {
                    self.compare(&format!("{at}/{n}"), a, b, host, out);
                }
            }
            (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
            _ if expected == found => {}
            _ => out.push(format!("{at}: {expected}, found {found}")),
        }
    }
}

/// Pointers that `docs/compat.md` says differ: what stands for a manifest and its image.
const DIFFERENT: [&str; 2] = ["/job_type_rev/manifest", "/job_type_rev/docker_image"];

/// Differences of one exchange from what was recorded.
fn replay(client: Client, exchange: &Value, symbols: &mut Symbols) -> Vec<String> {
    let (request, response) = (&exchange["request"], &exchange["response"]);
    let host = format!("http://{}", client.0);
    let path = symbols.replace(request["path"].as_str().expect("a path"));
    let text = request["text"].as_str().map(str::to_owned);
    let body = text.or_else(|| request.get("json").map(Value::to_string)).unwrap_or_default();
    let kind = request["content_type"].as_str().unwrap_or("application/json");
    let method = request["method"].as_str().expect("a method");
    let answer = client.send(method, &path, &[("Content-Type", kind)], &symbols.replace(&body));
    let mut found = Vec::new();
    if json!(answer.status) != response["status"] {
        found.push(format!("status {}, found {}", response["status"], answer.status));
    }
    // Words of a parser or validator are their own.
    if let Some(expected) = response.get("json").filter(|_| exchange.get("loose").is_none()) {
        symbols.is_subset = response["match"] == "subset";
        symbols.compare("", expected, &answer.json(), &host, &mut found);
        found.retain(|fault| !DIFFERENT.iter().any(|at| fault.starts_with(at)));
    }
    if let Some(location) = response["headers"].get("location") {
        let header = json!(answer.header("location"));
        symbols.compare("location", location, &header, &host, &mut found);
    }
    if answer.status == 405 {
        symbols.compare(
            "allow",
            &response["headers"]["allow"],
            &json!(answer.header("allow")),
            &host,
            &mut found,
        );
    }
    found.iter().map(|fault| format!("\n  {method} {path}: {fault}")).collect()
}

#[test]
fn recorded_exchanges_of_scale_are_answered_alike() {
    let mut daemon = Daemon::in_memory();
    let mut symbols = Symbols::default();
    let (mut n_compared, mut faults) = (0, Vec::new());
    for line in recorded() {
        if line.get("about").is_some() {
            daemon = Daemon::in_memory();
            symbols = Symbols::default();
        } else if line.get("job_type").is_some() {
            let id = daemon.put_recorded(&line);
            symbols.bound.insert(line["as"].as_str().expect("a symbol").to_owned(), json!(id));
        } else {
            n_compared += 1;
            faults.extend(replay(daemon.client, &line, &mut symbols));
        }
    }
    println!("{n_compared} exchanges compared, {} differences", faults.len());
    assert!(faults.is_empty(), "{} differences:{}", faults.len(), faults.concat());
    assert_eq!(n_compared, 36);
}

#[test]
fn what_was_answered_is_in_the_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut daemon = Daemon::stored(directory.path());
    let job_type = daemon.put_step("step", 50);
    let ids: Vec<u64> = (0..20).map(|n| daemon.queue(job_type, n)).collect();
    let submission = json!({
        "id": "kept", "job_types": [{"name": "echo", "version": "1", "command": ["echo"]}], "jobs": [{"job_type": 0}],
    });
    let kept = daemon.client.post("/api/v1/submissions", &submission).expect(201);
    // A copy of the files as they are now is what a crash would leave.
    let copy = tempfile::tempdir().expect("a directory");
    for entry in std::fs::read_dir(directory.path()).expect("the store") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    daemon.stop();
    let daemon = Daemon::stored(copy.path());
    for id in ids {
        assert_eq!(daemon.client.get(&format!("/v6/jobs/{id}/")).expect(200)["status"], "QUEUED");
    }
    let again = daemon.client.post("/api/v1/submissions", &submission).expect(200);
    assert_eq!((&again["first_job"], &again["is_repeat"]), (&kept["first_job"], &json!(true)));
}

#[test]
fn a_reader_sees_what_was_answered_before() {
    let daemon = Daemon::in_memory();
    let job_type = daemon.put_step("step", 50);
    for n in 1..=20 {
        daemon.queue(job_type, n);
        let status = daemon.client.get("/v6/queue/status/").expect(200);
        assert_eq!(status["results"][0]["count"], n);
    }
}

#[test]
fn a_read_waits_for_the_position_it_asks_for() {
    let daemon = Daemon::in_memory();
    let position = daemon.client.get("/api/v1/status").expect(200)["position"].as_u64().expect("a position");
    let late = daemon.client.get(&format!("/api/v1/status?min_position={}", position + 1_000));
    assert_eq!((late.status, code(&late)), (503, "position-not-reached".into()));
    assert_eq!(late.header("retry-after"), Some("1"));
    let job_type = daemon.put_step("step", 50);
    let wanted = daemon.engine.durable();
    let status = daemon.client.get(&format!("/api/v1/status?min_position={wanted}")).expect(200);
    assert!(status["position"].as_u64() >= Some(wanted.0));
    assert_eq!(status["job_types"][0]["id"], json!(job_type));
    assert_eq!(code(&daemon.client.get("/api/v1/status?min_position=x")), "invalid-parameter");
}

#[test]
fn queue_status_is_ordered_and_paged() {
    let daemon = Daemon::in_memory();
    let late = daemon.put_step("late", 70);
    let first = daemon.put_step("first", 10);
    let held = daemon.put_step("held", 1);
    let even = daemon.put_step("even", 70);
    for job_type in [late, first, held, even, first] {
        daemon.queue(job_type, 1);
    }
    daemon.client.post("/api/v1/job-types/held/pause", &json!(null)).expect(200);
    let names = |path: &str| -> (Vec<String>, Value) {
        let page = daemon.client.get(path).expect(200);
        let name = |row: &Value| row["job_type"]["name"].as_str().expect("a name").to_owned();
        (page["results"].as_array().expect("rows").iter().map(name).collect(), page)
    };
    let (all, page) = names("/v7/queue/status/");
    assert_eq!(all, ["first", "late", "even", "held"]);
    assert_eq!((&page["count"], &page["results"][0]["count"]), (&json!(4), &json!(2)));
    let (second, page) = names("/v6/queue/status/?page_size=1&page=2");
    assert_eq!(second, ["late"]);
    let url = format!("http://{}/v6/queue/status/", daemon.client.0);
    assert_eq!(page["next"], format!("{url}?page=3&page_size=1"));
    assert_eq!(page["previous"], format!("{url}?page_size=1"));
    let (last, _) = names("/v6/queue/status/?page_size=3&page=last");
    assert_eq!(last, ["held"]);
}

#[test]
fn load_is_measured_grouped_and_filtered() {
    let options = Options::default().load_period(Some(Duration::from_millis(20)));
    let daemon = Daemon::over(Engine::in_memory(options), ServerOptions::default());
    let (one, two) = (daemon.put_step("one", 50), daemon.put_step("two", 50));
    daemon.queue(one, 1);
    daemon.queue(one, 2);
    daemon.queue(two, 3);
    // Measurements go on while jobs are queued: earlier ones may have seen fewer.
    let comes_to = |path: &str, queued: u64| {
        let end = now() + WAIT;
        loop {
            let page = daemon.client.get(path).expect(200);
            let last = page["results"].as_array().expect("rows").last().cloned().unwrap_or_default();
            if last["queued_count"] == queued {
                return;
            }
            assert!(now() < end, "{queued} were never measured: {page}");
        }
    };
    comes_to("/v6/load/?page=last", 3);
    comes_to(&format!("/v6/load/?page=last&job_type_id={one}"), 2);
    comes_to(&format!("/v6/load/?page=last&job_type_id={one}&job_type_id={two}"), 3);
    comes_to("/v6/load/?page=last&job_type_name=two", 1);
    let none = daemon.client.get(&format!("/v6/load/?job_type_id={one}&job_type_name=two")).expect(200);
    assert_eq!(none["count"], 0);
    let bad = daemon.client.get("/v6/load/?job_type_id=x").expect(400);
    assert_eq!(bad["detail"], "Parameter must be a valid integer: \"job_type_id\"");
    let raw = daemon.client.get("/api/v1/load?started=PT1H&job_type=two&limit=1").expect(200);
    assert_eq!(raw["rows"][0]["job_type"]["name"], "two");
    assert_eq!(raw["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(code(&daemon.client.get("/api/v1/load?ended=soon")), "invalid-parameter");
}

#[test]
fn a_job_of_an_inactive_type_is_refused() {
    let daemon = Daemon::in_memory();
    let mut spec = JobTypeSpec::new("old", "1.0");
    spec.is_active = false;
    let id = daemon.put(spec);
    let refused = daemon.client.post("/v6/jobs/", &json!({"job_type_id": id})).expect(400);
    assert_eq!(refused["detail"], "Inactive job type: old");
}

#[test]
fn a_submission_is_made_once() {
    let daemon = Daemon::in_memory();
    let body = json!({
        "job_types": [
            {"name": "part", "version": "1", "command": ["part", "{n}"], "resources": {"cpus": 1}},
            {"name": "join", "version": "1", "command": ["join"]},
        ],
        "jobs": [{"job_type": 0, "count": 3, "values": {"n": "1"}, "priority": 7}],
        "recipes": [{"name": "r", "nodes": [
            {"name": "a", "job_type": 0, "values": {"n": "2"}},
            {"name": "b", "job_type": 1, "parents": [0]},
        ]}],
    });
    let text = body.to_string();
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "nightly-17")];
    let send = || daemon.client.send("POST", "/api/v1/submissions", &headers, &text);
    let first = send().expect(201);
    assert_eq!(
        (&first["id"], &first["n_jobs"], &first["n_recipes"]),
        (&json!("nightly-17"), &json!(5), &json!(1))
    );
    assert_eq!((&first["is_repeat"], &first["job_types"][1]["name"]), (&json!(false), &json!("join")));
    // What was done to a type since is not undone by a repeat.
    daemon.client.post("/api/v1/job-types/part/pause", &json!(null)).expect(200);
    let again = send().expect(200);
    assert_eq!((&again["first_job"], &again["is_repeat"]), (&first["first_job"], &json!(true)));
    let status = daemon.client.get("/api/v1/status").expect(200);
    assert_eq!((&status["totals"]["total"], &status["job_types"][0]["is_paused"]), (&json!(5), &json!(true)));

    let post = |body: &Value| daemon.client.post("/api/v1/submissions", body);
    let nameless = post(&body);
    assert_eq!((nameless.status, code(&nameless)), (422, "invalid-submission".into()));
    assert_eq!(nameless.json()["field"], "id");
    let mut other = body.clone();
    other["id"] = json!("another");
    let two = daemon.client.send("POST", "/api/v1/submissions", &headers, &other.to_string());
    assert_eq!(code(&two), "invalid-body");
    other["jobs"][0]["values"] = json!({});
    let wrong = post(&other);
    assert_eq!(
        (code(&wrong), &wrong.json()["field"]),
        ("invalid-submission".into(), &json!("jobs[0].values"))
    );
    other["jbos"] = json!([]);
    assert_eq!(code(&post(&other)), "invalid-body");
}

#[test]
fn submissions_that_do_not_arrive_keep_nobody_else() {
    let daemon = Daemon::in_memory();
    let begin = |len: usize| {
        let mut stream = daemon.client.connect();
        let head = format!("POST /api/v1/submissions HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n{{");
        stream.write_all(head.as_bytes()).expect("sent");
        stream
    };
    let slow: Vec<_> = (0..32).map(|_| begin(100)).chain((0..8).map(|_| begin(60 << 20))).collect();
    // The slow ones are taken up by the time an answer comes that was asked for after them.
    daemon.client.get("/version").expect(200);
    let began = now();
    let body = json!({
        "id": "quick",
        "job_types": [{"name": "t", "version": "1", "command": ["t"]}],
        "jobs": [{"job_type": 0, "values": {"pad": " ".repeat(1 << 10)}}],
    });
    daemon.client.post("/api/v1/submissions", &body).expect(201);
    let headers = [("Content-Type", "application/json")];
    let long = format!("{}{}", body, " ".repeat(3 << 20));
    assert_eq!(daemon.client.send("POST", "/api/v1/submissions", &headers, &long).expect(200)["id"], "quick");
    assert!(now() - began < Duration::from_secs(20), "it waited for a slow one to time out");
    drop(slow);
}

/// Three types, a node, and jobs that wait for different reasons.
fn busy() -> (Daemon, JobTypeId) {
    let daemon = Daemon::in_memory();
    let small = daemon.put(JobTypeSpec::new("small", "1").needs(NodeResources::new().mem_mib(100)));
    daemon.put(JobTypeSpec::new("huge", "1").needs(NodeResources::new().mem_mib(9_000)));
    daemon.engine.declare_node(NodeId(1), "alpha", &NodeResources::new().mem_mib(1_000));
    (daemon, small)
}

#[test]
fn jobs_are_canceled_and_moved_forward() {
    let (daemon, small) = busy();
    let client = daemon.client;
    for _ in 0..4 {
        client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201);
    }
    let order = || -> Vec<u64> {
        let queue = client.get("/api/v1/queue").expect(200);
        let entries = queue["entries"].as_array().expect("entries").clone();
        assert!(entries.iter().enumerate().all(|(n, entry)| entry["position"] == json!(n)));
        entries.iter().map(|entry| entry["job"].as_u64().expect("a job")).collect()
    };
    assert_eq!(order(), [1, 2, 3, 4]);
    let moved = client.post("/api/v1/jobs/priority", &json!({"job_ids": [3], "priority": -5})).expect(200);
    assert_eq!((&moved["n_changed"], &moved["n_ignored"]), (&json!(1), &json!(0)));
    assert_eq!(order(), [3, 1, 2, 4]);
    let canceled = client.post("/api/v1/jobs/cancel", &json!({"job_ids": [1, 4, 1]})).expect(200);
    assert_eq!(canceled["n_changed"], 2);
    assert!(canceled["position"].as_u64() > moved["position"].as_u64());
    assert_eq!(order(), [3, 2]);
    let again = client.post("/api/v1/jobs/cancel", &json!({"job_ids": [1, 2]})).expect(200);
    assert_eq!((&again["n_changed"], &again["n_ignored"]), (&json!(1), &json!(1)));
    client.json("PUT", "/api/v1/queue/mode", &json!({"mode": "lifo"})).expect(200);
    assert_eq!(client.get("/api/v1/status").expect(200)["mode"], "LIFO");
    client.json("PUT", "/api/v1/queue/mode", &json!({"mode": "FIFO", "job_type": "small"})).expect(200);
    assert_eq!(client.get("/api/v1/job-types/small").expect(200)["mode"], "FIFO");
    let queue = client.get("/api/v1/queue?without=small&limit=5").expect(200);
    assert_eq!(queue["entries"], json!([]));

    let unknown = client.post("/api/v1/jobs/cancel", &json!({"job_ids": [2, 99]}));
    assert_eq!((unknown.status, code(&unknown)), (404, "no-such-job".into()));
    for body in
        [json!({}), json!({"job_ids": "all"}), json!({"job_ids": [-1]}), json!({"job_ids": [], "x": 1})]
    {
        assert_eq!(code(&client.post("/api/v1/jobs/cancel", &body)), "invalid-body", "{body}");
    }
    for body in [json!({"mode": "LIFOX"}), json!({"mode": null}), json!({"mode": 1})] {
        assert_eq!(code(&client.json("PUT", "/api/v1/queue/mode", &body)), "invalid-body", "{body}");
    }
}

#[test]
fn job_types_are_limited_and_listed() {
    let (daemon, _) = busy();
    let client = daemon.client;
    let put = |body: &Value| client.json("PUT", "/api/v1/job-types/1/limit", body);
    put(&json!({"max_scheduled": 4})).expect(200);
    let types = client.get("/api/v1/job-types").expect(200);
    assert_eq!(types["job_types"][0]["max_scheduled"], 4);
    assert_eq!(types["job_types"][1]["resources"], json!({"mem": 9_000.0}));
    put(&json!({"max_scheduled": null})).expect(200);
    assert_eq!(client.get("/api/v1/job-types/small").expect(200)["max_scheduled"], Value::Null);
    for body in [json!({"max_scheduled": 0}), json!({"max_scheduled": "4"}), json!({})] {
        assert_eq!(code(&put(&body)), "invalid-body", "{body}");
    }
    let unknown = client.post("/api/v1/job-types/none/pause", &json!(null));
    assert_eq!((unknown.status, code(&unknown)), (404, "no-such-job-type".into()));
    daemon.put(JobTypeSpec::new("small", "2"));
    let two = client.post("/api/v1/job-types/small/pause", &json!(null));
    assert_eq!((two.status, code(&two)), (409, "ambiguous-job-type".into()));
}

#[test]
fn jobs_are_listed_by_filters_and_order() {
    let daemon = Daemon::in_memory();
    let (one, two) = (daemon.put_step("one", 7), daemon.put_step("two", 3));
    for n in 0..5 {
        daemon.queue(if n % 2 == 0 { one } else { two }, n);
    }
    let client = daemon.client;
    client.post("/api/v1/jobs/cancel", &json!({"job_ids": [2, 3]})).expect(200);
    let ids = |jobs: &Value| -> Vec<u64> {
        jobs.as_array().expect("a list").iter().map(|job| job["id"].as_u64().expect("an id")).collect()
    };
    let own = |query: &str| client.get(&format!("/api/v1/jobs?{query}")).expect(200);
    let first = own("order=priority,-id&limit=3&count=true");
    assert_eq!((ids(&first["jobs"]), &first["total"]), (vec![4, 2, 5], &json!({"n": 5, "is_exact": true})));
    let next = first["next"].as_str().expect("a text").to_owned();
    let rest = own(&format!("order=priority,-id&limit=3&after={next}"));
    assert_eq!((ids(&rest["jobs"]), &rest["next"]), (vec![3, 1], &Value::Null));
    assert!(rest.get("total").is_none());
    assert_eq!(ids(&own("job_type=two&status=QUEUED")["jobs"]), [4]);
    assert_eq!(ids(&own("started=PT1H&ended=PT1M")["jobs"]), Vec::<u64>::new());
    for (bad, field) in [
        ("order=size", "order"),
        ("order=status&after=7", "after"),
        ("after=x", "after"),
        ("error_category=NONE", "error_category"),
        ("count=some", "count"),
    ] {
        let problem = client.get(&format!("/api/v1/jobs?{bad}"));
        assert_eq!((code(&problem), &problem.json()["field"]), ("invalid-parameter".into(), &json!(field)));
    }
    let scale = |query: &str| client.get(&format!("/v6/jobs/?{query}"));
    let page = scale("order=-id&page_size=2&page=2&job_type_id=1").expect(200);
    assert_eq!((ids(&page["results"]), &page["count"], &page["next"]), (vec![1], &json!(3), &Value::Null));
    assert!(
        page["previous"].as_str().expect("a link").ends_with("/v6/jobs/?job_type_id=1&order=-id&page_size=2")
    );
    let line = &page["results"][0];
    assert!(line["job_type"]["name"] == "one" && line.get("input").is_none(), "{line}");
    assert_eq!(ids(&scale("status=CANCELED&page=last&page_size=1").expect(200)["results"]), [3]);
    assert_eq!(scale("is_superseded=true").expect(200)["count"], 0);
    assert_eq!(scale("page=9").expect(404), json!({"detail": "Invalid page."}));
    assert_eq!(
        scale("job_id=1,2").expect(400),
        json!({"detail": "Parameter must be a valid integer: \"job_id\""})
    );
}

#[test]
fn a_job_that_was_dropped_is_told_from_one_that_never_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options::default().retention(Retention::ALL.jobs(0));
    let engine = Engine::open(directory.path(), options).expect("a store");
    let daemon = Daemon::over(engine, ServerOptions::default());
    let kind = daemon.put_step("one", 7);
    daemon.queue(kind, 0);
    daemon.queue(kind, 1);
    daemon.client.post("/api/v1/jobs/cancel", &json!({"job_ids": [1]})).expect(200);
    let end = now() + WAIT;
    // Marked after one checkpoint, dropped with a later one.
    while daemon.client.get("/api/v1/jobs/1").status == 200 {
        assert!(now() < end, "it is still there");
        daemon.client.post("/api/v1/jobs/priority", &json!({"job_ids": [2], "priority": 5})).expect(200);
        daemon.engine.checkpoint(WAIT).expect("made");
    }
    for path in ["/api/v1/jobs/1", "/api/v1/jobs/1/explain"] {
        let gone = daemon.client.get(path);
        assert_eq!((gone.status, code(&gone)), (410, "job-dropped".into()), "{path}");
    }
    assert_eq!(code(&daemon.client.get("/api/v1/jobs/3")), "no-such-job");
    assert_eq!(daemon.client.get("/v6/jobs/1/").status, 404);
    assert_eq!(daemon.client.get("/v6/jobs/?order=id").expect(200)["count"], 1);
}

#[test]
fn jobs_are_listed_by_id_and_status() {
    let (daemon, small) = busy();
    let client = daemon.client;
    let submission = json!({
        "id": "many", "job_types": [{"name": "x", "version": "1", "command": ["x"]}],
        "jobs": [{"job_type": 0, "count": 2_500}],
    });
    client.post("/api/v1/submissions", &submission).expect(201);
    client.post("/api/v1/jobs/cancel", &json!({"job_ids": [7, 1_500, 2_500]})).expect(200);
    let ids = |path: &str| -> (Vec<u64>, Value) {
        let list = client.get(path).expect(200);
        let jobs = list["jobs"].as_array().expect("jobs").clone();
        (jobs.iter().map(|job| job["id"].as_u64().expect("an id")).collect(), list["next"].clone())
    };
    assert_eq!(ids("/api/v1/jobs?limit=2&after=3"), (vec![4, 5], json!(5)));
    assert_eq!(ids("/api/v1/jobs?after=2499"), (vec![2_500], Value::Null));
    assert_eq!(ids("/api/v1/jobs?status=canceled"), (vec![7, 1_500, 2_500], Value::Null));
    assert_eq!(ids("/api/v1/jobs?status=CANCELED,RUNNING&limit=2"), (vec![7, 1_500], json!(1_500)));
    assert_eq!(ids("/api/v1/jobs?status=FAILED"), (vec![], Value::Null));
    let job = client.get("/api/v1/jobs/7").expect(200);
    assert_eq!((&job["status"], &job["job_type"]["name"]), (&json!("CANCELED"), &json!("x")));
    assert_eq!(code(&client.get("/api/v1/jobs?status=DONE")), "invalid-parameter");
    assert_eq!(code(&client.get("/api/v1/jobs/0x7")), "invalid-parameter");
    assert_eq!(code(&client.get("/api/v1/jobs/2501")), "no-such-job");
    assert!(client.get(&format!("/v6/jobs/{small}9999/")).expect(404)["detail"].is_string());
}

#[test]
fn a_job_that_ran_shows_where_and_how_it_ended() {
    let (daemon, small) = busy();
    let client = daemon.client;
    client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201);
    let offer = Offer::new(NodeId(1), NodeResources::new().mem_mib(1_000)).named("alpha");
    let launches = daemon.engine.offer(&offer).commit().wait(WAIT).expect("durable");
    let job = client.get("/v6/jobs/1/").expect(200);
    assert_eq!((&job["status"], &job["node"]["hostname"]), (&json!("RUNNING"), &json!("alpha")));
    assert_eq!(job["execution"]["cluster_id"], "scale_job_local_1x1");
    assert_eq!(job["execution"]["task_results"], Value::Null);
    let name = launches[0].get().name;
    let outcome = weighbridge::Outcome::Exited { code: 0 };
    let state = TaskState::Ended { outcome, usage: weighbridge::Usage::default() };
    let update = StatusUpdate { name, state, when: Timestamp(0) };
    daemon.engine.status(update).expect("room").wait_durable(WAIT).expect("durable");
    let job = client.get("/v7/jobs/1/").expect(200);
    assert_eq!((&job["status"], &job["execution"]["status"]), (&json!("COMPLETED"), &json!("COMPLETED")));
    assert_eq!(client.get("/api/v1/jobs/1").expect(200)["end"]["code"], "completed");
}

/// Metrics by name and labels; holds the form of the text on the way.
fn metrics(text: &str) -> BTreeMap<String, f64> {
    let mut types = BTreeSet::new();
    let mut all = BTreeMap::new();
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(types.insert(rest.split(' ').next().expect("a name").to_owned()), "{line} comes twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect(line);
            let family = name.split('{').next().expect("a name");
            let known = ["", "_total", "_info"]
                .iter()
                .any(|end| family.strip_suffix(end).is_some_and(|family| types.contains(family)));
            assert!(known, "{line} has no type");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(all.insert(name.to_owned(), value).is_none(), "{line} comes twice");
        }
    }
    all
}

#[test]
fn metrics_tell_what_the_view_tells() {
    let (daemon, small) = busy();
    for _ in 0..3 {
        daemon.client.post("/v6/jobs/", &json!({"job_type_id": small})).expect(201);
    }
    daemon.client.get("/v6/queue/status/").expect(200);
    daemon.engine.fresh_view(Duration::from_secs(20));
    let answer = daemon.client.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(
        answer.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
    let metrics = metrics(&answer.body);
    let value = |name: &str| *metrics.get(name).unwrap_or_else(|| panic!("no {name} in {metrics:#?}"));
    let near = |name: &str, expected: f64| assert!((value(name) - expected).abs() < 1e-9, "{name}");
    near("weighbridge_jobs{job_type=\"small:1\",status=\"QUEUED\"}", 3.0);
    near("weighbridge_jobs{job_type=\"huge:1\",status=\"RUNNING\"}", 0.0);
    near("weighbridge_queue_depth{job_type=\"small:1\"}", 3.0);
    let waiting = |job_type: &str, reason: &str| {
        let name = format!("weighbridge_waiting{{job_type=\"{job_type}\",reason=\"{reason}\"}}");
        *metrics.get(&name).unwrap_or_else(|| panic!("no {name} in {metrics:#?}"))
    };
    let all: f64 =
        weighbridge::WaitReason::ALL.iter().map(|reason| waiting("small:1", reason.as_str())).sum();
    assert!((all - 3.0).abs() < 1e-9, "{all}");
    assert!((waiting("small:1", "behind") - 3.0).abs() < 1e-9);
    assert!(waiting("huge:1", "too_big").abs() < 1e-9);
    near("weighbridge_node_resources_free{node=\"alpha\",resource=\"mem\"}", 1_000.0);
    near("weighbridge_node_resources_capacity{node=\"alpha\",resource=\"mem\"}", 1_000.0);
    near("weighbridge_running_executions", 0.0);
    near("weighbridge_log_healthy", 1.0);
    near("weighbridge_epoch", 1.0);
    assert!(value("weighbridge_log_commits_total") >= 0.0);
    assert!(value("weighbridge_view_position") <= value("weighbridge_log_position"));
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(metrics.keys().any(|name| name.starts_with("weighbridge_build_info{version=")));
}

#[test]
fn health_is_told_in_a_word_and_in_full() {
    let daemon = Daemon::in_memory();
    for path in ["/livez", "/readyz", "/healthz"] {
        let answer = daemon.client.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"), "{path}");
    }
    let full = daemon.client.get("/readyz?verbose").expect(200);
    let names: Vec<_> =
        full["checks"].as_array().expect("checks").iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["core", "recovered", "log", "state"]);
    assert_eq!(daemon.client.get("/version").expect(200)["version"], env!("CARGO_PKG_VERSION"));
}

/// A clock that a test sets.
#[derive(Clone, Default)]
struct Set(std::sync::Arc<std::sync::atomic::AtomicI64>);

impl weighbridge::Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }
}

#[test]
fn a_core_that_nobody_moves_is_not_alive() {
    let clock = Set::default();
    let engine = Engine::in_memory(Options::default().clock(clock.clone()));
    let server = Server::bind(any_port(), ApiState::new(engine)).expect("a free port");
    let client = Client(server.local_addr());
    assert_eq!(client.get("/livez").status, 200);
    clock.0.store(60_000_000, std::sync::atomic::Ordering::Relaxed);
    let answer = client.get("/livez");
    assert_eq!((answer.status, answer.body.as_str()), (503, "the core has not moved for 60 s\n"));
    assert_eq!(client.get("/readyz?verbose").expect(503)["status"], "failing");
}

#[test]
fn what_is_not_there_says_so_in_the_shape_of_its_surface() {
    let daemon = Daemon::in_memory();
    let client = daemon.client;
    for path in ["/v6/nothing/", "/v7/", "/v6/jobs/x/", "/v6/jobs/1/", "/v6/jobs/99999999999999999999/"] {
        assert_eq!(client.get(path).expect(404), json!({"detail": "Not found."}), "{path}");
    }
    for path in ["/v6/job-types/%FF/", "/v7/job-types/step/%C3%28/"] {
        assert_eq!(client.get(path).expect(404), json!({"detail": "Not found."}), "{path}");
    }
    assert_eq!(client.get("/v6/job-types/%C3%A4/").expect(200)["count"], 0, "what is text may be asked for");
    assert_eq!(code(&client.get("/api/v1/jobs/%FF")), "not-found");
    for path in ["/v8/jobs/", "/", "/api/v1/nothing", "/api/v2/status", "/v66/jobs/"] {
        assert_eq!(code(&client.get(path)), "not-found", "{path}");
    }
    let moved = client.get("/v7/load?started=P1D&x=%C3%A4");
    assert_eq!(moved.header("location"), Some("/v7/load/?started=P1D&x=%C3%A4"));
    let method = client.send("DELETE", "/api/v1/jobs", &[], "");
    assert_eq!((method.status, code(&method)), (405, "method-not-allowed".into()));
    assert_eq!(method.header("allow"), Some("GET, POST, HEAD, OPTIONS"));
    assert_eq!(
        client.send("OPTIONS", "/v6/jobs/", &[], "").header("allow"),
        Some("GET, POST, HEAD, OPTIONS")
    );
    let head = client.send("HEAD", "/v6/version/", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let kind = client.send("POST", "/api/v1/jobs/cancel", &form, "job_ids=1");
    assert_eq!((kind.status, code(&kind)), (415, "unsupported-media-type".into()));
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let daemon = Daemon::in_memory();
    for (path, len) in
        [("/v6/jobs/", 3 << 20), ("/api/v1/jobs/cancel", 3 << 20), ("/api/v1/submissions", 65 << 20)]
    {
        let mut stream = daemon.client.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {len}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        assert_eq!(read_answer(&mut stream).status, 413, "{path}");
    }
    // Without a length it is read up to the bound.
    let mut stream = daemon.client.connect();
    let head =
        "POST /v6/jobs/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    for _ in 0..3 {
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    assert_eq!(read_answer(&mut stream).status, 413);
}

#[test]
fn an_engine_that_takes_nothing_is_a_503_to_try_again() {
    // Nobody drains the intake, and it has room for one.
    let engine = Engine::in_memory(Options::default().intake_len(1));
    let server = Server::bind(any_port(), ApiState::new(engine.clone())).expect("a free port");
    let client = Client(server.local_addr());
    let waiting = engine.cancel(Vec::new()).expect("room for one");
    let cancel = || client.post("/api/v1/jobs/cancel", &json!({"job_ids": []}));
    let full = cancel();
    assert_eq!((full.status, code(&full), full.header("retry-after")), (503, "busy".into(), Some("1")));
    engine.pump();
    waiting.wait_durable(WAIT).expect("it had room");

    let daemon = Daemon::in_memory();
    let job_type = daemon.put_step("step", 50);
    daemon.queue(job_type, 1);
    daemon.engine.clone().close().expect("closed");
    let closed = daemon.client.post("/v6/jobs/", &json!({"job_type_id": job_type}));
    assert_eq!((closed.status, closed.header("retry-after")), (503, Some("1")));
    assert_eq!(daemon.client.get("/v6/jobs/1/").expect(200)["status"], "QUEUED");
}

#[test]
fn a_body_that_does_not_come_ends_with_its_request() {
    let options = ServerOptions::default().request_timeout(Duration::from_millis(150));
    let daemon = Daemon::over(Engine::in_memory(Options::default()), options);
    let mut stream = daemon.client.connect();
    let head = "POST /v6/jobs/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).expect("sent");
    let answer = read_answer(&mut stream);
    assert_eq!((answer.status, code(&answer)), (503, "timeout".into()));
}

#[test]
fn a_client_that_does_not_get_its_headers_out_is_cut() {
    let options = ServerOptions::default().header_timeout(Duration::from_millis(150)).connections(1);
    let daemon = Daemon::over(Engine::in_memory(Options::default()), options);
    let mut slow = daemon.client.connect();
    slow.write_all(b"GET /version HTTP/1.1\r\nHost: h\r\nX-Slow: ").expect("sent");
    // The only connection there may be is taken, so this one waits until the slow one is cut.
    assert_eq!(daemon.client.get("/version").status, 200);
    let mut rest = Vec::new();
    // Cut with or without a word, but cut.
    let _ = slow.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[test]
fn a_port_in_use_is_named() {
    let daemon = Daemon::in_memory();
    let taken = daemon.client.0;
    let refused = Server::bind(taken, ApiState::new(daemon.engine.clone())).err().expect("it is in use");
    assert!(matches!(refused, ServeError::InUse { listen } if listen == taken), "{refused}");
    assert!(refused.to_string().contains(&format!("{taken} is in use")), "{refused}");
}

#[test]
fn requests_under_way_are_answered_when_the_server_stops() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut daemon = Daemon::stored(directory.path());
    let job_type = daemon.put_step("step", 50);
    let client = daemon.client;
    let body = json!({"job_type_id": job_type, "input": {"json": {"N": 1}}});
    let posting: Vec<_> = (0..8)
        .map(|_| {
            let body = body.clone();
            std::thread::spawn(move || {
                (0..25).map(|_| client.post("/v6/jobs/", &body).status).collect::<Vec<_>>()
            })
        })
        .collect();
    let statuses: Vec<u16> =
        posting.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect();
    assert_eq!(statuses, vec![201; 200]);
    let mut idle = client.connect();
    idle.write_all(b"GET /version HTTP/1.1\r\nHost: h\r\n\r\n").expect("sent");
    let mut first = [0; 15];
    idle.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // A connection that idles is no reason to wait.
    let begin = now();
    assert!(daemon.stop(), "nothing was cut");
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert!(std::net::TcpStream::connect(client.0).is_err(), "nobody listens any more");
    assert_eq!(daemon.engine.fresh_view(WAIT).totals.queued, 200);
}
