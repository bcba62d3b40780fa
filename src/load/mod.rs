//! How many jobs of each type are where: counters kept at every transition, and their history.
//!
//! Core: no I/O, clock, lock or logging.

mod counters;
mod history;

pub(crate) use counters::Counters;
pub use counters::StatusCounts;
pub use history::LoadRow;
pub(crate) use history::{History, is_due};
