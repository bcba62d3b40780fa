//! The real queue against the simple one, after every step, through the public engine; with a
//! store also across closing, losing and opening it.

#[path = "common/model.rs"]
mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use model::{Model, ModelEntry, ModelKind};
use proptest::prelude::*;
use weighbridge::{
    Clock, Engine, JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, LaunchName, NodeId, NodeResources,
    Offer, Options, Outcome, Quantity, QueueMode, StatusUpdate, Submission, SubmissionId, TaskState,
    Timestamp, Usage,
};

const SYNC: Duration = Duration::from_secs(10);
const N_KINDS: usize = 4;
const MAX_TRIES: u16 = 2;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Submit { kind: usize, count: u32, priority: i32, asks: [u64; 3], later: i64 },
    Cancel { which: usize },
    Priority { which: usize, to: i32 },
    Pause { kind: usize, is_paused: bool },
    Limit { kind: usize, limit: u32 },
    Mode { kind: Option<usize>, mode: Option<QueueMode> },
    Offer { free: [u64; 3], keep: Keep },
    End { which: usize, how: How },
    Reopen { is_clean: bool },
}

#[derive(Clone, Copy, Debug)]
enum Keep {
    All,
    None,
    EverySecond,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Well,
    Badly,
    Refused,
    Stale,
}

fn step() -> impl Strategy<Value = Step> {
    let mode = prop_oneof![Just(QueueMode::Fifo), Just(QueueMode::Lifo)];
    let asks = (1..4_u64, 1..9_u64, 1..9_u64).prop_map(|(cpus, mem, disk)| [cpus, mem, disk]);
    let free = (0..9_u64, 0..24_u64, 0..24_u64).prop_map(|(cpus, mem, disk)| [cpus, mem, disk]);
    let keep = prop_oneof![Just(Keep::All), Just(Keep::None), Just(Keep::EverySecond)];
    let how = prop_oneof![Just(How::Well), Just(How::Badly), Just(How::Refused), Just(How::Stale)];
    prop_oneof![
        6 => (0..N_KINDS, 1..4_u32, -2..3_i32, asks, 0..2_i64)
            .prop_map(|(kind, count, priority, asks, later)| Step::Submit { kind, count, priority, asks, later }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        1 => (any::<usize>(), -2..3_i32).prop_map(|(which, to)| Step::Priority { which, to }),
        1 => (0..N_KINDS, any::<bool>()).prop_map(|(kind, is_paused)| Step::Pause { kind, is_paused }),
        1 => (0..N_KINDS, 0..4_u32).prop_map(|(kind, limit)| Step::Limit { kind, limit }),
        1 => (proptest::option::of(0..N_KINDS), proptest::option::of(mode))
            .prop_map(|(kind, mode)| Step::Mode { kind, mode }),
        4 => (free, keep).prop_map(|(free, keep)| Step::Offer { free, keep }),
        3 => (any::<usize>(), how).prop_map(|(which, how)| Step::End { which, how }),
        1 => any::<bool>().prop_map(|is_clean| Step::Reopen { is_clean }),
    ]
}

#[derive(Clone, Default)]
struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// The real one and the simple one, side by side.
struct Pair {
    engine: Option<Engine>,
    store: Option<tempfile::TempDir>,
    clock: HandClock,
    model: Model,
    kinds: Vec<JobTypeId>,
    tries: std::collections::BTreeMap<u64, u16>,
    n_submissions: u64,
    last_exe: u64,
    last_job: u64,
}

fn resources(asks: [u64; 3]) -> NodeResources {
    let cpus = NodeResources::new().with("cpus", Quantity::whole(asks[0])).expect("a name");
    cpus.mem_mib(asks[1]).disk_mib(asks[2])
}

impl Pair {
    fn new(with_store: bool) -> Self {
        let store = with_store.then(|| tempfile::tempdir().expect("a directory"));
        let mut pair = Self {
            engine: None,
            store,
            clock: HandClock::default(),
            model: Model::default(),
            kinds: Vec::new(),
            tries: std::collections::BTreeMap::new(),
            n_submissions: 0,
            last_exe: 0,
            last_job: 0,
        };
        pair.engine = Some(pair.open());
        for kind in 0..N_KINDS {
            let spec = JobTypeSpec::new(format!("kind-{kind}"), "1").max_tries(MAX_TRIES);
            let ticket = pair.engine().put_job_type(spec).expect("room");
            let id = ticket.wait_durable(SYNC).expect("a job type");
            pair.kinds.push(id);
            pair.model.kinds.push(ModelKind::default());
        }
        pair
    }

    fn open(&self) -> Engine {
        let options = Options::default().clock(self.clock.clone()).load_period(None);
        match &self.store {
            Some(directory) => Engine::open(directory.path(), options).expect("a store"),
            None => Engine::in_memory(options),
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("open between steps")
    }

    fn nth<T>(all: &[T], which: usize) -> Option<&T> {
        (!all.is_empty()).then(|| &all[which % all.len()])
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Submit { kind, count, priority, asks, later } => {
                self.submit(kind, count, priority, asks, later);
            }
            Step::Cancel { which } => {
                let Some(entry) = Self::nth(&self.model.entries, which).cloned() else { return };
                let ticket = self.engine().cancel(vec![JobId(entry.job)]).expect("room");
                assert_eq!(ticket.wait_durable(SYNC).expect("canceled").n_changed, 1);
                self.model.remove(entry.exe);
            }
            Step::Priority { which, to } => {
                let Some(entry) = Self::nth(&self.model.entries, which).cloned() else { return };
                let ticket = self.engine().set_priority(vec![JobId(entry.job)], to).expect("room");
                ticket.wait_durable(SYNC).expect("changed");
                let entries = self.model.entries.iter_mut();
                entries.filter(|other| other.exe == entry.exe).for_each(|other| other.priority = to);
            }
            Step::Pause { kind, is_paused } => {
                let ticket = self.engine().pause(self.kinds[kind], is_paused).expect("room");
                ticket.wait_durable(SYNC).expect("paused");
                self.model.kinds[kind].is_paused = is_paused;
            }
            Step::Limit { kind, limit } => {
                let limit = (limit > 0).then_some(limit);
                let ticket = self.engine().set_limit(self.kinds[kind], limit).expect("room");
                ticket.wait_durable(SYNC).expect("limited");
                self.model.kinds[kind].limit = limit;
            }
            Step::Mode { kind, mode } => {
                let id = kind.map(|kind| self.kinds[kind]);
                let ticket = self.engine().set_mode(id, mode).expect("room");
                ticket.wait_durable(SYNC).expect("set");
                match kind {
                    Some(kind) => self.model.kinds[kind].mode = mode,
                    None => self.model.mode = mode.unwrap_or_default(),
                }
            }
            Step::Offer { free, keep } => self.offer(free, keep),
            Step::End { which, how } => self.end(which, how),
            Step::Reopen { is_clean } => self.reopen(is_clean),
        }
    }

    fn submit(&mut self, kind: usize, count: u32, priority: i32, asks: [u64; 3], later: i64) {
        self.clock.0.fetch_add(later, Ordering::Relaxed);
        self.n_submissions += 1;
        let id = SubmissionId::new(&format!("s{}", self.n_submissions)).expect("an id");
        let request =
            JobRequest::new(self.kinds[kind]).count(count).priority(priority).needs(resources(asks));
        let submission = Submission::new(id).jobs(request);
        let first = self.engine().submit(submission.clone()).expect("room").wait_durable(SYNC);
        let first = first.expect("accepted");
        assert_eq!((first.first_job.0, first.n_jobs, first.is_repeat), (self.last_job + 1, count, false));
        let again = self.engine().submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
        assert_eq!((again.first_job, again.is_repeat), (first.first_job, true));
        let queued = self.clock.now().0;
        for _ in 0..count {
            self.last_exe += 1;
            self.last_job += 1;
            let (exe, job) = (self.last_exe, self.last_job);
            self.model.entries.push(ModelEntry { exe, job, kind, priority, queued, asks });
        }
    }

    fn offer(&mut self, free: [u64; 3], keep: Keep) {
        let expected = self.model.picks(free);
        let mut picks = self.engine.as_ref().expect("open").offer(&Offer::new(NodeId(1), resources(free)));
        let found: Vec<u64> = picks.iter().map(|pick| pick.exe.0).collect();
        let wanted: Vec<u64> = expected.iter().map(|entry| entry.exe).collect();
        assert_eq!(found, wanted, "picks of {free:?} in {:#?}", self.model.order());
        let is_kept = |exe: u64| match keep {
            Keep::All => true,
            Keep::None => false,
            Keep::EverySecond => exe.is_multiple_of(2),
        };
        picks.retain(|pick| is_kept(pick.exe.0));
        let launches = picks.commit().wait(SYNC).expect("durable");
        assert_eq!(launches.len(), wanted.iter().filter(|exe| is_kept(**exe)).count());
        for launch in launches {
            let name = launch.get().name;
            let entry = self.model.remove(name.exe.0).expect("it waited");
            self.model.kinds[entry.kind].n_running += 1;
            self.model.running.insert(name.exe.0, entry);
        }
    }

    fn end(&mut self, which: usize, how: How) {
        let running: Vec<u64> = self.model.running.keys().copied().collect();
        let Some(&exe) = Self::nth(&running, which) else { return };
        let mut number =
            self.engine().running().iter().find(|run| run.name.exe.0 == exe).expect("runs").name.number;
        let ended = |code| TaskState::Ended { outcome: Outcome::Exited { code }, usage: Usage::default() };
        let state = match how {
            How::Well => ended(0),
            How::Badly | How::Stale => ended(1),
            How::Refused => TaskState::Refused { reason: "no".into() },
        };
        if matches!(how, How::Stale) {
            number += 1;
        }
        let name = LaunchName { exe: weighbridge::ExeId(exe), number };
        let ticket =
            self.engine().status(StatusUpdate { name, state, when: self.clock.now() }).expect("room");
        ticket.wait_durable(SYNC).expect("taken");
        if matches!(how, How::Stale) {
            return;
        }
        let entry = self.model.running.remove(&exe).expect("it runs");
        self.model.kinds[entry.kind].n_running -= 1;
        match how {
            How::Refused => self.model.entries.push(entry),
            How::Badly => {
                let tries = self.tries.entry(entry.job).or_default();
                *tries += 1;
                if *tries < MAX_TRIES {
                    self.last_exe += 1;
                    // A retry has the job's own priority and a new place.
                    let priority = self.engine().job(JobId(entry.job)).expect("on record").priority;
                    let (exe, queued) = (self.last_exe, self.clock.now().0);
                    self.model.entries.push(ModelEntry { exe, priority, queued, ..entry });
                }
            }
            How::Well | How::Stale => {}
        }
    }

    fn reopen(&mut self, is_clean: bool) {
        if self.store.is_none() {
            return;
        }
        let engine = self.engine.take().expect("open");
        if is_clean {
            engine.close().expect("closed");
        } else {
            drop(engine);
        }
        self.engine = Some(self.open());
    }

    fn compare(&self) {
        let engine = self.engine();
        engine.check_invariants();
        let order = self.model.order();
        let found = engine.queued(&[], 1_000);
        let shape = |exe: u64, job: u64, priority: i32, queued: i64| (exe, job, priority, queued);
        let found: Vec<_> = found.iter().map(|e| shape(e.id.0, e.job.0, e.priority, e.queued.0)).collect();
        let wanted: Vec<_> = order.iter().map(|e| shape(e.exe, e.job, e.priority, e.queued)).collect();
        assert_eq!(found, wanted);
        for (place, entry) in order.iter().enumerate() {
            let why = engine.why(JobId(entry.job)).expect("on record");
            assert_eq!((why.position, why.status), (Some(place), JobStatus::Queued), "job {}", entry.job);
        }
        let running: Vec<u64> = engine.running().iter().map(|run| run.name.exe.0).collect();
        assert_eq!(running, self.model.running.keys().copied().collect::<Vec<_>>());
    }
}

fn agree(with_store: bool, steps: &[Step]) {
    let mut pair = Pair::new(with_store);
    for step in steps {
        pair.apply(step);
        pair.compare();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_agrees_with_the_simple_one(steps in proptest::collection::vec(step(), 1..60)) {
        agree(false, &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_gives_back_the_queue_it_took(steps in proptest::collection::vec(step(), 1..40)) {
        agree(true, &steps);
    }
}

#[test]
fn a_hundred_thousand_that_cannot_fit_hold_nobody_up() {
    let engine = Engine::in_memory(Options::default());
    let kind = |name: &str, asks| JobTypeSpec::new(name, "1").needs(resources(asks));
    let put = |spec| engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type");
    let (large, small) = (put(kind("large", [64, 1, 1])), put(kind("small", [1, 1, 1])));
    let mut submission = Submission::new(SubmissionId::new("all").expect("an id"));
    // Each asks for another amount, of what a lane holds fixed and of what varies in it.
    for n in 0..100_000_u64 {
        let asks = [64 + n % 7, 1_000_000 + n, 2_000_000 - n];
        submission = submission.jobs(JobRequest::new(large).needs(resources(asks)));
    }
    submission = submission.jobs(JobRequest::new(small).priority(1_000));
    let accepted = engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
    let last = JobId(accepted.first_job.0 + 100_000);
    let picks = engine.offer(&Offer::new(NodeId(1), resources([8, 4_096, 4_096])));
    assert_eq!(picks.iter().map(|pick| pick.job).collect::<Vec<_>>(), [last]);
    assert_eq!(picks.commit().wait(SYNC).expect("durable").len(), 1);
    let why = engine.why(accepted.first_job).expect("on record");
    assert_eq!((why.position, why.n_queued), (Some(0), 100_000));
    assert!(why.blocker.to_string().contains("can never be placed here"), "{}", why.blocker);
}
