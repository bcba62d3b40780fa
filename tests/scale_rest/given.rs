//! States that no call can make, brought about through the library. One function per kind.

use std::time::Duration;

use serde_json::{Map, Value};
use weighbridge::{
    Dataset, Engine, ErrorCategory, ErrorId, ErrorRecord, FileId, FileRecord, IntakeError, JobId,
    JobRestored, JobTypeId, LoadRow, NodeId, NodeResources, Offer, Outcome, StatusUpdate, TaskState, Ticket,
    TicketError, Timestamp, Usage,
};

/// Longest wait for something to be on disk.
const WAIT: Duration = Duration::from_secs(30);

/// Why a state is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GivenError {
    /// The engine has no such thing yet.
    Unsupported,
    /// It could not be done.
    Failed(String),
}

/// The id of what was made, where a step names it.
pub(crate) type Made = Result<Option<u64>, GivenError>;

/// The members of a step, with ids for symbols.
pub(crate) type Members = Map<String, Value>;

/// Brings about states. Kinds that are not written out are those that the system cannot do yet.
pub(crate) trait Given {
    /// A node of that `hostname` is known, active and not paused; it takes no jobs by itself.
    fn node(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// A kind of error: `name`, `category`, `retry`.
    fn error(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// An input file: `name`, `media_type`, `size_bytes`.
    fn file(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// A data set with one file parameter: `title`, `parameter`, `media_type`, `files`.
    fn dataset(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// The live entry of `job` was started on `node`.
    fn launched(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// The execution of `job` ended with `status`, and its `output` or `error`.
    fn finished(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// `rows` of `job` and when its live entry was `queued`.
    fn queue_times(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// `rows` of `job` and its times by name.
    fn job_times(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// `rows` of `job_type`, `measured`, `pending`, `queued`, `running`.
    fn job_load(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// `count` measurements of `job_type` from `start` on, `step_seconds` apart.
    fn job_load_series(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// A measurement is taken now.
    fn load_measured(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// The totals of the cluster: `cpus`, `mem`, `disk`, `gpus`.
    fn cluster_resources(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
    /// The scheduler wrote this `status`, `age` ago.
    fn scheduler_status(&self, _: &Members) -> Made {
        Err(GivenError::Unsupported)
    }
}

/// Calls the function of a kind.
pub(crate) fn bring_about(given: &dyn Given, kind: &str, members: &Members) -> Made {
    match kind {
        "node" => given.node(members),
        "error" => given.error(members),
        "file" => given.file(members),
        "dataset" => given.dataset(members),
        "launched" => given.launched(members),
        "finished" => given.finished(members),
        "queue_times" => given.queue_times(members),
        "job_times" => given.job_times(members),
        "job_load" => given.job_load(members),
        "job_load_series" => given.job_load_series(members),
        "load_measured" => given.load_measured(members),
        "cluster_resources" => given.cluster_resources(members),
        "scheduler_status" => given.scheduler_status(members),
        _ => Err(GivenError::Failed(format!("no kind {kind:?}"))),
    }
}

/// Nothing but calls: for a server in another process.
pub(crate) struct Nothing;

impl Given for Nothing {}

/// By the public interface of an engine without a driver.
pub(crate) struct ByEngine {
    engine: Engine,
}

fn id(members: &Members, name: &str) -> Result<u64, GivenError> {
    members.get(name).and_then(Value::as_u64).ok_or_else(|| failed(format!("no {name}")))
}

fn text<'m>(members: &'m Members, name: &str) -> Result<&'m str, GivenError> {
    members.get(name).and_then(Value::as_str).ok_or_else(|| failed(format!("no {name}")))
}

fn small(id: u64) -> Result<u32, GivenError> {
    id.try_into().map_err(failed)
}

fn failed(what: impl std::fmt::Display) -> GivenError {
    GivenError::Failed(what.to_string())
}

/// The job type of a row of load; none in that of an idle system.
fn job_type(members: &Members) -> Result<Option<JobTypeId>, GivenError> {
    members.get("job_type").and_then(Value::as_u64).map(|id| Ok(JobTypeId(small(id)?))).transpose()
}

/// The rows of a step.
fn rows(members: &Members) -> Result<impl Iterator<Item = &Members>, GivenError> {
    let rows = members.get("rows").and_then(Value::as_array).ok_or_else(|| failed("no rows"))?;
    Ok(rows.iter().filter_map(Value::as_object))
}

/// An instant, where there is one: in full, or as a time before now.
fn instant(members: &Members, name: &str, now: Timestamp) -> Result<Option<Timestamp>, GivenError> {
    let Some(value) = members.get(name) else { return Ok(None) };
    if let Some(ago) = value.get("ago").and_then(Value::as_str) {
        let ago: jiff::SignedDuration = ago.parse().map_err(failed)?;
        let micros = i64::try_from(ago.as_micros()).map_err(failed)?;
        return Ok(Some(Timestamp(now.0 - micros)));
    }
    let at: jiff::Timestamp = value.as_str().ok_or_else(|| failed("no time"))?.parse().map_err(failed)?;
    Ok(Some(Timestamp(at.as_microsecond())))
}

/// A name with a capital at the beginning of each word.
fn title(name: &str) -> String {
    let mut is_start = true;
    let each = |letter: char| {
        let is_first = std::mem::replace(&mut is_start, !letter.is_alphabetic());
        if is_first { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    name.chars().map(each).collect()
}

impl ByEngine {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Waits until something that was handed in is on disk.
    fn wait<T: Clone, E: Clone + std::fmt::Display>(
        sent: Result<Ticket<T, E>, IntakeError>,
    ) -> Result<T, GivenError> {
        let answer = sent.map_err(failed)?.wait_durable(WAIT);
        answer.map_err(|error| match error {
            TicketError::Refused(error) => failed(error),
            TicketError::TimedOut(_) => failed("no answer in time"),
            _ => failed("the engine is closed"),
        })
    }

    fn restore(&self, all: Vec<JobRestored>) -> Made {
        Self::wait(self.engine.restore_jobs(all))?;
        Ok(None)
    }
}

impl Given for ByEngine {
    fn node(&self, members: &Members) -> Made {
        let node = Self::wait(self.engine.put_node(text(members, "hostname")?))?;
        Ok(Some(node.0.into()))
    }

    fn error(&self, members: &Members) -> Made {
        let (name, category) = (text(members, "name")?, text(members, "category")?);
        let category = ErrorCategory::ALL.into_iter().find(|known| known.as_str() == category);
        let mut error = ErrorRecord::new(name, category.ok_or_else(|| failed("no category"))?);
        (error.title, error.is_builtin) = (title(name), true);
        error.should_be_retried = members.get("retry").and_then(Value::as_bool).unwrap_or(false);
        Ok(Some(Self::wait(self.engine.put_error(error))?.0.into()))
    }

    fn dataset(&self, members: &Members) -> Made {
        let (title, parameter) = (text(members, "title")?, text(members, "parameter")?);
        let files = members["files"].as_array().ok_or_else(|| failed("no files"))?;
        let files = files.iter().filter_map(Value::as_u64).map(FileId).collect();
        let stated = serde_json::json!({"parameters": {"files": [{"name": parameter,
            "media_types": [text(members, "media_type")?], "required": true, "multiple": false}]}});
        let set = Dataset::new(title, parameter, files).defined(stated.to_string().into());
        Ok(Some(Self::wait(self.engine.put_dataset(set))?))
    }

    fn file(&self, members: &Members) -> Made {
        let (name, media_type) = (text(members, "name")?, text(members, "media_type")?);
        let file = FileRecord::new(name, media_type, id(members, "size_bytes")?);
        Ok(Some(Self::wait(self.engine.put_file(file))?.0))
    }

    fn launched(&self, members: &Members) -> Made {
        let job = JobId(id(members, "job")?);
        let node = NodeId(small(id(members, "node")?)?);
        // Where the node was declared, what it has left may do; else it gets room for anything.
        let mut picks = self.engine.offer_declared(node);
        picks.retain(|pick| pick.job == job);
        if picks.is_empty() {
            drop(picks);
            let has = |total: NodeResources, name: &str| {
                let amount = "1000000".parse().expect("a number");
                total.with(name, amount).map_err(failed)
            };
            let room = ["cpus", "mem", "disk", "gpus"].into_iter().try_fold(NodeResources::new(), has)?;
            picks = self.engine.offer(&Offer::new(node, room));
            picks.retain(|pick| pick.job == job);
        }
        picks.commit().wait(WAIT).map_err(failed)?;
        let running = self.engine.running().into_iter().find(|launch| launch.job == job);
        running.ok_or_else(|| failed(format!("job {job} does not start there")))?;
        Ok(None)
    }

    fn finished(&self, members: &Members) -> Made {
        let job = id(members, "job")?;
        // One that was overtaken by a newer one stands before it.
        let running = self.engine.running().into_iter().rev().find(|launch| launch.job.0 == job);
        let name = running.ok_or_else(|| failed("it does not run"))?.name;
        let outcome = match text(members, "status")? {
            "COMPLETED" => Outcome::Exited { code: 0 },
            "FAILED" => Outcome::Error { id: ErrorId(small(id(members, "error")?)?) },
            other => return Err(failed(format!("no end {other:?}"))),
        };
        let state = TaskState::Ended { outcome, usage: Usage::default() };
        let update = StatusUpdate { name, state, when: self.engine.now() };
        match members.get("output") {
            Some(output) => Self::wait(self.engine.status_with_output(update, output))?,
            None => Self::wait(self.engine.status(update))?,
        };
        Ok(None)
    }

    fn job_load(&self, members: &Members) -> Made {
        let row = |of: &Members| {
            let measured = instant(of, "measured", self.engine.now())?.ok_or_else(|| failed("no instant"))?;
            let (pending, queued, running) = (id(of, "pending")?, id(of, "queued")?, id(of, "running")?);
            Ok(LoadRow { measured, job_type: job_type(of)?, pending, queued, running })
        };
        let rows = rows(members)?.map(row).collect::<Result<_, GivenError>>()?;
        Self::wait(self.engine.put_job_loads(rows))?;
        Ok(None)
    }

    fn job_load_series(&self, members: &Members) -> Made {
        let start = instant(members, "start", self.engine.now())?.ok_or_else(|| failed("no instant"))?;
        let (step, count, job_type) =
            (id(members, "step_seconds")?, id(members, "count")?, job_type(members)?);
        let row = |n: u64| {
            let measured = start + Duration::from_secs(n * step);
            LoadRow { measured, job_type, pending: n, queued: n % 7, running: n % 3 }
        };
        Self::wait(self.engine.put_job_loads((0..count).map(row).collect()))?;
        Ok(None)
    }

    fn load_measured(&self, _: &Members) -> Made {
        Self::wait(self.engine.calculate_load())?;
        Ok(None)
    }

    fn queue_times(&self, members: &Members) -> Made {
        let now = self.engine.now();
        let restored = |row| {
            let mut job = JobRestored::new(JobId(id(row, "job")?));
            job.queued = instant(row, "queued", now)?;
            Ok(job)
        };
        self.restore(rows(members)?.map(restored).collect::<Result<_, _>>()?)
    }

    fn job_times(&self, members: &Members) -> Made {
        let now = self.engine.now();
        let restored = |row| {
            let mut job = JobRestored::new(JobId(id(row, "job")?));
            job.created = instant(row, "created", now)?;
            job.queued = instant(row, "queued", now)?;
            job.started = instant(row, "started", now)?;
            job.ended = instant(row, "ended", now)?;
            // A job changes last when its status does.
            let changed = instant(row, "last_modified", now)?;
            job.last_status_change = instant(row, "last_status_change", now)?.or(changed);
            Ok(job)
        };
        self.restore(rows(members)?.map(restored).collect::<Result<_, _>>()?)
    }

    fn cluster_resources(&self, members: &Members) -> Made {
        let add = |total: NodeResources, name: &str| {
            let amount =
                members.get(name).map(Value::to_string).ok_or_else(|| failed(format!("no {name}")))?;
            let amount = amount.trim_end_matches(".0").parse().map_err(failed)?;
            total.with(name, amount).map_err(failed)
        };
        let total = ["cpus", "mem", "disk", "gpus"].into_iter().try_fold(NodeResources::new(), add)?;
        self.engine.report_cluster(total);
        Ok(None)
    }

    fn scheduler_status(&self, members: &Members) -> Made {
        let age = text(members, "age")?;
        let seconds = age.strip_prefix("PT").and_then(|age| age.strip_suffix('S'));
        let seconds: i64 = seconds.and_then(|text| text.parse().ok()).ok_or_else(|| failed(age))?;
        let status = members.get("status").ok_or_else(|| failed("no status"))?;
        let when = Timestamp(self.engine.now().0 - seconds * 1_000_000);
        self.engine.report_status(&status.to_string(), when);
        Ok(None)
    }
}
