//! What a pass promises beside the best node: who is passed over gets a node kept, what is demanded of
//! nodes is held, and where our policy and Scale's rules part.

#[path = "pass/differences.rs"]
mod differences;
#[path = "pass/starvation.rs"]
mod starvation;

use weighbridge::{
    Constraint, ConstraintSetId, Demand, Entry, ExeId, JobId, JobTypeId, NodeId, NodeResources, PassPick,
    PassSummary, Policy, RunningShare, Scheduler, SchedulingNode, Score, TenantId, Timestamp, TypePolicy,
};

const FIRST: JobTypeId = JobTypeId(1);
const SECOND: JobTypeId = JobTypeId(2);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn set(text: &str) -> NodeResources {
    text.parse().expect("resources")
}

/// A scheduler, and a short way to say what happens.
struct Cluster {
    scheduler: Scheduler,
}

impl Cluster {
    fn new(policy: Policy) -> Self {
        Self { scheduler: Scheduler::new(policy) }
    }

    fn node(&mut self, id: u32, resources: &str) -> &mut Self {
        self.scheduler.set_node(SchedulingNode::idle(NodeId(id), &set(resources)));
        self
    }

    fn rack(&mut self, id: u32, resources: &str, rack: &str) -> &mut Self {
        let mut node = SchedulingNode::idle(NodeId(id), &set(resources));
        node.attributes.insert("rack".to_owned(), rack.to_owned());
        self.scheduler.set_node(node);
        self
    }

    /// A node on which something runs to an end that is known or not.
    fn busy(&mut self, id: u32, resources: &str, running: &[(&str, Option<i64>)]) -> &mut Self {
        let mut node = SchedulingNode::idle(NodeId(id), &set(resources));
        for (asks, ends) in running {
            node.offered = node.offered.minus(&set(asks)).expect("it fits");
            let share = RunningShare::new(100, set(asks));
            node.running.push(RunningShare { ends: ends.map(at), ..share });
        }
        self.scheduler.set_node(node);
        self
    }

    fn queue(&mut self, id: u64, job_type: JobTypeId, priority: i32, asks: &str) -> &mut Self {
        let asks = self.scheduler.queue_mut().intern(&set(asks));
        let entry = Entry {
            id: ExeId(id),
            job: JobId(id),
            job_type,
            tenant: TenantId::default(),
            constraints: ConstraintSetId::default(),
            priority,
            queued: Timestamp(i64::try_from(id).expect("small")),
            asks,
        };
        self.scheduler.queue_mut().insert(entry).expect("new");
        self
    }

    fn pass(&mut self, seconds: i64) -> (Vec<(u64, u32)>, PassSummary) {
        let mut picks: Vec<PassPick> = Vec::new();
        let summary = self.scheduler.pass(at(seconds), usize::MAX, &mut picks);
        for pick in &picks {
            self.scheduler.queue_mut().launch(pick.entry.id);
        }
        (picks.iter().map(|pick| (pick.entry.id.0, pick.node.0)).collect(), summary)
    }

    fn picks(&mut self, seconds: i64) -> Vec<(u64, u32)> {
        self.pass(seconds).0
    }

    fn reserved(&self) -> Vec<(u64, u32)> {
        self.scheduler.reservations().map(|kept| (kept.exe.0, kept.node.0)).collect()
    }
}

fn rack(is: Demand, is_soft: bool) -> Policy {
    let constraint = Constraint { attribute: "rack".to_owned(), is, is_soft };
    Policy::default().with_job_type(FIRST, TypePolicy::default().with_constraint(constraint))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_job_type_runs_only_where_its_demands_are_met() {
    let demands = [
        (Demand::Equals("b".to_owned()), vec![(1, 2)]),
        (Demand::In(words(&["b", "c"])), vec![(1, 2), (2, 3)]),
        (Demand::NotIn(words(&["a", "c"])), vec![(1, 2), (2, 4)]),
    ];
    for (demand, expected) in demands {
        let mut cluster = Cluster::new(rack(demand.clone(), false));
        cluster.rack(1, "cpus:1", "a").rack(2, "cpus:1", "b").rack(3, "cpus:1", "c").node(4, "cpus:1");
        (1..=3).for_each(|id| {
            cluster.queue(id, FIRST, 1, "cpus:1");
        });
        assert_eq!(cluster.picks(0), expected, "{demand:?}");
        cluster.queue(9, SECOND, 1, "cpus:1");
        assert_eq!(cluster.picks(0).len(), 1, "another type goes anywhere");
    }
}

#[test]
fn a_soft_demand_is_met_first_and_then_forgone() {
    let mut cluster = Cluster::new(rack(Demand::Equals("b".to_owned()), true));
    cluster.rack(1, "cpus:1", "a").rack(2, "cpus:8", "b").rack(3, "cpus:1", "c");
    (1..=10).for_each(|id| {
        cluster.queue(id, FIRST, 1, "cpus:1");
    });
    let nodes: Vec<u32> = cluster.picks(0).iter().map(|(_, node)| *node).collect();
    assert_eq!(nodes, [2, 2, 2, 2, 2, 2, 2, 2, 1, 3]);
}

#[test]
fn executions_are_spread_over_the_values_of_an_attribute() {
    let mut cluster = Cluster::new(rack(Demand::Spread, false));
    cluster.rack(1, "cpus:9", "a").rack(2, "cpus:9", "a").rack(3, "cpus:9", "b").rack(4, "cpus:9", "c");
    (1..=6).for_each(|id| {
        cluster.queue(id, FIRST, 1, "cpus:1");
    });
    let nodes: Vec<u32> = cluster.picks(0).iter().map(|(_, node)| *node).collect();
    assert_eq!(nodes, [1, 3, 4, 1, 3, 4], "two on each rack");
    // What runs there already counts, and what ended does not.
    let mut node = SchedulingNode::idle(NodeId(1), &set("cpus:9"));
    node.attributes.insert("rack".to_owned(), "a".to_owned());
    cluster.scheduler.set_node(node);
    cluster.queue(7, FIRST, 1, "cpus:1").queue(8, FIRST, 1, "cpus:1");
    assert_eq!(cluster.picks(0), [(7, 1), (8, 1)]);
}

#[test]
fn each_score_chooses_another_node() {
    let choose = |score| {
        let mut cluster = Cluster::new(Policy::default().with_score(score));
        cluster.scheduler.set_type(FIRST, set("cpus:2,mem:1"));
        cluster.scheduler.set_type(SECOND, set("cpus:1,mem:50"));
        cluster
            .node(1, "cpus:3,mem:100")
            .node(2, "cpus:9,mem:100")
            .node(3, "cpus:9,mem:20")
            .node(4, "cpus:4,mem:60");
        cluster.queue(1, FIRST, 1, "cpus:2,mem:15").picks(0)[0].1
    };
    assert_eq!(choose(Score::Scale), 1, "fits one more type beside, and comes first");
    assert_eq!(choose(Score::BestFit), 4);
    assert_eq!(choose(Score::Spread), 2);
    assert_eq!(choose(Score::DominantShare), 2, "two ninths of its cores");
}

#[test]
fn a_job_type_may_have_a_score_of_its_own() {
    let own = TypePolicy::default().with_score(Score::Spread);
    let mut cluster = Cluster::new(Policy::default().with_job_type(SECOND, own));
    cluster.node(1, "cpus:2").node(2, "cpus:8");
    cluster.queue(1, FIRST, 1, "cpus:1").queue(2, SECOND, 1, "cpus:1");
    assert_eq!(cluster.picks(0), [(1, 1), (2, 2)]);
}

#[test]
fn what_was_picked_stays_taken_when_a_new_resource_comes_up() {
    let mut cluster = Cluster::new(Policy::default());
    cluster.node(1, "cpus:2,licences:1").queue(1, FIRST, 1, "cpus:1");
    assert_eq!(cluster.picks(0), [(1, 1)]);
    // A name that nobody asked for before: amounts are laid out anew.
    cluster.queue(2, FIRST, 1, "cpus:1,licences:1").queue(3, FIRST, 1, "cpus:1");
    assert_eq!(cluster.picks(0), [(2, 1)]);
}

#[test]
fn nodes_that_come_in_any_order_are_taken_by_id_among_equals() {
    let mut cluster = Cluster::new(Policy::default());
    cluster.node(7, "cpus:1").node(3, "cpus:1").node(5, "cpus:1");
    (1..=3).for_each(|id| {
        cluster.queue(id, FIRST, 1, "cpus:1");
    });
    assert_eq!(cluster.picks(0), [(1, 3), (2, 5), (3, 7)]);
}

#[test]
fn a_policy_reads_back_from_its_text_and_refuses_what_it_does_not_know() {
    let policy = rack(Demand::In(words(&["a"])), true).with_score(Score::Spread).strict(true);
    let text = serde_json::to_string(&policy).expect("text");
    assert_eq!(serde_json::from_str::<Policy>(&text).expect("a policy"), policy);
    assert_eq!(serde_json::from_str::<Policy>("{}").expect("a policy"), Policy::default());
    let wrong = serde_json::from_str::<Policy>(r#"{"scores": "spread"}"#).expect_err("unknown");
    assert!(wrong.to_string().contains("unknown field `scores`"), "{wrong}");
}

/// Numbers that are the same on every machine (splitmix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// What a few passes over a few hundred nodes place, as one number.
fn placed(policy: Policy) -> u64 {
    let (mut cluster, mut draw) = (Cluster::new(policy), Draw(5));
    for id in 1..6 {
        let asks = format!("cpus:{},mem:{}", 1 + draw.below(4), 1 + draw.below(32));
        cluster.scheduler.set_type(JobTypeId(id), set(&asks));
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut next = 1;
    for seconds in 0..20 {
        for _ in 0..40 {
            let id = u32::try_from(1 + draw.below(300)).expect("small");
            let resources = format!("cpus:{},mem:{}", draw.below(17), draw.below(129));
            cluster.rack(
                id,
                &resources,
                ["a", "b", "c"][usize::from(id % 3 == 0) + usize::from(id % 5 == 0)],
            );
        }
        for _ in 0..200 {
            let job_type = JobTypeId(u32::try_from(1 + draw.below(5)).expect("small"));
            let priority = i32::try_from(draw.below(4)).expect("small");
            let asks = format!("cpus:{},mem:{}", 1 + draw.below(8), 1 + draw.below(64));
            cluster.queue(next, job_type, priority, &asks);
            next += 1;
        }
        let (picks, summary) = cluster.pass(seconds * 100);
        let reserved = summary.reserved.iter().map(|(exe, node)| (exe.0, node.0));
        for (exe, node) in picks.into_iter().chain(reserved) {
            for part in [exe, u64::from(node)] {
                hash = (hash ^ part).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    hash
}

#[test]
fn the_same_nodes_and_entries_give_the_same_in_every_process() {
    let scores = [Score::Scale, Score::BestFit, Score::Spread, Score::DominantShare];
    let policy = rack(Demand::Spread, false).with_starvation(1_000, 300);
    let placed = scores.map(|score| placed(policy.clone().with_score(score)));
    // Written down by another process, another day.
    assert_eq!(
        placed,
        [
            11_340_034_939_888_762_631,
            9_322_443_797_481_253_564,
            11_912_026_202_008_559_158,
            4_988_770_199_680_320_487
        ]
    );
}
