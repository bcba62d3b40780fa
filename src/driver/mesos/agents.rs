//! The agents that a master knows, as it tells its operators: where each listens, and what it has in all, since an
//! offer has only what is free.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::address::Address;
use super::ask::{Asked, told};
use super::event::Text;
use super::http::OPERATOR;
use super::options::MesosOptions;
use super::resource::{Resource, sum};
use super::session::authorization;
use crate::limits::MESOS_RECORD_BYTES_MAX;
use crate::model::{AgentId, NodeResources};

/// Masters that send elsewhere, one after the other.
const REDIRECTS_MAX: usize = 5;

/// An agent.
pub(super) struct Agent {
    /// None where its name is none.
    pub(super) id: Option<AgentId>,
    /// Its machine.
    pub(super) host: String,
    /// None where its address cannot be read.
    pub(super) place: Option<Place>,
    pub(super) total: NodeResources,
}

/// Where an agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// None where its name is none.
    pub(super) id: Option<AgentId>,
    pub(super) address: Address,
    /// The path of its API: an agent may share its process with others.
    pub(super) path: String,
}

#[derive(Deserialize)]
struct Answer {
    get_agents: List,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    agents: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    agent_info: Info,
    /// `slave(1)@10.0.0.7:5051`
    #[serde(default)]
    pid: String,
    #[serde(default)]
    total_resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    id: Text,
    hostname: String,
}

/// Where a process listens.
fn place(pid: &str, id: Option<AgentId>) -> Option<Place> {
    let (process, address) = pid.split_once('@')?;
    let is_name = process.bytes().all(|b| b.is_ascii_alphanumeric() || b"()-_.".contains(&b));
    if !is_name || process.is_empty() {
        return None;
    }
    Some(Place { id, address: address.parse().ok()?, path: format!("/{process}/api/v1") })
}

fn read(list: &[u8]) -> serde_json::Result<Vec<Agent>> {
    let agents =
        serde_json::from_str::<Answer>(&String::from_utf8_lossy(list))?.get_agents.agents.into_iter();
    let agent = |listed: Listed| {
        let id = AgentId::new(&listed.agent_info.id.value).ok();
        Agent {
            place: place(&listed.pid, id.clone()),
            id,
            host: listed.agent_info.hostname,
            total: sum(&listed.total_resources),
        }
    };
    Ok(agents.map(agent).collect())
}

/// All agents, and the master that told of them: this one, or where it sends. `silence`: the longest wait for the
/// next bytes.
///
/// # Errors
/// Where it does not tell by `end`: why, for people.
pub(super) fn list(
    options: &MesosOptions,
    mut master: Address,
    silence: Duration,
    end: Instant,
) -> Result<(Vec<Agent>, Address), String> {
    let authorization = authorization(options);
    for _ in 0..=REDIRECTS_MAX {
        let asked = Asked {
            to: &master,
            path: OPERATOR,
            authorization: authorization.as_deref(),
            silence,
            end,
            most: MESOS_RECORD_BYTES_MAX as u64,
        };
        let (head, body) =
            asked.post(br#"{"type":"GET_AGENTS"}"#).map_err(|error| format!("{master}: {}", told(&error)))?;
        match (head.status, head.header("location")) {
            (200, _) => {
                return match read(&body) {
                    Ok(agents) => Ok((agents, master)),
                    Err(error) => Err(format!("{master}: no list of agents: {error}")),
                };
            }
            (307, Some(location)) => {
                master = location.parse().map_err(|error| format!("{master}: {error}"))?;
            }
            (status, _) => return Err(format!("{master}: it answers {status}")),
        }
    }
    Err(format!("sent on too often, last to {master}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn agents_are_read_with_their_place_and_what_they_have() {
        let part =
            |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
        let agent = |id: &str, pid: &str, parts: Value| {
            json!({ "agent_info": { "id": { "value": id }, "hostname": "h" }, "pid": pid, "active": true,
                "total_resources": parts })
        };
        let agents = json!([
            agent(
                "a",
                "slave(1)@10.0.0.1:5051",
                json!([part("cpus", 1.5), part("cpus", 2.0), part("mem", 64.0)])
            ),
            agent("", "slave(1)@[::1]:5052", json!([])),
            agent("b", "slave(3)", json!([])),
            agent("c", "sl ave@10.0.0.1:1", json!([])),
            agent("d", "@10.0.0.1:1", json!([])),
            { "agent_info": { "hostname": "h" } },
        ]);
        let list = json!({ "type": "GET_AGENTS", "get_agents": { "agents": agents } }).to_string();
        let found = read(list.as_bytes()).expect("a list");
        let told = |agent: &Agent| {
            let id = agent.id.as_ref().map_or("none", AgentId::as_str);
            let place = agent.place.as_ref().map(|place| format!("{}{}", place.address, place.path));
            format!("{} {id} {} {}", agent.host, place.as_deref().unwrap_or("nowhere"), agent.total)
        };
        assert_eq!(
            found.iter().map(told).collect::<Vec<_>>(),
            [
                "h a 10.0.0.1:5051/slave(1)/api/v1 cpus:3.5,mem:64",
                "h none [::1]:5052/slave(1)/api/v1 ",
                "h b nowhere ",
                "h c nowhere ",
                "h d nowhere ",
                "h none nowhere ",
            ]
        );
        for bad in ["", "{}", "[]", r#"{"get_agents": {"agents": [{}]}}"#] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
