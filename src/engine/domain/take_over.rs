//! Jobs that another system had, made here as they stand there.

use crate::engine::core::Core;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::limits::{EVENT_JOBS_MAX, LANES_MAX, QUEUED_MAX, TAKEN_OVER_BYTES_MAX};
use crate::model::{
    Accepted, Event, ExeId, ID_MAX, JobId, JobRequest, JobState, JobTypeId, RecalledJobs, SubmissionId,
    Timestamp,
};

use super::restore::JobRestored;

/// A job that another system had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobTakenOver {
    /// What it is; one job.
    pub request: JobRequest,
    /// Where it stands; its id is given here.
    pub stands: JobRestored,
}

/// Why jobs were not taken over; none of them is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeOverError {
    /// More than [`EVENT_JOBS_MAX`](crate::limits) jobs.
    #[error("{jobs} jobs at once, at most {EVENT_JOBS_MAX} are taken over together")]
    TooMany {
        /// How many.
        jobs: usize,
    },
    /// Under the same name another number of jobs was taken over.
    #[error("{then} jobs were taken over under this name before, and it is {now} now")]
    Another {
        /// How many there were.
        then: u32,
        /// How many there are.
        now: usize,
    },
    /// No job type of that id.
    #[error("no job type {0}")]
    UnknownJobType(JobTypeId),
    /// An execution of that id is there, or an id cannot be as large.
    #[error("execution {0} is there already, or beyond what an id may be")]
    Execution(ExeId),
    /// What one job was given is longer than [`TAKEN_OVER_BYTES_MAX`](crate::limits).
    #[error(
        "values, input and configuration of a job are {bytes} bytes, at most {TAKEN_OVER_BYTES_MAX} are taken over"
    )]
    TooLarge {
        /// How long.
        bytes: usize,
    },
    /// The queue holds as much as it may.
    #[error("the queue is full: {QUEUED_MAX} executions wait")]
    QueueFull,
    /// It would need more lanes than there may be.
    #[error("too many different requests wait")]
    TooManyLanes,
    /// More names of resources than the queue has slots for.
    #[error("more different resource names than the queue has slots for")]
    TooManyResources,
}

impl Engine {
    /// Makes jobs as they stood in another system, all or none, in the order given; those that are queued get
    /// their place by priority, queued time and the id of their execution. The same name again gives the first
    /// answer. Inactive types are taken.
    pub fn take_over_jobs(
        &self,
        name: SubmissionId,
        jobs: Vec<JobTakenOver>,
    ) -> Result<Ticket<Accepted, TakeOverError>, IntakeError> {
        self.call(move |core, now| core.take_over_jobs(&name, &jobs, now))
    }

    /// The answer that was given to a submission of that name, while it is remembered.
    pub fn submission(&self, name: &SubmissionId) -> Option<Accepted> {
        self.0.enter().core.state.submission(name.as_str())
    }
}

fn bytes_of(request: &JobRequest) -> usize {
    let values = request.values.iter().map(|(name, value)| name.len() + value.len());
    let given = request.given.as_ref().map_or(0, |given| given.input.len() + given.configuration.len());
    values.sum::<usize>() + given
}

impl Core {
    fn take_over_jobs(
        &mut self,
        name: &SubmissionId,
        jobs: &[JobTakenOver],
        now: Timestamp,
    ) -> Result<Accepted, TakeOverError> {
        let (n, too_many) = (jobs.len(), TakeOverError::TooMany { jobs: jobs.len() });
        let n_jobs = u32::try_from(n).ok().filter(|n| *n <= EVENT_JOBS_MAX).ok_or(too_many)?;
        if let Some(first) = self.state.submission(name.as_str()) {
            let is_same = first.n_jobs == n_jobs;
            let another = TakeOverError::Another { then: first.n_jobs, now: n };
            return if is_same { Ok(Accepted { is_repeat: true, ..first }) } else { Err(another) };
        }
        self.check_taken_over(jobs)?;
        let when = self.clamp(now);
        let first = self.state.next_job();
        let accepted = Accepted {
            first_job: first,
            n_jobs,
            first_recipe: self.state.next_recipe(),
            n_recipes: 0,
            is_repeat: false,
        };
        for (job, id) in jobs.iter().zip((first.0..).map(JobId)) {
            let request = JobRequest { count: 1, ..job.request.clone() };
            self.emit(Event::JobsCreated { first: id, request, recipe: None, when });
        }
        let mut next_exe = self.next_exe();
        let stand = |(job, id): (&JobTakenOver, JobId)| {
            let made = self.state.job(id)?;
            Some((id, job.stands.applied_to(made, &mut next_exe)))
        };
        let all: Vec<(JobId, JobState)> = jobs.iter().zip((first.0..).map(JobId)).filter_map(stand).collect();
        if !all.is_empty() {
            self.emit(Event::JobsRestored(RecalledJobs(all)));
        }
        self.emit(Event::SubmissionAccepted { id: name.as_str().to_owned(), accepted });
        Ok(accepted)
    }

    fn check_taken_over(&self, jobs: &[JobTakenOver]) -> Result<(), TakeOverError> {
        if self.state.queue.len() + jobs.len() > QUEUED_MAX {
            return Err(TakeOverError::QueueFull);
        }
        if self.state.queue.n_lanes() + jobs.len() > LANES_MAX {
            return Err(TakeOverError::TooManyLanes);
        }
        for job in jobs {
            let (kind, own) = (job.request.job_type, job.request.resources.as_ref());
            let spec = self.state.catalog.get(kind).map(|kind| &kind.spec);
            let spec = spec.ok_or(TakeOverError::UnknownJobType(kind))?;
            if own.is_some_and(|own| spec.resources.overridden_by(own).is_err()) {
                return Err(TakeOverError::TooManyResources);
            }
            let bytes = bytes_of(&job.request);
            if bytes > TAKEN_OVER_BYTES_MAX {
                return Err(TakeOverError::TooLarge { bytes });
            }
            if let Some(exe) = job.stands.exe {
                let is_there = self.state.queue.get(exe).is_some() || self.state.running.contains_key(&exe);
                if is_there || exe.0 == 0 || exe.0 > ID_MAX {
                    return Err(TakeOverError::Execution(exe));
                }
            }
        }
        let mut exes: Vec<ExeId> = jobs.iter().filter_map(|job| job.stands.exe).collect();
        exes.sort_unstable();
        if let Some(twice) = exes.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TakeOverError::Execution(twice[0]));
        }
        let own = jobs.iter().filter_map(|job| job.request.resources.as_ref());
        if !self.state.queue.dims().has_room(own) {
            return Err(TakeOverError::TooManyResources);
        }
        Ok(())
    }
}
