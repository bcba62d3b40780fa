//! From files to a state: the snapshot, then what the log holds after it.
//!
//! V1  The state handed out is the fold of every event that was ever acknowledged, or nothing is
//!     handed out.
//! V2  Opening changes nothing but what it says: the snapshot is brought up to the log, then the
//!     log is trimmed.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use super::directory::{StoreFiles, StoreLock};
use super::snapshot::SnapshotFile;
use crate::model::{EventNumber, StoreId};
use crate::state::State;
use crate::wal::{BatchError, FORMAT, LogError, LogFile, ReadBatch};

/// Why a store does not open. It is left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store {} is in use{}", directory.display(), owner_text(*owner))]
    Locked {
        /// Which store.
        directory: PathBuf,
        /// The process that has it, where it can be told.
        owner: Option<u32>,
    },
    /// The file system refused.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The storage refused.
    #[error("could not {action} {file}: {cause}")]
    Storage {
        /// Which file.
        file: &'static str,
        /// What was tried.
        action: &'static str,
        /// What the storage says.
        cause: String,
    },
    /// The log refused.
    #[error("log.redb: {0}")]
    Log(#[from] LogError),
    /// A file holds something else than what was written.
    #[error("{file} is damaged at {place}: {cause}; restore it from a copy")]
    Damaged {
        /// Which file.
        file: &'static str,
        /// Where in it.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// Log and state are of two stores.
    #[error("log.redb and state.redb belong to different stores")]
    Mixed,
    /// Written by another version.
    #[error("{file} has format {found}, this version reads {known}; use the version that wrote it")]
    Format {
        /// Which file.
        file: &'static str,
        /// The format it names.
        found: u16,
        /// The format this version reads.
        known: u16,
    },
    /// No thread for the log writer.
    #[error("could not start the log writer: {0}")]
    Thread(std::io::Error),
}

fn owner_text(owner: Option<u32>) -> String {
    owner.map(|pid| format!(" by process {pid}")).unwrap_or_default()
}

/// A store that is open.
pub(crate) struct Opened {
    pub(crate) lock: StoreLock,
    pub(crate) id: StoreId,
    pub(crate) state: State,
    pub(crate) log: LogFile,
    pub(crate) snapshot: SnapshotFile,
    /// Events read from the log after the snapshot.
    pub(crate) n_replayed: u64,
}

/// Opens the store, or makes it under the id `new_store`.
pub(crate) fn open(files: &StoreFiles, new_store: StoreId) -> Result<Opened, OpenError> {
    let lock = StoreLock::take(files)?;
    // The storage library panics on pages that are not what it wrote. Nothing it held survives
    // such a panic here, so it is an error like any other damage.
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| open_files(files, new_store, lock)));
    opened.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
        let cause = format!("the storage gave up on it ({text})");
        Err(OpenError::Damaged {
            file: "log.redb or state.redb",
            place: "one of its pages".to_owned(),
            cause,
        })
    })
}

fn open_files(files: &StoreFiles, new_store: StoreId, lock: StoreLock) -> Result<Opened, OpenError> {
    if files.state().exists() && !files.log().exists() {
        let cause = "it is missing, and state.redb is there".to_owned();
        return Err(OpenError::Damaged { file: "log.redb", place: "its start".to_owned(), cause });
    }
    let (mut log, id) = LogFile::open(&files.log(), new_store)?;
    let snapshot = SnapshotFile::open(&files.state())?;
    let mut state = snapshot.read(id)?;
    let n_replayed = replay(&log, id, &mut state)?;
    if n_replayed > 0 {
        snapshot.write(&state, id)?;
        log.trim()?;
    }
    Ok(Opened { lock, id, state, log, snapshot, n_replayed })
}

fn replay(log: &LogFile, id: StoreId, state: &mut State) -> Result<u64, OpenError> {
    let mut n_replayed = 0;
    log.for_each(|row, bytes| {
        let damaged =
            |cause: String| OpenError::Damaged { file: "log.redb", place: format!("row {row}"), cause };
        let batch = ReadBatch::read(bytes, id).map_err(|error| match error {
            BatchError::Format { found } => OpenError::Format { file: "log.redb", found, known: FORMAT },
            BatchError::Store(_) => OpenError::Mixed,
            other => damaged(other.to_string()),
        })?;
        if batch.last <= state.last_event {
            return Ok(());
        }
        let next = EventNumber(state.last_event.0 + 1);
        if batch.first != next {
            return Err(damaged(format!("it begins with event {}, expected was {next}", batch.first)));
        }
        for event in &batch.events {
            state.apply(event);
        }
        n_replayed += batch.events.len() as u64;
        if state.hash != batch.state_hash {
            return Err(damaged(format!("its events give another state than in epoch {}", batch.epoch)));
        }
        Ok(())
    })?;
    Ok(n_replayed)
}
