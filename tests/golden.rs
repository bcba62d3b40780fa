//! What Scale decided in recorded scenarios is what the pass by its rules decides; and the rules,
//! one by one.

#[path = "../examples/golden/model.rs"]
mod model;
#[path = "golden/placing.rs"]
mod placing;
#[path = "golden/reading.rs"]
mod reading;
#[path = "golden/rules.rs"]
mod rules;
#[path = "../examples/golden/scenario.rs"]
mod scenario;

use std::path::Path;

use scenario::{Scenario, Scenarios, fields};
use weighbridge::{Place, ScaleDone};

fn sample() -> Vec<Scenario> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sample.jsonl");
    let mut scenarios = Scenarios::open(&path).expect("the sample is there");
    std::iter::from_fn(|| scenarios.next().expect("a scenario on each line")).collect()
}

/// Holds every scenario of the sample against a pass that places with what `placer` makes.
fn hold<P: Place>(placer: impl Fn(&Scenario) -> P) {
    let scenarios = sample();
    assert_eq!(scenarios.len(), 200);
    for scenario in scenarios {
        let report = scenario.rules.pass(&scenario.entries, &mut placer(&scenario));
        assert_eq!(fields(&report), scenario.expect, "scenario {}", scenario.number);
    }
}

#[test]
fn two_hundred_recorded_passes_come_out_as_recorded() {
    hold(Scenario::model);
    hold(Scenario::scheduler);
}

#[test]
fn the_sample_has_what_its_readme_counts() {
    let mut counts = [0; 5];
    for scenario in sample() {
        let report = scenario.rules.pass(&scenario.entries, &mut scenario.model());
        let n_drained = report.done.iter().filter(|done| matches!(done, ScaleDone::Drained { .. })).count();
        let parts = [
            report.done.len() - n_drained,
            n_drained,
            report.reserved.len(),
            report.unplaced.len(),
            report.skipped.len(),
        ];
        counts.iter_mut().zip(parts).for_each(|(count, part)| *count += part);
    }
    assert_eq!(counts, [912, 181, 213, 848, 898]);
}

#[test]
fn the_order_in_which_entries_are_handed_in_does_not_matter() {
    for mut scenario in sample() {
        scenario.entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        let report = scenario.rules.pass(&scenario.entries, &mut scenario.model());
        assert_eq!(fields(&report), scenario.expect, "scenario {}", scenario.number);
    }
}
