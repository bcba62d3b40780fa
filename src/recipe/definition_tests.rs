//! Definitions, filters, inputs and comparisons.

#![allow(clippy::needless_pass_by_value, reason = "documents are written where they are used")]

use serde_json::{Map, Value, json};

use crate::model::{Data, Interface, JsonParameter, JsonType};

use super::{
    DataFilter, Definition, Fate, FileFacts, ForcedNodes, ForcedNodesError, Lookup, Size, diff, input_of,
    read_interface,
};

struct Types;

impl Lookup for Types {
    fn job_type(&self, name: &str, _: &str, revision: u32) -> Option<(Interface, Interface)> {
        let interface = |names: &[&str]| {
            let json = names.iter().map(|name| JsonParameter::new(*name, JsonType::Integer)).collect();
            Interface { files: Vec::new(), json }
        };
        let inputs: &[&str] = match name {
            "step" => &["N"],
            "join" => &["L", "R"],
            _ => return None,
        };
        (revision <= 2).then(|| (interface(inputs), interface(&["N"])))
    }

    fn recipe_type(&self, name: &str, revision: u32) -> Option<(Interface, Size)> {
        let input =
            read_interface(&json!({ "json": [{ "name": "N", "type": "integer" }] })).expect("it is fine");
        (name == "sub").then_some((input, Size { depth: revision, ..Size::default() }))
    }
}

fn job(name: &str, revision: u32, dependencies: Value, input: Value) -> Value {
    let kind = json!({
        "node_type": "job",
        "job_type_name": name,
        "job_type_version": "1.0.0",
        "job_type_revision": revision,
    });
    json!({ "dependencies": dependencies, "input": input, "node_type": kind })
}

fn from_recipe() -> Value {
    json!({ "N": { "type": "recipe", "input": "N" } })
}

fn from(node: &str) -> Value {
    json!({ "type": "dependency", "node": node, "output": "N" })
}

/// `a`, then `b`, then `e` of both.
fn three() -> Value {
    json!({
        "input": { "json": [{ "name": "N", "type": "integer" }] },
        "nodes": {
            "a": job("step", 1, json!([]), from_recipe()),
            "b": job("step", 1, json!([{ "name": "a" }]), json!({ "N": from("a") })),
            "e": job(
                "join", 1, json!([{ "name": "a" }, { "name": "b" }]), json!({ "R": from("b"), "L": from("a") }),
            ),
        },
    })
}

fn read(value: &Value) -> Definition {
    Definition::read(value, &Types).expect("it is fine")
}

fn sub(revision: u32, dependencies: Value, input: Value) -> Value {
    let kind = json!({ "node_type": "recipe", "recipe_type_name": "sub", "recipe_type_revision": revision });
    json!({ "dependencies": dependencies, "input": input, "node_type": kind })
}

#[test]
fn a_definition_is_answered_with_everything_filled_in() {
    let definition = read(&three());
    let value = definition.to_value();
    assert_eq!(
        value["input"],
        json!({ "files": [], "json": [
        { "name": "N", "type": "integer", "required": true },
    ] })
    );
    assert_eq!(value["nodes"]["b"]["dependencies"], json!([{ "name": "a", "acceptance": true }]));
    assert_eq!(read(&value), definition);
}

#[test]
fn wrong_definitions_are_named() {
    let check = |change: &dyn Fn(&mut Value), name: &str, words: &str| {
        let mut value = three();
        change(&mut value);
        let error = Definition::read(&value, &Types).expect_err(words);
        assert_eq!((error.name(), error.to_string().contains(words)), (name, true), "{error}");
    };
    let nodes = |value: &mut Value, node: &str, new: Value| value["nodes"][node] = new;
    check(&|value| value["more"] = json!(1), "INVALID_DEFINITION", "'more'");
    check(
        &|value| nodes(value, "a", job("step", 1, json!([{ "name": "e" }]), from_recipe())),
        "CIRCULAR_DEPENDENCY",
        "node 'a'",
    );
    check(
        &|value| nodes(value, "a", job("step", 3, json!([]), from_recipe())),
        "JOB_TYPE_DOES_NOT_EXIST",
        "JobTypeRevision",
    );
    check(
        &|value| nodes(value, "a", job("other", 1, json!([]), from_recipe())),
        "JOB_TYPE_DOES_NOT_EXIST",
        "JobType matching",
    );
    check(
        &|value| nodes(value, "b", job("step", 1, json!([{ "name": "z" }]), json!({}))),
        "UNKNOWN_NODE",
        "'z'",
    );
    check(
        &|value| nodes(value, "b", job("step", 1, json!([]), json!({}))),
        "NODE_INTERFACE",
        "'N' is missing for b",
    );
    check(
        &|value| nodes(value, "b", job("step", 1, json!([]), json!({ "N": from("a") }))),
        "NODE_INTERFACE",
        "without dependency on node 'a'",
    );
    check(
        &|value| value["input"]["json"][0]["type"] = json!("string"),
        "NODE_INTERFACE",
        "cannot accept JSON type 'string'",
    );
    check(&|value| value["input"] = json!({}), "UNKNOWN_INPUT", "'N'");
    check(
        &|value| value["input"]["json"][0]["required"] = json!(false),
        "NODE_INTERFACE",
        "cannot accept an optional value",
    );
    check(&|value| nodes(value, "s", sub(40, json!([]), from_recipe())), "INVALID_DEFINITION", "deep");
}

#[test]
fn a_nodes_input_is_made_from_its_connections() {
    let definition = read(&three());
    let [recipe, a] = [1, 2].map(|n| {
        let mut data = Data::default();
        data.json.insert("N".to_owned(), json!(n));
        data
    });
    let output = |node: &str| (node == "a").then_some(&a);
    let input_within = |node, most| {
        let made = input_of(definition.node(node).expect("it is there").1, &recipe, output, most);
        made.map(|input| input.to_value())
    };
    let input = |node| input_within(node, 1).expect("it is short");
    assert_eq!(input("a"), json!({ "files": {}, "json": { "N": 1 } }));
    assert_eq!(input("b"), json!({ "files": {}, "json": { "N": 2 } }));
    assert_eq!(input("e"), json!({ "files": {}, "json": { "L": 2 } }));
    assert_eq!([input_within("a", 0), input_within("b", 0)], [None, None]);
}

#[test]
fn filters_compare_by_kind() {
    let mut data = Data::default();
    data.json.insert("V".to_owned(), json!(5));
    data.json.insert("S".to_owned(), json!("abc"));
    data.json.insert("O".to_owned(), json!({ "a": { "b": 1 }, "c": 2 }));
    data.files.insert("F".to_owned(), vec![1, 2]);
    let metadata = Map::new();
    let facts = |id| FileFacts {
        file_name: if id == 1 { "one.txt" } else { "two.png" },
        media_type: if id == 1 { "text/plain" } else { "image/png" },
        data_types: &[],
        metadata: &metadata,
    };
    let check = |name: &str, kind: &str, operator: &str, values: Value, more: Value, expected: bool| {
        let mut filter = json!({ "name": name, "type": kind, "condition": operator, "values": values });
        let more = more.as_object().cloned().unwrap_or_default();
        filter.as_object_mut().expect("an object").extend(more);
        let filter = DataFilter::read(&json!({ "filters": [filter] })).expect("a filter");
        assert_eq!(filter.accepts(&data, |id| Some(facts(id))), expected, "{filter:?}");
        assert_eq!(DataFilter::read(&filter.to_value()).as_ref(), Ok(&filter));
    };
    check("V", "integer", "<", json!([6]), json!({}), true);
    check("V", "number", ">=", json!([5.5]), json!({}), false);
    check("V", "number", "==", json!([5]), json!({}), true);
    check("V", "integer", "between", json!([5, 7]), json!({}), true);
    check("V", "integer", "between", json!([6, 7]), json!({}), false);
    check("V", "integer", "between", json!([1]), json!({}), false);
    check("V", "integer", "not in", json!([1, 5]), json!({}), false);
    check("S", "string", "contains", json!(["x", "bc"]), json!({}), true);
    check("S", "string", "in", json!(["ab"]), json!({}), false);
    check("missing", "string", "!=", json!(["ab"]), json!({}), false);
    check("O", "object", "superset of", json!([{ "c": 2 }]), json!({}), true);
    check("O", "object", "subset of", json!([{ "c": 2 }]), json!({}), false);
    check("O", "object", "==", json!([1, 3]), json!({ "fields": [["a", "b"], ["c"]] }), false);
    check(
        "O",
        "object",
        "==",
        json!([1, 3]),
        json!({ "fields": [["a", "b"], ["c"]], "all_fields": false }),
        true,
    );
    check("F", "media-type", "==", json!(["image/png"]), json!({}), true);
    check("F", "media-type", "==", json!(["image/png"]), json!({ "all_files": true }), false);
    check("F", "filename", "contains", json!(["one"]), json!({}), true);
    let wrong =
        json!({ "filters": [{ "name": "V", "type": "boolean", "condition": "<", "values": [true] }] });
    assert!(DataFilter::read(&wrong).is_err());
}

#[test]
fn forced_nodes_must_say_all_and_name_what_is_there() {
    assert!(ForcedNodes::read(&json!({})).is_err());
    assert!(ForcedNodes::read(&json!({ "all": 1 })).is_err());
    let forced = ForcedNodes::read(&json!({ "all": false, "nodes": ["z"] })).expect("it is fine");
    assert_eq!(forced.check(&read(&three())), [ForcedNodesError::UnknownNode("z".to_owned())]);
    let forced = ForcedNodes::read(&json!({ "all": false, "sub_recipes": { "a": { "all": true } } }));
    let error = forced.expect("it is fine").check(&read(&three()));
    assert_eq!(error, [ForcedNodesError::NoSubRecipe("a".to_owned())]);
}

#[test]
fn what_is_unchanged_and_not_forced_is_copied() {
    let old = read(&three());
    let fates = |new: &Definition, forced: &ForcedNodes| {
        let found = diff(&old, new, forced);
        found.nodes.iter().map(|node| (node.name.clone(), node.fate)).collect::<Vec<_>>()
    };
    let check = |new: &Definition, forced: Value, expected: &[(&str, Fate)]| {
        let expected: Vec<_> = expected.iter().map(|(name, fate)| ((*name).to_owned(), *fate)).collect();
        assert_eq!(fates(new, &ForcedNodes::read(&forced).expect("it is fine")), expected);
    };
    let none = || json!({ "all": false });
    check(&old, none(), &[("a", Fate::Copy), ("b", Fate::Copy), ("e", Fate::Copy)]);
    let b = json!({ "all": false, "nodes": ["b"] });
    check(&old, b, &[("a", Fate::Copy), ("b", Fate::Replace), ("e", Fate::Replace)]);
    check(&old, json!({ "all": true }), &["a", "b", "e"].map(|name| (name, Fate::Replace)));
    let mut value = three();
    value["nodes"]["b"] = job("step", 2, json!([{ "name": "a" }]), json!({ "N": from("a") }));
    value["nodes"]["n"] = sub(1, json!([]), from_recipe());
    value["nodes"].as_object_mut().expect("an object").remove("e");
    let new = read(&value);
    let expected = [("a", Fate::Copy), ("b", Fate::Replace), ("n", Fate::Create), ("e", Fate::Delete)];
    check(&new, none(), &expected);
    // An input that the old recipe does not have is in the way.
    let mut value = three();
    value["input"]["json"] = json!([{ "name": "N", "type": "integer" }, { "name": "M", "type": "string" }]);
    check(&read(&value), none(), &["a", "b", "e"].map(|name| (name, Fate::Nothing)));
}

#[test]
fn a_sub_recipe_of_another_revision_is_compared_in_turn() {
    let with = |revision, dependencies: Value| {
        let mut value = three();
        value["nodes"]["s"] = sub(revision, dependencies, from_recipe());
        read(&value)
    };
    let fate = |old: &Definition, new: &Definition| {
        let found = diff(old, new, &ForcedNodes::NONE);
        found.nodes.iter().find(|node| node.name == "s").map(|node| node.fate)
    };
    let old = with(1, json!([]));
    assert_eq!(fate(&old, &with(2, json!([]))), Some(Fate::Recurse));
    assert_eq!(fate(&old, &with(1, json!([{ "name": "a" }]))), Some(Fate::ReplaceAll));
}
