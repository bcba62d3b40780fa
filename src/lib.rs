//! The scheduler core that a Mesos-style framework loop calls for every resource offer.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod driver;
mod launch;
mod model;
mod sync;
mod wal;

pub use clock::{Clock, SystemClock};
#[cfg(feature = "local")]
pub use driver::{
    LocalDriver, LocalOptions, MachineError, RESULT_FILE, SupervisorCommand, SupervisorError,
    SupervisorOptions, machine_resources, run_supervisor,
};
pub use launch::*;
pub use model::*;
pub use wal::Durable;
