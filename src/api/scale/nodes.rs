//! Nodes: listed, looked at, paused and taken out of use.

use std::cmp::Ordering;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::api::body;
use crate::api::errors::{ScaleError, scale_unsettled};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::members::{self, check_update};
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, By, Params, path_id, sort};
use crate::api::state::ApiState;
use crate::api::views::scale::NodeFull;
use crate::engine::{CatalogError, NodeChange};
use crate::model::{NodeId, NodeRecord};

/// What may be changed.
const FIELDS: [&str; 3] = ["pause_reason", "is_paused", "is_active"];

/// Characters of a reason: as many as Scale stores.
const REASON_CHARS_MAX: usize = 250;

/// What nodes can be ordered by.
#[derive(Clone, Copy)]
enum Column {
    Id,
    Hostname,
    PauseReason,
    IsPaused,
    IsActive,
    Deprecated,
    Created,
    LastModified,
}

const COLUMNS: [(&str, Column); 8] = [
    ("id", Column::Id),
    ("hostname", Column::Hostname),
    ("pause_reason", Column::PauseReason),
    ("is_paused", Column::IsPaused),
    ("is_active", Column::IsActive),
    ("deprecated", Column::Deprecated),
    ("created", Column::Created),
    ("last_modified", Column::LastModified),
];

/// Texts without regard to case; what is not there comes last.
fn compare(column: Column, a: &NodeRecord, b: &NodeRecord) -> Ordering {
    let reason = |node: &NodeRecord| {
        (node.pause_reason.is_none(), node.pause_reason.as_ref().map(|it| it.to_lowercase()))
    };
    match column {
        Column::Id => a.id.cmp(&b.id),
        Column::Hostname => a.hostname.to_lowercase().cmp(&b.hostname.to_lowercase()),
        Column::PauseReason => reason(a).cmp(&reason(b)),
        Column::IsPaused => a.is_paused.cmp(&b.is_paused),
        Column::IsActive => a.is_active.cmp(&b.is_active),
        Column::Deprecated => {
            (a.deprecated.is_none(), a.deprecated).cmp(&(b.deprecated.is_none(), b.deprecated))
        }
        Column::Created => a.created.cmp(&b.created),
        Column::LastModified => a.last_modified.cmp(&b.last_modified),
    }
}

/// `GET nodes/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<NodeFull>>, ScaleError> {
    let [started, ended] = params.range(["started", "ended"], api.engine().now(), None)?;
    let is_active = params.boolean("is_active")?;
    let mut order = params.order(&COLUMNS)?;
    if order.is_empty() {
        order.push(By { column: Column::LastModified, is_descending: false });
    }
    let view = api.view().await;
    let takes = |node: &&NodeRecord| {
        started.is_none_or(|started| node.last_modified >= started)
            && ended.is_none_or(|ended| node.last_modified <= ended)
            && is_active.is_none_or(|is_active| node.is_active == is_active)
    };
    let mut nodes: Vec<&NodeRecord> = view.catalog.nodes().filter(takes).collect();
    sort(&mut nodes, &order, |column, a, b| compare(column, a, b));
    Ok(Json(page(&nodes, &params, &address.url(), |node| NodeFull::from(*node))?))
}

/// `GET nodes/{id}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<NodeFull>, ScaleError> {
    let id: NodeId = path_id(&id)?;
    let view = api.view().await;
    view.catalog.node(id).map(|node| Json(NodeFull::from(node))).ok_or(ScaleError::NotFound)
}

/// `PATCH nodes/{id}/`. Takes effect with the next offer; what runs there goes on.
pub(in crate::api) async fn change(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ScaleError> {
    let id: NodeId = path_id(&id)?;
    let members = members::object(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    check_update(&members, &FIELDS)?;
    api.view().await.catalog.node(id).ok_or(ScaleError::NotFound)?;
    let reason = match members.get("pause_reason") {
        // An empty reason is none.
        Some(Value::Null) => Some(""),
        _ => members::text(&members, "pause_reason")?,
    };
    if reason.is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        let text = format!("Parameter must have at most {REASON_CHARS_MAX} characters: \"pause_reason\"");
        return Err(ScaleError::Bad(text));
    }
    let change = NodeChange {
        is_paused: members::boolean(&members, "is_paused")?,
        pause_reason: reason.map(str::to_owned),
        is_active: members::boolean(&members, "is_active")?,
    };
    let settled = api.write(|engine| engine.edit_node(id, change)).await;
    settled.map_err(|error| {
        scale_unsettled(error, |error| match error {
            CatalogError::Unknown { .. } => ScaleError::NotFound,
            error => ScaleError::Bad(error.to_string()),
        })
    })?;
    Ok(StatusCode::NO_CONTENT)
}
