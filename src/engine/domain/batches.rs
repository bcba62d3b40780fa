//! Batches: recipes made together, some at a time, with other work in between.
//!
//! Protocol:
//! 1. The batch is put on record with an estimate; from then on its recipes are made whatever happens.
//! 2. Whoever calls `batch_step` (a service does) makes the next of them. A command makes some, and moves the
//!    cursor: all of that, or nothing, is on disk. First come recipes that are made anew, each by itself and from
//!    the newest on; then the members of the data set.
//! 3. When none is left the batch says so.

use std::sync::Arc;
use std::time::Duration;

use foldhash::HashSet;
use serde_json::Value;

use crate::engine::core::Core;
use crate::engine::look::LookError;
use crate::engine::shell::Engine;
use crate::engine::ticket::{Ticket, TicketError};
use crate::intake::IntakeError;
use crate::limits::{BATCH_STEP_NODES, BATCH_STEP_RECIPES, CATALOG_DOCS_MAX, CATALOG_TEXT_BYTES_MAX};
use crate::model::{
    Batch, BatchId, Data, Dataset, Doc, DocKey, EventId, FileParameter, Interface, JobStatus, NodeCounts,
    Recipe, RecipeId, RecipeTypeId, Timestamp, kind,
};
use crate::recipe::{
    BatchConfiguration, BatchDefinition, BatchDocumentError, Definition, ForcedNodes, check_connection, diff,
    read_interface,
};

use super::recipes::{Origin, RecipeError};
use super::reprocess::Reprocess;

/// Why a batch was not made or changed; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NewBatchError {
    /// There is no such recipe type.
    #[error("Unknown recipe type: {0}")]
    UnknownType(RecipeTypeId),
    /// The recipe type takes no new recipes.
    #[error("Inactive recipe type: Recipe Type {0} is inactive")]
    Inactive(String),
    /// The definition is not what there may be.
    #[error("{0}")]
    InvalidDefinition(String),
    /// The configuration is not what there may be.
    #[error("{0}")]
    InvalidConfiguration(String),
    /// The configuration names a parameter that the data set does not have.
    #[error("{0} does not exist in the dataset parameter list")]
    UnknownParameter(String),
    /// There is no such data set.
    #[error("No data set with ID {0} exists")]
    UnknownDataset(u64),
    /// The data set has not what the recipe type takes.
    #[error("No parameters in the dataset match the recipe type inputs. {0}")]
    Mismatch(String),
    /// There is no chain of batches that begins with that one.
    #[error("No batch with that root ID exists")]
    UnknownRoot(u64),
    /// The former batch has recipes of another type.
    #[error("New batch and previous batch must have the same recipe type")]
    OtherType,
    /// The former batch is not there yet.
    #[error("Previous batch must have completed creating all of its recipes")]
    StillCreating(BatchId),
    /// The recipe type takes another input now.
    #[error("Previous batch cannot be reprocessed")]
    Incompatible(BatchId),
    /// There would be no recipe in it.
    #[error("Batch definition must result in creating at least one recipe")]
    NoRecipes,
    /// There is no such batch.
    #[error("no batch {0}")]
    Unknown(BatchId),
    /// There are as many as there may be.
    #[error("there are {CATALOG_DOCS_MAX} batches already")]
    TooMany,
    /// Its texts are too long.
    #[error("{bytes} bytes of text, at most {CATALOG_TEXT_BYTES_MAX} are kept")]
    TooLarge {
        /// How long.
        bytes: usize,
    },
    /// Recipes could not be read or made now.
    #[error("{cause}")]
    Recipes {
        /// Why.
        cause: String,
    },
}

/// A batch to be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewBatch {
    /// For people.
    pub title: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Of which type its recipes are; of its newest revision.
    pub recipe_type: RecipeTypeId,
    /// Where they come from: `{"dataset": ID}`, or `{"previous_batch": {"root_batch_id": ID}}`.
    pub definition: Value,
    /// `{"priority": N, "inputMap": [...]}`, both optional.
    pub configuration: Value,
    /// What made it; none: a user, whose event is put on record with it.
    pub event: Option<EventId>,
}

impl NewBatch {
    /// One of a type with a definition.
    pub fn new(recipe_type: RecipeTypeId, definition: Value) -> Self {
        Self {
            title: None,
            description: None,
            recipe_type,
            definition,
            configuration: Value::Null,
            event: None,
        }
    }
}

/// What to change of a batch; none: nothing. Jobs that there are keep their priority.
#[derive(Clone, Debug, Default)]
pub struct BatchChange {
    /// For people.
    pub title: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Priority and how input is mapped.
    pub configuration: Option<Value>,
}

/// Jobs of a batch, or of one of its nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchJobs {
    /// By status, in the order of [`JobStatus::ALL`].
    pub jobs: [u64; 7],
    /// Shortest, mean and longest time of a completed one from its start to its end; none where none is.
    pub took: Option<[Duration; 3]>,
}

impl BatchJobs {
    fn new(open: [u32; 4], over: NodeCounts) -> Self {
        let mut jobs = [0; 7];
        for (n, open) in jobs.iter_mut().zip(open) {
            *n = u64::from(open);
        }
        jobs[JobStatus::Failed as usize] = u64::from(over.failed);
        jobs[JobStatus::Completed as usize] = u64::from(over.completed);
        jobs[JobStatus::Canceled as usize] = u64::from(over.canceled);
        let mean = over.job_us_sum.checked_div(u64::from(over.completed));
        let took = mean.map(|mean| [over.job_us_min, mean, over.job_us_max].map(Duration::from_micros));
        Self { jobs, took }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.jobs.iter().sum()
    }

    /// Those in that status.
    pub fn of(&self, status: JobStatus) -> u64 {
        self.jobs[status as usize]
    }
}

/// A batch, and how far it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BatchProgress {
    /// What is on record.
    pub batch: Batch,
    /// Recipes that were made, with those within them.
    pub recipes_total: u64,
    /// Those that are completed.
    pub recipes_completed: u64,
    /// Jobs that were made for it.
    pub jobs: BatchJobs,
}

impl BatchProgress {
    /// As it was in the moment in which it was made, before anything followed from that.
    #[must_use]
    pub fn when_made(mut self) -> Self {
        (self.batch.is_creation_done, self.batch.last_modified) = (false, self.batch.created);
        Self { recipes_total: 0, recipes_completed: 0, jobs: BatchJobs::default(), ..self }
    }
}

/// How long a step waits for what it handed in.
const STEP_WAIT: Duration = Duration::from_secs(20);

/// Recipes that are looked at at a time for those that are made anew.
const LOOK: usize = 1_000;

/// A batch of which recipes are still to be made.
struct NextBatch {
    batch: Batch,
    /// Its data set, which may be large: the document itself.
    dataset: Option<Arc<Doc>>,
    /// How many recipes one command makes.
    n_recipes: usize,
}

fn dataset_in(doc: &Doc) -> Option<&Dataset> {
    match doc {
        Doc::Dataset(dataset) => Some(dataset),
        _ => None,
    }
}

/// Whether a recipe has to be made anew.
type Wanted = Box<dyn Fn(&Recipe) -> bool>;

/// Files of a batch over which recipes were made anew, so that they get no new one.
pub(in crate::engine) type Covered = Option<(BatchId, Arc<HashSet<u64>>)>;

impl From<LookError> for NewBatchError {
    fn from(error: LookError) -> Self {
        unsettled(&error)
    }
}

impl From<BatchDocumentError> for NewBatchError {
    fn from(error: BatchDocumentError) -> Self {
        Self::InvalidDefinition(told("definition", &error))
    }
}

/// A version is told of without a word before it, as Scale does.
fn told(what: &str, error: &BatchDocumentError) -> String {
    match error {
        BatchDocumentError::Version(_) => error.to_string(),
        error => format!("Invalid batch {what}: {error}"),
    }
}

fn unsettled(error: &impl ToString) -> NewBatchError {
    NewBatchError::Recipes { cause: error.to_string() }
}

impl Engine {
    /// Makes a batch. The answer is its id; its recipes are made by whoever calls [`Engine::batch_step`].
    ///
    /// # Source
    /// Scale's batches. There a batch supersedes recipes over the same files unless it is told not to; here only
    /// where `supersedes` is stated as true.
    pub fn create_batch(&self, new: NewBatch) -> Result<Ticket<BatchId, NewBatchError>, IntakeError> {
        self.call(move |core, now| core.create_batch(&new, now))
    }

    /// Changes a batch.
    pub fn edit_batch(
        &self,
        id: BatchId,
        change: BatchChange,
    ) -> Result<Ticket<(), NewBatchError>, IntakeError> {
        self.call(move |core, now| core.edit_batch(id, change, now))
    }

    /// A batch and how far it is. May be ahead of the disk.
    pub fn batch(&self, id: BatchId) -> Option<BatchProgress> {
        self.0.enter().core.batch_progress(id)
    }

    /// How far all batches are. May be ahead of the disk.
    pub fn batches(&self) -> Vec<BatchProgress> {
        let owned = self.0.enter();
        let all = owned.core.state.docs().of_kind(kind::BATCH);
        all.filter_map(|doc| owned.core.batch_progress(BatchId(doc.key().id))).collect()
    }

    /// Jobs by node of a batch, in the order of the definition of its recipe type; those of sub-recipes stand
    /// under no node. May be ahead of the disk.
    pub fn batch_nodes(&self, id: BatchId) -> Vec<(String, BatchJobs)> {
        self.0.enter().core.batch_nodes(id)
    }

    /// Makes the next recipes of the oldest batch of which some are still to be made. False where none is.
    ///
    /// Cost: a thousand recipes looked at, or a commit.
    pub fn batch_step(&self) -> Result<bool, NewBatchError> {
        let next = self.0.enter().core.next_batch();
        let Some(NextBatch { batch, dataset, n_recipes }) = next else { return Ok(false) };
        // What is not seen is passed over for good.
        self.caught_up()?;
        let (definition, dataset) = (definition_of(&batch), dataset.as_deref().and_then(dataset_in));
        if batch.is_superseding {
            self.renew_step(&batch, &definition, dataset)?;
        } else if let Some(dataset) = dataset {
            self.member_step(&batch, &definition, dataset, n_recipes)?;
        } else {
            self.move_batch(&batch, batch.cursor, true)?;
        }
        Ok(true)
    }

    /// Makes recipes anew.
    fn renew_step(
        &self,
        batch: &Batch,
        definition: &BatchDefinition,
        dataset: Option<&Dataset>,
    ) -> Result<(), NewBatchError> {
        let (from, is_wanted) = self.wanted(batch, dataset);
        if batch.cursor <= from {
            return self.move_batch(batch, 0, dataset.is_none());
        }
        let key = |id| DocKey { kind: kind::RECIPE, id, sub: 0 };
        let found = self.read_docs((key(from), key(batch.cursor - 1)), true, LOOK)?;
        let lowest = if found.len() < LOOK { from } else { found.last().map_or(from, |doc| doc.key().id) };
        let forced = definition.forced_nodes.clone().unwrap_or_else(|| serde_json::json!({ "all": false }));
        for doc in found.iter().filter_map(|doc| match &**doc {
            Doc::Recipe(doc) => Some(doc),
            _ => None,
        }) {
            if is_wanted(doc) && !self.renew(batch, doc, &forced)? {
                // It changed in this very moment; with the next step it is looked at again.
                return Ok(());
            }
        }
        self.move_batch(batch, lowest, false)
    }

    /// The lowest id of recipes that may have to be made anew, and which of them.
    fn wanted(&self, batch: &Batch, dataset: Option<&Dataset>) -> (u64, Wanted) {
        if let Some(dataset) = dataset {
            let files: HashSet<u64> = dataset.members.iter().map(|file| file.0).collect();
            let (kind, id) = (batch.recipe_type, batch.id);
            let wants = move |doc: &Recipe| {
                doc.recipe_type == kind
                    && doc.batch != Some(id)
                    && doc.parent.is_none()
                    && doc.superseded.is_none()
                    && doc.files.iter().any(|file| files.contains(&file.id.0))
            };
            return (1, Box::new(wants));
        }
        let former = batch.superseded_batch.and_then(|id| self.batch(id)).map(|former| former.batch);
        let Some(former) = former else { return (u64::MAX, Box::new(|_| false)) };
        (former.first_recipe.0, Box::new(move |doc| doc.batch == Some(former.id) && doc.parent.is_none()))
    }

    /// Makes a recipe anew, or the one that took its place. False where that has to be tried again.
    fn renew(&self, batch: &Batch, doc: &Recipe, forced: &Value) -> Result<bool, NewBatchError> {
        let mut newest = doc.clone();
        while let Some(id) = newest.superseded_by {
            let Some(next) = self.read_recipe(id)? else { break };
            newest = next;
        }
        if newest.superseded.is_some() || newest.batch == Some(batch.id) {
            return Ok(true);
        }
        let order = Reprocess {
            revision: Some(batch.revision),
            event: Some(batch.event),
            batch: Some(batch.id),
            ..Reprocess::new(newest.id, forced.clone())
        };
        let (id, cursor) = (batch.id, doc.id.0);
        let ticket = self.reprocess_then(order, move |core, _, now| {
            core.move_batch(id, cursor, false, now);
        });
        match ticket.map_err(|error| unsettled(&error))?.wait_durable(STEP_WAIT) {
            Err(TicketError::Refused(RecipeError::Changing(_))) => Ok(false),
            Err(TicketError::Refused(error @ (RecipeError::QueueFull | RecipeError::Unreadable { .. }))) => {
                Err(unsettled(&error))
            }
            // One that cannot be made anew stays as it is.
            Ok(_) | Err(TicketError::Refused(_)) => Ok(true),
            Err(error) => Err(unsettled(&error)),
        }
    }

    /// Makes recipes of the next members of a data set.
    fn member_step(
        &self,
        batch: &Batch,
        definition: &BatchDefinition,
        dataset: &Dataset,
        n_recipes: usize,
    ) -> Result<(), NewBatchError> {
        let from = usize::try_from(batch.cursor).unwrap_or(usize::MAX);
        let members = dataset.members.iter().skip(from).take(n_recipes);
        let covered = if definition.supersedes == Some(true) { Some(self.made_anew(batch)?) } else { None };
        let configuration = configuration_of(batch);
        let parameter = configuration.input_for(&dataset.parameter);
        let inputs: Vec<_> = members
            .clone()
            .filter(|file| !covered.as_ref().is_some_and(|covered| covered.contains(&file.0)))
            .map(|file| {
                let mut data = Data::default();
                data.files.insert(parameter.to_owned(), vec![file.0]);
                let files = self.read_files_of(&data)?;
                Ok((data, files))
            })
            .collect::<Result<_, LookError>>()?;
        let (id, cursor) = (batch.id, batch.cursor);
        let next = cursor + members.count() as u64;
        let is_last = next >= dataset.members.len() as u64;
        let ticket =
            self.call(move |core, now| core.make_batch_recipes(id, (cursor, next), inputs, is_last, now));
        settle(ticket)
    }

    /// Files of recipes that were made anew for a batch. Cost: those recipes, once.
    fn made_anew(&self, batch: &Batch) -> Result<Arc<HashSet<u64>>, LookError> {
        if let Some((id, covered)) = &*self.0.covered.lock()
            && *id == batch.id
        {
            return Ok(covered.clone());
        }
        let mut covered = HashSet::default();
        let key = |id| DocKey { kind: kind::RECIPE, id, sub: 0 };
        let mut from = batch.first_recipe.0;
        loop {
            let found = self.read_docs((key(from), key(u64::MAX)), false, LOOK)?;
            for doc in &found {
                if let Doc::Recipe(doc) = &**doc
                    && doc.batch == Some(batch.id)
                {
                    covered.extend(doc.files.iter().map(|file| file.id.0));
                }
            }
            match found.last() {
                Some(last) if found.len() == LOOK => from = last.key().id + 1,
                _ => break,
            }
        }
        let covered = Arc::new(covered);
        *self.0.covered.lock() = Some((batch.id, covered.clone()));
        Ok(covered)
    }

    fn move_batch(&self, batch: &Batch, cursor: u64, is_done: bool) -> Result<(), NewBatchError> {
        let (id, is_over) = (batch.id, batch.is_superseding && cursor == 0);
        settle(self.call(move |core, now| {
            if is_over && !is_done {
                core.begin_members(id, now);
            } else if is_done {
                core.end_batch(id, now);
            } else {
                core.move_batch(id, cursor, true, now);
            }
            Ok(())
        }))
    }
}

fn settle(ticket: Result<Ticket<(), NewBatchError>, IntakeError>) -> Result<(), NewBatchError> {
    let ticket = ticket.map_err(|error| unsettled(&error))?;
    ticket.wait_durable(STEP_WAIT).map_err(|error| unsettled(&error))
}

/// The definition of a batch on record.
fn definition_of(batch: &Batch) -> BatchDefinition {
    let value = serde_json::from_str(&batch.definition).unwrap_or_default();
    let mut definition = BatchDefinition::read(&value).unwrap_or_default();
    // It is shown as true where nothing was said.
    definition.supersedes = definition.supersedes.filter(|_| batch.is_superseding_asked);
    definition
}

fn configuration_of(batch: &Batch) -> BatchConfiguration {
    let value = serde_json::from_str(&batch.configuration).unwrap_or_default();
    BatchConfiguration::read(&value).unwrap_or_default()
}

/// Parameters of a data set, under the names that a configuration gives them.
fn parameters(dataset: &Dataset, configuration: &BatchConfiguration) -> Interface {
    let definition: Value = serde_json::from_str(&dataset.definition).unwrap_or_default();
    let stated = definition.get("parameters").and_then(|stated| read_interface(stated).ok());
    let mut interface = stated.unwrap_or_default();
    if interface.files.iter().all(|file| file.name != dataset.parameter) {
        interface.files.push(FileParameter::new(dataset.parameter.clone()));
    }
    for file in &mut interface.files {
        file.name = configuration.input_for(&file.name).to_owned();
    }
    for value in &mut interface.json {
        value.name = configuration.input_for(&value.name).to_owned();
    }
    interface
}

impl Core {
    fn create_batch(&mut self, new: &NewBatch, now: Timestamp) -> Result<BatchId, NewBatchError> {
        let unknown = NewBatchError::UnknownType(new.recipe_type);
        let kind_of = self.recipe_type(new.recipe_type).ok_or(unknown.clone())?;
        let (revision, is_active, name) = (kind_of.revision, kind_of.is_active, kind_of.name.clone());
        let definition = BatchDefinition::read(&new.definition)?;
        let configuration = read_configuration(&new.configuration)?;
        if !is_active {
            return Err(NewBatchError::Inactive(name));
        }
        let known = self.state.definition(new.recipe_type, revision).cloned().ok_or(unknown)?;
        if known.definition.size().is_too_large() {
            return Err(unsettled(&RecipeError::TooLarge));
        }
        let former = definition.root_batch.map(|root| self.newest_batch(root)).transpose()?.cloned();
        let recipes_estimated = match &former {
            Some(former) => {
                self.check_former(former, new.recipe_type, &definition, &known.definition)?;
                self.state.batch_recipes(former.id).0
            }
            None => self.members_estimated(&definition, &configuration, &known.definition)?,
        };
        if recipes_estimated == 0 {
            return Err(NewBatchError::NoRecipes);
        }
        if self.state.docs().next(kind::BATCH) > CATALOG_DOCS_MAX {
            return Err(NewBatchError::TooMany);
        }
        let (shown, configured) = (definition.to_value().to_string(), configuration.to_value().to_string());
        let texts = [&new.title, &new.description].map(|text| text.as_ref().map_or(0, String::len));
        let bytes = texts.iter().sum::<usize>() + shown.len() + configured.len();
        if bytes > CATALOG_TEXT_BYTES_MAX {
            return Err(NewBatchError::TooLarge { bytes });
        }
        let when = self.clamp(now);
        let event = match new.event {
            Some(event) => event,
            None => self.user_event(when),
        };
        let id = BatchId(self.state.docs().next(kind::BATCH));
        let is_superseding = former.is_some() || definition.supersedes == Some(true);
        let first_recipe = self.state.next_recipe();
        let cursor = match &former {
            Some(former) => former.last_recipe.0 + 1,
            None if is_superseding => first_recipe.0,
            None => 0,
        };
        if let Some(former) = &former {
            let ended = Batch { superseded: Some(when), last_modified: when, ..former.clone() };
            self.put(Doc::Batch(ended));
        }
        self.put(Doc::Batch(Batch {
            id,
            title: new.title.clone(),
            description: new.description.clone(),
            recipe_type: new.recipe_type,
            revision,
            event,
            root: former.as_ref().map_or(id, |former| former.root),
            superseded_batch: former.map(|former| former.id),
            superseded: None,
            is_creation_done: false,
            is_superseding,
            is_superseding_asked: definition.supersedes.is_some(),
            recipes_estimated,
            cursor,
            first_recipe,
            last_recipe: RecipeId(0),
            definition: shown.into(),
            configuration: configured.into(),
            priority: configuration.priority,
            created: when,
            last_modified: when,
        }));
        Ok(id)
    }

    /// The newest batch of a chain.
    fn newest_batch(&self, root: u64) -> Result<&Batch, NewBatchError> {
        let all = self.state.docs().of_kind(kind::BATCH).rev();
        let mut of_chain = all.filter_map(|doc| match &**doc {
            Doc::Batch(batch) if batch.root.0 == root && batch.superseded.is_none() => Some(batch),
            _ => None,
        });
        of_chain.next().ok_or(NewBatchError::UnknownRoot(root))
    }

    fn check_former(
        &self,
        former: &Batch,
        recipe_type: RecipeTypeId,
        definition: &BatchDefinition,
        new: &Definition,
    ) -> Result<(), NewBatchError> {
        if former.recipe_type != recipe_type {
            return Err(NewBatchError::OtherType);
        }
        if !former.is_creation_done {
            return Err(NewBatchError::StillCreating(former.id));
        }
        let forced = match &definition.forced_nodes {
            Some(forced) => ForcedNodes::read(forced).unwrap_or(ForcedNodes::NONE),
            None => ForcedNodes::NONE,
        };
        if let Some(error) = self.forced_errors(&forced, new).first() {
            return Err(NewBatchError::InvalidDefinition(format!("Invalid batch definition: {error}")));
        }
        let old = self.state.definition(former.recipe_type, former.revision);
        let can_be = old.is_some_and(|old| diff(&old.definition, new, &forced).obstacle.is_none());
        if can_be { Ok(()) } else { Err(NewBatchError::Incompatible(former.id)) }
    }

    /// How many recipes a data set makes, with those within them.
    fn members_estimated(
        &self,
        definition: &BatchDefinition,
        configuration: &BatchConfiguration,
        recipe: &Definition,
    ) -> Result<u64, NewBatchError> {
        let Some(id) = definition.dataset else { return Ok(0) };
        let dataset = self.dataset(id).ok_or(NewBatchError::UnknownDataset(id))?;
        let own = parameters(dataset, &BatchConfiguration::default());
        for (_, parameter) in configuration.input_map.iter().flatten() {
            let is_known = own.files.iter().any(|file| file.name == *parameter)
                || own.json.iter().any(|value| value.name == *parameter);
            if !is_known {
                return Err(NewBatchError::UnknownParameter(parameter.clone()));
            }
        }
        let given = parameters(dataset, configuration);
        check_connection(recipe.input(), &given)
            .map_err(|error| NewBatchError::Mismatch(error.to_string()))?;
        let parameter = configuration.input_for(&dataset.parameter);
        if recipe.input().files.iter().all(|file| file.name != parameter) {
            return Ok(0);
        }
        let n_each = recipe.size().recipes.saturating_add(1);
        Ok((dataset.members.len() as u64).saturating_mul(n_each))
    }

    fn dataset(&self, id: u64) -> Option<&Dataset> {
        dataset_in(self.state.docs().get(kind::DATASET, id)?)
    }

    fn edit_batch(&mut self, id: BatchId, change: BatchChange, now: Timestamp) -> Result<(), NewBatchError> {
        let mut batch = self.state.batch(id).cloned().ok_or(NewBatchError::Unknown(id))?;
        let configuration = change.configuration.as_ref().map(read_configuration).transpose()?;
        let texts = [&change.title, &change.description].map(|text| text.as_ref().map_or(0, String::len));
        let bytes: usize = texts.iter().sum();
        if bytes > CATALOG_TEXT_BYTES_MAX {
            return Err(NewBatchError::TooLarge { bytes });
        }
        batch.title = change.title.or(batch.title);
        batch.description = change.description.or(batch.description);
        if let Some(configuration) = configuration {
            batch.priority = configuration.priority;
            batch.configuration = configuration.to_value().to_string().into();
        }
        batch.last_modified = self.clamp(now);
        self.put(Doc::Batch(batch));
        Ok(())
    }

    /// The oldest batch of which recipes are still to be made.
    fn next_batch(&self) -> Option<NextBatch> {
        let batch = self.state.batch(self.state.creating_batch()?)?;
        let dataset = definition_of(batch).dataset.filter(|_| batch.superseded_batch.is_none());
        let dataset = dataset.and_then(|id| self.state.docs().get(kind::DATASET, id)).cloned();
        let known = self.state.definition(batch.recipe_type, batch.revision);
        let n_nodes = known.map_or(1, |known| known.definition.size().nodes.max(1));
        let n_recipes = usize::try_from(BATCH_STEP_NODES / n_nodes).unwrap_or(BATCH_STEP_RECIPES);
        let n_recipes = n_recipes.clamp(1, BATCH_STEP_RECIPES);
        Some(NextBatch { batch: batch.clone(), dataset, n_recipes })
    }

    /// Moves the cursor of a batch down.
    fn move_batch(&mut self, id: BatchId, cursor: u64, is_always: bool, now: Timestamp) {
        let Some(batch) = self.state.batch(id).filter(|batch| batch.is_superseding) else { return };
        if cursor < batch.cursor || is_always {
            let cursor = cursor.min(batch.cursor);
            let batch = Batch { cursor, last_modified: self.clamp(now), ..batch.clone() };
            self.put(Doc::Batch(batch));
        }
    }

    /// Goes on with the members of the data set.
    fn begin_members(&mut self, id: BatchId, now: Timestamp) {
        let Some(batch) = self.state.batch(id).filter(|batch| batch.is_superseding) else { return };
        let last_modified = self.clamp(now);
        let batch = Batch { is_superseding: false, cursor: 0, last_modified, ..batch.clone() };
        self.put(Doc::Batch(batch));
    }

    fn end_batch(&mut self, id: BatchId, now: Timestamp) {
        let Some(batch) = self.state.batch(id).filter(|batch| !batch.is_creation_done) else { return };
        let mut batch = batch.clone();
        (batch.is_creation_done, batch.is_superseding) = (true, false);
        batch.last_recipe = RecipeId(self.state.next_recipe().0 - 1);
        batch.last_modified = self.clamp(now);
        self.put(Doc::Batch(batch));
    }

    /// Makes recipes with these inputs, unless somebody did.
    fn make_batch_recipes(
        &mut self,
        id: BatchId,
        (cursor, next): (u64, u64),
        inputs: Vec<(Data, Vec<crate::model::FileFact>)>,
        is_last: bool,
        now: Timestamp,
    ) -> Result<(), NewBatchError> {
        let Some(batch) = self.state.batch(id).cloned() else { return Ok(()) };
        if batch.is_creation_done || batch.is_superseding || batch.cursor != cursor {
            return Ok(());
        }
        let known = self.state.definition(batch.recipe_type, batch.revision);
        let n_nodes = known.map_or(0, |known| known.definition.size().nodes);
        let n_nodes = n_nodes.saturating_mul(inputs.len() as u64);
        self.check_queue(n_nodes).map_err(|error| unsettled(&error))?;
        let revision = Some(batch.revision);
        let mut made = Vec::with_capacity(inputs.len());
        for (data, files) in inputs {
            match self.check_recipe(batch.recipe_type, revision, data, files, None) {
                Ok(checked) => made.push(checked),
                Err(error @ RecipeError::QueueFull) => {
                    return Err(NewBatchError::Recipes { cause: error.to_string() });
                }
                // A member that the recipe type does not take makes no recipe.
                Err(_) => {}
            }
        }
        let when = self.clamp(now);
        for checked in made {
            let origin = Origin { event: batch.event, batch: Some(id), ..Origin::default() };
            self.make_recipe(checked, origin, &[], when);
            // So that what follows is not in the way of what comes next.
            self.settle_recipes();
        }
        self.put(Doc::Batch(Batch { cursor: next, last_modified: when, ..batch }));
        if is_last {
            self.end_batch(id, now);
        }
        Ok(())
    }

    fn batch_progress(&self, id: BatchId) -> Option<BatchProgress> {
        let mut batch = self.state.batch(id)?.clone();
        batch.last_modified = self.state.batch_changed(&batch);
        let (recipes_total, recipes_completed) = self.state.batch_recipes(id);
        let (open, over) = self.state.batch_jobs(id, None);
        Some(BatchProgress { batch, recipes_total, recipes_completed, jobs: BatchJobs::new(open, over) })
    }

    fn batch_nodes(&self, id: BatchId) -> Vec<(String, BatchJobs)> {
        let Some(batch) = self.state.batch(id) else { return Vec::new() };
        let Some(known) = self.state.definition(batch.recipe_type, batch.revision) else {
            return Vec::new();
        };
        let of = |(place, name): (u32, &str)| {
            let (open, over) = self.state.batch_jobs(id, Some(place));
            (name.to_owned(), BatchJobs::new(open, over))
        };
        (0..).zip(known.definition.nodes().iter().map(|node| node.name.as_str())).map(of).collect()
    }
}

fn read_configuration(value: &Value) -> Result<BatchConfiguration, NewBatchError> {
    BatchConfiguration::read(value)
        .map_err(|error| NewBatchError::InvalidConfiguration(told("configuration", &error)))
}

/// Makes recipes of batches until all are made.
pub(in crate::engine) fn make_all(engine: &Engine, is_stopped: &dyn Fn() -> bool) -> Option<Arc<str>> {
    while !is_stopped() {
        match engine.batch_step() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(error.to_string().into()),
        }
    }
    None
}

#[cfg(test)]
mod tests;
