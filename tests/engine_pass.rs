//! Passes of the engine: over declared nodes and held offers, by a policy, and as Scale decided.

#[path = "common/hand_clock.rs"]
mod hand_clock;
#[path = "../examples/golden/model.rs"]
mod model;
#[path = "../examples/golden/scenario.rs"]
#[allow(dead_code, reason = "the tests of the recorded passes use all of it")]
mod scenario;

use std::path::Path;
use std::time::Duration;

use hand_clock::HandClock;
use model::ModelNode;
use scenario::{Scenario, Scenarios};
use weighbridge::{
    Accepted, BulkKind, Constraint, Demand, Engine, JobFilter, JobId, JobRequest, JobTypeId, JobTypeSpec,
    NodeId, NodeResources, Offer, Options, Outcome, Picks, Policy, QueueMode, ResourceName, ScaleDone, Score,
    StatusUpdate, Submission, SubmissionId, TaskState, TypePolicy, Usage,
};

const SYNC: Duration = Duration::from_secs(20);

fn set(text: &str) -> NodeResources {
    text.parse().expect("resources")
}

struct Site {
    engine: Engine,
    clock: HandClock,
    n_submissions: u32,
}

impl Site {
    fn new(policy: Policy) -> Self {
        let clock = HandClock::default();
        let engine = Engine::in_memory(Options::default().clock(clock.clone()).policy(policy));
        Self { engine, clock, n_submissions: 0 }
    }

    fn kind(&self, name: &str, needs: &str) -> JobTypeId {
        let spec = JobTypeSpec::new(name, "1").needs(set(needs));
        self.engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type")
    }

    fn submit(&mut self, request: JobRequest) -> Accepted {
        self.n_submissions += 1;
        let id = SubmissionId::new(&format!("s{}", self.n_submissions)).expect("an id");
        let submission = Submission::new(id).jobs(request);
        self.engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted")
    }

    fn node(&self, id: u32, total: &str) {
        self.engine.declare_node(NodeId(id), &format!("n{id}"), &set(total));
    }

    /// A pass, put on record: (job, node).
    fn pass(&self) -> Vec<(u64, u32)> {
        let mut placed = Vec::new();
        for picks in self.engine.pass() {
            placed.extend(picks.iter().map(|pick| (pick.job.0, picks.node().0)));
            picks.commit().wait(SYNC).expect("durable");
        }
        placed
    }

    /// Everything that runs ends.
    fn end_all(&self) {
        for run in self.engine.running() {
            let state = TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
            let update = StatusUpdate { name: run.name, state, when: self.engine.now() };
            self.engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
        }
    }
}

#[test]
fn a_pass_fills_declared_nodes_and_sees_what_ends() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:2");
    site.node(1, "cpus:8");
    site.node(2, "cpus:3");
    site.submit(JobRequest::new(kind).count(7));
    assert_eq!(site.pass(), [(2, 1), (3, 1), (4, 1), (5, 1), (1, 2)], "the small node first");
    assert_eq!(site.pass(), []);
    site.end_all();
    assert_eq!(site.pass(), [(7, 1), (6, 2)]);
}

#[test]
fn dropped_picks_change_nothing() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:2");
    site.node(1, "cpus:4");
    site.submit(JobRequest::new(kind).count(3));
    let told = |picks: Vec<Picks<'_>>| {
        picks
            .iter()
            .flat_map(|picks| picks.iter().map(|pick| pick.job.0).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    assert_eq!(told(site.engine.pass()), [1, 2]);
    assert_eq!(told(site.engine.pass()), [1, 2]);
    let open = site.engine.pass();
    assert_eq!(told(site.engine.pass()), [0_u64; 0], "it is promised");
    drop(open);
    assert_eq!(site.pass(), [(1, 1), (2, 1)]);
}

/// A job is picked, canceled in bulk, brought back by an undo and picked again, while who picked it first still
/// holds that pick.
fn picked_twice(asks: &str, first_commits: bool) {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", asks);
    site.engine.declare(&Offer::new(NodeId(1), set("cpus:9,gpus:2")).gpu_slots(2));
    site.submit(JobRequest::new(kind));
    let first = site.engine.pass().remove(0);
    let steps = || while site.engine.bulk_step().expect("a step") {};
    let all = JobFilter::default().jobs([JobId(1)]);
    let order = site.engine.bulk(BulkKind::Cancel, all, None).expect("room");
    let order = order.wait_durable(SYNC).expect("an order");
    steps();
    site.engine.bulk_undo(order).expect("room").wait_durable(SYNC).expect("undone");
    steps();
    let again = site.engine.pass();
    assert_eq!(again.iter().map(Picks::len).sum::<usize>(), 1, "it waits again, and is picked again");
    if first_commits {
        assert_eq!(first.commit().wait(SYNC).expect("durable").len(), 0, "its pick is void");
    } else {
        drop(first);
    }
    assert_eq!(site.pass(), [], "somebody holds it");
    for picks in again {
        assert_eq!(picks.commit().wait(SYNC).expect("durable").len(), 1);
    }
    site.engine.check_invariants();
    site.end_all();
    assert_eq!(site.pass(), []);
    site.engine.check_invariants();
}

#[test]
fn a_pick_that_was_canceled_and_undone_is_of_who_picked_it_last() {
    for asks in ["cpus:1", "gpus:1", "cpus:1,gpus:0.5"] {
        picked_twice(asks, false);
        picked_twice(asks, true);
    }
}

#[test]
fn a_held_offer_is_good_for_one_decision_and_can_be_taken_back() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    site.submit(JobRequest::new(kind).count(9));
    let offer = |id| Offer::new(NodeId(id), set("cpus:2"));
    site.engine.hold_offer(&offer(1));
    site.engine.hold_offer(&offer(2));
    assert!(site.engine.withdraw_offer(NodeId(2)));
    assert!(!site.engine.withdraw_offer(NodeId(2)));
    assert_eq!(site.pass(), [(1, 1), (2, 1)]);
    assert_eq!(site.pass(), [], "nothing is left of it");
    site.engine.hold_offer(&Offer::new(NodeId(1), set("cpus:1")));
    assert_eq!(site.pass(), [(3, 1)]);
}

#[test]
fn limits_and_pauses_hold_over_all_nodes() {
    let mut site = Site::new(Policy::default());
    let (limited, paused) = (site.kind("limited", "cpus:1"), site.kind("paused", "cpus:1"));
    site.engine.set_limit(limited, Some(3)).expect("room").wait_durable(SYNC).expect("set");
    site.engine.pause(paused, true).expect("room").wait_durable(SYNC).expect("set");
    (1..=4).for_each(|id| site.node(id, "cpus:1"));
    site.submit(JobRequest::new(paused).count(4));
    site.submit(JobRequest::new(limited).count(4));
    assert_eq!(site.pass(), [(5, 1), (6, 2), (7, 3)]);
    assert_eq!(site.pass(), []);
}

#[test]
fn a_policy_by_name_holds_for_job_types_that_come_later() {
    let constraint =
        Constraint { attribute: "rack".to_owned(), is: Demand::Equals("b".to_owned()), is_soft: false };
    let mut policy = Policy::default();
    policy.named.insert("a:1".to_owned(), TypePolicy::default().with_constraint(constraint));
    policy.named.insert("b".to_owned(), TypePolicy::default().with_score(Score::Spread));
    let mut site = Site::new(policy);
    site.engine.declare(&Offer::new(NodeId(1), set("cpus:1")).attribute("rack", "a"));
    site.engine.declare(&Offer::new(NodeId(2), set("cpus:2")).attribute("rack", "b"));
    site.engine.declare(&Offer::new(NodeId(3), set("cpus:9")));
    let (a, b) = (site.kind("a", "cpus:1"), site.kind("b", "cpus:1"));
    site.submit(JobRequest::new(a).count(3));
    site.submit(JobRequest::new(b).count(1));
    assert_eq!(site.pass(), [(1, 2), (2, 2), (4, 3)]);
}

#[test]
fn a_node_that_is_kept_takes_nothing_else_whichever_way_it_is_offered() {
    let mut site = Site::new(Policy::default().with_starvation(1_000, 60));
    let (large, small) = (site.kind("large", "cpus:4"), site.kind("small", "cpus:1"));
    site.node(1, "cpus:4");
    site.submit(JobRequest::new(small).count(2));
    assert_eq!(site.pass(), [(1, 1), (2, 1)]);
    site.submit(JobRequest::new(large).count(1));
    site.clock.set(1);
    assert_eq!(site.pass(), []);
    site.clock.set(61);
    assert_eq!(site.pass(), []);
    let kept: Vec<_> = site.engine.reservations().iter().map(|kept| kept.node.0).collect();
    assert_eq!(kept, [1]);
    site.submit(JobRequest::new(small).count(9));
    assert_eq!(site.pass(), []);
    assert!(site.engine.offer_declared(NodeId(1)).is_empty());
    assert!(site.engine.offer(&Offer::new(NodeId(1), set("cpus:2"))).is_empty());
    site.end_all();
    let picks = site.engine.offer_declared(NodeId(1));
    assert_eq!(picks.iter().map(|pick| pick.job.0).collect::<Vec<_>>(), [3]);
    drop(picks);
    assert_eq!(site.pass(), [(3, 1)]);
    assert!(site.engine.reservations().is_empty());
}

/// Recorded passes in which Scale passes over what could run: job types that it takes for unmet or does not
/// know.
const PASSED_OVER: [u64; 5] = [42, 63, 136, 140, 148];

/// The recorded passes that an engine can be brought into: what runs has a job, nothing is given away.
fn is_representable(scenario: &Scenario) -> bool {
    let is_plain = |node: &ModelNode| {
        node.is_ready && node.pre.is_empty() && node.running.iter().all(|running| running.is_current)
    };
    // What a job asks for is laid over what its type asks for.
    let is_standard =
        |needs: &NodeResources| needs.iter().all(|(name, _)| ResourceName::STANDARD.contains(&name.as_str()));
    scenario.type_resources.iter().all(is_standard)
        && scenario.nodes.iter().all(is_plain)
        && scenario.entries.iter().all(|entry| !entry.is_canceled)
}

/// Brings an engine into a recorded scenario, runs one pass, and gives (entry, node).
fn play(scenario: &Scenario) -> Vec<(u64, u32)> {
    let mut site = Site::new(Policy::scale());
    if scenario.rules.mode == QueueMode::Lifo {
        site.engine.set_mode(None, Some(QueueMode::Lifo)).expect("room").wait_durable(SYNC).expect("set");
    }
    let mut kinds = std::collections::BTreeMap::new();
    for (kind, needs) in scenario.rules.types.iter().zip(&scenario.type_resources) {
        let spec = JobTypeSpec::new(kind.name.clone(), "1").needs(needs.clone());
        let id = site.engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type");
        kinds.insert(kind.id, id);
    }
    let any = *kinds.values().next().expect("a type");
    // What runs: put there one by one.
    for node in &scenario.nodes {
        let other = node.other.iter().fold(NodeResources::new(), |sum, set| sum.plus(set));
        let total = node.watermark.minus(&other).expect("what is in use is there");
        site.engine.declare_node(node.id, "n", &total);
        for running in &node.running {
            let request = JobRequest::new(any).needs(running.resources.clone()).priority(running.priority);
            site.submit(request);
            let picks = site.engine.offer(&Offer::new(node.id, running.resources.clone()));
            assert_eq!(
                picks.len(),
                1,
                "{} {}: {:?}",
                scenario.number,
                running.resources,
                site.engine.waiting()
            );
            picks.commit().wait(SYNC).expect("durable");
        }
        site.engine.declare_node(node.id, "n", &total);
    }
    let mut entries: Vec<_> = scenario.entries.iter().collect();
    entries.sort_by_key(|entry| (entry.queued, entry.id));
    let mut entry_of = std::collections::BTreeMap::new();
    for entry in entries {
        site.clock.set(1 + entry.queued.0 / 1_000);
        let request =
            JobRequest::new(kinds[&entry.job_type]).needs(entry.asks.clone()).priority(entry.priority);
        let accepted = site.submit(request);
        entry_of.insert(accepted.first_job.0, entry.id.0);
    }
    for kind in &scenario.rules.types {
        if let Some(limit) = kind.max_scheduled.filter(|limit| *limit > 0) {
            let limited = site.engine.set_limit(kinds[&kind.id], Some(limit));
            limited.expect("room").wait_durable(SYNC).expect("set");
        }
    }
    for node in &scenario.nodes {
        site.engine.hold_offer(&Offer::new(node.id, node.offered.clone()).named("n"));
    }
    let mut placed: Vec<_> = site.pass().into_iter().map(|(job, node)| (entry_of[&job], node)).collect();
    placed.sort_unstable();
    placed
}

#[test]
fn what_scale_decided_in_recorded_passes_an_engine_decides() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sample.jsonl");
    let mut scenarios = Scenarios::open(&path).expect("the sample is there");
    let (mut n_played, mut n_placed) = (0, 0);
    while let Some(scenario) = scenarios.next().expect("a scenario on each line") {
        if !is_representable(&scenario) {
            continue;
        }
        let report = scenario.rules.pass(&scenario.entries, &mut scenario.model());
        let scheduled = report.done.iter().filter_map(|done| match done {
            ScaleDone::Scheduled { entry, node, .. } => Some((entry.0, node.0)),
            ScaleDone::Drained { .. } => None,
        });
        let mut expected: Vec<_> = scheduled.collect();
        expected.sort_unstable();
        let found = play(&scenario);
        if PASSED_OVER.contains(&scenario.number) {
            assert_ne!(found, expected, "scenario {}", scenario.number);
        } else {
            assert_eq!(found, expected, "scenario {}", scenario.number);
            n_played += 1;
            n_placed += found.len();
        }
    }
    assert_eq!((n_played, n_placed), (22, 31));
}
