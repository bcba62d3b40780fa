//! Counts of the past, one row per job type and measurement.
//!
//! H1  Rows of one measurement stand together, ordered by job type, and measurements by their instants.
//! H2  A measurement that found nothing to count leaves one row without a type, so that a chart
//!     has no hole.
//! H3  Measurements go whole: the oldest where there are too many rows, and those that are named.
//! H4  Readers share the pieces that are there when they look, and see nothing of what comes later.

use std::collections::VecDeque;
use std::sync::Arc;

use bincode::{Decode, Encode};

use super::counters::Counters;
use super::look::LoadHistory;
use crate::limits::LOAD_ROWS_CUT_MAX;
use crate::model::{JobTypeId, LoadCounts, Timestamp};

/// Counts of one job type at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LoadRow {
    /// When.
    pub measured: Timestamp,
    /// Which type; none in the row of an idle system.
    pub job_type: Option<JobTypeId>,
    /// PENDING jobs.
    pub pending: u64,
    /// QUEUED jobs.
    pub queued: u64,
    /// RUNNING jobs.
    pub running: u64,
}

impl LoadRow {
    /// The sum of the three.
    pub fn total(&self) -> u64 {
        self.pending + self.queued + self.running
    }

    /// The three, as they are kept: more jobs than [`LOAD_COUNT_MAX`](crate::limits) do not fit in memory.
    pub(crate) fn counts(&self) -> [u32; 3] {
        [self.pending, self.queued, self.running].map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }
}

impl From<&LoadCounts> for LoadRow {
    fn from(of: &LoadCounts) -> Self {
        let [pending, queued, running] = of.counts.map(u64::from);
        Self { measured: of.measured, job_type: of.job_type, pending, queued, running }
    }
}

/// What an event did to the history, for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadChange {
    /// A row is there, in place of one of the same instant and type.
    Put(LoadRow),
    /// All rows of that instant are gone.
    Dropped(Timestamp),
    /// All rows measured before that instant are gone.
    Cut(Timestamp),
}

/// A row without its instant. Type 0 is that of the row without a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) job_type: u32,
    pub(super) counts: [u32; 3],
}

impl Packed {
    fn of(row: &LoadRow) -> Self {
        Self { job_type: row.job_type.map_or(0, |id| id.0), counts: row.counts() }
    }

    pub(super) fn row(self, measured: Timestamp) -> LoadRow {
        let [pending, queued, running] = self.counts.map(u64::from);
        let job_type = (self.job_type > 0).then_some(JobTypeId(self.job_type));
        LoadRow { measured, job_type, pending, queued, running }
    }
}

/// Some measurements in a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    /// Each with where its rows end.
    instants: Vec<(Timestamp, u32)>,
    rows: Vec<Packed>,
}

/// Rows of a chunk beyond which another one is begun. One measurement is never divided.
const CHUNK_ROWS: usize = 1_024;

fn at(n: usize) -> u32 {
    u32::try_from(n).expect("a chunk is a few measurements of at most JOB_TYPES_MAX rows")
}

impl Chunk {
    fn rows_of(&self, nth: usize) -> std::ops::Range<usize> {
        let start = nth.checked_sub(1).map_or(0, |before| self.instants[before].1 as usize);
        start..self.instants[nth].1 as usize
    }

    fn first(&self) -> Timestamp {
        self.instants.first().map_or(Timestamp(i64::MAX), |(measured, _)| *measured)
    }

    pub(super) fn last(&self) -> Timestamp {
        self.instants.last().map_or(Timestamp(i64::MIN), |(measured, _)| *measured)
    }

    /// Measurements from `started` to `ended`, each with its rows.
    pub(super) fn within(
        &self,
        started: Timestamp,
        ended: Timestamp,
    ) -> impl DoubleEndedIterator<Item = (Timestamp, &[Packed])> {
        let from = self.instants.partition_point(|(measured, _)| *measured < started);
        let to = self.instants.partition_point(|(measured, _)| *measured <= ended).max(from);
        (from..to).map(|nth| (self.instants[nth].0, &self.rows[self.rows_of(nth)]))
    }

    fn push(&mut self, measured: Timestamp, row: Packed) {
        self.rows.push(row);
        let end = at(self.rows.len());
        match self.instants.last_mut().filter(|(last, _)| *last == measured) {
            Some((_, last)) => *last = end,
            None => self.instants.push((measured, end)),
        }
    }

    /// Puts a row in its place. What it replaces, if anything.
    fn put(&mut self, measured: Timestamp, row: Packed) -> Option<Packed> {
        let nth = match self.instants.binary_search_by_key(&measured, |(measured, _)| *measured) {
            Ok(nth) => nth,
            Err(nth) => {
                let start = nth.checked_sub(1).map_or(0, |before| self.instants[before].1);
                self.instants.insert(nth, (measured, start));
                nth
            }
        };
        let rows = self.rows_of(nth);
        match self.rows[rows.clone()].binary_search_by_key(&row.job_type, |row| row.job_type) {
            Ok(place) => Some(std::mem::replace(&mut self.rows[rows.start + place], row)),
            Err(place) => {
                self.rows.insert(rows.start + place, row);
                self.instants[nth..].iter_mut().for_each(|(_, end)| *end += 1);
                None
            }
        }
    }

    /// What is left of it without the measurements that `is_gone` names.
    fn without(&self, is_gone: impl Fn(Timestamp) -> bool) -> Self {
        let mut left = Self::default();
        for (nth, (measured, _)) in self.instants.iter().enumerate().filter(|(_, (at, _))| !is_gone(*at)) {
            left.rows.extend_from_slice(&self.rows[self.rows_of(nth)]);
            left.instants.push((*measured, at(left.rows.len())));
        }
        left
    }

    /// Its later half, where it is too long.
    fn split(&mut self) -> Option<Self> {
        if self.rows.len() <= 2 * CHUNK_ROWS || self.instants.len() < 2 {
            return None;
        }
        let middle = self.instants[self.instants.len() / 2].0;
        let later = self.without(|measured| measured < middle);
        *self = self.without(|measured| measured >= middle);
        Some(later)
    }
}

/// The rows that are kept. A row takes 16 bytes and a measurement 16 more.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    chunks: VecDeque<Arc<Chunk>>,
    n_rows: usize,
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.n_rows == other.n_rows && self.iter().eq(other.iter())
    }
}

impl History {
    /// Takes `counters` down. `keep_rows` bounds what is kept.
    pub(crate) fn take(
        &mut self,
        measured: Timestamp,
        counters: &Counters,
        keep_rows: u32,
        changes: &mut Vec<LoadChange>,
    ) {
        let n_before = changes.len();
        for (job_type, counts) in counters.iter() {
            let (pending, queued, running) = (counts.pending, counts.queued, counts.running);
            if pending + queued + running > 0 {
                let row = LoadRow { measured, job_type: Some(job_type), pending, queued, running };
                self.put(&row);
                changes.push(LoadChange::Put(row));
            }
        }
        let n_came = changes.len() - n_before;
        if n_came == 0 {
            let row = LoadRow { measured, job_type: None, pending: 0, queued: 0, running: 0 };
            self.put(&row);
            changes.push(LoadChange::Put(row));
        }
        changes.extend(self.cut(keep_rows, n_came));
    }

    /// Puts rows on record, whenever they were measured.
    pub(crate) fn put_rows(&mut self, rows: &[LoadRow], keep_rows: u32, changes: &mut Vec<LoadChange>) {
        for row in rows {
            self.put(row);
            changes.push(LoadChange::Put(*row));
        }
        changes.extend(self.cut(keep_rows, rows.len()));
    }

    /// Drops the oldest measurements while there are too many rows, but never the newest one, and a
    /// bounded number of rows beyond as many as came.
    fn cut(&mut self, keep_rows: u32, n_came: usize) -> Option<LoadChange> {
        let surplus = self.n_rows.saturating_sub(keep_rows as usize);
        let surplus = surplus.min(n_came + LOAD_ROWS_CUT_MAX);
        if surplus == 0 {
            return None;
        }
        let newest = self.last()?;
        let mut n_gone = 0;
        let all = self.chunks.iter().flat_map(|chunk| chunk.within(Timestamp(i64::MIN), newest));
        let is_left = |(_, rows): &(Timestamp, &[Packed])| {
            let is_left = n_gone >= surplus;
            n_gone += rows.len();
            is_left
        };
        let from = all.into_iter().find(is_left).map_or(newest, |(measured, _)| measured);
        self.cut_before(from);
        Some(LoadChange::Cut(from))
    }

    fn cut_before(&mut self, from: Timestamp) {
        while self.chunks.front().is_some_and(|chunk| chunk.last() < from) {
            self.n_rows -= self.chunks.pop_front().map_or(0, |chunk| chunk.rows.len());
        }
        if let Some(chunk) = self.chunks.front_mut().filter(|chunk| chunk.first() < from) {
            let left = chunk.without(|measured| measured < from);
            self.n_rows -= chunk.rows.len() - left.rows.len();
            *chunk = Arc::new(left);
        }
    }

    /// Drops the measurements of these instants, which rise.
    pub(crate) fn drop_all(&mut self, gone: &[Timestamp], changes: &mut Vec<LoadChange>) {
        let (Some(first), Some(last)) = (gone.first(), gone.last()) else { return };
        let from = self.chunks.partition_point(|chunk| chunk.last() < *first);
        let to = self.chunks.partition_point(|chunk| chunk.first() <= *last);
        for chunk in self.chunks.range_mut(from..to.max(from)) {
            let left = chunk.without(|measured| gone.binary_search(&measured).is_ok());
            self.n_rows -= chunk.rows.len() - left.rows.len();
            *chunk = Arc::new(left);
        }
        self.chunks.retain(|chunk| !chunk.instants.is_empty());
        self.join(from);
        changes.extend(gone.iter().copied().map(LoadChange::Dropped));
    }

    /// Makes one of chunks that became short, from the one at `place` on.
    fn join(&mut self, place: usize) {
        let mut place = place.saturating_sub(1);
        while place + 1 < self.chunks.len() {
            let both = self.chunks[place].rows.len() + self.chunks[place + 1].rows.len();
            if both > CHUNK_ROWS {
                place += 1;
                if self.chunks[place].rows.len() > CHUNK_ROWS / 2 {
                    return;
                }
                continue;
            }
            let Some(later) = self.chunks.remove(place + 1) else { return };
            let chunk = Arc::make_mut(&mut self.chunks[place]);
            for (measured, rows) in later.within(Timestamp(i64::MIN), Timestamp(i64::MAX)) {
                for row in rows {
                    chunk.push(measured, *row);
                }
            }
        }
    }

    /// Puts a row in its place. Cost: a search and a chunk; at the end, a push.
    fn put(&mut self, row: &LoadRow) {
        let (measured, packed) = (row.measured, Packed::of(row));
        let place = self.chunks.partition_point(|chunk| chunk.last() < measured);
        if place < self.chunks.len() && !self.is_next(measured, packed) {
            let chunk = Arc::make_mut(&mut self.chunks[place]);
            self.n_rows += usize::from(chunk.put(measured, packed).is_none());
            if let Some(later) = chunk.split() {
                self.chunks.insert(place + 1, Arc::new(later));
            }
            return;
        }
        let has_room = |chunk: &&mut Arc<Chunk>| chunk.rows.len() < CHUNK_ROWS || chunk.last() == measured;
        if let Some(chunk) = self.chunks.back_mut().filter(has_room) {
            Arc::make_mut(chunk).push(measured, packed);
        } else {
            let mut chunk = Chunk::default();
            chunk.push(measured, packed);
            self.chunks.push_back(Arc::new(chunk));
        }
        self.n_rows += 1;
    }

    /// True where a row comes behind all others.
    fn is_next(&self, measured: Timestamp, row: Packed) -> bool {
        let Some(last) = self.chunks.back() else { return true };
        let newest = (last.last(), last.rows.last().map_or(0, |row| row.job_type));
        newest < (measured, row.job_type)
    }

    /// Puts back a row that was stored.
    pub(crate) fn restore(&mut self, row: LoadRow) {
        self.put(&row);
    }

    /// The row of an instant and a type.
    pub(crate) fn get(&self, measured: Timestamp, job_type: Option<JobTypeId>) -> Option<LoadRow> {
        let place = self.chunks.partition_point(|chunk| chunk.last() < measured);
        let (_, rows) = self.chunks.get(place)?.within(measured, measured).next()?;
        let job_type = job_type.map_or(0, |id| id.0);
        let found = rows.binary_search_by_key(&job_type, |row| row.job_type).ok()?;
        Some(rows[found].row(measured))
    }

    /// All rows, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = LoadRow> + '_ {
        let all = self.chunks.iter().flat_map(|chunk| chunk.within(Timestamp(i64::MIN), Timestamp(i64::MAX)));
        all.flat_map(|(measured, rows)| rows.iter().map(move |row| row.row(measured)))
    }

    /// Instants of all measurements, oldest first.
    pub(super) fn instants(&self) -> impl Iterator<Item = Timestamp> + '_ {
        self.chunks.iter().flat_map(|chunk| &chunk.instants).map(|(measured, _)| *measured)
    }

    /// The newest measurement at `until` or before.
    pub(super) fn instant_until(&self, until: Timestamp) -> Option<Timestamp> {
        let place = self.chunks.partition_point(|chunk| chunk.first() <= until).checked_sub(1)?;
        let instants = &self.chunks[place].instants;
        let nth = instants.partition_point(|(measured, _)| *measured <= until).checked_sub(1)?;
        Some(instants[nth].0)
    }

    /// Instants of measurements after `from`, oldest first.
    pub(super) fn instants_after(&self, from: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let place = self.chunks.partition_point(|chunk| chunk.last() <= from);
        let instants = self.chunks.range(place..).flat_map(|chunk| &chunk.instants);
        instants.map(|(measured, _)| *measured).filter(move |measured| *measured > from)
    }

    /// How many rows there are, for tests.
    #[cfg(test)]
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// When the newest measurement was made.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.chunks.back().map(|chunk| chunk.last())
    }

    /// Measurements from `started` to `ended` as they are now. Cost: a reference for each thousand rows.
    pub(crate) fn shared(&self, started: Option<Timestamp>, ended: Option<Timestamp>) -> LoadHistory {
        let (started, ended) = (started.unwrap_or(Timestamp(i64::MIN)), ended.unwrap_or(Timestamp(i64::MAX)));
        let from = self.chunks.partition_point(|chunk| chunk.last() < started);
        let to = self.chunks.partition_point(|chunk| chunk.first() <= ended).max(from);
        LoadHistory::new(self.chunks.range(from..to).cloned().collect(), started, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobStatus;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_idle_system_leaves_a_placeholder_row() {
        let (mut history, mut changes) = (History::default(), Vec::new());
        let mut counters = Counters::default();
        counters.add(JobTypeId(2), JobStatus::Completed);
        counters.add(JobTypeId(3), JobStatus::Blocked);
        history.take(Timestamp(1), &counters, 10, &mut changes);
        counters.add(JobTypeId(2), JobStatus::Queued);
        history.take(Timestamp(2), &counters, 10, &mut changes);
        let rows: Vec<_> = history.iter().map(|row| (row.job_type, row.total())).collect();
        assert_eq!(rows, [(None, 0), (Some(JobTypeId(2)), 1)]);
        assert_eq!(changes.len(), 2);
        assert_eq!(history.shared(Some(Timestamp(2)), None).rows().count(), 1);
    }

    #[test]
    fn old_measurements_go_whole_when_there_are_too_many_rows() {
        let (mut history, mut changes) = (History::default(), Vec::new());
        for n in 0..5 {
            history.take(Timestamp(n), &Counters::default(), 3, &mut changes);
        }
        assert_eq!(history.iter().map(|row| row.measured.0).collect::<Vec<_>>(), [2, 3, 4]);
        let mut counters = Counters::default();
        for id in 1..=4 {
            counters.add(JobTypeId(id), JobStatus::Pending);
        }
        changes.clear();
        history.take(Timestamp(5), &counters, 3, &mut changes);
        assert_eq!(history.iter().map(|row| row.measured.0).collect::<Vec<_>>(), [5; 4], "the newest stays");
        assert_eq!(changes.last(), Some(&LoadChange::Cut(Timestamp(5))));
    }

    /// What the changes make of the rows that the store has.
    fn follow(stored: &mut BTreeMap<(i64, u32), LoadRow>, changes: &[LoadChange]) {
        for change in changes {
            match change {
                LoadChange::Put(row) => {
                    stored.insert((row.measured.0, row.job_type.map_or(0, |id| id.0)), *row);
                }
                LoadChange::Dropped(at) => stored.retain(|(measured, _), _| *measured != at.0),
                LoadChange::Cut(from) => stored.retain(|(measured, _), _| *measured >= from.0),
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(Vec<(i64, u32, u64)>),
        Drop(Vec<i64>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let row = (0_i64..300, 0_u32..20, 0_u64..1_000);
        prop_oneof![
            4 => prop::collection::vec(row, 1..200).prop_map(Step::Put),
            1 => prop::collection::vec(0_i64..300, 0..60).prop_map(Step::Drop),
        ]
    }

    proptest! {
        #[test]
        fn rows_stand_in_order_and_the_changes_tell_the_store_the_same(
            steps in prop::collection::vec(step(), 0..40),
            keep in 1_u32..4_000,
        ) {
            let (mut history, mut stored) = (History::default(), BTreeMap::new());
            for step in steps {
                let mut changes = Vec::new();
                match step {
                    Step::Put(rows) => {
                        let row = |(at, kind, queued): (i64, u32, u64)| LoadRow {
                            measured: Timestamp(at),
                            job_type: (kind > 0).then_some(JobTypeId(kind)),
                            pending: 1,
                            queued,
                            running: 0,
                        };
                        let rows: Vec<LoadRow> = rows.into_iter().map(row).collect();
                        history.put_rows(&rows, keep, &mut changes);
                    }
                    Step::Drop(mut gone) => {
                        gone.sort_unstable();
                        gone.dedup();
                        let gone: Vec<Timestamp> = gone.into_iter().map(Timestamp).collect();
                        history.drop_all(&gone, &mut changes);
                    }
                }
                follow(&mut stored, &changes);
                prop_assert!(history.iter().eq(stored.values().copied()));
                prop_assert_eq!(history.n_rows(), stored.len());
                let newest = history.last();
                let n_of_newest = history.iter().filter(|row| Some(row.measured) == newest).count();
                prop_assert!(history.n_rows() <= (keep as usize).max(n_of_newest));
                let within = history.shared(Some(Timestamp(50)), Some(Timestamp(90)));
                let expected = stored.range((50, 0)..=(90, u32::MAX)).map(|(_, row)| *row);
                prop_assert!(within.rows().eq(expected));
                for row in stored.values().step_by(7) {
                    prop_assert_eq!(history.get(row.measured, row.job_type), Some(*row));
                }
            }
        }
    }
}
