//! Holds what waits for a node, in lanes, in an order that can be searched for "the first that
//! fits" without walking past what does not.
//!
//! Core: no I/O, clock, lock or logging.

mod amounts;
mod failed;
mod key;
mod lane;
mod lanes;
mod open;
mod places;
mod units;

pub use amounts::Amounts;
pub use lanes::{Entry, Queue, TypeStatus};
