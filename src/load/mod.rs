//! How many jobs of each type are where: counters kept at every transition, and their history.
//!
//! Core: no I/O, clock, lock or logging.

mod counters;
mod history;
mod look;
mod schedule;

pub(crate) use counters::Counters;
pub use counters::StatusCounts;
pub use history::LoadRow;
pub(crate) use history::{History, LoadChange};
pub(crate) use look::LoadTypes;
pub use look::{JobLoadGroup, LoadColumn, LoadFilter, LoadHistory, LoadOrder, LoadOrderError, group_by_time};
pub use schedule::LoadRetention;
pub(crate) use schedule::{Thinned, is_due};
