//! The kind of a job: what it asks for, how often it may run at once, what command runs it.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::ids::JobTypeId;
use super::resources::NodeResources;
use super::time::Timestamp;

/// The priority of a job type that states none. The lower number is the more important.
pub const PRIORITY_DEFAULT: i32 = 100;

/// Tries of a job whose type states none.
pub const MAX_TRIES_DEFAULT: u16 = 3;

/// In which direction of queued time entries of equal priority leave the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QueueMode {
    /// The oldest first.
    #[default]
    Fifo,
    /// The youngest first.
    Lifo,
}

/// What a caller states of a job type. The engine makes a [`JobType`] of it.
///
/// ```
/// use weighbridge::{JobTypeSpec, NodeResources};
/// let resize = JobTypeSpec::new("resize", "1.0")
///     .needs(NodeResources::new().cpus("0.5")?.mem_mib(256))
///     .command(["convert", "{file}", "{out_dir}/{file_name}.png"])
///     .max_scheduled(4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JobTypeSpec {
    /// Unique together with `version`.
    pub name: String,
    /// Any text; Scale uses semantic versions.
    pub version: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// What one execution asks of its node.
    pub resources: NodeResources,
    /// Program and arguments, with `{placeholders}` for the values of a job. Empty: the type is
    /// not run by a driver of ours.
    pub command: Vec<String>,
    /// Environment variables, with placeholders in their values.
    pub env: Vec<(String, String)>,
    /// Seconds an execution may take before it is ended; none: as long as it likes.
    pub timeout_s: Option<u32>,
    /// How often a job is tried before it stays FAILED; at least 1.
    pub max_tries: u16,
    /// Most executions of the type that run at once; none: no limit.
    pub max_scheduled: Option<u32>,
    /// Of its jobs, unless they state their own. The lower number is the more important.
    pub priority: i32,
    /// Replaces the queue's global mode inside the type.
    pub mode: Option<QueueMode>,
    /// An inactive type takes no new jobs.
    pub is_active: bool,
    /// Entries of a paused type wait, whatever fits.
    pub is_paused: bool,
}

impl JobTypeSpec {
    /// A type without a command that asks for nothing.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            title: String::new(),
            description: String::new(),
            resources: NodeResources::new(),
            command: Vec::new(),
            env: Vec::new(),
            timeout_s: None,
            max_tries: MAX_TRIES_DEFAULT,
            max_scheduled: None,
            priority: PRIORITY_DEFAULT,
            mode: None,
            is_active: true,
            is_paused: false,
        }
    }

    /// Sets what one execution asks of its node.
    #[must_use]
    pub fn needs(mut self, resources: NodeResources) -> Self {
        self.resources = resources;
        self
    }

    /// Sets program and arguments.
    #[must_use]
    pub fn command<S: Into<String>>(mut self, argv: impl IntoIterator<Item = S>) -> Self {
        self.command = argv.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the seconds an execution may take.
    #[must_use]
    pub fn timeout_s(mut self, seconds: u32) -> Self {
        self.timeout_s = Some(seconds);
        self
    }

    /// Sets how often a job is tried; 0 counts as 1.
    #[must_use]
    pub fn max_tries(mut self, tries: u16) -> Self {
        self.max_tries = tries.max(1);
        self
    }

    /// Sets how many executions may run at once; 0 means no limit, as in Scale.
    #[must_use]
    pub fn max_scheduled(mut self, limit: u32) -> Self {
        self.max_scheduled = (limit > 0).then_some(limit);
        self
    }

    /// Sets the priority of its jobs; the lower number is the more important.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the queue mode inside the type.
    #[must_use]
    pub fn mode(mut self, mode: QueueMode) -> Self {
        self.mode = Some(mode);
        self
    }
}

/// A job type on record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JobType {
    /// Its id.
    pub id: JobTypeId,
    /// From 1; raised by each edit of the spec.
    pub revision: u32,
    /// What it is.
    pub spec: JobTypeSpec,
    /// When the first revision was made.
    pub created: Timestamp,
    /// When it last changed.
    pub last_modified: Timestamp,
    /// Since when it is paused, where it is.
    pub paused: Option<Timestamp>,
}
