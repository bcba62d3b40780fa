//! The simple version of the queue: a list, sorted anew for every question. What the real one must
//! agree with.

use std::collections::BTreeMap;

use weighbridge::QueueMode;

use super::step::{Amounts, N_GUARDS, NAMES};

/// Failures of the system that a job survives.
const SYSTEM_FAULTS_MAX: u32 = 20;

/// Tries of every job.
pub(crate) const MAX_TRIES: u16 = 2;

/// One execution that is queued, picked or launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelEntry {
    pub(crate) exe: u64,
    pub(crate) job: u64,
    pub(crate) kind: usize,
    pub(crate) priority: i32,
    pub(crate) queued: i64,
    pub(crate) asks: Amounts,
    /// Tries of its job that are used up, its executions so far, and launches of this one.
    pub(crate) tries: u16,
    pub(crate) n_exes: u32,
    pub(crate) launches: u32,
}

/// One that has left the queue for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) entry: ModelEntry,
    pub(crate) is_on_declared: bool,
    pub(crate) is_canceled: bool,
}

/// One job type's switches.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelKind {
    pub(crate) mode: Option<QueueMode>,
    pub(crate) is_paused: bool,
    pub(crate) limit: Option<u32>,
}

/// The whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) mode: QueueMode,
    pub(crate) kinds: Vec<ModelKind>,
    pub(crate) entries: Vec<ModelEntry>,
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

/// What memory and disk count as: exact below 2^32 thousandths and for whole MiB below 2^32, else
/// rounded up to whole MiB, GiB, TiB or PiB, whichever first leaves less than 2^32.
fn counted(amount: u64) -> u128 {
    const MOST: u64 = u32::MAX as u64 - 1;
    if amount <= MOST || (amount.is_multiple_of(1_000) && amount / 1_000 <= MOST) {
        return u128::from(amount);
    }
    let units = [1_000, 1_000 << 10, 1_000 << 20, 1_000 << 30];
    let unit = units.into_iter().find(|unit| amount.div_ceil(*unit) <= MOST).expect("PiB are enough");
    u128::from(amount.div_ceil(unit)) * u128::from(unit)
}

impl ModelEntry {
    /// What it counts as, on a node that has less than can be told.
    fn counts(&self) -> [u128; NAMES.len()] {
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
    fn take_from(&self, left: &mut [u128; NAMES.len()]) -> bool {
        let counts = self.counts();
        let fits = counts.iter().zip(&*left).all(|(ask, have)| ask <= have);
        if fits {
            left.iter_mut().zip(counts).for_each(|(have, ask)| *have -= ask);
        }
        fits
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

impl Model {
    /// All entries in order: each type sorted by its own mode, their heads merged by the global
    /// one.
    pub(crate) fn order(&self) -> Vec<ModelEntry> {
        let mut lists: Vec<Vec<ModelEntry>> = vec![Vec::new(); self.kinds.len()];
        for entry in &self.entries {
            lists[entry.kind].push(entry.clone());
        }
        for (kind, list) in lists.iter_mut().enumerate() {
            let mode = self.kinds[kind].mode.unwrap_or(self.mode);
            list.sort_by_key(|entry| std::cmp::Reverse(key(mode, entry)));
        }
        let mut merged = Vec::new();
        loop {
            let heads = lists.iter().enumerate().filter_map(|(at, list)| Some((at, list.last()?)));
            let Some((at, _)) = heads.min_by_key(|(_, entry)| key(self.mode, entry)) else { break };
            merged.push(lists[at].pop().expect("it has a head"));
        }
        merged
    }

    /// Picks of all guards.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Taken> {
        self.held.iter().flatten()
    }

    /// How many executions the limit of a type counts.
    pub(crate) fn n_taken(&self, kind: usize) -> u32 {
        let picked = self.held().filter(|taken| !taken.is_canceled);
        let n = picked.chain(self.running.values()).filter(|taken| taken.entry.kind == kind).count();
        u32::try_from(n).expect("few")
    }

    /// What an offer of `free` takes: one walk over the order.
    pub(crate) fn picks(&self, free: Amounts) -> Vec<ModelEntry> {
        let mut left = free.map(u128::from);
        let mut counts: Vec<u32> = (0..self.kinds.len()).map(|kind| self.n_taken(kind)).collect();
        let mut picks = Vec::new();
        for entry in self.order() {
            let kind = &self.kinds[entry.kind];
            let is_held = kind.is_paused || kind.limit.is_some_and(|limit| counts[entry.kind] >= limit);
            if !is_held && entry.take_from(&mut left) {
                counts[entry.kind] += 1;
                picks.push(entry);
            }
        }
        picks
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

    pub(crate) fn remove(&mut self, exe: u64) -> Option<ModelEntry> {
        let at = self.entries.iter().position(|entry| entry.exe == exe)?;
        Some(self.entries.remove(at))
    }

    /// Puts picks back that were not canceled.
    pub(crate) fn put_back(&mut self, picks: Vec<Taken>) {
        self.entries.extend(picks.into_iter().filter(|taken| !taken.is_canceled).map(|taken| taken.entry));
    }

    /// Jobs that wait, are picked or run, by id.
    pub(crate) fn live_jobs(&self) -> Vec<u64> {
        let taken = self.held().filter(|taken| !taken.is_canceled).chain(self.running.values());
        let mut jobs: Vec<u64> =
            self.entries.iter().chain(taken.map(|taken| &taken.entry)).map(|e| e.job).collect();
        jobs.sort_unstable();
        jobs
    }

    /// Cancels a job. True where it runs, so that a kill is due; none where it was canceled before.
    pub(crate) fn cancel(&mut self, job: u64) -> Option<bool> {
        if let Some(at) = self.entries.iter().position(|entry| entry.job == job) {
            self.entries.remove(at);
            return Some(false);
        }
        let is_it = |taken: &&mut Taken| taken.entry.job == job && !taken.is_canceled;
        if let Some(taken) = self.held.iter_mut().flatten().find(is_it) {
            taken.is_canceled = true;
            return Some(false);
        }
        let taken = self.running.values_mut().find(is_it)?;
        taken.is_canceled = true;
        Some(true)
    }

    /// Gives a job another priority. False where it was canceled.
    pub(crate) fn set_priority(&mut self, job: u64, priority: i32) -> bool {
        let picked = self.held.iter_mut().flatten().chain(self.running.values_mut());
        let picked = picked.filter(|taken| !taken.is_canceled).map(|taken| &mut taken.entry);
        let found = self.entries.iter_mut().chain(picked).find(|entry| entry.job == job);
        found.map(|entry| entry.priority = priority).is_some()
    }
}
