//! The limit of the disk: append and fdatasync, nothing else. And how many bytes a record of ours
//! takes, so that both sides write the same.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use weighbridge::StoreFiles;

use crate::figures::{Anything, Latencies, Turn, now};
use crate::ours::{BATCH_JOBS, Ours, SYNC, accepted, payload};

/// A file that only grows.
pub(crate) struct Bare {
    file: File,
    bytes: u64,
}

impl Bare {
    pub(crate) fn create(path: &Path) -> Anything<Self> {
        Ok(Self { file: File::create_new(path)?, bytes: 0 })
    }

    /// Appends a record of so many bytes and syncs, `n` times.
    pub(crate) fn append(&mut self, record_bytes: usize, n: u64) -> Anything<Turn> {
        let mut record: Vec<u8> = Vec::with_capacity(record_bytes);
        for number in self.bytes.. {
            if record.len() >= record_bytes {
                break;
            }
            record.extend(payload(number).into_bytes());
        }
        record.truncate(record_bytes);
        let mut latencies = Latencies::default();
        let begun = now();
        for _ in 0..n {
            let from = now();
            self.file.write_all(&record)?;
            self.file.sync_data()?;
            latencies.push(now() - from);
        }
        let took = now() - begun;
        self.bytes += n * u64::try_from(record_bytes)?;
        let found = self.file.metadata()?.len();
        if found != self.bytes {
            return Err(format!("the bare log has {found} bytes, {} were written", self.bytes).into());
        }
        Ok(Turn { n, took, latencies })
    }
}

/// Bytes of our records in the log, as encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordBytes {
    /// A submission of one job, synced alone: header and all.
    pub(crate) alone: usize,
    /// One job of a batch of a thousand.
    pub(crate) in_batch: usize,
    /// False where they were not found in the file, and reckoned by the layout in docs/store.md.
    pub(crate) is_measured: bool,
}

/// Header of a batch, and what a submission of one job adds to its payload, by the layout.
const RECKONED_ALONE: usize = 54 + 64 + 100 + 41 + 60;
const RECKONED_IN_BATCH: usize = 64 + 100 + 41;

impl RecordBytes {
    /// Makes a small store in `directory`, and looks where in the bytes of its log the payloads stand.
    pub(crate) fn measure(directory: &Path) -> Anything<Self> {
        let mut ours = Ours::open(directory)?;
        let alone: Vec<String> = (0..8).map(payload).collect();
        for submission in ours.submissions(8, 1) {
            accepted(&ours.engine.submit(submission)?, 1)?;
        }
        let (first, last) = (payload(8), payload(8 + BATCH_JOBS - 1));
        let batch = ours.submission(BATCH_JOBS);
        accepted(&ours.engine.submit(batch)?, BATCH_JOBS)?;
        ours.engine.settle(SYNC);
        // redb locks its files, but reading one beside it is no harm: what is synced stands still.
        let bytes = fs::read(StoreFiles::new(directory).log())?;
        let alone = alone.windows(2).filter_map(|pair| distance(&bytes, &pair[0], &pair[1])).min();
        let spread = distance(&bytes, &first, &last);
        let in_batch = spread.map(|bytes| bytes.div_ceil(usize::try_from(BATCH_JOBS).expect("small") - 1));
        Ok(match (alone, in_batch) {
            (Some(alone), Some(in_batch)) => Self { alone, in_batch, is_measured: true },
            _ => Self { alone: RECKONED_ALONE, in_batch: RECKONED_IN_BATCH, is_measured: false },
        })
    }
}

/// The least distance from a place of `first` to one of `second` after it: rows that were written
/// one after the other stand beside each other in a page, and a page may be there several times.
fn distance(bytes: &[u8], first: &str, second: &str) -> Option<usize> {
    let seconds = places(bytes, second);
    let to_next = |from: usize| seconds.iter().find(|place| **place > from).map(|place| place - from);
    places(bytes, first).into_iter().filter_map(to_next).min()
}

fn places(bytes: &[u8], text: &str) -> Vec<usize> {
    let text = text.as_bytes();
    bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text).map(|(at, _)| at).collect()
}
