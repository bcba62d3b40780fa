//! Workloads: files that say what to run, and the form in which they travel to a daemon.
//!
//! A file goes three steps: `Workload` is what it says, checked as far as that needs no file
//! system; `Expanded` is what it means here and now, one job per file of each glob;
//! `SubmissionBody` is the same as JSON, for `POST /api/v1/submissions`. A server needs only the
//! last two and trusts neither: `SubmissionBody::validate` checks all that a file's reader checks.
//! What a file may hold stands in docs/workload.md.
//!
//! Called by the command line and by the handlers of the server; keeps no state.
//!
//! W1  Every bound of a workload is a constant of `bounds`, and holds for files and bodies alike.
//! W2  An `Expanded` that was read from a file passes `validate` (test `expand`).
//! W3  The same file, folder and file names expand to the same `Expanded`, whatever the order in
//!     which the file system lists them.

mod bounds;
mod check;
mod expanded;
mod fnv;
mod graph;
mod problem;
mod wire;

#[cfg(feature = "cli")]
mod entries;
#[cfg(feature = "cli")]
mod expand;
#[cfg(feature = "cli")]
mod fields;
#[cfg(feature = "cli")]
mod files;
#[cfg(feature = "cli")]
mod json;
#[cfg(feature = "cli")]
mod read;
#[cfg(feature = "cli")]
mod walk;

pub use bounds::{
    ARG_BYTES_MAX, ARGV_LEN_MAX, EDGES_MAX, ENV_LEN_MAX, FAULTS_MAX, JOB_TYPES_MAX, JOBS_MAX,
    LABEL_BYTES_MAX, NODE_NAME_BYTES_MAX, NODES_MAX, TEXT_BYTES_MAX, VALUE_BYTES_MAX, VALUE_NAME_BYTES_MAX,
    VALUES_MAX, WORKLOAD_BYTES_MAX,
};
pub use expanded::{Expanded, ExpandedRecipe};
pub use problem::Problem;
pub use wire::{InvalidSubmission, JobBody, JobTypeBody, NodeBody, RecipeBody, SubmissionBody};

#[cfg(feature = "cli")]
pub use fields::{Fault, Faults};
#[cfg(feature = "cli")]
pub use read::{Workload, WorkloadError};
