//! The engine without a disk: what an offer costs a scheduler loop, and what a submission costs its
//! caller, beside the queue's own figures in `benches/queue.rs`.
//!
//! Estimate: an offer takes the core's lock (6 ns), reads the clock (28 ns), translates names of
//! resources, decides, and puts back.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use weighbridge::{
    Engine, JobRequest, JobTypeSpec, NodeId, NodeResources, Offer, Options, Submission, SubmissionId,
};

const SYNC: Duration = Duration::from_mins(1);
const N_TYPES: u32 = 100;
const N_JOBS: u32 = 1_000_000;

fn engine() -> Engine {
    let engine = Engine::in_memory(Options::default().load_period(None));
    for n in 0..N_TYPES {
        let needs = NodeResources::new().cpus("1").expect("a number").mem_mib(128 + u64::from(n));
        let kind =
            engine.put_job_type(JobTypeSpec::new(format!("kind-{n}"), "1").needs(needs)).expect("room");
        let kind = kind.wait_durable(SYNC).expect("a type");
        let jobs = JobRequest::new(kind).count(N_JOBS / N_TYPES);
        let id = SubmissionId::new(&format!("fill-{n}")).expect("an id");
        engine.submit(Submission::new(id).jobs(jobs)).expect("room").wait_durable(SYNC).expect("accepted");
    }
    engine
}

fn offers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine");
    let engine = engine();
    assert_eq!(engine.fresh_view(SYNC).n_queued, N_JOBS as usize);
    let one = Offer::new(NodeId(1), NodeResources::new().cpus("1").expect("a number").mem_mib(4_096));
    assert_eq!(engine.offer(&one).len(), 1);
    group.bench_function("offer-one-pick-put-back/1000000-queued", |bench| {
        bench.iter(|| black_box(engine.offer(black_box(&one)).len()));
    });
    let none = Offer::new(NodeId(1), NodeResources::new().mem_mib(4_096));
    assert!(engine.offer(&none).is_empty());
    group.bench_function("offer-nothing-fits/1000000-queued", |bench| {
        bench.iter(|| black_box(engine.offer(black_box(&none)).len()));
    });
    let kind = weighbridge::JobTypeId(1);
    let mut n = 0_u64;
    group.bench_function("submit-and-apply/1-job", |bench| {
        bench.iter(|| {
            n += 1;
            let id = SubmissionId::new(&format!("s{n}")).expect("an id");
            let ticket = engine.submit(Submission::new(id).jobs(JobRequest::new(kind))).expect("room");
            ticket.wait_durable(SYNC).expect("accepted")
        });
    });
    group.finish();
}

criterion_group!(benches, offers);
criterion_main!(benches);
