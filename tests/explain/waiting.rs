//! What waits, counted by what keeps it.

use std::collections::BTreeMap;

use weighbridge::WaitReason;

use super::nodes::{Numbers, cluster};
use super::*;

/// What waits of a type, by reason.
pub(super) fn counts(site: &Site, kind: JobTypeId) -> Vec<(&'static str, u64)> {
    let view = site.engine.fresh_view(SYNC);
    let waiting = view.job_type(kind).expect("known").waiting;
    let all = WaitReason::ALL.into_iter().map(|reason| (reason.as_str(), waiting.of(reason)));
    all.filter(|(_, n)| *n > 0).collect()
}

#[test]
fn views_count_what_waits_by_what_keeps_it() {
    let mut site = Site::new(Policy::default().with_starvation(1_000, 60));
    let (small, large) = (site.kind("small", "cpus:1"), site.kind("large", "cpus:4"));
    let huge = site.kind("huge", "cpus:9");
    site.submit(small, 3);
    assert_eq!(counts(&site, small), [("no_nodes", 3)]);
    site.node(1, "cpus:4");
    assert_eq!(counts(&site, small), [("behind", 3)]);
    assert_eq!(site.pass().len(), 3);
    assert_eq!(counts(&site, small), []);
    site.at(30);
    site.submit(large, 2);
    site.submit(huge, 5);
    assert_eq!(site.pass(), []);
    assert_eq!((counts(&site, large), counts(&site, huge)), (vec![("busy", 2)], vec![("too_big", 5)]));
    site.at(90);
    assert_eq!(site.pass(), []);
    site.submit(small, 4);
    assert_eq!((counts(&site, small), counts(&site, large)), (vec![("kept", 4)], vec![("busy", 2)]));
    site.limit(small, 3);
    assert_eq!(counts(&site, small), [("limit", 4)]);
    site.engine.pause(small, true).expect("room").wait_durable(SYNC).expect("set");
    assert_eq!(counts(&site, small), [("paused", 4)]);
}

#[test]
fn since_when_a_limit_holds_is_known_once_it_was_counted() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    site.node(1, "cpus:9");
    site.limit(kind, 1);
    site.submit(kind, 2);
    assert_eq!(site.pass().len(), 1);
    site.at(7);
    site.engine.fresh_view(SYNC);
    site.at(20);
    site.engine.fresh_view(SYNC);
    let limit = "job type 1 is at its limit: 1 of 1 run since 1970-01-01T00:00:07Z";
    site.says(2, &format!("job 2 is QUEUED, number 1 of 1: {limit}"));
}

#[test]
fn what_waits_is_counted_again_after_a_second_without_being_asked() {
    let engine = Engine::in_memory(Options::default());
    let mut site = Site { engine, clock: HandClock::default(), n_submissions: 0 };
    let kind = site.kind("a", "cpus:1");
    site.submit(kind, 2);
    let counted = |reason| {
        // As whoever decides does, who looks for work all the time.
        site.engine.pump();
        site.engine.view().job_type(kind).map_or(0, |kind| kind.waiting.of(reason))
    };
    let until = |reason, n| {
        let mut n_looks = 0;
        while counted(reason) != n {
            n_looks += 1;
            assert!(n_looks < 2_000, "{reason:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    until(WaitReason::NoNodes, 2);
    // No event tells of this.
    site.node(1, "cpus:4");
    until(WaitReason::Behind, 2);
    until(WaitReason::NoNodes, 0);
}

/// For each type with waiting jobs: how many, by what the first of their lane is told.
pub(super) fn told(site: &Site) -> BTreeMap<JobTypeId, BTreeMap<WaitReason, u64>> {
    let mut told: BTreeMap<JobTypeId, BTreeMap<WaitReason, u64>> = BTreeMap::new();
    let why = site.engine.node_why(NodeId(1)).expect("declared");
    assert_eq!(why.lanes.len(), why.n_lanes);
    for lane in why.lanes {
        let blocker = site.why(lane.job.0).blocker;
        let reason = WaitReason::of(&blocker).expect("it is queued");
        *told.entry(lane.job_type).or_default().entry(reason).or_default() += lane.n_queued as u64;
    }
    told
}

fn policy(seed: u64) -> Policy {
    let mut policy = match seed % 4 {
        0 => Policy::default().with_reserving(Reserving::PerPass),
        1 => Policy::default().with_starvation(2, 20).strict(true),
        _ => Policy::default().with_starvation(2, 20),
    };
    let own = TypePolicy::default().with_constraint(demand("rack", Demand::Equals("b".to_owned())));
    for n in 0..3 {
        policy.named.insert(format!("picky{n}"), own.clone());
    }
    policy.named.insert("t5".to_owned(), TypePolicy::default().with_estimate(1));
    policy
}

#[test]
fn counts_agree_with_what_the_first_of_each_lane_is_told() {
    let mut n_seen: BTreeMap<WaitReason, u64> = BTreeMap::new();
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let mut site = Site::new(policy(seed));
        let (hosts, kinds) = cluster(&mut site, &mut numbers);
        let host = site.engine.put_node("n1").expect("room").wait_durable(SYNC).expect("known");
        for round in 0..8 {
            site.at(round * 7);
            for kind in &kinds {
                let count = u32::try_from(numbers.below(3)).expect("small");
                if count > 0 {
                    site.submit_at(kind.id, count, i32::try_from(numbers.below(3)).expect("small"));
                }
            }
            if numbers.below(4) == 0 {
                let pause = NodeChange { is_paused: Some(numbers.below(2) == 0), ..NodeChange::default() };
                site.engine.edit_node(host, pause).expect("room").wait_durable(SYNC).expect("set");
            }
            if numbers.below(2) == 0 {
                site.pass();
            }
            let (told, view) = (told(&site), site.engine.fresh_view(SYNC));
            for kind in &kinds {
                let waiting = view.job_type(kind.id).expect("known").waiting;
                let counted = WaitReason::ALL.into_iter().map(|reason| (reason, waiting.of(reason)));
                let counted: BTreeMap<_, _> = counted.filter(|(_, n)| *n > 0).collect();
                let expected = told.get(&kind.id).cloned().unwrap_or_default();
                assert_eq!(counted, expected, "seed {seed}, round {round}, type {}", kind.id);
                for (reason, n) in counted {
                    *n_seen.entry(reason).or_default() += n;
                }
            }
            if let Some(host) = hosts.get(usize::try_from(numbers.below(8)).expect("small")) {
                site.end_all(host.id);
            }
        }
    }
    let reasons = [
        WaitReason::Busy,
        WaitReason::TooBig,
        WaitReason::Limit,
        WaitReason::Paused,
        WaitReason::Kept,
        WaitReason::Behind,
        WaitReason::Constraints,
    ];
    assert!(n_seen.keys().eq(&reasons) && n_seen.values().all(|n| *n > 20), "{n_seen:?}");
}
