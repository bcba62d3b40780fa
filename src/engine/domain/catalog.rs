//! The catalog: job types from manifests, nodes, errors, files, and how the scheduler is set.

use std::sync::Arc;

use crate::engine::core::Core;
use crate::engine::handle::JobTypeError;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::limits::{CATALOG_DOCS_MAX, CATALOG_TEXT_BYTES_MAX, DATASET_FILES_MAX, RECIPE_BYTES_MAX};
use crate::model::{
    Dataset, Doc, ErrorId, ErrorRecord, Event, EventId, FileId, FileRecord, JobTypeDetails, JobTypeId,
    JobTypeRevision, JobTypeSpec, Json, NodeId, NodeRecord, QueueMode, SchedulerSettings, Timestamp,
    TriggerEvent, Workspace, kind,
};

/// Why the catalog was left as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A job type is not as it has to be.
    #[error(transparent)]
    JobType(#[from] JobTypeError),
    /// There is none of that id.
    #[error("no {what} {id}")]
    Unknown {
        /// Of what.
        what: &'static str,
        /// Which.
        id: u64,
    },
    /// There is one of that name.
    #[error("there is a {what} {name:?} already")]
    Exists {
        /// Of what.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// A text is longer than [`CATALOG_TEXT_BYTES_MAX`](crate::limits).
    #[error("{bytes} bytes of text, at most {CATALOG_TEXT_BYTES_MAX} are kept")]
    TooLarge {
        /// How long.
        bytes: usize,
    },
    /// The definition of a recipe type is longer than [`RECIPE_BYTES_MAX`](crate::limits).
    #[error("the definition has {bytes} bytes, at most {RECIPE_BYTES_MAX} are kept")]
    DefinitionTooLarge {
        /// How long.
        bytes: usize,
    },
    /// The definition of a recipe type is none, or refers to what is not there.
    #[error("the definition is not one: {cause}")]
    InvalidDefinition {
        /// Why.
        cause: String,
    },
    /// A data set of more than [`DATASET_FILES_MAX`](crate::limits) files.
    #[error("{files} files, at most {DATASET_FILES_MAX} are in one data set")]
    TooManyFiles {
        /// How many.
        files: usize,
    },
    /// There are as many as there may be.
    #[error("there are {CATALOG_DOCS_MAX} {what} already")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
}

/// A job type as it was read from a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJobType {
    /// What the engine acts on, made of the manifest and the configuration.
    pub spec: JobTypeSpec,
    /// The manifest, as it is shown.
    pub manifest: Json,
    /// The image.
    pub docker_image: String,
    /// The configuration, as it is shown.
    pub configuration: Json,
    /// For people.
    pub is_published: bool,
    /// For people.
    pub icon_code: Option<String>,
    /// A failed job of it is always tried again.
    pub is_long_running: bool,
}

/// What to change of a job type; none: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobTypeChange {
    /// What the engine acts on, made of the manifest and the configuration. Only what comes from those two is
    /// taken.
    pub spec: Option<Box<JobTypeSpec>>,
    /// A new revision: the manifest, as it is shown.
    pub manifest: Option<Json>,
    /// The image. Jobs are made with the one of their revision, which keeps the one it was made with.
    pub docker_image: Option<String>,
    /// The configuration, as it is shown.
    pub configuration: Option<Json>,
    /// For people.
    pub is_published: Option<bool>,
    /// For people.
    pub icon_code: Option<String>,
    /// Whether it takes new jobs.
    pub is_active: Option<bool>,
    /// Whether its entries wait.
    pub is_paused: Option<bool>,
    /// How many run at once; 0: as many as fit.
    pub max_scheduled: Option<u32>,
}

/// What to change of a node; none: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeChange {
    /// Whether nothing new is launched there.
    pub is_paused: Option<bool>,
    /// Why, for people.
    pub pause_reason: Option<String>,
    /// Whether it is used at all.
    pub is_active: Option<bool>,
}

/// What to change of the scheduler; none: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulerChange {
    /// Whether nothing is launched.
    pub is_paused: Option<bool>,
    /// Kept for callers that set it.
    pub num_message_handlers: Option<u32>,
    /// The level of the log.
    pub system_logging_level: Option<String>,
    /// The direction of queued time.
    pub queue_mode: Option<QueueMode>,
}

pub(super) fn check_text(texts: &[&str]) -> Result<(), CatalogError> {
    let bytes = texts.iter().map(|text| text.len()).sum();
    if bytes > CATALOG_TEXT_BYTES_MAX { Err(CatalogError::TooLarge { bytes }) } else { Ok(()) }
}

impl Engine {
    /// Makes a job type, or a new revision of the one of its name and version.
    pub fn put_manifest(&self, new: NewJobType) -> Result<Ticket<JobTypeId, CatalogError>, IntakeError> {
        self.call(move |core, now| core.put_manifest(new, now))
    }

    /// Changes a job type. Takes effect at once, also on what is queued: switches, not priorities.
    pub fn edit_job_type(
        &self,
        id: JobTypeId,
        change: JobTypeChange,
    ) -> Result<Ticket<(), CatalogError>, IntakeError> {
        self.call(move |core, now| core.edit_job_type(id, change, now))
    }

    /// Puts a node on record under its name, or finds the one that has it. Cost: a look at all nodes; keep the
    /// id while the engine lives.
    pub fn put_node(&self, hostname: &str) -> Result<Ticket<NodeId, CatalogError>, IntakeError> {
        let hostname = hostname.to_owned();
        self.call(move |core, now| core.put_node(&hostname, now))
    }

    /// Puts a node that has an id on record, unless it is.
    pub(in crate::engine) fn register_node(&self, id: NodeId, hostname: &str) {
        let now = self.now();
        let mut owned = self.0.enter();
        owned.core.register_node(id, hostname, now);
        self.0.flush(&mut owned.core, []);
    }

    /// Changes a node.
    pub fn edit_node(&self, id: NodeId, change: NodeChange) -> Result<Ticket<(), CatalogError>, IntakeError> {
        self.call(move |core, now| core.edit_node(id, change, now))
    }

    /// Changes how the scheduler is set.
    pub fn edit_scheduler(&self, change: SchedulerChange) -> Result<Ticket<(), CatalogError>, IntakeError> {
        self.call(move |core, _| core.edit_scheduler(change))
    }

    /// Puts a kind of error on record, or changes the one of its name; its id and times are given here.
    pub fn put_error(&self, error: ErrorRecord) -> Result<Ticket<ErrorId, CatalogError>, IntakeError> {
        self.call(move |core, now| core.put_error(error, now))
    }

    /// Puts a file on record; its id and time are given here.
    pub fn put_file(&self, file: FileRecord) -> Result<Ticket<FileId, CatalogError>, IntakeError> {
        self.call(move |core, now| core.put_file(file, now))
    }

    /// Puts a data set on record; its id and time are given here.
    pub fn put_dataset(&self, set: Dataset) -> Result<Ticket<u64, CatalogError>, IntakeError> {
        self.call(move |core, now| core.put_dataset(set, now))
    }

    /// Puts a workspace on record, or changes the one of its name; its id and times are given here.
    pub fn put_workspace(&self, workspace: Workspace) -> Result<Ticket<u32, CatalogError>, IntakeError> {
        self.call(move |core, now| core.put_workspace(workspace, now))
    }

    /// Puts an event on record that makes jobs, recipes or batches: `USER`, `CLOCK` or another word.
    pub fn create_trigger_event(
        &self,
        kind: &str,
        description: Json,
        occurred: Timestamp,
    ) -> Result<Ticket<EventId, CatalogError>, IntakeError> {
        let kind = kind.to_owned();
        self.call(move |core, _| core.create_event(&kind, description, occurred))
    }
}

impl Core {
    pub(in crate::engine) fn put(&mut self, doc: Doc) {
        self.emit(Event::DocPut(Arc::new(doc)));
    }

    pub(super) fn check_room(&self, kind: u8, what: &'static str) -> Result<(), CatalogError> {
        let is_full = self.state.docs().next(kind) > CATALOG_DOCS_MAX;
        if is_full { Err(CatalogError::TooMany { what }) } else { Ok(()) }
    }

    pub(in crate::engine) fn details(&self, id: JobTypeId) -> Option<&JobTypeDetails> {
        match &**self.state.docs().get(kind::JOB_TYPE, u64::from(id.0))? {
            Doc::JobType(details) => Some(details),
            _ => None,
        }
    }

    fn put_manifest(&mut self, new: NewJobType, now: Timestamp) -> Result<JobTypeId, CatalogError> {
        check_text(&[&new.manifest, &new.docker_image, &new.configuration])?;
        let id = self.state.catalog.id_for(&new.spec);
        if self.state.catalog.get(id).is_some() {
            let change = JobTypeChange {
                spec: Some(Box::new(new.spec)),
                configuration: Some(new.configuration),
                manifest: Some(new.manifest),
                docker_image: Some(new.docker_image),
                is_published: Some(new.is_published),
                icon_code: new.icon_code,
                ..JobTypeChange::default()
            };
            self.edit_job_type(id, change, now)?;
            return Ok(id);
        }
        let limit = new.spec.max_scheduled;
        let id = self.put_job_type(new.spec, now)?;
        debug_assert_eq!(self.state.catalog.get(id).and_then(|kind| kind.spec.max_scheduled), limit);
        let created = self.clamp(now);
        let details = JobTypeDetails {
            job_type: id,
            revision: 1,
            manifest: new.manifest,
            docker_image: new.docker_image,
            configuration: new.configuration,
            is_published: new.is_published,
            icon_code: new.icon_code,
            is_long_running: new.is_long_running,
            is_system: false,
            deprecated: None,
        };
        self.put_revision(&details, created);
        self.put(Doc::JobType(details));
        self.put_declared_errors(id, 1, now);
        Ok(id)
    }

    fn put_revision(&mut self, details: &JobTypeDetails, created: Timestamp) {
        self.put(Doc::JobTypeRevision(JobTypeRevision {
            job_type: details.job_type,
            revision: details.revision,
            manifest: details.manifest.clone(),
            docker_image: details.docker_image.clone(),
            created,
        }));
    }

    fn edit_job_type(
        &mut self,
        id: JobTypeId,
        change: JobTypeChange,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let known = self.state.catalog.get(id).ok_or(JobTypeError::Unknown(id))?;
        let texts = [
            change.manifest.as_deref().unwrap_or_default(),
            change.docker_image.as_deref().unwrap_or_default(),
            change.configuration.as_deref().unwrap_or_default(),
        ];
        check_text(&texts)?;
        let mut spec = known.spec.clone();
        if let Some(new) = &change.spec {
            spec.title.clone_from(&new.title);
            spec.description.clone_from(&new.description);
            spec.resources.clone_from(&new.resources);
            spec.command.clone_from(&new.command);
            spec.env.clone_from(&new.env);
            spec.timeout_s = new.timeout_s;
            spec.max_tries = new.max_tries;
            spec.priority = new.priority;
        }
        spec.is_active = change.is_active.unwrap_or(spec.is_active);
        let was_active = known.spec.is_active;
        let details = self.details(id).cloned();
        let is_active = spec.is_active;
        self.put_job_type(spec, now)?;
        if let Some(is_paused) = change.is_paused {
            self.pause(id, is_paused, now)?;
        }
        if let Some(max_scheduled) = change.max_scheduled {
            self.limit(id, Some(max_scheduled), now)?;
        }
        self.touch_job_type(id, now);
        let old = match details {
            Some(details) => details,
            None if change.manifest.is_some() => self.no_details(id),
            None => return Ok(()),
        };
        let mut new = old.clone();
        let when = self.clamp(now);
        if is_active != was_active {
            new.deprecated = (!is_active).then_some(when);
        }
        new.configuration = change.configuration.unwrap_or(new.configuration);
        new.is_published = change.is_published.unwrap_or(new.is_published);
        new.icon_code = change.icon_code.or(new.icon_code).filter(|code| !code.is_empty());
        new.docker_image = change.docker_image.unwrap_or(new.docker_image);
        if let Some(manifest) = change.manifest {
            new.revision += 1;
            new.manifest = manifest;
            self.put_revision(&new, when);
            self.put_declared_errors(id, new.revision, now);
        }
        if new != old {
            self.put(Doc::JobType(new));
        }
        Ok(())
    }

    /// An order to change a job type counts as a change, whatever it says.
    fn touch_job_type(&mut self, id: JobTypeId, now: Timestamp) {
        let when = self.clamp(now);
        let Some(known) = self.state.catalog.get(id).filter(|known| known.last_modified < when) else {
            return;
        };
        let max_scheduled = known.spec.max_scheduled;
        self.emit(Event::JobTypeLimited { id, max_scheduled, when });
    }

    /// What a type has that was made without a manifest.
    fn no_details(&self, id: JobTypeId) -> JobTypeDetails {
        JobTypeDetails {
            job_type: id,
            revision: self.state.catalog.get(id).map_or(0, |kind| kind.revision),
            manifest: "{}".into(),
            docker_image: String::new(),
            configuration: "{}".into(),
            is_published: false,
            icon_code: None,
            is_long_running: false,
            is_system: false,
            deprecated: None,
        }
    }

    pub(in crate::engine) fn put_node(
        &mut self,
        hostname: &str,
        now: Timestamp,
    ) -> Result<NodeId, CatalogError> {
        check_text(&[hostname])?;
        let found = self.state.docs().of_kind(kind::NODE).find_map(|doc| match &**doc {
            Doc::Node(node) if node.hostname == hostname => Some(node.id),
            _ => None,
        });
        if let Some(id) = found {
            return Ok(id);
        }
        self.check_room(kind::NODE, "nodes")?;
        let id = self.state.docs().next_node();
        self.register_node(id, hostname, now);
        Ok(id)
    }

    /// Puts a node on record under an id, unless one is.
    pub(in crate::engine) fn register_node(&mut self, id: NodeId, hostname: &str, now: Timestamp) {
        if self.state.docs().get(kind::NODE, u64::from(id.0)).is_some() {
            return;
        }
        let when = self.clamp(now);
        self.put(Doc::Node(NodeRecord {
            id,
            hostname: hostname.to_owned(),
            pause_reason: None,
            is_paused: false,
            is_active: true,
            deprecated: None,
            created: when,
            last_modified: when,
        }));
    }

    fn edit_node(&mut self, id: NodeId, change: NodeChange, now: Timestamp) -> Result<(), CatalogError> {
        let unknown = CatalogError::Unknown { what: "node", id: u64::from(id.0) };
        let Some(Doc::Node(old)) = self.state.docs().get(kind::NODE, u64::from(id.0)).map(|doc| &**doc)
        else {
            return Err(unknown);
        };
        check_text(&[change.pause_reason.as_deref().unwrap_or_default()])?;
        let mut new = old.clone();
        let when = self.clamp(now);
        new.pause_reason = change.pause_reason.or(new.pause_reason).filter(|reason| !reason.is_empty());
        if let Some(is_paused) = change.is_paused {
            new.is_paused = is_paused;
            new.pause_reason = new.pause_reason.filter(|_| is_paused);
        }
        if let Some(is_active) = change.is_active {
            new.is_active = is_active;
            new.deprecated = (!is_active).then_some(when);
        }
        // As in Scale, it is no change of its record.
        if new != *old {
            self.put(Doc::Node(new));
        }
        Ok(())
    }

    fn edit_scheduler(&mut self, change: SchedulerChange) -> Result<(), CatalogError> {
        check_text(&[change.system_logging_level.as_deref().unwrap_or_default()])?;
        let old = match self.state.docs().get(kind::SCHEDULER, 0).map(|doc| &**doc) {
            Some(Doc::Scheduler(settings)) => settings.clone(),
            _ => SchedulerSettings::default(),
        };
        let mut new = old.clone();
        new.is_paused = change.is_paused.unwrap_or(new.is_paused);
        new.num_message_handlers = change.num_message_handlers.unwrap_or(new.num_message_handlers);
        new.system_logging_level = change.system_logging_level.unwrap_or(new.system_logging_level);
        if new != old {
            self.put(Doc::Scheduler(new));
        }
        if let Some(mode) = change.queue_mode {
            self.set_mode(None, Some(mode))?;
        }
        Ok(())
    }

    pub(super) fn put_error(
        &mut self,
        mut error: ErrorRecord,
        now: Timestamp,
    ) -> Result<ErrorId, CatalogError> {
        check_text(&[&error.name, &error.title, &error.description])?;
        let known = self.state.docs().of_kind(kind::ERROR).find_map(|doc| match &**doc {
            Doc::Error(known)
                if (&known.name, &known.job_type_name) == (&error.name, &error.job_type_name) =>
            {
                Some((known.id, known.created))
            }
            _ => None,
        });
        let when = self.clamp(now);
        (error.id, error.created) = if let Some(known) = known {
            known
        } else {
            self.check_room(kind::ERROR, "errors")?;
            (self.state.docs().next_error(), when)
        };
        error.last_modified = when;
        let id = error.id;
        self.put(Doc::Error(error));
        Ok(id)
    }

    fn put_file(&mut self, mut file: FileRecord, now: Timestamp) -> Result<FileId, CatalogError> {
        check_text(&[&file.name, &file.media_type])?;
        (file.id, file.created) = (self.state.docs().next_file(), self.clamp(now));
        let id = file.id;
        self.put(Doc::File(file));
        Ok(id)
    }

    fn put_dataset(&mut self, mut set: Dataset, now: Timestamp) -> Result<u64, CatalogError> {
        check_text(&[&set.title, &set.definition, &set.parameter])?;
        if set.members.len() > DATASET_FILES_MAX {
            return Err(CatalogError::TooManyFiles { files: set.members.len() });
        }
        self.check_room(kind::DATASET, "data sets")?;
        (set.id, set.created) = (self.state.docs().next(kind::DATASET), self.clamp(now));
        let id = set.id;
        self.put(Doc::Dataset(set));
        Ok(id)
    }

    fn put_workspace(&mut self, mut workspace: Workspace, now: Timestamp) -> Result<u32, CatalogError> {
        check_text(&[&workspace.name, &workspace.title, &workspace.description, &workspace.configuration])?;
        let known = self.state.docs().of_kind(kind::WORKSPACE).find_map(|doc| match &**doc {
            Doc::Workspace(known) if known.name == workspace.name => Some((known.id, known.created)),
            _ => None,
        });
        let when = self.clamp(now);
        (workspace.id, workspace.created) = if let Some(known) = known {
            known
        } else {
            self.check_room(kind::WORKSPACE, "workspaces")?;
            (u32::try_from(self.state.docs().next(kind::WORKSPACE)).unwrap_or(u32::MAX), when)
        };
        workspace.last_modified = when;
        let id = workspace.id;
        self.put(Doc::Workspace(workspace));
        Ok(id)
    }

    pub(in crate::engine) fn create_event(
        &mut self,
        kind: &str,
        description: Json,
        occurred: Timestamp,
    ) -> Result<EventId, CatalogError> {
        check_text(&[kind, &description])?;
        let id = self.state.docs().next_event();
        self.put(Doc::Event(TriggerEvent { id, kind: kind.to_owned(), description, occurred }));
        Ok(id)
    }
}
