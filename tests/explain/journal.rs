//! The journal: what was decided, what came back, and what keeps the rest, when that changes.

use weighbridge::{JournalEntry, JournalNote, WaitReason};

use super::*;

fn notes(site: &Site, after: u64) -> Vec<JournalNote> {
    site.engine.journal(after, 1_000).into_iter().map(|entry| entry.note).collect()
}

/// The kinds of notes after a number, without those on what waits.
fn kinds(site: &Site, after: u64) -> Vec<String> {
    let told = |entry: &JournalEntry| {
        let json = serde_json::to_value(entry).expect("it can be told");
        json["kind"].as_str().expect("a word").to_owned()
    };
    site.engine.journal(after, 1_000).iter().map(told).filter(|kind| kind != "waits").collect()
}

#[test]
fn it_tells_of_each_launch_its_number_job_type_node_and_time() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    assert_eq!((site.engine.journal_newest(), notes(&site, 0)), (0, vec![]));
    site.node(1, "cpus:2");
    site.submit(kind, 3);
    site.at(5);
    assert_eq!(site.pass(), [(1, 1), (2, 1)]);
    let of = |exe| site.engine.running().iter().find(|run| run.name.exe.0 == exe).expect("it runs").name;
    let launched = |job: u64| {
        let (launch, node) = (of(job), NodeId(1));
        JournalNote::Launched { launch, job: JobId(job), job_type: kind, node }
    };
    let found = site.engine.journal(0, 1_000);
    let found: Vec<_> = found
        .into_iter()
        .filter(|entry| !matches!(entry.note, JournalNote::Waits { .. }))
        .map(|entry| (entry.when, entry.note))
        .collect();
    let at = Timestamp::from_secs(5);
    assert_eq!(found, [(at, launched(1)), (at, launched(2))]);
}

#[test]
fn what_is_dropped_or_refused_is_back_in_its_place_and_noted() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    site.submit(kind, 1);
    let offer = Offer::new(NodeId(2), set("cpus:1"));
    let after = site.engine.journal_newest();
    drop(site.engine.offer(&offer));
    site.engine.offer(&offer).commit().wait(SYNC).expect("durable");
    let launch = site.engine.running()[0].name;
    let state = TaskState::Refused { reason: "no room".to_owned() };
    let refused = StatusUpdate { name: launch, state, when: site.engine.now() };
    site.engine.status(refused).expect("room").wait_durable(SYNC).expect("taken");
    site.engine.offer(&offer).commit().wait(SYNC).expect("durable");
    assert_eq!(kinds(&site, after), ["put_back", "launched", "returned", "launched"]);
    let numbers: Vec<_> = notes(&site, after)
        .into_iter()
        .filter_map(|note| match note {
            JournalNote::Launched { launch, .. } => Some(launch.number),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, [launch.number, launch.number + 1], "each launch has a number of its own");
}

#[test]
fn canceled_picks_do_not_come_back() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    site.submit(kind, 1);
    let after = site.engine.journal_newest();
    let picks = site.engine.offer(&Offer::new(NodeId(2), set("cpus:1")));
    assert_eq!(picks.len(), 1);
    site.engine.cancel(vec![JobId(1)]).expect("room").wait_durable(SYNC).expect("canceled");
    drop(picks);
    assert_eq!(kinds(&site, after), Vec::<String>::new());
}

#[test]
fn nodes_that_are_kept_and_freed_are_noted_once() {
    let site = kept();
    let (exe, node) = (weighbridge::ExeId(4), NodeId(1));
    let last = |site: &Site| {
        let all = notes(site, 0).into_iter();
        all.filter(|note| matches!(note, JournalNote::Kept { .. } | JournalNote::Freed { .. }))
            .collect::<Vec<_>>()
    };
    assert_eq!(last(&site), [JournalNote::Kept { exe, node }]);
    site.engine.cancel(vec![JobId(4)]).expect("room").wait_durable(SYNC).expect("canceled");
    site.pass();
    site.pass();
    assert_eq!(last(&site), [JournalNote::Kept { exe, node }, JournalNote::Freed { exe, node }]);
}

#[test]
fn what_keeps_a_type_is_noted_when_it_changes() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    site.submit(kind, 1);
    site.engine.fresh_view(SYNC);
    site.engine.fresh_view(SYNC);
    site.node(1, "cpus:1");
    site.engine.fresh_view(SYNC);
    assert_eq!(site.pass().len(), 1);
    site.engine.fresh_view(SYNC);
    let changes = |note| match note {
        JournalNote::Waits { before, now, job_type } => Some((job_type, before, now)),
        _ => None,
    };
    let changes: Vec<_> = notes(&site, 0).into_iter().filter_map(changes).collect();
    let (no_nodes, behind) = (Some(WaitReason::NoNodes), Some(WaitReason::Behind));
    assert_eq!(changes, [(kind, None, no_nodes), (kind, no_nodes, behind), (kind, behind, None)]);
}

#[test]
fn it_is_bounded_and_what_is_gone_shows_in_the_numbers() {
    let mut site = Site::new(Policy::default());
    let kind = site.kind("a", "cpus:1");
    site.submit(kind, 1);
    let before = site.engine.journal_newest();
    let offer = Offer::new(NodeId(2), set("cpus:1"));
    for _ in 0..20_000 {
        drop(site.engine.offer(&offer));
    }
    // What keeps the type may be noted in between.
    let newest = site.engine.journal_newest();
    assert!(newest >= before + 20_000 && newest < before + 20_100, "{newest}");
    let mut numbers = Vec::new();
    let mut after = 0;
    loop {
        let page = site.engine.journal(after, 1_000);
        let Some(last) = page.last() else { break };
        after = last.number;
        numbers.extend(page.iter().map(|entry| entry.number));
    }
    let oldest = newest - (1 << 14) + 1;
    assert!(numbers.into_iter().eq(oldest..=newest));
}
