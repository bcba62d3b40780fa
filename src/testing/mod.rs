//! For tests only: builders of plain values, and a disk that fails on order.

mod builders;
mod disk;

#[cfg(feature = "server")]
pub(crate) use builders::job;
pub(crate) use builders::job_state;
pub(crate) use disk::FailingDisk;
