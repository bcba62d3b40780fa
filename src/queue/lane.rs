//! One lane of the queue: executions of one tenant, job type, constraint set and requirement
//! class. Within it only memory and disk differ.
//!
//! A B+tree in FIFO order whose inner nodes carry what the rows below a child ask for at least, so that
//! "the first that fits" passes over whole subtrees. LIFO reads the same tree: priorities
//! forward, within each priority backward. Owned by the core; nothing here locks or does I/O.
//!
//! L1  Keys rise strictly from front to back.
//! L2  What an inner node knows of a child is true of the rows below it.
//! L3  A leaf has 1 to `LEAF_LEN_MAX` rows, an inner node 1 to `FANOUT_MAX` children, and all leaves
//!     are equally deep.
//! L4  A row that left the lane is in no leaf any more when the call returns.
//! L5  A tail whose nodes have the versions it names leads to its leaf, and no leaf behind that one
//!     begins before the tail's `end`.
//! L6  `front` is the first leaf.
//! L7  `oldest` is the least queued time, unless `is_oldest_gone`.

use super::inner::{Change, Inner};
use super::key::SortKey;
use super::nodes::Nodes;
use super::pool::NONE;
use super::records::Records;
use super::skyline::Skyline;
use crate::model::{JobId, QueueMode, Timestamp};

/// Levels of inner nodes: with 8 children each, sixteen million leaves.
const DEPTH_MAX: usize = 8;

/// Rows of the first leaf that a look takes in.
const LOOK_ROWS: usize = 32;

/// Ends of priorities that a lane remembers.
const N_TAILS: usize = 8;

/// What an entry asks for of the two resources that vary, in units of its lane.
pub(crate) type Varying = [u32; 2];

/// What every entry of several asks for at least, of each resource and of both together; or what
/// a node has free.
///
/// The sum refuses what the two minima let pass: where memory and disk are traded against each
/// other, each minimum belongs to another entry.
pub(crate) type Least = [u32; 3];

/// An entry in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: SortKey,
    pub(crate) asks: Varying,
    pub(crate) job: JobId,
}

/// The least of no rows: it fits nowhere but in a machine without end.
pub(crate) const LEAST_OF_NONE: Least = [u32::MAX; 3];

/// Amounts with their sum. One that saturates refuses nothing (`free`) or no less than it is.
pub(crate) const fn with_sum(amounts: Varying) -> Least {
    [amounts[0], amounts[1], amounts[0].saturating_add(amounts[1])]
}

pub(crate) const fn fits(asks: Varying, free: &Least) -> bool {
    asks[0] <= free[0] && asks[1] <= free[1]
}

/// False where nothing that asks for `least` or more fits in `free`.
pub(crate) const fn may_fit(least: &Least, free: &Least) -> bool {
    least[0] <= free[0] && least[1] <= free[1] && least[2] <= free[2]
}

pub(super) fn lesser(a: Least, b: Least) -> Least {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].min(b[2])]
}

/// Whether what asks for `asks` is among those that ask for the least.
pub(super) fn touches(least: &Least, asks: Varying) -> bool {
    let asks = with_sum(asks);
    least[0] == asks[0] || least[1] == asks[1] || least[2] == asks[2]
}

/// One step of a way down: an inner node, and the place of the child in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    pub(super) inner: u32,
    pub(super) at: u32,
}

/// A way from the root to a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    depth: usize,
    steps: [Step; DEPTH_MAX],
    pub(super) leaf: u32,
}

impl Path {
    /// From the root down.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps[..self.depth]
    }
}

/// The way to the leaf where rows of one priority were last put at the end.
#[derive(Clone, Copy, Debug)]
struct Tail {
    priority: i32,
    path: Path,
    versions: [u32; DEPTH_MAX],
    end: SortKey,
}

/// What a look at the beginning of a lane tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    /// The first row that fits.
    Fits(Row),
    /// Nothing before this key fits.
    NothingBefore(SortKey),
}

/// Rows in order, found by key, by rank, or by "first that fits". Its nodes are among those that
/// every call is given.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    root: u32,
    /// Levels of inner nodes.
    depth: usize,
    least: Least,
    /// The first leaf.
    front: u32,
    records: Records,
    skyline: Skyline,
    n_rows: usize,
    tails: Vec<Option<Box<Tail>>>,
    oldest: Option<Timestamp>,
    /// Whether an entry that had waited longest left since `oldest` was true.
    is_oldest_gone: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            root: NONE,
            depth: 0,
            least: LEAST_OF_NONE,
            front: NONE,
            records: Records::default(),
            skyline: Skyline::default(),
            n_rows: 0,
            tails: Vec::new(),
            oldest: None,
            is_oldest_gone: false,
        }
    }
}

impl Lane {
    pub(crate) fn len(&self) -> usize {
        self.n_rows
    }

    /// What its rows ask for at least.
    pub(crate) fn least(&self) -> &Least {
        &self.least
    }

    /// Goes down from the root, to the child that `choose` names at each node.
    fn path(&self, nodes: &Nodes, choose: impl Fn(&Inner) -> usize) -> Path {
        let mut path = Path { depth: self.depth, steps: [Step::default(); DEPTH_MAX], leaf: self.root };
        for step in &mut path.steps[..self.depth] {
            let inner = nodes.inners.get(path.leaf);
            let at = choose(inner);
            *step = Step { inner: path.leaf, at: u32::try_from(at).expect("at most FANOUT_MAX") };
            path.leaf = inner.node(at);
        }
        path
    }

    /// The first key of the second leaf.
    fn second_leaf(&self, nodes: &Nodes) -> SortKey {
        let (mut node, mut key) = (self.root, SortKey::MAX);
        for _ in 0..self.depth {
            let inner = nodes.inners.get(node);
            if inner.len() > 1 {
                key = inner.first(1);
            }
            node = inner.node(0);
        }
        key
    }

    /// Makes the skyline anew: the first leaf, the first two, four and so on below their node, then
    /// the same one level up, and last the whole lane. Cost: a pass over the children of the first
    /// node of each level.
    fn renew_skyline(&mut self, nodes: &Nodes) {
        self.skyline.clear();
        let path = self.path(nodes, |_| 0);
        self.front = path.leaf;
        let mut least = LEAST_OF_NONE;
        for step in path.steps().iter().rev() {
            let inner = nodes.inners.get(step.inner);
            for (child, n) in inner.children().zip(0_usize..) {
                if n.is_power_of_two() {
                    self.skyline.push(child.first, least);
                }
                least = lesser(least, child.least);
            }
        }
        self.skyline.push(SortKey::MAX, self.least);
    }

    fn tail_slot(priority: i32) -> usize {
        priority.rem_euclid(8) as usize
    }

    /// The way to the leaf where `row` belongs, if it is remembered and the leaf has room.
    fn tail_for(&self, nodes: &Nodes, row: &Row) -> Option<&Tail> {
        let priority = row.key.priority();
        let tail = self.tails.get(Self::tail_slot(priority))?.as_ref()?;
        if tail.priority != priority || row.key >= tail.end {
            return None;
        }
        if !self.is_current(nodes, tail) {
            return None;
        }
        let leaf = nodes.leaves.get(tail.path.leaf);
        (!leaf.is_full() && leaf.first_key() <= row.key).then_some(tail)
    }

    /// Whether the nodes on its way are as they were when it was remembered.
    fn is_current(&self, nodes: &Nodes, tail: &Tail) -> bool {
        let mut steps = tail.path.steps().iter().zip(&tail.versions);
        tail.path.depth == self.depth
            && steps.all(|(step, version)| nodes.inners.get(step.inner).version() == *version)
    }

    fn remember_tail(&mut self, nodes: &Nodes, path: &Path, priority: i32) {
        let (mut versions, mut end) = ([0; DEPTH_MAX], SortKey::MAX);
        for (step, version) in path.steps().iter().zip(&mut versions) {
            let inner = nodes.inners.get(step.inner);
            *version = inner.version();
            let right = step.at as usize + 1;
            if right < inner.len() {
                end = inner.first(right);
            }
        }
        self.tails.resize(N_TAILS, None);
        let tail = Tail { priority, path: *path, versions, end };
        match &mut self.tails[Self::tail_slot(priority)] {
            Some(old) => **old = tail,
            slot => *slot = Some(Box::new(tail)),
        }
    }

    /// Puts `row` in its place. Cost: a line per level where rows of its priority were put last,
    /// else a descent; a move within one leaf, a cut at times.
    ///
    /// # Panics
    /// When its key is already there: an execution is queued at most once.
    pub(crate) fn insert(&mut self, nodes: &mut Nodes, row: Row) {
        let asks = with_sum(row.asks);
        self.least = lesser(self.least, asks);
        self.n_rows += 1;
        if self.root == NONE {
            self.root = nodes.make_leaf();
            self.front = self.root;
        }
        if let Some(tail) = self.tail_for(nodes, &row) {
            let leaf = nodes.leaves.get_mut(tail.path.leaf);
            let is_less = !may_fit(leaf.least(), &asks);
            leaf.put(leaf.place_for(&row), row);
            for Step { inner, at } in tail.path.steps() {
                let inner = nodes.inners.get_mut(*inner);
                if is_less {
                    inner.came(*at as usize, row.key, &asks);
                } else {
                    inner.count_one(*at as usize);
                }
            }
        } else {
            let path = self.path(nodes, |inner| inner.child_of(row.key));
            self.insert_at(nodes, &path, row);
        }
        self.records.came(&row);
        self.skyline.came(&row);
        let queued = row.key.queued();
        if self.oldest.is_none_or(|oldest| queued < oldest) {
            self.oldest = Some(queued);
        }
        if self.n_rows.is_power_of_two() {
            self.renew_skyline(nodes);
        }
    }

    /// Puts `row` into the leaf a way leads to.
    fn insert_at(&mut self, nodes: &mut Nodes, path: &Path, row: Row) {
        let leaf = nodes.leaves.get_mut(path.leaf);
        let at = leaf.place_for(&row);
        if !leaf.is_full() {
            let is_at_end = at == leaf.len();
            leaf.put(at, row);
            let asks = with_sum(row.asks);
            for Step { inner, at } in path.steps() {
                nodes.inners.get_mut(*inner).came(*at as usize, row.key, &asks);
            }
            if is_at_end && self.depth > 0 {
                self.remember_tail(nodes, path, row.key.priority());
            }
            return;
        }
        let right = nodes.make_leaf();
        let (leaf, tail) = nodes.leaves.get_two(path.leaf, right);
        leaf.split(at, row, tail);
        // Upwards: each node learns of a child that is cut, and may have to be cut itself.
        let (mut left, mut right) = (path.leaf, Some(right));
        for (step, level) in path.steps().iter().rev().zip(0..) {
            let at = step.at as usize;
            let (known, new) = (nodes.child(left, level), right.map(|right| nodes.child(right, level)));
            nodes.inners.get_mut(step.inner).set(at, known);
            right = new.and_then(|new| nodes.put_child(step.inner, at + 1, new));
            left = step.inner;
        }
        if let Some(right) = right {
            let known = [left, right].map(|node| nodes.child(node, self.depth));
            self.root = nodes.make_inner();
            let root = nodes.inners.get_mut(self.root);
            root.put(0, known[0]);
            root.put(1, known[1]);
            self.depth += 1;
            assert!(self.depth <= DEPTH_MAX, "L3: deeper than all rows there may be");
        }
    }

    /// Takes the row at `key` out. Cost: a descent; new minima along it where the row was one.
    pub(crate) fn remove(&mut self, nodes: &mut Nodes, key: SortKey) -> Option<Row> {
        if self.root == NONE {
            return None;
        }
        let path = self.path(nodes, |inner| inner.child_of(key));
        let at = nodes.leaves.get(path.leaf).find(key)?;
        self.remove_at(nodes, &path, at)
    }

    /// Takes the first row out: cheaper than by its key.
    pub(crate) fn remove_first(&mut self, nodes: &mut Nodes) -> Option<Row> {
        if self.root == NONE {
            return None;
        }
        let path = self.path(nodes, |_| 0);
        self.remove_at(nodes, &path, 0)
    }

    fn remove_at(&mut self, nodes: &mut Nodes, path: &Path, at: usize) -> Option<Row> {
        let leaf = nodes.leaves.get_mut(path.leaf);
        let before = *leaf.least();
        let row = leaf.remove_at(at)?;
        let len = leaf.len();
        self.n_rows -= 1;
        let mut change = Change::default();
        if at == 0 && len > 0 {
            change.first = Some(leaf.first_key());
        }
        if *leaf.least() != before {
            change.least = Some(*leaf.least());
        }
        if len > 0 && !leaf.is_sparse() {
            for Step { inner, at } in path.steps().iter().rev() {
                change = nodes.inners.get_mut(*inner).left(*at as usize, &change);
            }
        } else {
            change = nodes.left_sparse(path, len, change);
            self.shrink(nodes);
        }
        if let Some(least) = change.least {
            self.least = least;
        }
        self.records.left(&row);
        self.is_oldest_gone |= self.oldest == Some(row.key.queued());
        // A row that left makes no beginning ask for less; but once the first leaf is used up or
        // joined, the beginnings have moved.
        if self.n_rows > 0 && path.steps().iter().all(|step| step.at == 0) {
            let is_moved = len == 0 || nodes.leaves.get(path.leaf).len() > len;
            if is_moved {
                self.renew_skyline(nodes);
            }
        }
        Some(row)
    }

    /// Gives up levels that one child is left of, and the last leaf when it is empty.
    fn shrink(&mut self, nodes: &mut Nodes) {
        if self.n_rows == 0 {
            // The way down that is left has been taken apart but for its top.
            nodes.free(self.root, self.depth);
            *self = Self::default();
            return;
        }
        while self.depth > 0 && nodes.inners.get(self.root).len() == 1 {
            let child = nodes.inners.get(self.root).node(0);
            nodes.free(self.root, self.depth);
            self.root = child;
            self.depth -= 1;
        }
    }

    /// The first row.
    pub(crate) fn first(&self, nodes: &Nodes) -> Option<Row> {
        if self.root == NONE { None } else { nodes.leaves.get(self.front).row(0) }
    }

    /// The first row not before `key`.
    pub(crate) fn first_from(&self, nodes: &Nodes, key: SortKey) -> Option<Row> {
        if self.root == NONE {
            return None;
        }
        let path = self.path(nodes, |inner| inner.child_of(key));
        let leaf = nodes.leaves.get(path.leaf);
        // What is right of the path, should the path end at the back of a leaf.
        leaf.row(leaf.n_before(key)).or_else(|| {
            let (step, level) = path
                .steps()
                .iter()
                .rev()
                .zip(0..)
                .find(|(step, _)| step.at as usize + 1 < nodes.inners.get(step.inner).len())?;
            nodes.first_row(nodes.inners.get(step.inner).node(step.at as usize + 1), level)
        })
    }

    /// The last row before `key`.
    pub(crate) fn last_before(&self, nodes: &Nodes, key: SortKey) -> Option<Row> {
        if self.root == NONE {
            return None;
        }
        // Of the children that begin before `key`, the last has the row: none is empty. Where there
        // is none in the root, there is none at all.
        let path = self.path(nodes, |inner| inner.n_before(key).saturating_sub(1));
        let leaf = nodes.leaves.get(path.leaf);
        leaf.row(leaf.n_before(key).checked_sub(1)?)
    }

    /// How many rows are before `key`.
    fn n_before(&self, nodes: &Nodes, key: SortKey) -> usize {
        if self.root == NONE {
            return 0;
        }
        let path = self.path(nodes, |inner| inner.child_of(key));
        let before = |step: &Step| nodes.inners.get(step.inner).n_rows_before(step.at as usize);
        path.steps().iter().map(before).sum::<usize>() + nodes.leaves.get(path.leaf).n_before(key)
    }

    /// The row at `key`.
    pub(crate) fn get(&self, nodes: &Nodes, key: SortKey) -> Option<Row> {
        if self.root == NONE {
            return None;
        }
        let leaf = nodes.leaves.get(self.path(nodes, |inner| inner.child_of(key)).leaf);
        leaf.row(leaf.find(key)?)
    }

    /// The row that leaves first in a direction.
    pub(crate) fn head(&self, nodes: &Nodes, mode: QueueMode) -> Option<Row> {
        self.head_at(nodes, self.first(nodes)?, mode)
    }

    /// The head among rows of the priority found first from `floor` on.
    fn head_from(&self, nodes: &Nodes, floor: SortKey, mode: QueueMode) -> Option<Row> {
        self.head_at(nodes, self.first_from(nodes, floor)?, mode)
    }

    /// The head among rows of the priority that begins with `first`.
    fn head_at(&self, nodes: &Nodes, first: Row, mode: QueueMode) -> Option<Row> {
        match mode {
            QueueMode::Fifo => Some(first),
            QueueMode::Lifo => self.last_before(nodes, SortKey::ceiling(first.key.priority())),
        }
    }

    /// The head among rows of one priority.
    pub(crate) fn head_of(&self, nodes: &Nodes, priority: i32, mode: QueueMode) -> Option<Row> {
        let head = self.head_from(nodes, SortKey::floor(priority), mode);
        head.filter(|row| row.key.priority() == priority)
    }

    /// The row behind the one at `key` in a direction.
    pub(crate) fn after(&self, nodes: &Nodes, key: SortKey, mode: QueueMode) -> Option<Row> {
        if mode == QueueMode::Fifo {
            return self.first_from(nodes, key.next());
        }
        let same = self.last_before(nodes, key).filter(|row| row.key.priority() == key.priority());
        same.or_else(|| self.head_from(nodes, SortKey::ceiling(key.priority()), mode))
    }

    /// How many rows come before the one at `key` in a direction.
    pub(crate) fn rank(&self, nodes: &Nodes, key: SortKey, mode: QueueMode) -> usize {
        let n_before = |key| self.n_before(nodes, key);
        match mode {
            QueueMode::Fifo => n_before(key),
            QueueMode::Lifo => {
                let (floor, ceiling) = (SortKey::floor(key.priority()), SortKey::ceiling(key.priority()));
                n_before(floor) + n_before(ceiling) - n_before(key.next())
            }
        }
    }

    /// The oldest queued time. Cost: a descent per priority in use when an entry that had it left.
    pub(crate) fn oldest(&mut self, nodes: &Nodes) -> Option<Timestamp> {
        if std::mem::take(&mut self.is_oldest_gone) {
            self.oldest = self.find_oldest(nodes);
        }
        self.oldest
    }

    fn find_oldest(&self, nodes: &Nodes) -> Option<Timestamp> {
        let mut next = self.first(nodes);
        let firsts = std::iter::from_fn(|| {
            let row = next?;
            next = self.first_from(nodes, SortKey::ceiling(row.key.priority()));
            Some(row.key.queued())
        });
        firsts.min()
    }

    /// Rows of priorities below `priority`.
    pub(crate) fn n_below(&self, nodes: &Nodes, priority: i32) -> usize {
        self.n_before(nodes, SortKey::floor(priority))
    }

    /// What the beginning of the lane has for `free`, in FIFO order. Cost: a few lines; a pass over
    /// the first rows after the first one left.
    pub(crate) fn look(&mut self, nodes: &Nodes, free: &Least) -> Look {
        if self.records.is_stale() && self.root != NONE {
            let leaf = nodes.leaves.get(self.front);
            let n_rows = leaf.len().min(LOOK_ROWS);
            let fence = leaf.row(n_rows).map_or_else(|| self.second_leaf(nodes), |row| row.key);
            self.records.renew((0..n_rows).filter_map(|at| leaf.row(at)), fence);
        }
        match self.records.first_fit(free) {
            Some(row) => Look::Fits(row),
            None => Look::NothingBefore(self.records.fence().max(self.skyline.bound(free))),
        }
    }

    /// The first row, in a direction, whose memory and disk fit and that is before `end` as seen in
    /// that direction; `n_nodes` counts the nodes read.
    ///
    /// Cost: children whose least does not fit are passed over; leaves are read where it does.
    pub(crate) fn first_fit(
        &self,
        nodes: &Nodes,
        free: &Least,
        mode: QueueMode,
        end: SortKey,
        n_nodes: &mut u32,
    ) -> Option<Row> {
        if !may_fit(&self.least, free) || self.root == NONE {
            return None;
        }
        if mode == QueueMode::Fifo {
            return nodes.first_fit((self.root, self.depth), free, end, n_nodes);
        }
        let mut next = self.first(nodes);
        while let Some(first) = next {
            let priority = first.key.priority();
            if priority > end.priority() {
                return None;
            }
            let ceiling = SortKey::ceiling(priority);
            let found = nodes.last_fit((self.root, self.depth), free, (first.key, ceiling), n_nodes);
            if let Some(row) = found {
                return (row.key.seen(mode) < end).then_some(row);
            }
            *n_nodes += 1;
            next = self.first_from(nodes, ceiling);
        }
        None
    }

    /// Holds L1 to L7 against what is there; returns how many leaves and inner nodes it has.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self, nodes: &Nodes) -> [usize; 2] {
        let (mut rows, mut n_nodes) = (Vec::new(), [0; 2]);
        if self.root != NONE {
            assert!(self.n_rows > 0, "L3: empty");
            let known = nodes.check((self.root, self.depth), &mut rows, &mut n_nodes);
            assert_eq!(known.least, self.least, "L2: least");
        }
        assert!(rows.is_sorted_by(|a, b| a.key < b.key), "L1");
        assert_eq!(rows.len(), self.n_rows, "L2: count");
        let oldest = rows.iter().map(|row| row.key.queued()).min();
        assert!(self.is_oldest_gone || self.oldest == oldest, "L7");
        self.skyline.check_invariants(&rows);
        self.records.check_invariants(&rows);
        if self.root != NONE {
            assert_eq!(self.front, self.path(nodes, |_| 0).leaf, "L6");
        }
        self.tails.iter().flatten().filter(|tail| self.is_current(nodes, tail)).for_each(|tail| {
            let mut node = self.root;
            for step in tail.path.steps() {
                assert_eq!(node, step.inner, "L5: path");
                node = nodes.inners.get(node).node(step.at as usize);
            }
            assert_eq!(node, tail.path.leaf, "L5: leaf");
            let leaf = nodes.leaves.get(node);
            let behind = leaf.row(leaf.len() - 1).and_then(|last| self.first_from(nodes, last.key.next()));
            assert!(behind.is_none_or(|row| row.key >= tail.end), "L5: end");
        });
        n_nodes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ExeId;

    fn row(priority: i32, queued: i64, id: u64, mem: u32, disk: u32) -> Row {
        Row {
            key: SortKey::new(priority, Timestamp(queued), ExeId(id)),
            asks: [mem, disk],
            job: JobId(id * 3),
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert { priority: i32, queued: i64, asks: Varying },
        Remove { which: usize },
        Fill { n: u16, priority: i32, asks: Varying },
        Drain { n: u16 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let asks = || (0..40_u32, 0..40_u32).prop_map(|(mem, disk)| [mem, disk]);
        prop_oneof![
            (-2..3_i32, 0..50_i64, asks()).prop_map(|(priority, queued, asks)| Step::Insert {
                priority,
                queued,
                asks
            }),
            any::<usize>().prop_map(|which| Step::Remove { which }),
            (0..600_u16, -2..3_i32, asks()).prop_map(|(n, priority, asks)| Step::Fill { n, priority, asks }),
            (0..600_u16).prop_map(|n| Step::Drain { n }),
        ]
    }

    fn agree((lane, nodes): (&mut Lane, &Nodes), model: &[Row], free: Varying) {
        for mode in [QueueMode::Fifo, QueueMode::Lifo] {
            let mut order = model.to_vec();
            order.sort_by_key(|row| row.key.seen(mode));
            let fit = order.iter().find(|row| fits(row.asks, &with_sum(free))).copied();
            assert_eq!(lane.first_fit(nodes, &with_sum(free), mode, SortKey::MAX, &mut 0), fit, "{mode:?}");
            if let Some(end) = order.get(order.len() / 2).map(|row| row.key.seen(mode)) {
                let before = fit.filter(|row| row.key.seen(mode) < end);
                assert_eq!(
                    lane.first_fit(nodes, &with_sum(free), mode, end, &mut 0),
                    before,
                    "{mode:?} before {end:?}"
                );
            }
            assert_eq!(lane.head(nodes, mode), order.first().copied());
            assert_eq!(lane.oldest(nodes), model.iter().map(|row| row.key.queued()).min());
            let mut next = lane.head(nodes, mode);
            for (rank, row) in order.iter().enumerate() {
                assert_eq!(next, Some(*row), "{mode:?}");
                assert_eq!(lane.rank(nodes, row.key, mode), rank);
                next = lane.after(nodes, row.key, mode);
            }
            assert_eq!(next, None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_lane_agrees_with_a_sorted_list(steps in proptest::collection::vec(step(), 1..30), free in (0..40_u32, 0..40_u32)) {
            let (mut lane, mut nodes, mut model, mut next_id) = (Lane::default(), Nodes::default(), Vec::<Row>::new(), 0);
            for step in steps {
                let mut put = |(lane, nodes): (&mut Lane, &mut Nodes), model: &mut Vec<Row>, priority, queued, asks: Varying| {
                    next_id += 1;
                    let new = row(priority, queued, next_id, asks[0], asks[1]);
                    lane.insert(nodes, new);
                    model.push(new);
                };
                match step {
                    Step::Insert { priority, queued, asks } => put((&mut lane, &mut nodes), &mut model, priority, queued, asks),
                    Step::Fill { n, priority, asks } => {
                        for n in 0..u32::from(n) {
                            put((&mut lane, &mut nodes), &mut model, priority, 60, [asks[0] + n % 5, asks[1] + n % 3]);
                        }
                    }
                    Step::Remove { which } if !model.is_empty() => {
                        let old = model.swap_remove(which % model.len());
                        assert_eq!(lane.remove(&mut nodes, old.key), Some(old));
                        assert_eq!(lane.remove(&mut nodes, old.key), None);
                    }
                    Step::Drain { n } => {
                        for _ in 0..n {
                            let Some(head) = lane.head(&nodes, QueueMode::Fifo) else { break };
                            assert_eq!(lane.remove_first(&mut nodes), Some(head));
                            model.retain(|row| row.key != head.key);
                        }
                    }
                    Step::Remove { .. } => {}
                }
                lane.check_invariants(&nodes);
            }
            agree((&mut lane, &nodes), &model, [free.0, free.1]);
        }
    }

    #[test]
    fn the_first_that_fits_is_found_behind_many_that_do_not_by_reading_few_nodes() {
        let (mut lane, mut nodes) = (Lane::default(), Nodes::default());
        for id in 0..100_000 {
            lane.insert(&mut nodes, row(0, 1, id, 1_000, 1_000));
        }
        lane.insert(&mut nodes, row(0, 1, 100_000, 10, 2_000));
        lane.insert(&mut nodes, row(0, 1, 100_001, 10, 10));
        let mut n_nodes = 0;
        assert_eq!(
            lane.first_fit(&nodes, &with_sum([20, 20]), QueueMode::Fifo, SortKey::MAX, &mut n_nodes),
            Some(row(0, 1, 100_001, 10, 10))
        );
        assert!(n_nodes <= 4, "{n_nodes} nodes read");
        assert_eq!(
            lane.first_fit(&nodes, &with_sum([20, 5]), QueueMode::Fifo, SortKey::MAX, &mut n_nodes),
            None
        );
        assert_eq!(lane.least(), &[10, 10, 20]);
        lane.check_invariants(&nodes);
    }

    #[test]
    fn rows_that_come_in_order_fill_their_leaves() {
        let (mut lane, mut nodes) = (Lane::default(), Nodes::default());
        for id in 0..10_000_u64 {
            lane.insert(&mut nodes, row(i32::try_from(id % 4).expect("small"), 1, id, 1, 1));
        }
        lane.check_invariants(&nodes);
        let [n_leaves, _] = nodes.n_used();
        assert!(n_leaves * crate::queue::leaf::LEAF_LEN_MAX < 11_000, "{n_leaves} leaves");
    }
}
