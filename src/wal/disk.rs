//! Where the redb files of a store are: a directory, or whatever a test puts in its place.
//!
//! K1  A file appears under its name only once it is whole: who is killed while making it leaves none.
//! K2  A file may be opened again after its database was dropped: that is the way on after a disk that
//!     was full.
//! K3  A sync that fails is never taken for a full disk: what it was to bring to the disk may be gone
//!     from the cache of the system, and only opening the store again tells what is there.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use redb::{Database, StorageBackend};

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

impl Refusal {
    /// What redb says.
    pub(crate) fn of(error: impl Into<redb::Error>) -> Self {
        let error = error.into();
        let is_full = matches!(&error, redb::Error::Io(error) if is_full(error));
        Self { is_full, cause: error.to_string() }
    }

    fn io(error: &io::Error) -> Self {
        Self { is_full: is_full(error), cause: error.to_string() }
    }
}

/// See the file.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// True where the file was made before.
    fn exists(&self, file: DiskFile) -> bool;

    /// Opens a file, or makes an empty one. redb repairs one that was not closed.
    fn open(&self, file: DiskFile, cache_bytes: usize) -> Result<Database, Refusal>;
}

/// A directory of the file system.
#[derive(Clone, Debug)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Disk for Directory {
    fn exists(&self, file: DiskFile) -> bool {
        self.0.join(file.name()).exists()
    }

    fn open(&self, file: DiskFile, cache_bytes: usize) -> Result<Database, Refusal> {
        let create = |path: &Path| -> Result<Database, Refusal> {
            let file = DataFile::open(path).map_err(|error| Refusal::io(&error))?;
            let mut builder = Database::builder();
            builder.set_cache_size(cache_bytes).create_with_backend(file).map_err(Refusal::of)
        };
        let path = self.0.join(file.name());
        if !path.exists() {
            let aside = path.with_extension("new");
            match fs::remove_file(&aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Refusal::io(&error)),
                _ => {}
            }
            drop(create(&aside)?);
            let rename = || {
                fs::rename(&aside, &path)?;
                File::open(&self.0)?.sync_all()
            };
            rename().map_err(|error| Refusal::io(&error))?;
        }
        create(&path)
    }
}

/// A file that nobody else has open: whoever opens it holds the lock of the store.
#[derive(Debug)]
struct DataFile(File);

impl DataFile {
    fn open(path: &Path) -> io::Result<Self> {
        File::options().read(true).write(true).create(true).truncate(false).open(path).map(Self)
    }
}

impl StorageBackend for DataFile {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        // K3
        self.0.sync_data().map_err(|error| io::Error::other(format!("sync failed: {error}")))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write_all_at(data, offset)
    }
}
