//! What a caller hands in: jobs and recipes under an id of the caller's making.

use std::sync::Arc;

use bincode::{Decode, Encode};

use bincode::de::{BorrowDecode, BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};

use super::doc::Json;
use super::ids::{BatchId, EventId, JobId, JobTypeId, RecipeId, TenantId};
use super::job::Values;
use super::resources::NodeResources;

/// Longest submission id, in bytes.
pub const SUBMISSION_ID_LEN_MAX: usize = 128;

/// The caller's name for a submission. The same name again returns the first answer, so a caller
/// that is not sure whether it was heard simply asks again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubmissionId(Arc<str>);

/// Why a text is no submission id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a submission id is 1 to {SUBMISSION_ID_LEN_MAX} bytes of printable ASCII")]
pub struct SubmissionIdError;

impl SubmissionId {
    /// Checks `id`.
    pub fn new(id: &str) -> Result<Self, SubmissionIdError> {
        let printable = id.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if id.is_empty() || id.len() > SUBMISSION_ID_LEN_MAX || !printable {
            return Err(SubmissionIdError);
        }
        Ok(Self(id.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a job is given beside values: by a recipe, a batch, or a caller who speaks in documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct Given {
    /// Its input; empty where that is made later, from what others give.
    pub input: Json,
    /// The size of the input's files in whole MiB, where it is known.
    pub input_mib: Option<u64>,
    /// Priority, mounts, workspaces, settings; empty: those of its type.
    pub configuration: Json,
    /// What made it; none: the call that did.
    pub event: Option<EventId>,
    /// In which batch.
    pub batch: Option<BatchId>,
    /// The revision of its type; none: the newest.
    pub revision: Option<u32>,
    /// Which job it replaces.
    pub superseded_job: Option<JobId>,
    /// The first of that chain.
    pub root_superseded_job: Option<JobId>,
}

/// One or many jobs that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// Their kind.
    pub job_type: JobTypeId,
    /// How many; they get contiguous ids.
    pub count: u32,
    /// Whose they are.
    pub tenant: TenantId,
    /// Replaces the type's priority. The lower number is the more important; zero is a value.
    pub priority: Option<i32>,
    /// Replaces, by name, what the type asks for.
    pub resources: Option<NodeResources>,
    /// For the placeholders of the type's command.
    pub values: Values,
    /// What else they are given.
    pub given: Option<Arc<Given>>,
}

/// Beside a tenant: what the jobs are given follows the values. Requests of before have none.
pub(crate) const IS_GIVEN: u32 = 1 << 31;

impl Encode for JobRequest {
    fn encode<E: Encoder>(&self, out: &mut E) -> Result<(), EncodeError> {
        self.job_type.encode(out)?;
        self.count.encode(out)?;
        let mark = if self.given.is_some() { IS_GIVEN } else { 0 };
        (self.tenant.0 & !IS_GIVEN | mark).encode(out)?;
        self.priority.encode(out)?;
        self.resources.encode(out)?;
        self.values.encode(out)?;
        self.given.as_ref().map_or(Ok(()), |given| given.encode(out))
    }
}

impl<C> Decode<C> for JobRequest {
    fn decode<D: Decoder<Context = C>>(from: &mut D) -> Result<Self, DecodeError> {
        let (job_type, count, tenant) = (Decode::decode(from)?, Decode::decode(from)?, u32::decode(from)?);
        let (priority, resources) = (Decode::decode(from)?, Decode::decode(from)?);
        let values = Decode::decode(from)?;
        let given = if tenant & IS_GIVEN == 0 { None } else { Some(Decode::decode(from)?) };
        Ok(Self { job_type, count, tenant: TenantId(tenant & !IS_GIVEN), priority, resources, values, given })
    }
}

impl<'de, C> BorrowDecode<'de, C> for JobRequest {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(from: &mut D) -> Result<Self, DecodeError> {
        Self::decode(from)
    }
}

impl JobRequest {
    /// One job of `job_type`, as its type says.
    pub fn new(job_type: JobTypeId) -> Self {
        Self {
            job_type,
            count: 1,
            tenant: TenantId::default(),
            priority: None,
            resources: None,
            values: Arc::default(),
            given: None,
        }
    }

    /// Sets what else they are given.
    #[must_use]
    pub fn given(mut self, given: Given) -> Self {
        self.given = Some(Arc::new(given));
        self
    }

    /// Sets how many.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Sets the priority; the lower number is the more important.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Replaces, by name, what the type asks for.
    #[must_use]
    pub fn needs(mut self, resources: NodeResources) -> Self {
        self.resources = Some(resources);
        self
    }

    /// Sets the values.
    #[must_use]
    pub fn values<K: Into<String>, V: Into<String>>(
        mut self,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.values = values.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        self
    }
}

/// A job in a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecipeNode {
    /// Unique in its recipe.
    pub name: Arc<str>,
    /// What it is; `count` must be 1.
    pub job: JobRequest,
    /// Places, in the recipe's list, of the nodes that must complete before it.
    pub parents: Vec<u32>,
}

/// A graph of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct RecipeRequest {
    /// For people.
    pub name: String,
    /// Its jobs; edges lead from `parents` and never in a circle.
    pub nodes: Vec<RecipeNode>,
}

/// When a submission is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on disk: a crash at any moment loses nothing that was answered.
    #[default]
    Durable,
    /// Once it is in order, in memory. It is handed to the disk at once, and is there when the commit
    /// under way and the next one have ended, some milliseconds later while the disk takes it. A crash
    /// before that loses it whole, with everything that came after it and nothing that came before; so
    /// a later durable answer of the same engine covers it. Submitting it again under the same id, as
    /// durable, tells whether it is there.
    Buffered,
}

/// Jobs and recipes that are queued together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The caller's name for it.
    pub id: SubmissionId,
    /// Jobs without dependencies, in the order they are queued.
    pub jobs: Vec<JobRequest>,
    /// Graphs of jobs.
    pub recipes: Vec<RecipeRequest>,
    /// When it is answered.
    pub durability: Durability,
}

impl Submission {
    /// An empty one.
    pub fn new(id: SubmissionId) -> Self {
        Self { id, jobs: Vec::new(), recipes: Vec::new(), durability: Durability::Durable }
    }

    /// Adds jobs.
    #[must_use]
    pub fn jobs(mut self, request: JobRequest) -> Self {
        self.jobs.push(request);
        self
    }

    /// Lets it be answered before it is on disk; see [`Durability::Buffered`] for what that means.
    #[must_use]
    pub fn buffered(mut self) -> Self {
        self.durability = Durability::Buffered;
        self
    }

    /// Adds a recipe.
    #[must_use]
    pub fn recipe(mut self, recipe: RecipeRequest) -> Self {
        self.recipes.push(recipe);
        self
    }
}

/// The answer to a submission: what it made. First the jobs in the order given, then each
/// recipe's in the order of its nodes, all with contiguous ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Accepted {
    /// The first job's id.
    pub first_job: JobId,
    /// How many jobs.
    pub n_jobs: u32,
    /// The first recipe's id.
    pub first_recipe: RecipeId,
    /// How many recipes.
    pub n_recipes: u32,
    /// True when this submission had been accepted before and nothing was made now.
    pub is_repeat: bool,
}

impl Accepted {
    /// Ids of all its jobs.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + use<> {
        (self.first_job.0..self.first_job.0 + u64::from(self.n_jobs)).map(JobId)
    }
}
