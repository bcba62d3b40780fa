//! What a checkpoint costs those who go on: decisions and durable enqueues, sampled under a constant
//! load, sorted into those during which one ran and those during which none did.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use weighbridge::Engine;

use crate::figures::{Anything, Figure, Latencies, count, now, real, rounded};
use crate::ours::{BATCH_JOBS, Ours, SYNC, WINDOW, accepted, batches, end_all, ended, node};
use crate::plan::Plan;

/// Whether a checkpoint runs at this moment.
pub(crate) fn checkpoint_runs(engine: &Engine) -> bool {
    let checkpoints = engine.checkpoints();
    checkpoints.n_begun > checkpoints.n_done
}

const DECIDE: &str = "checkpoint_decide_ratio";
const ENQUEUE: &str = "checkpoint_enqueue_ratio";

/// Jobs that wait all the time.
const BACKLOG: u64 = 1_000_000;

/// The load: so many jobs are made, launched and ended in each period. Few at a time, so that no
/// decision has to wait for a large submission to be applied.
const LOAD_JOBS: u64 = 100;
const LOAD_PERIOD: Duration = Duration::from_millis(2);

/// Pauses between samples.
const DECIDE_PAUSE: Duration = Duration::from_micros(200);
const ENQUEUE_PAUSE: Duration = Duration::from_millis(1);

/// Samples go on for the first, and until so many checkpoints were seen; at most for the second.
const SECONDS_MIN: u64 = 60;
const SECONDS_MAX: u64 = 300;
const CHECKPOINTS_MIN: u64 = 5;

/// Fewer samples than that while a checkpoint runs say nothing of the rank that is asked for.
const DECIDES_MIN: usize = 1_000;
const ENQUEUES_MIN: usize = 100;

/// Latencies, sorted.
#[derive(Default)]
struct Sorted {
    during: Latencies,
    apart: Latencies,
}

impl Sorted {
    /// Times `call`. A call counts as during a checkpoint when one ran before or after it.
    fn sample<R>(&mut self, engine: &Engine, call: impl FnOnce() -> R) -> R {
        let before = checkpoint_runs(engine);
        let from = now();
        let result = call();
        let took = now() - from;
        let side = if before || checkpoint_runs(engine) { &mut self.during } else { &mut self.apart };
        side.push(took);
        result
    }

    /// The ratio of the latencies of that rank, `None` where there are too few samples.
    fn ratio(&mut self, per_thousand: usize, least: usize) -> Option<f64> {
        let is_enough = self.during.len() >= least && self.apart.len() >= least;
        is_enough.then(|| self.during.us(per_thousand) / self.apart.us(per_thousand))
    }

    fn figure(&mut self, key: &'static str, rank: (usize, usize), around: &Around) -> Anything<Figure> {
        let (per_thousand, least) = rank;
        let (n_during, n_apart) = (self.during.len(), self.apart.len());
        let n_seen = around.n_seen;
        let value = self.ratio(per_thousand, least).ok_or_else(|| {
            format!(
                "{n_seen} checkpoints were seen, {n_during} samples while one ran, {n_apart} while none did: \
                 at least {least} of each are needed; a larger --scale gives more"
            )
        })?;
        let raw = json!({
            "rounds": 1,
            "checkpoints_seen": n_seen,
            "seconds": rounded(around.took.as_secs_f64()),
            "load_jobs_per_s": rounded(real(around.n_ended) / around.took.as_secs_f64()),
            "during": self.during.json(),
            "apart": self.apart.json(),
        });
        let against = format!(
            "the same while none ran, {:.1} us; {n_during} and {n_apart} samples, {n_seen} checkpoints",
            self.apart.us(per_thousand)
        );
        Ok(Figure::new(key, value, against, raw))
    }
}

/// What happened around the samples.
struct Around {
    took: Duration,
    n_seen: u64,
    n_ended: u64,
}

pub(crate) fn checkpoint_ratios(plan: &Plan) -> Anything<Vec<Figure>> {
    let mut ours = Ours::open(&plan.place.at("checkpoint"))?;
    let n_backlog = plan.scaled_batches(BACKLOG);
    for _ in 0..n_backlog / BATCH_JOBS {
        let one = vec![ours.submission(BATCH_JOBS)];
        batches(&ours.engine, one)?;
    }
    let least = Duration::from_secs(plan.scaled(SECONDS_MIN, 3));
    let most = Duration::from_secs(plan.scaled(SECONDS_MAX, 15));
    let mut loads = ours.beside(1 << 40);
    let mut singles = ours.beside(1 << 41);
    let engine = &ours.engine;
    let (is_over, n_seen) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut decides, mut enqueues) = (Sorted::default(), Sorted::default());
    let begun = now();
    let (n_ended, n_single) = std::thread::scope(|scope| -> Anything<(u64, u64)> {
        // However this ends, so do the threads.
        let _over = SetAtEnd(&is_over);
        let load = scope.spawn(|| ending(&is_over, || load(engine, &mut loads, &is_over)));
        let decide = scope.spawn(|| ending(&is_over, || decide(engine, &mut decides, (&is_over, &n_seen))));
        let enqueue =
            scope.spawn(|| ending(&is_over, || enqueue(engine, &mut enqueues, &mut singles, &is_over)));
        // Relaxed: a count and a flag that order nothing; joining does.
        while !is_over.load(Ordering::Relaxed) {
            let passed = now() - begun;
            let is_enough = passed >= least && n_seen.load(Ordering::Relaxed) >= CHECKPOINTS_MIN;
            if is_enough || passed >= most {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        is_over.store(true, Ordering::Relaxed);
        let panicked = |_| "a sampling thread panicked";
        decide.join().map_err(panicked)??;
        let n_ended = load.join().map_err(panicked)??;
        Ok((n_ended, enqueue.join().map_err(panicked)??))
    })?;
    let around = Around { took: now() - begun, n_seen: n_seen.into_inner(), n_ended };
    let totals = ours.engine.fresh_view(SYNC).totals;
    // The load makes one for each that it ends.
    if (totals.completed, totals.queued, totals.running) != (n_ended, n_backlog + n_single, 0) {
        return Err(
            format!("{n_ended} jobs ended, {n_backlog} + {n_single} wait; all counts: {totals:?}").into()
        );
    }
    Ok(vec![
        decides.figure(DECIDE, (999, DECIDES_MIN), &around)?,
        enqueues.figure(ENQUEUE, (990, ENQUEUES_MIN), &around)?,
    ])
}

struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `body`; the others end with it.
fn ending<T>(is_over: &AtomicBool, body: impl FnOnce() -> Anything<T>) -> Anything<T> {
    let _over = SetAtEnd(is_over);
    body()
}

/// Makes, launches and ends jobs at a constant rate. Returns how many ended.
fn load(engine: &Engine, maker: &mut Ours, is_over: &AtomicBool) -> Anything<u64> {
    let offer = node(3, LOAD_JOBS)?;
    let (mut made, mut ends) = (VecDeque::new(), VecDeque::new());
    let mut n_ended = 0;
    let mut next = now();
    while !is_over.load(Ordering::Relaxed) || !made.is_empty() {
        if !is_over.load(Ordering::Relaxed) {
            made.push_back(engine.submit(maker.submission(LOAD_JOBS))?);
            let picks = engine.offer(&offer);
            if count(picks.len()) != LOAD_JOBS {
                return Err(format!("the load got {} jobs, not {LOAD_JOBS}", picks.len()).into());
            }
            ends.push_back(end_all(engine, &mut picks.commit())?);
        }
        if made.len() > WINDOW || is_over.load(Ordering::Relaxed) {
            made.pop_front().map_or(Ok(()), |ticket| accepted(&ticket, LOAD_JOBS))?;
            n_ended += ends.pop_front().map_or(Ok(0), |oldest| ended(&oldest))?;
        }
        next += LOAD_PERIOD;
        // Who is late does not hurry up afterwards: the load stays what it is.
        next = next.max(now());
        std::thread::sleep(next - now());
    }
    Ok(n_ended)
}

/// Samples decisions: an offer for one job, its pick put back.
fn decide(engine: &Engine, sorted: &mut Sorted, shared: (&AtomicBool, &AtomicU64)) -> Anything<()> {
    let (is_over, n_seen) = shared;
    let offer = node(2, 1)?;
    let mut ran = false;
    while !is_over.load(Ordering::Relaxed) {
        if sorted.sample(engine, || engine.offer(&offer).len()) != 1 {
            return Err("an offer for one job got none".into());
        }
        let runs = checkpoint_runs(engine);
        if runs && !std::mem::replace(&mut ran, runs) {
            n_seen.fetch_add(1, Ordering::Relaxed);
        }
        ran = runs;
        std::thread::sleep(DECIDE_PAUSE);
    }
    Ok(())
}

/// Samples durable enqueues of one job. Returns how many there were.
fn enqueue(engine: &Engine, sorted: &mut Sorted, maker: &mut Ours, is_over: &AtomicBool) -> Anything<u64> {
    let mut n = 0;
    while !is_over.load(Ordering::Relaxed) {
        let submission = maker.submission(1);
        sorted.sample(engine, || accepted(&engine.submit(submission)?, 1))?;
        n += 1;
        std::thread::sleep(ENQUEUE_PAUSE);
    }
    Ok(n)
}
