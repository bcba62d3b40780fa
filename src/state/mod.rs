//! The state, folded from events: what is not over, what changed since the store was told, and how it
//! is put back.
//!
//! Core: no I/O, clock, lock or logging.

mod batches;
mod delta;
mod docs;
mod entries;
mod fold;
mod on_nodes;
mod paged;
mod recipes;
mod restore;
mod submissions;

pub(crate) use delta::{Changed, Delta, Kind, Totals};
pub(crate) use docs::SHOWN;
pub(crate) use fold::{Gone, Running, State, digest};
pub(crate) use paged::Paged;
pub(crate) use recipes::{Known, OpenRecipe, Types, data_of, part_of};
pub(crate) use restore::Restoring;
