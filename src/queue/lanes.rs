//! What is queued, in lanes, with the switches that hold lanes back.
//!
//! Owned by the core; nothing here locks, reads a clock or does I/O. Maps are looked up, never
//! walked, so equal histories give equal queues.
//!
//! Q1  An execution is in at most one place: a lane, or among the picked.
//! Q2  `open` holds exactly the lanes that have rows and whose type is neither paused nor at its
//!     limit, each under a bound that none of its rows comes before.
//! Q3  `n_taken` of a type counts its launched executions and its picks; it changes nowhere else.
//! Q4  A pick that is put back stands where it stood.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt};

use super::amounts::{Amounts, Dims};
use super::lane::{Lane, Row, SortKey};
use crate::model::{ConstraintSetId, ExeId, JobId, JobTypeId, NodeResources, QueueMode, TenantId, Timestamp};

/// What entries of one lane share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    pub(crate) tenant: TenantId,
    pub(crate) job_type: JobTypeId,
    pub(crate) constraints: ConstraintSetId,
    /// The requirement class: what is asked for but memory and disk.
    pub(crate) fixed: Amounts,
}

/// An entry as it comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: ExeId,
    pub(crate) job: JobId,
    pub(crate) job_type: JobTypeId,
    pub(crate) tenant: TenantId,
    pub(crate) constraints: ConstraintSetId,
    pub(crate) priority: i32,
    pub(crate) queued: Timestamp,
    pub(crate) asks: Amounts,
}

impl Entry {
    fn lane_key(&self) -> LaneKey {
        LaneKey {
            tenant: self.tenant,
            job_type: self.job_type,
            constraints: self.constraints,
            fixed: self.asks.fixed_part(),
        }
    }
}

struct LaneSlot {
    key: LaneKey,
    rows: Lane,
    /// Under which bound the lane stands in `open`, where it does.
    open_at: Option<SortKey>,
}

#[derive(Default)]
struct TypeSlot {
    mode: Option<QueueMode>,
    is_paused: bool,
    limit: Option<u32>,
    n_taken: u32,
    lanes: Vec<usize>,
    /// How many entries were queued at which instant; the first key is the oldest.
    times: BTreeMap<Timestamp, u32>,
    /// The same by priority.
    priorities: BTreeMap<i32, u32>,
}

impl TypeSlot {
    fn is_held(&self) -> bool {
        self.is_paused || self.is_at_limit()
    }

    fn is_at_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.n_taken >= limit)
    }
}

fn count_up<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn count_down<K: Ord + Copy>(counts: &mut BTreeMap<K, u32>, key: K) {
    let count = counts.get_mut(&key).expect("Q1: counted when it came");
    *count -= 1;
    if *count == 0 {
        counts.remove(&key);
    }
}

/// Where a queued execution is.
#[derive(Clone, Copy, Debug)]
struct Place {
    lane: usize,
    job: JobId,
    key: SortKey,
}

/// How things stand with one type's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TypeStatus {
    pub(crate) n_queued: usize,
    pub(crate) oldest: Option<Timestamp>,
    /// The smallest number among its entries.
    pub(crate) priority: Option<i32>,
    /// Launched executions and picks.
    pub(crate) n_taken: u32,
}

/// All that waits for a node.
pub(crate) struct Queue {
    dims: Dims,
    mode: QueueMode,
    lanes: Vec<LaneSlot>,
    lane_of: HashMap<LaneKey, usize>,
    types: HashMap<JobTypeId, TypeSlot>,
    open: BTreeSet<(SortKey, usize)>,
    places: HashMap<ExeId, Place>,
    picked: HashMap<ExeId, Entry>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            dims: Dims::default(),
            mode: QueueMode::default(),
            lanes: Vec::new(),
            lane_of: HashMap::new(),
            types: HashMap::new(),
            open: BTreeSet::new(),
            places: HashMap::new(),
            picked: HashMap::new(),
        }
    }
}

impl Queue {
    pub(crate) fn dims(&self) -> &Dims {
        &self.dims
    }

    pub(crate) fn dims_mut(&mut self) -> &mut Dims {
        &mut self.dims
    }

    /// Entries in lanes.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Entries picked and neither launched nor put back.
    pub(crate) fn n_picked(&self) -> usize {
        self.picked.len()
    }

    pub(crate) fn n_lanes(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn mode(&self) -> QueueMode {
        self.mode
    }

    fn mode_of(&self, job_type: JobTypeId) -> QueueMode {
        self.types.get(&job_type).and_then(|slot| slot.mode).unwrap_or(self.mode)
    }

    fn lane_index(&mut self, key: LaneKey) -> usize {
        if let Some(&at) = self.lane_of.get(&key) {
            return at;
        }
        let at = self.lanes.len();
        self.lanes.push(LaneSlot { key, rows: Lane::default(), open_at: None });
        self.lane_of.insert(key, at);
        self.types.entry(key.job_type).or_default().lanes.push(at);
        at
    }

    /// Puts the lane where its head and its type's switches say. Cost: two steps in a tree of
    /// open lanes.
    fn refresh(&mut self, at: usize) {
        let lane = &self.lanes[at];
        let slot = &self.types[&lane.key.job_type];
        let head = lane.rows.first().filter(|_| !slot.is_held());
        let is_override = slot.mode.is_some_and(|mode| mode != self.mode);
        let bound = head.map(|row| if is_override { SortKey::floor(row.key.priority()) } else { row.key });
        if bound == lane.open_at {
            return;
        }
        if let Some(old) = lane.open_at {
            self.open.remove(&(old, at));
        }
        if let Some(new) = bound {
            self.open.insert((new, at));
        }
        self.lanes[at].open_at = bound;
    }

    fn refresh_type(&mut self, job_type: JobTypeId) {
        for at in self.types.get(&job_type).map(|slot| slot.lanes.clone()).unwrap_or_default() {
            self.refresh(at);
        }
    }

    /// Changes a type's switches, and opens or closes its lanes where that matters. Cost: lanes
    /// of the type when it becomes held or free, else nothing.
    fn with_type(&mut self, job_type: JobTypeId, change: impl FnOnce(&mut TypeSlot)) {
        let slot = self.types.entry(job_type).or_default();
        let before = slot.is_held();
        change(slot);
        if slot.is_held() != before {
            self.refresh_type(job_type);
        }
    }

    /// Queues an entry.
    ///
    /// # Panics
    /// When it is queued already.
    pub(crate) fn insert(&mut self, entry: Entry) {
        assert!(!self.picked.contains_key(&entry.id), "Q1: {:?} is picked", entry.id);
        let key = SortKey::new(self.mode_of(entry.job_type), entry.priority, entry.queued, entry.id);
        let lane = self.lane_index(entry.lane_key());
        self.lanes[lane].rows.insert(Row { key, varying: entry.asks.varying() });
        let old = self.places.insert(entry.id, Place { lane, job: entry.job, key });
        assert!(old.is_none(), "Q1: {:?} is queued", entry.id);
        let slot = self.types.get_mut(&entry.job_type).expect("made with its lane");
        count_up(&mut slot.times, entry.queued);
        count_up(&mut slot.priorities, entry.priority);
        self.refresh(lane);
    }

    /// Takes an entry out of its lane.
    fn remove(&mut self, id: ExeId) -> Option<Entry> {
        let place = self.places.remove(&id)?;
        let LaneKey { tenant, job_type, constraints, fixed } = self.lanes[place.lane].key;
        let row = self.lanes[place.lane].rows.remove(place.key).expect("Q1: it is in its lane");
        let mode = self.mode_of(job_type);
        let (priority, queued) = (row.key.priority(), row.key.queued(mode));
        let slot = self.types.get_mut(&job_type).expect("made with its lane");
        count_down(&mut slot.times, queued);
        count_down(&mut slot.priorities, priority);
        self.refresh(place.lane);
        let asks = fixed.with_varying(row.varying);
        Some(Entry { id, job: place.job, job_type, tenant, constraints, priority, queued, asks })
    }

    /// Takes an entry out for good, picked or not.
    pub(crate) fn cancel(&mut self, id: ExeId) -> Option<Entry> {
        if let Some(entry) = self.picked.remove(&id) {
            self.with_type(entry.job_type, |slot| slot.n_taken -= 1);
            return Some(entry);
        }
        self.remove(id)
    }

    /// Sets an entry aside for a node; from now on its type's limit counts it.
    pub(crate) fn pick(&mut self, id: ExeId) -> Option<Entry> {
        let entry = self.remove(id)?;
        self.picked.insert(id, entry);
        self.with_type(entry.job_type, |slot| slot.n_taken += 1);
        Some(entry)
    }

    /// Puts a pick back to its exact place. False when it was canceled meanwhile.
    pub(crate) fn put_back(&mut self, id: ExeId) -> bool {
        let Some(entry) = self.picked.remove(&id) else { return false };
        self.with_type(entry.job_type, |slot| slot.n_taken -= 1);
        self.insert(entry);
        true
    }

    pub(crate) fn is_picked(&self, id: ExeId) -> bool {
        self.picked.contains_key(&id)
    }

    /// A pick, or (when a log is folded) an entry in its lane, becomes a launched execution.
    pub(crate) fn launch(&mut self, id: ExeId) -> Option<Entry> {
        if let Some(entry) = self.picked.remove(&id) {
            return Some(entry);
        }
        let entry = self.remove(id)?;
        self.with_type(entry.job_type, |slot| slot.n_taken += 1);
        Some(entry)
    }

    /// Counts an execution that was launched before the queue was filled (a restored state).
    pub(crate) fn count_launched(&mut self, job_type: JobTypeId) {
        self.with_type(job_type, |slot| slot.n_taken += 1);
    }

    /// An execution that had been launched is over.
    pub(crate) fn end(&mut self, job_type: JobTypeId) {
        self.with_type(job_type, |slot| slot.n_taken = slot.n_taken.saturating_sub(1));
    }

    /// Gives an entry another priority; its time and id stay.
    pub(crate) fn set_priority(&mut self, id: ExeId, priority: i32) -> bool {
        if let Some(entry) = self.picked.get_mut(&id) {
            entry.priority = priority;
            return true;
        }
        let Some(entry) = self.remove(id) else { return false };
        self.insert(Entry { priority, ..entry });
        true
    }

    pub(crate) fn set_paused(&mut self, job_type: JobTypeId, is_paused: bool) {
        self.with_type(job_type, |slot| slot.is_paused = is_paused);
    }

    pub(crate) fn set_limit(&mut self, job_type: JobTypeId, limit: Option<u32>) {
        self.with_type(job_type, |slot| slot.limit = limit);
    }

    /// Sets the direction inside a type; `None` gives it back to the global one.
    pub(crate) fn set_type_mode(&mut self, job_type: JobTypeId, mode: Option<QueueMode>) {
        let from = self.mode_of(job_type);
        self.types.entry(job_type).or_default().mode = mode;
        self.turn_type(job_type, from, mode.unwrap_or(self.mode));
        self.refresh_type(job_type);
    }

    /// Sets the global direction. Cost: every entry of a type without a direction of its own.
    pub(crate) fn set_mode(&mut self, mode: QueueMode) {
        let from = std::mem::replace(&mut self.mode, mode);
        let mut types: Vec<JobTypeId> = self.types.keys().copied().collect();
        types.sort_unstable();
        for job_type in types {
            if self.types[&job_type].mode.is_none() {
                self.turn_type(job_type, from, mode);
            }
            self.refresh_type(job_type);
        }
    }

    fn turn_type(&mut self, job_type: JobTypeId, from: QueueMode, to: QueueMode) {
        if from == to {
            return;
        }
        for &lane in &self.types[&job_type].lanes {
            let slot = &mut self.lanes[lane];
            slot.rows.turn(from, to);
            for row in slot.rows.iter() {
                self.places.get_mut(&row.key.id(to)).expect("Q1: it is in its lane").key = row.key;
            }
        }
    }

    /// The first execution, in the order of the queue, that fits in `free` and is not held back.
    ///
    /// Walks open lanes in the order of their bounds and stops at the first bound behind the best
    /// entry found. Cost: a comparison per lane before it, a scan of minima where one may fit.
    pub(crate) fn first_fit(&self, free: &Amounts) -> Option<ExeId> {
        let mut best: Option<((SortKey, SortKey), ExeId)> = None;
        for &(bound, at) in &self.open {
            if best.is_some_and(|((order, _), _)| order < bound) {
                break;
            }
            let lane = &self.lanes[at];
            if !free.covers(&lane.key.fixed) {
                continue;
            }
            let Some(row) = lane.rows.first_fit(free.varying()) else { continue };
            let order = self.order(lane.key.job_type, row.key);
            if best.is_none_or(|(least, _)| order < least) {
                best = Some((order, row.key.id(self.mode_of(lane.key.job_type))));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Where an entry stands among all: first by what its type's head shows to other types, then
    /// by its place in the type.
    ///
    /// A type with a direction of its own is merged in by its heads. Within one priority its
    /// first entry is the last one by the global direction, so until that entry has left, every
    /// entry of this priority behind it waits for its turn: the first one's key is theirs.
    fn order(&self, job_type: JobTypeId, key: SortKey) -> (SortKey, SortKey) {
        let slot = &self.types[&job_type];
        match slot.mode {
            Some(mode) if mode != self.mode => {
                let floor = SortKey::floor(key.priority());
                let firsts = slot.lanes.iter().filter_map(|&at| self.lanes[at].rows.first_from(floor));
                let first = firsts.map(|row| row.key).min().map_or(key, |first| first.min(key));
                (first.turned(mode, self.mode), key)
            }
            _ => (key, key),
        }
    }

    /// The queued executions in order, types of `without` left out. Cost: a step in a heap of
    /// lanes per entry; the caller bounds it.
    pub(crate) fn iter(&self, without: &[JobTypeId]) -> impl Iterator<Item = Entry> + '_ {
        let mut lanes: Vec<_> = self
            .lanes
            .iter()
            .filter(|lane| !without.contains(&lane.key.job_type))
            .map(|lane| (lane, lane.rows.iter().peekable()))
            .collect();
        let mut heads: BTreeSet<((SortKey, SortKey), usize)> = BTreeSet::new();
        let order = |lane: &LaneSlot, row: Row| self.order(lane.key.job_type, row.key);
        for (at, (lane, rows)) in lanes.iter_mut().enumerate() {
            heads.extend(rows.peek().map(|&row| (order(lane, row), at)));
        }
        std::iter::from_fn(move || {
            let (_, at) = heads.pop_first()?;
            let (lane, rows) = &mut lanes[at];
            let row = rows.next().expect("its head was peeked");
            heads.extend(rows.peek().map(|&row| (order(lane, row), at)));
            Some(self.entry(lane, row))
        })
    }

    /// The first entry of a type, by its own order. Cost: lanes of the type.
    pub(crate) fn first_of_type(&self, job_type: JobTypeId) -> Option<Entry> {
        let lanes = self.types.get(&job_type)?.lanes.iter().map(|&at| &self.lanes[at]);
        let firsts = lanes.filter_map(|lane| lane.rows.first().map(|row| (lane, row)));
        firsts.min_by_key(|(_, row)| row.key).map(|(lane, row)| self.entry(lane, row))
    }

    fn entry(&self, lane: &LaneSlot, row: Row) -> Entry {
        let LaneKey { tenant, job_type, constraints, fixed } = lane.key;
        let mode = self.mode_of(job_type);
        let id = row.key.id(mode);
        Entry {
            id,
            job: self.places[&id].job,
            job_type,
            tenant,
            constraints,
            priority: row.key.priority(),
            queued: row.key.queued(mode),
            asks: fixed.with_varying(row.varying),
        }
    }

    /// A queued execution by its id.
    pub(crate) fn get(&self, id: ExeId) -> Option<Entry> {
        if let Some(entry) = self.picked.get(&id) {
            return Some(*entry);
        }
        let place = self.places.get(&id)?;
        let lane = &self.lanes[place.lane];
        let row = lane.rows.first_from(place.key).expect("Q1: it is in its lane");
        Some(self.entry(lane, row))
    }

    /// How many entries are before `id`, held back or not. Cost: a search in every lane.
    pub(crate) fn position(&self, id: ExeId) -> Option<usize> {
        let place = self.places.get(&id)?;
        let of_type = self.lanes[place.lane].key.job_type;
        let mine = self.order(of_type, place.key);
        let before = self.lanes.iter().map(|lane| self.n_before(lane, of_type, mine));
        Some(before.sum())
    }

    /// Entries of `lane` before the one of type `of_type` that stands at `mine`.
    fn n_before(&self, lane: &LaneSlot, of_type: JobTypeId, mine: (SortKey, SortKey)) -> usize {
        let job_type = lane.key.job_type;
        if job_type == of_type {
            return lane.rows.rank(mine.1);
        }
        let mode = self.mode_of(job_type);
        if mode == self.mode {
            return lane.rows.rank(mine.0);
        }
        // All entries of one priority share an order: they are before it together or not at all.
        let priority = mine.0.priority();
        let floor = SortKey::floor(priority);
        let is_before = lane
            .rows
            .first_from(floor)
            .is_some_and(|row| row.key.priority() == priority && self.order(job_type, row.key).0 < mine.0);
        let end = match priority.checked_add(1) {
            Some(next) if is_before => SortKey::floor(next),
            None if is_before => return lane.rows.len(),
            _ => floor,
        };
        lane.rows.rank(end)
    }

    /// How things stand with a type. Cost: constant.
    pub(crate) fn type_status(&self, job_type: JobTypeId) -> TypeStatus {
        let Some(slot) = self.types.get(&job_type) else { return TypeStatus::default() };
        TypeStatus {
            n_queued: slot.lanes.iter().map(|&lane| self.lanes[lane].rows.len()).sum(),
            oldest: slot.times.keys().next().copied(),
            priority: slot.priorities.keys().next().copied(),
            n_taken: slot.n_taken,
        }
    }

    /// Whether something holds a type back: paused, and at its limit.
    pub(crate) fn held_by(&self, job_type: JobTypeId) -> (bool, bool) {
        self.types.get(&job_type).map_or((false, false), |slot| (slot.is_paused, slot.is_at_limit()))
    }

    /// Holds Q1 to Q3 against what is there, as far as the queue alone can tell.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        let mut n_rows = 0;
        for (at, lane) in self.lanes.iter().enumerate() {
            lane.rows.check_invariants();
            n_rows += lane.rows.len();
            let mode = self.mode_of(lane.key.job_type);
            for row in lane.rows.iter() {
                let place = &self.places[&row.key.id(mode)];
                assert!(place.lane == at && place.key == row.key, "Q1: place of {row:?}");
                assert!(!self.picked.contains_key(&row.key.id(mode)), "Q1: queued and picked");
                let (order, _) = self.order(lane.key.job_type, row.key);
                assert!(lane.open_at.is_none_or(|bound| bound <= order), "Q2: bound of {row:?}");
            }
            let is_open = lane.rows.len() > 0 && !self.types[&lane.key.job_type].is_held();
            assert_eq!(lane.open_at.is_some(), is_open, "Q2: lane {at}");
            assert!(lane.open_at.is_none_or(|bound| self.open.contains(&(bound, at))), "Q2: set");
        }
        assert_eq!(n_rows, self.places.len(), "Q1: as many rows as places");
        assert_eq!(self.open.len(), self.lanes.iter().filter(|l| l.open_at.is_some()).count(), "Q2");
    }

    /// The named form of what an entry asks for, zeros left out.
    pub(crate) fn named(&self, amounts: &Amounts) -> NodeResources {
        self.dims.named(amounts)
    }
}
