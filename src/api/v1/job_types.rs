//! Job types: make, list, look at, hold back, limit.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{job_type, view};
use crate::api::body;
use crate::api::errors::{Problem, unsettled};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::views::own::{JobTypeRef, JobTypeStatus};
use crate::engine::JobTypeError;
use crate::workload::{InvalidSubmission, JobTypeBody};

/// Job types by id.
#[derive(Debug, Serialize)]
pub(in crate::api) struct JobTypes {
    position: u64,
    job_types: Vec<JobTypeStatus>,
}

/// `GET job-types`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<JobTypes>, Problem> {
    let view = view(&api, &params).await?;
    let job_types = view.types.iter().map(|kind| JobTypeStatus::new(kind, &view.catalog)).collect();
    Ok(Json(JobTypes { position: view.position.0, job_types }))
}

/// `GET job-types/{job_type}`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<JobTypeStatus>, Problem> {
    view(&api, &params).await?;
    let (id, view) = job_type(&api, &name).await?;
    let kind = view.job_type(id).ok_or_else(|| Problem::no_such_job_type(format!("no job type {id}")))?;
    Ok(Json(JobTypeStatus::new(kind, &view.catalog)))
}

/// What the engine says of a job type.
pub(super) fn refused(error: &JobTypeError) -> Problem {
    let text = error.to_string();
    match error {
        JobTypeError::Unknown(_) => Problem::no_such_job_type(text),
        _ => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "job-type-refused",
            "The job type is not accepted",
            text,
        ),
    }
}

/// A job type that is on record now.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Put {
    job_type: JobTypeRef,
    position: u64,
}

/// `POST job-types`: makes one, or changes the one of its name and version; that keeps whether it is paused,
/// its limit and its mode.
pub(in crate::api) async fn put(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Put>, Problem> {
    let body: JobTypeBody = body::json(&headers, body, BODY_BYTES_MAX).await?;
    let spec = body.validate().map_err(|InvalidSubmission { field, problem }| {
        let (status, title) = (StatusCode::UNPROCESSABLE_ENTITY, "The job type is not as it should be");
        Problem::new(status, "invalid-job-type", title, problem.to_string()).field(field)
    })?;
    let (name, version) = (spec.name.clone(), spec.version.clone());
    let view = api.newest_view().await;
    let known = view
        .types
        .iter()
        .find(|kind| kind.job_type.spec.name == name && kind.job_type.spec.version == version);
    if known.is_some_and(|kind| view.catalog.job_type(kind.job_type.id).is_some()) {
        let detail = format!("{name}:{version} was made from a manifest, and is changed by another one");
        let title = "The job type has a manifest";
        return Err(Problem::new(StatusCode::CONFLICT, "job-type-has-manifest", title, detail));
    }
    let settled = api.write(|engine| engine.put_job_type(spec)).await;
    let (id, position) = settled.map_err(|error| unsettled(error, refused))?;
    Ok(Json(Put { job_type: JobTypeRef { id: id.0, name, version }, position: position.0 }))
}

/// A job type is held back, or not.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Paused {
    job_type: JobTypeRef,
    is_paused: bool,
    position: u64,
}

async fn set_paused(api: &ApiState, name: &str, is_paused: bool) -> Result<Json<Paused>, Problem> {
    let (id, view) = job_type(api, name).await?;
    let settled = api.write(|engine| engine.pause(id, is_paused)).await;
    let ((), position) = settled.map_err(|error| unsettled(error, refused))?;
    Ok(Json(Paused { job_type: JobTypeRef::of(id, &view), is_paused, position: position.0 }))
}

/// `POST job-types/{job_type}/pause`.
pub(in crate::api) async fn pause(
    State(api): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<Paused>, Problem> {
    set_paused(&api, &name, true).await
}

/// `POST job-types/{job_type}/resume`.
pub(in crate::api) async fn resume(
    State(api): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<Paused>, Problem> {
    set_paused(&api, &name, false).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitBody {
    /// Must be there, also as `null`.
    max_scheduled: Value,
}

/// A job type has a limit, or none.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Limited {
    job_type: JobTypeRef,
    max_scheduled: Option<u32>,
    position: u64,
}

fn read_limit(value: &Value) -> Result<Option<u32>, Problem> {
    let limit = value.as_u64().and_then(|limit| u32::try_from(limit).ok()).filter(|&limit| limit > 0);
    if limit.is_none() && !value.is_null() {
        let detail = format!("max_scheduled is a whole number from 1 to {}, or null for no limit", u32::MAX);
        return Err(Problem::body(detail).field("max_scheduled"));
    }
    Ok(limit)
}

/// `PUT job-types/{job_type}/limit`.
pub(in crate::api) async fn limit(
    State(api): State<ApiState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Limited>, Problem> {
    let body: LimitBody = body::json(&headers, body, BODY_BYTES_MAX).await?;
    let max_scheduled = read_limit(&body.max_scheduled)?;
    let (id, view) = job_type(&api, &name).await?;
    let settled = api.write(|engine| engine.set_limit(id, max_scheduled)).await;
    let ((), position) = settled.map_err(|error| unsettled(error, refused))?;
    Ok(Json(Limited { job_type: JobTypeRef::of(id, &view), max_scheduled, position: position.0 }))
}
