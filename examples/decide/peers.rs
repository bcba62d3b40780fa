//! Simple structures on the same workload: a heap that pops what does not fit and puts it back,
//! and a scan in order. Both give the same answers; a time limit bounds what they are asked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use serde_json::{Value, json};
use weighbridge::{Amounts, Entry};

use super::Arguments;
use super::figures::{Figures, Timer, now};
use super::run::{filled, offers};
use super::workload::Source;

/// How long each peer is asked.
const TIME_MAX: Duration = Duration::from_secs(5);

type Key = (i32, i64, u64);

fn key(entry: &Entry) -> Key {
    (entry.priority, entry.queued.0, entry.id.0)
}

pub(crate) fn measure(arguments: &Arguments) -> Value {
    let mut source = Source::new(arguments.workload, arguments.n_types);
    let mut queue = filled(arguments, &mut source);
    let offers = offers(&mut source, &queue);
    let entries: Vec<Entry> = queue.iter(&[]).collect();
    let expected: Vec<Option<u64>> = offers.iter().map(|free| queue.first_fit(free).map(|id| id.0)).collect();
    drop(queue);
    json!({
        "BTreeMap": btree(&entries, &offers, &expected),
        "BinaryHeap": heap(&entries, &offers, &expected),
    })
}

fn btree(entries: &[Entry], offers: &[Amounts], expected: &[Option<u64>]) -> Value {
    let map: BTreeMap<Key, Amounts> = entries.iter().map(|entry| (key(entry), entry.asks)).collect();
    let find = |free: &Amounts| map.iter().find(|(_, asks)| free.covers(asks)).map(|((.., id), _)| *id);
    ask(offers, expected, find)
}

fn heap(entries: &[Entry], offers: &[Amounts], expected: &[Option<u64>]) -> Value {
    let mut heap: BinaryHeap<Reverse<(Key, usize)>> =
        entries.iter().enumerate().map(|(at, entry)| Reverse((key(entry), at))).collect();
    let find = |free: &Amounts| {
        let mut aside = Vec::new();
        let mut found = None;
        while let Some(top) = heap.pop() {
            let Reverse(((.., id), at)) = top;
            aside.push(top);
            if free.covers(&entries[at].asks) {
                found = Some(id);
                break;
            }
        }
        heap.extend(aside);
        found
    };
    ask(offers, expected, find)
}

fn ask(offers: &[Amounts], expected: &[Option<u64>], mut find: impl FnMut(&Amounts) -> Option<u64>) -> Value {
    let timer = Timer::new();
    let (mut decide, mut none) = (Figures::default(), Figures::default());
    let from = now();
    for (free, expected) in offers.iter().zip(expected) {
        let mut taken = Figures::default();
        let found = timer.time(&mut taken, || find(free));
        assert_eq!(found, *expected, "a peer and the queue disagree");
        if found.is_some() { &mut decide } else { &mut none }.append(taken);
        if from.elapsed() > TIME_MAX {
            break;
        }
    }
    json!({ "decide_ns": decide.json(), "decide_none_ns": none.json() })
}
