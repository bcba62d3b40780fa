//! The nodes of a cluster against a plain account of all that happened to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::agent::NodeTask;
use super::cluster::{AllocateError, ClusterNodes, GpuError, KnowError, RunError};
use super::held::{DeclineReason, Declined, HeldOffer, NewOffer, Roles};
use super::pool::OfferAdded;
use super::pool_tests::part;
use super::state::{NodeNews, NodeState};
use crate::model::{
    AgentId, ExeId, LaunchName, NodeId, NodeResources, OfferId, Quantity, SlotShare, Timestamp,
};

const OFFERS: usize = 8;
const NODES: usize = 4;
const TASKS: usize = 9;
const NAMES: [&str; 2] = ["cpus", "gpus"];
type Two = [u64; 2];

fn named(two: Two) -> NodeResources {
    let set = NodeResources::new();
    NAMES.iter().zip(two).fold(set, |set, (name, n)| set.with(name, Quantity(n)).expect("a name"))
}

fn two(set: &NodeResources) -> Two {
    NAMES.map(|name| set.get(name).0)
}

fn max(a: Two, b: Two) -> Two {
    [a[0].max(b[0]), a[1].max(b[1])]
}

fn min(a: Two, b: Two) -> Two {
    [a[0].min(b[0]), a[1].min(b[1])]
}

fn plus(a: Two, b: Two) -> Two {
    [a[0] + b[0], a[1] + b[1]]
}

fn less(a: Two, b: Two) -> Two {
    [a[0].saturating_sub(b[0]), a[1].saturating_sub(b[1])]
}

/// Agents of a machine, one after the other.
type AgentName = (u8, u8);

fn agent((host, number): AgentName) -> AgentId {
    AgentId::new(&format!("agent-{host}-{number}")).expect("a name")
}

fn host(host: u8) -> String {
    format!("host-{host}")
}

fn offer_id(n: usize) -> OfferId {
    OfferId::new(&format!("offer-{n}")).expect("a name")
}

fn launch(n: u8) -> LaunchName {
    LaunchName { exe: ExeId(n.into()), number: 1 }
}

fn new_offer(n: usize, name: AgentName, amounts: Two) -> NewOffer {
    NewOffer {
        id: offer_id(n),
        agent: agent(name),
        host: host(name.0),
        amounts: NAMES.iter().zip(amounts).map(|(name, n)| part(Roles::ANY, name, n)).collect(),
        attributes: BTreeMap::from([("rack".into(), name.1.to_string())]),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Offer(AgentName, Two),
    Rescind(usize),
    Lose(AgentName),
    Expire,
    Decline(u8),
    DeclineAll,
    Allocate(u8, Two),
    Run { host: u8, task: u8, asks: Two, is_current: bool },
    TakeGpus { host: u8, task: u8, asked: u64 },
    End { host: u8, task: u8 },
    Other(u8, Two),
    Total(AgentName, Two),
    News(u8, NodeNews),
    Stop(bool),
    Drop,
    Forget(u8),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let amounts = || (0..9_000_u64, (0..4_u64).prop_map(|n| n * 1_000)).prop_map(Two::from);
    let host = || 0..6_u8;
    let name = || (host(), prop_oneof![4 => Just(0_u8), 1 => 1..3_u8]);
    let news = prop_oneof![
        any::<bool>().prop_map(NodeNews::Active),
        any::<bool>().prop_map(NodeNews::Online),
        any::<bool>().prop_map(NodeNews::Paused),
        any::<bool>().prop_map(NodeNews::Error),
        Just(NodeNews::Cleaned),
        Just(NodeNews::ImagePulled),
    ];
    let asked = prop_oneof![(1..3_u64).prop_map(|n| n * 1_000), 1..1_000_u64];
    prop_oneof![
        16 => (name(), amounts()).prop_map(|(name, amounts)| Step::Offer(name, amounts)),
        2 => any::<usize>().prop_map(Step::Rescind),
        2 => name().prop_map(Step::Lose),
        3 => Just(Step::Expire),
        1 => host().prop_map(Step::Decline),
        1 => Just(Step::DeclineAll),
        5 => (host(), amounts()).prop_map(|(host, need)| Step::Allocate(host, need)),
        6 => (host(), 0..6_u8, amounts(), prop::bool::weighted(0.8))
            .prop_map(|(host, task, asks, is_current)| Step::Run { host, task, asks, is_current }),
        4 => (host(), 0..6_u8, asked).prop_map(|(host, task, asked)| Step::TakeGpus { host, task, asked }),
        5 => (host(), 0..6_u8).prop_map(|(host, task)| Step::End { host, task }),
        1 => (host(), amounts()).prop_map(|(host, other)| Step::Other(host, other)),
        2 => (name(), amounts()).prop_map(|(name, total)| Step::Total(name, total)),
        3 => (host(), news).prop_map(|(host, news)| Step::News(host, news)),
        1 => any::<bool>().prop_map(Step::Stop),
        3 => Just(Step::Drop),
        1 => host().prop_map(Step::Forget),
        6 => prop_oneof![2 => 0..15_i64, 1 => 0..400_i64].prop_map(Step::Wait),
    ]
}

/// What is known of a node until its agent is gone.
#[derive(Clone, Debug, Default)]
struct Node {
    agent: Option<AgentName>,
    last_offer: i64,
    tasks: BTreeMap<u8, (Two, bool)>,
    slots: BTreeMap<u8, Vec<SlotShare>>,
    other: Two,
    total: Option<Two>,
    /// What was there, from when to when.
    history: Vec<(i64, i64, Two)>,
    n_gpus: u64,
}

#[derive(Clone, Copy, Debug)]
struct Plain {
    n: usize,
    agent: AgentName,
    amounts: Two,
    received: i64,
}

/// A machine that is known.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact for itself")]
#[derive(Clone, Debug)]
struct Machine {
    id: NodeId,
    is_active: bool,
    is_online: bool,
    is_paused: bool,
    has_error: bool,
    node: Option<Node>,
}

struct Model {
    machines: BTreeMap<u8, Machine>,
    offers: Vec<Plain>,
    ended: BTreeMap<usize, u32>,
    n_ids: u32,
    is_stopped: bool,
    now: i64,
}

impl Node {
    fn in_use(&self) -> Two {
        let running = self.tasks.values().filter(|(_, is_current)| *is_current);
        running.fold(self.other, |sum, (asks, _)| plus(sum, *asks))
    }

    fn watermark(&self, now: i64) -> Two {
        let first = (now.div_euclid(300) - 1) * 300;
        let lasted = self.history.iter().filter(|(_, end, _)| *end >= first);
        let most = lasted.map(|(.., amounts)| *amounts).fold([0, 0], max);
        self.total.map_or(most, |total| min(most, total))
    }
}

impl Machine {
    fn state(&self, is_stopped: bool) -> NodeState {
        match self {
            Self { is_active: false, .. } => NodeState::Deprecated,
            Self { is_online: false, .. } => NodeState::Offline,
            Self { is_paused: true, .. } => NodeState::Paused,
            _ if is_stopped => NodeState::SchedulerStopped,
            Self { has_error: true, .. } => NodeState::Degraded,
            _ => NodeState::Ready,
        }
    }
}

impl Model {
    fn node(&mut self, host: u8) -> Option<&mut Node> {
        self.machines.get_mut(&host)?.node.as_mut()
    }

    fn n_tasks(&self) -> usize {
        self.machines.values().filter_map(|machine| machine.node.as_ref()).map(|node| node.tasks.len()).sum()
    }

    fn of(&self, host: u8) -> Option<AgentName> {
        self.machines.get(&host)?.node.as_ref()?.agent
    }

    fn raw(&self, agent: Option<AgentName>) -> Two {
        let offers = self.offers.iter().filter(|offer| Some(offer.agent) == agent);
        offers.fold([0; 2], |sum, offer| plus(sum, offer.amounts))
    }

    /// Takes offers out and counts their end; returns them, oldest first.
    fn end(&mut self, is_ended: impl Fn(&Plain) -> bool) -> Vec<OfferId> {
        let (ended, held): (Vec<Plain>, Vec<Plain>) = self.offers.iter().partition(|offer| is_ended(offer));
        self.offers = held;
        for offer in &ended {
            *self.ended.entry(offer.n).or_default() += 1;
        }
        ended.iter().map(|offer| offer_id(offer.n)).collect()
    }

    fn lose(&mut self, name: AgentName) -> Option<(Vec<OfferId>, Vec<LaunchName>)> {
        let machine = self.machines.get_mut(&name.0)?;
        let node = machine.node.as_mut().filter(|node| node.agent == Some(name))?;
        let last_offer = node.last_offer;
        let former = std::mem::replace(node, Node { last_offer, ..Node::default() });
        machine.is_online = false;
        let ended = self.end(|offer| offer.agent == name);
        Some((ended, former.tasks.into_keys().map(launch).collect()))
    }

    /// What is there now, which lasts until the next call.
    fn look(&mut self) {
        let now = self.now;
        let agents: Vec<(u8, Option<AgentName>)> =
            self.machines.keys().map(|host| (*host, self.of(*host))).collect();
        for (host, agent) in agents {
            let raw = self.raw(agent);
            let Some(node) = self.node(host) else { continue };
            let current = plus(raw, node.in_use());
            if let Some(last) = node.history.last_mut() {
                last.1 = now;
            }
            node.history.push((now, now, current));
            node.n_gpus = node.total.unwrap_or_else(|| node.watermark(now))[1] / 1_000;
        }
    }
}

fn ids<'h>(offers: impl IntoIterator<Item = &'h HeldOffer>) -> Vec<OfferId> {
    offers.into_iter().map(|offer| offer.id().clone()).collect()
}

fn declined_ids(declined: &[Declined]) -> Vec<OfferId> {
    ids(declined.iter().map(|declined| &declined.offer))
}

fn offer(
    nodes: &mut ClusterNodes,
    model: &mut Model,
    (n, name, amounts): (usize, AgentName, Two),
) -> Result<(), TestCaseError> {
    let arrival = nodes.offered(&new_offer(n, name, amounts), Timestamp::from_secs(model.now));
    model.ended.insert(n, 0);
    let is_known = model.machines.contains_key(&name.0);
    if !is_known && model.machines.len() == NODES {
        prop_assert_eq!((arrival.node, arrival.is_new, arrival.replaced.is_none()), (None, false, true));
        let declined = arrival.outcome.expect_err("there is no room");
        prop_assert_eq!(declined.why, DeclineReason::TooManyNodes { max: NODES });
        model.ended.insert(n, 1);
        return Ok(());
    }
    if !is_known {
        model.n_ids += 1;
        let id = NodeId(model.n_ids);
        let machine =
            Machine { id, is_active: true, is_online: true, is_paused: false, has_error: false, node: None };
        model.machines.insert(name.0, machine);
    }
    let former = model.of(name.0).filter(|former| *former != name);
    let lost = former.and_then(|former| model.lose(former));
    let told = arrival.replaced.map(|lost| (ids(&lost.offers), lost.launches));
    prop_assert_eq!(told, lost);
    let now = model.now;
    let machine = model.machines.get_mut(&name.0).expect("it is known");
    prop_assert_eq!((arrival.node, arrival.is_new), (Some(machine.id), !is_known));
    machine.is_online = true;
    let node = machine.node.get_or_insert_with(Node::default);
    (node.agent, node.last_offer) = (Some(name), now);
    let why = match amounts {
        [0, 0] => Some(DeclineReason::NothingUsable),
        _ if model.offers.len() == OFFERS => Some(DeclineReason::TooManyOffers { max: OFFERS }),
        _ => None,
    };
    prop_assert_eq!(
        arrival.outcome.map_err(|declined| Some(declined.why)),
        why.map_or(Ok(OfferAdded::Held), |why| Err(Some(why)))
    );
    if why.is_some() {
        model.ended.insert(n, 1);
    } else {
        model.offers.push(Plain { n, agent: name, amounts, received: now });
    }
    Ok(())
}

fn take_gpus(
    nodes: &mut ClusterNodes,
    model: &mut Model,
    (host, task, asked): (u8, u8, u64),
) -> Result<(), TestCaseError> {
    let Some(id) = model.machines.get(&host).map(|machine| machine.id) else { return Ok(()) };
    // It takes no time itself.
    nodes.advance(Timestamp::from_secs(model.now));
    let taken = nodes.take_gpus(id, launch(task), Quantity(asked)).map(<[SlotShare]>::to_vec);
    let Some(node) = model.node(host) else {
        prop_assert!(matches!(taken, Err(GpuError::NoNode(_))));
        return Ok(());
    };
    match (taken, node.slots.get(&task)) {
        (taken, Some(had)) => prop_assert_eq!(taken.as_ref(), Ok(had)),
        (Ok(taken), None) => {
            let in_use = |slot: u16| {
                let of_slot = node.slots.values().flatten().filter(move |share| share.slot == slot);
                of_slot.map(|share| u32::from(share.thousandths)).sum::<u32>()
            };
            for share in &taken {
                prop_assert!(u64::from(share.slot) < node.n_gpus);
                prop_assert!(in_use(share.slot) + u32::from(share.thousandths) <= 1_000);
            }
            node.slots.insert(task, taken);
        }
        (Err(_), None) => prop_assert!(asked > 0),
    }
    Ok(())
}

fn apply(nodes: &mut ClusterNodes, model: &mut Model, n: usize, step: &Step) -> Result<(), TestCaseError> {
    let now = Timestamp::from_secs(model.now);
    let id_of = |model: &Model, host: u8| model.machines.get(&host).map_or(NodeId(999), |machine| machine.id);
    match *step {
        Step::Offer(name, amounts) => offer(nodes, model, (n, name, amounts))?,
        Step::Rescind(which) => {
            let which = which % (n + 1);
            prop_assert_eq!(
                ids(&nodes.rescinded(&offer_id(which), now)),
                model.end(|offer| offer.n == which)
            );
        }
        Step::Lose(name) => {
            let lost = nodes.agent_lost(&agent(name), now);
            prop_assert_eq!(lost.map(|lost| (ids(&lost.offers), lost.launches)), model.lose(name));
        }
        Step::Expire => {
            let at = model.now;
            let expired = nodes.expire(now);
            prop_assert_eq!(declined_ids(&expired), model.end(|offer| at - offer.received >= 10));
        }
        Step::Decline(host) => {
            let of = model.of(host);
            let declined = nodes.decline(id_of(model, host), now);
            prop_assert_eq!(declined_ids(&declined), model.end(|offer| Some(offer.agent) == of));
        }
        Step::DeclineAll => prop_assert_eq!(declined_ids(&nodes.decline_all(now)), model.end(|_| true)),
        Step::Allocate(host, need) => {
            let (of, id) = (model.of(host), id_of(model, host));
            let is_covered = less(need, model.raw(of)) == [0; 2];
            match nodes.allocate(id, &named(need), now) {
                Ok(taken) => {
                    prop_assert!(
                        is_covered && taken.iter().all(|offer| Some(offer.agent()) == of.map(agent).as_ref())
                    );
                    let taken: BTreeSet<OfferId> = ids(&taken).into_iter().collect();
                    model.end(|offer| taken.contains(&offer_id(offer.n)));
                }
                Err(AllocateError::Uncovered(_)) => prop_assert!(!is_covered),
                Err(AllocateError::NoAgent { .. }) => prop_assert!(of.is_none()),
                Err(AllocateError::NoNode(_)) => prop_assert!(model.node(host).is_none()),
            }
        }
        Step::Run { host, task, asks, is_current } => {
            let of_task = NodeTask { priority: 5, asks: named(asks), is_current };
            let ran = nodes.run(id_of(model, host), launch(task), of_task, now);
            let n_tasks = model.n_tasks();
            match model.node(host) {
                Some(node) if n_tasks == TASKS && !node.tasks.contains_key(&task) => {
                    prop_assert_eq!(ran, Err(RunError::TooMany { max: TASKS }));
                }
                Some(node) => {
                    prop_assert_eq!(ran, Ok(()));
                    node.tasks.insert(task, (asks, is_current));
                }
                None => prop_assert!(matches!(ran, Err(RunError::NoNode(_)))),
            }
        }
        Step::TakeGpus { host, task, asked } => take_gpus(nodes, model, (host, task, asked))?,
        Step::End { host, task } => {
            let ended = nodes.ended(id_of(model, host), launch(task), now);
            let had = model.node(host).map(|node| (node.tasks.remove(&task), node.slots.remove(&task)));
            prop_assert_eq!(ended, had.is_some_and(|(ran, slots)| ran.is_some() || slots.is_some()));
        }
        Step::Other(host, other) => {
            let set = nodes.set_other(id_of(model, host), named(other), now);
            let node = model.node(host);
            prop_assert_eq!(set.is_ok(), node.is_some());
            if let Some(node) = node {
                node.other = other;
            }
        }
        Step::Total(name, total) => {
            let node = model.node(name.0).filter(|node| node.agent == Some(name));
            prop_assert_eq!(nodes.set_total(&agent(name), named(total), now), node.is_some());
            if let Some(node) = node {
                node.total = Some(total);
            }
        }
        Step::News(host, news) => {
            let state = nodes.hear(id_of(model, host), news);
            let is_stopped = model.is_stopped;
            let Some(machine) = model.machines.get_mut(&host) else {
                prop_assert!(state.is_err());
                return Ok(());
            };
            match news {
                NodeNews::Active(is_active) => machine.is_active = is_active,
                NodeNews::Online(is_online) => machine.is_online = is_online,
                NodeNews::Paused(is_paused) => machine.is_paused = is_paused,
                NodeNews::Error(has_error) => machine.has_error = has_error,
                NodeNews::Cleaned | NodeNews::ImagePulled => {}
            }
            prop_assert_eq!(state, Ok(machine.state(is_stopped)));
        }
        Step::Stop(is_stopped) => {
            nodes.stop(is_stopped);
            model.is_stopped = is_stopped;
        }
        Step::Drop => drop_silent(nodes, model)?,
        Step::Forget(host) => {
            let is_gone = model.machines.get(&host).is_some_and(|machine| machine.node.is_none());
            prop_assert_eq!(nodes.forget(id_of(model, host)), is_gone);
            if is_gone {
                model.machines.remove(&host);
            }
        }
        Step::Wait(seconds) => model.now += seconds,
    }
    Ok(())
}

fn drop_silent(nodes: &mut ClusterNodes, model: &mut Model) -> Result<(), TestCaseError> {
    let (now, offers) = (model.now, model.offers.clone());
    let mut expected = BTreeSet::new();
    for machine in model.machines.values_mut() {
        let Some(node) = &machine.node else { continue };
        let holds = offers.iter().any(|offer| Some(offer.agent) == node.agent);
        let is_idle = node.tasks.is_empty() && node.slots.is_empty() && node.other == [0; 2] && !holds;
        let is_silent = now - node.last_offer >= 300;
        if is_idle && is_silent && !(machine.is_active && machine.is_online) {
            (machine.node, machine.is_online) = (None, false);
            expected.insert(machine.id);
        }
    }
    let dropped = nodes.drop_silent(Timestamp::from_secs(now));
    prop_assert_eq!(dropped.into_iter().collect::<BTreeSet<_>>(), expected);
    Ok(())
}

fn check(nodes: &ClusterNodes, model: &Model) -> Result<(), TestCaseError> {
    let now = Timestamp::from_secs(model.now);
    prop_assert!(model.offers.len() <= OFFERS && model.machines.len() <= NODES);
    let held: Vec<OfferId> = model.offers.iter().map(|offer| offer_id(offer.n)).collect();
    prop_assert_eq!(ids(nodes.offers().iter()), held);
    let there = model.machines.values().filter(|machine| machine.node.is_some()).map(|machine| machine.id);
    let told: Vec<NodeId> = nodes.iter(now).map(|node| node.id).collect();
    prop_assert_eq!(told, there.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
    let mut sums = [[0; 2]; 5];
    for (name, machine) in &model.machines {
        prop_assert_eq!(nodes.id_of(&host(*name)), Some(machine.id));
        let Some(node) = &machine.node else { continue };
        let told = nodes.get(machine.id, now).expect("it is there");
        prop_assert_eq!(told.name, host(*name));
        prop_assert_eq!(told.agent.cloned(), node.agent.map(agent));
        prop_assert_eq!(told.state, machine.state(model.is_stopped));
        prop_assert_eq!(told.takes_next_steps, machine.is_active && machine.is_online);
        let (used, mark) = (node.in_use(), node.watermark(model.now));
        prop_assert_eq!(two(&told.watermark), mark, "at {} of {:?}", model.now, node.history);
        let raw = model.raw(node.agent);
        let offered = if node.total.is_some() { min(raw, less(mark, used)) } else { raw };
        prop_assert_eq!(two(&told.offered), offered);
        let has_offers = model.offers.iter().any(|offer| Some(offer.agent) == node.agent);
        prop_assert_eq!(nodes.offered_on(machine.id).map(two), has_offers.then_some(raw));
        prop_assert_eq!(told.tasks.len(), node.tasks.len());
        check_gpus(node, told.gpus)?;
        let total = node.total.unwrap_or(mark);
        let numbers = [used, offered, less(less(mark, used), offered), less(total, mark), total];
        for at in 0..2 {
            let told = nodes.numbers(machine.id, now).expect("it is there").get(NAMES[at]);
            let told = [told.running, told.offered, told.free, told.unavailable, told.total];
            prop_assert_eq!(told.map(|n| n.0), numbers.map(|of| of[at]));
            let parts: u64 = told[..4].iter().map(|n| n.0).sum();
            prop_assert!(parts == told[4].0 || used[at] > total[at], "{:?}", told);
        }
        if machine.is_active {
            sums.iter_mut().zip(numbers).for_each(|(sum, more)| *sum = plus(*sum, more));
        }
    }
    for at in 0..2 {
        let told = nodes.sums(now).get(NAMES[at]);
        let told = [told.running, told.offered, told.free, told.unavailable, told.total];
        prop_assert_eq!(told.map(|n| n.0), sums.map(|of| of[at]));
    }
    Ok(())
}

fn check_gpus(node: &Node, (free, n_whole): (Quantity, usize)) -> Result<(), TestCaseError> {
    let used = |slot: u64| {
        let of_slot = node.slots.values().flatten().filter(|share| u64::from(share.slot) == slot);
        of_slot.map(|share| u64::from(share.thousandths)).sum::<u64>()
    };
    let slots: Vec<u64> = (0..node.n_gpus).map(used).collect();
    prop_assert!(slots.iter().all(|used| *used <= 1_000));
    prop_assert_eq!(free.0, slots.iter().map(|used| 1_000 - used).sum::<u64>());
    prop_assert_eq!(n_whole, slots.iter().filter(|used| **used == 0).count());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nodes_are_what_happened_to_them(steps in prop::collection::vec(step(), 0..80)) {
        let mut nodes = ClusterNodes::bounded(Roles::default(), false, [OFFERS, NODES, TASKS]);
        let (machines, offers, ended) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        let mut model = Model { machines, offers, ended, n_ids: 0, is_stopped: false, now: 0 };
        for (n, step) in steps.into_iter().enumerate() {
            model.look();
            apply(&mut nodes, &mut model, n, &step)?;
            model.look();
            check(&nodes, &model)?;
        }
        prop_assert_eq!(declined_ids(&nodes.decline_all(Timestamp::from_secs(model.now))), model.end(|_| true));
        prop_assert!(model.ended.values().all(|n| *n == 1), "{:?}", model.ended);
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp(0) + Duration::from_secs(second)
}

#[test]
fn a_new_agent_takes_the_place_of_the_old_one_and_the_node_stays() {
    let mut nodes = ClusterNodes::new(Roles::default(), true);
    let first = nodes.offered(&new_offer(0, (7, 0), [9_000, 2_000]), at(0));
    let id = first.node.expect("it is of a node");
    assert!(first.is_new && first.outcome.is_ok());
    for news in [NodeNews::Cleaned, NodeNews::ImagePulled] {
        nodes.hear(id, news).expect("it is there");
    }
    let task = NodeTask { priority: 1, asks: named([1_000, 0]), is_current: true };
    nodes.run(id, launch(1), task, at(0)).expect("it is there");
    let arrival = nodes.offered(&new_offer(1, (7, 1), [1_000, 0]), at(1));
    let lost = arrival.replaced.expect("another agent spoke for it");
    assert_eq!((lost.agent, lost.node, lost.launches), (agent((7, 0)), id, vec![launch(1)]));
    assert_eq!((ids(&lost.offers), arrival.node, arrival.is_new), (vec![offer_id(0)], Some(id), false));
    let node = nodes.get(id, at(1)).expect("it is there");
    assert_eq!((node.name, node.agent), ("host-7", Some(&agent((7, 1)))));
    assert_eq!((two(&node.watermark), node.tasks.len()), ([1_000, 0], 0), "what was, was the other agent's");
    assert_eq!(node.attributes["rack"], "1");
    assert_eq!(node.state, NodeState::InitialCleanup, "it is cleaned again");
}

#[test]
fn what_is_told_of_an_offer_twice_counts_once() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    let offer = new_offer(0, (1, 0), [5_000, 0]);
    let outcomes = [(); 2].map(|()| nodes.offered(&offer, at(0)).outcome.expect("it is held"));
    assert_eq!(outcomes, [OfferAdded::Held, OfferAdded::Again]);
    assert_eq!(nodes.sums(at(0)).get("cpus").offered, Quantity(5_000));
}

#[test]
fn offers_are_held_while_nothing_new_is_started() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    nodes.stop(true);
    let id = nodes.offered(&new_offer(0, (1, 0), [5_000, 0]), at(0)).node.expect("it is of a node");
    let node = nodes.get(id, at(0)).expect("it is there");
    assert_eq!((node.state, node.state.takes_new_jobs()), (NodeState::SchedulerStopped, false));
    assert!(node.takes_next_steps, "what runs goes on");
    assert_eq!(nodes.allocate(id, &named([1_000, 0]), at(1)).expect("it is held").len(), 1);
}

#[test]
fn machines_on_record_keep_their_ids() {
    let mut nodes = ClusterNodes::bounded(Roles::default(), false, [OFFERS, 2, TASKS]);
    assert_eq!(nodes.know(NodeId(7), "host-1", at(0)), Ok(()));
    assert_eq!(nodes.know(NodeId(7), "host-1", at(0)), Ok(()));
    assert_eq!(nodes.know(NodeId(7), "host-2", at(0)), Err(KnowError::IdTaken { id: NodeId(7) }));
    assert_eq!(nodes.know(NodeId(8), "host-1", at(0)), Err(KnowError::HostTaken { id: NodeId(7) }));
    assert_eq!(nodes.know(NodeId(8), "", at(0)), Err(KnowError::BadHost));
    assert_eq!(nodes.get(NodeId(7), at(0)).map(|node| node.state), Some(NodeState::Offline));
    let task = NodeTask { priority: 1, asks: named([1_000, 0]), is_current: true };
    nodes.run(NodeId(7), launch(1), task, at(0)).expect("it is there before its agent is");
    let arrival = nodes.offered(&new_offer(0, (1, 0), [1_000, 0]), at(1));
    assert_eq!((arrival.node, arrival.is_new), (Some(NodeId(7)), false));
    assert_eq!(nodes.get(NodeId(7), at(1)).map(|node| two(&node.watermark)), Some([2_000, 0]));
    assert_eq!(nodes.offered(&new_offer(1, (2, 0), [1_000, 0]), at(1)).node, Some(NodeId(8)));
    assert_eq!(nodes.know(NodeId(9), "host-3", at(1)), Err(KnowError::TooMany { max: 2 }));
    let arrival = nodes.offered(&NewOffer { host: String::new(), ..new_offer(2, (3, 0), [1, 0]) }, at(1));
    assert_eq!(arrival.outcome.expect_err("it has no name").why, DeclineReason::BadHost);
}

#[test]
fn a_node_whose_offers_are_held_is_not_dropped() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    let id = nodes.offered(&new_offer(0, (1, 0), [1, 0]), at(0)).node.expect("it is of a node");
    nodes.hear(id, NodeNews::Active(false)).expect("it is there");
    assert_eq!(nodes.drop_silent(at(300)), []);
    assert_eq!(nodes.expire(at(300)).len(), 1);
    assert_eq!(nodes.drop_silent(at(300)), [id]);
    assert_eq!(nodes.hear(id, NodeNews::Active(true)), Ok(NodeState::Offline));
    assert_eq!(nodes.offered(&new_offer(1, (1, 0), [1, 0]), at(301)).node, Some(id));
}

#[test]
fn many_machines_are_forgotten_in_one_go() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    let all = 1..=50_000_u32;
    for id in all.clone() {
        nodes.know(NodeId(id), &format!("host-{id}"), at(0)).expect("there is room");
    }
    nodes.know(NodeId(0), "one", at(1)).expect("there is room");
    let dropped = nodes.drop_silent(at(300));
    assert!(dropped.iter().copied().eq(all.map(NodeId)));
    assert_eq!(nodes.forget_all(dropped), 50_000);
    assert_eq!((nodes.id_of("host-1"), nodes.id_of("one")), (None, Some(NodeId(0))));
    assert_eq!((nodes.forget_all([NodeId(0), NodeId(1)]), nodes.forget(NodeId(0))), (0, false));
}

#[test]
fn what_waits_too_long_tells_what_it_lacks() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    let id = nodes.offered(&new_offer(0, (1, 0), [2_000, 0]), at(0)).node.expect("it is of a node");
    for asks in [[1_500, 0], [1_500, 1_000]] {
        nodes.waits(id, &named(asks)).expect("it is there");
    }
    let shortage = |nodes: &ClusterNodes| nodes.get(id, at(0)).map(|node| node.shortage.to_string());
    assert_eq!(shortage(&nodes), Some("cpus:1,gpus:1".to_owned()));
    nodes.nothing_waits();
    assert_eq!(shortage(&nodes), Some(String::new()));
}

#[test]
fn sums_are_exact_and_a_total_limits_what_is_told() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    let id = nodes.offered(&new_offer(0, (1, 0), [4_004, 0]), at(0)).node.expect("it is of a node");
    let task = NodeTask { priority: 1, asks: named([4_003, 0]), is_current: true };
    nodes.run(id, launch(1), task, at(0)).expect("it is there");
    assert_eq!(nodes.without_total().count(), 1);
    assert_eq!(nodes.numbers(id, at(0)).map(|n| n.get("cpus").total), Some(Quantity(8_007)));
    assert!(nodes.set_total(&agent((1, 0)), named([8_000, 0]), at(0)));
    let node = nodes.get(id, at(0)).expect("it is there");
    assert_eq!((two(&node.watermark), two(&node.offered)), ([8_000, 0], [3_997, 0]));
    assert_eq!(nodes.offered_on(id).map(two), Some([4_004, 0]), "what may be started on");
    assert_eq!(nodes.without_total().count(), 0);
}

#[test]
fn graphics_processors_are_back_with_the_end_of_what_had_them() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    let id = nodes.offered(&new_offer(0, (1, 0), [0, 2_000]), at(0)).node.expect("it is of a node");
    let share = SlotShare { slot: 1, thousandths: 500 };
    assert_eq!(nodes.retake_gpus(id, launch(1), &[share]), Ok(&[share][..]));
    assert!(nodes.retake_gpus(id, launch(2), &[SlotShare { slot: 1, thousandths: 501 }]).is_err());
    let other = nodes.take_gpus(id, launch(2), Quantity(400)).map(<[SlotShare]>::to_vec);
    assert_eq!(other, Ok(vec![SlotShare { slot: 1, thousandths: 400 }]), "the fuller one");
    assert!(nodes.ended(id, launch(1), at(0)) && nodes.ended(id, launch(2), at(0)), "neither was launched");
    assert!(!nodes.ended(id, launch(2), at(0)));
    assert_eq!(nodes.get(id, at(0)).map(|node| node.gpus), Some((Quantity(2_000), 2)));
}

#[test]
fn attributes_have_bounds() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    let value = |n: u32| "v".repeat(if n == 0 { 2_000 } else { 1 });
    let mut offer = new_offer(0, (1, 0), [1, 0]);
    offer.attributes = (0..100).map(|n| (format!("a{n:02}"), value(n))).collect();
    let id = nodes.offered(&offer, at(0)).node.expect("it is of a node");
    let node = nodes.get(id, at(0)).expect("it is there");
    let names: Vec<&String> = node.attributes.keys().collect();
    assert_eq!((names.len(), names[0].as_str(), names[63].as_str()), (64, "a01", "a64"));
    let offer = node.offer();
    assert_eq!((offer.node, &*offer.name, two(&offer.free)), (id, "host-1", [1, 0]));
    assert_eq!(&offer.attributes, node.attributes);
}
