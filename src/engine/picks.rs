//! What one offer was decided to take, before it is launched.
//!
//! P1  A pick is launched, put back, or void because its job was canceled; dropping the guard puts
//!     all of them back to their exact places.

use std::convert::Infallible;
use std::time::Duration;

use super::shell::Engine;
use super::ticket::{Ticket, TicketError};
use crate::launch::Launch;
use crate::model::{ExeId, JobId, JobTypeId, NodeId};
use crate::queue::Entry;
use crate::wal::Durable;

/// One execution picked for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The execution.
    pub exe: ExeId,
    /// Its job.
    pub job: JobId,
    /// Its kind.
    pub job_type: JobTypeId,
    /// The lower number is the more important.
    pub priority: i32,
}

/// The picks of one offer. Dropped without a commit, they go back to their exact places.
#[must_use = "dropped picks go back to the queue"]
pub struct Picks<'e> {
    engine: &'e Engine,
    node: NodeId,
    entries: Vec<Entry>,
}

/// Launches that are on their way to the disk.
#[must_use = "launches that nobody carries out hold their resources for ever"]
pub struct PendingLaunches(pub(super) Ticket<Durable<Vec<Launch>>, Infallible>);

impl PendingLaunches {
    /// Waits until they are durable.
    ///
    /// # Errors
    /// [`TicketError::TimedOut`] gives up waiting: the launches stay on record and have to be
    /// returned with a `Refused` status. [`TicketError::Lost`] when the log failed.
    pub fn wait(self, timeout: Duration) -> Result<Vec<Durable<Launch>>, TicketError<Infallible>> {
        self.0.wait_taken(timeout).map(Durable::each)
    }
}

impl<'e> Picks<'e> {
    pub(super) fn new(engine: &'e Engine, node: NodeId, entries: Vec<Entry>) -> Self {
        Self { engine, node, entries }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The picks, in launch order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Pick> + '_ {
        self.entries.iter().map(|entry| Pick {
            exe: entry.id,
            job: entry.job,
            job_type: entry.job_type,
            priority: entry.priority,
        })
    }

    /// Keeps those picks for which `keep` says yes; the others go back to their places.
    pub fn retain(&mut self, keep: impl Fn(Pick) -> bool) {
        let keeps: Vec<bool> = self.iter().map(keep).collect();
        let (kept, back): (Vec<_>, Vec<_>) = self.entries.drain(..).zip(keeps).partition(|(_, keep)| *keep);
        self.entries = kept.into_iter().map(|(entry, _)| entry).collect();
        let back: Vec<ExeId> = back.into_iter().map(|(entry, _)| entry.id).collect();
        self.engine.put_back(&back);
    }

    fn take_ids(&mut self) -> Vec<ExeId> {
        self.entries.drain(..).map(|entry| entry.id).collect()
    }

    /// Puts the launches on record. Returns at once; `wait` on the answer before launching.
    pub fn commit(mut self) -> PendingLaunches {
        let picks = self.take_ids();
        self.engine.commit(self.node, &picks)
    }

    /// Puts the launches on record, waits until they are durable, and gives them to `launch`.
    ///
    /// # Errors
    /// As [`PendingLaunches::wait`]; `launch` was not called then.
    pub fn commit_with<R>(
        self,
        timeout: Duration,
        launch: impl FnOnce(Vec<Durable<Launch>>) -> R,
    ) -> Result<R, TicketError<Infallible>> {
        self.commit().wait(timeout).map(launch)
    }

    /// Puts the launches on record and lets them go to the engine's outbox once durable, for
    /// whoever calls [`Engine::outgoing`]. Returns how many there are.
    pub fn hand_over(mut self) -> usize {
        let picks = self.take_ids();
        self.engine.hand_over(self.node, &picks)
    }
}

impl Drop for Picks<'_> {
    fn drop(&mut self) {
        let picks = self.take_ids();
        self.engine.put_back(&picks);
    }
}
