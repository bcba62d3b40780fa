//! The nodes of all lanes of a queue, found by number and by their level above the leaves.
//!
//! What holds of them is said in the lane: L1 to L3.

use super::inner::{Change, Child, Inner};
use super::key::SortKey;
use super::lane::{Least, Path, Row, may_fit};
use super::leaf::Leaf;
use super::pool::Pool;

/// The nodes of all lanes of a queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes {
    pub(super) leaves: Pool<Leaf>,
    pub(super) inners: Pool<Inner>,
}

impl Nodes {
    /// Bytes they occupy.
    pub(crate) fn bytes(&self) -> usize {
        self.leaves.bytes() + self.inners.bytes()
    }

    /// Leaves and inner nodes in use.
    pub(crate) fn n_used(&self) -> [usize; 2] {
        [self.leaves.n_used(), self.inners.n_used()]
    }

    pub(super) fn make_leaf(&mut self) -> u32 {
        let at = self.leaves.make();
        self.leaves.get_mut(at).clear();
        at
    }

    pub(super) fn make_inner(&mut self) -> u32 {
        let at = self.inners.make();
        self.inners.get_mut(at).clear();
        at
    }

    /// What is to be known of a node so many levels above the leaves.
    pub(super) fn child(&self, node: u32, level: usize) -> Child {
        if level == 0 {
            let leaf = self.leaves.get(node);
            let n_rows = u32::try_from(leaf.len()).expect("a few");
            return Child { first: leaf.first_key(), least: *leaf.least(), n_rows, node };
        }
        let inner = self.inners.get(node);
        let n_rows = u32::try_from(inner.n_rows_before(inner.len())).expect("entries are counted by u32");
        Child { first: inner.first(0), least: inner.least(), n_rows, node }
    }

    pub(super) fn len(&self, node: u32, level: usize) -> usize {
        if level == 0 { self.leaves.get(node).len() } else { self.inners.get(node).len() }
    }

    pub(super) fn free(&mut self, node: u32, level: usize) {
        if level == 0 {
            self.leaves.free(node);
            self.leaves.shrink();
        } else {
            // These stay for ever: versions must never begin anew.
            self.inners.get_mut(node).clear();
            self.inners.free(node);
        }
    }

    pub(super) fn is_sparse(&self, node: u32, level: usize) -> bool {
        if level == 0 { self.leaves.get(node).is_sparse() } else { self.inners.get(node).is_sparse() }
    }

    /// Joins two neighbours where both together leave room. True when they were.
    pub(super) fn join(&mut self, left: u32, right: u32, level: usize) -> bool {
        if level == 0 {
            let (left, right) = self.leaves.get_two(left, right);
            if !left.can_absorb(right) {
                return false;
            }
            left.absorb(right);
        } else {
            let (left, right) = self.inners.get_two(left, right);
            if !left.can_absorb(right) {
                return false;
            }
            left.absorb(right);
        }
        self.free(right, level);
        true
    }

    pub(super) fn first_row(&self, mut node: u32, level: usize) -> Option<Row> {
        for _ in 0..level {
            node = self.inners.get(node).node(0);
        }
        self.leaves.get(node).row(0)
    }
}

/// By node and level: 0 is that of leaves.
impl Nodes {
    /// Puts a child in. What does not fit any more comes back as a right neighbour.
    pub(super) fn put_child(&mut self, inner: u32, at: usize, child: Child) -> Option<u32> {
        let node = self.inners.get_mut(inner);
        if !node.is_full() {
            node.put(at, child);
            return None;
        }
        let right = self.make_inner();
        let (node, tail) = self.inners.get_two(inner, right);
        node.split(at, child, tail);
        Some(right)
    }

    /// Takes note, upwards, of a row that left a leaf which has `len` rows now: a node that is empty
    /// leaves, a sparse one is joined with a neighbour.
    pub(super) fn left_sparse(&mut self, path: &Path, mut len: usize, mut change: Change) -> Change {
        let mut node = path.leaf;
        for (step, level) in path.steps().iter().rev().zip(0..) {
            let at = step.at as usize;
            let inner = self.inners.get_mut(step.inner);
            if len == 0 {
                inner.take(at);
                change = inner.anything();
                self.free(node, level);
            } else {
                change = inner.left(at, &change);
                if self.is_sparse(node, level) {
                    self.join_child(step.inner, at, level);
                }
            }
            (node, len) = (step.inner, self.inners.get(step.inner).len());
        }
        change
    }

    /// Joins a sparse child with a neighbour, where both leave room.
    pub(super) fn join_child(&mut self, inner: u32, at: usize, level: usize) {
        let n = self.inners.get(inner).len();
        let lefts = [Some(at).filter(|at| at + 1 < n), at.checked_sub(1)];
        for left in lefts.into_iter().flatten() {
            let node = self.inners.get(inner);
            let (first, second) = (node.node(left), node.node(left + 1));
            if self.join(first, second, level) {
                let known = self.child(first, level);
                let node = self.inners.get_mut(inner);
                node.take(left + 1);
                node.set(left, known);
                return;
            }
        }
    }

    /// The first row before `end` that fits.
    pub(super) fn first_fit(
        &self,
        (node, level): (u32, usize),
        free: &Least,
        end: SortKey,
        n_nodes: &mut u32,
    ) -> Option<Row> {
        *n_nodes += 1;
        if level == 0 {
            return self.leaves.get(node).first_fit(free).filter(|row| row.key < end);
        }
        let inner = self.inners.get(node);
        let mut at = 0;
        while let Some(next) = inner.next_may_fit(at, free) {
            if inner.first(next) >= end {
                return None;
            }
            let found = self.first_fit((inner.node(next), level - 1), free, end, n_nodes);
            if found.is_some() {
                return found;
            }
            at = next + 1;
        }
        None
    }

    /// The last row within `from..to` that fits.
    pub(super) fn last_fit(
        &self,
        (node, level): (u32, usize),
        free: &Least,
        (from, to): (SortKey, SortKey),
        n_nodes: &mut u32,
    ) -> Option<Row> {
        *n_nodes += 1;
        if level == 0 {
            let leaf = self.leaves.get(node);
            return leaf.last_fit(free, leaf.n_before(from)..leaf.n_before(to));
        }
        let inner = self.inners.get(node);
        let range = inner.child_of(from)..inner.n_before(to);
        let mut candidates = range.rev().filter(|&at| may_fit(inner.least_of(at), free));
        candidates.find_map(|at| self.last_fit((inner.node(at), level - 1), free, (from, to), n_nodes))
    }

    /// Collects rows; returns what is to be known of the node.
    pub(super) fn check(
        &self,
        (node, level): (u32, usize),
        rows: &mut Vec<Row>,
        n_nodes: &mut [usize; 2],
    ) -> Child {
        assert!(self.len(node, level) > 0, "L3: empty");
        n_nodes[level.min(1)] += 1;
        if level == 0 {
            let leaf = self.leaves.get(node);
            leaf.check_invariants();
            rows.extend((0..leaf.len()).filter_map(|at| leaf.row(at)));
        } else {
            for known in self.inners.get(node).children() {
                assert_eq!(self.check((known.node, level - 1), rows, n_nodes), known, "L2");
            }
        }
        self.child(node, level)
    }
}
