//! Which of the tasks that ended well is looked at next for what it left.
//!
//! K1  At most `MESOS_LEFT_WAITING_MAX` wait, each once.
//! K2  A machine whose agents do not answer has `MESOS_LEFT_LOOKS_EACH` looks at most, and a pause between two:
//!     tasks of others are looked at meanwhile.
//! K3  Each wait has an end: what was not seen by then is unreadable.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::left::Unseen;
use crate::launch::{Left, LeftError, Ran};
use crate::limits::{MESOS_LEFT_LOOKS_EACH, MESOS_LEFT_WAITING_MAX};
use crate::model::{Interface, LaunchName};

/// Between two looks that tell nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// A task, and what is looked for.
pub(super) struct Look {
    pub(super) ran: Ran,
    pub(super) declared: Interface,
    /// Until when it is tried.
    end: Instant,
    due: Instant,
}

impl Look {
    pub(super) fn new(ran: Ran, declared: Interface, end: Instant, now: Instant) -> Self {
        Self { ran, declared, end, due: now }
    }

    fn host(&self) -> &str {
        self.ran.node.as_deref().unwrap_or_default()
    }
}

/// What came of it.
pub(super) type Found = (LaunchName, Result<Left, LeftError>);

/// What to do next.
pub(super) enum Next {
    Look(Box<Look>),
    /// Nothing before that.
    Wait(Option<Instant>),
}

/// See the file.
#[derive(Default)]
pub(super) struct Looks {
    waiting: VecDeque<Look>,
    /// By machine: looks that go on.
    at_work: HashMap<String, usize>,
    /// By machine: until when its agents are left alone.
    silent: HashMap<String, Instant>,
    found: VecDeque<Found>,
}

impl Looks {
    pub(super) fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// False where there is no room.
    pub(super) fn add(&mut self, look: Look) -> bool {
        let has_room = self.waiting.len() < MESOS_LEFT_WAITING_MAX;
        if has_room {
            self.waiting.push_back(look);
        }
        has_room
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        self.silent.retain(|_, until| *until > now);
        let mut soonest: Option<Instant> = None;
        let mut wait_until =
            |when: Instant| soonest = Some(soonest.map_or(when, |soonest| soonest.min(when)));
        let ready = self.waiting.iter().position(|look| {
            if self.at_work.get(look.host()).is_some_and(|n| *n >= MESOS_LEFT_LOOKS_EACH) {
                // Whoever looks there says when it is over.
                return false;
            }
            let due = self.silent.get(look.host()).map_or(look.due, |until| look.due.max(*until));
            if due > now {
                wait_until(due);
            }
            due <= now
        });
        let Some(look) = ready.and_then(|place| self.waiting.remove(place)) else {
            return Next::Wait(soonest);
        };
        *self.at_work.entry(look.host().to_owned()).or_default() += 1;
        Next::Look(Box::new(look))
    }

    /// A look is over.
    pub(super) fn over(
        &mut self,
        mut look: Look,
        seen: Result<Result<Left, LeftError>, Unseen>,
        now: Instant,
    ) {
        let host = look.host().to_owned();
        if let Some(n) = self.at_work.get_mut(&host) {
            *n -= 1;
            if *n == 0 {
                self.at_work.remove(&host);
            }
        }
        match seen {
            Ok(left) => self.found.push_back((look.ran.name, left)),
            Err(Unseen::NotThere(reason)) => {
                look.due = now + PAUSE;
                self.again(look, &reason, now);
            }
            Err(Unseen::Silent(reason)) => {
                self.silent.insert(host.clone(), now + PAUSE);
                self.again(look, &reason, now);
                // The others there would hear the same.
                let is_late = |look: &Look| look.host() == host && look.end <= now;
                let (late, waiting) =
                    std::mem::take(&mut self.waiting).into_iter().partition::<VecDeque<Look>, _>(is_late);
                self.waiting = waiting;
                for look in late {
                    self.again(look, &reason, now);
                }
            }
        }
    }

    fn again(&mut self, look: Look, reason: &str, now: Instant) {
        if look.end <= now {
            let unreadable = LeftError::Unreadable { reason: reason.to_owned() };
            self.found.push_back((look.ran.name, Err(unreadable)));
        } else {
            self.waiting.push_back(look);
        }
    }

    pub(super) fn take_found(&mut self) -> VecDeque<Found> {
        std::mem::take(&mut self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;
    use crate::model::{ExeId, JobId};

    const SECOND: Duration = Duration::from_secs(1);

    fn look(exe: u64, host: &str, now: Instant) -> Look {
        let name = LaunchName { exe: ExeId(exe), number: 1 };
        let node = Some(host.to_owned());
        let ran = Ran { name, job: JobId(exe), exe_num: 1, cluster_id: String::new(), node, has_ended: true };
        Look::new(ran, Interface::default(), now + SECOND * 10, now)
    }

    fn next(looks: &mut Looks, now: Instant) -> Option<Look> {
        match looks.next(now) {
            Next::Look(look) => Some(*look),
            Next::Wait(_) => None,
        }
    }

    fn exe(look: Option<&Look>) -> Option<u64> {
        look.map(|look| look.ran.name.exe.0)
    }

    fn silent() -> Result<Result<Left, LeftError>, Unseen> {
        Err(Unseen::Silent("r".to_owned()))
    }

    /// What was found, by execution, and how often nothing was.
    fn found(looks: &mut Looks) -> Vec<(u64, bool)> {
        looks.take_found().into_iter().map(|(name, left)| (name.exe.0, left.is_ok())).collect()
    }

    #[test]
    fn no_more_wait_than_may() {
        let (mut looks, now) = (Looks::default(), monotonic());
        for exe in 0..MESOS_LEFT_WAITING_MAX as u64 {
            assert!(looks.add(look(exe, "h", now)));
        }
        assert!(!looks.add(look(0, "h", now)));
        assert_eq!(exe(next(&mut looks, now).as_ref()), Some(0));
        assert!(looks.add(look(0, "h", now)));
        assert_eq!(looks.n_waiting(), MESOS_LEFT_WAITING_MAX);
    }

    #[test]
    fn a_machine_that_is_silent_keeps_nobody_from_the_others() {
        let (mut looks, now) = (Looks::default(), monotonic());
        for exe in 1..=4 {
            looks.add(look(exe, "frozen", now));
        }
        looks.add(look(5, "h", now));
        let first = next(&mut looks, now).expect("the first");
        let second = next(&mut looks, now);
        assert_eq!((exe(Some(&first)), exe(second.as_ref())), (Some(1), Some(2)));
        let other = next(&mut looks, now).expect("of another machine");
        assert_eq!(exe(Some(&other)), Some(5));
        assert!(matches!(looks.next(now), Next::Wait(None)), "two look there");
        looks.over(other, Ok(Ok(Left::default())), now);
        assert_eq!(found(&mut looks), [(5, true)]);
        looks.over(first, silent(), now + SECOND * 5);
        assert!(matches!(looks.next(now + SECOND * 5), Next::Wait(Some(when)) if when == now + SECOND * 6));
        assert_eq!(exe(next(&mut looks, now + SECOND * 6).as_ref()), Some(3));
        assert_eq!(found(&mut looks), []);
    }

    #[test]
    fn what_is_not_seen_in_time_is_unreadable_with_all_that_wait_for_the_same() {
        let (mut looks, now) = (Looks::default(), monotonic());
        for exe in 1..=3 {
            looks.add(look(exe, "frozen", now));
        }
        looks.add(look(4, "frozen", now + SECOND * 5));
        let first = next(&mut looks, now).expect("the first");
        looks.over(first, silent(), now + SECOND * 5);
        assert_eq!((found(&mut looks), looks.n_waiting()), (vec![], 4), "there is time");
        let again = next(&mut looks, now + SECOND * 6).expect("one of them");
        looks.over(again, silent(), now + SECOND * 11);
        let mut over = found(&mut looks);
        over.sort_unstable();
        assert_eq!(over, [(1, false), (2, false), (3, false)]);
        assert_eq!(looks.n_waiting(), 1);
    }

    #[test]
    fn a_sandbox_that_is_not_there_is_looked_for_again_and_others_of_its_machine_at_once() {
        let (mut looks, now) = (Looks::default(), monotonic());
        looks.add(look(1, "h", now));
        looks.add(look(2, "h", now));
        let gone = || Err(Unseen::NotThere("r".to_owned()));
        let first = next(&mut looks, now).expect("the first");
        looks.over(first, gone(), now);
        let second = next(&mut looks, now).expect("the second");
        looks.over(second, Ok(Err(LeftError::NoObject)), now);
        assert_eq!(found(&mut looks), [(2, false)]);
        assert!(matches!(looks.next(now), Next::Wait(Some(when)) if when == now + PAUSE));
        let again = next(&mut looks, now + SECOND * 10).expect("the first");
        looks.over(again, gone(), now + SECOND * 10);
        assert_eq!(found(&mut looks), [(1, false)]);
        assert!(matches!(looks.next(now + SECOND * 20), Next::Wait(None)), "nothing is left");
    }
}
