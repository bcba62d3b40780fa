//! Why what is queued does not start, in each situation that there is, as it is told to people.

#[path = "explain/cluster.rs"]
mod cluster;
#[path = "common/hand_clock.rs"]
mod hand_clock;
#[path = "explain/journal.rs"]
mod journal;
#[path = "explain/nodes.rs"]
mod nodes;
#[path = "explain/waiting.rs"]
mod waiting;

use std::time::Duration;

use hand_clock::HandClock;
use weighbridge::{
    Accepted, Blocker, Constraint, Demand, Engine, JobId, JobRequest, JobTypeId, JobTypeSpec, NodeChange,
    NodeId, NodeResources, Offer, Options, Outcome, Policy, Reserving, SchedulerChange, StatusUpdate,
    Submission, SubmissionId, TaskState, Timestamp, TypePolicy, Usage, Why,
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

    fn at(&self, seconds: i64) {
        self.clock.set(seconds);
    }

    fn kind(&self, name: &str, needs: &str) -> JobTypeId {
        let spec = JobTypeSpec::new(name, "1").needs(set(needs));
        self.engine.put_job_type(spec).expect("room").wait_durable(SYNC).expect("a type")
    }

    fn submit(&mut self, kind: JobTypeId, count: u32) -> Accepted {
        self.submit_at(kind, count, 100)
    }

    fn submit_at(&mut self, kind: JobTypeId, count: u32, priority: i32) -> Accepted {
        self.n_submissions += 1;
        let id = SubmissionId::new(&format!("s{}", self.n_submissions)).expect("an id");
        let submission = Submission::new(id).jobs(JobRequest::new(kind).count(count).priority(priority));
        self.engine.submit(submission).expect("room").wait_durable(SYNC).expect("accepted")
    }

    fn node(&self, id: u32, total: &str) {
        self.engine.declare_node(NodeId(id), &format!("n{id}"), &set(total));
    }

    fn limit(&self, kind: JobTypeId, limit: u32) {
        self.engine.set_limit(kind, Some(limit)).expect("room").wait_durable(SYNC).expect("set");
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

    /// Everything that runs on a node ends.
    fn end_all(&self, node: u32) {
        for run in self.engine.running().into_iter().filter(|run| run.node == NodeId(node)) {
            let state = TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
            let update = StatusUpdate { name: run.name, state, when: self.engine.now() };
            self.engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
        }
    }

    fn why(&self, job: u64) -> Why {
        self.engine.why(JobId(job)).expect("on record")
    }

    #[track_caller]
    fn says(&self, job: u64, text: &str) {
        assert_eq!(self.why(job).to_string(), text);
    }
}

fn demand(attribute: &str, is: Demand) -> Constraint {
    Constraint { attribute: attribute.to_owned(), is, is_soft: false }
}

#[test]
fn what_is_too_big_is_told_so_with_what_is_short_and_where() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("large", "cpus:2,mem:9000");
    site.submit(kind, 1);
    site.says(1, "job 1 is QUEUED, number 1 of 1: no node was offered yet");
    site.node(1, "cpus:8,mem:4096");
    site.node(2, "cpus:1,mem:8192");
    let too_big = "job 1 is QUEUED, number 1 of 1: can never be placed here: \
                   mem: asks for 9000, 4904 short on 2 nodes, nearest n1 with 4096";
    site.says(1, too_big);
    site.node(3, "cpus:2,mem:9000");
    site.says(1, "job 1 is QUEUED, number 1 of 1: is next");
}

#[test]
fn limits_and_pauses_are_told_before_what_is_busy() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    site.node(1, "cpus:2");
    site.limit(kind, 1);
    site.submit(kind, 3);
    assert_eq!(site.pass(), [(1, 1)]);
    site.says(3, "job 3 is QUEUED, number 2 of 2: job type 1 is at its limit: 1 of 1 run");
    site.at(90);
    site.engine.pause(kind, true).expect("room").wait_durable(SYNC).expect("set");
    site.says(3, "job 3 is QUEUED, number 2 of 2: job type 1 is paused since 1970-01-01T00:01:30Z");
}

#[test]
fn what_runs_on_declared_nodes_is_taken_from_what_they_have_free_and_given_back() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:2");
    site.node(1, "cpus:3");
    site.node(2, "cpus:1");
    site.submit(kind, 3);
    assert_eq!(site.pass(), [(1, 1)]);
    let busy = "waits for room: cpus: asks for 2, 1 short on 1 node, nearest n1 with 1";
    site.says(3, &format!("job 3 is QUEUED, number 2 of 2: {busy}"));
    site.end_all(1);
    site.says(2, "job 2 is QUEUED, number 1 of 2: is next");
    site.says(3, "job 3 is QUEUED, number 2 of 2: it fits, and 1 comes first");
    let view = site.engine.fresh_view(SYNC);
    assert_eq!(view.node(NodeId(1)).expect("known").node.free, set("cpus:3"));
}

/// A large job that was passed over, for which node 1 is kept since second 90, and small ones behind it.
fn kept() -> Site {
    let policy = Policy::default().with_starvation(1_000, 60);
    let mut site = Site::new(policy);
    let (large, small) = (site.kind("large", "cpus:4"), site.kind("small", "cpus:1"));
    site.node(1, "cpus:4");
    site.submit(small, 3);
    assert_eq!(site.pass(), [(1, 1), (2, 1), (3, 1)]);
    site.at(30);
    site.submit(large, 1);
    assert_eq!(site.pass(), []);
    site.at(90);
    assert_eq!(site.pass(), []);
    site.submit(small, 9);
    assert_eq!(site.pass(), []);
    site
}

#[test]
fn who_holds_a_node_and_for_whom_it_is_kept_is_told_to_both() {
    let site = kept();
    let kept =
        "would fit now on 1 node, kept for others: n1 for execution 4 of job 4 since 1970-01-01T00:01:30Z";
    site.says(5, &format!("job 5 is QUEUED, number 2 of 10: {kept}"));
    let holds = "job 4 is QUEUED, number 1 of 10: node n1 is kept for it since 1970-01-01T00:01:30Z, \
                 lacks 3 cpus there";
    site.says(4, holds);
    site.end_all(1);
    assert!(matches!(site.why(4).blocker, Blocker::Next), "{}", site.why(4));
    assert!(matches!(site.why(5).blocker, Blocker::Kept { n_nodes: 1, .. }), "{}", site.why(5));
    // Once it does not wait any more, nothing is kept.
    site.engine.cancel(vec![JobId(4)]).expect("room").wait_durable(SYNC).expect("canceled");
    site.says(5, "job 5 is QUEUED, number 1 of 9: is next");
}

#[test]
fn who_ends_in_time_is_not_kept_from_a_node() {
    let mut policy = Policy::default().with_starvation(1_000, 60);
    policy.named.insert("small".to_owned(), TypePolicy::default().with_estimate(100));
    policy.named.insert("short".to_owned(), TypePolicy::default().with_estimate(10));
    let mut site = Site::new(policy);
    let (large, small) = (site.kind("large", "cpus:4"), site.kind("small", "cpus:1"));
    let short = site.kind("short", "cpus:1");
    site.node(1, "cpus:4");
    site.submit(small, 3);
    assert_eq!(site.pass().len(), 3);
    site.at(30);
    site.submit(large, 1);
    assert_eq!(site.pass(), []);
    site.at(90);
    assert_eq!(site.pass(), []);
    site.submit(small, 1);
    site.submit(short, 1);
    let kept =
        "n1 for execution 4 of job 4 since 1970-01-01T00:01:30Z, expected to start at 1970-01-01T00:01:40Z";
    site.says(
        5,
        &format!("job 5 is QUEUED, number 2 of 3: would fit now on 1 node, kept for others: {kept}"),
    );
    site.says(6, "job 6 is QUEUED, number 3 of 3: it fits, and 2 come first");
    assert_eq!(site.pass(), [(6, 1)], "and so does the pass");
}

#[test]
fn reservations_of_one_pass_are_told_too() {
    let mut site = Site::new(Policy::default().with_reserving(Reserving::PerPass));
    let (large, small) = (site.kind("large", "cpus:4"), site.kind("small", "cpus:1"));
    site.node(1, "cpus:4");
    site.submit(small, 1);
    assert_eq!(site.pass(), [(1, 1)]);
    // More important than what runs, so that the node is closed for it until that has ended.
    site.submit_at(large, 1, 10);
    site.submit(small, 1);
    assert_eq!(site.pass(), []);
    let kept =
        "would fit now on 1 node, kept for others: n1 for execution 2 of job 2 since 1970-01-01T00:00:00Z";
    site.says(3, &format!("job 3 is QUEUED, number 2 of 2: {kept}"));
    site.submit_at(small, 1, 1);
    site.says(4, "job 4 is QUEUED, number 1 of 3: is next");
    assert_eq!(site.pass().first(), Some(&(4, 1)), "it comes before whom the node is kept for");
}

#[test]
fn demands_are_told_with_how_many_nodes_meet_each() {
    let mut policy = Policy::default();
    let own = TypePolicy::default()
        .with_constraint(demand("rack", Demand::In(vec!["a".to_owned(), "b".to_owned()])))
        .with_constraint(demand("disk", Demand::Equals("ssd".to_owned())))
        .with_constraint(Constraint { is_soft: true, ..demand("zone", Demand::Equals("z".to_owned())) });
    policy.named.insert("a".to_owned(), own);
    let mut site = Site::new(policy);
    let kind = site.kind("a", "cpus:1");
    let node = |id: u32, rack: &str, disk: &str| {
        let offer = Offer::new(NodeId(id), set("cpus:1")).named(format!("n{id}"));
        site.engine.declare(&offer.attribute("rack", rack).attribute("disk", disk));
    };
    node(1, "c", "hdd");
    node(2, "c", "ssd");
    node(3, "a", "hdd");
    site.submit(kind, 2);
    assert_eq!(site.pass(), []);
    let told = "no node of 3 nodes is what its type demands: rack is one of a, b (1 node); disk is ssd (1 node); \
                nearest n2, but for: rack is one of a, b";
    site.says(1, &format!("job 1 is QUEUED, number 1 of 2: {told}"));
    let offer = Offer::new(NodeId(4), set("cpus:1")).named("n4");
    site.engine.declare(&offer.attribute("rack", "b").attribute("disk", "ssd"));
    site.says(1, "job 1 is QUEUED, number 1 of 2: is next");
    assert_eq!(site.pass(), [(1, 4)]);
    // The others have room, but are no choice.
    let busy = "waits for room: cpus: asks for 1, 1 short on 1 node, nearest n4 with 0";
    site.says(2, &format!("job 2 is QUEUED, number 1 of 1: {busy}"));
}

#[test]
fn in_a_strict_order_the_one_in_front_is_named() {
    let mut site = Site::new(Policy::default().strict(true).with_reserving(Reserving::Never));
    let (large, small) = (site.kind("large", "cpus:4"), site.kind("small", "cpus:1"));
    site.node(1, "cpus:4");
    site.submit(small, 1);
    assert_eq!(site.pass(), [(1, 1)]);
    site.submit(large, 1);
    site.submit(small, 1);
    assert_eq!(site.pass(), []);
    let strict = "the order is strict: job 2 of job type 1 comes first, which an empty node could take";
    site.says(3, &format!("job 3 is QUEUED, number 2 of 2: {strict}"));
    assert!(matches!(site.why(2).blocker, Blocker::Busy { .. }), "{}", site.why(2));
}

#[test]
fn who_was_overtaken_is_told_by_how_many_and_since_when() {
    let mut site = Site::new(Policy::default());
    let (large, small) = (site.kind("large", "cpus:4"), site.kind("small", "cpus:1"));
    site.node(1, "cpus:4");
    site.submit(small, 2);
    assert_eq!(site.pass().len(), 2);
    site.at(30);
    site.submit(large, 1);
    site.submit(small, 5);
    assert_eq!(site.pass().len(), 2);
    let passed = "overtaken by 2 since 1970-01-01T00:00:30Z";
    let busy = "waits for room: cpus: asks for 4, 4 short on 1 node, nearest n1 with 0";
    site.says(3, &format!("job 3 is QUEUED, number 1 of 4: {busy}; {passed}"));
}

#[test]
fn nodes_and_a_scheduler_that_are_paused_are_told() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:2");
    site.node(1, "cpus:2");
    site.node(2, "cpus:1");
    site.submit(kind, 1);
    assert_eq!(site.engine.put_node("n1").expect("room").wait_durable(SYNC).expect("known"), NodeId(1));
    let pause = NodeChange { is_paused: Some(true), ..NodeChange::default() };
    site.engine.edit_node(NodeId(1), pause).expect("room").wait_durable(SYNC).expect("set");
    assert_eq!(site.pass(), []);
    site.says(1, "job 1 is QUEUED, number 1 of 1: the only node that could take it is paused: n1");
    let pause = SchedulerChange { is_paused: Some(true), ..SchedulerChange::default() };
    site.engine.edit_scheduler(pause).expect("room").wait_durable(SYNC).expect("set");
    site.says(1, "job 1 is QUEUED, number 1 of 1: the scheduler is paused");
}
