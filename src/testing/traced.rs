//! A disk in memory that keeps every write, so that what a crash may leave behind can be made afterwards,
//! for each instant of a run.
//!
//! Allowed faults, all of them survived: every change is refused from a moment on; what was written since the last sync of its file is lost in any
//! part, and one write is cut short anywhere. A file that was not synced since it was made may be empty.

use std::io;
use std::sync::Arc;

use redb::{Database, StorageBackend};

use crate::sync::Mutex;
use crate::wal::{Disk, DiskFile, Refusal};

/// What happened to a file.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write(u64, Vec<u8>),
    Len(u64),
    Sync,
}

#[derive(Debug, Default)]
struct World {
    /// What the files hold, synced or not.
    files: [Vec<u8>; 2],
    trace: Vec<(DiskFile, Op)>,
    /// The most that redb may cache of a file, if less than it was asked for.
    cache_bytes_max: Option<usize>,
    /// From how many operations on there is no room.
    full_from: Option<usize>,
    /// What every change and sync is refused with, if so.
    refusing: [Option<io::ErrorKind>; 2],
    /// How often something was refused.
    n_refused: usize,
}

/// See the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct TracedDisk(Arc<Mutex<World>>);

pub(super) const fn at(file: DiskFile) -> usize {
    match file {
        DiskFile::Log => 0,
        DiskFile::State => 1,
    }
}

impl TracedDisk {
    /// A disk with these files and an empty trace.
    pub(crate) fn with(files: [Vec<u8>; 2]) -> Self {
        Self(Arc::new(Mutex::new(World { files, ..World::default() })))
    }

    /// The same, and of each file that is opened from now on redb caches no more than so much: with little,
    /// it writes pages of a transaction long before its commit.
    pub(crate) fn with_cache(self, bytes_max: usize) -> Self {
        self.0.lock().cache_bytes_max = Some(bytes_max);
        self
    }

    /// How many writes, changes of length and syncs there were.
    pub(crate) fn n_ops(&self) -> usize {
        self.0.lock().trace.len()
    }

    /// From now on there is no room after so many more operations; none: there is.
    pub(crate) fn set_full(&self, after: Option<usize>) {
        let mut world = self.0.lock();
        world.full_from = after.map(|more| world.trace.len() + more);
    }

    /// From now on every change and sync is refused like this; none: they are taken.
    pub(crate) fn set_refusing(&self, how: Option<io::ErrorKind>) {
        self.0.lock().refusing = [how; 2];
    }

    /// The same for the state file alone.
    pub(crate) fn set_state_refusing(&self, how: Option<io::ErrorKind>) {
        self.0.lock().refusing = [None, how];
    }

    /// How often something was refused.
    pub(crate) fn n_refused(&self) -> usize {
        self.0.lock().n_refused
    }

    /// The trace so far.
    pub(crate) fn trace(&self) -> Vec<(DiskFile, Op)> {
        self.0.lock().trace.clone()
    }

    /// The files as they are, synced or not.
    pub(crate) fn files(&self) -> [Vec<u8>; 2] {
        self.0.lock().files.clone()
    }
}

impl Disk for TracedDisk {
    fn exists(&self, file: DiskFile) -> bool {
        !self.0.lock().files[at(file)].is_empty()
    }

    fn open(&self, file: DiskFile, cache_bytes: usize) -> Result<Database, Refusal> {
        let most = self.0.lock().cache_bytes_max.unwrap_or(usize::MAX);
        let backend = TracedFile { world: self.0.clone(), file };
        let cache_bytes = cache_bytes.min(most);
        Database::builder().set_cache_size(cache_bytes).create_with_backend(backend).map_err(Refusal::of)
    }
}

#[derive(Debug)]
struct TracedFile {
    world: Arc<Mutex<World>>,
    file: DiskFile,
}

impl Op {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |n: u64| usize::try_from(n).expect("files of tests are small");
        match self {
            Self::Write(offset, data) => {
                let end = place(*offset) + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[place(*offset)..end].copy_from_slice(data);
            }
            Self::Len(len) => bytes.resize(place(*len), 0),
            Self::Sync => {}
        }
    }
}

impl TracedFile {
    fn take(&self, op: Op) -> io::Result<()> {
        let mut world = self.world.lock();
        if let Some(kind) = world.refusing[at(self.file)] {
            world.n_refused += 1;
            return Err(kind.into());
        }
        let wants_room = !matches!(op, Op::Sync);
        if wants_room && world.full_from.is_some_and(|from| world.trace.len() >= from) {
            world.n_refused += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        op.apply(&mut world.files[at(self.file)]);
        world.trace.push((self.file, op));
        Ok(())
    }
}

impl StorageBackend for TracedFile {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.world.lock().files[at(self.file)].len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let world = self.world.lock();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = world.files[at(self.file)].get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.take(Op::Len(len))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.take(Op::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.take(Op::Write(offset, data.to_vec()))
    }
}

/// Walks over a trace, and makes what a crash may leave at each of its instants.
pub(crate) struct Crashes {
    synced: [Vec<u8>; 2],
    pending: [Vec<Op>; 2],
}

/// Which of the unsynced operations of a file reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survives {
    All,
    /// The first so many.
    Prefix(usize),
    /// All but one.
    Without(usize),
    /// All but two.
    WithoutBoth(usize, usize),
    /// Each by the toss of a coin.
    Some(u64),
    /// All, and of the last one so many bytes.
    Torn(usize),
}

/// A number that `seed` and `n` alone give.
pub(crate) fn draw(seed: u64, n: usize) -> u64 {
    let mut x = seed ^ (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Brings to `bytes` what survives of unsynced operations on them.
pub(super) fn survive(bytes: &mut Vec<u8>, ops: &[Op], survives: Survives) {
    for (n, op) in ops.iter().enumerate() {
        let is_kept = match survives {
            Survives::All | Survives::Torn(_) => true,
            Survives::Prefix(len) => n < len,
            Survives::Without(lost) => n != lost,
            Survives::WithoutBoth(one, other) => n != one && n != other,
            Survives::Some(seed) => draw(seed, n) & 1 == 1,
        };
        let torn = match (survives, op) {
            (Survives::Torn(len), Op::Write(offset, data)) if n + 1 == ops.len() => {
                Some(Op::Write(*offset, data[..len.min(data.len())].to_vec()))
            }
            _ => None,
        };
        if is_kept {
            torn.as_ref().unwrap_or(op).apply(bytes);
        }
    }
}

impl Crashes {
    /// Before the first operation of a trace that began with `files`, all of them on disk.
    pub(crate) fn new(files: [Vec<u8>; 2]) -> Self {
        Self { synced: files, pending: Default::default() }
    }

    /// Goes on by one operation.
    pub(crate) fn step(&mut self, file: DiskFile, op: &Op) {
        let at = at(file);
        if matches!(op, Op::Sync) {
            for op in self.pending[at].drain(..) {
                op.apply(&mut self.synced[at]);
            }
        } else {
            self.pending[at].push(op.clone());
        }
    }

    /// Unsynced operations of a file.
    pub(crate) fn n_pending(&self, file: DiskFile) -> usize {
        self.pending[at(file)].len()
    }

    /// A disk as a crash at this instant may leave it: of each file what survives of it.
    pub(crate) fn image(&self, survives: impl Fn(DiskFile) -> Survives) -> TracedDisk {
        let mut files = self.synced.clone();
        for file in [DiskFile::Log, DiskFile::State] {
            survive(&mut files[at(file)], &self.pending[at(file)], survives(file));
        }
        TracedDisk::with(files)
    }
}
