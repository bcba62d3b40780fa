//! What is refused, what is filled in, and that it reads back.

use serde_json::{Value, json};

use super::*;
use crate::catalog::configuration::Configuration;
use crate::model::{JsonParameter, JsonType};

fn least() -> Value {
    json!({
        "seedVersion": "1.0.0",
        "job": {
            "name": "my-job",
            "jobVersion": "1.0.0",
            "packageVersion": "1.0.0-beta",
            "title": "My job",
            "description": "Does it",
            "maintainer": { "name": "A", "email": "a@example.com" },
            "timeout": 3600,
        },
    })
}

/// The least manifest with `value` at `pointer`, which ends in a member of an object that is there.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = least();
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    document
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("an object")
        .insert(member.into(), value);
    document
}

fn without(pointer: &str) -> Value {
    let mut document = least();
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
    document.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(member);
    document
}

fn read(document: &Value) -> Manifest {
    Manifest::read(document).unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn refused(document: &Value, part: &str) {
    let error = Manifest::read(document).expect_err(&document.to_string()).to_string();
    assert!(error.contains(part), "{document}: {error}");
}

#[test]
fn the_least_manifest_is_answered_as_it_was_given() {
    let manifest = read(&least());
    assert_eq!(manifest.to_value(), least());
    assert_eq!(
        (manifest.name(), manifest.version(), manifest.version_numbers()),
        ("my-job", "1.0.0", [1, 0, 0])
    );
    assert_eq!((manifest.package_version(), manifest.timeout_s()), ("1.0.0-beta", 3_600));
    assert_eq!((manifest.title(), manifest.description(), manifest.command()), ("My job", "Does it", None));
    assert_eq!((manifest.inputs(), manifest.outputs()), (&Interface::default(), &Interface::default()));
    assert_eq!(manifest.resources(Quantity::ZERO).to_string(), "cpus:0.25,disk:0,mem:128");
}

fn interface() -> Value {
    json!({
        "command": "run.sh ${IN}",
        "inputs": {
            "files": [{ "name": "IN" }, { "name": "MORE", "mediaTypes": ["image/png"], "multiple": true, "required": false }],
            "json": [{ "name": "N", "type": "integer" }],
        },
        "outputs": {
            "files": [{ "name": "OUT", "pattern": "*.png" }],
            "json": [{ "name": "N", "type": "array", "key": "n", "required": false }],
        },
        "mounts": [{ "name": "M", "path": "/m" }],
        "settings": [{ "name": "S" }, { "name": "KEY", "secret": true }],
    })
}

fn filled_interface() -> Value {
    json!({
        "command": "run.sh ${IN}",
        "inputs": {
            "files": [
                { "name": "IN", "required": true, "mediaTypes": [], "multiple": false, "partial": false },
                { "name": "MORE", "required": false, "mediaTypes": ["image/png"], "multiple": true, "partial": false },
            ],
            "json": [{ "name": "N", "type": "integer", "required": true }],
        },
        "outputs": {
            "files": [{
                "name": "OUT", "pattern": "*.png", "mediaType": "application/octet-stream", "multiple": false, "required": true,
            }],
            "json": [{ "name": "N", "type": "array", "key": "n", "required": false }],
        },
        "mounts": [{ "name": "M", "path": "/m", "mode": "ro" }],
        "settings": [{ "name": "S", "secret": false }, { "name": "KEY", "secret": true }],
    })
}

#[test]
fn what_is_left_out_is_filled_in() {
    let manifest = read(&with("/job/interface", interface()));
    assert_eq!(manifest.document().pointer("/job/interface"), Some(&filled_interface()));
    assert_eq!(manifest.command(), Some("run.sh ${IN}"));
    assert_eq!(manifest.inputs().files[1].media_types, ["image/png"]);
    assert_eq!(manifest.inputs().json, [JsonParameter::new("N", JsonType::Integer)]);
    assert_eq!(manifest.outputs().files[0].media_types, ["application/octet-stream"]);
    assert!(manifest.outputs().files[0].is_required && !manifest.outputs().json[0].is_required);
    assert!(!manifest.settings()[0].is_secret && manifest.settings()[1].is_secret);
    assert_eq!((manifest.mounts()[0].path.as_str(), manifest.mounts()[0].is_writable), ("/m", false));
    let errors =
        json!([{ "code": 1, "name": "e" }, { "code": 2, "name": "f", "title": "F", "category": "data" }]);
    let manifest = read(&with("/job/errors", errors));
    let errors = json!([
        { "code": 1, "name": "e", "category": "job", "title": "e" },
        { "code": 2, "name": "f", "title": "F", "category": "data" },
    ]);
    assert_eq!(manifest.document().pointer("/job/errors"), Some(&errors));
}

#[test]
fn what_is_answered_reads_to_the_same() {
    let scalar = json!({ "scalar": [{ "name": "sharedMem", "value": 0.5, "inputMultiplier": 2.0 }] });
    for document in [least(), with("/job/interface", interface()), with("/job/resources", scalar)] {
        let manifest = read(&document);
        assert_eq!(read(&manifest.to_value()), manifest);
    }
}

#[test]
fn what_must_be_there_is_named() {
    for name in ["name", "jobVersion", "packageVersion", "title", "description", "maintainer", "timeout"] {
        let part = format!("Error validating against schema: '{name}' is a required property (at job)");
        refused(&without(&format!("/job/{name}")), &part);
    }
    refused(&without("/seedVersion"), "'seedVersion' is a required property");
    refused(&without("/job/maintainer/email"), "'email' is a required property (at job.maintainer)");
    refused(&with("/job/resources", json!({})), "'scalar' is a required property (at job.resources)");
}

#[test]
fn what_is_of_another_form_is_refused() {
    refused(&json!([]), "[] is not of type 'object'");
    refused(&json!(null), "null is not of type 'object'");
    refused(&with("/seedVersion", json!("1.0.1")), "'1.0.1' does not match");
    refused(&with("/job/more", json!(1)), "('more' was unexpected)");
    refused(&with("/job/name", json!("a_b")), "'a_b' does not match");
    refused(&with("/job/name", json!("a".repeat(51))), "does not match");
    refused(&with("/job/title", json!(5)), "5 is not of type 'string' (at job.title)");
    refused(&with("/job/tags", json!(["a", null])), "(at job.tags[1])");
    refused(&with("/job/timeout", json!(1.0)), "1.0 is not of type 'integer'");
    refused(&with("/job/timeout", json!(-1)), "-1 is less than the minimum of 0");
    refused(&with("/job/timeout", json!(1_u64 << 31)), "greater than the maximum");
    refused(&with("/job/jobVersion", json!("1.0")), "'1.0' does not match");
    refused(&with("/job/jobVersion", json!("1.0.0-alpha")), "pre-release");
    refused(&with("/job/maintainer/url", json!(1)), "(at job.maintainer.url)");
    refused(&with("/job/errors", json!([{ "code": "1", "name": "e" }])), "is not of type 'integer'");
    refused(&with("/job/errors", json!([{ "code": 1, "name": "e", "category": "x" }])), "is not one of");
    let json_input = |input: Value| with("/job/interface", json!({ "inputs": { "json": [input] } }));
    refused(&json_input(json!({ "name": "N", "type": "int" })), "'int' is not one of [\"array\"");
    refused(&json_input(json!({ "name": "N" })), "'type' is a required property");
    refused(
        &json_input(json!({ "name": "a b", "type": "string" })),
        "(at job.interface.inputs.json[0].name)",
    );
    let output = json!({ "outputs": { "files": [{ "name": "O" }] } });
    refused(&with("/job/interface", output), "'pattern' is a required property");
    let mount = json!({ "mounts": [{ "name": "M", "path": "m" }] });
    refused(&with("/job/interface", mount), "M mount must have an absolute path");
}

#[test]
fn names_are_taken_once() {
    const COLLISION: &str =
        "Collisions are not allowed between reserved keywords, resources, settingsand input names.";
    let inputs = |files: Value, json: Value| {
        with("/job/interface", json!({ "inputs": { "files": files, "json": json } }))
    };
    refused(&inputs(json!([{ "name": "a-b" }]), json!([{ "name": "A_B", "type": "string" }])), COLLISION);
    refused(&inputs(json!([{ "name": "output_dir" }]), json!([])), COLLISION);
    let scalar = json!({ "scalar": [{ "name": "Mem", "value": 1 }, { "name": "mem", "value": 1 }] });
    refused(&with("/job/resources", scalar), COLLISION);
    let file = json!({ "name": "O", "pattern": "*" });
    refused(
        &with("/job/interface", json!({ "outputs": { "files": [file, file] } })),
        "Duplicate parameter 'O'",
    );
    let mount = json!({ "name": "M", "path": "/m" });
    refused(&with("/job/interface", json!({ "mounts": [mount, mount] })), "Mount names must be unique.");
    let error = json!({ "name": "e", "code": 1 });
    refused(&with("/job/errors", json!([error, error])), "Error names must be unique.");
}

#[test]
fn resources_are_counted() {
    let scalar = |n: usize| {
        let resource = |at| json!({ "name": format!("r{at}"), "value": 1 });
        with("/job/resources", json!({ "scalar": (0..n).map(resource).collect::<Vec<_>>() }))
    };
    assert_eq!(read(&scalar(12)).type_resources().get("r11"), Quantity::whole(1));
    refused(&scalar(13), "More than 16 resources");
}

#[test]
fn the_names_of_resources_are_lowered_in_the_document() {
    let scalar = json!({ "scalar": [{ "name": "sharedMem", "value": 32 }] });
    let manifest = read(&with("/job/resources", scalar));
    let name = manifest.document().pointer("/job/resources/scalar/0/name");
    assert_eq!(name, Some(&json!("sharedmem")));
}

/// An exchange with Scale: what was given to `POST /v6/job-types/`, and what was answered.
#[test]
fn a_manifest_is_answered_as_scale_answered_it() {
    let scalar = json!([
        { "name": "cpus", "value": 0.5 },
        { "name": "mem", "value": 256.0, "inputMultiplier": 2.0 },
        { "name": "disk", "value": 10.0 },
    ]);
    let job = |output: Value| {
        json!({
            "seedVersion": "1.0.0",
            "job": {
                "name": "tour-step",
                "jobVersion": "1.0.0",
                "packageVersion": "1.0.0",
                "title": "Tour-Step",
                "description": "made for a transcript",
                "maintainer": { "name": "A. Nobody", "email": "nobody@example.com" },
                "timeout": 3600,
                "interface": {
                    "command": "run.sh",
                    "inputs": { "files": [], "json": [{ "name": "N", "type": "integer", "required": true }] },
                    "outputs": { "files": [], "json": [output] },
                },
                "resources": { "scalar": scalar },
            },
        })
    };
    let manifest = read(&job(json!({ "name": "N", "type": "integer" })));
    assert_eq!(manifest.to_value(), job(json!({ "name": "N", "type": "integer", "required": true })));
    assert_eq!(manifest.resources(Quantity::ZERO).to_string(), "cpus:0.5,disk:10,mem:256");
    let configuration = Configuration::read(&json!({ "priority": 50 })).expect("a configuration");
    let answered = json!({
        "mounts": {}, "priority": 50, "output_workspaces": { "default": "", "outputs": {} }, "settings": {},
    });
    assert_eq!(configuration.to_value(), answered);
}
