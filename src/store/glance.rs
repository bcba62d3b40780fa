//! What lists look at of a job, and the bounds of it that the directory keeps of each segment.
//!
//! Z1  Each column of a true row lies within the zone of its kind.

use bincode::{Decode, Encode};

use super::codec::Reader;
use crate::model::{BatchId, JobId, JobState, JobTypeId, Outcome, RecipeId};

/// Columns with bounds: the first of [`crate::model::JobColumn`].
pub(super) const COLUMNS: usize = 8;

/// In place of an instant that a job does not have: it comes after all others.
pub(super) const NONE: i64 = i64::MAX;

/// A job as lists see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) id: JobId,
    pub(super) job_type: JobTypeId,
    pub(super) status: u8,
    pub(super) outcome: u8,
    pub(super) recipe: Option<RecipeId>,
    pub(super) batch: Option<BatchId>,
    /// Of the catalog; 0 for none.
    pub(super) error: u32,
    pub(super) is_superseded: bool,
    /// Id, created, changed, queued, started, ended, duration, priority.
    pub(super) columns: [i64; COLUMNS],
}

/// What of a job columns are made of.
struct Times {
    created: i64,
    changed: i64,
    queued: Option<i64>,
    started: Option<i64>,
    ended: Option<i64>,
}

impl Times {
    fn columns(&self, id: JobId, priority: i32) -> [i64; COLUMNS] {
        let or_none = |at: Option<i64>| at.unwrap_or(NONE);
        let duration = self.started.zip(self.ended).map(|(started, ended)| ended.saturating_sub(started));
        [
            i64::try_from(id.0).unwrap_or(NONE),
            self.created,
            self.changed,
            or_none(self.queued),
            or_none(self.started),
            or_none(self.ended),
            or_none(duration),
            i64::from(priority),
        ]
    }
}

impl Glance {
    pub(super) fn of(id: JobId, job: &JobState) -> Self {
        let more = job.more.as_deref();
        let times = Times {
            created: job.created.0,
            changed: job.last_status_change.0,
            queued: job.queued.map(|at| at.0),
            started: more.and_then(|more| more.started).map(|at| at.0),
            ended: more.and_then(|more| more.ended).map(|at| at.0),
        };
        Self {
            id,
            job_type: job.job_type,
            status: job.status as u8,
            outcome: job.end().map_or(0, |end| end.outcome.number()),
            recipe: more.and_then(|more| more.recipe),
            batch: job.extra().batch,
            error: match job.end().map(|end| &end.outcome) {
                Some(Outcome::Error { id }) => id.0,
                _ => 0,
            },
            is_superseded: job.is_superseded(),
            columns: times.columns(id, job.priority),
        }
    }

    /// The beginning of a row, without making anything of the rest.
    pub(super) fn read(row: &[u8]) -> Option<Self> {
        let seen = Reader(row).glance()?;
        let times = Times {
            created: seen.created,
            changed: seen.changed,
            queued: seen.queued,
            started: seen.started,
            ended: seen.ended,
        };
        Some(Self {
            id: seen.id,
            job_type: seen.job_type,
            status: seen.status,
            outcome: seen.outcome,
            recipe: seen.recipe,
            batch: seen.batch,
            error: seen.error,
            is_superseded: seen.is_superseded,
            columns: times.columns(seen.id, seen.priority),
        })
    }

    pub(super) const fn kind(&self) -> (JobTypeId, u8, u8) {
        (self.job_type, self.status, self.outcome)
    }
}

/// The least and the greatest of each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Zone(pub(super) [(i64, i64); COLUMNS]);

impl Zone {
    pub(super) fn of(columns: &[i64; COLUMNS]) -> Self {
        Self(columns.map(|value| (value, value)))
    }

    pub(super) fn widen(&mut self, columns: &[i64; COLUMNS]) {
        for (bounds, value) in self.0.iter_mut().zip(columns) {
            *bounds = (bounds.0.min(*value), bounds.1.max(*value));
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (bounds, (low, high)) in self.0.iter_mut().zip(other.0) {
            *bounds = (bounds.0.min(low), bounds.1.max(high));
        }
    }

    pub(super) fn holds(&self, columns: &[i64; COLUMNS]) -> bool {
        self.0.iter().zip(columns).all(|((low, high), value)| (low..=high).contains(&value))
    }
}
