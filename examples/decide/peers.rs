//! Simple structures that go on from where the queue's steady state began: the same rounds, offers
//! and pauses, their answers compared one by one. A time limit bounds what they are asked.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::figures::{Figures, rounded};
use super::filled::Setting;
use super::steady::{Extent, Journal, Shown, Steady, Structure};
use super::workload::{Draft, Free, Gone, Numbers, covers};

/// How long each peer is asked.
const TIME_MAX: Duration = Duration::from_secs(5);

/// What leaves first compares as less: priority, time, id.
type Key = (i32, i64, u64);

fn key(draft: &Draft) -> Key {
    (draft.priority, draft.queued, draft.id)
}

/// Types that are paused.
#[derive(Default)]
struct Pauses(Vec<bool>);

impl Pauses {
    fn set(&mut self, kind: u32, is_paused: bool) {
        let at = kind as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, false);
        }
        self.0[at] = is_paused;
    }

    fn holds(&self, kind: u32) -> bool {
        self.0.get(kind as usize).copied().unwrap_or(false)
    }
}

/// All entries in order, passed over until one fits; the time and priority of an id in a map, so that
/// one can be canceled.
#[derive(Default)]
struct Scan {
    entries: BTreeMap<Key, (u32, Numbers)>,
    keys: HashMap<u64, (i32, i64)>,
    pauses: Pauses,
}

impl Scan {
    fn find(&self, free: &Free) -> Option<Key> {
        let fits = |kind: u32, asks: &Numbers| !self.pauses.holds(kind) && covers(&free.numbers, asks);
        self.entries.iter().find(|(_, (kind, asks))| fits(*kind, asks)).map(|(key, _)| *key)
    }

    fn remove(&mut self, key: Key) -> Gone {
        self.keys.remove(&key.2);
        let (kind, _) = self.entries.remove(&key).expect("it is there");
        Gone { id: key.2, kind, priority: key.0 }
    }
}

impl FromIterator<Draft> for Scan {
    fn from_iter<I: IntoIterator<Item = Draft>>(drafts: I) -> Self {
        let mut keys = HashMap::new();
        let entries = drafts.into_iter().map(|draft| {
            keys.insert(draft.id, (draft.priority, draft.queued));
            (key(&draft), (draft.kind, draft.asks))
        });
        let entries = entries.collect();
        Self { entries, keys, pauses: Pauses::default() }
    }
}

impl Structure for Scan {
    type Entry = Draft;

    fn entry(&mut self, draft: &Draft) -> Draft {
        *draft
    }

    fn insert(&mut self, draft: Draft) {
        self.keys.insert(draft.id, (draft.priority, draft.queued));
        self.entries.insert(key(&draft), (draft.kind, draft.asks));
    }

    fn decide(&mut self, free: &Free) -> Option<u64> {
        self.find(free).map(|(.., id)| id)
    }

    fn take(&mut self, free: &Free) -> Option<Gone> {
        self.find(free).map(|key| self.remove(key))
    }

    fn pick(&mut self, id: u64) -> Gone {
        self.cancel(id)
    }

    fn launch(&mut self, _gone: &Gone) {}

    fn cancel(&mut self, id: u64) -> Gone {
        let (priority, queued) = self.keys[&id];
        self.remove((priority, queued, id))
    }

    fn set_paused(&mut self, kind: u32, is_paused: bool) {
        self.pauses.set(kind, is_paused);
    }
}

/// An entry of a heap; the most important one is the least.
struct Ranked(Draft);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        key(&self.0).cmp(&key(&other.0))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// A heap that pops what does not fit and puts it back. What is canceled stays until it is popped;
/// the type and priority of an id are in a map.
#[derive(Default)]
struct Heap {
    heap: BinaryHeap<Reverse<Ranked>>,
    known: HashMap<u64, (i32, u32)>,
    canceled: HashSet<u64>,
    aside: Vec<Reverse<Ranked>>,
    pauses: Pauses,
}

impl Heap {
    /// Pops the first that fits; the others stay in `aside`.
    fn pop_fit(&mut self, free: &Free) -> Option<Draft> {
        while let Some(Reverse(Ranked(draft))) = self.heap.pop() {
            if self.canceled.remove(&draft.id) {
                continue;
            }
            if !self.pauses.holds(draft.kind) && covers(&free.numbers, &draft.asks) {
                return Some(draft);
            }
            self.aside.push(Reverse(Ranked(draft)));
        }
        None
    }
}

impl FromIterator<Draft> for Heap {
    fn from_iter<I: IntoIterator<Item = Draft>>(drafts: I) -> Self {
        let mut known = HashMap::new();
        let all = drafts.into_iter().map(|draft| {
            known.insert(draft.id, (draft.priority, draft.kind));
            Reverse(Ranked(draft))
        });
        let heap = all.collect();
        Self { heap, known, ..Self::default() }
    }
}

impl Structure for Heap {
    type Entry = Draft;

    fn entry(&mut self, draft: &Draft) -> Draft {
        *draft
    }

    fn insert(&mut self, draft: Draft) {
        self.known.insert(draft.id, (draft.priority, draft.kind));
        self.heap.push(Reverse(Ranked(draft)));
    }

    fn decide(&mut self, free: &Free) -> Option<u64> {
        let found = self.pop_fit(free);
        self.heap.extend(found.map(|draft| Reverse(Ranked(draft))));
        self.heap.extend(self.aside.drain(..));
        found.map(|draft| draft.id)
    }

    fn take(&mut self, free: &Free) -> Option<Gone> {
        let found = self.pop_fit(free);
        self.heap.extend(self.aside.drain(..));
        found.map(|draft| {
            self.known.remove(&draft.id);
            draft.gone()
        })
    }

    fn pick(&mut self, id: u64) -> Gone {
        self.cancel(id)
    }

    fn launch(&mut self, _gone: &Gone) {}

    fn cancel(&mut self, id: u64) -> Gone {
        let (priority, kind) = self.known.remove(&id).expect("it is queued");
        self.canceled.insert(id);
        Gone { id, kind, priority }
    }

    fn set_paused(&mut self, kind: u32, is_paused: bool) {
        self.pauses.set(kind, is_paused);
    }
}

/// What a peer has shown beside the queue.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) shown: Shown,
}

impl Peer {
    pub(crate) fn json(&self, ours: &Shown) -> Value {
        let all = |shown: &Shown| -> [(&'static str, Figures); 5] {
            [
                ("decide_ns", shown.decide.clone()),
                ("decide_none_ns", shown.decide_none.clone()),
                ("take_ns", shown.take.clone()),
                ("enqueue_ns", shown.enqueue.clone()),
                ("cancel_ns", shown.cancel.clone()),
            ]
        };
        let mut figures = serde_json::Map::new();
        let mut ratios = serde_json::Map::new();
        for ((name, peer), (_, ours)) in all(&self.shown).into_iter().zip(all(ours)) {
            let ratio = peer.mean() / ours.mean();
            figures.insert(name.into(), peer.json());
            ratios.insert(name.into(), json!(rounded(ratio, 100.0)));
        }
        figures.insert("rounds".into(), json!(self.shown.n_rounds));
        figures.insert("ratio_to_us".into(), ratios.into());
        figures.into()
    }
}

/// The entries of the queue when its steady state began, made anew.
fn entries(setting: &Setting, journal: &Journal) -> Result<impl Iterator<Item = Draft>, String> {
    let mut source = setting.source()?;
    let left: HashSet<u64> = journal.left.iter().copied().collect();
    let filling = (0..setting.queued).map(move |_| source.draft());
    Ok(filling.chain(journal.came.clone()).filter(move |draft| !left.contains(&draft.id)))
}

/// Asks each peer what the queue was asked.
pub(crate) fn measure(
    setting: &Setting,
    start: &Steady,
    offers: &[Free],
    journal: &Journal,
    ours: &Shown,
) -> Result<Vec<Peer>, String> {
    let heap: Heap = entries(setting, journal)?.collect();
    let heap = Peer { name: "BinaryHeap", shown: ask(heap, start, offers, ours) };
    let scan: Scan = entries(setting, journal)?.collect();
    let scan = Peer { name: "BTreeMap", shown: ask(scan, start, offers, ours) };
    Ok(vec![heap, scan])
}

fn ask<S: Structure>(mut peer: S, start: &Steady, offers: &[Free], ours: &Shown) -> Shown {
    let mut steady = start.clone();
    steady.pause(&mut peer);
    let extent = Extent { n_rounds: ours.n_rounds, time_max: TIME_MAX, expected: Some(&ours.answers) };
    steady.rounds(&mut peer, offers, &extent, None)
}
