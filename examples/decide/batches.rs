//! The same operations many times in a row, without a clock in between: for means of what is below
//! the resolution of a clock, and for counting instructions.
//!
//! The functions named `measured_*` hold nothing but the calls that are measured. `.ci/instructions`
//! finds them by their names.

use std::hint::black_box;

use weighbridge::{Entry, ExeId, Queue};

use super::figures::{median, now};
use super::ours::Ours;
use super::steady::{Extent, Steady, Structure};
use super::workload::{Free, Gone};

/// Calls of one batch.
const BATCH_LEN: usize = 1_000;

/// Rounds of the steady state from one batch to the next.
const ROUNDS_BETWEEN: usize = 100;

/// Calls of each operation, and what came of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    pub(crate) decisions: usize,
    pub(crate) none: usize,
    pub(crate) taken: usize,
    pub(crate) enqueues: usize,
    pub(crate) cancels: usize,
}

/// Returns how many found something.
#[inline(never)]
pub(crate) fn measured_decisions(queue: &mut Queue, offers: &[Free]) -> usize {
    offers.iter().filter(|free| black_box(queue.first_fit(&free.amounts)).is_some()).count()
}

/// The same, for offers in which nothing fitted a little earlier.
#[inline(never)]
pub(crate) fn measured_none(queue: &mut Queue, offers: &[Free]) -> usize {
    offers.iter().filter(|free| black_box(queue.first_fit(&free.amounts)).is_some()).count()
}

/// Takes, launches and ends at once, as callers do, since picks that pile up would cost more; what
/// was taken goes into `taken`.
#[inline(never)]
pub(crate) fn measured_takes(queue: &mut Queue, offers: &[Free], taken: &mut Vec<Entry>) {
    for free in offers {
        let mut left = free.amounts;
        let Some(entry) = queue.take_first_fit(&mut left) else { continue };
        queue.launch(entry.id).expect("it was taken");
        queue.end(entry.job_type);
        taken.push(entry);
        black_box(left);
    }
}

#[inline(never)]
pub(crate) fn measured_enqueues(queue: &mut Queue, entries: &[Entry]) {
    for entry in entries {
        queue.insert(*entry).expect("room");
    }
}

/// Puts what was canceled into `canceled`.
#[inline(never)]
pub(crate) fn measured_cancels(queue: &mut Queue, ids: &[u64], canceled: &mut Vec<Entry>) {
    for id in ids {
        canceled.extend(queue.cancel(ExeId(*id)));
    }
}

/// Nanoseconds of one operation, the middle one of the batches' means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    pub(crate) decide: f64,
    pub(crate) decide_none: f64,
    /// Per execution taken, with its launch and end; the calls that found nothing are in the time.
    pub(crate) take: f64,
    pub(crate) enqueue: f64,
    pub(crate) cancel: f64,
}

#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn mean_of(n: usize, call: impl FnOnce()) -> f64 {
    let from = now();
    call();
    if n == 0 { f64::NAN } else { from.elapsed().as_nanos() as f64 / n as f64 }
}

/// Runs so many batches of each operation; the steady state goes on in between.
pub(crate) fn run(steady: &mut Steady, ours: &mut Ours, offers: &[Free], n_batches: usize) -> (Means, Calls) {
    let mut calls = Calls::default();
    let [mut decide, mut none, mut take, mut enqueue, mut cancel] = [(); 5].map(|()| Vec::new());
    // Those that find nothing now will mostly find nothing later.
    let too_small: Vec<Free> =
        offers.iter().filter(|free| ours.queue.first_fit(&free.amounts).is_none()).copied().collect();
    let mut all = offers.iter().copied().cycle();
    let mut next_offers = || -> Vec<Free> { all.by_ref().take(BATCH_LEN).collect() };
    let mut too_small = too_small.iter().copied().cycle();
    for _ in 0..n_batches {
        steady.rounds(ours, offers, &Extent::rounds(ROUNDS_BETWEEN), None);
        let queue = &mut ours.queue;

        let batch = next_offers();
        calls.decisions += batch.len();
        decide.push(mean_of(batch.len(), || {
            black_box(measured_decisions(queue, &batch));
        }));

        let batch: Vec<Free> = too_small.by_ref().take(BATCH_LEN).collect();
        calls.none += batch.len();
        none.push(mean_of(batch.len(), || {
            black_box(measured_none(queue, &batch));
        }));

        let batch = next_offers();
        let mut taken = Vec::with_capacity(batch.len());
        let taking = mean_of(1, || measured_takes(queue, &batch, &mut taken));
        calls.taken += taken.len();
        take.push(per(taking, taken.len()));
        let came = entries_after(steady, ours, &taken, true);
        calls.enqueues += came.len();
        let queue = &mut ours.queue;
        if !came.is_empty() {
            enqueue.push(mean_of(came.len(), || measured_enqueues(queue, &came)));
        }

        let ids: Vec<u64> = (0..BATCH_LEN.min(queue.len() / 10)).map(|_| steady.draw_id()).collect();
        let mut canceled = Vec::with_capacity(ids.len());
        calls.cancels += ids.len();
        cancel.push(mean_of(ids.len(), || measured_cancels(queue, &ids, &mut canceled)));
        assert_eq!(canceled.len(), ids.len(), "what is live can be canceled");
        let came = entries_after(steady, ours, &canceled, false);
        calls.enqueues += came.len();
        enqueue.push(mean_of(came.len(), || measured_enqueues(&mut ours.queue, &came)));
    }
    let finite = |of: Vec<f64>| median(of.into_iter().filter(|mean| mean.is_finite()).collect());
    let means = Means {
        decide: finite(decide),
        decide_none: finite(none),
        take: finite(take),
        enqueue: finite(enqueue),
        cancel: finite(cancel),
    };
    (means, calls)
}

#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn per(total: f64, n: usize) -> f64 {
    if n == 0 { f64::NAN } else { total / n as f64 }
}

/// What comes in the place of what has left.
fn entries_after(steady: &mut Steady, ours: &mut Ours, left: &[Entry], were_taken: bool) -> Vec<Entry> {
    let mut came = Vec::with_capacity(left.len());
    for entry in left {
        let gone = Gone::of(entry);
        if were_taken {
            steady.took(&gone);
        }
        let draft = steady.successor(&gone);
        came.push(ours.entry(&draft));
    }
    came
}
