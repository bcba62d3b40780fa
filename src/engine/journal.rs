//! What was decided lately, and what kept the rest, for people: a ring in memory. The log holds what changed the
//! state; this holds what led there, and is gone with the process.
//!
//! J1  Numbers rise by one from 1; the ring holds the newest `JOURNAL_LEN` at most.
//! J2  A note takes no memory: the ring has all it needs from the beginning.

use std::collections::VecDeque;

use serde::Serialize;

use crate::decision::{Kept, Reservation, WaitReason};
use crate::limits::JOURNAL_LEN;
use crate::model::{ExeId, JobId, JobTypeId, LaunchName, NodeId, Timestamp};

/// What is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum JournalNote {
    /// A decision was put on record: an execution is launched.
    Launched {
        /// Its launch.
        launch: LaunchName,
        /// Of which job.
        job: JobId,
        /// Of which kind.
        job_type: JobTypeId,
        /// Where.
        node: NodeId,
    },
    /// A decision was not put on record: the execution is back in its place.
    PutBack {
        /// Which.
        exe: ExeId,
        /// Of which job.
        job: JobId,
        /// Of which kind.
        job_type: JobTypeId,
        /// Where it would have run.
        node: NodeId,
    },
    /// A launch was refused by what runs them: the execution is back in its place.
    Returned {
        /// The launch.
        launch: LaunchName,
        /// Of which job.
        job: JobId,
        /// Of which kind.
        job_type: JobTypeId,
        /// Where it would have run.
        node: NodeId,
    },
    /// A node is kept for an execution from now on.
    Kept {
        /// For which.
        exe: ExeId,
        /// Which node.
        node: NodeId,
    },
    /// A node is not kept for an execution any more.
    Freed {
        /// For which it was.
        exe: ExeId,
        /// Which node.
        node: NodeId,
    },
    /// Something else keeps the first waiting execution of a job type than before; looked at once in a second.
    Waits {
        /// Which type.
        job_type: JobTypeId,
        /// What kept it before; none: nothing waited.
        before: Option<WaitReason>,
        /// What keeps it now; none: nothing waits.
        now: Option<WaitReason>,
    },
}

/// A note with its number and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct JournalEntry {
    /// Its number, from 1 since the engine was made.
    pub number: u64,
    /// When.
    pub when: Timestamp,
    /// What.
    #[serde(flatten)]
    pub note: JournalNote,
}

/// See the file.
pub(super) struct Journal {
    ring: VecDeque<(Timestamp, JournalNote)>,
    newest: u64,
    /// Reservations that are noted, by node, and how often they had changed then.
    kept: (u64, Vec<Reservation>),
}

impl Default for Journal {
    fn default() -> Self {
        Self { ring: VecDeque::with_capacity(JOURNAL_LEN), newest: 0, kept: (0, Vec::new()) }
    }
}

impl Journal {
    pub(super) fn note(&mut self, when: Timestamp, note: JournalNote) {
        if self.ring.len() == JOURNAL_LEN {
            self.ring.pop_front();
        }
        self.newest += 1;
        self.ring.push_back((when, note));
    }

    /// Notes which reservations came and went since this was called last. Cost: reservations, where any did.
    pub(super) fn reservations(&mut self, when: Timestamp, kept: &Kept) {
        if kept.n_changes() == self.kept.0 {
            return;
        }
        let now: Vec<Reservation> = kept.iter().copied().collect();
        let before = std::mem::replace(&mut self.kept, (kept.n_changes(), now.clone())).1;
        let is_in = |all: &[Reservation], one: &Reservation| {
            let at = all.binary_search_by_key(&one.node, |other| other.node);
            at.is_ok_and(|at| all[at].exe == one.exe)
        };
        for Reservation { exe, node, .. } in before.iter().filter(|one| !is_in(&now, one)).copied() {
            self.note(when, JournalNote::Freed { exe, node });
        }
        for Reservation { exe, node, .. } in now.iter().filter(|one| !is_in(&before, one)).copied() {
            self.note(when, JournalNote::Kept { exe, node });
        }
    }

    /// Those after a number, the oldest first, at most `limit`.
    pub(super) fn after(&self, after: u64, limit: usize) -> Vec<JournalEntry> {
        let oldest = self.newest - self.ring.len() as u64;
        let skip = usize::try_from(after.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let numbered = self.ring.iter().zip(oldest + 1..).skip(skip);
        let entry = |(&(when, note), number)| JournalEntry { number, when, note };
        numbered.take(limit).map(entry).collect()
    }

    /// The number of the newest.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_holds_the_newest_and_numbers_go_on() {
        let mut journal = Journal::default();
        assert!(journal.after(0, 10).is_empty());
        let capacity = journal.ring.capacity();
        let n = JOURNAL_LEN as u64 + 5;
        for at in 1..=n {
            let note = JournalNote::Kept { exe: ExeId(at), node: NodeId(1) };
            journal.note(Timestamp(0), note);
        }
        let numbers = |after, limit| -> Vec<u64> {
            let entries = journal.after(after, limit);
            for entry in &entries {
                assert_eq!(entry.note, JournalNote::Kept { exe: ExeId(entry.number), node: NodeId(1) });
            }
            entries.iter().map(|entry| entry.number).collect()
        };
        assert_eq!(numbers(0, 2), [6, 7], "the first five are gone");
        assert_eq!(numbers(n - 2, 10), [n - 1, n]);
        assert!(numbers(n, 10).is_empty() && numbers(u64::MAX, 10).is_empty());
        assert_eq!((numbers(0, usize::MAX).len(), journal.newest()), (JOURNAL_LEN, n));
        assert_eq!(journal.ring.capacity(), capacity, "J2");
    }
}
