//! The commands of the binary, one file each: raw arguments first, then what they mean.
//!
//! Every command returns what to exit with or a `Failure`; only this file prints failures. What
//! goes to standard output is the command's answer, as a table or as one JSON value; everything
//! else goes to standard error.

mod answer;
mod bulk;
mod cancel;
mod check;
mod dead_letters;
mod duration;
mod explain;
mod failure;
mod filter;
mod http;
mod ids;
mod import_scale;
mod inspect;
mod job;
mod jobs;
mod limit;
mod load;
mod machine;
mod message;
mod output;
mod pause;
mod priority;
mod queue;
mod recovery;
mod release;
mod run;
mod serve;
mod signals;
mod status;
mod submit;
mod supervisor;

use std::io::{IsTerminal, stderr};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use failure::{Exit, Failure};
use output::Output;

const ABOUT: &str =
    "Queues jobs, decides what runs where, and has each decision on disk before it acts on it";

const LONG_ABOUT: &str = "\
Queues jobs, decides what runs where, and has each decision on disk before it acts on it.

Two ways to use it. `run` takes a workload file, runs all of it on this machine and ends; after
Ctrl-C, a crash or a power cut the same command goes on where it stopped. `serve` is a daemon that
takes workloads from `submit` and answers `queue`, `status`, `job` and `explain`.";

const EXAMPLES: &str = "\
Examples:
  weighbridge run work.json                  run a workload here, with progress and a summary
  weighbridge run work.json --fresh          the same, from the beginning
  weighbridge run work.json --resources cpus:2,mem:1024

  weighbridge serve --store jobs             a daemon on http://127.0.0.1:7420
  weighbridge submit work.json --wait        queue a workload there, and wait for its end
  weighbridge status                         what runs and what waits
  weighbridge explain 7                      why job 7 still waits
  weighbridge jobs --status failed           what failed
  weighbridge cancel 3 10-20                 cancel jobs

  weighbridge inspect jobs                   what a stopped or damaged store holds
  weighbridge check jobs                     verify all of it

Exit codes:
  0 done   1 something failed   2 wrong usage, or a fault in a workload file
  3 something can never be placed   4 not found   5 server unreachable   6 out of time
  130 interrupted";

#[derive(Parser)]
#[command(
    name = "weighbridge",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = EXAMPLES,
    arg_required_else_help = true,
    propagate_version = true,
    max_term_width = 110
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Form of the answer on standard output
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        env = "WEIGHBRIDGE_OUTPUT",
        hide_env = true,
        value_name = "FORM"
    )]
    output: Output,
    /// Say more on standard error; `RUST_LOG` says in detail what
    #[arg(long, short, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run a workload file on this machine, to the end
    Run(run::Args),
    /// Run as a daemon with REST, which takes workloads from `submit`
    Serve(serve::Args),
    /// Queue a workload file at a daemon
    Submit(submit::Args),
    /// What runs, what waits and why
    Status(status::Args),
    /// What waits for a node, in the order it would start
    Queue(queue::Args),
    /// Jobs by filters and order
    Jobs(jobs::Args),
    /// One job in full
    Job(job::Args),
    /// Why a job waits
    Explain(explain::Args),
    /// End jobs, wherever they stand
    Cancel(cancel::Args),
    /// Requeue or cancel all jobs of a filter, and look after such operations
    Bulk(bulk::Args),
    /// Give jobs another priority
    Priority(priority::Args),
    /// Hold a job type back; what runs goes on
    Pause(pause::Args),
    /// Let a paused job type go on
    Resume(pause::Args),
    /// Let single jobs of a paused job type go on
    Release(release::Args),
    /// How many of a job type run at once
    Limit(limit::Args),
    /// Pending, queued and running jobs over time
    Load(load::Args),
    /// Take an existing Scale's job types, jobs and queue over into a store
    ImportScale(import_scale::Args),
    /// Hand messages in Scale's JSON to a daemon
    Message(message::Args),
    /// Messages that could not be carried out
    DeadLetters(dead_letters::Args),
    /// What a store holds and what is wrong where, while nobody has it open
    Inspect(inspect::Args),
    /// Verify a store that nobody has open
    Check(check::Args),
    #[command(hide = true)]
    Supervisor(supervisor::Args),
}

/// What every command is told.
#[derive(Clone, Copy)]
struct Context {
    output: Output,
}

impl Context {
    /// Prints a daemon's answer: as it came, or as `shown` makes a text of it.
    fn print(self, answer: &Value, shown: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
        match self.output {
            Output::Json => output::print_json(answer),
            Output::Table => output::print(&shown(answer)),
        }
    }
}

/// Parses the command line, runs the command and reports what failed.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    let context = Context { output: cli.output };
    let result = dispatch(cli.command, context);
    ExitCode::from(result.unwrap_or_else(|failure| output::report(&failure, context.output)).code())
}

fn dispatch(command: Command, context: Context) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(&args, context),
        Command::Serve(args) => serve::run(&args, context),
        Command::Submit(args) => submit::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Queue(args) => queue::run(&args, context),
        Command::Jobs(args) => jobs::run(&args, context),
        Command::Job(args) => job::run(&args, context),
        Command::Explain(args) => explain::run(&args, context),
        Command::Cancel(args) => cancel::run(&args, context),
        Command::Bulk(args) => bulk::run(&args, context),
        Command::Priority(args) => priority::run(&args, context),
        Command::Pause(args) => pause::pause(&args, context),
        Command::Resume(args) => pause::resume(&args, context),
        Command::Release(args) => release::run(&args, context),
        Command::Limit(args) => limit::run(&args, context),
        Command::Load(args) => load::run(&args, context),
        Command::ImportScale(args) => import_scale::run(&args, context),
        Command::Message(args) => message::run(&args, context),
        Command::DeadLetters(args) => dead_letters::run(&args, context),
        Command::Inspect(args) => inspect::run(&args, context),
        Command::Check(args) => check::run(&args, context),
        Command::Supervisor(args) => supervisor::run(&args),
    }
}

fn log_to_stderr(is_verbose: bool) {
    let level =
        if is_verbose { "weighbridge=debug" } else { &format!("weighbridge=warn,{}", recovery::SHOWN) };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        .init();
}
