//! Nodes of submitted recipes that were canceled before they were ever queued, and are taken up again: they
//! wait for what they waited for, whatever happened meanwhile.

use std::path::Path;
use std::time::Duration;

use weighbridge::{
    Blocker, BulkId, BulkKind, Engine, JobFilter, JobId, JobRecord, JobRequest, JobStatus, JobTypeId,
    JobTypeSpec, NodeId, NodeResources, Offer, Options, Outcome, RecipeNode, RecipeRequest, Requeued,
    Retention, StatusUpdate, Submission, SubmissionId, TaskState, Usage,
};

use JobStatus::{Blocked, Canceled, Completed, Pending, Queued, Running};

const WAIT: Duration = Duration::from_secs(20);
const NODE: NodeId = NodeId(1);

/// What happens to the store between two steps.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    Checkpoint,
    Restart,
    /// The engine ends without a checkpoint.
    Crash,
    /// The log names what the checkpoint before it holds.
    CheckpointAndCrash,
}

const ALL: [Between; 5] =
    [Between::Nothing, Between::Checkpoint, Between::Restart, Between::Crash, Between::CheckpointAndCrash];

struct Life {
    directory: tempfile::TempDir,
    options: Options,
    engine: Option<Engine>,
    n_submitted: u32,
}

impl Life {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut life = Self { directory, options, engine: None, n_submitted: 0 };
        life.open();
        let spec = JobTypeSpec::new("kind", "1.0").max_tries(1);
        life.engine().put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
        life
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("open")
    }

    fn open(&mut self) {
        let engine = Engine::open(self.directory.path(), self.options.clone()).expect("a store");
        engine.declare_node(NODE, "one", &NodeResources::new().mem_mib(1_000));
        self.engine = Some(engine);
    }

    fn close(&mut self) {
        self.engine.take().expect("open").close().expect("closed");
    }

    fn pass(&mut self, between: Between) {
        match between {
            Between::Nothing => {}
            Between::Checkpoint => drop(self.engine().checkpoint(WAIT).expect("written")),
            Between::Restart => {
                self.close();
                self.open();
            }
            Between::Crash => self.crash(),
            Between::CheckpointAndCrash => {
                self.pass(Between::Checkpoint);
                // So that there is something to read from the log.
                self.submit(&[&[]]);
                self.crash();
            }
        }
        self.engine().check_invariants();
    }

    /// Goes on with the files as they are at this moment.
    fn crash(&mut self) {
        let copy = tempfile::tempdir().expect("a directory");
        for file in ["log.redb", "state.redb"] {
            std::fs::copy(self.directory.path().join(file), copy.path().join(file)).expect("a copy");
        }
        self.close();
        self.directory = copy;
        self.open();
    }

    /// A recipe of nodes with these parents, by their places; gives its jobs.
    fn submit(&mut self, nodes: &[&[u32]]) -> Vec<JobId> {
        self.n_submitted += 1;
        let node = |(place, parents): (usize, &&[u32])| RecipeNode {
            name: format!("node{place}").into(),
            job: JobRequest::new(JobTypeId(1)),
            parents: parents.to_vec(),
        };
        let nodes: Vec<RecipeNode> = nodes.iter().enumerate().map(node).collect();
        let n = nodes.len() as u64;
        let id = SubmissionId::new(&format!("s{}", self.n_submitted)).expect("an id");
        let submission = Submission::new(id).recipe(RecipeRequest { name: "recipe".into(), nodes });
        let ticket = self.engine().submit(submission).expect("room");
        let first = ticket.wait_durable(WAIT).expect("accepted").first_job;
        (first.0..first.0 + n).map(JobId).collect()
    }

    fn cancel(&self, jobs: &[JobId]) {
        self.engine().cancel(jobs.to_vec()).expect("room").wait_durable(WAIT).expect("done");
        self.engine().check_invariants();
    }

    fn requeue(&self, jobs: &[JobId]) -> Requeued {
        let ticket = self.engine().requeue(jobs.to_vec(), None).expect("room");
        let done = ticket.wait_durable(WAIT).expect("done");
        self.engine().check_invariants();
        done
    }

    /// Runs a job that is queued; others are launched with it.
    fn run(&self, job: JobId, is_well: bool) {
        assert_eq!(self.status(job), Queued, "{job}");
        let picks = self.engine().offer(&Offer::new(NODE, NodeResources::new().mem_mib(1_000)));
        picks.commit().wait(WAIT).expect("durable");
        let running = self.engine().running();
        let of_job = running.iter().filter(|run| run.job == job);
        let name = of_job.max_by_key(|run| run.exe_num).expect("it runs").name;
        let outcome = Outcome::Exited { code: i32::from(!is_well) };
        let state = TaskState::Ended { outcome, usage: Usage::default() };
        let update = StatusUpdate { name, state, when: self.engine().now() };
        self.engine().status(update).expect("room").wait_durable(WAIT).expect("taken");
        self.engine().check_invariants();
    }

    /// How a job stands. What runs counts as queued.
    fn status(&self, job: JobId) -> JobStatus {
        match self.engine().job(job).expect("a job").status {
            Running => Queued,
            status => status,
        }
    }

    fn statuses(&self, jobs: &[JobId]) -> Vec<JobStatus> {
        jobs.iter().map(|job| self.status(*job)).collect()
    }

    fn bulk(&self, kind: BulkKind, jobs: &[JobId]) -> BulkId {
        let filter = JobFilter::default().jobs(jobs.iter().copied());
        let id = self.engine().bulk(kind, filter, None).expect("room").wait_durable(WAIT).expect("an order");
        self.step_all();
        id
    }

    fn step_all(&self) {
        while self.engine().bulk_step().expect("a step") {}
        self.engine().check_invariants();
    }
}

/// Faults of a store that is closed.
fn n_faults(directory: &Path) -> u64 {
    weighbridge::check(directory, |_| {}).expect("looked at").faults.n()
}

#[test]
fn a_node_that_is_uncanceled_waits_for_its_parent_however_that_stands() {
    for between in ALL {
        let mut life = Life::new();
        let mut pairs: Vec<Vec<JobId>> = (0..4).map(|_| life.submit(&[&[], &[0]])).collect();
        let children: Vec<JobId> = pairs.iter().map(|pair| pair[1]).collect();
        life.cancel(&children);
        life.pass(between);
        life.run(pairs[1][0], true);
        life.run(pairs[2][0], false);
        life.cancel(&[pairs[3][0]]);
        life.pass(between);
        let done = life.requeue(&children);
        assert_eq!((done.n_uncanceled, done.n_queued, done.n_ignored), (4, 0, 0), "{between:?}");
        assert_eq!(life.statuses(&children), [Pending, Queued, Blocked, Blocked], "{between:?}");
        let why = life.engine().why(pairs[2][1]).expect("it waits");
        assert_eq!(why.blocker, Blocker::BlockedBy { jobs: vec![pairs[2][0]], nodes: vec![] });
        life.pass(between);
        // The one whose parent was done has gone on.
        let parents: Vec<JobId> = pairs.drain(..).map(|pair| pair[0]).collect();
        life.requeue(&parents[2..]);
        assert_eq!(life.statuses(&children), [Pending, Queued, Pending, Pending], "{between:?}");
        for at in [0, 2, 3] {
            life.pass(between);
            life.run(parents[at], true);
            assert_eq!(life.statuses(&[parents[at], children[at]]), [Completed, Queued], "{between:?}");
        }
        life.close();
        assert_eq!(n_faults(life.directory.path()), 0);
    }
}

#[test]
fn a_recipe_that_was_canceled_comes_back_in_any_order() {
    // One, two that wait for it, and one that waits for both.
    let nodes: [&[u32]; 4] = [&[], &[0], &[0], &[1, 2]];
    let mut life = Life::new();
    for n in 0..24 {
        let jobs = life.submit(&nodes);
        let mut left = jobs.clone();
        let order: Vec<JobId> = [n / 6, n % 6 / 2, n % 2, 0].map(|at| left.remove(at)).into();
        if n % 2 == 0 {
            life.cancel(&jobs);
        } else {
            for job in &order {
                life.cancel(&[*job]);
            }
        }
        assert_eq!(life.statuses(&jobs), [Canceled; 4]);
        for (at, job) in order.iter().enumerate() {
            life.pass(ALL[(n + at) % 3]);
            assert_eq!(life.requeue(&[*job]).n_ignored, 0);
        }
        assert_eq!(life.statuses(&jobs), [Queued, Pending, Pending, Pending], "{order:?}");
        life.pass(ALL[n % ALL.len()]);
        life.run(jobs[0], true);
        assert_eq!(life.statuses(&jobs), [Completed, Queued, Queued, Pending], "{order:?}");
        life.run(jobs[2], false);
        assert_eq!(life.status(jobs[3]), Blocked);
        life.cancel(&[jobs[3]]);
        life.run(jobs[1], true);
        life.pass(ALL[n % ALL.len()]);
        assert_eq!(life.requeue(&[jobs[3]]).n_uncanceled, 1);
        assert_eq!(life.status(jobs[3]), Blocked);
        assert_eq!(life.requeue(&[jobs[2]]).n_queued, 1);
        life.run(jobs[2], true);
        assert_eq!(life.statuses(&jobs), [Completed, Completed, Completed, Queued], "{order:?}");
        life.run(jobs[3], true);
    }
}

#[test]
fn all_of_a_canceled_recipe_comes_back_at_once_also_by_a_bulk_operation() {
    let nodes: [&[u32]; 4] = [&[], &[0], &[0], &[1, 2]];
    for between in ALL {
        let mut life = Life::new();
        let jobs = life.submit(&nodes);
        let waits = [Queued, Pending, Pending, Pending];
        life.cancel(&jobs);
        life.pass(between);
        let done = life.requeue(&jobs);
        assert_eq!((done.n_queued, done.n_uncanceled, done.n_ignored), (1, 3, 0));
        assert_eq!(life.statuses(&jobs), waits, "{between:?}");
        let canceled = life.bulk(BulkKind::Cancel, &jobs);
        assert_eq!(life.statuses(&jobs), [Canceled; 4], "{between:?}");
        life.pass(between);
        life.bulk(BulkKind::Requeue, &jobs);
        assert_eq!(life.statuses(&jobs), waits, "{between:?}");
        let again = life.bulk(BulkKind::Cancel, &jobs[1..]);
        life.pass(between);
        for order in [again, canceled] {
            life.engine().bulk_undo(order).expect("room").wait_durable(WAIT).expect("an order");
            life.step_all();
            assert_eq!(life.statuses(&jobs), waits, "{between:?}");
        }
        for &job in &jobs {
            life.pass(between);
            life.run(job, true);
        }
        assert_eq!(life.statuses(&jobs), [Completed; 4], "{between:?}");
    }
}

#[test]
fn a_canceled_node_that_another_one_waits_for_keeps_its_own_parents() {
    for between in ALL {
        let mut life = Life::new();
        let jobs = life.submit(&[&[], &[0], &[1]]);
        life.cancel(&jobs[..2]);
        assert_eq!(life.statuses(&jobs), [Canceled, Canceled, Blocked]);
        life.pass(between);
        assert_eq!(life.requeue(&jobs[1..2]).n_uncanceled, 1);
        assert_eq!(life.statuses(&jobs), [Canceled, Blocked, Blocked], "{between:?}");
        life.cancel(&jobs[1..2]);
        life.pass(between);
        life.cancel(&jobs[2..]);
        life.pass(between);
        life.requeue(&jobs[2..]);
        life.pass(between);
        life.requeue(&jobs[..1]);
        assert_eq!(life.statuses(&jobs), [Queued, Canceled, Blocked], "{between:?}");
        life.requeue(&jobs[1..2]);
        assert_eq!(life.statuses(&jobs), [Queued, Pending, Pending], "{between:?}");
        for &job in &jobs {
            life.pass(between);
            life.run(job, true);
        }
    }
}

#[test]
fn a_node_whose_parent_was_dropped_stays_as_it_is() {
    let mut life = Life::with(Options::default().retention(Retention::ALL.jobs(1)));
    let jobs = life.submit(&[&[], &[0]]);
    life.cancel(&jobs[..1]);
    life.cancel(&jobs[1..]);
    let mut n = 0;
    while life.engine().look_up(jobs[0]) != JobRecord::Dropped {
        assert!(n < 20, "it goes");
        n += 1;
        let types = JobTypeSpec::new(format!("other{n}"), "1.0");
        life.engine().put_job_type(types).expect("room").wait_durable(WAIT).expect("a type");
        life.pass(Between::Checkpoint);
    }
    let done = life.requeue(&jobs[1..]);
    assert_eq!((done.n_queued, done.n_uncanceled, done.n_ignored), (0, 0, 1));
    assert_eq!(life.status(jobs[1]), Canceled);
    life.bulk(BulkKind::Requeue, &jobs[1..]);
    assert_eq!(life.status(jobs[1]), Canceled);
    life.close();
    assert_eq!(n_faults(life.directory.path()), 0);
}
