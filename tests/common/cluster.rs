//! A real Mesos for tests: masters and agents as processes of this machine.
//!
//! They are started with `mesos-up` and stopped with `mesos-down`, from the folder that `WEIGHBRIDGE_MESOS`
//! names, else from `../shared/tools/mesos` beside this crate. Without them the tests that need a cluster say
//! that they are skipped.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// The folder with the tool; `None`, and a word, where it is not there.
fn tool() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tools/mesos");
    let folder = std::env::var_os("WEIGHBRIDGE_MESOS").map_or_else(beside, PathBuf::from);
    let is_there = folder.join("mesos-up").is_file();
    if !is_there {
        println!("skipped: no mesos-up in {}; WEIGHBRIDGE_MESOS names its folder", folder.display());
    }
    is_there.then_some(folder)
}

/// The body of the answer to one request, which came with success.
fn exchange(host: &str, head: &str, body: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{head}Host: {host}\r\nConnection: close\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let is_well = head.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
    if is_well { Ok(body.to_owned()) } else { Err(io::Error::other(answer)) }
}

/// What a master tells under `path`; an error while it does not answer.
pub(crate) fn get(master: &str, path: &str) -> io::Result<Value> {
    let body = exchange(master, &format!("GET {path} HTTP/1.0\r\n"), "")?;
    serde_json::from_str(&body).map_err(|error| io::Error::other(format!("{error}: {body}")))
}

/// Has an operator call something; what the master answers.
pub(crate) fn operate(master: &str, call: &Value) -> io::Result<String> {
    let body = call.to_string();
    let length = body.len();
    let head = format!(
        "POST /api/v1 HTTP/1.0\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
         Content-Length: {length}\r\n"
    );
    exchange(master, &head, &body)
}

/// A cluster is a handful of processes: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A master, or several, and three agents, stopped when dropped.
pub(crate) struct Cluster {
    tool: PathBuf,
    directory: tempfile::TempDir,
    /// The address of the first master.
    pub(crate) master: String,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// `None` where there is no tool.
    pub(crate) fn start(more: &[&str]) -> Option<Self> {
        let tool = tool()?;
        let directory = tempfile::tempdir().expect("a directory");
        let mut cluster = Self { tool, directory, master: String::new(), _alone: ALONE.lock() };
        let mut up = cluster.command("mesos-up");
        up.args(["--port", "0", "--agents", "3", "--daemonize"]).args(more).stderr(Stdio::inherit());
        let up = up.output().expect("mesos-up can be run");
        let told = String::from_utf8_lossy(&up.stdout);
        assert!(up.status.success(), "mesos-up: {} {told}", up.status);
        let master = told.lines().find_map(|line| line.strip_prefix("MESOS_MASTER="));
        cluster.master = master.unwrap_or_else(|| panic!("no MESOS_MASTER= in {told:?}")).into();
        Some(cluster)
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.tool.join(name));
        command.arg("--work-dir").arg(self.directory.path()).stdin(Stdio::null());
        command
    }

    /// What the master tells of itself.
    pub(crate) fn state(&self) -> Value {
        get(self.master.trim_start_matches("http://"), "/master/state").expect("the master answers")
    }

    /// Where everything of it is.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The states of all tasks that ever were, by id, of the one framework there ever was.
    pub(crate) fn tasks(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let list = |of: &Value, name: &str| of[name].as_array().cloned().unwrap_or_default();
        let frameworks = [list(&state, "frameworks"), list(&state, "completed_frameworks")].concat();
        let [framework] = frameworks.as_slice() else { panic!("one framework: {frameworks:#?}") };
        let names = ["tasks", "unreachable_tasks", "completed_tasks"];
        let all = names.into_iter().flat_map(|name| list(framework, name));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut tasks = BTreeMap::new();
        for task in all {
            let known = tasks.insert(text(&task["id"]), text(&task["state"]));
            assert_eq!(known, None, "launched twice: {task}");
        }
        tasks
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command("mesos-down").status();
    }
}
