//! What Scale's managers do, as commands of the core: each checked first, then told as events, whole or not
//! at all.
//!
//! Core: no I/O, clock, lock or logging; the methods of [`Engine`](super::Engine) beside them read what the
//! core has to be told.

mod batches;
mod bulk;
mod catalog;
mod declared_errors;
mod documents;
mod entries;
mod executions;
mod jobs;
mod load;
#[cfg(feature = "server")]
mod messages;
mod node_inputs;
mod outputs;
mod queue_manager;
mod recipe_types;
mod recipes;
mod reprocess;
mod restore;
mod take_over;

pub use batches::{BatchChange, BatchJobs, BatchProgress, NewBatch, NewBatchError};
pub(super) use batches::{Covered, make_all as make_batches};
pub(super) use bulk::run_all as run_bulk;
pub use bulk::{BulkError, BulkPreview};
pub use catalog::{CatalogError, JobTypeChange, NewJobType, NodeChange, SchedulerChange};
pub use entries::{QueueEntry, QueueStatus};
pub use jobs::Requeued;
pub use load::{JOB_LOAD_RULE, LoadError};
#[cfg(feature = "server")]
pub use messages::{Delivered, DeliveryError};
#[cfg(feature = "server")]
pub(crate) use messages::{Letter, Unread};
pub use outputs::OutputError;
pub use queue_manager::{NewJob, QueueError};
pub use recipe_types::{NewRecipeType, RecipeTypeChange};
pub use recipes::{NewRecipe, RecipeError};
pub use reprocess::Reprocess;
pub use restore::JobRestored;
pub use take_over::{JobTakenOver, TakeOverError};
