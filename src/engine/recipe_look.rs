//! Looks at recipes of recipe types: one with its nodes, and lists.
//!
//! L1  A recipe that goes on is looked at in memory, with counts that are kept; one that does not in the store,
//!     with the counts of when it ended. Only nodes that another recipe took over while they went on are looked
//!     at one by one, so many of them for one page.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::shell::Engine;
use crate::limits::RECIPES_LISTED_MAX;
use crate::model::{
    BatchId, Doc, DocKey, JobId, JobStatus, Recipe, RecipeCounts, RecipeId, RecipeNodeRow, RecipeTypeId,
    Timestamp, kind,
};

/// Recipes that are read at a time.
const CHUNK: usize = 5_000;

/// Nodes that are looked at one by one for one page.
const NODES_MAX: usize = 10_000;

/// A recipe on record, and how its jobs stand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecipeView {
    /// What is on record.
    pub recipe: Recipe,
    /// Its jobs and sub-recipes, with those within them.
    pub counts: RecipeCounts,
}

/// A node of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecipeNodeView {
    /// What stands for it.
    pub row: RecipeNodeRow,
    /// How its job stands.
    pub status: Option<JobStatus>,
    /// How the jobs of its sub-recipe stand.
    pub counts: Option<RecipeCounts>,
}

/// What recipes can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecipeColumn {
    /// Its id.
    Id,
    /// The id of its type.
    RecipeType,
    /// The name of its type.
    TypeName,
    /// When it was made.
    Created,
    /// When all was done.
    Completed,
    /// Since when it is superseded.
    Superseded,
    /// When its record last changed.
    LastModified,
    /// Its batch.
    Batch,
    /// What made it.
    Event,
    /// The size of its input.
    InputSize,
    /// Whether all was done.
    IsCompleted,
    /// Whether it is superseded.
    IsSuperseded,
    /// The outermost recipe that it is within.
    Root,
    /// How many jobs there are in it.
    JobsTotal,
}

/// Which recipes are wanted; none: all.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RecipeQuery {
    /// Whose record last changed then or later.
    pub started: Option<Timestamp>,
    /// Then or before.
    pub ended: Option<Timestamp>,
    /// With these ids.
    pub ids: Option<Vec<RecipeId>>,
    /// Of these types.
    pub types: Option<Vec<RecipeTypeId>>,
    /// Of these batches.
    pub batches: Option<Vec<BatchId>>,
    /// Within these, the outermost.
    pub roots: Option<Vec<RecipeId>>,
    /// Superseded or not.
    pub is_superseded: Option<bool>,
    /// Completed or not.
    pub is_completed: Option<bool>,
    /// First by the first; true: from the greatest on.
    pub order: Vec<(RecipeColumn, bool)>,
    /// So many are left out.
    pub skip: usize,
    /// So many at most.
    pub len: usize,
}

/// A page of a list of recipes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RecipePage {
    /// Its recipes.
    pub recipes: Vec<RecipeView>,
    /// How many there are in all, among the newest [`RECIPES_LISTED_MAX`](crate::limits).
    pub total: usize,
}

impl RecipeQuery {
    /// The first so many of all.
    pub fn new(len: usize) -> Self {
        Self { len, ..Self::default() }
    }

    /// `modified`: when it last changed, or how far it is.
    fn takes(&self, doc: &Recipe, modified: Timestamp) -> bool {
        let has = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        self.started.is_none_or(|started| modified >= started)
            && self.ended.is_none_or(|ended| modified <= ended)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&doc.id))
            && self.types.as_ref().is_none_or(|types| types.contains(&doc.recipe_type))
            && self.roots.as_ref().is_none_or(|roots| roots.contains(&doc.root))
            && self.batches.as_ref().is_none_or(|all| doc.batch.is_some_and(|batch| all.contains(&batch)))
            && has(self.is_superseded, doc.superseded.is_some())
            && has(self.is_completed, doc.completed.is_some())
    }
}

/// How far a recipe is.
#[derive(Clone, Copy)]
struct Now {
    /// When it last changed, or this did.
    modified: Timestamp,
    n_jobs: u32,
}

/// What is kept of a recipe while a list is sorted.
struct Line {
    id: RecipeId,
    keys: Vec<i64>,
}

fn small<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// What a column says of a recipe, how far it is by now; what is not there comes last.
fn key(doc: &Recipe, now: Now, column: RecipeColumn, names: &HashMap<RecipeTypeId, usize>) -> i64 {
    let time = |when: Option<Timestamp>| when.map_or(i64::MAX, |when| when.0);
    match column {
        RecipeColumn::Id => small(doc.id.0),
        RecipeColumn::RecipeType => i64::from(doc.recipe_type.0),
        RecipeColumn::TypeName => names.get(&doc.recipe_type).map_or(i64::MAX, |rank| small(*rank)),
        RecipeColumn::Created => doc.created.0,
        RecipeColumn::Completed => time(doc.completed),
        RecipeColumn::Superseded => time(doc.superseded),
        RecipeColumn::LastModified => now.modified.0,
        RecipeColumn::Batch => doc.batch.map_or(i64::MAX, |batch| small(batch.0)),
        RecipeColumn::Event => small(doc.event.0),
        RecipeColumn::IsCompleted => i64::from(doc.completed.is_some()),
        RecipeColumn::IsSuperseded => i64::from(doc.superseded.is_some()),
        RecipeColumn::Root => small(doc.root.0),
        RecipeColumn::JobsTotal => i64::from(now.n_jobs),
        RecipeColumn::InputSize => doc.input_mib.map_or(i64::MAX, small),
    }
}

impl Engine {
    /// A recipe and how its jobs stand. May be ahead of the disk.
    ///
    /// Cost: a look into the store for one that is over.
    pub fn recipe(&self, id: RecipeId) -> Option<RecipeView> {
        self.recipe_within(id, &mut { NODES_MAX })
    }

    fn open_recipe(&self, id: RecipeId) -> Option<RecipeView> {
        let owned = self.0.enter();
        let state = &owned.core.state;
        let open = state.open_recipe(id)?;
        let mut recipe = state.recipe_doc(id)?.clone();
        recipe.last_modified = recipe.last_modified.max(open.changed);
        Some(RecipeView { recipe, counts: open.counts })
    }

    /// The same, looking at so many nodes at most.
    fn recipe_within(&self, id: RecipeId, n_nodes: &mut usize) -> Option<RecipeView> {
        if let Some(open) = self.open_recipe(id) {
            return Some(open);
        }
        let recipe = self.recipe_record(id)?;
        let mut counts = recipe.counts;
        if recipe.superseded.is_some() && may_change(&counts) {
            let rows = self.recipe_nodes(id);
            if let Some(left) = n_nodes.checked_sub(rows.len()) {
                *n_nodes = left;
                let nodes = rows.into_iter().map(|row| self.look_at_node(row, None, n_nodes));
                counts = nodes.fold(RecipeCounts::default(), |sum, node| sum.plus(share(&node)));
            }
        }
        Some(RecipeView { recipe, counts })
    }

    /// A recipe with its nodes, in the order of its definition. May be ahead of the disk.
    ///
    /// Cost: the nodes; for one that was superseded a look into the store for each that another recipe took
    /// over.
    pub fn recipe_details(&self, id: RecipeId) -> Option<(RecipeView, Vec<RecipeNodeView>)> {
        let open = {
            let owned = self.0.enter();
            let found = owned.core.state.open_recipe(id);
            found.map(|open| {
                let row = |(node, row): (u32, &RecipeNodeRow)| (*row, open.status(node));
                (0..).zip(&open.rows).map(row).collect::<Vec<_>>()
            })
        };
        let rows = match open {
            Some(rows) => rows,
            None => self.recipe_nodes(id).into_iter().map(|row| (row, None)).collect(),
        };
        let mut n_nodes = NODES_MAX;
        let nodes: Vec<RecipeNodeView> =
            rows.into_iter().map(|(row, status)| self.look_at_node(row, status, &mut n_nodes)).collect();
        let mut view = self.recipe_within(id, &mut n_nodes)?;
        if view.recipe.superseded.is_some() {
            view.counts = nodes.iter().fold(RecipeCounts::default(), |sum, node| sum.plus(share(node)));
        }
        Some((view, nodes))
    }

    fn look_at_node(
        &self,
        row: RecipeNodeRow,
        status: Option<JobStatus>,
        n_nodes: &mut usize,
    ) -> RecipeNodeView {
        let (mut row, mut status, mut counts) = (row, status, None);
        match &mut row {
            RecipeNodeRow::Job { job, over, .. } if status.is_none() => {
                status = self.status_now(*job, *over);
            }
            RecipeNodeRow::Recipe { recipe, is_completed, .. } => {
                let sub = self.recipe_within(*recipe, n_nodes);
                // It may have been completed in another recipe, which took it over.
                *is_completed |= sub.as_ref().is_some_and(|sub| sub.recipe.completed.is_some());
                counts = sub.map(|sub| sub.counts);
            }
            _ => {}
        }
        RecipeNodeView { row, status, counts }
    }

    /// How a job stands of which a recipe that goes on no more knew this.
    fn status_now(&self, job: JobId, over: Option<JobStatus>) -> Option<JobStatus> {
        // What is completed stays so.
        if over == Some(JobStatus::Completed) {
            return over;
        }
        let here = self.0.enter().core.state.job(job).map(|job| job.status);
        here.or_else(|| self.job(job).map(|job| job.status)).or(over)
    }

    /// A page of recipes, as they are on disk, but for their counts.
    ///
    /// Cost: the newest [`RECIPES_LISTED_MAX`](crate::limits) recipes are read, unless ids are given.
    pub fn list_recipes(&self, query: &RecipeQuery) -> RecipePage {
        let names = self.ranks();
        let mut lines = Vec::new();
        let mut take = |docs: &[&Recipe]| {
            for (doc, now) in docs.iter().zip(self.how_far(docs)) {
                if query.takes(doc, now.modified) {
                    let key = |(column, _): &(RecipeColumn, bool)| key(doc, now, *column, &names);
                    lines.push(Line { id: doc.id, keys: query.order.iter().map(key).collect() });
                }
            }
        };
        if let Some(ids) = &query.ids {
            let mut ids = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().filter_map(|id| self.recipe_record(id)).for_each(|doc| take(&[&doc]));
        } else {
            self.each_recipe(&mut take);
        }
        let compare = |a: &Line, b: &Line| {
            let told = query
                .order
                .iter()
                .zip(a.keys.iter().zip(&b.keys))
                .map(|((_, is_descending), (a, b))| if *is_descending { b.cmp(a) } else { a.cmp(b) });
            told.fold(Ordering::Equal, Ordering::then).then(a.id.cmp(&b.id))
        };
        lines.sort_by(compare);
        let mut n_nodes = NODES_MAX;
        let page = lines.iter().skip(query.skip).take(query.len);
        let recipes = page.filter_map(|line| self.recipe_within(line.id, &mut n_nodes)).collect();
        RecipePage { recipes, total: lines.len() }
    }

    fn how_far(&self, docs: &[&Recipe]) -> Vec<Now> {
        let owned = self.0.enter();
        let of = |doc: &&Recipe| match owned.core.state.open_recipe(doc.id) {
            Some(open) => {
                Now { modified: open.changed.max(doc.last_modified), n_jobs: open.counts.jobs_total() }
            }
            None => Now { modified: doc.last_modified, n_jobs: doc.counts.jobs_total() },
        };
        docs.iter().map(of).collect()
    }

    /// The newest recipes, some at a time.
    fn each_recipe(&self, take: &mut impl FnMut(&[&Recipe])) {
        let key = |id| DocKey { kind: kind::RECIPE, id, sub: 0 };
        let (mut last, mut n_left) = (u64::MAX, RECIPES_LISTED_MAX);
        while n_left > 0 {
            let len = CHUNK.min(n_left);
            let found = self.docs((key(0), key(last)), true, len);
            let recipes = found.iter().filter_map(|doc| match &**doc {
                Doc::Recipe(doc) => Some(doc),
                _ => None,
            });
            take(&recipes.collect::<Vec<_>>());
            n_left -= found.len();
            match found.last().map(|doc| doc.key().id) {
                Some(id) if found.len() == len && id > 0 => last = id - 1,
                _ => break,
            }
        }
    }

    /// Recipe types in the order of their names.
    fn ranks(&self) -> HashMap<RecipeTypeId, usize> {
        let owned = self.0.enter();
        let all = owned.core.state.docs().of_kind(kind::RECIPE_TYPE);
        let mut names: Vec<(&str, RecipeTypeId)> = all
            .filter_map(|doc| match &**doc {
                Doc::RecipeType(doc) => Some((doc.name.as_str(), doc.id)),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.into_iter().enumerate().map(|(rank, (_, id))| (id, rank)).collect()
    }
}

/// True where some may stand otherwise by now: of a recipe that was superseded, jobs that another one took over.
fn may_change(counts: &RecipeCounts) -> bool {
    let open =
        [JobStatus::Pending, JobStatus::Blocked, JobStatus::Queued, JobStatus::Running, JobStatus::Failed];
    open.iter().any(|status| counts.of(*status) > 0) || counts.sub_recipes > counts.sub_recipes_completed
}

/// What a node adds to the counts of its recipe.
fn share(node: &RecipeNodeView) -> RecipeCounts {
    let job = node.status.map(RecipeCounts::job).unwrap_or_default();
    let RecipeNodeRow::Recipe { is_completed, .. } = node.row else { return job };
    let itself = RecipeCounts {
        sub_recipes: 1,
        sub_recipes_completed: u32::from(is_completed),
        ..RecipeCounts::default()
    };
    itself.plus(node.counts.unwrap_or_default())
}
