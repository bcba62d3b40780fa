//! What agents have in all, as a master tells its operators: an offer has only what is free.

use std::io::{self, BufReader, Write};
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use serde::Deserialize;

use super::address::Address;
use super::event::Text;
use super::http::{Head, OPERATOR, connect, request};
use super::options::MesosOptions;
use super::resource::{Resource, sum};
use super::session::authorization;
use crate::limits::MESOS_RECORD_BYTES_MAX;
use crate::model::{AgentId, NodeResources};

/// Agents, and what each has.
pub(super) type Totals = Vec<(AgentId, NodeResources)>;

#[derive(Deserialize)]
struct Answer {
    get_agents: Agents,
}

#[derive(Deserialize)]
struct Agents {
    #[serde(default)]
    agents: Vec<Agent>,
}

#[derive(Deserialize)]
struct Agent {
    agent_info: AgentInfo,
    #[serde(default)]
    total_resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct AgentInfo {
    id: Text,
}

/// Asks for them, on a thread of its own. `wake` is called when the answer is there.
pub(super) fn ask(
    options: &Arc<MesosOptions>,
    master: Address,
    wake: impl FnOnce() + Send + 'static,
) -> io::Result<Receiver<io::Result<Totals>>> {
    let (tell, heard) = bounded(1);
    let authorization = authorization(options);
    let thread = std::thread::Builder::new().name("weighbridge-agents".to_owned());
    thread.spawn(move || {
        // Whoever asked may be gone.
        let _ = tell.send(totals(&master, authorization.as_deref()));
        wake();
    })?;
    Ok(heard)
}

fn totals(master: &Address, authorization: Option<&str>) -> io::Result<Totals> {
    let mut stream = connect(master)?;
    let body = br#"{"type":"GET_AGENTS"}"#;
    stream.write_all(&request(master, OPERATOR, authorization, None, body))?;
    let mut answer = BufReader::new(stream);
    let head = Head::read(&mut answer)?;
    if head.status != 200 {
        return Err(io::Error::other(format!("it answers {}: {}", head.status, head.finish(&mut answer)?)));
    }
    read(&head.body(&mut answer, MESOS_RECORD_BYTES_MAX as u64)?)
}

fn read(body: &[u8]) -> io::Result<Totals> {
    let answer: Answer = serde_json::from_slice(body).map_err(io::Error::other)?;
    let total = |agent: Agent| {
        let id = AgentId::new(&agent.agent_info.id.value).ok()?;
        Some((id, sum(&agent.total_resources)))
    };
    Ok(answer.get_agents.agents.into_iter().filter_map(total).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_agents_have_is_summed_up() {
        let part =
            |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value } });
        let agent = |id: &str, parts: Value| {
            json!({ "agent_info": { "id": { "value": id }, "hostname": "h" },
            "active": true, "total_resources": parts })
        };
        let agents = json!([
            agent("a", json!([part("cpus", 1.5), part("cpus", 2.0), part("mem", 64.0)])),
            agent("", json!([])),
            agent("b", json!([]))
        ]);
        let answer = json!({ "type": "GET_AGENTS", "get_agents": { "agents": agents } });
        let totals = read(answer.to_string().as_bytes()).expect("an answer");
        let totals: Vec<(&str, String)> =
            totals.iter().map(|(id, all)| (id.as_str(), all.to_string())).collect();
        assert_eq!(
            totals,
            [("a", "cpus:3.5,mem:64".to_owned()), ("b", String::new())],
            "a name that is none is not told"
        );
        assert!(read(b"{}").is_err() && read(b"").is_err());
    }
}
