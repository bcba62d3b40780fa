//! States that no call can make, brought about through the library. One function per kind.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Map, Value};
use weighbridge::{Engine, JobId, NodeId, NodeResources, Outcome, StatusUpdate, TaskState, Usage};

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
    n_nodes: Cell<u32>,
}

fn id(members: &Members, name: &str) -> Result<u64, GivenError> {
    members.get(name).and_then(Value::as_u64).ok_or_else(|| failed(format!("no {name}")))
}

fn failed(what: impl std::fmt::Display) -> GivenError {
    GivenError::Failed(what.to_string())
}

impl ByEngine {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, n_nodes: Cell::new(0) }
    }
}

impl Given for ByEngine {
    fn node(&self, members: &Members) -> Made {
        let name = members["hostname"].as_str().ok_or_else(|| failed("no hostname"))?;
        self.n_nodes.set(self.n_nodes.get() + 1);
        let number = self.n_nodes.get();
        let has = |total: NodeResources, name: &str| {
            let amount = "1000000".parse().expect("a number");
            total.with(name, amount).map_err(failed)
        };
        let total = ["cpus", "mem", "disk", "gpus"].into_iter().try_fold(NodeResources::new(), has)?;
        self.engine.declare_node(NodeId(number), name, &total);
        Ok(Some(number.into()))
    }

    fn launched(&self, members: &Members) -> Made {
        let job = JobId(id(members, "job")?);
        let node = NodeId(id(members, "node")?.try_into().map_err(failed)?);
        let mut picks = self.engine.offer_declared(node);
        picks.retain(|pick| pick.job == job);
        picks.commit().wait(WAIT).map_err(failed)?;
        let running = self.engine.running().into_iter().find(|launch| launch.job == job);
        running.ok_or_else(|| failed(format!("job {job} does not start there")))?;
        Ok(None)
    }

    fn finished(&self, members: &Members) -> Made {
        let job = id(members, "job")?;
        if members["status"] != "COMPLETED" || members.contains_key("output") {
            // Errors and outputs cannot be told to the engine yet.
            return Err(GivenError::Unsupported);
        }
        let running = self.engine.running().into_iter().find(|launch| launch.job.0 == job);
        let name = running.ok_or_else(|| failed("it does not run"))?.name;
        let state = TaskState::Ended { outcome: Outcome::Exited { code: 0 }, usage: Usage::default() };
        let update = StatusUpdate { name, state, when: self.engine.now() };
        self.engine.status(update).map_err(failed)?.wait_durable(WAIT).map_err(failed)?;
        Ok(None)
    }
}
