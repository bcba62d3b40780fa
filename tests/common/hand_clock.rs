//! A clock that goes on when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use weighbridge::{Clock, Timestamp};

/// At 1970 to begin with. Clones are the same clock.
#[derive(Clone, Default)]
pub(crate) struct HandClock(Arc<AtomicI64>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[allow(dead_code, reason = "each test file uses its part")]
impl HandClock {
    /// Seconds since 1970.
    pub(crate) fn set(&self, seconds: i64) {
        self.set_us(seconds * 1_000_000);
    }

    /// Microseconds since 1970.
    pub(crate) fn set_us(&self, us: i64) {
        self.0.store(us, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, seconds: u32) {
        self.0.fetch_add(i64::from(seconds) * 1_000_000, Ordering::Relaxed);
    }
}
