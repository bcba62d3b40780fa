//! Job types and their revisions, in Scale's shapes.

use serde::Serialize;
use serde_json::{Value, json};

use super::jobs::manifest;
use super::{JobTypeBase, RecipeTypeLine, Time, document, revision_id};
use crate::catalog::configuration::Configuration;
use crate::engine::CatalogView;
use crate::model::{JobType, JobTypeRevision};

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
        let of_next = details.map(|details| details.docker_image.as_str());
        Self {
            base: JobTypeBase::new(kind, catalog),
            max_scheduled: kind.spec.max_scheduled,
            max_tries: kind.spec.max_tries,
            revision_num: details.map_or(kind.revision, |details| details.revision),
            // What was set last, which may be that of the next revision.
            docker_image: kind.spec.image_in(of_next).unwrap_or_default().to_owned(),
            created: Time(kind.created),
            deprecated: details.and_then(|details| details.deprecated).map(Time),
            paused: kind.paused.map(Time),
            last_modified: Time(kind.last_modified),
        }
    }
}

/// All versions of a job type, by the newest.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobTypeName {
    #[serde(flatten)]
    rest: Value,
    versions: Vec<String>,
    latest_version: String,
}

impl JobTypeName {
    /// `kinds`: from the lowest version to the highest, at least one.
    pub(in crate::api) fn new(kinds: &[&JobType], catalog: &CatalogView) -> Self {
        let latest = kinds.last().map(|kind| JobTypeBase::new(kind, catalog));
        let mut rest = json!(latest);
        if let Value::Object(members) = &mut rest {
            members.retain(|name, _| name != "id" && name != "version");
        }
        let versions: Vec<String> = kinds.iter().map(|kind| kind.spec.version.clone()).collect();
        Self { rest, latest_version: versions.last().cloned().unwrap_or_default(), versions }
    }
}

/// A revision of a job type; with its manifest where it is looked at alone.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct JobTypeRevisionLine {
    id: u64,
    job_type: JobTypeBase,
    revision_num: u32,
    docker_image: String,
    created: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<Value>,
}

impl JobTypeRevisionLine {
    pub(in crate::api) fn new(
        revision: &JobTypeRevision,
        kind: &JobType,
        catalog: &CatalogView,
        is_full: bool,
    ) -> Self {
        Self {
            id: revision_id(kind.id.0, revision.revision),
            job_type: JobTypeBase::new(kind, catalog),
            revision_num: revision.revision,
            docker_image: revision.docker_image.clone(),
            created: Time(revision.created),
            manifest: is_full.then(|| document(&revision.manifest)),
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
