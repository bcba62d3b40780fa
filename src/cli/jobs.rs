//! `weighbridge jobs`: jobs by filters and order.

use std::fmt::Write;

use serde_json::Value;

use super::Context;
use super::answer::{age, job_type, list, seconds, text};
use super::duration::duration;
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs, segment};
use super::ids::{self, Ids};
use super::output::{lines, table};
use crate::model::{ErrorCategory, JobCursor, JobError, JobStatus, RecipeId};

const LONG: &str = "\
Jobs by filters and order, a page at a time.

Filters of different kinds all have to let a job through; of one kind, given several times or with commas,
one of them is enough. Without --order the order is that of the ids.";

const EXAMPLES: &str = "\
Examples:
  weighbridge jobs --status failed --order=-last_modified       what failed last
  weighbridge jobs --job-type resize --since 1h --count         what changed in the last hour, and how many
  weighbridge jobs --error-category system --status failed      failed without a fault of their own
  weighbridge jobs --recipe 7                                   the jobs of a recipe
  weighbridge jobs --status completed --order=-duration         the longest ones first

Columns to order by, the greatest first with a `-` before it:
  id, created, last_modified, queued, started, ended, duration, priority, status, job_type
What a job does not have (no start, no end) comes last. Up to four columns, as --order=status,-ended.";

#[derive(clap::Args)]
#[command(long_about = LONG, after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only those: pending, blocked, queued, running, failed, completed or canceled
    #[arg(long, value_parser = status, value_delimiter = ',')]
    status: Vec<JobStatus>,
    /// Only those of this type: an id, name:version, or all versions of a name
    #[arg(long, value_name = "TYPE")]
    job_type: Vec<String>,
    /// Only those in this recipe
    #[arg(long, value_name = "RECIPE", value_delimiter = ',')]
    recipe: Vec<RecipeId>,
    /// Only these: an id such as 7 or a range such as 1-10
    #[arg(long, value_name = "JOBS", value_parser = ids::ids, value_delimiter = ',')]
    id: Vec<Ids>,
    /// Only those that failed with this: exit-code, signal, timeout, not-started or lost
    #[arg(long, value_parser = error, value_delimiter = ',')]
    error: Vec<JobError>,
    /// Only those that failed by a fault of: system, algorithm or data
    #[arg(long, value_parser = category, value_delimiter = ',', value_name = "CATEGORY")]
    error_category: Vec<ErrorCategory>,
    /// Only those that changed since: an instant (2026-11-24T12:00:00Z), or a time before now (90s, 1h30m)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<String>,
    /// Only those that did not change later, written like --since
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<String>,
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

/// The one of `all` that is called `text`.
fn word<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|value| name(*value).eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|value| name(*value).to_lowercase()).collect();
        format!("{text:?} is none of {}", names.join(", "))
    })
}

fn status(text: &str) -> Result<JobStatus, String> {
    word(text, &JobStatus::ALL, JobStatus::as_str)
}

fn error(text: &str) -> Result<JobError, String> {
    word(text, &JobError::ALL, JobError::code)
}

fn category(text: &str) -> Result<ErrorCategory, String> {
    word(text, &ErrorCategory::ALL, ErrorCategory::as_str)
}

/// An instant as the daemon reads it: a time before now by its number of seconds.
fn instant(text: &str) -> Result<String, String> {
    if text.contains('T') || text.starts_with('P') {
        return Ok(text.to_owned());
    }
    let before = duration(text)
        .map_err(|_| format!("{text:?} is no time; write 2026-11-24T12:00:00Z, or 1h30m for so long ago"))?;
    Ok(format!("PT{}.{:03}S", before.as_secs(), before.subsec_millis()))
}

impl Args {
    fn path(&self) -> Result<String, Failure> {
        let mut pairs: Vec<(&str, String)> = vec![("limit", self.limit.to_string())];
        pairs.extend(self.after.iter().map(|after| ("after", after.to_string())));
        pairs.extend(self.status.iter().map(|status| ("status", status.to_string())));
        pairs.extend(self.job_type.iter().map(|text| ("job_type", text.clone())));
        pairs.extend(self.recipe.iter().map(|recipe| ("recipe_id", recipe.to_string())));
        let jobs = ids::all(&self.id)?;
        if !jobs.is_empty() {
            let jobs: Vec<String> = jobs.iter().map(ToString::to_string).collect();
            pairs.push(("job_id", jobs.join(",")));
        }
        pairs.extend(self.error.iter().map(|error| ("error_id", error.id().to_string())));
        pairs.extend(
            self.error_category.iter().map(|category| ("error_category", category.as_str().to_owned())),
        );
        pairs.extend(self.since.iter().map(|at| ("started", at.clone())));
        pairs.extend(self.until.iter().map(|at| ("ended", at.clone())));
        pairs.extend(self.order.iter().map(|order| ("order", order.clone())));
        if self.count {
            pairs.push(("count", "true".to_owned()));
        }
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
        Ok(format!("/api/v1/jobs?{}", pairs.join("&")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_now_are_told_in_seconds() {
        assert_eq!(instant("1h30m").as_deref(), Ok("PT5400.000S"));
        assert_eq!(instant("500ms").as_deref(), Ok("PT0.500S"));
        assert_eq!(instant("2026-11-24T12:00:00Z").as_deref(), Ok("2026-11-24T12:00:00Z"));
        assert_eq!(instant("P1D").as_deref(), Ok("P1D"));
        assert!(instant("yesterday").is_err());
    }

    #[test]
    fn words_are_read_in_any_case_and_told_where_they_are_none() {
        assert_eq!(status("Failed"), Ok(JobStatus::Failed));
        assert_eq!(error("not-started"), Ok(JobError::NotStarted));
        assert_eq!(category("SYSTEM"), Ok(ErrorCategory::System));
        let told = error("oops").expect_err("none");
        assert!(told.ends_with("exit-code, signal, timeout, not-started, lost"), "{told}");
    }
}
