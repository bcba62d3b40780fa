//! A command on its way to the core, with the promise of its answer.

use std::convert::Infallible;

use super::core::Core;
use super::handle::{Changed, JobTypeError, JobsError, StatusOutcome, SubmitError};
use super::shell::Inner;
use super::ticket::Promise;
use crate::launch::StatusUpdate;
use crate::model::{Accepted, JobId, JobTypeId, JobTypeSpec, QueueMode, Submission, Timestamp};

/// A command of its own: carried out whole, and answered by itself.
pub(super) type Call = Box<dyn FnOnce(&Inner, &mut Core, Timestamp) + Send>;

/// What callers want.
pub(super) enum Command {
    PutJobType(Box<JobTypeSpec>, Promise<JobTypeId, JobTypeError>),
    Submit(Box<Submission>, Promise<Accepted, SubmitError>),
    SetPriority(Vec<JobId>, i32, Promise<Changed, JobsError>),
    Pause(JobTypeId, bool, Promise<(), JobTypeError>),
    Limit(JobTypeId, Option<u32>, Promise<(), JobTypeError>),
    SetMode(Option<JobTypeId>, Option<QueueMode>, Promise<(), JobTypeError>),
    /// Any other: carried out whole, and answered by itself.
    Call(Call),
}

/// What drivers report.
pub(super) struct Status(pub(super) StatusUpdate, pub(super) Option<Promise<StatusOutcome, Infallible>>);
