//! What nodes have free, and what the engine remembers of them.
//!
//! Core: no I/O, clock, lock or logging.

mod nodes;

pub(crate) use nodes::Nodes;
pub use nodes::{NodeView, Offer};
