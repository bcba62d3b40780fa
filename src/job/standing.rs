//! Where a job stands, and what may happen to it from there.
//!
//! J1  What is superseded is never queued again, nor brought back.
//! J2  What was queued once is never pending or blocked again.
//! J3  What is completed stays so.
//!
//! # Source
//! Scale's predicates. There a superseded job that was canceled before it ran can be brought back.

use crate::model::JobStatus;

/// All that the predicates look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) status: JobStatus,
    /// How often it was queued.
    pub(crate) num_exes: u32,
    /// How often it may be queued on account of failures.
    pub(crate) max_tries: u32,
    /// Its input is known, and not empty.
    pub(crate) has_input: bool,
    /// Another job took its place.
    pub(crate) is_superseded: bool,
}

impl Standing {
    fn was_queued(self) -> bool {
        self.num_exes > 0
    }

    fn is_runnable(self) -> bool {
        self.has_input && !self.is_superseded
    }

    /// For the first time.
    pub(crate) fn can_be_queued(self) -> bool {
        match self.status {
            JobStatus::Pending | JobStatus::Blocked => self.is_runnable() && !self.was_queued(),
            JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Failed
            | JobStatus::Completed
            | JobStatus::Canceled => false,
        }
    }

    /// Once more. While it waits or runs too: word of its end may still be on the way.
    pub(crate) fn can_be_requeued(self) -> bool {
        match self.status {
            JobStatus::Pending
            | JobStatus::Blocked
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Failed
            | JobStatus::Canceled => self.is_runnable() && self.was_queued(),
            JobStatus::Completed => false,
        }
    }

    /// It was canceled before it was ever queued, and may be pending again.
    pub(crate) fn can_be_uncanceled(self) -> bool {
        match self.status {
            JobStatus::Canceled => !self.was_queued() && !self.is_superseded,
            JobStatus::Pending
            | JobStatus::Blocked
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Failed
            | JobStatus::Completed => false,
        }
    }

    /// A failed job may, so that it is not taken up again.
    pub(crate) fn can_be_canceled(self) -> bool {
        match self.status {
            JobStatus::Pending
            | JobStatus::Blocked
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Failed => true,
            JobStatus::Completed | JobStatus::Canceled => false,
        }
    }

    /// It waits for a node.
    pub(crate) fn can_be_running(self) -> bool {
        match self.status {
            JobStatus::Queued => true,
            JobStatus::Pending
            | JobStatus::Blocked
            | JobStatus::Running
            | JobStatus::Failed
            | JobStatus::Completed
            | JobStatus::Canceled => false,
        }
    }

    /// Word of its end may come before word of its start.
    pub(crate) fn can_be_completed(self) -> bool {
        self.has_open_execution()
    }

    /// As [`Standing::can_be_completed`].
    pub(crate) fn can_be_failed(self) -> bool {
        self.has_open_execution()
    }

    fn has_open_execution(self) -> bool {
        match self.status {
            JobStatus::Queued | JobStatus::Running => true,
            JobStatus::Pending
            | JobStatus::Blocked
            | JobStatus::Failed
            | JobStatus::Completed
            | JobStatus::Canceled => false,
        }
    }

    /// From any other status, if it was never queued.
    pub(crate) fn can_be_pending(self) -> bool {
        match self.status {
            JobStatus::Pending => false,
            JobStatus::Blocked
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Failed
            | JobStatus::Completed
            | JobStatus::Canceled => !self.was_queued(),
        }
    }

    /// From any other status, if it was never queued.
    pub(crate) fn can_be_blocked(self) -> bool {
        match self.status {
            JobStatus::Blocked => false,
            JobStatus::Pending
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Failed
            | JobStatus::Completed
            | JobStatus::Canceled => !self.was_queued(),
        }
    }

    /// Whether it is queued again after a failure. What runs for long has no number of tries.
    pub(crate) fn is_retried(self, error_should_be_retried: bool, is_long_running: bool) -> bool {
        let has_tries = error_should_be_retried && self.num_exes < self.max_tries;
        (has_tries || is_long_running) && !self.is_superseded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSES: [(JobStatus, &str); 7] = [
        (JobStatus::Pending, "PENDING"),
        (JobStatus::Blocked, "BLOCKED"),
        (JobStatus::Queued, "QUEUED"),
        (JobStatus::Running, "RUNNING"),
        (JobStatus::Failed, "FAILED"),
        (JobStatus::Completed, "COMPLETED"),
        (JobStatus::Canceled, "CANCELED"),
    ];

    type Rule = (&'static str, fn(Standing) -> bool, &'static str);

    /// Each predicate as words: statuses, then conditions. `never` and `ran` speak of the count of
    /// executions, `input` and `current` of the flags.
    const RULES: [Rule; 9] = [
        ("queued", Standing::can_be_queued, "PENDING BLOCKED if input never current"),
        (
            "requeued",
            Standing::can_be_requeued,
            "PENDING BLOCKED QUEUED RUNNING FAILED CANCELED if input ran current",
        ),
        ("uncanceled", Standing::can_be_uncanceled, "CANCELED if never current"),
        ("canceled", Standing::can_be_canceled, "PENDING BLOCKED QUEUED RUNNING FAILED if"),
        ("running", Standing::can_be_running, "QUEUED if"),
        ("completed", Standing::can_be_completed, "QUEUED RUNNING if"),
        ("failed", Standing::can_be_failed, "QUEUED RUNNING if"),
        ("pending", Standing::can_be_pending, "BLOCKED QUEUED RUNNING FAILED COMPLETED CANCELED if never"),
        ("blocked", Standing::can_be_blocked, "PENDING QUEUED RUNNING FAILED COMPLETED CANCELED if never"),
    ];

    /// What the words of a rule say of a job.
    fn reads(rule: &str, status: &str, standing: Standing) -> bool {
        let (statuses, conditions) = rule.split_once("if").expect("a rule has an if");
        statuses.split_whitespace().any(|word| word == status)
            && conditions.split_whitespace().all(|word| match word {
                "input" => standing.has_input,
                "never" => standing.num_exes == 0,
                "ran" => standing.num_exes != 0,
                "current" => !standing.is_superseded,
                other => panic!("no condition {other}"),
            })
    }

    /// Every standing with up to four executions and tries.
    fn all() -> impl Iterator<Item = (&'static str, Standing)> {
        let bits = |n: u32| (n & 1 == 1, n & 2 == 2);
        STATUSES.into_iter().flat_map(move |(status, word)| {
            (0..4 * 5 * 5).map(move |n| {
                let (has_input, is_superseded) = bits(n % 4);
                let standing =
                    Standing { status, num_exes: n / 4 % 5, max_tries: n / 20, has_input, is_superseded };
                (word, standing)
            })
        })
    }

    #[test]
    fn every_predicate_holds_where_its_words_say() {
        let mut n_held = [0; RULES.len()];
        for (status, standing) in all() {
            for (at, (name, predicate, rule)) in RULES.iter().enumerate() {
                let expected = reads(rule, status, standing);
                assert_eq!(predicate(standing), expected, "{name}: {standing:?}");
                n_held[at] += u32::from(expected);
            }
        }
        assert!(n_held.iter().all(|n| *n > 0), "{n_held:?}: a rule that never holds shows nothing");
    }

    #[test]
    fn a_failure_is_retried_while_tries_are_left_or_for_ever() {
        for (_, standing) in all() {
            for (is_transient, is_long_running) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let expected = if standing.is_superseded {
                    false
                } else if is_long_running {
                    true
                } else {
                    is_transient && standing.max_tries.saturating_sub(standing.num_exes) > 0
                };
                assert_eq!(standing.is_retried(is_transient, is_long_running), expected, "{standing:?}");
            }
        }
    }

    #[test]
    fn no_job_is_queued_both_for_the_first_time_and_again() {
        for (_, standing) in all() {
            assert!(!(standing.can_be_queued() && standing.can_be_requeued()), "{standing:?}");
            let is_brought_back = standing.can_be_uncanceled();
            assert!(!is_brought_back || standing.can_be_pending(), "{standing:?}");
        }
    }
}
