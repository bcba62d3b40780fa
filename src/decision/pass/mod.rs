//! The pass over all nodes: for each execution in the order of the queue the node that suits it
//! best, or a reservation.
//!
//! Core: no I/O, clock, lock or logging.

mod counting;
mod fleet;
mod kept;
mod machine;
mod need;
mod placer;
mod policy;
mod ranked;
mod rules;
mod run;
mod scheduler;
mod table;
#[cfg(test)]
mod tests;
mod watch;

pub use fleet::{RunningShare, SchedulingNode};
pub(crate) use kept::Kept;
pub use kept::Reservation;
pub use policy::{Constraint, Demand, Policy, Reserving, Score, Starvation, TypePolicy};
pub(crate) use run::Pass;
pub use run::{PassPick, PassSummary};
pub use scheduler::{Placing, Scheduler};
pub use watch::Passed;
