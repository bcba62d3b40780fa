//! How far into a lane nothing fits, told without a look at its tree: for ever longer beginnings of
//! the lane, in FIFO order, what their rows ask for at least.
//!
//! Most lanes whose head does not fit have nothing that fits before the best entry found elsewhere;
//! this tells so from a few lines that stay in the cache.
//!
//! Y1  No row before `fences[n]` asks for less than `leasts[n]`; fences rise, leasts never do.

use super::key::SortKey;
use super::lane::{Least, Row, lesser, may_fit, with_sum};

/// Beginnings that are known of: some 64 rows, 128, 256 and so on.
pub(super) const STEPS_MAX: usize = 10;

/// See the file.
#[derive(Clone, Debug)]
pub(super) struct Skyline {
    len: usize,
    fences: [SortKey; STEPS_MAX],
    leasts: [Least; STEPS_MAX],
}

impl Default for Skyline {
    fn default() -> Self {
        Self { len: 0, fences: [SortKey::MAX; STEPS_MAX], leasts: [Least::default(); STEPS_MAX] }
    }
}

impl Skyline {
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a longer beginning, where there is room.
    pub(super) fn push(&mut self, fence: SortKey, least: Least) {
        if self.len < STEPS_MAX {
            (self.fences[self.len], self.leasts[self.len]) = (fence, least);
            self.len += 1;
        }
    }

    /// A key before which nothing fits in `free`.
    pub(super) fn bound(&self, free: &Least) -> SortKey {
        let n_refused = self.leasts[..self.len].iter().take_while(|least| !may_fit(least, free)).count();
        n_refused.checked_sub(1).map_or(SortKey::default(), |last| self.fences[last])
    }

    /// Takes note of a row that came.
    pub(super) fn came(&mut self, row: &Row) {
        for at in (0..self.len).rev() {
            if row.key >= self.fences[at] {
                return;
            }
            self.leasts[at] = lesser(self.leasts[at], with_sum(row.asks));
        }
    }

    /// Holds Y1 against the rows of the lane.
    ///
    /// # Panics
    /// Where it does not hold.
    pub(super) fn check_invariants(&self, rows: &[Row]) {
        assert!(self.fences[..self.len].is_sorted(), "Y1: fences");
        assert!(self.leasts[..self.len].is_sorted_by(|a, b| may_fit(b, a)), "Y1: leasts");
        for (fence, least) in self.fences[..self.len].iter().zip(&self.leasts) {
            let mut before = rows.iter().take_while(|row| row.key < *fence);
            assert!(before.all(|row| may_fit(least, &with_sum(row.asks))), "Y1");
        }
    }
}
