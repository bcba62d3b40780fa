//! The answer to a command, which comes once its events are durable.
//!
//! A ticket can be polled, waited for, or awaited from any async runtime: it keeps one
//! [`Waker`] and wakes it when the answer is there.
//!
//! T1  A promise answers once; dropped before that, it says that no answer will come.
//! T2  Whoever looked before the answer came is woken by it: slot and waker share a lock.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
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

struct Waiting<T> {
    slot: Slot<T>,
    /// Of the task that awaits the ticket.
    waker: Option<Waker>,
}

struct Shared<T> {
    waiting: Mutex<Waiting<T>>,
    answered: Condvar,
}

/// How often somebody who waits moves the engine along.
const PUMP_PERIOD: Duration = Duration::from_millis(20);

/// A waiter that has less time than this leaves writing to the thread of the log.
const COMMIT_TIME_MIN: Duration = Duration::from_millis(100);

/// What whoever waits on a ticket moves along.
pub(super) trait Pump: Send + Sync {
    /// Applies what is in the intake and has it written, on this thread where `may_commit` says so.
    fn pump(&self, may_commit: bool);
}

/// A command's answer to be.
#[must_use = "without it nobody learns whether the command was accepted"]
pub struct Ticket<T, E> {
    shared: Arc<Shared<Result<T, E>>>,
    pump: Arc<dyn Pump>,
}

/// The other end: answers once, or tells by being dropped that no answer will come.
pub(super) struct Promise<T, E>(Arc<Shared<Result<T, E>>>);

impl<T, E> Promise<T, E> {
    pub(super) fn new(pump: Arc<dyn Pump>) -> (Self, Ticket<T, E>) {
        let waiting = Mutex::new(Waiting { slot: Slot::Waiting, waker: None });
        let shared = Arc::new(Shared { waiting, answered: Condvar::new() });
        (Self(shared.clone()), Ticket { shared, pump })
    }

    /// Fills the slot, or gives back what nobody waits for any more.
    fn set(&self, slot: Slot<Result<T, E>>) -> Option<Slot<Result<T, E>>> {
        let mut waiting = self.0.waiting.lock();
        if !matches!(waiting.slot, Slot::Waiting) {
            return Some(slot);
        }
        waiting.slot = slot;
        let waker = waiting.waker.take();
        drop(waiting);
        self.0.answered.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    /// Answers; an answer that was given up comes back.
    pub(super) fn answer(self, answer: Result<T, E>) -> Option<Result<T, E>> {
        match self.set(Slot::Answered(answer)) {
            Some(Slot::Answered(answer)) => Some(answer),
            _ => None,
        }
    }
}

impl<T, E> Drop for Promise<T, E> {
    fn drop(&mut self) {
        self.set(Slot::Lost);
    }
}

fn answer_in<T: Clone, E: Clone>(slot: &Slot<Result<T, E>>) -> Option<Result<T, TicketError<E>>> {
    match slot {
        Slot::Waiting => None,
        Slot::Answered(Ok(value)) => Some(Ok(value.clone())),
        Slot::Answered(Err(error)) => Some(Err(TicketError::Refused(error.clone()))),
        Slot::Lost => Some(Err(TicketError::Lost)),
    }
}

impl<T: Clone, E: Clone> Ticket<T, E> {
    /// The answer, where there is one. Never blocks, and moves nothing along.
    pub fn poll(&self) -> Option<Result<T, TicketError<E>>> {
        answer_in(&self.shared.waiting.lock().slot)
    }

    /// Waits until the command is durable. The waiting thread applies what is in the intake, so it
    /// needs no other thread that does; and it may write the log for all who wait, so that it may come
    /// back one commit later than `timeout` says where that is longer than 100 ms.
    pub fn wait_durable(&self, timeout: Duration) -> Result<T, TicketError<E>> {
        self.wait_ready(timeout);
        self.poll().unwrap_or(Err(TicketError::TimedOut(timeout)))
    }
}

impl<T, E> Ticket<T, E> {
    /// Waits, at most `timeout`, until there is an answer or it is sure that none will come. Moves
    /// the engine along again and again: while the log is behind, one time does not empty the
    /// intake.
    fn wait_ready(&self, timeout: Duration) {
        let end = monotonic() + timeout;
        while matches!(self.shared.waiting.lock().slot, Slot::Waiting) {
            let now = monotonic();
            self.pump.pump(end.saturating_duration_since(now) >= COMMIT_TIME_MIN);
            let slice = end.min(now + PUMP_PERIOD);
            let mut waiting = self.shared.waiting.lock();
            while matches!(waiting.slot, Slot::Waiting) {
                if self.shared.answered.wait_until(&mut waiting, slice).timed_out() {
                    break;
                }
            }
            if slice == end {
                return;
            }
        }
    }

    /// The same as `wait_durable` for an answer that cannot be copied; it is given out once.
    pub(super) fn wait_taken(&mut self, timeout: Duration) -> Result<T, TicketError<E>> {
        self.wait_ready(timeout);
        let slot = &mut self.shared.waiting.lock().slot;
        if matches!(slot, Slot::Waiting) {
            return Err(TicketError::TimedOut(timeout));
        }
        match std::mem::replace(slot, Slot::Lost) {
            Slot::Answered(answer) => answer.map_err(TicketError::Refused),
            Slot::Waiting | Slot::Lost => Err(TicketError::Lost),
        }
    }

    /// Gives the answer up: one that is there comes back, one that comes goes back to its promise.
    pub(super) fn give_up(&mut self) -> Option<Result<T, E>> {
        match std::mem::replace(&mut self.shared.waiting.lock().slot, Slot::Lost) {
            Slot::Answered(answer) => Some(answer),
            Slot::Waiting | Slot::Lost => None,
        }
    }
}

/// Awaiting a ticket moves nothing along, unlike [`Ticket::wait_durable`]: somebody else has to
/// move the engine, such as a [`Service`](crate::Service). The same ticket may be awaited again.
impl<T: Clone, E: Clone> Future for Ticket<T, E> {
    type Output = Result<T, TicketError<E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waiting = self.shared.waiting.lock();
        if let Some(answer) = answer_in(&waiting.slot) {
            return Poll::Ready(answer);
        }
        if waiting.waker.as_ref().is_none_or(|known| !known.will_wake(context.waker())) {
            waiting.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Idle;

    impl Pump for Idle {
        fn pump(&self, _: bool) {}
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn look(ticket: &mut Ticket<u8, u8>, woken: &Arc<Woken>) -> Poll<Result<u8, TicketError<u8>>> {
        let waker = Waker::from(woken.clone());
        Future::poll(Pin::new(ticket), &mut Context::from_waker(&waker))
    }

    #[test]
    fn an_awaited_ticket_is_woken_by_its_answer_and_answers_again() {
        let woken = Arc::new(Woken::default());
        let (promise, mut ticket) = Promise::new(Arc::new(Idle));
        assert!(look(&mut ticket, &woken).is_pending());
        assert!(look(&mut ticket, &woken).is_pending());
        promise.answer(Ok(7));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(look(&mut ticket, &woken), Poll::Ready(Ok(7)));
        assert_eq!(look(&mut ticket, &woken), Poll::Ready(Ok(7)));
    }

    #[test]
    fn a_promise_that_is_dropped_wakes_and_says_so() {
        let woken = Arc::new(Woken::default());
        let (promise, mut ticket) = Promise::new(Arc::new(Idle));
        assert!(look(&mut ticket, &woken).is_pending());
        drop(promise);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(look(&mut ticket, &woken), Poll::Ready(Err(TicketError::Lost)));
    }
}
