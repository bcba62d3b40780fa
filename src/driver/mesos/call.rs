//! What a scheduler tells a master: the calls of the v1 API in JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::event::Status;
use super::options::MesosOptions;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::mesos::event::Text;

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
}
