//! Holds recorded scheduling scenarios of Scale against our queue step: one line is one pass.
//!
//! `cargo run --release --example golden -- tests/golden/sample.jsonl`

#[path = "golden/model.rs"]
mod model;
#[path = "golden/scenario.rs"]
mod scenario;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use weighbridge::Place;

use scenario::{ReadError, Scenario, Scenarios, fields};

const HELP: &str = "\
Decides recorded scheduling scenarios anew and tells where the outcome differs from what is recorded.

  golden [--json] [--model] FILE...

  FILE     a scenario on each line, as tests/golden/README.md tells; packed if its name ends in .gz
  --model  places entries by the plain loops that fast placing is tested against
  --json   the same as one JSON object

Prints for each field of the outcome in how many scenarios it is equal, the first differences, and
at last `equal N of M`.

Exit code: 0 when all are equal; 1 when one is not, when there is none, or when a file cannot be
read; 2 for a wrong call.
";

/// The fields of an outcome, in the order in which they are told.
const FIELDS: [&str; 6] = ["done", "reserved", "unplaced", "skipped", "unmet", "warnings"];

/// Differences that are told.
const SHOWN_MAX: usize = 10;

struct Arguments {
    files: Vec<PathBuf>,
    is_model: bool,
    is_json: bool,
}

/// What the words ask for; `None`: for help.
fn parse(words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut found = Arguments { files: Vec::new(), is_model: false, is_json: false };
    for word in words {
        match word.as_str() {
            "--json" => found.is_json = true,
            "--model" => found.is_model = true,
            "--help" | "-h" => return Ok(None),
            _ if word.starts_with('-') => return Err(format!("no option {word:?}; --help lists them")),
            _ => found.files.push(word.into()),
        }
    }
    if found.files.is_empty() { Err("no file; --help tells more".to_owned()) } else { Ok(Some(found)) }
}

/// What places the entries of a scenario, unless the model is asked for.
fn placer(scenario: &Scenario) -> impl Place {
    scenario.scheduler()
}

fn outcome(scenario: &Scenario, is_model: bool) -> BTreeMap<String, Value> {
    let Scenario { rules, entries, .. } = scenario;
    fields(&if is_model {
        rules.pass(entries, &mut scenario.model())
    } else {
        rules.pass(entries, &mut placer(scenario))
    })
}

/// One field of one scenario that is not as recorded.
struct Difference {
    scenario: u64,
    field: String,
    /// Where in the field they part: a position or a name.
    place: String,
    expected: Value,
    found: Value,
}

impl Difference {
    fn line(&self) -> String {
        let Self { scenario, field, place, expected, found } = self;
        format!("scenario {scenario}: {field}{place}: expected {expected}, found {found}")
    }

    fn json(&self) -> Value {
        let Self { scenario, field, place, expected, found } = self;
        json!({"scenario": scenario, "field": format!("{field}{place}"), "expected": expected, "found": found})
    }
}

/// The first place at which two values part, and what is there; null where one has ended.
fn first_parting(expected: &Value, found: &Value) -> (String, Value, Value) {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) => {
            let n_alike = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
            let at = |values: &[Value]| values.get(n_alike).cloned().unwrap_or_default();
            (format!("[{n_alike}]"), at(expected), at(found))
        }
        (Value::Object(expected), Value::Object(found)) => {
            let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            let parts = |name: &&&String| expected.get(**name) != found.get(**name);
            let name = names.iter().find(parts).map_or("", |name| name.as_str());
            let of = |values: &serde_json::Map<String, Value>| values.get(name).cloned().unwrap_or_default();
            (format!(".{name}"), of(expected), of(found))
        }
        _ => (String::new(), expected.clone(), found.clone()),
    }
}

/// How many scenarios there were, and how they came out.
#[derive(Default)]
struct Tally {
    n: usize,
    n_equal: usize,
    /// By field: in how many scenarios it is equal.
    n_equal_in: BTreeMap<String, usize>,
    n_differences: usize,
    /// The first ones.
    differences: Vec<Difference>,
}

impl Tally {
    fn add(&mut self, scenario: &Scenario, found: &BTreeMap<String, Value>) {
        let fields: BTreeSet<&String> = scenario.expect.keys().chain(found.keys()).collect();
        let n_before = self.n_differences;
        for field in fields {
            let (expected, found) = (scenario.expect.get(field), found.get(field));
            if expected == found {
                *self.n_equal_in.entry(field.clone()).or_default() += 1;
                continue;
            }
            self.n_differences += 1;
            if self.differences.len() < SHOWN_MAX {
                let or_null = |value: Option<&Value>| value.cloned().unwrap_or_default();
                let (place, expected, found) = first_parting(&or_null(expected), &or_null(found));
                let field = field.clone();
                self.differences.push(Difference {
                    scenario: scenario.number,
                    field,
                    place,
                    expected,
                    found,
                });
            }
        }
        self.n += 1;
        self.n_equal += usize::from(self.n_differences == n_before);
    }

    fn n_equal_in(&self, field: &str) -> usize {
        self.n_equal_in.get(field).copied().unwrap_or(0)
    }

    fn print(&self) {
        for field in FIELDS {
            println!("{field:<9} {} of {}", self.n_equal_in(field), self.n);
        }
        for difference in &self.differences {
            println!("{}", difference.line());
        }
        if self.n_differences > self.differences.len() {
            println!("and {} more", self.n_differences - self.differences.len());
        }
        println!("equal {} of {}", self.n_equal, self.n);
    }

    fn json(&self) -> Value {
        let fields: Value = FIELDS.into_iter().map(|field| (field, self.n_equal_in(field))).collect();
        json!({
            "scenarios": self.n,
            "equal": self.n_equal,
            "equal_by_field": fields,
            "n_differences": self.n_differences,
            "differences": self.differences.iter().map(Difference::json).collect::<Value>(),
        })
    }
}

fn run(arguments: &Arguments) -> Result<Tally, (PathBuf, ReadError)> {
    let mut tally = Tally::default();
    for file in &arguments.files {
        let in_file = |error| (file.clone(), error);
        let mut scenarios = Scenarios::open(file).map_err(in_file)?;
        while let Some(scenario) = scenarios.next().map_err(in_file)? {
            tally.add(&scenario, &outcome(&scenario, arguments.is_model));
        }
    }
    Ok(tally)
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let tally = match run(&arguments) {
        Ok(tally) => tally,
        Err((file, error)) => {
            eprintln!("error: {}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    };
    if arguments.is_json {
        println!("{}", tally.json());
    } else {
        tally.print();
    }
    if tally.n > 0 && tally.n_equal == tally.n { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
