//! Where supervisor and daemon meet: names in the store's directory, and the socket among them.
//!
//! A socket's address holds 108 bytes, less than many a path. So the directory is opened, and the
//! socket is named through `/proc/self/fd`, which is short whatever the directory is called.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Held by the living supervisor.
pub(super) const LOCK_FILE: &str = "supervisor.lock";

/// What the supervisor says to people.
pub(super) const LOG_FILE: &str = "supervisor.log";

const SOCKET_FILE: &str = "supervisor.sock";

/// The open directory of a store.
pub(super) struct StoreDir(File);

impl StoreDir {
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        File::open(store).map(Self)
    }

    /// Listens, in the place of whoever listened before. Only for the holder of the lock.
    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        self.remove_socket()?;
        UnixListener::bind(self.socket())
    }

    pub(super) fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.socket())
    }

    pub(super) fn remove_socket(&self) -> io::Result<()> {
        match std::fs::remove_file(self.socket()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_FILE}", self.0.as_raw_fd()))
    }
}
