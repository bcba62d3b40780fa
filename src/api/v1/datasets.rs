//! Data sets: files that belong together under one parameter, so that a batch can make a recipe for each.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{limit, number};
use crate::api::body;
use crate::api::errors::{Problem, unsettled};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::views::Time;
use crate::engine::{CatalogError, Engine};
use crate::model::{Dataset, Doc, DocKey, FileId, Timestamp, kind};

/// Files of one data set.
const MEMBERS_MAX: usize = 100_000;

/// A data set on record.
#[derive(Debug, Serialize)]
pub(in crate::api) struct DatasetView {
    id: u64,
    title: String,
    parameter: String,
    n_files: usize,
    created: Time,
    /// Where one is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<u64>>,
}

impl DatasetView {
    fn new(set: &Dataset, has_files: bool) -> Self {
        Self {
            id: set.id,
            title: set.title.clone(),
            parameter: set.parameter.clone(),
            n_files: set.members.len(),
            created: Time(set.created),
            files: has_files.then(|| set.members.iter().map(|file| file.0).collect()),
        }
    }
}

/// A page of data sets.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Datasets {
    datasets: Vec<DatasetView>,
    /// The `after` of what comes next; none at the end.
    next: Option<u64>,
}

/// A data set that is on record now.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Added {
    id: u64,
    n_files: usize,
    position: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatasetBody {
    #[serde(default)]
    title: String,
    parameter: String,
    files: Vec<u64>,
}

fn read(body: DatasetBody) -> Result<Dataset, Problem> {
    if body.parameter.is_empty() || body.parameter.chars().any(char::is_control) {
        return Err(Problem::body("parameter is some printable text, such as \"image\"").field("parameter"));
    }
    if body.title.chars().any(char::is_control) {
        return Err(Problem::body("title is printable text").field("title"));
    }
    if body.files.is_empty() || body.files.len() > MEMBERS_MAX {
        let detail = format!("files are ids of files on record, 1 to {MEMBERS_MAX} of them");
        return Err(Problem::body(detail).field("files"));
    }
    let definition = json!({
        "version": "7",
        "parameters": { "files": [{ "name": body.parameter.as_str() }], "json": [] },
    });
    Ok(Dataset {
        id: 0,
        title: body.title,
        definition: definition.to_string().into(),
        parameter: body.parameter,
        members: body.files.into_iter().map(FileId).collect(),
        created: Timestamp::default(),
    })
}

fn refused(error: &CatalogError) -> Problem {
    let title = "The data set is not accepted";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "dataset-refused", title, error.to_string())
}

/// The first of the files that is not on record.
fn unknown_file(engine: &Engine, set: &Dataset) -> Option<FileId> {
    let all: BTreeSet<FileId> = set.members.iter().copied().collect();
    all.into_iter().find(|file| engine.doc(DocKey { kind: kind::FILE, id: file.0, sub: 0 }).is_none())
}

/// `POST datasets`.
pub(in crate::api) async fn add(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Added>), Problem> {
    let set = read(body::json(&headers, body, BODY_BYTES_MAX).await?)?;
    let n_files = set.members.len();
    let (set, unknown) = api
        .ask(move |engine| {
            let unknown = unknown_file(engine, &set);
            (set, unknown)
        })
        .await;
    if let Some(file) = unknown {
        let detail = format!("no file {file}; the data set was not made");
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-file", "No such file", detail));
    }
    let settled = api.write(|engine| engine.put_dataset(set)).await;
    let (id, position) = settled.map_err(|error| unsettled(error, refused))?;
    Ok((StatusCode::CREATED, Json(Added { id, n_files, position: position.0 })))
}

const fn key(id: u64) -> DocKey {
    DocKey { kind: kind::DATASET, id, sub: 0 }
}

/// `GET datasets`: by id.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Datasets>, Problem> {
    let after = number(&params, "after")?.unwrap_or(0);
    let limit = limit(&params)?;
    let range = (key(after.saturating_add(1)), key(u64::MAX));
    let docs = api.ask(move |engine| engine.docs(range, false, limit + 1)).await;
    let view = |doc: &Doc| match doc {
        Doc::Dataset(set) => Some(DatasetView::new(set, false)),
        _ => None,
    };
    let mut datasets: Vec<DatasetView> = docs.iter().filter_map(|doc| view(doc)).collect();
    let next = if datasets.len() > limit { datasets.get(limit - 1).map(|set| set.id) } else { None };
    datasets.truncate(limit);
    Ok(Json(Datasets { datasets, next }))
}

/// `GET datasets/{id}`: with the ids of its files.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<DatasetView>, Problem> {
    let wrong = |_| Problem::parameter("id", format!("a data set's id is a whole number, not {id:?}"));
    let id: u64 = id.parse().map_err(wrong)?;
    let doc = api.ask(move |engine| engine.doc(key(id))).await;
    if let Some(Doc::Dataset(set)) = doc.as_deref() {
        return Ok(Json(DatasetView::new(set, true)));
    }
    let detail = format!("no data set {id}");
    Err(Problem::new(StatusCode::NOT_FOUND, "no-such-dataset", "No such data set", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_has_a_parameter_and_files() {
        let check = |text: &str, part: &str| {
            let body = serde_json::from_str(text).map_err(|error| error.to_string());
            let made = body.and_then(|body| read(body).map_err(|problem| format!("{problem:?}")));
            match made {
                Ok(set) => assert_eq!(set.members.len().to_string(), part, "{text}"),
                Err(error) => assert!(error.contains(part), "{text}: {error}"),
            }
        };
        check(r#"{"parameter": "image", "files": [1, 2]}"#, "2");
        check(r#"{"parameter": "", "files": [1]}"#, "printable text");
        check(r#"{"parameter": "a", "files": []}"#, "1 to 100000");
        check(r#"{"parameter": "a", "files": [-1]}"#, "u64");
        check(r#"{"files": [1]}"#, "parameter");
        check(r#"{"parameter": "a", "files": [1], "x": 1}"#, "unknown field");
    }
}
