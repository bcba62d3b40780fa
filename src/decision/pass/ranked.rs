//! Open nodes by how much they have left over, whatever is asked for: the first that covers a
//! request is the one that fits it best.
//!
//! R1  Ranks rise from front to back, over all chunks; of equal ones the lower node comes first.
//! R2  `most` of a chunk is at least what each of its nodes has left.
//! R3  A node is in the chunk that its rank says, and in no other.

use foldhash::HashMap;

use super::fleet::Fleet;
use super::machine::{COLUMN_LEN, Column, Machine};
use super::need::{Need, Signed};
use crate::model::RESOURCES_MAX;

/// Requests that hints are kept of: two or three MiB.
const HINTS_MAX: usize = 1 << 14;

/// Where a node stands: what it has left over, and its place among nodes.
type Rank = (i64, u32);

/// What is known of a request: when the log was at `seen`, no node before `from` covered it.
#[derive(Clone, Copy, Debug)]
struct Hint {
    from: Rank,
    seen: usize,
}

/// After every node.
const END: Rank = (i64::MAX, u32::MAX);

#[derive(Clone, Debug)]
struct Chunk {
    n: usize,
    ranks: [Rank; COLUMN_LEN],
    left: Vec<Column>,
    most: Signed,
    /// Whether a node left since `most` was exact.
    is_stale: bool,
}

impl Chunk {
    fn new(n_resources: usize) -> Self {
        let left = vec![[i64::MIN; COLUMN_LEN]; n_resources];
        Self { n: 0, ranks: [END; COLUMN_LEN], left, most: [i64::MIN; RESOURCES_MAX], is_stale: false }
    }

    fn place(&self, rank: Rank) -> usize {
        self.ranks[..self.n].partition_point(|other| *other < rank)
    }

    fn insert(&mut self, rank: Rank, left: &Signed) {
        let at = self.place(rank);
        self.ranks.copy_within(at..self.n, at + 1);
        self.ranks[at] = rank;
        for (column, have) in self.left.iter_mut().zip(left) {
            column.copy_within(at..self.n, at + 1);
            column[at] = *have;
        }
        for (most, have) in self.most.iter_mut().zip(left) {
            *most = (*most).max(*have);
        }
        self.n += 1;
    }

    fn remove(&mut self, at: usize) {
        self.ranks.copy_within(at + 1..self.n, at);
        for column in &mut self.left {
            column.copy_within(at + 1..self.n, at);
            column[self.n - 1] = i64::MIN;
        }
        self.n -= 1;
        self.is_stale = true;
    }

    fn renew_most(&mut self) {
        self.is_stale = false;
        for (most, column) in self.most.iter_mut().zip(&self.left) {
            *most = column.iter().fold(i64::MIN, |most, have| most.max(*have));
        }
    }

    /// The upper half.
    fn split(&mut self) -> Self {
        let mut right = Self::new(self.left.len());
        let half = self.n / 2;
        right.n = self.n - half;
        right.ranks[..right.n].copy_from_slice(&self.ranks[half..self.n]);
        for (to, from) in right.left.iter_mut().zip(&mut self.left) {
            to[..right.n].copy_from_slice(&from[half..self.n]);
            from[half..].fill(i64::MIN);
        }
        self.n = half;
        self.renew_most();
        right.renew_most();
        right
    }
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranked {
    machine: Machine,
    chunks: Vec<Chunk>,
    /// The least rank of each chunk.
    firsts: Vec<Rank>,
    /// By node: where it stands; none for one that takes nothing.
    ranks: Vec<Option<i64>>,
    seen: usize,
    generation: Option<u64>,
    hints: HashMap<Need, Hint>,
}

impl Ranked {
    pub(super) fn forget(&mut self) {
        self.generation = None;
    }

    fn chunk_of(&self, rank: Rank) -> usize {
        self.firsts.partition_point(|first| *first <= rank).saturating_sub(1)
    }

    /// Brings it up to date. Cost: two searches and two moves within a chunk for each node that
    /// changed.
    pub(super) fn refresh(&mut self, fleet: &Fleet, rank_of: impl Fn(&Signed) -> i64) {
        if self.generation == Some(fleet.generation) {
            for at in fleet.changed_since(self.seen) {
                self.change(fleet, at, &rank_of);
            }
        } else {
            self.build(fleet, &rank_of);
        }
        (self.seen, self.generation) = (fleet.position(), Some(fleet.generation));
    }

    fn build(&mut self, fleet: &Fleet, rank_of: &impl Fn(&Signed) -> i64) {
        let is_open = |at: &usize| fleet.is_open(*at);
        let rank = |at: usize| (rank_of(&fleet.room(at)), u32::try_from(at).expect("at most NODES_MAX"));
        let mut all: Vec<Rank> = (0..fleet.len()).filter(is_open).map(rank).collect();
        all.sort_unstable();
        self.ranks = vec![None; fleet.len()];
        self.chunks.clear();
        self.hints.clear();
        // Half full, so that nodes can move.
        for ranks in all.chunks(COLUMN_LEN / 2) {
            let mut chunk = Chunk::new(fleet.n_resources);
            for rank in ranks {
                chunk.insert(*rank, &fleet.left(rank.1 as usize));
                self.ranks[rank.1 as usize] = Some(rank.0);
            }
            self.chunks.push(chunk);
        }
        self.renew_firsts();
    }

    fn renew_firsts(&mut self) {
        self.firsts.clear();
        self.firsts.extend(self.chunks.iter().map(|chunk| chunk.ranks[0]));
    }

    fn change(&mut self, fleet: &Fleet, at: usize, rank_of: &impl Fn(&Signed) -> i64) {
        if self.ranks.len() <= at {
            self.ranks.resize(fleet.len(), None);
        }
        let node = u32::try_from(at).expect("at most NODES_MAX");
        let rank = fleet.is_open(at).then(|| rank_of(&fleet.room(at)));
        if let Some(before) = self.ranks[at] {
            self.take((before, node));
        }
        if let Some(rank) = rank {
            self.put((rank, node), fleet);
        }
        self.ranks[at] = rank;
    }

    fn take(&mut self, rank: Rank) {
        let of = self.chunk_of(rank);
        let chunk = &mut self.chunks[of];
        let at = chunk.place(rank);
        assert!(at < chunk.n && chunk.ranks[at] == rank, "R3");
        chunk.remove(at);
        if chunk.n == 0 {
            self.chunks.remove(of);
            self.firsts.remove(of);
        } else {
            self.firsts[of] = chunk.ranks[0];
        }
    }

    fn put(&mut self, rank: Rank, fleet: &Fleet) {
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::new(fleet.n_resources));
            self.firsts.push(rank);
        }
        let mut of = self.chunk_of(rank);
        if self.chunks[of].n == COLUMN_LEN {
            let right = self.chunks[of].split();
            self.firsts.insert(of + 1, right.ranks[0]);
            self.chunks.insert(of + 1, right);
            of = self.chunk_of(rank);
        }
        let chunk = &mut self.chunks[of];
        chunk.insert(rank, &fleet.left(rank.1 as usize));
        self.firsts[of] = chunk.ranks[0];
    }

    /// The first node that has what is needed. Cost: the nodes that changed since the same was asked
    /// for; then a line per chunk from where it was found, a pass over the columns of a chunk
    /// whose amounts suffice one by one.
    pub(super) fn first(&mut self, need: &Need, fleet: &Fleet) -> Option<usize> {
        let hint = self.hints.get(need).copied();
        let before = hint.and_then(|hint| self.first_changed(need, hint, fleet));
        let found = before.or_else(|| self.search(need, hint.map_or((i64::MIN, 0), |hint| hint.from), fleet));
        if self.hints.len() >= HINTS_MAX && hint.is_none() {
            self.hints.clear();
        }
        self.hints.insert(*need, Hint { from: found.unwrap_or(END), seen: fleet.position() });
        found.map(|(_, node)| node as usize)
    }

    /// The first node before a hint's that covers the request since it changed.
    fn first_changed(&self, need: &Need, hint: Hint, fleet: &Fleet) -> Option<Rank> {
        let rank = |at: usize| Some((self.ranks[at]?, u32::try_from(at).expect("at most NODES_MAX")));
        let changed = fleet.changed_since(hint.seen).filter_map(rank);
        changed.filter(|rank| *rank < hint.from && fleet.covers(rank.1 as usize, need)).min()
    }

    /// The first node from a rank on that covers the request.
    fn search(&mut self, need: &Need, from: Rank, fleet: &Fleet) -> Option<Rank> {
        let first = self.chunk_of(from);
        for chunk in self.chunks.iter_mut().skip(first) {
            let most = chunk.most.iter().zip(&need.0).take(fleet.n_resources);
            if most.into_iter().any(|(most, need)| most < need) {
                continue;
            }
            let mask = self.machine.covering(&chunk.left, &need.0);
            if mask != 0 {
                return Some(chunk.ranks[mask.trailing_zeros() as usize]);
            }
            if chunk.is_stale {
                chunk.renew_most();
            }
        }
        None
    }

    /// Holds R1 to R3 against what is there.
    #[cfg(test)]
    pub(super) fn check_invariants(&self, fleet: &Fleet) {
        let all: Vec<Rank> = self.chunks.iter().flat_map(|chunk| chunk.ranks[..chunk.n].to_vec()).collect();
        assert!(all.is_sorted_by(|a, b| a < b), "R1");
        let open = (0..fleet.len()).filter(|at| fleet.is_open(*at)).count();
        assert_eq!(all.len(), open, "R3");
        for chunk in &self.chunks {
            assert!(chunk.n > 0, "R3: empty");
            for at in 0..chunk.n {
                let left = fleet.left(chunk.ranks[at].1 as usize);
                for (slot, column) in chunk.left.iter().enumerate() {
                    assert_eq!(column[at], left[slot], "R3: amounts");
                    assert!(chunk.most[slot] >= column[at], "R2");
                }
            }
        }
    }
}
