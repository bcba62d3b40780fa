//! The scheduler core that a Mesos-style framework loop calls for every resource offer: a queue
//! in memory whose every change is on disk before it takes effect, decisions in nanoseconds, and an
//! answer to why each job still waits.
//!
//! In the order of a job's life: [`Engine::open`] a store · [`Engine::put_job_type`] ·
//! [`Engine::submit`], which gives a [`Ticket`] · [`Engine::offer`] what a node has free, which gives
//! [`Picks`] · [`Picks::commit`] them, and start what comes out as [`Durable`] launches ·
//! [`Engine::status`] what became of them · [`Engine::why`] the rest waits. [`Engine::view`] shows
//! the whole. [`Queue`] is the heart alone, without log or threads.
//!
//! `examples/mesos_loop.rs` is such a loop on a real Mesos, a page long; `docs/library.md` says what it has to
//! know.
//!
//! With `default-features = false` that is all there is. The features `local` (executions as
//! processes of this machine), `mesos` (a framework of a Mesos cluster), `server` (REST) and `cli` (the binary) come on top.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "server")]
mod api;
mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod decision;
mod driver;
mod engine;
mod intake;
mod job;
mod launch;
pub mod limits;
mod load;
#[cfg(feature = "server")]
mod message;
mod model;
mod offer;
mod queue;
mod recipe;
#[cfg(feature = "cli")]
mod replay;
#[cfg(test)]
#[cfg(not(weighbridge_loom))]
mod sim;
mod state;
mod store;
mod sync;
#[cfg(any(test, fuzzing))]
mod testing;
#[cfg(feature = "server")]
mod time;
mod wal;
#[cfg(feature = "server")]
mod workload;

#[cfg(feature = "server")]
pub use api::{ApiState, ServeError, Server, ServerOptions, read_instant};
pub use catalog::SurroundingsError;
pub use clock::{Clock, SystemClock};
pub use decision::{
    Blocker, Constraint, Demand, DemandMet, INVALID_RESOURCES, KeptNode, LaneWhy, NodeRuns, NodeVerdict,
    NodeWhy, PassPick, PassSummary, Passed, Place, Placement, Placing, Policy, Reservation, Reserving,
    RunningShare, ScaleDone, ScaleEntry, ScaleNode, ScaleReport, ScaleRules, ScaleType, Scheduler,
    SchedulingNode, Score, Shortage, Starvation, TypePolicy, UNKNOWN_JOB_TYPE, WaitCounts, WaitNode,
    WaitReason, Why,
};
#[cfg(feature = "mesos")]
pub use driver::{
    AddressError, ExecutorError, FRAMEWORK_ID_FILE, MesosContainerizer, MesosError, MesosExecutor,
    MesosFramework, MesosOptions, MesosSandboxes, MesosStatus, MesosTasks, MesosTasksError,
};
#[cfg(feature = "local")]
pub use driver::{
    LocalDriver, LocalImages, LocalOptions, LocalOutputs, MachineError, RESULT_FILE, SupervisorCommand,
    SupervisorError, SupervisorOptions, machine_resources, run_supervisor, sandbox_path,
};
pub use engine::{
    BatchChange, BatchJobs, BatchProgress, BulkError, BulkPreview, CatalogError, CatalogView, Changed,
    ClockFiring, ClockRuleError, CloseError, DriverReport, Engine, Figure, FigureValue, JOB_LOAD_RULE,
    JobRecord, JobRestored, JobTakenOver, JobTypeChange, JobTypeError, JobTypeView, JobsError, JournalEntry,
    JournalNote, Lengths, LoadError, NewBatch, NewBatchError, NewJob, NewJobType, NewRecipe, NewRecipeType,
    NodeChange, NodeStatus, Options, Outgoing, OutputError, PendingLaunches, Pick, Picks, Printed,
    PrintedError, QueueEntry, QueueError, QueueStatus, RecipeColumn, RecipeError, RecipeNodeView, RecipePage,
    RecipeQuery, RecipeTypeChange, RecipeView, Reconciled, Reprocess, Requeued, RunningLaunch,
    SchedulerChange, SchedulerStatus, Service, ServiceError, StatusOutcome, SubmitError, TakeOverError,
    Ticket, TicketError, View, status_sink,
};
#[cfg(feature = "server")]
pub use engine::{Delivered, DeliveryError};
pub use intake::IntakeError;
pub use launch::{
    Driver, DriverError, Known, Launch, Left, LeftError, LeftFile, OUTPUTS_FILE, OutputSource, OutputStream,
    Piece, PieceError, PrintedSource, Ran, ReadFrom, StatusSink, StatusUpdate, TaskState, Template,
    TemplateError, fill, placeholders,
};
pub use load::{
    JobLoadGroup, LoadColumn, LoadFilter, LoadHistory, LoadOrder, LoadOrderError, LoadRetention, LoadRow,
    StatusCounts, group_by_time,
};
#[cfg(feature = "server")]
pub use message::MessageError;
pub use model::*;
pub use offer::{
    AllocateError, Arrival, ClusterNode, ClusterNodes, DeclineReason, Declined, GpuError, GpuLack, GpuSlots,
    HeldOffer, KnowError, LostAgent, NewOffer, NoNode, NodeFacts, NodeNews, NodeNumbers, NodeState, NodeTask,
    NodeView, Offer, OfferAdded, OfferPool, ResourceNumbers, RoleAmount, Roles, RunError, Slots, Uncovered,
};
pub use queue::{
    Amounts, Entry, InsertError, Lack, LaneVerdict, Position, PositionSearch, Queue, TypeStatus, Verdict,
};
pub use store::{
    CheckProgress, CheckReport, Checkpoints, FaultKind, FileInspection, Gap, Inspection, ListError,
    LogInspection, LogRows, LookError, OpenError, Opens, Recovery, RecoveryPhase, Retention,
    SegmentsInspection, StateInspection, StateTotals, StoreFault, StoreFaults, StoreFiles, check, inspect,
};
pub use wal::{BatchError, Durable, LogError};
#[cfg(feature = "server")]
pub use workload::*;

/// What the targets of `fuzz/` run; there with `--cfg fuzzing` alone.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use testing::fuzz;

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
