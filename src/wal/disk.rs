//! Where the redb files of a store are: a directory, or whatever a test puts in its place.
//!
//! K1  A file appears under its name only once it is whole: who is killed while making it leaves none.
//! K2  A file may be opened again after its database was dropped: that is the way on after a disk that
//!     was full.
//! K3  A sync that fails is never taken for a full disk: what it was to bring to the disk may be gone
//!     from the cache of the system, and only opening the store again tells what is there.
//! K4  A file of which a sync failed is marked, and copied before it is opened again: the cache may show what
//!     never reached the disk and is not tried again, and a copy that was synced did. The mark need not
//!     survive the machine, for the cache does not either. Where no mark can be made nothing is promised.
//! K5  Much is written to the state file a little at a time, each synced, with a rest as long as that took: a
//!     sync of the log would wait for all that the disk was given. Where what waits for the next checkpoint
//!     grows meanwhile as fast, it hurries: what waits has to be read again after a crash.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, StorageBackend};

use crate::clock::monotonic;
use crate::limits::{PACE_BYTES, PACE_REST_MAX};
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// The files of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DiskFile {
    /// The write-ahead log.
    Log,
    /// The folded state.
    State,
}

impl DiskFile {
    /// Its name in a directory.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Log => "log.redb",
            Self::State => "state.redb",
        }
    }
}

/// What a storage says, and whether it only wants room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) is_full: bool,
    pub(crate) cause: String,
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// What to do, where the error says what it is.
fn way_on(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => "; mount its file system for writing, then open the store again",
        io::ErrorKind::PermissionDenied => "; let this user write its files, then open the store again",
        _ => "",
    }
}

impl Refusal {
    /// What redb says.
    pub(crate) fn of(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) => Self::io(&error),
            other => Self { is_full: false, cause: other.to_string() },
        }
    }

    fn io(error: &io::Error) -> Self {
        Self { is_full: is_full(error), cause: format!("{error}{}", way_on(error)) }
    }
}

/// See the file.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// True where the file was made before.
    fn exists(&self, file: DiskFile) -> bool;

    /// Opens a file, or makes an empty one. redb repairs one that was not closed.
    fn open(&self, file: DiskFile, cache_bytes: usize) -> Result<Database, Refusal>;

    /// Whether the state file is written as fast as it can be. K5
    fn hurry(&self, _hurries: bool) {}
}

/// A database that is open. To close one is to read and write its file: on pages that are not what it wrote
/// the storage panics there, and again while it cleans up after that, which ends the process. So one that
/// is not trusted is left as a killed process leaves it, until this one ends.
pub(crate) struct Held {
    database: Option<Database>,
    is_trusted: AtomicBool,
}

impl Held {
    /// Not trusted yet.
    pub(crate) fn new(database: Database) -> Self {
        Self { database: Some(database), is_trusted: AtomicBool::new(false) }
    }

    /// Whether all that was read of it so far was right.
    pub(crate) fn trust(&self, is_trusted: bool) {
        // Relaxed: whoever drops it has it alone.
        self.is_trusted.store(is_trusted, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Held {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.database.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let database = self.database.take();
        if std::thread::panicking() || !self.is_trusted.load(Ordering::Relaxed) {
            std::mem::forget(database);
        } else {
            // What was synced is on disk already.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
        }
    }
}

/// A directory of the file system.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    hurries: Arc<AtomicBool>,
}

impl Disk for Directory {
    fn exists(&self, file: DiskFile) -> bool {
        self.path.join(file.name()).exists()
    }

    fn open(&self, file: DiskFile, cache_bytes: usize) -> Result<Database, Refusal> {
        let mark = self.path.join(file.name()).with_extension("suspect");
        // Nobody waits for the log's.
        let unpaced = || Arc::new(AtomicBool::new(true));
        let hurries = if file == DiskFile::State { self.hurries.clone() } else { unpaced() };
        let create = |path: &Path| -> Result<Database, Refusal> {
            let file =
                DataFile::open(path, mark.clone(), hurries.clone()).map_err(|error| Refusal::io(&error))?;
            let mut builder = Database::builder();
            builder.set_cache_size(cache_bytes).create_with_backend(file).map_err(Refusal::of)
        };
        let path = self.path.join(file.name());
        if !path.exists() {
            let aside = path.with_extension("new");
            match fs::remove_file(&aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Refusal::io(&error)),
                _ => {}
            }
            drop(create(&aside)?);
            let rename = || {
                fs::rename(&aside, &path)?;
                File::open(&self.path)?.sync_all()
            };
            rename().map_err(|error| Refusal::io(&error))?;
        }
        if mark.exists() {
            self.write_anew(&path, &mark).map_err(|error| Refusal::io(&error))?;
        }
        create(&path)
    }

    fn hurry(&self, hurries: bool) {
        // Relaxed: a hint.
        self.hurries.store(hurries, Ordering::Relaxed);
    }
}

impl Directory {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), hurries: Arc::default() }
    }

    /// Puts a synced copy of a file in its place, and takes its mark away. K4
    fn write_anew(&self, path: &Path, mark: &Path) -> io::Result<()> {
        let copy = path.with_extension("copy");
        let mut written = File::create(&copy)?;
        io::copy(&mut File::open(path)?, &mut written)?;
        written.sync_all()?;
        fs::rename(&copy, path)?;
        File::open(&self.path)?.sync_all()?;
        fs::remove_file(mark)
    }
}

/// A file that nobody else has open: whoever opens it holds the lock of the store.
#[derive(Debug)]
struct DataFile {
    file: File,
    /// Made when a sync fails.
    mark: PathBuf,
    /// It is not paced. K5
    hurries: Arc<AtomicBool>,
    /// Bytes written since the last sync.
    n_unsynced: AtomicU64,
    /// A sync failed.
    is_failed: AtomicBool,
}

impl DataFile {
    fn open(path: &Path, mark: PathBuf, hurries: Arc<AtomicBool>) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let (n_unsynced, is_failed) = (AtomicU64::new(0), AtomicBool::new(false));
        Ok(Self { file, mark, hurries, n_unsynced, is_failed })
    }

    /// One that failed is not tried again: the system would not say that it failed. K3
    fn sync(&self) -> io::Result<()> {
        // Relaxed, both: redb writes a file from one thread at a time, and a sync too many or too late is
        // none that was asked for.
        self.n_unsynced.store(0, Ordering::Relaxed);
        if self.is_failed.load(Ordering::Relaxed) {
            return Err(io::Error::other("an earlier sync failed"));
        }
        self.synced(self.file.sync_data())
    }

    /// K5
    fn pace(&self, n_bytes: usize) -> io::Result<()> {
        let n_bytes = n_bytes as u64;
        let is_much = self.n_unsynced.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes >= PACE_BYTES;
        if is_much && !self.hurries.load(Ordering::Relaxed) {
            let from = monotonic();
            self.sync()?;
            std::thread::sleep((monotonic() - from).min(PACE_REST_MAX));
        }
        Ok(())
    }

    /// What becomes of a sync.
    fn synced(&self, result: io::Result<()>) -> io::Result<()> {
        result.map_err(|error| {
            self.is_failed.store(true, Ordering::Relaxed);
            // Where it cannot be made there is nothing left to do. K4
            let _ = File::create(&self.mark);
            // K3
            io::Error::other(format!("sync failed: {error}"))
        })
    }
}

impl StorageBackend for DataFile {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write_all_at(data, offset)?;
        self.pace(data.len())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use redb::{ReadableDatabase, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<u64, u64> = TableDefinition::new("t");

    fn value(database: &Database) -> u64 {
        let table = database.begin_read().expect("readable").open_table(TABLE).expect("there");
        table.get(1).expect("readable").expect("there").value()
    }

    /// A disk in memory whose every read panics once it is told to.
    #[derive(Debug, Default)]
    struct Panicking(redb::backends::InMemoryBackend, Arc<AtomicBool>);

    impl Panicking {
        fn check(&self) {
            assert!(!self.1.load(Ordering::Relaxed), "a page is not what was written");
        }
    }

    impl StorageBackend for Panicking {
        fn len(&self) -> io::Result<u64> {
            self.check();
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.check();
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.check();
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.check();
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.check();
            self.0.write(offset, data)
        }
    }

    #[test]
    fn a_database_that_cannot_be_closed_ends_nobody_also_while_a_panic_is_under_way() {
        let open = || {
            let backend = Panicking::default();
            let is_panicking = backend.1.clone();
            let held = Held::new(Database::builder().create_with_backend(backend).expect("made"));
            held.trust(true);
            is_panicking.store(true, Ordering::Relaxed);
            held
        };
        drop(open());
        let held = open();
        let panic = catch_unwind(AssertUnwindSafe(move || {
            let _held = held;
            panic!("the first one");
        }));
        assert_eq!(panic.expect_err("it panicked").downcast_ref(), Some(&"the first one"));
    }

    #[test]
    fn much_that_is_written_is_synced_on_the_way_unless_there_is_hurry() {
        let directory = tempfile::tempdir().expect("a directory");
        let hurries = Arc::new(AtomicBool::new(false));
        let path = directory.path().join("file");
        let file = DataFile::open(&path, path.with_extension("suspect"), hurries.clone()).expect("made");
        let half = vec![7; usize::try_from(PACE_BYTES / 2).expect("small")];
        let unsynced_after = |n_writes: u64| {
            (0..n_writes).for_each(|n| file.write(n * PACE_BYTES / 2, &half).expect("written"));
            file.n_unsynced.load(Ordering::Relaxed)
        };
        assert_eq!(unsynced_after(1), PACE_BYTES / 2);
        assert_eq!(unsynced_after(1), 0, "K5");
        hurries.store(true, Ordering::Relaxed);
        assert_eq!(unsynced_after(5), 5 * PACE_BYTES / 2);
        file.sync_data().expect("synced");
        assert_eq!(unsynced_after(0), 0);
    }

    #[test]
    fn a_file_of_which_a_sync_failed_is_a_synced_copy_before_it_is_opened_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Directory::new(directory.path());
        let path = directory.path().join(DiskFile::Log.name());
        let (mark, copy) = (path.with_extension("suspect"), path.with_extension("copy"));
        let database = disk.open(DiskFile::Log, 1 << 20).expect("made");
        let txn = database.begin_write().expect("writable");
        txn.open_table(TABLE).expect("made").insert(1, 7).expect("written");
        txn.commit().expect("committed");
        drop(database);
        let inode = || fs::metadata(&path).expect("there").ino();
        let before = inode();
        let file = DataFile::open(&path, mark.clone(), Arc::default()).expect("there");
        file.synced(Ok(())).expect("well");
        assert!(!mark.exists());
        let error = file.synced(Err(io::ErrorKind::StorageFull.into())).expect_err("it failed");
        assert!(mark.exists() && !Refusal::io(&error).is_full, "K3: {error}");
        file.sync_data().expect_err("it is not tried again");
        drop(file);
        // Where no copy can be made it stays marked, and is not opened.
        fs::create_dir(&copy).expect("made");
        disk.open(DiskFile::Log, 1 << 20).expect_err("something is in the way");
        assert!(mark.exists() && inode() == before);
        fs::remove_dir(&copy).expect("removed");
        fs::write(&copy, "left half written").expect("written");
        let database = disk.open(DiskFile::Log, 1 << 20).expect("copied");
        assert_eq!(value(&database), 7);
        assert!(!mark.exists() && !copy.exists() && inode() != before);
        drop(database);
        let database = disk.open(DiskFile::Log, 1 << 20).expect("opened");
        assert_eq!(value(&database), 7);
    }
}
