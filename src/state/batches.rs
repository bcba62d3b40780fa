//! How far batches are: of the jobs that were made for each, how many stand where.
//!
//! B1  Jobs that are not over are counted here, and counted anew when a store is opened; those that are over,
//!     and recipes, in documents of kind `BATCH_COUNTS`.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;

use super::fold::State;
use crate::model::{
    BATCH_PART_NODES, Batch, BatchCounts, BatchId, Doc, DocKey, JobId, JobStatus, NodeCounts, Recipe,
    RecipeId, Timestamp, kind,
};

/// Jobs of one node that are not over: PENDING, BLOCKED, QUEUED, RUNNING.
pub(crate) type OpenJobs = [u32; 4];

/// See the file.
#[derive(Default)]
pub(crate) struct Batches {
    /// Those of which recipes are still to be made.
    creating: BTreeSet<BatchId>,
    /// By node of the batch's recipe type; of the batch as a whole under none.
    open: HashMap<(BatchId, Option<u32>), OpenJobs>,
    /// When its counts last changed. Not on record: after a restart, as far as recipes tell that go on.
    changed: HashMap<BatchId, Timestamp>,
}

/// The part that a node stands in, and its place there.
fn place(node: Option<u32>) -> (u32, usize) {
    let nodes = u32::try_from(BATCH_PART_NODES).unwrap_or(1);
    node.map_or((0, 0), |node| (node / nodes + 1, (node % nodes) as usize))
}

fn microseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl State {
    /// Takes note of a batch.
    pub(super) fn note_batch(&mut self, batch: &Batch) {
        if batch.is_creation_done {
            self.recipes.batches.creating.remove(&batch.id);
        } else {
            self.recipes.batches.creating.insert(batch.id);
        }
    }

    /// The oldest batch of which recipes are still to be made.
    pub(crate) fn creating_batch(&self) -> Option<BatchId> {
        self.recipes.batches.creating.first().copied()
    }

    /// A batch on record.
    pub(crate) fn batch(&self, id: BatchId) -> Option<&Batch> {
        match &**self.docs.get(kind::BATCH, id.0)? {
            Doc::Batch(batch) => Some(batch),
            _ => None,
        }
    }

    /// When a batch last changed, or how far it is.
    pub(crate) fn batch_changed(&self, batch: &Batch) -> Timestamp {
        let counts = self.recipes.batches.changed.get(&batch.id).copied();
        counts.map_or(batch.last_modified, |counts| counts.max(batch.last_modified))
    }

    /// Takes note that the counts of a batch changed.
    pub(super) fn batch_changed_at(&mut self, id: BatchId, when: Timestamp) {
        let known = self.recipes.batches.changed.entry(id).or_insert(when);
        *known = when.max(*known);
    }

    /// Of a batch, how many recipes were made and how many are completed.
    pub(crate) fn batch_recipes(&self, id: BatchId) -> (u64, u64) {
        self.batch_part(id, 0).map_or((0, 0), |part| (part.recipes_total, part.recipes_completed))
    }

    /// Jobs of a node of a batch, or of all of it: those that are not over, and those that are.
    pub(crate) fn batch_jobs(&self, id: BatchId, node: Option<u32>) -> (OpenJobs, NodeCounts) {
        let (part, at) = place(node);
        let over = self.batch_part(id, part).and_then(|part| part.nodes.get(at)).copied();
        (self.recipes.batches.open.get(&(id, node)).copied().unwrap_or_default(), over.unwrap_or_default())
    }

    fn batch_part(&self, id: BatchId, part: u32) -> Option<&BatchCounts> {
        match self.docs.at(DocKey { kind: kind::BATCH_COUNTS, id: id.0, sub: u64::from(part) })? {
            Doc::BatchCounts(part) => Some(part),
            _ => None,
        }
    }

    fn edit_part(&mut self, batch: BatchId, part: u32, edit: impl FnOnce(&mut BatchCounts)) {
        let n_nodes = if part == 0 { 1 } else { BATCH_PART_NODES };
        let mut doc = self.batch_part(batch, part).cloned().unwrap_or_else(|| BatchCounts {
            batch,
            part,
            recipes_total: 0,
            recipes_completed: 0,
            nodes: vec![NodeCounts::default(); n_nodes],
        });
        edit(&mut doc);
        let doc = Arc::new(Doc::BatchCounts(doc));
        self.docs.put(&doc);
        self.delta.docs.push((doc.key(), Some(doc)));
    }

    /// A recipe of a batch was made, or is completed.
    pub(super) fn recipe_of_batch(&mut self, doc: &Recipe, is_completed: bool) {
        let Some(batch) = doc.batch.filter(|id| self.batch(*id).is_some()) else { return };
        self.edit_part(batch, 0, |part| {
            if is_completed { part.recipes_completed += 1 } else { part.recipes_total += 1 }
        });
    }

    /// The node of a batch that a node of a recipe stands for; none: of no node, but of the batch as a whole.
    fn node_of_batch(&self, batch: BatchId, (recipe, node): (RecipeId, u32)) -> Option<u32> {
        let (batch, doc) = (self.batch(batch)?, self.recipe_doc(recipe)?);
        if doc.parent.is_some() {
            return None;
        }
        if (doc.recipe_type, doc.revision) == (batch.recipe_type, batch.revision) {
            return Some(node);
        }
        let name = &self.open_recipe(recipe)?.known.definition.nodes().get(node as usize)?.name;
        let known = self.definition(batch.recipe_type, batch.revision)?;
        known.definition.node(name).map(|(place, _)| place)
    }

    /// A job of a recipe that goes on changed its status, or was made.
    pub(super) fn job_of_batch(&mut self, id: JobId, at: (RecipeId, u32), before: Option<JobStatus>) {
        let Some(job) = self.job(id) else { return };
        let Some(batch) = job.extra().batch else { return };
        let (status, started) = (job.status, job.more.as_ref().and_then(|more| more.started));
        let took = started.map(|started| microseconds(job.last_status_change.since(started)));
        if self.batch(batch).is_none() {
            return;
        }
        let node = self.node_of_batch(batch, at);
        for node in std::iter::once(None).chain(node.map(Some)) {
            let open = self.recipes.batches.open.entry((batch, node)).or_default();
            if let Some(n) = before.and_then(|before| open.get_mut(before as usize)) {
                *n = n.saturating_sub(1);
            }
            if let Some(n) = open.get_mut(status as usize) {
                *n += 1;
            }
            let was_over = before.filter(|before| before.is_final());
            if was_over.is_some() || status.is_final() {
                let (part, at) = place(node);
                self.edit_part(batch, part, |part| {
                    let Some(counts) = part.nodes.get_mut(at) else { return };
                    if let Some(before) = was_over {
                        counts.moved(before, false);
                    }
                    counts.moved(status, true);
                    if let Some(took) = took.filter(|_| status == JobStatus::Completed) {
                        counts.took(took);
                    }
                });
            }
        }
    }

    /// Counts the jobs that are not over, once jobs and recipes are back.
    pub(super) fn recount_batches(&mut self) {
        self.recipes.batches.open.clear();
        for (batch, changed) in self.batches_of_open() {
            self.batch_changed_at(batch, changed);
        }
        for (id, at) in self.jobs_in_recipes() {
            let Some(job) = self.job(id).filter(|job| job.is_open()) else { continue };
            let (status, Some(batch)) = (job.status, job.extra().batch) else { continue };
            let node = self.node_of_batch(batch, at);
            for node in std::iter::once(None).chain(node.map(Some)) {
                let open = self.recipes.batches.open.entry((batch, node)).or_default();
                if let Some(n) = open.get_mut(status as usize) {
                    *n += 1;
                }
            }
        }
    }
}

impl NodeCounts {
    /// A job is over, or no more.
    fn moved(&mut self, status: JobStatus, is_over: bool) {
        let n = match status {
            JobStatus::Failed => &mut self.failed,
            JobStatus::Completed => &mut self.completed,
            JobStatus::Canceled => &mut self.canceled,
            JobStatus::Pending | JobStatus::Blocked | JobStatus::Queued | JobStatus::Running => return,
        };
        *n = if is_over { *n + 1 } else { n.saturating_sub(1) };
    }

    /// A job that is completed took so many microseconds.
    fn took(&mut self, us: u64) {
        let is_first = self.completed <= 1;
        self.job_us_min = if is_first { us } else { self.job_us_min.min(us) };
        self.job_us_max = if is_first { us } else { self.job_us_max.max(us) };
        self.job_us_sum = self.job_us_sum.saturating_add(us);
    }
}
