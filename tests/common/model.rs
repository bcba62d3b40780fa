//! The simple version of the queue: a list, sorted anew for every question. What the real one must
//! agree with.

use std::collections::BTreeMap;

use weighbridge::QueueMode;

/// One queued execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelEntry {
    pub(crate) exe: u64,
    pub(crate) job: u64,
    pub(crate) kind: usize,
    pub(crate) priority: i32,
    pub(crate) queued: i64,
    pub(crate) asks: [u64; 3],
}

/// One job type's switches.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelKind {
    pub(crate) mode: Option<QueueMode>,
    pub(crate) is_paused: bool,
    pub(crate) limit: Option<u32>,
    pub(crate) n_running: u32,
}

/// The whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) mode: QueueMode,
    pub(crate) kinds: Vec<ModelKind>,
    pub(crate) entries: Vec<ModelEntry>,
    pub(crate) running: BTreeMap<u64, ModelEntry>,
}

type Key = (i32, i64, i128);

fn key(mode: QueueMode, entry: &ModelEntry) -> Key {
    match mode {
        QueueMode::Fifo => (entry.priority, entry.queued, i128::from(entry.exe)),
        QueueMode::Lifo => (entry.priority, -entry.queued, -i128::from(entry.exe)),
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

    /// What an offer of `free` takes: one walk over the order.
    pub(crate) fn picks(&self, free: [u64; 3]) -> Vec<ModelEntry> {
        let mut left = free;
        let mut counts: Vec<u32> = self.kinds.iter().map(|kind| kind.n_running).collect();
        let mut picks = Vec::new();
        for entry in self.order() {
            let kind = &self.kinds[entry.kind];
            let is_held = kind.is_paused || kind.limit.is_some_and(|limit| counts[entry.kind] >= limit);
            if is_held || entry.asks.iter().zip(left).any(|(ask, have)| *ask > have) {
                continue;
            }
            for (have, ask) in left.iter_mut().zip(entry.asks) {
                *have -= ask;
            }
            counts[entry.kind] += 1;
            picks.push(entry);
        }
        picks
    }

    pub(crate) fn remove(&mut self, exe: u64) -> Option<ModelEntry> {
        let at = self.entries.iter().position(|entry| entry.exe == exe)?;
        Some(self.entries.remove(at))
    }
}
