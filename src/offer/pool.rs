//! The offers of a cluster that are held: each until it is used, declined or taken back.
//!
//! P1  What was added is held until exactly one call hands it out (H1).
//! P2  Offers are numbered as they come and time does not run back, so the lowest number is the oldest.
//! P3  At most `OFFERS_MAX` offers of at most `NODES_MAX` agents are held.
//!
//! # Source
//! Holding, expiry and allocation as Scale's agents do. In Scale what is left is declined at the
//! end of each cycle; here it is held until it expires, or whoever calls declines it.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use super::held::{DeclineReason, Declined, HeldOffer, NewOffer, Roles};
use crate::limits::{NODES_MAX, OFFER_HOLD_MAX, OFFERS_MAX};
use crate::model::{AgentId, NodeResources, OfferId, Timestamp};

/// See the file.
#[derive(Debug)]
pub struct OfferPool {
    roles: Roles,
    offers: BTreeMap<u64, HeldOffer>,
    numbers: BTreeMap<OfferId, u64>,
    agents: BTreeMap<AgentId, BTreeSet<u64>>,
    next: u64,
    now: Timestamp,
    offers_max: usize,
    agents_max: usize,
}

/// What became of an offer that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferAdded {
    /// It is held.
    Held,
    /// An offer of that name is held already, so this is news of it that came twice. Nothing changed.
    /// To decline it would end the one that is held.
    Again,
}

/// Why nothing is allocated of an agent's offers; all of them are still held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{n_offers} offers of agent {agent} lack {missing} of what is needed")]
pub struct Uncovered {
    /// Of which agent.
    pub agent: AgentId,
    /// Its offers that are held.
    pub n_offers: usize,
    /// What they lack together.
    pub missing: NodeResources,
}

impl OfferPool {
    /// A pool that takes the resources of `roles`.
    pub fn new(roles: Roles) -> Self {
        Self::bounded(roles, OFFERS_MAX, NODES_MAX)
    }

    pub(super) fn bounded(roles: Roles, offers_max: usize, agents_max: usize) -> Self {
        let (offers, numbers, agents) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (next, now) = (0, Timestamp(i64::MIN));
        Self { roles, offers, numbers, agents, next, now, offers_max, agents_max }
    }

    /// Takes in an offer. Cost: a look-up, beside reading it.
    ///
    /// # Errors
    /// Where it is not held; it is to be declined then.
    pub fn add(&mut self, offer: &NewOffer, now: Timestamp) -> Result<OfferAdded, Declined> {
        if self.holds(&offer.id) {
            return Ok(OfferAdded::Again);
        }
        let offer = self.read(offer, now);
        self.hold(offer).map(|()| OfferAdded::Held)
    }

    /// Reads an offer; the result is to be held or declined.
    pub(super) fn read(&mut self, offer: &NewOffer, now: Timestamp) -> HeldOffer {
        self.now = self.now.max(now);
        HeldOffer::read(offer, &self.roles, self.now)
    }

    /// Holds an offer whose name is not held.
    pub(super) fn hold(&mut self, offer: HeldOffer) -> Result<(), Declined> {
        if let Some(why) = self.obstacle(&offer) {
            return Err(Declined { offer, why });
        }
        let number = self.next;
        self.next += 1;
        let former = self.numbers.insert(offer.id().clone(), number);
        assert!(former.is_none(), "P1: {} is held already", offer.id());
        self.agents.entry(offer.agent().clone()).or_default().insert(number);
        self.offers.insert(number, offer);
        Ok(())
    }

    fn obstacle(&self, offer: &HeldOffer) -> Option<DeclineReason> {
        let is_new_agent = !self.agents.contains_key(offer.agent());
        if offer.resources().is_zero() {
            Some(DeclineReason::NothingUsable)
        } else if self.offers.len() >= self.offers_max {
            Some(DeclineReason::TooManyOffers { max: self.offers_max })
        } else if is_new_agent && self.agents.len() >= self.agents_max {
            Some(DeclineReason::TooManyNodes { max: self.agents_max })
        } else {
            None
        }
    }

    /// The master took an offer back; none where it has ended. Nothing is to be told to the master.
    pub fn rescind(&mut self, id: &OfferId) -> Option<HeldOffer> {
        let number = *self.numbers.get(id)?;
        Some(self.end(number))
    }

    /// An agent is gone, and its offers, which are returned, with it. Nothing is to be told to the
    /// master.
    pub fn lose_agent(&mut self, agent: &AgentId) -> Vec<HeldOffer> {
        self.end_all(self.of(agent))
    }

    /// The offers that have been held for `OFFER_HOLD_MAX` or longer, oldest first. Cost: what is
    /// returned.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Declined> {
        self.now = self.now.max(now);
        let mut expired = Vec::new();
        while let Some((number, _)) = self.offers.first_key_value().filter(|(_, offer)| self.is_due(offer)) {
            let offer = self.end(*number);
            expired.push(Declined { offer, why: DeclineReason::Expired });
        }
        expired
    }

    /// Hands out offers of an agent that cover what its node needs: those that have been held for
    /// `OFFER_HOLD_MAX`, then others, oldest first, until the need is covered. Without a need there
    /// are none. An offer that has nothing of what is still missing stays. Cost: the agent's offers.
    ///
    /// # Errors
    /// Where all of them together do not cover it; nothing is handed out.
    ///
    /// # Source
    /// As Scale's agents do, but Scale hands out the oldest ones where the need is not covered, and
    /// takes the others in no order.
    pub fn allocate(
        &mut self,
        agent: &AgentId,
        need: &NodeResources,
        now: Timestamp,
    ) -> Result<Vec<HeldOffer>, Uncovered> {
        self.now = self.now.max(now);
        let mut missing = NodeResources::new().shortage(need);
        if missing.is_zero() {
            return Ok(Vec::new());
        }
        let (all, mut taken) = (self.of(agent), Vec::new());
        for number in &all {
            let offer = &self.offers[number];
            let helps = missing.iter().any(|(name, _)| offer.resources().get(name.as_str()).0 > 0);
            if helps || self.is_due(offer) {
                missing = offer.resources().shortage(&missing);
                taken.push(*number);
            }
        }
        if missing.is_zero() {
            return Ok(self.end_all(taken));
        }
        Err(Uncovered { agent: agent.clone(), n_offers: all.len(), missing })
    }

    /// Hands out all offers of an agent to be declined, since nothing can use them.
    pub fn decline(&mut self, agent: &AgentId) -> Vec<Declined> {
        self.not_needed(self.of(agent))
    }

    /// Hands out all offers to be declined, since nothing can use them.
    pub fn decline_all(&mut self) -> Vec<Declined> {
        self.not_needed(self.offers.keys().copied().collect())
    }

    fn not_needed(&mut self, numbers: Vec<u64>) -> Vec<Declined> {
        let declined = |offer| Declined { offer, why: DeclineReason::NotNeeded };
        self.end_all(numbers).into_iter().map(declined).collect()
    }

    fn is_due(&self, offer: &HeldOffer) -> bool {
        self.now.since(offer.received()) >= OFFER_HOLD_MAX
    }

    fn of(&self, agent: &AgentId) -> Vec<u64> {
        self.agents.get(agent).into_iter().flatten().copied().collect()
    }

    fn end_all(&mut self, numbers: Vec<u64>) -> Vec<HeldOffer> {
        numbers.into_iter().map(|number| self.end(number)).collect()
    }

    /// The one way out.
    fn end(&mut self, number: u64) -> HeldOffer {
        let offer = self.offers.remove(&number).expect("P1: it is held");
        self.numbers.remove(offer.id());
        if let btree_map::Entry::Occupied(mut of_agent) = self.agents.entry(offer.agent().clone()) {
            of_agent.get_mut().remove(&number);
            if of_agent.get().is_empty() {
                of_agent.remove();
            }
        }
        offer
    }

    /// Whether an offer of that name is held.
    pub fn holds(&self, id: &OfferId) -> bool {
        self.numbers.contains_key(id)
    }

    /// The offers that are held, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &HeldOffer> {
        self.offers.values()
    }

    /// The offers of an agent that are held, oldest first.
    pub fn of_agent(&self, agent: &AgentId) -> impl Iterator<Item = &HeldOffer> {
        self.agents.get(agent).into_iter().flatten().map(|number| &self.offers[number])
    }

    /// When the next offer expires; none where none is held.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.offers.values().next().map(|offer| offer.received() + OFFER_HOLD_MAX)
    }
}
