//! Recipes of recipe types through the engine: from the first job to the last, with failures on the way.

use std::time::Duration;

use serde_json::{Value, json};
use weighbridge::{
    Engine, ErrorId, Job, JobId, JobStatus, JobTypeId, JobTypeSpec, NewJobType, NewRecipe, NewRecipeType,
    NodeId, NodeResources, Offer, Options, Outcome, RecipeId, RecipeNodeRow, RecipeTypeId, StatusUpdate,
    TaskState, Usage,
};

const WAIT: Duration = Duration::from_secs(10);

/// An engine with a job type without inputs, and one that takes and gives a number.
fn engine_in(directory: &std::path::Path) -> Engine {
    Engine::open(directory, Options::default()).expect("a store")
}

fn manifest(name: &str, inputs: &[&str], outputs: &[&str]) -> Value {
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

fn job_type(engine: &Engine, name: &str, inputs: &[&str], outputs: &[&str]) -> JobTypeId {
    let needs = NodeResources::new().cpus("1").expect("cpus").mem_mib(128);
    let new = NewJobType {
        spec: JobTypeSpec::new(name, "1.0.0").needs(needs),
        manifest: manifest(name, inputs, outputs).to_string().into(),
        docker_image: format!("{name}:1"),
        configuration: "{}".into(),
        is_published: false,
        icon_code: None,
        is_long_running: false,
    };
    engine.put_manifest(new).expect("room").wait_durable(WAIT).expect("a type")
}

fn job_node(name: &str, parents: &[&str], input: &Value) -> Value {
    let dependencies: Vec<Value> = parents.iter().map(|name| json!({"name": name})).collect();
    json!({"dependencies": dependencies, "input": input, "node_type": {"node_type": "job",
        "job_type_name": name, "job_type_version": "1.0.0", "job_type_revision": 1}})
}

fn recipe_type(engine: &Engine, name: &str, definition: &Value) -> RecipeTypeId {
    let new = NewRecipeType {
        name: name.to_owned(),
        title: name.to_owned(),
        description: String::new(),
        definition: definition.to_string().into(),
    };
    engine.create_recipe_type(new).expect("room").wait_durable(WAIT).expect("a recipe type")
}

fn recipe(engine: &Engine, kind: RecipeTypeId, input: Value) -> RecipeId {
    engine.queue_new_recipe(NewRecipe::new(kind, input)).expect("room").wait_durable(WAIT).expect("a recipe")
}

/// Jobs of a recipe, in the order of its definition.
fn jobs(engine: &Engine, recipe: RecipeId) -> Vec<Job> {
    let job = |row: &RecipeNodeRow| match row {
        RecipeNodeRow::Job { job, .. } => engine.job(*job),
        _ => None,
    };
    engine.recipe_nodes(recipe).iter().filter_map(job).collect()
}

fn statuses(engine: &Engine, recipe: RecipeId) -> Vec<JobStatus> {
    jobs(engine, recipe).iter().map(|job| job.status).collect()
}

/// Runs a queued job to an end.
fn run(engine: &Engine, job: JobId, outcome: Outcome) {
    let free = NodeResources::new().cpus("1000").expect("cpus").mem_mib(1 << 20);
    let mut picks = engine.offer(&Offer::new(NodeId(1), free));
    picks.retain(|pick| pick.job == job);
    let launches = picks.commit().wait(WAIT).expect("durable");
    let name = launches.first().unwrap_or_else(|| panic!("job {job} is not queued")).get().name;
    let state = TaskState::Ended { outcome, usage: Usage::default() };
    let update = StatusUpdate { name, state, when: engine.now() };
    engine.status(update).expect("room").wait_durable(WAIT).expect("taken");
}

const DONE: Outcome = Outcome::Exited { code: 0 };
const FAILED: Outcome = Outcome::Canceled;

use JobStatus::{Blocked, Canceled, Completed, Failed, Pending, Queued};

/// one -> two -> three, and par.
fn four(engine: &Engine) -> RecipeTypeId {
    job_type(engine, "plain", &[], &[]);
    let none = json!({});
    let definition = json!({"input": {}, "nodes": {
        "one": job_node("plain", &[], &none), "two": job_node("plain", &["one"], &none),
        "three": job_node("plain", &["two"], &none), "par": job_node("plain", &[], &none)}});
    recipe_type(engine, "four", &definition)
}

#[test]
fn jobs_are_blocked_by_a_failure_and_free_again_after_a_requeue() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    let kind = four(&engine);
    let id = recipe(&engine, kind, json!({}));
    assert_eq!(statuses(&engine, id), [Queued, Pending, Pending, Queued]);
    let [one, two, three, _] = jobs(&engine, id).iter().map(|job| job.id).collect::<Vec<_>>()[..] else {
        panic!("four")
    };
    run(&engine, one, FAILED);
    assert_eq!(statuses(&engine, id), [Failed, Blocked, Blocked, Queued]);
    engine.close().expect("closed");
    engine = engine_in(directory.path());
    assert_eq!(statuses(&engine, id), [Failed, Blocked, Blocked, Queued]);
    engine.requeue(vec![one], Some(3)).expect("room").wait_durable(WAIT).expect("queued");
    assert_eq!(statuses(&engine, id), [Queued, Pending, Pending, Queued]);
    assert_eq!(engine.queued(&[], 1)[0].priority, 3);
    engine.cancel(vec![two]).expect("room").wait_durable(WAIT).expect("canceled");
    assert_eq!(statuses(&engine, id), [Queued, Canceled, Blocked, Queued]);
    // A canceled job does not come back when what it waited for is done.
    run(&engine, one, DONE);
    assert_eq!(statuses(&engine, id), [Completed, Canceled, Blocked, Queued]);
    let requeued = engine.requeue(vec![two], None).expect("room").wait_durable(WAIT).expect("taken back");
    assert_eq!((requeued.n_queued, requeued.n_uncanceled), (0, 1));
    assert_eq!(statuses(&engine, id), [Completed, Queued, Pending, Queued]);
    engine.close().expect("closed");
    engine = engine_in(directory.path());
    run(&engine, two, DONE);
    run(&engine, three, DONE);
    let par = jobs(&engine, id)[3].id;
    assert!(engine.recipe_record(id).expect("on record").completed.is_none());
    run(&engine, par, DONE);
    assert_eq!(statuses(&engine, id), [Completed; 4]);
    assert!(engine.recipe_record(id).expect("on record").completed.is_some());
    let _ = ErrorId(1);
    engine.close().expect("closed");
}
