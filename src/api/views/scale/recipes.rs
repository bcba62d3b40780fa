//! Recipes and batches, in Scale's shapes.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::definition as newest_definition;
use super::{
    BatchBase, EventBase, Id, JobTypeBase, RecipeTypeBase, RecipeTypeRevBase, Time, document, revision_id,
};
use crate::engine::{BatchJobs, BatchProgress, CatalogView, RecipeNodeView, RecipeView, View};
use crate::model::{
    JobStatus, JobType, Recipe, RecipeCounts, RecipeNodeRow, RecipeType, RecipeTypeRevision, TriggerEvent,
};

/// Nodes of one recipe in the id of a condition: `recipe * this + place`.
const NODES: u64 = 1 << 17;

const _: () = assert!(crate::limits::RECIPE_NODES_MAX < 1 << 17);

/// Counts by status, under the names that they have everywhere.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct JobCounts {
    jobs_total: u64,
    jobs_pending: u64,
    jobs_blocked: u64,
    jobs_queued: u64,
    jobs_running: u64,
    jobs_failed: u64,
    jobs_completed: u64,
    jobs_canceled: u64,
}

impl JobCounts {
    fn new(of: impl Fn(JobStatus) -> u64) -> Self {
        Self {
            jobs_total: JobStatus::ALL.iter().map(|status| of(*status)).sum(),
            jobs_pending: of(JobStatus::Pending),
            jobs_blocked: of(JobStatus::Blocked),
            jobs_queued: of(JobStatus::Queued),
            jobs_running: of(JobStatus::Running),
            jobs_failed: of(JobStatus::Failed),
            jobs_completed: of(JobStatus::Completed),
            jobs_canceled: of(JobStatus::Canceled),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    #[serde(flatten)]
    jobs: JobCounts,
    sub_recipes_total: u32,
    sub_recipes_completed: u32,
}

impl From<RecipeCounts> for Counts {
    fn from(counts: RecipeCounts) -> Self {
        Self {
            jobs: JobCounts::new(|status| u64::from(counts.of(status))),
            sub_recipes_total: counts.sub_recipes,
            sub_recipes_completed: counts.sub_recipes_completed,
        }
    }
}

/// A revision of a recipe type as it stands in lists.
#[derive(Clone, Debug, Serialize)]
struct RevisionBase {
    id: u64,
    recipe_type: Id<u32>,
    revision_num: u32,
}

impl RevisionBase {
    fn new(recipe_type: u32, revision_num: u32) -> Self {
        let id = revision_id(recipe_type, revision_num);
        Self { id, recipe_type: Id { id: recipe_type }, revision_num }
    }
}

/// What made it, as it stands in lists.
#[derive(Clone, Debug, Serialize)]
struct EventLine {
    id: u64,
    r#type: String,
    occurred: Time,
}

impl From<&TriggerEvent> for EventLine {
    fn from(event: &TriggerEvent) -> Self {
        Self { id: event.id.0, r#type: event.kind.clone(), occurred: Time(event.occurred) }
    }
}

/// A recipe, as it stands in other answers.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeBase {
    id: u64,
    recipe_type: Option<RecipeTypeBase>,
    recipe_type_rev: Id<u64>,
    event: Id<u64>,
}

impl RecipeBase {
    pub(in crate::api) fn new(recipe: &Recipe, catalog: &CatalogView) -> Self {
        Self {
            id: recipe.id.0,
            recipe_type: RecipeTypeBase::of(recipe.recipe_type, catalog),
            recipe_type_rev: Id { id: revision_id(recipe.recipe_type.0, recipe.revision) },
            event: Id { id: recipe.event.0 },
        }
    }
}

/// A recipe in a list.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeLine {
    id: u64,
    recipe_type: Option<RecipeTypeBase>,
    recipe_type_rev: RevisionBase,
    event: Option<EventLine>,
    ingest_event: Option<Id<u64>>,
    batch: Option<BatchBase>,
    recipe: Option<RecipeBase>,
    is_superseded: bool,
    superseded_recipe: Option<Id<u64>>,
    input_file_size: Option<f64>,
    source_started: (),
    source_ended: (),
    source_sensor_class: (),
    source_sensor: (),
    source_collection: (),
    source_task: (),
    #[serde(flatten)]
    counts: Counts,
    is_completed: bool,
    created: Time,
    completed: Option<Time>,
    superseded: Option<Time>,
    last_modified: Time,
}

/// What else is shown of a recipe, read beside it.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct RecipeRefs {
    pub(in crate::api) event: Option<TriggerEvent>,
    /// The recipe it is a node of.
    pub(in crate::api) parent: Option<Recipe>,
    pub(in crate::api) superseded_recipe: Option<Recipe>,
    pub(in crate::api) superseded_by: Option<Recipe>,
}

impl RecipeLine {
    pub(in crate::api) fn new(view: &RecipeView, refs: &RecipeRefs, catalog: &CatalogView) -> Self {
        let recipe = &view.recipe;
        #[expect(clippy::cast_precision_loss, reason = "shown only")]
        let input_file_size = recipe.input_mib.map(|mib| mib as f64);
        Self {
            id: recipe.id.0,
            recipe_type: RecipeTypeBase::of(recipe.recipe_type, catalog),
            recipe_type_rev: RevisionBase::new(recipe.recipe_type.0, recipe.revision),
            event: refs.event.as_ref().map(EventLine::from),
            ingest_event: recipe.ingest_event.map(|id| Id { id: id.0 }),
            batch: recipe.batch.and_then(|id| catalog.batch(id)).map(BatchBase::from),
            recipe: refs.parent.as_ref().map(|parent| RecipeBase::new(parent, catalog)),
            is_superseded: recipe.superseded.is_some(),
            superseded_recipe: recipe.superseded_recipe.map(|id| Id { id: id.0 }),
            input_file_size,
            source_started: (),
            source_ended: (),
            source_sensor_class: (),
            source_sensor: (),
            source_collection: (),
            source_task: (),
            counts: Counts::from(view.counts),
            is_completed: recipe.completed.is_some(),
            created: Time(recipe.created),
            completed: recipe.completed.map(Time),
            superseded: recipe.superseded.map(Time),
            last_modified: Time(recipe.last_modified),
        }
    }

    /// As it was in the moment in which it was made, before anything followed from that.
    pub(in crate::api) fn as_made(view: &RecipeView, refs: &RecipeRefs, catalog: &CatalogView) -> Self {
        let mut made = Self::new(view, refs, catalog);
        (made.counts, made.input_file_size) = (Counts::default(), None);
        (made.is_completed, made.completed) = (false, None);
        made.last_modified = made.created;
        made
    }
}

/// A recipe type as it stands in the revision of a recipe.
#[derive(Clone, Debug, Serialize)]
struct TypeOfRevision {
    #[serde(flatten)]
    base: RecipeTypeBase,
    is_active: bool,
    is_system: bool,
    created: Time,
    deprecated: Option<Time>,
    last_modified: Time,
}

impl From<&RecipeType> for TypeOfRevision {
    fn from(kind: &RecipeType) -> Self {
        Self {
            base: RecipeTypeBase::from(kind),
            is_active: kind.is_active,
            is_system: false,
            created: Time(kind.created),
            deprecated: kind.deprecated.map(Time),
            last_modified: Time(kind.last_modified),
        }
    }
}

fn revision_details(revision: &RecipeTypeRevision, definition: &Value, catalog: &CatalogView) -> Value {
    json!({
        "id": revision_id(revision.recipe_type.0, revision.revision),
        "recipe_type": catalog.recipe_type(revision.recipe_type).map(TypeOfRevision::from),
        "revision_num": revision.revision,
        "created": Time(revision.created),
        "definition": definition,
    })
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What stands for the nodes of a definition, as far as anything does.
fn nodes(recipe: &Recipe, definition: &Value, found: &[RecipeNodeView]) -> Value {
    let stated = definition.get("nodes").and_then(Value::as_object).into_iter().flatten();
    let nodes = stated.zip(found).zip(0_u64..).filter_map(|(((name, node), found), place)| {
        let node_type = node_type(node.get("node_type")?, found, recipe.id.0 * NODES + place)?;
        let parents = node.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        let parents: Vec<Value> = parents.map(|parent| json!({ "name": text(parent, "name") })).collect();
        Some((name.clone(), json!({ "dependencies": parents, "node_type": node_type })))
    });
    Value::Object(nodes.collect())
}

fn node_type(stated: &Value, found: &RecipeNodeView, id: u64) -> Option<Value> {
    match found.row {
        RecipeNodeRow::Missing => None,
        RecipeNodeRow::Job { job, .. } => Some(json!({
            "node_type": "job",
            "job_type_name": text(stated, "job_type_name"),
            "job_type_version": text(stated, "job_type_version"),
            "job_type_revision": stated.get("job_type_revision"),
            "job_id": job,
            "status": found.status.map(JobStatus::as_str),
        })),
        RecipeNodeRow::Recipe { recipe, is_completed, .. } => {
            let counts = Counts::from(found.counts.unwrap_or_default());
            let mut shown = serde_json::to_value(counts).unwrap_or_default();
            shown["node_type"] = "recipe".into();
            shown["recipe_type_name"] = text(stated, "recipe_type_name").into();
            shown["recipe_type_revision"] = stated.get("recipe_type_revision").cloned().unwrap_or_default();
            shown["recipe_id"] = recipe.0.into();
            shown["is_completed"] = is_completed.into();
            Some(shown)
        }
        RecipeNodeRow::Condition { is_processed, is_accepted } => Some(json!({
            "node_type": "condition",
            "condition_id": id,
            "is_processed": is_processed,
            "is_accepted": is_accepted,
        })),
    }
}

/// Names that nodes of a kind have for what they run, each once.
fn named<'d>(definition: &'d Value, kind: &str, members: [&str; 2]) -> Vec<[&'d str; 2]> {
    let stated = definition.get("nodes").and_then(Value::as_object).into_iter().flatten();
    let types = stated.filter_map(|(_, node)| node.get("node_type"));
    let mut found: Vec<[&str; 2]> = types
        .filter(|node_type| text(node_type, "node_type") == kind)
        .map(|node_type| members.map(|name| text(node_type, name)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A recipe in detail.
pub(in crate::api) fn recipe_details(
    recipe: &RecipeView,
    found: &[RecipeNodeView],
    refs: &RecipeRefs,
    view: &View,
) -> Value {
    let catalog = &view.catalog;
    let record = &recipe.recipe;
    let revision = catalog.recipe_type_revision(record.recipe_type, record.revision);
    let definition = revision.map(|revision| document(&revision.definition)).unwrap_or_default();
    let base = |recipe: &Option<Recipe>| recipe.as_ref().map(|recipe| RecipeBase::new(recipe, catalog));
    // What its type holds now, whatever the recipe was made of.
    let kind = catalog.recipe_type(record.recipe_type);
    let newest = kind.map(|kind| document(newest_definition(kind, catalog))).unwrap_or_default();
    let wanted = named(&newest, "job", ["job_type_name", "job_type_version"]);
    let is_wanted =
        |kind: &JobType| wanted.binary_search(&[kind.spec.name.as_str(), kind.spec.version.as_str()]).is_ok();
    let known = view.types.iter().map(|kind| &kind.job_type);
    let job_types: Vec<JobTypeBase> =
        known.filter(|kind| is_wanted(kind)).map(|kind| JobTypeBase::new(kind, catalog)).collect();
    let sub_recipe_types: Vec<RecipeTypeBase> = named(&newest, "recipe", ["recipe_type_name", "node_type"])
        .into_iter()
        .filter_map(|[name, _]| catalog.recipe_type_named(name).map(RecipeTypeBase::from))
        .collect();
    let mut input = document(&record.input);
    if input.is_null() {
        input = json!({ "files": {}, "json": {} });
    }
    let mut shown = serde_json::to_value(RecipeLine::new(recipe, refs, catalog)).unwrap_or_default();
    shown["recipe_type_rev"] =
        revision.map(|revision| revision_details(revision, &definition, catalog)).unwrap_or_default();
    shown["event"] = json!(refs.event.as_ref().map(EventBase::from));
    shown["superseded_recipe"] = json!(base(&refs.superseded_recipe));
    shown["superseded_by_recipe"] = json!(base(&refs.superseded_by));
    shown["input"] = input;
    shown["details"] = json!({ "nodes": nodes(record, &definition, found) });
    shown["job_types"] = json!(job_types);
    shown["sub_recipe_types"] = json!(sub_recipe_types);
    shown
}

/// A batch in a list.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct BatchLine {
    #[serde(flatten)]
    base: BatchBase,
    recipe_type: Option<RecipeTypeBase>,
    recipe_type_rev: RevisionBase,
    event: Option<EventLine>,
    is_superseded: bool,
    root_batch: Option<BatchBase>,
    superseded_batch: Option<BatchBase>,
    is_creation_done: bool,
    #[serde(flatten)]
    jobs: JobCounts,
    recipes_estimated: u64,
    recipes_total: u64,
    recipes_completed: u64,
    superseded: Option<Time>,
    last_modified: Time,
}

impl BatchLine {
    pub(in crate::api) fn new(
        progress: &BatchProgress,
        event: Option<&TriggerEvent>,
        catalog: &CatalogView,
    ) -> Self {
        let batch = &progress.batch;
        let root = if batch.root == batch.id { Some(batch) } else { catalog.batch(batch.root) };
        Self {
            base: BatchBase::from(batch),
            recipe_type: RecipeTypeBase::of(batch.recipe_type, catalog),
            recipe_type_rev: RevisionBase::new(batch.recipe_type.0, batch.revision),
            event: event.map(EventLine::from),
            is_superseded: batch.superseded.is_some(),
            root_batch: root.map(BatchBase::from),
            superseded_batch: batch.superseded_batch.and_then(|id| catalog.batch(id)).map(BatchBase::from),
            is_creation_done: batch.is_creation_done,
            jobs: JobCounts::new(|status| progress.jobs.of(status)),
            recipes_estimated: batch.recipes_estimated,
            recipes_total: progress.recipes_total,
            recipes_completed: progress.recipes_completed,
            superseded: batch.superseded.map(Time),
            last_modified: Time(batch.last_modified),
        }
    }
}

fn metrics(jobs: &BatchJobs) -> Value {
    let mut shown = serde_json::to_value(JobCounts::new(|status| jobs.of(status))).unwrap_or_default();
    let took = |at: usize| jobs.took.map(|took| crate::api::time::duration_text(took[at]));
    for (at, name) in ["min", "avg", "max"].into_iter().enumerate() {
        shown[format!("{name}_job_duration")] = json!(took(at));
        // How long the work itself took within an execution is not told.
        shown[format!("{name}_seed_duration")] = Value::Null;
    }
    shown
}

/// A batch in detail. `nodes` are the jobs of each of its nodes, by name.
pub(in crate::api) fn batch_details(
    progress: &BatchProgress,
    nodes: &[(String, BatchJobs)],
    event: Option<&TriggerEvent>,
    catalog: &CatalogView,
) -> Value {
    let batch = &progress.batch;
    let revision = catalog.recipe_type_revision(batch.recipe_type, batch.revision);
    let mut shown = serde_json::to_value(BatchLine::new(progress, event, catalog)).unwrap_or_default();
    shown["recipe_type_rev"] = json!(revision.map(|revision| RecipeTypeRevBase::new(revision, catalog)));
    shown["event"] = json!(event.map(EventBase::from));
    shown["definition"] = document(&batch.definition);
    shown["configuration"] = document(&batch.configuration);
    let metrics = nodes.iter().map(|(name, jobs)| (name.clone(), metrics(jobs)));
    shown["job_metrics"] = Value::Object(metrics.collect::<Map<String, Value>>());
    shown
}
