//! The supervisor: one process per store, which starts executions and outlives the daemon.
//!
//! Its main thread (this file) reads orders, starts processes and ends those whose time is up; a
//! second one reaps them (`reaper`). What both touch is `Shared`, behind one lock that is held over
//! no I/O but a write to the daemon that does not block.
//!
//! S1  Whoever holds the lock file is the only supervisor of the store.
//! S2  One connection at a time, and the next is taken up when all of the one before was read.
//! S3  It ends when told to and nothing runs, or when nothing runs and nobody asks for a while.
//!     What it then forgets is in the sandboxes.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, getuid, kill_process_group, set_child_subreaper, setsid};

use crate::clock::{Clock, SystemClock, monotonic};
use crate::launch::{Known, Launch, StatusUpdate, TaskState};
use crate::model::{LaunchName, Outcome, Usage};
use crate::sync::{Condvar, Mutex, MutexGuard};

use super::child::{self, StartError};
use super::log::{Refusals, log};
use super::outbox::Outbox;
use super::protocol::{Asked, FrameError, Inbox, News, Order, PROTOCOL_VERSION};
use super::sandbox::{SandboxFolder, Trace};
use super::socket::{LOCK_FILE, StoreDir};
use super::table::{Admission, Execution, Force, KNOWN_MAX, Place, Table};
use super::{reaper, strays, sys};

/// How long a lock is waited for: a supervisor that was just killed keeps it for a moment.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Between two tries to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// How long whoever connects may stay silent before its hello.
const HELLO_WAIT: Duration = Duration::from_secs(5);

/// Pause after a connection could not be accepted, for lack of descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const REASON_LOST: &str = "what ran it ended before a result was written";

/// What an embedder may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorOptions {
    /// Between the polite signal and the last one, when an execution is ended.
    pub grace: Duration,
    /// How long it stays when nothing runs and no daemon is connected.
    pub idle: Duration,
}

impl SupervisorOptions {
    /// Default of `grace`.
    pub const GRACE: Duration = Duration::from_secs(5);
    /// Default of `idle`.
    pub const IDLE: Duration = Duration::from_mins(1);
}

impl Default for SupervisorOptions {
    fn default() -> Self {
        Self { grace: Self::GRACE, idle: Self::IDLE }
    }
}

/// Why a supervisor did not start, or ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The store's directory cannot be used.
    #[error("could not open the store {}: {source}", path.display())]
    Store {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another one holds the store.
    #[error("another supervisor runs for {}; it is process {pid}", store.display())]
    AlreadyRunning {
        /// Which store.
        store: PathBuf,
        /// As the other one wrote it down.
        pid: String,
    },
    /// The operating system refused.
    #[error("could not {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
}

/// What the main thread and the reaper share.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    wake: OwnedFd,
}

/// Behind the lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) table: Table,
    outbox: Outbox,
    /// A process may exist that `table` does not know yet.
    is_starting: bool,
    failure: Option<io::Error>,
}

impl Shared {
    fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { state: Mutex::default(), changed: Condvar::new(), wake })
    }

    /// Waits until there is an execution.
    pub(super) fn wait_for_execution(&self) {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.table.n_running() == 0);
    }

    /// The lock, once it is known whether the child `pid` is an execution.
    pub(super) fn lock_when_known(&self, pid: Pid) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.is_starting && !state.table.is_running(pid));
        state
    }

    /// Remembers ends and tells the daemon, in one step: whoever connects now hears of them once.
    pub(super) fn tell_ends(&self, statuses: Vec<StatusUpdate>) {
        let mut state = self.state.lock();
        for status in &statuses {
            state.table.end(status.clone());
        }
        state.outbox.say_statuses(statuses);
        if state.outbox.has_unsent() || !state.outbox.is_attached() {
            self.wake_main();
        }
    }

    /// Those of the children that are no running executions.
    pub(super) fn not_running(&self, mut children: Vec<Pid>) -> Vec<Pid> {
        let state = self.state.lock();
        children.retain(|pid| !state.table.is_running(*pid));
        children
    }

    /// Those whose launch does not run any more.
    pub(super) fn those_over(&self, launches: Vec<(Pid, LaunchName)>) -> Vec<Pid> {
        let state = self.state.lock();
        launches.into_iter().filter(|(_, name)| state.table.is_over(*name)).map(|(pid, _)| pid).collect()
    }

    fn fail(&self, error: io::Error) {
        self.state.lock().failure = Some(error);
        self.wake_main();
    }

    fn wake_main(&self) {
        // Any number but zero wakes; where it cannot be added it has yet to wake.
        let _ = rustix::io::write(&self.wake, &[1; 8]);
    }
}

/// Runs the supervisor of `store` in this process, until nobody needs it any more.
///
/// A process that calls this should do nothing else: it gets a session of its own, becomes the
/// parent of orphans, and reaps all its children. [`SupervisorCommand`](super::SupervisorCommand)
/// says how a daemon starts such a process. What it has to say to people goes to standard error,
/// which the daemon points at `supervisor.log` in the store. A file there that is written at its end
/// is begun anew when it has a mebibyte.
///
/// # Errors
/// When there is one already, and when the system refuses what it needs. Executions that still run
/// then are ended by the next supervisor of the store.
pub fn run_supervisor(store: &Path, options: &SupervisorOptions) -> Result<(), SupervisorError> {
    let in_store = |source| SupervisorError::Store { path: store.to_owned(), source };
    let store = store.canonicalize().map_err(in_store)?;
    // Fails where it leads a session or group already, which is as good.
    let _ = setsid();
    let lock = take_lock(&store)?;
    let dir = StoreDir::open(&store).map_err(in_store)?;
    sys::keep_ended_children();
    set_child_subreaper(Some(getpid())).map_err(io_error("become the parent of orphans"))?;
    let sandboxes = SandboxFolder::of(&store);
    // Also where there is no sandbox: a store before this one may have had this path, and its
    // executions still run.
    end_strays(&store);
    sandboxes.create().map_err(in_store)?;
    let mut supervisor = Supervisor::new(store, sandboxes, &dir, options.clone())?;
    log(&format!("supervisor {:?} of {} begins", getpid(), supervisor.store.display()));
    let end = supervisor.run();
    log(&format!("supervisor {:?} ends: {}", getpid(), if end.is_ok() { "not needed" } else { "failed" }));
    let removed = dir.remove_socket();
    drop(lock);
    // Last, since the end of its connection is how a daemon knows that the store is free.
    supervisor.shared.state.lock().outbox.detach();
    drop(supervisor);
    end.and(removed.map_err(io_error("remove the socket")))
}

/// Takes the lock file and writes this process into it.
fn take_lock(store: &Path) -> Result<File, SupervisorError> {
    let path = store.join(LOCK_FILE);
    let mut lock = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(io_error("open supervisor.lock"))?;
    let deadline = monotonic() + LOCK_WAIT;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if monotonic() < deadline => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let pid = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
                return Err(SupervisorError::AlreadyRunning { store: store.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => {
                return Err(SupervisorError::Io { action: "lock supervisor.lock", source });
            }
        }
    }
    lock.set_len(0)
        .and_then(|()| writeln!(lock, "{}", std::process::id()))
        .map_err(io_error("write supervisor.lock"))?;
    Ok(lock)
}

fn end_strays(store: &Path) {
    let found = strays::end_all(store);
    if found.n_killed > 0 || !found.are_gone {
        let rest = if found.are_gone { "" } else { "; some are stuck in the kernel" };
        log(&format!("ended {} processes of a supervisor before this one{rest}", found.n_killed));
    }
}

fn io_error<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> SupervisorError {
    move |source| SupervisorError::Io { action, source: source.into() }
}

/// What the main thread owns.
struct Supervisor {
    store: PathBuf,
    sandboxes: SandboxFolder,
    options: SupervisorOptions,
    shared: Arc<Shared>,
    listener: UnixListener,
    connection: Option<Connection>,
    /// Taken in and not started; at most [`KNOWN_MAX`].
    waiting: VecDeque<Launch>,
    refusals: Refusals,
    idle_since: Option<Instant>,
    is_told_to_end: bool,
}

/// The daemon, or somebody who may turn out to be it.
struct Connection {
    stream: UnixStream,
    inbox: Inbox,
    since: Instant,
    is_greeted: bool,
}

/// Why a connection is closed from this side.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("it did not begin with a hello")]
    NoHello,
    #[error("it said nothing for {HELLO_WAIT:?}")]
    Silent,
    #[error("it speaks version {version} and this supervisor {PROTOCOL_VERSION}")]
    Version { version: u8 },
    #[error("its user may not give orders here")]
    User,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a wait found.
#[derive(Default)]
struct Ready {
    readable: bool,
    writable: bool,
    caller: bool,
}

impl Supervisor {
    fn new(
        store: PathBuf,
        sandboxes: SandboxFolder,
        dir: &StoreDir,
        options: SupervisorOptions,
    ) -> Result<Self, SupervisorError> {
        let shared = Arc::new(Shared::new().map_err(io_error("make an eventfd"))?);
        let (for_reaper, its_store) = (Arc::clone(&shared), store.clone());
        std::thread::Builder::new()
            .name("reaper".into())
            .spawn(move || for_reaper.fail(reaper::run(&for_reaper, &its_store)))
            .map_err(io_error("start a thread"))?;
        let listener = dir.listen().map_err(io_error("listen on supervisor.sock"))?;
        listener.set_nonblocking(true).map_err(io_error("listen on supervisor.sock"))?;
        Ok(Self {
            store,
            sandboxes,
            options,
            shared,
            listener,
            connection: None,
            waiting: VecDeque::new(),
            refusals: Refusals::default(),
            idle_since: None,
            is_told_to_end: false,
        })
    }

    fn run(&mut self) -> Result<(), SupervisorError> {
        while !self.is_done() {
            let ready = self.wait().map_err(io_error("wait for orders"))?;
            if let Some(source) = self.shared.state.lock().failure.take() {
                return Err(SupervisorError::Io { action: "wait for children", source });
            }
            if ready.writable {
                self.shared.state.lock().outbox.flush();
            }
            if ready.caller {
                self.accept();
            }
            self.hear(ready.readable);
            self.end_overdue();
            self.start_next();
        }
        Ok(())
    }

    /// Whether to end; keeps the time since when nobody needs it.
    fn is_done(&mut self) -> bool {
        let is_active = self.shared.state.lock().table.n_active() > 0;
        if is_active || self.connection.is_some() {
            self.idle_since = None;
            return self.is_told_to_end && !is_active;
        }
        let now = monotonic();
        now.duration_since(*self.idle_since.get_or_insert(now)) >= self.options.idle
    }

    /// Waits until there is something to do.
    fn wait(&self) -> io::Result<Ready> {
        let (has_unsent, deadline) = {
            let state = self.shared.state.lock();
            (state.outbox.has_unsent(), state.table.next_deadline())
        };
        let mut interest = PollFlags::IN;
        interest.set(PollFlags::OUT, has_unsent);
        let peer = self.connection.as_ref().map_or(self.listener.as_fd(), |with| with.stream.as_fd());
        let mut fds =
            [PollFd::new(&self.shared.wake, PollFlags::IN), PollFd::from_borrowed_fd(peer, interest)];
        match poll(&mut fds, self.patience(deadline).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let [wake, peer] = fds.map(|fd| fd.revents());
        if !wake.is_empty() {
            let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        }
        let is_news = peer.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        let is_connected = self.connection.is_some();
        Ok(Ready {
            readable: is_connected && is_news,
            writable: is_connected && peer.contains(PollFlags::OUT),
            caller: !is_connected && is_news,
        })
    }

    /// How long nothing needs to be done by itself; `None` is for ever.
    fn patience(&self, deadline: Option<Instant>) -> Option<Timespec> {
        if !self.waiting.is_empty() {
            return Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        let hello =
            self.connection.as_ref().filter(|with| !with.is_greeted).map(|with| with.since + HELLO_WAIT);
        let idle = self.idle_since.and_then(|since| since.checked_add(self.options.idle));
        let next = [deadline, hello, idle].into_iter().flatten().min()?;
        Timespec::try_from(next.saturating_duration_since(monotonic())).ok()
    }

    fn accept(&mut self) {
        let accepted = self.listener.accept().map_err(Refusal::from).and_then(|(stream, _)| {
            stream.set_nonblocking(true)?;
            let user = rustix::net::sockopt::socket_peercred(&stream).map_err(io::Error::from)?.uid;
            if user == getuid() || user.is_root() { Ok(stream) } else { Err(Refusal::User) }
        });
        match accepted {
            Ok(stream) => {
                self.connection =
                    Some(Connection { stream, inbox: Inbox::new(), since: monotonic(), is_greeted: false });
            }
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(refusal) => {
                log(&format!("refused a connection: {refusal}"));
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    }

    /// Takes one read's worth of orders.
    fn hear(&mut self, is_readable: bool) {
        let Some(mut connection) = self.connection.take() else { return };
        match self.hear_from(&mut connection, is_readable) {
            Ok(true) => self.connection = Some(connection),
            Ok(false) => self.shared.state.lock().outbox.detach(),
            Err(refusal) => {
                log(&format!("closed a connection: {refusal}"));
                self.shared.state.lock().outbox.detach();
            }
        }
    }

    /// False at the connection's end.
    fn hear_from(&mut self, connection: &mut Connection, is_readable: bool) -> Result<bool, Refusal> {
        if !connection.is_greeted && monotonic() >= connection.since + HELLO_WAIT {
            return Err(Refusal::Silent);
        }
        if !is_readable {
            return Ok(true);
        }
        match connection.inbox.read_from(&mut connection.stream) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        while let Some(order) = connection.inbox.next()? {
            if connection.is_greeted {
                self.obey(order);
            } else {
                self.greet(connection, &order)?;
            }
        }
        Ok(true)
    }

    /// Answers the hello, then tells all ends that nobody has acknowledged.
    fn greet(&self, connection: &mut Connection, order: &Order) -> Result<(), Refusal> {
        let Order::Hello { version } = *order else { return Err(Refusal::NoHello) };
        let stream = connection.stream.try_clone()?;
        let mut state = self.shared.state.lock();
        state.outbox.attach(stream);
        state.outbox.say(&News::Hello { version: PROTOCOL_VERSION, pid: std::process::id() });
        if version != PROTOCOL_VERSION {
            return Err(Refusal::Version { version });
        }
        connection.is_greeted = true;
        let ends = state.table.unacknowledged();
        state.outbox.say_statuses(ends);
        Ok(())
    }

    fn obey(&mut self, order: Order) {
        match order {
            // A second hello changes nothing.
            Order::Hello { .. } => {}
            Order::Launch(launches) => self.take_in(launches),
            Order::Kill(name) => self.cancel(name),
            Order::Acknowledge(names) => {
                let mut state = self.shared.state.lock();
                for name in names {
                    state.table.acknowledge(name);
                }
            }
            Order::Reconcile(asked) => {
                let known = asked.into_iter().map(|asked| self.known(asked)).collect();
                self.shared.state.lock().outbox.say(&News::Known(known));
            }
            Order::Shutdown => {
                let mut state = self.shared.state.lock();
                self.is_told_to_end = state.table.n_active() == 0;
                if !self.is_told_to_end {
                    state.outbox.say(&News::Busy);
                }
            }
        }
    }

    fn take_in(&mut self, launches: Vec<Launch>) {
        let mut refused = Vec::new();
        let mut state = self.shared.state.lock();
        for launch in launches {
            match state.table.admit(launch.name) {
                Admission::New => self.waiting.push_back(launch),
                Admission::Known => {}
                Admission::Full => {
                    let reason = format!("the supervisor knows {KNOWN_MAX} launches already");
                    refused.push(status(launch.name, TaskState::Refused { reason }));
                }
            }
        }
        state.outbox.say_statuses(refused);
    }

    fn cancel(&mut self, name: LaunchName) {
        let mut state = self.shared.state.lock();
        if matches!(state.table.place(name), Some(Place::Waiting)) {
            self.waiting.retain(|launch| launch.name != name);
            drop(state);
            self.shared.tell_ends(vec![ended(name, Outcome::Canceled)]);
        } else if let Some(pid) = state.table.cancel(name, monotonic(), self.options.grace) {
            signal(pid, Force::Polite);
        }
    }

    fn known(&self, asked: Asked) -> Known {
        match self.shared.state.lock().table.place(asked.name) {
            Some(Place::Ended(status)) => return Known::Ended(status.clone()),
            Some(Place::Waiting | Place::Running(_) | Place::Recorded) => return Known::Running,
            None => {}
        }
        match self.sandboxes.sandbox(asked).trace() {
            Ok(Trace::None) => Known::NeverStarted,
            Ok(Trace::Ended(status)) => Known::Ended(status),
            Ok(Trace::Unfinished) => Known::Lost { reason: REASON_LOST.into() },
            Err(error) => Known::Lost { reason: format!("could not look into its sandbox: {error}") },
        }
    }

    /// Under the lock, so that nobody reaps the group's leader between the look and the signal.
    fn end_overdue(&self) {
        let mut state = self.shared.state.lock();
        if state.table.next_deadline().is_none() {
            return;
        }
        let now = monotonic();
        while let Some((pid, force)) = state.table.overdue(now, self.options.grace) {
            signal(pid, force);
        }
    }

    /// Starts one launch, so that orders and deadlines wait no longer than that.
    fn start_next(&mut self) {
        let Some(launch) = self.waiting.pop_front() else { return };
        let sandbox = self.sandboxes.sandbox(Asked::from(&launch));
        self.shared.state.lock().is_starting = true;
        let (started, since) = (SystemClock.now(), monotonic());
        let result = child::start(&launch, &sandbox, &self.store);
        let mut state = self.shared.state.lock();
        state.is_starting = false;
        let failed = match result {
            Ok(pid) => {
                let timeout = launch.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
                state.table.start(pid, Execution::new(launch.name, sandbox, started, since, timeout));
                None
            }
            Err(error) => Some((error, sandbox)),
        };
        drop(state);
        self.shared.changed.notify_all();
        match failed {
            None => {}
            Some((StartError::StartedBefore, _)) => self.tell_started_before(&launch),
            Some((StartError::Command { reason }, sandbox)) => {
                let outcome = Outcome::NotStarted { reason };
                let (status, written) = sandbox.record(outcome, Usage::default(), None, SystemClock.now());
                if let Err(error) = written {
                    log(&format!("launch {}: could not write its result: {error}", launch.name));
                }
                self.shared.tell_ends(vec![status]);
            }
            Some((StartError::System { reason }, _)) => {
                let text = format!("launch {} is refused: {reason}", launch.name);
                self.refusals.line(monotonic(), &text).as_deref().into_iter().for_each(log);
                let mut state = self.shared.state.lock();
                state.table.refuse(launch.name);
                state.outbox.say_statuses(vec![status(launch.name, TaskState::Refused { reason })]);
            }
        }
    }

    /// Somebody started this launch before us and is gone; it ended, or it was lost.
    fn tell_started_before(&self, launch: &Launch) {
        let status = match self.sandboxes.sandbox(Asked::from(launch)).trace() {
            Ok(Trace::Ended(status)) => status,
            _ => ended(launch.name, Outcome::Lost { reason: REASON_LOST.into() }),
        };
        self.shared.tell_ends(vec![status]);
    }
}

/// Sends the signal to a whole group. That it is gone already is no news.
fn signal(group: Pid, force: Force) {
    let signal = match force {
        Force::Polite => Signal::TERM,
        Force::Last => Signal::KILL,
    };
    let _ = kill_process_group(group, signal);
}

fn ended(name: LaunchName, outcome: Outcome) -> StatusUpdate {
    status(name, TaskState::Ended { outcome, usage: Usage::default() })
}

fn status(name: LaunchName, state: TaskState) -> StatusUpdate {
    StatusUpdate { name, state, when: SystemClock.now() }
}
