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
//! Q5  `head` of a lane is its head in its type's direction.
//! Q6  Lanes without rows are kept for their next row; of those beyond `EMPTY_KEPT` the one longest
//!     in the list is used for the next new key, so lanes never outgrow what waits by more.

use std::collections::VecDeque;

use foldhash::{HashMap, HashMapExt};

use super::amounts::{Amounts, DISK, Dims, MEM};
use super::deferred::Deferred;
use super::error::InsertError;
use super::failed::FailedOffers;
use super::key::SortKey;
use super::lane::{Lane, MIN_OF_NONE, Row, Varying};
use super::open::{Codes, OpenLanes, code};
use super::places::{Place, Places};
use super::units::Units;
use crate::limits::{JOB_TYPES_MAX, LANES_MAX, QUEUED_MAX};
use crate::model::{
    ConstraintSetId, ExeId, ID_MAX, JobId, JobTypeId, NodeResources, QueueMode, TenantId, Timestamp,
};

/// Empty lanes that are kept: a type whose queue runs dry and fills again finds its lane.
const EMPTY_KEPT: usize = 1_000;

/// What entries of one lane share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneKey {
    tenant: TenantId,
    job_type: JobTypeId,
    constraints: ConstraintSetId,
    /// The requirement class: what is asked for but memory and disk.
    fixed: Amounts,
    /// In which units its rows count memory and disk.
    units: Units,
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
            fixed: self.asks.fixed_part(),
            units: Units::of(self.asks.varying()),
        }
    }

    fn key(&self) -> SortKey {
        SortKey::new(self.priority, self.queued, self.id)
    }
}

struct LaneSlot {
    /// The head, in the type's direction.
    head: Option<Row>,
    /// Under which bound the lane stands in `open`, where it does.
    open_at: Option<SortKey>,
    /// What every entry asks for at least of what varies, and codes for all of it.
    least: Varying,
    codes: Codes,
    rows: Lane,
    failed: FailedOffers,
    key: LaneKey,
    /// Whether it stands in the list of lanes that were empty.
    is_listed: bool,
}

impl LaneSlot {
    fn new(key: LaneKey) -> Self {
        let (rows, failed) = (Lane::default(), FailedOffers::default());
        let codes = key.fixed.0.map(code);
        let mut slot = Self {
            head: None,
            open_at: None,
            least: MIN_OF_NONE,
            codes,
            rows,
            failed,
            key,
            is_listed: false,
        };
        slot.codes = slot.least_codes();
        slot
    }

    /// What one of its rows asks for.
    fn asks(&self, row: Row) -> Amounts {
        self.key.fixed.with_varying(self.key.units.amounts(row.asks))
    }

    /// What every row asks for at least.
    fn least_asks(&self) -> Amounts {
        self.key.fixed.with_varying(self.key.units.amounts(self.rows.min()))
    }

    /// Codes for what its rows ask for at least.
    fn least_codes(&self) -> Codes {
        let mut codes = self.codes;
        let [mem, disk] = self.key.units.amounts(self.rows.min());
        [codes[MEM], codes[DISK]] = [code(mem), code(disk)];
        codes
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
    fn is_held(&self) -> bool {
        self.is_paused || self.is_at_limit()
    }

    fn is_at_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.n_taken >= limit)
    }
}

fn type_index(job_type: JobTypeId) -> usize {
    job_type.0 as usize
}

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
    lane_of: HashMap<LaneKey, u32>,
    /// Lanes that were empty when they were put here, the longest here first.
    emptied: VecDeque<u32>,
    /// Lanes that are empty.
    n_empty: usize,
    /// By job type id.
    types: Vec<TypeSlot>,
    /// Lanes of one decision whose head does not fit, with what is free in their units.
    maybe: Vec<(u32, Varying)>,
    /// First entries of types with a direction of their own, as far as one decision asked.
    firsts: Firsts,
    open: OpenLanes,
    places: Places,
    picked: HashMap<ExeId, Entry>,
    deferred: Deferred,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            dims: Dims::default(),
            mode: QueueMode::default(),
            lanes: Vec::new(),
            lane_of: HashMap::new(),
            emptied: VecDeque::new(),
            n_empty: 0,
            types: Vec::new(),
            maybe: Vec::new(),
            firsts: Vec::new(),
            open: OpenLanes::default(),
            places: Places::default(),
            picked: HashMap::new(),
            deferred: Deferred::default(),
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
        self.places.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of what grows with entries: the order of the lanes, and with it the look-up by id.
    pub fn bytes(&self) -> (usize, usize) {
        let index: usize = self.lanes.iter().map(|lane| lane.rows.bytes()).sum();
        (index, index + self.places.bytes())
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
        self.lanes.len() - self.n_empty
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

    fn lane_index(&mut self, key: LaneKey) -> u32 {
        // Most types have few lanes, and mostly the same one is asked for again.
        let recent = self.type_slot(key.job_type).and_then(|slot| slot.recent);
        if let Some(at) = recent.filter(|&at| self.lane(at).key == key) {
            return at;
        }
        let at = self.lane_of.get(&key).copied().unwrap_or_else(|| self.new_lane(key));
        self.type_slot_mut(key.job_type).recent = Some(at);
        at
    }

    fn new_lane(&mut self, key: LaneKey) -> u32 {
        self.open.set_n_resources(self.dims.len());
        let at = self.spare_lane().unwrap_or_else(|| {
            self.lanes.push(LaneSlot::new(key));
            self.n_empty += 1;
            u32::try_from(self.lanes.len() - 1).expect("little more than LANES_MAX")
        });
        self.lanes[at as usize] = LaneSlot::new(key);
        self.lane_of.insert(key, at);
        self.type_slot_mut(key.job_type).lanes.push(at);
        at
    }

    /// Puts a lane without rows among those that may be used for another key.
    fn list_if_empty(&mut self, at: u32) {
        let lane = &mut self.lanes[at as usize];
        if lane.rows.len() == 0 && !std::mem::replace(&mut lane.is_listed, true) {
            self.emptied.push_back(at);
        }
    }

    /// A lane that has been empty for long, taken from its key.
    fn spare_lane(&mut self) -> Option<u32> {
        while self.emptied.len() > EMPTY_KEPT {
            let at = self.emptied.pop_front()?;
            let lane = &mut self.lanes[at as usize];
            lane.is_listed = false;
            if lane.rows.len() > 0 {
                continue;
            }
            let key = lane.key;
            self.lane_of.remove(&key);
            let slot = self.type_slot_mut(key.job_type);
            slot.lanes.retain(|&other| other != at);
            slot.recent = None;
            return Some(at);
        }
        None
    }

    fn lane(&self, at: u32) -> &LaneSlot {
        &self.lanes[at as usize]
    }

    /// Puts the lane where its head and its type's switches say, after a row came or went. Cost: two
    /// searches over blocks of open lanes where its head or its least request changed, else a
    /// comparison.
    fn refresh_after(&mut self, at: u32, head_before: Option<Row>) {
        let lane = self.lane(at);
        if lane.head != head_before || lane.rows.min() != lane.least {
            self.refresh(at);
        }
    }

    fn refresh(&mut self, at: u32) {
        let lane = &self.lanes[at as usize];
        let slot = &self.types[type_index(lane.key.job_type)];
        let head = lane.head.filter(|_| !slot.is_held());
        let is_override = slot.mode.is_some_and(|mode| mode != self.mode);
        let bound =
            head.map(
                |row| {
                    if is_override { SortKey::floor(row.key.priority()) } else { row.key.seen(self.mode) }
                },
            );
        let (old_bound, old_codes) = (lane.open_at, lane.codes);
        let codes = if lane.rows.min() == lane.least { old_codes } else { lane.least_codes() };
        match (old_bound, bound) {
            (Some(old), Some(new)) if old == new => {
                if codes != old_codes {
                    self.open.set_codes(old, at, codes);
                }
            }
            (Some(old), Some(new)) => {
                self.open.relocate(old, new, at, (codes != old_codes).then_some(codes));
            }
            (Some(old), None) => self.open.remove(old, at),
            (None, Some(new)) => self.open.insert(new, at, codes),
            (None, None) => {}
        }
        let lane = &mut self.lanes[at as usize];
        (lane.open_at, lane.codes, lane.least) = (bound, codes, lane.rows.min());
    }

    fn refresh_type(&mut self, job_type: JobTypeId) {
        for at in self.type_slot(job_type).map(|slot| slot.lanes.clone()).unwrap_or_default() {
            self.refresh(at);
        }
    }

    /// Changes a type's switches, and opens or closes its lanes where that matters. Cost: lanes
    /// of the type when it becomes held or free, else nothing.
    fn with_type(&mut self, job_type: JobTypeId, change: impl FnOnce(&mut TypeSlot)) {
        let slot = self.type_slot_mut(job_type);
        let before = slot.is_held();
        change(slot);
        if slot.is_held() != before {
            self.refresh_type(job_type);
        }
    }

    /// Queues an entry. Cost: a descent in its lane, and a move of the lane where its head or its
    /// least request changed.
    ///
    /// # Errors
    /// [`InsertError`]: an id out of range, or there already, or a limit; nothing was changed then.
    pub fn insert(&mut self, entry: Entry) -> Result<(), InsertError> {
        self.check(&entry)?;
        self.put(entry);
        Ok(())
    }

    /// Queues an entry that may not start before `until`: it is in no lane before [`Queue::wake`]
    /// lets it in, and stands then where it would have stood from the start.
    ///
    /// # Errors
    /// As [`Queue::insert`].
    pub fn defer(&mut self, entry: Entry, until: Timestamp) -> Result<(), InsertError> {
        self.check(&entry)?;
        self.deferred.insert(entry, until);
        Ok(())
    }

    /// Lets at most `most` of the entries in that were deferred until `now` or earlier, the first
    /// due first. Returns how many.
    pub fn wake(&mut self, now: Timestamp, most: usize) -> usize {
        let mut n_woken = 0;
        while n_woken < most {
            let Some(entry) = self.deferred.pop_due(now) else { break };
            self.put(entry);
            n_woken += 1;
        }
        n_woken
    }

    /// When the next deferred entry is due.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.deferred.next()
    }

    /// Until when an entry is deferred.
    pub fn deferred_until(&self, id: ExeId) -> Option<Timestamp> {
        self.deferred.until(id)
    }

    fn check(&self, entry: &Entry) -> Result<(), InsertError> {
        let Entry { id, job_type, .. } = *entry;
        if !(1..=ID_MAX).contains(&id.0) {
            return Err(InsertError::IdOutOfRange { id });
        }
        if type_index(job_type) > JOB_TYPES_MAX {
            return Err(InsertError::JobTypeOutOfRange { job_type, max: JOB_TYPES_MAX });
        }
        let is_here = self.picked.contains_key(&id) || self.deferred.until(id).is_some();
        if is_here || self.places.get(id).is_some() {
            return Err(InsertError::AlreadyQueued { id });
        }
        if self.len() + self.picked.len() + self.deferred.len() >= QUEUED_MAX {
            return Err(InsertError::Full { max: QUEUED_MAX });
        }
        if self.n_lanes() >= LANES_MAX && !self.lane_of.contains_key(&entry.lane_key()) {
            return Err(InsertError::TooManyLanes { max: LANES_MAX });
        }
        Ok(())
    }

    /// Puts an entry into its lane that was checked, or that is on record: what was let in once
    /// comes back whatever the limits say.
    ///
    /// # Panics
    /// When it is queued already.
    pub(crate) fn put(&mut self, entry: Entry) {
        self.type_slot_mut(entry.job_type);
        let at = self.lane_index(entry.lane_key());
        let Entry { id, job, job_type, priority, queued, .. } = entry;
        let old = self.places.insert(id, Place { job, queued: queued.0, priority, lane: at });
        assert!(old.is_none(), "Q1: {id:?} is queued");
        let mode = self.mode_of(job_type);
        let lane = &mut self.lanes[at as usize];
        let row = Row { key: entry.key(), asks: lane.key.units.counts(entry.asks.varying()) };
        if lane.rows.len() == 0 {
            self.n_empty -= 1;
        }
        lane.rows.insert(row);
        lane.failed.came(row.asks);
        let head_before = lane.head;
        if head_before.is_none_or(|head| row.key.seen(mode) < head.key.seen(mode)) {
            lane.head = Some(row);
        }
        self.types[type_index(job_type)].n_queued += 1;
        self.refresh_after(at, head_before);
    }

    /// Takes an entry out of its lane.
    fn remove(&mut self, id: ExeId) -> Option<Entry> {
        let Place { job, queued, priority, lane: at } = self.places.remove(id)?;
        let queued = Timestamp(queued);
        let LaneKey { tenant, job_type, constraints, .. } = self.lane(at).key;
        let mode = self.mode_of(job_type);
        let lane = &mut self.lanes[at as usize];
        let row = lane.rows.remove(SortKey::new(priority, queued, id)).expect("Q1: it is in its lane");
        let head_before = lane.head;
        if head_before == Some(row) {
            lane.head = lane.rows.head(mode);
        }
        let asks = lane.asks(row);
        if lane.rows.len() == 0 {
            self.n_empty += 1;
            self.list_if_empty(at);
        }
        self.types[type_index(job_type)].n_queued -= 1;
        self.refresh_after(at, head_before);
        Some(Entry { id, job, job_type, tenant, constraints, priority, queued, asks })
    }

    /// Takes an entry out for good, picked or not.
    pub fn cancel(&mut self, id: ExeId) -> Option<Entry> {
        if let Some(entry) = self.picked.remove(&id) {
            self.with_type(entry.job_type, |slot| slot.n_taken = slot.n_taken.saturating_sub(1));
            return Some(entry);
        }
        self.deferred.remove(id).or_else(|| self.remove(id))
    }

    /// Sets an entry aside for a node; from now on its type's limit counts it.
    pub fn pick(&mut self, id: ExeId) -> Option<Entry> {
        let entry = self.remove(id)?;
        self.picked.insert(id, entry);
        self.with_type(entry.job_type, |slot| slot.n_taken += 1);
        Some(entry)
    }

    /// Puts a pick back to its exact place. False when it was canceled meanwhile.
    pub fn put_back(&mut self, id: ExeId) -> bool {
        let Some(entry) = self.picked.remove(&id) else { return false };
        self.with_type(entry.job_type, |slot| slot.n_taken = slot.n_taken.saturating_sub(1));
        self.put(entry);
        true
    }

    pub(crate) fn is_picked(&self, id: ExeId) -> bool {
        self.picked.contains_key(&id)
    }

    /// A pick, or (when a log is folded) an entry in its lane, becomes a launched execution.
    pub fn launch(&mut self, id: ExeId) -> Option<Entry> {
        if let Some(entry) = self.picked.remove(&id) {
            return Some(entry);
        }
        let entry = self.deferred.remove(id).or_else(|| self.remove(id))?;
        self.with_type(entry.job_type, |slot| slot.n_taken += 1);
        Some(entry)
    }

    /// Counts an execution that was launched before the queue was filled (a restored state).
    pub(crate) fn count_launched(&mut self, job_type: JobTypeId) {
        self.with_type(job_type, |slot| slot.n_taken += 1);
    }

    /// An execution that had been launched is over: its type's limit counts it no more.
    pub fn end(&mut self, job_type: JobTypeId) {
        self.with_type(job_type, |slot| slot.n_taken = slot.n_taken.saturating_sub(1));
    }

    /// Gives an entry another priority; its time and id stay.
    pub fn set_priority(&mut self, id: ExeId, priority: i32) -> bool {
        if let Some(entry) = self.picked.get_mut(&id) {
            entry.priority = priority;
            return true;
        }
        if let Some(entry) = self.deferred.get_mut(id) {
            entry.priority = priority;
            return true;
        }
        let Some(entry) = self.remove(id) else { return false };
        self.put(Entry { priority, ..entry });
        true
    }

    /// Holds a type's entries back, or lets them go. Cost: lanes of the type.
    pub fn set_paused(&mut self, job_type: JobTypeId, is_paused: bool) {
        self.with_type(job_type, |slot| slot.is_paused = is_paused);
    }

    /// Sets how many executions of a type may run at once. Cost: lanes of the type.
    pub fn set_limit(&mut self, job_type: JobTypeId, limit: Option<u32>) {
        self.with_type(job_type, |slot| slot.limit = limit);
    }

    /// Sets the direction inside a type; `None` gives it back to the global one. Cost: lanes of the
    /// type.
    pub fn set_type_mode(&mut self, job_type: JobTypeId, mode: Option<QueueMode>) {
        self.type_slot_mut(job_type).mode = mode;
        self.turn(job_type);
    }

    /// Sets the global direction. Cost: every lane.
    pub fn set_mode(&mut self, mode: QueueMode) {
        self.mode = mode;
        for id in 0..u32::try_from(self.types.len()).expect("at most JOB_TYPES_MAX") {
            self.turn(JobTypeId(id));
        }
    }

    /// Finds the heads of a type's lanes anew.
    fn turn(&mut self, job_type: JobTypeId) {
        let mode = self.mode_of(job_type);
        for at in self.types[type_index(job_type)].lanes.clone() {
            let lane = &mut self.lanes[at as usize];
            lane.head = lane.rows.head(mode);
            self.refresh(at);
        }
    }

    /// Switches the direction, of one type (`None` gives it back to the global one) or of all that
    /// have none of their own: begins it. The order changes at once when [`Queue::turn_some`]
    /// has said that it is done; until then the old one holds.
    pub fn start_turn(&mut self, job_type: Option<JobTypeId>, mode: Option<QueueMode>) {
        match job_type {
            Some(job_type) => self.set_type_mode(job_type, mode),
            None => self.set_mode(mode.unwrap_or_default()),
        }
    }

    /// Goes on with a switch that was begun, by at most `n_lanes` lanes. True when none is under
    /// way any more.
    #[expect(clippy::unused_self, reason = "a switch is done at once so far")]
    pub fn turn_some(&mut self, _n_lanes: usize) -> bool {
        true
    }

    /// Decides, and sets the answer aside for a node as [`Queue::pick`] does: takes the first
    /// execution that fits in `free`, and what it asks for out of `free`.
    pub fn take_first_fit(&mut self, free: &mut Amounts) -> Option<Entry> {
        let id = self.first_fit(free)?;
        let entry = self.pick(id).expect("it was found in the queue");
        *free = free.minus(&entry.asks).expect("it was found to fit");
        Some(entry)
    }

    /// The first execution, in the order of the queue, that fits in `free` and is not held back.
    ///
    /// Passes over lanes in the order of their bounds and stops at the first bound behind the best
    /// entry found. Cost: a line per block of lanes where nothing may fit, a line per lane where
    /// something may, a descent in lanes whose least request fits and whose head does not.
    pub fn first_fit(&mut self, free: &Amounts) -> Option<ExeId> {
        let n_resources = self.dims.len();
        let mut codes = Codes::default();
        for (code, amount) in codes.iter_mut().zip(free.0).take(n_resources) {
            *code = super::open::code(amount);
        }
        let Self { open, lanes, types, mode, maybe, firsts, .. } = self;
        maybe.clear();
        firsts.clear();
        // First the lanes up to the one whose head fits: nothing behind that head matters.
        let mut best: Option<((SortKey, SortKey), ExeId)> = None;
        open.visit(&codes, |bound, at| {
            let lane = &lanes[at as usize];
            let asks = &lane.key.fixed.0[..n_resources];
            if asks.iter().zip(&free.0).any(|(ask, have)| ask > have) {
                return SortKey::MAX;
            }
            let counts = lane.key.units.counts_free(free.varying());
            let fit = lane.head.filter(|head| head.asks[0] <= counts[0] && head.asks[1] <= counts[1]);
            match fit {
                // A head under its own key, not under the bound of a type with its own direction.
                Some(head) if head.key.seen(*mode) == bound => {
                    best = Some(((bound, bound), head.key.id()));
                    bound
                }
                _ => {
                    maybe.push((at, counts));
                    SortKey::MAX
                }
            }
        });
        // Then what lies behind heads that do not fit, as far as it comes before.
        for &(at, counts) in &*maybe {
            let end = best.map_or(SortKey::MAX, |((order, _), _)| order);
            if lanes[at as usize].open_at.is_none_or(|bound| bound > end) {
                break;
            }
            if let Some((order, id)) = search(lanes, types, *mode, at, (counts, end), firsts)
                && best.is_none_or(|(least, _)| order < least)
            {
                best = Some((order, id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Where an entry stands among all; see [`order`].
    fn order(&self, job_type: JobTypeId, key: SortKey) -> (SortKey, SortKey) {
        order(&self.lanes, &self.types[type_index(job_type)], self.mode, key)
    }

    fn entry(&self, lane: &LaneSlot, row: Row) -> Entry {
        let LaneKey { tenant, job_type, constraints, .. } = lane.key;
        let id = row.key.id();
        Entry {
            id,
            job: self.places.get(id).expect("Q1: it has a place").job,
            job_type,
            tenant,
            constraints,
            priority: row.key.priority(),
            queued: row.key.queued(),
            asks: lane.asks(row),
        }
    }

    fn key_at(place: &Place, id: ExeId) -> SortKey {
        SortKey::new(place.priority, Timestamp(place.queued), id)
    }

    /// A queued execution by its id.
    pub fn get(&self, id: ExeId) -> Option<Entry> {
        if let Some(entry) = self.picked.get(&id).or_else(|| self.deferred.get(id)) {
            return Some(*entry);
        }
        let place = self.places.get(id)?;
        let lane = self.lane(place.lane);
        let row = lane.rows.get(Self::key_at(place, id)).expect("Q1: it is in its lane");
        Some(self.entry(lane, row))
    }

    /// Whether something holds a type back: paused, and at its limit.
    pub(crate) fn held_by(&self, job_type: JobTypeId) -> (bool, bool) {
        self.type_slot(job_type).map_or((false, false), |slot| (slot.is_paused, slot.is_at_limit()))
    }

    /// Holds Q1 to Q3 against what is there, as far as the queue alone can tell.
    ///
    /// # Panics
    /// Where they do not hold.
    pub fn check_invariants(&self) {
        let mut n_rows = 0;
        self.open.check_invariants();
        self.deferred.check_invariants();
        for (at, lane) in (0..).zip(&self.lanes) {
            lane.rows.check_invariants();
            n_rows += lane.rows.len();
            let mode = self.mode_of(lane.key.job_type);
            assert_eq!(lane.head, lane.rows.head(mode), "Q5");
            let mut next = lane.head;
            while let Some(row) = next {
                let id = row.key.id();
                let place = self.places.get(id).expect("Q1: a row has a place");
                assert!(place.lane == at && Self::key_at(place, id) == row.key, "Q1: place of {row:?}");
                assert!(!self.picked.contains_key(&id), "Q1: queued and picked");
                let (order, _) = self.order(lane.key.job_type, row.key);
                assert!(lane.open_at.is_none_or(|bound| bound <= order), "Q2: bound of {row:?}");
                next = lane.rows.after(row.key, mode);
            }
            let is_open = lane.rows.len() > 0 && !self.types[type_index(lane.key.job_type)].is_held();
            assert_eq!(lane.open_at.is_some(), is_open, "Q2: lane {at}");
            assert!(lane.open_at.is_none_or(|bound| self.open.contains(bound, at)), "Q2: set");
            assert_eq!(lane.codes, lane.least_codes(), "Q2: codes");
        }
        assert_eq!(n_rows, self.places.len(), "Q1: as many rows as places");
        assert_eq!(self.n_empty, self.lanes.iter().filter(|lane| lane.rows.len() == 0).count(), "Q6");
        let of_types: usize = self.types.iter().map(|slot| slot.lanes.len()).sum();
        assert_eq!([of_types, self.lane_of.len()], [self.lanes.len(); 2], "Q6: every lane has a key");
        assert_eq!(self.open.len(), self.lanes.iter().filter(|l| l.open_at.is_some()).count(), "Q2");
    }

    /// The named form of what an entry asks for, zeros left out.
    pub fn named(&self, amounts: &Amounts) -> NodeResources {
        self.dims.named(amounts)
    }
}

/// Where an entry of a type with switches `slot` stands among all: first by what its type's head
/// shows to other types, then by its place in the type. Both as seen in their directions.
///
/// A type with a direction of its own is merged in by its heads. Within one priority its first
/// entry is the last one by the global direction, so until that entry has left, every entry of
/// this priority behind it waits for its turn: the first one's key is theirs.
fn order(lanes: &[LaneSlot], slot: &TypeSlot, mode: QueueMode, key: SortKey) -> (SortKey, SortKey) {
    let Some(own) = slot.mode.filter(|own| *own != mode) else {
        return (key.seen(mode), key.seen(mode));
    };
    let first = first_of(lanes, slot, own, key.priority()).unwrap_or(key);
    (first.seen(mode), key.seen(own))
}

/// The entry of one priority that leaves a type first, in the type's own direction. Cost: a search
/// in each of its lanes.
fn first_of(lanes: &[LaneSlot], slot: &TypeSlot, own: QueueMode, priority: i32) -> Option<SortKey> {
    let heads = slot.lanes.iter().filter_map(|&at| lanes[at as usize].rows.head_of(priority, own));
    heads.map(|row| row.key).min_by_key(|key| key.seen(own))
}

/// First entries that were asked for in one decision: the lanes of a type with a direction of its
/// own all ask for the same one.
type Firsts = Vec<(JobTypeId, i32, SortKey)>;

/// The same as [`order`], for several entries of one decision.
fn order_among(
    lanes: &[LaneSlot],
    slot: &TypeSlot,
    mode: QueueMode,
    (job_type, key): (JobTypeId, SortKey),
    firsts: &mut Firsts,
) -> (SortKey, SortKey) {
    let Some(own) = slot.mode.filter(|own| *own != mode) else {
        return (key.seen(mode), key.seen(mode));
    };
    let priority = key.priority();
    let known = firsts.iter().find(|(of, at, _)| (*of, *at) == (job_type, priority));
    let first = if let Some((.., first)) = known {
        *first
    } else {
        let first = first_of(lanes, slot, own, priority).unwrap_or(key);
        firsts.push((job_type, priority, first));
        first
    };
    (first.seen(mode), key.seen(own))
}

/// The first entry of one lane that fits and that comes before `end`, and where it stands among
/// all.
fn search(
    lanes: &mut [LaneSlot],
    types: &[TypeSlot],
    mode: QueueMode,
    at: u32,
    (free, end): (Varying, SortKey),
    firsts: &mut Firsts,
) -> Option<((SortKey, SortKey), ExeId)> {
    let lane = &mut lanes[at as usize];
    if lane.failed.covers(free) {
        return None;
    }
    let job_type = lane.key.job_type;
    let slot = &types[type_index(job_type)];
    let own = slot.mode.unwrap_or(mode);
    // In a type with a direction of its own, keys do not tell what comes before `end`.
    let end = if own == mode { end } else { SortKey::MAX };
    let mut n_nodes = 0;
    let Some(row) = lane.rows.first_fit(free, own, end, &mut n_nodes) else {
        if end == SortKey::MAX {
            lane.failed.failed(free, n_nodes);
        }
        return None;
    };
    Some((order_among(lanes, slot, mode, (job_type, row.key), firsts), row.key.id()))
}

mod ask;
#[cfg(test)]
mod tests;

pub use ask::{Position, PositionSearch};
