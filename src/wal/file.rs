//! The log's redb file: rows of batches under rising numbers, of which the oldest go as they are
//! covered by the state file, so that the file stops growing.
//!
//! F1  Row numbers rise without a gap within what is kept; the newest row is always kept.
//! F2  `append` returns after the sync, or with an error; then only `resume` leads on.
//! F3  A row goes only when all its events are covered.

use std::collections::VecDeque;
use std::sync::Arc;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::batch::last_event;
use super::disk::{Disk, DiskFile, Held, Refusal};
use crate::limits::EVENT_BYTES_MAX;
use crate::model::{EventNumber, StoreId};

pub(crate) const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
pub(crate) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// redb's page cache for the log: appends need few pages.
const CACHE_BYTES: usize = 32 << 20;

/// Covered rows that one append removes at most, beside twice as many as it adds.
const REMOVED_MIN: usize = 4;

/// Why the log could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// There is no room on its disk. What was to be written is kept in memory and written when there is.
    #[error("{action}: the disk is full ({cause}); make room")]
    Full {
        /// What was tried.
        action: &'static str,
        /// What the storage says.
        cause: String,
    },
    /// The storage refused.
    #[error("{action}: {cause}")]
    Storage {
        /// What was tried.
        action: &'static str,
        /// What the storage says.
        cause: String,
    },
    /// An event is longer than what is read back. It was not written, nor what came with it or after it.
    #[error("an event of {bytes} bytes could not be read back, at most {EVENT_BYTES_MAX} are written")]
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// An earlier append failed, so what is on disk is unknown. Only opening the store again helps.
    #[error("an earlier write to the log failed; open the store again")]
    Poisoned,
}

fn refused(action: &'static str) -> impl FnOnce(Refusal) -> LogError {
    move |Refusal { is_full, cause }| {
        if is_full { LogError::Full { action, cause } } else { LogError::Storage { action, cause } }
    }
}

fn storage<E: Into<redb::Error>>(action: &'static str) -> impl FnOnce(E) -> LogError {
    move |error| refused(action)(Refusal::of(error))
}

fn damaged(cause: &str) -> LogError {
    LogError::Storage { action: "read the log", cause: cause.to_owned() }
}

/// A row to append: its last event, and its bytes.
pub(crate) type Row = (EventNumber, Vec<u8>);

/// The open file.
pub(crate) struct LogFile {
    disk: Arc<dyn Disk>,
    /// None after an error.
    db: Option<Held>,
    store: StoreId,
    next_row: u64,
    /// The last event of each row that is kept.
    kept: VecDeque<EventNumber>,
}

impl LogFile {
    /// Opens the log; makes an empty one for `new_store` where there is none. Returns the id of the
    /// store it belongs to.
    pub(crate) fn open(disk: &Arc<dyn Disk>, new_store: StoreId) -> Result<(Self, StoreId), LogError> {
        let db = Held::new(disk.open(DiskFile::Log, CACHE_BYTES).map_err(refused("open the log"))?);
        let store = Self::identify(&db, new_store)?;
        let mut file = Self { disk: disk.clone(), db: Some(db), store, next_row: 0, kept: VecDeque::new() };
        let mut last = None;
        let mut kept = VecDeque::new();
        file.for_each(|row, bytes| {
            if last.is_some_and(|last| row != last + 1) {
                return Err(damaged("rows are missing"));
            }
            last = Some(row);
            // A row too short for a header is refused when it is read.
            kept.push_back(last_event(bytes).unwrap_or_default());
            Ok(())
        })?;
        file.next_row = last.map_or(0, |last| last + 1);
        file.kept = kept;
        Ok((file, store))
    }

    fn identify(db: &Database, new_store: StoreId) -> Result<StoreId, LogError> {
        let known = {
            let txn = db.begin_read().map_err(storage("read the log"))?;
            match txn.open_table(META) {
                Ok(meta) => {
                    let id = meta.get("store").map_err(storage("read the log"))?;
                    id.map(|id| id.value().to_vec())
                }
                Err(redb::TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(storage("read the log")(error)),
            }
        };
        if let Some(id) = known {
            let id = id.try_into().map_err(|_| damaged("its id has another length"))?;
            return Ok(StoreId(u128::from_le_bytes(id)));
        }
        let txn = db.begin_write().map_err(storage("open the log"))?;
        {
            let mut meta = txn.open_table(META).map_err(storage("open the log"))?;
            txn.open_table(ROWS).map_err(storage("open the log"))?;
            let id = new_store.0.to_le_bytes();
            meta.insert("store", id.as_slice()).map_err(storage("write the log"))?;
        }
        txn.commit().map_err(storage("write the log"))?;
        Ok(new_store)
    }

    /// What was read of it is right, so that it is closed when it is dropped.
    pub(crate) fn trust(&self) {
        if let Some(db) = &self.db {
            db.trust(true);
        }
    }

    /// Leaves it as it is when it is dropped.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn distrust(&self) {
        if let Some(db) = &self.db {
            db.trust(false);
        }
    }

    fn db(&self) -> Result<&Database, LogError> {
        self.db.as_deref().ok_or(LogError::Poisoned)
    }

    /// How many rows it holds.
    pub(crate) fn n_rows(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Gives every row to `each`, in order, until it says no.
    pub(crate) fn for_each<E: From<LogError>>(
        &self,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let txn = self.db()?.begin_read().map_err(|error| storage("read the log")(error))?;
        let rows = txn.open_table(ROWS).map_err(|error| storage("read the log")(error))?;
        for row in rows.iter().map_err(|error| storage("read the log")(error))? {
            let (number, bytes) = row.map_err(|error| storage("read the log")(error))?;
            each(number.value(), bytes.value())?;
        }
        Ok(())
    }

    /// How many of the oldest rows may go.
    fn n_covered(&self, covered: EventNumber, most: usize) -> usize {
        let n_old = self.kept.len().saturating_sub(1).min(most);
        self.kept.iter().take(n_old).take_while(|last| **last <= covered).count()
    }

    /// Appends rows in one transaction and syncs it. Some of the rows that are covered go.
    pub(crate) fn append(&mut self, rows: &[Row], covered: EventNumber) -> Result<(), LogError> {
        let n_removed = self.n_covered(covered, REMOVED_MIN + 2 * rows.len());
        let written = self.write(rows, n_removed);
        if written.is_err() {
            // What it holds is not known any more.
            self.db = None;
        }
        written
    }

    fn write(&mut self, rows: &[Row], n_removed: usize) -> Result<(), LogError> {
        let oldest = self.next_row - self.kept.len() as u64;
        let mut txn = self.db()?.begin_write().map_err(storage("write the log"))?;
        txn.set_durability(Durability::Immediate).map_err(storage("write the log"))?;
        {
            let mut table = txn.open_table(ROWS).map_err(storage("write the log"))?;
            for row in oldest..oldest + n_removed as u64 {
                table.remove(row).map_err(storage("write the log"))?;
            }
            for ((_, bytes), number) in rows.iter().zip(self.next_row..) {
                table.insert(number, bytes.as_slice()).map_err(storage("write the log"))?;
            }
        }
        txn.commit().map_err(storage("sync the log"))?;
        self.took(rows, n_removed);
        Ok(())
    }

    fn took(&mut self, rows: &[Row], n_removed: usize) {
        self.next_row += rows.len() as u64;
        self.kept.drain(..n_removed);
        self.kept.extend(rows.iter().map(|(last, _)| *last));
    }

    /// Opens the file again after `append` of `rows` failed for want of room, and appends them where
    /// they are not there. [`LogError::Full`] while there still is no room.
    pub(crate) fn resume(&mut self, rows: &[Row], covered: EventNumber) -> Result<(), LogError> {
        let before = self.next_row;
        let (again, _) = Self::open(&self.disk.clone(), StoreId(0))?;
        again.trust();
        let grown = again.next_row.checked_sub(before);
        (self.db, self.kept) = (again.db, again.kept);
        if grown == Some(0) {
            return self.append(rows, covered);
        }
        // Seen again where the sync below fails for want of room too.
        self.next_row = before;
        // Its sync failed after all of it had reached the disk.
        let mut are_same = grown == Some(rows.len() as u64);
        self.for_each(|number, bytes| {
            if let Some(at) = number.checked_sub(before) {
                let row = usize::try_from(at).ok().and_then(|at| rows.get(at));
                are_same &= row.is_some_and(|(_, row)| row == bytes);
            }
            Ok::<_, LogError>(())
        })?;
        if !are_same {
            self.db = None;
            return Err(damaged("it holds something else than what was written"));
        }
        // Whether it was synced is not known: the sync of another transaction covers it.
        self.sync()?;
        self.next_row += rows.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), LogError> {
        let txn = self.db()?.begin_write().map_err(storage("write the log"))?;
        let store = self.store.0.to_le_bytes();
        {
            let mut meta = txn.open_table(META).map_err(storage("write the log"))?;
            meta.insert("store", store.as_slice()).map_err(storage("write the log"))?;
        }
        let synced = txn.commit().map_err(storage("sync the log"));
        if synced.is_err() {
            self.db = None;
        }
        synced
    }

    /// Removes all rows that are covered.
    pub(crate) fn trim(&mut self, covered: EventNumber) -> Result<(), LogError> {
        let n_removed = self.n_covered(covered, usize::MAX);
        if n_removed == 0 { Ok(()) } else { self.write(&[], n_removed) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::Directory;
    use super::*;

    #[test]
    fn what_was_left_half_made_is_made_anew() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log.redb");
        std::fs::write(path.with_extension("new"), "half of a file").expect("writable");
        let disk: Arc<dyn Disk> = Arc::new(Directory::new(directory.path()));
        let (log, id) = LogFile::open(&disk, StoreId(7)).expect("it is made");
        drop(log);
        assert_eq!((id, path.with_extension("new").exists()), (StoreId(7), false));
        let (_, again) = LogFile::open(&disk, StoreId(8)).expect("it opens");
        assert_eq!(again, StoreId(7), "a whole file is kept");
    }

    #[test]
    fn covered_rows_go_a_few_at_a_time_and_the_newest_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let disk: Arc<dyn Disk> = Arc::new(Directory::new(directory.path()));
        let (mut log, _) = LogFile::open(&disk, StoreId(7)).expect("it is made");
        let row = |n: u64| (EventNumber(n), vec![7; 100]);
        for n in 1..=20 {
            log.append(&[row(n)], EventNumber(0)).expect("appended");
        }
        log.append(&[row(21)], EventNumber(10)).expect("appended");
        assert_eq!(log.kept.front(), Some(&EventNumber(7)), "six of ten");
        log.trim(EventNumber(10)).expect("trimmed");
        assert_eq!(log.kept.front(), Some(&EventNumber(11)));
        log.trim(EventNumber(99)).expect("trimmed");
        assert_eq!(log.kept, [EventNumber(21)]);
        let mut numbers = Vec::new();
        log.for_each(|number, _| {
            numbers.push(number);
            Ok::<_, LogError>(())
        })
        .expect("readable");
        assert_eq!(numbers, [20]);
    }
}
