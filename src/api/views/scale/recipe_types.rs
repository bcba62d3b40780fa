//! Recipe types and their revisions, in Scale's shapes.

use serde::Serialize;
use serde_json::Value;

use super::{RecipeTypeBase, Time, document};
use crate::engine::CatalogView;
use crate::model::{JobType, RecipeType};

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
        let has = |recipe_type: &&RecipeType| {
            let text = definition(recipe_type, catalog);
            text.contains(&kind.spec.name)
                && job_nodes(&document(text)).any(|key| key == (&kind.spec.name, &kind.spec.version))
        };
        catalog.recipe_types().filter(has).map(Self::from).collect()
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
