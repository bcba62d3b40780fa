//! Statuses of a cluster in any order, and any number of times: what is on record in the end is the same.

use std::time::Duration;

use proptest::prelude::*;

use super::event::Status;
use super::status::Told;
use crate::engine::{Engine, Options};
use crate::launch::StatusUpdate;
use crate::model::{
    Job, JobId, JobRequest, JobStatus, JobTypeSpec, LaunchName, NodeId, NodeResources, Submission,
    SubmissionId,
};
use crate::offer::Offer;

const SYNC: Duration = Duration::from_secs(20);

/// How a task may end, as Mesos says it: the state, the reason, the message.
const ENDS: [(&str, &str, &str); 8] = [
    ("", "", ""),
    ("TASK_FINISHED", "", "Command exited with status 0"),
    ("TASK_FAILED", "REASON_COMMAND_EXECUTOR_FAILED", "Command exited with status 3"),
    ("TASK_FAILED", "REASON_MAX_COMPLETION_TIME_REACHED", ""),
    ("TASK_KILLED", "REASON_AGENT_DRAINING", ""),
    ("TASK_GONE", "REASON_AGENT_REMOVED", ""),
    ("TASK_DROPPED", "REASON_INVALID_OFFERS", ""),
    ("TASK_ERROR", "REASON_TASK_INVALID", ""),
];

/// What says nothing about an end.
const BEFORE: [&str; 5] =
    ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_UNREACHABLE", "TASK_UNKNOWN"];

/// Statuses of tasks: which, and what is said of it.
type Said = Vec<(usize, (&'static str, &'static str, &'static str))>;

/// So many jobs, each launched, and then told of; gives what is on record of each.
fn play(n_jobs: usize, said: &Said) -> Vec<(JobStatus, u32, u16, u32, Option<&'static str>)> {
    let engine = Engine::in_memory(Options::default());
    let kind = engine
        .put_job_type(JobTypeSpec::new("a", "1").max_tries(1))
        .expect("room")
        .wait_durable(SYNC)
        .expect("a type");
    let n = u32::try_from(n_jobs).expect("a few");
    let submission = Submission::new(SubmissionId::new("s").expect("an id"));
    engine
        .submit(submission.jobs(JobRequest::new(kind).count(n)))
        .expect("room")
        .wait_durable(SYNC)
        .expect("accepted");
    let free: NodeResources = "cpus:100,mem:100000".parse().expect("resources");
    let picks = engine.offer(&Offer::new(NodeId(1), free));
    let launches = picks.commit().wait(SYNC).expect("launched");
    let launches: Vec<LaunchName> = launches.iter().map(|launch| launch.get().name).collect();
    assert_eq!(launches.len(), n_jobs);
    for (task, (state, reason, message)) in said {
        let [state, reason, message] = [state, reason, message].map(|text| (*text).to_owned());
        let status = Status { state, reason, message, ..Status::default() };
        if let Told::News(state) = status.read() {
            let ticket = engine.status(StatusUpdate { name: launches[*task], state, when: engine.now() });
            let ticket = ticket.expect("room");
            engine.pump();
            let _ = ticket.wait_durable(SYNC).expect("on record");
        }
    }
    engine.check_invariants();
    let of =
        |job: Job| (job.status, job.num_exes, job.tries, job.launches, job.end.map(|end| end.outcome.code()));
    engine.jobs(JobId(0), n_jobs).into_iter().map(of).collect()
}

fn statuses() -> impl Strategy<Value = (usize, Said, Said)> {
    let of_task = (0..ENDS.len(), prop::collection::vec((0..BEFORE.len(), 0_usize..3), 0..5), 1_usize..4);
    prop::collection::vec(of_task, 1..6).prop_flat_map(|tasks| {
        let (mut in_order, mut all) = (Vec::new(), Vec::new());
        for (task, (end, before, n_ends)) in tasks.iter().enumerate() {
            for (at, n) in before {
                let said = (task, (BEFORE[*at], "REASON_RECONCILIATION", ""));
                in_order.push(said);
                all.extend(std::iter::repeat_n(said, *n));
            }
            if *end > 0 {
                in_order.push((task, ENDS[*end]));
                all.extend(std::iter::repeat_n((task, ENDS[*end]), *n_ends));
            }
        }
        (Just(tasks.len()), Just(in_order), Just(all).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_number_of_statuses_give_the_same((n, in_order, shuffled) in statuses()) {
        prop_assert_eq!(play(n, &in_order), play(n, &shuffled));
    }
}

#[test]
fn each_kind_of_end_is_another() {
    use JobStatus::{Completed, Failed, Queued, Running};
    let ends = |at: usize| play(1, &vec![(0, ENDS[at])])[0];
    let told: Vec<_> = (0..ENDS.len()).map(ends).collect();
    let statuses: Vec<JobStatus> = told.iter().map(|told| told.0).collect();
    assert_eq!(statuses, [Running, Completed, Failed, Failed, Queued, Queued, Queued, Failed]);
    // Of those that wait again, one never began: it is the same execution.
    assert_eq!([4, 5, 6].map(|at: usize| told[at].1), [2, 2, 1]);
}
