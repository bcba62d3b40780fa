//! The nouns, as plain data: ids, amounts, instants, job types, jobs, executions, events.
//!
//! Depends on nothing else in the crate. Nothing here reads a clock, draws a random number, locks
//! or does I/O.

mod batch;
mod cluster_names;
mod doc;
mod event;
mod ids;
mod interface;
mod job;
mod job_list;
mod job_state;
mod job_type;
mod message;
mod quantity;
mod resources;
mod slots;
mod submission;
mod time;

pub use batch::{BATCH_PART_NODES, Batch, BatchCounts, NodeCounts};
pub use cluster_names::{AgentId, CLUSTER_NAME_LEN_MAX, ClusterNameError, OfferId};
pub use doc::{
    BulkKind, BulkOperation, BulkPart, BulkPhase, ClockRule, Dataset, DeadLetter, Doc, DocKey, ErrorRecord,
    ExecutionRecord, FileFact, FileRecord, JobInput, JobOutput, JobTypeDetails, JobTypeRevision, Json,
    NodeRecord, Overtaken, RECIPE_PART_NODES, Recipe, RecipeCounts, RecipeNodeRow, RecipePart, RecipeType,
    RecipeTypeRevision, SchedulerSettings, TriggerEvent, USER_DESCRIPTION, USER_EVENT, Workspace, kind,
};
pub(crate) use doc::{Kept, kept};
pub use event::{Event, JobRange, LoadCounts, RecalledJobs, RecipeNodes};
pub use ids::{
    BatchId, BulkId, ConstraintSetId, Epoch, ErrorId, EventId, EventNumber, ExeId, FileId, ID_MAX, JobId,
    JobTypeId, LaunchName, NodeId, ParseLaunchNameError, RecipeId, RecipeTypeId, StoreId, TenantId,
    cluster_id,
};
pub use interface::{Data, FileParameter, Interface, JsonParameter, JsonType};
pub use job::{ExeEnd, Job, JobExe, JobStatus, Outcome, QueuedJobExecution, Usage, Values};
pub use job_list::{
    ErrorCategory, JobColumn, JobCursor, JobCursorError, JobError, JobFilter, JobOrder, JobPage, JobQuery,
    JobTotal, ORDER_LEN_MAX,
};
pub(crate) use job_state::{Creation, Extra, JobState, More};
pub use job_type::{FetchUri, JobType, JobTypeSpec, MAX_TRIES_DEFAULT, PRIORITY_DEFAULT, QueueMode};
pub use message::{JobAt, JobExeEnd, Message, MessageFilter};
pub use quantity::{ParseQuantityError, QUANTITY_MAX, Quantity, THOUSANDTHS};
pub use resources::{
    NodeResources, RESOURCE_NAME_LEN_MAX, RESOURCES_MAX, ResourceName, ResourceNameError, ResourcesError,
};
pub use slots::{ExecutionSlots, SlotShare};
pub(crate) use submission::IS_GIVEN;
pub use submission::{
    Accepted, Durability, Given, JobRequest, RecipeNode, RecipeRequest, SUBMISSION_ID_LEN_MAX, Submission,
    SubmissionId, SubmissionIdError,
};
pub use time::Timestamp;
