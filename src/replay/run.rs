//! A replay: instants at which something arrives or ends, one after the other, and a decision round at each.
//!
//! At one instant, what ends comes first, then what arrives, then the round. An execution ends its run time
//! after it started.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use super::report::{Report, made};
use super::round::{Placed, Round, Since};
use super::series::Series;
use super::trace::{TIME_MAX_US, Trace};
use crate::clock::{Clock, monotonic};
use crate::engine::{Engine, JobTypeError, Options, SubmitError, TicketError};
use crate::intake::IntakeError;
use crate::launch::{StatusUpdate, TaskState};
use crate::model::{
    JobId, JobRequest, JobTypeId, JobTypeSpec, LaunchName, NodeResources, Outcome, Submission, SubmissionId,
    Timestamp, Usage,
};
use crate::sync::{AtomicI64, Ordering};

/// How long the engine may take for an answer.
const ANSWER_WAIT: Duration = Duration::from_mins(1);

/// Records that are submitted together.
const SUBMITTED_AT_ONCE: usize = 10_000;

/// Time as far as the replay has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct VirtualClock(Arc<AtomicI64>);

impl VirtualClock {
    fn set(&self, now_us: u64) {
        let now = i64::try_from(now_us).expect("within a hundred years");
        // Relaxed: the engine is asked by the thread that sets it.
        self.0.store(now, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Options of an engine for a replay.
pub(crate) fn options(clock: &VirtualClock) -> Options {
    Options::default().clock(clock.clone()).load_period(None)
}

/// How a replay is made.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// A job of several processors is several executions.
    pub(crate) is_spread: bool,
    /// Of the order in which nodes are offered.
    pub(crate) seed: u64,
    /// What waits longer is starved.
    pub(crate) starved_after: Duration,
    /// For the report alone: the trace was read so.
    pub(crate) has_priorities: bool,
    /// As above.
    pub(crate) compress: u32,
    /// As above: what the round goes by.
    pub(crate) decided_by: &'static str,
    /// As above: how passes choose.
    pub(crate) policy: Option<serde_json::Value>,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReplayError {
    /// The engine takes nothing in.
    #[error("the engine takes nothing in: {0}")]
    Intake(#[from] IntakeError),
    /// A kind of the trace is no job type.
    #[error("kind {name:?}: {source}")]
    Kind {
        /// Which.
        name: String,
        /// Why.
        source: TicketError<JobTypeError>,
    },
    /// Records were refused.
    #[error("line {line} of the trace, or one after it: {source}")]
    Submit {
        /// The first of them.
        line: u64,
        /// Why.
        source: TicketError<SubmitError>,
    },
    /// Launches are not on record.
    #[error("launches were not put on record: {0}")]
    Launch(#[from] TicketError<Infallible>),
    /// It goes on for more than a hundred years.
    #[error("line {line} of the trace would end more than a hundred years after the first one arrived")]
    TooLong {
        /// Which.
        line: u64,
    },
}

/// How far a replay is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Since the first arrival.
    pub(crate) time: Duration,
    pub(crate) n_arrived: usize,
    pub(crate) n_queued: usize,
    pub(crate) n_running: usize,
}

/// One execution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Execution {
    /// Its record's place.
    pub(super) record: usize,
    pub(super) started_us: Option<u64>,
    /// No node has as much.
    pub(super) never_fits: bool,
}

/// What is needed when it ends.
struct Running {
    name: LaunchName,
    node: usize,
    asked: Arc<NodeResources>,
}

/// What is queued and runs of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) n_queued: u64,
    pub(super) n_running: u64,
    pub(super) n_queued_max: u64,
}

/// Where levels stand in the series: resources in the order of the cluster's names, then these two for all
/// and for each kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    pub(super) n_resources: usize,
}

impl Levels {
    /// Those of all, or of a kind.
    pub(super) fn queued(self, kind: Option<usize>) -> usize {
        self.n_resources + kind.map_or(0, |kind| 2 * (kind + 1))
    }

    pub(super) fn running(self, kind: Option<usize>) -> usize {
        self.queued(kind) + 1
    }
}

/// What a replay comes to, as it goes.
pub(super) struct Tally {
    /// In the order of their jobs.
    pub(super) executions: Vec<Execution>,
    pub(super) kinds: Vec<Counts>,
    pub(super) n_queued_max: u64,
    pub(super) series: Series,
    pub(super) levels: Levels,
    pub(super) n_rounds: u64,
    pub(super) n_decisions: u64,
    /// On the machine's clock.
    pub(super) elapsed: Duration,
    pub(super) deciding: Duration,
}

impl Tally {
    fn new(n_resources: usize, n_kinds: usize) -> Self {
        let levels = Levels { n_resources };
        let series = Series::new(levels.running(n_kinds.checked_sub(1)) + 1);
        Self {
            executions: Vec::new(),
            kinds: vec![Counts::default(); n_kinds],
            n_queued_max: 0,
            series,
            levels,
            n_rounds: 0,
            n_decisions: 0,
            elapsed: Duration::ZERO,
            deciding: Duration::ZERO,
        }
    }

    fn n_queued(&self) -> u64 {
        self.kinds.iter().map(|counts| counts.n_queued).sum()
    }

    /// Takes down how things stand after an instant.
    fn take_down(&mut self, cluster: &Cluster, n_running: usize) {
        let Self { series, levels, .. } = self;
        cluster.used().iter().enumerate().for_each(|(at, used)| series.set(at, *used));
        for (kind, counts) in self.kinds.iter_mut().enumerate() {
            counts.n_queued_max = counts.n_queued_max.max(counts.n_queued);
            series.set(levels.queued(Some(kind)), counts.n_queued);
            series.set(levels.running(Some(kind)), counts.n_running);
        }
        let n_queued = self.n_queued();
        self.n_queued_max = self.n_queued_max.max(n_queued);
        self.series.set(self.levels.queued(None), n_queued);
        self.series.set(self.levels.running(None), n_running as u64);
    }
}

/// Replays `trace` on an engine that has no jobs yet and whose clock is `clock`.
pub(crate) fn run(
    (engine, clock): (&Engine, &VirtualClock),
    trace: &Trace,
    cluster: &mut Cluster,
    round: &mut dyn Round,
    setup: &Setup,
    mut tell: impl FnMut(Progress),
) -> Result<Report, ReplayError> {
    let begun = monotonic();
    let tally = Tally::new(cluster.used().len(), trace.kinds.len());
    let kinds = put_kinds(engine, &trace.kinds)?;
    let mut run = Run {
        engine,
        clock,
        trace,
        cluster,
        kinds,
        is_spread: setup.is_spread,
        n_arrived: 0,
        first_job: None,
        running: BTreeMap::new(),
        tally,
    };
    while let Some(now_us) = run.next_instant() {
        run.instant(now_us, round)?;
        tell(run.progress(now_us));
    }
    engine.pump();
    let Run { mut tally, .. } = run;
    cluster.check_idle();
    tally.n_decisions = round.n_decisions();
    tally.elapsed = monotonic() - begun;
    Ok(made(trace, cluster, setup, &tally))
}

fn put_kinds(engine: &Engine, names: &[String]) -> Result<Vec<JobTypeId>, ReplayError> {
    let put = |name: &String| {
        let ticket = engine.put_job_type(JobTypeSpec::new(name.as_str(), "1"))?;
        let failed = |source| ReplayError::Kind { name: name.clone(), source };
        ticket.wait_durable(ANSWER_WAIT).map_err(failed)
    };
    names.iter().map(put).collect()
}

struct Run<'r> {
    engine: &'r Engine,
    clock: &'r VirtualClock,
    trace: &'r Trace,
    cluster: &'r mut Cluster,
    kinds: Vec<JobTypeId>,
    is_spread: bool,
    n_arrived: usize,
    /// The job of the first execution.
    first_job: Option<JobId>,
    /// By the microsecond they end at, then by their number.
    running: BTreeMap<(u64, usize), Running>,
    tally: Tally,
}

impl Run<'_> {
    /// When something arrives or ends next.
    fn next_instant(&self) -> Option<u64> {
        let arrival = self.trace.records.get(self.n_arrived).map(|record| record.arrival_us);
        let end = self.running.first_key_value().map(|((end, _), _)| *end);
        arrival.into_iter().chain(end).min()
    }

    fn progress(&self, now_us: u64) -> Progress {
        Progress {
            time: Duration::from_micros(now_us),
            n_arrived: self.n_arrived,
            n_queued: usize::try_from(self.tally.n_queued()).unwrap_or(usize::MAX),
            n_running: self.running.len(),
        }
    }

    fn instant(&mut self, now_us: u64, round: &mut dyn Round) -> Result<(), ReplayError> {
        self.clock.set(now_us);
        self.tally.series.advance(now_us);
        let ended = self.end_all(now_us)?;
        let n_before = self.n_arrived;
        self.arrive_all(now_us)?;
        let since = Since {
            n_queued: usize::try_from(self.tally.n_queued()).unwrap_or(usize::MAX),
            has_arrivals: self.n_arrived > n_before,
            ended: &ended,
        };
        if since.n_queued > 0 {
            let begun = monotonic();
            let placed = round.decide(self.engine, self.cluster, since)?;
            self.tally.deciding += monotonic() - begun;
            self.tally.n_rounds += 1;
            placed.into_iter().try_for_each(|placed| self.start(placed, now_us))?;
        }
        self.tally.take_down(self.cluster, self.running.len());
        Ok(())
    }

    /// What ends now ends; the nodes on which it did.
    fn end_all(&mut self, now_us: u64) -> Result<BTreeSet<usize>, ReplayError> {
        let mut nodes = BTreeSet::new();
        while let Some(first) = self.running.first_entry().filter(|entry| entry.key().0 <= now_us) {
            let ((_, number), Running { name, node, asked }) = first.remove_entry();
            let state = TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
            self.report(&StatusUpdate { name, state, when: self.clock.now() })?;
            self.cluster.give(node, &asked);
            nodes.insert(node);
            let kind = self.trace.records[self.tally.executions[number].record].kind;
            self.tally.kinds[kind].n_running -= 1;
        }
        Ok(nodes)
    }

    /// Tells the engine; where its ring is full, once more when it has taken what is there.
    fn report(&self, update: &StatusUpdate) -> Result<(), ReplayError> {
        if self.engine.status(update.clone()).is_err() {
            self.engine.pump();
            // Nobody has to be told that it is on record: there is no driver.
            drop(self.engine.status(update.clone())?);
        }
        Ok(())
    }

    /// What arrives now is submitted.
    fn arrive_all(&mut self, now_us: u64) -> Result<(), ReplayError> {
        let rest = &self.trace.records[self.n_arrived..];
        let n = rest.iter().take_while(|record| record.arrival_us <= now_us).count();
        let end = self.n_arrived + n;
        while self.n_arrived < end {
            self.submit(end.min(self.n_arrived + SUBMITTED_AT_ONCE))?;
        }
        Ok(())
    }

    /// Submits records up to `end`, together.
    fn submit(&mut self, end: usize) -> Result<(), ReplayError> {
        let id = SubmissionId::new(&format!("replay-{}", self.n_arrived)).expect("short and plain");
        let mut submission = Submission::new(id).buffered();
        let n_before = self.tally.executions.len();
        for at in self.n_arrived..end {
            let record = &self.trace.records[at];
            for (n, asked) in self.cluster.parts(&record.asks, self.is_spread) {
                let never_fits = !self.cluster.ever_fits(&asked);
                let execution = Execution { record: at, started_us: None, never_fits };
                self.tally.executions.extend(std::iter::repeat_n(execution, n as usize));
                self.tally.kinds[record.kind].n_queued += u64::from(n);
                let request = JobRequest::new(self.kinds[record.kind]).count(n);
                submission = submission.jobs(request.needs(asked).priority(record.priority));
            }
        }
        let line = self.trace.records[self.n_arrived].line;
        let answer = self.engine.submit(submission)?.wait_durable(ANSWER_WAIT);
        let accepted = answer.map_err(|source| ReplayError::Submit { line, source })?;
        let first = self.first_job.get_or_insert(accepted.first_job);
        assert_eq!(accepted.first_job.0, first.0 + n_before as u64, "jobs are numbered as they come");
        self.n_arrived = end;
        Ok(())
    }

    fn start(&mut self, placed: Placed, now_us: u64) -> Result<(), ReplayError> {
        let Placed { name, job, node, asked } = placed;
        let first = self.first_job.expect("nothing starts before it arrived");
        let number = usize::try_from(job.0 - first.0).expect("it is in memory");
        let execution = &mut self.tally.executions[number];
        let record = &self.trace.records[execution.record];
        assert_eq!(execution.started_us.replace(now_us), None, "{job} is started again");
        let end = now_us.saturating_add(record.run_us);
        if end > TIME_MAX_US {
            return Err(ReplayError::TooLong { line: record.line });
        }
        let counts = &mut self.tally.kinds[record.kind];
        counts.n_queued -= 1;
        counts.n_running += 1;
        self.running.insert((end, number), Running { name, node, asked });
        Ok(())
    }
}
