//! The daemon's side: hands launches to the supervisor, starts one where there is none, and brings
//! its news.
//!
//! Three threads: whoever calls writes; a reader takes frames off the socket and never waits for
//! anything else; a teller calls the sink, which may block. The reader also brings a supervisor
//! back when it has gone, and settles what was handed to the one before.
//!
//! C1  A launch is in `flight` from before it is written until its end is read. Whatever happens to
//!     the supervisor meanwhile, some status comes for it. One that never came to be written is
//!     refused; it enters `flight` under the lock of `link` only, since a new connection asks for
//!     what is there, and what is told as never started must not be written afterwards.
//! C2  Frames of one connection are written under the lock of `link`, and questions are queued
//!     there in the order they are written: answers carry no number.
//! C3  A kill of a launch in `flight` is marked there before it is written, and is written again on
//!     each new connection.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};

use crate::clock::{Clock, SystemClock, monotonic};
use crate::launch::{Driver, DriverError, Known, Launch, StatusSink, StatusUpdate, TaskState};
use crate::model::{JobId, LaunchName, Outcome, Usage};
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};
use crate::wal::Durable;

use super::child::{LAUNCH_VAR, STORE_VAR};
use super::log::{self, LOG_BYTES_MAX};
use super::protocol::{
    Asked, ENTRIES_PER_FRAME, FrameError, Inbox, News, Order, PROTOCOL_VERSION, append_frame,
};
use super::socket::{LOCK_FILE, LOG_FILE, StoreDir};

/// Between two tries to reach a supervisor that was just started.
const CONNECT_PAUSE: Duration = Duration::from_millis(2);

/// Supervisors started for one connection before it is given up.
const STARTS_MAX: u32 = 3;

/// Between two tries to bring a supervisor back.
const RECOVERY_PAUSE: Duration = Duration::from_secs(1);

/// Acknowledgements that are sent together, unless something else is sent before.
const ACKNOWLEDGED_MAX: usize = 64;

/// Launches encoded before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// How a process is started that calls [`run_supervisor`](super::run_supervisor) and returns when
/// that does.
///
/// An embedder gives its own program one hidden argument or variable for this purpose, looks for it
/// first thing in `main`, and names it here:
///
/// ```no_run
/// use weighbridge::{LocalDriver, LocalOptions, StatusUpdate, SupervisorCommand, SupervisorOptions};
/// use weighbridge::run_supervisor;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let store = std::path::Path::new("store");
///     if std::env::args().nth(1).as_deref() == Some("supervise") {
///         return Ok(run_supervisor(store, &SupervisorOptions::default())?);
///     }
///     let command = SupervisorCommand::this_program(["supervise"]);
///     let sink = std::sync::Arc::new(|status: StatusUpdate| println!("{status:?}"));
///     let driver = LocalDriver::start(store, command, LocalOptions::default(), sink)?;
///     // ... run an engine with it ...
///     driver.close()?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorCommand {
    /// What to start.
    pub program: PathBuf,
    /// With which arguments.
    pub args: Vec<OsString>,
    /// With what in its environment, beside what this process has. Executions inherit it.
    pub env: Vec<(OsString, OsString)>,
}

impl SupervisorCommand {
    /// The program that runs now, even when its file has been replaced meanwhile.
    pub fn this_program<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: "/proc/self/exe".into(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
        }
    }
}

/// What becomes of a launch that is to run in an image, since this machine runs none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalImages {
    /// It ends, as one that could not be started.
    #[default]
    Refuse,
    /// Its command runs on the machine itself.
    Ignore,
}

/// How long a driver waits, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalOptions {
    /// For launches with an image.
    pub images: LocalImages,
    /// For a supervisor to start, which includes ending what one before it left running.
    pub start_wait: Duration,
    /// For an answer, and for room to write an order.
    pub answer_wait: Duration,
    /// For a supervisor to end.
    pub close_wait: Duration,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            images: LocalImages::Refuse,
            start_wait: Duration::from_secs(20),
            answer_wait: Duration::from_secs(10),
            close_wait: Duration::from_secs(5),
        }
    }
}

/// Runs executions as processes of this machine, through a supervisor that outlives this process.
///
/// It reports ends and refusals; that something runs follows from its being handed over. When the
/// supervisor dies, a new one is started, and each launch in its hands gets a status: its result if
/// one was written, [`Outcome::Lost`] where it had begun, [`TaskState::Refused`] where it had not.
///
/// Each `Ended` should be acknowledged, also one of a launch that nobody knows any more: until then
/// the supervisor remembers it.
///
/// Dropping it leaves the supervisor to itself, which then finishes what runs; [`close`](Self::close)
/// is the way to leave nothing behind.
pub struct LocalDriver {
    shared: Arc<Shared>,
    reader_gone: Receiver<()>,
}

struct Shared {
    store: PathBuf,
    dir: StoreDir,
    command: SupervisorCommand,
    options: LocalOptions,
    link: Mutex<Link>,
    /// Locked after `link`, where both are.
    flight: Mutex<HashMap<LaunchName, Flight>>,
    teller: Sender<StatusUpdate>,
    is_closing: AtomicBool,
}

/// A launch in the hands of the supervisor.
#[derive(Clone, Copy)]
struct Flight {
    asked: Asked,
    is_killed: bool,
}

/// The way to the supervisor.
#[derive(Default)]
struct Link {
    /// None while there is no supervisor.
    stream: Option<UnixStream>,
    acknowledged: Vec<LaunchName>,
    /// Who asked what, in the order asked.
    questions: VecDeque<Question>,
    buffer: Vec<u8>,
}

/// Launches somebody asked about, at most a frame of them, and where the answer goes.
struct Question {
    asked: Vec<Asked>,
    asker: Asker,
}

enum Asker {
    Caller(Sender<Vec<Known>>),
    /// The reader itself, which settles what was in flight when a supervisor went.
    Recovery,
}

/// A connection that has been greeted.
struct Greeted {
    stream: UnixStream,
    inbox: Inbox,
}

impl LocalDriver {
    /// Connects to the supervisor of `store`, or starts one with `command`. `sink` gets all news,
    /// first the ends that no daemon before this one acknowledged.
    ///
    /// # Errors
    /// When no supervisor answers in time; the reason is in `supervisor.log` in the store.
    pub fn start(
        store: &Path,
        command: SupervisorCommand,
        options: LocalOptions,
        sink: StatusSink,
    ) -> Result<Self, DriverError> {
        let store = store.canonicalize().map_err(|source| io_error("find the store", source))?;
        let dir = StoreDir::open(&store).map_err(|source| io_error("open the store", source))?;
        let (teller, told) = unbounded();
        let shared = Arc::new(Shared {
            store,
            dir,
            command,
            options,
            link: Mutex::default(),
            flight: Mutex::default(),
            teller,
            is_closing: AtomicBool::new(false),
        });
        let greeted = shared.reach()?;
        shared.attach(&greeted).map_err(|source| io_error("keep the connection", source))?;
        let (gone, reader_gone) = bounded::<()>(0);
        let for_reader = Arc::clone(&shared);
        spawn_thread("local-reader", move || {
            for_reader.read(greeted);
            drop(gone);
        })?;
        spawn_thread("local-teller", move || tell(&told, &sink))?;
        Ok(Self { shared, reader_gone })
    }

    /// Hands nothing over any more. Where nothing runs the supervisor is told to end, and waited for.
    /// Call it when the engine has stopped; news that comes later is for the next daemon.
    ///
    /// # Errors
    /// When the supervisor does not end in time.
    pub fn close(&self) -> Result<(), DriverError> {
        self.shared.is_closing.store(true, Ordering::SeqCst);
        let mut link = self.shared.link.lock();
        let shutdown = self.shared.flight.lock().is_empty().then_some(Order::Shutdown);
        let is_told = link.send(shutdown.as_slice()).is_ok() && shutdown.is_some();
        drop(link);
        let waited = self.shared.options.close_wait;
        let is_late = is_told && self.reader_gone.recv_timeout(waited) == Err(RecvTimeoutError::Timeout);
        self.shared.link.lock().disconnect();
        if is_late { Err(DriverError::Timeout { waited }) } else { Ok(()) }
    }
}

impl Drop for LocalDriver {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::SeqCst);
        let mut link = self.shared.link.lock();
        // What is not acknowledged here is told again to the next daemon.
        let _ = link.send(&[]);
        link.disconnect();
    }
}

impl Driver for LocalDriver {
    fn launch(&self, launches: Vec<Durable<Launch>>) -> Result<(), DriverError> {
        let launches: Vec<_> = launches
            .into_iter()
            .map(Durable::into_inner)
            .filter(|launch| self.shared.takes(launch))
            .collect();
        let mut link = match self.shared.lock_link() {
            Ok(link) => link,
            Err(error) => {
                self.shared.refuse_all(&launches, &error);
                return Err(error);
            }
        };
        let mut flight = self.shared.flight.lock();
        flight.extend(launches.iter().map(|launch| (launch.name, Flight::from(Asked::from(launch)))));
        drop(flight);
        link.send_launches(launches, &self.shared)
    }

    fn kill(&self, name: LaunchName) -> Result<(), DriverError> {
        let is_kept = self.shared.mark_killed(name);
        match self.shared.lock_link()?.send(&[Order::Kill(name)]) {
            // The next connection begins with it.
            Err(DriverError::Gone { .. }) if is_kept => Ok(()),
            result => result,
        }
    }

    fn acknowledge(&self, name: LaunchName) -> Result<(), DriverError> {
        let mut link = self.shared.lock_link()?;
        link.acknowledged.push(name);
        if link.acknowledged.len() < ACKNOWLEDGED_MAX {
            return Ok(());
        }
        link.send(&[])
    }

    fn reconcile(&self, names: &[(LaunchName, JobId, u32)]) -> Result<Vec<Known>, DriverError> {
        let mut answers = Vec::with_capacity(names.len());
        for chunk in names.chunks(ENTRIES_PER_FRAME) {
            let asked = chunk.iter().map(|&(name, job, exe_num)| Asked { name, job, exe_num }).collect();
            let (caller, answer) = bounded(1);
            self.shared.lock_link()?.ask(asked, Asker::Caller(caller))?;
            let waited = self.shared.options.answer_wait;
            answers.extend(answer.recv_timeout(waited).map_err(|error| match error {
                RecvTimeoutError::Timeout => DriverError::Timeout { waited },
                RecvTimeoutError::Disconnected => gone("it ended while it was asked; ask again"),
            })?);
        }
        Ok(answers)
    }
}

impl From<Asked> for Flight {
    fn from(asked: Asked) -> Self {
        Self { asked, is_killed: false }
    }
}

#[cfg(test)]
impl LocalDriver {
    /// Keeps everybody from writing.
    pub(super) fn hold_link(&self) -> impl Sized + '_ {
        self.shared.link.lock()
    }

    /// Ends the connection.
    pub(super) fn break_link(&self) {
        self.shared.link.lock().disconnect();
    }
}

impl Link {
    /// Writes `orders`, and what was acknowledged before them.
    fn send(&mut self, orders: &[Order]) -> Result<(), DriverError> {
        if !self.acknowledged.is_empty() {
            let names = std::mem::take(&mut self.acknowledged);
            append_frame(&mut self.buffer, &Order::Acknowledge(names)).expect("a bounded list fits");
        }
        for order in orders {
            append_frame(&mut self.buffer, order).expect("only launches can be too large");
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), DriverError> {
        let result = match &mut self.stream {
            None => Err(gone("it is being started again")),
            Some(stream) => stream.write_all(&self.buffer).map_err(|error| {
                // Half a frame may be out: only a new connection is sound. The reader makes one.
                let _ = stream.shutdown(Shutdown::Both);
                gone(&error.to_string())
            }),
        };
        self.buffer.clear();
        self.buffer.shrink_to(WRITE_BYTES);
        if result.is_err() {
            self.stream = None;
        }
        result
    }

    /// Many launches in few writes. One that no frame holds has a command that Linux would refuse
    /// as well.
    fn send_launches(&mut self, mut launches: Vec<Launch>, shared: &Shared) -> Result<(), DriverError> {
        while !launches.is_empty() {
            let rest = launches.split_off(launches.len().min(ENTRIES_PER_FRAME));
            let order = Order::Launch(launches);
            match (append_frame(&mut self.buffer, &order), order) {
                (Err(FrameError::TooLarge { .. }), Order::Launch(mut half)) if half.len() > 1 => {
                    let other = half.split_off(half.len() / 2);
                    self.send_launches(half, shared)?;
                    self.send_launches(other, shared)?;
                }
                (Err(error), Order::Launch(one)) => {
                    for launch in one {
                        shared.flight.lock().remove(&launch.name);
                        shared.tell_not_started(launch.name, format!("its command is too long: {error}"));
                    }
                }
                _ => {}
            }
            if self.buffer.len() >= WRITE_BYTES {
                self.flush()?;
            }
            launches = rest;
        }
        self.send(&[])
    }

    fn ask(&mut self, asked: Vec<Asked>, asker: Asker) -> Result<(), DriverError> {
        self.questions.push_back(Question { asked: asked.clone(), asker });
        self.send(&[Order::Reconcile(asked)])
    }

    fn disconnect(&mut self) {
        if let Some(stream) = self.stream.take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn is_closing(&self) -> bool {
        // SeqCst: once per connection, nothing to gain from less.
        self.is_closing.load(Ordering::SeqCst)
    }

    /// The link, unless a recovery holds it for too long.
    fn lock_link(&self) -> Result<MutexGuard<'_, Link>, DriverError> {
        if self.is_closing() {
            return Err(gone("it was closed"));
        }
        let waited = self.options.answer_wait;
        self.link.try_lock_for(waited).ok_or(DriverError::Timeout { waited })
    }

    /// Makes a new connection the way to the supervisor, and asks it for what is in flight.
    fn attach(&self, greeted: &Greeted) -> io::Result<()> {
        let stream = greeted.stream.try_clone()?;
        stream.set_write_timeout(Some(self.options.answer_wait))?;
        let mut link = self.link.lock();
        link.buffer.clear();
        // Whoever waits for an answer of the old connection is told that none comes.
        link.questions.clear();
        link.stream = Some(stream);
        let flight: Vec<_> = self.flight.lock().values().copied().collect();
        let asked: Vec<_> = flight.iter().map(|flight| flight.asked).collect();
        for chunk in asked.chunks(ENTRIES_PER_FRAME) {
            link.ask(chunk.to_vec(), Asker::Recovery).map_err(io::Error::other)?;
        }
        let killed = flight.iter().filter(|flight| flight.is_killed);
        let kills: Vec<_> = killed.map(|flight| Order::Kill(flight.asked.name)).collect();
        link.send(&kills).map_err(io::Error::other)
    }

    /// False for a launch that is not in flight.
    fn mark_killed(&self, name: LaunchName) -> bool {
        self.flight.lock().get_mut(&name).map(|flight| flight.is_killed = true).is_some()
    }

    /// Says of launches that will not be handed over that they are not. When this driver is closed
    /// nobody listens any more: whoever comes next asks.
    fn refuse_all(&self, launches: &[Launch], error: &DriverError) {
        if self.is_closing() {
            return;
        }
        for launch in launches {
            let state = TaskState::Refused { reason: format!("it could not be handed over: {error}") };
            self.tell(StatusUpdate { name: launch.name, state, when: SystemClock.now() });
        }
    }

    /// The reader's life: frames until the connection ends, then a new connection.
    fn read(&self, mut greeted: Greeted) {
        loop {
            let end = self.read_frames(&mut greeted);
            if self.is_closing() {
                return;
            }
            tracing::warn!(reason = %end, "the connection to the supervisor ended");
            let _ = greeted.stream.shutdown(Shutdown::Both);
            match self.recover() {
                Some(again) => greeted = again,
                None => return,
            }
        }
    }

    /// Takes news until there is no more; why.
    fn read_frames(&self, greeted: &mut Greeted) -> Box<dyn std::error::Error> {
        loop {
            loop {
                match greeted.inbox.next() {
                    Ok(Some(News::Busy)) if self.is_closing() => return "it has work left".into(),
                    Ok(Some(news)) => self.take(news),
                    Ok(None) => break,
                    Err(error) => return error.into(),
                }
            }
            match greeted.inbox.read_from(&mut greeted.stream) {
                Ok(0) => return "it ended".into(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.into(),
            }
        }
    }

    fn take(&self, news: News) {
        match news {
            News::Statuses(statuses) => {
                let mut flight = self.flight.lock();
                for status in &statuses {
                    if !matches!(status.state, TaskState::Running) {
                        flight.remove(&status.name);
                    }
                }
                drop(flight);
                for status in statuses {
                    self.tell(status);
                }
            }
            News::Known(known) => {
                let question = self.link.lock().questions.pop_front();
                match question {
                    Some(question) if question.asked.len() == known.len() => self.answer(question, known),
                    _ => tracing::error!("the supervisor answered what nobody asked"),
                }
            }
            News::Hello { .. } | News::Busy => {}
        }
    }

    fn answer(&self, question: Question, known: Vec<Known>) {
        match question.asker {
            Asker::Caller(caller) => {
                let mut flight = self.flight.lock();
                for (asked, known) in question.asked.into_iter().zip(&known) {
                    if *known == Known::Running {
                        flight.entry(asked.name).or_insert(asked.into());
                    }
                }
                drop(flight);
                // Nobody listens when the wait was over before.
                let _ = caller.send(known);
            }
            Asker::Recovery => {
                question.asked.into_iter().zip(known).for_each(|(asked, known)| self.settle(asked, known));
            }
        }
    }

    /// Makes a status of what a new supervisor knows of a launch of the old one. One that has left
    /// `flight` had its status before.
    fn settle(&self, asked: Asked, known: Known) {
        if known == Known::Running || self.flight.lock().remove(&asked.name).is_none() {
            return;
        }
        let state = match known {
            Known::Running => return,
            Known::Ended(status) => return self.tell(status),
            Known::Lost { reason } => {
                TaskState::Ended { outcome: Outcome::Lost { reason }, usage: Usage::default() }
            }
            Known::NeverStarted => {
                TaskState::Refused { reason: "the supervisor ended before it was started".into() }
            }
        };
        self.tell(StatusUpdate { name: asked.name, state, when: SystemClock.now() });
    }

    fn tell(&self, status: StatusUpdate) {
        // The teller ends after the last sender.
        let _ = self.teller.send(status);
    }

    /// Whether a launch asks for nothing that only a cluster has; one that does is told to have ended.
    fn takes(&self, launch: &Launch) -> bool {
        let reason = match (&launch.image, self.options.images) {
            (Some(image), LocalImages::Refuse) => format!(
                "it is to run in the image {image}, and this machine runs no images: take the image out of its job \
                 type, start the daemon with --local-images ignore, which runs the command without it, or have a \
                 Mesos cluster run it"
            ),
            _ if !launch.uris.is_empty() => {
                "files are to be fetched for it, which this machine does not do: take the uris out of its job type, \
                 or have a Mesos cluster run it"
                    .to_owned()
            }
            _ => return true,
        };
        self.tell_not_started(launch.name, reason);
        false
    }

    fn tell_not_started(&self, name: LaunchName, reason: String) {
        let outcome = Outcome::NotStarted { reason };
        let state = TaskState::Ended { outcome, usage: Usage::default() };
        self.tell(StatusUpdate { name, state, when: SystemClock.now() });
    }

    /// A new connection, however long that takes; `None` when this driver is closed.
    fn recover(&self) -> Option<Greeted> {
        self.link.lock().disconnect();
        while !self.is_closing() {
            match self.reach() {
                Ok(greeted) => match self.attach(&greeted) {
                    Ok(()) => return Some(greeted),
                    Err(error) => tracing::error!(%error, "the supervisor went again"),
                },
                Err(error) => tracing::error!(%error, "no supervisor; trying again"),
            }
            std::thread::sleep(RECOVERY_PAUSE);
        }
        None
    }

    /// Connects to the living supervisor, or starts one.
    fn reach(&self) -> Result<Greeted, DriverError> {
        let deadline = monotonic() + self.options.start_wait;
        let mut started: Option<Receiver<()>> = None;
        let mut n_starts = 0;
        loop {
            match self.dir.connect() {
                Ok(stream) => {
                    if let Some(greeted) = self.greet(stream, deadline)? {
                        return Ok(greeted);
                    }
                }
                Err(error) if is_nobody(&error) => {}
                Err(source) => return Err(io_error("connect to the supervisor", source)),
            }
            let is_over = |lives: &Receiver<()>| lives.try_recv() == Err(TryRecvError::Disconnected);
            let has_ended = started.as_ref().is_none_or(is_over);
            if has_ended && !self.is_supervised() {
                if n_starts == STARTS_MAX {
                    let log = self.store.join(LOG_FILE);
                    return Err(gone(&format!("it ends as soon as it starts; {} says why", log.display())));
                }
                started = Some(self.start_supervisor()?);
                n_starts += 1;
            }
            if monotonic() >= deadline {
                return Err(DriverError::Timeout { waited: self.options.start_wait });
            }
            std::thread::sleep(CONNECT_PAUSE);
        }
    }

    /// Exchanges hellos; `None` where the supervisor was about to end.
    fn greet(&self, mut stream: UnixStream, deadline: Instant) -> Result<Option<Greeted>, DriverError> {
        let hello = |source| io_error("greet the supervisor", source);
        let mut frame = Vec::new();
        append_frame(&mut frame, &Order::Hello { version: PROTOCOL_VERSION }).expect("a hello is small");
        if stream.write_all(&frame).is_err() {
            return Ok(None);
        }
        let mut inbox = Inbox::new();
        let news = loop {
            if let Some(news) = inbox.next().map_err(|error| gone(&error.to_string()))? {
                break news;
            }
            let left = deadline.saturating_duration_since(monotonic()).max(CONNECT_PAUSE);
            stream.set_read_timeout(Some(left)).map_err(hello)?;
            match inbox.read_from(&mut stream) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(DriverError::Timeout { waited: self.options.start_wait });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(None),
            }
        };
        stream.set_read_timeout(None).map_err(hello)?;
        match news {
            News::Hello { version: PROTOCOL_VERSION, .. } => Ok(Some(Greeted { stream, inbox })),
            News::Hello { version, pid } => Err(gone(&format!(
                "process {pid} is a supervisor of another version of this program (it speaks {version}, this \
                 one {PROTOCOL_VERSION}); wait until its executions have ended, or end it"
            ))),
            _ => Err(gone("it does not begin with a hello")),
        }
    }

    /// Whether some process holds the supervisor's lock now.
    fn is_supervised(&self) -> bool {
        File::open(self.store.join(LOCK_FILE)).is_ok_and(|lock| lock.try_lock().is_err())
    }

    /// Starts a supervisor; what it returns is disconnected once that has ended.
    fn start_supervisor(&self) -> Result<Receiver<()>, DriverError> {
        let log =
            open_log(&self.store.join(LOG_FILE)).map_err(|source| io_error("open supervisor.log", source))?;
        let child = Command::new(&self.command.program)
            .args(&self.command.args)
            .envs(self.command.env.iter().map(|(name, value)| (name, value)))
            // A daemon may itself run inside an execution, which its supervisor is no part of.
            .env_remove(STORE_VAR)
            .env_remove(LAUNCH_VAR)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let mut child = child.map_err(|source| {
            io_error(&format!("start the supervisor {}", self.command.program.display()), source)
        })?;
        let (lives, ended) = bounded(0);
        // It may live as long as this process, and should leave no zombie when it does not.
        spawn_thread("supervisor-wait", move || {
            let _ = child.wait();
            drop::<Sender<()>>(lives);
        })?;
        Ok(ended)
    }
}

fn tell(told: &Receiver<StatusUpdate>, sink: &StatusSink) {
    told.iter().for_each(|status| sink(status));
}

fn open_log(path: &Path) -> io::Result<File> {
    let log = File::options().create(true).append(true).open(path)?;
    log::bound(&log, LOG_BYTES_MAX)?;
    Ok(log)
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), DriverError> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(body);
    spawned.map(drop).map_err(|source| io_error("start a thread", source))
}

fn gone(reason: &str) -> DriverError {
    DriverError::Gone { reason: reason.to_owned() }
}

fn io_error(action: &str, source: io::Error) -> DriverError {
    DriverError::Io { action: action.to_owned(), source }
}
