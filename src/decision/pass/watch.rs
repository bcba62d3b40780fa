//! Who is passed over, since when, and how often.
//!
//! V1  An execution is watched from the first pass in which it was looked at, fitted on no node,
//!     and could have fitted on an empty one; until it leaves the queue.
//! V2  `overtaken` counts the executions behind it, in the order of the queue, that started since.

use foldhash::HashMap;
use serde::Serialize;

use super::policy::Starvation;
use crate::limits::WATCHED_MAX;
use crate::model::{ExeId, Timestamp};
use crate::queue::SortKey;

/// What is known of one that is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// Since when.
    pub since: Timestamp,
    /// By how many that stand behind it.
    pub overtaken: u64,
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    known: HashMap<ExeId, Passed>,
    /// Those looked at in the pass that is under way, in order, with what had been placed before.
    looked: Vec<(ExeId, SortKey, usize)>,
    /// Those of the last pass in the order of the queue, and how many started since that stand right
    /// behind each: those count for all before too.
    line: Vec<(SortKey, ExeId, u64)>,
}

impl Watch {
    /// An execution fits nowhere now, after so many were placed in this pass. Returns what is known
    /// of it; at `WATCHED_MAX` the others are not watched.
    pub(super) fn passed(
        &mut self,
        (exe, key): (ExeId, SortKey),
        n_placed: usize,
        now: Timestamp,
    ) -> Option<Passed> {
        if self.known.len() >= WATCHED_MAX && !self.known.contains_key(&exe) {
            return None;
        }
        self.looked.push((exe, key, n_placed));
        Some(*self.known.entry(exe).or_insert(Passed { since: now, overtaken: 0 }))
    }

    /// Takes what started between passes into account.
    pub(super) fn begin(&mut self) {
        let mut n_behind = 0;
        for (_, exe, n_started) in self.line.drain(..).rev() {
            n_behind += n_started;
            if let Some(passed) = self.known.get_mut(&exe) {
                passed.overtaken += n_behind;
            }
        }
    }

    /// A pass is over that placed so many.
    pub(super) fn end(&mut self, n_placed: usize) {
        for (exe, key, n_before) in self.looked.drain(..) {
            if let Some(passed) = self.known.get_mut(&exe) {
                passed.overtaken += (n_placed - n_before) as u64;
                self.line.push((key, exe, 0));
            }
        }
        self.line.sort_unstable_by_key(|(key, ..)| *key);
    }

    /// An execution started that stands at `key`. Cost: a search.
    pub(crate) fn started(&mut self, key: SortKey) {
        let n_before = self.line.partition_point(|(other, ..)| *other < key);
        if let Some((.., n_started)) = n_before.checked_sub(1).and_then(|last| self.line.get_mut(last)) {
            *n_started += 1;
        }
    }

    /// Forgets those that do not wait any more. Cost: those that are watched.
    pub(super) fn retain(&mut self, waits: impl Fn(ExeId) -> bool) {
        self.known.retain(|exe, _| waits(*exe));
    }

    pub(super) fn forget(&mut self, exe: ExeId) {
        self.known.remove(&exe);
    }

    /// What is known of an execution. Cost: those that are watched.
    pub(crate) fn get(&self, exe: ExeId) -> Option<Passed> {
        let mut passed = self.known.get(&exe).copied()?;
        if let Some(at) = self.line.iter().position(|(_, other, _)| *other == exe) {
            passed.overtaken += self.line[at..].iter().map(|(.., n_started)| n_started).sum::<u64>();
        }
        Some(passed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// When the next becomes due by the time it waited, by what `bound_of` says of it.
    pub(super) fn next_due(&self, bound_of: impl Fn(ExeId) -> Option<Starvation>) -> Option<Timestamp> {
        let due = self.known.iter().filter_map(|(exe, passed)| Some(passed.since + bound_of(*exe)?.wait()));
        due.min()
    }
}

impl Passed {
    /// Whether a node is to be kept for it.
    pub(super) fn is_due(&self, bound: Starvation, now: Timestamp) -> bool {
        self.overtaken >= u64::from(bound.overtaken) || self.since + bound.wait() <= now
    }
}
