//! What each command does: checked first, then told as events.
//!
//! Core: no I/O, clock, lock or logging.

use std::collections::{BTreeSet, HashSet};

use crate::catalog::surroundings::{self, SurroundingsError};
use crate::job::{can_be_canceled, can_be_uncanceled};
use crate::launch::{StatusUpdate, TaskState, TemplateError, placeholders};
use crate::limits::{
    COMMAND_JOBS_MAX, EVENT_JOBS_MAX, JOB_TYPE_BYTES_MAX, JOB_TYPES_MAX, LANES_MAX, QUEUED_MAX,
    SUBMISSION_JOBS_MAX, VALUES_BYTES_MAX,
};
use crate::model::{
    Accepted, Event, JobId, JobRange, JobRequest, JobState, JobStatus, JobTypeId, JobTypeSpec, LaunchName,
    QueueMode, RecalledJobs, RecipeNodes, RecipeRequest, Submission, Timestamp,
};
use crate::recipe::find_cycle;

use super::core::{Core, Order, in_events};
use super::journal::JournalNote;
use crate::state::Gone;
use crate::store::Facts;

/// Most that is kept of the reason why a launch was refused.
const REFUSAL_BYTES_MAX: usize = 1 << 10;

/// Why a job type was not put on record; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobTypeError {
    /// Name or version is empty or has characters that do not print.
    #[error("a job type needs a name and a version of printable characters")]
    BadName,
    /// Its texts are longer than [`JOB_TYPE_BYTES_MAX`](crate::limits) in all.
    #[error("the texts of a job type are {bytes} bytes, at most {JOB_TYPE_BYTES_MAX} are kept")]
    TooLarge {
        /// How long.
        bytes: usize,
    },
    /// A placeholder of its command or environment is none.
    #[error("command or environment: {0}")]
    Template(#[from] TemplateError),
    /// Its executions cannot run in what it says.
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
    /// There are as many job types as there may be.
    #[error("there are {JOB_TYPES_MAX} job types already")]
    TooManyTypes,
    /// With it there would be more names of resources than the queue has slots for.
    #[error("more different resource names than the queue has slots for; use fewer kinds")]
    TooManyResources,
    /// No job type of that id.
    #[error("no job type {0}")]
    Unknown(JobTypeId),
}

/// Why a submission was refused; nothing of it is queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// It holds no job at all.
    #[error("the submission holds no job")]
    Empty,
    /// More than [`SUBMISSION_JOBS_MAX`](crate::limits) jobs.
    #[error("the submission holds {jobs} jobs, at most {SUBMISSION_JOBS_MAX} go in one")]
    TooManyJobs {
        /// How many.
        jobs: u64,
    },
    /// The queue holds as much as it may.
    #[error("the queue is full: {QUEUED_MAX} executions wait")]
    QueueFull,
    /// It would need more lanes than there may be: too many kinds of requests.
    #[error("too many different requests wait; ask for fewer different amounts of cpus and the like")]
    TooManyLanes,
    /// No job type of that id.
    #[error("no job type {0}")]
    UnknownJobType(JobTypeId),
    /// The job type takes no new jobs.
    #[error("job type {0} is inactive")]
    InactiveJobType(String),
    /// A placeholder of the job type has no value.
    #[error("a job of type {job_type} needs a value for {{{name}}}")]
    MissingValue {
        /// Name of the type.
        job_type: String,
        /// Name of the placeholder.
        name: String,
    },
    /// The values are not what a job type that was made from a manifest takes.
    #[error("a job of type {job_type}: {reason}")]
    InvalidData {
        /// Name of the type.
        job_type: String,
        /// What is wrong.
        reason: String,
    },
    /// The values of one job are longer than [`VALUES_BYTES_MAX`](crate::limits).
    #[error("the values of a job are {bytes} bytes, at most {VALUES_BYTES_MAX} are kept")]
    ValuesTooLarge {
        /// How long.
        bytes: usize,
    },
    /// More names of resources than the queue has slots for.
    #[error("more different resource names than the queue has slots for; use fewer kinds")]
    TooManyResources,
    /// A recipe without nodes.
    #[error("a recipe of the submission holds no job")]
    EmptyRecipe,
    /// A node of a recipe stands for more than one job.
    #[error("node {node:?} of a recipe must be one job")]
    NodeCount {
        /// Its name.
        node: String,
    },
    /// Two nodes of one name.
    #[error("two nodes of a recipe are called {node:?}")]
    DuplicateNode {
        /// The name.
        node: String,
    },
    /// A node depends on one that is not there.
    #[error("node {node:?} depends on node number {parent}, which the recipe does not have")]
    UnknownParent {
        /// Its name.
        node: String,
        /// The place that is out of range.
        parent: u32,
    },
    /// Nodes that wait for each other.
    #[error("nodes of a recipe wait for each other: {}", path.join(" -> "))]
    Cycle {
        /// Their names, the first one again at the end.
        path: Vec<String>,
    },
}

/// Why a command that names jobs was refused; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobsError {
    /// No job of that id.
    #[error("no job {0}")]
    Unknown(JobId),
    /// It ended while the command was on its way.
    #[error("job {0} has ended in this very moment; ask again")]
    Changing(JobId),
    /// One of them may be over, and the store cannot be asked.
    #[error("how these jobs stand cannot be read: {cause}")]
    Unreadable {
        /// What the store says.
        cause: String,
    },
    /// More than [`COMMAND_JOBS_MAX`](crate::limits) jobs in one command.
    #[error("{jobs} jobs in one command, at most {COMMAND_JOBS_MAX}")]
    TooMany {
        /// How many.
        jobs: usize,
    },
}

/// How many jobs a command changed, and how many it left alone because of where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Changed {
    /// Changed.
    pub n_changed: u32,
    /// Left alone.
    pub n_ignored: u32,
}

/// What a status update meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusOutcome {
    /// It was news.
    Applied,
    /// It named a launch that is not on record any more, and changed nothing. It is acknowledged like any
    /// other; where it says that something runs under that name, that is to be ended.
    Stale,
}

fn spec_bytes(spec: &JobTypeSpec) -> usize {
    let texts = [&spec.name, &spec.version, &spec.title, &spec.description];
    let env = spec.env.iter().map(|(name, value)| name.len() + value.len());
    let plain = texts.into_iter().chain(&spec.command).map(String::len);
    plain.chain(env).sum::<usize>() + surroundings::bytes(spec)
}

/// What jobs of one type must give values for; requests in a row are often of one type.
#[derive(Default)]
struct Placeholders {
    of: Option<JobTypeId>,
    names: Vec<String>,
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

impl Core {
    pub(super) fn put_job_type(
        &mut self,
        mut spec: JobTypeSpec,
        now: Timestamp,
    ) -> Result<JobTypeId, JobTypeError> {
        if !is_name(&spec.name) || !is_name(&spec.version) {
            return Err(JobTypeError::BadName);
        }
        let bytes = spec_bytes(&spec);
        if bytes > JOB_TYPE_BYTES_MAX {
            return Err(JobTypeError::TooLarge { bytes });
        }
        placeholders(Self::template_texts(&spec))?;
        surroundings::check(&spec)?;
        let id = self.state.catalog.id_for(&spec);
        let known = self.state.catalog.get(id);
        if known.is_none() && self.state.catalog.len() >= JOB_TYPES_MAX {
            return Err(JobTypeError::TooManyTypes);
        }
        if !self.state.queue.dims().has_room([&spec.resources]) {
            return Err(JobTypeError::TooManyResources);
        }
        spec.max_scheduled = spec.max_scheduled.filter(|&limit| limit > 0);
        if let Some(known) = known {
            // Switches have commands of their own: whoever edits a type does not know who paused
            // or limited it, and why.
            spec.is_paused = known.spec.is_paused;
            spec.max_scheduled = known.spec.max_scheduled;
            spec.mode = known.spec.mode;
        }
        let is_same = known.is_some_and(|known| known.spec == spec);
        if !is_same {
            let when = self.clamp(now);
            self.emit(Event::JobTypePut { id, spec, when });
        }
        Ok(id)
    }

    fn template_texts(spec: &JobTypeSpec) -> impl Iterator<Item = &str> {
        spec.command.iter().chain(spec.env.iter().map(|(_, value)| value)).map(String::as_str)
    }

    fn known_type(&self, id: JobTypeId) -> Result<(), JobTypeError> {
        self.state.catalog.get(id).map(|_| ()).ok_or(JobTypeError::Unknown(id))
    }

    pub(super) fn pause(
        &mut self,
        id: JobTypeId,
        is_paused: bool,
        now: Timestamp,
    ) -> Result<(), JobTypeError> {
        self.known_type(id)?;
        if self.state.catalog.get(id).is_some_and(|kind| kind.spec.is_paused != is_paused) {
            let when = self.clamp(now);
            self.emit(Event::JobTypePaused { id, is_paused, when });
        }
        Ok(())
    }

    pub(super) fn limit(
        &mut self,
        id: JobTypeId,
        max_scheduled: Option<u32>,
        now: Timestamp,
    ) -> Result<(), JobTypeError> {
        self.known_type(id)?;
        let max_scheduled = max_scheduled.filter(|&limit| limit > 0);
        let when = self.clamp(now);
        self.emit(Event::JobTypeLimited { id, max_scheduled, when });
        Ok(())
    }

    pub(super) fn set_mode(
        &mut self,
        job_type: Option<JobTypeId>,
        mode: Option<QueueMode>,
    ) -> Result<(), JobTypeError> {
        job_type.map_or(Ok(()), |id| self.known_type(id))?;
        self.emit(Event::QueueModeSet { job_type, mode });
        Ok(())
    }

    pub(super) fn submit(
        &mut self,
        submission: &Submission,
        now: Timestamp,
    ) -> Result<Accepted, SubmitError> {
        if let Some(first) = self.state.submission(submission.id.as_str()) {
            return Ok(Accepted { is_repeat: true, ..first });
        }
        let submission = &*self.with_documents(submission)?;
        let n_jobs = self.check_submission(submission)?;
        let when = self.clamp(now);
        let accepted = Accepted {
            first_job: self.state.next_job(),
            n_jobs,
            first_recipe: self.state.next_recipe(),
            n_recipes: u32::try_from(submission.recipes.len()).expect("at most as many as jobs"),
            is_repeat: false,
        };
        for request in &submission.jobs {
            self.submit_jobs(request, when);
        }
        for recipe in &submission.recipes {
            self.submit_recipe(recipe, when);
        }
        self.emit(Event::SubmissionAccepted { id: submission.id.as_str().to_owned(), accepted });
        Ok(accepted)
    }

    fn check_submission(&self, submission: &Submission) -> Result<u32, SubmitError> {
        let nodes = || submission.recipes.iter().flat_map(|recipe| &recipe.nodes);
        let requests = || submission.jobs.iter().chain(nodes().map(|node| &node.job));
        let jobs: u64 = requests().map(|request| u64::from(request.count)).sum();
        if jobs == 0 {
            return Err(SubmitError::Empty);
        }
        let n_jobs = u32::try_from(jobs).ok().filter(|&n| n <= SUBMISSION_JOBS_MAX);
        let n_jobs = n_jobs.ok_or(SubmitError::TooManyJobs { jobs })?;
        if self.state.queue.len() + n_jobs as usize > QUEUED_MAX {
            return Err(SubmitError::QueueFull);
        }
        if self.state.queue.n_lanes() + requests().count() > LANES_MAX {
            return Err(SubmitError::TooManyLanes);
        }
        let mut placeholders = Placeholders::default();
        requests().try_for_each(|request| self.check_request(request, &mut placeholders))?;
        if !self.state.queue.dims().has_room(requests().filter_map(|request| request.resources.as_ref())) {
            return Err(SubmitError::TooManyResources);
        }
        submission.recipes.iter().try_for_each(check_recipe)?;
        Ok(n_jobs)
    }

    fn check_request(&self, request: &JobRequest, known: &mut Placeholders) -> Result<(), SubmitError> {
        let unknown = SubmitError::UnknownJobType(request.job_type);
        let kind = self.state.catalog.get(request.job_type).ok_or(unknown)?;
        if !kind.spec.is_active {
            return Err(SubmitError::InactiveJobType(kind.spec.name.clone()));
        }
        let bytes = request.values.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > VALUES_BYTES_MAX {
            return Err(SubmitError::ValuesTooLarge { bytes });
        }
        let own = request.resources.as_ref();
        if own.is_some_and(|own| kind.spec.resources.overridden_by(own).is_err()) {
            return Err(SubmitError::TooManyResources);
        }
        if known.of != Some(request.job_type) {
            let names = placeholders(Self::template_texts(&kind.spec)).expect("checked when the type came");
            *known = Placeholders { of: Some(request.job_type), names };
        }
        let is_given = |name: &&String| request.values.iter().any(|(key, _)| key == *name);
        match known.names.iter().find(|name| !is_given(name)) {
            Some(name) => {
                let (job_type, name) = (kind.spec.name.clone(), name.clone());
                Err(SubmitError::MissingValue { job_type, name })
            }
            None => Ok(()),
        }
    }

    fn submit_jobs(&mut self, request: &JobRequest, when: Timestamp) {
        if request.count == 0 {
            return;
        }
        let first = self.state.next_job();
        self.emit(Event::JobsCreated { first, request: request.clone(), recipe: None, when });
        let jobs = JobRange::Span { first, count: request.count };
        let first_exe = self.next_exe();
        self.emit(Event::JobsQueued { first_exe, jobs, priority: None, when });
    }

    fn submit_recipe(&mut self, recipe: &RecipeRequest, when: Timestamp) {
        let id = self.state.next_recipe();
        let first = self.state.next_job();
        let job_at = |place: u32| JobId(first.0 + u64::from(place));
        for node in &recipe.nodes {
            let nodes = RecipeNodes { recipe: id, name: node.name.clone() };
            let (first, request) = (self.state.next_job(), node.job.clone());
            self.emit(Event::JobsCreated { first, request, recipe: Some(nodes), when });
        }
        let mut roots = Vec::new();
        for (node, place) in recipe.nodes.iter().zip(0..) {
            if node.parents.is_empty() {
                roots.push(job_at(place));
                continue;
            }
            let mut parents: Vec<JobId> = node.parents.iter().copied().map(job_at).collect();
            parents.sort_unstable();
            parents.dedup();
            self.emit(Event::JobParents { child: job_at(place), parents });
        }
        self.queue_listed(&roots, when);
    }

    pub(super) fn check_jobs(&self, jobs: &[JobId]) -> Result<(), JobsError> {
        if jobs.len() > COMMAND_JOBS_MAX {
            return Err(JobsError::TooMany { jobs: jobs.len() });
        }
        let unknown = jobs.iter().find(|id| !self.state.was_made(**id));
        unknown.map_or(Ok(()), |id| Err(JobsError::Unknown(*id)))
    }

    /// Jobs of `jobs` for which `wants` says yes, once each, and how many are left out.
    pub(super) fn chosen(&self, jobs: &[JobId], wants: impl Fn(&JobState) -> bool) -> (Vec<JobId>, Changed) {
        let mut chosen: Vec<JobId> = jobs.to_vec();
        chosen.sort_unstable();
        chosen.dedup();
        let n_all = chosen.len();
        chosen.retain(|id| self.state.job(*id).is_some_and(&wants));
        let count = |n: usize| u32::try_from(n).expect("at most COMMAND_JOBS_MAX");
        let changed = Changed { n_changed: count(chosen.len()), n_ignored: count(n_all - chosen.len()) };
        (chosen, changed)
    }

    /// How a job stands, by memory or by what the store had; none of one that completed meanwhile. Refused
    /// where it was over in another way after the store was asked.
    pub(super) fn standing_of<'s>(
        &'s self,
        id: JobId,
        facts: &'s Facts,
    ) -> Result<Option<&'s JobState>, JobsError> {
        if let Some(job) = self.state.job(id) {
            return Ok(Some(job));
        }
        match self.state.gone(id, facts.position) {
            Gone::Unknown | Gone::As(JobStatus::Completed) => Ok(None),
            Gone::As(_) | Gone::Unsure => Err(JobsError::Changing(id)),
            Gone::Before => Ok(facts.get(id)),
        }
    }

    /// Takes those of `jobs` up from the store that are over and that `wants` says yes to.
    pub(super) fn recall(
        &mut self,
        jobs: &[JobId],
        facts: &Facts,
        wants: impl Fn(&JobState) -> bool,
    ) -> Result<(), JobsError> {
        let recalled = self.absent(jobs, facts, wants)?;
        self.take_back(&recalled, facts);
        Ok(())
    }

    /// Jobs of `jobs` that `wants` says yes to, once each, and how many are left out. Those that are over are
    /// taken up from the store, and so is what those are to wait for again that were canceled before they
    /// were ever queued. Of these all have to be uncanceled; one is left out where retention dropped
    /// something that it waited for.
    pub(super) fn chosen_again(
        &mut self,
        jobs: &[JobId],
        facts: &Facts,
        wants: impl Fn(&JobState) -> bool,
    ) -> Result<(Vec<JobId>, Changed), JobsError> {
        let mut recalled = self.absent(jobs, facts, &wants)?;
        let (mut parents, mut lost) = (BTreeSet::new(), BTreeSet::new());
        for &id in jobs {
            let known = self.state.job(id).map(|job| (job, self.state.graph.parents(id)));
            let read = || {
                let at = recalled.binary_search_by_key(&id, |(id, _)| *id).ok()?;
                Some((&recalled[at].1, facts.parents(id)))
            };
            let Some((job, waits_for)) = known.or_else(read) else { continue };
            if !can_be_uncanceled(job) || !wants(job) {
                continue;
            }
            match self.absent_parents(waits_for, facts)? {
                Some(absent) => parents.extend(absent),
                None => drop(lost.insert(id)),
            }
        }
        recalled.retain(|(id, _)| !lost.contains(id));
        let others = parents.into_iter().filter_map(|id| Some((id, facts.get(id)?.clone())));
        recalled.extend(others);
        recalled.sort_unstable_by_key(|(id, _)| *id);
        recalled.dedup_by_key(|(id, _)| *id);
        self.take_back(&recalled, facts);
        let (mut chosen, mut changed) = self.chosen(jobs, wants);
        let n_all = chosen.len();
        chosen.retain(|id| !lost.contains(id));
        let n_lost = u32::try_from(n_all - chosen.len()).expect("at most COMMAND_JOBS_MAX");
        changed.n_changed -= n_lost;
        changed.n_ignored += n_lost;
        Ok((chosen, changed))
    }

    /// Those of a job's parents that are over, not completed and not here; none where one was dropped.
    fn absent_parents(&self, parents: &[JobId], facts: &Facts) -> Result<Option<Vec<JobId>>, JobsError> {
        let mut absent = Vec::new();
        for &parent in parents.iter().filter(|parent| self.state.job(**parent).is_none()) {
            match self.state.gone(parent, facts.position) {
                Gone::Unknown | Gone::As(JobStatus::Completed) => {}
                Gone::As(_) | Gone::Unsure => return Err(JobsError::Changing(parent)),
                Gone::Before => match facts.get(parent) {
                    Some(job) if job.status == JobStatus::Completed => {}
                    Some(_) => absent.push(parent),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(absent))
    }

    /// Those of `jobs` that are not here and that `wants` says yes to, by id.
    fn absent(
        &self,
        jobs: &[JobId],
        facts: &Facts,
        wants: impl Fn(&JobState) -> bool,
    ) -> Result<Vec<(JobId, JobState)>, JobsError> {
        let mut recalled: Vec<(JobId, JobState)> = Vec::new();
        for id in jobs.iter().filter(|id| self.state.job(**id).is_none()) {
            match self.state.gone(*id, facts.position) {
                Gone::Unknown => return Err(JobsError::Unknown(*id)),
                Gone::As(JobStatus::Completed) => {}
                Gone::As(_) | Gone::Unsure => return Err(JobsError::Changing(*id)),
                Gone::Before => {
                    let job = facts.get(*id).filter(|job| wants(job));
                    recalled.extend(job.map(|job| (*id, job.clone())));
                }
            }
        }
        recalled.sort_unstable_by_key(|(id, _)| *id);
        recalled.dedup_by_key(|(id, _)| *id);
        Ok(recalled)
    }

    /// Takes jobs up that are over, with what they wait for if they go on.
    fn take_back(&mut self, jobs: &[(JobId, JobState)], facts: &Facts) {
        for jobs in jobs.chunks(EVENT_JOBS_MAX as usize) {
            self.emit(Event::JobsRecalled(RecalledJobs(jobs.to_vec())));
        }
        for (child, _) in jobs {
            let parents = facts.parents(*child);
            if !parents.is_empty() {
                self.emit(Event::JobParents { child: *child, parents: parents.to_vec() });
            }
        }
    }

    /// `facts` tells of those that are over.
    pub(super) fn cancel(
        &mut self,
        jobs: &[JobId],
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Changed, JobsError> {
        self.cancel_where(jobs, facts, can_be_canceled, now)
    }

    /// The same for those that `wants` says yes to.
    pub(super) fn cancel_where(
        &mut self,
        jobs: &[JobId],
        facts: &Facts,
        wants: impl Fn(&JobState) -> bool,
        now: Timestamp,
    ) -> Result<Changed, JobsError> {
        self.check_jobs(jobs)?;
        self.recall(jobs, facts, &wants)?;
        let (chosen, changed) = self.chosen(jobs, wants);
        let when = self.clamp(now);
        self.cancel_now(&chosen, when);
        Ok(changed)
    }

    /// Cancels jobs that can be, each once.
    pub(super) fn cancel_now(&mut self, chosen: &[JobId], when: Timestamp) {
        if chosen.is_empty() {
            return;
        }
        let is_running = |id: &&JobId| self.state.job(**id).is_some_and(|j| j.status == JobStatus::Running);
        let launch_of = |id: &JobId| {
            let job = self.state.job(*id)?;
            Some(Order::Kill(LaunchName { exe: job.exe?, number: job.launches }))
        };
        let kills: Vec<Order> = chosen.iter().filter(is_running).filter_map(launch_of).collect();
        for jobs in in_events(chosen) {
            self.emit(Event::JobsCanceled { jobs, when });
        }
        self.out.orders.extend(kills);
        self.block_descendants(chosen, when);
    }

    pub(super) fn set_priority(
        &mut self,
        jobs: &[JobId],
        priority: i32,
        now: Timestamp,
    ) -> Result<Changed, JobsError> {
        self.check_jobs(jobs)?;
        let (chosen, changed) = self.chosen(jobs, |job| !job.status.is_final());
        let when = self.clamp(now);
        for jobs in in_events(&chosen) {
            self.emit(Event::PriorityChanged { jobs, priority, when });
        }
        Ok(changed)
    }

    /// `acknowledges`: whether the driver hears of it through the outbox.
    pub(super) fn status(
        &mut self,
        update: StatusUpdate,
        acknowledges: bool,
        now: Timestamp,
    ) -> StatusOutcome {
        let StatusUpdate { name, state, when } = update;
        // A driver's clock may be ahead; one such status must not set ours.
        let when = when.min(now);
        let known = self.state.running.get(&name.exe).filter(|run| run.launch == name.number);
        let known = known.map(|run| (run.entry.job, run.entry.job_type, run.node));
        match state {
            TaskState::Running => {}
            TaskState::Ended { outcome, usage } => {
                self.end_launch(name, outcome, usage, when);
                // Also for a stale name: the driver may forget it.
                if acknowledges {
                    self.out.orders.push(Order::Acknowledge(name));
                }
            }
            TaskState::Refused { mut reason } => {
                if let Some((job, job_type, node)) = known {
                    let when = self.clamp(when);
                    self.emit(Event::LaunchReturned { launch: name, when });
                    self.journal.note(when, JournalNote::Returned { launch: name, job, job_type, node });
                    self.n_returned += 1;
                    reason.truncate(reason.floor_char_boundary(REFUSAL_BYTES_MAX));
                    self.last_refusal = Some((when, reason));
                }
            }
        }
        if known.is_some() { StatusOutcome::Applied } else { StatusOutcome::Stale }
    }
}

fn check_recipe(recipe: &RecipeRequest) -> Result<(), SubmitError> {
    let n = recipe.nodes.len();
    if n == 0 {
        return Err(SubmitError::EmptyRecipe);
    }
    let mut names = HashSet::new();
    for node in &recipe.nodes {
        let name = || node.name.to_string();
        if node.job.count != 1 {
            return Err(SubmitError::NodeCount { node: name() });
        }
        if !names.insert(&node.name) {
            return Err(SubmitError::DuplicateNode { node: name() });
        }
        if let Some(&parent) = node.parents.iter().find(|&&parent| parent as usize >= n) {
            return Err(SubmitError::UnknownParent { node: name(), parent });
        }
    }
    let parents: Vec<&[u32]> = recipe.nodes.iter().map(|node| node.parents.as_slice()).collect();
    match find_cycle(&parents) {
        None => Ok(()),
        Some(circle) => {
            let names = circle.iter().chain(circle.first());
            Err(SubmitError::Cycle { path: names.map(|&at| recipe.nodes[at].name.to_string()).collect() })
        }
    }
}
