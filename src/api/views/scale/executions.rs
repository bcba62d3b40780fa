//! Executions of jobs, in Scale's shapes: as they stand in lists, and in detail.

use serde::Serialize;
use serde_json::{Map, Value};

use super::jobs::{JobStatusText, Kind, Resources, mib};
use super::{ErrorBase, Id, JobTypeBase, NodeBase, Time, document};
use crate::engine::View;
use crate::model::{ErrorId, ExeEnd, ExecutionRecord, Job, JobOutput, JobStatus, Outcome, cluster_id};

/// The version of the document of an output.
const OUTPUT_VERSION: &str = "7";

/// Why an execution failed.
pub(super) fn error(end: &ExeEnd, view: &View) -> Option<ErrorBase> {
    let told = match &end.outcome {
        // The catalog has said all of it.
        Outcome::Error { .. } => String::new(),
        outcome => outcome.to_string(),
    };
    ErrorBase::of(ErrorId::of(&end.outcome)?, &told, &view.catalog)
}

/// What an execution gave.
#[derive(Clone, Debug)]
pub(in crate::api) struct Output(Value);

impl From<&JobOutput> for Output {
    fn from(output: &JobOutput) -> Self {
        Self(document(&output.output))
    }
}

impl Output {
    /// The document without its version.
    pub(super) fn data(&self) -> Value {
        self.0.clone()
    }
}

impl Serialize for Output {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = self.0.as_object().cloned().unwrap_or_default();
        all.insert("version".to_owned(), OUTPUT_VERSION.into());
        all.serialize(serializer)
    }
}

/// An execution in a list.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct ExecutionLine {
    id: u64,
    status: JobStatusText,
    exe_num: u32,
    cluster_id: String,
    created: Option<Time>,
    queued: Time,
    started: Option<Time>,
    ended: Option<Time>,
    job: Id<u64>,
    node: Option<NodeBase>,
    error: Option<ErrorBase>,
    job_type: JobTypeBase,
    timeout: Option<u32>,
    input_file_size: f64,
}

/// An execution in detail.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Execution {
    #[serde(flatten)]
    line: ExecutionLine,
    task_results: Option<Map<String, Value>>,
    resources: Resources,
    configuration: Value,
    pub(super) output: Option<Output>,
}

/// Where an execution stands.
pub(in crate::api) fn status_of(record: &ExecutionRecord) -> JobStatus {
    match record.end.as_ref().map(|end| &end.outcome) {
        None => JobStatus::Running,
        Some(Outcome::Canceled) => JobStatus::Canceled,
        Some(outcome) if outcome.is_success() => JobStatus::Completed,
        Some(_) => JobStatus::Failed,
    }
}

/// An execution of `job`; `framework` is the second part of cluster ids.
pub(in crate::api) fn execution_line(
    record: &ExecutionRecord,
    job: &Job,
    kind: Kind<'_>,
    view: &View,
    framework: &str,
) -> ExecutionLine {
    ExecutionLine {
        id: record.exe.0,
        status: JobStatusText(status_of(record)),
        exe_num: record.exe_num,
        cluster_id: cluster_id(framework, record.job, record.exe_num),
        created: record.started.map(Time),
        queued: Time(record.queued),
        started: record.started.map(Time),
        ended: record.end.as_ref().map(|end| Time(end.ended)),
        job: Id { id: record.job.0 },
        node: record.node.map(|id| NodeBase::of(id, view)),
        error: record.end.as_ref().and_then(|end| error(end, view)),
        job_type: JobTypeBase::with(kind.job_type, kind.details),
        timeout: kind.job_type.spec.timeout_s,
        input_file_size: mib(job.input_mib.unwrap_or(0)),
    }
}

/// The same in detail, with how it is executed and what it gave.
pub(in crate::api) fn execution(
    record: &ExecutionRecord,
    line: ExecutionLine,
    configuration: Value,
    output: Option<&JobOutput>,
) -> Execution {
    Execution {
        line,
        task_results: record.end.as_ref().map(|_| Map::new()),
        resources: Resources::from(&record.resources),
        configuration,
        output: output.map(Output::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ExeId, JobType, JobTypeId, JobTypeSpec, LaunchName, NodeId, NodeResources, Timestamp, Usage,
    };
    use crate::testing;
    use serde_json::json;

    #[test]
    fn a_failed_execution_shows_where_it_ran_and_why_it_failed() {
        let outcome = Outcome::Exited { code: 2 };
        let launch = LaunchName { exe: ExeId(9), number: 1 };
        let end = ExeEnd { launch, exe_num: 3, outcome, usage: Usage::default(), ended: Timestamp(4) };
        let job = testing::job();
        let record = ExecutionRecord {
            job: job.id,
            exe_num: 3,
            exe: ExeId(9),
            queued: Timestamp(2),
            started: Some(Timestamp(3)),
            node: Some(NodeId(5)),
            resources: NodeResources::new(),
            end: Some(end),
        };
        let spec = JobTypeSpec::new("count", "1.0");
        let at = Timestamp(0);
        let kind =
            JobType { id: JobTypeId(1), revision: 1, spec, created: at, last_modified: at, paused: None };
        let kind = Kind { job_type: &kind, details: None };
        let view = crate::engine::Engine::in_memory(crate::engine::Options::default()).view();
        let line = execution_line(&record, &job, kind, &view, "fw");
        let shown = serde_json::to_value(execution(&record, line, json!({}), None)).expect("JSON");
        assert_eq!(shown["error"]["name"], "exit-code");
        assert_eq!(shown["node"], json!({"id": 5, "hostname": "node-5"}));
        assert_eq!(shown["cluster_id"], "scale_job_fw_1x3");
        assert_eq!(shown["status"], "FAILED");
        assert_eq!(shown["ended"], "1970-01-01T00:00:00.000004Z");
        assert_eq!((&shown["task_results"], &shown["output"]), (&json!({}), &Value::Null));
    }
}
