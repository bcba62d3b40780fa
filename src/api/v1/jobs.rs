//! Jobs: list, look at, explain, end, move forward.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::{ChangedView, limit, view};
use crate::api::body;
use crate::api::errors::{Problem, unsettled};
use crate::api::job_list;
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::query::Params;
use crate::api::state::{ApiState, Unsettled};
use crate::api::views::own::{Explanation, JobView};
use crate::engine::{Changed, JobRecord, JobsError, Requeued, View};
use crate::model::{EventNumber, JobCursor, JobCursorError, JobId, JobQuery, Timestamp};

/// A page of jobs.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Jobs {
    jobs: Vec<JobView>,
    /// The `after` of what comes next; none at the end.
    next: Option<Next>,
    /// How many there are in all, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Total>,
}

/// A cursor: the id of a job in the order of ids, else a text.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Next {
    Id(u64),
    Text(String),
}

#[derive(Debug, Serialize)]
struct Total {
    n: u64,
    is_exact: bool,
}

impl From<JobCursor> for Next {
    fn from(cursor: JobCursor) -> Self {
        let text = cursor.to_string();
        text.parse().map_or(Self::Text(text), Self::Id)
    }
}

fn read_query(params: &Params, view: &View, now: Timestamp) -> Result<JobQuery, Problem> {
    let mut query = JobQuery::new(limit(params)?)
        .filter(job_list::filter(params, view, now, false)?)
        .order(job_list::order(params, false)?.unwrap_or_default());
    // Zero is before the first job.
    if let Some(after) = params.last("after").filter(|after| *after != "0") {
        let after = after.parse().map_err(|error: JobCursorError| {
            Problem::parameter("after", format!("{error}; it is the `next` of a page, not {after:?}"))
        })?;
        query = query.after(after);
    }
    match params.last("count") {
        None | Some("false") => Ok(query),
        Some("true") => Ok(query.counted()),
        Some(_) => Err(Problem::parameter("count", "count must be true or false")),
    }
}

/// `GET jobs`.
pub(in crate::api) async fn list(State(api): State<ApiState>, params: Params) -> Result<Json<Jobs>, Problem> {
    let mut view = view(&api, &params).await?;
    let query = read_query(&params, &view, api.engine().now())?;
    let page = api.ask(move |engine| engine.list_jobs(&query)).await;
    let page = page.map_err(|error| job_list::refused(&error))?;
    if let Some(newest) = page.jobs.iter().map(|job| job.job_type).max() {
        view = api.view_with(newest).await;
    }
    Ok(Json(Jobs {
        jobs: page.jobs.iter().map(|job| JobView::new(job, &view)).collect(),
        next: page.next.map(Next::from),
        total: page.total.map(|total| Total { n: total.n, is_exact: total.is_exact }),
    }))
}

pub(super) fn read_id(text: &str) -> Result<JobId, Problem> {
    let wrong = |_| Problem::parameter("id", format!("a job's id is a whole number, not {text:?}"));
    text.parse().map_err(wrong)
}

async fn not_there(api: &ApiState, id: JobId) -> Problem {
    if api.ask(move |engine| engine.look_up(id)).await == JobRecord::Dropped {
        let detail = format!("job {id} is over, and was dropped by retention");
        return Problem::new(StatusCode::GONE, "job-dropped", "The job was dropped", detail);
    }
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
    let JobRecord::Job(job) = api.ask(move |engine| engine.look_up(id)).await else {
        return Err(not_there(&api, id).await);
    };
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
    let Some(why) = api.ask(move |engine| engine.why(id)).await else {
        return Err(not_there(&api, id).await);
    };
    Ok(Json(Explanation::new(&why, &view)))
}

fn refused(error: &JobsError) -> Problem {
    let text = error.to_string();
    match error {
        JobsError::Unknown(_) => Problem::no_such_job(format!("{text}; nothing was changed")),
        JobsError::Changing(_) => Problem::new(StatusCode::CONFLICT, "job-changing", "A job changes", text),
        JobsError::Unreadable { .. } => Problem::store_unreadable(text),
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

/// `POST jobs/release`: all or none. Of jobs that wait for a node a pause of their type is taken; others are
/// left alone.
pub(in crate::api) async fn release(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<impl Serialize>, Problem> {
    let body: CancelBody = body::json(&headers, body, BODY_BYTES_MAX).await?;
    changed(api.write(|engine| engine.let_through(ids(body.job_ids))).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequeueBody {
    job_ids: Vec<u64>,
    #[serde(default)]
    priority: Option<i32>,
}

/// Jobs that go to the queue again.
#[derive(Debug, Serialize)]
pub(in crate::api) struct RequeuedView {
    n_queued: u32,
    n_uncanceled: u32,
    n_ignored: u32,
    position: u64,
}

/// `POST jobs/requeue`: all or none. Jobs that are completed or superseded are left alone.
pub(in crate::api) async fn requeue(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<RequeuedView>, Problem> {
    let body: RequeueBody = body::json(&headers, body, BODY_BYTES_MAX).await?;
    let settled = api.write(|engine| engine.requeue(ids(body.job_ids), body.priority)).await;
    let (Requeued { n_queued, n_uncanceled, n_ignored }, position) =
        settled.map_err(|error| unsettled(error, refused))?;
    Ok(Json(RequeuedView { n_queued, n_uncanceled, n_ignored, position: position.0 }))
}
