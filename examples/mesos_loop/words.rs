//! Between the words of Mesos and those of weighbridge: offers, tasks, states.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weighbridge::{
    AgentId, Launch, NewOffer, OfferId, Outcome, Quantity, ResourceName, RoleAmount, Roles, TaskState, Usage,
};

use super::Anything;

/// The text there; empty where there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// An offer. A resource comes in several parts where some of it is reserved, each for a role; an amount finer
/// than a thousandth is rounded down. Ranges and sets, such as ports, are left out.
pub(crate) fn offered(offer: &Value) -> Anything<NewOffer> {
    let mut amounts = Vec::new();
    for resource in offer["resources"].as_array().into_iter().flatten() {
        if let Some(amount) = resource["scalar"]["value"].as_f64() {
            let role = resource["role"].as_str().unwrap_or(Roles::ANY).into();
            let amount = Quantity::from_f64(amount, false)?;
            amounts.push(RoleAmount { role, name: text(&resource["name"]).to_owned(), amount });
        }
    }
    let mut attributes = BTreeMap::new();
    for attribute in offer["attributes"].as_array().into_iter().flatten() {
        let value = match &attribute["scalar"]["value"] {
            Value::Number(number) => number.to_string(),
            _ => text(&attribute["text"]["value"]).to_owned(),
        };
        attributes.insert(text(&attribute["name"]).to_owned(), value);
    }
    let id = OfferId::new(text(&offer["id"]["value"]))?;
    let agent = AgentId::new(text(&offer["agent_id"]["value"]))?;
    Ok(NewOffer { id, agent, host: text(&offer["hostname"]).to_owned(), amounts, attributes })
}

/// The task that carries out a launch. Its id is the launch's name, `EXECUTION.NUMBER`, which no other launch
/// ever has.
pub(crate) fn task(launch: &Launch, agent: &AgentId) -> Value {
    let scalar = |(name, amount): (&ResourceName, Quantity)| json!({ "name": name.as_str(), "type": "SCALAR", "scalar": { "value": amount } });
    let resources = launch.resources.iter().filter(|(_, amount)| *amount > Quantity::ZERO).map(scalar);
    let variables = launch.env.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    let mut task = json!({
        "task_id": { "value": launch.name.to_string() },
        "name": launch.cluster_id,
        "agent_id": { "value": agent.as_str() },
        "resources": resources.collect::<Vec<_>>(),
        "command": {
            "shell": false,
            "value": launch.command.first(),
            "arguments": launch.command,
            "environment": { "variables": variables.collect::<Vec<_>>() },
        },
    });
    if let Some(seconds) = launch.timeout_s {
        task["max_completion_time"] = json!({ "nanoseconds": u64::from(seconds) * 1_000_000_000 });
    }
    task
}

/// What a status of a task says of its launch.
pub(crate) fn state(status: &Value) -> TaskState {
    let (state, why) = (text(&status["state"]), text(&status["reason"]));
    let reason = || format!("{state}, {why}: {}", text(&status["message"]));
    let ended = |outcome| TaskState::Ended { outcome, usage: Usage::default() };
    match (state, why) {
        ("TASK_FINISHED", _) => ended(Outcome::Exited { code: 0 }),
        (_, "REASON_MAX_COMPLETION_TIME_REACHED") => ended(Outcome::TimedOut),
        // Mesos tells the exit code in words alone.
        ("TASK_FAILED", _) => ended(Outcome::Exited { code: 1 }),
        ("TASK_ERROR", _) => ended(Outcome::NotStarted { reason: reason() }),
        // It never ran: the same execution is launched again, under the next number.
        ("TASK_DROPPED", _) => TaskState::Refused { reason: reason() },
        // The cluster's fault, which uses up no try of the job. Where it does run after all, it is ended.
        ("TASK_LOST" | "TASK_GONE" | "TASK_GONE_BY_OPERATOR" | "TASK_UNREACHABLE" | "TASK_UNKNOWN", _)
        | ("TASK_KILLED", "REASON_AGENT_DRAINING" | "REASON_SLAVE_DRAINING") => {
            ended(Outcome::Lost { reason: reason() })
        }
        ("TASK_KILLED", _) => ended(Outcome::Canceled),
        _ => TaskState::Running,
    }
}
