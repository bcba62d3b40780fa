//! The trait a driver implements, and the words exchanged with it.

use std::sync::Arc;
use std::time::Duration;

use bincode::{Decode, Encode};

use crate::model::{
    FetchUri, JobId, LaunchName, NodeId, NodeResources, Outcome, SlotShare, Timestamp, Usage,
};
use crate::wal::Durable;

/// One execution to start, complete: a driver needs nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Launch {
    /// Its name; statuses carry it back.
    pub name: LaunchName,
    /// Of which job.
    pub job: JobId,
    /// The job's how-manieth execution, from 1.
    pub exe_num: u32,
    /// The execution's name in a cluster, the same for all its launches: for people, not for telling
    /// tasks apart.
    pub cluster_id: String,
    /// Name of its job type.
    pub job_type: String,
    /// Version of its job type.
    pub job_type_version: String,
    /// Where.
    pub node: NodeId,
    /// What it may use there.
    pub resources: Arc<NodeResources>,
    /// Program and arguments, placeholders filled. The driver starts it in a directory of its own.
    pub command: Vec<String>,
    /// Environment, filled likewise.
    pub env: Vec<(String, String)>,
    /// The image of the container to run it in; none: in none.
    pub image: Option<Arc<str>>,
    /// What to fetch into its directory before it starts.
    pub uris: Arc<[FetchUri]>,
    /// The addresses of those files of its job's input that are known by one, as they may stand in its command and
    /// environment.
    pub files: Arc<[String]>,
    /// Seconds until it is to be ended, by whoever runs it, as [`Outcome::TimedOut`].
    pub timeout_s: Option<u32>,
    /// Which graphics processors of the node are its own, where they are slots. The environment tells the same
    /// to its program, as `CUDA_VISIBLE_DEVICES` (`0,3`) and `WEIGHBRIDGE_GPUS` (`0:1,3:0.25`).
    pub gpus: Vec<SlotShare>,
}

/// What became of a launch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum TaskState {
    /// It runs.
    Running,
    /// It ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// What it used; zeros where that is not known.
        usage: Usage,
    },
    /// It never started and never will under this name: the launch goes back to its place, and is made
    /// again under the next number. Where that is not sure, it is [`Outcome::Lost`].
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// News of one launch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StatusUpdate {
    /// Which.
    pub name: LaunchName,
    /// What.
    pub state: TaskState,
    /// When, by the driver's clock; the core clamps it.
    pub when: Timestamp,
}

/// What a driver knows of a launch that the store has as running.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Known {
    /// It runs.
    Running,
    /// It ended; the status will come, or is this one.
    Ended(StatusUpdate),
    /// It was never heard of, and cannot arrive any more.
    NeverStarted,
    /// It was started, and what ran it is gone with its result.
    Lost {
        /// Why, for people.
        reason: String,
    },
}

/// Takes news from a driver; called from threads of the driver. Blocks while the engine's ring is
/// full, so that no news is dropped.
pub type StatusSink = Arc<dyn Fn(StatusUpdate) + Send + Sync>;

/// Why a driver cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// What it speaks to does not answer any more.
    #[error("the executor is gone: {reason}")]
    Gone {
        /// What was seen.
        reason: String,
    },
    /// No answer in time.
    #[error("the executor did not answer within {waited:?}")]
    Timeout {
        /// How long was waited.
        waited: Duration,
    },
    /// The operating system refused.
    #[error("could not {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// Starts, ends and remembers executions.
///
/// All calls are quick hand-overs; news comes through the `StatusSink` the driver was made with.
pub trait Driver: Send + Sync {
    /// Starts executions whose launches are on disk.
    ///
    /// # Errors
    /// Where they could not be handed over. A status comes for each of them later (refused, ended,
    /// lost), or the next reconciliation settles it.
    fn launch(&self, launches: Vec<Durable<Launch>>) -> Result<(), DriverError>;

    /// Ends an execution: politely, then with force. A name that is not running is ignored.
    fn kill(&self, name: LaunchName) -> Result<(), DriverError>;

    /// Says that the end of `name` is on disk, so that the driver may forget it.
    fn acknowledge(&self, name: LaunchName) -> Result<(), DriverError>;

    /// What it knows of each of `names`, in that order. Called after a recovery, before anything
    /// is launched.
    ///
    /// # Errors
    /// Where it cannot tell; nothing may be launched then.
    fn reconcile(&self, names: &[(LaunchName, JobId, u32)]) -> Result<Vec<Known>, DriverError>;
}
