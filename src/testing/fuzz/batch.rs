//! Any bytes as a row of the log: an error, or a batch that is written as the same bytes.
//!
//! The first byte says how the rest is read: as a row; as a row whose checksum is made to match, so
//! that what is behind it is reached; or as events alone, behind a header that fits them.

use crate::model::{Epoch, EventNumber, StoreId};
use crate::wal::{Batch, ReadBatch};

/// The store that all rows are of.
pub(super) const STORE: StoreId = StoreId(7);

const HEADER_BYTES: usize = 54;

/// See the file.
pub fn batch_decode(bytes: &[u8]) {
    let Some((how, rest)) = bytes.split_first() else { return };
    match how % 3 {
        0 => check(rest),
        1 => check(&with_checksum(rest.to_vec())),
        _ => {
            let Some((n_events, body)) = rest.split_first() else { return };
            check(&with_checksum(with_header(*n_events, body)));
        }
    }
}

fn check(row: &[u8]) {
    let Ok(read) = ReadBatch::read(row, STORE) else { return };
    let mut batch = Batch::new(read.first);
    for event in &read.events {
        batch.push(event, read.state_hash).expect("it was read");
    }
    assert_eq!(batch.last(), read.last, "it holds as many events as it says");
    assert!(batch.seal(STORE, read.epoch) == row, "{read:?} is written as other bytes");
}

/// The header of a row, without its checksum.
fn with_header(n_events: u8, body: &[u8]) -> Vec<u8> {
    let mut row = Batch::new(EventNumber(5)).seal(STORE, Epoch(3));
    row[30..38].copy_from_slice(&(4 + u64::from(n_events)).to_le_bytes());
    row[46..50].copy_from_slice(&u32::try_from(body.len()).expect("small").to_le_bytes());
    row.extend(body);
    row
}

fn with_checksum(mut row: Vec<u8>) -> Vec<u8> {
    if row.len() >= HEADER_BYTES {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&row[..HEADER_BYTES - 4]);
        crc.update(&row[HEADER_BYTES..]);
        let crc = crc.finalize();
        row[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    }
    row
}
