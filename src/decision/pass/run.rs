//! One pass: what is queued, in order, against all nodes.
//!
//! N1  A node is promised no more than it offered, less what was promised of it since.
//! N2  On a node that is kept starts only the execution it is kept for, or one that ends before that
//!     one can start.
//! N3  Who waits is looked over whole at least every `SURVEY_SECONDS`; passes between look only at what may
//!     fit somewhere, as decisions on one node do.
//! N4  Nodes and queue that did not change, at a time at which nobody became due, give nothing new.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fleet::SchedulingNode;
use super::kept::{Kept, Reservation};
use super::need::{Need, amounts};
use super::placer::{Asked, Placed, Placer};
use super::policy::{Constraint, Policy, Reserving, TypePolicy};
use super::watch::{Passed, Watch};
use crate::limits::{RESERVATIONS_MAX, SURVEY_SECONDS};
use crate::model::{ExeId, JobTypeId, NodeId, NodeResources, Timestamp};
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PassSummary {
    /// Executions for which nodes were looked for.
    pub n_tried: usize,
    /// Executions that were placed.
    pub n_placed: usize,
    /// Those of them that run on a node kept for another, since they end before it is needed.
    pub n_backfilled: usize,
    /// Nodes closed at the end of the pass, each with the execution for which it is.
    pub reserved: Vec<(ExeId, NodeId)>,
    /// True where nothing changed since the pass before, so nothing was looked at.
    pub is_unchanged: bool,
}

/// What a pass left behind when nothing more could be done.
#[derive(Clone, Debug)]
struct Seen {
    queue: u64,
    generation: u64,
    position: usize,
    until: Option<Timestamp>,
    reserved: Vec<(ExeId, NodeId)>,
}

/// Passes over the nodes of one owner.
#[derive(Default)]
pub(crate) struct Pass {
    policy: Policy,
    placer: Placer,
    nodes: BTreeMap<NodeId, SchedulingNode>,
    types: BTreeMap<JobTypeId, NodeResources>,
    are_types_new: bool,
    walk: Walk,
    watch: Watch,
    kept: Kept,
    /// When all who wait are looked over next.
    next_survey: Option<Timestamp>,
    seen: Option<Seen>,
    /// Nodes that were closed to the end of the last pass that looked.
    reserved: Vec<Reservation>,
    /// Where that pass stopped since the order is strict.
    stopped_at: Option<ExeId>,
}

fn asked(entry: &Entry) -> Asked {
    Asked { need: Need::of(&entry.asks), priority: entry.priority, job_type: entry.job_type }
}

impl Pass {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { placer: Placer::new(&policy), policy, ..Self::default() }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Another policy from now on. What is kept, and who was passed over, stays. All nodes are to be
    /// told anew.
    pub(crate) fn set_policy(&mut self, policy: Policy) {
        (self.placer, self.policy) = (Placer::new(&policy), policy);
        self.nodes.clear();
        (self.are_types_new, self.seen) = (true, None);
    }

    /// What a job type asks for in general, as far as the score counts types. Cost: all scores are
    /// made anew, once before the next pass.
    pub(crate) fn set_type(&mut self, job_type: JobTypeId, asks: Option<NodeResources>) {
        let before = match asks {
            Some(asks) => {
                self.types.insert(job_type, asks.clone()).as_ref().is_none_or(|before| *before != asks)
            }
            None => self.types.remove(&job_type).is_some(),
        };
        self.are_types_new |= before;
    }

    /// How a node stands now: what was given away of it before counts no more. Cost: a search.
    pub(crate) fn set_node(&mut self, node: SchedulingNode, queue: &Queue) {
        self.placer.set_node(&node, queue);
        self.nodes.insert(node.id, node);
    }

    /// A node is gone.
    pub(crate) fn remove_node(&mut self, id: NodeId) {
        self.nodes.remove(&id);
        self.placer.fleet.remove(id);
        if let Some(exe) = self.kept.on(id).map(|kept| kept.exe) {
            self.kept.release(exe);
        }
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Since when, and how often, an execution was passed over.
    pub(crate) fn passed(&self, exe: ExeId) -> Option<Passed> {
        self.watch.get(exe)
    }

    /// Nodes that are kept for executions, over passes or for the last one.
    pub(crate) fn reservations(&self) -> impl Iterator<Item = &Reservation> {
        self.reserved.iter().chain(self.kept.iter())
    }

    /// The execution behind which nothing started in the last pass, since the order is strict.
    pub(crate) fn stopped_at(&self) -> Option<ExeId> {
        self.stopped_at
    }

    /// What nodes have to be like for a job type, or better are.
    pub(crate) fn demands(&self, job_type: JobTypeId) -> &[Constraint] {
        self.policy.of(job_type).map_or(&[], |own| &own.constraints)
    }

    /// Whether a node that is kept for one execution is closed to another.
    pub(crate) fn is_closed_to(
        &self,
        entry: &Entry,
        (kept, holder): &(Reservation, Entry),
        queue: &Queue,
        now: Timestamp,
    ) -> bool {
        // For one pass a node is closed only to what comes after whom it is kept for.
        let is_ahead = || holder.key().seen(queue.mode()) < entry.key().seen(queue.mode());
        let is_closed = kept.exe != entry.id && (self.policy.reserving == Reserving::Held || is_ahead());
        is_closed && !self.ends_in_time(entry.job_type, kept, now)
    }

    /// Whether an execution that starts now ends before the node is needed by whom it is kept for.
    fn ends_in_time(&self, job_type: JobTypeId, kept: &Reservation, now: Timestamp) -> bool {
        let estimate = self.policy.of(job_type).and_then(TypePolicy::estimate);
        kept.starts.zip(estimate).is_some_and(|(starts, length)| now + length <= starts)
    }

    /// To be called before executions are placed.
    pub(super) fn begin(&mut self, queue: &Queue) {
        if self.are_types_new || self.placer.is_outdated(queue.dims().len()) {
            let types = self.types.values().filter_map(|asks| Need::of_named(queue, asks));
            self.placer.rebuild(&self.nodes, queue, types);
            self.are_types_new = false;
        }
        self.placer.begin();
    }

    /// To be called after executions were placed.
    pub(super) fn end(&mut self) {
        self.placer.end();
    }

    pub(super) fn placer(&mut self) -> &mut Placer {
        &mut self.placer
    }

    /// Places at most `most` executions, in the order of the queue, each on the node that suits it
    /// best; appends them to `picks`.
    ///
    /// Cost: the lanes of the queue once; for each execution that is looked at, the nodes that
    /// changed since one that asks for the same was; nothing where nothing changed since the pass
    /// before and nobody became due.
    pub(crate) fn run(
        &mut self,
        queue: &mut Queue,
        now: Timestamp,
        most: usize,
        picks: &mut Vec<PassPick>,
    ) -> PassSummary {
        self.begin(queue);
        let placer = &self.placer;
        if let Some(seen) = self.seen.as_ref().filter(|seen| seen.is_of(queue, placer, now)) {
            return PassSummary {
                reserved: seen.reserved.clone(),
                is_unchanged: true,
                ..PassSummary::default()
            };
        }
        let is_survey = self.is_survey(now);
        if is_survey {
            self.stopped_at = None;
            self.watch.begin();
            self.watch.retain(|exe| queue.get(exe).is_some());
            self.next_survey = Some(now + std::time::Duration::from_secs(SURVEY_SECONDS));
        }
        let mut summary = PassSummary::default();
        self.start_kept(queue, now, most, picks, &mut summary);
        let free = if is_survey { self.placer.fleet.largest() } else { self.placer.fleet.envelope() };
        queue.walk(&mut self.walk, &free);
        while summary.n_placed < most {
            let Some(shown) = queue.walk_next(&mut self.walk) else { break };
            summary.n_tried += 1;
            let asked = asked(&shown.entry);
            match self.place(&asked, now) {
                Found::Run { at, score, is_backfill } => {
                    let entry = queue.walk_take(&mut self.walk, &shown);
                    picks.push(PassPick { entry, node: self.placer.fleet.id(at), score });
                    summary.n_placed += 1;
                    summary.n_backfilled += usize::from(is_backfill);
                    if !self.watch.is_empty() {
                        if !is_survey {
                            self.watch.started(entry.key().seen(queue.mode()));
                        }
                        self.watch.forget(entry.id);
                        self.kept.release(entry.id);
                    }
                }
                Found::Reserve { at } => {
                    summary.reserved.push((shown.entry.id, self.placer.fleet.id(at)));
                    queue.walk_refuse(&mut self.walk, &shown);
                }
                Found::Nowhere => {
                    queue.walk_refuse(&mut self.walk, &shown);
                    if !is_survey {
                        continue;
                    }
                    let could = self.pass_over(&shown.entry, &asked, queue, summary.n_placed, now);
                    if could && self.policy.is_strict {
                        self.stopped_at = Some(shown.entry.id);
                        break;
                    }
                }
            }
        }
        self.placer.end();
        if is_survey {
            self.watch.end(summary.n_placed);
        }
        let closed =
            |(exe, node): &(ExeId, NodeId)| Reservation { exe: *exe, node: *node, since: now, starts: None };
        self.reserved = summary.reserved.iter().map(closed).collect();
        if self.policy.reserving == Reserving::Held {
            summary.reserved = self.kept.iter().map(|kept| (kept.exe, kept.node)).collect();
        }
        // What a pass placed may move the reservations of the next.
        self.seen = (summary.n_placed == 0 && most > 0).then(|| Seen {
            queue: queue.version(),
            generation: self.placer.fleet.generation,
            position: self.placer.fleet.position(),
            until: if is_survey { self.next_due(queue) } else { self.next_survey },
            reserved: summary.reserved.clone(),
        });
        summary
    }

    /// Whether a pass looks at all who wait, not only at what may fit somewhere.
    fn is_survey(&self, now: Timestamp) -> bool {
        // What a kept node can have for a while is not seen in what is open.
        let may_backfill = self.kept.iter().len() > 0 && !self.policy.job_types.is_empty();
        match self.policy.reserving {
            Reserving::PerPass => true,
            Reserving::Never => self.policy.is_strict,
            Reserving::Held => {
                self.policy.is_strict || may_backfill || self.next_survey.is_none_or(|next| now >= next)
            }
        }
    }

    /// Where an execution goes.
    fn place(&mut self, asked: &Asked, now: Timestamp) -> Found {
        match self.placer.place(asked) {
            Placed::Run { at, score } => Found::Run { at, score, is_backfill: false },
            Placed::Reserve { at, .. } => Found::Reserve { at },
            Placed::Nowhere => self.backfill(asked, now).map_or(Found::Nowhere, |at| {
                self.placer.give(at, asked);
                Found::Run { at, score: 0, is_backfill: true }
            }),
        }
    }

    /// The first node kept for another that an execution can have until it is needed.
    fn backfill(&self, asked: &Asked, now: Timestamp) -> Option<usize> {
        self.policy.of(asked.job_type)?.estimate_seconds?;
        let rule = self.placer.rules().of(asked.job_type);
        let can = |kept: &Reservation| {
            let at = self.placer.fleet.find(kept.node)?;
            let is_in_time = self.ends_in_time(asked.job_type, kept, now);
            let suits = self.placer.fleet.suits(at, rule) && self.placer.fleet.has(at, &asked.need);
            (is_in_time && suits).then_some(at)
        };
        self.kept.iter().find_map(can)
    }

    /// Starts what nodes are kept for, closes the nodes that are still kept, and gives up those
    /// whose execution does not wait any more or that were kept for too long.
    fn start_kept(
        &mut self,
        queue: &mut Queue,
        now: Timestamp,
        most: usize,
        picks: &mut Vec<PassPick>,
        summary: &mut PassSummary,
    ) {
        let hold = std::time::Duration::from_secs(self.policy.hold_seconds.into());
        let mut all: Vec<(Option<Entry>, Reservation)> =
            self.kept.iter().map(|kept| (queue.get(kept.exe), *kept)).collect();
        all.sort_by_key(|(entry, kept)| (entry.map(|entry| entry.key()), kept.exe));
        for (entry, kept) in all {
            let at = self.placer.fleet.find(kept.node).filter(|at| self.placer.fleet.is_ready(*at));
            let (Some(entry), Some(at), true) = (entry, at, now < kept.since + hold) else {
                self.kept.release(kept.exe);
                continue;
            };
            let asked = asked(&entry);
            let (is_paused, is_at_limit) = queue.held_by(entry.job_type);
            let is_held = is_at_limit || (is_paused && !queue.is_let_through(entry.id));
            if summary.n_placed < most && !is_held && self.placer.fleet.has(at, &asked.need) {
                let entry = queue.pick(entry.id).expect("it is in its lane");
                self.placer.give(at, &asked);
                picks.push(PassPick { entry, node: kept.node, score: 0 });
                (summary.n_placed, summary.n_tried) = (summary.n_placed + 1, summary.n_tried + 1);
                self.kept.release(kept.exe);
                self.watch.forget(kept.exe);
                continue;
            }
            self.kept.set_starts(kept.exe, self.starts(at, &asked, queue));
            self.placer.close(at);
        }
    }

    /// An execution fits nowhere now. Keeps a node for it where it is due. False where no empty node
    /// could take it.
    fn pass_over(
        &mut self,
        entry: &Entry,
        asked: &Asked,
        queue: &Queue,
        n_placed: usize,
        now: Timestamp,
    ) -> bool {
        if self.policy.reserving != Reserving::Held && !self.policy.is_strict {
            return true;
        }
        if !self.placer.could_ever(asked) {
            return false;
        }
        let key = entry.key().seen(queue.mode());
        let passed = self.watch.passed((entry.id, key), n_placed, now);
        let bound = self.policy.starvation_of(entry.job_type);
        let n_most = RESERVATIONS_MAX.min(self.nodes.len().div_ceil(2));
        let is_due = passed.is_some_and(|passed| passed.is_due(bound, now));
        if self.policy.reserving == Reserving::Held
            && is_due
            && self.kept.of(entry.id).is_none()
            && self.kept.iter().len() < n_most
            && let Some(at) = self.placer.find_keep(asked)
        {
            let (node, starts) = (self.placer.fleet.id(at), self.starts(at, asked, queue));
            self.kept.keep(Reservation { exe: entry.id, node, since: now, starts });
            self.placer.close(at);
        }
        true
    }

    /// When a node has what is asked for, by the ends of what runs there; `None` where those are not
    /// known.
    fn starts(&self, at: usize, asked: &Asked, queue: &Queue) -> Option<Timestamp> {
        if self.policy.job_types.is_empty() {
            return None;
        }
        let node = self.nodes.get(&self.placer.fleet.id(at))?;
        let mut ends: Vec<_> = node.running.iter().filter(|share| share.is_current).collect();
        ends.sort_by_key(|share| share.ends.unwrap_or(Timestamp(i64::MAX)));
        let mut left = self.placer.fleet.left(at);
        for share in ends {
            for (left, more) in left.iter_mut().zip(amounts(&queue.lookup(&share.asks))) {
                *left = left.saturating_add(more);
            }
            if asked.need.is_met(&left) {
                return share.ends;
            }
        }
        None
    }

    fn next_due(&self, queue: &Queue) -> Option<Timestamp> {
        let hold = std::time::Duration::from_secs(self.policy.hold_seconds.into());
        let kept = self.kept.iter().map(|kept| kept.since + hold).min();
        if self.policy.reserving != Reserving::Held {
            return None;
        }
        let waits = |exe| {
            let entry = queue.get(exe).filter(|_| self.kept.of(exe).is_none())?;
            Some(self.policy.starvation_of(entry.job_type))
        };
        [kept, self.watch.next_due(waits)].into_iter().flatten().min()
    }

    /// A node offers something, and is decided on alone: what may start there. `None` where it is kept
    /// and nothing may.
    pub(crate) fn may_start(&self, node: NodeId) -> Option<ExeId> {
        self.kept.on(node).map(|kept| kept.exe)
    }

    /// An execution started outside of a pass.
    pub(crate) fn started(&mut self, entry: &Entry, queue: &Queue) {
        if !self.watch.is_empty() {
            self.watch.started(entry.key().seen(queue.mode()));
            self.watch.forget(entry.id);
            self.kept.release(entry.id);
        }
    }

    /// What was decided on a node outside of a pass.
    pub(super) fn offered(
        &mut self,
        node: &SchedulingNode,
        offered: &crate::queue::Amounts,
        given: impl Iterator<Item = Entry>,
        queue: &Queue,
    ) {
        if self.placer.fleet.n_resources < queue.dims().len() {
            // What is given away is kept for the resources that are counted.
            self.begin(queue);
        }
        self.placer.offered(node, offered, given);
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&mut self) {
        self.placer.check_invariants();
    }
}

/// Where an execution goes.
enum Found {
    Run { at: usize, score: u32, is_backfill: bool },
    Reserve { at: usize },
    Nowhere,
}

impl Seen {
    fn is_of(&self, queue: &Queue, placer: &Placer, now: Timestamp) -> bool {
        let Self { generation, position, until, .. } = *self;
        let state = (queue.version(), placer.fleet.generation, placer.fleet.position());
        (self.queue, generation, position) == state && until.is_none_or(|until| now < until)
    }
}
