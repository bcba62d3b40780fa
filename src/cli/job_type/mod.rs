//! `weighbridge job-type`: kinds of jobs, made from flags or a Seed manifest, listed, looked at, changed.

mod look;
mod native;
mod seed;
mod wanted;

use super::Context;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};

pub(super) const LONG: &str = "\
Job types: the kinds of jobs there are. A type says what runs, what one execution of it asks of a machine, how \
long it may take, how often it is tried and how many run at once.

`create` makes one from flags, to be run as a process of the machine; or from a Seed manifest. A workload file \
brings its own types.";

const EXAMPLES: &str = "\
Examples:
  weighbridge job-type create hello --cpus 0.5 --mem 64 -- echo hello {who}
  weighbridge submit hello --input who=world
  weighbridge job-type create --manifest seed.manifest.json
  weighbridge job-type list
  weighbridge job-type show hello
  weighbridge job-type edit hello --timeout 5m --max-tries 5
  weighbridge job-type revisions hello

`weighbridge pause`, `resume` and `limit` hold a type back or bound how many of it run at once.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a job type
    #[command(long_about = CREATE_LONG)]
    Create(CreateArgs),
    /// All job types, and how many jobs of each wait and run
    List(ListArgs),
    /// One in full
    Show(ShowArgs),
    /// Change what the flags say, and leave the rest
    #[command(long_about = EDIT_LONG)]
    Edit(EditArgs),
    /// What it was before
    Revisions(RevisionsArgs),
}

const CREATE_LONG: &str = "\
Makes a job type. Its name and version belong together: `resize` is `resize:1.0`.

The command follows `--`, program and arguments as they are: no shell reads them. {NAME} in it stands for a value \
that each job is given with `submit --input NAME=VALUE`; {job_id} and {exe_num} are there by themselves; {{ and \
}} are braces. Where a shell is wanted, name it: -- sh -c 'sort \"$1\" >sorted' sh {file}

With --manifest the type is what a Seed manifest (version 1.0.0) says, and flags for resources, timeout and \
texts go over it. Its command is a line for a shell, which finds the inputs of a job as variables.";

const CREATE_EXAMPLES: &str = "\
Examples:
  weighbridge job-type create hello -- echo hello {who}
  weighbridge job-type create resize:2.0 --cpus 1 --mem 512 --timeout 2m --max-scheduled 4 \\
      -- convert {file} -resize {width} {out}
  weighbridge job-type create train --gpus 1 --resource license=1 --priority 10 -- ./train.sh {data}
  weighbridge job-type create --manifest seed.manifest.json --image registry/resize:1.0.0
  cat seed.manifest.json | weighbridge job-type create --manifest -";

#[derive(clap::Args)]
#[command(after_help = CREATE_EXAMPLES)]
struct CreateArgs {
    /// NAME or NAME:VERSION; with --manifest it is what that says
    #[arg(value_name = "NAME[:VERSION]", conflicts_with = "manifest")]
    name: Option<String>,
    #[command(flatten)]
    wanted: wanted::WantedArgs,
    /// Make it paused: its jobs wait until `weighbridge resume`
    #[arg(long)]
    paused: bool,
    /// Program and arguments
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "manifest")]
    command: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

const EDIT_LONG: &str = "\
Changes what the flags say of a job type, and leaves the rest as it is. It is a new revision. Jobs that wait keep \
the resources and the priority they were queued with; what starts from now on runs the new command.";

const EDIT_EXAMPLES: &str = "\
Examples:
  weighbridge job-type edit hello --timeout 5m --max-tries 5
  weighbridge job-type edit hello -- echo good morning {who}
  weighbridge job-type edit resize:2.0 --max-scheduled none
  weighbridge job-type edit resize --manifest seed.manifest.json --image registry/resize:1.0.1";

#[derive(clap::Args)]
#[command(after_help = EDIT_EXAMPLES)]
struct EditArgs {
    /// The job type: NAME, NAME:VERSION or its id
    #[arg(value_name = "TYPE")]
    name: String,
    #[command(flatten)]
    wanted: wanted::WantedArgs,
    /// Program and arguments
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "manifest")]
    command: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

const LIST_EXAMPLES: &str = "\
Examples:
  weighbridge job-type list
  weighbridge job-type list --output json";

#[derive(clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

const SHOW_EXAMPLES: &str = "\
Examples:
  weighbridge job-type show resize
  weighbridge job-type show resize:2.0 --output json";

#[derive(clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
struct ShowArgs {
    /// The job type: NAME, NAME:VERSION or its id
    #[arg(value_name = "TYPE")]
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

const REVISIONS_EXAMPLES: &str = "\
Examples:
  weighbridge job-type revisions resize
  weighbridge job-type revisions resize:2.0 --output json

Types from flags or workload files have a number of revisions, and only the newest is kept.";

#[derive(clap::Args)]
#[command(after_help = REVISIONS_EXAMPLES)]
struct RevisionsArgs {
    /// The job type: NAME, NAME:VERSION or its id
    #[arg(value_name = "TYPE")]
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Create(args) => {
            let client = Client::new(&args.server)?;
            match &args.wanted.manifest {
                Some(path) => seed::create(&client, path, &args.wanted, args.paused, context),
                None => native::create(&client, args, context),
            }
        }
        Verb::Edit(args) => {
            let client = Client::new(&args.server)?;
            if args.wanted.is_empty() && args.command.is_empty() {
                return Err(Failure::usage("nothing to change").help(format_args!(
                    "say what, for instance `weighbridge job-type edit {} --timeout 5m`; --help lists all",
                    args.name
                )));
            }
            let found = look::find(&client, &args.name)?;
            match look::manifest(&client, &found)? {
                Some(full) => seed::edit(&client, &found, &full, &args.wanted, &args.command, context),
                None => native::edit(&client, &found, args, context),
            }
        }
        Verb::List(args) => look::list(&Client::new(&args.server)?, context),
        Verb::Show(args) => look::show(&Client::new(&args.server)?, &args.name, context),
        Verb::Revisions(args) => look::revisions(&Client::new(&args.server)?, &args.name, context),
    }
}
