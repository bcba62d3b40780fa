//! What users of the library rely on, one promise a test.

#[path = "common/hand_clock.rs"]
mod hand_clock;

use std::sync::Arc;
use std::time::Duration;

use hand_clock::HandClock;
use weighbridge::{
    Accepted, Blocker, Engine, JobId, JobRequest, JobStatus, JobTypeId, JobTypeSpec, NodeId, NodeResources,
    Offer, Options, Outcome, Outgoing, QueueMode, RecipeNode, RecipeRequest, StatusUpdate, Submission,
    SubmissionId, SubmitError, TaskState, TicketError, Timestamp, Usage,
};

const SYNC: Duration = Duration::from_secs(20);
const NODE: NodeId = NodeId(1);

fn set(text: &str) -> NodeResources {
    text.parse().expect("resources")
}

fn put(engine: &Engine, spec: JobTypeSpec) -> JobTypeId {
    engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type")
}

fn named(id: &str) -> Submission {
    Submission::new(SubmissionId::new(id).expect("an id"))
}

fn submit(engine: &Engine, submission: Submission) -> Accepted {
    engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted")
}

fn report(engine: &Engine, state: TaskState) {
    let run = engine.running().pop().expect("one runs");
    let update = StatusUpdate { name: run.name, state, when: engine.now() };
    engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
}

#[test]
fn two_open_decisions_never_promise_one_node_twice() {
    let engine = Engine::in_memory(Options::default());
    let kind = put(&engine, JobTypeSpec::new("a", "1").needs(set("cpus:1")));
    submit(&engine, named("s").jobs(JobRequest::new(kind).count(10)));
    engine.declare_node(NODE, "n", &set("cpus:4"));
    let first = engine.offer_declared(NODE);
    let second = engine.offer_declared(NODE);
    assert_eq!((first.len(), second.len()), (4, 0));
    drop(first);
    assert_eq!(engine.offer_declared(NODE).commit().wait(SYNC).expect("durable").len(), 4);
    assert!(engine.offer_declared(NODE).is_empty());
    engine.declare_node(NODE, "n", &set("cpus:5"));
    assert_eq!(engine.offer_declared(NODE).len(), 1, "a node that grew");
    engine.declare_node(NODE, "n", &set("cpus:3"));
    assert!(engine.offer_declared(NODE).is_empty(), "a node that shrank");
}

#[test]
fn launches_that_nobody_waits_for_come_out_of_the_outbox() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(directory.path(), Options::default()).expect("a store");
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    submit(&engine, named("s").jobs(JobRequest::new(kind).count(3)));
    drop(engine.offer(&Offer::new(NODE, set("cpus:1"))).commit());
    let mut launches = Vec::new();
    while launches.len() < 3 {
        let outgoing = engine.outgoing(SYNC);
        assert!(!outgoing.is_empty(), "they did not come in time");
        launches.extend(outgoing);
    }
    assert!(launches.iter().all(|outgoing| matches!(outgoing, Outgoing::Launch(_))));
}

#[test]
fn who_holds_a_ticket_is_not_told_again_by_the_outbox() {
    let engine = Engine::in_memory(Options::default());
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    submit(&engine, named("s").jobs(JobRequest::new(kind).count(2)));
    engine.offer(&Offer::new(NODE, set("cpus:1"))).commit().wait(SYNC).expect("durable");
    let ended = || TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
    report(&engine, ended());
    assert!(engine.outgoing(Duration::ZERO).is_empty());
    let run = engine.running().pop().expect("one runs");
    engine.report(StatusUpdate { name: run.name, state: ended(), when: engine.now() }).expect("room");
    engine.pump();
    assert!(matches!(engine.outgoing(Duration::ZERO)[..], [Outgoing::Acknowledge(_)]));
}

#[test]
fn a_refused_launch_goes_back_under_the_priority_given_while_it_ran() {
    let engine = Engine::in_memory(Options::default());
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    let accepted = submit(&engine, named("s").jobs(JobRequest::new(kind)));
    engine.offer(&Offer::new(NODE, set("cpus:1"))).commit().wait(SYNC).expect("durable");
    let ticket = engine.set_priority(vec![accepted.first_job], -7).expect("room");
    assert_eq!(ticket.wait_durable(SYNC).expect("changed").n_changed, 1);
    report(&engine, TaskState::Refused { reason: "no room".into() });
    assert_eq!(engine.queued(&[], 10)[0].priority, -7);
    engine.check_invariants();
}

#[test]
fn views_go_on_while_the_clock_runs_back() {
    let clock = HandClock::default();
    clock.set(1_000);
    let engine = Engine::in_memory(Options::default().clock(clock.clone()));
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    clock.set(1);
    submit(&engine, named("s").jobs(JobRequest::new(kind).count(5)));
    let end = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970") + SYNC;
    while engine.view().totals.queued != 5 {
        engine.pump();
        assert!(
            std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970") < end,
            "the view stands still"
        );
    }
    let job = engine.job(JobId(1)).expect("on record");
    assert_eq!(job.queued, Some(Timestamp(1_000_000_000)), "time never runs back in the state");
}

#[test]
fn a_driver_whose_clock_is_ahead_does_not_set_ours() {
    let clock = HandClock::default();
    let engine = Engine::in_memory(Options::default().clock(clock));
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    submit(&engine, named("s").jobs(JobRequest::new(kind)));
    engine.offer(&Offer::new(NODE, set("cpus:1"))).commit().wait(SYNC).expect("durable");
    let run = engine.running().pop().expect("one runs");
    let state = TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
    let update = StatusUpdate { name: run.name, state, when: Timestamp(i64::MAX) };
    engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
    assert_eq!(engine.job(run.job).expect("on record").ended, Some(Timestamp(0)));
}

#[test]
fn canceling_many_roots_of_one_join_costs_their_edges() {
    let engine = Engine::in_memory(Options::default());
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    let n = 20_000;
    let node = |name: String, parents: Vec<u32>| RecipeNode {
        name: name.into(),
        job: JobRequest::new(kind),
        parents,
    };
    let mut nodes: Vec<RecipeNode> = (0..n).map(|at| node(format!("root-{at}"), vec![])).collect();
    nodes.push(node("join".into(), (0..n).collect()));
    nodes.extend((0..n).map(|at| node(format!("leaf-{at}"), vec![n])));
    submit(&engine, named("s").recipe(RecipeRequest { name: "wide".into(), nodes }));
    let roots: Vec<JobId> = (1..=u64::from(n)).map(JobId).collect();
    let changed = engine.cancel(roots).expect("room").wait_durable(SYNC).expect("canceled");
    assert_eq!(changed.n_changed, n);
    let totals = engine.fresh_view(SYNC).totals;
    assert_eq!((totals.canceled, totals.blocked), (u64::from(n), u64::from(n) + 1));
}

#[test]
fn what_many_jobs_share_is_stored_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(directory.path(), Options::default()).expect("a store");
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    let value = "x".repeat(20_000);
    let request = JobRequest::new(kind).count(10_000).values([("v", value.as_str())]).needs(set("mem:5"));
    submit(&engine, named("s").jobs(request).jobs(JobRequest::new(kind)));
    engine.close().expect("closed");
    let bytes = std::fs::metadata(directory.path().join("state.redb")).expect("there").len();
    assert!(bytes < 10_000_000, "{bytes} bytes for what is 200 MB when written out");
    let engine = Engine::open(directory.path(), Options::default()).expect("a store");
    let [first, last] = [1, 10_000].map(|id| engine.job(JobId(id)).expect("on record"));
    assert!(Arc::ptr_eq(&first.values, &last.values) && first.values[0].1 == value);
    assert!(engine.job(JobId(10_001)).expect("on record").values.is_empty());
    assert_eq!(engine.queued(&[], 1)[0].resources, set("mem:5"));
    engine.check_invariants();
}

#[test]
fn a_waiter_alone_gets_through_more_than_the_log_takes_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(directory.path(), Options::default()).expect("a store");
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    let value = "x".repeat(60_000);
    let tickets: Vec<_> = (0..600)
        .map(|n| {
            let request = JobRequest::new(kind).values([("v", value.as_str())]);
            engine.submit(named(&format!("s{n}")).jobs(request)).expect("room")
        })
        .collect();
    tickets.last().expect("some").wait_durable(SYNC).expect("accepted");
    engine.close().expect("closed");
    let engine = Engine::open(directory.path(), Options::default()).expect("a store");
    assert_eq!(engine.view().totals.queued, 600, "closing applies what is in the intake");
}

#[test]
fn a_closed_engine_takes_nothing_and_says_so() {
    let engine = Engine::in_memory(Options::default());
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    let other = engine.clone();
    let waiting = engine.submit(named("s").jobs(JobRequest::new(kind))).expect("room");
    engine.close().expect("closed");
    waiting.wait_durable(SYNC).expect("closing applies what is in the intake");
    assert!(other.submit(named("t").jobs(JobRequest::new(kind))).is_err());
    assert!(other.offer(&Offer::new(NODE, set("cpus:1"))).is_empty());
}

#[test]
fn bad_submissions_are_refused_and_change_nothing() {
    let engine = Engine::in_memory(Options::default());
    let kind = put(&engine, JobTypeSpec::new("a", "1").command(["run", "{file}"]));
    let plain = put(&engine, JobTypeSpec::new("b", "1"));
    let refusal = |submission: Submission| {
        let ticket = engine.submit(submission).expect("room");
        match ticket.wait_durable(SYNC) {
            Err(TicketError::Refused(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let node = |name: &str, parents: &[u32]| RecipeNode {
        name: name.into(),
        job: JobRequest::new(plain),
        parents: parents.to_vec(),
    };
    let recipe = |nodes| named("s").recipe(RecipeRequest { name: "r".into(), nodes });
    assert_eq!(refusal(named("s")), SubmitError::Empty);
    assert_eq!(
        refusal(named("s").jobs(JobRequest::new(plain)).recipe(RecipeRequest::default())),
        SubmitError::EmptyRecipe
    );
    let missing = SubmitError::MissingValue { job_type: "a".into(), name: "file".into() };
    assert_eq!(refusal(named("s").jobs(JobRequest::new(kind))), missing);
    let unknown = JobTypeId(99);
    assert_eq!(refusal(named("s").jobs(JobRequest::new(unknown))), SubmitError::UnknownJobType(unknown));
    let circle = SubmitError::Cycle { path: ["y", "x", "y"].map(String::from).to_vec() };
    assert_eq!(refusal(recipe(vec![node("x", &[1]), node("y", &[0])])), circle);
    let parent = SubmitError::UnknownParent { node: "x".into(), parent: 7 };
    assert_eq!(refusal(recipe(vec![node("x", &[7])])), parent);
    assert_eq!(
        refusal(recipe(vec![node("x", &[]), node("x", &[])])),
        SubmitError::DuplicateNode { node: "x".into() }
    );
    let many = named("s").jobs(JobRequest::new(plain).count(1_000_001));
    assert_eq!(refusal(many), SubmitError::TooManyJobs { jobs: 1_000_001 });
    assert_eq!(engine.fresh_view(SYNC).totals.total(), 0);
}

#[test]
fn switches_survive_an_edit_of_the_type() {
    let engine = Engine::in_memory(Options::default());
    let spec = || JobTypeSpec::new("a", "1").max_scheduled(5);
    let kind = put(&engine, spec());
    engine.pause(kind, true).expect("room").wait_durable(SYNC).expect("paused");
    engine.set_limit(kind, Some(2)).expect("room").wait_durable(SYNC).expect("limited");
    engine.set_mode(Some(kind), Some(QueueMode::Lifo)).expect("room").wait_durable(SYNC).expect("set");
    assert_eq!(put(&engine, JobTypeSpec { title: "new".into(), ..spec() }), kind);
    let view = engine.fresh_view(SYNC);
    let known = &view.types[0].job_type;
    assert_eq!((known.revision, known.spec.title.as_str()), (2, "new"));
    assert!(known.spec.is_paused && known.spec.max_scheduled == Some(2));
    assert_eq!(known.spec.mode, Some(QueueMode::Lifo));
}

#[test]
fn a_failed_job_is_tried_again_and_a_lost_one_uses_no_try() {
    let engine = Engine::in_memory(Options::default());
    let kind = put(&engine, JobTypeSpec::new("a", "1").max_tries(2));
    submit(&engine, named("s").jobs(JobRequest::new(kind)));
    let outcomes = [
        (Outcome::Lost { reason: "gone".into() }, JobStatus::Queued, 0),
        (Outcome::Exited { code: 1 }, JobStatus::Queued, 1),
        (Outcome::Signaled { signal: 9 }, JobStatus::Failed, 2),
    ];
    for (outcome, status, tries) in outcomes {
        engine.offer(&Offer::new(NODE, set("cpus:1"))).commit().wait(SYNC).expect("durable");
        report(&engine, TaskState::Ended { outcome, usage: Usage::default() });
        let job = engine.job(JobId(1)).expect("on record");
        assert_eq!((job.status, job.tries), (status, tries));
    }
    assert_eq!(engine.job(JobId(1)).expect("on record").num_exes, 3);
}

#[test]
fn load_is_taken_on_multiples_of_its_period_and_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = HandClock::default();
    clock.set_us(90_500_000);
    let options = || Options::default().clock(clock.clone()).load_period(Some(Duration::from_secs(10)));
    let engine = Engine::open(directory.path(), options()).expect("a store");
    let at = |engine: &Engine, second: i64| {
        clock.set(second);
        engine.pump();
    };
    at(&engine, 99);
    assert!(engine.load(Timestamp(0), None).is_empty(), "not before the first multiple");
    at(&engine, 100);
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    submit(&engine, named("s").jobs(JobRequest::new(kind).count(3)));
    engine.offer(&Offer::new(NODE, set("cpus:1"))).commit().wait(SYNC).expect("durable");
    submit(&engine, named("t").jobs(JobRequest::new(kind).count(2)));
    at(&engine, 109);
    at(&engine, 110);
    at(&engine, 111);
    drop(engine);
    // Three periods pass while nothing runs: one late row, not three.
    clock.set(145);
    let engine = Engine::open(directory.path(), options()).expect("a store");
    engine.pump();
    let rows = engine.load(Timestamp(0), None);
    let rows: Vec<_> =
        rows.iter().map(|row| (row.measured.0 / 1_000_000, row.job_type, row.queued, row.running)).collect();
    assert_eq!(rows, [(100, None, 0, 0), (110, Some(kind), 2, 3), (145, Some(kind), 2, 3)]);
}

#[test]
fn what_was_seen_before_settling_is_on_disk_after_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(directory.path(), Options::default()).expect("a store");
    let kind = put(&engine, JobTypeSpec::new("a", "1"));
    for n in 0..50 {
        let _unheard = engine.submit(named(&format!("s{n}")).jobs(JobRequest::new(kind))).expect("room");
        engine.pump();
        let seen = engine.jobs(JobId(0), 100).len();
        assert!(engine.settle(SYNC));
        let view = engine.fresh_view(SYNC);
        assert!(engine.durable() >= view.position && view.totals.total() == seen as u64);
    }
}

#[test]
fn why_tells_how_much_is_missing_where_and_how_many_are_ahead() {
    let engine = Engine::in_memory(Options::default());
    let kind = put(&engine, JobTypeSpec::new("a", "1").needs(set("cpus:3")));
    let first = submit(&engine, named("s").jobs(JobRequest::new(kind).count(4))).first_job.0;
    let why = |n: u64| engine.why(JobId(first + n)).expect("on record").blocker;
    assert_eq!(why(0), Blocker::NoNodes);
    engine.declare_node(NODE, "n", &set("cpus:8"));
    // All could start: what counts is who comes first.
    assert_eq!((why(0), why(3)), (Blocker::Next, Blocker::Behind { n_ahead: 3 }));
    assert_eq!(engine.offer_declared(NODE).commit().wait(SYNC).expect("durable").len(), 2);
    // Of eight cpus two are left, and three are asked for.
    drop(engine.offer(&Offer::new(NODE, set("cpus:2")).named("n")));
    let Blocker::Busy { shortages } = why(2) else { panic!("{:?}", why(2)) };
    let [short] = shortages.as_slice() else { panic!("{shortages:?}") };
    let told = [short.asked, short.most, short.short].map(|amount| amount.to_string());
    assert_eq!((short.resource.as_str(), told), ("cpus", ["3", "2", "1"].map(str::to_owned)));
    assert_eq!((short.n_nodes, short.nearest, short.nearest_name.as_str()), (1, NODE, "n"));
}

/// Holds it for what makes an offer known to the engine.
fn check_first_seen_while_work_runs(offered: impl Fn(&Engine, &Offer)) {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || Engine::open(directory.path(), Options::default()).expect("a store");
    let engine = open();
    let node = engine.put_node("one").expect("room").wait_durable(SYNC).expect("a node");
    let runs = put(&engine, JobTypeSpec::new("a", "1").needs(set("cpus:3,mem:10")));
    submit(&engine, named("first").jobs(JobRequest::new(runs)));
    let whole = Offer::new(node, set("cpus:4,mem:50,disk:7"));
    assert_eq!(engine.offer(&whole).commit().wait(SYNC).expect("durable").len(), 1);
    engine.close().expect("closed");
    // It runs on over a restart of the engine, and the first offer is of what it leaves.
    let engine = open();
    assert_eq!(engine.put_node("one").expect("room").wait_durable(SYNC), Ok(node), "the same name");
    let waits = put(&engine, JobTypeSpec::new("b", "1").needs(set("cpus:4")));
    let waits = submit(&engine, named("second").jobs(JobRequest::new(waits))).first_job;
    offered(&engine, &Offer::new(node, set("cpus:1,mem:40,disk:7")));
    let blocker = || engine.why(waits).expect("on record").blocker;
    assert!(matches!(blocker(), Blocker::Busy { .. }), "{:?}", blocker());
    let view = engine.fresh_view(SYNC);
    assert_eq!(view.node(node).expect("seen").node.total, set("cpus:4,mem:50,disk:7"));
    // What it never had is still too much.
    let too_big = put(&engine, JobTypeSpec::new("c", "1").needs(set("cpus:5")));
    let too_big = submit(&engine, named("third").jobs(JobRequest::new(too_big))).first_job;
    let blocker = engine.why(too_big).expect("on record").blocker;
    assert!(matches!(blocker, Blocker::TooBig { .. }), "{blocker:?}");
}

#[test]
fn a_node_first_seen_while_work_runs_there_has_more_than_it_offers() {
    check_first_seen_while_work_runs(|engine, offer| assert!(engine.offer(offer).is_empty()));
    check_first_seen_while_work_runs(|engine, offer| {
        engine.hold_offer(offer);
        assert!(engine.pass().is_empty());
    });
}
