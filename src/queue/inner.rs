//! An inner node of a lane: children in key order, and what is known of each.
//!
//! Invariants L2 and L3 of the lane are kept here.

use super::key::SortKey;
use super::lane::{Front, LEAST_OF_NONE, Least, Node, Removed, Row, lesser, may_fit, with_sum};

/// Children of an inner node: what is known of them is 6 cache lines.
pub(super) const FANOUT_MAX: usize = 32;

/// See the file. Places from `len` on are of no meaning, and without a child.
#[derive(Clone, Debug, Default)]
pub(super) struct Inner {
    len: usize,
    /// The first key below each child.
    firsts: [SortKey; FANOUT_MAX],
    /// What the rows below each child ask for at least.
    leasts: [Least; FANOUT_MAX],
    n_rows: [u32; FANOUT_MAX],
    children: [Option<Node>; FANOUT_MAX],
}

impl Inner {
    pub(super) fn of_two(left: Node, right: Node) -> Self {
        let mut inner = Self::default();
        inner.put(0, left);
        inner.put(1, right);
        inner
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn child(&self, at: usize) -> Option<&Node> {
        self.children.get(at)?.as_ref()
    }

    fn child_mut(&mut self, at: usize) -> &mut Node {
        self.children[at].as_mut().expect("L3: it has children")
    }

    pub(super) fn children(&self) -> impl Iterator<Item = &Node> {
        self.children[..self.len].iter().flatten()
    }

    pub(super) fn first_key(&self) -> SortKey {
        self.firsts[0]
    }

    pub(super) fn first_of(&self, at: usize) -> SortKey {
        self.firsts[at]
    }

    pub(super) fn least(&self) -> Least {
        self.leasts[..self.len].iter().fold(LEAST_OF_NONE, |least, other| lesser(least, *other))
    }

    pub(super) fn n_rows(&self) -> u32 {
        self.n_rows[..self.len].iter().sum()
    }

    /// Rows below the children before `at`.
    pub(super) fn n_rows_before(&self, at: usize) -> usize {
        self.n_rows[..at].iter().map(|n| *n as usize).sum()
    }

    /// What is known of a child: its first key, its least, its rows.
    pub(super) fn known_of(&self, at: usize) -> (SortKey, Least, u32) {
        (self.firsts[at], self.leasts[at], self.n_rows[at])
    }

    /// How many children begin before `key`.
    pub(super) fn n_before(&self, key: SortKey) -> usize {
        self.firsts[..self.len].partition_point(|first| *first < key)
    }

    /// The child where `key` is or belongs: between two leaves, at the back of the left one.
    pub(super) fn child_of(&self, key: SortKey) -> usize {
        self.firsts[..self.len].partition_point(|first| *first <= key).saturating_sub(1)
    }

    /// The first child from `at` on that may have something for `free`.
    pub(super) fn next_may_fit(&self, at: usize, free: &Least) -> Option<usize> {
        let next = self.leasts.get(at..self.len)?.iter().position(|least| may_fit(least, free))?;
        Some(at + next)
    }

    /// What is known of the first leaf; `fence` is the first key behind this node.
    pub(super) fn front(&self, fence: SortKey) -> Front {
        let fence = if self.len > 1 { self.firsts[1] } else { fence };
        match self.child(0) {
            Some(Node::Inner(inner)) => inner.front(fence),
            _ => Front { least: self.leasts[0], fence },
        }
    }

    /// Makes room at `at`.
    fn open(&mut self, at: usize) {
        let range = at..self.len;
        self.firsts.copy_within(range.clone(), at + 1);
        self.leasts.copy_within(range.clone(), at + 1);
        self.n_rows.copy_within(range, at + 1);
        self.children[at..=self.len].rotate_right(1);
        self.len += 1;
    }

    fn put(&mut self, at: usize, child: Node) {
        self.open(at);
        self.children[at] = Some(child);
        self.renew(at);
    }

    fn take(&mut self, at: usize) -> Node {
        let range = at + 1..self.len;
        self.firsts.copy_within(range.clone(), at);
        self.leasts.copy_within(range.clone(), at);
        self.n_rows.copy_within(range, at);
        self.children[at..self.len].rotate_left(1);
        self.len -= 1;
        self.children[self.len].take().expect("L3: it has children")
    }

    /// The only child, taken out: the node is of no use any more.
    pub(super) fn take_only(&mut self) -> Node {
        self.take(0)
    }

    /// Brings what is known of a child up to what it is.
    fn renew(&mut self, at: usize) {
        let child = self.child(at).expect("L3: it has children");
        let known = (child.first_key(), child.least(), child.n_rows());
        (self.firsts[at], self.leasts[at], self.n_rows[at]) = known;
    }

    /// Moves the children from `at` on into a node of their own.
    fn split_off(&mut self, at: usize) -> Box<Self> {
        let mut tail = Box::<Self>::default();
        let n = self.len - at;
        tail.firsts[..n].copy_from_slice(&self.firsts[at..self.len]);
        tail.leasts[..n].copy_from_slice(&self.leasts[at..self.len]);
        tail.n_rows[..n].copy_from_slice(&self.n_rows[at..self.len]);
        tail.children[..n].swap_with_slice(&mut self.children[at..self.len]);
        (self.len, tail.len) = (at, n);
        tail
    }

    /// Puts `row` in. What does not fit any more comes back as a right neighbour.
    pub(super) fn insert(&mut self, row: Row) -> Option<Box<Self>> {
        let at = self.child_of(row.key);
        let Some(right) = self.child_mut(at).insert(row) else {
            self.firsts[at] = self.firsts[at].min(row.key);
            self.leasts[at] = lesser(self.leasts[at], with_sum(row.asks));
            self.n_rows[at] += 1;
            return None;
        };
        self.renew(at);
        if self.len < FANOUT_MAX {
            self.put(at + 1, right);
            return None;
        }
        // Behind the last child the node stays full, as leaves do.
        let mut tail = self.split_off(if at + 1 == FANOUT_MAX { FANOUT_MAX } else { FANOUT_MAX / 2 });
        match (at + 1).checked_sub(self.len) {
            Some(at) => tail.put(at, right),
            None => self.put(at + 1, right),
        }
        Some(tail)
    }

    pub(super) fn remove(&mut self, key: SortKey) -> Option<Removed> {
        let at = self.child_of(key);
        let removed = self.child_mut(at).remove(key)?;
        Some(self.removed(at, removed))
    }

    pub(super) fn remove_first(&mut self) -> Option<Removed> {
        let removed = self.child_mut(0).remove_first()?;
        Some(self.removed(0, removed))
    }

    /// Takes note of what left the child at `at`, and says so to the node above.
    fn removed(&mut self, at: usize, mut removed: Removed) -> Removed {
        let known = self.leasts[at];
        let child = self.children[at].as_ref().expect("L3: it has children");
        if child.len() == 0 {
            self.take(at);
            return removed;
        }
        self.n_rows[at] -= 1;
        if removed.row.key == self.firsts[at] {
            self.firsts[at] = child.first_key();
        }
        self.leasts[at] = child.least_after(&known, &removed);
        removed.is_least_changed = self.leasts[at] != known;
        if child.is_sparse() {
            self.join(at);
        }
        removed
    }

    pub(super) fn is_sparse(&self) -> bool {
        self.len < FANOUT_MAX / 4
    }

    pub(super) fn can_absorb(&self, right: &Self) -> bool {
        self.len + right.len <= FANOUT_MAX * 3 / 4
    }

    /// Takes the children of a right neighbour; [`Inner::can_absorb`] said yes.
    pub(super) fn absorb(&mut self, mut right: Self) {
        for at in 0..right.len {
            let child = right.children[at].take().expect("L3: it has children");
            self.children[self.len] = Some(child);
            (self.firsts[self.len], self.leasts[self.len], self.n_rows[self.len]) = right.known_of(at);
            self.len += 1;
        }
    }

    /// Joins a sparse child with a neighbour, where both leave room.
    fn join(&mut self, at: usize) {
        let fit = |left: usize| {
            let right = self.child(left + 1);
            self.child(left).zip(right).is_some_and(|(left, right)| left.can_absorb(right))
        };
        let left = if fit(at) {
            at
        } else if at > 0 && fit(at - 1) {
            at - 1
        } else {
            return;
        };
        let right = self.take(left + 1);
        self.child_mut(left).absorb(right);
        self.renew(left);
    }
}
