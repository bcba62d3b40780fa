//! Why an execution waits, as it is told.

use serde::Serialize;

use super::pass::{Constraint, Passed};
use crate::model::{
    ExeId, JobId, JobStatus, JobTypeId, NodeId, NodeResources, Quantity, RecipeId, Timestamp,
};

/// How much of one resource is missing, at the node that comes nearest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// Which resource.
    pub resource: String,
    /// How much is asked for.
    pub asked: Quantity,
    /// The most that one node has (or has free).
    pub most: Quantity,
    /// What is missing there.
    pub short: Quantity,
    /// On how many nodes it is missing.
    pub n_nodes: usize,
    /// The node that comes nearest.
    pub nearest: NodeId,
    /// That node's name.
    pub nearest_name: String,
}

/// A node that is kept for an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptNode {
    /// Which node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// For which execution.
    pub exe: ExeId,
    /// Of which job.
    pub job: JobId,
    /// Of which kind.
    pub job_type: JobTypeId,
    /// Since when.
    pub since: Timestamp,
    /// When that one can start there, as far as one can tell.
    pub starts: Option<Timestamp>,
}

/// A demand on nodes, and how many meet it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DemandMet {
    /// The demand.
    pub demand: Constraint,
    /// How many nodes meet it.
    pub n_nodes: usize,
}

/// A node of a recipe that no job stands for: a condition, a sub-recipe, or one that is still to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitNode {
    /// Of which recipe.
    pub recipe: RecipeId,
    /// Its name there.
    pub name: String,
    /// The sub-recipe that stands for it.
    pub sub_recipe: Option<RecipeId>,
}

/// The first thing that keeps an execution from starting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum Blocker {
    /// It is not waiting for a node at all.
    NotQueued {
        /// Where the job stands.
        status: JobStatus,
    },
    /// It waits for other jobs to complete.
    Parents {
        /// Those that are not completed.
        jobs: Vec<JobId>,
        /// What else in its recipe has to be done first.
        nodes: Vec<WaitNode>,
    },
    /// A job it depends on failed or was canceled.
    BlockedBy {
        /// Those.
        jobs: Vec<JobId>,
        /// What else in its recipe cannot be done.
        nodes: Vec<WaitNode>,
    },
    /// Its type is paused.
    Paused {
        /// Which type.
        job_type: JobTypeId,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// Its type runs as often as it may.
    Limit {
        /// Which type.
        job_type: JobTypeId,
        /// The limit.
        max_scheduled: u32,
        /// How many run.
        running: u32,
        /// Since when that holds what waits, where it was seen.
        since: Option<Timestamp>,
    },
    /// No node was offered yet.
    NoNodes,
    /// It asks for more than any node has in all: it can never be placed.
    TooBig {
        /// What is short; several where no single one explains it.
        shortages: Vec<Shortage>,
    },
    /// The scheduler is paused.
    SchedulerPaused,
    /// No node meets all that its type demands of nodes.
    Constraints {
        /// Each demand, and how many nodes meet it.
        demands: Vec<DemandMet>,
        /// How many nodes there are.
        n_nodes: usize,
        /// The node that comes nearest.
        nearest: NodeId,
        /// That node's name.
        nearest_name: String,
        /// What it does not meet.
        unmet: Vec<Constraint>,
    },
    /// The nodes that could take it are paused.
    NodesPaused {
        /// How many.
        n_nodes: usize,
        /// The first of them.
        node: NodeId,
        /// That node's name.
        name: String,
    },
    /// Nodes that could take it are busy.
    Busy {
        /// What is short now, at the node that comes nearest.
        shortages: Vec<Shortage>,
    },
    /// Nodes have room for it by what runs there, and offer nothing now.
    NotOnOffer {
        /// How many.
        n_nodes: usize,
        /// The first of them.
        node: NodeId,
        /// That node's name.
        name: String,
    },
    /// It would fit now, on nodes that are kept for others.
    Kept {
        /// The first of them by id, five at most.
        nodes: Vec<KeptNode>,
        /// How many there are.
        n_nodes: usize,
    },
    /// A node is kept for it, and is not free enough yet.
    Holds {
        /// Which.
        node: KeptNode,
        /// What is short there; nothing where it has the room, and does not offer it now.
        shortages: Vec<Shortage>,
    },
    /// It fits, and waits behind one that has to start first: the order is strict.
    Strict {
        /// Which one: it fits nowhere now, and could on an empty node.
        exe: ExeId,
        /// Of which job.
        job: JobId,
        /// Of which kind.
        job_type: JobTypeId,
    },
    /// It fits, and others come first.
    Behind {
        /// How many.
        n_ahead: usize,
    },
    /// It fits and nothing is ahead: the next offer takes it.
    Next,
}

/// Why a job waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// Which job.
    pub job: JobId,
    /// Where it stands.
    pub status: JobStatus,
    /// What it asks for.
    pub asks: NodeResources,
    /// Its place in the queue, from 0; none when it is not queued.
    pub position: Option<usize>,
    /// How many are queued in all.
    pub n_queued: usize,
    /// The first thing in its way.
    pub blocker: Blocker,
    /// True where a pause of its type does not hold it.
    pub is_let_through: bool,
    /// Since when it was passed over that could have run on an empty node, and by how many behind it;
    /// counted where passes keep nodes, or where the order is strict.
    pub passed: Option<Passed>,
}

impl Why {
    /// Of a job that is next, for whoever knows better.
    pub(crate) fn of(job: JobId, status: JobStatus, asks: NodeResources, n_queued: usize) -> Self {
        let (position, blocker, is_let_through, passed) = (None, Blocker::Next, false, None);
        Self { job, status, asks, position, n_queued, blocker, is_let_through, passed }
    }
}
