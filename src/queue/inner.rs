//! An inner node of a lane: children in key order, and what is known of each.
//!
//! Invariants L2 and L3 of the lane are kept here and in the lane.
//!
//! B1  `version` is another one whenever a child stands in another place, or the node is another
//!     one: who remembers a place in it can tell that it is still true.

use super::key::{SortKey, n_before};
use super::lane::{LEAST_OF_NONE, Least, lesser, may_fit};
use super::pool::NONE;

/// Children of an inner node: what is known of them is 6 cache lines.
pub(super) const FANOUT_MAX: usize = 32;

/// What is known of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Child {
    /// The first key below it.
    pub(super) first: SortKey,
    /// What the rows below it ask for at least.
    pub(super) least: Least,
    pub(super) n_rows: u32,
    pub(super) node: u32,
}

/// What may be another one since a row left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) first: Option<SortKey>,
    pub(super) least: Option<Least>,
}

/// See the file. Places from `len` on are of no meaning.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Inner {
    version: u32,
    len: u32,
    firsts: [SortKey; FANOUT_MAX],
    below: [Below; FANOUT_MAX],
    leasts: [Least; FANOUT_MAX],
}

/// A child's number and its rows: who goes down to it comes back to count.
#[derive(Clone, Copy, Debug)]
struct Below {
    node: u32,
    n_rows: u32,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            version: 0,
            len: 0,
            firsts: [SortKey::default(); FANOUT_MAX],
            below: [Below { node: NONE, n_rows: 0 }; FANOUT_MAX],
            leasts: [LEAST_OF_NONE; FANOUT_MAX],
        }
    }
}

impl Inner {
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == FANOUT_MAX
    }

    /// The node of a child.
    pub(super) fn node(&self, at: usize) -> u32 {
        self.below[at].node
    }

    pub(super) fn first(&self, at: usize) -> SortKey {
        self.firsts[at]
    }

    pub(super) fn child(&self, at: usize) -> Child {
        let Below { node, n_rows } = self.below[at];
        Child { first: self.firsts[at], least: self.leasts[at], n_rows, node }
    }

    pub(super) fn children(&self) -> impl DoubleEndedIterator<Item = Child> + ExactSizeIterator {
        (0..self.len()).map(|at| self.child(at))
    }

    pub(super) fn least(&self) -> Least {
        self.leasts[..self.len()].iter().fold(LEAST_OF_NONE, |least, other| lesser(least, *other))
    }

    /// What changed, as far as can be told, when children came or went.
    pub(super) fn anything(&self) -> Change {
        Change { first: Some(self.firsts[0]), least: Some(self.least()) }
    }

    pub(super) fn least_of(&self, at: usize) -> &Least {
        &self.leasts[at]
    }

    /// Rows below the children before `at`.
    pub(super) fn n_rows_before(&self, at: usize) -> usize {
        self.below[..at].iter().map(|below| below.n_rows as usize).sum()
    }

    /// How many children begin before `key`.
    pub(super) fn n_before(&self, key: SortKey) -> usize {
        n_before(&self.firsts[..self.len()], key)
    }

    /// The child where `key` is or belongs: between two leaves, at the back of the left one.
    pub(super) fn child_of(&self, key: SortKey) -> usize {
        n_before(&self.firsts[..self.len()], key.next()).saturating_sub(1)
    }

    /// The first child from `at` on that may have something for `free`.
    pub(super) fn next_may_fit(&self, at: usize, free: &Least) -> Option<usize> {
        let next = self.leasts.get(at..self.len())?.iter().position(|least| may_fit(least, free))?;
        Some(at + next)
    }

    /// Takes note of a row that came below a child.
    pub(super) fn came(&mut self, at: usize, key: SortKey, asks: &Least) {
        self.below[at].n_rows += 1;
        if key < self.firsts[at] {
            self.firsts[at] = key;
        }
        if !may_fit(&self.leasts[at], asks) {
            self.leasts[at] = lesser(self.leasts[at], *asks);
        }
    }

    /// The same where the leaf tells that neither its first key nor its least changed.
    pub(super) fn count_one(&mut self, at: usize) {
        self.below[at].n_rows += 1;
    }

    /// Takes note of a row that left below a child that still has some, and of what is its first
    /// key and its least now, where that may be another. Says the same of this node.
    pub(super) fn left(&mut self, at: usize, change: &Change) -> Change {
        self.below[at].n_rows -= 1;
        let mut above = Change::default();
        if let Some(first) = change.first {
            self.firsts[at] = first;
            above.first = (at == 0).then_some(first);
        }
        if let Some(least) = change.least.filter(|least| *least != self.leasts[at]) {
            self.leasts[at] = least;
            above.least = Some(self.least());
        }
        above
    }

    /// Sets what is known of a child.
    pub(super) fn set(&mut self, at: usize, child: Child) {
        (self.firsts[at], self.leasts[at]) = (child.first, child.least);
        self.below[at] = Below { node: child.node, n_rows: child.n_rows };
    }

    /// Makes it a node without children.
    pub(super) fn clear(&mut self) {
        self.version = self.version.wrapping_add(1);
        self.len = 0;
    }

    /// Puts a child in; it is not full.
    pub(super) fn put(&mut self, at: usize, child: Child) {
        let range = at..self.len();
        self.firsts.copy_within(range.clone(), at + 1);
        self.leasts.copy_within(range.clone(), at + 1);
        self.below.copy_within(range, at + 1);
        self.len += 1;
        self.set(at, child);
        self.version = self.version.wrapping_add(1);
    }

    pub(super) fn take(&mut self, at: usize) -> Child {
        let child = self.child(at);
        let range = at + 1..self.len();
        self.firsts.copy_within(range.clone(), at);
        self.leasts.copy_within(range.clone(), at);
        self.below.copy_within(range, at);
        self.len -= 1;
        self.version = self.version.wrapping_add(1);
        child
    }

    /// Puts `child` at `at` although it is full: what lies behind moves to `tail`, which is empty.
    pub(super) fn split(&mut self, at: usize, child: Child, tail: &mut Self) {
        // Behind the last child the node stays full, as leaves do.
        let cut = if at == FANOUT_MAX { FANOUT_MAX } else { FANOUT_MAX / 2 };
        for from in cut..self.len() {
            tail.put(from - cut, self.child(from));
        }
        self.len = u32::try_from(cut).expect("at most FANOUT_MAX");
        self.version = self.version.wrapping_add(1);
        if at > cut || cut == FANOUT_MAX { tail.put(at - cut, child) } else { self.put(at, child) }
    }

    /// As of a leaf.
    pub(super) fn is_sparse(&self) -> bool {
        self.len() < FANOUT_MAX / 4 && (self.len + 1).is_power_of_two()
    }

    pub(super) fn can_absorb(&self, right: &Self) -> bool {
        self.len() + right.len() <= FANOUT_MAX * 3 / 4
    }

    /// Takes the children of a right neighbour; [`Inner::can_absorb`] said yes.
    pub(super) fn absorb(&mut self, right: &Self) {
        for child in right.children() {
            self.put(self.len(), child);
        }
    }
}
