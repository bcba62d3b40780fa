//! Entries of the queue as they are read back: all that the original keeps in a row of its queue.
//!
//! # Source
//! Scale's `Queue` model, `QueueManager.get_queue` and `get_queue_status`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::shell::Engine;
use crate::engine::view::JobTypeView;
use crate::job::data::read_data;
use crate::job::execution::{configuration_of_command, configuration_of_manifest};
use crate::limits::LIST_MAX;
use crate::model::{
    BatchId, Data, Doc, DocKey, FileFact, Job, JobId, JobStatus, JobType, JobTypeId, NodeResources, Outcome,
    PRIORITY_DEFAULT, QueueMode, QueuedJobExecution, RecipeId, RecipeNodeRow, Timestamp, kind,
};

/// Names of resources that every set has, zero where nothing is said.
const STANDARD: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

/// A job execution that waits for a node, or was canceled while it did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueueEntry {
    /// Its id, job, type, number, priority, queued time and resources.
    pub execution: QueuedJobExecution,
    /// The recipe that made the job.
    pub recipe: Option<RecipeId>,
    /// The job's batch.
    pub batch: Option<BatchId>,
    /// The size of the job's input in whole MiB; 0 where it is not known.
    pub input_file_size: u64,
    /// It was canceled, and has left the queue.
    pub is_canceled: bool,
    /// Seconds an execution may take, by the newest revision of the type.
    pub timeout_s: Option<u32>,
    /// When it was put into the queue.
    pub created: Timestamp,
    /// The image of the job's revision of the type, else the one that the type has now; empty for none.
    pub docker_image: String,
    interface: Value,
    configuration: Value,
}

impl QueueEntry {
    /// How it is executed: its input files, and the main task with arguments and environment. Not validated.
    pub fn get_execution_configuration(&self) -> &Value {
        &self.configuration
    }

    /// The manifest of the job's revision of the type; null for a type without one.
    pub fn get_job_interface(&self) -> &Value {
        &self.interface
    }

    /// What it asks of its node; cpus, mem, disk and gpus are always there.
    pub fn get_resources(&self) -> NodeResources {
        with_standard(&self.execution.resources)
    }

    /// The same as a document, `{"version": "1.0", "resources": {NAME: NUMBER}}`.
    pub fn resources_document(&self) -> Value {
        let resources = self.get_resources();
        let amounts = resources.iter().map(|(name, amount)| (name.to_string(), amount.as_f64().into()));
        let amounts: serde_json::Map<String, Value> = amounts.collect();
        json!({ "version": "1.0", "resources": amounts })
    }
}

fn with_standard(resources: &NodeResources) -> NodeResources {
    let with = |set: NodeResources, name: &str| {
        let amount = set.get(name);
        // A full set has no room for a name that it lacks, and then says nothing of it.
        set.clone().with(name, amount).unwrap_or(set)
    };
    STANDARD.into_iter().fold(resources.clone(), with)
}

/// How things stand with the entries of one job type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueStatus {
    /// The type.
    pub job_type: Arc<JobType>,
    /// How many wait.
    pub count: u64,
    /// Since when the oldest waits.
    pub longest_queued: Option<Timestamp>,
    /// The smallest number among them.
    pub highest_priority: i32,
}

impl QueueStatus {
    /// Of a type of which nothing waits.
    pub fn new(job_type: Arc<JobType>) -> Self {
        Self { job_type, count: 0, longest_queued: None, highest_priority: PRIORITY_DEFAULT }
    }
}

impl From<&JobTypeView> for QueueStatus {
    fn from(view: &JobTypeView) -> Self {
        let mut status = Self::new(view.job_type.clone());
        status.count = view.counts.queued;
        status.longest_queued = view.longest_queued;
        status.highest_priority = view.highest_priority.unwrap_or(status.highest_priority);
        status
    }
}

impl Engine {
    /// The first executions by priority, then by queued time in the direction of `mode`, which need not be the
    /// one that the queue has; types of `ignore` left out; at most `limit` (and at most a thousand).
    ///
    /// Cost: lanes, and a step for each execution; under the core's lock.
    ///
    /// # Source
    /// `QueueManager.get_queue`. There canceled entries are among them; here they have left the queue.
    pub fn get_queue(&self, mode: QueueMode, ignore: &[JobTypeId], limit: usize) -> Vec<QueuedJobExecution> {
        let owned = self.0.enter();
        let state = &owned.core.state;
        let entries = state.queue.iter_in(mode, ignore).take(limit.min(LIST_MAX));
        entries.map(|entry| state.queued_execution(&entry)).collect()
    }

    /// Types of which something waits: those that are not paused first, then by their most important entry,
    /// then by their oldest. As the newest view shows them.
    ///
    /// # Source
    /// `QueueManager.get_queue_status`.
    pub fn get_queue_status(&self) -> Vec<QueueStatus> {
        self.view().queued_types().into_iter().map(QueueStatus::from).collect()
    }

    /// The newest entry of a job, with all that is on record of it; `None` for a job that was never queued, or
    /// whose entry became an execution.
    ///
    /// Cost: looks into the store.
    pub fn queue_entry(&self, job: JobId) -> Option<QueueEntry> {
        let job = self.job(job)?;
        let is_canceled = was_canceled_in_queue(&job);
        if job.status != JobStatus::Queued && !is_canceled {
            return None;
        }
        let kind = self.0.enter().core.state.catalog.get(job.job_type).cloned()?;
        let priority =
            self.0.enter().core.state.job(job.id).and_then(|state| state.more.as_ref()?.queue_priority);
        let (manifest, docker_image) = match self.revision_of(&job) {
            Some(Doc::JobTypeRevision(revision)) => {
                (serde_json::from_str(&revision.manifest).unwrap_or_default(), revision.docker_image)
            }
            _ => (Value::Null, String::new()),
        };
        let docker_image = kind.spec.image_in(Some(&docker_image)).unwrap_or_default().to_owned();
        let (queued, input) = (job.queued?, self.job_input(&job));
        let files = self.files_of(&input);
        let known = Some(&manifest).filter(|manifest| !manifest.is_null()).cloned();
        Some(QueueEntry {
            execution: QueuedJobExecution {
                id: job.exe?,
                job: job.id,
                job_type: job.job_type,
                tenant: job.tenant,
                exe_num: job.num_exes,
                priority: priority.unwrap_or(job.priority),
                queued,
                resources: (*job.resources).clone(),
            },
            recipe: job.recipe.as_ref().map(|(recipe, _)| *recipe),
            batch: job.batch,
            input_file_size: job.input_mib.unwrap_or(0),
            is_canceled,
            timeout_s: kind.spec.timeout_s,
            created: queued,
            docker_image,
            configuration: Self::configuration_of(&job, &kind, known.as_ref(), &input, &files),
            interface: manifest,
        })
    }

    fn revision_of(&self, job: &Job) -> Option<Doc> {
        let (id, sub) = (job.job_type.0.into(), job.revision.into());
        Some((*self.doc(DocKey { kind: kind::JOB_TYPE_REVISION, id, sub })?).clone())
    }

    /// The input of a job: what it was given, or what was made for it of what others gave.
    ///
    /// Cost: a look into the store, for a job whose input was not known when it was made.
    pub fn job_input(&self, job: &Job) -> Data {
        let read =
            |text: &str| read_data(&serde_json::from_str(text).unwrap_or_default()).unwrap_or_default();
        match job.given.as_ref().filter(|given| !given.input.is_empty()) {
            Some(given) => read(&given.input),
            None => match self.doc(DocKey { kind: kind::JOB_INPUT, id: job.id.0, sub: 0 }).as_deref() {
                Some(Doc::JobInput(input)) => read(&input.input),
                _ => Data::default(),
            },
        }
    }

    /// How executions of a job are executed.
    pub(crate) fn configuration_of(
        job: &Job,
        kind: &JobType,
        manifest: Option<&Value>,
        input: &Data,
        files: &[FileFact],
    ) -> Value {
        match manifest {
            Some(manifest) => configuration_of_manifest(manifest, input, files),
            None => configuration_of_command(&kind.spec.command, &job.values),
        }
    }

    /// The recipe that holds a job now: the one that made it, or one that took it over and was not replaced.
    ///
    /// Cost: a look at each recipe that replaced another, and at the nodes of those that replaced.
    #[cfg(feature = "server")]
    pub(crate) fn recipe_holding(&self, job: &Job) -> Option<crate::model::Recipe> {
        let mut recipe = self.recipe_record(job.recipe.as_ref()?.0)?;
        while let Some(newer) = recipe.superseded_by.filter(|newer| *newer > recipe.id) {
            let is_held =
                |row: &RecipeNodeRow| matches!(row, RecipeNodeRow::Job { job: id, .. } if *id == job.id);
            if !self.recipe_nodes(newer).iter().any(is_held) {
                return None;
            }
            recipe = self.recipe_record(newer)?;
        }
        recipe.superseded.is_none().then_some(recipe)
    }

    /// The job that is in the place of one that was superseded: the one of the same node in the recipe that
    /// replaced its recipe.
    ///
    /// Cost: looks into the store.
    pub fn job_in_place_of(&self, job: &Job) -> Option<Job> {
        let (recipe, node) = job.recipe.as_ref()?;
        let newer = self.recipe_record(self.recipe_record(*recipe)?.superseded_by?)?;
        let at = {
            let owned = self.0.enter();
            owned.core.state.definition(newer.recipe_type, newer.revision)?.definition.node(node)?.0
        };
        match self.recipe_nodes(newer.id).get(at as usize)? {
            RecipeNodeRow::Job { job: id, .. } if *id != job.id => self.job(*id),
            _ => None,
        }
    }
}

/// True where the newest execution of a job was canceled before it was launched.
fn was_canceled_in_queue(job: &Job) -> bool {
    let end = job.end.as_ref().filter(|end| Some(end.launch.exe) == job.exe);
    job.status == JobStatus::Canceled
        && job.started.is_none()
        && end.is_some_and(|end| end.outcome == Outcome::Canceled)
}
