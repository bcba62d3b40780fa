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

/// Picks that wait for their launch at most: more would be a strange caller.
const PICKS_MAX: usize = 50;

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

/// The same, for offers in which nothing fitted a little earlier; returns how many found nothing, so
/// that a compiler cannot make one function of both.
#[inline(never)]
pub(crate) fn measured_none(queue: &mut Queue, offers: &[Free]) -> usize {
    offers.iter().filter(|free| black_box(queue.first_fit(&free.amounts)).is_none()).count()
}

/// Takes, and puts what was taken into `taken`.
#[inline(never)]
pub(crate) fn measured_takes(queue: &mut Queue, offers: &[Free], taken: &mut Vec<Entry>) {
    for free in offers {
        let mut left = free.amounts;
        taken.extend(queue.take_first_fit(&mut left));
        black_box(left);
    }
}

#[inline(never)]
pub(crate) fn measured_launches(queue: &mut Queue, taken: &[Entry]) {
    for entry in taken {
        queue.launch(entry.id).expect("it was taken");
        queue.end(entry.job_type);
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
    /// Per execution taken; the calls that found nothing are in the time.
    pub(crate) take: f64,
    /// With its end.
    pub(crate) launch: f64,
    pub(crate) enqueue: f64,
    pub(crate) cancel: f64,
}

/// Nanoseconds of a call of many operations.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn took(call: impl FnOnce()) -> f64 {
    let from = now();
    call();
    from.elapsed().as_nanos() as f64
}

/// Times of the batches of one operation.
#[derive(Default)]
struct Batches {
    means: Vec<f64>,
    n_calls: usize,
}

impl Batches {
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    fn push(&mut self, ns: f64, n: usize) {
        if n > 0 {
            self.means.push(ns / n as f64);
            self.n_calls += n;
        }
    }
}

/// Runs so many batches of each operation; the steady state goes on in between.
pub(crate) fn run(steady: &mut Steady, ours: &mut Ours, offers: &[Free], n_batches: usize) -> (Means, Calls) {
    let [mut decide, mut none, mut take, mut launch, mut enqueue, mut cancel] =
        [(); 6].map(|()| Batches::default());
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
        decide.push(took(|| _ = black_box(measured_decisions(queue, &batch))), batch.len());

        let batch: Vec<Free> = too_small.by_ref().take(BATCH_LEN).collect();
        none.push(took(|| _ = black_box(measured_none(queue, &batch))), batch.len());

        let batch = next_offers();
        let mut taken = Vec::with_capacity(batch.len());
        let (mut taking, mut launching) = (0.0, 0.0);
        for part in batch.chunks(PICKS_MAX) {
            let n_before = taken.len();
            taking += took(|| measured_takes(queue, part, &mut taken));
            launching += took(|| measured_launches(queue, &taken[n_before..]));
        }
        take.push(taking, taken.len());
        launch.push(launching, taken.len());
        for entry in &taken {
            steady.took(&Gone::of(entry));
        }
        enqueue_after(steady, ours, &taken, &mut enqueue);

        let ids: Vec<u64> = (0..BATCH_LEN.min(ours.queue.len() / 10)).map(|_| steady.draw_id()).collect();
        let mut canceled = Vec::with_capacity(ids.len());
        cancel.push(took(|| measured_cancels(&mut ours.queue, &ids, &mut canceled)), ids.len());
        assert_eq!(canceled.len(), ids.len(), "what is live can be canceled");
        enqueue_after(steady, ours, &canceled, &mut enqueue);
    }
    let calls = Calls {
        decisions: decide.n_calls,
        none: none.n_calls,
        taken: take.n_calls,
        enqueues: enqueue.n_calls,
        cancels: cancel.n_calls,
    };
    let means = Means {
        decide: median(decide.means),
        decide_none: median(none.means),
        take: median(take.means),
        launch: median(launch.means),
        enqueue: median(enqueue.means),
        cancel: median(cancel.means),
    };
    (means, calls)
}

/// Lets in what comes in the place of what has left.
fn enqueue_after(steady: &mut Steady, ours: &mut Ours, left: &[Entry], enqueue: &mut Batches) {
    let successor = |entry: &Entry| {
        let draft = steady.successor(&Gone::of(entry));
        ours.entry(&draft)
    };
    let came: Vec<Entry> = left.iter().map(successor).collect();
    enqueue.push(took(|| measured_enqueues(&mut ours.queue, &came)), came.len());
}
