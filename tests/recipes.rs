//! Recipes of recipe types through the engine: from the first job to the last, with failures on the way; made
//! anew in place of others.

#[path = "common/recipes.rs"]
mod kit;

use kit::{
    DONE, FAILED, WAIT, end, job_ids, job_node, job_type, job_type_of, jobs, recipe, recipe_node,
    recipe_type, run, start, statuses,
};
use serde_json::{Value, json};
use weighbridge::{
    CatalogError, Dataset, Doc, DocKey, Engine, FileId, JobId, JobStatus, NewRecipe, NewRecipeType, Options,
    Outcome, RecipeError, RecipeId, RecipeNodeRow, RecipeTypeChange, RecipeTypeId, Reprocess, StatusUpdate,
    TaskState, TicketError, Usage, kind,
};

use JobStatus::{Blocked, Canceled, Completed, Failed, Pending, Queued};

fn engine_in(directory: &std::path::Path) -> Engine {
    Engine::open(directory, Options::default()).expect("a store")
}

/// one -> two -> three, and par.
fn four(engine: &Engine) -> RecipeTypeId {
    job_type(engine, "plain", &[], &[]);
    let none = json!({});
    let definition = json!({"input": {}, "nodes": {
        "one": job_node("plain", &[], &none), "two": job_node("plain", &["one"], &none),
        "three": job_node("plain", &["two"], &none), "par": job_node("plain", &[], &none)}});
    recipe_type(engine, "four", &definition)
}

fn reprocess(engine: &Engine, id: RecipeId, forced: Value) -> Result<RecipeId, RecipeError> {
    let ticket = engine.reprocess(Reprocess::new(id, forced)).expect("room");
    ticket.wait_durable(WAIT).map_err(|error| match error {
        TicketError::Refused(error) => error,
        other => panic!("{other}"),
    })
}

fn requeue(engine: &Engine, jobs: Vec<JobId>) {
    engine.requeue(jobs, None).expect("room").wait_durable(WAIT).expect("taken");
}

/// Runs a queued job to its end, with what it gave.
fn give(engine: &Engine, job: JobId, output: &Value) {
    start(engine, job);
    let name = engine.running().into_iter().find(|run| run.job == job).expect("it runs").name;
    let state = TaskState::Ended { outcome: DONE, usage: Usage::default() };
    let update = StatusUpdate { name, state, when: engine.now() };
    engine.status_with_output(update, output).expect("room").wait_durable(WAIT).expect("taken");
}

fn input_of(engine: &Engine, job: JobId) -> Value {
    match engine.doc(DocKey { kind: kind::JOB_INPUT, id: job.0, sub: 0 }).as_deref() {
        Some(Doc::JobInput(doc)) => serde_json::from_str(&doc.input).expect("JSON"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn jobs_are_blocked_by_a_failure_and_free_again_after_a_requeue() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    let kind_of = four(&engine);
    let id = recipe(&engine, kind_of, json!({}));
    assert_eq!(statuses(&engine, id), [Queued, Pending, Pending, Queued]);
    let [one, two, three, _] = job_ids(&engine, id)[..] else { panic!("four") };
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
    let par = job_ids(&engine, id)[3];
    assert!(engine.recipe_record(id).expect("on record").completed.is_none());
    run(&engine, par, DONE);
    assert_eq!(statuses(&engine, id), [Completed; 4]);
    assert!(engine.recipe_record(id).expect("on record").completed.is_some());
    let counts = engine.recipe(id).expect("on record").counts;
    assert_eq!((counts.jobs_total(), counts.of(Completed)), (4, 4));
    engine.close().expect("closed");
}

/// A recipe with a sub-recipe of three jobs in a row, and a job behind that.
fn nested(engine: &Engine) -> RecipeTypeId {
    job_type(engine, "plain", &[], &[]);
    let none = json!({});
    let inner = json!({"input": {}, "nodes": {"a": job_node("plain", &[], &none),
        "b": job_node("plain", &["a"], &none), "c": job_node("plain", &["b"], &none)}});
    recipe_type(engine, "inner", &inner);
    let outer = json!({"input": {}, "nodes": {"first": job_node("plain", &[], &none),
        "sub": recipe_node("inner", 1, &[], &none), "last": job_node("plain", &["sub", "first"], &none)}});
    recipe_type(engine, "outer", &outer)
}

/// What a recipe type is from now on.
fn revise(engine: &Engine, id: RecipeTypeId, definition: &Value) {
    let change = RecipeTypeChange { definition: Some(definition.to_string().into()), ..Default::default() };
    engine.edit_recipe_type(id, change).expect("room").wait_durable(WAIT).expect("a revision");
}

fn sub_recipe(engine: &Engine, id: RecipeId) -> RecipeId {
    let sub = engine.recipe_nodes(id).iter().find_map(|row| match row {
        RecipeNodeRow::Recipe { recipe, .. } => Some(*recipe),
        _ => None,
    });
    sub.expect("a sub-recipe")
}

#[test]
fn jobs_behind_a_canceled_one_within_a_sub_recipe_come_back_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = engine_in(directory.path());
    let kind_of = nested(&engine);
    let id = recipe(&engine, kind_of, json!({}));
    let sub = sub_recipe(&engine, id);
    let [a, b, c] = job_ids(&engine, sub)[..] else { panic!("three") };
    assert_eq!(statuses(&engine, sub), [Queued, Pending, Pending]);
    engine.cancel(vec![a]).expect("room").wait_durable(WAIT).expect("canceled");
    assert_eq!(statuses(&engine, sub), [Canceled, Blocked, Blocked]);
    assert_eq!(statuses(&engine, id), [Queued, Blocked], "the job behind the sub-recipe");
    requeue(&engine, vec![a]);
    assert_eq!(statuses(&engine, sub), [Queued, Pending, Pending]);
    assert_eq!(statuses(&engine, id), [Queued, Pending]);
    for job in [a, b, c] {
        run(&engine, job, DONE);
    }
    let [first, last] = job_ids(&engine, id)[..] else { panic!("two") };
    run(&engine, first, DONE);
    let counts = engine.recipe(id).expect("there").counts;
    assert_eq!((counts.jobs_total(), counts.sub_recipes, counts.sub_recipes_completed), (5, 1, 1));
    run(&engine, last, DONE);
    assert!(engine.recipe(id).expect("there").recipe.completed.is_some());
    engine.check_invariants();
    engine.close().expect("closed");
}

#[test]
fn what_is_forced_is_run_again_and_the_rest_is_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    let kind_of = four(&engine);
    let old = recipe(&engine, kind_of, json!({}));
    let [one, two, three, par] = job_ids(&engine, old)[..] else { panic!("four") };
    run(&engine, one, DONE);
    start(&engine, two);
    let new = reprocess(&engine, old, json!({"all": false, "nodes": ["two"]})).expect("made anew");
    engine.close().expect("closed");
    engine = engine_in(directory.path());
    let [same, again, next, kept] = job_ids(&engine, new)[..] else { panic!("four") };
    assert_eq!((same, kept), (one, par));
    assert_eq!(statuses(&engine, new), [Completed, Queued, Pending, Queued]);
    for job in [two, three] {
        let job = engine.job(job).expect("there");
        assert!(job.status == Canceled && job.superseded.is_some(), "{job:?}");
    }
    let rows = engine.recipe_nodes(new);
    let is_original = |row: &RecipeNodeRow| matches!(row, RecipeNodeRow::Job { is_original: true, .. });
    assert_eq!(rows.iter().map(is_original).collect::<Vec<_>>(), [false, true, true, false]);
    let record = engine.recipe_record(old).expect("there");
    assert!(record.superseded.is_some() && record.superseded_by == Some(new));
    let record = engine.recipe_record(new).expect("there");
    assert_eq!((record.superseded_recipe, record.root_superseded), (Some(old), Some(old)));
    let counts = engine.recipe(new).expect("there").counts;
    assert_eq!((counts.jobs_total(), counts.of(Completed), counts.of(Pending)), (4, 1, 1));
    // Neither is brought back, and a recipe is superseded once.
    requeue(&engine, vec![two, three]);
    assert_eq!(statuses(&engine, old), [Completed, Canceled, Canceled, Queued]);
    assert_eq!(reprocess(&engine, old, json!({"all": true})), Err(RecipeError::Superseded(old)));
    for job in [par, again, next] {
        run(&engine, job, DONE);
    }
    assert!(engine.recipe_record(new).expect("there").completed.is_some());
    // The job that was taken over is counted where it was before, too.
    let counts = engine.recipe(old).expect("there").counts;
    assert_eq!((counts.of(Completed), counts.of(Canceled), counts.of(Queued)), (2, 2, 0));
    engine.check_invariants();
    engine.close().expect("closed");
}

/// a gives a number, which b takes.
fn numbers(engine: &Engine) -> RecipeTypeId {
    job_type(engine, "number", &["N"], &["N"]);
    let from_recipe = json!({"N": {"type": "recipe", "input": "N"}});
    let from_a = json!({"N": {"type": "dependency", "node": "a", "output": "N"}});
    let definition = json!({"input": {"json": [{"name": "N", "type": "integer"}]}, "nodes": {
        "a": job_node("number", &[], &from_recipe), "b": job_node("number", &["a"], &from_a)}});
    recipe_type(engine, "numbers", &definition)
}

#[test]
fn a_completed_recipe_is_made_anew_with_what_its_jobs_gave() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    let kind_of = numbers(&engine);
    let old = recipe(&engine, kind_of, json!({"json": {"N": 1}}));
    let [a, b] = job_ids(&engine, old)[..] else { panic!("two") };
    give(&engine, a, &json!({"json": {"N": 7}}));
    give(&engine, b, &json!({"json": {"N": 8}}));
    assert!(engine.recipe_record(old).expect("there").completed.is_some());
    engine.close().expect("closed");
    // Nothing of it is in memory any more.
    engine = engine_in(directory.path());
    let new = reprocess(&engine, old, json!({"all": false, "nodes": ["b"]})).expect("made anew");
    let [same, again] = job_ids(&engine, new)[..] else { panic!("two") };
    assert_eq!((same, engine.job(again).expect("there").status), (a, Queued));
    assert_eq!(input_of(&engine, again)["json"], json!({"N": 7}));
    assert!(engine.job(b).expect("there").superseded.is_some());
    assert_eq!(engine.job(b).expect("there").status, Completed, "what is completed stays so");
    // What was taken over is there after a restart as well.
    requeue(&engine, vec![again]);
    let third = reprocess(&engine, new, json!({"all": false})).expect("made anew");
    engine.close().expect("closed");
    engine = engine_in(directory.path());
    assert_eq!(job_ids(&engine, third), [a, again]);
    give(&engine, again, &json!({"json": {"N": 9}}));
    assert!(engine.recipe_record(third).expect("there").completed.is_some());
    engine.check_invariants();
    engine.close().expect("closed");
}

#[test]
fn sub_recipes_are_compared_in_turn_and_only_the_outermost_is_made_anew() {
    let engine = Engine::in_memory(Options::default());
    let kind_of = nested(&engine);
    let old = recipe(&engine, kind_of, json!({}));
    let sub = sub_recipe(&engine, old);
    let [a, b, _] = job_ids(&engine, sub)[..] else { panic!("three") };
    run(&engine, a, DONE);
    let refused = reprocess(&engine, sub, json!({"all": true}));
    assert_eq!(refused, Err(RecipeError::IsNode { id: sub, root: old }));
    // Without a word of it, it goes on in the new one.
    let second = reprocess(&engine, old, json!({"all": false})).expect("made anew");
    assert_eq!(sub_recipe(&engine, second), sub);
    assert_eq!(engine.recipe_record(sub).expect("there").parent, Some(second));
    // One node within it.
    let within = json!({"all": false, "sub_recipes": {"sub": {"all": false, "nodes": ["b"]}}});
    let third = reprocess(&engine, second, within).expect("made anew");
    let new_sub = sub_recipe(&engine, third);
    let ids = job_ids(&engine, new_sub);
    assert!(new_sub != sub && ids[0] == a && ids[1] != b, "{ids:?}");
    assert_eq!(statuses(&engine, new_sub), [Completed, Queued, Pending]);
    let record = engine.recipe_record(sub).expect("there");
    assert!(record.superseded.is_some() && record.superseded_by == Some(new_sub), "{record:?}");
    assert_eq!(engine.recipe_record(new_sub).expect("there").superseded_recipe, Some(sub));
    // All of it, behind a node that is forced.
    let fourth = reprocess(&engine, third, json!({"all": true})).expect("made anew");
    let last_sub = sub_recipe(&engine, fourth);
    assert_eq!(statuses(&engine, last_sub), [Queued, Pending, Pending]);
    assert!(jobs(&engine, new_sub).iter().all(|job| job.superseded.is_some()));
    assert!(engine.recipe_record(new_sub).expect("there").superseded.is_some());
    let counts = engine.recipe(fourth).expect("there").counts;
    assert_eq!((counts.jobs_total(), counts.sub_recipes), (5, 1));
    engine.check_invariants();
}

#[test]
fn a_new_revision_changes_adds_and_drops_nodes() {
    let engine = Engine::in_memory(Options::default());
    let kind_of = four(&engine);
    job_type(&engine, "other", &[], &[]);
    let old = recipe(&engine, kind_of, json!({}));
    let [one, two, three, par] = job_ids(&engine, old)[..] else { panic!("four") };
    let none = json!({});
    // `two` is of another type, so `three` changed too; `par` is no more; `new` was not.
    let definition = json!({"input": {}, "nodes": {
        "one": job_node("plain", &[], &none), "two": job_node("other", &["one"], &none),
        "three": job_node("plain", &["two"], &none), "new": job_node("plain", &[], &none)}});
    revise(&engine, kind_of, &definition);
    let new = reprocess(&engine, old, json!({"all": false})).expect("made anew");
    let ids = job_ids(&engine, new);
    assert!(ids[0] == one && !ids[1..].iter().any(|id| [two, three, par].contains(id)), "{ids:?}");
    assert_eq!(statuses(&engine, new), [Queued, Pending, Pending, Queued]);
    assert_eq!(statuses(&engine, old), [Queued, Canceled, Canceled, Canceled]);
    assert_eq!(engine.recipe_record(new).expect("there").revision, 2);
}

#[test]
fn what_cannot_be_made_anew_is_refused_and_nothing_changes() {
    let engine = Engine::in_memory(Options::default());
    let kind_of = numbers(&engine);
    let old = recipe(&engine, kind_of, json!({"json": {"N": 1}}));
    let invalid = |forced: Value| match reprocess(&engine, old, forced) {
        Err(RecipeError::InvalidNodes(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(invalid(json!({})).contains("'all' is a required property"));
    assert!(invalid(json!({"all": false, "nodes": ["x"]})).contains("top level node with name: x"));
    let within = json!({"all": false, "sub_recipes": {"a": {"all": true}}});
    assert!(invalid(within).contains("Sub-recipe node a is not a recipe node"));
    let unknown = RecipeId(99);
    assert_eq!(reprocess(&engine, unknown, json!({"all": true})), Err(RecipeError::Unknown(unknown)));
    // The next revision takes one number more, which the old input does not have.
    let more = json!({"N": {"type": "recipe", "input": "M"}});
    let definition = json!({"input": {"json": [{"name": "M", "type": "integer"}]},
        "nodes": {"a": job_node("number", &[], &more)}});
    revise(&engine, kind_of, &definition);
    let refused = reprocess(&engine, old, json!({"all": false}));
    assert!(matches!(refused, Err(RecipeError::Incompatible { .. })), "{refused:?}");
    assert_eq!(statuses(&engine, old), [Queued, Pending]);
    assert!(engine.recipe_record(old).expect("there").superseded.is_none());
}

#[test]
fn an_input_that_its_job_does_not_take_cancels_the_job() {
    let engine = Engine::in_memory(Options::default());
    let kind_of = numbers(&engine);
    let id = recipe(&engine, kind_of, json!({"json": {"N": 1}}));
    let [a, b] = job_ids(&engine, id)[..] else { panic!("two") };
    // It gives no number.
    give(&engine, a, &json!({"json": {}}));
    assert_eq!(engine.job(b).expect("there").status, Canceled);
    assert_eq!(engine.recipe(id).expect("there").counts.of(Canceled), 1);
}

#[test]
fn a_recipe_after_another_one_has_its_input_and_leaves_its_jobs_alone() {
    let engine = Engine::in_memory(Options::default());
    let kind_of = numbers(&engine);
    let old = recipe(&engine, kind_of, json!({"json": {"N": 4}}));
    let mut new = NewRecipe::new(kind_of, json!({}));
    new.superseded_recipe = Some(old);
    let again = new.clone();
    let id = engine.queue_new_recipe_for_user(new).expect("room").wait_durable(WAIT).expect("a recipe");
    let record = engine.recipe_record(id).expect("there");
    assert_eq!((record.superseded_recipe, record.root_superseded), (Some(old), Some(old)));
    assert_eq!(record.input, engine.recipe_record(old).expect("there").input);
    assert_eq!(statuses(&engine, id), [Queued, Pending]);
    assert_eq!(statuses(&engine, old), [Queued, Pending]);
    let record = engine.recipe_record(old).expect("there");
    assert!(record.superseded.is_none() && record.superseded_by == Some(id));
    let refused = engine.queue_new_recipe(again).expect("room").wait_durable(WAIT);
    assert_eq!(refused, Err(TicketError::Refused(RecipeError::Superseded(old))));
}

#[test]
fn a_recipe_may_have_more_nodes_than_an_event() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    job_type(&engine, "plain", &[], &[]);
    let none = json!({});
    let mut nodes = serde_json::Map::new();
    nodes.insert("root".into(), job_node("plain", &[], &none));
    for n in 0..2_500 {
        nodes.insert(format!("n{n}"), job_node("plain", &["root"], &none));
    }
    let kind_of = recipe_type(&engine, "wide", &json!({"input": {}, "nodes": nodes}));
    let id = recipe(&engine, kind_of, json!({}));
    let ids = job_ids(&engine, id);
    assert_eq!(ids.len(), 2_501);
    run(&engine, ids[0], FAILED);
    assert_eq!(engine.recipe(id).expect("there").counts.of(Blocked), 2_500);
    let new = reprocess(&engine, id, json!({"all": true})).expect("made anew");
    engine.close().expect("closed");
    engine = engine_in(directory.path());
    assert_eq!(engine.recipe(id).expect("there").counts.of(Canceled), 2_501);
    let counts = engine.recipe(new).expect("there").counts;
    assert_eq!((counts.of(Queued), counts.of(Pending)), (1, 2_500));
    run(&engine, job_ids(&engine, new)[0], DONE);
    assert_eq!(engine.recipe(new).expect("there").counts.of(Queued), 2_500);
    engine.check_invariants();
    engine.close().expect("closed");
}

/// Events of the end of one job of a recipe with so many nodes, that two others wait for.
fn events_of_an_end(n_nodes: usize) -> u64 {
    let engine = Engine::in_memory(Options::default());
    job_type(&engine, "plain", &[], &[]);
    let none = json!({});
    let mut nodes = serde_json::Map::new();
    for n in 0..n_nodes {
        let parent = format!("n{}", n / 2);
        let parents: &[&str] = if n < 2 { &[] } else { &[&parent] };
        nodes.insert(format!("n{n}"), job_node("plain", parents, &none));
    }
    let kind_of = recipe_type(&engine, "tree", &json!({"input": {}, "nodes": nodes}));
    let id = recipe(&engine, kind_of, json!({}));
    let job = job_ids(&engine, id)[1];
    start(&engine, job);
    let before = engine.durable();
    end(&engine, job, DONE);
    assert_eq!(engine.recipe(id).expect("there").counts.of(Queued), 3);
    engine.durable().0 - before.0
}

#[test]
fn the_end_of_a_job_costs_its_children_however_large_the_recipe_is() {
    let small = events_of_an_end(10);
    // Its end; the inputs of two, and both are queued.
    assert_eq!(small, 4);
    assert_eq!(events_of_an_end(3_000), small);
}

#[test]
fn outcomes_that_are_tried_again_do_not_block() {
    let engine = Engine::in_memory(Options::default());
    let kind_of = four(&engine);
    let id = recipe(&engine, kind_of, json!({}));
    let one = job_ids(&engine, id)[0];
    run(&engine, one, Outcome::Exited { code: 1 });
    assert_eq!(statuses(&engine, id), [Queued, Pending, Pending, Queued]);
}

/// Texts of those names, as parameters.
fn texts(names: &[String]) -> Value {
    names.iter().map(|name| json!({"name": name, "type": "string"})).collect()
}

/// A job type that takes so many texts and gives one, `S`; and connections of all it takes to one value.
fn taker(engine: &Engine, name: &str, n_inputs: usize, from: &Value) -> Value {
    let names: Vec<String> = (0..n_inputs).map(|n| format!("I{n}")).collect();
    let mut manifest = kit::manifest(name, &[], &[]);
    manifest["job"]["interface"]["inputs"]["json"] = texts(&names);
    manifest["job"]["interface"]["outputs"]["json"] = texts(&["S".to_owned()]);
    job_type_of(engine, name, &manifest);
    names.into_iter().map(|name| (name, from.clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn an_input_that_is_composed_of_more_than_may_be_kept_cancels_its_job() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    let given = json!({"type": "recipe", "input": "S"});
    let one = taker(&engine, "one", 1, &given);
    let many = taker(&engine, "many", 70, &given);
    let from_one = taker(&engine, "others", 70, &json!({"type": "dependency", "node": "one", "output": "S"}));
    let definition = json!({"input": {"json": [{"name": "S", "type": "string"}]}, "nodes": {
        "one": job_node("one", &[], &one), "many": job_node("many", &[], &many),
        "others": job_node("others", &["one"], &from_one)}});
    let kind_of = recipe_type(&engine, "texts", &definition);
    let text = "s".repeat(1_000_000);
    let id = recipe(&engine, kind_of, json!({"json": {"S": text}}));
    let [one, ..] = job_ids(&engine, id)[..] else { panic!("three") };
    assert_eq!(statuses(&engine, id), [Queued, Canceled, Pending]);
    give(&engine, one, &json!({"json": {"S": text}}));
    assert_eq!(statuses(&engine, id), [Completed, Canceled, Canceled]);
    engine.close().expect("closed");
    engine = engine_in(directory.path());
    assert_eq!(statuses(&engine, id), [Completed, Canceled, Canceled]);
    engine.check_invariants();
    engine.close().expect("closed");
}

#[test]
fn a_sub_recipe_that_cannot_have_its_input_is_canceled_and_a_condition_accepts_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    job_type(&engine, "plain", &[], &[]);
    let names = ["A", "B"].map(str::to_owned);
    let none = json!({});
    let innermost = json!({"input": {}, "nodes": {"z": job_node("plain", &[], &none)}});
    recipe_type(&engine, "innermost", &innermost);
    let inner = json!({"input": {"json": texts(&names)}, "nodes": {"x": job_node("plain", &[], &none),
        "y": job_node("plain", &["x"], &none), "sub": recipe_node("innermost", 1, &[], &none)}});
    recipe_type(&engine, "inner", &inner);
    let input = json!({"A": {"type": "recipe", "input": "S"}, "B": {"type": "recipe", "input": "S"}});
    let filter = json!({"filters": [{"name": "A", "type": "string", "condition": "!=", "values": [""]}]});
    let condition = json!({"dependencies": [], "input": input, "node_type": {"node_type": "condition",
        "interface": {"files": [], "json": texts(&names)}, "data_filter": filter}});
    let outer = json!({"input": {"json": [{"name": "S", "type": "string"}]}, "nodes": {
        "sub": recipe_node("inner", 1, &[], &input), "last": job_node("plain", &["sub"], &none),
        "if": condition, "then": job_node("plain", &["if"], &none)}});
    let kind_of = recipe_type(&engine, "outer", &outer);
    let short = recipe(&engine, kind_of, json!({"json": {"S": "s"}}));
    let sub = sub_recipe(&engine, short);
    assert_eq!(
        (statuses(&engine, short), statuses(&engine, sub)),
        (vec![Pending, Queued], vec![Queued, Pending])
    );
    let long = recipe(&engine, kind_of, json!({"json": {"S": "s".repeat(600_000)}}));
    for _ in 0..2 {
        let sub = sub_recipe(&engine, long);
        assert_eq!((statuses(&engine, long), statuses(&engine, sub)), (vec![Blocked], vec![Canceled; 2]));
        assert_eq!(statuses(&engine, sub_recipe(&engine, sub)), [Canceled]);
        engine.check_invariants();
        engine.close().expect("closed");
        engine = engine_in(directory.path());
    }
    engine.close().expect("closed");
}

#[test]
fn a_data_set_has_no_more_files_than_an_event_holds() {
    let engine = Engine::in_memory(Options::default());
    let set = |n| Dataset::new("set", "P", vec![FileId(1); n]);
    let refused = engine.put_dataset(set(1_000_001)).expect("room").wait_durable(WAIT);
    let too_many = CatalogError::TooManyFiles { files: 1_000_001 };
    assert_eq!(refused, Err(TicketError::Refused(too_many)));
    engine.put_dataset(set(1_000_000)).expect("room").wait_durable(WAIT).expect("a set");
}

#[test]
fn what_a_job_gave_is_there_for_those_behind_it_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    job_type(&engine, "number", &["N"], &["N"]);
    job_type(&engine, "plain", &[], &[]);
    let from_recipe = json!({"N": {"type": "recipe", "input": "N"}});
    let from_a = json!({"N": {"type": "dependency", "node": "a", "output": "N"}});
    let definition = json!({"input": {"json": [{"name": "N", "type": "integer"}]}, "nodes": {
        "a": job_node("number", &[], &from_recipe), "p": job_node("plain", &[], &json!({})),
        "b": job_node("number", &["a", "p"], &from_a)}});
    let kind_of = recipe_type(&engine, "numbers", &definition);
    let id = recipe(&engine, kind_of, json!({"json": {"N": 1}}));
    let [a, p, b] = job_ids(&engine, id)[..] else { panic!("three") };
    give(&engine, a, &json!({"json": {"N": 7}}));
    // The second time from the state file alone.
    for _ in 0..2 {
        engine.close().expect("closed");
        engine = engine_in(directory.path());
    }
    run(&engine, p, DONE);
    assert_eq!(statuses(&engine, id), [Completed, Completed, Queued]);
    assert_eq!(input_of(&engine, b)["json"], json!({"N": 7}));
    engine.close().expect("closed");
}

#[test]
fn recipe_types_that_hold_later_ones_are_there_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut engine = engine_in(directory.path());
    job_type(&engine, "plain", &[], &[]);
    let none = json!({});
    let of = |nodes: Value| json!({"input": {}, "nodes": nodes});
    let single = of(json!({"x": job_node("plain", &[], &none)}));
    let kinds = ["first", "second", "third"].map(|name| recipe_type(&engine, name, &single));
    // The first holds the second, which holds the third: each was made after what holds it.
    let with = |name: &str, revision: u32| {
        of(json!({"x": job_node("plain", &[], &none), "sub": recipe_node(name, revision, &["x"], &none)}))
    };
    revise(&engine, kinds[1], &with("third", 1));
    revise(&engine, kinds[0], &with("second", 2));
    let id = recipe(&engine, kinds[0], none.clone());
    // The second time from the state file alone.
    for _ in 0..2 {
        engine.close().expect("closed");
        engine = engine_in(directory.path());
    }
    engine.check_invariants();
    run(&engine, job_ids(&engine, id)[0], DONE);
    let second = sub_recipe(&engine, id);
    run(&engine, job_ids(&engine, second)[0], DONE);
    let third = sub_recipe(&engine, second);
    run(&engine, job_ids(&engine, third)[0], DONE);
    assert!(engine.recipe_record(id).expect("there").completed.is_some());
    let another = recipe(&engine, kinds[0], none.clone());
    assert_eq!(statuses(&engine, another), [Queued]);
    engine.close().expect("closed");
}

#[test]
fn a_definition_that_refers_to_what_is_not_there_is_refused() {
    let engine = Engine::in_memory(Options::default());
    job_type(&engine, "plain", &[], &[]);
    let refused = |nodes: Value| {
        let new = NewRecipeType {
            name: "one".to_owned(),
            title: String::new(),
            description: String::new(),
            definition: json!({"input": {}, "nodes": nodes}).to_string().into(),
        };
        let refused = engine.create_recipe_type(new).expect("room").wait_durable(WAIT);
        assert!(
            matches!(&refused, Err(TicketError::Refused(CatalogError::InvalidDefinition { .. }))),
            "{refused:?}"
        );
    };
    refused(json!({"sub": recipe_node("later", 1, &[], &json!({}))}));
    refused(json!({"x": job_node("other", &[], &json!({}))}));
    refused(json!(1));
}

#[test]
fn what_a_job_of_a_recipe_waits_for_is_named() {
    let engine = Engine::in_memory(Options::default());
    let kind_of = nested(&engine);
    let id = recipe(&engine, kind_of, json!({}));
    let sub = sub_recipe(&engine, id);
    let [first, last] = job_ids(&engine, id)[..] else { panic!("two") };
    let [a, b, c] = job_ids(&engine, sub)[..] else { panic!("three") };
    let text = |job: JobId| engine.why(job).expect("it waits").blocker.to_string();
    let whole = format!("recipe {sub} (node sub of recipe {id})");
    assert_eq!(text(last), format!("waits for job {first}, {whole}"));
    assert_eq!((text(b), text(c)), (format!("waits for job {a}"), format!("waits for job {b}")));
    run(&engine, first, DONE);
    assert_eq!(text(last), format!("waits for {whole}"));
    run(&engine, a, FAILED);
    assert_eq!(text(b), format!("cannot run: job {a} failed or was canceled"));
    assert_eq!(text(last), format!("cannot run: {whole} failed or was canceled"));
}

#[test]
fn a_job_within_a_recipe_without_input_names_what_the_recipe_waits_for() {
    let engine = Engine::in_memory(Options::default());
    job_type(&engine, "gives", &[], &["N"]);
    job_type(&engine, "takes", &["N"], &[]);
    let of_recipe = json!({"N": {"type": "recipe", "input": "N"}});
    let inner = json!({"input": {"json": [{"name": "N", "type": "integer"}]},
        "nodes": {"a": job_node("takes", &[], &of_recipe)}});
    recipe_type(&engine, "inner", &inner);
    let of_node = json!({"N": {"type": "dependency", "node": "first", "output": "N"}});
    let outer = json!({"input": {}, "nodes": {"first": job_node("gives", &[], &json!({})),
        "sub": recipe_node("inner", 1, &["first"], &of_node)}});
    let kind_of = recipe_type(&engine, "outer", &outer);
    let id = recipe(&engine, kind_of, json!({}));
    let (first, inner) = (job_ids(&engine, id)[0], job_ids(&engine, sub_recipe(&engine, id))[0]);
    assert_eq!(statuses(&engine, sub_recipe(&engine, id)), [Pending]);
    let why = engine.why(inner).expect("it waits");
    assert_eq!(why.blocker.to_string(), format!("waits for job {first}"));
}

#[test]
fn a_recipe_type_with_too_many_nodes_in_all_is_refused() {
    let engine = Engine::in_memory(Options::default());
    job_type(&engine, "plain", &[], &[]);
    let of = |n: usize, node: &Value| {
        let nodes: serde_json::Map<String, Value> = (0..n).map(|n| (format!("n{n}"), node.clone())).collect();
        json!({"input": {}, "nodes": nodes})
    };
    recipe_type(&engine, "small", &of(100, &job_node("plain", &[], &json!({}))));
    recipe_type(&engine, "middle", &of(100, &recipe_node("small", 1, &[], &json!({}))));
    let kind_of = recipe_type(&engine, "large", &of(39, &recipe_node("middle", 1, &[], &json!({}))));
    let too_large = of(40, &recipe_node("middle", 1, &[], &json!({})));
    let change = RecipeTypeChange { definition: Some(too_large.to_string().into()), ..Default::default() };
    let refused = engine.edit_recipe_type(kind_of, change).expect("room").wait_durable(WAIT);
    let Err(TicketError::Refused(error)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("404040 nodes with those of its sub-recipes"), "{error}");
}

#[test]
fn a_recipe_that_is_completed_while_it_is_superseded_stays_so() {
    let engine = Engine::in_memory(Options::default());
    job_type(&engine, "plain", &[], &[]);
    let definition = json!({"input": {}, "nodes": {"x": job_node("plain", &[], &json!({}))}});
    let kind_of = recipe_type(&engine, "single", &definition);
    let old = recipe(&engine, kind_of, json!({}));
    start(&engine, job_ids(&engine, old)[0]);
    let (name, when) = (engine.running()[0].name, engine.now());
    let mut new = NewRecipe::new(kind_of, json!({}));
    new.superseded_recipe = Some(old);
    // It is read now, and its turn comes after the end of the job.
    let ticket = engine.queue_new_recipe(new.clone()).expect("room");
    let state = TaskState::Ended { outcome: DONE, usage: Usage::default() };
    engine.report(StatusUpdate { name, state, when }).expect("room");
    assert_eq!(ticket.wait_durable(WAIT), Err(TicketError::Refused(RecipeError::Changing(old))));
    assert!(engine.recipe_record(old).expect("there").completed.is_some());
    let id = engine.queue_new_recipe(new).expect("room").wait_durable(WAIT).expect("a recipe");
    let record = engine.recipe_record(old).expect("there");
    assert!(record.completed.is_some() && record.superseded_by == Some(id), "{record:?}");
}
