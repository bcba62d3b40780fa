//! A state put back from what the store kept of it.
//!
//! R1  Job types and totals come first, then jobs in any order, then `restored` once.

use std::sync::Arc;

use super::delta::Totals;
use super::fold::{Held, Running, State, digest};
use crate::load::{LoadRow, StatusCounts};
use crate::model::{Accepted, JobId, JobState, JobStatus, JobType, JobTypeId};
use crate::queue::Entry;

/// What is only known once all jobs are back.
#[derive(Default)]
pub(crate) struct Restoring {
    parents: Vec<(JobId, Vec<JobId>)>,
}

impl State {
    pub(crate) fn restore_totals(&mut self, totals: &Totals) {
        (self.epoch, self.now, self.last_event) = (totals.epoch, totals.now, totals.last_event);
        (self.n_jobs, self.n_recipes, self.last_exe) = (totals.n_jobs, totals.n_recipes, totals.last_exe);
        (self.hash, self.keep_load_rows) = (totals.hash, totals.keep_load_rows);
        self.queue.set_mode(totals.mode);
    }

    pub(crate) fn restore_type(&mut self, kind: Arc<JobType>) {
        self.queue.dims_mut().intern(&kind.spec.resources);
        self.queue.set_paused(kind.id, kind.spec.is_paused);
        self.queue.set_limit(kind.id, kind.spec.max_scheduled);
        self.queue.set_type_mode(kind.id, kind.spec.mode);
        self.catalog.restore(kind);
    }

    pub(crate) fn restore_counts(&mut self, job_type: JobTypeId, counts: StatusCounts) {
        self.counters.restore(job_type, counts);
    }

    pub(crate) fn restore_submission(&mut self, id: Arc<str>, accepted: Accepted) {
        self.submissions.insert(id, accepted);
    }

    pub(crate) fn restore_load(&mut self, row: LoadRow) {
        self.history.restore(row);
    }

    /// Puts back a job that is not over.
    pub(crate) fn restore_job(
        &mut self,
        id: JobId,
        job: JobState,
        parents: Vec<JobId>,
        restoring: &mut Restoring,
    ) {
        self.open_hash = self.open_hash.wrapping_add(digest(id, &job));
        self.queue.dims_mut().intern(&job.resources);
        let more = job.more.as_deref();
        let priority = more.and_then(|more| more.queue_priority).unwrap_or(job.priority);
        let runs_on = more.filter(|more| more.runs).and_then(|more| more.node);
        if let Some(exe) = job.exe {
            let entry = self.entry_of(id, &job, exe, priority, job.queued.unwrap_or_default());
            if let Some(node) = runs_on {
                // As when it was launched, so that its node is as full as it was.
                let entry = Entry { asks: entry.asks.counted(), ..entry };
                self.queue.count_launched(entry.job_type);
                self.add_running(exe, Running { entry, launch: job.launches, node });
            } else if job.status == JobStatus::Queued {
                self.put_entry(entry, more.is_some_and(|more| more.is_let_through));
            }
        }
        if !parents.is_empty() {
            restoring.parents.push((id, parents));
        }
        self.jobs.insert(id.0, Held::new(job));
    }

    /// Puts the edges back. `over` tells how a job stands that is over, and what it waits for if it is taken
    /// up again, and is asked for each parent of that kind. False where what was put back does not add up to `totals`.
    pub(crate) fn restored<E>(
        &mut self,
        totals: &Totals,
        mut restoring: Restoring,
        mut over: impl FnMut(JobId) -> Result<Option<(JobState, Vec<JobId>)>, E>,
    ) -> Result<bool, E> {
        let adds_up = self.open_hash == totals.open_hash;
        // As they were made, so that children stand in that order.
        restoring.parents.sort_unstable_by_key(|(child, _)| *child);
        for (child, parents) in restoring.parents {
            for parent in &parents {
                if self.job(*parent).is_none() {
                    let failed = over(*parent)?.filter(|(job, _)| job.status != JobStatus::Completed);
                    if let Some((job, again)) = failed {
                        self.jobs.insert(parent.0, Held::new(job));
                        self.graph.keep(*parent, &again);
                    }
                }
            }
            self.add_parents(child, &parents);
        }
        Ok(adds_up)
    }
}
