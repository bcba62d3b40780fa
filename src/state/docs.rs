//! Documents that the core has in memory, and what events do to documents.
//!
//! O1  Of the kinds that are always kept every document is here; of those kept with their recipe, the ones
//!     of recipes that go on.
//! O2  `last` of a kind is the greatest id any document of it ever had.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fold::{Running, State};
use crate::model::{
    BulkId, Doc, DocKey, ErrorId, EventId, ExeEnd, ExecutionRecord, FileId, JobId, JobState, Kept,
    LaunchName, NodeId, Outcome, Overtaken, RecipeId, RecipeTypeId, Timestamp, Usage, kept, kind,
};
use crate::queue::Entry;

/// See the file.
#[derive(Default)]
pub(crate) struct Docs {
    all: BTreeMap<DocKey, Arc<Doc>>,
    last: [u64; kind::N],
    /// By kind: raised with every change of a document of it.
    versions: [u64; kind::N],
}

/// Kinds that readers are shown without asking the store.
pub(crate) const SHOWN: [u8; 10] = [
    kind::SCHEDULER,
    kind::JOB_TYPE,
    kind::JOB_TYPE_REVISION,
    kind::RECIPE_TYPE,
    kind::RECIPE_TYPE_REVISION,
    kind::NODE,
    kind::ERROR,
    kind::WORKSPACE,
    kind::BATCH,
    kind::BULK,
];

/// The key of a document that is the only one about its id.
pub(crate) const fn key(kind: u8, id: u64) -> DocKey {
    DocKey { kind, id, sub: 0 }
}

impl Docs {
    pub(crate) fn get(&self, kind: u8, id: u64) -> Option<&Arc<Doc>> {
        self.all.get(&key(kind, id))
    }

    pub(crate) fn get_sub(&self, kind: u8, id: u64, sub: u64) -> Option<&Arc<Doc>> {
        self.all.get(&DocKey { kind, id, sub })
    }

    /// The one under a key.
    pub(crate) fn at(&self, key: DocKey) -> Option<&Doc> {
        self.all.get(&key).map(|doc| &**doc)
    }

    /// Those of a kind that are here, by id.
    pub(crate) fn of_kind(&self, kind: u8) -> impl DoubleEndedIterator<Item = &Arc<Doc>> {
        let end = DocKey { kind, id: u64::MAX, sub: u64::MAX };
        self.all.range(key(kind, 0)..=end).map(|(_, doc)| doc)
    }

    /// Those about one id.
    pub(crate) fn about(&self, kind: u8, id: u64) -> impl DoubleEndedIterator<Item = &Arc<Doc>> {
        let end = DocKey { kind, id, sub: u64::MAX };
        self.all.range(key(kind, id)..=end).map(|(_, doc)| doc)
    }

    /// The id that the next document of a kind gets.
    pub(crate) fn next(&self, kind: u8) -> u64 {
        self.last.get(usize::from(kind)).map_or(1, |last| last + 1)
    }

    pub(crate) fn seen(&mut self, key: DocKey) {
        if let Some(last) = self.last.get_mut(usize::from(key.kind)) {
            *last = key.id.max(*last);
        }
    }

    /// Recipes that go on, by id.
    pub(crate) fn open_recipes(&self) -> impl Iterator<Item = RecipeId> {
        self.of_kind(kind::OPEN_RECIPE).map(|doc| RecipeId(doc.key().id))
    }

    fn has_room_for(&self, key: DocKey) -> bool {
        match kept(key.kind) {
            Kept::Always => true,
            Kept::WithRecipe => self.get(kind::OPEN_RECIPE, key.id).is_some(),
            Kept::Never => false,
        }
    }

    pub(crate) fn put(&mut self, doc: &Arc<Doc>) {
        let key = doc.key();
        self.seen(key);
        self.raise(key.kind);
        if self.has_room_for(key) {
            self.all.insert(key, doc.clone());
        }
    }

    fn raise(&mut self, kind: u8) {
        if let Some(version) = self.versions.get_mut(usize::from(kind)) {
            *version += 1;
        }
    }

    /// Raised with every change of a document of that kind.
    pub(crate) fn version(&self, kind: u8) -> u64 {
        self.versions.get(usize::from(kind)).copied().unwrap_or_default()
    }

    fn drop_one(&mut self, key: DocKey) -> Option<Arc<Doc>> {
        self.raise(key.kind);
        if key.kind == kind::OPEN_RECIPE {
            for kind in [kind::RECIPE, kind::RECIPE_PART] {
                let keys: Vec<DocKey> = self.about(kind, key.id).map(|doc| doc.key()).collect();
                for key in keys {
                    self.all.remove(&key);
                }
            }
        }
        self.all.remove(&key)
    }

    pub(crate) fn next_event(&self) -> EventId {
        EventId(2 * self.next(kind::EVENT) + 1)
    }

    pub(crate) fn next_recipe_type(&self) -> RecipeTypeId {
        RecipeTypeId(small(self.next(kind::RECIPE_TYPE)))
    }

    pub(crate) fn next_error(&self) -> ErrorId {
        ErrorId(small(self.next(kind::ERROR).max(ERRORS_BUILT_IN + 1)))
    }

    pub(crate) fn next_node(&self) -> NodeId {
        NodeId(small(self.next(kind::NODE)))
    }

    pub(crate) fn next_file(&self) -> FileId {
        FileId(self.next(kind::FILE))
    }

    pub(crate) fn next_bulk(&self) -> BulkId {
        BulkId(self.next(kind::BULK))
    }
}

/// Errors whose ids are given.
const ERRORS_BUILT_IN: u64 = crate::model::JobError::ALL.len() as u64;

fn small(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

impl State {
    pub(crate) fn docs(&self) -> &Docs {
        &self.docs
    }

    /// True where nothing may be launched at all.
    pub(crate) fn is_scheduler_paused(&self) -> bool {
        self.is_paused
    }

    /// True where nothing may be launched on a node.
    pub(crate) fn is_held(&self, node: NodeId) -> bool {
        self.is_paused || (!self.held_nodes.is_empty() && self.held_nodes.contains(&node))
    }

    fn note_doc(&mut self, doc: &Doc) {
        match doc {
            Doc::Recipe(recipe) => self.n_recipes = self.n_recipes.max(recipe.id.0),
            Doc::Scheduler(settings) => self.is_paused = settings.is_paused,
            Doc::Node(node) if node.is_paused || !node.is_active => drop(self.held_nodes.insert(node.id)),
            Doc::Node(node) => drop(self.held_nodes.remove(&node.id)),
            Doc::Batch(batch) => self.note_batch(batch),
            _ => {}
        }
    }

    pub(super) fn put_doc(&mut self, doc: &Arc<Doc>) {
        self.note_doc(doc);
        self.docs.put(doc);
        self.note_recipe_doc(doc);
        self.delta.docs.push((doc.key(), Some(doc.clone())));
    }

    pub(super) fn drop_doc(&mut self, key: DocKey) {
        if key.kind == kind::OPEN_RECIPE {
            self.close_recipe(key);
        }
        self.docs.drop_one(key);
        self.delta.docs.push((key, None));
    }

    /// Takes note of an id that a document has.
    pub(crate) fn saw_doc(&mut self, key: DocKey) {
        self.docs.seen(key);
    }

    /// Puts back a document that the store had.
    pub(crate) fn restore_doc(&mut self, doc: &Arc<Doc>) {
        self.docs.put(doc);
        self.note_doc(doc);
        // Recipes are made once jobs are back too.
        if !matches!(**doc, Doc::Recipe(_) | Doc::RecipePart(_)) {
            self.note_recipe_doc(doc);
        }
        if let Doc::Overtaken(overtaken) = &**doc {
            self.queue.dims_mut().intern(&overtaken.resources);
            let asks = self.queue.dims().lookup(&overtaken.resources).counted();
            let entry = Entry {
                id: overtaken.exe,
                job: overtaken.job,
                job_type: overtaken.job_type,
                tenant: overtaken.tenant,
                constraints: crate::model::ConstraintSetId::default(),
                priority: overtaken.priority,
                queued: overtaken.queued,
                asks,
            };
            self.queue.count_launched(entry.job_type);
            self.add_running(entry.id, Running { entry, launch: overtaken.launch, node: overtaken.node });
        }
    }

    /// True for a running execution whose job was queued again.
    pub(crate) fn overtaken(&self, exe: crate::model::ExeId) -> Option<&Overtaken> {
        match &**self.docs.get(kind::OVERTAKEN, exe.0)? {
            Doc::Overtaken(overtaken) => Some(overtaken),
            _ => None,
        }
    }

    /// Takes down the newest execution of a job that is about to get another one.
    pub(super) fn note_execution(&mut self, id: JobId, job: &JobState, when: Timestamp) {
        let (Some(exe), Some(queued)) = (job.exe, job.queued) else { return };
        let more = job.more.as_deref();
        if let Some((more, node)) = more.filter(|more| more.runs).and_then(|more| Some((more, more.node?))) {
            let overtaken = Overtaken {
                exe,
                job: id,
                exe_num: job.num_exes,
                launch: job.launches,
                node,
                started: more.started.unwrap_or(when),
                job_type: job.job_type,
                tenant: job.tenant,
                priority: job.priority,
                queued,
                resources: (*job.resources).clone(),
            };
            self.put_doc(&Arc::new(Doc::Overtaken(overtaken)));
            return;
        }
        let waited = job.status == crate::model::JobStatus::Queued;
        let canceled = || ExeEnd {
            launch: LaunchName { exe, number: job.launches },
            exe_num: job.num_exes,
            outcome: Outcome::Canceled,
            usage: Usage::default(),
            ended: when,
        };
        let end = if waited { Some(canceled()) } else { job.end().cloned() };
        let record = ExecutionRecord {
            job: id,
            exe_num: job.num_exes,
            exe,
            queued,
            started: more.and_then(|more| more.started),
            node: more.and_then(|more| more.node),
            resources: (*job.resources).clone(),
            end: end.filter(|end| end.exe_num == job.num_exes),
        };
        self.put_doc(&Arc::new(Doc::Execution(record)));
    }

    /// An execution has no graphics processors any more.
    pub(super) fn drop_slots(&mut self, exe: crate::model::ExeId) {
        if self.docs.get(kind::SLOTS, exe.0).is_some() {
            self.drop_doc(key(kind::SLOTS, exe.0));
        }
    }

    /// Takes down how an overtaken execution ended. False for one that is none.
    pub(super) fn end_overtaken(&mut self, exe: crate::model::ExeId, end: Option<&ExeEnd>) -> bool {
        let Some(overtaken) = self.overtaken(exe).cloned() else { return false };
        self.drop_doc(key(kind::OVERTAKEN, exe.0));
        let record = ExecutionRecord {
            job: overtaken.job,
            exe_num: overtaken.exe_num,
            exe,
            queued: overtaken.queued,
            started: Some(overtaken.started),
            node: Some(overtaken.node),
            resources: overtaken.resources,
            end: end.cloned(),
        };
        self.put_doc(&Arc::new(Doc::Execution(record)));
        true
    }
}
