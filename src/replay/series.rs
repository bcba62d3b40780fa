//! Levels over time: how much of each was there, for each piece of time, exact and in bounded memory.
//!
//! S1  Pieces are of equal length. Where time goes beyond the last one, two of them become one.

use super::numbers::MILLIONTHS;
use crate::limits::REPLAY_PIECES_MAX;

/// The shortest piece, in microseconds: a second.
const SHORTEST_US: u64 = MILLIONTHS.unsigned_abs();

const _: () = assert!(REPLAY_PIECES_MAX.is_multiple_of(2));

/// See the file.
#[derive(Clone, Debug)]
pub(super) struct Series {
    piece_us: u64,
    now_us: u64,
    /// What each level is at this instant.
    levels: Vec<u64>,
    /// For each level and piece, the level times the microseconds it held.
    sums: Vec<Vec<u128>>,
}

impl Series {
    /// So many levels, all zero at the time 0.
    pub(super) fn new(n_levels: usize) -> Self {
        let (levels, sums) = (vec![0; n_levels], vec![Vec::new(); n_levels]);
        Self { piece_us: SHORTEST_US, now_us: 0, levels, sums }
    }

    /// Levels are as they are until then.
    pub(super) fn advance(&mut self, to_us: u64) {
        while self.now_us < to_us {
            let at = usize::try_from(self.now_us / self.piece_us).unwrap_or(usize::MAX);
            if at >= REPLAY_PIECES_MAX {
                self.join();
                continue;
            }
            let end = to_us.min((at as u64 + 1) * self.piece_us);
            let held = u128::from(end - self.now_us);
            for (sums, level) in self.sums.iter_mut().zip(&self.levels) {
                sums.resize(at + 1, 0);
                sums[at] += u128::from(*level) * held;
            }
            self.now_us = end;
        }
    }

    /// Makes one of two pieces each. S1
    fn join(&mut self) {
        self.piece_us *= 2;
        for sums in &mut self.sums {
            *sums = sums.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
    }

    /// A level changes, now.
    pub(super) fn set(&mut self, at: usize, level: u64) {
        self.levels[at] = level;
    }

    /// How far it is, in microseconds.
    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Length of a piece in microseconds. The last one may be shorter.
    pub(super) fn piece_us(&self) -> u64 {
        self.piece_us
    }

    /// The mean of a level in each piece.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub(super) fn means(&self, at: usize) -> Vec<f64> {
        let length = |piece: u64| (self.now_us - piece * self.piece_us).min(self.piece_us);
        (0..).zip(&self.sums[at]).map(|(piece, sum)| *sum as f64 / length(piece) as f64).collect()
    }

    /// The mean of a level over all time so far; none before anything.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub(super) fn mean(&self, at: usize) -> Option<f64> {
        let sum: u128 = self.sums[at].iter().sum();
        (self.now_us > 0).then(|| sum as f64 / self.now_us as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_of_time_and_pieces_are_joined() {
        let mut series = Series::new(2);
        assert_eq!(series.mean(0), None);
        series.set(0, 4);
        series.advance(SHORTEST_US / 2);
        series.set(0, 0);
        series.set(1, 7);
        series.advance(2 * SHORTEST_US);
        assert_eq!((series.means(0), series.means(1)), (vec![2.0, 0.0], vec![3.5, 7.0]));
        assert_eq!(series.mean(0), Some(1.0));
        let end = 5 * REPLAY_PIECES_MAX as u64 * SHORTEST_US / 2;
        series.advance(end);
        assert_eq!(series.piece_us(), 4 * SHORTEST_US);
        let means = series.means(1);
        assert_eq!((means.len(), means[0], means[1]), (REPLAY_PIECES_MAX * 5 / 8, 6.125, 7.0));
        let mean = series.mean(1).expect("time has passed");
        assert!((mean - 7.0 * (1.0 - 0.5 / 600.0)).abs() < 1e-9, "{mean}");
    }
}
