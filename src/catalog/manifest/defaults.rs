//! The normalised form of a manifest: what its reader assumes stands in it.

use serde_json::{Map, Value, json};

use super::interface::MEDIA_TYPE_DEFAULT;

/// `document`, which was checked, with what it leaves out.
pub(super) fn filled(mut document: Value) -> Value {
    let lists = [
        (
            "/job/interface/inputs/files",
            vec![
                ("required", json!(true)),
                ("mediaTypes", json!([])),
                ("multiple", json!(false)),
                ("partial", json!(false)),
            ],
        ),
        ("/job/interface/inputs/json", vec![("required", json!(true))]),
        (
            "/job/interface/outputs/files",
            vec![
                ("mediaType", json!(MEDIA_TYPE_DEFAULT)),
                ("multiple", json!(false)),
                ("required", json!(true)),
            ],
        ),
        ("/job/interface/outputs/json", vec![("required", json!(true))]),
        ("/job/interface/mounts", vec![("mode", json!("ro"))]),
        ("/job/interface/settings", vec![("secret", json!(false))]),
        ("/job/errors", vec![("category", json!("job"))]),
    ];
    for (list, defaults) in &lists {
        each(&mut document, list, |item| fill(item, defaults));
    }
    each(&mut document, "/job/errors", name_as_title);
    each(&mut document, "/job/resources/scalar", lower_name);
    document
}

fn each(document: &mut Value, list: &str, change: impl Fn(&mut Map<String, Value>)) {
    let items = document.pointer_mut(list).and_then(Value::as_array_mut);
    items.into_iter().flatten().filter_map(Value::as_object_mut).for_each(change);
}

fn fill(item: &mut Map<String, Value>, defaults: &[(&str, Value)]) {
    for (name, value) in defaults {
        item.entry(*name).or_insert_with(|| value.clone());
    }
}

fn name_as_title(error: &mut Map<String, Value>) {
    let name = error.get("name").cloned().unwrap_or_default();
    error.entry("title").or_insert(name);
}

fn lower_name(resource: &mut Map<String, Value>) {
    if let Some(Value::String(name)) = resource.get_mut("name") {
        name.make_ascii_lowercase();
    }
}
