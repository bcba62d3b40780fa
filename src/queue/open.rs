//! The lanes that may move, with just enough of each to tell at a glance that nothing in it fits,
//! and in the order of their heads.
//!
//! A lane has a column of its own in a block of 64, for as long as it lives: only the order of the
//! columns changes as lanes move, a byte each. The codes of a block stand resource by resource, so
//! that one pass of vector instructions compares all of its lanes with an offer.
//!
//! O1  `order[..n_open]` of a block holds the columns of its open lanes, by (bound, column), rising;
//!     a search from the front finds them there first.
//! O2  A block's `min` exceeds no code of its open lanes; `first` is the least of their bounds.
//! O3  Codes never exceed those of any entry of their lane: what they refuse does not fit.
//! O4  A column without an open lane refuses every offer; resources that nothing asks for yet have
//!     code 0 everywhere.

use super::glance::{BlockCodes, Machine};
use super::key::SortKey;
use crate::model::RESOURCES_MAX;

/// Lanes of one block: as many as a word has bits.
pub(crate) const BLOCK_LEN: usize = 64;

/// A block's `min` is made true again after so many of its codes rose: that costs a pass over the
/// block, and a bound that is a little low only costs a glance at it.
const STALE_MAX: u8 = 16;

/// An amount of thousandths in sixteen bits: exact below 1,024, then rounded down to nine
/// significant bits. Never turns an order round: of two amounts the smaller has no larger code.
pub(crate) fn code(amount: u64) -> u16 {
    // Amounts of 10 bits and fewer are their own codes; above, each further bit adds 512 codes.
    let shift = (amount | 1).ilog2().saturating_sub(9);
    #[expect(clippy::cast_possible_truncation, reason = "a rest below 1,024, and 54 shifts of 512")]
    let (rest, shift) = ((amount >> shift) as u16, shift as u16);
    rest + shift * 512
}

/// Amounts by slot, as codes.
pub(crate) type Codes = [u16; RESOURCES_MAX];

fn lesser(a: Codes, b: &Codes) -> Codes {
    let mut least = a;
    for (least, other) in least.iter_mut().zip(b) {
        *least = (*least).min(*other);
    }
    least
}

/// False only where some amount of `asks` is more than that of `free` for sure.
fn may_fit(asks: &Codes, free: &Codes) -> bool {
    // Saturated differences without a branch: two vector instructions each on any x86-64.
    let over = asks.iter().zip(free).fold(0, |over, (ask, have)| over | ask.saturating_sub(*have));
    over == 0
}

/// What is looked at first of a block.
#[derive(Clone, Debug)]
struct Head {
    min: Codes,
    /// The least bound; [`SortKey::MAX`] where no lane is open.
    first: SortKey,
    /// Codes that rose since `min` was true.
    n_stale: u8,
}

#[derive(Clone, Debug)]
struct Block {
    codes: BlockCodes,
    bounds: [SortKey; BLOCK_LEN],
    order: [u8; BLOCK_LEN],
    n_open: usize,
    is_open: u64,
}

impl Block {
    fn new(n_resources: usize) -> Box<Self> {
        let mut codes = [[0; BLOCK_LEN]; RESOURCES_MAX];
        codes[..n_resources].fill([u16::MAX; BLOCK_LEN]);
        let (bounds, order) = ([SortKey::MAX; BLOCK_LEN], [0; BLOCK_LEN]);
        Box::new(Self { codes, bounds, order, n_open: 0, is_open: 0 })
    }

    fn codes_at(&self, column: u8) -> Codes {
        self.codes.map(|of_resource| of_resource[usize::from(column)])
    }

    fn set_codes(&mut self, column: u8, codes: &[u16]) {
        for (of_resource, code) in self.codes.iter_mut().zip(codes) {
            of_resource[usize::from(column)] = *code;
        }
    }

    /// Open columns, in order.
    fn order(&self) -> &[u8] {
        &self.order[..self.n_open]
    }

    fn bound(&self, column: u8) -> SortKey {
        self.bounds[usize::from(column)]
    }

    /// How many columns of `range` of the order are before (`bound`, `column`).
    fn n_before(&self, columns: &[u8], bound: SortKey, column: u8) -> usize {
        // Only types with a direction of their own share a bound.
        let at = columns.partition_point(|&other| self.bound(other) < bound);
        at + columns[at..].iter().take_while(|&&other| self.bound(other) == bound && other < column).count()
    }

    fn insert(&mut self, column: u8, bound: SortKey) {
        let at = self.n_before(self.order(), bound, column);
        self.order.copy_within(at..self.n_open, at + 1);
        self.order[at] = column;
        self.bounds[usize::from(column)] = bound;
        self.n_open += 1;
        self.is_open |= 1 << column;
    }

    /// Takes the column at `at` of the order out.
    fn remove(&mut self, at: usize) {
        let column = self.order[at];
        self.order.copy_within(at + 1..self.n_open, at);
        self.n_open -= 1;
        self.is_open &= !(1 << column);
    }

    /// Gives the column at `at` of the order another bound.
    fn relocate(&mut self, at: usize, bound: SortKey) {
        let column = self.order[at];
        if bound > self.bound(column) {
            let n_behind = self.n_before(&self.order[at + 1..self.n_open], bound, column);
            self.order.copy_within(at + 1..=at + n_behind, at);
            self.order[at + n_behind] = column;
        } else {
            let to = self.n_before(&self.order[..at], bound, column);
            self.order.copy_within(to..at, to + 1);
            self.order[to] = column;
        }
        self.bounds[usize::from(column)] = bound;
    }

    fn first(&self) -> SortKey {
        self.order().first().map_or(SortKey::MAX, |&column| self.bound(column))
    }

    fn min(&self, n_resources: usize) -> Codes {
        let mut min = Codes::default();
        for (min, of_resource) in min.iter_mut().zip(&self.codes).take(n_resources) {
            *min = of_resource.iter().fold(u16::MAX, |least, code| least.min(*code));
        }
        min
    }
}

/// Whether a lane that was shown decides where the search may stop.
pub(crate) enum Shown {
    /// Its first entry is the answer of its block: nothing behind it matters.
    Fits,
    /// On to the next.
    GoOn,
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenLanes {
    machine: Machine,
    /// Resources in use, at least the first.
    n_resources: usize,
    heads: Vec<Head>,
    #[expect(clippy::vec_box, reason = "a block is kilobytes, and the list of them grows")]
    blocks: Vec<Box<Block>>,
}

/// The block and the column of a lane.
fn column_of(lane: u32) -> (usize, u8) {
    let column = u8::try_from(lane as usize % BLOCK_LEN).expect("below BLOCK_LEN");
    (lane as usize / BLOCK_LEN, column)
}

/// The lane of a column.
fn lane_at(block: usize, column: u8) -> u32 {
    u32::try_from(block * BLOCK_LEN + usize::from(column)).expect("lanes are counted by u32")
}

impl OpenLanes {
    /// Sets how many resources anything may ask for from now on; never fewer than before.
    pub(crate) fn set_n_resources(&mut self, n_resources: usize) {
        let before = self.n_resources;
        self.n_resources = before.max(n_resources).max(1);
        for block in &mut self.blocks {
            for column in (0..BLOCK_LEN).filter(|column| block.is_open >> column & 1 == 0) {
                for of_resource in &mut block.codes[before..self.n_resources] {
                    of_resource[column] = u16::MAX;
                }
            }
        }
    }

    /// Where a lane stands, if it is open.
    pub(crate) fn bound(&self, lane: u32) -> Option<SortKey> {
        let (at, column) = column_of(lane);
        let block = self.blocks.get(at)?;
        (block.is_open >> column & 1 == 1).then(|| block.bound(column))
    }

    /// Opens a lane that is closed. Cost: a search in its block.
    pub(crate) fn insert(&mut self, lane: u32, bound: SortKey, codes: &Codes) {
        let (at, column) = column_of(lane);
        while self.blocks.len() <= at {
            self.blocks.push(Block::new(self.n_resources));
            self.heads.push(Head { min: [u16::MAX; RESOURCES_MAX], first: SortKey::MAX, n_stale: 0 });
        }
        let (block, head) = (&mut self.blocks[at], &mut self.heads[at]);
        block.insert(column, bound);
        block.set_codes(column, &codes[..self.n_resources]);
        head.min = lesser(head.min, codes);
        head.first = block.first();
    }

    /// Closes a lane that is open.
    pub(crate) fn remove(&mut self, lane: u32) {
        let (at, column) = column_of(lane);
        let block = &mut self.blocks[at];
        block.remove(self.machine.place_of(&block.order, column));
        block.set_codes(column, &[u16::MAX; RESOURCES_MAX][..self.n_resources]);
        self.heads[at].first = block.first();
        self.grow_stale(at);
    }

    /// Gives an open lane another bound. Cost: two searches in its block.
    pub(crate) fn relocate(&mut self, lane: u32, bound: SortKey) {
        let (at, column) = column_of(lane);
        let block = &mut self.blocks[at];
        block.relocate(self.machine.place_of(&block.order, column), bound);
        self.heads[at].first = block.first();
    }

    /// Gives every open lane the bound that `bound_of` names. Cost: a sort per block.
    pub(crate) fn rebound(&mut self, mut bound_of: impl FnMut(u32) -> SortKey) {
        for (at, (block, head)) in self.blocks.iter_mut().zip(&mut self.heads).enumerate() {
            for place in 0..block.n_open {
                let column = block.order[place];
                block.bounds[usize::from(column)] = bound_of(lane_at(at, column));
            }
            let bounds = &block.bounds;
            block.order[..block.n_open].sort_unstable_by_key(|&column| (bounds[usize::from(column)], column));
            head.first = block.first();
        }
    }

    /// Gives an open lane other codes.
    pub(crate) fn set_codes(&mut self, lane: u32, codes: &Codes) {
        let (at, column) = column_of(lane);
        self.blocks[at].set_codes(column, &codes[..self.n_resources]);
        self.heads[at].min = lesser(self.heads[at].min, codes);
        self.grow_stale(at);
    }

    /// Takes note that a block's minimum may be lower than it has to be.
    fn grow_stale(&mut self, at: usize) {
        let head = &mut self.heads[at];
        head.n_stale += 1;
        if head.n_stale >= STALE_MAX {
            (head.min, head.n_stale) = (self.blocks[at].min(self.n_resources), 0);
        }
    }

    /// Shows the lanes that may have something for `free`, block by block, in order within each,
    /// up to the least bound of those that turned out to fit.
    ///
    /// Cost: a line per block, and a pass over those whose minimum fits.
    pub(crate) fn visit(&self, free: &Codes, mut show: impl FnMut(SortKey, u32) -> Shown) {
        let mut end = SortKey::MAX;
        for (at, (head, block)) in self.heads.iter().zip(&self.blocks).enumerate() {
            if head.first > end || !may_fit(&head.min, free) {
                continue;
            }
            let fits = self.machine.fits(&block.codes, free, self.n_resources);
            if fits == 0 {
                continue;
            }
            for &column in block.order() {
                if fits >> column & 1 == 0 {
                    continue;
                }
                let bound = block.bound(column);
                if bound > end {
                    break;
                }
                if let Shown::Fits = show(bound, lane_at(at, column)) {
                    end = bound;
                    break;
                }
            }
        }
    }

    /// Open lanes.
    pub(crate) fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.n_open).sum()
    }

    /// Holds O1, O2 and O4 against what is there.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.heads.len(), self.blocks.len(), "O2: as many heads as blocks");
        for (head, block) in self.heads.iter().zip(&self.blocks) {
            let places = block.order().iter().map(|&column| (block.bound(column), column));
            assert!(places.is_sorted_by(|a, b| a < b), "O1");
            let is_open = block.order().iter().fold(0_u64, |open, column| open | 1 << column);
            assert_eq!(
                (is_open, is_open.count_ones() as usize),
                (block.is_open, block.n_open),
                "O1: columns"
            );
            assert_eq!(head.first, block.first(), "O2: first");
            for &column in block.order() {
                assert!(may_fit(&head.min, &block.codes_at(column)), "O2: minimum");
            }
            let mut closed = (0..BLOCK_LEN).filter(|column| is_open >> column & 1 == 0);
            let in_use = &block.codes[..self.n_resources];
            let refuses = |column: usize| in_use.iter().all(|of_resource| of_resource[column] == u16::MAX);
            assert!(closed.all(refuses), "O4: closed");
            assert!(block.codes[self.n_resources..].iter().flatten().all(|code| *code == 0), "O4");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_never_turn_an_order_round(a in any::<u64>(), shift in 0..64_u32, more in any::<u64>()) {
            let a = a >> shift;
            let b = a.saturating_add(more >> shift);
            prop_assert!(code(a) <= code(b));
            prop_assert!(a >= 1_024 || u64::from(code(a)) == a);
            // Never off by more than one part in 512.
            prop_assert!(code(a) < code(a.saturating_add(a / 256 + 1)) || a > u64::MAX / 2);
        }
    }

    #[test]
    fn codes_reach_from_zero_to_the_largest_amount() {
        assert_eq!([0, 1, 1_023, 1_024, 1_025, 1_026].map(code), [0, 1, 1_023, 1_024, 1_024, 1_025]);
        assert!(code(u64::MAX) > code(u64::MAX / 2));
    }

    #[test]
    fn lanes_are_shown_in_order_up_to_the_first_that_fits() {
        let mut open = OpenLanes::default();
        open.set_n_resources(1);
        let key = |n: u32| SortKey::new(0, crate::model::Timestamp(0), crate::model::ExeId(n.into()));
        let codes = |n: u32| {
            let mut codes = Codes::default();
            codes[0] = u16::try_from(n % 7).expect("small");
            codes
        };
        // Bounds are spread over the blocks.
        let bound = |lane: u32| key(lane * 7_919 % 1_000);
        for lane in 0..1_000 {
            open.insert(lane, bound(lane), &codes(lane));
        }
        open.check_invariants();
        let mut free = Codes::default();
        free[0] = 2;
        let (mut seen, mut best) = (Vec::new(), SortKey::MAX);
        open.visit(&free, |bound, lane| {
            seen.push(lane);
            if lane % 7 == 0 && lane > 100 {
                best = best.min(bound);
                return Shown::Fits;
            }
            Shown::GoOn
        });
        let least = (101..1_000).filter(|lane| lane % 7 == 0).map(bound).min();
        assert_eq!(Some(best), least);
        let before: Vec<u32> = (0..1_000).filter(|lane| lane % 7 <= 2 && bound(*lane) < best).collect();
        assert!(before.iter().all(|lane| seen.contains(lane)), "none before the answer is left out");
        assert!(seen.iter().all(|lane| lane % 7 <= 2), "none that cannot fit is shown");
        for lane in 0..1_000 {
            open.relocate(lane, key(2_000 - lane * 13 % 1_999));
            open.set_codes(lane, &codes(lane + 1));
            open.check_invariants();
        }
        for lane in 0..1_000 {
            open.remove(lane);
            open.check_invariants();
        }
        assert_eq!((open.len(), open.bound(7)), (0, None));
    }
}
