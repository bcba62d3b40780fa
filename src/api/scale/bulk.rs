//! Many jobs at once: queued again, or canceled. The order is on disk when it is answered; the work follows.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use crate::api::body;
use crate::api::bulk_filter::{priority, read_filter};
use crate::api::errors::{ScaleError, scale_unsettled};
use crate::api::limits::{BODY_BYTES_MAX, BULK_WAIT_MAX};
use crate::api::members;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::engine::BulkError;
use crate::model::{BulkKind, JobFilter};

fn refused(error: &BulkError) -> ScaleError {
    match error {
        BulkError::TooMany | BulkError::Jobs { .. } => ScaleError::Unavailable(error.to_string()),
        _ => ScaleError::Bad(error.to_string()),
    }
}

async fn order(
    api: ApiState,
    params: Params,
    headers: HeaderMap,
    body: Body,
    kind: BulkKind,
) -> Result<StatusCode, ScaleError> {
    let members = members::asked(&body::bytes(&headers, body, BODY_BYTES_MAX).await?, &params)?;
    let view = api.view().await;
    let filter = read_filter(&members, &view, api.engine().now())?;
    let priority = if kind == BulkKind::Requeue { priority(&members)? } else { None };
    if filter == JobFilter::default() {
        return Err(refused(&BulkError::Unfiltered));
    }
    let settled = api.write(|engine| engine.bulk(kind, filter, priority)).await;
    let (id, _) = settled.map_err(|error| scale_unsettled(error, refused))?;
    api.ask_ahead(move |engine| engine.bulk_wait(id, BULK_WAIT_MAX)).await;
    api.tell_all();
    Ok(StatusCode::ACCEPTED)
}

/// `POST jobs/requeue/`.
pub(in crate::api) async fn requeue(
    State(api): State<ApiState>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ScaleError> {
    order(api, params, headers, body, BulkKind::Requeue).await
}

/// `POST jobs/cancel/`.
pub(in crate::api) async fn cancel(
    State(api): State<ApiState>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ScaleError> {
    order(api, params, headers, body, BulkKind::Cancel).await
}
