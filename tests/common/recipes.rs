//! Job types, recipe types and recipes for tests, and a machine that runs what a test says.

use std::time::Duration;

use serde_json::{Value, json};
use weighbridge::{
    Engine, Job, JobId, JobStatus, JobTypeId, JobTypeSpec, NewJobType, NewRecipe, NewRecipeType, NodeId,
    NodeResources, Offer, Outcome, RecipeId, RecipeNodeRow, RecipeTypeId, StatusUpdate, TaskState, Usage,
};

pub(crate) const WAIT: Duration = Duration::from_secs(10);

pub(crate) const DONE: Outcome = Outcome::Exited { code: 0 };

/// One that is not tried again.
pub(crate) const FAILED: Outcome = Outcome::Canceled;

pub(crate) fn manifest(name: &str, inputs: &[&str], outputs: &[&str]) -> Value {
    let numbers = |names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| json!({"name": name, "type": "integer", "required": true})).collect()
    };
    json!({"seedVersion": "1.0.0", "job": {
        "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": name, "description": "a test",
        "maintainer": {"name": "A. Nobody", "email": "nobody@example.com"}, "timeout": 3600,
        "interface": {"command": "run.sh", "inputs": {"files": [], "json": numbers(inputs)},
                      "outputs": {"files": [], "json": numbers(outputs)}},
        "resources": {"scalar": [{"name": "cpus", "value": 1.0}, {"name": "mem", "value": 128.0}]}}})
}

pub(crate) fn job_type_of(engine: &Engine, name: &str, manifest: &Value) -> JobTypeId {
    let needs = NodeResources::new().cpus("1").expect("cpus").mem_mib(128);
    let new = NewJobType {
        spec: JobTypeSpec::new(name, "1.0.0").needs(needs),
        manifest: manifest.to_string().into(),
        docker_image: format!("{name}:1"),
        configuration: "{}".into(),
        is_published: false,
        icon_code: None,
        is_long_running: false,
    };
    engine.put_manifest(new).expect("room").wait_durable(WAIT).expect("a type")
}

/// A job type that takes and gives numbers of those names.
pub(crate) fn job_type(engine: &Engine, name: &str, inputs: &[&str], outputs: &[&str]) -> JobTypeId {
    job_type_of(engine, name, &manifest(name, inputs, outputs))
}

fn dependencies(parents: &[&str]) -> Vec<Value> {
    parents.iter().map(|name| json!({"name": name})).collect()
}

pub(crate) fn job_node(name: &str, parents: &[&str], input: &Value) -> Value {
    json!({"dependencies": dependencies(parents), "input": input, "node_type": {"node_type": "job",
        "job_type_name": name, "job_type_version": "1.0.0", "job_type_revision": 1}})
}

pub(crate) fn recipe_node(name: &str, revision: u32, parents: &[&str], input: &Value) -> Value {
    json!({"dependencies": dependencies(parents), "input": input, "node_type": {"node_type": "recipe",
        "recipe_type_name": name, "recipe_type_revision": revision}})
}

pub(crate) fn recipe_type(engine: &Engine, name: &str, definition: &Value) -> RecipeTypeId {
    let new = NewRecipeType {
        name: name.to_owned(),
        title: name.to_owned(),
        description: String::new(),
        definition: definition.to_string().into(),
    };
    engine.create_recipe_type(new).expect("room").wait_durable(WAIT).expect("a recipe type")
}

pub(crate) fn recipe(engine: &Engine, kind: RecipeTypeId, input: Value) -> RecipeId {
    engine.queue_new_recipe(NewRecipe::new(kind, input)).expect("room").wait_durable(WAIT).expect("a recipe")
}

/// The job of each node of a recipe, in the order of its definition.
pub(crate) fn job_ids(engine: &Engine, recipe: RecipeId) -> Vec<JobId> {
    let job = |row: &RecipeNodeRow| match row {
        RecipeNodeRow::Job { job, .. } => Some(*job),
        _ => None,
    };
    engine.recipe_nodes(recipe).iter().filter_map(job).collect()
}

pub(crate) fn jobs(engine: &Engine, recipe: RecipeId) -> Vec<Job> {
    job_ids(engine, recipe).into_iter().filter_map(|id| engine.job(id)).collect()
}

pub(crate) fn statuses(engine: &Engine, recipe: RecipeId) -> Vec<JobStatus> {
    jobs(engine, recipe).iter().map(|job| job.status).collect()
}

/// Starts what is queued of these jobs.
pub(crate) fn start(engine: &Engine, job: JobId) {
    let free = NodeResources::new().cpus("100000").expect("cpus").mem_mib(1 << 27);
    let free = free.with("disk", "100000".parse().expect("a number")).expect("disk");
    let mut picks = engine.offer(&Offer::new(NodeId(1), free));
    picks.retain(|pick| pick.job == job);
    assert_eq!(picks.commit().wait(WAIT).expect("durable").len(), 1, "job {job} is not queued");
}

/// Ends the running execution of a job.
pub(crate) fn end(engine: &Engine, job: JobId, outcome: Outcome) {
    let name =
        engine.running().into_iter().find(|run| run.job == job && !run.is_canceled).expect("it runs").name;
    let state = TaskState::Ended { outcome, usage: Usage::default() };
    let update = StatusUpdate { name, state, when: engine.now() };
    engine.status(update).expect("room").wait_durable(WAIT).expect("taken");
}

/// Runs a queued job to an end.
pub(crate) fn run(engine: &Engine, job: JobId, outcome: Outcome) {
    start(engine, job);
    end(engine, job, outcome);
}
