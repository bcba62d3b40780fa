//! A recipe's graph: which job waits for which, and what follows when one ends.
//!
//! Core: no I/O, clock, lock or logging. A finished job costs its children, not the graph.
#![allow(dead_code, unused_imports, reason = "the engine uses the graph, and takes up definitions next")]

mod batch;
mod connect;
mod definition;
#[cfg(test)]
mod definition_tests;
mod diff_document;
mod document;
mod evaluate;
mod filter;
mod graph;
mod progress;
#[cfg(test)]
mod progress_tests;
mod reprocess;
#[cfg(test)]
mod workflow_tests;

pub(crate) use batch::{BatchConfiguration, BatchDefinition, BatchDocumentError};
pub(crate) use connect::input_of;
pub(crate) use definition::{
    Connection, ConnectionError, Definition, DefinitionError, Lookup, Node, NodeKind, Warning,
    check_connection, interface_to_value, read_interface,
};
pub(crate) use diff_document::diff_to_value;
pub(crate) use evaluate::{Action, Kind, NodeState, Plan, evaluate};
pub(crate) use filter::{DataFilter, FileFacts, FilterError};
pub(crate) use graph::{Graph, find_cycle};
pub(crate) use progress::RecipeState;
pub(crate) use reprocess::{Change, Diff, DiffStatus, Fate, ForcedNodes, ForcedNodesError, NodeDiff, diff};
