//! Orders and news as messages bring them, as plain data.
//!
//! # Source
//! The messages of Scale's queue and of those around it.

use super::doc::Json;
use super::ids::{BatchId, ErrorId, ExeId, JobId, JobTypeId, NodeId, RecipeId};
use super::job::JobStatus;
use super::job_list::ErrorCategory;
use super::time::Timestamp;

/// A job as it was when a message about it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobAt {
    /// Which job.
    pub job: JobId,
    /// How often it had been queued by then. A message about another execution than the newest changes
    /// nothing.
    pub exe_num: u32,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Jobs go to the queue.
    QueuedJobs {
        /// Which, up to 100.
        jobs: Vec<JobAt>,
        /// Those that were queued before; else for the first time.
        requeue: bool,
        /// Their priority, for this time in the queue.
        priority: Option<i32>,
    },
    /// Jobs go to the queue again, with as many tries as their types give.
    RequeueJobs {
        /// Which, up to 100.
        jobs: Vec<JobAt>,
        /// Their priority, for this time in the queue.
        priority: Option<i32>,
    },
    /// The same for all that a filter lets through.
    RequeueJobsBulk {
        /// Which.
        filter: MessageFilter,
        /// Their priority, for this time in the queue.
        priority: Option<i32>,
    },
    /// Jobs are canceled.
    CancelJobs {
        /// Which, up to 100.
        jobs: Vec<JobId>,
        /// When that was asked for.
        when: Timestamp,
    },
    /// The same for all that a filter lets through.
    CancelJobsBulk {
        /// Which.
        filter: MessageFilter,
    },
    /// Jobs that were canceled before they were ever queued wait for their inputs again.
    UncancelJobs {
        /// Which, up to 1,000.
        jobs: Vec<JobId>,
        /// When that was asked for.
        when: Timestamp,
    },
    /// Executions began.
    RunningJobs {
        /// When.
        started: Timestamp,
        /// Where, and which; up to 100 jobs.
        nodes: Vec<(NodeId, Vec<JobAt>)>,
    },
    /// Executions ended well.
    CompletedJobs {
        /// When.
        ended: Timestamp,
        /// Which, up to 100.
        jobs: Vec<JobAt>,
    },
    /// Executions failed.
    FailedJobs {
        /// When.
        ended: Timestamp,
        /// With which error, and which; up to 100 jobs.
        errors: Vec<(ErrorId, Vec<JobAt>)>,
    },
    /// End records of executions.
    JobExeEnds {
        /// Up to 10.
        ends: Vec<JobExeEnd>,
    },
}

/// Which jobs a message is about: those that meet every condition. `None` is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageFilter {
    /// Below this id.
    pub current_job: Option<JobId>,
    /// Changed then or later.
    pub started: Option<Timestamp>,
    /// Changed then or earlier.
    pub ended: Option<Timestamp>,
    /// Failed with an error of one of these.
    pub error_categories: Option<Vec<ErrorCategory>>,
    /// Failed with one of these.
    pub errors: Option<Vec<ErrorId>>,
    /// One of these.
    pub jobs: Option<Vec<JobId>>,
    /// Of one of these.
    pub job_types: Option<Vec<JobTypeId>>,
    /// In this status.
    pub status: Option<JobStatus>,
    /// Of a type with one of these names, in any version.
    pub job_type_names: Option<Vec<String>>,
    /// In one of these.
    pub batches: Option<Vec<BatchId>>,
    /// In one of these.
    pub recipes: Option<Vec<RecipeId>>,
    /// Whether another job is in its place; none: both.
    pub is_superseded: Option<bool>,
}

/// The end record of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobExeEnd {
    /// The execution's id where the record comes from.
    pub exe: ExeId,
    /// Its job, and the how-manieth it is of it.
    pub job: JobAt,
    /// Of which type the job is.
    pub job_type: JobTypeId,
    /// What became of its tasks: JSON.
    pub task_results: Json,
    /// FAILED, COMPLETED or CANCELED.
    pub status: JobStatus,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// With which error it failed.
    pub error: Option<ErrorId>,
    /// Where it ran.
    pub node: Option<NodeId>,
    /// When it began.
    pub started: Option<Timestamp>,
}

impl Message {
    /// The word for its kind, as Scale has it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::QueuedJobs { .. } => "queued_jobs",
            Self::RequeueJobs { .. } => "requeue_jobs",
            Self::RequeueJobsBulk { .. } => "requeue_jobs_bulk",
            Self::CancelJobs { .. } => "cancel_jobs",
            Self::CancelJobsBulk { .. } => "cancel_jobs_bulk",
            Self::UncancelJobs { .. } => "uncancel_jobs",
            Self::RunningJobs { .. } => "running_jobs",
            Self::CompletedJobs { .. } => "completed_jobs",
            Self::FailedJobs { .. } => "failed_jobs",
            Self::JobExeEnds { .. } => "create_job_exe_ends",
        }
    }

    /// The jobs that it names one by one.
    pub fn jobs(&self) -> Vec<JobId> {
        let ids = |jobs: &[JobAt]| jobs.iter().map(|at| at.job).collect::<Vec<_>>();
        match self {
            Self::QueuedJobs { jobs, .. }
            | Self::RequeueJobs { jobs, .. }
            | Self::CompletedJobs { jobs, .. } => ids(jobs),
            Self::RequeueJobsBulk { .. } | Self::CancelJobsBulk { .. } => Vec::new(),
            Self::CancelJobs { jobs, .. } | Self::UncancelJobs { jobs, .. } => jobs.clone(),
            Self::RunningJobs { nodes, .. } => nodes.iter().flat_map(|(_, jobs)| ids(jobs)).collect(),
            Self::FailedJobs { errors, .. } => errors.iter().flat_map(|(_, jobs)| ids(jobs)).collect(),
            Self::JobExeEnds { ends } => ends.iter().map(|end| end.job.job).collect(),
        }
    }
}
