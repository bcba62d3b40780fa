//! The state's redb file: its tables, and the bytes of what is not a segment.
//!
//! N1  Whoever opens the file finds what one checkpoint left: directory, places and totals change in
//!     its last transaction. Segments and creations that an unfinished one left behind have numbers that
//!     the next one uses again.

use std::sync::Arc;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::{Decode, Encode};
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, TableHandle, WriteTransaction,
};

use super::look::Number;
use super::recovery::OpenError;
use crate::limits::{BATCH_BYTES_MAX, SEGMENT_REST};
use crate::model::StoreId;
use crate::state::Totals;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::wal::{Disk, DiskFile, Held, Refusal};

/// Version of the file. Raised with every change of its tables or of what they hold.
pub(super) const FORMAT: u16 = 4;

/// The oldest one that is read: it has no documents.
pub(super) const FORMAT_MIN: u16 = 3;

/// Segments by number.
pub(super) const SEGMENTS: TableDefinition<u32, &[u8]> = TableDefinition::new("segments");
/// What is known of each segment.
pub(super) const DIRECTORY: TableDefinition<u32, &[u8]> = TableDefinition::new("directory");
/// What jobs were given when they were made: pieces under the first id in each.
pub(super) const CREATIONS: TableDefinition<u64, &[u8]> = TableDefinition::new("creations");
/// First jobs of recipes: pieces under the first recipe in each.
pub(super) const RECIPES: TableDefinition<u64, &[u8]> = TableDefinition::new("recipes");
/// Where jobs that are over stand: blocks by id.
pub(super) const PLACES: TableDefinition<u64, &[u8]> = TableDefinition::new("places");
/// Job types by id.
pub(super) const TYPES: TableDefinition<u32, &[u8]> = TableDefinition::new("job_types");
/// Counts of jobs by type.
pub(super) const COUNTS: TableDefinition<u32, &[u8]> = TableDefinition::new("counts");
/// Counts of jobs that were dropped, by type.
pub(super) const DROPPED: TableDefinition<u32, &[u8]> = TableDefinition::new("dropped");
/// Answers to submissions: pieces under the last event in each.
pub(super) const SUBMISSIONS: TableDefinition<u64, &[u8]> = TableDefinition::new("submissions");
/// Load rows by instant and type.
pub(super) const LOAD: TableDefinition<(i64, u32), &[u8]> = TableDefinition::new("load");
/// Documents by kind, id, and what tells apart those about the same. Missing in files of format 3.
pub(super) const DOCS: TableDefinition<(u8, u64, u64), &[u8]> = TableDefinition::new("docs");
/// One of a kind.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// redb's page cache: directory and places of many jobs, and the segments read last.
const CACHE_BYTES: usize = 48 << 20;

pub(super) const CODEC: Configuration<LittleEndian, Fixint, Limit<BATCH_BYTES_MAX>> =
    bincode::config::legacy().with_limit::<BATCH_BYTES_MAX>();

pub(super) fn encode<T: Encode>(value: &T, out: &mut Vec<u8>) {
    bincode::encode_into_std_write(value, out, CODEC).expect("a vector takes all bytes");
}

/// A value that fills `bytes` to the last one.
pub(super) fn decode<T: Decode<()>>(bytes: &[u8]) -> Option<T> {
    let (value, n_bytes) = bincode::decode_from_slice(bytes, CODEC).ok()?;
    (n_bytes == bytes.len()).then_some(value)
}

/// Values one after the other, behind a checksum.
pub(super) fn seal<T: Encode>(values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for value in values {
        encode(&value, &mut bytes);
    }
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What `seal` made bytes of.
pub(super) fn unseal<T: Decode<()>>(bytes: &[u8]) -> Result<Vec<T>, OpenError> {
    let (crc, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(|| damaged("a value is cut short"))?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return Err(damaged("the checksum of a value does not match"));
    }
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (value, n_bytes) = bincode::decode_from_slice(rest, CODEC).map_err(damaged)?;
        rest = &rest[n_bytes..];
        values.push(value);
    }
    Ok(values)
}

pub(super) fn unseal_one<T: Decode<()>>(bytes: &[u8]) -> Result<T, OpenError> {
    let mut values = unseal(bytes)?;
    let one = values.pop().filter(|_| values.is_empty());
    one.ok_or_else(|| damaged("a value holds more or less than one"))
}

pub(super) fn storage<E: Into<redb::Error>>(action: &'static str) -> impl FnOnce(E) -> OpenError {
    move |error| refused(action)(Refusal::of(error))
}

fn refused(action: &'static str) -> impl FnOnce(Refusal) -> OpenError {
    move |Refusal { is_full, cause }| {
        if is_full {
            OpenError::Full { file: "state.redb", action, cause }
        } else {
            OpenError::Storage { file: "state.redb", action, cause }
        }
    }
}

pub(super) fn damaged(cause: impl std::fmt::Display) -> OpenError {
    OpenError::Damaged { file: "state.redb", place: "its tables".to_owned(), cause: cause.to_string() }
}

/// True for a format that this version reads.
pub(super) fn is_known(format: u16) -> bool {
    (FORMAT_MIN..=FORMAT).contains(&format)
}

/// What a checkpoint leaves for the next one, beside the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Head {
    pub(super) format: u16,
    pub(super) store: u128,
    pub(super) totals: Totals,
    /// Number of the next segment.
    pub(super) next_segment: u32,
    /// The next segment's place in the order.
    pub(super) next_order: u64,
    /// Jobs of segments below this number that are over have their places in the table.
    pub(super) placed_below: u32,
    /// Jobs that retention dropped, and their part of the hash in the totals.
    pub(crate) n_dropped: u64,
    pub(crate) dropped_hash: u64,
    /// Ids in the table of submissions.
    pub(super) n_submissions: u64,
}

/// How many rows the tables have: what is left of one of which pages are lost does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Rows {
    pub(super) types: u64,
    pub(super) counts: u64,
    pub(super) submissions: u64,
    pub(super) load: u64,
    pub(super) directory: u64,
    pub(super) places: u64,
    pub(super) recipes: u64,
    /// At least: an unfinished checkpoint may leave more.
    pub(super) segments: u64,
    /// At least, too.
    pub(super) creations: u64,
}

impl Rows {
    /// Those that a transaction leaves.
    pub(super) fn after(txn: &WriteTransaction) -> Result<Self, OpenError> {
        fn n<K: redb::Key + 'static>(
            txn: &WriteTransaction,
            table: TableDefinition<K, &'static [u8]>,
        ) -> Result<u64, OpenError> {
            txn.open_table(table).map_err(storage("read"))?.len().map_err(storage("read"))
        }
        Ok(Self {
            types: n(txn, TYPES)?,
            counts: n(txn, COUNTS)?,
            submissions: n(txn, SUBMISSIONS)?,
            load: n(txn, LOAD)?,
            directory: n(txn, DIRECTORY)?,
            places: n(txn, PLACES)?,
            recipes: n(txn, RECIPES)?,
            segments: n(txn, SEGMENTS)?,
            creations: n(txn, CREATIONS)?,
        })
    }

    /// What the last checkpoint says.
    pub(super) fn read(txn: &ReadTransaction) -> Result<Self, OpenError> {
        let meta = txn.open_table(META).map_err(storage("read"))?;
        let rows = meta.get("rows").map_err(storage("read"))?;
        unseal_one(rows.ok_or_else(|| damaged("the numbers of rows are missing"))?.value())
    }

    /// Looks whether those tables are whole that are not read as a whole.
    pub(super) fn check(&self, txn: &ReadTransaction) -> Result<(), OpenError> {
        let n = |table| -> Result<u64, OpenError> {
            let table: ReadOnlyTable<u64, &[u8]> = txn.open_table(table).map_err(storage("read"))?;
            table.len().map_err(storage("read"))
        };
        let segments = txn.open_table(SEGMENTS).map_err(storage("read"))?.len().map_err(storage("read"))?;
        let are_whole = n(PLACES)? == self.places
            && n(RECIPES)? == self.recipes
            && n(CREATIONS)? >= self.creations
            && segments >= self.segments;
        if are_whole { Ok(()) } else { Err(damaged("rows of segments, creations or places are missing")) }
    }
}

/// Gives each row of a table that has to have so many, in rising order of its keys.
pub(super) fn for_each<K: Number>(
    txn: &ReadTransaction,
    table: TableDefinition<'static, K, &'static [u8]>,
    n_rows: u64,
    mut each: impl FnMut(K, &[u8]) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let name = table.name().to_owned();
    let (mut n, mut last) = (0, None);
    for row in txn.open_table(table).map_err(storage("read"))?.iter().map_err(storage("read"))? {
        let (key, bytes) = row.map_err(storage("read"))?;
        let key = key.value();
        if last.is_some_and(|last| key <= last) {
            return Err(damaged(format!("the keys of {name} do not rise")));
        }
        (n, last) = (n + 1, Some(key));
        each(key, bytes.value())?;
    }
    if n == n_rows { Ok(()) } else { Err(damaged(format!("{name} has {n} rows, {n_rows} were written"))) }
}

/// The open file.
pub(super) struct StateFile {
    /// None for one in memory.
    disk: Option<Arc<dyn Disk>>,
    db: Mutex<Option<Arc<Held>>>,
    hurries: AtomicBool,
}

impl StateFile {
    pub(super) fn open(disk: &Arc<dyn Disk>) -> Result<Self, OpenError> {
        let db = disk.open(DiskFile::State, CACHE_BYTES).map_err(refused("open"))?;
        Self::with(Held::new(db), Some(disk.clone()))
    }

    /// One that is forgotten with the process.
    pub(super) fn in_memory() -> Result<Self, OpenError> {
        let backend = redb::backends::InMemoryBackend::new();
        let db = Database::builder().create_with_backend(backend).map_err(storage("make"))?;
        let db = Held::new(db);
        db.trust(true);
        Self::with(db, None)
    }

    /// The database, while it is open.
    pub(super) fn db(&self) -> Result<Arc<Held>, OpenError> {
        self.db.lock().clone().ok_or_else(|| OpenError::Storage {
            file: "state.redb",
            action: "read",
            cause: "the file is closed".to_owned(),
        })
    }

    /// Whether it is written as fast as it can be.
    pub(super) fn hurry(&self, hurries: bool) {
        // Relaxed, also below: a hint.
        self.hurries.store(hurries, Ordering::Relaxed);
        if let Some(disk) = &self.disk {
            disk.hurry(hurries);
        }
    }

    /// Lets others run, unless there is hurry.
    pub(super) fn rest(&self) {
        if !self.hurries.load(Ordering::Relaxed) {
            std::thread::sleep(SEGMENT_REST);
        }
    }

    /// Whether all that was read of it so far was right.
    pub(super) fn trust(&self, is_trusted: bool) {
        if let Some(db) = &*self.db.lock() {
            db.trust(is_trusted);
        }
    }

    /// Closes it; transactions under way are finished first by whoever has them.
    pub(super) fn close(&self) {
        self.db.lock().take();
    }

    /// Opens it again after a write failed for want of room. What it holds is what the last checkpoint
    /// left.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let mut db = self.db.lock();
        // Two databases on one file would write over each other.
        if db.as_ref().is_some_and(|db| Arc::strong_count(db) > 1) {
            return Err(refused("open")(Refusal {
                is_full: true,
                cause: "somebody still reads it".to_owned(),
            }));
        }
        *db = None;
        let again = Held::new(disk.open(DiskFile::State, CACHE_BYTES).map_err(refused("open"))?);
        again.trust(true);
        *db = Some(Arc::new(again));
        Ok(())
    }

    /// Makes the tables that are missing.
    fn with(db: Held, disk: Option<Arc<dyn Disk>>) -> Result<Self, OpenError> {
        let is_new = {
            let txn = db.begin_read().map_err(storage("read"))?;
            txn.list_tables().map_err(storage("read"))?.count() == 0
        };
        if is_new {
            let mut txn = db.begin_write().map_err(storage("write"))?;
            txn.set_quick_repair(true);
            txn.open_table(META).map_err(storage("write"))?;
            for table in [SEGMENTS, DIRECTORY, TYPES, COUNTS, DROPPED] {
                txn.open_table(table).map_err(storage("write"))?;
            }
            for table in [CREATIONS, RECIPES, PLACES, SUBMISSIONS] {
                txn.open_table(table).map_err(storage("write"))?;
            }
            txn.open_table(LOAD).map_err(storage("write"))?;
            txn.open_table(DOCS).map_err(storage("write"))?;
            txn.commit().map_err(storage("write"))?;
        }
        Ok(Self { disk, db: Mutex::new(Some(Arc::new(db))), hurries: AtomicBool::new(false) })
    }

    /// What the last checkpoint left; none where there was none.
    pub(super) fn head(&self, store: StoreId) -> Result<Option<Head>, OpenError> {
        let txn = self.db()?.begin_read().map_err(storage("read"))?;
        let meta = txn.open_table(META).map_err(|_| OpenError::Format {
            file: "state.redb",
            found: 1,
            known: FORMAT,
        })?;
        let Some(head) = meta.get("head").map_err(storage("read"))? else {
            // The first format kept a key of its own here.
            let is_old = meta.get("watermark").map_err(storage("read"))?.is_some();
            let old = OpenError::Format { file: "state.redb", found: 1, known: FORMAT };
            return if is_old { Err(old) } else { Ok(None) };
        };
        let format =
            head.value().get(4..6).and_then(|bytes| Some(u16::from_le_bytes(bytes.try_into().ok()?)));
        if let Some(found) = format.filter(|format| !is_known(*format)) {
            return Err(OpenError::Format { file: "state.redb", found, known: FORMAT });
        }
        let head: Head = unseal_one(head.value())?;
        if head.store != store.0 {
            return Err(OpenError::Mixed);
        }
        Ok(Some(head))
    }
}
