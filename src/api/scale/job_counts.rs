//! Jobs by type and status: what is pending, runs, changed lately, and failed by no fault of its own.
//!
//! How many are pending or run is a kept count. Times, and what changed lately, are taken from the newest
//! [`COUNTED_JOBS_MAX`] jobs that could matter.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::api::errors::ScaleError;
use crate::api::job_list::scale_refused;
use crate::api::limits::COUNTED_JOBS_MAX;
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, Params};
use crate::api::state::ApiState;
use crate::api::time;
use crate::api::views::Time;
use crate::api::views::scale::{ErrorFull, JobTypeBase};
use crate::engine::{JobTypeView, View};
use crate::limits::LIST_MAX;
use crate::load::StatusCounts;
use crate::model::{
    ErrorCategory, ErrorId, Job, JobColumn, JobFilter, JobOrder, JobQuery, JobStatus, JobTypeId, Timestamp,
};

/// How far back `status/` looks where nothing is said.
const STATUS_SINCE: &str = "PT3H0M0S";

/// Shows `visit` the jobs of a filter, the one that changed last first.
async fn walk(api: &ApiState, filter: JobFilter, mut visit: impl FnMut(&Job)) -> Result<(), ScaleError> {
    let order = [JobOrder::descending(JobColumn::Changed)];
    let (mut after, mut n_seen) = (None, 0);
    loop {
        let mut query = JobQuery::new(LIST_MAX).filter(filter.clone()).order(order);
        query.after = after;
        let page = api.ask(move |engine| engine.list_jobs(&query)).await;
        let page = page.map_err(|error| scale_refused(&error))?;
        page.jobs.iter().for_each(&mut visit);
        n_seen += page.jobs.len();
        after = page.next;
        if after.is_none() || n_seen >= COUNTED_JOBS_MAX {
            return Ok(());
        }
    }
}

/// Job types that have jobs of a status, with their number and the longest time one is in it; the longest first.
async fn by_type(
    api: &ApiState,
    status: JobStatus,
    count: fn(&StatusCounts) -> u64,
) -> Result<Vec<(JobTypeBase, u64, Option<Timestamp>)>, ScaleError> {
    let view = api.view().await;
    let has = |kind: &&JobTypeView| count(&kind.counts) > 0;
    let mut longest: BTreeMap<JobTypeId, Timestamp> = BTreeMap::new();
    if view.types.iter().any(|kind| has(&kind)) {
        walk(api, JobFilter::default().statuses([status]), |job| {
            if let Some(since) = job.changed() {
                let known = longest.entry(job.job_type).or_insert(since);
                *known = since.min(*known);
            }
        })
        .await?;
    }
    let mut rows: Vec<(&JobTypeView, Option<Timestamp>)> =
        view.types.iter().filter(has).map(|kind| (kind, longest.get(&kind.job_type.id).copied())).collect();
    rows.sort_by_key(|(kind, since)| (since.is_none(), *since, kind.job_type.id));
    let row = |(kind, since): (&JobTypeView, _)| {
        (JobTypeBase::new(&kind.job_type, &view.catalog), count(&kind.counts), since)
    };
    Ok(rows.into_iter().map(row).collect())
}

/// `GET job-types/pending/`.
pub(in crate::api) async fn pending(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<Value>>, ScaleError> {
    let rows = by_type(&api, JobStatus::Pending, |counts| counts.pending).await?;
    Ok(Json(page(
        &rows,
        &params,
        &address.url(),
        |(kind, count, since)| json!({"job_type": kind, "count": count, "longest_pending": since.map(Time)}),
    )?))
}

/// `GET job-types/running/`.
pub(in crate::api) async fn running(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<Value>>, ScaleError> {
    let rows = by_type(&api, JobStatus::Running, |counts| counts.running).await?;
    Ok(Json(page(
        &rows,
        &params,
        &address.url(),
        |(kind, count, since)| json!({"job_type": kind, "count": count, "longest_running": since.map(Time)}),
    )?))
}

/// Whose fault the failure of a job is.
fn category(job: &Job, view: &View) -> Option<(ErrorId, String)> {
    let id = ErrorId::of(&job.end.as_ref().filter(|_| job.status == JobStatus::Failed)?.outcome)?;
    Some((id, view.catalog.error(id).map(|error| error.category.clone())?))
}

/// `GET job-types/status/`.
pub(in crate::api) async fn status(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<Value>>, ScaleError> {
    let now = api.engine().now();
    let is_active = params.boolean("is_active")?;
    let started = params.instant("started", now)?.or_else(|| time::read(STATUS_SINCE, now));
    let ended = params.instant("ended", now)?;
    let view = api.view().await;
    let is_in =
        |at: Timestamp| started.is_none_or(|started| at >= started) && ended.is_none_or(|ended| at <= ended);
    // Whatever runs counts, since whenever.
    let mut counts: BTreeMap<(JobTypeId, usize, Option<String>), (u64, Timestamp)> = BTreeMap::new();
    let mut visit = |job: &Job| {
        if job.status != JobStatus::Running && !job.changed().is_some_and(is_in) {
            return;
        }
        let place = JobStatus::ALL.iter().position(|status| *status == job.status).unwrap_or_default();
        let category = category(job, &view).map(|(_, category)| category);
        let (count, recent) =
            counts.entry((job.job_type, place, category)).or_insert((0, job.last_status_change));
        *count += 1;
        *recent = job.last_status_change.max(*recent);
    };
    let others = JobStatus::ALL.into_iter().filter(|status| *status != JobStatus::Running);
    let mut lately = JobFilter::default().statuses(others);
    (lately.started, lately.ended) = (started, ended);
    walk(&api, lately, &mut visit).await?;
    walk(&api, JobFilter::default().statuses([JobStatus::Running]), &mut visit).await?;
    let mut types: Vec<&JobTypeView> = view.types.iter().collect();
    types.retain(|kind| is_active.is_none_or(|wanted| kind.job_type.spec.is_active == wanted));
    types.sort_by_key(|kind| (kind.job_type.last_modified, kind.job_type.id));
    Ok(Json(page(&types, &params, &address.url(), |kind| {
        let id = kind.job_type.id;
        let of_type = counts.range((id, 0, None)..(JobTypeId(id.0.saturating_add(1)), 0, None));
        let rows = of_type.map(|((_, place, category), (count, recent))| {
            let status = JobStatus::ALL[*place].as_str();
            json!({"status": status, "count": count, "most_recent": Time(*recent), "category": category})
        });
        let rows: Vec<Value> = rows.collect();
        json!({"job_type": JobTypeBase::new(&kind.job_type, &view.catalog), "job_counts": rows})
    })?))
}

/// `GET job-types/system-failures/`: the newest first.
pub(in crate::api) async fn system_failures(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<Value>>, ScaleError> {
    let view = api.view().await;
    let system = ErrorCategory::System.as_str();
    let errors = view.catalog.errors().filter(|error| error.category == system).map(|error| error.id);
    let filter = JobFilter::default().statuses([JobStatus::Failed]).errors(errors);
    let mut found: BTreeMap<(JobTypeId, ErrorId), (u64, Timestamp, Timestamp)> = BTreeMap::new();
    walk(&api, filter, |job| {
        let Some((error, _)) = category(job, &view) else { return };
        let at = job.last_status_change;
        let (count, first, last) = found.entry((job.job_type, error)).or_insert((0, at, at));
        *count += 1;
        (*first, *last) = (at.min(*first), at.max(*last));
    })
    .await?;
    let mut rows: Vec<_> = found.into_iter().collect();
    rows.sort_by_key(|((kind, error), (_, _, last))| (std::cmp::Reverse(*last), *kind, *error));
    Ok(Json(page(&rows, &params, &address.url(), |((kind, error), (count, first, last))| {
        json!({
            "job_type": JobTypeBase::of(*kind, &view),
            "error": view.catalog.error(*error).map(ErrorFull::beside_count),
            "count": count,
            "first_error": Time(*first),
            "last_error": Time(*last),
        })
    })?))
}
