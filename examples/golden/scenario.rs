//! Recorded scenarios, a JSON object a line: the facts of a pass and what Scale decided.
//!
//! Amounts have few decimals and are read by their decimal text, see [`Quantity`], so none is a
//! binary fraction when it is compared. tests/golden/README.md tells the format.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weighbridge::{
    ExeId, JobTypeId, NodeId, NodeResources, Placing, Policy, Quantity, QueueMode, ResourceName,
    RunningShare, ScaleDone, ScaleEntry, ScaleNode, ScaleReport, ScaleRules, ScaleType, Scheduler,
    SchedulingNode, Timestamp,
};

use crate::model::{Model, ModelNode, ModelRunning};

/// Bytes of one line: a scenario of 200 entries has 30 thousand, and room is left for one of a hundred
/// thousand.
pub(crate) const LINE_BYTES_MAX: u64 = 16 << 20;

/// The facts of one pass, and what came of them, by field.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) number: u64,
    pub(crate) rules: ScaleRules,
    pub(crate) entries: Vec<ScaleEntry>,
    pub(crate) nodes: Vec<ModelNode>,
    /// What each job type asks for; scores count these.
    pub(crate) type_resources: Vec<NodeResources>,
    pub(crate) expect: BTreeMap<String, Value>,
}

impl Scenario {
    /// The plain loops over its nodes.
    pub(crate) fn model(&self) -> Model {
        Model::new(self.nodes.clone(), self.type_resources.clone())
    }

    /// What the daemon places with, over the same nodes.
    pub(crate) fn scheduler(&self) -> Placing<Scheduler> {
        let asked = self.entries.iter().map(|entry| &entry.asks);
        scheduler(&self.nodes, &self.type_resources, asked)
    }
}

/// The scheduler over the nodes of a model. `asked` is what will be asked for.
pub(crate) fn scheduler<'a>(
    nodes: &[ModelNode],
    types: &[NodeResources],
    asked: impl IntoIterator<Item = &'a NodeResources>,
) -> Placing<Scheduler> {
    let mut scheduler = Scheduler::new(Policy::scale());
    for asks in asked {
        scheduler.queue_mut().intern(asks);
    }
    for (asks, at) in types.iter().zip(1..) {
        scheduler.set_type(JobTypeId(at), asks.clone());
    }
    let sum = |sets: &[NodeResources]| sets.iter().fold(NodeResources::new(), |sum, set| sum.plus(set));
    for node in nodes {
        let share = |running: &ModelRunning| RunningShare {
            is_current: running.is_current,
            ..RunningShare::new(running.priority, running.resources.clone())
        };
        let mut state = SchedulingNode::idle(node.id, &node.watermark);
        (state.is_ready, state.offered) = (node.is_ready, node.offered.clone());
        state.running = node.running.iter().map(share).collect();
        (state.other, state.given) = (sum(&node.other), sum(&node.pre));
        // What was placed before is given away, and counts as what is about to run.
        for (priority, asks) in &node.placed {
            state.given = state.given.plus(asks);
            let share = RunningShare::new(*priority, asks.clone());
            state.running.push(RunningShare { is_current: false, ..share });
        }
        scheduler.set_node(state);
    }
    scheduler.into_placing()
}

/// Why there is no scenario in a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("could not be read: {0}")]
    Io(#[from] io::Error),
    #[error("line {line} has more than {LINE_BYTES_MAX} bytes")]
    LineTooLong { line: u64 },
    #[error("line {line}: {source}")]
    Malformed { line: u64, source: serde_json::Error },
}

/// The scenarios of a file, one at a time.
pub(crate) struct Scenarios {
    reader: Box<dyn BufRead>,
    line: u64,
    bytes: Vec<u8>,
}

impl Scenarios {
    /// Opens a file of lines; one whose name ends in `.gz` is unpacked on the way.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path)?;
        let is_packed = path.extension().is_some_and(|ext| ext == "gz");
        let bytes: Box<dyn Read> =
            if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self::from_reader(bytes))
    }

    pub(crate) fn from_reader(bytes: impl Read + 'static) -> Self {
        Self { reader: Box::new(BufReader::new(bytes)), line: 0, bytes: Vec::new() }
    }

    /// The next line that is not blank; `None` at the end.
    fn next_line(&mut self) -> Result<Option<&[u8]>, ReadError> {
        loop {
            self.bytes.clear();
            self.line += 1;
            let n = (&mut self.reader).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut self.bytes)?;
            if self.bytes.len() as u64 > LINE_BYTES_MAX {
                return Err(ReadError::LineTooLong { line: self.line });
            }
            if n == 0 {
                return Ok(None);
            }
            if !self.bytes.trim_ascii().is_empty() {
                return Ok(Some(&self.bytes));
            }
        }
    }

    /// The next scenario; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Scenario>, ReadError> {
        let Some(bytes) = self.next_line()? else { return Ok(None) };
        let raw = serde_json::from_slice::<Raw>(bytes);
        match raw {
            Ok(raw) => Ok(Some(raw.into())),
            Err(source) => Err(ReadError::Malformed { line: self.line, source }),
        }
    }
}

/// A report in the form of a scenario's `expect`.
pub(crate) fn fields(report: &ScaleReport) -> BTreeMap<String, Value> {
    let done = |done: &ScaleDone| match *done {
        ScaleDone::Scheduled { entry, node, score } => json!([entry, node, score]),
        ScaleDone::Drained { entry } => json!([entry, null]),
    };
    let names = |set: &BTreeSet<ResourceName>| set.iter().map(|name| json!(name.as_str())).collect::<Value>();
    let fields = [
        ("done", report.done.iter().map(done).collect()),
        ("reserved", list(&report.reserved)),
        ("unplaced", list(&report.unplaced)),
        ("skipped", list(&report.skipped)),
        ("unmet", report.unmet.iter().map(|(id, set)| (id.to_string(), names(set))).collect()),
        ("warnings", list(&report.warnings)),
    ];
    fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

fn list<T: Serialize>(items: impl IntoIterator<Item = T>) -> Value {
    items.into_iter().map(|item| json!(item)).collect()
}

/// A line as it is written.
#[derive(Deserialize)]
struct Raw {
    n: u64,
    mode: QueueMode,
    limit: usize,
    workspaces: BTreeSet<String>,
    job_types: Vec<RawType>,
    nodes: Vec<RawNode>,
    queue: Vec<RawEntry>,
    expect: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct RawType {
    id: JobTypeId,
    res: Amounts,
    max: Option<u32>,
    paused: Flag,
    unmet: Option<Names>,
    warn: Flag,
    synced: Flag,
}

#[derive(Deserialize)]
struct RawNode {
    id: NodeId,
    ready: Flag,
    offered: Amounts,
    watermark: Amounts,
    total: Option<Amounts>,
    running: Vec<RawRunning>,
    other: Vec<Amounts>,
    pre: Vec<Amounts>,
}

#[derive(Deserialize)]
struct RawRunning {
    #[serde(rename = "type")]
    job_type: JobTypeId,
    prio: i32,
    res: Amounts,
    cur: Flag,
}

#[derive(Deserialize)]
struct RawEntry {
    id: ExeId,
    #[serde(rename = "type")]
    job_type: JobTypeId,
    prio: i32,
    queued: i64,
    res: Amounts,
    canceled: Flag,
    #[serde(default)]
    ws: Vec<String>,
}

impl From<Raw> for Scenario {
    fn from(raw: Raw) -> Self {
        let mut n_running: BTreeMap<JobTypeId, u32> = BTreeMap::new();
        for running in raw.nodes.iter().flat_map(|node| &node.running) {
            *n_running.entry(running.job_type).or_default() += 1;
        }
        let of_type = |it: &RawType| it.to_type(n_running.get(&it.id).copied().unwrap_or(0));
        let types: Vec<ScaleType> = raw.job_types.iter().map(of_type).collect();
        let warned = types.iter().zip(&raw.job_types).filter(|(_, raw)| raw.warn.0);
        let warnings = warned.map(|(it, _)| it.warning()).collect();
        let rules = ScaleRules {
            mode: raw.mode,
            limit: raw.limit,
            types,
            nodes: raw.nodes.iter().map(RawNode::to_node).collect(),
            workspaces: raw.workspaces,
            warnings,
        };
        Self {
            number: raw.n,
            rules,
            entries: raw.queue.into_iter().map(RawEntry::into_entry).collect(),
            nodes: raw.nodes.into_iter().map(RawNode::into_model).collect(),
            type_resources: raw.job_types.into_iter().map(|it| it.res.0).collect(),
            expect: raw.expect,
        }
    }
}

impl RawType {
    fn to_type(&self, n_running: u32) -> ScaleType {
        ScaleType {
            id: self.id,
            name: format!("type-{}", self.id),
            max_scheduled: self.max,
            n_running,
            is_paused: self.paused.0,
            is_synced: self.synced.0,
            unmet: self.unmet.as_ref().map(|names| names.0.clone()).unwrap_or_default(),
        }
    }
}

impl RawNode {
    fn to_node(&self) -> ScaleNode {
        ScaleNode {
            is_ready: self.ready.0,
            total: self.total.as_ref().map(|total| total.0.clone()),
            watermark: self.watermark.0.clone(),
        }
    }

    fn into_model(self) -> ModelNode {
        let running =
            |it: RawRunning| ModelRunning { priority: it.prio, resources: it.res.0, is_current: it.cur.0 };
        ModelNode {
            id: self.id,
            is_ready: self.ready.0,
            offered: self.offered.0,
            watermark: self.watermark.0,
            running: self.running.into_iter().map(running).collect(),
            other: self.other.into_iter().map(|it| it.0).collect(),
            pre: self.pre.into_iter().map(|it| it.0).collect(),
            placed: Vec::new(),
            is_reserved: false,
        }
    }
}

impl RawEntry {
    fn into_entry(self) -> ScaleEntry {
        ScaleEntry {
            id: self.id,
            job_type: self.job_type,
            priority: self.prio,
            // Milliseconds after some start: only their order counts.
            queued: Timestamp(self.queued),
            asks: self.res.0,
            is_canceled: self.canceled.0,
            workspaces: self.ws,
        }
    }
}

/// `0` or `1`.
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self(false)),
            1 => Ok(Self(true)),
            other => Err(D::Error::custom(format!("{other} is neither 0 nor 1"))),
        }
    }
}

/// Names with commas between them.
struct Names(BTreeSet<ResourceName>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(ResourceName::new).collect::<Result<_, _>>().map(Self).map_err(D::Error::custom)
    }
}

/// `[cpus, mem, disk, gpus]`, and an object with further names where there are any.
struct Amounts(NodeResources);

impl<'de> Deserialize<'de> for Amounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Amounts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("[cpus, mem, disk, gpus] or [cpus, mem, disk, gpus, {\"name\": amount}]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Amounts, A::Error> {
                let mut set = NodeResources::new();
                for (at, name) in ResourceName::STANDARD.into_iter().enumerate() {
                    let amount: Quantity =
                        parts.next_element()?.ok_or_else(|| A::Error::invalid_length(at, &self))?;
                    set = set.with(name, amount).map_err(A::Error::custom)?;
                }
                if let Some(further) = parts.next_element::<NodeResources>()? {
                    set = set.overridden_by(&further).map_err(A::Error::custom)?;
                }
                match parts.next_element::<serde::de::IgnoredAny>()? {
                    Some(_) => Err(A::Error::invalid_length(6, &self)),
                    None => Ok(Amounts(set)),
                }
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}
