//! The tasks that may run, and what is to be done about each: asked for, ended, given up.
//!
//! Cost: a look at all of them each time something is due is looked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::status::Doubt;
use crate::model::LaunchName;

/// A task of which nothing was heard is asked for after so long; again after twice that, and so on.
const ASK_FIRST: Duration = Duration::from_secs(2);
const ASK_MOST: Duration = Duration::from_mins(1);

/// One that was heard of is asked for again after so long.
const ASK_AGAIN: Duration = Duration::from_mins(10);

/// One that is to end is ended again after so long; again after twice that, and so on.
const END_FIRST: Duration = Duration::from_secs(5);
const END_MOST: Duration = Duration::from_mins(1);

/// How long a master says that it does not know a task before that is believed: its agent may be about to
/// tell, where the master has just begun to lead.
const UNKNOWN: Duration = Duration::from_secs(10);

struct Task {
    id: String,
    /// When to ask, and how long to wait then.
    ask: (Instant, Duration),
    /// The same for its end, where it is to end.
    end: Option<(Instant, Duration)>,
    /// Since when nobody can tell, and until when that is waited for.
    doubt: Option<(Instant, Doubt)>,
}

/// See the file.
pub(super) struct Tasks {
    tasks: BTreeMap<LaunchName, Task>,
    unreachable: Duration,
}

/// Whether `due` has come; then it comes again after twice the wait.
fn is_due(due: &mut (Instant, Duration), most: Duration, now: Instant) -> bool {
    let is_due = due.0 <= now;
    if is_due {
        *due = (now + due.1, (due.1 * 2).min(most));
    }
    is_due
}

impl Tasks {
    pub(super) fn new(unreachable: Duration) -> Self {
        Self { tasks: BTreeMap::new(), unreachable }
    }

    /// A task that may run, or may never have been launched.
    pub(super) fn put(&mut self, name: LaunchName, id: String, now: Instant) {
        self.tasks.entry(name).or_insert(Task { id, ask: (now, ASK_FIRST), end: None, doubt: None });
    }

    /// A task that is launched now: the master tells of it by itself.
    pub(super) fn launched(&mut self, name: LaunchName, id: String, now: Instant) {
        self.put(name, id, now);
        self.ask(name, now + END_FIRST);
    }

    pub(super) fn remove(&mut self, name: LaunchName) {
        self.tasks.remove(&name);
    }

    /// It is to end. One that is not here has ended, or never began.
    pub(super) fn end(&mut self, name: LaunchName, now: Instant) {
        if let Some(task) = self.tasks.get_mut(&name) {
            task.end.get_or_insert((now, END_FIRST));
        }
    }

    /// It is there.
    pub(super) fn heard(&mut self, name: LaunchName, now: Instant) {
        if let Some(task) = self.tasks.get_mut(&name) {
            (task.ask, task.doubt) = ((now + ASK_AGAIN, ASK_AGAIN), None);
        }
    }

    /// Nobody can tell whether it is there.
    pub(super) fn doubt(&mut self, name: LaunchName, doubt: Doubt, now: Instant) {
        let Some(task) = self.tasks.get_mut(&name) else { return };
        let is_new =
            task.doubt.as_ref().is_none_or(|(_, known)| known.is_unreachable != doubt.is_unreachable);
        if is_new {
            let wait = if doubt.is_unreachable { self.unreachable } else { UNKNOWN };
            task.doubt = Some((now + wait, doubt));
            task.ask = (now + ASK_FIRST, ASK_FIRST);
        }
    }

    /// It is to be asked for from `when` on.
    pub(super) fn ask(&mut self, name: LaunchName, when: Instant) {
        if let Some(task) = self.tasks.get_mut(&name) {
            task.ask = (when, ASK_FIRST);
        }
    }

    pub(super) fn ask_all(&mut self, now: Instant) {
        for task in self.tasks.values_mut() {
            task.ask = (now, ASK_FIRST);
            if let Some(end) = &mut task.end {
                *end = (now, END_FIRST);
            }
        }
    }

    /// The ids of those to ask for now.
    pub(super) fn due_questions(&mut self, now: Instant) -> Vec<String> {
        let due = self.tasks.values_mut().filter_map(|task| {
            let most = task.ask.1.max(ASK_MOST);
            is_due(&mut task.ask, most, now).then(|| task.id.clone())
        });
        due.collect()
    }

    /// The ids of those to end now.
    pub(super) fn due_ends(&mut self, now: Instant) -> Vec<String> {
        let due = self.tasks.values_mut().filter_map(|task| {
            let end = task.end.as_mut()?;
            is_due(end, END_MOST, now).then(|| task.id.clone())
        });
        due.collect()
    }

    /// Those that are given up, and why.
    pub(super) fn given_up(&self, now: Instant) -> Vec<(LaunchName, String)> {
        let gone = |(name, task): (&LaunchName, &Task)| {
            let (until, doubt) = task.doubt.as_ref()?;
            (*until <= now).then(|| (*name, doubt.reason.clone()))
        };
        self.tasks.iter().filter_map(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;
    use crate::model::ExeId;

    const NAME: LaunchName = LaunchName { exe: ExeId(1), number: 1 };
    const SECOND: Duration = Duration::from_secs(1);

    fn tasks(now: Instant) -> Tasks {
        let mut tasks = Tasks::new(Duration::from_mins(1));
        tasks.put(NAME, "id".to_owned(), now);
        tasks
    }

    /// The seconds, from `now` on, at which `due` finds something.
    fn seconds(now: Instant, mut due: impl FnMut(Instant) -> Vec<String>) -> Vec<u32> {
        (0..200).filter(|second| !due(now + SECOND * *second).is_empty()).collect()
    }

    #[test]
    fn what_is_not_heard_of_is_asked_for_less_and_less_often() {
        let now = monotonic();
        let mut tasks = tasks(now);
        assert_eq!(seconds(now, |at| tasks.due_questions(at)), [0, 2, 6, 14, 30, 62, 122, 182]);
        tasks.heard(NAME, now);
        assert_eq!(seconds(now, |at| tasks.due_questions(at)), [0; 0]);
        assert_eq!(tasks.due_questions(now + ASK_AGAIN), ["id"]);
        tasks.ask_all(now);
        assert_eq!(tasks.due_questions(now), ["id"]);
    }

    #[test]
    fn what_is_due_ends_is_ended_again_until_it_is_over() {
        let now = monotonic();
        let mut tasks = tasks(now);
        assert_eq!(seconds(now, |at| tasks.due_ends(at)), [0; 0]);
        tasks.end(NAME, now);
        tasks.end(NAME, now + SECOND);
        assert_eq!(seconds(now, |at| tasks.due_ends(at)), [0, 5, 15, 35, 75, 135, 195]);
        tasks.remove(NAME);
        assert_eq!(tasks.due_ends(now + SECOND * 1_000), [""; 0]);
    }

    #[test]
    fn what_nobody_knows_is_given_up_after_a_while_unless_it_is_back() {
        let now = monotonic();
        let doubt = |is_unreachable| Doubt { is_unreachable, reason: "r".to_owned() };
        let is_lost = |tasks: &Tasks, second: u32| !tasks.given_up(now + SECOND * second).is_empty();
        let mut tasks = tasks(now);
        assert!(!is_lost(&tasks, 1_000));
        tasks.doubt(NAME, doubt(true), now);
        // The same again changes nothing.
        tasks.doubt(NAME, doubt(true), now + SECOND * 50);
        assert!(!is_lost(&tasks, 59) && is_lost(&tasks, 60));
        tasks.heard(NAME, now + SECOND * 50);
        assert!(!is_lost(&tasks, 1_000));
        tasks.doubt(NAME, doubt(false), now);
        assert!(!is_lost(&tasks, 9) && is_lost(&tasks, 10));
    }
}
