//! A comparison of two definitions as the document that clients see.
//!
//! # Source
//! Scale's recipe diff, version 7.

use serde_json::{Map, Value, json};

use super::definition::{Definition, Node, NodeKind};
use super::reprocess::{DiffStatus, ForcedNodes, NodeDiff, diff};

/// How `new` differs from `old`: whether recipes of the old one can be made anew with it, why not, and what is
/// new in each node.
pub(crate) fn diff_to_value(old: &Definition, new: &Definition) -> Value {
    let found = diff(old, new, &ForcedNodes::NONE);
    let reasons: Vec<Value> = found
        .obstacle
        .iter()
        .map(|error| {
            json!({ "name": "INPUT_CHANGE", "description": format!("Input interface has changed: {error}") })
        })
        .collect();
    let nodes: Map<String, Value> = found
        .nodes
        .iter()
        .filter_map(|node| {
            let definition = if node.status == DiffStatus::Deleted { old } else { new };
            let (_, stated) = definition.node(&node.name)?;
            let former = old.node(&node.name).map(|(_, former)| former);
            Some((node.name.clone(), node_to_value(node, stated, former, definition)))
        })
        .collect();
    json!({ "can_be_reprocessed": found.obstacle.is_none(), "reasons": reasons, "nodes": nodes })
}

fn node_to_value(node: &NodeDiff, stated: &Node, former: Option<&Node>, definition: &Definition) -> Value {
    let changes: Vec<Value> = node
        .changes
        .iter()
        .map(|change| json!({ "name": change.name, "description": change.description }))
        .collect();
    let dependencies: Vec<Value> = stated
        .parents
        .iter()
        .map(|&(parent, _)| json!({ "name": definition.nodes()[parent as usize].name }))
        .collect();
    let mut value = json!({
        "status": node.status.as_str(),
        "changes": changes,
        "reprocess_new_node": node.is_made_anew(),
        "force_reprocess": node.is_forced,
        "dependencies": dependencies,
        "node_type": kind_to_value(&stated.kind, former.map(|former| &former.kind)),
    });
    if let Some(kind) = node.previous_kind {
        value["prev_node_type"] = kind.into();
    }
    value
}

/// What a node is; what it was, where that is something else of the same kind.
fn kind_to_value(kind: &NodeKind, former: Option<&NodeKind>) -> Value {
    let mut value = json!({ "node_type": kind.word() });
    let mut was = |name: &str, old: Value, new: Value| {
        if old != new {
            value[format!("prev_{name}")] = old;
        }
        value[name] = new;
    };
    match kind {
        NodeKind::Job { name, version, revision } => {
            let (old_name, old_version, old_revision) = match former {
                Some(NodeKind::Job { name, version, revision }) => (name, version, revision),
                _ => (name, version, revision),
            };
            was("job_type_name", json!(old_name), json!(name));
            was("job_type_version", json!(old_version), json!(version));
            was("job_type_revision", json!(old_revision), json!(revision));
        }
        NodeKind::Recipe { name, revision } => {
            let (old_name, old_revision) = match former {
                Some(NodeKind::Recipe { name, revision }) => (name, revision),
                _ => (name, revision),
            };
            was("recipe_type_name", json!(old_name), json!(name));
            was("recipe_type_revision", json!(old_revision), json!(revision));
        }
        NodeKind::Condition { .. } => {}
    }
    value
}
