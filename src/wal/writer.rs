//! The log writer: appends what has gathered while the last commit ran, then releases what waited
//! for it.
//!
//! A commit is made by the thread of the log, or by a caller who would only wait for it and finds the
//! file free: that saves waking one thread and waiting to be woken by it.
//!
//! W1  Events reach the file in the order of `append`; events of one `append` are in one
//!     transaction.
//! W2  An effect is released after the sync that covers its `append`, in order, and only then. Whoever
//!     commits takes its turn to release before it lets go of the file.
//! W3  A disk that is full is waited for, by the thread: what gathered is kept, in order, and written
//!     when there is room.
//! W4  After a commit that failed otherwise nothing is appended and no effect is released any more; effects that
//!     wait are dropped.
//! W5  An event that could not be read back fails the log like a commit: what gathered with it is not written.
//! W6  What gathers while somebody has the file is seen to: who lets go of the file looks again, and
//!     wakes the thread.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::batch::{Batch, EventTooLong};
use super::durable::Durable;
use super::file::{LogError, LogFile, Row};
use crate::clock::monotonic;
use crate::limits::{BATCH_BYTES, GATHER_BYTES_MAX};
use crate::model::{Epoch, Event, EventNumber, StoreId};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, Ordering};

/// Between two looks for room on a disk that is full.
const ROOM_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 250 });

/// With more than this it is better that the thread writes, and callers prepare what comes next.
const HELP_BYTES_MAX: usize = 32 << 10;

/// What has gathered since the last commit began.
struct Gather<E> {
    batches: Vec<Batch>,
    effects: Vec<E>,
    next: EventNumber,
    /// The thread has something to write again.
    is_stuck: bool,
    is_closed: bool,
    failure: Option<LogError>,
}

/// Where rows go.
trait Rows {
    /// Appends in one transaction, and syncs.
    fn append(&mut self, rows: &[Row], covered: EventNumber) -> Result<(), LogError>;

    /// The same again, after it failed for want of room.
    fn resume(&mut self, rows: &[Row], covered: EventNumber) -> Result<(), LogError>;
}

impl Rows for LogFile {
    fn append(&mut self, rows: &[Row], covered: EventNumber) -> Result<(), LogError> {
        Self::append(self, rows, covered)
    }

    fn resume(&mut self, rows: &[Row], covered: EventNumber) -> Result<(), LogError> {
        Self::resume(self, rows, covered)
    }
}

/// What one commit writes, and what waits for it.
struct Commit<E> {
    rows: Vec<Row>,
    effects: Vec<E>,
}

/// What whoever commits has to itself.
struct Writer<E, F> {
    /// None once the log is closed.
    file: Option<F>,
    id: (StoreId, Epoch),
    /// What there was no room for.
    stuck: Option<Commit<E>>,
}

struct Shared<E, F> {
    gather: Mutex<Gather<E>>,
    wake: Condvar,
    writer: Mutex<Writer<E, F>>,
    /// Whoever releases.
    turn: Mutex<()>,
    release: Box<dyn Fn(Durable<E>) + Send + Sync>,
    /// The newest event that is on disk.
    durable: AtomicU64,
    /// Commits so far.
    n_commits: AtomicU64,
    /// The newest event of which the state file holds everything.
    covered: AtomicU64,
    is_failed: AtomicBool,
    /// There is no room for what has gathered.
    is_disk_full: AtomicBool,
}

/// Where events go. With a file they are synced; without one they are forgotten, and effects are
/// released at once: nothing is promised, so nothing is waited for.
pub(crate) struct Log<E> {
    shared: Arc<Shared<E, LogFile>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    has_file: bool,
}

impl<E: Send + 'static> Log<E> {
    /// A log that keeps nothing. `next` is the number of the first event.
    pub(crate) fn volatile(next: EventNumber, release: impl Fn(Durable<E>) + Send + Sync + 'static) -> Self {
        let shared = Shared::new(None, (StoreId(0), Epoch(0)), next, release);
        Self { shared, thread: Mutex::new(None), has_file: false }
    }

    /// Starts the writer on `file`. `release` runs on its thread, or on that of a caller who waits, and
    /// must not block on the core.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        file: LogFile,
        id: (StoreId, Epoch),
        next: EventNumber,
        release: impl Fn(Durable<E>) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Shared::new(Some(file), id, next, release);
        let its = shared.clone();
        let thread = std::thread::Builder::new().name("weighbridge-log".into());
        let thread = thread.spawn(move || its.write_until_closed())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), has_file: true })
    }

    /// Takes the events of one command and the effects that wait for them. Called by the owner of
    /// the core, in order; once it has let go of the core, it calls [`Log::wake`] or [`Log::help`].
    pub(crate) fn append(&self, events: &[(Event, u64)], effects: impl IntoIterator<Item = E>) -> bool {
        if !self.has_file {
            self.shared.gather.lock().next.0 += events.len() as u64;
            self.shared.durable.fetch_add(events.len() as u64, Ordering::Relaxed);
            effects.into_iter().for_each(|effect| (self.shared.release)(Durable::after_sync(effect)));
            return true;
        }
        let mut gather = self.shared.gather.lock();
        if gather.failure.is_some() || gather.is_closed {
            return false;
        }
        if let Err(EventTooLong(bytes)) =
            events.iter().try_for_each(|(event, hash)| gather.push(event, *hash))
        {
            drop(gather);
            self.shared.fail(LogError::TooLong { bytes });
            return false;
        }
        gather.effects.extend(effects);
        // Much is written while the core goes on.
        let is_much = gather.bytes() > HELP_BYTES_MAX;
        drop(gather);
        if is_much {
            self.wake();
        }
        true
    }

    /// Has the thread write what has gathered, if anything.
    pub(crate) fn wake(&self) {
        self.shared.look_again();
    }

    /// Writes what has gathered on this thread, where it is little and nobody else is writing; else the
    /// thread of the log does. May take as long as one commit; with a full disk it returns at once.
    pub(crate) fn help(&self) {
        if self.has_file {
            self.shared.help();
        }
    }

    /// True while so much waits that the core should take no more commands.
    pub(crate) fn is_full(&self) -> bool {
        self.has_file && self.shared.gather.lock().bytes() > GATHER_BYTES_MAX
    }

    /// True once a commit failed.
    pub(crate) fn is_failed(&self) -> bool {
        self.shared.is_failed()
    }

    /// True while there is no room on the disk of the log. It goes on by itself when there is.
    pub(crate) fn is_disk_full(&self) -> bool {
        // Relaxed: a hint for callers that orders nothing.
        self.shared.is_disk_full.load(Ordering::Relaxed)
    }

    /// Takes word that the state file holds everything up to an event, so that older rows may go.
    pub(crate) fn covered(&self) -> impl Fn(EventNumber) + Send + use<E> {
        let shared = self.shared.clone();
        // Relaxed: what is covered is on disk before this is called, and rows are removed by a
        // transaction of their own file.
        move |covered| shared.covered.store(covered.0, Ordering::Relaxed)
    }

    /// What it was told of that, for tests.
    #[cfg(test)]
    pub(crate) fn n_covered(&self) -> EventNumber {
        EventNumber(self.shared.covered.load(Ordering::Relaxed))
    }

    /// Why the log takes nothing any more, if so.
    pub(crate) fn failure(&self) -> Option<LogError> {
        self.shared.gather.lock().failure.clone()
    }

    /// The newest event that is on disk.
    pub(crate) fn durable(&self) -> EventNumber {
        self.shared.durable()
    }

    /// Commits so far.
    pub(crate) fn n_commits(&self) -> u64 {
        self.shared.n_commits.load(Ordering::Relaxed)
    }

    /// Writes what has gathered, ends the thread and gives the file back; `None` without one.
    pub(crate) fn close(&self) -> Option<LogFile> {
        self.end();
        self.shared.writer.lock().file.take()
    }
}

impl<E> Log<E> {
    /// Ends the thread; what has gathered is written first.
    fn end(&self) {
        self.shared.gather.lock().is_closed = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the writer was reported by its thread.
            let _ = thread.join();
        }
    }
}

impl<E, F: Rows> Shared<E, F> {
    fn new(
        file: Option<F>,
        id: (StoreId, Epoch),
        next: EventNumber,
        release: impl Fn(Durable<E>) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let gather = Gather {
            batches: Vec::new(),
            effects: Vec::new(),
            next,
            is_stuck: false,
            is_closed: false,
            failure: None,
        };
        Arc::new(Self {
            gather: Mutex::new(gather),
            wake: Condvar::new(),
            writer: Mutex::new(Writer { file, id, stuck: None }),
            turn: Mutex::new(()),
            release: Box::new(release),
            durable: AtomicU64::new(next.0 - 1),
            n_commits: AtomicU64::new(0),
            covered: AtomicU64::new(0),
            is_failed: AtomicBool::new(false),
            is_disk_full: AtomicBool::new(false),
        })
    }

    fn is_failed(&self) -> bool {
        // Who sees it finds the reason under the lock, inside of which it is set.
        self.is_failed.load(Ordering::Acquire)
    }

    fn durable(&self) -> EventNumber {
        // Acquire, with the Release in `write`: who sees the number sees its effects' causes.
        EventNumber(self.durable.load(Ordering::Acquire))
    }

    /// The thread of the log.
    fn write_until_closed(&self) {
        while self.wait_for_something() {
            let is_stuck = self.commit(self.writer.lock());
            if is_stuck && !self.pause() {
                let cause = "it was closed before there was room".to_owned();
                self.fail(LogError::Full { action: "write the log", cause });
                // W4
                let stuck = self.writer.lock().stuck.take();
                drop(stuck);
            }
        }
    }

    fn help(&self) {
        if self.gather.lock().bytes() > HELP_BYTES_MAX {
            self.wake.notify_one();
            return;
        }
        // Whoever has it looks again when it has done.
        let Some(writer) = self.writer.try_lock() else { return };
        if writer.stuck.is_none() && self.commit(writer) {
            self.wake.notify_one();
        }
    }

    /// One commit of what has gathered, or of what there was no room for. True where there is no room.
    /// A panic of the storage is a failure like any other.
    fn commit(&self, writer: MutexGuard<'_, Writer<E, F>>) -> bool {
        let written = std::panic::catch_unwind(AssertUnwindSafe(|| self.write(writer)));
        let is_stuck = written.unwrap_or_else(|_| {
            let cause = "the log writer panicked; its message is on standard error".to_owned();
            self.fail(LogError::Storage { action: "write the log", cause });
            false
        });
        self.look_again();
        is_stuck
    }

    /// Wakes the thread where something has gathered.
    fn look_again(&self) {
        if self.gather.lock().has_something() {
            self.wake.notify_one();
        }
    }

    fn write(&self, mut writer: MutexGuard<'_, Writer<E, F>>) -> bool {
        let (store, epoch) = writer.id;
        let again = writer.stuck.take();
        let is_again = again.is_some();
        let commit = again.unwrap_or_else(|| {
            let (batches, effects) = self.gather.lock().take();
            let rows = batches.into_iter().map(|batch| (batch.last(), batch.seal(store, epoch)));
            Commit { rows: rows.collect(), effects }
        });
        if commit.rows.is_empty() && commit.effects.is_empty() {
            return false;
        }
        let covered = EventNumber(self.covered.load(Ordering::Relaxed));
        let result = match writer.file.as_mut() {
            _ if commit.rows.is_empty() => Ok(()),
            None => Err(LogError::Poisoned),
            Some(file) if is_again => file.resume(&commit.rows, covered),
            Some(file) => file.append(&commit.rows, covered),
        };
        let is_full = matches!(result, Err(LogError::Full { .. }));
        if is_full || is_again {
            self.is_disk_full.store(is_full, Ordering::Relaxed);
            self.gather.lock().is_stuck = is_full;
        }
        match result {
            Err(LogError::Full { .. }) => {
                writer.stuck = Some(commit);
                return true;
            }
            Err(error) => {
                // Before the file is let go: nobody may write after this.
                self.fail(error);
                return false;
            }
            Ok(()) => {}
        }
        if let Some((last, _)) = commit.rows.last() {
            self.durable.store(last.0, Ordering::Release);
            self.n_commits.fetch_add(1, Ordering::Relaxed);
        }
        let turn = self.turn.lock();
        drop(writer);
        // So that the next commit runs while this one's effects are released.
        self.look_again();
        for effect in commit.effects {
            (self.release)(Durable::after_sync(effect));
        }
        drop(turn);
        false
    }

    /// Takes nothing any more and drops what waits. Effects are dropped outside the lock: whoever
    /// waits on them is told that they will not come.
    fn fail(&self, error: LogError) {
        let mut gather = self.gather.lock();
        gather.failure = Some(error);
        gather.is_stuck = false;
        // Before the lock is released: see `is_failed`.
        self.is_failed.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut gather.effects);
        gather.batches.clear();
        drop(gather);
        drop(waiting);
    }

    /// Waits for something to write; false when the log is closed and all is written.
    fn wait_for_something(&self) -> bool {
        let mut gather = self.gather.lock();
        while !gather.has_something() {
            if gather.is_closed {
                return false;
            }
            self.wake.wait(&mut gather);
        }
        true
    }

    /// Waits a moment for room; false when the log is closed.
    fn pause(&self) -> bool {
        let mut gather = self.gather.lock();
        let end = monotonic() + ROOM_PAUSE;
        while !gather.is_closed && !self.wake.wait_until(&mut gather, end).timed_out() {}
        !gather.is_closed
    }
}

impl<E> Gather<E> {
    fn push(&mut self, event: &Event, state_hash: u64) -> Result<(), EventTooLong> {
        if self.batches.last().is_none_or(|batch| batch.bytes() >= BATCH_BYTES) {
            self.batches.push(Batch::new(self.next));
        }
        self.batches.last_mut().expect("just made sure").push(event, state_hash)?;
        self.next.0 += 1;
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.batches.iter().map(Batch::bytes).sum()
    }

    fn has_something(&self) -> bool {
        self.is_stuck || !self.batches.is_empty() || !self.effects.is_empty()
    }

    fn take(&mut self) -> (Vec<Batch>, Vec<E>) {
        (std::mem::take(&mut self.batches), std::mem::take(&mut self.effects))
    }
}

impl<E> Drop for Log<E> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
#[cfg(weighbridge_loom)]
mod interleavings;

#[cfg(test)]
#[cfg(not(weighbridge_loom))]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::clock::monotonic;
    use crate::model::Timestamp;
    use crate::testing::FailingDisk;
    use crate::wal::Disk;

    fn event(n: u32) -> (Event, u64) {
        (Event::EngineStarted { epoch: Epoch(n), when: Timestamp(0) }, 0)
    }

    /// What was released, in order; each effect is a number that counts its drops.
    struct Effect(u32, Arc<AtomicUsize>);

    impl Drop for Effect {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    type Released = Arc<Mutex<Vec<u32>>>;

    fn start(disk: &FailingDisk) -> (Log<Effect>, Released, Arc<AtomicUsize>) {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let (file, id) = LogFile::open(&disk, StoreId(1)).expect("a new log");
        let released = Released::default();
        let its = released.clone();
        let release = move |effect: Durable<Effect>| its.lock().push(effect.get().0);
        let log = Log::start(file, (id, Epoch(1)), EventNumber(1), release).expect("a thread");
        (log, released, Arc::default())
    }

    fn until(what: impl Fn() -> bool) {
        let end = monotonic() + Duration::from_secs(10);
        while !what() {
            assert!(monotonic() < end, "it did not happen in time");
            std::thread::yield_now();
        }
    }

    #[test]
    fn effects_come_in_order_and_events_read_back() {
        let disk = FailingDisk::default();
        let (log, released, drops) = start(&disk);
        for n in 1..=500 {
            log.append(&[event(n), event(n)], [Effect(n, drops.clone())]);
            if n % 3 == 0 {
                log.help();
            } else {
                log.wake();
            }
        }
        let file = log.close().expect("the file");
        assert_eq!(*released.lock(), (1..=500).collect::<Vec<_>>());
        assert_eq!(log.durable(), EventNumber(1_000));
        let mut next = 1;
        file.for_each(|_, row| {
            let batch = crate::wal::ReadBatch::read(row, StoreId(1)).expect("a batch");
            assert_eq!(batch.first.0, next);
            next = batch.last.0 + 1;
            Ok::<_, LogError>(())
        })
        .expect("readable");
        assert_eq!(next, 1_001);
    }

    #[test]
    fn who_waits_may_commit_and_nothing_is_left_lying() {
        let disk = FailingDisk::default();
        let (log, released, drops) = start(&disk);
        let next = Mutex::new(1..=400_u32);
        std::thread::scope(|scope| {
            let work = || loop {
                let mut next = next.lock();
                let Some(n) = next.next() else { return };
                log.append(&[event(n)], [Effect(n, drops.clone())]);
                drop(next);
                // Nobody wakes the thread; what is released comes by helping, or by who was helping.
                log.help();
                until(|| released.lock().contains(&n));
            };
            for _ in 0..4 {
                scope.spawn(work);
            }
        });
        assert_eq!(*released.lock(), (1..=400).collect::<Vec<_>>());
        assert!(log.n_commits() <= 400);
    }

    #[test]
    fn after_a_failed_commit_nothing_is_released_and_every_effect_is_dropped() {
        let disk = FailingDisk::default();
        let (log, released, drops) = start(&disk);
        log.append(&[event(1)], [Effect(1, drops.clone())]);
        log.wake();
        until(|| released.lock().len() == 1);
        disk.fail();
        for n in 2..=10 {
            log.append(&[event(n)], [Effect(n, drops.clone())]);
            log.wake();
        }
        until(|| drops.load(Ordering::Relaxed) == 10);
        assert!(log.is_failed() && log.failure().is_some());
        assert_eq!((&*released.lock(), log.durable()), (&vec![1], EventNumber(1)));
    }

    #[test]
    fn an_event_that_could_not_be_read_back_fails_the_log_and_what_is_written_can_be_read() {
        let disk = FailingDisk::default();
        let (log, released, drops) = start(&disk);
        log.append(&[event(1)], [Effect(1, drops.clone())]);
        log.wake();
        until(|| released.lock().len() == 1);
        let jobs = vec![crate::model::JobId(1); crate::limits::EVENT_BYTES_MAX / 8];
        let long = (Event::JobsCanceled { jobs, when: Timestamp(0) }, 0);
        assert!(!log.append(&[event(2), long, event(3)], [Effect(2, drops.clone())]));
        assert!(!log.append(&[event(4)], [Effect(3, drops.clone())]));
        assert!(matches!(log.failure(), Some(LogError::TooLong { .. })));
        let file = log.close().expect("the file");
        assert_eq!((&*released.lock(), drops.load(Ordering::Relaxed)), (&vec![1], 3));
        let mut last = 0;
        file.for_each(|_, row| {
            last = crate::wal::ReadBatch::read(row, StoreId(1)).expect("a batch").last.0;
            Ok::<_, LogError>(())
        })
        .expect("readable");
        assert_eq!(last, 1);
    }
}
