//! An executor of the framework's own: on each agent one process for all its tasks.
//!
//! X1  An offer of an agent where none runs yet gives what it has less what the executor is to have: whatever is
//!     launched on it leaves room for that.
//! X2  Executors of one id on one agent are the same in every member, as Mesos demands: the id holds a checksum
//!     of them, and so of where their resources come from.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::base64::encode;
use super::call::named;
use super::event::Offered;
use super::resource::{Resource, take};
use crate::launch::Launch;
use crate::model::{NodeResources, Quantity};

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
}

/// How a task is told what to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Data {
    /// Its words, with a blank between two of them.
    #[default]
    Line,
    /// An object with its words and its environment.
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
    /// command in one line, or `"json"`, an object with `command` and `environment`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, ExecutorError> {
        let read: Self = serde_json::from_str(text)?;
        match ["type", "framework_id"].into_iter().find(|member| read.rest.contains_key(*member)) {
            Some(member) => Err(ExecutorError::NotYours { member }),
            None => Ok(read),
        }
    }

    /// With these resources; and its id.
    fn info(&self, framework_id: &str, resources: &[Resource]) -> (String, Value) {
        let mut info = Value::from(self.rest.clone());
        info["type"] = "CUSTOM".into();
        info["framework_id"] = named(framework_id);
        info["command"] = self.command.clone().into();
        info["resources"] = json!(resources);
        let id = format!("{}-{:016x}", self.name, checksum(&info.to_string()));
        info["executor_id"] = named(&id);
        (id, info)
    }

    /// What a task of this executor is told.
    fn data(&self, launch: &Launch, variables: &[(String, String)]) -> String {
        match self.data {
            Data::Line => encode(launch.command.join(" ").as_bytes()),
            Data::Json => {
                let environment: Map<String, Value> =
                    variables.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
                let told = json!({ "command": launch.command, "environment": environment });
                encode(told.to_string().as_bytes())
            }
        }
    }

    /// Makes a task one of this executor.
    pub(super) fn carry(&self, task: &mut Value, info: &Value, launch: &Launch, env: &[(String, String)]) {
        if let Some(task) = task.as_object_mut() {
            task.remove("command");
        }
        task["data"] = self.data(launch, env).into();
        task["executor"] = info.clone();
    }
}

/// The executors that are known by their ids.
#[derive(Debug, Default)]
pub(super) struct Executors(HashMap<String, Value>);

impl Executors {
    /// The executor for tasks on an offer. Where it does not run yet, what it is to have is taken out of what is
    /// offered: all of it, where that is too little.
    pub(super) fn of(
        &mut self,
        executor: &MesosExecutor,
        framework_id: &str,
        offered: &mut Offered,
    ) -> Value {
        let running = offered.executors.iter().filter_map(|id| self.0.get(id));
        if let Some(info) = running.into_iter().find(|info| role_of(info) == offered.role.as_deref()) {
            return info.clone();
        }
        let mut parts = offered.resources.clone();
        let taken = take(&mut parts, &executor.resources);
        let (id, info) = executor.info(framework_id, &taken);
        if !offered.executors.contains(&id) {
            let amount = |name: &str| {
                let amounts = taken.iter().filter(|part| part.name() == name).filter_map(Resource::amount);
                amounts.fold(Quantity::ZERO, |sum, amount| Quantity(sum.0.saturating_add(amount.0)))
            };
            let has_room = executor.resources.iter().all(|(name, need)| amount(name.as_str()) >= need);
            offered.replace(if has_room { parts } else { Vec::new() });
        }
        self.0.insert(id, info.clone());
        info
    }
}

/// The role that an executor's resources are allocated to; none where it has none.
fn role_of(info: &Value) -> Option<&str> {
    info["resources"][0]["allocation_info"]["role"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::mesos::event::Event;

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

    #[test]
    fn room_is_left_for_an_executor_where_none_runs() {
        let executor = MesosExecutor::parse(EXECUTOR).expect("an executor");
        let mut executors = Executors::default();
        let mut first = offered(&[0.3, 2.0], &[], "r");
        let info = executors.of(&executor, "f", &mut first);
        assert_eq!((amount(&first, "cpus"), amount(&first, "mem")), (1_800, 32_000));
        let cpus: Vec<Option<f64>> = [0, 1].map(|n| info["resources"][n]["scalar"]["value"].as_f64()).into();
        assert_eq!(cpus, [Some(0.3), Some(0.2)], "{info}");
        assert_eq!((&info["type"], &info["name"]), (&json!("CUSTOM"), &json!("n")));
        let id = info["executor_id"]["value"].as_str().expect("an id");
        // It runs: nothing is kept for it, and it is the same wherever its resources would come from now.
        let mut again = offered(&[2.0], &["other", id], "r");
        assert_eq!(executors.of(&executor, "f", &mut again), info);
        assert_eq!((amount(&again, "cpus"), amount(&again, "mem")), (2_000, 64_000));
        // After a restart it is known by its id.
        let mut known = offered(&[0.3, 2.0], &[id], "r");
        assert_eq!(Executors::default().of(&executor, "f", &mut known), info);
        assert_eq!(amount(&known, "cpus"), 2_300);
        // Tasks of another role have an executor of that role.
        let mut other = offered(&[2.0], &[id], "s");
        assert_ne!(executors.of(&executor, "f", &mut other)["executor_id"], info["executor_id"]);
        assert_eq!(amount(&other, "cpus"), 1_500);
        let mut small = offered(&[0.4], &[], "r");
        let _ = executors.of(&executor, "f", &mut small);
        assert_eq!(small.offer.amounts, [], "no room for it, so nothing can run there");
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
    }
}
