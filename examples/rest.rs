//! Measures the REST server: durable jobs from many connections, the status of a long queue, and what
//! both cost decisions; beside what the same machine answers without a queue, and queues without HTTP.
//!
//! `cargo run --release --example rest -- --json` (needs `wrk`, a load generator; Debian has it)

#[path = "rest/client.rs"]
mod client;
#[path = "rest/server.rs"]
mod server;
#[path = "rest/wrk.rs"]
mod wrk;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weighbridge::{JobRequest, NodeId, NodeResources, Offer, Submission, SubmissionId};

use client::Client;
use server::Running;
use wrk::Told;

/// The one of the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Anything<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const HELP: &str = "\
Measures the REST server on loopback. The load generator shares the machine with it.

  rest [--json] [--only KEY]... [--seconds S] [--queued N] [--types T] [--dir DIR]

  --json       an object on one line for each key instead of a table
  --only KEY   measures this key; may be repeated
  --seconds S  of load for each key (10)
  --queued N   jobs that wait, for the second and third key (1000000)
  --types T    job types they are of (200)
  --dir DIR    where the store is made, and removed again; on a disk, or nothing is measured

  post_jobs_per_s      POST /v6/jobs/ from 64 connections, each answered once its job is on disk; against
                       GET /version from as many, and against 64 threads that queue jobs without HTTP
  post_jobs_p99_ms     of the same requests
  queue_status_p99_ms  GET /v6/queue/status/ over all types, one after the other, while a hundred jobs a
                       second are queued over REST
  decide_slowdown      the mean of an offer while 64 connections post jobs, against that of an idle server;
                       offers come at the same pace, and what they wait for is part of them. Beside it the
                       same with the load on another server, with an engine and a store of its own: what
                       two busy cores cost without anything shared

What is counted at the end has to be what was answered, or the key fails.
Exit code: 0, also where a goal is missed; 1 when a key could not be measured; 2 for a wrong call.
";

/// Key, unit, goal, and whether less is better.
const GOALS: [(&str, &str, f64, bool); 4] = [
    ("post_jobs_per_s", "requests/s", 15_000.0, false),
    ("post_jobs_p99_ms", "ms", 20.0, true),
    ("queue_status_p99_ms", "ms", 5.0, true),
    ("decide_slowdown", "ratio", 1.2, true),
];

/// Connections of the load generator.
const CONNECTIONS: usize = 64;

/// Longest wait for something to be on disk.
const WAIT: Duration = Duration::from_mins(1);

/// Between two offers: the core is not to be busy with them alone.
const OFFER_EVERY: Duration = Duration::from_micros(200);

/// Jobs of one submission that fills the queue.
const FILL_JOBS: u32 = 1_000;

struct Arguments {
    is_json: bool,
    only: Vec<String>,
    seconds: u64,
    n_queued: u32,
    n_types: u32,
    directory: Option<std::path::PathBuf>,
}

/// What the words ask for; `None`: for help.
fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut found = Arguments {
        is_json: false,
        only: Vec::new(),
        seconds: 10,
        n_queued: 1_000_000,
        n_types: 200,
        directory: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse().map_err(|error| format!("{text:?}: {error}"));
        match word.as_str() {
            "--json" => found.is_json = true,
            "--only" => {
                let key = value()?;
                if !GOALS.iter().any(|(known, ..)| *known == key) {
                    return Err(format!("no key {key:?}"));
                }
                found.only.push(key);
            }
            "--seconds" => found.seconds = u64::from(number(value()?)?).clamp(1, 600),
            "--queued" => found.n_queued = number(value()?)?,
            "--types" => found.n_types = number(value()?)?.clamp(1, 10_000),
            "--dir" => found.directory = Some(value()?.into()),
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("no option {word:?}; --help lists them")),
        }
    }
    Ok(Some(found))
}

/// What came out for one key.
struct Figure {
    key: &'static str,
    value: f64,
    raw: Value,
}

fn tell(arguments: &Arguments, figure: &Figure) {
    let Some((_, unit, must, is_cost)) = GOALS.iter().find(|(key, ..)| *key == figure.key) else { return };
    let is_met = if *is_cost { figure.value <= *must } else { figure.value >= *must };
    if arguments.is_json {
        let line = json!({
            "key": figure.key, "value": rounded(figure.value), "unit": unit, "must": must, "is_met": is_met,
            "raw": figure.raw,
        });
        println!("{line}");
    } else {
        let (sign, verdict) = (if *is_cost { "<=" } else { ">=" }, if is_met { "met" } else { "missed" });
        println!(
            "{:<20} {:>10.2} {unit:<10} {sign} {must:<8} {verdict:<7} {}",
            figure.key, figure.value, figure.raw
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is time")]
fn now() -> Instant {
    Instant::now()
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The value that this part of them are not above, of sorted samples.
fn part(sorted: &[Duration], part: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(0.0, |sample| sample.as_secs_f64() * 1e3)
}

fn percentiles(sorted: &[Duration]) -> Value {
    json!({
        "n": sorted.len(),
        "p50_ms": rounded(part(sorted, 0.5)),
        "p99_ms": rounded(part(sorted, 0.99)),
        "p999_ms": rounded(part(sorted, 0.999)),
    })
}

fn mean(samples: &[Duration]) -> f64 {
    let n = u32::try_from(samples.len()).unwrap_or(u32::MAX).max(1);
    (samples.iter().sum::<Duration>() / n).as_secs_f64() * 1e6
}

/// Of offers, which take microseconds.
fn offer_times(sorted: &[Duration]) -> Value {
    let micros = |of| rounded(part(sorted, of) * 1e3);
    json!({
        "n": sorted.len(), "mean_us": rounded(mean(sorted)), "p50_us": micros(0.5), "p99_us": micros(0.99),
        "p999_us": micros(0.999),
    })
}

/// Fills the queue of a server, evenly over its types.
fn fill(running: &Running, arguments: &Arguments) -> Anything<()> {
    let mut left = arguments.n_queued;
    let mut n = 0_u32;
    let mut tickets = std::collections::VecDeque::new();
    while left > 0 {
        let count = left.min(FILL_JOBS);
        let kind = running.types[n as usize % running.types.len()];
        let id = SubmissionId::new(&format!("fill-{n}"))?;
        let mut request = JobRequest::new(kind).priority(i32::try_from(n % 7)?).values([("N", "3")]);
        request.count = count;
        tickets.push_back(running.engine.submit(Submission::new(id).jobs(request))?);
        if tickets.len() > 8
            && let Some(ticket) = tickets.pop_front()
        {
            ticket.wait_durable(WAIT)?;
        }
        (left, n) = (left - count, n + 1);
    }
    for ticket in tickets {
        ticket.wait_durable(WAIT)?;
    }
    let n_queued = running.engine.fresh_view(WAIT).n_queued;
    if n_queued != arguments.n_queued as usize {
        return Err(format!("{n_queued} jobs wait").into());
    }
    Ok(())
}

/// Threads that queue one job after the other, without HTTP: how many a second.
fn without_http(running: &Running, seconds: u64) -> Anything<f64> {
    let end = now() + Duration::from_secs(seconds);
    let one = |thread: usize| -> Anything<u64> {
        let mut n = 0;
        while now() < end {
            let id = SubmissionId::new(&format!("bare-{thread}-{n}"))?;
            let request = JobRequest::new(running.types[0]).values([("N", "3")]);
            running.engine.submit(Submission::new(id).jobs(request))?.wait_durable(WAIT)?;
            n += 1;
        }
        Ok(n)
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|thread| scope.spawn(move || one(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum::<Anything<u64>>()
    })?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(all as f64 / seconds as f64)
}

fn told(told: &Told) -> Value {
    json!({
        "per_s": rounded(told.per_s()), "n": told.n_requests, "p50_ms": told.p50_ms, "p99_ms": told.p99_ms,
        "p999_ms": told.p999_ms,
    })
}

/// Jobs posted by many connections.
fn post_jobs(arguments: &Arguments) -> Anything<Vec<Figure>> {
    let running = Running::start(arguments.directory.as_deref(), 1)?;
    let warm = wrk::post_jobs(running.address, running.types[0], CONNECTIONS, 2)?.run()?;
    let posted = wrk::post_jobs(running.address, running.types[0], CONNECTIONS, arguments.seconds)?.run()?;
    let n_queued = running.engine.fresh_view(WAIT).n_queued as u64;
    let n_answered = warm.n_requests + posted.n_requests;
    // What was on its way when the generator stopped was queued and not counted there.
    if n_queued < n_answered || n_queued > n_answered + 2 * CONNECTIONS as u64 {
        return Err(format!("{n_answered} were answered, {n_queued} are queued").into());
    }
    let limit = wrk::get(running.address, "/version", CONNECTIONS, arguments.seconds.min(5))?.run()?;
    let bare = without_http(&running, arguments.seconds.min(5))?;
    running.stop()?;
    let raw = json!({
        "posts": told(&posted), "version_per_s": rounded(limit.per_s()), "without_http_per_s": rounded(bare),
        "of_version": rounded(posted.per_s() / limit.per_s()), "of_without_http": rounded(posted.per_s() / bare),
    });
    Ok(vec![
        Figure { key: "post_jobs_per_s", value: posted.per_s(), raw: raw.clone() },
        Figure { key: "post_jobs_p99_ms", value: posted.p99_ms, raw },
    ])
}

/// The status of a long queue.
fn queue_status(arguments: &Arguments) -> Anything<Vec<Figure>> {
    let running = Running::start(arguments.directory.as_deref(), arguments.n_types)?;
    fill(&running, arguments)?;
    let mut reader = Client::connect(running.address)?;
    let mut writer = Client::connect(running.address)?;
    let path = "/v6/queue/status/?page_size=1000";
    let body = wrk::job_body(running.types[0]);
    let (mut samples, mut n_posted) = (Vec::new(), 0);
    let end = now() + Duration::from_secs(arguments.seconds);
    let mut next_post = now();
    while now() < end {
        if now() >= next_post {
            writer.post("/v6/jobs/", &body)?;
            n_posted += 1;
            next_post += Duration::from_millis(10);
        }
        let from = now();
        let text = reader.get(path)?;
        samples.push(from.elapsed());
        if samples.len() % 100 == 1 {
            let found: Value = serde_json::from_str(&text)?;
            let counts =
                found["results"].as_array().map(|all| all.iter().filter_map(|row| row["count"].as_u64()));
            let sum = counts.map_or(0, Iterator::sum);
            let expected = u64::from(arguments.n_queued) + n_posted;
            if sum != expected {
                return Err(format!("{sum} jobs are told, {expected} wait").into());
            }
        }
    }
    running.stop()?;
    samples.sort_unstable();
    let raw = json!({"reads": percentiles(&samples), "posts": n_posted, "queued": arguments.n_queued});
    Ok(vec![Figure { key: "queue_status_p99_ms", value: part(&samples, 0.99), raw }])
}

/// Offers for one job, one after the other with a pause; the picks are dropped.
fn offers(running: &Running, seconds: u64) -> Anything<Vec<Duration>> {
    let free = NodeResources::new().cpus("1")?.mem_mib(4_096).disk_mib(4_096);
    let offer = Offer::new(NodeId(1), free);
    let end = now() + Duration::from_secs(seconds);
    let mut samples = Vec::new();
    while now() < end {
        let from = now();
        let picks = running.engine.offer(&offer);
        samples.push(from.elapsed());
        if picks.is_empty() {
            return Err("nothing was picked".into());
        }
        drop(picks);
        // As a loop that waits for offers: one that spins is a hog, which the machine's scheduler puts last.
        std::thread::sleep(OFFER_EVERY);
    }
    samples.sort_unstable();
    Ok(samples)
}

/// What load costs decisions.
fn decide_slowdown(arguments: &Arguments) -> Anything<Vec<Figure>> {
    let running = Running::start(arguments.directory.as_deref(), arguments.n_types)?;
    fill(&running, arguments)?;
    let quiet = offers(&running, arguments.seconds)?;
    let load = wrk::post_jobs(running.address, running.types[0], CONNECTIONS, arguments.seconds + 2)?;
    let load = std::thread::spawn(move || load.run());
    std::thread::sleep(Duration::from_secs(1));
    let loaded = offers(&running, arguments.seconds)?;
    let posted = load.join().expect("no panic")?;
    let other = Running::start(arguments.directory.as_deref(), 1)?;
    let load = wrk::post_jobs(other.address, other.types[0], CONNECTIONS, arguments.seconds + 2)?;
    let load = std::thread::spawn(move || load.run());
    std::thread::sleep(Duration::from_secs(1));
    let elsewhere = offers(&running, arguments.seconds)?;
    let posted_elsewhere = load.join().expect("no panic")?;
    other.stop()?;
    running.stop()?;
    let raw = json!({
        "quiet": offer_times(&quiet), "loaded": offer_times(&loaded), "elsewhere": offer_times(&elsewhere),
        "posts_per_s": rounded(posted.per_s()), "posts_elsewhere_per_s": rounded(posted_elsewhere.per_s()),
        "ratio_elsewhere": rounded(mean(&elsewhere) / mean(&quiet)),
    });
    Ok(vec![Figure { key: "decide_slowdown", value: mean(&loaded) / mean(&quiet), raw }])
}

/// What measures one key, or several that come out together.
type Measure = fn(&Arguments) -> Anything<Vec<Figure>>;

const MEASURES: [(&[&str], Measure); 3] = [
    (&["post_jobs_per_s", "post_jobs_p99_ms"], post_jobs),
    (&["queue_status_p99_ms"], queue_status),
    (&["decide_slowdown"], decide_slowdown),
];

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = wrk::check() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let mut is_complete = true;
    for (keys, measure) in MEASURES {
        if !arguments.only.is_empty() && !keys.iter().any(|key| arguments.only.iter().any(|only| only == key))
        {
            continue;
        }
        match measure(&arguments) {
            Ok(figures) => figures.iter().for_each(|figure| tell(&arguments, figure)),
            Err(error) => {
                eprintln!("error: could not measure {}: {error}", keys.join(", "));
                is_complete = false;
            }
        }
    }
    if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
