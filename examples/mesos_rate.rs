//! How many tasks a second a Mesos cluster runs for the framework of this crate, what that costs this process, and
//! how long an offer waits until it is used.
//!
//! The jobs are queued before the framework subscribes; the time counts from the first decision to the last end on
//! record. Beside it, a thread syncs 4 KiB to the disk of the store every 20 ms: how long that takes is the limit
//! of what waits for a sync. At the end each job is to have completed, once.
//!
//! `cargo run --release --example mesos_rate -- --master http://127.0.0.1:5050 --tasks 1000 --json`
//!
//! | option | default | |
//! |---|---|---|
//! | `--tasks N` | 1000 | tasks that are to end |
//! | `--queued N` | as many | jobs that are queued; more of them than tasks run on when the measure ends |
//! | `--executor FILE` | Mesos' own | as `serve --mesos-executor` has it |
//! | `--cpus N`, `--mem N` | 0.01, 1 | of each task |
//! | `--command TEXT` | `true` | what a task runs |
//! | `--checkpoint` | off | agents write down what runs |
//! | `--store-in DIR` | the temporary folder | where the store is made |

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use weighbridge::{
    Engine, FigureValue, JobId, JobRequest, JobStatus, JobTypeSpec, Lengths, MesosExecutor, MesosFramework,
    MesosOptions, NodeResources, Options, Policy, Score, Submission, SubmissionId,
};

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

#[expect(clippy::disallowed_methods, reason = "a measurement needs the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(10);

/// Jobs of one submission.
const CHUNK: u32 = 100_000;

struct Plan {
    master: String,
    n_tasks: u64,
    n_queued: u64,
    executor: Option<PathBuf>,
    needs: NodeResources,
    command: String,
    store_in: PathBuf,
    /// Agents write down what runs, so that it outlives them.
    keeps_tasks: bool,
    is_json: bool,
}

impl Plan {
    fn read(args: &[String]) -> Anything<Self> {
        let value = |name: &str| -> Anything<Option<&String>> {
            let Some(at) = args.iter().position(|arg| arg == name) else { return Ok(None) };
            Ok(Some(args.get(at + 1).ok_or_else(|| format!("{name} needs a value"))?))
        };
        let text = |name: &str, default: &str| -> Anything<String> {
            Ok(value(name)?.cloned().unwrap_or_else(|| default.to_owned()))
        };
        let n_tasks = text("--tasks", "1000")?.parse()?;
        let needs = format!("cpus:{},mem:{}", text("--cpus", "0.01")?, text("--mem", "1")?);
        Ok(Self {
            master: text("--master", "http://127.0.0.1:5050")?,
            n_tasks,
            n_queued: value("--queued")?.map_or(Ok(n_tasks), |n| n.parse())?.max(n_tasks),
            executor: value("--executor")?.map(PathBuf::from),
            needs: needs.parse()?,
            command: text("--command", "true")?,
            store_in: value("--store-in")?.map_or_else(std::env::temp_dir, PathBuf::from),
            keeps_tasks: args.iter().any(|arg| arg == "--checkpoint"),
            is_json: args.iter().any(|arg| arg == "--json"),
        })
    }
}

/// Seconds of processors that this process used so far.
fn cpu_seconds() -> Anything<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(')').ok_or("no process")?.1;
    let ticks = after.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    // Linux tells them in hundredths.
    Ok(ticks / 100.0)
}

/// How long syncs of 4 KiB take in a directory, until told to stop.
fn sync_again_and_again(directory: &Path, is_over: &AtomicBool) -> std::io::Result<Lengths> {
    let path = directory.join("probe");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
    let mut lengths = Lengths::default();
    while !is_over.load(Ordering::Relaxed) {
        let from = now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        lengths.count(from.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(lengths)
}

fn wait(what: &str, step: Duration, mut is_so: impl FnMut() -> Anything<bool>) -> Anything<()> {
    let end = now() + PATIENCE;
    while !is_so()? {
        if now() > end {
            return Err(format!("no {what} within {PATIENCE:?}").into());
        }
        std::thread::sleep(step);
    }
    Ok(())
}

fn queue(engine: &Engine, plan: &Plan) -> Anything<()> {
    let mut kind = JobTypeSpec::new("rate", "1").needs(plan.needs.clone());
    kind.command = plan.command.split(' ').map(str::to_owned).collect();
    let kind = engine.put_job_type(kind)?.wait_durable(PATIENCE)?;
    let mut left = plan.n_queued;
    while left > 0 {
        let n = u32::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        left -= u64::from(n);
        let submission = Submission::new(SubmissionId::new(&format!("s{left}"))?);
        engine.submit(submission.jobs(JobRequest::new(kind).count(n)))?.wait_durable(PATIENCE)?;
    }
    Ok(())
}

fn main() -> Anything<()> {
    let plan = Plan::read(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let directory = tempfile::Builder::new().prefix("mesos-rate-").tempdir_in(&plan.store_in)?;
    let store = directory.path().join("store");
    // Over all agents alike, since what each of them can do at once is the limit.
    let mut policy = Policy::default();
    policy.score = Score::Spread;
    let engine = Engine::open(&store, Options::default().policy(policy))?;
    queue(&engine, &plan)?;
    let mut options = MesosOptions::new(&plan.master)?;
    "weighbridge-rate".clone_into(&mut options.name);
    // What is left over is the master's to end.
    options.failover = Duration::ZERO;
    options.checkpoint = plan.keeps_tasks;
    let executor = plan.executor.as_ref().map(std::fs::read_to_string).transpose()?;
    options.executor = executor.map(|text| MesosExecutor::parse(&text)).transpose()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let syncs = {
        let (directory, is_over) = (directory.path().to_owned(), is_over.clone());
        std::thread::spawn(move || sync_again_and_again(&directory, &is_over))
    };
    let framework = MesosFramework::start(engine.clone(), &store, options)?;
    let failed = || framework.failure().map_or(Ok(()), |error| Err(error.to_string()));
    wait("first decision", Duration::from_micros(200), || Ok(failed().map(|()| engine.n_taken() > 0)?))?;
    let (from, cpu) = (now(), cpu_seconds()?);
    wait("last end", Duration::from_millis(5), || {
        failed()?;
        Ok(engine.view().totals.completed >= plan.n_tasks)
    })?;
    let (seconds, cpu) = (from.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    // The figures are told once a second.
    std::thread::sleep(Duration::from_millis(1_500));
    let report = engine.driver_report().ok_or("no report")?;
    framework.stop();
    is_over.store(true, Ordering::Relaxed);
    let syncs = syncs.join().map_err(|_| "the thread that syncs broke")??;
    check(&engine, &plan)?;
    let count = |name: &str| match report.figure(name) {
        Some(FigureValue::Count(n) | FigureValue::Level(n)) => *n,
        _ => 0,
    };
    if plan.n_queued == plan.n_tasks && count("tasks_launched") != plan.n_tasks {
        return Err(format!("{} launches of {} tasks", count("tasks_launched"), plan.n_tasks).into());
    }
    let Some(FigureValue::Lengths(offers)) = report.figure("offer_to_accept") else {
        return Err("no figure of offers".into());
    };
    let ms = |lengths: &Lengths, part| lengths.quantile(part).as_secs_f64() * 1_000.0;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let n = plan.n_tasks as f64;
    let figures = [
        ("tasks", n),
        ("seconds", seconds),
        ("tasks_per_s", n / seconds),
        ("cpu_ms_per_task", cpu * 1_000.0 / n),
        ("offer_to_accept_p50_ms", ms(offers, 0.5)),
        ("offer_to_accept_p99_ms", ms(offers, 0.99)),
        ("sync_p50_ms", ms(&syncs, 0.5)),
        ("sync_p99_ms", ms(&syncs, 0.99)),
    ];
    let text = |(name, value): &(&str, f64)| format!("{name:?}:{value:.3}");
    if plan.is_json {
        println!("{{{}}}", figures.iter().map(text).collect::<Vec<_>>().join(","));
    } else {
        for (name, value) in figures {
            println!("{name:>24} {value:12.3}");
        }
        println!("{:>24} {:12}", "offers_used", count("offers_used"));
    }
    engine.close()?;
    Ok(())
}

/// Holds that what is over completed at its first launch.
fn check(engine: &Engine, plan: &Plan) -> Anything<()> {
    let (mut after, mut n_completed) = (JobId(0), 0);
    loop {
        let jobs = engine.jobs(after, 1_000);
        let Some(last) = jobs.last() else { break };
        after = last.id;
        for job in jobs.iter().filter(|job| job.status == JobStatus::Completed) {
            n_completed += 1;
            if (job.num_exes, job.launches) != (1, 1) {
                return Err(format!("a job took more than one launch: {job:?}").into());
            }
        }
        // Those behind have not begun.
        if jobs.iter().all(|job| job.status == JobStatus::Queued) {
            break;
        }
    }
    if n_completed >= plan.n_tasks {
        Ok(())
    } else {
        Err(format!("{n_completed} of {} jobs completed", plan.n_tasks).into())
    }
}
