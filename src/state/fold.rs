//! The state: a fold of events, and nothing else changes it. It holds what is not over; the rest is
//! in the store.
//!
//! Owned by the core; nothing here locks, reads a clock or does I/O.
//!
//! S1  `apply` is total: an event that names what is not there changes nothing.
//! S2  Equal events give equal states, down to `hash`.
//! S3  A job's newest execution is in the queue, among `running`, or over. One that runs although its job
//!     was queued again is *overtaken*, and has a document that says so.
//! S4  Counters equal a recount of the jobs.
//! S5  `now` never runs back.
//! S6  A job that is not here is over. One that failed or was canceled stays while a job that is not
//!     over waits for it, so that a missing parent is a completed one. What one waited for that was canceled
//!     before it was ever queued is known as long as the job is, here or in the store.
//! S7  `delta` holds every job that was changed, as it is now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::HashMap;

use super::delta::{Changed, Delta, Kind, Totals};
use super::docs::Docs;
use super::on_nodes::OnNodes;
use super::paged::Paged;
use super::recipes::Recipes;
use super::submissions::Submissions;
use crate::catalog::Catalog;
use crate::job::can_be_uncanceled;
use crate::limits::LEFT_MAX;
use crate::load::{Counters, History, LoadRow, StatusCounts};
use crate::model::{
    Accepted, ConstraintSetId, Creation, Doc, DocKey, Epoch, Event, EventNumber, ExeEnd, ExeId, Extra, Given,
    JobId, JobRange, JobRequest, JobState, JobStatus, JobType, JobTypeId, LaunchName, More, NodeId,
    NodeResources, Outcome, QueueMode, QueuedJobExecution, RecipeId, RecipeNodes, Timestamp, Usage,
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

/// Everything the engine has to know to decide what comes next.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) epoch: Epoch,
    pub(crate) now: Timestamp,
    /// The newest event folded in.
    pub(crate) last_event: EventNumber,
    /// A wrapping sum of the digests of all jobs that ever were.
    pub(crate) hash: u64,
    /// The part of it of jobs that are not over.
    pub(super) open_hash: u64,
    pub(crate) catalog: Catalog,
    pub(crate) queue: Queue,
    pub(crate) running: BTreeMap<ExeId, Running>,
    pub(crate) graph: Graph,
    pub(crate) counters: Counters,
    pub(crate) history: History,
    pub(super) keep_load_rows: u32,
    pub(super) n_jobs: u64,
    pub(crate) n_recipes: u64,
    /// The newest execution id given away.
    pub(crate) last_exe: ExeId,
    on_nodes: OnNodes,
    pub(super) jobs: Paged<Held>,
    last_resources: Arc<NodeResources>,
    pub(super) submissions: Submissions,
    /// Jobs that were over after the last event; they leave before the next one that does not queue
    /// them again.
    ending: Vec<JobId>,
    left: Left,
    pub(super) docs: Docs,
    pub(super) recipes: Recipes,
    /// Nothing is launched.
    pub(super) is_paused: bool,
    /// Nodes on which nothing is launched.
    pub(super) held_nodes: BTreeSet<NodeId>,
    pub(super) delta: Delta,
    /// Jobs that were changed and are not in `delta` yet.
    noted: Vec<JobId>,
}

/// A job that is here.
pub(super) struct Held {
    job: JobState,
    /// It stands in `noted`.
    is_noted: bool,
    /// What it was when it was noted; none where it was new.
    before: Option<Kind>,
}

impl Held {
    pub(super) fn new(job: JobState) -> Self {
        Self { job, is_noted: false, before: None }
    }

    /// True where it was not noted before. `before` is what it was.
    fn note(&mut self, before: Option<Kind>) -> bool {
        let is_new = !std::mem::replace(&mut self.is_noted, true);
        if is_new {
            self.before = before;
        }
        is_new
    }
}

/// Jobs that were over lately, so that facts read from the store can be told from stale ones.
#[derive(Default)]
struct Left {
    order: VecDeque<(EventNumber, JobId)>,
    newest: HashMap<JobId, (EventNumber, JobStatus)>,
    /// Those that left up to this event may be forgotten.
    forgotten: EventNumber,
}

/// What is known of a job that is not in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It never was.
    Unknown,
    /// It left like this.
    As(JobStatus),
    /// It left before the position given: what was read there is true.
    Before,
    /// It may have left after that position.
    Unsure,
}

/// Mixes `value` into `sum`, so that order matters and every bit of both spreads.
fn mix(sum: u64, value: u64) -> u64 {
    let mut x = (sum ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ (x >> 32)
}

/// What of a job the state hash covers. Part of the format: a change of it is a new format.
pub(crate) fn digest(id: JobId, job: &JobState) -> u64 {
    let exe = job.exe.map_or(0, |exe| exe.0);
    let priority = u64::from(job.priority.cast_unsigned());
    let counts = u64::from(job.num_exes) << 32 | u64::from(job.launches);
    let tries = u64::from(job.tries) << 16 | u64::from(job.max_tries);
    let status = job.status as u64;
    [u64::from(job.job_type.0), status, exe, priority, counts, tries].into_iter().fold(mix(1, id.0), mix)
}

fn open_digest(id: JobId, job: &JobState) -> u64 {
    if job.is_open() { digest(id, job) } else { 0 }
}

impl State {
    /// A job that is not over, or that somebody who is not over waits for.
    pub(crate) fn job(&self, id: JobId) -> Option<&JobState> {
        self.jobs.get(id.0).map(|held| &held.job)
    }

    /// The jobs that are here, by id, for tests.
    #[cfg(test)]
    pub(crate) fn jobs(&self) -> impl Iterator<Item = (JobId, &JobState)> {
        self.jobs.iter().map(|(id, held)| (JobId(id), &held.job))
    }

    /// True for a job that ever was made.
    pub(crate) fn was_made(&self, id: JobId) -> bool {
        (1..=self.n_jobs).contains(&id.0)
    }

    /// What is known of a job that is not here, against facts that were read at `position`.
    pub(crate) fn gone(&self, id: JobId, position: EventNumber) -> Gone {
        if !self.was_made(id) {
            return Gone::Unknown;
        }
        match self.left.newest.get(&id) {
            Some((when, status)) if *when > position => Gone::As(*status),
            None if position < self.left.forgotten => Gone::Unsure,
            _ => Gone::Before,
        }
    }

    pub(crate) fn submission(&self, id: &str) -> Option<Accepted> {
        self.submissions.get(id)
    }

    pub(crate) fn next_job(&self) -> JobId {
        JobId(self.n_jobs + 1)
    }

    pub(crate) fn next_recipe(&self) -> RecipeId {
        RecipeId(self.n_recipes + 1)
    }

    /// What is one of a kind.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            epoch: self.epoch,
            now: self.now,
            last_event: self.last_event,
            hash: self.hash,
            open_hash: self.open_hash,
            n_jobs: self.n_jobs,
            n_recipes: self.n_recipes,
            last_exe: self.last_exe,
            mode: self.queue.mode_to_come(),
            keep_load_rows: self.keep_load_rows,
        }
    }

    /// What changed since this was asked last.
    pub(crate) fn take_delta(&mut self) -> Delta {
        self.let_go();
        let mut delta = Delta { totals: self.totals(), ..std::mem::take(&mut self.delta) };
        delta.jobs.reserve_exact(self.noted.len());
        for id in self.noted.drain(..) {
            // Those that left are there already.
            let Some(held) = self.jobs.get_mut(id.0).filter(|held| held.is_noted) else { continue };
            held.is_noted = false;
            let (before, job) = (held.before, held.job.clone());
            let parents = self.graph.parents(id).to_vec();
            delta.jobs.push(Changed { id, before, job, parents });
        }
        for changed in &delta.jobs {
            let id = changed.job.job_type;
            if delta.counts.last().is_none_or(|(last, _)| *last != id) {
                delta.counts.push((id, self.counters.of(id)));
            }
        }
        delta
    }

    /// Changes a job and keeps hash, counters and delta true.
    pub(super) fn change(&mut self, id: JobId, change: impl FnOnce(&mut JobState)) {
        let Some(held) = self.jobs.get_mut(id.0) else { return };
        let job = &mut held.job;
        let (before, was_open, kind) = (digest(id, job), job.is_open(), Kind::of(job));
        let had_input = !job.extra().lacks_input;
        change(job);
        let is_in_recipe = job.more.as_ref().is_some_and(|more| more.recipe.is_some());
        let is = (job.status, !job.extra().lacks_input);
        let (after, is_open) = (digest(id, job), job.is_open());
        self.hash = self.hash.wrapping_sub(before).wrapping_add(after);
        let part = |is_open, digest| if is_open { digest } else { 0 };
        self.open_hash =
            self.open_hash.wrapping_sub(part(was_open, before)).wrapping_add(part(is_open, after));
        self.counters.moved(job.job_type, kind.status, job.status);
        if !is_open {
            self.ending.push(id);
        }
        if held.note(Some(kind)) {
            self.noted.push(id);
        }
        if is_open && !was_open {
            self.wait_again(id);
        }
        if is_in_recipe && (kind.status, had_input) != is {
            self.job_changed(id, kind.status, is);
        }
    }

    /// Puts the edges back of a job that was over.
    fn wait_again(&mut self, id: JobId) {
        let parents = self.graph.reopen(id);
        if parents.is_empty() {
            return;
        }
        self.add_parents(id, &parents);
        // Those that were taken up for it are written anew: the store drops nothing that has just changed.
        for parent in parents {
            let Some(held) = self.jobs.get_mut(parent.0).filter(|held| !held.job.is_open()) else { continue };
            let kind = Kind::of(&held.job);
            if held.note(Some(kind)) {
                self.noted.push(parent);
            }
        }
    }

    /// What a job that is over waits for if it is taken up again.
    fn parents_of_over(&self, id: JobId) -> Vec<JobId> {
        if !self.job(id).is_some_and(can_be_uncanceled) {
            return Vec::new();
        }
        self.graph.parents(id).iter().copied().filter(|parent| self.is_unmet(*parent)).collect()
    }

    fn is_unmet(&self, parent: JobId) -> bool {
        self.job(parent).is_some_and(|job| job.status != JobStatus::Completed)
    }

    /// Forgets the jobs that are over.
    fn let_go(&mut self) {
        if self.ending.is_empty() {
            return;
        }
        let mut ending = std::mem::take(&mut self.ending);
        let mut free = Vec::new();
        for id in ending.drain(..) {
            if self.job(id).is_none_or(JobState::is_open) {
                continue;
            }
            let again = self.parents_of_over(id);
            let again = self.graph.end(id, again, |parent, again| free.push((parent, again)));
            for (parent, again) in free.drain(..) {
                self.leave(parent, again);
            }
            self.leave(id, again);
        }
        self.ending = ending;
    }

    /// `parents` are those it waits for if it is taken up again.
    fn leave(&mut self, id: JobId, parents: Vec<JobId>) {
        let holds = |job: &JobState| {
            job.is_open() || (job.status != JobStatus::Completed && self.graph.has_open_children(id))
        };
        if self.job(id).is_none_or(holds) {
            return;
        }
        let Some(Held { job, is_noted, before }) = self.jobs.remove(id.0) else { return };
        self.left.add(self.last_event, id, job.status);
        if is_noted {
            self.delta.jobs.push(Changed { id, before, job, parents });
        }
    }

    pub(super) fn add_parents(&mut self, child: JobId, parents: &[JobId]) {
        let n_unmet = parents.iter().filter(|parent| self.is_unmet(**parent)).count();
        let is_over = |id: JobId| self.jobs.get(id.0).is_none_or(|held| !held.job.is_open());
        self.graph.add(child, parents, u32::try_from(n_unmet).unwrap_or(u32::MAX), is_over);
    }

    fn give_parents(&mut self, child: JobId, parents: &[JobId]) {
        match self.job(child).map(JobState::is_open) {
            Some(true) => {
                self.add_parents(child, parents);
                self.change(child, |_| {});
            }
            // Taken up from the store, which knows it.
            Some(false) => self.graph.keep(child, parents),
            None => {}
        }
    }

    fn set_status(job: &mut JobState, status: JobStatus, when: Timestamp) {
        job.status = status;
        job.last_status_change = when;
        if status.is_final() {
            job.more().ended = Some(when);
        }
    }

    /// Folds one event in.
    pub(crate) fn apply(&mut self, event: &Event) {
        if !matches!(event, Event::JobsQueued { .. }) {
            self.let_go();
        }
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
                self.note_type(*id);
            }
            Event::JobTypePaused { id, is_paused, when } => {
                self.pass(*when);
                if let Some(known) = self.catalog.get_mut(*id) {
                    known.paused = is_paused.then_some(*when);
                    known.spec.is_paused = *is_paused;
                    known.last_modified = *when;
                    self.queue.set_paused(*id, *is_paused);
                    self.note_type(*id);
                }
            }
            Event::JobTypeLimited { id, max_scheduled, when } => {
                self.pass(*when);
                if let Some(known) = self.catalog.get_mut(*id) {
                    known.spec.max_scheduled = *max_scheduled;
                    known.last_modified = *when;
                    self.queue.set_limit(*id, *max_scheduled);
                    self.note_type(*id);
                }
            }
            Event::QueueModeSet { job_type, mode } => self.set_mode(*job_type, *mode),
            Event::JobsCreated { first, request, recipe, when } => {
                self.pass(*when);
                self.create(*first, request, recipe.as_ref(), *when);
            }
            Event::JobParents { child, parents } => self.give_parents(*child, parents),
            Event::SubmissionAccepted { id, accepted } => {
                let id: Arc<str> = id.as_str().into();
                self.submissions.insert(id.clone(), *accepted);
                self.delta.submissions.push((id, *accepted));
            }
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
                self.pass(*measured);
                self.history.take(*measured, &self.counters, *keep_rows, &mut self.delta.load);
                self.keep_load_rows = *keep_rows;
            }
            Event::LoadPut { rows, keep_rows } => {
                let rows: Vec<LoadRow> = rows.iter().map(LoadRow::from).collect();
                self.history.put_rows(&rows, *keep_rows, &mut self.delta.load);
                self.keep_load_rows = *keep_rows;
            }
            Event::LoadDropped { measured } => self.history.drop_all(measured, &mut self.delta.load),
            Event::DocPut(doc) => self.put_doc(doc),
            Event::DocDropped(key) => self.drop_doc(*key),
            Event::DocsDropped { kind, id, n } => {
                for sub in 0..u64::from(*n) {
                    self.drop_doc(DocKey { kind: *kind, id: *id, sub });
                }
            }
            Event::JobsPutBack { jobs, when } => {
                self.pass(*when);
                for &job in jobs {
                    self.put_back(job, *when);
                }
            }
            Event::InputProcessed { job, input_mib, resources } => {
                self.process_input(*job, *input_mib, resources.as_ref());
            }
            Event::JobsSuperseded { jobs, when } => {
                self.pass(*when);
                for &job in jobs {
                    self.change(job, |job| job.more().extra.superseded = Some(*when));
                }
            }
            Event::TriesSet { jobs, max_tries } => {
                for (&job, &max_tries) in jobs.iter().zip(max_tries) {
                    self.change(job, |job| job.max_tries = max_tries);
                }
            }
            Event::JobsRestored(restored) => {
                for (id, job) in &restored.0 {
                    self.set(*id, job);
                }
            }
            Event::JobsAsk { jobs, resources } => {
                self.queue.dims_mut().intern(resources);
                let resources = self.shared(resources.clone());
                for &job in jobs {
                    self.ask(job, &resources);
                }
            }
            Event::JobsLetThrough { jobs, when } => {
                self.pass(*when);
                for &job in jobs {
                    self.let_through(job);
                }
            }
            Event::JobsRecalled(recalled) => {
                for (id, job) in &recalled.0 {
                    if self.jobs.get(id.0).is_none() && !job.is_open() {
                        self.jobs.insert(id.0, Held::new(job.clone()));
                    }
                }
            }
        }
    }

    /// Puts a canceled job back where it waited.
    fn put_back(&mut self, id: JobId, when: Timestamp) {
        let Some(job) = self.job(id).filter(|job| job.status == JobStatus::Canceled) else { return };
        let (Some(exe), Some(queued)) = (job.exe, job.queued) else { return };
        let priority = job.more.as_ref().and_then(|more| more.queue_priority).unwrap_or(job.priority);
        let is_let_through = job.more.as_ref().is_some_and(|more| more.is_let_through);
        let entry = self.entry_of(id, job, exe, priority, queued);
        self.change(id, |job| {
            let more = job.more();
            (more.end, more.ended) = (None, None);
            job.tidy();
            Self::set_status(job, JobStatus::Queued, when);
        });
        self.put_entry(entry, is_let_through);
    }

    /// Makes a job what it is told to be.
    fn set(&mut self, id: JobId, new: &JobState) {
        let Some(old) = self.job(id) else { return };
        let is_completed = new.status == JobStatus::Completed && old.status != JobStatus::Completed;
        if let Some(exe) = old.exe.filter(|_| old.status == JobStatus::Queued) {
            self.queue.cancel(exe);
        }
        self.queue.dims_mut().intern(&new.resources);
        self.change(id, |job| *job = new.clone());
        if is_completed {
            self.graph.complete(id);
        }
        if let Some(exe) = new.exe {
            self.last_exe = self.last_exe.max(exe);
            if new.status == JobStatus::Queued {
                let priority = new.more.as_ref().and_then(|more| more.queue_priority).unwrap_or(new.priority);
                let entry = self.entry_of(id, new, exe, priority, new.queued.unwrap_or(new.created));
                self.put_entry(entry, new.more.as_ref().is_some_and(|more| more.is_let_through));
            }
        }
    }

    fn note_type(&mut self, id: JobTypeId) {
        self.delta.job_types.extend(self.catalog.get(id).cloned());
    }

    fn pass(&mut self, when: Timestamp) {
        self.now = self.now.max(when);
    }

    fn set_mode(&mut self, job_type: Option<JobTypeId>, mode: Option<QueueMode>) {
        if let Some(id) = job_type {
            let Some(known) = self.catalog.get_mut(id) else { return };
            known.spec.mode = mode;
            self.note_type(id);
        }
        // The engine turns the lanes, some at a time.
        self.queue.start_turn(job_type, mode);
    }

    /// The revision that jobs of a type are made with, where nothing else is said.
    fn revision_of(&self, kind: &JobType) -> u32 {
        match self.docs.get(crate::model::kind::JOB_TYPE, u64::from(kind.id.0)).map(|doc| &**doc) {
            Some(Doc::JobType(details)) => details.revision,
            _ => kind.revision,
        }
    }

    fn create(&mut self, first: JobId, request: &JobRequest, recipe: Option<&RecipeNodes>, when: Timestamp) {
        let Some(kind) = self.catalog.get(request.job_type) else { return };
        if first != self.next_job() {
            return;
        }
        let given = request.given.as_deref();
        let revision = given.and_then(|given| given.revision).unwrap_or_else(|| self.revision_of(kind));
        let spec = &kind.spec;
        let resources = match &request.resources {
            // What was made of a manifest and an input is all there is.
            Some(own) if given.is_some() => own.clone(),
            Some(own) => spec.resources.overridden_by(own).unwrap_or_else(|_| spec.resources.clone()),
            None => spec.resources.clone(),
        };
        let (priority, max_tries) = (request.priority.unwrap_or(spec.priority), spec.max_tries);
        let resources = self.shared(resources);
        self.queue.dims_mut().intern(&resources);
        let id = recipe.map(|nodes| nodes.recipe);
        self.n_recipes = self.n_recipes.max(id.map_or(0, |id| id.0));
        let job = JobState {
            created: when,
            last_status_change: when,
            queued: None,
            exe: None,
            resources,
            more: Self::more_of(id, given),
            job_type: request.job_type,
            revision,
            tenant: request.tenant,
            priority,
            num_exes: 0,
            launches: 0,
            tries: 0,
            max_tries,
            status: JobStatus::Pending,
        };
        for id in (0..u64::from(request.count)).map(|n| JobId(first.0 + n)) {
            let digest = digest(id, &job);
            self.hash = self.hash.wrapping_add(digest);
            self.open_hash = self.open_hash.wrapping_add(digest);
            self.counters.add(job.job_type, job.status);
            let mut held = Held::new(job.clone());
            held.note(None);
            self.jobs.insert(id.0, held);
            self.noted.push(id);
        }
        self.n_jobs += u64::from(request.count);
        let creation = Creation { first, request: request.clone(), recipe: recipe.cloned() };
        self.delta.created.push(Arc::new(creation));
    }

    fn more_of(recipe: Option<RecipeId>, given: Option<&Given>) -> Option<Box<More>> {
        let extra = given.map_or(Extra::default(), |given| Extra {
            batch: given.batch,
            input_mib: given.input_mib,
            superseded: None,
            lacks_input: given.input.is_empty(),
        });
        let more = More { recipe, extra, ..More::default() };
        (more != More::default()).then(|| Box::new(more))
    }

    /// The jobs of several requests in a row often ask for the same.
    pub(super) fn shared(&mut self, resources: NodeResources) -> Arc<NodeResources> {
        if *self.last_resources != resources {
            self.last_resources = Arc::new(resources);
        }
        self.last_resources.clone()
    }

    pub(super) fn entry_of(
        &self,
        id: JobId,
        job: &JobState,
        exe: ExeId,
        priority: i32,
        queued: Timestamp,
    ) -> Entry {
        Entry {
            id: exe,
            job: id,
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
            let entry = self.entry_of(id, job, exe, priority.unwrap_or(job.priority), when);
            if job.num_exes > 0 {
                let before = job.clone();
                self.note_execution(id, &before, when);
            }
            if let Some(old) = old {
                self.queue.cancel(old);
            }
            self.change(id, |job| {
                job.exe = Some(exe);
                job.num_exes += 1;
                job.launches = 0;
                job.queued = Some(when);
                let queue_priority = priority.filter(|own| *own != job.priority);
                if job.more.is_some() || queue_priority.is_some() {
                    let more = job.more();
                    (more.started, more.ended, more.node, more.runs) = (None, None, None, false);
                    more.is_let_through = false;
                    more.queue_priority = queue_priority;
                    job.tidy();
                }
                Self::set_status(job, JobStatus::Queued, when);
            });
            self.queue.put(entry);
            self.last_exe = self.last_exe.max(exe);
        }
    }

    fn launched(&mut self, launch: LaunchName, node: NodeId, when: Timestamp) {
        let Some(entry) = self.queue.launch(launch.exe) else { return };
        self.add_running(launch.exe, Running { entry, launch: launch.number, node });
        self.change(entry.job, |job| {
            job.launches = launch.number;
            let more = job.more();
            (more.started, more.node, more.runs) = (Some(when), Some(node), true);
            Self::set_status(job, JobStatus::Running, when);
        });
    }

    /// What is told of an entry of the queue.
    pub(crate) fn queued_execution(&self, entry: &Entry) -> QueuedJobExecution {
        QueuedJobExecution {
            id: entry.id,
            job: entry.job,
            job_type: entry.job_type,
            tenant: entry.tenant,
            exe_num: self.job(entry.job).map_or(0, |job| job.num_exes),
            priority: entry.priority,
            queued: entry.queued,
            resources: self.queue.named(&entry.asks),
        }
    }

    /// What runs on a node, by what it got.
    pub(crate) fn in_use(&self, node: NodeId) -> Amounts {
        self.on_nodes.in_use(node)
    }

    /// What runs on a node, the oldest first. Cost: what runs there.
    pub(crate) fn running_on(&self, node: NodeId) -> Vec<(ExeId, Running)> {
        let mut exes: Vec<ExeId> = self.on_nodes.exes(node).collect();
        exes.sort_unstable();
        exes.into_iter().filter_map(|exe| Some((exe, *self.running.get(&exe)?))).collect()
    }

    pub(super) fn add_running(&mut self, exe: ExeId, running: Running) {
        self.on_nodes.add(running.node, exe, &running.entry.asks);
        self.running.insert(exe, running);
    }

    /// The execution of this launch, taken from the running; `None` for a name not on record.
    fn take_running(&mut self, launch: LaunchName) -> Option<Running> {
        let running = *self.running.get(&launch.exe).filter(|running| running.launch == launch.number)?;
        self.running.remove(&launch.exe);
        self.on_nodes.remove(running.node, launch.exe, &running.entry.asks);
        self.queue.end(running.entry.job_type);
        self.drop_slots(launch.exe);
        Some(running)
    }

    fn returned(&mut self, launch: LaunchName, when: Timestamp) {
        let Some(Running { entry, .. }) = self.take_running(launch) else { return };
        if self.end_overtaken(entry.id, None) {
            return;
        }
        if self.job(entry.job).is_none_or(|job| job.status != JobStatus::Running) {
            self.change(entry.job, |job| job.more().runs = false);
            return;
        }
        self.change(entry.job, |job| {
            let more = job.more();
            (more.started, more.node, more.runs) = (None, None, false);
            job.tidy();
            Self::set_status(job, JobStatus::Queued, when);
        });
        let job = self.job(entry.job).and_then(|job| job.more.as_ref());
        let is_let_through = job.is_some_and(|more| more.is_let_through);
        self.put_entry(entry, is_let_through);
    }

    fn ended(&mut self, end: &ExeEnd, status: JobStatus, uses_try: bool) {
        let Some(Running { entry, .. }) = self.take_running(end.launch) else { return };
        if self.end_overtaken(entry.id, Some(end)) {
            return;
        }
        self.change(entry.job, |job| {
            let more = job.more();
            more.end = Some(end.clone());
            more.runs = false;
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
        }
        self.change(id, |job| {
            let more = job.more();
            more.end = end.or(more.end.take());
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
        self.change(id, |job| {
            job.priority = priority;
            if let Some(more) = &mut job.more {
                more.queue_priority = None;
                job.tidy();
            }
        });
    }

    /// Holds S3, S4, S6, N1 and the hash of what is not over against a recount.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        self.queue.check_invariants();
        self.check_recipes();
        self.on_nodes
            .check_invariants(self.running.iter().map(|(exe, run)| (*exe, run.node, run.entry.asks)));
        self.graph.check_invariants(|id| self.job(id).map(|job| job.status));
        let mut counters = Counters::default();
        let (mut hash, mut n_exes) = (0_u64, 0);
        for (id, job) in self.jobs.iter().map(|(id, held)| (JobId(id), &held.job)) {
            counters.add(job.job_type, job.status);
            hash = hash.wrapping_add(open_digest(id, job));
            let exe = job.exe.unwrap_or_default();
            let is_queued = self.queue.get(exe).is_some_and(|entry| entry.job == id);
            let is_running = self.running.contains_key(&exe);
            assert_eq!(is_queued, job.status == JobStatus::Queued, "S3: {job:?}");
            assert!(is_running || job.status != JobStatus::Running, "S3: {job:?}");
            assert_eq!(is_running, job.more.as_ref().is_some_and(|more| more.runs), "S3: {job:?}");
            let is_held = self.graph.has_open_children(id) || self.ending.contains(&id);
            assert!(job.is_open() || is_held, "S6: {job:?}");
            n_exes += usize::from(is_queued || is_running);
        }
        for (id, counted) in counters.iter() {
            let kept = self.counters.of(id);
            let open = |counts: StatusCounts| [counts.pending, counts.blocked, counts.queued, counts.running];
            assert_eq!(open(counted), open(kept), "S4: {id}");
        }
        assert_eq!(hash, self.open_hash, "hash");
        let n_exes = n_exes + self.docs.of_kind(crate::model::kind::OVERTAKEN).count();
        assert_eq!(n_exes, self.queue.len() + self.queue.n_picked() + self.running.len(), "S3: executions");
        for kind in self.catalog.iter() {
            let of_type = |running: &&Running| running.entry.job_type == kind.id;
            let n_running = self.running.values().filter(of_type).count();
            let n_taken = self.queue.n_taken(kind.id) as usize;
            assert!((n_running..=n_running + self.queue.n_picked()).contains(&n_taken), "S3: taken");
        }
    }
}

impl Left {
    fn add(&mut self, when: EventNumber, id: JobId, status: JobStatus) {
        self.order.push_back((when, id));
        self.newest.insert(id, (when, status));
        while self.order.len() > LEFT_MAX {
            let Some((when, id)) = self.order.pop_front() else { return };
            self.forgotten = when;
            if self.newest.get(&id).is_some_and(|newest| newest.0 == when) {
                self.newest.remove(&id);
            }
        }
    }
}
