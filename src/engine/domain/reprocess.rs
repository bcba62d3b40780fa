//! Recipes made anew in place of others: what is unchanged is taken over, the rest is run again.
//!
//! All of it is one command: the former recipe and what is given up of it are superseded and canceled, the new
//! one stands with what it took over, and what follows from that is done.
//!
//! A1  A job is a node of one recipe that goes on: the newest that has it.
//! A2  A recipe is superseded once. What was read of it before its turn came is refused where that is old.

use std::sync::Arc;

use foldhash::HashMap;
use serde_json::Value;

use crate::engine::core::{Core, in_events};
use crate::engine::handle::JobsError;
use crate::engine::look::LookError;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::job::can_be_canceled;
use crate::limits::REPROCESS_NODES_MAX;
use crate::model::{
    BatchId, Doc, DocKey, Event, EventId, JobId, JobOutput, JobState, JobStatus, RecalledJobs, Recipe,
    RecipeId, RecipeNodeRow, Timestamp, kind,
};
use crate::recipe::{Definition, Fate, ForcedNodes, ForcedNodesError, NodeKind, diff};
use crate::state::{Gone, Known, data_of};
use crate::store::Facts;

use super::recipes::{Checked, Origin, RecipeError, chain_of, check_configuration, fits, is_over, size_of};

/// A recipe to be made in place of another one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reprocess {
    /// Which one.
    pub recipe: RecipeId,
    /// What is run again although it is unchanged: `{"all": true}`, or `{"all": false, "nodes": [...],
    /// "sub_recipes": {...}}`.
    pub forced_nodes: Value,
    /// Of which revision of its type; none: the newest.
    pub revision: Option<u32>,
    /// Replaces what the job types say; none: as that one's.
    pub configuration: Option<Value>,
    /// What made it; none: a user, whose event is put on record with it.
    pub event: Option<EventId>,
    /// In which batch.
    pub batch: Option<BatchId>,
}

impl Reprocess {
    /// By the newest revision of its type, for a user.
    pub fn new(recipe: RecipeId, forced_nodes: Value) -> Self {
        Self { recipe, forced_nodes, revision: None, configuration: None, event: None, batch: None }
    }
}

/// What was read of recipes that may not be in memory.
#[derive(Default)]
pub(in crate::engine) struct Former {
    recipes: HashMap<RecipeId, (Recipe, Vec<RecipeNodeRow>)>,
    /// How jobs stand that are over.
    jobs: Facts,
    /// What jobs gave that may be taken over.
    outputs: HashMap<JobId, Arc<JobOutput>>,
}

impl Engine {
    /// Makes a recipe in place of another one, which is superseded. Nodes that are neither changed nor forced
    /// are taken over with their jobs; the others are made anew, and their old jobs superseded and canceled,
    /// as those of nodes that are no more. Sub-recipes are compared in turn. The input is that of the old one.
    ///
    /// The ticket is refused with [`RecipeError::Changing`] where the recipe changed while it was read; ask
    /// again then.
    ///
    /// Cost: the nodes of both, and a look into the store for each job that is over.
    ///
    /// # Source
    /// Scale's reprocess. There a recipe within another one is taken too, and one that cannot be made anew
    /// fails later, unseen.
    pub fn reprocess(&self, order: Reprocess) -> Result<Ticket<RecipeId, RecipeError>, IntakeError> {
        self.reprocess_then(order, |_, _, _| {})
    }

    /// The same, with what else belongs to the command.
    pub(in crate::engine) fn reprocess_then(
        &self,
        order: Reprocess,
        then: impl FnOnce(&mut Core, RecipeId, Timestamp) + Send + 'static,
    ) -> Result<Ticket<RecipeId, RecipeError>, IntakeError> {
        let forced = match ForcedNodes::read(&order.forced_nodes) {
            Ok(forced) => forced,
            Err(error) => return Ok(self.refused(RecipeError::InvalidNodes(error.to_string()))),
        };
        let former = match self.former(order.recipe) {
            Ok(former) => former,
            Err(error) => return Ok(self.refused(error)),
        };
        self.call_inner(move |inner, core, now| {
            inner.still_true(&former.jobs).map_err(|error| refusal(order.recipe, error))?;
            let id = core.reprocess(&order, &forced, &former, now)?;
            then(core, id, now);
            Ok(id)
        })
    }

    /// Reads a recipe and all within it.
    fn former(&self, id: RecipeId) -> Result<Former, RecipeError> {
        let mut former = Former::default();
        let (mut jobs, mut n_nodes) = (Vec::new(), 0);
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let open = {
                let owned = self.0.enter();
                owned.core.state.open_recipe(id).map(|open| open.rows.clone())
            };
            let is_open = open.is_some();
            let rows = if let Some(rows) = open {
                rows
            } else {
                let doc = self.read_recipe(id)?.ok_or(RecipeError::Unknown(id))?;
                let rows = self.read_recipe_nodes(id)?;
                former.recipes.insert(id, (doc, rows.clone()));
                rows
            };
            n_nodes += rows.len();
            if n_nodes > REPROCESS_NODES_MAX {
                return Err(RecipeError::TooLarge);
            }
            for row in rows {
                match row {
                    RecipeNodeRow::Job { job, over, .. } => {
                        jobs.push(job);
                        if !is_open && over == Some(JobStatus::Completed) {
                            former.outputs.extend(self.output_of(job)?.map(|output| (job, output)));
                        }
                    }
                    RecipeNodeRow::Recipe { recipe, .. } => stack.push(recipe),
                    RecipeNodeRow::Missing | RecipeNodeRow::Condition { .. } => {}
                }
            }
        }
        former.jobs = self.facts(&jobs).map_err(|error| refusal(id, error))?;
        Ok(former)
    }

    /// What the newest execution of a job gave that gave anything.
    fn output_of(&self, job: JobId) -> Result<Option<Arc<JobOutput>>, RecipeError> {
        let key = |sub| DocKey { kind: kind::JOB_OUTPUT, id: job.0, sub };
        let found = self.read_docs((key(0), key(u64::MAX)), true, 1)?;
        Ok(found.first().and_then(|doc| match &**doc {
            Doc::JobOutput(output) => Some(Arc::new(output.clone())),
            _ => None,
        }))
    }
}

impl From<LookError> for RecipeError {
    fn from(error: LookError) -> Self {
        Self::Unreadable { cause: error.to_string() }
    }
}

fn refusal(id: RecipeId, error: JobsError) -> RecipeError {
    match error {
        JobsError::Unreadable { cause } => RecipeError::Unreadable { cause },
        _ => RecipeError::Changing(id),
    }
}

/// One recipe that is made in place of another one.
struct Renewal {
    id: RecipeId,
    checked: Checked,
    origin: Origin,
    rows: Vec<RecipeNodeRow>,
    outputs: Vec<Arc<JobOutput>>,
    /// Sub-recipes that go on in it.
    adopted: Vec<RecipeId>,
}

/// What a reprocess does, found before anything of it is done.
#[derive(Default)]
struct Renewals {
    /// Those within others first.
    made: Vec<Renewal>,
    /// Recipes that are no more, with those in their place; those within others first.
    ended: Vec<(Recipe, Option<RecipeId>)>,
    /// Jobs that are no more.
    jobs: Vec<JobId>,
    n_ids: u64,
}

impl Core {
    fn reprocess(
        &mut self,
        order: &Reprocess,
        forced: &ForcedNodes,
        former: &Former,
        now: Timestamp,
    ) -> Result<RecipeId, RecipeError> {
        let (old, _, _) = self.former_recipe(former, order.recipe)?;
        let newest = self.recipe_type(old.recipe_type).map_or(0, |kind| kind.revision);
        let revision = order.revision.unwrap_or(newest);
        let known = self.state.definition(old.recipe_type, revision).cloned();
        let unknown = RecipeError::UnknownType { id: old.recipe_type, revision };
        let known = known.ok_or(unknown)?;
        if old.superseded.is_some() || old.superseded_by.is_some() || self.state.was_superseded(old.id) {
            return Err(RecipeError::Superseded(old.id));
        }
        if old.parent.is_some() {
            return Err(RecipeError::IsNode { id: old.id, root: old.root });
        }
        let errors = self.forced_errors(forced, &known.definition);
        if !errors.is_empty() {
            // Scale shows a list of its language.
            let errors: Vec<String> = errors.iter().map(|error| format!("u'{error}'")).collect();
            let errors = errors.join(", ");
            let what = "Unable to reprocess recipe. Errors in validating forced_nodes:";
            return Err(RecipeError::InvalidNodes(format!("{what} [{errors}]")));
        }
        let size = known.definition.size();
        if size.is_too_large() {
            return Err(RecipeError::TooLarge);
        }
        self.check_queue(size.nodes)?;
        let configuration = match &order.configuration {
            Some(configuration) => check_configuration(Some(configuration))?,
            None => old.configuration.clone(),
        };
        let when = self.clamp(now);
        let mut found = Renewals::default();
        let origin = Origin {
            event: order.event.unwrap_or_default(),
            ingest_event: old.ingest_event,
            batch: order.batch,
            parent: None,
            superseded: Some(chain_of(&old)),
        };
        let checked = Checked {
            recipe_type: old.recipe_type,
            revision,
            input: old.input.clone(),
            files: old.files.clone(),
            input_mib: old.input_mib.unwrap_or(0),
            configuration,
        };
        let id = self.plan_renewal(former, &old, &known, forced, (checked, origin), &mut found)?;
        self.check_known(&found.jobs, &former.jobs).map_err(|error| refusal(old.id, error))?;
        // From here on nothing is refused.
        let event = match order.event {
            Some(event) => event,
            None => self.user_event(when),
        };
        self.give_up(&found.jobs, &former.jobs, when);
        for mut made in found.made {
            made.origin.event = event;
            self.make_recipe_as(made.id, made.checked, made.origin, &made.rows, when);
            for output in &made.outputs {
                self.state.give_output(made.id, output);
            }
            for sub in made.adopted {
                self.adopt(sub, (made.id, id), when);
            }
        }
        for (doc, by) in found.ended {
            self.end_recipe(doc, by, when);
        }
        Ok(id)
    }

    /// What names nodes that are not of the definition, nor of those of its sub-recipes.
    pub(super) fn forced_errors(
        &self,
        forced: &ForcedNodes,
        definition: &Definition,
    ) -> Vec<ForcedNodesError> {
        let mut errors = forced.check(definition);
        let ForcedNodes::Some { sub_recipes, .. } = forced else { return errors };
        for (name, within) in sub_recipes {
            let Some((_, node)) = definition.node(name) else { continue };
            let NodeKind::Recipe { name, revision } = &node.kind else { continue };
            let kind = self.state.recipe_type_named(name);
            let known = kind.and_then(|kind| self.state.definition(kind, *revision));
            errors
                .extend(known.map(|known| self.forced_errors(within, &known.definition)).unwrap_or_default());
        }
        errors
    }

    /// A recipe, in memory or as it was read.
    fn former_recipe(
        &self,
        former: &Former,
        id: RecipeId,
    ) -> Result<(Recipe, Vec<RecipeNodeRow>, Arc<Known>), RecipeError> {
        if let (Some(open), Some(doc)) = (self.state.open_recipe(id), self.state.recipe_doc(id)) {
            return Ok((doc.clone(), open.rows.clone(), open.known.clone()));
        }
        let found = former.recipes.get(&id).filter(|(doc, _)| is_over(doc));
        let (doc, rows) = found.ok_or(RecipeError::Changing(id))?;
        let unknown = RecipeError::UnknownType { id: doc.recipe_type, revision: doc.revision };
        let known = self.state.definition(doc.recipe_type, doc.revision).ok_or(unknown)?;
        Ok((doc.clone(), rows.clone(), known.clone()))
    }

    /// Finds what becomes of a recipe that another one is made for.
    fn plan_renewal(
        &self,
        former: &Former,
        old: &Recipe,
        new: &Arc<Known>,
        forced: &ForcedNodes,
        (mut checked, origin): (Checked, Origin),
        found: &mut Renewals,
    ) -> Result<RecipeId, RecipeError> {
        let id = RecipeId(self.state.next_recipe().0 + found.n_ids);
        found.n_ids += 1;
        let (_, old_rows, old_known) = self.former_recipe(former, old.id)?;
        let diff = diff(&old_known.definition, &new.definition, forced);
        let incompatible = |reason: String| RecipeError::Incompatible { id: old.id, reason };
        if let Some(obstacle) = &diff.obstacle {
            return Err(incompatible(obstacle.to_string()));
        }
        if !checked.input.is_empty() {
            let data = fits(&new.definition, data_of(&checked.input), &checked.files)
                .map_err(|error| incompatible(error.to_string()))?;
            checked.input_mib = size_of(&data, &checked.files);
            checked.input = data.to_value().to_string().into();
        }
        let old_row = |name: &str| {
            let (place, _) = old_known.definition.node(name)?;
            old_rows.get(place as usize).copied()
        };
        let mut made =
            Renewal { id, checked, origin, rows: Vec::new(), outputs: Vec::new(), adopted: Vec::new() };
        made.rows.resize(new.plan.len(), RecipeNodeRow::Missing);
        for (place, node) in diff.nodes.iter().enumerate() {
            let row = old_row(&node.name).unwrap_or_default();
            match node.fate {
                Fate::Nothing | Fate::Create => {}
                Fate::Copy => made.rows[place] = self.copied(former, row, &mut made),
                Fate::Replace | Fate::ReplaceAll | Fate::Delete => self.plan_end(former, row, found)?,
                Fate::Recurse => {
                    let nothing = ForcedNodes::NONE;
                    let forced = node.forced_within.as_ref().unwrap_or(&nothing);
                    let outer = (&made, old);
                    made.rows[place] =
                        self.plan_sub_recipe(former, row, (new, place), outer, forced, found)?;
                }
            }
        }
        found.made.push(made);
        found.ended.push((old.clone(), Some(id)));
        Ok(id)
    }

    /// The row of a node that is taken over.
    fn copied(&self, former: &Former, row: RecipeNodeRow, made: &mut Renewal) -> RecipeNodeRow {
        match row {
            RecipeNodeRow::Job { job, over, .. } => {
                made.outputs.extend(former.outputs.get(&job).cloned());
                RecipeNodeRow::Job { job, is_original: false, over }
            }
            RecipeNodeRow::Recipe { recipe, is_completed, n_jobs, n_recipes, .. } => {
                if self.state.open_recipe(recipe).is_some() {
                    made.adopted.push(recipe);
                }
                RecipeNodeRow::Recipe { recipe, is_original: false, is_completed, n_jobs, n_recipes }
            }
            other => other,
        }
    }

    /// Finds what becomes of a sub-recipe that is compared with what its node says now.
    fn plan_sub_recipe(
        &self,
        former: &Former,
        row: RecipeNodeRow,
        (new, place): (&Arc<Known>, usize),
        (outer, old): (&Renewal, &Recipe),
        forced: &ForcedNodes,
        found: &mut Renewals,
    ) -> Result<RecipeNodeRow, RecipeError> {
        let RecipeNodeRow::Recipe { recipe: sub, .. } = row else {
            self.plan_end(former, row, found)?;
            return Ok(RecipeNodeRow::Missing);
        };
        let kind = new.definition.nodes().get(place).map(|node| &node.kind);
        let Some(NodeKind::Recipe { name, revision }) = kind else {
            self.plan_end(former, row, found)?;
            return Ok(RecipeNodeRow::Missing);
        };
        let (doc, _, known) = self.former_recipe(former, sub)?;
        let recipe_type = self.state.recipe_type_named(name);
        let inner = recipe_type.and_then(|id| Some((id, self.state.definition(id, *revision)?.clone())));
        let Some((recipe_type, inner)) = inner else {
            self.plan_end(former, row, found)?;
            return Ok(RecipeNodeRow::Missing);
        };
        // One that cannot be compared is made from nothing.
        let takes_input =
            doc.input.is_empty() || fits(&inner.definition, data_of(&doc.input), &doc.files).is_ok();
        let can_be = diff(&known.definition, &inner.definition, forced).obstacle.is_none() && takes_input;
        if !can_be {
            self.plan_end(former, row, found)?;
            return Ok(RecipeNodeRow::Missing);
        }
        let root =
            if outer.origin.parent.is_some() { outer.origin.parent.map(|(_, root)| root) } else { None };
        let origin = Origin {
            parent: Some((outer.id, root.unwrap_or(outer.id))),
            superseded: Some(chain_of(&doc)),
            ingest_event: old.ingest_event,
            ..outer.origin
        };
        let checked = Checked {
            recipe_type,
            revision: *revision,
            input: doc.input.clone(),
            files: doc.files.clone(),
            input_mib: doc.input_mib.unwrap_or(0),
            configuration: outer.checked.configuration.clone(),
        };
        let id = self.plan_renewal(former, &doc, &inner, forced, (checked, origin), found)?;
        let recipe = RecipeNodeRow::Recipe {
            recipe: id,
            is_original: true,
            is_completed: false,
            n_jobs: 0,
            n_recipes: 0,
        };
        Ok(recipe)
    }

    /// Finds what is given up with a node: its job, or its recipe and all within.
    fn plan_end(&self, former: &Former, row: RecipeNodeRow, found: &mut Renewals) -> Result<(), RecipeError> {
        match row {
            RecipeNodeRow::Job { job, .. } => found.jobs.push(job),
            RecipeNodeRow::Recipe { recipe, .. } => {
                let (doc, rows, _) = self.former_recipe(former, recipe)?;
                for row in rows {
                    self.plan_end(former, row, found)?;
                }
                found.ended.push((doc, None));
            }
            RecipeNodeRow::Missing | RecipeNodeRow::Condition { .. } => {}
        }
        Ok(())
    }

    /// Whether facts tell of all jobs that are over and are not here. Unlike for a requeue, of completed ones
    /// too.
    fn check_known(&self, jobs: &[JobId], facts: &Facts) -> Result<(), JobsError> {
        let mut absent = jobs.iter().filter(|id| self.state.job(**id).is_none());
        // What retention dropped nobody asks for.
        let changing = absent.find(|id| self.state.gone(**id, facts.position) != Gone::Before);
        changing.map_or(Ok(()), |id| Err(JobsError::Changing(*id)))
    }

    /// Supersedes jobs, and cancels those that can be.
    ///
    /// What is over leaves with the next event, so it is taken up before each that changes it.
    fn give_up(&mut self, jobs: &[JobId], facts: &Facts, when: Timestamp) {
        let mut jobs = jobs.to_vec();
        jobs.sort_unstable();
        jobs.dedup();
        for mut jobs in in_events(&jobs) {
            let read = |id: &JobId| facts.over.binary_search_by_key(id, |(id, _)| *id).ok();
            let absent = jobs.iter().filter(|id| self.state.job(**id).is_none());
            self.take_up(absent.filter_map(read).map(|at| facts.over[at].clone()).collect());
            jobs.retain(|id| self.state.job(*id).is_some_and(|job| !job.is_superseded()));
            if jobs.is_empty() {
                continue;
            }
            self.emit(Event::JobsSuperseded { jobs: jobs.clone(), when });
            jobs.retain(|id| self.state.job(*id).is_some_and(can_be_canceled));
            let over = jobs.iter().filter_map(|id| Some((*id, self.state.job(*id)?.clone())));
            self.take_up(over.filter(|(_, job)| !job.is_open()).collect());
            self.cancel_now(&jobs, when);
        }
    }

    fn take_up(&mut self, jobs: Vec<(JobId, JobState)>) {
        if !jobs.is_empty() {
            self.emit(Event::JobsRecalled(RecalledJobs(jobs)));
        }
    }

    /// Makes a sub-recipe one of another recipe.
    fn adopt(&mut self, sub: RecipeId, (parent, root): (RecipeId, RecipeId), when: Timestamp) {
        let Some(doc) = self.state.recipe_doc(sub) else { return };
        let mut doc = doc.clone();
        (doc.parent, doc.root, doc.last_modified) = (Some(parent), root, when);
        self.put(Doc::Recipe(doc));
    }

    /// Puts on record that a recipe is superseded; it goes on no more.
    fn end_recipe(&mut self, read: Recipe, by: Option<RecipeId>, when: Timestamp) {
        let open = self.state.open_recipe(read.id).map(|open| open.counts);
        let mut doc = self.state.recipe_doc(read.id).cloned().unwrap_or(read);
        let id = doc.id;
        (doc.superseded, doc.superseded_by, doc.last_modified) = (Some(when), by, when);
        doc.counts = open.unwrap_or(doc.counts);
        self.put(Doc::Recipe(doc));
        if open.is_some() {
            self.emit(Event::DocDropped(DocKey { kind: kind::OPEN_RECIPE, id: id.0, sub: 0 }));
        }
    }
}
