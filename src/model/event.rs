//! One fact each: everything that ever changes the state, in the form the log keeps.
//!
//! Events carry what the fold needs and nothing it could look up in the future: folding the same
//! events gives the same state, whoever does it. The order of variants is part of the format of
//! the log; new ones go to the end (see docs/store.md).

use std::sync::Arc;

use bincode::{Decode, Encode};

use super::doc::{Doc, DocKey};
use super::ids::{Epoch, ExeId, JobId, JobTypeId, LaunchName, NodeId, RecipeId};
use super::job::{ExeEnd, JobStatus};
use super::job_state::JobState;
use super::job_type::{JobTypeSpec, QueueMode};
use super::resources::NodeResources;
use super::submission::{Accepted, JobRequest};
use super::time::Timestamp;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// A store was opened and its state recovered.
    EngineStarted {
        /// One more than before.
        epoch: Epoch,
        /// When.
        when: Timestamp,
    },
    /// A job type was made or edited.
    JobTypePut {
        /// New or known.
        id: JobTypeId,
        /// What it is from now on.
        spec: JobTypeSpec,
        /// When.
        when: Timestamp,
    },
    /// A job type was paused or resumed.
    JobTypePaused {
        /// Which.
        id: JobTypeId,
        /// Paused, or resumed.
        is_paused: bool,
        /// When.
        when: Timestamp,
    },
    /// A job type's limit was set or removed.
    JobTypeLimited {
        /// Which.
        id: JobTypeId,
        /// Most executions at once.
        max_scheduled: Option<u32>,
        /// When.
        when: Timestamp,
    },
    /// The direction of queued time was set, for all (`None`) or inside one type.
    QueueModeSet {
        /// For which type.
        job_type: Option<JobTypeId>,
        /// The direction; none: a type goes back to the global one.
        mode: Option<QueueMode>,
    },
    /// Jobs were made, PENDING, with contiguous ids.
    JobsCreated {
        /// The first id.
        first: JobId,
        /// What they are; `count` of it.
        request: JobRequest,
        /// Where they are nodes of a recipe: which, and each one's name.
        recipe: Option<RecipeNodes>,
        /// When.
        when: Timestamp,
    },
    /// Edges of a recipe's graph: `child` waits for `parents`.
    JobParents {
        /// Which job.
        child: JobId,
        /// The jobs it waits for.
        parents: Vec<JobId>,
    },
    /// A submission was accepted; what it made stands in the events before this one, in the same
    /// transaction.
    SubmissionAccepted {
        /// The caller's name for it.
        id: String,
        /// The answer.
        accepted: Accepted,
    },
    /// Jobs were queued, each with a new execution; contiguous execution ids in the order given.
    JobsQueued {
        /// The first execution's id.
        first_exe: ExeId,
        /// Which jobs.
        jobs: JobRange,
        /// Replaces the jobs' priority in the queue, for this time.
        priority: Option<i32>,
        /// When; the queued time of all of them.
        when: Timestamp,
    },
    /// Jobs that never were queued changed between PENDING and BLOCKED.
    JobsMarked {
        /// Which.
        jobs: Vec<JobId>,
        /// What they are now.
        status: JobStatus,
        /// When.
        when: Timestamp,
    },
    /// An execution was given to a node.
    Launched {
        /// Its name.
        launch: LaunchName,
        /// Where.
        node: NodeId,
        /// When.
        when: Timestamp,
    },
    /// A launch came to nothing; the execution is back at its old place in the queue.
    LaunchReturned {
        /// Its name.
        launch: LaunchName,
        /// When.
        when: Timestamp,
    },
    /// An execution ended. The job follows: COMPLETED, FAILED, or QUEUED again by the next event.
    ExeEnded {
        /// The end record.
        end: ExeEnd,
        /// What the job is from now on.
        status: JobStatus,
        /// True where a try was used up.
        uses_try: bool,
    },
    /// Jobs were canceled, wherever they stood. A running one keeps running until its end comes.
    JobsCanceled {
        /// Which.
        jobs: Vec<JobId>,
        /// When.
        when: Timestamp,
    },
    /// Jobs got another priority, also in the queue.
    PriorityChanged {
        /// Which.
        jobs: Vec<JobId>,
        /// The lower number is the more important.
        priority: i32,
        /// When.
        when: Timestamp,
    },
    /// Counts per job type were taken down.
    LoadTaken {
        /// At which instant.
        measured: Timestamp,
        /// How many rows are kept, at most; older ones go.
        keep_rows: u32,
    },
    /// Jobs that are over were taken up from the store, because the next event changes them.
    JobsRecalled(RecalledJobs),
    /// A document was put in its place.
    DocPut(Arc<Doc>),
    /// A document is no more.
    DocDropped(DocKey),
    /// What a job waited for to begin is there: its input, and with it what it asks for.
    InputProcessed {
        /// Which job.
        job: JobId,
        /// The size of its files in whole MiB.
        input_mib: u64,
        /// What an execution asks of its node now; none: as before.
        resources: Option<NodeResources>,
    },
    /// Other jobs are in the place of these.
    JobsSuperseded {
        /// Which.
        jobs: Vec<JobId>,
        /// When.
        when: Timestamp,
    },
    /// Jobs may be tried so often in all.
    TriesSet {
        /// Which.
        jobs: Vec<JobId>,
        /// For each how often.
        max_tries: Vec<u16>,
    },
    /// Documents about one thing are no more: those with `sub` below `n`.
    DocsDropped {
        /// Of which kind.
        kind: u8,
        /// About what.
        id: u64,
        /// How many there were.
        n: u32,
    },
    /// Canceled jobs that waited are in the queue again, with the execution they had, at its old place.
    JobsPutBack {
        /// Which.
        jobs: Vec<JobId>,
        /// When.
        when: Timestamp,
    },
    /// Jobs are as they are told here, whatever they were: taken over from another system.
    JobsRestored(RecalledJobs),
    /// Counts per job type of the past were put on record, in place of those of the same instant and type.
    LoadPut {
        /// The counts.
        rows: Vec<LoadCounts>,
        /// How many rows are kept, at most; older measurements go.
        keep_rows: u32,
    },
    /// Measurements are no more.
    LoadDropped {
        /// Of these instants, which rise.
        measured: Vec<Timestamp>,
    },
    /// Queued jobs go on although their types may be paused, for this time in the queue.
    JobsLetThrough {
        /// Which.
        jobs: Vec<JobId>,
        /// When.
        when: Timestamp,
    },
    /// Queued jobs ask for something else of their nodes.
    JobsAsk {
        /// Which.
        jobs: Vec<JobId>,
        /// For what.
        resources: NodeResources,
    },
}

/// Counts of one job type at one instant, as an event tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LoadCounts {
    /// When.
    pub measured: Timestamp,
    /// Which type; none: nothing was there to count.
    pub job_type: Option<JobTypeId>,
    /// PENDING, QUEUED and RUNNING jobs.
    pub counts: [u32; 3],
}

/// Jobs that are over, as the store had them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecalledJobs(pub(crate) Vec<(JobId, JobState)>);

/// Jobs of one event that are nodes of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecipeNodes {
    /// Which recipe.
    pub recipe: RecipeId,
    /// The node's name.
    pub name: Arc<str>,
}

/// Jobs by id: contiguous or listed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum JobRange {
    /// `count` ids from `first`.
    Span {
        /// The first.
        first: JobId,
        /// How many.
        count: u32,
    },
    /// Each by itself.
    List(Vec<JobId>),
}

impl JobRange {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Span { count, .. } => *count as usize,
            Self::List(jobs) => jobs.len(),
        }
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = JobId> + '_ {
        let (span, list) = match self {
            Self::Span { first, count } => (first.0..first.0 + u64::from(*count), [].as_slice()),
            Self::List(jobs) => (0..0, jobs.as_slice()),
        };
        span.map(JobId).chain(list.iter().copied())
    }
}
