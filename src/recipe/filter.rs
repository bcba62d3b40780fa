//! A condition's filter: whether data is accepted.
//!
//! Values of kinds that cannot be compared are never less, equal or greater: such a filter fails.
//!
//! Other than Scale, on purpose: file filters look at each file, and at all of them together with `contains`
//! only (there, `!=` and `not in` pass always); each field is compared with its own value; `all_fields` is
//! true where it is missing, as documented there, and does not need `all_files`.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::model::{Data, Interface, JsonType};

use super::document::{DocumentError, array, boolean, known, names, object, text};

/// Filters of a condition. Each is tried on each file of its parameter.
pub(crate) const FILTERS_MAX: usize = 1_000;

const FILE_TYPES: &[&str] = &["filename", "media-type", "data-type", "meta-data"];
const STRING_TYPES: &[&str] = &["string", "filename", "media-type", "data-type"];
const NUMBER_TYPES: &[&str] = &["integer", "number"];
const OBJECT_TYPES: &[&str] = &["meta-data", "object"];
const OPERATORS: &[&str] =
    &["<", "<=", ">", ">=", "==", "!=", "between", "in", "not in", "contains", "subset of", "superset of"];
const STRING_OPERATORS: &[&str] = &["==", "!=", "in", "not in", "contains"];
const NUMBER_OPERATORS: &[&str] = &["<", "<=", ">", ">=", "==", "!=", "between", "in", "not in"];
const BOOLEAN_OPERATORS: &[&str] = &["==", "!="];
const OBJECT_OPERATORS: &[&str] = &["subset of", "superset of"];

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileFacts<'a> {
    pub(crate) file_name: &'a str,
    pub(crate) media_type: &'a str,
    pub(crate) data_types: &'a [String],
    pub(crate) metadata: &'a Map<String, Value>,
}

/// Filters, of which all must pass, or one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DataFilter {
    filters: Vec<Filter>,
    all: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    name: String,
    kind: String,
    operator: String,
    values: Vec<Value>,
    /// Paths into an object, one for each value; `None`: the whole.
    fields: Option<Vec<Vec<String>>>,
    all_fields: Option<bool>,
    all_files: Option<bool>,
}

/// Why a filter is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("{n} filters, {FILTERS_MAX} at most")]
    TooMany { n: usize },
    #[error("Invalid condition '{operator}' for '{name}'. Valid conditions are: {}", .valid.join(", "))]
    Operator { name: String, operator: String, valid: &'static [&'static str] },
    #[error("Object {0} does not have an object condition, and fields are not set")]
    NoFields(String),
    #[error("Fields property must be same length as values")]
    Fields,
    #[error("No valid conditions for type '{0}'")]
    Kind(String),
    #[error("Expected {expected} for '{name}', found {found}")]
    Number { name: String, expected: &'static str, found: String },
    #[error("Parameter '{name}' does not work with a filter of type '{kind}'")]
    Mismatch { name: String, kind: String },
}

impl DataFilter {
    /// Reads and checks a filter; whole numbers and numbers are made what their type says.
    pub(crate) fn read(value: &Value) -> Result<Self, FilterError> {
        let fields = object(value, "data_filter")?;
        known(fields, "data_filter", &["version", "filters", "all"])?;
        let all = boolean(fields, "data_filter", "all", true)?;
        let stated: &[Value] =
            if fields.contains_key("filters") { array(fields, "data_filter", "filters")? } else { &[] };
        if stated.len() > FILTERS_MAX {
            return Err(FilterError::TooMany { n: stated.len() });
        }
        Ok(Self { filters: stated.iter().map(Filter::read).collect::<Result<_, _>>()?, all })
    }

    /// As a document, with everything filled in.
    pub(crate) fn to_value(&self) -> Value {
        json!({ "filters": self.filters.iter().map(Filter::to_value).collect::<Vec<_>>(), "all": self.all })
    }

    /// Whether its filters can work on the parameters of an interface. Names that are not there are let be.
    pub(crate) fn check(&self, interface: &Interface) -> Result<(), FilterError> {
        let fits = |filter: &Filter| {
            let is_for_files = FILE_TYPES.contains(&filter.kind.as_str());
            if interface.files.iter().any(|file| file.name == filter.name) {
                return is_for_files;
            }
            let json = interface.json.iter().find(|value| value.name == filter.name);
            json.is_none_or(|value| !is_for_files && takes(value.json_type, &filter.kind))
        };
        match self.filters.iter().find(|filter| !fits(filter)) {
            Some(filter) => {
                Err(FilterError::Mismatch { name: filter.name.clone(), kind: filter.kind.clone() })
            }
            None => Ok(()),
        }
    }

    /// Makes required what data must have had to pass.
    pub(crate) fn require(&self, interface: &mut Interface) {
        let has = |name: &str| self.all && self.filters.iter().any(|filter| filter.name == name);
        interface.files.iter_mut().for_each(|file| file.is_required |= has(&file.name));
        interface.json.iter_mut().for_each(|value| value.is_required |= has(&value.name));
    }

    /// Whether data passes. A file of which nothing is known does not.
    pub(crate) fn accepts<'f>(&self, data: &Data, file: impl Fn(u64) -> Option<FileFacts<'f>>) -> bool {
        let mut passes = self.filters.iter().map(|filter| filter.accepts(data, &file));
        if self.all || self.filters.is_empty() {
            passes.all(|passed| passed)
        } else {
            passes.any(|passed| passed)
        }
    }
}

impl Filter {
    fn read(value: &Value) -> Result<Self, FilterError> {
        const PLACE: &str = "data_filter.filters";
        let given = object(value, PLACE)?;
        known(given, PLACE, &["name", "type", "condition", "values", "fields", "all_fields", "all_files"])?;
        let option = |name| {
            let is_there = given.contains_key(name);
            boolean(given, PLACE, name, false).map(|value| is_there.then_some(value))
        };
        let mut filter = Self {
            name: text(given, PLACE, "name")?.to_owned(),
            kind: text(given, PLACE, "type")?.to_owned(),
            operator: text(given, PLACE, "condition")?.to_owned(),
            values: array(given, PLACE, "values")?.to_vec(),
            fields: given.contains_key("fields").then(|| read_fields(given, PLACE)).transpose()?,
            all_fields: option("all_fields")?,
            all_files: option("all_files")?,
        };
        if filter.values.is_empty() {
            return Err(DocumentError::wrong(PLACE, "values", "one value or more").into());
        }
        filter.check()?;
        filter.convert()?;
        Ok(filter)
    }

    fn check(&self) -> Result<(), FilterError> {
        let kind = self.kind.as_str();
        let valid = match kind {
            _ if STRING_TYPES.contains(&kind) => STRING_OPERATORS,
            _ if NUMBER_TYPES.contains(&kind) => NUMBER_OPERATORS,
            "boolean" => BOOLEAN_OPERATORS,
            _ if OBJECT_TYPES.contains(&kind) => OPERATORS,
            _ => return Err(FilterError::Kind(self.kind.clone())),
        };
        if !valid.contains(&self.operator.as_str()) {
            let (name, operator) = (self.name.clone(), self.operator.clone());
            return Err(FilterError::Operator { name, operator, valid });
        }
        let is_whole = OBJECT_OPERATORS.contains(&self.operator.as_str());
        if OBJECT_TYPES.contains(&kind) && !is_whole && self.fields.is_none() {
            return Err(FilterError::NoFields(self.name.clone()));
        }
        match &self.fields {
            Some(fields) if fields.len() != self.values.len() => Err(FilterError::Fields),
            _ => Ok(()),
        }
    }

    /// Makes numbers of values that are to be some.
    fn convert(&mut self) -> Result<(), FilterError> {
        let (expected, make): (_, fn(&Value) -> Option<Value>) = match self.kind.as_str() {
            "number" => ("float", to_number),
            "integer" => ("int", to_whole),
            _ => return Ok(()),
        };
        for value in &mut self.values {
            *value = make(value).ok_or_else(|| FilterError::Number {
                name: self.name.clone(),
                expected,
                found: value.to_string(),
            })?;
        }
        Ok(())
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "name": self.name,
            "type": self.kind,
            "condition": self.operator,
            "values": self.values,
        });
        let more = [
            ("fields", self.fields.as_ref().map(|fields| json!(fields))),
            ("all_fields", self.all_fields.map(Value::from)),
            ("all_files", self.all_files.map(Value::from)),
        ];
        if let Value::Object(object) = &mut value {
            let more = more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            object.extend(more);
        }
        value
    }

    fn accepts<'f>(&self, data: &Data, file: &impl Fn(u64) -> Option<FileFacts<'f>>) -> bool {
        if !FILE_TYPES.contains(&self.kind.as_str()) {
            return data.json.get(&self.name).is_some_and(|value| self.takes(value));
        }
        let Some(ids) = data.files.get(&self.name) else { return false };
        let Some(files) = ids.iter().map(|id| file(*id)).collect::<Option<Vec<_>>>() else { return false };
        if self.kind == "meta-data" {
            let take = |facts: &FileFacts<'_>| self.takes(&Value::Object(facts.metadata.clone()));
            return if self.all_files == Some(true) {
                files.iter().all(take)
            } else {
                files.iter().any(take)
            };
        }
        let texts: Vec<Value> = match self.kind.as_str() {
            "filename" => files.iter().map(|facts| facts.file_name.into()).collect(),
            "media-type" => files.iter().map(|facts| facts.media_type.into()).collect(),
            _ => files.iter().flat_map(|facts| facts.data_types).map(|tag| tag.as_str().into()).collect(),
        };
        let take = |text: &Value| self.compare(text, &self.values);
        let each = if self.all_files == Some(true) { texts.iter().all(take) } else { texts.iter().any(take) };
        each || (self.operator == "contains" && take(&Value::Array(texts.clone())))
    }

    fn takes(&self, value: &Value) -> bool {
        let Some(fields) = &self.fields else { return self.compare(value, &self.values) };
        let take = |(path, wanted): (&Vec<String>, &Value)| {
            let found = path.iter().try_fold(value, |value, key| value.get(key)).unwrap_or(&Value::Null);
            match wanted {
                Value::Array(wanted) => self.compare(found, wanted),
                wanted => self.compare(found, std::slice::from_ref(wanted)),
            }
        };
        let mut pairs = fields.iter().zip(&self.values);
        if self.all_fields.unwrap_or(true) { pairs.all(take) } else { pairs.any(take) }
    }

    fn compare(&self, value: &Value, wanted: &[Value]) -> bool {
        let Some(first) = wanted.first() else { return false };
        let order = || order_of(value, first);
        match self.operator.as_str() {
            "<" => order() == Some(Ordering::Less),
            "<=" => order().is_some_and(Ordering::is_le),
            ">" => order() == Some(Ordering::Greater),
            ">=" => order().is_some_and(Ordering::is_ge),
            "==" => is_equal(value, first),
            "!=" => !is_equal(value, first),
            "between" => {
                let upper = wanted.get(1).and_then(|upper| order_of(value, upper));
                order().is_some_and(Ordering::is_ge) && upper.is_some_and(Ordering::is_le)
            }
            "in" => wanted.iter().any(|wanted| is_equal(value, wanted)),
            "not in" => !wanted.iter().any(|wanted| is_equal(value, wanted)),
            "contains" => wanted.iter().any(|wanted| contains(value, wanted)),
            "subset of" => is_subset(value, first),
            "superset of" => is_subset(first, value),
            _ => false,
        }
    }
}

fn read_fields(given: &Map<String, Value>, place: &str) -> Result<Vec<Vec<String>>, DocumentError> {
    let paths = array(given, place, "fields")?.iter().map(|path| {
        let one: Map<String, Value> = std::iter::once(("fields".to_owned(), path.clone())).collect();
        names(&one, place, "fields")
    });
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    if paths.is_empty() || paths.iter().any(Vec::is_empty) {
        return Err(DocumentError::wrong(place, "fields", "paths of one key or more"));
    }
    Ok(paths)
}

fn takes(json_type: JsonType, kind: &str) -> bool {
    match json_type {
        JsonType::String => STRING_TYPES.contains(&kind),
        JsonType::Integer | JsonType::Number => NUMBER_TYPES.contains(&kind),
        JsonType::Boolean => kind == "boolean",
        JsonType::Object => kind == "object",
        JsonType::Array => false,
    }
}

fn to_number(value: &Value) -> Option<Value> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    serde_json::Number::from_f64(number).map(Value::Number)
}

fn to_whole(value: &Value) -> Option<Value> {
    if value.is_i64() || value.is_u64() {
        return Some(value.clone());
    }
    value.as_str().and_then(|text| text.trim().parse::<i64>().ok()).map(Value::from)
}

/// How two numbers or two texts stand to each other.
fn order_of(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(a), Value::Number(b)) => {
            let whole = |number: &serde_json::Number| {
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
            };
            match (whole(a), whole(b)) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
            }
        }
        _ => None,
    }
}

fn is_equal(left: &Value, right: &Value) -> bool {
    left == right || (left.is_number() && order_of(left, right) == Some(Ordering::Equal))
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => whole.contains(part.as_str()),
        (Value::Array(whole), part) => whole.iter().any(|value| is_equal(value, part)),
        (Value::Object(whole), Value::String(part)) => whole.contains_key(part),
        _ => false,
    }
}

fn is_subset(small: &Value, large: &Value) -> bool {
    let (Value::Object(small), Value::Object(large)) = (small, large) else { return false };
    small.iter().all(|(key, value)| large.get(key).is_some_and(|found| is_equal(found, value)))
}
