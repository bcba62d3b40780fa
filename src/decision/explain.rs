//! Why an execution waits: computed when asked, from the same lanes, switches and requests that
//! decisions use.

use serde::Serialize;

use crate::model::{JobId, JobStatus, JobTypeId, NodeId, NodeResources, Quantity, RecipeId, Timestamp};
use crate::offer::Nodes;
use crate::queue::{Entry, Queue};

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
    },
    /// No node was offered yet.
    NoNodes,
    /// It asks for more than any node has in all: it can never be placed.
    TooBig {
        /// What is short; several where no single one explains it.
        shortages: Vec<Shortage>,
    },
    /// Nodes that could take it are busy.
    Busy {
        /// What is short now, at the node that comes nearest.
        shortages: Vec<Shortage>,
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
}

/// What `asked` lacks on nodes whose amounts `have` gives, by resource; empty when one node has
/// all of it.
fn shortages(nodes: &Nodes, asked: &NodeResources, have: impl Fn(NodeId) -> NodeResources) -> Vec<Shortage> {
    let all: Vec<(NodeId, NodeResources)> =
        nodes.iter().map(|node| (node.id, have(node.id).shortage(asked))).collect();
    if all.iter().any(|(_, short)| short.is_zero()) {
        return Vec::new();
    }
    // The node that lacks the fewest kinds of things, then the least of its first one.
    let rank = |short: &NodeResources| {
        let first = short.iter().next().map(|(_, amount)| amount);
        (short.iter().len(), first)
    };
    let Some((nearest, short)) = all.iter().min_by_key(|(id, short)| (rank(short), *id)) else {
        return Vec::new();
    };
    let of = |name: &str, missing: Quantity| Shortage {
        resource: name.to_owned(),
        asked: asked.get(name),
        most: Quantity(asked.get(name).0 - missing.0),
        short: missing,
        n_nodes: all.iter().filter(|(_, short)| short.get(name) > Quantity::ZERO).count(),
        nearest: *nearest,
        nearest_name: nodes.get(*nearest).map(|node| node.name.clone()).unwrap_or_default(),
    };
    short.iter().map(|(name, missing)| of(name.as_str(), missing)).collect()
}

/// The first thing that keeps a queued entry from starting. `paused` and `limit` are those of its
/// type. Cost: nodes, and a search in every lane for its position.
pub(crate) fn explain(
    queue: &Queue,
    nodes: &Nodes,
    entry: &Entry,
    paused: Option<Timestamp>,
    limit: Option<u32>,
) -> (Option<usize>, Blocker) {
    let position = queue.position(entry.id);
    let job_type = entry.job_type;
    let (is_paused, is_at_limit) = queue.held_by(job_type);
    if is_paused && !queue.is_let_through(entry.id) {
        return (position, Blocker::Paused { job_type, since: paused });
    }
    if nodes.iter().len() == 0 {
        return (position, Blocker::NoNodes);
    }
    let asked = queue.named(&entry.asks);
    let total = |id| nodes.get(id).map(|node| node.total.clone()).unwrap_or_default();
    let too_big = shortages(nodes, &asked, total);
    if !too_big.is_empty() {
        return (position, Blocker::TooBig { shortages: too_big });
    }
    if let Some(max_scheduled) = limit.filter(|_| is_at_limit) {
        let running = queue.n_taken(job_type);
        return (position, Blocker::Limit { job_type, max_scheduled, running });
    }
    let free = |id| nodes.get(id).map(|node| node.free.clone()).unwrap_or_default();
    let busy = shortages(nodes, &asked, free);
    if !busy.is_empty() {
        return (position, Blocker::Busy { shortages: busy });
    }
    match position {
        Some(n_ahead) if n_ahead > 0 => (position, Blocker::Behind { n_ahead }),
        _ => (position, Blocker::Next),
    }
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { resource, asked, most, short, n_nodes, nearest_name, .. } = self;
        let nodes = if *n_nodes == 1 { "node" } else { "nodes" };
        write!(
            f,
            "{resource}: asks for {asked}, {short} short on {n_nodes} {nodes}, nearest {nearest_name} with {most}"
        )
    }
}

impl std::fmt::Display for WaitNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { recipe, name, sub_recipe } = self;
        match sub_recipe {
            Some(sub) => write!(f, "recipe {sub} (node {name} of recipe {recipe})"),
            None => write!(f, "node {name} of recipe {recipe}"),
        }
    }
}

/// The first five, and how many more there are.
fn list(jobs: &[JobId], nodes: &[WaitNode]) -> String {
    let all = jobs.iter().map(|job| format!("job {job}")).chain(nodes.iter().map(ToString::to_string));
    let shown: Vec<String> = all.take(5).collect();
    let rest = (jobs.len() + nodes.len()).saturating_sub(5);
    match shown.join(", ") {
        none if none.is_empty() => "its input".to_owned(),
        shown if rest > 0 => format!("{shown} and {rest} more"),
        shown => shown,
    }
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let join =
            |shortages: &[Shortage]| shortages.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        match self {
            Self::NotQueued { status } => write!(f, "it does not wait: it is {status}"),
            Self::Parents { jobs, nodes } => write!(f, "waits for {}", list(jobs, nodes)),
            Self::BlockedBy { jobs, nodes } => {
                write!(f, "cannot run: {} failed or was canceled", list(jobs, nodes))
            }
            Self::Paused { job_type, .. } => write!(f, "job type {job_type} is paused"),
            Self::Limit { job_type, max_scheduled, running } => {
                write!(f, "job type {job_type} is at its limit: {running} of {max_scheduled} run")
            }
            Self::NoNodes => f.write_str("no node was offered yet"),
            Self::TooBig { shortages } => write!(f, "can never be placed here: {}", join(shortages)),
            Self::Busy { shortages } => write!(f, "waits for room: {}", join(shortages)),
            Self::Behind { n_ahead } => write!(f, "{n_ahead} come first"),
            Self::Next => f.write_str("is next"),
        }
    }
}
