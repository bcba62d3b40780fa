//! Why an execution waits, as text for people.

use std::fmt;

use super::node_why::{NodeRuns, NodeVerdict, NodeWhy};
use super::pass::{Constraint, Demand, Passed};
use super::why::{Blocker, DemandMet, KeptNode, Shortage, WaitNode, Why};
use crate::model::{JobId, JobStatus, JobTypeId, Quantity, Timestamp};
use crate::queue::Lack;

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, asked, most, short, n_nodes, nearest_name, .. } = self;
        let nodes = if *n_nodes == 1 { "node" } else { "nodes" };
        write!(
            f,
            "{resource}: asks for {asked}, {short} short on {n_nodes} {nodes}, nearest {nearest_name} with {most}"
        )
    }
}

impl fmt::Display for WaitNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// Texts one after the other.
fn joined<T: fmt::Display>(all: &[T], between: &str) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

fn since(since: Option<Timestamp>) -> String {
    since.map(|since| format!(" since {since}")).unwrap_or_default()
}

fn nodes(n: usize) -> String {
    if n == 1 { "1 node".to_owned() } else { format!("{n} nodes") }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attribute = &self.attribute;
        match &self.is {
            Demand::Equals(wanted) => write!(f, "{attribute} is {wanted}"),
            Demand::In(wanted) => write!(f, "{attribute} is one of {}", wanted.join(", ")),
            Demand::NotIn(refused) => write!(f, "{attribute} is none of {}", refused.join(", ")),
            Demand::Spread => write!(f, "spread over {attribute}"),
        }
    }
}

impl fmt::Display for DemandMet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.demand, nodes(self.n_nodes))
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "overtaken by {} since {}", self.overtaken, self.since)
    }
}

impl KeptNode {
    /// When it can start there.
    fn starts(&self) -> String {
        self.starts.map(|at| format!(", expected to start at {at}")).unwrap_or_default()
    }
}

fn missing(shortage: &Shortage) -> String {
    format!("{} {}", shortage.short, shortage.resource)
}

fn kept(all: &[KeptNode], n_nodes: usize) -> String {
    let of = |kept: &KeptNode| {
        let KeptNode { name, exe, job, since, .. } = kept;
        let starts = kept.starts();
        format!("{name} for execution {exe} of job {job} since {since}{starts}")
    };
    let named: Vec<String> = all.iter().map(of).collect();
    let more = match n_nodes.saturating_sub(named.len()) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("would fit now on {}, kept for others: {}{more}", nodes(n_nodes), named.join("; "))
}

impl Blocker {
    /// For people, with job types as `name_of` calls them.
    pub fn text(&self, name_of: impl Fn(JobTypeId) -> String) -> String {
        match self {
            Self::NotQueued { status } => format!("it does not wait: it is {status}"),
            Self::Parents { jobs, nodes } => format!("waits for {}", list(jobs, nodes)),
            Self::BlockedBy { jobs, nodes } => {
                format!("cannot run: {} failed or was canceled", list(jobs, nodes))
            }
            Self::Paused { job_type, since: paused } => {
                format!("job type {} is paused{}", name_of(*job_type), since(*paused))
            }
            Self::SchedulerPaused => "the scheduler is paused".to_owned(),
            Self::Limit { job_type, max_scheduled, running, since: limited } => {
                let (name, since) = (name_of(*job_type), since(*limited));
                format!("job type {name} is at its limit: {running} of {max_scheduled} run{since}")
            }
            Self::NoNodes => "no node was offered yet".to_owned(),
            Self::Constraints { demands, n_nodes, nearest_name, unmet, .. } => {
                let (demands, of) = (joined(demands, "; "), nodes(*n_nodes));
                let unmet = joined(unmet, "; ");
                format!(
                    "no node of {of} is what its type demands: {demands}; nearest {nearest_name}, but for: {unmet}"
                )
            }
            Self::TooBig { shortages } => format!("can never be placed here: {}", joined(shortages, "; ")),
            Self::NodesPaused { n_nodes, name, .. } => match n_nodes {
                1 => format!("the only node that could take it is paused: {name}"),
                _ => format!("the {n_nodes} nodes that could take it are paused: {name} and others"),
            },
            Self::Busy { shortages } => format!("waits for room: {}", joined(shortages, "; ")),
            Self::NotOnOffer { n_nodes, name, .. } => match n_nodes {
                1 => format!("the only node with room for it offers nothing now: {name}"),
                _ => format!("the {n_nodes} nodes with room for it offer nothing now: {name} and others"),
            },
            Self::Kept { nodes, n_nodes } => kept(nodes, *n_nodes),
            Self::Holds { node, shortages } => {
                let lacks: Vec<String> = shortages.iter().map(missing).collect();
                let (name, since, starts) = (&node.name, node.since, node.starts());
                let lacks = match lacks.join(", ") {
                    none if none.is_empty() => "which offers nothing now".to_owned(),
                    lacks => format!("lacks {lacks} there"),
                };
                format!("node {name} is kept for it since {since}, {lacks}{starts}")
            }
            Self::Strict { job, job_type, .. } => {
                let name = name_of(*job_type);
                format!(
                    "the order is strict: job {job} of job type {name} comes first, which an empty node could take"
                )
            }
            Self::Behind { n_ahead: 1 } => "it fits, and 1 comes first".to_owned(),
            Self::Behind { n_ahead } => format!("it fits, and {n_ahead} come first"),
            Self::Next => "is next".to_owned(),
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(|id| id.to_string()))
    }
}

impl Why {
    /// The whole for people, with job types as `name_of` calls them.
    pub fn text(&self, name_of: impl Fn(JobTypeId) -> String) -> String {
        let Self { job, status, n_queued, .. } = self;
        if status.is_final() || *status == JobStatus::Running {
            return format!("job {job} does not wait: it is {status}");
        }
        let reason = self.blocker.text(name_of);
        let place = match self.position {
            Some(place) if *status == JobStatus::Queued => format!(", number {} of {n_queued}", place + 1),
            _ => String::new(),
        };
        let let_through = if self.is_let_through { "; a pause of its type does not hold it" } else { "" };
        let passed = self.passed.filter(|passed| passed.overtaken > 0);
        let passed = passed.map(|passed| format!("; {passed}")).unwrap_or_default();
        format!("job {job} is {status}{place}: {reason}{let_through}{passed}")
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(|id| id.to_string()))
    }
}

impl fmt::Display for NodeVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = |lacks: &[Lack]| {
            let all = lacks.iter().map(|lack| format!("{} {}", lack.short, lack.resource));
            all.collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Fits { job, n: 1, .. } => write!(f, "job {job} fits"),
            Self::Fits { job, n, .. } => write!(f, "job {job} fits, and {} more like it", n - 1),
            Self::Short { lacks } => write!(f, "short of {}", missing(lacks)),
            Self::ShortTogether => f.write_str("short of memory or disk"),
            Self::TooBig { lacks } => write!(f, "too big for the node by {}", missing(lacks)),
            Self::Paused => f.write_str("paused"),
            Self::Limit { max_scheduled, running } => {
                write!(f, "at its limit: {running} of {max_scheduled} run")
            }
            Self::Constraints { unmet } => write!(f, "demands: {}", joined(unmet, "; ")),
            Self::NodePaused => f.write_str("the node is paused"),
            Self::NotOnOffer => f.write_str("the node offers nothing now"),
            Self::SchedulerPaused => f.write_str("the scheduler is paused"),
            Self::Kept => f.write_str("fits, the node is kept"),
            Self::Strict { job } => write!(f, "fits, but job {job} has to start first"),
        }
    }
}

impl NodeWhy {
    /// The node in a line, for people.
    pub fn summary(&self) -> String {
        let Self { name, node, free, total, .. } = self;
        let state = match (self.is_scheduler_paused, self.is_paused) {
            (true, _) => "the scheduler is paused, ",
            (_, true) => "paused, ",
            _ => "",
        };
        let kept = self.kept.as_ref().map(|kept| {
            let (since, starts) = (kept.since, kept.starts());
            format!("; kept for execution {} of job {} since {since}{starts}", kept.exe, kept.job)
        });
        let free = if free.iter().all(|(_, amount)| amount == Quantity::ZERO) {
            "nothing".to_owned()
        } else {
            free.to_string()
        };
        let offered = if self.is_on_offer { "" } else { " when it last offered" };
        let running = match self.n_running {
            0 => "nothing runs".to_owned(),
            1 => "1 execution runs".to_owned(),
            n => format!("{n} executions run"),
        };
        let kept = kept.unwrap_or_default();
        if self.not_on_offer.is_some() {
            return format!(
                "node {name} (id {node}): {state}offers nothing now, has {total} in all, {running}{kept}"
            );
        }
        format!("node {name} (id {node}): {state}{free} free of {total}{offered}, {running}{kept}")
    }
}

impl fmt::Display for NodeWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        for NodeRuns { launch, job, job_type, has, .. } in &self.running {
            write!(f, "\nruns: execution {} of job {job}, job type {job_type}, has {has}", launch.exe)?;
        }
        match self.n_running.saturating_sub(self.running.len()) {
            0 => {}
            more => write!(f, "\nand {more} more that run")?,
        }
        for lane in &self.lanes {
            let (job_type, n_queued, asks) = (lane.job_type, lane.n_queued, &lane.asks);
            write!(
                f,
                "\njob type {job_type}, {n_queued} queued, job {} asks for {asks}: {}",
                lane.job, lane.verdict
            )?;
        }
        match self.n_lanes - self.lanes.len() {
            0 => Ok(()),
            more => write!(f, "\nand {more} more that wait"),
        }
    }
}
