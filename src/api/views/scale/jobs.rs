//! Jobs, in Scale's shapes: as they stand in lists, and in detail.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::executions::{Execution, Output, error};
use super::{
    Amounts, BatchBase, ErrorBase, Id, JobTypeBase, NodeBase, RecipeTypeBase, STANDARD, Time, document,
    revision_id,
};
use crate::api::job_facts::JobFacts;
use crate::catalog::manifest::Manifest;
use crate::engine::View;
use crate::launch::placeholders;
use crate::model::{
    EventId, Job, JobStatus, JobType, JobTypeDetails, JobTypeRevision, JobTypeSpec, NodeResources, Outcome,
    Quantity, Timestamp, USER_EVENT,
};

/// A status, in Scale's spelling.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobStatusText(pub(super) JobStatus);

impl Serialize for JobStatusText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// A document that many answers share.
#[derive(Clone, Debug)]
pub(in crate::api) struct SharedDocument(pub(in crate::api) Arc<Value>);

impl Serialize for SharedDocument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A revision of a job type, in a list.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RevisionBase {
    id: u64,
    job_type: Id<u32>,
    revision_num: u32,
}

/// The same in detail.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Revision {
    id: u64,
    job_type: JobTypeBase,
    revision_num: u32,
    docker_image: String,
    created: Time,
    manifest: SharedDocument,
}

#[derive(Clone, Debug, Serialize)]
struct Event {
    id: u64,
    r#type: String,
    occurred: Time,
}

#[derive(Clone, Debug, Serialize)]
struct Recipe {
    id: u64,
    recipe_type: Option<RecipeTypeBase>,
    recipe_type_rev: Option<Id<u64>>,
    event: Option<Id<u64>>,
}

/// A job, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobBase {
    id: u64,
    job_type: Option<JobTypeBase>,
    status: JobStatusText,
}

impl JobBase {
    pub(in crate::api) fn new(job: &Job, view: &View) -> Self {
        let job_type = JobTypeBase::of(job.job_type, view);
        Self { id: job.id.0, job_type, status: JobStatusText(job.status) }
    }
}

/// What a set of resources is shown as.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Resources {
    resources: Amounts,
}

impl From<&NodeResources> for Resources {
    fn from(resources: &NodeResources) -> Self {
        Self { resources: Amounts::from(resources).with_all(&STANDARD) }
    }
}

/// A job as it stands in a list; `R` is what is shown of its revision.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobLine<R> {
    id: u64,
    job_type: JobTypeBase,
    status: JobStatusText,
    job_type_rev: R,
    event: Event,
    ingest_event: Option<Id<u64>>,
    recipe: Option<Recipe>,
    batch: Option<BatchBase>,
    is_superseded: bool,
    superseded_job: Option<JobBase>,
    node: Option<NodeBase>,
    error: Option<ErrorBase>,
    max_tries: u16,
    num_exes: u32,
    input_file_size: Option<f64>,
    input_files: Map<String, Value>,
    created: Time,
    queued: Option<Time>,
    started: Option<Time>,
    ended: Option<Time>,
    last_status_change: Option<Time>,
    superseded: Option<Time>,
    last_modified: Time,
    source_started: (),
    source_ended: (),
    source_sensor_class: (),
    source_sensor: (),
    source_collection: (),
    source_task: (),
}

/// A job in detail.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobDetails {
    #[serde(flatten)]
    line: JobLine<Revision>,
    superseded_by_job: Option<JobBase>,
    resources: Resources,
    execution: Option<Execution>,
    input: Value,
    output: Value,
    configuration: Value,
}

/// What a job type is shown with.
#[derive(Clone, Copy)]
pub(in crate::api) struct Kind<'k> {
    pub(in crate::api) job_type: &'k JobType,
    /// Of a type that was made from a manifest.
    pub(in crate::api) details: Option<&'k JobTypeDetails>,
}

impl<'k> Kind<'k> {
    /// As a view knows it.
    pub(in crate::api) fn of(job: &Job, view: &'k View) -> Option<Self> {
        let job_type = &view.job_type(job.job_type)?.job_type;
        Some(Self { job_type, details: view.catalog.job_type(job.job_type) })
    }

    fn base(&self) -> JobTypeBase {
        JobTypeBase::with(self.job_type, self.details)
    }
}

/// An input or output without anything in it.
fn no_data() -> Value {
    json!({ "files": {}, "json": {} })
}

/// Whole MiB, as a number with a fraction.
pub(super) fn mib(size: u64) -> f64 {
    u32::try_from(size).map_or(f64::MAX, f64::from)
}

impl<R> JobLine<R> {
    /// A job of which nothing but the event of its user is to be looked up.
    fn new(job: &Job, kind: Kind<'_>, revision: R) -> Self {
        let was_placed = !matches!(job.status, JobStatus::Pending | JobStatus::Blocked | JobStatus::Queued);
        Self {
            id: job.id.0,
            job_type: kind.base(),
            status: JobStatusText(job.status),
            job_type_rev: revision,
            event: Event { id: job.event().0, r#type: USER_EVENT.to_owned(), occurred: Time(job.created) },
            ingest_event: None,
            recipe: None,
            batch: None,
            is_superseded: job.superseded.is_some(),
            superseded_job: None,
            node: None,
            error: None,
            max_tries: job.max_tries,
            num_exes: job.num_exes,
            input_file_size: job.input_mib.map(mib),
            input_files: Map::new(),
            created: Time(job.created),
            queued: job.queued.map(Time),
            started: job.started.filter(|_| was_placed).map(Time),
            ended: ended(job).map(Time),
            last_status_change: job.changed().map(Time),
            superseded: job.superseded.map(Time),
            last_modified: Time(last_modified(job)),
            source_started: (),
            source_ended: (),
            source_sensor_class: (),
            source_sensor: (),
            source_collection: (),
            source_task: (),
        }
    }

    /// With what others say of it.
    fn with(mut self, job: &Job, facts: &JobFacts, view: &View) -> Self {
        let was_placed = matches!(job.status, JobStatus::Running | JobStatus::Failed | JobStatus::Completed);
        if let Some(event) = facts.event(job.event()) {
            self.event.r#type.clone_from(&event.kind);
            self.event.occurred = Time(event.occurred);
        }
        self.recipe = facts.recipe_of(job).map(|id| {
            let known = facts.recipe(id);
            Recipe {
                id: id.0,
                recipe_type: known.and_then(|recipe| RecipeTypeBase::of(recipe.recipe_type, &view.catalog)),
                recipe_type_rev: known
                    .map(|recipe| Id { id: revision_id(recipe.recipe_type.0, recipe.revision) }),
                event: known.map(|recipe| Id { id: recipe.event.0 }),
            }
        });
        let ingested = job.recipe.as_ref().and_then(|(id, _)| facts.recipe(*id)?.ingest_event);
        self.ingest_event = ingested.map(|EventId(id)| Id { id });
        self.input_files = facts.files(job);
        self.batch = job.batch.and_then(|batch| view.catalog.batch(batch)).map(BatchBase::from);
        self.superseded_job = facts.replaced_by(job).map(|old| JobBase::new(old, view));
        self.node = job.node.filter(|_| was_placed).map(|id| NodeBase::of(id, view));
        let end = job.end.as_ref().filter(|_| job.status == JobStatus::Failed);
        self.error = end.and_then(|end| error(end, view));
        self
    }
}

/// A job as it stands in a list.
pub(in crate::api) fn job_line(
    job: &Job,
    kind: Kind<'_>,
    facts: &JobFacts,
    view: &View,
) -> JobLine<RevisionBase> {
    let revision = RevisionBase {
        id: revision_id(job.job_type.0, job.revision),
        job_type: Id { id: job.job_type.0 },
        revision_num: job.revision,
    };
    JobLine::new(job, kind, revision).with(job, facts, view)
}

fn revision(
    job: &Job,
    kind: Kind<'_>,
    known: Option<&JobTypeRevision>,
    kept: Option<SharedDocument>,
) -> Revision {
    let image = kind.job_type.spec.image_in(known.map(|known| known.docker_image.as_str()));
    Revision {
        id: revision_id(job.job_type.0, job.revision),
        job_type: kind.base(),
        revision_num: job.revision,
        docker_image: image.unwrap_or_default().to_owned(),
        created: Time(known.map_or(kind.job_type.created, |known| known.created)),
        manifest: kept.unwrap_or_else(|| SharedDocument(Arc::new(manifest(&kind.job_type.spec)))),
    }
}

/// A job that was queued a moment ago: nothing of it has to be looked up. `files`: the names of those of its input.
pub(in crate::api) fn new_job(
    job: &Job,
    kind: Kind<'_>,
    known: Option<&JobTypeRevision>,
    manifest: Option<SharedDocument>,
    files: Map<String, Value>,
) -> JobDetails {
    let mut line = JobLine::new(job, kind, revision(job, kind, known, manifest));
    line.input_files = files;
    JobDetails {
        line,
        superseded_by_job: None,
        resources: Resources::from(&*job.resources),
        execution: None,
        input: match &job.given {
            Some(given) if job.values.is_empty() => document(&given.input),
            _ => input_of_values(job),
        },
        output: no_data(),
        configuration: configuration(job, kind),
    }
}

/// A job in detail, with all that was looked up for it.
pub(in crate::api) fn job_details(
    job: &Job,
    kind: Kind<'_>,
    known: Option<&JobTypeRevision>,
    manifest: Option<SharedDocument>,
    (facts, execution): (&JobFacts, Option<Execution>),
    view: &View,
) -> JobDetails {
    let line = JobLine::new(job, kind, revision(job, kind, known, manifest)).with(job, facts, view);
    let is_completed = job.status == JobStatus::Completed;
    let output = execution.as_ref().and_then(|execution| execution.output.as_ref()).filter(|_| is_completed);
    JobDetails {
        line,
        superseded_by_job: facts.replacing(job).map(|new| JobBase::new(new, view)),
        resources: Resources::from(&newest_ask(job, kind, view).unwrap_or_else(|| (*job.resources).clone())),
        input: if facts.input.is_empty() { input_of_values(job) } else { facts.input.to_value() },
        output: output.map_or_else(no_data, Output::data),
        configuration: configuration(job, kind),
        execution,
    }
}

/// What a job asks for by the newest revision of its type, where it asks for what an older one says.
fn newest_ask(job: &Job, kind: Kind<'_>, view: &View) -> Option<NodeResources> {
    let details = kind.details.filter(|details| details.revision != job.revision)?;
    let of = |manifest: &str| {
        let manifest = Manifest::read(&document(manifest)).ok()?;
        Some(manifest.resources(Quantity::whole(job.input_mib.unwrap_or_default())))
    };
    let older = |revision| of(&view.catalog.job_type_revision(job.job_type, revision)?.manifest);
    let is_of_type =
        || (1..details.revision).rev().any(|revision| older(revision).as_ref() == Some(&*job.resources));
    of(&details.manifest).filter(|_| is_of_type())
}

/// When a job ended by itself: being canceled is no end.
fn ended(job: &Job) -> Option<Timestamp> {
    match job.status {
        JobStatus::Failed | JobStatus::Completed => job.ended,
        JobStatus::Canceled => {
            let end = job.end.as_ref().filter(|end| Some(end.launch.exe) == job.exe)?;
            let came_before = end.outcome != Outcome::Canceled && end.ended < job.last_status_change;
            came_before.then_some(end.ended)
        }
        _ => None,
    }
}

fn last_modified(job: &Job) -> Timestamp {
    let times = [Some(job.last_status_change), job.queued, job.started, job.ended, job.superseded];
    times.into_iter().flatten().fold(job.created, Timestamp::max)
}

/// The configuration that a job was given, else that of its type.
fn configuration(job: &Job, kind: Kind<'_>) -> Value {
    let own = job.given.as_ref().map(|given| &given.configuration).filter(|text| !text.is_empty());
    if let Some(own) = own {
        return document(own);
    }
    let of_type = kind.details.map(|details| document(&details.configuration));
    let of_type = of_type.as_ref().and_then(Value::as_object);
    let member =
        |name: &str, default: Value| of_type.and_then(|all| all.get(name)).cloned().unwrap_or(default);
    json!({
        "mounts": member("mounts", json!({})),
        "priority": member("priority", job.priority.into()),
        "output_workspaces": member("output_workspaces", json!({ "default": "", "outputs": {} })),
        "settings": member("settings", json!({})),
    })
}

/// What a Seed manifest would say of a job type that was made without one.
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

fn input_of_values(job: &Job) -> Value {
    let values: Map<String, Value> =
        job.values.iter().map(|(name, text)| (name.clone(), from_text(text))).collect();
    json!({ "files": {}, "json": values })
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
    use crate::job::execution::value_text;
    use crate::model::{ExeId, JobTypeId, NodeId};
    use crate::testing;

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
            assert_eq!(from_text(&value_text(&value)), value, "{json}");
        }
    }

    #[test]
    fn a_job_that_waits_again_shows_nothing_of_its_last_run() {
        let job = Job {
            status: JobStatus::Queued,
            num_exes: 2,
            exe: Some(ExeId(9)),
            node: Some(NodeId(5)),
            started: Some(Timestamp(3)),
            values: Arc::new([("file".into(), "7".into())]),
            ..testing::job()
        };
        let spec = JobTypeSpec::new("count", "1.0").command(["wc", "{file}"]);
        let at = Timestamp(0);
        let kind =
            JobType { id: JobTypeId(1), revision: 1, spec, created: at, last_modified: at, paused: None };
        let kind = Kind { job_type: &kind, details: None };
        let view = crate::engine::Engine::in_memory(crate::engine::Options::default()).view();
        let facts = JobFacts::default();
        let shown = serde_json::to_value(job_details(&job, kind, None, None, (&facts, None), &view));
        let shown = shown.expect("JSON");
        for member in ["node", "execution", "started", "ended", "error"] {
            assert_eq!(shown[member], Value::Null, "{member}");
        }
        assert_eq!(shown["input"]["json"], json!({"file": 7}));
        assert_eq!(shown["event"]["id"], 2 * job.id.0);
    }
}
