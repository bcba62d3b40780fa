//! Load rows, as measured.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{find_job_type, limit_of, view};
use crate::api::errors::Problem;
use crate::api::limits::{LOAD_ROWS, LOAD_ROWS_MAX};
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::time;
use crate::api::views::Time;
use crate::api::views::own::Load;
use crate::load::LoadRow;
use crate::model::Timestamp;

/// Days back to the default start, which is a midnight.
const DEFAULT_DAYS: i64 = 7;

/// Rows, oldest first.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Rows {
    rows: Vec<Load>,
    /// The `started` of what comes next; none at the end.
    next: Option<Time>,
}

fn instant(params: &Params, name: &str, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let wrong = |text: &str| {
        Problem::parameter(
            name,
            format!("{text:?} is no instant: 2026-01-31T12:00:00Z, or PT1H for an hour ago"),
        )
    };
    params.last(name).map(|text| time::read(text, now).ok_or_else(|| wrong(text))).transpose()
}

/// Where to cut so that no measurement is cut in two: `limit` rows, or one whole measurement.
fn cut(rows: &[LoadRow], limit: usize) -> usize {
    let Some(beyond) = rows.get(limit) else { return rows.len() };
    let start = rows.partition_point(|row| row.measured < beyond.measured);
    if start > 0 { start } else { rows.partition_point(|row| row.measured <= beyond.measured) }
}

/// `GET load`.
pub(in crate::api) async fn list(State(api): State<ApiState>, params: Params) -> Result<Json<Rows>, Problem> {
    let now = api.engine().now();
    let started = instant(&params, "started", now)?;
    let started = started.unwrap_or_else(|| time::midnight_before(now, DEFAULT_DAYS));
    let ended = instant(&params, "ended", now)?;
    let limit = limit_of(&params, LOAD_ROWS, LOAD_ROWS_MAX)?;
    let view = view(&api, &params).await?;
    let types =
        params.all("job_type").map(|text| find_job_type(text, &view)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = api.ask(move |engine| engine.load(started, ended)).await;
    if !types.is_empty() {
        rows.retain(|row| row.job_type.is_some_and(|id| types.contains(&id)));
    }
    let end = cut(&rows, limit);
    let next = rows.get(end).map(|row| Time(row.measured));
    Ok(Json(Rows { rows: rows[..end].iter().map(|row| Load::new(row, &view)).collect(), next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_measurement_is_cut_in_two() {
        let row = |at| LoadRow { measured: Timestamp(at), job_type: None, pending: 0, queued: 0, running: 0 };
        let rows: Vec<LoadRow> = [1, 1, 2, 2, 2, 3].map(row).to_vec();
        for (limit, expected) in [(1, 2), (2, 2), (3, 2), (4, 2), (5, 5), (6, 6), (7, 6)] {
            assert_eq!(cut(&rows, limit), expected, "{limit}");
        }
        assert_eq!(cut(&[], 1), 0);
    }
}
