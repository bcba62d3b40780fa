//! How passes choose: data, not code.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::JobTypeId;

/// Which node suits an execution best among those that can run it now. The lower score wins, of
/// equal ones the lower node id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Score {
    /// How many job types would still fit beside what runs there: Scale's. Its cost follows the
    /// number of job types.
    Scale,
    /// The least left over, as shares of the largest node: fills nodes one after the other.
    #[default]
    BestFit,
    /// The most left over: spreads over all nodes.
    Spread,
    /// The lowest share of the scarcest resource of the node in use: keeps resources in balance.
    DominantShare,
}

/// What becomes of an execution that fits on no node now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reserving {
    /// It waits.
    Never,
    /// A node that could take it once less important executions ended is closed to everything
    /// behind it for the rest of the pass: Scale's.
    PerPass,
    /// Once it was passed over too often or too long ([`Starvation`]), the node that lacks least of what
    /// it asks for is closed until it starts there.
    #[default]
    Held,
}

/// How long an execution may be passed over that an empty node could take, before a node is
/// kept for it: whichever comes first. The default is long, three days: a bound that is shorter than
/// what executions commonly wait makes all of them due, and nodes drain for one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Starvation {
    /// How many executions behind it may start.
    pub overtaken: u32,
    /// Seconds.
    pub seconds: u32,
}

impl Default for Starvation {
    fn default() -> Self {
        Self { overtaken: 1_000, seconds: 3 * 86_400 }
    }
}

impl Starvation {
    /// Seconds as a duration.
    pub(super) fn wait(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

/// How passes choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// Which node.
    pub score: Score,
    /// What becomes of an execution that fits nowhere now.
    pub reserving: Reserving,
    /// When a node is kept for one.
    pub starvation: Starvation,
    /// For how many seconds a node is kept at most before another may be chosen.
    pub hold_seconds: u32,
    /// Nothing starts while something more important waits that an empty node could take.
    pub is_strict: bool,
    /// What is different for some job types.
    #[serde(deserialize_with = "once")]
    pub job_types: BTreeMap<JobTypeId, TypePolicy>,
    /// The same by `name` or `name:version`, for an engine; ids go first.
    #[serde(deserialize_with = "once")]
    pub named: BTreeMap<String, TypePolicy>,
}

/// What is different for one job type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TypePolicy {
    /// Which node.
    pub score: Option<Score>,
    /// When a node is kept for one of its executions.
    pub starvation: Option<Starvation>,
    /// How many seconds an execution runs, as far as one can tell: where it would end before a node
    /// is needed by whom it is kept for, it may run there (backfill).
    pub estimate_seconds: Option<u32>,
    /// What a node has to be like.
    pub constraints: Vec<Constraint>,
}

/// A demand on the attributes of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Which attribute.
    pub attribute: String,
    /// What of it.
    pub is: Demand,
    /// True: nodes that meet it come first, the others do too.
    #[serde(default)]
    pub is_soft: bool,
}

/// What an attribute has to be. A node without the attribute meets `NotIn` alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Demand {
    /// This value.
    Equals(String),
    /// One of these.
    In(#[serde(deserialize_with = "some")] Vec<String>),
    /// None of these.
    NotIn(Vec<String>),
    /// As few executions of the job type as possible on nodes with the same value.
    Spread,
}

/// A map in which every key stands once: of two, one would be lost without a word.
fn once<'de, D: Deserializer<'de>, K, V>(from: D) -> Result<BTreeMap<K, V>, D::Error>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    struct Once<K, V>(PhantomData<(K, V)>);

    impl<'de, K, V> Visitor<'de> for Once<K, V>
    where
        K: Deserialize<'de> + Ord + fmt::Display,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some(key) = entries.next_key::<K>()? {
                if found.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("`{key}` stands here twice")));
                }
                found.insert(key, entries.next_value()?);
            }
            Ok(found)
        }
    }

    from.deserialize_map(Once(PhantomData))
}

/// Values of which there is one at least: no node is one of none.
fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let values = Vec::<String>::deserialize(from)?;
    if values.is_empty() { Err(D::Error::custom("expected at least one value")) } else { Ok(values) }
}

impl Constraint {
    /// Whether a node with these attributes meets it. Whether executions are spread is no matter of
    /// one node.
    pub fn is_met(&self, attributes: &BTreeMap<String, String>) -> bool {
        let value = attributes.get(&self.attribute);
        match &self.is {
            Demand::Equals(wanted) => value == Some(wanted),
            Demand::In(wanted) => value.is_some_and(|value| wanted.contains(value)),
            Demand::NotIn(refused) => !value.is_some_and(|value| refused.contains(value)),
            Demand::Spread => true,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            score: Score::default(),
            reserving: Reserving::default(),
            starvation: Starvation::default(),
            hold_seconds: 86_400,
            is_strict: false,
            job_types: BTreeMap::new(),
            named: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Scale's: its score, and a reservation for each execution that fits nowhere, for one pass.
    pub fn scale() -> Self {
        Self::default().with_score(Score::Scale).with_reserving(Reserving::PerPass)
    }

    /// The same with another score.
    #[must_use]
    pub fn with_score(mut self, score: Score) -> Self {
        self.score = score;
        self
    }

    /// The same with another way to reserve.
    #[must_use]
    pub fn with_reserving(mut self, reserving: Reserving) -> Self {
        self.reserving = reserving;
        self
    }

    /// The same with another bound for being passed over.
    #[must_use]
    pub fn with_starvation(mut self, overtaken: u32, seconds: u32) -> Self {
        self.starvation = Starvation { overtaken, seconds };
        self
    }

    /// The same, strict or not.
    #[must_use]
    pub fn strict(mut self, is_strict: bool) -> Self {
        self.is_strict = is_strict;
        self
    }

    /// The same with what is different for a job type.
    #[must_use]
    pub fn with_job_type(mut self, job_type: JobTypeId, policy: TypePolicy) -> Self {
        self.job_types.insert(job_type, policy);
        self
    }

    /// Whether what runs on a node matters one by one, not only in sum.
    pub(crate) fn looks_at_each(&self) -> bool {
        self.reserving == Reserving::PerPass || !self.job_types.is_empty()
    }

    /// The bound for a job type.
    pub(super) fn starvation_of(&self, job_type: JobTypeId) -> Starvation {
        self.of(job_type).and_then(|own| own.starvation).unwrap_or(self.starvation)
    }

    /// What is different for a job type.
    pub(super) fn of(&self, job_type: JobTypeId) -> Option<&TypePolicy> {
        self.job_types.get(&job_type)
    }
}

impl TypePolicy {
    /// What an execution takes, as far as one can tell.
    pub(crate) fn estimate(&self) -> Option<Duration> {
        self.estimate_seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// With a score of its own.
    #[must_use]
    pub fn with_score(mut self, score: Score) -> Self {
        self.score = Some(score);
        self
    }

    /// With a bound of its own.
    #[must_use]
    pub fn with_starvation(mut self, overtaken: u32, seconds: u32) -> Self {
        self.starvation = Some(Starvation { overtaken, seconds });
        self
    }

    /// With so many seconds as what its executions take.
    #[must_use]
    pub fn with_estimate(mut self, seconds: u32) -> Self {
        self.estimate_seconds = Some(seconds);
        self
    }

    /// With one more demand on nodes.
    #[must_use]
    pub fn with_constraint(mut self, constraint: Constraint) -> Self {
        self.constraints.push(constraint);
        self
    }
}
