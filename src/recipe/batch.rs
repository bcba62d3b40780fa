//! What a batch is made of, and how: its documents, read.
//!
//! # Source
//! Scale's definition and configuration of batches, version 7.

use serde_json::{Map, Value, json};

use super::ForcedNodes;
use super::document::{DocumentError, array, boolean, known, object, text};
use super::reprocess::ForcedNodesError;

/// Versions of the documents that are read; both are of the same form.
const VERSIONS: &[&str] = &["6", "7"];

/// Names that the parameters of a data set are given: more than an interface has.
const INPUT_MAP_MAX: usize = 1_000;

/// Why a document of a batch is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchDocumentError {
    #[error("{0} is an unsupported version number")]
    Version(String),
    #[error("{0}")]
    Document(#[from] DocumentError),
    #[error("{0}")]
    ForcedNodes(#[from] ForcedNodesError),
}

/// Where the recipes of a batch come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchDefinition {
    /// A data set: a recipe for each of its members.
    pub(crate) dataset: Option<u64>,
    /// The first of a chain of batches: the newest one's recipes are made anew.
    pub(crate) root_batch: Option<u64>,
    /// What is run again of recipes that are made anew.
    pub(crate) forced_nodes: Option<Value>,
    /// Whether recipes over the same files are made anew instead; none: nothing was said.
    pub(crate) supersedes: Option<bool>,
}

/// How a batch is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchConfiguration {
    /// Of its jobs in the queue.
    pub(crate) priority: Option<i32>,
    /// Names of the recipe's input, each with the parameter of the data set that it stands for.
    pub(crate) input_map: Option<Vec<(String, String)>>,
}

fn check_version(fields: &Map<String, Value>, place: &str) -> Result<(), BatchDocumentError> {
    match fields.get("version") {
        None => Ok(()),
        Some(Value::String(version)) if VERSIONS.contains(&version.as_str()) => Ok(()),
        Some(Value::String(version)) => Err(BatchDocumentError::Version(version.clone())),
        Some(_) => Err(DocumentError::wrong(place, "version", "a string").into()),
    }
}

fn id(fields: &Map<String, Value>, place: &str, name: &str) -> Result<Option<u64>, DocumentError> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    value.as_u64().map(Some).ok_or_else(|| DocumentError::wrong(place, name, "a whole number"))
}

fn forced_nodes(fields: &Map<String, Value>) -> Result<Option<Value>, BatchDocumentError> {
    let Some(value) = fields.get("forced_nodes") else { return Ok(None) };
    // Without any member nothing is forced.
    if value.as_object().is_some_and(Map::is_empty) {
        return Ok(Some(shown(&ForcedNodes::NONE)));
    }
    Ok(Some(shown(&ForcedNodes::read(value)?)))
}

/// Forced nodes as a document. A sub-recipe in which something is forced is forced itself.
fn shown(forced: &ForcedNodes) -> Value {
    let ForcedNodes::Some { nodes, sub_recipes } = forced else {
        return json!({ "version": "7", "all": true });
    };
    let mut fields = json!({ "version": "7", "all": false });
    let within = sub_recipes.iter().map(|(name, _)| name).filter(|name| !nodes.contains(name));
    let nodes: Vec<&String> = nodes.iter().chain(within).collect();
    if !nodes.is_empty() {
        fields["nodes"] = json!(nodes);
    }
    if !sub_recipes.is_empty() {
        let within = sub_recipes.iter().map(|(name, forced)| (name.clone(), shown(forced)));
        fields["sub_recipes"] = Value::Object(within.collect());
    }
    fields
}

impl BatchDefinition {
    pub(crate) fn read(value: &Value) -> Result<Self, BatchDocumentError> {
        const PLACE: &str = "definition";
        let fields = object(value, PLACE)?;
        known(fields, PLACE, &["version", "supersedes", "dataset", "forced_nodes", "previous_batch"])?;
        check_version(fields, PLACE)?;
        let mut read = Self {
            dataset: id(fields, PLACE, "dataset")?,
            forced_nodes: forced_nodes(fields)?,
            ..Self::default()
        };
        if fields.contains_key("supersedes") {
            read.supersedes = Some(boolean(fields, PLACE, "supersedes", true)?);
        }
        if let Some(previous) = fields.get("previous_batch") {
            const PLACE: &str = "definition.previous_batch";
            let fields = object(previous, PLACE)?;
            known(fields, PLACE, &["root_batch_id", "forced_nodes"])?;
            read.root_batch = id(fields, PLACE, "root_batch_id")?;
            if read.root_batch.is_none() {
                return Err(DocumentError::missing(PLACE, "root_batch_id").into());
            }
            read.forced_nodes = forced_nodes(fields)?.or(read.forced_nodes);
        }
        Ok(read)
    }

    /// As a document, with everything filled in.
    pub(crate) fn to_value(&self) -> Value {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if let Some(root) = self.root_batch {
            let mut previous = json!({ "root_batch_id": root });
            if let Some(forced) = &self.forced_nodes {
                previous["forced_nodes"] = forced.clone();
            }
            put("previous_batch", previous);
        }
        if let Some(dataset) = self.dataset {
            put("dataset", dataset.into());
        }
        put("supersedes", self.supersedes.unwrap_or(true).into());
        if let Some(forced) = &self.forced_nodes {
            put("forced_nodes", forced.clone());
        }
        Value::Object(fields)
    }
}

impl BatchConfiguration {
    pub(crate) fn read(value: &Value) -> Result<Self, BatchDocumentError> {
        const PLACE: &str = "configuration";
        if value.is_null() {
            return Ok(Self::default());
        }
        let fields = object(value, PLACE)?;
        known(fields, PLACE, &["version", "priority", "inputMap"])?;
        check_version(fields, PLACE)?;
        let priority =
            match fields.get("priority") {
                None => None,
                Some(value) => {
                    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
                    Some(number.ok_or_else(|| {
                        DocumentError::wrong(PLACE, "priority", "a whole number of 32 bits")
                    })?)
                }
            };
        let input_map = fields.contains_key("inputMap").then(|| read_map(fields)).transpose()?;
        Ok(Self { priority, input_map })
    }

    /// As a document.
    pub(crate) fn to_value(&self) -> Value {
        let mut fields = Map::new();
        if let Some(priority) = self.priority {
            fields.insert("priority".to_owned(), priority.into());
        }
        if let Some(map) = &self.input_map {
            let map = map.iter().map(|(input, from)| json!({ "input": input, "datasetParameter": from }));
            fields.insert("inputMap".to_owned(), map.collect());
        }
        Value::Object(fields)
    }

    /// The input of the recipe that a parameter of the data set is for.
    pub(crate) fn input_for<'n>(&'n self, parameter: &'n str) -> &'n str {
        let map = self.input_map.iter().flatten();
        map.clone().find(|(_, from)| from == parameter).map_or(parameter, |(input, _)| input)
    }
}

fn read_map(fields: &Map<String, Value>) -> Result<Vec<(String, String)>, DocumentError> {
    const PLACE: &str = "configuration.inputMap";
    let stated = array(fields, "configuration", "inputMap")?;
    if stated.is_empty() || stated.len() > INPUT_MAP_MAX {
        return Err(DocumentError::wrong(
            "configuration",
            "inputMap",
            "one entry or more, a thousand at most",
        ));
    }
    let entry = |value: &Value| {
        let fields = object(value, PLACE)?;
        let own = |name| text(fields, PLACE, name).map(str::to_owned);
        Ok((own("input")?, own("datasetParameter")?))
    };
    stated.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_shown_with_what_it_means() {
        let check = |given: Value, shown: Value| {
            let read = BatchDefinition::read(&given).unwrap_or_else(|error| panic!("{given}: {error}"));
            assert_eq!(read.to_value(), shown);
            assert_eq!(BatchDefinition::read(&shown).map(|read| read.to_value()), Ok(shown));
        };
        check(json!({ "version": "7", "dataset": 3 }), json!({ "dataset": 3, "supersedes": true }));
        check(json!({ "dataset": 3, "supersedes": false }), json!({ "dataset": 3, "supersedes": false }));
        let forced = json!({ "version": "7", "all": false, "nodes": ["a"] });
        check(
            json!({ "previous_batch": { "root_batch_id": 5, "forced_nodes": forced } }),
            json!({ "previous_batch": { "root_batch_id": 5, "forced_nodes": forced }, "supersedes": true,
                "forced_nodes": forced }),
        );
        let configuration = json!({ "priority": 0, "inputMap": [{ "input": "A", "datasetParameter": "B" }] });
        let read = BatchConfiguration::read(&configuration).expect("a configuration");
        assert_eq!((read.priority, read.input_for("B"), read.input_for("C")), (Some(0), "A", "C"));
        assert_eq!(read.to_value(), configuration);
    }

    #[test]
    fn other_documents_are_refused() {
        for bad in [
            json!([]),
            json!({ "more": 1 }),
            json!({ "version": "5" }),
            json!({ "dataset": "3" }),
            json!({ "dataset": -1 }),
            json!({ "supersedes": 1 }),
            json!({ "previous_batch": {} }),
            json!({ "forced_nodes": { "nodes": ["a"] } }),
        ] {
            assert!(BatchDefinition::read(&bad).is_err(), "{bad}");
        }
        for bad in [
            json!([]),
            json!({ "more": 1 }),
            json!({ "priority": "9" }),
            json!({ "priority": 1.5 }),
            json!({ "priority": 1_u64 << 31 }),
            json!({ "inputMap": [] }),
            json!({ "inputMap": [{ "input": "A" }] }),
        ] {
            assert!(BatchConfiguration::read(&bad).is_err(), "{bad}");
        }
    }
}
