//! The directory of one launch: where its command runs, where its output and its result go.
//!
//! B1  A sandbox is made once and never used by a second launch.
//! B2  Its result appears whole (written aside, then renamed) and only after the process has ended.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::launch::{Launch, StatusUpdate, TaskState};
use crate::model::{JobId, LaunchName, Outcome, Timestamp, Usage};

use super::protocol::Asked;

/// The file of a sandbox that says how its execution ended. Its name leaves `result.json` to the
/// command, whose working directory this is.
pub const RESULT_FILE: &str = "weighbridge-result.json";

const RESULT_FILE_UNFINISHED: &str = ".weighbridge-result.tmp";

const FOLDER: &str = "sandbox";

/// Largest result that is read back; ours are far smaller, so a larger one is not ours.
const RESULT_BYTES_MAX: u64 = 64 << 10;

/// The folder of all sandboxes of a store.
#[derive(Clone, Debug)]
pub(super) struct SandboxFolder(PathBuf);

impl SandboxFolder {
    pub(super) fn of(store: &Path) -> Self {
        Self(store.join(FOLDER))
    }

    pub(super) fn create(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0)
    }

    pub(super) fn sandbox(&self, launch: Asked) -> Sandbox {
        let Asked { name, job, exe_num } = launch;
        Sandbox { launch, dir: self.0.join(format!("{job}x{exe_num}.{}", name.number)) }
    }
}

impl From<&Launch> for Asked {
    fn from(launch: &Launch) -> Self {
        Self { name: launch.name, job: launch.job, exe_num: launch.exe_num }
    }
}

/// The sandbox in `store` of launch number `launch` of the job's execution number `exe_num`.
pub fn sandbox_path(store: &Path, job: JobId, exe_num: u32, launch: u32) -> PathBuf {
    store.join(FOLDER).join(format!("{job}x{exe_num}.{launch}"))
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Sandbox {
    launch: Asked,
    dir: PathBuf,
}

/// The result, as it is on disk. Programs of users read it: fields are only ever added.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ResultRecord {
    job_id: JobId,
    exe_num: u32,
    launch: LaunchName,
    outcome: Outcome,
    usage: Usage,
    started: Option<Timestamp>,
    ended: Timestamp,
}

/// What a sandbox tells of its launch when nobody remembers it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// It never got as far as a sandbox.
    None,
    /// It was started, and whoever waited for it is gone.
    Unfinished,
    /// It ended.
    Ended(StatusUpdate),
}

impl Sandbox {
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes it, and the folder of all sandboxes where somebody has removed that. A store that is
    /// gone is not made anew.
    ///
    /// # Errors
    /// `AlreadyExists` when this launch was started before.
    pub(super) fn create(&self) -> io::Result<()> {
        match (fs::create_dir(&self.dir), self.dir.parent()) {
            (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(folder)?;
                fs::create_dir(&self.dir)
            }
            (made, _) => made,
        }
    }

    /// A new file in it, for output.
    pub(super) fn create_file(&self, name: &str) -> io::Result<File> {
        File::create(self.dir.join(name))
    }

    /// Takes it away again when nothing was started in it, so that the launch leaves no trace.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.dir)
    }

    /// Writes down how the launch ended, and makes the status that says so.
    pub(super) fn record(
        &self,
        outcome: Outcome,
        usage: Usage,
        started: Option<Timestamp>,
        ended: Timestamp,
    ) -> (StatusUpdate, io::Result<()>) {
        let Asked { name, job, exe_num } = self.launch;
        let record = ResultRecord { job_id: job, exe_num, launch: name, outcome, usage, started, ended };
        let written = self.write(&record);
        (record.into_status(), written)
    }

    fn write(&self, record: &ResultRecord) -> io::Result<()> {
        let aside = self.dir.join(RESULT_FILE_UNFINISHED);
        fs::write(&aside, serde_json::to_vec(record)?)?;
        fs::rename(&aside, self.dir.join(RESULT_FILE))
    }

    /// What is left of the launch on disk.
    pub(super) fn trace(&self) -> io::Result<Trace> {
        if !fs::exists(&self.dir)? {
            return Ok(Trace::None);
        }
        let result = self.read().filter(|record| record.launch == self.launch.name);
        Ok(result.map_or(Trace::Unfinished, |record| Trace::Ended(record.into_status())))
    }

    /// The result, if there is one that reads: a file the machine lost power over is no result.
    fn read(&self) -> Option<ResultRecord> {
        let mut bytes = Vec::new();
        let file = File::open(self.dir.join(RESULT_FILE)).ok()?;
        file.take(RESULT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

impl ResultRecord {
    fn into_status(self) -> StatusUpdate {
        let state = TaskState::Ended { outcome: self.outcome, usage: self.usage };
        StatusUpdate { name: self.launch, state, when: self.ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ExeId;

    fn sandbox(store: &Path) -> Sandbox {
        let folder = SandboxFolder::of(store);
        folder.create().expect("a folder");
        folder.sandbox(Asked { name: LaunchName { exe: ExeId(5), number: 2 }, job: JobId(7), exe_num: 3 })
    }

    #[test]
    fn a_result_reads_back_as_its_status() {
        let store = tempfile::tempdir().expect("a directory");
        let sandbox = sandbox(store.path());
        assert_eq!(sandbox.trace().expect("a look"), Trace::None);
        sandbox.create().expect("a sandbox");
        assert!(sandbox.dir().ends_with("sandbox/7x3.2"));
        assert_eq!(sandbox.trace().expect("a look"), Trace::Unfinished);
        let usage = Usage { wall_us: 1, cpu_us: 2, mem_kib: 3 };
        let (status, written) =
            sandbox.record(Outcome::Exited { code: 4 }, usage, Some(Timestamp(5)), Timestamp(6));
        written.expect("a result");
        assert_eq!(sandbox.trace().expect("a look"), Trace::Ended(status));
        assert_eq!(sandbox.create().expect_err("there").kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn the_folder_of_sandboxes_comes_back_and_the_store_does_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = dir.path().join("store");
        fs::create_dir(&store).expect("a store");
        let sandbox = sandbox(&store);
        fs::remove_dir(store.join(FOLDER)).expect("removed");
        sandbox.create().expect("a sandbox");
        fs::remove_dir_all(&store).expect("removed");
        assert_eq!(sandbox.create().expect_err("no store").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_result_that_does_not_read_is_none() {
        let store = tempfile::tempdir().expect("a directory");
        let sandbox = sandbox(store.path());
        sandbox.create().expect("a sandbox");
        for bytes in ["", "{}", "{\"launch\"", "\0\0\0"] {
            fs::write(sandbox.dir().join(RESULT_FILE), bytes).expect("written");
            assert_eq!(sandbox.trace().expect("a look"), Trace::Unfinished, "{bytes:?}");
        }
    }

    #[test]
    fn the_result_of_another_launch_is_none() {
        let store = tempfile::tempdir().expect("a directory");
        let sandbox = sandbox(store.path());
        sandbox.create().expect("a sandbox");
        let other = Sandbox {
            launch: Asked { name: LaunchName { exe: ExeId(6), number: 2 }, ..sandbox.launch },
            dir: sandbox.dir.clone(),
        };
        other.record(Outcome::Canceled, Usage::default(), None, Timestamp(0)).1.expect("a result");
        assert_eq!(sandbox.trace().expect("a look"), Trace::Unfinished);
    }
}
