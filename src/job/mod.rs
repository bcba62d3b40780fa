//! The state machine of a job: what may happen to it, as pure questions about where it stands.
//!
//! Core: no I/O, clock, lock or logging.
//!
//! # Source
//! Scale's predicates and its rule for retries.

pub(crate) mod data;
pub(crate) mod execution;
#[cfg_attr(not(test), expect(dead_code, reason = "what Scale's other messages would ask"))]
mod standing;

use crate::model::{ErrorId, JobState, JobStatus, Outcome};
pub(crate) use standing::Standing;

/// Faults of the system a job survives beyond its tries. Without a bound, work that kills its
/// machine would be started for ever.
pub(crate) const SYSTEM_FAULTS_MAX: u32 = 20;

/// Where a job stands.
pub(crate) fn standing(job: &JobState) -> Standing {
    Standing {
        status: job.status,
        num_exes: job.num_exes,
        max_tries: u32::from(job.max_tries),
        has_input: !job.extra().lacks_input,
        is_superseded: job.is_superseded(),
    }
}

/// May be queued for the first time.
pub(crate) fn can_be_queued(job: &JobState) -> bool {
    standing(job).can_be_queued()
}

/// May be queued again, with a new execution. One that waits or runs may too: what it had is given up.
pub(crate) fn can_be_requeued(job: &JobState) -> bool {
    standing(job).can_be_requeued()
}

/// May be as it was before it was canceled: it was never queued.
pub(crate) fn can_be_uncanceled(job: &JobState) -> bool {
    standing(job).can_be_uncanceled()
}

/// May be canceled. A failed job may, so that it is not taken up again.
pub(crate) fn can_be_canceled(job: &JobState) -> bool {
    standing(job).can_be_canceled()
}

/// Keeps what depends on it from ever running.
pub(crate) fn blocks_children(status: JobStatus) -> bool {
    match status {
        JobStatus::Blocked | JobStatus::Failed | JobStatus::Canceled => true,
        JobStatus::Pending | JobStatus::Queued | JobStatus::Running | JobStatus::Completed => false,
    }
}

/// What follows from the end of a job's execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Where the job stands then.
    pub(crate) status: JobStatus,
    /// Whether a try is used up.
    pub(crate) uses_try: bool,
    /// Whether it is queued again at once.
    pub(crate) is_retried: bool,
}

/// Judges the end of the newest execution of `job`. `should_be_retried` tells of an error of the catalog;
/// what `is_long_running` has no number of tries.
pub(crate) fn judge(
    job: &JobState,
    outcome: &Outcome,
    is_long_running: bool,
    should_be_retried: impl Fn(ErrorId) -> bool,
) -> Verdict {
    if job.status == JobStatus::Canceled {
        return Verdict { status: JobStatus::Canceled, uses_try: false, is_retried: false };
    }
    if outcome.is_success() {
        return Verdict { status: JobStatus::Completed, uses_try: true, is_retried: false };
    }
    if let Outcome::Error { id } = outcome {
        let is_retried = standing(job).is_retried(should_be_retried(*id), is_long_running);
        return Verdict { status: JobStatus::Failed, uses_try: true, is_retried };
    }
    let uses_try = !outcome.is_system_fault();
    let tries = u32::from(job.tries) + u32::from(uses_try);
    let faults = (job.num_exes).saturating_sub(tries);
    let is_retried = (tries < u32::from(job.max_tries) || is_long_running) && faults <= SYSTEM_FAULTS_MAX;
    // An end by order that the job does not know of came from outside; it is not tried again.
    let is_retried = is_retried && *outcome != Outcome::Canceled && !job.is_superseded();
    Verdict { status: JobStatus::Failed, uses_try, is_retried }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job_state;

    #[test]
    fn a_failure_is_retried_while_tries_are_left() {
        let failed = Outcome::Exited { code: 3 };
        let check = |tries, num_exes, outcome: &Outcome, is_retried| {
            let job = JobState { tries, num_exes, max_tries: 3, status: JobStatus::Running, ..job_state() };
            assert_eq!(
                judge(&job, outcome, false, |_| false).is_retried,
                is_retried,
                "{tries} {num_exes} {outcome}"
            );
        };
        check(0, 1, &failed, true);
        check(1, 2, &failed, true);
        check(2, 3, &failed, false);
        let lost = Outcome::Lost { reason: "gone".into() };
        check(2, 3, &lost, true);
        check(0, 21, &lost, false);
        check(0, 1, &Outcome::Canceled, false);
        check(0, 1, &Outcome::Exited { code: 0 }, false);
    }

    #[test]
    fn what_is_long_running_is_tried_for_ever() {
        let job = JobState { tries: 9, num_exes: 9, max_tries: 3, status: JobStatus::Running, ..job_state() };
        for outcome in [Outcome::Exited { code: 3 }, Outcome::Error { id: ErrorId(9) }] {
            assert!(judge(&job, &outcome, true, |_| false).is_retried, "{outcome}");
            assert!(!judge(&job, &outcome, false, |_| true).is_retried, "{outcome}");
        }
        assert!(!judge(&job, &Outcome::Canceled, true, |_| false).is_retried);
    }

    #[test]
    fn a_canceled_job_stays_canceled_however_its_execution_ends() {
        let job = JobState { status: JobStatus::Canceled, ..job_state() };
        let verdict = judge(&job, &Outcome::Exited { code: 0 }, false, |_| false);
        assert_eq!((verdict.status, verdict.uses_try), (JobStatus::Canceled, false));
    }
}
