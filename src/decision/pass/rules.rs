//! What nodes suit whom: the scores and demands of job types, each distinct one once, and which
//! nodes meet it.
//!
//! U1  Rule 0 is that of all job types without one of their own.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};

use super::policy::{Constraint, Demand, Policy, Score};
use crate::model::JobTypeId;

/// The most demands that are not met of those that may be left unmet; more count as as many.
pub(super) const UNMET_MAX: u32 = 15;

/// A number for a rule.
pub(super) type RuleId = u16;

/// A score and demands.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) score: Score,
    constraints: Vec<Constraint>,
}

impl Rule {
    /// How many soft demands a node does not meet; `None` where a hard one is not met.
    pub(super) fn unmet(&self, attributes: &BTreeMap<String, String>) -> Option<u32> {
        let mut n_unmet = 0;
        for constraint in &self.constraints {
            match (constraint.is_met(attributes), constraint.is_soft) {
                (true, _) => {}
                (false, true) => n_unmet += 1,
                (false, false) => return None,
            }
        }
        Some(n_unmet.min(UNMET_MAX))
    }

    /// True where all nodes are alike to it.
    pub(super) fn is_plain(&self) -> bool {
        self.constraints.is_empty()
    }

    /// The attribute over which executions are spread.
    pub(super) fn spread_over(&self) -> Option<&str> {
        let spread = self.constraints.iter().find(|constraint| constraint.is == Demand::Spread);
        spread.map(|constraint| constraint.attribute.as_str())
    }
}

/// All rules.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    of_type: HashMap<JobTypeId, RuleId>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { rules: vec![Rule::default()], of_type: HashMap::new() }
    }
}

impl Rules {
    pub(super) fn new(policy: &Policy) -> Self {
        let mut rules = Self {
            rules: vec![Rule { score: policy.score, constraints: Vec::new() }],
            of_type: HashMap::new(),
        };
        for (job_type, own) in &policy.job_types {
            let mut constraints = own.constraints.clone();
            constraints.sort();
            let rule = Rule { score: own.score.unwrap_or(policy.score), constraints };
            let known = rules.rules.iter().position(|other| *other == rule);
            let at = known.unwrap_or_else(|| {
                rules.rules.push(rule);
                rules.rules.len() - 1
            });
            // Job types are at most 100,000, distinct rules far fewer; what is over follows rule 0.
            rules.of_type.insert(*job_type, RuleId::try_from(at).unwrap_or(0));
        }
        rules
    }

    pub(super) fn of(&self, job_type: JobTypeId) -> RuleId {
        if self.of_type.is_empty() { 0 } else { self.of_type.get(&job_type).copied().unwrap_or(0) }
    }

    pub(super) fn get(&self, rule: RuleId) -> &Rule {
        &self.rules[usize::from(rule)]
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter()
    }
}
