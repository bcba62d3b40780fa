//! Entries that may not start before a time of their own. They wait aside, so that no decision
//! meets them, and come to their lanes under the keys they always had.
//!
//! D1  An entry is in `at` and in `by_time` under the same time, or in neither.

use std::collections::BTreeMap;

use foldhash::HashMap;

use super::lanes::Entry;
use crate::model::{ExeId, Timestamp};

/// See the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Deferred {
    by_time: BTreeMap<(Timestamp, ExeId), Entry>,
    at: HashMap<ExeId, Timestamp>,
}

impl Deferred {
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    pub(super) fn insert(&mut self, entry: Entry, until: Timestamp) {
        self.at.insert(entry.id, until);
        self.by_time.insert((until, entry.id), entry);
    }

    /// Until when an entry waits.
    pub(super) fn until(&self, id: ExeId) -> Option<Timestamp> {
        self.at.get(&id).copied()
    }

    pub(super) fn get(&self, id: ExeId) -> Option<&Entry> {
        self.by_time.get(&(self.until(id)?, id))
    }

    pub(super) fn get_mut(&mut self, id: ExeId) -> Option<&mut Entry> {
        let until = self.until(id)?;
        self.by_time.get_mut(&(until, id))
    }

    pub(super) fn remove(&mut self, id: ExeId) -> Option<Entry> {
        let until = self.at.remove(&id)?;
        self.by_time.remove(&(until, id))
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.keys().next().map(|(until, _)| *until)
    }

    /// The next one that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Entry> {
        let first = self.by_time.first_entry().filter(|first| first.key().0 <= now)?;
        let entry = first.remove();
        self.at.remove(&entry.id);
        Some(entry)
    }

    /// Holds D1 against what is there.
    ///
    /// # Panics
    /// Where it does not hold.
    pub(super) fn check_invariants(&self) {
        assert_eq!(self.at.len(), self.by_time.len(), "D1: as many times as entries");
        for ((until, id), entry) in &self.by_time {
            assert!(self.at.get(id) == Some(until) && entry.id == *id, "D1: {id:?}");
        }
    }
}
