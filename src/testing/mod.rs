//! For tests only: builders of plain values, and a disk that fails on order.

mod builders;
mod disk;
mod traced;

#[cfg(feature = "server")]
pub(crate) use builders::job;
pub(crate) use builders::job_state;
pub(crate) use disk::FailingDisk;
pub(crate) use traced::{Crashes, Op, Survives, TracedDisk};
