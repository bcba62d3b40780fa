//! What the engine acts on of a job type that comes with a manifest.
//!
//! The command of a manifest is a line for a shell, which finds the values of a job in its environment: each
//! input under its name in upper case, with `_` for `-`, and not at all where a job has none. `OUTPUT_DIR` names
//! the directory that the command is started in.
//!
//! # Source
//! Seed 1.0.0 for the environment; Scale for the tries, and for what a type asks for where it says nothing.

use crate::model::{JobTypeSpec, Quantity};

use super::configuration::Configuration;
use super::manifest::{Manifest, OUTPUT_DIR, environment_name};

/// Runs the command of a manifest.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The spec of a type of that manifest and configuration. What stands there for a job is asked for with an
/// input of no size.
pub(crate) fn spec(manifest: &Manifest, configuration: &Configuration) -> JobTypeSpec {
    let mut spec = JobTypeSpec::new(manifest.name(), manifest.version())
        .needs(manifest.resources(Quantity::ZERO))
        .timeout_s(manifest.timeout_s())
        .priority(configuration.priority());
    manifest.title().clone_into(&mut spec.title);
    manifest.description().clone_into(&mut spec.description);
    if let Some(command) = manifest.command() {
        spec.command = SHELL.map(str::to_owned).into_iter().chain([escaped(command)]).collect();
    }
    spec.env = environment(manifest, configuration);
    spec
}

fn environment(manifest: &Manifest, configuration: &Configuration) -> Vec<(String, String)> {
    let inputs = manifest.inputs();
    let files = inputs.files.iter().map(|parameter| parameter.name.as_str());
    let json = inputs.json.iter().map(|parameter| parameter.name.as_str());
    let of_job = files.chain(json).map(|name| (environment_name(name), format!("{{{name}?}}")));
    let settings = configuration.settings.iter().flatten();
    let known = |name: &str| manifest.settings().iter().any(|setting| setting.name == *name);
    let of_type = settings.filter(|(name, _)| known(name));
    let of_type = of_type.map(|(name, value)| (environment_name(name), escaped(value)));
    of_type.chain([(OUTPUT_DIR.to_owned(), ".".to_owned())]).chain(of_job).collect()
}

/// `text` as a template that stands for it.
fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(interface: &Value, configuration: &Value) -> JobTypeSpec {
        let document = json!({
            "seedVersion": "1.0.0",
            "job": {
                "name": "resize", "jobVersion": "1.2.0", "packageVersion": "1.0.0", "title": "Resize",
                "description": "smaller", "maintainer": { "name": "", "email": "" }, "timeout": 60,
                "interface": interface,
                "resources": { "scalar": [{ "name": "mem", "value": 64, "inputMultiplier": 4 }] },
            },
        });
        let manifest = Manifest::read(&document).expect("a manifest");
        spec(&manifest, &Configuration::read(configuration).expect("a configuration"))
    }

    #[test]
    fn what_a_manifest_states_is_what_the_engine_acts_on() {
        let spec = of(&json!({}), &json!({ "priority": 7 }));
        assert_eq!((spec.name.as_str(), spec.version.as_str()), ("resize", "1.2.0"));
        assert_eq!((spec.title.as_str(), spec.description.as_str()), ("Resize", "smaller"));
        assert_eq!((spec.timeout_s, spec.priority, spec.max_tries), (Some(60), 7, 3));
        assert_eq!(spec.resources.to_string(), "cpus:0.25,disk:0,mem:128");
        assert!(spec.command.is_empty());
        assert_eq!(of(&json!({}), &json!(null)).priority, 100);
    }

    #[test]
    fn the_command_is_left_to_the_shell_and_inputs_are_its_variables() {
        let interface = json!({
            "command": "awk '{print}' ${IN_FILE} > ${OUTPUT_DIR}/x",
            "inputs": { "files": [{ "name": "in-file" }], "json": [{ "name": "N", "type": "integer" }] },
            "settings": [{ "name": "mode" }],
        });
        let spec = of(&interface, &json!({ "settings": { "mode": "{x}", "other": "y" } }));
        let command = "awk '{{print}}' ${{IN_FILE}} > ${{OUTPUT_DIR}}/x";
        assert_eq!(spec.command, ["/bin/sh", "-c", command]);
        let expected = [("MODE", "{{x}}"), ("OUTPUT_DIR", "."), ("IN_FILE", "{in-file?}"), ("N", "{N?}")];
        let env: Vec<(&str, &str)> = spec.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(env, expected);
    }
}
