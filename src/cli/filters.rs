//! Filters of jobs, as the commands that list, cancel and queue jobs again share them.

use super::duration::duration;
use super::failure::Failure;
use super::http::segment;
use super::selectors::{self, Ids};
use crate::model::{BatchId, ErrorCategory, JobStatus, RecipeId};

/// Which jobs.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub(super) struct FilterArgs {
    /// Only those: pending, blocked, queued, running, failed, completed or canceled
    #[arg(long, value_parser = status, value_delimiter = ',')]
    pub(super) status: Vec<JobStatus>,
    /// Only those of this type: an id, name:version, or all versions of a name
    #[arg(long, value_name = "TYPE")]
    pub(super) job_type: Vec<String>,
    /// Only those in this recipe
    #[arg(long, value_name = "RECIPE", value_delimiter = ',')]
    pub(super) recipe: Vec<RecipeId>,
    /// Only those in this batch
    #[arg(long, value_name = "BATCH", value_delimiter = ',')]
    pub(super) batch: Vec<BatchId>,
    /// Only these: an id such as 7 or a range such as 1-10
    #[arg(long, value_name = "JOBS", value_parser = selectors::ids, value_delimiter = ',')]
    pub(super) id: Vec<Ids>,
    /// Only those that failed with this: exit-code, signal, timeout, not-started, lost, or the name or id of an error of the catalog
    #[arg(long, value_delimiter = ',')]
    pub(super) error: Vec<String>,
    /// Only those that failed by a fault of: system, algorithm or data
    #[arg(long, value_parser = category, value_delimiter = ',', value_name = "CATEGORY")]
    pub(super) error_category: Vec<ErrorCategory>,
    /// Only those that changed since: an instant (2026-11-24T12:00:00Z), or a time before now (90s, 1h30m)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(super) since: Option<String>,
    /// Only those that did not change later, written like --since
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub(super) until: Option<String>,
}

/// The one of `all` that is called `text`.
pub(super) fn word<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().copied().find(|value| name(*value).eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|value| name(*value).to_lowercase()).collect();
        format!("{text:?} is none of {}", names.join(", "))
    })
}

fn status(text: &str) -> Result<JobStatus, String> {
    word(text, &JobStatus::ALL, JobStatus::as_str)
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
    /// True where they let every job through.
    pub(super) fn is_empty(&self) -> bool {
        let Self { status, job_type, recipe, batch, id, error, error_category, since, until } = self;
        status.is_empty()
            && job_type.is_empty()
            && recipe.is_empty()
            && batch.is_empty()
            && id.is_empty()
            && error.is_empty()
            && error_category.is_empty()
            && since.is_none()
            && until.is_none()
    }

    /// The same as parameters of an address.
    pub(super) fn pairs(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        pairs.extend(self.status.iter().map(|status| ("status", status.to_string())));
        pairs.extend(self.job_type.iter().map(|text| ("job_type", text.clone())));
        pairs.extend(self.recipe.iter().map(|recipe| ("recipe_id", recipe.to_string())));
        pairs.extend(self.batch.iter().map(|batch| ("batch_id", batch.to_string())));
        let jobs = selectors::all_ids(&self.id)?;
        if !jobs.is_empty() {
            let jobs: Vec<String> = jobs.iter().map(ToString::to_string).collect();
            pairs.push(("job_id", jobs.join(",")));
        }
        pairs.extend(self.error.iter().map(|error| ("error_id", error.clone())));
        let categories = self.error_category.iter();
        pairs.extend(categories.map(|category| ("error_category", category.as_str().to_owned())));
        pairs.extend(self.since.iter().map(|at| ("started", at.clone())));
        pairs.extend(self.until.iter().map(|at| ("ended", at.clone())));
        Ok(pairs)
    }
}

/// Parameters as the end of an address.
pub(super) fn query(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
    pairs.join("&")
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
        assert_eq!(category("SYSTEM"), Ok(ErrorCategory::System));
        let told = category("oops").expect_err("none");
        assert!(told.ends_with("system, algorithm, data"), "{told}");
    }

    #[test]
    fn filters_become_parameters_and_none_lets_all_through() {
        assert!(FilterArgs::default().is_empty());
        let filters = FilterArgs {
            status: vec![JobStatus::Failed],
            job_type: vec!["a b".to_owned()],
            id: vec![Ids { first: 1, last: 3 }],
            error: vec!["three".to_owned(), "6".to_owned()],
            ..FilterArgs::default()
        };
        assert!(!filters.is_empty());
        let expected = "status=FAILED&job_type=a%20b&job_id=1%2C2%2C3&error_id=three&error_id=6";
        assert_eq!(query(&filters.pairs().expect("few")), expected);
    }
}
