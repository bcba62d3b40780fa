//! The scheduler core that a Mesos-style framework loop calls for every resource offer.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod launch;
mod model;
mod sync;
mod wal;
#[cfg(feature = "server")]
mod workload;

pub use clock::{Clock, SystemClock};
pub use launch::*;
pub use model::*;
pub use wal::Durable;
#[cfg(feature = "server")]
pub use workload::*;
