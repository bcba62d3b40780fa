//! Where the files of a run are, what they take, and what this process takes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use weighbridge::StoreFiles;

use crate::figures::Anything;

/// A directory of this run's own, removed at the end.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    /// The kind of file system it is on.
    pub(crate) kind: String,
}

impl Place {
    /// Makes it in `parent`; by default where `peers` have their files, so that it is removed with
    /// them however this ends, or in cargo's target directory.
    ///
    /// Refuses a file system in memory, where a sync costs nothing and keeps nothing.
    pub(crate) fn new(parent: Option<&Path>, peers: Option<&Path>) -> Anything<Self> {
        let parent = match parent.or(peers) {
            Some(parent) => parent.to_owned(),
            None => target_directory()?,
        };
        fs::create_dir_all(&parent)
            .map_err(|error| format!("could not make {}: {error}", parent.display()))?;
        let kind = file_system_of(&parent)?;
        if matches!(kind.as_str(), "tmpfs" | "ramfs" | "devtmpfs") {
            let parent = parent.display();
            return Err(
                format!("{parent} is on {kind}, where a sync means nothing: name a disk with --dir").into()
            );
        }
        let directory = tempfile::Builder::new().prefix("durable-").tempdir_in(&parent)?;
        Ok(Self { directory, kind })
    }

    /// Where `name` of this run is.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Removes what was made in it so far.
    pub(crate) fn clear(&self) -> Anything<()> {
        for entry in fs::read_dir(self.directory.path())? {
            let entry = entry?;
            let is_directory = entry.file_type()?.is_dir();
            if is_directory { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        Ok(())
    }

    /// Whether `other` is on the same file system.
    pub(crate) fn shares_disk_with(&self, other: &Path) -> Anything<bool> {
        let theirs =
            fs::metadata(other).map_err(|error| format!("could not look at {}: {error}", other.display()))?;
        Ok(fs::metadata(self.directory.path())?.dev() == theirs.dev())
    }
}

/// The program is `target/release/examples/durable`.
fn target_directory() -> Anything<PathBuf> {
    let program = std::env::current_exe()?;
    let target =
        program.ancestors().nth(3).ok_or("where this program is says nothing of a target directory")?;
    Ok(target.to_owned())
}

/// The type of the mount that holds `directory`.
fn file_system_of(directory: &Path) -> Anything<String> {
    let directory = directory.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?, words.next()?);
        // Blanks in a path are written as an octal number.
        let at = PathBuf::from(at.replace("\\040", " "));
        directory.starts_with(&at).then(|| (at.components().count(), kind.to_owned()))
    };
    // Of two at one place the later one hides the other.
    let found = mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth);
    Ok(found.ok_or_else(|| format!("no mount holds {}", directory.display()))?.1)
}

/// Bytes on disk, by allocated blocks, of the log and the state of the store in `directory`.
pub(crate) fn store_bytes(directory: &Path) -> Anything<(u64, u64)> {
    let files = StoreFiles::new(directory);
    let bytes = |path: PathBuf| fs::metadata(path).map(|meta| meta.blocks() * 512);
    Ok((bytes(files.log())?, bytes(files.state())?))
}

/// Resident memory of this process: now, and the most it ever was.
pub(crate) fn memory_bytes() -> Anything<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status")?;
    let field = |name: &str| {
        let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).map(|kib| kib << 10)
    };
    let fields = field("VmRSS:").zip(field("VmHWM:"));
    Ok(fields.ok_or("/proc/self/status does not tell VmRSS and VmHWM")?)
}
