//! Submissions: job types, jobs and recipes in one, under an id of the caller's making.

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;

use crate::api::body::{self, BodyError};
use crate::api::errors::{Problem, unsettled};
use crate::api::limits::{BODY_BYTES_MAX, SUBMISSION_BYTES_MAX};
use crate::api::state::ApiState;
use crate::api::v1::job_types;
use crate::api::views::own::JobTypeRef;
use crate::engine::SubmitError;
use crate::model::{Accepted, EventNumber, JobTypeId, Submission, SubmissionId};
use crate::workload::{Expanded, InvalidSubmission, SubmissionBody};

/// The header that names a submission, where its body does not.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a submission made. The job types are there on the first answer only.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Submitted {
    id: String,
    first_job: u64,
    n_jobs: u32,
    first_recipe: u64,
    n_recipes: u32,
    is_repeat: bool,
    job_types: Vec<JobTypeRef>,
    position: u64,
}

impl Submitted {
    /// The answer to a submission: 201, or 200 where it had been accepted before.
    pub(super) fn answer(
        id: &SubmissionId,
        accepted: Accepted,
        job_types: Vec<JobTypeRef>,
        position: EventNumber,
    ) -> (StatusCode, Json<Self>) {
        let submitted = Self {
            id: id.to_string(),
            first_job: accepted.first_job.0,
            n_jobs: accepted.n_jobs,
            first_recipe: accepted.first_recipe.0,
            n_recipes: accepted.n_recipes,
            is_repeat: accepted.is_repeat,
            job_types,
            position: position.0,
        };
        let status = if accepted.is_repeat { StatusCode::OK } else { StatusCode::CREATED };
        (status, Json(submitted))
    }
}

fn read(bytes: &Bytes, key: Option<String>) -> Result<(SubmissionId, Expanded), Problem> {
    let mut body: SubmissionBody =
        serde_json::from_slice(bytes).map_err(|error| Problem::body(error.to_string()))?;
    if let Some(key) = key {
        if !body.id.is_empty() && body.id != key {
            let detail = "the body has another id than the Idempotency-Key header; give one of them";
            return Err(Problem::body(detail).field("id"));
        }
        body.id = key;
    }
    body.validate().map_err(|InvalidSubmission { field, problem }| {
        let title = "The submission is not as it should be";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Problem::new(status, "invalid-submission", title, problem.to_string()).field(field)
    })
}

pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let wrong = |_| Problem::parameter("Idempotency-Key", "it must be printable ASCII");
    headers.get(IDEMPOTENCY_KEY).map(|key| key.to_str().map(str::to_owned).map_err(wrong)).transpose()
}

fn refused(error: &SubmitError) -> Problem {
    let text = error.to_string();
    match error {
        SubmitError::QueueFull | SubmitError::TooManyLanes => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "queue-full", "The queue is full", text).retry()
        }
        SubmitError::InactiveJobType(_) => {
            Problem::new(StatusCode::CONFLICT, "inactive-job-type", "The job type is inactive", text)
        }
        _ => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "submission-refused",
            "The submission is not accepted",
            text,
        ),
    }
}

/// Puts the job types on record, in order.
async fn put_job_types(api: &ApiState, expanded: &Expanded) -> Result<Vec<JobTypeId>, Problem> {
    let mut ids = Vec::with_capacity(expanded.job_types.len());
    for spec in &expanded.job_types {
        let settled = api.write(|engine| engine.put_job_type(spec.clone())).await;
        ids.push(settled.map_err(|error| unsettled(error, job_types::refused))?.0);
    }
    Ok(ids)
}

pub(super) async fn submit(
    api: &ApiState,
    submission: Submission,
) -> Result<(Accepted, EventNumber), Problem> {
    let settled = api.write(|engine| engine.submit(submission)).await;
    settled.map_err(|error| unsettled(error, refused))
}

/// The whole body. Long ones arrive few at a time.
pub(super) async fn arrived(api: &ApiState, headers: &HeaderMap, body: Body) -> Result<Bytes, BodyError> {
    let is_short = body.size_hint().upper().is_some_and(|len| len <= BODY_BYTES_MAX as u64);
    let _place = if is_short { None } else { Some(api.arriving().await) };
    body::bytes(headers, body, SUBMISSION_BYTES_MAX).await
}

/// `POST submissions`: all of its jobs or none. The same id again gives the first answer, with 200
/// in place of 201, and changes nothing, job types neither.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Submitted>), Problem> {
    let key = key_of(&headers)?;
    let bytes = arrived(&api, &headers, body).await?;
    let place = api.reading().await;
    // A large body takes a while, so it is read beside the runtime's threads.
    let (id, expanded) = api.ask(move |_| read(&bytes, key)).await?;
    let known = id.clone();
    let is_known = api.ask(move |engine| engine.knows_submission(&known)).await;
    let ids = if is_known { Vec::new() } else { put_job_types(&api, &expanded).await? };
    let submission =
        if is_known { Submission::new(id.clone()) } else { expanded.submission(id.clone(), &ids) };
    let (accepted, position) = submit(&api, submission).await?;
    drop(place);
    let job_type = |(id, spec): (&JobTypeId, &crate::model::JobTypeSpec)| JobTypeRef {
        id: id.0,
        name: spec.name.clone(),
        version: spec.version.clone(),
    };
    let job_types = ids.iter().zip(&expanded.job_types).map(job_type).collect();
    Ok(Submitted::answer(&id, accepted, job_types, position))
}
