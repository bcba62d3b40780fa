//! The state cut into rows, so that it can be stored and restored piece by piece.
//!
//! R1  Rows come in the order in which `restore` needs them: what is referred to comes first.

use std::sync::Arc;

use bincode::{Decode, Encode};

use super::fold::{Running, State};
use crate::load::LoadRow;
use crate::model::{
    Accepted, Epoch, EventNumber, ExeId, Job, JobId, JobStatus, JobType, NodeId, QueueMode, Timestamp,
};
use crate::queue::Entry;

/// One piece of the state. Part of the format of the state file.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Row {
    /// Everything that is one of a kind.
    Totals {
        epoch: Epoch,
        now: Timestamp,
        last_event: EventNumber,
        hash: u64,
        n_recipes: u64,
        last_exe: ExeId,
        mode: QueueMode,
    },
    JobType(JobType),
    Job {
        /// Without values and resources where it shares those of the job before it.
        job: Box<Job>,
        shares_values: bool,
        shares_resources: bool,
        /// Its priority in the queue or at launch, where it is there.
        priority: Option<i32>,
    },
    Running {
        exe: ExeId,
        job: JobId,
        priority: i32,
        launch: u32,
        node: NodeId,
    },
    Parents {
        child: JobId,
        parents: Vec<JobId>,
    },
    Submission {
        id: String,
        accepted: Accepted,
    },
    Load(LoadRow),
}

impl State {
    /// All rows of this state.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let totals = Row::Totals {
            epoch: self.epoch,
            now: self.now,
            last_event: self.last_event,
            hash: self.hash,
            n_recipes: self.n_recipes,
            last_exe: self.last_exe,
            mode: self.queue.mode_to_come(),
        };
        let types = self.catalog.iter().cloned().map(Row::JobType);
        let before = std::iter::once(None).chain(self.jobs().iter().map(Some));
        let jobs = self.jobs().iter().zip(before).map(|(job, before)| self.job_row(job, before));
        let running = self.running.iter().map(|(exe, running)| Row::Running {
            exe: *exe,
            job: running.entry.job,
            priority: running.entry.priority,
            launch: running.launch,
            node: running.node,
        });
        let with_parents = self.jobs().iter().map(|job| (job.id, self.graph.parents(job.id)));
        let parents = with_parents
            .filter(|(_, parents)| !parents.is_empty())
            .map(|(child, parents)| Row::Parents { child, parents: parents.to_vec() });
        let submissions = self
            .submissions()
            .map(|(id, accepted)| Row::Submission { id: id.to_string(), accepted: *accepted });
        let load = self.history.iter().copied().map(Row::Load);
        let fixed = std::iter::once(totals).chain(types);
        fixed.chain(jobs).chain(running).chain(parents).chain(submissions).chain(load)
    }

    /// Puts one row back. Rows come in the order of [`State::rows`], into an empty state.
    pub(crate) fn restore(&mut self, row: Row) {
        match row {
            Row::Totals { epoch, now, last_event, n_recipes, last_exe, mode, hash: _ } => {
                (self.epoch, self.now, self.last_event) = (epoch, now, last_event);
                (self.n_recipes, self.last_exe) = (n_recipes, last_exe);
                self.queue.set_mode(mode);
            }
            Row::JobType(kind) => {
                self.queue.dims_mut().intern(&kind.spec.resources);
                self.queue.set_paused(kind.id, kind.spec.is_paused);
                self.queue.set_limit(kind.id, kind.spec.max_scheduled);
                self.queue.set_type_mode(kind.id, kind.spec.mode);
                self.catalog.restore(kind);
            }
            Row::Job { job, shares_values, shares_resources, priority } => {
                self.restore_job(*job, (shares_values, shares_resources), priority);
            }
            Row::Running { exe, job, priority, launch, node } => {
                let Some(known) = self.job(job) else { return };
                let entry = self.entry_of(known, exe, priority, known.queued.unwrap_or_default());
                // As when it was launched, so that its node is as full as it was.
                let entry = Entry { asks: entry.asks.counted(), ..entry };
                self.queue.count_launched(entry.job_type);
                self.add_running(exe, Running { entry, launch, node });
                self.set_job_of(exe, job);
            }
            Row::Parents { child, parents } => self.add_parents(child, &parents),
            Row::Submission { id, accepted } => self.add_submission(&id, accepted),
            Row::Load(row) => self.history.restore(row),
        }
    }

    /// Jobs of one request stand together and share what they were given: it is stored once.
    fn job_row(&self, job: &Job, before: Option<&Job>) -> Row {
        let shares_values = before.is_some_and(|before| Arc::ptr_eq(&before.values, &job.values));
        let shares_resources = before.is_some_and(|before| Arc::ptr_eq(&before.resources, &job.resources));
        let mut row = job.clone();
        if shares_values {
            row.values = Arc::default();
        }
        if shares_resources {
            row.resources = Arc::default();
        }
        let priority = job.exe.and_then(|exe| self.queue.get(exe)).map(|entry| entry.priority);
        Row::Job { job: Box::new(row), shares_values, shares_resources, priority }
    }

    fn restore_job(
        &mut self,
        mut job: Job,
        (shares_values, shares_resources): (bool, bool),
        priority: Option<i32>,
    ) {
        if let Some(before) = self.jobs().last() {
            if shares_values {
                job.values = before.values.clone();
            }
            if shares_resources {
                job.resources = before.resources.clone();
            }
        }
        self.queue.dims_mut().intern(&job.resources);
        if let Some(exe) = job.exe.filter(|_| job.status == JobStatus::Queued) {
            let queued = job.queued.unwrap_or_default();
            let entry = self.entry_of(&job, exe, priority.unwrap_or(job.priority), queued);
            self.queue.put(entry);
            self.set_job_of(exe, job.id);
        }
        self.push_job(job);
    }
}
