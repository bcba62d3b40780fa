//! A recipe's graph: which job waits for which, and what follows when one ends.
//!
//! Core: no I/O, clock, lock or logging. A finished job costs its children, not the graph.

mod flow;
mod graph;

pub(crate) use graph::{Graph, find_cycle};
