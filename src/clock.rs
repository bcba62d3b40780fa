//! Where time comes from. The only file that reads the machine's clocks; everything else is told.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// A source of time. The engine asks it once per command, the core never.
pub trait Clock: Send + Sync {
    /// The instant now. May run backwards; the core clamps it.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The monotonic clock, for waits with an end.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
