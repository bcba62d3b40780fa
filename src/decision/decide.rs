//! The decision over one node's free resources.

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
