//! The part of a job that changes, in the compact form in which it is held in memory and stored.
//!
//! What a job was given (values, the name of its recipe node) is a [`Creation`], which never changes.

use std::sync::Arc;

use bincode::{Decode, Encode};

use super::ids::{ExeId, JobId, JobTypeId, NodeId, RecipeId, TenantId};
use super::job::{ExeEnd, Job, JobStatus};
use super::resources::NodeResources;
use super::submission::JobRequest;
use super::time::Timestamp;
use super::{RecipeNodes, Values};

/// Where one job stands. What few jobs have while they wait stands in `more`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct JobState {
    pub(crate) created: Timestamp,
    /// When `status` last changed.
    pub(crate) last_status_change: Timestamp,
    /// When it was last queued.
    pub(crate) queued: Option<Timestamp>,
    /// Its newest execution, once it was queued.
    pub(crate) exe: Option<ExeId>,
    /// What an execution of it asks of its node. Shared by all jobs of a request.
    pub(crate) resources: Arc<NodeResources>,
    pub(crate) more: Option<Box<More>>,
    pub(crate) job_type: JobTypeId,
    /// The revision of its kind when it was made.
    pub(crate) revision: u32,
    pub(crate) tenant: TenantId,
    /// The lower number is the more important.
    pub(crate) priority: i32,
    /// How often it was queued; the number of its newest execution.
    pub(crate) num_exes: u32,
    /// How often that one was launched; the number of its newest launch.
    pub(crate) launches: u32,
    pub(crate) tries: u16,
    pub(crate) max_tries: u16,
    pub(crate) status: JobStatus,
}

/// What most waiting jobs do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct More {
    pub(crate) recipe: Option<RecipeId>,
    /// When its newest execution was launched.
    pub(crate) started: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    /// Where its newest execution ran or runs.
    pub(crate) node: Option<NodeId>,
    /// How its newest ended execution ended.
    pub(crate) end: Option<ExeEnd>,
    /// Its priority in the queue, where that is not the job's.
    pub(crate) queue_priority: Option<i32>,
    /// True while a launch of it is on record, of a canceled job too.
    pub(crate) runs: bool,
}

impl JobState {
    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Drops what is empty.
    pub(crate) fn tidy(&mut self) {
        self.more = self.more.take().filter(|more| **more != More::default());
    }

    /// True for what may still happen by itself: it waits, or a launch of it is on record.
    pub(crate) fn is_open(&self) -> bool {
        !self.status.is_final() || self.more.as_ref().is_some_and(|more| more.runs)
    }

    pub(crate) fn end(&self) -> Option<&ExeEnd> {
        self.more.as_ref()?.end.as_ref()
    }
}

/// Jobs that were made together: ids from `first` on, as many as the request says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Creation {
    pub(crate) first: JobId,
    pub(crate) request: JobRequest,
    pub(crate) recipe: Option<RecipeNodes>,
}

impl Creation {
    /// True where `job` is one of them.
    pub(crate) fn holds(&self, job: JobId) -> bool {
        (self.first.0..self.first.0 + u64::from(self.request.count)).contains(&job.0)
    }

    /// The job as callers see it.
    pub(crate) fn job(&self, id: JobId, state: &JobState) -> Job {
        let more = state.more.as_deref().cloned().unwrap_or_default();
        let name = || self.recipe.as_ref().map(|nodes| nodes.name.clone()).unwrap_or_default();
        let values: Values = self.request.values.clone();
        Job {
            id,
            job_type: state.job_type,
            revision: state.revision,
            tenant: state.tenant,
            status: state.status,
            priority: state.priority,
            resources: state.resources.clone(),
            values,
            recipe: more.recipe.map(|recipe| (recipe, name())),
            num_exes: state.num_exes,
            tries: state.tries,
            max_tries: state.max_tries,
            exe: state.exe,
            launches: state.launches,
            created: state.created,
            queued: state.queued,
            started: more.started,
            ended: more.ended,
            last_status_change: state.last_status_change,
            end: more.end,
            node: more.node,
        }
    }
}
