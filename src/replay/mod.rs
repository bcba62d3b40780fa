//! Real traces through the real engine, on a simulated cluster and in virtual time: what was asked for
//! when, and how long it ran, comes from the trace; what runs where is decided here and now.
//!
//! V1  The same trace, setup and seed give the same decisions: nothing here reads a clock but to tell how
//!     long decisions took.
//! V2  No node is given more than it has, and at the end every node has all of it back.

mod alibaba;
mod cluster;
mod lines;
mod numbers;
mod plot;
mod report;
mod round;
mod run;
mod series;
mod swf;
mod trace;

pub(crate) use cluster::{Cluster, ClusterError, NodeGroup, machine_file};
pub(crate) use plot::plot;
pub(crate) use report::{Report, Slowdown, Told};
pub(crate) use round::{Offers, Passes, Round};
pub(crate) use run::{Progress, ReplayError, Setup, VirtualClock, options, run};
pub(crate) use trace::{By, Format, Reading, Trace, TraceError, read};
