//! When a clock rule fires.
//!
//! # Source
//! Scale's clock: times are cut to the minute; without an earlier firing a rule is due where its schedule is a
//! day or more, or that long has passed since midnight UTC; else where its schedule has passed, or a multiple
//! of it since midnight UTC has come since the last firing. So what is hourly sits on the hour and does not
//! drift. Beyond Scale: a second look in the same minute does not fire again, a schedule below an hour fires
//! again after a time in which nobody looked, and one below a minute is cut to itself.

use std::time::Duration;

use crate::model::Timestamp;

const MINUTE_US: i64 = 60 * Timestamp::PER_SECOND;
const DAY_US: i64 = 24 * 60 * MINUTE_US;

/// The start of the piece of `length` since the midnight before, in which `at` lies.
fn cut(at: i64, length: i64) -> i64 {
    let midnight = at.div_euclid(DAY_US).saturating_mul(DAY_US);
    midnight + (at - midnight) / length * length
}

/// Whether a rule with that `schedule` is due at `now`, whose last firing was at `last`.
pub(crate) fn is_due(now: Timestamp, last: Option<Timestamp>, schedule: Duration) -> bool {
    let schedule = i64::try_from(schedule.as_micros()).unwrap_or(i64::MAX).max(1);
    let grain = schedule.min(MINUTE_US);
    let now = cut(now.0, grain);
    let Some(last) = last.map(|last| cut(last.0, grain)) else {
        return schedule >= DAY_US || cut(now, DAY_US).saturating_add(schedule) <= now;
    };
    if schedule > DAY_US {
        return now.saturating_sub(last) >= schedule;
    }
    last < cut(now, schedule)
}

/// Which measurements go for their age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadRetention {
    /// Those older than this go; none: none does.
    pub age: Option<Duration>,
    /// Of those older than this only the first of each piece of `thin_to` stays; none: all do.
    pub thin_after: Option<Duration>,
    /// How long such a piece is, from midnight UTC on.
    pub thin_to: Duration,
}

impl LoadRetention {
    /// All of them stay.
    pub const ALL: Self = Self { age: None, thin_after: None, thin_to: Duration::from_hours(24) };
}

impl Default for LoadRetention {
    fn default() -> Self {
        Self::ALL
    }
}

/// How far the thinning has come. No part of the state: it saves looks, and decides nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thinned(Timestamp);

impl Default for Thinned {
    fn default() -> Self {
        Self(Timestamp(i64::MIN))
    }
}

impl Thinned {
    /// Rows came in that were measured then.
    pub(crate) fn put(&mut self, measured: Timestamp) {
        self.0 = self.0.min(Timestamp(measured.0.saturating_sub(1)));
    }
}

impl super::History {
    /// Measurements that go at `now`, oldest first: at most `most`, after a look at as many more as bounded.
    pub(crate) fn outdated(
        &self,
        now: Timestamp,
        keep: &LoadRetention,
        thinned: &mut Thinned,
        most: usize,
        looks: usize,
    ) -> Vec<Timestamp> {
        let before = |age: Duration| {
            Timestamp(now.0.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)))
        };
        let mut gone: Vec<Timestamp> = Vec::new();
        let oldest = keep.age.map_or(Timestamp(i64::MIN), before);
        gone.extend(self.instants().take_while(|measured| *measured < oldest).take(most));
        let Some(until) = keep.thin_after.map(before).filter(|_| gone.len() < most) else { return gone };
        let piece = i64::try_from(keep.thin_to.as_micros()).unwrap_or(DAY_US).clamp(1, DAY_US);
        let slot = |at: Timestamp| cut(at.0, piece);
        let mut kept = self.instant_until(thinned.0).filter(|measured| *measured >= oldest).map(slot);
        let from = thinned.0.max(Timestamp(oldest.0.saturating_sub(1)));
        for measured in self.instants_after(from).take_while(|measured| *measured < until).take(looks) {
            if gone.len() == most {
                break;
            }
            if kept == Some(slot(measured)) {
                gone.push(measured);
            } else {
                kept = Some(slot(measured));
                thinned.0 = measured;
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Counters, History, LoadRow};
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);

    fn at(hour: i64, minute: i64, second: i64) -> Timestamp {
        Timestamp::from_secs(1_784_332_800 + hour * 3_600 + minute * 60 + second)
    }

    #[test]
    fn a_rule_that_never_fired_is_due_for_a_day_or_once_its_schedule_has_passed_since_midnight() {
        assert!(is_due(at(0, 0, 0), None, DAY) && is_due(at(0, 0, 0), None, 3 * DAY));
        assert!(!is_due(at(0, 59, 59), None, HOUR));
        assert!(is_due(at(1, 0, 0), None, HOUR) && is_due(at(17, 3, 0), None, HOUR));
        assert!(!is_due(at(5, 59, 0), None, 6 * HOUR) && is_due(at(6, 0, 0), None, 6 * HOUR));
    }

    #[test]
    fn what_is_hourly_sits_on_the_hour_and_does_not_drift() {
        assert!(!is_due(at(9, 59, 59), Some(at(9, 1, 0)), HOUR));
        assert!(is_due(at(10, 0, 0), Some(at(9, 1, 0)), HOUR), "less than an hour after a late one");
        assert!(is_due(at(10, 0, 0), Some(at(9, 59, 59)), HOUR));
        // Ticks of a minute that come later and later.
        let (mut last, mut fired) = (at(0, 0, 10), Vec::new());
        for tick in 0..=300 {
            let now = at(0, tick, 11 + tick % 40);
            if is_due(now, Some(last), HOUR) {
                last = now;
                fired.push((now.0 - at(0, 0, 0).0) / MINUTE_US);
            }
        }
        assert_eq!(fired, [60, 120, 180, 240, 300]);
    }

    #[test]
    fn a_second_look_in_the_same_minute_does_not_fire_again() {
        for second in [0, 1, 59] {
            assert!(!is_due(at(10, 0, second), Some(at(10, 0, 0)), HOUR));
            assert!(!is_due(at(0, 0, second), Some(at(0, 0, 0)), DAY));
            assert!(!is_due(at(10, 0, second), Some(at(10, 0, 30)), Duration::from_mins(1)));
        }
        assert!(!is_due(at(9, 0, 0), Some(at(9, 30, 0)), HOUR), "a clock that ran back");
    }

    #[test]
    fn a_time_in_which_nobody_looked_costs_one_late_firing() {
        for schedule in [Duration::from_mins(15), HOUR, DAY] {
            let last = at(10, 0, 0);
            assert!(is_due(at(70, 7, 0), Some(last), schedule), "{schedule:?}");
            assert!(!is_due(at(70, 7, 30), Some(at(70, 7, 0)), schedule), "{schedule:?}");
        }
        assert!(is_due(at(70, 15, 0), Some(at(70, 7, 0)), Duration::from_mins(15)), "on its multiple again");
    }

    #[test]
    fn schedules_of_days_count_from_the_last_firing_and_those_of_a_day_from_midnight() {
        assert!(is_due(at(24, 0, 0), Some(at(13, 0, 0)), DAY));
        assert!(!is_due(at(23, 59, 0), Some(at(0, 0, 0)), DAY));
        assert!(!is_due(at(24, 0, 0), Some(at(13, 0, 0)), 2 * DAY));
        assert!(
            !is_due(at(60, 59, 0), Some(at(13, 0, 0)), 2 * DAY)
                && is_due(at(61, 0, 0), Some(at(13, 0, 0)), 2 * DAY)
        );
    }

    #[test]
    fn schedules_below_a_minute_are_cut_to_themselves() {
        let second = Duration::from_secs(1);
        assert!(is_due(Timestamp(1_000_000), Some(Timestamp(999_999)), second));
        assert!(!is_due(Timestamp(1_999_999), Some(Timestamp(1_000_000)), second));
    }

    fn hourly(days: i64) -> History {
        let mut history = History::default();
        for hour in 0..days * 24 {
            history.take(at(hour, 5, 0), &Counters::default(), u32::MAX, &mut Vec::new());
        }
        history
    }

    /// Hours since the first day that are left once nothing goes any more, some at a time.
    fn left(history: &mut History, now: Timestamp, keep: LoadRetention, most: usize) -> Vec<i64> {
        let mut thinned = Thinned::default();
        loop {
            let gone = history.outdated(now, &keep, &mut thinned, most, 7);
            assert!(gone.len() <= most && gone.is_sorted());
            if gone.is_empty() && history.outdated(now, &keep, &mut thinned, most, 7).is_empty() {
                break;
            }
            history.drop_all(&gone, &mut Vec::new());
        }
        history.iter().map(|row| (row.measured.0 - at(0, 5, 0).0) / 3_600_000_000).collect()
    }

    #[test]
    fn old_measurements_are_thinned_to_the_first_of_each_piece() {
        let mut keep = LoadRetention { thin_after: Some(DAY), ..LoadRetention::ALL };
        let now = at(4 * 24, 0, 0);
        for most in [1, 5, 100] {
            let mut history = hourly(4);
            let hours = left(&mut history, now, keep, most);
            assert_eq!(hours[..3], [0, 24, 48]);
            assert_eq!(hours[3..], (72..96).collect::<Vec<_>>(), "{most} at a time");
        }
        keep.thin_to = 6 * HOUR;
        let hours = left(&mut hourly(3), at(3 * 24, 0, 0), keep, 100);
        assert_eq!(hours[..8], [0, 6, 12, 18, 24, 30, 36, 42]);
        assert_eq!(hours.len(), 8 + 24);
    }

    #[test]
    fn measurements_go_at_an_age_and_what_stays_is_thinned_as_if_they_never_were() {
        let keep =
            LoadRetention { age: Some(2 * DAY + 12 * HOUR), thin_after: Some(DAY), ..LoadRetention::ALL };
        let hours = left(&mut hourly(4), at(4 * 24, 0, 0), keep, 10);
        assert_eq!(hours[..2], [36, 48], "half of the second day is too old");
        assert_eq!(hours[2..], (72..96).collect::<Vec<_>>());
        let none = LoadRetention { age: Some(Duration::ZERO), ..LoadRetention::ALL };
        assert!(left(&mut hourly(1), at(48, 0, 0), none, 10).is_empty());
    }

    #[test]
    fn what_comes_in_late_is_thinned_too() {
        let keep = LoadRetention { thin_after: Some(HOUR), ..LoadRetention::ALL };
        let (mut history, mut thinned) = (hourly(2), Thinned::default());
        let now = at(72, 0, 0);
        let gone = history.outdated(now, &keep, &mut thinned, 1_000, 1_000);
        assert_eq!(gone.len(), 46);
        history.drop_all(&gone, &mut Vec::new());
        assert_eq!(history.outdated(now, &keep, &mut thinned, 1_000, 1_000), []);
        let late = LoadRow { measured: at(3, 0, 0), job_type: None, pending: 0, queued: 0, running: 0 };
        history.put_rows(&[late], u32::MAX, &mut Vec::new());
        thinned.put(late.measured);
        assert_eq!(history.outdated(now, &keep, &mut thinned, 1_000, 1_000), [late.measured]);
    }
}
