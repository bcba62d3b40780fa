//! Moments at which something is killed, drawn from a seed that a run can be repeated with.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A number that the caller of a test may set.
pub(crate) fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// A sequence of numbers that a seed determines (`splitmix64`).
pub(crate) struct Draw(u64);

impl From<u64> for Draw {
    fn from(seed: u64) -> Self {
        Self(seed)
    }
}

impl Draw {
    /// By `WEIGHBRIDGE_KILL_SEED`, or by a seed that is printed; `salt` tells the draws of one seed apart.
    pub(crate) fn new(salt: u64) -> Self {
        Self::by("WEIGHBRIDGE_KILL_SEED", salt)
    }

    /// The same by another variable.
    pub(crate) fn by(variable: &str, salt: u64) -> Self {
        let seed = from_env(variable).unwrap_or_else(|| RandomState::new().hash_one("moments"));
        println!("{variable}={seed}");
        Self(seed ^ salt)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn within(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.next() % u64::try_from(longest.as_micros()).expect("short"))
    }
}
