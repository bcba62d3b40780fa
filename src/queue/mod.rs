//! Holds what waits for a node, in lanes, in an order that can be searched for "the first that
//! fits" without walking past what does not.
//!
//! Core: no I/O, clock, lock or logging.

mod amounts;
mod lane;
mod lanes;

pub(crate) use amounts::Amounts;
pub(crate) use lanes::{Entry, Queue};
