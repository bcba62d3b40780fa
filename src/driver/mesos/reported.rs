//! Statuses on their way to the disk, in the order in which they came.
//!
//! P1  One that is sent again meanwhile is not taken up again: where nothing reaches the disk, what is kept here is
//!     bounded by what the agents have to tell, however often they do.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;

use super::event::Status;
use crate::engine::{StatusOutcome, Ticket};
use crate::model::LaunchName;

/// A status, and word of when it is on disk.
pub(super) struct Reported {
    pub(super) name: LaunchName,
    pub(super) status: Box<Status>,
    pub(super) is_running: bool,
    /// The launch goes back to its place.
    pub(super) is_refused: bool,
    pub(super) ticket: Ticket<StatusOutcome, Infallible>,
}

/// See the file.
#[derive(Default)]
pub(super) struct Statuses {
    all: VecDeque<Reported>,
    /// What those are to be acknowledged by.
    uuids: HashSet<String>,
}

impl Statuses {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether that very status is on its way.
    pub(super) fn has(&self, status: &Status) -> bool {
        status.uuid.as_ref().is_some_and(|uuid| self.uuids.contains(uuid))
    }

    pub(super) fn push(&mut self, reported: Reported) {
        self.uuids.extend(reported.status.uuid.clone());
        self.all.push_back(reported);
    }

    /// The next whose fate is known; its outcome, where it is on disk.
    pub(super) fn next(&mut self) -> Option<(Reported, Option<StatusOutcome>)> {
        let answer = self.all.front()?.ticket.poll()?;
        let reported = self.all.pop_front()?;
        if let Some(uuid) = &reported.status.uuid {
            self.uuids.remove(uuid);
        }
        Some((reported, answer.ok()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{Engine, Options};
    use crate::launch::{StatusUpdate, TaskState};
    use crate::model::ExeId;

    #[test]
    fn what_is_sent_again_is_known_until_its_fate_is() {
        let engine = Engine::in_memory(Options::default());
        let name = LaunchName { exe: ExeId(1), number: 1 };
        let status = |uuid: Option<&str>| Status { uuid: uuid.map(str::to_owned), ..Status::default() };
        let mut statuses = Statuses::default();
        for uuid in [Some("AAAA"), None] {
            let update = StatusUpdate { name, state: TaskState::Running, when: engine.now() };
            let (ticket, status) = (engine.status(update).expect("room"), Box::new(status(uuid)));
            statuses.push(Reported { name, status, is_running: true, is_refused: false, ticket });
        }
        assert!(statuses.next().is_none(), "nothing is on disk");
        assert!(statuses.has(&status(Some("AAAA"))) && !statuses.has(&status(Some("BBBB"))));
        assert!(!statuses.has(&status(None)), "what nobody waits for word of may be new");
        engine.pump();
        assert!(engine.settle(Duration::from_secs(20)));
        let (first, outcome) = statuses.next().expect("it is on disk");
        assert_eq!((first.status.uuid.as_deref(), outcome), (Some("AAAA"), Some(StatusOutcome::Stale)));
        assert!(!statuses.has(&status(Some("AAAA"))) && !statuses.is_empty());
        assert!(statuses.next().is_some() && statuses.is_empty());
    }
}
