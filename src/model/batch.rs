//! Batches: recipes that were made together, and how far they are.

use bincode::{Decode, Encode};

use super::doc::Json;
use super::ids::{BatchId, EventId, RecipeId, RecipeTypeId};
use super::time::Timestamp;

/// Recipes that were made together.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// For people.
    pub title: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Of which type its recipes are.
    pub recipe_type: RecipeTypeId,
    /// And of which revision.
    pub revision: u32,
    /// What made it.
    pub event: EventId,
    /// The first of its chain.
    pub root: BatchId,
    /// Which one it replaces.
    pub superseded_batch: Option<BatchId>,
    /// Since when it is replaced.
    pub superseded: Option<Timestamp>,
    /// All its recipes are made.
    pub is_creation_done: bool,
    /// Recipes are still made anew; then come those that are new.
    pub is_superseding: bool,
    /// Its definition says whether recipes over the same files are made anew.
    pub is_superseding_asked: bool,
    /// How many recipes it will have.
    pub recipes_estimated: u64,
    /// What of it is done: so many members of its data set, or the recipes of the former batch below this id.
    pub cursor: u64,
    /// Its recipes have ids from here on, among others.
    pub first_recipe: RecipeId,
    /// And up to here, once all are made.
    pub last_recipe: RecipeId,
    /// Where its recipes come from.
    pub definition: Json,
    /// Priority and how input is mapped.
    pub configuration: Json,
    /// The priority of its jobs.
    pub priority: Option<i32>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub last_modified: Timestamp,
}

/// How far some nodes of a batch are: of the jobs that were made for it those that are over, and how long they
/// took.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct BatchCounts {
    /// Of which batch.
    pub batch: BatchId,
    /// 0: the batch as a whole. Else the first node is number `part - 1` times [`BATCH_PART_NODES`] of the
    /// definition.
    pub part: u32,
    /// Recipes that were made, with those within them; of the whole alone.
    pub recipes_total: u64,
    /// Those that are completed; of the whole alone.
    pub recipes_completed: u64,
    /// Of each node; of the whole one.
    pub nodes: Vec<NodeCounts>,
}

/// Nodes in one [`BatchCounts`].
pub const BATCH_PART_NODES: usize = 16;

/// Jobs of one node that are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct NodeCounts {
    /// FAILED.
    pub failed: u32,
    /// COMPLETED.
    pub completed: u32,
    /// CANCELED.
    pub canceled: u32,
    /// The shortest time from start to end of a completed one, in microseconds.
    pub job_us_min: u64,
    /// The longest.
    pub job_us_max: u64,
    /// All of them together.
    pub job_us_sum: u64,
}
