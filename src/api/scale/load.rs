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
use crate::engine::View;
use crate::load::LoadRow;
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
struct Filter {
    ids: Vec<i64>,
    /// Ids of the types of the names asked for.
    named: Option<Vec<JobTypeId>>,
}

impl Filter {
    fn read(params: &Params, view: &View) -> Result<Self, ScaleError> {
        let ids = params.integers("job_type_id")?.unwrap_or_default();
        let names: Vec<&str> = params.all("job_type_name").collect();
        let types = view.types.iter().map(|kind| &kind.job_type);
        let of_name = types.filter(|kind| names.contains(&kind.spec.name.as_str())).map(|kind| kind.id);
        let named = (!names.is_empty()).then(|| of_name.collect());
        Ok(Self { ids, named })
    }

    fn takes(&self, row: &LoadRow) -> bool {
        if self.ids.is_empty() && self.named.is_none() {
            return true;
        }
        row.job_type.is_some_and(|id| {
            (self.ids.is_empty() || self.ids.contains(&i64::from(id.0)))
                && self.named.as_ref().is_none_or(|named| named.contains(&id))
        })
    }
}

/// Sums rows of one instant, which stand together.
fn groups<'r>(rows: impl Iterator<Item = &'r LoadRow>) -> Vec<LoadGroup> {
    let mut groups: Vec<LoadGroup> = Vec::new();
    for row in rows {
        match groups.last_mut().filter(|group| group.time == Time(row.measured)) {
            Some(group) => {
                group.pending_count += row.pending;
                group.queued_count += row.queued;
                group.running_count += row.running;
            }
            None => groups.push(LoadGroup {
                time: Time(row.measured),
                pending_count: row.pending,
                queued_count: row.queued,
                running_count: row.running,
            }),
        }
    }
    groups
}

/// `GET load/`: one row per measurement, oldest first.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<LoadGroup>>, ScaleError> {
    let range = read_range(&params, api.engine().now())?;
    let filter = Filter::read(&params, &*api.view().await)?;
    let rows = api.ask(move |engine| engine.load(range.started, range.ended)).await;
    let groups = groups(rows.iter().filter(|row| filter.takes(row)));
    Ok(Json(page(&groups, &params, &address.url(), |group| *group)?))
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

    #[test]
    fn rows_of_one_instant_are_summed() {
        let row = |at, queued| LoadRow {
            measured: Timestamp(at),
            job_type: Some(JobTypeId(1)),
            pending: 1,
            queued,
            running: 0,
        };
        let rows = [row(1, 2), row(1, 3), row(2, 4)];
        let sums: Vec<_> = groups(rows.iter()).iter().map(|g| (g.pending_count, g.queued_count)).collect();
        assert_eq!(sums, [(2, 5), (1, 4)]);
    }
}
