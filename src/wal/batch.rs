//! The bytes of one row of the log: a header, then events.
//!
//! All integers are little endian. docs/store.md draws it byte by byte.
//!
//! B1  The CRC-32 covers the header before it and the whole body.
//! B2  A body is decoded under a limit and to its last byte, or not at all.

use crate::limits::{BATCH_BYTES_MAX, EVENT_BYTES_MAX};
use crate::model::{Epoch, Event, EventNumber, StoreId};

/// Version of header and events. Raised with every change of either.
pub(crate) const FORMAT: u16 = 3;

/// The oldest one that is read: its events are the first of those that there are now.
const FORMAT_MIN: u16 = 2;

/// Bytes of a header.
const HEADER_BYTES: usize = 54;

const CODEC: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
    bincode::config::Limit<BATCH_BYTES_MAX>,
> = bincode::config::legacy().with_limit::<BATCH_BYTES_MAX>();

/// An event of so many bytes, more than [`EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventTooLong(pub(crate) usize);

/// Events that go into one row, as they gather.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    first: EventNumber,
    last: EventNumber,
    state_hash: u64,
    /// Room for the header, then the body.
    row: Vec<u8>,
}

/// A row that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadBatch {
    pub(crate) epoch: Epoch,
    pub(crate) first: EventNumber,
    pub(crate) last: EventNumber,
    /// The state's hash after the last event.
    pub(crate) state_hash: u64,
    pub(crate) events: Vec<Event>,
}

/// Why bytes are no batch of this store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Cut short, or longer than its header says.
    #[error("{bytes} bytes do not make a batch")]
    Length {
        /// How many there are.
        bytes: usize,
    },
    /// Written by another version.
    #[error("format {found}, this version reads {FORMAT}")]
    Format {
        /// The version it names.
        found: u16,
    },
    /// Header or body is not what was written.
    #[error("the checksum does not match")]
    Checksum,
    /// Of another store.
    #[error("it belongs to store {0}")]
    Store(StoreId),
    /// The body holds something else than whole events.
    #[error("events cannot be decoded: {0}")]
    Events(String),
}

impl Batch {
    /// An empty batch whose first event will be `first`.
    pub(crate) fn new(first: EventNumber) -> Self {
        let last = EventNumber(first.0 - 1);
        let mut row = Vec::with_capacity(512);
        row.resize(HEADER_BYTES, 0);
        Self { first, last, state_hash: 0, row }
    }

    /// Adds the next event; `state_hash` is the state's after it. One that could not be read back is left out,
    /// and its length told.
    pub(crate) fn push(&mut self, event: &Event, state_hash: u64) -> Result<(), EventTooLong> {
        let before = self.row.len();
        bincode::encode_into_std_write(event, &mut self.row, CODEC).expect("a vector takes all bytes");
        let bytes = self.row.len() - before;
        if bytes > EVENT_BYTES_MAX {
            self.row.truncate(before);
            return Err(EventTooLong(bytes));
        }
        self.last.0 += 1;
        self.state_hash = state_hash;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.row.len() - HEADER_BYTES
    }

    pub(crate) fn last(&self) -> EventNumber {
        self.last
    }

    /// The row.
    pub(crate) fn seal(mut self, store: StoreId, epoch: Epoch) -> Vec<u8> {
        let n_bytes = u32::try_from(self.bytes()).expect("below BATCH_BYTES_MAX");
        let (header, body) = self.row.split_at_mut(HEADER_BYTES);
        let mut rest = &mut header[..];
        let mut put = |bytes: &[u8]| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            here.copy_from_slice(bytes);
            rest = after;
        };
        put(&FORMAT.to_le_bytes());
        put(&store.0.to_le_bytes());
        put(&epoch.0.to_le_bytes());
        put(&self.first.0.to_le_bytes());
        put(&self.last.0.to_le_bytes());
        put(&self.state_hash.to_le_bytes());
        put(&n_bytes.to_le_bytes());
        let crc = checksum(&header[..HEADER_BYTES - 4], body);
        header[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        self.row
    }
}

/// The last event that the header of a row names, unchecked.
pub(super) fn last_event(row: &[u8]) -> Option<EventNumber> {
    Some(EventNumber(u64::from_le_bytes(row.get(30..38)?.try_into().ok()?)))
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(body);
    crc.finalize()
}

/// Cuts `N` bytes off the front.
fn cut<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (front, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*front)
}

impl ReadBatch {
    /// Reads a row of `store`.
    pub(crate) fn read(row: &[u8], store: StoreId) -> Result<Self, BatchError> {
        let length = BatchError::Length { bytes: row.len() };
        let mut rest = row;
        let format = u16::from_le_bytes(cut(&mut rest).ok_or_else(|| length.clone())?);
        if !(FORMAT_MIN..=FORMAT).contains(&format) {
            return Err(BatchError::Format { found: format });
        }
        let mut header = || {
            Some((
                StoreId(u128::from_le_bytes(cut(&mut rest)?)),
                Epoch(u32::from_le_bytes(cut(&mut rest)?)),
                EventNumber(u64::from_le_bytes(cut(&mut rest)?)),
                EventNumber(u64::from_le_bytes(cut(&mut rest)?)),
                u64::from_le_bytes(cut(&mut rest)?),
                u32::from_le_bytes(cut(&mut rest)?) as usize,
                u32::from_le_bytes(cut(&mut rest)?),
            ))
        };
        let (id, epoch, first, last, state_hash, n_bytes, crc) = header().ok_or_else(|| length.clone())?;
        if rest.len() != n_bytes || n_bytes > BATCH_BYTES_MAX {
            return Err(length);
        }
        if checksum(&row[..HEADER_BYTES - 4], rest) != crc {
            return Err(BatchError::Checksum);
        }
        if id != store {
            return Err(BatchError::Store(id));
        }
        let events = decode_all(rest, first, last)?;
        Ok(Self { epoch, first, last, state_hash, events })
    }
}

fn decode_all(mut body: &[u8], first: EventNumber, last: EventNumber) -> Result<Vec<Event>, BatchError> {
    let mut events = Vec::new();
    while !body.is_empty() {
        let (event, n_bytes) = bincode::decode_from_slice::<Event, _>(body, CODEC)
            .map_err(|error| BatchError::Events(error.to_string()))?;
        body = &body[n_bytes..];
        events.push(event);
    }
    let n_stated = last.0.checked_sub(first.0).and_then(|n| n.checked_add(1));
    if n_stated != Some(events.len() as u64) {
        return Err(BatchError::Events(format!(
            "{} events, the header says {first} to {last}",
            events.len()
        )));
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobId, Timestamp};

    const STORE: StoreId = StoreId(7);

    fn row() -> Vec<u8> {
        let mut batch = Batch::new(EventNumber(5));
        let started = Event::EngineStarted { epoch: Epoch(2), when: Timestamp(9) };
        let canceled = Event::JobsCanceled { jobs: vec![JobId(1), JobId(2)], when: Timestamp(10) };
        assert_eq!((batch.push(&started, 11), batch.push(&canceled, 12)), (Ok(()), Ok(())));
        batch.seal(STORE, Epoch(2))
    }

    #[test]
    fn an_event_that_could_not_be_read_back_leaves_the_batch_as_it_was() {
        let long = Event::JobsCanceled { jobs: vec![JobId(1); EVENT_BYTES_MAX / 8], when: Timestamp(10) };
        let started = Event::EngineStarted { epoch: Epoch(2), when: Timestamp(9) };
        let mut batch = Batch::new(EventNumber(5));
        assert_eq!(batch.push(&started, 11), Ok(()));
        let bytes = batch.bytes();
        assert!(batch.push(&long, 12).is_err_and(|EventTooLong(bytes)| bytes > EVENT_BYTES_MAX));
        assert_eq!((batch.bytes(), batch.last()), (bytes, EventNumber(5)));
        let read = ReadBatch::read(&batch.seal(STORE, Epoch(2)), STORE).expect("a batch");
        assert_eq!((read.events, read.state_hash), (vec![started], 11));
    }

    #[test]
    fn a_batch_reads_back() {
        let read = ReadBatch::read(&row(), STORE).expect("a batch");
        assert_eq!((read.first, read.last), (EventNumber(5), EventNumber(6)));
        assert_eq!(last_event(&row()), Some(EventNumber(6)));
        assert_eq!((read.epoch, read.state_hash, read.events.len()), (Epoch(2), 12, 2));
        assert_eq!(
            read.events[1],
            Event::JobsCanceled { jobs: vec![JobId(1), JobId(2)], when: Timestamp(10) }
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let whole = row();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bad = whole.clone();
                bad[at] ^= 1 << bit;
                assert!(ReadBatch::read(&bad, STORE).is_err(), "bit {bit} of byte {at}");
            }
            assert!(ReadBatch::read(&whole[..at], STORE).is_err(), "cut at {at}");
        }
        assert_eq!(ReadBatch::read(&whole, StoreId(8)), Err(BatchError::Store(STORE)));
    }

    #[test]
    fn hostile_lengths_are_refused_without_reserving_memory() {
        let mut body = Vec::new();
        // JobsCanceled with a list of 2^60 jobs.
        body.extend(13_u32.to_le_bytes());
        body.extend((1_u64 << 60).to_le_bytes());
        assert!(matches!(decode_all(&body, EventNumber(1), EventNumber(1)), Err(BatchError::Events(_))));
    }
}
