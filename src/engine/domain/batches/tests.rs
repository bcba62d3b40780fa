//! Batches while the store cannot be read; what their steps are made of.

use serde_json::json;

use super::*;
use crate::engine::Options;
use crate::model::FileId;
use crate::testing::TracedDisk;
use crate::wal::Disk;

const WAIT: Duration = Duration::from_secs(20);

/// A batch over one file that is made anew or not, and its place.
fn batch(is_superseding: bool, supersedes: bool, cursor: u64) -> Batch {
    Batch {
        id: BatchId(1),
        title: None,
        description: None,
        recipe_type: RecipeTypeId(1),
        revision: 1,
        event: EventId::default(),
        root: BatchId(1),
        superseded_batch: None,
        superseded: None,
        is_creation_done: false,
        is_superseding,
        is_superseding_asked: supersedes,
        recipes_estimated: 1,
        cursor,
        first_recipe: RecipeId(9),
        last_recipe: RecipeId(0),
        definition: json!({"dataset": 1, "supersedes": supersedes}).to_string().into(),
        configuration: "{}".into(),
        priority: None,
        created: Timestamp(0),
        last_modified: Timestamp(0),
    }
}

#[test]
fn what_cannot_be_read_is_not_taken_for_what_is_not_there() {
    for (is_superseding, supersedes, cursor) in [(true, true, 9), (false, true, 0), (false, false, 0)] {
        let disk: Arc<dyn Disk> = Arc::new(TracedDisk::default());
        let engine = Engine::open_on(&disk, Options::default().load_period(None)).expect("a new store");
        let put = engine.call(move |core, _| -> Result<(), NewBatchError> {
            core.put(Doc::Dataset(Dataset { id: 1, ..Dataset::new("files", "F", vec![FileId(1)]) }));
            core.put(Doc::Batch(batch(is_superseding, supersedes, cursor)));
            Ok(())
        });
        put.expect("room").wait_durable(WAIT).expect("put");
        engine.checkpoint(WAIT).expect("written");
        // As after a write for which there was no room: the storage answers nothing any more.
        engine.0.outside.tables.close_file();
        let step = engine.batch_step();
        assert!(matches!(step, Err(NewBatchError::Recipes { .. })), "{step:?}");
        let stands = engine.batch(BatchId(1)).expect("known").batch;
        assert_eq!(stands, batch(is_superseding, supersedes, cursor));
        let anew = engine.reprocess(Reprocess::new(RecipeId(1), json!({"all": true})));
        let refused = anew.expect("room").wait_durable(WAIT);
        assert!(matches!(refused, Err(TicketError::Refused(RecipeError::Unreadable { .. }))), "{refused:?}");
    }
}

#[test]
fn a_step_has_the_data_set_itself_and_no_copy_of_it() {
    let engine = Engine::in_memory(Options::default().load_period(None));
    let put = engine.call(move |core, _| -> Result<(), NewBatchError> {
        core.put(Doc::Dataset(Dataset { id: 1, ..Dataset::new("files", "F", vec![FileId(1)]) }));
        core.put(Doc::Batch(batch(false, false, 0)));
        Ok(())
    });
    put.expect("room").wait_durable(WAIT).expect("put");
    let owned = engine.0.enter();
    let next = owned.core.next_batch().and_then(|next| next.dataset).expect("a data set");
    let known = owned.core.state.docs().get(kind::DATASET, 1).expect("there");
    assert!(Arc::ptr_eq(&next, known));
}

/// A recipe type of so many nodes, each of it what `node` says.
fn revision(id: u32, n: usize, node: &Value) -> Doc {
    let nodes: serde_json::Map<String, Value> = (0..n).map(|n| (format!("n{n}"), node.clone())).collect();
    Doc::RecipeTypeRevision(crate::model::RecipeTypeRevision {
        recipe_type: RecipeTypeId(id),
        revision: 1,
        definition: json!({"input": {}, "nodes": nodes}).to_string().into(),
        created: Timestamp(0),
    })
}

fn kind_named(id: u32, name: &str) -> Doc {
    Doc::RecipeType(crate::model::RecipeType {
        id: RecipeTypeId(id),
        name: name.to_owned(),
        title: String::new(),
        description: String::new(),
        revision: 1,
        is_active: true,
        created: Timestamp(0),
        deprecated: None,
        last_modified: Timestamp(0),
    })
}

#[test]
fn a_recipe_type_of_before_that_is_too_large_is_known_and_makes_nothing() {
    let engine = Engine::in_memory(Options::default().load_period(None));
    let condition = json!({"dependencies": [], "input": {}, "node_type": {"node_type": "condition",
        "interface": {"files": [], "json": []}, "data_filter": {"filters": []}}});
    let within = json!({"dependencies": [], "input": {}, "node_type": {"node_type": "recipe",
        "recipe_type_name": "small", "recipe_type_revision": 1}});
    let put = engine.call(move |core, _| -> Result<(), NewBatchError> {
        for doc in [revision(1, 1_000, &condition), kind_named(1, "small"), revision(2, 400, &within)] {
            core.put(doc);
        }
        core.put(kind_named(2, "large"));
        Ok(())
    });
    put.expect("room").wait_durable(WAIT).expect("put");
    let size = engine.0.enter().core.state.definition(RecipeTypeId(2), 1).expect("known").definition.size();
    assert_eq!((size.depth, size.nodes, size.recipes), (1, 400_400, 400));
    let refused = engine.queue_new_recipe(super::super::recipes::NewRecipe::new(RecipeTypeId(2), json!({})));
    let refused = refused.expect("room").wait_durable(WAIT);
    assert!(matches!(refused, Err(TicketError::Refused(RecipeError::TooLarge))), "{refused:?}");
    let definition = json!({"dataset": 1});
    let refused = engine.create_batch(NewBatch::new(RecipeTypeId(2), definition)).expect("room");
    let refused = refused.wait_durable(WAIT);
    assert!(matches!(refused, Err(TicketError::Refused(NewBatchError::Recipes { .. }))), "{refused:?}");
}
