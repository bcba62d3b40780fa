//! Our side: a store, submissions that are made before anything is timed, and the loops.

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use weighbridge::{
    Accepted, Engine, JobRequest, JobTypeId, JobTypeSpec, NodeId, NodeResources, Offer, Options, Outcome,
    PendingLaunches, Retention, StatusOutcome, StatusUpdate, Submission, SubmissionId, SubmitError,
    TaskState, Ticket, Usage,
};

use crate::figures::{Anything, Latencies, Turn, count, now};

/// Bytes of the value that each job carries.
pub(crate) const PAYLOAD_BYTES: usize = 100;

/// Jobs of a batch.
pub(crate) const BATCH_JOBS: u64 = 1_000;

/// Submissions, commits and batches of ends that are on their way at once where a loop pipelines.
pub(crate) const WINDOW: usize = 4;

/// Longest wait for anything to become durable.
pub(crate) const SYNC: Duration = Duration::from_mins(2);

/// A payload that no other number has, and that does not compress.
pub(crate) fn payload(number: u64) -> String {
    let mut text = format!("{number:020}");
    let mut state = number;
    while text.len() < PAYLOAD_BYTES {
        // splitmix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        write!(text, "{:016x}", mixed ^ mixed >> 31).expect("a text takes all");
    }
    text.truncate(PAYLOAD_BYTES);
    text
}

/// An open store with one job type, whose jobs ask for one processor.
pub(crate) struct Ours {
    pub(crate) engine: Engine,
    pub(crate) kind: JobTypeId,
    /// Jobs that were made so far, which number payloads and submissions.
    n_jobs: u64,
}

impl Ours {
    pub(crate) fn open(directory: &Path) -> Anything<Self> {
        Self::keeping(directory, Retention::default())
    }

    pub(crate) fn keeping(directory: &Path, retention: Retention) -> Anything<Self> {
        let options = Options::default().load_period(None).retention(retention);
        let engine = Engine::open(directory, options)?;
        let spec = JobTypeSpec::new("job", "1").needs(NodeResources::new().cpus("1")?).max_tries(1);
        let kind = engine.put_job_type(spec)?.wait_durable(SYNC)?;
        Ok(Self { engine, kind, n_jobs: 0 })
    }

    /// The same engine for another thread, whose jobs are numbered from `first`.
    pub(crate) fn beside(&self, first: u64) -> Self {
        Self { engine: self.engine.clone(), kind: self.kind, n_jobs: first }
    }

    /// The next submission: so many jobs, each with a payload of its own.
    pub(crate) fn submission(&mut self, n_jobs: u64) -> Submission {
        let id = SubmissionId::new(&format!("submission-{:016}", self.n_jobs)).expect("a short id");
        let numbers = self.n_jobs..self.n_jobs + n_jobs;
        self.n_jobs += n_jobs;
        let request = |number| JobRequest::new(self.kind).values([("payload", payload(number))]);
        numbers.fold(Submission::new(id), |submission, number| submission.jobs(request(number)))
    }

    pub(crate) fn submissions(&mut self, n: u64, n_jobs: u64) -> Vec<Submission> {
        (0..n).map(|_| self.submission(n_jobs)).collect()
    }

    /// Holds that every job made so far is queued, or completed, and nothing else.
    pub(crate) fn check(&self, is_completed: bool) -> Anything<()> {
        let view = self.engine.fresh_view(SYNC);
        let totals = view.totals;
        let found = if is_completed { totals.completed } else { totals.queued };
        let is_queue_right = count(view.n_queued) == if is_completed { 0 } else { self.n_jobs };
        let others = if is_completed { totals.queued } else { totals.completed };
        let others =
            others + totals.pending + totals.blocked + totals.running + totals.failed + totals.canceled;
        if found == self.n_jobs && others == 0 && is_queue_right {
            return Ok(());
        }
        let wanted = if is_completed { "completed" } else { "queued" };
        Err(format!("of {} jobs {found} are {wanted}; all counts: {totals:?}", self.n_jobs).into())
    }
}

pub(crate) type Accepting = Ticket<Accepted, SubmitError>;

/// Waits for the answer and holds that it is new and of so many jobs.
pub(crate) fn accepted(ticket: &Accepting, n_jobs: u64) -> Anything<()> {
    let accepted = ticket.wait_durable(SYNC)?;
    if accepted.is_repeat || u64::from(accepted.n_jobs) != n_jobs {
        return Err(format!("a submission of {n_jobs} new jobs was answered with {accepted:?}").into());
    }
    Ok(())
}

/// One thread: a submission of one job, its answer, the next.
fn closed_loop(engine: &Engine, submissions: Vec<Submission>) -> Anything<Latencies> {
    let mut latencies = Latencies::default();
    for submission in submissions {
        let from = now();
        accepted(&engine.submit(submission)?, 1)?;
        latencies.push(now() - from);
    }
    Ok(latencies)
}

/// As many threads as there are lists, each in a closed loop.
pub(crate) fn callers(engine: &Engine, lists: Vec<Vec<Submission>>) -> Anything<Turn> {
    let bodies = lists.into_iter().map(|list| move || closed_loop(engine, list)).collect();
    together(bodies)
}

/// Runs `bodies` at once, each in a thread of its own, and times them from a common start to the
/// last end. Each returns what its calls took.
pub(crate) fn together<F>(bodies: Vec<F>) -> Anything<Turn>
where
    F: FnOnce() -> Anything<Latencies> + Send,
{
    let gate = Barrier::new(bodies.len() + 1);
    std::thread::scope(|scope| {
        let gate = &gate;
        let started = |body: F| {
            scope.spawn(move || {
                gate.wait();
                body()
            })
        };
        let threads: Vec<_> = bodies.into_iter().map(started).collect();
        gate.wait();
        let from = now();
        let mut latencies = Latencies::default();
        for thread in threads {
            latencies.append(thread.join().map_err(|_| "a thread of the bench panicked")??);
        }
        Ok(Turn { n: count(latencies.len()), took: now() - from, latencies })
    })
}

/// One thread: batches, [`WINDOW`] of them on their way; each is waited for.
pub(crate) fn batches(engine: &Engine, submissions: Vec<Submission>) -> Anything<Turn> {
    let n = count(submissions.len()) * BATCH_JOBS;
    let mut under_way = VecDeque::with_capacity(WINDOW);
    let from = now();
    for submission in submissions {
        if under_way.len() == WINDOW {
            accepted(&under_way.pop_front().expect("as many"), BATCH_JOBS)?;
        }
        under_way.push_back(engine.submit(submission)?);
    }
    for ticket in under_way {
        accepted(&ticket, BATCH_JOBS)?;
    }
    Ok(Turn { n, took: now() - from, latencies: Latencies::default() })
}

/// A node with room for so many jobs.
pub(crate) fn node(number: u32, n_jobs: u64) -> Anything<Offer> {
    Ok(Offer::new(NodeId(number), NodeResources::new().cpus(&n_jobs.to_string())?))
}

/// Tickets that answer once the ends of launches are durable.
pub(crate) type Ends = Vec<Ticket<StatusOutcome, std::convert::Infallible>>;

/// Waits until these launches are durable, and says that they ended well.
pub(crate) fn end_all(engine: &Engine, launches: &mut PendingLaunches) -> Anything<Ends> {
    let launches = launches.wait(SYNC)?;
    let when = engine.now();
    let end = |name| {
        let state = TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
        engine.status(StatusUpdate { name, state, when })
    };
    Ok(launches.into_iter().map(|launch| end(launch.get().name)).collect::<Result<_, _>>()?)
}

/// Waits until these ends are durable; returns how many there are.
pub(crate) fn ended(ends: &Ends) -> Anything<u64> {
    for ticket in ends {
        let outcome = ticket.wait_durable(SYNC)?;
        if outcome != StatusOutcome::Applied {
            return Err("the end of a launch was stale".into());
        }
    }
    Ok(count(ends.len()))
}

/// The whole life of all jobs of `submissions`: one thread submits, one decides, launches and
/// reports, both [`WINDOW`] batches ahead of what is durable.
pub(crate) fn lives(engine: &Engine, submissions: Vec<Submission>) -> Anything<Turn> {
    let n = count(submissions.len()) * BATCH_JOBS;
    let offer = node(1, BATCH_JOBS)?;
    let from = now();
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| batches(engine, submissions));
        let (mut launches, mut ends) = (VecDeque::new(), VecDeque::new());
        let mut n_ended = 0;
        while n_ended < n {
            let picks = engine.offer(&offer);
            let is_idle = picks.is_empty();
            if !is_idle {
                launches.push_back(picks.commit());
            }
            let oldest = if is_idle || launches.len() >= WINDOW { launches.pop_front() } else { None };
            match oldest {
                Some(mut oldest) => ends.push_back(end_all(engine, &mut oldest)?),
                None if is_idle && ends.is_empty() => {
                    if submitter.is_finished() && engine.view().n_queued == 0 {
                        return Err(format!("only {n_ended} of {n} jobs could be launched").into());
                    }
                    engine.wait_for_work(Duration::from_millis(1));
                }
                None => {}
            }
            let is_behind = launches.is_empty() || ends.len() >= WINDOW;
            if is_behind && let Some(oldest) = ends.pop_front() {
                n_ended += ended(&oldest)?;
            }
        }
        submitter.join().map_err(|_| "the submitting thread panicked")??;
        Ok(Turn { n, took: now() - from, latencies: Latencies::default() })
    })
}

/// One caller's lives: a job is durable before it is decided on, its launch before it ends, its
/// end before the next job. Another caller may get the job that this one made.
pub(crate) fn lives_of_one(
    engine: &Engine,
    number: u32,
    submissions: Vec<Submission>,
) -> Anything<Latencies> {
    let offer = node(number, 1)?;
    let mut latencies = Latencies::default();
    for submission in submissions {
        let from = now();
        accepted(&engine.submit(submission)?, 1)?;
        let picks = engine.offer(&offer);
        if picks.len() != 1 {
            // Every caller takes one for each that it made, so one is left.
            return Err(format!("an offer for one job got {}", picks.len()).into());
        }
        let ends = end_all(engine, &mut picks.commit())?;
        ended(&ends)?;
        latencies.push(now() - from);
    }
    Ok(latencies)
}
