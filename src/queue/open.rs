//! The lanes that may move, in the order of their heads, with just enough of each to tell at a
//! glance that nothing in it fits.
//!
//! Up to 64 lanes stand in a block, their codes resource by resource, so that one pass of vector
//! instructions compares all of them with an offer. A block knows a lower bound of its lanes, so a
//! decision where nothing fits mostly reads one line per block.
//!
//! O1  (bound, lane) rises strictly over all blocks; no block is empty.
//! O2  A block's `min` exceeds no code of its lanes; `first` is its first place.
//! O3  Codes never exceed those of any entry of their lane: what they refuse does not fit.
//! O4  Resources from `n_resources` on have code 0 everywhere: nothing asks for them yet.

use super::key::SortKey;
use crate::model::RESOURCES_MAX;

/// Lanes of one block: as many as a word has bits. With fewer, lanes that move in the order would
/// move between blocks more often, and their codes with them.
const BLOCK_LEN_MAX: usize = 64;

/// A block's `min` is made true again after this many lanes left it: that costs a pass over the
/// block, and a bound that is a little low only costs a glance at it.
const STALE_MAX: u8 = 8;

/// An amount of thousandths in sixteen bits: exact below 1,024, then rounded down to nine
/// significant bits. Never turns an order round: of two amounts the smaller has no larger code.
pub(crate) fn code(amount: u64) -> u16 {
    let bits = u64::BITS - amount.leading_zeros();
    let shift = bits.saturating_sub(10);
    // Amounts of 10 bits and fewer are their own codes; above, each further bit adds 512 codes.
    let code = (amount >> shift) + u64::from(shift) * 512;
    u16::try_from(code).expect("54 shifts of 512 and a rest below 1,024")
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

/// Where a lane stands in the order, and in which column of its block its codes are.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    bound: SortKey,
    lane: u32,
    column: u8,
}

/// The order of places: by bound, then (among types with a direction of their own) by lane.
type Order = (SortKey, u32);

fn is_before(a: Order, b: Order) -> bool {
    a.0 < b.0 || (a.0 == b.0 && a.1 < b.1)
}

impl Place {
    fn order(&self) -> Order {
        (self.bound, self.lane)
    }
}

#[derive(Clone, Debug)]
struct Head {
    min: Codes,
    first: Order,
    /// Lanes that left since `min` was true.
    n_stale: u8,
}

#[derive(Clone, Debug)]
struct Block {
    /// By resource, then by column. Columns without a lane refuse everything.
    codes: [[u16; BLOCK_LEN_MAX]; RESOURCES_MAX],
    /// A bit for each column with a lane.
    used: u64,
    /// In order.
    places: Vec<Place>,
}

impl Block {
    fn new(n_resources: usize) -> Box<Self> {
        let mut codes = [[0; BLOCK_LEN_MAX]; RESOURCES_MAX];
        codes[..n_resources].fill([u16::MAX; BLOCK_LEN_MAX]);
        Box::new(Self { codes, used: 0, places: Vec::with_capacity(BLOCK_LEN_MAX) })
    }

    fn codes_at(&self, column: u8) -> Codes {
        self.codes.map(|of_resource| of_resource[usize::from(column)])
    }

    fn set_codes(&mut self, column: u8, codes: &[u16]) {
        for (of_resource, code) in self.codes.iter_mut().zip(codes) {
            of_resource[usize::from(column)] = *code;
        }
    }

    /// Where in the order a lane is or belongs.
    fn place_of(&self, order: Order) -> usize {
        let at = self.places.partition_point(|place| place.bound < order.0);
        // Only types with a direction of their own share a bound.
        let same = self.places[at..].iter().take_while(|place| is_before(place.order(), order));
        at + same.count()
    }

    fn insert(&mut self, bound: SortKey, lane: u32, codes: &[u16]) {
        let at = self.place_of((bound, lane));
        let column = u8::try_from(self.used.trailing_ones()).expect("below BLOCK_LEN_MAX");
        self.used |= 1 << column;
        self.set_codes(column, codes);
        self.places.insert(at, Place { bound, lane, column });
    }

    fn free(&mut self, column: u8, n_resources: usize) {
        self.used &= !(1 << column);
        self.set_codes(column, &[u16::MAX; RESOURCES_MAX][..n_resources]);
    }

    fn remove(&mut self, at: usize, n_resources: usize) {
        let Place { column, .. } = self.places.remove(at);
        self.free(column, n_resources);
    }

    /// Gives the lane at `at` another bound; it stays in its column.
    fn relocate(&mut self, at: usize, bound: SortKey) {
        let lane = self.places[at].lane;
        let to = self.place_of((bound, lane));
        self.places[at].bound = bound;
        if to > at {
            self.places[at..to].rotate_left(1);
        } else {
            self.places[to..=at].rotate_right(1);
        }
    }

    /// Moves everything from `at` on into a block of its own.
    fn split_off(&mut self, at: usize, n_resources: usize) -> Box<Self> {
        let mut right = Self::new(n_resources);
        for (place, column) in self.places.drain(at..).zip(0_u8..) {
            let from = usize::from(place.column);
            for (to, of_resource) in right.codes.iter_mut().zip(&mut self.codes).take(n_resources) {
                to[usize::from(column)] = std::mem::replace(&mut of_resource[from], u16::MAX);
            }
            self.used &= !(1 << place.column);
            right.used |= 1 << column;
            right.places.push(Place { column, ..place });
        }
        right
    }

    fn head(&self, n_resources: usize) -> Head {
        let mut min = Codes::default();
        for (min, of_resource) in min.iter_mut().zip(&self.codes).take(n_resources) {
            *min = of_resource.iter().fold(u16::MAX, |least, code| least.min(*code));
        }
        Head { min, first: self.places[0].order(), n_stale: 0 }
    }

    /// A bit for each column whose lane may fit. Only the first `n_resources` are compared.
    fn glance(&self, free: &Codes, n_resources: usize) -> u64 {
        let mut over = [0_u16; BLOCK_LEN_MAX];
        for (of_resource, have) in self.codes.iter().zip(free).take(n_resources) {
            for (over, ask) in over.iter_mut().zip(of_resource) {
                *over |= ask.saturating_sub(*have);
            }
        }
        let mut fits = [0_u8; BLOCK_LEN_MAX];
        for (fit, over) in fits.iter_mut().zip(over) {
            *fit = u8::from(over == 0);
        }
        // Eight flags of a byte each become eight bits by one multiplication.
        let bits = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        let words = fits.as_chunks::<8>().0;
        words.iter().rev().fold(0, |sum, bytes| sum << 8 | bits(bytes))
    }
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenLanes {
    /// Resources in use, at least the first.
    n_resources: usize,
    heads: Vec<Head>,
    #[expect(clippy::vec_box, reason = "a block is a kilobyte, and blocks are moved when one is cut")]
    blocks: Vec<Box<Block>>,
}

impl OpenLanes {
    /// Sets how many resources anything may ask for from now on; never fewer than before.
    pub(crate) fn set_n_resources(&mut self, n_resources: usize) {
        let before = self.n_resources;
        self.n_resources = before.max(n_resources).max(1);
        for block in &mut self.blocks {
            for column in (0..BLOCK_LEN_MAX).filter(|column| block.used >> column & 1 == 0) {
                for of_resource in &mut block.codes[before..self.n_resources] {
                    of_resource[column] = u16::MAX;
                }
            }
        }
    }

    /// The block where a lane is or belongs.
    fn block_of(&self, order: Order) -> usize {
        // Few blocks, and mostly the first ones: a walk beats a search.
        let is_behind = |head: &Head| !is_before(order, head.first);
        match self.heads.len() {
            0..=8 => self.heads.iter().take_while(|head| is_behind(head)).count(),
            _ => self.heads.partition_point(is_behind),
        }
        .saturating_sub(1)
    }

    /// Puts a lane in. Cost: a search over blocks, a move within one.
    pub(crate) fn insert(&mut self, bound: SortKey, lane: u32, codes: Codes) {
        let n_resources = self.n_resources;
        let codes_in_use = &codes[..n_resources];
        let mut at_block = self.block_of((bound, lane));
        let Some(block) = self.blocks.get_mut(at_block) else {
            let mut block = Block::new(n_resources);
            block.insert(bound, lane, codes_in_use);
            self.heads.push(block.head(n_resources));
            self.blocks.push(block);
            return;
        };
        if block.places.len() == BLOCK_LEN_MAX {
            let right = block.split_off(BLOCK_LEN_MAX / 2, n_resources);
            self.heads[at_block] = block.head(n_resources);
            self.heads.insert(at_block + 1, right.head(n_resources));
            self.blocks.insert(at_block + 1, right);
            at_block += usize::from(self.heads[at_block + 1].first <= (bound, lane));
        }
        self.blocks[at_block].insert(bound, lane, codes_in_use);
        let head = &mut self.heads[at_block];
        head.min = lesser(head.min, &codes);
        head.first = head.first.min((bound, lane));
    }

    fn find(&self, order: Order) -> Option<(usize, usize)> {
        let at_block = self.block_of(order);
        let block = self.blocks.get(at_block)?;
        let at = block.place_of(order);
        (block.places.get(at)?.order() == order).then_some((at_block, at))
    }

    /// Takes a lane out.
    ///
    /// # Panics
    /// When it is not there under `bound`.
    pub(crate) fn remove(&mut self, bound: SortKey, lane: u32) {
        let (at_block, at) = self.find((bound, lane)).expect("O1: it is there");
        let block = &mut self.blocks[at_block];
        block.remove(at, self.n_resources);
        match block.places.first() {
            None => {
                self.blocks.remove(at_block);
                self.heads.remove(at_block);
            }
            Some(first) => {
                self.heads[at_block].first = first.order();
                self.grow_stale(at_block);
            }
        }
    }

    /// Gives a lane another bound, and codes. Cost: a move within one block, mostly.
    ///
    /// # Panics
    /// When it is not there under `from`.
    pub(crate) fn relocate(&mut self, from: SortKey, to: SortKey, lane: u32, codes: Option<Codes>) {
        let (at_block, at) = self.find((from, lane)).expect("O1: it is there");
        if self.block_of((to, lane)) == at_block {
            let block = &mut self.blocks[at_block];
            block.relocate(at, to);
            self.heads[at_block].first = block.places[0].order();
            if let Some(codes) = codes {
                self.set_codes(to, lane, codes);
            }
            return;
        }
        let codes =
            codes.unwrap_or_else(|| self.blocks[at_block].codes_at(self.blocks[at_block].places[at].column));
        self.remove(from, lane);
        self.insert(to, lane, codes);
    }

    /// Takes note that a block's minimum may be lower than it has to be.
    fn grow_stale(&mut self, at_block: usize) {
        let head = &mut self.heads[at_block];
        head.n_stale += 1;
        if head.n_stale >= STALE_MAX {
            *head = self.blocks[at_block].head(self.n_resources);
        }
    }

    /// Gives a lane other codes.
    ///
    /// # Panics
    /// When it is not there under `bound`.
    pub(crate) fn set_codes(&mut self, bound: SortKey, lane: u32, codes: Codes) {
        let (at_block, at) = self.find((bound, lane)).expect("O1: it is there");
        let block = &mut self.blocks[at_block];
        let column = block.places[at].column;
        block.set_codes(column, &codes[..self.n_resources]);
        self.heads[at_block].min = lesser(self.heads[at_block].min, &codes);
        self.grow_stale(at_block);
    }

    /// Gives `visit` the lanes that may have something for `free`, in order, each with its bound,
    /// until an answer named a bound that comes before.
    ///
    /// Cost: a line per block, and a pass over those whose minimum fits.
    pub(crate) fn visit(&self, free: &Codes, mut visit: impl FnMut(SortKey, u32) -> SortKey) {
        let mut end = SortKey::MAX;
        for (head, block) in self.heads.iter().zip(&self.blocks) {
            if head.first.0 > end {
                return;
            }
            if !may_fit(&head.min, free) {
                continue;
            }
            let fits = block.glance(free, self.n_resources);
            if fits == 0 {
                continue;
            }
            for place in block.places.iter().filter(|place| fits >> place.column & 1 == 1) {
                if place.bound > end {
                    return;
                }
                end = end.min(visit(place.bound, place.lane));
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.places.len()).sum()
    }

    pub(crate) fn contains(&self, bound: SortKey, lane: u32) -> bool {
        self.find((bound, lane)).is_some()
    }

    /// Holds O1 and O2 against what is there.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        let places = self.blocks.iter().flat_map(|block| &block.places);
        assert!(places.is_sorted_by(|a, b| a.order() < b.order()), "O1");
        assert_eq!(self.heads.len(), self.blocks.len(), "O2: as many heads as blocks");
        for (head, block) in self.heads.iter().zip(&self.blocks) {
            let n = block.places.len();
            assert!((1..=BLOCK_LEN_MAX).contains(&n), "O1: length");
            assert_eq!(head.first, block.places[0].order(), "O2: first");
            let used = block.places.iter().fold(0_u64, |used, place| used | 1 << place.column);
            assert_eq!((used, used.count_ones() as usize), (block.used, n), "O2: columns");
            for place in &block.places {
                assert!(may_fit(&head.min, &block.codes_at(place.column)), "O2: minimum");
            }
            let mut unused = (0..BLOCK_LEN_MAX).filter(|column| used >> column & 1 == 0);
            let in_use = &block.codes[..self.n_resources];
            let refuses = |column: usize| in_use.iter().all(|of_resource| of_resource[column] == u16::MAX);
            assert!(unused.all(refuses), "O2: rest");
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
    fn lanes_are_visited_in_order_up_to_the_bound_named() {
        let mut open = OpenLanes::default();
        open.set_n_resources(1);
        let key = |n: u64| SortKey::new(0, crate::model::Timestamp(0), crate::model::ExeId(n));
        let codes = |n: u64| {
            let mut codes = Codes::default();
            codes[0] = u16::try_from(n % 7).expect("small");
            codes
        };
        for n in 0..1_000_u64 {
            let n = n * 7_919 % 1_000;
            open.insert(key(n), u32::try_from(n).expect("small"), codes(n));
        }
        open.check_invariants();
        let mut free = Codes::default();
        free[0] = 2;
        let mut seen = Vec::new();
        open.visit(&free, |_, lane| {
            seen.push(u64::from(lane));
            if lane >= 500 { key(600) } else { SortKey::MAX }
        });
        assert_eq!(seen, (0..=600).filter(|n| n % 7 <= 2).collect::<Vec<_>>());
        for n in 0..1_000_u64 {
            open.set_codes(key(n), u32::try_from(n).expect("small"), codes(n + 1));
            open.check_invariants();
            open.remove(key(n), u32::try_from(n).expect("small"));
        }
        assert_eq!((open.len(), open.heads.len()), (0, 0));
    }
}
