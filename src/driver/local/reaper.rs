//! Waits for executions to end, on a thread of its own: ends what is left of their groups, reaps
//! them, writes their results, tells the daemon.
//!
//! R1  A group gets its last signal before its leader is reaped, while the leader's id is still
//!     taken.
//! R2  A result is written before its status is sent.
//! R3  Children that are no executions (orphans of executions, which the kernel gives to us) are
//!     reaped as well. Only this thread reaps, so it may signal them.
//! R4  After each reaping, those whose execution has ended are ended (`adopted`).

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::clock::{Clock, SystemClock, monotonic};
use crate::launch::StatusUpdate;
use crate::model::{Outcome, Usage};

use super::adopted::Adopted;
use super::log::log;
use super::supervisor::Shared;
use super::sys::{self, Reaped};
use super::table::{Ending, Execution};

/// Ends that are told together, at most.
const BATCH_MAX: usize = 32;

/// Runs until the kernel refuses to tell of children; why it does.
pub(super) fn run(shared: &Shared, store: &Path) -> io::Error {
    let mut adopted = Adopted::of(store);
    loop {
        match sys::peek_ended(true) {
            Ok(Some(pid)) => take_ends(shared, &mut adopted, pid),
            Ok(None) => {}
            Err(error) if is_no_child(&error) => shared.wait_for_execution(),
            Err(error) => return error,
        }
    }
}

fn take_ends(shared: &Shared, adopted: &mut Adopted, first: Pid) {
    let mut statuses = Vec::new();
    let mut next = Some(first);
    while let Some(pid) = next {
        statuses.extend(take_end(shared, pid));
        adopted.forget(pid);
        next = if statuses.len() < BATCH_MAX { sys::peek_ended(false).ok().flatten() } else { None };
    }
    adopted.end_left_over(shared);
    if !statuses.is_empty() {
        shared.tell_ends(statuses);
    }
}

/// Reaps one child; the status where it was an execution.
fn take_end(shared: &Shared, pid: Pid) -> Option<StatusUpdate> {
    let mut state = shared.lock_when_known(pid);
    let execution = state.table.finish(pid);
    if execution.is_some() {
        // Nothing but the leader may be there any more.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let reaped = sys::reap(pid);
    drop(state);
    let execution = execution?;
    match reaped {
        Ok(reaped) => Some(record(&execution, reaped)),
        Err(error) => {
            log(&format!("launch {}: its process {pid:?} was reaped by somebody else", execution.name));
            let reason = format!("the kernel did not tell how it ended: {error}");
            let now = SystemClock.now();
            let lost = Outcome::Lost { reason };
            Some(execution.sandbox.record(lost, Usage::default(), Some(execution.started), now).0)
        }
    }
}

fn record(execution: &Execution, reaped: Reaped) -> StatusUpdate {
    let outcome = match (execution.ending, reaped.status.signal()) {
        (Some(Ending::TimedOut), _) => Outcome::TimedOut,
        (Some(Ending::Canceled), _) => Outcome::Canceled,
        (None, Some(signal)) => Outcome::Signaled { signal },
        (None, None) => Outcome::Exited { code: reaped.status.into_raw() >> 8 },
    };
    let wall = monotonic().saturating_duration_since(execution.since);
    let usage = Usage {
        wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
        cpu_us: reaped.cpu_us,
        mem_kib: reaped.mem_kib,
    };
    let (status, written) =
        execution.sandbox.record(outcome, usage, Some(execution.started), SystemClock.now());
    if let Err(error) = written {
        // The daemon still hears of it; only a crash of both before it does would lose the result.
        log(&format!("launch {}: could not write its result: {error}", execution.name));
    }
    status
}

fn is_no_child(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::CHILD.raw_os_error())
}
