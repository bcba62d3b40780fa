//! What a run of events changed, in the form in which the store takes it over: beside the events, so
//! that nobody has to fold them twice.
//!
//! D1  Put one after the other, the deltas of all events make the stored side of the state.

use std::sync::Arc;

use bincode::{Decode, Encode};

use crate::load::{LoadChange, StatusCounts};
use crate::model::{
    Accepted, Creation, Doc, DocKey, Epoch, EventNumber, ExeId, JobId, JobState, JobStatus, JobType,
    JobTypeId, QueueMode, Timestamp,
};

/// Everything in the state that is one of a kind. Part of the format of the state file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Totals {
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
    pub(crate) last_event: EventNumber,
    /// The state hash: over all jobs that ever were.
    pub(crate) hash: u64,
    /// The part of it of jobs that are not over.
    pub(crate) open_hash: u64,
    pub(crate) n_jobs: u64,
    pub(crate) n_recipes: u64,
    pub(crate) last_exe: ExeId,
    pub(crate) mode: QueueMode,
    /// How many load rows are kept.
    pub(crate) keep_load_rows: u32,
}

/// What the lists of jobs can tell of a job without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    pub(crate) status: JobStatus,
    /// How its last ended execution ended: a code of [`crate::model::Outcome`], 0 for none.
    pub(crate) outcome: u8,
}

impl Kind {
    pub(crate) fn of(job: &JobState) -> Self {
        Self { status: job.status, outcome: job.end().map_or(0, |end| end.outcome.number()) }
    }
}

/// A job that was made or changed.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) id: JobId,
    /// What it was; none where it is new.
    pub(crate) before: Option<Kind>,
    pub(crate) job: JobState,
    /// The jobs it waits for, or waits for again if it is taken up.
    pub(crate) parents: Vec<JobId>,
}

/// What changed. Of the jobs each once, or, where it was over for a moment, each time; those that are
/// over stand first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delta {
    pub(crate) totals: Totals,
    /// Which facts of the store counted when it was taken; see `store/retention`.
    pub(crate) generation: u64,
    pub(crate) jobs: Vec<Changed>,
    pub(crate) created: Vec<Arc<Creation>>,
    pub(crate) job_types: Vec<Arc<JobType>>,
    /// Counts of the types whose jobs changed, as they are now.
    pub(crate) counts: Vec<(JobTypeId, StatusCounts)>,
    pub(crate) submissions: Vec<(Arc<str>, Accepted)>,
    /// What became of load rows, in its order.
    pub(crate) load: Vec<LoadChange>,
    /// Documents that were put, or are no more, in their order.
    pub(crate) docs: Vec<(DocKey, Option<Arc<Doc>>)>,
}
