//! What is queued, by job type.

use axum::Json;
use axum::extract::State;

use crate::api::errors::ScaleError;
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, Params};
use crate::api::state::ApiState;
use crate::api::views::scale::QueueStatus;

/// `GET queue/status/`: types with something queued; those that are not paused first, then by their
/// most important entry, then by their oldest.
pub(in crate::api) async fn status(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<QueueStatus>>, ScaleError> {
    let view = api.view().await;
    Ok(Json(page(&view.queued_types(), &params, &address.url(), |kind| {
        QueueStatus::new(kind, &view.catalog)
    })?))
}
