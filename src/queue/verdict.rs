//! Why a lane did not move, computed when asked.

use serde::Serialize;

use super::lanes::Entry;
use crate::model::{ConstraintSetId, ExeId, JobTypeId, Quantity, ResourceName, TenantId};

/// What keeps the entries of one lane from a node with certain amounts free.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Its type is paused.
    Paused,
    /// Its type runs as often as it may.
    AtLimit {
        /// The limit.
        limit: u32,
        /// Launched executions and picks.
        n_taken: u32,
    },
    /// No entry fits: each asks for at least so much, and that is more than is free.
    Short(Vec<Lack>),
    /// No entry fits, although memory and disk would each suffice for some.
    ShortTogether,
    /// This one fits: it is the answer, or others come before it.
    Fits(ExeId),
}

/// How much of one resource is missing for every entry of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// Which resource.
    pub resource: ResourceName,
    /// The least that any entry asks for.
    pub asked: Quantity,
    /// What is missing.
    pub short: Quantity,
}

/// How things stand with one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneVerdict {
    /// The job type of its entries.
    pub job_type: JobTypeId,
    /// Whose they are.
    pub tenant: TenantId,
    /// Where they may go.
    pub constraints: ConstraintSetId,
    /// How many there are.
    pub n_queued: usize,
    /// The first of them.
    pub head: Entry,
    /// What keeps them.
    pub verdict: Verdict,
}
