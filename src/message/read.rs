//! A message read from its JSON, within bounds.

use serde_json::{Map, Value};

use crate::limits::{
    BULK_NAMED_MAX, LIST_IDS_MAX, MESSAGE_BYTES_MAX, MESSAGE_ENDS_MAX, MESSAGE_JOBS_MAX,
    MESSAGE_UNCANCELED_MAX,
};
use crate::model::{
    BatchId, ErrorCategory, ErrorId, ExeId, JobAt, JobExeEnd, JobId, JobStatus, JobTypeId, Message,
    MessageFilter, NodeId, RecipeId, Timestamp,
};
use crate::time;

/// Why a text is no message that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than a message may be.
    #[error("{bytes} bytes, at most {MESSAGE_BYTES_MAX} are read of a message")]
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// No JSON, or none that could be a message.
    #[error("it is no JSON object: {cause}")]
    Json {
        /// What is wrong with it.
        cause: String,
    },
    /// There is no such message.
    #[error("there is no message of type {kind:?}")]
    UnknownType {
        /// What it says it is.
        kind: String,
    },
    /// Something has to be there that is not.
    #[error("{member:?} is missing")]
    Missing {
        /// What.
        member: &'static str,
    },
    /// Something is there that is not known: a misspelled condition would let more jobs through.
    #[error("{member:?} is not known here")]
    UnknownMember {
        /// What.
        member: String,
    },
    /// Something is not what it has to be.
    #[error("{member:?} must be {expected}")]
    Invalid {
        /// What.
        member: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// More than one message holds.
    #[error("{n} under {member:?}, at most {max} go in one message")]
    TooMany {
        /// Of what.
        member: &'static str,
        /// How many.
        n: usize,
        /// How many there may be.
        max: usize,
    },
}

impl MessageError {
    /// A stable word for it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too-long",
            Self::Json { .. } => "invalid-json",
            Self::UnknownType { .. } => "unknown-type",
            Self::Missing { .. } => "missing-member",
            Self::UnknownMember { .. } => "unknown-member",
            Self::Invalid { .. } => "invalid-member",
            Self::TooMany { .. } => "too-many",
        }
    }
}

type Members = Map<String, Value>;

/// Bytes of a name that are told of in an error.
const NAME_BYTES_MAX: usize = 100;

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(NAME_BYTES_MAX)].to_owned()
}

const INTEGER: &str = "a whole number in its range";
const LIST: &str = "a list";
const OBJECT: &str = "an object";
const INSTANT: &str = "an instant such as 2026-11-24T12:00:00Z";

/// An object whose members are asked for by name. `null` is as good as not there.
struct Body<'v> {
    members: &'v Members,
    asked: Vec<&'static str>,
}

impl<'v> Body<'v> {
    fn new(value: &'v Value, member: &'static str) -> Result<Self, MessageError> {
        let members = value.as_object().ok_or(MessageError::Invalid { member, expected: OBJECT })?;
        Ok(Self { members, asked: Vec::new() })
    }

    fn get(&mut self, name: &'static str) -> Option<&'v Value> {
        self.asked.push(name);
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A member as `read` understands it, where it is there.
    fn maybe<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<Option<T>, MessageError> {
        let invalid = MessageError::Invalid { member: name, expected };
        self.get(name).map(|value| read(value).ok_or(invalid)).transpose()
    }

    fn must<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<T, MessageError> {
        self.maybe(name, expected, read)?.ok_or(MessageError::Missing { member: name })
    }

    fn list(&mut self, name: &'static str, max: usize) -> Result<Option<&'v [Value]>, MessageError> {
        let list = self.maybe(name, LIST, Value::as_array)?;
        match list {
            Some(list) if list.len() > max => Err(MessageError::TooMany { member: name, n: list.len(), max }),
            list => Ok(list.map(Vec::as_slice)),
        }
    }

    /// A list of which each is understood.
    fn each<T>(
        &mut self,
        name: &'static str,
        max: usize,
        expected: &'static str,
        read: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, MessageError> {
        let invalid = || MessageError::Invalid { member: name, expected };
        let list = self.list(name, max)?;
        list.map(|list| list.iter().map(|value| read(value).ok_or_else(invalid)).collect()).transpose()
    }

    fn instant(&mut self, name: &'static str) -> Result<Timestamp, MessageError> {
        self.must(name, INSTANT, instant)
    }

    /// The jobs under `jobs`, and the numbers of their executions.
    fn jobs(&mut self) -> Result<Vec<JobAt>, MessageError> {
        let list = self.list("jobs", MESSAGE_JOBS_MAX)?.ok_or(MessageError::Missing { member: "jobs" })?;
        list.iter().map(job_at).collect()
    }

    fn job_ids(&mut self, max: usize) -> Result<Vec<JobId>, MessageError> {
        self.each("job_ids", max, INTEGER, number::<u64>)?
            .map(|ids| ids.into_iter().map(JobId).collect())
            .ok_or(MessageError::Missing { member: "job_ids" })
    }

    /// Refuses what nobody asked for.
    fn end(self) -> Result<(), MessageError> {
        match self.members.keys().find(|name| !self.asked.contains(&name.as_str())) {
            Some(name) => Err(MessageError::UnknownMember { member: cut(name) }),
            None => Ok(()),
        }
    }
}

fn number<T: TryFrom<i64>>(value: &Value) -> Option<T> {
    value.as_i64().and_then(|number| T::try_from(number).ok())
}

fn instant(value: &Value) -> Option<Timestamp> {
    // So long before now is another instant each time it is read.
    let text = value.as_str().filter(|text| !text.starts_with('P'))?;
    time::read(text, Timestamp(0))
}

fn status(value: &Value) -> Option<JobStatus> {
    let text = value.as_str()?;
    JobStatus::ALL.into_iter().find(|status| status.as_str() == text)
}

fn category(value: &Value) -> Option<ErrorCategory> {
    let text = value.as_str()?;
    ErrorCategory::ALL.into_iter().find(|category| category.as_str() == text)
}

fn job_at(value: &Value) -> Result<JobAt, MessageError> {
    let mut body = Body::new(value, "jobs")?;
    let job = JobId(body.must("id", INTEGER, number)?);
    let exe_num = body.must("exe_num", INTEGER, number)?;
    body.end()?;
    Ok(JobAt { job, exe_num })
}

/// Lists of jobs under something they share, such as a node.
fn groups<T>(
    body: &mut Body<'_>,
    name: &'static str,
    id: impl Fn(u32) -> T,
) -> Result<Vec<(T, Vec<JobAt>)>, MessageError> {
    let list = body.list(name, MESSAGE_JOBS_MAX)?.ok_or(MessageError::Missing { member: name })?;
    let group = |value| {
        let mut group = Body::new(value, name)?;
        let of = id(group.must("id", INTEGER, number)?);
        let jobs = group.jobs()?;
        group.end()?;
        Ok((of, jobs))
    };
    let groups: Vec<(T, Vec<JobAt>)> = list.iter().map(group).collect::<Result<_, _>>()?;
    let n = groups.iter().map(|(_, jobs)| jobs.len()).sum();
    if n > MESSAGE_JOBS_MAX {
        return Err(MessageError::TooMany { member: "jobs", n, max: MESSAGE_JOBS_MAX });
    }
    Ok(groups)
}

fn filter(body: &mut Body<'_>) -> Result<MessageFilter, MessageError> {
    const STATUS: &str = "a status such as FAILED";
    const CATEGORY: &str = "a list of SYSTEM, ALGORITHM and DATA";
    let numbers = "a list of whole numbers in their range";
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(MessageFilter {
        current_job: body.maybe("current_job_id", INTEGER, number)?.map(JobId),
        started: body.maybe("started", INSTANT, instant)?,
        ended: body.maybe("ended", INSTANT, instant)?,
        error_categories: body.each("error_categories", LIST_IDS_MAX, CATEGORY, category)?,
        errors: body.each("error_ids", LIST_IDS_MAX, numbers, |id| number(id).map(ErrorId))?,
        jobs: body.each("job_ids", BULK_NAMED_MAX, numbers, |id| number(id).map(JobId))?,
        job_types: body.each("job_type_ids", LIST_IDS_MAX, numbers, |id| number(id).map(JobTypeId))?,
        status: body.maybe("status", STATUS, status)?,
        job_type_names: body.each("job_type_names", LIST_IDS_MAX, "a list of texts", text)?,
        batches: body.each("batch_ids", LIST_IDS_MAX, numbers, |id| number(id).map(BatchId))?,
        recipes: body.each("recipe_ids", LIST_IDS_MAX, numbers, |id| number(id).map(RecipeId))?,
        is_superseded: body.maybe("is_superseded", "true or false", Value::as_bool)?,
    })
}

fn exe_end(value: &Value) -> Result<JobExeEnd, MessageError> {
    let is_end =
        |status: &JobStatus| matches!(status, JobStatus::Completed | JobStatus::Failed | JobStatus::Canceled);
    let mut body = Body::new(value, "job_exe_end_models")?;
    let end = JobExeEnd {
        exe: ExeId(body.must("id", INTEGER, number)?),
        job: JobAt {
            job: JobId(body.must("job_id", INTEGER, number)?),
            exe_num: body.must("exe_num", INTEGER, number)?,
        },
        job_type: JobTypeId(body.must("job_type_id", INTEGER, number)?),
        task_results: body
            .must("task_results", OBJECT, |value| value.is_object().then(|| value.to_string().into()))?,
        status: body.must("status", "COMPLETED, FAILED or CANCELED", |value| status(value).filter(is_end))?,
        queued: body.instant("queued")?,
        ended: body.instant("ended")?,
        error: body.maybe("error_id", INTEGER, number)?.map(ErrorId),
        node: body.maybe("node_id", INTEGER, number)?.map(NodeId),
        started: body.maybe("started", INSTANT, instant)?,
    };
    body.end()?;
    Ok(end)
}

fn message(kind: &str, body: &mut Body<'_>) -> Result<Message, MessageError> {
    let priority = |body: &mut Body<'_>| body.maybe("priority", INTEGER, number::<i32>);
    Ok(match kind {
        "queued_jobs" => Message::QueuedJobs {
            jobs: body.jobs()?,
            requeue: body.maybe("requeue", "true or false", Value::as_bool)?.unwrap_or(false),
            priority: priority(body)?,
        },
        "requeue_jobs" => Message::RequeueJobs { jobs: body.jobs()?, priority: priority(body)? },
        "requeue_jobs_bulk" => Message::RequeueJobsBulk { filter: filter(body)?, priority: priority(body)? },
        "cancel_jobs" => {
            Message::CancelJobs { jobs: body.job_ids(MESSAGE_JOBS_MAX)?, when: body.instant("when")? }
        }
        "cancel_jobs_bulk" => Message::CancelJobsBulk { filter: filter(body)? },
        "uncancel_jobs" => {
            Message::UncancelJobs { jobs: body.job_ids(MESSAGE_UNCANCELED_MAX)?, when: body.instant("when")? }
        }
        "running_jobs" => {
            Message::RunningJobs { started: body.instant("started")?, nodes: groups(body, "nodes", NodeId)? }
        }
        "completed_jobs" => Message::CompletedJobs { ended: body.instant("ended")?, jobs: body.jobs()? },
        "failed_jobs" => {
            Message::FailedJobs { ended: body.instant("ended")?, errors: groups(body, "errors", ErrorId)? }
        }
        "create_job_exe_ends" => {
            let name = "job_exe_end_models";
            let list = body.list(name, MESSAGE_ENDS_MAX)?.ok_or(MessageError::Missing { member: name })?;
            Message::JobExeEnds { ends: list.iter().map(exe_end).collect::<Result<_, _>>()? }
        }
        other => return Err(MessageError::UnknownType { kind: cut(other) }),
    })
}

impl Message {
    /// Reads a message as Scale writes it: `{"type": ..., "body": ...}`.
    ///
    /// Members that may be left out may be `null` too; others than the known ones are refused, and so is more
    /// than Scale puts into one message.
    ///
    /// # Errors
    /// [`MessageError`], which names the member that is wrong.
    pub fn read(text: &str) -> Result<Self, MessageError> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLong { bytes: text.len() });
        }
        let json = |cause: String| MessageError::Json { cause };
        let value: Value = serde_json::from_str(text).map_err(|error| json(error.to_string()))?;
        let Some(members) = value.as_object() else { return Err(json("another kind of value".to_owned())) };
        let mut envelope = Body { members, asked: Vec::new() };
        let kind = envelope.must("type", "a text", Value::as_str)?;
        let body = envelope.get("body").ok_or(MessageError::Missing { member: "body" })?;
        envelope.end()?;
        let mut body = Body::new(body, "body")?;
        let message = message(kind, &mut body)?;
        body.end()?;
        Ok(message)
    }
}
