//! Scale's shapes: every member a client of Scale may look at, null or empty where we have
//! nothing that could stand there.

mod cluster;
mod executions;
mod job_types;
mod jobs;
mod recipe_types;
mod recipes;
mod refs;

use serde::Serialize;

use super::{Amounts, Time};
use crate::engine::{CatalogView, JobTypeView};
use crate::model::PRIORITY_DEFAULT;

pub(in crate::api) use cluster::*;
pub(in crate::api) use executions::{Execution, ExecutionLine, execution, execution_line, status_of};
pub(in crate::api) use job_types::*;
pub(in crate::api) use jobs::{
    JobDetails, JobLine, Kind, RevisionBase, SharedDocument, job_details, job_line, new_job,
};
pub(in crate::api) use recipe_types::*;
pub(in crate::api) use recipes::{BatchLine, RecipeLine, RecipeRefs, batch_details, recipe_details};
pub(in crate::api) use refs::*;

/// Resources that are always shown.
const STANDARD: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

/// What is queued of one job type.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct QueueStatus {
    job_type: JobTypeBase,
    count: u64,
    longest_queued: Option<Time>,
    highest_priority: i32,
}

impl QueueStatus {
    pub(in crate::api) fn new(view: &JobTypeView, catalog: &CatalogView) -> Self {
        Self {
            job_type: JobTypeBase::new(&view.job_type, catalog),
            count: view.counts.queued,
            longest_queued: view.longest_queued.map(Time),
            highest_priority: view.highest_priority.unwrap_or(PRIORITY_DEFAULT),
        }
    }
}

/// Load at one instant, of all types asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(in crate::api) struct LoadGroup {
    pub(in crate::api) time: Time,
    pub(in crate::api) pending_count: u64,
    pub(in crate::api) queued_count: u64,
    pub(in crate::api) running_count: u64,
}
