//! The store: a directory with a lock, the log and the folded state.
//!
//! `docs/store.md` describes the files byte by byte, and what each fault promises.

mod check;
mod checkpoint;
mod codec;
mod directory;
mod docs;
mod faults;
mod file;
mod glance;
mod index;
mod inspect;
mod list;
#[cfg(test)]
#[cfg(not(weighbridge_loom))]
mod list_tests;
mod look;
mod progress;
mod recent;
mod recovery;
mod retention;
mod segment;
mod skim;
mod survey;
mod tables;
mod untouched;

pub use check::{CheckProgress, CheckReport, check};
pub use directory::StoreFiles;
pub(crate) use directory::StoreLock;
pub use faults::{FaultKind, StoreFault, StoreFaults};
pub use inspect::{
    FileInspection, Inspection, LogInspection, Opens, SegmentsInspection, StateInspection, StateTotals,
    inspect,
};
pub use list::ListError;
pub use progress::{Recovery, RecoveryPhase};
pub use recovery::OpenError;
#[cfg(any(test, fuzzing))]
pub(crate) use recovery::open_on;
pub(crate) use recovery::{Opened, open};
pub use retention::Retention;
pub use survey::{Gap, LogRows, LookError};
pub use tables::Checkpoints;
pub(crate) use tables::{Facts, Tables};
