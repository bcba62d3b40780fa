//! Which executions go to a node, and why the others wait.
//!
//! Core: no I/O, clock, lock or logging.

mod decide;
mod explain;
mod node_why;
mod pass;
mod place;
mod scale_rules;
mod waiting;
mod why;
mod why_text;

pub(crate) use decide::{decide, decide_on_slots, take_slots};
pub(crate) use explain::{Candidate, Sight, Switches, explain};
pub(crate) use node_why::node_why;
pub use node_why::{LaneWhy, NodeRuns, NodeVerdict, NodeWhy};
pub use pass::{
    Constraint, Demand, PassPick, PassSummary, Passed, Placing, Policy, Reservation, Reserving, RunningShare,
    Scheduler, SchedulingNode, Score, Starvation, TypePolicy,
};
pub(crate) use pass::{Kept, Pass};
pub use place::{Place, Placement};
pub use scale_rules::{
    INVALID_RESOURCES, ScaleDone, ScaleEntry, ScaleNode, ScaleReport, ScaleRules, ScaleType, UNKNOWN_JOB_TYPE,
};
pub(crate) use waiting::Tally;
pub use waiting::{WaitCounts, WaitReason};
pub use why::{Blocker, DemandMet, KeptNode, Shortage, WaitNode, Why};
