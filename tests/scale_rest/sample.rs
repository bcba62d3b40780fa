//! The recording: scenarios of steps, one JSON object a line.

use std::path::Path;

use serde_json::{Map, Value};

/// Steps that begin with an empty system.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// No state has to be made that no call can make.
    pub(crate) is_rest_only: bool,
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) number: u64,
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Brings about a state.
    Given(Map<String, Value>),
    /// Asks, and looks at the answer.
    Exchange(Map<String, Value>),
}

impl Scenario {
    /// How many exchanges it has.
    pub(crate) fn n_exchanges(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.action, Action::Exchange(_))).count()
    }
}

/// Reads the recording at `path`.
pub(crate) fn read(path: &Path) -> Vec<Scenario> {
    let text = std::fs::read_to_string(path).expect("the recording is there");
    let mut scenarios: Vec<Scenario> = Vec::new();
    for line in text.lines() {
        let line: Map<String, Value> = serde_json::from_str(line).expect("a JSON object a line");
        let name = line["scenario"].as_str().expect("a name").to_owned();
        let Some(number) = line.get("step").and_then(Value::as_u64) else {
            let is_rest_only = line["rest_only"] == true;
            scenarios.push(Scenario { name, is_rest_only, steps: Vec::new() });
            continue;
        };
        let scenario = scenarios.last_mut().filter(|scenario| scenario.name == name);
        let is_given = line.contains_key("given");
        let action = if is_given { Action::Given(line) } else { Action::Exchange(line) };
        scenario.expect("a scenario begins with its own line").steps.push(Step { number, action });
    }
    scenarios
}
