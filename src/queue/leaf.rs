//! A leaf of a lane: rows in key order.
//!
//! What is compared with offers stands apart from the keys: a search for room reads a quarter of
//! the bytes. Rows begin anywhere, so that the first one leaves without moving the others.
//!
//! F1  Rows are at `start..start + len` of each array; keys rise strictly.
//! F2  `least` is what the rows ask for at least.

use std::ops::Range;

use super::key::{SortKey, n_before};
use super::lane::{LEAST_OF_NONE, Least, Row, Varying, fits, lesser, touches, with_sum};
use crate::model::JobId;

/// Rows of a leaf: a search for room reads 8 cache lines of a full one, in order.
pub(super) const LEAF_LEN_MAX: usize = 64;

/// A leaf with fewer rows is joined with a neighbour where both leave room.
const SPARSE_LEN: u8 = 16;

/// See the file.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Leaf {
    start: u8,
    len: u8,
    least: Least,
    keys: [SortKey; LEAF_LEN_MAX],
    asks: [Varying; LEAF_LEN_MAX],
    jobs: [JobId; LEAF_LEN_MAX],
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            start: 0,
            len: 0,
            least: LEAST_OF_NONE,
            keys: [SortKey::default(); LEAF_LEN_MAX],
            asks: [Varying::default(); LEAF_LEN_MAX],
            jobs: [JobId(0); LEAF_LEN_MAX],
        }
    }
}

impl Leaf {
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn range(&self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.start) + usize::from(self.len)
    }

    pub(super) fn keys(&self) -> &[SortKey] {
        &self.keys[self.range()]
    }

    fn asks(&self) -> &[Varying] {
        &self.asks[self.range()]
    }

    pub(super) fn first_key(&self) -> SortKey {
        self.keys()[0]
    }

    pub(super) fn row(&self, at: usize) -> Option<Row> {
        let place = usize::from(self.start) + at;
        (at < self.len()).then(|| Row {
            key: self.keys[place],
            asks: self.asks[place],
            job: self.jobs[place],
        })
    }

    /// How many rows are before `key`.
    pub(super) fn n_before(&self, key: SortKey) -> usize {
        n_before(self.keys(), key)
    }

    pub(super) fn least(&self) -> &Least {
        &self.least
    }

    fn count_least(&self) -> Least {
        self.asks().iter().fold(LEAST_OF_NONE, |least, asks| lesser(least, with_sum(*asks)))
    }

    /// Brings `least` up to date after `asks` left.
    fn renew_least(&mut self, asks: Varying) {
        if !touches(&self.least, asks) {
            return;
        }
        // Where all ask for the same, the first one tells.
        match self.asks().first() {
            Some(first) if with_sum(*first) == self.least => {}
            _ => self.least = self.count_least(),
        }
    }

    /// The first row that fits.
    pub(super) fn first_fit(&self, free: &Least) -> Option<Row> {
        self.row(self.asks().iter().position(|asks| fits(*asks, free))?)
    }

    /// The last row of `range` that fits.
    pub(super) fn last_fit(&self, free: &Least, range: Range<usize>) -> Option<Row> {
        let start = range.start;
        self.row(start + self.asks()[range].iter().rposition(|asks| fits(*asks, free))?)
    }

    /// Moves rows of `range` (places in the arrays) so that they begin at `to`.
    fn shift(&mut self, range: Range<usize>, to: usize) {
        if range.is_empty() {
            return;
        }
        self.keys.copy_within(range.clone(), to);
        self.asks.copy_within(range.clone(), to);
        self.jobs.copy_within(range, to);
    }

    fn set(&mut self, place: usize, row: Row) {
        (self.keys[place], self.asks[place], self.jobs[place]) = (row.key, row.asks, row.job);
    }

    fn make_room(&mut self, at: usize, row: Row) {
        let Range { start, end } = self.range();
        let place = start + at;
        let is_front_nearer = at < self.len() / 2;
        if start > 0 && (is_front_nearer || end == LEAF_LEN_MAX) {
            self.shift(start..place, start - 1);
            self.start -= 1;
            self.set(place - 1, row);
        } else {
            self.shift(place..end, place + 1);
            self.set(place, row);
        }
        self.len += 1;
    }

    /// Makes it a leaf without rows.
    pub(super) fn clear(&mut self) {
        (self.start, self.len, self.least) = (0, 0, LEAST_OF_NONE);
    }

    /// Where `row` belongs.
    ///
    /// # Panics
    /// When its key is there.
    pub(super) fn place_for(&self, row: &Row) -> usize {
        // Rows mostly come behind all others.
        if self.keys().last().is_none_or(|last| *last < row.key) {
            return self.len();
        }
        let at = self.n_before(row.key);
        assert!(self.keys().get(at) != Some(&row.key), "queued twice: {row:?}");
        at
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == LEAF_LEN_MAX
    }

    /// Makes room at `at` and puts `row` there; it is not full.
    pub(super) fn put(&mut self, at: usize, row: Row) {
        self.least = lesser(self.least, with_sum(row.asks));
        self.make_room(at, row);
    }

    /// Puts `row` at `at` although it is full: what lies behind moves to `tail`, which is empty.
    pub(super) fn split(&mut self, at: usize, row: Row, tail: &mut Self) {
        // Rows mostly come behind others of their priority: cutting there keeps leaves full.
        if at == LEAF_LEN_MAX {
            tail.put(0, row);
            return;
        }
        let cut = at.max(LEAF_LEN_MAX / 4);
        let Range { start, end } = self.range();
        let (from, n) = (start + cut, end - start - cut);
        tail.keys[..n].copy_from_slice(&self.keys[from..end]);
        tail.asks[..n].copy_from_slice(&self.asks[from..end]);
        tail.jobs[..n].copy_from_slice(&self.jobs[from..end]);
        (self.len, tail.len) = (small(cut), small(n));
        (self.least, tail.least) = (self.count_least(), tail.count_least());
        self.put(at, row);
    }

    /// The place of the row at `key`.
    pub(super) fn find(&self, key: SortKey) -> Option<usize> {
        let at = self.n_before(key);
        (self.keys().get(at) == Some(&key)).then_some(at)
    }

    /// Takes the row at `at` out.
    pub(super) fn remove_at(&mut self, at: usize) -> Option<Row> {
        let row = self.row(at)?;
        let Range { start, end } = self.range();
        let place = start + at;
        if at < self.len() / 2 || at == 0 {
            self.shift(start..place, start + 1);
            self.start += 1;
        } else {
            self.shift(place + 1..end, place);
        }
        self.len -= 1;
        if self.len == 0 {
            self.start = 0;
        }
        self.renew_least(row.asks);
        Some(row)
    }

    /// Whether it should be joined with a neighbour now: it got sparse, or much sparser than when
    /// that was tried last.
    pub(super) fn is_sparse(&self) -> bool {
        self.len < SPARSE_LEN && (self.len + 1).is_power_of_two()
    }

    pub(super) fn can_absorb(&self, right: &Self) -> bool {
        self.len() + right.len() <= LEAF_LEN_MAX * 3 / 4
    }

    /// Takes the rows of a right neighbour; [`Leaf::can_absorb`] said yes.
    pub(super) fn absorb(&mut self, right: &Self) {
        let mine = self.range();
        if mine.start > 0 {
            self.shift(mine, 0);
            self.start = 0;
        }
        let (from, to) = (self.len(), self.len() + right.len());
        let theirs = right.range();
        self.keys[from..to].copy_from_slice(&right.keys[theirs.clone()]);
        self.asks[from..to].copy_from_slice(&right.asks[theirs.clone()]);
        self.jobs[from..to].copy_from_slice(&right.jobs[theirs]);
        self.len = small(to);
        self.least = lesser(self.least, right.least);
    }

    /// Holds F1 and F2 against what is there.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(super) fn check_invariants(&self) {
        assert!(self.range().end <= LEAF_LEN_MAX && self.keys().is_sorted_by(|a, b| a < b), "F1");
        assert_eq!(self.least, self.count_least(), "F2");
    }
}

fn small(n: usize) -> u8 {
    u8::try_from(n).expect("at most LEAF_LEN_MAX")
}

const _: () = assert!(LEAF_LEN_MAX <= u8::MAX as usize);
