//! The rows that a lane's beginning can be asked for: those that ask for less, of one resource at
//! least, than every row before them.
//!
//! Whatever is free, the first row that fits is one of them: a row before it that asks for no more
//! would fit too. There are few: of sixty rows in random order some five where memory and disk rise
//! together. So the lane's beginning answers without a look at its leaf.
//!
//! X1  Every row before `fence` is listed, or asks for no less of anything than one listed before it.
//! X2  Listed rows are in the lane, their keys rise, and none asks for no less than an earlier one.

use super::key::SortKey;
use super::lane::{Least, Row, Varying, fits};

/// Rows that are listed.
const RECORDS_MAX: usize = 8;

/// See the file.
#[derive(Clone, Debug)]
pub(super) struct Records {
    len: usize,
    fence: SortKey,
    /// Whether more could be known than is.
    is_stale: bool,
    rows: [Option<Row>; RECORDS_MAX],
}

impl Default for Records {
    fn default() -> Self {
        Self { len: 0, fence: SortKey::default(), is_stale: true, rows: [None; RECORDS_MAX] }
    }
}

fn is_within(small: Varying, large: Varying) -> bool {
    small[0] <= large[0] && small[1] <= large[1]
}

impl Records {
    /// Before which key everything is known; the least key where nothing is.
    pub(super) fn fence(&self) -> SortKey {
        self.fence
    }

    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    fn listed(&self) -> impl Iterator<Item = &Row> {
        self.rows[..self.len].iter().flatten()
    }

    /// The first row before the fence that fits.
    pub(super) fn first_fit(&self, free: &Least) -> Option<Row> {
        self.listed().find(|row| fits(row.asks, free)).copied()
    }

    /// Lists what `rows`, the first ones of the lane, have to offer; behind them comes `fence`.
    pub(super) fn renew(&mut self, rows: impl Iterator<Item = Row>, fence: SortKey) {
        (self.len, self.is_stale) = (0, false);
        // The last one listed is mostly the least of both: then one comparison tells.
        for row in rows {
            let last = self.len.checked_sub(1).and_then(|last| self.rows[last]);
            let is_covered = last.is_some_and(|last| is_within(last.asks, row.asks))
                || self.listed().any(|other| is_within(other.asks, row.asks));
            if is_covered {
                continue;
            }
            if self.len == RECORDS_MAX {
                self.fence = row.key;
                return;
            }
            self.rows[self.len] = Some(row);
            self.len += 1;
        }
        self.fence = fence;
    }

    /// Takes note of a row that came.
    pub(super) fn came(&mut self, row: &Row) {
        if row.key >= self.fence {
            return;
        }
        let at = self.listed().take_while(|other| other.key < row.key).count();
        if self.rows[..at].iter().flatten().any(|other| is_within(other.asks, row.asks)) {
            return;
        }
        let behind = self.rows;
        let behind = behind[at..self.len].iter().flatten().filter(|other| !is_within(row.asks, other.asks));
        self.len = at;
        for row in std::iter::once(row).chain(behind) {
            if self.len == RECORDS_MAX {
                self.fence = row.key;
                return;
            }
            self.rows[self.len] = Some(*row);
            self.len += 1;
        }
    }

    /// Takes note of a row that left: what it covered is not known any more.
    pub(super) fn left(&mut self, row: &Row) {
        if row.key >= self.fence {
            return;
        }
        if let Some(at) = self.rows[..self.len].iter().position(|other| *other == Some(*row)) {
            (self.len, self.fence, self.is_stale) = (at, row.key, true);
        }
    }

    /// Holds X1 and X2 against the rows of the lane.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(super) fn check_invariants(&self, rows: &[Row]) {
        let listed: Vec<Row> = self.listed().copied().collect();
        assert_eq!(listed.len(), self.len, "X2: as many as counted");
        let mut known: Vec<Row> = Vec::new();
        for row in rows.iter().take_while(|row| row.key < self.fence) {
            if !known.iter().any(|other| is_within(other.asks, row.asks)) {
                known.push(*row);
            }
        }
        assert_eq!(known, listed, "X1, X2");
    }
}
