//! The rules of the pass, one by one, over a placer that does as it is told.

use std::collections::{BTreeMap, BTreeSet};

use weighbridge::{
    ExeId, JobTypeId, NodeId, NodeResources, Place, Placement, QueueMode, ResourceName, ScaleDone,
    ScaleEntry, ScaleNode, ScaleReport, ScaleRules, ScaleType, Timestamp, UNKNOWN_JOB_TYPE,
};

/// Answers each question alike, and counts them.
struct Always {
    answer: Placement,
    n_asked: usize,
}

const RUN: Placement = Placement::Run { node: NodeId(1), score: 0 };
const RESERVE: Placement = Placement::Reserve { node: NodeId(1), score: 0 };

impl Place for Always {
    fn place(&mut self, _: &NodeResources, _: i32) -> Placement {
        self.n_asked += 1;
        self.answer
    }
}

fn set(text: &str) -> NodeResources {
    text.parse().expect("a set")
}

fn names(names: &[&str]) -> BTreeSet<ResourceName> {
    names.iter().map(|name| ResourceName::new(name).expect("a name")).collect()
}

fn texts(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Types 1 and 2, called `one` and `two`; one ready node with four cores; 500 entries are read.
fn rules() -> ScaleRules {
    let node = ScaleNode { is_ready: true, total: Some(set("cpus:4,mem:1024")), watermark: set("") };
    ScaleRules {
        limit: 500,
        types: vec![ScaleType::new(JobTypeId(1), "one"), ScaleType::new(JobTypeId(2), "two")],
        nodes: vec![node],
        workspaces: texts(&["raw"]),
        ..ScaleRules::default()
    }
}

/// An entry that asks for a core; the higher the id, the later it was queued.
fn entry(id: u64, job_type: u32) -> ScaleEntry {
    ScaleEntry {
        id: ExeId(id),
        job_type: JobTypeId(job_type),
        queued: Timestamp(i64::try_from(id).expect("a small id")),
        asks: set("cpus:1"),
        ..ScaleEntry::default()
    }
}

fn canceled(id: u64, job_type: u32) -> ScaleEntry {
    ScaleEntry { is_canceled: true, ..entry(id, job_type) }
}

fn asking(id: u64, job_type: u32, asks: &str) -> ScaleEntry {
    ScaleEntry { asks: set(asks), ..entry(id, job_type) }
}

/// What comes of a pass in which every question is answered alike, and how many were asked.
fn pass_answered(rules: &ScaleRules, entries: &[ScaleEntry], answer: Placement) -> (ScaleReport, usize) {
    let mut place = Always { answer, n_asked: 0 };
    let report = rules.pass(entries, &mut place);
    (report, place.n_asked)
}

/// The same where everything runs.
fn pass(rules: &ScaleRules, entries: &[ScaleEntry]) -> ScaleReport {
    let (report, n_asked) = pass_answered(rules, entries, RUN);
    let scheduled = report.done.iter().filter(|done| matches!(done, ScaleDone::Scheduled { .. }));
    assert_eq!(n_asked, scheduled.count(), "each that is placed is asked for once, others never");
    report
}

fn done(report: &ScaleReport) -> Vec<u64> {
    report.done.iter().map(|done| done.entry().0).collect()
}

fn skipped(report: &ScaleReport) -> Vec<u64> {
    report.skipped.iter().map(|id| id.0).collect()
}

#[test]
fn without_a_ready_node_nothing_happens_at_all() {
    let mut rules = rules();
    rules.nodes[0].is_ready = false;
    rules.types[0].unmet = names(&["mem"]);
    rules.warnings = texts(&["INVALID_RESOURCEStwo"]);
    let entries = [entry(1, 1), canceled(2, 1), asking(3, 2, "cpus:99")];
    let untouched = ScaleReport {
        unmet: BTreeMap::from([(JobTypeId(1), names(&["mem"]))]),
        warnings: rules.warnings.clone(),
        ..ScaleReport::default()
    };
    assert_eq!(pass(&rules, &entries), untouched);
}

#[test]
fn paused_types_and_types_without_room_are_left_out_before_reading() {
    let check = |change: fn(&mut ScaleType)| {
        let mut rules = rules();
        rules.limit = 2;
        change(&mut rules.types[0]);
        let entries = [entry(1, 1), canceled(2, 1), entry(3, 2), entry(4, 2), entry(5, 2)];
        let report = pass(&rules, &entries);
        assert_eq!((done(&report), skipped(&report)), (vec![3, 4], vec![]));
    };
    check(|it| it.is_paused = true);
    check(|it| (it.max_scheduled, it.n_running) = (Some(2), 2));
    check(|it| (it.max_scheduled, it.n_running) = (Some(2), 3));
}

#[test]
fn entries_are_read_by_priority_then_time_then_id() {
    let with = |id, priority, queued| ScaleEntry { priority, queued: Timestamp(queued), ..entry(id, 1) };
    let entries = [with(1, 5, 7), with(2, -1, 9), with(3, 5, 6), with(4, 5, 7), with(5, -1, 8)];
    let check = |mode, limit, expected: &[u64]| {
        let rules = ScaleRules { mode, limit, ..rules() };
        assert_eq!(done(&pass(&rules, &entries)), expected, "{mode:?}, {limit}");
    };
    check(QueueMode::Fifo, 500, &[5, 2, 3, 1, 4]);
    check(QueueMode::Lifo, 500, &[2, 5, 4, 1, 3]);
    check(QueueMode::Fifo, 5, &[5, 2, 3, 1, 4]);
    check(QueueMode::Fifo, 4, &[5, 2, 3, 1]);
    check(QueueMode::Lifo, 3, &[2, 5, 4]);
    check(QueueMode::Fifo, 0, &[]);
}

#[test]
fn canceled_entries_are_drained_where_they_stand_and_count_as_read() {
    let mut rules = rules();
    rules.limit = 3;
    rules.types[0].max_scheduled = Some(1);
    rules.types[0].unmet = names(&["mem"]);
    rules.warnings = texts(&["INVALID_RESOURCEStwo"]);
    rules.types[1].unmet = names(&["mem"]);
    let entries = [canceled(1, 1), canceled(2, 2), entry(3, 1), entry(4, 2)];
    let report = pass(&rules, &entries);
    let drained = |id| ScaleDone::Drained { entry: ExeId(id) };
    let runs = ScaleDone::Scheduled { entry: ExeId(3), node: NodeId(1), score: 0 };
    assert_eq!(report.done, [drained(1), drained(2), runs]);
    assert!(report.skipped.is_empty());
}

#[test]
fn an_entry_too_large_for_every_node_marks_its_type() {
    let entries = [entry(1, 1), asking(2, 1, "cpus:4.01,gpus:1,mem:1024"), entry(3, 1), entry(4, 2)];
    let report = pass(&rules(), &entries);
    assert_eq!((done(&report), skipped(&report)), (vec![1, 4], vec![2, 3]));
    assert_eq!(report.unmet, BTreeMap::from([(JobTypeId(1), names(&["cpus", "gpus"]))]));
    assert_eq!(report.warnings, texts(&["INVALID_RESOURCESone"]));
}

#[test]
fn names_that_no_node_has_are_unmet_even_where_nothing_is_asked_of_them() {
    let unmet = |asks: &str| pass(&rules(), &[asking(1, 1, asks)]).unmet.remove(&JobTypeId(1));
    assert_eq!(unmet("license:1"), Some(names(&["license"])));
    assert_eq!(unmet("license:0"), Some(names(&["license"])));
    assert_eq!(unmet("sharedmem:1"), Some(names(&["sharedmem"])));
    assert_eq!(unmet("sharedmem:0"), None);
    assert_eq!(unmet("gpus:0,disk:0"), None);
}

#[test]
fn the_largest_amounts_are_of_all_nodes_and_of_the_total_where_it_is_known() {
    let mut rules = rules();
    let away = |total: Option<&str>, watermark: &str| ScaleNode {
        is_ready: false,
        total: total.map(set),
        watermark: set(watermark),
    };
    rules.nodes.push(away(Some("cpus:8"), "cpus:16,license:1"));
    rules.nodes.push(away(None, "disk:50"));
    let is_met = |asks: &str| pass(&rules, &[asking(1, 1, asks)]).unmet.is_empty();
    assert!(is_met("cpus:8,mem:1024,disk:50"));
    assert!(!is_met("cpus:8.01"));
    assert!(!is_met("license:1"));
    assert!(!is_met("disk:50.01"));
}

#[test]
fn only_what_is_unmet_and_warned_of_is_skipped_and_the_rest_is_looked_at_anew() {
    let check = |is_unmet: bool, is_warned: bool, is_skipped: bool| {
        let mut rules = rules();
        rules.types[0].unmet = if is_unmet { names(&["mem"]) } else { names(&[]) };
        rules.warnings = if is_warned { texts(&["INVALID_RESOURCESone"]) } else { texts(&[]) };
        let report = pass(&rules, &[entry(1, 1)]);
        assert_eq!(skipped(&report) == [1], is_skipped, "{is_unmet} {is_warned}");
        let stays = (is_skipped, is_skipped);
        assert_eq!((!report.unmet.is_empty(), !report.warnings.is_empty()), stays, "{is_unmet} {is_warned}");
    };
    check(true, true, true);
    check(true, false, false);
    check(false, true, false);
    check(false, false, false);
}

#[test]
fn a_type_that_is_not_synced_is_warned_of_whatever_its_limit_and_pause() {
    let mut rules = rules();
    let kind = &mut rules.types[0];
    (kind.is_synced, kind.is_paused, kind.max_scheduled, kind.n_running) = (false, true, Some(1), 1);
    let report = pass(&rules, &[entry(1, 1), canceled(2, 1), entry(3, 2)]);
    assert_eq!((done(&report), skipped(&report)), (vec![2, 3], vec![1]));
    assert_eq!(report.warnings, texts(&[UNKNOWN_JOB_TYPE]));
    let report = pass(&rules, &[asking(1, 1, "cpus:5")]);
    assert_eq!(report.warnings, texts(&["INVALID_RESOURCESone"]), "what it lacks is found first");
    let report = pass(&rules, &[entry(1, 9)]);
    assert_eq!((skipped(&report), report.warnings), (vec![1], texts(&[UNKNOWN_JOB_TYPE])));
}

#[test]
fn an_entry_whose_workspace_is_not_known_is_skipped_alone() {
    let of = |id, workspaces: &[&str]| ScaleEntry {
        workspaces: workspaces.iter().map(|&name| name.to_owned()).collect(),
        ..entry(id, 1)
    };
    let report = pass(&rules(), &[of(1, &["raw", "gone"]), of(2, &["raw"]), of(3, &[])]);
    assert_eq!((done(&report), skipped(&report)), (vec![2, 3], vec![1]));
    assert!(report.warnings.is_empty());
}

#[test]
fn a_type_that_reaches_its_limit_is_tried_no_more() {
    let mut rules = rules();
    (rules.types[0].max_scheduled, rules.types[0].n_running) = (Some(3), 1);
    rules.types[1].max_scheduled = Some(0);
    let entries = [entry(1, 1), entry(2, 2), entry(3, 1), entry(4, 1), entry(5, 2)];
    let report = pass(&rules, &entries);
    assert_eq!((done(&report), skipped(&report)), (vec![1, 2, 3, 5], vec![4]));
}

#[test]
fn only_what_runs_counts_against_the_limit() {
    let mut rules = rules();
    rules.types[0].max_scheduled = Some(1);
    let entries = [entry(1, 1), entry(2, 1), entry(3, 1)];
    let (report, n_asked) = pass_answered(&rules, &entries, RESERVE);
    assert_eq!((report.reserved.len(), n_asked), (3, 3));
    assert_eq!(report.reserved[0], (ExeId(1), NodeId(1)));
    let (report, n_asked) = pass_answered(&rules, &entries, Placement::Nowhere);
    assert_eq!((report.unplaced, n_asked), (vec![ExeId(1), ExeId(2), ExeId(3)], 3));
}
