//! The id that a master gave the framework, kept beside the store: whoever comes back with it takes up what
//! runs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of the file with the id that a master gave the framework, in the directory of the store.
pub const FRAMEWORK_ID_FILE: &str = "mesos-framework-id";

/// Longest id that is taken.
const ID_BYTES_MAX: usize = 1 << 10;

/// See the file.
#[derive(Clone)]
pub(super) struct IdFile(PathBuf);

impl IdFile {
    pub(super) fn in_store(store: &Path) -> Self {
        Self(store.join(FRAMEWORK_ID_FILE))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The id; none where there is none yet.
    pub(super) fn read(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.0) {
            Ok(text) if (1..=ID_BYTES_MAX).contains(&text.trim().len()) => Ok(Some(text.trim().to_owned())),
            Ok(_) => Err(io::Error::other("it holds no id")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has the id on disk when it returns.
    pub(super) fn write(&self, id: &str) -> io::Result<()> {
        let new = self.0.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(id.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.0)?;
        self.0.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept() {
        let store = tempfile::tempdir().expect("a directory");
        let file = IdFile::in_store(store.path());
        assert_eq!(file.read().expect("readable"), None);
        for id in ["f-0", "f-1"] {
            file.write(id).expect("written");
            assert_eq!(file.read().expect("readable").as_deref(), Some(id));
        }
        fs::write(file.path(), " \n").expect("written");
        file.read().expect_err("an empty file is no new framework");
    }
}
