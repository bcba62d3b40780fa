//! What a job or recipe is given: reading it from a document, and holding it against an interface.
//!
//! # Source
//! Scale's data of version 7. Here `true` is no integer, a file that is not known is an error, and the
//! media types of files are looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::catalog::shape::{Fault, Members, Misfit, Place, shortened, shown};
use crate::model::{Data, FileParameter, Interface, JsonParameter, JsonType, QUANTITY_MAX, THOUSANDTHS};

/// Versions of the document that are read; both are of the same form.
const VERSIONS: &[&str] = &["6", "7"];

/// The largest size of an input, in MiB: what a quantity holds of whole units. Eight exbibytes.
const INPUT_MIB_MAX: u64 = QUANTITY_MAX / THOUSANDTHS;

/// Bytes of a MiB.
const MIB_BYTES: u128 = 1 << 20;

/// Ids of files are positive, and fit the signed 64 bits of their clients' tables.
const FILE_ID_MAX: u64 = 0x7fff_ffff_ffff_ffff;

/// Why a document is no data, or does not fit an interface. Answers say of what before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DataError {
    /// A version that is not known.
    #[error("Invalid data: {version} is an unsupported version number")]
    Version {
        /// What was stated.
        version: String,
    },
    /// A member is unknown or of another form.
    #[error("Invalid data: {0}")]
    Shape(#[from] Misfit),
    /// A file and a JSON value of one name.
    #[error("Duplicate value '{name}'")]
    Duplicate {
        /// Of both.
        name: String,
    },
    /// A parameter without a value.
    #[error("Parameter '{name}' is required")]
    Required {
        /// Of the parameter.
        name: String,
    },
    /// A file where a JSON value belongs, or the other way round.
    #[error("Parameter '{name}' of type '{expected}' cannot accept data of type '{found}'")]
    Kind {
        /// Of the parameter.
        name: String,
        /// `file` or `json`.
        expected: &'static str,
        /// `json` or `file`.
        found: &'static str,
    },
    /// No file for a file parameter.
    #[error("Parameter '{name}' cannot accept zero files")]
    NoFiles {
        /// Of the parameter.
        name: String,
    },
    /// Several files for one.
    #[error("Parameter '{name}' cannot accept multiple files")]
    SeveralFiles {
        /// Of the parameter.
        name: String,
    },
    /// A JSON value of another type.
    #[error("Parameter '{name}' must receive {}", article(*.json_type))]
    JsonType {
        /// Of the parameter.
        name: String,
        /// What it takes.
        json_type: JsonType,
    },
    /// A file that nobody registered.
    #[error("Parameter '{name}' has the unknown file {id}")]
    UnknownFile {
        /// Of the parameter.
        name: String,
        /// Of the file.
        id: u64,
    },
}

/// What is odd about data, and does no harm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DataWarning {
    /// A file of a media type that its parameter does not name. Whoever made the file may not have known
    /// better, so the job is tried.
    #[error("Parameter '{name}' might not accept [{media_type}]")]
    MediaType {
        /// Of the parameter.
        name: String,
        /// Of the file.
        media_type: String,
    },
    /// A value that no parameter takes; it is dropped.
    #[error("Unknown value '{name}' ignored")]
    Unknown {
        /// Of the value.
        name: String,
    },
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileInfo {
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) media_type: String,
}

fn article(json_type: JsonType) -> &'static str {
    match json_type {
        JsonType::Array => "an array",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::Object => "a JSON object",
        JsonType::String => "a string",
    }
}

/// Reads `{"files": {NAME: [ID, ...] or ID}, "json": {NAME: VALUE}}`; either may be absent. `null` is
/// no data at all.
pub(crate) fn read_data(document: &Value) -> Result<Data, DataError> {
    if document.is_null() {
        return Ok(Data::default());
    }
    let members = Place::root(document).object(&[], &["version", "files", "json"])?;
    check_version(&members)?;
    let data = Data {
        files: members.get("files").map_or(Ok(BTreeMap::new()), |place| files(&place))?,
        json: members.get("json").map_or(Ok(Map::new()), |place| json(&place))?,
    };
    match data.files.keys().find(|name| data.json.contains_key(*name)) {
        Some(name) => Err(DataError::Duplicate { name: shortened(name) }),
        None => Ok(data),
    }
}

fn check_version(members: &Members<'_>) -> Result<(), DataError> {
    match members.get("version") {
        Some(place) if !place.value.as_str().is_some_and(|text| VERSIONS.contains(&text)) => {
            Err(DataError::Version { version: stated(place.value) })
        }
        _ => Ok(()),
    }
}

/// A version in a text, without quotes around it.
fn stated(version: &Value) -> String {
    version.as_str().map_or_else(|| shown(version), shortened)
}

fn files(place: &Place<'_>) -> Result<BTreeMap<String, Vec<u64>>, Misfit> {
    place.entries()?.into_iter().map(|(name, place)| Ok((name.clone(), ids(&place)?))).collect()
}

fn ids(place: &Place<'_>) -> Result<Vec<u64>, Misfit> {
    let id = |place: &Place<'_>| place.integer_within(1, FILE_ID_MAX);
    if place.value.is_number() {
        return Ok(vec![id(place)?]);
    }
    let ids: Vec<u64> = place.items()?.iter().map(id).collect::<Result<_, _>>()?;
    if ids.is_empty() { Err(place.misfit(Fault::Empty)) } else { Ok(ids) }
}

fn json(place: &Place<'_>) -> Result<Map<String, Value>, Misfit> {
    Ok(place.entries()?.into_iter().map(|(name, place)| (name.clone(), place.value.clone())).collect())
}

/// Holds `data` against `interface`: files first, in the order in which parameters were stated. Values
/// that no parameter takes are only warned of; see [`without_unknown`].
pub(crate) fn validate(
    interface: &Interface,
    data: &Data,
    file_lookup: impl Fn(u64) -> Option<FileInfo>,
) -> Result<Vec<DataWarning>, DataError> {
    let mut warnings = Vec::new();
    for parameter in &interface.files {
        warnings.extend(check_file(parameter, data, &file_lookup)?);
    }
    for parameter in &interface.json {
        check_json(parameter, data)?;
    }
    let known = parameter_names(interface);
    let names = data.files.keys().chain(data.json.keys());
    let unknown = names.filter(|name| !known.contains(name.as_str()));
    warnings.extend(unknown.map(|name| DataWarning::Unknown { name: shortened(name) }));
    Ok(warnings)
}

/// `data` without the values that no parameter of `interface` takes: what is kept of a job's input.
pub(crate) fn without_unknown(interface: &Interface, mut data: Data) -> Data {
    let known = parameter_names(interface);
    data.files.retain(|name, _| known.contains(name.as_str()));
    data.json.retain(|name, _| known.contains(name.as_str()));
    data
}

fn parameter_names(interface: &Interface) -> BTreeSet<&str> {
    let json = interface.json.iter().map(|parameter| parameter.name.as_str());
    interface.files.iter().map(|parameter| parameter.name.as_str()).chain(json).collect()
}

fn required(is_required: bool, name: &str) -> Result<(), DataError> {
    if is_required { Err(DataError::Required { name: name.to_owned() }) } else { Ok(()) }
}

fn check_file(
    parameter: &FileParameter,
    data: &Data,
    file_lookup: impl Fn(u64) -> Option<FileInfo>,
) -> Result<Vec<DataWarning>, DataError> {
    let name = || parameter.name.clone();
    if data.json.contains_key(&parameter.name) {
        return Err(DataError::Kind { name: name(), expected: "file", found: "json" });
    }
    let Some(ids) = data.files.get(&parameter.name) else {
        return required(parameter.is_required, &parameter.name).map(|()| Vec::new());
    };
    match ids.len() {
        0 => return Err(DataError::NoFiles { name: name() }),
        1 => {}
        _ if parameter.is_multiple => {}
        _ => return Err(DataError::SeveralFiles { name: name() }),
    }
    let mut warnings = Vec::new();
    for &id in ids {
        let file = file_lookup(id).ok_or_else(|| DataError::UnknownFile { name: name(), id })?;
        warnings.extend(media_type_warning(parameter, file));
    }
    Ok(warnings)
}

fn media_type_warning(parameter: &FileParameter, file: FileInfo) -> Option<DataWarning> {
    let is_taken = parameter.media_types.is_empty() || parameter.media_types.contains(&file.media_type);
    let warning = || DataWarning::MediaType { name: parameter.name.clone(), media_type: file.media_type };
    (!is_taken).then(warning)
}

fn check_json(parameter: &JsonParameter, data: &Data) -> Result<(), DataError> {
    let name = || parameter.name.clone();
    if data.files.contains_key(&parameter.name) {
        return Err(DataError::Kind { name: name(), expected: "json", found: "file" });
    }
    let Some(value) = data.json.get(&parameter.name) else {
        return required(parameter.is_required, &parameter.name);
    };
    if parameter.json_type.takes(value) {
        return Ok(());
    }
    Err(DataError::JsonType { name: name(), json_type: parameter.json_type })
}

/// The size of an input whose files have these sizes in bytes: their sum, rounded up to a whole MiB.
pub(crate) fn input_size_mib(sizes: impl IntoIterator<Item = u64>) -> u64 {
    let bytes = sizes.into_iter().fold(0_u128, |sum, size| sum.saturating_add(u128::from(size)));
    u64::try_from(bytes.div_ceil(MIB_BYTES)).unwrap_or(u64::MAX).min(INPUT_MIB_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(document: &Value) -> Data {
        read_data(document).unwrap_or_else(|error| panic!("{document}: {error}"))
    }

    fn interface() -> Interface {
        let mut interface = Interface::default();
        let mut one = FileParameter::new("one");
        one.media_types = vec!["image/png".into()];
        let mut several = FileParameter::new("several");
        (several.is_multiple, several.is_required) = (true, false);
        interface.files = vec![one, several];
        let mut note = JsonParameter::new("note", JsonType::String);
        note.is_required = false;
        interface.json = vec![JsonParameter::new("N", JsonType::Integer), note];
        interface
    }

    /// Files below 10 are known; those below 5 are images.
    fn lookup(id: u64) -> Option<FileInfo> {
        let media_type = if id < 5 { "image/png" } else { "text/plain" };
        (id < 10).then(|| FileInfo { size: id, media_type: media_type.into() })
    }

    #[test]
    fn data_is_read_from_lists_and_single_ids() {
        let data = read(&json!({ "version": "7", "files": { "a": [1, 2], "b": 3 }, "json": { "N": null } }));
        assert_eq!(data.to_value(), json!({ "files": { "a": [1, 2], "b": [3] }, "json": { "N": null } }));
        for nothing in [json!(null), json!({}), json!({ "files": {} }), json!({ "json": {} })] {
            assert!(read(&nothing).is_empty(), "{nothing}");
        }
        assert_eq!(read(&data.to_value()), data);
    }

    #[test]
    fn what_is_no_data_is_refused() {
        let check = |document: Value, text: &str| {
            let error = read_data(&document).expect_err(&document.to_string()).to_string();
            assert!(error.starts_with(text), "{document}: {error}");
        };
        check(json!([]), "Invalid data: [] is not of type 'object'");
        check(json!({ "more": {} }), "Invalid data: Additional properties are not allowed ('more'");
        check(json!({ "version": "1.0" }), "Invalid data: 1.0 is an unsupported version number");
        check(json!({ "files": { "a": "1" } }), "Invalid data: '1' is not of type 'array'");
        check(json!({ "files": { "a": [] } }), "Invalid data: [] is too short");
        check(json!({ "files": { "a": ["1"] } }), "Invalid data: '1' is not of type 'integer'");
        check(json!({ "files": { "a": [0] } }), "Invalid data: 0 is less than the minimum of 1");
        check(json!({ "files": { "a": 1.5 } }), "Invalid data: 1.5 is not of type 'integer'");
        check(json!({ "files": { "a": [true] } }), "Invalid data: true is not of type 'integer'");
        check(json!({ "json": [] }), "Invalid data: [] is not of type 'object'");
        check(json!({ "json": { "a": 1 }, "files": { "a": [1] } }), "Duplicate value 'a'");
    }

    #[test]
    fn data_is_held_against_the_interface() {
        let check = |document: Value, expected: &str| {
            let error = validate(&interface(), &read(&document), lookup).expect_err(expected);
            assert_eq!(error.to_string(), expected, "{document}");
        };
        check(json!({ "files": { "one": 1 } }), "Parameter 'N' is required");
        check(json!({ "json": { "N": 1 } }), "Parameter 'one' is required");
        check(
            json!({ "json": { "one": 1 } }),
            "Parameter 'one' of type 'file' cannot accept data of type 'json'",
        );
        check(json!({ "files": { "one": [1, 2] } }), "Parameter 'one' cannot accept multiple files");
        check(json!({ "files": { "one": 10 } }), "Parameter 'one' has the unknown file 10");
        let with_file =
            |name: &str, value: Value| json!({ "files": { "one": 1 }, "json": { "N": 1, name: value } });
        for not_an_integer in [json!(true), json!(1.5), json!(1.0), json!("1"), json!(null)] {
            check(with_file("N", not_an_integer), "Parameter 'N' must receive an integer");
        }
        check(with_file("note", json!(1)), "Parameter 'note' must receive a string");
        let files = json!({ "files": { "one": 1, "N": [1] } });
        check(files, "Parameter 'N' of type 'json' cannot accept data of type 'file'");
    }

    #[test]
    fn odd_data_is_warned_of_and_cleaned() {
        let document =
            json!({ "files": { "one": 5, "several": [1, 7], "x": 99 }, "json": { "N": -1, "y": 1 } });
        let data = read(&document);
        let warnings = validate(&interface(), &data, lookup).expect("odd only");
        let texts: Vec<String> = warnings.iter().map(DataWarning::to_string).collect();
        let media_type = "Parameter 'one' might not accept [text/plain]";
        assert_eq!(texts, [media_type, "Unknown value 'x' ignored", "Unknown value 'y' ignored"]);
        let kept = without_unknown(&interface(), data).to_value();
        assert_eq!(kept, json!({ "files": { "one": [5], "several": [1, 7] }, "json": { "N": -1 } }));
    }

    #[test]
    fn sizes_are_rounded_up_to_a_whole_mib() {
        let check = |sizes: &[u64], mib| assert_eq!(input_size_mib(sizes.iter().copied()), mib, "{sizes:?}");
        check(&[], 0);
        check(&[0], 0);
        check(&[1], 1);
        check(&[1 << 20], 1);
        check(&[(1 << 20) + 1], 2);
        check(&[1 << 19, 1 << 19], 1);
        // 100.2 MiB.
        check(&[105_067_315], 101);
        check(&[u64::MAX, u64::MAX], INPUT_MIB_MAX);
    }
}
