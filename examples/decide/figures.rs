//! Latencies, and how they are told.

use std::time::Instant;

use serde_json::{Value, json};

/// Times single calls, less what the timing itself takes.
pub(crate) struct Timer {
    overhead_ns: u64,
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from((to - from).as_nanos()).unwrap_or(u64::MAX)
}

impl Timer {
    pub(crate) fn new() -> Self {
        let mut empty: Vec<u64> = (0..10_001)
            .map(|_| {
                let from = now();
                nanos(from, now())
            })
            .collect();
        empty.sort_unstable();
        Self { overhead_ns: empty[empty.len() / 2] }
    }

    /// Runs `call`; returns what it gave and the nanoseconds it took.
    pub(crate) fn time<R>(&self, call: impl FnOnce() -> R) -> (R, u64) {
        let from = now();
        let result = std::hint::black_box(call());
        (result, nanos(from, now()).saturating_sub(self.overhead_ns))
    }
}

/// Nanoseconds of many calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<u64>);

impl Figures {
    pub(crate) fn push(&mut self, ns: u64) {
        self.0.push(ns);
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// NaN without calls.
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    pub(crate) fn mean(&self) -> f64 {
        self.sum() as f64 / self.0.len() as f64
    }

    /// The value that a share of the calls does not exceed; 0 without calls.
    fn at(sorted: &[u64], share: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = (sorted.len() as f64 * share) as usize;
        sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
    }

    /// `null` without calls, so that nothing reads as "0 ns".
    pub(crate) fn json(&self) -> Value {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        if sorted.is_empty() {
            return Value::Null;
        }
        json!({
            "mean": rounded(self.mean(), 10.0),
            "p50": Self::at(&sorted, 0.5),
            "p99": Self::at(&sorted, 0.99),
            "p999": Self::at(&sorted, 0.999),
            "n": sorted.len(),
        })
    }
}

/// A number cut to parts of one, for people to read.
pub(crate) fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

/// The middle of some numbers; NaN, in JSON `null`, without any.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
