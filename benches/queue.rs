//! The heart alone: one decision, taking and renewing, cancel, at several depths.
//!
//! For comparing two commits on one machine. What a decision costs on workloads that are told
//! apart, beside simple structures, is `examples/decide.rs`. Estimate before measuring: a decision
//! reads one line per block of open lanes and two lines of the lane it takes, 50 to 150 ns; taking
//! and renewing touch a leaf each and the look-up by id, some ten lines of memory.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use weighbridge::{Amounts, Entry, ExeId, JobId, JobTypeId, NodeResources, Quantity, Queue, Timestamp};

const N_TYPES: u64 = 100;

/// Splitmix64: the same numbers everywhere.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn entry(queue: &mut Queue, state: &mut u64, id: u64) -> Entry {
    let kind = draw(state) % N_TYPES;
    let input = draw(state) % 4_000;
    let cpus = Quantity(250 * (1 + kind % 16));
    let asks = NodeResources::new().with("cpus", cpus).expect("a name");
    Entry {
        id: ExeId(id),
        job: JobId(id),
        job_type: JobTypeId(u32::try_from(kind).expect("few")),
        tenant: weighbridge::TenantId(0),
        constraints: weighbridge::ConstraintSetId(0),
        priority: i32::try_from(draw(state) % 10).expect("few"),
        queued: Timestamp(i64::try_from(id).expect("small")),
        asks: queue.intern(&asks.mem_mib(128 + 4 * input).disk_mib(2 * input)),
    }
}

fn filled(n: u64) -> (Queue, u64) {
    let (mut queue, mut state) = (Queue::default(), 7);
    for id in 1..=n {
        let entry = entry(&mut queue, &mut state, id);
        queue.insert(entry).expect("room");
    }
    (queue, state)
}

fn offers(queue: &Queue, state: &mut u64) -> Vec<Amounts> {
    let free = |state: &mut u64| {
        let part = |of: u64, state: &mut u64| draw(state) % of * (draw(state) % of) / of;
        let set = NodeResources::new().with("cpus", Quantity(part(64_000, state))).expect("a name");
        set.mem_mib(part(65_536, state)).disk_mib(part(65_536, state))
    };
    (0..1_024).map(|_| queue.lookup(&free(state))).collect()
}

fn queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    for n in [10_000_u64, 1_000_000] {
        let (mut queue, mut state) = filled(n);
        let offers = offers(&queue, &mut state);
        let mut at = 0;
        let mut next = || {
            at = (at + 1) % offers.len();
            offers[at]
        };
        assert!((0..1_024).any(|_| queue.first_fit(&next()).is_some()), "some offers fit something");
        let name = |what: &str| BenchmarkId::new(what, format!("{n}-queued/100-types"));
        group.bench_function(name("decide"), |bench| bench.iter(|| black_box(queue.first_fit(&next()))));
        let nothing = queue.lookup(&NodeResources::new().mem_mib(1 << 20));
        assert_eq!(queue.first_fit(&nothing), None);
        group.bench_function(name("nothing-fits"), |bench| {
            bench.iter(|| black_box(queue.first_fit(black_box(&nothing))));
        });
        let mut id = n;
        group.bench_function(name("decide-take-renew"), |bench| {
            bench.iter_batched(
                &mut next,
                |free| {
                    let Some(entry) = queue.first_fit(&free).and_then(|id| queue.pick(id)) else { return };
                    queue.launch(entry.id);
                    queue.end(entry.job_type);
                    id += 1;
                    let queued = Timestamp(i64::try_from(id).expect("small"));
                    queue.insert(Entry { id: ExeId(id), queued, ..entry }).expect("room");
                },
                BatchSize::SmallInput,
            );
        });
        assert_eq!(queue.len(), usize::try_from(n).expect("fits"), "what is taken is renewed");
    }
    group.finish();
}

criterion_group!(benches, queue);
criterion_main!(benches);
