//! For tests only: builders of plain values, and a disk that fails on order.

mod builders;
mod disk;
#[cfg(not(weighbridge_loom))]
mod faulty;
mod traced;

#[cfg(feature = "server")]
pub(crate) use builders::job;
pub(crate) use builders::job_state;
pub(crate) use disk::FailingDisk;
#[cfg(not(weighbridge_loom))]
pub(crate) use faulty::FaultyDisk;
pub(crate) use traced::{Crashes, Op, Survives, TracedDisk};
