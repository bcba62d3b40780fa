//! Instants as text: how they leave, and the forms in which they come in.
//!
//! # Source
//! Scale's REST: date-times as Django reads them, with a zone; or an ISO 8601 duration, which means
//! so long before now. Beyond Scale, offsets west of Greenwich and weeks are read too.

use jiff::civil::DateTime;

use crate::model::Timestamp;

/// Longest text that is looked at.
const TEXT_LEN_MAX: usize = 64;

const MINUTE_US: i64 = 60 * Timestamp::PER_SECOND;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;

/// The beginning of 1970, from which instants are counted.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// The beginning of the year 1. What lies before it no call takes.
const FIRST: Timestamp = Timestamp::from_secs(-62_135_596_800);

/// The first and the last instant that leave as they are.
const EARLIEST: Timestamp = Timestamp::from_secs(-377_705_116_800);
const LATEST: Timestamp = Timestamp(253_402_300_800 * Timestamp::PER_SECOND - 1);

/// ISO 8601 in UTC, with microseconds only where there are any.
pub(crate) fn text(at: Timestamp) -> String {
    at.clamp(EARLIEST, LATEST).to_string()
}

/// Reads an instant as the calls do: an ISO 8601 date-time with a zone (`2026-01-31T12:00:00Z`, also with a blank
/// in place of the `T`), or a duration (`PT1H`, `P7D`, `P1W`), which means so long before `now`. `None` for
/// anything else.
pub fn read_instant(text: &str, now: Timestamp) -> Option<Timestamp> {
    read(text, now)
}

/// A duration as ISO 8601 text, to the second.
pub(super) fn duration_text(duration: std::time::Duration) -> String {
    let all = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    let (days, hours, minutes, seconds) = (all / 86_400, all / 3_600 % 24, all / 60 % 60, all % 60);
    let part = |n: u64, unit: &str| if n == 0 { String::new() } else { format!("{n}{unit}") };
    format!("P{}T{}{}{seconds}S", part(days, "D"), part(hours, "H"), part(minutes, "M"))
}

/// Midnight UTC at the beginning of the day `days` before that of `now`.
pub(crate) fn midnight_before(now: Timestamp, days: i64) -> Timestamp {
    Timestamp((now.0.div_euclid(DAY_US) - days) * DAY_US)
}

/// A date-time with a zone, or a duration before `now`; `None` for anything else.
pub(crate) fn read(text: &str, now: Timestamp) -> Option<Timestamp> {
    if text.len() > TEXT_LEN_MAX || !text.is_ascii() {
        return None;
    }
    match text.strip_prefix('P') {
        Some(parts) => {
            let at = Timestamp(now.0.checked_sub(read_duration(parts)?)?);
            (at >= FIRST).then_some(at)
        }
        None => read_date_time(text),
    }
}

/// Reads ASCII text from left to right.
struct Scan<'t>(&'t str);

impl<'t> Scan<'t> {
    fn take(&mut self, any: &[char]) -> Option<char> {
        let first = self.0.chars().next().filter(|c| any.contains(c))?;
        self.0 = &self.0[1..];
        Some(first)
    }

    /// As many digits as there are, at least one.
    fn digits(&mut self) -> Option<&'t str> {
        let end = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(digits).filter(|digits| !digits.is_empty())
    }

    /// A number of `min` to `max` digits.
    fn number(&mut self, min: usize, max: usize) -> Option<i16> {
        self.digits().filter(|digits| (min..=max).contains(&digits.len()))?.parse().ok()
    }

    fn small(&mut self) -> Option<i8> {
        self.number(1, 2)?.try_into().ok()
    }
}

fn read_date_time(text: &str) -> Option<Timestamp> {
    let mut scan = Scan(text);
    let year = scan.number(4, 4)?;
    scan.take(&['-'])?;
    let month = scan.small()?;
    scan.take(&['-'])?;
    let day = scan.small()?;
    scan.take(&['T', ' '])?;
    let hour = scan.small()?;
    scan.take(&[':'])?;
    let minute = scan.small()?;
    let (mut second, mut nanos) = (0, 0);
    if scan.take(&[':']).is_some() {
        second = scan.small()?;
        if scan.take(&['.']).is_some() {
            let digits = scan.digits().filter(|digits| digits.len() <= 12)?;
            // Whole microseconds, what is finer is cut.
            nanos = format!("{digits:0<6}")[..6].parse::<i32>().ok()? * 1_000;
        }
    }
    let offset = read_zone(&mut scan).filter(|_| scan.0.is_empty())?;
    let local = DateTime::new(year, month, day, hour, minute, second, nanos).ok()?;
    let since = i64::try_from(local.duration_since(EPOCH).as_micros()).ok()?;
    (since >= FIRST.0).then_some(Timestamp(since - offset))
}

/// `Z` or `+hh`, `+hhmm`, `+hh:mm`, in microseconds east.
fn read_zone(scan: &mut Scan<'_>) -> Option<i64> {
    let sign = match scan.take(&['Z', '+', '-'])? {
        'Z' => return Some(0),
        '-' => -1,
        _ => 1,
    };
    let digits = scan.digits()?;
    let (hours, minutes) = match digits.len() {
        4 => digits.split_at(2),
        2 if scan.take(&[':']).is_some() => (digits, scan.digits().filter(|m| m.len() == 2)?),
        2 => (digits, "0"),
        _ => return None,
    };
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * HOUR_US + minutes * MINUTE_US))
}

/// What stands behind the `P` of a duration, in microseconds.
fn read_duration(parts: &str) -> Option<i64> {
    let (dates, times) = match parts.split_once('T') {
        Some(("", "")) => return None,
        Some((dates, times)) => (dates, times),
        None if parts.is_empty() => return None,
        None => (parts, ""),
    };
    let dates = read_parts(dates, &[('W', 7 * DAY_US), ('D', DAY_US)])?;
    let times = read_parts(times, &[('H', HOUR_US), ('M', MINUTE_US), ('S', Timestamp::PER_SECOND)])?;
    dates.checked_add(times)
}

/// Numbers, each with one of `units`, which come in that order.
fn read_parts(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let mut scan = Scan(text);
    let mut units = units.iter();
    let mut sum = 0_i64;
    while !scan.0.is_empty() {
        let whole = scan.digits()?.parse::<i64>().ok()?;
        let fraction = match scan.take(&['.']) {
            Some(_) => scan.digits()?,
            None => "",
        };
        let (_, unit) = units.find(|(letter, _)| scan.take(&[*letter]).is_some())?;
        let nanos = format!("{fraction:0<9}")[..9].parse::<i64>().ok()?;
        let part = i64::try_from(i128::from(nanos) * i128::from(*unit) / 1_000_000_000).ok()?;
        sum = whole.checked_mul(*unit)?.checked_add(part)?.checked_add(sum)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-07-18 12:00 UTC.
    const NOW: Timestamp = Timestamp::from_secs(1_784_376_000);

    #[test]
    fn instants_leave_in_utc_with_microseconds_only_where_there_are_any() {
        let check = |micros, expected: &str| assert_eq!(text(Timestamp(micros)), expected);
        check(0, "1970-01-01T00:00:00Z");
        check(NOW.0, "2026-07-18T12:00:00Z");
        check(NOW.0 + 250_000, "2026-07-18T12:00:00.250000Z");
        check(NOW.0 + 1, "2026-07-18T12:00:00.000001Z");
        check(-1, "1969-12-31T23:59:59.999999Z");
        assert!(text(Timestamp(i64::MAX)).starts_with("9999-12-31T23:59:59"));
        assert!(text(Timestamp(i64::MIN)).starts_with("-9999-01-01T00:00:00"));
    }

    #[test]
    fn date_times_need_a_zone() {
        let check = |input: &str, expected: Option<&str>| {
            assert_eq!(read(input, NOW).map(text).as_deref(), expected, "{input}");
        };
        check("2015-01-01T00:00:00Z", Some("2015-01-01T00:00:00Z"));
        check("2015-01-01 00:00Z", Some("2015-01-01T00:00:00Z"));
        check("2015-1-1T0:0:0Z", Some("2015-01-01T00:00:00Z"));
        check("2015-01-01T01:00:00+01:00", Some("2015-01-01T00:00:00Z"));
        check("2015-01-01T01:00:00+0100", Some("2015-01-01T00:00:00Z"));
        check("2015-01-01T01:00:00+01", Some("2015-01-01T00:00:00Z"));
        check("2014-12-31T19:00:00-05:00", Some("2015-01-01T00:00:00Z"));
        check("2015-01-01T00:00:00.5Z", Some("2015-01-01T00:00:00.500000Z"));
        check("2015-01-01T00:00:00.0000019Z", Some("2015-01-01T00:00:00.000001Z"));
        check("2016-02-29T00:00:00Z", Some("2016-02-29T00:00:00Z"));
        check("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59Z"));
        check("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z"));
        for bad in [
            "",
            "yesterday",
            "2015-01-01",
            "2015-01-01T00:00:00",
            "2015-01-01T00:00:00z",
            "2015-01-01t00:00:00Z",
            "2015-02-29T00:00:00Z",
            "2015-13-01T00:00:00Z",
            "0000-12-31T00:00:00Z",
            "2015-01-01T24:00:00Z",
            "2015-01-01T00:00:60Z",
            "2015-01-01T00:00:00.Z",
            "2015-01-01T00:00:00 01:00",
            "2015-01-01T00:00:00+1:00",
            "2015-01-01T00:00:00+25:00",
            "2015-01-01T00:00:00+01:60",
            "2015-01-01T00:00:00ZZ",
            "15-01-01T00:00:00Z",
            "2015-01-01T00:00:00\u{ff3a}",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn durations_mean_so_long_before_now() {
        let check = |input: &str, seconds: Option<f64>| {
            let micros = read(input, NOW).map(|at| NOW.0 - at.0);
            #[expect(clippy::cast_possible_truncation, reason = "small and whole")]
            let expected = seconds.map(|seconds| (seconds * 1e6) as i64);
            assert_eq!(micros, expected, "{input}");
        };
        check("PT1S", Some(1.0));
        check("P1D", Some(86_400.0));
        check("P31D", Some(31.0 * 86_400.0));
        check("P1DT2H3M4.5S", Some(93_784.5));
        check("P0.5D", Some(43_200.0));
        check("P2W", Some(14.0 * 86_400.0));
        check("P1W1D", Some(8.0 * 86_400.0));
        check("PT0S", Some(0.0));
        check("P1DT", Some(86_400.0));
        check("P730000D", Some(730_000.0 * 86_400.0));
        for bad in
            ["P", "PT", "P1", "P1H", "PT1D", "P1M", "P1Y", "PT1S1M", "P-1D", "P.5D", "P1.D", "PT1s", "p1d"]
        {
            check(bad, None);
        }
        check("P740000D", None);
        check("P999999D", None);
        check("P99999999999999999D", None);
    }

    #[test]
    fn the_default_start_is_a_midnight() {
        assert_eq!(text(midnight_before(NOW, 7)), "2026-07-11T00:00:00Z");
        assert_eq!(text(midnight_before(Timestamp(-1), 0)), "1969-12-31T00:00:00Z");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", near in "[PTWDHMSZ0-9:. +-]{0,30}") {
            let _ = read(&text, NOW);
            let _ = read(&near, Timestamp(i64::MIN));
        }

        #[test]
        fn what_leaves_comes_back(micros in -62_135_596_800_000_000_i64..253_402_000_000_000_000) {
            prop_assert_eq!(read(&text(Timestamp(micros)), NOW), Some(Timestamp(micros)));
        }
    }
}
