//! Plain values with nothing special about them.

use std::sync::Arc;

use crate::model::{Job, JobId, JobState, JobStatus, JobTypeId, NodeResources, TenantId, Timestamp};

/// How a pending job stands.
pub(crate) fn job_state() -> JobState {
    JobState {
        created: Timestamp(0),
        last_status_change: Timestamp(0),
        queued: None,
        exe: None,
        resources: Arc::new(NodeResources::new()),
        more: None,
        job_type: JobTypeId(1),
        revision: 1,
        tenant: TenantId(0),
        priority: 100,
        num_exes: 0,
        launches: 0,
        tries: 0,
        max_tries: 3,
        status: JobStatus::Pending,
    }
}

/// A pending job, as callers see it.
#[cfg(feature = "server")]
pub(crate) fn job() -> Job {
    Job {
        id: JobId(1),
        job_type: JobTypeId(1),
        revision: 1,
        tenant: TenantId(0),
        status: JobStatus::Pending,
        priority: 100,
        resources: Arc::new(NodeResources::new()),
        values: Arc::default(),
        recipe: None,
        num_exes: 0,
        tries: 0,
        max_tries: 3,
        exe: None,
        launches: 0,
        created: Timestamp(0),
        queued: None,
        started: None,
        ended: None,
        last_status_change: Timestamp(0),
        end: None,
        node: None,
        given: None,
        batch: None,
        input_mib: None,
        superseded: None,
        has_input: true,
    }
}
