//! Where commands come in: many callers, one order out, nobody waits for a decision.
//!
//! I1  Both rings are bounded; a full one is an error for the caller, never more memory.
//! I2  Statuses have a ring of their own, so that a flood of submissions cannot shed them.

use crossbeam::queue::ArrayQueue;

/// The engine takes no more commands at this moment. Try again in a little while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine is busy: its intake is full; try again in a second")]
pub struct Busy;

/// Two rings: what callers want, and what drivers report.
pub(crate) struct Intake<C, S> {
    commands: ArrayQueue<C>,
    statuses: ArrayQueue<S>,
}

impl<C, S> Intake<C, S> {
    pub(crate) fn new(commands: usize, statuses: usize) -> Self {
        Self { commands: ArrayQueue::new(commands.max(1)), statuses: ArrayQueue::new(statuses.max(1)) }
    }

    pub(crate) fn push_command(&self, command: C) -> Result<(), Busy> {
        self.commands.push(command).map_err(|_| Busy)
    }

    pub(crate) fn push_status(&self, status: S) -> Result<(), Busy> {
        self.statuses.push(status).map_err(|_| Busy)
    }

    pub(crate) fn pop_command(&self) -> Option<C> {
        self.commands.pop()
    }

    pub(crate) fn pop_status(&self) -> Option<S> {
        self.statuses.pop()
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
        assert_eq!(intake.push_command(2), Err(Busy));
        assert_eq!(intake.push_status('a'), Ok(()));
        assert_eq!((intake.pop_command(), intake.pop_command()), (Some(1), None));
        assert_eq!((intake.pop_status(), intake.n_statuses()), (Some('a'), 0));
    }
}
