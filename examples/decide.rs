//! Measures the heart: one decision, taking, filling a node, enqueue and cancel, at a depth and a
//! workload of choice, beside simple structures in the same run.
//!
//! `cargo run --release --example decide -- --queued 1000000 --workload hetero --json`

#[path = "decide/batches.rs"]
mod batches;
#[path = "decide/count.rs"]
mod count;
#[path = "decide/figures.rs"]
mod figures;
#[path = "decide/filled.rs"]
mod filled;
#[path = "decide/ours.rs"]
mod ours;
#[path = "decide/peers.rs"]
mod peers;
#[path = "decide/producer.rs"]
mod producer;
#[path = "decide/report.rs"]
mod report;
#[path = "decide/run.rs"]
mod run;
#[path = "decide/steady.rs"]
mod steady;
#[path = "decide/tables.rs"]
mod tables;
#[path = "decide/turn.rs"]
mod turn;
#[path = "decide/workload.rs"]
mod workload;

use std::process::ExitCode;

use filled::Setting;
use workload::Workload;

const HELP: &str = "\
Measures the queue: a decision, deciding and taking, filling a node, enqueue and cancel.

  decide [--queued N] [--workload W] [--lanes N] [--json]
  decide --report FILE

  --queued N     how many executions wait (1000000)
  --workload W   what they ask for (hetero):
                   fixed        every entry of a job type asks for the same
                   hetero       memory and disk follow an input size, different for every entry
                   adversarial  as hetero, but the tenth at the top (at most 100000) asks for gpus
                                that no offer has
                   indep        memory and disk are independent of each other
                   mixture      requests and nodes as in a trace of Alibaba's
                   cross        memory and disk are traded against each other, and every offer is a
                                little short: nothing fits, and no minimum says so
  --lanes N      lanes that may move (100; 4 for cross). A tenth as many are paused besides
  --offers N     different offers of cross (256); a second run of it has 4096
  --decisions N  rounds that are timed (100000), after 10000 that are not
  --no-peers     without BinaryHeap and BTreeMap, which are asked for five seconds each
  --json         one object on one line instead of tables
  --report FILE  reads lines of --json and prints them as tables beside the goals
  --count        runs without timing, for a counter of instructions (.ci/instructions)

A round: an offer of a partly used node is decided and what it gets is taken, launched and followed
by a new entry; a random entry is canceled and followed by a new one. About a tenth of the offers
fits nothing, and at most half of the decisions may be answered by the head of the queue: both
shares are printed, since a figure without them says little. Answers are hashed, and those of the
peers are compared with the queue's one by one.

Example: decide --queued 10000000 --workload indep --json >> runs.jsonl; decide --report runs.jsonl
";

/// What to measure.
struct Arguments {
    setting: Setting,
    decisions: usize,
    with_peers: bool,
    as_json: bool,
}

enum Command {
    Help,
    Measure(Arguments),
    Count(Setting),
    Report(String),
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut setting = Setting { queued: 1_000_000, workload: Workload::Hetero, n_lanes: 100, n_offers: 256 };
    let (mut decisions, mut with_peers, mut as_json) = (100_000, true, false);
    let mut n_lanes = None;
    let mut is_count = false;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let mut number = |least: usize| {
            let number =
                value()?.replace('_', "").parse::<usize>().map_err(|error| format!("{word}: {error}"))?;
            if number < least { Err(format!("{word} is at least {least}")) } else { Ok(number) }
        };
        match word.as_str() {
            "--queued" => setting.queued = number(1_000)?,
            "--lanes" => n_lanes = Some(number(1)?),
            "--offers" => setting.n_offers = number(1)?,
            "--decisions" => decisions = number(1_000)?,
            "--workload" => {
                let name = value()?;
                let known = || Workload::ALL.map(|(name, _)| name).join(", ");
                setting.workload = Workload::named(&name)
                    .ok_or_else(|| format!("no workload {name:?}; there are {}", known()))?;
            }
            "--no-peers" => with_peers = false,
            "--json" => as_json = true,
            "--count" => is_count = true,
            "--report" => return Ok(Command::Report(value()?)),
            "--help" | "-h" => return Ok(Command::Help),
            _ => return Err(format!("no option {word:?}; --help lists them")),
        }
    }
    let usual = if setting.is_cross() { 4 } else { 100 };
    setting.n_lanes = n_lanes.unwrap_or(usual);
    if is_count {
        return Ok(Command::Count(setting));
    }
    Ok(Command::Measure(Arguments { setting, decisions, with_peers, as_json }))
}

fn run(command: &Command) -> Result<String, String> {
    match command {
        Command::Help => Ok(HELP.to_owned()),
        Command::Count(setting) => count::count(setting),
        Command::Report(file) => {
            let text =
                std::fs::read_to_string(file).map_err(|error| format!("could not read {file}: {error}"))?;
            tables::tables(&text)
        }
        Command::Measure(arguments) => {
            let report = run::measure(arguments)?;
            Ok(if arguments.as_json { format!("{}\n", report.json()) } else { report.table() })
        }
    }
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|command| run(&command)) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
