//! The shell around the core: intake, lock, log, views, outbox.
//!
//! Protocol of a command, from any thread:
//! 1. It is pushed on a ring (refused when full), and the bell rings.
//! 2. Whoever comes next with the core's lock (a decider, a waiter, the service thread) drains
//!    the rings: applies, and hands events and effects to the log under the same lock.
//! 3. The log writer syncs, then releases the effects: answers, launches, views.
//!
//! Protocol of an offer, from any thread, several at once:
//! 4. The decider takes the core's lock, which puts offers in an order, and does step 2 for what the
//!    rings hold at that moment: what was pushed before its call is visible to it, unless the log is so
//!    full that commands have to wait.
//! 5. Under the same lock it picks. A pick leaves its lane and counts for its type's limit, so
//!    other offers get other picks; those of one offer are in the order of the queue.
//! 6. The lock is released. The guard holds the picks; commands and other offers go on.
//! 7. A cancel that is applied now takes the pick out: the guard's commit finds nothing there.
//! 8. A commit takes the lock, turns the picks that are still there into launches, and hands their
//!    events to the log (step 3 releases them). A guard that is dropped takes the lock and puts
//!    each back under its key: its exact old place, or the one of a priority it was given meanwhile.
//!
//! A crash between 5 and 8 leaves no trace: picks are in no event.
//!
//! E1  The order of events in the log is the order in which they were applied.
//! E2  No lock is held over I/O, but by `close`; the core's lock is held for one drain or one decision.
//! E3  Nothing that leaves (answer, launch, kill, view) leaves before its events are durable. Looks
//!     into the core itself are no effects: `job`, `jobs`, `queued`, `why`, `waiting`, `load`,
//!     `running` may be ahead of the disk by the commit under way, which a crash may undo. Who must
//!     not act on that reads a view, or calls `settle` after the look.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dashmap::DashMap;

use super::clock_work::ClockWork;
use super::command::{Command, Status};
use super::core::Core;
use super::domain::Covered;
use super::handle::{Changed, JobTypeError, JobsError, StatusOutcome, SubmitError};
use super::options::Options;
use super::outbox::{Bell, Held, Outbox, Outgoing};
use super::picks::PendingLaunches;
use super::plan::{Committed, Plan};
use super::reports::Reports;
use super::ticket::{Promise, Pump, Ticket};
use super::view::{View, view};
use crate::clock::monotonic;
use crate::intake::{Intake, IntakeError};
use crate::launch::{OutputSource, PrintedSource, StatusUpdate};
use crate::limits::STATUSES_LEN_MAX;
use crate::model::{
    Accepted, Epoch, Event, EventNumber, JobId, JobTypeId, JobTypeSpec, LaunchName, NodeId, QueueMode,
    StoreId, Submission, SubmissionId, Timestamp,
};
use crate::offer::ClusterNodes;
use crate::queue::Entry;
use crate::state::{Delta, State};
use crate::store::{Facts, OpenError, Opened, StoreFiles, StoreLock, Tables, open};
use crate::sync::{AtomicBool, AtomicI64, Mutex, Ordering};
use crate::wal::{Durable, Log, LogError, LogFile};

/// Room for statuses. Unit tests open engines by the thousand, and making the ring is most of it.
const STATUSES_LEN: usize = if cfg!(test) { 1 << 10 } else { STATUSES_LEN_MAX };

/// Pause before a log that is behind is looked at again.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// What waits for the log.
pub(super) enum Effect {
    /// A closure that answers somebody.
    Answer(Box<dyn FnOnce() + Send>),
    /// What became of a status.
    Status(Promise<StatusOutcome, Infallible>, StatusOutcome),
    /// What changed, for readers and the checkpointer.
    Delta(Box<Delta>),
    /// Launches for whoever committed them.
    Launches(Committed, Promise<Durable<Committed>, Infallible>),
    /// A launch for the outbox.
    Launch(Box<Plan>),
    Kill(LaunchName),
    Acknowledge(LaunchName),
    Publish(Arc<View>),
}

/// Where released effects go.
pub(super) struct Outside {
    pub(super) tables: Arc<Tables>,
    outbox: Outbox,
    view: ArcSwap<View>,
}

impl Outside {
    fn release(&self, effect: Durable<Effect>) {
        match effect.split() {
            (Effect::Delta(delta), _) => self.tables.add(*delta),
            (Effect::Answer(answer), _) => answer(),
            (Effect::Status(promise, outcome), _) => drop(promise.answer(Ok(outcome))),
            (Effect::Launches(committed, promise), proof) => {
                let given_up = promise.answer(Ok(proof.map(|()| committed)));
                if let Some(Ok(committed)) = given_up {
                    self.post(committed);
                }
            }
            (Effect::Launch(launch), proof) => self.outbox.push([Held::Launch(proof.map(|()| *launch))]),
            (Effect::Kill(name), proof) => self.outbox.push([Held::Kill(proof.map(|()| name))]),
            (Effect::Acknowledge(name), proof) => {
                self.outbox.push([Held::Acknowledge(proof.map(|()| name))]);
            }
            (Effect::Publish(view), _) => self.view.store(view),
        }
    }
}

/// Answers `promise` with `value` once that is durable.
pub(super) fn answer<T: Send + 'static, E: Send + 'static>(promise: Promise<T, E>, value: T) -> Effect {
    Effect::Answer(Box::new(move || drop(promise.answer(Ok(value)))))
}

/// The core's side of what only its owner may touch.
pub(super) struct Owned {
    pub(super) core: Core,
    /// When, on the monotonic clock, the newest view was made, and of which event.
    pub(super) viewed: (Instant, EventNumber),
    /// When what waits was counted last, on both clocks.
    pub(super) tallied: Option<(Instant, Timestamp)>,
    /// When the clock took load down last; at first, when the engine was made: before it there was nothing to
    /// count.
    pub(super) load_fired: Timestamp,
    pub(super) picks: Vec<Entry>,
}

pub(super) struct Inner {
    pub(super) intake: Intake<Command, Status>,
    /// Taken by `enter`.
    pub(super) owned: Mutex<Owned>,
    pub(super) log: Log<Effect>,
    pub(super) outside: Arc<Outside>,
    pub(super) bell: Bell,
    /// Rung when somebody waits for a bulk operation.
    bulk_bell: Bell,
    pub(super) reports: Reports,
    /// Where what executions left is looked for, if anywhere.
    pub(super) output_source: Mutex<Option<Arc<dyn OutputSource>>>,
    /// Who reads what executions print, if anybody.
    pub(super) printed_source: Mutex<Option<Arc<dyn PrintedSource>>>,
    pub(super) answers: Arc<DashMap<Arc<str>, Accepted>>,
    /// Of the batch that was gone on with last.
    pub(super) covered: Mutex<Covered>,
    pub(super) is_closed: AtomicBool,
    /// When the rings were last drained.
    pub(super) moved: AtomicI64,
    pub(super) options: Options,
    pub(super) clock_work: ClockWork,
    n_replayed: u64,
    checkpointer: Mutex<Option<JoinHandle<()>>>,
    /// Last, so that the store is unlocked only after its files are closed.
    lock: Mutex<Option<StoreLock>>,
}

/// The engine: queue, decisions and log in one. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Inner>);

/// Why an engine did not close well. What was answered is on disk all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The log failed at some point; what was answered before is on disk.
    #[error("the log failed: {0}")]
    Log(LogError),
    /// The state could not be written; the next start reads the log instead.
    #[error("could not write the state: {0}")]
    State(OpenError),
}

fn random_store_id() -> StoreId {
    let draw = || u128::from(RandomState::new().hash_one("a new store"));
    StoreId(draw() << 64 | draw())
}

impl Engine {
    /// Opens the store in `directory`, or makes it, and recovers what it holds.
    ///
    /// Cost: reads the whole state and the log after it.
    pub fn open(directory: impl AsRef<Path>, mut options: Options) -> Result<Self, OpenError> {
        let files = StoreFiles::new(directory.as_ref());
        let told = options.on_recovery.take();
        let tell = |recovery| told.iter().for_each(|tell| tell(recovery));
        let opened = open(&files, random_store_id(), options.checkpoint_bytes, &tell)?;
        Self::with(opened, options)
    }

    /// The same on a disk of a test.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn open_on(disk: &Arc<dyn crate::wal::Disk>, options: Options) -> Result<Self, OpenError> {
        Self::with(crate::store::open_on(disk, StoreId(1), options.checkpoint_bytes)?, options)
    }

    fn with(opened: Opened, options: Options) -> Result<Self, OpenError> {
        let Opened { lock, id, state, log, tables, n_replayed } = opened;
        let epoch = Epoch(state.epoch.0 + 1);
        let outside = Outside::new(&state, tables);
        let releases = outside.clone();
        let next = EventNumber(state.last_event.0 + 1);
        let log = Log::start(log, (id, epoch), next, move |effect| releases.release(effect));
        let log = log.map_err(OpenError::Thread)?;
        let inner = Inner::new(state, epoch, log, outside, options, lock, n_replayed)?;
        Ok(Self(Arc::new(inner)))
    }

    /// An engine without a store: nothing is promised beyond its life, and nothing is waited for.
    ///
    /// # Panics
    /// Where the system gives no thread.
    pub fn in_memory(options: Options) -> Self {
        let state = State::default();
        let tables = Tables::in_memory(options.checkpoint_bytes).expect("memory takes tables");
        let outside = Outside::new(&state, tables);
        let releases = outside.clone();
        let log = Log::volatile(EventNumber(1), move |effect| releases.release(effect));
        let inner = Inner::new(state, Epoch(1), log, outside, options, None, 0);
        Self(Arc::new(inner.expect("the system gives a thread")))
    }

    /// What waiters move the engine along with.
    pub(super) fn pump_of(&self) -> Arc<dyn Pump> {
        self.0.clone()
    }

    fn send<T, E>(
        &self,
        command: impl FnOnce(Promise<T, E>) -> Command,
    ) -> Result<Ticket<T, E>, IntakeError> {
        let (promise, ticket) = Promise::new(self.pump_of());
        if self.is_closed() {
            return Err(IntakeError::Closed);
        }
        if self.0.log.is_failed() {
            return Err(IntakeError::LogFailed);
        }
        if self.0.log.is_disk_full() {
            return Err(IntakeError::DiskFull);
        }
        self.0.intake.push_command(command(promise))?;
        self.0.bell.ring();
        Ok(ticket)
    }

    /// Hands in a command of its own: `call` is carried out whole, in its turn.
    pub(super) fn call<T: Send + 'static, E: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Core, Timestamp) -> Result<T, E> + Send + 'static,
    ) -> Result<Ticket<T, E>, IntakeError> {
        self.send(|promise| {
            Command::Call(Box::new(move |inner, core, now| {
                let result = call(core, now);
                inner.settle(core, result, promise);
            }))
        })
    }

    /// The same, with what is around the core.
    pub(super) fn call_inner<T: Send + 'static, E: Send + 'static>(
        &self,
        call: impl FnOnce(&Inner, &mut Core, Timestamp) -> Result<T, E> + Send + 'static,
    ) -> Result<Ticket<T, E>, IntakeError> {
        self.send(|promise| {
            Command::Call(Box::new(move |inner, core, now| {
                let result = call(inner, core, now);
                inner.settle(core, result, promise);
            }))
        })
    }

    /// The same on this thread, in between what others do: for those who come again and again with work
    /// that nobody waits for, so that no decision finds it in the intake. Waits while the log is behind.
    pub(super) fn call_here<T: Send + 'static, E: Send + 'static>(
        &self,
        call: impl FnOnce(&Inner, &mut Core, Timestamp) -> Result<T, E>,
    ) -> Result<Ticket<T, E>, IntakeError> {
        while self.0.is_full() && !self.is_closed() && !self.0.log.is_failed() {
            if self.0.log.is_disk_full() {
                return Err(IntakeError::DiskFull);
            }
            std::thread::sleep(FULL_PAUSE);
        }
        if self.is_closed() {
            return Err(IntakeError::Closed);
        }
        if self.0.log.is_failed() {
            return Err(IntakeError::LogFailed);
        }
        let (promise, ticket) = Promise::new(self.pump_of());
        let mut owned = self.0.enter();
        let now = owned.core.clamp(self.0.options.clock.now());
        let result = call(&self.0, &mut owned.core, now);
        self.0.settle(&mut owned.core, result, promise);
        owned.give_way();
        Ok(ticket)
    }

    /// An answer that is known already: a refusal.
    pub(super) fn refused<T, E>(&self, error: E) -> Ticket<T, E> {
        let (promise, ticket) = Promise::new(self.pump_of());
        drop(promise.answer(Err(error)));
        ticket
    }

    /// How those of `jobs` stand that are over.
    pub(super) fn facts(&self, jobs: &[JobId]) -> Result<Facts, JobsError> {
        self.0.outside.tables.facts(jobs).map_err(|error| {
            self.0.complain(&error);
            JobsError::Unreadable { cause: error.to_string() }
        })
    }

    /// Makes a job type, or edits the one of the same name and version; an equal spec changes
    /// nothing. A known type keeps its pause, limit and mode, which have commands of their own. The
    /// answer is its id.
    pub fn put_job_type(&self, spec: JobTypeSpec) -> Result<Ticket<JobTypeId, JobTypeError>, IntakeError> {
        self.send(|promise| Command::PutJobType(Box::new(spec), promise))
    }

    /// Queues jobs and recipes, all or none. The same submission id again gives the first answer.
    /// Never waits for a decision.
    pub fn submit(&self, submission: Submission) -> Result<Ticket<Accepted, SubmitError>, IntakeError> {
        let known = self.0.answers.get(submission.id.as_str()).map(|answer| *answer.value());
        if let Some(first) = known {
            let (promise, ticket) = Promise::new(self.pump_of());
            drop(promise.answer(Ok(Accepted { is_repeat: true, ..first })));
            return Ok(ticket);
        }
        self.send(|promise| Command::Submit(Box::new(submission), promise))
    }

    /// Cancels jobs, wherever they stand. Those that ended well or were canceled are left alone;
    /// those that run are ended.
    pub fn cancel(&self, jobs: Vec<JobId>) -> Result<Ticket<Changed, JobsError>, IntakeError> {
        self.with_facts(jobs, Core::cancel)
    }

    /// Gives jobs another priority, also in the queue; their queued time stays.
    pub fn set_priority(
        &self,
        jobs: Vec<JobId>,
        priority: i32,
    ) -> Result<Ticket<Changed, JobsError>, IntakeError> {
        self.send(|promise| Command::SetPriority(jobs, priority, promise))
    }

    /// Pauses or resumes a job type. What runs goes on.
    pub fn pause(
        &self,
        job_type: JobTypeId,
        is_paused: bool,
    ) -> Result<Ticket<(), JobTypeError>, IntakeError> {
        self.send(|promise| Command::Pause(job_type, is_paused, promise))
    }

    /// Sets how many executions of a job type may run at once; none or 0: no limit.
    pub fn set_limit(
        &self,
        job_type: JobTypeId,
        limit: Option<u32>,
    ) -> Result<Ticket<(), JobTypeError>, IntakeError> {
        self.send(|promise| Command::Limit(job_type, limit, promise))
    }

    /// Sets the direction of queued time, for all or inside one type.
    pub fn set_mode(
        &self,
        job_type: Option<JobTypeId>,
        mode: Option<QueueMode>,
    ) -> Result<Ticket<(), JobTypeError>, IntakeError> {
        self.send(|promise| Command::SetMode(job_type, mode, promise))
    }

    fn send_status(&self, status: Status) -> Result<(), IntakeError> {
        if self.is_closed() {
            return Err(IntakeError::Closed);
        }
        self.0.intake.push_status(status)?;
        self.0.bell.ring();
        Ok(())
    }

    /// Takes news of a launch. Acknowledge it to its source once the ticket is durable; where a source wants
    /// each of its statuses acknowledged, this is the call, not [`Engine::report`].
    pub fn status(&self, update: StatusUpdate) -> Result<Ticket<StatusOutcome, Infallible>, IntakeError> {
        let (promise, ticket) = Promise::new(self.pump_of());
        self.send_status(Status(update, Some(promise)))?;
        Ok(ticket)
    }

    /// Takes news of a launch without a ticket; of an end, the acknowledgement comes through the outbox, by
    /// the launch's name.
    pub fn report(&self, update: StatusUpdate) -> Result<(), IntakeError> {
        self.send_status(Status(update, None))
    }

    /// Applies everything in the intake, takes load down when due, and publishes a view when the
    /// last one is old. Waits for the core's lock.
    pub fn pump(&self) {
        let mut owned = self.0.enter();
        self.0.drain(&mut owned);
    }

    /// Waits until something came in, or `timeout` passed.
    pub fn wait_for_work(&self, timeout: Duration) -> bool {
        self.0.bell.wait(timeout)
    }

    /// Wakes whoever is in [`Engine::wait_for_work`].
    pub fn wake(&self) {
        self.0.bell.ring();
    }

    /// Waits until somebody waits for a bulk operation, or `timeout` passed.
    pub(super) fn wait_for_bulk(&self, timeout: Duration) {
        self.0.bulk_bell.wait(timeout);
    }

    /// Has bulk operations looked for at once.
    pub(super) fn hurry_bulk(&self) {
        self.0.bulk_bell.ring();
    }

    pub(super) fn put_back(&self, node: NodeId, picks: &[Entry], round: u64) {
        if !picks.is_empty() {
            self.0.enter().core.put_back(node, picks, round);
        }
    }

    /// Leaves launches that somebody gave up for whoever reads the outbox.
    pub(super) fn post(&self, committed: Durable<Committed>) {
        self.0.outside.post(committed);
    }

    pub(super) fn commit(&self, node: NodeId, picks: (&[Entry], u64), uses_offers: bool) -> PendingLaunches {
        let (promise, ticket) = Promise::new(self.pump_of());
        let now = self.0.options.clock.now();
        let mut owned = self.0.enter();
        let committed = owned.core.commit(node, picks, uses_offers, now);
        self.0.flush(&mut owned.core, [Effect::Launches(committed, promise)]);
        PendingLaunches::new(ticket, self.clone())
    }

    pub(super) fn hand_over(&self, node: NodeId, picks: (&[Entry], u64), uses_offers: bool) -> usize {
        if picks.0.is_empty() {
            return 0;
        }
        let now = self.0.options.clock.now();
        let mut owned = self.0.enter();
        let committed = owned.core.commit(node, picks, uses_offers, now);
        let n_launches = committed.plans.len();
        if committed.offers.is_empty() {
            let launches = committed.plans.into_iter().map(|plan| Effect::Launch(Box::new(plan)));
            self.0.flush(&mut owned.core, launches);
        } else {
            // Given up at once, they go to the outbox together.
            let (promise, mut ticket) = Promise::new(self.pump_of());
            let _nothing_yet = ticket.give_up();
            self.0.flush(&mut owned.core, [Effect::Launches(committed, promise)]);
        }
        n_launches
    }

    /// What drivers are to do, in order; waits up to `timeout` for the first.
    pub fn outgoing(&self, timeout: Duration) -> Vec<Outgoing> {
        let held = self.0.outside.outbox.take(timeout);
        let out = held.into_iter().filter_map(|held| match held {
            Held::Launch(plan) => self.fill(plan).map(Outgoing::Launch),
            Held::Accept(committed) => {
                let (launches, offers) = self.fill_all(committed);
                Some(Outgoing::Accept { offers, launches })
            }
            Held::Kill(name) => Some(Outgoing::Kill(name)),
            Held::Acknowledge(name) => Some(Outgoing::Acknowledge(name)),
        });
        out.collect()
    }

    /// The last published view: at most 50 ms old while somebody moves the engine.
    pub fn view(&self) -> Arc<View> {
        self.0.outside.view.load_full()
    }

    /// A view of everything applied so far, once that is durable; the newest there is when
    /// `timeout` passes before. Cost: job types with their lanes, and nodes, under the core's lock.
    pub fn fresh_view(&self, timeout: Duration) -> Arc<View> {
        // By an answer behind the view, not by its position: nodes and picks change without events.
        let (promise, ticket) = Promise::<(), Infallible>::new(self.pump_of());
        {
            let mut owned = self.0.enter();
            let now = self.0.drain(&mut owned);
            owned.core.tally(now);
            self.0.publish(&mut owned, now);
            self.0.flush(&mut owned.core, [answer(promise, ())]);
        }
        // Late or lost: the newest there is.
        let _ = ticket.wait_durable(timeout);
        self.view()
    }

    /// Waits until everything applied so far is on disk, so that what was looked at before this call
    /// cannot be undone any more. False when `timeout` passes before, or the log failed.
    pub fn settle(&self, timeout: Duration) -> bool {
        let position = self.0.enter().core.state.last_event;
        let end = monotonic() + timeout;
        while self.durable() < position {
            if monotonic() > end || self.0.log.is_failed() {
                return false;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        true
    }

    /// Applies the intake and publishes a view of it, without waiting: the view comes when it is
    /// durable. Returns the newest event it shows. Cost: job types with their lanes, and nodes, under
    /// the core's lock.
    pub fn publish(&self) -> EventNumber {
        let mut owned = self.0.enter();
        let now = self.0.drain(&mut owned);
        self.0.publish(&mut owned, now);
        owned.core.state.last_event
    }

    /// When the intake was last applied, by the engine's clock: a sign that somebody moves it.
    pub fn moved(&self) -> Timestamp {
        Timestamp(self.0.moved.load(Ordering::Relaxed))
    }

    /// The second part of cluster ids.
    pub fn framework(&self) -> &str {
        &self.0.options.framework
    }

    /// True when a submission of that id was applied. It may not be durable yet: submit again
    /// under the same id to be sure.
    pub fn knows_submission(&self, id: &SubmissionId) -> bool {
        self.0.enter().core.state.submission(id.as_str()).is_some()
    }

    /// The newest event that is on disk.
    pub fn durable(&self) -> EventNumber {
        self.0.log.durable()
    }

    /// Commits of the log since it was opened.
    pub fn n_commits(&self) -> u64 {
        self.0.log.n_commits()
    }

    /// Launches that their drivers refused, since the engine was made.
    pub fn n_returned(&self) -> u64 {
        self.0.enter().core.n_returned
    }

    /// When a driver last refused a launch, and why, since the engine was made. A refused launch
    /// goes back to the queue and is tried again, so this is where to look when nothing starts.
    pub fn last_refusal(&self) -> Option<(Timestamp, String)> {
        self.0.enter().core.last_refusal.clone()
    }

    /// Events read from the log when the store was opened.
    pub fn n_replayed(&self) -> u64 {
        self.0.n_replayed
    }

    /// Why the log takes nothing any more, if so.
    pub fn failure(&self) -> Option<LogError> {
        self.0.log.failure()
    }

    /// True while there is no room on the disk of the log: commands are refused, what runs goes on, and
    /// nothing is acknowledged until there is room.
    pub fn is_disk_full(&self) -> bool {
        self.0.log.is_disk_full()
    }

    /// True once somebody has called [`Engine::close`]: nothing is taken any more.
    pub fn is_closed(&self) -> bool {
        // Acquire, with the Release in `close`.
        self.0.is_closed.load(Ordering::Acquire)
    }

    /// The engine's clock.
    pub fn now(&self) -> Timestamp {
        self.0.options.clock.now()
    }

    /// Holds every invariant against a recount. Slow; for tests.
    ///
    /// # Panics
    /// Where one does not hold.
    pub fn check_invariants(&self) {
        let owned = self.0.enter();
        owned.core.state.check_invariants();
        owned.core.check_slots();
    }

    /// Applies what is in the intake, syncs it, writes the state and closes. Other clones answer
    /// [`IntakeError::Closed`] from then on. Where a disk is full, what still waits in the intake and
    /// would have to wait for room is dropped, and so told.
    ///
    /// Cost: writes the whole state.
    pub fn close(self) -> Result<(), CloseError> {
        self.0.is_closed.store(true, Ordering::Release);
        let mut owned = self.0.enter();
        // While the log is behind, one pass does not empty the intake.
        while self.0.intake.n_commands() + self.0.intake.n_statuses() > 0 {
            self.0.drain(&mut owned);
            if self.0.is_full() {
                if self.0.is_stuck() {
                    self.0.drop_waiting();
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        drop(owned);
        let file = self.0.log.close();
        self.0.end_checkpointer();
        let closed = self.0.close_files(file);
        // Also where somebody still holds a clone or a ticket.
        self.0.outside.tables.close_file();
        self.0.lock.lock().take();
        closed
    }
}

impl Outside {
    fn new(state: &State, tables: Tables) -> Arc<Self> {
        let empty = view(&mut Core::default(), state.now);
        Arc::new(Self { tables: Arc::new(tables), outbox: Outbox::default(), view: ArcSwap::new(empty) })
    }

    /// Leaves launches for whoever reads the outbox: together, where offers are to be accepted with them.
    fn post(&self, committed: Durable<Committed>) {
        if committed.get().offers.is_empty() {
            let launches = committed.map(|committed| committed.plans).each();
            self.outbox.push(launches.into_iter().map(Held::Launch));
        } else {
            self.outbox.push([Held::Accept(committed)]);
        }
    }
}

impl Inner {
    fn new(
        state: State,
        epoch: Epoch,
        log: Log<Effect>,
        outside: Arc<Outside>,
        options: Options,
        lock: Option<StoreLock>,
        n_replayed: u64,
    ) -> Result<Self, OpenError> {
        let cluster = ClusterNodes::new(options.roles.clone(), options.nodes_need_setup);
        let mut core = Core::new(state, options.policy.clone(), cluster, options.gpu_slots);
        // A switch that was under way: nobody waits yet.
        while !core.state.queue.turn_some(usize::MAX) {}
        let now = core.clamp(options.clock.now());
        // What was recovered is durable; readers need not wait for the first sync.
        outside.view.store(view(&mut core, now));
        let load_fired = core.load_fired().unwrap_or(now);
        core.emit(Event::EngineStarted { epoch, when: now });
        let viewed = (monotonic(), EventNumber(0));
        let owned = Owned { core, viewed, tallied: None, load_fired, picks: Vec::new() };
        let inner = Self {
            intake: Intake::new(options.intake_len, STATUSES_LEN),
            owned: Mutex::new(owned),
            log,
            outside,
            bell: Bell::default(),
            bulk_bell: Bell::default(),
            reports: Reports::default(),
            output_source: Mutex::new(None),
            printed_source: Mutex::new(None),
            answers: Arc::default(),
            covered: Mutex::new(None),
            is_closed: AtomicBool::new(false),
            moved: AtomicI64::new(now.0),
            options,
            clock_work: ClockWork::default(),
            n_replayed,
            checkpointer: Mutex::new(None),
            lock: Mutex::new(lock),
        };
        let tables = inner.outside.tables.clone();
        tables.set_retention(inner.options.retention);
        let thread = std::thread::Builder::new().name("weighbridge-checkpoint".to_owned());
        let covered = inner.log.covered();
        let thread = thread.spawn(move || tables.run(covered));
        let thread = thread.map_err(OpenError::Thread)?;
        *inner.checkpointer.lock() = Some(thread);
        {
            let mut owned = inner.enter();
            inner.publish(&mut owned, now);
        }
        Ok(inner)
    }

    fn close_files(&self, log: Option<LogFile>) -> Result<(), CloseError> {
        if let Some(error) = self.log.failure() {
            return Err(CloseError::Log(error));
        }
        if let Some(mut log) = log {
            let position = self.outside.tables.checkpoint_all().map_err(CloseError::State)?;
            log.trim(position).map_err(CloseError::Log)?;
        }
        Ok(())
    }

    fn end_checkpointer(&self) {
        self.outside.tables.close();
        if let Some(thread) = self.checkpointer.lock().take() {
            // A panic was reported by its thread.
            let _ = thread.join();
        }
    }

    pub(super) fn complain(&self, error: &OpenError) {
        tracing::error!(%error, "the state file cannot be read");
        self.outside.tables.set_read_error(error);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end_checkpointer();
    }
}
