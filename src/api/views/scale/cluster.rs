//! Nodes, the scheduler and what the cluster has, in Scale's shapes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{ErrorBase, STANDARD, Time, document};
use crate::catalog::manifest::Manifest;
use crate::engine::{JobTypeView, NodeStatus, View};
use crate::model::{ErrorRecord, NodeRecord, NodeResources, Quantity, QueueMode};

/// A node on record.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct NodeFull {
    id: u32,
    hostname: String,
    pause_reason: Option<String>,
    is_paused: bool,
    is_active: bool,
    deprecated: Option<Time>,
    created: Time,
    last_modified: Time,
}

impl From<&NodeRecord> for NodeFull {
    fn from(node: &NodeRecord) -> Self {
        Self {
            id: node.id.0,
            hostname: node.hostname.clone(),
            pause_reason: node.pause_reason.clone(),
            is_paused: node.is_paused,
            is_active: node.is_active,
            deprecated: node.deprecated.map(Time),
            created: Time(node.created),
            last_modified: Time(node.last_modified),
        }
    }
}

/// How the scheduler is set.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct SchedulerSet {
    is_paused: bool,
    num_message_handlers: u32,
    system_logging_level: String,
    queue_mode: &'static str,
}

impl SchedulerSet {
    pub(in crate::api) fn new(view: &View) -> Self {
        let settings = view.catalog.scheduler();
        Self {
            is_paused: settings.is_paused,
            num_message_handlers: settings.num_message_handlers,
            system_logging_level: settings.system_logging_level,
            queue_mode: match view.mode {
                QueueMode::Fifo => "FIFO",
                QueueMode::Lifo => "LIFO",
            },
        }
    }
}

/// A kind of error with its times.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct ErrorFull {
    #[serde(flatten)]
    base: ErrorBase,
    created: Time,
    last_modified: Time,
}

impl ErrorFull {
    pub(in crate::api) fn new(error: &ErrorRecord) -> Self {
        Self {
            base: ErrorBase::from(error),
            created: Time(error.created),
            last_modified: Time(error.last_modified),
        }
    }

    /// As it stands beside a count of failures: where it comes from, and whether it is tried again, is not told
    /// there.
    pub(in crate::api) fn beside_count(error: &ErrorRecord) -> Self {
        let plain =
            ErrorRecord { job_type_name: None, is_builtin: false, should_be_retried: false, ..error.clone() };
        Self::new(&plain)
    }
}

/// Amounts that add up.
#[derive(Default)]
struct Sum(BTreeMap<String, u128>);

impl Sum {
    fn add(&mut self, resources: &NodeResources, times: u64) {
        for (name, amount) in resources.iter().filter(|(_, amount)| amount.0 > 0 && times > 0) {
            *self.0.entry(name.to_string()).or_default() += u128::from(amount.0) * u128::from(times);
        }
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).map_or(0.0, |sum| number(*sum))
    }

    fn to_value(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, sum)| (name.clone(), json!(number(*sum)))).collect())
    }
}

/// A sum of thousandths as a number.
fn number(thousandths: u128) -> f64 {
    Quantity(u64::try_from(thousandths).unwrap_or(u64::MAX)).as_f64()
}

/// What a type asks for, shared memory too.
fn type_resources(kind: &JobTypeView, view: &View) -> NodeResources {
    let details = view.catalog.job_type(kind.job_type.id);
    let shared = details.filter(|details| details.manifest.contains("\"sharedmem\""));
    let manifest = shared.and_then(|details| Manifest::read(&document(&details.manifest)).ok());
    manifest.map_or_else(|| kind.job_type.spec.resources.clone(), |manifest| manifest.type_resources())
}

/// How much is asked for by what is pending, waits and runs, by the types of jobs.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct QueuedResources {
    cluster_resources: Value,
    queue_lengths: BTreeMap<&'static str, u64>,
    total_resources: BTreeMap<&'static str, Value>,
}

impl QueuedResources {
    /// `reported`: what the cluster has in all, where somebody said so.
    pub(in crate::api) fn new(view: &View, reported: Option<&NodeResources>) -> Self {
        let mut sums = [("PENDING", Sum::default()), ("QUEUED", Sum::default()), ("RUNNING", Sum::default())];
        for kind in &view.types {
            let counts = [kind.counts.pending, kind.counts.queued, kind.counts.running];
            if counts == [0; 3] {
                continue;
            }
            let asks = type_resources(kind, view);
            for ((_, sum), count) in sums.iter_mut().zip(counts) {
                sum.add(&asks, count);
            }
        }
        let counts = [view.totals.pending, view.totals.queued, view.totals.running];
        let names = sums.iter().map(|(name, _)| *name);
        Self {
            cluster_resources: reported.map_or_else(|| json!({}), standard),
            queue_lengths: names.zip(counts).collect(),
            total_resources: sums.iter().map(|(name, sum)| (*name, sum.to_value())).collect(),
        }
    }
}

fn standard(total: &NodeResources) -> Value {
    let amount = |name: &&str| ((*name).to_owned(), json!(total.get(name).as_f64()));
    Value::Object(STANDARD.iter().map(amount).collect())
}

/// What the scheduler says of itself, without its time; `framework` is the second part of cluster ids.
pub(in crate::api) fn status(view: &View, framework: &str) -> Value {
    let (mut total, mut running, mut free) = (Sum::default(), Sum::default(), Sum::default());
    for node in view.nodes.iter().filter(|node| is_active(node, view)) {
        total.add(&node.node.total, 1);
        running.add(&node.in_use, 1);
        free.add(&node.node.free, 1);
    }
    let is_paused = view.catalog.scheduler().is_paused;
    let state = if is_paused {
        (
            "PAUSED",
            "Paused",
            "Scheduler is paused, so no new jobs will be scheduled. Existing jobs will continue to run.",
        )
    } else {
        ("READY", "Ready", "Scheduler is ready to run new jobs.")
    };
    let warnings: Vec<Value> = view
        .last_refusal
        .iter()
        .map(|(when, reason)| {
            json!({
                "name": "REFUSED_LAUNCH",
                "title": "A launch was refused",
                "description": reason,
                "started": Time(*when),
                "last_updated": Time(*when),
            })
        })
        .collect();
    json!({
        "scheduler": {
            "hostname": null,
            "mesos": {"framework_id": framework},
            "metrics": {},
            "state": {"name": state.0, "title": state.1, "description": state.2},
            "warnings": warnings,
        },
        "system": {"services": []},
        "num_offers": 0,
        "resources": resources(&total, &running, &free),
        "job_types": view.types.iter().filter(|kind| kind.counts.running > 0).map(job_type).collect::<Vec<_>>(),
        "nodes": view.nodes.iter().map(|status| node(status, view, is_paused)).collect::<Vec<_>>(),
    })
}

fn is_active(node: &NodeStatus, view: &View) -> bool {
    view.catalog.node(node.node.id).is_none_or(|record| record.is_active)
}

fn resources(total: &Sum, running: &Sum, free: &Sum) -> Value {
    let of = |name: &String| {
        json!({
            "offered": 0.0,
            "running": running.get(name),
            "free": free.get(name),
            "unavailable": 0.0,
            "total": total.get(name),
        })
    };
    Value::Object(total.0.keys().map(|name| (name.clone(), of(name))).collect::<Map<_, _>>())
}

fn job_type(kind: &JobTypeView) -> Value {
    let spec = &kind.job_type.spec;
    json!({
        "id": kind.job_type.id.0,
        "name": spec.name,
        "version": spec.version,
        "title": spec.title,
        "description": spec.description,
    })
}

/// The state of a node, the first that applies.
fn node_state(record: Option<&NodeRecord>, is_stopped: bool) -> (&'static str, &'static str, &'static str) {
    match record {
        Some(node) if !node.is_active => {
            ("DEPRECATED", "Deprecated", "Node is deprecated and will not run new jobs.")
        }
        Some(node) if node.is_paused => (
            "PAUSED",
            "Paused",
            "Node is paused, so no new jobs will be scheduled. Existing jobs will continue to run.",
        ),
        _ if is_stopped => (
            "SCHEDULER_STOPPED",
            "Scheduler Stopped",
            "Scheduler is paused, so no new jobs will be scheduled.",
        ),
        _ => ("READY", "Ready", "Node is ready to run new jobs."),
    }
}

fn node(status: &NodeStatus, view: &View, is_stopped: bool) -> Value {
    let record = view.catalog.node(status.node.id);
    let (name, title, description) = node_state(record, is_stopped);
    let sums = [&status.node.total, &status.in_use, &status.node.free].map(|amounts| {
        let mut sum = Sum::default();
        sum.add(amounts, 1);
        sum
    });
    json!({
        "id": status.node.id.0,
        "hostname": record.map_or(&status.node.name, |record| &record.hostname),
        "agent_id": null,
        "is_active": record.is_none_or(|record| record.is_active),
        "state": {"name": name, "title": title, "description": description},
        "errors": [],
        "warnings": [],
        "node_tasks": [],
        "system_tasks": [],
        "num_offers": 0,
        "resources": resources(&sums[0], &sums[1], &sums[2]),
    })
}
