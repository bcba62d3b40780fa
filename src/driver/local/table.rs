//! What a supervisor knows of launches: which wait to be started, run, have ended.
//!
//! Plain data behind the supervisor's one lock; nothing here does I/O or reads a clock.
//!
//! T1  A name is in one place, and is forgotten only when its end is acknowledged or it was refused.
//! T2  `running` holds exactly the children that are executions and not reaped. Whoever sends a
//!     signal looks there, under the lock that reaping takes as well.
//! T3  Each deadline belongs to a running execution, and each has at most one.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::launch::StatusUpdate;
use crate::model::{LaunchName, Timestamp};

use super::sandbox::Sandbox;

/// Most launches known at once, ended and not acknowledged ones included.
pub(super) const KNOWN_MAX: usize = 100_000;

/// A running execution.
#[derive(Debug)]
pub(super) struct Execution {
    pub(super) name: LaunchName,
    pub(super) sandbox: Sandbox,
    pub(super) started: Timestamp,
    pub(super) since: Instant,
    pub(super) ending: Option<Ending>,
    deadline: Option<Instant>,
}

/// Why an execution is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    TimedOut,
    Canceled,
}

/// Where a launch stands.
#[derive(Debug)]
pub(super) enum Place {
    /// Taken in, not started yet.
    Waiting,
    Running(Pid),
    /// Reaped; its result is being written.
    Recorded,
    Ended(StatusUpdate),
}

/// Whether a launch is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    New,
    Known,
    Full,
}

/// Which signal is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    Polite,
    Last,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    places: HashMap<LaunchName, Place>,
    running: HashMap<Pid, Execution>,
    deadlines: BTreeMap<(Instant, LaunchName), Pid>,
    n_ended: usize,
}

impl Execution {
    pub(super) fn new(
        name: LaunchName,
        sandbox: Sandbox,
        started: Timestamp,
        since: Instant,
        timeout: Option<Duration>,
    ) -> Self {
        // Beyond the end of the clock's range is no deadline.
        let deadline = timeout.and_then(|timeout| since.checked_add(timeout));
        Self { name, sandbox, started, since, ending: None, deadline }
    }
}

impl Table {
    pub(super) fn admit(&mut self, name: LaunchName) -> Admission {
        if self.places.contains_key(&name) {
            return Admission::Known;
        }
        if self.places.len() >= KNOWN_MAX {
            return Admission::Full;
        }
        self.places.insert(name, Place::Waiting);
        Admission::New
    }

    pub(super) fn place(&self, name: LaunchName) -> Option<&Place> {
        self.places.get(&name)
    }

    pub(super) fn start(&mut self, pid: Pid, execution: Execution) {
        self.deadlines.extend(execution.deadline.map(|deadline| ((deadline, execution.name), pid)));
        self.places.insert(execution.name, Place::Running(pid));
        self.running.insert(pid, execution);
    }

    pub(super) fn is_running(&self, pid: Pid) -> bool {
        self.running.contains_key(&pid)
    }

    /// Whether nothing may run for `name` any more: it has ended, or nobody knows it.
    pub(super) fn is_over(&self, name: LaunchName) -> bool {
        !matches!(self.places.get(&name), Some(Place::Waiting | Place::Running(_)))
    }

    pub(super) fn n_running(&self) -> usize {
        self.running.len()
    }

    /// Launches that are taken in and not ended.
    pub(super) fn n_active(&self) -> usize {
        self.places.len() - self.n_ended
    }

    /// Takes out the execution whose process is about to be reaped.
    pub(super) fn finish(&mut self, pid: Pid) -> Option<Execution> {
        let execution = self.running.remove(&pid)?;
        if let Some(deadline) = execution.deadline {
            self.deadlines.remove(&(deadline, execution.name));
        }
        self.places.insert(execution.name, Place::Recorded);
        Some(execution)
    }

    /// Remembers how a launch ended, until that is acknowledged.
    pub(super) fn end(&mut self, status: StatusUpdate) {
        let before = self.places.insert(status.name, Place::Ended(status));
        self.n_ended += usize::from(!matches!(before, Some(Place::Ended(_))));
    }

    /// Forgets an end. Anything else stays: an acknowledgement of what has not ended is a mistake.
    pub(super) fn acknowledge(&mut self, name: LaunchName) {
        if matches!(self.places.get(&name), Some(Place::Ended(_))) {
            self.places.remove(&name);
            self.n_ended -= 1;
        }
    }

    /// Forgets a launch that waited and will not be started.
    pub(super) fn refuse(&mut self, name: LaunchName) {
        if matches!(self.places.get(&name), Some(Place::Waiting)) {
            self.places.remove(&name);
        }
    }

    /// Ends that are not acknowledged, oldest first.
    pub(super) fn unacknowledged(&self) -> Vec<StatusUpdate> {
        let mut ends: Vec<_> = self
            .places
            .values()
            .filter_map(|place| if let Place::Ended(status) = place { Some(status.clone()) } else { None })
            .collect();
        ends.sort_unstable_by_key(|status| (status.when, status.name));
        ends
    }

    /// Takes an order to end `name`; the group that gets a polite signal for it. The last signal
    /// falls due after `grace`. An execution that is being ended already goes its way.
    pub(super) fn cancel(&mut self, name: LaunchName, now: Instant, grace: Duration) -> Option<Pid> {
        let Some(Place::Running(pid)) = self.places.get(&name) else { return None };
        let pid = *pid;
        self.running.get(&pid).filter(|execution| execution.ending.is_none())?;
        self.end_by(pid, Ending::Canceled, now + grace);
        Some(pid)
    }

    /// The next group whose time is up, and with which signal.
    pub(super) fn overdue(&mut self, now: Instant, grace: Duration) -> Option<(Pid, Force)> {
        let (&(deadline, _), &pid) = self.deadlines.first_key_value()?;
        if deadline > now {
            return None;
        }
        if self.running[&pid].ending.is_none() {
            self.end_by(pid, Ending::TimedOut, now + grace);
            return Some((pid, Force::Polite));
        }
        self.set_deadline(pid, None);
        Some((pid, Force::Last))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    fn end_by(&mut self, pid: Pid, ending: Ending, deadline: Instant) {
        self.set_deadline(pid, Some(deadline));
        if let Some(execution) = self.running.get_mut(&pid) {
            execution.ending = Some(ending);
        }
    }

    fn set_deadline(&mut self, pid: Pid, deadline: Option<Instant>) {
        let Some(execution) = self.running.get_mut(&pid) else { return };
        if let Some(old) = std::mem::replace(&mut execution.deadline, deadline) {
            self.deadlines.remove(&(old, execution.name));
        }
        self.deadlines.extend(deadline.map(|deadline| ((deadline, execution.name), pid)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::clock::monotonic;
    use crate::driver::local::protocol::Asked;
    use crate::driver::local::sandbox::SandboxFolder;
    use crate::launch::TaskState;
    use crate::model::{ExeId, JobId, Outcome, Usage};

    const GRACE: Duration = Duration::from_secs(5);

    fn name(exe: u64) -> LaunchName {
        LaunchName { exe: ExeId(exe), number: 1 }
    }

    fn pid(raw: i32) -> Pid {
        Pid::from_raw(raw).expect("not zero")
    }

    fn execution(exe: u64, since: Instant, timeout: Option<Duration>) -> Execution {
        let asked = Asked { name: name(exe), job: JobId(exe), exe_num: 1 };
        let sandbox = SandboxFolder::of(Path::new("/none")).sandbox(asked);
        Execution::new(name(exe), sandbox, Timestamp(0), since, timeout)
    }

    fn end(exe: u64, when: i64) -> StatusUpdate {
        let state = TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
        StatusUpdate { name: name(exe), state, when: Timestamp(when) }
    }

    #[test]
    fn a_name_is_taken_in_once_and_forgotten_when_acknowledged() {
        let mut table = Table::default();
        assert_eq!(table.admit(name(1)), Admission::New);
        assert_eq!(table.admit(name(1)), Admission::Known);
        table.acknowledge(name(1));
        assert_eq!(table.admit(name(1)), Admission::Known, "it has not ended");
        table.start(pid(10), execution(1, monotonic(), None));
        assert_eq!((table.n_active(), table.n_running()), (1, 1));
        assert!(!table.is_over(name(1)) && table.is_over(name(2)));
        assert!(table.finish(pid(10)).is_some() && !table.is_running(pid(10)));
        assert_eq!(table.n_active(), 1, "its result is being written");
        assert!(table.is_over(name(1)));
        table.end(end(1, 5));
        table.end(end(1, 5));
        assert_eq!(table.n_active(), 0);
        assert_eq!(table.unacknowledged(), [end(1, 5)]);
        table.acknowledge(name(1));
        table.acknowledge(name(1));
        assert!(table.place(name(1)).is_none() && table.unacknowledged().is_empty());
        assert_eq!(table.n_active(), 0);
    }

    #[test]
    fn time_up_is_polite_first_and_last_after_the_grace() {
        let (mut table, now) = (Table::default(), monotonic());
        table.start(pid(10), execution(1, now, Some(GRACE)));
        assert_eq!(table.overdue(now, GRACE), None);
        assert_eq!(table.overdue(now + GRACE, GRACE), Some((pid(10), Force::Polite)));
        assert_eq!(table.overdue(now + GRACE, GRACE), None);
        assert_eq!(table.next_deadline(), Some(now + 2 * GRACE));
        assert_eq!(table.overdue(now + 2 * GRACE, GRACE), Some((pid(10), Force::Last)));
        assert_eq!(table.next_deadline(), None);
        assert_eq!(table.finish(pid(10)).and_then(|exe| exe.ending), Some(Ending::TimedOut));
    }

    #[test]
    fn an_order_to_end_replaces_the_timeout() {
        let (mut table, now) = (Table::default(), monotonic());
        table.start(pid(10), execution(1, now, Some(20 * GRACE)));
        assert_eq!(table.cancel(name(1), now, GRACE), Some(pid(10)));
        assert_eq!(table.cancel(name(1), now, GRACE), None, "once is enough");
        assert_eq!(table.next_deadline(), Some(now + GRACE));
        assert_eq!(table.finish(pid(10)).and_then(|exe| exe.ending), Some(Ending::Canceled));
        assert_eq!(table.next_deadline(), None, "deadlines go with their execution");
        assert_eq!(table.cancel(name(1), now, GRACE), None);
        assert_eq!(table.cancel(name(2), now, GRACE), None);
    }

    #[test]
    fn a_timeout_beyond_all_time_is_none() {
        let mut table = Table::default();
        table.start(pid(10), execution(1, monotonic(), Some(Duration::MAX)));
        assert_eq!(table.next_deadline(), None);
    }

    #[test]
    fn no_more_than_the_limit_is_taken_in() {
        let mut table = Table::default();
        for exe in 0..KNOWN_MAX as u64 {
            assert_eq!(table.admit(name(exe)), Admission::New);
        }
        assert_eq!(table.admit(name(u64::MAX)), Admission::Full);
        table.refuse(name(0));
        assert_eq!(table.admit(name(u64::MAX)), Admission::New);
    }
}
