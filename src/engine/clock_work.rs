//! Processors of clock rules: who is told when a rule fired.
//!
//! N1  A processor hears of a firing once its event is durable, never under a lock, with the firing before it.
//! N2  One that fails or panics keeps no other from being called.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::domain::JOB_LOAD_RULE;
use super::shell::{Effect, Engine};
use crate::limits::FIRINGS_MAX;
use crate::model::TriggerEvent;
use crate::sync::Mutex;

/// A clock rule fired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockFiring {
    /// The name of the rule.
    pub rule: &'static str,
    /// The event of this firing.
    pub event: TriggerEvent,
    /// That of the firing before.
    pub previous: Option<TriggerEvent>,
}

/// There is no clock rule of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no clock rule is called {name:?}; there is {JOB_LOAD_RULE:?}")]
pub struct ClockRuleError {
    /// What was asked for.
    pub name: String,
}

type Processor = Arc<dyn Fn(&ClockFiring) -> Result<(), String> + Send + Sync>;

#[derive(Default)]
struct Work {
    processors: Vec<Processor>,
    firings: VecDeque<ClockFiring>,
}

/// Processors, and what they have to be told.
#[derive(Default)]
pub(super) struct ClockWork(Arc<Mutex<Work>>);

impl ClockWork {
    /// What tells of a firing once it is durable; nothing where nobody listens.
    pub(super) fn told(&self, firing: ClockFiring) -> Option<Effect> {
        let (work, is_heard) = (self.0.clone(), !self.0.lock().processors.is_empty());
        is_heard.then(|| {
            Effect::Answer(Box::new(move || {
                let mut work = work.lock();
                work.firings.push_back(firing);
                // Nobody calls the processors: the oldest is told to nobody.
                if work.firings.len() > FIRINGS_MAX {
                    work.firings.pop_front();
                }
            }))
        })
    }

    fn next(&self) -> Option<(ClockFiring, Vec<Processor>)> {
        let mut work = self.0.lock();
        let firing = work.firings.pop_front()?;
        Some((firing, work.processors.clone()))
    }
}

impl Engine {
    /// Has `processor` called with every later firing of a clock rule, beside those that are registered for it
    /// already. There is one rule, [`JOB_LOAD_RULE`]: load is taken down. A [`Service`](crate::Service) calls
    /// processors on a thread of its own; without one, [`Engine::run_clock_processors`] does.
    ///
    /// An error is logged, and so is a panic.
    pub fn register_clock_processor(
        &self,
        rule: &str,
        processor: impl Fn(&ClockFiring) -> Result<(), String> + Send + Sync + 'static,
    ) -> Result<(), ClockRuleError> {
        if rule != JOB_LOAD_RULE {
            return Err(ClockRuleError { name: rule.to_owned() });
        }
        self.0.clock_work.0.lock().processors.push(Arc::new(processor));
        Ok(())
    }

    /// Calls the processors of rules that fired since the last time, in the order in which they were
    /// registered. How many firings there were.
    pub fn run_clock_processors(&self) -> usize {
        let mut n_firings = 0;
        while let Some((firing, processors)) = self.0.clock_work.next() {
            n_firings += 1;
            for processor in processors {
                match catch_unwind(AssertUnwindSafe(|| processor(&firing))) {
                    Ok(Ok(())) => {}
                    Ok(Err(cause)) => tracing::error!(rule = firing.rule, %cause, "a clock processor failed"),
                    // The panic itself was reported by its hook.
                    Err(_) => tracing::error!(rule = firing.rule, "a clock processor panicked"),
                }
            }
        }
        n_firings
    }
}
