//! `weighbridge release`: lets single jobs of a paused type go on.

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
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let jobs = ids::all(&args.jobs)?;
    let answer = Client::new(&args.server)?.post("/api/v1/jobs/release", &json!({ "job_ids": jobs }))?;
    context.print(&answer, |answer| {
        let (n, left) = (number(answer, "/n_changed"), number(answer, "/n_ignored"));
        let left =
            if left > 0 { format!(", {left} do not wait, or were released before") } else { String::new() };
        format!("{} released{left}", counted(n, "job"))
    })?;
    Ok(Exit::Done)
}
