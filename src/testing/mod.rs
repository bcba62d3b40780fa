//! For tests only: builders of plain values, and a disk that fails on order.

mod builders;
mod disk;

pub(crate) use builders::job;
pub(crate) use disk::FailingDisk;
