//! The log writer: one thread that appends what has gathered while the last commit ran, then
//! releases what waited for it.
//!
//! W1  Events reach the file in the order of `append`; events of one `append` are in one
//!     transaction.
//! W2  An effect is released after the sync that covers its `append`, in order, and only then.
//! W3  A disk that is full is waited for: what gathered is kept, in order, and written when there is
//!     room.
//! W4  After a commit that failed otherwise nothing is appended and no effect is released any more; effects that
//!     wait are dropped.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::batch::Batch;
use super::durable::Durable;
use super::file::{LogError, LogFile, Row};
use crate::clock::monotonic;
use crate::limits::{BATCH_BYTES, GATHER_BYTES_MAX};
use crate::model::{Epoch, Event, EventNumber, StoreId};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, Ordering};

/// Between two looks for room on a disk that is full.
const ROOM_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 250 });

/// What has gathered since the last commit began.
struct Gather<E> {
    batches: Vec<Batch>,
    effects: Vec<E>,
    next: EventNumber,
    is_closed: bool,
    failure: Option<LogError>,
}

struct Shared<E> {
    gather: Mutex<Gather<E>>,
    wake: Condvar,
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

/// Where events go. With a file they are synced by a thread; without one they are forgotten, and
/// effects are released at once: nothing is promised, so nothing is waited for.
pub(crate) struct Log<E> {
    shared: Arc<Shared<E>>,
    release: Arc<dyn Fn(Durable<E>) + Send + Sync>,
    thread: Mutex<Option<JoinHandle<Option<LogFile>>>>,
    has_file: bool,
}

impl<E: Send + 'static> Log<E> {
    /// A log that keeps nothing. `next` is the number of the first event.
    pub(crate) fn volatile(next: EventNumber, release: impl Fn(Durable<E>) + Send + Sync + 'static) -> Self {
        let thread = Mutex::new(None);
        Self { shared: Shared::new(next), release: Arc::new(release), thread, has_file: false }
    }

    /// Starts the writer on `file`. `release` runs on its thread and must not block on the core.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        file: LogFile,
        id: (StoreId, Epoch),
        next: EventNumber,
        release: impl Fn(Durable<E>) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Shared::new(next);
        let release: Arc<dyn Fn(Durable<E>) + Send + Sync> = Arc::new(release);
        let (its, releases) = (shared.clone(), release.clone());
        let thread = std::thread::Builder::new()
            .name("weighbridge-log".into())
            .spawn(move || its.write_until_closed(file, id, &*releases))?;
        Ok(Self { shared, release, thread: Mutex::new(Some(thread)), has_file: true })
    }

    /// Takes the events of one command and the effects that wait for them. Called by the owner of
    /// the core, in order.
    pub(crate) fn append(&self, events: &[(Event, u64)], effects: impl IntoIterator<Item = E>) {
        if !self.has_file {
            self.shared.gather.lock().next.0 += events.len() as u64;
            self.shared.durable.fetch_add(events.len() as u64, Ordering::Relaxed);
            effects.into_iter().for_each(|effect| (self.release)(Durable::after_sync(effect)));
            return;
        }
        let mut gather = self.shared.gather.lock();
        if gather.failure.is_some() || gather.is_closed {
            return;
        }
        for (event, state_hash) in events {
            gather.push(event, *state_hash);
        }
        gather.effects.extend(effects);
        drop(gather);
        self.shared.wake.notify_one();
    }

    /// True while so much waits that the core should take no more commands.
    pub(crate) fn is_full(&self) -> bool {
        self.has_file && self.shared.gather.lock().bytes() > GATHER_BYTES_MAX
    }

    /// True once a commit failed.
    pub(crate) fn is_failed(&self) -> bool {
        // Who sees it finds the reason under the lock, inside of which it is set.
        self.shared.is_failed.load(Ordering::Acquire)
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
        // Acquire, with the Release in `write_all`: who sees the number sees its effects' causes.
        EventNumber(self.shared.durable.load(Ordering::Acquire))
    }

    /// Commits so far.
    pub(crate) fn n_commits(&self) -> u64 {
        self.shared.n_commits.load(Ordering::Relaxed)
    }

    /// Writes what has gathered, ends the thread and gives the file back; `None` without one.
    pub(crate) fn close(&self) -> Option<LogFile> {
        self.shared.gather.lock().is_closed = true;
        self.shared.wake.notify_all();
        self.thread.lock().take()?.join().ok()?
    }
}

impl<E> Shared<E> {
    fn new(next: EventNumber) -> Arc<Self> {
        let gather =
            Gather { batches: Vec::new(), effects: Vec::new(), next, is_closed: false, failure: None };
        Arc::new(Self {
            gather: Mutex::new(gather),
            wake: Condvar::new(),
            durable: AtomicU64::new(next.0 - 1),
            n_commits: AtomicU64::new(0),
            covered: AtomicU64::new(0),
            is_failed: AtomicBool::new(false),
            is_disk_full: AtomicBool::new(false),
        })
    }

    /// The writer thread. A panic of the storage is a failure like any other.
    fn write_until_closed(
        &self,
        mut file: LogFile,
        id: (StoreId, Epoch),
        release: &dyn Fn(Durable<E>),
    ) -> Option<LogFile> {
        let write = || self.write_all(|rows, covered| self.append_to(&mut file, rows, covered), id, release);
        let written = std::panic::catch_unwind(AssertUnwindSafe(write));
        written
            .inspect_err(|_| {
                let cause = "the log writer panicked; its message is on standard error".to_owned();
                self.fail(LogError::Storage { action: "write the log", cause });
            })
            .ok()?;
        Some(file)
    }

    /// Appends, and again and again while the disk is full, until the log is closed.
    fn append_to(&self, file: &mut LogFile, rows: &[Row], covered: EventNumber) -> Result<(), LogError> {
        let mut result = file.append(rows, covered);
        while let Err(LogError::Full { .. }) = result {
            self.is_disk_full.store(true, Ordering::Relaxed);
            {
                let mut gather = self.gather.lock();
                let end = monotonic() + ROOM_PAUSE;
                while !gather.is_closed && !self.wake.wait_until(&mut gather, end).timed_out() {}
                if gather.is_closed {
                    return result;
                }
            }
            result = file.resume(rows, EventNumber(self.covered.load(Ordering::Relaxed)));
        }
        self.is_disk_full.store(false, Ordering::Relaxed);
        result
    }

    /// Takes nothing any more and drops what waits. Effects are dropped outside the lock: whoever
    /// waits on them is told that they will not come.
    fn fail(&self, error: LogError) {
        let mut gather = self.gather.lock();
        gather.failure = Some(error);
        // Before the lock is released: see `is_failed`.
        self.is_failed.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut gather.effects);
        gather.batches.clear();
        drop(gather);
        drop(waiting);
    }

    /// Writes until the log is closed; `append` puts rows on disk.
    fn write_all(
        &self,
        mut append: impl FnMut(&[Row], EventNumber) -> Result<(), LogError>,
        (store, epoch): (StoreId, Epoch),
        release: &dyn Fn(Durable<E>),
    ) {
        while let Some((batches, effects)) = self.next_gathering() {
            let rows: Vec<Row> =
                batches.iter().map(|batch| (batch.last(), batch.seal(store, epoch))).collect();
            let covered = EventNumber(self.covered.load(Ordering::Relaxed));
            let result = if rows.is_empty() { Ok(()) } else { append(&rows, covered) };
            if let Err(error) = result {
                self.fail(error);
                drop(effects);
                continue;
            }
            if let Some(batch) = batches.last() {
                self.durable.store(batch.last().0, Ordering::Release);
                self.n_commits.fetch_add(1, Ordering::Relaxed);
            }
            for effect in effects {
                release(Durable::after_sync(effect));
            }
        }
    }

    /// Waits for something to write; `None` when the log is closed and all is written.
    fn next_gathering(&self) -> Option<(Vec<Batch>, Vec<E>)> {
        let mut gather = self.gather.lock();
        while gather.batches.is_empty() && gather.effects.is_empty() {
            if gather.is_closed {
                return None;
            }
            self.wake.wait(&mut gather);
        }
        Some((std::mem::take(&mut gather.batches), std::mem::take(&mut gather.effects)))
    }
}

impl<E> Gather<E> {
    fn push(&mut self, event: &Event, state_hash: u64) {
        if self.batches.last().is_none_or(|batch| batch.bytes() >= BATCH_BYTES) {
            self.batches.push(Batch::new(self.next));
        }
        self.batches.last_mut().expect("just made sure").push(event, state_hash);
        self.next.0 += 1;
    }

    fn bytes(&self) -> usize {
        self.batches.iter().map(Batch::bytes).sum()
    }
}

impl<E> Drop for Log<E> {
    /// Ends the thread; what has gathered is written first.
    fn drop(&mut self) {
        self.shared.gather.lock().is_closed = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the writer was reported by its thread.
            let _ = thread.join();
        }
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
    fn after_a_failed_commit_nothing_is_released_and_every_effect_is_dropped() {
        let disk = FailingDisk::default();
        let (log, released, drops) = start(&disk);
        log.append(&[event(1)], [Effect(1, drops.clone())]);
        until(|| released.lock().len() == 1);
        disk.fail();
        for n in 2..=10 {
            log.append(&[event(n)], [Effect(n, drops.clone())]);
        }
        until(|| drops.load(Ordering::Relaxed) == 10);
        assert!(log.is_failed() && log.failure().is_some());
        assert_eq!((&*released.lock(), log.durable()), (&vec![1], EventNumber(1)));
    }
}
