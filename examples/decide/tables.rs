//! Lines of `--json` as tables in Markdown, beside the goals.
//!
//! Where a file holds several runs of the same, their middle value is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use super::figures::median;
use super::workload::Workload;

/// What a figure should be.
#[derive(Clone, Copy)]
enum Goal {
    /// A figure without a goal.
    None,
    /// At most this much, and what we would be proud of.
    AtMost(f64, f64),
    /// At least this much, and what we would be proud of.
    AtLeast(f64, f64),
    /// Between these.
    Between(f64, f64),
}

impl Goal {
    fn mark(self, value: f64) -> &'static str {
        let (is_met, is_more) = match self {
            Self::None => return "",
            Self::AtMost(must, proud) => (value <= must, value <= proud),
            Self::AtLeast(must, proud) => (value >= must, value >= proud),
            Self::Between(least, most) => (value >= least && value <= most, false),
        };
        match (is_met, is_more) {
            (_, true) => " ✓✓",
            (true, false) => " ✓",
            (false, false) => " ✗",
        }
    }

    /// The two columns of goals.
    fn columns(self) -> (String, String) {
        match self {
            Self::None => (String::new(), String::new()),
            Self::AtMost(must, proud) | Self::AtLeast(must, proud) => (told(must), told(proud)),
            Self::Between(least, most) => (format!("{} to {}", told(least), told(most)), String::new()),
        }
    }
}

/// A figure, where it stands in a line, and its goal.
struct Row {
    label: &'static str,
    path: &'static str,
    goal: Goal,
    /// Where one workload has a goal of its own.
    other: Option<(&'static str, Goal)>,
}

const fn row(label: &'static str, path: &'static str, goal: Goal) -> Row {
    Row { label, path, goal, other: None }
}

const ROWS: [Row; 22] = [
    row("answered by the head, share", "/head_share", Goal::Between(0.0, 0.5)),
    row("nothing fits, share", "/none_share", Goal::Between(0.08, 0.15)),
    row("decide, mean over batches, ns", "/decide_batch_mean_ns", Goal::AtMost(150.0, 50.0)),
    row("decide, p50", "/decide_ns/p50", Goal::None),
    row("decide, p99", "/decide_ns/p99", Goal::AtMost(1_000.0, 350.0)),
    Row {
        label: "decide, p99.9",
        path: "/decide_ns/p999",
        goal: Goal::AtMost(1_500.0, 600.0),
        other: Some(("indep", Goal::AtMost(6_000.0, 600.0))),
    },
    row("nothing fits, p50", "/decide_none_ns/p50", Goal::AtMost(130.0, 60.0)),
    row("decide and take, mean over batches", "/take_batch_mean_ns", Goal::AtMost(250.0, 120.0)),
    row("decide and take, p50", "/take_ns/p50", Goal::None),
    row("launch and end, mean over batches", "/launch_batch_mean_ns", Goal::None),
    row("fill an idle node, per pick, p50", "/fill_ns_per_pick/p50", Goal::AtMost(400.0, 150.0)),
    row("put back, per pick, p50", "/put_back_ns/p50", Goal::None),
    row("enqueue, p50", "/enqueue_ns/p50", Goal::AtMost(120.0, 50.0)),
    row("enqueue, p99", "/enqueue_ns/p99", Goal::AtMost(2_000.0, 1_000.0)),
    row("cancel, p50", "/cancel_ns/p50", Goal::AtMost(1_500.0, 500.0)),
    row("bytes per entry: index", "/index_bytes_per_entry", Goal::AtMost(48.0, 32.0)),
    row("bytes per entry: all", "/bytes_per_entry", Goal::AtMost(96.0, 56.0)),
    row("bytes per entry: growth of the process", "/rss_bytes_per_entry", Goal::None),
    row("with a producer, of the decider alone", "/with_producer_ratio", Goal::AtLeast(0.6, 0.8)),
    row("BTreeMap: mean decision, of ours", "/peers/BTreeMap/ratio_to_us/decide_ns", Goal::None),
    row("BinaryHeap: mean decision, of ours", "/peers/BinaryHeap/ratio_to_us/decide_ns", Goal::None),
    row("BTreeMap: mean enqueue, of ours", "/peers/BTreeMap/ratio_to_us/enqueue_ns", Goal::None),
];

/// Figures of `cross`.
const CROSS: [Row; 6] = [
    row("decide, 256 different offers, p50, ns", "/decide_ns/p50", Goal::AtMost(50_000.0, 1_000.0)),
    row("decide, 256 different offers, p99.9", "/decide_ns/p999", Goal::None),
    row("decide, 4,096 different offers, p50", "/cross_many_ns/p50", Goal::AtMost(50_000.0, 1_000.0)),
    row("enqueue, p50", "/enqueue_ns/p50", Goal::AtMost(120.0, 50.0)),
    row("cancel, p50", "/cancel_ns/p50", Goal::AtMost(1_500.0, 500.0)),
    row("with a producer, of the decider alone", "/with_producer_ratio", Goal::AtLeast(0.6, 0.8)),
];

/// What finding nothing may cost, by the number of lanes.
const BY_LANES: [(u64, Goal); 3] = [
    (100, Goal::AtMost(130.0, 60.0)),
    (800, Goal::AtMost(900.0, 250.0)),
    (10_000, Goal::AtMost(10_000.0, 1_000.0)),
];

/// Lanes of the runs that are told in full.
const USUAL_LANES: u64 = 100;

/// Runs of the same: entries queued, lanes, workload.
type Runs = BTreeMap<(u64, u64, String), Vec<Value>>;

/// The middle of what several runs say at one path.
fn value(runs: &[Value], path: &str) -> Option<f64> {
    let found: Vec<f64> = runs.iter().filter_map(|run| run.pointer(path)?.as_f64()).collect();
    (!found.is_empty()).then(|| median(found))
}

/// A number with as many digits as matter, thousands apart.
fn told(number: f64) -> String {
    if number != 0.0 && number.abs() < 10.0 {
        return format!("{number:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{number:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

fn cell(runs: Option<&Vec<Value>>, path: &str, goal: Goal) -> String {
    let number = runs.and_then(|runs| value(runs, path));
    number.map_or_else(|| "-".to_owned(), |number| told(number) + goal.mark(number))
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn head(first: &str, columns: &[&str], last: &[&str]) -> String {
    let cells: Vec<String> = [first].iter().chain(columns).chain(last).map(|&cell| cell.to_owned()).collect();
    line(&cells) + &format!("|{}\n", "---|".repeat(cells.len()))
}

fn parse(text: &str) -> Result<Runs, String> {
    let mut runs = Runs::new();
    for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let run: Value = serde_json::from_str(line).map_err(|error| format!("line {}: {error}", idx + 1))?;
        let number = |name: &str| run[name].as_u64().ok_or_else(|| format!("line {}: no {name}", idx + 1));
        let workload = run["workload"].as_str().unwrap_or_default().to_owned();
        let key = (number("queued")?, number("lanes_open")?, workload);
        runs.entry(key).or_default().push(run);
    }
    Ok(runs)
}

/// Rows of figures with a column for each workload.
fn table(runs: &Runs, (queued, lanes): (u64, u64), workloads: &[&str], rows: &[Row]) -> String {
    let mut text = head("", workloads, &["must", "proud of"]);
    for Row { label, path, goal, other } in rows {
        let goal_of = |name: &str| other.filter(|(of, _)| *of == name).map_or(*goal, |(_, goal)| goal);
        let cells = workloads.iter().map(|&name| {
            let of = runs.get(&(queued, lanes, name.to_owned()));
            cell(of, path, goal_of(name))
        });
        let (must, proud) = goal.columns();
        let exception = other.map_or(String::new(), |(of, goal)| format!(" ({of} {})", goal.columns().0));
        let cells: Vec<String> =
            [(*label).to_owned()].into_iter().chain(cells).chain([must + &exception, proud]).collect();
        text += &line(&cells);
    }
    text
}

/// Those of the workloads in the file that `is_wanted` lets in, in their usual order.
fn workloads(runs: &Runs, is_wanted: impl Fn(&(u64, u64, String)) -> bool) -> Vec<&'static str> {
    let is_there = |name: &str| runs.keys().any(|key| key.2 == name && is_wanted(key));
    Workload::ALL.iter().map(|(name, _)| *name).filter(|name| is_there(name)).collect()
}

/// What a switch of all lanes between FIFO and LIFO may take.
const TURN: [(&str, &str, Goal); 2] = [
    ("switch, in all, ms", "/turn_ms", Goal::AtMost(15.0, 15.0)),
    ("switch, longest slice, ms", "/turn_slice_max_ms", Goal::AtMost(1.0, 1.0)),
];

/// What depends on the number of lanes: finding nothing, and switching between FIFO and LIFO.
fn lanes_table(runs: &Runs) -> String {
    let is_many = |key: &(u64, u64, String)| key.1 > USUAL_LANES;
    let depths: BTreeSet<u64> = runs.keys().filter(|key| is_many(key)).map(|key| key.0).collect();
    let mut text = String::new();
    for queued in depths {
        let names = workloads(runs, |key| key.0 == queued && is_many(key));
        let _ = writeln!(text, "\n## More lanes, at {} queued\n", told_count(queued));
        text += &head("lanes that may move", &names, &["must", "proud of"]);
        let mut row = |lanes: u64, label: &str, path: &str, goal: Goal| {
            let cells =
                names.iter().map(|name| cell(runs.get(&(queued, lanes, (*name).to_owned())), path, goal));
            let (must, proud) = goal.columns();
            let label = format!("{}: {label}", told_count(lanes));
            text += &line(&[label].into_iter().chain(cells).chain([must, proud]).collect::<Vec<_>>());
        };
        for (lanes, goal) in BY_LANES {
            row(lanes, "nothing fits, p50, ns", NONE_P50, goal);
        }
        for (label, path, goal) in TURN {
            row(LANES_MOST, label, path, goal);
        }
    }
    text
}

/// With which switches are told.
const LANES_MOST: u64 = 10_000;

const NONE_P50: &str = "/decide_none_ns/p50";

#[expect(clippy::cast_precision_loss, reason = "to be read")]
fn told_count(number: u64) -> String {
    told(number as f64)
}

/// All tables of a file of runs.
pub(crate) fn tables(text: &str) -> Result<String, String> {
    let runs = parse(text)?;
    let mut out = String::from("✗ misses what must be, ✓ meets it, ✓✓ meets what we would be proud of.\n");
    let cross = Workload::Cross.name();
    let depths: BTreeSet<u64> = runs.keys().filter(|key| key.1 == USUAL_LANES).map(|key| key.0).collect();
    for queued in depths {
        let names = workloads(&runs, |key| (key.0, key.1) == (queued, USUAL_LANES) && key.2 != cross);
        let _ = writeln!(out, "\n## {} queued, {USUAL_LANES} lanes\n", told_count(queued));
        out += &table(&runs, (queued, USUAL_LANES), &names, &ROWS);
    }
    out += &lanes_table(&runs);
    for (queued, lanes, _) in runs.keys().filter(|key| key.2 == cross) {
        let _ = writeln!(out, "\n## cross, {} queued, {lanes} lanes\n", told_count(*queued));
        out += &table(&runs, (*queued, *lanes), &[cross], &CROSS);
    }
    let capped = runs.values().flatten().filter_map(|run| {
        let parts: Vec<&str> = run["capped_by_time"].as_array()?.iter().filter_map(Value::as_str).collect();
        let name = format!("{} at {} queued", run["workload"].as_str()?, told_count(run["queued"].as_u64()?));
        (!parts.is_empty()).then(|| format!("{name}: {}", parts.join(", ")))
    });
    let capped: BTreeSet<String> = capped.collect();
    if !capped.is_empty() {
        let _ = writeln!(out, "\nTime was up before the end of: {}.", Vec::from_iter(capped).join("; "));
    }
    Ok(out)
}
