//! From the offers of a cluster to what runs, by the public API alone: offers are held, a pass places
//! executions on the nodes, and the offers that cover them are used.

use std::collections::BTreeMap;

use weighbridge::{
    AgentId, ClusterNode, ClusterNodes, ConstraintSetId, Entry, ExeId, GpuSlots, JobId, JobTypeId,
    LaunchName, NewOffer, NodeResources, NodeTask, OfferId, PassPick, Policy, Quantity, RoleAmount, Roles,
    RunningShare, Scheduler, SchedulingNode, TenantId, Timestamp,
};

fn set(text: &str) -> NodeResources {
    text.parse().expect("resources")
}

fn new_offer(id: &str, host: &str, amounts: &[(&str, u64)]) -> NewOffer {
    let amount = |(name, n): &(&str, u64)| RoleAmount {
        role: Roles::ANY.into(),
        name: (*name).into(),
        amount: Quantity::whole(*n),
    };
    NewOffer {
        id: OfferId::new(id).expect("a name"),
        agent: AgentId::new(&format!("agent-of-{host}")).expect("a name"),
        host: host.into(),
        amounts: amounts.iter().map(amount).collect(),
        attributes: BTreeMap::from([("rack".into(), "a".into())]),
    }
}

/// What a pass takes of a node.
fn scheduling_node(node: &ClusterNode<'_>) -> SchedulingNode {
    let share = |task: &NodeTask| {
        let share = RunningShare::new(task.priority, task.asks.clone());
        RunningShare { is_current: task.is_current, ..share }
    };
    SchedulingNode {
        id: node.id,
        is_ready: node.state.takes_new_jobs(),
        offered: node.offered.clone(),
        watermark: node.watermark.clone(),
        running: node.tasks.values().map(share).collect(),
        other: node.other.clone(),
        attributes: node.attributes.clone(),
        ..SchedulingNode::default()
    }
}

fn queued(scheduler: &mut Scheduler, id: u64, asks: &str) {
    let asks = scheduler.queue_mut().intern(&set(asks));
    let entry = Entry {
        id: ExeId(id),
        job: JobId(id),
        job_type: JobTypeId(1),
        tenant: TenantId::default(),
        constraints: ConstraintSetId::default(),
        priority: 100,
        queued: Timestamp(1),
        asks,
    };
    scheduler.queue_mut().insert(entry).expect("it is new");
}

/// Places what it can, uses the offers for it, and tells which were used.
fn round(
    nodes: &mut ClusterNodes,
    scheduler: &mut Scheduler,
    asks: &NodeResources,
    now: Timestamp,
) -> Vec<String> {
    for node in nodes.iter(now) {
        scheduler.set_node(scheduling_node(&node));
    }
    let mut picks: Vec<PassPick> = Vec::new();
    scheduler.pass(now, 100, &mut picks);
    let mut needs: BTreeMap<_, NodeResources> = BTreeMap::new();
    for pick in &picks {
        let need = needs.entry(pick.node).or_default();
        *need = need.plus(asks);
    }
    let mut used = Vec::new();
    for (node, need) in &needs {
        let offers = nodes.allocate(*node, need, now).expect("a pass gives away what is on offer");
        used.extend(offers.iter().map(|offer| offer.id().to_string()));
    }
    for pick in picks {
        let task = NodeTask { priority: pick.entry.priority, asks: asks.clone(), is_current: true };
        let name = LaunchName { exe: pick.entry.id, number: 1 };
        nodes.run(pick.node, name, task, now).expect("it is there");
    }
    used
}

#[test]
fn offers_that_nobody_needs_now_are_there_for_what_comes_next() {
    let mut nodes = ClusterNodes::new(Roles::default(), false);
    let mut scheduler = Scheduler::new(Policy::default());
    let at = Timestamp::from_secs;
    for (id, host, cpus) in [("o1", "a", 2), ("o2", "a", 2), ("o3", "b", 4)] {
        let arrival = nodes.offered(&new_offer(id, host, &[("cpus", cpus), ("mem", 100)]), at(0));
        assert!(arrival.outcome.is_ok());
    }
    let asks = set("cpus:2,mem:10");
    queued(&mut scheduler, 1, "cpus:2,mem:10");
    let used = round(&mut nodes, &mut scheduler, &asks, at(1));
    assert_eq!(used.len(), 1);
    assert_eq!(nodes.offers().iter().len(), 2, "the others are held");

    // In the next round what is held is enough for two more, of which one is queued.
    queued(&mut scheduler, 2, "cpus:2,mem:10");
    assert_eq!(round(&mut nodes, &mut scheduler, &asks, at(9)).len(), 1);
    let expired = nodes.expire(at(10));
    assert_eq!(expired.len(), 1, "each offer is used or declined, and once");

    // Nothing is on offer, and what runs is known until it ends.
    queued(&mut scheduler, 3, "cpus:2,mem:10");
    assert!(round(&mut nodes, &mut scheduler, &asks, at(11)).is_empty());
    let cpus = nodes.sums(at(11)).get("cpus");
    assert_eq!(
        (cpus.running, cpus.offered, cpus.total),
        (Quantity::whole(4), Quantity::ZERO, Quantity::whole(8))
    );
    for node in 1..=2 {
        for exe in 1..=2 {
            nodes.ended(weighbridge::NodeId(node), LaunchName { exe: ExeId(exe), number: 1 }, at(12));
        }
    }
    assert_eq!(nodes.sums(at(12)).get("cpus").running, Quantity::ZERO);
}

#[test]
fn on_a_node_with_slots_nobody_gets_more_than_a_piece() {
    let mut scheduler = Scheduler::new(Policy::default());
    for (id, asks) in [(1, "gpus:0.6"), (2, "gpus:0.6"), (3, "gpus:0.7"), (4, "gpus:0.4")] {
        queued(&mut scheduler, id, asks);
    }
    let mut node = SchedulingNode::idle(weighbridge::NodeId(1), &set("cpus:1,gpus:2"));
    node.gpus = Some(GpuSlots::new(2));
    scheduler.set_node(node.clone());
    let told = |picks: &mut Vec<PassPick>| picks.drain(..).map(|pick| pick.entry.id.0).collect::<Vec<_>>();
    // Offered alone, two of its four at first; then a pass over what is left.
    let mut picks = Vec::new();
    scheduler.offer(&node, 2, &mut picks);
    assert_eq!(told(&mut picks), [1, 2]);
    scheduler.pass(Timestamp(2), 9, &mut picks);
    assert_eq!(told(&mut picks), [4], "0.8 is free in pieces of 0.4");
}
