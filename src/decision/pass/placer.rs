//! Places one execution after the other: the best node to run on, or one to reserve.
//!
//! P1  What it gives away was left: no node is promised more than it offered.
//! P2  The answer is what plain loops over all nodes by ascending id give.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};

use super::counting::TypeNeeds;
use super::fleet::{BLOCK_LEN, Fleet, SchedulingNode};
use super::need::{Need, Signed, amounts};
use super::policy::{Policy, Reserving, Score};
use super::ranked::Ranked;
use super::rules::{RuleId, Rules, UNMET_MAX};
use super::table::{Kind, NONE, Request, Scorer, Table};
use crate::limits::SCORES_BYTES_MAX;
use crate::model::{JobTypeId, NodeId, RESOURCES_MAX};
use crate::queue::{Amounts, Entry, Queue};

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

/// The most left over that there can be: sixteen whole shares.
const SPREAD_MOST: u32 = 16 << SHARE_BITS;
/// Bits of a score beside which soft demands find place.
const SCORE_BITS: u32 = 28;
const _: () = assert!(UNMET_MAX << SCORE_BITS < NONE && SPREAD_MOST >> 2 <= 1 << SCORE_BITS);

/// Scores by policy.
#[derive(Clone, Debug, Default)]
struct Scores {
    rules: Rules,
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
    fn rank(&self, room: &Signed, score: Score) -> i64 {
        let left_over = self.left_over(room);
        if score == Score::Spread { left_over.saturating_neg() } else { left_over }
    }

    /// With soft demands that are not met before everything else.
    fn behind_unmet(&self, fleet: &Fleet, at: usize, score: u32, rule: RuleId) -> u32 {
        if self.rules.get(rule).is_plain() {
            return score;
        }
        (fleet.unmet(at, rule) << SCORE_BITS) | (score >> 2).min((1 << SCORE_BITS) - 1)
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
    fn score(&self, fleet: &Fleet, at: usize, rest: &Signed, rule: RuleId) -> u32 {
        let score = match self.rules.get(rule).score {
            Score::Scale => self.types.n_fitting(rest),
            Score::BestFit => self.left_over_score(rest),
            Score::Spread => SPREAD_MOST - self.left_over_score(rest).min(SPREAD_MOST),
            Score::DominantShare => self.dominant_share(&fleet.base(at), rest),
        };
        self.behind_unmet(fleet, at, score, rule)
    }

    fn score_block(
        &self,
        fleet: &Fleet,
        block: usize,
        asks: &Signed,
        rule: RuleId,
    ) -> Option<[u32; BLOCK_LEN]> {
        let rule = self.rules.get(rule);
        let is_scale = rule.score == Score::Scale && rule.is_plain();
        is_scale.then(|| self.types.n_fitting_each(fleet.room_of(block), asks))
    }
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Placer {
    pub(super) fleet: Fleet,
    scores: Scores,
    reserving: Reserving,
    /// Best fit, and spread: of scores that are the same whatever is asked for.
    ranked: [Ranked; 2],
    tables: Vec<Table>,
    table_of: HashMap<Request, u32>,
    /// The largest node that the factors are of.
    largest: Amounts,
    /// Nodes that are closed for the rest of a pass.
    closed: Vec<usize>,
}

/// What is to be placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) need: Need,
    pub(super) priority: i32,
    pub(super) job_type: JobTypeId,
}

impl Placer {
    pub(super) fn new(policy: &Policy) -> Self {
        let mut placer = Self { reserving: policy.reserving, ..Self::default() };
        placer.fleet = Fleet::new(0, policy.reserving != Reserving::Never);
        placer.scores.rules = Rules::new(policy);
        placer
    }

    /// How a node stands now.
    pub(super) fn set_node(&mut self, node: &SchedulingNode, queue: &Queue) {
        self.fleet.set(node, queue, &self.scores.rules);
    }

    /// Whether it has to be built anew before a pass.
    pub(super) fn is_outdated(&self, n_resources: usize) -> bool {
        self.fleet.n_resources != n_resources || self.fleet.is_untidy()
    }

    /// Builds the nodes anew, and what hangs on them. `types` are what job types ask for, as far as
    /// the score counts them.
    pub(super) fn rebuild(
        &mut self,
        nodes: &BTreeMap<NodeId, SchedulingNode>,
        queue: &Queue,
        types: impl IntoIterator<Item = Need>,
    ) {
        let n_resources = queue.dims().len();
        self.fleet.rebuild(n_resources, nodes, (queue, &self.scores.rules));
        self.scores.n_resources = n_resources;
        self.scores.types = TypeNeeds::new(types, n_resources);
        self.forget_scores();
    }

    fn forget_scores(&mut self) {
        self.tables.clear();
        self.table_of = HashMap::new();
        self.ranked.iter_mut().for_each(Ranked::forget);
    }

    /// To be called before a pass.
    pub(super) fn begin(&mut self) {
        if self.largest != self.fleet.largest() {
            self.largest = self.fleet.largest();
            let factor = |most: u64| i64::try_from((1 << FACTOR_BITS) / most.max(1)).unwrap_or(0);
            self.scores.factors = self.largest.0.map(factor);
            self.forget_scores();
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
        for (ranked, score) in self.ranked.iter_mut().zip([Score::BestFit, Score::Spread]) {
            ranked.refresh(&self.fleet, |room| self.scores.rank(room, score));
            ranked.check_invariants(&self.fleet);
        }
    }

    /// The best node for a request by rank.
    fn first(&mut self, need: &Need, score: Score) -> Option<(usize, u32)> {
        let Self { ranked, fleet, scores, .. } = self;
        let ranked = &mut ranked[usize::from(score == Score::Spread)];
        ranked.refresh(fleet, |room| scores.rank(room, score));
        let at = ranked.first(need, fleet)?;
        let mut rest = fleet.room(at);
        for (rest, asks) in rest.iter_mut().zip(need.asks()) {
            *rest -= asks;
        }
        let left_over = scores.left_over_score(&rest);
        let is_spread = score == Score::Spread;
        Some((at, if is_spread { SPREAD_MOST - left_over.min(SPREAD_MOST) } else { left_over }))
    }

    /// The best node for a request by a table that is brought up to date.
    fn best(&mut self, request: Request, job_type: JobTypeId) -> Option<(usize, u32)> {
        let Self { tables, table_of, fleet, scores, .. } = self;
        let at = *table_of.entry(request).or_insert_with(|| {
            tables.push(Table::new(request));
            u32::try_from(tables.len() - 1).expect("bounded by their bytes")
        });
        let table = &mut tables[at as usize];
        table.refresh(fleet, scores);
        if scores.rules.get(request.rule).spread_over().is_some() {
            return table.best_by(|at| fleet.n_spread(at, job_type, request.rule));
        }
        table.best()
    }

    /// Where an execution can run now.
    fn find(&mut self, asked: &Asked) -> Option<(usize, u32)> {
        let id = self.scores.rules.of(asked.job_type);
        let rule = self.scores.rules.get(id);
        match rule.score {
            score @ (Score::BestFit | Score::Spread) if rule.is_plain() => self.first(&asked.need, score),
            _ => self.best(Request { need: asked.need, kind: Kind::Run, rule: id }, asked.job_type),
        }
    }

    /// Where an execution could run once what is less important has ended.
    pub(super) fn find_reserve(&mut self, asked: &Asked) -> Option<(usize, u32)> {
        let rule = self.scores.rules.of(asked.job_type);
        let kind = Kind::Reserve(asked.priority);
        self.best(Request { need: asked.need, kind, rule }, asked.job_type)
    }

    /// Whether an execution could run on a node that is empty. Cost: a look-up; a node that covers it,
    /// or all of them once.
    pub(super) fn could_ever(&mut self, asked: &Asked) -> bool {
        let rule = self.scores.rules.of(asked.job_type);
        self.fleet.could_ever(&asked.need, rule)
    }

    /// The node to keep for an execution: of those that could take it if nothing ran there the one that
    /// lacks least now, as shares of the largest node. Cost: all nodes.
    pub(super) fn find_keep(&self, asked: &Asked) -> Option<usize> {
        let Self { fleet, scores, .. } = self;
        let rule = scores.rules.of(asked.job_type);
        let could =
            |at: &usize| fleet.is_open(*at) && fleet.suits(*at, rule) && asked.need.is_met(&fleet.base(*at));
        let lacks = |at: usize| {
            let (left, asks) = (fleet.left(at), asked.need.asks());
            scores.left_over(&std::array::from_fn(|slot| asks[slot].saturating_sub(left[slot]).max(0)))
        };
        (0..fleet.len()).filter(could).min_by_key(|at| (lacks(*at), *at))
    }

    /// The rules.
    pub(super) fn rules(&self) -> &Rules {
        &self.scores.rules
    }

    /// Closes a node for the rest of a pass.
    pub(super) fn close(&mut self, at: usize) {
        self.fleet.close(at);
        self.closed.push(at);
    }

    /// Gives an execution what it asks for on a node.
    pub(super) fn give(&mut self, at: usize, asked: &Asked) {
        self.fleet.give(at, &asked.need.asks(), asked.priority);
        let rule = self.scores.rules.of(asked.job_type);
        if self.scores.rules.get(rule).spread_over().is_some() {
            self.fleet.spread_to(at, asked.job_type, rule);
        }
    }

    /// What a node offers now, and what was given of it.
    pub(super) fn offered(
        &mut self,
        node: &SchedulingNode,
        offered: &Amounts,
        given: impl Iterator<Item = Entry>,
    ) {
        let Some(at) = self.fleet.find(node.id) else { return };
        self.fleet.set_left(at, &amounts(offered), node.gpus.clone());
        for entry in given {
            self.fleet.give(at, &amounts(&entry.asks), entry.priority);
        }
    }

    /// Places one execution. Cost: a look-up, the nodes that changed since one that asks for the
    /// same was placed, a word per block of nodes.
    pub(super) fn place(&mut self, asked: &Asked) -> Placed {
        if let Some((at, score)) = self.find(asked) {
            self.give(at, asked);
            return Placed::Run { at, score };
        }
        if self.reserving != Reserving::PerPass {
            return Placed::Nowhere;
        }
        let Some((at, score)) = self.find_reserve(asked) else { return Placed::Nowhere };
        self.close(at);
        Placed::Reserve { at, score }
    }
}
