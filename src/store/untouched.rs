//! The files of a store, opened without changing them: redb repairs a file that was not closed, and
//! what it would write for that stays in memory.
//!
//! U1  The files are opened for reading alone.
//! U2  What was written is read back; where nothing was written the file shows through, up to the
//!     least length that was set.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use foldhash::HashMap;
use redb::{Database, StorageBackend};

use crate::limits::UNTOUCHED_BYTES_MAX;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::wal::{Disk, DiskFile, Refusal};

/// What is kept of writes, at a time.
const BLOCK_BYTES: usize = 4096;

/// A directory whose files stay as they are. Files that are not there are empty ones.
#[derive(Debug)]
pub(super) struct Untouched {
    directory: PathBuf,
    shadows: Mutex<HashMap<DiskFile, Shadow>>,
    repaired: Arc<[AtomicBool; 2]>,
}

impl Untouched {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, shadows: Mutex::default(), repaired: Arc::default() }
    }

    /// Forgets what would have been written to a file.
    pub(super) fn forget(&self, file: DiskFile) {
        self.shadows.lock().remove(&file);
    }

    /// True where redb had to read all of a file to find out what is in use.
    pub(super) fn was_repaired(&self, file: DiskFile) -> bool {
        // Relaxed: set by the call to `open` that came before on this thread.
        self.repaired[place(file)].load(Ordering::Relaxed)
    }

    fn shadow(&self, file: DiskFile) -> io::Result<Shadow> {
        let mut shadows = self.shadows.lock();
        if let Some(shadow) = shadows.get(&file) {
            return Ok(shadow.clone());
        }
        let base = match File::open(self.directory.join(file.name())) {
            Ok(base) => Some(base),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let len = base.as_ref().map_or(Ok(0), |base| base.metadata().map(|metadata| metadata.len()))?;
        let inner = Inner { base, shown: len, len, blocks: HashMap::default() };
        let shadow = Shadow(Arc::new(Mutex::new(inner)));
        shadows.insert(file, shadow.clone());
        Ok(shadow)
    }
}

const fn place(file: DiskFile) -> usize {
    match file {
        DiskFile::Log => 0,
        DiskFile::State => 1,
    }
}

impl Disk for Untouched {
    fn exists(&self, file: DiskFile) -> bool {
        self.directory.join(file.name()).exists()
    }

    fn open(&self, file: DiskFile, cache_bytes: usize) -> Result<Database, Refusal> {
        let shadow = self.shadow(file).map_err(|error| Refusal::of(redb::StorageError::Io(error)))?;
        let repaired = self.repaired.clone();
        let mut builder = Database::builder();
        // Relaxed: see `was_repaired`.
        builder.set_repair_callback(move |_| repaired[place(file)].store(true, Ordering::Relaxed));
        builder.set_cache_size(cache_bytes).create_with_backend(shadow).map_err(Refusal::of)
    }
}

/// One file, with what would have been written to it.
#[derive(Clone)]
struct Shadow(Arc<Mutex<Inner>>);

struct Inner {
    base: Option<File>,
    /// How many bytes of the file can be seen: a file that was made shorter and longer again holds zeros.
    shown: u64,
    len: u64,
    blocks: HashMap<u64, Box<[u8; BLOCK_BYTES]>>,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a file that stays as it is")
    }
}

/// The pieces of `len` bytes at `offset`: number of the block, where in it, and where among the bytes.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == len {
            return None;
        }
        let here = offset + at as u64;
        let within = usize::try_from(here % BLOCK_BYTES as u64).expect("below BLOCK_BYTES");
        let n = (BLOCK_BYTES - within).min(len - at);
        at += n;
        Some((here / BLOCK_BYTES as u64, within, at - n..at))
    })
}

impl Inner {
    /// What the file itself holds.
    fn read_base(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let n = usize::try_from(self.shown.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        out[n..].fill(0);
        let Some(base) = self.base.as_mut().filter(|_| n > 0) else { return Ok(()) };
        base.seek(SeekFrom::Start(offset))?;
        base.read_exact(&mut out[..n])
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_base(offset, out)?;
        if self.blocks.is_empty() {
            return Ok(());
        }
        for (number, within, range) in pieces(offset, out.len()) {
            if let Some(block) = self.blocks.get(&number) {
                let n = range.len();
                out[range].copy_from_slice(&block[within..within + n]);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, range) in pieces(offset, data.len()) {
            if !self.blocks.contains_key(&number) {
                if self.blocks.len() * BLOCK_BYTES >= UNTOUCHED_BYTES_MAX {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                let mut block = Box::new([0; BLOCK_BYTES]);
                self.read_base(number * BLOCK_BYTES as u64, &mut block[..])?;
                self.blocks.insert(number, block);
            }
            let block = self.blocks.get_mut(&number).expect("put there above");
            block[within..within + range.len()].copy_from_slice(&data[range]);
        }
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.shown = self.shown.min(len);
            self.blocks.retain(|number, block| {
                let from = number * BLOCK_BYTES as u64;
                let kept = usize::try_from(len.saturating_sub(from)).unwrap_or(usize::MAX);
                block[kept.min(BLOCK_BYTES)..].fill(0);
                kept > 0
            });
        }
        self.len = len;
    }
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.lock().read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().set_len(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().write(offset, data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..40_000_u64, prop::collection::vec(any::<u8>(), 1..9_000))
                .prop_map(|(at, data)| Step::Write(at, data)),
            1 => (0..40_000_u64).prop_map(Step::SetLen),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_reads_like_a_file_that_was_changed_and_the_file_was_not(
            len in 0..30_000_usize, steps in prop::collection::vec(step(), 0..20),
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join(DiskFile::Log.name());
            let mut bytes: Vec<u8> = (1..252).cycle().take(len).collect();
            std::fs::write(&path, &bytes).expect("written");
            let before = bytes.clone();
            let shadow = Untouched::new(directory.path().to_owned()).shadow(DiskFile::Log).expect("a shadow");
            for step in steps {
                match step {
                    Step::SetLen(len) => {
                        shadow.set_len(len).expect("done");
                        bytes.resize(usize::try_from(len).expect("small"), 0);
                    }
                    Step::Write(at, data) => {
                        let at = usize::try_from(at).expect("small");
                        let is_within = at + data.len() <= bytes.len();
                        prop_assert_eq!(shadow.write(at as u64, &data).is_ok(), is_within);
                        if is_within {
                            bytes[at..at + data.len()].copy_from_slice(&data);
                        }
                    }
                }
                let mut read = vec![7; bytes.len()];
                shadow.read(0, &mut read).expect("readable");
                prop_assert!(read == bytes);
                let mut part = vec![7; bytes.len() / 3];
                shadow.read(bytes.len() as u64 / 2, &mut part).expect("readable");
                prop_assert!(part == bytes[bytes.len() / 2..][..part.len()]);
                prop_assert!(shadow.read(bytes.len() as u64, &mut [0]).is_err());
            }
            prop_assert!(std::fs::read(&path).expect("read") == before);
        }
    }
}
