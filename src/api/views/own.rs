//! Our own shapes, under `/api/v1/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::{Amounts, Texts, Time};
use crate::decision::{Blocker, Constraint, DemandMet, KeptNode, Passed, Shortage, WaitNode, Why};
use crate::engine::{CatalogView, DriverReport, FigureValue, JobTypeView, NodeStatus, View};
use crate::load::{LoadRow, StatusCounts};
use crate::model::{ExeEnd, FetchUri, Job, JobTypeId, NodeId, QueueMode, QueuedJobExecution};

/// The word for a mode.
fn mode(mode: QueueMode) -> &'static str {
    match mode {
        QueueMode::Fifo => "FIFO",
        QueueMode::Lifo => "LIFO",
    }
}

/// Jobs by status.
#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::api) struct Counts {
    pending: u64,
    blocked: u64,
    queued: u64,
    running: u64,
    failed: u64,
    completed: u64,
    canceled: u64,
    total: u64,
}

impl From<&StatusCounts> for Counts {
    fn from(counts: &StatusCounts) -> Self {
        Self {
            pending: counts.pending,
            blocked: counts.blocked,
            queued: counts.queued,
            running: counts.running,
            failed: counts.failed,
            completed: counts.completed,
            canceled: counts.canceled,
            total: counts.total(),
        }
    }
}

/// A job type by name, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobTypeRef {
    pub(in crate::api) id: u32,
    pub(in crate::api) name: String,
    pub(in crate::api) version: String,
}

impl JobTypeRef {
    /// The type of that id; nameless where `view` is older than it.
    pub(in crate::api) fn of(id: JobTypeId, view: &View) -> Self {
        let spec = view.job_type(id).map(|kind| &kind.job_type.spec);
        let (name, version) = spec.map(|spec| (spec.name.clone(), spec.version.clone())).unwrap_or_default();
        Self { id: id.0, name, version }
    }

    /// For people.
    pub(in crate::api) fn text(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }
}

/// How things stand with a job type.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobTypeStatus {
    id: u32,
    name: String,
    version: String,
    title: String,
    description: String,
    revision: u32,
    /// It was made from one, and is changed by another.
    has_manifest: bool,
    command: Vec<String>,
    env: Texts,
    image: Option<String>,
    uris: Arc<[FetchUri]>,
    resources: Amounts,
    timeout_s: Option<u32>,
    max_tries: u16,
    max_scheduled: Option<u32>,
    priority: i32,
    mode: Option<&'static str>,
    is_active: bool,
    is_paused: bool,
    paused: Option<Time>,
    created: Time,
    last_modified: Time,
    counts: Counts,
    n_running_exes: u32,
    longest_queued: Option<Time>,
    highest_priority: Option<i32>,
}

impl JobTypeStatus {
    pub(in crate::api) fn new(view: &JobTypeView, catalog: &CatalogView) -> Self {
        let kind = &view.job_type;
        let spec = &kind.spec;
        Self {
            id: kind.id.0,
            name: spec.name.clone(),
            version: spec.version.clone(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            revision: kind.revision,
            has_manifest: catalog.job_type(kind.id).is_some(),
            command: spec.command.clone(),
            env: Texts(spec.env.clone()),
            image: catalog.image(kind).map(str::to_owned),
            uris: spec.uris.clone(),
            resources: Amounts::from(&spec.resources),
            timeout_s: spec.timeout_s,
            max_tries: spec.max_tries,
            max_scheduled: spec.max_scheduled,
            priority: spec.priority,
            mode: spec.mode.map(mode),
            is_active: spec.is_active,
            is_paused: spec.is_paused,
            paused: kind.paused.map(Time),
            created: Time(kind.created),
            last_modified: Time(kind.last_modified),
            counts: Counts::from(&view.counts),
            n_running_exes: view.n_running_exes,
            longest_queued: view.longest_queued.map(Time),
            highest_priority: view.highest_priority,
        }
    }
}

/// The same in a line, for the whole at a glance.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobTypeLine {
    id: u32,
    name: String,
    version: String,
    is_active: bool,
    is_paused: bool,
    max_scheduled: Option<u32>,
    counts: Counts,
    n_running_exes: u32,
    longest_queued: Option<Time>,
    highest_priority: Option<i32>,
}

impl From<&JobTypeView> for JobTypeLine {
    fn from(view: &JobTypeView) -> Self {
        let spec = &view.job_type.spec;
        Self {
            id: view.job_type.id.0,
            name: spec.name.clone(),
            version: spec.version.clone(),
            is_active: spec.is_active,
            is_paused: spec.is_paused,
            max_scheduled: spec.max_scheduled,
            counts: Counts::from(&view.counts),
            n_running_exes: view.n_running_exes,
            longest_queued: view.longest_queued.map(Time),
            highest_priority: view.highest_priority,
        }
    }
}

/// A node.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Node {
    id: u32,
    name: String,
    total: Amounts,
    free: Amounts,
    in_use: Amounts,
    seen: Time,
}

impl From<&NodeStatus> for Node {
    fn from(status: &NodeStatus) -> Self {
        Self {
            id: status.node.id.0,
            name: status.node.name.clone(),
            total: Amounts::from(&status.node.total),
            free: Amounts::from(&status.node.free),
            in_use: Amounts::from(&status.in_use),
            seen: Time(status.node.seen),
        }
    }
}

/// The log.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Log {
    pub(in crate::api) is_healthy: bool,
    pub(in crate::api) failure: Option<String>,
    pub(in crate::api) durable: u64,
    pub(in crate::api) n_commits: u64,
}

/// Why a launch was refused.
#[derive(Clone, Debug, Serialize)]
struct Refusal {
    when: Time,
    reason: String,
}

/// The whole at a glance.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Status {
    version: &'static str,
    epoch: u32,
    position: u64,
    made: Time,
    uptime_s: f64,
    mode: &'static str,
    totals: Counts,
    n_queued: usize,
    n_lanes: usize,
    n_running: usize,
    n_recipes: u64,
    /// The last launch that its driver refused; it is tried again.
    last_refusal: Option<Refusal>,
    /// What runs executions, where it tells of itself.
    driver: Option<DriverStatus>,
    log: Log,
    job_types: Vec<JobTypeLine>,
    nodes: Vec<Node>,
}

impl Status {
    pub(in crate::api) fn new(
        view: &View,
        driver: Option<&DriverReport>,
        log: Log,
        uptime: std::time::Duration,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            epoch: view.epoch.0,
            position: view.position.0,
            made: Time(view.made),
            uptime_s: uptime.as_secs_f64(),
            mode: mode(view.mode),
            totals: Counts::from(&view.totals),
            n_queued: view.n_queued,
            n_lanes: view.n_lanes,
            n_running: view.n_running,
            n_recipes: view.n_recipes,
            last_refusal: view
                .last_refusal
                .as_ref()
                .map(|(when, reason)| Refusal { when: Time(*when), reason: reason.clone() }),
            driver: driver.map(DriverStatus::from),
            log,
            job_types: view.types.iter().map(JobTypeLine::from).collect(),
            nodes: view.nodes.iter().map(Node::from).collect(),
        }
    }
}

/// How it stands with what runs executions.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct DriverStatus {
    kind: &'static str,
    is_ready: bool,
    text: String,
    facts: BTreeMap<&'static str, String>,
    figures: BTreeMap<&'static str, DriverFigure>,
}

/// A count, or lengths in seconds.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum DriverFigure {
    Number(u64),
    Lengths { n: u64, sum_s: f64, p50_s: f64, p99_s: f64, max_s: f64 },
}

impl From<&DriverReport> for DriverStatus {
    fn from(report: &DriverReport) -> Self {
        let value = |value: &FigureValue| match value {
            FigureValue::Count(n) | FigureValue::Level(n) => DriverFigure::Number(*n),
            FigureValue::Lengths(lengths) => {
                let quantile = |part| lengths.quantile(part).as_secs_f64();
                DriverFigure::Lengths {
                    n: lengths.n(),
                    sum_s: lengths.sum().as_secs_f64(),
                    p50_s: quantile(0.5),
                    p99_s: quantile(0.99),
                    max_s: quantile(1.0),
                }
            }
        };
        Self {
            kind: report.kind,
            is_ready: report.is_ready,
            text: report.text.clone(),
            facts: report.facts.iter().cloned().collect(),
            figures: report.figures.iter().map(|figure| (figure.name, value(&figure.value))).collect(),
        }
    }
}

/// A queued execution. `position` is its place in the queue, from 0.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Entry {
    position: usize,
    job: u64,
    exe: u64,
    exe_num: u32,
    job_type: JobTypeRef,
    priority: i32,
    queued: Time,
    asks: Amounts,
}

impl Entry {
    pub(in crate::api) fn new(position: usize, entry: &QueuedJobExecution, view: &View) -> Self {
        Self {
            position,
            job: entry.job.0,
            exe: entry.id.0,
            exe_num: entry.exe_num,
            job_type: JobTypeRef::of(entry.job_type, view),
            priority: entry.priority,
            queued: Time(entry.queued),
            asks: Amounts::from(&entry.resources),
        }
    }
}

/// A node by name, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct NodeRef {
    id: u32,
    name: String,
}

impl NodeRef {
    pub(in crate::api) fn of(id: NodeId, view: &View) -> Self {
        // Nodes are known again only once they were seen again.
        let known = view.node(id).map(|status| status.node.name.clone());
        Self { id: id.0, name: known.unwrap_or_else(|| format!("node-{id}")) }
    }

    pub(in crate::api) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::api) fn named(id: NodeId, name: &str) -> Self {
        Self { id: id.0, name: name.to_owned() }
    }
}

/// The node of a recipe that a job is.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeRef {
    id: u64,
    node: String,
}

/// How an execution ended.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct End {
    exe_num: u32,
    launch: String,
    code: &'static str,
    text: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
    wall_s: f64,
    cpu_s: f64,
    mem_kib: u64,
    ended: Time,
}

impl End {
    fn new(end: &ExeEnd, view: &View) -> Self {
        use crate::model::Outcome;
        let text = match &end.outcome {
            Outcome::Error { id } => view.catalog.error(*id).map(|error| match error.description.as_str() {
                "" => error.name.clone(),
                description => format!("{}: {description}", error.name),
            }),
            _ => None,
        };
        let exit_code = if let Outcome::Exited { code } = end.outcome { Some(code) } else { None };
        let signal = if let Outcome::Signaled { signal } = end.outcome { Some(signal) } else { None };
        let seconds = |micros| std::time::Duration::from_micros(micros).as_secs_f64();
        Self {
            exe_num: end.exe_num,
            launch: end.launch.to_string(),
            code: end.outcome.code(),
            text: text.unwrap_or_else(|| end.outcome.to_string()),
            exit_code,
            signal,
            wall_s: seconds(end.usage.wall_us),
            cpu_s: seconds(end.usage.cpu_us),
            mem_kib: end.usage.mem_kib,
            ended: Time(end.ended),
        }
    }
}

/// A job.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobView {
    id: u64,
    job_type: JobTypeRef,
    revision: u32,
    status: &'static str,
    priority: i32,
    resources: Amounts,
    values: Texts,
    recipe: Option<RecipeRef>,
    num_exes: u32,
    tries: u16,
    max_tries: u16,
    exe: Option<u64>,
    launches: u32,
    node: Option<NodeRef>,
    created: Time,
    queued: Option<Time>,
    started: Option<Time>,
    ended: Option<Time>,
    last_status_change: Time,
    end: Option<End>,
}

impl JobView {
    pub(in crate::api) fn new(job: &Job, view: &View) -> Self {
        let recipe = job.recipe.as_ref().map(|(id, node)| RecipeRef { id: id.0, node: node.to_string() });
        Self {
            id: job.id.0,
            job_type: JobTypeRef::of(job.job_type, view),
            revision: job.revision,
            status: job.status.as_str(),
            priority: job.priority,
            resources: Amounts::from(&*job.resources),
            values: Texts(job.values.to_vec()),
            recipe,
            num_exes: job.num_exes,
            tries: job.tries,
            max_tries: job.max_tries,
            exe: job.exe.map(|exe| exe.0),
            launches: job.launches,
            node: job.node.map(|id| NodeRef::of(id, view)),
            created: Time(job.created),
            queued: job.queued.map(Time),
            started: job.started.map(Time),
            ended: job.ended.map(Time),
            last_status_change: Time(job.last_status_change),
            end: job.end.as_ref().map(|end| End::new(end, view)),
        }
    }
}

/// How much of one resource is missing.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Short {
    resource: String,
    asked: f64,
    most: f64,
    short: f64,
    n_nodes: usize,
    nearest: NodeRef,
}

impl From<&Shortage> for Short {
    fn from(shortage: &Shortage) -> Self {
        Self {
            resource: shortage.resource.clone(),
            asked: shortage.asked.as_f64(),
            most: shortage.most.as_f64(),
            short: shortage.short.as_f64(),
            n_nodes: shortage.n_nodes,
            nearest: NodeRef { id: shortage.nearest.0, name: shortage.nearest_name.clone() },
        }
    }
}

/// A node of a recipe that no job stands for.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct WaitingNode {
    recipe: u64,
    node: String,
    sub_recipe: Option<u64>,
}

impl From<&WaitNode> for WaitingNode {
    fn from(node: &WaitNode) -> Self {
        Self { recipe: node.recipe.0, node: node.name.clone(), sub_recipe: node.sub_recipe.map(|id| id.0) }
    }
}

/// A node that is kept for an execution.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Kept {
    node: NodeRef,
    exe: u64,
    job: u64,
    job_type: JobTypeRef,
    since: Time,
    starts: Option<Time>,
}

impl Kept {
    pub(in crate::api) fn new(kept: &KeptNode, view: &View) -> Self {
        Self {
            node: NodeRef::named(kept.node, &kept.name),
            exe: kept.exe.0,
            job: kept.job.0,
            job_type: JobTypeRef::of(kept.job_type, view),
            since: Time(kept.since),
            starts: kept.starts.map(Time),
        }
    }
}

/// A demand on nodes, and how many meet it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Demanded {
    demand: String,
    n_nodes: usize,
}

impl From<&DemandMet> for Demanded {
    fn from(met: &DemandMet) -> Self {
        Self { demand: met.demand.to_string(), n_nodes: met.n_nodes }
    }
}

/// Since when an execution was passed over, and by how many behind it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct PassedOver {
    since: Time,
    overtaken: u64,
}

impl From<Passed> for PassedOver {
    fn from(passed: Passed) -> Self {
        Self { since: Time(passed.since), overtaken: passed.overtaken }
    }
}

/// The first thing in the way of a job.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(in crate::api) enum Reason {
    NotQueued { status: &'static str },
    Parents { jobs: Vec<u64>, nodes: Vec<WaitingNode> },
    BlockedBy { jobs: Vec<u64>, nodes: Vec<WaitingNode> },
    Paused { job_type: JobTypeRef, since: Option<Time> },
    Limit { job_type: JobTypeRef, max_scheduled: u32, running: u32, since: Option<Time> },
    SchedulerPaused,
    NoNodes,
    Constraints { demands: Vec<Demanded>, n_nodes: usize, nearest: NodeRef, unmet: Vec<String> },
    TooBig { shortages: Vec<Short> },
    NodesPaused { n_nodes: usize, node: NodeRef },
    Busy { shortages: Vec<Short> },
    NotOnOffer { n_nodes: usize, node: NodeRef },
    Kept { nodes: Vec<Kept>, n_nodes: usize },
    Holds { node: Kept, shortages: Vec<Short> },
    Strict { exe: u64, job: u64, job_type: JobTypeRef },
    Behind { n_ahead: usize },
    Next,
}

impl Reason {
    fn new(blocker: &Blocker, view: &View) -> Self {
        let ids = |jobs: &[crate::model::JobId]| jobs.iter().map(|job| job.0).collect();
        let shorts = |all: &[Shortage]| all.iter().map(Short::from).collect();
        let named = |nodes: &[WaitNode]| nodes.iter().map(WaitingNode::from).collect();
        match blocker {
            Blocker::NotQueued { status } => Self::NotQueued { status: status.as_str() },
            Blocker::Parents { jobs, nodes } => Self::Parents { jobs: ids(jobs), nodes: named(nodes) },
            Blocker::BlockedBy { jobs, nodes } => Self::BlockedBy { jobs: ids(jobs), nodes: named(nodes) },
            Blocker::Paused { job_type, since } => {
                Self::Paused { job_type: JobTypeRef::of(*job_type, view), since: since.map(Time) }
            }
            Blocker::Limit { job_type, max_scheduled, running, since } => Self::Limit {
                job_type: JobTypeRef::of(*job_type, view),
                max_scheduled: *max_scheduled,
                running: *running,
                since: since.map(Time),
            },
            Blocker::SchedulerPaused => Self::SchedulerPaused,
            Blocker::NoNodes => Self::NoNodes,
            Blocker::Constraints { demands, n_nodes, nearest, nearest_name, unmet } => Self::Constraints {
                demands: demands.iter().map(Demanded::from).collect(),
                n_nodes: *n_nodes,
                nearest: NodeRef::named(*nearest, nearest_name),
                unmet: unmet.iter().map(Constraint::to_string).collect(),
            },
            Blocker::NodesPaused { n_nodes, node, name } => {
                Self::NodesPaused { n_nodes: *n_nodes, node: NodeRef::named(*node, name) }
            }
            Blocker::NotOnOffer { n_nodes, node, name } => {
                Self::NotOnOffer { n_nodes: *n_nodes, node: NodeRef::named(*node, name) }
            }
            Blocker::Kept { nodes, n_nodes } => Self::Kept {
                nodes: nodes.iter().map(|kept| Kept::new(kept, view)).collect(),
                n_nodes: *n_nodes,
            },
            Blocker::Holds { node, shortages } => {
                Self::Holds { node: Kept::new(node, view), shortages: shorts(shortages) }
            }
            Blocker::Strict { exe, job, job_type } => {
                Self::Strict { exe: exe.0, job: job.0, job_type: JobTypeRef::of(*job_type, view) }
            }
            Blocker::TooBig { shortages } => Self::TooBig { shortages: shorts(shortages) },
            Blocker::Busy { shortages } => Self::Busy { shortages: shorts(shortages) },
            Blocker::Behind { n_ahead } => Self::Behind { n_ahead: *n_ahead },
            Blocker::Next => Self::Next,
        }
    }
}

/// Why a job waits. `position` is its place in the queue, from 0.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Explanation {
    job: u64,
    status: &'static str,
    asks: Amounts,
    position: Option<usize>,
    n_queued: usize,
    blocker: Reason,
    /// A pause of its type does not hold it.
    is_let_through: bool,
    passed: Option<PassedOver>,
    text: String,
}

impl Explanation {
    pub(in crate::api) fn new(why: &Why, view: &View) -> Self {
        Self {
            job: why.job.0,
            status: why.status.as_str(),
            asks: Amounts::from(&why.asks),
            position: why.position,
            n_queued: why.n_queued,
            blocker: Reason::new(&why.blocker, view),
            is_let_through: why.is_let_through,
            passed: why.passed.map(PassedOver::from),
            text: why.text(|id| JobTypeRef::of(id, view).text()),
        }
    }
}

/// Load of one job type at one instant; no type: an idle system.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Load {
    measured: Time,
    job_type: Option<JobTypeRef>,
    pending: u64,
    queued: u64,
    running: u64,
}

impl Load {
    pub(in crate::api) fn new(row: &LoadRow, view: &View) -> Self {
        Self {
            measured: Time(row.measured),
            job_type: row.job_type.map(|id| JobTypeRef::of(id, view)),
            pending: row.pending,
            queued: row.queued,
            running: row.running,
        }
    }
}
