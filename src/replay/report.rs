//! What a replay came to, as it goes out in JSON.
//!
//! P1  The same decisions give the same bytes, but for `wall`: what depends on the machine stands there alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::cluster::Cluster;
use super::run::{Setup, Tally};
use super::trace::{Record, Trace};
use crate::model::NodeResources;

/// Runs shorter than this count as so long in a slowdown: without a bound the shortest ones are all there is.
const SLOWDOWN_BOUND_S: f64 = 10.0;

/// Executions that never started and are told one by one.
const NEVER_STARTED_TOLD: usize = 10;

/// Decimal places of seconds, of shares and of counts.
const SECONDS: i32 = 3;
const SHARES: i32 = 5;
const COUNTS: i32 = 2;

/// See the file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) trace: TraceReport,
    pub(crate) cluster: ClusterReport,
    pub(crate) setup: SetupReport,
    pub(crate) n_executions: usize,
    pub(crate) n_started: usize,
    /// From the first arrival to the last end.
    pub(crate) span_s: f64,
    #[serde(flatten)]
    pub(crate) told: Told,
    /// The same records as they were when the trace was taken, where it says how long they waited.
    pub(crate) recorded: Option<Recorded>,
    pub(crate) starved: Starved,
    pub(crate) parts: Option<Parts>,
    /// Means over the span: shares of what there is, and counts.
    pub(crate) utilisation: BTreeMap<String, f64>,
    pub(crate) queued_mean: f64,
    pub(crate) running_mean: f64,
    pub(crate) types: Vec<TypeReport>,
    pub(crate) series: SeriesReport,
    pub(crate) decisions: Decisions,
    pub(crate) wall: Wall,
}

/// Of the trace.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TraceReport {
    pub(crate) name: String,
    pub(crate) format: &'static str,
    pub(crate) n_records: u64,
    pub(crate) n_replayed: usize,
    pub(crate) n_bad_lines: u64,
    pub(crate) n_skipped: BTreeMap<&'static str, u64>,
    pub(crate) n_models_ignored: u64,
}

/// Of the cluster.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ClusterReport {
    pub(crate) n_nodes: usize,
    pub(crate) total: NodeResources,
}

/// How it was made.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct SetupReport {
    pub(crate) seed: u64,
    pub(crate) spread: bool,
    pub(crate) priorities: bool,
    pub(crate) compress: u32,
    pub(crate) types_by: &'static str,
    /// Shares of a graphics processor are of single cards, not amounts of all that a node has.
    pub(crate) gpu_slots: bool,
    /// Which model of graphics processor is asked for is held against the node's.
    pub(crate) gpu_models: bool,
    pub(crate) starved_after_s: f64,
    /// `pass` over all nodes, or `offer` by offer.
    pub(crate) decided_by: &'static str,
    /// How passes chose.
    pub(crate) policy: Option<serde_json::Value>,
}

/// How long executions waited, in seconds, and that beside how long they ran.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Told {
    pub(crate) wait_s: Option<Wait>,
    pub(crate) slowdown: Option<Slowdown>,
}

/// Of those that started.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Wait {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) max: f64,
}

/// Bounded: (wait + run) / max(run, 10 s), and at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Slowdown {
    pub(crate) mean: f64,
    pub(crate) p95: f64,
}

/// As the trace has it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Recorded {
    pub(crate) n: usize,
    #[serde(flatten)]
    pub(crate) told: Told,
}

/// Who waited too long.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Starved {
    /// Those for which no node is large enough are among them.
    pub(crate) n_never_started: usize,
    pub(crate) n_never_fit: usize,
    /// Started, but only after the bound.
    pub(crate) n_waited_longer: usize,
    pub(crate) never_started: Vec<NeverStarted>,
}

/// An execution that never started.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NeverStarted {
    pub(crate) line: u64,
    pub(crate) job_type: String,
    pub(crate) cpus: f64,
    pub(crate) never_fits: bool,
}

/// Jobs of several executions.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Parts {
    pub(crate) n_jobs: usize,
    /// Of those that started whole, how many did so in more than one instant, and how far apart.
    pub(crate) n_apart: usize,
    pub(crate) apart_s: Option<Wait>,
}

/// Of one kind.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TypeReport {
    pub(crate) name: String,
    pub(crate) n_executions: usize,
    pub(crate) n_never_started: usize,
    #[serde(flatten)]
    pub(crate) told: Told,
    /// Mean over the span.
    pub(crate) queued_mean: f64,
    pub(crate) queued_max: u64,
    pub(crate) running_mean: f64,
}

/// Means over pieces of time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SeriesReport {
    pub(crate) piece_s: f64,
    pub(crate) utilisation: BTreeMap<String, Vec<f64>>,
    pub(crate) queued: Vec<f64>,
    pub(crate) running: Vec<f64>,
    pub(crate) queued_max: u64,
    pub(crate) types: Vec<TypeSeries>,
}

/// The load of one kind.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TypeSeries {
    pub(crate) name: String,
    pub(crate) queued: Vec<f64>,
    pub(crate) running: Vec<f64>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Decisions {
    pub(crate) n_rounds: u64,
    pub(crate) n_decisions: u64,
}

/// What depends on the machine. P1
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Wall {
    pub(crate) elapsed_s: f64,
    pub(crate) deciding_s: f64,
    pub(crate) decisions_per_s: Option<f64>,
    pub(crate) started_per_s: Option<f64>,
}

fn round(number: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (number * scale).round() / scale
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn seconds(micros: u64) -> f64 {
    round(micros as f64 / 1e6, SECONDS)
}

/// The smallest of a sorted list that so many of a hundred are not above.
fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn wait(mut waits: Vec<u64>) -> Option<Wait> {
    waits.sort_unstable();
    let sum: u128 = waits.iter().map(|wait| u128::from(*wait)).sum();
    Some(Wait {
        p50: seconds(percentile(&waits, 50)?),
        p95: seconds(percentile(&waits, 95)?),
        max: seconds(*waits.last()?),
        mean: round(sum as f64 / waits.len() as f64 / 1e6, SECONDS),
    })
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn bounded_slowdown(wait_us: u64, run_us: u64) -> f64 {
    let (wait, run) = (wait_us as f64 / 1e6, run_us as f64 / 1e6);
    f64::max((wait + run) / run.max(SLOWDOWN_BOUND_S), 1.0)
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn slowdown(mut all: Vec<f64>) -> Option<Slowdown> {
    all.sort_unstable_by(f64::total_cmp);
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    Some(Slowdown { p95: round(percentile(&all, 95)?, SECONDS), mean: round(mean, SECONDS) })
}

/// Of those that waited and ran so long.
fn told(all: impl Iterator<Item = (u64, u64)>) -> Told {
    let (waits, slowdowns): (Vec<u64>, Vec<f64>) =
        all.map(|(wait_us, run_us)| (wait_us, bounded_slowdown(wait_us, run_us))).unzip();
    Told { wait_s: wait(waits), slowdown: slowdown(slowdowns) }
}

/// What is seen of a replay that is over.
struct Seen<'s> {
    trace: &'s Trace,
    cluster: &'s Cluster,
    tally: &'s Tally,
}

pub(super) fn made(trace: &Trace, cluster: &Cluster, setup: &Setup, tally: &Tally) -> Report {
    let seen = Seen { trace, cluster, tally };
    let found = &trace.found;
    let n_started = tally.executions.iter().filter(|execution| execution.started_us.is_some()).count();
    Report {
        trace: TraceReport {
            name: trace.name.clone(),
            format: trace.format.name(),
            n_records: found.n_records,
            n_replayed: trace.records.len(),
            n_bad_lines: found.n_bad,
            n_skipped: found.skipped.clone(),
            n_models_ignored: found.n_models,
        },
        cluster: ClusterReport { n_nodes: cluster.n_nodes(), total: cluster.total().clone() },
        setup: SetupReport {
            seed: setup.seed,
            spread: setup.is_spread,
            priorities: setup.has_priorities,
            compress: setup.compress,
            types_by: trace.by.name(),
            gpu_slots: cluster.has_slots(),
            gpu_models: false,
            starved_after_s: round(setup.starved_after.as_secs_f64(), SECONDS),
            decided_by: setup.decided_by,
            policy: setup.policy.clone(),
        },
        n_executions: tally.executions.len(),
        n_started,
        span_s: seconds(tally.series.now_us()),
        told: told(seen.started().map(|(_, wait_us, run_us)| (wait_us, run_us))),
        recorded: seen.recorded(),
        starved: seen.starved(setup.starved_after),
        parts: setup.is_spread.then(|| seen.parts()),
        utilisation: seen.utilisation(),
        queued_mean: seen.mean_count(tally.levels.queued(None)),
        running_mean: seen.mean_count(tally.levels.running(None)),
        types: (0..trace.kinds.len()).map(|kind| seen.type_report(kind)).collect(),
        series: seen.series(),
        decisions: Decisions { n_rounds: tally.n_rounds, n_decisions: tally.n_decisions },
        wall: wall(tally, n_started),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn wall(tally: &Tally, n_started: usize) -> Wall {
    let deciding = tally.deciding.as_secs_f64();
    let rate = |n: f64| (deciding > 0.0).then(|| (n / deciding).round());
    Wall {
        elapsed_s: round(tally.elapsed.as_secs_f64(), SECONDS),
        deciding_s: round(deciding, SECONDS),
        decisions_per_s: rate(tally.n_decisions as f64),
        started_per_s: rate(n_started as f64),
    }
}

impl Seen<'_> {
    fn record(&self, at: usize) -> &Record {
        &self.trace.records[at]
    }

    /// Kind, wait and run time of each execution that started.
    fn started(&self) -> impl Iterator<Item = (usize, u64, u64)> + '_ {
        self.tally.executions.iter().filter_map(|execution| {
            let record = self.record(execution.record);
            Some((record.kind, execution.started_us? - record.arrival_us, record.run_us))
        })
    }

    fn recorded(&self) -> Option<Recorded> {
        let known =
            || self.trace.records.iter().filter_map(|record| Some((record.waited_us?, record.run_us)));
        let n = known().count();
        (n > 0).then(|| Recorded { n, told: told(known()) })
    }

    fn starved(&self, after: Duration) -> Starved {
        let never = || self.tally.executions.iter().filter(|execution| execution.started_us.is_none());
        let one = |execution: &super::run::Execution| {
            let record = self.record(execution.record);
            NeverStarted {
                line: record.line,
                job_type: self.trace.kinds[record.kind].clone(),
                cpus: record.asks.cpus.as_f64(),
                never_fits: execution.never_fits,
            }
        };
        Starved {
            n_never_started: never().count(),
            n_never_fit: never().filter(|execution| execution.never_fits).count(),
            n_waited_longer: self
                .started()
                .filter(|(_, wait, _)| u128::from(*wait) > after.as_micros())
                .count(),
            never_started: never().take(NEVER_STARTED_TOLD).map(one).collect(),
        }
    }

    /// Executions of one record stand together.
    fn parts(&self) -> Parts {
        let jobs = || {
            self.tally.executions.chunk_by(|one, next| one.record == next.record).filter(|job| job.len() > 1)
        };
        let apart = |job: &[super::run::Execution]| {
            let starts: Option<Vec<u64>> = job.iter().map(|execution| execution.started_us).collect();
            let starts = starts?;
            Some(starts.iter().max()? - starts.iter().min()?)
        };
        let gaps: Vec<u64> = jobs().filter_map(apart).collect();
        Parts {
            n_jobs: jobs().count(),
            n_apart: gaps.iter().filter(|gap| **gap > 0).count(),
            apart_s: wait(gaps),
        }
    }

    /// Names of resources, and how much there is of each, in thousandths.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    fn resources(&self) -> impl Iterator<Item = (usize, String, f64)> + '_ {
        let total = self.cluster.total().iter().enumerate();
        total.map(|(at, (name, amount))| (at, name.to_string(), amount.0 as f64)).filter(|(_, _, n)| *n > 0.0)
    }

    fn utilisation(&self) -> BTreeMap<String, f64> {
        let mean = |at| self.tally.series.mean(at).unwrap_or(0.0);
        self.resources().map(|(at, name, total)| (name, round(mean(at) / total, SHARES))).collect()
    }

    fn mean_count(&self, level: usize) -> f64 {
        round(self.tally.series.mean(level).unwrap_or(0.0), COUNTS)
    }

    fn type_report(&self, kind: usize) -> TypeReport {
        let tally = self.tally;
        let of_kind =
            || tally.executions.iter().filter(|execution| self.record(execution.record).kind == kind);
        let started = self.started().filter(|(of, _, _)| *of == kind);
        TypeReport {
            name: self.trace.kinds[kind].clone(),
            n_executions: of_kind().count(),
            n_never_started: of_kind().filter(|execution| execution.started_us.is_none()).count(),
            told: told(started.map(|(_, wait_us, run_us)| (wait_us, run_us))),
            queued_mean: self.mean_count(tally.levels.queued(Some(kind))),
            queued_max: tally.kinds[kind].n_queued_max,
            running_mean: self.mean_count(tally.levels.running(Some(kind))),
        }
    }

    fn series(&self) -> SeriesReport {
        let (series, levels) = (&self.tally.series, self.tally.levels);
        let means = |at: usize, per: f64, places| {
            series.means(at).into_iter().map(|mean| round(mean / per, places)).collect::<Vec<f64>>()
        };
        let counts = |at| means(at, 1.0, COUNTS);
        let of_kind = |(kind, name): (usize, &String)| TypeSeries {
            name: name.clone(),
            queued: counts(levels.queued(Some(kind))),
            running: counts(levels.running(Some(kind))),
        };
        SeriesReport {
            piece_s: seconds(series.piece_us()),
            utilisation: self.resources().map(|(at, name, total)| (name, means(at, total, SHARES))).collect(),
            queued: counts(levels.queued(None)),
            running: counts(levels.running(None)),
            queued_max: self.tally.n_queued_max,
            types: self.trace.kinds.iter().enumerate().map(of_kind).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        let check = |sorted: &[u64], percent, expected| assert_eq!(percentile(sorted, percent), expected);
        check(&hundred, 50, Some(50));
        check(&hundred, 95, Some(95));
        check(&hundred[..3], 50, Some(2));
        check(&hundred[..1], 95, Some(1));
        check(&[], 50, None);
        let told = wait(vec![3_000_000, 1_000_000, 8_000_000]).expect("three");
        assert_eq!((told.p50, told.p95, told.max, told.mean), (3.0, 8.0, 8.0, 4.0));
    }

    #[test]
    fn slowdowns_are_bounded_both_ways() {
        let check = |wait_s: u64, run_s: u64, expected: f64| {
            let found = bounded_slowdown(wait_s * 1_000_000, run_s * 1_000_000);
            assert!((found - expected).abs() < 1e-9, "{wait_s} {run_s}: {found}");
        };
        check(0, 100, 1.0);
        check(100, 100, 2.0);
        check(100, 1, 10.1);
        check(0, 0, 1.0);
    }
}
