//! Reprocessing: what of a recipe is kept, done again or given up when it is made anew.
//!
//! P1  A node is CHANGED if its own type, dependencies or connections are others, or a parent is CHANGED.
//! P2  What hangs on a forced node is forced too.
//! P3  Nothing is to be done with any node where the old input cannot be given to the new recipe.

use foldhash::{HashMap, HashSet};
use serde_json::{Map, Value};

use super::Plan;
use super::definition::{
    Connection, ConnectionError, Definition, Node, NodeKind, SUB_RECIPE_DEPTH_MAX, check_connection,
};
use super::document::{DocumentError, boolean, known, names, object};

/// Which nodes are to be done again even if they are unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForcedNodes {
    All,
    /// Names of nodes, of sub-recipes with what is forced in them.
    Some {
        nodes: Vec<String>,
        sub_recipes: Vec<(String, ForcedNodes)>,
    },
}

/// Why forced nodes are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForcedNodesError {
    #[error("Invalid forced nodes: {0}")]
    Document(#[from] DocumentError),
    #[error("Invalid forced nodes: more than {SUB_RECIPE_DEPTH_MAX} sub-recipes deep")]
    TooDeep,
    #[error("Recipe definition does not have a top level node with name: {0}")]
    UnknownNode(String),
    #[error("Sub-recipe node {0} is not a recipe node")]
    NoSubRecipe(String),
}

/// How a node compares to the former definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiffStatus {
    Unchanged,
    Changed,
    New,
    Deleted,
}

/// A difference of a node: a short name for programs, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: &'static str,
    pub(crate) description: String,
}

/// What becomes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The recipe cannot be reprocessed.
    Nothing,
    /// The new recipe takes over the old node.
    Copy,
    /// A node is made where none was.
    Create,
    /// The old node is superseded and canceled; a new one is made.
    Replace,
    /// As before, and all within the old sub-recipe is superseded too.
    ReplaceAll,
    /// The sub-recipes are compared in turn: some of the old one may be kept.
    Recurse,
    /// The old node is superseded and canceled, what it made unpublished.
    Delete,
}

/// A node in a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeDiff {
    pub(crate) name: String,
    pub(crate) status: DiffStatus,
    pub(crate) is_forced: bool,
    pub(crate) changes: Vec<Change>,
    /// What kind it was, if that changed.
    pub(crate) previous_kind: Option<&'static str>,
    pub(crate) fate: Fate,
    /// For a sub-recipe that is forced: what is forced in it.
    pub(crate) forced_within: Option<ForcedNodes>,
}

/// A comparison of definitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diff {
    /// Why the recipe cannot be reprocessed; `None`: it can.
    pub(crate) obstacle: Option<ConnectionError>,
    /// The nodes of the new definition as it states them, then the deleted ones.
    pub(crate) nodes: Vec<NodeDiff>,
}

impl ForcedNodes {
    /// Nothing forced.
    pub(crate) const NONE: Self = Self::Some { nodes: Vec::new(), sub_recipes: Vec::new() };

    /// Reads forced nodes; `all` must be there.
    pub(crate) fn read(value: &Value) -> Result<Self, ForcedNodesError> {
        Self::read_at(value, "forced_nodes", 0)
    }

    fn read_at(value: &Value, place: &str, depth: u32) -> Result<Self, ForcedNodesError> {
        if depth > SUB_RECIPE_DEPTH_MAX {
            return Err(ForcedNodesError::TooDeep);
        }
        let fields = object(value, place)?;
        known(fields, place, &["version", "all", "nodes", "sub_recipes"])?;
        if !fields.contains_key("all") {
            return Err(DocumentError::missing(place, "all").into());
        }
        let all = boolean(fields, place, "all", false)?;
        let nodes = names(fields, place, "nodes")?;
        let empty = Map::new();
        let stated = fields.get("sub_recipes").map_or(Ok(&empty), |value| object(value, place))?;
        let within = |(name, value): (&String, &Value)| {
            Ok((name.clone(), Self::read_at(value, &format!("{place}.{name}"), depth + 1)?))
        };
        let sub_recipes = stated.iter().map(within).collect::<Result<_, ForcedNodesError>>()?;
        Ok(if all { Self::All } else { Self::Some { nodes, sub_recipes } })
    }

    /// What names nodes here that are not of that definition, or not of the kind. What is within sub-recipes is
    /// not looked at.
    pub(crate) fn check(&self, definition: &Definition) -> Vec<ForcedNodesError> {
        let Self::Some { nodes, sub_recipes } = self else { return Vec::new() };
        let sub_recipes: Vec<&String> = sub_recipes.iter().map(|(name, _)| name).collect();
        // A sub-recipe is named as a node too, and is looked at as both.
        let named =
            nodes.iter().filter(|name| !sub_recipes.contains(name)).chain(sub_recipes.iter().copied());
        let unknown = |name: &&String| definition.node(name).is_none();
        let as_nodes = named.filter(unknown).map(|name| ForcedNodesError::UnknownNode(name.clone()));
        let as_sub_recipes = sub_recipes.iter().filter_map(|name| match definition.node(name) {
            None => Some(ForcedNodesError::UnknownNode((*name).clone())),
            Some((_, Node { kind: NodeKind::Recipe { .. }, .. })) => None,
            Some(_) => Some(ForcedNodesError::NoSubRecipe((*name).clone())),
        });
        as_nodes.chain(as_sub_recipes).collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let (nodes, sub_recipes): (&[String], &[(String, Self)]) = match self {
            Self::All => (&[], &[]),
            Self::Some { nodes, sub_recipes } => (nodes, sub_recipes),
        };
        nodes.iter().map(String::as_str).chain(sub_recipes.iter().map(|(name, _)| name.as_str()))
    }

    fn within(&self, name: &str) -> Option<Self> {
        match self {
            Self::All => Some(Self::All),
            Self::Some { sub_recipes, .. } => sub_recipes
                .iter()
                .find(|(sub_recipe, _)| sub_recipe == name)
                .map(|(_, within)| within.clone()),
        }
    }
}

impl DiffStatus {
    /// The word for it in documents.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "UNCHANGED",
            Self::Changed => "CHANGED",
            Self::New => "NEW",
            Self::Deleted => "DELETED",
        }
    }
}

impl NodeDiff {
    /// Whether the new recipe makes a node of its own here.
    pub(crate) fn is_made_anew(&self) -> bool {
        matches!(self.fate, Fate::Create | Fate::Replace | Fate::ReplaceAll | Fate::Recurse)
    }
}

/// Compares definitions, and says what becomes of each node. Call [`ForcedNodes::check`] with the new one first:
/// names that it does not have are passed over here.
pub(crate) fn diff(old: &Definition, new: &Definition, forced: &ForcedNodes) -> Diff {
    let obstacle = check_connection(new.input(), old.input()).err();
    let plan = Plan::of(new);
    let former: HashMap<&str, &Node> = old.nodes().iter().map(|node| (node.name.as_str(), node)).collect();
    let mut found: Vec<NodeDiff> = new.nodes().iter().map(NodeDiff::new).collect();
    for &place in plan.order() {
        let node = &new.nodes()[place as usize];
        let Some(previous) = former.get(node.name.as_str()) else { continue };
        let mut changes = kind_changes(&node.kind, &previous.kind);
        parent_changes(node, previous, old, &found, &mut changes);
        connection_changes(node, previous, &mut changes);
        let at = &mut found[place as usize];
        at.status = if changes.is_empty() { DiffStatus::Unchanged } else { DiffStatus::Changed };
        at.changes = changes;
        let (kind, previous) = (node.kind.word(), previous.kind.word());
        at.previous_kind = (kind != previous).then_some(previous);
    }
    force(new, &plan, forced, &mut found);
    settle(new, &plan, obstacle.is_none(), &mut found);
    let kept: HashSet<&str> = new.nodes().iter().map(|node| node.name.as_str()).collect();
    let deleted = old.nodes().iter().filter(|node| !kept.contains(node.name.as_str()));
    found.extend(deleted.map(|node| NodeDiff {
        status: DiffStatus::Deleted,
        is_forced: *forced == ForcedNodes::All,
        fate: if obstacle.is_none() { Fate::Delete } else { Fate::Nothing },
        ..NodeDiff::new(node)
    }));
    Diff { obstacle, nodes: found }
}

impl NodeDiff {
    fn new(node: &Node) -> Self {
        Self {
            name: node.name.clone(),
            status: DiffStatus::New,
            is_forced: false,
            changes: Vec::new(),
            previous_kind: None,
            fate: Fate::Nothing,
            forced_within: None,
        }
    }
}

/// Marks what is forced, and everything behind it.
fn force(new: &Definition, plan: &Plan, forced: &ForcedNodes, found: &mut [NodeDiff]) {
    let places: HashMap<&str, usize> =
        new.nodes().iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    for name in forced.names() {
        if let Some(&at) = places.get(name) {
            found[at].is_forced = true;
        }
    }
    for &place in plan.order() {
        let by_parent = plan.parents(place).iter().any(|&(parent, _)| found[parent as usize].is_forced);
        let at = &mut found[place as usize];
        at.is_forced |= by_parent || *forced == ForcedNodes::All;
        let is_sub_recipe = matches!(new.nodes()[place as usize].kind, NodeKind::Recipe { .. });
        if at.is_forced && is_sub_recipe {
            at.forced_within = forced.within(&at.name);
        }
    }
}

/// Says what becomes of the nodes of the new definition.
fn settle(new: &Definition, plan: &Plan, can_be: bool, found: &mut [NodeDiff]) {
    for &place in plan.order().iter().filter(|_| can_be) {
        let behind_new = plan.parents(place).iter().any(|&(parent, _)| found[parent as usize].is_made_anew());
        let node = &new.nodes()[place as usize];
        let at = &found[place as usize];
        let is_own =
            |change: &Change| matches!(change.name, "RECIPE_TYPE_CHANGE" | "RECIPE_TYPE_REVISION_CHANGE");
        let fate = match (at.status, &node.kind) {
            (DiffStatus::New, _) => Fate::Create,
            (DiffStatus::Unchanged, _) if !at.is_forced => Fate::Copy,
            (_, NodeKind::Recipe { .. }) if behind_new || !at.changes.iter().all(is_own) => Fate::ReplaceAll,
            (_, NodeKind::Recipe { .. }) => Fate::Recurse,
            _ => Fate::Replace,
        };
        found[place as usize].fate = fate;
    }
}

fn changed<T: PartialEq + std::fmt::Display>(
    name: &'static str,
    what: &str,
    from: &T,
    to: &T,
) -> Option<Change> {
    let description = format!("{what} changed from {from} to {to}");
    (from != to).then_some(Change { name, description })
}

fn kind_changes(new: &NodeKind, old: &NodeKind) -> Vec<Change> {
    match (new, old) {
        (
            NodeKind::Job { name, version, revision },
            NodeKind::Job { name: old_name, version: old_version, revision: old_revision },
        ) => [
            changed("JOB_TYPE_CHANGE", "Job type", old_name, name),
            changed("JOB_TYPE_VERSION_CHANGE", "Job type version", old_version, version),
            changed("JOB_TYPE_REVISION_CHANGE", "Job type revision", old_revision, revision),
        ]
        .into_iter()
        .flatten()
        .collect(),
        (
            NodeKind::Recipe { name, revision },
            NodeKind::Recipe { name: old_name, revision: old_revision },
        ) => [
            changed("RECIPE_TYPE_CHANGE", "Recipe type", old_name, name),
            changed("RECIPE_TYPE_REVISION_CHANGE", "Recipe type revision", old_revision, revision),
        ]
        .into_iter()
        .flatten()
        .collect(),
        (NodeKind::Condition { filter, .. }, NodeKind::Condition { filter: old, .. }) => {
            let change = Change { name: "FILTER_CHANGE", description: "Data filter changed".to_owned() };
            (filter != old).then_some(change).into_iter().collect()
        }
        _ => changed("NODE_TYPE_CHANGE", "Node type", &old.word(), &new.word()).into_iter().collect(),
    }
}

fn parent_changes(
    node: &Node,
    previous: &Node,
    old: &Definition,
    found: &[NodeDiff],
    changes: &mut Vec<Change>,
) {
    let mut push = |name, description| changes.push(Change { name, description });
    let mut former: HashMap<&str, bool> = previous
        .parents
        .iter()
        .map(|&(at, wanted)| (old.nodes()[at as usize].name.as_str(), wanted))
        .collect();
    for &(at, wanted) in &node.parents {
        let parent = &found[at as usize];
        match former.remove(parent.name.as_str()) {
            None => push("PARENT_NEW", format!("New parent node {} added", parent.name)),
            Some(former) => {
                if parent.status == DiffStatus::Changed {
                    push("PARENT_CHANGED", format!("Parent node {} changed", parent.name));
                }
                if former != wanted {
                    let description = format!("Approval for parent node {} changed", parent.name);
                    push("PARENT_ACCEPTANCE_CHANGED", description);
                }
            }
        }
    }
    for (at, _) in &previous.parents {
        let name = old.nodes()[*at as usize].name.as_str();
        if former.contains_key(name) {
            push("PARENT_REMOVED", format!("Previous parent node {name} removed"));
        }
    }
}

fn connection_changes(node: &Node, previous: &Node, changes: &mut Vec<Change>) {
    let mut push = |name, description| changes.push(Change { name, description });
    let mut former: HashMap<&str, &Connection> =
        previous.connections.iter().map(|(name, connection)| (name.as_str(), connection)).collect();
    for (name, connection) in &node.connections {
        match former.remove(name.as_str()) {
            None => push("INPUT_NEW", format!("New input {name} added")),
            Some(former) if former != connection => push("INPUT_CHANGE", format!("Input {name} changed")),
            Some(_) => {}
        }
    }
    for (name, _) in previous.connections.iter().filter(|(name, _)| former.contains_key(name.as_str())) {
        push("INPUT_REMOVED", format!("Previous input {name} removed"));
    }
}
