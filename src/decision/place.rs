//! The one question between a queue step and the code that knows the nodes: where does this go?

use crate::model::{NodeId, NodeResources};

/// Where an entry goes. Of two scores the lower is the better: less that is of use to others is
/// left on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It runs there; its resources are taken from the node's by now.
    Run {
        /// On which node.
        node: NodeId,
        /// How many job types still fit there beside it.
        score: u32,
    },
    /// It cannot run now. The node is kept for it, and takes nothing else in this pass.
    Reserve {
        /// Which node.
        node: NodeId,
        /// How many job types would fit there beside it.
        score: u32,
    },
    /// No node can take it, now or when what is less important has ended.
    Nowhere,
}

/// Places entries one by one over the nodes of one pass.
pub trait Place {
    /// Places what asks for `asks` and has `priority` (the lower number is the more important), and
    /// remembers it: what comes later sees a node without what was taken from it.
    ///
    /// The standard names count whether `asks` has them or not; other names only where it has them.
    fn place(&mut self, asks: &NodeResources, priority: i32) -> Placement;
}
