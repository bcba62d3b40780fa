//! What drivers are to do, in order, each with the evidence that its causes are durable.

use std::collections::VecDeque;
use std::time::Duration;

use super::plan::{Committed, Plan};
use crate::clock::monotonic;
use crate::launch::Launch;
use crate::limits::RUNNING_MAX;
use crate::model::LaunchName;
use crate::offer::HeldOffer;
use crate::sync::{Condvar, Mutex};
use crate::wal::Durable;

/// One thing for a driver to do.
#[derive(Debug)]
pub enum Outgoing {
    /// Start an execution.
    Launch(Durable<Launch>),
    /// Start executions on what offers have, all of one agent; where there is none to start, decline them.
    Accept {
        /// The offers. They have ended: nobody else uses them.
        offers: Vec<HeldOffer>,
        /// The executions.
        launches: Vec<Durable<Launch>>,
    },
    /// End an execution.
    Kill(Durable<LaunchName>),
    /// Forget the end of an execution: it is on record.
    Acknowledge(Durable<LaunchName>),
}

/// The same while it waits: launches are filled by whoever takes them.
#[derive(Debug)]
pub(super) enum Held {
    Launch(Durable<Plan>),
    Accept(Durable<Committed>),
    Kill(Durable<LaunchName>),
    Acknowledge(Durable<LaunchName>),
}

/// Most that waits. Launches and kills are bounded by what runs; acknowledgements beyond the limit
/// are dropped, since a driver that repeats an end is told again.
const OUTBOX_LEN_MAX: usize = 3 * RUNNING_MAX;

#[derive(Default)]
pub(super) struct Outbox {
    queue: Mutex<VecDeque<Held>>,
    filled: Condvar,
}

impl Outbox {
    pub(super) fn push(&self, all: impl IntoIterator<Item = Held>) {
        let mut queue = self.queue.lock();
        for outgoing in all {
            if queue.len() < OUTBOX_LEN_MAX || !matches!(outgoing, Held::Acknowledge(_)) {
                queue.push_back(outgoing);
            }
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Everything there is; waits up to `timeout` for the first.
    pub(super) fn take(&self, timeout: Duration) -> Vec<Held> {
        let end = monotonic() + timeout;
        let mut queue = self.queue.lock();
        while queue.is_empty() && !timeout.is_zero() {
            if self.filled.wait_until(&mut queue, end).timed_out() {
                break;
            }
        }
        queue.drain(..).collect()
    }
}

/// A flag that somebody rings and one waiter hears, also when it rang before.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        let mut rung = self.rung.lock();
        if !*rung {
            *rung = true;
            drop(rung);
            self.heard.notify_one();
        }
    }

    /// True when it rang within `timeout`, or before.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let end = monotonic() + timeout;
        let mut rung = self.rung.lock();
        while !*rung {
            if self.heard.wait_until(&mut rung, end).timed_out() {
                break;
            }
        }
        std::mem::take(&mut *rung)
    }
}
