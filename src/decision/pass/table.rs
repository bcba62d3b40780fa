//! How well every node suits one request, kept from pass to pass: a node is looked at again only
//! after it changed.
//!
//! B1  Of a table that was brought up to date, a score is that of its node now, or `NONE` where
//!     the node does not do.
//! B2  `mins` holds the least score of each block.

use super::fleet::{BLOCK_LEN, Fleet};
use super::need::{Need, Signed};
use super::rules::RuleId;

/// The score of a node that does not do.
pub(super) const NONE: u32 = u32::MAX;

/// What a table is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Where a request can run now.
    Run,
    /// Where one of this priority could run once what is less important has ended.
    Reserve(i32),
}

/// A request that scores are kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Request {
    pub(super) need: Need,
    pub(super) kind: Kind,
    pub(super) rule: RuleId,
}

/// Gives a node that does a score, by what would be left of it.
pub(super) trait Scorer {
    fn score(&self, fleet: &Fleet, at: usize, rest: &Signed, rule: RuleId) -> u32;

    /// The scores of all nodes of a block, each less `asks`, where that is cheaper than one by one.
    fn score_block(
        &self,
        fleet: &Fleet,
        block: usize,
        asks: &Signed,
        rule: RuleId,
    ) -> Option<[u32; BLOCK_LEN]>;
}

/// See the file.
#[derive(Clone, Debug)]
pub(super) struct Table {
    request: Request,
    asks: Signed,
    /// None before a node does for the first time.
    scores: Vec<u32>,
    mins: Vec<u32>,
    seen: usize,
    generation: Option<u64>,
}

impl Table {
    pub(super) fn new(request: Request) -> Self {
        let asks = request.need.asks();
        Self { request, asks, scores: Vec::new(), mins: Vec::new(), seen: 0, generation: None }
    }

    /// Bytes that tables of so many nodes take.
    pub(super) fn bytes(n_nodes: usize) -> usize {
        n_nodes * 5 + 512
    }

    #[inline]
    fn score(&self, fleet: &Fleet, scorer: &impl Scorer, at: usize) -> u32 {
        let does = match self.request.kind {
            Kind::Run => fleet.covers(at, &self.request.need),
            Kind::Reserve(_) => fleet.is_open(at),
        };
        if does && fleet.suits(at, self.request.rule) { self.score_of_open(fleet, scorer, at) } else { NONE }
    }

    /// The score of a node that is open, and covers the request where it is to run now.
    #[inline]
    fn score_of_open(&self, fleet: &Fleet, scorer: &impl Scorer, at: usize) -> u32 {
        let mut rest = match self.request.kind {
            Kind::Run => fleet.room(at),
            Kind::Reserve(priority) => {
                let room = fleet.room_for(at, priority);
                if !super::fleet::fits(&room, &self.request.need, fleet.n_resources) {
                    return NONE;
                }
                room
            }
        };
        for (rest, asks) in rest.iter_mut().zip(&self.asks) {
            *rest -= asks;
        }
        scorer.score(fleet, at, &rest, self.request.rule)
    }

    fn is_any_covering(&self, fleet: &Fleet, mut nodes: impl Iterator<Item = usize>) -> bool {
        nodes.any(|at| fleet.covers(at, &self.request.need))
    }

    /// Brings it up to date. Cost: nodes that changed since; all of them the first time one does.
    pub(super) fn refresh(&mut self, fleet: &Fleet, scorer: &impl Scorer) {
        let n_changes = fleet.position() - self.seen.min(fleet.position());
        let is_known = self.generation == Some(fleet.generation);
        if is_known && !self.scores.is_empty() && n_changes <= fleet.len() {
            for at in fleet.changed_since(self.seen) {
                self.set(at, self.score(fleet, scorer, at));
            }
        } else {
            let is_none = self.request.kind == Kind::Run
                && if is_known && self.scores.is_empty() && n_changes <= fleet.len() {
                    !self.is_any_covering(fleet, fleet.changed_since(self.seen))
                } else {
                    (0..fleet.n_blocks()).all(|block| fleet.covering(block, &self.request.need) == 0)
                };
            if is_none {
                self.scores.clear();
                self.mins.clear();
            } else {
                self.build(fleet, scorer);
            }
        }
        (self.seen, self.generation) = (fleet.position(), Some(fleet.generation));
    }

    #[inline]
    fn build(&mut self, fleet: &Fleet, scorer: &impl Scorer) {
        self.scores.clear();
        self.scores.resize(fleet.n_blocks() * BLOCK_LEN, NONE);
        self.mins.clear();
        for block in 0..fleet.n_blocks() {
            let mut open = match self.request.kind {
                Kind::Run => fleet.covering(block, &self.request.need),
                Kind::Reserve(_) => fleet.open_bits(block),
            } & fleet.suiting(block, self.request.rule);
            let mut min = NONE;
            // One by one where only a few do.
            let of_block = match self.request.kind {
                Kind::Run if open.count_ones() > 8 => {
                    scorer.score_block(fleet, block, &self.asks, self.request.rule)
                }
                _ => None,
            };
            while open != 0 {
                let at = block * BLOCK_LEN + open.trailing_zeros() as usize;
                open &= open - 1;
                let of_block = of_block.as_ref().map(|scores| scores[at % BLOCK_LEN]);
                let score = of_block.unwrap_or_else(|| self.score_of_open(fleet, scorer, at));
                self.scores[at] = score;
                min = min.min(score);
            }
            self.mins.push(min);
        }
    }

    fn of_block(&self, block: usize) -> &[u32] {
        &self.scores[block * BLOCK_LEN..(block + 1) * BLOCK_LEN]
    }

    fn set(&mut self, at: usize, score: u32) {
        let block = at / BLOCK_LEN;
        if block >= self.mins.len() {
            self.scores.resize((block + 1) * BLOCK_LEN, NONE);
            self.mins.resize(block + 1, NONE);
        }
        let before = std::mem::replace(&mut self.scores[at], score);
        let min = self.mins[block];
        if score <= min {
            self.mins[block] = score;
        } else if before == min {
            self.mins[block] = self.of_block(block).iter().fold(NONE, |least, score| least.min(*score));
        }
    }

    /// The node that comes first by what `first_by` says, then by its score, then by its id. Cost: all
    /// nodes.
    pub(super) fn best_by(&self, first_by: impl Fn(usize) -> u32) -> Option<(usize, u32)> {
        let all = self.scores.iter().enumerate().filter(|(_, score)| **score != NONE);
        all.map(|(at, score)| (at, *score)).min_by_key(|(at, score)| (first_by(*at), *score, *at))
    }

    /// The node with the lowest score, the first of equals. Cost: a word per block, and a block.
    pub(super) fn best(&self) -> Option<(usize, u32)> {
        let least = self.mins.iter().fold(NONE, |least, min| least.min(*min));
        if least == NONE {
            return None;
        }
        let block = self.mins.iter().position(|min| *min == least)?;
        let at = self.of_block(block).iter().position(|score| *score == least)?;
        Some((block * BLOCK_LEN + at, least))
    }
}
