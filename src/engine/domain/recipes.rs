//! Recipes: made, carried on as their nodes change, made anew in place of others.
//!
//! What a change of a node leads to is found by the state (`state/recipes`); here it is done, by the command
//! that led to it and with its events.

use std::sync::Arc;

use serde_json::Value;

use crate::catalog::configuration::Configuration;
use crate::catalog::manifest::Manifest;
use crate::engine::core::{Core, in_events};
use crate::engine::look::LookError;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::job::data::{DataError, FileInfo, input_size_mib, read_data, validate, without_unknown};
use crate::limits::{
    CATALOG_TEXT_BYTES_MAX, DATA_BYTES_MAX, FACTS_BYTES_MAX, QUEUED_MAX, REPROCESS_NODES_MAX,
};
use crate::model::{
    BatchId, Data, Doc, DocKey, Event, EventId, FileFact, Given, JobId, JobRequest, JobStatus, JobTypeId,
    Json, NodeResources, Quantity, RECIPE_PART_NODES, Recipe, RecipeCounts, RecipeId, RecipeNodeRow,
    RecipeNodes, RecipePart, RecipeTypeId, Timestamp, USER_DESCRIPTION, USER_EVENT, kind,
};
use crate::recipe::{Action, Definition, NodeKind};
use crate::state::{data_of, part_of};

/// Why a recipe was not made; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// No recipe type, or none of that revision.
    #[error("no recipe type {id} with a revision {revision}")]
    UnknownType {
        /// Which.
        id: RecipeTypeId,
        /// And of which revision.
        revision: u32,
    },
    /// The recipe type takes no new recipes.
    #[error("Recipe Type {0} is inactive")]
    Inactive(String),
    /// The input is not what the recipe type takes.
    #[error("{0}")]
    InvalidData(String),
    /// The input is no document of data.
    #[error("{0}")]
    NoData(String),
    /// The configuration is not what there may be.
    #[error("{0}")]
    InvalidConfiguration(String),
    /// There is no such recipe.
    #[error("no recipe {0}")]
    Unknown(RecipeId),
    /// Another recipe is in its place already.
    #[error("Cannot reprocess a superseded recipe")]
    Superseded(RecipeId),
    /// It is a node of another one.
    #[error("recipe {id} is part of recipe {root}; reprocess that")]
    IsNode {
        /// Which.
        id: RecipeId,
        /// The outermost one.
        root: RecipeId,
    },
    /// It changed while the command was on its way.
    #[error("recipe {0} has changed in this very moment; ask again")]
    Changing(RecipeId),
    /// The store cannot be asked.
    #[error("how the recipe stands cannot be read: {cause}")]
    Unreadable {
        /// What the store says.
        cause: String,
    },
    /// The nodes that are to be run again are none of the recipe type.
    #[error("{0}")]
    InvalidNodes(String),
    /// It and all within it have more nodes than [`REPROCESS_NODES_MAX`](crate::limits).
    #[error("more than {REPROCESS_NODES_MAX} nodes in all cannot be made at once")]
    TooLarge,
    /// Its input is not what the revision asked for takes.
    #[error("recipe {id} cannot be reprocessed: {reason}")]
    Incompatible {
        /// Which.
        id: RecipeId,
        /// Why.
        reason: String,
    },
    /// As many jobs as may be.
    #[error("the queue is full; try again later")]
    QueueFull,
}

/// A recipe to be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewRecipe {
    /// Of which type.
    pub recipe_type: RecipeTypeId,
    /// Of which revision; none: the newest.
    pub revision: Option<u32>,
    /// Its input, `{"files": {...}, "json": {...}}`.
    pub input: Value,
    /// What made it; none: a user, whose event is put on record with it.
    pub event: Option<EventId>,
    /// What brought its data in.
    pub ingest_event: Option<EventId>,
    /// Replaces what the job types say.
    pub configuration: Option<Value>,
    /// In which batch.
    pub batch: Option<BatchId>,
    /// Which recipe it comes after. With this alone, the links are set and the input of that one is taken
    /// where this has none; its jobs are left alone.
    pub superseded_recipe: Option<RecipeId>,
}

impl NewRecipe {
    /// One of a type with an input.
    pub fn new(recipe_type: RecipeTypeId, input: Value) -> Self {
        Self {
            recipe_type,
            revision: None,
            input,
            event: None,
            ingest_event: None,
            configuration: None,
            batch: None,
            superseded_recipe: None,
        }
    }
}

/// What is known of the files of an input.
pub(crate) type Files = Vec<FileFact>;

/// What is known of a file, among facts in the order of their ids.
pub(super) fn fact_of(files: &[FileFact], id: u64) -> Option<&FileFact> {
    files.binary_search_by_key(&id, |fact| fact.id.0).ok().map(|at| &files[at])
}

/// The files that data names, by id, each once.
pub(super) fn named_files(data: &Data) -> Vec<u64> {
    let mut ids: Vec<u64> = data.files.values().flatten().copied().collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Refuses facts of more bytes than may be on record together, with how many they are.
pub(super) fn check_facts(files: &[FileFact]) -> Result<(), usize> {
    let bytes = files.iter().map(|fact| 32 + fact.media_type.len() + fact.name.len()).sum();
    if bytes > FACTS_BYTES_MAX { Err(bytes) } else { Ok(()) }
}

pub(super) fn info_of(files: &[FileFact]) -> impl Fn(u64) -> Option<FileInfo> + '_ {
    |id| {
        let fact = fact_of(files, id)?;
        Some(FileInfo { size: fact.bytes, media_type: fact.media_type.to_string() })
    }
}

pub(super) fn size_of(data: &Data, files: &[FileFact]) -> u64 {
    let ids = data.files.values().flatten();
    input_size_mib(ids.filter_map(|id| fact_of(files, *id)).map(|fact| fact.bytes))
}

impl Engine {
    /// Makes a recipe: its jobs that wait for nothing are queued with it, the others follow as those before
    /// them complete. All or nothing.
    ///
    /// # Source
    /// `QueueManager.queue_new_recipe_v6`, and with `event` none `queue_new_recipe_for_user_v6`; there jobs
    /// come from messages, some time later.
    pub fn queue_new_recipe(&self, new: NewRecipe) -> Result<Ticket<RecipeId, RecipeError>, IntakeError> {
        let data = match read_data(&new.input) {
            Ok(data) => data,
            Err(error) => return Ok(self.refused(RecipeError::NoData(error.to_string()))),
        };
        let files = self.files_of(&data);
        let superseded = new.superseded_recipe.and_then(|id| self.recipe_record(id));
        if let (Some(id), None) = (new.superseded_recipe, &superseded) {
            return Ok(self.refused(RecipeError::Unknown(id)));
        }
        self.call(move |core, now| core.queue_new_recipe(&new, data, files, superseded, now))
    }

    /// The same for a user, whose event is made with it.
    ///
    /// # Source
    /// `QueueManager.queue_new_recipe_for_user_v6`; there the recipe itself is given back.
    pub fn queue_new_recipe_for_user(
        &self,
        new: NewRecipe,
    ) -> Result<Ticket<RecipeId, RecipeError>, IntakeError> {
        self.queue_new_recipe(NewRecipe { event: None, ..new })
    }

    /// What is on record of the files of data; those that are not there are left out.
    pub(crate) fn files_of(&self, data: &Data) -> Files {
        let fact = |id| file_in(self.doc(file_key(id)).as_deref());
        named_files(data).into_iter().filter_map(fact).collect()
    }

    /// The same, unless it cannot be read.
    pub(in crate::engine) fn read_files_of(&self, data: &Data) -> Result<Files, LookError> {
        let mut files = Vec::new();
        for id in named_files(data) {
            files.extend(file_in(self.read_doc(file_key(id))?.as_deref()));
        }
        Ok(files)
    }

    /// A recipe on record.
    pub fn recipe_record(&self, id: RecipeId) -> Option<Recipe> {
        recipe_in(self.doc(recipe_key(id)).as_deref())
    }

    /// The same, unless it cannot be read.
    pub(in crate::engine) fn read_recipe(&self, id: RecipeId) -> Result<Option<Recipe>, LookError> {
        Ok(recipe_in(self.read_doc(recipe_key(id))?.as_deref()))
    }

    /// What stands for the nodes of a recipe, in the order of its definition.
    pub fn recipe_nodes(&self, id: RecipeId) -> Vec<RecipeNodeRow> {
        rows_in(&self.docs(part_keys(id), false, usize::MAX))
    }

    /// The same, unless it cannot be read.
    pub(in crate::engine) fn read_recipe_nodes(&self, id: RecipeId) -> Result<Vec<RecipeNodeRow>, LookError> {
        Ok(rows_in(&self.read_docs(part_keys(id), false, usize::MAX)?))
    }
}

const fn file_key(id: u64) -> DocKey {
    DocKey { kind: kind::FILE, id, sub: 0 }
}

const fn recipe_key(id: RecipeId) -> DocKey {
    DocKey { kind: kind::RECIPE, id: id.0, sub: 0 }
}

const fn part_keys(id: RecipeId) -> (DocKey, DocKey) {
    let first = DocKey { kind: kind::RECIPE_PART, id: id.0, sub: 0 };
    (first, DocKey { sub: u64::MAX, ..first })
}

fn file_in(doc: Option<&Doc>) -> Option<FileFact> {
    let Some(Doc::File(file)) = doc else { return None };
    Some(FileFact {
        id: file.id,
        bytes: file.bytes,
        media_type: file.media_type.as_str().into(),
        name: file.name.as_str().into(),
    })
}

fn recipe_in(doc: Option<&Doc>) -> Option<Recipe> {
    match doc {
        Some(Doc::Recipe(recipe)) => Some(recipe.clone()),
        _ => None,
    }
}

fn rows_in(parts: &[Arc<Doc>]) -> Vec<RecipeNodeRow> {
    let rows = parts.iter().filter_map(|doc| match &**doc {
        Doc::RecipePart(part) => Some(part.nodes.clone()),
        _ => None,
    });
    rows.flatten().collect()
}

/// What of data a definition takes; refused where it does not fit.
pub(in crate::engine) fn fits(
    definition: &Definition,
    data: Data,
    files: &[FileFact],
) -> Result<Data, DataError> {
    validate(definition.input(), &data, info_of(files))?;
    Ok(without_unknown(definition.input(), data))
}

/// A recipe that is superseded, and the first of its chain.
pub(in crate::engine) fn chain_of(old: &Recipe) -> (RecipeId, RecipeId) {
    (old.id, old.root_superseded.unwrap_or(old.id))
}

/// True for a recipe that does not go on.
pub(in crate::engine) fn is_over(recipe: &Recipe) -> bool {
    recipe.completed.is_some() || recipe.superseded.is_some()
}

/// A configuration as it is kept; empty where there is none.
pub(in crate::engine) fn check_configuration(given: Option<&Value>) -> Result<Json, RecipeError> {
    let Some(value) = given.filter(|value| !value.is_null()) else { return Ok("".into()) };
    let version = value.get("version").and_then(Value::as_str).unwrap_or("7");
    if !["6", "7"].contains(&version) {
        return Err(RecipeError::InvalidConfiguration(format!("{version} is an unsupported version number")));
    }
    Configuration::read(value).map_err(|error| RecipeError::InvalidConfiguration(error.to_string()))?;
    let (text, most) = (value.to_string(), CATALOG_TEXT_BYTES_MAX);
    if text.len() > most {
        let error = format!("The configuration has {} bytes, {most} at most", text.len());
        return Err(RecipeError::InvalidConfiguration(error));
    }
    Ok(text.into())
}

/// What a recipe is made of, once it was checked.
pub(in crate::engine) struct Checked {
    pub(in crate::engine) recipe_type: RecipeTypeId,
    pub(in crate::engine) revision: u32,
    pub(in crate::engine) input: Json,
    pub(in crate::engine) files: Files,
    pub(in crate::engine) input_mib: u64,
    pub(in crate::engine) configuration: Json,
}

/// Where a recipe comes from.
#[derive(Clone, Copy, Default)]
pub(in crate::engine) struct Origin {
    pub(in crate::engine) event: EventId,
    pub(in crate::engine) ingest_event: Option<EventId>,
    pub(in crate::engine) batch: Option<BatchId>,
    pub(in crate::engine) parent: Option<(RecipeId, RecipeId)>,
    pub(in crate::engine) superseded: Option<(RecipeId, RecipeId)>,
}

impl Core {
    fn queue_new_recipe(
        &mut self,
        new: &NewRecipe,
        data: Data,
        files: Files,
        superseded: Option<Recipe>,
        now: Timestamp,
    ) -> Result<RecipeId, RecipeError> {
        let superseded = superseded.map(|old| self.as_it_is_now(old)).transpose()?;
        if let Some(old) = &superseded
            && (old.superseded_by.is_some() || self.state.was_superseded(old.id))
        {
            return Err(RecipeError::Superseded(old.id));
        }
        let former = superseded.as_ref();
        let (data, files) = match former.filter(|old| data.is_empty() && !old.input.is_empty()) {
            Some(old) => (data_of(&old.input), old.files.clone()),
            None => (data, files),
        };
        let checked =
            self.check_recipe_input(new.recipe_type, new.revision, data, files, new.configuration.as_ref())?;
        let when = self.clamp(now);
        let event = match new.event {
            Some(event) => event,
            None => self.user_event(when),
        };
        let chain = superseded.as_ref().map(chain_of);
        let origin = Origin {
            event,
            ingest_event: new.ingest_event,
            batch: new.batch,
            parent: None,
            superseded: chain,
        };
        let id = self.make_recipe(checked, origin, &[], when);
        if let Some(mut old) = superseded {
            (old.superseded_by, old.last_modified) = (Some(id), when);
            self.put(Doc::Recipe(old));
        }
        Ok(id)
    }

    /// A recipe that was read before its turn came: as it is now, where it goes on. One that went on when it was
    /// read, and does no more, is another one now.
    fn as_it_is_now(&self, read: Recipe) -> Result<Recipe, RecipeError> {
        match self.state.recipe_doc(read.id) {
            Some(known) => Ok(known.clone()),
            None if is_over(&read) => Ok(read),
            None => Err(RecipeError::Changing(read.id)),
        }
    }

    /// The event of somebody who asked.
    pub(in crate::engine) fn user_event(&mut self, when: Timestamp) -> EventId {
        self.create_event(USER_EVENT, USER_DESCRIPTION.into(), when).expect("a short text")
    }

    /// Holds an input against a recipe type.
    pub(in crate::engine) fn check_recipe_input(
        &self,
        recipe_type: RecipeTypeId,
        revision: Option<u32>,
        data: Data,
        files: Files,
        configuration: Option<&Value>,
    ) -> Result<Checked, RecipeError> {
        let unknown = |revision| RecipeError::UnknownType { id: recipe_type, revision };
        let kind = self.recipe_type(recipe_type).ok_or_else(|| unknown(1))?;
        if !kind.is_active {
            return Err(RecipeError::Inactive(kind.name.clone()));
        }
        self.check_recipe(recipe_type, revision, data, files, configuration)
    }

    /// The same for a type that may be inactive meanwhile.
    pub(in crate::engine) fn check_recipe(
        &self,
        recipe_type: RecipeTypeId,
        revision: Option<u32>,
        data: Data,
        files: Files,
        configuration: Option<&Value>,
    ) -> Result<Checked, RecipeError> {
        let unknown = |revision| RecipeError::UnknownType { id: recipe_type, revision };
        let kind = self.recipe_type(recipe_type).ok_or_else(|| unknown(1))?;
        let revision = revision.unwrap_or(kind.revision);
        let known = self.state.definition(recipe_type, revision).ok_or_else(|| unknown(revision))?;
        let invalid = |error: DataError| RecipeError::InvalidData(error.to_string());
        let size = known.definition.size();
        if size.is_too_large() {
            return Err(RecipeError::TooLarge);
        }
        let data = fits(&known.definition, data, &files).map_err(invalid)?;
        let configuration = check_configuration(configuration)?;
        self.check_queue(size.nodes)?;
        let input_mib = size_of(&data, &files);
        let input = data.to_value().to_string();
        if input.len() > DATA_BYTES_MAX {
            let (n, most) = (input.len(), DATA_BYTES_MAX);
            return Err(RecipeError::InvalidData(format!("The input has {n} bytes, {most} at most")));
        }
        if let Err(n) = check_facts(&files) {
            let error = format!("What is known of its files has {n} bytes, {FACTS_BYTES_MAX} at most");
            return Err(RecipeError::InvalidData(error));
        }
        Ok(Checked { recipe_type, revision, input: input.into(), files, input_mib, configuration })
    }

    /// Refuses what may be as many jobs where the queue has no room for them.
    pub(in crate::engine) fn check_queue(&self, n_nodes: u64) -> Result<(), RecipeError> {
        let n = n_nodes.saturating_add(self.state.queue.len() as u64);
        if n > QUEUED_MAX as u64 { Err(RecipeError::QueueFull) } else { Ok(()) }
    }

    /// Puts a recipe on record with nodes that stand already; what follows comes with `settle_recipes`.
    pub(in crate::engine) fn make_recipe(
        &mut self,
        checked: Checked,
        origin: Origin,
        rows: &[RecipeNodeRow],
        when: Timestamp,
    ) -> RecipeId {
        let id = self.state.next_recipe();
        self.make_recipe_as(id, checked, origin, rows, when);
        id
    }

    /// The same under an id that nothing has.
    pub(in crate::engine) fn make_recipe_as(
        &mut self,
        id: RecipeId,
        checked: Checked,
        origin: Origin,
        rows: &[RecipeNodeRow],
        when: Timestamp,
    ) {
        self.put(Doc::OpenRecipe(id));
        for (part, nodes) in (0..).zip(rows.chunks(RECIPE_PART_NODES)) {
            self.put(Doc::RecipePart(RecipePart { recipe: id, part, nodes: nodes.to_vec() }));
        }
        let has_input = !checked.input.is_empty();
        self.put(Doc::Recipe(Recipe {
            id,
            recipe_type: checked.recipe_type,
            revision: checked.revision,
            event: origin.event,
            ingest_event: origin.ingest_event,
            batch: origin.batch,
            parent: origin.parent.map(|(parent, _)| parent),
            root: origin.parent.map_or(id, |(_, root)| root),
            superseded_recipe: origin.superseded.map(|(old, _)| old),
            root_superseded: origin.superseded.map(|(_, root)| root),
            superseded_by: None,
            superseded: None,
            input: checked.input,
            files: checked.files,
            input_mib: has_input.then_some(checked.input_mib),
            configuration: checked.configuration,
            created: when,
            completed: None,
            last_modified: when,
            counts: RecipeCounts::default(),
        }));
    }

    /// Puts rows of a recipe on record that changed, in the order of their nodes.
    ///
    /// Cost: the parts that they stand in, of [`RECIPE_PART_NODES`] nodes each.
    pub(super) fn put_rows(&mut self, recipe: RecipeId, changed: &[(u32, RecipeNodeRow)]) {
        for changed in changed.chunk_by(|(a, _), (b, _)| part_of(*a) == part_of(*b)) {
            let Some(open) = self.state.open_recipe(recipe) else { return };
            let part = changed.first().map_or(0, |(node, _)| part_of(*node));
            let first = part as usize * RECIPE_PART_NODES;
            let mut nodes: Vec<RecipeNodeRow> =
                open.rows.iter().skip(first).take(RECIPE_PART_NODES).copied().collect();
            for (node, row) in changed {
                if let Some(known) = nodes.get_mut(*node as usize - first) {
                    *known = *row;
                }
            }
            self.put(Doc::RecipePart(RecipePart { recipe, part, nodes }));
        }
    }

    /// Does what has to be done in recipes, and what follows from that, until nothing has.
    pub(in crate::engine) fn settle_recipes(&mut self) {
        let mut unfit = Vec::new();
        while let Some(next) = self.state.next_recipe_action() {
            let mut round = vec![next];
            while let Some(next) = self.state.next_recipe_action() {
                round.push(next);
            }
            // A recipe that was made just now is a document, which the clock of the state does not follow.
            let made = round.iter().filter_map(|(id, _)| Some(self.state.recipe_doc(*id)?.last_modified));
            let when = made.fold(self.state.now, Timestamp::max);
            self.carry_out(&mut round, &mut unfit, when);
            if !self.state.has_recipe_action() {
                // All that there will be of their nodes is there.
                unfit.drain(..).for_each(|id| self.cancel_within(id, when));
            }
        }
    }

    /// Does what is to be done in this round. Sub-recipes whose input cannot be kept are added to `unfit`.
    fn carry_out(&mut self, round: &mut [(RecipeId, Action)], unfit: &mut Vec<RecipeId>, when: Timestamp) {
        // Recipes by id, what is to be done in each as it was found.
        round.sort_by_key(|(recipe, _)| *recipe);
        let mut queue = Vec::new();
        for round in round.chunk_by(|(a, _), (b, _)| a == b) {
            let recipe = round[0].0;
            let of = |wants: fn(&Action) -> Option<u32>| -> Vec<u32> {
                round.iter().filter_map(|(_, action)| wants(action)).collect()
            };
            let create = of(|action| if let Action::Create(node) = action { Some(*node) } else { None });
            self.create_nodes(recipe, create, when);
            let block = of(|action| if let Action::Block(node) = action { Some(*node) } else { None });
            self.mark_nodes(recipe, &block, (JobStatus::Pending, JobStatus::Blocked), when);
            let unblock = of(|action| if let Action::Unblock(node) = action { Some(*node) } else { None });
            self.mark_nodes(recipe, &unblock, (JobStatus::Blocked, JobStatus::Pending), when);
            for node in of(|action| if let Action::ProcessInput(node) = action { Some(*node) } else { None })
            {
                queue.extend(self.process_node((recipe, node), unfit, when));
            }
            if round.iter().any(|(_, action)| *action == Action::Complete) {
                self.complete_recipe(recipe, when);
            }
        }
        self.queue_listed(&queue, when);
    }

    fn mark_nodes(
        &mut self,
        recipe: RecipeId,
        nodes: &[u32],
        (from, to): (JobStatus, JobStatus),
        when: Timestamp,
    ) {
        let Some(open) = self.state.open_recipe(recipe) else { return };
        let job_of = |node: &u32| match open.row(*node) {
            RecipeNodeRow::Job { job, .. } => Some(job),
            _ => None,
        };
        let is_due = |id: &JobId| self.state.job(*id).is_some_and(|job| job.status == from);
        let jobs: Vec<JobId> = nodes.iter().filter_map(job_of).filter(is_due).collect();
        for jobs in in_events(&jobs) {
            self.emit(Event::JobsMarked { jobs, status: to, when });
        }
    }

    fn create_nodes(&mut self, recipe: RecipeId, mut nodes: Vec<u32>, when: Timestamp) {
        if nodes.is_empty() {
            return;
        }
        let Some(doc) = self.state.recipe_doc(recipe).cloned() else { return };
        let Some(open) = self.state.open_recipe(recipe) else { return };
        let known = open.known.clone();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.retain(|node| open.row(*node) == RecipeNodeRow::Missing);
        let mut made = Vec::new();
        for node in nodes {
            let Some(kind) = known.definition.nodes().get(node as usize) else { continue };
            let row = match &kind.kind {
                NodeKind::Job { name, version, revision } => {
                    let job_type = self.state.catalog.find(name, version);
                    let Some(job_type) = job_type else { continue };
                    let job = self.create_job(&doc, &kind.name, (job_type, *revision), when);
                    RecipeNodeRow::Job { job, is_original: true, over: None }
                }
                NodeKind::Recipe { name, revision } => {
                    let recipe_type = self.state.recipe_type_named(name);
                    let Some(recipe_type) = recipe_type else { continue };
                    let recipe = self.create_sub_recipe(&doc, (recipe_type, *revision), when);
                    RecipeNodeRow::Recipe {
                        recipe,
                        is_original: true,
                        is_completed: false,
                        n_jobs: 0,
                        n_recipes: 0,
                    }
                }
                NodeKind::Condition { .. } => {
                    RecipeNodeRow::Condition { is_processed: false, is_accepted: false }
                }
            };
            made.push((node, row));
        }
        self.put_rows(recipe, &made);
    }

    fn create_job(
        &mut self,
        recipe: &Recipe,
        name: &str,
        (job_type, revision): (JobTypeId, u32),
        when: Timestamp,
    ) -> JobId {
        let first = self.state.next_job();
        let mut given = Given {
            event: Some(recipe.event),
            batch: recipe.batch,
            revision: Some(revision),
            ..Given::default()
        };
        let own = serde_json::from_str(&recipe.configuration).ok();
        let own = own.and_then(|value: Value| Configuration::read(&value).ok());
        let mut priority = own.as_ref().and_then(|own| own.priority);
        if let Some(own) = own {
            let of_type =
                self.details(job_type).and_then(|kind| serde_json::from_str(&kind.configuration).ok());
            let of_type =
                of_type.and_then(|value: Value| Configuration::read(&value).ok()).unwrap_or_default();
            given.configuration = of_type.updated_with(&own).to_value().to_string().into();
        }
        let of_batch = recipe.batch.and_then(|batch| self.batch_priority(batch));
        priority = of_batch.or(priority);
        let mut request = JobRequest::new(job_type).given(given);
        request.priority = priority;
        let nodes = RecipeNodes { recipe: recipe.id, name: name.into() };
        self.emit(Event::JobsCreated { first, request, recipe: Some(nodes), when });
        first
    }

    pub(super) fn batch_priority(&self, batch: BatchId) -> Option<i32> {
        match &**self.state.docs().get(kind::BATCH, batch.0)? {
            Doc::Batch(batch) => batch.priority,
            _ => None,
        }
    }

    fn create_sub_recipe(
        &mut self,
        parent: &Recipe,
        (recipe_type, revision): (RecipeTypeId, u32),
        when: Timestamp,
    ) -> RecipeId {
        let checked = Checked {
            recipe_type,
            revision,
            input: "".into(),
            files: Vec::new(),
            input_mib: 0,
            configuration: parent.configuration.clone(),
        };
        let origin = Origin {
            event: parent.event,
            ingest_event: parent.ingest_event,
            batch: parent.batch,
            parent: Some((parent.id, parent.root)),
            superseded: None,
        };
        self.make_recipe(checked, origin, &[], when)
    }

    fn complete_recipe(&mut self, id: RecipeId, when: Timestamp) {
        let Some(open) = self.state.open_recipe(id).filter(|open| open.state.is_completed()) else { return };
        let counts = open.counts;
        let Some(doc) = self.state.recipe_doc(id) else { return };
        // An input of its own may still come.
        if doc.input.is_empty() {
            return;
        }
        let mut doc = doc.clone();
        (doc.completed, doc.last_modified, doc.counts) = (Some(when), when, counts);
        self.put(Doc::Recipe(doc));
        self.emit(Event::DocDropped(DocKey { kind: kind::OPEN_RECIPE, id: id.0, sub: 0 }));
    }
}

/// What an execution asks for with so much input.
pub(in crate::engine) fn resources_of(manifest: &Manifest, input_mib: u64) -> NodeResources {
    manifest.resources(Quantity::whole(input_mib))
}
