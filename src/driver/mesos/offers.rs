//! The offers that are held: what they have, as it came, and the tasks that take of it.
//!
//! R1  Mesos refuses a launch on offers for different roles. So of an agent the engine sees offers for one role at
//!     a time; those for others are parked, and take their turn.
//! R2  No offer is held for longer than one that has no turns to wait for, parked or not.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Offered;
use super::executor::{Executors, Info};
use super::extras::carry;
use super::inputs::{fetch, too_many};
use super::options::MesosOptions;
use super::resource::{Resource, take};
use super::task::{Task, environment};
use crate::launch::Launch;
use crate::limits::OFFER_HOLD_MAX;
use crate::model::{AgentId, OfferId};
use crate::offer::NewOffer;

/// How long the engine has the offers for one role, where there are some for others.
const TURN: Duration = Duration::from_millis(300);

/// See the file.
#[derive(Default)]
pub(super) struct Offers {
    held: HashMap<OfferId, Held>,
    /// Of each agent what the engine has.
    turns: HashMap<AgentId, Turn>,
    /// In the order of their turns.
    parked: Vec<Held>,
    /// Those that the engine has again after they were parked: when they came.
    again: Vec<(OfferId, Instant)>,
    executors: Executors,
}

/// An offer as it came.
pub(super) struct Held {
    offered: Offered,
    /// What tasks on it are run by, where that is the framework's own.
    executor: Option<Arc<Info>>,
    came: Instant,
}

struct Turn {
    role: Option<String>,
    offers: HashSet<OfferId>,
    since: Instant,
}

/// What the offers of one decision have.
pub(super) struct Parts {
    parts: Vec<Resource>,
    executor: Option<Arc<Info>>,
}

impl Held {
    pub(super) fn offer(&self) -> &NewOffer {
        &self.offered.offer
    }
}

impl Offers {
    /// An offer that came. Where the framework's own executor does not run there, it has less from now on.
    pub(super) fn read(
        &mut self,
        options: &MesosOptions,
        framework_id: Option<&str>,
        mut offered: Offered,
        now: Instant,
    ) -> Held {
        let executor = options.executor.as_ref().zip(framework_id);
        let executor = executor.and_then(|(executor, id)| self.executors.of(executor, id, &mut offered));
        Held { offered, executor, came: now }
    }

    /// The offer, where the engine may have it now; else it is parked.
    pub(super) fn now_or_parked(&mut self, held: Held) -> Option<Held> {
        let turn = self.turns.get(&held.offer().agent);
        if turn.is_none_or(|turn| turn.role == held.offered.role) {
            return Some(held);
        }
        self.parked.push(held);
        None
    }

    /// The engine has it.
    pub(super) fn hold(&mut self, held: Held, now: Instant) {
        let new = || Turn { role: held.offered.role.clone(), offers: HashSet::new(), since: now };
        let turn = self.turns.entry(held.offer().agent.clone()).or_insert_with(new);
        turn.offers.insert(held.offer().id.clone());
        if held.came < now {
            self.again.push((held.offer().id.clone(), held.came));
        }
        self.held.insert(held.offer().id.clone(), held);
    }

    /// It has ended, or the engine has it no more.
    pub(super) fn remove(&mut self, id: &OfferId) -> Option<Held> {
        let Some(held) = self.held.remove(id) else {
            self.parked.retain(|parked| parked.offer().id != *id);
            return None;
        };
        if let Some(turn) = self.turns.get_mut(&held.offer().agent) {
            turn.offers.remove(id);
            if turn.offers.is_empty() {
                self.turns.remove(&held.offer().agent);
            }
        }
        Some(held)
    }

    /// The offers of an agent that the engine has.
    pub(super) fn held_of(&self, agent: &AgentId) -> Vec<OfferId> {
        self.turns.get(agent).into_iter().flat_map(|turn| turn.offers.iter().cloned()).collect()
    }

    /// The offers of an agent that the engine does not have.
    pub(super) fn parked_of(&self, agent: &AgentId) -> Vec<OfferId> {
        let of = self.parked.iter().filter(|held| held.offer().agent == *agent);
        of.map(|held| held.offer().id.clone()).collect()
    }

    /// All of them went with the subscription.
    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.turns.clear();
        self.parked.clear();
        self.again.clear();
    }

    /// Offers whose turn it is now; `take_back` is asked for those whose turn is over, and says whether the engine
    /// had not used them.
    pub(super) fn next(&mut self, now: Instant, mut take_back: impl FnMut(&OfferId) -> bool) -> Vec<Held> {
        let agents: BTreeSet<AgentId> = self.parked.iter().map(|held| held.offer().agent.clone()).collect();
        let mut next = Vec::new();
        for agent in agents {
            let over = self.turns.get(&agent).filter(|turn| now.duration_since(turn.since) >= TURN);
            let over: Vec<OfferId> = over.into_iter().flat_map(|turn| turn.offers.iter().cloned()).collect();
            for id in over.iter().filter(|id| take_back(id)) {
                let held = self.remove(id);
                self.parked.extend(held);
            }
            if self.turns.contains_key(&agent) {
                continue;
            }
            let first = self.parked.iter().find(|held| held.offer().agent == agent);
            let role = first.and_then(|held| held.offered.role.clone());
            let is_next = |held: &mut Held| held.offer().agent == agent && held.offered.role == role;
            next.extend(self.parked.extract_if(.., is_next));
        }
        next
    }

    /// Those that were parked for as long as may be, or all; they have ended.
    pub(super) fn unpark(&mut self, is_all: bool, now: Instant) -> Vec<OfferId> {
        let is_over = |held: &mut Held| is_all || now.duration_since(held.came) >= OFFER_HOLD_MAX;
        self.parked.extract_if(.., is_over).map(|held| held.offered.offer.id).collect()
    }

    /// Those that the engine has, and that were kept for as long as may be, also while they were parked.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<OfferId> {
        self.again.retain(|(id, _)| self.held.contains_key(id));
        let is_over = |came: Instant| now.duration_since(came) >= OFFER_HOLD_MAX;
        self.again.iter().filter(|(_, came)| is_over(*came)).map(|(id, _)| id.clone()).collect()
    }

    /// Ends offers to launch tasks on them; none where one of them has ended.
    pub(super) fn use_up<'o>(&mut self, ids: impl Iterator<Item = &'o OfferId>) -> Option<Parts> {
        let mut all = Parts { parts: Vec::new(), executor: None };
        let mut is_complete = true;
        for id in ids {
            let Some(held) = self.remove(id) else {
                is_complete = false;
                continue;
            };
            all.parts.extend(held.offered.resources);
            // The last to come is the one that knows best whether the executor runs.
            all.executor = held.executor.or(all.executor);
        }
        is_complete.then_some(all)
    }
}

impl Parts {
    /// The task that carries out a launch, with what it takes.
    ///
    /// # Errors
    /// Where the framework's own executor, or an agent's fetcher, cannot be told all of it: why, for people.
    pub(super) fn task(
        &mut self,
        launch: &Launch,
        (id, agent): (&str, &str),
        (framework, options): (&str, &MesosOptions),
    ) -> Result<String, String> {
        if let Some(why) = options.executor.as_ref().and_then(|executor| executor.cannot_tell(launch)) {
            return Err(why.to_owned());
        }
        let resources = take(&mut self.parts, &launch.resources);
        let env = environment(launch, &resources);
        let mut task = Task::new(launch, (id, agent), &resources, &env, options);
        if let (Some(executor), Some(info)) = (&options.executor, &self.executor) {
            executor.carry(&mut task, launch, &env);
            let mut text = task.text();
            info.add_to(&mut text);
            return Ok(text);
        }
        carry(&mut task, launch, options);
        fetch(&mut task, &launch.files, framework);
        too_many(&task).map_or_else(|| Ok(task.text()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;
    use crate::driver::mesos::event::Event;

    fn offered(id: &str, role: &str) -> Offered {
        let event = serde_json::json!({ "type": "OFFERS", "offers": { "offers": [{ "id": { "value": id },
            "agent_id": { "value": "a" }, "hostname": "h", "allocation_info": { "role": role } }] } });
        let Ok(Event::Offers(mut offers)) = Event::read(event.to_string().as_bytes()) else {
            panic!("{event}")
        };
        offers.remove(0)
    }

    fn ids(held: &[Held]) -> Vec<&str> {
        held.iter().map(|held| held.offer().id.as_str()).collect()
    }

    #[test]
    fn roles_take_turns_on_an_agent() {
        let options = MesosOptions::new("m").expect("an address");
        let (mut offers, now) = (Offers::default(), monotonic());
        let came = |offers: &mut Offers, id: &str, role: &str| {
            let held = offers.read(&options, None, offered(id, role), now);
            offers.now_or_parked(held).map(|held| offers.hold(held, now)).is_some()
        };
        assert!(came(&mut offers, "1", "r") && !came(&mut offers, "2", "s") && came(&mut offers, "3", "r"));
        assert_eq!(ids(&offers.next(now, |_| panic!("it is early"))), [""; 0]);
        // One of them is being used: its role goes on until it has ended.
        let later = now + TURN;
        assert_eq!(ids(&offers.next(later, |id| id.as_str() == "1")), [""; 0]);
        let used = OfferId::new("3").expect("a name");
        assert!(offers.use_up([&used].into_iter()).is_some());
        let next = offers.next(later, |_| panic!("nothing is there"));
        assert_eq!(ids(&next), ["2"], "it was the first to wait");
        for held in next {
            offers.hold(held, later);
        }
        let two = [OfferId::new("2").expect("a name")];
        assert_eq!(offers.overdue(now + OFFER_HOLD_MAX), two, "since it came, not since its turn");
        assert_eq!(offers.overdue(later), []);
        assert_eq!(ids(&offers.next(later, |_| panic!("it is early"))), [""; 0]);
        assert_eq!(ids(&offers.next(later + TURN, |_| true)), ["1"]);
        assert_eq!(offers.unpark(false, now + OFFER_HOLD_MAX), two);
        assert!(offers.use_up([&used].into_iter()).is_none(), "it has ended");
    }
}
