//! What has to be looked up in the store to show jobs: what made them, their recipes, and those whose places
//! they took.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::engine::Engine;
use crate::model::{Data, EventId, FileFact, Job, JobId, Recipe, RecipeId, TriggerEvent};

/// See the file.
#[derive(Debug, Default)]
pub(super) struct JobFacts {
    events: BTreeMap<EventId, TriggerEvent>,
    recipes: BTreeMap<RecipeId, Recipe>,
    others: BTreeMap<JobId, Job>,
    /// In whose places jobs are, by those.
    replacing: BTreeMap<JobId, JobId>,
    /// Names of the files of inputs that have any.
    files: BTreeMap<JobId, Map<String, Value>>,
    is_detailed: bool,
    /// Which recipe holds the one job that is shown in detail.
    holding: Option<RecipeId>,
    /// Of the one job that is shown in detail.
    pub(super) input: Data,
}

fn replaced(job: &Job) -> Option<JobId> {
    job.given.as_ref()?.superseded_job
}

/// Names of those of `files` that `input` has, by parameter, in the order of their ids.
pub(super) fn names_of(input: &Data, files: &[FileFact]) -> Map<String, Value> {
    let names = |ids: &[u64]| -> Value {
        let of_these = files.iter().filter(|file| ids.contains(&file.id.0));
        of_these.map(|file| Value::from(&*file.name)).collect()
    };
    input.files.iter().map(|(parameter, ids)| (parameter.clone(), names(ids))).collect()
}

impl JobFacts {
    /// Looks up what stands in a list beside these jobs.
    ///
    /// Cost: a look for each event, recipe, replaced job, input with a size and file of it; none for an event
    /// that is known by its job.
    pub(super) fn of(engine: &Engine, jobs: &[Job]) -> Self {
        let mut facts = Self::default();
        for job in jobs {
            let event = job.event();
            if event.of_job().is_none() && !facts.events.contains_key(&event) {
                facts.events.extend(engine.trigger_event(event).map(|known| (event, known)));
            }
            if let Some((recipe, _)) = &job.recipe
                && !facts.recipes.contains_key(recipe)
            {
                facts.recipes.extend(engine.recipe_record(*recipe).map(|known| (*recipe, known)));
            }
            // Without a size there are no files.
            if job.input_mib.is_some() {
                let input = engine.job_input(job);
                if !input.files.is_empty() {
                    facts.files.insert(job.id, names_of(&input, &engine.files_of(&input)));
                }
            }
            if let Some(id) = replaced(job) {
                facts.others.extend(engine.job(id).map(|known| (id, known)));
            }
        }
        facts
    }

    /// The same for a job that is shown in detail: also its input, and the job in its place.
    pub(super) fn in_detail(engine: &Engine, job: &Job) -> Self {
        let mut facts = Self::of(engine, std::slice::from_ref(job));
        facts.input = engine.job_input(job);
        let holding = engine.recipe_holding(job);
        (facts.is_detailed, facts.holding) = (true, holding.as_ref().map(|recipe| recipe.id));
        facts.recipes.extend(holding.map(|recipe| (recipe.id, recipe)));
        if job.superseded.is_some()
            && let Some(new) = engine.job_in_place_of(job)
        {
            facts.replacing.insert(job.id, new.id);
            facts.others.insert(new.id, new);
        }
        facts
    }

    /// The names of the files of the input of `job`, by parameter.
    pub(super) fn files(&self, job: &Job) -> Map<String, Value> {
        self.files.get(&job.id).cloned().unwrap_or_default()
    }

    pub(super) fn event(&self, id: EventId) -> Option<&TriggerEvent> {
        self.events.get(&id)
    }

    pub(super) fn recipe(&self, id: RecipeId) -> Option<&Recipe> {
        self.recipes.get(&id)
    }

    /// The recipe that a job is shown with: in a list the one that made it, in detail the one that holds it now.
    pub(super) fn recipe_of(&self, job: &Job) -> Option<RecipeId> {
        if self.is_detailed { self.holding } else { job.recipe.as_ref().map(|(id, _)| *id) }
    }

    /// The job that `job` took the place of.
    pub(super) fn replaced_by(&self, job: &Job) -> Option<&Job> {
        self.others.get(&replaced(job)?)
    }

    /// The job in the place of `job`.
    pub(super) fn replacing(&self, job: &Job) -> Option<&Job> {
        self.others.get(self.replacing.get(&job.id)?)
    }
}
