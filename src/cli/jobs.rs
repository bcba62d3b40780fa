//! `weighbridge jobs`: jobs by filters and order.

use std::fmt::Write;

use serde_json::Value;

use super::Context;
use super::answer::{age, job_type, list, seconds, text};
use super::failure::{Exit, Failure};
use super::filters::{FilterArgs, query};
use super::http::{Client, ServerArgs};
use super::output::{lines, table};
use crate::model::JobCursor;

pub(super) const LONG: &str = "\
Jobs by filters and order, a page at a time.

Filters of different kinds all have to let a job through; of one kind, given several times or with commas, \
one of them is enough. Without --order the order is that of the ids.";

const EXAMPLES: &str = "\
Examples:
  weighbridge jobs --status failed --order=-last_modified       what failed last
  weighbridge jobs --job-type resize --since 1h --count         what changed in the last hour, and how many
  weighbridge jobs --error-category system --status failed      failed without a fault of their own
  weighbridge jobs --recipe 7                                   the jobs of a recipe
  weighbridge jobs --status completed --order=-duration         the longest ones first

Columns to order by, the greatest first with a `-` before it:
  id, created, last_modified, queued, started, ended, duration, priority, status, job_type,
  batch, is_superseded
What a job does not have (no start, no end) comes last. Up to four columns, as --order=status,-ended.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    filters: FilterArgs,
    /// By these columns; the greatest first with a `-` before it
    #[arg(long, value_name = "COLUMNS", allow_hyphen_values = true)]
    order: Option<String>,
    /// Go on behind a page: what it told, with the same order
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    after: Option<JobCursor>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Tell how many there are in all
    #[arg(long)]
    count: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    fn path(&self) -> Result<String, Failure> {
        let mut pairs: Vec<(&str, String)> = vec![("limit", self.limit.to_string())];
        pairs.extend(self.after.iter().map(|after| ("after", after.to_string())));
        pairs.extend(self.filters.pairs()?);
        pairs.extend(self.order.iter().map(|order| ("order", order.clone())));
        if self.count {
            pairs.push(("count", "true".to_owned()));
        }
        Ok(format!("/api/v1/jobs?{}", query(&pairs)))
    }
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let answer = Client::new(&args.server)?.get(&args.path()?)?;
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
    let next = answer.pointer("/next").filter(|next| !next.is_null());
    let mut notes = String::new();
    if next.is_some() {
        let _ = write!(notes, "\nmore with --after {}", text(answer, "/next"));
    }
    if let Some(n) = answer.pointer("/total/n").and_then(Value::as_u64) {
        let is_exact = answer.pointer("/total/is_exact").and_then(Value::as_bool).unwrap_or(false);
        let _ = write!(notes, "\n{}{n} in all", if is_exact { "" } else { "at least " });
    }
    if jobs.is_empty() {
        return if next.is_some() { format!("none here{notes}") } else { "no such jobs".to_owned() };
    }
    lines(&table) + &notes
}
