//! Queue and nodes together, in memory: what a scheduler loop without a store calls.

use std::borrow::BorrowMut;
use std::collections::BTreeMap;

use super::fleet::SchedulingNode;
use super::need::Need;
use super::placer::{Placed, Placer};
use super::policy::{Policy, Reserving};
use crate::decision::place::{Place, Placement};
use crate::model::{ExeId, JobTypeId, NodeId, NodeResources};
use crate::queue::{Entry, Queue, Walk};

/// An execution and its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassPick {
    /// Which execution; it is set aside in the queue until [`Queue::launch`] or
    /// [`Queue::put_back`].
    pub entry: Entry,
    /// Where it is to run.
    pub node: NodeId,
    /// The score of that node.
    pub score: u32,
}

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassSummary {
    /// Executions for which nodes were looked for.
    pub n_tried: usize,
    /// Executions that were placed.
    pub n_placed: usize,
    /// Nodes closed, each with the execution for which it was.
    pub reserved: Vec<(ExeId, NodeId)>,
    /// True where nothing changed since the pass before, so nothing was looked at.
    pub is_unchanged: bool,
}

/// A pass that is under way; over when it is dropped. What it placed stays placed.
pub struct Placing<S: BorrowMut<Scheduler>> {
    scheduler: S,
}

impl<S: BorrowMut<Scheduler>> Place for Placing<S> {
    fn place(&mut self, asks: &NodeResources, priority: i32) -> Placement {
        let Scheduler { placer, queue, .. } = self.scheduler.borrow_mut();
        let Some(need) = Need::of_named(queue, asks) else { return Placement::Nowhere };
        match placer.place(&need, priority) {
            Placed::Run { at, score } => Placement::Run { node: placer.fleet.id(at), score },
            Placed::Reserve { at, score } => Placement::Reserve { node: placer.fleet.id(at), score },
            Placed::Nowhere => Placement::Nowhere,
        }
    }
}

impl<S: BorrowMut<Scheduler>> Drop for Placing<S> {
    fn drop(&mut self) {
        self.scheduler.borrow_mut().placer.end();
    }
}

/// A queue and the nodes it runs on.
pub struct Scheduler {
    queue: Queue,
    placer: Placer,
    policy: Policy,
    nodes: BTreeMap<NodeId, SchedulingNode>,
    types: BTreeMap<JobTypeId, NodeResources>,
    walk: Walk,
    /// Queue and nodes after a pass that left nothing to do, and what it reserved.
    seen: Option<(u64, u64, usize)>,
    reserved: Vec<(ExeId, NodeId)>,
}

impl Scheduler {
    /// Without entries and nodes.
    pub fn new(policy: Policy) -> Self {
        Self {
            queue: Queue::default(),
            placer: Placer::new(policy),
            policy,
            nodes: BTreeMap::new(),
            types: BTreeMap::new(),
            walk: Walk::default(),
            seen: None,
            reserved: Vec::new(),
        }
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The queue, to change it.
    pub fn queue_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// What a job type asks for in general, as far as the score counts types. Cost: all scores are
    /// made anew.
    pub fn set_type(&mut self, job_type: JobTypeId, asks: NodeResources) {
        self.queue.intern(&asks);
        self.types.insert(job_type, asks);
        self.placer.reset(0);
        self.seen = None;
    }

    /// How a node stands now. Cost: a search.
    pub fn set_node(&mut self, node: SchedulingNode) {
        if self.is_current() {
            self.placer.fleet.set(&node, &self.queue);
        } else {
            self.placer.fleet.note(&node.watermark, &self.queue);
        }
        self.nodes.insert(node.id, node);
    }

    /// A node is gone.
    pub fn remove_node(&mut self, id: NodeId) {
        self.nodes.remove(&id);
        self.placer.fleet.remove(id);
    }

    /// Whether the placer counts the resources that the queue counts.
    fn is_current(&self) -> bool {
        self.placer.fleet.n_resources == self.queue.dims().len()
    }

    fn renew(&mut self) {
        self.seen = None;
        let Self { placer, queue, nodes, types, .. } = self;
        placer.reset(queue.dims().len());
        placer.set_types(types.values().filter_map(|asks| Need::of_named(queue, asks)));
        for node in nodes.values() {
            placer.fleet.set(node, queue);
        }
    }

    /// Places at most `most` executions, in the order of the queue, each on the node that suits it
    /// best; appends them to `picks`.
    ///
    /// Cost: the lanes of the queue once; for each execution that is looked at, the nodes that
    /// changed since one that asks for the same was; nothing where nothing changed since the pass
    /// before.
    pub fn pass(&mut self, most: usize, picks: &mut Vec<PassPick>) -> PassSummary {
        self.begin();
        let mut summary = PassSummary::default();
        if self.seen == Some(self.state()) {
            summary.is_unchanged = true;
            summary.reserved.clone_from(&self.reserved);
            return summary;
        }
        let Self { queue, placer, walk, policy, .. } = self;
        let free = match policy.reserving {
            Reserving::Never => placer.fleet.envelope(),
            Reserving::PerPass => placer.fleet.largest(),
        };
        queue.walk(walk, &free);
        while summary.n_placed < most {
            let Some(shown) = queue.walk_next(walk) else { break };
            summary.n_tried += 1;
            match placer.place(&Need::of(&shown.entry.asks), shown.entry.priority) {
                Placed::Run { at, score } => {
                    let entry = queue.walk_take(walk, &shown);
                    picks.push(PassPick { entry, node: placer.fleet.id(at), score });
                    summary.n_placed += 1;
                }
                Placed::Reserve { at, .. } => {
                    summary.reserved.push((shown.entry.id, placer.fleet.id(at)));
                    queue.walk_refuse(walk, &shown);
                }
                Placed::Nowhere => queue.walk_refuse(walk, &shown),
            }
        }
        placer.end();
        // What a pass placed may move the reservations of the next.
        self.seen = (summary.n_placed == 0 && most > 0).then(|| self.state());
        self.reserved.clone_from(&summary.reserved);
        summary
    }

    /// Begins a pass whose executions come from elsewhere, one by one. Names that they ask for and
    /// nothing in the queue ever did have to be [interned](Queue::intern) before.
    pub fn placing(&mut self) -> Placing<&mut Self> {
        self.begin();
        Placing { scheduler: self }
    }

    /// The same, and the scheduler is done with after it.
    pub fn into_placing(mut self) -> Placing<Self> {
        self.begin();
        Placing { scheduler: self }
    }

    fn begin(&mut self) {
        if !self.is_current() {
            self.renew();
        }
        self.placer.begin();
    }

    /// A node offers something: picks what runs there, in the order of the queue, at most `most`.
    /// Cost: that of one decision for each pick, beside the taking in of the node.
    pub fn offer(&mut self, node: &SchedulingNode, most: usize, picks: &mut Vec<PassPick>) {
        let mut left = self.queue.lookup(&node.offered);
        let Self { queue, .. } = self;
        let n_before = picks.len();
        while picks.len() < n_before + most {
            let Some(entry) = queue.take_first_fit(&mut left) else { break };
            picks.push(PassPick { entry, node: node.id, score: 0 });
        }
        let given = picks[n_before..].iter().map(|pick| pick.entry);
        self.placer.offered(node.id, &self.queue.lookup(&node.offered), given);
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&mut self) {
        self.queue.check_invariants();
        self.placer.check_invariants();
    }

    fn state(&self) -> (u64, u64, usize) {
        (self.queue.version(), self.placer.fleet.generation, self.placer.fleet.position())
    }
}
