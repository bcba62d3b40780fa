//! Offers for which a search in one lane found nothing, so that the next one like them need not
//! search: where memory and disk are traded against each other, minima say "maybe" everywhere.
//!
//! M1  Nothing in the lane fits in any offer that is kept.

use super::lane::Varying;

/// Offers kept per lane: comparing with all of them costs less than reading ten nodes.
const KEPT_MAX: usize = 256;

/// A search that reads fewer nodes is cheaper than remembering it.
const NODES_WORTH: u32 = 8;

/// See the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailedOffers {
    kept: Vec<Varying>,
    /// The one to be replaced next.
    oldest: usize,
}

fn is_within(small: Varying, large: Varying) -> bool {
    small[0] <= large[0] && small[1] <= large[1]
}

impl FailedOffers {
    /// True where nothing in the lane fits in `free`, as far as is remembered.
    pub(crate) fn covers(&self, free: Varying) -> bool {
        self.kept.iter().any(|kept| is_within(free, *kept))
    }

    /// Takes note that nothing fits in `free`, which took `n_nodes` nodes to find out.
    pub(crate) fn failed(&mut self, free: Varying, n_nodes: u32) {
        if n_nodes < NODES_WORTH {
            return;
        }
        if self.kept.len() < KEPT_MAX {
            self.kept.push(free);
        } else {
            self.kept[self.oldest] = free;
            self.oldest = (self.oldest + 1) % KEPT_MAX;
        }
    }

    /// Takes note of a new row: offers it fits in did not fail any more.
    pub(crate) fn came(&mut self, asks: Varying) {
        if !self.kept.is_empty() {
            self.kept.retain(|kept| !is_within(asks, *kept));
            self.oldest = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_offers_are_covered_until_something_that_fits_comes() {
        let mut failed = FailedOffers::default();
        failed.failed([10, 20], NODES_WORTH - 1);
        assert!(!failed.covers([1, 1]), "a cheap search is not remembered");
        failed.failed([10, 20], 50);
        failed.failed([20, 10], 50);
        assert!(failed.covers([10, 20]) && failed.covers([9, 9]) && failed.covers([20, 1]));
        assert!(!failed.covers([11, 11]));
        failed.came([15, 15]);
        assert!(failed.covers([10, 20]));
        failed.came([10, 15]);
        assert!(!failed.covers([10, 20]) && failed.covers([20, 10]));
        for n in 0..1_000 {
            failed.failed([n, 1_000 - n], 50);
        }
        assert_eq!(failed.kept.len(), KEPT_MAX);
    }
}
