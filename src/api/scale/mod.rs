//! Calls in Scale's shapes, the same under `/v6/` and `/v7/`.
//!
//! # Source
//! The REST interface of Scale 7.2.2. What differs on purpose stands in docs/compat.md.

pub(super) mod batches;
pub(super) mod bulk;
pub(super) mod errors;
pub(super) mod executions;
pub(super) mod job_counts;
pub(super) mod job_type_versions;
pub(super) mod job_types;
pub(super) mod jobs;
pub(super) mod load;
pub(super) mod nodes;
pub(super) mod queue;
pub(super) mod recipe_types;
pub(super) mod recipes;
pub(super) mod scheduler;
pub(super) mod workspaces;
