//! The journal: what was decided lately, and what keeps the rest.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{limit, number};
use crate::api::errors::Problem;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::views::journal::Note;
use crate::engine::Engine;

/// Notes, the oldest first.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Journal {
    entries: Vec<Note>,
    /// The `after` of what comes next.
    next: u64,
    /// Notes after the one that was asked for that are gone.
    n_lost: u64,
}

/// `GET journal`: after a number; else the newest.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Journal>, Problem> {
    let limit = limit(&params)?;
    let asked = number(&params, "after")?;
    // Nothing of it is on disk, ever.
    let read = move |engine: &Engine| {
        let after = asked.unwrap_or_else(|| engine.journal_newest().saturating_sub(limit as u64));
        (after, engine.journal(after, limit))
    };
    let (after, entries) = api.ask_ahead(read).await;
    let view = api.view().await;
    let first = entries.first().filter(|_| asked.is_some());
    Ok(Json(Journal {
        n_lost: first.map_or(0, |first| first.number - after - 1),
        next: entries.last().map_or(after, |last| last.number),
        entries: entries.iter().map(|entry| Note::new(entry, &view)).collect(),
    }))
}
