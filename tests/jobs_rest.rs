//! Jobs over REST as clients of Scale know them: what is taken, what is refused and in which words, and what
//! orders for many jobs do.

#![cfg(feature = "server")]

#[expect(dead_code, reason = "shared with tests/api.rs")]
#[path = "common/http.rs"]
mod http;

use std::net::Ipv4Addr;
use std::time::Duration;

use http::{Answer, Client};
use serde_json::{Value, json};
use weighbridge::{
    ApiState, Engine, FileRecord, JobStatus, JobTypeChange, JobTypeId, JobTypeSpec, NewJobType, NodeId,
    NodeResources, Offer, Options, Outcome, Server, Service, StatusUpdate, TaskState, Usage,
};

const WAIT: Duration = Duration::from_secs(20);

/// What the engine acts on of such a type.
fn step(name: &str) -> JobTypeSpec {
    let resources = NodeResources::new().cpus("0.25").expect("cores").mem_mib(128).disk_mib(0);
    JobTypeSpec::new(name, "1.0.0").timeout_s(60).needs(resources)
}

/// A server over an engine in memory that runs nothing by itself.
struct Daemon {
    engine: Engine,
    client: Client,
    parts: Option<(Service, Server)>,
}

impl Daemon {
    fn new() -> Self {
        let engine = Engine::in_memory(Options::default());
        let service = Service::start_without_driver(engine.clone()).expect("a thread");
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), ApiState::new(engine.clone()));
        let server = server.expect("a free port");
        let client = Client(server.local_addr());
        Self { engine, client, parts: Some((service, server)) }
    }

    /// A type that takes a whole number and perhaps files, and asks for memory by their size.
    fn put_step(&self, name: &str) -> JobTypeId {
        let manifest = json!({
            "seedVersion": "1.0.0",
            "job": {
                "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": name, "description": "",
                "maintainer": {"name": "A", "email": "a@example.com"}, "timeout": 60,
                "interface": {
                    "command": "run.sh",
                    "inputs": {
                        "files": [{"name": "F", "required": false, "multiple": true}],
                        "json": [{"name": "N", "type": "integer"}],
                    },
                },
                "resources": {"scalar": [{"name": "mem", "value": 64.0, "inputMultiplier": 4.0}]},
            },
        });
        let ticket = self.engine.put_manifest(NewJobType {
            spec: step(name),
            manifest: manifest.to_string().into(),
            docker_image: "image:1".to_owned(),
            configuration: "{}".into(),
            is_published: false,
            icon_code: None,
            is_long_running: false,
        });
        ticket.expect("room").wait_durable(WAIT).expect("a type")
    }

    /// Gives a type a new revision that asks for other memory.
    fn put_revision(&self, kind: JobTypeId, mem: f64) {
        let view = self.engine.fresh_view(WAIT);
        let details = view.catalog.job_type(kind).expect("a type");
        let mut manifest: Value = serde_json::from_str(&details.manifest).expect("JSON");
        manifest["job"]["resources"]["scalar"][0]["value"] = mem.into();
        let mut body = json!({"manifest": manifest});
        body["auto_update"] = false.into();
        let name = manifest["job"]["name"].as_str().expect("a name");
        self.client.json("PATCH", &format!("/v6/job-types/{name}/1.0.0/"), &body).expect(200);
    }

    fn put_file(&self, bytes: u64) -> u64 {
        let ticket = self.engine.put_file(FileRecord::new("a.txt", "text/plain", bytes)).expect("room");
        ticket.wait_durable(WAIT).expect("a file").0
    }

    fn post_job(&self, kind: JobTypeId, body: &Value) -> Answer {
        let mut members = json!({"job_type_id": kind.0, "input": {"json": {"N": 1}}});
        for (name, value) in body.as_object().expect("an object") {
            members[name] = value.clone();
        }
        self.client.post("/v6/jobs/", &members)
    }

    fn queue(&self, kind: JobTypeId) -> u64 {
        self.post_job(kind, &json!({})).expect(201)["id"].as_u64().expect("an id")
    }

    fn launch(&self, job: u64) {
        let room = NodeResources::new().cpus("1000").map(|room| room.mem_mib(1 << 20).disk_mib(1 << 20));
        let mut picks = self.engine.offer(&Offer::new(NodeId(1), room.expect("amounts")));
        picks.retain(|pick| pick.job.0 == job);
        picks.commit().wait(WAIT).expect("launches");
    }

    fn order(&self, what: &str, body: &Value) -> Answer {
        self.client.post(&format!("/v6/jobs/{what}/"), body)
    }

    fn statuses(&self) -> Vec<(u64, String, u64)> {
        let page = self.client.get("/v6/jobs/?order=id").expect(200);
        let row = |job: &Value| {
            let number = |name: &str| job[name].as_u64().expect(name);
            (number("id"), job["status"].as_str().expect("a status").to_owned(), number("num_exes"))
        };
        page["results"].as_array().expect("jobs").iter().map(row).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some((service, server)) = self.parts.take() {
            server.shutdown(Duration::from_secs(5));
            service.stop();
        }
    }
}

#[test]
fn the_input_of_a_job_is_processed_before_it_is_queued() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("step");
    let file = daemon.put_file(105_067_315);
    let input = json!({"files": {"F": [file]}, "json": {"N": 1, "unknown": 2}});
    let job = daemon.post_job(kind, &json!({"input": input})).expect(201);
    assert_eq!(job["input_file_size"], 101.0);
    assert_eq!(
        job["resources"]["resources"],
        json!({"cpus": 0.25, "mem": 468.0, "disk": 101.0, "gpus": 0.0})
    );
    assert_eq!(job["input"], json!({"files": {"F": [file]}, "json": {"N": 1}}));
    assert_eq!(job["input_files"], json!({"F": ["a.txt"]}));
    let line = &daemon.client.get("/v6/jobs/").expect(200)["results"][0];
    assert_eq!(line["input_files"], job["input_files"]);
    assert_eq!(daemon.client.get("/v7/jobs/1/").expect(200), job, "a look shows what the answer told");
    daemon.launch(1);
    let execution = &daemon.client.get("/v6/jobs/1/").expect(200)["execution"];
    assert_eq!(execution["configuration"]["input_files"]["F"][0]["id"], file);
    assert_eq!(execution["input_file_size"], 101.0);
}

#[test]
fn what_a_job_type_does_not_take_is_refused_in_words() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("step");
    let bare = |body: Value, text: &str| assert_eq!(daemon.post_job(kind, &body).expect(400), json!(text));
    let detail = |body: Value, text: &str| {
        let found = daemon.post_job(kind, &body).expect(400);
        let found = found["detail"].as_str().expect("a detail");
        assert!(found.starts_with(text), "{found}");
    };
    bare(json!({"input": {}}), "Invalid job data: Parameter 'N' is required");
    bare(json!({"input": {"json": {"N": "1"}}}), "Invalid job data: Parameter 'N' must receive an integer");
    bare(json!({"input": {"json": {"N": true}}}), "Invalid job data: Parameter 'N' must receive an integer");
    let file = json!({"input": {"json": {"N": 1}, "files": {"F": [9]}}});
    detail(file, "Invalid job data: Parameter 'F' has the unknown file 9");
    let configuration = "Job type configuration invalid: Invalid configuration: ";
    detail(json!({"configuration": {"priority": 0}}), &format!("{configuration}0 is less than the minimum"));
    detail(json!({"configuration": {"priority": 1_i64 << 31}}), configuration);
    detail(json!({"configuration": {"colour": 1}}), configuration);
    let workspace = json!({"configuration": {"output_workspaces": {"default": "none", "outputs": {}}}});
    detail(workspace, "Job type configuration invalid: No workspace named 'none'");
    detail(json!({"job_type_id": "x"}), "Parameter must be a valid integer: \"job_type_id\"");
    detail(json!({"input": {"json": []}, "job_type_id": 99}), "Invalid data: [] is not of type 'object'");
    detail(json!({"input": {"files": {"F": 9}}}), "Invalid data: 9 is not of type 'array'");
    bare(json!({"input": {"json": {"G": 1}, "files": {"G": [1]}}}), "Invalid job data: Duplicate value 'G'");
    assert_eq!(daemon.post_job(JobTypeId(99), &json!({})).expect(404), json!({"detail": "Not found."}));
    let change = JobTypeChange { is_active: Some(false), ..JobTypeChange::default() };
    let ticket = daemon.engine.edit_job_type(kind, change).expect("room");
    ticket.wait_durable(WAIT).expect("inactive");
    detail(json!({}), "Inactive job type: step");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    for path in ["/v6/jobs/", "/v6/jobs/requeue/", "/v6/jobs/cancel/"] {
        assert_eq!(daemon.client.send("POST", path, &form, "job_type_id=1").status, 415, "{path}");
        for body in [json!(null), json!(3), json!([])] {
            assert_eq!(daemon.client.post(path, &body).status, 400, "{path} {body}");
        }
    }
    assert_eq!(daemon.client.get("/v6/jobs/").expect(200)["count"], 0, "nothing was stored");
}

#[test]
fn a_configuration_is_laid_over_that_of_the_type() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("step");
    let job = daemon.post_job(kind, &json!({"configuration": {"priority": 7}})).expect(201);
    let expected = json!({
        "mounts": {}, "priority": 7, "output_workspaces": {"default": "", "outputs": {}}, "settings": {},
    });
    assert_eq!(job["configuration"], expected);
    assert_eq!(daemon.client.get("/v6/queue/status/").expect(200)["results"][0]["highest_priority"], 7);
}

#[test]
fn orders_for_many_jobs_take_those_that_meet_every_condition() {
    let daemon = Daemon::new();
    let (kind, other) = (daemon.put_step("one"), daemon.put_step("two"));
    for kind in [kind, kind, other] {
        daemon.queue(kind);
    }
    let are = |expected: [(u64, &str, u64); 3]| {
        let expected = expected.map(|(id, status, num_exes)| (id, status.to_owned(), num_exes));
        assert_eq!(daemon.statuses(), expected);
    };
    for body in [json!({}), json!({"priority": 3}), json!({"job_ids": null})] {
        for what in ["requeue", "cancel"] {
            let found = daemon.order(what, &body).expect(400);
            assert!(found["detail"].as_str().is_some_and(|text| text.contains("needs a filter")), "{found}");
        }
    }
    for body in [json!({"job_ids": []}), json!({"job_ids": [99]}), json!({"status": ["FAILED"]})] {
        let answer = daemon.order("requeue", &body);
        assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{body}");
    }
    are([(1, "QUEUED", 1), (2, "QUEUED", 1), (3, "QUEUED", 1)]);
    assert_eq!(daemon.order("cancel", &json!({"job_type_ids": [kind.0], "job_ids": [2, 3]})).status, 202);
    are([(1, "QUEUED", 1), (2, "CANCELED", 1), (3, "QUEUED", 1)]);
    let named = json!([{"name": "two", "version": "1.0.0"}]);
    assert_eq!(daemon.order("requeue", &json!({"job_types": named, "priority": -7})).status, 202);
    are([(1, "QUEUED", 1), (2, "CANCELED", 1), (3, "QUEUED", 2)]);
    let queued = daemon.client.get("/v6/queue/status/").expect(200);
    assert_eq!(queued["results"][0]["highest_priority"], -7);
    assert_eq!(daemon.order("requeue", &json!({"status": "CANCELED", "priority": "9"})).status, 202);
    are([(1, "QUEUED", 1), (2, "QUEUED", 2), (3, "QUEUED", 2)]);
    let unknown =
        daemon.order("cancel", &json!({"job_types": [{"name": "none", "version": "1"}]})).expect(400);
    assert_eq!(unknown["detail"], "Job Type with name: none and version: 1 does not exist");
    for priority in [json!(1_i64 << 31), json!(2.5), json!("x")] {
        let found = daemon.order("requeue", &json!({"job_ids": [1], "priority": priority})).expect(400);
        assert_eq!(found["detail"], "Parameter must be a valid integer: \"priority\"");
    }
    let many: Vec<u64> = (1..=1_001).collect();
    assert_eq!(daemon.order("cancel", &json!({"recipe_ids": many})).status, 400);
    are([(1, "QUEUED", 1), (2, "QUEUED", 2), (3, "QUEUED", 2)]);
}

#[test]
fn a_job_queued_again_goes_by_what_its_type_says_by_then() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("one");
    daemon.queue(kind);
    daemon.post_job(kind, &json!({"configuration": {"priority": 70}})).expect(201);
    let spec = Some(Box::new(step("one").priority(30)));
    let configuration = Some("{\"priority\":30}".into());
    let change = JobTypeChange { spec, configuration, ..JobTypeChange::default() };
    let ticket = daemon.engine.edit_job_type(kind, change).expect("room");
    ticket.wait_durable(WAIT).expect("changed");
    let priorities = || {
        let queued = daemon.engine.queued(&[], 10);
        let mut all: Vec<_> = queued.iter().map(|entry| (entry.job.0, entry.priority)).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(priorities(), [(1, 100), (2, 70)], "what waits stays as it is");
    assert_eq!(daemon.order("requeue", &json!({"status": "QUEUED"})).status, 202);
    assert_eq!(priorities(), [(1, 30), (2, 70)]);
}

#[test]
fn a_job_asks_for_what_its_type_says_by_now() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("one");
    let file = daemon.put_file(105_067_315);
    let input = json!({"files": {"F": [file]}, "json": {"N": 1}});
    daemon.post_job(kind, &json!({"input": input})).expect(201);
    let shown = || daemon.client.get("/v6/jobs/1/").expect(200)["resources"]["resources"]["mem"].clone();
    let queued = || daemon.engine.queued(&[], 1)[0].resources.get("mem").to_string();
    let of_execution = |number: u32| {
        let execution = daemon.client.get(&format!("/v6/jobs/1/executions/{number}/")).expect(200);
        execution["resources"]["resources"]["mem"].clone()
    };
    assert_eq!((shown(), queued()), (json!(468.0), "468".to_owned()));
    daemon.put_revision(kind, 100.0);
    assert_eq!((shown(), queued()), (json!(504.0), "468".to_owned()), "what waits stays as it is");
    daemon.launch(1);
    daemon.put_revision(kind, 200.0);
    assert_eq!((shown(), of_execution(1)), (json!(604.0), json!(468.0)));
    assert_eq!(daemon.order("requeue", &json!({"job_ids": [1]})).status, 202);
    assert_eq!((shown(), queued()), (json!(604.0), "604".to_owned()));
    daemon.engine.check_invariants();
    daemon.launch(1);
    assert_eq!((of_execution(1), of_execution(2)), (json!(468.0), json!(604.0)));
    daemon.engine.check_invariants();
}

#[test]
fn jobs_without_a_duration_come_last_in_both_directions() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("one");
    let [short, long, queued] = [(); 3].map(|()| daemon.queue(kind));
    for (job, length) in [(long, 40), (short, 2)] {
        daemon.launch(job);
        std::thread::sleep(Duration::from_millis(length));
        let name = daemon.engine.running()[0].name;
        let outcome = Outcome::Exited { code: 0 };
        let state = TaskState::Ended { outcome, usage: Usage::default() };
        let update = StatusUpdate { name, state, when: daemon.engine.now() };
        daemon.engine.status(update).expect("room").wait_durable(WAIT).expect("taken");
    }
    let ids = |order: &str| {
        let page = daemon.client.get(&format!("/v6/jobs/?order={order}")).expect(200);
        page["results"].as_array().expect("jobs").iter().map(|job| job["id"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(ids("duration"), [short, long, queued].map(Some));
    assert_eq!(ids("-duration"), [long, short, queued].map(Some));
    assert_eq!(ids("is_superseded&order=-id"), [queued, long, short].map(Some));
    let wrong = daemon.client.get("/v6/jobs/?order=status_word").expect(400);
    assert!(!wrong["detail"].as_str().is_some_and(|text| text.ends_with("status_word")), "{wrong}");
}

#[test]
fn executions_are_listed_and_filtered() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("one");
    daemon.queue(kind);
    let list = |query: &str| daemon.client.get(&format!("/v6/jobs/1/executions/{query}")).expect(200);
    assert_eq!(list("")["count"], 0, "what waits has none");
    daemon.launch(1);
    daemon.order("requeue", &json!({"job_ids": [1]}));
    daemon.launch(1);
    let page = list("");
    assert_eq!((&page["count"], &page["results"][0]["exe_num"]), (&json!(2), &json!(2)));
    assert_eq!(list("?status=RUNNING")["count"], 2, "the first one has not ended yet");
    assert_eq!(list("?status=FAILED")["count"], 0);
    assert_eq!(list("?node_id=1&page_size=1")["results"].as_array().map(Vec::len), Some(1));
    assert_eq!(daemon.client.get("/v6/jobs/1/executions/?node_id=x").status, 400);
    assert_eq!(daemon.client.get("/v6/jobs/1/executions/1/").expect(200)["exe_num"], 1);
    for path in ["/v6/jobs/1/executions/3/", "/v6/jobs/9/executions/1/", "/v6/jobs/1/executions/x/"] {
        assert_eq!(daemon.client.get(path).expect(404), json!({"detail": "Not found."}), "{path}");
    }
    assert_eq!(daemon.client.get("/v6/jobs/9/executions/").expect(200)["count"], 0);
    let shown = || daemon.client.get("/v6/jobs/1/").expect(200)["execution"]["exe_num"].clone();
    assert_eq!(shown(), 2);
    daemon.order("cancel", &json!({"job_ids": [1]}));
    assert_eq!((shown(), list("")["count"].clone()), (Value::Null, json!(2)), "what was canceled shows none");
}

#[test]
fn jobs_are_ordered_by_the_words_of_their_status() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("one");
    let [queued, canceled, running] = [(); 3].map(|()| daemon.queue(kind));
    daemon.launch(running);
    daemon.order("cancel", &json!({"job_ids": [canceled]}));
    let ids = |order: &str| {
        let page = daemon.client.get(&format!("/v6/jobs/?order={order}")).expect(200);
        page["results"].as_array().expect("jobs").iter().map(|job| job["id"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(ids("status"), [Some(canceled), Some(queued), Some(running)]);
    assert_eq!(ids("-status"), [Some(running), Some(queued), Some(canceled)]);
    assert_eq!(ids("-started")[2], Some(running), "what has no start comes first from behind");
    assert_ne!(JobStatus::Queued.as_str(), "");
}

#[test]
fn parameters_of_the_address_are_members_of_the_body_too() {
    let daemon = Daemon::new();
    let kind = daemon.put_step("one");
    let body = json!({"input": {"json": {"N": 1}}, "job_type_id": 99});
    let made = daemon.client.post(&format!("/v6/jobs/?job_type_id={}", kind.0), &body).expect(201);
    assert_eq!(made["id"], 1);
    daemon.queue(kind);
    let order = |query: &str| daemon.client.send("POST", &format!("/v6/jobs/{query}"), &[], "");
    assert_eq!(order("cancel/?job_ids=2&job_ids=7&status=QUEUED").status, 202);
    assert_eq!(daemon.statuses()[1], (2, "CANCELED".to_owned(), 1));
    assert_eq!(order("requeue/?status=CANCELED&priority=4").status, 202);
    assert_eq!(daemon.statuses()[1], (2, "QUEUED".to_owned(), 2));
    let found = order("requeue/?job_ids=x").expect(400);
    assert_eq!(found["detail"], "Parameter must be a valid integer: \"job_ids\"");
    let empty = daemon.client.send("POST", "/v6/jobs/", &[("Content-Type", "text/plain")], "");
    assert_eq!(empty.expect(400)["detail"], "Missing required parameter: \"job_type_id\"");
    let kind = [("Content-Type", "text/plain; charset=utf-8")];
    let other = daemon.client.send("POST", "/v6/jobs/", &kind, "x").expect(415);
    assert_eq!(other["detail"], "Unsupported media type \"text/plain; charset=utf-8\" in request.");
}

#[test]
fn jobs_are_ordered_by_the_names_of_their_types() {
    let daemon = Daemon::new();
    let kinds = ["m", "z", "a"].map(|name| daemon.put_step(name));
    for kind in kinds {
        daemon.queue(kind);
    }
    let ids = |order: &str| {
        let page = daemon.client.get(&format!("/v6/jobs/?order={order}")).expect(200);
        page["results"].as_array().expect("jobs").iter().map(|job| job["id"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(ids("job_type"), [3, 1, 2].map(Some));
    assert_eq!(ids("-job_type"), [2, 1, 3].map(Some));
    assert_eq!(ids("job_type&order=-id"), [3, 1, 2].map(Some), "what follows it orders nothing");
    assert_eq!(ids("-job_type_id"), [3, 2, 1].map(Some));
    for page in ["999", "99999", "99999999999999999999"] {
        let found = daemon.client.get(&format!("/v6/jobs/?page={page}")).expect(404);
        assert_eq!(found["detail"], "Invalid page.");
    }
}
