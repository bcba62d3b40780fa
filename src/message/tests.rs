//! What messages say, and what becomes of them.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::MessageError;
use crate::engine::{Changed, Delivered, DeliveryError, Engine, Options, TicketError};
use crate::limits::DEAD_LETTERS_MAX;
use crate::model::{
    BulkPhase, ErrorId, Job, JobId, JobRequest, JobStatus, JobTypeSpec, LaunchName, Message, NodeId,
    NodeResources, Outcome, RecipeNode, RecipeRequest, Submission, SubmissionId,
};
use crate::offer::Offer;

const WAIT: Duration = Duration::from_secs(10);
const NODE: NodeId = NodeId(7);

struct Bench {
    engine: Engine,
    n_submitted: u32,
}

impl Bench {
    fn new() -> Self {
        let engine = Engine::in_memory(Options::default());
        let spec = JobTypeSpec::new("kind", "1.0").max_tries(2);
        engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
        engine.declare_node(NODE, "seven", &NodeResources::new().mem_mib(1_000));
        Self { engine, n_submitted: 0 }
    }

    fn request() -> JobRequest {
        JobRequest::new(crate::model::JobTypeId(1))
    }

    fn submit(&mut self, fill: impl FnOnce(Submission) -> Submission) -> JobId {
        self.n_submitted += 1;
        let id = SubmissionId::new(&format!("s{}", self.n_submitted)).expect("an id");
        let ticket = self.engine.submit(fill(Submission::new(id))).expect("room");
        ticket.wait_durable(WAIT).expect("accepted").first_job
    }

    fn jobs(&mut self, n: u32) -> JobId {
        self.submit(|all| all.jobs(Self::request().count(n)))
    }

    fn job(&self, id: JobId) -> Job {
        self.engine.job(id).expect("a job")
    }

    fn standing(&self, id: JobId) -> (JobStatus, u32) {
        let job = self.job(id);
        (job.status, job.num_exes)
    }

    fn deliver(&self, kind: &str, body: &Value) -> Delivered {
        let text = json!({"type": kind, "body": body}).to_string();
        let delivered = self.engine.deliver(&text).expect("room").wait_durable(WAIT).expect("taken");
        self.engine.check_invariants();
        delivered
    }

    /// Delivers twice: what comes again changes nothing.
    fn deliver_twice(&self, kind: &str, body: &Value) -> u32 {
        let Delivered::Done(first) = self.deliver(kind, body) else { panic!("{kind} {body}") };
        let again = self.deliver(kind, body);
        assert!(matches!(again, Delivered::Done(Changed { n_changed: 0, .. })), "{kind} {body}: {again:?}");
        first.n_changed
    }

    fn launch(&self) -> Vec<LaunchName> {
        let picks = self.engine.offer(&Offer::new(NODE, NodeResources::new().mem_mib(1_000)));
        picks.commit().wait(WAIT).expect("durable").iter().map(|launch| launch.get().name).collect()
    }

    fn code_of(&self, text: &str) -> String {
        match self.engine.deliver(text).expect("room").wait_durable(WAIT).expect("taken") {
            Delivered::SetAside(letter) => letter.code,
            other => panic!("{text}: {other:?}"),
        }
    }
}

const WHEN: &str = "2026-11-24T12:00:00Z";

/// Behind every change of a job.
const LATER: &str = "2199-11-24T12:00:00Z";

fn at(id: JobId, exe_num: u32) -> Value {
    json!({"id": id.0, "exe_num": exe_num})
}

#[test]
fn every_message_is_written_as_it_is_read() {
    let jobs = json!([{"id": 1, "exe_num": 0}, {"id": 7, "exe_num": 3}]);
    let filter = json!({"current_job_id": 9, "started": WHEN, "ended": WHEN,
        "error_categories": ["SYSTEM", "DATA"], "error_ids": [1, 2], "job_ids": [], "job_type_ids": [3],
        "status": "FAILED", "job_type_names": ["a"], "batch_ids": [4], "recipe_ids": [5],
        "is_superseded": false});
    let mut with_priority = filter.clone();
    with_priority["priority"] = json!(-2);
    let end = json!({"id": 1, "job_id": 2, "job_type_id": 3, "exe_num": 1,
        "task_results": {"version": "1.0", "tasks": []}, "status": "FAILED", "queued": WHEN,
        "ended": "2026-11-24T12:00:01.500000Z", "error_id": 4, "node_id": 5, "started": WHEN});
    for (kind, body) in [
        ("queued_jobs", json!({"jobs": jobs, "requeue": false})),
        ("queued_jobs", json!({"jobs": jobs, "requeue": true, "priority": 0})),
        ("requeue_jobs", json!({"jobs": jobs})),
        ("requeue_jobs", json!({"jobs": [], "priority": 5})),
        ("requeue_jobs_bulk", json!({})),
        ("requeue_jobs_bulk", with_priority),
        ("cancel_jobs", json!({"job_ids": [1, 2], "when": WHEN})),
        ("cancel_jobs_bulk", filter),
        ("uncancel_jobs", json!({"when": WHEN, "job_ids": [1]})),
        ("running_jobs", json!({"started": WHEN, "nodes": [{"id": 1, "jobs": jobs}]})),
        ("completed_jobs", json!({"ended": WHEN, "jobs": jobs})),
        ("failed_jobs", json!({"ended": WHEN, "errors": [{"id": 3, "jobs": jobs}]})),
        ("create_job_exe_ends", json!({"job_exe_end_models": [end]})),
    ] {
        let text = json!({"type": kind, "body": body});
        let message = Message::read(&text.to_string()).expect(kind);
        assert_eq!(message.kind(), kind);
        let written: Value = serde_json::from_str(&message.to_json()).expect("JSON");
        assert_eq!(written, text);
        assert_eq!(Message::read(&message.to_json()), Ok(message));
    }
}

#[test]
fn what_is_no_message_is_refused_with_a_word_and_the_member() {
    let check = |text: &str, code: &str, part: &str| {
        let error = Message::read(text).expect_err(text);
        assert_eq!(error.code(), code, "{text}: {error}");
        assert!(error.to_string().contains(part), "{text}: {error}");
    };
    check("{", "invalid-json", "EOF");
    check("[]", "invalid-json", "another kind");
    check("{}", "missing-member", "type");
    check(r#"{"type": "cancel_jobs"}"#, "missing-member", "body");
    check(r#"{"type": "nonsense", "body": {}}"#, "unknown-type", "nonsense");
    check(r#"{"type": 3, "body": {}}"#, "invalid-member", "type");
    check(r#"{"type": "cancel_jobs", "body": {}, "id": 1}"#, "unknown-member", "id");
    let body = |kind: &str, body: &Value| json!({"type": kind, "body": body}).to_string();
    check(&body("queued_jobs", &json!({})), "missing-member", "jobs");
    check(&body("queued_jobs", &json!({"jobs": [{"id": 1}]})), "missing-member", "exe_num");
    check(&body("queued_jobs", &json!({"jobs": [{"id": -1, "exe_num": 0}]})), "invalid-member", "id");
    check(&body("queued_jobs", &json!({"jobs": [], "priority": 1_u64 << 31})), "invalid-member", "priority");
    check(&body("queued_jobs", &json!({"jobs": [], "priority": 2.5})), "invalid-member", "priority");
    check(&body("cancel_jobs_bulk", &json!({"priority": 1})), "unknown-member", "priority");
    check(&body("cancel_jobs_bulk", &json!({"job_id": [1]})), "unknown-member", "job_id");
    check(&body("cancel_jobs_bulk", &json!({"status": "DONE"})), "invalid-member", "status");
    check(&body("cancel_jobs", &json!({"job_ids": [1], "when": "PT1H"})), "invalid-member", "when");
    let many = |n: u64| (0..n).map(|id| json!({"id": id, "exe_num": 0})).collect::<Value>();
    check(&body("requeue_jobs", &json!({"jobs": many(101)})), "too-many", "at most 100");
    let nodes = json!({"started": WHEN, "nodes": [{"id": 1, "jobs": many(60)}, {"id": 2, "jobs": many(60)}]});
    check(&body("running_jobs", &nodes), "too-many", "120");
    let ids: Vec<u64> = (0..1_001).collect();
    check(&body("uncancel_jobs", &json!({"job_ids": ids, "when": WHEN})), "too-many", "at most 1000");
    check(&" ".repeat(300_000), "too-long", "300000");
}

#[test]
fn jobs_are_queued_again_by_the_execution_that_is_named() {
    let mut bench = Bench::new();
    let job = bench.jobs(1);
    // For the first time it was queued already.
    assert_eq!(bench.deliver_twice("queued_jobs", &json!({"jobs": [at(job, 0)]})), 0);
    assert_eq!(bench.deliver_twice("queued_jobs", &json!({"jobs": [at(job, 1)], "requeue": false})), 0);
    let again = json!({"jobs": [at(job, 1)], "requeue": true, "priority": 0});
    assert_eq!(bench.deliver_twice("queued_jobs", &again), 1);
    assert_eq!(bench.standing(job), (JobStatus::Queued, 2));
    assert_eq!(bench.engine.queued(&[], 10).iter().map(|e| e.priority).collect::<Vec<_>>(), [0]);
    assert_eq!(bench.job(job).max_tries, 2);
    assert_eq!(bench.deliver_twice("requeue_jobs", &json!({"jobs": [at(job, 2)], "priority": -5})), 1);
    let found = bench.job(job);
    assert_eq!((found.num_exes, found.max_tries), (3, 4));
    assert_eq!(bench.engine.queued(&[], 10).iter().map(|e| e.priority).collect::<Vec<_>>(), [-5]);
}

#[test]
fn what_waits_for_others_is_not_queued_by_a_message() {
    let mut bench = Bench::new();
    let node = |n: u32, parents: &[u32]| RecipeNode {
        name: format!("node{n}").into(),
        job: Bench::request(),
        parents: parents.to_vec(),
    };
    let nodes = vec![node(0, &[]), node(1, &[0])];
    let first = bench.submit(|all| all.recipe(RecipeRequest { name: "r".into(), nodes }));
    let second = JobId(first.0 + 1);
    assert_eq!(bench.deliver_twice("queued_jobs", &json!({"jobs": [at(second, 0)]})), 0);
    // Word that the first is done, which nobody here launched.
    let done = json!({"ended": WHEN, "jobs": [at(first, 1)]});
    assert_eq!(bench.deliver_twice("completed_jobs", &done), 1);
    assert_eq!(
        (bench.standing(first), bench.standing(second)),
        ((JobStatus::Completed, 1), (JobStatus::Queued, 1))
    );
}

#[test]
fn news_of_executions_counts_once_and_for_the_newest_alone() {
    let mut bench = Bench::new();
    let job = bench.jobs(1);
    let running = |n| json!({"started": WHEN, "nodes": [{"id": NODE.0, "jobs": [at(job, n)]}]});
    assert_eq!(bench.deliver_twice("running_jobs", &running(2)), 0);
    assert_eq!(bench.deliver_twice("running_jobs", &running(1)), 1);
    let found = bench.job(job);
    assert_eq!((found.status, found.node, found.launches), (JobStatus::Running, Some(NODE), 1));
    assert_eq!(found.started.map(crate::time::text).as_deref(), Some(WHEN));
    // Queued again while it runs: what was, ends by its record alone.
    assert_eq!(bench.deliver_twice("requeue_jobs", &json!({"jobs": [at(job, 1)]})), 1);
    assert_eq!(bench.deliver_twice("completed_jobs", &json!({"ended": WHEN, "jobs": [at(job, 1)]})), 0);
    assert_eq!(bench.engine.running().len(), 1);
    let end = json!({"id": 1, "job_id": job.0, "job_type_id": 1, "exe_num": 1, "task_results": {},
        "status": "CANCELED", "queued": WHEN, "ended": WHEN});
    assert_eq!(bench.deliver_twice("create_job_exe_ends", &json!({"job_exe_end_models": [end]})), 1);
    assert_eq!(bench.engine.running().len(), 0);
    assert_eq!(bench.standing(job), (JobStatus::Queued, 2));
    // It fails elsewhere, is tried again, and then fails for good: four tries in all, two of them are used.
    let failed = |n| json!({"ended": WHEN, "errors": [{"id": 1, "jobs": [at(job, n)]}]});
    assert_eq!(bench.job(job).max_tries, 3);
    assert_eq!(bench.deliver_twice("failed_jobs", &failed(2)), 1);
    assert_eq!(bench.standing(job), (JobStatus::Queued, 3));
    assert_eq!(bench.deliver_twice("failed_jobs", &failed(3)), 1);
    assert_eq!(bench.standing(job), (JobStatus::Failed, 3));
    let end = bench.job(job).end.expect("an end");
    assert_eq!((end.outcome, end.exe_num), (Outcome::Error { id: ErrorId(1) }, 3));
    // Word of the start that comes after that of the end.
    assert_eq!(bench.deliver_twice("running_jobs", &running(3)), 1);
    let found = bench.job(job);
    assert_eq!((found.status, found.node), (JobStatus::Failed, Some(NODE)));
}

#[test]
fn news_of_a_launch_of_ours_ends_it_and_takes_a_pick_away() {
    let mut bench = Bench::new();
    let first = bench.jobs(2);
    let second = JobId(first.0 + 1);
    let picks = bench.engine.offer(&Offer::new(NODE, NodeResources::new().mem_mib(1_000)));
    assert_eq!(picks.iter().count(), 2);
    let done = json!({"ended": WHEN, "jobs": [at(first, 1)]});
    assert_eq!(bench.deliver_twice("completed_jobs", &done), 1);
    let launches = picks.commit().wait(WAIT).expect("durable");
    assert_eq!(launches.len(), 1, "what ended elsewhere is not launched");
    assert_eq!(bench.deliver_twice("completed_jobs", &json!({"ended": WHEN, "jobs": [at(second, 1)]})), 1);
    assert_eq!(bench.standing(second), (JobStatus::Completed, 1));
    assert!(bench.engine.running().is_empty() && bench.launch().is_empty());
}

#[test]
fn an_order_that_comes_once_more_leaves_alone_what_changed_since() {
    let mut bench = Bench::new();
    // An instant behind the last change of a job.
    let now = |bench: &Bench, id: JobId| {
        let changed = bench.job(id).last_status_change;
        while bench.engine.now() <= changed {}
        crate::time::text(bench.engine.now())
    };
    let job = bench.jobs(1);
    let cancel = json!({"job_ids": [job.0], "when": now(&bench, job)});
    assert_eq!(bench.deliver_twice("cancel_jobs", &cancel), 1);
    bench.engine.requeue(vec![job], None).expect("room").wait_durable(WAIT).expect("queued");
    assert_eq!(bench.deliver_twice("cancel_jobs", &cancel), 0);
    assert_eq!(bench.standing(job), (JobStatus::Queued, 2));
    // Of one that is over the store knows when it changed.
    for n in [2, 3] {
        let failed = json!({"ended": LATER, "errors": [{"id": 1, "jobs": [at(job, n)]}]});
        assert_eq!(bench.deliver_twice("failed_jobs", &failed), 1);
    }
    assert_eq!(bench.deliver_twice("cancel_jobs", &cancel), 0);
    assert_eq!(bench.standing(job), (JobStatus::Failed, 3));
    let node = |name: &str, parents: &[u32]| RecipeNode {
        name: name.into(),
        job: Bench::request(),
        parents: parents.to_vec(),
    };
    let nodes = vec![node("first", &[]), node("second", &[0])];
    let second = JobId(bench.submit(|all| all.recipe(RecipeRequest { name: "r".into(), nodes })).0 + 1);
    let cancel = |bench: &Bench| {
        bench.engine.cancel(vec![second]).expect("room").wait_durable(WAIT).expect("canceled")
    };
    cancel(&bench);
    let uncancel = json!({"job_ids": [second.0], "when": now(&bench, second)});
    assert_eq!(bench.deliver_twice("uncancel_jobs", &uncancel), 1);
    assert_eq!(bench.standing(second), (JobStatus::Pending, 0));
    cancel(&bench);
    assert_eq!(bench.deliver_twice("uncancel_jobs", &uncancel), 0);
    assert_eq!(bench.standing(second), (JobStatus::Canceled, 0));
}

#[test]
fn bulk_messages_become_operations_with_their_priority() {
    let mut bench = Bench::new();
    let first = bench.jobs(5);
    let body = json!({"job_type_names": ["kind", "none"], "status": "QUEUED", "priority": 3,
        "current_job_id": first.0 + 3});
    let Delivered::Bulk(id) = bench.deliver("requeue_jobs_bulk", &body) else { panic!("an operation") };
    while bench.engine.bulk_step().expect("a step") {}
    bench.engine.fresh_view(WAIT);
    let view = bench.engine.view();
    let bulk = view.catalog.bulk_operation(id).expect("known");
    assert_eq!((bulk.phase, bulk.n_changed), (BulkPhase::Done, 3));
    let priorities: Vec<i32> = bench.engine.queued(&[], 10).iter().map(|entry| entry.priority).collect();
    assert_eq!(priorities, [3, 3, 3, 100, 100]);
    let named = |name: &str| json!({"job_type_names": [name], "job_type_ids": [1]});
    for (name, n) in [("none", 0), ("kind", 5)] {
        let Delivered::Bulk(id) = bench.deliver("cancel_jobs_bulk", &named(name)) else { panic!("one") };
        while bench.engine.bulk_step().expect("a step") {}
        let view = bench.engine.fresh_view(WAIT);
        assert_eq!(view.catalog.bulk_operation(id).expect("known").n_changed, n, "{name}");
    }
    assert_eq!(bench.code_of(r#"{"type": "cancel_jobs_bulk", "body": {}}"#), "unfiltered");
}

#[test]
fn what_cannot_be_carried_out_is_kept_taken_again_or_dropped() {
    let bench = Bench::new();
    let cancel = json!({"type": "cancel_jobs", "body": {"job_ids": [1], "when": LATER}}).to_string();
    assert_eq!(bench.code_of(&cancel), "unknown-job");
    assert_eq!(bench.code_of("nonsense"), "invalid-json");
    let failed = json!({"type": "failed_jobs", "body": {"ended": WHEN, "errors": [{"id": 99, "jobs": []}]}});
    assert_eq!(bench.code_of(&failed.to_string()), "unknown-error");
    let running =
        json!({"type": "running_jobs", "body": {"started": WHEN, "nodes": [{"id": 99, "jobs": []}]}});
    assert_eq!(bench.code_of(&running.to_string()), "unknown-node");
    let letters = bench.engine.dead_letters(0, 10);
    assert_eq!(letters.iter().map(|letter| letter.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(letters[0].message, cancel);
    let retry = |number| bench.engine.retry_dead_letter(number).expect("room").wait_durable(WAIT);
    assert!(matches!(retry(2), Ok(Delivered::SetAside(letter)) if letter.number == 2));
    let job = bench
        .engine
        .submit(Submission::new(SubmissionId::new("late").expect("an id")).jobs(Bench::request()));
    job.expect("room").wait_durable(WAIT).expect("accepted");
    assert_eq!(retry(1), Ok(Delivered::Done(Changed { n_changed: 1, n_ignored: 0 })));
    assert_eq!(retry(1), Err(TicketError::Refused(DeliveryError::NoDeadLetter(1))));
    let drop = |number| bench.engine.drop_dead_letter(number).expect("room").wait_durable(WAIT);
    assert_eq!((drop(3), drop(3).is_err()), (Ok(()), true));
    assert_eq!(bench.engine.dead_letters(0, 10).len(), 2);
    for _ in 0..DEAD_LETTERS_MAX {
        bench.code_of("x");
    }
    let letters = bench.engine.dead_letters(0, 5_000);
    assert_eq!(letters.len() as u64, DEAD_LETTERS_MAX);
    assert_eq!(letters[0].number, 5, "the oldest went");
}

#[test]
fn a_long_text_is_kept_in_part() {
    let bench = Bench::new();
    assert_eq!(bench.code_of(&"é".repeat(200_000)), "too-long");
    let letter = bench.engine.dead_letter(1).expect("kept");
    assert!(letter.message.len() <= crate::limits::MESSAGE_BYTES_MAX && !letter.message.is_empty());
    assert!(matches!(Message::read(&letter.message), Err(MessageError::Json { .. })));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}", body in "[{}\\[\\]\",:a-z0-9_. -]{0,60}") {
        let _ = Message::read(&text);
        for kind in ["queued_jobs", "cancel_jobs_bulk", "create_job_exe_ends", "failed_jobs"] {
            let _ = Message::read(&format!("{{\"type\":\"{kind}\",\"body\":{body}}}"));
        }
    }
}
