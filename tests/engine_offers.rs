//! Offers of a cluster in the engine: several of one agent, held until a pass uses them or they end in another
//! way; against a plain list of what is held, over restarts.

#[path = "common/hand_clock.rs"]
mod hand_clock;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hand_clock::HandClock;
use proptest::prelude::*;
use weighbridge::{
    AgentId, DeclineReason, Durable, Engine, HeldOffer, JobRequest, JobTypeId, JobTypeSpec, Launch,
    LaunchName, NewOffer, NodeChange, NodeId, NodeNews, NodeResources, NodeState, Offer, OfferAdded, OfferId,
    Options, Outcome, Outgoing, PendingLaunches, Picks, Policy, Quantity, RoleAmount, Roles, SchedulerChange,
    SlotShare, StatusUpdate, Submission, SubmissionId, TaskState, Timestamp, Usage, View,
};

const SYNC: Duration = Duration::from_secs(20);

fn set(text: &str) -> NodeResources {
    text.parse().expect("resources")
}

fn id(text: &str) -> OfferId {
    OfferId::new(text).expect("a name")
}

fn agent(text: &str) -> AgentId {
    AgentId::new(text).expect("a name")
}

fn new_offer(name: &str, of: &str, host: &str, has: &NodeResources) -> NewOffer {
    let amounts = has.iter().map(|(name, amount)| RoleAmount {
        role: Roles::ANY.into(),
        name: name.as_str().to_owned(),
        amount,
    });
    NewOffer {
        id: id(name),
        agent: agent(of),
        host: host.to_owned(),
        amounts: amounts.collect(),
        attributes: BTreeMap::from([("rack".to_owned(), "a".to_owned())]),
    }
}

fn ended() -> TaskState {
    TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() }
}

struct Site {
    directory: tempfile::TempDir,
    clock: HandClock,
    engine: Engine,
    kind: JobTypeId,
    n_submissions: u32,
    n_offers: u32,
}

impl Site {
    fn new(options: Options) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = HandClock::default();
        clock.advance(1_000_000);
        let engine = Engine::open(directory.path(), options.clock(clock.clone())).expect("a store");
        let kind = engine.put_job_type(JobTypeSpec::new("a", "1")).expect("room");
        let kind = kind.wait_durable(SYNC).expect("a type");
        Self { directory, clock, engine, kind, n_submissions: 0, n_offers: 0 }
    }

    fn restart(&mut self) {
        self.engine.clone().close().expect("closed");
        let options = Options::default().clock(self.clock.clone());
        self.engine = Engine::open(self.directory.path(), options).expect("a store");
    }

    fn submit(&mut self, needs: &str, count: u32) {
        self.n_submissions += 1;
        let submission =
            Submission::new(SubmissionId::new(&format!("s{}", self.n_submissions)).expect("an id"));
        let request = JobRequest::new(self.kind).needs(set(needs)).count(count);
        let accepted = self.engine.submit(submission.jobs(request)).expect("room").wait_durable(SYNC);
        accepted.expect("accepted");
    }

    fn offer(&mut self, of: &str, host: &str, has: &str) -> String {
        self.n_offers += 1;
        let name = format!("o{}", self.n_offers);
        let arrival = self.engine.offered(&new_offer(&name, of, host, &set(has)));
        assert_eq!(arrival.outcome, Ok(OfferAdded::Held));
        name
    }

    fn held(&self) -> BTreeSet<String> {
        self.engine.cluster(|cluster| cluster.offers().iter().map(|offer| offer.id().to_string()).collect())
    }

    /// Commits all picks of a pass: by node the offers and the launches.
    fn pass(&self) -> Vec<(u32, Vec<String>, Vec<LaunchName>)> {
        let picks = self.engine.pass();
        let mut told = Vec::new();
        for picks in picks {
            let node = picks.node().0;
            let mut pending = picks.commit();
            let launches = pending.wait(SYNC).expect("durable");
            told.push((node, names(pending.offers()), launches.iter().map(|l| l.get().name).collect()));
        }
        told
    }

    fn report(&self, name: LaunchName, state: TaskState) {
        let update = StatusUpdate { name, state, when: self.engine.now() };
        self.engine.status(update).expect("room").wait_durable(SYNC).expect("taken");
    }
}

fn names(offers: &[HeldOffer]) -> Vec<String> {
    offers.iter().map(|offer| offer.id().to_string()).collect()
}

fn launch(exe: u64, number: u32) -> LaunchName {
    LaunchName { exe: weighbridge::ExeId(exe), number }
}

#[test]
fn offers_of_one_agent_are_decided_on_together_and_go_along_with_what_they_cover() {
    let mut site = Site::new(Options::default());
    site.submit("cpus:3,mem:10", 2);
    let (first, second) =
        (site.offer("a1", "one", "cpus:2,mem:10"), site.offer("a1", "one", "cpus:2,mem:10"));
    let third = site.offer("a2", "two", "cpus:2");
    assert_eq!(site.pass(), [(1, vec![first, second], vec![launch(1, 1)])]);
    assert_eq!(site.held(), BTreeSet::from([third]), "what was not needed is there for what comes");
    // What is left of them comes as another offer; it is not there before.
    assert_eq!(site.pass(), []);
    let rest = site.offer("a1", "one", "cpus:9,mem:10");
    assert_eq!(site.pass(), [(1, vec![rest], vec![launch(2, 1)])]);
    let numbers = site.engine.cluster(|cluster| cluster.sums(site.engine.now()).get("cpus"));
    assert_eq!((numbers.running, numbers.offered), (Quantity::whole(6), Quantity::whole(2)));
}

#[test]
fn what_ended_between_a_pass_and_its_commit_is_not_used() {
    let mut site = Site::new(Options::default());
    site.submit("cpus:2", 3);
    let (first, second) = (site.offer("a1", "one", "cpus:4"), site.offer("a1", "one", "cpus:2"));
    let engine = site.engine.clone();
    let mut picks = engine.pass();
    assert_eq!(picks.iter().map(Picks::len).collect::<Vec<_>>(), [3]);
    assert!(site.engine.rescinded(&id(&first)).is_some());
    let mut pending = picks.remove(0).commit();
    let launches: Vec<_> = pending.wait(SYNC).expect("durable").iter().map(|l| l.get().name).collect();
    assert_eq!((launches, names(pending.offers())), (vec![launch(1, 1)], vec![second]));
    assert!(site.engine.rescinded(&id(&first)).is_none(), "it ended");
    // The others wait in their places.
    let more = site.offer("a1", "one", "cpus:2");
    assert_eq!(site.pass(), [(1, vec![more], vec![launch(2, 1)])]);
    // With its agent all of it is gone.
    site.offer("a1", "one", "cpus:2");
    let picks = engine.pass();
    let lost = site.engine.agent_lost(&agent("a1")).expect("it was there");
    assert_eq!((lost.offers.len(), lost.launches), (1, vec![launch(1, 1), launch(2, 1)]));
    for picks in picks {
        let mut pending = picks.commit();
        assert!(pending.wait(SYNC).expect("durable").is_empty() && pending.offers().is_empty());
    }
    engine.check_invariants();
}

#[test]
fn launches_that_nobody_waits_for_come_out_with_their_offers() {
    let mut site = Site::new(Options::default());
    let check = |site: &mut Site, how: fn(Picks<'_>)| {
        site.submit("cpus:1", 2);
        let offer = site.offer("a1", "one", "cpus:2");
        site.engine.pass().into_iter().for_each(how);
        assert!(site.engine.settle(SYNC));
        let mut out = site.engine.outgoing(SYNC);
        let Some(Outgoing::Accept { offers, launches }) = out.pop() else { panic!("{out:?}") };
        assert_eq!((names(&offers), launches.len(), out.len()), (vec![offer], 2, 0));
    };
    check(&mut site, |picks| assert_eq!(picks.hand_over(), 2));
    check(&mut site, |picks| drop(picks.commit()));
}

#[test]
fn what_needs_nothing_needs_an_offer() {
    let mut site = Site::new(Options::default());
    site.submit("", 2);
    let offer = site.offer("a1", "one", "mem:1");
    site.offer("a1", "one", "mem:2");
    assert_eq!(site.pass(), [(1, vec![offer], vec![launch(1, 1), launch(2, 1)])]);
}

#[test]
fn nothing_new_starts_on_a_node_that_is_not_ready() {
    let mut site = Site::new(Options::default().nodes_need_setup(true));
    site.submit("cpus:1", 9);
    site.offer("a1", "one", "cpus:1");
    let node = NodeId(1);
    let hear = |site: &Site, news: NodeNews| site.engine.hear(node, news).expect("it is there");
    let n_started = |site: &mut Site| {
        let n = site.pass().iter().map(|(_, _, launches)| launches.len()).sum::<usize>();
        if n > 0 {
            site.offer("a1", "one", "cpus:1");
        }
        n
    };
    assert_eq!(n_started(&mut site), 0);
    assert_eq!(hear(&site, NodeNews::Cleaned), NodeState::ImagePull);
    assert_eq!(n_started(&mut site), 0);
    assert_eq!(hear(&site, NodeNews::ImagePulled), NodeState::Ready);
    assert_eq!(n_started(&mut site), 1);
    assert_eq!(hear(&site, NodeNews::Error(true)), NodeState::Degraded);
    assert_eq!(n_started(&mut site), 0);
    assert_eq!(hear(&site, NodeNews::Error(false)), NodeState::Ready);
    assert_eq!(n_started(&mut site), 1);
    let edit = |site: &Site, is_paused: bool| {
        let change = NodeChange { is_paused: Some(is_paused), ..NodeChange::default() };
        site.engine.edit_node(node, change).expect("room").wait_durable(SYNC).expect("changed");
        site.engine.cluster(|cluster| cluster.get(node, site.engine.now()).expect("there").state)
    };
    assert_eq!((edit(&site, true), n_started(&mut site)), (NodeState::Paused, 0));
    assert_eq!((edit(&site, false), n_started(&mut site)), (NodeState::Ready, 1));
    let stop = |site: &Site, is_paused: bool| {
        let change = SchedulerChange { is_paused: Some(is_paused), ..SchedulerChange::default() };
        site.engine.edit_scheduler(change).expect("room").wait_durable(SYNC).expect("changed");
        site.engine.cluster(|cluster| cluster.get(node, site.engine.now()).expect("there").state)
    };
    assert_eq!((stop(&site, true), n_started(&mut site)), (NodeState::SchedulerStopped, 0));
    assert_eq!((stop(&site, false), n_started(&mut site)), (NodeState::Ready, 1));
    // Its agent may be gone before anybody says that it is lost.
    assert_eq!((hear(&site, NodeNews::Online(false)), n_started(&mut site)), (NodeState::Offline, 0));
    assert_eq!(hear(&site, NodeNews::Online(true)), NodeState::InitialCleanup);
    hear(&site, NodeNews::Cleaned);
    assert_eq!((hear(&site, NodeNews::ImagePulled), n_started(&mut site)), (NodeState::Ready, 1));
    // A machine that was gone is set up anew.
    assert!(site.engine.agent_lost(&agent("a1")).is_some());
    site.offer("a2", "one", "cpus:1");
    assert_eq!(n_started(&mut site), 0);
    assert!(site.engine.hear(NodeId(2), NodeNews::Cleaned).is_err());
}

#[test]
fn a_machine_that_is_gone_keeps_nothing_from_those_that_are_there() {
    type Goes = (&'static str, fn(&Site));
    let goes: [Goes; 3] = [
        ("lost", |site| drop(site.engine.agent_lost(&agent("a1")))),
        ("silent", |site| {
            site.engine.hear(NodeId(1), NodeNews::Online(false)).expect("it is there");
            site.clock.advance(10);
            assert_eq!(site.engine.expired_offers().len(), 1);
            site.clock.advance(600);
        }),
        ("replaced", |site| {
            let arrival = site.engine.offered(&new_offer("o9", "a9", "big", &set("cpus:1")));
            assert!(arrival.replaced.is_some());
            assert!(site.engine.rescinded(&id("o9")).is_some());
        }),
    ];
    for (how, go) in goes {
        let mut site = Site::new(Options::default().policy(Policy::default().strict(true)));
        site.offer("a1", "big", "cpus:8");
        // It is known to passes.
        assert_eq!(site.pass(), []);
        go(&site);
        let small = site.offer("a2", "small", "cpus:2");
        site.submit("cpus:8", 1);
        site.submit("cpus:1", 1);
        assert_eq!(site.pass(), [(2, vec![small], vec![launch(2, 1)])], "{how}");
        let largest = |view: &View| {
            let big = view.nodes.iter().find(|status| status.node.name == "big");
            big.map_or(Quantity::ZERO, |status| status.node.total.get("cpus"))
        };
        assert!(largest(&site.engine.fresh_view(SYNC)) <= Quantity::whole(1), "{how}");
        // It is the same machine when it is there again.
        let big = site.offer("a3", "big", "cpus:8");
        assert_eq!(site.pass(), [(1, vec![big], vec![launch(1, 1)])], "{how}");
    }
}

#[test]
fn no_machine_that_is_gone_is_kept_for_anybody() {
    let policy = Policy::default().with_starvation(1000, 10);
    let mut site = Site::new(Options::default().policy(policy));
    site.offer("a1", "big", "cpus:8");
    assert!(site.engine.agent_lost(&agent("a1")).is_some());
    site.offer("a2", "also", "cpus:8");
    site.submit("cpus:8", 1);
    assert_eq!(site.pass().iter().map(|(node, ..)| *node).collect::<Vec<_>>(), [2]);
    site.submit("cpus:8", 1);
    for _ in 0..4 {
        site.clock.advance(20);
        assert_eq!(site.pass(), []);
    }
    let kept: Vec<NodeId> = site.engine.reservations().iter().map(|kept| kept.node).collect();
    assert_eq!(kept, [NodeId(2)]);
}

/// Which slots what runs has.
fn slots(site: &Site) -> Vec<(u64, String)> {
    let text = |slots: &[SlotShare]| slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    site.engine.running().iter().map(|run| (run.name.exe.0, text(&run.gpus))).collect()
}

/// The most graphics processors that passes, and people, know of on the first node.
fn most_gpus(site: &Site) -> [u64; 2] {
    let now = site.engine.now();
    let mark = site.engine.cluster(|cluster| cluster.get(NodeId(1), now).map(|node| node.watermark));
    let total = site.engine.fresh_view(SYNC).nodes.first().map(|status| status.node.total.clone());
    [mark, total].map(|set| set.map_or(0, |set| set.get("gpus").0))
}

#[test]
fn an_end_that_is_told_before_an_offer_counts_before_it() {
    let mut site = Site::new(Options::default().gpu_slots(true));
    site.submit("gpus:2", 1);
    site.offer("a1", "one", "gpus:2");
    assert_eq!(site.pass().len(), 1);
    site.submit("gpus:0.6", 3);
    let end = |name| StatusUpdate { name, state: ended(), when: site.engine.now() };
    // Nobody waits for it, so it is in the intake when the offer comes.
    site.engine.report(end(launch(1, 1))).expect("room");
    assert!(site.engine.offered(&new_offer("o9", "a1", "one", &set("gpus:2"))).outcome.is_ok());
    assert_eq!(most_gpus(&site), [2_000, 2_000]);
    assert_eq!(site.pass(), [(1, vec!["o9".to_owned()], vec![launch(2, 1), launch(3, 1)])]);
    assert_eq!(slots(&site), [(2, "0:0.6".to_owned()), (3, "1:0.6".to_owned())]);
    // So it is with an offer of a node alone.
    let mut other = Site::new(Options::default());
    other.submit("cpus:2", 1);
    other.engine.hold_offer(&Offer::new(NodeId(1), set("cpus:2")));
    assert_eq!(other.pass().len(), 1);
    let update = StatusUpdate { name: launch(1, 1), state: ended(), when: other.engine.now() };
    other.engine.report(update).expect("room");
    other.engine.hold_offer(&Offer::new(NodeId(1), set("cpus:2")));
    assert_eq!(other.engine.fresh_view(SYNC).nodes[0].node.total, set("cpus:2"));
}

#[test]
fn a_pick_whose_slot_is_gone_meanwhile_goes_back() {
    let mut site = Site::new(Options::default().gpu_slots(true));
    site.submit("gpus:1", 2);
    site.offer("a1", "one", "gpus:2");
    let engine = site.engine.clone();
    let mut picks = engine.pass().remove(0);
    let other = site.offer("a2", "one", "gpus:1");
    picks.retain(|pick| pick.exe.0 == 2);
    let mut pending = picks.commit();
    assert_eq!((pending.wait(SYNC).expect("durable").len(), pending.offers().len()), (0, 0));
    assert_eq!(site.pass(), [(1, vec![other], vec![launch(1, 1)])]);
    assert_eq!(slots(&site), [(1, "0:1".to_owned())]);
    engine.check_invariants();
}

#[test]
fn what_survives_its_agent_counts_until_its_statuses_say_that_it_is_lost() {
    let mut site = Site::new(Options::default().gpu_slots(true));
    site.submit("gpus:1", 1);
    site.offer("a1", "one", "gpus:2");
    assert_eq!(site.pass().len(), 1);
    let lost = site.engine.agent_lost(&agent("a1")).expect("it was there");
    assert_eq!(lost.launches, [launch(1, 1)]);
    site.submit("gpus:1", 1);
    // It runs on, so there is another one beside it.
    let offer = site.offer("a1", "one", "gpus:1");
    assert_eq!(site.pass(), [(1, vec![offer], vec![launch(2, 1)])]);
    assert_eq!(slots(&site), [(1, "0:1".to_owned()), (2, "1:1".to_owned())]);
    // Neither survives the next agent. What they had is among what it offers, which shows only now.
    let arrival = site.engine.offered(&new_offer("o9", "a2", "one", &set("gpus:2")));
    let lost = arrival.replaced.expect("another agent was there").launches;
    assert_eq!(lost, [launch(1, 1), launch(2, 1)]);
    for name in lost {
        let outcome = Outcome::Lost { reason: "its agent is gone".to_owned() };
        site.report(name, TaskState::Ended { outcome, usage: Usage::default() });
    }
    assert_eq!(most_gpus(&site), [2_000, 2_000]);
    site.submit("gpus:1", 2);
    assert_eq!(site.pass().iter().map(|(_, _, launches)| launches.len()).collect::<Vec<_>>(), [2]);
    let has: Vec<String> = slots(&site).into_iter().map(|(_, slots)| slots).collect();
    assert_eq!(has, ["0:1", "1:1"]);
    site.engine.check_invariants();
}

#[test]
fn news_of_a_node_and_of_what_it_has_wake_who_waits_for_work() {
    let mut site = Site::new(Options::default());
    site.offer("a1", "one", "cpus:1");
    while site.engine.wait_for_work(Duration::from_millis(1)) {}
    assert!(site.engine.agent_total(&agent("a1"), set("cpus:1")));
    assert!(site.engine.wait_for_work(SYNC));
    site.engine.hear(NodeId(1), NodeNews::Error(false)).expect("it is there");
    assert!(site.engine.wait_for_work(SYNC));
}

#[test]
fn after_a_restart_a_machine_has_its_id_and_what_runs_there_counts() {
    let mut site = Site::new(Options::default());
    site.submit("cpus:3", 2);
    site.offer("a1", "one", "cpus:1");
    site.offer("a2", "two", "cpus:4");
    assert_eq!(site.pass().iter().map(|(node, ..)| *node).collect::<Vec<_>>(), [2]);
    site.restart();
    assert_eq!(site.held(), BTreeSet::new());
    let offer = site.offer("a2", "two", "cpus:1");
    let told = site.engine.cluster(|cluster| {
        let node = cluster.get(NodeId(2), site.engine.now()).expect("it is there");
        (node.offered.clone(), node.watermark.clone(), node.tasks.keys().copied().collect::<Vec<_>>())
    });
    assert_eq!(told, (set("cpus:1"), set("cpus:4"), vec![launch(1, 1)]));
    // Another agent on the same machine.
    let arrival = site.engine.offered(&new_offer("o9", "a3", "two", &set("cpus:4")));
    let lost = arrival.replaced.expect("another agent was there");
    assert_eq!((arrival.node, arrival.is_new), (Some(NodeId(2)), false));
    assert_eq!((names(&lost.offers), lost.launches), (vec![offer], vec![launch(1, 1)]));
    assert_eq!(site.pass(), [(2, vec!["o9".to_owned()], vec![launch(2, 1)])]);
    site.report(launch(1, 1), ended());
    site.engine.check_invariants();
}

#[test]
fn offers_that_are_of_no_use_are_handed_out_to_be_declined() {
    let mut site = Site::new(Options::default());
    let first = site.offer("a1", "one", "cpus:1");
    site.clock.advance(9);
    let second = site.offer("a1", "one", "cpus:1");
    assert!(site.engine.expired_offers().is_empty());
    site.clock.advance(1);
    let expired = site.engine.expired_offers();
    let told: Vec<_> =
        expired.iter().map(|declined| (declined.offer.id().to_string(), declined.why)).collect();
    assert_eq!(told, [(first, DeclineReason::Expired)]);
    let declined = site.engine.decline_offers();
    assert_eq!(declined.iter().map(|d| d.offer.id().to_string()).collect::<Vec<_>>(), [second]);
    // What is declined is no more on offer.
    site.submit("cpus:1", 1);
    assert_eq!(site.pass(), []);
    // What is none for us is told with its reason, and no machine is made of it.
    let mut web = new_offer("o8", "a8", "eight", &set("cpus:1"));
    web.amounts[0].role = "web".into();
    let arrival = site.engine.offered(&web);
    assert_eq!(arrival.outcome.map_err(|declined| declined.why), Err(DeclineReason::NothingUsable));
    let arrival = site.engine.offered(&new_offer("o9", "a9", "", &set("cpus:1")));
    assert_eq!(arrival.outcome.map_err(|declined| declined.why), Err(DeclineReason::BadHost));
    assert_eq!(arrival.node, None);
}

const HOSTS: [&str; 3] = ["one", "two", "three"];

#[derive(Clone, Debug)]
enum Step {
    Offer {
        host: usize,
        cpus: u64,
        mem: u64,
    },
    /// The next offer of the machine is of another agent.
    NewAgent {
        host: usize,
    },
    Lose {
        host: usize,
    },
    Rescind {
        which: usize,
    },
    Submit {
        cpus: u64,
        mem: u64,
        count: u32,
    },
    Pass {
        drops: u8,
        between: Between,
    },
    End {
        which: usize,
        is_refused: bool,
    },
    Wait {
        seconds: u32,
    },
    Restart,
}

/// What happens between a pass and its commits.
#[derive(Clone, Debug)]
enum Between {
    Nothing,
    Rescind { which: usize },
    Lose { host: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let host = || 0..HOSTS.len();
    let between = prop_oneof![
        2 => Just(Between::Nothing),
        1 => any::<usize>().prop_map(|which| Between::Rescind { which }),
        1 => host().prop_map(|host| Between::Lose { host }),
    ];
    prop_oneof![
        8 => (host(), 0..5_u64, 0..5_u64).prop_map(|(host, cpus, mem)| Step::Offer { host, cpus, mem }),
        1 => host().prop_map(|host| Step::NewAgent { host }),
        1 => host().prop_map(|host| Step::Lose { host }),
        2 => any::<usize>().prop_map(|which| Step::Rescind { which }),
        3 => (0..4_u64, 0..4_u64, 1..4_u32).prop_map(|(cpus, mem, count)| Step::Submit { cpus, mem, count }),
        5 => (any::<u8>(), between).prop_map(|(drops, between)| Step::Pass { drops, between }),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(which, is_refused)| Step::End { which, is_refused }),
        2 => (1..8_u32).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

/// What the master knows.
struct Model {
    site: Site,
    /// Offers that are held: of whom, what, since when.
    held: BTreeMap<String, (String, NodeResources, Timestamp)>,
    agents: [u32; 3],
    /// By name of the machine.
    nodes: BTreeMap<&'static str, NodeId>,
    running: Vec<LaunchName>,
    launched: BTreeSet<LaunchName>,
}

fn text(cpus: u64, mem: u64) -> String {
    format!("cpus:{cpus},mem:{mem}")
}

fn sum<'r>(sets: impl Iterator<Item = &'r NodeResources>) -> NodeResources {
    sets.fold(NodeResources::new(), |sum, set| sum.plus(set))
}

impl Model {
    fn agent_of(&self, host: usize) -> String {
        format!("{}-{}", HOSTS[host], self.agents[host])
    }

    fn end(&mut self, offers: &[HeldOffer]) {
        for offer in offers {
            assert!(self.held.remove(offer.id().as_str()).is_some(), "{} ended before", offer.id());
        }
    }

    fn held_of(&self, agent: &str) -> NodeResources {
        sum(self.held.values().filter(|(of, ..)| of == agent).map(|(_, has, _)| has))
    }

    fn offer(&mut self, host: usize, has: &NodeResources) {
        self.site.n_offers += 1;
        let (name, of) = (format!("o{}", self.site.n_offers), self.agent_of(host));
        let offer = new_offer(&name, &of, HOSTS[host], has);
        let arrival = self.site.engine.offered(&offer);
        if let Some(lost) = arrival.replaced {
            assert_ne!(lost.agent.as_str(), of);
            self.end(&lost.offers);
            assert!(self.held_of(lost.agent.as_str()).is_zero());
        }
        let node = arrival.node.expect("there is room");
        assert_eq!(*self.nodes.entry(HOSTS[host]).or_insert(node), node, "{}", HOSTS[host]);
        match arrival.outcome {
            Ok(added) => {
                assert_eq!((added, has.is_zero()), (OfferAdded::Held, false));
                self.held.insert(name, (of, has.clone(), self.site.engine.now()));
                assert_eq!(self.site.engine.offered(&offer).outcome, Ok(OfferAdded::Again));
            }
            Err(declined) => assert_eq!((declined.why, has.is_zero()), (DeclineReason::NothingUsable, true)),
        }
    }

    fn rescind(&mut self, which: usize) {
        let Some(name) = self.held.keys().nth(which % self.held.len().max(1)).cloned() else { return };
        assert!(self.site.engine.rescinded(&id(&name)).is_some());
        assert!(self.site.engine.rescinded(&id(&name)).is_none());
        self.held.remove(&name);
    }

    fn lose(&mut self, host: usize) {
        let of = self.agent_of(host);
        if let Some(lost) = self.site.engine.agent_lost(&agent(&of)) {
            assert_eq!(Some(&lost.node), self.nodes.get(HOSTS[host]));
            self.end(&lost.offers);
        }
        assert!(self.held_of(&of).is_zero());
    }

    fn launch(&mut self, node: NodeId, mut pending: PendingLaunches) {
        let launches: Vec<Durable<Launch>> = pending.wait(SYNC).expect("durable");
        let offers = pending.offers();
        assert_eq!(launches.is_empty(), offers.is_empty());
        let agents: BTreeSet<&AgentId> = offers.iter().map(HeldOffer::agent).collect();
        let has = sum(offers.iter().map(HeldOffer::resources));
        let needs = sum(launches.iter().map(|launch| &*launch.get().resources));
        assert!(has.minus(&needs).is_some(), "{needs} on {has}");
        if let Some(of) = agents.first() {
            let host = HOSTS.iter().find(|host| of.as_str().starts_with(**host)).expect("it is there");
            assert_eq!((agents.len(), self.nodes[host]), (1, node));
        }
        self.end(offers);
        for launch in &launches {
            assert_eq!(launch.get().node, node);
            assert!(self.launched.insert(launch.get().name), "launched twice");
            self.running.push(launch.get().name);
        }
    }

    fn pass(&mut self, drops: u8, between: &Between) {
        let engine = self.site.engine.clone();
        let told = |all: &[Picks<'_>]| -> Vec<_> {
            let each = |picks: &Picks<'_>| {
                let node = picks.node();
                picks.iter().map(|pick| (pick.exe, node)).collect::<Vec<_>>()
            };
            all.iter().flat_map(each).collect()
        };
        let dropped = engine.pass();
        let first = told(&dropped);
        drop(dropped);
        let all = engine.pass();
        assert_eq!(told(&all), first, "dropped picks change nothing");
        match between {
            Between::Nothing => {}
            Between::Rescind { which } => self.rescind(*which),
            Between::Lose { host } => self.lose(*host),
        }
        for (at, picks) in all.into_iter().enumerate() {
            if drops >> (at % 8) & 1 == 0 {
                let node = picks.node();
                self.launch(node, picks.commit());
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Offer { host, cpus, mem } => {
                let has = [("cpus", *cpus), ("mem", *mem)].into_iter().filter(|(_, n)| *n > 0);
                let has = has.fold(NodeResources::new(), |set, (name, n)| {
                    set.with(name, Quantity::whole(n)).expect("a name")
                });
                self.offer(*host, &has);
            }
            Step::NewAgent { host } => self.agents[*host] += 1,
            Step::Lose { host } => self.lose(*host),
            Step::Rescind { which } => self.rescind(*which),
            Step::Submit { cpus, mem, count } => self.site.submit(&text(*cpus, *mem), *count),
            Step::Pass { drops, between } => self.pass(*drops, between),
            Step::End { which, is_refused } if !self.running.is_empty() => {
                let name = self.running.swap_remove(which % self.running.len());
                let refused = TaskState::Refused { reason: "no room".to_owned() };
                self.site.report(name, if *is_refused { refused } else { ended() });
            }
            Step::End { .. } => {}
            Step::Wait { seconds } => {
                self.site.clock.advance(*seconds);
                let now = self.site.engine.now();
                let expired = self.site.engine.expired_offers();
                let offers: Vec<HeldOffer> = expired.into_iter().map(|declined| declined.offer).collect();
                self.end(&offers);
                let is_old = |(_, _, since): &(String, NodeResources, Timestamp)| {
                    now.since(*since) >= Duration::from_secs(10)
                };
                assert!(!self.held.values().any(is_old));
            }
            Step::Restart => {
                self.site.restart();
                self.held.clear();
            }
        }
        assert!(self.site.held().iter().eq(self.held.keys()));
        self.site.engine.check_invariants();
        let running: BTreeSet<LaunchName> = self.site.engine.running().iter().map(|run| run.name).collect();
        assert!(running.iter().eq(self.running.iter().collect::<BTreeSet<_>>()));
        let now = self.site.engine.now();
        let tasks = self.site.engine.cluster(|cluster| {
            cluster.iter(now).flat_map(|node| node.tasks.keys().copied().collect::<Vec<_>>()).collect()
        });
        assert!(running.is_superset(&tasks), "what ended is in use: {tasks:?}, {running:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 300, ..ProptestConfig::default() })]
    #[test]
    fn offers_end_once_and_cover_what_is_launched_on_them(steps in prop::collection::vec(step(), 1..60)) {
        let site = Site::new(Options::default());
        let (held, nodes) = (BTreeMap::new(), BTreeMap::new());
        let (running, launched) = (Vec::new(), BTreeSet::new());
        let mut model = Model { site, held, agents: [0; 3], nodes, running, launched };
        for step in &steps {
            model.step(step);
        }
    }
}

#[test]
fn what_is_offered_is_used_also_before_the_end_of_what_had_it_is_told() {
    let mut site = Site::new(Options::default());
    site.submit("cpus:2", 2);
    site.offer("a", "h", "cpus:2");
    assert!(site.engine.agent_total(&agent("a"), set("cpus:2")));
    let first = site.pass();
    assert_eq!(first[0].2.len(), 1);
    // The first has ended: its master knows, and offers what it had before it says so.
    let again = site.offer("a", "h", "cpus:2");
    let second = site.pass();
    assert_eq!((&second[0].1, second[0].2.len()), (&vec![again], 1));
    site.offer("a", "h", "cpus:2");
    let view = site.engine.fresh_view(SYNC);
    assert_eq!(view.nodes[0].node.total, set("cpus:2"), "though four count as running");
    for name in [first[0].2[0], second[0].2[0]] {
        site.report(name, ended());
    }
    site.engine.check_invariants();
}
