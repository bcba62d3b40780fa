//! Batches while the store cannot be read.

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
