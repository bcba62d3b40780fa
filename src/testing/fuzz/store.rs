//! A store that is damaged as the bytes say, opened: it is refused with an error, or holds exactly what
//! some synced prefix of its events leads to. What cannot be read afterwards says so and gives no job
//! that never was.
//!
//! The first byte picks an image of one run: as it was left, as it was closed, or as a crash left it.
//! Every eight bytes after it are a change: what, in which file, where, and how.
//!
//! Allowed faults: flipped bits, other bytes, zeroed blocks, two blocks in each other's place, and a file
//! that is cut short. A block that changes places with an older version of itself has every checksum right
//! that is looked at when a store is opened: it may give another state, and then the checksums of pages,
//! which `check` looks at, tell.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::Clock;
use crate::engine::{Engine, Options};
use crate::launch::{StatusUpdate, TaskState};
use crate::model::{
    EventNumber, Job, JobId, JobRequest, JobTypeSpec, NodeId, NodeResources, Outcome, RecipeNode,
    RecipeRequest, StoreId, Submission, SubmissionId, Timestamp, Usage,
};
use crate::offer::Offer;
use crate::store::{Opened, open_on};
use crate::sync::{AtomicI64, Ordering};
use crate::testing::{Crashes, Op, Survives, TracedDisk};
use crate::wal::{Disk, DiskFile};

const WAIT: Duration = Duration::from_mins(1);

/// Small enough for a checkpoint every few rounds.
const CHECKPOINT_BYTES: usize = 20_000;

const ROUNDS: u32 = 24;

/// Bytes of a change.
pub(super) const CHANGE_BYTES: usize = 8;

/// Changes of one input; more are left out.
const CHANGES_MAX: usize = 24;

/// Of so many jobs one is read.
const JOBS_STEP: usize = 7;

/// Kinds of changes; the last one swaps blocks.
const KINDS: u8 = 6;
const SWAP: u8 = 5;

const BLOCK_BYTES: usize = 4096;

/// Damages a store as `bytes` say, and opens it.
pub fn store_open(bytes: &[u8]) {
    let Some((image, changes)) = bytes.split_first() else { return };
    let base = &*BASE;
    let mut files = base.images[usize::from(*image) % base.images.len()].clone();
    let (mut is_changed, mut is_swapped) = (false, false);
    for change in changes.as_chunks::<CHANGE_BYTES>().0.iter().take(CHANGES_MAX) {
        let changes = apply(*change, &mut files);
        is_changed |= changes;
        is_swapped |= changes && change[0] % KINDS == SWAP;
    }
    let damaged = files.clone();
    let disk: Arc<dyn Disk> = Arc::new(TracedDisk::with(files));
    match open_on(&disk, StoreId(1), CHECKPOINT_BYTES) {
        Ok(opened) => {
            let check = || base.check(&opened, bytes.len() % JOBS_STEP);
            if !is_swapped {
                check();
            } else if let Err(panic) = catch_unwind(AssertUnwindSafe(check))
                && are_pages_sound(&damaged)
            {
                resume_unwind(panic);
            }
        }
        Err(error) => {
            assert!(is_changed, "{error}");
            let text = error.to_string();
            assert!(!text.is_empty());
        }
    }
}

/// What redb says of the checksums of all pages.
fn are_pages_sound(files: &[Vec<u8>; 2]) -> bool {
    let disk = TracedDisk::with(files.clone());
    [DiskFile::Log, DiskFile::State].into_iter().all(|file| {
        let sound = || {
            let Ok(mut db) = disk.open(file, 1 << 20) else { return false };
            let is_sound = db.check_integrity().is_ok_and(|is| is);
            std::mem::forget(db);
            is_sound
        };
        catch_unwind(AssertUnwindSafe(sound)).unwrap_or(false)
    })
}

/// Prints a panic that nobody expects: what the storage says of damage is caught.
#[cfg(fuzzing)]
pub fn tell_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let is_storage = panic.location().is_some_and(|place| place.file().contains("redb"));
    if !is_storage {
        eprintln!("{panic}");
    }
}

/// What a store holds at a position.
#[derive(PartialEq)]
struct Held {
    jobs: Vec<Job>,
    rest: String,
}

/// What is opened, before it is damaged.
struct Base {
    images: Vec<[Vec<u8>; 2]>,
    /// What every synced prefix leads to.
    right: BTreeMap<EventNumber, Held>,
}

static BASE: LazyLock<Base> = LazyLock::new(Base::make);

#[derive(Clone, Default)]
struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

fn submission_id(n: u32) -> SubmissionId {
    SubmissionId::new(&format!("s{n}")).expect("an id")
}

/// All but the jobs.
fn rest_of(opened: &Opened) -> String {
    let state = &opened.state;
    let counters: Vec<_> = state.counters.iter().collect();
    let submissions: Vec<_> = (0..2 * ROUNDS).map(|n| state.submission(submission_id(n).as_str())).collect();
    let types: Vec<_> = state.catalog.iter().collect();
    let load: Vec<_> = state.history.iter().filter(|row| row.measured >= Timestamp(0)).collect();
    format!("{:?} {:?} {counters:?} {submissions:?} {types:?} {load:?}", opened.id, state.totals())
}

impl Base {
    fn make() -> Self {
        let disk = TracedDisk::default();
        let clock = HandClock::default();
        let options = Options::default().clock(clock.clone()).checkpoint_bytes(CHECKPOINT_BYTES);
        let as_disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let open = || Engine::open_on(&as_disk, options.clone()).expect("it opens");
        let mut engine = open();
        // From here on there are files.
        let (mut files, n_begun) = (disk.files(), disk.n_ops());
        for round in 0..ROUNDS {
            live(&engine, round);
            clock.0.fetch_add(3_600 * Timestamp::PER_SECOND, Ordering::Relaxed);
            engine.pump();
            assert!(engine.settle(WAIT));
            if round % 6 == 2 {
                engine.checkpoint(WAIT).expect("written");
            }
            if round == 9 {
                drop(engine);
                engine = open();
            }
        }
        drop(engine);
        let left = disk.files();
        let engine = open();
        engine.close().expect("closed");
        let closed = disk.files();
        let trace = disk.trace();
        let mut images = vec![left, closed];
        let mut right = BTreeMap::new();
        let mut crashes = Crashes::new(std::mem::take(&mut files));
        let every = (trace.len() - n_begun) / 6;
        for (n, (file, op)) in trace.iter().enumerate().skip(n_begun) {
            crashes.step(*file, op);
            // What is synced into the state file is in the log.
            if *file == DiskFile::Log && matches!(op, Op::Sync) {
                let files = crashes.image(|_| Survives::Prefix(0)).files();
                let (position, held) = hold(&files);
                right.insert(position, held);
            }
            if (n - n_begun) % every == every - 1 {
                images.push(crashes.image(|_| Survives::All).files());
                images.push(crashes.image(|_| Survives::Prefix(0)).files());
            }
        }
        Self { images, right }
    }

    /// Compares what came out.
    fn check(&self, opened: &Opened, offset: usize) {
        let position = opened.state.last_event;
        let right = self.right.get(&position).unwrap_or_else(|| panic!("{position} is no synced prefix"));
        let rest = rest_of(opened);
        let at = rest.bytes().zip(right.rest.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(200);
        let (found, wanted) = (rest.get(at..), right.rest.get(at..));
        assert!(rest == right.rest, "another state at {position}: {found:.500?}, and not {wanted:.500?}");
        opened.state.check_invariants();
        for job in right.jobs.iter().skip(offset).step_by(JOBS_STEP) {
            // What cannot be read is told; one telling is enough, since each takes its time.
            match opened.tables.job(job.id) {
                Ok(Some(read)) => assert!(read == *job, "{read:?} is not {job:?}"),
                Ok(None) => panic!("job {} is forgotten", job.id),
                Err(_) => break,
            }
        }
        // To close a file is to write to it: where damage was not seen that may end the process.
        opened.log.distrust();
        opened.tables.distrust();
    }
}

fn hold(files: &[Vec<u8>; 2]) -> (EventNumber, Held) {
    let disk: Arc<dyn Disk> = Arc::new(TracedDisk::with(files.clone()));
    let opened = open_on(&disk, StoreId(1), CHECKPOINT_BYTES).expect("a sound store opens");
    let jobs = opened.tables.jobs(JobId(0), opened.state.next_job(), 10_000).expect("readable");
    let rest = rest_of(&opened);
    (opened.state.last_event, Held { jobs, rest })
}

/// One round of everything that changes a store.
fn live(engine: &Engine, round: u32) {
    let spec = JobTypeSpec::new(format!("kind{}", round % 3), "1").command(["run", "{n}"]).max_tries(1);
    let spec = spec.needs(NodeResources::new().mem_mib(1 + u64::from(round)));
    let kind = engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
    let request =
        |n: u32| JobRequest::new(kind).values([("n", format!("{n:0>60}"))]).priority(n.cast_signed());
    let node = |n: u32, parents: &[u32]| RecipeNode {
        name: format!("node{n}").into(),
        job: request(n),
        parents: parents.to_vec(),
    };
    let nodes = vec![node(1, &[]), node(2, &[0]), node(3, &[0, 1])];
    let jobs = Submission::new(submission_id(2 * round)).jobs(request(round).count(20));
    let recipe = Submission::new(submission_id(2 * round + 1))
        .recipe(RecipeRequest { name: "r".into(), nodes: nodes.clone() });
    for submission in [jobs, recipe] {
        engine.submit(submission).expect("room").wait_durable(WAIT).expect("accepted");
    }
    let picks = engine.offer(&Offer::new(NodeId(1 + round % 2), NodeResources::new().mem_mib(100)));
    for (n, launch) in picks.commit().wait(WAIT).expect("durable").iter().enumerate() {
        let outcome = match n % 5 {
            0 => Outcome::Exited { code: 3 },
            1 if round.is_multiple_of(4) => continue,
            _ => Outcome::Exited { code: 0 },
        };
        let state = TaskState::Ended { outcome, usage: Usage::default() };
        let update = StatusUpdate { name: launch.get().name, state, when: engine.now() };
        engine.status(update).expect("room").wait_durable(WAIT).expect("taken");
    }
    let queued: Vec<_> = engine.queued(&[], 6).iter().map(|entry| entry.job).collect();
    let (some, others) = queued.split_at(queued.len() / 2);
    engine.set_priority(some.to_vec(), 7).expect("room").wait_durable(WAIT).expect("done");
    engine.cancel(others.to_vec()).expect("room").wait_durable(WAIT).expect("done");
}

/// Places of blocks of a file that hold anything.
fn used_blocks(bytes: &[u8]) -> Vec<usize> {
    let blocks = bytes.chunks(BLOCK_BYTES).enumerate();
    let used = blocks.filter(|(_, block)| block.iter().any(|byte| *byte != 0));
    used.map(|(n, _)| n * BLOCK_BYTES).collect()
}

/// Makes a change; false where it changes nothing.
fn apply(
    [what, file, block, other, low, high, value, bit]: [u8; CHANGE_BYTES],
    files: &mut [Vec<u8>; 2],
) -> bool {
    let bytes = &mut files[usize::from(file % 2)];
    let blocks = used_blocks(bytes);
    if blocks.is_empty() {
        return false;
    }
    let block_at = |n: usize| blocks[n % blocks.len()];
    // As many bits as there may be blocks.
    let (from, to) = (block_at(usize::from(block)), block_at(usize::from(other)));
    let within = usize::from(u16::from_le_bytes([low, high])) % BLOCK_BYTES;
    let at = (from + within).min(bytes.len() - 1);
    let end = |from: usize, bytes: &[u8]| (from + BLOCK_BYTES).min(bytes.len());
    match what % KINDS {
        0 => {
            bytes[at] ^= 1 << (bit % 8);
            true
        }
        1 => std::mem::replace(&mut bytes[at], value) != value,
        2 => {
            let end = end(from, bytes);
            bytes[from..end].fill(0);
            true
        }
        // From somewhere in a block on, as a write that did not end.
        3 => {
            let end = end(from, bytes);
            let changed = bytes[at..end].iter().any(|byte| *byte != 0);
            bytes[at..end].fill(0);
            changed
        }
        4 => {
            bytes.truncate(at);
            true
        }
        _ => {
            let (from, to) = (from.min(to), from.max(to));
            if to + BLOCK_BYTES > bytes.len() || from == to {
                return false;
            }
            let (front, back) = bytes.split_at_mut(to);
            front[from..from + BLOCK_BYTES].swap_with_slice(&mut back[..BLOCK_BYTES]);
            true
        }
    }
}
