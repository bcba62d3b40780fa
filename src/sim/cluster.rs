//! What is outside of the engine: nodes that come, change and vanish, the executions on them, and the
//! post that brings their statuses late, twice, in any order, or not at all.
//!
//! C1  A launch is handed out at most once, whatever crashed in between.
//! C2  Of a job at most one execution runs at a time, and that once.
//! C3  An end is told until the engine says that it is on record.

use std::collections::{BTreeMap, BTreeSet};

use super::dice::Dice;
use crate::launch::{Driver, DriverError, Known, Launch, StatusUpdate, TaskState};
use crate::model::{JobId, LaunchName, NodeId, NodeResources, Outcome, Timestamp, Usage};
use crate::sync::Mutex;
use crate::wal::Durable;

/// How one execution stands.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// It runs, on that node, for that job.
    Live(NodeId, JobId),
    /// It does not, and this tells how it came to that.
    Over(StatusUpdate),
}

/// See the file.
#[derive(Default)]
pub(super) struct Cluster {
    /// What each node has in all.
    pub(super) nodes: BTreeMap<NodeId, NodeResources>,
    /// What was handed out and is not on record as ended.
    pub(super) tasks: BTreeMap<LaunchName, Task>,
    handed: BTreeSet<LaunchName>,
    /// Kills that came before their launch.
    killed: BTreeSet<LaunchName>,
    /// On their way.
    pub(super) post: Vec<StatusUpdate>,
    /// Everything that ever was sent.
    pub(super) sent: Vec<StatusUpdate>,
    /// The driver lies: it says lost of what still runs.
    pub(super) lies: bool,
}

fn ended(name: LaunchName, outcome: Outcome, when: Timestamp) -> StatusUpdate {
    let usage = Usage { wall_us: 5, cpu_us: 3, mem_kib: 9 };
    StatusUpdate { name, state: TaskState::Ended { outcome, usage }, when }
}

impl Cluster {
    /// Live executions, in order.
    pub(super) fn live(&self) -> Vec<LaunchName> {
        let is_live = |(name, task): (&LaunchName, &Task)| matches!(task, Task::Live(..)).then_some(*name);
        self.tasks.iter().filter_map(is_live).collect()
    }

    /// What has ended, but is not on record as that, as far as the engine said.
    pub(super) fn untold(&self) -> Vec<StatusUpdate> {
        let of = |task: &Task| match task {
            Task::Live(..) => None,
            Task::Over(update) => Some(update.clone()),
        };
        self.tasks.values().filter_map(of).collect()
    }

    fn send(&mut self, update: StatusUpdate) {
        self.post.push(update.clone());
        self.sent.push(update);
    }

    /// Something is over, and its news is sent.
    fn over(&mut self, update: StatusUpdate) {
        self.tasks.insert(update.name, Task::Over(update.clone()));
        self.send(update);
    }

    /// A launch arrives at its node.
    pub(super) fn start(&mut self, launch: &Launch, refuses: bool, now: Timestamp) {
        let (name, node) = (launch.name, launch.node);
        assert!(self.handed.insert(name), "C1: {name} was handed out again");
        let is_other = |task: &Task| matches!(task, Task::Live(_, job) if *job == launch.job);
        let other = self.tasks.iter().find(|(_, task)| is_other(task));
        assert!(other.is_none(), "C2: {name} was handed out while {other:?} runs");
        if self.killed.remove(&name) {
            self.over(ended(name, Outcome::Canceled, now));
        } else if refuses || !self.nodes.contains_key(&node) {
            let state = TaskState::Refused { reason: "no room".into() };
            self.over(StatusUpdate { name, state, when: now });
        } else {
            self.tasks.insert(name, Task::Live(node, launch.job));
            self.send(StatusUpdate { name, state: TaskState::Running, when: now });
        }
    }

    /// An execution ends.
    pub(super) fn end(&mut self, name: LaunchName, outcome: Outcome, now: Timestamp) {
        if self.lies && matches!(outcome, Outcome::Lost { .. }) {
            self.send(ended(name, outcome, now));
        } else {
            self.over(ended(name, outcome, now));
        }
    }

    /// An execution is to end.
    pub(super) fn kill(&mut self, name: LaunchName, now: Timestamp) {
        match self.tasks.get(&name) {
            Some(Task::Live(..)) => self.over(ended(name, Outcome::Canceled, now)),
            Some(Task::Over(_)) => {}
            None if self.handed.contains(&name) => {}
            None => {
                self.killed.insert(name);
            }
        }
    }

    /// The end of an execution is on record.
    pub(super) fn acknowledge(&mut self, name: LaunchName) {
        if matches!(self.tasks.get(&name), Some(Task::Over(_))) {
            self.tasks.remove(&name);
        }
    }

    /// A node is gone, with all that ran there.
    pub(super) fn vanish(&mut self, node: NodeId, now: Timestamp) {
        self.nodes.remove(&node);
        for name in self.live() {
            if matches!(self.tasks[&name], Task::Live(on, _) if on == node) {
                self.over(ended(name, Outcome::Lost { reason: "its node is gone".into() }, now));
            }
        }
    }

    /// A status out of the post: the oldest, or any. It may stay there, and so come again.
    pub(super) fn deliver(&mut self, dice: &mut Dice) -> Option<StatusUpdate> {
        if self.post.is_empty() {
            return None;
        }
        let at = if dice.chance(60) { 0 } else { dice.roll(self.post.len() as u64) };
        let update = if dice.chance(20) { self.post[at].clone() } else { self.post.remove(at) };
        // Lost on its way; an end is told again.
        if dice.chance(10) { None } else { Some(update) }
    }

    fn known(&self, name: LaunchName) -> Known {
        match self.tasks.get(&name) {
            Some(Task::Live(..)) => Known::Running,
            Some(Task::Over(update)) => match &update.state {
                TaskState::Ended { outcome: Outcome::Lost { reason }, .. } => {
                    Known::Lost { reason: reason.clone() }
                }
                TaskState::Refused { .. } => Known::NeverStarted,
                TaskState::Running | TaskState::Ended { .. } => Known::Ended(update.clone()),
            },
            None => Known::NeverStarted,
        }
    }
}

/// The cluster as the engine's driver, when the engine comes back.
pub(super) struct Agents<'c> {
    pub(super) cluster: Mutex<&'c mut Cluster>,
    pub(super) now: Timestamp,
}

impl Driver for Agents<'_> {
    fn launch(&self, launches: Vec<Durable<Launch>>) -> Result<(), DriverError> {
        for launch in launches {
            self.cluster.lock().start(launch.get(), false, self.now);
        }
        Ok(())
    }

    fn kill(&self, name: LaunchName) -> Result<(), DriverError> {
        self.cluster.lock().kill(name, self.now);
        Ok(())
    }

    fn acknowledge(&self, name: LaunchName) -> Result<(), DriverError> {
        self.cluster.lock().acknowledge(name);
        Ok(())
    }

    fn reconcile(&self, names: &[(LaunchName, JobId, u32)]) -> Result<Vec<Known>, DriverError> {
        let mut cluster = self.cluster.lock();
        let known: Vec<Known> = names.iter().map(|(name, ..)| cluster.known(*name)).collect();
        for ((name, ..), known) in names.iter().zip(&known) {
            if matches!(known, Known::NeverStarted) {
                // It cannot arrive any more: whoever was to bring it is gone.
                let is_new = cluster.handed.insert(*name);
                assert!(is_new || cluster.tasks.contains_key(name), "{name} is on record, but was over");
            }
        }
        Ok(known)
    }
}
