//! The store: a directory with a lock, the log and the folded state.
//!
//! `docs/store.md` describes the files byte by byte, and what each fault promises.

mod directory;
mod recovery;
mod snapshot;

pub use directory::StoreFiles;
pub(crate) use directory::StoreLock;
pub use recovery::OpenError;
pub(crate) use recovery::{Opened, open};
pub(crate) use snapshot::SnapshotFile;
