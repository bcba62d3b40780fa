//! Ends what a supervisor that is gone left running.
//!
//! Runs in a new supervisor, which holds the lock, before it answers anybody. A process that was
//! being started when the old one died shares the old one's files until it has called `exec`, the
//! lock among them: so once the lock is ours, every process of an execution carries its environment.
//!
//! A process whose environment this user may not read, of a setuid program for instance, is passed
//! over.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal};

use crate::clock::monotonic;

use super::child::{LAUNCH_VAR, STORE_VAR};

/// Longest time spent on it. A process that is still there then waits inside the kernel; it has its
/// signal and runs no further instruction of its own.
const END_WAIT: Duration = Duration::from_secs(10);

/// Between a look at all processes that found some and the next: they need a moment to end.
const SCAN_PAUSE: Duration = Duration::from_millis(20);

/// Looks in a row that must find nothing: a process may fork while it is being looked at.
const CLEAN_SCANS: u32 = 2;

/// Largest environment that is read.
const ENVIRON_BYTES_MAX: u64 = 4 << 20;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Strays {
    /// Signals sent to strays.
    pub(super) n_killed: usize,
    /// False when some were still there after [`END_WAIT`].
    pub(super) are_gone: bool,
}

/// Kills every process that runs for an execution of `store`, until none is found.
pub(super) fn end_all(store: &Path) -> Strays {
    let deadline = monotonic() + END_WAIT;
    let mut strays = Strays::default();
    let mut n_clean = 0;
    loop {
        let n_found = scan(store);
        strays.n_killed += n_found;
        n_clean = if n_found == 0 { n_clean + 1 } else { 0 };
        strays.are_gone = n_clean == CLEAN_SCANS;
        if strays.are_gone || monotonic() >= deadline {
            return strays;
        }
        if n_found > 0 {
            std::thread::sleep(SCAN_PAUSE);
        }
    }
}

/// Kills those that are there now; how many.
fn scan(store: &Path) -> usize {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let spared = [Some(getpid()), getppid()];
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| !spared.contains(&Some(*pid)))
        .filter(|pid| kill_if_stray(*pid, store))
        .count()
}

/// The process is held by a descriptor before it is looked at, so that no other with the same id
/// gets its signal.
fn kill_if_stray(pid: Pid, store: &Path) -> bool {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let Ok(bytes) = environ(pid) else { return false };
    launch_of(&bytes, store).is_some() && pidfd_send_signal(&process, Signal::KILL).is_ok()
}

/// What a process had in its environment when its program began.
pub(super) fn environ(pid: Pid) -> io::Result<Vec<u8>> {
    let environ = File::open(format!("/proc/{}/environ", pid.as_raw_nonzero()))?;
    let mut bytes = Vec::new();
    environ.take(ENVIRON_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The launch in `store` that an environment names. Both variables are asked for: people may set
/// the one of the store themselves.
pub(super) fn launch_of<'e>(environ: &'e [u8], store: &Path) -> Option<&'e [u8]> {
    let value = |name: &str| {
        environ
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    };
    value(LAUNCH_VAR).filter(|_| value(STORE_VAR) == Some(store.as_os_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executions_of_this_store_are_strays() {
        let check = |environ: &str, expected: bool| {
            let launch = launch_of(environ.as_bytes(), Path::new("/s"));
            assert_eq!(launch, expected.then_some(&b"1.1"[..]), "{environ:?}");
        };
        check("A=1\0WEIGHBRIDGE_STORE=/s\0WEIGHBRIDGE_LAUNCH=1.1\0", true);
        check("WEIGHBRIDGE_LAUNCH=1.1\0WEIGHBRIDGE_STORE=/s", true);
        check("WEIGHBRIDGE_STORE=/s\0", false);
        check("WEIGHBRIDGE_STORE=/s2\0WEIGHBRIDGE_LAUNCH=1.1\0", false);
        check("X=WEIGHBRIDGE_STORE=/s\0WEIGHBRIDGE_LAUNCH=1.1\0", false);
        check("", false);
    }
}
