//! What came of a run: per job type, in all, and the first failures with what they said last.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::driver::sandbox_path;
use crate::engine::{Engine, Reconciled, View};
use crate::model::{ExeEnd, Job, JobId, JobStatus, NodeResources};

use super::super::failure::Exit;
use super::super::output::{counted, enumerated, human, lines, printable, table};
use super::room::{self, TooBig};
use super::stats::{Spread, seconds, spread};

/// Failures that are listed.
const FAILURES_MAX: usize = 10;

/// Lines of the first failure's standard error.
const TAIL_LINES: usize = 10;

/// Bytes of it that are looked at.
const TAIL_BYTES: u64 = 4 << 10;

/// What the watcher knows and the store does not.
pub(super) struct Run {
    pub(super) workload: PathBuf,
    pub(super) name: String,
    pub(super) store: PathBuf,
    pub(super) out: PathBuf,
    /// An earlier process began it.
    pub(super) is_resumed: bool,
    pub(super) is_interrupted: bool,
    /// Jobs that had ended when this process began.
    pub(super) n_ended_before: u64,
    pub(super) wall: Duration,
    pub(super) found: Reconciled,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    workload: PathBuf,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    store: PathBuf,
    out: PathBuf,
    is_resumed: bool,
    is_interrupted: bool,
    /// True where everything had ended before.
    nothing_run: bool,
    exit_code: u8,
    totals: Totals,
    /// Of this process.
    wall_s: f64,
    /// Ends per second, in this process.
    jobs_per_s: f64,
    /// What an earlier process had left.
    recovered: Recovered,
    job_types: Vec<TypeRow>,
    unplaceable: Vec<TooBig>,
    paused: Vec<String>,
    failures: Vec<FailureRow>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Totals {
    jobs: u64,
    done: u64,
    failed: u64,
    canceled: u64,
    running: u64,
    not_run: u64,
    retries: u64,
    /// Executions that were lost with what ran them, and run again.
    lost: u64,
    cpu_s: f64,
    #[serde(skip)]
    cpu_us: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Recovered {
    still_running: usize,
    ended: usize,
    started_again: usize,
    lost: usize,
}

#[derive(Debug, Serialize)]
struct TypeRow {
    name: String,
    version: String,
    #[serde(flatten)]
    totals: Totals,
    /// From queued to started, of each job's newest execution.
    wait_s: Option<Spread>,
    /// From started to ended, likewise.
    run_s: Option<Spread>,
    mem_mib_max: u64,
    #[serde(skip)]
    waits: Vec<u64>,
    #[serde(skip)]
    runs: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct FailureRow {
    job: JobId,
    job_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    code: &'static str,
    reason: String,
    sandbox: Option<PathBuf>,
    /// The last lines of its standard error; of the first failure only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stderr: Vec<String>,
}

impl Totals {
    fn add(&mut self, job: &Job) {
        self.jobs += 1;
        match job.status {
            JobStatus::Completed => self.done += 1,
            JobStatus::Failed => self.failed += 1,
            JobStatus::Canceled => self.canceled += 1,
            JobStatus::Running => self.running += 1,
            JobStatus::Pending | JobStatus::Blocked | JobStatus::Queued => self.not_run += 1,
        }
        self.retries += u64::from(job.tries.saturating_sub(1));
        if matches!(job.status, JobStatus::Completed | JobStatus::Failed) {
            self.lost += u64::from(job.num_exes.saturating_sub(u32::from(job.tries)));
        }
        self.cpu_us += job.end.as_ref().map_or(0, |end| end.usage.cpu_us);
        self.cpu_s = seconds(self.cpu_us);
    }
}

impl TypeRow {
    fn new(name: &str, version: &str) -> Self {
        let (name, version, totals) = (name.to_owned(), version.to_owned(), Totals::default());
        let (waits, runs) = (Vec::new(), Vec::new());
        Self { name, version, totals, wait_s: None, run_s: None, mem_mib_max: 0, waits, runs }
    }

    fn add(&mut self, job: &Job) {
        self.totals.add(job);
        let waited = job.started.zip(job.queued).map(|(started, queued)| started.since(queued));
        self.waits.extend(waited.and_then(|waited| u64::try_from(waited.as_micros()).ok()));
        let usage = job.end.as_ref().map(|end| end.usage);
        self.runs.extend(usage.map(|usage| usage.wall_us).filter(|&wall| wall > 0));
        self.mem_mib_max = self.mem_mib_max.max(usage.map_or(0, |usage| usage.mem_kib.div_ceil(1_024)));
    }

    fn finish(&mut self) {
        self.wait_s = spread(std::mem::take(&mut self.waits));
        self.run_s = spread(std::mem::take(&mut self.runs));
    }
}

impl Summary {
    /// Counts everything. Cost: all jobs, twice.
    pub(super) fn new(run: Run, engine: &Engine, view: &View, total: &NodeResources) -> Self {
        let name = |id| view.types.iter().find(|kind| kind.job_type.id == id).map(|kind| &kind.job_type.spec);
        let name = |id| name(id).map_or_else(String::new, |spec| spec.name.clone());
        let mut rows: Vec<TypeRow> = view
            .types
            .iter()
            .map(|t| TypeRow::new(&t.job_type.spec.name, &t.job_type.spec.version))
            .collect();
        let (mut totals, mut failures) = (Totals::default(), Vec::new());
        for job in room::jobs(engine) {
            totals.add(&job);
            let at = view.types.iter().position(|kind| kind.job_type.id == job.job_type);
            if let Some(row) = at.and_then(|at| rows.get_mut(at)) {
                row.add(&job);
            }
            if job.status == JobStatus::Failed && failures.len() < FAILURES_MAX {
                failures.push(failure(&job, name(job.job_type), &run.store, failures.is_empty()));
            }
        }
        rows.iter_mut().for_each(TypeRow::finish);
        rows.retain(|row| row.totals.jobs > 0);
        let paused = view.types.iter().filter(|t| t.job_type.spec.is_paused && t.counts.queued > 0);
        let paused = paused.map(|kind| kind.job_type.spec.name.clone()).collect();
        let unplaceable = room::too_big(engine, total, name);
        let n_ended = (totals.done + totals.failed + totals.canceled).saturating_sub(run.n_ended_before);
        let exit = exit(&totals, !unplaceable.is_empty(), run.is_interrupted);
        Self {
            workload: run.workload,
            name: run.name,
            store: run.store,
            out: run.out,
            is_resumed: run.is_resumed,
            is_interrupted: run.is_interrupted,
            nothing_run: run.is_resumed && n_ended == 0 && !run.is_interrupted,
            exit_code: exit.code(),
            totals,
            wall_s: run.wall.as_secs_f64(),
            jobs_per_s: rate(n_ended, run.wall),
            recovered: Recovered {
                still_running: run.found.n_running,
                ended: run.found.n_ended,
                started_again: run.found.n_returned,
                lost: run.found.n_lost,
            },
            job_types: rows,
            unplaceable,
            paused,
            failures,
        }
    }

    /// What the process exits with.
    pub(super) fn exit(&self) -> Exit {
        exit(&self.totals, !self.unplaceable.is_empty(), self.is_interrupted)
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut parts = vec![self.type_table(), self.total_line()];
        parts.extend(self.recovery_lines());
        parts.extend(self.unplaceable.iter().map(|group| format!("not run: {group}")));
        if !self.paused.is_empty() {
            parts.push(format!("not run: jobs of paused types ({})", self.paused.join(", ")));
        }
        parts.extend(self.failure_lines());
        parts.push(format!("results: {}", self.out.display()));
        if self.nothing_run {
            parts.push(
                "nothing was run now: all of it had ended before; --fresh runs everything anew".to_owned(),
            );
        }
        parts.join("\n")
    }

    fn type_table(&self) -> String {
        let columns = [
            "JOB TYPE",
            ">DONE",
            ">FAILED",
            ">CANCELED",
            ">NOT RUN",
            ">RETRIES",
            ">WAIT P50",
            ">P95",
            ">RUN P50",
            ">P95",
            ">CPU",
        ];
        let mut table = table(&columns);
        for row in &self.job_types {
            let Totals { done, failed, canceled, not_run, retries, cpu_s, .. } = &row.totals;
            let wait = times(row.wait_s);
            let run = times(row.run_s);
            table.add_row([
                row.name.clone(),
                done.to_string(),
                failed.to_string(),
                canceled.to_string(),
                not_run.to_string(),
                retries.to_string(),
                wait.0,
                wait.1,
                run.0,
                run.1,
                human(Duration::from_secs_f64(*cpu_s)),
            ]);
        }
        lines(&table)
    }

    fn total_line(&self) -> String {
        let Totals { jobs, done, failed, canceled, not_run, .. } = self.totals;
        let done = format!("{done} of {} done", counted(jobs, "job"));
        let line = enumerated(done, &[(failed, "failed"), (canceled, "canceled"), (not_run, "not run")]);
        let wall = human(Duration::from_secs_f64(self.wall_s));
        let cpu = human(Duration::from_secs_f64(self.totals.cpu_s));
        format!("{line}; {wall}, {:.1} jobs/s, {cpu} of CPU", self.jobs_per_s)
    }

    fn recovery_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let Recovered { still_running, ended, .. } = self.recovered;
        if still_running + ended > 0 {
            lines.push(format!(
                "taken up from an earlier process: {ended} that had ended meanwhile, {still_running} that still ran"
            ));
        }
        if self.totals.lost > 0 {
            let n = counted(self.totals.lost, "execution");
            lines.push(format!("{n} lost with the supervisor, and run again"));
        }
        lines
    }

    fn failure_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in &self.failures {
            let place =
                row.sandbox.as_ref().map(|dir| format!("; see {}", dir.display())).unwrap_or_default();
            lines.push(format!(
                "failed: job {} ({}): {}{place}",
                row.job,
                row.job_type,
                printable(&row.reason)
            ));
            lines.extend(row.stderr.iter().map(|line| format!("    | {line}")));
        }
        let n_more = self.totals.failed.saturating_sub(self.failures.len() as u64);
        if n_more > 0 {
            lines.push(format!("and {n_more} more failed"));
        }
        lines
    }
}

fn exit(totals: &Totals, has_unplaceable: bool, is_interrupted: bool) -> Exit {
    if is_interrupted {
        Exit::Interrupted
    } else if totals.failed > 0 {
        Exit::Failed
    } else if has_unplaceable {
        Exit::Unplaceable
    } else if totals.done == totals.jobs {
        Exit::Done
    } else {
        Exit::Failed
    }
}

fn times(of: Option<Spread>) -> (String, String) {
    let text = |seconds: f64| human(Duration::from_secs_f64(seconds));
    of.map_or_else(|| ("-".to_owned(), "-".to_owned()), |of| (text(of.p50), text(of.p95)))
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs, for display")]
fn rate(n: u64, wall: Duration) -> f64 {
    if n == 0 || wall.is_zero() { 0.0 } else { n as f64 / wall.as_secs_f64() }
}

fn failure(job: &Job, job_type: String, store: &Path, with_tail: bool) -> FailureRow {
    let sandbox =
        job.end.as_ref().map(|end: &ExeEnd| sandbox_path(store, job.id, end.exe_num, end.launch.number));
    let sandbox = sandbox.filter(|dir| dir.is_dir());
    let tail = sandbox.as_ref().filter(|_| with_tail).and_then(|dir| tail(&dir.join("stderr")));
    let outcome = job.end.as_ref().map(|end| &end.outcome);
    FailureRow {
        job: job.id,
        job_type,
        node: job.recipe.as_ref().map(|(_, name)| name.to_string()),
        code: outcome.map_or("unknown", |outcome| outcome.code()),
        reason: outcome.map_or_else(|| "no end on record".to_owned(), ToString::to_string),
        sandbox,
        stderr: tail.unwrap_or_default(),
    }
}

/// The last lines of a file.
fn tail(path: &Path) -> Option<Vec<String>> {
    let mut file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES))).ok()?;
    let mut end = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut end).ok()?;
    let text = printable(&String::from_utf8_lossy(&end));
    let mut lines: Vec<String> = text.lines().rev().take(TAIL_LINES).map(str::to_owned).collect();
    lines.reverse();
    Some(lines)
}
