//! Holds what waits for a node, in lanes, in an order that can be searched for "the first that
//! fits" without walking past what does not.
//!
//! Core: no I/O, clock, lock or logging.

mod amounts;
mod deferred;
mod error;
mod failed;
mod glance;
mod inner;
mod key;
mod lane;
mod lanes;
mod leaf;
mod nodes;
mod open;
mod places;
mod pool;
mod records;
mod skyline;
mod units;
mod verdict;

pub use amounts::Amounts;
pub use error::InsertError;
pub(crate) use key::SortKey;
pub(crate) use lanes::Walk;
pub use lanes::{Entry, Position, PositionSearch, Queue, TypeStatus};
pub use verdict::{Lack, LaneVerdict, Verdict};
