//! What one offer was decided to take, before it is launched.
//!
//! P1  A pick is launched, put back, or void because its job was canceled; dropping the guard puts
//!     all of them back to their exact places.

use std::convert::Infallible;
use std::time::Duration;

use super::plan::Committed;
use super::shell::Engine;
use super::ticket::{Ticket, TicketError};
use crate::launch::Launch;
use crate::model::{ExeId, JobId, JobTypeId, NodeId};
use crate::offer::HeldOffer;
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
    /// Of which round of picks they are: one that was canceled, brought back and picked again meanwhile
    /// is somebody else's.
    round: u64,
    /// Whether they use offers of the cluster that are held.
    uses_offers: bool,
}

/// Launches that are on their way to the disk. Dropped before they are there, they come out of the
/// engine's outbox ([`Engine::outgoing`]) once they are: nothing on record is ever forgotten.
///
/// A job that is canceled meanwhile is among them all the same, and its kill is in the outbox: end
/// what was started when it comes, also when it came first.
#[must_use = "launches that nobody carries out hold their resources for ever"]
pub struct PendingLaunches {
    ticket: Ticket<Durable<Committed>, Infallible>,
    engine: Engine,
    offers: Vec<HeldOffer>,
}

impl PendingLaunches {
    /// Waits until they are durable, and gives them out once: those that were picked, but for what was canceled
    /// or cannot be filled meanwhile, so perhaps none.
    ///
    /// # Errors
    /// [`TicketError::TimedOut`]: wait again. [`TicketError::Lost`] when the log failed, and after
    /// they were given out.
    pub fn wait(&mut self, timeout: Duration) -> Result<Vec<Durable<Launch>>, TicketError<Infallible>> {
        let committed = self.ticket.wait_taken(timeout)?;
        let (launches, offers) = self.engine.fill_all(committed);
        self.offers = offers;
        Ok(launches)
    }

    /// The offers on which they are launched, once [`wait`](Self::wait) gave them out: those of one agent that
    /// cover them, where offers of the node are held ([`Engine::offered`]). Nobody else uses them. Where
    /// there are some and nothing came out, decline them.
    pub fn offers(&self) -> &[HeldOffer] {
        &self.offers
    }

    pub(super) fn new(ticket: Ticket<Durable<Committed>, Infallible>, engine: Engine) -> Self {
        Self { ticket, engine, offers: Vec::new() }
    }
}

impl Drop for PendingLaunches {
    fn drop(&mut self) {
        if let Some(Ok(committed)) = self.ticket.give_up() {
            self.engine.post(committed);
        }
    }
}

impl<'e> Picks<'e> {
    pub(super) fn new(
        engine: &'e Engine,
        node: NodeId,
        (entries, round): (Vec<Entry>, u64),
        uses_offers: bool,
    ) -> Self {
        Self { engine, node, entries, round, uses_offers }
    }

    /// For which node.
    pub fn node(&self) -> NodeId {
        self.node
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
        let back: Vec<Entry> = back.into_iter().map(|(entry, _)| entry).collect();
        self.engine.put_back(self.node, &back, self.round);
    }

    /// Puts the launches on record. Returns at once; `wait` on the answer before launching. Of several offers,
    /// commit all before the first `wait`: they share a sync.
    ///
    /// What the offers that are held of a node do not cover any more, since some ended meanwhile, goes back to
    /// its place.
    pub fn commit(mut self) -> PendingLaunches {
        let picks = std::mem::take(&mut self.entries);
        self.engine.commit(self.node, (&picks, self.round), self.uses_offers)
    }

    /// Puts the launches on record, waits until they are durable, and gives them to `launch`.
    ///
    /// # Errors
    /// As [`PendingLaunches::wait`]; `launch` was not called then, and the launches come out of the
    /// outbox.
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
        let picks = std::mem::take(&mut self.entries);
        self.engine.hand_over(self.node, (&picks, self.round), self.uses_offers)
    }
}

impl Drop for Picks<'_> {
    fn drop(&mut self) {
        self.engine.put_back(self.node, &self.entries, self.round);
    }
}
