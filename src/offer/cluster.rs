//! The nodes of a cluster, as its offers, its agents and what runs there make them.
//!
//! Whoever speaks with the master tells what happened, and asks before a pass what each node has and
//! after it for the offers that cover what the node needs.
//!
//! C1  An offer that is held is of an agent that is known, and is counted on the node of that agent.
//! C2  A machine keeps its id and its name, whatever agents speak for it, until it is forgotten.
//! C3  An id is never given to another machine.
//! C4  At most `NODES_MAX` machines are known, and at most `RUNNING_MAX` executions.
//!
//! # Source
//! As Scale's manager of resources and nodes do. Differences stand in docs/compat.md.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::agent::{Agent, NodeTask};
use super::gpus::GpuLack;
use super::held::{DeclineReason, Declined, HeldOffer, NewOffer, Roles};
use super::nodes::Offer;
use super::numbers::NodeNumbers;
use super::pool::{OfferAdded, OfferPool, Uncovered};
use super::state::{NodeFacts, NodeNews, NodeState};
use super::watermark::window_of;
use crate::limits::{NODES_MAX, OFFERS_MAX, RUNNING_MAX};
use crate::model::{
    AgentId, CLUSTER_NAME_LEN_MAX, LaunchName, NodeId, NodeResources, OfferId, Quantity, SlotShare, Timestamp,
};

/// See the file.
#[derive(Debug)]
pub struct ClusterNodes {
    needs_setup: bool,
    is_stopped: bool,
    pool: OfferPool,
    /// Those that are not dropped.
    nodes: BTreeMap<NodeId, Agent>,
    agents: BTreeMap<AgentId, NodeId>,
    /// Every machine that is known.
    hosts: BTreeMap<Arc<str>, NodeId>,
    facts: BTreeMap<NodeId, NodeFacts>,
    /// The id of the next machine; none where all are given.
    next: Option<u32>,
    n_tasks: usize,
    now: Timestamp,
    /// Of watermarks, the one that goes on.
    window: i64,
    nodes_max: usize,
    tasks_max: usize,
}

/// What an offer that arrived led to.
#[must_use = "offers of an agent that was replaced have ended, and one that is declined is to be declined"]
#[derive(Debug)]
pub struct Arrival {
    /// On which node; none where it is of none.
    pub node: Option<NodeId>,
    /// Whether that machine was not known before.
    pub is_new: bool,
    /// The agent that spoke for the node before.
    pub replaced: Option<LostAgent>,
    /// Whether the offer is held.
    pub outcome: Result<OfferAdded, Declined>,
}

/// An agent that is gone, and what went with it. Its master need not be told.
#[derive(Debug)]
pub struct LostAgent {
    /// Which.
    pub agent: AgentId,
    /// For which node it spoke.
    pub node: NodeId,
    /// Its offers.
    pub offers: Vec<HeldOffer>,
    /// What ran there.
    pub launches: Vec<LaunchName>,
}

/// A node at one moment. What a pass takes is in it, as plain values.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterNode<'n> {
    /// Which.
    pub id: NodeId,
    /// The name of the machine.
    pub name: &'n str,
    /// Who speaks for it.
    pub agent: Option<&'n AgentId>,
    /// What its agent tells of itself.
    pub attributes: &'n BTreeMap<String, String>,
    /// How it stands.
    pub state: NodeState,
    /// Whether executions that run there may begin their next step.
    pub takes_next_steps: bool,
    /// What is on offer.
    pub offered: NodeResources,
    /// The most that was on offer and in use lately.
    pub watermark: NodeResources,
    /// What it has in all, where that was told.
    pub total: Option<&'n NodeResources>,
    /// What runs there.
    pub tasks: &'n BTreeMap<LaunchName, NodeTask>,
    /// What is in use by what is no job's.
    pub other: &'n NodeResources,
    /// What steps lack that have waited too long.
    pub shortage: NodeResources,
    /// What is free of its graphics processors, and how many are free as a whole.
    pub gpus: (Quantity, usize),
}

impl ClusterNode<'_> {
    /// What is on offer, in one.
    pub fn offer(&self) -> Offer {
        let attributes = self.attributes.clone();
        let (name, free) = (self.name.to_owned(), self.offered.clone());
        Offer { node: self.id, name, free, attributes, gpu_slots: 0 }
    }
}

/// No such node is known, or it was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {id} is not there")]
pub struct NoNode {
    /// Which.
    pub id: NodeId,
}

/// Why a machine is not known afterwards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KnowError {
    /// Its name is none.
    #[error("the name of a machine has 1 to {CLUSTER_NAME_LEN_MAX} bytes")]
    BadHost,
    /// Another machine has that id.
    #[error("node {id} is another machine")]
    IdTaken {
        /// The id.
        id: NodeId,
    },
    /// The machine has another id.
    #[error("the machine is node {id}")]
    HostTaken {
        /// The id that it has.
        id: NodeId,
    },
    /// As many machines are known as may be.
    #[error("there are {max} nodes already")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

/// Why it is not put down that something runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no such node.
    #[error(transparent)]
    NoNode(#[from] NoNode),
    /// As many executions run as may.
    #[error("{max} executions run already")]
    TooMany {
        /// The limit.
        max: usize,
    },
}

/// Why a node gets no offers for what it needs; all of them are still held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// There is no such node.
    #[error(transparent)]
    NoNode(#[from] NoNode),
    /// No agent speaks for it.
    #[error("no agent speaks for node {id}")]
    NoAgent {
        /// Which node.
        id: NodeId,
    },
    /// Its offers are too little.
    #[error(transparent)]
    Uncovered(#[from] Uncovered),
}

/// Why an execution gets no graphics processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// There is no such node.
    #[error(transparent)]
    NoNode(#[from] NoNode),
    /// There is no room.
    #[error(transparent)]
    Lack(#[from] GpuLack),
}

impl Default for ClusterNodes {
    /// No node yet; takes what everybody may use, and nodes as they are.
    fn default() -> Self {
        Self::new(Roles::default(), false)
    }
}

impl ClusterNodes {
    /// No node yet. Takes resources of `roles`; with `needs_setup`, a node takes nothing before news
    /// say that it is cleaned and has the image.
    pub fn new(roles: Roles, needs_setup: bool) -> Self {
        Self::bounded(roles, needs_setup, [OFFERS_MAX, NODES_MAX, RUNNING_MAX])
    }

    pub(super) fn bounded(roles: Roles, needs_setup: bool, bounds: [usize; 3]) -> Self {
        let [offers_max, nodes_max, tasks_max] = bounds;
        Self {
            needs_setup,
            is_stopped: false,
            pool: OfferPool::bounded(roles, offers_max, nodes_max),
            nodes: BTreeMap::new(),
            agents: BTreeMap::new(),
            hosts: BTreeMap::new(),
            facts: BTreeMap::new(),
            next: Some(1),
            n_tasks: 0,
            now: Timestamp(i64::MIN),
            window: i64::MIN,
            nodes_max,
            tasks_max,
        }
    }

    /// A machine that is on record, with its id. It is offline until its agent offers something.
    ///
    /// # Errors
    /// Where it cannot be. A machine that is known under that id stays as it is, and is there again.
    pub fn know(&mut self, id: NodeId, host: &str, now: Timestamp) -> Result<(), KnowError> {
        self.tick(now);
        if !(1..=CLUSTER_NAME_LEN_MAX).contains(&host.len()) {
            return Err(KnowError::BadHost);
        }
        match self.hosts.get_key_value(host) {
            Some((name, known)) if *known == id => {
                self.nodes.entry(id).or_insert_with(|| Agent::new(name.clone(), self.now));
                return Ok(());
            }
            Some((_, known)) => return Err(KnowError::HostTaken { id: *known }),
            None if self.facts.contains_key(&id) => return Err(KnowError::IdTaken { id }),
            None if self.hosts.len() >= self.nodes_max => {
                return Err(KnowError::TooMany { max: self.nodes_max });
            }
            None => {}
        }
        self.put(id, host);
        Ok(())
    }

    fn put(&mut self, id: NodeId, host: &str) {
        let name: Arc<str> = host.into();
        self.hosts.insert(name.clone(), id);
        self.facts.insert(id, NodeFacts::new(self.needs_setup).after(NodeNews::Online(false)));
        self.nodes.insert(id, Agent::new(name, self.now));
        self.next = self.next.and_then(|next| Some(next.max(id.0.checked_add(1)?)));
    }

    fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// It is `now`. True where watermarks may be lower than they were, for the time that passed alone.
    pub(crate) fn advance(&mut self, now: Timestamp) -> bool {
        self.tick(now);
        let window = window_of(self.now);
        std::mem::replace(&mut self.window, window) != window
    }

    /// An offer arrived. Its node is there from now on; another agent of that machine is gone.
    pub fn offered(&mut self, offer: &NewOffer, now: Timestamp) -> Arrival {
        self.tick(now);
        if self.pool.holds(&offer.id) {
            let node = self.agents.get(&offer.agent).copied();
            return Arrival { node, is_new: false, replaced: None, outcome: Ok(OfferAdded::Again) };
        }
        let held = self.pool.read(offer, self.now);
        let (id, is_new) = match self.find(offer) {
            Ok(found) => found,
            Err(why) => {
                let outcome = Err(Declined { offer: held, why });
                return Arrival { node: None, is_new: false, replaced: None, outcome };
            }
        };
        let replaced = self.connect(id, &offer.agent);
        let (resources, now) = (held.resources().clone(), self.now);
        let outcome = self.pool.hold(held).map(|()| OfferAdded::Held);
        let node = self.nodes.get_mut(&id).expect("it is connected");
        node.last_offer = now;
        node.tell(&offer.attributes);
        if outcome.is_ok() {
            node.change(now, |node| node.add_offer(&resources));
        }
        Arrival { node: Some(id), is_new, replaced, outcome }
    }

    /// The node of an offer, and whether it is new.
    fn find(&mut self, offer: &NewOffer) -> Result<(NodeId, bool), DeclineReason> {
        if let Some(id) = self.agents.get(&offer.agent) {
            return Ok((*id, false));
        }
        if let Some((name, id)) = self.hosts.get_key_value(&*offer.host) {
            self.nodes.entry(*id).or_insert_with(|| Agent::new(name.clone(), self.now));
            return Ok((*id, false));
        }
        self.check_new(&offer.host)?;
        let id = NodeId(self.next.ok_or(DeclineReason::TooManyNodes { max: self.nodes_max })?);
        self.put(id, &offer.host);
        Ok((id, true))
    }

    /// Whether a machine that is not known could be.
    pub(crate) fn check_new(&self, host: &str) -> Result<(), DeclineReason> {
        if !(1..=CLUSTER_NAME_LEN_MAX).contains(&host.len()) {
            return Err(DeclineReason::BadHost);
        }
        let has_room = self.hosts.len() < self.nodes_max;
        if has_room { Ok(()) } else { Err(DeclineReason::TooManyNodes { max: self.nodes_max }) }
    }

    /// An offer arrived that is not wanted.
    pub(crate) fn refuse(&mut self, offer: &NewOffer, why: DeclineReason, now: Timestamp) -> Arrival {
        self.tick(now);
        let outcome = Err(Declined { offer: self.pool.read(offer, self.now), why });
        Arrival { node: None, is_new: false, replaced: None, outcome }
    }

    /// The agent speaks for the node, and no other one.
    fn connect(&mut self, id: NodeId, agent: &AgentId) -> Option<LostAgent> {
        let former = self.nodes.get(&id).and_then(|node| node.id.clone()).filter(|former| former != agent);
        let replaced = former.and_then(|former| self.lose(&former));
        let node = self.nodes.get_mut(&id).expect("it was found");
        if node.id.is_none() {
            node.id = Some(agent.clone());
            self.agents.insert(agent.clone(), id);
        }
        self.news(id, NodeNews::Online(true));
        replaced
    }

    /// The master took an offer back; none where it has ended.
    pub fn rescinded(&mut self, id: &OfferId, now: Timestamp) -> Option<HeldOffer> {
        self.tick(now);
        let offer = self.pool.rescind(id)?;
        self.left([&offer]);
        Some(offer)
    }

    /// An agent is gone, with its offers and what ran on its node. None where it speaks for no node.
    pub fn agent_lost(&mut self, agent: &AgentId, now: Timestamp) -> Option<LostAgent> {
        self.tick(now);
        self.lose(agent)
    }

    fn lose(&mut self, agent: &AgentId) -> Option<LostAgent> {
        let node = self.agents.remove(agent)?;
        let offers = self.pool.lose_agent(agent);
        let lost = self.nodes.get_mut(&node).expect("C1: it is there");
        let mut new = Agent::new(lost.name.clone(), self.now);
        new.last_offer = lost.last_offer;
        let former = std::mem::replace(lost, new);
        let launches: Vec<LaunchName> = former.tasks.into_keys().collect();
        self.n_tasks -= launches.len();
        self.news(node, NodeNews::Online(false));
        Some(LostAgent { agent: agent.clone(), node, offers, launches })
    }

    /// Offers have left the pool.
    fn left<'h>(&mut self, offers: impl IntoIterator<Item = &'h HeldOffer>) {
        for offer in offers {
            let id = self.agents.get(offer.agent()).expect("C1: its agent is known");
            let node = self.nodes.get_mut(id).expect("C1: it is there");
            node.change(self.now, |node| node.take_offer(offer.resources()));
        }
    }

    fn declined(&mut self, declined: Vec<Declined>) -> Vec<Declined> {
        self.left(declined.iter().map(|declined| &declined.offer));
        declined
    }

    /// The offers that have been held for `OFFER_HOLD_MAX` or longer, oldest first.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Declined> {
        self.tick(now);
        let expired = self.pool.expire(self.now);
        self.declined(expired)
    }

    /// Hands out all offers of a node to be declined, since nothing can use them.
    pub fn decline(&mut self, id: NodeId, now: Timestamp) -> Vec<Declined> {
        self.tick(now);
        let agent = self.nodes.get(&id).and_then(|node| node.id.as_ref());
        let declined = agent.map_or_else(Vec::new, |agent| self.pool.decline(agent));
        self.declined(declined)
    }

    /// Hands out all offers to be declined, since nothing can use them.
    pub fn decline_all(&mut self, now: Timestamp) -> Vec<Declined> {
        self.tick(now);
        let declined = self.pool.decline_all();
        self.declined(declined)
    }

    /// Hands out offers of a node that cover what it needs; see [`OfferPool::allocate`].
    ///
    /// # Errors
    /// Where there are none that do; nothing is handed out.
    pub fn allocate(
        &mut self,
        id: NodeId,
        need: &NodeResources,
        now: Timestamp,
    ) -> Result<Vec<HeldOffer>, AllocateError> {
        self.tick(now);
        let node = self.nodes.get(&id).ok_or(NoNode { id })?;
        let agent = node.id.as_ref().ok_or(AllocateError::NoAgent { id })?;
        let offers = self.pool.allocate(agent, need, self.now)?;
        self.left(&offers);
        Ok(offers)
    }

    /// Hands out the oldest offer of a node, for who needs one that need not have anything.
    pub(crate) fn oldest_offer(&mut self, id: NodeId, now: Timestamp) -> Option<HeldOffer> {
        self.tick(now);
        let agent = self.nodes.get(&id)?.id.as_ref()?;
        let oldest = self.pool.of_agent(agent).next()?.id().clone();
        self.rescinded(&oldest, now)
    }

    /// An execution runs on a node, or goes on there in another way.
    ///
    /// # Errors
    /// Where it cannot be put down.
    pub fn run(
        &mut self,
        id: NodeId,
        name: LaunchName,
        task: NodeTask,
        now: Timestamp,
    ) -> Result<(), RunError> {
        self.tick(now);
        let node = self.nodes.get_mut(&id).ok_or(NoNode { id })?;
        let is_new = !node.tasks.contains_key(&name);
        if is_new && self.n_tasks >= self.tasks_max {
            return Err(RunError::TooMany { max: self.tasks_max });
        }
        node.change(self.now, |node| node.run(name, task));
        self.n_tasks += usize::from(is_new);
        Ok(())
    }

    /// An execution is over, or will not start: nothing is in use by it any more. False where nothing was.
    pub fn ended(&mut self, id: NodeId, name: LaunchName, now: Timestamp) -> bool {
        self.tick(now);
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        let had_slots = node.release(name);
        let ran = node.tasks.contains_key(&name);
        if ran {
            node.change(self.now, |node| node.remove(name));
            self.n_tasks -= 1;
        }
        ran || had_slots
    }

    /// Takes graphics processors of a node for an execution, until it ends. One that has some keeps
    /// those.
    ///
    /// # Errors
    /// Where there are none; nothing is taken then.
    pub fn take_gpus(
        &mut self,
        id: NodeId,
        name: LaunchName,
        asked: Quantity,
    ) -> Result<&[SlotShare], GpuError> {
        self.gpus(id, name, |node| node.gpus.take(asked))
    }

    /// Takes the graphics processors that an execution has already, as after a restart.
    ///
    /// # Errors
    /// Where one of them is in use; nothing is taken then.
    pub fn retake_gpus(
        &mut self,
        id: NodeId,
        name: LaunchName,
        shares: &[SlotShare],
    ) -> Result<&[SlotShare], GpuError> {
        self.gpus(id, name, |node| node.gpus.retake(shares))
    }

    fn gpus(
        &mut self,
        id: NodeId,
        name: LaunchName,
        take: impl FnOnce(&mut Agent) -> Result<super::gpus::Slots, GpuLack>,
    ) -> Result<&[SlotShare], GpuError> {
        let node = self.nodes.get_mut(&id).ok_or(NoNode { id })?;
        node.count_gpus(self.now);
        if !node.slots.contains_key(&name) {
            let slots = take(node)?;
            if !slots.shares().is_empty() {
                node.slots.insert(name, slots);
            }
        }
        Ok(node.slots.get(&name).map_or(&[], |slots| slots.shares()))
    }

    /// What is in use of a node by what is no job's.
    pub fn set_other(&mut self, id: NodeId, other: NodeResources, now: Timestamp) -> Result<(), NoNode> {
        self.tick(now);
        let node = self.nodes.get_mut(&id).ok_or(NoNode { id })?;
        node.change(self.now, |node| node.other = other);
        Ok(())
    }

    /// The master told what an agent has in all. False where it speaks for no node.
    pub fn set_total(&mut self, agent: &AgentId, total: NodeResources, now: Timestamp) -> bool {
        self.tick(now);
        let node = self.agents.get(agent).and_then(|id| self.nodes.get_mut(id));
        node.map(|node| node.change(self.now, |node| node.total = Some(total))).is_some()
    }

    /// The agents of which it is not known what they have in all.
    pub fn without_total(&self) -> impl Iterator<Item = &AgentId> {
        self.nodes.values().filter(|node| node.total.is_none()).filter_map(|node| node.id.as_ref())
    }

    /// A step of what runs on a node has waited too long for this.
    pub fn waits(&mut self, id: NodeId, asks: &NodeResources) -> Result<(), NoNode> {
        let node = self.nodes.get_mut(&id).ok_or(NoNode { id })?;
        node.waiting = node.waiting.plus(asks);
        Ok(())
    }

    /// No step waits, as far as is known: a new round begins.
    pub fn nothing_waits(&mut self) {
        self.nodes.values_mut().for_each(|node| node.waiting = NodeResources::new());
    }

    /// Something happened to a node, which may have been dropped. Returns how it stands now.
    pub fn hear(&mut self, id: NodeId, news: NodeNews) -> Result<NodeState, NoNode> {
        self.news(id, news).ok_or(NoNode { id })
    }

    fn news(&mut self, id: NodeId, news: NodeNews) -> Option<NodeState> {
        let facts = self.facts.get_mut(&id)?;
        *facts = facts.after(news);
        Some(facts.state(self.is_stopped))
    }

    /// Nothing new is started anywhere, or is again. Offers are held as before, for what runs.
    pub fn stop(&mut self, is_stopped: bool) {
        self.is_stopped = is_stopped;
    }

    /// Drops the nodes that are of no use and silent, and tells which. A machine that comes back has
    /// its id, and is in use and paused as it was. Cost: a look at each node.
    pub fn drop_silent(&mut self, now: Timestamp) -> Vec<NodeId> {
        self.tick(now);
        let is_silent = |(id, node): (&NodeId, &Agent)| {
            let holds = node.id.as_ref().is_some_and(|agent| self.pool.of_agent(agent).next().is_some());
            let facts = self.facts.get(id).expect("facts of every node are kept");
            facts.can_be_dropped(node.last_offer, self.now, holds || node.runs_something()).then_some(*id)
        };
        let dropped: Vec<NodeId> = self.nodes.iter().filter_map(is_silent).collect();
        for id in &dropped {
            let node = self.nodes.remove(id);
            if let Some(agent) = node.and_then(|node| node.id) {
                self.agents.remove(&agent);
            }
            self.news(*id, NodeNews::Online(false));
        }
        dropped
    }

    /// Forgets a machine that was dropped, to make room for others. False where it is there, or was
    /// not known. Cost: all machines; of several, use [`forget_all`](Self::forget_all).
    pub fn forget(&mut self, id: NodeId) -> bool {
        self.forget_all([id]) > 0
    }

    /// The same of several at once; how many were forgotten. Cost: all machines.
    pub fn forget_all(&mut self, ids: impl IntoIterator<Item = NodeId>) -> usize {
        let (nodes, facts) = (&self.nodes, &mut self.facts);
        let ids = ids.into_iter();
        let n_forgotten = ids.filter(|id| !nodes.contains_key(id) && facts.remove(id).is_some()).count();
        if n_forgotten > 0 {
            self.hosts.retain(|_, id| self.facts.contains_key(id));
        }
        n_forgotten
    }

    /// The node of an offer: of its agent, else the machine of that name. None where neither is known.
    pub(crate) fn node_of(&self, offer: &NewOffer) -> Option<NodeId> {
        self.agents.get(&offer.agent).or_else(|| self.hosts.get(&*offer.host)).copied()
    }

    /// The node for which an agent speaks.
    pub(crate) fn node_of_agent(&self, agent: &AgentId) -> Option<NodeId> {
        self.agents.get(agent).copied()
    }

    /// Something that ran on a node is lost. The most that the node had lately is what it has now. Gives that,
    /// or what it has in all where that was told; none where no agent speaks for it.
    pub(crate) fn start_anew(&mut self, id: NodeId) -> Option<NodeResources> {
        let node = self.nodes.get_mut(&id)?;
        node.start_anew(self.now);
        let node = self.nodes.get(&id).filter(|node| node.id.is_some())?;
        Some(node.total.clone().unwrap_or_else(|| node.watermark(self.now).clone()))
    }

    /// How many graphics processors a node has, as far as is known.
    pub(crate) fn n_gpus(&self, id: NodeId) -> usize {
        self.nodes.get(&id).map_or(0, |node| node.n_gpus(self.now))
    }

    /// Whether an agent speaks for a node.
    pub(crate) fn is_spoken_for(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.id.is_some())
    }

    /// What is on offer of a node; none where there is no offer.
    pub(crate) fn offered_on(&self, id: NodeId) -> Option<&NodeResources> {
        let node = self.nodes.get(&id)?;
        self.pool.of_agent(node.id.as_ref()?).next()?;
        Some(node.on_offer())
    }

    /// The most that a node had lately; none where no agent speaks for it.
    pub(crate) fn watermark_of(&self, id: NodeId) -> Option<&NodeResources> {
        self.nodes.get(&id).filter(|node| node.id.is_some()).map(|node| node.watermark(self.now))
    }

    /// How a node stands; none where no agent speaks for it.
    pub(crate) fn state_of(&self, id: NodeId) -> Option<NodeState> {
        let facts = self.facts.get(&id).filter(|_| self.is_spoken_for(id))?;
        Some(facts.state(self.is_stopped))
    }

    /// Whether no machine is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The id of a machine that is known.
    pub fn id_of(&self, host: &str) -> Option<NodeId> {
        self.hosts.get(host).copied()
    }

    /// The nodes as they stand, by ascending id.
    pub fn iter(&self, now: Timestamp) -> impl ExactSizeIterator<Item = ClusterNode<'_>> {
        let now = self.now.max(now);
        self.nodes.iter().map(move |(id, node)| self.look(*id, node, now))
    }

    /// A node as it stands.
    pub fn get(&self, id: NodeId, now: Timestamp) -> Option<ClusterNode<'_>> {
        self.nodes.get(&id).map(|node| self.look(id, node, self.now.max(now)))
    }

    fn look<'n>(&'n self, id: NodeId, node: &'n Agent, now: Timestamp) -> ClusterNode<'n> {
        let facts = self.facts.get(&id).expect("facts of every node are kept");
        ClusterNode {
            id,
            name: &node.name,
            agent: node.id.as_ref(),
            attributes: &node.attributes,
            state: facts.state(self.is_stopped),
            takes_next_steps: facts.takes_next_steps(),
            offered: node.offered(now).clone(),
            watermark: node.watermark(now).clone(),
            total: node.total.as_ref(),
            tasks: &node.tasks,
            other: &node.other,
            shortage: node.shortage(now),
            gpus: node.free_gpus(now),
        }
    }

    /// What is used for what, on one node.
    pub fn numbers(&self, id: NodeId, now: Timestamp) -> Option<NodeNumbers> {
        self.nodes.get(&id).map(|node| node.numbers(self.now.max(now)))
    }

    /// The sum over all nodes that are in use.
    pub fn sums(&self, now: Timestamp) -> NodeNumbers {
        let is_active = |(id, _): &(&NodeId, &Agent)| self.facts.get(id).is_some_and(|facts| facts.is_active);
        self.nodes.iter().filter(is_active).fold(NodeNumbers::default(), |mut sums, (_, node)| {
            sums.add(&node.numbers(self.now.max(now)));
            sums
        })
    }

    /// The offers that are held.
    pub fn offers(&self) -> &OfferPool {
        &self.pool
    }
}
