//! Measures the heart: one decision, taking, filling a node, enqueue and cancel, at a depth and a
//! workload of choice, beside simple structures in the same run.
//!
//! `cargo run --release --example decide -- --queued 1000000 --workload hetero --json`

#[path = "decide/figures.rs"]
mod figures;
#[path = "decide/peers.rs"]
mod peers;
#[path = "decide/run.rs"]
mod run;
#[path = "decide/workload.rs"]
mod workload;

use std::process::ExitCode;

use workload::Workload;

const USAGE: &str = "usage: decide [--queued N] [--workload fixed|hetero|adversarial|indep|mixture|cross] \
                     [--lanes N] [--decisions N] [--no-peers] [--json]";

/// What to measure.
struct Arguments {
    queued: usize,
    workload: Workload,
    n_types: usize,
    decisions: usize,
    with_peers: bool,
    as_json: bool,
}

fn parse() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        queued: 1_000_000,
        workload: Workload::Hetero,
        n_types: 100,
        decisions: 20_000,
        with_peers: true,
        as_json: false,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            text.replace('_', "").parse::<usize>().map_err(|error| format!("{word}: {error}"))
        };
        match word.as_str() {
            "--queued" => arguments.queued = number()?,
            "--lanes" => arguments.n_types = number()?.max(1),
            "--decisions" => arguments.decisions = number()?.max(1_000),
            "--workload" => {
                let name = words.next().unwrap_or_default();
                arguments.workload = Workload::named(&name).ok_or_else(|| format!("no workload {name:?}"))?;
            }
            "--no-peers" => arguments.with_peers = false,
            "--json" => arguments.as_json = true,
            _ => return Err(format!("{word}?")),
        }
    }
    Ok(arguments)
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut report = run::measure(&arguments);
    if arguments.with_peers {
        report.peers = peers::measure(&arguments);
    }
    if arguments.as_json {
        println!("{}", report.json());
    } else {
        print!("{}", report.table());
    }
    ExitCode::SUCCESS
}
