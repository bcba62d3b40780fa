//! Messages, dead letters and bulk operations over REST.

#![cfg(feature = "server")]

#[path = "common/http.rs"]
#[expect(dead_code, reason = "others use the rest")]
mod http;

use std::net::Ipv4Addr;
use std::time::Duration;

use http::Client;
use serde_json::{Value, json};
use weighbridge::{
    ApiState, Changed, Delivered, DeliveryError, Engine, JobId, JobRequest, JobStatus, JobTypeId,
    JobTypeSpec, JobsError, NodeId, NodeResources, Offer, Options, Outcome, Server, ServerOptions, Service,
    StatusUpdate, Submission, SubmissionId, TaskState, TicketError, Usage,
};

const WAIT: Duration = Duration::from_secs(30);

/// Behind every change of a job.
const LATER: &str = "2199-11-24T12:00:00Z";

/// A server over an engine that runs nothing, with `n` queued jobs of one type.
struct Place {
    engine: Engine,
    client: Client,
    _server: Server,
    _service: Service,
}

impl Place {
    fn new(n: u32) -> Self {
        let engine = Engine::in_memory(Options::default());
        let service = Service::start_without_driver(engine.clone()).expect("a thread");
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let server = Server::bind_with(address, ApiState::new(engine.clone()), ServerOptions::default());
        let server = server.expect("a free port");
        let place = Self { engine, client: Client(server.local_addr()), _server: server, _service: service };
        let spec = JobTypeSpec::new("kind", "1.0");
        place.engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
        let submission = Submission::new(SubmissionId::new("all").expect("an id"));
        let submission = submission.jobs(JobRequest::new(JobTypeId(1)).count(n));
        place.engine.submit(submission).expect("room").wait_durable(WAIT).expect("accepted");
        place
    }

    fn post(&self, path: &str, body: &Value, status: u16) -> Value {
        let headers = [("content-type", "application/json")];
        self.client.send("POST", path, &headers, &body.to_string()).expect(status)
    }

    fn get(&self, path: &str, status: u16) -> Value {
        self.client.send("GET", path, &[], "").expect(status)
    }

    fn status(&self, job: u64) -> String {
        self.get(&format!("/api/v1/jobs/{job}"), 200)["status"].as_str().expect("a status").to_owned()
    }

    /// The operation once it goes on no more.
    fn done(&self, ordered: &Value) -> Value {
        let path = format!("/api/v1/bulk/{}?min_position={}", ordered["bulk_id"], ordered["position"]);
        for _ in 0..600 {
            let bulk = self.get(&path, 200);
            if bulk["phase"] != "running" {
                return bulk;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it goes on");
    }
}

#[test]
fn messages_come_alone_and_in_lists_and_are_carried_out_in_order() {
    let place = Place::new(3);
    let cancel = json!({"type": "cancel_jobs", "body": {"job_ids": [1, 2], "when": LATER}});
    let requeue = json!({"type": "requeue_jobs", "body": {"jobs": [{"id": 1, "exe_num": 1}], "priority": 0}});
    let both = place.post("/api/v1/messages", &json!([cancel, requeue]), 200);
    assert_eq!(
        both["messages"],
        json!([{"outcome": "done", "n_changed": 2, "n_ignored": 0}, {"outcome": "done", "n_changed": 1, "n_ignored": 0}])
    );
    assert_eq!((place.status(1), place.status(2)), ("QUEUED".to_owned(), "CANCELED".to_owned()));
    let again = place.post("/api/v1/messages", &requeue, 200);
    assert_eq!(again["messages"][0]["n_changed"], 0, "once");
    let many: Vec<Value> = vec![cancel; 101];
    place.post("/api/v1/messages", &json!(many), 422);
}

#[test]
fn what_cannot_be_carried_out_is_listed_taken_again_and_dropped() {
    let place = Place::new(1);
    let headers = [("content-type", "application/json")];
    let sent = place.client.send("POST", "/api/v1/messages", &headers, "{no JSON").expect(200);
    let outcome = &sent["messages"][0];
    assert_eq!((&outcome["outcome"], &outcome["code"]), (&json!("set_aside"), &json!("invalid-json")));
    let message = json!({"type": "cancel_jobs", "body": {"job_ids": [2], "when": LATER}});
    place.post("/api/v1/messages", &message, 200);
    let letters = place.get("/api/v1/dead-letters?limit=1", 200);
    assert_eq!((&letters["dead_letters"][0]["message"], &letters["next"]), (&json!("{no JSON"), &json!(1)));
    let letters = place.get("/api/v1/dead-letters?after=1", 200);
    assert_eq!(letters["dead_letters"][0]["code"], "unknown-job");
    assert_eq!(letters["dead_letters"][0]["message"], message.to_string());
    let again = place.post("/api/v1/dead-letters/2/retry", &json!({}), 200);
    assert_eq!(again["messages"][0]["dead_letter"], 2);
    let submission = Submission::new(SubmissionId::new("more").expect("an id"));
    let submission = submission.jobs(JobRequest::new(JobTypeId(1)));
    place.engine.submit(submission).expect("room").wait_durable(WAIT).expect("accepted");
    let again = place.post("/api/v1/dead-letters/2/retry", &json!({}), 200);
    assert_eq!((&again["messages"][0]["n_changed"], place.status(2)), (&json!(1), "CANCELED".to_owned()));
    assert_eq!(place.post("/api/v1/dead-letters/2/retry", &json!({}), 404)["code"], "no-such-dead-letter");
    place.client.send("DELETE", "/api/v1/dead-letters/1", &[], "").expect(200);
    place.client.send("DELETE", "/api/v1/dead-letters/1", &[], "").expect(404);
    assert_eq!(place.get("/api/v1/dead-letters", 200)["dead_letters"], json!([]));
}

#[test]
fn a_bulk_operation_is_previewed_carried_out_and_taken_back() {
    let place = Place::new(2_500);
    let filter = json!({"status": ["QUEUED"], "job_type": "kind", "preview": true, "sample": 2});
    let preview = place.post("/api/v1/bulk/cancel", &filter, 200);
    assert_eq!((&preview["n"], &preview["is_exact"]), (&json!(2_500), &json!(true)));
    assert_eq!(preview["sample"][0]["id"], 2_500, "the newest first");
    assert_eq!(preview["sample"].as_array().map(Vec::len), Some(2));
    let canceled = place.post("/api/v1/bulk/cancel", &json!({"job_type_names": ["kind"]}), 202);
    let bulk = place.done(&canceled);
    assert_eq!(
        (&bulk["phase"], &bulk["n_changed"], &bulk["kind"]),
        (&json!("done"), &json!(2_500), &json!("cancel"))
    );
    assert_eq!(bulk["filter"]["job_types"][0]["name"], "kind");
    assert_eq!(place.status(1), "CANCELED");
    let undo = place.post(&format!("/api/v1/bulk/{}/undo", bulk["id"]), &json!({}), 202);
    let undone = place.done(&undo);
    assert_eq!((&undone["undoes"], &undone["n_changed"]), (&bulk["id"], &json!(2_500)));
    assert_eq!(place.status(2_500), "QUEUED");
    assert_eq!(
        place.post(&format!("/api/v1/bulk/{}/undo", bulk["id"]), &json!({}), 409)["code"],
        "bulk-not-done"
    );
    let all = place.get("/api/v1/bulk", 200);
    assert_eq!(all["operations"][0]["id"], undone["id"], "the newest first");
    let stopped = place.post(&format!("/api/v1/bulk/{}/stop", undone["id"]), &json!({}), 200);
    assert_eq!(place.done(&stopped)["phase"], "done", "what is over stays as it is");
}

#[test]
fn a_bulk_operation_needs_a_filter_that_is_known() {
    let place = Place::new(1);
    assert_eq!(place.post("/api/v1/bulk/cancel", &json!({}), 422)["code"], "unfiltered");
    assert_eq!(place.post("/api/v1/bulk/cancel", &json!({"statuses": "FAILED"}), 400)["field"], "statuses");
    place.post("/api/v1/bulk/requeue", &json!({"status": "DONE"}), 400);
    place.post("/api/v1/bulk/requeue", &json!({"job_type": "none"}), 404);
    let many: Vec<u64> = (1..=10_001).collect();
    assert_eq!(place.post("/api/v1/bulk/cancel", &json!({"job_ids": many}), 422)["code"], "too-many-ids");
    assert_eq!(place.get("/api/v1/bulk/7", 404)["code"], "no-such-bulk");
    let nothing = place.post("/api/v1/bulk/cancel", &json!({"job_ids": []}), 202);
    assert_eq!(place.done(&nothing)["n_seen"], 0);
    assert_eq!(place.status(1), "QUEUED");
}

#[test]
fn jobs_are_queued_again_by_their_ids() {
    let place = Place::new(2);
    place.post("/api/v1/jobs/cancel", &json!({"job_ids": [1]}), 200);
    let body = json!({"job_ids": [1, 2], "priority": -3});
    let done = place.post("/api/v1/jobs/requeue", &body, 200);
    assert_eq!((&done["n_queued"], &done["n_ignored"]), (&json!(2), &json!(0)));
    let queue = place.get("/api/v1/queue", 200);
    assert_eq!(queue["entries"][0]["priority"], -3);
    assert_eq!(place.post("/api/v1/jobs/requeue", &json!({"job_ids": [9]}), 404)["code"], "no-such-job");
}

#[test]
fn a_job_that_fails_while_its_message_is_on_the_way_is_asked_for_again() {
    let jobs = json!([{"id": 1, "exe_num": 1}]);
    let again = json!({"jobs": jobs, "requeue": true});
    for (kind, body) in [("requeue_jobs", json!({"jobs": jobs})), ("queued_jobs", again)] {
        let engine = Engine::in_memory(Options::default());
        let spec = JobTypeSpec::new("kind", "1.0").max_tries(1);
        let of = engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
        let jobs = JobRequest::new(of).count(2);
        let submission = Submission::new(SubmissionId::new("all").expect("an id")).jobs(jobs);
        engine.submit(submission).expect("room").wait_durable(WAIT).expect("accepted");
        engine.offer(&Offer::new(NodeId(1), NodeResources::new())).commit().wait(WAIT).expect("durable");
        let message = json!({"type": kind, "body": body}).to_string();
        let running = engine.running();
        // What the store knows is read; then both fail, and leave memory.
        let sent = engine.deliver(&message).expect("room");
        for run in running {
            let state = TaskState::Ended { outcome: Outcome::Exited { code: 1 }, usage: Usage::default() };
            engine.report(StatusUpdate { name: run.name, state, when: engine.now() }).expect("room");
        }
        let changing = DeliveryError::Jobs(JobsError::Changing(JobId(1)));
        assert_eq!(sent.wait_durable(WAIT), Err(TicketError::Refused(changing)), "{kind}");
        assert_eq!(engine.job(JobId(1)).expect("a job").status, JobStatus::Failed);
        let again = engine.deliver(&message).expect("room").wait_durable(WAIT);
        assert_eq!(again, Ok(Delivered::Done(Changed { n_changed: 1, n_ignored: 0 })));
        assert_eq!(engine.job(JobId(1)).expect("a job").status, JobStatus::Queued);
        engine.check_invariants();
    }
}
