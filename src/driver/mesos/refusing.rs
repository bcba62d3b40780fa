//! Agents that drop what is launched on them, though their offers come: as one that is being drained, where the
//! master forgot that it is. Nothing more is launched there for a while, twice as long each time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::limits::NODES_MAX;

/// The pause after the first launch that was dropped, and the longest one.
const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_mins(1);

/// How long an agent is remembered whose pause is over.
const KEPT: Duration = Duration::from_mins(5);

/// See the file.
#[derive(Debug, Default)]
pub(super) struct Refusing(HashMap<String, Pause>);

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Refusing {
    /// An agent dropped a launch: how long its pause is, where it begins now. What else was launched there
    /// before does not make it longer.
    pub(super) fn dropped(&mut self, agent: &str, now: Instant) -> Option<Duration> {
        let length = match self.0.get(agent) {
            Some(pause) if now < pause.until => return None,
            Some(pause) => pause.length.saturating_mul(2).min(MOST),
            None => FIRST,
        };
        self.0.retain(|_, pause| now < pause.until + KEPT);
        if self.0.len() >= NODES_MAX {
            return None;
        }
        self.0.insert(agent.to_owned(), Pause { until: now + length, length });
        Some(length)
    }

    /// Something runs on an agent.
    pub(super) fn runs(&mut self, agent: &str) {
        self.0.remove(agent);
    }

    /// How long nothing is launched on an agent from now on.
    pub(super) fn left(&self, agent: &str, now: Instant) -> Option<Duration> {
        let pause = self.0.get(agent)?;
        pause.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Agents on which nothing is launched now.
    pub(super) fn len(&self, now: Instant) -> usize {
        self.0.values().filter(|pause| now < pause.until).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    #[test]
    fn pauses_double_until_something_runs() {
        let (mut refusing, mut now) = (Refusing::default(), monotonic());
        let mut lengths = Vec::new();
        for _ in 0..8 {
            let length = refusing.dropped("a", now).expect("a pause");
            assert_eq!(refusing.dropped("a", now + length / 2), None, "it was launched before");
            assert_eq!((refusing.left("a", now), refusing.len(now)), (Some(length), 1));
            now += length;
            assert_eq!((refusing.left("a", now), refusing.len(now)), (None, 0));
            lengths.push(length.as_secs());
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(refusing.left("b", now), None);
        refusing.runs("a");
        assert_eq!(refusing.dropped("a", now), Some(FIRST));
        // What was long ago counts no more.
        assert_eq!(refusing.dropped("b", now + FIRST + KEPT), Some(FIRST));
        assert_eq!(refusing.0.len(), 1);
    }
}
