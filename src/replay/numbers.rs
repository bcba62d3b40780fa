//! Numbers of traces, read digit by digit: fields may be whole or decimal, and -1 where nothing is known.

use crate::model::{Quantity, THOUSANDTHS};

/// In one of what a field counts.
pub(super) const MILLIONTHS: i64 = 1_000_000;

/// Digits that are read before and after the point. More before it is no number of a trace.
const WHOLE_DIGITS_MAX: usize = 12;
const DECIMALS: usize = 6;

/// A decimal number in millionths, towards zero; none for what is no number, or a very large one.
pub(super) fn millionths(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > WHOLE_DIGITS_MAX || !are_digits(whole) || !are_digits(decimals) {
        return None;
    }
    let decimals = &decimals[..decimals.len().min(DECIMALS)];
    let parts: i64 = format!("{decimals:0<DECIMALS$}").parse().ok()?;
    Some(sign * (whole.parse::<i64>().ok()? * MILLIONTHS + parts))
}

/// The same where a known number is zero or more: anything below stands for "not known".
pub(super) fn known(millionths: i64) -> Option<u64> {
    u64::try_from(millionths).ok()
}

/// `amount` of units of which `per_unit` are one unit of a quantity, rounded up. None where that is beyond all
/// measure.
pub(super) fn quantity_up(amount: u128, per_unit: u128) -> Option<Quantity> {
    let thousandths = (amount * u128::from(THOUSANDTHS)).div_ceil(per_unit);
    u64::try_from(thousandths).ok().filter(|n| *n <= crate::model::QUANTITY_MAX).map(Quantity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_to_the_millionth() {
        let check = |text: &str, expected| assert_eq!(millionths(text), expected, "{text}");
        check("0", Some(0));
        check("12", Some(12 * MILLIONTHS));
        check("-1", Some(-MILLIONTHS));
        check("1.5", Some(1_500_000));
        check("0.1234567", Some(123_456));
        check("68719476736", Some(68_719_476_736 * MILLIONTHS));
        for bad in ["", "-", ".5", "1e3", "+1", "1.x", "0x1", "1234567890123", "nan", "1 "] {
            check(bad, None);
        }
        assert_eq!((known(-1), known(0)), (None, Some(0)));
    }

    #[test]
    fn amounts_are_rounded_up_to_thousandths() {
        assert_eq!(quantity_up(1, 1_024), Some(Quantity(1)));
        assert_eq!(quantity_up(1_536, 1_024), Some(Quantity(1_500)));
        assert_eq!(quantity_up(1 << 90, 1), None);
    }
}
