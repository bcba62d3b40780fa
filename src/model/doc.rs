//! What is kept beside the jobs: the catalog, recipes, batches, events, and what jobs were given and gave.
//!
//! A document is replaced whole under its key. Which kinds the core holds in memory says [`Kept`]; all are in
//! the store. The order of variants is part of the format of the log and of the state file; new ones go to
//! the end.
//!
//! Texts named `Json` hold JSON as it was checked when it came.

use std::sync::Arc;

use bincode::{Decode, Encode};

use super::batch::{Batch, BatchCounts};
use super::ids::{
    BatchId, BulkId, ErrorId, EventId, ExeId, FileId, JobId, JobTypeId, NodeId, RecipeId, RecipeTypeId,
    TenantId,
};
use super::job::{ExeEnd, JobStatus};
use super::job_list::{ErrorCategory, JobFilter};
use super::resources::NodeResources;
use super::slots::ExecutionSlots;
use super::time::Timestamp;

/// JSON, as text.
pub type Json = Arc<str>;

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct DocKey {
    /// The number of its kind.
    pub kind: u8,
    /// The id of what it is about.
    pub id: u64,
    /// Tells apart those about the same.
    pub sub: u64,
}

/// One document.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Doc {
    /// How the scheduler is set.
    Scheduler(SchedulerSettings),
    /// What a job type has beside its spec.
    JobType(JobTypeDetails),
    /// A revision of a job type.
    JobTypeRevision(JobTypeRevision),
    /// A recipe type.
    RecipeType(RecipeType),
    /// A revision of a recipe type.
    RecipeTypeRevision(RecipeTypeRevision),
    /// A node.
    Node(NodeRecord),
    /// A kind of error.
    Error(ErrorRecord),
    /// An event that made jobs, recipes or batches.
    Event(TriggerEvent),
    /// A file.
    File(FileRecord),
    /// Files that belong together.
    Dataset(Dataset),
    /// A workspace.
    Workspace(Workspace),
    /// A batch.
    Batch(Batch),
    /// A recipe of a recipe type.
    Recipe(Recipe),
    /// Some nodes of a recipe.
    RecipePart(RecipePart),
    /// A recipe that goes on.
    OpenRecipe(RecipeId),
    /// The input of a job that was not known when it was made.
    JobInput(JobInput),
    /// What an execution gave.
    JobOutput(JobOutput),
    /// An execution that is not the newest of its job.
    Execution(ExecutionRecord),
    /// An execution that runs although its job was queued again.
    Overtaken(Overtaken),
    /// A bulk operation.
    Bulk(BulkOperation),
    /// What a bulk operation changed, in part.
    BulkPart(BulkPart),
    /// A message that could not be carried out.
    DeadLetter(DeadLetter),
    /// When a clock rule fired last.
    ClockRule(ClockRule),
    /// How far the jobs of a batch are, in part.
    BatchCounts(BatchCounts),
    /// What an execution that runs has of graphics processors.
    Slots(ExecutionSlots),
}

/// Kinds by number, in the order of [`Doc`].
pub mod kind {
    /// See [`super::Doc`].
    pub const SCHEDULER: u8 = 0;
    /// By type.
    pub const JOB_TYPE: u8 = 1;
    /// By type and revision.
    pub const JOB_TYPE_REVISION: u8 = 2;
    /// By id.
    pub const RECIPE_TYPE: u8 = 3;
    /// By type and revision.
    pub const RECIPE_TYPE_REVISION: u8 = 4;
    /// By id.
    pub const NODE: u8 = 5;
    /// By id.
    pub const ERROR: u8 = 6;
    /// By id.
    pub const EVENT: u8 = 7;
    /// By id.
    pub const FILE: u8 = 8;
    /// By id.
    pub const DATASET: u8 = 9;
    /// By id.
    pub const WORKSPACE: u8 = 10;
    /// By id.
    pub const BATCH: u8 = 11;
    /// By id.
    pub const RECIPE: u8 = 12;
    /// By recipe and part.
    pub const RECIPE_PART: u8 = 13;
    /// By id.
    pub const OPEN_RECIPE: u8 = 14;
    /// By job.
    pub const JOB_INPUT: u8 = 15;
    /// By job and number of its execution.
    pub const JOB_OUTPUT: u8 = 16;
    /// By job and number.
    pub const EXECUTION: u8 = 17;
    /// By id of the execution.
    pub const OVERTAKEN: u8 = 18;
    /// By id.
    pub const BULK: u8 = 19;
    /// By operation and part.
    pub const BULK_PART: u8 = 20;
    /// By number.
    pub const DEAD_LETTER: u8 = 21;
    /// By number.
    pub const CLOCK_RULE: u8 = 22;
    /// By batch and part.
    pub const BATCH_COUNTS: u8 = 23;
    /// By id of the execution.
    pub const SLOTS: u8 = 24;
    /// How many there are.
    pub const N: usize = 25;
}

/// Where the core has documents of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In memory, all of them.
    Always,
    /// In memory while their recipe goes on.
    WithRecipe,
    /// In the store alone.
    Never,
}

/// Where the core has documents of that kind.
pub(crate) const fn kept(kind: u8) -> Kept {
    match kind {
        kind::RECIPE | kind::RECIPE_PART => Kept::WithRecipe,
        kind::EVENT
        | kind::FILE
        | kind::JOB_INPUT
        | kind::JOB_OUTPUT
        | kind::EXECUTION
        | kind::BULK_PART
        | kind::DEAD_LETTER => Kept::Never,
        _ => Kept::Always,
    }
}

impl Doc {
    /// Where it stands.
    pub fn key(&self) -> DocKey {
        let key = |kind, id, sub| DocKey { kind, id, sub };
        match self {
            Self::Scheduler(_) => key(kind::SCHEDULER, 0, 0),
            Self::JobType(doc) => key(kind::JOB_TYPE, u64::from(doc.job_type.0), 0),
            Self::JobTypeRevision(doc) => {
                key(kind::JOB_TYPE_REVISION, u64::from(doc.job_type.0), u64::from(doc.revision))
            }
            Self::RecipeType(doc) => key(kind::RECIPE_TYPE, u64::from(doc.id.0), 0),
            Self::RecipeTypeRevision(doc) => {
                key(kind::RECIPE_TYPE_REVISION, u64::from(doc.recipe_type.0), u64::from(doc.revision))
            }
            Self::Node(doc) => key(kind::NODE, u64::from(doc.id.0), 0),
            Self::Error(doc) => key(kind::ERROR, u64::from(doc.id.0), 0),
            Self::Event(doc) => key(kind::EVENT, doc.id.0 / 2, 0),
            Self::File(doc) => key(kind::FILE, doc.id.0, 0),
            Self::Dataset(doc) => key(kind::DATASET, doc.id, 0),
            Self::Workspace(doc) => key(kind::WORKSPACE, u64::from(doc.id), 0),
            Self::Batch(doc) => key(kind::BATCH, doc.id.0, 0),
            Self::Recipe(doc) => key(kind::RECIPE, doc.id.0, 0),
            Self::RecipePart(doc) => key(kind::RECIPE_PART, doc.recipe.0, u64::from(doc.part)),
            Self::OpenRecipe(recipe) => key(kind::OPEN_RECIPE, recipe.0, 0),
            Self::JobInput(doc) => key(kind::JOB_INPUT, doc.job.0, 0),
            Self::JobOutput(doc) => key(kind::JOB_OUTPUT, doc.job.0, u64::from(doc.exe_num)),
            Self::Execution(doc) => key(kind::EXECUTION, doc.job.0, u64::from(doc.exe_num)),
            Self::Overtaken(doc) => key(kind::OVERTAKEN, doc.exe.0, 0),
            Self::Bulk(doc) => key(kind::BULK, doc.id.0, 0),
            Self::BulkPart(doc) => key(kind::BULK_PART, doc.bulk.0, u64::from(doc.part)),
            Self::DeadLetter(doc) => key(kind::DEAD_LETTER, doc.number, 0),
            Self::ClockRule(doc) => key(kind::CLOCK_RULE, doc.number, 0),
            Self::BatchCounts(doc) => key(kind::BATCH_COUNTS, doc.batch.0, u64::from(doc.part)),
            Self::Slots(doc) => key(kind::SLOTS, doc.exe.0, 0),
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let texts = match self {
            Self::JobType(doc) => doc.manifest.len() + doc.configuration.len(),
            Self::JobTypeRevision(doc) => doc.manifest.len(),
            Self::RecipeTypeRevision(doc) => doc.definition.len(),
            Self::Recipe(doc) => doc.input.len() + doc.configuration.len() + 40 * doc.files.len(),
            Self::RecipePart(doc) => 24 * doc.nodes.len(),
            Self::JobInput(doc) => doc.input.len(),
            Self::JobOutput(doc) => doc.output.len() + 40 * doc.files.len(),
            Self::Dataset(doc) => doc.definition.len() + 16 * doc.members.len(),
            Self::Batch(doc) => doc.definition.len() + doc.configuration.len(),
            Self::Bulk(doc) => 8 * doc.filter.jobs.as_ref().map_or(0, Vec::len),
            Self::BulkPart(doc) => 32 * doc.jobs.len(),
            Self::DeadLetter(doc) => doc.message.len() + doc.reason.len(),
            Self::BatchCounts(doc) => 56 * doc.nodes.len(),
            Self::Slots(doc) => 4 * doc.shares.len(),
            _ => 0,
        };
        256 + texts
    }
}

/// How the scheduler is set; the mode of the queue stands with the queue.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct SchedulerSettings {
    /// Nothing is launched.
    pub is_paused: bool,
    /// Kept for callers that set it; messages are carried out as they come.
    pub num_message_handlers: u32,
    /// The level of the log.
    pub system_logging_level: String,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self { is_paused: false, num_message_handlers: 1, system_logging_level: "INFO".to_owned() }
    }
}

/// What a job type has that was made from a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct JobTypeDetails {
    /// Which type.
    pub job_type: JobTypeId,
    /// From 1; raised when the manifest changes.
    pub revision: u32,
    /// The manifest of that revision.
    pub manifest: Json,
    /// The image of that revision.
    pub docker_image: String,
    /// Priority, mounts, workspaces, settings.
    pub configuration: Json,
    /// For people.
    pub is_published: bool,
    /// For people.
    pub icon_code: Option<String>,
    /// Its jobs run for ever: a failed one is always tried again.
    pub is_long_running: bool,
    /// Made by the system itself.
    pub is_system: bool,
    /// Since when it is inactive.
    pub deprecated: Option<Timestamp>,
}

/// One revision of a job type. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct JobTypeRevision {
    /// Of which type.
    pub job_type: JobTypeId,
    /// From 1.
    pub revision: u32,
    /// Its manifest.
    pub manifest: Json,
    /// Its image.
    pub docker_image: String,
    /// When it was made.
    pub created: Timestamp,
}

/// A kind of recipe.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct RecipeType {
    /// Its id.
    pub id: RecipeTypeId,
    /// Unique.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// The newest revision.
    pub revision: u32,
    /// An inactive type takes no new recipes.
    pub is_active: bool,
    /// When the first revision was made.
    pub created: Timestamp,
    /// Since when it is inactive.
    pub deprecated: Option<Timestamp>,
    /// When it last changed.
    pub last_modified: Timestamp,
}

/// One revision of a recipe type. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct RecipeTypeRevision {
    /// Of which type.
    pub recipe_type: RecipeTypeId,
    /// From 1.
    pub revision: u32,
    /// Its definition.
    pub definition: Json,
    /// When it was made.
    pub created: Timestamp,
}

/// A machine, as it is on record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct NodeRecord {
    /// Its id.
    pub id: NodeId,
    /// Unique.
    pub hostname: String,
    /// Why it is paused, for people.
    pub pause_reason: Option<String>,
    /// Nothing new is launched there.
    pub is_paused: bool,
    /// Nothing is launched on an inactive one.
    pub is_active: bool,
    /// Since when it is inactive.
    pub deprecated: Option<Timestamp>,
    /// When it was first seen.
    pub created: Timestamp,
    /// When its record last changed.
    pub last_modified: Timestamp,
}

/// A kind of error that executions end with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct ErrorRecord {
    /// Its id.
    pub id: ErrorId,
    /// Unique with the job type's.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// The name of the job type it is for; none: for all.
    pub job_type_name: Option<String>,
    /// `SYSTEM`, `ALGORITHM` or `DATA`.
    pub category: String,
    /// Came with the system.
    pub is_builtin: bool,
    /// Whether an execution that ended with it is tried again.
    pub should_be_retried: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub last_modified: Timestamp,
}

impl ErrorRecord {
    /// One of a name and a category, for all job types; its id and times are given when it is put on record.
    pub fn new(name: impl Into<String>, category: ErrorCategory) -> Self {
        let name = name.into();
        Self {
            id: ErrorId(0),
            title: name.clone(),
            name,
            description: String::new(),
            job_type_name: None,
            category: category.as_str().to_owned(),
            is_builtin: false,
            should_be_retried: false,
            created: Timestamp(0),
            last_modified: Timestamp(0),
        }
    }
}

/// Something that happened and made jobs, recipes or batches.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct TriggerEvent {
    /// Its id.
    pub id: EventId,
    /// `USER`, `CLOCK` or another word.
    pub kind: String,
    /// What is known of it.
    pub description: Json,
    /// When.
    pub occurred: Timestamp,
}

/// A rule by which something happens again and again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct ClockRule {
    /// Which.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// The event of its last firing.
    pub event: TriggerEvent,
}

/// What has to be known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct FileRecord {
    /// Its id.
    pub id: FileId,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub bytes: u64,
    /// When its record was made.
    pub created: Timestamp,
}

/// The kind of an event that somebody made who asked.
pub const USER_EVENT: &str = "USER";

/// What is known of such an event: nobody has to say who they are.
pub const USER_DESCRIPTION: &str = r#"{"user":"Anonymous"}"#;

impl TriggerEvent {
    /// The event of somebody who asked.
    pub fn of_user(id: EventId, occurred: Timestamp) -> Self {
        Self { id, kind: USER_EVENT.to_owned(), description: USER_DESCRIPTION.into(), occurred }
    }
}

impl FileRecord {
    /// One of a name, a media type and a size; its id and time are given when it is put on record.
    pub fn new(name: impl Into<String>, media_type: impl Into<String>, bytes: u64) -> Self {
        let (name, media_type) = (name.into(), media_type.into());
        Self { id: FileId(0), name, media_type, bytes, created: Timestamp(0) }
    }
}

/// Files that belong together under one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct Dataset {
    /// Its id.
    pub id: u64,
    /// For people.
    pub title: String,
    /// Its parameters.
    pub definition: Json,
    /// The parameter that the members are for.
    pub parameter: String,
    /// One file each.
    pub members: Vec<FileId>,
    /// When it was made.
    pub created: Timestamp,
}

impl Dataset {
    /// A set of files that are for one parameter; its id and time are given when it is put on record.
    pub fn new(title: impl Into<String>, parameter: impl Into<String>, members: Vec<FileId>) -> Self {
        Self {
            id: 0,
            title: title.into(),
            definition: "{}".into(),
            parameter: parameter.into(),
            members,
            created: Timestamp(0),
        }
    }

    /// With its parameters, `{"parameters": {"files": [...], "json": [...]}}`.
    #[must_use]
    pub fn defined(mut self, definition: Json) -> Self {
        self.definition = definition;
        self
    }
}

/// A place of files.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct Workspace {
    /// Its id.
    pub id: u32,
    /// Unique.
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// Where it is reached.
    pub base_url: Option<String>,
    /// An inactive one takes no new files.
    pub is_active: bool,
    /// How it is reached.
    pub configuration: Json,
    /// When it was made.
    pub created: Timestamp,
    /// Since when it is inactive.
    pub deprecated: Option<Timestamp>,
    /// When it last changed.
    pub last_modified: Timestamp,
}

/// What a command has to know of a file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FileFact {
    /// Which file.
    pub id: FileId,
    /// Its size.
    pub bytes: u64,
    /// Its media type.
    pub media_type: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// A graph of jobs of a recipe type.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct Recipe {
    /// Its id.
    pub id: RecipeId,
    /// Of which type.
    pub recipe_type: RecipeTypeId,
    /// And of which revision.
    pub revision: u32,
    /// What made it.
    pub event: EventId,
    /// What brought its data in.
    pub ingest_event: Option<EventId>,
    /// In which batch.
    pub batch: Option<BatchId>,
    /// The recipe it is a node of.
    pub parent: Option<RecipeId>,
    /// The outermost one.
    pub root: RecipeId,
    /// Which one it replaces.
    pub superseded_recipe: Option<RecipeId>,
    /// The first of the chain.
    pub root_superseded: Option<RecipeId>,
    /// Which one replaces it.
    pub superseded_by: Option<RecipeId>,
    /// Since when.
    pub superseded: Option<Timestamp>,
    /// Its input; empty where there is none yet.
    pub input: Json,
    /// What is known of the files of the input.
    pub files: Vec<FileFact>,
    /// Their size in whole MiB, once the input was processed.
    pub input_mib: Option<u64>,
    /// Replaces what the job types say; empty: nothing.
    pub configuration: Json,
    /// When it was made.
    pub created: Timestamp,
    /// When all was done.
    pub completed: Option<Timestamp>,
    /// When its record last changed.
    pub last_modified: Timestamp,
    /// How its jobs stood when it was completed or superseded; nothing while it goes on.
    pub counts: RecipeCounts,
}

/// How many jobs and sub-recipes a recipe has, with those within its sub-recipes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct RecipeCounts {
    /// Jobs by status, in the order of [`JobStatus::ALL`].
    pub jobs: [u32; 7],
    /// Sub-recipes.
    pub sub_recipes: u32,
    /// Those of which all is done.
    pub sub_recipes_completed: u32,
}

impl RecipeCounts {
    /// One job.
    pub fn job(status: JobStatus) -> Self {
        let mut counts = Self::default();
        counts.jobs[status as usize] = 1;
        counts
    }

    /// Jobs in that status.
    pub fn of(&self, status: JobStatus) -> u32 {
        self.jobs[status as usize]
    }

    /// All jobs.
    pub fn jobs_total(&self) -> u32 {
        self.jobs.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Both.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (n, more) in self.jobs.iter_mut().zip(other.jobs) {
            *n = n.saturating_add(more);
        }
        self.sub_recipes = self.sub_recipes.saturating_add(other.sub_recipes);
        self.sub_recipes_completed = self.sub_recipes_completed.saturating_add(other.sub_recipes_completed);
        self
    }

    /// What is left without `other`.
    #[must_use]
    pub fn minus(mut self, other: Self) -> Self {
        for (n, less) in self.jobs.iter_mut().zip(other.jobs) {
            *n = n.saturating_sub(less);
        }
        self.sub_recipes = self.sub_recipes.saturating_sub(other.sub_recipes);
        self.sub_recipes_completed = self.sub_recipes_completed.saturating_sub(other.sub_recipes_completed);
        self
    }
}

/// Nodes of a recipe, in the order of its definition.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct RecipePart {
    /// Of which recipe.
    pub recipe: RecipeId,
    /// The first node is number `part` times [`RECIPE_PART_NODES`].
    pub part: u32,
    /// What stands for each.
    pub nodes: Vec<RecipeNodeRow>,
}

/// Nodes in one [`RecipePart`].
pub const RECIPE_PART_NODES: usize = 256;

/// What stands for a node of a recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum RecipeNodeRow {
    /// Nothing yet.
    #[default]
    Missing,
    /// A job; not an original one where it was taken over from the recipe that was replaced.
    Job {
        /// Which.
        job: JobId,
        /// Made for this recipe.
        is_original: bool,
        /// How it stands, where it is over.
        over: Option<JobStatus>,
    },
    /// Another recipe.
    Recipe {
        /// Which.
        recipe: RecipeId,
        /// Made for this recipe.
        is_original: bool,
        /// All is done in it.
        is_completed: bool,
        /// Its jobs, where all is done.
        n_jobs: u32,
        /// And the sub-recipes within it.
        n_recipes: u32,
    },
    /// A condition.
    Condition {
        /// Its data was looked at.
        is_processed: bool,
        /// What was found.
        is_accepted: bool,
    },
}

/// An input that was made from the outputs of others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct JobInput {
    /// Of which job.
    pub job: JobId,
    /// The input.
    pub input: Json,
}

/// What an execution gave.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct JobOutput {
    /// Of which job.
    pub job: JobId,
    /// The number of the execution.
    pub exe_num: u32,
    /// What it gave.
    pub output: Json,
    /// What is known of its files.
    pub files: Vec<FileFact>,
}

/// An execution of before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct ExecutionRecord {
    /// Of which job.
    pub job: JobId,
    /// The job's how-manieth.
    pub exe_num: u32,
    /// Its id.
    pub exe: ExeId,
    /// When it was queued.
    pub queued: Timestamp,
    /// When it was launched.
    pub started: Option<Timestamp>,
    /// Where.
    pub node: Option<NodeId>,
    /// What it got.
    pub resources: NodeResources,
    /// How it ended.
    pub end: Option<ExeEnd>,
}

/// An execution that runs although its job was queued again. It holds its resources until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct Overtaken {
    /// Its id.
    pub exe: ExeId,
    /// Of which job.
    pub job: JobId,
    /// The job's how-manieth.
    pub exe_num: u32,
    /// The number of its launch.
    pub launch: u32,
    /// Where.
    pub node: NodeId,
    /// When it was launched.
    pub started: Timestamp,
    /// Of which type its job is.
    pub job_type: JobTypeId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its priority.
    pub priority: i32,
    /// When it was queued.
    pub queued: Timestamp,
    /// What it got.
    pub resources: NodeResources,
}

/// What a bulk operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum BulkKind {
    /// Queues jobs again.
    Requeue,
    /// Cancels them.
    Cancel,
    /// Takes another one back.
    Undo(BulkId),
}

/// How far a bulk operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum BulkPhase {
    /// Goes on.
    Running,
    /// Over.
    Done,
    /// Ended by order before it was over.
    Stopped,
}

/// One operation over all jobs of a filter, some at a time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct BulkOperation {
    /// Its id.
    pub id: BulkId,
    /// What it does.
    pub kind: BulkKind,
    /// To which jobs.
    pub filter: JobFilter,
    /// In the queue, for a requeue.
    pub priority: Option<i32>,
    /// Jobs below this id are still to be looked at; for an undo, parts from this number on. The greatest
    /// number there is once parts were dropped.
    pub cursor: u64,
    /// How far it is.
    pub phase: BulkPhase,
    /// Jobs that were looked at.
    pub n_seen: u64,
    /// Jobs that were changed.
    pub n_changed: u64,
    /// Parts that were written, and were not dropped.
    pub n_parts: u32,
    /// When it was ordered.
    pub created: Timestamp,
    /// When it last went on.
    pub last_modified: Timestamp,
}

/// What one step of a bulk operation changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct BulkPart {
    /// Of which operation.
    pub bulk: BulkId,
    /// The how-manieth step, from 0.
    pub part: u32,
    /// The jobs, what they were, and the number of their executions afterwards.
    pub jobs: Vec<(JobId, JobStatus, u32)>,
}

/// A message that could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct DeadLetter {
    /// From 1.
    pub number: u64,
    /// The message as it came.
    pub message: String,
    /// A stable word for what is wrong with it.
    pub code: String,
    /// The same for people.
    pub reason: String,
    /// When it came.
    pub when: Timestamp,
}
