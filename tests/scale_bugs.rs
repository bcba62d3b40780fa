//! What Scale's users reported of it, as tests: none of it happens here. Each is named by its number.

#![cfg(feature = "server")]

use std::time::Duration;

use serde_json::{Value, json};
use weighbridge::{
    Blocker, BulkKind, Changed, Delivered, Engine, Job, JobFilter, JobId, JobRequest, JobStatus, JobTypeId,
    JobTypeSpec, LaunchName, NodeId, NodeResources, Offer, Options, Outcome, RecipeNode, RecipeRequest,
    StatusUpdate, Submission, SubmissionId, TaskState, Usage,
};

const WAIT: Duration = Duration::from_secs(10);
const NODE: NodeId = NodeId(1);

struct Bench {
    engine: Engine,
    n_submitted: u32,
}

impl Bench {
    fn new() -> Self {
        let engine = Engine::in_memory(Options::default());
        engine.declare_node(NODE, "one", &NodeResources::new().mem_mib(1_000));
        Self { engine, n_submitted: 0 }
    }

    fn kind(&self, name: &str, mib: u64) -> JobTypeId {
        let spec = JobTypeSpec::new(name, "1.0").needs(NodeResources::new().mem_mib(mib)).max_tries(1);
        self.engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type")
    }

    fn submit(&mut self, fill: impl FnOnce(Submission) -> Submission) -> JobId {
        self.n_submitted += 1;
        let id = SubmissionId::new(&format!("s{}", self.n_submitted)).expect("an id");
        let ticket = self.engine.submit(fill(Submission::new(id))).expect("room");
        ticket.wait_durable(WAIT).expect("accepted").first_job
    }

    fn jobs(&mut self, kind: JobTypeId, n: u32) -> JobId {
        self.submit(|all| all.jobs(JobRequest::new(kind).count(n)))
    }

    fn job(&self, id: JobId) -> Job {
        self.engine.job(id).expect("a job")
    }

    fn requeue(&self, job: JobId) {
        let ticket = self.engine.requeue(vec![job], None).expect("room");
        assert_eq!(ticket.wait_durable(WAIT).expect("done").n_queued, 1);
    }

    fn cancel(&self, job: JobId) {
        let ticket = self.engine.cancel(vec![job]).expect("room");
        assert_eq!(ticket.wait_durable(WAIT).expect("done").n_changed, 1);
    }

    fn deliver(&self, kind: &str, body: &Value) -> Delivered {
        let text = json!({"type": kind, "body": body}).to_string();
        self.engine.deliver(&text).expect("room").wait_durable(WAIT).expect("taken")
    }

    /// Launches all that fits: job and launch.
    fn launch(&self) -> Vec<(JobId, LaunchName)> {
        let picks = self.engine.offer(&Offer::new(NODE, NodeResources::new().mem_mib(1_000)));
        let launches = picks.commit().wait(WAIT).expect("durable");
        self.engine.check_invariants();
        launches.iter().map(|launch| (launch.get().job, launch.get().name)).collect()
    }

    fn end(&self, name: LaunchName, outcome: Outcome) {
        let state = TaskState::Ended { outcome, usage: Usage::default() };
        let update = StatusUpdate { name, state, when: self.engine.now() };
        self.engine.status(update).expect("room").wait_durable(WAIT).expect("taken");
    }

    fn step_all(&self) {
        while self.engine.bulk_step().expect("a step") {}
    }
}

#[test]
fn issue_1494_requeue_of_a_queued_job_leaves_no_ghost() {
    let mut bench = Bench::new();
    let kind = bench.kind("kind", 1);
    let job = bench.jobs(kind, 1);
    bench.requeue(job);
    bench.deliver("queued_jobs", &json!({"jobs": [{"id": job.0, "exe_num": 2}], "requeue": true}));
    assert_eq!((bench.job(job).num_exes, bench.engine.queued(&[], 10).len()), (3, 1), "one entry");
    assert_eq!(bench.engine.fresh_view(WAIT).n_queued, 1);
    let launches = bench.launch();
    assert_eq!(launches.len(), 1, "and one execution of it");
    assert!(bench.launch().is_empty());
    bench.end(launches[0].1, Outcome::Exited { code: 0 });
    assert_eq!(bench.job(job).status, JobStatus::Completed);
    assert!(bench.engine.running().is_empty() && bench.engine.queued(&[], 10).is_empty());
}

#[test]
fn issue_1128_a_canceled_job_does_not_come_back_when_its_parents_finish() {
    let mut bench = Bench::new();
    let kind = bench.kind("kind", 1);
    let node = |n: u32, parents: &[u32]| RecipeNode {
        name: format!("node{n}").into(),
        job: JobRequest::new(kind),
        parents: parents.to_vec(),
    };
    let nodes = vec![node(0, &[]), node(1, &[0]), node(2, &[1])];
    let first = bench.submit(|all| all.recipe(RecipeRequest { name: "r".into(), nodes }));
    let (second, third) = (JobId(first.0 + 1), JobId(first.0 + 2));
    bench.cancel(second);
    let launches = bench.launch();
    bench.end(launches[0].1, Outcome::Exited { code: 0 });
    assert_eq!(bench.job(first).status, JobStatus::Completed);
    assert_eq!(bench.job(second).status, JobStatus::Canceled);
    assert_eq!(bench.job(third).status, JobStatus::Blocked);
    // Nor by a message that was on its way.
    bench.deliver("queued_jobs", &json!({"jobs": [{"id": second.0, "exe_num": 0}], "requeue": false}));
    assert_eq!(bench.job(second).status, JobStatus::Canceled);
    assert!(bench.launch().is_empty());
}

#[test]
fn issue_1254_bulk_requeue_takes_canceled_jobs() {
    let mut bench = Bench::new();
    let kind = bench.kind("kind", 1);
    let first = bench.jobs(kind, 3);
    bench.cancel(first);
    bench.cancel(JobId(first.0 + 2));
    let filter = JobFilter::default().statuses([JobStatus::Canceled]);
    let ticket = bench.engine.bulk(BulkKind::Requeue, filter, None).expect("room");
    ticket.wait_durable(WAIT).expect("ordered");
    bench.step_all();
    let standing = |id: u64| (bench.job(JobId(id)).status, bench.job(JobId(id)).num_exes);
    let queued = |n| (JobStatus::Queued, n);
    assert_eq!([first.0, first.0 + 1, first.0 + 2].map(standing), [queued(2), queued(1), queued(2)]);
    // By a message too.
    bench.cancel(first);
    let body = json!({"status": "CANCELED", "job_type_ids": [kind.0]});
    assert!(matches!(bench.deliver("requeue_jobs_bulk", &body), Delivered::Bulk(_)));
    bench.step_all();
    assert_eq!(bench.job(first).status, JobStatus::Queued);
}

#[test]
fn issue_883_pause_holds() {
    let mut bench = Bench::new();
    let (kind, other) = (bench.kind("kind", 1), bench.kind("other", 1));
    let first = bench.jobs(kind, 2);
    bench.engine.pause(kind, true).expect("room").wait_durable(WAIT).expect("paused");
    // Whatever comes while it is paused: new jobs, requeues, edits of the type.
    bench.jobs(kind, 2);
    bench.requeue(first);
    bench.kind("kind", 2);
    let free = bench.jobs(other, 1);
    let launched: Vec<JobId> = bench.launch().iter().map(|(job, _)| *job).collect();
    assert_eq!(launched, [free]);
    bench.engine.pause(kind, false).expect("room").wait_durable(WAIT).expect("resumed");
    assert_eq!(bench.launch().len(), 4);
}

#[test]
fn issue_1262_one_job_of_a_paused_type_can_be_let_through() {
    let mut bench = Bench::new();
    let kind = bench.kind("kind", 1);
    let first = bench.jobs(kind, 4);
    let third = JobId(first.0 + 2);
    bench.engine.pause(kind, true).expect("room").wait_durable(WAIT).expect("paused");
    assert!(bench.launch().is_empty());
    let release =
        |job: JobId| bench.engine.let_through(vec![job]).expect("room").wait_durable(WAIT).expect("released");
    assert_eq!(release(third), Changed { n_changed: 1, n_ignored: 0 });
    assert_eq!(release(third), Changed { n_changed: 0, n_ignored: 1 });
    let why = bench.engine.why(third).expect("known");
    assert!(why.is_let_through && !matches!(why.blocker, Blocker::Paused { .. }), "{why:?}");
    assert_eq!(why.position, Some(2), "its place stays");
    assert!(matches!(bench.engine.why(first).expect("known").blocker, Blocker::Paused { .. }));
    // Another priority keeps it free, and limits still hold it.
    bench.engine.set_priority(vec![third], 3).expect("room").wait_durable(WAIT).expect("moved");
    bench.engine.set_limit(kind, Some(1)).expect("room").wait_durable(WAIT).expect("limited");
    release(first);
    let launches = bench.launch();
    assert_eq!(launches.iter().map(|(job, _)| *job).collect::<Vec<_>>(), [third]);
    assert!(matches!(bench.engine.why(first).expect("known").blocker, Blocker::Limit { .. }));
    // A launch that comes to nothing stays let through; a new time in the queue does not.
    let state = TaskState::Refused { reason: "no room".into() };
    let update = StatusUpdate { name: launches[0].1, state, when: bench.engine.now() };
    bench.engine.status(update).expect("room").wait_durable(WAIT).expect("taken");
    let launches = bench.launch();
    assert_eq!(launches[0].0, third);
    bench.end(launches[0].1, Outcome::Exited { code: 3 });
    bench.requeue(third);
    bench.engine.set_limit(kind, None).expect("room").wait_durable(WAIT).expect("no limit");
    let launched: Vec<JobId> = bench.launch().iter().map(|(job, _)| *job).collect();
    assert_eq!(launched, [first]);
}

#[test]
fn issue_1262_what_was_let_through_stays_so_when_the_store_is_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || Engine::open(directory.path(), Options::default()).expect("a store");
    let mut bench = Bench { engine: open(), n_submitted: 0 };
    let kind = bench.kind("kind", 1);
    let first = bench.jobs(kind, 3);
    bench.engine.pause(kind, true).expect("room").wait_durable(WAIT).expect("paused");
    bench.engine.let_through(vec![first]).expect("room").wait_durable(WAIT).expect("released");
    bench.engine.close().expect("closed");
    let bench = Bench { engine: open(), n_submitted: 1 };
    assert!(bench.engine.why(first).expect("known").is_let_through);
    let launched: Vec<JobId> = bench.launch().iter().map(|(job, _)| *job).collect();
    assert_eq!(launched, [first]);
}

#[test]
fn issue_1801_unplaceable_heads_block_nobody() {
    let mut bench = Bench::new();
    let (huge, small) = (bench.kind("huge", 1_000_000), bench.kind("small", 1));
    // More of them than Scale looks at, before everything else, and one of the same type that fits.
    bench.jobs(huge, 600);
    let fits = JobRequest::new(huge).needs(NodeResources::new().mem_mib(1));
    let of_type = bench.submit(|all| all.jobs(fits));
    let other = bench.jobs(small, 1);
    let launched: Vec<JobId> = bench.launch().iter().map(|(job, _)| *job).collect();
    assert_eq!(launched, [of_type, other]);
    let why = bench.engine.why(JobId(1)).expect("known");
    assert!(matches!(why.blocker, Blocker::TooBig { .. }), "{why:?}");
}
