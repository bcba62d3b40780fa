//! Pending, queued and running jobs over time.

use axum::Json;
use axum::extract::State;

use crate::api::errors::ScaleError;
use crate::api::members::check_range;
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, Params};
use crate::api::state::ApiState;
use crate::api::time;
use crate::api::views::Time;
use crate::api::views::scale::LoadGroup;
use crate::load::{JobLoadGroup, LoadFilter};
use crate::model::{JobTypeId, Timestamp};

/// Days back to the default start, which is a midnight.
const DEFAULT_DAYS: i64 = 7;

/// Days of the longest range between two ends that are both set.
const RANGE_DAYS_MAX: u64 = 31;

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    started: Timestamp,
    ended: Option<Timestamp>,
}

fn read_range(params: &Params, now: Timestamp) -> Result<Range, ScaleError> {
    let started = params.instant("started", now)?.unwrap_or_else(|| time::midnight_before(now, DEFAULT_DAYS));
    let ended = params.instant("ended", now)?;
    check_range(Some(started), ended, Some(RANGE_DAYS_MAX))?;
    Ok(Range { started, ended })
}

/// Which job types count; both lists must let a type through, an absent one lets all.
fn read_types(params: &Params) -> Result<(Vec<JobTypeId>, Vec<String>), ScaleError> {
    let ids = params.integers("job_type_id")?.unwrap_or_default();
    // An id that cannot be is that of no type: 0 is not given away.
    let ids = ids.into_iter().map(|id| JobTypeId(u32::try_from(id).unwrap_or(0)));
    Ok((ids.collect(), params.all("job_type_name").map(str::to_owned).collect()))
}

impl From<JobLoadGroup> for LoadGroup {
    fn from(group: JobLoadGroup) -> Self {
        let JobLoadGroup { time, pending_count, queued_count, running_count } = group;
        Self { time: Time(time), pending_count, queued_count, running_count }
    }
}

/// `GET load/`: one row per measurement, oldest first.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<LoadGroup>>, ScaleError> {
    let range = read_range(&params, api.engine().now())?;
    let (job_type_ids, job_type_names) = read_types(&params)?;
    let (started, ended) = (Some(range.started), range.ended);
    let filter = LoadFilter { started, ended, job_type_ids, job_type_names, ..LoadFilter::default() };
    let groups = api.ask(move |engine| engine.job_load_groups(&filter)).await;
    Ok(Json(page(&groups, &params, &address.url(), |group| LoadGroup::from(*group))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_784_376_000);

    #[test]
    fn ranges_are_checked_where_both_ends_are_set() {
        let check = |query: &str, expected: Result<bool, &str>| {
            let read = read_range(&Params::of(query), NOW).map(|range| range.ended.is_some());
            assert_eq!(read, expected.map_err(|text| ScaleError::Bad(text.to_owned())), "{query}");
        };
        let (different, order) =
            ("Start and end values must be different", "Start time must come before end time");
        let length = "Time range must be between 0 and 31 days, 0:00:00";
        check("", Ok(false));
        check("started=2015-01-01T00:00:00Z", Ok(false));
        check("started=2015-01-01T00:00:00Z&ended=2015-02-01T00:00:00Z", Ok(true));
        check("started=2015-01-01T00:00:00Z&ended=2015-02-01T00:00:00.000001Z", Err(length));
        check("started=2015-01-01T00:00:00Z&ended=2015-01-01T01:00:00%2B01:00", Err(different));
        check("started=2015-02-01T00:00:00Z&ended=2015-01-01T00:00:00Z", Err(order));
        check("started=P31DT1S&ended=PT1S", Ok(true));
        check("started=P33D&ended=PT1S", Err(length));
        check("ended=2015-02-01T00:00:01Z", Err(order));
        check("ended=PT1S", Ok(true));
        check("started=yesterday", Err("Invalid ISO timestamp format for parameter: started"));
        check("ended=P", Err("Invalid ISO timestamp format for parameter: ended"));
    }
}
