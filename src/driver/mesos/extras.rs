//! What tasks have beside a command: files to fetch, and a container. A job type says so; a file of the daemon's
//! stands above it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::options::MesosOptions;
use super::task::Task;
use crate::launch::Launch;
use crate::model::FetchUri;

/// What runs tasks in the images of their job types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MesosContainerizer {
    /// The containerizer of Mesos itself, which fetches Docker's images.
    #[default]
    Mesos,
    /// Docker.
    Docker,
}

/// What tasks of job types have in place of what those say, by job type as `NAME` or `NAME:VERSION`: files to fetch,
/// and a container.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MesosTasks(BTreeMap<String, Extras>);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extras {
    /// In place of those of the job type.
    uris: Option<Vec<FetchUri>>,
    /// A `ContainerInfo` of Mesos, handed on as it is, in place of one with the image of the job type.
    container: Option<Map<String, Value>>,
}

/// Why a text does not say what tasks have.
#[derive(Debug, thiserror::Error)]
#[error("no object of job types with `uris` and `container`: {0}")]
pub struct MesosTasksError(#[from] serde_json::Error);

impl MesosTasks {
    /// Reads an object in JSON: by job type `uris`, a list of Mesos' `CommandInfo.URI`, and `container`, its
    /// `ContainerInfo`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, MesosTasksError> {
        Ok(serde_json::from_str(text)?)
    }

    /// What a job type has; that of its version alone, where there is such.
    fn of(&self, launch: &Launch) -> Option<&Extras> {
        let of_version = self.0.get(&format!("{}:{}", launch.job_type, launch.job_type_version));
        of_version.or_else(|| self.0.get(&launch.job_type))
    }
}

impl MesosContainerizer {
    fn container(self, image: &str) -> Value {
        match self {
            Self::Mesos => json!({ "type": "MESOS",
                "mesos": { "image": { "type": "DOCKER", "docker": { "name": image } } } }),
            Self::Docker => json!({ "type": "DOCKER", "docker": { "image": image } }),
        }
    }
}

/// Gives a task what its job type has, and what the options say.
pub(super) fn carry<'l>(task: &mut Task<'l>, launch: &'l Launch, options: &'l MesosOptions) {
    let extras = options.tasks.as_ref().and_then(|tasks| tasks.of(launch));
    let uris = extras.and_then(|extras| extras.uris.as_deref()).unwrap_or(&launch.uris);
    let own = || launch.image.as_deref().map(|image| options.containerizer.container(image));
    task.container = extras.and_then(|extras| extras.container.clone()).map(Value::from).or_else(own);
    let Some(command) = &mut task.command else { return };
    command.uris = uris.iter().map(Cow::Borrowed).collect();
    let is_docker = task.container.as_ref().is_some_and(|container| container["type"] == "DOCKER");
    if is_docker && !command.arguments.is_empty() {
        // There the arguments follow the program, and do not begin with it.
        command.arguments.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{ExeId, JobId, LaunchName, NodeId, NodeResources};

    fn launch(name: &str, version: &str, image: Option<&str>, uris: &[FetchUri]) -> Launch {
        Launch {
            name: LaunchName { exe: ExeId(1), number: 1 },
            job: JobId(1),
            exe_num: 1,
            cluster_id: String::new(),
            job_type: name.to_owned(),
            job_type_version: version.to_owned(),
            node: NodeId(1),
            resources: Arc::new(NodeResources::new()),
            command: ["run", "it"].map(str::to_owned).to_vec(),
            env: Vec::new(),
            image: image.map(Into::into),
            uris: uris.into(),
            files: Arc::default(),
            timeout_s: None,
            gpus: Vec::new(),
        }
    }

    /// What is carried out beside the program, and the container.
    fn carried(launch: &Launch, options: &MesosOptions) -> (Value, Value) {
        let mut task = Task::new(launch, ("", ""), &[], &[], options);
        carry(&mut task, launch, options);
        let mut told: Value = serde_json::from_str(&task.text()).expect("JSON");
        let command = told["command"].as_object_mut().expect("an object");
        command.retain(|name, _| ["arguments", "uris"].contains(&name.as_str()));
        (told["command"].take(), told["container"].take())
    }

    #[test]
    fn a_task_has_what_its_job_type_has() {
        let mut options = MesosOptions::new("m").expect("an address");
        let both = ["run", "it"];
        assert_eq!(
            carried(&launch("a", "1", None, &[]), &options),
            (json!({ "arguments": both }), Value::Null)
        );
        let uris = [FetchUri { executable: true, ..FetchUri::new("/x") }];
        let told = launch("a", "1", Some("h/a:1"), &uris);
        let in_mesos = json!({ "type": "MESOS", "mesos": { "image": { "type": "DOCKER", "docker": { "name": "h/a:1" } } } });
        let fetched = json!([{ "value": "/x", "executable": true }]);
        assert_eq!(carried(&told, &options), (json!({ "arguments": both, "uris": fetched }), in_mesos));
        options.containerizer = MesosContainerizer::Docker;
        let in_docker = json!({ "type": "DOCKER", "docker": { "image": "h/a:1" } });
        assert_eq!(carried(&told, &options), (json!({ "arguments": ["it"], "uris": fetched }), in_docker));
    }

    #[test]
    fn a_file_of_the_daemon_stands_above_a_job_type() {
        let tasks = MesosTasks::parse(
            r#"{ "a": { "uris": [{ "value": "http://h/x.tgz", "cache": true }] }, "c": { "uris": [] },
                 "a:2": { "container": { "type": "DOCKER", "docker": { "image": "b" }, "hostname": "n" } } }"#,
        );
        let mut options = MesosOptions::new("m").expect("an address");
        options.tasks = Some(tasks.expect("tasks"));
        let of = |name: &str, version: &str| {
            carried(&launch(name, version, Some("i"), &[FetchUri::new("/own")]), &options)
        };
        let (command, container) = of("a", "1");
        assert_eq!(command["uris"], json!([{ "value": "http://h/x.tgz", "cache": true }]));
        assert_eq!(container["mesos"]["image"]["docker"]["name"], "i");
        let (command, container) = of("a", "2");
        assert_eq!(command, json!({ "arguments": ["it"], "uris": [{ "value": "/own" }] }));
        assert_eq!(container, json!({ "type": "DOCKER", "docker": { "image": "b" }, "hostname": "n" }));
        assert_eq!(of("b", "1").0["uris"], json!([{ "value": "/own" }]));
        assert_eq!(of("c", "1").0["uris"], Value::Null);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for bad in ["[]", r#"{"a": {"image": "x"}}"#, r#"{"a": {"uris": [{"value": "x", "unpack": true}]}}"#]
        {
            MesosTasks::parse(bad).expect_err(bad);
        }
    }
}
