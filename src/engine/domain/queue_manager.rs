//! The manager of the queue: jobs are made and queued, queued again, taken out, and looked at.
//!
//! M1  Each call is one command: what it made is on record whole, and of what it refuses nothing is.
//! M2  The input of a job is processed before it is queued, so that what it asks for follows its size.
//! M3  All jobs that one call queues share one instant.
//!
//! # Source
//! Scale's `QueueManager`. There a job that is made alone is queued before its input is processed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::configuration::{Configuration, ConfigurationError};
use crate::catalog::manifest::Manifest;
use crate::engine::core::{Core, in_events};
use crate::engine::handle::JobsError;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::job::data::{DataError, read_data, validate, without_unknown};
use crate::job::execution::value_text;
use crate::job::{can_be_queued, can_be_requeued};
use crate::launch::placeholders;
use crate::limits::{DATA_BYTES_MAX, LANES_MAX, QUEUED_MAX, VALUES_BYTES_MAX};
use crate::model::{
    Creation, Data, Doc, Event, EventId, FileFact, FileId, Given, Job, JobId, JobRange, JobRequest, JobState,
    JobStatus, JobType, JobTypeDetails, JobTypeId, Timestamp, TriggerEvent, kind,
};
use crate::store::Facts;

use super::recipes::{Files, info_of, resources_of, size_of};

/// Why a job was not made; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// No job type of that id.
    #[error("no job type {0}")]
    UnknownJobType(JobTypeId),
    /// The job type takes no new jobs.
    #[error("Inactive job type: {0}")]
    InactiveJobType(String),
    /// The input is not what the job type takes.
    #[error("{0}")]
    InvalidData(String),
    /// The input names a file that nobody registered, and of which no size was given.
    #[error("Parameter '{name}' has the unknown file {id}")]
    UnknownFile {
        /// Of the parameter.
        name: String,
        /// Of the file.
        id: u64,
    },
    /// The configuration is not what there may be.
    #[error("{0}")]
    InvalidConfiguration(String),
    /// No event of that id.
    #[error("no event {0}")]
    UnknownEvent(EventId),
    /// The input is longer than [`DATA_BYTES_MAX`](crate::limits), or its values than what a command takes.
    #[error("the input is {bytes} bytes, at most {max} are kept")]
    TooLarge {
        /// How long.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// The queue holds as much as it may.
    #[error("the queue is full: {QUEUED_MAX} executions wait")]
    QueueFull,
    /// It would need more lanes than there may be.
    #[error("too many different requests wait; ask for fewer different amounts of cpus and the like")]
    TooManyLanes,
    /// More names of resources than the queue has slots for.
    #[error("more different resource names than the queue has slots for; use fewer kinds")]
    TooManyResources,
}

impl From<ConfigurationError> for QueueError {
    fn from(error: ConfigurationError) -> Self {
        Self::InvalidConfiguration(error.to_string())
    }
}

impl From<DataError> for QueueError {
    fn from(error: DataError) -> Self {
        match error {
            DataError::UnknownFile { name, id } => Self::UnknownFile { name, id },
            error => Self::InvalidData(error.to_string()),
        }
    }
}

/// A job to be made and queued.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewJob {
    /// Of which type; the newest revision is taken.
    pub job_type: JobTypeId,
    /// Its input, `{"files": {...}, "json": {...}}`.
    pub input: Value,
    /// What is known of files of the input; those that are not here are asked of the registry.
    pub files: Vec<FileFact>,
    /// Laid over the configuration of its type.
    pub configuration: Option<Value>,
    /// What made it; none: a user, whose event is on record with it.
    pub event: Option<EventId>,
    /// All that is on record of its files is in `files`.
    is_looked_up: bool,
}

impl NewJob {
    /// One of a type with an input.
    pub fn new(job_type: JobTypeId, input: Value) -> Self {
        Self { job_type, input, files: Vec::new(), configuration: None, event: None, is_looked_up: false }
    }

    /// Tells the size of a file of the input, in bytes, which then need not be on record.
    #[must_use]
    pub fn file_size(mut self, id: FileId, bytes: u64) -> Self {
        self.files.push(FileFact { id, bytes, media_type: "".into(), name: "".into() });
        self
    }

    /// Lays a configuration over that of the type.
    #[must_use]
    pub fn configuration(mut self, configuration: Value) -> Self {
        self.configuration = Some(configuration);
        self
    }

    /// Says what made it.
    #[must_use]
    pub fn event(mut self, event: EventId) -> Self {
        self.event = Some(event);
        self
    }
}

/// A job that was made and queued, with what is shown of its type.
#[cfg(feature = "server")]
#[derive(Clone, Debug)]
pub(crate) struct NewlyQueued {
    pub(crate) job: Job,
    pub(crate) job_type: Arc<JobType>,
    /// Of a type that was made from a manifest: its details and the revision, as documents.
    pub(crate) details: Option<(Arc<Doc>, Arc<Doc>)>,
}

#[cfg(feature = "server")]
impl NewlyQueued {
    pub(crate) fn details(&self) -> Option<&JobTypeDetails> {
        match &**self.details.as_ref().map(|(details, _)| details)? {
            Doc::JobType(details) => Some(details),
            _ => None,
        }
    }

    pub(crate) fn revision(&self) -> Option<&crate::model::JobTypeRevision> {
        match &**self.details.as_ref().map(|(_, revision)| revision)? {
            Doc::JobTypeRevision(revision) => Some(revision),
            _ => None,
        }
    }
}

impl Engine {
    /// Makes a job of a type and queues it. All or nothing.
    ///
    /// Cost: a look into the store for each file of the input.
    ///
    /// # Source
    /// `QueueManager.queue_new_job_v6`.
    pub fn queue_new_job(&self, new: NewJob) -> Result<Ticket<Job, QueueError>, IntakeError> {
        self.queue_new(new, |_, job| job)
    }

    /// The same for somebody who asks: the job's event is that of a user, and the answer is its id.
    ///
    /// # Source
    /// `QueueManager.queue_new_job_for_user_v6`.
    pub fn queue_new_job_for_user(&self, new: NewJob) -> Result<Ticket<JobId, QueueError>, IntakeError> {
        self.queue_new(NewJob { event: None, ..new }, |_, job| job.id)
    }

    /// Tells a job what is on record of its files, where the caller did not: whoever must not wait for the
    /// store hands in what this gave.
    #[cfg(feature = "server")]
    pub(crate) fn with_files(&self, mut new: NewJob) -> NewJob {
        if let Ok(data) = read_data(&new.input) {
            (new.files, new.is_looked_up) = (self.facts_of(&data, &new.files), true);
        }
        new
    }

    /// The same, answered with all that is shown of it.
    #[cfg(feature = "server")]
    pub(crate) fn queue_shown_job(
        &self,
        new: NewJob,
    ) -> Result<Ticket<NewlyQueued, QueueError>, IntakeError> {
        self.queue_new(new, |core, job| {
            let job_type = core.state.catalog.get(job.job_type).expect("a job has a type on record").clone();
            let docs = core.state.docs();
            let details = docs.get(kind::JOB_TYPE, u64::from(job.job_type.0)).cloned();
            let revision = docs.get_sub(kind::JOB_TYPE_REVISION, job.job_type.0.into(), job.revision.into());
            NewlyQueued { job, job_type, details: details.zip(revision.cloned()) }
        })
    }

    /// Holds the input of a job against its type, and gives what a submission would hold of it: for jobs that
    /// are made many at a time. Nothing is made.
    ///
    /// Cost: a look into the store for each file of the input.
    pub fn job_request(&self, new: NewJob) -> Result<Ticket<JobRequest, QueueError>, IntakeError> {
        let data = match read_data(&new.input) {
            Ok(data) => data,
            Err(error) => return self.call(move |_, _| Err(error.into())),
        };
        let files = self.facts_of(&data, &new.files);
        self.call(move |core, _| core.request_for(&new, data, &files))
    }

    fn queue_new<T: Send + 'static>(
        &self,
        new: NewJob,
        answer: impl FnOnce(&Core, Job) -> T + Send + 'static,
    ) -> Result<Ticket<T, QueueError>, IntakeError> {
        let data = match read_data(&new.input) {
            Ok(data) => data,
            // A type that is not there is the first thing to say.
            Err(error) => {
                return self.call(move |core, _| {
                    core.type_of_new(new.job_type)?;
                    Err(error.into())
                });
            }
        };
        let is_known = |id: &u64| new.files.iter().any(|fact| fact.id.0 == *id);
        let files = if new.is_looked_up || data.files.values().flatten().all(is_known) {
            new.files.clone()
        } else {
            self.facts_of(&data, &new.files)
        };
        self.call(move |core, now| core.queue_new_job(&new, data, &files, now).map(|job| answer(core, job)))
    }

    /// What is known of the files of data: by the caller, or by the registry.
    fn facts_of(&self, data: &Data, given: &[FileFact]) -> Files {
        let mut unknown = data.clone();
        let is_given = |id: &u64| given.iter().any(|fact| fact.id.0 == *id);
        unknown.files.values_mut().for_each(|ids| ids.retain(|id| !is_given(id)));
        let mut files = self.files_of(&unknown);
        files.extend_from_slice(given);
        files
    }

    /// Queues jobs, each with a new execution, and gives back those that really were queued, by id. The
    /// others are left alone: for the first time, those that are not pending or blocked, wait for others, or
    /// have no input; again, those that are completed, were never queued, or have no input; and any that are
    /// superseded.
    ///
    /// `priority` is for this time in the queue; none: that of the batch, else the job's own. Zero is a value.
    ///
    /// # Source
    /// `QueueManager.queue_jobs`. There older entries of the jobs stay as canceled ones; here they are gone.
    pub fn queue_jobs(
        &self,
        jobs: Vec<JobId>,
        requeue: bool,
        priority: Option<i32>,
    ) -> Result<Ticket<Vec<JobId>, JobsError>, IntakeError> {
        self.with_facts(jobs, move |core, jobs, facts, now| {
            core.queue_jobs(jobs, facts, requeue, priority, now)
        })
    }

    /// Cancels those of the jobs that wait in the queue, and gives them back, by id. They leave the queue at
    /// once, and the end of each execution is on record. Jobs that are not known are ignored.
    ///
    /// # Source
    /// `QueueManager.cancel_queued_jobs`. There the entries stay until a scheduling cycle passes them.
    pub fn cancel_queued_jobs(&self, jobs: Vec<JobId>) -> Result<Ticket<Vec<JobId>, JobsError>, IntakeError> {
        self.call(move |core, now| core.cancel_queued_jobs(&jobs, now))
    }

    /// What made a job, a recipe or a batch. Of a job that was made for a user alone, the event is known by
    /// the job.
    pub fn trigger_event(&self, id: EventId) -> Option<TriggerEvent> {
        if let Some(job) = id.of_job() {
            let job = self.job(job).filter(|job| job.event() == id)?;
            return Some(TriggerEvent::of_user(id, job.created));
        }
        let key = crate::model::DocKey { kind: kind::EVENT, id: id.0 / 2, sub: 0 };
        match self.doc(key).as_deref() {
            Some(Doc::Event(event)) => Some(event.clone()),
            _ => None,
        }
    }
}

impl Core {
    fn queue_new_job(
        &mut self,
        new: &NewJob,
        data: Data,
        files: &[FileFact],
        now: Timestamp,
    ) -> Result<Job, QueueError> {
        let request = self.request_for(new, data, files)?;
        self.check_room_for(&request)?;
        let when = self.clamp(now);
        let first = self.state.next_job();
        self.emit(Event::JobsCreated { first, request: request.clone(), recipe: None, when });
        let first_exe = self.next_exe();
        let jobs = JobRange::Span { first, count: 1 };
        self.emit(Event::JobsQueued { first_exe, jobs, priority: None, when });
        let state = self.state.job(first).expect("it was just made");
        Ok(Creation { first, request, recipe: None }.job(first, state))
    }

    /// What a submission would hold of a job. Nothing is made.
    fn request_for(&self, new: &NewJob, data: Data, files: &[FileFact]) -> Result<JobRequest, QueueError> {
        let kind = self.type_of_new(new.job_type)?;
        let own = new.configuration.as_ref().map(Configuration::read).transpose()?.unwrap_or_default();
        if !kind.spec.is_active {
            return Err(QueueError::InactiveJobType(kind.spec.name.clone()));
        }
        if let Some(event) = new.event.filter(|event| !self.was_event(*event)) {
            return Err(QueueError::UnknownEvent(event));
        }
        match self.details(new.job_type) {
            Some(details) => self.request_of_manifest(kind, details, new, (data, own), files),
            None => request_of_values(kind, new, data, &own),
        }
    }

    fn type_of_new(&self, id: JobTypeId) -> Result<&Arc<JobType>, QueueError> {
        self.state.catalog.get(id).ok_or(QueueError::UnknownJobType(id))
    }

    /// True for an event that is on record.
    fn was_event(&self, event: EventId) -> bool {
        match event.of_job() {
            Some(job) => self.state.was_made(job),
            None => event.0 / 2 < self.state.docs().next(kind::EVENT) && event.0 > 1,
        }
    }

    fn check_room_for(&self, request: &JobRequest) -> Result<(), QueueError> {
        let queue = &self.state.queue;
        if queue.len() >= QUEUED_MAX {
            return Err(QueueError::QueueFull);
        }
        if queue.n_lanes() >= LANES_MAX {
            return Err(QueueError::TooManyLanes);
        }
        if request.resources.as_ref().is_some_and(|own| !queue.dims().has_room([own])) {
            return Err(QueueError::TooManyResources);
        }
        Ok(())
    }

    /// A job of a type that was made from a manifest.
    fn request_of_manifest(
        &self,
        kind: &JobType,
        details: &JobTypeDetails,
        new: &NewJob,
        (data, own): (Data, Configuration),
        files: &[FileFact],
    ) -> Result<JobRequest, QueueError> {
        let unknown = || QueueError::UnknownJobType(kind.id);
        let manifest = self.state.manifest(kind.id, details.revision).ok_or_else(unknown)?;
        validate(manifest.inputs(), &data, info_of(files))?;
        let data = without_unknown(manifest.inputs(), data);
        let (configuration, priority) = self.configuration_of(manifest, details, &own)?;
        let input_mib = (!data.files.is_empty()).then(|| size_of(&data, files));
        let input = data.to_value().to_string();
        if input.len() > DATA_BYTES_MAX {
            return Err(QueueError::TooLarge { bytes: input.len(), max: DATA_BYTES_MAX });
        }
        let resources = resources_of(manifest, input_mib.unwrap_or(0));
        let mut request = JobRequest::new(kind.id).given(Given {
            input: input.into(),
            input_mib,
            configuration: configuration.into(),
            event: new.event,
            revision: Some(details.revision),
            ..Given::default()
        });
        request.priority = priority;
        request.resources = (resources != kind.spec.resources).then_some(resources);
        Ok(request)
    }

    /// The configuration of a job, where it has one of its own, and its priority.
    fn configuration_of(
        &self,
        manifest: &Manifest,
        details: &JobTypeDetails,
        own: &Configuration,
    ) -> Result<(String, Option<i32>), QueueError> {
        if *own == Configuration::default() {
            return Ok((String::new(), None));
        }
        let of_type = serde_json::from_str(&details.configuration).unwrap_or_default();
        let of_type = Configuration::read(&of_type).unwrap_or_default();
        let mut merged = own.merged_over(&of_type);
        merged.check(manifest, |name| self.workspace_is_active(name))?;
        merged.take_secrets(manifest);
        Ok((merged.to_value().to_string(), merged.priority))
    }

    fn workspace_is_active(&self, name: &str) -> Option<bool> {
        self.state.docs().of_kind(kind::WORKSPACE).find_map(|doc| match &**doc {
            Doc::Workspace(workspace) if workspace.name == name => Some(workspace.is_active),
            _ => None,
        })
    }

    pub(in crate::engine) fn queue_jobs(
        &mut self,
        jobs: &[JobId],
        facts: &Facts,
        requeue: bool,
        priority: Option<i32>,
        now: Timestamp,
    ) -> Result<Vec<JobId>, JobsError> {
        self.check_jobs(jobs)?;
        let wants = |job: &JobState| if requeue { can_be_requeued(job) } else { can_be_queued(job) };
        self.recall(jobs, facts, wants)?;
        let (mut chosen, _) = self.chosen(jobs, wants);
        // What waits for others is queued by their ends.
        chosen.retain(|id| requeue || self.state.graph.is_ready(*id));
        let when = self.clamp(now);
        for (jobs, priority) in self.by_priority(&chosen, priority, &[]) {
            for jobs in in_events(&jobs) {
                self.queue_jobs_now(jobs, priority, when);
            }
        }
        self.unblock_descendants(&chosen, when);
        Ok(chosen)
    }

    /// Jobs by what replaces their own priority: the call's, else that of their batch, else for those of
    /// `follows`, which is sorted, that of their type. In the order in which they came, as far as they have the
    /// same.
    pub(in crate::engine) fn by_priority(
        &self,
        jobs: &[JobId],
        priority: Option<i32>,
        follows: &[JobId],
    ) -> Vec<(Vec<JobId>, Option<i32>)> {
        let of_type = |id: &JobId, job: &JobState| {
            follows.binary_search(id).ok()?;
            self.state.catalog.get(job.job_type).map(|kind| kind.spec.priority)
        };
        let of = |id: &JobId| {
            let job = self.state.job(*id)?;
            let of_batch = job.extra().batch.and_then(|batch| self.batch_priority(batch));
            of_batch.or_else(|| of_type(id, job)).filter(|other| *other != job.priority)
        };
        let mut groups: Vec<(Vec<JobId>, Option<i32>)> = Vec::new();
        let mut places: BTreeMap<Option<i32>, usize> = BTreeMap::new();
        for id in jobs {
            let priority = priority.or_else(|| of(id));
            let at = *places.entry(priority).or_insert(groups.len());
            match groups.get_mut(at) {
                Some((group, _)) => group.push(*id),
                None => groups.push((vec![*id], priority)),
            }
        }
        groups
    }

    fn cancel_queued_jobs(&mut self, jobs: &[JobId], now: Timestamp) -> Result<Vec<JobId>, JobsError> {
        if jobs.len() > crate::limits::COMMAND_JOBS_MAX {
            return Err(JobsError::TooMany { jobs: jobs.len() });
        }
        let (chosen, _) = self.chosen(jobs, |job| job.status == JobStatus::Queued);
        self.cancel(&chosen, &Facts::default(), now)?;
        Ok(chosen)
    }
}

/// A job of a type with a command of its own, whose placeholders take the values of the input.
fn request_of_values(
    kind: &JobType,
    new: &NewJob,
    data: Data,
    own: &Configuration,
) -> Result<JobRequest, QueueError> {
    if let Some(name) = data.files.keys().next() {
        let text = format!("Parameter '{name}' of type 'json' cannot accept data of type 'file'");
        return Err(QueueError::InvalidData(text));
    }
    let texts = kind.spec.command.iter().chain(kind.spec.env.iter().map(|(_, value)| value));
    let names = placeholders(texts.map(String::as_str)).unwrap_or_default();
    if let Some(name) = names.into_iter().find(|name| !data.json.contains_key(name)) {
        return Err(DataError::Required { name }.into());
    }
    let values: Vec<(String, String)> =
        data.json.into_iter().map(|(name, value)| (name, value_text(&value))).collect();
    let bytes = values.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > VALUES_BYTES_MAX {
        return Err(QueueError::TooLarge { bytes, max: VALUES_BYTES_MAX });
    }
    let mut request = JobRequest::new(kind.id).values(values);
    request.priority = own.priority;
    if let Some(event) = new.event {
        let input = Data::default().to_value().to_string().into();
        request = request.given(Given { input, event: Some(event), ..Given::default() });
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use super::*;
    use crate::engine::Options;
    use crate::model::{Batch, BatchId, JobTypeSpec, RecipeId, RecipeTypeId};

    const WAIT: Duration = Duration::from_secs(20);

    fn batch(priority: Option<i32>, when: Timestamp) -> Doc {
        Doc::Batch(Batch {
            id: BatchId(1),
            title: None,
            description: None,
            recipe_type: RecipeTypeId(1),
            revision: 1,
            event: EventId(3),
            root: BatchId(1),
            superseded_batch: None,
            superseded: None,
            is_creation_done: true,
            recipes_estimated: 0,
            cursor: 0,
            is_superseding: false,
            is_superseding_asked: false,
            first_recipe: RecipeId(1),
            last_recipe: RecipeId(0),
            definition: "{}".into(),
            configuration: "{}".into(),
            priority,
            created: when,
            last_modified: when,
        })
    }

    #[test]
    fn a_batch_says_how_important_its_jobs_are_when_they_are_queued_again() {
        let engine = Engine::in_memory(Options::default());
        let kind = engine.put_job_type(JobTypeSpec::new("kind", "1")).expect("room");
        let kind = kind.wait_durable(WAIT).expect("a type");
        let made = engine.call(move |core, now| {
            let when = core.clamp(now);
            let [first, second] = [JobId(1), JobId(2)];
            let given = Given { input: "{}".into(), batch: Some(BatchId(1)), ..Given::default() };
            for (id, request) in
                [(first, JobRequest::new(kind).given(given)), (second, JobRequest::new(kind).priority(8))]
            {
                core.emit(Event::JobsCreated { first: id, request, recipe: None, when });
            }
            core.queue_listed(&[first, second], when);
            core.put(batch(Some(0), when));
            Ok::<_, Infallible>([first, second])
        });
        let jobs = made.expect("room").wait_durable(WAIT).expect("jobs");
        let priorities =
            || engine.queued(&[], 10).iter().map(|entry| (entry.job.0, entry.priority)).collect::<Vec<_>>();
        assert_eq!(priorities(), [(2, 8), (1, 100)]);
        let again = |priority| {
            let queued = engine.queue_jobs(jobs.to_vec(), true, priority).expect("room");
            assert_eq!(queued.wait_durable(WAIT), Ok(jobs.to_vec()));
        };
        again(None);
        assert_eq!(priorities(), [(1, 0), (2, 8)], "zero is a value");
        again(Some(5));
        assert_eq!(priorities(), [(1, 5), (2, 5)], "what the call says goes first");
        engine.check_invariants();
    }
}
