//! Jobs of types that are there: queued by the name of their type, under an id of the caller's making.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::find_job_type;
use super::submissions::{Submitted, arrived, key_of, submit};
use crate::api::errors::{Problem, unsettled};
use crate::api::state::ApiState;
use crate::engine::{NewJob, QueueError, View};
use crate::model::{JobRequest, JobTypeId, NodeResources, Submission, SubmissionId};

/// Kinds of jobs in one call.
const REQUESTS_MAX: usize = 100_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobsBody {
    #[serde(default)]
    id: Option<String>,
    jobs: Vec<RequestBody>,
}

/// Jobs that are alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    /// An id, `name:version`, or a name that has one version.
    job_type: Value,
    #[serde(default = "one")]
    count: u32,
    #[serde(default)]
    priority: Option<i32>,
    #[serde(default)]
    resources: Option<NodeResources>,
    #[serde(default)]
    input: InputBody,
}

const fn one() -> u32 {
    1
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputBody {
    #[serde(default)]
    json: Map<String, Value>,
    #[serde(default)]
    files: Map<String, Value>,
}

fn invalid(field: String, detail: impl Into<String>) -> Problem {
    let title = "The jobs are not as they should be";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-jobs", title, detail).field(field)
}

fn refused(at: usize, error: &QueueError) -> Problem {
    let text = error.to_string();
    match error {
        QueueError::UnknownJobType(_) => Problem::no_such_job_type(text),
        QueueError::InactiveJobType(_) => {
            Problem::new(StatusCode::CONFLICT, "inactive-job-type", "The job type is inactive", text)
        }
        _ => invalid(format!("jobs[{at}].input"), text),
    }
}

/// What a submission holds of jobs that are alike; their input is held against their type.
async fn request(api: &ApiState, body: RequestBody, at: usize, view: &View) -> Result<JobRequest, Problem> {
    let job_type = job_type_of(&body, view)?;
    if body.count == 0 {
        return Err(invalid(format!("jobs[{at}].count"), "count is a whole number from 1 on"));
    }
    let (count, priority, resources) = (body.count, body.priority, body.resources.clone());
    let new = NewJob::new(job_type, json!({ "json": body.input.json, "files": body.input.files }));
    // Files are looked up in the store, beside the runtime's threads.
    let new = api.ask_ahead(move |engine| engine.with_files(new)).await;
    let settled = api.write(|engine| engine.job_request(new)).await;
    let (mut request, _) = settled.map_err(|error| unsettled(error, |error| refused(at, error)))?;
    request.count = count;
    request.priority = priority.or(request.priority);
    request.resources = resources.or(request.resources);
    Ok(request)
}

fn job_type_of(body: &RequestBody, view: &View) -> Result<JobTypeId, Problem> {
    match &body.job_type {
        Value::String(name) => find_job_type(name, view),
        other => find_job_type(&other.to_string(), view),
    }
}

fn id_of(key: Option<String>, body: Option<String>) -> Result<SubmissionId, Problem> {
    let id = key.or(body).unwrap_or_default();
    SubmissionId::new(&id).map_err(|error| Problem::body(error.to_string()).field("id"))
}

/// `POST jobs`: all of them or none. The same id again gives the first answer, with 200 in place of 201, and
/// queues nothing.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Submitted>), Problem> {
    let key = key_of(&headers)?;
    let bytes = arrived(&api, &headers, body).await?;
    let _place = api.reading().await;
    let body: JobsBody = serde_json::from_slice(&bytes).map_err(|error| Problem::body(error.to_string()))?;
    if body.jobs.len() > REQUESTS_MAX {
        let detail = format!("{} kinds of jobs, at most {REQUESTS_MAX} in one call", body.jobs.len());
        return Err(invalid("jobs".to_owned(), detail));
    }
    let id = id_of(key, body.id)?;
    let view = api.newest_view().await;
    let mut submission = Submission::new(id.clone());
    for (at, body) in body.jobs.into_iter().enumerate() {
        submission = submission.jobs(request(&api, body, at, &view).await?);
    }
    let (accepted, position) = submit(&api, submission).await?;
    Ok(Submitted::answer(&id, accepted, Vec::new(), position))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Options};
    use crate::model::JobTypeSpec;
    use std::time::Duration;

    #[test]
    fn requests_name_a_type_that_is_there_and_members_that_are_known() {
        let engine = Engine::in_memory(Options::default());
        let ticket = engine.put_job_type(JobTypeSpec::new("resize", "1.0")).expect("room");
        ticket.wait_durable(Duration::from_secs(5)).expect("a type");
        let view = engine.fresh_view(Duration::from_secs(5));
        let read = |text: &str| {
            let body = serde_json::from_str::<RequestBody>(text).map_err(|error| error.to_string())?;
            job_type_of(&body, &view).map_err(|problem| format!("{problem:?}"))
        };
        assert_eq!(
            read(r#"{"job_type": "resize", "input": {"json": {"n": 3}}, "count": 7}"#),
            Ok(JobTypeId(1))
        );
        assert_eq!(read(r#"{"job_type": 1, "priority": 0}"#), Ok(JobTypeId(1)));
        let check = |text: &str, part: &str| {
            let error = read(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        };
        check(r#"{"job_type": "none"}"#, "no-such-job-type");
        check(r#"{"job_type": "resize", "inputs": {}}"#, "unknown field");
        check(r#"{"job_type": "resize", "count": -1}"#, "u32");
        check(r#"{"count": 1}"#, "job_type");
        assert!(id_of(None, None).is_err() && id_of(None, Some("a".to_owned())).is_ok());
    }
}
