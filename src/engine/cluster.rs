//! A cluster whose agents make several offers each: held until passes use them, or they end in another way.
//!
//! O1  A machine has the id that is on record for its name, also after a restart; what ran there counts.
//! O2  What is launched by a pass is covered by the offers that go along with it, all of one agent. Picks that
//!     they do not cover any more go back to their exact places.
//! O3  An offer ends once, and is handed out with that: to whoever uses it, is to decline it, or said that
//!     it is gone.
//! O4  Offers, agents and news of nodes are in memory only. Whether a node is in use and paused is on record.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::core::Core;
use super::plan::Plan;
use super::shell::Engine;
use crate::limits::{CATALOG_DOCS_MAX, NODES_MAX};
use crate::model::{
    AgentId, Doc, ExeId, LaunchName, NodeId, NodeRecord, NodeResources, OfferId, Timestamp, kind,
};
use crate::offer::{
    Arrival, ClusterNodes, DeclineReason, Declined, HeldOffer, LostAgent, NewOffer, NoNode, NodeNews,
    NodeState, NodeTask,
};
use crate::queue::Entry;
use crate::state::Running;

const _: () = assert!(NODES_MAX as u64 <= CATALOG_DOCS_MAX);

impl Engine {
    /// Takes in an offer of a cluster and holds it for [`Engine::pass`], until a commit uses it, the master
    /// takes it back ([`Engine::rescinded`]), its agent is lost, or it is to be declined. Offers of one agent
    /// are decided on together. The machine is on record from then on, under its name.
    ///
    /// Of what it answers, see to this: an offer that is not held is to be declined; where another agent spoke
    /// for the machine, its offers have ended, and what ran there is gone unless its statuses say otherwise.
    ///
    /// Applies the intake first: what an end that was told before gave back counts once.
    ///
    /// Cost: the intake, and a look-up; for a machine that is new here a look at all nodes on record, and for the
    /// first one at all that runs.
    pub fn offered(&self, offer: &NewOffer) -> Arrival {
        let mut owned = self.0.enter();
        let now = self.0.drain(&mut owned);
        let arrival = owned.core.offered(offer, now);
        self.0.flush(&mut owned.core, []);
        drop(owned);
        self.0.bell.ring();
        arrival
    }

    /// The master took an offer back; `None` where it has ended. Open picks that it was for are left out when
    /// they are committed.
    pub fn rescinded(&self, id: &OfferId) -> Option<HeldOffer> {
        let now = self.0.options.clock.now();
        self.0.enter().core.rescinded(id, now)
    }

    /// An agent is gone, and its offers with it; `None` where it speaks for no node. What ran there stays on
    /// record until its statuses say what became of it: where nobody else tells, report each of the launches
    /// as [`Outcome::Lost`](crate::Outcome::Lost).
    pub fn agent_lost(&self, agent: &AgentId) -> Option<LostAgent> {
        let now = self.0.options.clock.now();
        let lost = self.0.enter().core.agent_lost(agent, now);
        // What waited for its node may go elsewhere.
        self.0.bell.ring();
        lost
    }

    /// The master told what an agent has in all. False where it speaks for no node.
    pub fn agent_total(&self, agent: &AgentId, total: NodeResources) -> bool {
        let now = self.0.options.clock.now();
        let is_known = self.0.enter().core.agent_total(agent, total, now);
        self.0.bell.ring();
        is_known
    }

    /// Something happened to a node of the cluster, which takes new executions only while it is
    /// [`NodeState::Ready`]. Returns how it stands now. Pauses, and whether it is in use, are on record:
    /// [`Engine::edit_node`] changes them.
    ///
    /// # Errors
    /// Where there is no such node.
    pub fn hear(&self, node: NodeId, news: NodeNews) -> Result<NodeState, NoNode> {
        let mut owned = self.0.enter();
        owned.core.passes.changed(node);
        let state = owned.core.cluster.hear(node, news);
        drop(owned);
        self.0.bell.ring();
        state
    }

    /// The offers that have been held for as long as may be, oldest first: nothing that waits could use
    /// them. They are to be declined. Cost: what is returned.
    pub fn expired_offers(&self) -> Vec<Declined> {
        let now = self.0.options.clock.now();
        self.0.enter().core.hand_out(|cluster| cluster.expire(now))
    }

    /// All offers that are held, to be declined: since nothing waits, or since the master that made them is
    /// gone, which need not be told.
    pub fn decline_offers(&self) -> Vec<Declined> {
        let now = self.0.options.clock.now();
        self.0.enter().core.hand_out(|cluster| cluster.decline_all(now))
    }

    /// A look at nodes, agents and offers of the cluster. Everything else waits meanwhile.
    pub fn cluster<R>(&self, look: impl FnOnce(&ClusterNodes) -> R) -> R {
        look(&self.0.enter().core.cluster)
    }
}

impl Core {
    fn offered(&mut self, offer: &NewOffer, now: Timestamp) -> Arrival {
        if self.cluster.is_empty() {
            self.know_running(now);
        }
        let is_new = match self.know_machine(offer, now) {
            Ok(is_new) => is_new,
            Err(why) => return self.cluster.refuse(offer, why, now),
        };
        let arrival = self.cluster.offered(offer, now);
        if let Some(lost) = &arrival.replaced {
            self.agent_gone(lost, now);
        }
        if let Some(node) = arrival.node {
            self.passes.changed(node);
            if let Some(all) = self.cluster.get(node, now).map(|node| node.offer()) {
                let gpu_slots = if self.gpus.of_cluster { self.cluster.n_gpus(node) } else { 0 };
                self.take_note(&all.gpu_slots(gpu_slots), now);
            }
        }
        Arrival { is_new, ..arrival }
    }

    /// Has the machine of an offer known by the id it has on record. True where it is new.
    fn know_machine(&mut self, offer: &NewOffer, now: Timestamp) -> Result<bool, DeclineReason> {
        if self.cluster.node_of(offer).is_some() {
            return Ok(false);
        }
        self.cluster.check_new(&offer.host)?;
        let too_many = |_| DeclineReason::TooManyNodes { max: NODES_MAX };
        let id = self.put_node(&offer.host, now).map_err(too_many)?;
        let known = self.cluster.know(id, &offer.host, now);
        assert!(known.is_ok(), "O1: {known:?}");
        if let Some(node) = self.record_of(id) {
            self.hear_record(&node);
        }
        Ok(true)
    }

    /// Has the machines known on which something runs by our record, before the first offer of a cluster.
    fn know_running(&mut self, now: Timestamp) {
        let runs_on: BTreeSet<NodeId> = self.state.running.values().map(|running| running.node).collect();
        for node in runs_on {
            let Some(node) = self.record_of(node) else { continue };
            // A machine beyond the limits is none of the cluster, and nobody asks for what runs there.
            let _ = self.cluster.know(node.id, &node.hostname, now);
            self.hear_record(&node);
        }
        let launch = |(exe, running): (&ExeId, &Running)| LaunchName { exe: *exe, number: running.launch };
        let launches: Vec<LaunchName> = self.state.running.iter().map(launch).collect();
        self.know_launches(&launches, now);
    }

    /// Has those of `launches` known that run by our record.
    fn know_launches(&mut self, launches: &[LaunchName], now: Timestamp) {
        for &launch in launches {
            let running = self.state.running.get(&launch.exe);
            let Some(running) = running.filter(|running| running.launch == launch.number) else { continue };
            let Some(job) = self.state.job(running.entry.job) else { continue };
            let asks = (*job.resources).clone();
            let task = NodeTask { priority: running.entry.priority, asks, is_current: true };
            // One of a machine that is none of the cluster is counted elsewhere.
            let _ = self.cluster.run(running.node, launch, task, now);
        }
    }

    /// What is on record of a node.
    pub(super) fn record_of(&self, node: NodeId) -> Option<NodeRecord> {
        match &**self.state.docs().get(kind::NODE, u64::from(node.0))? {
            Doc::Node(node) => Some(node.clone()),
            _ => None,
        }
    }

    /// What is on record of a node changed.
    pub(super) fn hear_record(&mut self, node: &NodeRecord) {
        for news in [NodeNews::Active(node.is_active), NodeNews::Paused(node.is_paused)] {
            // One that is not of the cluster has nobody who listens.
            let _ = self.cluster.hear(node.id, news);
        }
    }

    /// Whether new executions may start on a node.
    pub(super) fn takes_new(&self, node: NodeId) -> bool {
        !self.state.is_held(node) && self.cluster.state_of(node).is_none_or(NodeState::takes_new_jobs)
    }

    /// A launch is on record: it runs on its node.
    pub(super) fn runs(&mut self, plan: &Plan, priority: i32, now: Timestamp) {
        if !self.cluster.is_empty() {
            let task = NodeTask { priority, asks: (*plan.resources).clone(), is_current: true };
            // A node that is not of the cluster is counted elsewhere.
            let _ = self.cluster.run(plan.node, plan.name, task, now);
        }
    }

    fn rescinded(&mut self, id: &OfferId, now: Timestamp) -> Option<HeldOffer> {
        let offer = self.cluster.rescinded(id, now)?;
        self.offers_ended([&offer]);
        Some(offer)
    }

    fn agent_lost(&mut self, agent: &AgentId, now: Timestamp) -> Option<LostAgent> {
        let lost = self.cluster.agent_lost(agent, now)?;
        self.agent_gone(&lost, now);
        Some(lost)
    }

    /// Another agent speaks for a node, or none: it has nothing of what it had, but for what runs by our record.
    fn agent_gone(&mut self, lost: &LostAgent, now: Timestamp) {
        self.gone(lost.node);
        self.know_launches(&lost.launches, now);
    }

    /// A machine, as it was, is gone.
    fn gone(&mut self, node: NodeId) {
        self.passes.changed(node);
        if !self.passes.holds(node) {
            self.nodes.forget(node);
        }
    }

    fn agent_total(&mut self, agent: &AgentId, total: NodeResources, now: Timestamp) -> bool {
        let node = self.cluster.node_of_agent(agent);
        if let Some(node) = node {
            self.passes.changed(node);
            self.nodes.has_in_all(node, &total);
        }
        let is_known = self.cluster.set_total(agent, total, now);
        if let Some(node) = node {
            self.count_slots(node);
        }
        is_known
    }

    /// Has a node of the cluster have as many slots as graphics processors.
    fn count_slots(&mut self, node: NodeId) {
        if self.gpus.of_cluster && self.cluster.is_spoken_for(node) && !self.passes.holds(node) {
            self.gpus.set_len(node, self.cluster.n_gpus(node));
        }
    }

    /// What ran on a node is lost: what it had may never have been there beside what is.
    pub(super) fn lost_on(&mut self, node: NodeId) {
        if let Some(all) = self.cluster.start_anew(node) {
            self.nodes.has_in_all(node, &all);
            self.count_slots(node);
        }
    }

    fn hand_out(&mut self, end: impl FnOnce(&mut ClusterNodes) -> Vec<Declined>) -> Vec<Declined> {
        let declined = end(&mut self.cluster);
        self.offers_ended(declined.iter().map(|declined| &declined.offer));
        declined
    }

    fn offers_ended<'h>(&mut self, offers: impl IntoIterator<Item = &'h HeldOffer>) {
        for offer in offers {
            if let Some(node) = self.cluster.node_of_agent(offer.agent()) {
                self.passes.changed(node);
            }
        }
    }

    /// To be called before a pass. Cost: nodes of the cluster, once in five minutes.
    pub(super) fn advance_cluster(&mut self, now: Timestamp) {
        if self.cluster.is_empty() || !self.cluster.advance(now) {
            return;
        }
        let dropped = self.cluster.drop_silent(now);
        for node in &dropped {
            self.gone(*node);
        }
        self.cluster.forget_all(dropped);
        let all: Vec<NodeId> = self.cluster.iter(now).map(|node| node.id).collect();
        for node in all {
            self.count_slots(node);
            self.passes.changed(node);
        }
    }

    /// The picks that offers of their node still cover, in order, and offers that cover them. The others, and
    /// those with a slot that is gone, go back to their places.
    pub(super) fn cover<'p>(
        &mut self,
        node: NodeId,
        picks: &'p [Entry],
        round: u64,
        now: Timestamp,
    ) -> (Cow<'p, [Entry]>, Vec<HeldOffer>) {
        let offered = self.cluster.offered_on(node).cloned().unwrap_or_default();
        let (mut need, mut covered) = (NodeResources::new(), Vec::with_capacity(picks.len()));
        for pick in picks.iter().filter(|pick| self.state.queue.is_picked_in(pick.id, round)) {
            let job = self.state.job(pick.job);
            let job = job.filter(|_| self.gpus.has_all(node, pick.id, round));
            let more = job.map(|job| need.plus(&job.resources)).filter(|more| offered.minus(more).is_some());
            if let Some(more) = more {
                need = more;
                covered.push(*pick);
            }
        }
        let mut offers = self.cluster.allocate(node, &need, now).unwrap_or_default();
        if offers.is_empty() && !covered.is_empty() {
            // What needs nothing needs an offer all the same.
            offers.extend(self.cluster.oldest_offer(node, now));
        }
        if offers.is_empty() {
            covered.clear();
        }
        let mut left = covered.iter().map(|pick| pick.id).peekable();
        for pick in picks {
            if left.next_if_eq(&pick.id).is_none() {
                self.back(node, pick, round);
            }
        }
        (Cow::Owned(covered), offers)
    }
}
