//! The real queue against the simple one, after every step: the bare one, and through the public
//! engine; with a store also across closing, losing and opening it.

#[path = "queue_model/large.rs"]
mod large;
#[path = "common/steps/mod.rs"]
mod steps;

use std::time::Duration;

use proptest::prelude::*;
use steps::{STEP_BYTES, Step, agree, agree_queue, steps_from};
use weighbridge::{
    Engine, JobId, JobRequest, JobTypeSpec, NodeId, NodeResources, Offer, Options, Quantity, Submission,
    SubmissionId,
};

const SYNC: Duration = Duration::from_secs(10);

/// A step, drawn as bytes.
fn any_step() -> impl Strategy<Value = Step> {
    proptest::array::uniform::<_, STEP_BYTES>(any::<u8>()).prop_map(|record| steps_from(&record)[0])
}

/// Any steps, fewer than `most`.
fn any_steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any_step(), 1..most)
}

/// The same with few jobs at a time, so that the same ones are met again and again.
fn with_few(mut step: Step) -> Step {
    match &mut step {
        Step::Submit { count, .. } | Step::Defer { count, .. } | Step::Cancel { count, .. } => {
            *count = *count % 4 + 1;
        }
        _ => {}
    }
    step
}

/// Steps for the bare queue: mostly of few jobs, never of thousands.
fn steps_of_few() -> impl Strategy<Value = Vec<Step>> {
    let plain =
        |most| proptest::collection::vec(any_step().prop_filter("a flood", |s| !s.is_flood()), 1..most);
    let few = plain(32).prop_map(|steps| steps.into_iter().map(with_few).collect::<Vec<_>>());
    prop_oneof![9 => few, 1 => plain(50)]
}

/// The same with thousands at once, at the beginning and at times later.
fn steps_of_thousands() -> impl Strategy<Value = Vec<Step>> {
    let flood = any_step().prop_filter("no flood", Step::is_flood);
    (flood, any_steps(30)).prop_map(|(flood, steps)| [vec![flood], steps].concat())
}

fn resources(asks: [u64; 3]) -> NodeResources {
    let cpus = NodeResources::new().with("cpus", Quantity::whole(asks[0])).expect("a name");
    cpus.mem_mib(asks[1]).disk_mib(asks[2])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_agrees_with_the_simple_one(steps in any_steps(60)) {
        agree(false, &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_gives_back_the_queue_it_took(steps in any_steps(40)) {
        agree(true, &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_bare_queue_agrees_with_the_simple_one(steps in steps_of_few()) {
        agree_queue(&steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn thousands_of_entries_and_lanes_agree_with_the_simple_ones(steps in steps_of_thousands()) {
        agree_queue(&steps);
    }
}

proptest! {
    #[test]
    fn steps_read_back_as_they_were_written(steps in any_steps(60)) {
        let bytes: Vec<u8> = steps.iter().flat_map(Step::write).collect();
        prop_assert_eq!(steps_from(&bytes), steps);
    }
}

#[test]
fn a_hundred_thousand_that_cannot_fit_hold_nobody_up() {
    let engine = Engine::in_memory(Options::default());
    let kind = |name: &str, asks| JobTypeSpec::new(name, "1").needs(resources(asks));
    let put = |spec| engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type");
    let (large, small) = (put(kind("large", [64, 1, 1])), put(kind("small", [1, 1, 1])));
    let mut submission = Submission::new(SubmissionId::new("all").expect("an id"));
    // Each asks for another amount, of what a lane holds fixed and of what varies in it.
    for n in 0..100_000_u64 {
        let asks = [64 + n % 7, 1_000_000 + n, 2_000_000 - n];
        submission = submission.jobs(JobRequest::new(large).needs(resources(asks)));
    }
    submission = submission.jobs(JobRequest::new(small).priority(1_000));
    let accepted = engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted");
    let last = JobId(accepted.first_job.0 + 100_000);
    let picks = engine.offer(&Offer::new(NodeId(1), resources([8, 4_096, 4_096])));
    assert_eq!(picks.iter().map(|pick| pick.job).collect::<Vec<_>>(), [last]);
    assert_eq!(picks.commit().wait(SYNC).expect("durable").len(), 1);
    let why = engine.why(accepted.first_job).expect("on record");
    assert_eq!((why.position, why.n_queued), (Some(0), 100_000));
    assert!(why.blocker.to_string().contains("can never be placed here"), "{}", why.blocker);
}
