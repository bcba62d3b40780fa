//! The state, folded from events, and its form as rows for a snapshot.
//!
//! Core: no I/O, clock, lock or logging.

mod fold;
mod rows;

pub(crate) use fold::{Running, State};
pub(crate) use rows::Row;
