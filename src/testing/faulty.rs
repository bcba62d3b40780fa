//! A disk in memory that is full, slow or broken on order, and loses in a crash what was not synced.
//!
//! Allowed faults, all of them survived: no room; an operation that takes as long as a test likes; a sync
//! that fails, after which what it was for may be lost; the end of the process at any operation, after
//! which what was not synced is there in any part. Not allowed, and there to show that it is noticed: a
//! sync that does nothing and says that it did, and files that are replaced by older ones.
//!
//! D1  Who was there before a crash changes nothing any more, and opens nothing anew.

use std::io;
use std::sync::Arc;

use redb::{Database, StorageBackend};

use super::traced::{Op, Survives, at, survive};
use crate::sync::{Condvar, Mutex};
use crate::wal::{Disk, DiskFile, Refusal};

#[derive(Debug, Default)]
struct FileState {
    /// With what was not synced.
    bytes: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<Op>,
    /// Operations until whoever comes has to wait.
    held_after: Option<usize>,
    n_waiting: usize,
    /// Operations until there is no room.
    full_after: Option<usize>,
    /// Operations until nothing works any more.
    dead_after: Option<usize>,
    fails_sync: bool,
    /// How often it was opened since `full_after` was set.
    n_opened: usize,
    /// How often there was no room since then.
    n_refused: usize,
    has_room_anew: bool,
}

#[derive(Debug, Default)]
struct World {
    files: [FileState; 2],
    /// How many crashes there were.
    life: u64,
    lies: bool,
}

/// See the file.
#[derive(Clone, Debug)]
pub(crate) struct FaultyDisk(Arc<(Mutex<World>, Condvar)>);

impl FaultyDisk {
    /// A disk that holds these files.
    pub(crate) fn with(files: [Vec<u8>; 2]) -> Self {
        let files = files.map(|bytes| FileState { synced: bytes.clone(), bytes, ..FileState::default() });
        Self(Arc::new((Mutex::new(World { files, ..World::default() }), Condvar::new())))
    }

    /// What a process has of it that begins now.
    pub(crate) fn process(&self) -> Arc<dyn Disk> {
        Arc::new(Process { disk: self.clone(), life: self.0.0.lock().life })
    }

    fn change(&self, file: DiskFile, change: impl FnOnce(&mut FileState)) {
        change(&mut self.0.0.lock().files[at(file)]);
        self.0.1.notify_all();
    }

    /// After so many more operations on `file`, whoever changes it waits; none: nobody does.
    pub(crate) fn hold(&self, file: DiskFile, after: Option<usize>) {
        self.change(file, |file| file.held_after = after);
    }

    /// True while somebody waits.
    pub(crate) fn is_held(&self, file: DiskFile) -> bool {
        self.0.0.lock().files[at(file)].n_waiting > 0
    }

    /// After so many more operations on `file` there is no room.
    pub(crate) fn set_full(&self, file: DiskFile, after: usize) {
        self.change(file, |file| (file.full_after, file.n_opened, file.n_refused) = (Some(after), 0, 0));
    }

    /// There is room again: for who found none, when he opens the file anew, and not while he tries.
    pub(crate) fn make_room(&self, file: DiskFile) {
        self.change(file, |file| {
            file.has_room_anew = file.n_refused > 0 && file.full_after.is_some();
            if !file.has_room_anew {
                file.full_after = None;
            }
        });
    }

    /// True once somebody found no room, opened the file again, and again found none. From then on trying
    /// changes nothing more: what a new opening syncs is synced.
    pub(crate) fn is_stuck(&self, file: DiskFile) -> bool {
        let file = &self.0.0.lock().files[at(file)];
        file.full_after == Some(0) && file.n_opened >= 2
    }

    /// After so many more operations on `file` nothing works until the next crash.
    pub(crate) fn die_after(&self, file: DiskFile, after: usize) {
        self.change(file, |file| file.dead_after = Some(after));
    }

    /// Whether the next sync of `file` fails.
    pub(crate) fn fail_sync(&self, file: DiskFile, fails: bool) {
        self.change(file, |file| file.fails_sync = fails);
    }

    /// From now on a sync does nothing, and says that it did.
    pub(crate) fn lie(&self) {
        self.0.0.lock().lies = true;
    }

    /// Operations on `file` that were not synced.
    pub(crate) fn n_pending(&self, file: DiskFile) -> usize {
        self.0.0.lock().files[at(file)].pending.len()
    }

    /// What of the files is on disk.
    pub(crate) fn synced(&self) -> [Vec<u8>; 2] {
        let world = self.0.0.lock();
        [DiskFile::Log, DiskFile::State].map(|file| world.files[at(file)].synced.clone())
    }

    /// Puts other files in place of these, as only somebody with a copy does.
    pub(crate) fn put_back(&self, files: [Vec<u8>; 2]) {
        let mut world = self.0.0.lock();
        for (state, bytes) in world.files.iter_mut().zip(files) {
            *state = FileState {
                synced: bytes.clone(),
                bytes,
                n_waiting: state.n_waiting,
                ..FileState::default()
            };
        }
    }

    /// The process ends; of each file that survives which `survives` says. All faults end too.
    pub(crate) fn crash(&self, survives: impl Fn(DiskFile) -> Survives) {
        let mut world = self.0.0.lock();
        world.life += 1;
        for file in [DiskFile::Log, DiskFile::State] {
            let state = &mut world.files[at(file)];
            let mut bytes = std::mem::take(&mut state.synced);
            survive(&mut bytes, &state.pending, survives(file));
            *state = FileState {
                synced: bytes.clone(),
                bytes,
                n_waiting: state.n_waiting,
                ..FileState::default()
            };
        }
        drop(world);
        self.0.1.notify_all();
    }
}

/// The disk as a process sees it that was begun now; nothing after its end.
#[derive(Debug)]
struct Process {
    disk: FaultyDisk,
    life: u64,
}

impl Disk for Process {
    fn exists(&self, file: DiskFile) -> bool {
        !self.disk.0.0.lock().files[at(file)].bytes.is_empty()
    }

    fn open(&self, file: DiskFile, cache_bytes: usize) -> Result<Database, Refusal> {
        {
            let mut world = self.disk.0.0.lock();
            // D1
            if world.life != self.life {
                return Err(Refusal { is_full: false, cause: "the process is dead".to_owned() });
            }
            let state = &mut world.files[at(file)];
            state.n_opened += 1;
            if std::mem::take(&mut state.has_room_anew) {
                state.full_after = None;
            }
        }
        let backend = OpenFile { disk: self.disk.clone(), file, life: self.life };
        Database::builder().set_cache_size(cache_bytes).create_with_backend(backend).map_err(Refusal::of)
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: FaultyDisk,
    file: DiskFile,
    life: u64,
}

/// Counts an operation against what is left of them; true where none was.
fn is_spent(left: &mut Option<usize>) -> bool {
    match left {
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

impl OpenFile {
    fn take(&self, op: Op) -> io::Result<()> {
        let (world, moved) = &*self.disk.0;
        let mut world = world.lock();
        // D1
        let gone = || io::Error::other("the process is dead");
        loop {
            if world.life != self.life {
                return Err(gone());
            }
            let file = &mut world.files[at(self.file)];
            if !is_spent(&mut file.held_after) {
                break;
            }
            file.n_waiting += 1;
            moved.wait(&mut world);
            world.files[at(self.file)].n_waiting -= 1;
        }
        let lies = world.lies;
        let file = &mut world.files[at(self.file)];
        if is_spent(&mut file.dead_after) {
            return Err(gone());
        }
        if matches!(op, Op::Sync) {
            if std::mem::take(&mut file.fails_sync) {
                return Err(io::Error::other("a sync failed"));
            }
            if !lies {
                for op in std::mem::take(&mut file.pending) {
                    op.apply(&mut file.synced);
                }
            }
            return Ok(());
        }
        if is_spent(&mut file.full_after) {
            file.n_refused += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        op.apply(&mut file.bytes);
        file.pending.push(op);
        Ok(())
    }
}

impl StorageBackend for OpenFile {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.disk.0.0.lock().files[at(self.file)].bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let world = self.disk.0.0.lock();
        if world.life != self.life {
            return Err(io::Error::other("the process is dead"));
        }
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = world.files[at(self.file)].bytes.get(from..from + out.len());
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
