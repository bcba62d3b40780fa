//! Why a queued execution does not start: computed when asked, from the same lanes, switches, requests,
//! demands and reservations that decisions use.

use std::borrow::Cow;

use super::pass::{Constraint, Pass, Reservation};
use super::why::{Blocker, DemandMet, KeptNode, Shortage};
use crate::limits::KEPT_NAMED_MAX;
use crate::model::{NodeResources, Quantity, Timestamp};
use crate::offer::NodeView;
use crate::queue::{Amounts, Entry, Queue};

/// A node as decisions see it at this moment.
pub(crate) struct Candidate<'c> {
    pub(crate) seen: &'c NodeView,
    /// What it has in all.
    pub(crate) has: Cow<'c, NodeResources>,
    /// The same.
    pub(crate) total: Amounts,
    /// What is on offer, or was when it was last offered.
    pub(crate) free: Amounts,
    pub(crate) is_on_offer: bool,
    /// What would be free on a node that could offer something, and offers nothing now.
    pub(crate) silent: Option<Amounts>,
    /// False for one that is paused.
    pub(crate) is_ready: bool,
    /// For whom it is kept.
    pub(crate) kept: Option<(Reservation, Entry)>,
}

/// All that decisions look at.
pub(crate) struct Sight<'s> {
    pub(crate) queue: &'s Queue,
    pub(crate) pass: &'s Pass,
    /// By id.
    pub(crate) nodes: Vec<Candidate<'s>>,
    pub(crate) is_paused: bool,
    pub(crate) now: Timestamp,
}

/// What a job type says of its executions.
#[derive(Clone, Copy, Default)]
pub(crate) struct Switches {
    /// Since when it is paused.
    pub(crate) paused: Option<Timestamp>,
    pub(crate) limit: Option<u32>,
    /// Since when its limit holds it, where that is known.
    pub(crate) limited: Option<Timestamp>,
}

/// Nodes that are looked at.
type Those<'a, 's> = [&'a Candidate<'s>];

impl Candidate<'_> {
    /// What is free: of what nobody asked for yet, all.
    pub(super) fn free_by_name(&self, queue: &Queue) -> NodeResources {
        let used = queue.named(&self.total.minus_or_zero(&self.free));
        self.has.minus(&used).unwrap_or_else(|| queue.named(&self.free))
    }

    /// Whether this could start on what is on offer.
    pub(super) fn has_free(&self, asked: &Amounts) -> bool {
        self.silent.is_none() && self.free.covers(asked)
    }

    /// Whether this could start if the node offered what is not in use.
    pub(super) fn could_offer(&self, asked: &Amounts) -> bool {
        self.silent.is_some_and(|free| free.covers(asked))
    }

    /// The node and for whom it is kept, to be told.
    pub(super) fn told(&self, (kept, holder): &(Reservation, Entry)) -> KeptNode {
        KeptNode {
            node: self.seen.id,
            name: self.seen.name.clone(),
            exe: holder.id,
            job: holder.job,
            job_type: holder.job_type,
            since: kept.since,
            starts: kept.starts,
        }
    }
}

/// What is free of a node, or would be if it offered that.
pub(super) fn room(node: &Candidate<'_>) -> Amounts {
    node.silent.unwrap_or(node.free)
}

impl Sight<'_> {
    /// What `asked` lacks on nodes of which `have` tells the amounts, by resource; empty when one node has
    /// all of it.
    fn shortages(
        &self,
        nodes: &Those<'_, '_>,
        asked: &Amounts,
        have: impl Fn(&Candidate<'_>) -> Amounts,
    ) -> Vec<Shortage> {
        let all: Vec<(&Candidate<'_>, Amounts)> =
            nodes.iter().map(|node| (*node, asked.minus_or_zero(&have(node)))).collect();
        // The node that lacks the fewest kinds of things, then the least of its first one.
        let rank = |short: &Amounts| {
            let missing = short.0.iter().filter(|amount| **amount > 0);
            (missing.clone().count(), missing.copied().next())
        };
        let Some((nearest, short)) = all.iter().min_by_key(|(node, short)| (rank(short), node.seen.id))
        else {
            return Vec::new();
        };
        let slots = self.queue.dims().iter().enumerate().filter(|(slot, _)| short.0[*slot] > 0);
        let of = |(slot, name): (usize, &crate::model::ResourceName)| Shortage {
            resource: name.to_string(),
            asked: Quantity(asked.0[slot]),
            most: Quantity(asked.0[slot] - short.0[slot]),
            short: Quantity(short.0[slot]),
            n_nodes: all.iter().filter(|(_, short)| short.0[slot] > 0).count(),
            nearest: nearest.seen.id,
            nearest_name: nearest.seen.name.clone(),
        };
        slots.map(of).collect()
    }

    fn hard_demands(&self, entry: &Entry) -> impl Iterator<Item = &Constraint> + Clone {
        self.pass.demands(entry.job_type).iter().filter(|demand| !demand.is_soft)
    }

    /// The demands that a node does not meet.
    pub(super) fn unmet(&self, node: &Candidate<'_>, entry: &Entry) -> Vec<Constraint> {
        let demands = self.hard_demands(entry);
        demands.filter(|demand| !demand.is_met(&node.seen.attributes)).cloned().collect()
    }

    /// No node meets all demands: which are met by how many, and where the most are.
    fn constraints(&self, entry: &Entry) -> Option<Blocker> {
        let unmet = |node: &Candidate<'_>| self.unmet(node, entry);
        let nearest = self.nodes.iter().min_by_key(|node| (unmet(node).len(), node.seen.id))?;
        let met = |demand: &Constraint| DemandMet {
            demand: demand.clone(),
            n_nodes: self.nodes.iter().filter(|node| demand.is_met(&node.seen.attributes)).count(),
        };
        Some(Blocker::Constraints {
            demands: self.hard_demands(entry).map(met).collect(),
            n_nodes: self.nodes.len(),
            nearest: nearest.seen.id,
            nearest_name: nearest.seen.name.clone(),
            unmet: unmet(nearest),
        })
    }

    /// Whether a node meets all demands.
    pub(super) fn is_suited(&self, node: &Candidate<'_>, entry: &Entry) -> bool {
        self.hard_demands(entry).all(|demand| demand.is_met(&node.seen.attributes))
    }

    /// The nodes on which an execution could run if nothing else did; or why there are none.
    fn possible(&self, entry: &Entry) -> Result<Vec<&Candidate<'_>>, Blocker> {
        if self.nodes.is_empty() {
            return Err(Blocker::NoNodes);
        }
        let suited: Vec<_> = self.nodes.iter().filter(|node| self.is_suited(node, entry)).collect();
        if suited.is_empty() {
            return Err(self.constraints(entry).unwrap_or(Blocker::NoNodes));
        }
        let large = suited.iter().copied().filter(|node| node.total.covers(&entry.asks));
        let large: Vec<_> = large.collect();
        if large.is_empty() {
            let shortages = self.shortages(&suited, &entry.asks, |node| node.total);
            return Err(Blocker::TooBig { shortages });
        }
        let ready: Vec<_> = large.iter().copied().filter(|node| node.is_ready).collect();
        if ready.is_empty() {
            let (n_nodes, node, name) = (large.len(), large[0].seen.id, large[0].seen.name.clone());
            return Err(Blocker::NodesPaused { n_nodes, node, name });
        }
        Ok(ready)
    }

    /// Whether a node is kept for somebody else.
    pub(super) fn is_closed(&self, node: &Candidate<'_>, entry: &Entry) -> bool {
        let kept = node.kept.as_ref();
        kept.is_some_and(|kept| self.pass.is_closed_to(entry, kept, self.queue, self.now))
    }

    /// The one that has to start before everything behind it, where it stands before `position`.
    pub(super) fn ahead(&self, position: Option<usize>) -> Option<Entry> {
        let first = self.queue.get(self.pass.stopped_at()?)?;
        let places = self.queue.position(first.id).zip(position);
        places.is_some_and(|(first, own)| first < own).then_some(first)
    }

    /// Why it does not start on one of the nodes that it could have if they were empty.
    fn among(&self, ready: &Those<'_, '_>, entry: &Entry, position: Option<usize>) -> Blocker {
        let free: Vec<_> = ready.iter().copied().filter(|node| node.has_free(&entry.asks)).collect();
        if free.iter().any(|node| !self.is_closed(node, entry)) {
            if let Some(Entry { id: exe, job, job_type, .. }) = self.ahead(position) {
                return Blocker::Strict { exe, job, job_type };
            }
            return match position {
                Some(n_ahead) if n_ahead > 0 => Blocker::Behind { n_ahead },
                _ => Blocker::Next,
            };
        }
        let own = |node: &&&Candidate<'_>| node.kept.is_some_and(|(kept, _)| kept.exe == entry.id);
        if let Some(node) = ready.iter().find(own)
            && let Some(kept) = &node.kept
        {
            let shortages = self.shortages(&[node], &entry.asks, room);
            return Blocker::Holds { node: node.told(kept), shortages };
        }
        let kept = free.iter().filter_map(|node| Some(node.told(node.kept.as_ref()?)));
        let nodes: Vec<KeptNode> = kept.take(KEPT_NAMED_MAX).collect();
        if !nodes.is_empty() {
            return Blocker::Kept { nodes, n_nodes: free.len() };
        }
        let mut silent = ready.iter().filter(|node| node.could_offer(&entry.asks));
        if let Some(first) = silent.next() {
            let (node, name) = (first.seen.id, first.seen.name.clone());
            return Blocker::NotOnOffer { n_nodes: 1 + silent.count(), node, name };
        }
        Blocker::Busy { shortages: self.shortages(ready, &entry.asks, room) }
    }
}

/// The first thing that keeps a queued entry from starting, and its position. Cost: nodes, and a
/// search in every lane for its position.
pub(crate) fn explain(sight: &Sight<'_>, entry: &Entry, switches: Switches) -> (Option<usize>, Blocker) {
    let position = sight.queue.position(entry.id);
    (position, blocker(sight, entry, switches, position))
}

fn blocker(sight: &Sight<'_>, entry: &Entry, switches: Switches, position: Option<usize>) -> Blocker {
    let job_type = entry.job_type;
    let (is_paused, is_at_limit) = sight.queue.held_by(job_type);
    if sight.is_paused {
        return Blocker::SchedulerPaused;
    }
    if is_paused && !sight.queue.is_let_through(entry.id) {
        return Blocker::Paused { job_type, since: switches.paused };
    }
    let ready = match sight.possible(entry) {
        Ok(ready) => ready,
        Err(blocker) => return blocker,
    };
    if let Some(max_scheduled) = switches.limit.filter(|_| is_at_limit) {
        let running = sight.queue.n_taken(job_type);
        return Blocker::Limit { job_type, max_scheduled, running, since: switches.limited };
    }
    sight.among(&ready, entry, position)
}
