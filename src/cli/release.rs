//! `weighbridge release`: lets single jobs of a paused type go on.

use serde_json::json;

use super::Context;
use super::answer::number;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::counted;
use super::selectors::{self, Selected, Selector};
use crate::model::JobStatus;

const EXAMPLES: &str = "\
Examples:
  weighbridge release 7 10-12                 these go on, the rest of their type waits
  weighbridge release last";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs: 7, 1-10, 1,4,7-9, `last`, or a job type for all of it that is queued
    #[arg(required = true, value_name = "JOB", value_parser = selectors::selector)]
    jobs: Vec<Selector>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let selected = Selected::of(&client, &args.jobs, &[JobStatus::Queued])?;
    let answer = client.post("/api/v1/jobs/release", &json!({ "job_ids": selected.jobs }))?;
    context.print(&answer, |answer| {
        let (n, left) = (number(answer, "/n_changed"), number(answer, "/n_ignored"));
        let left =
            if left > 0 { format!(", {left} do not wait, or were released before") } else { String::new() };
        format!("{} released{left}", counted(n, "job"))
    })?;
    Ok(Exit::Done)
}
