//! What is known of one node of a cluster: what its agent offers, what runs there, and what comes
//! of both.
//!
//! A1  What runs and what is on offer are together within the watermark, unless the total that the
//!     agent has is below.
//! A2  With its agent a node loses all that is known of it but its name.
//! A3  What is made of all that is kept until the next change: whoever asks again pays for a look-up.
//!
//! # Source
//! As Scale's agents do, in exact thousandths: Scale rounds each sum to two decimals. The total
//! limits what is told here; in Scale it also cuts what is remembered, and what may be started on offers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::gpus::{GpuSlots, Slots};
use super::numbers::NodeNumbers;
use super::sums::Sums;
use super::watermark::{Watermark, limited};
use crate::limits::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, GPU_SLOTS_MAX};
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
    /// What these sum up to.
    on_offer: NodeResources,
    running: Sums,
    /// What is on offer or in use since the last change.
    current: NodeResources,
    watermark: Watermark,
    /// By the age of the watermark, where it was asked since the last change.
    told: [OnceLock<Told>; 3],
}

/// What is made of what is known.
#[derive(Debug)]
struct Told {
    watermark: NodeResources,
    offered: NodeResources,
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
            on_offer: NodeResources::new(),
            running: Sums::default(),
            current: NodeResources::new(),
            watermark: Watermark::new(now),
            told: Default::default(),
        }
    }

    /// Every change of what is offered, used or there in all.
    pub(super) fn change(&mut self, now: Timestamp, change: impl FnOnce(&mut Self)) {
        self.watermark.advance(now, &self.current);
        change(self);
        self.told = Default::default();
        self.on_offer = self.offers.resources();
        self.current = self.on_offer.plus(&self.in_use());
        self.watermark.raise(&self.current);
        self.count_gpus(now);
    }

    pub(super) fn count_gpus(&mut self, now: Timestamp) {
        let n_gpus = self.n_gpus(now);
        if n_gpus != self.gpus.len() {
            self.gpus.set_len(n_gpus);
        }
    }

    /// How many graphics processors there are, as far as is known: in all, or else as many as there were lately.
    pub(super) fn n_gpus(&self, now: Timestamp) -> usize {
        let all = self.total.as_ref().unwrap_or_else(|| self.watermark(now)).get(ResourceName::GPUS);
        usize::try_from(all.0 / THOUSANDTHS).unwrap_or(usize::MAX).min(GPU_SLOTS_MAX)
    }

    /// What is free of its graphics processors, and how many are free as a whole.
    pub(super) fn free_gpus(&self, now: Timestamp) -> (Quantity, usize) {
        let n_gpus = self.n_gpus(now);
        if n_gpus == self.gpus.len() {
            return (self.gpus.free(), self.gpus.n_whole());
        }
        // Some are forgotten by the time that passed alone.
        let mut gpus = self.gpus.clone();
        gpus.set_len(n_gpus);
        (gpus.free(), gpus.n_whole())
    }

    /// Takes back what is remembered of what was there: what ran is lost, and may have been gone when what it had
    /// was offered again.
    pub(super) fn start_anew(&mut self, now: Timestamp) {
        self.watermark = Watermark::new(now);
        self.watermark.raise(&self.current);
        self.told = Default::default();
        self.count_gpus(now);
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
    pub(super) fn watermark(&self, now: Timestamp) -> &NodeResources {
        &self.told(now).watermark
    }

    /// What is on offer: what may be started on, also where more is in use than was told, since a master
    /// offers what a task had before it says that the task has ended.
    pub(super) fn on_offer(&self) -> &NodeResources {
        &self.on_offer
    }

    /// The same as is told: as far as the watermark has room for it beside what is in use.
    pub(super) fn offered(&self, now: Timestamp) -> &NodeResources {
        &self.told(now).offered
    }

    fn told(&self, now: Timestamp) -> &Told {
        let age = self.watermark.age(now);
        self.told[age].get_or_init(|| self.tell_at(age))
    }

    fn tell_at(&self, age: usize) -> Told {
        let (mark, offers) = (self.watermark.at_age(age, &self.current), &self.on_offer);
        let Some(total) = &self.total else { return Told { watermark: mark, offered: offers.clone() } };
        let (mark, used) = (limited(&mark, total), self.in_use());
        let room = |name: &ResourceName, most: Quantity| {
            let room = most.0.saturating_sub(used.get(name.as_str()).0);
            (name.clone(), Quantity(room))
        };
        let rooms: Result<NodeResources, ResourcesError> = mark
            .iter()
            .map(|(name, most)| room(name, most))
            .try_fold(NodeResources::new(), |set, (name, room)| set.with_name(name, room));
        let offered = limited(offers, &rooms.expect("it has room for the names of a set"));
        Told { watermark: mark, offered }
    }

    /// What steps lack that have waited too long.
    pub(super) fn shortage(&self, now: Timestamp) -> NodeResources {
        self.offered(now).shortage(&self.waiting)
    }

    pub(super) fn numbers(&self, now: Timestamp) -> NodeNumbers {
        let mark = self.watermark(now);
        let total = self.total.as_ref().unwrap_or(mark);
        NodeNumbers::of(&self.in_use(), self.offered(now), mark, total)
    }
}
