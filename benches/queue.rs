//! The heart alone, a figure each, for comparing two commits on one machine.
//!
//! What is queued and offered is that of `examples/decide.rs`, which tells tails, memory and ratios
//! to simple structures, too. Estimate before measuring: a decision reads one line per block of open
//! lanes and two of the lane it takes, 50 to 150 ns; taking and enqueuing touch a leaf and the look-up
//! by id, some ten lines of memory; finding nothing reads a line per block.

#[expect(dead_code, reason = "shared with the example, which uses the rest")]
#[path = "../examples/decide/batches.rs"]
mod batches;
#[expect(dead_code, reason = "shared with the example, which uses the rest")]
#[path = "../examples/decide/figures.rs"]
mod figures;
#[expect(dead_code, reason = "shared with the example, which uses the rest")]
#[path = "../examples/decide/filled.rs"]
mod filled;
#[path = "../examples/decide/ours.rs"]
mod ours;
#[expect(dead_code, reason = "shared with the example, which uses the rest")]
#[path = "../examples/decide/steady.rs"]
mod steady;
#[expect(dead_code, reason = "shared with the example, which uses the rest")]
#[path = "../examples/decide/workload.rs"]
mod workload;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use weighbridge::Entry;

use filled::{Filled, Setting, fill};
use steady::Structure;
use workload::{Free, Gone, Workload};

/// Rounds before anything is measured.
const WARM_UP: usize = 2_000;

/// Calls of one stretch of time; what they changed is made good before the next.
const PART_LEN: u64 = 50;

/// Depths, small where nothing is measured but that the benches run.
fn depths() -> Vec<usize> {
    if std::env::args().any(|word| word == "--bench") { vec![10_000, 1_000_000] } else { vec![2_000] }
}

fn filled(workload: Workload, queued: usize, n_lanes: usize) -> Filled {
    let setting = Setting { queued, workload, n_lanes, n_offers: 256 };
    fill(&setting, WARM_UP, Duration::MAX).expect("enough entries for the lanes")
}

/// Runs `part` with numbers of calls that add up to `n`; it returns how long they took.
fn in_parts(n: u64, mut part: impl FnMut(usize) -> Duration) -> Duration {
    let full = usize::try_from(PART_LEN).expect("small");
    let rest = usize::try_from(n % PART_LEN).expect("small");
    let parts = (0..n / PART_LEN).map(|_| full).chain((rest > 0).then_some(rest));
    parts.map(&mut part).sum()
}

fn time(call: impl FnOnce()) -> Duration {
    let from = figures::now();
    call();
    from.elapsed()
}

/// Goes round in the offers.
fn next_offers(offers: &[Free], at: &mut usize, n: usize) -> Vec<Free> {
    let next = offers.iter().cycle().skip(*at).take(n).copied().collect();
    *at = (*at + n) % offers.len();
    next
}

/// What comes in the place of what has left.
fn successors(filled: &mut Filled, left: &[Entry]) -> Vec<Entry> {
    let Filled { ours, steady, .. } = filled;
    left.iter().map(|entry| ours.entry(&steady.successor(&Gone::of(entry)))).collect()
}

/// Takes what fits in some offers; also returns how long that took.
fn take(filled: &mut Filled, batch: &[Free]) -> (Vec<Entry>, Duration) {
    let mut taken = Vec::with_capacity(batch.len());
    let took = time(|| batches::measured_takes(&mut filled.ours.queue, batch, &mut taken));
    for entry in &taken {
        let gone = Gone::of(entry);
        filled.ours.launch(&gone);
        filled.steady.took(&gone);
    }
    (taken, took)
}

fn renew(filled: &mut Filled, left: &[Entry]) -> Duration {
    let came = successors(filled, left);
    time(|| batches::measured_enqueues(&mut filled.ours.queue, &came))
}

fn cancel(filled: &mut Filled, n: usize) -> (Vec<Entry>, Duration) {
    let ids: Vec<u64> = (0..n).map(|_| filled.steady.draw_id()).collect();
    let mut canceled = Vec::with_capacity(n);
    let took = time(|| batches::measured_cancels(&mut filled.ours.queue, &ids, &mut canceled));
    assert_eq!(canceled.len(), n, "what is live can be canceled");
    (canceled, took)
}

/// Every figure of one workload at one depth.
fn figures_of(criterion: &mut Criterion, workload: Workload, queued: usize) {
    let mut group = criterion.benchmark_group("queue");
    let mut filled = filled(workload, queued, 100);
    let name = |what: &str| BenchmarkId::new(what, format!("{queued}-queued/{}/100-lanes", workload.name()));
    let offers = filled.offers.clone();
    let fits = |filled: &mut Filled, free: &Free| filled.ours.decide(free).is_some();
    let (some, none): (Vec<Free>, Vec<Free>) = offers.iter().partition(|free| fits(&mut filled, free));
    assert!(some.len() > 5 * none.len() && !none.is_empty(), "about a tenth finds nothing");
    let mut at = 0;

    group.bench_function(name("decide"), |bench| {
        bench.iter_custom(|n| {
            in_parts(n, |n| {
                let batch = next_offers(&offers, &mut at, n);
                time(|| _ = black_box(batches::measured_decisions(&mut filled.ours.queue, &batch)))
            })
        });
    });
    group.bench_function(name("nothing-fits"), |bench| {
        bench.iter_custom(|n| {
            in_parts(n, |n| {
                let batch = next_offers(&none, &mut at, n);
                let mut n_none = 0;
                let took = time(|| n_none = batches::measured_none(&mut filled.ours.queue, &batch));
                assert_eq!(n_none, n, "nothing has changed");
                took
            })
        });
    });
    group.bench_function(name("decide-and-take"), |bench| {
        bench.iter_custom(|n| {
            in_parts(n, |n| {
                let (taken, took) = take(&mut filled, &next_offers(&offers, &mut at, n));
                renew(&mut filled, &taken);
                took
            })
        });
    });
    group.bench_function(name("fill-a-node"), |bench| {
        bench.iter_custom(|n| {
            let n = usize::try_from(n).expect("fits");
            let fills = filled.ours.fills(&mut filled.steady, n);
            assert!(!fills.nodes.is_empty(), "an idle node gets something");
            Duration::from_nanos(fills.nodes.sum())
        });
    });
    group.bench_function(name("enqueue"), |bench| {
        bench.iter_custom(|n| {
            in_parts(n, |n| {
                let (canceled, _) = cancel(&mut filled, n);
                renew(&mut filled, &canceled)
            })
        });
    });
    group.bench_function(name("cancel"), |bench| {
        bench.iter_custom(|n| {
            in_parts(n, |n| {
                let (canceled, took) = cancel(&mut filled, n);
                renew(&mut filled, &canceled);
                took
            })
        });
    });
    assert_eq!(filled.ours.queue.len(), queued, "what has left was followed by another");
    group.finish();
}

/// Memory and disk traded against each other, nothing fits, and entries come and go in between.
fn cross(criterion: &mut Criterion, queued: usize) {
    let mut group = criterion.benchmark_group("queue");
    let mut filled = filled(Workload::Cross, queued, 4);
    let offers = filled.offers.clone();
    let mut at = 0;
    group.bench_function(
        BenchmarkId::new("nothing-fits", format!("{queued}-queued/cross/4-lanes")),
        |bench| {
            bench.iter_custom(|n| {
                in_parts(n, |n| {
                    let (canceled, _) = cancel(&mut filled, n);
                    renew(&mut filled, &canceled);
                    let batch = next_offers(&offers, &mut at, n);
                    let mut n_none = 0;
                    let took = time(|| n_none = batches::measured_none(&mut filled.ours.queue, &batch));
                    assert_eq!(n_none, n, "every offer is short");
                    took
                })
            });
        },
    );
    assert_eq!(filled.ours.queue.len(), queued, "what has left was followed by another");
    group.finish();
}

fn queue(criterion: &mut Criterion) {
    for queued in depths() {
        for workload in [Workload::Hetero, Workload::Adversarial] {
            figures_of(criterion, workload, queued);
        }
        cross(criterion, queued);
    }
}

criterion_group!(benches, queue);
criterion_main!(benches);
