//! The state's redb file: rows of the state in pieces, and the position of the log they stand for.
//!
//! N1  Pieces and watermark change in one transaction: a reader finds a whole snapshot or the one
//!     before.

use std::path::Path;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::recovery::OpenError;
use crate::limits::{BATCH_BYTES_MAX, SNAPSHOT_ROW_BYTES};
use crate::model::{EventNumber, StoreId};
use crate::state::{Row, State};
use crate::wal::make_whole;

const PIECES: TableDefinition<u64, &[u8]> = TableDefinition::new("snapshot");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// Version of the pieces. Raised with every change of `Row` or of what it holds.
const FORMAT: u16 = 1;

const CACHE_BYTES: usize = 32 << 20;

const CODEC: Configuration<LittleEndian, Fixint, Limit<BATCH_BYTES_MAX>> =
    bincode::config::legacy().with_limit::<BATCH_BYTES_MAX>();

fn storage<E: std::fmt::Display>(action: &'static str) -> impl FnOnce(E) -> OpenError {
    move |cause| OpenError::Storage { file: "state.redb", action, cause: cause.to_string() }
}

fn damaged(cause: impl std::fmt::Display) -> OpenError {
    OpenError::Damaged { file: "state.redb", place: "snapshot".to_owned(), cause: cause.to_string() }
}

/// The open file.
pub(crate) struct SnapshotFile(Database);

impl SnapshotFile {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let create = |path: &Path| Database::builder().set_cache_size(CACHE_BYTES).create(path);
        make_whole(path, |aside| create(aside).map(drop).map_err(std::io::Error::other))
            .map_err(storage("make"))?;
        create(path).map(Self).map_err(storage("open"))
    }

    /// The state as of the last snapshot; an empty one where there is none.
    pub(super) fn read(&self, store: StoreId) -> Result<State, OpenError> {
        let mut state = State::default();
        let txn = self.0.begin_read().map_err(storage("read"))?;
        let meta = match txn.open_table(META) {
            Ok(meta) => meta,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(state),
            Err(error) => return Err(storage("read")(error)),
        };
        let of = |key: &str| -> Result<Vec<u8>, OpenError> {
            let value = meta.get(key).map_err(storage("read"))?;
            value.map(|v| v.value().to_vec()).ok_or_else(|| damaged(format!("{key} is missing")))
        };
        let id = of("store")?;
        if id != store.0.to_le_bytes() {
            return Err(OpenError::Mixed);
        }
        let pieces = txn.open_table(PIECES).map_err(storage("read"))?;
        let mut hash = None;
        for piece in pieces.iter().map_err(storage("read"))? {
            let (_, bytes) = piece.map_err(storage("read"))?;
            for row in read_piece(bytes.value())? {
                if let Row::Totals { hash: stored, .. } = &row {
                    hash = Some(*stored);
                }
                state.restore(row);
            }
        }
        let watermark = of("watermark")?;
        if hash != Some(state.hash) || watermark != state.last_event.0.to_le_bytes() {
            return Err(damaged("its rows do not add up to the state it names"));
        }
        Ok(state)
    }

    /// Replaces the snapshot with `state`. Returns once it is on disk.
    pub(crate) fn write(&self, state: &State, store: StoreId) -> Result<EventNumber, OpenError> {
        let mut txn = self.0.begin_write().map_err(storage("write"))?;
        txn.set_durability(Durability::Immediate).map_err(storage("write"))?;
        txn.set_quick_repair(true);
        txn.delete_table(PIECES).map_err(storage("write"))?;
        {
            let mut pieces = txn.open_table(PIECES).map_err(storage("write"))?;
            let mut piece = Piece::default();
            let mut n_pieces = 0_u64;
            for row in state.rows() {
                piece.push(&row);
                if piece.0.len() >= SNAPSHOT_ROW_BYTES {
                    let sealed = std::mem::take(&mut piece).seal();
                    pieces.insert(n_pieces, sealed.as_slice()).map_err(storage("write"))?;
                    n_pieces += 1;
                }
            }
            let sealed = piece.seal();
            pieces.insert(n_pieces, sealed.as_slice()).map_err(storage("write"))?;
            let mut meta = txn.open_table(META).map_err(storage("write"))?;
            let watermark = state.last_event.0.to_le_bytes();
            meta.insert("watermark", watermark.as_slice()).map_err(storage("write"))?;
            meta.insert("store", store.0.to_le_bytes().as_slice()).map_err(storage("write"))?;
        }
        txn.commit().map_err(storage("sync"))?;
        Ok(state.last_event)
    }
}

/// Rows one after the other; sealed with a version and a checksum.
#[derive(Default)]
struct Piece(Vec<u8>);

impl Piece {
    fn push(&mut self, row: &Row) {
        bincode::encode_into_std_write(row, &mut self.0, CODEC).expect("a vector takes all bytes");
    }

    fn seal(self) -> Vec<u8> {
        let mut bytes = FORMAT.to_le_bytes().to_vec();
        bytes.extend(crc32fast::hash(&self.0).to_le_bytes());
        bytes.extend(self.0);
        bytes
    }
}

fn read_piece(bytes: &[u8]) -> Result<Vec<Row>, OpenError> {
    let (format, rest) = bytes.split_first_chunk::<2>().ok_or_else(|| damaged("a piece is cut short"))?;
    let found = u16::from_le_bytes(*format);
    if found != FORMAT {
        return Err(OpenError::Format { file: "state.redb", found, known: FORMAT });
    }
    let (crc, mut body) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("a piece is cut short"))?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(damaged("the checksum of a piece does not match"));
    }
    let mut rows = Vec::new();
    while !body.is_empty() {
        let (row, n_bytes) = bincode::decode_from_slice(body, CODEC).map_err(damaged)?;
        body = &body[n_bytes..];
        rows.push(row);
    }
    Ok(rows)
}
