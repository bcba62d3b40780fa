//! Who is passed over too often or too long gets a node.

use proptest::prelude::*;
use weighbridge::{ExeId, NodeId, Policy, Reserving, RunningShare, Scheduler, SchedulingNode, TypePolicy};

use crate::{Cluster, FIRST, SECOND, at, set};

fn held(overtaken: u32, seconds: u32) -> Policy {
    Policy::default().with_starvation(overtaken, seconds)
}

/// Two nodes of four cores with two in use each, and one that wants a whole one.
fn passed_over(policy: Policy) -> Cluster {
    let mut cluster = Cluster::new(policy);
    cluster.busy(1, "cpus:4", &[("cpus:2", None)]).busy(2, "cpus:4", &[("cpus:2", None)]);
    cluster.queue(1, FIRST, 1, "cpus:4");
    cluster
}

#[test]
fn a_node_is_kept_for_who_was_overtaken_often_enough() {
    let mut cluster = passed_over(held(2, 1_000_000));
    cluster.queue(2, SECOND, 1, "cpus:1").queue(3, SECOND, 1, "cpus:1");
    assert_eq!(cluster.picks(0), [(2, 1), (3, 1)], "two overtake it");
    let passed = cluster.scheduler.passed_over(ExeId(1)).expect("it is watched");
    assert_eq!((passed.since, passed.overtaken), (at(0), 2));
    cluster.queue(4, SECOND, 1, "cpus:1").queue(5, SECOND, 1, "cpus:1").queue(6, SECOND, 1, "cpus:1");
    let (picks, summary) = cluster.pass(1);
    assert_eq!(cluster.reserved(), [(1, 2)], "it lacks less there");
    assert_eq!((picks, summary.reserved.len()), (vec![], 1));
    // Nothing else starts on it, however much becomes free; on the other what finds room.
    cluster.busy(2, "cpus:4", &[("cpus:1", None)]).busy(1, "cpus:4", &[("cpus:2", None)]);
    assert_eq!(cluster.picks(2), [(4, 1), (5, 1)]);
    cluster.node(2, "cpus:4");
    assert_eq!(cluster.picks(3), [(1, 2)]);
    assert_eq!(cluster.reserved(), []);
    assert_eq!(cluster.scheduler.passed_over(ExeId(1)), None);
}

#[test]
fn a_node_is_kept_for_who_waited_long_enough() {
    let mut cluster = passed_over(held(1_000_000, 60));
    assert_eq!(cluster.picks(0), []);
    assert!(cluster.pass(59).1.is_unchanged, "nothing changed and nobody is due");
    assert_eq!(cluster.reserved(), []);
    assert!(!cluster.pass(60).1.is_unchanged, "it is due");
    assert_eq!(cluster.reserved(), [(1, 1)]);
}

#[test]
fn a_job_type_may_have_a_bound_of_its_own() {
    let own = TypePolicy::default().with_starvation(1_000_000, 5);
    let mut cluster = passed_over(held(1_000_000, 1_000_000).with_job_type(FIRST, own));
    assert_eq!(cluster.picks(0), []);
    assert_eq!(cluster.picks(5), []);
    assert_eq!(cluster.reserved(), [(1, 1)]);
}

#[test]
fn no_node_is_kept_for_who_fits_on_none() {
    let mut cluster = Cluster::new(held(0, 0));
    cluster.busy(1, "cpus:4", &[("cpus:2", None)]).queue(1, FIRST, 1, "cpus:5").queue(2, SECOND, 1, "cpus:2");
    assert_eq!(cluster.picks(0), [(2, 1)]);
    assert_eq!(cluster.reserved(), []);
    assert_eq!(cluster.scheduler.passed_over(ExeId(1)), None);
}

#[test]
fn a_node_is_open_again_when_who_it_is_kept_for_goes_or_it_was_kept_too_long() {
    let mut cluster = passed_over(held(0, 0));
    cluster.queue(2, SECOND, 1, "cpus:2").queue(3, SECOND, 1, "cpus:2");
    assert_eq!(cluster.picks(0), [(2, 2)]);
    assert_eq!(cluster.reserved(), [(1, 1)]);
    cluster.scheduler.queue_mut().cancel(ExeId(1)).expect("it waits");
    assert_eq!(cluster.picks(1), [(3, 1)]);

    let mut cluster = passed_over(held(0, 0));
    assert_eq!(cluster.picks(0), []);
    cluster.scheduler.remove_node(NodeId(1));
    assert_eq!(cluster.picks(1), []);
    assert_eq!(cluster.reserved(), [(1, 2)], "another is kept once the first is gone");
}

#[test]
fn what_ends_before_a_kept_node_is_needed_runs_there() {
    let policy = held(0, 0).with_job_type(SECOND, TypePolicy::default().with_estimate(50));
    let mut cluster = Cluster::new(policy);
    cluster.busy(1, "cpus:4", &[("cpus:1", Some(40)), ("cpus:2", Some(100))]);
    cluster.queue(1, FIRST, 1, "cpus:4");
    assert_eq!(cluster.picks(0), []);
    let kept: Vec<_> = cluster.scheduler.reservations().copied().collect();
    assert_eq!(kept[0].starts, Some(at(100)));
    cluster.queue(2, SECOND, 1, "cpus:1");
    let (picks, summary) = cluster.pass(50);
    assert_eq!((picks, summary.n_backfilled), (vec![(2, 1)], 1), "it ends at 100");
    cluster.busy(1, "cpus:4", &[("cpus:2", Some(100))]);
    cluster.queue(3, SECOND, 1, "cpus:1");
    assert_eq!(cluster.picks(51), [], "it would end at 101");
}

#[test]
fn strictly_nothing_starts_while_something_more_important_waits_that_could_run() {
    let mut cluster = passed_over(held(1_000, 1_000).strict(true));
    cluster.queue(2, SECOND, 2, "cpus:1").queue(3, SECOND, 0, "cpus:1").queue(4, SECOND, 0, "cpus:9");
    assert_eq!(cluster.picks(0), [(3, 1)], "what is more important goes; what fits nowhere holds nobody up");
}

#[test]
fn on_a_kept_node_an_offer_starts_only_whom_it_is_kept_for() {
    let mut cluster = passed_over(held(0, 0));
    assert_eq!(cluster.picks(0), []);
    cluster.queue(2, SECOND, 0, "cpus:1");
    let offer = |cluster: &mut Cluster, id: u32, offered: &str| {
        let mut node = SchedulingNode::idle(NodeId(id), &set("cpus:4"));
        node.offered = set(offered);
        let mut picks = Vec::new();
        cluster.scheduler.offer(&node, 10, &mut picks);
        picks.iter().map(|pick| pick.entry.id.0).collect::<Vec<_>>()
    };
    assert!(offer(&mut cluster, 1, "cpus:3").is_empty());
    assert_eq!(offer(&mut cluster, 2, "cpus:3"), [2]);
    assert_eq!(offer(&mut cluster, 1, "cpus:4"), [1]);
    assert_eq!(cluster.reserved(), []);
}

/// What runs, until when.
type Running = Vec<(u64, u32, u64, i64)>;

fn state(id: u32, cpus: u64, running: &Running) -> SchedulingNode {
    let mut node = SchedulingNode::idle(NodeId(id), &set(&format!("cpus:{cpus}")));
    for (_, _, asks, _) in running.iter().filter(|(_, on, ..)| *on == id) {
        let asks = set(&format!("cpus:{asks}"));
        node.offered = node.offered.minus(&asks).expect("no node is promised more than it has");
        node.running.push(RunningShare::new(1, asks));
    }
    node
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Small ones come for ever, in any number, more important or not, and take what they find. The large
    /// one starts all the same: no more than its bound overtakes it before a node is kept for it, and then
    /// nothing starts there before it.
    #[test]
    fn however_many_come_after_it_the_large_one_starts(
        n_nodes in 1..5_u32,
        bound in 0..30_u32,
        arrivals in proptest::collection::vec(proptest::collection::vec((1..3_u64, 1..15_i64), 0..8), 250),
    ) {
        let cpus = 4;
        let policy = Policy::default().with_starvation(bound, 1_000_000);
        prop_assert_eq!(policy.reserving, Reserving::Held);
        let mut scheduler = Scheduler::new(policy);
        let mut running: Running = Vec::new();
        for id in 1..=n_nodes {
            // All of them are in use by half when it comes.
            running.push((1_000_000 + u64::from(id), id, 2, 10));
        }
        let mut cluster = Cluster { scheduler };
        cluster.queue(1, FIRST, 1, "cpus:4");
        scheduler = cluster.scheduler;
        let (mut next, mut lengths) = (2, std::collections::BTreeMap::new());
        let mut started = None;
        let mut overtaken_before_kept = 0;
        let mut kept_since = None;
        for (now, arriving) in (0..).zip(&arrivals) {
            running.retain(|(_, _, _, ends)| *ends > now);
            for id in 1..=n_nodes {
                scheduler.set_node(state(id, cpus, &running));
            }
            let mut cluster = Cluster { scheduler };
            for (asks, length) in arriving {
                cluster.queue(next, SECOND, 1, &format!("cpus:{asks}"));
                lengths.insert(next, (*asks, *length));
                next += 1;
            }
            let (picks, _) = cluster.pass(now);
            scheduler = cluster.scheduler;
            let kept = scheduler.reservations().next().copied();
            for (exe, node) in picks {
                if exe == 1 {
                    started = Some(now);
                    running.push((1, node, 4, i64::MAX));
                    continue;
                }
                let (asks, length) = lengths[&exe];
                running.push((exe, node, asks, now + length));
                if started.is_none() && kept_since.is_none() {
                    overtaken_before_kept += 1;
                }
                if let Some(kept) = kept.filter(|kept| kept.since < at(now)) {
                    prop_assert_ne!(kept.node.0, node, "it is kept");
                }
            }
            if kept.is_some() && kept_since.is_none() {
                kept_since = Some(now);
            }
            if started.is_some() {
                break;
            }
        }
        // One pass may start as many as fit at once before the count is looked at again.
        let n_at_once = u32::try_from(cpus).expect("small") * n_nodes;
        prop_assert!(overtaken_before_kept <= bound + n_at_once, "{} overtook it", overtaken_before_kept);
        // What ran on the kept node ends within fifteen seconds.
        let n_arrived: usize = arrivals.iter().map(Vec::len).sum();
        if let Some(since) = kept_since {
            prop_assert!(started.is_some_and(|started| started <= since + 15), "kept at {}, started at {:?}", since, started);
        } else {
            prop_assert!(started.is_some() || n_arrived < 2_000, "neither kept nor started");
        }
    }
}

#[test]
fn passes_within_a_second_count_who_overtakes_all_the_same() {
    let mut cluster = passed_over(held(3, 1_000_000));
    assert_eq!(cluster.picks(0), [], "looked over");
    cluster.queue(2, SECOND, 1, "cpus:1").queue(3, SECOND, 1, "cpus:1");
    assert_eq!(cluster.picks(0), [(2, 1), (3, 1)]);
    cluster.queue(4, SECOND, 1, "cpus:1").queue(5, SECOND, 0, "cpus:1");
    assert_eq!(cluster.picks(0), [(5, 2), (4, 2)]);
    let passed = cluster.scheduler.passed_over(ExeId(1)).expect("it is watched");
    assert_eq!((passed.since, passed.overtaken), (at(0), 3), "one was more important");
    assert_eq!(cluster.reserved(), []);
    assert_eq!(cluster.picks(1), []);
    assert_eq!(cluster.reserved(), [(1, 1)]);
}

#[test]
fn who_comes_between_two_looks_is_watched_a_second_later_though_nothing_changes() {
    let mut cluster = Cluster::new(held(1_000, 10));
    cluster.busy(1, "cpus:4", &[("cpus:2", None)]);
    assert_eq!(cluster.picks(0), []);
    cluster.queue(1, FIRST, 1, "cpus:4");
    assert_eq!(cluster.picks(0), []);
    assert_eq!(cluster.scheduler.passed_over(ExeId(1)), None);
    assert!(!cluster.pass(1).1.is_unchanged);
    assert_eq!(cluster.scheduler.passed_over(ExeId(1)).expect("watched").since, at(1));
    assert!(cluster.pass(10).1.is_unchanged);
    assert_eq!((cluster.picks(11), cluster.reserved()), (vec![], vec![(1, 1)]));
}
