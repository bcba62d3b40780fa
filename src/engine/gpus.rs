//! Slots of graphics processors: which execution has which, from the moment it is picked until it ends.
//!
//! G1  What a pick or a running execution has of a slot nobody else has.
//! G2  What runs by our record has what is on record of it, also after a restart.

use std::collections::BTreeMap;

use super::core::Core;
use crate::model::{Doc, Event, ExeId, ExecutionSlots, NodeId, Quantity, SlotShare, kind};
use crate::offer::{GpuSlots, Slots};
use crate::queue::Entry;
use crate::state::State;

/// In place of a round, for what runs.
const RUNNING: u64 = 0;

/// Slots of one node.
#[derive(Default)]
struct NodeGpus {
    slots: GpuSlots,
    /// False where its graphics processors are only an amount, as far as is known.
    are_slots: bool,
    /// Of picks, by their round, and of what runs, as [`RUNNING`].
    held: BTreeMap<(ExeId, u64), Slots>,
}

/// Slots by node.
#[derive(Default)]
pub(super) struct Gpus {
    /// Whether those of a cluster's nodes are slots.
    pub(super) of_cluster: bool,
    nodes: BTreeMap<NodeId, NodeGpus>,
}

impl Gpus {
    /// With what runs by our record.
    pub(super) fn new(of_cluster: bool, state: &State) -> Self {
        let mut gpus = Self { of_cluster, nodes: BTreeMap::new() };
        for doc in state.docs().of_kind(kind::SLOTS) {
            let Doc::Slots(had) = &**doc else { continue };
            if state.running.contains_key(&had.exe) {
                let node = gpus.nodes.entry(had.node).or_default();
                let slots = node.slots.retake(&had.shares).expect("G1: each had its own");
                node.held.insert((had.exe, RUNNING), slots);
            }
        }
        gpus
    }

    /// A node has so many slots. With none, its graphics processors are an amount.
    pub(super) fn set_len(&mut self, node: NodeId, n: usize) {
        if n > 0 || self.nodes.contains_key(&node) {
            let node = self.nodes.entry(node).or_default();
            node.are_slots = n > 0;
            node.slots.set_len(n);
        }
    }

    /// The slots of a node; none where there are none.
    pub(super) fn on(&self, node: NodeId) -> Option<&GpuSlots> {
        self.nodes.get(&node).filter(|node| node.are_slots).map(|node| &node.slots)
    }

    /// A pick takes what it asks for.
    pub(super) fn take(&mut self, node: NodeId, exe: ExeId, round: u64, asked: Quantity) {
        if asked == Quantity::ZERO {
            return;
        }
        let Some(node) = self.nodes.get_mut(&node).filter(|node| node.are_slots) else { return };
        let slots = node.slots.take(asked).expect("G1: it was found to fit");
        let before = node.held.insert((exe, round), slots);
        assert!(before.is_none(), "G1: {exe} has slots");
    }

    /// An execution is over.
    pub(super) fn release(&mut self, node: NodeId, exe: ExeId) {
        self.release_pick(node, exe, RUNNING);
    }

    /// A pick was put back.
    pub(super) fn release_pick(&mut self, node: NodeId, exe: ExeId, round: u64) {
        if let Some(node) = self.nodes.get_mut(&node)
            && let Some(slots) = node.held.remove(&(exe, round))
        {
            node.slots.release(slots);
        }
    }

    /// A pick runs from now on.
    fn launch(&mut self, node: NodeId, exe: ExeId, round: u64) {
        if let Some(node) = self.nodes.get_mut(&node)
            && let Some(slots) = node.held.remove(&(exe, round))
        {
            node.held.insert((exe, RUNNING), slots);
        }
    }

    /// What an execution that runs has.
    fn shares(&self, node: NodeId, exe: ExeId) -> &[SlotShare] {
        self.nodes.get(&node).and_then(|node| node.held.get(&(exe, RUNNING))).map_or(&[], Slots::shares)
    }

    /// Whether the node has all the slots that a pick has.
    pub(super) fn has_all(&self, node: NodeId, exe: ExeId, round: u64) -> bool {
        let n = self.on(node).map_or(0, GpuSlots::len);
        let slots = self.nodes.get(&node).and_then(|node| node.held.get(&(exe, round)));
        slots.into_iter().flat_map(Slots::shares).all(|share| usize::from(share.slot) < n)
    }
}

impl Core {
    /// Picks have slots from now on.
    pub(super) fn take_slots(&mut self, node: NodeId, picks: &[Entry], round: u64) {
        for pick in picks {
            self.gpus.take(node, pick.id, round, pick.asks.gpus());
        }
    }

    /// A pick was launched: what it has is on record from now on. Gives that.
    pub(super) fn keep_slots(&mut self, node: NodeId, exe: ExeId, round: u64) -> Vec<SlotShare> {
        self.gpus.launch(node, exe, round);
        let shares = self.gpus.shares(node, exe).to_vec();
        if !shares.is_empty() {
            let slots = ExecutionSlots { exe, node, shares: shares.clone() };
            self.emit(Event::DocPut(Doc::Slots(slots).into()));
        }
        shares
    }

    /// What an execution that runs has on record.
    pub(super) fn slots_of(&self, exe: ExeId) -> Vec<SlotShare> {
        match self.state.docs().get(kind::SLOTS, exe.0).map(|doc| &**doc) {
            Some(Doc::Slots(slots)) => slots.shares.clone(),
            _ => Vec::new(),
        }
    }

    /// Holds G1 and G2 against what is on record.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(super) fn check_slots(&self) {
        let mut n_running = 0;
        for (exe, running) in &self.state.running {
            let shares = self.slots_of(*exe);
            assert_eq!(self.gpus.shares(running.node, *exe), shares, "G2: {exe}");
            n_running += usize::from(!shares.is_empty());
        }
        assert_eq!(self.state.docs().of_kind(kind::SLOTS).count(), n_running, "G2: of what does not run");
        for (id, node) in &self.gpus.nodes {
            let mut used = vec![0; node.slots.used().len()];
            for share in node.held.values().flat_map(Slots::shares) {
                used[usize::from(share.slot)] += share.thousandths;
            }
            assert_eq!(node.slots.used(), used, "G1: node {id}");
            assert!(used.iter().all(|used| *used <= 1_000), "G1: node {id}, {used:?}");
            let is_known =
                |(exe, round): &(ExeId, u64)| *round != RUNNING || self.state.running.contains_key(exe);
            assert!(node.held.keys().all(is_known), "G1: of nobody, on node {id}");
        }
    }
}
