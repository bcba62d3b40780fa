//! What happens under the core's lock: the intake is applied, and what came of it goes to the log.
//!
//! U1  Whoever lets go of the core looks at the intake again, so that a caller who finds the core taken
//!     need not wait for it: its command is applied by whoever has it.
//! U2  What gathered for the log while the core was held is written: by its thread, which is woken
//!     then, or by a caller who has nothing better to do than to wait for it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::command::{Command, Status};
use super::core::{Core, Order};
use super::handle::SubmitError;
use super::shell::{Effect, Inner, Owned, answer};
use super::ticket::{Promise, Pump};
use super::view::{VIEW_AGE_MAX, view};
use crate::clock::monotonic;
use crate::limits::{TALLY_SECONDS, TURN_LANES};
use crate::model::{Accepted, Durability, Submission, Timestamp};
use crate::sync::{MutexGuard, Ordering, unlock_fair};

/// Events of statuses that are handed to the log together.
const STATUS_EVENTS: usize = 500;

/// Accepted submissions whose answers are kept for callers that ask again at once. When there are
/// as many, later ones are answered by the core.
const ANSWERS_MAX: usize = 1 << 16;

/// How old the count of what waits by what keeps it may get.
const TALLY_AGE: Duration = Duration::from_secs(TALLY_SECONDS);

/// How often whoever lets go of the core looks at the intake again. What comes after that is applied by
/// a service, or when its caller asks again.
const LOOKS_MAX: usize = 4;

/// The core's lock, held.
pub(super) struct Turn<'i> {
    /// None only while it is let go.
    owned: Option<MutexGuard<'i, Owned>>,
    inner: &'i Inner,
}

impl Deref for Turn<'_> {
    type Target = Owned;

    fn deref(&self) -> &Owned {
        self.owned.as_deref().expect("held")
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut Owned {
        self.owned.as_deref_mut().expect("held")
    }
}

impl Turn<'_> {
    /// Lets go of the core so that who waits for it has it next: for those who come again at once.
    pub(super) fn give_way(mut self) {
        if let Some(owned) = self.owned.take() {
            unlock_fair(owned);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.owned = None;
        self.inner.look_again();
        self.inner.log.wake();
    }
}

impl Pump for Inner {
    fn pump(&self, may_commit: bool) {
        if let Some(mut owned) = self.owned.try_lock() {
            self.drain(&mut owned);
            drop(owned);
            self.look_again();
        }
        if may_commit {
            self.log.help();
        } else {
            self.log.wake();
        }
    }
}

/// Counts what waits by what keeps it where that is due, by both clocks: one that is simulated may race. True
/// where it is not as it was.
fn tally_if_due(owned: &mut Owned, now: Timestamp) -> bool {
    if let Some((counted, when)) = owned.tallied
        && (now.since(when) < TALLY_AGE || monotonic() - counted < TALLY_AGE)
    {
        return false;
    }
    owned.tallied = Some((monotonic(), now));
    owned.core.tally(now)
}

impl Inner {
    /// Waits for the core's lock.
    pub(super) fn enter(&self) -> Turn<'_> {
        Turn { owned: Some(self.owned.lock()), inner: self }
    }

    /// Applies what came in while the core was held.
    fn look_again(&self) {
        for _ in 0..LOOKS_MAX {
            if self.intake.is_empty() || self.is_full() {
                return;
            }
            // Whoever has it looks again too.
            let Some(mut owned) = self.owned.try_lock() else { return };
            self.drain(&mut owned);
        }
    }

    /// True while the core should take no more commands.
    pub(super) fn is_full(&self) -> bool {
        self.log.is_full() || self.outside.tables.is_behind()
    }

    /// True while only room on a disk, or nothing any more, makes it take commands again.
    pub(super) fn is_stuck(&self) -> bool {
        self.log.is_disk_full() || self.outside.tables.checkpoint_error().is_some()
    }

    /// Drops what waits where nothing can be put on record; whoever waits is told so.
    pub(super) fn drop_waiting(&self) {
        while self.intake.pop_status().is_some() || self.intake.pop_command().is_some() {}
    }

    /// Hands the events of the command at hand to the log, with what waits for them. False where the log
    /// takes nothing any more.
    pub(super) fn flush(&self, core: &mut Core, effects: impl IntoIterator<Item = Effect>) -> bool {
        core.settle_recipes();
        let orders = core.out.orders.drain(..).map(|order| match order {
            Order::Kill(name) => Effect::Kill(name),
            Order::Acknowledge(name) => Effect::Acknowledge(name),
        });
        let mut effects = effects.into_iter().chain(orders).peekable();
        if core.out.events.is_empty() {
            return effects.peek().is_none() || self.log.append(&[], effects);
        }
        let mut delta = core.state.take_delta();
        delta.generation = self.outside.tables.generation();
        let delta = Effect::Delta(Box::new(delta));
        let is_taken = self.log.append(&core.out.events, std::iter::once(delta).chain(effects));
        core.out.events.clear();
        is_taken
    }

    /// Applies what the rings hold at this moment. Returns the time it used.
    pub(super) fn drain(&self, owned: &mut Owned) -> Timestamp {
        let now = owned.core.clamp(self.options.clock.now());
        // Relaxed: a sign of life that orders nothing.
        self.moved.store(now.0, Ordering::Relaxed);
        if self.log.is_failed() {
            self.drop_waiting();
            return now;
        }
        self.drain_statuses(&mut owned.core, now);
        for _ in 0..self.intake.n_commands() {
            if self.is_full() {
                break;
            }
            let Some(command) = self.intake.pop_command() else { break };
            self.apply(&mut owned.core, command, now);
        }
        owned.core.state.queue.turn_some(TURN_LANES);
        self.take_load(owned, now);
        let has_news = tally_if_due(owned, now);
        let (viewed, position) = owned.viewed;
        if has_news || (position != owned.core.state.last_event && monotonic() - viewed >= VIEW_AGE_MAX) {
            self.publish(owned, now);
        }
        now
    }

    fn take_load(&self, owned: &mut Owned, now: Timestamp) {
        let Some(period) = self.options.load_period else { return };
        let Some(firing) = owned.core.fire_load(now, owned.load_fired, period) else { return };
        owned.load_fired = now;
        owned.core.take_load(now, self.options.load_rows, &self.options.load_retention);
        let tell = self.clock_work.told(firing);
        self.flush(&mut owned.core, tell);
    }

    pub(super) fn publish(&self, owned: &mut Owned, now: Timestamp) {
        owned.viewed = (monotonic(), owned.core.state.last_event);
        let view = view(&mut owned.core, now);
        self.flush(&mut owned.core, [Effect::Publish(view)]);
    }

    /// Applies what the ring of statuses holds, and hands it to the log many at a time: drivers report
    /// ends by the hundred.
    fn drain_statuses(&self, core: &mut Core, now: Timestamp) {
        let mut answers = Vec::new();
        for _ in 0..self.intake.n_statuses() {
            let Some(Status(update, promise)) = self.intake.pop_status() else { break };
            // Whoever holds a ticket acknowledges by it; else the outbox says when.
            let outcome = core.status(update, promise.is_none(), now);
            answers.extend(promise.map(|promise| Effect::Status(promise, outcome)));
            if core.out.events.len() >= STATUS_EVENTS {
                self.flush(core, answers.drain(..));
            }
        }
        self.flush(core, answers);
    }

    pub(super) fn apply_status(&self, core: &mut Core, Status(update, promise): Status, now: Timestamp) {
        // Whoever holds a ticket acknowledges by it; else the outbox says when.
        let outcome = core.status(update, promise.is_none(), now);
        let answer = promise.map(|promise| Effect::Status(promise, outcome));
        self.flush(core, answer);
    }

    fn apply(&self, core: &mut Core, command: Command, now: Timestamp) {
        match command {
            Command::PutJobType(spec, promise) => {
                let result = core.put_job_type(*spec, now);
                self.settle(core, result, promise);
            }
            Command::Submit(submission, promise) => {
                let result = core.submit(&submission, now);
                self.settle_submission(core, &submission, result, promise);
            }
            Command::SetPriority(jobs, priority, promise) => {
                let result = core.set_priority(&jobs, priority, now);
                self.settle(core, result, promise);
            }
            Command::Pause(job_type, is_paused, promise) => {
                let result = core.pause(job_type, is_paused, now);
                self.settle(core, result, promise);
            }
            Command::Limit(job_type, limit, promise) => {
                let result = core.limit(job_type, limit, now);
                self.settle(core, result, promise);
            }
            Command::SetMode(job_type, mode, promise) => {
                let result = core.set_mode(job_type, mode);
                self.settle(core, result, promise);
            }
            Command::Call(call) => call(self, core, now),
        }
    }

    /// A refusal is answered at once, a success when it is durable.
    pub(super) fn settle<T: Send + 'static, E: Send + 'static>(
        &self,
        core: &mut Core,
        result: Result<T, E>,
        promise: Promise<T, E>,
    ) {
        match result {
            Err(error) => drop(promise.answer(Err(error))),
            // A promise that is dropped is told as lost.
            Ok(value) => {
                self.flush(core, [answer(promise, value)]);
            }
        }
    }

    fn settle_submission(
        &self,
        core: &mut Core,
        submission: &Submission,
        result: Result<Accepted, SubmitError>,
        promise: Promise<Accepted, SubmitError>,
    ) {
        let Ok(accepted) = result else { return self.settle(core, result, promise) };
        if submission.durability == Durability::Buffered {
            // What the log does not take is dropped with its promise, and so told.
            if self.flush(core, []) {
                drop(promise.answer(Ok(accepted)));
            }
            return;
        }
        let (answers, id) = (self.answers.clone(), Arc::from(submission.id.as_str()));
        let answer = move || {
            if answers.len() < ANSWERS_MAX {
                answers.insert(id, accepted);
            }
            drop(promise.answer(Ok(accepted)));
        };
        self.flush(core, [Effect::Answer(Box::new(answer))]);
    }
}
