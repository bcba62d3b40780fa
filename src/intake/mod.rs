//! Where commands come in: many callers, one order out, nobody waits for a decision.
//!
//! I1  Both rings are bounded; a full one is an error for the caller, never more memory.
//! I2  Statuses have a ring of their own, so that a flood of submissions cannot shed them.

use crossbeam::queue::ArrayQueue;

/// Why the engine does not take a command; nothing was changed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// As many commands wait as may. Try again in a little while.
    #[error("the engine is busy: its intake is full; try again in a second")]
    Busy,
    /// There is no room on the disk of the log. What runs goes on, and commands are taken again as soon
    /// as there is room.
    #[error("the disk of the store is full; make room, then try again")]
    DiskFull,
    /// The engine was closed.
    #[error("the engine is closed; open the store again")]
    Closed,
    /// The log failed, so that nothing can be put on record.
    #[error("the log failed; look at its disk, then open the store again")]
    LogFailed,
}

/// Two rings: what callers want, and what drivers report.
pub(crate) struct Intake<C, S> {
    commands: ArrayQueue<C>,
    statuses: ArrayQueue<S>,
}

impl<C, S> Intake<C, S> {
    pub(crate) fn new(commands: usize, statuses: usize) -> Self {
        Self { commands: ArrayQueue::new(commands.max(1)), statuses: ArrayQueue::new(statuses.max(1)) }
    }

    pub(crate) fn push_command(&self, command: C) -> Result<(), IntakeError> {
        self.commands.push(command).map_err(|_| IntakeError::Busy)
    }

    pub(crate) fn push_status(&self, status: S) -> Result<(), IntakeError> {
        self.statuses.push(status).map_err(|_| IntakeError::Busy)
    }

    pub(crate) fn pop_command(&self) -> Option<C> {
        self.commands.pop()
    }

    pub(crate) fn pop_status(&self) -> Option<S> {
        self.statuses.pop()
    }

    /// True where neither holds anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.statuses.is_empty()
    }

    pub(crate) fn n_commands(&self) -> usize {
        self.commands.len()
    }

    pub(crate) fn n_statuses(&self) -> usize {
        self.statuses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_and_the_other_one_still_takes() {
        let intake = Intake::new(1, 1);
        assert_eq!(intake.push_command(1), Ok(()));
        assert_eq!(intake.push_command(2), Err(IntakeError::Busy));
        assert_eq!(intake.push_status('a'), Ok(()));
        assert_eq!((intake.pop_command(), intake.pop_command()), (Some(1), None));
        assert_eq!((intake.pop_status(), intake.n_statuses()), (Some('a'), 0));
    }
}
