//! Figures of a store that is full: how long it takes to be ready after a kill, what it takes on
//! disk and in memory.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use weighbridge::Retention;

use crate::child::{Running, Task};
use crate::figures::{Anything, Figure, all_rounded, count, median, real, rounded};
use crate::ours::{BATCH_JOBS, Ours, WINDOW, lives};
use crate::place::store_bytes;
use crate::plan::Plan;

fn number(told: &Value, name: &str) -> Anything<f64> {
    Ok(told[name].as_f64().ok_or_else(|| format!("a child did not tell {name}: {told}"))?)
}

fn whole(told: &Value, name: &str) -> Anything<u64> {
    Ok(told[name].as_u64().ok_or_else(|| format!("a child did not tell {name}: {told}"))?)
}

/// Opening a store once.
struct Opening {
    open_s: f64,
    first_pick_s: f64,
    n_replayed: u64,
    n_queued: u64,
    log_bytes: u64,
    state_bytes: u64,
}

/// Fills a store with `n_jobs`, kills who does it while it still submits, and opens it.
fn kill_and_open(directory: &Path, n_jobs: u64) -> Anything<Opening> {
    let mut filling = Running::start(Task::Fill, directory, n_jobs)?;
    let mut told = filling.told()?;
    while told["kill"] != true {
        told = filling.told()?;
    }
    filling.kill()?;
    // What it told until then, it had been told itself.
    while let Some(later) = filling.line()? {
        told = later;
    }
    let n_accepted = whole(&told, "n_accepted")?;
    let (log_bytes, state_bytes) = store_bytes(directory)?;
    let mut opening = Running::start(Task::Open, directory, 0)?;
    let told = opening.told()?;
    opening.kill()?;
    let n_queued = whole(&told, "n_queued")?;
    // The last answer may not have been told, and what was on its way may be there or not.
    let n_most = n_accepted + (count(WINDOW) + 1) * BATCH_JOBS;
    if n_queued < n_accepted || n_queued > n_most || !n_queued.is_multiple_of(BATCH_JOBS) {
        return Err(format!("{n_accepted} jobs were accepted before the kill, {n_queued} are there").into());
    }
    Ok(Opening {
        open_s: number(&told, "open_s")?,
        first_pick_s: number(&told, "first_pick_s")?,
        n_replayed: whole(&told, "n_replayed")?,
        n_queued,
        log_bytes,
        state_bytes,
    })
}

/// A recovery of `n_full` jobs times the scale.
fn recover(plan: &Plan, key: &'static str, n_full: u64, n_rounds: usize) -> Anything<Vec<Figure>> {
    let n_jobs = plan.scaled_batches(n_full);
    let mut all = Vec::new();
    for round in 0..n_rounds {
        let directory = plan.place.at(&format!("{key}.{round}"));
        all.push(kill_and_open(&directory, n_jobs)?);
        std::fs::remove_dir_all(&directory)?;
    }
    let each = |of: fn(&Opening) -> f64| all.iter().map(of).collect::<Vec<f64>>();
    let (opens, picks) = (each(|o| o.open_s), each(|o| o.first_pick_s));
    let ready = median(&each(|o| o.open_s + o.first_pick_s));
    let raw = json!({
        "rounds": n_rounds,
        "n_jobs": n_jobs,
        "open_s": all_rounded(&opens),
        "first_pick_ms": all_rounded(&each(|o| o.first_pick_s * 1e3)),
        "n_replayed": each(|o| real(o.n_replayed)),
        "n_queued": each(|o| real(o.n_queued)),
        "log_bytes": each(|o| real(o.log_bytes)),
        "state_bytes": each(|o| real(o.state_bytes)),
        "jobs_per_s": rounded(real(n_jobs) / ready),
    });
    let against = format!(
        "{n_jobs} jobs: opening {:.3} s, first pick {:.3} ms; files in the page cache",
        median(&opens),
        median(&picks) * 1e3
    );
    Ok(vec![Figure::new(key, ready, against, raw)])
}

pub(crate) fn recover_1e6_s(plan: &Plan) -> Anything<Vec<Figure>> {
    recover(plan, "recover_1e6_s", 1_000_000, plan.n_rounds.min(3))
}

pub(crate) fn recover_1e7_s(plan: &Plan) -> Anything<Vec<Figure>> {
    recover(plan, "recover_1e7_s", 10_000_000, 1)
}

/// Jobs that are over which are kept, and the events of the whole run.
const KEPT: u64 = 1_000_000;
const STEADY_EVENTS: u64 = 100_000_000;

/// Lives between two looks at the files.
const SLICE_JOBS: u64 = 500_000;

pub(crate) fn steady_file_ratio(plan: &Plan) -> Anything<Vec<Figure>> {
    let key = "steady_file_ratio";
    let directory = plan.place.at(key);
    let n_events = plan.scaled(STEADY_EVENTS, 10_000);
    let n_slice = plan.scaled_batches(SLICE_JOBS) / BATCH_JOBS;
    let kept = plan.scaled_batches(KEPT);
    let mut ours = Ours::keeping(&directory, Retention::default().jobs(kept))?;
    // What had happened, and the bytes of both files then.
    let mut looks: Vec<(u64, u64)> = Vec::new();
    let (mut n_jobs, mut busy) = (0, Duration::ZERO);
    let mut happened = 0;
    while happened < n_events {
        let list = ours.submissions(n_slice, BATCH_JOBS);
        let turn = lives(&ours.engine, list)?;
        (n_jobs, busy) = (n_jobs + turn.n, busy + turn.took);
        let (log, state) = store_bytes(&directory)?;
        happened = ours.engine.durable().0;
        looks.push((happened, log + state));
    }
    let largest = |from: u64, to: u64| {
        let within = looks.iter().filter(|(event, _)| (from..=to).contains(event));
        within.map(|(_, bytes)| *bytes).max().ok_or("too few looks at the files: a larger --scale gives more")
    };
    let (first, second) = (largest(happened / 10, happened / 2)?, largest(happened / 2, happened)?);
    let bytes: Vec<f64> = looks.iter().map(|(_, bytes)| real(*bytes)).collect();
    let raw = json!({
        "rounds": 1,
        "n_events": happened,
        "n_jobs": n_jobs,
        "kept_jobs": kept,
        "lives_per_s": rounded(real(n_jobs) / busy.as_secs_f64()),
        "file_bytes": all_rounded(&bytes),
    });
    let against = format!(
        "{happened} events, {n_jobs} lives: at most {} MiB in the second half, {} MiB in the first",
        second >> 20,
        first >> 20
    );
    Ok(vec![Figure::new(key, real(second) / real(first), against, raw)])
}

/// Bytes of the files and of the process, by job.
fn bytes_of(directory: &Path, told: &Value, n_jobs: u64) -> Anything<(f64, f64, Value)> {
    let (log, state) = store_bytes(directory)?;
    let n_queued = whole(told, "n_queued")?;
    if n_queued != n_jobs {
        return Err(format!("{n_jobs} jobs were accepted, {n_queued} are queued").into());
    }
    let by_job = |bytes: u64| real(bytes) / real(n_jobs);
    let (resident, most) = (whole(told, "resident")?, whole(told, "resident_max")?);
    let raw = json!({
        "log_bytes": log,
        "state_bytes": state,
        "resident_bytes": resident,
        "resident_max_bytes": most,
        "disk_by_job": rounded(by_job(log + state)),
        "resident_by_job": rounded(by_job(resident)),
        "resident_max_by_job": rounded(by_job(most)),
    });
    Ok((by_job(log + state), by_job(resident), raw))
}

pub(crate) fn bytes_per_job(plan: &Plan) -> Anything<Vec<Figure>> {
    let n_jobs = plan.scaled_batches(10_000_000);
    let directory = plan.place.at("bytes_per_job");
    let mut holding = Running::start(Task::Hold, &directory, n_jobs)?;
    let filled = number(&holding.told()?, "filled_per_s")?;
    let told = holding.told()?;
    let (disk, memory, filled_raw) = bytes_of(&directory, &told, n_jobs)?;
    holding.finish()?;
    let (log, state) = store_bytes(&directory)?;

    let mut opening = Running::start(Task::Open, &directory, 0)?;
    let open_s = number(&opening.told()?, "open_s")?;
    let told = opening.told()?;
    let (disk_again, memory_again, opened_raw) = bytes_of(&directory, &told, n_jobs)?;
    opening.kill()?;
    let raw = json!({
        "rounds": 1,
        "n_jobs": n_jobs,
        "filled_per_s": rounded(filled),
        "after_filling": filled_raw,
        "closed": { "log_bytes": log, "state_bytes": state },
        "after_opening": opened_raw,
        "open_s": rounded(open_s),
    });
    let against = |name: &str, filled: f64, opened: f64| {
        format!(
            "{n_jobs} jobs: {name} {filled:.0} after filling, {opened:.0} after opening again; the larger"
        )
    };
    let disk_against = against("log and state", disk, disk_again);
    let memory_against = against("resident", memory, memory_again);
    Ok(vec![
        Figure::new("disk_bytes_per_job", disk.max(disk_again), disk_against, raw.clone()),
        Figure::new("memory_bytes_per_job", memory.max(memory_again), memory_against, raw),
    ])
}
