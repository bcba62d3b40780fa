//! The real engine and the simple queue side by side, through the public API; with a store also
//! across closing, losing and opening it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use weighbridge::limits::TURN_LANES;
use weighbridge::{
    Clock, Engine, ExeId, JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, LaunchName, NodeId,
    NodeResources, Offer, Options, Outcome, Outgoing, Picks, Quantity, StatusOutcome, StatusUpdate,
    Submission, SubmissionId, TaskState, Timestamp, Usage,
};

use super::model::{Canceled, KIND_ASKS, MAX_TRIES, Model, ModelEntry, Taken, four_times, resources, spread};
use super::step::{
    Amounts, FLOOD_FACTOR, Growth, How, Jobs, Keep, N_GUARDS, N_KINDS, NAMES, PRIORITIES, Step,
};

/// Longest wait for the disk.
const SYNC: Duration = Duration::from_secs(30);

/// Most that is queued at once; submissions beyond are left out, so that a run has an end.
const QUEUED_MAX: usize = 200;

/// Lanes there may be, empty ones that are kept included.
const LANES_MOST: usize = 4_000;

/// Queued executions whose reasons are asked for after a step, spread over all of them.
const WHYS: usize = 8;

const PLAIN: NodeId = NodeId(1);
const DECLARED: NodeId = NodeId(2);

#[derive(Clone)]
struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// What the outbox is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    Launch(LaunchName),
    Kill(LaunchName),
}

/// Everything but the engine.
struct Side {
    store: Option<tempfile::TempDir>,
    clock: HandClock,
    /// The latest time that the engine took note of.
    now: i64,
    model: Model,
    kinds: Vec<JobTypeId>,
    /// Jobs that wait for the rest of their submission.
    batch: Vec<(JobRequest, ModelEntry)>,
    n_submissions: u64,
    last_exe: u64,
    last_job: u64,
    due: Vec<Sent>,
}

/// One life of the engine.
struct Life<'e> {
    engine: &'e Engine,
    guards: [Option<Picks<'e>>; N_GUARDS],
    side: &'e mut Side,
}

/// Runs `steps` on both, and compares them after each.
///
/// # Panics
/// Where they differ.
pub(crate) fn agree(with_store: bool, steps: &[Step]) {
    let mut side = Side::new(with_store);
    let mut rest = steps.iter();
    loop {
        let engine = side.open();
        let mut life = Life { engine: &engine, guards: Default::default(), side: &mut side };
        life.begin();
        if !life.run(&mut rest) {
            return;
        }
    }
}

impl Side {
    fn new(with_store: bool) -> Self {
        let start = 1_000_000;
        Self {
            store: with_store.then(|| tempfile::tempdir().expect("a directory")),
            clock: HandClock(Arc::new(AtomicI64::new(start))),
            now: start,
            model: Model::default(),
            kinds: Vec::new(),
            batch: Vec::new(),
            n_submissions: 0,
            last_exe: 0,
            last_job: 0,
            due: Vec::new(),
        }
    }

    fn open(&self) -> Engine {
        // A checkpoint after every few changes, so that most jobs are read from the file.
        let options = Options::default().clock(self.clock.clone()).load_period(None).checkpoint_bytes(2_000);
        match &self.store {
            Some(directory) => Engine::open(directory.path(), options).expect("a store"),
            None => Engine::in_memory(options),
        }
    }

    /// Adds the jobs of one step to the submission at hand; `is_mixed`: of all priorities in turn.
    fn add(&mut self, jobs: &Jobs, count: usize, is_mixed: bool) {
        let n_waiting = self.model.len() + self.batch.len();
        for n in 0..count.min(QUEUED_MAX.saturating_sub(n_waiting)) {
            let priority = if is_mixed { PRIORITIES[n % PRIORITIES.len()] } else { jobs.priority };
            let entry = ModelEntry { is_other: false, priority, ..jobs.entry(n) };
            let mut request = JobRequest::new(self.kinds[jobs.kind]).priority(priority);
            if jobs.asks.is_some() || jobs.growth != Growth::None {
                request = request.needs(resources(entry.asks));
            }
            self.batch.push((request, entry));
        }
    }

    fn entry_at(&self, which: u8) -> Option<u64> {
        let running = &self.model.running;
        let at = usize::from(which) % running.len().max(1);
        running.keys().nth(at).copied()
    }
}

/// Jobs of one step that are alike are one request of many.
fn requests_of(batch: &[(JobRequest, ModelEntry)]) -> Vec<JobRequest> {
    let mut requests: Vec<JobRequest> = Vec::new();
    for (request, _) in batch {
        match requests.last_mut() {
            Some(last) if JobRequest { count: 1, ..last.clone() } == *request => last.count += 1,
            _ => requests.push(request.clone()),
        }
    }
    requests
}

impl Life<'_> {
    /// Puts the job types on record where there are none.
    fn begin(&mut self) {
        for asks in KIND_ASKS.iter().skip(self.side.kinds.len()) {
            let named = NAMES.iter().zip(asks).filter(|(_, amount)| **amount > 0);
            let needs = named.fold(NodeResources::new(), |set, (name, amount)| {
                set.with(name, Quantity(*amount)).expect("a name")
            });
            let name = format!("kind-{}", self.side.kinds.len());
            let spec = JobTypeSpec::new(name, "1").max_tries(MAX_TRIES).needs(needs);
            let ticket = self.engine.put_job_type(spec).expect("room");
            self.side.kinds.push(ticket.wait_durable(SYNC).expect("a job type"));
        }
        self.compare();
    }

    /// Takes steps up to the end of this life. True where another one follows.
    fn run<'s>(&mut self, steps: &mut impl Iterator<Item = &'s Step>) -> bool {
        for step in steps {
            match step {
                Step::Submit { jobs, count, later, is_more } => {
                    self.side.add(jobs, usize::from(*count), false);
                    if *is_more {
                        continue;
                    }
                    self.submit(*later);
                }
                Step::Defer { jobs, count, .. } => {
                    self.side.add(jobs, usize::from(*count), false);
                    self.submit(0);
                }
                Step::Flood { jobs, count, later, is_mixed } => {
                    self.side.add(jobs, usize::from(*count) * FLOOD_FACTOR, *is_mixed);
                    self.submit(*later);
                }
                Step::Tick { .. } | Step::TurnSome { .. } | Step::Seek { .. } => continue,
                _ => {
                    self.submit(0);
                    self.apply(step);
                }
            }
            self.compare();
            if let Step::Reopen { is_closed } = *step
                && self.side.store.is_some()
            {
                self.end_life(is_closed);
                return true;
            }
        }
        self.submit(0);
        self.compare();
        false
    }

    fn end_life(&mut self, is_closed: bool) {
        if is_closed {
            self.engine.clone().close().expect("closed");
        }
        self.guards = Default::default();
        for guard in 0..N_GUARDS {
            let back = std::mem::take(&mut self.side.model.held[guard]);
            self.side.model.put_back(back);
        }
        self.side.model.declared = None;
    }

    fn apply(&mut self, step: &Step) {
        let kind_id = |kind: usize| self.side.kinds[kind];
        let engine = self.engine;
        match *step {
            Step::Submit { .. }
            | Step::Defer { .. }
            | Step::Flood { .. }
            | Step::Reopen { .. }
            | Step::Tick { .. }
            | Step::TurnSome { .. }
            | Step::Seek { .. } => {}
            Step::Offer { guard, free } => {
                self.settle(guard, Keep::None);
                let free = four_times(free.amounts());
                let picks = engine.offer(&Offer::new(PLAIN, resources(free)));
                self.picked(guard, picks, Some(free), false);
            }
            Step::OfferDeclared { guard } => {
                self.settle(guard, Keep::None);
                let free = self.side.model.free_of_declared();
                let picks = engine.offer_declared(DECLARED);
                self.picked(guard, picks, free, true);
            }
            Step::Declare { total } => {
                let total = four_times(total.amounts());
                engine.declare_node(DECLARED, "declared", &resources(total));
                self.side.model.declared = Some(total);
            }
            Step::Settle { guard, keep } => self.settle(guard, keep),
            Step::PutBack { guard, which } => self.put_back(guard, which),
            Step::Cancel { which, count } => {
                let some = self.some_jobs(which, count);
                self.cancel(&some);
            }
            Step::CancelMany { which, stride, count } => {
                let live = self.side.model.live();
                let some = spread(&live, which, stride, count);
                self.cancel(&some);
            }
            Step::Drain { leave, .. } => {
                let order = self.side.model.order();
                let some: Vec<_> = order.iter().map(|entry| (entry.job, entry.exe)).collect();
                self.cancel(some.get(usize::from(leave)..).unwrap_or_default());
            }
            Step::Priority { which, count, to } => self.set_priority(which, count, to),
            Step::Pause { kind, is_paused } => {
                engine.pause(kind_id(kind), is_paused).expect("room").wait_durable(SYNC).expect("paused");
                self.side.model.kinds[kind].is_paused = is_paused;
            }
            Step::Limit { kind, limit } => {
                let limit = (limit > 0).then_some(u32::from(limit));
                engine.set_limit(kind_id(kind), limit).expect("room").wait_durable(SYNC).expect("limited");
                self.side.model.kinds[kind].limit = limit;
            }
            Step::Mode { kind, mode } | Step::Turn { kind, mode } => {
                let ticket = engine.set_mode(kind.map(kind_id), mode).expect("room");
                ticket.wait_durable(SYNC).expect("set");
                // It comes into force as a whole, after a slice for every so many lanes.
                (0..LANES_MOST.div_ceil(TURN_LANES)).for_each(|_| engine.pump());
                self.side.model.set_mode(kind, mode);
            }
            Step::End { which, how } => self.end(which, how),
        }
    }

    /// Submits what has gathered, twice, and the clock moves.
    fn submit(&mut self, later: i8) {
        let side = &mut *self.side;
        let batch = std::mem::take(&mut side.batch);
        if batch.is_empty() {
            return;
        }
        let clock = side.clock.0.fetch_add(i64::from(later), Ordering::Relaxed) + i64::from(later);
        side.now = side.now.max(clock);
        side.n_submissions += 1;
        let id = SubmissionId::new(&format!("s{}", side.n_submissions)).expect("an id");
        let submission = requests_of(&batch).into_iter().fold(Submission::new(id), Submission::jobs);
        let first = self.engine.submit(submission.clone()).expect("room").wait_durable(SYNC);
        let first = first.expect("accepted");
        let found = (first.first_job.0, first.n_jobs as usize, first.is_repeat);
        assert_eq!(found, (side.last_job + 1, batch.len(), false));
        let again = self.engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
        assert_eq!((again.first_job, again.is_repeat), (first.first_job, true));
        for (_, entry) in batch {
            side.last_exe += 1;
            side.last_job += 1;
            let (exe, job) = (side.last_exe, side.last_job);
            side.model.insert(ModelEntry { exe, job, queued: side.now, ..entry });
        }
    }

    fn compare(&mut self) {
        let order = self.side.model.order();
        self.compare_outbox();
        self.compare_queue(&order);
        self.compare_running();
        self.compare_whys(&order);
        self.compare_view();
        self.engine.check_invariants();
    }

    fn compare_outbox(&mut self) {
        let due = std::mem::take(&mut self.side.due);
        let mut found = Vec::new();
        loop {
            let is_short = found.len() < due.len();
            let more = self.engine.outgoing(if is_short { SYNC } else { Duration::ZERO });
            if more.is_empty() {
                break;
            }
            found.extend(more.into_iter().map(|outgoing| match outgoing {
                Outgoing::Launch(launch) => Sent::Launch(launch.get().name),
                Outgoing::Kill(name) => Sent::Kill(*name.get()),
                other @ (Outgoing::Acknowledge(_) | Outgoing::Accept { .. }) => {
                    panic!("nobody asked for {other:?}")
                }
            }));
        }
        assert_eq!(found, due);
    }

    fn compare_queue(&self, order: &[ModelEntry]) {
        let found = self.engine.queued(&[], 1_000);
        let found = found.iter().map(|e| {
            let amounts = NAMES.map(|name| e.resources.get(name).0);
            (e.id.0, e.job.0, e.exe_num, e.priority, e.queued.0, amounts)
        });
        let wanted = order.iter().map(|e| (e.exe, e.job, e.n_exes, e.priority, e.queued, e.shown()));
        assert_eq!(found.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        let without = order.len() % N_KINDS;
        let found = self.engine.queued(&[self.side.kinds[without]], 10);
        let wanted = order.iter().filter(|entry| entry.kind != without).take(10);
        assert!(found.iter().map(|e| e.id.0).eq(wanted.map(|e| e.exe)), "without {without}: {found:?}");
    }

    fn compare_running(&self) {
        let side = &*self.side;
        let running: Vec<_> = self
            .engine
            .running()
            .iter()
            .map(|run| (run.name.exe.0, run.name.number, run.exe_num, run.is_canceled))
            .collect();
        let wanted = side.model.running.values();
        let wanted = wanted.map(|t| (t.entry.exe, t.entry.launches, t.entry.n_exes, t.is_canceled));
        assert_eq!(running, wanted.collect::<Vec<_>>());
        let n_picked = side.model.held().filter(|taken| !taken.is_canceled).count();
        assert_eq!(self.engine.n_taken(), n_picked + running.len());
    }

    fn compare_whys(&self, order: &[ModelEntry]) {
        for (place, entry) in order.iter().enumerate().step_by(order.len().div_ceil(WHYS).max(1)) {
            let why = self.engine.why(JobId(entry.job)).expect("on record");
            let found = (why.position, why.status, why.n_queued);
            assert_eq!(found, (Some(place), JobStatus::Queued, order.len()), "job {}", entry.job);
        }
        for taken in self.side.model.held() {
            let why = self.engine.why(JobId(taken.entry.job)).expect("on record");
            assert_eq!(why.position, None, "job {}", taken.entry.job);
        }
    }

    fn compare_view(&self) {
        let model = &self.side.model;
        let view = self.engine.fresh_view(SYNC);
        assert_eq!((view.n_queued, view.n_running), (model.len(), model.running.len()));
        for (kind, id) in self.side.kinds.iter().enumerate() {
            let found = view.job_type(*id).expect("on record");
            let oldest = model.of_kind(kind).map(|entry| Timestamp(entry.queued)).min();
            assert_eq!(found.longest_queued, oldest);
            assert_eq!(found.highest_priority, model.of_kind(kind).map(|entry| entry.priority).min());
            assert_eq!(found.n_running_exes, model.n_taken_each()[kind]);
        }
        if model.declared.is_some() {
            let node = view.node(DECLARED).expect("declared");
            let running = model.running.values().filter(|taken| taken.is_on_declared);
            let sum = running.fold([0_u64; NAMES.len()], |sum, taken| {
                let more = taken.entry.shown();
                std::array::from_fn(|at| sum[at].saturating_add(more[at]))
            });
            let found = NAMES.map(|name| node.in_use.get(name).0);
            assert_eq!(found, sum, "in use of the declared node");
        }
    }
}

impl<'e> Life<'e> {
    /// Holds picks against what the model takes of `free`, and keeps them in a guard.
    fn picked(&mut self, guard: usize, picks: Picks<'e>, free: Option<Amounts>, is_on_declared: bool) {
        let model = &mut self.side.model;
        let expected = free.map(|free| model.picks(free, usize::MAX).picks).unwrap_or_default();
        let found: Vec<u64> = picks.iter().map(|pick| pick.exe.0).collect();
        let wanted: Vec<u64> = expected.iter().map(|entry| entry.exe).collect();
        assert_eq!(found, wanted, "picks of {free:?} in {:#?}", model.order());
        for entry in expected {
            model.remove(entry.exe);
            model.held[guard].push(Taken { entry, is_on_declared, is_canceled: false });
        }
        self.guards[guard] = Some(picks);
    }

    fn settle(&mut self, guard: usize, keep: Keep) {
        let Some(mut picks) = self.guards[guard].take() else { return };
        let is_kept = |exe: u64| match keep {
            Keep::All | Keep::HandOver => true,
            Keep::None => false,
            Keep::EverySecond => exe.is_multiple_of(2),
        };
        let held = std::mem::take(&mut self.side.model.held[guard]);
        let (kept, back): (Vec<Taken>, Vec<Taken>) =
            held.into_iter().partition(|taken| is_kept(taken.entry.exe));
        self.side.model.put_back(back);
        let mut names = Vec::new();
        for mut taken in kept.into_iter().filter(|taken| !taken.is_canceled) {
            taken.entry.launches += 1;
            names.push(LaunchName { exe: ExeId(taken.entry.exe), number: taken.entry.launches });
            self.side.model.running.insert(taken.entry.exe, taken);
        }
        match keep {
            Keep::None => drop(picks),
            Keep::HandOver => {
                assert_eq!(picks.hand_over(), names.len());
                self.side.due.extend(names.into_iter().map(Sent::Launch));
            }
            Keep::All | Keep::EverySecond => {
                picks.retain(|pick| is_kept(pick.exe.0));
                let launches = picks.commit().wait(SYNC).expect("durable");
                let found: Vec<LaunchName> = launches.iter().map(|launch| launch.get().name).collect();
                assert_eq!(found, names);
            }
        }
    }

    /// Puts one of the picks back.
    fn put_back(&mut self, guard: usize, which: u8) {
        let Some(picks) = &mut self.guards[guard] else { return };
        let held = &mut self.side.model.held[guard];
        if held.is_empty() {
            return;
        }
        let taken = held.remove(usize::from(which) % held.len());
        picks.retain(|pick| pick.exe.0 != taken.entry.exe);
        self.side.model.put_back([taken]);
    }

    /// As many live jobs, from one of them on, each with its execution.
    fn some_jobs(&self, which: u8, count: u8) -> Vec<(u64, u64)> {
        let live = self.side.model.live();
        let from = usize::from(which) % live.len().max(1);
        live.into_iter().skip(from).take(count.into()).collect()
    }

    fn cancel(&mut self, some: &[(u64, u64)]) {
        // The engine takes them by id.
        let mut some = some.to_vec();
        some.sort_unstable();
        let jobs = some.iter().map(|(job, _)| JobId(*job)).collect();
        let ticket = self.engine.cancel(jobs).expect("room");
        let changed = ticket.wait_durable(SYNC).expect("canceled");
        let mut n_changed = 0;
        for (_, exe) in &some {
            let model = &mut self.side.model;
            let Some(canceled) = model.cancel(*exe) else { continue };
            n_changed += 1;
            if canceled == Canceled::Running {
                let number = model.running[exe].entry.launches;
                self.side.due.push(Sent::Kill(LaunchName { exe: ExeId(*exe), number }));
            }
        }
        let found = (changed.n_changed as usize, changed.n_ignored as usize);
        assert_eq!(found, (n_changed, some.len() - n_changed));
    }

    fn set_priority(&mut self, which: u8, count: u8, to: i32) {
        let some = self.some_jobs(which, count);
        let jobs = some.iter().map(|(job, _)| JobId(*job)).collect();
        let ticket = self.engine.set_priority(jobs, to).expect("room");
        let changed = ticket.wait_durable(SYNC).expect("changed");
        let n_changed = some.iter().filter(|(_, exe)| self.side.model.set_priority(*exe, to)).count();
        assert_eq!(changed.n_changed as usize, n_changed);
    }

    fn end(&mut self, which: u8, how: How) {
        let Some(exe) = self.side.entry_at(which) else { return };
        let entry = &self.side.model.running[&exe].entry;
        let number = entry.launches + u32::from(how == How::Stale);
        let ended = |outcome| TaskState::Ended { outcome, usage: Usage::default() };
        let state = match how {
            How::Well => ended(Outcome::Exited { code: 0 }),
            How::Badly | How::Stale => ended(Outcome::Exited { code: 1 }),
            How::Lost => ended(Outcome::Lost { reason: "gone".into() }),
            How::Killed => ended(Outcome::Canceled),
            How::Refused => TaskState::Refused { reason: "no".into() },
            How::Runs => TaskState::Running,
        };
        let update =
            StatusUpdate { name: LaunchName { exe: ExeId(exe), number }, state, when: self.side.clock.now() };
        let outcome = self.engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
        let wanted = if how == How::Stale { StatusOutcome::Stale } else { StatusOutcome::Applied };
        assert_eq!(outcome, wanted);
        if matches!(how, How::Stale | How::Runs) {
            return;
        }
        let side = &mut *self.side;
        let Taken { entry, is_canceled, .. } = side.model.running.remove(&exe).expect("it runs");
        if is_canceled {
            return;
        }
        match how {
            How::Refused => side.model.insert(entry),
            How::Badly | How::Lost => {
                if let Some(entry) = entry.retry(how == How::Badly, side.last_exe + 1, side.now) {
                    side.last_exe += 1;
                    side.model.insert(entry);
                }
            }
            How::Well | How::Stale | How::Killed | How::Runs => {}
        }
    }
}
