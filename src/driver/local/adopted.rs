//! Ends what has left the group of an execution that is over.
//!
//! The supervisor is the parent of orphans: when a process of an execution ends, the kernel gives
//! its children to us, whatever group or session they are in. Those that carry the environment of
//! a launch which does not run any more are killed. Belongs to the reaper, so that no child that is
//! looked at here can be reaped, and its id used again, meanwhile.
//!
//! A1  One look after each batch of reaped children is enough: a process of a chain of orphans
//!     comes to us when its parent has ended, and that parent is ours, or runs in an execution, or
//!     hangs below a child of ours that is ended itself.
//! A2  A look reads one small file. Environments are read of children only that are no executions,
//!     and once for each that names a launch.
//!
//! A kernel without `/proc/PID/task/PID/children` gives nothing to look at; then only groups end.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, getpid, kill_process};

use crate::model::LaunchName;

use super::strays;
use super::supervisor::Shared;

/// What is read of the list of children at once.
const READ_BYTES: usize = 4 << 10;

pub(super) struct Adopted {
    store: PathBuf,
    /// The list of the main thread's children, which adopts for the whole process.
    children: Option<File>,
    /// Adopted children of executions that ran when we looked.
    known: HashMap<Pid, LaunchName>,
    text: Vec<u8>,
}

impl Adopted {
    pub(super) fn of(store: &Path) -> Self {
        let pid = getpid().as_raw_nonzero();
        let children = File::open(format!("/proc/{pid}/task/{pid}/children")).ok();
        Self { store: store.to_owned(), children, known: HashMap::new(), text: Vec::new() }
    }

    /// Its id may belong to another process from now on.
    pub(super) fn forget(&mut self, pid: Pid) {
        self.known.remove(&pid);
    }

    /// Kills every adopted child whose launch is over.
    pub(super) fn end_left_over(&mut self, shared: &Shared) {
        // What cannot be listed is passed over, as on a kernel that lists nothing.
        let children = self.children().unwrap_or_default();
        if children.is_empty() {
            return;
        }
        let adopted = shared.not_running(children);
        let launches: Vec<_> = adopted.into_iter().filter_map(|pid| Some((pid, self.launch(pid)?))).collect();
        if launches.is_empty() {
            return;
        }
        for pid in shared.those_over(launches) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn launch(&mut self, pid: Pid) -> Option<LaunchName> {
        if let Some(name) = self.known.get(&pid) {
            return Some(*name);
        }
        let environ = strays::environ(pid).ok()?;
        let name = std::str::from_utf8(strays::launch_of(&environ, &self.store)?).ok()?.parse().ok()?;
        self.known.insert(pid, name);
        Some(name)
    }

    fn children(&mut self) -> io::Result<Vec<Pid>> {
        let Some(file) = &self.children else { return Ok(Vec::new()) };
        self.text.clear();
        loop {
            let at = self.text.len();
            self.text.resize(at + READ_BYTES, 0);
            let n_read = file.read_at(&mut self.text[at..], at as u64)?;
            self.text.truncate(at + n_read);
            if n_read == 0 {
                break;
            }
        }
        Ok(pids(&self.text))
    }
}

fn pids(text: &[u8]) -> Vec<Pid> {
    let words = text.split(u8::is_ascii_whitespace);
    words.filter_map(|word| Pid::from_raw(std::str::from_utf8(word).ok()?.parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_children_is_read() {
        let check = |text: &str, expected: &[i32]| {
            let read: Vec<_> = pids(text.as_bytes()).iter().map(|pid| pid.as_raw_nonzero().get()).collect();
            assert_eq!(read, expected, "{text:?}");
        };
        check("", &[]);
        check("12 7 ", &[12, 7]);
        check("12 0 x 7", &[12, 7]);
    }
}
