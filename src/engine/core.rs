//! The pure core: state, nodes, and what the command at hand produced.
//!
//! One owner at a time. No I/O, clock, lock or logging: time comes in with each command.
//!
//! K1  An event is applied the moment it is emitted, so `out` and the state never disagree.
//! K2  A command that is refused emits nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decision::{self, Policy};
use crate::job::Verdict;
use crate::limits::EVENT_JOBS_MAX;
use crate::load::Thinned;
use crate::model::{
    Doc, ErrorId, Event, ExeEnd, ExeId, JobId, JobState, JobStatus, JobTypeId, LaunchName, NodeId, Outcome,
    Timestamp, Usage, kind,
};
use crate::offer::{ClusterNodes, NodeView, Nodes, Offer};
use crate::queue::{Amounts, Entry};

use super::catalog_view::CatalogView;
use super::gpus::Gpus;
use super::journal::{Journal, JournalNote};
use super::passes::Passes;
use super::plan::{Committed, Plan};
use super::tally::Tallied;
use crate::state::{SHOWN, State};

/// `jobs` in pieces that each fit one event.
pub(super) fn in_events(jobs: &[JobId]) -> impl Iterator<Item = Vec<JobId>> + '_ {
    jobs.chunks(EVENT_JOBS_MAX as usize).map(<[JobId]>::to_vec)
}

/// What the outside has to do once the events that led to it are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// End an execution.
    Kill(LaunchName),
    /// Tell the driver that the end of this launch is on record.
    Acknowledge(LaunchName),
}

/// What a command produced.
#[derive(Default)]
pub(super) struct Output {
    /// Events, each with the state hash after it.
    pub(super) events: Vec<(Event, u64)>,
    pub(super) orders: Vec<Order>,
}

/// State, nodes and output.
#[derive(Default)]
pub(crate) struct Core {
    pub(super) state: State,
    pub(super) nodes: Nodes,
    pub(super) out: Output,
    /// What outstanding picks would take of each node.
    pub(super) reserved: BTreeMap<NodeId, Amounts>,
    /// Launches that were refused since the engine was made.
    pub(super) n_returned: u64,
    /// When the last of them was, and why.
    pub(super) last_refusal: Option<(Timestamp, String)>,
    /// How far load rows were thinned.
    pub(super) thinned: Thinned,
    /// The last one that was made, and of which version of the documents of each kind.
    catalog_view: (BTreeMap<u8, u64>, Arc<CatalogView>),
    pub(super) passes: Passes,
    pub(super) tallied: Tallied,
    pub(super) journal: Journal,
    /// Agents and offers of a cluster, where there is one.
    pub(super) cluster: ClusterNodes,
    /// Slots of graphics processors.
    pub(super) gpus: Gpus,
}

impl Core {
    pub(super) fn new(state: State, policy: Policy, mut cluster: ClusterNodes, gpu_slots: bool) -> Self {
        cluster.stop(state.is_scheduler_paused());
        let gpus = Gpus::new(gpu_slots, &state);
        Self { state, cluster, gpus, passes: Passes::new(policy), ..Self::default() }
    }

    /// The catalog as readers see it. Cost: the documents of the kinds that changed.
    pub(super) fn catalog_view(&mut self) -> Arc<CatalogView> {
        let docs = self.state.docs();
        let (versions, view) = &mut self.catalog_view;
        for kind in SHOWN {
            let version = docs.version(kind);
            if versions.insert(kind, version) != Some(version) {
                let all = docs.of_kind(kind).map(|doc| (doc.key(), doc.clone()));
                Arc::make_mut(view).0.insert(kind, Arc::new(all.collect()));
            }
        }
        view.clone()
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.note_for_passes(&event);
        self.state.apply(&event);
        self.out.events.push((event, self.state.hash));
    }

    /// `now`, but never before what was.
    pub(super) fn clamp(&self, now: Timestamp) -> Timestamp {
        now.max(self.state.now)
    }

    /// Takes note of an offer and decides on it. The picks are set aside until they are committed
    /// or put back.
    pub(super) fn offer(&mut self, offer: &Offer, most: usize, now: Timestamp, picks: &mut Vec<Entry>) {
        let free = self.take_note(offer, now);
        self.decide(offer.node, free, most, picks);
    }

    /// Takes note of an offer; what it has, in the dense form. The node has what runs there on top of that: after a
    /// restart it may never have been seen without.
    pub(super) fn take_note(&mut self, offer: &Offer, now: Timestamp) -> Amounts {
        self.nodes.offered(offer, now);
        self.gpus.set_len(offer.node, offer.gpu_slots);
        let queue = &self.state.queue;
        let free = queue.dims().lookup(&offer.free);
        let has = free.plus(&self.state.in_use(offer.node));
        let is_more = |seen: &NodeView| {
            !queue.dims().lookup(&seen.total).covers(&has) && !self.has_told_total(seen.id, now)
        };
        if self.nodes.get(offer.node).is_some_and(is_more) {
            self.nodes.has(offer.node, &queue.named(&has));
        }
        free
    }

    /// Whether its agent told what a node has in all. Then what counts as running may be more for a while: what is
    /// offered may have been another's, whose end is not told yet.
    fn has_told_total(&self, node: NodeId, now: Timestamp) -> bool {
        self.cluster.get(node, now).is_some_and(|node| node.total.is_some())
    }

    fn decide(&mut self, node: NodeId, free: Amounts, most: usize, picks: &mut Vec<Entry>) {
        let round = self.state.queue.new_round();
        let most = if self.takes_new(node) { most } else { 0 };
        picks.clear();
        if most > 0
            && let Some(left) = self.start_kept(node, free, picks)
        {
            match self.gpus.on(node).cloned() {
                None => decision::decide(&mut self.state.queue, left, most, picks),
                Some(mut gpus) => {
                    for kept in picks.iter() {
                        decision::take_slots(&mut gpus, &kept.asks);
                    }
                    decision::decide_on_slots(&mut self.state.queue, left, &mut gpus, most, picks);
                }
            }
        }
        self.take_slots(node, picks, round);
        self.started(node, picks);
        let reserved = self.reserved.entry(node).or_default();
        *reserved = picks.iter().fold(*reserved, |sum, pick| sum.plus(&pick.asks));
    }

    pub(super) fn release(&mut self, node: NodeId, picks: &[Entry]) {
        if let Some(reserved) = self.reserved.get_mut(&node) {
            *reserved = picks.iter().fold(*reserved, |rest, pick| rest.minus_or_zero(&pick.asks));
        }
        self.passes.changed(node);
    }

    /// Decides on what a declared node has in all, less what runs there.
    pub(super) fn offer_declared(
        &mut self,
        node: NodeId,
        most: usize,
        now: Timestamp,
        picks: &mut Vec<Entry>,
    ) {
        let Some(seen) = self.nodes.get(node) else { return };
        let total = self.state.queue.dims().lookup(&seen.total);
        let in_use = self.state.in_use(node).plus(&self.reserved.get(&node).copied().unwrap_or_default());
        let free = total.minus_or_zero(&in_use);
        self.nodes.set_free(node, self.state.queue.named(&free), now);
        self.decide(node, free, most, picks);
    }

    /// Puts picks for `node` back to their places.
    pub(super) fn put_back(&mut self, node: NodeId, picks: &[Entry], round: u64) {
        self.release(node, picks);
        for pick in picks {
            self.back(node, pick, round);
        }
    }

    /// A pick goes back to its place, and has nothing of its node any more.
    pub(super) fn back(&mut self, node: NodeId, pick: &Entry, round: u64) {
        self.gpus.release_pick(node, pick.id, round);
        if self.state.queue.is_picked_in(pick.id, round) && self.state.queue.put_back(pick.id) {
            let Entry { id: exe, job, job_type, .. } = *pick;
            self.journal.note(self.state.now, JournalNote::PutBack { exe, job, job_type, node });
        }
    }

    /// Puts the launches of picks on `node` on record, in order, with the offers that cover them where
    /// those are held. Those canceled meanwhile, and those not covered any more, are left out.
    pub(super) fn commit(
        &mut self,
        node: NodeId,
        (picks, round): (&[Entry], u64),
        uses_offers: bool,
        now: Timestamp,
    ) -> Committed {
        let now = self.clamp(now);
        self.release(node, picks);
        let (picks, offers) =
            if uses_offers { self.cover(node, picks, round, now) } else { (picks.into(), Vec::new()) };
        let mut plans = Vec::with_capacity(picks.len());
        let mut left = self.nodes.get(node).map(|seen| seen.free.clone());
        for pick in &*picks {
            let job = self.state.job(pick.job).filter(|_| self.state.queue.is_picked_in(pick.id, round));
            let Some(job) = job else {
                self.gpus.release_pick(node, pick.id, round);
                continue;
            };
            let name = LaunchName { exe: pick.id, number: job.launches + 1 };
            let mut plan = self.plan_of(pick.job, job, name, node);
            left = left.and_then(|left| left.minus(&job.resources));
            self.emit(Event::Launched { launch: name, node, when: now });
            let (job, job_type) = (pick.job, pick.job_type);
            self.journal.note(now, JournalNote::Launched { launch: name, job, job_type, node });
            plan.gpus = self.keep_slots(node, pick.id, round);
            self.runs(&plan, pick.priority, now);
            plans.push(plan);
        }
        if let Some(left) = left {
            self.nodes.set_free(node, left, now);
        }
        self.use_offer(node);
        Committed { plans, offers }
    }

    fn plan_of(&self, id: JobId, job: &JobState, name: LaunchName, node: NodeId) -> Plan {
        let job_type = self.state.catalog.get(job.job_type).expect("a job has a type on record");
        Plan {
            name,
            job: id,
            exe_num: job.num_exes,
            job_type: job_type.clone(),
            node,
            resources: job.resources.clone(),
            gpus: Vec::new(),
            revision: self
                .state
                .docs()
                .get_sub(kind::JOB_TYPE_REVISION, job.job_type.0.into(), job.revision.into())
                .cloned(),
        }
    }

    /// Everything that follows from the end of a launch. False for a name that is not on record.
    pub(super) fn end_launch(
        &mut self,
        name: LaunchName,
        outcome: Outcome,
        usage: Usage,
        when: Timestamp,
    ) -> bool {
        let when = self.clamp(when);
        self.end_launch_at(name, outcome, usage, when, when)
    }

    /// The same for an end at an instant that is not clamped; what follows from it happens at `when`.
    pub(super) fn end_launch_at(
        &mut self,
        name: LaunchName,
        outcome: Outcome,
        usage: Usage,
        ended: Timestamp,
        when: Timestamp,
    ) -> bool {
        let running = self.state.running.get(&name.exe).filter(|running| running.launch == name.number);
        let Some(id) = running.map(|running| running.entry.job) else { return false };
        if let Some(overtaken) = self.state.overtaken(name.exe) {
            let exe_num = overtaken.exe_num;
            let end = ExeEnd { launch: name, exe_num, outcome, usage, ended };
            self.emit(Event::ExeEnded { end, status: JobStatus::Canceled, uses_try: false });
            return true;
        }
        let outcome = self.declared_outcome(id, outcome);
        let Some(job) = self.state.job(id) else { return false };
        let is_long_running = self.is_long_running(job.job_type);
        let verdict =
            crate::job::judge(job, &outcome, is_long_running, |error| self.should_be_retried(error));
        let end = ExeEnd { launch: name, exe_num: job.num_exes, outcome, usage, ended };
        self.emit(Event::ExeEnded { end, status: verdict.status, uses_try: verdict.uses_try });
        self.follow_end(id, verdict, when);
        true
    }

    /// What follows from the end of a job's newest execution.
    pub(super) fn follow_end(&mut self, id: JobId, verdict: Verdict, when: Timestamp) {
        if verdict.is_retried {
            self.queue_listed(&[id], when);
        } else if verdict.status == JobStatus::Completed {
            self.queue_ready_children(id, when);
        } else {
            self.block_descendants(&[id], when);
        }
    }

    /// True for a type whose jobs run for ever.
    pub(super) fn is_long_running(&self, id: JobTypeId) -> bool {
        let doc = self.state.docs().get(kind::JOB_TYPE, u64::from(id.0)).map(|doc| &**doc);
        matches!(doc, Some(Doc::JobType(kind)) if kind.is_long_running)
    }

    pub(super) fn should_be_retried(&self, error: ErrorId) -> bool {
        match self.state.docs().get(kind::ERROR, u64::from(error.0)).map(|doc| &**doc) {
            Some(Doc::Error(error)) => error.should_be_retried,
            // Those that come with the system.
            _ => true,
        }
    }

    pub(super) fn queue_listed(&mut self, jobs: &[JobId], when: Timestamp) {
        for jobs in in_events(jobs) {
            self.queue_jobs_now(jobs, None, when);
        }
    }

    pub(super) fn next_exe(&self) -> ExeId {
        ExeId(self.state.last_exe.0 + 1)
    }

    fn queue_ready_children(&mut self, job: JobId, when: Timestamp) {
        let is_due = |id: &JobId| {
            self.state.graph.is_ready(*id) && self.state.job(*id).is_some_and(crate::job::can_be_queued)
        };
        let children = self.state.graph.children(job);
        let ready: Vec<JobId> = children.iter().copied().filter(is_due).collect();
        self.queue_listed(&ready, when);
    }

    /// Marks what can never get its inputs.
    pub(super) fn block_descendants(&mut self, jobs: &[JobId], when: Timestamp) {
        let is_pending = |id| self.state.job(id).is_some_and(|job| job.status == JobStatus::Pending);
        let blocked = self.state.graph.descendants(jobs, is_pending);
        for jobs in in_events(&blocked) {
            self.emit(Event::JobsMarked { jobs, status: JobStatus::Blocked, when });
        }
    }
}
