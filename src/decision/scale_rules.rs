//! A pass over a queue by Scale's rules: what is read, what is passed over, what is said of it.
//!
//! For comparison and for those who need Scale's decisions to the letter; our own queue decides
//! without these detours. Facts in, a report out; where an entry goes is asked of a [`Place`].
//!
//! R1  Equal facts give equal reports: every order is of numbers or names, and no two are equal.
//! R2  Each entry that was read is in one list of the report, in the order of reading.
//! R3  `place` is called for those only that are done, reserved or unplaced.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::place::{Place, Placement};
use crate::model::{ExeId, JobTypeId, NodeId, NodeResources, Quantity, QueueMode, ResourceName, Timestamp};

/// Starts the name of the warning that a type asks for what no node has; the type's name follows.
pub const INVALID_RESOURCES: &str = "INVALID_RESOURCES";

/// The warning that an entry is of a type that is not known.
pub const UNKNOWN_JOB_TYPE: &str = "UNKNOWN_JOB_TYPE";

/// A name that an entry may ask nothing of although no node has it: no node ever does.
const SHARED_MEM: &str = "sharedmem";

/// The facts of one pass, but for the entries.
///
/// ```
/// use weighbridge::{ExeId, NodeId, NodeResources, Place, Placement, ScaleEntry, ScaleRules};
/// /// One node on which everything fits.
/// struct Wide;
/// impl Place for Wide {
///     fn place(&mut self, _: &NodeResources, _: i32) -> Placement {
///         Placement::Run { node: NodeId(1), score: 0 }
///     }
/// }
/// let mut rules = ScaleRules { limit: 500, ..ScaleRules::default() };
/// # use weighbridge::{JobTypeId, ScaleNode, ScaleType};
/// rules.types.push(ScaleType::new(JobTypeId(7), "resize"));
/// rules.nodes.push(ScaleNode { is_ready: true, ..ScaleNode::default() });
/// let entry = ScaleEntry { id: ExeId(1), job_type: JobTypeId(7), ..ScaleEntry::default() };
/// let report = rules.pass(&[entry], &mut Wide);
/// assert_eq!(report.done[0].entry(), ExeId(1));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScaleRules {
    /// The direction of queued time among entries of equal priority.
    pub mode: QueueMode,
    /// How many entries are read at most; Scale reads 500.
    pub limit: usize,
    /// The job types; of several with the same id the last counts.
    pub types: Vec<ScaleType>,
    /// All nodes, ready or not.
    pub nodes: Vec<ScaleNode>,
    /// Names of the workspaces that are known.
    pub workspaces: BTreeSet<String>,
    /// Names of the warnings that are active before the pass.
    pub warnings: BTreeSet<String>,
}

/// What a pass knows of a job type.
#[derive(Clone, Debug, Default)]
pub struct ScaleType {
    /// Its id.
    pub id: JobTypeId,
    /// Its name, which its warning carries.
    pub name: String,
    /// Most executions that run at once; none and zero: no limit.
    pub max_scheduled: Option<u32>,
    /// How many run, on whatever node.
    pub n_running: u32,
    /// Entries of a paused type are not read.
    pub is_paused: bool,
    /// False where limit and pause of the type are not known to the pass.
    pub is_synced: bool,
    /// What an earlier pass found missing on every node; none: nothing.
    pub unmet: BTreeSet<ResourceName>,
}

impl ScaleType {
    /// A type that is known, may run without limit, and lacks nothing.
    pub fn new(id: JobTypeId, name: impl Into<String>) -> Self {
        Self { id, name: name.into(), is_synced: true, ..Self::default() }
    }

    /// The name of the warning that it asks for what no node has.
    pub fn warning(&self) -> String {
        format!("{INVALID_RESOURCES}{}", self.name)
    }

    /// How many more may run, where that is bounded and known.
    fn n_left(&self) -> Option<u32> {
        let limit = self.max_scheduled.filter(|limit| self.is_synced && *limit > 0)?;
        Some(limit.saturating_sub(self.n_running))
    }
}

/// What a pass itself knows of a node; the rest is a matter of [`Place`].
#[derive(Clone, Debug, Default)]
pub struct ScaleNode {
    /// True where it may take new executions.
    pub is_ready: bool,
    /// All it has, where that is known.
    pub total: Option<NodeResources>,
    /// The most that was seen on offer or in use there; counts while the total is not known.
    pub watermark: NodeResources,
}

/// An entry of the queue.
#[derive(Clone, Debug, Default)]
pub struct ScaleEntry {
    /// Its id, which breaks ties.
    pub id: ExeId,
    /// Of which type.
    pub job_type: JobTypeId,
    /// The lower number is the more important.
    pub priority: i32,
    /// Since when it waits.
    pub queued: Timestamp,
    /// What it asks of a node.
    pub asks: NodeResources,
    /// True for one that waits only to be drained.
    pub is_canceled: bool,
    /// Workspaces it reads from or writes to.
    pub workspaces: Vec<String>,
}

/// An entry that left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleDone {
    /// It runs.
    Scheduled {
        /// Which.
        entry: ExeId,
        /// On which node.
        node: NodeId,
        /// How many job types still fit there beside it.
        score: u32,
    },
    /// It was canceled.
    Drained {
        /// Which.
        entry: ExeId,
    },
}

impl ScaleDone {
    /// Which entry.
    pub const fn entry(self) -> ExeId {
        match self {
            Self::Scheduled { entry, .. } | Self::Drained { entry } => entry,
        }
    }
}

/// What a pass did, each list in the order of reading, and how things stand after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScaleReport {
    /// Entries that left the queue.
    pub done: Vec<ScaleDone>,
    /// Entries that closed a node for the rest of the pass, and that node.
    pub reserved: Vec<(ExeId, NodeId)>,
    /// Entries for which all nodes were tried in vain.
    pub unplaced: Vec<ExeId>,
    /// Entries that were read and not tried.
    pub skipped: Vec<ExeId>,
    /// What types lack on every node, found now or before; only types that lack something.
    pub unmet: BTreeMap<JobTypeId, BTreeSet<ResourceName>>,
    /// Names of the warnings that are active.
    pub warnings: BTreeSet<String>,
}

impl ScaleRules {
    /// Reads `entries`, which come in any order, and asks `place` about each that may be tried.
    ///
    /// Cost: a look at every entry, a sort of those that are read, and for each of these a few
    /// look-ups beside `place`.
    ///
    /// # Source
    /// As Scale's queue step does, with two orders fixed that Scale leaves to its database: of
    /// entries queued at the same time the lower id goes first, with LIFO the higher.
    pub fn pass(&self, entries: &[ScaleEntry], place: &mut impl Place) -> ScaleReport {
        let mut pass = Pass::new(self);
        if self.nodes.iter().any(|node| node.is_ready) {
            for entry in self.window(entries, &pass.types) {
                pass.visit(entry, place);
            }
        }
        pass.finish()
    }

    /// The entries that are read, in order. Those of types that may not run now, canceled ones
    /// too, are left out first, so they take no room.
    fn window<'a>(
        &self,
        entries: &'a [ScaleEntry],
        types: &BTreeMap<JobTypeId, Standing<'_>>,
    ) -> Vec<&'a ScaleEntry> {
        let is_read = |entry: &&ScaleEntry| types.get(&entry.job_type).is_none_or(|it| !it.is_left_out());
        let mut window: Vec<&ScaleEntry> = entries.iter().filter(is_read).collect();
        let order = |a: &&ScaleEntry, b: &&ScaleEntry| queue_order(self.mode, a, b);
        if self.limit < window.len() {
            window.select_nth_unstable_by(self.limit, order);
            window.truncate(self.limit);
        }
        window.sort_unstable_by(order);
        window
    }

    /// The largest amount of each name on any node, ready or not. The standard names are known
    /// whatever the nodes have.
    fn largest(&self) -> BTreeMap<ResourceName, Quantity> {
        let standard = ResourceName::STANDARD.into_iter().filter_map(|name| ResourceName::new(name).ok());
        let mut largest: BTreeMap<_, _> = standard.map(|name| (name, Quantity::ZERO)).collect();
        let all = self.nodes.iter().flat_map(|node| node.total.as_ref().unwrap_or(&node.watermark).iter());
        for (name, amount) in all {
            let most = largest.entry(name.clone()).or_default();
            *most = amount.max(*most);
        }
        largest
    }
}

fn queue_order(mode: QueueMode, a: &ScaleEntry, b: &ScaleEntry) -> Ordering {
    let by_age = (a.queued, a.id).cmp(&(b.queued, b.id));
    let by_mode = match mode {
        QueueMode::Fifo => by_age,
        QueueMode::Lifo => by_age.reverse(),
    };
    a.priority.cmp(&b.priority).then(by_mode)
}

/// A type in the course of a pass.
struct Standing<'a> {
    kind: &'a ScaleType,
    warning: String,
    n_left: Option<u32>,
    unmet: BTreeSet<ResourceName>,
}

impl<'a> Standing<'a> {
    fn new(kind: &'a ScaleType) -> Self {
        Self { kind, warning: kind.warning(), n_left: kind.n_left(), unmet: kind.unmet.clone() }
    }

    fn is_left_out(&self) -> bool {
        self.kind.is_synced && (self.kind.is_paused || self.n_left == Some(0))
    }
}

/// A pass on its way.
struct Pass<'a> {
    workspaces: &'a BTreeSet<String>,
    largest: BTreeMap<ResourceName, Quantity>,
    types: BTreeMap<JobTypeId, Standing<'a>>,
    report: ScaleReport,
}

impl<'a> Pass<'a> {
    fn new(rules: &'a ScaleRules) -> Self {
        Self {
            workspaces: &rules.workspaces,
            largest: rules.largest(),
            types: rules.types.iter().map(|kind| (kind.id, Standing::new(kind))).collect(),
            report: ScaleReport { warnings: rules.warnings.clone(), ..ScaleReport::default() },
        }
    }

    fn visit(&mut self, entry: &ScaleEntry, place: &mut impl Place) {
        if entry.is_canceled {
            self.report.done.push(ScaleDone::Drained { entry: entry.id });
            return;
        }
        if !self.may_be_tried(entry) {
            self.report.skipped.push(entry.id);
            return;
        }
        match place.place(&entry.asks, entry.priority) {
            Placement::Run { node, score } => {
                self.report.done.push(ScaleDone::Scheduled { entry: entry.id, node, score });
                let standing = self.types.get_mut(&entry.job_type);
                if let Some(n_left) = standing.and_then(|it| it.n_left.as_mut()) {
                    *n_left -= 1;
                }
            }
            Placement::Reserve { node, .. } => self.report.reserved.push((entry.id, node)),
            Placement::Nowhere => self.report.unplaced.push(entry.id),
        }
    }

    /// Everything that may keep an entry from being tried, in Scale's order: what its type lacks is
    /// found before the type is found to be unknown or at its limit.
    fn may_be_tried(&mut self, entry: &ScaleEntry) -> bool {
        let warnings = &mut self.report.warnings;
        let Some(standing) = self.types.get_mut(&entry.job_type) else {
            warnings.insert(UNKNOWN_JOB_TYPE.to_owned());
            return false;
        };
        if !standing.unmet.is_empty() && warnings.contains(&standing.warning) {
            return false;
        }
        standing.unmet = lacking(&self.largest, &entry.asks);
        if !standing.unmet.is_empty() {
            warnings.insert(standing.warning.clone());
            return false;
        }
        warnings.remove(&standing.warning);
        if !standing.kind.is_synced {
            warnings.insert(UNKNOWN_JOB_TYPE.to_owned());
            return false;
        }
        let is_known = |name: &String| self.workspaces.contains(name);
        entry.workspaces.iter().all(is_known) && standing.n_left != Some(0)
    }

    fn finish(mut self) -> ScaleReport {
        let lacking = self.types.into_iter().filter(|(_, standing)| !standing.unmet.is_empty());
        self.report.unmet = lacking.map(|(id, standing)| (id, standing.unmet)).collect();
        self.report
    }
}

/// Names of which more is asked for than any node has, or that no node has at all.
fn lacking(largest: &BTreeMap<ResourceName, Quantity>, asks: &NodeResources) -> BTreeSet<ResourceName> {
    let is_met = |name: &ResourceName, amount: Quantity| match largest.get(name) {
        Some(most) => amount <= *most,
        None => amount == Quantity::ZERO && name.as_str() == SHARED_MEM,
    };
    asks.iter().filter(|(name, amount)| !is_met(name, *amount)).map(|(name, _)| name.clone()).collect()
}
