//! Makes events durable on redb: group commit, and the evidence that it happened.
//!
//! Steps of one command, and who takes them:
//! 1. The owner of the core hands its events and effects over, under the core's lock (`append`).
//! 2. The writer takes everything gathered so far, seals it as rows and commits them.
//! 3. After the sync it releases the effects, each as a `Durable`.
//!
//! A crash before 2 ends loses the command, and nobody was told of it; a crash after it loses at
//! most effects, and whoever needs them asks again (idempotent submissions, reconciliation).

mod batch;
mod disk;
mod durable;
mod file;
mod writer;

#[cfg(any(test, fuzzing))]
pub(crate) use batch::Batch;
pub use batch::BatchError;
pub(crate) use batch::{FORMAT, ReadBatch};
pub(crate) use disk::{Directory, Disk, DiskFile, Held, Refusal};
pub use durable::Durable;
pub use file::LogError;
pub(crate) use file::{LogFile, META, ROWS};
pub(crate) use writer::Log;
