//! Recipes of recipe types that go on: what stands for each node, and what has to be done next.
//!
//! C1  A recipe is here while its document of kind `OPEN_RECIPE` is.
//! C2  The row of a job that is over tells how it stands, so that a recipe is known without its jobs.
//! C3  What has to be done is done by the command that led to it, before its events go to the log: a state
//!     that was folded from a log has nothing to do.
//! C4  The counts of a recipe are those of its nodes, and of all within its sub-recipes.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::batches::Batches;
use super::fold::State;
use crate::catalog::manifest::Manifest;
use crate::limits::INTAKE_LEN_MAX;
use crate::model::{
    BatchId, Data, Doc, DocKey, JobId, JobOutput, JobStatus, JobTypeId, RECIPE_PART_NODES, Recipe,
    RecipeCounts, RecipeId, RecipeNodeRow, RecipePart, RecipeTypeId, RecipeTypeRevision, Timestamp, kind,
};
use crate::recipe::{Action, Definition, Lookup, NodeState, Plan, RecipeState, Size};

/// A definition with its shape.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) definition: Definition,
    pub(crate) plan: Arc<Plan>,
}

/// A recipe that goes on.
#[derive(Debug)]
pub(crate) struct OpenRecipe {
    pub(crate) known: Arc<Known>,
    pub(crate) rows: Vec<RecipeNodeRow>,
    pub(crate) state: RecipeState,
    jobs: HashMap<JobId, u32>,
    recipes: HashMap<RecipeId, u32>,
    /// What completed nodes gave.
    outputs: HashMap<u32, Arc<JobOutput>>,
    /// Nodes that are blocked, failed or canceled jobs, or sub-recipes with such.
    n_bad: u32,
    /// Its jobs and sub-recipes, with those within them.
    pub(crate) counts: RecipeCounts,
    /// When they last changed, or its record did. Not on record: after a restart, as far as jobs tell that are
    /// not over.
    pub(crate) changed: Timestamp,
    /// What it was given, as it is read.
    pub(crate) input: Arc<Data>,
}

/// All of them, with what they are made of.
#[derive(Default)]
pub(crate) struct Recipes {
    definitions: HashMap<(RecipeTypeId, u32), Arc<Known>>,
    manifests: HashMap<(JobTypeId, u32), Arc<Manifest>>,
    names: HashMap<String, RecipeTypeId>,
    open: HashMap<RecipeId, OpenRecipe>,
    /// Jobs that were taken over by another recipe than the one they were made for.
    moved: HashMap<JobId, RecipeId>,
    pub(super) actions: VecDeque<(RecipeId, Action)>,
    pub(super) batches: Batches,
    /// Recipes that others took the place of lately: what was read of them before is old. Two sets, of which
    /// the older one is forgotten once the newer one is full: more than commands can wait in between.
    superseded: [HashSet<RecipeId>; 2],
}

impl Recipes {
    fn note_superseded(&mut self, id: RecipeId) {
        if self.superseded[0].len() >= 2 * INTAKE_LEN_MAX {
            self.superseded.swap(0, 1);
            self.superseded[0].clear();
        }
        self.superseded[0].insert(id);
    }
}

/// Recipes within recipes that are followed; there are fewer.
const DEPTH_MAX: u32 = 1_000;

/// A recipe of which all is done.
fn completed(n_jobs: u32, n_recipes: u32) -> RecipeCounts {
    let mut counts =
        RecipeCounts { sub_recipes: n_recipes, sub_recipes_completed: n_recipes, ..RecipeCounts::default() };
    counts.jobs[JobStatus::Completed as usize] = n_jobs;
    counts
}

/// True for a job that keeps others from running, or cannot run itself.
const fn is_bad(status: JobStatus) -> bool {
    matches!(status, JobStatus::Blocked | JobStatus::Failed | JobStatus::Canceled)
}

impl OpenRecipe {
    /// What the job or sub-recipe of a node gave, if it is known.
    pub(crate) fn output(&self, node: u32) -> Option<&Arc<JobOutput>> {
        self.outputs.get(&node)
    }

    pub(crate) fn row(&self, node: u32) -> RecipeNodeRow {
        self.rows.get(node as usize).copied().unwrap_or_default()
    }

    /// How the job of a node stands.
    pub(crate) fn status(&self, node: u32) -> Option<JobStatus> {
        match self.state.state(node) {
            NodeState::Job { status, .. } => Some(status),
            _ => None,
        }
    }

    /// What a completed job gave.
    fn output_of_job(&self, job: JobId) -> Option<&Arc<JobOutput>> {
        self.outputs.get(self.jobs.get(&job)?)
    }
}

/// The part that a node stands in.
pub(crate) fn part_of(node: u32) -> u32 {
    node / u32::try_from(RECIPE_PART_NODES).expect("few")
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Job types and recipe types, for whoever reads a definition.
pub(crate) struct Types<'s>(pub(crate) &'s State);

impl Lookup for Types<'_> {
    fn job_type(
        &self,
        name: &str,
        version: &str,
        revision: u32,
    ) -> Option<(crate::model::Interface, crate::model::Interface)> {
        let id = self.0.catalog.find(name, version)?;
        let manifest = self.0.manifest(id, revision)?;
        Some((manifest.inputs().clone(), manifest.outputs().clone()))
    }

    fn recipe_type(&self, name: &str, revision: u32) -> Option<(crate::model::Interface, Size)> {
        let id = self.0.recipe_type_named(name)?;
        let known = self.0.definition(id, revision)?;
        Some((known.definition.input().clone(), known.definition.size()))
    }
}

impl State {
    /// The manifest of a revision of a job type.
    pub(crate) fn manifest(&self, id: JobTypeId, revision: u32) -> Option<&Arc<Manifest>> {
        self.recipes.manifests.get(&(id, revision))
    }

    /// The definition of a revision of a recipe type.
    pub(crate) fn definition(&self, id: RecipeTypeId, revision: u32) -> Option<&Arc<Known>> {
        self.recipes.definitions.get(&(id, revision))
    }

    /// The recipe type of a name.
    pub(crate) fn recipe_type_named(&self, name: &str) -> Option<RecipeTypeId> {
        self.recipes.names.get(name).copied()
    }

    /// A recipe that goes on.
    pub(crate) fn open_recipe(&self, id: RecipeId) -> Option<&OpenRecipe> {
        self.recipes.open.get(&id)
    }

    /// True for a recipe that was superseded lately.
    pub(crate) fn was_superseded(&self, id: RecipeId) -> bool {
        self.recipes.superseded.iter().any(|lately| lately.contains(&id))
    }

    /// The document of a recipe that goes on.
    pub(crate) fn recipe_doc(&self, id: RecipeId) -> Option<&Recipe> {
        match &**self.docs.get(kind::RECIPE, id.0)? {
            Doc::Recipe(recipe) => Some(recipe),
            _ => None,
        }
    }

    /// What has to be done next in a recipe.
    pub(crate) fn next_recipe_action(&mut self) -> Option<(RecipeId, Action)> {
        self.recipes.actions.pop_front()
    }

    /// True while something has to be done.
    pub(crate) fn has_recipe_action(&self) -> bool {
        !self.recipes.actions.is_empty()
    }

    /// Forgets what had to be done: the log says that it was.
    pub(crate) fn has_done_all(&mut self) {
        self.recipes.actions.clear();
    }

    /// The recipe that goes on with a job, and the job's node there.
    pub(crate) fn recipe_of(&self, job: JobId) -> Option<(RecipeId, u32)> {
        let made_for = || self.job(job)?.more.as_ref()?.recipe;
        let id = self.recipes.moved.get(&job).copied().or_else(made_for)?;
        let node = *self.recipes.open.get(&id)?.jobs.get(&job)?;
        Some((id, node))
    }

    /// The recipe that a recipe is within, and its node there.
    pub(crate) fn recipe_within(&self, id: RecipeId) -> Option<(RecipeId, u32)> {
        let parent = self.recipe_doc(id)?.parent?;
        let node = *self.recipes.open.get(&parent)?.recipes.get(&id)?;
        Some((parent, node))
    }

    /// Takes note of a document that recipes are made of.
    pub(super) fn note_recipe_doc(&mut self, doc: &Doc) {
        match doc {
            Doc::JobTypeRevision(doc) => {
                let manifest = serde_json::from_str(&doc.manifest).ok();
                let manifest = manifest.and_then(|value| Manifest::read(&value).ok());
                let key = (doc.job_type, doc.revision);
                self.recipes.manifests.extend(manifest.map(|manifest| (key, Arc::new(manifest))));
            }
            Doc::RecipeType(doc) => {
                self.recipes.names.insert(doc.name.clone(), doc.id);
            }
            Doc::RecipeTypeRevision(doc) => self.note_definition(doc),
            Doc::Recipe(doc) => self.note_recipe(doc),
            Doc::RecipePart(doc) => self.note_part(doc),
            Doc::JobOutput(doc) => self.note_output(doc),
            _ => {}
        }
    }

    /// Takes note of a revision of a recipe type, where all that it refers to is known.
    fn note_definition(&mut self, doc: &RecipeTypeRevision) {
        let value = serde_json::from_str(&doc.definition).ok();
        let definition = value.and_then(|value| Definition::on_record(&value, &Types(self)).ok());
        if let Some(definition) = definition {
            let plan = Plan::of(&definition);
            let key = (doc.recipe_type, doc.revision);
            self.recipes.definitions.insert(key, Arc::new(Known { definition, plan }));
        }
    }

    /// Takes note of the revisions of recipe types that refer to others of which note was taken after them.
    ///
    /// Cost: those revisions, as often as they are deep.
    pub(crate) fn restore_definitions(&mut self) {
        let mut n_known = None;
        while n_known != Some(self.recipes.definitions.len()) {
            n_known = Some(self.recipes.definitions.len());
            let left: Vec<Arc<Doc>> = self.docs.of_kind(kind::RECIPE_TYPE_REVISION).cloned().collect();
            for doc in &left {
                if let Doc::RecipeTypeRevision(doc) = &**doc
                    && self.definition(doc.recipe_type, doc.revision).is_none()
                {
                    self.note_definition(doc);
                }
            }
        }
    }

    fn rows_of(&self, id: RecipeId, n: usize) -> Vec<RecipeNodeRow> {
        let mut rows = vec![RecipeNodeRow::Missing; n];
        for doc in self.docs.about(kind::RECIPE_PART, id.0) {
            let Doc::RecipePart(part) = &**doc else { continue };
            let first = part.part as usize * RECIPE_PART_NODES;
            for (row, known) in rows.iter_mut().skip(first).zip(&part.nodes) {
                *row = *known;
            }
        }
        rows
    }

    fn node_state(&self, row: RecipeNodeRow) -> NodeState {
        match row {
            RecipeNodeRow::Missing => NodeState::Absent,
            RecipeNodeRow::Job { job, over, .. } => {
                let held = self.job(job);
                let status = held.map_or(over.unwrap_or(JobStatus::Completed), |job| job.status);
                let has_input = held.is_none_or(|job| !job.extra().lacks_input);
                NodeState::Job { status, has_input }
            }
            RecipeNodeRow::Recipe { recipe, is_completed, .. } => {
                let open = self.recipes.open.get(&recipe);
                let has_input = self.recipe_doc(recipe).is_none_or(|doc| !doc.input.is_empty());
                let is_blocking = open.is_some_and(|open| open.n_bad > 0);
                NodeState::SubRecipe { is_completed, is_blocking, has_input }
            }
            RecipeNodeRow::Condition { is_processed, is_accepted } => {
                NodeState::Condition { verdict: is_processed.then_some(is_accepted) }
            }
        }
    }

    /// A recipe that goes on came, or its document changed.
    fn note_recipe(&mut self, doc: &Recipe) {
        if doc.superseded_by.is_some() {
            self.recipes.note_superseded(doc.id);
        }
        if self.docs.get(kind::OPEN_RECIPE, doc.id.0).is_none() {
            return;
        }
        if !self.recipes.open.contains_key(&doc.id) {
            self.open_up(doc);
            self.recipe_of_batch(doc, false);
        } else if !doc.input.is_empty()
            && let Some(open) = self.recipes.open.get_mut(&doc.id)
        {
            open.input = Arc::new(data_of(&doc.input));
            let actions = open.state.input_given();
            self.recipes.actions.extend(actions.into_iter().map(|action| (doc.id, action)));
        }
        if doc.completed.is_some() {
            self.recipe_of_batch(doc, true);
        }
        self.tell_parent(doc.id, doc.completed.is_some());
    }

    /// Makes a recipe of what its documents and jobs say.
    pub(super) fn open_up(&mut self, doc: &Recipe) {
        let Some(known) = self.definition(doc.recipe_type, doc.revision).cloned() else { return };
        let rows = self.rows_of(doc.id, known.plan.len());
        let states: Vec<NodeState> = rows.iter().map(|row| self.node_state(*row)).collect();
        let (state, actions) = RecipeState::restored(known.plan.clone(), states, !doc.input.is_empty());
        let (mut jobs, mut recipes) = (HashMap::default(), HashMap::default());
        for (node, row) in (0..).zip(&rows) {
            match row {
                RecipeNodeRow::Job { job, is_original, .. } => {
                    jobs.insert(*job, node);
                    if !is_original {
                        self.recipes.moved.insert(*job, doc.id);
                    }
                }
                RecipeNodeRow::Recipe { recipe, .. } => drop(recipes.insert(*recipe, node)),
                _ => {}
            }
        }
        let n_bad = (0..count(rows.len())).filter(|node| Self::is_bad_node(state.state(*node))).count();
        let n_bad = count(n_bad);
        // What was taken over from a recipe that is here still.
        let former = doc.superseded_recipe.and_then(|old| self.recipes.open.get(&old));
        let of = |(job, node): (&JobId, &u32)| Some((*node, former?.output_of_job(*job)?.clone()));
        let outputs = jobs.iter().filter_map(of).collect();
        let shares = (0..).zip(&rows).map(|(node, row)| self.share_of(*row, state.state(node)));
        let counts = shares.fold(RecipeCounts::default(), RecipeCounts::plus);
        let input = Arc::new(data_of(&doc.input));
        let of_jobs = jobs.keys().filter_map(|job| Some(self.job(*job)?.last_status_change));
        let of_recipes = recipes.keys().filter_map(|id| Some(self.recipes.open.get(id)?.changed));
        let changed = of_jobs.chain(of_recipes).fold(doc.last_modified, Timestamp::max);
        let open = OpenRecipe { known, rows, state, jobs, recipes, outputs, n_bad, counts, changed, input };
        self.recipes.open.insert(doc.id, open);
        self.recipes.actions.extend(actions.into_iter().map(|action| (doc.id, action)));
    }

    /// What a node adds to the counts of its recipe.
    fn share_of(&self, row: RecipeNodeRow, state: NodeState) -> RecipeCounts {
        match (row, state) {
            (RecipeNodeRow::Job { .. }, NodeState::Job { status, .. }) => RecipeCounts::job(status),
            (RecipeNodeRow::Recipe { recipe, is_completed, n_jobs, n_recipes, .. }, _) => {
                let itself = |is_completed| RecipeCounts {
                    sub_recipes: 1,
                    sub_recipes_completed: u32::from(is_completed),
                    ..RecipeCounts::default()
                };
                match self.recipes.open.get(&recipe).filter(|_| !is_completed) {
                    Some(open) => open.counts.plus(itself(false)),
                    None => itself(is_completed).plus(completed(n_jobs, n_recipes)),
                }
            }
            _ => RecipeCounts::default(),
        }
    }

    /// Lets the counts of a recipe change, and of all that it is in.
    fn count(&mut self, recipe: RecipeId, less: RecipeCounts, more: RecipeCounts) {
        let mut at = Some(recipe);
        while let Some(id) = at {
            let Some(open) = self.recipes.open.get_mut(&id) else { return };
            open.counts = open.counts.minus(less).plus(more);
            open.changed = self.now;
            let doc = self.recipe_doc(id);
            let batch = doc.filter(|doc| doc.parent.is_none()).and_then(|doc| doc.batch);
            at = doc.and_then(|doc| doc.parent);
            if let Some(batch) = batch {
                self.batch_changed_at(batch, self.now);
            }
        }
    }

    /// Holds the counts of recipes that go on against their nodes.
    ///
    /// # Panics
    /// Where they differ.
    pub(super) fn check_recipes(&self) {
        for (id, open) in &self.recipes.open {
            let shares = (0..).zip(&open.rows).map(|(node, row)| self.share_of(*row, open.state.state(node)));
            let counts = shares.fold(RecipeCounts::default(), RecipeCounts::plus);
            assert_eq!(counts, open.counts, "C4: recipe {id}");
            for (job, node) in &open.jobs {
                let status = self.job(*job).map_or(JobStatus::Completed, |job| job.status);
                let known = open.status(*node);
                let is_gone = self.job(*job).is_none() && known.is_some_and(JobStatus::is_final);
                assert!(is_gone || known == Some(status), "C2: recipe {id}, job {job}: {known:?}");
            }
        }
    }

    const fn is_bad_node(state: NodeState) -> bool {
        match state {
            NodeState::Job { status, .. } => is_bad(status),
            NodeState::SubRecipe { is_blocking, .. } => is_blocking,
            NodeState::Absent | NodeState::Condition { .. } => false,
        }
    }

    /// Lets one node of a recipe change, and what follows from it follow.
    fn node_changed(
        &mut self,
        id: RecipeId,
        node: u32,
        change: impl FnOnce(&mut RecipeState) -> Vec<Action>,
    ) {
        let Some(open) = self.recipes.open.get_mut(&id) else { return };
        let was_bad = Self::is_bad_node(open.state.state(node));
        let actions = change(&mut open.state);
        let is_bad = Self::is_bad_node(open.state.state(node));
        let before = open.n_bad;
        open.n_bad = open.n_bad + u32::from(is_bad) - u32::from(was_bad);
        let tells = (before == 0) != (open.n_bad == 0);
        self.recipes.actions.extend(actions.into_iter().map(|action| (id, action)));
        if tells {
            self.tell_parent(id, false);
        }
    }

    /// Tells the recipe that a recipe is a node of how it stands.
    fn tell_parent(&mut self, id: RecipeId, is_completed: bool) {
        let Some(parent) = self.recipe_doc(id).and_then(|doc| doc.parent) else { return };
        let Some(open) = self.recipes.open.get(&parent) else { return };
        let Some(node) = open.recipes.get(&id).copied() else { return };
        let is_blocking = self.recipes.open.get(&id).is_some_and(|open| open.n_bad > 0);
        let has_input = self.recipe_doc(id).is_some_and(|doc| !doc.input.is_empty());
        self.node_changed(parent, node, |state| {
            let mut actions = state.sub_recipe_changed(node, is_completed, is_blocking);
            if has_input {
                actions.extend(state.input_processed(node));
            }
            actions
        });
        let Some(counts) = self.recipes.open.get(&id).map(|open| open.counts).filter(|_| is_completed) else {
            return;
        };
        let mut is_news = false;
        self.set_row(parent, node, |row| {
            if let RecipeNodeRow::Recipe { is_completed, n_jobs, n_recipes, .. } = row {
                is_news = !std::mem::replace(is_completed, true);
                (*n_jobs, *n_recipes) = (counts.jobs_total(), counts.sub_recipes);
            }
        });
        if is_news {
            let one = RecipeCounts { sub_recipes_completed: 1, ..RecipeCounts::default() };
            self.count(parent, RecipeCounts::default(), one);
        }
    }

    /// Rows of a recipe that goes on were put.
    fn note_part(&mut self, doc: &RecipePart) {
        let first = count(doc.part as usize * RECIPE_PART_NODES);
        let Some(open) = self.recipes.open.get(&doc.recipe) else { return };
        let changed: Vec<(u32, RecipeNodeRow)> = (first..)
            .zip(&doc.nodes)
            .filter(|(node, row)| open.rows.get(*node as usize).is_some_and(|known| known != *row))
            .map(|(node, row)| (node, *row))
            .collect();
        for (node, row) in changed {
            let Some(open) = self.recipes.open.get_mut(&doc.recipe) else { return };
            let is_new = open.rows[node as usize] == RecipeNodeRow::Missing;
            open.rows[node as usize] = row;
            match row {
                RecipeNodeRow::Job { job, .. } => drop(open.jobs.insert(job, node)),
                RecipeNodeRow::Recipe { recipe, .. } => drop(open.recipes.insert(recipe, node)),
                _ => {}
            }
            if is_new {
                let share = self.share_of(row, self.node_state(row));
                self.count(doc.recipe, RecipeCounts::default(), share);
                if let RecipeNodeRow::Job { job, .. } = row {
                    self.job_of_batch(job, (doc.recipe, node), None);
                }
            }
            self.node_changed(doc.recipe, node, |state| {
                let mut actions = if is_new { state.node_created(node) } else { Vec::new() };
                if let RecipeNodeRow::Condition { is_processed: true, is_accepted } = row {
                    actions.extend(state.condition_done(node, is_accepted));
                }
                actions
            });
        }
    }

    /// Changes the row of a node, for readers and the store.
    fn set_row(&mut self, id: RecipeId, node: u32, change: impl FnOnce(&mut RecipeNodeRow)) {
        let Some(open) = self.recipes.open.get_mut(&id) else { return };
        let Some(row) = open.rows.get_mut(node as usize) else { return };
        let before = *row;
        change(row);
        if *row == before {
            return;
        }
        let part = part_of(node);
        let from = part as usize * RECIPE_PART_NODES;
        let nodes = open.rows.iter().skip(from).take(RECIPE_PART_NODES).copied().collect();
        let doc = Arc::new(Doc::RecipePart(RecipePart { recipe: id, part, nodes }));
        self.docs.put(&doc);
        self.delta.docs.push((doc.key(), Some(doc)));
    }

    /// A job changed: its recipe is told.
    pub(super) fn job_changed(
        &mut self,
        job: JobId,
        before: JobStatus,
        (status, has_input): (JobStatus, bool),
    ) {
        let Some((recipe, node)) = self.recipe_of(job) else { return };
        if before != status {
            self.count(recipe, RecipeCounts::job(before), RecipeCounts::job(status));
            self.job_of_batch(job, (recipe, node), Some(before));
        }
        self.node_changed(recipe, node, |state| state.job_stands(node, status, has_input));
        self.set_row(recipe, node, |row| {
            if let RecipeNodeRow::Job { over, .. } = row {
                *over = status.is_final().then_some(status);
            }
        });
    }

    fn note_output(&mut self, doc: &JobOutput) {
        let Some((recipe, node)) = self.recipe_of(doc.job) else { return };
        if let Some(open) = self.recipes.open.get_mut(&recipe) {
            open.outputs.insert(node, Arc::new(doc.clone()));
        }
    }

    /// Takes note of what a job of a recipe gave that is here no more.
    pub(crate) fn give_output(&mut self, recipe: RecipeId, output: &Arc<JobOutput>) {
        let Some(open) = self.recipes.open.get_mut(&recipe) else { return };
        if let Some(node) = open.jobs.get(&output.job) {
            open.outputs.insert(*node, output.clone());
        }
    }

    /// Forgets a recipe that goes on no more.
    pub(super) fn close_recipe(&mut self, key: DocKey) {
        let Some(open) = self.recipes.open.remove(&RecipeId(key.id)) else { return };
        for job in open.jobs.keys() {
            if self.recipes.moved.get(job) == Some(&RecipeId(key.id)) {
                self.recipes.moved.remove(job);
            }
        }
    }

    /// Makes the recipes that go on, once jobs and documents are back.
    pub(crate) fn open_recipes(&mut self) {
        let mut all: Vec<Recipe> =
            self.docs.open_recipes().filter_map(|id| self.recipe_doc(id).cloned()).collect();
        // A recipe is asked how it stands by the one that it is a node of.
        all.sort_by_key(|doc| std::cmp::Reverse(self.depth_of(doc)));
        for doc in &all {
            self.open_up(doc);
        }
        self.has_done_all();
        self.recount_batches();
    }

    /// In how many recipes a recipe is.
    fn depth_of(&self, doc: &Recipe) -> u32 {
        let (mut depth, mut at) = (0, doc.parent);
        while let Some(parent) = at.filter(|_| depth <= DEPTH_MAX) {
            depth += 1;
            at = self.recipe_doc(parent).and_then(|doc| doc.parent);
        }
        depth
    }

    /// Batches of recipes that go on, each with when the recipe last changed.
    pub(super) fn batches_of_open(&self) -> Vec<(BatchId, Timestamp)> {
        let of = |(id, open): (&RecipeId, &OpenRecipe)| Some((self.recipe_doc(*id)?.batch?, open.changed));
        self.recipes.open.iter().filter_map(of).collect()
    }

    /// Jobs of recipes that go on, each with its place there.
    pub(super) fn jobs_in_recipes(&self) -> Vec<(JobId, (RecipeId, u32))> {
        let jobs = |(id, open): (&RecipeId, &OpenRecipe)| -> Vec<_> {
            open.jobs.iter().map(|(job, node)| (*job, (*id, *node))).collect()
        };
        self.recipes.open.iter().flat_map(jobs).collect()
    }

    /// Jobs that are completed, which are here no more, each with the recipe that goes on with it.
    pub(crate) fn completed_in_recipes(&self) -> Vec<(RecipeId, JobId)> {
        let is_completed = |row: &RecipeNodeRow| match row {
            RecipeNodeRow::Job { job, over: Some(JobStatus::Completed), .. } => Some(*job),
            _ => None,
        };
        let jobs = |(id, open): (&RecipeId, &OpenRecipe)| -> Vec<_> {
            open.rows.iter().filter_map(is_completed).map(|job| (*id, job)).collect()
        };
        let mut all: Vec<(RecipeId, JobId)> = self.recipes.open.iter().flat_map(jobs).collect();
        all.sort_unstable();
        all
    }
}

/// What a recipe or a job was given, read from a document that was checked when it came.
pub(crate) fn data_of(json: &str) -> Data {
    let value = serde_json::from_str(json).unwrap_or_default();
    crate::job::data::read_data(&value).unwrap_or_default()
}
