//! One lane of the queue: executions of one tenant, job type, constraint set and requirement
//! class. Within it only memory and disk differ.
//!
//! A B+tree in FIFO order whose inner nodes carry the component-wise minimum of what lies below them, so
//! that "the first that fits" passes over whole subtrees. LIFO reads the same tree: priorities
//! forward, within each priority backward. Owned by the core; nothing here locks or does I/O.
//!
//! L1  Keys rise strictly from front to back.
//! L2  What an inner node knows of a child (`firsts`, `mins`, `n_rows`) is true of the rows below it.
//! L3  A leaf has 1 to `LEAF_LEN_MAX` rows, an inner node 1 to `FANOUT_MAX` children, and all leaves
//!     are equally deep.
//! L4  A row that left the lane is in no leaf any more when the call returns.

use super::key::SortKey;
use crate::model::{QueueMode, Timestamp};

/// Rows of a leaf: a search for room reads 8 cache lines of a full one, in order.
const LEAF_LEN_MAX: usize = 64;

/// Children of an inner node: their minima are 4 cache lines.
const FANOUT_MAX: usize = 32;

/// A node this empty is joined with a neighbour if both together fill at most three quarters.
const fn is_sparse(len: usize, max: usize) -> bool {
    len < max / 4
}

/// What an entry asks for of the two resources that vary, in units of its lane.
pub(crate) type Varying = [u32; 2];

/// An entry in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: SortKey,
    pub(crate) asks: Varying,
}

/// The minimum of no rows: it fits nowhere but in a machine without end.
pub(crate) const MIN_OF_NONE: Varying = [u32::MAX; 2];

fn fits(asks: Varying, free: Varying) -> bool {
    asks[0] <= free[0] && asks[1] <= free[1]
}

fn lesser(a: Varying, b: Varying) -> Varying {
    [a[0].min(b[0]), a[1].min(b[1])]
}

/// Rows in key order. What is compared with offers stands apart from the keys: a search for room
/// reads a third of the bytes.
#[derive(Clone, Debug, Default)]
struct Leaf {
    keys: Vec<SortKey>,
    asks: Vec<Varying>,
}

/// Children in key order, what is known of each in a list of its own.
#[derive(Clone, Debug, Default)]
struct Inner {
    /// The first key below each child.
    firsts: Vec<SortKey>,
    /// The component-wise minimum below each child.
    mins: Vec<Varying>,
    n_rows: Vec<u32>,
    children: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Leaf),
    Inner(Inner),
}

fn least(all: &[Varying]) -> Varying {
    all.iter().fold(MIN_OF_NONE, |least, asks| lesser(least, *asks))
}

impl Node {
    fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.keys.len(),
            Self::Inner(inner) => inner.children.len(),
        }
    }

    fn len_max(&self) -> usize {
        match self {
            Self::Leaf(_) => LEAF_LEN_MAX,
            Self::Inner(_) => FANOUT_MAX,
        }
    }

    fn min(&self) -> Varying {
        match self {
            Self::Leaf(leaf) => least(&leaf.asks),
            Self::Inner(inner) => least(&inner.mins),
        }
    }

    fn first(&self) -> SortKey {
        match self {
            Self::Leaf(leaf) => leaf.keys[0],
            Self::Inner(inner) => inner.firsts[0],
        }
    }

    fn n_rows(&self) -> u32 {
        match self {
            Self::Leaf(leaf) => u32::try_from(leaf.keys.len()).expect("a few"),
            Self::Inner(inner) => inner.n_rows.iter().sum(),
        }
    }

    /// Puts `row` in. What does not fit any more comes back as a right neighbour.
    fn insert(&mut self, row: Row) -> Option<Self> {
        match self {
            Self::Leaf(leaf) => leaf.insert(row).map(Self::Leaf),
            Self::Inner(inner) => inner.insert(row).map(Self::Inner),
        }
    }

    /// Takes the row at `key` out. The node may be left empty.
    fn remove(&mut self, key: SortKey) -> Option<Row> {
        match self {
            Self::Leaf(leaf) => leaf.remove(key),
            Self::Inner(inner) => inner.remove(key),
        }
    }

    /// Takes everything of a right neighbour of the same depth.
    fn absorb(&mut self, right: Self) {
        match (self, right) {
            (Self::Leaf(leaf), Self::Leaf(mut more)) => {
                leaf.keys.append(&mut more.keys);
                leaf.asks.append(&mut more.asks);
            }
            (Self::Inner(inner), Self::Inner(mut more)) => {
                inner.firsts.append(&mut more.firsts);
                inner.mins.append(&mut more.mins);
                inner.n_rows.append(&mut more.n_rows);
                inner.children.append(&mut more.children);
            }
            _ => unreachable!("L3: neighbours are equally deep"),
        }
    }
}

impl Leaf {
    fn row(&self, at: usize) -> Option<Row> {
        Some(Row { key: *self.keys.get(at)?, asks: self.asks[at] })
    }

    fn put(&mut self, at: usize, row: Row) {
        self.keys.insert(at, row.key);
        self.asks.insert(at, row.asks);
    }

    fn split_off(&mut self, at: usize) -> Self {
        let mut tail =
            Self { keys: Vec::with_capacity(LEAF_LEN_MAX), asks: Vec::with_capacity(LEAF_LEN_MAX) };
        tail.keys.extend(self.keys.drain(at..));
        tail.asks.extend(self.asks.drain(at..));
        tail
    }

    fn insert(&mut self, row: Row) -> Option<Self> {
        let at = self.keys.partition_point(|key| *key < row.key);
        assert!(self.keys.get(at) != Some(&row.key), "queued twice: {row:?}");
        if self.keys.len() < LEAF_LEN_MAX {
            self.put(at, row);
            return None;
        }
        // Rows mostly come behind others of their priority: cutting there keeps leaves full.
        if at == self.keys.len() {
            let mut tail = self.split_off(at);
            tail.put(0, row);
            return Some(tail);
        }
        let cut = at.max(LEAF_LEN_MAX / 4);
        let tail = self.split_off(cut);
        self.put(at, row);
        Some(tail)
    }

    fn remove(&mut self, key: SortKey) -> Option<Row> {
        let at = self.keys.binary_search(&key).ok()?;
        Some(Row { key: self.keys.remove(at), asks: self.asks.remove(at) })
    }
}

impl Inner {
    fn of(children: impl IntoIterator<Item = Node>) -> Self {
        let mut inner = Self::default();
        children.into_iter().for_each(|child| inner.put(inner.children.len(), child));
        inner
    }

    fn put(&mut self, at: usize, child: Node) {
        self.firsts.insert(at, child.first());
        self.mins.insert(at, child.min());
        self.n_rows.insert(at, child.n_rows());
        self.children.insert(at, child);
    }

    fn take(&mut self, at: usize) -> Node {
        self.firsts.remove(at);
        self.mins.remove(at);
        self.n_rows.remove(at);
        self.children.remove(at)
    }

    /// Brings what is known of a child up to what it is.
    fn renew(&mut self, at: usize) {
        let child = &self.children[at];
        (self.firsts[at], self.mins[at], self.n_rows[at]) = (child.first(), child.min(), child.n_rows());
    }

    /// The child where `key` is or belongs: between two leaves, at the back of the left one.
    fn child_of(&self, key: SortKey) -> usize {
        self.firsts.partition_point(|first| *first <= key).saturating_sub(1)
    }

    fn insert(&mut self, row: Row) -> Option<Self> {
        let at = self.child_of(row.key);
        let Some(right) = self.children[at].insert(row) else {
            self.firsts[at] = self.firsts[at].min(row.key);
            self.mins[at] = lesser(self.mins[at], row.asks);
            self.n_rows[at] += 1;
            return None;
        };
        self.renew(at);
        self.put(at + 1, right);
        if self.children.len() <= FANOUT_MAX {
            return None;
        }
        let cut = if at + 2 == self.children.len() { FANOUT_MAX } else { FANOUT_MAX / 2 };
        Some(Self {
            firsts: self.firsts.split_off(cut),
            mins: self.mins.split_off(cut),
            n_rows: self.n_rows.split_off(cut),
            children: self.children.split_off(cut),
        })
    }

    fn remove(&mut self, key: SortKey) -> Option<Row> {
        let at = self.child_of(key);
        let row = self.children[at].remove(key)?;
        self.n_rows[at] -= 1;
        let child = &self.children[at];
        if child.len() == 0 {
            self.take(at);
            return Some(row);
        }
        if row.key == self.firsts[at] {
            self.firsts[at] = child.first();
        }
        if row.asks[0] == self.mins[at][0] || row.asks[1] == self.mins[at][1] {
            self.mins[at] = child.min();
        }
        if is_sparse(child.len(), child.len_max()) {
            self.join(at);
        }
        Some(row)
    }

    /// Joins a sparse child with a neighbour, where both leave room.
    fn join(&mut self, at: usize) {
        let room = self.children[at].len_max() * 3 / 4;
        let fit = |left: usize| {
            let right = self.children.get(left + 1);
            right.is_some_and(|right| self.children[left].len() + right.len() <= room)
        };
        let left = if fit(at) {
            at
        } else if at > 0 && fit(at - 1) {
            at - 1
        } else {
            return;
        };
        let right = self.take(left + 1);
        self.children[left].absorb(right);
        self.renew(left);
    }
}

/// Rows in order, found by key, by rank, or by "first that fits".
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    root: Node,
    min: Varying,
    n_rows: usize,
}

impl Default for Lane {
    fn default() -> Self {
        Self { root: Node::Leaf(Leaf::default()), min: MIN_OF_NONE, n_rows: 0 }
    }
}

impl Lane {
    pub(crate) fn len(&self) -> usize {
        self.n_rows
    }

    /// Bytes its nodes occupy.
    pub(crate) fn bytes(&self) -> usize {
        bytes(&self.root)
    }

    /// The component-wise minimum of what its rows ask for.
    pub(crate) fn min(&self) -> Varying {
        self.min
    }

    /// Puts `row` in its place. Cost: a descent, a move within one leaf, a cut at times.
    ///
    /// # Panics
    /// When its key is already there: an execution is queued at most once.
    pub(crate) fn insert(&mut self, row: Row) {
        if let Some(right) = self.root.insert(row) {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Leaf::default()));
            self.root = Node::Inner(Inner::of([left, right]));
        }
        self.min = lesser(self.min, row.asks);
        self.n_rows += 1;
    }

    /// Takes the row at `key` out. Cost: a descent; new minima along it where the row was one.
    pub(crate) fn remove(&mut self, key: SortKey) -> Option<Row> {
        let row = self.root.remove(key)?;
        self.n_rows -= 1;
        if let Node::Inner(inner) = &mut self.root
            && inner.children.len() == 1
        {
            self.root = inner.take(0);
        }
        if row.asks[0] == self.min[0] || row.asks[1] == self.min[1] {
            self.min = self.root.min();
        }
        Some(row)
    }

    /// The first row.
    fn first(&self) -> Option<Row> {
        first_row(&self.root)
    }

    /// The first row not before `key`.
    pub(crate) fn first_from(&self, key: SortKey) -> Option<Row> {
        let mut node = &self.root;
        // What is right of the path, should the path end at the back of a leaf.
        let mut right: Option<&Node> = None;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let row = leaf.row(leaf.keys.partition_point(|other| *other < key));
                    return row.or_else(|| right.and_then(first_row));
                }
                Node::Inner(inner) => {
                    let at = inner.child_of(key);
                    right = inner.children.get(at + 1).or(right);
                    node = &inner.children[at];
                }
            }
        }
    }

    /// The last row before `key`.
    pub(crate) fn last_before(&self, key: SortKey) -> Option<Row> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let n_before = leaf.keys.partition_point(|other| *other < key);
                    return leaf.row(n_before.checked_sub(1)?);
                }
                // Of the children that begin before `key`, the last has the row: none is empty.
                Node::Inner(inner) => {
                    let n_before = inner.firsts.partition_point(|first| *first < key);
                    node = &inner.children[n_before.checked_sub(1)?];
                }
            }
        }
    }

    /// How many rows are before `key`.
    fn n_before(&self, key: SortKey) -> usize {
        let mut node = &self.root;
        let mut n_before = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return n_before + leaf.keys.partition_point(|other| *other < key),
                Node::Inner(inner) => {
                    let at = inner.child_of(key);
                    n_before += inner.n_rows[..at].iter().map(|n| *n as usize).sum::<usize>();
                    node = &inner.children[at];
                }
            }
        }
    }

    /// The row at `key`.
    pub(crate) fn get(&self, key: SortKey) -> Option<Row> {
        self.first_from(key).filter(|row| row.key == key)
    }

    /// The row that leaves first in a direction.
    pub(crate) fn head(&self, mode: QueueMode) -> Option<Row> {
        self.head_at(self.first()?, mode)
    }

    /// The head among rows of the priority found first from `floor` on.
    fn head_from(&self, floor: SortKey, mode: QueueMode) -> Option<Row> {
        self.head_at(self.first_from(floor)?, mode)
    }

    /// The head among rows of the priority that begins with `first`.
    fn head_at(&self, first: Row, mode: QueueMode) -> Option<Row> {
        match mode {
            QueueMode::Fifo => Some(first),
            QueueMode::Lifo => self.last_before(SortKey::ceiling(first.key.priority())),
        }
    }

    /// The head among rows of one priority.
    pub(crate) fn head_of(&self, priority: i32, mode: QueueMode) -> Option<Row> {
        self.head_from(SortKey::floor(priority), mode).filter(|row| row.key.priority() == priority)
    }

    /// The row behind the one at `key` in a direction.
    pub(crate) fn after(&self, key: SortKey, mode: QueueMode) -> Option<Row> {
        if mode == QueueMode::Fifo {
            return self.first_from(key.next());
        }
        let same = self.last_before(key).filter(|row| row.key.priority() == key.priority());
        same.or_else(|| self.head_from(SortKey::ceiling(key.priority()), mode))
    }

    /// How many rows come before the one at `key` in a direction.
    pub(crate) fn rank(&self, key: SortKey, mode: QueueMode) -> usize {
        match mode {
            QueueMode::Fifo => self.n_before(key),
            QueueMode::Lifo => {
                let (floor, ceiling) = (SortKey::floor(key.priority()), SortKey::ceiling(key.priority()));
                self.n_before(floor) + self.n_before(ceiling) - self.n_before(key.next())
            }
        }
    }

    /// The oldest queued time. Cost: a descent per priority in use.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let mut next = self.first();
        let firsts = std::iter::from_fn(|| {
            let row = next?;
            next = self.first_from(SortKey::ceiling(row.key.priority()));
            Some(row.key.queued())
        });
        firsts.min()
    }

    /// Rows of priorities below `priority`.
    pub(crate) fn n_below(&self, priority: i32) -> usize {
        self.n_before(SortKey::floor(priority))
    }

    /// The first row, in a direction, whose memory and disk fit and that is before `end` as seen in
    /// that direction; `n_nodes` counts the nodes read.
    ///
    /// Cost: children whose minimum does not fit are passed over; leaves are read where it does.
    pub(crate) fn first_fit(
        &self,
        free: Varying,
        mode: QueueMode,
        end: SortKey,
        n_nodes: &mut u32,
    ) -> Option<Row> {
        if !fits(self.min, free) {
            return None;
        }
        if mode == QueueMode::Fifo {
            return first_fit(&self.root, free, end, n_nodes);
        }
        let mut next = self.first();
        while let Some(first) = next {
            let priority = first.key.priority();
            if priority > end.priority() {
                return None;
            }
            let ceiling = SortKey::ceiling(priority);
            if let Some(row) = last_fit(&self.root, free, (first.key, ceiling), n_nodes) {
                return (row.key.seen(mode) < end).then_some(row);
            }
            next = self.first_from(ceiling);
        }
        None
    }

    /// Holds L1 to L3 against what is there.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        let mut keys = Vec::new();
        check(&self.root, &mut keys);
        assert!(keys.is_sorted_by(|a, b| a < b), "L1");
        assert_eq!(keys.len(), self.n_rows, "L2: count");
        assert_eq!(self.root.min(), self.min, "L2: minimum");
    }
}

fn bytes(node: &Node) -> usize {
    match node {
        Node::Leaf(leaf) => {
            leaf.keys.capacity() * size_of::<SortKey>() + leaf.asks.capacity() * size_of::<Varying>()
        }
        Node::Inner(inner) => {
            let own = size_of::<SortKey>() + size_of::<Varying>() + size_of::<u32>() + size_of::<Node>();
            inner.children.capacity() * own + inner.children.iter().map(bytes).sum::<usize>()
        }
    }
}

fn first_row(mut node: &Node) -> Option<Row> {
    loop {
        match node {
            Node::Leaf(leaf) => return leaf.row(0),
            Node::Inner(inner) => node = inner.children.first()?,
        }
    }
}

/// The first row before `end` that fits.
fn first_fit(node: &Node, free: Varying, end: SortKey, n_nodes: &mut u32) -> Option<Row> {
    *n_nodes += 1;
    match node {
        Node::Leaf(leaf) => {
            let at = leaf.asks.iter().position(|asks| fits(*asks, free))?;
            leaf.row(at).filter(|row| row.key < end)
        }
        Node::Inner(inner) => {
            for (at, min) in inner.mins.iter().enumerate() {
                if !fits(*min, free) {
                    continue;
                }
                if inner.firsts[at] >= end {
                    return None;
                }
                let found = first_fit(&inner.children[at], free, end, n_nodes);
                if found.is_some() {
                    return found;
                }
            }
            None
        }
    }
}

/// The last row within `from..to` that fits.
fn last_fit(node: &Node, free: Varying, (from, to): (SortKey, SortKey), n_nodes: &mut u32) -> Option<Row> {
    *n_nodes += 1;
    match node {
        Node::Leaf(leaf) => {
            let range =
                leaf.keys.partition_point(|key| *key < from)..leaf.keys.partition_point(|key| *key < to);
            let start = range.start;
            let at = leaf.asks[range].iter().rposition(|asks| fits(*asks, free))?;
            leaf.row(start + at)
        }
        Node::Inner(inner) => {
            let range = inner.child_of(from)..inner.firsts.partition_point(|first| *first < to);
            let mut candidates = range.rev().filter(|at| fits(inner.mins[*at], free));
            candidates.find_map(|at| last_fit(&inner.children[at], free, (from, to), n_nodes))
        }
    }
}

/// Collects keys and returns the depth below `node`.
fn check(node: &Node, keys: &mut Vec<SortKey>) -> usize {
    assert!(node.len() <= node.len_max(), "L3: length");
    match node {
        Node::Leaf(leaf) => {
            assert_eq!(leaf.keys.len(), leaf.asks.len(), "L2: rows");
            keys.extend(&leaf.keys);
            0
        }
        Node::Inner(inner) => {
            let n = inner.children.len();
            assert_eq!([inner.firsts.len(), inner.mins.len(), inner.n_rows.len()], [n; 3], "L2: lists");
            let mut depths = inner.children.iter().enumerate().map(|(at, child)| {
                assert!(child.len() > 0, "L3: empty");
                let known = (inner.firsts[at], inner.mins[at], inner.n_rows[at]);
                assert_eq!(known, (child.first(), child.min(), child.n_rows()), "L2");
                check(child, keys)
            });
            let depth = depths.next().expect("L3: empty");
            assert!(depths.all(|other| other == depth), "L3: depth");
            depth + 1
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ExeId;

    fn row(priority: i32, queued: i64, id: u64, mem: u32, disk: u32) -> Row {
        Row { key: SortKey::new(priority, Timestamp(queued), ExeId(id)), asks: [mem, disk] }
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

    fn agree(lane: &Lane, model: &[Row], free: Varying) {
        for mode in [QueueMode::Fifo, QueueMode::Lifo] {
            let mut order = model.to_vec();
            order.sort_by_key(|row| row.key.seen(mode));
            let fit = order.iter().find(|row| fits(row.asks, free)).copied();
            assert_eq!(lane.first_fit(free, mode, SortKey::MAX, &mut 0), fit, "{mode:?}");
            if let Some(end) = order.get(order.len() / 2).map(|row| row.key.seen(mode)) {
                let before = fit.filter(|row| row.key.seen(mode) < end);
                assert_eq!(lane.first_fit(free, mode, end, &mut 0), before, "{mode:?} before {end:?}");
            }
            assert_eq!(lane.head(mode), order.first().copied());
            assert_eq!(lane.oldest(), model.iter().map(|row| row.key.queued()).min());
            let mut next = lane.head(mode);
            for (rank, row) in order.iter().enumerate() {
                assert_eq!(next, Some(*row), "{mode:?}");
                assert_eq!(lane.rank(row.key, mode), rank);
                next = lane.after(row.key, mode);
            }
            assert_eq!(next, None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_lane_agrees_with_a_sorted_list(steps in proptest::collection::vec(step(), 1..30), free in (0..40_u32, 0..40_u32)) {
            let (mut lane, mut model, mut next_id) = (Lane::default(), Vec::<Row>::new(), 0);
            for step in steps {
                let mut put = |lane: &mut Lane, model: &mut Vec<Row>, priority, queued, asks: Varying| {
                    next_id += 1;
                    let new = row(priority, queued, next_id, asks[0], asks[1]);
                    lane.insert(new);
                    model.push(new);
                };
                match step {
                    Step::Insert { priority, queued, asks } => put(&mut lane, &mut model, priority, queued, asks),
                    Step::Fill { n, priority, asks } => {
                        for n in 0..u32::from(n) {
                            put(&mut lane, &mut model, priority, 60, [asks[0] + n % 5, asks[1] + n % 3]);
                        }
                    }
                    Step::Remove { which } if !model.is_empty() => {
                        let old = model.swap_remove(which % model.len());
                        assert_eq!(lane.remove(old.key), Some(old));
                        assert_eq!(lane.remove(old.key), None);
                    }
                    Step::Drain { n } => {
                        for _ in 0..n {
                            let Some(head) = lane.head(QueueMode::Fifo) else { break };
                            lane.remove(head.key);
                            model.retain(|row| row.key != head.key);
                        }
                    }
                    Step::Remove { .. } => {}
                }
                lane.check_invariants();
            }
            agree(&lane, &model, [free.0, free.1]);
        }
    }

    #[test]
    fn the_first_that_fits_is_found_behind_many_that_do_not_by_reading_few_nodes() {
        let mut lane = Lane::default();
        for id in 0..100_000 {
            lane.insert(row(0, 1, id, 1_000, 1_000));
        }
        lane.insert(row(0, 1, 100_000, 10, 2_000));
        lane.insert(row(0, 1, 100_001, 10, 10));
        let mut n_nodes = 0;
        assert_eq!(
            lane.first_fit([20, 20], QueueMode::Fifo, SortKey::MAX, &mut n_nodes),
            Some(row(0, 1, 100_001, 10, 10))
        );
        assert!(n_nodes <= 4, "{n_nodes} nodes read");
        assert_eq!(lane.first_fit([20, 5], QueueMode::Fifo, SortKey::MAX, &mut n_nodes), None);
        assert_eq!(lane.min(), [10, 10]);
        lane.check_invariants();
    }

    #[test]
    fn rows_that_come_in_order_fill_their_leaves() {
        let mut lane = Lane::default();
        for id in 0..10_000_u64 {
            lane.insert(row(i32::try_from(id % 4).expect("small"), 1, id, 1, 1));
        }
        lane.check_invariants();
        let mut n_leaves = 0;
        let mut stack = vec![&lane.root];
        while let Some(node) = stack.pop() {
            match node {
                Node::Leaf(_) => n_leaves += 1,
                Node::Inner(inner) => stack.extend(&inner.children),
            }
        }
        assert!(n_leaves * LEAF_LEN_MAX < 11_000, "{n_leaves} leaves");
    }
}
