//! What waits of each job type, by what keeps it: counted once in a while, for readers.

use std::collections::BTreeMap;

use super::core::Core;
use super::journal::JournalNote;
use crate::decision::{Tally, WaitCounts, WaitReason};
use crate::model::{JobTypeId, Timestamp};

/// What waits of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    counts: WaitCounts,
    /// What keeps the first.
    first: WaitReason,
    /// Since when, as far as it was looked at.
    since: Timestamp,
}

/// As it was counted last; types of which nothing waits are not there.
#[derive(Default)]
pub(super) struct Tallied(BTreeMap<JobTypeId, Waiting>);

impl Tallied {
    pub(super) fn counts(&self, job_type: JobTypeId) -> WaitCounts {
        self.0.get(&job_type).map(|waiting| waiting.counts).unwrap_or_default()
    }

    /// Since when the first of a type is kept by its limit, as far as that was seen.
    pub(super) fn limited(&self, job_type: JobTypeId) -> Option<Timestamp> {
        let waiting = self.0.get(&job_type).filter(|waiting| waiting.first == WaitReason::Limit);
        waiting.map(|waiting| waiting.since)
    }
}

impl Core {
    /// Counts what waits by what keeps it. True where that is not as it was. Cost: nodes, lanes, and a bounded
    /// number of nodes again.
    pub(super) fn tally(&mut self, now: Timestamp) -> bool {
        if self.state.queue.is_empty() && self.tallied.0.is_empty() {
            return false;
        }
        self.tell_policy();
        let now = self.clamp(now);
        let sight = self.sight(now);
        let mut tally = Tally::new(&sight);
        let before = &self.tallied.0;
        let waiting = |job_type: JobTypeId| {
            let (counts, first) = tally.of(job_type)?;
            let known = before.get(&job_type).filter(|known| known.first == first);
            let since = known.map_or(now, |known| known.since);
            Some((job_type, Waiting { counts, first, since }))
        };
        let found: BTreeMap<_, _> =
            self.state.catalog.iter().map(|kind| kind.id).filter_map(waiting).collect();
        let is_new = found != *before;
        let before = std::mem::replace(&mut self.tallied, Tallied(found)).0;
        self.note_reasons(&before, now);
        is_new
    }

    fn note_reasons(&mut self, before: &BTreeMap<JobTypeId, Waiting>, now: Timestamp) {
        let Self { tallied: Tallied(after), journal, .. } = self;
        let gone = before.keys().filter(|job_type| !after.contains_key(job_type));
        for &job_type in gone.chain(after.keys()) {
            let first = |all: &BTreeMap<JobTypeId, Waiting>| all.get(&job_type).map(|waiting| waiting.first);
            let (before, is) = (first(before), first(after));
            if before != is {
                journal.note(now, JournalNote::Waits { job_type, before, now: is });
            }
        }
    }
}
