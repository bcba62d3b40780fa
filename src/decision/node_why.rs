//! What runs and may run on a node, and why the rest may not: the reverse of [`explain`](super::explain).

use serde::Serialize;

use super::explain::{Candidate, Sight, room};
use super::pass::Constraint;
use super::why::KeptNode;
use crate::model::{ExeId, JobId, JobTypeId, LaunchName, NodeId, NodeResources, Quantity, Timestamp};
use crate::queue::{Amounts, Entry, Lack, LaneVerdict, Verdict};

/// What keeps the entries of a lane from a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum NodeVerdict {
    /// This one fits. Whether it starts there is for others that fit to say, and for other nodes.
    Fits {
        /// Which, the first of them that does.
        exe: ExeId,
        /// Of which job.
        job: JobId,
        /// How many that ask for as much there is room for at once, of as many as wait and may run.
        n: u64,
    },
    /// Each asks for more than is free.
    Short {
        /// What is missing for each of them.
        lacks: Vec<Lack>,
    },
    /// None fits, although memory and disk would each suffice for some.
    ShortTogether,
    /// Each asks for more than the node has in all.
    TooBig {
        /// What is missing for each of them.
        lacks: Vec<Lack>,
    },
    /// The type is paused.
    Paused,
    /// The type runs as often as it may.
    Limit {
        /// The limit.
        max_scheduled: u32,
        /// How many run.
        running: u32,
    },
    /// The node is not what the type demands.
    Constraints {
        /// What it does not meet.
        unmet: Vec<Constraint>,
    },
    /// The node takes nothing.
    NodePaused,
    /// One fits beside what runs there, and the node offers nothing now.
    NotOnOffer,
    /// No node does: the scheduler is paused.
    SchedulerPaused,
    /// One fits, and the node is kept for another.
    Kept,
    /// One fits, and another has to start first: the order is strict.
    Strict {
        /// Of which job.
        job: JobId,
    },
}

/// Entries that share a job type and what they ask for beside memory and disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneWhy {
    /// Their kind.
    pub job_type: JobTypeId,
    /// How many there are.
    pub n_queued: usize,
    /// The first of them.
    pub exe: ExeId,
    /// Its job.
    pub job: JobId,
    /// Its priority; the lower number is the more important.
    pub priority: i32,
    /// What it asks for.
    pub asks: NodeResources,
    /// What keeps them.
    pub verdict: NodeVerdict,
}

/// An execution that runs on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeRuns {
    /// Its launch.
    pub launch: LaunchName,
    /// Of which job.
    pub job: JobId,
    /// Of which kind.
    pub job_type: JobTypeId,
    /// The lower number is the more important.
    pub priority: i32,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What it got.
    pub has: NodeResources,
}

/// What runs and may run on a node, and why the rest may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeWhy {
    /// Which node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// What it has in all.
    pub total: NodeResources,
    /// What is free, as decisions see it.
    pub free: NodeResources,
    /// Whether that is on offer now; else it is what the last offer left.
    pub is_on_offer: bool,
    /// Of a node of a cluster that offers nothing now: what would be free if it offered all that is not in use.
    pub not_on_offer: Option<NodeResources>,
    /// What runs there, the oldest first, at most a hundred.
    pub running: Vec<NodeRuns>,
    /// How many run there.
    pub n_running: usize,
    /// Whether nothing new is launched there.
    pub is_paused: bool,
    /// Whether nothing new is launched anywhere.
    pub is_scheduler_paused: bool,
    /// For whom it is kept.
    pub kept: Option<KeptNode>,
    /// Those with the most important entries, in the order of the queue, at most a hundred.
    pub lanes: Vec<LaneWhy>,
    /// How many there are.
    pub n_lanes: usize,
}

/// How often `free` holds `asked`.
fn n_times(free: &Amounts, asked: &Amounts) -> u64 {
    let times = free.0.iter().zip(asked.0).filter_map(|(free, asked)| free.checked_div(asked));
    times.min().unwrap_or(u64::MAX)
}

impl Sight<'_> {
    /// What keeps the entries of a lane from a node.
    fn on_node(&self, node: &Candidate<'_>, lane: LaneVerdict) -> NodeVerdict {
        if lane.verdict == Verdict::Paused {
            return NodeVerdict::Paused;
        }
        let unmet = self.unmet(node, &lane.head);
        if !unmet.is_empty() {
            return NodeVerdict::Constraints { unmet };
        }
        if let Verdict::Short(lacks) = &lane.verdict {
            let total = self.queue.named(&node.total);
            let never = |lack: &Lack| {
                let short = lack.asked.minus(total.get(lack.resource.as_str()))?;
                (short > Quantity::ZERO).then(|| Lack { short, ..lack.clone() })
            };
            let lacks: Vec<Lack> = lacks.iter().filter_map(never).collect();
            if !lacks.is_empty() {
                return NodeVerdict::TooBig { lacks };
            }
        }
        match lane.verdict {
            Verdict::Paused => NodeVerdict::Paused,
            Verdict::AtLimit { limit, n_taken } => {
                NodeVerdict::Limit { max_scheduled: limit, running: n_taken }
            }
            _ if self.is_paused => NodeVerdict::SchedulerPaused,
            _ if !node.is_ready => NodeVerdict::NodePaused,
            Verdict::Short(lacks) => NodeVerdict::Short { lacks },
            Verdict::ShortTogether => NodeVerdict::ShortTogether,
            Verdict::Fits(_) if node.silent.is_some() => NodeVerdict::NotOnOffer,
            Verdict::Fits(exe) => {
                let entry = self.queue.get(exe).unwrap_or(lane.head);
                self.fits(node, &entry, lane.n_queued)
            }
        }
    }

    fn fits(&self, node: &Candidate<'_>, entry: &Entry, n_queued: usize) -> NodeVerdict {
        if self.is_closed(node, entry) {
            return NodeVerdict::Kept;
        }
        if let Some(first) = self.ahead(self.queue.position(entry.id)) {
            return NodeVerdict::Strict { job: first.job };
        }
        let is_for_it = node.kept.is_some_and(|(kept, _)| kept.exe == entry.id);
        let waiting = if is_for_it { 1 } else { n_queued as u64 };
        let may_run = self.queue.n_left(entry.job_type).map_or(u64::MAX, u64::from);
        let n = n_times(&node.free, &entry.asks).min(waiting).min(may_run);
        NodeVerdict::Fits { exe: entry.id, job: entry.job, n }
    }
}

/// What may run on a node, and why the rest may not, by at most `n_lanes` lanes; `None` for a node that was not
/// seen. What runs there is for the caller to add. Cost: nodes and lanes, and a search for each lane that is told.
pub(crate) fn node_why(sight: &Sight<'_>, id: NodeId, n_lanes: usize) -> Option<NodeWhy> {
    let node = sight.nodes.iter().find(|node| node.seen.id == id)?;
    let (verdicts, n_all) = sight.queue.first_verdicts(&room(node), n_lanes);
    let lane = |lane: LaneVerdict| LaneWhy {
        job_type: lane.job_type,
        n_queued: lane.n_queued,
        exe: lane.head.id,
        job: lane.head.job,
        priority: lane.head.priority,
        asks: sight.queue.named(&lane.head.asks),
        verdict: sight.on_node(node, lane),
    };
    Some(NodeWhy {
        node: id,
        name: node.seen.name.clone(),
        total: node.has.clone().into_owned(),
        free: node.free_by_name(sight.queue),
        is_on_offer: node.is_on_offer,
        not_on_offer: node.silent.map(|free| sight.queue.named(&free)),
        running: Vec::new(),
        n_running: 0,
        is_paused: !node.is_ready && !sight.is_paused,
        is_scheduler_paused: sight.is_paused,
        kept: node.kept.as_ref().map(|kept| node.told(kept)),
        lanes: verdicts.into_iter().map(lane).collect(),
        n_lanes: n_all,
    })
}
