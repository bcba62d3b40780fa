//! Nodes: what may run on one.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::view;
use crate::api::errors::Problem;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::views::node_why::NodeExplanation;
use crate::engine::View;
use crate::model::NodeId;

/// The node that `text` means: an id, or a name.
fn find(text: &str, view: &View) -> Option<NodeId> {
    let by_id = text.parse().ok().map(NodeId).filter(|id| view.node(*id).is_some());
    let by_name = || view.nodes.iter().find(|status| status.node.name == text).map(|status| status.node.id);
    by_id.or_else(by_name)
}

/// `GET nodes/{id}/explain`: the id, or the name.
pub(in crate::api) async fn explain(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<NodeExplanation>, Problem> {
    view(&api, &params).await?;
    // Nodes come and go without a position of the log.
    let view = api.newest_view().await;
    let not_there = || {
        let detail = format!("no node {id:?} was seen since the start");
        Problem::new(StatusCode::NOT_FOUND, "no-such-node", "No such node", detail)
    };
    let node = find(&id, &view).ok_or_else(not_there)?;
    let why = api.ask(move |engine| engine.node_why(node)).await.ok_or_else(not_there)?;
    Ok(Json(NodeExplanation::new(&why, &view)))
}
