//! `weighbridge scheduler`: how the scheduler is set.

use serde_json::{Value, json};

use super::Context;
use super::answer::text;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::fields;

/// Its address.
const PATH: &str = "/v6/scheduler/";

pub(super) const LONG: &str = "\
How the scheduler is set, for the whole queue. Without a word it shows that.

Paused, it launches nothing; what runs goes on, and what is submitted is queued. The mode says which of two jobs \
of equal priority goes first: the one that was queued first (fifo), or last (lifo).";

const EXAMPLES: &str = "\
Examples:
  weighbridge scheduler                       how it is set
  weighbridge scheduler pause                 launch nothing
  weighbridge scheduler resume
  weighbridge scheduler mode lifo             the youngest first
  weighbridge job-type edit resize --mode lifo    the same inside one type

`weighbridge pause TYPE` holds one job type back, `weighbridge nodes pause NODE` one machine.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// How it is set
    #[command(after_help = "Examples:\n  weighbridge scheduler show --output json")]
    Show(OnlyServer),
    /// Launch nothing more; what runs goes on
    #[command(after_help = "Examples:\n  weighbridge scheduler pause")]
    Pause(OnlyServer),
    /// Launch again
    #[command(after_help = "Examples:\n  weighbridge scheduler resume")]
    Resume(OnlyServer),
    /// Which of two jobs of equal priority goes first
    #[command(after_help = "Examples:\n  weighbridge scheduler mode lifo")]
    Mode(ModeArgs),
}

#[derive(clap::Args)]
struct OnlyServer {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct ModeArgs {
    /// The one that was queued first, or last
    #[arg(value_name = "MODE", value_parser = ["fifo", "lifo"], ignore_case = true)]
    mode: String,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let (server, change) = match &args.verb {
        None => (&args.server, None),
        Some(Verb::Show(args)) => (&args.server, None),
        Some(Verb::Pause(args)) => (&args.server, Some(json!({ "is_paused": true }))),
        Some(Verb::Resume(args)) => (&args.server, Some(json!({ "is_paused": false }))),
        Some(Verb::Mode(args)) => (&args.server, Some(json!({ "queue_mode": args.mode.to_uppercase() }))),
    };
    let client = Client::new(server)?;
    if let Some(change) = change {
        client.patch(PATH, &change)?;
    }
    let answer = client.get(PATH)?;
    context.print(&answer, shown)?;
    Ok(Exit::Done)
}

fn shown(answer: &Value) -> String {
    let state = if answer["is_paused"] == true { "paused: nothing is launched" } else { "launches" };
    let mode = match text(answer, "/queue_mode").as_str() {
        "FIFO" => "FIFO: the oldest first".to_owned(),
        "LIFO" => "LIFO: the youngest first".to_owned(),
        other => other.to_owned(),
    };
    fields(&[("scheduler", state.to_owned()), ("mode", mode)])
}
