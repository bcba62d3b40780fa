//! For tests and fuzz targets only: builders of plain values, a disk that fails on order, one that keeps
//! every write, and the bodies of fuzz targets.

#[cfg(test)]
mod builders;
#[cfg(test)]
mod disk;
#[cfg(all(test, not(weighbridge_loom)))]
mod faulty;
pub mod fuzz;
mod traced;

#[cfg(all(test, feature = "server"))]
pub(crate) use builders::job;
#[cfg(test)]
pub(crate) use builders::job_state;
#[cfg(test)]
pub(crate) use disk::FailingDisk;
#[cfg(all(test, not(weighbridge_loom)))]
pub(crate) use faulty::FaultyDisk;
#[cfg(test)]
pub(crate) use traced::draw;
pub(crate) use traced::{Crashes, Op, Survives, TracedDisk};
