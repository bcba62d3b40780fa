//! What the tasks of a job type have beside what the job type says: files to fetch, and a container.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::launch::Launch;

/// See the file: by job type, as `NAME` or `NAME:VERSION`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MesosTasks(BTreeMap<String, Extras>);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extras {
    #[serde(default)]
    uris: Vec<Uri>,
    /// A `ContainerInfo` of Mesos, handed on as it is.
    container: Option<Map<String, Value>>,
}

/// A file that is fetched into the sandbox before the command starts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Uri {
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    extract: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_file: Option<String>,
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

    /// Gives a task what its job type has; that of its version alone, where there is such.
    pub(super) fn carry(&self, task: &mut Value, launch: &Launch) {
        let of_version = self.0.get(&format!("{}:{}", launch.job_type, launch.job_type_version));
        let Some(extras) = of_version.or_else(|| self.0.get(&launch.job_type)) else { return };
        if !extras.uris.is_empty() {
            task["command"]["uris"] = json!(extras.uris);
        }
        if let Some(container) = &extras.container {
            task["container"] = container.clone().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{ExeId, JobId, LaunchName, NodeId, NodeResources};

    #[test]
    fn a_task_has_what_its_job_type_has() {
        let tasks = MesosTasks::parse(
            r#"{ "a": { "uris": [{ "value": "http://h/x.tgz", "extract": true, "cache": false }] },
                 "a:2": { "container": { "type": "MESOS", "mesos": { "image": { "type": "DOCKER" } } } } }"#,
        );
        let tasks = tasks.expect("tasks");
        let carried = |name: &str, version: &str| {
            let launch = Launch {
                name: LaunchName { exe: ExeId(1), number: 1 },
                job: JobId(1),
                exe_num: 1,
                cluster_id: String::new(),
                job_type: name.to_owned(),
                job_type_version: version.to_owned(),
                node: NodeId(1),
                resources: Arc::new(NodeResources::new()),
                command: Vec::new(),
                env: Vec::new(),
                timeout_s: None,
                gpus: Vec::new(),
            };
            let mut task = json!({ "command": { "value": "run" } });
            tasks.carry(&mut task, &launch);
            task
        };
        let uri = json!({ "value": "http://h/x.tgz", "extract": true, "cache": false });
        assert_eq!(carried("a", "1"), json!({ "command": { "value": "run", "uris": [uri] } }));
        let container = json!({ "type": "MESOS", "mesos": { "image": { "type": "DOCKER" } } });
        assert_eq!(carried("a", "2"), json!({ "command": { "value": "run" }, "container": container }));
        assert_eq!(carried("b", "1"), json!({ "command": { "value": "run" } }));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for bad in ["[]", r#"{"a": {"image": "x"}}"#, r#"{"a": {"uris": [{"value": "x", "unpack": true}]}}"#]
        {
            MesosTasks::parse(bad).expect_err(bad);
        }
    }
}
