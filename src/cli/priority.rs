//! `weighbridge priority`: gives jobs another priority, also where they wait already.

use serde_json::json;

use super::Context;
use super::answer::number;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::ids::{self, Ids};
use super::output::counted;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Jobs by id, and ranges such as 1-10
    #[arg(required = true, value_name = "JOB", value_parser = ids::ids)]
    jobs: Vec<Ids>,
    /// The new priority; the lower number is the more important
    #[arg(long, value_name = "PRIORITY", allow_negative_numbers = true)]
    to: i32,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let body = json!({ "job_ids": ids::all(&args.jobs)?, "priority": args.to });
    let answer = Client::new(&args.server)?.post("/api/v1/jobs/priority", &body)?;
    context.print(&answer, |answer| {
        let (n, left) = (number(answer, "/n_changed"), number(answer, "/n_ignored"));
        let left = if left > 0 { format!(", {left} had ended before") } else { String::new() };
        format!("{} moved to priority {}{left}", counted(n, "job"), args.to)
    })?;
    Ok(Exit::Done)
}
