//! Nodes of a recipe, in an order in which they can run, deeper ones further to the right.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::answer::{list, text};
use super::output::{lines, printable, table};

/// Nodes by depth: how many stand before each, at most; then by name. Those in a circle come last.
fn by_depth(nodes: &Map<String, Value>) -> Vec<(usize, &str, &Value)> {
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    // As many rounds as the longest chain has nodes.
    loop {
        let before = depths.len();
        let mut found = Vec::new();
        for (name, node) in nodes.iter().filter(|(name, _)| !depths.contains_key(name.as_str())) {
            let parents = parents(node);
            let known: Option<Vec<usize>> =
                parents.iter().map(|parent| depths.get(parent.as_str()).copied()).collect();
            if let Some(known) = known {
                found.push((name.as_str(), known.iter().max().map_or(0, |depth| depth + 1)));
            }
        }
        depths.extend(found);
        if depths.len() == before {
            break;
        }
    }
    let depth = |name: &str| depths.get(name).copied().unwrap_or(usize::MAX);
    let mut all: Vec<_> = nodes.iter().map(|(name, node)| (depth(name), name.as_str(), node)).collect();
    all.sort_by_key(|(depth, name, _)| (*depth, *name));
    all
}

fn parents(node: &Value) -> Vec<String> {
    list(node, "/dependencies").iter().map(|parent| text(parent, "/name")).collect()
}

/// A name with two blanks before it for each step to the right; only so many, for deep graphs.
fn indented(depth: usize, name: &str) -> String {
    format!("{:1$}{2}", "", 2 * depth.min(20), printable(name))
}

/// What a node is made of, in a definition.
fn kind(of: &Value) -> String {
    match text(of, "/node_type").as_str() {
        "job" => {
            let revision = text(of, "/job_type_revision");
            format!(
                "job {}:{}, revision {revision}",
                text(of, "/job_type_name"),
                text(of, "/job_type_version")
            )
        }
        "recipe" => format!("recipe {}", text(of, "/recipe_type_name")),
        other => other.to_owned(),
    }
}

/// The nodes of a definition.
pub(super) fn of_definition(nodes: &Value) -> String {
    let Some(nodes) = nodes.as_object() else { return "no nodes".to_owned() };
    let mut table = table(&["NODE", "IS", "AFTER"]);
    for (depth, name, node) in by_depth(nodes) {
        table.add_row([indented(depth, name), kind(&node["node_type"]), parents(node).join(", ")]);
    }
    lines(&table)
}

/// What stands for a node, and how that stands.
fn standing(of: &Value) -> (String, String) {
    match text(of, "/node_type").as_str() {
        "job" => (named("job", &text(of, "/job_id")), text(of, "/status")),
        "recipe" => {
            let (done, all) = (text(of, "/jobs_completed"), text(of, "/jobs_total"));
            let status = if of["is_completed"] == true {
                "COMPLETED".to_owned()
            } else {
                format!("{done} of {all} jobs done")
            };
            (named("recipe", &text(of, "/recipe_id")), status)
        }
        "condition" => {
            let status = match (of["is_processed"] == true, of["is_accepted"] == true) {
                (false, _) => "PENDING",
                (true, true) => "ACCEPTED",
                (true, false) => "REJECTED",
            };
            ("condition".to_owned(), status.to_owned())
        }
        other => (other.to_owned(), "-".to_owned()),
    }
}

fn named(what: &str, id: &str) -> String {
    if id == "-" { "not made yet".to_owned() } else { format!("{what} {id}") }
}

/// The nodes of a recipe, as its details have them.
pub(super) fn of_recipe(nodes: &Value) -> String {
    let Some(nodes) = nodes.as_object() else { return "no nodes".to_owned() };
    let mut table = table(&["NODE", "STATUS", "IS", "JOB TYPE", "AFTER"]);
    for (depth, name, node) in by_depth(nodes) {
        let (is, status) = standing(&node["node_type"]);
        let kind = text(&node["node_type"], "/job_type_name");
        table.add_row([indented(depth, name), status, is, kind, parents(node).join(", ")]);
    }
    lines(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_come_after_what_they_depend_on_and_circles_last() {
        let nodes = json!({
            "join": { "dependencies": [{ "name": "a" }, { "name": "b" }], "node_type": {
                "node_type": "job", "job_id": 4, "status": "PENDING", "job_type_name": "sum" } },
            "b": { "dependencies": [{ "name": "a" }], "node_type": {
                "node_type": "condition", "is_processed": true, "is_accepted": false } },
            "a": { "dependencies": [], "node_type": {
                "node_type": "recipe", "recipe_id": 9, "jobs_completed": 1, "jobs_total": 3 } },
            "x": { "dependencies": [{ "name": "x" }], "node_type": { "node_type": "job", "job_id": null } },
        });
        let names: Vec<&str> =
            by_depth(nodes.as_object().expect("nodes")).into_iter().map(|(_, name, _)| name).collect();
        assert_eq!(names, ["a", "b", "join", "x"]);
        let shown = of_recipe(&nodes);
        let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["a", "1", "of", "3", "jobs", "done", "recipe", "9", "-"]);
        assert_eq!(rows[2], ["b", "REJECTED", "condition", "-", "a"]);
        assert_eq!(rows[3], ["join", "PENDING", "job", "4", "sum", "a,", "b"]);
    }
}
