//! The tasks that may run, and what is to be done about each: asked for, ended, given up.
//!
//! Cost: a look at all of them each time something is due is looked for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::status::Doubt;
use crate::model::{LaunchName, NodeId};

/// A task of which nothing was heard is asked for after so long; again after twice that, and so on.
const ASK_FIRST: Duration = Duration::from_secs(2);
const ASK_MOST: Duration = Duration::from_mins(1);

/// One that was heard of is asked for again after so long.
const ASK_AGAIN: Duration = Duration::from_mins(10);

/// One that is to end is ended again after so long; again after twice that, and so on.
const END_FIRST: Duration = Duration::from_secs(5);
const END_MOST: Duration = Duration::from_mins(1);

/// How long a master says that it does not know a task before that is believed: its agent may be about to
/// tell, where the master has just begun to lead. One that ran is waited for as if its agent did not answer.
const UNKNOWN: Duration = Duration::from_secs(10);

/// How long a task may go on beyond its time and the grace of its end before it is ended from here: whoever runs
/// it was to do so.
const OVERDUE: Duration = Duration::from_secs(10);

/// What is known of a task that may run.
pub(super) struct Known {
    pub(super) id: String,
    /// Where, as the store has it.
    pub(super) node: Option<NodeId>,
    /// Who runs it, where that was told.
    pub(super) agent: Option<String>,
    /// How long it may run.
    pub(super) timeout: Option<Duration>,
}

struct Task {
    known: Known,
    /// When to ask, and how long to wait then.
    ask: (Instant, Duration),
    end: Option<End>,
    /// Since when nobody can tell, and until when that is waited for.
    doubt: Option<(Instant, Doubt)>,
    /// When its time is over; none where it was not heard of.
    overdue: Option<Instant>,
    /// It may have.
    has_run: bool,
}

/// It is to end.
struct End {
    /// When to say so, and how long to wait then.
    due: (Instant, Duration),
    /// From when on by force: when it was first told to, and had the time that it is given.
    force_from: Option<Instant>,
    is_overdue: bool,
}

/// A task to ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: String,
    pub(super) agent: Option<String>,
    /// Whose agent to look for, where it is not known.
    pub(super) node: Option<NodeId>,
}

/// A task to end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) id: String,
    pub(super) agent: Option<String>,
    /// At once, since it was told before and did not.
    pub(super) is_forced: bool,
}

/// See the file.
pub(super) struct Tasks {
    tasks: BTreeMap<LaunchName, Task>,
    /// Those of an earlier daemon on nodes of which no agent has made an offer since.
    nameless: BTreeMap<NodeId, Vec<LaunchName>>,
    unreachable: Duration,
    /// Between the signal that asks a task to end and the one that makes it.
    grace: Duration,
}

/// So long after `now`; far off where a clock does not reach that far.
fn after(now: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_hours(24 * 365 * 10);
    now.checked_add(wait).unwrap_or_else(|| now + FAR)
}

/// Whether `due` has come; then it comes again after twice the wait.
fn is_due(due: &mut (Instant, Duration), most: Duration, now: Instant) -> bool {
    let is_due = due.0 <= now;
    if is_due {
        *due = (after(now, due.1), due.1.saturating_mul(2).min(most));
    }
    is_due
}

impl Tasks {
    pub(super) fn new(unreachable: Duration, grace: Duration) -> Self {
        Self { tasks: BTreeMap::new(), nameless: BTreeMap::new(), unreachable, grace }
    }

    /// How long it may take until a task has ended that is told to.
    fn end_wait(&self) -> Duration {
        self.grace.saturating_add(END_FIRST)
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// A task that may run, or may never have been launched.
    pub(super) fn put(&mut self, name: LaunchName, known: Known, now: Instant) {
        self.tasks.entry(name).or_insert(Task {
            known,
            ask: (now, ASK_FIRST),
            end: None,
            doubt: None,
            overdue: None,
            has_run: false,
        });
    }

    /// A task that an earlier daemon launched: it may run, wherever that is.
    pub(super) fn recovered(&mut self, name: LaunchName, known: Known, now: Instant) {
        if let (None, Some(node)) = (&known.agent, known.node) {
            self.nameless.entry(node).or_default().push(name);
        }
        self.put(name, known, now);
        if let Some(task) = self.tasks.get_mut(&name) {
            task.has_run = true;
        }
    }

    /// A task that is launched now: the master tells of it by itself.
    pub(super) fn launched(&mut self, name: LaunchName, known: Known, now: Instant) {
        self.put(name, known, now);
        self.ask(name, now + END_FIRST);
    }

    pub(super) fn remove(&mut self, name: LaunchName) {
        self.tasks.remove(&name);
    }

    /// It is to end. One that is not here has ended, or never began.
    pub(super) fn end(&mut self, name: LaunchName, now: Instant) {
        let wait = self.end_wait();
        if let Some(task) = self.tasks.get_mut(&name) {
            task.end.get_or_insert(End { due: (now, wait), force_from: None, is_overdue: false });
        }
    }

    /// It is there, on that agent; its time goes by from when its program runs. True where its program was not
    /// known to run before, and was launched by this daemon.
    pub(super) fn heard(
        &mut self,
        name: LaunchName,
        agent: Option<&str>,
        is_running: bool,
        now: Instant,
    ) -> bool {
        let slack = self.grace.saturating_add(OVERDUE);
        let Some(task) = self.tasks.get_mut(&name) else { return false };
        (task.ask, task.doubt) = ((now + ASK_AGAIN, ASK_AGAIN), None);
        if let Some(agent) = agent {
            task.known.agent = Some(agent.to_owned());
        }
        let is_new = is_running && !task.has_run;
        task.has_run |= is_running;
        if let (true, None, Some(timeout)) = (is_running, task.overdue, task.known.timeout) {
            task.overdue = Some(after(now, timeout.saturating_add(slack)));
        }
        is_new
    }

    /// Whether it was launched, and neither ran nor is to end.
    pub(super) fn is_to_start(&self, name: LaunchName) -> bool {
        self.tasks.get(&name).is_some_and(|task| !task.has_run && task.end.is_none())
    }

    /// Whether it is ended since its time is over.
    pub(super) fn is_overdue(&self, name: LaunchName) -> bool {
        self.tasks.get(&name).and_then(|task| task.end.as_ref()).is_some_and(|end| end.is_overdue)
    }

    /// Whether it may have run.
    pub(super) fn has_run(&self, name: LaunchName) -> bool {
        self.tasks.get(&name).is_some_and(|task| task.has_run)
    }

    /// Those on a node whose agent was not known are to be asked for now.
    pub(super) fn ask_on(&mut self, node: NodeId, now: Instant) {
        let Some(names) = self.nameless.remove(&node) else { return };
        for name in names {
            self.ask(name, now);
        }
    }

    /// Nobody can tell whether it is there.
    pub(super) fn doubt(&mut self, name: LaunchName, doubt: Doubt, now: Instant) {
        let Some(task) = self.tasks.get_mut(&name) else { return };
        let is_new =
            task.doubt.as_ref().is_none_or(|(_, known)| known.is_unreachable != doubt.is_unreachable);
        if is_new {
            let may_be_back = doubt.is_unreachable || task.has_run;
            let wait = if may_be_back { self.unreachable } else { UNKNOWN };
            task.doubt = Some((after(now, wait), doubt));
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
        let wait = self.end_wait();
        for task in self.tasks.values_mut() {
            task.ask = (now, ASK_FIRST);
            if let Some(end) = &mut task.end {
                end.due = (now, wait);
            }
        }
    }

    /// Those to ask for now.
    pub(super) fn due_questions(&mut self, now: Instant) -> Vec<Question> {
        let due = self.tasks.values_mut().filter_map(|task| {
            let most = task.ask.1.max(ASK_MOST);
            let Known { id, agent, node, .. } = &task.known;
            is_due(&mut task.ask, most, now).then(|| Question {
                id: id.clone(),
                agent: agent.clone(),
                node: *node,
            })
        });
        due.collect()
    }

    /// Those to end now: since that was asked for, or since their time is over.
    pub(super) fn due_ends(&mut self, now: Instant) -> Vec<Ending> {
        let wait = self.end_wait();
        let due = self.tasks.values_mut().filter_map(|task| {
            if task.end.is_none() && task.overdue.is_some_and(|overdue| overdue <= now) {
                task.end = Some(End { due: (now, wait), force_from: None, is_overdue: true });
            }
            let end = task.end.as_mut()?;
            let most = wait.max(END_MOST);
            is_due(&mut end.due, most, now).then(|| Ending {
                id: task.known.id.clone(),
                agent: task.known.agent.clone(),
                is_forced: *end.force_from.get_or_insert_with(|| after(now, wait)) <= now,
            })
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

    fn known(timeout: Option<Duration>) -> Known {
        Known { id: "id".to_owned(), node: Some(NodeId(1)), agent: None, timeout }
    }

    fn tasks(now: Instant) -> Tasks {
        let mut tasks = Tasks::new(Duration::from_mins(1), Duration::from_secs(3));
        tasks.put(NAME, known(None), now);
        tasks
    }

    /// The seconds, from `now` on, at which `due` finds something.
    fn seconds<T>(now: Instant, mut due: impl FnMut(Instant) -> Vec<T>) -> Vec<u32> {
        (0..200).filter(|second| !due(now + SECOND * *second).is_empty()).collect()
    }

    #[test]
    fn what_is_not_heard_of_is_asked_for_less_and_less_often() {
        let now = monotonic();
        let mut tasks = tasks(now);
        assert_eq!(seconds(now, |at| tasks.due_questions(at)), [0, 2, 6, 14, 30, 62, 122, 182]);
        tasks.heard(NAME, Some("a"), true, now);
        assert_eq!(seconds(now, |at| tasks.due_questions(at)), [0; 0]);
        let question = Question { id: "id".to_owned(), agent: Some("a".to_owned()), node: Some(NodeId(1)) };
        assert_eq!(tasks.due_questions(now + ASK_AGAIN), [question]);
        tasks.ask_all(now);
        assert_eq!(tasks.due_questions(now).len(), 1);
    }

    #[test]
    fn what_is_to_end_is_ended_again_and_by_force_until_it_is_over() {
        let now = monotonic();
        let mut tasks = tasks(now);
        assert_eq!(seconds(now, |at| tasks.due_ends(at)), [0; 0]);
        assert!(tasks.is_to_start(NAME));
        tasks.end(NAME, now);
        tasks.end(NAME, now + SECOND);
        assert!(!tasks.is_to_start(NAME));
        let ending = |is_forced| [Ending { id: "id".to_owned(), agent: None, is_forced }];
        assert_eq!(tasks.due_ends(now), ending(false), "its grace is its own");
        assert_eq!(tasks.due_ends(now + SECOND * 7), []);
        assert_eq!(tasks.due_ends(now + SECOND * 8), ending(true));
        assert_eq!(seconds(now, |at| tasks.due_ends(at)), [24, 56, 116, 176]);
        assert!(!tasks.is_overdue(NAME), "by order");
        // Whoever is told anew, at another subscription, has its grace all the same, and no more than that.
        tasks.remove(NAME);
        tasks.put(NAME, known(None), now);
        tasks.end(NAME, now);
        assert_eq!(tasks.due_ends(now), ending(false));
        for second in [2, 4, 7] {
            tasks.ask_all(now + SECOND * second);
            assert_eq!(tasks.due_ends(now + SECOND * second), ending(false), "{second}");
        }
        tasks.ask_all(now + SECOND * 8);
        assert_eq!(tasks.due_ends(now + SECOND * 8), ending(true));
        tasks.remove(NAME);
        assert_eq!(tasks.due_ends(now + SECOND * 1_000), []);
    }

    #[test]
    fn what_goes_on_beyond_its_time_is_ended() {
        let now = monotonic();
        let mut tasks = Tasks::new(Duration::from_mins(1), Duration::from_secs(3));
        tasks.put(NAME, known(Some(SECOND * 20)), now);
        assert!(!tasks.heard(NAME, None, false, now) && tasks.is_to_start(NAME));
        assert_eq!(seconds(now, |at| tasks.due_ends(at)), [0; 0], "its program does not run yet");
        assert!(tasks.heard(NAME, None, true, now + SECOND) && !tasks.is_to_start(NAME));
        // The same word later does not give it more time.
        assert!(!tasks.heard(NAME, None, true, now + SECOND * 15), "nor is it new");
        assert_eq!(tasks.due_ends(now + SECOND * 33), []);
        assert!(!tasks.is_overdue(NAME));
        assert_eq!(
            tasks.due_ends(now + SECOND * 34).len(),
            1,
            "20, the grace, and what its executor may take"
        );
        assert!(tasks.is_overdue(NAME));
        let mut tasks = Tasks::new(Duration::MAX, Duration::ZERO);
        tasks.put(NAME, known(Some(Duration::MAX)), now);
        tasks.heard(NAME, None, true, now);
        assert_eq!(seconds(now, |at| tasks.due_ends(at)), [0; 0]);
    }

    #[test]
    fn what_nobody_knows_is_given_up_after_a_while_unless_it_is_back() {
        let now = monotonic();
        let doubt = |is_unreachable| Doubt { is_unreachable, reason: "r".to_owned() };
        let is_lost = |tasks: &Tasks, second: u32| !tasks.given_up(now + SECOND * second).is_empty();
        let mut tasks = tasks(now);
        assert!(!is_lost(&tasks, 1_000));
        tasks.doubt(NAME, doubt(false), now);
        assert!(!is_lost(&tasks, 9) && is_lost(&tasks, 10), "perhaps it never began");
        tasks.doubt(NAME, doubt(true), now);
        // The same again changes nothing.
        tasks.doubt(NAME, doubt(true), now + SECOND * 50);
        assert!(!is_lost(&tasks, 59) && is_lost(&tasks, 60));
        tasks.heard(NAME, None, true, now + SECOND * 50);
        assert!(!is_lost(&tasks, 1_000));
        tasks.doubt(NAME, doubt(false), now);
        assert!(!is_lost(&tasks, 59) && is_lost(&tasks, 60), "it ran");
        let mut tasks = Tasks::new(Duration::from_mins(1), Duration::ZERO);
        tasks.recovered(NAME, known(None), now);
        tasks.doubt(NAME, doubt(false), now);
        assert!(!is_lost(&tasks, 59) && is_lost(&tasks, 60), "it may have run under an earlier daemon");
        assert!(tasks.has_run(NAME) && !tasks.heard(NAME, None, true, now));
    }

    #[test]
    fn what_an_earlier_daemon_launched_is_asked_for_when_its_agent_is_known() {
        let now = monotonic();
        let mut tasks = Tasks::new(Duration::from_mins(1), Duration::ZERO);
        tasks.recovered(NAME, known(None), now);
        assert_eq!(tasks.due_questions(now).len(), 1);
        tasks.ask_on(NodeId(2), now);
        assert_eq!(tasks.due_questions(now), []);
        tasks.ask_on(NodeId(1), now);
        assert_eq!(tasks.due_questions(now).len(), 1);
        tasks.ask_on(NodeId(1), now);
        assert_eq!(tasks.due_questions(now), [], "once");
    }
}
