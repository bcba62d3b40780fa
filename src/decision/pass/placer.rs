//! Places one execution after the other: the best node to run on, or one to reserve.
//!
//! P1  What it gives away was left: no node is promised more than it offered.
//! P2  The answer is what plain loops over all nodes by ascending id give.

use foldhash::{HashMap, HashMapExt};

use super::counting::TypeNeeds;
use super::fleet::{BLOCK_LEN, Fleet};
use super::need::{Need, Signed, amounts};
use super::policy::{Policy, Reserving, Score};
use super::ranked::Ranked;
use super::table::{Kind, NONE, Request, Scorer, Table};
use crate::limits::SCORES_BYTES_MAX;
use crate::model::{NodeId, RESOURCES_MAX};
use crate::queue::{Amounts, Entry};

/// Where an execution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It took what it asks for of this node.
    Run { at: usize, score: u32 },
    /// This node is closed for whatever comes after it in this pass.
    Reserve { at: usize, score: u32 },
    /// No node has enough.
    Nowhere,
}

/// Binary places of a share: the sum of sixteen fits a score.
const SHARE_BITS: u32 = 26;
/// Binary places of the factor that makes an amount a share.
const FACTOR_BITS: u32 = 46;

/// Scores by policy.
#[derive(Clone, Debug, Default)]
struct Scores {
    score: Score,
    types: TypeNeeds,
    n_resources: usize,
    /// What makes an amount a share of the largest node's.
    factors: [i64; RESOURCES_MAX],
}

impl Scores {
    /// What is left over, as shares of the largest node, exactly: it is linear, so that of two nodes
    /// the one with less before a request has less after it.
    fn left_over(&self, rest: &Signed) -> i64 {
        let shares = rest.iter().zip(&self.factors).take(self.n_resources);
        shares.fold(0, |sum: i64, (rest, factor)| sum.saturating_add(rest.saturating_mul(*factor)))
    }

    /// The same as a score.
    fn left_over_score(&self, rest: &Signed) -> u32 {
        let share = self.left_over(rest).max(0) >> (FACTOR_BITS - SHARE_BITS);
        u32::try_from(share).unwrap_or(NONE).min(NONE - 1)
    }

    /// Where a node stands among those that have something left over; the first that covers a
    /// request is the best.
    fn rank(&self, room: &Signed) -> i64 {
        let left_over = self.left_over(room);
        if self.score == Score::Spread { left_over.saturating_neg() } else { left_over }
    }

    /// The largest share in use, of what there is for executions.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share between 0 and 1; divisions of the standard give the same everywhere"
    )]
    fn dominant_share(&self, base: &Signed, rest: &Signed) -> u32 {
        let shares = base.iter().zip(rest).take(self.n_resources).map(|(base, rest)| {
            if *base <= 0 { 0.0 } else { ((base - rest) as f64 / *base as f64).clamp(0.0, 1.0) }
        });
        (shares.fold(0.0, f64::max) * f64::from(1 << SHARE_BITS)) as u32
    }
}

impl Scorer for Scores {
    #[inline]
    fn score(&self, fleet: &Fleet, at: usize, rest: &Signed) -> u32 {
        match self.score {
            Score::Scale => self.types.n_fitting(rest),
            Score::BestFit => self.left_over_score(rest),
            Score::Spread => NONE - 1 - self.left_over_score(rest),
            Score::DominantShare => self.dominant_share(&fleet.base(at), rest),
        }
    }

    fn score_block(&self, fleet: &Fleet, block: usize, asks: &Signed) -> Option<[u32; BLOCK_LEN]> {
        let is_scale = self.score == Score::Scale;
        is_scale.then(|| self.types.n_fitting_each(fleet.room_of(block), asks))
    }
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Placer {
    pub(super) fleet: Fleet,
    scores: Scores,
    reserving: Reserving,
    /// Of scores that are the same whatever is asked for.
    ranked: Ranked,
    tables: Vec<Table>,
    table_of: HashMap<Request, u32>,
    /// The largest node that the factors are of.
    largest: Amounts,
    /// Nodes that are closed for the rest of a pass.
    closed: Vec<usize>,
}

impl Placer {
    pub(super) fn new(policy: Policy) -> Self {
        let mut placer = Self { reserving: policy.reserving, ..Self::default() };
        placer.scores.score = policy.score;
        placer.fleet = Fleet::new(0, policy.reserving != Reserving::Never);
        placer
    }

    /// Forgets all nodes, and counts so many resources from now on.
    pub(super) fn reset(&mut self, n_resources: usize) {
        self.fleet.reset(n_resources);
        self.scores.n_resources = n_resources;
        self.forget_scores();
    }

    /// Sets what the job types ask for, as far as the score counts them.
    pub(super) fn set_types(&mut self, types: impl IntoIterator<Item = Need>) {
        self.scores.types = TypeNeeds::new(types, self.fleet.n_resources);
        self.forget_scores();
    }

    fn forget_scores(&mut self) {
        self.tables.clear();
        self.table_of = HashMap::new();
        self.ranked.forget();
    }

    /// To be called before a pass.
    pub(super) fn begin(&mut self) {
        self.fleet.settle();
        if self.largest != self.fleet.largest() {
            self.largest = self.fleet.largest();
            self.scores.factors =
                self.largest.0.map(|most| i64::try_from((1 << FACTOR_BITS) / most.max(1)).unwrap_or(0));
            if self.scores.score != Score::Scale {
                self.forget_scores();
            }
        }
        if self.tables.len() * Table::bytes(self.fleet.len()) > SCORES_BYTES_MAX {
            self.forget_scores();
        }
    }

    /// To be called after a pass: opens the nodes that it closed.
    pub(super) fn end(&mut self) {
        for at in self.closed.drain(..) {
            self.fleet.reopen(at);
        }
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&mut self) {
        self.fleet.check_invariants();
        if self.is_ranked() {
            self.ranked.refresh(&self.fleet, |room| self.scores.rank(room));
            self.ranked.check_invariants(&self.fleet);
        }
    }

    /// Whether one order of nodes serves all requests.
    fn is_ranked(&self) -> bool {
        matches!(self.scores.score, Score::BestFit | Score::Spread)
    }

    /// The best node for a request by rank.
    fn first(&mut self, need: &Need) -> Option<(usize, u32)> {
        let Self { ranked, fleet, scores, .. } = self;
        ranked.refresh(fleet, |room| scores.rank(room));
        let at = ranked.first(need, fleet)?;
        let mut rest = fleet.room(at);
        for (rest, asks) in rest.iter_mut().zip(need.asks()) {
            *rest -= asks;
        }
        Some((at, scores.score(fleet, at, &rest)))
    }

    /// The best node for a request by a table that is up to date.
    fn best(&mut self, need: Need, kind: Kind) -> Option<(usize, u32)> {
        let request = Request { need, kind };
        let Self { tables, table_of, fleet, scores, .. } = self;
        let at = *table_of.entry(request).or_insert_with(|| {
            tables.push(Table::new(request));
            u32::try_from(tables.len() - 1).expect("bounded by their bytes")
        });
        let table = &mut tables[at as usize];
        table.refresh(fleet, scores);
        table.best()
    }

    /// What a node offers now, and what was given of it.
    pub(super) fn offered(&mut self, id: NodeId, offered: &Amounts, given: impl Iterator<Item = Entry>) {
        let Some(at) = self.fleet.find(id) else { return };
        self.fleet.set_left(at, &amounts(offered));
        for entry in given {
            self.fleet.give(at, &amounts(&entry.asks), entry.priority);
        }
    }

    /// Places one execution. Cost: a look-up, the nodes that changed since one that asks for the
    /// same was placed, a word per block of nodes.
    pub(super) fn place(&mut self, need: &Need, priority: i32) -> Placed {
        let best = if self.is_ranked() { self.first(need) } else { self.best(*need, Kind::Run) };
        if let Some((at, score)) = best {
            self.fleet.give(at, &need.asks(), priority);
            return Placed::Run { at, score };
        }
        if self.reserving == Reserving::Never {
            return Placed::Nowhere;
        }
        let Some((at, score)) = self.best(*need, Kind::Reserve(priority)) else { return Placed::Nowhere };
        self.fleet.close(at);
        self.closed.push(at);
        Placed::Reserve { at, score }
    }
}
