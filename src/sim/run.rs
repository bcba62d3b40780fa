//! One run: a real engine on a disk that fails on order, with all that surrounds it.
//!
//! The threads of the engine write while this one waits, or stand still at a gate of the disk; so what
//! happens is a function of the seed.
//!
//! R1  Between two steps everything applied is durable, or the log is held, full or broken.
//! R2  `marks` has a picture after every command since the last instant at which all was durable.
//! R3  One event-making command at a time is applied, so that what the log writer takes together does not
//!     depend on how fast it is.
//! R4  While the state file is held, full or broken, nothing is asked that would read it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Agents, Cluster};
use super::dice::Dice;
use super::watch::{Picture, Seen, follow};
use crate::clock::{Clock, monotonic};
use crate::engine::{
    Changed, Engine, JobTypeError, JobsError, Options, Outgoing, PendingLaunches, StatusOutcome, SubmitError,
    Ticket, TicketError, reconcile,
};
use crate::intake::IntakeError;
use crate::launch::{Launch, StatusUpdate, TaskState};
use crate::model::{
    Accepted, EventNumber, Job, JobId, JobStatus, JobTypeId, LaunchName, Submission, Timestamp,
};
use crate::sync::{AtomicI64, Mutex, Ordering};
use crate::testing::{FaultyDisk, Survives};
use crate::wal::DiskFile;

/// Longest wait for a thread of the engine.
pub(super) const WAIT: Duration = Duration::from_mins(1);

/// Commands that may wait for the core.
pub(super) const INTAKE_LEN: usize = 8;

/// Load rows that are kept.
pub(super) const LOAD_ROWS: u32 = 20;

/// What is done wrong on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plant {
    /// Syncs do nothing.
    LyingSync,
    /// After a crash the files are those of the restart before.
    OldFiles,
    /// Nodes offer what they have in all, also what is in use.
    DoubleOffer,
    /// The driver says lost of what still runs.
    LiveLost,
    /// Launches on record are not compared with what runs when the engine comes back.
    NoReconciliation,
    /// Drivers tell an end once, also where nobody heard it.
    ToldOnce,
}

/// How a file of the store fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// It is written, but not to the end.
    Held,
    Full,
    /// A sync fails, or has failed.
    Broken,
}

/// Shared with the engine.
#[derive(Clone)]
pub(super) struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// An answer that is waited for.
pub(super) enum Asked {
    Submit(u32, Ticket<Accepted, SubmitError>),
    Kind(Ticket<JobTypeId, JobTypeError>),
    Switch(Ticket<(), JobTypeError>),
    Cancel(Vec<JobId>, bool, Ticket<Changed, JobsError>),
    Priority(bool, Ticket<Changed, JobsError>),
    Status(LaunchName, bool, Ticket<StatusOutcome, Infallible>),
    Launches(PendingLaunches),
}

/// The state at one instant.
struct Mark {
    position: EventNumber,
    picture: Picture,
    seen: BTreeMap<JobId, Seen>,
}

/// What clients and drivers were told, and may rely on.
#[derive(Default)]
pub(super) struct Told {
    /// Every submission that was tried, by its number.
    pub(super) tried: Vec<Submission>,
    pub(super) accepted: BTreeMap<u32, Accepted>,
    pub(super) canceled: BTreeSet<JobId>,
    /// Launches whose end is on record.
    pub(super) over: BTreeSet<LaunchName>,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) n_steps: u64,
    pub(super) n_jobs: u64,
    pub(super) n_launches: u64,
    /// Those of them that were started before the faults stopped.
    pub(super) n_early: u64,
    pub(super) n_restarts: u64,
    pub(super) n_crashes: u64,
    /// Crashes that took something with them.
    pub(super) n_undone: u64,
    pub(super) n_checkpoints: u64,
    pub(super) n_stale: u64,
    pub(super) n_full: u64,
    pub(super) n_broken: u64,
    /// How much virtual time passed, in hours.
    pub(super) n_hours: u64,
    /// A number for all that happened.
    pub(super) digest: u32,
}

impl Tally {
    /// Adds another one.
    pub(super) fn add(&mut self, other: Self) {
        self.n_steps += other.n_steps;
        self.n_jobs += other.n_jobs;
        self.n_launches += other.n_launches;
        self.n_early += other.n_early;
        self.n_restarts += other.n_restarts;
        self.n_crashes += other.n_crashes;
        self.n_undone += other.n_undone;
        self.n_checkpoints += other.n_checkpoints;
        self.n_stale += other.n_stale;
        self.n_full += other.n_full;
        self.n_broken += other.n_broken;
        self.n_hours += other.n_hours;
        self.digest ^= other.digest;
    }
}

/// See the file.
pub(super) struct Run {
    pub(super) dice: Dice,
    pub(super) disk: FaultyDisk,
    clock: HandClock,
    pub(super) engine: Option<Engine>,
    pub(super) cluster: Cluster,
    pub(super) told: Told,
    asked: Vec<Asked>,
    /// For a plant.
    old: [Vec<u8>; 2],
    marks: Vec<Mark>,
    seen: BTreeMap<JobId, Seen>,
    pub(super) log: Weather,
    pub(super) state: Weather,
    pub(super) trail: Vec<String>,
    pub(super) tally: Tally,
    pub(super) plant: Option<Plant>,
}

/// Waits for a thread of the engine.
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = monotonic() + WAIT;
    while !is_so() {
        assert!(monotonic() < end, "{what}: not within {WAIT:?}");
        std::thread::yield_now();
    }
}

impl Run {
    /// A run on a store that was just made.
    pub(super) fn new(seed: u64, files: [Vec<u8>; 2], plant: Option<Plant>) -> Self {
        let start = 1_800_000_000 * Timestamp::PER_SECOND;
        let mut cluster = Cluster::default();
        cluster.lies = plant == Some(Plant::LiveLost);
        let mut run = Self {
            dice: Dice::new(seed),
            disk: FaultyDisk::with(files.clone()),
            old: files,
            clock: HandClock(Arc::new(AtomicI64::new(start))),
            engine: None,
            cluster,
            told: Told::default(),
            asked: Vec::new(),
            marks: Vec::new(),
            seen: BTreeMap::new(),
            log: Weather::Fair,
            state: Weather::Fair,
            trail: Vec::new(),
            tally: Tally::default(),
            plant,
        };
        if plant == Some(Plant::LyingSync) {
            run.disk.lie();
        }
        run.open();
        run
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("open")
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.trail.push(what.into());
    }

    /// Moves the clock, also backwards, and lets the engine see it.
    pub(super) fn pass(&mut self, seconds: i64) {
        self.clock.0.fetch_add(seconds * Timestamp::PER_SECOND, Ordering::Relaxed);
        self.tally.n_hours += u64::try_from(seconds).unwrap_or(0) / 3_600;
        self.engine().pump();
        self.applied();
    }

    fn options(&self) -> Options {
        let options = Options::default().clock(self.clock.clone()).intake_len(INTAKE_LEN);
        options.checkpoint_bytes(usize::MAX).load_rows(LOAD_ROWS)
    }

    fn try_open(&self) -> Result<Engine, crate::store::OpenError> {
        Engine::open_on(&self.disk.process(), self.options())
    }

    fn open(&mut self) {
        self.engine =
            Some(self.try_open().unwrap_or_else(|error| panic!("could not open the store: {error}")));
        self.applied();
        // A load row may be due.
        self.engine().pump();
        self.applied();
    }

    /// The newest picture.
    pub(super) fn picture(&self) -> &Picture {
        &self.marks.last().expect("one is always kept").picture
    }

    /// Takes down how the state is after a command.
    fn mark(&mut self) {
        let Self { engine, seen, .. } = self;
        let engine = engine.as_ref().expect("open");
        let (position, picture) = engine.look_at(|state| {
            follow(seen, state);
            (state.last_event, Picture::of(state))
        });
        assert!(picture.n_load() <= LOAD_ROWS as usize, "{} load rows", picture.n_load());
        for name in &self.told.over {
            assert!(!picture.is_running(*name), "{name} was over, and runs again");
        }
        for name in self.cluster.live() {
            assert!(picture.is_running(name) || self.cluster.lies, "{name} runs without being on record");
        }
        if let Some(last) = self.marks.pop_if(|last| last.position == position) {
            assert!(last.picture.is_same(&picture), "the state changed without an event");
        }
        self.marks.push(Mark { position, picture, seen: self.seen.clone() });
    }

    /// After something was applied: looks at it, and waits as far as the disk lets it come.
    pub(super) fn applied(&mut self) {
        self.mark();
        let engine = self.engine.as_ref().expect("open");
        let position = self.marks.last().expect("just made").position;
        let is_durable = || engine.durable() >= position;
        match self.log {
            Weather::Fair => self.calm(),
            Weather::Held => until("held", || is_durable() || self.disk.is_held(DiskFile::Log)),
            Weather::Full => {
                until("full", || {
                    is_durable() || (engine.is_disk_full() && self.disk.is_stuck(DiskFile::Log))
                });
            }
            Weather::Broken => until("broken", || is_durable() || engine.failure().is_some()),
        }
    }

    /// Waits until all is durable, and takes the answers.
    pub(super) fn calm(&mut self) {
        let engine = self.engine.as_ref().expect("open");
        let position = self.marks.last().expect("one is always kept").position;
        engine.fresh_view(WAIT);
        assert!(engine.durable() >= position, "all was to be durable: {:?}", engine.failure());
        self.marks.drain(..self.marks.len() - 1);
        for asked in std::mem::take(&mut self.asked) {
            self.learn(asked);
        }
    }

    /// Sends a command, and has it applied. It is refused exactly where the log takes none.
    pub(super) fn send<T, E>(
        &mut self,
        send: impl FnOnce(&Engine) -> Result<Ticket<T, E>, IntakeError>,
        asked: impl FnOnce(Ticket<T, E>) -> Asked,
    ) -> bool {
        let engine = self.engine();
        let refusal = match () {
            () if engine.failure().is_some() => Some(IntakeError::LogFailed),
            () if engine.is_disk_full() => Some(IntakeError::DiskFull),
            () => None,
        };
        match send(engine) {
            Ok(ticket) => {
                self.engine().pump();
                self.asked.push(asked(ticket));
                self.applied();
                true
            }
            Err(error) => {
                assert_eq!(Some(error), refusal);
                self.applied();
                false
            }
        }
    }

    /// Tells the engine a status, with a ticket or without.
    pub(super) fn report(&mut self, update: StatusUpdate, with_ticket: bool) {
        let picture = self.picture();
        let is_known = picture.is_running(update.name) && self.engine().failure().is_none();
        let hash = picture.hash;
        let name = update.name;
        if with_ticket {
            let is_end = update.state != TaskState::Running;
            let ticket = self.engine().status(update).expect("room");
            self.engine().pump();
            self.asked.push(Asked::Status(name, is_end, ticket));
        } else {
            self.engine().report(update).expect("room");
            self.engine().pump();
        }
        self.applied();
        if !is_known {
            self.tally.n_stale += 1;
            assert_eq!(
                hash,
                self.picture().hash,
                "{name} was not on record, and its status changed something"
            );
        }
    }

    /// Tells the engine several statuses at once.
    pub(super) fn report_all(&mut self, updates: Vec<StatusUpdate>) {
        for update in updates {
            let (name, is_end) = (update.name, update.state != TaskState::Running);
            let ticket = self.engine().status(update).expect("room");
            self.asked.push(Asked::Status(name, is_end, ticket));
        }
        self.engine().pump();
        self.applied();
    }

    /// Answers that are waited for.
    pub(super) fn n_asked(&self) -> usize {
        self.asked.len()
    }

    /// Waits for an answer.
    pub(super) fn ask(&mut self, asked: Asked) {
        self.asked.push(asked);
    }

    /// Takes an answer that has to be there.
    fn learn(&mut self, asked: Asked) {
        /// True for done; refused are jobs that never were, and those that end at this very moment.
        fn check(answer: Result<Changed, TicketError<JobsError>>, are_made: bool) -> bool {
            match answer {
                Ok(_) => assert!(are_made, "a job that never was is taken for one"),
                Err(TicketError::Refused(JobsError::Unknown(id))) => assert!(!are_made, "{id} was made"),
                Err(TicketError::Refused(JobsError::Changing(_))) => return false,
                Err(error) => panic!("{error}"),
            }
            are_made
        }
        fn given<T: Clone, E: Clone>(ticket: &Ticket<T, E>) -> Result<T, TicketError<E>> {
            ticket.poll().expect("all is durable, so it is answered")
        }
        match asked {
            Asked::Submit(number, ticket) => match given(&ticket) {
                Ok(accepted) => self.learn_accepted(number, accepted),
                Err(TicketError::Refused(SubmitError::UnknownJobType(kind))) => {
                    // The type was lost before it was on disk.
                    let is_known = self.told.accepted.contains_key(&number) || self.picture().has_kind(kind);
                    assert!(!is_known, "submission {number}: no type {kind}");
                }
                Err(error) => panic!("submission {number}: {error}"),
            },
            Asked::Kind(ticket) => drop(given(&ticket).expect("a good type")),
            Asked::Switch(ticket) => given(&ticket).expect("a type on record"),
            Asked::Cancel(jobs, are_made, ticket) => {
                if check(given(&ticket), are_made) {
                    self.told.canceled.extend(jobs);
                }
            }
            Asked::Priority(are_made, ticket) => drop(check(given(&ticket), are_made)),
            Asked::Status(name, is_end, ticket) => {
                given(&ticket).expect("taken");
                if is_end {
                    self.learn_over(name);
                }
            }
            Asked::Launches(mut launches) => {
                for launch in launches.wait(WAIT).expect("durable") {
                    self.start(launch.get());
                }
            }
        }
    }

    fn learn_accepted(&mut self, number: u32, accepted: Accepted) {
        let first = Accepted { is_repeat: false, ..accepted };
        let known = self.told.accepted.insert(number, first);
        if let Some(known) = known {
            assert_eq!((known, true), (first, accepted.is_repeat), "submission {number} asked again");
        }
    }

    fn learn_over(&mut self, name: LaunchName) {
        self.told.over.insert(name);
        self.cluster.acknowledge(name);
    }

    pub(super) fn start(&mut self, launch: &Launch) {
        let (refuses, now) = (self.dice.chance(5), self.now());
        self.tally.n_launches += 1;
        assert_eq!(launch.command.first().map(String::as_str), Some("run"));
        self.cluster.start(launch, refuses, now);
    }

    /// Does what the outbox says. Only where all is durable.
    pub(super) fn carry_out(&mut self) {
        let now = self.now();
        for outgoing in self.engine().outgoing(Duration::ZERO) {
            match outgoing {
                Outgoing::Launch(launch) => self.start(launch.get()),
                Outgoing::Accept { launches, .. } => {
                    for launch in &launches {
                        self.start(launch.get());
                    }
                }
                Outgoing::Kill(name) => self.cluster.kill(*name.get(), now),
                Outgoing::Acknowledge(name) => self.learn_over(*name.get()),
            }
        }
    }

    /// The log goes on.
    pub(super) fn release(&mut self) {
        assert_ne!(self.log, Weather::Broken, "only a restart leads on");
        self.disk.hold(DiskFile::Log, None);
        self.disk.make_room(DiskFile::Log);
        self.log = Weather::Fair;
        self.calm();
    }

    /// Waits until the log knows what the state file has.
    pub(super) fn checkpointed(&mut self) {
        let engine = self.engine.as_ref().expect("open");
        until("covered", || engine.covered() == engine.checkpoints().position);
        self.tally.n_checkpoints += 1;
        self.calm();
    }

    /// What survives of a file in a crash.
    fn survives(&mut self) -> Survives {
        match self.dice.roll::<u64>(6) {
            0 => Survives::All,
            1 => Survives::Prefix(0),
            2 => Survives::Prefix(self.dice.roll(30)),
            3 => Survives::Torn(self.dice.roll(4_096)),
            _ => Survives::Some(self.dice.draw()),
        }
    }

    fn crash_disk(&mut self) {
        let (log, state) = (self.survives(), self.survives());
        let pending = [DiskFile::Log, DiskFile::State].map(|file| self.disk.n_pending(file));
        let weather = (self.log, self.state);
        self.note(format!("  lost: log {log:?}, state {state:?} of {pending:?} in {weather:?}"));
        self.disk.crash(|file| if file == DiskFile::Log { log } else { state });
        if self.plant == Some(Plant::OldFiles) {
            self.disk.put_back(std::mem::replace(&mut self.old, self.disk.synced()));
        }
    }

    /// The process ends, as it stands, and comes back.
    pub(super) fn crash(&mut self) {
        let acknowledged = self.engine().durable();
        self.tally.n_crashes += 1;
        self.crash_disk();
        self.asked.clear();
        self.engine = None;
        let mut n_openings = 1;
        while self.dice.chance(25) {
            // It ends again while it opens the store.
            let file = if self.dice.chance(50) { DiskFile::Log } else { DiskFile::State };
            let after = self.dice.roll(12);
            self.disk.die_after(file, after);
            let opened = self.try_open();
            if let Ok(engine) = &opened {
                let position = engine.look_at(|state| state.last_event);
                until("begun", || engine.durable() >= position || engine.failure().is_some());
                n_openings += 1;
            }
            self.crash_disk();
            drop(opened);
        }
        self.come_back(acknowledged, n_openings);
    }

    /// The engine is closed in order, and the store opened again.
    pub(super) fn close(&mut self) {
        let acknowledged = self.marks.last().expect("one is always kept").position;
        let engine = self.engine.take().expect("open");
        engine.close().expect("closed");
        self.come_back(acknowledged, 1);
    }

    /// `n_openings`: how often it was opened since, at most one event each.
    fn come_back(&mut self, acknowledged: EventNumber, n_openings: u64) {
        self.tally.n_restarts += 1;
        (self.log, self.state) = (Weather::Fair, Weather::Fair);
        let engine = self.try_open().unwrap_or_else(|error| panic!("could not open the store: {error}"));
        let (begun, picture) = engine.look_at(|state| (state.last_event, Picture::of(state)));
        self.engine = Some(engine);
        let may_be = begun.0.saturating_sub(n_openings)..begun.0;
        let is_it = |mark: &Mark| may_be.contains(&mark.position.0) && mark.picture.is_same(&picture);
        let at = self.marks.iter().rev().position(is_it);
        let at = self.marks.len()
            - 1
            - at.unwrap_or_else(|| {
                let positions: Vec<_> = self.marks.iter().map(|mark| mark.position).collect();
                panic!("what came back at {begun} is none of the states at {positions:?}: {picture:?}")
            });
        let position = self.marks[at].position;
        assert!(position >= acknowledged, "{acknowledged} was acknowledged, {position} is there");
        let n_marks = self.marks.len();
        self.note(format!("  back at {position} of {acknowledged}, state {at} of {n_marks}"));
        self.tally.n_undone += u64::from(at + 1 < self.marks.len());
        self.seen = self.marks[at].seen.clone();
        self.marks.clear();
        self.applied();
        self.engine().pump();
        self.applied();
        self.compare();
        if self.plant != Some(Plant::NoReconciliation) {
            let now = self.now();
            let agents = Agents { cluster: Mutex::new(&mut self.cluster), now };
            reconcile(self.engine.as_ref().expect("open"), &agents, |_| true).expect("the driver answers");
            self.applied();
        }
    }

    /// Holds what the store has of every job, and the counts, against what was seen and told.
    pub(super) fn compare(&mut self) {
        let engine = self.engine();
        engine.check_invariants();
        let jobs = engine.jobs(JobId(0), 1_000);
        assert_eq!(jobs.len(), self.seen.len(), "jobs in the store");
        let totals = engine.fresh_view(WAIT).totals;
        let counted = |status| jobs.iter().filter(|job| job.status == status).count() as u64;
        assert_eq!(totals.pending, counted(JobStatus::Pending));
        assert_eq!(totals.blocked, counted(JobStatus::Blocked));
        assert_eq!(totals.queued, counted(JobStatus::Queued));
        assert_eq!(totals.running, counted(JobStatus::Running));
        assert_eq!(totals.failed, counted(JobStatus::Failed));
        assert_eq!(totals.completed, counted(JobStatus::Completed));
        assert_eq!(totals.canceled, counted(JobStatus::Canceled));
        for job in &jobs {
            let seen = self.seen[&job.id];
            assert_eq!(
                (job.status, job.num_exes, job.launches),
                (seen.status, seen.numbers.0, seen.numbers.1)
            );
        }
        self.compare_told(&jobs);
    }

    fn compare_told(&self, jobs: &[Job]) {
        let job = |id: JobId| &jobs[usize::try_from(id.0 - 1).expect("small")];
        for (number, accepted) in &self.told.accepted {
            let submission = &self.told.tried[*number as usize];
            let requests =
                submission.jobs.iter().flat_map(|all| std::iter::repeat_n(all, all.count as usize));
            let nodes = submission.recipes.iter().flat_map(|recipe| &recipe.nodes);
            let requests: Vec<_> = requests.chain(nodes.map(|node| &node.job)).collect();
            assert_eq!(requests.len(), accepted.n_jobs as usize);
            for (id, request) in accepted.jobs().zip(requests) {
                let job = job(id);
                assert_eq!((job.id, job.job_type, &job.values), (id, request.job_type, &request.values));
            }
        }
        for id in &self.told.canceled {
            let status = job(*id).status;
            assert!(
                matches!(status, JobStatus::Canceled | JobStatus::Completed),
                "{id} was canceled: {status}"
            );
        }
    }

    /// Jobs that were seen, and how.
    pub(super) fn seen(&self) -> &BTreeMap<JobId, Seen> {
        &self.seen
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Whoever waits at a gate goes home.
        self.disk.crash(|_| Survives::All);
    }
}
