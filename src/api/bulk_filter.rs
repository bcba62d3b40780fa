//! Which jobs a body means that queues many again, or cancels them.
//!
//! F1  A member that is absent is no condition; an empty list is one that nothing meets.
//! F2  A word or id that stands for nothing is met by nothing, but a job type that is named must be there.

use serde_json::Value;

use super::errors::ScaleError;
use super::members::{self, Members, ReadError};
use crate::engine::View;
use crate::model::{BatchId, ErrorId, JobFilter, JobId, JobStatus, JobTypeId, RecipeId, Timestamp};

/// Ids of a list.
fn ids<T>(
    members: &Members,
    name: &'static str,
    id: impl Fn(u64) -> Option<T>,
) -> Result<Option<Vec<T>>, ReadError> {
    Ok(members::ids(members, name)?.map(|all| all.into_iter().filter_map(id).collect()))
}

fn small(id: u64) -> Option<u32> {
    u32::try_from(id).ok()
}

/// What both lists let through; one that is not there lets all through.
fn both<T: PartialEq>(one: Option<Vec<T>>, other: Option<Vec<T>>) -> Option<Vec<T>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.into_iter().filter(|value| other.contains(value)).collect()),
        (one, other) => one.or(other),
    }
}

/// Job types by id, and by name and version: one of them is enough. Those of names must be it besides.
fn job_types(members: &Members, view: &View) -> Result<Option<Vec<JobTypeId>>, ScaleError> {
    let types = || view.types.iter().map(|kind| &kind.job_type);
    let mut found = ids(members, "job_type_ids", |id| small(id).map(JobTypeId))?;
    if let Some(all) = members::dictionaries(members, "job_types")? {
        let found = found.get_or_insert_default();
        for named in &all {
            let (Some(name), Some(version)) = (named.get("name"), named.get("version")) else {
                let given = Value::Array(all.iter().map(|&named| Value::Object(named.clone())).collect());
                return Err(ScaleError::Bad(format!(
                    "Job types argument invalid: {}",
                    members::written(&given)
                )));
            };
            let (name, version) = (members::written(name), members::written(version));
            let known = types().find(|kind| kind.spec.name == name && kind.spec.version == version);
            let unknown = || format!("Job Type with name: {name} and version: {version} does not exist");
            found.push(known.ok_or_else(|| ScaleError::Bad(unknown()))?.id);
        }
    }
    let of_names = members::words(members, "job_type_names")
        .map(|names| types().filter(|kind| names.contains(&kind.spec.name)).map(|kind| kind.id).collect());
    Ok(both(found, of_names))
}

fn errors(members: &Members, view: &View) -> Result<Option<Vec<ErrorId>>, ReadError> {
    let by_id = ids(members, "error_ids", |id| small(id).map(ErrorId))?;
    let of_categories = members::words(members, "error_categories").map(|all| {
        let errors = view.errors().filter(|error| all.contains(&error.category));
        errors.map(|error| error.id).collect()
    });
    Ok(both(by_id, of_categories))
}

/// True or false, also as 1 or 0.
fn flag(members: &Members, name: &'static str) -> Result<Option<bool>, ReadError> {
    match members.get(name).and_then(Value::as_i64) {
        Some(number @ (0 | 1)) => Ok(Some(number == 1)),
        _ => members::boolean(members, name),
    }
}

/// The filter of a body.
pub(super) fn read_filter(members: &Members, view: &View, now: Timestamp) -> Result<JobFilter, ScaleError> {
    let (started, ended) =
        (members::instant(members, "started", now)?, members::instant(members, "ended", now)?);
    let mut filter = JobFilter { started, ended, ..JobFilter::default() };
    members::check_range(filter.started, filter.ended, None)?;
    filter.errors = errors(members, view)?;
    filter.jobs = ids(members, "job_ids", |id| Some(JobId(id)))?;
    let status = |word: &String| JobStatus::ALL.into_iter().find(|status| status.as_str() == word);
    filter.statuses = members::words(members, "status").map(|all| all.iter().filter_map(status).collect());
    filter.batches = ids(members, "batch_ids", |id| Some(BatchId(id)))?;
    filter.recipes = ids(members, "recipe_ids", |id| Some(RecipeId(id)))?;
    filter.is_superseded = flag(members, "is_superseded")?;
    filter.job_types = job_types(members, view)?;
    Ok(filter)
}

/// The priority that jobs have in the queue for this time: any whole number, zero too.
pub(super) fn priority(members: &Members) -> Result<Option<i32>, ReadError> {
    let number = members::integer(members, "priority")?;
    number.map(|number| i32::try_from(number).map_err(|_| ReadError::Integer("priority"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Options};
    use crate::model::JobTypeSpec;
    use serde_json::json;
    use std::time::Duration;

    fn view() -> std::sync::Arc<View> {
        let engine = Engine::in_memory(Options::default());
        for (name, version) in [("wc", "1.0"), ("sum", "1.0"), ("sum", "2.0")] {
            let ticket = engine.put_job_type(JobTypeSpec::new(name, version)).expect("room");
            ticket.wait_durable(Duration::from_secs(5)).expect("a type");
        }
        engine.fresh_view(Duration::from_secs(5))
    }

    fn members(body: Value) -> Members {
        match body {
            Value::Object(members) => members,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn bodies_are_read_as_filters() {
        let view = view();
        let now = Timestamp::from_secs(100);
        let check = |body: Value, expected: JobFilter| {
            let read = read_filter(&members(body.clone()), &view, now);
            assert_eq!(read, Ok(expected), "{body}");
        };
        let any = JobFilter::default;
        check(json!({}), any());
        check(json!({"unknown": 1, "priority": 3, "job_ids": null}), any());
        check(json!({"job_ids": []}), any().jobs([]));
        check(json!({"job_ids": [3, "4", -1]}), any().jobs([JobId(3), JobId(4)]));
        check(json!({"status": "FAILED"}), any().statuses([JobStatus::Failed]));
        check(json!({"status": ["FAILED", "x"]}), any().statuses([JobStatus::Failed]));
        check(json!({"job_type_ids": [1, 9]}), any().job_types([JobTypeId(1), JobTypeId(9)]));
        check(json!({"job_types": []}), any().job_types([]));
        let sum = json!([{"name": "sum", "version": "2.0"}]);
        check(json!({"job_types": sum, "job_type_ids": [1]}), any().job_types([JobTypeId(1), JobTypeId(3)]));
        check(json!({"job_type_names": ["sum"]}), any().job_types([JobTypeId(2), JobTypeId(3)]));
        check(json!({"job_type_names": ["sum"], "job_type_ids": [3]}), any().job_types([JobTypeId(3)]));
        check(json!({"batch_ids": [1], "recipe_ids": 2}), any().batches([BatchId(1)]).recipes([RecipeId(2)]));
        check(json!({"is_superseded": false}), any().superseded(false));
        check(json!({"is_superseded": 1}), any().superseded(true));
        check(json!({"status": 5, "job_type_names": [7]}), any().statuses([]).job_types([]));
        check(json!({"error_ids": [7]}), any().errors([ErrorId(7)]));
        check(json!({"error_categories": ["DATA"]}), any().errors::<ErrorId>([]));
        let times = any().started(Timestamp::from_secs(40)).ended(Timestamp::from_secs(70));
        check(json!({"started": "PT1M", "ended": "PT30S"}), times);
    }

    #[test]
    fn what_is_not_as_it_should_be_is_named() {
        let view = view();
        let refused = |body: Value, text: &str| {
            let read = read_filter(&members(body.clone()), &view, Timestamp::from_secs(100));
            assert_eq!(read, Err(ScaleError::Bad(text.to_owned())), "{body}");
        };
        refused(json!({"job_ids": ["x"]}), "Parameter must be a valid integer: \"job_ids\"");
        refused(json!({"started": "x"}), "Invalid ISO timestamp format for parameter: started");
        refused(json!({"started": "PT1M", "ended": "PT2M"}), "Start time must come before end time");
        refused(
            json!({"job_types": [{"name": "no", "version": "1"}]}),
            "Job Type with name: no and version: 1 does not exist",
        );
        refused(json!({"job_types": {"name": "sum"}}), "Job types argument invalid: [{u'name': u'sum'}]");
        refused(json!({"job_types": ["sum"]}), "Parameter must be a valid JSON object: \"job_types\"");
        refused(json!({"is_superseded": 2}), "Parameter must be a valid boolean: \"is_superseded\"");
        let check = |value: Value, expected: Option<Option<i32>>| {
            let read = priority(&members(json!({"priority": value})));
            assert_eq!(read, expected.ok_or(ReadError::Integer("priority")), "{value}");
        };
        for (number, expected) in [(0, 0), (-7, -7), (i64::from(i32::MAX), i32::MAX)] {
            check(json!(number), Some(Some(expected)));
        }
        check(json!(null), Some(None));
        for bad in [json!(1_i64 << 31), json!(2.5), json!("x"), json!([])] {
            check(bad, None);
        }
    }
}
