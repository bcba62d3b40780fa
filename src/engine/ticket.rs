//! The answer to a command, which comes once its events are durable.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::monotonic;
use crate::sync::{Condvar, Mutex};

/// Why a ticket has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError<E> {
    /// The command was refused; nothing changed.
    #[error(transparent)]
    Refused(E),
    /// Not within the time given. It may still come: wait again, or submit again under the same id.
    #[error("no answer within {0:?}; it may still come")]
    TimedOut(Duration),
    /// The engine closed or its log failed before the command was durable. It may or may not be on
    /// record; ask again after opening the store.
    #[error("the log did not take it; open the store again and ask again")]
    Lost,
}

enum Slot<T> {
    Waiting,
    Answered(T),
    /// The promise was dropped.
    Lost,
}

struct Shared<T> {
    slot: Mutex<Slot<T>>,
    answered: Condvar,
}

/// Whoever waits on a ticket moves the engine along with this.
pub(super) type Pump = Arc<dyn Fn() + Send + Sync>;

/// A command's answer to be.
#[must_use = "without it nobody learns whether the command was accepted"]
pub struct Ticket<T, E> {
    shared: Arc<Shared<Result<T, E>>>,
    pump: Pump,
}

/// The other end: answers once, or tells by being dropped that no answer will come.
pub(super) struct Promise<T, E>(Arc<Shared<Result<T, E>>>);

impl<T, E> Promise<T, E> {
    pub(super) fn new(pump: Pump) -> (Self, Ticket<T, E>) {
        let shared = Arc::new(Shared { slot: Mutex::new(Slot::Waiting), answered: Condvar::new() });
        (Self(shared.clone()), Ticket { shared, pump })
    }

    fn set(&self, slot: Slot<Result<T, E>>) {
        let mut current = self.0.slot.lock();
        if matches!(*current, Slot::Waiting) {
            *current = slot;
            drop(current);
            self.0.answered.notify_all();
        }
    }

    pub(super) fn answer(self, answer: Result<T, E>) {
        self.set(Slot::Answered(answer));
    }
}

impl<T, E> Drop for Promise<T, E> {
    fn drop(&mut self) {
        self.set(Slot::Lost);
    }
}

impl<T: Clone, E: Clone> Ticket<T, E> {
    /// The answer, where there is one. Never blocks, and moves nothing along.
    pub fn poll(&self) -> Option<Result<T, TicketError<E>>> {
        match &*self.shared.slot.lock() {
            Slot::Waiting => None,
            Slot::Answered(Ok(value)) => Some(Ok(value.clone())),
            Slot::Answered(Err(error)) => Some(Err(TicketError::Refused(error.clone()))),
            Slot::Lost => Some(Err(TicketError::Lost)),
        }
    }

    /// Waits until the command is durable. The waiting thread applies what is in the intake, so it
    /// needs no other thread that does.
    pub fn wait_durable(&self, timeout: Duration) -> Result<T, TicketError<E>> {
        self.wait_ready(timeout);
        self.poll().unwrap_or(Err(TicketError::TimedOut(timeout)))
    }
}

impl<T, E> Ticket<T, E> {
    /// Waits, at most `timeout`, until there is an answer or it is sure that none will come.
    fn wait_ready(&self, timeout: Duration) {
        if !matches!(*self.shared.slot.lock(), Slot::Waiting) {
            return;
        }
        (self.pump)();
        let end = monotonic() + timeout;
        let mut slot = self.shared.slot.lock();
        while matches!(*slot, Slot::Waiting) {
            if self.shared.answered.wait_until(&mut slot, end).timed_out() {
                return;
            }
        }
    }

    /// The same as `wait_durable` for an answer that cannot be copied.
    pub(super) fn wait_taken(self, timeout: Duration) -> Result<T, TicketError<E>> {
        self.wait_ready(timeout);
        match std::mem::replace(&mut *self.shared.slot.lock(), Slot::Lost) {
            Slot::Waiting => Err(TicketError::TimedOut(timeout)),
            Slot::Answered(answer) => answer.map_err(TicketError::Refused),
            Slot::Lost => Err(TicketError::Lost),
        }
    }
}
