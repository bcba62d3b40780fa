//! The commands of the binary, one file each: raw arguments first, then what they mean.
//!
//! Every command returns what to exit with or a `Failure`; only this file prints failures. What
//! goes to standard output is the command's answer, as a table or as one JSON value; everything
//! else goes to standard error.

mod answer;
mod batch;
mod bulk;
mod cancel;
mod check;
mod dataset;
mod dead_letters;
mod duration;
mod explain;
mod failure;
mod file;
mod filters;
mod following;
mod graph;
mod http;
mod import_scale;
mod inspect;
mod job;
mod job_type;
mod jobs;
mod journal;
mod limit;
mod load;
mod logs;
mod machine;
mod many;
mod mesos;
mod message;
mod nodes;
mod output;
mod pause;
mod policy;
mod priority;
mod queue;
mod recipe;
mod recipe_type;
mod recovery;
mod release;
mod replay;
mod requeue;
mod run;
mod scheduler;
mod selectors;
mod serve;
mod signals;
mod status;
mod submit;
mod supervisor;
mod watch;

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

Two ways to use it. `run` takes a workload file, runs all of it on this machine and ends; after \
Ctrl-C, a crash or a power cut the same command goes on where it stopped. `serve` is a daemon; the \
other commands ask it: `job-type` and `submit` give it work, `watch`, `status`, `jobs` and `explain` \
say how that stands, `pause`, `cancel`, `requeue` and `priority` change it.";

const EXAMPLES: &str = "\
Examples:
  weighbridge run work.json                  run a workload here, with progress and a summary
  weighbridge run work.json --fresh          the same, from the beginning

  weighbridge serve --store jobs             a daemon on http://127.0.0.1:7420
  weighbridge job-type create hello -- echo hello {who}
  weighbridge submit hello --input who=world --count 10
  weighbridge submit work.json --wait        a workload file; wait for its end
  weighbridge watch last                     wait for the newest job
  weighbridge status                         what runs and what waits
  weighbridge explain 7                      why job 7 still waits
  weighbridge logs 7 --follow                what job 7 prints
  weighbridge jobs --status failed           what failed
  weighbridge cancel 3 10-20                 cancel jobs
  weighbridge requeue --status failed --since 1h

  weighbridge inspect jobs                   what a stopped or damaged store holds

Every command has more with --help. WEIGHBRIDGE_SERVER names the daemon once for all of them, and
WEIGHBRIDGE_OUTPUT=json asks for JSON.

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
    #[command(long_about = serve::LONG)]
    Serve(Box<serve::Args>),
    /// Queue jobs of a type, or a workload file, at a daemon
    #[command(long_about = submit::LONG)]
    Submit(submit::Args),
    /// Wait until jobs have ended, or the whole queue
    #[command(long_about = watch::LONG)]
    Watch(watch::Args),
    /// What runs, what waits and why
    Status(status::Args),
    /// What waits for a node, in the order it would start
    Queue(queue::Args),
    /// Jobs by filters and order
    #[command(long_about = jobs::LONG)]
    Jobs(jobs::Args),
    /// Jobs in full
    #[command(long_about = job::LONG)]
    Job(job::Args),
    /// What a job prints
    #[command(long_about = logs::LONG)]
    Logs(logs::Args),
    /// Why jobs wait
    #[command(long_about = explain::LONG)]
    Explain(explain::Args),
    /// What was decided lately, and what keeps the rest
    #[command(long_about = journal::LONG)]
    Journal(journal::Args),
    /// End jobs, wherever they stand
    #[command(long_about = cancel::LONG)]
    Cancel(cancel::Args),
    /// Requeue or cancel all jobs of a filter, and look after such operations
    #[command(long_about = bulk::LONG)]
    Bulk(bulk::Args),
    /// Queue jobs again
    #[command(long_about = requeue::LONG)]
    Requeue(requeue::Args),
    /// Give jobs another priority
    #[command(long_about = priority::LONG)]
    Priority(priority::Args),
    /// Kinds of jobs: create, list, show, edit, revisions
    #[command(long_about = job_type::LONG)]
    JobType(job_type::Args),
    /// Hold a job type back; what runs goes on
    Pause(pause::Args),
    /// Let a paused job type go on
    Resume(pause::Args),
    /// Let single jobs of a paused job type go on
    Release(release::Args),
    /// How many of a job type run at once
    Limit(limit::Args),
    /// Kinds of graphs of jobs: create, list, show, edit
    #[command(long_about = recipe_type::LONG)]
    RecipeType(recipe_type::Args),
    /// Graphs of jobs: submit, list, show, reprocess
    #[command(long_about = recipe::LONG)]
    Recipe(recipe::Args),
    /// Recipes that are made together: create, list, show
    #[command(long_about = batch::LONG)]
    Batch(batch::Args),
    /// Files that jobs are given: add, list, show
    #[command(long_about = file::LONG)]
    File(file::Args),
    /// Files that belong together: add, list, show
    #[command(long_about = dataset::LONG)]
    Dataset(dataset::Args),
    /// How the scheduler is set: show, pause, resume, mode
    #[command(long_about = scheduler::LONG)]
    Scheduler(scheduler::Args),
    /// How passes choose: the default, or what a file says
    #[command(long_about = policy::LONG)]
    Policy(policy::Args),
    /// The machines: list, pause, resume
    #[command(long_about = nodes::LONG)]
    Nodes(nodes::Args),
    /// Pending, queued and running jobs over time
    Load(load::Args),
    /// Take an existing Scale's job types, jobs and queue over into a store
    ImportScale(import_scale::Args),
    /// Hand messages in Scale's JSON to a daemon
    #[command(long_about = message::LONG)]
    Message(message::Args),
    /// Messages that could not be carried out
    #[command(long_about = dead_letters::LONG)]
    DeadLetters(dead_letters::Args),
    /// What a store holds and what is wrong where, while nobody has it open
    Inspect(inspect::Args),
    /// Verify a store that nobody has open
    Check(check::Args),
    /// Run a trace of a real cluster through the engine, in virtual time
    #[command(long_about = replay::LONG)]
    Replay(replay::Args),
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
        Command::Watch(args) => watch::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Queue(args) => queue::run(&args, context),
        Command::Jobs(args) => jobs::run(&args, context),
        Command::Job(args) => job::run(&args, context),
        Command::Logs(args) => logs::run(&args, context),
        Command::Explain(args) => explain::run(&args, context),
        Command::Journal(args) => journal::run(&args, context),
        Command::Cancel(args) => cancel::run(&args, context),
        Command::Bulk(args) => bulk::run(&args, context),
        Command::Requeue(args) => requeue::run(&args, context),
        Command::Priority(args) => priority::run(&args, context),
        Command::JobType(args) => job_type::run(&args, context),
        Command::RecipeType(args) => recipe_type::run(&args, context),
        Command::Recipe(args) => recipe::run(&args, context),
        Command::Batch(args) => batch::run(&args, context),
        Command::Dataset(args) => dataset::run(&args, context),
        Command::File(args) => file::run(&args, context),
        Command::Scheduler(args) => scheduler::run(&args, context),
        Command::Policy(args) => policy::run(&args, context),
        Command::Nodes(args) => nodes::run(&args, context),
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
        Command::Replay(args) => replay::run(&args, context),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Every command and what stands below it, by its words.
    fn all(command: &clap::Command, words: &str, found: &mut Vec<(String, clap::Command)>) {
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            let words = format!("{words} {}", below.get_name());
            all(below, &words, found);
            found.push((words, below.clone()));
        }
    }

    fn commands() -> Vec<(String, clap::Command)> {
        let mut found = Vec::new();
        all(&Cli::command(), "weighbridge", &mut found);
        found
    }

    #[test]
    fn the_help_of_every_command_has_an_example_of_it() {
        let found = commands();
        assert!(found.len() > 20, "{}", found.len());
        for (words, command) in found {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{words}: {help:?}");
            assert!(help.contains(&words), "{words}: {help:?}");
            assert!(command.get_about().is_some(), "{words}");
        }
    }

    #[test]
    fn what_a_command_says_at_length_is_in_its_help() {
        let said = |words: &str, part: &str| {
            let found = commands().into_iter().find(|(known, _)| known == words);
            let (_, mut command) = found.unwrap_or_else(|| panic!("no {words}"));
            let help = command.render_long_help().to_string();
            assert!(help.contains(part), "{words}: {help}");
        };
        said("weighbridge submit", "on disk when the command returns");
        said("weighbridge cancel", "`last`, which is");
        said("weighbridge job-type create", "no shell reads them");
        said("weighbridge jobs", "a page at a time");
    }

    #[test]
    fn every_line_of_examples_is_a_command_line_that_is_understood() {
        let mut n = 0;
        let mut found = commands();
        found.push(("weighbridge".to_owned(), Cli::command()));
        for (words, command) in found {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let help = help.replace("\\\n", " ");
            for line in help.lines().filter_map(|line| line.trim_start().strip_prefix("weighbridge ")) {
                let parsed =
                    Cli::try_parse_from(std::iter::once("weighbridge".to_owned()).chain(typed(line)));
                assert!(
                    parsed.is_ok(),
                    "{words}: {line:?}: {}",
                    parsed.err().map_or(String::new(), |e| e.to_string())
                );
                n += 1;
            }
        }
        assert!(n > 50, "{n} lines");
    }

    /// What of a line of an example would be typed: what stands before its remark or an operator of the shell.
    fn typed(line: &str) -> Vec<String> {
        let end = ["  ", " && ", " || ", " | "].iter().filter_map(|mark| line.trim_end().find(mark)).min();
        let mut words = Vec::new();
        for (at, part) in line[..end.unwrap_or(line.len())].split('\'').enumerate() {
            if at % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }
}
