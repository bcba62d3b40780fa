//! What is queued and what is offered, made from a seed.

use weighbridge::{Entry, ExeId, JobId, JobTypeId, NodeResources, Quantity, Queue, Timestamp};

/// Priorities in use.
const N_PRIORITIES: u64 = 10;

/// Of which shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Fixed,
    Hetero,
    Adversarial,
    Indep,
    Mixture,
    Cross,
}

impl Workload {
    const ALL: [(&'static str, Self); 6] = [
        ("fixed", Self::Fixed),
        ("hetero", Self::Hetero),
        ("adversarial", Self::Adversarial),
        ("indep", Self::Indep),
        ("mixture", Self::Mixture),
        ("cross", Self::Cross),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, workload)| *workload)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, workload)| *workload == self).map_or("", |(name, _)| name)
    }
}

/// A small generator (splitmix64): the same seed gives the same run everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// One of a few.
    pub(crate) fn one_of<T: Copy>(&mut self, few: &[T]) -> T {
        few[usize::try_from(self.below(few.len() as u64)).expect("a place")]
    }

    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Log-normal about `median`, as a whole number of at least 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the clamp")]
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> u64 {
        let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        (median * (sigma * normal).exp()).clamp(1.0, 1e7) as u64
    }
}

/// Requests of the Alibaba GPU trace of 2023 with their share of its 8,152 pods: thousandths of
/// cpus, MiB, thousandths of gpus. The 24 most frequent of 151, 80 % of all pods.
const ALIBABA: [(u64, u64, u64, u64); 24] = [
    (3_152, 5_600, 810, 1_047),
    (11_300, 49_152, 1_000, 857),
    (11_400, 48_128, 1_000, 534),
    (3_152, 5_600, 1_000, 470),
    (11_908, 47_104, 470, 388),
    (12_500, 57_344, 0, 364),
    (8_000, 30_517, 470, 360),
    (32_000, 49_152, 0, 284),
    (18_708, 64_512, 1_000, 255),
    (11_908, 47_104, 650, 237),
    (9_810, 41_560, 1_000, 195),
    (8_000, 30_517, 0, 163),
    (12_000, 24_576, 1_000, 158),
    (15_700, 58_368, 1_000, 158),
    (11_908, 47_104, 1_000, 153),
    (15_400, 51_200, 0, 120),
    (4_000, 22_888, 320, 111),
    (16_000, 32_768, 1_000, 108),
    (8_000, 16_384, 1_000, 104),
    (4_000, 24_576, 1_000, 104),
    (12_000, 16_384, 1_000, 99),
    (16_500, 51_200, 0, 95),
    (14_200, 58_368, 1_000, 93),
    (4_000, 30_517, 230, 84),
];

/// One job type of a run.
struct Kind {
    cpus: u64,
    gpus: u64,
    mem: u64,
    disk: u64,
    /// Its share of the entries, cumulated.
    share: f64,
}

/// A whole node without anything on it.
pub(crate) fn idle_node(queue: &Queue) -> weighbridge::Amounts {
    queue.lookup(&amounts(64_000, 262_144, 2_000_000, 0))
}

/// Makes entries and offers.
pub(crate) struct Source {
    workload: Workload,
    random: Random,
    kinds: Vec<Kind>,
    next_id: u64,
    n_made: u64,
    time: i64,
}

/// How many entries at the top ask for what no offer has (`adversarial`).
const N_ADVERSE: u64 = 100_000;

/// Memory and disk of an entry of `cross` add up to this many MiB.
const CROSS_SUM: u64 = 1 << 20;

fn amounts(cpus: u64, mem: u64, disk: u64, gpus: u64) -> NodeResources {
    let set =
        NodeResources::new().with("cpus", Quantity(cpus)).and_then(|set| set.with("gpus", Quantity(gpus)));
    set.expect("standard names").mem_mib(mem).disk_mib(disk)
}

impl Source {
    pub(crate) fn new(workload: Workload, n_types: usize) -> Self {
        let mut random = Random::new(17);
        let n_kinds = if workload == Workload::Cross { 4 } else { n_types };
        let mut kinds: Vec<Kind> = (0..n_kinds).map(|at| Self::kind(workload, at, &mut random)).collect();
        let mut sum = 0.0;
        for kind in &mut kinds {
            sum += kind.share;
            kind.share = sum;
        }
        for kind in &mut kinds {
            kind.share /= sum;
        }
        Self { workload, random, kinds, next_id: 0, n_made: 0, time: 0 }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn kind(workload: Workload, at: usize, random: &mut Random) -> Kind {
        let zipf = 1.0 / (at as f64 + 1.0).powf(0.9);
        if workload == Workload::Mixture {
            let (cpus, mem, gpus, share) = ALIBABA[at % ALIBABA.len()];
            return Kind { cpus, gpus, mem, disk: 1_024, share: share as f64 * zipf };
        }
        let cpus = random.one_of(&[250, 500, 1_000, 1_000, 2_000, 4_000, 8_000, 16_000]);
        let gpus = if random.below(10) == 0 { 1_000 } else { 0 };
        let mem = random.one_of(&[128, 256, 512, 1_024, 2_048, 4_096, 16_384]);
        Kind { cpus, gpus, mem, disk: random.below(4) * 1_024, share: zipf }
    }

    pub(crate) fn n_kinds(&self) -> usize {
        self.kinds.len()
    }

    /// The next entry. Ids are sparse, and a twentieth was queued a little earlier.
    pub(crate) fn entry(&mut self, queue: &mut Queue) -> Entry {
        self.next_id += 1 + self.random.below(7);
        self.n_made += 1;
        self.time += i64::try_from(self.random.below(3)).expect("small");
        let share = self.random.unit();
        let at = self.kinds.partition_point(|kind| kind.share < share).min(self.kinds.len() - 1);
        let is_adverse = self.workload == Workload::Adversarial && self.n_made <= N_ADVERSE;
        let priority =
            if is_adverse { 0 } else { 1 + i32::try_from(self.random.below(N_PRIORITIES)).expect("small") };
        let asks = self.asks(at, is_adverse);
        let late = if self.random.below(20) == 0 {
            i64::try_from(self.random.below(1_000)).expect("small")
        } else {
            0
        };
        Entry {
            id: ExeId(self.next_id),
            job: JobId(self.n_made),
            job_type: JobTypeId(u32::try_from(at + 1).expect("few")),
            tenant: weighbridge::TenantId(0),
            constraints: weighbridge::ConstraintSetId(0),
            priority,
            queued: Timestamp((self.time - late).max(0)),
            asks: queue.intern(&asks),
        }
    }

    /// The next entry, of the shape of one made before: cheap, so that making it does not push the
    /// queue out of the caches between two measurements.
    pub(crate) fn renewed(&mut self, shapes: &[Entry]) -> Entry {
        let shape = self.random.one_of(shapes);
        self.next_id += 1 + self.random.below(7);
        self.time += i64::try_from(self.random.below(3)).expect("small");
        let late = if self.random.below(20) == 0 {
            i64::try_from(self.random.below(1_000)).expect("small")
        } else {
            0
        };
        Entry { id: ExeId(self.next_id), queued: Timestamp((self.time - late).max(0)), ..shape }
    }

    fn asks(&mut self, at: usize, is_adverse: bool) -> NodeResources {
        let Kind { cpus, gpus, mem, disk, .. } = self.kinds[at];
        let random = &mut self.random;
        #[expect(clippy::cast_precision_loss, reason = "a median")]
        let median = mem as f64;
        let (mem, disk) = match self.workload {
            Workload::Fixed => (mem, disk),
            Workload::Hetero | Workload::Adversarial => {
                // Both follow the size of the input: a multiplier each, and a constant.
                let input = random.log_normal(200.0, 1.2);
                (mem + 4 * input, disk + 2 * input)
            }
            Workload::Indep => (random.log_normal(median, 0.8), random.log_normal(2_000.0, 1.0)),
            Workload::Mixture => (random.log_normal(median, 0.2), random.log_normal(2_000.0, 0.5)),
            Workload::Cross => {
                let mem = random.below(CROSS_SUM);
                (mem, CROSS_SUM - mem)
            }
        };
        let gpus = if is_adverse { 8_000 } else { gpus };
        let cpus = if self.workload == Workload::Cross { 1_000 * (at as u64 + 1) } else { cpus };
        amounts(cpus, mem, disk, gpus)
    }

    /// What a partly used node of one of five classes has free; about a tenth has next to nothing.
    pub(crate) fn offer(&mut self, queue: &Queue) -> weighbridge::Amounts {
        let random = &mut self.random;
        if self.workload == Workload::Cross {
            // Just under what any entry needs: somewhere along the line, a little short.
            let mem = random.below(CROSS_SUM);
            return queue.lookup(&amounts(64_000, mem, (CROSS_SUM - mem).saturating_sub(1), 0));
        }
        let (cores, mem, disk, gpus) = random.one_of(&[
            (16, 65_536, 500_000, 0),
            (32, 131_072, 1_000_000, 0),
            (64, 262_144, 2_000_000, 0),
            (96, 393_216, 2_000_000, 8),
            (128, 524_288, 4_000_000, 0),
        ]);
        if random.below(10) == 0 {
            return queue.lookup(&amounts(random.below(250), mem, disk, 0));
        }
        // Skewed to small rests, independent for each resource.
        let mut part = |total: u64| {
            let share = random.unit().powi(2);
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of it"
            )]
            let free = (total as f64 * share) as u64;
            free
        };
        let (cpus, mem, disk) = (part(cores * 1_000), part(mem), part(disk));
        let gpus = if self.workload == Workload::Adversarial || gpus == 0 { 0 } else { part(gpus * 1_000) };
        queue.lookup(&amounts(cpus, mem, disk, gpus))
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}
