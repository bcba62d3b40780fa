//! Job types and their revisions, in Scale's shapes.

use serde::Serialize;
use serde_json::{Value, json};

use super::jobs::manifest;
use super::{JobTypeBase, RecipeTypeLine, Time, document};
use crate::catalog::configuration::Configuration;
use crate::engine::CatalogView;
use crate::model::JobType;

/// A job type, as it stands in lists.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobTypeLine {
    #[serde(flatten)]
    base: JobTypeBase,
    max_scheduled: Option<u32>,
    max_tries: u16,
    revision_num: u32,
    docker_image: String,
    created: Time,
    deprecated: Option<Time>,
    paused: Option<Time>,
    last_modified: Time,
}

impl JobTypeLine {
    pub(in crate::api) fn new(kind: &JobType, catalog: &CatalogView) -> Self {
        let details = catalog.job_type(kind.id);
        Self {
            base: JobTypeBase::new(kind, catalog),
            max_scheduled: kind.spec.max_scheduled,
            max_tries: kind.spec.max_tries,
            revision_num: details.map_or(kind.revision, |details| details.revision),
            docker_image: details.map(|details| details.docker_image.clone()).unwrap_or_default(),
            created: Time(kind.created),
            deprecated: details.and_then(|details| details.deprecated).map(Time),
            paused: kind.paused.map(Time),
            last_modified: Time(kind.last_modified),
        }
    }
}

/// A job type in detail.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobTypeFull {
    #[serde(flatten)]
    line: JobTypeLine,
    manifest: Value,
    configuration: Value,
    recipe_types: Vec<RecipeTypeLine>,
}

impl JobTypeFull {
    pub(in crate::api) fn new(kind: &JobType, catalog: &CatalogView) -> Self {
        let details = catalog.job_type(kind.id);
        let configuration = details
            .map_or(json!({"priority": kind.spec.priority}), |details| document(&details.configuration));
        Self {
            line: JobTypeLine::new(kind, catalog),
            manifest: details.map_or_else(|| manifest(&kind.spec), |details| document(&details.manifest)),
            configuration: Configuration::read(&configuration).unwrap_or_default().to_value(),
            recipe_types: RecipeTypeLine::with_job_type(kind, catalog),
        }
    }
}
