//! Our own calls, under `/api/v1/`.
//!
//! Reads take `min_position`, a position of the log as writes answer it, and wait up to a second
//! for it; a read after a write of the same server sees that write without it. Lists are bounded
//! and say where to go on (`next`).

pub(super) mod bulk;
pub(super) mod datasets;
pub(super) mod files;
pub(super) mod job_types;
pub(super) mod jobs;
pub(super) mod journal;
pub(super) mod load;
pub(super) mod logs;
pub(super) mod messages;
pub(super) mod new_jobs;
pub(super) mod nodes;
pub(super) mod queue;
pub(super) mod status;
pub(super) mod submissions;

use std::sync::Arc;

use axum::http::StatusCode;
use serde::Serialize;

use super::errors::Problem;
use super::limits::LIST_LEN;
use super::query::Params;
use super::state::ApiState;
use crate::engine::View;
use crate::limits::LIST_MAX;
use crate::model::{EventNumber, JobTypeId};

/// A view that shows what the caller wants to see at least.
async fn view(api: &ApiState, params: &Params) -> Result<Arc<View>, Problem> {
    let Some(wanted) = number(params, "min_position")? else { return Ok(api.view().await) };
    api.view_at(EventNumber(wanted)).await.map_err(|late| {
        let detail = format!("the view is at position {}, not yet at {}", late.reached, late.wanted);
        let title = "Position not reached";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "position-not-reached", title, detail).retry()
    })
}

/// A whole number, where it is given.
fn number(params: &Params, name: &str) -> Result<Option<u64>, Problem> {
    let wrong = |text: &str| Problem::parameter(name, format!("{name} must be a whole number, not {text:?}"));
    params.last(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

/// How many rows are asked for, at least one and at most `max`.
fn limit_of(params: &Params, default: usize, max: usize) -> Result<usize, Problem> {
    let limit = number(params, "limit")?.map(|limit| usize::try_from(limit).unwrap_or(max));
    Ok(limit.unwrap_or(default).clamp(1, max))
}

/// The same for ordinary lists.
fn limit(params: &Params) -> Result<usize, Problem> {
    limit_of(params, LIST_LEN, LIST_MAX)
}

/// The job type that `text` means: an id, `name:version`, or a name that has one version.
fn find_job_type(text: &str, view: &View) -> Result<JobTypeId, Problem> {
    let by_id = text.parse().ok().filter(|id| view.job_type(*id).is_some());
    if let Some(id) = by_id {
        return Ok(id);
    }
    let types = || view.types.iter().map(|kind| &kind.job_type);
    // A name may hold a colon, so every place of it is tried.
    let is_full = |name: &str, version: &str| text == format!("{name}:{version}");
    if let Some(kind) = types().find(|kind| is_full(&kind.spec.name, &kind.spec.version)) {
        return Ok(kind.id);
    }
    let named: Vec<_> = types().filter(|kind| kind.spec.name == text).collect();
    match named.as_slice() {
        [kind] => Ok(kind.id),
        [] => Err(Problem::no_such_job_type(format!(
            "no job type {text:?}; it takes an id, name:version, or a name that has one version"
        ))),
        many => {
            let versions: Vec<&str> = many.iter().take(10).map(|kind| kind.spec.version.as_str()).collect();
            let detail = format!(
                "{text:?} has {} versions ({}); say {text}:VERSION or give the id",
                many.len(),
                versions.join(", ")
            );
            let title = "Several job types of that name";
            Err(Problem::new(StatusCode::CONFLICT, "ambiguous-job-type", title, detail))
        }
    }
}

/// The job types that `text` means for a list: an id, `name:version`, or all versions of a name.
pub(super) fn find_job_types(text: &str, view: &View) -> Result<Vec<JobTypeId>, Problem> {
    let named = view.types.iter().map(|kind| &kind.job_type).filter(|kind| kind.spec.name == text);
    let named: Vec<JobTypeId> = named.map(|kind| kind.id).collect();
    if text.parse::<JobTypeId>().is_err() && !named.is_empty() {
        return Ok(named);
    }
    find_job_type(text, view).map(|id| vec![id])
}

/// The same among all types there are at this moment, so that no write goes by an old name.
async fn job_type(api: &ApiState, text: &str) -> Result<(JobTypeId, Arc<View>), Problem> {
    let view = api.newest_view().await;
    Ok((find_job_type(text, &view)?, view))
}

/// The answer to a command that names jobs.
#[derive(Clone, Copy, Debug, Serialize)]
struct ChangedView {
    n_changed: u32,
    n_ignored: u32,
    position: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Options};
    use crate::model::JobTypeSpec;
    use std::time::Duration;

    #[test]
    fn job_types_are_found_by_id_by_name_and_by_both() {
        let engine = Engine::in_memory(Options::default());
        for (name, version) in [("wc", "1.0"), ("sum", "1.0"), ("sum", "2:0"), ("a:b", "1"), ("7", "1")] {
            let ticket = engine.put_job_type(JobTypeSpec::new(name, version)).expect("room");
            ticket.wait_durable(Duration::from_secs(5)).expect("a type");
        }
        let view = engine.fresh_view(Duration::from_secs(5));
        let check = |text: &str, expected: Result<u32, &str>| match (find_job_type(text, &view), expected) {
            (Ok(id), Ok(expected)) => assert_eq!(id.0, expected, "{text}"),
            (Err(problem), Err(part)) => {
                assert!(format!("{problem:?}").contains(part), "{text}: {problem:?}");
            }
            (found, _) => panic!("{text}: {found:?}"),
        };
        check("1", Ok(1));
        check("wc", Ok(1));
        check("wc:1.0", Ok(1));
        check("sum:2:0", Ok(3));
        check("a:b", Ok(4));
        check("a:b:1", Ok(4));
        check("7", Ok(5));
        check("sum", Err("2 versions (1.0, 2:0)"));
        check("9", Err("no-such-job-type"));
        check("", Err("no-such-job-type"));
        check("wc:2.0", Err("no-such-job-type"));
    }

    #[test]
    fn limits_are_bounded() {
        let check = |query: &str, expected: Option<usize>| {
            assert_eq!(limit(&Params::of(query)).ok(), expected, "{query}");
        };
        check("", Some(LIST_LEN));
        check("limit=7", Some(7));
        check("limit=0", Some(1));
        check("limit=99999999", Some(LIST_MAX));
        check("limit=-1", None);
        check("limit=x", None);
    }
}
