//! `weighbridge priority`: gives jobs another priority, also where they wait already.

use serde_json::json;

use super::Context;
use super::answer::number;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::counted;
use super::selectors::{self, Selected, Selector, UNFINISHED};

pub(super) const LONG: &str = "\
Gives jobs another priority, also those that wait already: they move to their new place at once. The lower number \
is the more important; 0 and negative ones are numbers like any other. Jobs that have ended are left alone.

Jobs are named by their ids (7), by ranges (1-10), by lists of both (1,4,7-9), as `last`, which is the newest \
job, or by their type: NAME or NAME:VERSION is every job of it that has not ended.";

const EXAMPLES: &str = "\
Examples:
  weighbridge priority 7 --to 1              more important than what has 2 or more
  weighbridge priority last 10-20 --to -5
  weighbridge priority resize --to 200 --yes all of the type that has not ended, also more than 100";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs: 7, 1-10, 1,4,7-9, `last`, or a job type for all of it that has not ended
    #[arg(required = true, value_name = "JOB", value_parser = selectors::selector)]
    jobs: Vec<Selector>,
    /// The new priority; the lower number is the more important
    #[arg(long, value_name = "PRIORITY", allow_negative_numbers = true)]
    to: i32,
    /// Also where a type has more than 100 such jobs
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let selected = Selected::of(&client, &args.jobs, &UNFINISHED)?;
    selected.confirm(|jobs| format!("move {jobs}"), args.yes)?;
    let body = json!({ "job_ids": selected.jobs, "priority": args.to });
    let answer = client.post("/api/v1/jobs/priority", &body)?;
    context.print(&answer, |answer| {
        let (n, left) = (number(answer, "/n_changed"), number(answer, "/n_ignored"));
        let left = if left > 0 { format!(", {left} had ended before") } else { String::new() };
        format!("{} moved to priority {}{left}", counted(n, "job"), args.to)
    })?;
    Ok(Exit::Done)
}
