//! Makes events durable on redb: group commit, and the evidence that it happened.

mod durable;

pub use durable::Durable;
