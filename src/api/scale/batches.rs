//! `batches/`: made, listed, shown, changed.

use std::cmp::Ordering;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::super::body;
use super::super::errors::{ScaleError, scale_unsettled};
use super::super::limits::BODY_BYTES_MAX;
use super::super::members::{self, ReadError};
use super::super::paging::{Envelope, enveloped, window};
use super::super::query::{Address, Params, path_id, sort};
use super::super::state::ApiState;
use super::super::views::scale::{BatchLine, batch_details};
use super::recipes::event_of;
use crate::engine::{BatchChange, BatchJobs, BatchProgress, Engine, NewBatch, NewBatchError};
use crate::model::{BatchId, JobStatus, RecipeTypeId, Timestamp, TriggerEvent};

/// What batches can be ordered by.
#[derive(Clone, Copy, Debug)]
enum Column {
    Id,
    Title,
    Description,
    RecipeType,
    IsCreationDone,
    IsSuperseded,
    RecipesEstimated,
    RecipesTotal,
    RecipesCompleted,
    /// Those in that status; none: all.
    Jobs(Option<JobStatus>),
    Created,
    Superseded,
    LastModified,
}

const COLUMNS: [(&str, Column); 21] = [
    ("id", Column::Id),
    ("title", Column::Title),
    ("description", Column::Description),
    ("recipe_type", Column::RecipeType),
    ("recipe_type_id", Column::RecipeType),
    ("is_creation_done", Column::IsCreationDone),
    ("is_superseded", Column::IsSuperseded),
    ("recipes_estimated", Column::RecipesEstimated),
    ("recipes_total", Column::RecipesTotal),
    ("recipes_completed", Column::RecipesCompleted),
    ("jobs_total", Column::Jobs(None)),
    ("jobs_pending", Column::Jobs(Some(JobStatus::Pending))),
    ("jobs_blocked", Column::Jobs(Some(JobStatus::Blocked))),
    ("jobs_queued", Column::Jobs(Some(JobStatus::Queued))),
    ("jobs_running", Column::Jobs(Some(JobStatus::Running))),
    ("jobs_failed", Column::Jobs(Some(JobStatus::Failed))),
    ("jobs_completed", Column::Jobs(Some(JobStatus::Completed))),
    ("jobs_canceled", Column::Jobs(Some(JobStatus::Canceled))),
    ("created", Column::Created),
    ("superseded", Column::Superseded),
    ("last_modified", Column::LastModified),
];

/// Most characters of a title.
const TITLE_LEN_MAX: usize = 50;

fn compare(column: Column, a: &BatchProgress, b: &BatchProgress) -> Ordering {
    /// What is not there comes last.
    fn time(when: Option<Timestamp>) -> i64 {
        when.map_or(i64::MAX, |when| when.0)
    }
    /// Without regard to case, and what is not there last.
    fn words(text: Option<&String>) -> (bool, String) {
        (text.is_none(), text.map(|text| text.to_lowercase()).unwrap_or_default())
    }
    let (progress_a, progress_b, a, b) = (a, b, &a.batch, &b.batch);
    match column {
        Column::Id => a.id.cmp(&b.id),
        Column::Title => words(a.title.as_ref()).cmp(&words(b.title.as_ref())),
        Column::Description => words(a.description.as_ref()).cmp(&words(b.description.as_ref())),
        Column::RecipeType => a.recipe_type.cmp(&b.recipe_type),
        Column::IsCreationDone => a.is_creation_done.cmp(&b.is_creation_done),
        Column::IsSuperseded => a.superseded.is_some().cmp(&b.superseded.is_some()),
        Column::RecipesEstimated => a.recipes_estimated.cmp(&b.recipes_estimated),
        Column::RecipesTotal => progress_a.recipes_total.cmp(&progress_b.recipes_total),
        Column::RecipesCompleted => progress_a.recipes_completed.cmp(&progress_b.recipes_completed),
        Column::Jobs(None) => progress_a.jobs.total().cmp(&progress_b.jobs.total()),
        Column::Jobs(Some(status)) => progress_a.jobs.of(status).cmp(&progress_b.jobs.of(status)),
        Column::Created => a.created.cmp(&b.created),
        Column::Superseded => time(a.superseded).cmp(&time(b.superseded)),
        Column::LastModified => a.last_modified.cmp(&b.last_modified),
    }
}

fn refused(error: &NewBatchError) -> ScaleError {
    match error {
        NewBatchError::Unknown(_) => ScaleError::NotFound,
        NewBatchError::Recipes { .. } => ScaleError::Unavailable(error.to_string()),
        _ => ScaleError::Bad(error.to_string()),
    }
}

fn text(members: &members::Members, name: &'static str) -> Result<Option<String>, ReadError> {
    Ok(members::text(members, name)?.map(str::to_owned))
}

fn title(members: &members::Members) -> Result<Option<String>, ScaleError> {
    let title = text(members, "title")?;
    if title.as_ref().is_some_and(|title| title.chars().count() > TITLE_LEN_MAX) {
        return Err(ScaleError::Bad(format!("A title has at most {TITLE_LEN_MAX} characters.")));
    }
    Ok(title)
}

/// A batch with all that is shown of it.
async fn shown(api: &ApiState, id: BatchId) -> Result<Value, ScaleError> {
    let look = move |engine: &Engine| {
        let progress = engine.batch(id)?;
        let event = event_of(engine, progress.batch.event);
        Some((progress, engine.batch_nodes(id), event))
    };
    let (progress, nodes, event) = api.ask(look).await.ok_or(ScaleError::NotFound)?;
    let view = api.view().await;
    Ok(batch_details(&progress, &nodes, event.as_ref(), &view.catalog))
}

/// `POST batches/`: makes a batch; its recipes follow. Answered once it is on disk, without any recipe.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScaleError> {
    let members = members::object_with_members(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let members = members::with_params(members, &params);
    let title = title(&members)?;
    let description = text(&members, "description")?;
    let id = members::required(members::integer(&members, "recipe_type_id")?, "recipe_type_id")?;
    let definition = members::required(members::dictionary(&members, "definition")?, "definition")?.clone();
    let configuration = members::dictionary(&members, "configuration")?.cloned().unwrap_or_default();
    let unknown = || ScaleError::Bad(format!("Unknown recipe type: {id}"));
    let recipe_type = u32::try_from(id).map(RecipeTypeId).map_err(|_| unknown())?;
    let mut new = NewBatch::new(recipe_type, Value::Object(definition));
    (new.title, new.description) = (title, description);
    new.configuration = Value::Object(configuration);
    let settled = api.write(|engine| engine.create_batch(new)).await;
    let (id, _) = settled.map_err(|error| scale_unsettled(error, refused))?;
    let look = move |engine: &Engine| {
        let made = engine.batch(id)?.when_made();
        let event = event_of(engine, made.batch.event);
        let nodes = engine.batch_nodes(id).into_iter().map(|(name, _)| (name, BatchJobs::default()));
        Some((made, nodes.collect::<Vec<_>>(), event))
    };
    let (made, nodes, event) = api.ask_ahead(look).await.ok_or(ScaleError::NotFound)?;
    let view = api.view().await;
    let details = batch_details(&made, &nodes, event.as_ref(), &view.catalog);
    let mut response = (StatusCode::CREATED, Json(details)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{}{}/", address.url(), id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `GET batches/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<BatchLine>>, ScaleError> {
    let now = api.engine().now();
    let [started, ended] = params.range(["started", "ended"], now, None)?;
    let ids = |name: &'static str| {
        let all = params.integers(name)?;
        let ids = |all: Vec<i64>| all.into_iter().filter_map(|id| u64::try_from(id).ok()).collect::<Vec<_>>();
        Ok::<_, ReadError>(all.map(ids))
    };
    let (types, roots) = (ids("recipe_type_id")?, ids("root_batch_id")?);
    let is_done = params.boolean("is_creation_done")?;
    let is_superseded = params.boolean("is_superseded")?;
    let order = params.order(&COLUMNS)?;
    let takes = |BatchProgress { batch, .. }: &BatchProgress| {
        started.is_none_or(|started| batch.last_modified >= started)
            && ended.is_none_or(|ended| batch.last_modified <= ended)
            && types.as_ref().is_none_or(|types| types.contains(&u64::from(batch.recipe_type.0)))
            && roots.as_ref().is_none_or(|roots| roots.contains(&batch.root.0))
            && is_done.is_none_or(|is_done| is_done == batch.is_creation_done)
            && is_superseded.is_none_or(|wanted| wanted == batch.superseded.is_some())
    };
    let mut found = api.ask(Engine::batches).await;
    found.retain(takes);
    if order.is_empty() {
        found.sort_by(|a, b| compare(Column::LastModified, a, b));
    } else {
        sort(&mut found, &order, compare);
    }
    let n_found = found.len();
    let window = window(&params, async || Ok::<_, ScaleError>(n_found)).await?;
    let page: Vec<BatchProgress> = found.into_iter().skip(window.skip).take(window.len).collect();
    let look = move |engine: &Engine| {
        let with_event = |progress: BatchProgress| {
            let event = event_of(engine, progress.batch.event);
            (progress, event)
        };
        page.into_iter().map(with_event).collect::<Vec<(BatchProgress, Option<TriggerEvent>)>>()
    };
    let read = api.ask(look).await;
    let view = api.view().await;
    let lines: Vec<BatchLine> = read
        .iter()
        .map(|(progress, event)| BatchLine::new(progress, event.as_ref(), &view.catalog))
        .collect();
    let has_next = n_found > window.skip.saturating_add(window.len);
    Ok(Json(enveloped(window, lines, n_found, has_next, &params, &address.url())?))
}

/// `GET batches/{id}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ScaleError> {
    Ok(Json(shown(&api, path_id(&id)?).await?))
}

/// `PATCH batches/{id}/`.
pub(in crate::api) async fn edit(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ScaleError> {
    let id: BatchId = path_id(&id)?;
    let members = members::object(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let members = members::with_params(members, &params);
    let configuration = members::dictionary(&members, "configuration")?.filter(|given| !given.is_empty());
    let change = BatchChange {
        title: title(&members)?,
        description: text(&members, "description")?,
        configuration: configuration.cloned().map(Value::Object),
    };
    let settled = api.write(|engine| engine.edit_batch(id, change)).await;
    let refused = |error: &NewBatchError| match error {
        NewBatchError::InvalidConfiguration(_) => {
            ScaleError::Bad(format!("Batch configuration invalid: {error}"))
        }
        error => refused(error),
    };
    settled.map_err(|error| scale_unsettled(error, refused))?;
    Ok(StatusCode::NO_CONTENT)
}
