//! The comparison itself: what it lets pass, and what it finds.

use serde_json::{Value, json};

use crate::compare::{Fault, Rules};
use crate::sample::{Action, Scenario};
use crate::symbols::Symbols;

const HOST: &str = "http://127.0.0.1:7";

fn faults(rules: &Rules, expected: &Value, found: &Value) -> Vec<String> {
    let (mut symbols, mut faults) = (Symbols::at(HOST.to_owned()), Vec::new());
    rules.compare("", expected, found, &mut symbols, &mut faults);
    faults.into_iter().map(|Fault { at, .. }| at).collect()
}

#[test]
fn tokens_bind_and_stay() {
    let check = |expected: Value, found: Value, at: &[&str]| {
        assert_eq!(faults(&Rules::default(), &expected, &found), at, "{expected} {found}");
    };
    check(json!(["$job1", "$job1"]), json!([7, 7]), &[]);
    check(json!(["$job1", "$job1"]), json!([7, 8]), &["/1"]);
    check(json!(["$job1", "$job2"]), json!([7, 7]), &["/1"]);
    check(json!(["$job1", "$event1"]), json!([7, 7]), &[]);
    check(json!(["$job1"]), json!(["7"]), &["/0"]);
    check(json!(["$job1", "a_$job1x$exe1"]), json!([7, "a_7x3"]), &[]);
    check(json!(["$job1", "a_$job1x2"]), json!([7, "a_77x2"]), &["/1"]);
    check(json!(["@time", "@time"]), json!(["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000001Z"]), &[]);
    check(json!(["@time"]), json!(["2026-01-31T12:00:00.5Z"]), &["/0"]);
    check(json!({"next": "@host/a/?b=1&c=$job1"}), json!({"next": "http://127.0.0.1:7/a/?c=5&b=1"}), &[]);
    check(json!({"next": "@host/a/?b=1"}), json!({"next": "http://127.0.0.1:7/a/?b=2"}), &["/next"]);
    check(json!({"next": "@host/a/"}), json!({"next": "http://127.0.0.1:8/a/"}), &["/next"]);
}

#[test]
fn values_are_compared_by_the_rules_of_the_recording() {
    let rules = |is_subset, loose: &str, unordered: &str| Rules {
        is_subset,
        loose: [loose.to_owned()].into(),
        unordered: [unordered.to_owned()].into(),
    };
    let check = |rules: &Rules, expected: Value, found: Value, at: &[&str]| {
        assert_eq!(faults(rules, &expected, &found), at, "{expected} {found}");
    };
    let plain = rules(false, "/none", "/none");
    check(&plain, json!({"a": 1, "b": 2}), json!({"b": 2.0, "a": 1.0}), &[]);
    check(&plain, json!({"a": 1}), json!({"b": null}), &["/a", "/b"]);
    check(&plain, json!([1, 2]), json!([2, 1]), &["/0", "/1"]);
    check(&plain, json!([1]), json!([1, 1]), &[""]);
    check(&plain, json!(null), json!(false), &[""]);
    let subset = rules(true, "/none", "/none");
    check(&subset, json!({"results": [{"a": 1}]}), json!({"results": [{"a": 1, "b": 2}], "c": 3}), &[]);
    check(&subset, json!({"results": [{"a": 1}]}), json!({"results": [{"b": 2}]}), &["/results/0/a"]);
    check(&subset, json!({"results": [{}]}), json!({"results": []}), &["/results"]);
    let loose = rules(false, "/detail", "/none");
    check(&loose, json!({"detail": "a"}), json!({"detail": "b"}), &[]);
    check(&loose, json!({"detail": "a"}), json!({"detail": 1}), &["/detail"]);
    let unordered = rules(false, "/none", "/results");
    let pair = json!({"results": [{"id": "$job1", "n": 1}, {"id": "$job2", "n": 1}]});
    check(&unordered, pair.clone(), json!({"results": [{"id": 4, "n": 1}, {"id": 3, "n": 1}]}), &[]);
    check(&unordered, pair, json!({"results": [{"id": 4, "n": 1}, {"id": 4, "n": 1}]}), &["/results/1/id"]);
    let long = json!({"@length": 50, "@first": 0, "@last": 49});
    check(&plain, long.clone(), (0..50).collect::<Vec<_>>().into(), &[]);
    check(&plain, long.clone(), (1..51).collect::<Vec<_>>().into(), &["/0", "/-"]);
    check(&plain, long, (0..49).collect::<Vec<_>>().into(), &[""]);
}

/// What a server could have sent where `recorded` was recorded: every symbol is its number and `shift`.
fn sent(recorded: &Value, shift: u64) -> Value {
    match recorded {
        Value::String(text) if text == "@time" => "2026-01-31T12:00:00Z".into(),
        Value::String(text) if text.starts_with('$') => {
            let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
            (digits.parse::<u64>().expect("a number") + shift).into()
        }
        Value::String(text) => text.replace("@host", HOST).into(),
        Value::Array(values) => values.iter().map(|value| sent(value, shift)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), sent(value, shift))).collect())
        }
        _ => recorded.clone(),
    }
}

/// Every recorded body agrees with itself, and a body of other ids does not, once they are bound.
pub(crate) fn check_with_itself(scenarios: &[Scenario]) -> usize {
    let mut n_bodies = 0;
    for scenario in scenarios {
        for step in &scenario.steps {
            let Action::Exchange(line) = &step.action else { continue };
            let Some(recorded) = line["response"].get("json") else { continue };
            let mut symbols = Symbols::at(HOST.to_owned());
            let mut faults = Vec::new();
            let rules = Rules::default();
            // Texts that hold a symbol amid other characters are checked above.
            let recorded = serde_json::to_string(recorded).expect("JSON").replace("scale_job_fw_$", "");
            let recorded: Value = serde_json::from_str(&recorded).expect("JSON");
            rules.compare("", &recorded, &sent(&recorded, 40), &mut symbols, &mut faults);
            assert_eq!(faults, [], "{} {}", scenario.name, step.number);
            if recorded.to_string().contains("\"$") {
                rules.compare("", &recorded, &sent(&recorded, 90), &mut symbols, &mut faults);
                assert!(!faults.is_empty(), "{} {}", scenario.name, step.number);
            }
            n_bodies += 1;
        }
    }
    n_bodies
}
