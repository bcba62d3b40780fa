//! The decision over one node's free resources.

use crate::offer::GpuSlots;
use crate::queue::{Amounts, Entry, Queue};

/// Picks what to run on one node out of what its offer leaves free.
///
/// Takes, in queue order, every execution whose request fits what is left, whose type is neither
/// paused nor at its limit, until nothing fits or `picks` holds `most`. They are appended to `picks`
/// in launch order.
///
/// No lock, clock or I/O. Cost: for each pick, the lanes before it, and a scan of minima where a
/// lane may fit.
///
/// # Source
/// Order (priority, then time queued) as in Scale's queue; see docs/decisions/0003.
pub(crate) fn decide(queue: &mut Queue, free: Amounts, most: usize, picks: &mut Vec<Entry>) {
    let mut left = free;
    while picks.len() < most {
        let Some(entry) = queue.take_first_fit(&mut left) else { break };
        picks.push(entry);
    }
}

/// The same on a node whose graphics processors are slots, of which each pick takes what it asks for.
pub(crate) fn decide_on_slots(
    queue: &mut Queue,
    free: Amounts,
    gpus: &mut GpuSlots,
    most: usize,
    picks: &mut Vec<Entry>,
) {
    let mut left = free;
    while picks.len() < most {
        let Some(entry) = take_on_slots(queue, &mut left, gpus) else { break };
        picks.push(entry);
    }
}

/// The first of them.
pub(crate) fn take_on_slots(queue: &mut Queue, left: &mut Amounts, gpus: &mut GpuSlots) -> Option<Entry> {
    let mut open = left.with_gpus_within(gpus.largest());
    let entry = queue.take_first_fit(&mut open)?;
    *left = left.minus_or_zero(&entry.asks);
    take_slots(gpus, &entry.asks);
    Some(entry)
}

/// Takes slots for what was found to fit. They are in use for as long as these slots are kept.
pub(crate) fn take_slots(gpus: &mut GpuSlots, asks: &Amounts) {
    let taken = gpus.take(asks.gpus());
    debug_assert!(taken.is_ok(), "{taken:?}: it was found to fit");
}
