//! A recipe's graph: which job waits for which, and what follows when one ends.
//!
//! Core: no I/O, clock, lock or logging. A finished job costs its children, not the graph.

#![cfg_attr(
    not(feature = "server"),
    allow(dead_code, reason = "definitions are told and compared over REST")
)]

mod batch;
mod connect;
mod definition;
#[cfg(test)]
mod definition_tests;
#[cfg(feature = "server")]
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
#[cfg(feature = "server")]
pub(crate) use definition::DefinitionError;
pub(crate) use definition::{
    Connection, Definition, Lookup, NodeKind, Size, check_connection, read_interface,
};
#[cfg(feature = "server")]
pub(crate) use diff_document::diff_to_value;
pub(crate) use evaluate::{Action, NodeState, Plan};
#[cfg(test)]
use evaluate::{Kind, evaluate};
#[cfg(test)]
use filter::DataFilter;
pub(crate) use filter::FileFacts;
pub(crate) use graph::{Graph, find_cycle};
pub(crate) use progress::RecipeState;
pub(crate) use reprocess::{Fate, ForcedNodes, ForcedNodesError, diff};
