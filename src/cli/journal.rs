//! `weighbridge journal`: what was decided lately, and what keeps the rest.

use std::time::Duration;

use serde_json::Value;

use super::Context;
use super::answer::{list, number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{Output, lines, note, print, print_json, table};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Notes asked for at once.
const PAGE: u64 = 1_000;

pub(super) const LONG: &str = "\
What the daemon decided lately: which execution was launched on which node, which came back to its place, nodes \
that are kept for executions, and what keeps the first waiting job of each type, when that changes. It is in memory, \
some sixteen thousand notes; the oldest go, and a daemon that starts anew begins with none.";

const EXAMPLES: &str = "\
Examples:
  weighbridge journal                         the newest notes
  weighbridge journal --after 100 --limit 50  what came after note 100
  weighbridge journal --follow                and what comes after them, until it is stopped
  weighbridge journal --follow --output json  a line of JSON for each";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Go on with what comes, until stopped
    #[arg(long, short)]
    follow: bool,
    /// Only what comes after the note of this number
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=PAGE))]
    limit: u64,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let after = args.after.map(|after| format!("&after={after}")).unwrap_or_default();
    let answer = client.get(&format!("/api/v1/journal?limit={}{after}", args.limit))?;
    if !args.follow {
        context.print(&answer, shown)?;
        return Ok(Exit::Done);
    }
    follow(&client, answer, context)
}

/// Tells what comes after an answer, until it is stopped or the daemon cannot be reached.
fn follow(client: &Client, mut answer: Value, context: Context) -> Result<Exit, Failure> {
    loop {
        tell(&answer, context)?;
        let mut next = number(&answer, "/next");
        if list(&answer, "/entries").is_empty() {
            std::thread::sleep(LOOK_EVERY);
            // A daemon that was started anew counts from 1 again.
            if number(&client.get("/api/v1/journal?limit=1")?, "/next") < next {
                note("the daemon was started anew");
                next = 0;
            }
        }
        answer = client.get(&format!("/api/v1/journal?limit={PAGE}&after={next}"))?;
    }
}

/// A line for each note.
fn tell(answer: &Value, context: Context) -> Result<(), Failure> {
    let lost = number(answer, "/n_lost");
    if lost > 0 {
        note(&format!("{lost} notes in between are gone"));
    }
    list(answer, "/entries").iter().try_for_each(|entry| match context.output {
        Output::Json => print_json(entry),
        Output::Table => {
            let [number, when, kind, text] =
                ["/number", "/when", "/kind", "/text"].map(|name| text(entry, name));
            print(&format!("{number:>8}  {when}  {kind:8}  {text}"))
        }
    })
}

fn shown(answer: &Value) -> String {
    let entries = list(answer, "/entries");
    if entries.is_empty() {
        return "nothing was decided yet".to_owned();
    }
    let mut table = table(&[">NUMBER", "WHEN", "KIND", "WHAT"]);
    for entry in entries {
        table.add_row(["/number", "/when", "/kind", "/text"].map(|name| text(entry, name)));
    }
    lines(&table)
}
