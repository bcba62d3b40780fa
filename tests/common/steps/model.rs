//! The simple version of the queue: lists, sorted anew after every change. What the real one must
//! agree with.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use weighbridge::{NodeResources, Quantity, QueueMode};

use super::step::{Amounts, Growth, Jobs, N_GUARDS, N_KINDS, NAMES};

/// Failures of the system that a job survives.
const SYSTEM_FAULTS_MAX: u32 = 20;

/// Tries of every job.
pub(crate) const MAX_TRIES: u16 = 2;

/// What the job types ask for, by name: nothing; a little; whole and half MiB; more than 4 PiB and
/// a thousandth; much.
pub(crate) const KIND_ASKS: [Amounts; N_KINDS] = [
    [0; NAMES.len()],
    [100, 0, 0, 0, 0, 0],
    [1_000, 1_500, 2_000, 0, 0, 0],
    [0, 5 * (1_000 << 30) + 1, 0, 0, 0, 0],
    [2_000, 4_000, 0, 0, 0, 0],
];

/// Amounts as they count, which can be more than a node can have.
type Counts = [u128; NAMES.len()];

/// One execution that is queued, picked or launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModelEntry {
    pub(crate) exe: u64,
    pub(crate) job: u64,
    pub(crate) kind: usize,
    /// Of another tenant and for other nodes.
    pub(crate) is_other: bool,
    pub(crate) priority: i32,
    pub(crate) queued: i64,
    pub(crate) asks: Amounts,
    /// Tries of its job that are used up, its executions so far, and launches of this one.
    pub(crate) tries: u16,
    pub(crate) n_exes: u32,
    pub(crate) launches: u32,
}

impl Jobs {
    /// The one with number `n`, as far as the step tells.
    pub(crate) fn entry(&self, n: usize) -> ModelEntry {
        let n = n as u64;
        let mut asks = self.asks.map_or(KIND_ASKS[self.kind], |asks| asks.amounts());
        match self.growth {
            Growth::None => {}
            Growth::Cpus => asks[0] = asks[0].saturating_add(n * 100),
            Growth::Mem => asks[1] = asks[1].saturating_add(n * 1_000),
            Growth::MemAgainstDisk => {
                asks[1] = asks[1].saturating_add(n * 1_000);
                asks[2] = asks[2].saturating_sub(n * 1_000);
            }
        }
        ModelEntry {
            exe: 0,
            job: 0,
            kind: self.kind,
            is_other: self.is_other,
            priority: self.priority,
            queued: 0,
            asks,
            tries: 0,
            n_exes: 1,
            launches: 0,
        }
    }
}

/// All of cpus, memory and disk, of the others what there is: so names come as they are used.
pub(crate) fn resources(amounts: Amounts) -> NodeResources {
    let named = NAMES.iter().zip(amounts).enumerate().filter(|(at, (_, amount))| *at < 3 || *amount > 0);
    named.fold(NodeResources::new(), |set, (_, (name, amount))| {
        set.with(name, Quantity(amount)).expect("a name")
    })
}

pub(crate) fn four_times(amounts: Amounts) -> Amounts {
    amounts.map(|amount| amount.saturating_mul(4))
}

/// As many as 32 times `count` of `all`, each `stride` and one behind the last, from one of them on
/// and around the end.
pub(crate) fn spread<T: Copy>(all: &[T], which: u8, stride: u8, count: u8) -> Vec<T> {
    let from = all.len() * usize::from(which) / 256;
    let behind = all.iter().cycle().skip(from).step_by(usize::from(stride) + 1);
    behind.take((all.len() / (usize::from(stride) + 1)).min(usize::from(count) * 32)).copied().collect()
}

/// One that has left the queue for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) entry: ModelEntry,
    pub(crate) is_on_declared: bool,
    pub(crate) is_canceled: bool,
}

/// One job type's switches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModelKind {
    pub(crate) is_paused: bool,
    pub(crate) limit: Option<u32>,
}

/// Where a canceled one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canceled {
    /// In the queue.
    Queued(ModelEntry),
    /// Aside, until its time comes.
    Deferred(ModelEntry),
    /// In a guard.
    Picked(ModelEntry),
    /// It runs, so that a kill is due.
    Running,
}

/// The whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    mode: QueueMode,
    modes: [Option<QueueMode>; N_KINDS],
    pub(crate) kinds: [ModelKind; N_KINDS],
    /// By execution.
    entries: BTreeMap<u64, ModelEntry>,
    /// All of them in order, as soon as somebody asks.
    order: OnceCell<Rc<[ModelEntry]>>,
    /// By execution, each with the time until which it waits aside.
    deferred: BTreeMap<u64, (i64, ModelEntry)>,
    /// Picks by guard.
    pub(crate) held: [Vec<Taken>; N_GUARDS],
    /// By execution.
    pub(crate) running: BTreeMap<u64, Taken>,
    /// What the declared node has in all.
    pub(crate) declared: Option<Amounts>,
}

type Key = (i32, i64, i128);

fn key(mode: QueueMode, entry: &ModelEntry) -> Key {
    match mode {
        QueueMode::Fifo => (entry.priority, entry.queued, i128::from(entry.exe)),
        QueueMode::Lifo => (entry.priority, -entry.queued, -i128::from(entry.exe)),
    }
}

/// The unit in which memory or disk is counted, in thousandths: one of them below 2^32 and for
/// whole MiB below 2^32, else whole MiB, GiB, TiB or PiB, whichever first leaves less than 2^32.
pub(crate) fn unit_of(amount: u64) -> u64 {
    const MOST: u64 = u32::MAX as u64 - 1;
    let units = [1_000, 1_000 << 10, 1_000 << 20, 1_000 << 30];
    if amount.is_multiple_of(1_000) && amount / 1_000 <= MOST {
        return 1_000;
    }
    if amount <= MOST {
        return 1;
    }
    units.into_iter().find(|unit| amount.div_ceil(*unit) <= MOST).expect("PiB are enough")
}

/// What memory and disk count as: whole units, rounded up.
fn counted(amount: u64) -> u128 {
    let unit = unit_of(amount);
    u128::from(amount.div_ceil(unit)) * u128::from(unit)
}

impl ModelEntry {
    /// What it counts as, on a node that has less than can be told.
    fn counts(&self) -> Counts {
        let [_, mem, disk, ..] = self.asks;
        let mut counts = self.asks.map(u128::from);
        [counts[1], counts[2]] = [counted(mem), counted(disk)];
        counts
    }

    /// The same as it is shown.
    pub(crate) fn shown(&self) -> Amounts {
        self.counts().map(|count| u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Takes it from `left` where it fits there.
    fn take_from(&self, left: &mut Counts) -> bool {
        let counts = self.counts();
        let fits = counts.iter().zip(&*left).all(|(ask, have)| ask <= have);
        if fits {
            left.iter_mut().zip(counts).for_each(|(have, ask)| *have -= ask);
        }
        fits
    }

    pub(crate) fn fits(&self, free: &Amounts) -> bool {
        self.take_from(&mut free.map(u128::from))
    }

    /// Its job's next execution after one that failed; none where that was the last.
    pub(crate) fn retry(self, uses_try: bool, exe: u64, queued: i64) -> Option<Self> {
        let tries = self.tries + u16::from(uses_try);
        let faults = self.n_exes - u32::from(tries);
        let is_retried = tries < MAX_TRIES && faults <= SYSTEM_FAULTS_MAX;
        let n_exes = self.n_exes + 1;
        is_retried.then_some(Self { exe, queued, tries, n_exes, launches: 0, ..self })
    }
}

/// What an offer takes, and what is left of it.
#[derive(Clone, Debug)]
pub(crate) struct ModelPicks {
    pub(crate) picks: Vec<ModelEntry>,
    pub(crate) left: Amounts,
}

impl Model {
    /// Entries in the queue.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// One that waits in the queue.
    pub(crate) fn get(&self, exe: u64) -> Option<ModelEntry> {
        self.entries.get(&exe).copied()
    }

    /// The one with the smallest id.
    pub(crate) fn first(&self) -> Option<ModelEntry> {
        self.entries.values().next().copied()
    }

    /// Those of one type.
    pub(crate) fn of_kind(&self, kind: usize) -> impl Iterator<Item = &ModelEntry> {
        self.entries.values().filter(move |entry| entry.kind == kind)
    }

    pub(crate) fn deferred(&self) -> &BTreeMap<u64, (i64, ModelEntry)> {
        &self.deferred
    }

    pub(crate) fn mode(&self) -> QueueMode {
        self.mode
    }

    /// The direction of a type, where it has one of its own.
    pub(crate) fn mode_of(&self, kind: usize) -> Option<QueueMode> {
        self.modes[kind]
    }

    /// Sets the direction of a type, or of all that have none of their own.
    pub(crate) fn set_mode(&mut self, kind: Option<usize>, mode: Option<QueueMode>) {
        match kind {
            Some(kind) => self.modes[kind] = mode,
            None => self.mode = mode.unwrap_or_default(),
        }
        self.order.take();
    }

    /// All entries in order: each type sorted by its own mode, their heads merged by the global
    /// one.
    pub(crate) fn order(&self) -> Rc<[ModelEntry]> {
        self.order.get_or_init(|| self.sorted()).clone()
    }

    fn sorted(&self) -> Rc<[ModelEntry]> {
        let mut lists: [Vec<(Key, &ModelEntry)>; N_KINDS] = Default::default();
        for entry in self.entries.values() {
            let mode = self.modes[entry.kind].unwrap_or(self.mode);
            lists[entry.kind].push((key(mode, entry), entry));
        }
        // The last one of each is its head.
        for list in &mut lists {
            list.sort_unstable_by_key(|(key, _)| std::cmp::Reverse(*key));
        }
        let head = |list: &Vec<(Key, &ModelEntry)>| Some(key(self.mode, list.last()?.1));
        let mut heads = lists.each_ref().map(head);
        let mut merged = Vec::with_capacity(self.entries.len());
        while let Some((at, _)) =
            (0..N_KINDS).filter_map(|at| Some((at, heads[at]?))).min_by_key(|(_, key)| *key)
        {
            merged.push(*lists[at].pop().expect("it has a head").1);
            heads[at] = head(&lists[at]);
        }
        merged.into()
    }

    /// Picks of all guards.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Taken> {
        self.held.iter().flatten()
    }

    /// How many executions the limit of each type counts.
    pub(crate) fn n_taken_each(&self) -> [u32; N_KINDS] {
        let mut counts = [0; N_KINDS];
        let picked = self.held().filter(|taken| !taken.is_canceled);
        picked.chain(self.running.values()).for_each(|taken| counts[taken.entry.kind] += 1);
        counts
    }

    /// What an offer of `free` takes, at most `most`: one walk over the order.
    pub(crate) fn picks(&self, free: Amounts, most: usize) -> ModelPicks {
        let mut left = free.map(u128::from);
        let mut counts = self.n_taken_each();
        let mut picks = Vec::new();
        for entry in &*self.order() {
            if picks.len() >= most {
                break;
            }
            let kind = &self.kinds[entry.kind];
            let is_held = kind.is_paused || kind.limit.is_some_and(|limit| counts[entry.kind] >= limit);
            if !is_held && entry.take_from(&mut left) {
                counts[entry.kind] += 1;
                picks.push(*entry);
            }
        }
        ModelPicks { picks, left: left.map(|left| u64::try_from(left).expect("no more than was offered")) }
    }

    /// What the declared node has free; nothing where none was declared.
    pub(crate) fn free_of_declared(&self) -> Option<Amounts> {
        let mut free = self.declared?.map(u128::from);
        // Canceled picks too: their guard has not given them up yet.
        for taken in self.held().chain(self.running.values()).filter(|taken| taken.is_on_declared) {
            let counts = taken.entry.counts();
            free.iter_mut().zip(counts).for_each(|(have, ask)| *have = have.saturating_sub(ask));
        }
        Some(free.map(|amount| u64::try_from(amount).expect("no more than declared")))
    }

    /// Puts an entry into the queue.
    pub(crate) fn insert(&mut self, entry: ModelEntry) {
        let old = self.entries.insert(entry.exe, entry);
        assert!(old.is_none(), "the test queues {entry:?} twice");
        self.order.take();
    }

    pub(crate) fn remove(&mut self, exe: u64) -> Option<ModelEntry> {
        self.order.take();
        self.entries.remove(&exe)
    }

    pub(crate) fn defer(&mut self, entry: ModelEntry, until: i64) {
        self.deferred.insert(entry.exe, (until, entry));
    }

    /// When the next deferred entry is due, and which it is.
    pub(crate) fn next_due(&self) -> Option<(i64, u64)> {
        self.deferred.iter().map(|(exe, (until, _))| (*until, *exe)).min()
    }

    /// Lets in what is due, at most `most`, and says how many.
    pub(crate) fn wake(&mut self, now: i64, most: usize) -> usize {
        let mut n_woken = 0;
        while n_woken < most
            && let Some((_, exe)) = self.next_due().filter(|(until, _)| *until <= now)
        {
            let (_, entry) = self.deferred.remove(&exe).expect("it is the next one");
            self.insert(entry);
            n_woken += 1;
        }
        n_woken
    }

    /// Puts picks back that were not canceled.
    pub(crate) fn put_back(&mut self, picks: impl IntoIterator<Item = Taken>) {
        picks.into_iter().filter(|taken| !taken.is_canceled).for_each(|taken| self.insert(taken.entry));
    }

    /// Jobs that wait, are picked or run, each with its execution, by id.
    pub(crate) fn live(&self) -> Vec<(u64, u64)> {
        let taken = self.held().filter(|taken| !taken.is_canceled).chain(self.running.values());
        let deferred = self.deferred.values().map(|(_, entry)| entry);
        let entries = self.entries.values().chain(deferred).chain(taken.map(|taken| &taken.entry));
        let mut live: Vec<(u64, u64)> = entries.map(|entry| (entry.job, entry.exe)).collect();
        live.sort_unstable();
        live
    }

    /// Cancels an execution. None where it is not there, or was canceled before.
    pub(crate) fn cancel(&mut self, exe: u64) -> Option<Canceled> {
        if let Some(entry) = self.remove(exe) {
            return Some(Canceled::Queued(entry));
        }
        if let Some((_, entry)) = self.deferred.remove(&exe) {
            return Some(Canceled::Deferred(entry));
        }
        let is_it = |taken: &&mut Taken| taken.entry.exe == exe && !taken.is_canceled;
        if let Some(taken) = self.held.iter_mut().flatten().find(is_it) {
            taken.is_canceled = true;
            return Some(Canceled::Picked(taken.entry));
        }
        let taken = self.running.get_mut(&exe).filter(|taken| !taken.is_canceled)?;
        taken.is_canceled = true;
        Some(Canceled::Running)
    }

    /// Gives an execution another priority. False where it was canceled.
    pub(crate) fn set_priority(&mut self, exe: u64, priority: i32) -> bool {
        self.order.take();
        let picked = self.held.iter_mut().flatten().chain(self.running.get_mut(&exe));
        let picked = picked.filter(|taken| taken.entry.exe == exe && !taken.is_canceled);
        let deferred = self.deferred.get_mut(&exe).map(|(_, entry)| entry);
        let mut found = self
            .entries
            .get_mut(&exe)
            .into_iter()
            .chain(deferred)
            .chain(picked.map(|taken| &mut taken.entry));
        found.next().map(|entry| entry.priority = priority).is_some()
    }
}
