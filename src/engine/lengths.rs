//! How long something took, over and over: counts by length, in little memory.
//!
//! L1  A length is counted in a bucket whose upper edge exceeds it by an eighth of it at most, and by at most a
//!     microsecond below eight of them; beyond a minute, all are counted together.

use std::time::Duration;

/// Buckets between a length and its double.
const PER_OCTAVE: usize = 8;

/// Lengths from 2^26 us (67 s) on are counted together.
const OCTAVES: usize = 26;

const BUCKETS: usize = PER_OCTAVE * (OCTAVES - 2) + 1;

/// Counts of lengths.
#[derive(Clone, Debug)]
pub struct Lengths {
    counts: Box<[u64; BUCKETS]>,
    n: u64,
    sum: Duration,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), n: 0, sum: Duration::ZERO }
    }
}

/// The bucket of a number of microseconds: eight of one each, then eight for each octave.
fn bucket(us: u64) -> usize {
    let octave = us.max(1).ilog2().max(3) - 3;
    let at = u64::from(octave) * PER_OCTAVE as u64 + (us >> octave);
    usize::try_from(at).map_or(BUCKETS - 1, |at| at.min(BUCKETS - 1))
}

/// The number of microseconds that a bucket's lengths are below.
fn edge(bucket: usize) -> u64 {
    let next = bucket + 1;
    let octave = (next / PER_OCTAVE).saturating_sub(1);
    ((next - octave * PER_OCTAVE) as u64) << octave
}

impl Lengths {
    /// One more.
    pub fn count(&mut self, length: Duration) {
        let us = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(us)] += 1;
        self.n += 1;
        self.sum = self.sum.saturating_add(length);
    }

    /// How many.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// All together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// A length that `part` of all (0.99) do not exceed; too long by an eighth at most. Zero where there is none.
    pub fn quantile(&self, part: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "counts are far below 2^53, and a part is between 0 and 1"
        )]
        let rank = ((self.n as f64 * part.clamp(0.0, 1.0)).ceil() as u64).max(1);
        self.up_to().find(|(_, n)| *n >= rank).map_or(Duration::ZERO, |(edge, _)| edge)
    }

    /// Of each bucket the length that its own are below, and how many are below that.
    pub fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let mut sum = 0;
        self.counts.iter().enumerate().map(move |(at, n)| {
            sum += n;
            (Duration::from_micros(edge(at)), sum)
        })
    }

    /// The same for each doubling of a length, the last without a bound left out: few, for charts.
    pub fn octaves(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        self.up_to().take(BUCKETS - 1).skip(PER_OCTAVE - 1).step_by(PER_OCTAVE)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_are_where_they_are_said_to_be() {
        let at = |us: u64| (bucket(us), edge(bucket(us)));
        assert_eq!((at(0), at(7), at(8), at(15)), ((0, 1), (7, 8), (8, 9), (15, 16)));
        assert_eq!((at(16), at(17), at(18), at(31)), ((16, 18), (16, 18), (17, 20), (23, 32)));
        assert_eq!(at(u64::MAX).0, BUCKETS - 1);
        let lengths = Lengths::default();
        let octaves: Vec<u128> = lengths.octaves().map(|(edge, _)| edge.as_micros()).collect();
        assert_eq!((octaves[0], octaves[1], octaves.len()), (8, 16, 24));
        assert_eq!(octaves.last(), Some(&(1 << 26)));
    }

    #[test]
    fn quantiles_are_of_what_was_counted() {
        let mut lengths = Lengths::default();
        assert_eq!(lengths.quantile(0.5), Duration::ZERO);
        for ms in 1..=1_000 {
            lengths.count(Duration::from_millis(ms));
        }
        let between = |part: f64, from: u64, to: u64| {
            let found = lengths.quantile(part);
            assert!(found >= Duration::from_millis(from) && found <= Duration::from_millis(to), "{found:?}");
        };
        between(0.5, 500, 563);
        between(0.99, 990, 1_114);
        between(0.0, 1, 2);
        assert_eq!((lengths.n(), lengths.sum()), (1_000, Duration::from_millis(500_500)));
    }

    proptest! {
        #[test]
        fn a_length_is_below_its_edge_and_not_far(us in 0_u64..1 << 26) {
            let edge = edge(bucket(us));
            prop_assert!(edge > us && edge - us <= (us / 8).max(1), "{us}: {edge}");
            prop_assert!(bucket(us) <= bucket(us + 1));
        }
    }
}
