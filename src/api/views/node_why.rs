//! What may run on a node, under `/api/v1/`.

use serde::Serialize;

use super::own::{JobTypeRef, Kept, NodeRef};
use super::{Amounts, Time};
use crate::decision::{LaneWhy, NodeRuns, NodeVerdict, NodeWhy};
use crate::engine::View;
use crate::queue::Lack;

/// Entries that share a job type and what they ask for beside memory and disk.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Lane {
    job_type: JobTypeRef,
    n_queued: usize,
    job: u64,
    exe: u64,
    priority: i32,
    asks: Amounts,
    /// `fits`, `short` and so on.
    verdict: &'static str,
    /// How many like the first that fits there is room for.
    n_fit: u64,
    /// What is missing.
    short: Vec<Missing>,
    text: String,
}

/// How much of a resource is missing for each of a lane.
#[derive(Clone, Debug, Serialize)]
struct Missing {
    resource: String,
    asked: f64,
    short: f64,
}

/// An execution that runs.
#[derive(Clone, Debug, Serialize)]
struct Runs {
    exe: u64,
    launch: u32,
    job: u64,
    job_type: JobTypeRef,
    priority: i32,
    since: Option<Time>,
    has: Amounts,
}

impl Runs {
    fn new(runs: &NodeRuns, view: &View) -> Self {
        Self {
            exe: runs.launch.exe.0,
            launch: runs.launch.number,
            job: runs.job.0,
            job_type: JobTypeRef::of(runs.job_type, view),
            priority: runs.priority,
            since: runs.since.map(Time),
            has: Amounts::from(&runs.has),
        }
    }
}

/// The word for a verdict.
fn word(verdict: &NodeVerdict) -> &'static str {
    match verdict {
        NodeVerdict::Fits { .. } => "fits",
        NodeVerdict::Short { .. } | NodeVerdict::ShortTogether => "short",
        NodeVerdict::TooBig { .. } => "too_big",
        NodeVerdict::Paused => "paused",
        NodeVerdict::Limit { .. } => "limit",
        NodeVerdict::Constraints { .. } => "constraints",
        NodeVerdict::NodePaused => "node_paused",
        NodeVerdict::NotOnOffer => "not_on_offer",
        NodeVerdict::SchedulerPaused => "scheduler_paused",
        NodeVerdict::Kept => "kept",
        NodeVerdict::Strict { .. } => "strict",
    }
}

impl Lane {
    fn new(lane: &LaneWhy, view: &View) -> Self {
        let (n_fit, short): (u64, &[Lack]) = match &lane.verdict {
            NodeVerdict::Fits { n, .. } => (*n, &[]),
            NodeVerdict::Short { lacks } | NodeVerdict::TooBig { lacks } => (0, lacks),
            _ => (0, &[]),
        };
        let missing = |lack: &Lack| Missing {
            resource: lack.resource.to_string(),
            asked: lack.asked.as_f64(),
            short: lack.short.as_f64(),
        };
        Self {
            job_type: JobTypeRef::of(lane.job_type, view),
            n_queued: lane.n_queued,
            job: lane.job.0,
            exe: lane.exe.0,
            priority: lane.priority,
            asks: Amounts::from(&lane.asks),
            verdict: word(&lane.verdict),
            n_fit,
            short: short.iter().map(missing).collect(),
            text: lane.verdict.to_string(),
        }
    }
}

/// What may run on a node, and why the rest may not.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct NodeExplanation {
    node: NodeRef,
    total: Amounts,
    free: Amounts,
    is_on_offer: bool,
    not_on_offer: Option<Amounts>,
    running: Vec<Runs>,
    n_running: usize,
    is_paused: bool,
    is_scheduler_paused: bool,
    kept: Option<Kept>,
    lanes: Vec<Lane>,
    n_lanes: usize,
    text: String,
}

impl NodeExplanation {
    pub(in crate::api) fn new(why: &NodeWhy, view: &View) -> Self {
        Self {
            node: NodeRef::named(why.node, &why.name),
            total: Amounts::from(&why.total),
            free: Amounts::from(&why.free),
            is_on_offer: why.is_on_offer,
            not_on_offer: why.not_on_offer.as_ref().map(Amounts::from),
            running: why.running.iter().map(|runs| Runs::new(runs, view)).collect(),
            n_running: why.n_running,
            is_paused: why.is_paused,
            is_scheduler_paused: why.is_scheduler_paused,
            kept: why.kept.as_ref().map(|kept| Kept::new(kept, view)),
            lanes: why.lanes.iter().map(|lane| Lane::new(lane, view)).collect(),
            n_lanes: why.n_lanes,
            text: why.summary(),
        }
    }
}
