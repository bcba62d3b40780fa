//! Where the agents of machines listen, as the master tells.
//!
//! H1  The list is kept for a while: to follow what many tasks print costs the master little.
//! H2  No lock is held while a master is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::address::Address;
use super::ask::{Asked, told};
use super::http::OPERATOR;
use super::options::MesosOptions;
use super::session::authorization;
use crate::clock::monotonic;
use crate::limits::MESOS_RECORD_BYTES_MAX;
use crate::sync::Mutex;

/// How old a list may be.
const FRESH: Duration = Duration::from_secs(30);

/// How old it may be where an agent of it does not answer, or is not in it.
const FRESH_IN_DOUBT: Duration = Duration::from_secs(1);

/// Masters that send elsewhere, one after the other.
const REDIRECTS_MAX: usize = 5;

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) address: Address,
    /// The path of its API: an agent may share its process with others.
    pub(super) path: String,
}

/// By the names of machines. Usually a machine has one.
type ByHost = HashMap<String, Vec<Agent>>;

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
    pid: String,
}

#[derive(Deserialize)]
struct Info {
    hostname: String,
}

impl Listed {
    fn agent(&self) -> Option<Agent> {
        let (process, address) = self.pid.split_once('@')?;
        let is_name = process.bytes().all(|b| b.is_ascii_alphanumeric() || b"()-_.".contains(&b));
        if !is_name || process.is_empty() {
            return None;
        }
        Some(Agent { address: address.parse().ok()?, path: format!("/{process}/api/v1") })
    }
}

/// The agents that a list names; those whose address cannot be read are left out.
fn read(list: &[u8]) -> serde_json::Result<ByHost> {
    let mut by_host = ByHost::new();
    for listed in serde_json::from_slice::<Answer>(list)?.get_agents.agents {
        if let Some(agent) = listed.agent() {
            by_host.entry(listed.agent_info.hostname).or_default().push(agent);
        }
    }
    Ok(by_host)
}

#[derive(Default)]
struct Known {
    at: Option<Instant>,
    by_host: Arc<ByHost>,
    leader: Option<Address>,
}

/// See the file.
pub(super) struct Hosts {
    options: Arc<MesosOptions>,
    known: Mutex<Known>,
}

impl Hosts {
    pub(super) fn of(options: Arc<MesosOptions>) -> Self {
        Self { options, known: Mutex::new(Known::default()) }
    }

    /// Those of a machine, perhaps none; `is_doubted`: as they are at this moment.
    ///
    /// # Errors
    /// Where no master tells: why, for people.
    pub(super) fn on(&self, host: &str, is_doubted: bool, end: Instant) -> Result<Vec<Agent>, String> {
        let (by_host, age, leader) = {
            let known = self.known.lock();
            let age = known.at.map_or(Duration::MAX, |at| monotonic().duration_since(at));
            (known.by_host.clone(), age, known.leader.clone())
        };
        let found = by_host.get(host).cloned().unwrap_or_default();
        let oldest = if is_doubted || found.is_empty() { FRESH_IN_DOUBT } else { FRESH };
        if age <= oldest {
            return Ok(found);
        }
        let (by_host, leader) = self.ask_masters(leader.as_ref(), end)?;
        let found = by_host.get(host).cloned().unwrap_or_default();
        *self.known.lock() =
            Known { at: Some(monotonic()), by_host: Arc::new(by_host), leader: Some(leader) };
        Ok(found)
    }

    fn ask_masters(&self, leader: Option<&Address>, end: Instant) -> Result<(ByHost, Address), String> {
        let mut why = String::new();
        for master in leader.into_iter().chain(&self.options.masters) {
            match self.ask(master.clone(), end) {
                Ok(found) => return Ok(found),
                Err(error) => why = error,
            }
        }
        Err(format!("no master tells where its agents are: {why}"))
    }

    fn ask(&self, mut master: Address, end: Instant) -> Result<(ByHost, Address), String> {
        let authorization = authorization(&self.options);
        for _ in 0..=REDIRECTS_MAX {
            let asked = Asked {
                to: &master,
                path: OPERATOR,
                authorization: authorization.as_deref(),
                end,
                most: MESOS_RECORD_BYTES_MAX as u64,
            };
            let (head, body) = asked
                .post(br#"{"type":"GET_AGENTS"}"#)
                .map_err(|error| format!("{master}: {}", told(&error)))?;
            match (head.status, head.header("location")) {
                (200, _) => {
                    return match read(&body) {
                        Ok(by_host) => Ok((by_host, master)),
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
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn agents_are_read_by_their_machine() {
        let agent = |hostname: &str, pid: &str| json!({ "agent_info": { "hostname": hostname }, "pid": pid });
        let agents = [
            agent("a", "slave(1)@10.0.0.1:5051"),
            agent("b", "slave(1)@[::1]:5052"),
            agent("a", "slave(2)@10.0.0.1:5051"),
            agent("a", "slave(3)"),
            agent("a", "sl ave@10.0.0.1:1"),
            agent("a", "@10.0.0.1:1"),
        ];
        let list = json!({ "type": "GET_AGENTS", "get_agents": { "agents": agents } }).to_string();
        let found = read(list.as_bytes()).expect("a list");
        let told = |host: &str| -> Vec<String> {
            found[host].iter().map(|agent| format!("{}{}", agent.address, agent.path)).collect()
        };
        assert_eq!(told("a"), ["10.0.0.1:5051/slave(1)/api/v1", "10.0.0.1:5051/slave(2)/api/v1"]);
        assert_eq!(told("b"), ["[::1]:5052/slave(1)/api/v1"]);
        for bad in ["", "{}", "[]", r#"{"get_agents": {"agents": [{}]}}"#] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
