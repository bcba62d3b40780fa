//! The part of a job that changes, in the compact form in which it is held in memory and stored.
//!
//! What a job was given (values, the name of its recipe node) is a [`Creation`], which never changes.

use std::sync::Arc;

use bincode::{Decode, Encode};

use bincode::de::{BorrowDecode, BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};

use super::ids::{BatchId, ExeId, JobId, JobTypeId, NodeId, RecipeId, TenantId};
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

/// What only jobs of recipes and batches have, and those that were replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Extra {
    pub(crate) batch: Option<BatchId>,
    /// The size of its input's files in whole MiB, once that was processed.
    pub(crate) input_mib: Option<u64>,
    /// Since when another job is in its place.
    pub(crate) superseded: Option<Timestamp>,
    /// It waits for its input, which others give.
    pub(crate) lacks_input: bool,
}

/// What most waiting jobs do not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// For this time in the queue a pause of its type does not hold it.
    pub(crate) is_let_through: bool,
    pub(crate) extra: Extra,
}

/// Beside `runs`: what is extra follows. Jobs of before have none.
const HAS_EXTRA: u8 = 2;
const IS_LET_THROUGH: u8 = 4;

impl Encode for More {
    fn encode<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        self.recipe.encode(out)?;
        self.started.encode(out)?;
        self.ended.encode(out)?;
        self.node.encode(out)?;
        self.end.encode(out)?;
        self.queue_priority.encode(out)?;
        let has_extra = self.extra != Extra::default();
        let flag = |is_so: bool, flag: u8| if is_so { flag } else { 0 };
        let flags =
            u8::from(self.runs) | flag(has_extra, HAS_EXTRA) | flag(self.is_let_through, IS_LET_THROUGH);
        flags.encode(out)?;
        if has_extra { self.extra.encode(out) } else { Ok(()) }
    }
}

impl<C> Decode<C> for More {
    fn decode<D: Decoder<Context = C>>(from: &mut D) -> Result<Self, DecodeError> {
        let mut more = Self {
            recipe: Decode::decode(from)?,
            started: Decode::decode(from)?,
            ended: Decode::decode(from)?,
            node: Decode::decode(from)?,
            end: Decode::decode(from)?,
            queue_priority: Decode::decode(from)?,
            ..Self::default()
        };
        let flags = u8::decode(from)?;
        if flags > (1 | HAS_EXTRA | IS_LET_THROUGH) {
            return Err(DecodeError::InvalidBooleanValue(flags));
        }
        more.runs = flags & 1 == 1;
        more.is_let_through = flags & IS_LET_THROUGH != 0;
        if flags & HAS_EXTRA != 0 {
            more.extra = Decode::decode(from)?;
        }
        Ok(more)
    }
}

impl<'de, C> BorrowDecode<'de, C> for More {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(from: &mut D) -> Result<Self, DecodeError> {
        Self::decode(from)
    }
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

    /// What only some jobs have.
    pub(crate) fn extra(&self) -> Extra {
        self.more.as_ref().map_or(Extra::default(), |more| more.extra)
    }

    /// True once another job is in its place.
    pub(crate) fn is_superseded(&self) -> bool {
        self.extra().superseded.is_some()
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
            given: self.request.given.clone(),
            batch: more.extra.batch,
            input_mib: more.extra.input_mib,
            superseded: more.extra.superseded,
            has_input: !more.extra.lacks_input,
        }
    }
}
