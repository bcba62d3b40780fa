//! The task that carries out a launch, as a master is told of it: a `TaskInfo` of the v1 API.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::options::MesosOptions;
use super::resource::Resource;
use crate::launch::Launch;
use crate::model::FetchUri;

/// See the file.
#[derive(Default, Serialize)]
pub(super) struct Task<'l> {
    pub(super) task_id: Named<'l>,
    pub(super) name: &'l str,
    pub(super) agent_id: Named<'l>,
    pub(super) resources: &'l [Resource],
    /// None for a task of the framework's own executor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<Command<'l>>,
    /// A `ContainerInfo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) container: Option<Value>,
    /// What the framework's own executor is told, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    pub(super) kill_policy: KillPolicy,
    pub(super) labels: Labels<'l>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_completion_time: Option<Nanoseconds>,
}

#[derive(Default, Serialize)]
pub(super) struct Named<'l> {
    value: &'l str,
}

/// A `CommandInfo`: a program and its arguments, without a shell.
#[derive(Default, Serialize)]
pub(super) struct Command<'l> {
    pub(super) user: &'l str,
    pub(super) shell: bool,
    pub(super) value: Option<Cow<'l, str>>,
    /// The first of them is the name that the program goes by.
    pub(super) arguments: Vec<Cow<'l, str>>,
    pub(super) environment: Environment<'l>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) uris: Vec<Cow<'l, FetchUri>>,
}

#[derive(Default, Serialize)]
pub(super) struct Environment<'l> {
    variables: Vec<Variable<'l>>,
}

#[derive(Serialize)]
pub(super) struct Variable<'l> {
    pub(super) name: &'l str,
    pub(super) value: Cow<'l, str>,
}

#[derive(Default, Serialize)]
pub(super) struct KillPolicy {
    grace_period: Nanoseconds,
}

#[derive(Default, Serialize)]
pub(super) struct Nanoseconds {
    nanoseconds: u64,
}

#[derive(Default, Serialize)]
pub(super) struct Labels<'l> {
    labels: Vec<Label<'l>>,
}

#[derive(Serialize)]
struct Label<'l> {
    key: &'static str,
    value: Cow<'l, str>,
}

impl From<Duration> for Nanoseconds {
    fn from(length: Duration) -> Self {
        Self { nanoseconds: u64::try_from(length.as_nanos()).unwrap_or(u64::MAX) }
    }
}

impl<'l> Command<'l> {
    pub(super) fn new(user: &'l str, arguments: &'l [String], env: &'l [(String, String)]) -> Self {
        let variable = |(name, value): &'l (String, String)| Variable { name, value: value.into() };
        Self {
            user,
            shell: false,
            value: arguments.first().map(Into::into),
            arguments: arguments.iter().map(Into::into).collect(),
            environment: Environment { variables: env.iter().map(variable).collect() },
            uris: Vec::new(),
        }
    }

    pub(super) fn variables(&mut self) -> &mut [Variable<'l>] {
        &mut self.environment.variables
    }
}

impl<'l> Task<'l> {
    pub(super) fn new(
        launch: &'l Launch,
        (id, agent): (&'l str, &'l str),
        resources: &'l [Resource],
        env: &'l [(String, String)],
        options: &'l MesosOptions,
    ) -> Self {
        let label = |key, value| Label { key, value };
        Self {
            task_id: Named { value: id },
            name: &launch.cluster_id,
            agent_id: Named { value: agent },
            resources,
            command: Some(Command::new(&options.user, &launch.command, env)),
            container: None,
            data: None,
            kill_policy: KillPolicy { grace_period: options.kill_grace.into() },
            labels: Labels {
                labels: vec![
                    label("job", launch.job.to_string().into()),
                    label("job_type", (&launch.job_type).into()),
                    label("job_type_version", (&launch.job_type_version).into()),
                ],
            },
            max_completion_time: launch.timeout_s.map(|seconds| Duration::from_secs(seconds.into()).into()),
        }
    }

    /// As it is sent.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }

    /// Whether it runs in a container with an image, where it does not begin in its sandbox.
    pub(super) fn has_image(&self) -> bool {
        let has = |path| self.container.as_ref().is_some_and(|container| container.pointer(path).is_some());
        has("/docker/image") || has("/mesos/image")
    }
}

/// The environment of a launch, and the ports it was given.
pub(super) fn environment(launch: &Launch, resources: &[Resource]) -> Vec<(String, String)> {
    let mut env = launch.env.clone();
    let ports = resources.iter().filter(|part| part.name() == "ports").flat_map(Resource::numbers);
    let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
    if !ports.is_empty() {
        env.push(("PORTS".to_owned(), ports.join(",")));
        env.extend(ports.into_iter().enumerate().map(|(n, port)| (format!("PORT{n}"), port)));
    }
    env
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::model::{ExeId, JobId, LaunchName, NodeId, NodeResources};

    #[test]
    fn a_task_is_told_all_that_its_launch_says() {
        let launch = Launch {
            name: LaunchName { exe: ExeId(17), number: 2 },
            job: JobId(7),
            exe_num: 3,
            cluster_id: "scale_job_a_7x3".to_owned(),
            job_type: "kind".to_owned(),
            job_type_version: "1.0".to_owned(),
            node: NodeId(1),
            resources: Arc::new(NodeResources::new()),
            command: ["echo", "a b"].map(str::to_owned).to_vec(),
            env: vec![("WHO".to_owned(), "me".to_owned())],
            timeout_s: Some(60),
            gpus: Vec::new(),
            image: None,
            uris: Arc::default(),
            files: Arc::default(),
        };
        let env = environment(&launch, &[]);
        let mut options = MesosOptions::new("m").expect("an address");
        (options.kill_grace, options.user) = (Duration::from_secs(3), "u".to_owned());
        let task = Task::new(&launch, ("id", "a"), &[], &env, &options);
        let task: Value = serde_json::from_str(&task.text()).expect("JSON");
        assert_eq!((&task["task_id"]["value"], &task["agent_id"]["value"]), (&json!("id"), &json!("a")));
        assert_eq!(
            task["command"],
            json!({ "user": "u", "shell": false, "value": "echo", "arguments": ["echo", "a b"],
                "environment": { "variables": [{ "name": "WHO", "value": "me" }] } })
        );
        assert_eq!(task["max_completion_time"]["nanoseconds"], 60_000_000_000_u64);
        assert_eq!(task["kill_policy"]["grace_period"]["nanoseconds"], 3_000_000_000_u64);
        assert_eq!(task["labels"]["labels"][0], json!({ "key": "job", "value": "7" }));
    }
}
