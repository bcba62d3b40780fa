//! What the tests of the binary share: running it with a deadline, workloads on the fly, and looking
//! into a store.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod draw;

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use weighbridge::{Engine, Job, JobId, Options};

/// Longest wait for anything, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(5);

#[expect(clippy::disallowed_methods, reason = "tests wait in real time, with a deadline")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until `is_so`, and fails with `what` when that takes too long.
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    within(PATIENCE, what, is_so);
}

fn within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let end = now() + patience;
    while !is_so() {
        assert!(now() < end, "{what}: not within {patience:?}");
        std::thread::sleep(LOOK);
    }
}

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn says(&self, part: &str) -> &Self {
        assert!(self.stderr.contains(part), "{part:?} is missing in {self:#?}");
        self
    }
}

/// A directory to work in, with the binary at hand.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).expect("writable");
        self.path(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The binary, in this directory.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weighbridge"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_remove("WEIGHBRIDGE_SERVER").env_remove("WEIGHBRIDGE_OUTPUT").env_remove("RUST_LOG");
        command
    }

    /// Starts it, with its output in pipes.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Process::start(self.command(args))
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.start(args).wait()
    }
}

/// A process that is killed when a test gives up on it.
pub(crate) struct Process {
    child: Child,
    readers: Option<[std::thread::JoinHandle<String>; 2]>,
}

impl Process {
    pub(crate) fn start(command: Command) -> Self {
        Self::start_to(command, Stdio::piped())
    }

    /// The same, with its output where it can be read meanwhile.
    pub(crate) fn start_to(mut command: Command, out: impl Into<Stdio>) -> Self {
        let mut child = command.stdout(out).stderr(Stdio::piped()).spawn().expect("it starts");
        let out = child.stdout.take();
        let out = reader(
            out.map_or_else(|| Box::new(std::io::empty()) as Box<dyn Read + Send>, |out| Box::new(out)),
        );
        let err = reader(child.stderr.take().expect("piped"));
        Self { child, readers: Some([out, err]) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process id"), signal).expect("it can be signaled");
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("it can be waited for").is_some()
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> Ended {
        self.wait_for(PATIENCE)
    }

    /// The same, but no longer than that.
    pub(crate) fn wait_for(mut self, patience: Duration) -> Ended {
        within(patience, "the end of the process", || self.is_over());
        let status = self.child.wait().expect("it has ended");
        let [stdout, stderr] =
            self.readers.take().expect("taken once").map(|reader| reader.join().expect("read"));
        Ended { status, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reader(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).expect("readable");
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// A daemon on a port of its own.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) url: String,
    /// The line that says it is ready.
    pub(crate) line: String,
}

impl Daemon {
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().expect("it starts");
        let out = child.stdout.take().expect("piped");
        let mut daemon = Self { child, url: String::new(), line: String::new() };
        // Dropped where the line does not come, which ends the daemon and with it the reader.
        daemon.line = first_line(out);
        daemon.url = url_in(&daemon.line);
        daemon
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command that speaks to it.
    pub(crate) fn ask(&self, place: &Place, args: &[&str]) -> Ended {
        let mut command = place.command(args);
        command.env("WEIGHBRIDGE_SERVER", &self.url);
        Process::start(command).wait()
    }

    /// Asks it to end, and waits.
    pub(crate) fn end(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process id"), rustix::process::Signal::TERM)
            .expect("it lives");
        until("the end of the daemon", || self.child.try_wait().expect("a child").is_some());
        self.child.wait().expect("it has ended")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes first out of `out`.
fn first_line(out: impl Read + Send + 'static) -> String {
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        std::io::BufReader::new(out).read_line(&mut line).expect("readable");
        // Nobody hears it where the test gave up.
        let _ = told.send(line);
    });
    heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the daemon says nothing within {PATIENCE:?}"))
}

/// The address in what a daemon says.
fn url_in(line: &str) -> String {
    let from = line.find("http://").unwrap_or_else(|| panic!("no address in {line:?}"));
    let is_end = |c: char| c.is_whitespace() || c == ',' || c == '"';
    line[from..].split(is_end).next().unwrap_or_default().to_owned()
}

/// All jobs in the store at `path`, which nobody uses.
pub(crate) fn jobs_in(path: &Path) -> Vec<Job> {
    let engine = Engine::open(path, Options::default()).expect("the store opens");
    let mut jobs: Vec<Job> = Vec::new();
    loop {
        let after = jobs.last().map_or(JobId(0), |job| job.id);
        let page = engine.jobs(after, 1_000);
        if page.is_empty() {
            break;
        }
        jobs.extend(page);
    }
    engine.check_invariants();
    jobs
}

/// The ids that jobs appended to `path`, sorted.
pub(crate) fn ids_in(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut ids: Vec<u64> = text.lines().map(|line| line.parse().expect("an id per line")).collect();
    ids.sort_unstable();
    ids
}

/// A workload of `count` jobs, each of which appends its id to `{out_dir}/ran` and then sleeps.
pub(crate) fn appending(count: u32, sleep_s: &str) -> String {
    format!(
        r#"{{
  "job_types": [{{
    "name": "append",
    "command": ["sh", "-c", "echo {{job_id}} >> \"$0\"; sleep {sleep_s}", "{{out_dir}}/ran"],
    "resources": {{ "cpus": 0.25, "mem": 1 }}
  }}],
  "jobs": [{{ "type": "append", "count": {count} }}]
}}"#
    )
}

/// A workload of `count` jobs, each of which appends its id to `{out_dir}/ran`. Those after the
/// first `n_free` then wait until the test lets them go on.
pub(crate) fn held(count: u32, n_free: u32) -> String {
    format!(
        r#"{{
  "job_types": [{{
    "name": "hold",
    "command": ["sh", "-c", "echo {{job_id}} >> \"$0\"; [ {{job_id}} -le {n_free} ] || while [ -d \"$1\" ] && [ ! -e \"$1/go\" ]; do sleep 0.02; done", "{{out_dir}}/ran", "{{workload_dir}}"],
    "resources": {{ "cpus": 0.25, "mem": 1 }}
  }}],
  "jobs": [{{ "type": "hold", "count": {count} }}]
}}"#
    )
}

/// Lets the jobs of [`held`] end.
pub(crate) fn let_go(place: &Place) {
    place.write("go", "");
}
