//! Several threads on one engine at once: nothing is picked twice, nothing is lost, and what each
//! sees comes in order. Also run under `ThreadSanitizer` (`just sanitize`).

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use weighbridge::{
    Engine, ExeId, JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, NodeId, NodeResources, Offer,
    Options, Submission, SubmissionId,
};

const SYNC: Duration = Duration::from_mins(1);

/// Submissions, and jobs in each.
const N_SUBMISSIONS: u32 = 150;
const N_JOBS: u32 = 20;

/// Offers of one thread, mostly empty ones while it waits.
const OFFERS_MAX: u32 = 10_000_000;

fn set(text: &str) -> NodeResources {
    text.parse().expect("resources")
}

fn put(engine: &Engine, name: &str, needs: &str) -> JobTypeId {
    let spec = JobTypeSpec::new(name, "1").needs(set(needs));
    engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type")
}

/// Takes until no more comes and nothing waits. Every third pick that is not the first goes back.
fn decide(engine: &Engine, node: NodeId, is_over: &AtomicBool) -> Vec<ExeId> {
    let offer = Offer::new(node, set("cpus:4,mem:4096"));
    let mut launched = Vec::new();
    for _ in 0..OFFERS_MAX {
        let was_over = is_over.load(Ordering::Acquire);
        let mut picks = engine.offer(&offer);
        let exes: Vec<ExeId> = picks.iter().map(|pick| pick.exe).collect();
        assert!(exes.is_sorted(), "picks of one offer are in queue order: {exes:?}");
        if exes.is_empty() && was_over {
            return launched;
        }
        let first = exes.first().copied();
        picks.retain(|pick| Some(pick.exe) == first || pick.exe.0 % 3 > 0);
        let launches = picks.commit().wait(SYNC).expect("durable");
        launched.extend(launches.iter().map(|launch| launch.get().name.exe));
    }
    panic!("{OFFERS_MAX} offers did not take what there was");
}

#[test]
fn four_threads_neither_lose_nor_double_nor_disorder_anything() {
    let engine = Engine::in_memory(Options::default());
    let kinds = [put(&engine, "a", "cpus:1,mem:100"), put(&engine, "b", "cpus:2,mem:50")];
    let is_over = AtomicBool::new(false);
    // Atomics, since a channel's locks are not all seen by ThreadSanitizer.
    let firsts: Vec<AtomicU64> = (0..N_SUBMISSIONS).map(|_| AtomicU64::new(0)).collect();
    let submit = |n: u32| {
        let id = SubmissionId::new(&format!("s{n}")).expect("an id");
        let kind = kinds[n as usize % kinds.len()];
        let submission = Submission::new(id).jobs(JobRequest::new(kind).count(N_JOBS));
        engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted").first_job
    };
    let (launched, canceled) = std::thread::scope(|scope| {
        let deciders = [1, 2].map(|node| {
            let (engine, is_over) = (&engine, &is_over);
            scope.spawn(move || decide(engine, NodeId(node), is_over))
        });
        let canceler = scope.spawn(|| {
            let mut canceled = 0;
            for first in &firsts {
                let first = loop {
                    match first.load(Ordering::Acquire) {
                        0 if is_over.load(Ordering::Acquire) => return canceled,
                        0 => std::thread::yield_now(),
                        first => break first,
                    }
                };
                let changed = engine.cancel(vec![JobId(first + 7)]).expect("room");
                canceled += changed.wait_durable(SYNC).expect("on record").n_changed;
                engine.pause(kinds[0], first % 2 == 0).expect("room").wait_durable(SYNC).expect("a type");
            }
            engine.pause(kinds[0], false).expect("room").wait_durable(SYNC).expect("a type");
            canceled
        });
        // Whatever fails, the others must come to an end.
        let submitted = catch_unwind(AssertUnwindSafe(|| {
            for (first, n) in firsts.iter().zip(0..) {
                first.store(submit(n).0, Ordering::Release);
            }
        }));
        let canceled = submitted.is_ok().then(|| canceler.join());
        is_over.store(true, Ordering::Release);
        let canceled = canceled.expect("submitted").expect("no panic");
        (deciders.map(|decider| decider.join().expect("no panic")), canceled)
    });
    let all: BTreeSet<ExeId> = launched.iter().flatten().copied().collect();
    assert_eq!(all.len(), launched.iter().map(Vec::len).sum::<usize>(), "none is launched twice");
    let n_queued = engine.queued(&[], 1_000).len();
    assert_eq!((n_queued, engine.n_taken()), (0, all.len()), "none waits that could run");
    engine.check_invariants();
    let (mut n_jobs, mut after, mut n_canceled) = (0, JobId(0), 0);
    loop {
        let jobs = engine.jobs(after, 1_000);
        let Some(last) = jobs.last() else { break };
        after = last.id;
        n_jobs += u32::try_from(jobs.len()).expect("a thousand");
        for job in &jobs {
            let is_launched = job.exe.is_some_and(|exe| all.contains(&exe));
            n_canceled += u32::from(job.status == JobStatus::Canceled);
            assert!(is_launched || job.status == JobStatus::Canceled, "lost: {job:?}");
        }
    }
    assert_eq!((n_jobs, n_canceled), (N_SUBMISSIONS * N_JOBS, canceled));
    assert_eq!(canceled, N_SUBMISSIONS, "one of each submission");
}
