//! An executor of the framework's own: on each agent one process for all its tasks.
//!
//! X1  An offer of an agent where none runs yet gives what it has less what the executor is to have: whatever is
//!     launched on it leaves room for that.
//! X2  Executors of one id on one agent are the same in every member, as Mesos demands: the id holds a checksum
//!     of them, and so of where their resources come from.
//! X3  What an executor is follows from the file, the role, and the kinds of resources on its agent (not reserved, or
//!     reserved in one way or another), never from how much is free: so one that runs is known by its id alone, also
//!     to a daemon that has just been started.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::base64::encode;
use super::call::named;
use super::event::Offered;
use super::resource::{Kind, Resource};
use super::task::Task;
use crate::launch::Launch;
use crate::model::NodeResources;

/// Numbers of an agent, each of which is given to one task.
const PORTS: &str = "ports";

/// Most kinds of resources of one offer that an executor is looked for with, and most mixtures of them.
const KINDS_MAX: usize = 8;
const MIXTURES_MAX: usize = 256;

/// Why a text describes no executor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// It is no JSON, or an object without what it needs.
    #[error("no executor: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A member that is not for people to say.
    #[error("no executor: {member} is filled in at each launch")]
    NotYours {
        /// Which.
        member: &'static str,
    },
    /// Numbers are other ones on each agent, and on each offer.
    #[error("no executor: ports are for its tasks, not for itself")]
    Ports,
}

/// How a task is told what to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Data {
    /// Its words, with a blank between two of them.
    #[default]
    Line,
    /// An object with its words and its environment, its image and what is to be fetched for it.
    Json,
}

/// An executor of the framework's own, as Mesos describes one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MesosExecutor {
    #[serde(default = "name", rename = "executor_id")]
    name: String,
    command: Map<String, Value>,
    #[serde(default)]
    resources: NodeResources,
    #[serde(default)]
    data: Data,
    /// Handed on as it is.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn name() -> String {
    "weighbridge".to_owned()
}

/// FNV-1a: the same in every version of this program.
fn checksum(text: &str) -> u64 {
    let next = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, next)
}

impl MesosExecutor {
    /// Reads the members of an `ExecutorInfo` in JSON. Instead of Mesos' own, `executor_id` is a text,
    /// `resources` an object of names and amounts, and `data` says how tasks are told what to do: `"line"`, their
    /// command in one line, or `"json"`, an object with `command` and `environment`, and `image` and `uris` where a job
    /// type has those.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, ExecutorError> {
        let read: Self = serde_json::from_str(text)?;
        if read.resources.iter().any(|(name, _)| name.as_str() == PORTS) {
            return Err(ExecutorError::Ports);
        }
        match ["type", "framework_id"].into_iter().find(|member| read.rest.contains_key(*member)) {
            Some(member) => Err(ExecutorError::NotYours { member }),
            None => Ok(read),
        }
    }

    /// With these resources; and its id.
    fn info(&self, framework_id: &str, resources: &[Resource]) -> (String, Arc<Info>) {
        let mut info = Value::from(self.rest.clone());
        info["type"] = "CUSTOM".into();
        info["framework_id"] = named(framework_id);
        info["command"] = self.command.clone().into();
        info["resources"] = json!(resources);
        let id = format!("{}-{:016x}", self.name, checksum(&info.to_string()));
        info["executor_id"] = named(&id);
        (id, Arc::new(Info { text: info.to_string(), told: info }))
    }

    /// Whether an id is that of one of these: with whatever resources, and perhaps of another file.
    fn is_named_by(&self, id: &str) -> bool {
        let rest = id.strip_prefix(self.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    /// The one that runs already where an offer comes from.
    fn running(&self, framework_id: &str, offered: &Offered, kinds: &[Kind]) -> Option<(String, Arc<Info>)> {
        if !offered.executors.iter().any(|id| self.is_named_by(id)) {
            return None;
        }
        let mut mixtures: Vec<Vec<Resource>> = vec![Vec::new()];
        for (name, amount) in self.resources.iter() {
            let with = |mixture: &Vec<Resource>, kind: &Kind| {
                let mut longer = mixture.clone();
                longer.push(Resource::of_kind(kind, name.as_str(), amount));
                longer
            };
            let all = mixtures.iter().flat_map(|mixture| kinds.iter().map(move |kind| with(mixture, kind)));
            mixtures = all.take(MIXTURES_MAX).collect();
        }
        let all = mixtures.iter().map(|mixture| self.info(framework_id, mixture));
        all.into_iter().find(|(id, _)| offered.executors.contains(id))
    }

    /// Its resources out of these parts, each of one kind; none where there is no room for it.
    fn take(&self, parts: &mut [Resource], kinds: &[Kind]) -> Option<Vec<Resource>> {
        let all = self.resources.iter().map(|(name, amount)| {
            let mut mine = kinds.iter().map(|kind| Resource::of_kind(kind, name.as_str(), amount));
            mine.find(|mine| mine.take_out_of(parts))
        });
        all.collect()
    }

    /// What a task of this executor is told.
    fn data(&self, launch: &Launch, variables: &[(String, String)]) -> String {
        match self.data {
            Data::Line => encode(launch.command.join(" ").as_bytes()),
            Data::Json => {
                let environment: Map<String, Value> =
                    variables.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
                let mut told = json!({ "command": launch.command, "environment": environment });
                if let Some(image) = &launch.image {
                    told["image"] = json!(image);
                }
                if !launch.uris.is_empty() {
                    told["uris"] = json!(launch.uris);
                }
                encode(told.to_string().as_bytes())
            }
        }
    }

    /// Why a launch cannot be told to it.
    pub(super) fn cannot_tell(&self, launch: &Launch) -> Option<&'static str> {
        let is_told = self.data == Data::Json || (launch.image.is_none() && launch.uris.is_empty());
        let why = "it is to run in an image, or files are to be fetched for it, and the executor of \
                   --mesos-executor is told a line alone: have it take \"data\": \"json\", or take both out of the \
                   job type";
        (!is_told).then_some(why)
    }

    /// Makes a task one of this executor, which is to be added to it.
    pub(super) fn carry(&self, task: &mut Task<'_>, launch: &Launch, env: &[(String, String)]) {
        (task.command, task.data) = (None, Some(self.data(launch, env)));
    }
}

/// An executor as tasks name it.
#[derive(Debug, PartialEq)]
pub(super) struct Info {
    told: Value,
    /// The same as it is sent: made once for all of its tasks.
    text: String,
}

impl Info {
    /// Adds it to an object, which has other members.
    pub(super) fn add_to(&self, task: &mut String) {
        task.pop();
        task.push_str(",\"executor\":");
        task.push_str(&self.text);
        task.push('}');
    }
}

/// The executors that are known by their ids.
#[derive(Debug, Default)]
pub(super) struct Executors(HashMap<String, Arc<Info>>);

impl Executors {
    /// The executor for tasks on an offer. Where it does not run yet, what it is to have is taken out of what is
    /// offered. None where that is too little: then nothing is offered any more.
    pub(super) fn of(
        &mut self,
        executor: &MesosExecutor,
        framework_id: &str,
        offered: &mut Offered,
    ) -> Option<Arc<Info>> {
        let running = offered.executors.iter().filter_map(|id| self.0.get(id));
        if let Some(info) = running.into_iter().find(|info| role_of(info) == offered.role.as_deref()) {
            return Some(info.clone());
        }
        let kinds = kinds(offered);
        if let Some((id, info)) = executor.running(framework_id, offered, &kinds) {
            self.0.insert(id, info.clone());
            return Some(info);
        }
        let mut parts = offered.resources.clone();
        let Some(taken) = executor.take(&mut parts, &kinds) else {
            offered.replace(Vec::new());
            return None;
        };
        let (id, info) = executor.info(framework_id, &taken);
        offered.replace(parts);
        self.0.insert(id, info.clone());
        Some(info)
    }
}

/// The kinds of what an offer has: first what is not reserved, whether it has some of that now or not.
fn kinds(offered: &Offered) -> Vec<Kind> {
    let mut kinds = vec![Kind::plain(offered.role.as_deref())];
    for kind in offered.resources.iter().filter_map(Resource::kind) {
        if kinds.len() < KINDS_MAX && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

/// The role that an executor's resources are allocated to; none where it has none.
fn role_of(info: &Info) -> Option<&str> {
    info.told["resources"][0]["allocation_info"]["role"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::mesos::event::Event;
    use crate::model::{ExeId, FetchUri, JobId, LaunchName, NodeId};

    const EXECUTOR: &str = r#"{ "executor_id": "x", "command": { "value": "run" }, "name": "n",
        "resources": { "cpus": 0.5, "mem": 32 } }"#;

    /// An offer of one role, as it is read.
    fn offered(cpus: &[f64], running: &[&str], role: &str) -> Offered {
        let part = |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value }, "allocation_info": { "role": role } });
        let resources: Vec<Value> =
            cpus.iter().map(|cpus| part("cpus", *cpus)).chain([part("mem", 64.0)]).collect();
        let ids: Vec<Value> = running.iter().map(|id| named(id)).collect();
        let event = json!({ "type": "OFFERS", "offers": { "offers": [{ "id": { "value": "o" },
            "agent_id": { "value": "a" }, "hostname": "h", "resources": resources, "executor_ids": ids,
            "allocation_info": { "role": role } }] } });
        let Ok(Event::Offers(mut offers)) = Event::read(event.to_string().as_bytes()) else {
            panic!("{event}")
        };
        offers.remove(0)
    }

    fn amount(offered: &Offered, name: &str) -> u64 {
        offered.offer.amounts.iter().filter(|part| part.name == name).map(|part| part.amount.0).sum()
    }

    /// Reserves all cpus.
    fn reserve(offered: &mut Offered) {
        let mut parts = json!(offered.resources);
        for part in parts.as_array_mut().expect("parts").iter_mut().filter(|part| part["name"] == "cpus") {
            part["reservations"] = json!([{ "role": "r", "type": "STATIC" }]);
        }
        offered.replace(serde_json::from_value(parts).expect("resources"));
    }

    fn id(info: &Info) -> &str {
        info.told["executor_id"]["value"].as_str().expect("an id")
    }

    #[test]
    fn room_is_left_for_an_executor_where_none_runs() {
        let executor = MesosExecutor::parse(EXECUTOR).expect("an executor");
        let mut executors = Executors::default();
        let mut first = offered(&[0.3, 2.0], &[], "r");
        let info = executors.of(&executor, "f", &mut first).expect("room");
        assert_eq!((amount(&first, "cpus"), amount(&first, "mem")), (1_800, 32_000));
        let part = |name: &str, value: f64| json!({ "name": name, "scalar": { "value": value }, "type": "SCALAR", "allocation_info": { "role": "r" } });
        assert_eq!(info.told["resources"], json!([part("cpus", 0.5), part("mem", 32.0)]));
        assert_eq!((&info.told["type"], &info.told["name"]), (&json!("CUSTOM"), &json!("n")));
        // It runs: nothing is kept for it, and it is the same wherever its resources would come from now.
        let mut again = offered(&[2.0], &["other", id(&info)], "r");
        assert_eq!(executors.of(&executor, "f", &mut again), Some(info.clone()));
        assert_eq!((amount(&again, "cpus"), amount(&again, "mem")), (2_000, 64_000));
        let mut task = r#"{"name":"t"}"#.to_owned();
        info.add_to(&mut task);
        let task: Value = serde_json::from_str(&task).expect("JSON");
        assert_eq!(task, json!({ "name": "t", "executor": info.told }));
        // Tasks of another role have an executor of that role.
        let mut other = offered(&[2.0], &[id(&info)], "s");
        let of_other = executors.of(&executor, "f", &mut other).expect("room");
        assert_ne!(id(&of_other), id(&info));
        assert_eq!(amount(&other, "cpus"), 1_500);
    }

    #[test]
    fn an_executor_that_runs_is_known_after_a_restart_however_little_is_free() {
        let executor = MesosExecutor::parse(EXECUTOR).expect("an executor");
        let check = |is_reserved: bool, cpus: f64| {
            let offered = |cpus: f64, running: &[&str]| {
                let mut offered = offered(&[cpus], running, "r");
                if is_reserved {
                    reserve(&mut offered);
                }
                offered
            };
            let info = Executors::default().of(&executor, "f", &mut offered(4.0, &[])).expect("room");
            assert_eq!(info.told["resources"][0].get("reservations").is_some(), is_reserved, "{}", info.text);
            let mut rest = offered(cpus, &["other", id(&info)]);
            assert_eq!(Executors::default().of(&executor, "f", &mut rest).as_ref(), Some(&info));
            assert_eq!(rest.offer.amounts, offered(cpus, &[]).offer.amounts, "all of it is for tasks");
        };
        for cpus in [4.0, 0.4, 0.001] {
            check(false, cpus);
            check(true, cpus);
        }
        // One of a former file is another one.
        let mut rest = offered(&[4.0], &["x-0123456789abcdef"], "r");
        let _ = Executors::default().of(&executor, "f", &mut rest);
        assert_eq!(amount(&rest, "cpus"), 3_500);
    }

    #[test]
    fn where_there_is_no_room_nothing_can_run_and_nothing_is_remembered() {
        let executor = MesosExecutor::parse(EXECUTOR).expect("an executor");
        let mut executors = Executors::default();
        for cpus in [0.1, 0.2, 0.4] {
            let mut small = offered(&[cpus], &[], "r");
            assert_eq!(executors.of(&executor, "f", &mut small), None);
            assert_eq!(small.offer.amounts, []);
        }
        assert_eq!(executors.0.len(), 0);
        // However much is free, it is the same executor.
        for cpus in [0.5, 0.7, 0.9] {
            let _ = executors.of(&executor, "f", &mut offered(&[cpus], &[], "r"));
        }
        assert_eq!(executors.0.len(), 1);
    }

    #[test]
    fn an_executor_that_takes_json_is_told_of_image_and_files_and_one_that_takes_a_line_cannot_be() {
        let plain = Launch {
            name: LaunchName { exe: ExeId(1), number: 1 },
            job: JobId(1),
            exe_num: 1,
            cluster_id: String::new(),
            job_type: "a".to_owned(),
            job_type_version: "1".to_owned(),
            node: NodeId(1),
            resources: Arc::new(NodeResources::new()),
            command: ["run", "it"].map(str::to_owned).to_vec(),
            env: Vec::new(),
            image: None,
            uris: Arc::default(),
            files: Arc::default(),
            timeout_s: None,
            gpus: Vec::new(),
        };
        let boxed = Launch { image: Some("h/a:1".into()), ..plain.clone() };
        let fetches = Launch { uris: [FetchUri::new("/x")].into(), ..plain.clone() };
        let executor = |data: &str| {
            let text = format!(r#"{{ "command": {{}}, "data": "{data}" }}"#);
            MesosExecutor::parse(&text).expect("an executor")
        };
        let (line, json) = (executor("line"), executor("json"));
        assert_eq!(line.cannot_tell(&plain), None);
        assert_eq!(line.data(&plain, &[]), encode(b"run it"));
        let told = json!({ "command": ["run", "it"], "environment": {} });
        let check = |launch: &Launch, more: &[(&str, Value)]| {
            assert_eq!(json.cannot_tell(launch), None);
            let mut told = told.clone();
            for (name, value) in more {
                told[*name] = value.clone();
            }
            assert_eq!(json.data(launch, &[]), encode(told.to_string().as_bytes()));
        };
        check(&plain, &[]);
        check(&boxed, &[("image", json!("h/a:1"))]);
        check(&fetches, &[("uris", json!([{ "value": "/x" }]))]);
        for launch in [boxed, fetches] {
            assert!(line.cannot_tell(&launch).is_some_and(|why| why.contains("json")));
        }
    }

    #[test]
    fn an_executor_is_read_or_refused_in_words() {
        let check = |text: &str, part: &str| {
            let error = MesosExecutor::parse(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("[1]", "no executor");
        check("{}", "command");
        check(r#"{"command": {}, "framework_id": {}}"#, "framework_id");
        check(r#"{"command": {}, "data": "x"}"#, "unknown variant");
        check(r#"{"command": {}, "resources": {"cpus": -1}}"#, "no executor");
        check(r#"{"command": {}, "resources": {"ports": 1}}"#, "ports");
    }
}
