//! How a job is executed: the arguments and the environment of its main task, and its input files.
//!
//! Plain documents; nothing here is validated.
//!
//! # Source
//! Scale's execution configuration of version 2.0, and where it puts input files.

use serde_json::{Map, Value, json};

use crate::catalog::manifest::environment_name;
use crate::model::{Data, FileFact};

/// Where an execution finds its input files, each parameter in a directory of its own.
const INPUT_DIRECTORY: &str = "/scale/input_data";

/// The text that stands for a value in a command or an environment.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a file is known by its address, and is not where its path says.
pub(crate) fn is_address(name: &str) -> bool {
    name.starts_with("http://")
}

/// The environment that an input makes: a variable for each value; for a file its path, for several the
/// directory that they are in. What an execution left is known by where it is, a path or an address.
pub(crate) fn environment(data: &Data, files: &[FileFact]) -> Vec<(String, String)> {
    let path = |name: &String, ids: &Vec<u64>| match ids.as_slice() {
        [id] => {
            let file = files.iter().find(|file| file.id.0 == *id).map_or("", |file| &file.name);
            if file.starts_with('/') || is_address(file) {
                file.to_string()
            } else {
                format!("{INPUT_DIRECTORY}/{name}/{file}")
            }
        }
        _ => format!("{INPUT_DIRECTORY}/{name}"),
    };
    let of_files = data.files.iter().map(|(name, ids)| (environment_name(name), path(name, ids)));
    let of_values = data.json.iter().map(|(name, value)| (environment_name(name), value_text(value)));
    of_files.chain(of_values).collect()
}

fn configuration(args: &str, env_vars: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let env_vars: Map<String, Value> = env_vars.map(|(name, text)| (name, text.into())).collect();
    let task = json!({ "type": "main", "args": args, "env_vars": env_vars });
    Map::from_iter([("tasks".to_owned(), json!([task])), ("version".to_owned(), "2.0".into())])
}

/// Of a job whose type was made from a manifest.
pub(crate) fn configuration_of_manifest(manifest: &Value, data: &Data, files: &[FileFact]) -> Value {
    let args = manifest.pointer("/job/interface/command").and_then(Value::as_str).unwrap_or_default();
    let mut all = configuration(args, environment(data, files).into_iter());
    if !data.files.is_empty() {
        let file = |id: &u64| {
            let known = files.iter().find(|file| file.id.0 == *id);
            json!({ "id": id, "type": "SOURCE", "file_name": known.map_or("", |file| &file.name) })
        };
        let of = |(name, ids): (&String, &Vec<u64>)| (name.clone(), ids.iter().map(file).collect());
        all.insert("input_files".to_owned(), Value::Object(data.files.iter().map(of).collect()));
    }
    Value::Object(all)
}

/// Of a job whose type has a command of its own.
pub(crate) fn configuration_of_command(command: &[String], values: &[(String, String)]) -> Value {
    Value::Object(configuration(&command.join(" "), values.iter().cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::data::read_data;
    use crate::model::FileId;

    #[test]
    fn values_and_files_of_an_input_are_in_the_environment() {
        let document = json!({ "files": { "one-file": [3], "more": [3, 4] }, "json": { "N": 1, "t": "x" } });
        let data = read_data(&document).expect("data");
        let file = FileFact { id: FileId(3), bytes: 1, media_type: "".into(), name: "a.txt".into() };
        let all = environment(&data, &[file]);
        let expected = [
            ("MORE", "/scale/input_data/more"),
            ("ONE_FILE", "/scale/input_data/one-file/a.txt"),
            ("N", "1"),
            ("T", "x"),
        ];
        assert_eq!(all, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let of_command =
            configuration_of_command(&["wc".into(), "{file}".into()], &[("file".into(), "a".into())]);
        let main = json!({ "type": "main", "args": "wc {file}", "env_vars": { "file": "a" } });
        assert_eq!(of_command, json!({ "tasks": [main], "version": "2.0" }));
    }
}
