//! Counts of the past, one row per job type and measurement.
//!
//! H1  Rows of one measurement stand together, ordered by job type; measurements never go back.
//! H2  A measurement that found nothing to count leaves one row without a type, so that a chart
//!     has no hole.

use std::collections::VecDeque;
use std::time::Duration;

use bincode::{Decode, Encode};

use super::counters::Counters;
use crate::model::{JobTypeId, Timestamp};

/// Counts of one job type at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LoadRow {
    /// When.
    pub measured: Timestamp,
    /// Which type; none in the row of an idle system.
    pub job_type: Option<JobTypeId>,
    /// PENDING jobs.
    pub pending: u64,
    /// QUEUED jobs.
    pub queued: u64,
    /// RUNNING jobs.
    pub running: u64,
}

impl LoadRow {
    /// The sum of the three.
    pub fn total(&self) -> u64 {
        self.pending + self.queued + self.running
    }
}

/// The rows that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History(VecDeque<LoadRow>);

impl History {
    /// Takes `counters` down. `keep_rows` bounds what is kept; older rows go.
    pub(crate) fn take(&mut self, measured: Timestamp, counters: &Counters, keep_rows: u32) {
        let n_before = self.0.len();
        for (job_type, counts) in counters.iter() {
            let (pending, queued, running) = (counts.pending, counts.queued, counts.running);
            if pending + queued + running > 0 {
                let job_type = Some(job_type);
                self.0.push_back(LoadRow { measured, job_type, pending, queued, running });
            }
        }
        if self.0.len() == n_before {
            self.0.push_back(LoadRow { measured, job_type: None, pending: 0, queued: 0, running: 0 });
        }
        let surplus = self.0.len().saturating_sub(keep_rows as usize);
        self.0.drain(..surplus);
    }

    /// Puts back a row that was stored.
    pub(crate) fn restore(&mut self, row: LoadRow) {
        self.0.push_back(row);
    }

    /// All rows, oldest first.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &LoadRow> {
        self.0.iter()
    }

    /// Rows from `started` on, oldest first. Cost: a search, and the rows.
    pub(crate) fn since(&self, started: Timestamp) -> impl Iterator<Item = &LoadRow> {
        let from = self.0.partition_point(|row| row.measured < started);
        self.0.range(from..)
    }

    /// When the newest measurement was made.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.0.back().map(|row| row.measured)
    }
}

/// Whether a measurement is due at `now`: a multiple of `period` since midnight UTC lies between
/// the last one (or, at first, the start of the engine) and now. So hourly rows sit on the hour
/// and do not drift, and a time the engine was down costs one late row, not many.
pub(crate) fn is_due(now: Timestamp, last: Timestamp, period: Duration) -> bool {
    let day = 24 * 60 * 60 * Timestamp::PER_SECOND;
    let period = i64::try_from(period.as_micros()).unwrap_or(day).clamp(1, day);
    let slot = |at: Timestamp| (at.0.div_euclid(day), at.0.rem_euclid(day) / period);
    slot(now) > slot(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobStatus;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn an_idle_system_leaves_a_placeholder_row() {
        let mut history = History::default();
        let mut counters = Counters::default();
        counters.add(JobTypeId(2), JobStatus::Completed);
        history.take(Timestamp(1), &counters, 10);
        counters.add(JobTypeId(2), JobStatus::Queued);
        history.take(Timestamp(2), &counters, 10);
        let rows: Vec<_> = history.iter().map(|row| (row.job_type, row.total())).collect();
        assert_eq!(rows, [(None, 0), (Some(JobTypeId(2)), 1)]);
        assert_eq!(history.since(Timestamp(2)).count(), 1);
    }

    #[test]
    fn old_rows_go_when_there_are_too_many() {
        let mut history = History::default();
        for n in 0..5 {
            history.take(Timestamp(n), &Counters::default(), 3);
        }
        assert_eq!(history.iter().map(|row| row.measured.0).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn measurements_sit_on_multiples_of_the_period() {
        let at = |h: i64, m: i64| Timestamp::from_secs(h * 3_600 + m * 60);
        assert!(!is_due(at(9, 59), at(9, 1), HOUR));
        assert!(is_due(at(10, 0), at(9, 1), HOUR));
        assert!(!is_due(at(10, 1), at(10, 0), HOUR));
        assert!(is_due(at(15, 30), at(10, 0), HOUR), "once, after a time down");
        assert!(is_due(at(24, 0), at(23, 59), HOUR));
        assert!(!is_due(at(9, 0), at(9, 30), HOUR), "a clock that ran back");
        assert!(is_due(Timestamp(1_000_000), Timestamp(999_999), Duration::from_secs(1)));
    }
}
