//! A recipe's definition: its input, its nodes, and what is connected to what.
//!
//! D1  A definition that was read has no circle, every reference in it was known, and every
//!     connection fits: whoever holds one need not check again.

use foldhash::{HashMap, HashSet};
use serde_json::{Map, Value, json};

use crate::limits::{RECIPE_BYTES_MAX, RECIPE_EDGES_MAX, RECIPE_NODES_MAX, REPROCESS_NODES_MAX};
use crate::model::{FileParameter, Interface, JsonParameter, JsonType};

use super::document::{DocumentError, array, boolean, known, names, object, text, whole};
use super::filter::{DataFilter, FilterError};
use super::find_cycle;

/// Dependencies that are followed, for all nodes together, to find what a node is connected to: what it depends
/// on itself takes none. Some tens of nanoseconds each.
const STEPS_MAX: usize = 50_000_000;

/// Recipes within recipes within recipes. Each level is a message chain of its own.
pub(crate) const SUB_RECIPE_DEPTH_MAX: u32 = 16;

/// What a definition refers to.
pub(crate) trait Lookup {
    /// Input and output of a revision of a job type.
    fn job_type(&self, name: &str, version: &str, revision: u32) -> Option<(Interface, Interface)>;
    /// Whether there is that job type: revisions are counted from 1.
    fn has_job_type(&self, name: &str, version: &str) -> bool {
        self.job_type(name, version, 1).is_some()
    }
    /// Input of a revision of a recipe type, and how large it is.
    fn recipe_type(&self, name: &str, revision: u32) -> Option<(Interface, Size)>;
}

/// How large a definition is, with all within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// How deep its sub-recipes go: 0 without any.
    pub(crate) depth: u32,
    /// Its nodes, and those of all within it.
    pub(crate) nodes: u64,
    /// Its sub-recipes, with those within them.
    pub(crate) recipes: u64,
}

impl Size {
    /// A node that is no recipe.
    const NODE: Self = Self { depth: 0, nodes: 1, recipes: 0 };

    /// Of a node that is a recipe of this size.
    const fn as_node(self) -> Self {
        Self {
            depth: self.depth.saturating_add(1),
            nodes: self.nodes.saturating_add(1),
            recipes: self.recipes.saturating_add(1),
        }
    }

    /// True where too much would be made of it at once.
    pub(crate) const fn is_too_large(self) -> bool {
        self.nodes > REPROCESS_NODES_MAX as u64
    }

    /// With one node more.
    fn with(self, node: Self) -> Self {
        Self {
            depth: self.depth.max(node.depth),
            nodes: self.nodes.saturating_add(node.nodes),
            recipes: self.recipes.saturating_add(node.recipes),
        }
    }
}

/// Where a value of a node's input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// From the recipe's input of that name.
    Recipe { input: String },
    /// From the output of that name of a node before it, not always its parent.
    Dependency { node: String, output: String },
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeKind {
    Job { name: String, version: String, revision: u32 },
    Recipe { name: String, revision: u32 },
    Condition { interface: Interface, filter: DataFilter },
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    /// Places of the nodes it waits for, each with the verdict waited for; each once.
    pub(crate) parents: Vec<(u32, bool)>,
    /// By the name of the node's parameter.
    pub(crate) connections: Vec<(String, Connection)>,
    pub(crate) kind: NodeKind,
}

/// A definition that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    input: Interface,
    nodes: Vec<Node>,
    /// Where each node stands, by name.
    places: HashMap<String, u32>,
    warnings: Vec<Warning>,
    size: Size,
}

/// Something that may go wrong later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) name: &'static str,
    pub(crate) description: String,
}

/// Why a definition is not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum DefinitionError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("Node '{node}': {error}")]
    Filter { node: String, error: FilterError },
    #[error("Duplicate parameter '{0}'")]
    DuplicateParameter(String),
    #[error("The definition has {n} bytes, {RECIPE_BYTES_MAX} at most")]
    TooLong { n: usize },
    #[error("The definition has {n} nodes, {RECIPE_NODES_MAX} at most")]
    TooManyNodes { n: usize },
    #[error("The definition has {n} nodes with those of its sub-recipes, {REPROCESS_NODES_MAX} at most")]
    TooManyWithin { n: u64 },
    #[error("The definition has {n} dependencies, {RECIPE_EDGES_MAX} at most")]
    TooManyEdges { n: usize },
    #[error("Its connections are too far from the nodes that they lead to: depend on those directly")]
    TooFar,
    #[error("Node '{node}' is {depth} sub-recipes deep, {SUB_RECIPE_DEPTH_MAX} at most")]
    TooDeep { node: String, depth: u32 },
    #[error("Node '{0}' is not defined")]
    UnknownNode(String),
    #[error("Recipe input '{0}' is not defined")]
    UnknownInput(String),
    #[error("Recipe node '{0}' has a circular dependency on itself")]
    Circle(String),
    #[error(
        "Recipe definition contains a job type that does not exist: {what} matching query does not exist."
    )]
    UnknownJobType { what: &'static str },
    #[error("Recipe definition contains a sub recipe type that does not exist: {name} revision {revision}")]
    UnknownRecipeType { name: String, revision: u32 },
    #[error("Node '{0}' cannot have a connection to a recipe node")]
    ConnectionToRecipe(String),
    #[error("input '{parameter}' is missing for {node}")]
    MissingInput { node: String, parameter: String },
    #[error("Node '{node}' interface error: {error}")]
    Interface { node: String, error: ConnectionError },
}

/// Why an interface cannot be given to another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("Input {input} cannot be connected to output {output}; no output exists with that name")]
    UnknownOutput { input: String, output: String },
    #[error("Cannot get output '{output}' without dependency on node '{node}'")]
    NoDependency { output: String, node: String },
    #[error("Parameter '{0}' is required")]
    Required(String),
    #[error("Parameter '{0}' is required and cannot accept an optional value")]
    Optional(String),
    #[error("Parameter '{name}' of type '{takes}' cannot accept type '{gives}'")]
    Kind { name: String, takes: &'static str, gives: &'static str },
    #[error("Parameter '{name}' of JSON type '{takes}' cannot accept JSON type '{gives}'")]
    JsonKind { name: String, takes: &'static str, gives: &'static str },
    #[error("Parameter '{0}' cannot accept multiple files")]
    Multiple(String),
}

impl DefinitionError {
    /// The short name of the error, for programs.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Document(_)
            | Self::TooLong { .. }
            | Self::TooManyNodes { .. }
            | Self::TooManyWithin { .. }
            | Self::TooManyEdges { .. }
            | Self::TooFar
            | Self::TooDeep { .. } => "INVALID_DEFINITION",
            Self::Filter { .. } => "INVALID_DATA_FILTER",
            Self::DuplicateParameter(_) => "INPUT_INTERFACE",
            Self::UnknownNode(_) => "UNKNOWN_NODE",
            Self::UnknownInput(_) => "UNKNOWN_INPUT",
            Self::Circle(_) => "CIRCULAR_DEPENDENCY",
            Self::UnknownJobType { .. } => "JOB_TYPE_DOES_NOT_EXIST",
            Self::UnknownRecipeType { .. } => "RECIPE_TYPE_DOES_NOT_EXIST",
            Self::ConnectionToRecipe(_) => "CONNECTION_INVALID_NODE",
            Self::MissingInput { .. } | Self::Interface { .. } => "NODE_INTERFACE",
        }
    }
}

impl Definition {
    /// Reads and checks a definition.
    pub(crate) fn read(value: &Value, lookup: &impl Lookup) -> Result<Self, DefinitionError> {
        let definition = Self::on_record(value, lookup)?;
        if definition.size.is_too_large() {
            return Err(DefinitionError::TooManyWithin { n: definition.size.nodes });
        }
        Ok(definition)
    }

    /// The same for one that was taken before. It may be larger with all within it than one that is new.
    pub(crate) fn on_record(value: &Value, lookup: &impl Lookup) -> Result<Self, DefinitionError> {
        let n_bytes = value.to_string().len();
        if n_bytes > RECIPE_BYTES_MAX {
            return Err(DefinitionError::TooLong { n: n_bytes });
        }
        let document = object(value, "definition")?;
        known(document, "definition", &["version", "input", "nodes"])?;
        let input = document.get("input").map_or(Ok(Interface::default()), read_interface)?;
        let empty = Map::new();
        let stated = document.get("nodes").map_or(Ok(&empty), |nodes| object(nodes, "nodes"))?;
        if stated.len() > RECIPE_NODES_MAX {
            return Err(DefinitionError::TooManyNodes { n: stated.len() });
        }
        let places: HashMap<&str, u32> = stated.keys().map(String::as_str).zip(0..).collect();
        let nodes = stated
            .iter()
            .map(|(name, node)| read_node(name, node, &places))
            .collect::<Result<Vec<_>, _>>()?;
        let n = nodes.iter().map(|node| node.parents.len()).sum();
        if n > RECIPE_EDGES_MAX {
            return Err(DefinitionError::TooManyEdges { n });
        }
        let places = places.into_iter().map(|(name, place)| (name.to_owned(), place)).collect();
        let mut definition = Self { input, nodes, places, warnings: Vec::new(), size: Size::default() };
        definition.check_circles()?;
        definition.check_references(lookup)?;
        Ok(definition)
    }

    /// What the recipe takes.
    pub(crate) fn input(&self) -> &Interface {
        &self.input
    }

    /// The nodes as stated. A node's place here is what [`super::Plan`] calls it by.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of that name, and its place.
    pub(crate) fn node(&self, name: &str) -> Option<(u32, &Node)> {
        let place = *self.places.get(name)?;
        Some((place, self.nodes.get(place as usize)?))
    }

    /// What may go wrong later.
    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// How large it is.
    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// As a document, with everything filled in that may be left out.
    pub(crate) fn to_value(&self) -> Value {
        let nodes: Map<String, Value> =
            self.nodes.iter().map(|node| (node.name.clone(), self.node_to_value(node))).collect();
        json!({ "input": interface_to_value(&self.input), "nodes": nodes })
    }

    fn node_to_value(&self, node: &Node) -> Value {
        let dependencies: Vec<Value> = node
            .parents
            .iter()
            .map(
                |&(at, acceptance)| json!({ "name": self.nodes[at as usize].name, "acceptance": acceptance }),
            )
            .collect();
        let input: Map<String, Value> =
            node.connections.iter().map(|(name, connection)| (name.clone(), connection.to_value())).collect();
        json!({ "dependencies": dependencies, "input": input, "node_type": node.kind.to_value() })
    }

    fn check_circles(&self) -> Result<(), DefinitionError> {
        let parents: Vec<Vec<u32>> =
            self.nodes.iter().map(|node| node.parents.iter().map(|&(at, _)| at).collect()).collect();
        let Some(circle) = find_cycle(&parents) else { return Ok(()) };
        let first = circle.iter().map(|&at| &self.nodes[at].name).min();
        Err(DefinitionError::Circle(first.cloned().unwrap_or_default()))
    }

    fn check_references(&mut self, lookup: &impl Lookup) -> Result<(), DefinitionError> {
        let mut interfaces = Vec::with_capacity(self.nodes.len());
        // Most nodes of a large recipe are of few types.
        let mut known: HashMap<(&str, &str, u32), (Interface, Interface, Size)> = HashMap::default();
        for node in &self.nodes {
            let key = match &node.kind {
                NodeKind::Job { name, version, revision } => {
                    Some((name.as_str(), version.as_str(), *revision))
                }
                _ => None,
            };
            let (input, output, size) = match key.and_then(|key| known.get(&key)) {
                Some(found) => found.clone(),
                None => interfaces_of(node, lookup)?,
            };
            if let Some(key) = key {
                known.entry(key).or_insert_with(|| (input.clone(), output.clone(), size));
            }
            if size.depth > SUB_RECIPE_DEPTH_MAX {
                return Err(DefinitionError::TooDeep { node: node.name.clone(), depth: size.depth });
            }
            self.size = self.size.with(size);
            interfaces.push((input, output));
        }
        let (mut warnings, mut steps) = (Vec::new(), 0);
        for (at, node) in self.nodes.iter().enumerate() {
            let given = self.given_to(at, &interfaces, &mut steps)?;
            let found = check_connection(&interfaces[at].0, &given).map_err(|error| match error {
                ConnectionError::Required(parameter) => {
                    DefinitionError::MissingInput { node: node.name.clone(), parameter }
                }
                error => DefinitionError::Interface { node: node.name.clone(), error },
            })?;
            warnings.extend(found);
        }
        self.warnings = warnings;
        Ok(())
    }

    /// What the connections of a node give it, under the names of its parameters.
    fn given_to(
        &self,
        at: usize,
        interfaces: &[(Interface, Interface)],
        steps: &mut usize,
    ) -> Result<Interface, DefinitionError> {
        let node = &self.nodes[at];
        let mut ancestors: Option<HashSet<u32>> = None;
        let mut given = Interface::default();
        for (name, connection) in &node.connections {
            match connection {
                Connection::Recipe { input } => {
                    if !add_renamed(&mut given, &self.input, input, name) {
                        return Err(DefinitionError::UnknownInput(input.clone()));
                    }
                }
                Connection::Dependency { node: from, output } => {
                    let Some(&place) = self.places.get(from.as_str()) else {
                        return Err(DefinitionError::UnknownNode(from.clone()));
                    };
                    if matches!(self.nodes[place as usize].kind, NodeKind::Recipe { .. }) {
                        return Err(DefinitionError::ConnectionToRecipe(node.name.clone()));
                    }
                    let wrong = |error| DefinitionError::Interface { node: node.name.clone(), error };
                    let is_parent = node.parents.iter().any(|&(parent, _)| parent == place);
                    if !is_parent && ancestors.is_none() {
                        ancestors = Some(self.ancestors(at, steps)?);
                    }
                    if !is_parent && !ancestors.as_ref().is_some_and(|all| all.contains(&place)) {
                        let (output, node) = (output.clone(), from.clone());
                        return Err(wrong(ConnectionError::NoDependency { output, node }));
                    }
                    if !add_renamed(&mut given, &interfaces[place as usize].1, output, name) {
                        let (input, output) = (name.clone(), output.clone());
                        return Err(wrong(ConnectionError::UnknownOutput { input, output }));
                    }
                }
            }
        }
        Ok(given)
    }

    fn ancestors(&self, at: usize, steps: &mut usize) -> Result<HashSet<u32>, DefinitionError> {
        let mut found = HashSet::default();
        let mut stack = vec![at];
        while let Some(next) = stack.pop() {
            *steps += self.nodes[next].parents.len();
            if *steps > STEPS_MAX {
                return Err(DefinitionError::TooFar);
            }
            for &(parent, _) in &self.nodes[next].parents {
                if found.insert(parent) {
                    stack.push(parent as usize);
                }
            }
        }
        Ok(found)
    }
}

impl Connection {
    fn to_value(&self) -> Value {
        match self {
            Self::Recipe { input } => json!({ "type": "recipe", "input": input }),
            Self::Dependency { node, output } => {
                json!({ "type": "dependency", "node": node, "output": output })
            }
        }
    }
}

impl NodeKind {
    /// The word for it in documents.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Job { .. } => "job",
            Self::Recipe { .. } => "recipe",
            Self::Condition { .. } => "condition",
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Job { name, version, revision } => json!({
                "node_type": "job",
                "job_type_name": name,
                "job_type_version": version,
                "job_type_revision": revision,
            }),
            Self::Recipe { name, revision } => json!({
                "node_type": "recipe",
                "recipe_type_name": name,
                "recipe_type_revision": revision,
            }),
            Self::Condition { interface, filter } => json!({
                "node_type": "condition",
                "interface": interface_to_value(interface),
                "data_filter": filter.to_value(),
            }),
        }
    }
}

fn read_node(name: &str, value: &Value, places: &HashMap<&str, u32>) -> Result<Node, DefinitionError> {
    let place = format!("nodes.{name}");
    let node = object(value, &place)?;
    known(node, &place, &["dependencies", "input", "node_type"])?;
    let mut parents: Vec<(u32, bool)> = Vec::new();
    let mut seen: HashMap<u32, usize> = HashMap::default();
    for (at, dependency) in array(node, &place, "dependencies")?.iter().enumerate() {
        let place = format!("dependencies.{at}");
        let dependency = object(dependency, &place)?;
        known(dependency, &place, &["name", "acceptance"])?;
        let parent = text(dependency, &place, "name")?;
        let acceptance = boolean(dependency, &place, "acceptance", true)?;
        let &at = places.get(parent).ok_or_else(|| DefinitionError::UnknownNode(parent.to_owned()))?;
        // Stated twice, the last one counts.
        let index = *seen.entry(at).or_insert(parents.len());
        if index == parents.len() { parents.push((at, acceptance)) } else { parents[index].1 = acceptance }
    }
    let input = node.get("input").ok_or_else(|| DocumentError::missing(&place, "input"))?;
    let connections = object(input, &place)?
        .iter()
        .map(|(name, value)| Ok((name.clone(), read_connection(value, &format!("input.{name}"))?)))
        .collect::<Result<_, DocumentError>>()?;
    let kind = node.get("node_type").ok_or_else(|| DocumentError::missing(&place, "node_type"))?;
    let kind = read_kind(name, kind, &format!("{name}.node_type"))?;
    Ok(Node { name: name.to_owned(), parents, connections, kind })
}

fn read_connection(value: &Value, place: &str) -> Result<Connection, DocumentError> {
    let fields = object(value, place)?;
    let own = |field| text(fields, place, field).map(str::to_owned);
    match text(fields, place, "type")? {
        "recipe" => {
            known(fields, place, &["type", "input"])?;
            Ok(Connection::Recipe { input: own("input")? })
        }
        "dependency" => {
            known(fields, place, &["type", "node", "output"])?;
            Ok(Connection::Dependency { node: own("node")?, output: own("output")? })
        }
        _ => Err(DocumentError::wrong(place, "type", "`recipe` or `dependency`")),
    }
}

fn read_kind(name: &str, value: &Value, place: &str) -> Result<NodeKind, DefinitionError> {
    let fields = object(value, place)?;
    let own = |field| text(fields, place, field).map(str::to_owned);
    match text(fields, place, "node_type")? {
        "job" => {
            known(fields, place, &["node_type", "job_type_name", "job_type_version", "job_type_revision"])?;
            Ok(NodeKind::Job {
                name: own("job_type_name")?,
                version: own("job_type_version")?,
                revision: whole(fields, place, "job_type_revision")?,
            })
        }
        "recipe" => {
            known(fields, place, &["node_type", "recipe_type_name", "recipe_type_revision"])?;
            Ok(NodeKind::Recipe {
                name: own("recipe_type_name")?,
                revision: whole(fields, place, "recipe_type_revision")?,
            })
        }
        "condition" => {
            known(fields, place, &["node_type", "interface", "data_filter"])?;
            let part = |field| fields.get(field).ok_or_else(|| DocumentError::missing(place, field));
            let interface = read_interface(part("interface")?)?;
            let wrong = |error| DefinitionError::Filter { node: name.to_owned(), error };
            let filter = DataFilter::read(part("data_filter")?).map_err(wrong)?;
            filter.check(&interface).map_err(wrong)?;
            Ok(NodeKind::Condition { interface, filter })
        }
        _ => Err(DocumentError::wrong(place, "node_type", "`job`, `recipe` or `condition`").into()),
    }
}

/// Where a file and a value of an interface stand.
const FILES: &str = "files.";
const JSON: &str = "json.";

/// Reads an interface: what may be left out is filled in.
pub(crate) fn read_interface(value: &Value) -> Result<Interface, DefinitionError> {
    let fields = object(value, "input")?;
    known(fields, "input", &["version", "files", "json"])?;
    let mut interface = Interface::default();
    let mut seen = HashSet::default();
    for file in optional_array(fields, "files")? {
        let file = object(file, FILES)?;
        known(file, FILES, &["name", "media_types", "required", "multiple"])?;
        let mut parameter = FileParameter::new(parameter_name(file, FILES, &mut seen)?);
        parameter.is_required = boolean(file, FILES, "required", true)?;
        parameter.is_multiple = boolean(file, FILES, "multiple", false)?;
        parameter.media_types = names(file, FILES, "media_types")?;
        interface.files.push(parameter);
    }
    for value in optional_array(fields, "json")? {
        let value = object(value, JSON)?;
        known(value, JSON, &["name", "type", "required"])?;
        let kind = JsonType::of(text(value, JSON, "type")?)
            .ok_or_else(|| DocumentError::wrong(JSON, "type", "a JSON type"))?;
        let mut parameter = JsonParameter::new(parameter_name(value, JSON, &mut seen)?, kind);
        parameter.is_required = boolean(value, JSON, "required", true)?;
        interface.json.push(parameter);
    }
    Ok(interface)
}

fn optional_array<'v>(fields: &'v Map<String, Value>, field: &str) -> Result<&'v [Value], DocumentError> {
    if fields.contains_key(field) { array(fields, "input", field) } else { Ok(&[]) }
}

fn parameter_name<'v>(
    fields: &'v Map<String, Value>,
    place: &str,
    seen: &mut HashSet<&'v str>,
) -> Result<&'v str, DefinitionError> {
    let name = text(fields, place, "name")?;
    let is_fine = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(is_fine) {
        return Err(DocumentError::wrong(place, "name", "made of letters, `_` and `-`").into());
    }
    if !seen.insert(name) {
        return Err(DefinitionError::DuplicateParameter(name.to_owned()));
    }
    Ok(name)
}

/// An interface as a document, with everything filled in.
pub(crate) fn interface_to_value(interface: &Interface) -> Value {
    let files: Vec<Value> = interface
        .files
        .iter()
        .map(|file| {
            json!({
                "name": file.name,
                "media_types": file.media_types,
                "required": file.is_required,
                "multiple": file.is_multiple,
            })
        })
        .collect();
    let json: Vec<Value> = interface
        .json
        .iter()
        .map(|value| {
            json!({ "name": value.name, "type": value.json_type.as_str(), "required": value.is_required })
        })
        .collect();
    json!({ "files": files, "json": json })
}

/// Input, output and size of what a node is.
fn interfaces_of(node: &Node, lookup: &impl Lookup) -> Result<(Interface, Interface, Size), DefinitionError> {
    match &node.kind {
        NodeKind::Job { name, version, revision } => lookup
            .job_type(name, version, *revision)
            .map(|(input, output)| (input, output, Size::NODE))
            .ok_or_else(|| DefinitionError::UnknownJobType {
                what: if lookup.has_job_type(name, version) { "JobTypeRevision" } else { "JobType" },
            }),
        NodeKind::Recipe { name, revision } => lookup
            .recipe_type(name, *revision)
            .map(|(input, size)| (input, Interface::default(), size.as_node()))
            .ok_or_else(|| DefinitionError::UnknownRecipeType { name: name.clone(), revision: *revision }),
        NodeKind::Condition { interface, filter } => {
            let mut output = interface.clone();
            filter.require(&mut output);
            Ok((interface.clone(), output, Size::NODE))
        }
    }
}

/// Adds the parameter `from` of another interface under a new name; false without such a one.
fn add_renamed(to: &mut Interface, other: &Interface, from: &str, name: &str) -> bool {
    if let Some(file) = other.files.iter().find(|file| file.name == from) {
        to.files.push(FileParameter { name: name.to_owned(), ..file.clone() });
        return true;
    }
    let Some(value) = other.json.iter().find(|value| value.name == from) else { return false };
    to.json.push(JsonParameter { name: name.to_owned(), ..value.clone() });
    true
}

/// Whether `takes` can be given what `gives` holds; what may go wrong all the same.
pub(crate) fn check_connection(
    takes: &Interface,
    gives: &Interface,
) -> Result<Vec<Warning>, ConnectionError> {
    let mut warnings = Vec::new();
    for file in &takes.files {
        let Some(given) = gives.files.iter().find(|given| given.name == file.name) else {
            let is_other = gives.json.iter().any(|given| given.name == file.name);
            check_absence(&file.name, file.is_required, is_other, "file", "json")?;
            continue;
        };
        check_required(&file.name, file.is_required, given.is_required)?;
        if given.is_multiple && !file.is_multiple {
            return Err(ConnectionError::Multiple(file.name.clone()));
        }
        warnings.extend(media_types_warning(file, given));
    }
    for value in &takes.json {
        let Some(given) = gives.json.iter().find(|given| given.name == value.name) else {
            let is_other = gives.files.iter().any(|given| given.name == value.name);
            check_absence(&value.name, value.is_required, is_other, "json", "file")?;
            continue;
        };
        check_required(&value.name, value.is_required, given.is_required)?;
        if given.json_type != value.json_type {
            return Err(ConnectionError::JsonKind {
                name: value.name.clone(),
                takes: value.json_type.as_str(),
                gives: given.json_type.as_str(),
            });
        }
    }
    Ok(warnings)
}

fn check_absence(
    name: &str,
    is_required: bool,
    is_other: bool,
    takes: &'static str,
    gives: &'static str,
) -> Result<(), ConnectionError> {
    let name = name.to_owned();
    match (is_other, is_required) {
        (true, _) => Err(ConnectionError::Kind { name, takes, gives }),
        (false, true) => Err(ConnectionError::Required(name)),
        (false, false) => Ok(()),
    }
}

fn check_required(name: &str, is_required: bool, is_given: bool) -> Result<(), ConnectionError> {
    if is_required && !is_given { Err(ConnectionError::Optional(name.to_owned())) } else { Ok(()) }
}

fn media_types_warning(takes: &FileParameter, gives: &FileParameter) -> Option<Warning> {
    let others: Vec<&str> = gives
        .media_types
        .iter()
        .filter(|kind| !takes.media_types.contains(kind))
        .map(String::as_str)
        .collect();
    let description = format!("Parameter '{}' might not accept [{}]", takes.name, others.join(", "));
    (!others.is_empty()).then_some(Warning { name: "MISMATCHED_MEDIA_TYPES", description })
}
