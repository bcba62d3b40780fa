//! Versions and revisions of job types, and what would be said of a manifest.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::job_types::{Filter, at};
use crate::api::body;
use crate::api::errors::ScaleError;
use crate::api::limits::CATALOG_BODY_BYTES_MAX;
use crate::api::members;
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, Params, path_id};
use crate::api::state::ApiState;
use crate::api::views::scale::{JobTypeLine, JobTypeName, JobTypeRevisionLine};
use crate::catalog::configuration::Configuration;
use crate::catalog::manifest::{Manifest, version_numbers};
use crate::model::{JobType, JobTypeRevision};

/// Resources that every node may have.
const STANDARD: [&str; 5] = ["cpus", "mem", "disk", "gpus", "sharedmem"];

/// `GET job-types/{name}/`: the versions of a name, as texts from the last to the first.
pub(in crate::api) async fn versions(
    State(api): State<ApiState>,
    Path(name): Path<String>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<JobTypeLine>>, ScaleError> {
    let is_active = params.boolean("is_active")?;
    let view = api.view().await;
    let types = view.types.iter().map(|kind| &*kind.job_type);
    let mut types: Vec<&JobType> = types.filter(|kind| kind.spec.name == name).collect();
    types.retain(|kind| is_active.is_none_or(|wanted| kind.spec.is_active == wanted));
    types.sort_by(|a, b| b.spec.version.cmp(&a.spec.version));
    Ok(Json(page(&types, &params, &address.url(), |kind| JobTypeLine::new(kind, &view.catalog))?))
}

/// `GET job-type-names/`: the newest version of each name, of those that have a version that is asked for.
pub(in crate::api) async fn names(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<JobTypeName>>, ScaleError> {
    let filter = Filter::read(&params)?;
    let view = api.view().await;
    let mut by_name: BTreeMap<&str, Vec<&JobType>> = BTreeMap::new();
    for kind in &view.types {
        by_name.entry(&kind.job_type.spec.name).or_default().push(&kind.job_type);
    }
    by_name.retain(|_, kinds| kinds.iter().any(|kind| filter.takes(kind, &view.catalog)));
    for kinds in by_name.values_mut() {
        kinds.sort_by_key(|kind| (version_numbers(&kind.spec.version), kind.id));
    }
    let names: Vec<Vec<&JobType>> = by_name.into_values().collect();
    Ok(Json(page(&names, &params, &address.url(), |kinds| JobTypeName::new(kinds, &view.catalog))?))
}

/// `GET job-types/{name}/{version}/revisions/`: the newest first.
pub(in crate::api) async fn revisions(
    State(api): State<ApiState>,
    Path((name, version)): Path<(String, String)>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<JobTypeRevisionLine>>, ScaleError> {
    let (kind, view) = at(&api, &name, &version).await?;
    let newest = view.catalog.job_type(kind.id).map_or(0, |details| details.revision);
    let numbers = (1..=newest).rev();
    let all: Vec<&JobTypeRevision> =
        numbers.filter_map(|number| view.catalog.job_type_revision(kind.id, number)).collect();
    Ok(Json(page(&all, &params, &address.url(), |revision| {
        JobTypeRevisionLine::new(revision, &kind, &view.catalog, false)
    })?))
}

/// `GET job-types/{name}/{version}/revisions/{revision}/`.
pub(in crate::api) async fn revision(
    State(api): State<ApiState>,
    Path((name, version, number)): Path<(String, String, String)>,
) -> Result<Json<JobTypeRevisionLine>, ScaleError> {
    let number = path_id(&number)?;
    let (kind, view) = at(&api, &name, &version).await?;
    let revision = view.catalog.job_type_revision(kind.id, number).ok_or(ScaleError::NotFound)?;
    Ok(Json(JobTypeRevisionLine::new(revision, &kind, &view.catalog, true)))
}

fn note(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description})
}

/// `POST job-types/validation/`: what would be said of a manifest and a configuration.
pub(in crate::api) async fn validate(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ScaleError> {
    let members = members::object_with_members(&body::bytes(&headers, body, CATALOG_BODY_BYTES_MAX).await?)?;
    let manifest = members::required(members::dictionary(&members, "manifest")?, "manifest")?;
    let configuration = members::required(members::dictionary(&members, "configuration")?, "configuration")?;
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let manifest = Manifest::read(&Value::Object(manifest.clone()));
    let configuration = manifest.is_ok().then(|| Configuration::read(&Value::Object(configuration.clone())));
    match (&manifest, configuration) {
        (Err(error), _) => errors.push(note("JSON_VALIDATION_ERROR", &error.to_string())),
        (_, Some(Err(error))) => errors.push(note("INVALID_CONFIGURATION", &error.to_string())),
        (Ok(manifest), Some(Ok(configuration))) => {
            let view = api.newest_view().await;
            let workspaces = |name: &str| {
                let mut all = view.catalog.workspaces();
                all.find(|workspace| workspace.name == name).map(|workspace| workspace.is_active)
            };
            match configuration.check(manifest, workspaces) {
                Ok(found) => warnings.extend(found.iter().map(|it| note(it.name(), &it.to_string()))),
                Err(error) => errors.push(note("INVALID_CONFIGURATION", &error.to_string())),
            }
            let resources = manifest.type_resources();
            let other = resources.iter().filter(|(name, _)| !STANDARD.contains(&name.as_str()));
            warnings.extend(other.map(|(name, _)| {
                let text =
                    format!("'{name}' is not a standard resouce. This job type might not be schedulable.");
                note("NONSTANDARD_RESOURCE", &text)
            }));
        }
        (Ok(_), None) => {}
    }
    Ok(Json(json!({"is_valid": errors.is_empty(), "errors": errors, "warnings": warnings})))
}
