//! Medians and the like of a set of lengths of time.

use serde::Serialize;

/// What half of them stay below, and nineteen of twenty; in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p95: f64,
}

/// The spread of lengths in microseconds; none of none.
pub(super) fn spread(mut micros: Vec<u64>) -> Option<Spread> {
    micros.sort_unstable();
    Some(Spread { p50: seconds(nearest(&micros, 50)?), p95: seconds(nearest(&micros, 95)?) })
}

/// The smallest one that at least `percent` of a hundred do not exceed.
fn nearest(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact below 285 years")]
pub(super) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_nearest_rank_method() {
        let of = |micros: Vec<u64>| spread(micros).map(|s| (s.p50, s.p95));
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![2_000_000]), Some((2.0, 2.0)));
        assert_eq!(of((1..=100).rev().map(|s| s * 1_000_000).collect()), Some((50.0, 95.0)));
        assert_eq!(of(vec![3_000_000, 1_000_000, 2_000_000]), Some((2.0, 3.0)));
    }
}
