//! What is asked of the jobs on record: which of them, in which order, from where on, how many.
//!
//! Q1  An order is total: equal jobs follow by id, so that a cursor names one place in it.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

use super::ids::{BatchId, ErrorId, JobId, JobTypeId, RecipeId};
use super::job::{ExeEnd, Job, JobStatus, Outcome};
use super::job_state::JobState;
use super::time::Timestamp;

/// Columns that one order names at most.
pub const ORDER_LEN_MAX: usize = 4;

/// Why a job failed, as a class of outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum JobError {
    /// Its command ended with an exit code other than zero.
    ExitCode,
    /// A signal ended it.
    Signal,
    /// It ran out of time.
    Timeout,
    /// Its command could not be started.
    NotStarted,
    /// It was lost with what ran it.
    Lost,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ErrorCategory {
    /// That of what ran it.
    System,
    /// That of the command.
    Algorithm,
    /// That of its input. No error is of this category yet.
    Data,
}

impl JobError {
    /// All of them, by id.
    pub const ALL: [Self; 5] = [Self::ExitCode, Self::Signal, Self::Timeout, Self::NotStarted, Self::Lost];

    /// Its number, from 1.
    pub const fn id(self) -> u32 {
        self as u32 + 1
    }

    /// A stable word for it, that of its outcomes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::NotStarted => "not-started",
            Self::Lost => "lost",
        }
    }

    /// The error of that number.
    pub fn of_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|error| error.id() == id)
    }

    /// Whose fault it is.
    pub const fn category(self) -> ErrorCategory {
        match self {
            Self::Timeout | Self::Lost => ErrorCategory::System,
            Self::ExitCode | Self::Signal | Self::NotStarted => ErrorCategory::Algorithm,
        }
    }

    /// The class of an outcome; none for one that is no error, or names one of the catalog.
    pub const fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Exited { code: 0 } | Outcome::Canceled | Outcome::Error { .. } => None,
            Outcome::Exited { .. } => Some(Self::ExitCode),
            Outcome::Signaled { .. } => Some(Self::Signal),
            Outcome::TimedOut => Some(Self::Timeout),
            Outcome::NotStarted { .. } => Some(Self::NotStarted),
            Outcome::Lost { .. } => Some(Self::Lost),
        }
    }

    /// The number of its outcomes in the store.
    pub(crate) const fn outcome(self) -> u8 {
        match self {
            Self::ExitCode => 2,
            Self::Signal => 3,
            Self::Timeout => 4,
            Self::NotStarted => 6,
            Self::Lost => 7,
        }
    }
}

impl From<JobError> for ErrorId {
    fn from(error: JobError) -> Self {
        Self(error.id())
    }
}

impl ErrorId {
    /// The error of an outcome; none for one that is no error.
    pub fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Error { id } => Some(*id),
            other => JobError::of(other).map(Self::from),
        }
    }
}

impl ErrorCategory {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::System, Self::Algorithm, Self::Data];

    /// The spelling on every surface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "SYSTEM",
            Self::Algorithm => "ALGORITHM",
            Self::Data => "DATA",
        }
    }
}

/// Which jobs: those that meet every condition. `None` is no condition, an empty list is met by none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub struct JobFilter {
    /// Changed then or later.
    pub started: Option<Timestamp>,
    /// Changed then or earlier.
    pub ended: Option<Timestamp>,
    /// One of these.
    pub statuses: Option<Vec<JobStatus>>,
    /// One of these.
    pub jobs: Option<Vec<JobId>>,
    /// Of one of these.
    pub job_types: Option<Vec<JobTypeId>>,
    /// In one of these.
    pub recipes: Option<Vec<RecipeId>>,
    /// In one of these.
    pub batches: Option<Vec<BatchId>>,
    /// Failed with one of these.
    pub errors: Option<Vec<ErrorId>>,
    /// Whether another job is in its place.
    pub is_superseded: Option<bool>,
}

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident: $item:ty),*) => {
        impl JobFilter {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, any_of: impl IntoIterator<Item = $item>) -> Self {
                self.$name = Some(any_of.into_iter().collect());
                self
            }
        )*}
    };
}

conditions! {
    /// Only those in one of these statuses.
    statuses: JobStatus,
    /// Only these.
    jobs: JobId,
    /// Only those of one of these types.
    job_types: JobTypeId,
    /// Only those in one of these recipes.
    recipes: RecipeId,
    /// Only those in one of these batches.
    batches: BatchId
}

impl JobFilter {
    /// Only those that failed with one of these.
    #[must_use]
    pub fn errors<E: Into<ErrorId>>(mut self, any_of: impl IntoIterator<Item = E>) -> Self {
        self.errors = Some(any_of.into_iter().map(Into::into).collect());
        self
    }

    /// Only those in whose place another job is, or the others.
    #[must_use]
    pub fn superseded(mut self, is_superseded: bool) -> Self {
        self.is_superseded = Some(is_superseded);
        self
    }

    /// Only those that changed last then or later.
    #[must_use]
    pub fn started(mut self, at: Timestamp) -> Self {
        self.started = Some(at);
        self
    }

    /// Only those that changed last then or earlier.
    #[must_use]
    pub fn ended(mut self, at: Timestamp) -> Self {
        self.ended = Some(at);
        self
    }

    /// True for a job that it lets through.
    pub fn matches(&self, job: &Job) -> bool {
        fn any<T: PartialEq>(of: Option<&Vec<T>>, is: Option<&T>) -> bool {
            of.is_none_or(|list| is.is_some_and(|value| list.contains(value)))
        }
        self.matches_now(job.status, job.last_status_change, job.end.as_ref(), job.superseded.is_some())
            && any(self.jobs.as_ref(), Some(&job.id))
            && any(self.job_types.as_ref(), Some(&job.job_type))
            && any(self.recipes.as_ref(), job.recipe.as_ref().map(|(recipe, _)| recipe))
            && any(self.batches.as_ref(), job.batch.as_ref())
    }

    /// The same for a job that it let through before: only what changes with time is looked at.
    pub(crate) fn still_matches(&self, job: &JobState) -> bool {
        self.matches_now(job.status, job.last_status_change, job.end(), job.is_superseded())
    }

    fn matches_now(
        &self,
        status: JobStatus,
        changed: Timestamp,
        end: Option<&ExeEnd>,
        is_superseded: bool,
    ) -> bool {
        let error = end.filter(|_| status == JobStatus::Failed).and_then(|end| ErrorId::of(&end.outcome));
        self.started.is_none_or(|at| changed >= at)
            && self.ended.is_none_or(|at| changed <= at)
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&status))
            && self.errors.as_ref().is_none_or(|errors| error.is_some_and(|error| errors.contains(&error)))
            && self.is_superseded.is_none_or(|wanted| wanted == is_superseded)
    }
}

/// What jobs can be ordered by. What a job does not have (no start, no end) comes after all others; a job without
/// a duration does so in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobColumn {
    /// The id, which is the order in which jobs were made.
    Id,
    /// When it was made.
    Created,
    /// When its status last changed, which is the last change of a job.
    Changed,
    /// When it was last queued.
    Queued,
    /// When it was last launched.
    Started,
    /// When it ended.
    Ended,
    /// From its start to its end.
    Duration,
    /// The lower number is the more important.
    Priority,
    /// In the order of a life, see [`JobStatus::ALL`].
    Status,
    /// By id of the type, or by the place that a query gives it.
    JobType,
    /// By the word of the status, as a text.
    StatusWord,
    /// By id of the batch.
    Batch,
    /// Those in whose place no other job is, then the others.
    IsSuperseded,
}

impl JobColumn {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Id,
        Self::Created,
        Self::Changed,
        Self::Queued,
        Self::Started,
        Self::Ended,
        Self::Duration,
        Self::Priority,
        Self::Status,
        Self::JobType,
        Self::StatusWord,
        Self::Batch,
        Self::IsSuperseded,
    ];
}

/// A column and its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobOrder {
    /// By what.
    pub column: JobColumn,
    /// The greatest first.
    pub is_descending: bool,
}

impl JobOrder {
    /// The least first.
    pub const fn by(column: JobColumn) -> Self {
        Self { column, is_descending: false }
    }

    /// The greatest first.
    pub const fn descending(column: JobColumn) -> Self {
        Self { column, is_descending: true }
    }
}

/// A place in an order of jobs, behind the job that it was made of. As text, for whoever asks for the
/// next page: it means something only with the order that it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCursor(pub(crate) Vec<i64>);

/// Why a text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is what a page gave as its next one, unchanged, with the same order")]
pub struct JobCursorError;

impl JobCursor {
    /// Behind the job of that id, in the order of ids.
    pub fn after(id: JobId) -> Self {
        Self(vec![i64::try_from(id.0).unwrap_or(i64::MAX)])
    }
}

impl fmt::Display for JobCursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(i64::to_string).collect();
        out.write_str(&parts.join("."))
    }
}

impl FromStr for JobCursor {
    type Err = JobCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Result<Vec<i64>, _> = text.splitn(ORDER_LEN_MAX + 2, '.').map(str::parse).collect();
        parts.ok().filter(|parts| parts.len() <= ORDER_LEN_MAX + 1).map(Self).ok_or(JobCursorError)
    }
}

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobQuery {
    /// Which jobs.
    pub filter: JobFilter,
    /// In which order; by id where it is empty. Jobs that are equal in it follow by id, in the direction of
    /// its last column.
    pub order: Vec<JobOrder>,
    /// From where on; a page's `next`, with the same order.
    pub after: Option<JobCursor>,
    /// How many are left out at the beginning.
    pub skip: usize,
    /// How many are wanted at most.
    pub limit: usize,
    /// Whether all that match are counted.
    pub is_counted: bool,
    /// Places of job types, by id, where jobs are not to be ordered by the ids of their types; a type that has
    /// none comes last.
    pub job_type_ranks: Option<std::sync::Arc<[u32]>>,
}

impl JobQuery {
    /// At most `limit` jobs, by id.
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Only those.
    #[must_use]
    pub fn filter(mut self, filter: JobFilter) -> Self {
        self.filter = filter;
        self
    }

    /// In that order.
    #[must_use]
    pub fn order(mut self, order: impl IntoIterator<Item = JobOrder>) -> Self {
        self.order = order.into_iter().collect();
        self
    }

    /// From a page's `next` on.
    #[must_use]
    pub fn after(mut self, cursor: JobCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Without the first `skip`.
    #[must_use]
    pub fn skip(mut self, skip: usize) -> Self {
        self.skip = skip;
        self
    }

    /// With a count of all that match.
    #[must_use]
    pub fn counted(mut self) -> Self {
        self.is_counted = true;
        self
    }
}

/// How many jobs match a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobTotal {
    /// So many, or more where it is not exact.
    pub n: u64,
    /// True where it is exactly as many.
    pub is_exact: bool,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPage {
    /// Jobs in the order asked for. There may be fewer than wanted although more follow.
    pub jobs: Vec<Job>,
    /// From where to go on; none at the end.
    pub next: Option<JobCursor>,
    /// How many match, where that was asked.
    pub total: Option<JobTotal>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_what_they_write() {
        for parts in [vec![7], vec![-1, i64::MAX, i64::MIN, 0, 5]] {
            let cursor = JobCursor(parts);
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for bad in ["", "x", "1.", "1.2.3.4.5.6", "1,2"] {
            assert_eq!(bad.parse::<JobCursor>(), Err(JobCursorError), "{bad}");
        }
    }

    #[test]
    fn an_error_has_the_number_of_its_outcomes() {
        let outcomes = [
            Outcome::Exited { code: 0 },
            Outcome::Exited { code: 3 },
            Outcome::Signaled { signal: 9 },
            Outcome::TimedOut,
            Outcome::Canceled,
            Outcome::NotStarted { reason: String::new() },
            Outcome::Lost { reason: String::new() },
        ];
        let errors: Vec<JobError> = outcomes.iter().filter_map(JobError::of).collect();
        assert_eq!(errors, JobError::ALL);
        for outcome in &outcomes {
            if let Some(error) = JobError::of(outcome) {
                assert_eq!((error.outcome(), error.code()), (outcome.number(), outcome.code()));
                assert_eq!(JobError::of_id(error.id()), Some(error));
            }
        }
    }
}
