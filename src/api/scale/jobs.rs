//! Jobs: queue one, look at one, list them.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::api::body;
use crate::api::errors::{ScaleError, scale_unsettled};
use crate::api::job_facts::{JobFacts, names_of};
use crate::api::job_list::{self, scale_refused};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::members;
use crate::api::paging::{Envelope, enveloped, window};
use crate::api::query::{Address, Params, path_id};
use crate::api::state::ApiState;
use crate::api::views::scale::{
    Execution, JobDetails, JobLine, Kind, RevisionBase, SharedDocument, execution, execution_line,
    job_details, job_line, new_job,
};
use crate::engine::{Engine, NewJob, QueueError, View};
use crate::job::data::{DataError, read_data};
use crate::limits::LIST_DEPTH_MAX;
use crate::model::{
    Data, ExecutionRecord, Job, JobColumn, JobId, JobOrder, JobPage, JobQuery, JobStatus, JobTypeId,
};

/// What a body asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    job_type: JobTypeId,
    input: Value,
    configuration: Option<Value>,
}

/// What is refused here is refused whether or not there is such a job type.
fn read_body(bytes: &Bytes, params: &Params) -> Result<Asked, ScaleError> {
    let mut members = members::asked(bytes, params)?;
    let id = members::required(members::integer(&members, "job_type_id")?, "job_type_id")?;
    members::dictionary(&members, "input")?;
    // What is empty is no configuration, of whatever kind it is.
    if members.get("configuration").is_some_and(is_empty) {
        members.remove("configuration");
    }
    let has_configuration = members::dictionary(&members, "configuration")?.is_some();
    let mut take = |name: &str| members.get_mut(name).map(Value::take).unwrap_or_default();
    let input = take("input");
    check_shape(&input)?;
    // A number that no id can be is an id that is not there.
    let job_type = u32::try_from(id).map(JobTypeId).map_err(|_| ScaleError::NotFound)?;
    Ok(Asked { job_type, input, configuration: has_configuration.then(|| take("configuration")) })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// Files are lists here, also where there is but one; a name that stands for two values is told later.
fn check_shape(input: &Value) -> Result<(), ScaleError> {
    let files = input.get("files").and_then(Value::as_object);
    if let Some(id) = files.and_then(|files| files.values().find(|ids| ids.is_number())) {
        return Err(ScaleError::Bad(format!("Invalid data: {id} is not of type 'array'")));
    }
    match read_data(input) {
        Ok(_) | Err(DataError::Duplicate { .. }) => Ok(()),
        Err(error) => Err(ScaleError::Bad(error.to_string())),
    }
}

/// Errors of data are bare texts, as Scale answers them.
fn refused(error: &QueueError) -> ScaleError {
    match error {
        QueueError::UnknownJobType(_) => ScaleError::NotFound,
        QueueError::InvalidData(_) | QueueError::TooLarge { .. } => {
            ScaleError::Data(format!("Invalid job data: {error}"))
        }
        QueueError::UnknownFile { .. } => ScaleError::Bad(format!("Invalid job data: {error}")),
        QueueError::InvalidConfiguration(_) => {
            ScaleError::Bad(format!("Job type configuration invalid: {error}"))
        }
        QueueError::QueueFull | QueueError::TooManyLanes => ScaleError::Unavailable(error.to_string()),
        _ => ScaleError::Bad(error.to_string()),
    }
}

/// `POST jobs/`: queues one job. Answered once it is on disk, with what the command that queued it said.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScaleError> {
    let asked = read_body(&body::bytes(&headers, body, BODY_BYTES_MAX).await?, &params)?;
    let mut new = NewJob::new(asked.job_type, asked.input);
    new.configuration = asked.configuration;
    // Files are looked up in the store, beside the runtime's threads.
    if new.input.get("files").and_then(Value::as_object).is_some_and(|files| !files.is_empty()) {
        new = api.ask_ahead(move |engine| engine.with_files(new)).await;
    }
    let given = new.files.clone();
    let settled = api.write(|engine| engine.queue_shown_job(new)).await;
    let (queued, _) = settled.map_err(|error| scale_unsettled(error, refused))?;
    let kind = Kind { job_type: &queued.job_type, details: queued.details() };
    let revision = queued.revision();
    let names = match &queued.job.given {
        Some(job) if !given.is_empty() => {
            let kept = serde_json::from_str(&job.input).ok().and_then(|input| read_data(&input).ok());
            names_of(&kept.unwrap_or_default(), &given)
        }
        _ => Map::new(),
    };
    let manifest = revision.map(|revision| api.manifest(revision));
    let details = new_job(&queued.job, kind, revision, manifest, names);
    let location = HeaderValue::from_str(&format!("{}{}/", address.url(), queued.job.id));
    let mut response = (StatusCode::CREATED, Json(details)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `GET jobs/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<JobLine<RevisionBase>>>, ScaleError> {
    let view = api.view().await;
    let now = api.engine().now();
    params.range(["started", "ended"], now, None)?;
    params.range(["source_started", "source_ended"], now, None)?;
    let filter = job_list::filter(&params, &view, now, true)?;
    let default = || vec![JobOrder::by(JobColumn::Changed)];
    let order = job_list::order(&params, true)?.unwrap_or_else(default);
    let ranks = job_list::ranks(&params, &view);
    let query = |len| {
        let mut query = JobQuery::new(len).filter(filter.clone()).order(order.clone()).counted();
        query.job_type_ranks.clone_from(&ranks);
        query
    };
    let ask = async |query: JobQuery| {
        let list = move |engine: &Engine| {
            let page = engine.list_jobs(&query);
            page.map(|page| (JobFacts::of(engine, &page.jobs), page))
        };
        api.ask(list).await.map_err(|error| scale_refused(&error))
    };
    let count = |page: &JobPage| page.total.map_or(0, |total| usize::try_from(total.n).unwrap_or(usize::MAX));
    let window = window(&params, async || Ok::<_, ScaleError>(count(&ask(query(1)).await?.1))).await?;
    // So far behind there is no job, rather than too many.
    if window.skip.saturating_add(window.len) > LIST_DEPTH_MAX
        && window.skip >= count(&ask(query(1)).await?.1)
    {
        return Err(ScaleError::InvalidPage);
    }
    let (facts, page) = ask(query(window.len).skip(window.skip)).await?;
    let mut view = view;
    if let Some(newest) = page.jobs.iter().map(|job| job.job_type).max() {
        view = api.view_with(newest).await;
    }
    let line = |job: &Job| Some(job_line(job, Kind::of(job, &view)?, &facts, &view));
    let lines: Vec<_> = page.jobs.iter().filter_map(line).collect();
    let count = count(&page).max(window.skip + lines.len());
    Ok(Json(enveloped(window, lines, count, page.next.is_some(), &params, &address.url())?))
}

/// What is looked up of a job that is shown in detail.
struct Found {
    job: Job,
    facts: JobFacts,
    /// Its newest execution, if that was launched.
    newest: Option<ExecutionRecord>,
}

/// A view that knows the type of a job, which may have been made by others than this server.
pub(super) async fn view_of(api: &ApiState, job_type: JobTypeId) -> Arc<View> {
    api.view_with(job_type).await
}

/// What is answered for a job whose type no view shows yet.
pub(super) fn unknown_type() -> ScaleError {
    ScaleError::Unavailable("The job type is not on disk yet; try again in a second.".to_owned())
}

/// `GET jobs/{id}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<JobDetails>, ScaleError> {
    let id: JobId = path_id(&id)?;
    let find = move |engine: &Engine| {
        let job = engine.job(id)?;
        let facts = JobFacts::in_detail(engine, &job);
        // Of what waits or was canceled none is shown.
        let has_run = matches!(job.status, JobStatus::Running | JobStatus::Completed | JobStatus::Failed);
        let newest = Engine::newest_execution(&job).filter(|_| has_run);
        Some(Found { job, facts, newest })
    };
    let found = api.ask(find).await.ok_or(ScaleError::NotFound)?;
    let Found { job, facts, newest } = &found;
    let view = view_of(&api, job.job_type).await;
    let kind = Kind::of(job, &view).ok_or_else(unknown_type)?;
    let revision = view.catalog.job_type_revision(job.job_type, job.revision);
    let manifest = revision.map(|revision| api.manifest(revision));
    let execution = match newest {
        Some(record) => Some(shown(&api, record, job, kind, manifest.as_ref(), &facts.input, &view).await),
        None => None,
    };
    Ok(Json(job_details(job, kind, revision, manifest, (facts, execution), &view)))
}

/// An execution in detail.
pub(super) async fn shown(
    api: &ApiState,
    record: &ExecutionRecord,
    job: &Job,
    kind: Kind<'_>,
    manifest: Option<&SharedDocument>,
    input: &Data,
    view: &View,
) -> Execution {
    let (exe_num, id) = (record.exe_num, record.job);
    let data = input.clone();
    let look = move |engine: &Engine| {
        let files = if data.files.is_empty() { Vec::new() } else { engine.files_of(&data) };
        (engine.job_output(id, exe_num), files)
    };
    let (output, files) = api.ask_ahead(look).await;
    let configuration =
        Engine::configuration_of(job, kind.job_type, manifest.map(|it| &*it.0), input, &files);
    let line = execution_line(record, job, kind, view, api.engine().framework());
    execution(record, line, configuration, output.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: &str, query: &str) -> Result<Asked, ScaleError> {
        read_body(&Bytes::from(body.to_owned()), &Params::of(query))
    }

    #[test]
    fn what_is_missing_or_of_the_wrong_type_is_named() {
        let check = |body: &str, expected: &str| {
            let error = read(body, "").expect_err(body);
            let ScaleError::Bad(detail) = error else { panic!("{body}: {error:?}") };
            assert!(detail.starts_with(expected), "{body}: {detail}");
        };
        for nothing in ["", "{\"job_type_id\": null}", "[]", "[{\"job_type_id\": 1}]", "\"x\""] {
            check(nothing, "Missing required parameter: \"job_type_id\"");
        }
        check("{", "JSON parse error - ");
        check("null", "The body must be a JSON object.");
        check("3", "The body must be a JSON object.");
        check("{\"job_type_id\": \"x\"}", "Parameter must be a valid integer: \"job_type_id\"");
        check("{\"job_type_id\": 1.5}", "Parameter must be a valid integer: \"job_type_id\"");
        check("{\"job_type_id\": 1, \"input\": []}", "Parameter must be a valid JSON object: \"input\"");
        check("{\"job_type_id\": 1, \"configuration\": 3}", "Parameter must be a valid JSON object: \"con");
        let input = |input: Value| json!({"job_type_id": -1, "input": input}).to_string();
        check(&input(json!({"json": []})), "Invalid data: [] is not of type 'object'");
        check(&input(json!({"files": {"F": 3}})), "Invalid data: 3 is not of type 'array'");
        check(&input(json!({"files": {"F": []}})), "Invalid data: [] is too short");
        check(&input(json!({"colour": 3})), "Invalid data: Additional properties are not allowed ('colour'");
        check(&input(json!({"version": "5"})), "Invalid data: 5 is an unsupported version number");
        assert_eq!(read(&input(json!({})), ""), Err(ScaleError::NotFound));
        let asked = read("{\"input\": {\"json\": {\"N\": 3}}, \"configuration\": []}", "job_type_id=1");
        let asked = asked.expect("a body");
        assert_eq!((asked.input, asked.configuration), (json!({"json": {"N": 3}}), None));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in "\\PC{0,60}", json in "[{}\\[\\]\",:a-z0-9_ ]{0,60}") {
            let _ = read(&body, "");
            let asked = Params::of_pairs(vec![("input".to_owned(), body)]);
            let _ = read_body(&Bytes::from(json), &asked);
        }
    }
}
