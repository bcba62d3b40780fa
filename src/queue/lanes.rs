//! What is queued, in lanes, with the switches that hold lanes back.
//!
//! Owned by the core; nothing here locks, reads a clock or does I/O. Maps are looked up, never
//! walked, so equal histories give equal queues.
//!
//! Q1  An execution is in one place: a lane, among the picked, or among the deferred. Those in
//!     lanes and those picked have an entry in `places` that names lane and key.
//! Q2  `open` holds exactly the lanes that have rows and whose type is neither at its limit nor paused
//!     (which does not hold lanes of what was let through), each under a bound that none of its rows
//!     comes before.
//! Q3  `n_taken` of a type counts its launched executions and its picks; it changes nowhere else.
//! Q4  A pick that is put back stands where it stood: its lane keeps its key as long as it is out.
//! Q5  `heads` of a lane holds its head in its type's direction; while a switch is under way also
//!     the one in the other direction, for the lanes that were turned already.
//! Q6  Lanes without rows are kept for their next row; of those beyond `EMPTY_KEPT` the one longest
//!     in the list is used for the next new key, so lanes never outgrow what waits by more.
//! Q7  Lanes of one block ask for the same kinds of resources, as far as `GROUPS_MAX` reaches.

use std::collections::VecDeque;

use foldhash::{HashMap, HashMapExt};

use super::amounts::{Amounts, DISK, Dims, MEM};
use super::deferred::Deferred;
use super::failed::FailedOffers;
use super::key::SortKey;
use super::lane::{LEAST_OF_NONE, Lane, Least, Row};
use super::nodes::Nodes;
use super::open::{BLOCK_LEN, Codes, OpenLanes, code};
use super::places::Places;
use super::units::Units;
use crate::limits::JOB_TYPES_MAX;
use crate::model::{ConstraintSetId, ExeId, JobId, JobTypeId, NodeResources, QueueMode, TenantId, Timestamp};
use find::{Firsts, Maybe};
use turn::Turn;

mod ask;
mod change;
mod find;
#[cfg(test)]
mod tests;
mod turn;
mod walk;

pub use ask::{Position, PositionSearch, TypeStatus};
pub(crate) use walk::Walk;

/// Empty lanes that are kept: a type whose queue runs dry and fills again finds its lane.
const EMPTY_KEPT: usize = 1_000;

/// Kinds of lanes that get blocks of their own; the rest share the last one's.
const GROUPS_MAX: usize = 16;

/// What entries of one lane share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    tenant: TenantId,
    job_type: JobTypeId,
    constraints: ConstraintSetId,
    /// In which units its rows count memory and disk.
    units: Units,
    /// The requirement class: what is asked for but memory and disk.
    fixed: Amounts,
    /// A pause of the type does not hold its rows.
    is_let_through: bool,
}

impl LaneKey {
    /// Whether it is the key of an entry: compared in place, which is cheaper than making it.
    fn is_of(&self, entry: &Entry) -> bool {
        let (fixed, asks) = (&self.fixed.0, &entry.asks.0);
        self.job_type == entry.job_type
            && fixed[..MEM] == asks[..MEM]
            && fixed[DISK + 1..] == asks[DISK + 1..]
            && self.units == Units::of(entry.asks.varying())
            && (self.tenant, self.constraints) == (entry.tenant, entry.constraints)
            && !self.is_let_through
    }
}

/// An execution as it comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id, unique and at most [`ID_MAX`](crate::ID_MAX); ties are broken by it.
    pub id: ExeId,
    /// Of which job.
    pub job: JobId,
    /// Of which kind.
    pub job_type: JobTypeId,
    /// Whose.
    pub tenant: TenantId,
    /// Which nodes it may go to.
    pub constraints: ConstraintSetId,
    /// The lower number is the more important.
    pub priority: i32,
    /// Since when it waits; from 1970 to 2112.
    pub queued: Timestamp,
    /// What it asks for.
    pub asks: Amounts,
}

impl Entry {
    fn lane_key(&self) -> LaneKey {
        LaneKey {
            tenant: self.tenant,
            job_type: self.job_type,
            constraints: self.constraints,
            units: Units::of(self.asks.varying()),
            fixed: self.asks.fixed_part(),
            is_let_through: false,
        }
    }

    pub(crate) fn key(&self) -> SortKey {
        SortKey::new(self.priority, self.queued, self.id)
    }
}

/// A place for a lane; what a decision looks at stands first.
#[repr(C)]
struct LaneSlot {
    /// By direction, FIFO first; see Q5.
    heads: [Option<Row>; 2],
    /// What it asks for beside cpus, memory and disk; see [`Amounts::kinds`].
    kinds: u32,
    key: LaneKey,
    rows: Lane,
    /// What every row asks for at least, and codes for it and for what is fixed.
    least: Least,
    codes: Codes,
    failed: FailedOffers,
    /// Picks that may come back.
    n_picked: u32,
    /// Whether it has a key; else it waits for one.
    is_used: bool,
    /// Whether it stands in the list of lanes that were empty.
    is_listed: bool,
}

impl LaneSlot {
    fn new(key: LaneKey) -> Self {
        let mut slot = Self {
            heads: [None; 2],
            kinds: key.fixed.kinds(),
            key,
            rows: Lane::default(),
            least: LEAST_OF_NONE,
            codes: key.fixed.0.map(code),
            failed: FailedOffers::default(),
            n_picked: 0,
            is_used: true,
            is_listed: false,
        };
        slot.renew_codes();
        slot
    }

    fn vacant() -> Self {
        let key = LaneKey {
            tenant: TenantId::default(),
            job_type: JobTypeId(0),
            constraints: ConstraintSetId::default(),
            units: Units::of([0; 2]),
            fixed: Amounts::default(),
            is_let_through: false,
        };
        Self { is_used: false, ..Self::new(key) }
    }

    fn head(&self, mode: QueueMode) -> Option<Row> {
        self.heads[mode as usize]
    }

    /// What one of its rows asks for.
    fn asks(&self, row: Row) -> Amounts {
        self.key.fixed.with_varying(self.key.units.amounts(row.asks))
    }

    /// The entry that one of its rows stands for.
    fn entry(&self, row: Row) -> Entry {
        let LaneKey { tenant, job_type, constraints, .. } = self.key;
        let (id, job, asks) = (row.key.id(), row.job, self.asks(row));
        let (priority, queued) = (row.key.priority(), row.key.queued());
        Entry { id, job, job_type, tenant, constraints, priority, queued, asks }
    }

    /// What every row asks for at least.
    fn least_asks(&self) -> Amounts {
        let [mem, disk, _] = *self.rows.least();
        self.key.fixed.with_varying(self.key.units.amounts([mem, disk]))
    }

    fn renew_codes(&mut self) {
        self.least = *self.rows.least();
        let [mem, disk] = self.least_asks().varying();
        [self.codes[MEM], self.codes[DISK]] = [code(mem), code(disk)];
    }
}

#[derive(Default)]
struct TypeSlot {
    mode: Option<QueueMode>,
    is_paused: bool,
    limit: Option<u32>,
    n_taken: u32,
    lanes: Vec<u32>,
    /// The lane last asked for.
    recent: Option<u32>,
    /// Entries in its lanes.
    n_queued: usize,
}

impl TypeSlot {
    /// Whether a lane is held back, one that a pause holds or one that it does not.
    fn holds(&self, key: &LaneKey) -> bool {
        (self.is_paused && !key.is_let_through) || self.is_at_limit()
    }

    fn is_at_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.n_taken >= limit)
    }
}

/// Lanes that ask for the same kinds of resources.
struct Group {
    /// A bit for each resource, but those that all ask for.
    kinds: u32,
    /// Slots in its blocks without a lane.
    vacant: Vec<u32>,
}

/// An execution that is set aside for a node.
#[derive(Clone, Copy)]
struct Picked {
    lane: u32,
    row: Row,
    /// Of which round it is.
    round: u64,
}

/// Under which bound a lane with this head stands among open ones: none of its rows comes before.
fn bound_of(slot: &TypeSlot, mode: QueueMode, head: Row) -> SortKey {
    match slot.mode {
        Some(own) if own != mode => SortKey::floor(head.key.priority()),
        _ => head.key.seen(mode),
    }
}

fn type_index(job_type: JobTypeId) -> usize {
    job_type.0 as usize
}

/// All that waits for a node, in memory, for one owner: the heart of the
/// [`Engine`](crate::Engine), for whoever brings threads, clock and log of their own.
///
/// ```
/// use weighbridge::{Entry, ExeId, JobId, JobTypeId, NodeResources, Queue, Timestamp};
/// let mut queue = Queue::default();
/// let asks = queue.intern(&NodeResources::new().cpus("0.5")?.mem_mib(256));
/// let entry = |id| Entry {
///     id: ExeId(id),
///     job: JobId(id),
///     job_type: JobTypeId(1),
///     tenant: Default::default(),
///     constraints: Default::default(),
///     priority: 100,
///     queued: Timestamp(0),
///     asks,
/// };
/// queue.insert(entry(1))?;
/// queue.insert(entry(2))?;
/// let free = queue.lookup(&NodeResources::new().cpus("2")?.mem_mib(1_024));
/// assert_eq!(queue.first_fit(&free), Some(ExeId(1)));
/// queue.pick(ExeId(1));
/// assert_eq!(queue.first_fit(&free), Some(ExeId(2)));
/// queue.put_back(ExeId(1));
/// assert_eq!(queue.first_fit(&free), Some(ExeId(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue {
    dims: Dims,
    mode: QueueMode,
    lanes: Vec<LaneSlot>,
    nodes: Nodes,
    lane_of: HashMap<LaneKey, u32>,
    groups: Vec<Group>,
    /// The group of each block of lanes.
    group_of: Vec<u8>,
    /// Lanes that were empty when they were put here, the longest here first.
    emptied: VecDeque<u32>,
    /// Lanes that have a key and no rows.
    n_empty: usize,
    /// Rows in lanes.
    n_rows: usize,
    /// By job type id.
    types: Vec<TypeSlot>,
    turn: Option<Turn>,
    /// Lanes of one decision whose head does not fit.
    maybe: Vec<Maybe>,
    /// First entries of types with a direction of their own, as far as one decision asked.
    firsts: Firsts,
    open: OpenLanes,
    places: Places,
    picked: HashMap<ExeId, Picked>,
    /// Of picks from now on.
    round: u64,
    deferred: Deferred,
    /// Grows with whatever may change what a decision finds.
    version: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            dims: Dims::default(),
            mode: QueueMode::default(),
            lanes: Vec::new(),
            nodes: Nodes::default(),
            lane_of: HashMap::new(),
            groups: Vec::new(),
            group_of: Vec::new(),
            emptied: VecDeque::new(),
            n_empty: 0,
            n_rows: 0,
            types: Vec::new(),
            turn: None,
            maybe: Vec::new(),
            firsts: Vec::new(),
            open: OpenLanes::default(),
            places: Places::default(),
            picked: HashMap::new(),
            round: 0,
            deferred: Deferred::default(),
            version: 0,
        }
    }
}

impl Queue {
    /// The same number means that a decision finds what it found before.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn dims(&self) -> &Dims {
        &self.dims
    }

    pub(crate) fn dims_mut(&mut self) -> &mut Dims {
        &mut self.dims
    }

    /// The dense form of a request; names it never saw get slots. Names beyond
    /// [`RESOURCES_MAX`](crate::RESOURCES_MAX) in all are dropped.
    pub fn intern(&mut self, asked: &NodeResources) -> Amounts {
        self.dims.intern(asked)
    }

    /// The dense form of what a node has free. Names that no request mentioned are dropped.
    pub fn lookup(&self, free: &NodeResources) -> Amounts {
        self.dims.lookup(free)
    }

    /// Entries in lanes.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries picked and neither launched nor put back.
    pub fn n_picked(&self) -> usize {
        self.picked.len()
    }

    /// Entries that wait for a time of their own.
    pub fn n_deferred(&self) -> usize {
        self.deferred.len()
    }

    /// Lanes with entries.
    pub fn n_lanes(&self) -> usize {
        self.lane_of.len() - self.n_empty
    }

    /// Lanes with entries that neither a pause nor a limit holds.
    pub fn n_open_lanes(&self) -> usize {
        self.open.len()
    }

    /// The global direction of queued time.
    pub fn mode(&self) -> QueueMode {
        self.mode
    }

    fn mode_of(&self, job_type: JobTypeId) -> QueueMode {
        self.type_slot(job_type).and_then(|slot| slot.mode).unwrap_or(self.mode)
    }

    fn type_slot(&self, job_type: JobTypeId) -> Option<&TypeSlot> {
        self.types.get(type_index(job_type))
    }

    fn type_slot_mut(&mut self, job_type: JobTypeId) -> &mut TypeSlot {
        let at = type_index(job_type);
        assert!(at <= JOB_TYPES_MAX, "job type ids are dense, at most {JOB_TYPES_MAX}");
        if self.types.len() <= at {
            self.types.resize_with(at + 1, TypeSlot::default);
        }
        &mut self.types[at]
    }

    fn lane(&self, at: u32) -> &LaneSlot {
        &self.lanes[at as usize]
    }

    /// The head of a lane, in its type's direction.
    fn head(&self, lane: &LaneSlot) -> Option<Row> {
        lane.head(self.mode_of(lane.key.job_type))
    }

    /// The lane where an entry belongs; it may be a new one.
    fn lane_for(&mut self, entry: &Entry) -> u32 {
        // Most types have few lanes, and mostly the same one is asked for again.
        let recent = self.type_slot_mut(entry.job_type).recent;
        if let Some(at) = recent.filter(|&at| self.lane(at).key.is_of(entry)) {
            return at;
        }
        let key = entry.lane_key();
        let at = self.lane_of.get(&key).copied().unwrap_or_else(|| self.new_lane(key));
        self.type_slot_mut(entry.job_type).recent = Some(at);
        at
    }

    fn new_lane(&mut self, key: LaneKey) -> u32 {
        self.open.set_n_resources(self.dims.len());
        self.recycle_lane();
        let at = self.vacant_slot(&key.fixed);
        self.lanes[at as usize] = LaneSlot::new(key);
        self.lane_of.insert(key, at);
        self.n_empty += 1;
        self.type_slot_mut(key.job_type).lanes.push(at);
        at
    }

    /// A slot for a lane, in a block of lanes that ask for the same kinds of resources.
    fn vacant_slot(&mut self, fixed: &Amounts) -> u32 {
        let kinds = fixed.kinds();
        let known = self.groups.iter().position(|group| group.kinds == kinds);
        let group = known.unwrap_or_else(|| {
            if self.groups.len() < GROUPS_MAX {
                self.groups.push(Group { kinds, vacant: Vec::new() });
            }
            self.groups.len() - 1
        });
        if let Some(at) = self.groups[group].vacant.pop() {
            return at;
        }
        let first = u32::try_from(self.lanes.len()).expect("little more than LANES_MAX");
        self.lanes.resize_with(self.lanes.len() + BLOCK_LEN, LaneSlot::vacant);
        self.group_of.push(u8::try_from(group).expect("below GROUPS_MAX"));
        let rest = first + 1..first + u32::try_from(BLOCK_LEN).expect("a few");
        self.groups[group].vacant.extend(rest.rev());
        first
    }

    /// Puts a lane without rows among those that may be used for another key.
    fn list_if_empty(&mut self, at: u32) {
        let lane = &mut self.lanes[at as usize];
        let is_unused = lane.rows.len() == 0 && lane.n_picked == 0;
        if is_unused && !std::mem::replace(&mut lane.is_listed, true) {
            self.emptied.push_back(at);
        }
    }

    /// Takes a lane that has been empty for long from its key, and makes its slot vacant.
    fn recycle_lane(&mut self) {
        while self.emptied.len() > EMPTY_KEPT {
            let Some(at) = self.emptied.pop_front() else { return };
            let lane = &mut self.lanes[at as usize];
            lane.is_listed = false;
            if lane.rows.len() > 0 || lane.n_picked > 0 {
                continue;
            }
            let key = lane.key;
            *lane = LaneSlot::vacant();
            self.n_empty -= 1;
            self.lane_of.remove(&key);
            let slot = self.type_slot_mut(key.job_type);
            if let Some(place) = slot.lanes.iter().position(|&other| other == at) {
                slot.lanes.swap_remove(place);
            }
            slot.recent = None;
            let group = self.group_of[at as usize / BLOCK_LEN];
            self.groups[usize::from(group)].vacant.push(at);
            return;
        }
    }

    /// Puts the lane where its head and its type's switches say.
    fn refresh(&mut self, at: u32) {
        let lane = &self.lanes[at as usize];
        let slot = &self.types[type_index(lane.key.job_type)];
        let head = lane.head(slot.mode.unwrap_or(self.mode)).filter(|_| !slot.holds(&lane.key));
        let bound = head.map(|head| bound_of(slot, self.mode, head));
        let lane = &mut self.lanes[at as usize];
        let is_other = lane.least != *lane.rows.least();
        if is_other {
            lane.renew_codes();
        }
        match (self.open.bound(at), bound) {
            (Some(old), Some(new)) => {
                if old != new {
                    self.open.relocate(at, new);
                }
                if is_other {
                    self.open.set_codes(at, &lane.codes);
                }
            }
            (Some(_), None) => self.open.remove(at),
            (None, Some(new)) => self.open.insert(at, new, &lane.codes),
            (None, None) => {}
        }
    }

    fn refresh_type(&mut self, job_type: JobTypeId) {
        self.version += 1;
        let n_lanes = self.type_slot(job_type).map_or(0, |slot| slot.lanes.len());
        for place in 0..n_lanes {
            self.refresh(self.types[type_index(job_type)].lanes[place]);
        }
    }

    /// Changes a type's switches, and opens or closes its lanes where that matters. Cost: lanes
    /// of the type when it becomes held or free, else nothing.
    fn with_type(&mut self, job_type: JobTypeId, change: impl FnOnce(&mut TypeSlot)) {
        let slot = self.type_slot_mut(job_type);
        let before = (slot.is_paused, slot.is_at_limit());
        change(slot);
        if (slot.is_paused, slot.is_at_limit()) != before {
            self.refresh_type(job_type);
        }
    }

    /// Where an execution is whose place says so, if it is not picked: its lane and its key.
    fn place_of(&self, id: ExeId) -> Option<(u32, SortKey)> {
        let place = self.places.get(id)?;
        (!self.is_picked(id)).then(|| (place.lane, place.key(id)))
    }

    /// Picks from now on are of another round than those before. An execution may be picked, canceled, brought
    /// back and picked again while who picked it first still holds it.
    pub(crate) fn new_round(&mut self) -> u64 {
        self.round += 1;
        self.round
    }

    /// The round of picks at this moment.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Whether an entry is picked by a pick of this round.
    pub(crate) fn is_picked_in(&self, id: ExeId, round: u64) -> bool {
        self.picked.get(&id).is_some_and(|picked| picked.round == round)
    }

    pub(crate) fn is_picked(&self, id: ExeId) -> bool {
        !self.picked.is_empty() && self.picked.contains_key(&id)
    }

    /// Holds Q1 to Q7 against what is there, as far as the queue alone can tell.
    ///
    /// # Panics
    /// Where they do not hold.
    pub fn check_invariants(&self) {
        let (mut n_rows, mut n_open, mut n_empty, mut n_nodes) = (0, 0, 0, [0; 2]);
        self.open.check_invariants();
        self.deferred.check_invariants();
        self.places.check_invariants();
        for (at, lane) in (0..).zip(&self.lanes) {
            let of_lane = lane.rows.check_invariants(&self.nodes);
            n_nodes = [n_nodes[0] + of_lane[0], n_nodes[1] + of_lane[1]];
            assert!(lane.is_used || lane.rows.len() + lane.n_picked as usize == 0, "Q6: vacant");
            if !lane.is_used {
                assert!(self.open.bound(at).is_none(), "Q2: vacant lane {at}");
                continue;
            }
            n_rows += lane.rows.len();
            n_empty += usize::from(lane.rows.len() == 0);
            self.check_heads(at, lane);
            let group = &self.groups[usize::from(self.group_of[at as usize / BLOCK_LEN])];
            let is_shared = self.groups.len() == GROUPS_MAX && group.kinds != lane.kinds;
            assert!(lane.kinds == lane.key.fixed.kinds(), "Q7: kinds");
            assert!(group.kinds == lane.kinds || is_shared, "Q7: lane {at}");
            let mode = self.mode_of(lane.key.job_type);
            let bound = self.open.bound(at);
            let mut next = lane.head(mode);
            while let Some(row) = next {
                let id = row.key.id();
                assert_eq!(self.place_of(id), Some((at, row.key)), "Q1: place of {row:?}");
                assert!(self.deferred.until(id).is_none(), "Q1: queued and deferred");
                let (order, _) = self.order(lane.key.job_type, row.key);
                assert!(bound.is_none_or(|bound| bound <= order), "Q2: bound of {row:?}");
                next = lane.rows.after(&self.nodes, row.key, mode);
            }
            let is_open = lane.rows.len() > 0 && !self.types[type_index(lane.key.job_type)].holds(&lane.key);
            assert_eq!(bound.is_some(), is_open, "Q2: lane {at}");
            n_open += usize::from(is_open);
            assert_eq!(lane.least, *lane.rows.least(), "Q2: least");
        }
        assert_eq!(n_nodes, self.nodes.n_used(), "Q6: nodes");
        assert_eq!(n_rows, self.n_rows, "Q1: rows");
        assert_eq!(n_rows + self.picked.len(), self.places.len(), "Q1: places");
        for (id, picked) in &self.picked {
            let place = self.places.get(*id).expect("Q1: a pick has a place");
            assert!((place.lane, place.key(*id)) == (picked.lane, picked.row.key), "Q4: {id:?}");
        }
        let n_picked: usize = self.lanes.iter().map(|lane| lane.n_picked as usize).sum();
        assert_eq!((n_picked, n_empty), (self.picked.len(), self.n_empty), "Q4, Q6");
        let of_types: usize = self.types.iter().map(|slot| slot.lanes.len()).sum();
        let n_vacant: usize = self.groups.iter().map(|group| group.vacant.len()).sum();
        assert_eq!([of_types, self.lanes.len() - n_vacant], [self.lane_of.len(); 2], "Q6: keys");
        assert_eq!(self.open.len(), n_open, "Q2");
    }

    /// The named form of what an entry asks for, zeros left out.
    pub fn named(&self, amounts: &Amounts) -> NodeResources {
        self.dims.named(amounts)
    }
}
