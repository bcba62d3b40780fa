//! What agents have in all: when a master is asked for it, and what becomes of the answer.
//!
//! G1  One question at a time, on a thread of its own, with an end.
//! G2  An agent that has just made its first offer is asked for within seconds; one that the master does not list,
//!     less and less often; all of them now and then, since an agent may come back with more under its former id.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use super::address::Address;
use super::agents::{Agent, list};
use super::options::MesosOptions;
use crate::clock::monotonic;
use crate::engine::Engine;
use crate::model::AgentId;

/// Between two questions for an agent that the last answer did not have: twice as long each time.
const MISSED_FIRST: Duration = Duration::from_secs(10);

/// Between two questions for all agents, and the longest wait otherwise.
const ALL_EVERY: Duration = Duration::from_mins(10);

/// How long one question may take: a master with thousands of agents is slow.
const ANSWER: Duration = Duration::from_mins(1);

/// See the file.
pub(super) struct Totals {
    /// The answer that is waited for.
    answer: Option<Receiver<Result<Vec<Agent>, String>>>,
    plan: Plan,
}

/// When to ask.
struct Plan {
    asked: Instant,
    /// When to ask for all; none before the first answer.
    all: Option<Instant>,
    /// Agents that made offers, and that the last answer did not have.
    missed: BTreeSet<AgentId>,
    /// How long after the last question those are asked for again.
    wait: Duration,
    /// After a failure: nothing before.
    pause: Option<Instant>,
}

impl Plan {
    fn new(now: Instant) -> Self {
        Self { asked: now, all: None, missed: BTreeSet::new(), wait: MISSED_FIRST, pause: None }
    }

    /// `unknown`: the agents that made offers, and of which it is not known what they have.
    fn is_due(&self, unknown: &[AgentId], now: Instant) -> bool {
        if self.pause.is_some_and(|pause| now < pause) {
            return false;
        }
        let Some(all) = self.all else { return !unknown.is_empty() };
        let since = now.saturating_duration_since(self.asked);
        let is_new = |agent: &AgentId| !self.missed.contains(agent);
        now >= all
            || unknown.iter().any(is_new) && since >= MISSED_FIRST
            || !unknown.is_empty() && since >= self.wait
    }

    fn asked(&mut self, now: Instant) {
        self.asked = now;
        self.pause = None;
    }

    /// An answer came; `unknown` are those that it did not have.
    fn answered(&mut self, unknown: Vec<AgentId>, now: Instant) {
        self.all = Some(now + ALL_EVERY);
        self.wait =
            if unknown.is_empty() { MISSED_FIRST } else { self.wait.saturating_mul(2).min(ALL_EVERY) };
        self.missed = unknown.into_iter().collect();
    }

    fn failed(&mut self, now: Instant) {
        self.pause = Some(now + ALL_EVERY);
    }
}

/// The agents that made offers, and of which it is not known what they have in all.
fn unknown(engine: &Engine) -> Vec<AgentId> {
    let when = engine.now();
    engine.cluster(|cluster| {
        let nodes = cluster.iter(when).filter(|node| node.total.is_none());
        nodes.filter_map(|node| node.agent.cloned()).collect()
    })
}

impl Totals {
    pub(super) fn new(now: Instant) -> Self {
        Self { answer: None, plan: Plan::new(now) }
    }

    /// Another subscription, perhaps at another master: all is asked anew.
    pub(super) fn subscribed(&mut self, now: Instant) {
        let all = self.plan.all.map(|_| now);
        *self = Self::new(now);
        self.plan.all = all;
    }

    /// Takes up what was answered, and asks where it is time.
    pub(super) fn look(
        &mut self,
        engine: &Engine,
        options: &Arc<MesosOptions>,
        master: &Address,
        now: Instant,
    ) {
        match self.answer.as_ref().map(Receiver::try_recv) {
            Some(Ok(Ok(agents))) => {
                for Agent { id, total, .. } in agents {
                    // Those that made no offer yet are told again.
                    let _ = id.is_some_and(|id| engine.agent_total(&id, total));
                }
                self.plan.answered(unknown(engine), now);
            }
            Some(Ok(Err(error))) => {
                tracing::warn!(error, "the master does not tell what its agents have in all");
                self.plan.failed(now);
            }
            Some(Err(TryRecvError::Empty)) => return,
            Some(Err(TryRecvError::Disconnected)) | None => {}
        }
        self.answer = None;
        if !self.plan.is_due(&unknown(engine), now) {
            return;
        }
        self.plan.asked(now);
        let engine = engine.clone();
        match ask(options, master.clone(), move || engine.wake()) {
            Ok(answer) => self.answer = Some(answer),
            Err(error) => {
                tracing::warn!(%error, "no thread to ask what agents have in all");
                self.plan.failed(now);
            }
        }
    }
}

/// Asks on a thread of its own. `wake` is called when the answer is there.
fn ask(
    options: &Arc<MesosOptions>,
    master: Address,
    wake: impl FnOnce() + Send + 'static,
) -> io::Result<Receiver<Result<Vec<Agent>, String>>> {
    let (tell, heard) = bounded(1);
    let options = options.clone();
    let thread = std::thread::Builder::new().name("weighbridge-agents".to_owned());
    thread.spawn(move || {
        let answer = list(&options, master, ANSWER, monotonic() + ANSWER);
        // Whoever asked may be gone.
        let _ = tell.send(answer.map(|(agents, _)| agents));
        wake();
    })?;
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which is asked, where each answer comes at once and lacks the `unknown`.
    fn asked(
        plan: &mut Plan,
        begin: Instant,
        unknown: &[AgentId],
        seconds: std::ops::Range<u64>,
    ) -> Vec<u64> {
        let mut all = Vec::new();
        for second in seconds {
            let now = begin + Duration::from_secs(second);
            if plan.is_due(unknown, now) {
                plan.asked(now);
                plan.answered(unknown.to_vec(), now);
                all.push(second);
            }
        }
        all
    }

    #[test]
    fn agents_are_asked_for_at_once_and_those_that_are_not_listed_less_and_less_often() {
        let [a, b] = ["a", "b"].map(|id| AgentId::new(id).expect("an id"));
        let now = monotonic();
        let mut plan = Plan::new(now);
        assert_eq!(asked(&mut plan, now, &[], 0..100), [0; 0], "nobody made an offer");
        let a_alone = [a.clone()];
        assert_eq!(asked(&mut plan, now, &a_alone, 100..1_000), [100, 120, 160, 240, 400, 720]);
        // One that is new is not kept waiting by one that is not listed.
        assert_eq!(asked(&mut plan, now, &[a, b], 1_000..1_500), [1_000]);
        // It is listed; all are asked for again.
        plan.answered(Vec::new(), now + Duration::from_mins(25));
        assert_eq!(asked(&mut plan, now, &[], 1_500..3_000), [2_100, 2_700]);
    }

    #[test]
    fn another_master_is_asked_for_all_where_the_former_one_told() {
        let now = monotonic();
        let mut totals = Totals::new(now);
        totals.subscribed(now);
        assert!(!totals.plan.is_due(&[], now), "nobody made an offer");
        totals.plan.answered(Vec::new(), now);
        assert!(!totals.plan.is_due(&[], now));
        totals.subscribed(now);
        assert!(totals.plan.is_due(&[], now));
    }

    #[test]
    fn a_master_that_does_not_tell_is_left_alone_for_a_while() {
        let a = [AgentId::new("a").expect("an id")];
        let now = monotonic();
        let mut plan = Plan::new(now);
        assert!(plan.is_due(&a, now));
        plan.asked(now);
        plan.failed(now);
        assert_eq!(asked(&mut plan, now, &a, 0..700), [600, 620, 660]);
    }
}
