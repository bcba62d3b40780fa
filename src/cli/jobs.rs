//! `weighbridge jobs`: jobs by id.

use serde_json::Value;

use super::Context;
use super::answer::{age, job_type, list, seconds, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{lines, table};
use crate::model::{JobId, JobStatus};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only those: pending, blocked, queued, running, failed, completed or canceled
    #[arg(long, value_parser = status)]
    status: Option<JobStatus>,
    /// Only those after this id
    #[arg(long, value_name = "JOB", default_value_t)]
    after: JobId,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

fn status(text: &str) -> Result<JobStatus, String> {
    let found = JobStatus::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<_> = JobStatus::ALL.iter().map(|status| status.as_str().to_lowercase()).collect();
        format!("{text:?} is none of {}", names.join(", "))
    })
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let status = args.status.map(|status| format!("&status={status}")).unwrap_or_default();
    let path = format!("/api/v1/jobs?after={}&limit={}{status}", args.after, args.limit);
    let answer = Client::new(&args.server)?.get(&path)?;
    context.print(&answer, shown)?;
    Ok(Exit::Done)
}

fn shown(answer: &Value) -> String {
    let mut table =
        table(&[">JOB", "STATUS", "JOB TYPE", ">PRIORITY", ">TRIES", "CHANGED", ">RAN FOR", "OUTCOME"]);
    let jobs = list(answer, "/jobs");
    for job in jobs {
        table.add_row([
            text(job, "/id"),
            text(job, "/status"),
            job_type(job, "/job_type"),
            text(job, "/priority"),
            text(job, "/tries"),
            format!("{} ago", age(job, "/last_status_change")),
            seconds(job, "/end/wall_s"),
            text(job, "/end/text"),
        ]);
    }
    if jobs.is_empty() {
        return "no such jobs".to_owned();
    }
    let more = answer.pointer("/next").and_then(Value::as_u64);
    let more = more.map(|next| format!("\nmore with --after {next}")).unwrap_or_default();
    lines(&table) + &more
}
