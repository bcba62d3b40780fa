//! Recipe types and their revisions, in Scale's shapes.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::{JobTypeFull, RecipeTypeBase, Time, document, revision_id};
use crate::engine::{CatalogView, View};
use crate::model::{JobType, RecipeType, RecipeTypeRevision};

/// A recipe type, as it stands in other answers with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeTypeLine {
    #[serde(flatten)]
    base: RecipeTypeBase,
    is_active: bool,
    is_system: bool,
    created: Time,
    deprecated: Option<Time>,
    last_modified: Time,
}

impl From<&RecipeType> for RecipeTypeLine {
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

impl RecipeTypeLine {
    /// Recipe types that a job type has a node in, by id.
    ///
    /// Cost: a search in the text of every definition, and those read that have the name.
    pub(in crate::api) fn with_job_type(kind: &JobType, catalog: &CatalogView) -> Vec<Self> {
        with_job_type(&kind.spec.name, &kind.spec.version, catalog).map(Self::from).collect()
    }
}

/// Recipe types that a job type has a node in.
pub(in crate::api) fn with_job_type<'c>(
    name: &'c str,
    version: &'c str,
    catalog: &'c CatalogView,
) -> impl Iterator<Item = &'c RecipeType> {
    catalog.recipe_types().filter(move |kind| {
        let text = definition(kind, catalog);
        text.contains(name) && job_nodes(&document(text)).any(|key| key == (name, version))
    })
}

/// Recipe types that a recipe type is a sub-recipe in.
pub(in crate::api) fn with_sub_recipe<'c>(
    name: &'c str,
    catalog: &'c CatalogView,
) -> impl Iterator<Item = &'c RecipeType> {
    catalog.recipe_types().filter(move |kind| {
        let text = definition(kind, catalog);
        text.contains(name) && sub_recipes(&document(text)).any(|key| key == name)
    })
}

/// A recipe type, as it stands in lists.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeTypeRow {
    #[serde(flatten)]
    line: RecipeTypeLine,
    job_types: Vec<Value>,
    sub_recipe_types: Vec<String>,
}

impl RecipeTypeRow {
    pub(in crate::api) fn new(kind: &RecipeType, catalog: &CatalogView) -> Self {
        let definition = document(definition(kind, catalog));
        let jobs: BTreeSet<(&str, &str)> = job_nodes(&definition).collect();
        let subs: BTreeSet<&str> = sub_recipes(&definition).collect();
        Self {
            line: RecipeTypeLine::from(kind),
            job_types: jobs
                .into_iter()
                .map(|(name, version)| json!({"name": name, "version": version}))
                .collect(),
            sub_recipe_types: subs.into_iter().map(str::to_owned).collect(),
        }
    }
}

/// A recipe type in detail.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeTypeFull {
    #[serde(flatten)]
    line: RecipeTypeLine,
    definition: Value,
    job_types: Vec<JobTypeFull>,
    sub_recipe_types: Vec<RecipeTypeLine>,
    super_recipe_types: Vec<RecipeTypeLine>,
}

impl RecipeTypeFull {
    pub(in crate::api) fn new(kind: &RecipeType, view: &View) -> Self {
        let catalog = &*view.catalog;
        let definition = document(definition(kind, catalog));
        let jobs: BTreeSet<(&str, &str)> = job_nodes(&definition).collect();
        let subs: BTreeSet<&str> = sub_recipes(&definition).collect();
        let types = view.types.iter().map(|kind| &kind.job_type);
        let types =
            types.filter(|kind| jobs.contains(&(kind.spec.name.as_str(), kind.spec.version.as_str())));
        let sub_types = catalog.recipe_types().filter(|kind| subs.contains(kind.name.as_str()));
        Self {
            line: RecipeTypeLine::from(kind),
            job_types: types.map(|kind| JobTypeFull::new(kind, catalog)).collect(),
            sub_recipe_types: sub_types.map(RecipeTypeLine::from).collect(),
            super_recipe_types: with_sub_recipe(&kind.name, catalog).map(RecipeTypeLine::from).collect(),
            definition,
        }
    }
}

/// A revision of a recipe type, as it stands in lists.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct RecipeTypeRevisionLine<T> {
    id: u64,
    recipe_type: T,
    revision_num: u32,
    created: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<Value>,
}

impl<T: for<'k> From<&'k RecipeType>> RecipeTypeRevisionLine<T> {
    /// `revision` of `kind`; with its definition, where that is asked for.
    pub(in crate::api) fn new(revision: &RecipeTypeRevision, kind: &RecipeType, is_full: bool) -> Self {
        Self {
            id: revision_id(revision.recipe_type.0, revision.revision),
            recipe_type: T::from(kind),
            revision_num: revision.revision,
            created: Time(revision.created),
            definition: is_full.then(|| document(&revision.definition)),
        }
    }
}

/// The newest definition of a recipe type, as text.
pub(in crate::api) fn definition<'c>(kind: &RecipeType, catalog: &'c CatalogView) -> &'c str {
    catalog.recipe_type_revision(kind.id, kind.revision).map_or("{}", |revision| &revision.definition)
}

/// Name and version of the job type of every node of a definition that is a job.
pub(in crate::api) fn job_nodes(definition: &Value) -> impl Iterator<Item = (&str, &str)> {
    let nodes = definition["nodes"].as_object().into_iter().flatten();
    nodes.filter_map(|(_, node)| {
        let kind = &node["node_type"];
        Some((kind["job_type_name"].as_str()?, kind["job_type_version"].as_str()?))
    })
}

/// The recipe type of every node of a definition that is a recipe.
pub(in crate::api) fn sub_recipes(definition: &Value) -> impl Iterator<Item = &str> {
    let nodes = definition["nodes"].as_object().into_iter().flatten();
    nodes.filter_map(|(_, node)| node["node_type"]["recipe_type_name"].as_str())
}
