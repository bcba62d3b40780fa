//! Load rows as measured, and drawn together for a chart.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{find_job_type, limit_of, number, view};
use crate::api::errors::Problem;
use crate::api::limits::{LOAD_ROWS, LOAD_ROWS_MAX, SERIES_CELLS_MAX, SERIES_POINTS, SERIES_POINTS_MAX};
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::time;
use crate::api::views::Time;
use crate::api::views::own::{JobTypeRef, Load};
use crate::engine::View;
use crate::load::{LoadFilter, LoadHistory, LoadRow};
use crate::model::{JobTypeId, Timestamp};

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

fn read_filter(params: &Params, now: Timestamp, view: &View) -> Result<LoadFilter, Problem> {
    let started = instant(params, "started", now)?;
    let started = Some(started.unwrap_or_else(|| time::midnight_before(now, DEFAULT_DAYS)));
    let ended = instant(params, "ended", now)?;
    let types = params.all("job_type").map(|text| find_job_type(text, view));
    let job_type_ids = types.collect::<Result<Vec<_>, _>>()?;
    Ok(LoadFilter { started, ended, job_type_ids, ..LoadFilter::default() })
}

/// As many rows as tell where to cut.
fn enough(history: &LoadHistory, limit: usize) -> Vec<LoadRow> {
    let mut rows: Vec<LoadRow> = Vec::new();
    for row in history.rows() {
        if rows.len() > limit && rows.first().is_some_and(|first| first.measured != row.measured) {
            break;
        }
        rows.push(row);
    }
    rows
}

/// `GET load`.
pub(in crate::api) async fn list(State(api): State<ApiState>, params: Params) -> Result<Json<Rows>, Problem> {
    let limit = limit_of(&params, LOAD_ROWS, LOAD_ROWS_MAX)?;
    let view = view(&api, &params).await?;
    let filter = read_filter(&params, api.engine().now(), &view)?;
    let rows = api.ask(move |engine| enough(&engine.load_history(&filter), limit)).await;
    let end = cut(&rows, limit);
    let next = rows.get(end).map(|row| Time(row.measured));
    Ok(Json(Rows { rows: rows[..end].iter().map(|row| Load::new(row, &view)).collect(), next }))
}

/// The measurements of a range in pieces of equal length.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Series {
    started: Time,
    ended: Time,
    /// Seconds of a piece.
    step_s: f64,
    /// By id; at last, where it was measured, the idle system.
    series: Vec<OfType>,
}

/// One job type over time; of each piece the measurement with the most jobs, none where there was none.
#[derive(Debug, Serialize)]
struct OfType {
    job_type: Option<JobTypeRef>,
    pending: Vec<Option<u64>>,
    queued: Vec<Option<u64>>,
    running: Vec<Option<u64>>,
}

/// Of each type and piece, by type, the row with the most jobs; the row without a type comes last. A piece in
/// which something was measured, but not of this type, has zeros. Types beyond [`SERIES_CELLS_MAX`] are left out.
fn drawn_together(
    history: &LoadHistory,
    (started, ended): (Timestamp, Timestamp),
    n: usize,
) -> Vec<(Option<JobTypeId>, Vec<Option<LoadRow>>)> {
    let length = i128::from(ended.0) - i128::from(started.0) + 1;
    let piece = |at: Timestamp| {
        let place = (i128::from(at.0) - i128::from(started.0)) * n as i128 / length;
        usize::try_from(place).unwrap_or(0).min(n - 1)
    };
    let mut of: BTreeMap<(bool, Option<JobTypeId>), Vec<Option<LoadRow>>> = BTreeMap::new();
    let mut measured: Vec<Option<Timestamp>> = vec![None; n];
    for row in history.rows() {
        let place = piece(row.measured);
        measured[place] = Some(row.measured);
        let (is_full, key) = (of.len() * n >= SERIES_CELLS_MAX, (row.job_type.is_none(), row.job_type));
        if is_full && !of.contains_key(&key) {
            continue;
        }
        let all = of.entry(key).or_insert_with(|| vec![None; n]);
        if all[place].is_none_or(|most| most.total() <= row.total()) {
            all[place] = Some(row);
        }
    }
    for ((_, job_type), all) in &mut of {
        for (row, measured) in all.iter_mut().zip(&measured) {
            let idle =
                |measured| LoadRow { measured, job_type: *job_type, pending: 0, queued: 0, running: 0 };
            *row = row.or_else(|| measured.map(idle));
        }
    }
    of.into_iter().map(|((_, job_type), all)| (job_type, all)).collect()
}

impl OfType {
    fn new(job_type: Option<JobTypeId>, rows: &[Option<LoadRow>], view: &View) -> Self {
        let column = |count: fn(&LoadRow) -> u64| rows.iter().map(|row| row.as_ref().map(count)).collect();
        Self {
            job_type: job_type.map(|id| JobTypeRef::of(id, view)),
            pending: column(|row| row.pending),
            queued: column(|row| row.queued),
            running: column(|row| row.running),
        }
    }
}

/// `GET load/series`.
pub(in crate::api) async fn series(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Series>, Problem> {
    let n = number(&params, "points")?.map_or(SERIES_POINTS, |n| usize::try_from(n).unwrap_or(0));
    let n = n.clamp(1, SERIES_POINTS_MAX);
    let view = view(&api, &params).await?;
    let now = api.engine().now();
    let filter = read_filter(&params, now, &view)?;
    let started = filter.started.unwrap_or(now);
    let ended = filter.ended.unwrap_or(now).max(started);
    let rows =
        api.ask(move |engine| drawn_together(&engine.load_history(&filter), (started, ended), n)).await;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let step_s = ended.since(started).as_secs_f64() / n as f64;
    let series = rows.iter().map(|(job_type, rows)| OfType::new(*job_type, rows, &view)).collect();
    Ok(Json(Series { started: Time(started), ended: Time(ended), step_s, series }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::History;

    #[test]
    fn a_piece_shows_its_measurement_with_the_most_jobs() {
        let row = |at, kind: u32, queued| LoadRow {
            measured: Timestamp(at),
            job_type: (kind > 0).then_some(JobTypeId(kind)),
            pending: 1,
            queued,
            running: 0,
        };
        let mut history = History::default();
        let rows = [row(0, 2, 3), row(4, 1, 9), row(4, 2, 5), row(5, 1, 2), row(30, 1, 7), row(39, 0, 0)];
        history.put_rows(&rows, 100, &mut Vec::new());
        let looked = history.shared(None, None);
        let drawn = drawn_together(&looked, (Timestamp(0), Timestamp(39)), 4);
        let queued =
            |rows: &[Option<LoadRow>]| rows.iter().map(|row| row.map(|row| row.queued)).collect::<Vec<_>>();
        let drawn: Vec<_> = drawn.iter().map(|(kind, rows)| (kind.map(|id| id.0), queued(rows))).collect();
        let (one, two) = (vec![Some(9), None, None, Some(7)], vec![Some(5), None, None, Some(0)]);
        assert_eq!(drawn, [(Some(1), one), (Some(2), two), (None, vec![Some(0), None, None, Some(0)])]);
        assert_eq!(
            drawn_together(&looked, (Timestamp(39), Timestamp(39)), 1).len(),
            3,
            "no length, one piece"
        );
    }

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
