//! Measures the store: durable enqueues, whole lives, recovery, checkpoints, bytes; beside a bare
//! log and, where they run, beanstalkd, Redis and `PostgreSQL`.
//!
//! `bash benches/peers/run.sh -- cargo run --release --example durable -- --json`

#[path = "durable/bare.rs"]
mod bare;
#[path = "durable/beside.rs"]
mod beside;
#[path = "durable/checkpoint.rs"]
mod checkpoint;
#[path = "durable/child.rs"]
mod child;
#[path = "durable/figures.rs"]
mod figures;
#[path = "durable/list.rs"]
mod list;
#[path = "durable/ours.rs"]
mod ours;
#[path = "durable/peers/mod.rs"]
mod peers;
#[path = "durable/place.rs"]
mod place;
#[path = "durable/plan.rs"]
mod plan;
#[path = "durable/stored.rs"]
mod stored;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use figures::{Anything, Figure, GOALS, Goal};
use peers::Addresses;
use place::Place;
use plan::Plan;

/// The one of the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
Measures the store and what is durable, beside a bare log and other durable queues.

  durable [--json] [--only KEY]... [--scale X] [--rounds N] [--dir DIR]
  bash benches/peers/run.sh -- cargo run --release --example durable -- --json

  --json      an object on one line for each key instead of a table
  --only KEY  measures this key; may be repeated. Without it all are measured, which takes
              ten million jobs three times, 10 GB of memory, 20 GB of disk and ten minutes
  --scale X   multiplies every number of jobs; 0.01 shows in a minute that everything works, and
              its figures mean little
  --rounds N  rounds of each side, in turn, after one that warms up (5); medians are told.
              recover_1e6_s takes at most three rounds, the keys of ten million jobs one
  --dir DIR   where our files are made, and removed again: beside those of the peers, or in cargo's
              target directory. In memory nothing is measured: DIR has to be on a disk

Each job carries a value of 100 bytes of its own. Peers are started by benches/peers/run.sh, which
tells where they listen; without one its keys are skipped. Whatever is counted at the end of a key
(queued, completed, what a peer has) has to be what was done, or the key fails.

  one_caller_vs_log      closed loop of one thread, a job a submission, against a loop that appends
                         a record of the same encoded bytes to a growing file, and fdatasyncs
  callers64_vs_one       closed loops of 64 threads against that of one
  batch1000_vs_log       submissions of 1,000 jobs, four on their way, against the bare loop with
                         the bytes that one sync of ours had
  batch1000_vs_redis     the same against ZADD on four connections, 1,000 commands on their way on
                         each, appendfsync always; against RPUSH besides
  life_jobs_per_s        enqueue, decide, launch, end: one thread submits batches, one decides and
                         reports, four batches of each on their way; every job is COMPLETED
  life16_vs_beanstalkd   16 threads, each waits for enqueue, launch and end of one job, against put,
                         reserve, delete of 16 clients
  life16_vs_postgres     the same against INSERT, UPDATE .. FOR UPDATE SKIP LOCKED, DELETE, three
                         commits as with us; against INSERT, DELETE .. SKIP LOCKED besides
  recover_1e6_s, recover_1e7_s
                         a child fills a store, is killed while it goes on submitting, and another
                         opens it: from the call of open until a first offer picked something
  checkpoint_decide_ratio, checkpoint_enqueue_ratio
                         p99.9 of an offer for one job, p99 of a durable enqueue of one job, under
                         a constant load: samples while a checkpoint ran against the others
  disk_bytes_per_job, memory_bytes_per_job
                         ten million queued in batches of 1,000, when files have settled: allocated
                         blocks of log.redb and state.redb, and resident memory of the whole
                         process; after filling or after opening again, the larger
  steady_file_ratio      whole lives until 10^8 events happened, of which the newest million jobs are kept:
                         the largest size of log.redb and state.redb in the second half against that
                         in the first, without its first tenth
  list_p99_ms            first pages of 100 of ten million jobs, nearly all of them over, by many
                         filters and orders, with and without a count: the p99 of the slowest list

Exit code: 0, also where a goal is missed; 1 when a key could not be measured; 2 for a wrong call.
";

/// What measures one key, or several that come out together.
type Measure = fn(&Plan) -> Anything<Vec<Figure>>;

const MEASURES: &[(&[&str], Measure)] = &[
    (&["one_caller_vs_log"], beside::one_caller_vs_log),
    (&["callers64_vs_one"], beside::callers64_vs_one),
    (&["batch1000_vs_log"], beside::batch1000_vs_log),
    (&["batch1000_vs_redis"], beside::batch1000_vs_redis),
    (&["life_jobs_per_s"], beside::life_jobs_per_s),
    (&["life16_vs_beanstalkd"], beside::life16_vs_beanstalkd),
    (&["life16_vs_postgres"], beside::life16_vs_postgres),
    (&["recover_1e6_s"], stored::recover_1e6_s),
    (&["recover_1e7_s"], stored::recover_1e7_s),
    (&["checkpoint_decide_ratio", "checkpoint_enqueue_ratio"], checkpoint::checkpoint_ratios),
    (&["disk_bytes_per_job", "memory_bytes_per_job"], stored::bytes_per_job),
    (&["steady_file_ratio"], stored::steady_file_ratio),
    (&["list_p99_ms"], list::first_pages),
];

struct Arguments {
    only: Vec<String>,
    scale: f64,
    n_rounds: usize,
    directory: Option<PathBuf>,
    is_json: bool,
}

/// What the words ask for; `None`: for help.
fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut found = Arguments { only: Vec::new(), scale: 1.0, n_rounds: 5, directory: None, is_json: false };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--json" => found.is_json = true,
            "--only" => {
                let key = value()?;
                if goal(&key).is_none() {
                    let keys: Vec<_> = GOALS.iter().map(|goal| goal.key).collect();
                    return Err(format!("no key {key:?}; there are {}", keys.join(", ")));
                }
                found.only.push(key);
            }
            "--scale" => {
                found.scale = value()?.parse().map_err(|error| format!("--scale: {error}"))?;
                if !(found.scale > 0.0 && found.scale <= 10.0) {
                    return Err("--scale is above 0 and at most 10".to_owned());
                }
            }
            "--rounds" => {
                found.n_rounds = value()?.parse().map_err(|error| format!("--rounds: {error}"))?;
                if found.n_rounds < 3 {
                    return Err("--rounds is at least 3: a median of less is none".to_owned());
                }
            }
            "--dir" => found.directory = Some(value()?.into()),
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("no option {word:?}; --help lists them")),
        }
    }
    Ok(Some(found))
}

fn goal(key: &str) -> Option<&'static Goal> {
    GOALS.iter().find(|goal| goal.key == key)
}

/// Measures what is asked for and prints each figure as it comes; true when all could be measured.
fn measure(arguments: &Arguments, plan: &Plan) -> bool {
    let mut around = Map::new();
    around.insert("scale".into(), json!(plan.scale));
    around.insert("payload_bytes".into(), json!(ours::PAYLOAD_BYTES));
    around.insert("file_system".into(), Value::from(plan.place.kind.clone()));
    let is_wanted = |key: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == key);
    if !arguments.is_json {
        let scaled = if plan.scale < 1.0 { "; scaled down, so these are no figures to quote" } else { "" };
        println!("files on {}, scale {}{scaled}\n\n{}", plan.place.kind, plan.scale, figures::head());
    }
    let mut is_complete = true;
    for (keys, run) in MEASURES {
        if !keys.iter().any(|key| is_wanted(key)) {
            continue;
        }
        match run(plan) {
            Ok(figures) => {
                for figure in figures.iter().filter(|figure| is_wanted(figure.key)) {
                    let goal = goal(figure.key).expect("every key has a goal");
                    println!(
                        "{}",
                        if arguments.is_json { goal.json(figure, &around) } else { goal.row(figure) }
                    );
                }
            }
            Err(error) => {
                is_complete = false;
                eprintln!("error: could not measure {}: {error}", keys.join(", "));
            }
        }
        if let Err(error) = plan.place.clear() {
            eprintln!("could not remove the files of {}: {error}", keys.join(", "));
        }
    }
    is_complete
}

fn prepare(arguments: &Arguments) -> Anything<Plan> {
    let peers = Addresses::from_environment()?;
    let place = Place::new(arguments.directory.as_deref(), peers.files.as_deref())?;
    peers.check_disk(&place)?;
    Ok(Plan { place, peers, n_rounds: arguments.n_rounds, scale: arguments.scale })
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((child::CHILD, rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return match child::run(rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: in a child: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments = match parse(words.into_iter()) {
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
    match prepare(&arguments) {
        Ok(plan) if measure(&arguments, &plan) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
