//! `weighbridge queue`: what waits for a node, in the order it would start.

use serde_json::Value;

use super::Context;
use super::answer::{age, job_type, list, number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{lines, table};

const EXAMPLES: &str = "\
Examples:
  weighbridge queue                           the first 20
  weighbridge queue --limit 1000 --output json

`weighbridge explain JOB` says why one waits, `weighbridge priority JOB --to N` moves it.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let answer = Client::new(&args.server)?.get(&format!("/api/v1/queue?limit={}", args.limit))?;
    context.print(&answer, shown)?;
    Ok(Exit::Done)
}

fn shown(answer: &Value) -> String {
    let entries = list(answer, "/entries");
    let n_queued = number(answer, "/n_queued").max(entries.len() as u64);
    if entries.is_empty() {
        return "nothing is queued".to_owned();
    }
    let mut table = table(&[">PLACE", ">JOB", "JOB TYPE", ">PRIORITY", "WAITS FOR", "ASKS FOR"]);
    for entry in entries {
        table.add_row([
            (number(entry, "/position") + 1).to_string(),
            text(entry, "/job"),
            job_type(entry, "/job_type"),
            text(entry, "/priority"),
            age(entry, "/queued"),
            text(entry, "/asks"),
        ]);
    }
    let more = n_queued - entries.len() as u64;
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    lines(&table) + &more
}
