//! Jobs and executions, in Scale's shapes.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Amounts, ErrorBase, Id, JobTypeBase, NodeBase, STANDARD, Time, revision_id};
use crate::engine::View;
use crate::launch::placeholders;
use crate::model::{ErrorId, ExeEnd, Job, JobStatus, JobType, JobTypeSpec, Outcome, Timestamp, cluster_id};

#[derive(Clone, Debug, Serialize)]
struct Revision {
    id: u64,
    job_type: JobTypeBase,
    revision_num: u32,
    docker_image: &'static str,
    created: Time,
    manifest: Value,
}

#[derive(Clone, Debug, Serialize)]
struct Event {
    id: u64,
    r#type: &'static str,
    occurred: Time,
}

#[derive(Clone, Debug, Serialize)]
struct Recipe {
    id: u64,
    recipe_type: (),
    recipe_type_rev: (),
    event: (),
}

#[derive(Clone, Debug, Serialize)]
struct Resources {
    resources: Amounts,
}

impl Resources {
    fn of(job: &Job) -> Self {
        Self { resources: Amounts::from(&*job.resources).with_all(&STANDARD) }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Data {
    files: Map<String, Value>,
    json: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
struct Configuration {
    mounts: Map<String, Value>,
    priority: i32,
    output_workspaces: Value,
    settings: Map<String, Value>,
}

/// Why an execution failed.
fn error(end: &ExeEnd, view: &View) -> Option<ErrorBase> {
    ErrorBase::of(ErrorId::of(&end.outcome)?, &end.outcome.to_string(), &view.catalog)
}

#[derive(Clone, Debug, Serialize)]
struct Execution {
    id: u64,
    status: JobStatusText,
    exe_num: u32,
    cluster_id: String,
    created: Option<Time>,
    queued: Option<Time>,
    started: Option<Time>,
    ended: Option<Time>,
    job: Id<u64>,
    node: Option<NodeBase>,
    error: Option<ErrorBase>,
    job_type: JobTypeBase,
    timeout: Option<u32>,
    input_file_size: f64,
    task_results: Option<Map<String, Value>>,
    resources: Resources,
    configuration: Value,
    output: (),
}

/// A status, in Scale's spelling.
#[derive(Clone, Copy, Debug)]
struct JobStatusText(JobStatus);

impl Serialize for JobStatusText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// A job in detail.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobDetails {
    id: u64,
    job_type: JobTypeBase,
    status: JobStatusText,
    job_type_rev: Revision,
    event: Event,
    ingest_event: (),
    recipe: Option<Recipe>,
    batch: (),
    is_superseded: bool,
    superseded_job: (),
    node: Option<NodeBase>,
    error: Option<ErrorBase>,
    max_tries: u16,
    num_exes: u32,
    input_file_size: (),
    input_files: Map<String, Value>,
    created: Time,
    queued: Option<Time>,
    started: Option<Time>,
    ended: Option<Time>,
    last_status_change: Time,
    superseded: (),
    last_modified: Time,
    source_started: (),
    source_ended: (),
    source_sensor_class: (),
    source_sensor: (),
    source_collection: (),
    source_task: (),
    superseded_by_job: (),
    resources: Resources,
    execution: Option<Execution>,
    input: Data,
    output: Data,
    configuration: Configuration,
}

/// `job` of type `kind`, with names from `view`; `framework` is the second part of cluster ids.
pub(in crate::api) fn job_details(job: &Job, kind: &JobType, view: &View, framework: &str) -> JobDetails {
    let base = JobTypeBase::new(kind, &view.catalog);
    let was_placed = !matches!(job.status, JobStatus::Pending | JobStatus::Blocked | JobStatus::Queued);
    let node = job.node.filter(|_| was_placed).map(|id| NodeBase::of(id, view));
    let failure =
        job.end.as_ref().filter(|_| job.status == JobStatus::Failed).and_then(|end| error(end, view));
    let ended = job.ended.filter(|_| job.status.is_final()).map(Time);
    JobDetails {
        id: job.id.0,
        job_type: base.clone(),
        status: JobStatusText(job.status),
        job_type_rev: Revision {
            id: revision_id(kind.id.0, job.revision),
            job_type: base,
            revision_num: job.revision,
            docker_image: "",
            created: Time(kind.created),
            manifest: manifest(&kind.spec),
        },
        event: Event { id: job.id.0, r#type: "USER", occurred: Time(job.created) },
        ingest_event: (),
        recipe: job.recipe.as_ref().map(|(id, _)| Recipe {
            id: id.0,
            recipe_type: (),
            recipe_type_rev: (),
            event: (),
        }),
        batch: (),
        is_superseded: false,
        superseded_job: (),
        node: node.clone(),
        error: failure,
        max_tries: job.max_tries,
        num_exes: job.num_exes,
        input_file_size: (),
        input_files: Map::new(),
        created: Time(job.created),
        queued: job.queued.map(Time),
        started: job.started.filter(|_| was_placed).map(Time),
        ended,
        last_status_change: Time(job.last_status_change),
        superseded: (),
        last_modified: Time(last_modified(job)),
        source_started: (),
        source_ended: (),
        source_sensor_class: (),
        source_sensor: (),
        source_collection: (),
        source_task: (),
        superseded_by_job: (),
        resources: Resources::of(job),
        execution: node.and_then(|node| execution(job, kind, node, view, framework)),
        input: Data { files: Map::new(), json: input(job) },
        output: Data { files: Map::new(), json: Map::new() },
        configuration: Configuration {
            mounts: Map::new(),
            priority: job.priority,
            output_workspaces: json!({"default": "", "outputs": {}}),
            settings: Map::new(),
        },
    }
}

fn last_modified(job: &Job) -> Timestamp {
    let times = [Some(job.last_status_change), job.queued, job.started, job.ended];
    times.into_iter().flatten().fold(job.created, Timestamp::max)
}

/// The newest execution of a job that was launched.
fn execution(job: &Job, kind: &JobType, node: NodeBase, view: &View, framework: &str) -> Option<Execution> {
    let exe = job.exe?;
    let end = job.end.as_ref().filter(|end| end.launch.exe == exe);
    let status = match end.map(|end| &end.outcome) {
        None => JobStatus::Running,
        Some(Outcome::Canceled) => JobStatus::Canceled,
        Some(outcome) if outcome.is_success() => JobStatus::Completed,
        Some(_) => JobStatus::Failed,
    };
    let env: Map<String, Value> =
        job.values.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
    Some(Execution {
        id: exe.0,
        status: JobStatusText(status),
        exe_num: job.num_exes,
        cluster_id: cluster_id(framework, job.id, job.num_exes),
        created: job.started.map(Time),
        queued: job.queued.map(Time),
        started: job.started.map(Time),
        ended: end.map(|end| Time(end.ended)),
        job: Id { id: job.id.0 },
        node: Some(node),
        error: end.and_then(|end| error(end, view)),
        job_type: JobTypeBase::new(kind, &view.catalog),
        timeout: kind.spec.timeout_s,
        input_file_size: 0.0,
        task_results: end.map(|_| Map::new()),
        resources: Resources::of(job),
        configuration: json!({
            "tasks": [{"type": "main", "args": kind.spec.command.join(" "), "env_vars": env}],
            "version": "2.0",
        }),
        output: (),
    })
}

/// What a Seed manifest would say of a job type.
pub(super) fn manifest(spec: &JobTypeSpec) -> Value {
    let texts = spec.command.iter().chain(spec.env.iter().map(|(_, text)| text)).map(String::as_str);
    let inputs = placeholders(texts).unwrap_or_default();
    let inputs: Vec<Value> =
        inputs.into_iter().map(|name| json!({"name": name, "type": "string", "required": true})).collect();
    let scalars: Vec<Value> = spec
        .resources
        .iter()
        .map(|(name, amount)| json!({"name": name.as_str(), "value": amount.as_f64()}))
        .collect();
    json!({
        "seedVersion": "1.0.0",
        "job": {
            "name": spec.name,
            "jobVersion": spec.version,
            "packageVersion": spec.version,
            "title": spec.title,
            "description": spec.description,
            "maintainer": {"name": "", "email": ""},
            "timeout": spec.timeout_s,
            "interface": {
                "command": spec.command.join(" "),
                "inputs": {"files": [], "json": inputs},
                "outputs": {"files": [], "json": []},
            },
            "resources": {"scalar": scalars},
        },
    })
}

fn input(job: &Job) -> Map<String, Value> {
    job.values.iter().map(|(name, text)| (name.clone(), from_text(text))).collect()
}

/// The text that is kept of an input.
pub(in crate::api) fn to_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The input that a text came from: JSON where the text is exactly what we write for it.
fn from_text(text: &str) -> Value {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return text.into() };
    let written = value.to_string();
    if written == text && !value.is_string() { value } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExeId, JobTypeId, LaunchName, NodeId, Usage};
    use crate::testing;
    use std::sync::Arc;

    #[test]
    fn inputs_come_back_as_they_were_given() {
        for json in [
            "3",
            "2.5",
            "true",
            "[1,2]",
            "{\"a\":1}",
            "null",
            "\"text\"",
            "\"\"",
            "\"03\"",
            "\"1e\"",
            "\"[\"",
        ] {
            let value: Value = serde_json::from_str(json).expect(json);
            assert_eq!(from_text(&to_text(&value)), value, "{json}");
        }
    }

    fn kind() -> JobType {
        let spec = JobTypeSpec::new("count", "1.0").command(["wc", "{file}"]);
        let at = Timestamp(0);
        JobType { id: JobTypeId(1), revision: 1, spec, created: at, last_modified: at, paused: None }
    }

    fn details(job: &Job) -> Value {
        let view = crate::engine::Engine::in_memory(crate::engine::Options::default()).view();
        serde_json::to_value(job_details(job, &kind(), &view, "fw")).expect("JSON")
    }

    #[test]
    fn a_failed_job_shows_its_execution_and_its_error() {
        let launch = LaunchName { exe: ExeId(9), number: 1 };
        let outcome = Outcome::Exited { code: 2 };
        let end = ExeEnd { launch, exe_num: 3, outcome, usage: Usage::default(), ended: Timestamp(4) };
        let job = Job {
            status: JobStatus::Failed,
            num_exes: 3,
            exe: Some(ExeId(9)),
            node: Some(NodeId(5)),
            started: Some(Timestamp(3)),
            ended: Some(Timestamp(4)),
            end: Some(end),
            values: Arc::new([("file".into(), "7".into())]),
            ..testing::job()
        };
        let shown = details(&job);
        assert_eq!(shown["error"]["name"], "exit-code");
        assert_eq!(shown["node"], json!({"id": 5, "hostname": "node-5"}));
        assert_eq!(shown["execution"]["cluster_id"], "scale_job_fw_1x3");
        assert_eq!(shown["execution"]["status"], "FAILED");
        assert_eq!(shown["execution"]["ended"], "1970-01-01T00:00:00.000004Z");
        assert_eq!(shown["execution"]["task_results"], json!({}));
        assert_eq!(shown["input"]["json"], json!({"file": 7}));
    }

    #[test]
    fn a_job_that_waits_again_shows_nothing_of_its_last_run() {
        let job = Job {
            status: JobStatus::Queued,
            num_exes: 2,
            exe: Some(ExeId(9)),
            node: Some(NodeId(5)),
            started: Some(Timestamp(3)),
            ..testing::job()
        };
        let shown = details(&job);
        for member in ["node", "execution", "started", "ended", "error"] {
            assert_eq!(shown[member], Value::Null, "{member}");
        }
    }
}
