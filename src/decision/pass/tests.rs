//! Passes against plain loops over all entries and all nodes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::fleet::{RunningShare, SchedulingNode};
use super::policy::{Policy, Reserving, Score};
use super::run::PassPick;
use super::scheduler::Scheduler;
use crate::model::{
    ConstraintSetId, ExeId, JobId, JobTypeId, NodeId, NodeResources, Quantity, QueueMode, SlotShare,
    TenantId, Timestamp,
};
use crate::offer::GpuSlots;
use crate::queue::Entry;

const NAMES: [&str; 5] = ["cpus", "mem", "disk", "gpus", "licences"];
/// Thousandths of the unit that each is counted in: graphics processors come in quarters.
const UNITS: [i64; 5] = [1_000, 1_000, 1_000, 250, 1_000];
/// Quarters of a slot.
const WHOLE: i64 = 4;
type Five = [i64; 5];

fn quantity(at: usize, amount: i64) -> Quantity {
    Quantity((amount * UNITS[at]).unsigned_abs())
}

fn named(five: Five) -> NodeResources {
    (0..5)
        .filter(|at| five[*at] > 0)
        .fold(NodeResources::new(), |set, at| set.with(NAMES[at], quantity(at, five[at])).expect("a name"))
}

#[derive(Clone, Debug)]
struct Node {
    offered: Five,
    total: Five,
    running: Vec<(i32, Five)>,
    is_ready: bool,
    /// Of each slot what is in use, where its graphics processors are slots.
    slots: Option<Vec<i64>>,
}

#[derive(Clone, Debug)]
enum Step {
    Set { id: u32, node: Node },
    Remove { id: u32 },
    Queue { job_type: u32, priority: i32, queued: i64, asks: Five },
    Cancel { which: usize },
    Pause { job_type: u32, is_paused: bool },
    Limit { job_type: u32, limit: Option<u32> },
    Mode(QueueMode),
    TypeMode { job_type: u32, mode: Option<QueueMode> },
    Pass { most: usize },
    End { which: usize },
}

fn five(most: i64) -> impl Strategy<Value = Five> {
    (0..=most, 0..=most, 0..=most, gpus(), 0..=1_i64).prop_map(|(a, b, c, gpus, e)| [a, b, c, gpus, e])
}

fn gpus() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 2 => 0..=WHOLE, 1 => Just(WHOLE), 1 => 0..=3 * WHOLE]
}

fn node() -> impl Strategy<Value = Node> {
    let running = proptest::collection::vec((0..4_i32, five(3)), 0..3);
    let slots = prop::option::of(proptest::collection::vec(prop_oneof![Just(0), 0..=WHOLE], 1..4));
    let node = (five(12), five(12), running, prop::bool::weighted(0.9), slots);
    node.prop_map(|(offered, more, running, is_ready, slots)| {
        let total = std::array::from_fn(|at| offered[at] + more[at]);
        Node { offered, total, running, is_ready, slots }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let job_type = || 1..6_u32;
    let mode = || prop_oneof![Just(QueueMode::Fifo), Just(QueueMode::Lifo)];
    prop_oneof![
        4 => (1..12_u32, node()).prop_map(|(id, node)| Step::Set { id, node }),
        1 => (1..12_u32).prop_map(|id| Step::Remove { id }),
        12 => (job_type(), 0..4_i32, 0..50_i64, five(6))
            .prop_map(|(job_type, priority, queued, asks)| Step::Queue { job_type, priority, queued, asks }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        1 => (job_type(), any::<bool>()).prop_map(|(job_type, is_paused)| Step::Pause { job_type, is_paused }),
        1 => (job_type(), prop::option::of(0..4_u32)).prop_map(|(job_type, limit)| Step::Limit { job_type, limit }),
        1 => mode().prop_map(Step::Mode),
        1 => (job_type(), prop::option::of(mode())).prop_map(|(job_type, mode)| Step::TypeMode { job_type, mode }),
        3 => (1..12_usize).prop_map(|most| Step::Pass { most }),
        1 => any::<usize>().prop_map(|which| Step::End { which }),
    ]
}

/// A node of the model, with what a pass changes.
struct Free {
    left: Five,
    room: Five,
    base: Five,
    holds: Vec<(i32, Five)>,
    is_open: bool,
    slots: Option<Vec<i64>>,
}

impl Free {
    /// The slots that an execution gets, each with how much of it; none where there are not enough. Whole ones
    /// are the first free ones, a rest is of the fullest that has room.
    fn slots_for(&self, asks: i64) -> Option<Vec<(usize, i64)>> {
        let Some(slots) = &self.slots else { return Some(Vec::new()) };
        let (n_whole, rest) = (asks / WHOLE, asks % WHOLE);
        let mut free: Vec<usize> = (0..slots.len()).filter(|at| slots[*at] == 0).collect();
        let mut found = Vec::new();
        for _ in 0..n_whole {
            if free.is_empty() {
                return None;
            }
            found.push((free.remove(0), WHOLE));
        }
        if rest > 0 {
            let has_room = |at: &usize| slots[*at] > 0 && slots[*at] + rest <= WHOLE;
            let fullest = (0..slots.len()).filter(has_room).min_by_key(|at| (-slots[*at], *at));
            found.push((fullest.or(free.first().copied())?, rest));
        }
        Some(found)
    }

    fn covers(&self, asks: Five) -> bool {
        covers(self.left, asks) && self.slots_for(asks[3]).is_some()
    }

    fn give(&mut self, priority: i32, asks: Five) {
        let taken = self.slots_for(asks[3]).expect("there is room");
        for (slot, amount) in taken {
            let used = &mut self.slots.as_mut().expect("it has slots")[slot];
            *used += amount;
            assert!(*used <= WHOLE, "a slot is given twice");
        }
        (self.left, self.room) = (minus(self.left, asks), minus(self.room, asks));
        self.holds.push((priority, asks));
    }
}

fn minus(a: Five, b: Five) -> Five {
    std::array::from_fn(|at| a[at] - b[at])
}

/// A named resource that is not asked for is not looked at.
fn covers(have: Five, asks: Five) -> bool {
    (0..5).all(|at| (at == 4 && asks[at] == 0) || have[at] >= asks[at])
}

struct Model {
    policy: Policy,
    types: BTreeMap<u32, Five>,
    nodes: BTreeMap<u32, Node>,
    free: BTreeMap<u32, Free>,
    largest: Five,
    waiting: BTreeMap<u64, (u32, i32, i64, Five)>,
    running: Vec<(u64, u32)>,
    paused: BTreeSet<u32>,
    limits: BTreeMap<u32, u32>,
    mode: QueueMode,
    modes: BTreeMap<u32, QueueMode>,
}

impl Model {
    /// What is left over, as exactly as the pass has it.
    fn left_over(&self, rest: Five) -> i64 {
        (0..5).map(|at| rest[at] * UNITS[at] * ((1 << 46) / (self.largest[at] * UNITS[at]).max(1))).sum()
    }

    /// A reservation is made by the score as it is shown, which is a little rounded, and at least 0.
    fn score(&self, free: &Free, rest: Five, is_shown: bool) -> i64 {
        let left_over = self.left_over(rest);
        let left_over = if is_shown { left_over.max(0) >> 20 } else { left_over };
        match self.policy.score {
            Score::Scale => {
                i64::try_from(self.types.values().filter(|asks| covers(rest, **asks)).count()).expect("few")
            }
            Score::BestFit => left_over,
            Score::Spread => -left_over,
            Score::DominantShare => {
                let share = |at: usize| {
                    let (base, rest) = (free.base[at] * UNITS[at], rest[at] * UNITS[at]);
                    #[expect(clippy::cast_precision_loss, reason = "small")]
                    if base <= 0 { 0.0 } else { ((base - rest) as f64 / base as f64).clamp(0.0, 1.0) }
                };
                #[expect(clippy::cast_possible_truncation, reason = "small")]
                let score = ((0..5).map(share).fold(0.0, f64::max) * f64::from(1 << 26)) as i64;
                score
            }
        }
    }

    fn best(&self, asks: Five, is_shown: bool, room: impl Fn(&Free) -> Option<Five>) -> Option<u32> {
        let mut best: Option<(i64, u32)> = None;
        for (id, free) in self.free.iter().filter(|(_, free)| free.is_open) {
            let Some(room) = room(free) else { continue };
            let score = self.score(free, minus(room, asks), is_shown);
            if best.is_none_or(|(least, _)| score < least) {
                best = Some((score, *id));
            }
        }
        best.map(|(_, id)| id)
    }

    fn n_running(&self, job_type: u32) -> u32 {
        u32::try_from(self.running.iter().filter(|(_, of)| *of == job_type).count()).expect("few")
    }

    /// Before whom an execution comes: its type's first of its priority stands for it among types.
    fn order(&self, id: u64) -> [i64; 5] {
        let (job_type, priority, queued, _) = self.waiting[&id];
        let seen = |mode: QueueMode, queued: i64, id: u64| {
            let sign = if mode == QueueMode::Fifo { 1 } else { -1 };
            [sign * queued, sign * i64::try_from(id).expect("few")]
        };
        let own = self.modes.get(&job_type).copied().unwrap_or(self.mode);
        let peers = self.waiting.iter().filter(|(_, other)| (other.0, other.1) == (job_type, priority));
        let first =
            peers.map(|(id, other)| (other.2, *id)).min_by_key(|(queued, id)| seen(own, *queued, *id));
        let (first_queued, first_id) = if own == self.mode { (queued, id) } else { first.expect("itself") };
        let [among, among_id] = seen(self.mode, first_queued, first_id);
        let [within, within_id] = seen(own, queued, id);
        [i64::from(priority), among, among_id, within, within_id]
    }

    /// What was placed, and what was reserved.
    fn pass(&mut self, most: usize) -> [Vec<(u64, u32)>; 2] {
        let (mut picks, mut reserved) = (Vec::new(), Vec::new());
        let mut refused: Vec<(u32, Five)> = Vec::new();
        while picks.len() < most {
            // The order moves as entries leave, so it is made anew for each.
            let is_held = |job_type: u32| {
                let limit = self.limits.get(&job_type);
                self.paused.contains(&job_type)
                    || limit.is_some_and(|limit| self.n_running(job_type) >= *limit)
            };
            let is_refused = |job_type: u32, asks: Five| {
                refused.iter().any(|(of, least)| {
                    let is_lane = *of == job_type && [0, 3, 4].iter().all(|at| least[*at] == asks[*at]);
                    is_lane && least[1] <= asks[1] && least[2] <= asks[2]
                })
            };
            let waiting = self
                .waiting
                .iter()
                .filter(|(_, (job_type, _, _, asks))| !is_held(*job_type) && !is_refused(*job_type, *asks));
            let Some(id) = waiting.map(|(id, _)| *id).min_by_key(|id| self.order(*id)) else { break };
            let (job_type, priority, _, asks) = self.waiting[&id];
            if let Some(node) = self.best(asks, false, |free| free.covers(asks).then_some(free.room)) {
                self.free.get_mut(&node).expect("there").give(priority, asks);
                self.waiting.remove(&id);
                self.running.push((id, job_type));
                picks.push((id, node));
                continue;
            }
            refused.push((job_type, asks));
            if self.policy.reserving == Reserving::Never {
                continue;
            }
            let room = |free: &Free| {
                let held = free.holds.iter().filter(|(of, _)| *of <= priority);
                let room = held.fold(free.base, |room, (_, asks)| minus(room, *asks));
                covers(room, asks).then_some(room)
            };
            if let Some(node) = self.best(asks, true, room) {
                self.free.get_mut(&node).expect("there").is_open = false;
                reserved.push((id, node));
            }
        }
        for (_, node) in &reserved {
            self.free.get_mut(node).expect("there").is_open = self.nodes[node].is_ready;
        }
        [picks, reserved]
    }

    fn set(&mut self, id: u32, node: Node) {
        let in_use = node
            .running
            .iter()
            .fold([0; 5], |sum: Five, (_, asks)| std::array::from_fn(|at| sum[at] + asks[at]));
        let (left, room) = (node.offered, minus(node.total, in_use));
        let (base, holds, is_open) = (node.total, node.running.clone(), node.is_ready);
        for (largest, have) in self.largest.iter_mut().zip(node.total) {
            *largest = have.max(*largest);
        }
        let slots = node.slots.clone();
        self.free.insert(id, Free { left, room, base, holds, is_open, slots });
        self.nodes.insert(id, node);
    }
}

/// Slots of which that much is in use.
fn slots_in_use(used: &[i64]) -> GpuSlots {
    let mut slots = GpuSlots::new(used.len());
    let share = |(slot, used): (u16, &i64)| {
        let thousandths = u16::try_from(used * UNITS[3]).expect("a share");
        SlotShare { slot, thousandths }
    };
    let shares: Vec<SlotShare> = (0..).zip(used).filter(|(_, used)| **used > 0).map(share).collect();
    let _in_use = slots.retake(&shares).expect("none is in use twice");
    slots
}

fn state(id: u32, node: &Node) -> SchedulingNode {
    // Zeros are named too: a node has nothing of a resource, which is not the same as not having it.
    let all = |five: Five| {
        (0..5).fold(NodeResources::new(), |set, at| {
            set.with(NAMES[at], quantity(at, five[at])).expect("a name")
        })
    };
    let running = node.running.iter().map(|(priority, asks)| RunningShare::new(*priority, all(*asks)));
    SchedulingNode {
        id: NodeId(id),
        is_ready: node.is_ready,
        offered: all(node.offered),
        watermark: all(node.total),
        running: running.collect(),
        gpus: node.slots.as_deref().map(slots_in_use),
        ..SchedulingNode::default()
    }
}

fn run(policy: Policy, steps: Vec<Step>) {
    let types: BTreeMap<u32, Five> = (1..6)
        .map(|at: u32| {
            let n = i64::from(at);
            (at, [n % 3 + 1, n * 2 % 5, n % 4, i64::from(at == 4), i64::from(at == 5)])
        })
        .collect();
    let mut scheduler = Scheduler::new(policy.clone());
    for (id, asks) in &types {
        scheduler.set_type(JobTypeId(*id), named(*asks));
    }
    let mut model = Model {
        policy,
        types,
        nodes: BTreeMap::new(),
        free: BTreeMap::new(),
        largest: [0; 5],
        waiting: BTreeMap::new(),
        running: Vec::new(),
        paused: BTreeSet::new(),
        limits: BTreeMap::new(),
        mode: QueueMode::Fifo,
        modes: BTreeMap::new(),
    };
    let mut next = 1;
    for step in steps {
        match step {
            Step::Set { id, node } => {
                scheduler.set_node(state(id, &node));
                model.set(id, node);
            }
            Step::Remove { id } => {
                scheduler.remove_node(NodeId(id));
                model.free.remove(&id);
                model.nodes.remove(&id);
            }
            Step::Queue { job_type, priority, queued, asks } => {
                let dense = scheduler.queue_mut().intern(&named(asks));
                let entry = Entry {
                    id: ExeId(next),
                    job: JobId(next),
                    job_type: JobTypeId(job_type),
                    tenant: TenantId::default(),
                    constraints: ConstraintSetId::default(),
                    priority,
                    queued: Timestamp(queued),
                    asks: dense,
                };
                scheduler.queue_mut().insert(entry).expect("new");
                model.waiting.insert(next, (job_type, priority, queued, asks));
                next += 1;
            }
            Step::Cancel { which } => {
                let Some(id) = model.waiting.keys().nth(which % model.waiting.len().max(1)).copied() else {
                    continue;
                };
                model.waiting.remove(&id);
                scheduler.queue_mut().cancel(ExeId(id)).expect("it waits");
            }
            Step::Pause { job_type, is_paused } => {
                scheduler.queue_mut().set_paused(JobTypeId(job_type), is_paused);
                if is_paused {
                    model.paused.insert(job_type)
                } else {
                    model.paused.remove(&job_type)
                };
            }
            Step::Limit { job_type, limit } => {
                scheduler.queue_mut().set_limit(JobTypeId(job_type), limit);
                match limit {
                    Some(limit) => model.limits.insert(job_type, limit),
                    None => model.limits.remove(&job_type),
                };
            }
            Step::Mode(mode) => {
                scheduler.queue_mut().set_mode(mode);
                model.mode = mode;
            }
            Step::TypeMode { job_type, mode } => {
                scheduler.queue_mut().set_type_mode(JobTypeId(job_type), mode);
                match mode {
                    Some(mode) => model.modes.insert(job_type, mode),
                    None => model.modes.remove(&job_type),
                };
            }
            Step::Pass { most } => {
                let mut picks: Vec<PassPick> = Vec::new();
                let summary = scheduler.pass(Timestamp(0), most, &mut picks);
                let found: Vec<(u64, u32)> =
                    picks.iter().map(|pick| (pick.entry.id.0, pick.node.0)).collect();
                let reserved: Vec<(u64, u32)> =
                    summary.reserved.iter().map(|(exe, node)| (exe.0, node.0)).collect();
                let [expected, expected_reserved] = model.pass(most);
                assert_eq!(found, expected, "picks");
                assert_eq!(reserved, expected_reserved, "reservations");
                scheduler.check_invariants();
                for pick in &picks {
                    scheduler.queue_mut().launch(pick.entry.id);
                }
            }
            Step::End { which } => {
                if model.running.is_empty() {
                    continue;
                }
                let (_, job_type) = model.running.remove(which % model.running.len());
                scheduler.queue_mut().end(JobTypeId(job_type));
            }
        }
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    let score = prop_oneof![
        Just(Score::Scale),
        Just(Score::BestFit),
        Just(Score::Spread),
        Just(Score::DominantShare)
    ];
    let reserving = prop_oneof![Just(Reserving::Never), Just(Reserving::PerPass)];
    (score, reserving)
        .prop_map(|(score, reserving)| Policy::default().with_score(score).with_reserving(reserving))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn a_pass_gives_what_plain_loops_give(policy in policies(), steps in proptest::collection::vec(step(), 1..120)) {
        run(policy, steps);
    }
}
