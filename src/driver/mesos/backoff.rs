//! How long to wait before something is tried again: twice as long each time, up to a limit, and between half
//! and all of that by chance, so that many do not come at once.

use std::time::Duration;

/// Where chance comes from.
pub(crate) type Random = Box<dyn FnMut() -> u64 + Send>;

/// See the file.
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
    random: Random,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration, random: Random) -> Self {
        Self { first, most, next: first, random }
    }

    /// The wait before the next try.
    pub(crate) fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.most);
        let half = whole / 2;
        let share = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX - 1) + 1;
        half + Duration::from_nanos((self.random)() % share)
    }

    /// It worked: the next wait is short again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_are_short_again_after_a_success() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut longest = Backoff::new(first, most, Box::new(|| 50_000_000));
        let mut shortest = Backoff::new(first, most, Box::new(|| 0));
        let waits: Vec<u128> = (0..6).map(|_| shortest.wait().as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 500, 500]);
        assert_eq!(longest.wait(), first);
        shortest.reset();
        assert_eq!(shortest.wait(), first / 2);
    }

    #[test]
    fn a_wait_is_between_half_and_all_of_its_time() {
        let most = Duration::from_secs(30);
        let mut seed = 1_u64;
        let mut backoff = Backoff::new(
            most,
            most,
            Box::new(move || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed
            }),
        );
        let waits: Vec<Duration> = (0..1_000).map(|_| backoff.wait()).collect();
        assert!(waits.iter().all(|wait| (most / 2..=most).contains(wait)));
        assert!(waits.iter().max() > waits.iter().min());
    }
}
