//! One lane of the queue: executions of one tenant, job type, constraint set and requirement
//! class, in queue order. Within it only memory and disk differ.
//!
//! Owned by the core; nothing here locks, reads a clock or does I/O.
//!
//! L1  Sort keys rise strictly from front to back.
//! L2  A chunk holds 1 to `CHUNK_LEN_MAX` rows; its minimum is the component-wise minimum of them.
//! L3  A row that left the lane is in no chunk any more when the call returns.

use crate::model::{ExeId, QueueMode, Timestamp};

/// Rows in one chunk: a scan of that many minima or rows stays within a few cache lines, and an
/// insert moves at most as many.
const CHUNK_LEN_MAX: usize = 128;

/// The place of an entry in the order of a direction: compare, and the smaller leaves first.
///
/// Time and id are complemented for LIFO, so one comparison serves both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SortKey {
    priority: i32,
    time: i64,
    seq: u64,
}

impl SortKey {
    pub(crate) fn new(mode: QueueMode, priority: i32, queued: Timestamp, id: ExeId) -> Self {
        match mode {
            QueueMode::Fifo => Self { priority, time: queued.0, seq: id.0 },
            QueueMode::Lifo => Self { priority, time: !queued.0, seq: !id.0 },
        }
    }

    /// Before everything of this priority.
    pub(crate) fn floor(priority: i32) -> Self {
        Self { priority, time: i64::MIN, seq: 0 }
    }

    pub(crate) fn priority(self) -> i32 {
        self.priority
    }

    pub(crate) fn id(self, mode: QueueMode) -> ExeId {
        match mode {
            QueueMode::Fifo => ExeId(self.seq),
            QueueMode::Lifo => ExeId(!self.seq),
        }
    }

    pub(crate) fn queued(self, mode: QueueMode) -> Timestamp {
        match mode {
            QueueMode::Fifo => Timestamp(self.time),
            QueueMode::Lifo => Timestamp(!self.time),
        }
    }

    /// The same entry in the order of another direction.
    pub(crate) fn turned(self, from: QueueMode, to: QueueMode) -> Self {
        if from == to { self } else { Self { time: !self.time, seq: !self.seq, ..self } }
    }
}

/// An entry in its lane: its place, and the two amounts that vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: SortKey,
    /// Thousandths of MiB of memory and disk.
    pub(crate) varying: [u64; 2],
}

fn fits(asked: [u64; 2], free: [u64; 2]) -> bool {
    asked[0] <= free[0] && asked[1] <= free[1]
}

fn min(a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
    [a[0].min(b[0]), a[1].min(b[1])]
}

/// Nothing fits in nothing: the minimum of no rows.
const MIN_OF_NONE: [u64; 2] = [u64::MAX; 2];

#[derive(Clone, Debug)]
struct Chunk {
    rows: Vec<Row>,
    min: [u64; 2],
}

impl Chunk {
    fn new(rows: Vec<Row>) -> Self {
        let min = rows.iter().fold(MIN_OF_NONE, |least, row| min(least, row.varying));
        Self { rows, min }
    }

    fn last(&self) -> SortKey {
        self.rows.last().expect("L2: a chunk has rows").key
    }

    fn remove(&mut self, at: usize) -> Row {
        let row = self.rows.remove(at);
        if row.varying[0] == self.min[0] || row.varying[1] == self.min[1] {
            self.min = self.rows.iter().fold(MIN_OF_NONE, |least, row| min(least, row.varying));
        }
        row
    }
}

/// Rows in order, found by key, by rank, or by "first that fits".
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    chunks: Vec<Chunk>,
    n_rows: usize,
}

impl Lane {
    pub(crate) fn len(&self) -> usize {
        self.n_rows
    }

    pub(crate) fn first(&self) -> Option<Row> {
        self.chunks.first().map(|chunk| chunk.rows[0])
    }

    /// The chunk where `key` is or belongs.
    fn chunk_of(&self, key: SortKey) -> usize {
        self.chunks.partition_point(|chunk| chunk.last() < key).min(self.chunks.len().saturating_sub(1))
    }

    /// Puts `row` in its place. Cost: a binary search, a move within one chunk, a split at times.
    ///
    /// # Panics
    /// When its key is already there: an execution is queued at most once.
    pub(crate) fn insert(&mut self, row: Row) {
        self.n_rows += 1;
        let at_chunk = self.chunk_of(row.key);
        let Some(chunk) = self.chunks.get_mut(at_chunk) else {
            self.chunks.push(Chunk::new(vec![row]));
            return;
        };
        let at = chunk.rows.partition_point(|other| other.key < row.key);
        assert!(chunk.rows.get(at).is_none_or(|other| other.key != row.key), "queued twice: {row:?}");
        chunk.rows.insert(at, row);
        chunk.min = min(chunk.min, row.varying);
        if chunk.rows.len() > CHUNK_LEN_MAX {
            // Entries mostly come at the back: a full last chunk stays nearly full.
            let is_append = at + 1 == chunk.rows.len();
            let cut = if is_append { CHUNK_LEN_MAX } else { CHUNK_LEN_MAX / 2 };
            let tail = Chunk::new(chunk.rows.split_off(cut));
            *chunk = Chunk::new(std::mem::take(&mut chunk.rows));
            self.chunks.insert(at_chunk + 1, tail);
        }
    }

    /// Takes the row at `key` out.
    pub(crate) fn remove(&mut self, key: SortKey) -> Option<Row> {
        let at_chunk = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at_chunk)?;
        let at = chunk.rows.binary_search_by(|row| row.key.cmp(&key)).ok()?;
        let row = chunk.remove(at);
        if chunk.rows.is_empty() {
            self.chunks.remove(at_chunk);
        }
        self.n_rows -= 1;
        Some(row)
    }

    /// The first row whose memory and disk fit. Cost: the minima of the chunks before it, and
    /// rows of chunks where the minimum fits.
    pub(crate) fn first_fit(&self, free: [u64; 2]) -> Option<Row> {
        let candidates = self.chunks.iter().filter(|chunk| fits(chunk.min, free));
        candidates.flat_map(|chunk| &chunk.rows).find(|row| fits(row.varying, free)).copied()
    }

    /// The first row not before `key`.
    pub(crate) fn first_from(&self, key: SortKey) -> Option<Row> {
        let at_chunk = self.chunks.partition_point(|chunk| chunk.last() < key);
        let rows = &self.chunks.get(at_chunk)?.rows;
        Some(rows[rows.partition_point(|row| row.key < key)])
    }

    /// How many rows are before `key`. Cost: the chunks before it.
    pub(crate) fn rank(&self, key: SortKey) -> usize {
        let at_chunk = self.chunks.partition_point(|chunk| chunk.last() < key);
        let before: usize = self.chunks[..at_chunk].iter().map(|chunk| chunk.rows.len()).sum();
        before + self.chunks.get(at_chunk).map_or(0, |c| c.rows.partition_point(|row| row.key < key))
    }

    /// All rows, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Row> + '_ {
        self.chunks.iter().flat_map(|chunk| &chunk.rows).copied()
    }

    /// The same rows in the order of the other direction.
    pub(crate) fn turn(&mut self, from: QueueMode, to: QueueMode) {
        let mut rows: Vec<Row> =
            self.iter().map(|row| Row { key: row.key.turned(from, to), ..row }).collect();
        rows.sort_unstable_by_key(|row| row.key);
        self.chunks = rows.chunks(CHUNK_LEN_MAX).map(|rows| Chunk::new(rows.to_vec())).collect();
    }

    /// Holds L1 and L2 against what is there.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        let keys: Vec<SortKey> = self.iter().map(|row| row.key).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "L1");
        assert_eq!(keys.len(), self.n_rows, "count");
        for chunk in &self.chunks {
            assert!((1..=CHUNK_LEN_MAX).contains(&chunk.rows.len()), "L2: length");
            assert_eq!(chunk.min, Chunk::new(chunk.rows.clone()).min, "L2: minimum");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(priority: i32, queued: i64, id: u64, mem: u64, disk: u64) -> Row {
        let key = SortKey::new(QueueMode::Fifo, priority, Timestamp(queued), ExeId(id));
        Row { key, varying: [mem, disk] }
    }

    #[test]
    fn a_key_turned_twice_is_itself() {
        let key = SortKey::new(QueueMode::Fifo, -3, Timestamp(17), ExeId(5));
        let turned = key.turned(QueueMode::Fifo, QueueMode::Lifo);
        assert_eq!(turned, SortKey::new(QueueMode::Lifo, -3, Timestamp(17), ExeId(5)));
        assert_eq!((turned.id(QueueMode::Lifo), turned.queued(QueueMode::Lifo)), (ExeId(5), Timestamp(17)));
        assert_eq!(turned.turned(QueueMode::Lifo, QueueMode::Fifo), key);
    }

    #[test]
    fn rows_come_in_order_whatever_order_they_went_in() {
        let mut lane = Lane::default();
        for n in 0..5_000_u64 {
            let id = n * 7_919 % 5_000;
            lane.insert(row(i32::try_from(id % 3).expect("small"), 1, id, id, 5_000 - id));
        }
        lane.check_invariants();
        assert_eq!(lane.len(), 5_000);
        assert_eq!(lane.first(), Some(row(0, 1, 0, 0, 5_000)));
        assert_eq!(lane.rank(row(1, 1, 1, 0, 0).key), 1_667);
        for id in (0..5_000).step_by(2) {
            let priority = i32::try_from(id % 3).expect("small");
            assert!(lane.remove(row(priority, 1, id, 0, 0).key).is_some(), "{id}");
            assert!(lane.remove(row(priority, 1, id, 0, 0).key).is_none(), "{id} twice");
        }
        lane.check_invariants();
        assert_eq!(lane.len(), 2_500);
    }

    #[test]
    fn the_first_that_fits_is_found_behind_many_that_do_not() {
        let mut lane = Lane::default();
        for id in 0..100_000 {
            lane.insert(row(0, 1, id, 1_000, 1_000));
        }
        lane.insert(row(0, 1, 100_000, 10, 2_000));
        lane.insert(row(0, 1, 100_001, 10, 10));
        assert_eq!(lane.first_fit([20, 20]), Some(row(0, 1, 100_001, 10, 10)));
        assert_eq!(lane.first_fit([20, 5]), None);
    }

    #[test]
    fn turning_reverses_time_but_not_priority() {
        let mut lane = Lane::default();
        for (priority, queued, id) in [(1, 5, 1), (1, 9, 2), (0, 1, 3), (0, 1, 4)] {
            lane.insert(row(priority, queued, id, 1, 1));
        }
        lane.turn(QueueMode::Fifo, QueueMode::Lifo);
        lane.check_invariants();
        let ids: Vec<u64> = lane.iter().map(|row| row.key.id(QueueMode::Lifo).0).collect();
        assert_eq!(ids, [4, 3, 2, 1]);
    }
}
