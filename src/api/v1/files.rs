//! Files: what has to be known of them, so that jobs and recipes can be given them by id. Their bytes are
//! elsewhere.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::{limit, number};
use crate::api::body;
use crate::api::errors::{Problem, unsettled};
use crate::api::limits::BODY_BYTES_MAX;
use crate::api::query::Params;
use crate::api::state::ApiState;
use crate::api::views::Time;
use crate::engine::CatalogError;
use crate::model::{Doc, DocKey, FileId, FileRecord, Timestamp, kind};

/// The media type of a file of which none is stated.
const MEDIA_TYPE_DEFAULT: &str = "application/octet-stream";

/// A file on record.
#[derive(Debug, Serialize)]
pub(in crate::api) struct FileView {
    id: u64,
    name: String,
    media_type: String,
    size: u64,
    created: Time,
}

impl From<&FileRecord> for FileView {
    fn from(file: &FileRecord) -> Self {
        Self {
            id: file.id.0,
            name: file.name.clone(),
            media_type: file.media_type.clone(),
            size: file.bytes,
            created: Time(file.created),
        }
    }
}

/// A page of files.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Files {
    files: Vec<FileView>,
    /// The `after` of what comes next; none at the end.
    next: Option<u64>,
}

/// A file that is on record now.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Added {
    id: u64,
    position: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBody {
    name: String,
    /// In bytes.
    size: u64,
    #[serde(default)]
    media_type: Option<String>,
}

fn read(body: FileBody) -> Result<FileRecord, Problem> {
    if body.name.is_empty() || body.name.chars().any(char::is_control) {
        return Err(Problem::body("name is some printable text, such as \"a.png\"").field("name"));
    }
    let media_type = body.media_type.unwrap_or_else(|| MEDIA_TYPE_DEFAULT.to_owned());
    let is_media_type = media_type.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        && media_type.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if !is_media_type {
        let detail = format!("{media_type:?} is no media type; it is for instance image/png");
        return Err(Problem::body(detail).field("media_type"));
    }
    Ok(FileRecord {
        id: FileId(0),
        name: body.name,
        media_type,
        bytes: body.size,
        created: Timestamp::default(),
    })
}

fn refused(error: &CatalogError) -> Problem {
    let title = "The file is not accepted";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "file-refused", title, error.to_string())
}

/// `POST files`.
pub(in crate::api) async fn add(
    State(api): State<ApiState>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Added>), Problem> {
    let file = read(body::json(&headers, body, BODY_BYTES_MAX).await?)?;
    let (id, position) =
        api.write(|engine| engine.put_file(file)).await.map_err(|error| unsettled(error, refused))?;
    Ok((StatusCode::CREATED, Json(Added { id: id.0, position: position.0 })))
}

const fn key(id: u64) -> DocKey {
    DocKey { kind: kind::FILE, id, sub: 0 }
}

fn as_file(doc: &Doc) -> Option<FileView> {
    if let Doc::File(file) = doc { Some(FileView::from(file)) } else { None }
}

/// `GET files`: by id.
pub(in crate::api) async fn list(
    State(api): State<ApiState>,
    params: Params,
) -> Result<Json<Files>, Problem> {
    let after = number(&params, "after")?.unwrap_or(0);
    let limit = limit(&params)?;
    let range = (key(after.saturating_add(1)), key(u64::MAX));
    let docs = api.ask(move |engine| engine.docs(range, false, limit + 1)).await;
    let mut files: Vec<FileView> = docs.iter().filter_map(|doc| as_file(doc)).collect();
    let next = if files.len() > limit { files.get(limit - 1).map(|file| file.id) } else { None };
    files.truncate(limit);
    Ok(Json(Files { files, next }))
}

/// `GET files/{id}`.
pub(in crate::api) async fn detail(
    State(api): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<FileView>, Problem> {
    let wrong = |_| Problem::parameter("id", format!("a file's id is a whole number, not {id:?}"));
    let id: u64 = id.parse().map_err(wrong)?;
    let doc = api.ask(move |engine| engine.doc(key(id))).await;
    let file = doc.as_deref().and_then(as_file);
    file.map(Json).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "no-such-file", "No such file", format!("no file {id}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_name_a_size_and_a_media_type() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let body = serde_json::from_str(text).map_err(|error| error.to_string());
            let made = body.and_then(|body| read(body).map_err(|problem| format!("{problem:?}")));
            match (made, expected) {
                (Ok(file), Ok(media_type)) => assert_eq!(file.media_type, media_type, "{text}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (made, _) => panic!("{text}: {made:?}"),
            }
        };
        check(r#"{"name": "a.png", "size": 5, "media_type": "image/png"}"#, Ok("image/png"));
        check(r#"{"name": "a.png", "size": 0}"#, Ok(MEDIA_TYPE_DEFAULT));
        check(r#"{"name": "", "size": 5}"#, Err("printable text"));
        check(r#"{"name": "a\n", "size": 5}"#, Err("printable text"));
        check(r#"{"name": "a", "size": -5}"#, Err("u64"));
        check(r#"{"name": "a"}"#, Err("size"));
        check(r#"{"name": "a", "size": 1, "media_type": "png"}"#, Err("no media type"));
        check(r#"{"name": "a", "size": 1, "kind": 1}"#, Err("unknown field"));
    }
}
