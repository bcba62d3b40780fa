//! Jobs: queue one, look at one.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::api::body;
use crate::api::errors::{ScaleError, scale_unsettled};
use crate::api::job_list::{self, scale_refused};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::members::{self, ReadError};
use crate::api::paging::{Envelope, enveloped, window};
use crate::api::query::{Address, Params, path_id};
use crate::api::state::ApiState;
use crate::api::views::scale::{JobDetails, job_details, to_text};
use crate::engine::SubmitError;
use crate::model::{Job, JobColumn, JobId, JobOrder, JobPage, JobQuery, JobRequest, JobTypeId, Submission};

/// Members of a job's configuration.
const CONFIGURATION: [&str; 5] = ["version", "mounts", "output_workspaces", "priority", "settings"];

/// What a body asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    job_type: JobTypeId,
    input: Map<String, Value>,
    configuration: Map<String, Value>,
}

fn read_body(bytes: &Bytes) -> Result<Asked, ScaleError> {
    let members = members::object(bytes)?;
    let id = members::required(members::integer(&members, "job_type_id")?, "job_type_id")?;
    let object = |name| Ok::<_, ReadError>(members::dictionary(&members, name)?.cloned().unwrap_or_default());
    let (input, configuration) = (object("input")?, object("configuration")?);
    // A number that no id can be is an id that is not there.
    let job_type = u32::try_from(id).map(JobTypeId).map_err(|_| ScaleError::NotFound)?;
    Ok(Asked { job_type, input, configuration })
}

fn read_priority(configuration: &Map<String, Value>) -> Result<Option<i32>, ScaleError> {
    let invalid = |text: String| {
        ScaleError::Bad(format!("Job type configuration invalid: Invalid configuration: {text}"))
    };
    if let Some(name) = configuration.keys().find(|name| !CONFIGURATION.contains(&name.as_str())) {
        return Err(invalid(format!("'{name}' was unexpected")));
    }
    let Some(value) = configuration.get("priority") else { return Ok(None) };
    let number = value.as_i64().ok_or_else(|| invalid(format!("{value} is not of type 'integer'")))?;
    if number < 1 {
        return Err(invalid(format!("{number} is less than the minimum of 1")));
    }
    i32::try_from(number).map(Some).map_err(|_| invalid(format!("{number} is more than {}", i32::MAX)))
}

fn read_values(input: &Map<String, Value>) -> Result<Vec<(String, String)>, ScaleError> {
    let object = |name: &str| match input.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(ScaleError::Data(format!("Invalid job data: '{name}' must be an object"))),
    };
    if let Some(name) = object("files")?.and_then(|files| files.keys().next()) {
        return Err(ScaleError::Data(format!(
            "Invalid job data: Parameter '{name}' cannot be a file: there are no workspaces"
        )));
    }
    let json = object("json")?.into_iter().flatten();
    Ok(json.map(|(name, value)| (name.clone(), to_text(value))).collect())
}

fn refused(error: &SubmitError) -> ScaleError {
    match error {
        SubmitError::UnknownJobType(_) => ScaleError::NotFound,
        SubmitError::MissingValue { name, .. } => {
            ScaleError::Data(format!("Invalid job data: Parameter '{name}' is required"))
        }
        SubmitError::ValuesTooLarge { .. } => ScaleError::Data(format!("Invalid job data: {error}")),
        SubmitError::InactiveJobType(name) => ScaleError::Bad(format!("Inactive job type: {name}")),
        SubmitError::QueueFull | SubmitError::TooManyLanes => ScaleError::Unavailable(error.to_string()),
        _ => ScaleError::Bad(error.to_string()),
    }
}

/// `POST jobs/`: queues one job. Answered once it is on disk.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    address: Address,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScaleError> {
    let asked = read_body(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let view = api.known_view(asked.job_type).await;
    let kind = view.job_type(asked.job_type).ok_or(ScaleError::NotFound)?;
    let mut request = JobRequest::new(asked.job_type);
    request.priority = read_priority(&asked.configuration)?;
    let request = request.values(read_values(&asked.input)?);
    let submission = Submission::new(api.own_submission_id()).jobs(request);
    let settled = api.write(|engine| engine.submit(submission)).await;
    let (accepted, _) = settled.map_err(|error| scale_unsettled(error, refused))?;
    let id = accepted.first_job;
    let job = api.ask_ahead(move |engine| engine.job(id)).await.ok_or(ScaleError::NotFound)?;
    let details = job_details(&job, &kind.job_type, &view, api.engine().framework());
    let location = HeaderValue::from_str(&format!("{}{}/", address.url(), id));
    let mut response = (StatusCode::CREATED, Json(details)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// What a list does not show of a job.
const DETAILS: [&str; 6] =
    ["execution", "input", "output", "configuration", "resources", "superseded_by_job"];

/// `GET jobs/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<Value>>, ScaleError> {
    let view = api.view().await;
    let now = api.engine().now();
    params.range(["started", "ended"], now, None)?;
    params.range(["source_started", "source_ended"], now, None)?;
    let filter = job_list::filter(&params, &view, now, true)?;
    let default = || vec![JobOrder::by(JobColumn::Changed)];
    let order = job_list::order(&params, true)?.unwrap_or_else(default);
    let query = |len| JobQuery::new(len).filter(filter.clone()).order(order.clone()).counted();
    let ask = async |query: JobQuery| {
        let page = api.ask(move |engine| engine.list_jobs(&query)).await;
        page.map_err(|error| scale_refused(&error))
    };
    let count = |page: &JobPage| page.total.map_or(0, |total| usize::try_from(total.n).unwrap_or(usize::MAX));
    let window = window(&params, async || Ok::<_, ScaleError>(count(&ask(query(1)).await?))).await?;
    let page = ask(query(window.len).skip(window.skip)).await?;
    let mut view = view;
    if let Some(newest) = page.jobs.iter().map(|job| job.job_type).max() {
        view = api.view_with(newest).await;
    }
    let line = |job: &Job| {
        let kind = view.job_type(job.job_type)?;
        let details = job_details(job, &kind.job_type, &view, api.engine().framework());
        let Ok(Value::Object(mut line)) = serde_json::to_value(details) else { return None };
        line.retain(|name, _| !DETAILS.contains(&name.as_str()));
        Some(Value::Object(line))
    };
    let lines: Vec<Value> = page.jobs.iter().filter_map(line).collect();
    let count = count(&page).max(window.skip + lines.len());
    Ok(Json(enveloped(window, lines, count, page.next.is_some(), &params, &address.url())?))
}

/// `GET jobs/{id}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<JobDetails>, ScaleError> {
    let id: JobId = path_id(&id)?;
    let job = api.ask(move |engine| engine.job(id)).await.ok_or(ScaleError::NotFound)?;
    let view = api.view_with(job.job_type).await;
    let kind = view.job_type(job.job_type).ok_or_else(|| {
        ScaleError::Unavailable("The job type is not on disk yet; try again in a second.".to_owned())
    })?;
    Ok(Json(job_details(&job, &kind.job_type, &view, api.engine().framework())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_or_of_the_wrong_type_is_named() {
        let check = |body: &str, expected: &str| {
            let error = read_body(&Bytes::from(body.to_owned())).expect_err(body);
            let ScaleError::Bad(detail) = error else { panic!("{body}: {error:?}") };
            assert!(detail.starts_with(expected), "{body}: {detail}");
        };
        check("", "Missing required parameter: \"job_type_id\"");
        check("{\"job_type_id\": null}", "Missing required parameter: \"job_type_id\"");
        check("{", "JSON parse error - ");
        check("null", "The body must be a JSON object.");
        check("3", "The body must be a JSON object.");
        check("{\"job_type_id\": \"x\"}", "Parameter must be a valid integer: \"job_type_id\"");
        check("{\"job_type_id\": 1.5}", "Parameter must be a valid integer: \"job_type_id\"");
        check("{\"job_type_id\": 1, \"input\": []}", "Parameter must be a valid JSON object: \"input\"");
    }

    #[test]
    fn priorities_are_whole_numbers_from_1() {
        let check = |priority: Value, expected: Result<Option<i32>, &str>| {
            let configuration = Map::from_iter([("priority".to_owned(), priority.clone())]);
            let read = read_priority(&configuration).map_err(|error| format!("{error:?}"));
            match (read, expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{priority}"),
                (Err(read), Err(part)) => assert!(read.contains(part), "{priority}: {read}"),
                (read, _) => panic!("{priority}: {read:?}"),
            }
        };
        check(json!(1), Ok(Some(1)));
        check(json!(i32::MAX), Ok(Some(i32::MAX)));
        check(json!(0), Err("0 is less than the minimum of 1"));
        check(json!(-7), Err("less than the minimum"));
        check(json!(1_i64 << 31), Err("more than 2147483647"));
        check(json!("9"), Err("is not of type 'integer'"));
        check(json!(2.5), Err("is not of type 'integer'"));
        assert_eq!(read_priority(&Map::new()), Ok(None));
        let other = Map::from_iter([("priorty".to_owned(), json!(1))]);
        assert!(read_priority(&other).is_err());
    }

    proptest! {
        #[test]
        fn no_body_panics(body in "\\PC{0,60}", json in "[{}\\[\\]\",:a-z0-9_ ]{0,60}") {
            let _ = read_body(&Bytes::from(body));
            if let Ok(asked) = read_body(&Bytes::from(json)) {
                let _ = (read_priority(&asked.configuration), read_values(&asked.input));
            }
        }
    }
}
