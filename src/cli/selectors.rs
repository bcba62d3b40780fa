//! Jobs as they are named on the command line: `7`, `1-10`, `1,4,7-9`, `last`, a job type.

use std::fmt;

use crate::limits::{COMMAND_JOBS_MAX, LIST_MAX};
use crate::model::{JobId, JobStatus};

use super::answer::{list, number, text};
use super::failure::{Exit, Failure};
use super::filters::query;
use super::http::{Client, segment};
use super::output::counted;

/// More jobs than that are changed only with `--yes`, where they were not named one by one.
pub(super) const ASKED_ABOVE: usize = 100;

/// The word for the newest job.
const LAST: &str = "last";

/// Jobs that have not ended.
pub(super) const UNFINISHED: [JobStatus; 4] =
    [JobStatus::Pending, JobStatus::Blocked, JobStatus::Queued, JobStatus::Running];

/// Some ids in a row, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What one argument names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    Ids(Vec<Ids>),
    Last,
    /// A job type by name, perhaps with a version.
    Type(String),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids(all) => {
                let ids = |ids: &Ids| match ids.last - ids.first {
                    0 => ids.first.to_string(),
                    _ => format!("{}-{}", ids.first, ids.last),
                };
                f.write_str(&all.iter().map(ids).collect::<Vec<_>>().join(","))
            }
            Self::Last => f.write_str(LAST),
            Self::Type(name) => f.write_str(name),
        }
    }
}

fn bad(text: &str) -> String {
    format!("{text:?} names no jobs; write an id such as 7, a range such as 1-10, `last` or a job type")
}

/// Reads one id or range.
pub(super) fn ids(text: &str) -> Result<Ids, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let id = |part: &str| part.parse::<u64>().ok().filter(|&id| id > 0).ok_or_else(|| bad(text));
    let ids = Ids { first: id(first)?, last: id(last)? };
    if ids.first <= ids.last { Ok(ids) } else { Err(bad(text)) }
}

/// Reads one argument. What is made of digits, commas and dashes alone names ids.
pub(super) fn selector(text: &str) -> Result<Selector, String> {
    let is_ids = text.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'-');
    match text {
        LAST => Ok(Selector::Last),
        _ if is_ids => text.split(',').map(ids).collect::<Result<_, _>>().map(Selector::Ids),
        _ if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Selector::Type(text.to_owned())),
        _ => Err(bad(text)),
    }
}

/// All the ids of some ranges, in order, with repeats.
pub(super) fn all_ids<'i>(ranges: impl IntoIterator<Item = &'i Ids> + Clone) -> Result<Vec<JobId>, Failure> {
    let length = |ids: &Ids| (ids.last - ids.first).saturating_add(1);
    let n = ranges.clone().into_iter().fold(0_u64, |sum, ids| sum.saturating_add(length(ids)));
    if n > COMMAND_JOBS_MAX as u64 {
        return Err(too_many(&counted(n, "job")));
    }
    Ok(ranges.into_iter().flat_map(|ids| ids.first..=ids.last).map(JobId).collect())
}

fn too_many(n: &str) -> Failure {
    Failure::usage(format_args!("{n} in one command, at most {COMMAND_JOBS_MAX} go in one"))
        .help("name fewer of them at a time, or give filters such as --job-type and --status instead")
}

/// The newest job.
pub(super) fn newest(client: &Client) -> Result<JobId, Failure> {
    let answer = client.get("/api/v1/jobs?order=-id&limit=1")?;
    let id = list(&answer, "/jobs").first().map(|job| number(job, "/id"));
    id.map(JobId).ok_or_else(|| {
        Failure::new(Exit::NotFound, "no-such-job", "there is no last job: none was queued yet")
            .help("queue one with `weighbridge submit`")
    })
}

/// Jobs that a daemon has of what `selectors` name, in order, each once.
pub(super) struct Selected {
    pub(super) jobs: Vec<JobId>,
    /// Of them, those that nobody named one by one.
    pub(super) n_by_type: usize,
}

impl Selected {
    /// Asks the daemon what has to be asked. Of a type all jobs count that are in one of `states`.
    pub(super) fn of(client: &Client, selectors: &[Selector], states: &[JobStatus]) -> Result<Self, Failure> {
        let selected = Self::perhaps_none(client, selectors, states)?;
        if selected.jobs.is_empty() { Err(nothing(selectors, states)) } else { Ok(selected) }
    }

    /// The same where a type may have no such job.
    pub(super) fn perhaps_none(
        client: &Client,
        selectors: &[Selector],
        states: &[JobStatus],
    ) -> Result<Self, Failure> {
        let (mut jobs, mut n_by_type) = (Vec::new(), 0);
        for selector in selectors {
            match selector {
                Selector::Ids(ids) => jobs.extend(all_ids(ids)?),
                Selector::Last => jobs.push(newest(client)?),
                Selector::Type(name) => {
                    let found = jobs_of(client, name, states)?;
                    n_by_type += found.len();
                    jobs.extend(found);
                }
            }
            if jobs.len() > COMMAND_JOBS_MAX {
                return Err(too_many(&format!("more than {COMMAND_JOBS_MAX} jobs")));
            }
        }
        let mut seen = std::collections::HashSet::new();
        jobs.retain(|job| seen.insert(*job));
        Ok(Self { jobs, n_by_type })
    }

    /// Refuses to touch many jobs that were not named one by one, unless that is what is wanted.
    pub(super) fn confirm(&self, would: impl FnOnce(&str) -> String, is_meant: bool) -> Result<(), Failure> {
        let n = self.n_by_type as u64;
        confirm(n, &would(&counted(n, "job")), is_meant)
    }
}

/// The same for any number; `would` says what would happen.
pub(super) fn confirm(n: u64, would: &str, is_meant: bool) -> Result<(), Failure> {
    if is_meant || n <= ASKED_ABOVE as u64 {
        return Ok(());
    }
    Err(Failure::usage(format_args!("this would {would}")).help(format_args!(
        "add --yes if you mean all of them; more than {ASKED_ABOVE} are not touched without it"
    )))
}

fn nothing(selectors: &[Selector], states: &[JobStatus]) -> Failure {
    let names: Vec<String> = selectors.iter().map(ToString::to_string).collect();
    let states: Vec<String> = states.iter().map(|state| state.to_string().to_lowercase()).collect();
    let message = format!("{} has no job that is {}", names.join(", "), states.join(" or "));
    let help = format!("`weighbridge jobs --job-type {}` lists all it has", names.first().map_or("", |n| n));
    Failure::new(Exit::NotFound, "no-such-job", message).help(help)
}

/// Jobs of a type in some states, by id.
fn jobs_of(client: &Client, name: &str, states: &[JobStatus]) -> Result<Vec<JobId>, Failure> {
    let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    let pairs = [("job_type", name.to_owned()), ("status", states.join(","))];
    all_of(client, &pairs).map_err(|failure| unknown_type(failure, name))
}

/// Jobs that parameters of a list let through, by id; no more than go in one command.
pub(super) fn all_of(client: &Client, pairs: &[(&str, String)]) -> Result<Vec<JobId>, Failure> {
    let filter = query(pairs);
    let mut jobs = Vec::new();
    let mut after = "0".to_owned();
    loop {
        let page =
            client.get(&format!("/api/v1/jobs?{filter}&limit={LIST_MAX}&after={}", segment(&after)))?;
        jobs.extend(list(&page, "/jobs").iter().map(|job| JobId(number(job, "/id"))));
        if jobs.len() > COMMAND_JOBS_MAX {
            return Err(too_many(&format!("more than {COMMAND_JOBS_MAX} jobs")));
        }
        match page.pointer("/next") {
            Some(next) if !next.is_null() => after = text(&page, "/next"),
            _ => return Ok(jobs),
        }
    }
}

fn unknown_type(failure: Failure, name: &str) -> Failure {
    if failure.exit != Exit::NotFound {
        return failure;
    }
    let message = format!("{name:?} is neither a job type nor a job");
    Failure::new(Exit::NotFound, &failure.code, message)
        .help("`weighbridge job-type list` shows the types; jobs are named as 7, 1-10, 1,4,7-9 or `last`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_ranges_are_read() {
        let read = |text: &str| ids(text).map(|ids| (ids.first, ids.last));
        assert_eq!(read("7"), Ok((7, 7)));
        assert_eq!(read("1-10"), Ok((1, 10)));
        for bad in ["", "0", "x", "3-1", "1-", "-1", "1-2-3", "99999999999999999999"] {
            assert!(ids(bad).is_err(), "{bad}");
        }
        let list = all_ids(&[Ids { first: 2, last: 4 }, Ids { first: 9, last: 9 }]).expect("few");
        assert_eq!(list, [2, 3, 4, 9].map(JobId));
        assert!(all_ids(&[Ids { first: 1, last: u64::MAX }]).is_err(), "bounded before they are listed");
    }

    #[test]
    fn selectors_are_ids_the_last_or_a_type_and_read_back() {
        for text in ["7", "1-10", "1,4,7-9", "last", "resize", "resize:1.0", "2fast", "a-b"] {
            assert_eq!(selector(text).map(|selector| selector.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(selector("2fast"), Ok(Selector::Type("2fast".to_owned())));
        for bad in ["", "3-1", "1,", ",", "0", "1--2", "a b", "a\n"] {
            let told = selector(bad).expect_err(bad);
            assert!(told.contains("names no jobs; write an id"), "{told}");
        }
    }

    #[test]
    fn many_jobs_are_touched_only_where_that_is_meant() {
        assert_eq!(confirm(ASKED_ABOVE as u64, "cancel 100 jobs", false), Ok(()));
        assert_eq!(confirm(5_000, "cancel 5000 jobs", true), Ok(()));
        let told = confirm(5_000, "cancel 5000 jobs", false).expect_err("many").to_string();
        assert!(told.contains("this would cancel 5000 jobs") && told.contains("--yes"), "{told}");
    }
}
