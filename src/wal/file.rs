//! The log's redb file: rows of batches under rising numbers.
//!
//! F1  Row numbers rise without a gap within what is kept.
//! F2  `append` returns after the sync, or with an error and then never appends again.
//! F3  The file appears under its name only once it is whole: who is killed while making it leaves
//!     none.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::model::StoreId;

const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// redb's page cache for the log: appends need few pages.
const CACHE_BYTES: usize = 32 << 20;

/// Why the log could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The storage refused.
    #[error("{action}: {cause}")]
    Storage {
        /// What was tried.
        action: &'static str,
        /// What the storage says.
        cause: String,
    },
    /// An earlier append failed, so what is on disk is unknown. Only opening the store again helps.
    #[error("an earlier write to the log failed; open the store again")]
    Poisoned,
}

fn storage<E: std::fmt::Display>(action: &'static str) -> impl FnOnce(E) -> LogError {
    move |cause| LogError::Storage { action, cause: cause.to_string() }
}

/// Makes the file at `path` where it is missing: `make` writes and syncs it under another name, then
/// it is renamed.
pub(crate) fn make_whole<E: From<io::Error>>(
    path: &Path,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if path.exists() {
        return Ok(());
    }
    let aside = path.with_extension("new");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    make(&aside)?;
    fs::rename(&aside, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    Ok(())
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        storage("make the log")(error)
    }
}

/// The open file.
pub(crate) struct LogFile {
    db: Database,
    next_row: u64,
}

impl LogFile {
    /// Opens the log at `path`; makes an empty one for `new_store` where there is none. Returns the
    /// id of the store it belongs to.
    pub(crate) fn open(path: &Path, new_store: StoreId) -> Result<(Self, StoreId), LogError> {
        let create = |path: &Path| {
            let db = Database::builder().set_cache_size(CACHE_BYTES).create(path);
            Self::with_database(db.map_err(storage("open the log"))?, new_store)
        };
        make_whole(path, |aside| create(aside).map(drop))?;
        create(path)
    }

    /// The same on a storage of the caller's making.
    #[cfg(test)]
    pub(crate) fn on_disk(
        disk: impl redb::StorageBackend,
        new_store: StoreId,
    ) -> Result<(Self, StoreId), LogError> {
        let db = Database::builder().create_with_backend(disk).map_err(storage("open the log"))?;
        Self::with_database(db, new_store)
    }

    fn with_database(db: Database, new_store: StoreId) -> Result<(Self, StoreId), LogError> {
        let txn = db.begin_write().map_err(storage("open the log"))?;
        let store = {
            let mut meta = txn.open_table(META).map_err(storage("open the log"))?;
            txn.open_table(ROWS).map_err(storage("open the log"))?;
            let known = meta.get("store").map_err(storage("read the log"))?.map(|id| id.value().to_vec());
            if let Some(id) = known {
                let id = id.try_into().map_err(|_| "its id has another length");
                StoreId(u128::from_le_bytes(id.map_err(storage("read the log"))?))
            } else {
                let id = new_store.0.to_le_bytes();
                meta.insert("store", id.as_slice()).map_err(storage("write the log"))?;
                new_store
            }
        };
        txn.commit().map_err(storage("write the log"))?;
        let mut file = Self { db, next_row: 0 };
        file.next_row = file.last_row()?.map_or(0, |row| row + 1);
        Ok((file, store))
    }

    fn last_row(&self) -> Result<Option<u64>, LogError> {
        let txn = self.db.begin_read().map_err(storage("read the log"))?;
        let rows = txn.open_table(ROWS).map_err(storage("read the log"))?;
        let last = rows.last().map_err(storage("read the log"))?;
        Ok(last.map(|(row, _)| row.value()))
    }

    /// Gives every row to `each`, in order, until it says no.
    pub(crate) fn for_each<E: From<LogError>>(
        &self,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let txn = self.db.begin_read().map_err(|error| storage("read the log")(error))?;
        let rows = txn.open_table(ROWS).map_err(|error| storage("read the log")(error))?;
        for row in rows.iter().map_err(|error| storage("read the log")(error))? {
            let (number, bytes) = row.map_err(|error| storage("read the log")(error))?;
            each(number.value(), bytes.value())?;
        }
        Ok(())
    }

    /// Appends rows in one transaction and syncs it.
    pub(crate) fn append(&mut self, rows: &[Vec<u8>]) -> Result<(), LogError> {
        let mut txn = self.db.begin_write().map_err(storage("write the log"))?;
        txn.set_durability(Durability::Immediate).map_err(storage("write the log"))?;
        {
            let mut table = txn.open_table(ROWS).map_err(storage("write the log"))?;
            for (row, number) in rows.iter().zip(self.next_row..) {
                table.insert(number, row.as_slice()).map_err(storage("write the log"))?;
            }
        }
        txn.commit().map_err(storage("sync the log"))?;
        self.next_row += rows.len() as u64;
        Ok(())
    }

    /// Removes all rows but the last one, which keeps the numbers rising. The state they led to
    /// must be durable elsewhere.
    pub(crate) fn trim(&mut self) -> Result<(), LogError> {
        let Some(last) = self.next_row.checked_sub(1) else { return Ok(()) };
        let txn = self.db.begin_write().map_err(storage("trim the log"))?;
        {
            let mut table = txn.open_table(ROWS).map_err(storage("trim the log"))?;
            table.retain_in(..last, |_, _| false).map_err(storage("trim the log"))?;
        }
        txn.commit().map_err(storage("trim the log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_half_made_is_made_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log.redb");
        fs::write(path.with_extension("new"), "half of a file").expect("writable");
        let (log, id) = LogFile::open(&path, StoreId(7)).expect("it is made");
        drop(log);
        assert_eq!((id, path.with_extension("new").exists()), (StoreId(7), false));
        let (_, again) = LogFile::open(&path, StoreId(8)).expect("it opens");
        assert_eq!(again, StoreId(7), "a whole file is kept");
    }
}
