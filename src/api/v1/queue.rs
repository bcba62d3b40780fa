//! The queue itself: its first entries, its direction.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{find_job_type, job_type, limit, view};
use crate::api::body;
use crate::api::errors::{Problem, unsettled};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::v1::job_types::refused;
use crate::api::views::own::Entry;
use crate::model::QueueMode;

/// The first entries.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Entries {
    n_queued: usize,
    entries: Vec<Entry>,
}

/// `GET queue`: in the order in which they leave; `without` leaves job types out.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Entries>, Problem> {
    let limit = limit(&params)?;
    let view = view(&api, &params).await?;
    let without =
        params.all("without").map(|text| find_job_type(text, &view)).collect::<Result<Vec<_>, _>>()?;
    let queued = api.ask(move |engine| engine.queued(&without, limit)).await;
    let newest = queued.iter().map(|entry| entry.job_type).max();
    let view = if let Some(id) = newest { api.view_with(id).await } else { view };
    let entries = queued.iter().enumerate().map(|(place, entry)| Entry::new(place, entry, &view)).collect();
    Ok(Json(Entries { n_queued: view.n_queued, entries }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModeBody {
    mode: Option<String>,
    #[serde(default)]
    job_type: Option<Value>,
}

/// The mode that is set.
#[derive(Debug, Serialize)]
pub(in crate::api) struct ModeSet {
    mode: Option<&'static str>,
    job_type: Option<u32>,
    position: u64,
}

fn read_mode(text: &str) -> Result<(QueueMode, &'static str), Problem> {
    match text.to_ascii_uppercase().as_str() {
        "FIFO" => Ok((QueueMode::Fifo, "FIFO")),
        "LIFO" => Ok((QueueMode::Lifo, "LIFO")),
        _ => Err(Problem::body(format!("{text:?} is no mode: FIFO or LIFO")).field("mode")),
    }
}

/// `PUT queue/mode`: for all, or inside one job type; there `null` goes back to the mode of all.
pub(in crate::api) async fn set_mode(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ModeSet>, Problem> {
    let body: ModeBody = body::json(&headers, body, BODY_BYTES_MAX).await?;
    let mode = body.mode.as_deref().map(read_mode).transpose()?;
    let id = match &body.job_type {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(job_type(&api, text).await?.0),
        Some(other) => Some(job_type(&api, &other.to_string()).await?.0),
    };
    if mode.is_none() && id.is_none() {
        let detail = "the mode of all is FIFO or LIFO; null is for one job type";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-body", "No mode", detail).field("mode"));
    }
    let settled = api.write(|engine| engine.set_mode(id, mode.map(|(mode, _)| mode))).await;
    let ((), position) = settled.map_err(|error| unsettled(error, refused))?;
    let (mode, job_type) = (mode.map(|(_, text)| text), id.map(|id| id.0));
    Ok(Json(ModeSet { mode, job_type, position: position.0 }))
}
