//! Lengths of time on the command line: `90s`, `5m`, `1h30m`, `500ms`.

use std::time::Duration;

/// The longest one: a year.
const LONGEST: Duration = Duration::from_hours(24 * 366);

const UNITS: [(&str, Duration); 5] = [
    ("ms", Duration::from_millis(1)),
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_mins(1)),
    ("h", Duration::from_hours(1)),
    ("d", Duration::from_hours(24)),
];

/// Reads one.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no length of time; write for instance 90s, 5m or 1h30m");
    let (mut sum, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let n: u32 = rest[..n_digits].parse().map_err(|_| bad())?;
        rest = &rest[n_digits..];
        let n_letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = UNITS.iter().find(|(name, _)| *name == &rest[..n_letters]).ok_or_else(bad)?;
        sum = unit.1.checked_mul(n).and_then(|part| part.checked_add(sum)).ok_or_else(bad)?;
        rest = &rest[n_letters..];
    }
    if sum.is_zero() || sum > LONGEST { Err(bad()) } else { Ok(sum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let check = |text: &str, seconds: f64| {
            assert_eq!(duration(text).map(|d| d.as_secs_f64()), Ok(seconds), "{text}");
        };
        check("90s", 90.0);
        check("1h30m", 5_400.0);
        check("500ms", 0.5);
        check("1d", 86_400.0);
        for bad in ["", "5", "h", "1x", "-1s", "0s", "1 h", "99999999999h", "4000000d", "1é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
