//! The store: a directory with a lock, the log and the folded state.
//!
//! `docs/store.md` describes the files byte by byte, and what each fault promises.

mod checkpoint;
mod codec;
mod directory;
mod file;
mod index;
mod recent;
mod recovery;
mod segment;
mod tables;

pub use directory::StoreFiles;
pub(crate) use directory::StoreLock;
pub use recovery::OpenError;
#[cfg(test)]
pub(crate) use recovery::open_on;
pub(crate) use recovery::{Opened, open};
pub use tables::Checkpoints;
pub(crate) use tables::{Facts, Tables};
