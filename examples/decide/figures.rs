//! Latencies, and how they are told.

use std::fmt::Write;
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

    /// Runs `call`; its time goes into `figures`.
    pub(crate) fn time<R>(&self, figures: &mut Figures, call: impl FnOnce() -> R) -> R {
        let from = now();
        let result = std::hint::black_box(call());
        figures.0.push(nanos(from, now()).saturating_sub(self.overhead_ns));
        result
    }

    /// The same for a call that did `n` things: the time of one goes into `figures`.
    pub(crate) fn time_each(&self, figures: &mut Figures, call: impl FnOnce() -> usize) {
        let from = now();
        let n = std::hint::black_box(call());
        let taken = nanos(from, now()).saturating_sub(self.overhead_ns);
        if n > 0 {
            figures.0.push(taken / n as u64);
        }
    }
}

/// Nanoseconds of many calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<u64>);

impl Figures {
    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
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

    pub(crate) fn json(&self) -> Value {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "a mean")]
        let mean = sorted.iter().sum::<u64>() as f64 / sorted.len().max(1) as f64;
        json!({
            "mean": (mean * 10.0).round() / 10.0,
            "p50": Self::at(&sorted, 0.5),
            "p99": Self::at(&sorted, 0.99),
            "p999": Self::at(&sorted, 0.999),
            "n": sorted.len(),
        })
    }
}

/// Everything one run found.
pub(crate) struct Report {
    pub(crate) queued: usize,
    pub(crate) workload: &'static str,
    pub(crate) n_lanes: usize,
    pub(crate) head_share: f64,
    pub(crate) none_share: f64,
    pub(crate) decide: Figures,
    pub(crate) decide_none: Figures,
    pub(crate) take: Figures,
    pub(crate) enqueue: Figures,
    pub(crate) cancel: Figures,
    pub(crate) fill: Figures,
    /// Mean of a decision over batches of a thousand, without a clock in between.
    pub(crate) batch_mean_ns: f64,
    pub(crate) with_producer_ratio: f64,
    pub(crate) index_bytes_per_entry: f64,
    pub(crate) bytes_per_entry: f64,
    /// A hash of all answers: equal runs give equal hashes.
    pub(crate) answers: u64,
    pub(crate) peers: Value,
}

impl Report {
    pub(crate) fn json(&self) -> Value {
        json!({
            "queued": self.queued,
            "workload": self.workload,
            "lanes": self.n_lanes,
            "head_share": self.head_share,
            "none_share": self.none_share,
            "decide_ns": self.decide.json(),
            "decide_none_ns": self.decide_none.json(),
            "decide_batch_mean_ns": self.batch_mean_ns,
            "enqueue_ns": self.enqueue.json(),
            "cancel_ns": self.cancel.json(),
            "take_ns": self.take.json(),
            "fill_ns_per_pick": self.fill.json(),
            "index_bytes_per_entry": self.index_bytes_per_entry,
            "bytes_per_entry": self.bytes_per_entry,
            "with_producer_ratio": self.with_producer_ratio,
            "answers": format!("{:016x}", self.answers),
            "peers": self.peers,
        })
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{} queued, {}, {} lanes; {:.0} % of decisions from the head, {:.0} % find nothing\n",
            self.queued,
            self.workload,
            self.n_lanes,
            self.head_share * 100.0,
            self.none_share * 100.0
        );
        let all = [
            ("decide", &self.decide),
            ("nothing fits", &self.decide_none),
            ("take", &self.take),
            ("fill, per pick", &self.fill),
            ("enqueue", &self.enqueue),
            ("cancel", &self.cancel),
        ];
        let _ = writeln!(text, "{:<16}{:>10}{:>10}{:>10}{:>10}  ns", "", "mean", "p50", "p99", "p99.9");
        for (name, figures) in all {
            let of = figures.json();
            let cell = |key: &str| of[key].to_string();
            let cells = ["mean", "p50", "p99", "p999"].map(cell);
            let _ =
                writeln!(text, "{name:<16}{:>10}{:>10}{:>10}{:>10}", cells[0], cells[1], cells[2], cells[3]);
        }
        let _ = writeln!(text, "decide, mean over batches: {:.1} ns", self.batch_mean_ns);
        let _ = writeln!(
            text,
            "bytes per entry: {:.1} in the index, {:.1} with the look-up by id",
            self.index_bytes_per_entry, self.bytes_per_entry
        );
        let _ = writeln!(text, "with a producer: {:.2} of the decider alone", self.with_producer_ratio);
        let _ = writeln!(text, "peers: {}", self.peers);
        text
    }
}
