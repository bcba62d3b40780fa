//! Any text as an instant in a parameter: refused, or what it says reads back from how it leaves.

use crate::api::{instant_text, read_instant};
use crate::model::Timestamp;

/// Instants at which durations are looked at: some day of use, and the ends of all time.
const NOWS: [Timestamp; 3] = [Timestamp(1_784_376_000_000_000), Timestamp(i64::MIN), Timestamp(i64::MAX)];

/// Instants with years of four digits: those that are written so that they can be read.
const WRITTEN: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_207_200_000_000;

/// See the file.
pub fn time_param(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = NOWS.map(|now| read_instant(text, now));
    let is_duration = text.starts_with('P');
    // A duration that reaches before the year 1 is refused, so one that is read is read ever after.
    let at_some_times = read.iter().flatten().count() % NOWS.len() != 0;
    let is_told_apart = is_duration && read[2].is_some() && read[1].is_none();
    assert!(!at_some_times || is_told_apart, "{text:?} is an instant at some times only: {read:?}");
    for (at, now) in read.into_iter().zip(NOWS) {
        let Some(at) = at else { continue };
        assert!(!is_duration || at <= now, "{text:?} is after {now:?}");
        assert!(is_duration || Some(at) == read[0], "{text:?} depends on the time of the look");
        let written = instant_text(at);
        if WRITTEN.contains(&at.0) {
            assert_eq!(read_instant(&written, now), Some(at), "{text:?} leaves as {written:?}");
        }
    }
}
