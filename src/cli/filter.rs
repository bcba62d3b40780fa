//! Which jobs: the filters of every command that takes some.

use super::duration::duration;
use super::failure::Failure;
use super::ids::{self, Ids};
use crate::model::{BatchId, ErrorCategory, JobError, JobStatus, RecipeId};

/// Filters of different kinds all have to let a job through; of one kind, one is enough.
#[derive(clap::Args)]
pub(super) struct FilterArgs {
    /// Only those: pending, blocked, queued, running, failed, completed or canceled
    #[arg(long, value_parser = status, value_delimiter = ',')]
    status: Vec<JobStatus>,
    /// Only those of this type: an id, name:version, or all versions of a name
    #[arg(long, value_name = "TYPE")]
    job_type: Vec<String>,
    /// Only those in this recipe
    #[arg(long, value_name = "RECIPE", value_delimiter = ',')]
    recipe: Vec<RecipeId>,
    /// Only those in this batch
    #[arg(long, value_name = "BATCH", value_delimiter = ',')]
    batch: Vec<BatchId>,
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

impl FilterArgs {
    /// As the parameters of a list.
    pub(super) fn pairs(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        pairs.extend(self.status.iter().map(|status| ("status", status.to_string())));
        pairs.extend(self.job_type.iter().map(|text| ("job_type", text.clone())));
        pairs.extend(self.recipe.iter().map(|recipe| ("recipe_id", recipe.to_string())));
        pairs.extend(self.batch.iter().map(|batch| ("batch_id", batch.to_string())));
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
        Ok(pairs)
    }
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
