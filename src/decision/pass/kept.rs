//! Nodes that are kept for executions over passes.
//!
//! E1  An execution keeps at most one node, and a node is kept for at most one.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{ExeId, NodeId, Timestamp};

/// A node that is kept for an execution: nothing else starts there, but what ends before it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reservation {
    /// For which execution.
    pub exe: ExeId,
    /// Which node.
    pub node: NodeId,
    /// Since when.
    pub since: Timestamp,
    /// When the execution can start there, as far as one can tell.
    pub starts: Option<Timestamp>,
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    by_node: BTreeMap<NodeId, Reservation>,
    node_of: BTreeMap<ExeId, NodeId>,
    n_changes: u64,
}

impl Kept {
    pub(super) fn keep(&mut self, reservation: Reservation) {
        self.n_changes += 1;
        self.by_node.insert(reservation.node, reservation);
        self.node_of.insert(reservation.exe, reservation.node);
    }

    pub(super) fn release(&mut self, exe: ExeId) -> Option<Reservation> {
        let node = self.node_of.remove(&exe)?;
        self.n_changes += 1;
        self.by_node.remove(&node)
    }

    /// How often one came or went.
    pub(crate) fn n_changes(&self) -> u64 {
        self.n_changes
    }

    pub(crate) fn of(&self, exe: ExeId) -> Option<&Reservation> {
        self.by_node.get(self.node_of.get(&exe)?)
    }

    pub(crate) fn on(&self, node: NodeId) -> Option<&Reservation> {
        self.by_node.get(&node)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Reservation> {
        self.by_node.values()
    }

    pub(super) fn set_starts(&mut self, exe: ExeId, starts: Option<Timestamp>) {
        if let Some(kept) = self.node_of.get(&exe).and_then(|node| self.by_node.get_mut(node)) {
            kept.starts = starts;
        }
    }
}
