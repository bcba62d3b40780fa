//! Reading files of which nothing is known to be right: whatever redb says or does, what can be read is
//! read, and what cannot is told.
//!
//! L1  No damage ends the caller: errors and panics of redb become texts.
//! L2  Rows are told in rising order of their keys, each once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{
    Database, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, Value,
};

use super::untouched::Untouched;
use crate::wal::{Disk, DiskFile};

/// redb's page cache: everything is read once.
const CACHE_BYTES: usize = 8 << 20;

/// What is told of a table.
pub(super) enum Told<'b, K> {
    Row(K, &'b [u8]),
    /// Rows that cannot be read: those after a key (or from the start on) and before another (or to the
    /// end). There may be none.
    Hole {
        after: Option<K>,
        before: Option<K>,
        cause: String,
    },
}

/// Keys that own what they are.
pub(super) trait Number: Key + for<'a> Value<SelfType<'a> = Self> + Copy + Ord + 'static {}

impl<K: Key + for<'a> Value<SelfType<'a> = K> + Copy + Ord + 'static> Number for K {}

/// What a panic says.
pub(super) fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown").to_owned()
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A table; none in a file that was just made and holds no table at all.
fn open_table<K: Key + 'static>(
    txn: &ReadTransaction,
    table: TableDefinition<'static, K, &'static [u8]>,
) -> Result<Option<ReadOnlyTable<K, &'static [u8]>>, String> {
    match txn.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) if txn.list_tables().map_err(text)?.count() == 0 => Ok(None),
        Err(error) => Err(text(error)),
    }
}

/// One file that is looked into.
pub(super) struct Look {
    disk: Arc<Untouched>,
    file: DiskFile,
    db: Option<Database>,
}

impl Look {
    pub(super) fn new(disk: Arc<Untouched>, file: DiskFile) -> Self {
        Self { disk, file, db: None }
    }

    /// Asks the database something. After a panic it is opened anew.
    pub(super) fn ask<T>(
        &mut self,
        what: impl FnOnce(&mut Database) -> Result<T, String>,
    ) -> Result<T, String> {
        let gave_up = |cause: String| format!("the storage gave up on it ({cause})");
        let mut db = match self.db.take() {
            Some(db) => db,
            None => match guarded(|| self.disk.open(self.file, CACHE_BYTES)) {
                Ok(Ok(db)) => db,
                Ok(Err(refusal)) => return Err(refusal.cause),
                Err(cause) => {
                    self.disk.forget(self.file);
                    return Err(gave_up(cause));
                }
            },
        };
        match guarded(|| what(&mut db)) {
            Ok(answer) => {
                self.db = Some(db);
                answer
            }
            Err(cause) => {
                // Closing what just gave up could make it give up once more.
                std::mem::forget(db);
                self.disk.forget(self.file);
                Err(gave_up(cause))
            }
        }
    }

    /// The value under a name.
    pub(super) fn get(
        &mut self,
        table: TableDefinition<'static, &'static str, &'static [u8]>,
        key: &str,
    ) -> Result<Option<Vec<u8>>, String> {
        self.ask(|db| {
            let txn = db.begin_read().map_err(text)?;
            let Some(table) = open_table(&txn, table)? else { return Ok(None) };
            let value = table.get(key).map_err(text)?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    /// The keys of a table from one to another; none where there is no such table.
    pub(super) fn keys<K: Number>(
        &mut self,
        table: TableDefinition<'static, K, &'static [u8]>,
        (first, last): (K, K),
    ) -> Result<Vec<K>, String> {
        self.ask(|db| {
            let txn = db.begin_read().map_err(text)?;
            let table = match txn.open_table(table) {
                Ok(table) => table,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(text(error)),
            };
            let rows = table.range(first..=last).map_err(text)?;
            rows.map(|row| Ok(row.map_err(text)?.0.value())).collect()
        })
    }

    /// Tells every row of a table, from the front up to what cannot be read, and on from behind it.
    pub(super) fn scan<K: Number>(
        &mut self,
        table: TableDefinition<'static, K, &'static [u8]>,
        mut each: impl FnMut(Told<'_, K>),
    ) {
        let mut last: Option<K> = None;
        let whole = self.ask(|db| {
            let txn = db.begin_read().map_err(text)?;
            let Some(table) = open_table(&txn, table)? else { return Ok(()) };
            for row in table.iter().map_err(text)? {
                let (key, bytes) = row.map_err(text)?;
                let key = key.value();
                if last.is_some_and(|last| key <= last) {
                    return Err("its keys do not rise".to_owned());
                }
                last = Some(key);
                each(Told::Row(key, bytes.value()));
            }
            Ok(())
        });
        let Err(cause) = whole else { return };
        let mut from: Option<K> = None;
        // Why it ends does not matter: what comes next from behind cannot be read either.
        let _ = self.ask(|db| {
            let txn = db.begin_read().map_err(text)?;
            let Some(table) = open_table(&txn, table)? else { return Ok(()) };
            for row in table.iter().map_err(text)?.rev() {
                let (key, bytes) = row.map_err(text)?;
                let key = key.value();
                if last.is_some_and(|last| key <= last) || from.is_some_and(|from| key >= from) {
                    break;
                }
                let _ = bytes.value();
                from = Some(key);
            }
            Ok(())
        });
        each(Told::Hole { after: last, before: from, cause });
        let Some(from) = from else { return };
        let mut last: Option<K> = None;
        let rest = self.ask(|db| {
            let txn = db.begin_read().map_err(text)?;
            let Some(table) = open_table(&txn, table)? else { return Ok(()) };
            for row in table.range(from..).map_err(text)? {
                let (key, bytes) = row.map_err(text)?;
                let key = key.value();
                if last.is_some_and(|last| key <= last) {
                    return Err("its keys do not rise".to_owned());
                }
                last = Some(key);
                each(Told::Row(key, bytes.value()));
            }
            Ok(())
        });
        if let Err(cause) = rest {
            each(Told::Hole { after: last.or(Some(from)), before: None, cause });
        }
    }

    /// To close a file is to write to it, which may end like any other use of a damaged one.
    fn close(&mut self) {
        let db = self.db.take();
        let _ = guarded(|| drop(db));
    }

    /// Holds the checksum of every page that is in use against the page.
    pub(super) fn check_pages(&mut self) -> Result<(), String> {
        let is_sound = self.ask(|db| db.check_integrity().map_err(text));
        // It repairs what it can; what is looked at next is the file as it is.
        self.close();
        self.disk.forget(self.file);
        let damaged =
            || "the checksum of a page does not match, or pages are in use that are free".to_owned();
        is_sound?.then_some(()).ok_or_else(damaged)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.close();
    }
}
