//! The catalog as readers see it: job types and recipe types with their revisions, nodes, errors, batches.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::model::{
    Batch, BatchId, BulkId, BulkOperation, Doc, DocKey, ErrorId, ErrorRecord, JobError, JobType,
    JobTypeDetails, JobTypeId, JobTypeRevision, NodeId, NodeRecord, RecipeType, RecipeTypeId,
    RecipeTypeRevision, SchedulerSettings, Timestamp, Workspace, kind,
};

/// Documents of the catalog at one position of the log, by kind: what did not change is shared between views.
#[derive(Clone, Debug, Default)]
pub struct CatalogView(pub(super) BTreeMap<u8, Arc<BTreeMap<DocKey, Arc<Doc>>>>);

/// Errors that come with the system.
static BUILT_IN: LazyLock<Vec<ErrorRecord>> = LazyLock::new(|| JobError::ALL.map(built_in).to_vec());

fn built_in(error: JobError) -> ErrorRecord {
    let title = match error {
        JobError::ExitCode => "Exit Code",
        JobError::Signal => "Killed by a Signal",
        JobError::Timeout => "Timeout",
        JobError::NotStarted => "Not Started",
        JobError::Lost => "Lost",
    };
    ErrorRecord {
        id: error.into(),
        name: error.code().to_owned(),
        title: title.to_owned(),
        description: String::new(),
        job_type_name: None,
        category: error.category().as_str().to_owned(),
        is_builtin: true,
        should_be_retried: true,
        created: Timestamp(0),
        last_modified: Timestamp(0),
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $all:ident, $variant:ident, $kind:ident, $type:ty;)*) => {
        impl CatalogView {$(
            $(#[$doc])*
            pub fn $all(&self) -> impl DoubleEndedIterator<Item = &$type> {
                self.of_kind(kind::$kind).filter_map(|doc| match &**doc {
                    Doc::$variant(doc) => Some(doc),
                    _ => None,
                })
            }
        )*}
    };
}

kinds! {
    /// Job types that were made from manifests, by id.
    job_types, JobType, JOB_TYPE, JobTypeDetails;
    /// Revisions of job types, by type and revision.
    job_type_revisions, JobTypeRevision, JOB_TYPE_REVISION, JobTypeRevision;
    /// Recipe types, by id.
    recipe_types, RecipeType, RECIPE_TYPE, RecipeType;
    /// Revisions of recipe types, by type and revision.
    recipe_type_revisions, RecipeTypeRevision, RECIPE_TYPE_REVISION, RecipeTypeRevision;
    /// Nodes on record, by id.
    nodes, Node, NODE, NodeRecord;
    /// Workspaces, by id.
    workspaces, Workspace, WORKSPACE, Workspace;
    /// Batches, by id.
    batches, Batch, BATCH, Batch;
    /// Bulk operations, by id.
    bulk_operations, Bulk, BULK, BulkOperation;
}

impl CatalogView {
    fn of_kind(&self, kind: u8) -> impl DoubleEndedIterator<Item = &Arc<Doc>> {
        self.0.get(&kind).into_iter().flat_map(|docs| docs.values())
    }

    fn get(&self, kind: u8, id: u64, sub: u64) -> Option<&Doc> {
        self.0.get(&kind)?.get(&DocKey { kind, id, sub }).map(|doc| &**doc)
    }

    /// What a job type has that was made from a manifest.
    pub fn job_type(&self, id: JobTypeId) -> Option<&JobTypeDetails> {
        match self.get(kind::JOB_TYPE, u64::from(id.0), 0)? {
            Doc::JobType(doc) => Some(doc),
            _ => None,
        }
    }

    /// The image that new jobs of a type run in; none where that is none.
    pub fn image<'v>(&'v self, kind: &'v JobType) -> Option<&'v str> {
        let newest = self.job_type(kind.id).and_then(|known| self.job_type_revision(kind.id, known.revision));
        kind.spec.image_in(newest.map(|revision| revision.docker_image.as_str()))
    }

    /// A revision of a job type.
    pub fn job_type_revision(&self, id: JobTypeId, revision: u32) -> Option<&JobTypeRevision> {
        match self.get(kind::JOB_TYPE_REVISION, u64::from(id.0), u64::from(revision))? {
            Doc::JobTypeRevision(doc) => Some(doc),
            _ => None,
        }
    }

    /// A recipe type.
    pub fn recipe_type(&self, id: RecipeTypeId) -> Option<&RecipeType> {
        match self.get(kind::RECIPE_TYPE, u64::from(id.0), 0)? {
            Doc::RecipeType(doc) => Some(doc),
            _ => None,
        }
    }

    /// The recipe type of a name.
    pub fn recipe_type_named(&self, name: &str) -> Option<&RecipeType> {
        self.recipe_types().find(|doc| doc.name == name)
    }

    /// A revision of a recipe type.
    pub fn recipe_type_revision(&self, id: RecipeTypeId, revision: u32) -> Option<&RecipeTypeRevision> {
        match self.get(kind::RECIPE_TYPE_REVISION, u64::from(id.0), u64::from(revision))? {
            Doc::RecipeTypeRevision(doc) => Some(doc),
            _ => None,
        }
    }

    /// A node on record.
    pub fn node(&self, id: NodeId) -> Option<&NodeRecord> {
        match self.get(kind::NODE, u64::from(id.0), 0)? {
            Doc::Node(doc) => Some(doc),
            _ => None,
        }
    }

    /// A batch.
    pub fn batch(&self, id: BatchId) -> Option<&Batch> {
        match self.get(kind::BATCH, id.0, 0)? {
            Doc::Batch(doc) => Some(doc),
            _ => None,
        }
    }

    /// A bulk operation.
    pub fn bulk_operation(&self, id: BulkId) -> Option<&BulkOperation> {
        match self.get(kind::BULK, id.0, 0)? {
            Doc::Bulk(doc) => Some(doc),
            _ => None,
        }
    }

    /// All kinds of errors, by id: those that come with the system first.
    pub fn errors(&self) -> impl Iterator<Item = &ErrorRecord> {
        let own = self.of_kind(kind::ERROR).filter_map(|doc| match &**doc {
            Doc::Error(doc) => Some(doc),
            _ => None,
        });
        BUILT_IN.iter().chain(own)
    }

    /// A kind of error.
    pub fn error(&self, id: ErrorId) -> Option<&ErrorRecord> {
        if let Some(built_in) = BUILT_IN.iter().find(|error| error.id == id) {
            return Some(built_in);
        }
        match self.get(kind::ERROR, u64::from(id.0), 0)? {
            Doc::Error(doc) => Some(doc),
            _ => None,
        }
    }

    /// How the scheduler is set.
    pub fn scheduler(&self) -> SchedulerSettings {
        match self.get(kind::SCHEDULER, 0, 0) {
            Some(Doc::Scheduler(doc)) => doc.clone(),
            _ => SchedulerSettings::default(),
        }
    }
}
