//! One lane of the queue: executions of one tenant, job type, constraint set and requirement
//! class. Within it only memory and disk differ.
//!
//! A B+tree in FIFO order whose inner nodes carry what the rows below a child ask for at least, so that
//! "the first that fits" passes over whole subtrees. LIFO reads the same tree: priorities
//! forward, within each priority backward. Owned by the core; nothing here locks or does I/O.
//!
//! L1  Keys rise strictly from front to back.
//! L2  What an inner node knows of a child (`firsts`, `leasts`, `n_rows`) is true of the rows below it.
//! L3  A leaf has 1 to `LEAF_LEN_MAX` rows, an inner node 1 to `FANOUT_MAX` children, and all leaves
//!     are equally deep.
//! L4  A row that left the lane is in no leaf any more when the call returns.
//! L5  No row before `front.fence` asks for less than `front.least`.

use super::inner::Inner;
use super::key::SortKey;
use super::leaf::Leaf;
use crate::model::{JobId, QueueMode, Timestamp};

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
fn touches(least: &Least, asks: Varying) -> bool {
    let asks = with_sum(asks);
    least[0] == asks[0] || least[1] == asks[1] || least[2] == asks[2]
}

/// A subtree.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

/// What a removal found and changed.
pub(super) struct Removed {
    pub(super) row: Row,
    /// Whether the least of the node may be another one now.
    pub(super) is_least_changed: bool,
}

impl Removed {
    fn from_leaf(row: Row) -> Self {
        Self { row, is_least_changed: true }
    }
}

impl Node {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.len(),
            Self::Inner(inner) => inner.len(),
        }
    }

    pub(super) fn least(&self) -> Least {
        match self {
            Self::Leaf(leaf) => leaf.least(),
            Self::Inner(inner) => inner.least(),
        }
    }

    /// The same after `removed` left; it was `known` before.
    pub(super) fn least_after(&self, known: &Least, removed: &Removed) -> Least {
        if !removed.is_least_changed || !touches(known, removed.row.asks) {
            return *known;
        }
        match self {
            Self::Leaf(leaf) => leaf.least_after(known),
            Self::Inner(inner) => inner.least(),
        }
    }

    pub(super) fn first_key(&self) -> SortKey {
        match self {
            Self::Leaf(leaf) => leaf.key(0),
            Self::Inner(inner) => inner.first_key(),
        }
    }

    pub(super) fn n_rows(&self) -> u32 {
        match self {
            Self::Leaf(leaf) => u32::try_from(leaf.len()).expect("a few"),
            Self::Inner(inner) => inner.n_rows(),
        }
    }

    /// Puts `row` in. What does not fit any more comes back as a right neighbour.
    pub(super) fn insert(&mut self, row: Row) -> Option<Self> {
        match self {
            Self::Leaf(leaf) => leaf.insert(row).map(Self::Leaf),
            Self::Inner(inner) => inner.insert(row).map(Self::Inner),
        }
    }

    /// Takes the row at `key` out. The node may be left empty.
    pub(super) fn remove(&mut self, key: SortKey) -> Option<Removed> {
        match self {
            Self::Leaf(leaf) => leaf.remove(key).map(Removed::from_leaf),
            Self::Inner(inner) => inner.remove(key),
        }
    }

    /// Takes the first row out. The node may be left empty.
    pub(super) fn remove_first(&mut self) -> Option<Removed> {
        match self {
            Self::Leaf(leaf) => leaf.remove_at(0).map(Removed::from_leaf),
            Self::Inner(inner) => inner.remove_first(),
        }
    }

    /// Whether a right neighbour of the same depth can be joined with it, leaving room in both.
    pub(super) fn can_absorb(&self, right: &Self) -> bool {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => left.can_absorb(right),
            (Self::Inner(left), Self::Inner(right)) => left.can_absorb(right),
            _ => unreachable!("L3: neighbours are equally deep"),
        }
    }

    /// Whether it has so few rows or children that it should be joined with a neighbour.
    pub(super) fn is_sparse(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.is_sparse(),
            Self::Inner(inner) => inner.is_sparse(),
        }
    }

    /// Takes everything of a right neighbour of the same depth.
    pub(super) fn absorb(&mut self, right: Self) {
        match (self, right) {
            (Self::Leaf(left), Self::Leaf(right)) => left.absorb(&right),
            (Self::Inner(left), Self::Inner(right)) => left.absorb(*right),
            _ => unreachable!("L3: neighbours are equally deep"),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Leaf(_) => size_of::<Leaf>(),
            Self::Inner(inner) => size_of::<Inner>() + inner.children().map(Self::bytes).sum::<usize>(),
        }
    }

    /// Collects rows and returns the depth below.
    fn check(&self, rows: &mut Vec<Row>) -> usize {
        match self {
            Self::Leaf(leaf) => {
                rows.extend((0..leaf.len()).filter_map(|at| leaf.row(at)));
                0
            }
            Self::Inner(inner) => {
                let mut depths = inner.children().enumerate().map(|(at, child)| {
                    assert!(child.len() > 0, "L3: empty");
                    let known = (child.first_key(), child.least(), child.n_rows());
                    assert_eq!(inner.known_of(at), known, "L2");
                    child.check(rows)
                });
                let depth = depths.next().expect("L3: empty");
                assert!(depths.all(|other| other == depth), "L3: depth");
                depth + 1
            }
        }
    }
}

/// What is known of the rows that leave first in FIFO order: a look at it spares most searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Front {
    /// What the rows before `fence` ask for at least.
    pub(crate) least: Least,
    /// The first key behind the first leaf, as it was when a row of it last came or went.
    pub(crate) fence: SortKey,
}

/// Rows in order, found by key, by rank, or by "first that fits".
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    root: Node,
    least: Least,
    front: Front,
    n_rows: usize,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            root: Node::Leaf(Box::default()),
            least: LEAST_OF_NONE,
            front: Front { least: LEAST_OF_NONE, fence: SortKey::MAX },
            n_rows: 0,
        }
    }
}

impl Lane {
    pub(crate) fn len(&self) -> usize {
        self.n_rows
    }

    /// Bytes its nodes occupy.
    pub(crate) fn bytes(&self) -> usize {
        self.root.bytes()
    }

    /// What its rows ask for at least.
    pub(crate) fn least(&self) -> &Least {
        &self.least
    }

    fn renew_front(&mut self) {
        self.front = match &self.root {
            Node::Leaf(_) => Front { least: self.least, fence: SortKey::MAX },
            Node::Inner(inner) => inner.front(SortKey::MAX),
        };
    }

    /// Puts `row` in its place. Cost: a descent, a move within one leaf, a cut at times.
    ///
    /// # Panics
    /// When its key is already there: an execution is queued at most once.
    pub(crate) fn insert(&mut self, row: Row) {
        if let Some(right) = self.root.insert(row) {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Box::default()));
            self.root = Node::Inner(Box::new(Inner::of_two(left, right)));
        }
        self.least = lesser(self.least, with_sum(row.asks));
        self.n_rows += 1;
        if row.key < self.front.fence {
            self.renew_front();
        }
    }

    /// Takes the row at `key` out. Cost: a descent; new minima along it where the row was one.
    pub(crate) fn remove(&mut self, key: SortKey) -> Option<Row> {
        let removed = self.root.remove(key)?;
        Some(self.removed(removed))
    }

    /// Takes the first row out: cheaper than by its key.
    pub(crate) fn remove_first(&mut self) -> Option<Row> {
        let removed = self.root.remove_first()?;
        Some(self.removed(removed))
    }

    fn removed(&mut self, removed: Removed) -> Row {
        self.n_rows -= 1;
        self.least = self.root.least_after(&self.least, &removed);
        let row = removed.row;
        while let Node::Inner(inner) = &mut self.root
            && inner.len() == 1
        {
            self.root = inner.take_only();
        }
        if row.key < self.front.fence {
            self.renew_front();
        }
        row
    }

    /// The first row.
    pub(crate) fn first(&self) -> Option<Row> {
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
                    let row = leaf.row(leaf.n_before(key));
                    return row.or_else(|| right.and_then(first_row));
                }
                Node::Inner(inner) => {
                    let at = inner.child_of(key);
                    right = inner.child(at + 1).or(right);
                    node = inner.child(at)?;
                }
            }
        }
    }

    /// The last row before `key`.
    pub(crate) fn last_before(&self, key: SortKey) -> Option<Row> {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf.row(leaf.n_before(key).checked_sub(1)?),
                // Of the children that begin before `key`, the last has the row: none is empty.
                Node::Inner(inner) => node = inner.child(inner.n_before(key).checked_sub(1)?)?,
            }
        }
    }

    /// How many rows are before `key`.
    fn n_before(&self, key: SortKey) -> usize {
        let mut node = &self.root;
        let mut n_before = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return n_before + leaf.n_before(key),
                Node::Inner(inner) => {
                    let at = inner.child_of(key);
                    n_before += inner.n_rows_before(at);
                    node = inner.child(at).expect("L3: it has children");
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
    /// Cost: children whose least does not fit are passed over; leaves are read where it does.
    pub(crate) fn first_fit(
        &self,
        free: &Least,
        mode: QueueMode,
        end: SortKey,
        n_nodes: &mut u32,
    ) -> Option<Row> {
        if !may_fit(&self.least, free) {
            return None;
        }
        if mode == QueueMode::Fifo {
            let is_in_front = may_fit(&self.front.least, free);
            if !is_in_front && end <= self.front.fence {
                return None;
            }
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
            *n_nodes += 1;
            next = self.first_from(ceiling);
        }
        None
    }

    /// Holds L1 to L5 against what is there.
    ///
    /// # Panics
    /// Where they do not hold.
    pub(crate) fn check_invariants(&self) {
        let mut rows = Vec::new();
        self.root.check(&mut rows);
        assert!(rows.is_sorted_by(|a, b| a.key < b.key), "L1");
        assert_eq!(rows.len(), self.n_rows, "L2: count");
        assert_eq!(self.root.least(), self.least, "L2: least");
        let mut front = rows.iter().take_while(|row| row.key < self.front.fence);
        assert!(front.all(|row| may_fit(&self.front.least, &with_sum(row.asks))), "L5");
    }
}

fn first_row(mut node: &Node) -> Option<Row> {
    loop {
        match node {
            Node::Leaf(leaf) => return leaf.row(0),
            Node::Inner(inner) => node = inner.child(0)?,
        }
    }
}

/// The first row before `end` that fits.
fn first_fit(node: &Node, free: &Least, end: SortKey, n_nodes: &mut u32) -> Option<Row> {
    *n_nodes += 1;
    match node {
        Node::Leaf(leaf) => leaf.first_fit(free).filter(|row| row.key < end),
        Node::Inner(inner) => {
            let mut at = 0;
            while let Some(next) = inner.next_may_fit(at, free) {
                if inner.first_of(next) >= end {
                    return None;
                }
                let found = first_fit(inner.child(next)?, free, end, n_nodes);
                if found.is_some() {
                    return found;
                }
                at = next + 1;
            }
            None
        }
    }
}

/// The last row within `from..to` that fits.
fn last_fit(node: &Node, free: &Least, (from, to): (SortKey, SortKey), n_nodes: &mut u32) -> Option<Row> {
    *n_nodes += 1;
    match node {
        Node::Leaf(leaf) => leaf.last_fit(free, leaf.n_before(from)..leaf.n_before(to)),
        Node::Inner(inner) => {
            let range = inner.child_of(from)..inner.n_before(to);
            let mut candidates = range.rev().filter(|&at| may_fit(&inner.known_of(at).1, free));
            candidates.find_map(|at| last_fit(inner.child(at)?, free, (from, to), n_nodes))
        }
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

    fn agree(lane: &Lane, model: &[Row], free: Varying) {
        for mode in [QueueMode::Fifo, QueueMode::Lifo] {
            let mut order = model.to_vec();
            order.sort_by_key(|row| row.key.seen(mode));
            let fit = order.iter().find(|row| fits(row.asks, &with_sum(free))).copied();
            assert_eq!(lane.first_fit(&with_sum(free), mode, SortKey::MAX, &mut 0), fit, "{mode:?}");
            if let Some(end) = order.get(order.len() / 2).map(|row| row.key.seen(mode)) {
                let before = fit.filter(|row| row.key.seen(mode) < end);
                assert_eq!(
                    lane.first_fit(&with_sum(free), mode, end, &mut 0),
                    before,
                    "{mode:?} before {end:?}"
                );
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
                            assert_eq!(lane.remove_first(), Some(head));
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
            lane.first_fit(&with_sum([20, 20]), QueueMode::Fifo, SortKey::MAX, &mut n_nodes),
            Some(row(0, 1, 100_001, 10, 10))
        );
        assert!(n_nodes <= 4, "{n_nodes} nodes read");
        assert_eq!(lane.first_fit(&with_sum([20, 5]), QueueMode::Fifo, SortKey::MAX, &mut n_nodes), None);
        assert_eq!(lane.least(), &[10, 10, 20]);
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
                Node::Inner(inner) => stack.extend(inner.children()),
            }
        }
        assert!(n_leaves * crate::queue::leaf::LEAF_LEN_MAX < 11_000, "{n_leaves} leaves");
    }
}
