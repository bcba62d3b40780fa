//! Counts of jobs by type and status.
//!
//! C1  Counters equal a recount of all jobs.

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::model::{JobStatus, JobTypeId};

/// How many jobs stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct StatusCounts {
    /// PENDING: wait for their inputs.
    pub pending: u64,
    /// BLOCKED: cannot get their inputs.
    pub blocked: u64,
    /// QUEUED: wait for a node.
    pub queued: u64,
    /// RUNNING: launched and not ended.
    pub running: u64,
    /// FAILED, for good.
    pub failed: u64,
    /// COMPLETED.
    pub completed: u64,
    /// CANCELED.
    pub canceled: u64,
}

impl StatusCounts {
    fn slot(&mut self, status: JobStatus) -> &mut u64 {
        match status {
            JobStatus::Pending => &mut self.pending,
            JobStatus::Blocked => &mut self.blocked,
            JobStatus::Queued => &mut self.queued,
            JobStatus::Running => &mut self.running,
            JobStatus::Failed => &mut self.failed,
            JobStatus::Completed => &mut self.completed,
            JobStatus::Canceled => &mut self.canceled,
        }
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.pending + self.blocked + self.queued + self.running + self.n_ended()
    }

    /// Those that stay where they are.
    pub fn n_ended(&self) -> u64 {
        self.failed + self.completed + self.canceled
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            pending: self.pending + other.pending,
            blocked: self.blocked + other.blocked,
            queued: self.queued + other.queued,
            running: self.running + other.running,
            failed: self.failed + other.failed,
            completed: self.completed + other.completed,
            canceled: self.canceled + other.canceled,
        }
    }
}

/// Counts of every type. Job type ids are dense from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters(Vec<StatusCounts>);

impl Counters {
    fn of_mut(&mut self, job_type: JobTypeId) -> &mut StatusCounts {
        let at = job_type.0 as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, StatusCounts::default());
        }
        &mut self.0[at]
    }

    /// Puts back what was stored.
    pub(crate) fn restore(&mut self, job_type: JobTypeId, counts: StatusCounts) {
        *self.of_mut(job_type) = counts;
    }

    /// A job was made.
    pub(crate) fn add(&mut self, job_type: JobTypeId, status: JobStatus) {
        *self.of_mut(job_type).slot(status) += 1;
    }

    /// A job went from one status to another.
    pub(crate) fn moved(&mut self, job_type: JobTypeId, from: JobStatus, to: JobStatus) {
        if from != to {
            *self.of_mut(job_type).slot(from) -= 1;
            *self.of_mut(job_type).slot(to) += 1;
        }
    }

    /// Counts of one type.
    pub(crate) fn of(&self, job_type: JobTypeId) -> StatusCounts {
        self.0.get(job_type.0 as usize).copied().unwrap_or_default()
    }

    /// Counts of every type that ever had a job, in order of the ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JobTypeId, StatusCounts)> + '_ {
        let ids = (0..).map(JobTypeId);
        ids.zip(self.0.iter().copied()).filter(|(_, counts)| counts.total() > 0)
    }
}
