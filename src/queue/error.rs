//! Why an entry is not taken in.

use crate::model::{ExeId, ID_MAX, JobTypeId};

/// Why [`Queue::insert`](crate::Queue::insert) refused an entry; the queue is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InsertError {
    /// Execution ids are from 1 to `ID_MAX`.
    #[error("execution ids are from 1 to {ID_MAX}, not {id}")]
    IdOutOfRange {
        /// The id.
        id: ExeId,
    },
    /// The id of a job type is above `JOB_TYPES_MAX`.
    #[error("job type ids are at most {max}, not {job_type}")]
    JobTypeOutOfRange {
        /// The id.
        job_type: JobTypeId,
        /// The limit.
        max: usize,
    },
    /// It is here already: in its lane, deferred or picked.
    #[error("execution {id} is queued already")]
    AlreadyQueued {
        /// Which.
        id: ExeId,
    },
    /// As many executions wait as may.
    #[error("the queue is full: {max} executions wait")]
    Full {
        /// The limit.
        max: usize,
    },
    /// Its requirement class would need a lane more than there may be.
    #[error("there are {max} different requirement classes already")]
    TooManyLanes {
        /// The limit.
        max: usize,
    },
}
