//! What whoever schedules says of the cluster and of itself. Kept in memory, shown to readers, decides nothing.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::lengths::Lengths;
use super::shell::Engine;
use crate::model::{Json, NodeResources, Timestamp};
use crate::sync::{AtomicBool, Ordering};

/// What a scheduler last said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerStatus {
    /// A JSON object.
    pub status: Json,
    /// When it said so.
    pub when: Timestamp,
}

/// How it stands with what runs executions, for people and for charts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DriverReport {
    /// What it is, as its figures are named: `mesos`.
    pub kind: &'static str,
    /// Whether it takes launches at this moment.
    pub is_ready: bool,
    /// The same in words.
    pub text: String,
    /// What is to know of it, by name.
    pub facts: Vec<(&'static str, String)>,
    /// What it counted.
    pub figures: Vec<Figure>,
}

/// One figure of a driver.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Figure {
    /// Its name, in snake case.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Its value.
    pub value: FigureValue,
}

impl Figure {
    /// One of these.
    pub fn new(name: &'static str, help: &'static str, value: FigureValue) -> Self {
        Self { name, help, value }
    }
}

/// A value of a figure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FigureValue {
    /// Since the start; it only grows.
    Count(u64),
    /// At this moment.
    Level(u64),
    /// How long something took.
    Lengths(Lengths),
}

impl DriverReport {
    /// One of that kind, without a word yet.
    pub fn new(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    /// The figure of a name.
    pub fn figure(&self, name: &str) -> Option<&FigureValue> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| &figure.value)
    }
}

/// See the file.
#[derive(Default)]
pub(super) struct Reports {
    cluster: ArcSwapOption<NodeResources>,
    status: ArcSwapOption<SchedulerStatus>,
    driver: ArcSwapOption<DriverReport>,
    has_driver: AtomicBool,
}

impl Engine {
    /// Says what the cluster has in all, for readers of the queue; no decision depends on it. Forgotten when
    /// the engine ends.
    pub fn report_cluster(&self, total: NodeResources) {
        self.0.reports.cluster.store(Some(Arc::new(total)));
    }

    /// What was last reported; with a driver of ours and no report, the sum of its nodes.
    pub fn cluster_resources(&self) -> Option<Arc<NodeResources>> {
        let of_nodes = || {
            let nodes = self.view();
            let add = |sum: NodeResources, (name, amount): (&str, crate::model::Quantity)| {
                let total = crate::model::Quantity(sum.get(name).0.saturating_add(amount.0));
                sum.clone().with(name, total).unwrap_or(sum)
            };
            let amounts = nodes.nodes.iter().flat_map(|node| node.node.total.iter());
            let amounts = amounts.map(|(name, amount)| (name.as_str(), amount));
            Arc::new(amounts.fold(NodeResources::new(), add))
        };
        self.0.reports.cluster.load_full().or_else(|| self.has_driver().then(of_nodes))
    }

    /// Says how a scheduler that uses this engine stands: a JSON object, as it is shown. Forgotten when the
    /// engine ends.
    pub fn report_status(&self, status: &str, when: Timestamp) {
        self.0.reports.status.store(Some(Arc::new(SchedulerStatus { status: status.into(), when })));
    }

    /// What was last reported.
    pub fn scheduler_status(&self) -> Option<Arc<SchedulerStatus>> {
        self.0.reports.status.load_full()
    }

    /// Says how it stands with what runs executions. Forgotten when the engine ends.
    pub fn report_driver(&self, report: DriverReport) {
        self.0.reports.driver.store(Some(Arc::new(report)));
    }

    /// What was last reported; none where nothing is told beside what runs on this machine.
    pub fn driver_report(&self) -> Option<Arc<DriverReport>> {
        self.0.reports.driver.load_full()
    }

    /// True where a service runs executions with a driver.
    pub fn has_driver(&self) -> bool {
        // Relaxed: nothing else is read because of it.
        self.0.reports.has_driver.load(Ordering::Relaxed)
    }

    pub(super) fn set_driver(&self, has_driver: bool) {
        self.0.reports.has_driver.store(has_driver, Ordering::Relaxed);
    }
}
