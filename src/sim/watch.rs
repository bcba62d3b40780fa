//! What always holds, looked at after every step: pictures of the state, and how each may follow on the
//! one before.
//!
//! W1  A job goes on only in ways that its life knows; out of a final state it does not come.
//! W2  The numbers of a job's executions and launches never go back, and a number stands for one launch.
//! W3  Of a type with a limit nothing is launched beyond it.
//! W4  What a node was promised is at most what it has.
//! W5  What fits an offer and is held back by nothing is picked; the more important goes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Picks;
use crate::load::LoadRow;
use crate::model::{
    EventNumber, ExeId, JobId, JobState, JobStatus, JobType, JobTypeId, LaunchName, NodeId, NodeResources,
    QueueMode, Timestamp,
};
use crate::queue::Entry;
use crate::state::{Gone, State};

/// How a job was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: JobStatus,
    /// Executions so far, and launches of the newest.
    pub(super) numbers: (u32, u32),
}

/// Everything of a state that a restart has to bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) hash: u64,
    made: (u64, u64, ExeId),
    open: Vec<(JobId, JobState)>,
    running: Vec<(LaunchName, JobId, NodeId)>,
    /// In order; none while picks are out, which come back to their places.
    queued: Option<Vec<(ExeId, i32, Timestamp)>>,
    kinds: Vec<Arc<JobType>>,
    mode: QueueMode,
    load: Vec<LoadRow>,
}

impl Picture {
    pub(super) fn of(state: &State) -> Self {
        let running = |(exe, run): (&ExeId, &crate::state::Running)| {
            (LaunchName { exe: *exe, number: run.launch }, run.entry.job, run.node)
        };
        let place = |entry: Entry| (entry.id, entry.priority, entry.queued);
        let is_open = |(id, job): (JobId, &JobState)| job.is_open().then(|| (id, job.clone()));
        Self {
            hash: state.hash,
            made: (state.next_job().0, state.n_recipes, state.last_exe),
            open: state.jobs().filter_map(is_open).collect(),
            running: state.running.iter().map(running).collect(),
            queued: (state.queue.n_picked() == 0).then(|| state.queue.iter(&[]).map(place).collect()),
            kinds: state.catalog.iter().cloned().collect(),
            mode: state.queue.mode_to_come(),
            load: state.history.iter().collect(),
        }
    }

    /// True where both may be of one state.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let without = |picture: &Self| Self { queued: None, ..picture.clone() };
        match (&self.queued, &other.queued) {
            (Some(_), Some(_)) => self == other,
            _ => without(self) == without(other),
        }
    }

    /// Load rows.
    pub(super) fn n_load(&self) -> usize {
        self.load.len()
    }

    /// True for a job type on record.
    pub(super) fn has_kind(&self, id: JobTypeId) -> bool {
        self.kinds.iter().any(|kind| kind.id == id)
    }

    /// True while any launch is on record.
    pub(super) fn has_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// True for a launch on record.
    pub(super) fn is_running(&self, name: LaunchName) -> bool {
        self.running.iter().any(|(running, ..)| *running == name)
    }

    /// A number for all of it.
    pub(super) fn digest(&self) -> u32 {
        let mut all = crc32fast::Hasher::new();
        all.update(&self.hash.to_le_bytes());
        self.queued.iter().flatten().for_each(|(exe, ..)| all.update(&exe.0.to_le_bytes()));
        self.running.iter().for_each(|(name, ..)| all.update(&name.exe.0.to_le_bytes()));
        all.finalize()
    }
}

/// True where the life of a job leads from one to the other.
fn may_follow(before: JobStatus, after: JobStatus) -> bool {
    use JobStatus::{Blocked, Canceled, Completed, Failed, Pending, Queued, Running};
    match before {
        Pending => matches!(after, Pending | Blocked | Queued | Canceled),
        Blocked => matches!(after, Blocked | Canceled),
        Queued => matches!(after, Queued | Running | Canceled),
        Running => matches!(after, Running | Queued | Failed | Completed | Canceled),
        Failed => matches!(after, Failed | Canceled),
        Completed => after == Completed,
        Canceled => after == Canceled,
    }
}

/// Holds W1 and W2 against the state, and takes down how it is now.
pub(super) fn follow(seen: &mut BTreeMap<JobId, Seen>, state: &State) {
    let mut next = |id: JobId, status: JobStatus, numbers: (u32, u32)| {
        let now = Seen { status, numbers };
        let Some(before) = seen.insert(id, now) else { return };
        assert!(may_follow(before.status, status), "W1: job {id} went from {before:?} to {now:?}");
        assert!(before.numbers <= numbers, "W2: job {id} went from {before:?} to {now:?}");
        if before.status == JobStatus::Queued && status == JobStatus::Running {
            assert!(before.numbers < numbers, "W2: job {id} went from {before:?} to {now:?}");
        }
    };
    for (id, job) in state.jobs() {
        next(id, job.status, (job.num_exes, job.launches));
    }
    let left: Vec<(JobId, Seen)> =
        seen.iter().map(|(id, seen)| (*id, *seen)).filter(|(id, _)| state.job(*id).is_none()).collect();
    for (id, before) in left {
        match state.gone(id, EventNumber(0)) {
            Gone::As(status) => {
                assert!(status.is_final(), "W1: job {id} left as {status}");
                assert!(may_follow(before.status, status), "W1: job {id}: {before:?}, then {status}");
                seen.insert(id, Seen { status, ..before });
            }
            Gone::Before => assert!(before.status.is_final(), "W1: job {id} is gone, and was {before:?}"),
            gone => panic!("W1: job {id} is {gone:?}, and was {before:?}"),
        }
    }
    for id in (1..state.next_job().0).map(JobId) {
        assert!(seen.contains_key(&id), "W1: job {id} was never seen");
    }
}

/// What runs on a node by the record.
pub(super) fn in_use(state: &State, node: NodeId) -> NodeResources {
    let here = state.running.values().filter(|run| run.node == node);
    here.fold(NodeResources::new(), |sum, run| sum.plus(&state.queue.named(&run.entry.asks)))
}

/// Holds W4 against what runs on a node, before and after it was offered: of nothing there is more than the
/// node has, but for what ran there before it had less.
pub(super) fn fits(total: &NodeResources, before: &NodeResources, after: &NodeResources) -> bool {
    after.iter().all(|(name, amount)| amount <= total.get(name.as_str()).max(before.get(name.as_str())))
}

/// Holds W3, W4 and W5 against what was picked of an offer of `free`.
pub(super) fn judge(state: &State, picks: &Picks<'_>, free: &NodeResources) {
    let limit = |id: JobTypeId| state.catalog.get(id).and_then(|kind| kind.spec.max_scheduled);
    let is_paused = |id: JobTypeId| state.catalog.get(id).is_some_and(|kind| kind.spec.is_paused);
    let waiting: Vec<Entry> = state.queue.iter(&[]).filter(|entry| !is_paused(entry.job_type)).collect();
    let asks = |entry: &Entry| state.queue.named(&entry.asks);
    let mut rest = free.clone();
    for pick in picks.iter() {
        let entry = state.queue.get(pick.exe).expect("a pick is in the queue");
        assert!(!is_paused(entry.job_type), "W5: {pick:?} is of a paused type");
        if let Some(limit) = limit(entry.job_type) {
            assert!(state.queue.n_taken(entry.job_type) <= limit, "W3: {pick:?} is beyond {limit}");
        }
        let is_first = |other: &&Entry| {
            other.priority < entry.priority
                && limit(other.job_type).is_none()
                && rest.minus(&asks(other)).is_some()
        };
        let first = waiting.iter().find(is_first);
        assert!(first.is_none(), "W5: {pick:?} was picked before {first:?}, which fits {rest}");
        rest = rest.minus(&asks(&entry)).unwrap_or_else(|| panic!("W4: {pick:?} does not fit {rest}"));
    }
    let is_free = |entry: &&Entry| {
        limit(entry.job_type).is_none_or(|limit| state.queue.n_taken(entry.job_type) < limit)
            && rest.minus(&asks(entry)).is_some()
    };
    let idle = waiting.iter().find(is_free);
    assert!(idle.is_none(), "W5: {idle:?} fits {rest} and was not picked");
}
