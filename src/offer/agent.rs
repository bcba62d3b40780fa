//! What is known of one node of a cluster: what its agent offers, what runs there, and what comes
//! of both.
//!
//! A1  What runs and what is on offer are together within the watermark, unless the total that the
//!     agent has is below.
//! A2  With its agent a node loses all that is known of it but its name.
//!
//! # Source
//! As Scale's agents do, in exact thousandths: Scale rounds each sum to two decimals. The total
//! limits what is told here; in Scale it also cuts what is remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::gpus::{GpuSlots, Slots};
use super::numbers::NodeNumbers;
use super::sums::Sums;
use super::watermark::{Watermark, limited};
use crate::limits::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX};
use crate::model::{
    AgentId, LaunchName, NodeResources, Quantity, ResourceName, ResourcesError, THOUSANDTHS, Timestamp,
};

/// An execution on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTask {
    /// The lower number is the more important.
    pub priority: i32,
    /// What it has, or will have.
    pub asks: NodeResources,
    /// False between two steps: it uses nothing now, and its next step asks for this.
    pub is_current: bool,
}

/// See the file.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) name: Arc<str>,
    pub(super) id: Option<AgentId>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) last_offer: Timestamp,
    pub(super) tasks: BTreeMap<LaunchName, NodeTask>,
    pub(super) other: NodeResources,
    pub(super) gpus: GpuSlots,
    pub(super) slots: BTreeMap<LaunchName, Slots>,
    pub(super) total: Option<NodeResources>,
    /// What steps ask for that have waited too long.
    pub(super) waiting: NodeResources,
    offers: Sums,
    running: Sums,
    /// What is on offer or in use since the last change.
    current: NodeResources,
    watermark: Watermark,
}

impl Agent {
    pub(super) fn new(name: Arc<str>, now: Timestamp) -> Self {
        Self {
            name,
            id: None,
            attributes: BTreeMap::new(),
            last_offer: now,
            tasks: BTreeMap::new(),
            other: NodeResources::new(),
            gpus: GpuSlots::default(),
            slots: BTreeMap::new(),
            total: None,
            waiting: NodeResources::new(),
            offers: Sums::default(),
            running: Sums::default(),
            current: NodeResources::new(),
            watermark: Watermark::new(now),
        }
    }

    /// Every change of what is offered, used or there in all.
    pub(super) fn change(&mut self, now: Timestamp, change: impl FnOnce(&mut Self)) {
        self.watermark.advance(now, &self.current);
        change(self);
        self.current = self.offers.resources().plus(&self.in_use());
        self.watermark.raise(&self.current);
        let n_gpus = |set: &NodeResources| {
            usize::try_from(set.get(ResourceName::GPUS).0 / THOUSANDTHS).unwrap_or(usize::MAX)
        };
        let n_gpus = self.total.as_ref().map_or_else(|| n_gpus(&self.current).max(self.gpus.len()), n_gpus);
        if n_gpus != self.gpus.len() {
            self.gpus.set_len(n_gpus);
        }
    }

    pub(super) fn add_offer(&mut self, offer: &NodeResources) {
        self.offers.add(offer);
    }

    pub(super) fn take_offer(&mut self, offer: &NodeResources) {
        self.offers.take(offer);
    }

    /// Something runs, or goes on in another way.
    pub(super) fn run(&mut self, name: LaunchName, task: NodeTask) {
        self.remove(name);
        if task.is_current {
            self.running.add(&task.asks);
        }
        self.tasks.insert(name, task);
    }

    pub(super) fn remove(&mut self, name: LaunchName) {
        if let Some(task) = self.tasks.remove(&name).filter(|task| task.is_current) {
            self.running.take(&task.asks);
        }
    }

    /// Gives back what an execution has of graphics processors. True where it had any.
    pub(super) fn release(&mut self, name: LaunchName) -> bool {
        self.slots.remove(&name).map(|slots| self.gpus.release(slots)).is_some()
    }

    /// The agent told of itself. Kept are the first ones that are not too long.
    pub(super) fn tell(&mut self, attributes: &BTreeMap<String, String>) {
        let is_short = |(name, value): &(&String, &String)| name.len() + value.len() <= ATTRIBUTE_BYTES_MAX;
        let kept = || attributes.iter().filter(is_short).take(ATTRIBUTES_MAX);
        if !self.attributes.iter().eq(kept()) {
            self.attributes = kept().map(|(name, value)| (name.clone(), value.clone())).collect();
        }
    }

    /// Whether anything is on the node that would be lost with it.
    pub(super) fn runs_something(&self) -> bool {
        !self.tasks.is_empty() || !self.slots.is_empty() || !self.other.is_zero()
    }

    /// What is in use.
    pub(super) fn in_use(&self) -> NodeResources {
        self.running.resources().plus(&self.other)
    }

    /// The most that was offered and in use lately, limited to what the agent has in all.
    pub(super) fn watermark(&self, now: Timestamp) -> NodeResources {
        let mark = self.watermark.at(now, &self.current);
        self.total.as_ref().map_or_else(|| mark.clone(), |total| limited(&mark, total))
    }

    /// What is on offer, as far as the watermark has room for it beside what is in use.
    pub(super) fn offered(&self, now: Timestamp) -> NodeResources {
        let (offers, used) = (self.offers.resources(), self.in_use());
        let Some(total) = &self.total else { return offers };
        let mark = limited(&self.watermark.at(now, &self.current), total);
        let room =
            |name: &ResourceName, most: Quantity| Quantity(most.0.saturating_sub(used.get(name.as_str()).0));
        let rooms: Result<NodeResources, ResourcesError> = mark
            .iter()
            .try_fold(NodeResources::new(), |set, (name, most)| set.with(name.as_str(), room(name, most)));
        limited(&offers, &rooms.expect("it has room for the names of a set"))
    }

    /// What steps lack that have waited too long.
    pub(super) fn shortage(&self, now: Timestamp) -> NodeResources {
        self.offered(now).shortage(&self.waiting)
    }

    pub(super) fn numbers(&self, now: Timestamp) -> NodeNumbers {
        let mark = self.watermark(now);
        let total = self.total.as_ref().unwrap_or(&mark);
        NodeNumbers::of(&self.in_use(), &self.offered(now), &mark, total)
    }
}
