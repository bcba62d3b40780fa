//! A job, its executions and their ends, as kept on record.

use std::sync::Arc;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::ids::{
    BatchId, ErrorId, EventId, ExeId, JobId, JobTypeId, LaunchName, NodeId, RecipeId, TenantId, cluster_id,
};
use super::resources::NodeResources;
use super::submission::Given;
use super::time::Timestamp;

/// Where a job stands. Scale's seven states, with its spelling.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// Waits for its inputs.
    #[default]
    Pending,
    /// Cannot get its inputs, because a job it depends on failed or was canceled.
    Blocked,
    /// Waits for a node.
    Queued,
    /// Launched and not ended.
    Running,
    /// Ended without success, and no try is left.
    Failed,
    /// Ended with success.
    Completed,
    /// Ended by order.
    Canceled,
}

impl JobStatus {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Blocked,
        Self::Queued,
        Self::Running,
        Self::Failed,
        Self::Completed,
        Self::Canceled,
    ];

    /// FAILED, COMPLETED and CANCELED.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Canceled)
    }

    /// The spelling on every surface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Blocked => "BLOCKED",
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Failed => "FAILED",
            Self::Completed => "COMPLETED",
            Self::Canceled => "CANCELED",
        }
    }
}

impl std::fmt::Display for JobStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Values of a job by name, for the placeholders of its type's command. Shared by all jobs of a
/// request that gave the same.
pub type Values = Arc<[(String, String)]>;

/// One request for work.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its kind.
    pub job_type: JobTypeId,
    /// The revision of its kind when it was made.
    pub revision: u32,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it stands.
    pub status: JobStatus,
    /// The lower number is the more important.
    pub priority: i32,
    /// What an execution of it asks of its node. Shared by all jobs of a request.
    pub resources: Arc<NodeResources>,
    /// For the placeholders.
    pub values: Values,
    /// The graph it is a node of, and its name there.
    pub recipe: Option<(RecipeId, Arc<str>)>,
    /// How often it was queued; the number of its newest execution.
    pub num_exes: u32,
    /// Tries used up; a fault of the system uses none.
    pub tries: u16,
    /// Tries it has in all.
    pub max_tries: u16,
    /// Its newest execution, once it was queued.
    pub exe: Option<ExeId>,
    /// How often that one was launched; the number of its newest launch.
    pub launches: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last queued.
    pub queued: Option<Timestamp>,
    /// When its newest execution was launched.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When `status` last changed.
    pub last_status_change: Timestamp,
    /// How its newest ended execution ended.
    pub end: Option<ExeEnd>,
    /// Where its newest execution ran or runs.
    pub node: Option<NodeId>,
    /// What else it was given when it was made.
    pub given: Option<Arc<Given>>,
    /// In which batch.
    pub batch: Option<BatchId>,
    /// The size of its input's files in whole MiB, once that was processed.
    pub input_mib: Option<u64>,
    /// Since when another job is in its place.
    pub superseded: Option<Timestamp>,
    /// False while it waits for an input that others give.
    pub has_input: bool,
}

impl Job {
    /// What made it.
    pub fn event(&self) -> EventId {
        self.given.as_ref().and_then(|given| given.event).unwrap_or(EventId::of_user(self.id))
    }

    /// When its status last changed, as Scale tells it: never, while it waits as it was made.
    pub fn changed(&self) -> Option<Timestamp> {
        let is_new = self.status == JobStatus::Pending && self.num_exes == 0;
        (!is_new || self.last_status_change != self.created).then_some(self.last_status_change)
    }
}

/// An execution that waits for a node: what the queue holds of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJobExecution {
    /// Its id, unique, and its place among equals.
    pub id: ExeId,
    /// Of which job.
    pub job: JobId,
    /// Of which kind.
    pub job_type: JobTypeId,
    /// Whose.
    pub tenant: TenantId,
    /// The job's how-manieth execution, from 1.
    pub exe_num: u32,
    /// The lower number is the more important.
    pub priority: i32,
    /// When it was queued; all jobs of one call share it.
    pub queued: Timestamp,
    /// What it asks for.
    pub resources: NodeResources,
}

impl QueuedJobExecution {
    /// The job execution that a launch on `node` makes of this entry (Scale's
    /// `QueuedJobExecution.scheduled` and `create_job_exe_model` in one).
    pub fn scheduled(
        self,
        agent: &str,
        node: NodeId,
        framework: &str,
        launch: u32,
        now: Timestamp,
    ) -> JobExe {
        JobExe {
            launch: LaunchName { exe: self.id, number: launch },
            job: self.job,
            job_type: self.job_type,
            exe_num: self.exe_num,
            cluster_id: cluster_id(framework, self.job, self.exe_num),
            node: Some(node),
            agent: agent.to_owned(),
            resources: self.resources,
            queued: self.queued,
            started: Some(now),
        }
    }

    /// The job execution of an entry that was canceled while it waited: no node, no resources.
    pub fn canceled(self, framework: &str) -> JobExe {
        JobExe {
            launch: LaunchName { exe: self.id, number: 0 },
            job: self.job,
            job_type: self.job_type,
            exe_num: self.exe_num,
            cluster_id: cluster_id(framework, self.job, self.exe_num),
            node: None,
            agent: String::new(),
            resources: NodeResources::new(),
            queued: self.queued,
            started: None,
        }
    }
}

/// An execution that left the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobExe {
    /// Its newest launch.
    pub launch: LaunchName,
    /// Of which job.
    pub job: JobId,
    /// Of which kind.
    pub job_type: JobTypeId,
    /// The job's how-manieth execution, from 1.
    pub exe_num: u32,
    /// Its name in a cluster.
    pub cluster_id: String,
    /// Where; none for one that was canceled in the queue.
    pub node: Option<NodeId>,
    /// The node's agent at that time.
    pub agent: String,
    /// What it got.
    pub resources: NodeResources,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it was launched.
    pub started: Option<Timestamp>,
}

/// What an execution used, as far as a driver can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Usage {
    /// Wall time, in microseconds.
    pub wall_us: u64,
    /// Processor time, user and system, in microseconds.
    pub cpu_us: u64,
    /// Peak resident memory, in KiB.
    pub mem_kib: u64,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// Its command ended by itself; zero is success.
    Exited {
        /// The exit code; any but zero where it is only known to have failed.
        code: i32,
    },
    /// A signal ended it.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// It ran out of time and was ended.
    TimedOut,
    /// It was ended by order. A job that was not canceled here fails by it, and is not tried again.
    Canceled,
    /// Its command could not be started (the user's fault: no such program, not executable).
    NotStarted {
        /// Why, for people.
        reason: String,
    },
    /// It was lost with what ran it (the system's fault; uses up no try). Its job is queued again at once:
    /// what runs under the old name after all is to be ended.
    Lost {
        /// Why, for people.
        reason: String,
    },
    /// It ended with an error of the catalog.
    Error {
        /// Which.
        id: ErrorId,
    },
}

impl Outcome {
    /// True for an exit with code zero.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }

    /// True where the system is at fault, so that no try is used up.
    pub const fn is_system_fault(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// A number for it, part of the format of the store. Zero stands for "has not ended".
    pub(crate) const fn number(&self) -> u8 {
        match self {
            Self::Exited { code: 0 } => 1,
            Self::Exited { .. } => 2,
            Self::Signaled { .. } => 3,
            Self::TimedOut => 4,
            Self::Canceled => 5,
            Self::NotStarted { .. } => 6,
            Self::Lost { .. } => 7,
            Self::Error { .. } => 8,
        }
    }

    /// A stable word for it, for filters and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exited { code: 0 } => "completed",
            Self::Exited { .. } => "exit-code",
            Self::Signaled { .. } => "signal",
            Self::TimedOut => "timeout",
            Self::Canceled => "canceled",
            Self::NotStarted { .. } => "not-started",
            Self::Lost { .. } => "lost",
            Self::Error { .. } => "error",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited { code: 0 } => f.write_str("completed"),
            Self::Exited { code } => write!(f, "exit code {code}"),
            Self::Signaled { signal } => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Canceled => f.write_str("canceled"),
            Self::NotStarted { reason } => write!(f, "could not start: {reason}"),
            Self::Lost { reason } => write!(f, "lost: {reason}"),
            Self::Error { id } => write!(f, "error {id} of the catalog"),
        }
    }
}

/// The end record of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ExeEnd {
    /// Which launch of which execution.
    pub launch: LaunchName,
    /// The job's how-manieth execution.
    pub exe_num: u32,
    /// How.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// When.
    pub ended: Timestamp,
}
