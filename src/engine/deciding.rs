//! What a caller asks of nodes and offers: decisions on one, and passes over all.

use crate::decision::Reservation;
use crate::limits::{PICKS_MAX, RUNNING_MAX};
use crate::model::{NodeId, NodeResources, Timestamp};
use crate::offer::Offer;
use crate::queue::Entry;
use crate::sync::Ordering;

use super::core::Core;
use super::picks::Picks;
use super::shell::{Engine, Owned};

impl Engine {
    /// Decides what to run on a node out of what it has free: the first executions, in queue
    /// order, that fit and are not held back. Applies the intake first.
    ///
    /// The id of a node is that of [`Engine::put_node`] where restarts matter: what runs there is counted by
    /// it. Nothing is kept of the offer itself, so one that is taken back needs no call.
    ///
    /// Cost: the intake, then lanes looked at, a descent where a lane may fit, picks. No I/O.
    pub fn offer(&self, offer: &Offer) -> Picks<'_> {
        self.decide(offer.node, |core, most, now, picks| core.offer(offer, most, now, picks))
    }

    /// The same for a declared node: what it has in all, less what runs there by our record.
    pub fn offer_declared(&self, node: NodeId) -> Picks<'_> {
        self.decide(node, |core, most, now, picks| core.offer_declared(node, most, now, picks))
    }

    fn decide(
        &self,
        node: NodeId,
        decide: impl FnOnce(&mut Core, usize, Timestamp, &mut Vec<Entry>),
    ) -> Picks<'_> {
        let mut owned = self.0.enter();
        let now = self.0.drain(&mut owned);
        let Owned { core, picks, .. } = &mut *owned;
        picks.clear();
        if !self.0.log.is_failed() && !self.0.is_closed.load(Ordering::Acquire) {
            let n_taken = core.state.running.len() + core.state.queue.n_picked();
            let most = PICKS_MAX.min(RUNNING_MAX.saturating_sub(n_taken));
            decide(core, most, now, picks);
        }
        Picks::new(self, node, (std::mem::take(picks), core.state.queue.round()), false)
    }

    /// Decides over all nodes at once: those declared, by what runs there, and those whose offers are
    /// held. Each execution, in queue order, goes to the node that suits it best by the policy
    /// ([`Options::policy`](crate::Options::policy)). Gives the picks node by node. Applies the intake first.
    ///
    /// Cost: the intake; lanes and nodes that changed since the last pass, picks. No I/O.
    pub fn pass(&self) -> Vec<Picks<'_>> {
        let mut owned = self.0.enter();
        let now = self.0.drain(&mut owned);
        let core = &mut owned.core;
        if self.0.log.is_failed() || self.0.is_closed.load(Ordering::Acquire) {
            return Vec::new();
        }
        let n_taken = core.state.running.len() + core.state.queue.n_picked();
        let most = PICKS_MAX.min(RUNNING_MAX.saturating_sub(n_taken));
        let (by_node, _) = core.pass(most, now);
        let round = core.state.queue.round();
        let all = by_node.into_iter().map(|(node, picks)| (node, picks, core.uses_offers(node)));
        all.map(|(node, picks, uses_offers)| Picks::new(self, node, (picks, round), uses_offers)).collect()
    }

    /// Holds an offer for [`Engine::pass`]: until it is taken back, another one of the node comes, or
    /// picks on the node are committed, after which nothing of it is left. Applies the intake first.
    pub fn hold_offer(&self, offer: &Offer) {
        let mut owned = self.0.enter();
        let now = self.0.drain(&mut owned);
        owned.core.hold_offer(offer, now);
        drop(owned);
        self.0.bell.ring();
    }

    /// Takes a held offer back. False where there is none. Open picks on it are for whoever holds them
    /// to drop.
    pub fn withdraw_offer(&self, node: NodeId) -> bool {
        self.0.enter().core.withdraw_offer(node)
    }

    /// Nodes that are kept for executions that were passed over.
    pub fn reservations(&self) -> Vec<Reservation> {
        self.0.enter().core.passes.pass.kept().iter().copied().collect()
    }

    /// Declares a node and what it has in all.
    pub fn declare_node(&self, node: NodeId, name: &str, total: &NodeResources) {
        self.declare(&Offer::new(node, total.clone()).named(name));
    }

    /// The same of a node with attributes.
    pub fn declare(&self, node: &Offer) {
        let now = self.0.options.clock.now();
        self.0.enter().core.declare(node, now);
        self.0.bell.ring();
    }
}
