//! Sandboxes of this machine, as what is left in them is looked for.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::driver::walk::{Tree, collect};
use crate::launch::{Left, LeftError, OUTPUTS_FILE, OutputSource};
use crate::limits::DATA_BYTES_MAX;
use crate::model::{Interface, JobId, LaunchName};

use super::protocol::Asked;
use super::sandbox::{RESULT_FILE, SandboxFolder};

/// Finds what the executions of a store left, and reads what they print; see
/// [`Engine::collect_outputs`](crate::Engine::collect_outputs) and [`Engine::read_printed_of`](crate::Engine::read_printed_of).
#[derive(Clone, Debug)]
pub struct LocalOutputs(pub(super) SandboxFolder);

impl LocalOutputs {
    /// Those of the store in that directory.
    ///
    /// # Errors
    /// Where there is no such directory.
    pub fn of(store: &Path) -> io::Result<Self> {
        Ok(Self(SandboxFolder::of(&store.canonicalize()?)))
    }
}

impl OutputSource for LocalOutputs {
    fn collect(
        &self,
        (name, job, exe_num): (LaunchName, JobId, u32),
        declared: &Interface,
    ) -> Result<Left, LeftError> {
        let sandbox = self.0.sandbox(Asked { name, job, exe_num });
        // Its absence is no fault of the command.
        fs::metadata(sandbox.dir()).map_err(unreadable)?;
        collect(&mut Folder(sandbox.dir().to_owned()), declared)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: io::Error) -> LeftError {
    LeftError::Unreadable { reason: error.to_string() }
}

/// A sandbox by its path.
struct Folder(PathBuf);

impl Tree for Folder {
    fn each(
        &mut self,
        folder: &Path,
        tell: &mut dyn FnMut(&OsStr) -> Result<(), LeftError>,
    ) -> Result<(), LeftError> {
        let mut entries = match fs::read_dir(self.0.join(folder)) {
            Ok(entries) => entries,
            Err(error) if is_none(&error) => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        entries.try_for_each(|entry| tell(&entry.map_err(unreadable)?.file_name()))
    }

    fn is_there(&mut self, path: &Path) -> Result<bool, LeftError> {
        Ok(self.0.join(path).exists())
    }

    fn plain(&mut self, path: &Path) -> Result<Option<u64>, LeftError> {
        let about = fs::metadata(self.0.join(path)).ok().filter(fs::Metadata::is_file);
        Ok(about.map(|about| about.len()))
    }

    fn is_ours(&self, path: &Path) -> bool {
        path == Path::new(RESULT_FILE)
    }

    fn name(&self, path: &Path) -> Option<String> {
        self.0.join(path).into_os_string().into_string().ok()
    }

    fn document(&mut self) -> Result<Option<Vec<u8>>, LeftError> {
        let path = self.0.join(OUTPUTS_FILE);
        match fs::metadata(&path) {
            Ok(about) if about.is_file() => {}
            Ok(_) => return Err(LeftError::NoObject),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        }
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => LeftError::NoObject,
            _ => unreadable(error),
        })?;
        let mut bytes = Vec::new();
        file.take(DATA_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(Some(bytes))
    }
}

/// Nothing is to be found there, and that is the command's doing.
fn is_none(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory, io::ErrorKind::PermissionDenied];
    kinds.contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;
    use crate::launch::LeftFile;
    use crate::limits::{
        OUTPUT_ENTRIES_MAX, OUTPUT_FILES_MAX, OUTPUT_PATTERN_BYTES_MAX, OUTPUT_PATTERN_NAMES_MAX,
    };
    use crate::model::{ExeId, FileParameter, JsonParameter, JsonType};

    /// A store with the sandbox of one launch.
    struct Fixture {
        store: tempfile::TempDir,
        sandbox: PathBuf,
    }

    const LAUNCH: (LaunchName, JobId, u32) = (LaunchName { exe: ExeId(5), number: 2 }, JobId(7), 1);

    impl Fixture {
        fn new() -> Self {
            let store = tempfile::tempdir().expect("a directory");
            let sandbox = store.path().canonicalize().expect("it is there").join("sandbox/7x1.2");
            fs::create_dir_all(&sandbox).expect("a sandbox");
            Self { store, sandbox }
        }

        fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
            fs::write(self.sandbox.join(name), bytes).expect("written");
        }

        fn collect(&self, declared: &Interface) -> Result<Left, LeftError> {
            LocalOutputs::of(self.store.path()).expect("a store").collect(LAUNCH, declared)
        }

        /// Names and sizes of what a pattern finds.
        fn find(&self, pattern: &str) -> Result<Vec<(String, u64)>, LeftError> {
            let left = self.collect(&files(pattern))?;
            let name = |file: LeftFile| {
                let path = Path::new(&file.path).strip_prefix(&self.sandbox).expect("within");
                (path.display().to_string(), file.bytes)
            };
            Ok(left.files.into_iter().map(name).collect())
        }
    }

    fn files(pattern: &str) -> Interface {
        let mut interface = Interface::default();
        let mut parameter = FileParameter::new("out");
        (parameter.pattern, parameter.media_types) = (Some(pattern.to_owned()), vec!["text/plain".into()]);
        interface.files = vec![parameter];
        interface
    }

    fn values() -> Interface {
        let mut interface = Interface::default();
        let mut with_key = JsonParameter::new("B", JsonType::String);
        with_key.key = Some("b-key".into());
        interface.json = vec![JsonParameter::new("A", JsonType::Integer), with_key];
        interface
    }

    #[test]
    fn files_are_found_by_their_pattern() {
        let fixture = Fixture::new();
        for name in ["stdout", "stderr", RESULT_FILE, OUTPUTS_FILE, "b.txt.metadata.json", ".hidden.txt"] {
            fixture.write(name, "ours or about others");
        }
        fs::create_dir_all(fixture.sandbox.join("sub/deep")).expect("folders");
        for (name, text) in
            [("b.txt", "bb"), ("a.txt", "a"), ("c[", ""), ("sub/d.txt", "dddd"), ("f.csv", "")]
        {
            fixture.write(name, text);
        }
        symlink("a.txt", fixture.sandbox.join("l.txt")).expect("a link");
        symlink("nowhere", fixture.sandbox.join("n.txt")).expect("a link");
        let check = |pattern: &str, expected: &[(&str, u64)]| {
            let found = fixture.find(pattern).expect(pattern);
            let found: Vec<(&str, u64)> = found.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
            assert_eq!(found, expected, "{pattern}");
        };
        check("*.txt", &[("a.txt", 1), ("b.txt", 2), ("l.txt", 1)]);
        check("**", &[("a.txt", 1), ("b.txt", 2), ("c[", 0), ("f.csv", 0), ("l.txt", 1)]);
        check("[ab].*", &[("a.txt", 1), ("b.txt", 2)]);
        check("./*/?.txt", &[("sub/d.txt", 4)]);
        check("sub/d.txt", &[("sub/d.txt", 4)]);
        check("/sub//*", &[("sub/d.txt", 4)]);
        check("c[", &[("c[", 0)]);
        check(".h*", &[(".hidden.txt", 20)]);
        for nothing in ["", "/", "sub", "../*/a.txt", "sub/../a.txt", "a.txt/*", "none/*", "stdout", "n.txt"]
        {
            check(nothing, &[]);
        }
        let deep = |n: usize| vec!["sub"; n].join("/");
        fs::create_dir_all(fixture.sandbox.join(deep(OUTPUT_PATTERN_NAMES_MAX))).expect("folders");
        for n in OUTPUT_PATTERN_NAMES_MAX - 1..=OUTPUT_PATTERN_NAMES_MAX {
            fixture.write(&format!("{}/x.deep", deep(n)), "");
            let n_found = usize::from(n < OUTPUT_PATTERN_NAMES_MAX);
            let pattern = format!("{}/*.deep", deep(n));
            assert_eq!(fixture.find(&pattern).map(|found| found.len()), Ok(n_found), "{n}");
        }
        for (n, n_found) in [(0, 1), (1, 0)] {
            let pattern = format!("{}a.txt", "/".repeat(OUTPUT_PATTERN_BYTES_MAX - "a.txt".len() + n));
            assert_eq!(fixture.find(&pattern).map(|found| found.len()), Ok(n_found), "{n}");
        }
        let left = fixture.collect(&files("a.txt")).expect("files");
        assert_eq!((left.files[0].output.as_str(), left.files[0].media_type.as_str()), ("out", "text/plain"));
    }

    #[test]
    fn values_are_found_by_their_keys() {
        let fixture = Fixture::new();
        assert_eq!(fixture.collect(&values()), Ok(Left::default()), "nothing is left");
        fixture.write(OUTPUTS_FILE, r#"{"A": 1, "B": 2, "b-key": "x", "more": []}"#);
        let left = fixture.collect(&values()).expect("values");
        assert_eq!(json!(left.json), json!({ "A": 1, "B": "x" }));
        for no_object in ["", "[]", "null", "{\"A\"", "{} {}"] {
            fixture.write(OUTPUTS_FILE, no_object);
            assert_eq!(fixture.collect(&values()), Err(LeftError::NoObject), "{no_object:?}");
            assert_eq!(fixture.collect(&Interface::default()), Ok(Left::default()), "it is not asked for");
        }
    }

    #[test]
    fn no_more_is_read_than_the_limits_say() {
        let fixture = Fixture::new();
        let document = |bytes: usize| format!("{{\"A\": 1{}}}", " ".repeat(bytes - 8));
        fixture.write(OUTPUTS_FILE, document(DATA_BYTES_MAX));
        assert!(fixture.collect(&values()).is_ok());
        fixture.write(OUTPUTS_FILE, document(DATA_BYTES_MAX + 1));
        assert_eq!(fixture.collect(&values()), Err(LeftError::TooLong { most: DATA_BYTES_MAX }));
        (0..OUTPUT_FILES_MAX).for_each(|n| fixture.write(&format!("{n}.txt"), ""));
        assert_eq!(fixture.find("*.txt").map(|found| found.len()), Ok(OUTPUT_FILES_MAX));
        fixture.write("more.txt", "");
        assert_eq!(fixture.find("*.txt"), Err(LeftError::TooManyFiles { most: OUTPUT_FILES_MAX }));
        (0..OUTPUT_ENTRIES_MAX).for_each(|n| fixture.write(&format!("{n}.csv"), ""));
        assert_eq!(fixture.find("*.txt"), Err(LeftError::TooManyEntries { most: OUTPUT_ENTRIES_MAX }));
        assert_eq!(fixture.find("more.txt").map(|found| found.len()), Ok(1), "by its name");
    }

    #[test]
    fn what_is_no_plain_file_is_waited_for_by_nobody() {
        let fixture = Fixture::new();
        for name in [OUTPUTS_FILE, "pipe.txt"] {
            let made = std::process::Command::new("mkfifo").arg(fixture.sandbox.join(name)).status();
            assert!(made.expect("a program").success());
        }
        assert_eq!(fixture.find("*.txt"), Ok(Vec::new()));
        assert_eq!(fixture.collect(&values()), Err(LeftError::NoObject));
    }

    #[test]
    fn a_sandbox_that_is_gone_is_no_fault_of_the_command() {
        let fixture = Fixture::new();
        fs::remove_dir(&fixture.sandbox).expect("removed");
        assert!(matches!(fixture.collect(&values()), Err(LeftError::Unreadable { .. })));
    }
}
