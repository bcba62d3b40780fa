//! Bulk operations: requeue or cancel all jobs that a filter lets through, look at how far that is, end it, take
//! it back.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{limit_of, view};
use crate::api::body;
use crate::api::errors::{Problem, unsettled};
use crate::api::job_list;
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::views::Time;
use crate::api::views::own::JobView;
use crate::engine::{BulkError, View};
use crate::model::{BulkId, BulkKind, BulkOperation, BulkPhase, ErrorId, JobFilter, JobTypeId};

/// Jobs that a preview shows, where nothing else is asked for, and at most.
const SAMPLE: usize = 10;
const SAMPLE_MAX: usize = 100;

/// Members of a filter as Scale's bodies have them, and the parameters of a list that say the same.
const MEMBERS: [(&str, &str); 13] = [
    ("started", "started"),
    ("ended", "ended"),
    ("error_categories", "error_category"),
    ("error_ids", "error_id"),
    ("job_ids", "job_id"),
    ("job_type_ids", "job_type_id"),
    ("job_types", "job_type"),
    ("job_type", "job_type"),
    ("status", "status"),
    ("job_type_names", "job_type_name"),
    ("batch_ids", "batch_id"),
    ("recipe_ids", "recipe_id"),
    ("is_superseded", "is_superseded"),
];

/// What is ordered.
#[derive(Debug)]
struct Order {
    params: Params,
    /// A list of the filter is empty, so that it lets nothing through.
    is_nothing: bool,
    priority: Option<i32>,
    preview: bool,
    sample: usize,
}

fn wrong(name: &str, expected: &str) -> Problem {
    Problem::body(format!("{name} must be {expected}")).field(name)
}

/// One value of a member as a parameter has it.
fn text_of(name: &str, value: &Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Object(kind) if name == "job_types" => {
            let part = |member: &str| kind.get(member).and_then(Value::as_str);
            let (Some(job_type), Some(version)) = (part("name"), part("version")) else {
                return Err(wrong(name, "a list of {\"name\": ..., \"version\": ...}"));
            };
            Ok(format!("{job_type}:{version}"))
        }
        _ => Err(wrong(name, "a value, or a list of values")),
    }
}

fn read_order(members: &Map<String, Value>, kind: BulkKind) -> Result<Order, Problem> {
    let (mut pairs, mut is_nothing) = (Vec::new(), false);
    let (mut priority, mut preview, mut sample) = (None, false, SAMPLE);
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        let range = "a whole number of 32 bits";
        match name.as_str() {
            "preview" => preview = value.as_bool().ok_or_else(|| wrong(name, "true or false"))?,
            "sample" => {
                let params = Params::of_pairs(vec![(name.clone(), value.to_string())]);
                sample = limit_of_sample(&params)?;
            }
            "priority" if kind == BulkKind::Requeue => {
                let read = value.as_i64().and_then(|number| i32::try_from(number).ok());
                priority = Some(read.ok_or_else(|| wrong(name, range))?);
            }
            _ => {
                let known = MEMBERS.iter().find(|(member, _)| member == name);
                let (_, parameter) = known.ok_or_else(|| {
                    Problem::body(format!("{name} is not known here; nothing was changed")).field(name)
                })?;
                let all = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                is_nothing |= all.is_empty();
                for value in all {
                    pairs.push(((*parameter).to_owned(), text_of(name, value)?));
                }
            }
        }
    }
    Ok(Order { params: Params::of_pairs(pairs), is_nothing, priority, preview, sample })
}

fn limit_of_sample(params: &Params) -> Result<usize, Problem> {
    match params.last("sample").map(str::parse::<usize>) {
        Some(Ok(n)) => Ok(n.min(SAMPLE_MAX)),
        _ => Err(wrong("sample", "a whole number")),
    }
}

fn refused(error: &BulkError) -> Problem {
    let text = error.to_string();
    let unprocessable =
        |code, title| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, text.clone());
    match error {
        BulkError::Unfiltered => unprocessable("unfiltered", "A filter is needed"),
        BulkError::TooManyIds { .. } => unprocessable("too-many-ids", "Too many ids"),
        BulkError::Unknown(_) => {
            Problem::new(StatusCode::NOT_FOUND, "no-such-bulk", "No such operation", text)
        }
        BulkError::NotDone(_) => {
            Problem::new(StatusCode::CONFLICT, "bulk-not-done", "It cannot be taken back", text)
        }
        BulkError::TooMany => {
            let title = "Too many bulk operations";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-bulks", title, text).retry()
        }
        _ => Problem::store_unreadable(text),
    }
}

/// An operation that was put on record.
#[derive(Debug, Serialize)]
struct Ordered {
    bulk_id: u64,
    position: u64,
}

#[derive(Debug, Serialize)]
struct Preview {
    /// How many jobs it would change.
    n: u64,
    /// Or more, where it is not exact.
    is_exact: bool,
    /// The newest of them.
    sample: Vec<JobView>,
}

async fn order(api: ApiState, kind: BulkKind, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let members: Map<String, Value> = body::json(&headers, body, BODY_BYTES_MAX).await?;
    let order = read_order(&members, kind)?;
    let view = api.newest_view().await;
    let mut filter = job_list::filter(&order.params, &view, api.engine().now(), false)?;
    if order.is_nothing {
        filter.jobs = Some(Vec::new());
    }
    if order.preview {
        let sample = order.sample;
        let preview = api.ask(move |engine| engine.bulk_preview(kind, &filter, sample)).await;
        let preview = preview.map_err(|error| job_list::refused(&error))?;
        let sample = preview.sample.iter().map(|job| JobView::new(job, &view)).collect();
        let (n, is_exact) = (preview.total.n, preview.total.is_exact);
        return Ok(Json(Preview { n, is_exact, sample }).into_response());
    }
    let settled = api.write(|engine| engine.bulk(kind, filter, order.priority)).await;
    let (id, position) = settled.map_err(|error| unsettled(error, refused))?;
    Ok((StatusCode::ACCEPTED, Json(Ordered { bulk_id: id.0, position: position.0 })).into_response())
}

/// `POST bulk/requeue`: with `preview` nothing is changed.
pub(in crate::api) async fn requeue(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    order(api, BulkKind::Requeue, headers, body).await
}

/// `POST bulk/cancel`: with `preview` nothing is changed.
pub(in crate::api) async fn cancel(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    order(api, BulkKind::Cancel, headers, body).await
}

/// A bulk operation, and how far it is.
#[derive(Debug, Serialize)]
pub(in crate::api) struct BulkView {
    id: u64,
    kind: &'static str,
    /// The operation that it takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    undoes: Option<u64>,
    phase: &'static str,
    priority: Option<i32>,
    filter: Value,
    n_seen: u64,
    n_changed: u64,
    created: Time,
    last_modified: Time,
}

fn filter_view(filter: &JobFilter, view: &View) -> Value {
    fn list<T>(all: &[T], value: impl Fn(&T) -> Value) -> Value {
        all.iter().map(value).collect()
    }
    let job_type = |id: &JobTypeId| match view.job_type(*id) {
        Some(kind) => {
            json!({"id": id.0, "name": kind.job_type.spec.name, "version": kind.job_type.spec.version})
        }
        None => json!({"id": id.0}),
    };
    let error = |id: &ErrorId| json!(id.0);
    let mut members = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    put("started", filter.started.map(|at| json!(Time(at))));
    put("ended", filter.ended.map(|at| json!(Time(at))));
    put("status", filter.statuses.as_ref().map(|all| list(all, |status| json!(status.as_str()))));
    // Of many the first tell enough.
    let jobs = filter.jobs.as_ref();
    put("n_jobs", jobs.map(|all| json!(all.len())));
    put("job_ids", jobs.map(|all| list(&all[..all.len().min(SAMPLE_MAX)], |id| json!(id.0))));
    put("job_types", filter.job_types.as_ref().map(|all| list(all, job_type)));
    put("recipe_ids", filter.recipes.as_ref().map(|all| list(all, |id| json!(id.0))));
    put("batch_ids", filter.batches.as_ref().map(|all| list(all, |id| json!(id.0))));
    put("error_ids", filter.errors.as_ref().map(|all| list(all, error)));
    put("is_superseded", filter.is_superseded.map(|is| json!(is)));
    Value::Object(members)
}

impl BulkView {
    fn new(bulk: &BulkOperation, view: &View) -> Self {
        let (kind, undoes) = match bulk.kind {
            BulkKind::Requeue => ("requeue", None),
            BulkKind::Cancel => ("cancel", None),
            BulkKind::Undo(of) => ("undo", Some(of.0)),
        };
        let phase = match bulk.phase {
            BulkPhase::Running => "running",
            BulkPhase::Done => "done",
            BulkPhase::Stopped => "stopped",
        };
        Self {
            id: bulk.id.0,
            kind,
            undoes,
            phase,
            priority: bulk.priority,
            filter: filter_view(&bulk.filter, view),
            n_seen: bulk.n_seen,
            n_changed: bulk.n_changed,
            created: Time(bulk.created),
            last_modified: Time(bulk.last_modified),
        }
    }
}

/// Bulk operations.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Bulks {
    operations: Vec<BulkView>,
}

/// `GET bulk`: the newest first. Few of those that are over are remembered.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Bulks>, Problem> {
    let limit = limit_of(&params, 100, 1_000)?;
    let view = view(&api, &params).await?;
    let all = view.catalog.bulk_operations().rev().take(limit);
    Ok(Json(Bulks { operations: all.map(|bulk| BulkView::new(bulk, &view)).collect() }))
}

fn read_id(text: &str) -> Result<BulkId, Problem> {
    let wrong =
        |_| Problem::parameter("id", format!("the id of a bulk operation is a whole number, not {text:?}"));
    text.parse().map_err(wrong)
}

/// `GET bulk/{id}`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(text): Path<String>,
    params: Params,
) -> Result<Json<BulkView>, Problem> {
    let id = read_id(&text)?;
    let view = view(&api, &params).await?;
    let bulk = view.catalog.bulk_operation(id).ok_or_else(|| refused(&BulkError::Unknown(id)))?;
    Ok(Json(BulkView::new(bulk, &view)))
}

/// `POST bulk/{id}/stop`: what it changed stays changed.
pub(in crate::api) async fn stop(
    State(api): State<ApiState>,
    Path(text): Path<String>,
) -> Result<Json<impl Serialize>, Problem> {
    let id = read_id(&text)?;
    let settled = api.write(|engine| engine.bulk_stop(id)).await;
    let ((), position) = settled.map_err(|error| unsettled(error, refused))?;
    Ok(Json(Ordered { bulk_id: id.0, position: position.0 }))
}

/// `POST bulk/{id}/undo`: answers the operation that takes it back.
pub(in crate::api) async fn undo(
    State(api): State<ApiState>,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let id = read_id(&text)?;
    let settled = api.write(|engine| engine.bulk_undo(id)).await;
    let (id, position) = settled.map_err(|error| unsettled(error, refused))?;
    Ok((StatusCode::ACCEPTED, Json(Ordered { bulk_id: id.0, position: position.0 })).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value, kind: BulkKind) -> Result<Order, Problem> {
        read_order(body.as_object().expect("an object"), kind)
    }

    #[test]
    fn a_body_is_read_as_the_parameters_of_a_list_are() {
        let body = json!({"status": ["FAILED", "CANCELED"], "job_ids": [3, 4], "priority": 0, "preview": true,
            "job_types": [{"name": "a", "version": "1.0"}], "is_superseded": false, "ended": null, "sample": 500});
        let order = read(&body, BulkKind::Requeue).expect("good");
        let all = |name: &'static str| order.params.all(name).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            (all("status"), all("job_id")),
            (vec!["FAILED".into(), "CANCELED".into()], vec!["3".into(), "4".into()])
        );
        assert_eq!((all("job_type"), all("is_superseded")), (vec!["a:1.0".into()], vec!["false".into()]));
        assert_eq!((order.priority, order.preview, order.sample), (Some(0), true, SAMPLE_MAX));
        assert!(!order.is_nothing && all("ended").is_empty());
        assert!(read(&json!({"job_ids": []}), BulkKind::Cancel).expect("good").is_nothing);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (body, kind) in [
            (json!({"priority": 3}), BulkKind::Cancel),
            (json!({"priority": 1_u64 << 31}), BulkKind::Requeue),
            (json!({"priority": "9"}), BulkKind::Requeue),
            (json!({"statuses": "FAILED"}), BulkKind::Cancel),
            (json!({"preview": 1}), BulkKind::Cancel),
            (json!({"sample": -1}), BulkKind::Cancel),
            (json!({"job_types": [{"name": "a"}]}), BulkKind::Cancel),
            (json!({"job_ids": [[1]]}), BulkKind::Cancel),
        ] {
            assert!(read(&body, kind).is_err(), "{body}");
        }
    }
}
