//! Which executions go to a node, and why the others wait.
//!
//! Core: no I/O, clock, lock or logging.

mod decide;
mod explain;

pub(crate) use decide::decide;
pub(crate) use explain::explain;
pub use explain::{Blocker, Shortage, Why};
