//! Where our policy and Scale's rules part: each test shows both.

use std::collections::BTreeSet;

use weighbridge::{
    ExeId, NodeId, Policy, QueueMode, ScaleDone, ScaleEntry, ScaleNode, ScaleReport, ScaleRules, ScaleType,
    Scheduler, SchedulingNode, Timestamp,
};

use crate::{Cluster, FIRST, SECOND, set};

/// What Scale does with the same nodes and entries: (id, job type, asks), in order.
fn scale(
    limit: usize,
    nodes: &[SchedulingNode],
    entries: &[(u64, weighbridge::JobTypeId, &str)],
    change: impl Fn(&mut ScaleRules, &mut Vec<ScaleEntry>),
) -> ScaleReport {
    let entry = |(id, job_type, asks): &(u64, weighbridge::JobTypeId, &str)| ScaleEntry {
        id: ExeId(*id),
        job_type: *job_type,
        priority: 1,
        queued: Timestamp(i64::try_from(*id).expect("small")),
        asks: set(asks),
        ..ScaleEntry::default()
    };
    let mut entries: Vec<ScaleEntry> = entries.iter().map(entry).collect();
    let node = |node: &SchedulingNode| ScaleNode {
        is_ready: node.is_ready,
        total: Some(node.watermark.clone()),
        watermark: node.watermark.clone(),
    };
    let mut rules = ScaleRules {
        mode: QueueMode::Fifo,
        limit,
        types: vec![ScaleType::new(FIRST, "first"), ScaleType::new(SECOND, "second")],
        nodes: nodes.iter().map(node).collect(),
        workspaces: BTreeSet::new(),
        warnings: BTreeSet::new(),
    };
    change(&mut rules, &mut entries);
    let mut scheduler = Scheduler::new(Policy::scale());
    for entry in &entries {
        scheduler.queue_mut().intern(&entry.asks);
    }
    for node in nodes {
        scheduler.set_node(node.clone());
    }
    rules.pass(&entries, &mut scheduler.placing())
}

fn scheduled(report: &ScaleReport) -> Vec<(u64, u32)> {
    let picks = report.done.iter().filter_map(|done| match done {
        ScaleDone::Scheduled { entry, node, .. } => Some((entry.0, node.0)),
        ScaleDone::Drained { .. } => None,
    });
    picks.collect()
}

fn ours(
    policy: Policy,
    nodes: &[SchedulingNode],
    entries: &[(u64, weighbridge::JobTypeId, &str)],
) -> Cluster {
    let mut cluster = Cluster::new(policy);
    for node in nodes {
        cluster.scheduler.set_node(node.clone());
    }
    for (id, job_type, asks) in entries {
        cluster.queue(*id, *job_type, 1, asks);
    }
    cluster
}

fn idle(id: u32, resources: &str) -> SchedulingNode {
    SchedulingNode::idle(NodeId(id), &set(resources))
}

#[test]
fn what_cannot_be_placed_at_the_head_hides_what_is_behind_it_in_scale_and_nothing_here() {
    let nodes = [idle(1, "cpus:4,gpus:0"), idle(2, "cpus:2,gpus:1")];
    // Each is there, on no node both.
    let entries = [(1, FIRST, "cpus:4,gpus:1"), (2, FIRST, "cpus:4,gpus:1"), (3, SECOND, "cpus:1")];
    let report = scale(2, &nodes, &entries, |_, _| {});
    assert_eq!((scheduled(&report), report.unplaced.len()), (vec![], 2));
    assert_eq!(ours(Policy::default(), &nodes, &entries).picks(0), [(3, 1)]);
}

#[test]
fn one_that_is_too_large_holds_its_job_type_up_in_scale_and_itself_here() {
    let nodes = [idle(1, "cpus:4")];
    let entries = [(1, FIRST, "cpus:5"), (2, FIRST, "cpus:1")];
    let report = scale(500, &nodes, &entries, |_, _| {});
    assert_eq!((scheduled(&report), report.skipped), (vec![], vec![ExeId(1), ExeId(2)]));
    assert_eq!(ours(Policy::default(), &nodes, &entries).picks(0), [(2, 1)]);
}

#[test]
fn a_canceled_entry_takes_up_a_place_of_what_is_read_in_scale_and_is_gone_here() {
    let nodes = [idle(1, "cpus:4")];
    let entries = [(1, FIRST, "cpus:1"), (2, FIRST, "cpus:1")];
    let report = scale(1, &nodes, &entries, |_, entries| entries[0].is_canceled = true);
    assert_eq!((scheduled(&report), report.done.len()), (vec![], 1));
    let mut cluster = ours(Policy::default(), &nodes, &entries);
    cluster.scheduler.queue_mut().cancel(ExeId(1)).expect("it waits");
    assert_eq!(cluster.picks(0), [(2, 1)]);
}

#[test]
fn without_a_ready_node_canceled_entries_stay_in_scale_and_are_gone_here() {
    let mut node = idle(1, "cpus:4");
    node.is_ready = false;
    let nodes = [node];
    let entries = [(1, FIRST, "cpus:1")];
    let report = scale(500, &nodes, &entries, |_, entries| entries[0].is_canceled = true);
    assert!(report.done.is_empty());
    let mut cluster = ours(Policy::default(), &nodes, &entries);
    cluster.scheduler.queue_mut().cancel(ExeId(1)).expect("it waits");
    assert!(cluster.scheduler.queue().is_empty());
}

#[test]
fn a_reservation_is_for_one_pass_in_scale_and_until_it_is_used_here() {
    let mut busy = idle(1, "cpus:4");
    busy.offered = set("cpus:2");
    let entries = [(1, FIRST, "cpus:4"), (2, SECOND, "cpus:2")];
    let report = scale(500, &[busy.clone()], &entries, |_, _| {});
    assert_eq!((scheduled(&report), report.reserved), (vec![], vec![(ExeId(1), NodeId(1))]));

    // Scale reserves at once, for whoever comes first; in the next pass for another one.
    let report = scale(500, &[busy.clone()], &[(3, SECOND, "cpus:3"), (1, FIRST, "cpus:4")], |_, entries| {
        entries[0].priority = 0;
    });
    assert_eq!(report.reserved, [(ExeId(3), NodeId(1))]);

    // Here a node is kept for who was passed over for long enough, and for no other then.
    let mut cluster = ours(Policy::default().with_starvation(1_000, 60), &[busy.clone()], &entries[..1]);
    assert_eq!(cluster.picks(0), []);
    assert_eq!(cluster.reserved(), [], "not at once");
    assert_eq!(cluster.picks(60), []);
    assert_eq!(cluster.reserved(), [(1, 1)]);
    cluster.queue(3, SECOND, 0, "cpus:2");
    assert_eq!((cluster.picks(61), cluster.reserved()), (vec![], vec![(1, 1)]));
}

#[test]
fn an_unknown_job_type_is_passed_over_with_a_warning_in_scale_and_is_no_obstacle_here() {
    let nodes = [idle(1, "cpus:4")];
    let entries = [(1, FIRST, "cpus:1")];
    let report = scale(500, &nodes, &entries, |rules, _| rules.types[0].is_synced = false);
    assert_eq!((scheduled(&report), report.skipped), (vec![], vec![ExeId(1)]));
    assert!(report.warnings.contains("UNKNOWN_JOB_TYPE"));
    // What is queued here brings what it asks for; a job type tells limits and pauses alone.
    assert_eq!(ours(Policy::default(), &nodes, &entries).picks(0), [(1, 1)]);
}
