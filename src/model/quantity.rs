//! An amount of one resource, exact to three decimal places.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in thousandths of its unit: `Quantity(1_500)` cpus is a core and a half.
///
/// A Mesos scalar carries three decimal places, so whole thousandths hold it exactly and sums
/// never drift. Text is read digit by digit, never through a float: `1.1` is 1100. In JSON it is a
/// number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Quantity(pub u64);

/// Thousandths in one unit.
pub const THOUSANDTHS: u64 = 1_000;

/// The largest quantity read from text: 2^53 thousandths, which JSON numbers still hold exactly.
pub const QUANTITY_MAX: u64 = 1 << 53;

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseQuantityError {
    /// Something else than digits, one point and digits.
    #[error("a quantity is a decimal number, zero or more, such as 1.5")]
    NotANumber,
    /// More than three decimal places that are not zero.
    #[error("a quantity has at most three decimal places")]
    TooFine,
    /// Above [`QUANTITY_MAX`].
    #[error("a quantity is at most {}", Quantity(QUANTITY_MAX))]
    TooLarge,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `n` whole units.
    ///
    /// # Panics
    /// When that is above [`u64::MAX`] thousandths.
    pub const fn whole(n: u64) -> Self {
        match n.checked_mul(THOUSANDTHS) {
            Some(thousandths) => Self(thousandths),
            None => panic!("more whole units than u64::MAX thousandths"),
        }
    }

    /// What is left once `asked` is cut out; `None` where it does not fit.
    pub fn minus(self, asked: Self) -> Option<Self> {
        self.0.checked_sub(asked.0).map(Self)
    }

    /// The same as a float, for people and for JSON in Scale's shape.
    #[expect(clippy::cast_precision_loss, reason = "for display; 2^53 thousandths are exact")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / THOUSANDTHS as f64
    }

    /// The quantity whose shortest decimal text is that of `number`, rounded up where the number
    /// is finer than a thousandth (`up`), else down.
    ///
    /// # Errors
    /// For what is negative, not finite or above [`QUANTITY_MAX`].
    pub fn from_f64(number: f64, up: bool) -> Result<Self, ParseQuantityError> {
        if !number.is_finite() || number < 0.0 {
            return Err(ParseQuantityError::NotANumber);
        }
        parse(&number.to_string(), Some(up))
    }
}

/// Reads decimal text; digits finer than thousandths are rounded as `round_up` says, or refused.
fn parse(text: &str, round_up: Option<bool>) -> Result<Quantity, ParseQuantityError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(ParseQuantityError::NotANumber);
    }
    let (kept, finer) = fraction.split_at(fraction.len().min(3));
    let finer = finer.bytes().any(|b| b != b'0');
    let carry = match (finer, round_up) {
        (false, _) | (true, Some(false)) => 0,
        (true, Some(true)) => 1,
        (true, None) => return Err(ParseQuantityError::TooFine),
    };
    let fold = |start: u64, part: &str| {
        part.bytes().try_fold(start, |sum, b| sum.checked_mul(10)?.checked_add(u64::from(b - b'0')))
    };
    fold(0, whole)
        .and_then(|units| fold(units, kept))
        .and_then(|sum| sum.checked_mul([1_000, 100, 10, 1][kept.len()]))
        .and_then(|sum| sum.checked_add(carry))
        .filter(|&sum| sum <= QUANTITY_MAX)
        .map(Quantity)
        .ok_or(ParseQuantityError::TooLarge)
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, None)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fine) = (self.0 / THOUSANDTHS, self.0 % THOUSANDTHS);
        if fine == 0 {
            return f.pad(&whole.to_string());
        }
        f.pad(format!("{whole}.{fine:03}").trim_end_matches('0'))
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// From a JSON number (its shortest text) or from decimal text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a quantity: a decimal number, zero or more, such as 1.5")]
        enum Raw {
            Number(serde_json::Number),
            Text(String),
        }
        let text = match Raw::deserialize(deserializer)? {
            Raw::Number(number) => match number.as_f64() {
                // An integer keeps its digits; a float prints its shortest text, without exponent.
                Some(float) if !number.is_i64() && !number.is_u64() => float.to_string(),
                _ => number.to_string(),
            },
            Raw::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_is_read_exactly() {
        let check = |text: &str, expected| assert_eq!(text.parse::<Quantity>(), expected, "{text}");
        check("1.1", Ok(Quantity(1_100)));
        check("0.001", Ok(Quantity(1)));
        check("64", Ok(Quantity(64_000)));
        check("2.5000", Ok(Quantity(2_500)));
        check("0", Ok(Quantity(0)));
        check("1.0001", Err(ParseQuantityError::TooFine));
        check("9007199254740.992", Ok(Quantity(QUANTITY_MAX)));
        check("9007199254740.993", Err(ParseQuantityError::TooLarge));
        check("99999999999999999999999", Err(ParseQuantityError::TooLarge));
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "NaN", "1,5", " 1", "0x1"] {
            check(bad, Err(ParseQuantityError::NotANumber));
        }
    }

    #[test]
    fn json_numbers_are_read_by_their_text() {
        let check = |json: &str, expected: Option<u64>| {
            assert_eq!(serde_json::from_str(json).ok(), expected.map(Quantity), "{json}");
        };
        check("1.1", Some(1_100));
        check("0.3", Some(300));
        check("128", Some(128_000));
        check("1e3", Some(1_000_000));
        check("\"1.1\"", Some(1_100));
        check("-1", None);
        check("0.0001", None);
        check("null", None);
        check("[1]", None);
    }

    #[test]
    #[should_panic(expected = "more whole units")]
    fn more_than_fits_does_not_wrap() {
        let _ = Quantity::whole(1 << 61);
    }

    #[test]
    fn floats_round_against_us() {
        assert_eq!(Quantity::from_f64(1.0004, true), Ok(Quantity(1_001)));
        assert_eq!(Quantity::from_f64(1.0004, false), Ok(Quantity(1_000)));
        assert_eq!(Quantity::from_f64(f64::NAN, true), Err(ParseQuantityError::NotANumber));
        assert_eq!(Quantity::from_f64(-0.5, true), Err(ParseQuantityError::NotANumber));
    }

    #[test]
    fn what_is_written_reads_back() {
        for n in [0, 1, 10, 100, 999, 1_000, 1_500, 123_456_789, QUANTITY_MAX] {
            assert_eq!(Quantity(n).to_string().parse(), Ok(Quantity(n)));
        }
        assert_eq!(format!("{:>6}", Quantity(1_500)), "   1.5");
    }
}
