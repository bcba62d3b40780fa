//! Executions of one job.

use axum::Json;
use axum::extract::{Path, State};

use super::jobs::{shown, unknown_type, view_of};
use crate::api::errors::ScaleError;
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, Params, path_id};
use crate::api::state::ApiState;
use crate::api::views::scale::{Execution, ExecutionLine, Kind, execution_line, status_of};
use crate::engine::{Engine, View};
use crate::model::{ErrorId, ExecutionRecord, JobId};

/// Which executions are asked for.
struct Wanted<'p> {
    statuses: Option<Vec<&'p str>>,
    nodes: Option<Vec<i64>>,
    errors: Option<Vec<i64>>,
    categories: Option<Vec<&'p str>>,
}

impl<'p> Wanted<'p> {
    fn read(params: &'p Params) -> Result<Self, ScaleError> {
        Ok(Self {
            statuses: params.texts("status"),
            nodes: params.integers("node_id")?,
            errors: params.integers("error_id")?,
            categories: params.texts("error_category"),
        })
    }

    fn takes(&self, record: &ExecutionRecord, view: &View) -> bool {
        fn any<T: PartialEq>(wanted: Option<&Vec<T>>, found: Option<T>) -> bool {
            wanted.is_none_or(|all| found.is_some_and(|found| all.contains(&found)))
        }
        let error = record.end.as_ref().and_then(|end| ErrorId::of(&end.outcome));
        let category = error.and_then(|id| view.catalog.error(id)).map(|error| error.category.as_str());
        any(self.statuses.as_ref(), Some(status_of(record).as_str()))
            && any(self.nodes.as_ref(), record.node.map(|node| node.0.into()))
            && any(self.errors.as_ref(), error.map(|error| error.0.into()))
            && any(self.categories.as_ref(), category)
    }
}

/// `GET jobs/{id}/executions/`: the newest first.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<ExecutionLine>>, ScaleError> {
    let id: JobId = path_id(&id)?;
    let wanted = Wanted::read(&params)?;
    let find = move |engine: &Engine| engine.job(id).map(|job| (engine.job_executions(&job), job));
    let Some((mut records, job)) = api.ask(find).await else {
        return Ok(Json(page(&[], &params, &address.url(), |line: &ExecutionLine| line.clone())?));
    };
    let view = view_of(&api, job.job_type).await;
    let kind = Kind::of(&job, &view).ok_or_else(unknown_type)?;
    records.retain(|record| wanted.takes(record, &view));
    let line = |record: &ExecutionRecord| execution_line(record, &job, kind, &view, api.engine().framework());
    Ok(Json(page(&records, &params, &address.url(), line)?))
}

/// `GET jobs/{id}/executions/{exe_num}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path((id, exe_num)): Path<(String, String)>,
) -> Result<Json<Execution>, ScaleError> {
    let id: JobId = path_id(&id)?;
    let exe_num: u32 = path_id(&exe_num)?;
    let find = move |engine: &Engine| {
        let job = engine.job(id)?;
        let record = engine.job_executions(&job).into_iter().find(|record| record.exe_num == exe_num)?;
        Some((record, engine.job_input(&job), job))
    };
    let (record, input, job) = api.ask(find).await.ok_or(ScaleError::NotFound)?;
    let view = view_of(&api, job.job_type).await;
    let kind = Kind::of(&job, &view).ok_or_else(unknown_type)?;
    let revision = view.catalog.job_type_revision(job.job_type, job.revision);
    let manifest = revision.map(|revision| api.manifest(revision));
    Ok(Json(shown(&api, &record, &job, kind, manifest.as_ref(), &input, &view).await))
}
