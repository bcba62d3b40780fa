//! What every handler shares: the engine, and what was told to callers so far.
//!
//! S1  `told` never runs backwards, and is raised before the answer that tells a position leaves.
//! S2  However many readers want a newer view, one is made at a time, and all of them look at it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::limits::{
    ANSWER_WAIT_MAX, CORE_SILENCE_MAX, LONG_BODIES_AT_ONCE_MAX, MANIFESTS_KEPT_MAX, OUTSIDE_READS_MAX,
    SUBMISSIONS_AT_ONCE_MAX, VIEW_LOOK, VIEW_WAIT_MAX,
};
use super::views::scale::{SharedDocument, document};
use crate::engine::{Engine, Ticket, TicketError, View};
use crate::intake::IntakeError;
use crate::model::{EventNumber, JobTypeId, JobTypeRevision, Timestamp};
use crate::sync::{self, AtomicU64, Ordering};

/// What callers are told when the intake is full.
pub(super) const BUSY: &str = "the engine takes no more commands at this moment; try again in a second";

/// What callers are told of a write that the closing engine did not take.
pub(super) const CLOSING: &str =
    "the engine closed before the write was on disk; try again once the daemon is back";

/// What callers are told of a write that takes too long.
pub(super) const NO_ANSWER: &str =
    "the write is not on disk yet and may still come; ask again, a submission under the same id";

/// Why a write has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unsettled<E> {
    /// The engine refused it; nothing changed.
    Refused(E),
    /// The intake is full.
    Busy,
    /// The disk of the log is.
    DiskFull,
    /// The log takes nothing any more; says why.
    LogFailed(String),
    /// The engine closed before it was durable.
    Closing,
    /// It is not durable yet.
    NoAnswer,
}

/// The view did not reach the position in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotReached {
    /// What was asked for.
    pub(super) wanted: EventNumber,
    /// What there is.
    pub(super) reached: EventNumber,
}

struct Shared {
    engine: Engine,
    /// The newest position that was told to anybody.
    told: AtomicU64,
    started: Timestamp,
    /// Long bodies that arrive.
    arriving: Semaphore,
    /// Submissions that have arrived and are not queued yet.
    reading: Semaphore,
    /// Reads of what is outside the store.
    outside: Arc<Semaphore>,
    /// Held by whoever has a view made.
    publishing: Mutex<()>,
    /// Manifests that were shown, by job type and revision.
    manifests: sync::Mutex<HashMap<(JobTypeId, u32), Arc<Value>>>,
}

/// The engine as the server sees it. Cheap to clone.
///
/// Somebody has to move the engine along while the server runs: a [`Service`](crate::Service).
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

impl ApiState {
    /// Serves `engine`.
    pub fn new(engine: Engine) -> Self {
        let started = engine.now();
        Self(Arc::new(Shared {
            engine,
            told: AtomicU64::new(0),
            started,
            arriving: Semaphore::new(LONG_BODIES_AT_ONCE_MAX),
            reading: Semaphore::new(SUBMISSIONS_AT_ONCE_MAX),
            outside: Arc::new(Semaphore::new(OUTSIDE_READS_MAX)),
            publishing: Mutex::new(()),
            manifests: sync::Mutex::new(HashMap::new()),
        }))
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// When the server started, by the engine's clock.
    pub(super) fn started(&self) -> Timestamp {
        self.0.started
    }

    /// A place among the long bodies that arrive at once.
    pub(super) async fn arriving(&self) -> SemaphorePermit<'_> {
        self.0.arriving.acquire().await.expect("it is never closed")
    }

    /// A place among the submissions that are read at once, for one that has arrived: a client that
    /// takes its time to send keeps nobody else.
    pub(super) async fn reading(&self) -> SemaphorePermit<'_> {
        self.0.reading.acquire().await.expect("it is never closed")
    }

    /// Hands a command in with `send` and waits until it is on disk. Gives the answer, and a
    /// position of the log at which it is there.
    pub(super) async fn write<T: Clone, E: Clone>(
        &self,
        send: impl FnOnce(&Engine) -> Result<Ticket<T, E>, IntakeError>,
    ) -> Result<(T, EventNumber), Unsettled<E>> {
        let engine = self.engine();
        if let Some(error) = engine.failure() {
            return Err(Unsettled::LogFailed(error.to_string()));
        }
        let ticket = send(engine).map_err(|error| match error {
            IntakeError::DiskFull => Unsettled::DiskFull,
            IntakeError::Closed => Unsettled::Closing,
            IntakeError::LogFailed => Unsettled::LogFailed(error.to_string()),
            IntakeError::Busy => Unsettled::Busy,
        })?;
        let answer = tokio::time::timeout(ANSWER_WAIT_MAX, ticket).await;
        match answer.unwrap_or(Err(TicketError::TimedOut(ANSWER_WAIT_MAX))) {
            Ok(value) => {
                let position = engine.durable();
                // Release, with the Acquire in `view`: who reads after this answer waits for it.
                self.0.told.fetch_max(position.0, Ordering::Release);
                Ok((value, position))
            }
            Err(TicketError::Refused(error)) => Err(Unsettled::Refused(error)),
            Err(TicketError::TimedOut(_)) => Err(Unsettled::NoAnswer),
            Err(TicketError::Lost) => Err(match engine.failure() {
                Some(error) => Unsettled::LogFailed(error.to_string()),
                None => Unsettled::Closing,
            }),
        }
    }

    /// Lets whoever reads from now on see all that is on disk at this moment.
    pub(super) fn tell_all(&self) {
        // Release, with the Acquire in `view`: who reads after this answer waits for it.
        self.0.told.fetch_max(self.engine().durable().0, Ordering::Release);
    }

    /// Asks the engine something that takes the core's lock, beside the runtime's threads, and
    /// answers once what was seen is on disk: nobody is told of what a crash may undo. With a log
    /// that failed, the answer is what memory holds. Views that are read afterwards are not older.
    pub(super) async fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Engine) -> T + Send + 'static) -> T {
        let (answer, position) = self.ask_settled(ask).await;
        // Release, with the Acquire in `view`: who was told of a job that ended finds it ended there too.
        self.0.told.fetch_max(position.0, Ordering::Release);
        answer
    }

    /// The answer, and a position of the log at which what was seen is on disk.
    async fn ask_settled<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> (T, EventNumber) {
        self.ask_ahead(move |engine| {
            let answer = ask(engine);
            engine.settle(VIEW_WAIT_MAX);
            (answer, engine.durable())
        })
        .await
    }

    /// The same, perhaps ahead of the disk: for what the caller just put there.
    pub(super) async fn ask_ahead<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> T {
        let engine = self.engine().clone();
        let asked = tokio::task::spawn_blocking(move || ask(&engine)).await;
        match asked.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(answer) => answer,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it this request.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    /// Reads something outside the store, which may take seconds, a few such reads at once. One whose caller
    /// has gone keeps its place until it ends.
    pub(super) async fn read_outside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> T {
        let place = self.0.outside.clone().acquire_owned().await.expect("it is never closed");
        self.ask_ahead(move |engine| {
            let answer = read(engine);
            drop(place);
            answer
        })
        .await
    }

    /// The manifest of a revision, which never changes.
    pub(super) fn manifest(&self, revision: &JobTypeRevision) -> SharedDocument {
        let key = (revision.job_type, revision.revision);
        if let Some(known) = self.0.manifests.lock().get(&key) {
            return SharedDocument(known.clone());
        }
        let made = Arc::new(document(&revision.manifest));
        let mut all = self.0.manifests.lock();
        if all.len() >= MANIFESTS_KEPT_MAX {
            all.clear();
        }
        all.insert(key, made.clone());
        SharedDocument(made)
    }

    /// A view that shows everything this server told anybody so far.
    pub(super) async fn view(&self) -> Arc<View> {
        // Acquire, with the Release in `write`.
        let told = EventNumber(self.0.told.load(Ordering::Acquire));
        // One that is late is still the newest there is: the log may have failed.
        self.view_at(told).await.unwrap_or_else(|_| self.engine().view())
    }

    /// A view that shows at least `position`, where that comes in time.
    pub(super) async fn view_at(&self, position: EventNumber) -> Result<Arc<View>, NotReached> {
        let look = async {
            if self.engine().view().position < position {
                self.publish(position).await;
                self.look(position).await;
            }
        };
        // In time or not, what there is now decides.
        let _ = tokio::time::timeout(VIEW_WAIT_MAX, look).await;
        let view = self.engine().view();
        let reached = view.position;
        if reached >= position { Ok(view) } else { Err(NotReached { wanted: position, reached }) }
    }

    /// Has a view made of all there is, unless another reader's view shows `position` meanwhile.
    async fn publish(&self, position: EventNumber) {
        let _turn = self.0.publishing.lock().await;
        if self.engine().view().position < position {
            let (made, _) = self.ask_settled(Engine::publish).await;
            // No longer than for what was made: a position that does not exist keeps nobody else.
            self.look(made.min(position)).await;
        }
    }

    /// Waits until the view shows `position`, or never will.
    async fn look(&self, position: EventNumber) {
        while self.engine().view().position < position && self.engine().failure().is_none() {
            tokio::time::sleep(VIEW_LOOK).await;
        }
    }

    /// A view that knows `job_type`, if there is one: types can be made by others than this server.
    pub(super) async fn view_with(&self, job_type: JobTypeId) -> Arc<View> {
        let view = self.view().await;
        if view.job_type(job_type).is_some() { view } else { self.newest_view().await }
    }

    /// A view of everything applied up to now.
    pub(super) async fn newest_view(&self) -> Arc<View> {
        let (position, _) = self.ask_settled(Engine::publish).await;
        self.view_at(position).await.unwrap_or_else(|_| self.engine().view())
    }

    /// How long the core has given no sign of life, where that is too long.
    pub(super) fn silence(&self) -> Option<std::time::Duration> {
        let silence = self.engine().now().since(self.engine().moved());
        Some(silence).filter(|silence| *silence > CORE_SILENCE_MAX)
    }
}
