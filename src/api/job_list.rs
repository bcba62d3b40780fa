//! Lists of jobs: what the parameters of an address ask for.
//!
//! Scale's names and ours are the same. What Scale would not find it answers with an empty list; our own
//! calls name it as a mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::errors::{Problem, ScaleError};
use super::query::Params;
use super::time;
use super::v1::find_job_types;
use crate::engine::View;
use crate::model::{
    BatchId, ErrorCategory, ErrorId, JobColumn, JobFilter, JobId, JobOrder, JobStatus, JobTypeId, RecipeId,
    Timestamp,
};
use crate::store::ListError;

/// What jobs can be ordered by; the first name of a column is ours.
const COLUMNS: [(JobColumn, &[&str]); 12] = [
    (JobColumn::Id, &["id"]),
    (JobColumn::Created, &["created"]),
    (JobColumn::Changed, &["last_modified", "last_status_change"]),
    (JobColumn::Queued, &["queued"]),
    (JobColumn::Started, &["started"]),
    (JobColumn::Ended, &["ended"]),
    (JobColumn::Duration, &["duration"]),
    (JobColumn::Priority, &["priority"]),
    (JobColumn::Status, &["status"]),
    (JobColumn::JobType, &["job_type", "job_type_id", "job_type__id", "job_type__name"]),
    (JobColumn::Batch, &["batch", "batch_id"]),
    (JobColumn::IsSuperseded, &["is_superseded"]),
];

/// Parameters by which no job can be found yet: no job has what they ask for.
const FOUND_IN_NONE: [&str; 6] = [
    "source_started",
    "source_ended",
    "source_sensor_class",
    "source_sensor",
    "source_collection",
    "source_task",
];

/// Names of errors that an answer tells where one is wrong.
const ERRORS_TOLD_MAX: usize = 20;

/// A parameter that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Time(&'static str),
    Integer(&'static str),
    Boolean(&'static str),
    Word {
        name: &'static str,
        text: String,
        known: String,
    },
    /// Of our own calls alone.
    JobType(Box<Problem>),
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Time(name) => {
                let hint = "an instant such as 2026-11-24T12:00:00Z, or a time before now such as PT1H30M";
                Self::parameter(name, format!("{name} takes {hint}"))
            }
            Wrong::Integer(name) => Self::parameter(name, format!("{name} must be a whole number")),
            Wrong::Boolean(name) => Self::parameter(name, format!("{name} must be true or false")),
            Wrong::Word { name, text, known } => {
                Self::parameter(name, format!("{text:?} is no {}: {known}", name.replace('_', " ")))
            }
            Wrong::JobType(problem) => *problem,
        }
    }
}

impl From<Wrong> for ScaleError {
    fn from(wrong: Wrong) -> Self {
        Self::Bad(match wrong {
            Wrong::Time(name) => format!("Invalid ISO timestamp format for parameter: {name}"),
            Wrong::Integer(name) => format!("Parameter must be a valid integer: \"{name}\""),
            Wrong::Boolean(name) => format!("Parameter must be a valid boolean: \"{name}\""),
            Wrong::Word { name, text, known } => format!("Unexpected value {text} for {name}: {known}"),
            Wrong::JobType(_) => "Parameter must be a job type: \"job_type\"".to_owned(),
        })
    }
}

fn instant(params: &Params, name: &'static str, now: Timestamp) -> Result<Option<Timestamp>, Wrong> {
    let text = params.last(name).filter(|text| !text.is_empty());
    text.map(|text| time::read(text, now).ok_or(Wrong::Time(name))).transpose()
}

/// Every value of `name`, where it was given. Ours may be lists with commas.
fn values<'p>(params: &'p Params, name: &'p str, has_commas: bool) -> Option<Vec<&'p str>> {
    let mut all: Vec<&str> = params.all(name).collect();
    if has_commas {
        all = all.into_iter().flat_map(|list| list.split(',')).collect();
    }
    (!all.is_empty()).then_some(all)
}

fn numbers(params: &Params, name: &'static str, has_commas: bool) -> Result<Option<Vec<i64>>, Wrong> {
    let read = |text: &str| text.trim().parse().map_err(|_| Wrong::Integer(name));
    values(params, name, has_commas).map(|all| all.into_iter().map(read).collect()).transpose()
}

/// Words that stand for something; those that stand for nothing are left out, or a mistake.
fn words<T: Copy>(
    params: &Params,
    name: &'static str,
    is_scale: bool,
    known: &[(String, T)],
) -> Result<Option<Vec<T>>, Wrong> {
    let Some(all) = values(params, name, !is_scale) else { return Ok(None) };
    let mut found = Vec::new();
    for text in all {
        match known
            .iter()
            .find(|(word, _)| if is_scale { word == text } else { word.eq_ignore_ascii_case(text) })
        {
            Some((_, value)) => found.push(*value),
            None if is_scale => {}
            None => {
                let known: Vec<&str> = known.iter().map(|(word, _)| word.as_str()).collect();
                return Err(Wrong::Word { name, text: text.to_owned(), known: known.join(", ") });
            }
        }
    }
    Ok(Some(found))
}

/// What both lists let through; one that is not there lets all through.
fn both<T: PartialEq>(one: Option<Vec<T>>, other: Option<Vec<T>>) -> Option<Vec<T>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|value| other.contains(value)).collect()),
        (one, other) => one.or(other),
    }
}

fn is_true(params: &Params, name: &'static str) -> Result<Option<bool>, Wrong> {
    let read = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err(Wrong::Boolean(name)),
    };
    params.last(name).map(read).transpose()
}

fn job_types(params: &Params, view: &View, is_scale: bool) -> Result<Option<Vec<JobTypeId>>, Wrong> {
    let ids = numbers(params, "job_type_id", !is_scale)?;
    let ids = ids.map(|ids| ids.into_iter().filter_map(|id| u32::try_from(id).ok()).map(JobTypeId).collect());
    let names = values(params, "job_type_name", false);
    let named = names.map(|names| {
        let types = view.types.iter().map(|kind| &kind.job_type);
        types.filter(|kind| names.contains(&kind.spec.name.as_str())).map(|kind| kind.id).collect()
    });
    let mut found = both(ids, named);
    if let Some(texts) = values(params, "job_type", false).filter(|_| !is_scale) {
        let mut own = Vec::new();
        for text in texts {
            own.extend(find_job_types(text, view).map_err(|problem| Wrong::JobType(Box::new(problem)))?);
        }
        found = both(found, Some(own));
    }
    Ok(found)
}

/// Errors by id, in our own calls also by name: several types may have one of it.
fn errors(params: &Params, view: &View, is_scale: bool) -> Result<Option<Vec<ErrorId>>, Wrong> {
    let small = |id: i64| u32::try_from(id).ok().map(ErrorId);
    if is_scale {
        let ids = numbers(params, "error_id", false)?;
        return Ok(ids.map(|all| all.into_iter().filter_map(small).collect()));
    }
    let Some(all) = values(params, "error_id", true) else { return Ok(None) };
    let mut found = Vec::new();
    for text in all.into_iter().map(str::trim) {
        if let Ok(id) = text.parse() {
            found.extend(small(id));
            continue;
        }
        let n_before = found.len();
        let named = view.errors().filter(|error| error.name.eq_ignore_ascii_case(text));
        found.extend(named.map(|error| error.id));
        if found.len() == n_before {
            let names = view.errors().map(|error| error.name.as_str());
            let known: Vec<&str> = names.take(ERRORS_TOLD_MAX).collect();
            return Err(Wrong::Word { name: "error_id", text: text.to_owned(), known: known.join(", ") });
        }
    }
    Ok(Some(found))
}

/// Which jobs are asked for.
pub(super) fn filter(
    params: &Params,
    view: &View,
    now: Timestamp,
    is_scale: bool,
) -> Result<JobFilter, Wrong> {
    let (started, ended) = (instant(params, "started", now)?, instant(params, "ended", now)?);
    let mut filter = JobFilter { started, ended, ..JobFilter::default() };
    let statuses = JobStatus::ALL.map(|status| (status.as_str().to_owned(), status));
    filter.statuses = words(params, "status", is_scale, &statuses)?;
    let ids = |ids: Vec<i64>| ids.into_iter().filter_map(|id| u64::try_from(id).ok());
    filter.jobs = numbers(params, "job_id", !is_scale)?.map(|all| ids(all).map(JobId).collect());
    filter.recipes = numbers(params, "recipe_id", !is_scale)?.map(|all| ids(all).map(RecipeId).collect());
    filter.job_types = job_types(params, view, is_scale)?;
    let errors = errors(params, view, is_scale)?;
    let categories = ErrorCategory::ALL.map(|category| (category.as_str().to_owned(), category));
    let categories = words(params, "error_category", is_scale, &categories)?;
    let of_categories = categories.map(|all| {
        view.errors()
            .filter(|error| all.iter().any(|c| c.as_str() == error.category))
            .map(|error| error.id)
            .collect()
    });
    filter.errors = both(errors, of_categories);
    filter.is_superseded = is_true(params, "is_superseded")?;
    filter.batches = numbers(params, "batch_id", !is_scale)?.map(|all| ids(all).map(BatchId).collect());
    // No job comes from a source.
    let is_nothing = FOUND_IN_NONE.iter().any(|name| params.last(name).is_some());
    if is_nothing {
        filter.jobs = Some(Vec::new());
    }
    Ok(filter)
}

/// The order that is asked for, where one is.
pub(super) fn order(params: &Params, is_scale: bool) -> Result<Option<Vec<JobOrder>>, Wrong> {
    let read = |text: &str| {
        let (is_descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let found = COLUMNS.iter().find(|(_, names)| names.contains(&name));
        let column = found.map(|(column, _)| match column {
            // Scale's database orders statuses as texts.
            JobColumn::Status if is_scale => JobColumn::StatusWord,
            column => *column,
        });
        column.map(|column| JobOrder { column, is_descending }).ok_or_else(|| {
            let known: Vec<&str> = COLUMNS.iter().map(|(_, names)| names[0]).collect();
            Wrong::Word { name: "order", text: text.to_owned(), known: known.join(", ") }
        })
    };
    let mut all = values(params, "order", !is_scale);
    // Scale orders by a duration or by job types alone.
    if is_scale
        && let Some(all) = &mut all
        && (all[0].ends_with("duration") || all[0].ends_with("job_type"))
    {
        all.truncate(1);
    }
    all.map(|all| all.into_iter().map(read).collect()).transpose()
}

/// Places of job types by their names, where jobs are to be ordered by those, as Scale does.
pub(super) fn ranks(params: &Params, view: &View) -> Option<Arc<[u32]>> {
    let is_by_name = |text: &str| ["job_type", "job_type__name"].contains(&text.trim_start_matches('-'));
    if !params.all("order").any(is_by_name) {
        return None;
    }
    let types = || view.types.iter().map(|kind| &kind.job_type);
    let names: BTreeSet<&str> = types().map(|kind| kind.spec.name.as_str()).collect();
    let places: BTreeMap<&str, u32> = names.into_iter().zip(0..).collect();
    let len =
        types().map(|kind| kind.id.0).max().and_then(|id| usize::try_from(id).ok()).map_or(0, |id| id + 1);
    let mut ranks = vec![u32::MAX; len];
    for kind in types() {
        if let (Ok(id), Some(place)) = (usize::try_from(kind.id.0), places.get(kind.spec.name.as_str())) {
            ranks[id] = *place;
        }
    }
    Some(ranks.into())
}

/// Why there is no list, as our own calls say it.
pub(super) fn refused(error: &ListError) -> Problem {
    use axum::http::StatusCode;
    let text = error.to_string();
    match error {
        ListError::TooBroad => {
            let title = "The list needs more reads than a page may take";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "list-too-broad", title, text)
        }
        ListError::Cursor => Problem::parameter("after", text),
        ListError::OrderTooLong => Problem::parameter("order", text),
        ListError::Changing => {
            let title = "The store is changing too fast";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", title, text).retry()
        }
        ListError::Store(_) => Problem::store_unreadable(text),
        _ => Problem::parameter("job_id", text),
    }
}

/// The same in Scale's shape.
pub(super) fn scale_refused(error: &ListError) -> ScaleError {
    match error {
        ListError::Changing | ListError::Store(_) => ScaleError::Unavailable(error.to_string()),
        _ => ScaleError::Bad(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Options};
    use crate::model::{JobError, JobTypeSpec};
    use std::time::Duration;

    fn view() -> Arc<View> {
        let engine = Engine::in_memory(Options::default());
        for (name, version) in [("wc", "1.0"), ("sum", "1.0"), ("sum", "2.0")] {
            let ticket = engine.put_job_type(JobTypeSpec::new(name, version)).expect("room");
            ticket.wait_durable(Duration::from_secs(5)).expect("a type");
        }
        engine.fresh_view(Duration::from_secs(5))
    }

    #[test]
    fn filters_are_read_with_the_names_of_scale() {
        let view = view();
        let now = Timestamp::from_secs(100);
        let read = |query: &str, is_scale| filter(&Params::of(query), &view, now, is_scale);
        let any = JobFilter::default;
        let both = |query: &str, expected: JobFilter| {
            assert_eq!(read(query, true), Ok(expected.clone()), "{query}");
            assert_eq!(read(query, false), Ok(expected), "{query}");
        };
        both("", any());
        both("is_superseded=false", any().superseded(false));
        both("is_superseded=True", any().superseded(true));
        both("batch_id=3", any().batches([BatchId(3)]));
        both("source_sensor=x", any().jobs([]));
        both("status=FAILED&status=QUEUED", any().statuses([JobStatus::Failed, JobStatus::Queued]));
        both(
            "started=PT1M&ended=PT30S",
            any().started(Timestamp::from_secs(40)).ended(Timestamp::from_secs(70)),
        );
        both("job_id=3&job_id=-1", any().jobs([JobId(3)]));
        both("job_type_name=sum", any().job_types([JobTypeId(2), JobTypeId(3)]));
        both("job_type_name=sum&job_type_id=3", any().job_types([JobTypeId(3)]));
        both("job_type_name=none", any().job_types([]));
        both("recipe_id=7", any().recipes([RecipeId(7)]));
        both("error_category=SYSTEM", any().errors([JobError::Timeout, JobError::Lost]));
        both("error_category=SYSTEM&error_id=3", any().errors([JobError::Timeout]));
        both("error_category=DATA", any().errors::<ErrorId>([]));
        both("error_id=99", any().errors([ErrorId(99)]));
        assert_eq!(read("status=Failed", true), Ok(any().statuses([])), "as Scale: none is of that name");
        assert_eq!(
            read("status=failed,queued", false),
            Ok(any().statuses([JobStatus::Failed, JobStatus::Queued]))
        );
        assert_eq!(read("job_id=1,2", false), Ok(any().jobs([JobId(1), JobId(2)])));
        assert_eq!(read("error_id=timeout,4", false), Ok(any().errors([ErrorId(3), ErrorId(4)])));
        assert_eq!(read("job_type=sum", false), Ok(any().job_types([JobTypeId(2), JobTypeId(3)])));
        assert_eq!(read("job_type=sum:1.0", false), Ok(any().job_types([JobTypeId(2)])));
        for (bad, part) in [
            ("status=done", "PENDING, BLOCKED"),
            ("error_category=x", "SYSTEM, ALGORITHM, DATA"),
            ("job_id=x", "whole number"),
            ("started=yesterday", "started takes an instant"),
            ("is_superseded=maybe", "true or false"),
            ("job_type=none", "no-such-job-type"),
            ("error_id=oops", "exit-code, signal, timeout, not-started, lost"),
        ] {
            let problem = Problem::from(read(bad, false).expect_err(bad));
            assert!(format!("{problem:?}").contains(part), "{bad}: {problem:?}");
        }
        assert_eq!(
            ScaleError::from(read("job_id=1,2", true).expect_err("no list")),
            ScaleError::Bad("Parameter must be a valid integer: \"job_id\"".to_owned())
        );
    }

    #[test]
    fn orders_are_columns_with_a_sign() {
        let read = |query: &str, is_scale| order(&Params::of(query), is_scale);
        assert_eq!(read("", true), Ok(None));
        let expected = [JobOrder::descending(JobColumn::Changed), JobOrder::by(JobColumn::Duration)];
        assert_eq!(read("order=-last_modified&order=duration", true), Ok(Some(expected.to_vec())));
        assert_eq!(read("order=-last_modified,duration", false), Ok(Some(expected.to_vec())));
        assert!(read("order=size", true).is_err() && read("order=--id", false).is_err());
        let wrong = ScaleError::from(read("order=x", true).expect_err("no column"));
        assert!(!format!("{wrong:?}").contains("status_word") && read("order=status_word", true).is_err());
        for column in JobColumn::ALL.into_iter().filter(|column| *column != JobColumn::StatusWord) {
            assert!(COLUMNS.iter().any(|(known, _)| *known == column), "{column:?}");
        }
    }
}
