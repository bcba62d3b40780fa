//! What is asked of a queue without changing what it holds: its order, the place of an entry in it,
//! how things stand with a type, and why a lane does not move.

use std::collections::{BTreeSet, BinaryHeap};

use super::{Entry, LaneSlot, Queue, type_index};
use crate::model::{ExeId, JobTypeId, Quantity, QueueMode, Timestamp};
use crate::queue::amounts::Amounts;
use crate::queue::key::SortKey;
use crate::queue::lane::{Row, with_sum};
use crate::queue::verdict::{Lack, LaneVerdict, Verdict};

/// How things stand with one type's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TypeStatus {
    /// How many wait.
    pub n_queued: usize,
    /// Since when the oldest waits.
    pub oldest: Option<Timestamp>,
    /// The smallest number among its entries.
    pub priority: Option<i32>,
    /// Launched executions and picks.
    pub n_taken: u32,
}

/// A search for the position of an entry that goes on where it stopped; see
/// [`Queue::search_position`].
#[derive(Clone, Copy, Debug)]
pub struct PositionSearch {
    id: ExeId,
    next_lane: usize,
    n_before: usize,
}

/// Where an entry stands in the order, as far as a search got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// There are more lanes to look at.
    Searching,
    /// It is in no lane.
    NotQueued,
    /// So many entries are before it.
    At(usize),
}

impl PositionSearch {
    /// A search for one entry, at its beginning.
    pub fn new(id: ExeId) -> Self {
        Self { id, next_lane: 0, n_before: 0 }
    }
}

impl Queue {
    /// The queued executions in order, types of `without` left out. Cost: a descent and a step in
    /// a heap of lanes per entry; the caller bounds it.
    pub fn iter(&self, without: &[JobTypeId]) -> impl Iterator<Item = Entry> + '_ {
        let mut heads: BTreeSet<((SortKey, SortKey), usize)> = BTreeSet::new();
        let order = |lane: &LaneSlot, row: Row| self.order(lane.key.job_type, row.key);
        for (at, lane) in self.lanes.iter().enumerate() {
            if let Some(head) = self.head(lane).filter(|_| !without.contains(&lane.key.job_type)) {
                heads.insert((order(lane, head), at));
            }
        }
        std::iter::from_fn(move || {
            let ((_, seen), at) = heads.pop_first()?;
            let lane = &self.lanes[at];
            let mode = self.mode_of(lane.key.job_type);
            let key = seen.seen(mode);
            let row = lane.rows.get(&self.nodes, key).expect("Q1: it is in its lane");
            if let Some(next) = lane.rows.after(&self.nodes, key, mode) {
                heads.insert((order(lane, next), at));
            }
            Some(lane.entry(row))
        })
    }

    /// The queued executions by priority, then by queued time in one direction, whatever directions the queue
    /// and its types have; types of `without` left out. Cost: as of [`Queue::iter`].
    pub fn iter_in(&self, mode: QueueMode, without: &[JobTypeId]) -> impl Iterator<Item = Entry> + '_ {
        let mut heads: BTreeSet<(SortKey, usize)> = BTreeSet::new();
        for (at, lane) in self.lanes.iter().enumerate() {
            if let Some(head) =
                lane.rows.head(&self.nodes, mode).filter(|_| !without.contains(&lane.key.job_type))
            {
                heads.insert((head.key.seen(mode), at));
            }
        }
        std::iter::from_fn(move || {
            let (seen, at) = heads.pop_first()?;
            let (lane, key) = (&self.lanes[at], seen.seen(mode));
            let row = lane.rows.get(&self.nodes, key).expect("Q1: it is in its lane");
            if let Some(next) = lane.rows.after(&self.nodes, key, mode) {
                heads.insert((next.key.seen(mode), at));
            }
            Some(lane.entry(row))
        })
    }

    /// The first entry of a type, by its own order. Cost: lanes of the type.
    pub(crate) fn first_of_type(&self, job_type: JobTypeId) -> Option<Entry> {
        let mode = self.mode_of(job_type);
        let lanes = self.type_slot(job_type)?.lanes.iter().map(|&at| self.lane(at));
        let firsts = lanes.filter_map(|lane| lane.head(mode).map(|row| (lane, row)));
        firsts.min_by_key(|(_, row)| row.key.seen(mode)).map(|(lane, row)| lane.entry(row))
    }

    /// The lanes of a type that have entries: the first of each, how many there are, and whether a pause does
    /// not hold them.
    pub(crate) fn lanes_of(&self, job_type: JobTypeId) -> impl Iterator<Item = (Entry, usize, bool)> + '_ {
        let mode = self.mode_of(job_type);
        let lanes = self.type_slot(job_type).into_iter().flat_map(|slot| &slot.lanes);
        lanes.map(|&at| self.lane(at)).filter_map(move |lane| {
            let head = lane.head(mode)?;
            Some((lane.entry(head), lane.rows.len(), lane.key.is_let_through))
        })
    }

    /// A queued execution by its id, wherever it waits: in a lane, picked or deferred. Cost: a look-up
    /// and a descent.
    pub fn get(&self, id: ExeId) -> Option<Entry> {
        if let Some(picked) = self.picked.get(&id) {
            return Some(self.lane(picked.lane).entry(picked.row));
        }
        if let Some(entry) = self.deferred.get(id) {
            return Some(*entry);
        }
        let (at, key) = self.place_of(id)?;
        let lane = self.lane(at);
        Some(lane.entry(lane.rows.get(&self.nodes, key).expect("Q1: it is in its lane")))
    }

    /// Whether something holds a type back: paused, and at its limit.
    pub(crate) fn held_by(&self, job_type: JobTypeId) -> (bool, bool) {
        self.type_slot(job_type).map_or((false, false), |slot| (slot.is_paused, slot.is_at_limit()))
    }

    /// True for an entry that a pause of its type does not hold.
    pub fn is_let_through(&self, id: ExeId) -> bool {
        let picked = self.picked.get(&id).map(|picked| picked.lane);
        let lane = picked.or_else(|| self.place_of(id).map(|(at, _)| at));
        lane.is_some_and(|at| self.lane(at).key.is_let_through)
    }

    /// How many entries are before `id`, held back or not. Cost: a search in every lane.
    pub fn position(&self, id: ExeId) -> Option<usize> {
        let (at, key) = self.place_of(id)?;
        let of_type = self.lane(at).key.job_type;
        let mine = self.order(of_type, key);
        let before = self.lanes.iter().map(|lane| self.n_before(lane, of_type, mine));
        Some(before.sum())
    }

    /// Entries of `lane` before the one of type `of_type` that stands at `mine`.
    fn n_before(&self, lane: &LaneSlot, of_type: JobTypeId, mine: (SortKey, SortKey)) -> usize {
        let job_type = lane.key.job_type;
        let mode = self.mode_of(job_type);
        if job_type == of_type {
            return lane.rows.rank(&self.nodes, mine.1.seen(mode), mode);
        }
        if mode == self.mode {
            return lane.rows.rank(&self.nodes, mine.0.seen(mode), mode);
        }
        // All entries of one priority share an order: they are before it together or not at all.
        let priority = mine.0.priority();
        let head = lane.rows.head_of(&self.nodes, priority, mode);
        let is_before = head.is_some_and(|row| self.order(job_type, row.key).0 < mine.0);
        match priority.checked_add(1) {
            Some(next) if is_before => lane.rows.n_below(&self.nodes, next),
            None if is_before => lane.rows.len(),
            _ => lane.rows.n_below(&self.nodes, priority),
        }
    }

    /// How things stand with a type. Cost: a line per lane of it; a descent per priority in use in
    /// lanes that lost their oldest entry since they were last asked.
    pub fn type_status(&mut self, job_type: JobTypeId) -> TypeStatus {
        let Self { types, lanes, nodes, mode, .. } = self;
        let Some(slot) = types.get(type_index(job_type)) else { return TypeStatus::default() };
        let mode = slot.mode.unwrap_or(*mode);
        let mut status =
            TypeStatus { n_queued: slot.n_queued, n_taken: slot.n_taken, ..TypeStatus::default() };
        for &at in &slot.lanes {
            let lane = &mut lanes[at as usize];
            let Some(head) = lane.head(mode) else { continue };
            let (oldest, priority) = (lane.rows.oldest(nodes), head.key.priority());
            status.oldest = status.oldest.into_iter().chain(oldest).min();
            status.priority = Some(status.priority.map_or(priority, |least| least.min(priority)));
        }
        status
    }

    /// Launched executions and picks of a type.
    pub(crate) fn n_taken(&self, job_type: JobTypeId) -> u32 {
        self.type_slot(job_type).map_or(0, |slot| slot.n_taken)
    }

    /// How many more of a type may run; `None` without a limit.
    pub(crate) fn n_left(&self, job_type: JobTypeId) -> Option<u32> {
        let slot = self.type_slot(job_type)?;
        slot.limit.map(|limit| limit.saturating_sub(slot.n_taken))
    }

    /// Goes on with a search for the position of an entry, by at most `n_lanes` lanes, at least one. What changes
    /// in between may or may not count. Cost: two descents per lane.
    pub fn search_position(&self, search: &mut PositionSearch, n_lanes: usize) -> Position {
        let Some((at, key)) = self.place_of(search.id) else { return Position::NotQueued };
        let of_type = self.lane(at).key.job_type;
        let mine = self.order(of_type, key);
        let n_lanes = n_lanes.max(1);
        let rest = self.lanes.get(search.next_lane..).unwrap_or_default();
        let n_before = rest.iter().take(n_lanes).map(|lane| self.n_before(lane, of_type, mine));
        search.n_before += n_before.sum::<usize>();
        search.next_lane += n_lanes.min(rest.len());
        if search.next_lane < self.lanes.len() { Position::Searching } else { Position::At(search.n_before) }
    }

    /// Why each lane with entries does, or does not, have something for a node with `free`. Cost:
    /// a search per lane.
    pub fn verdicts(&self, free: &Amounts) -> impl Iterator<Item = LaneVerdict> + '_ {
        let free = *free;
        self.lanes.iter().filter_map(move |lane| self.lane_verdict(lane, &free))
    }

    fn lane_verdict(&self, lane: &LaneSlot, free: &Amounts) -> Option<LaneVerdict> {
        let head = lane.entry(self.head(lane)?);
        Some(LaneVerdict {
            job_type: head.job_type,
            tenant: head.tenant,
            constraints: head.constraints,
            n_queued: lane.rows.len(),
            head,
            verdict: self.verdict(lane, free),
        })
    }

    /// The same of the `n` lanes whose heads come first, in the order of the queue; and how many lanes have
    /// entries. Cost: lanes, and a search in each that is told.
    pub(crate) fn first_verdicts(&self, free: &Amounts, n: usize) -> (Vec<LaneVerdict>, usize) {
        let mut firsts: BinaryHeap<((SortKey, SortKey), usize)> = BinaryHeap::new();
        let mut n_lanes = 0;
        for (at, lane) in self.lanes.iter().enumerate() {
            let Some(head) = self.head(lane) else { continue };
            n_lanes += 1;
            firsts.push((self.order(lane.key.job_type, head.key), at));
            if firsts.len() > n {
                firsts.pop();
            }
        }
        let firsts = firsts.into_sorted_vec();
        let told = firsts.into_iter().filter_map(|(_, at)| self.lane_verdict(&self.lanes[at], free));
        (told.collect(), n_lanes)
    }

    fn verdict(&self, lane: &LaneSlot, free: &Amounts) -> Verdict {
        let slot = &self.types[type_index(lane.key.job_type)];
        if slot.is_paused && !lane.key.is_let_through {
            return Verdict::Paused;
        }
        if let Some(limit) = slot.limit.filter(|_| slot.is_at_limit()) {
            return Verdict::AtLimit { limit, n_taken: slot.n_taken };
        }
        let least = lane.least_asks();
        let lacks =
            self.dims().iter().zip(least.0.iter().zip(free.0)).filter_map(|(name, (&asked, free))| {
                let short = asked.checked_sub(free).filter(|short| *short > 0)?;
                Some(Lack { resource: name.clone(), asked: Quantity(asked), short: Quantity(short) })
            });
        let lacks: Vec<Lack> = lacks.collect();
        if !lacks.is_empty() {
            return Verdict::Short(lacks);
        }
        let counts = with_sum(lane.key.units.counts_free(free.varying()));
        let mode = slot.mode.unwrap_or(self.mode());
        let row = lane.rows.first_fit(&self.nodes, &counts, mode, SortKey::MAX, &mut 0);
        row.map_or(Verdict::ShortTogether, |row| Verdict::Fits(row.key.id()))
    }
}
