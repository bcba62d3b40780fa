//! Reading fields of documents, with errors that name the place.

use serde_json::{Map, Value};

/// Why a document is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("Issue with {}: '{field}' is a required property", above(.place))]
    Missing { place: String, field: String },
    #[error("Issue with {}: '{field}' must be {what}", .place.trim_end_matches('.'))]
    Wrong { place: String, field: String, what: &'static str },
    #[error("Issue with {}: Additional properties are not allowed ('{field}' was unexpected)", above(.place))]
    Unknown { place: String, field: String },
    #[error("Issue with {}: it must be an object", .place.trim_end_matches('.'))]
    NoObject { place: String },
}

/// What stands above a place: `nodes` for `nodes.a`. Scale names that.
fn above(place: &str) -> &str {
    place.rsplit_once('.').map_or(place, |(above, _)| above)
}

impl DocumentError {
    pub(super) fn missing(place: &str, field: &str) -> Self {
        Self::Missing { place: place.to_owned(), field: field.to_owned() }
    }

    pub(super) fn wrong(place: &str, field: &str, what: &'static str) -> Self {
        Self::Wrong { place: place.to_owned(), field: field.to_owned(), what }
    }
}

type Fields = Map<String, Value>;

pub(super) fn object<'v>(value: &'v Value, place: &str) -> Result<&'v Fields, DocumentError> {
    value.as_object().ok_or_else(|| DocumentError::NoObject { place: place.to_owned() })
}

pub(super) fn known(fields: &Fields, place: &str, names: &[&str]) -> Result<(), DocumentError> {
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(field) => Err(DocumentError::Unknown { place: place.to_owned(), field: field.clone() }),
        None => Ok(()),
    }
}

fn field<'v>(fields: &'v Fields, place: &str, name: &str) -> Result<&'v Value, DocumentError> {
    fields.get(name).ok_or_else(|| DocumentError::missing(place, name))
}

pub(super) fn text<'v>(fields: &'v Fields, place: &str, name: &str) -> Result<&'v str, DocumentError> {
    field(fields, place, name)?.as_str().ok_or_else(|| DocumentError::wrong(place, name, "a string"))
}

pub(super) fn array<'v>(fields: &'v Fields, place: &str, name: &str) -> Result<&'v [Value], DocumentError> {
    let value = field(fields, place, name)?;
    value.as_array().map(Vec::as_slice).ok_or_else(|| DocumentError::wrong(place, name, "an array"))
}

pub(super) fn whole(fields: &Fields, place: &str, name: &str) -> Result<u32, DocumentError> {
    let value = field(fields, place, name)?.as_u64().and_then(|value| u32::try_from(value).ok());
    value.ok_or_else(|| DocumentError::wrong(place, name, "a whole number"))
}

pub(super) fn boolean(fields: &Fields, place: &str, name: &str, or: bool) -> Result<bool, DocumentError> {
    let Some(value) = fields.get(name) else { return Ok(or) };
    value.as_bool().ok_or_else(|| DocumentError::wrong(place, name, "a boolean"))
}

/// Strings; none where the field is missing.
pub(super) fn names(fields: &Fields, place: &str, name: &str) -> Result<Vec<String>, DocumentError> {
    let Some(value) = fields.get(name) else { return Ok(Vec::new()) };
    let read = value.as_array().and_then(|values| {
        values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    read.ok_or_else(|| DocumentError::wrong(place, name, "an array of strings"))
}
