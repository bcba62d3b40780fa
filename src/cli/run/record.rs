//! What a store of `run` says of itself: of which workload it is, and where results go.
//!
//! K1  `workload.json` is there only as a whole, and after `run.json`: both are written aside,
//!     synced and renamed, and the directory is synced, before the first job is submitted.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::workload::WORKLOAD_BYTES_MAX;

/// The workload's text, byte by byte.
const WORKLOAD_FILE: &str = "workload.json";

/// The [`Record`] itself.
const RUN_FILE: &str = "run.json";

/// Largest `run.json` that is read.
const RUN_BYTES_MAX: u64 = 64 << 10;

/// Which run a store belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The workload file, absolute: its globs are relative to its folder.
    pub(super) workload: PathBuf,
    /// Where its jobs put what they make.
    pub(super) out: PathBuf,
}

/// What was found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No run was begun in it.
    Nothing,
    /// The same text from the same place.
    Same(Record),
    /// A run of something else.
    Another(Record),
    /// The same file, which has another text by now.
    Changed(Record),
}

/// Looks into `store` for a run of the workload at `path` (absolute) with `text`.
pub(super) fn look(store: &Path, path: &Path, text: &[u8]) -> io::Result<Found> {
    let limit = WORKLOAD_BYTES_MAX as u64 + 1;
    let (Some(run), Some(old)) =
        (read(&store.join(RUN_FILE), RUN_BYTES_MAX)?, read(&store.join(WORKLOAD_FILE), limit)?)
    else {
        return Ok(Found::Nothing);
    };
    let record: Record = serde_json::from_slice(&run).map_err(io::Error::from)?;
    Ok(match (record.workload == path, old == text) {
        (true, true) => Found::Same(record),
        (true, false) => Found::Changed(record),
        (false, _) => Found::Another(record),
    })
}

/// Writes down that `store` belongs to this run.
pub(super) fn write(store: &Path, record: &Record, text: &[u8]) -> io::Result<()> {
    let json = serde_json::to_vec(record).map_err(io::Error::from)?;
    replace(store, RUN_FILE, &json)?;
    replace(store, WORKLOAD_FILE, text)?;
    File::open(store)?.sync_all()
}

fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn replace(store: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = store.join(format!("{name}.tmp"));
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(aside, store.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_knows_its_run_again() {
        let store = tempfile::tempdir().expect("a directory");
        let (here, there) = (Path::new("/a/w.json"), Path::new("/b/w.json"));
        let look = |path, text: &str| look(store.path(), path, text.as_bytes()).expect("readable");
        assert_eq!(look(here, "{}"), Found::Nothing);
        let record = Record { workload: here.to_owned(), out: "/a/out".into() };
        write(store.path(), &record, b"{}").expect("writable");
        assert_eq!(look(here, "{}"), Found::Same(record.clone()));
        assert_eq!(look(here, "{ }"), Found::Changed(record.clone()));
        assert_eq!(look(there, "{}"), Found::Another(record));
    }
}
