//! The input of a node of a recipe: made once all that it waits for is done, of what the recipe was given and
//! what the nodes before gave.
//!
//! N1  An input that a job does not take, or that is too long to be kept, cancels the job; one that is too long
//!     for a sub-recipe cancels all jobs within it; a condition accepts nothing where its own is too long.
//! N2  No more is made of an input than may be kept.

use crate::engine::core::{Core, in_events};
use crate::job::data::{validate, without_unknown};
use crate::limits::DATA_BYTES_MAX;
use crate::model::{
    Data, Doc, Event, JobId, JobInput, JobOutput, JobStatus, RecipeId, RecipeNodeRow, Timestamp,
};
use crate::recipe::{Connection, FileFacts, NodeKind, input_of};
use crate::state::data_of;

use super::recipes::{Files, check_facts, fact_of, info_of, named_files, resources_of, size_of};

/// An input with what is known of its files; or that it is too long.
type Made = Result<(Data, Files), TooLong>;

/// An input is too long to be kept.
struct TooLong;

impl Core {
    fn node_input(&self, recipe: RecipeId, node: u32) -> Option<Made> {
        let open = self.state.open_recipe(recipe)?;
        let doc = self.state.recipe_doc(recipe)?;
        let definition = &open.known.definition;
        let here = definition.nodes().get(node as usize)?;
        let output = |name: &str| open.output(definition.node(name)?.0);
        let of = |name: &str| Some(data_of(&output(name)?.output));
        let Some(data) = input_of(here, &open.input, of, DATA_BYTES_MAX) else { return Some(Err(TooLong)) };
        let connected = here.connections.iter().filter_map(|(_, connection)| match connection {
            Connection::Dependency { node, .. } => Some(node.as_str()),
            Connection::Recipe { .. } => None,
        });
        let mut names: Vec<&str> = connected.collect();
        names.sort_unstable();
        names.dedup();
        let outputs: Vec<&JobOutput> = names.into_iter().filter_map(output).map(|output| &**output).collect();
        let fact = |id: u64| {
            let of_output = || outputs.iter().find_map(|output| fact_of(&output.files, id));
            fact_of(&doc.files, id).or_else(of_output).cloned()
        };
        let files: Files = named_files(&data).into_iter().filter_map(fact).collect();
        Some(if check_facts(&files).is_ok() { Ok((data, files)) } else { Err(TooLong) })
    }

    /// Makes the input of a node; a job that can be queued with it is given back. A sub-recipe that cannot have
    /// its input is added to `unfit`.
    pub(super) fn process_node(
        &mut self,
        (recipe, node): (RecipeId, u32),
        unfit: &mut Vec<RecipeId>,
        when: Timestamp,
    ) -> Option<JobId> {
        let made = self.node_input(recipe, node)?;
        match self.state.open_recipe(recipe)?.row(node) {
            RecipeNodeRow::Missing => None,
            RecipeNodeRow::Job { job, .. } => self.process_job(job, made, when),
            RecipeNodeRow::Recipe { recipe: sub, .. } => {
                if self.give_sub_recipe(sub, made, when).is_err() {
                    unfit.push(sub);
                }
                None
            }
            RecipeNodeRow::Condition { .. } => {
                let is_accepted = made.is_ok_and(|made| self.is_accepted((recipe, node), &made));
                let row = RecipeNodeRow::Condition { is_processed: true, is_accepted };
                self.put_rows(recipe, &[(node, row)]);
                None
            }
        }
    }

    fn give_sub_recipe(&mut self, sub: RecipeId, made: Made, when: Timestamp) -> Result<(), TooLong> {
        let (data, files) = made?;
        let Some(doc) = self.state.recipe_doc(sub) else { return Ok(()) };
        let input = data.to_value().to_string();
        if input.len() > DATA_BYTES_MAX {
            return Err(TooLong);
        }
        let mut doc = doc.clone();
        (doc.input_mib, doc.input) = (Some(size_of(&data, &files)), input.into());
        (doc.files, doc.last_modified) = (files, when);
        self.put(Doc::Recipe(doc));
        Ok(())
    }

    /// Whether a condition accepts what it is given.
    fn is_accepted(&self, (recipe, node): (RecipeId, u32), (data, files): &(Data, Files)) -> bool {
        let Some(open) = self.state.open_recipe(recipe) else { return false };
        let kind = open.known.definition.nodes().get(node as usize).map(|node| &node.kind);
        let Some(NodeKind::Condition { filter, .. }) = kind else { return false };
        let nothing = serde_json::Map::new();
        filter.accepts(data, |id| {
            let fact = fact_of(files, id)?;
            Some(FileFacts {
                file_name: &fact.name,
                media_type: &fact.media_type,
                data_types: &[],
                metadata: &nothing,
            })
        })
    }

    /// Gives a job its input.
    fn process_job(&mut self, id: JobId, made: Made, when: Timestamp) -> Option<JobId> {
        let job = self.state.job(id)?;
        let manifest = self.state.manifest(job.job_type, job.revision).cloned();
        // What it asks for is what its type says by now.
        let newest = self.details(job.job_type).map_or(job.revision, |details| details.revision);
        let newest = self.state.manifest(job.job_type, newest).or(manifest.as_ref()).cloned();
        let fitting = made.ok().and_then(|(data, files)| {
            let Some(manifest) = manifest.as_deref() else { return Some((data, files)) };
            validate(manifest.inputs(), &data, info_of(&files)).ok()?;
            Some((without_unknown(manifest.inputs(), data), files))
        });
        let kept = fitting.and_then(|(data, files)| {
            let text = data.to_value().to_string();
            (text.len() <= DATA_BYTES_MAX).then_some((data, files, text))
        });
        let Some((data, files, text)) = kept else {
            self.emit(Event::JobsCanceled { jobs: vec![id], when });
            return None;
        };
        let input_mib = size_of(&data, &files);
        let resources = newest.as_deref().map(|manifest| resources_of(manifest, input_mib));
        if !data.is_empty() {
            self.put(Doc::JobInput(JobInput { job: id, input: text.into() }));
        }
        self.emit(Event::InputProcessed { job: id, input_mib, resources });
        self.state.job(id).is_some_and(crate::job::can_be_queued).then_some(id)
    }

    /// Cancels the jobs of a recipe, and of those within it, that wait for an input which does not come.
    pub(super) fn cancel_within(&mut self, recipe: RecipeId, when: Timestamp) {
        let (mut stack, mut jobs) = (vec![recipe], Vec::new());
        while let Some(id) = stack.pop() {
            let Some(open) = self.state.open_recipe(id) else { continue };
            for row in &open.rows {
                match row {
                    RecipeNodeRow::Job { job, .. } => jobs.push(*job),
                    RecipeNodeRow::Recipe { recipe, .. } => stack.push(*recipe),
                    RecipeNodeRow::Missing | RecipeNodeRow::Condition { .. } => {}
                }
            }
        }
        let waits = |id: &JobId| {
            let status = self.state.job(*id).map(|job| job.status);
            matches!(status, Some(JobStatus::Pending | JobStatus::Blocked))
        };
        jobs.retain(waits);
        jobs.sort_unstable();
        for jobs in in_events(&jobs) {
            self.emit(Event::JobsCanceled { jobs, when });
        }
    }
}
