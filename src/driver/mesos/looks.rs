//! Which of the tasks that ended well is looked at next for what it left.
//!
//! K1  At most `MESOS_LEFT_WAITING_MAX` wait, each once.
//! K2  Agents that did not answer the last time have one look each, with a pause between two, and
//!     `MESOS_LEFT_LOOKS_SILENT` in all: tasks of others are looked at meanwhile.
//! K3  Each wait has an end: what was not seen by then is unreadable. It begins when the first look told nothing, or
//!     when the agent fell silent, and nothing is given up that was not looked at.
//! K4  Nobody looks on while `MESOS_LEFT_FOUND_MAX` findings or more wait to be taken.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::left::Unseen;
use crate::launch::{Left, LeftError, Ran};
use crate::limits::{
    MESOS_LEFT_FOUND_MAX, MESOS_LEFT_LOOKS_EACH, MESOS_LEFT_LOOKS_SILENT, MESOS_LEFT_WAITING_MAX,
};
use crate::model::{Interface, LaunchName};

/// Between two looks that tell nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// How long an agent counts as silent that nobody looks at any more.
const FORGET: Duration = Duration::from_mins(1);

/// A task, and what is looked for.
pub(super) struct Look {
    pub(super) ran: Ran,
    /// That ran it, where it is known.
    pub(super) agent: Option<String>,
    pub(super) declared: Arc<Interface>,
    /// How long it is tried.
    wait: Duration,
    added: Instant,
    /// Until when it is tried; none before it was in vain.
    end: Option<Instant>,
    due: Instant,
    /// Nothing is waited for any more: what is not there now is not there.
    pub(super) is_last: bool,
}

impl Look {
    pub(super) fn new(
        ran: Ran,
        agent: Option<String>,
        declared: Arc<Interface>,
        wait: Duration,
        now: Instant,
    ) -> Self {
        Self { ran, agent, declared, wait, added: now, end: None, due: now, is_last: false }
    }

    /// Whose silence it hears: the agent's, or that of all on its machine.
    fn host(&self) -> &str {
        self.agent.as_deref().or(self.ran.node.as_deref()).unwrap_or_default()
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

/// An agent that did not answer.
struct Silence {
    since: Instant,
    /// Until when it is left alone.
    until: Instant,
}

/// See the file.
#[derive(Default)]
pub(super) struct Looks {
    waiting: VecDeque<Look>,
    /// By agent: looks that go on.
    at_work: HashMap<String, usize>,
    /// By agent.
    silent: HashMap<String, Silence>,
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
        if self.found.len() >= MESOS_LEFT_FOUND_MAX {
            // Whoever takes them says so.
            return Next::Wait(None);
        }
        self.silent.retain(|_, silence| silence.until + FORGET > now);
        let at_work = |host: &str| self.at_work.get(host).copied().unwrap_or_default();
        let has_room_for_silent =
            self.silent.keys().map(|host| at_work(host)).sum::<usize>() < MESOS_LEFT_LOOKS_SILENT;
        let mut soonest: Option<Instant> = None;
        let mut wait_until =
            |when: Instant| soonest = Some(soonest.map_or(when, |soonest| soonest.min(when)));
        let ready = self.waiting.iter().position(|look| {
            let silence = self.silent.get(look.host());
            let most = if silence.is_some() { 1 } else { MESOS_LEFT_LOOKS_EACH };
            if at_work(look.host()) >= most || (silence.is_some() && !has_room_for_silent) {
                // Whoever looks there says when it is over.
                return false;
            }
            let due = silence.map_or(look.due, |silence| look.due.max(silence.until));
            if due > now {
                wait_until(due);
            }
            due <= now
        });
        let Some(mut look) = ready.and_then(|place| self.waiting.remove(place)) else {
            return Next::Wait(soonest);
        };
        *self.at_work.entry(look.host().to_owned()).or_default() += 1;
        look.is_last = look.wait.is_zero() || look.end.is_some_and(|end| end <= now);
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
        look.due = now + PAUSE;
        match seen {
            Ok(left) => {
                self.silent.remove(&host);
                self.found.push_back((look.ran.name, left));
            }
            Err(Unseen::NotThere(reason)) => {
                self.silent.remove(&host);
                look.end.get_or_insert(now + look.wait);
                let is_over = look.is_last;
                self.again(look, reason, is_over);
            }
            Err(Unseen::Silent(reason)) => {
                let silence = self.silent.entry(host).or_insert(Silence { since: now, until: now });
                let end = *look.end.get_or_insert(look.added.max(silence.since) + look.wait);
                // Who waited all that time there is looked at once, without a pause.
                silence.until = if silence.since + look.wait <= now { now } else { now + PAUSE };
                self.again(look, reason, end <= now);
            }
        }
    }

    fn again(&mut self, look: Look, reason: String, is_over: bool) {
        if is_over {
            self.found.push_back((look.ran.name, Err(LeftError::Unreadable { reason })));
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
    use crate::limits::MESOS_LEFT_LOOKS;
    use crate::model::{ExeId, JobId};

    const SECOND: Duration = Duration::from_secs(1);

    fn look(exe: u64, host: &str, now: Instant) -> Look {
        let name = LaunchName { exe: ExeId(exe), number: 1 };
        let (node, agent) = (Some("n".to_owned()), Some(host.to_owned()));
        let ran = Ran { name, job: JobId(exe), exe_num: 1, cluster_id: String::new(), node, has_ended: true };
        Look::new(ran, agent, Arc::default(), SECOND * 10, now)
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
        assert!(matches!(looks.next(now + SECOND * 7), Next::Wait(None)), "one is enough there now");
        looks.over(second.expect("the second"), silent(), now + SECOND * 7);
        assert!(matches!(looks.next(now + SECOND * 7), Next::Wait(Some(when)) if when == now + SECOND * 8));
        let third = next(&mut looks, now + SECOND * 8);
        assert_eq!(exe(third.as_ref()), Some(3));
        assert!(next(&mut looks, now + SECOND * 8).is_none(), "it has its one");
        assert_eq!(found(&mut looks), []);
        looks.over(third.expect("the third"), Ok(Ok(Left::default())), now + SECOND * 9);
        let both = [next(&mut looks, now + SECOND * 9), next(&mut looks, now + SECOND * 9)];
        assert_eq!(both.each_ref().map(|look| exe(look.as_ref())), [Some(4), Some(1)], "it answers");
    }

    #[test]
    fn machines_that_are_silent_have_some_of_the_looks_together() {
        let (mut looks, now) = (Looks::default(), monotonic());
        let hosts: Vec<String> = (0..MESOS_LEFT_LOOKS).map(|n| format!("frozen-{n}")).collect();
        for (exe, host) in (0..).zip(&hosts) {
            looks.add(look(exe, host, now));
            looks.add(look(exe + 100, host, now));
        }
        for _ in &hosts {
            let look = next(&mut looks, now).expect("of a machine that is not silent yet");
            looks.over(look, silent(), now);
        }
        let then = now + PAUSE;
        let handed: Vec<Look> = std::iter::from_fn(|| next(&mut looks, then)).collect();
        assert_eq!(handed.len(), MESOS_LEFT_LOOKS_SILENT);
        looks.add(look(200, "h", now));
        assert_eq!(exe(next(&mut looks, then).as_ref()), Some(200), "of one that answers");
        for look in handed {
            looks.over(look, Ok(Ok(Left::default())), then);
            assert!(next(&mut looks, then).is_some(), "in its place");
        }
    }

    #[test]
    fn what_is_not_seen_in_time_is_unreadable_and_nothing_is_that_was_not_looked_at() {
        let (mut looks, now) = (Looks::default(), monotonic());
        for exe in 1..=3 {
            looks.add(look(exe, "frozen", now));
        }
        // As after a while in which others were looked at.
        let begun = now + SECOND * 60;
        let first = next(&mut looks, begun).expect("the first");
        looks.over(first, silent(), begun + SECOND * 5);
        assert_eq!((found(&mut looks), looks.n_waiting()), (vec![], 3), "it was silent once");
        looks.add(look(4, "frozen", begun + SECOND * 9));
        let second = next(&mut looks, begun + SECOND * 6).expect("the second");
        looks.over(second, silent(), begun + SECOND * 15);
        assert_eq!((found(&mut looks), looks.n_waiting()), (vec![(2, false)], 3), "it alone was looked at");
        // At once, since the machine was silent for so long.
        let third = next(&mut looks, begun + SECOND * 15).expect("the third");
        assert_eq!((exe(Some(&third)), third.is_last), (Some(3), false));
        looks.over(third, silent(), begun + SECOND * 15);
        let first = next(&mut looks, begun + SECOND * 15).expect("the first again");
        assert_eq!((exe(Some(&first)), first.is_last), (Some(1), true));
        looks.over(first, silent(), begun + SECOND * 15);
        let fourth = next(&mut looks, begun + SECOND * 15).expect("the fourth");
        looks.over(fourth, silent(), begun + SECOND * 15);
        assert_eq!(found(&mut looks), [(3, false), (1, false)], "the others waited for as long as they may");
        assert_eq!(looks.n_waiting(), 1);
    }

    #[test]
    fn nobody_looks_on_while_much_was_found() {
        let (mut looks, now) = (Looks::default(), monotonic());
        for exe in 0..=MESOS_LEFT_FOUND_MAX as u64 {
            looks.add(look(exe, &format!("h{exe}"), now));
        }
        for _ in 0..MESOS_LEFT_FOUND_MAX {
            let look = next(&mut looks, now).expect("a look");
            looks.over(look, Ok(Ok(Left::default())), now);
        }
        assert!(matches!(looks.next(now), Next::Wait(None)));
        assert_eq!(found(&mut looks).len(), MESOS_LEFT_FOUND_MAX);
        assert!(next(&mut looks, now).is_some());
    }

    #[test]
    fn a_sandbox_that_is_not_there_is_looked_for_again_and_others_of_its_machine_at_once() {
        let (mut looks, now) = (Looks::default(), monotonic());
        looks.add(look(1, "h", now));
        looks.add(look(2, "h", now));
        let gone = || Err(Unseen::NotThere("r".to_owned()));
        // As after a while in which others were looked at: their wait begins now.
        let now = now + SECOND * 60;
        let first = next(&mut looks, now).expect("the first");
        looks.over(first, gone(), now);
        let second = next(&mut looks, now).expect("the second");
        looks.over(second, Ok(Err(LeftError::NoObject)), now);
        assert_eq!(found(&mut looks), [(2, false)]);
        assert!(matches!(looks.next(now), Next::Wait(Some(when)) if when == now + PAUSE));
        let again = next(&mut looks, now + SECOND * 9).expect("the first");
        assert!(!again.is_last);
        looks.over(again, gone(), now + SECOND * 11);
        assert_eq!(found(&mut looks), [], "it is looked at once more");
        let again = next(&mut looks, now + SECOND * 12).expect("the first");
        assert!(again.is_last);
        looks.over(again, gone(), now + SECOND * 12);
        assert_eq!(found(&mut looks), [(1, false)]);
        assert!(matches!(looks.next(now + SECOND * 20), Next::Wait(None)), "nothing is left");
    }
}
