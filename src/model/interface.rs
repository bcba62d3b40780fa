//! What a job or a recipe takes and gives: named files and named JSON values, and data for them.
//!
//! Plain data. Reading it from documents, and checking data against an interface, is in `catalog` and `job`.
//!
//! # Source
//! Scale's interface and data of version 7, without its names of versions.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A parameter that is a file, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileParameter {
    /// Unique in its interface, also among JSON parameters.
    pub name: String,
    /// Which media types it takes; none: any.
    pub media_types: Vec<String>,
    /// Whether data must have it.
    pub is_required: bool,
    /// Whether it may be more than one file.
    pub is_multiple: bool,
    /// Of an output: the glob that the names of its files match.
    pub pattern: Option<String>,
}

/// The type of a JSON parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsonType {
    /// `[...]`
    Array,
    /// `true` or `false`
    Boolean,
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// `{...}`
    Object,
    /// Text.
    String,
}

/// A parameter that is a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonParameter {
    /// Unique in its interface, also among file parameters.
    pub name: String,
    /// What it is.
    pub json_type: JsonType,
    /// Whether data must have it.
    pub is_required: bool,
    /// Of an output: its name in the document that an execution leaves; none: that of the parameter.
    pub key: Option<String>,
}

/// Parameters, in the order in which they were stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// Files.
    pub files: Vec<FileParameter>,
    /// JSON values.
    pub json: Vec<JsonParameter>,
}

/// Values for an interface: files by id, and JSON values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Data {
    /// Ids of files by parameter.
    pub files: BTreeMap<String, Vec<u64>>,
    /// Values by parameter.
    pub json: Map<String, Value>,
}

impl JsonType {
    /// The word for it in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Object => "object",
            Self::String => "string",
        }
    }

    /// The type of that word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Array, Self::Boolean, Self::Integer, Self::Number, Self::Object, Self::String]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// True for a value of this type. `true` is no integer.
    pub fn takes(self, value: &Value) -> bool {
        match self {
            Self::Array => value.is_array(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Object => value.is_object(),
            Self::String => value.is_string(),
        }
    }
}

impl FileParameter {
    /// A required one of any media type.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            media_types: Vec::new(),
            is_required: true,
            is_multiple: false,
            pattern: None,
        }
    }
}

impl JsonParameter {
    /// A required one.
    pub fn new(name: impl Into<String>, json_type: JsonType) -> Self {
        Self { name: name.into(), json_type, is_required: true, key: None }
    }
}

impl Data {
    /// True without any value: a job with such an input counts as one without input.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.json.is_empty()
    }

    /// As a document: `{"files": {...}, "json": {...}}`.
    pub fn to_value(&self) -> Value {
        serde_json::json!({ "files": self.files, "json": self.json })
    }
}
