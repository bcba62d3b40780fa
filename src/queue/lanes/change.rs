//! What changes a queue: entries come, are set aside, come back and go; types are held and let go.

use super::{Entry, LaneKey, Picked, Queue, Row, type_index};
use crate::limits::{JOB_TYPES_MAX, LANES_MAX, QUEUED_MAX};
use crate::model::{ExeId, ID_MAX, JobTypeId, QueueMode, Timestamp};
use crate::queue::error::InsertError;
use crate::queue::key::SortKey;
use crate::queue::places::Place;

impl Queue {
    /// Queues an entry. Cost: a descent in its lane, and a move of the lane where its head or its
    /// least request changed.
    ///
    /// # Errors
    /// [`InsertError`]: an id out of range, or there already, or a limit; nothing was changed then.
    pub fn insert(&mut self, entry: Entry) -> Result<(), InsertError> {
        self.check(&entry)?;
        if self.try_put(&entry) { Ok(()) } else { Err(InsertError::AlreadyQueued { id: entry.id }) }
    }

    /// Queues an entry that may not start before `until`: it is in no lane before [`Queue::wake`]
    /// lets it in, and stands then where it would have stood from the start.
    ///
    /// # Errors
    /// As [`Queue::insert`].
    pub fn defer(&mut self, entry: Entry, until: Timestamp) -> Result<(), InsertError> {
        self.check(&entry)?;
        if self.places.get(entry.id).is_some() {
            return Err(InsertError::AlreadyQueued { id: entry.id });
        }
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

    /// Everything but whether it is in a lane or picked.
    fn check(&self, entry: &Entry) -> Result<(), InsertError> {
        let Entry { id, job_type, .. } = *entry;
        if !(1..=ID_MAX).contains(&id.0) {
            return Err(InsertError::IdOutOfRange { id });
        }
        if type_index(job_type) > JOB_TYPES_MAX {
            return Err(InsertError::JobTypeOutOfRange { job_type, max: JOB_TYPES_MAX });
        }
        if self.deferred.until(id).is_some() {
            return Err(InsertError::AlreadyQueued { id });
        }
        if self.places.len() + self.deferred.len() >= QUEUED_MAX {
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
        assert!(self.try_put(&entry), "Q1: {:?} is queued", entry.id);
    }

    /// False, and nothing was changed, where it is queued or picked already.
    fn try_put(&mut self, entry: &Entry) -> bool {
        let at = self.lane_for(entry);
        let place = Place { queued: entry.queued.0, priority: entry.priority, lane: at };
        if let Some(old) = self.places.insert(entry.id, place) {
            self.places.insert(entry.id, old);
            self.list_if_empty(at);
            return false;
        }
        self.put_entry(at, entry);
        true
    }

    fn put_entry(&mut self, at: u32, entry: &Entry) {
        let units = self.lanes[at as usize].key.units;
        self.put_row(at, Row { key: entry.key(), asks: units.counts(entry.asks.varying()), job: entry.job });
    }

    /// The lane where an entry belongs that was let through.
    fn free_lane_for(&mut self, entry: &Entry) -> u32 {
        let key = LaneKey { is_let_through: true, ..entry.lane_key() };
        self.lane_of.get(&key).copied().unwrap_or_else(|| self.new_lane(key))
    }

    /// Lets an entry go on although its type may be paused: from now on only the limit of its type holds it.
    /// Its place in the order stays. False for one that is neither in a lane nor picked. Cost: two descents.
    pub fn let_through(&mut self, id: ExeId) -> bool {
        if self.is_let_through(id) {
            return true;
        }
        if let Some(Picked { lane, row, round }) = self.picked.get(&id).copied() {
            let at = self.free_lane_for(&self.lane(lane).entry(row));
            self.lanes[lane as usize].n_picked -= 1;
            self.lanes[at as usize].n_picked += 1;
            self.picked.insert(id, Picked { lane: at, row, round });
            let place = *self.places.get(id).expect("Q1: a pick has a place");
            self.places.insert(id, Place { lane: at, ..place });
            self.list_if_empty(lane);
            return true;
        }
        let Some(entry) = self.remove(id) else { return false };
        let at = self.free_lane_for(&entry);
        self.places.insert(id, Place { queued: entry.queued.0, priority: entry.priority, lane: at });
        self.put_entry(at, &entry);
        true
    }

    /// Puts a row into a lane; its place says so already.
    fn put_row(&mut self, at: u32, row: Row) {
        let lane = &mut self.lanes[at as usize];
        let slot = &mut self.types[type_index(lane.key.job_type)];
        let mode = slot.mode.unwrap_or(self.mode);
        self.n_empty -= usize::from(lane.rows.len() == 0);
        self.n_rows += 1;
        self.version += 1;
        slot.n_queued += 1;
        lane.rows.insert(&mut self.nodes, row);
        lane.failed.came(&row);
        let head = &mut lane.heads[mode as usize];
        let is_head = head.is_none_or(|head| row.key.seen(mode) < head.key.seen(mode));
        if is_head {
            *head = Some(row);
        }
        if is_head || lane.least != *lane.rows.least() {
            self.refresh(at);
        }
        self.turn_again(at);
    }

    /// Takes the row at `key` out of a lane; its place is left for the caller.
    pub(super) fn take_row(&mut self, at: u32, key: SortKey) -> Row {
        let lane = &mut self.lanes[at as usize];
        let slot = &mut self.types[type_index(lane.key.job_type)];
        let mode = slot.mode.unwrap_or(self.mode);
        self.n_rows -= 1;
        self.version += 1;
        slot.n_queued -= 1;
        let is_head = lane.heads[mode as usize].is_some_and(|head| head.key == key);
        let taken = if is_head && mode == QueueMode::Fifo {
            lane.rows.remove_first(&mut self.nodes)
        } else {
            lane.rows.remove(&mut self.nodes, key)
        };
        let row = taken.filter(|row| row.key == key).expect("Q1: it is in its lane");
        if is_head {
            lane.heads[mode as usize] = lane.rows.head(&self.nodes, mode);
        }
        let is_changed = is_head || lane.least != *lane.rows.least();
        if lane.rows.len() == 0 {
            self.n_empty += 1;
            self.list_if_empty(at);
        }
        if is_changed {
            self.refresh(at);
        }
        self.turn_again(at);
        row
    }

    /// Takes an entry out of its lane.
    fn remove(&mut self, id: ExeId) -> Option<Entry> {
        let place = self.places.remove(id)?;
        let row = self.take_row(place.lane, place.key(id));
        Some(self.lane(place.lane).entry(row))
    }

    /// Takes an entry out of the picked; its place is left for the caller.
    fn unpick(&mut self, id: ExeId) -> Option<Picked> {
        let picked = self.picked.remove(&id)?;
        self.lanes[picked.lane as usize].n_picked -= 1;
        Some(picked)
    }

    /// Takes a pick out that does not come back.
    fn remove_picked(&mut self, id: ExeId) -> Option<Entry> {
        let Picked { lane, row, .. } = self.unpick(id)?;
        let entry = self.lane(lane).entry(row);
        self.places.remove(id);
        self.list_if_empty(lane);
        Some(entry)
    }

    /// Takes an entry out for good, picked, deferred or in its lane; `None` for one that is nowhere.
    /// Cost: a look-up and a descent; a move of its lane where it was the head.
    pub fn cancel(&mut self, id: ExeId) -> Option<Entry> {
        if let Some(entry) = self.remove_picked(id) {
            self.with_type(entry.job_type, |slot| slot.n_taken = slot.n_taken.saturating_sub(1));
            return Some(entry);
        }
        self.deferred.remove(id).or_else(|| self.remove(id))
    }

    /// Sets an entry aside for a node; from now on its type's limit counts it. `None` for one that
    /// is in no lane. Cost: a look-up, a descent in its lane, a move of the lane where it was the head.
    pub fn pick(&mut self, id: ExeId) -> Option<Entry> {
        let (at, key) = self.place_of(id)?;
        Some(self.pick_row(at, key))
    }

    /// The same, where the lane and the key are known.
    pub(super) fn pick_row(&mut self, at: u32, key: SortKey) -> Entry {
        let lane = &mut self.lanes[at as usize];
        lane.n_picked += 1;
        let job_type = lane.key.job_type;
        let row = self.take_row(at, key);
        self.picked.insert(key.id(), Picked { lane: at, row, round: self.round });
        self.with_type(job_type, |slot| slot.n_taken += 1);
        self.lane(at).entry(row)
    }

    /// Puts a pick back to its exact place. False when it was canceled meanwhile.
    pub fn put_back(&mut self, id: ExeId) -> bool {
        let Some(Picked { lane, row, .. }) = self.unpick(id) else { return false };
        let job_type = self.lane(lane).key.job_type;
        self.with_type(job_type, |slot| slot.n_taken = slot.n_taken.saturating_sub(1));
        self.put_row(lane, row);
        true
    }

    /// A pick, or (when a log is folded) an entry in its lane, becomes a launched execution; from now
    /// on only the limit of its type knows of it. Cost: a look-up, after a pick.
    pub fn launch(&mut self, id: ExeId) -> Option<Entry> {
        if let Some(entry) = self.remove_picked(id) {
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

    /// An execution that had been launched is over: its type's limit counts it no more. Nothing
    /// happens for a type that nothing is known of.
    pub fn end(&mut self, job_type: JobTypeId) {
        if self.type_slot(job_type).is_none() {
            return;
        }
        self.with_type(job_type, |slot| slot.n_taken = slot.n_taken.saturating_sub(1));
    }

    /// Gives an entry another priority; its time and id stay.
    pub fn set_priority(&mut self, id: ExeId, priority: i32) -> bool {
        if let Some(picked) = self.picked.get_mut(&id) {
            let place = Place { priority, ..*self.places.get(id).expect("Q1: a pick has a place") };
            picked.row.key = place.key(id);
            self.places.insert(id, place);
            return true;
        }
        if let Some(entry) = self.deferred.get_mut(id) {
            entry.priority = priority;
            return true;
        }
        let is_let_through = self.is_let_through(id);
        let Some(entry) = self.remove(id) else { return false };
        self.put(Entry { priority, ..entry });
        if is_let_through {
            self.let_through(id);
        }
        true
    }

    /// Holds a type's entries back, or lets them go. Cost: lanes of the type.
    ///
    /// # Panics
    /// When the job type's id is above `JOB_TYPES_MAX` (100,000).
    pub fn set_paused(&mut self, job_type: JobTypeId, is_paused: bool) {
        self.with_type(job_type, |slot| slot.is_paused = is_paused);
    }

    /// Sets how many executions of a type may run at once. Cost: lanes of the type.
    ///
    /// # Panics
    /// When the job type's id is above `JOB_TYPES_MAX` (100,000).
    pub fn set_limit(&mut self, job_type: JobTypeId, limit: Option<u32>) {
        self.with_type(job_type, |slot| slot.limit = limit);
    }

    /// Bytes of what grows with entries: the order of the lanes, and with it the look-up by id.
    pub fn bytes(&self) -> (usize, usize) {
        let index = self.nodes.bytes();
        (index, index + self.places.bytes())
    }
}
