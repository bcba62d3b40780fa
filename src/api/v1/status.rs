//! The whole at a glance, and what waits.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::view;
use crate::api::errors::Problem;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::views::own::{Explanation, JobTypeRef, Log, Status};
use crate::decision::Policy;
use crate::engine::Engine;

/// `GET status`.
pub(in crate::api) async fn status(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Status>, Problem> {
    let view = view(&api, &params).await?;
    let engine = api.engine();
    let failure = engine.failure().map(|error| error.to_string());
    let log = Log {
        is_healthy: failure.is_none(),
        failure,
        durable: engine.durable().0,
        n_commits: engine.n_commits(),
    };
    let driver = engine.driver_report();
    Ok(Json(Status::new(&view, driver.as_deref(), log, engine.now().since(api.started()))))
}

/// `GET policy`.
pub(in crate::api) async fn policy(State(api): State<ApiState>) -> Json<Policy> {
    Json(api.engine().policy().clone())
}

#[derive(Debug, Serialize)]
struct WaitingRow {
    job_type: JobTypeRef,
    #[serde(flatten)]
    why: Explanation,
}

/// Why the first entry of each job type waits.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Waiting {
    waiting: Vec<WaitingRow>,
}

/// `GET waiting`.
pub(in crate::api) async fn waiting(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Waiting>, Problem> {
    let view = view(&api, &params).await?;
    let rows = api.ask(Engine::waiting).await;
    let row = |(id, why): &_| WaitingRow {
        job_type: JobTypeRef::of(*id, &view),
        why: Explanation::new(why, &view),
    };
    Ok(Json(Waiting { waiting: rows.iter().map(row).collect() }))
}
