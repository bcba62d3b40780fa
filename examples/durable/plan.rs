//! What to measure, where and how often.

use crate::figures::real;
use crate::ours::BATCH_JOBS;
use crate::peers::Addresses;
use crate::place::Place;

/// What holds for all keys.
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) peers: Addresses,
    /// Rounds of each side, beside one that warms up.
    pub(crate) n_rounds: usize,
    /// Multiplies every number of jobs.
    pub(crate) scale: f64,
}

impl Plan {
    /// `full` times the scale, at least `least`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and far below 2^52"
    )]
    pub(crate) fn scaled(&self, full: u64, least: u64) -> u64 {
        ((real(full) * self.scale).round() as u64).max(least)
    }

    /// The same in whole batches of a thousand.
    pub(crate) fn scaled_batches(&self, full: u64) -> u64 {
        self.scaled(full, 1).div_ceil(BATCH_JOBS) * BATCH_JOBS
    }
}
