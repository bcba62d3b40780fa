//! Looks into the engine: jobs as the store has them, the queue and the reasons as the core has them.

use std::sync::Arc;
use std::time::Duration;

use super::journal::JournalEntry;
use super::shell::Engine;
use crate::decision::{Blocker, NodeWhy, Policy, Why};
use crate::limits::LIST_MAX;
#[cfg(test)]
use crate::model::EventNumber;
use crate::model::{
    Doc, DocKey, ExeId, Job, JobId, JobPage, JobQuery, JobStatus, JobTypeId, LaunchName, NodeId,
    QueuedJobExecution, SlotShare,
};
#[cfg(test)]
use crate::state::State;
use crate::store::{Checkpoints, ListError, OpenError};

/// A launch that is on record as running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningLaunch {
    /// Its name.
    pub name: LaunchName,
    /// Its job.
    pub job: JobId,
    /// The job's how-manieth execution.
    pub exe_num: u32,
    /// Where.
    pub node: NodeId,
    /// True when its job was canceled or queued again, so that it only has to end.
    pub is_canceled: bool,
    /// Which graphics processors of the node are its own, where they are slots.
    pub gpus: Vec<SlotShare>,
    /// Seconds that it may run.
    pub timeout_s: Option<u32>,
}

/// What is on record of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobRecord {
    /// A job.
    Job(Box<Job>),
    /// There was one. It is over, and was dropped: see [`Retention`](crate::Retention).
    Dropped,
    /// There never was one; or the store cannot be read, which [`Engine::store_error`] tells.
    Unknown,
}

/// Why nobody can tell at this moment what is on record. For those who act on what is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    /// Readers do not see yet what was applied.
    #[error("what was done last is not on disk yet")]
    Late,
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Jobs cannot be listed.
    #[error(transparent)]
    List(#[from] ListError),
}

/// How long a reader waits for what was applied to become durable before it is shown what is.
const CATCH_UP: Duration = Duration::from_secs(10);

impl Engine {
    /// The newest execution there is, and so the highest id of one.
    pub fn last_exe(&self) -> ExeId {
        self.0.enter().core.state.last_exe
    }

    /// Executions that wait for a node, with those that are paused or held back.
    pub fn n_waiting(&self) -> usize {
        self.0.enter().core.state.queue.len()
    }

    /// Lanes of executions that wait for a node and that neither a pause nor a limit holds: without any, nothing
    /// that waits can start.
    pub fn n_open_lanes(&self) -> usize {
        self.0.enter().core.state.queue.n_open_lanes()
    }

    /// Whether the store knows a launch: of the job's how-manieth execution. One that it does not know was
    /// made by a newer state of it, or by another store. Waits as [`Engine::job`].
    pub fn knows_launch(&self, name: LaunchName, job: JobId, exe_num: u32) -> bool {
        if name.exe > self.last_exe() {
            return false;
        }
        let is_known = |num_exes: u32, launches: u32| {
            exe_num < num_exes || (exe_num == num_exes && name.number <= launches)
        };
        // One that is not over is at hand.
        let open = self.0.enter().core.state.job(job).map(|job| is_known(job.num_exes, job.launches));
        if let Some(open) = open {
            return open;
        }
        match self.look_up(job) {
            JobRecord::Job(job) => is_known(job.num_exes, job.launches),
            JobRecord::Dropped => true,
            // A store that cannot be read tells nothing.
            JobRecord::Unknown => self.store_error().is_some(),
        }
    }

    /// How passes choose, as it was asked for.
    pub fn policy(&self) -> &Policy {
        &self.0.options.policy
    }

    /// Waits until readers of the store see what was applied so far; a while at most. False where they are
    /// late: what is durable is shown all the same.
    fn catch_up(&self) -> bool {
        let position = self.0.enter().core.state.last_event;
        !self.0.log.is_failed() && self.0.outside.tables.wait_for(position, CATCH_UP)
    }

    /// The same for those who act on what is not there.
    pub(super) fn caught_up(&self) -> Result<(), LookError> {
        self.catch_up().then_some(()).ok_or(LookError::Late)
    }

    fn told<T>(&self, what: Result<T, OpenError>) -> Result<T, LookError> {
        what.map_err(|error| {
            self.0.complain(&error);
            error.into()
        })
    }

    /// As [`Engine::doc`], for those who act on what is not there.
    pub(super) fn read_doc(&self, key: DocKey) -> Result<Option<Arc<Doc>>, LookError> {
        self.caught_up()?;
        self.told(self.0.outside.tables.doc(key))
    }

    /// As [`Engine::docs`], for those who act on what is not there.
    pub(super) fn read_docs(
        &self,
        range: (DocKey, DocKey),
        is_descending: bool,
        limit: usize,
    ) -> Result<Vec<Arc<Doc>>, LookError> {
        self.caught_up()?;
        self.told(self.0.outside.tables.docs(range, is_descending, limit))
    }

    /// As [`Engine::jobs`], for those who act on what is not there.
    pub(super) fn read_jobs(&self, after: JobId, limit: usize) -> Result<Vec<Job>, LookError> {
        let position = self.0.enter().core.state.next_job();
        self.caught_up()?;
        match self.0.outside.tables.jobs(after, position, limit.min(LIST_MAX)) {
            Err(ListError::Store(error)) => self.told(Err(error)),
            jobs => Ok(jobs?),
        }
    }

    fn read<T>(&self, what: Result<Option<T>, OpenError>) -> Option<T> {
        what.unwrap_or_else(|error| {
            self.0.complain(&error);
            None
        })
    }

    /// A job on record, as it is on disk. Waits until everything applied so far is there.
    ///
    /// Cost: a sync where one is under way; for a job that did not change lately, a read of the state
    /// file.
    pub fn job(&self, id: JobId) -> Option<Job> {
        self.catch_up();
        self.read(self.0.outside.tables.job(id))
    }

    /// The same, telling a job that retention dropped from one that never was.
    pub fn look_up(&self, id: JobId) -> JobRecord {
        let was_made = self.0.enter().core.state.was_made(id);
        match self.job(id) {
            Some(job) => JobRecord::Job(Box::new(job)),
            None if was_made && self.store_error().is_none() => JobRecord::Dropped,
            None => JobRecord::Unknown,
        }
    }

    /// Jobs after `after`, by id, at most `limit` (and at most a thousand), as they are on disk. Waits
    /// as [`Engine::job`].
    pub fn jobs(&self, after: JobId, limit: usize) -> Vec<Job> {
        let position = self.0.enter().core.state.next_job();
        self.catch_up();
        match self.0.outside.tables.jobs(after, position, limit.min(LIST_MAX)) {
            Ok(jobs) => jobs,
            Err(ListError::Store(error)) => self.read(Err(error)).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// A page of jobs: which, in which order, from where on, as they are on disk. Waits as [`Engine::job`].
    ///
    /// Going on from page to page shows each job that does not change meanwhile exactly once. One that does
    /// is shown where it stands when its page is made, so perhaps twice or not at all.
    ///
    /// Cost: what is newer than the state file is looked at in memory; of the file, a page of n jobs takes
    /// about n segments at most (some 70 us each), however rare the jobs are. Where more than 512 would have
    /// to be read the page is shorter, or the list is refused.
    pub fn list_jobs(&self, query: &JobQuery) -> Result<JobPage, ListError> {
        self.catch_up();
        let page = self.0.outside.tables.list(query);
        if let Err(ListError::Store(error)) = &page {
            self.0.complain(error);
        }
        page
    }

    /// The document under a key, as it is on disk. Waits as [`Engine::job`].
    pub fn doc(&self, key: DocKey) -> Option<Arc<Doc>> {
        self.catch_up();
        self.read(self.0.outside.tables.doc(key))
    }

    /// Documents with keys in a range, at most `limit`, as they are on disk. Waits as [`Engine::job`].
    ///
    /// Cost: those documents, read and held.
    pub fn docs(&self, range: (DocKey, DocKey), is_descending: bool, limit: usize) -> Vec<Arc<Doc>> {
        self.catch_up();
        match self.0.outside.tables.docs(range, is_descending, limit) {
            Ok(docs) => docs,
            Err(error) => self.read(Err(error)).unwrap_or_default(),
        }
    }

    /// Makes a checkpoint of everything applied so far, and waits for it; `None` when `timeout` passes
    /// before, or none can be made.
    pub fn checkpoint(&self, timeout: Duration) -> Option<Checkpoints> {
        self.catch_up();
        self.0.outside.tables.want_checkpoint(timeout)
    }

    /// How far the state file is behind the log, and how many checkpoints were made.
    pub fn checkpoints(&self) -> Checkpoints {
        self.0.outside.tables.checkpoints()
    }

    /// Why the state file cannot be read or written, if so. What was acknowledged is in the log.
    pub fn store_error(&self) -> Option<Arc<str>> {
        self.0.outside.tables.error()
    }

    /// The first executions in queue order, types of `without` left out; at most `limit` (and at
    /// most a thousand).
    pub fn queued(&self, without: &[JobTypeId], limit: usize) -> Vec<QueuedJobExecution> {
        let owned = self.0.enter();
        let state = &owned.core.state;
        let entries = state.queue.iter(without).take(limit.min(LIST_MAX));
        entries.map(|entry| state.queued_execution(&entry)).collect()
    }

    /// Executions on record as running, and picks that are neither committed nor put back. At this
    /// moment, while a view may be older.
    pub fn n_taken(&self) -> usize {
        let owned = self.0.enter();
        owned.core.state.running.len() + owned.core.state.queue.n_picked()
    }

    /// Launches on record as running, by execution id. After a restart, what became of each is to be asked of
    /// what runs them: the answers are statuses.
    pub fn running(&self) -> Vec<RunningLaunch> {
        let owned = self.0.enter();
        let state = &owned.core.state;
        let of = |(exe, running): (&ExeId, &crate::state::Running)| {
            let timeout_s = state.catalog.get(running.entry.job_type).and_then(|kind| kind.spec.timeout_s);
            if let Some(overtaken) = state.overtaken(*exe) {
                return Some(RunningLaunch {
                    name: LaunchName { exe: *exe, number: running.launch },
                    job: running.entry.job,
                    exe_num: overtaken.exe_num,
                    node: running.node,
                    is_canceled: true,
                    gpus: owned.core.slots_of(*exe),
                    timeout_s,
                });
            }
            let job = state.job(running.entry.job)?;
            Some(RunningLaunch {
                name: LaunchName { exe: *exe, number: running.launch },
                job: running.entry.job,
                exe_num: job.num_exes,
                node: running.node,
                is_canceled: job.status == JobStatus::Canceled,
                gpus: owned.core.slots_of(*exe),
                timeout_s,
            })
        };
        state.running.iter().filter_map(of).collect()
    }

    /// Why a job waits, or where it stands; `None` for one that is not there.
    ///
    /// Cost: nodes, and a search in every lane; under the core's lock.
    pub fn why(&self, id: JobId) -> Option<Why> {
        let now = self.now();
        let why = self.0.enter().core.why(id, now);
        why.or_else(|| {
            let job = self.job(id)?;
            let n_queued = self.0.enter().core.state.queue.len();
            let blocker = Blocker::NotQueued { status: job.status };
            Some(Why { blocker, ..Why::of(id, job.status, (*job.resources).clone(), n_queued) })
        })
    }

    /// For each job type with waiting executions, by id: why its first one waits.
    pub fn waiting(&self) -> Vec<(JobTypeId, Why)> {
        let now = self.now();
        self.0.enter().core.waiting(now)
    }

    /// What runs and may run on a node, and why the rest may not; `None` for one that was not seen.
    ///
    /// Cost: nodes, lanes, and what runs there; under the core's lock.
    pub fn node_why(&self, node: NodeId) -> Option<NodeWhy> {
        let now = self.now();
        self.0.enter().core.node_why(node, now)
    }

    /// What was decided lately, and what keeps the rest: the notes after a number, the oldest first, at most
    /// `limit`. In memory only and bounded: the oldest go, which shows in their numbers. Cost: notes that are
    /// given, under the core's lock.
    pub fn journal(&self, after: u64, limit: usize) -> Vec<JournalEntry> {
        self.0.enter().core.journal.after(after, limit.min(LIST_MAX))
    }

    /// The number of the newest note of the journal; 0 where there is none.
    pub fn journal_newest(&self) -> u64 {
        self.0.enter().core.journal.newest()
    }

    /// A look at the state itself, for tests.
    #[cfg(test)]
    pub(crate) fn look_at<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.0.enter().core.state)
    }

    /// A look at the core, for tests.
    #[cfg(test)]
    pub(super) fn look_at_core<R>(&self, look: impl FnOnce(&super::core::Core) -> R) -> R {
        look(&self.0.enter().core)
    }

    /// What the log was told to be in the state file, for tests.
    #[cfg(test)]
    pub(crate) fn covered(&self) -> EventNumber {
        self.0.log.n_covered()
    }
}
