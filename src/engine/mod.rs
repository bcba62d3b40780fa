//! The one place where commands become events, events become state, and decisions are made
//! durable before they take effect.

mod catalog_view;
mod clock_work;
mod cluster;
mod collect;
mod command;
mod core;
#[cfg(test)]
mod crash_tests;
mod deciding;
mod domain;
#[cfg(test)]
mod fault_tests;
mod gpus;
mod handle;
mod journal;
mod lengths;
mod look;
mod options;
mod outbox;
mod passes;
mod picks;
mod plan;
mod printed;
mod recipe_look;
mod reports;
mod service;
mod shell;
mod tally;
mod ticket;
mod turn;
mod view;
mod why;

pub use catalog_view::CatalogView;
pub use clock_work::{ClockFiring, ClockRuleError};
pub use domain::{
    BatchChange, BatchJobs, BatchProgress, BulkError, BulkPreview, CatalogError, JOB_LOAD_RULE, JobRestored,
    JobTakenOver, JobTypeChange, LoadError, NewBatch, NewBatchError, NewJob, NewJobType, NewRecipe,
    NewRecipeType, NodeChange, OutputError, QueueEntry, QueueError, QueueStatus, RecipeError,
    RecipeTypeChange, Reprocess, Requeued, SchedulerChange, TakeOverError,
};
#[cfg(feature = "server")]
pub use domain::{Delivered, DeliveryError};
#[cfg(feature = "server")]
pub(crate) use domain::{Letter, Unread};
pub use handle::{Changed, JobTypeError, JobsError, StatusOutcome, SubmitError};
pub use journal::{JournalEntry, JournalNote};
pub use lengths::Lengths;
pub use look::{JobRecord, RunningLaunch};
pub use options::Options;
pub use outbox::Outgoing;
pub use picks::{PendingLaunches, Pick, Picks};
pub use printed::{Printed, PrintedError};
pub use recipe_look::{RecipeColumn, RecipeNodeView, RecipePage, RecipeQuery, RecipeView};
pub use reports::{DriverReport, Figure, FigureValue, SchedulerStatus};
#[cfg(test)]
#[cfg(not(weighbridge_loom))]
pub(crate) use service::reconcile;
pub use service::{Reconciled, Service, ServiceError, status_sink};
pub use shell::{CloseError, Engine};
pub use ticket::{Ticket, TicketError};
pub use view::{JobTypeView, NodeStatus, View};
