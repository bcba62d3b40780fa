//! Workspaces: places of files that configurations name.

use std::cmp::Ordering;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::recipe_types::name_of;
use crate::api::body;
use crate::api::errors::{ScaleError, scale_unsettled};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::members::{self, Members};
use crate::api::paging::{Envelope, page};
use crate::api::query::{Address, By, Params, path_id, sort};
use crate::api::state::ApiState;
use crate::api::views::Time;
use crate::api::views::scale::document;
use crate::catalog::shape::{Misfit, Place};
use crate::engine::{CatalogError, View};
use crate::model::{Timestamp, Workspace};

/// How a workspace can be reached.
const BROKERS: &[&str] = &["host", "nfs", "s3"];

/// What is shown of a secret.
const HIDDEN: &str = "************";

/// Members of a broker's credentials that are secret.
const SECRETS: [&str; 2] = ["access_key_id", "secret_access_key"];

/// A workspace, as it stands in lists.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Line {
    id: u32,
    name: String,
    title: String,
    description: Option<String>,
    base_url: Option<String>,
    is_active: bool,
    created: Time,
    deprecated: Option<Time>,
    last_modified: Time,
}

/// A workspace in detail.
#[derive(Clone, Debug, Serialize)]
pub(in crate::api) struct Full {
    #[serde(flatten)]
    line: Line,
    configuration: Value,
}

impl From<&Workspace> for Line {
    fn from(workspace: &Workspace) -> Self {
        Self {
            id: workspace.id,
            name: workspace.name.clone(),
            title: workspace.title.clone(),
            description: Some(workspace.description.clone()).filter(|text| !text.is_empty()),
            base_url: workspace.base_url.clone(),
            is_active: workspace.is_active,
            created: Time(workspace.created),
            deprecated: workspace.deprecated.map(Time),
            last_modified: Time(workspace.last_modified),
        }
    }
}

impl From<&Workspace> for Full {
    fn from(workspace: &Workspace) -> Self {
        let mut configuration = document(&workspace.configuration);
        if let Some(credentials) = configuration.pointer_mut("/broker/credentials") {
            for name in SECRETS {
                credentials[name] = HIDDEN.into();
            }
        }
        Self { line: Line::from(workspace), configuration }
    }
}

/// A configuration that was checked, without its version.
fn read_configuration(members: &Members) -> Result<Option<Value>, ScaleError> {
    let stated = members::dictionary(members, "configuration")?.filter(|stated| !stated.is_empty());
    let Some(stated) = stated else { return Ok(None) };
    let mut stated = Value::Object(stated.clone());
    check_configuration(&stated).map_err(|misfit| {
        ScaleError::Bad(format!("Workspace configuration invalid: Invalid configuration: {misfit}"))
    })?;
    if let Value::Object(members) = &mut stated {
        members.remove("version");
    }
    Ok(Some(stated))
}

fn check_configuration(stated: &Value) -> Result<(), Misfit> {
    let root = Place::root(stated).object(&["broker"], &["version"])?;
    root.text("version")?;
    let broker = root.need("broker")?;
    broker.entries()?;
    let kind = broker.value.get("type").unwrap_or(&Value::Null);
    Place::root(kind).choice(BROKERS)?;
    Ok(())
}

fn refused(error: &CatalogError) -> ScaleError {
    ScaleError::Bad(error.to_string())
}

/// A name that no workspace has, made of a title.
fn free_name(title: &str, view: &View) -> String {
    let name = name_of(title);
    let is_taken = |name: &str| view.catalog.workspaces().any(|workspace| workspace.name == name);
    let numbered = (2..=u32::MAX).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
}

/// `POST workspaces/`.
pub(in crate::api) async fn create(
    State(api): State<ApiState>,
    address: Address,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ScaleError> {
    let members = members::object(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let title = members::required(members::text(&members, "title")?, "title")?.to_owned();
    let description = members::text(&members, "description")?.unwrap_or_default().to_owned();
    members::required(members::dictionary(&members, "configuration")?, "configuration")?;
    let base_url = members::text(&members, "base_url")?.map(str::to_owned);
    let is_active = members::boolean(&members, "is_active")?.unwrap_or(true);
    let configuration = read_configuration(&members)?;
    let configuration = configuration.ok_or_else(|| {
        let text = "Workspace configuration invalid: Invalid configuration: 'broker' is a required property";
        ScaleError::Bad(text.to_owned())
    })?;
    let view = api.newest_view().await;
    let workspace = Workspace {
        id: 0,
        name: free_name(&title, &view),
        title,
        description,
        base_url,
        is_active,
        configuration: configuration.to_string().into(),
        created: Timestamp(0),
        deprecated: None,
        last_modified: Timestamp(0),
    };
    let settled = api.write(|engine| engine.put_workspace(workspace)).await;
    let (id, _) = settled.map_err(|error| scale_unsettled(error, refused))?;
    let view = api.view().await;
    let made = view.catalog.workspaces().find(|workspace| workspace.id == id).ok_or(ScaleError::NotFound)?;
    let mut response = (StatusCode::CREATED, Json(Full::from(made))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("{}{id}/", address.url())) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn find<'v>(view: &'v View, id: &str) -> Result<&'v Workspace, ScaleError> {
    let id: u32 = path_id(id)?;
    view.catalog.workspaces().find(|workspace| workspace.id == id).ok_or(ScaleError::NotFound)
}

/// `GET workspaces/{id}/`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Full>, ScaleError> {
    Ok(Json(Full::from(find(&*api.view().await, &id)?)))
}

/// `PATCH workspaces/{id}/`. Empty texts change nothing.
pub(in crate::api) async fn change(
    State(api): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ScaleError> {
    let members = members::object(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let text = |name| members::text(&members, name).map(|text| text.filter(|text| !text.is_empty()));
    let (title, description, base_url) = (text("title")?, text("description")?, text("base_url")?);
    let configuration = read_configuration(&members)?;
    let is_active = members::boolean(&members, "is_active")?;
    let view = api.newest_view().await;
    let mut workspace = find(&view, &id)?.clone();
    let replace = |known: &mut String, text: Option<&str>| {
        if let Some(text) = text {
            text.clone_into(known);
        }
    };
    replace(&mut workspace.title, title);
    replace(&mut workspace.description, description);
    workspace.base_url = base_url.map(str::to_owned).or(workspace.base_url);
    workspace.is_active = is_active.unwrap_or(workspace.is_active);
    if let Some(configuration) = configuration {
        workspace.configuration = configuration.to_string().into();
    }
    let settled = api.write(|engine| engine.put_workspace(workspace)).await;
    settled.map_err(|error| scale_unsettled(error, refused))?;
    Ok(StatusCode::NO_CONTENT)
}

/// What workspaces can be ordered by.
#[derive(Clone, Copy)]
enum Column {
    Id,
    Name,
    Title,
    Description,
    IsActive,
    Created,
    LastModified,
}

const COLUMNS: [(&str, Column); 7] = [
    ("id", Column::Id),
    ("name", Column::Name),
    ("title", Column::Title),
    ("description", Column::Description),
    ("is_active", Column::IsActive),
    ("created", Column::Created),
    ("last_modified", Column::LastModified),
];

fn compare(column: Column, a: &Workspace, b: &Workspace) -> Ordering {
    let texts = |of: fn(&Workspace) -> &String| of(a).to_lowercase().cmp(&of(b).to_lowercase());
    match column {
        Column::Id => a.id.cmp(&b.id),
        Column::Name => texts(|workspace| &workspace.name),
        Column::Title => texts(|workspace| &workspace.title),
        Column::Description => texts(|workspace| &workspace.description),
        Column::IsActive => a.is_active.cmp(&b.is_active),
        Column::Created => a.created.cmp(&b.created),
        Column::LastModified => a.last_modified.cmp(&b.last_modified),
    }
}

/// `GET workspaces/`.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    address: Address,
    params: Params,
) -> Result<Json<Envelope<Line>>, ScaleError> {
    let [started, ended] = params.range(["started", "ended"], api.engine().now(), None)?;
    let names = params.texts("name");
    let mut order = params.order(&COLUMNS)?;
    if order.is_empty() {
        order.push(By { column: Column::Name, is_descending: false });
    }
    let view = api.view().await;
    let takes = |workspace: &&Workspace| {
        started.is_none_or(|started| workspace.last_modified >= started)
            && ended.is_none_or(|ended| workspace.last_modified <= ended)
            && names.as_ref().is_none_or(|names| names.contains(&workspace.name.as_str()))
    };
    let mut all: Vec<&Workspace> = view.catalog.workspaces().filter(takes).collect();
    sort(&mut all, &order, |column, a, b| compare(column, a, b));
    Ok(Json(page(&all, &params, &address.url(), |workspace| Line::from(*workspace))?))
}

/// `POST workspaces/validation/`: what would be said of a configuration.
pub(in crate::api) async fn validate(headers: HeaderMap, body: Body) -> Result<Json<Value>, ScaleError> {
    let members = members::object(&body::bytes(&headers, body, BODY_BYTES_MAX).await?)?;
    let stated = members::required(members::dictionary(&members, "configuration")?, "configuration")?;
    members::required(members::text(&members, "title")?, "title")?;
    let checked = check_configuration(&Value::Object(stated.clone()));
    let errors: Vec<Value> = checked.err().iter().map(|misfit| {
        json!({"name": "INVALID_CONFIGURATION", "description": format!("Invalid configuration: {misfit}")})
    }).collect();
    Ok(Json(json!({"is_valid": errors.is_empty(), "errors": errors, "warnings": []})))
}
