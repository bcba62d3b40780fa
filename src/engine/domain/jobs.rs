//! Jobs: queued again, and taken back from being canceled.

use crate::engine::core::{Core, Order, in_events};
use crate::engine::handle::{Changed, JobsError};
use crate::engine::shell::{Engine, Inner};
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::job::{blocks_children, can_be_queued, can_be_requeued, can_be_uncanceled};
use crate::model::{Event, JobId, JobRange, JobState, JobStatus, LaunchName, NodeResources, Timestamp};
use crate::store::Facts;

use super::recipes::resources_of;

/// What a requeue did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requeued {
    /// Queued again, each with a new execution.
    pub n_queued: u32,
    /// Canceled before they were ever queued, and no more.
    pub n_uncanceled: u32,
    /// Left alone, for where they stand.
    pub n_ignored: u32,
}

impl Engine {
    /// Queues jobs again: those that wait, run, failed or were canceled, with a new execution each. What
    /// they had is given up: an entry leaves the queue, a running execution is ended. Those that were
    /// canceled before they were ever queued go back to waiting for what they depend on. Completed and
    /// superseded ones are left alone, and those that would wait for a job that retention dropped.
    ///
    /// `priority` is for this time in the queue; none: the job's own. Each job may be tried as often as its
    /// type says, again.
    pub fn requeue(
        &self,
        jobs: Vec<JobId>,
        priority: Option<i32>,
    ) -> Result<Ticket<Requeued, JobsError>, IntakeError> {
        self.with_facts(jobs, move |core, jobs, facts, now| core.requeue(jobs, facts, priority, now))
    }

    /// Lets queued jobs go on although their types may be paused, for this time in the queue: only limits hold
    /// them, and room. Others are left alone.
    pub fn let_through(&self, jobs: Vec<JobId>) -> Result<Ticket<Changed, JobsError>, IntakeError> {
        self.call(move |core, now| core.let_through(&jobs, now))
    }

    /// Carries a command out that has to know of jobs that are over.
    pub(in crate::engine) fn with_facts<T: Send + 'static>(
        &self,
        jobs: Vec<JobId>,
        command: impl FnOnce(&mut Core, &[JobId], &Facts, Timestamp) -> Result<T, JobsError> + Send + 'static,
    ) -> Result<Ticket<T, JobsError>, IntakeError> {
        match self.facts(&jobs) {
            Ok(facts) => self.call_inner(move |inner, core, now| {
                inner.still_true(&facts)?;
                command(core, &jobs, &facts, now)
            }),
            Err(error) => Ok(self.refused(error)),
        }
    }
}

impl Inner {
    /// Refuses facts that were read before jobs were marked to be dropped.
    pub(in crate::engine) fn still_true(&self, facts: &Facts) -> Result<(), JobsError> {
        let is_stale = facts.generation != self.outside.tables.generation();
        match facts.over.first().filter(|_| is_stale) {
            Some((job, _)) => Err(JobsError::Changing(*job)),
            None => Ok(()),
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Core {
    pub(in crate::engine) fn requeue(
        &mut self,
        jobs: &[JobId],
        facts: &Facts,
        priority: Option<i32>,
        now: Timestamp,
    ) -> Result<Requeued, JobsError> {
        self.requeue_following(jobs, facts, priority, &[], now)
    }

    /// The same. Those of `follows`, sorted, have no priority of their own: it is what their types say now.
    pub(in crate::engine) fn requeue_following(
        &mut self,
        jobs: &[JobId],
        facts: &Facts,
        priority: Option<i32>,
        follows: &[JobId],
        now: Timestamp,
    ) -> Result<Requeued, JobsError> {
        self.check_jobs(jobs)?;
        let wants = |job: &JobState| can_be_requeued(job) || can_be_uncanceled(job);
        let (chosen, changed) = self.chosen_again(jobs, facts, wants)?;
        let is_queued = |id: &JobId| self.state.job(*id).is_some_and(can_be_requeued);
        let (queued, uncanceled): (Vec<JobId>, Vec<JobId>) = chosen.into_iter().partition(is_queued);
        let when = self.clamp(now);
        self.queue_again(&queued, priority, follows, when);
        self.uncancel(&uncanceled, when);
        Ok(Requeued {
            n_queued: count(queued.len()),
            n_uncanceled: count(uncanceled.len()),
            n_ignored: changed.n_ignored,
        })
    }

    fn let_through(&mut self, jobs: &[JobId], now: Timestamp) -> Result<Changed, JobsError> {
        self.check_jobs(jobs)?;
        let is_held = |job: &JobState| {
            job.status == JobStatus::Queued && job.more.as_ref().is_none_or(|more| !more.is_let_through)
        };
        let (chosen, changed) = self.chosen(jobs, is_held);
        let when = self.clamp(now);
        for jobs in in_events(&chosen) {
            self.emit(Event::JobsLetThrough { jobs, when });
        }
        Ok(changed)
    }

    /// Gives jobs that can be queued again new executions, and as many tries as their type has.
    fn queue_again(&mut self, jobs: &[JobId], priority: Option<i32>, follows: &[JobId], when: Timestamp) {
        for jobs in in_events(jobs) {
            let tries = |id: &JobId| {
                let job = self.state.job(*id)?;
                let of_type = self.state.catalog.get(job.job_type)?.spec.max_tries;
                let so_far = u16::try_from(job.num_exes).unwrap_or(u16::MAX);
                Some(so_far.saturating_add(of_type))
            };
            let max_tries: Vec<u16> = jobs.iter().filter_map(tries).collect();
            self.emit(Event::TriesSet { jobs: jobs.clone(), max_tries });
            for (jobs, priority) in self.by_priority(&jobs, priority, follows) {
                self.queue_jobs_now(jobs, priority, when);
            }
        }
        self.unblock_descendants(jobs, when);
    }

    /// Queues jobs, whose running executions are ended.
    pub(in crate::engine) fn queue_jobs_now(
        &mut self,
        jobs: Vec<JobId>,
        priority: Option<i32>,
        when: Timestamp,
    ) {
        let launch_of = |id: &JobId| {
            let job = self.state.job(*id).filter(|job| job.status == JobStatus::Running)?;
            Some(Order::Kill(LaunchName { exe: job.exe?, number: job.launches }))
        };
        let kills: Vec<Order> = jobs.iter().filter_map(launch_of).collect();
        let first_exe = self.next_exe();
        let asks = self.newest_asks(&jobs);
        self.emit(Event::JobsQueued { first_exe, jobs: JobRange::List(jobs), priority, when });
        self.out.orders.extend(kills);
        for (resources, jobs) in asks {
            self.emit(Event::JobsAsk { jobs, resources });
        }
    }

    /// What those of `jobs` ask for that ask for something else since their types were changed.
    ///
    /// Cost: a look-up each, and more for those whose types were.
    fn newest_asks(&self, jobs: &[JobId]) -> Vec<(NodeResources, Vec<JobId>)> {
        let mut asks: Vec<(NodeResources, Vec<JobId>)> = Vec::new();
        for id in jobs {
            let Some(resources) = self.state.job(*id).and_then(|job| self.newest_ask(job)) else { continue };
            match asks.iter_mut().find(|(known, _)| *known == resources) {
                Some((_, jobs)) => jobs.push(*id),
                None => asks.push((resources, vec![*id])),
            }
        }
        asks
    }

    /// What a job asks for by the newest revision of its type, if it asks for something else by an older one.
    /// What it was given itself stays.
    fn newest_ask(&self, job: &JobState) -> Option<NodeResources> {
        let newest = self.details(job.job_type).filter(|details| details.revision != job.revision)?.revision;
        let input_mib = job.extra().input_mib.unwrap_or_default();
        let of = |revision| Some(resources_of(self.state.manifest(job.job_type, revision)?, input_mib));
        let asks = of(newest).filter(|asks| *asks != *job.resources)?;
        (1..newest).rev().any(|revision| of(revision).as_ref() == Some(&*job.resources)).then_some(asks)
    }

    /// Takes jobs back that were canceled before they were ever queued, after [`Core::chosen_again`].
    pub(in crate::engine) fn uncancel(&mut self, jobs: &[JobId], when: Timestamp) {
        for jobs in in_events(jobs) {
            let (blocked, pending): (Vec<JobId>, Vec<JobId>) =
                jobs.into_iter().partition(|id| self.is_blocked(*id));
            for (jobs, status) in [(blocked, JobStatus::Blocked), (pending, JobStatus::Pending)] {
                if !jobs.is_empty() {
                    self.emit(Event::JobsMarked { jobs, status, when });
                }
            }
        }
        self.unblock_descendants(jobs, when);
        let is_due =
            |id: &JobId| self.state.graph.is_ready(*id) && self.state.job(*id).is_some_and(can_be_queued);
        let due: Vec<JobId> = jobs.iter().copied().filter(is_due).collect();
        self.queue_listed(&due, when);
    }

    /// True where something that a job waits for keeps it from ever running.
    fn is_blocked(&self, job: JobId) -> bool {
        let blocks = |id: &JobId| self.state.job(*id).is_some_and(|parent| blocks_children(parent.status));
        self.state.graph.parents(job).iter().any(blocks)
    }

    /// Marks what can get its inputs again.
    ///
    /// Cost: the edges of what is marked, and of those behind `jobs`.
    pub(in crate::engine) fn unblock_descendants(&mut self, jobs: &[JobId], when: Timestamp) {
        let mut stack: Vec<JobId> = jobs.to_vec();
        while let Some(job) = stack.pop() {
            let children = self.state.graph.children(job).to_vec();
            let is_free = |id: &JobId| {
                let is_marked = self.state.job(*id).is_some_and(|job| job.status == JobStatus::Blocked);
                is_marked && !self.is_blocked(*id)
            };
            let free: Vec<JobId> = children.into_iter().filter(is_free).collect();
            for jobs in in_events(&free) {
                self.emit(Event::JobsMarked { jobs, status: JobStatus::Pending, when });
            }
            stack.extend(free);
        }
    }
}
