//! Jobs as another system had them: where they stand, and since when.

use crate::engine::core::Core;
use crate::engine::handle::JobsError;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::limits::EVENT_JOBS_MAX;
use crate::model::{
    Event, ExeEnd, ExeId, JobId, JobState, JobStatus, LaunchName, Outcome, RecalledJobs, Timestamp, Usage,
};
use crate::store::Facts;

/// What is told of a job that another system had; none: as it is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobRestored {
    /// Which job of ours it is.
    pub job: JobId,
    /// Where it stands. RUNNING is taken as QUEUED: what ran there does not run here.
    pub status: Option<JobStatus>,
    /// How often it was queued.
    pub num_exes: Option<u32>,
    /// How often it may be tried in all.
    pub max_tries: Option<u16>,
    /// In the queue.
    pub priority: Option<i32>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last queued.
    pub queued: Option<Timestamp>,
    /// When its newest execution was launched.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// When its status last changed.
    pub last_status_change: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// How many of its tries are used up.
    pub tries: Option<u16>,
    /// The id of its newest execution, which has its place among equals by it; none: the next one.
    pub exe: Option<ExeId>,
    /// Since when another job is in its place.
    pub superseded: Option<Timestamp>,
}

impl JobRestored {
    /// Nothing but which job.
    pub fn new(job: JobId) -> Self {
        Self { job, ..Self::default() }
    }
}

impl Engine {
    /// Makes jobs what they were in another system: for those who move over, after the jobs were made here in
    /// the order in which they shall leave the queue. Of jobs that run only times are changed.
    pub fn restore_jobs(&self, all: Vec<JobRestored>) -> Result<Ticket<u32, JobsError>, IntakeError> {
        let ids = all.iter().map(|restored| restored.job).collect();
        self.with_facts(ids, move |core, ids, facts, _| core.restore_jobs(&all, ids, facts))
    }
}

impl Core {
    fn restore_jobs(&mut self, all: &[JobRestored], ids: &[JobId], facts: &Facts) -> Result<u32, JobsError> {
        self.check_jobs(ids)?;
        self.recall(ids, facts, |_| true)?;
        let mut next_exe = self.next_exe();
        let mut new: Vec<(JobId, JobState)> = Vec::new();
        for restored in all {
            let Some(job) = self.state.job(restored.job) else { continue };
            if job.more.as_ref().is_none_or(|more| !more.runs) || restored.is_of_times() {
                new.push((restored.job, restored.applied_to(job, &mut next_exe)));
            }
        }
        for jobs in new.chunks(EVENT_JOBS_MAX as usize) {
            self.emit(Event::JobsRestored(RecalledJobs(jobs.to_vec())));
        }
        Ok(u32::try_from(new.len()).unwrap_or(u32::MAX))
    }
}

impl JobRestored {
    /// True where only times are told.
    fn is_of_times(&self) -> bool {
        self.status.is_none() && self.num_exes.is_none() && self.outcome.is_none()
    }

    pub(super) fn applied_to(&self, old: &JobState, next_exe: &mut ExeId) -> JobState {
        let mut job = old.clone();
        let status = match self.status {
            Some(JobStatus::Running) => JobStatus::Queued,
            Some(status) => status,
            None => job.status,
        };
        job.status = status;
        job.created = self.created.unwrap_or(job.created);
        job.last_status_change = self.last_status_change.unwrap_or(job.last_status_change);
        job.max_tries = self.max_tries.unwrap_or(job.max_tries).max(1);
        job.num_exes = self.num_exes.unwrap_or(job.num_exes);
        job.queued = self.queued.or(job.queued);
        let (started, ended) = (self.started, self.ended);
        let queue_priority = self.priority.filter(|priority| *priority != job.priority);
        let is_queued = status == JobStatus::Queued;
        if is_queued {
            job.num_exes = job.num_exes.max(1);
        }
        job.tries = self.tries.unwrap_or(job.tries);
        job.exe = self.exe.or(job.exe);
        if job.num_exes > 0 && job.exe.is_none() {
            job.exe = Some(*next_exe);
            next_exe.0 += 1;
        }
        if is_queued {
            job.queued = job.queued.or(Some(job.created));
        }
        let end = self.outcome.clone().zip(job.exe).map(|(outcome, exe)| ExeEnd {
            launch: LaunchName { exe, number: job.launches },
            exe_num: job.num_exes,
            outcome,
            usage: Usage::default(),
            ended: ended.unwrap_or(job.last_status_change),
        });
        let more = job.more();
        more.started = started.or(more.started);
        more.ended = if status.is_final() { ended.or(more.ended) } else { None };
        more.end = end.or(more.end.take());
        more.extra.superseded = self.superseded.or(more.extra.superseded);
        more.queue_priority = queue_priority.or(more.queue_priority);
        job.tidy();
        job
    }
}
