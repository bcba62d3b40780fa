//! Nodes as far as offers and declarations tell. In memory only: after a restart nodes are seen
//! again.
//!
//! N1  `total` of a node is what was declared last, or more where it offered more since, with what ran there.

use std::collections::BTreeMap;

use crate::limits::NODES_MAX;
use crate::model::{NodeId, NodeResources, Timestamp};

/// What one node has free at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which node.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// What is free, net of everything that runs there.
    pub free: NodeResources,
    /// What the node is like, by name.
    pub attributes: BTreeMap<String, String>,
    /// How many graphics processors the node has in all, where each execution is to be told which are its own:
    /// as slots, numbered from 0. With 0 they are an amount like any other.
    pub gpu_slots: usize,
}

impl Offer {
    /// An offer of `free` on `node`, under the name `node-<id>`.
    pub fn new(node: NodeId, free: NodeResources) -> Self {
        Self { node, name: format!("node-{node}"), free, attributes: BTreeMap::new(), gpu_slots: 0 }
    }

    /// Adds an attribute of the node.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Says that the graphics processors of the node are slots, and how many it has in all: `n`, at most
    /// [`GPU_SLOTS_MAX`](crate::limits). Whoever asks for 2 gets two whole ones, whoever asks for 0.25 a share of
    /// one. What ran there before that was said counts as an amount only.
    #[must_use]
    pub fn gpu_slots(mut self, n: usize) -> Self {
        self.gpu_slots = n;
        self
    }

    /// Sets the node's name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

/// A node as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Which.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// The most it ever had, by resource.
    pub total: NodeResources,
    /// What the last offer left.
    pub free: NodeResources,
    /// When it was last offered or declared.
    pub seen: Timestamp,
    /// What it is like, by name.
    pub attributes: BTreeMap<String, String>,
    /// Whether it was declared: what it has free follows from what runs there.
    pub is_declared: bool,
}

/// All nodes, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nodes(BTreeMap<NodeId, NodeView>);

fn larger(a: &NodeResources, b: &NodeResources) -> NodeResources {
    b.iter().fold(a.clone(), |set, (name, amount)| {
        let most = set.get(name.as_str()).max(amount);
        set.clone().with(name.as_str(), most).unwrap_or(set)
    })
}

impl Nodes {
    /// Takes note of what a node offers. At `NODES_MAX` nodes further ones are not remembered; they
    /// are decided on all the same.
    pub(crate) fn offered(&mut self, offer: &Offer, when: Timestamp) {
        if let Some(node) = self.0.get_mut(&offer.node) {
            if !node.total.shortage(&offer.free).is_zero() {
                node.total = larger(&node.total, &offer.free);
            }
            if node.name != offer.name {
                node.name.clone_from(&offer.name);
            }
            node.free.clone_from(&offer.free);
            node.seen = when;
            if node.attributes != offer.attributes {
                node.attributes.clone_from(&offer.attributes);
            }
        } else {
            self.insert(offer, when, false);
        }
    }

    /// Takes note of what a node has in all, more or less than before.
    pub(crate) fn declared(&mut self, offer: &Offer, when: Timestamp) {
        self.insert(offer, when, true);
    }

    fn insert(&mut self, offer: &Offer, when: Timestamp, is_declared: bool) {
        if self.0.len() < NODES_MAX || self.0.contains_key(&offer.node) {
            let Offer { node: id, name, free, attributes, gpu_slots: _ } = offer.clone();
            let total = free.clone();
            self.0.insert(id, NodeView { id, name, total, free, seen: when, attributes, is_declared });
        }
    }

    /// Takes note that a node has at least that in all.
    pub(crate) fn has(&mut self, node: NodeId, at_least: &NodeResources) {
        if let Some(node) = self.0.get_mut(&node) {
            node.total = larger(&node.total, at_least);
        }
    }

    /// Takes note of what a node has in all, where it was seen.
    pub(crate) fn has_in_all(&mut self, node: NodeId, total: &NodeResources) {
        if let Some(node) = self.0.get_mut(&node) {
            node.total.clone_from(total);
        }
    }

    /// What a node has left.
    pub(crate) fn set_free(&mut self, node: NodeId, free: NodeResources, when: Timestamp) {
        if let Some(node) = self.0.get_mut(&node) {
            (node.free, node.seen) = (free, when);
        }
    }

    /// A machine is gone. One that was declared stays: it is there until it is declared anew.
    pub(crate) fn forget(&mut self, node: NodeId) {
        if self.0.get(&node).is_some_and(|node| !node.is_declared) {
            self.0.remove(&node);
        }
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&NodeView> {
        self.0.get(&node)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &NodeView> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> NodeResources {
        text.parse().expect("resources")
    }

    #[test]
    fn the_total_is_the_most_ever_seen() {
        let mut nodes = Nodes::default();
        for free in ["cpus:2,mem:100", "cpus:1,mem:200,gpus:1"] {
            let offer = Offer::new(NodeId(1), set(free));
            nodes.offered(&offer, Timestamp(1));
        }
        let node = nodes.get(NodeId(1)).expect("seen");
        assert_eq!(node.total, set("cpus:2,mem:200,gpus:1"));
        assert_eq!(node.free, set("cpus:1,mem:200,gpus:1"));
        nodes.declared(&Offer::new(NodeId(1), set("cpus:1")), Timestamp(2));
        assert_eq!(nodes.get(NodeId(1)).expect("seen").total, set("cpus:1"), "a declaration counts as it is");
    }

    #[test]
    fn of_machines_that_are_gone_only_those_that_were_declared_stay() {
        let mut nodes = Nodes::default();
        nodes.offered(&Offer::new(NodeId(1), set("cpus:2")), Timestamp(1));
        nodes.declared(&Offer::new(NodeId(2), set("cpus:2")), Timestamp(1));
        for id in 1..=3 {
            nodes.forget(NodeId(id));
        }
        assert_eq!(nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [NodeId(2)]);
    }
}
