//! Measures what a bulk cancel of many queued jobs costs the decisions that go on beside it.
//!
//! `cargo run --release --example bulk -- --jobs 5000000 --json`
//!
//! For: the pauses that a bulk operation makes, and how fast it is. Not for: the decision itself, which
//! `decide` measures.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weighbridge::{
    BulkId, BulkKind, BulkPhase, Engine, JobFilter, JobRequest, JobTypeId, JobTypeSpec, NodeId,
    NodeResources, Offer, Options, Outcome, Outgoing, StatusUpdate, Submission, SubmissionId, TaskState,
    Usage,
};

/// The one of the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
Measures decisions before and during a bulk cancel of queued jobs.

  bulk [--jobs N] [--seconds S] [--dir DIR] [--json]

  --jobs N     jobs that are canceled (1,000,000)
  --seconds S  how long decisions are measured before (5)
  --dir DIR    where the store is made, and removed again (the temporary directory)
  --json       one JSON object on one line

A decision is an offer of room for one job. Between two of them its job is launched, ends, and is made
anew, as fast as the pace says. All jobs have to be canceled in the end, and those beside them not.
";

/// Pause between two decisions.
const PACE: Duration = Duration::from_micros(100);

/// Jobs that wait beside those that are canceled.
const N_BESIDE: u32 = 1_000;

/// Types that the canceled jobs are of.
const N_TYPES: u32 = 20;

/// Jobs of one submission.
const SUBMITTED: u64 = 100_000;

const WAIT: Duration = Duration::from_mins(2);

struct Arguments {
    n_jobs: u64,
    seconds: u64,
    directory: Option<std::path::PathBuf>,
    is_json: bool,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut found = Arguments { n_jobs: 1_000_000, seconds: 5, directory: None, is_json: false };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match word.as_str() {
            "--jobs" => found.n_jobs = number(value()?)?.max(1),
            "--seconds" => found.seconds = number(value()?)?.max(1),
            "--dir" => found.directory = Some(value()?.into()),
            "--json" => found.is_json = true,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("{other} is not known; see --help")),
        }
    }
    Ok(Some(found))
}

#[expect(clippy::disallowed_methods, reason = "it measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// The jobs that decisions are about: the most important ones.
struct Beside<'e> {
    engine: &'e Engine,
    kind: JobTypeId,
    n_submitted: u64,
}

impl Beside<'_> {
    fn submit(&mut self, count: u32) {
        self.n_submitted += 1;
        let id = SubmissionId::new(&format!("beside-{}", self.n_submitted)).expect("an id");
        let submission = Submission::new(id).jobs(JobRequest::new(self.kind).count(count)).buffered();
        drop(self.engine.submit(submission).expect("room"));
    }

    /// Decides until `is_over`, and gives how long each decision took.
    fn decide(&mut self, is_over: impl Fn() -> bool) -> Vec<Duration> {
        let offer = Offer::new(NodeId(1), NodeResources::new().mem_mib(1));
        let mut took = Vec::new();
        while !is_over() {
            let began = now();
            let picks = self.engine.offer(&offer);
            took.push(began.elapsed());
            picks.hand_over();
            for outgoing in self.engine.outgoing(Duration::ZERO) {
                if let Outgoing::Launch(launch) = outgoing {
                    let state =
                        TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
                    let update = StatusUpdate { name: launch.get().name, state, when: self.engine.now() };
                    self.engine.report(update).expect("room");
                    self.submit(1);
                }
            }
            std::thread::sleep(PACE);
        }
        took
    }
}

/// Per mille of sorted times.
fn quantile(sorted: &[Duration], per_mille: usize) -> Duration {
    let at = (sorted.len() * per_mille / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn told(mut took: Vec<Duration>) -> (Value, Duration) {
    took.sort_unstable();
    let nanos = |per_mille| u64::try_from(quantile(&took, per_mille).as_nanos()).unwrap_or(u64::MAX);
    let value = json!({
        "n": took.len(), "median_ns": nanos(500), "p99_ns": nanos(990), "p999_ns": nanos(999),
        "max_ns": took.last().map_or(0, |last| u64::try_from(last.as_nanos()).unwrap_or(u64::MAX)),
    });
    (value, quantile(&took, 999))
}

fn fill(engine: &Engine, n_jobs: u64) -> Vec<JobTypeId> {
    let put = |spec| engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
    let needs = NodeResources::new().mem_mib(2);
    let kinds: Vec<JobTypeId> =
        (0..N_TYPES).map(|n| put(JobTypeSpec::new(format!("kind{n}"), "1").needs(needs.clone()))).collect();
    let mut left = n_jobs;
    for (n, kind) in (0_u64..).zip(kinds.iter().cycle()) {
        let count = left.min(SUBMITTED.min(n_jobs.div_ceil(u64::from(N_TYPES))));
        if count == 0 {
            break;
        }
        let id = SubmissionId::new(&format!("s{n}")).expect("an id");
        let request = JobRequest::new(*kind).count(u32::try_from(count).expect("small"));
        let ticket = engine.submit(Submission::new(id).jobs(request)).expect("room");
        ticket.wait_durable(WAIT).expect("accepted");
        left -= count;
    }
    kinds
}

/// Cancels them in steps, on a thread of its own as a service does, while decisions go on.
fn cancel(beside: &mut Beside<'_>, kinds: Vec<JobTypeId>) -> (BulkId, Vec<Duration>, Duration) {
    let engine = beside.engine;
    let ticket = engine.bulk(BulkKind::Cancel, JobFilter::default().job_types(kinds), None).expect("room");
    let id = ticket.wait_durable(WAIT).expect("ordered");
    let is_over = AtomicBool::new(false);
    let began = now();
    let (took, lasted) = std::thread::scope(|scope| {
        let stepping = scope.spawn(|| {
            while engine.bulk_step().expect("a step") {}
            is_over.store(true, Ordering::Release);
            began.elapsed()
        });
        let took = beside.decide(|| is_over.load(Ordering::Acquire));
        (took, stepping.join().expect("no panic"))
    });
    (id, took, lasted)
}

fn measure(arguments: &Arguments) -> Result<Value, String> {
    let place = match &arguments.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let place = place.map_err(|error| error.to_string())?;
    let engine = Engine::open(place.path(), Options::default()).map_err(|error| error.to_string())?;
    let kinds = fill(&engine, arguments.n_jobs);
    let spec = JobTypeSpec::new("beside", "1").needs(NodeResources::new().mem_mib(1)).priority(1);
    let kind = engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a type");
    let mut beside = Beside { engine: &engine, kind, n_submitted: 0 };
    beside.submit(N_BESIDE);
    // Checkpoints of what was made are over, and caches are warm.
    engine.checkpoint(WAIT);
    let warm = now();
    beside.decide(|| warm.elapsed() > Duration::from_secs(1));
    let began = now();
    let (before, p999_before) =
        told(beside.decide(|| began.elapsed() > Duration::from_secs(arguments.seconds)));
    let (id, took, lasted) = cancel(&mut beside, kinds);
    let (during, p999_during) = told(took);
    if !engine.settle(WAIT) {
        return Err("it does not settle".to_owned());
    }
    let view = engine.fresh_view(WAIT);
    let bulk = view.catalog.bulk_operation(id).ok_or("the operation is forgotten")?;
    if (bulk.phase, bulk.n_changed) != (BulkPhase::Done, arguments.n_jobs) {
        return Err(format!("{} of {} jobs were canceled", bulk.n_changed, arguments.n_jobs));
    }
    // Some of those beside are on their way between two decisions.
    if view.n_queued > N_BESIDE as usize || 2 * view.n_queued < N_BESIDE as usize {
        return Err(format!("{} jobs wait in the end, not about {N_BESIDE}", view.n_queued));
    }
    engine.check_invariants();
    let ratio = p999_during.as_secs_f64() / p999_before.as_secs_f64().max(1e-9);
    let seconds = lasted.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = arguments.n_jobs as f64 / seconds.max(1e-9);
    drop(view);
    drop(engine);
    Ok(json!({
        "key": "bulk_cancel", "n_jobs": arguments.n_jobs, "before": before, "during": during,
        "p999_ratio": ratio, "seconds": seconds, "jobs_per_s": rate,
    }))
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(text) => {
            eprintln!("bulk: {text}");
            return ExitCode::from(2);
        }
    };
    match measure(&arguments) {
        Ok(found) if arguments.is_json => println!("{found}"),
        Ok(found) => {
            let micros = |of: &str, what: &str| found[of][what].as_u64().unwrap_or(0) / 1_000;
            for of in ["before", "during"] {
                let [median, p99, p999, max] =
                    ["median_ns", "p99_ns", "p999_ns", "max_ns"].map(|w| micros(of, w));
                println!("{of}: median {median} us, p99 {p99} us, p99.9 {p999} us, max {max} us");
            }
            println!("{} jobs in {} s, p99.9 x {}", found["n_jobs"], found["seconds"], found["p999_ratio"]);
        }
        Err(text) => {
            eprintln!("bulk: {text}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
