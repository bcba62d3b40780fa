//! Queue and nodes together, in memory: what a scheduler loop without a store calls.

use std::borrow::BorrowMut;

use super::fleet::SchedulingNode;
use super::kept::Reservation;
use super::need::Need;
use super::placer::{Asked, Placed};
use super::policy::Policy;
use super::run::{Pass, PassPick, PassSummary};
use super::watch::Passed;
use crate::decision::decide::{take_on_slots, take_slots};
use crate::decision::place::{Place, Placement};
use crate::model::{ExeId, JobTypeId, NodeId, NodeResources, Timestamp};
use crate::queue::Queue;

/// A pass that is under way; over when it is dropped. What it placed stays placed.
pub struct Placing<S: BorrowMut<Scheduler>> {
    scheduler: S,
}

impl<S: BorrowMut<Scheduler>> Place for Placing<S> {
    fn place(&mut self, asks: &NodeResources, priority: i32) -> Placement {
        let Scheduler { pass, queue } = self.scheduler.borrow_mut();
        let Some(need) = Need::of_named(queue, asks) else { return Placement::Nowhere };
        let placer = pass.placer();
        // No job type has this id, so the rule is that of all.
        match placer.place(&Asked { need, priority, job_type: JobTypeId(u32::MAX) }) {
            Placed::Run { at, score } => Placement::Run { node: placer.fleet.id(at), score },
            Placed::Reserve { at, score } => Placement::Reserve { node: placer.fleet.id(at), score },
            Placed::Nowhere => Placement::Nowhere,
        }
    }
}

impl<S: BorrowMut<Scheduler>> Drop for Placing<S> {
    fn drop(&mut self) {
        self.scheduler.borrow_mut().pass.end();
    }
}

/// A queue and the nodes it runs on.
///
/// ```
/// use weighbridge::{Entry, ExeId, JobId, JobTypeId, NodeId, NodeResources, Policy, Scheduler, SchedulingNode, Timestamp};
/// let mut scheduler = Scheduler::new(Policy::default());
/// for id in 1..=2 {
///     let total = NodeResources::new().cpus("4")?.mem_mib(8_192);
///     scheduler.set_node(SchedulingNode::idle(NodeId(id), &total));
/// }
/// let asks = scheduler.queue_mut().intern(&NodeResources::new().cpus("3")?.mem_mib(512));
/// for id in 1..=3 {
///     let (job, job_type) = (JobId(id), JobTypeId(1));
///     let (tenant, constraints) = Default::default();
///     let (priority, queued) = (100, Timestamp(0));
///     let entry = Entry { id: ExeId(id), job, job_type, tenant, constraints, priority, queued, asks };
///     scheduler.queue_mut().insert(entry)?;
/// }
/// let mut picks = Vec::new();
/// scheduler.pass(Timestamp(0), 100, &mut picks);
/// let placed: Vec<_> = picks.iter().map(|pick| (pick.entry.id.0, pick.node.0)).collect();
/// assert_eq!(placed, [(1, 1), (2, 2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Scheduler {
    queue: Queue,
    pass: Pass,
}

impl Scheduler {
    /// Without entries and nodes.
    pub fn new(policy: Policy) -> Self {
        Self { queue: Queue::default(), pass: Pass::new(policy) }
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
    /// made anew, once before the next pass.
    pub fn set_type(&mut self, job_type: JobTypeId, asks: NodeResources) {
        self.queue.intern(&asks);
        self.pass.set_type(job_type, Some(asks));
    }

    /// How a node stands now: what was picked for it before counts no more. Cost: a search.
    pub fn set_node(&mut self, node: SchedulingNode) {
        self.pass.set_node(node, &self.queue);
    }

    /// A node is gone.
    pub fn remove_node(&mut self, id: NodeId) {
        self.pass.remove_node(id);
    }

    /// Nodes that are kept for executions.
    pub fn reservations(&self) -> impl ExactSizeIterator<Item = &Reservation> {
        self.pass.kept().iter()
    }

    /// Since when, and how often, an execution was passed over that could have run on an empty node.
    pub fn passed_over(&self, exe: ExeId) -> Option<Passed> {
        self.pass.passed(exe)
    }

    /// Places at most `most` executions, in the order of the queue, each on the node that suits it
    /// best; appends them to `picks`. `now` never runs back.
    ///
    /// Cost: the lanes of the queue once; for each execution that is looked at, the nodes that
    /// changed since one that asks for the same was; nothing where nothing changed since the pass
    /// before and nobody became due.
    pub fn pass(&mut self, now: Timestamp, most: usize, picks: &mut Vec<PassPick>) -> PassSummary {
        self.pass.run(&mut self.queue, now, most, picks)
    }

    /// Begins a pass whose executions come from elsewhere, one by one. Names that they ask for and
    /// nothing in the queue ever did have to be [interned](Queue::intern) before.
    pub fn placing(&mut self) -> Placing<&mut Self> {
        self.pass.begin(&self.queue);
        Placing { scheduler: self }
    }

    /// The same, and the scheduler is done with after it.
    pub fn into_placing(mut self) -> Placing<Self> {
        self.pass.begin(&self.queue);
        Placing { scheduler: self }
    }

    /// A node offers something: picks what runs there, in the order of the queue, at most `most`.
    /// Cost: that of one decision for each pick, beside the taking in of the node.
    pub fn offer(&mut self, node: &SchedulingNode, most: usize, picks: &mut Vec<PassPick>) {
        let offered = self.queue.lookup(&node.offered);
        let (mut left, n_before, mut gpus) = (offered, picks.len(), node.gpus.clone());
        if let Some(exe) = self.pass.may_start(node.id) {
            // It is kept: what it is kept for goes first, or nothing does.
            let open = gpus.as_ref().map_or(left, |gpus| left.with_gpus_within(gpus.largest()));
            let fits = self.queue.get(exe).is_some_and(|entry| open.covers(&entry.asks));
            let Some(entry) = fits.then(|| self.queue.pick(exe)).flatten() else { return };
            left = left.minus_or_zero(&entry.asks);
            if let Some(gpus) = &mut gpus {
                take_slots(gpus, &entry.asks);
            }
            picks.push(PassPick { entry, node: node.id, score: 0 });
        }
        while picks.len() < n_before + most {
            let entry = match &mut gpus {
                Some(gpus) => take_on_slots(&mut self.queue, &mut left, gpus),
                None => self.queue.take_first_fit(&mut left),
            };
            let Some(entry) = entry else { break };
            picks.push(PassPick { entry, node: node.id, score: 0 });
        }
        for pick in &picks[n_before..] {
            self.pass.started(&pick.entry, &self.queue);
        }
        let given = picks[n_before..].iter().map(|pick| pick.entry);
        self.pass.offered(node, &offered, given, &self.queue);
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&mut self) {
        self.queue.check_invariants();
        self.pass.check_invariants();
    }
}
