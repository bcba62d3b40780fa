//! The threads of a daemon: one decides for one declared node, one speaks to its driver. Without
//! a driver, one that applies what comes in.
//!
//! T1  Nothing is launched before every launch on record on the driver's node was reconciled with it. Of those
//!     on other nodes it knows nothing: word of them comes as messages.
//! T2  The threads end, in order, when the service is stopped or the log fails. Where the engine is
//!     closed first, nothing is decided or taken in any more.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::domain::{make_batches, run_bulk};
use super::look::RunningLaunch;
use super::outbox::Outgoing;
use super::shell::Engine;
use crate::launch::{Driver, DriverError, Known, Launch, StatusSink, StatusUpdate, TaskState};
use crate::model::{NodeId, Outcome, Usage};
use crate::offer::Offer;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::wal::Durable;

/// Longest sleep of the threads: load rows and views are at most this late.
const NAP: Duration = Duration::from_millis(50);

/// Pause after a launch was refused, before the next decision.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// How long an earlier service's last decisions are given to become durable.
const OUTBOX_WAIT: Duration = Duration::from_secs(10);

/// Pause between two looks for bulk operations.
const BULK_LOOK: Duration = Duration::from_millis(20);

/// Pause before a full status ring is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The driver could not tell what runs.
    #[error("could not learn what still runs: {0}")]
    Driver(#[from] DriverError),
    /// The system gives no thread.
    #[error("could not start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What was found of launches on record when the service started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Still run.
    pub n_running: usize,
    /// Ended meanwhile; their results are taken up.
    pub n_ended: usize,
    /// Never started; back in the queue.
    pub n_returned: usize,
    /// Lost with what ran them; run again.
    pub n_lost: usize,
}

/// A running daemon. Stop it, or drop it, before the engine is closed.
pub struct Service {
    engine: Engine,
    is_stopped: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    driver_error: Arc<Mutex<Option<DriverError>>>,
    reconciled: Reconciled,
}

impl Service {
    /// Reconciles, then starts deciding for a node, of which `node` says what it has in all and what it is
    /// like.
    pub fn start(engine: Engine, driver: Arc<dyn Driver>, node: &Offer) -> Result<Self, ServiceError> {
        let (declared, node) = (node, node.node);
        let reconciled = reconcile(&engine, &*driver, |of| of == node)?;
        engine.declare(declared);
        engine.register_node(node, &declared.name);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let driver_error = Arc::new(Mutex::new(None));
        let mut service = Self { engine, is_stopped, threads: Vec::new(), driver_error, reconciled };
        service
            .spawn("weighbridge-core", move |engine, is_stopped, _| decide_all(engine, node, is_stopped))?;
        service.spawn("weighbridge-bulk", |engine, is_stopped, _| carry_on_all(engine, is_stopped))?;
        service.spawn("weighbridge-launch", move |engine, is_stopped, error| {
            carry_out_all(engine, &*driver, is_stopped, error);
        })?;
        service.engine.set_driver(true);
        Ok(service)
    }

    /// Starts with somebody else who decides and carries out, on a thread of that name: `body` applies what comes
    /// in, and returns soon once it is told to stop, the log has failed or the engine is closed.
    #[cfg(feature = "mesos")]
    pub(crate) fn start_with(
        engine: Engine,
        name: &str,
        body: impl FnOnce(&Engine, &AtomicBool) + Send + 'static,
    ) -> Result<Self, ServiceError> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let driver_error = Arc::new(Mutex::new(None));
        let reconciled = Reconciled::default();
        let mut service = Self { engine, is_stopped, threads: Vec::new(), driver_error, reconciled };
        service.spawn(name, move |engine, is_stopped, _| body(engine, is_stopped))?;
        service.spawn("weighbridge-bulk", |engine, is_stopped, _| carry_on_all(engine, is_stopped))?;
        service.engine.set_driver(true);
        Ok(service)
    }

    /// Starts without anything to run on: what comes in is applied, kept and answered, and nothing
    /// is launched. Launches on record stay as they are until a driver is asked.
    pub fn start_without_driver(engine: Engine) -> Result<Self, ServiceError> {
        let is_stopped = Arc::new(AtomicBool::new(false));
        let driver_error = Arc::new(Mutex::new(None));
        let reconciled = Reconciled::default();
        let mut service = Self { engine, is_stopped, threads: Vec::new(), driver_error, reconciled };
        service.spawn("weighbridge-core", |engine, is_stopped, _| pump_all(engine, is_stopped))?;
        service.spawn("weighbridge-bulk", |engine, is_stopped, _| carry_on_all(engine, is_stopped))?;
        Ok(service)
    }

    fn spawn(
        &mut self,
        name: &str,
        body: impl FnOnce(&Engine, &AtomicBool, &Mutex<Option<DriverError>>) + Send + 'static,
    ) -> std::io::Result<()> {
        let (engine, is_stopped) = (self.engine.clone(), self.is_stopped.clone());
        let error = self.driver_error.clone();
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || body(&engine, &is_stopped, &error))?);
        Ok(())
    }

    /// What was found when it started.
    pub fn reconciled(&self) -> Reconciled {
        self.reconciled
    }

    /// The driver's last complaint, once.
    pub fn take_driver_error(&self) -> Option<DriverError> {
        self.driver_error.lock().take()
    }

    /// Decides nothing any more and waits for the threads. What runs goes on.
    pub fn stop(mut self) {
        self.stop_threads();
    }

    fn stop_threads(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        self.engine.set_driver(false);
        self.engine.wake();
        for thread in self.threads.drain(..) {
            // A panic was reported by its thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop_threads();
    }
}

fn decide_all(engine: &Engine, node: NodeId, is_stopped: &AtomicBool) {
    // Acquire, with the Release in `stop_threads`.
    let mut n_returned = engine.n_returned();
    while !is_stopped.load(Ordering::Acquire) && engine.failure().is_none() && !engine.is_closed() {
        // Those for nodes of others go back to their places.
        for picks in engine.pass().into_iter().filter(|picks| picks.node() == node) {
            picks.hand_over();
        }
        engine.wait_for_work(NAP);
        engine.pump();
        let n_now = engine.n_returned();
        if n_now != std::mem::replace(&mut n_returned, n_now) {
            // The machine has no room for a process at this moment, whatever our books say.
            std::thread::sleep(REFUSED_PAUSE);
        }
    }
}

fn pump_all(engine: &Engine, is_stopped: &AtomicBool) {
    // Acquire, with the Release in `stop_threads`.
    while !is_stopped.load(Ordering::Acquire) && engine.failure().is_none() && !engine.is_closed() {
        engine.pump();
        // Nobody carries orders out; who runs on is told when a driver is asked what it knows.
        drop(engine.outgoing(Duration::ZERO));
        engine.wait_for_work(NAP);
    }
}

/// Carries bulk operations and batches on, while there are any, and calls the processors of clock rules.
fn carry_on_all(engine: &Engine, is_stopped: &AtomicBool) {
    // Acquire, with the Release in `stop_threads`.
    let is_over = || is_stopped.load(Ordering::Acquire) || engine.failure().is_some() || engine.is_closed();
    while !is_over() {
        if let Some(cause) = run_bulk(engine, &is_over) {
            tracing::warn!(%cause, "a bulk operation waits");
            std::thread::sleep(REFUSED_PAUSE);
        }
        engine.run_clock_processors();
        if let Some(cause) = make_batches(engine, &is_over) {
            tracing::warn!(%cause, "a batch waits");
            std::thread::sleep(REFUSED_PAUSE);
        }
        engine.wait_for_bulk(BULK_LOOK);
    }
}

fn carry_out_all(
    engine: &Engine,
    driver: &dyn Driver,
    is_stopped: &AtomicBool,
    error: &Mutex<Option<DriverError>>,
) {
    while !is_stopped.load(Ordering::Acquire) {
        if let Err(refusal) = carry_out(driver, engine.outgoing(NAP)) {
            *error.lock() = Some(refusal);
        }
    }
}

/// Does what the outbox says, in order; launches that stand together go together.
fn carry_out(driver: &dyn Driver, all: Vec<Outgoing>) -> Result<(), DriverError> {
    let mut launches: Vec<Durable<Launch>> = Vec::new();
    let mut result = Ok(());
    for outgoing in all {
        match outgoing {
            Outgoing::Launch(launch) => launches.push(launch),
            // A driver has no offers: it starts what it is told.
            Outgoing::Accept { launches: all, .. } => launches.extend(all),
            Outgoing::Kill(name) => {
                // Its launch may stand before it.
                let started = hand_over(driver, &mut launches);
                result = result.and(started).and(driver.kill(name.into_inner()));
            }
            Outgoing::Acknowledge(name) => result = result.and(driver.acknowledge(name.into_inner())),
        }
    }
    result.and(hand_over(driver, &mut launches))
}

fn hand_over(driver: &dyn Driver, launches: &mut Vec<Durable<Launch>>) -> Result<(), DriverError> {
    if launches.is_empty() { Ok(()) } else { driver.launch(std::mem::take(launches)) }
}

/// Compares the launches on record on the driver's own nodes with what it knows, and takes up the difference.
pub(crate) fn reconcile(
    engine: &Engine,
    driver: &dyn Driver,
    is_own: impl Fn(NodeId) -> bool,
) -> Result<Reconciled, DriverError> {
    // What an earlier service left in the outbox was decided, but never reached a driver: it is
    // settled by its name like everything else on record, and must not be carried out besides.
    if !engine.settle(OUTBOX_WAIT) {
        let action = "bring the launches on record to the disk".to_owned();
        return Err(DriverError::Io { action, source: std::io::ErrorKind::TimedOut.into() });
    }
    engine.fresh_view(OUTBOX_WAIT);
    drop(engine.outgoing(Duration::ZERO));
    let mut running = engine.running();
    running.retain(|run| is_own(run.node));
    let names: Vec<_> = running.iter().map(|run| (run.name, run.job, run.exe_num)).collect();
    let mut found = Reconciled::default();
    if names.is_empty() {
        return Ok(found);
    }
    let known = driver.reconcile(&names)?;
    if known.len() != names.len() {
        let reason = format!("it answered for {} of {} launches", known.len(), names.len());
        return Err(DriverError::Gone { reason });
    }
    for (run, known) in running.iter().zip(known) {
        settle(engine, driver, run, known, &mut found)?;
    }
    engine.pump();
    Ok(found)
}

fn settle(
    engine: &Engine,
    driver: &dyn Driver,
    run: &RunningLaunch,
    known: Known,
    found: &mut Reconciled,
) -> Result<(), DriverError> {
    let when = engine.now();
    let update = match known {
        Known::Running => {
            found.n_running += 1;
            if run.is_canceled {
                driver.kill(run.name)?;
            }
            return Ok(());
        }
        Known::Ended(update) => {
            found.n_ended += 1;
            update
        }
        Known::NeverStarted => {
            found.n_returned += 1;
            let reason = "it had not reached the executor".to_owned();
            StatusUpdate { name: run.name, state: TaskState::Refused { reason }, when }
        }
        Known::Lost { reason } => {
            found.n_lost += 1;
            let state = TaskState::Ended { outcome: Outcome::Lost { reason }, usage: Usage::default() };
            StatusUpdate { name: run.name, state, when }
        }
    };
    report(engine, &update);
    Ok(())
}

/// Reports, and waits while the ring is full: no news is dropped. Except by an engine that takes
/// none any more: without an acknowledgement, drivers tell it to the next one.
fn report(engine: &Engine, update: &StatusUpdate) {
    if engine.report_with_output(update) {
        return;
    }
    while engine.report(update.clone()).is_err() && engine.failure().is_none() && !engine.is_closed() {
        engine.pump();
        std::thread::sleep(RETRY);
    }
}

/// Where a driver's news goes: into `engine`.
pub fn status_sink(engine: &Engine) -> StatusSink {
    let engine = engine.clone();
    Arc::new(move |update| report(&engine, &update))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Options;
    use crate::model::{
        JobId, JobRequest, JobTypeId, JobTypeSpec, LaunchName, NodeResources, Submission, SubmissionId,
    };

    fn refused(name: LaunchName, reason: &str, engine: &Engine) -> StatusUpdate {
        let state = TaskState::Refused { reason: reason.to_owned() };
        StatusUpdate { name, state, when: engine.now() }
    }

    const WAIT: Duration = Duration::from_secs(10);

    /// An engine with one launch on record.
    fn engine_with_launch() -> (Engine, LaunchName) {
        let engine = Engine::in_memory(Options::default());
        let kind = engine.put_job_type(JobTypeSpec::new("kind", "1.0")).expect("room");
        let kind = kind.wait_durable(WAIT).expect("a type");
        let id = SubmissionId::new("one").expect("a name");
        let jobs = engine.submit(Submission::new(id).jobs(JobRequest::new(kind))).expect("room");
        jobs.wait_durable(WAIT).expect("accepted");
        let mut launches = engine.offer(&Offer::new(NodeId(1), NodeResources::new())).commit();
        let name = launches.wait(WAIT).expect("launches")[0].get().name;
        (engine, name)
    }

    #[test]
    fn news_for_a_closed_engine_waits_for_nobody() {
        let (engine, name) = engine_with_launch();
        engine.clone().close().expect("closed");
        assert!(engine.is_closed());
        report(&engine, &refused(name, "late", &engine));
    }

    /// A driver that never heard of anything.
    struct Forgetful(Mutex<Vec<LaunchName>>);

    impl Driver for Forgetful {
        fn launch(&self, _: Vec<Durable<Launch>>) -> Result<(), DriverError> {
            Ok(())
        }

        fn kill(&self, _: LaunchName) -> Result<(), DriverError> {
            Ok(())
        }

        fn acknowledge(&self, _: LaunchName) -> Result<(), DriverError> {
            Ok(())
        }

        fn reconcile(&self, names: &[(LaunchName, JobId, u32)]) -> Result<Vec<Known>, DriverError> {
            self.0.lock().extend(names.iter().map(|(name, ..)| *name));
            Ok(names.iter().map(|_| Known::NeverStarted).collect())
        }
    }

    #[test]
    fn what_runs_elsewhere_is_not_asked_of_a_driver() {
        let (engine, elsewhere) = engine_with_launch();
        let id = SubmissionId::new("two").expect("a name");
        let jobs = Submission::new(id).jobs(JobRequest::new(JobTypeId(1)));
        engine.submit(jobs).expect("room").wait_durable(WAIT).expect("accepted");
        let mut launches = engine.offer(&Offer::new(NodeId(2), NodeResources::new())).commit();
        let here = launches.wait(WAIT).expect("launches")[0].get().name;
        let driver = Arc::new(Forgetful(Mutex::new(Vec::new())));
        let total = NodeResources::new();
        let service =
            Service::start(engine.clone(), driver.clone(), &Offer::new(NodeId(2), total).named("two"));
        let service = service.expect("threads");
        let found = Reconciled { n_returned: 1, ..Reconciled::default() };
        assert_eq!((service.reconciled(), &*driver.0.lock()), (found, &vec![here]));
        service.stop();
        let running = engine.running();
        let first = running.iter().find(|run| run.node == NodeId(1)).expect("it runs on");
        assert_eq!(first.name, elsewhere);
        engine.check_invariants();
    }

    #[test]
    fn the_reason_of_the_last_refusal_is_kept() {
        let (engine, name) = engine_with_launch();
        assert_eq!(engine.last_refusal(), None);
        let stale = LaunchName { number: name.number + 1, ..name };
        report(&engine, &refused(stale, "of another launch", &engine));
        report(&engine, &refused(name, &"no space ".repeat(1_000), &engine));
        engine.pump();
        let (when, reason) = engine.last_refusal().expect("a refusal");
        assert!(when <= engine.now() && reason.starts_with("no space") && reason.len() <= 1_024, "{reason}");
        assert_eq!(engine.n_returned(), 1);
    }
}
