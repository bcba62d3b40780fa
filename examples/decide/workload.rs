//! What is queued and what is offered, made from a seed.
//!
//! W1  Equal arguments give equal entries and offers, on every machine.
//! W2  Exactly as many lanes stand open as were asked for: the types that are paused come on top,
//!     each type begins with an entry of its own, and what leaves is followed by one of its type.
//! W3  The adverse entries of `adversarial` come before all others, and stay as many.

use weighbridge::{Amounts, Entry, ExeId, JobId, JobTypeId, NodeResources, Quantity, Queue, Timestamp};

/// Priorities in use, apart from that of adverse entries.
const N_PRIORITIES: u64 = 10;

/// One in this many types is paused all the time.
const PAUSED_ONE_IN: usize = 11;

/// The pause that goes about: it rests on one of the first types at a time.
pub(crate) const N_ROAMING: usize = 8;

/// At most so many entries at the top ask for what no offer has (`adversarial`), and at most a
/// tenth of all.
const N_ADVERSE_MAX: u64 = 100_000;

/// What an adverse entry asks for.
const ADVERSE_GPUS: u64 = 8_000;

/// Memory and disk of an entry of `cross` add up to this many MiB.
const CROSS_SUM: u64 = 1 << 20;

/// As far from the middle as a draw of a bell curve comes among ten million.
const FAR: f64 = -4.5;

/// Of which shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Every entry of a type asks for the same.
    Fixed,
    /// Memory and disk follow the size of one input, different for every entry.
    Hetero,
    /// The same, below entries at the top that ask for what no offer has.
    Adversarial,
    /// Memory and disk are independent of each other.
    Indep,
    /// Requests and nodes as in a trace of Alibaba's.
    Mixture,
    /// Memory and disk are traded against each other, and every offer is a little short.
    Cross,
}

impl Workload {
    pub(crate) const ALL: [(&'static str, Self); 6] = [
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

    /// Classes of nodes: thousandths of cpus, MiB of memory and of disk, thousandths of gpus; and
    /// how many there are.
    fn nodes(self) -> &'static [(Numbers, u64)] {
        if self == Self::Mixture { &ALIBABA_NODES } else { &NODES }
    }

    /// The share of a node that is free at least, and one in how many offers is made to be too small:
    /// others are by chance. Chosen so that a tenth of all finds nothing, and less than half finds
    /// the head of the queue. The requests of the trace are large parts of its nodes.
    fn fullness(self) -> (f64, u64) {
        if self == Self::Mixture { (0.08, 40) } else { (0.01, 12) }
    }
}

/// A small generator (splitmix64): the same seed gives the same run everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }

    /// Below `n`; 0 for 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// A place in a list of `n`.
    pub(crate) fn place(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).expect("below a usize")
    }

    fn one_of<T: Copy>(&mut self, few: &[T]) -> T {
        few[self.place(few.len())]
    }

    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From a bell curve about 0, of width 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Thousandths of cpus, MiB of memory, MiB of disk, thousandths of gpus.
pub(crate) type Numbers = [u64; 4];

const CPUS: usize = 0;
const MEM: usize = 1;
const DISK: usize = 2;
const GPUS: usize = 3;

/// True where all of `asked` is at hand.
pub(crate) fn covers(free: &Numbers, asked: &Numbers) -> bool {
    free.iter().zip(asked).all(|(have, ask)| have >= ask)
}

fn named(numbers: Numbers) -> NodeResources {
    let set = NodeResources::new().with("cpus", Quantity(numbers[CPUS])).expect("a standard name");
    let set = set.with("gpus", Quantity(numbers[GPUS])).expect("a standard name");
    set.mem_mib(numbers[MEM]).disk_mib(numbers[DISK])
}

/// Classes of nodes, as many of each.
const NODES: [(Numbers, u64); 5] = [
    ([16_000, 65_536, 500_000, 0], 1),
    ([32_000, 131_072, 1_000_000, 0], 1),
    ([64_000, 262_144, 2_000_000, 0], 1),
    ([96_000, 393_216, 2_000_000, 8_000], 1),
    ([128_000, 524_288, 4_000_000, 0], 1),
];

/// The nodes of the Alibaba GPU trace of 2023 (`openb_node_list_all_node.csv`): the 12 most
/// frequent of 27 classes, 1,416 of its 1,523 nodes. It says nothing of disks.
const ALIBABA_NODES: [(Numbers, u64); 12] = [
    ([96_000, 393_216, 2_000_000, 8_000], 549),
    ([104_000, 524_288, 2_000_000, 2_000], 387),
    ([32_000, 262_144, 1_000_000, 0], 129),
    ([16_000, 122_880, 1_000_000, 2_000], 107),
    ([96_000, 524_288, 2_000_000, 0], 59),
    ([128_000, 786_432, 4_000_000, 8_000], 39),
    ([96_000, 393_216, 2_000_000, 0], 30),
    ([32_000, 131_072, 1_000_000, 4_000], 28),
    ([32_000, 131_072, 1_000_000, 0], 23),
    ([64_000, 262_144, 2_000_000, 2_000], 22),
    ([64_000, 524_288, 2_000_000, 0], 22),
    ([96_000, 786_432, 4_000_000, 8_000], 21),
];

/// Requests of the same trace (`openb_pod_list_default.csv`) with how many of its 8,152 pods they
/// are: thousandths of cpus, MiB, thousandths of gpus. The 24 most frequent of 151, 80 % of all.
const ALIBABA_PODS: [(u64, u64, u64, u64); 24] = [
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
#[derive(Clone, Debug)]
struct Kind {
    /// What it asks for, or the middle of it where that varies.
    asks: Numbers,
    /// Its share of the entries, cumulated.
    share: f64,
}

impl Kind {
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    fn new(workload: Workload, at: usize, n_kinds: usize, random: &mut Random) -> Self {
        let zipf = |rank: usize| 1.0 / (rank as f64 + 1.0).powf(0.9);
        match workload {
            Workload::Mixture => {
                // Several types ask for the same; together they are as frequent as in the trace.
                let n = ALIBABA_PODS.len();
                let (cpus, mem, gpus, n_pods) = ALIBABA_PODS[at % n];
                let of_same: f64 = (0..(n_kinds - at % n).div_ceil(n)).map(zipf).sum();
                let share = n_pods as f64 * zipf(at / n) / of_same;
                Self { asks: [cpus, mem, 2_000, gpus], share }
            }
            Workload::Cross => Self { asks: [1_000 * (at as u64 % 16 + 1), 0, 0, 0], share: 1.0 },
            _ => {
                let cpus = random.one_of(&[250, 500, 1_000, 1_000, 2_000, 4_000, 8_000, 16_000]);
                let gpus = if random.below(10) == 0 { 1_000 } else { 0 };
                let mem = random.one_of(&[128, 256, 512, 1_024, 2_048, 4_096, 16_384]);
                Self { asks: [cpus, mem, (1 + random.below(4)) * 1_024, gpus], share: zipf(at) }
            }
        }
    }

    /// What an entry asks for; `draw` gives draws from a bell curve.
    fn asks(&self, workload: Workload, mut draw: impl FnMut() -> f64) -> Numbers {
        let [cpus, mem, disk, gpus] = self.asks;
        let mut log_normal = |median: u64, sigma: f64| {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "bounded by the clamp"
            )]
            let number = (median as f64 * (sigma * draw()).exp()).clamp(1.0, 1e7) as u64;
            number
        };
        match workload {
            Workload::Fixed | Workload::Cross => self.asks,
            Workload::Hetero | Workload::Adversarial => {
                // Both follow the size of the input: a multiplier each, and a constant.
                let input = log_normal(200, 1.2);
                [cpus, mem + 4 * input, disk + 2 * input, gpus]
            }
            Workload::Indep => [cpus, log_normal(mem, 0.8), log_normal(2_000, 1.0), gpus],
            Workload::Mixture => [cpus, log_normal(mem, 0.2), log_normal(disk, 0.5), gpus],
        }
    }
}

/// An entry in numbers, for whatever structure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft {
    pub(crate) id: u64,
    pub(crate) queued: i64,
    pub(crate) priority: i32,
    /// The place of its type among the types.
    pub(crate) kind: u32,
    pub(crate) asks: Numbers,
}

/// The id of the type at a place.
pub(crate) fn job_type(kind: u32) -> JobTypeId {
    JobTypeId(kind + 1)
}

impl Draft {
    pub(crate) fn entry(&self, queue: &mut Queue) -> Entry {
        Entry {
            id: ExeId(self.id),
            job: JobId(self.id),
            job_type: job_type(self.kind),
            tenant: weighbridge::TenantId(0),
            constraints: weighbridge::ConstraintSetId(0),
            priority: self.priority,
            queued: Timestamp(self.queued),
            asks: queue.intern(&named(self.asks)),
        }
    }

    /// Who has gone when this one goes.
    pub(crate) fn gone(&self) -> Gone {
        Gone { id: self.id, kind: self.kind, priority: self.priority }
    }
}

/// What is known of an entry that has left: enough to make its successor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone {
    pub(crate) id: u64,
    pub(crate) kind: u32,
    pub(crate) priority: i32,
}

impl Gone {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { id: entry.id.0, kind: entry.job_type.0 - 1, priority: entry.priority }
    }
}

/// What a node has free, for the queue and for other structures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Free {
    pub(crate) numbers: Numbers,
    pub(crate) amounts: Amounts,
}

/// Makes entries and offers.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    workload: Workload,
    random: Random,
    kinds: Vec<Kind>,
    n_adverse: u64,
    /// What any entry asks for at least, resource by resource.
    least: Numbers,
    next_id: u64,
    n_made: u64,
    time: i64,
}

impl Source {
    /// A source for `queued` entries of which `n_lanes` lanes may move; an error says why it cannot be.
    pub(crate) fn new(workload: Workload, n_lanes: usize, queued: usize) -> Result<Self, String> {
        let mut random = Random::new(17);
        let n_open = match workload {
            // Each type has a lane of adverse entries, too.
            Workload::Adversarial => n_lanes.div_ceil(2),
            _ => n_lanes,
        };
        let n_kinds = if workload == Workload::Cross { n_open } else { with_paused(n_open) };
        let n_adverse = match workload {
            Workload::Adversarial => N_ADVERSE_MAX.min(queued as u64 / 10),
            _ => 0,
        };
        let least_queued = if n_adverse > 0 { 10 * n_kinds } else { n_kinds };
        if queued < least_queued {
            return Err(format!("{n_lanes} lanes of {} need {least_queued} queued", workload.name()));
        }
        let mut kinds: Vec<Kind> =
            (0..n_kinds).map(|at| Kind::new(workload, at, n_kinds, &mut random)).collect();
        let total: f64 = kinds.iter().map(|kind| kind.share).sum();
        let mut sum = 0.0;
        for kind in &mut kinds {
            sum += kind.share;
            kind.share = sum / total;
        }
        let mut least = [u64::MAX; 4];
        for asks in kinds.iter().map(|kind| kind.asks(workload, || FAR)) {
            least = std::array::from_fn(|at| least[at].min(asks[at]));
        }
        Ok(Self { workload, random, kinds, n_adverse, least, next_id: 0, n_made: 0, time: 0 })
    }

    pub(crate) fn n_kinds(&self) -> usize {
        self.kinds.len()
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// The next entry of those that fill the queue.
    pub(crate) fn draft(&mut self) -> Draft {
        let n_made = self.n_made;
        let is_adverse = n_made < self.n_adverse;
        // Each lane begins with an entry of its own.
        let n_before = if is_adverse { n_made } else { n_made - self.n_adverse };
        let first = usize::try_from(n_before).expect("fits").lt(&self.kinds.len());
        let kind = if first { u32::try_from(n_before).expect("few") } else { self.kind_by_share() };
        self.make(kind, is_adverse)
    }

    /// An entry as any other that is not adverse.
    pub(crate) fn newcomer(&mut self) -> Draft {
        let kind = self.kind_by_share();
        self.make(kind, false)
    }

    /// The one that comes when another has left: of its type, and adverse as it was.
    pub(crate) fn successor(&mut self, gone: &Gone) -> Draft {
        self.make(gone.kind, gone.priority == 0)
    }

    fn kind_by_share(&mut self) -> u32 {
        let share = self.random.unit();
        let at = self.kinds.partition_point(|kind| kind.share < share).min(self.kinds.len() - 1);
        u32::try_from(at).expect("few")
    }

    /// Ids are sparse, and a twentieth was queued a little earlier.
    fn make(&mut self, kind: u32, is_adverse: bool) -> Draft {
        let random = &mut self.random;
        self.n_made += 1;
        self.next_id += 1 + random.below(7);
        self.time += i64::try_from(random.below(3)).expect("small");
        let late = if random.below(20) == 0 { random.below(1_000) } else { 0 };
        let priority =
            if is_adverse { 0 } else { 1 + i32::try_from(random.below(N_PRIORITIES)).expect("small") };
        let mut asks = self.kinds[kind as usize].asks(self.workload, || random.normal());
        if self.workload == Workload::Cross {
            asks[MEM] = random.below(CROSS_SUM);
            asks[DISK] = CROSS_SUM - asks[MEM];
        }
        if is_adverse {
            asks[GPUS] = ADVERSE_GPUS;
        }
        let queued = (self.time - i64::try_from(late).expect("small")).max(0);
        Draft { id: self.next_id, queued, priority, kind, asks }
    }

    /// What a partly used node has free.
    pub(crate) fn offer(&mut self) -> Numbers {
        if self.workload == Workload::Cross {
            // Just under what any entry needs: somewhere along the line, a little short.
            let mem = self.random.below(CROSS_SUM);
            return [64_000, mem, (CROSS_SUM - mem).saturating_sub(1), 0];
        }
        let random = &mut self.random;
        let nodes = self.workload.nodes();
        let mut nth = random.below(nodes.iter().map(|(_, n)| n).sum());
        let node = nodes.iter().find(|(_, n)| {
            let is_here = nth < *n;
            nth = nth.saturating_sub(*n);
            is_here
        });
        let (mut free, _) = *node.expect("below the sum");
        let (least_share, too_small_one_in) = self.workload.fullness();
        for amount in &mut free {
            // Between a half and the whole as often as between a quarter and a half, and so on.
            let share = least_share.powf(random.unit());
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of it"
            )]
            let part = (*amount as f64 * share) as u64;
            *amount = part;
        }
        if self.workload == Workload::Adversarial {
            free[GPUS] = 0;
        }
        if random.below(too_small_one_in) == 0 { self.too_small(free) } else { free }
    }

    /// The same node, so full that nothing fits, or next to nothing: short of one resource, a little
    /// short of each, or short of one while the others are small too.
    fn too_small(&mut self, mut free: Numbers) -> Numbers {
        let random = &mut self.random;
        let short = random.place(GPUS);
        let all = free.iter_mut().zip(self.least).take(GPUS);
        match random.below(5) {
            0..3 => free[short] = random.below(self.least[short]),
            3 => {
                for (amount, least) in all {
                    *amount = least.saturating_sub(1 + random.below(least / 8));
                }
            }
            _ => {
                for (at, (amount, least)) in all.enumerate() {
                    *amount = random.below(if at == short { least } else { 4 * least });
                }
            }
        }
        free
    }

    /// A whole node without anything on it.
    pub(crate) fn idle_node(&self) -> Numbers {
        match self.workload {
            Workload::Mixture => ALIBABA_NODES[0].0,
            _ => NODES[2].0,
        }
    }
}

/// What a queue has to know of free amounts.
pub(crate) fn free(numbers: Numbers, queue: &Queue) -> Free {
    Free { numbers, amounts: queue.lookup(&named(numbers)) }
}

/// Types of which `n_open` are not paused: those paused all the time, and the roaming pause, come on top.
fn with_paused(n_open: usize) -> usize {
    let n_moving = n_open + 1;
    let mut n = n_moving;
    while n - (0..n).filter(|&at| is_paused_always(at)).count() < n_moving {
        n += 1;
    }
    n
}

/// Whether the type at a place is paused all the time.
pub(crate) fn is_paused_always(kind: usize) -> bool {
    kind % PAUSED_ONE_IN == N_ROAMING
}
