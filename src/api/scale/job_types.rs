//! Job types: made and changed from manifests, listed, looked at.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::recipe_types::{Changed, deprecate_with_job_type, deprecated, follow};
use crate::api::body;
use crate::api::errors::{ScaleError, scale_unsettled};
use crate::api::limits::CATALOG_BODY_BYTES_MAX;
use crate::api::members::{self, Members, ReadError};
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, Params};
use crate::api::state::ApiState;
use crate::api::views::scale::{JobTypeFull, JobTypeLine, document};
use crate::catalog::configuration::{Configuration, ConfigurationError};
use crate::catalog::manifest::Manifest;
use crate::catalog::spec::spec;
use crate::engine::{CatalogError, CatalogView, JobTypeChange, JobTypeError, NewJobType, View};
use crate::limits::IMAGE_CHARS_MAX;
use crate::model::{JobType, JobTypeId};

/// What a body may hold, in the order that an error lists it.
const FIELDS: [&str; 9] = [
    "is_paused",
    "max_scheduled",
    "icon_code",
    "auto_update",
    "is_active",
    "manifest",
    "configuration",
    "docker_image",
    "is_published",
];

/// The name that an address has taken.
const RESERVED: &str = "validation";

/// Characters of the code of an icon: as many as Scale stores.
const ICON_CHARS_MAX: usize = 20;

/// What a body asks for.
#[derive(Debug, Default)]
struct Asked {
    icon_code: Option<String>,
    is_published: Option<bool>,
    max_scheduled: Option<u32>,
    docker_image: Option<String>,
    is_active: Option<bool>,
    is_paused: Option<bool>,
    manifest: Option<Manifest>,
    configuration: Option<Configuration>,
    /// A change states a priority below the least one; it is refused once the job type is known.
    has_no_priority: bool,
    /// Recipe types that hold it take its new revision.
    auto_update: bool,
}

fn invalid_configuration(error: &ConfigurationError) -> ScaleError {
    ScaleError::Bad(format!("Job type configuration invalid: {error}"))
}

fn short(members: &Members, name: &'static str, max: usize) -> Result<Option<String>, ScaleError> {
    let text = members::text(members, name)?;
    if text.is_some_and(|text| text.chars().count() > max) {
        return Err(ScaleError::Bad(format!("Parameter must have at most {max} characters: \"{name}\"")));
    }
    Ok(text.map(str::to_owned))
}

fn read_limit(members: &Members) -> Result<Option<u32>, ReadError> {
    let limit = members::integer(members, "max_scheduled")?;
    limit
        .map(|limit| i32::try_from(limit).ok().and_then(|limit| u32::try_from(limit).ok()))
        .map(|limit| limit.ok_or(ReadError::Integer("max_scheduled")))
        .transpose()
}

/// Reads a body; `is_new` says that image and manifest have to be there.
fn read_body(members: &Members, is_new: bool) -> Result<Asked, ScaleError> {
    let mut asked = Asked {
        icon_code: short(members, "icon_code", ICON_CHARS_MAX)?,
        is_published: members::boolean(members, "is_published")?,
        max_scheduled: read_limit(members)?,
        docker_image: short(members, "docker_image", IMAGE_CHARS_MAX)?,
        ..Asked::default()
    };
    if is_new {
        members::required(asked.docker_image.as_ref(), "docker_image")?;
    }
    let manifest = members::dictionary(members, "manifest")?;
    if is_new {
        members::required(manifest, "manifest")?;
    }
    asked.auto_update = members::boolean(members, "auto_update")?.unwrap_or(true);
    asked.is_active = members::boolean(members, "is_active")?;
    asked.is_paused = members::boolean(members, "is_paused")?;
    let manifest = manifest.filter(|manifest| is_new || !manifest.is_empty());
    let manifest = manifest.map(|manifest| Manifest::read(&Value::Object(manifest.clone()))).transpose();
    asked.manifest = manifest.map_err(|error| ScaleError::Bad(format!("Seed Manifest invalid: {error}")))?;
    let configuration = members::dictionary(members, "configuration")?.filter(|it| !it.is_empty());
    let mut configuration = configuration.cloned();
    if let Some(document) = configuration.as_mut().filter(|_| !is_new) {
        document.retain(|name, _| Configuration::MEMBERS.contains(&name.as_str()));
        let stated =
            document.get("priority").filter(|stated| stated.as_i64().is_some_and(|stated| stated < 1));
        asked.has_no_priority = stated.is_some();
        document.retain(|name, _| !asked.has_no_priority || name != "priority");
    }
    let configuration =
        configuration.map(|document| Configuration::read(&Value::Object(document))).transpose();
    asked.configuration = configuration.map_err(|error| invalid_configuration(&error))?;
    Ok(asked)
}

impl Asked {
    /// Holds what a job type would be configured with against its manifest; secrets are taken out.
    fn check_configuration(
        &mut self,
        manifest: &Manifest,
        known: Option<&Configuration>,
        catalog: &CatalogView,
    ) -> Result<(), ConfigurationError> {
        let nothing = Configuration::default();
        let configuration = self.configuration.as_ref().or(known).unwrap_or(&nothing);
        configuration.check(manifest, |name| {
            catalog.workspaces().find(|workspace| workspace.name == name).map(|workspace| workspace.is_active)
        })?;
        if let Some(configuration) = &mut self.configuration {
            configuration.take_secrets(manifest);
        }
        Ok(())
    }
}

fn text_of(value: &Value) -> Arc<str> {
    value.to_string().into()
}

fn refused(error: &CatalogError) -> ScaleError {
    match error {
        CatalogError::JobType(JobTypeError::Unknown(_)) => ScaleError::NotFound,
        error => ScaleError::Bad(format!("Unable to create new job type: {error}")),
    }
}

fn find<'v>(view: &'v View, name: &str, version: &str) -> Option<&'v Arc<JobType>> {
    let mut types = view.types.iter().map(|kind| &kind.job_type);
    types.find(|kind| kind.spec.name == name && kind.spec.version == version)
}

/// The job type of an address.
pub(super) async fn at(
    api: &ApiState,
    name: &str,
    version: &str,
) -> Result<(Arc<JobType>, Arc<View>), ScaleError> {
    let mut view = api.view().await;
    if find(&view, name, version).is_none() {
        view = api.newest_view().await;
    }
    let kind = find(&view, name, version).cloned().ok_or(ScaleError::NotFound)?;
    Ok((kind, view))
}

/// `POST job-types/`: makes a job type, or changes the one of its name and version.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScaleError> {
    let members = members::object_with_members(&body::bytes(&headers, body, CATALOG_BODY_BYTES_MAX).await?)?;
    let stated = members::with_params(members.clone(), &params);
    let mut asked = read_body(&stated, true)?;
    members::check_fields(&members, &FIELDS)?;
    let manifest = asked.manifest.clone().expect("it has to be there");
    if manifest.name() == RESERVED {
        return Err(ScaleError::Bad(format!("Unable to create job type named \"{RESERVED}\"")));
    }
    let view = api.newest_view().await;
    if let Some(known) = find(&view, manifest.name(), manifest.version()) {
        return edit(&api, known, asked, &view, invalid_configuration).await.map(IntoResponse::into_response);
    }
    let checked = asked.check_configuration(&manifest, None, &view.catalog);
    checked.map_err(|error| invalid_configuration(&error))?;
    let configuration = asked.configuration.unwrap_or_default();
    let mut spec = spec(&manifest, &configuration);
    spec.max_scheduled = asked.max_scheduled;
    let new = NewJobType {
        spec,
        manifest: text_of(manifest.document()),
        docker_image: asked.docker_image.unwrap_or_default(),
        configuration: text_of(&configuration.to_value()),
        is_published: asked.is_published.unwrap_or_default(),
        icon_code: asked.icon_code,
        is_long_running: false,
    };
    let settled = api.write(|engine| engine.put_manifest(new)).await;
    let (id, _) = settled.map_err(|error| scale_unsettled(error, refused))?;
    let view = api.view().await;
    let kind = &view.job_type(id).ok_or(ScaleError::NotFound)?.job_type;
    let url = format!("{}{}/{}/", address.url(), manifest.name(), manifest.version());
    let mut response = (StatusCode::CREATED, Json(JobTypeFull::new(kind, &view.catalog))).into_response();
    if let Ok(location) = HeaderValue::from_str(&url) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// `PATCH job-types/{name}/{version}/`.
pub(in crate::api) async fn change(
    State(api): State<ApiState>,
    Path((name, version)): Path<(String, String)>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ScaleError> {
    let members = members::object(&body::bytes(&headers, body, CATALOG_BODY_BYTES_MAX).await?)?;
    let stated = members::with_params(members.clone(), &params);
    let asked = read_body(&stated, false)?;
    if let Some(manifest) = &asked.manifest {
        let of = [("name", manifest.name(), &name), ("version", manifest.version(), &version)];
        if let Some((what, stated, known)) = of.into_iter().find(|(_, stated, known)| stated != known) {
            let text = format!("Manifest {what} {stated} does not match current Job Type {what} {known}.");
            return Err(ScaleError::Bad(text));
        }
    }
    let (kind, view) = at(&api, &name, &version).await?;
    members::check_fields(&members, &FIELDS)?;
    edit(&api, &kind, asked, &view, |error| ScaleError::Bad(error.to_string())).await
}

/// Changes a job type as asked; `invalid` says what is wrong with a configuration.
async fn edit(
    api: &ApiState,
    kind: &JobType,
    mut asked: Asked,
    view: &View,
    invalid: fn(&ConfigurationError) -> ScaleError,
) -> Result<Json<Value>, ScaleError> {
    if asked.has_no_priority {
        return Err(ScaleError::Bad("Priority must be a positive integer".to_owned()));
    }
    let details = view.catalog.job_type(kind.id);
    let known = details.and_then(|details| Configuration::read(&document(&details.configuration)).ok());
    let manifest = match (&asked.manifest, details) {
        (Some(manifest), _) => Some(manifest.clone()),
        (None, Some(details)) => Manifest::read(&document(&details.manifest)).ok(),
        (None, None) => None,
    };
    let mut change = JobTypeChange {
        docker_image: asked.docker_image.take(),
        is_published: asked.is_published,
        icon_code: asked.icon_code.take(),
        is_active: asked.is_active,
        is_paused: asked.is_paused,
        max_scheduled: asked.max_scheduled,
        ..JobTypeChange::default()
    };
    if let Some(manifest) = &manifest {
        asked
            .check_configuration(manifest, known.as_ref(), &view.catalog)
            .map_err(|error| invalid(&error))?;
        if asked.manifest.is_some() || asked.configuration.is_some() {
            let configuration = asked.configuration.as_ref().or(known.as_ref()).cloned().unwrap_or_default();
            change.spec = Some(Box::new(spec(manifest, &configuration)));
            change.configuration = Some(text_of(&configuration.to_value()));
        }
        change.manifest = asked.manifest.is_some().then(|| text_of(manifest.document()));
    }
    let id = kind.id;
    let is_switched = asked.is_active.filter(|is_active| *is_active != kind.spec.is_active);
    let is_revised = change.manifest.is_some() && asked.auto_update;
    let settled = api.write(|engine| engine.edit_job_type(id, change)).await;
    settled.map_err(|error| {
        scale_unsettled(error, |error| match error {
            CatalogError::JobType(JobTypeError::Unknown(_)) => ScaleError::NotFound,
            error => ScaleError::Bad(error.to_string()),
        })
    })?;
    let (name, version) = (&kind.spec.name, &kind.spec.version);
    let mut warnings = Vec::new();
    if is_switched == Some(false) {
        let names = deprecate_with_job_type(api, name, version).await?;
        if !names.is_empty() {
            warnings.push(deprecated("job", &names));
        }
    }
    if is_revised {
        follow(api, vec![Changed::JobType { name: name.clone(), version: version.clone() }]).await?;
    }
    Ok(Json(json!({"is_valid": true, "errors": [], "warnings": warnings})))
}

/// `GET job-types/{name}/{version}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<JobTypeFull>, ScaleError> {
    let (kind, view) = at(&api, &name, &version).await?;
    Ok(Json(JobTypeFull::new(&kind, &view.catalog)))
}

/// Which job types a list shows.
pub(super) struct Filter {
    keywords: Vec<String>,
    ids: Option<Vec<i64>>,
    is_active: Option<bool>,
    is_system: Option<bool>,
}

impl Filter {
    pub(super) fn read(params: &Params) -> Result<Self, ReadError> {
        Ok(Self {
            keywords: params.texts("keyword").into_iter().flatten().map(str::to_lowercase).collect(),
            ids: params.integers("id")?,
            is_active: params.boolean("is_active")?,
            is_system: params.boolean("is_system")?,
        })
    }

    pub(super) fn takes(&self, kind: &JobType, catalog: &CatalogView) -> bool {
        let is_system = || catalog.job_type(kind.id).is_some_and(|details| details.is_system);
        self.ids.as_ref().is_none_or(|ids| ids.contains(&i64::from(kind.id.0)))
            && self.is_active.is_none_or(|is_active| kind.spec.is_active == is_active)
            && self.is_system.is_none_or(|wanted| is_system() == wanted)
            && (self.keywords.is_empty() || self.has_keyword(kind, catalog))
    }

    /// A keyword is in its name or in one of its tags.
    fn has_keyword(&self, kind: &JobType, catalog: &CatalogView) -> bool {
        let is_in = |text: &str| {
            let text = text.to_lowercase();
            self.keywords.iter().any(|keyword| text.contains(keyword.as_str()))
        };
        let has_tag = |id: JobTypeId| {
            let manifest = catalog.job_type(id).map(|details| &details.manifest);
            let manifest = manifest.filter(|text| text.contains("\"tags\"") && is_in(text));
            let manifest = manifest.map(|text| document(text)).unwrap_or_default();
            let tags = manifest.pointer("/job/tags").and_then(Value::as_array);
            tags.into_iter().flatten().filter_map(Value::as_str).any(is_in)
        };
        is_in(&kind.spec.name) || has_tag(kind.id)
    }
}

/// By name without regard to case, then by version, the lower one first.
fn by_name(a: &JobType, b: &JobType) -> Ordering {
    let name = |kind: &JobType| kind.spec.name.to_lowercase();
    name(a).cmp(&name(b)).then_with(|| a.spec.version.cmp(&b.spec.version)).then(a.id.cmp(&b.id))
}

/// `GET job-types/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<JobTypeLine>>, ScaleError> {
    let filter = Filter::read(&params)?;
    let view = api.view().await;
    let types = view.types.iter().map(|kind| &kind.job_type);
    let mut types: Vec<&Arc<JobType>> = types.filter(|kind| filter.takes(kind, &view.catalog)).collect();
    types.sort_by(|a, b| by_name(a, b));
    Ok(Json(page(&types, &params, &address.url(), |kind| JobTypeLine::new(kind, &view.catalog))?))
}
