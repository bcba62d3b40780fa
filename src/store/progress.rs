//! How far the opening of a store is, for whoever waits for it.
//!
//! R1  Each phase that is reached is told from nothing of it to all of it, with numbers that rise; an
//!     opening that fails is not told to its end.
//! R2  A phase is told at most [`CALLS_MAX`] times, whatever the store holds. No clock is read.

use std::fmt;

/// How often a phase is told at most.
const CALLS_MAX: u64 = 100;

/// What the opening of a store is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecoveryPhase {
    /// Reads the jobs that are not over from the segments of the state file.
    Segments,
    /// Reads the rows of the log, and applies what is newer than the state file.
    Log,
}

impl fmt::Display for RecoveryPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Segments => "reading segments",
            Self::Log => "reading the log",
        })
    }
}

/// How far the opening of a store is; see [`Options::on_recovery`](crate::Options::on_recovery).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// What it is at.
    pub phase: RecoveryPhase,
    /// How many segments, or rows of the log, it is past.
    pub n_done: u64,
    /// How many there are; 0 in a store that has none.
    pub n_all: u64,
}

impl Recovery {
    /// True at the end of a phase.
    pub fn is_complete(&self) -> bool {
        self.n_done == self.n_all
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} of {}", self.phase, self.n_done, self.n_all)
    }
}

/// Tells of one phase.
pub(super) struct Telling<'t> {
    tell: &'t dyn Fn(Recovery),
    now: Recovery,
    /// Between two calls.
    step: u64,
    next: u64,
}

impl<'t> Telling<'t> {
    pub(super) fn begin(tell: &'t dyn Fn(Recovery), phase: RecoveryPhase, n_all: u64) -> Self {
        // Two calls are those at the ends.
        let step = n_all.div_ceil(CALLS_MAX - 2).max(1);
        let now = Recovery { phase, n_done: 0, n_all };
        tell(now);
        Self { tell, now, step, next: step }
    }

    /// One more is done. More than there should be are not told of: who reads them says what is wrong.
    pub(super) fn advance(&mut self) {
        self.now.n_done = (self.now.n_done + 1).min(self.now.n_all);
        if self.now.n_done == self.next && !self.now.is_complete() {
            (self.tell)(self.now);
            self.next += self.step;
        }
    }

    /// All of it is done.
    pub(super) fn end(self) {
        if self.now.n_all > 0 {
            (self.tell)(Recovery { n_done: self.now.n_all, ..self.now });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_phase_of_any_length_is_told_from_nothing_to_all_in_a_bounded_number_of_calls() {
        for n_all in [0, 1, 2, 97, 98, 99, 100, 101, 195, 196, 197, 1_000, 12_345] {
            let told = RefCell::new(Vec::new());
            let tell = |recovery: Recovery| told.borrow_mut().push(recovery);
            let mut telling = Telling::begin(&tell, RecoveryPhase::Log, n_all);
            for _ in 0..n_all {
                telling.advance();
            }
            telling.end();
            let told = told.into_inner();
            assert!(told.len() as u64 <= CALLS_MAX, "{n_all}: {} calls", told.len());
            assert!(told.len() as u64 >= (n_all + 1).min(CALLS_MAX / 2), "{n_all}: {} calls", told.len());
            assert!(told.is_sorted_by(|a, b| a.n_done < b.n_done), "{n_all}: {told:?}");
            assert_eq!(told[0].n_done, 0, "{n_all}");
            let last = told[told.len() - 1];
            assert!(last.is_complete() && last.n_all == n_all, "{n_all}: {last:?}");
        }
    }
}
