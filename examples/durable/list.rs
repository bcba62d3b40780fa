//! First pages of lists over a store that holds many jobs, most of them over.

use std::path::Path;

use serde_json::{Map, Value, json};
use weighbridge::{
    Engine, ErrorCategory, JobColumn, JobError, JobFilter, JobId, JobOrder, JobQuery, JobRequest, JobStatus,
    JobTypeId, JobTypeSpec, NodeId, NodeResources, Offer, Options, Outcome, RecipeId, RecipeNode,
    RecipeRequest, StatusUpdate, Submission, SubmissionId, TaskState, Timestamp, Usage,
};

use crate::figures::{Anything, Figure, Latencies, count, now, real, rounded};
use crate::ours::{BATCH_JOBS, SYNC, payload};
use crate::plan::Plan;

/// Types, the last of which has one job in ten thousand.
const N_TYPES: u64 = 8;

/// Jobs that wait at once: they are over in another order than that of their ids.
const WAVE_JOBS: u64 = 500_000;

/// Jobs of one page.
const PAGE: usize = 100;

/// Numbers that look drawn.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

struct Filling {
    engine: Engine,
    types: Vec<JobTypeId>,
    draw: Draw,
    n_jobs: u64,
}

impl Filling {
    fn new(directory: &Path) -> Anything<Self> {
        let engine = Engine::open(directory, Options::default().load_period(None))?;
        let mut types = Vec::new();
        for n in 0..N_TYPES {
            let spec = JobTypeSpec::new(format!("type-{n}"), "1").max_tries(1);
            let spec = spec.needs(NodeResources::new().cpus("1")?);
            types.push(engine.put_job_type(spec)?.wait_durable(SYNC)?);
        }
        Ok(Self { engine, types, draw: Draw(1), n_jobs: 0 })
    }

    fn request(&mut self) -> Anything<JobRequest> {
        let is_rare = self.draw.below(10_000) == 0;
        let n = if is_rare { N_TYPES - 1 } else { self.draw.below(N_TYPES - 1) };
        let priority = i32::try_from(self.draw.below(100))?;
        self.n_jobs += 1;
        let payload = payload(self.n_jobs);
        let kind = self.types[usize::try_from(n)?];
        Ok(JobRequest::new(kind).priority(priority).values([("payload", payload)]))
    }

    fn submit(&mut self) -> Anything<()> {
        let mut submission = Submission::new(SubmissionId::new(&format!("list-{}", self.n_jobs))?);
        for _ in 0..BATCH_JOBS - 10 {
            submission = submission.jobs(self.request()?);
        }
        let mut nodes = Vec::new();
        for n in 0..10_u32 {
            let parents = n.checked_sub(1).into_iter().collect();
            nodes.push(RecipeNode { name: format!("n{n}").into(), job: self.request()?, parents });
        }
        let submission = submission.recipe(RecipeRequest { name: "row".into(), nodes });
        self.engine.submit(submission)?.wait_durable(SYNC)?;
        Ok(())
    }

    /// Runs what waits, but some.
    fn run(&mut self, n_left: usize) -> Anything<()> {
        let offer = Offer::new(NodeId(1), NodeResources::new().cpus("5000")?);
        let mut under_way = Vec::new();
        while self.engine.view().n_queued > n_left || !under_way.is_empty() {
            let picks = self.engine.offer(&offer);
            if picks.is_empty() && under_way.is_empty() {
                break;
            }
            let launches = picks.commit().wait(SYNC)?;
            for ticket in under_way.drain(..) {
                let ticket: weighbridge::Ticket<_, _> = ticket;
                ticket.wait_durable(SYNC)?;
            }
            for launch in launches {
                let outcome = match self.draw.below(1_000) {
                    0 => Outcome::TimedOut,
                    1 => Outcome::Signaled { signal: 9 },
                    2..=6 => Outcome::Exited { code: 1 },
                    _ => Outcome::Exited { code: 0 },
                };
                let state = TaskState::Ended { outcome, usage: Usage::default() };
                let name = launch.get().name;
                under_way.push(self.engine.status(StatusUpdate { name, state, when: self.engine.now() })?);
            }
        }
        Ok(())
    }
}

/// What is asked for, by name.
fn lists(filling: &Filling, ended: (Timestamp, Timestamp)) -> Vec<(&'static str, JobFilter, Vec<JobOrder>)> {
    let any = JobFilter::default;
    let (by, down) = (JobOrder::by, JobOrder::descending);
    let middle = JobId(filling.n_jobs / 2);
    let window = any().started(ended.0).ended(ended.1);
    let (common, rare) = (filling.types[0], filling.types[filling.types.len() - 1]);
    let failed = || any().statuses([JobStatus::Failed]);
    vec![
        ("all", any(), vec![]),
        ("all, newest id", any(), vec![down(JobColumn::Id)]),
        ("all, oldest change", any(), vec![by(JobColumn::Changed)]),
        ("all, newest change", any(), vec![down(JobColumn::Changed)]),
        ("all, priority", any(), vec![by(JobColumn::Priority)]),
        ("all, status, newest end", any(), vec![by(JobColumn::Status), down(JobColumn::Ended)]),
        ("all, longest", any(), vec![down(JobColumn::Duration)]),
        ("all, type", any(), vec![down(JobColumn::JobType)]),
        ("queued", any().statuses([JobStatus::Queued]), vec![]),
        ("queued, priority", any().statuses([JobStatus::Queued]), vec![by(JobColumn::Priority)]),
        ("failed", failed(), vec![]),
        ("failed, newest change", failed(), vec![down(JobColumn::Changed)]),
        ("failed, longest", failed(), vec![down(JobColumn::Duration)]),
        ("timeout, newest id", any().errors([JobError::Timeout]), vec![down(JobColumn::Id)]),
        (
            "data errors",
            any().errors(JobError::ALL.into_iter().filter(|e| e.category() == ErrorCategory::Data)),
            vec![],
        ),
        ("type, oldest change", any().job_types([common]), vec![by(JobColumn::Changed)]),
        ("rare type", any().job_types([rare]), vec![]),
        ("rare type, priority", any().job_types([rare]), vec![down(JobColumn::Priority)]),
        ("rare type, failed", failed().job_types([rare]), vec![down(JobColumn::Changed)]),
        ("window", window.clone(), vec![by(JobColumn::Changed)]),
        ("window, id", window.clone(), vec![]),
        ("window, failed, longest", window.statuses([JobStatus::Failed]), vec![down(JobColumn::Duration)]),
        ("a recipe", any().recipes([RecipeId(filling.n_jobs / BATCH_JOBS / 2)]), vec![]),
        ("100 recipes, newest", any().recipes((1..=100).map(RecipeId)), vec![down(JobColumn::Changed)]),
        ("a job", any().jobs([middle]), vec![]),
        (
            "1,000 jobs",
            any().jobs((0..1_000).map(|n| JobId(1 + n * (middle.0 / 1_000)))),
            vec![down(JobColumn::Ended)],
        ),
    ]
}

pub(crate) fn first_pages(plan: &Plan) -> Anything<Vec<Figure>> {
    let n_jobs = plan.scaled_batches(10_000_000);
    let directory = plan.place.at("list");
    let mut filling = Filling::new(&directory)?;
    let from = now();
    while filling.n_jobs < n_jobs {
        for _ in 0..(WAVE_JOBS.min(n_jobs - filling.n_jobs)) / BATCH_JOBS {
            filling.submit()?;
        }
        filling.run(1_000)?;
    }
    let filled = (now() - from).as_secs_f64();
    filling.engine.checkpoint(SYNC).ok_or("no checkpoint was made")?;
    let page =
        filling.engine.list_jobs(&JobQuery::new(1).filter(JobFilter::default().jobs([JobId(n_jobs / 2)])))?;
    let at = page.jobs.first().and_then(|job| job.ended).ok_or("the job in the middle has not ended")?;
    let window = (at, Timestamp(at.0 + 2_000_000));
    let (mut raw, mut worst, mut slowest) = (Map::new(), 0.0, "");
    for is_counted in [false, true] {
        for (name, filter, order) in lists(&filling, window) {
            let mut latencies = Latencies::default();
            let mut query = JobQuery::new(PAGE).filter(filter).order(order);
            query.is_counted = is_counted;
            let mut told = json!({});
            for _ in 0..10 * plan.n_rounds {
                let begun = now();
                let page = filling.engine.list_jobs(&query);
                latencies.push(now() - begun);
                told = match page {
                    Ok(page) => {
                        json!({ "n": page.jobs.len(), "more": page.next.is_some(), "total": page.total.map(|total| total.n) })
                    }
                    Err(error) => return Err(format!("{name}: {error}").into()),
                };
            }
            let (p50, p99) = (latencies.us(500) / 1e3, latencies.us(990) / 1e3);
            if p99 > worst {
                (worst, slowest) = (p99, name);
            }
            let name = if is_counted { format!("{name}, counted") } else { name.to_owned() };
            raw.insert(name, json!({ "p50_ms": rounded(p50), "p99_ms": rounded(p99), "page": told }));
        }
    }
    let raw = json!({
        "n_jobs": n_jobs,
        "n_each": 10 * plan.n_rounds,
        "filled_per_s": rounded(real(n_jobs) / filled),
        "lists": Value::Object(raw),
    });
    let n = count(lists(&filling, window).len()) * 2;
    filling.engine.close()?;
    let against = format!("{n_jobs} jobs, {n} lists of {PAGE}; the slowest: {slowest}");
    Ok(vec![Figure::new("list_p99_ms", worst, against, raw)])
}
