//! The pass over all nodes: for each execution in the order of the queue the node that suits it
//! best, or a reservation.
//!
//! Core: no I/O, clock, lock or logging.

mod counting;
mod fleet;
mod machine;
mod need;
mod placer;
mod policy;
mod ranked;
mod scheduler;
mod table;
#[cfg(test)]
mod tests;

pub use fleet::{RunningShare, SchedulingNode};
pub use policy::{Policy, Reserving, Score};
pub use scheduler::{PassPick, PassSummary, Placing, Scheduler};
