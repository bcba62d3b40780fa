//! Passes over the nodes the engine knows: those that were declared, and those whose offers are held.
//!
//! P1  What a pass knows of a node is what it knew before, less what it gave away, unless the node is
//!     among `changed`: then it is told anew before the next pass.
//! P2  A held offer is good for one decision that was committed; what is left of it is no more on offer.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::core::Core;
use crate::decision::{Pass, PassPick, PassSummary, Policy, RunningShare, SchedulingNode, TypePolicy};
use crate::model::{
    Doc, Event, ExeId, JobStatus, LaunchName, NodeId, NodeResources, Quantity, ResourceName, Timestamp,
};
use crate::offer::{NodeView, Offer};
use crate::queue::{Amounts, Entry};
use crate::state::Running;

/// What passes need beside the state.
#[derive(Default)]
pub(super) struct Passes {
    /// As configured; job types may be named.
    policy: Policy,
    pub(super) pass: Pass,
    /// Nodes that are to be told anew.
    changed: BTreeSet<NodeId>,
    /// Whether all are.
    are_all_changed: bool,
    are_types_changed: bool,
    /// What is on offer, beside declared nodes.
    held: BTreeMap<NodeId, NodeResources>,
}

impl Passes {
    pub(super) fn new(policy: Policy) -> Self {
        let pass = Pass::new(policy.clone());
        Self { policy, pass, are_all_changed: true, are_types_changed: true, ..Self::default() }
    }

    /// Whether an offer of a node is held that is none of the cluster.
    pub(super) fn holds(&self, node: NodeId) -> bool {
        self.held.contains_key(&node)
    }

    /// A node does not stand as it did.
    pub(super) fn changed(&mut self, node: NodeId) {
        self.changed.insert(node);
    }
}

impl Core {
    /// Takes note of what an event changes for passes; to be called before it is applied.
    pub(super) fn note_for_passes(&mut self, event: &Event) {
        let changed = match event {
            Event::Launched { node, .. } => Some(*node),
            Event::LaunchReturned { launch, when } => self.is_over(*launch, *when),
            Event::ExeEnded { end, .. } => {
                let node = self.is_over(end.launch, end.ended);
                node.filter(|_| end.outcome.is_system_fault())
                    .into_iter()
                    .for_each(|node| self.lost_on(node));
                node
            }
            Event::JobTypePut { .. } => {
                self.passes.are_types_changed = true;
                None
            }
            Event::DocPut(doc) => match &**doc {
                Doc::Node(node) => {
                    self.hear_record(node);
                    Some(node.id)
                }
                Doc::Scheduler(settings) => {
                    self.cluster.stop(settings.is_paused);
                    self.passes.are_all_changed = true;
                    None
                }
                _ => None,
            },
            _ => None,
        };
        self.passes.changed.extend(changed);
    }

    /// Takes note of what a node has in all.
    pub(super) fn declare(&mut self, node: &Offer, now: Timestamp) {
        self.nodes.declared(node, now);
        self.gpus.set_len(node.node, node.gpu_slots);
        self.passes.changed(node.node);
    }

    /// A launch is no more: what it had on its node is free.
    fn is_over(&mut self, launch: LaunchName, when: Timestamp) -> Option<NodeId> {
        let node = self.state.running.get(&launch.exe).map(|running| running.node)?;
        self.cluster.ended(node, launch, when);
        self.gpus.release(node, launch.exe);
        Some(node)
    }

    /// A node offers something until the offer is taken back, or a decision on it is committed.
    pub(super) fn hold_offer(&mut self, offer: &Offer, now: Timestamp) {
        self.take_note(offer, now);
        self.passes.held.insert(offer.node, offer.free.clone());
        self.passes.changed(offer.node);
    }

    /// A node offers nothing any more. False where it did not.
    pub(super) fn withdraw_offer(&mut self, node: NodeId) -> bool {
        self.passes.changed(node);
        self.passes.held.remove(&node).is_some()
    }

    /// What was decided on a node was committed: its offer is used up.
    pub(super) fn use_offer(&mut self, node: NodeId) {
        self.passes.held.remove(&node);
        self.passes.changed(node);
    }

    /// The policy by job type ids.
    fn named_policy(&self) -> Policy {
        let mut policy = self.passes.policy.clone();
        if policy.named.is_empty() {
            return policy;
        }
        for kind in self.state.catalog.iter() {
            let exact = format!("{}:{}", kind.spec.name, kind.spec.version);
            let own = policy.named.get(&exact).or_else(|| policy.named.get(&kind.spec.name));
            if let Some(own) = own.cloned() {
                policy.job_types.entry(kind.id).or_insert(own);
            }
        }
        policy
    }

    /// Tells the pass what changed since the last one. Cost: nodes that changed, and what runs there where
    /// the policy asks for more than sums.
    fn tell_pass(&mut self) {
        self.tell_policy();
        self.tell_nodes();
    }

    /// The same of job types and policy.
    pub(super) fn tell_policy(&mut self) {
        if std::mem::take(&mut self.passes.are_types_changed) {
            let policy = self.named_policy();
            if *self.passes.pass.policy() != policy {
                self.passes.pass.set_policy(policy);
                self.passes.are_all_changed = true;
            }
            for kind in self.state.catalog.iter() {
                self.passes.pass.set_type(kind.id, Some(kind.spec.resources.clone()));
            }
        }
    }

    fn tell_nodes(&mut self) {
        if std::mem::take(&mut self.passes.are_all_changed) {
            let all: Vec<NodeId> = self.nodes.iter().map(|node| node.id).collect();
            self.passes.changed.extend(all);
        }
        for id in std::mem::take(&mut self.passes.changed) {
            match self.scheduling_node(id) {
                Some(node) => self.passes.pass.set_node(node, &self.state.queue),
                None => self.passes.pass.remove_node(id),
            }
        }
    }

    /// What runs on a node, one by one where the policy looks at that.
    fn running_on(&self, node: NodeId) -> Vec<RunningShare> {
        let policy = self.passes.pass.policy();
        if !policy.looks_at_each() {
            let in_use = self.state.queue.named(&self.state.in_use(node));
            return if in_use.is_zero() { Vec::new() } else { vec![RunningShare::new(i32::MIN, in_use)] };
        }
        let share = |(_, Running { entry, .. }): (ExeId, Running)| {
            let job = self.state.job(entry.job).filter(|job| job.status == JobStatus::Running);
            let started = job.map(|job| job.last_status_change);
            let estimate = policy.job_types.get(&entry.job_type).and_then(TypePolicy::estimate);
            RunningShare {
                job_type: Some(entry.job_type),
                ends: started.zip(estimate).map(|(started, length): (Timestamp, Duration)| started + length),
                ..RunningShare::new(entry.priority, self.state.queue.named(&entry.asks))
            }
        };
        self.state.running_on(node).into_iter().map(share).collect()
    }

    /// What a node has for passes, and what of it is given away; `None` for one that is neither declared
    /// nor has an offer that is held.
    fn on_offer<'c>(&'c self, seen: &'c NodeView) -> Option<(&'c NodeResources, Amounts)> {
        let reserved = || self.reserved.get(&seen.id).copied().unwrap_or_default();
        if let Some(free) = self.passes.held.get(&seen.id) {
            return Some((free, reserved()));
        }
        if self.cluster.is_spoken_for(seen.id) {
            return self.cluster.offered_on(seen.id).map(|free| (free, reserved()));
        }
        seen.is_declared.then(|| (&seen.total, self.given_on(seen.id)))
    }

    /// What of a node is given away: to what runs there, and to picks that are not committed.
    fn given_on(&self, node: NodeId) -> Amounts {
        self.state.in_use(node).plus(&self.reserved.get(&node).copied().unwrap_or_default())
    }

    /// The most that a node has to give, as passes see it: where they decide by offers of its agent, the most
    /// that there was lately.
    pub(super) fn most_on<'c>(&'c self, seen: &'c NodeView) -> Cow<'c, NodeResources> {
        let lately = self.cluster.watermark_of(seen.id).filter(|_| !self.passes.held.contains_key(&seen.id));
        let most = lately.unwrap_or(&seen.total);
        let n_gpus = self.gpus.on(seen.id).map(|gpus| Quantity::whole(gpus.len() as u64));
        match n_gpus.filter(|n_gpus| most.get(ResourceName::GPUS) > *n_gpus) {
            Some(n_gpus) => Cow::Owned(most.clone().with(ResourceName::GPUS, n_gpus).unwrap_or_default()),
            None => Cow::Borrowed(most),
        }
    }

    /// Of a node for which an agent speaks and that offers nothing now: what it had to give beside what is
    /// given away.
    pub(super) fn silent_on(&self, seen: &NodeView) -> Option<Amounts> {
        let is_silent = self.on_offer(seen).is_none() && self.cluster.is_spoken_for(seen.id);
        is_silent
            .then(|| self.state.queue.lookup(&self.known_on(seen)).minus_or_zero(&self.given_on(seen.id)))
    }

    /// What a node has in all, to be told: of one that offered nothing for so long that passes see nothing of
    /// it, the most that it ever had.
    pub(super) fn known_on<'c>(&'c self, seen: &'c NodeView) -> Cow<'c, NodeResources> {
        let most = self.most_on(seen);
        if most.is_zero() { Cow::Borrowed(&seen.total) } else { most }
    }

    /// Whether passes decide on a node by offers of the cluster.
    pub(super) fn uses_offers(&self, node: NodeId) -> bool {
        !self.passes.holds(node) && self.cluster.offered_on(node).is_some()
    }

    /// What a node has free for whoever comes: as passes see it, or as it was left by whoever decided on it
    /// alone.
    pub(super) fn free_on(&self, seen: &NodeView) -> Amounts {
        let queue = &self.state.queue;
        let within = |free: Amounts| match self.gpus.on(seen.id) {
            Some(gpus) => free.with_gpus_within(gpus.largest()),
            None => free,
        };
        match self.on_offer(seen) {
            Some((have, less)) => within(queue.lookup(have).minus_or_zero(&less)),
            None if self.cluster.is_spoken_for(seen.id) => Amounts::default(),
            None => queue.lookup(&seen.free),
        }
    }

    /// Whether passes may place something on a node, as far as it offers something.
    pub(super) fn is_on_offer(&self, seen: &NodeView) -> bool {
        self.on_offer(seen).is_some()
    }

    /// For whom a node is kept that still waits.
    fn kept_on(&self, node: NodeId) -> Option<Entry> {
        self.state.queue.get(self.passes.pass.may_start(node)?)
    }

    fn scheduling_node(&self, id: NodeId) -> Option<SchedulingNode> {
        let seen = self.nodes.get(id)?;
        let queue = &self.state.queue;
        let less = |(have, less): (&NodeResources, Amounts)| {
            // By names: what nobody asked for yet is left alone.
            let less = queue.named(&less);
            have.minus(&less)
                .unwrap_or_else(|| queue.named(&queue.lookup(have).minus_or_zero(&queue.lookup(&less))))
        };
        let offered = self.on_offer(seen).map(less);
        // Where there is no offer there is less than nothing, so that not even what needs nothing starts there.
        let less_than_nothing =
            || NodeResources::new().with(ResourceName::CPUS, Quantity(1)).expect("a name");
        let given = if offered.is_some() { NodeResources::new() } else { less_than_nothing() };
        let mut node = SchedulingNode::idle(id, &self.most_on(seen));
        (node.is_ready, node.offered, node.running) =
            (self.takes_new(id), offered.unwrap_or_default(), self.running_on(id));
        node.given = given;
        node.gpus = self.gpus.on(id).cloned();
        node.attributes.clone_from(&seen.attributes);
        Some(node)
    }

    /// A pass over all nodes. The picks are set aside until they are committed or put back.
    pub(super) fn pass(
        &mut self,
        most: usize,
        now: Timestamp,
    ) -> (BTreeMap<NodeId, Vec<Entry>>, PassSummary) {
        let now = self.clamp(now);
        let round = self.state.queue.new_round();
        self.advance_cluster(now);
        self.tell_pass();
        let mut picks: Vec<PassPick> = Vec::new();
        let summary = self.passes.pass.run(&mut self.state.queue, now, most, &mut picks);
        self.journal.reservations(now, self.passes.pass.kept());
        let mut by_node: BTreeMap<NodeId, Vec<Entry>> = BTreeMap::new();
        for pick in picks {
            let reserved = self.reserved.entry(pick.node).or_default();
            *reserved = reserved.plus(&pick.entry.asks);
            self.gpus.take(pick.node, pick.entry.id, round, pick.entry.asks.gpus());
            by_node.entry(pick.node).or_default().push(pick.entry);
        }
        (by_node, summary)
    }

    /// What of `free` is left for whoever comes, on a node that may be kept for somebody: that one goes
    /// first, or nobody does.
    pub(super) fn start_kept(
        &mut self,
        node: NodeId,
        free: Amounts,
        picks: &mut Vec<Entry>,
    ) -> Option<Amounts> {
        let Some(entry) = self.kept_on(node) else { return Some(free) };
        let (queue, exe) = (&mut self.state.queue, entry.id);
        let (is_paused, is_at_limit) = queue.held_by(entry.job_type);
        let is_held = is_at_limit || (is_paused && !queue.is_let_through(exe));
        let most = self.gpus.on(node).map_or(free, |gpus| free.with_gpus_within(gpus.largest()));
        let left = free.minus(&entry.asks).filter(|_| !is_held && most.covers(&entry.asks))?;
        picks.push(queue.pick(exe)?);
        Some(left)
    }

    /// Executions started outside of a pass.
    pub(super) fn started(&mut self, node: NodeId, picks: &[Entry]) {
        for pick in picks {
            self.passes.pass.started(pick, &self.state.queue);
        }
        self.passes.changed(node);
    }
}
