//! The bodies of the fuzz targets that look behind the public names, and what they start from.
//!
//! A target of `fuzz/` calls one of them; the tests here replay the corpora with the pinned compiler.
#![allow(unreachable_pub, reason = "the targets reach it where `fuzzing` is set")]

#[cfg(feature = "server")]
mod api_body;
mod batch;
mod manifest;
#[cfg(feature = "mesos")]
mod mesos;
#[cfg(feature = "server")]
mod message;
mod store;
#[cfg(feature = "server")]
mod time_param;
#[cfg(feature = "cli")]
mod workload;

#[cfg(test)]
mod replay;

#[cfg(feature = "server")]
pub use api_body::api_body;
pub use batch::batch_decode;
pub use manifest::manifest;
#[cfg(feature = "mesos")]
pub use mesos::{mesos_event, recordio};
#[cfg(feature = "server")]
pub use message::message;
pub use store::store_open;
#[cfg(fuzzing)]
pub use store::tell_panic;
#[cfg(feature = "server")]
pub use time_param::time_param;
#[cfg(feature = "cli")]
pub use workload::workload_file;
