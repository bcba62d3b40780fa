//! What stands in other answers: short forms of types, revisions, events, nodes and errors.

use serde::Serialize;
use serde_json::Value;

use super::Time;
use crate::engine::{CatalogView, View};
use crate::model::{
    Batch, ErrorId, ErrorRecord, JobType, JobTypeDetails, JobTypeId, NodeId, RecipeType, RecipeTypeId,
    RecipeTypeRevision, TriggerEvent,
};

/// Revisions of one type in the id of a revision: `type * this + revision`.
const REVISIONS: u64 = 1 << 20;

/// The id of a revision of a job type or a recipe type.
pub(in crate::api) fn revision_id(of: u32, revision: u32) -> u64 {
    u64::from(of) * REVISIONS + u64::from(revision)
}

/// A document as it was kept; null where it is none.
pub(in crate::api) fn document(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

/// Something of which only the id is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(in crate::api) struct Id<T> {
    pub(in crate::api) id: T,
}

/// A job type, as it stands in other answers.
#[expect(clippy::struct_excessive_bools, reason = "as Scale shows it")]
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobTypeBase {
    id: u32,
    name: String,
    version: String,
    title: String,
    description: String,
    is_active: bool,
    is_system: bool,
    is_paused: bool,
    is_published: bool,
    icon_code: Option<String>,
    unmet_resources: (),
}

impl JobTypeBase {
    pub(in crate::api) fn new(kind: &JobType, catalog: &CatalogView) -> Self {
        Self::with(kind, catalog.job_type(kind.id))
    }

    /// One whose details are at hand, if it has any.
    pub(in crate::api) fn with(kind: &JobType, details: Option<&JobTypeDetails>) -> Self {
        Self {
            id: kind.id.0,
            name: kind.spec.name.clone(),
            version: kind.spec.version.clone(),
            title: kind.spec.title.clone(),
            description: kind.spec.description.clone(),
            is_active: kind.spec.is_active,
            is_system: details.is_some_and(|details| details.is_system),
            is_paused: kind.spec.is_paused,
            is_published: details.is_some_and(|details| details.is_published),
            icon_code: details.and_then(|details| details.icon_code.clone()),
            unmet_resources: (),
        }
    }

    /// The type of that id.
    pub(in crate::api) fn of(id: JobTypeId, view: &View) -> Option<Self> {
        view.job_type(id).map(|kind| Self::new(&kind.job_type, &view.catalog))
    }
}

/// A recipe type, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeTypeBase {
    id: u32,
    name: String,
    title: String,
    description: Option<String>,
    revision_num: u32,
}

impl From<&RecipeType> for RecipeTypeBase {
    fn from(kind: &RecipeType) -> Self {
        Self {
            id: kind.id.0,
            name: kind.name.clone(),
            title: kind.title.clone(),
            description: Some(kind.description.clone()).filter(|text| !text.is_empty()),
            revision_num: kind.revision,
        }
    }
}

impl RecipeTypeBase {
    /// The type of that id.
    pub(in crate::api) fn of(id: RecipeTypeId, catalog: &CatalogView) -> Option<Self> {
        catalog.recipe_type(id).map(Self::from)
    }
}

/// A revision of a recipe type, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeTypeRevBase {
    id: u64,
    recipe_type: Option<RecipeTypeBase>,
    revision_num: u32,
    created: Time,
}

impl RecipeTypeRevBase {
    pub(in crate::api) fn new(revision: &RecipeTypeRevision, catalog: &CatalogView) -> Self {
        Self {
            id: revision_id(revision.recipe_type.0, revision.revision),
            recipe_type: RecipeTypeBase::of(revision.recipe_type, catalog),
            revision_num: revision.revision,
            created: Time(revision.created),
        }
    }
}

/// A batch, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct BatchBase {
    id: u64,
    title: Option<String>,
    description: Option<String>,
    created: Time,
}

impl From<&Batch> for BatchBase {
    fn from(batch: &Batch) -> Self {
        Self {
            id: batch.id.0,
            title: batch.title.clone(),
            description: batch.description.clone(),
            created: Time(batch.created),
        }
    }
}

/// What made a job, a recipe or a batch.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct EventBase {
    id: u64,
    r#type: String,
    occurred: Time,
    description: Value,
}

impl From<&TriggerEvent> for EventBase {
    fn from(event: &TriggerEvent) -> Self {
        Self {
            id: event.id.0,
            r#type: event.kind.clone(),
            occurred: Time(event.occurred),
            description: document(&event.description),
        }
    }
}

/// A node, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct NodeBase {
    id: u32,
    hostname: String,
}

impl NodeBase {
    /// The node of that id. One that is not on record is known again only once it was seen again.
    pub(in crate::api) fn of(id: NodeId, view: &View) -> Self {
        let recorded = view.catalog.node(id).map(|node| node.hostname.clone());
        let seen = || view.node(id).map(|status| status.node.name.clone());
        Self { id: id.0, hostname: recorded.or_else(seen).unwrap_or_else(|| format!("node-{id}")) }
    }
}

/// A kind of error, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct ErrorBase {
    id: u32,
    name: String,
    title: String,
    description: String,
    job_type_name: Option<String>,
    category: String,
    is_builtin: bool,
    should_be_retried: bool,
}

impl From<&ErrorRecord> for ErrorBase {
    fn from(error: &ErrorRecord) -> Self {
        Self {
            id: error.id.0,
            name: error.name.clone(),
            title: error.title.clone(),
            description: error.description.clone(),
            job_type_name: error.job_type_name.clone(),
            category: error.category.clone(),
            is_builtin: error.is_builtin,
            should_be_retried: error.should_be_retried,
        }
    }
}

impl ErrorBase {
    /// The error of that id, with what is known of this one time.
    pub(in crate::api) fn of(id: ErrorId, told: &str, catalog: &CatalogView) -> Option<Self> {
        let mut error = Self::from(catalog.error(id)?);
        if error.description.is_empty() {
            told.clone_into(&mut error.description);
        }
        Some(error)
    }
}
