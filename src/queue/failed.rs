//! Offers for which a search in one lane found nothing, so that the next one like them need not
//! search: where memory and disk are traded against each other, minima say "maybe" everywhere.
//!
//! M1  No row of the lane that is before the end of an offer that is kept fits in it.

use super::key::SortKey;
use super::lane::{Least, Row, fits};
use crate::model::QueueMode;

/// Offers kept per lane: comparing with all of them costs less than reading ten nodes.
const KEPT_MAX: usize = 256;

/// A search that reads fewer nodes is cheaper than remembering it.
const NODES_WORTH: u32 = 8;

/// One offer that failed.
#[derive(Clone, Copy, Debug)]
struct Kept {
    free: Least,
    /// How far was searched, as seen in the direction of the lane.
    end: SortKey,
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailedOffers {
    kept: Vec<Kept>,
    /// The direction in which ends are seen.
    mode: QueueMode,
    /// The one to be replaced next.
    oldest: usize,
}

impl FailedOffers {
    /// True where no row before `end` fits in `free`, as far as is remembered.
    pub(crate) fn covers(&self, free: &Least, mode: QueueMode, end: SortKey) -> bool {
        let covers = |kept: &Kept| fits([free[0], free[1]], &kept.free) && end <= kept.end;
        mode == self.mode && self.kept.iter().any(covers)
    }

    /// Takes note that no row before `end` fits in `free`, which took `n_nodes` nodes to find out.
    pub(crate) fn failed(&mut self, free: &Least, mode: QueueMode, end: SortKey, n_nodes: u32) {
        if n_nodes < NODES_WORTH {
            return;
        }
        if mode != self.mode {
            (self.mode, self.oldest) = (mode, 0);
            self.kept.clear();
        }
        let kept = Kept { free: *free, end };
        if self.kept.len() < KEPT_MAX {
            self.kept.push(kept);
        } else {
            self.kept[self.oldest] = kept;
            self.oldest = (self.oldest + 1) % KEPT_MAX;
        }
    }

    /// Takes note of a new row: offers it fits in did not fail any more.
    pub(crate) fn came(&mut self, row: &Row) {
        if !self.kept.is_empty() {
            let key = row.key.seen(self.mode);
            self.kept.retain(|kept| key >= kept.end || !fits(row.asks, &kept.free));
            self.oldest = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lane::with_sum;
    use super::*;
    use crate::model::{ExeId, JobId, Timestamp};

    const FIFO: QueueMode = QueueMode::Fifo;

    fn key(id: u64) -> SortKey {
        SortKey::new(0, Timestamp(0), ExeId(id))
    }

    #[test]
    fn smaller_offers_are_covered_until_something_that_fits_comes() {
        let mut failed = FailedOffers::default();
        let covers = |failed: &FailedOffers, free| failed.covers(&with_sum(free), FIFO, SortKey::MAX);
        let fail = |failed: &mut FailedOffers, free, n| failed.failed(&with_sum(free), FIFO, SortKey::MAX, n);
        let row = |asks| Row { key: key(1), asks, job: JobId(1) };
        fail(&mut failed, [10, 20], NODES_WORTH - 1);
        assert!(!covers(&failed, [1, 1]), "a cheap search is not remembered");
        fail(&mut failed, [10, 20], 50);
        fail(&mut failed, [20, 10], 50);
        assert!(covers(&failed, [10, 20]) && covers(&failed, [9, 9]) && covers(&failed, [20, 1]));
        assert!(!covers(&failed, [11, 11]));
        failed.came(&row([15, 15]));
        assert!(covers(&failed, [10, 20]));
        failed.came(&row([10, 15]));
        assert!(!covers(&failed, [10, 20]) && covers(&failed, [20, 10]));
        for n in 0..1_000 {
            fail(&mut failed, [n, 1_000 - n], 50);
        }
        assert_eq!(failed.kept.len(), KEPT_MAX);
    }

    #[test]
    fn a_bounded_search_is_remembered_up_to_its_end_and_in_its_direction() {
        let mut failed = FailedOffers::default();
        let free = with_sum([10, 10]);
        failed.failed(&free, FIFO, key(50), 50);
        assert!(failed.covers(&free, FIFO, key(50)) && failed.covers(&free, FIFO, key(7)));
        assert!(!failed.covers(&free, FIFO, key(51)) && !failed.covers(&free, QueueMode::Lifo, key(7)));
        failed.came(&Row { key: key(50), asks: [1, 1], job: JobId(1) });
        assert!(failed.covers(&free, FIFO, key(50)), "it came behind what was searched");
        failed.came(&Row { key: key(49), asks: [1, 1], job: JobId(1) });
        assert!(!failed.covers(&free, FIFO, key(50)));
    }
}
