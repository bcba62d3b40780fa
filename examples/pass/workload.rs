//! Nodes and executions, made from a seed.

use weighbridge::{
    Amounts, Entry, ExeId, JobId, JobTypeId, NodeId, NodeResources, Policy, Quantity, RunningShare,
    Scheduler, SchedulingNode, Timestamp,
};

/// Numbers that look random and are the same on every machine (splitmix64).
#[derive(Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The five classes of nodes: cores, MiB of memory, MiB of disk, GPUs.
const CLASSES: [[u64; 4]; 5] = [
    [8, 32_768, 200_000, 0],
    [16, 65_536, 400_000, 0],
    [32, 131_072, 800_000, 0],
    [64, 262_144, 1_600_000, 0],
    [32, 131_072, 800_000, 4],
];

/// Amounts of the four standard resources, in thousandths.
pub(crate) type Four = [u64; 4];

pub(crate) fn named(four: Four) -> NodeResources {
    let names = ["cpus", "mem", "disk", "gpus"];
    names.iter().zip(four).fold(NodeResources::new(), |set, (name, amount)| {
        set.with(name, Quantity(amount)).expect("a known name")
    })
}

/// A node: what it has in all, and what of it is free.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) id: u32,
    pub(crate) total: Four,
    pub(crate) free: Four,
}

impl Node {
    /// One of the five classes, with a random part of each resource free.
    pub(crate) fn drawn(id: u32, draw: &mut Draw) -> Self {
        let class = CLASSES[usize::try_from(draw.below(5)).expect("small")];
        let total = class.map(|whole| whole * 1_000);
        // In eighths of cores and whole MiB.
        let steps = [125, 1_000, 1_000, 1_000];
        let mut free = total;
        for (free, step) in free.iter_mut().zip(steps) {
            let n_steps = *free / step;
            *free = (n_steps / 5 + draw.below(n_steps * 4 / 5 + 1)) * step;
        }
        Self { id, total, free }
    }

    pub(crate) fn state(&self) -> SchedulingNode {
        let mut node = SchedulingNode::idle(NodeId(self.id), &named(self.total));
        node.offered = named(self.free);
        // What is not free runs.
        let in_use = std::array::from_fn(|at| self.total[at] - self.free[at]);
        node.running.push(RunningShare::new(50, named(in_use)));
        node
    }
}

/// An execution that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: u64,
    pub(crate) job_type: u32,
    pub(crate) priority: i32,
    pub(crate) queued: i64,
    pub(crate) asks: Four,
}

impl Waiting {
    pub(crate) fn entry(&self, asks: Amounts) -> Entry {
        Entry {
            id: ExeId(self.id),
            job: JobId(self.id),
            job_type: JobTypeId(self.job_type),
            tenant: weighbridge::TenantId::default(),
            constraints: weighbridge::ConstraintSetId::default(),
            priority: self.priority,
            queued: Timestamp(self.queued),
            asks,
        }
    }
}

/// How much job types ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// As the jobs of Scale's baseline: half a core to four, 256 MiB to 4 GiB.
    Whole,
    /// Eighths of a core, so that a million of them fit on ten thousand nodes.
    Small,
}

/// What each job type asks for.
pub(crate) fn types(n: u32, size: Size, draw: &mut Draw) -> Vec<Four> {
    let one = |at: u32, draw: &mut Draw| {
        let gpus = if at % 20 == 7 { 1_000 } else { 0 };
        match size {
            Size::Whole => {
                [(1 + draw.below(8)) * 500, (1 + draw.below(16)) * 256_000, draw.below(11) * 100_000, gpus]
            }
            Size::Small => [125, (1 + draw.below(16)) * 32_000, draw.below(11) * 2_000, 0],
        }
    };
    (0..n).map(|at| one(at, draw)).collect()
}

/// Executions of those types at four priorities, 100 twice as often as the others.
pub(crate) fn waiting(n: u64, first: u64, types: &[Four], draw: &mut Draw) -> Vec<Waiting> {
    let priorities = [10, 50, 100, 100, 200];
    let one = |at: u64, draw: &mut Draw| {
        let job_type = usize::try_from(draw.below(types.len() as u64)).expect("small");
        let priority = priorities[usize::try_from(draw.below(5)).expect("small")];
        let (id, queued) = (first + at, i64::try_from(first + at).expect("small"));
        let asks = types[job_type];
        Waiting { id, job_type: u32::try_from(job_type).expect("small") + 1, priority, queued, asks }
    };
    (0..n).map(|at| one(at, draw)).collect()
}

/// Executions before all others that fit on no node, of `n_shapes` shapes: half of them ask for more
/// of one resource than any node has, half for a combination that none has.
pub(crate) fn unplaceable(n: u64, first: u64, n_shapes: u64, n_types: u32) -> Vec<Waiting> {
    let one = |at: u64| {
        let shape = at % n_shapes;
        let more = shape * 1_000;
        let asks = if shape.is_multiple_of(2) {
            [65_000 + more, 1_000_000, 0, 0]
        } else {
            // GPUs are only where there are 32 cores.
            [33_000, 1_000_000 + more, 0, 1_000]
        };
        let job_type = n_types + 1 + u32::try_from(shape).expect("small");
        let (id, queued) = (first + at, i64::try_from(first + at).expect("small"));
        Waiting { id, job_type, priority: -1, queued, asks }
    };
    (0..n).map(one).collect()
}

/// A scheduler that knows the nodes, the types and what waits.
pub(crate) fn scheduler(policy: Policy, nodes: &[Node], types: &[Four], waiting: &[Waiting]) -> Scheduler {
    let mut scheduler = Scheduler::new(policy);
    for (asks, at) in types.iter().zip(1..) {
        scheduler.set_type(JobTypeId(at), named(*asks));
    }
    for node in nodes {
        scheduler.set_node(node.state());
    }
    enqueue(&mut scheduler, waiting);
    // Brings the nodes in; nothing is placed and no score is made.
    scheduler.pass(Timestamp(0), 0, &mut Vec::new());
    scheduler
}

pub(crate) fn enqueue(scheduler: &mut Scheduler, waiting: &[Waiting]) {
    let queue = scheduler.queue_mut();
    for waiting in waiting {
        let asks = queue.intern(&named(waiting.asks));
        queue.insert(waiting.entry(asks)).expect("below the limits, each once");
    }
}
