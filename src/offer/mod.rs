//! What nodes have free, and what the engine remembers of them; and the nodes and offers of a
//! cluster, whose agents make several offers each and take them back.
//!
//! Core: no I/O, clock, lock or logging.

mod agent;
mod cluster;
#[cfg(test)]
mod cluster_tests;
mod gpus;
mod held;
mod nodes;
mod numbers;
mod pool;
#[cfg(test)]
mod pool_tests;
mod state;
mod sums;
mod watermark;

pub use agent::NodeTask;
pub use cluster::{
    AllocateError, Arrival, ClusterNode, ClusterNodes, GpuError, KnowError, LostAgent, NoNode, RunError,
};
pub use gpus::{GpuLack, GpuSlots, Slots};
pub use held::{DeclineReason, Declined, HeldOffer, NewOffer, RoleAmount, Roles};
pub(crate) use nodes::Nodes;
pub use nodes::{NodeView, Offer};
pub use numbers::{NodeNumbers, ResourceNumbers};
pub use pool::{OfferAdded, OfferPool, Uncovered};
pub use state::{NodeFacts, NodeNews, NodeState};
