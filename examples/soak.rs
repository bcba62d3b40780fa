//! Random operations on a queue without end in sight: what they found is held against its
//! invariants every million, and its memory against what it was after the first ones.
//!
//! `cargo run --release --example soak -- 1000000000`

use std::process::ExitCode;

use weighbridge::{
    Amounts, ConstraintSetId, Entry, ExeId, JobId, JobTypeId, NodeResources, Quantity, Queue, QueueMode,
    TenantId, Timestamp,
};

/// Entries the queue is kept about.
const N_ENTRIES: usize = 20_000;
/// Entries set aside at once.
const PICKED_MAX: usize = 1_000;
/// Operations between two looks at the invariants.
const CHECK_EACH: u64 = 1_000_000;
/// Job types, and shapes of each: lanes.
const N_TYPES: u64 = 40;
const N_SHAPES: u64 = 8;
/// How much more memory than at a tenth of the way is growth.
const GROWTH_MAX: f64 = 1.25;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ x >> 31) % n
    }

    fn small(&mut self, n: u32) -> u32 {
        u32::try_from(self.below(n.into())).expect("below a u32")
    }
}

fn amounts(queue: &mut Queue, cpus: u64, mem: u64, disk: u64) -> Amounts {
    let cpus = NodeResources::new().with("cpus", Quantity(cpus)).expect("a name");
    queue.intern(&cpus.mem_mib(mem).disk_mib(disk))
}

/// A queue with the ids that wait in it, those that are set aside, and those that run.
struct Soak {
    queue: Queue,
    random: Random,
    waiting: Vec<ExeId>,
    picked: Vec<ExeId>,
    running: Vec<JobTypeId>,
    next_id: u64,
    now: i64,
}

impl Soak {
    fn entry(&mut self) -> Entry {
        self.next_id += 1 + self.random.below(5);
        self.now += i64::from(self.random.small(3));
        let kind = self.random.below(N_TYPES);
        let shape = 1 + self.random.below(N_SHAPES);
        let (mem, disk) = (self.random.below(4_096), self.random.below(4_096));
        let late = i64::from(self.random.small(20)) / 19 * i64::from(self.random.small(1_000));
        Entry {
            id: ExeId(self.next_id),
            job: JobId(self.next_id),
            job_type: JobTypeId(u32::try_from(kind).expect("few")),
            tenant: TenantId::default(),
            constraints: ConstraintSetId::default(),
            priority: i32::try_from(self.random.below(6)).expect("few"),
            queued: Timestamp((self.now - late).max(0)),
            asks: amounts(&mut self.queue, shape * 500, mem, disk),
        }
    }

    fn any(random: &mut Random, ids: &mut Vec<ExeId>) -> Option<ExeId> {
        let n = u64::try_from(ids.len()).expect("few");
        if n == 0 { None } else { Some(ids.swap_remove(usize::try_from(random.below(n)).expect("few"))) }
    }

    fn offer(&mut self) {
        let (cpus, mem, disk) =
            (self.random.below(9_000), self.random.below(9_000), self.random.below(9_000));
        let mut free = amounts(&mut self.queue, cpus, mem, disk);
        for _ in 0..8 {
            let Some(entry) = self.queue.take_first_fit(&mut free) else { break };
            self.picked.push(entry.id);
        }
    }

    fn step(&mut self) {
        let wants_more = self.queue.len() + self.queue.n_deferred() < N_ENTRIES;
        match self.random.below(100) {
            0..50 if wants_more => {
                let entry = self.entry();
                self.queue.insert(entry).expect("room");
                self.waiting.push(entry.id);
            }
            50..53 if wants_more => {
                let (entry, until) = (self.entry(), self.now + i64::from(self.random.small(5_000)));
                self.queue.defer(entry, Timestamp(until)).expect("room");
                self.waiting.push(entry.id);
            }
            // So many are set aside at most: what is picked does not count as queued.
            0..60 if self.picked.len() < PICKED_MAX => self.offer(),
            0..75 => {
                // It may have been picked: then it is canceled among the picked, or is gone.
                if let Some(id) = Self::any(&mut self.random, &mut self.waiting) {
                    self.queue.cancel(id);
                }
            }
            75..85 => {
                if let Some(id) = Self::any(&mut self.random, &mut self.picked) {
                    self.queue.put_back(id);
                }
            }
            85..92 => {
                let picked = Self::any(&mut self.random, &mut self.picked);
                if let Some(entry) = picked.and_then(|id| self.queue.launch(id)) {
                    self.running.push(entry.job_type);
                }
                while self.running.len() > 1_000 {
                    self.queue.end(self.running.swap_remove(0));
                }
            }
            92..95 => {
                let at = self.random.below(self.waiting.len().max(1) as u64);
                let id = self.waiting.get(usize::try_from(at).expect("few")).copied();
                let priority = i32::try_from(self.random.below(6)).expect("few");
                id.map(|id| self.queue.set_priority(id, priority));
            }
            95 => {
                let kind = JobTypeId(self.random.small(40));
                let is_paused = self.random.below(4) == 0;
                self.queue.set_paused(kind, is_paused);
            }
            96 => {
                let kind = JobTypeId(self.random.small(40));
                let limit = Some(self.random.small(60)).filter(|limit| *limit < 50);
                self.queue.set_limit(kind, limit);
            }
            97 => {
                self.queue.wake(Timestamp(self.now), 16);
            }
            98 if self.random.below(1_000) == 0 => {
                let modes = [QueueMode::Fifo, QueueMode::Lifo];
                let mode = modes[self.random.small(2) as usize];
                let kind = Some(JobTypeId(self.random.small(60))).filter(|kind| kind.0 < 40);
                self.queue
                    .start_turn(kind, Some(mode).filter(|_| kind.is_none() || self.random.below(3) > 0));
            }
            _ => {
                self.queue.turn_some(16);
            }
        }
    }

    /// Forgets ids that are gone.
    fn sweep(&mut self) {
        let queue = &self.queue;
        self.waiting.retain(|id| queue.get(*id).is_some());
        self.picked.retain(|id| queue.get(*id).is_some());
    }
}

fn main() -> ExitCode {
    let n_steps = std::env::args().nth(1).map_or(Ok(10_000_000), |text| text.replace('_', "").parse::<u64>());
    let Ok(n_steps) = n_steps else {
        eprintln!("usage: soak [OPERATIONS]    (10,000,000 of them)");
        return ExitCode::from(2);
    };
    let mut soak = Soak {
        queue: Queue::default(),
        random: Random(29),
        waiting: Vec::new(),
        picked: Vec::new(),
        running: Vec::new(),
        next_id: 0,
        now: 0,
    };
    let mut bytes_then = None;
    for step in 1..=n_steps {
        soak.step();
        if step % CHECK_EACH == 0 || step == n_steps {
            soak.queue.check_invariants();
            soak.sweep();
        }
        if step == (n_steps / 10).max(1) {
            bytes_then = Some(soak.queue.bytes().1);
        }
        if step % (100 * CHECK_EACH) == 0 {
            println!("{step} operations, {} queued, {} bytes", soak.queue.len(), soak.queue.bytes().1);
        }
    }
    let (before, after) = (bytes_then.unwrap_or(0), soak.queue.bytes().1);
    println!(
        "{n_steps} operations; bytes at a tenth {before}, at the end {after}; {} lanes",
        soak.queue.n_lanes()
    );
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let is_flat = after as f64 <= before as f64 * GROWTH_MAX;
    if is_flat { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
