//! A crash at every write and sync of a run, over both files: what was acknowledged is there, nothing is
//! half there, and the state is the one that the surviving events lead to.
//!
//! Allowed faults: see `testing/traced.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Engine, JobRecord, JobsError, NewJobType, NewRecipe, NewRecipeType, Options, RecipeError, Reprocess,
    Ticket, TicketError,
};
use crate::clock::{Clock, monotonic};
use crate::intake::IntakeError;
use crate::launch::{StatusUpdate, TaskState};
use crate::load::{LoadRetention, LoadRow};
use crate::model::{
    Event, EventNumber, Job, JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, LaunchName, NodeId,
    NodeResources, Outcome, QueueMode, RecipeNode, RecipeRequest, RecipeTypeId, StoreId, Submission,
    SubmissionId, Timestamp, Usage,
};
use crate::offer::Offer;
use crate::state::digest;
use crate::store::{OpenError, Retention, open_on};
use crate::sync::{AtomicBool, AtomicI64, Ordering};
use crate::testing::{Crashes, Op, Survives, TracedDisk, draw};
use crate::wal::{Disk, DiskFile, LogError, LogFile, ReadBatch};

const WAIT: Duration = Duration::from_secs(10);

/// Small enough for several checkpoints in a script.
const CHECKPOINT_BYTES: usize = 12_000;

/// Few enough that old load rows go while a script runs.
const LOAD_ROWS: u32 = 12;

/// Places within a round where it may make a checkpoint, or open the store again.
const N_PHASES: u32 = 5;

/// What redb caches of a file where it is to write pages before their commit.
const SMALL_CACHE_BYTES: usize = 64 << 10;

/// Which of the heavier crashes are tried, where not all of them are.
const SEED: u64 = 0x5EED;

#[derive(Clone, Default)]
struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// What was acknowledged up to an operation of the disk.
struct Known {
    n_ops: usize,
    position: EventNumber,
    jobs: Vec<Job>,
}

/// Drives an engine through everything that makes an event.
struct Script {
    disk: TracedDisk,
    options: Options,
    clock: HandClock,
    engine: Option<Engine>,
    known: Vec<Known>,
    n_submitted: u32,
    n_checkpoints: u64,
    n_rounds: u32,
}

/// The name of an event; a new variant has to be given a place in the script.
fn name_of(event: &Event) -> &'static str {
    match event {
        Event::EngineStarted { .. } => "started",
        Event::JobTypePut { .. } => "type",
        Event::JobTypePaused { .. } => "paused",
        Event::JobTypeLimited { .. } => "limited",
        Event::QueueModeSet { .. } => "mode",
        Event::JobsCreated { .. } => "created",
        Event::JobParents { .. } => "parents",
        Event::SubmissionAccepted { .. } => "submission",
        Event::JobsQueued { .. } => "queued",
        Event::JobsMarked { .. } => "marked",
        Event::Launched { .. } => "launched",
        Event::LaunchReturned { .. } => "returned",
        Event::ExeEnded { .. } => "ended",
        Event::JobsCanceled { .. } => "canceled",
        Event::PriorityChanged { .. } => "priority",
        Event::LoadTaken { .. } => "load",
        Event::JobsRecalled(_) => "recalled",
        Event::DocPut(_) => "document",
        Event::DocDropped(_) => "no document",
        Event::InputProcessed { .. } => "input",
        Event::JobsSuperseded { .. } => "superseded",
        Event::TriesSet { .. } => "tries",
        Event::JobsRestored(_) => "restored",
        Event::DocsDropped { .. } => "no documents",
        Event::JobsPutBack { .. } => "put back",
        Event::LoadPut { .. } => "past load",
        Event::LoadDropped { .. } => "no load",
        Event::JobsLetThrough { .. } => "let through",
        Event::JobsAsk { .. } => "asks",
    }
}

const N_EVENT_NAMES: usize = 24;

/// Hands something in, again while the disk is full, and waits for its answer.
fn told<T: Clone, E: Clone + std::fmt::Debug>(
    mut send: impl FnMut() -> Result<Ticket<T, E>, IntakeError>,
) -> T {
    let end = monotonic() + WAIT;
    loop {
        assert!(monotonic() < end, "the disk stays full");
        match send() {
            Ok(ticket) => return ticket.wait_durable(WAIT).expect("done"),
            Err(IntakeError::DiskFull) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// All jobs on disk. A read of a state file that was just found full may fail once.
fn all_jobs(engine: &Engine) -> Vec<Job> {
    let end = monotonic() + WAIT;
    loop {
        match engine.read_jobs(JobId(0), 1_000) {
            Ok(jobs) => return jobs,
            Err(error) => assert!(monotonic() < end, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Script {
    fn new(disk: TracedDisk, checkpoint_bytes: usize) -> Self {
        let clock = HandClock::default();
        let options = Options::default().clock(clock.clone()).load_rows(LOAD_ROWS);
        let hours = |n| Some(Duration::from_hours(n));
        let keep = LoadRetention { age: hours(9), thin_after: hours(2), thin_to: Duration::from_hours(3) };
        let options = options.checkpoint_bytes(checkpoint_bytes).load_retention(keep);
        let mut script = Self {
            disk,
            options,
            clock,
            engine: None,
            known: Vec::new(),
            n_submitted: 0,
            n_checkpoints: 0,
            n_rounds: 14,
        };
        script.open();
        script
    }

    fn open(&mut self) {
        self.engine = None;
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        self.engine = Some(loop {
            match Engine::open_on(&disk, self.options.clone()) {
                Ok(engine) => break engine,
                Err(OpenError::Full { .. } | OpenError::Log(LogError::Full { .. })) => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("{error}"),
            }
        });
        self.done();
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("open")
    }

    /// Takes down what is acknowledged now.
    fn done(&mut self) {
        let engine = self.engine();
        assert!(engine.settle(WAIT));
        let (jobs, position) = (all_jobs(engine), engine.durable());
        self.known.push(Known { n_ops: self.disk.n_ops(), position, jobs });
    }

    fn submit(&mut self, fill: impl FnOnce(Submission) -> Submission) {
        self.n_submitted += 1;
        let id = SubmissionId::new(&format!("s{}", self.n_submitted)).expect("an id");
        let submission = fill(Submission::new(id));
        told(|| self.engine().submit(submission.clone()));
        self.done();
    }

    fn launch(&mut self, node: u32, most: u64) -> Vec<LaunchName> {
        let picks = self.engine().offer(&Offer::new(NodeId(node), NodeResources::new().mem_mib(most)));
        let launches = picks.commit().wait(WAIT).expect("durable");
        self.done();
        launches.iter().map(|launch| launch.get().name).collect()
    }

    fn status(&mut self, name: LaunchName, state: TaskState) {
        let update = StatusUpdate { name, state, when: self.engine().now() };
        told(|| self.engine().status(update.clone()));
        self.done();
    }

    fn end(&mut self, name: LaunchName, outcome: Outcome) {
        let usage = Usage { wall_us: 5, cpu_us: 3, mem_kib: 9 };
        self.status(name, TaskState::Ended { outcome, usage });
    }

    fn cancel(&mut self, jobs: &[JobId]) {
        self.change(|engine| engine.cancel(jobs.to_vec()));
    }

    fn requeue(&mut self, jobs: &[JobId], priority: Option<i32>) {
        self.change(|engine| engine.requeue(jobs.to_vec(), priority));
    }

    fn change<T: Clone + std::fmt::Debug>(
        &mut self,
        send: impl Fn(&Engine) -> Result<Ticket<T, JobsError>, IntakeError>,
    ) {
        // What was read of them counts no more where some of them were marked to be dropped meanwhile.
        let is_changing = || {
            let ticket = loop {
                match send(self.engine()) {
                    Err(IntakeError::DiskFull) => std::thread::sleep(Duration::from_millis(1)),
                    sent => break sent.expect("room"),
                }
            };
            match ticket.wait_durable(WAIT) {
                Err(TicketError::Refused(JobsError::Changing(_))) => true,
                settled => settled.map(|_| false).expect("done"),
            }
        };
        while is_changing() {}
        self.done();
    }

    fn checkpoint(&mut self) {
        if self.options.checkpoint_bytes == CHECKPOINT_BYTES {
            let end = monotonic() + WAIT;
            // While the disk is full; the next try may be done before anybody asks why.
            while self.engine().checkpoint(WAIT).is_none() {
                // A full disk keeps it; by now there may be room.
                assert!(monotonic() < end, "{:?}", self.engine().store_error());
                std::thread::sleep(Duration::from_millis(1));
            }
            self.n_checkpoints += 1;
            self.done();
        }
    }

    /// What a round does at a place of it: each is reached with what the ones before left in memory, in
    /// the log and in the state file.
    fn between(&mut self, round: u32, phase: u32) {
        if round % N_PHASES == phase {
            self.checkpoint();
        }
        if round % 2 == 1 && (2 * round + 3) % N_PHASES == phase {
            if round % 4 == 3 {
                // With a last checkpoint; a full disk may keep it.
                let engine = self.engine.take().expect("open");
                let _ = engine.close();
            }
            self.open();
        }
        if round % 6 == 4 && phase == 2 {
            // One after the other, with nothing between them but their own events.
            self.open();
            self.open();
        }
    }

    fn put(&mut self, spec: &JobTypeSpec) -> JobTypeId {
        let kind = told(|| self.engine().put_job_type(spec.clone()));
        self.done();
        kind
    }

    fn controls(&mut self, round: u32, kind: JobTypeId, other: JobTypeId) {
        told(|| self.engine().pause(kind, true));
        self.done();
        let queued = self.engine().queued(&[], 2);
        let ids = || queued.iter().map(|entry| entry.job).collect::<Vec<_>>();
        told(|| self.engine().let_through(ids()));
        told(|| self.engine().pause(kind, false));
        told(|| self.engine().set_limit(kind, Some(50)));
        let mode = if round.is_multiple_of(2) { QueueMode::Lifo } else { QueueMode::Fifo };
        told(|| self.engine().set_mode(None, Some(mode)));
        told(|| self.engine().set_mode(Some(other), Some(mode)));
        told(|| self.engine().put_node(&format!("node{round}")));
        self.done();
    }

    /// A recipe type of two jobs in a row, too large for the nodes here.
    fn recipe_type(&mut self) -> RecipeTypeId {
        let manifest = json!({"seedVersion": "1.0.0", "job": {
            "name": "plain", "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": "Plain",
            "description": "", "maintainer": {"name": "A. Nobody", "email": "nobody@example.com"},
            "timeout": 60, "interface": {"command": "true"},
            "resources": {"scalar": [{"name": "mem", "value": 4096.0}]}}});
        let large = NodeResources::new().mem_mib(4_096);
        let plain = NewJobType {
            spec: JobTypeSpec::new("plain", "1.0.0").needs(large).priority(5_000),
            manifest: manifest.to_string().into(),
            docker_image: String::new(),
            configuration: "{}".into(),
            is_published: false,
            icon_code: None,
            is_long_running: false,
        };
        told(|| self.engine().put_manifest(plain.clone()));
        self.done();
        let node = |parents: Value| {
            json!({"dependencies": parents, "input": {}, "node_type": {"node_type": "job",
                "job_type_name": "plain", "job_type_version": "1.0.0", "job_type_revision": 1}})
        };
        let nodes = json!({"a": node(json!([])), "b": node(json!([{"name": "a"}]))});
        let new = NewRecipeType {
            name: "row".to_owned(),
            title: String::new(),
            description: String::new(),
            definition: json!({"input": {}, "nodes": nodes}).to_string().into(),
        };
        let kind = told(|| self.engine().create_recipe_type(new.clone()));
        self.done();
        kind
    }

    /// Makes a recipe, and makes it anew with one node taken over.
    fn recipes(&mut self, kind: RecipeTypeId) {
        let old = told(|| self.engine().queue_new_recipe(NewRecipe::new(kind, json!({}))));
        self.done();
        let order = Reprocess::new(old, json!({"all": false, "nodes": ["b"]}));
        let is_changing = || match self.engine().reprocess(order.clone()) {
            Err(IntakeError::DiskFull) => {
                std::thread::sleep(Duration::from_millis(1));
                true
            }
            sent => match sent.expect("room").wait_durable(WAIT) {
                Err(TicketError::Refused(RecipeError::Changing(_))) => true,
                settled => settled.map(|_| false).expect("made anew"),
            },
        };
        while is_changing() {}
        self.done();
    }

    /// Takes back what it canceled of nodes that wait, and cancels the others that do.
    fn nodes_that_wait(&mut self) {
        let jobs = all_jobs(self.engine());
        let is_last = |job: &Job| job.recipe.as_ref().is_some_and(|(_, name)| &**name == "node3");
        let of = |status: JobStatus| -> Vec<JobId> {
            let is_it = |job: &&Job| is_last(job) && job.num_exes == 0 && job.status == status;
            jobs.iter().filter(is_it).map(|job| job.id).collect()
        };
        let (canceled, pending) = (of(JobStatus::Canceled), of(JobStatus::Pending));
        self.requeue(&canceled, None);
        self.cancel(&pending);
    }

    fn run(&mut self) {
        let needs = |mib: u64| NodeResources::new().mem_mib(mib);
        let spec = JobTypeSpec::new("step", "1").command(["run", "{n}"]).max_tries(1).needs(needs(1));
        let kind = self.put(&spec);
        let retried = JobTypeSpec::new("retried", "1").max_tries(2).priority(1_000).needs(needs(2));
        let retried = |round: u32| retried.clone().command(["again".to_owned(), round.to_string()]);
        let other = self.put(&retried(0));
        let request = |n: u32| JobRequest::new(kind).values([("n", format!("{n:0>100}"))]);
        let node = |n: u32, parents: &[u32]| RecipeNode {
            name: format!("node{n}").into(),
            job: request(n),
            parents: parents.to_vec(),
        };
        let recipes = self.recipe_type();
        for round in 0..self.n_rounds {
            self.submit(|all| all.jobs(request(round).count(3)).jobs(request(9).priority(7)));
            let nodes = vec![node(1, &[]), node(2, &[0]), node(3, &[0, 1])];
            self.submit(|all| all.recipe(RecipeRequest { name: "r".into(), nodes: nodes.clone() }));
            if round % 4 == 1 {
                self.recipes(recipes);
            }
            self.between(round, 0);
            self.nodes_that_wait();
            self.controls(round, kind, other);
            if round % 3 == 1 {
                // An edit, and a type of its own.
                self.put(&retried(round));
                let own = self.put(&JobTypeSpec::new(format!("own{round}"), "1").command(["own"]));
                let many = JobRequest::new(own).count(5).priority(2_000);
                self.submit(|all| all.jobs(many).jobs(JobRequest::new(other).count(2)));
            }
            self.between(round, 1);
            let names = self.launch(1, 4);
            self.end(names[0], Outcome::Exited { code: 0 });
            self.between(round, 2);
            self.end(names[1], Outcome::Exited { code: 3 });
            self.status(names[2], TaskState::Refused { reason: "no room".into() });
            self.between(round, 3);
            // One that left memory: nobody waits for it.
            let jobs = all_jobs(self.engine());
            let is_failed = |job: &&Job| job.status == JobStatus::Failed && job.recipe.is_none();
            let failed = jobs.iter().find(is_failed).map(|job| job.id);
            self.cancel(failed.as_slice());
            let running = self.engine().running();
            let first = running.first().map(|run| run.job);
            // One that runs is overtaken, and ends, with the next round; one that is over comes back.
            self.requeue(first.as_slice(), None);
            self.requeue(failed.as_slice(), Some(9));
            let overtaken = running.first().map(|run| run.name).filter(|_| round % 2 == 0);
            if let Some(name) = overtaken {
                self.end(name, Outcome::Canceled);
            }
            let running = self.engine().running();
            let running: Vec<JobId> = running.iter().map(|run| run.job).collect();
            self.cancel(&running);
            let queued = self.engine().queued(&[], 2);
            let ids = || queued.iter().map(|entry| entry.job).collect::<Vec<_>>();
            told(|| self.engine().set_priority(ids(), 3));
            self.done();
            self.cancel(&ids());
            if round % 3 == 2 {
                // Both tries of one that is tried again, and one that is lost.
                for code in [4, 5] {
                    let names = self.launch(2, 40);
                    self.end(names[names.len() - 1], Outcome::Exited { code });
                    self.end(names[0], Outcome::Lost { reason: "gone".into() });
                }
            }
            self.clock.0.fetch_add(3_600 * Timestamp::PER_SECOND, Ordering::Relaxed);
            self.engine().pump();
            self.done();
            let measured = Timestamp(self.engine().now().0 - 1_800 * Timestamp::PER_SECOND);
            let past = LoadRow { measured, job_type: Some(kind), pending: 1, queued: 2, running: 3 };
            told(|| self.engine().put_job_loads(vec![past]));
            self.done();
            self.between(round, 4);
        }
        self.checkpoint();
        let names = self.launch(1, 20);
        for name in names.into_iter().take(5) {
            self.end(name, Outcome::Lost { reason: "gone".into() });
        }
        self.checkpoint();
    }
}

#[test]
fn the_script_holds_every_event() {
    let disk = TracedDisk::default();
    // Without checkpoints nothing of the log goes.
    let mut script = Script::new(disk.clone(), usize::MAX);
    script.run();
    drop(script);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let (log, id) = LogFile::open(&disk, StoreId(0)).expect("a log");
    let mut names = BTreeSet::new();
    log.for_each(|_, row| {
        names.extend(ReadBatch::read(row, id).expect("a batch").events.iter().map(name_of));
        Ok::<_, LogError>(())
    })
    .expect("readable");
    assert_eq!(names.len(), N_EVENT_NAMES, "{names:?}");
}

/// A store as a crash left it: opens, holds what was acknowledged before operation `n_ops`, and stands at
/// the end of a whole command.
fn check(
    image: &TracedDisk,
    known: &BTreeMap<EventNumber, &Known>,
    acknowledged: EventNumber,
    retention_drops: bool,
    what: &str,
) {
    let disk: Arc<dyn Disk> = Arc::new(image.clone());
    let opened = match open_on(&disk, StoreId(1), CHECKPOINT_BYTES) {
        Ok(opened) => opened,
        Err(error) => panic!("{what}: {error}"),
    };
    let position = opened.state.last_event;
    assert!(position >= acknowledged, "{what}: {acknowledged} was acknowledged, {position} is there");
    let jobs = opened.tables.jobs(JobId(0), opened.state.next_job(), 10_000).expect("readable");
    opened.state.check_invariants();
    let head = opened.tables.head();
    let digests = jobs.iter().map(|job| {
        let state = opened.tables.state(job.id).expect("readable").expect("it was listed");
        digest(job.id, &state)
    });
    let hash = digests.fold(head.dropped_hash, u64::wrapping_add);
    assert_eq!(hash, opened.state.hash, "{what}: those that are there and those that were dropped");
    assert_eq!(jobs.len() as u64 + head.n_dropped + 1, opened.state.next_job().0, "{what}");
    let Some(expected) = known.get(&position) else {
        // The end of a command that was not acknowledged by itself; the one after it was not either.
        let next = known.range(position..).next().expect("no more than what was done").1;
        assert!(acknowledged < next.position, "{what}: {position} is no end of a command");
        return;
    };
    if !retention_drops {
        assert!(jobs == expected.jobs, "{what}: other jobs at {position}");
        return;
    }
    // What is in one and not in the other was dropped before or after.
    let there: BTreeMap<JobId, &Job> = jobs.iter().map(|job| (job.id, job)).collect();
    let known: BTreeMap<JobId, &Job> = expected.jobs.iter().map(|job| (job.id, job)).collect();
    for (id, job) in there.iter().chain(&known) {
        let is_same = there.get(id) == known.get(id);
        let is_one_missing = !there.contains_key(id) || !known.contains_key(id);
        assert!(
            is_same || is_one_missing && job.status.is_final(),
            "{what}: other jobs at {position}: {job:?}"
        );
    }
}

#[test]
fn a_crash_at_every_write_and_sync_loses_nothing_and_halves_nothing() {
    let n_points = try_all_crashes(14, Retention::ALL, None);
    assert!(n_points >= 2_000, "{n_points} points");
}

#[test]
fn a_crash_while_jobs_are_dropped_leaves_each_there_or_dropped() {
    let n_points = try_all_crashes(4, Retention::ALL.jobs(6), None);
    assert!(n_points >= 600, "{n_points} points");
}

#[test]
fn a_crash_where_pages_are_written_before_their_commit_loses_nothing_and_halves_nothing() {
    let n_points = try_all_crashes(3, Retention::ALL, Some(SMALL_CACHE_BYTES));
    assert!(n_points >= 400, "{n_points} points");
}

/// Which crashes are tried: all of them with `WEIGHBRIDGE_CRASH_DEEP`, else some of the heavier ones.
#[derive(Clone, Copy)]
struct Sample {
    is_deep: bool,
}

impl Sample {
    fn from_env() -> Self {
        Self { is_deep: std::env::var_os("WEIGHBRIDGE_CRASH_DEEP").is_some() }
    }

    /// True for one `n` in so many.
    fn takes(self, n: usize, one_in: u64) -> bool {
        self.is_deep || draw(SEED, n).is_multiple_of(one_in)
    }

    /// The step of a walk over what is many.
    fn every(self, step: usize) -> usize {
        if self.is_deep { 1 } else { step }
    }
}

/// Gives how many points there were.
fn try_all_crashes(n_rounds: u32, retention: Retention, cache_bytes: Option<usize>) -> u64 {
    let drops = retention != Retention::ALL;
    let new = TracedDisk::default();
    drop(Script::new(new.clone(), CHECKPOINT_BYTES));
    let base = new.files();
    let mut disk = TracedDisk::with(base.clone());
    if let Some(bytes) = cache_bytes {
        disk = disk.with_cache(bytes);
    }
    let mut script = Script::new(disk.clone(), CHECKPOINT_BYTES);
    script.n_rounds = n_rounds;
    script.options.retention = retention;
    script.open();
    script.run();
    assert_eq!(script.engine().look_up(JobId(1)) == JobRecord::Dropped, drops);
    let n_checkpoints = script.n_checkpoints;
    assert!(n_checkpoints >= 2);
    script.engine = None;
    let trace = disk.trace();
    let known: BTreeMap<EventNumber, &Known> =
        script.known.iter().map(|known| (known.position, known)).collect();
    let acknowledged = |n_ops: usize| {
        let at = script.known.partition_point(|known| known.n_ops <= n_ops);
        at.checked_sub(1).map_or(EventNumber(0), |at| script.known[at].position)
    };
    let n_images: u64 = std::thread::scope(|scope| {
        let tried = [0, 1].map(|part| {
            let (trace, base, known, acknowledged) = (&trace, base.clone(), &known, &acknowledged);
            let each = move |image: &TracedDisk, n: usize, what: &str| {
                check(image, known, acknowledged(n), drops, &format!("operation {n}, {what}"));
            };
            scope.spawn(move || try_part(base, trace, part, each))
        });
        tried.into_iter().map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic))).sum()
    });
    let n_points = trace.len() as u64;
    println!("{n_points} crash points, {n_images} images, {n_checkpoints} checkpoints");
    n_points
}

/// Gives `each` what crashes may leave at every other operation of a trace, beginning with `part`; how many
/// images there were.
fn try_part(
    base: [Vec<u8>; 2],
    trace: &[(DiskFile, Op)],
    part: usize,
    each: impl Fn(&TracedDisk, usize, &str),
) -> u64 {
    let sample = Sample::from_env();
    let mut crashes = Crashes::new(base);
    let mut n_images = 0;
    let mut try_image = |crashes: &Crashes, n: usize, log: Survives, state: Survives| {
        let image = crashes.image(|file| if file == DiskFile::Log { log } else { state });
        each(&image, n, &format!("log {log:?}, state {state:?}"));
        n_images += 1;
    };
    for (n, (file, op)) in trace.iter().enumerate() {
        if n % 2 != part {
            crashes.step(*file, op);
            continue;
        }
        // Before the operation: all of it is on disk, or nothing that was not synced.
        try_image(&crashes, n, Survives::All, Survives::All);
        if sample.takes(n, 8) {
            try_image(&crashes, n, Survives::Prefix(0), Survives::Prefix(0));
        }
        let is_sync = matches!(op, Op::Sync);
        let n_pending = crashes.n_pending(*file);
        if is_sync && n_pending > 0 {
            let lost = |survives: Survives| match file {
                DiskFile::Log => (survives, Survives::All),
                DiskFile::State => (Survives::All, survives),
            };
            let every = sample.every(5);
            for one in (n % every..n_pending).step_by(every) {
                let (log, state) = lost(Survives::Without(one));
                try_image(&crashes, n, log, state);
                for other in (one + 1..n_pending).step_by(sample.every(7)) {
                    let (log, state) = lost(Survives::WithoutBoth(one, other));
                    try_image(&crashes, n, log, state);
                }
            }
            for seed in 0..if sample.is_deep { 20 } else { 1 } {
                let seed = (n as u64) << 8 | seed;
                try_image(&crashes, n, Survives::Some(seed), Survives::Some(seed + 1));
            }
        }
        crashes.step(*file, op);
        if !is_sync {
            for (at, len) in [0, 1, 511, 4_095].into_iter().enumerate() {
                if sample.takes(!(4 * n + at), 16) {
                    try_image(&crashes, n, Survives::Torn(len), Survives::Torn(len));
                }
            }
        }
    }
    n_images
}

/// What a store holds that a crash left, and its newest event.
fn held(image: &TracedDisk, what: &str) -> (EventNumber, Vec<Job>) {
    let disk: Arc<dyn Disk> = Arc::new(image.clone());
    let opened =
        open_on(&disk, StoreId(1), CHECKPOINT_BYTES).unwrap_or_else(|error| panic!("{what}: {error}"));
    opened.state.check_invariants();
    let jobs = opened.tables.jobs(JobId(0), opened.state.next_job(), 10_000).expect("readable");
    (opened.state.last_event, jobs)
}

/// Recovers what a crash left and makes a checkpoint of it, and has a second crash at each operation of
/// that; how many operations and images there were.
fn crash_again(first: &TracedDisk, seed: u64, what: &str) -> (usize, usize) {
    let base = first.files();
    let (position, jobs) = held(&TracedDisk::with(base.clone()), what);
    let disk = TracedDisk::with(base.clone());
    let as_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = Options::default().load_period(None).checkpoint_bytes(CHECKPOINT_BYTES);
    let engine = Engine::open_on(&as_disk, options).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(engine.settle(WAIT) && engine.checkpoint(WAIT).is_some(), "{what}");
    engine.close().expect("closed");
    let trace = disk.trace();
    let mut crashes = Crashes::new(base);
    let mut n_images = 0;
    let mut try_image = |crashes: &Crashes, survives: Survives, n: usize| {
        let what = format!("{what}, then operation {n} of its recovery, {survives:?}");
        let (again, jobs_again) = held(&crashes.image(|_| survives), &what);
        assert!(again >= position, "{what}: {position} was there, {again} is");
        assert!(jobs_again == jobs, "{what}: other jobs");
        n_images += 1;
    };
    for (n, (file, op)) in trace.iter().enumerate() {
        try_image(&crashes, Survives::All, n);
        if matches!(op, Op::Sync) {
            try_image(&crashes, Survives::Prefix(0), n);
            try_image(&crashes, Survives::Some(seed ^ n as u64), n);
        }
        crashes.step(*file, op);
        if n % 3 == 0 && matches!(op, Op::Write(..)) {
            try_image(&crashes, Survives::Torn(600), n);
        }
    }
    try_image(&crashes, Survives::All, trace.len());
    (trace.len(), n_images)
}

#[test]
fn a_second_crash_at_every_write_of_a_recovery_and_its_checkpoint_loses_nothing() {
    let new = TracedDisk::default();
    drop(Script::new(new.clone(), CHECKPOINT_BYTES));
    let base = new.files();
    let disk = TracedDisk::with(base.clone());
    let mut script = Script::new(disk.clone(), CHECKPOINT_BYTES);
    script.n_rounds = 6;
    script.run();
    script.engine = None;
    let trace = disk.trace();
    // A prime, so that every kind of operation is hit.
    let every = if Sample::from_env().is_deep { 3 } else { 97 };
    let mut crashes = Crashes::new(base);
    let (mut n_first, mut n_ops, mut n_images) = (0, 0, 0);
    for (n, (file, op)) in trace.iter().enumerate() {
        if n % every == every / 2 {
            let seed = n as u64;
            let survives = [Survives::All, Survives::Prefix(0), Survives::Some(seed)][n_first % 3];
            let image = crashes.image(|_| survives);
            let (ops, images) = crash_again(&image, seed, &format!("operation {n}, {survives:?}"));
            (n_first, n_ops, n_images) = (n_first + 1, n_ops + ops, n_images + images);
        }
        crashes.step(*file, op);
    }
    println!("{n_first} crashes, then {n_ops} crash points of their recoveries, {n_images} images");
    assert!(n_first >= 10 && n_ops >= 500, "{n_first} crashes, {n_ops} points");
}

#[test]
fn a_disk_that_is_full_at_any_write_is_waited_for_and_nothing_is_lost_or_doubled() {
    let new = TracedDisk::default();
    drop(Script::new(new.clone(), CHECKPOINT_BYTES));
    let base = new.files();
    let jobs_after = |after: Option<usize>| {
        let disk = TracedDisk::with(base.clone());
        let mut script = Script::new(disk.clone(), CHECKPOINT_BYTES);
        script.n_rounds = 2;
        disk.set_full(after);
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while disk.n_refused() == 0 && !is_done.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_micros(200));
                }
                std::thread::sleep(Duration::from_millis(3));
                disk.set_full(None);
            });
            script.run();
            is_done.store(true, Ordering::Relaxed);
        });
        let engine = script.engine.take().expect("open");
        engine.check_invariants();
        let jobs = all_jobs(&engine);
        engine.close().expect("closed");
        script.open();
        assert_eq!(all_jobs(script.engine()), jobs, "after opening it again");
        (jobs, disk.n_ops(), disk.n_refused())
    };
    let (expected, n_ops, _) = jobs_after(None);
    let (mut n_points, mut n_refused) = (0, 0);
    for after in (0..n_ops).step_by(Sample::from_env().every(7)) {
        let (jobs, _, refused) = jobs_after(Some(after));
        let differs = jobs.iter().zip(&expected).find(|(job, expected)| job != expected);
        assert!(differs.is_none(), "full after {after} operations: {differs:#?}");
        assert_eq!(jobs.len(), expected.len(), "full after {after} operations");
        n_points += 1;
        n_refused += usize::from(refused > 0);
    }
    println!("full at {n_points} points, {n_refused} of them refused something");
    assert!(2 * n_refused > n_points, "{n_refused} of {n_points}");
}
