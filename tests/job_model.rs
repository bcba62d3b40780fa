//! The state machine of a job against a naive reading of Scale's rules: random sequences of messages (again,
//! out of order, about executions that are over), launches, ends, cancels, requeues, and stores opened again.

#![cfg(feature = "server")]

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use weighbridge::{
    Delivered, Engine, ErrorId, JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, NodeId, NodeResources,
    Offer, Options, Outcome, RecipeNode, RecipeRequest, StatusUpdate, Submission, SubmissionId, TaskState,
    Usage,
};

use JobStatus::{Blocked, Canceled, Completed, Failed, Pending, Queued, Running};

const WAIT: Duration = Duration::from_secs(20);
const NODE: NodeId = NodeId(1);
const WHEN: &str = "2026-11-24T12:00:00Z";

/// Behind every change of a job.
const LATER: &str = "2199-11-24T12:00:00Z";
const MAX_TRIES: u32 = 2;

/// Recipes of three: one that waits for the first, and one that waits for both.
const N_RECIPES: usize = 2;
const N_JOBS: usize = 3 * N_RECIPES;

/// One thing that happens. Jobs by place; executions by how far they are from the newest.
#[derive(Clone, Debug)]
enum Step {
    QueueFirst(usize, i8),
    QueueAgain(usize, i8),
    Requeue(usize, i8),
    Cancel(usize),
    /// A bit for each job.
    Uncancel(u8),
    Began(usize, i8),
    Completed(usize, i8),
    Failed(usize, i8),
    EndRecord(usize, i8),
    Launch,
    /// A driver's word of the end of a job's launch: well, or with an error.
    Ends(usize, bool),
    /// The last message comes again.
    Again,
    Checkpoint,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let job = || 0..N_JOBS;
    let off = || prop_oneof![6 => Just(0_i8), 1 => Just(-1_i8), 1 => Just(1_i8)];
    let step = prop_oneof![
        3 => (job(), off()).prop_map(|(job, off)| Step::QueueFirst(job, off)),
        3 => (job(), off()).prop_map(|(job, off)| Step::QueueAgain(job, off)),
        4 => (job(), off()).prop_map(|(job, off)| Step::Requeue(job, off)),
        6 => job().prop_map(Step::Cancel),
        3 => (1..1_u8 << N_JOBS).prop_map(Step::Uncancel),
        4 => (job(), off()).prop_map(|(job, off)| Step::Began(job, off)),
        4 => (job(), off()).prop_map(|(job, off)| Step::Completed(job, off)),
        6 => (job(), off()).prop_map(|(job, off)| Step::Failed(job, off)),
        2 => (job(), off()).prop_map(|(job, off)| Step::EndRecord(job, off)),
        3 => Just(Step::Launch),
        6 => (job(), any::<bool>()).prop_map(|(job, is_well)| Step::Ends(job, is_well)),
        3 => Just(Step::Again),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..70)
}

/// A job as the rules have it.
#[derive(Clone, Debug)]
struct Naive {
    status: JobStatus,
    num_exes: u32,
    max_tries: u32,
    /// Its newest execution was launched and has not ended.
    runs: bool,
    /// The places of the jobs it waits for.
    parents: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    jobs: Vec<Naive>,
    /// Executions that run although their jobs were queued again: place and number.
    overtaken: Vec<(usize, u32)>,
}

impl Model {
    fn new() -> Self {
        let first =
            Naive { status: Queued, num_exes: 1, max_tries: MAX_TRIES, runs: false, parents: Vec::new() };
        let after = |parents: &[usize]| Naive {
            status: Pending,
            num_exes: 0,
            parents: parents.to_vec(),
            ..first.clone()
        };
        let three = |at: usize| [first.clone(), after(&[3 * at]), after(&[3 * at, 3 * at + 1])];
        Self { jobs: (0..N_RECIPES).flat_map(three).collect(), overtaken: Vec::new() }
    }

    fn exe(&self, at: usize, off: i8) -> u32 {
        self.jobs[at].num_exes.saturating_add_signed(off.into())
    }

    fn is_newest(&self, at: usize, exe: u32) -> bool {
        self.jobs[at].num_exes == exe && exe > 0
    }

    fn can_be_requeued(&self, at: usize) -> bool {
        self.jobs[at].status != Completed && self.jobs[at].num_exes > 0
    }

    fn children(&self, at: usize) -> Vec<usize> {
        (0..self.jobs.len()).filter(|child| self.jobs[*child].parents.contains(&at)).collect()
    }

    fn queue(&mut self, at: usize) {
        let job = &mut self.jobs[at];
        if std::mem::take(&mut job.runs) {
            self.overtaken.push((at, job.num_exes));
        }
        (job.status, job.num_exes) = (Queued, job.num_exes + 1);
        self.unblock_children(at);
    }

    fn is_blocked(&self, at: usize) -> bool {
        self.jobs[at].parents.iter().any(|at| matches!(self.jobs[*at].status, Blocked | Failed | Canceled))
    }

    fn is_ready(&self, at: usize) -> bool {
        self.jobs[at].parents.iter().all(|at| self.jobs[*at].status == Completed)
    }

    fn unblock_children(&mut self, at: usize) {
        for child in self.children(at) {
            if self.jobs[child].status == Blocked && !self.is_blocked(child) {
                self.jobs[child].status = Pending;
                self.unblock_children(child);
            }
        }
    }

    fn block_children(&mut self, at: usize) {
        for child in self.children(at) {
            if self.jobs[child].status == Pending {
                self.jobs[child].status = Blocked;
                self.block_children(child);
            }
        }
    }

    fn can_be_uncanceled(&self, at: usize) -> bool {
        self.jobs[at].status == Canceled && self.jobs[at].num_exes == 0
    }

    fn uncancel(&mut self, at: usize) {
        self.jobs[at].status = if self.is_blocked(at) { Blocked } else { Pending };
        self.unblock_children(at);
        if self.is_ready(at) {
            self.queue(at);
        }
    }

    fn ends(&mut self, at: usize, is_well: bool) {
        let job = &mut self.jobs[at];
        job.runs = false;
        if job.status == Canceled {
            return;
        }
        if is_well {
            job.status = Completed;
            for child in self.children(at) {
                if self.jobs[child].status == Pending && self.is_ready(child) {
                    self.queue(child);
                }
            }
        } else if job.num_exes < job.max_tries {
            self.queue(at);
        } else {
            job.status = Failed;
            self.block_children(at);
        }
    }

    /// Word of an end, which counts while the execution is open.
    fn told_end(&mut self, at: usize, exe: u32, is_well: bool) {
        let job = &self.jobs[at];
        if self.is_newest(at, exe) && (job.runs || matches!(job.status, Queued | Running)) {
            self.ends(at, is_well);
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::QueueFirst(at, off) => {
                let job = &self.jobs[at];
                let is_new = job.num_exes == 0 && matches!(job.status, Pending | Blocked);
                if self.exe(at, off) == job.num_exes && is_new && self.is_ready(at) {
                    self.queue(at);
                }
            }
            Step::QueueAgain(at, off) => {
                if self.is_newest(at, self.exe(at, off)) && self.can_be_requeued(at) {
                    self.queue(at);
                }
            }
            Step::Requeue(at, off) => {
                if self.can_be_uncanceled(at) {
                    self.uncancel(at);
                } else if self.is_newest(at, self.exe(at, off)) && self.can_be_requeued(at) {
                    self.jobs[at].max_tries = self.jobs[at].num_exes + MAX_TRIES;
                    self.queue(at);
                }
            }
            Step::Uncancel(jobs) => {
                for at in places(jobs).filter(|at| self.can_be_uncanceled(*at)).collect::<Vec<_>>() {
                    self.uncancel(at);
                }
            }
            Step::Cancel(at) => {
                if !matches!(self.jobs[at].status, Completed | Canceled) {
                    self.jobs[at].status = Canceled;
                    self.block_children(at);
                }
            }
            Step::Began(at, off) => {
                if self.is_newest(at, self.exe(at, off)) && self.jobs[at].status == Queued {
                    (self.jobs[at].status, self.jobs[at].runs) = (Running, true);
                }
            }
            Step::Completed(at, off) => self.told_end(at, self.exe(at, off), true),
            Step::Failed(at, off) => self.told_end(at, self.exe(at, off), false),
            Step::EndRecord(at, off) => {
                let exe = self.exe(at, off);
                let before = self.overtaken.len();
                self.overtaken.retain(|overtaken| *overtaken != (at, exe));
                let is_newest = before == self.overtaken.len() && self.is_newest(at, exe);
                if is_newest && self.jobs[at].status == Canceled {
                    self.jobs[at].runs = false;
                }
            }
            Step::Launch => {
                for job in self.jobs.iter_mut().filter(|job| job.status == Queued) {
                    (job.status, job.runs) = (Running, true);
                }
            }
            Step::Ends(at, is_well) => {
                if self.jobs[at].runs {
                    self.ends(at, is_well);
                }
            }
            Step::Again | Step::Checkpoint | Step::Reopen => {}
        }
    }
}

struct Real {
    directory: tempfile::TempDir,
    engine: Option<Engine>,
    last: Option<String>,
}

fn places(jobs: u8) -> impl Iterator<Item = usize> {
    (0..N_JOBS).filter(move |at| jobs >> at & 1 == 1)
}

fn id(at: usize) -> JobId {
    JobId(at as u64 + 1)
}

impl Real {
    fn new() -> Self {
        let mut real =
            Self { directory: tempfile::tempdir().expect("a directory"), engine: None, last: None };
        real.reopen();
        let spec = JobTypeSpec::new("kind", "1.0").max_tries(2);
        real.engine().put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
        let node = |parents: &[u32]| RecipeNode {
            name: format!("node{}", parents.len()).into(),
            job: JobRequest::new(JobTypeId(1)),
            parents: parents.to_vec(),
        };
        let nodes = || vec![node(&[]), node(&[0]), node(&[0, 1])];
        let three = || RecipeRequest { name: "three".into(), nodes: nodes() };
        let submission = Submission::new(SubmissionId::new("all").expect("an id"));
        let submission = (0..N_RECIPES).fold(submission, |all, _| all.recipe(three()));
        real.engine().submit(submission).expect("room").wait_durable(WAIT).expect("accepted");
        real
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("open")
    }

    fn reopen(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.close().expect("closed");
        }
        let engine = Engine::open(self.directory.path(), Options::default()).expect("a store");
        engine.declare_node(NODE, "one", &NodeResources::new().mem_mib(1_000));
        self.engine = Some(engine);
    }

    fn send(&mut self, kind: &str, body: &Value) {
        self.last = Some(json!({"type": kind, "body": body}).to_string());
        self.send_again();
    }

    fn send_again(&self) {
        let Some(text) = &self.last else { return };
        let delivered = self.engine().deliver(text).expect("room").wait_durable(WAIT).expect("taken");
        assert!(matches!(delivered, Delivered::Done(_)), "{text}: {delivered:?}");
    }

    /// The executions that steps name are those of the model: both agree before each step.
    fn apply(&mut self, step: &Step, model: &Model) {
        let at_of = |at: usize, off: i8| json!([{"id": id(at).0, "exe_num": model.exe(at, off)}]);
        match *step {
            Step::QueueFirst(at, off) => {
                self.send("queued_jobs", &json!({"jobs": at_of(at, off), "requeue": false}));
            }
            Step::QueueAgain(at, off) => {
                self.send("queued_jobs", &json!({"jobs": at_of(at, off), "requeue": true}));
            }
            Step::Requeue(at, off) => self.send("requeue_jobs", &json!({"jobs": at_of(at, off)})),
            Step::Cancel(at) => self.send("cancel_jobs", &json!({"job_ids": [id(at).0], "when": LATER})),
            Step::Uncancel(jobs) => {
                let ids: Vec<u64> = places(jobs).map(|at| id(at).0).collect();
                self.send("uncancel_jobs", &json!({"job_ids": ids, "when": LATER}));
            }
            Step::Began(at, off) => {
                let nodes = json!([{"id": NODE.0, "jobs": at_of(at, off)}]);
                self.send("running_jobs", &json!({"started": WHEN, "nodes": nodes}));
            }
            Step::Completed(at, off) => {
                self.send("completed_jobs", &json!({"ended": WHEN, "jobs": at_of(at, off)}));
            }
            Step::Failed(at, off) => {
                let errors = json!([{"id": 1, "jobs": at_of(at, off)}]);
                self.send("failed_jobs", &json!({"ended": WHEN, "errors": errors}));
            }
            Step::EndRecord(at, off) => {
                let end = json!({"id": 1, "job_id": id(at).0, "job_type_id": 1, "status": "CANCELED",
                    "exe_num": model.exe(at, off), "task_results": {}, "queued": WHEN, "ended": WHEN});
                self.send("create_job_exe_ends", &json!({"job_exe_end_models": [end]}));
            }
            Step::Launch => {
                let picks = self.engine().offer(&Offer::new(NODE, NodeResources::new().mem_mib(1_000)));
                picks.commit().wait(WAIT).expect("durable");
            }
            Step::Ends(at, is_well) => {
                let running = self.engine().running();
                let exe = model.jobs[at].num_exes;
                let Some(run) = running.iter().find(|run| (run.job, run.exe_num) == (id(at), exe)) else {
                    return;
                };
                let outcome =
                    if is_well { Outcome::Exited { code: 0 } } else { Outcome::Error { id: ErrorId(1) } };
                let state = TaskState::Ended { outcome, usage: Usage::default() };
                let update = StatusUpdate { name: run.name, state, when: self.engine().now() };
                self.engine().status(update).expect("room").wait_durable(WAIT).expect("taken");
            }
            Step::Again => self.send_again(),
            Step::Checkpoint => drop(self.engine().checkpoint(WAIT).expect("written")),
            Step::Reopen => self.reopen(),
        }
    }
}

/// What both sides have to agree on.
fn agree(real: &Real, model: &Model, step: &Step) {
    for (at, naive) in model.jobs.iter().enumerate() {
        let job = real.engine().job(id(at)).expect("a job");
        let found = (job.status, job.num_exes, u32::from(job.max_tries));
        assert_eq!(found, (naive.status, naive.num_exes, naive.max_tries), "job {} after {step:?}", id(at));
    }
    let n_running = model.jobs.iter().filter(|job| job.runs).count() + model.overtaken.len();
    assert_eq!(real.engine().running().len(), n_running, "after {step:?}");
    real.engine().check_invariants();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_job_follows_the_rules_whatever_comes_in_whatever_order(steps in steps()) {
        let (mut real, mut model) = (Real::new(), Model::new());
        let mut last: Option<(Step, Model)> = None;
        for step in &steps {
            real.apply(step, &model);
            match step {
                Step::Again => {
                    // The message names the execution of then.
                    if let Some((again, then)) = &last {
                        let mut told = again.clone();
                        told.shift(&then.jobs, &model.jobs);
                        model.apply(&told);
                    }
                }
                Step::Launch | Step::Ends(..) | Step::Checkpoint | Step::Reopen => model.apply(step),
                message => {
                    last = Some((message.clone(), model.clone()));
                    model.apply(message);
                }
            }
            agree(&real, &model, step);
        }
    }
}

impl Step {
    /// Makes it name the same execution although jobs went on.
    fn shift(&mut self, then: &[Naive], now: &[Naive]) {
        match self {
            Self::QueueFirst(at, off)
            | Self::QueueAgain(at, off)
            | Self::Requeue(at, off)
            | Self::Began(at, off)
            | Self::Completed(at, off)
            | Self::Failed(at, off)
            | Self::EndRecord(at, off) => {
                let exe = then[*at].num_exes.saturating_add_signed((*off).into());
                let far = i64::from(exe) - i64::from(now[*at].num_exes);
                *off = i8::try_from(far.clamp(-100, 100)).expect("clamped");
            }
            Self::Cancel(_)
            | Self::Uncancel(_)
            | Self::Launch
            | Self::Ends(..)
            | Self::Again
            | Self::Checkpoint
            | Self::Reopen => {}
        }
    }
}
