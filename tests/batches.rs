//! Batches through the engine: recipes for the members of a data set, in steps that survive a restart; those of a
//! former batch made anew.

#[expect(dead_code, reason = "shared with tests/recipes.rs")]
#[path = "common/recipes.rs"]
mod kit;

use kit::{DONE, WAIT, job_node, job_type, job_type_of, recipe_node, recipe_type, run};
use serde_json::{Value, json};
use weighbridge::{
    BatchId, Dataset, Engine, FileId, FileRecord, JobStatus, NewBatch, NewBatchError, Options, RecipeQuery,
    RecipeTypeId, TicketError,
};

use JobStatus::{Canceled, Completed, Queued};

fn open(directory: &tempfile::TempDir) -> Engine {
    Engine::open(directory.path(), Options::default()).expect("a store")
}

/// A recipe type of one job that takes one file.
fn files(engine: &Engine) -> RecipeTypeId {
    let mut manifest = kit::manifest("reader", &[], &[]);
    manifest["job"]["interface"]["inputs"]["files"] = json!([{"name": "IN", "mediaTypes": ["text/plain"]}]);
    job_type_of(engine, "reader", &manifest);
    let input = json!({"IN": {"type": "recipe", "input": "F"}});
    let definition = json!({"input": {"files": [{"name": "F", "media_types": ["text/plain"]}]},
        "nodes": {"x": job_node("reader", &[], &input)}});
    recipe_type(engine, "files", &definition)
}

/// A data set of so many files for the parameter `P`.
fn dataset(engine: &Engine, n_files: u64) -> u64 {
    let file = |n: u64| {
        let file = FileRecord::new(format!("{n}.txt"), "text/plain", 1 << 20);
        engine.put_file(file).expect("room").wait_durable(WAIT).expect("a file")
    };
    let members: Vec<FileId> = (0..n_files).map(file).collect();
    engine.put_dataset(Dataset::new("set", "P", members)).expect("room").wait_durable(WAIT).expect("a set")
}

fn batch(engine: &Engine, kind: RecipeTypeId, definition: Value, priority: i32) -> BatchId {
    let mut new = NewBatch::new(kind, definition);
    new.configuration = json!({"priority": priority, "inputMap": [{"input": "F", "datasetParameter": "P"}]});
    engine.create_batch(new).expect("room").wait_durable(WAIT).expect("a batch")
}

fn refusal(engine: &Engine, new: NewBatch) -> NewBatchError {
    match engine.create_batch(new).expect("room").wait_durable(WAIT) {
        Err(TicketError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Makes all recipes that are still to be made.
fn make_all(engine: &Engine) {
    while engine.batch_step().expect("a step") {}
}

fn recipes(engine: &Engine, id: BatchId) -> Vec<weighbridge::RecipeView> {
    let mut query = RecipeQuery::new(1_000);
    query.batches = Some(vec![id]);
    engine.list_recipes(&query).recipes
}

#[test]
fn each_member_of_a_data_set_gets_a_recipe_also_after_a_restart_on_the_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = open(&directory);
    let (kind, set) = (files(&engine), dataset(&engine, 120));
    // The least number is a value like others.
    let id = batch(&engine, kind, json!({"dataset": set}), 0);
    let made = engine.batch(id).expect("there");
    assert_eq!((made.batch.recipes_estimated, made.recipes_total, made.jobs.total()), (120, 0, 0));
    assert_eq!(engine.batch_step(), Ok(true));
    engine.close().expect("closed");
    engine = open(&directory);
    let half = engine.batch(id).expect("there");
    assert!(!half.batch.is_creation_done && half.recipes_total == 50, "{half:?}");
    assert_eq!((half.jobs.total(), half.jobs.of(Queued)), (50, 50));
    make_all(&engine);
    let done = engine.batch(id).expect("there");
    assert!(done.batch.is_creation_done);
    assert_eq!((done.recipes_total, done.jobs.of(Queued)), (120, 120));
    let mut inputs: Vec<u64> =
        recipes(&engine, id).iter().flat_map(|view| &view.recipe.files).map(|file| file.id.0).collect();
    inputs.sort_unstable();
    assert_eq!(inputs, (1..=120).collect::<Vec<_>>());
    let queued = engine.queued(&[], 1_000);
    assert!(queued.len() == 120 && queued.iter().all(|entry| entry.priority == 0));
    // What ends is counted, by node as well, and stays so.
    let first = queued[0].job;
    run(&engine, first, DONE);
    engine.cancel(vec![queued[1].job]).expect("room").wait_durable(WAIT).expect("canceled");
    engine.close().expect("closed");
    engine = open(&directory);
    let done = engine.batch(id).expect("there");
    assert_eq!((done.jobs.of(Completed), done.jobs.of(Canceled), done.jobs.of(Queued)), (1, 1, 118));
    assert_eq!((done.recipes_completed, done.jobs.took.is_some()), (1, true));
    let nodes = engine.batch_nodes(id);
    assert_eq!((nodes[0].0.as_str(), nodes[0].1), ("x", done.jobs));
    engine.close().expect("closed");
}

#[test]
fn recipes_over_the_same_files_are_superseded_only_where_that_is_asked_for() {
    let engine = Engine::in_memory(Options::default());
    let (kind, set) = (files(&engine), dataset(&engine, 3));
    let first = batch(&engine, kind, json!({"dataset": set}), 5);
    make_all(&engine);
    let second = batch(&engine, kind, json!({"dataset": set}), 5);
    make_all(&engine);
    let is_superseded =
        |id| recipes(&engine, id).iter().filter(|view| view.recipe.superseded.is_some()).count();
    assert_eq!((is_superseded(first), is_superseded(second)), (0, 0));
    let third = batch(
        &engine,
        kind,
        json!({"dataset": set, "supersedes": true,
        "forced_nodes": {"all": true}}),
        5,
    );
    make_all(&engine);
    assert_eq!((is_superseded(first), is_superseded(second), is_superseded(third)), (3, 3, 0));
    let done = engine.batch(third).expect("there");
    assert!(done.batch.is_creation_done);
    assert_eq!((done.recipes_total, done.jobs.of(Queued)), (6, 6));
    assert_eq!(engine.batch(first).expect("there").jobs.of(Canceled), 3);
    engine.check_invariants();
}

#[test]
fn the_recipes_of_a_former_batch_are_made_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = open(&directory);
    let (kind, set) = (files(&engine), dataset(&engine, 4));
    let first = batch(&engine, kind, json!({"dataset": set}), 5);
    let previous = json!({"previous_batch": {"root_batch_id": first, "forced_nodes": {"all": true}}});
    assert_eq!(refusal(&engine, NewBatch::new(kind, previous.clone())), NewBatchError::StillCreating(first));
    make_all(&engine);
    let second = batch(&engine, kind, previous, 7);
    engine.close().expect("closed");
    engine = open(&directory);
    make_all(&engine);
    let done = engine.batch(second).expect("there");
    assert_eq!((done.batch.root, done.batch.superseded_batch), (first, Some(first)));
    assert_eq!((done.batch.recipes_estimated, done.recipes_total, done.jobs.of(Queued)), (4, 4, 4));
    assert!(done.batch.is_creation_done && engine.batch(first).expect("there").batch.superseded.is_some());
    assert!(recipes(&engine, second).iter().all(|view| view.recipe.superseded_recipe.is_some()));
    assert!(engine.queued(&[], 10).iter().all(|entry| entry.priority == 7));
    engine.close().expect("closed");
}

#[test]
fn batches_that_cannot_be_are_refused_with_a_word() {
    let engine = Engine::in_memory(Options::default());
    let (kind, set) = (files(&engine), dataset(&engine, 1));
    let check = |definition: Value, configuration: Value, expected: &str| {
        let mut new = NewBatch::new(kind, definition);
        new.configuration = configuration;
        let error = refusal(&engine, new).to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let mapped = json!({"inputMap": [{"input": "F", "datasetParameter": "P"}]});
    check(json!({}), json!({}), "Batch definition must result in creating at least one recipe");
    check(json!({"dataset": 9}), json!({}), "No data set with ID 9 exists");
    check(json!({"dataset": set}), json!({}), "No parameters in the dataset match the recipe type inputs. ");
    check(json!({"dataset": set, "more": 1}), mapped.clone(), "Invalid batch definition: ");
    check(json!({"dataset": set}), json!({"priority": "x"}), "Invalid batch configuration: ");
    let other = json!({"inputMap": [{"input": "F", "datasetParameter": "Q"}]});
    check(json!({"dataset": set}), other, "Q does not exist in the dataset parameter list");
    check(json!({"previous_batch": {"root_batch_id": 5}}), json!({}), "No batch with that root ID exists");
    let unknown = NewBatch::new(RecipeTypeId(9), json!({"dataset": set}));
    assert_eq!(refusal(&engine, unknown), NewBatchError::UnknownType(RecipeTypeId(9)));
    assert_eq!(engine.batch_step(), Ok(false));
}

#[test]
fn a_step_makes_fewer_recipes_where_they_are_large() {
    let engine = Engine::in_memory(Options::default());
    let set = dataset(&engine, 3);
    job_type(&engine, "plain", &[], &[]);
    let none = json!({});
    let of = |n: usize, node: &Value| -> serde_json::Map<String, Value> {
        (0..n).map(|n| (format!("n{n}"), node.clone())).collect()
    };
    let inner = of(60, &job_node("plain", &[], &none));
    recipe_type(&engine, "inner", &json!({"input": {}, "nodes": inner}));
    let outer = of(41, &recipe_node("inner", 1, &[], &none));
    let input = json!({"files": [{"name": "F", "media_types": ["text/plain"]}]});
    let kind = recipe_type(&engine, "outer", &json!({"input": input, "nodes": outer}));
    let id = batch(&engine, kind, json!({"dataset": set}), 5);
    for n in 1..=3 {
        assert_eq!(engine.batch_step(), Ok(true));
        let made = engine.batch(id).expect("there");
        assert_eq!((made.batch.recipes_estimated, made.recipes_total), (3 * 42, n * 42));
        assert_eq!(made.jobs.total(), n * 41 * 60);
    }
    make_all(&engine);
    assert!(engine.batch(id).expect("there").batch.is_creation_done);
}
