//! What a scheduler tells a master: the calls of the v1 API in JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::event::Status;
use super::options::MesosOptions;
use super::resource::Resource;
use crate::launch::Launch;
use crate::model::OfferId;

/// A call without the framework's id, which each of them names.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    kind: &'static str,
    /// In JSON.
    part: Option<String>,
}

pub(super) fn named(value: &str) -> Value {
    json!({ "value": value })
}

fn task_of(id: &str, agent: Option<&str>) -> Value {
    let mut task = json!({ "task_id": named(id) });
    if let Some(agent) = agent {
        task["agent_id"] = named(agent);
    }
    task
}

fn filters(refuse: Duration) -> Value {
    json!({ "refuse_seconds": refuse.as_secs_f64() })
}

impl Call {
    fn new(kind: &'static str, part: &Value) -> Self {
        Self { kind, part: Some(part.to_string()) }
    }

    /// The whole message.
    pub(crate) fn body(&self, framework_id: &str) -> Vec<u8> {
        let Self { kind, part } = self;
        let member = part.as_ref().map(|part| format!(r#","{}":{part}"#, kind.to_lowercase()));
        let (framework, member) = (named(framework_id), member.unwrap_or_default());
        format!(r#"{{"type":"{kind}","framework_id":{framework}{member}}}"#).into_bytes()
    }

    /// Launches tasks, each an object in JSON, on offers of one agent; what they leave is offered again as soon as
    /// may be.
    pub(crate) fn accept<'o>(offers: impl Iterator<Item = &'o OfferId>, tasks: &[String]) -> Self {
        let offers = Value::from(offers.map(|offer| named(offer.as_str())).collect::<Vec<_>>());
        let launch = format!(r#"{{"type":"LAUNCH","launch":{{"task_infos":[{}]}}}}"#, tasks.join(","));
        let filters = filters(Duration::ZERO);
        let part = format!(r#"{{"offer_ids":{offers},"operations":[{launch}],"filters":{filters}}}"#);
        Self { kind: "ACCEPT", part: Some(part) }
    }

    /// Gives offers back; the same resources come again after `refuse` at the earliest.
    pub(crate) fn decline<'o>(offers: impl Iterator<Item = &'o OfferId>, refuse: Duration) -> Self {
        let offers: Vec<Value> = offers.map(|offer| named(offer.as_str())).collect();
        Self::new("DECLINE", &json!({ "offer_ids": offers, "filters": filters(refuse) }))
    }

    /// Agrees to leave agents before their maintenance. The master asks again after `refuse` at the earliest.
    pub(crate) fn accept_inverse<'o>(offers: impl Iterator<Item = &'o OfferId>, refuse: Duration) -> Self {
        let offers: Vec<Value> = offers.map(|offer| named(offer.as_str())).collect();
        let part = json!({ "inverse_offer_ids": offers, "filters": filters(refuse) });
        Self::new("ACCEPT_INVERSE_OFFERS", &part)
    }

    /// Says that a status is kept; none where nobody waits for word of it.
    pub(crate) fn acknowledge(status: &Status) -> Option<Self> {
        let (uuid, agent) = (status.uuid.as_ref()?, status.agent_id.as_ref()?);
        let (agent, task) = (named(&agent.value), named(&status.task_id.value));
        Some(Self::new("ACKNOWLEDGE", &json!({ "agent_id": agent, "task_id": task, "uuid": uuid })))
    }

    /// Ends a task; as its launch said, or at once.
    pub(crate) fn kill(task_id: &str, agent: Option<&str>, is_forced: bool) -> Self {
        let mut part = task_of(task_id, agent);
        if is_forced {
            part["kill_policy"] = json!({ "grace_period": { "nanoseconds": 0 } });
        }
        Self::new("KILL", &part)
    }

    /// Asks what became of tasks; the answers are statuses. Of none: of all the master knows. A master that is
    /// told the agent knows what it does not know: a task that an agent it has does not have is gone.
    pub(crate) fn reconcile<'t>(tasks: impl Iterator<Item = (&'t str, Option<&'t str>)>) -> Self {
        let tasks: Vec<Value> = tasks.map(|(id, agent)| task_of(id, agent)).collect();
        Self::new("RECONCILE", &json!({ "tasks": tasks }))
    }

    /// No offers, until `revive`.
    pub(crate) fn suppress() -> Self {
        Self { kind: "SUPPRESS", part: None }
    }

    /// Offers, also of what was declined.
    pub(crate) fn revive() -> Self {
        Self { kind: "REVIVE", part: None }
    }
}

/// The first call of all, as a framework that was here before where its id is known.
pub(crate) fn subscribe(options: &MesosOptions, framework_id: Option<&str>) -> Vec<u8> {
    let mut capabilities =
        vec!["PARTITION_AWARE", "TASK_KILLING_STATE", "MULTI_ROLE", "RESERVATION_REFINEMENT"];
    if options.gpus {
        capabilities.push("GPU_RESOURCES");
    }
    let capabilities: Vec<Value> = capabilities.into_iter().map(|kind| json!({ "type": kind })).collect();
    let mut info = json!({
        "name": options.name,
        "user": options.user,
        "roles": options.roles,
        "checkpoint": options.checkpoint,
        "failover_timeout": options.failover.as_secs_f64(),
        "capabilities": capabilities,
    });
    let optional = [("principal", &options.principal), ("webui_url", &options.webui_url)];
    for (member, value) in optional {
        if let Some(value) = value {
            info[member] = value.as_str().into();
        }
    }
    let mut body = json!({ "type": "SUBSCRIBE" });
    if let Some(id) = framework_id {
        info["id"] = named(id);
        body["framework_id"] = named(id);
    }
    body["subscribe"] = json!({ "framework_info": info });
    body.to_string().into_bytes()
}

/// The environment of a launch, and the ports it was given.
pub(crate) fn environment(launch: &Launch, resources: &[Resource]) -> Vec<(String, String)> {
    let mut env = launch.env.clone();
    let ports = resources.iter().filter(|part| part.name() == "ports").flat_map(Resource::numbers);
    let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
    if !ports.is_empty() {
        env.push(("PORTS".to_owned(), ports.join(",")));
        env.extend(ports.into_iter().enumerate().map(|(n, port)| (format!("PORT{n}"), port)));
    }
    env
}

/// The task that carries out a launch.
pub(crate) fn task(
    launch: &Launch,
    (id, agent): (&str, &str),
    resources: &[Resource],
    env: &[(String, String)],
    options: &MesosOptions,
) -> Value {
    let variables = env.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    let label = |key: &str, value: String| json!({ "key": key, "value": value });
    let nanoseconds =
        |length: Duration| json!({ "nanoseconds": u64::try_from(length.as_nanos()).unwrap_or(u64::MAX) });
    let mut task = json!({
        "task_id": named(id),
        "name": launch.cluster_id,
        "agent_id": named(agent),
        "resources": resources,
        "command": {
            "user": options.user,
            "shell": false,
            "value": launch.command.first(),
            "arguments": launch.command,
            "environment": { "variables": variables.collect::<Vec<_>>() },
        },
        "kill_policy": { "grace_period": nanoseconds(options.kill_grace) },
        "labels": { "labels": [
            label("job", launch.job.to_string()),
            label("job_type", launch.job_type.clone()),
            label("job_type_version", launch.job_type_version.clone()),
        ] },
    });
    if let Some(seconds) = launch.timeout_s {
        task["max_completion_time"] = nanoseconds(Duration::from_secs(seconds.into()));
    }
    task
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::driver::mesos::event::Text;
    use crate::model::{ExeId, JobId, LaunchName, NodeId, NodeResources};

    fn body(call: &Call) -> Value {
        serde_json::from_slice(&call.body("f")).expect("JSON")
    }

    #[test]
    fn calls_are_what_the_api_takes() {
        let offers = [OfferId::new("o").expect("a name")];
        let framework = json!({ "value": "f" });
        let declined = json!({ "type": "DECLINE", "framework_id": framework,
            "decline": { "offer_ids": [{ "value": "o" }], "filters": { "refuse_seconds": 5.0 } } });
        assert_eq!(body(&Call::decline(offers.iter(), Duration::from_secs(5))), declined);
        let accepted = body(&Call::accept(offers.iter(), &[r#"{"name":"t"}"#.to_owned()]));
        assert_eq!(accepted["accept"]["operations"][0]["launch"]["task_infos"], json!([{ "name": "t" }]));
        let agreed = body(&Call::accept_inverse(offers.iter(), Duration::from_secs(5)));
        assert_eq!(agreed["accept_inverse_offers"]["inverse_offer_ids"], json!([{ "value": "o" }]));
        assert_eq!(body(&Call::revive()), json!({ "type": "REVIVE", "framework_id": framework }));
        let asked = body(&Call::reconcile([("t", None), ("u", Some("a"))].into_iter()));
        let (t, u) = (json!({ "value": "t" }), json!({ "value": "u" }));
        let agent = json!({ "value": "a" });
        assert_eq!(
            asked["reconcile"],
            json!({ "tasks": [{ "task_id": t }, { "task_id": u, "agent_id": agent }] })
        );
        assert_eq!(body(&Call::kill("t", None, false))["kill"], json!({ "task_id": t }));
        let at_once = json!({ "grace_period": { "nanoseconds": 0 } });
        assert_eq!(
            body(&Call::kill("t", Some("a"), true))["kill"],
            json!({ "task_id": t, "agent_id": agent, "kill_policy": at_once })
        );
        let text = |value: &str| Text { value: value.to_owned() };
        let mut status = Status { task_id: text("t"), agent_id: Some(text("a")), ..Status::default() };
        assert!(Call::acknowledge(&status).is_none(), "the answer to a reconciliation");
        status.uuid = Some("dQ==".to_owned());
        let kept = body(&Call::acknowledge(&status).expect("a call"));
        assert_eq!(
            kept["acknowledge"],
            json!({ "agent_id": { "value": "a" }, "task_id": { "value": "t" }, "uuid": "dQ==" })
        );
    }

    #[test]
    fn a_subscription_says_who_it_is() {
        let mut options = MesosOptions::new("http://h:1").expect("an address");
        let read = |options: &MesosOptions, id| -> Value {
            serde_json::from_slice(&subscribe(options, id)).expect("JSON")
        };
        let new = read(&options, None);
        let info = &new["subscribe"]["framework_info"];
        assert_eq!(
            (&new["framework_id"], &info["id"], &info["principal"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!((&info["roles"], &info["checkpoint"]), (&json!(["*"]), &json!(true)));
        options.principal = Some("p".to_owned());
        options.gpus = true;
        let again = read(&options, Some("f"));
        let info = &again["subscribe"]["framework_info"];
        assert_eq!(
            (&again["framework_id"], &info["id"]),
            (&json!({ "value": "f" }), &json!({ "value": "f" }))
        );
        assert_eq!(info["principal"], "p");
        assert!(
            info["capabilities"]
                .as_array()
                .is_some_and(|all| all.contains(&json!({ "type": "GPU_RESOURCES" })))
        );
    }

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
        let task = task(&launch, ("id", "a"), &[], &env, &options);
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
