//! What is told of nodes of a cluster, which have what their agents offer.

use std::collections::BTreeMap;

use weighbridge::{AgentId, NewOffer, NodeVerdict, OfferAdded, OfferId, RoleAmount, Roles, WaitReason};

use super::nodes::Numbers;
use super::waiting::{counts, told};
use super::*;

fn offer(site: &Site, name: &str, of: &str, host: &str, has: &str) {
    let amounts = set(has);
    let amounts = amounts.iter().map(|(name, amount)| RoleAmount {
        role: Roles::ANY.into(),
        name: name.as_str().to_owned(),
        amount,
    });
    let new = NewOffer {
        id: OfferId::new(name).expect("a name"),
        agent: AgentId::new(of).expect("a name"),
        host: host.to_owned(),
        amounts: amounts.collect(),
        attributes: BTreeMap::new(),
    };
    assert_eq!(site.engine.offered(&new).outcome, Ok(OfferAdded::Held));
}

#[test]
fn what_a_machine_had_once_does_not_count() {
    let mut site = Site::new(Policy::default());
    let large = site.kind("large", "cpus:32");
    offer(&site, "o1", "a1", "one", "cpus:64");
    offer(&site, "o2", "a2", "one", "cpus:8");
    site.submit(large, 1);
    assert_eq!(site.pass(), []);
    let never = "can never be placed here: cpus: asks for 32, 24 short on 1 node, nearest one with 8";
    site.says(1, &format!("job 1 is QUEUED, number 1 of 1: {never}"));
    assert_eq!(counts(&site, large), [("too_big", 1)]);
    let why = site.engine.node_why(NodeId(1)).expect("seen");
    assert_eq!(why.summary(), "node one (id 1): cpus:8 free of cpus:8, nothing runs");
    assert_eq!(why.lanes[0].verdict.to_string(), "too big for the node by 24 cpus");
}

#[test]
fn a_node_that_offers_nothing_is_not_told_as_full() {
    let mut site = Site::new(Policy::default());
    let (small, whole, none) =
        (site.kind("small", "cpus:1"), site.kind("whole", "cpus:8"), site.kind("none", ""));
    offer(&site, "o1", "a1", "one", "cpus:8");
    site.at(10);
    assert_eq!(site.engine.expired_offers().len(), 1);
    site.submit(small, 1);
    let silent = "job 1 is QUEUED, number 1 of 1: the only node with room for it offers nothing now: one";
    site.says(1, silent);
    assert_eq!(counts(&site, small), [("not_on_offer", 1)]);
    let why = site.engine.node_why(NodeId(1)).expect("seen");
    let lane = "job type 1, 1 queued, job 1 asks for cpus:1: the node offers nothing now";
    let node = "node one (id 1): offers nothing now, has cpus:8 in all, nothing runs";
    assert_eq!(why.to_string(), format!("{node}\n{lane}"));
    assert_eq!(why.not_on_offer, Some(set("cpus:8")));
    // Nor after so long that passes see nothing of it.
    site.at(2_000);
    assert!(site.engine.expired_offers().is_empty());
    site.says(1, silent);
    offer(&site, "o2", "a1", "one", "cpus:8");
    assert_eq!(site.pass(), [(1, 1)]);
    // What runs there is told as what it is.
    site.submit(whole, 1);
    let busy = "waits for room: cpus: asks for 8, 1 short on 1 node, nearest one with 7";
    site.says(2, &format!("job 2 is QUEUED, number 1 of 1: {busy}"));
    let why = site.engine.node_why(NodeId(1)).expect("seen");
    assert_eq!(why.lanes[0].verdict.to_string(), "short of 1 cpus");
    // What needs nothing needs an offer.
    site.submit(none, 1);
    assert_eq!(site.pass(), []);
    let why = site.why(3);
    assert_eq!(why.blocker, Blocker::NotOnOffer { n_nodes: 1, node: NodeId(1), name: "one".to_owned() });
    let lanes = site.engine.node_why(NodeId(1)).expect("seen").lanes;
    assert!(lanes.iter().any(|lane| lane.verdict == NodeVerdict::NotOnOffer), "{lanes:?}");
}

#[test]
fn a_node_that_is_kept_for_one_and_offers_nothing_says_so() {
    let mut site = Site::new(Policy::default().with_starvation(1_000, 10));
    let (half, whole) = (site.kind("half", "cpus:4"), site.kind("whole", "cpus:8"));
    offer(&site, "o1", "a1", "one", "cpus:8");
    site.submit(half, 1);
    assert_eq!(site.pass(), [(1, 1)]);
    site.submit(whole, 1);
    for seconds in [1, 12] {
        site.at(seconds);
        assert_eq!(site.pass(), []);
    }
    let kept = "job 2 is QUEUED, number 1 of 1: node one is kept for it since 1970-01-01T00:00:12Z";
    site.says(2, &format!("{kept}, lacks 4 cpus there"));
    site.end_all(1);
    site.says(2, &format!("{kept}, which offers nothing now"));
    assert_eq!(counts(&site, whole), [("busy", 1)]);
}

#[test]
fn counts_agree_with_what_is_told_of_nodes_that_offer_now_and_then() {
    let mut n_seen: BTreeMap<WaitReason, u64> = BTreeMap::new();
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let mut site = Site::new(Policy::default().with_starvation(2, 20));
        let kinds: Vec<JobTypeId> = ["", "cpus:1", "cpus:4", "cpus:7", "cpus:9"]
            .into_iter()
            .enumerate()
            .map(|(n, needs)| site.kind(&format!("t{n}"), needs))
            .collect();
        for (n, host) in ["one", "two", "three"].into_iter().enumerate() {
            offer(&site, &format!("first{n}"), &format!("a{n}"), host, "cpus:8");
        }
        for round in 0..12 {
            site.at(round * 6);
            site.engine.expired_offers();
            for kind in &kinds {
                if numbers.below(3) == 0 {
                    site.submit(*kind, 1);
                }
            }
            let n = numbers.below(6);
            if let Some(host) = usize::try_from(n).ok().and_then(|n| ["one", "two", "three"].get(n)) {
                let has = format!("cpus:{}", 1 + numbers.below(8));
                offer(&site, &format!("o{round}"), &format!("a{n}"), host, &has);
            }
            if numbers.below(2) == 0 {
                site.pass();
            }
            let (told, view) = (told(&site), site.engine.fresh_view(SYNC));
            for kind in &kinds {
                let waiting = view.job_type(*kind).expect("known").waiting;
                let counted = WaitReason::ALL.into_iter().map(|reason| (reason, waiting.of(reason)));
                let counted: BTreeMap<_, _> = counted.filter(|(_, n)| *n > 0).collect();
                let expected = told.get(kind).cloned().unwrap_or_default();
                assert_eq!(counted, expected, "seed {seed}, round {round}, type {kind}");
                for (reason, n) in counted {
                    *n_seen.entry(reason).or_default() += n;
                }
            }
            if numbers.below(3) == 0 {
                site.end_all(1 + u32::try_from(numbers.below(3)).expect("small"));
            }
        }
    }
    for reason in [WaitReason::Busy, WaitReason::NotOnOffer, WaitReason::Behind, WaitReason::TooBig] {
        assert!(n_seen.get(&reason).is_some_and(|n| *n > 20), "{reason:?}: {n_seen:?}");
    }
}
