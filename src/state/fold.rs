//! The state: a fold of events, and nothing else changes it.
//!
//! Owned by the core; nothing here locks, reads a clock or does I/O.
//!
//! S1  `apply` is total: an event that names what is not there changes nothing.
//! S2  Equal events give equal states, down to `hash`.
//! S3  A job's newest execution is in the queue, among `running`, or over.
//! S4  Counters equal a recount of the jobs.
//! S5  `now` never runs back.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;

use crate::catalog::Catalog;
use crate::load::{Counters, History};
use crate::model::{
    Accepted, ConstraintSetId, Epoch, Event, EventNumber, ExeEnd, ExeId, Job, JobId, JobRange, JobRequest,
    JobStatus, JobTypeId, LaunchName, NodeId, Outcome, QueueMode, RecipeId, RecipeNodes, Timestamp, Usage,
};
use crate::queue::{Amounts, Entry, Queue};
use crate::recipe::Graph;

/// An execution that was launched and has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) entry: Entry,
    pub(crate) launch: u32,
    pub(crate) node: NodeId,
}

/// Everything the engine knows that outlives it.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
    /// The newest event folded in.
    pub(crate) last_event: EventNumber,
    /// A wrapping sum of the jobs' digests.
    pub(crate) hash: u64,
    pub(crate) catalog: Catalog,
    pub(crate) queue: Queue,
    pub(crate) running: BTreeMap<ExeId, Running>,
    pub(crate) graph: Graph,
    pub(crate) counters: Counters,
    pub(crate) history: History,
    pub(crate) n_recipes: u64,
    /// The newest execution id given away.
    pub(crate) last_exe: ExeId,
    /// What runs on each node, by what it got.
    in_use: BTreeMap<NodeId, Amounts>,
    jobs: Vec<Job>,
    submissions: BTreeMap<Arc<str>, Accepted>,
    /// Jobs of executions that are queued or run.
    job_of: HashMap<ExeId, JobId>,
}

/// Mixes `value` into `sum`, so that order matters and every bit of both spreads.
fn mix(sum: u64, value: u64) -> u64 {
    let mut x = (sum ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 32)
}

/// What of a job the state hash covers. Part of the format: a change of it is a new format.
fn digest(job: &Job) -> u64 {
    let exe = job.exe.map_or(0, |exe| exe.0);
    let priority = u64::from(job.priority.cast_unsigned());
    let counts = u64::from(job.num_exes) << 32 | u64::from(job.launches);
    let tries = u64::from(job.tries) << 16 | u64::from(job.max_tries);
    let status = job.status as u64;
    [u64::from(job.job_type.0), status, exe, priority, counts, tries].into_iter().fold(mix(1, job.id.0), mix)
}

impl State {
    /// All jobs, by id.
    pub(crate) fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    fn index(id: JobId) -> Option<usize> {
        usize::try_from(id.0).ok()?.checked_sub(1)
    }

    pub(crate) fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(Self::index(id)?)
    }

    /// The job of an execution that is queued or runs.
    pub(crate) fn job_of(&self, exe: ExeId) -> Option<JobId> {
        self.job_of.get(&exe).copied()
    }

    pub(crate) fn submission(&self, id: &str) -> Option<Accepted> {
        self.submissions.get(id).copied()
    }

    pub(crate) fn submissions(&self) -> impl Iterator<Item = (&Arc<str>, &Accepted)> {
        self.submissions.iter()
    }

    pub(crate) fn next_job(&self) -> JobId {
        JobId(self.jobs.len() as u64 + 1)
    }

    pub(crate) fn next_recipe(&self) -> RecipeId {
        RecipeId(self.n_recipes + 1)
    }

    /// Changes a job and keeps hash and counters true.
    fn change(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        let Some(job) = Self::index(id).and_then(|at| self.jobs.get_mut(at)) else { return };
        let before = (digest(job), job.status);
        change(job);
        self.hash = self.hash.wrapping_sub(before.0).wrapping_add(digest(job));
        self.counters.moved(job.job_type, before.1, job.status);
    }

    pub(super) fn add_parents(&mut self, child: JobId, parents: &[JobId]) {
        let is_unmet = |id: &&JobId| self.job(**id).is_none_or(|job| job.status != JobStatus::Completed);
        let n_unmet = parents.iter().filter(is_unmet).count();
        self.graph.add(child, parents, u32::try_from(n_unmet).unwrap_or(u32::MAX));
    }

    pub(super) fn add_submission(&mut self, id: &str, accepted: Accepted) {
        self.submissions.insert(id.into(), accepted);
    }

    pub(super) fn set_job_of(&mut self, exe: ExeId, job: JobId) {
        self.job_of.insert(exe, job);
    }

    pub(super) fn push_job(&mut self, job: Job) {
        self.hash = self.hash.wrapping_add(digest(&job));
        self.counters.add(job.job_type, job.status);
        self.jobs.push(job);
    }

    fn set_status(job: &mut Job, status: JobStatus, when: Timestamp) {
        job.status = status;
        job.last_status_change = when;
        if status.is_final() {
            job.ended = Some(when);
        }
    }

    /// Folds one event in.
    pub(crate) fn apply(&mut self, event: &Event) {
        self.last_event.0 += 1;
        match event {
            Event::EngineStarted { epoch, when } => {
                self.epoch = *epoch;
                self.pass(*when);
            }
            Event::JobTypePut { id, spec, when } => {
                self.pass(*when);
                self.catalog.put(*id, spec.clone(), *when);
                self.queue.dims_mut().intern(&spec.resources);
                self.queue.set_paused(*id, spec.is_paused);
                self.queue.set_limit(*id, spec.max_scheduled);
                self.queue.start_turn(Some(*id), spec.mode);
            }
            Event::JobTypePaused { id, is_paused, when } => {
                self.pass(*when);
                if let Some(known) = self.catalog.get_mut(*id) {
                    known.paused = is_paused.then_some(*when);
                    known.spec.is_paused = *is_paused;
                    known.last_modified = *when;
                    self.queue.set_paused(*id, *is_paused);
                }
            }
            Event::JobTypeLimited { id, max_scheduled, when } => {
                self.pass(*when);
                if let Some(known) = self.catalog.get_mut(*id) {
                    known.spec.max_scheduled = *max_scheduled;
                    known.last_modified = *when;
                    self.queue.set_limit(*id, *max_scheduled);
                }
            }
            Event::QueueModeSet { job_type, mode } => self.set_mode(*job_type, *mode),
            Event::JobsCreated { first, request, recipe, when } => {
                self.pass(*when);
                self.create(*first, request, recipe.as_ref(), *when);
            }
            Event::JobParents { child, parents } => self.add_parents(*child, parents),
            Event::SubmissionAccepted { id, accepted } => self.add_submission(id, *accepted),
            Event::JobsQueued { first_exe, jobs, priority, when } => {
                self.pass(*when);
                self.queue_jobs(*first_exe, jobs, *priority, *when);
            }
            Event::JobsMarked { jobs, status, when } => {
                self.pass(*when);
                for &job in jobs {
                    self.change(job, |job| Self::set_status(job, *status, *when));
                }
            }
            Event::Launched { launch, node, when } => {
                self.pass(*when);
                self.launched(*launch, *node, *when);
            }
            Event::LaunchReturned { launch, when } => {
                self.pass(*when);
                self.returned(*launch, *when);
            }
            Event::ExeEnded { end, status, uses_try } => {
                self.pass(end.ended);
                self.ended(end, *status, *uses_try);
            }
            Event::JobsCanceled { jobs, when } => {
                self.pass(*when);
                for &job in jobs {
                    self.cancel(job, *when);
                }
            }
            Event::PriorityChanged { jobs, priority, when } => {
                self.pass(*when);
                for &job in jobs {
                    self.set_priority(job, *priority);
                }
            }
            Event::LoadTaken { measured, keep_rows } => {
                self.history.take(*measured, &self.counters, *keep_rows);
            }
        }
    }

    fn pass(&mut self, when: Timestamp) {
        self.now = self.now.max(when);
    }

    fn set_mode(&mut self, job_type: Option<JobTypeId>, mode: Option<QueueMode>) {
        if let Some(id) = job_type {
            let Some(known) = self.catalog.get_mut(id) else { return };
            known.spec.mode = mode;
        }
        // The engine turns the lanes, some at a time.
        self.queue.start_turn(job_type, mode);
    }

    fn create(&mut self, first: JobId, request: &JobRequest, recipe: Option<&RecipeNodes>, when: Timestamp) {
        let Some(kind) = self.catalog.get(request.job_type) else { return };
        if first != self.next_job() {
            return;
        }
        let (revision, spec) = (kind.revision, &kind.spec);
        let resources = match &request.resources {
            Some(own) => spec.resources.overridden_by(own).unwrap_or_else(|_| spec.resources.clone()),
            None => spec.resources.clone(),
        };
        let resources = Arc::new(resources);
        let (priority, max_tries) = (request.priority.unwrap_or(spec.priority), spec.max_tries);
        self.queue.dims_mut().intern(&resources);
        if let Some(nodes) = recipe {
            self.n_recipes = self.n_recipes.max(nodes.recipe.0);
        }
        for n in 0..u64::from(request.count) {
            self.push_job(Job {
                id: JobId(first.0 + n),
                job_type: request.job_type,
                revision,
                tenant: request.tenant,
                status: JobStatus::Pending,
                priority,
                resources: resources.clone(),
                values: request.values.clone(),
                recipe: recipe.map(|nodes| (nodes.recipe, nodes.name.clone())),
                num_exes: 0,
                tries: 0,
                max_tries,
                exe: None,
                launches: 0,
                created: when,
                queued: None,
                started: None,
                ended: None,
                last_status_change: when,
                end: None,
                node: None,
            });
        }
    }

    pub(super) fn entry_of(&self, job: &Job, exe: ExeId, priority: i32, queued: Timestamp) -> Entry {
        Entry {
            id: exe,
            job: job.id,
            job_type: job.job_type,
            tenant: job.tenant,
            constraints: ConstraintSetId::default(),
            priority,
            queued,
            asks: self.queue.dims().lookup(&job.resources),
        }
    }

    fn queue_jobs(&mut self, first_exe: ExeId, jobs: &JobRange, priority: Option<i32>, when: Timestamp) {
        for (id, exe) in jobs.iter().zip((first_exe.0..).map(ExeId)) {
            let Some(job) = self.job(id) else { continue };
            let old = job.exe.filter(|_| job.status == JobStatus::Queued);
            let entry = self.entry_of(job, exe, priority.unwrap_or(job.priority), when);
            if let Some(old) = old {
                self.queue.cancel(old);
                self.job_of.remove(&old);
            }
            self.change(id, |job| {
                job.exe = Some(exe);
                job.num_exes += 1;
                job.launches = 0;
                job.queued = Some(when);
                (job.started, job.ended, job.node) = (None, None, None);
                Self::set_status(job, JobStatus::Queued, when);
            });
            self.queue.put(entry);
            self.job_of.insert(exe, id);
            self.last_exe = self.last_exe.max(exe);
        }
    }

    fn launched(&mut self, launch: LaunchName, node: NodeId, when: Timestamp) {
        let Some(entry) = self.queue.launch(launch.exe) else { return };
        self.add_running(launch.exe, Running { entry, launch: launch.number, node });
        self.change(entry.job, |job| {
            (job.started, job.node, job.launches) = (Some(when), Some(node), launch.number);
            Self::set_status(job, JobStatus::Running, when);
        });
    }

    /// What runs on a node, by what it got.
    pub(crate) fn in_use(&self, node: NodeId) -> Amounts {
        self.in_use.get(&node).copied().unwrap_or_default()
    }

    pub(super) fn add_running(&mut self, exe: ExeId, running: Running) {
        let in_use = self.in_use.entry(running.node).or_default();
        *in_use = in_use.plus(&running.entry.asks);
        self.running.insert(exe, running);
    }

    /// The execution of this launch, taken from the running; `None` for a name not on record.
    fn take_running(&mut self, launch: LaunchName) -> Option<Running> {
        let running = *self.running.get(&launch.exe).filter(|running| running.launch == launch.number)?;
        self.running.remove(&launch.exe);
        if let Some(in_use) = self.in_use.get_mut(&running.node) {
            *in_use = in_use.minus_or_zero(&running.entry.asks);
        }
        self.queue.end(running.entry.job_type);
        Some(running)
    }

    fn returned(&mut self, launch: LaunchName, when: Timestamp) {
        let Some(Running { entry, .. }) = self.take_running(launch) else { return };
        if self.job(entry.job).is_none_or(|job| job.status != JobStatus::Running) {
            self.job_of.remove(&launch.exe);
            return;
        }
        self.change(entry.job, |job| {
            (job.started, job.node) = (None, None);
            Self::set_status(job, JobStatus::Queued, when);
        });
        self.queue.put(entry);
    }

    fn ended(&mut self, end: &ExeEnd, status: JobStatus, uses_try: bool) {
        let Some(Running { entry, .. }) = self.take_running(end.launch) else { return };
        self.job_of.remove(&end.launch.exe);
        self.change(entry.job, |job| {
            job.end = Some(end.clone());
            job.tries = job.tries.saturating_add(u16::from(uses_try));
            if job.status != status {
                Self::set_status(job, status, end.ended);
            }
        });
        if status == JobStatus::Completed {
            self.graph.complete(entry.job);
        }
    }

    fn cancel(&mut self, id: JobId, when: Timestamp) {
        let Some(job) = self.job(id) else { return };
        let queued = job.exe.filter(|_| job.status == JobStatus::Queued);
        let end = queued.map(|exe| ExeEnd {
            launch: LaunchName { exe, number: job.launches },
            exe_num: job.num_exes,
            outcome: Outcome::Canceled,
            usage: Usage::default(),
            ended: when,
        });
        if let Some(exe) = queued {
            self.queue.cancel(exe);
            self.job_of.remove(&exe);
        }
        self.change(id, |job| {
            job.end = end.or(job.end.take());
            Self::set_status(job, JobStatus::Canceled, when);
        });
    }

    fn set_priority(&mut self, id: JobId, priority: i32) {
        let Some(job) = self.job(id) else { return };
        if let Some(exe) = job.exe {
            self.queue.set_priority(exe, priority);
            // Should its launch come to nothing, it goes back under the new one.
            if let Some(running) = self.running.get_mut(&exe) {
                running.entry.priority = priority;
            }
        }
        self.change(id, |job| job.priority = priority);
    }

    /// Holds S3, S4 and the hash against a recount.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        self.queue.check_invariants();
        let mut counters = Counters::default();
        let mut hash = 0_u64;
        for job in &self.jobs {
            counters.add(job.job_type, job.status);
            hash = hash.wrapping_add(digest(job));
            let exe = job.exe.unwrap_or_default();
            let is_queued = self.queue.get(exe).is_some();
            let is_running = self.running.contains_key(&exe);
            assert_eq!(is_queued, job.status == JobStatus::Queued, "S3: {job:?}");
            assert!(is_running || job.status != JobStatus::Running, "S3: {job:?}");
            assert_eq!(self.job_of.contains_key(&exe), is_queued || is_running, "S3: {job:?}");
        }
        assert!(counters.iter().eq(self.counters.iter()), "S4");
        assert_eq!(hash, self.hash, "hash");
        let n_queued = self.queue.len() + self.queue.n_picked();
        assert_eq!(self.job_of.len(), n_queued + self.running.len(), "S3: executions");
        for kind in self.catalog.iter() {
            let of_type = |running: &&Running| running.entry.job_type == kind.id;
            let n_running = self.running.values().filter(of_type).count();
            let n_taken = self.queue.n_taken(kind.id) as usize;
            assert!((n_running..=n_running + self.queue.n_picked()).contains(&n_taken), "S3: taken");
        }
    }
}
