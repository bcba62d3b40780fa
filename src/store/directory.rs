//! The directory of a store and its lock.
//!
//! D1  At most one process holds the lock; the system gives it back when that process ends, however
//!     it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::recovery::OpenError;

/// Where the files of a store are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFiles {
    directory: PathBuf,
}

impl StoreFiles {
    /// The files of the store at `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The write-ahead log.
    pub fn log(&self) -> PathBuf {
        self.directory.join("log.redb")
    }

    /// The folded state.
    pub fn state(&self) -> PathBuf {
        self.directory.join("state.redb")
    }

    /// The lock; it holds the process id of its owner.
    pub fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// True where a store was made before.
    pub fn is_there(&self) -> bool {
        self.log().exists() || self.state().exists()
    }
}

/// The process that wrote its id into a lock last; none where that cannot be read.
fn owner(lock: &File) -> Option<u32> {
    let mut text = String::new();
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// A store that nobody opens while this value lives, and of which nothing was changed for that.
#[derive(Debug)]
pub(super) struct Held {
    /// None for a store that was never locked.
    #[expect(dead_code, reason = "the open file is the lock")]
    lock: Option<File>,
    /// The process that had the store open last.
    pub(super) last_owner: Option<u32>,
}

impl Held {
    pub(super) fn take(files: &StoreFiles) -> Result<Self, OpenError> {
        let io = |action, source| OpenError::Io { action, path: files.lock(), source };
        let lock = match File::open(files.lock()) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { lock: None, last_owner: None });
            }
            Err(error) => return Err(io("open the lock", error)),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(Self { last_owner: owner(&lock), lock: Some(lock) }),
            Err(TryLockError::WouldBlock) => {
                let directory = files.directory().to_owned();
                Err(OpenError::Locked { directory, owner: owner(&lock) })
            }
            Err(TryLockError::Error(source)) => Err(io("take the lock", source)),
        }
    }
}

/// How often a lock that is taken is looked at again, before the store counts as in use.
const LOOKS_MAX: usize = 10;

const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// The lock on a store, held while this value lives.
#[derive(Debug)]
pub(crate) struct StoreLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl StoreLock {
    /// Makes the directory where it is missing, and takes its lock.
    pub(super) fn take(files: &StoreFiles) -> Result<Self, OpenError> {
        let io = |action: &'static str, path: PathBuf| move |source| OpenError::Io { action, path, source };
        let directory = files.directory();
        std::fs::create_dir_all(directory).map_err(io("make the store directory", directory.to_owned()))?;
        let path = files.lock();
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io("open the lock", path.clone()))?;
        let mut locked = file.try_lock();
        for _ in 0..LOOKS_MAX {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            // A process that is being started keeps the descriptors of the one that starts it for a moment,
            // and with them a lock that was given up meanwhile.
            std::thread::sleep(LOOK_PAUSE);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { directory: directory.to_owned(), owner: owner(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(io("take the lock", path)(source)),
        }
        let write = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        write.map_err(io("write the lock", files.lock()))?;
        Ok(Self(file))
    }
}
