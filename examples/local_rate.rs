//! How many short jobs a second the durable engine and the executor of this machine run, beside a
//! shell loop and `xargs -P`, on the same machine in the same run.
//!
//! Each of the three runs `true` as often, in turn, several times; the medians are told. The engine
//! runs with a store on disk: every launch is synced before it starts. Slots are equal: as many
//! jobs at once as `xargs` gets with `-P`. The figures mean little while the machine does something
//! else, or where thousands of files were removed in the last minutes: ext4 does not take their
//! inodes again for a while and searches past each of them for every file it makes. So the stores
//! are removed only after the last round.
//!
//! `cargo run --release --example local_rate -- --json`, or `--jobs N`, `--rounds N`,
//! `--store-in DIR` (where the stores are made; the temporary folder by default).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use weighbridge::{
    Engine, JobRequest, JobTypeSpec, LocalDriver, LocalOptions, NodeId, NodeResources, Offer, Options,
    Service, Submission, SubmissionId, SupervisorCommand, SupervisorOptions, run_supervisor, status_sink,
};

/// Jobs that run at once on one processor.
const JOBS_PER_CPU: usize = 4;

/// What one of them asks for: one over that.
const CPUS_PER_JOB: &str = "0.25";

const SYNC: Duration = Duration::from_mins(1);

/// The first argument of this program where it is started as the supervisor.
const SUPERVISE: &str = "supervise";

type Anything<T> = Result<T, Box<dyn std::error::Error>>;

struct Plan {
    n_jobs: u32,
    n_rounds: usize,
    n_slots: usize,
    stores: PathBuf,
    is_json: bool,
}

/// One turn of ours.
struct Turn {
    jobs_per_s: f64,
    own_cpu_us_per_job: f64,
    commits: u64,
}

fn main() -> Anything<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, store] = args.as_slice()
        && first == SUPERVISE
    {
        return Ok(run_supervisor(Path::new(store), &SupervisorOptions::default())?);
    }
    let plan = Plan::read(&args)?;
    let measured = measure(&plan);
    for round in 0..plan.n_rounds {
        // Also where a round failed; those after it made none.
        match std::fs::remove_dir_all(plan.store(round)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                eprintln!("could not remove {}: {error}", plan.store(round).display());
            }
            _ => {}
        }
    }
    measured?.tell(&plan);
    Ok(())
}

/// What all rounds measured.
struct Measured {
    ours: Vec<Turn>,
    shells: Vec<f64>,
    xargs: Vec<f64>,
}

fn measure(plan: &Plan) -> Anything<Measured> {
    let (mut ours, mut shells, mut xargs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.n_rounds {
        ours.push(run_ours(plan, round)?);
        shells.push(rate_of(
            plan,
            "sh",
            &["-c", "i=0; while [ $i -lt $0 ]; do /bin/true; i=$((i+1)); done"],
        )?);
        let script = format!("seq $0 | xargs -P {} -n 1 /bin/true", plan.n_slots);
        xargs.push(rate_of(plan, "sh", &["-c", &script])?);
    }
    Ok(Measured { ours, shells, xargs })
}

impl Measured {
    fn tell(self, plan: &Plan) {
        let Self { ours, shells, xargs } = self;
        let rates = ours.iter().map(|turn| turn.jobs_per_s).collect();
        let cpus = ours.iter().map(|turn| turn.own_cpu_us_per_job).collect();
        let (rate, cpu, shell, xargs) = (median(rates), median(cpus), median(shells), median(xargs));
        let commits = ours.iter().map(|turn| turn.commits).max().unwrap_or(0);
        if plan.is_json {
            let figures = serde_json::json!({
                "jobs": plan.n_jobs,
                "slots": plan.n_slots,
                "rounds": plan.n_rounds,
                "jobs_per_s": round(rate),
                "xargs_jobs_per_s": round(xargs),
                "shell_jobs_per_s": round(shell),
                "ratio": (rate / xargs * 1_000.0).round() / 1_000.0,
                "own_cpu_us_per_job": round(cpu),
                "commits_max": commits,
            });
            println!("{figures}");
        } else {
            println!("{} jobs of true, {} at once, medians of {}", plan.n_jobs, plan.n_slots, plan.n_rounds);
            println!(
                "weighbridge  {rate:8.0} jobs/s, {cpu:.0} us of own CPU per job, at most {commits} commits"
            );
            println!("xargs -P     {xargs:8.0} jobs/s, ratio {:.2}", rate / xargs);
            println!("shell loop   {shell:8.0} jobs/s");
        }
    }
}

impl Plan {
    fn store(&self, round: usize) -> PathBuf {
        self.stores.join(format!("weighbridge-rate-{}-{round}", std::process::id()))
    }

    fn read(args: &[String]) -> Anything<Self> {
        let mut plan = Self {
            n_jobs: 5_000,
            n_rounds: 3,
            n_slots: JOBS_PER_CPU * std::thread::available_parallelism()?.get(),
            stores: std::env::temp_dir(),
            is_json: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--json" => plan.is_json = true,
                "--jobs" => plan.n_jobs = value()?.parse()?,
                "--rounds" => plan.n_rounds = value()?.parse()?,
                "--store-in" => plan.stores = value()?.into(),
                _ => return Err(format!("{arg} is unknown; see the head of examples/local_rate.rs").into()),
            }
        }
        Ok(plan)
    }
}

/// Queues all jobs, then times them from the first decision to the last end on record.
fn run_ours(plan: &Plan, round: usize) -> Anything<Turn> {
    let store = plan.store(round);
    let engine = Engine::open(&store, Options::default())?;
    let supervisor = SupervisorCommand::this_program([SUPERVISE.as_ref(), store.as_os_str()]);
    let driver = LocalDriver::start(&store, supervisor, LocalOptions::default(), status_sink(&engine))?;
    let driver = Arc::new(driver);
    let one = NodeResources::new().cpus(CPUS_PER_JOB)?;
    let job = JobTypeSpec::new("true", "1").command(["/bin/true"]).max_tries(1).needs(one);
    let job = engine.put_job_type(job)?.wait_durable(SYNC)?;
    let jobs = Submission::new(SubmissionId::new("all")?).jobs(JobRequest::new(job).count(plan.n_jobs));
    engine.submit(jobs)?.wait_durable(SYNC)?;

    let total = NodeResources::new().cpus(&(plan.n_slots / JOBS_PER_CPU).to_string())?;
    let (cpu_before, begun) = (own_cpu(&store)?, now());
    let service =
        Service::start(engine.clone(), driver.clone(), &Offer::new(NodeId(1), total).named("here"))?;
    let mut view = engine.view();
    while view.totals.n_ended() < u64::from(plan.n_jobs) {
        if let Some(error) = engine.failure() {
            return Err(format!("the log takes nothing any more: {error}").into());
        }
        std::thread::sleep(Duration::from_millis(2));
        view = engine.view();
    }
    let wall = now().duration_since(begun);
    let cpu = own_cpu(&store)?.saturating_sub(cpu_before);
    assert_eq!(view.totals.completed, u64::from(plan.n_jobs), "every one of them completes");
    let commits = engine.n_commits();
    service.stop();
    driver.close()?;
    drop(driver);
    engine.close()?;
    let n = f64::from(plan.n_jobs);
    Ok(Turn { jobs_per_s: n / wall.as_secs_f64(), own_cpu_us_per_job: cpu.as_secs_f64() * 1e6 / n, commits })
}

/// Processor time of this process and of its supervisor, without what their children used.
fn own_cpu(store: &Path) -> Anything<Duration> {
    let supervisor = std::fs::read_to_string(store.join("supervisor.lock"))?;
    Ok(cpu_of("self")? + cpu_of(supervisor.trim())?)
}

fn cpu_of(process: &str) -> Anything<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything; numbers follow the last one.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).ok_or("no such field");
    let per_second = rustix::param::clock_ticks_per_second();
    // User and system time are fields 14 and 15 of the line, the state after the name is the third.
    Ok(Duration::from_micros((ticks(11)? + ticks(12)?) * 1_000_000 / per_second))
}

/// Rate of a program that runs all jobs by itself; it gets their number as its last argument.
fn rate_of(plan: &Plan, program: &str, args: &[&str]) -> Anything<f64> {
    let begun = now();
    let status =
        Command::new(program).args(args).arg(plan.n_jobs.to_string()).stdin(Stdio::null()).status()?;
    let wall = now().duration_since(begun);
    if !status.success() {
        return Err(format!("{program} {args:?} ended with {status}").into());
    }
    Ok(f64::from(plan.n_jobs) / wall.as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn now() -> Instant {
    Instant::now()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
