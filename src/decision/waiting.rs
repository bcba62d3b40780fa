//! What keeps waiting executions from starting, in a word each: counted by job type, for charts.
//!
//! W1  An entry counts for what keeps the first of its lane, and that is what [`explain`](super::explain) says of
//!     that one, or [`WaitReason::Unknown`].

use foldhash::{HashMap, HashMapExt};
use serde::Serialize;

use super::explain::{Candidate, Sight};
use super::why::Blocker;
use crate::limits::TALLY_LOOKS_MAX;
use crate::model::JobTypeId;
use crate::queue::{Amounts, Entry};

/// What keeps an execution from starting, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitReason {
    /// Nodes that could take it are busy.
    Busy,
    /// It asks for more than any node has.
    TooBig,
    /// Its type runs as often as it may.
    Limit,
    /// Its type, the nodes that could take it, or the scheduler is paused.
    Paused,
    /// It fits, on nodes that are kept for others.
    Kept,
    /// It fits, and others come first.
    Behind,
    /// No node is what its type demands.
    Constraints,
    /// No node is known.
    NoNodes,
    /// Nodes with room for it offer nothing now.
    NotOnOffer,
    /// It was not looked at: there are too many kinds of requests, on too many nodes.
    Unknown,
}

impl WaitReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Busy,
        Self::TooBig,
        Self::Limit,
        Self::Paused,
        Self::Kept,
        Self::Behind,
        Self::Constraints,
        Self::NoNodes,
        Self::NotOnOffer,
        Self::Unknown,
    ];

    /// The word for what keeps a queued execution; `None` for one that is not queued.
    pub fn of(blocker: &Blocker) -> Option<Self> {
        match blocker {
            Blocker::NotQueued { .. } | Blocker::Parents { .. } | Blocker::BlockedBy { .. } => None,
            Blocker::Paused { .. } | Blocker::SchedulerPaused | Blocker::NodesPaused { .. } => {
                Some(Self::Paused)
            }
            Blocker::Limit { .. } => Some(Self::Limit),
            Blocker::NoNodes => Some(Self::NoNodes),
            Blocker::NotOnOffer { .. } => Some(Self::NotOnOffer),
            Blocker::TooBig { .. } => Some(Self::TooBig),
            Blocker::Constraints { .. } => Some(Self::Constraints),
            Blocker::Busy { .. } | Blocker::Holds { .. } => Some(Self::Busy),
            Blocker::Kept { .. } => Some(Self::Kept),
            Blocker::Strict { .. } | Blocker::Behind { .. } | Blocker::Next => Some(Self::Behind),
        }
    }

    /// As metrics and the journal call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::TooBig => "too_big",
            Self::Limit => "limit",
            Self::Paused => "paused",
            Self::Kept => "kept",
            Self::Behind => "behind",
            Self::Constraints => "constraints",
            Self::NoNodes => "no_nodes",
            Self::NotOnOffer => "not_on_offer",
            Self::Unknown => "unknown",
        }
    }
}

/// Waiting executions by what keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitCounts([u64; WaitReason::ALL.len()]);

impl WaitCounts {
    /// Those that wait for this.
    pub fn of(&self, reason: WaitReason) -> u64 {
        self.0[reason as usize]
    }

    /// The sums.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
        self
    }

    fn add(&mut self, reason: WaitReason, n: usize) {
        self.0[reason as usize] += n as u64;
    }
}

/// Where a request would fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// On a node that is kept for nobody.
    Open,
    /// On nodes that are kept.
    Kept,
    /// On none that is free now, and one that is empty would do.
    Busy,
    /// On one that offers nothing now, and on no other.
    Silent,
    /// On none, for this.
    Never(WaitReason),
}

/// Looks at all that waits, at one instant.
pub(crate) struct Tally<'s> {
    sight: &'s Sight<'s>,
    /// The most that any node has free.
    most_free: Amounts,
    /// The most that would be free on any node that offers nothing now; none where there is no such node.
    most_silent: Option<Amounts>,
    kept: Vec<&'s Candidate<'s>>,
    known: HashMap<(Amounts, Option<JobTypeId>), Room>,
    /// Nodes that may still be looked at.
    n_looks: usize,
}

fn larger(mut most: Amounts, have: &Amounts) -> Amounts {
    most.0.iter_mut().zip(have.0).for_each(|(most, have)| *most = (*most).max(have));
    most
}

impl<'s> Tally<'s> {
    /// Cost: nodes.
    pub(crate) fn new(sight: &'s Sight<'s>) -> Self {
        let ready = sight.nodes.iter().filter(|node| node.is_ready);
        let most_free = ready.clone().fold(Amounts::default(), |most, node| larger(most, &node.free));
        let silent = ready.clone().filter_map(|node| node.silent);
        let most_silent = silent.reduce(|most, free| larger(most, &free));
        let kept = ready.filter(|node| node.kept.is_some()).collect();
        Self { sight, most_free, most_silent, kept, known: HashMap::new(), n_looks: TALLY_LOOKS_MAX }
    }

    /// The waiting executions of a type by what keeps them, and what keeps its first; `None` where none waits.
    /// Cost: lanes of the type; nodes for each different request, until `TALLY_LOOKS_MAX` were looked at.
    pub(crate) fn of(&mut self, job_type: JobTypeId) -> Option<(WaitCounts, WaitReason)> {
        let mut counts = WaitCounts::default();
        let first = self.sight.queue.first_of_type(job_type)?;
        let mut of_first = None;
        for (head, n, is_let_through) in self.sight.queue.lanes_of(job_type) {
            let found = self.reason(&head, is_let_through);
            counts.add(found, n);
            if head.id == first.id {
                of_first = Some(found);
            }
        }
        Some((counts, of_first?))
    }

    /// In the order of [`explain`](super::explain).
    fn reason(&mut self, entry: &Entry, is_let_through: bool) -> WaitReason {
        let (is_paused, is_at_limit) = self.sight.queue.held_by(entry.job_type);
        if self.sight.is_paused || (is_paused && !is_let_through) {
            return WaitReason::Paused;
        }
        match self.room(entry) {
            Room::Never(reason) => reason,
            _ if is_at_limit => WaitReason::Limit,
            Room::Busy => WaitReason::Busy,
            Room::Silent if self.is_kept_for(entry) => WaitReason::Busy,
            Room::Silent => WaitReason::NotOnOffer,
            Room::Open => WaitReason::Behind,
            Room::Kept => self.among_kept(entry),
        }
    }

    /// What keeps one that fits on nodes that are kept, and on no other.
    fn among_kept(&mut self, entry: &Entry) -> WaitReason {
        self.n_looks = self.n_looks.saturating_sub(self.kept.len());
        let has_room = |node: &&&Candidate<'_>| {
            node.has_free(&entry.asks) && node.total.covers(&entry.asks) && self.sight.is_suited(node, entry)
        };
        if self.kept.iter().filter(has_room).any(|node| !self.sight.is_closed(node, entry)) {
            return WaitReason::Behind;
        }
        if self.is_kept_for(entry) { WaitReason::Busy } else { WaitReason::Kept }
    }

    fn is_kept_for(&self, entry: &Entry) -> bool {
        self.kept.iter().any(|node| node.kept.is_some_and(|(kept, _)| kept.exe == entry.id))
    }

    fn room(&mut self, entry: &Entry) -> Room {
        let has_demands = !self.sight.pass.demands(entry.job_type).is_empty();
        let key = (entry.asks, has_demands.then_some(entry.job_type));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let room = self.look(entry);
        if room != Room::Never(WaitReason::Unknown) {
            self.known.insert(key, room);
        }
        room
    }

    /// Looks for room on one node after the other; where nothing is free that is large enough, only whether
    /// there is one that could be.
    fn look(&mut self, entry: &Entry) -> Room {
        if self.sight.nodes.is_empty() {
            return Room::Never(WaitReason::NoNodes);
        }
        let may_fit = self.most_free.covers(&entry.asks)
            || self.most_silent.is_some_and(|silent| silent.covers(&entry.asks));
        let (mut is_suited, mut is_large, mut is_ready) = (false, false, false);
        let (mut is_kept, mut is_silent) = (false, false);
        for node in &self.sight.nodes {
            if self.n_looks == 0 {
                return Room::Never(WaitReason::Unknown);
            }
            self.n_looks -= 1;
            if !self.sight.is_suited(node, entry) {
                continue;
            }
            is_suited = true;
            if !node.total.covers(&entry.asks) {
                continue;
            }
            is_large = true;
            if !node.is_ready {
                continue;
            }
            is_ready = true;
            if !may_fit {
                break;
            }
            is_silent |= node.could_offer(&entry.asks);
            if node.has_free(&entry.asks) {
                if node.kept.is_none() {
                    return Room::Open;
                }
                is_kept = true;
            }
        }
        match (is_suited, is_large, is_ready) {
            (false, ..) => Room::Never(WaitReason::Constraints),
            (_, false, _) => Room::Never(WaitReason::TooBig),
            (.., false) => Room::Never(WaitReason::Paused),
            _ if is_kept => Room::Kept,
            _ if is_silent => Room::Silent,
            _ => Room::Busy,
        }
    }
}
