//! How a pass chooses: data, not code.

use serde::{Deserialize, Serialize};

/// Which node suits an execution best among those that can run it now. The lower score wins, of
/// equal ones the lower node id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    #[default]
    Never,
    /// A node that could take it once less important executions ended is closed to everything
    /// behind it for the rest of the pass: Scale's.
    PerPass,
}

/// How a pass chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Policy {
    /// Which node.
    pub score: Score,
    /// What becomes of an execution that fits nowhere now.
    pub reserving: Reserving,
}

impl Policy {
    /// Scale's: its score, and a reservation for each execution that fits nowhere, for one pass.
    pub const fn scale() -> Self {
        Self { score: Score::Scale, reserving: Reserving::PerPass }
    }

    /// The same with another score.
    #[must_use]
    pub const fn with_score(mut self, score: Score) -> Self {
        self.score = score;
        self
    }

    /// The same with another way to reserve.
    #[must_use]
    pub const fn with_reserving(mut self, reserving: Reserving) -> Self {
        self.reserving = reserving;
        self
    }
}
