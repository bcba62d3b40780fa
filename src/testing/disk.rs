//! A disk in memory that refuses every write from a moment on. Allowed faults: an error on write,
//! on growing and on sync. The log must survive them by promising nothing more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{Database, StorageBackend, backends::InMemoryBackend};

use crate::wal::{Disk, DiskFile, Refusal};

/// See the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailingDisk {
    is_failing: Arc<AtomicBool>,
    inner: Arc<InMemoryBackend>,
}

impl FailingDisk {
    /// From now on nothing can be written.
    pub(crate) fn fail(&self) {
        self.is_failing.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), io::Error> {
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("it is broken"));
        }
        Ok(())
    }
}

impl Disk for FailingDisk {
    fn exists(&self, _: DiskFile) -> bool {
        true
    }

    fn open(&self, _: DiskFile, _: usize) -> Result<Database, Refusal> {
        Database::builder().create_with_backend(self.clone()).map_err(Refusal::of)
    }
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> Result<u64, io::Error> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.check()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.check()?;
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.check()?;
        self.inner.write(offset, data)
    }
}
