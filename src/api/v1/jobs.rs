//! Jobs: list, look at, explain, end, move forward.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::{ChangedView, limit, number, view};
use crate::api::body;
use crate::api::errors::{Problem, unsettled};
use crate::api::limits::{BODY_BYTES_MAX, JOBS_SCANNED_MAX};
use crate::api::query::Params;
use crate::api::state::{ApiState, Unsettled};
use crate::api::views::own::{Explanation, JobView};
use crate::engine::{Changed, Engine, JobsError};
use crate::limits::LIST_MAX;
use crate::model::{EventNumber, Job, JobId, JobStatus};

/// Jobs by id.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Jobs {
    jobs: Vec<JobView>,
    /// The `after` of what comes next; none at the end.
    next: Option<u64>,
}

fn read_statuses(params: &Params) -> Result<Vec<JobStatus>, Problem> {
    let read = |text: &str| {
        let known = JobStatus::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text));
        known.ok_or_else(|| {
            let words: Vec<&str> = JobStatus::ALL.iter().map(|status| status.as_str()).collect();
            Problem::parameter("status", format!("{text:?} is no status: {}", words.join(", ")))
        })
    };
    params.all("status").flat_map(|list| list.split(',')).map(read).collect()
}

/// Up to `limit` jobs after `after` in one of `statuses` (none: any), and the `after` of the next.
fn select(
    engine: &Engine,
    mut after: JobId,
    limit: usize,
    statuses: &[JobStatus],
) -> (Vec<Job>, Option<JobId>) {
    let mut found = Vec::new();
    let mut n_scanned = 0;
    loop {
        let page = engine.jobs(after, LIST_MAX);
        let is_last = page.len() < LIST_MAX;
        for job in page {
            after = job.id;
            n_scanned += 1;
            if statuses.is_empty() || statuses.contains(&job.status) {
                found.push(job);
            }
            if found.len() == limit {
                // There may be none after it; then the next page is empty.
                return (found, Some(after));
            }
        }
        if is_last {
            return (found, None);
        }
        if n_scanned >= JOBS_SCANNED_MAX {
            return (found, Some(after));
        }
    }
}

/// `GET jobs`.
pub(in crate::api) async fn list(State(api): State<ApiState>, params: Params) -> Result<Json<Jobs>, Problem> {
    let (limit, after) = (limit(&params)?, JobId(number(&params, "after")?.unwrap_or(0)));
    let statuses = read_statuses(&params)?;
    let mut view = view(&api, &params).await?;
    let (jobs, next) = api.ask(move |engine| select(engine, after, limit, &statuses)).await;
    if let Some(newest) = jobs.iter().map(|job| job.job_type).max() {
        view = api.view_with(newest).await;
    }
    let jobs = jobs.iter().map(|job| JobView::new(job, &view)).collect();
    Ok(Json(Jobs { jobs, next: next.map(|id| id.0) }))
}

fn read_id(text: &str) -> Result<JobId, Problem> {
    let wrong = |_| Problem::parameter("id", format!("a job's id is a whole number, not {text:?}"));
    text.parse().map_err(wrong)
}

fn no_such_job(id: JobId) -> Problem {
    Problem::no_such_job(format!("no job {id}"))
}

/// `GET jobs/{id}`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<JobView>, Problem> {
    let id = read_id(&id)?;
    view(&api, &params).await?;
    let job = api.ask(move |engine| engine.job(id)).await.ok_or_else(|| no_such_job(id))?;
    Ok(Json(JobView::new(&job, &*api.view_with(job.job_type).await)))
}

/// `GET jobs/{id}/explain`.
pub(in crate::api) async fn explain(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Explanation>, Problem> {
    let id = read_id(&id)?;
    let view = view(&api, &params).await?;
    let why = api.ask(move |engine| engine.why(id)).await.ok_or_else(|| no_such_job(id))?;
    Ok(Json(Explanation::new(&why, &view)))
}

fn refused(error: &JobsError) -> Problem {
    let text = error.to_string();
    match error {
        JobsError::Unknown(_) => Problem::no_such_job(format!("{text}; nothing was changed")),
        _ => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-jobs", "Too many jobs", text),
    }
}

fn changed(
    settled: Result<(Changed, EventNumber), Unsettled<JobsError>>,
) -> Result<Json<ChangedView>, Problem> {
    let (changed, position) = settled.map_err(|error| unsettled(error, refused))?;
    let Changed { n_changed, n_ignored } = changed;
    Ok(Json(ChangedView { n_changed, n_ignored, position: position.0 }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    job_ids: Vec<u64>,
}

fn ids(all: Vec<u64>) -> Vec<JobId> {
    all.into_iter().map(JobId).collect()
}

/// `POST jobs/cancel`: all or none. Jobs that ended well or were canceled are left alone.
pub(in crate::api) async fn cancel(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<impl Serialize>, Problem> {
    let body: CancelBody = body::json(&headers, body, BODY_BYTES_MAX).await?;
    changed(api.write(|engine| engine.cancel(ids(body.job_ids))).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriorityBody {
    job_ids: Vec<u64>,
    priority: i32,
}

/// `POST jobs/priority`: all or none. Jobs that have ended are left alone.
pub(in crate::api) async fn set_priority(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<impl Serialize>, Problem> {
    let body: PriorityBody = body::json(&headers, body, BODY_BYTES_MAX).await?;
    changed(api.write(|engine| engine.set_priority(ids(body.job_ids), body.priority)).await)
}
