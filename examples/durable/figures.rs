//! The keys with their goals, and how what was measured is told.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Anything that keeps a figure from being measured.
pub(crate) type Anything<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A figure and what it should be.
pub(crate) struct Goal {
    pub(crate) key: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) must: f64,
    pub(crate) proud: f64,
    /// Whether less is better.
    pub(crate) is_cost: bool,
}

const fn at_least(key: &'static str, unit: &'static str, must: f64, proud: f64) -> Goal {
    Goal { key, unit, must, proud, is_cost: false }
}

const fn at_most(key: &'static str, unit: &'static str, must: f64, proud: f64) -> Goal {
    Goal { key, unit, must, proud, is_cost: true }
}

/// All of them, in the order in which they are measured.
pub(crate) const GOALS: &[Goal] = &[
    at_least("one_caller_vs_log", "ratio", 0.55, 0.68),
    at_least("callers64_vs_one", "ratio", 20.0, 50.0),
    at_least("batch1000_vs_log", "ratio", 0.5, 0.85),
    at_least("batch1000_vs_redis", "ratio", 6.0, 10.0),
    at_least("life_jobs_per_s", "jobs/s", 200_000.0, 500_000.0),
    at_least("life16_vs_beanstalkd", "ratio", 2.0, 5.0),
    at_least("life16_vs_postgres", "ratio", 2.0, 5.0),
    at_most("recover_1e6_s", "s", 1.0, 0.4),
    at_most("recover_1e7_s", "s", 8.0, 3.0),
    at_most("checkpoint_decide_ratio", "ratio", 2.0, 1.2),
    at_most("checkpoint_enqueue_ratio", "ratio", 3.0, 1.5),
    at_most("disk_bytes_per_job", "bytes", 300.0, 200.0),
    at_most("memory_bytes_per_job", "bytes", 250.0, 130.0),
    at_most("steady_file_ratio", "ratio", 1.1, 1.02),
    at_most("list_p99_ms", "ms", 50.0, 20.0),
];

/// What came out for one key.
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    /// The value, or why there is none.
    pub(crate) value: Result<f64, String>,
    /// What it was measured against, for people.
    pub(crate) against: String,
    /// The numbers behind it: an object.
    pub(crate) raw: Value,
}

impl Figure {
    pub(crate) fn new(key: &'static str, value: f64, against: impl Into<String>, raw: Value) -> Self {
        Self { key, value: Ok(value), against: against.into(), raw }
    }

    pub(crate) fn skipped(key: &'static str, why: impl Into<String>) -> Self {
        Self { key, value: Err(why.into()), against: String::new(), raw: json!({}) }
    }
}

impl Goal {
    fn holds(&self, value: f64, goal: f64) -> bool {
        if self.is_cost { value <= goal } else { value >= goal }
    }

    fn verdict(&self, value: f64) -> &'static str {
        match (self.holds(value, self.must), self.holds(value, self.proud)) {
            (_, true) => "met, proud",
            (true, _) => "met",
            _ => "missed",
        }
    }

    /// An object on one line. `around`: what holds for the whole run.
    pub(crate) fn json(&self, figure: &Figure, around: &Map<String, Value>) -> String {
        let mut object = Map::new();
        object.insert("key".into(), self.key.into());
        object.insert("value".into(), figure.value.as_ref().map_or(Value::Null, |value| rounded(*value)));
        object.insert("unit".into(), self.unit.into());
        object.insert("must".into(), self.must.into());
        object.insert("proud".into(), self.proud.into());
        match &figure.value {
            Ok(value) => {
                object.insert("is_met".into(), self.holds(*value, self.must).into());
                object.insert("is_proud".into(), self.holds(*value, self.proud).into());
                object.insert("against".into(), figure.against.clone().into());
            }
            Err(why) => {
                object.insert("skipped".into(), why.clone().into());
            }
        }
        object.extend(figure.raw.as_object().cloned().unwrap_or_default());
        object.extend(around.clone());
        Value::Object(object).to_string()
    }

    /// A row of the table.
    pub(crate) fn row(&self, figure: &Figure) -> String {
        let sign = if self.is_cost { "<=" } else { ">=" };
        let goals = format!("{sign} {:<9}{sign} {:<9}", short(self.must), short(self.proud));
        match &figure.value {
            Ok(value) => {
                let told = format!("{} {}", short(*value), self.unit);
                format!("{:<25}{told:<18}{goals}{:<12}{}", self.key, self.verdict(*value), figure.against)
            }
            Err(why) => format!("{:<25}{:<18}{goals}skipped: {why}", self.key, "-"),
        }
    }
}

/// The head of the table.
pub(crate) fn head() -> String {
    format!("{:<25}{:<18}{:<12}{:<12}{:<12}measured against", "key", "figure", "must", "proud", "")
}

/// Four digits, as a text.
pub(crate) fn short(value: f64) -> String {
    let magnitude = value.abs();
    match magnitude {
        _ if magnitude >= 1_000.0 || magnitude.fract() == 0.0 => format!("{value:.0}"),
        _ if magnitude >= 100.0 => format!("{value:.1}"),
        _ if magnitude >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// To a thousandth, as JSON.
pub(crate) fn rounded(value: f64) -> Value {
    json!((value * 1_000.0).round() / 1_000.0)
}

pub(crate) fn all_rounded(values: &[f64]) -> Value {
    values.iter().map(|value| rounded(*value)).collect()
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench stay far below 2^52")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// A length as a count.
pub(crate) fn count(len: usize) -> u64 {
    u64::try_from(len).expect("a length is a u64")
}

/// The value in the middle; the mean of both where there are two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// What single calls took.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The latency in microseconds that `per_thousand` of a thousand calls do not exceed.
    pub(crate) fn us(&mut self, per_thousand: usize) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        let at = (self.0.len() * per_thousand).div_ceil(1_000).clamp(1, self.0.len()) - 1;
        let (_, found, _) = self.0.select_nth_unstable(at);
        found.as_secs_f64() * 1e6
    }

    pub(crate) fn json(&mut self) -> Value {
        json!({
            "n": self.len(),
            "p50_us": rounded(self.us(500)),
            "p99_us": rounded(self.us(990)),
            "p99_9_us": rounded(self.us(999)),
        })
    }
}

/// One round of one side.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) n: u64,
    pub(crate) took: Duration,
    pub(crate) latencies: Latencies,
}

impl Turn {
    fn per_s(&self) -> f64 {
        real(self.n) / self.took.as_secs_f64()
    }
}

/// All rounds of one side.
#[derive(Default)]
pub(crate) struct Side {
    rates: Vec<f64>,
    latencies: Latencies,
    n: u64,
}

impl Side {
    pub(crate) fn push(&mut self, turn: Turn) {
        self.rates.push(turn.per_s());
        self.n += turn.n;
        self.latencies.append(turn.latencies);
    }

    /// The median of its rounds.
    pub(crate) fn per_s(&self) -> f64 {
        median(&self.rates)
    }

    pub(crate) fn json(&mut self) -> Value {
        let mut object = json!({
            "per_s": rounded(self.per_s()),
            "rounds_per_s": all_rounded(&self.rates),
            "n": self.n,
        });
        if self.latencies.len() > 0 {
            object["latency"] = self.latencies.json();
        }
        object
    }
}
