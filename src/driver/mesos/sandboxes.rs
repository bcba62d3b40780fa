//! Files in the sandboxes of tasks, read from the agents that have them.
//!
//! The agent's API (v1) is used, which gives bytes as they are; the older `/files/read` writes what is no UTF-8
//! into JSON that nobody can read. A command task has an executor of its own, of the same name, and the newest of
//! its sandboxes is at a path that an agent keeps until it removes the sandbox.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{Asked, told};
use super::base64::decode;
use super::hosts::{Agent, Hosts};
use super::id_file::IdFile;
use super::options::MesosOptions;
use super::session::authorization;
use super::status::task_id;
use crate::clock::monotonic;
use crate::launch::{OutputStream, Piece, PieceError, PrintedSource, Ran, ReadFrom};
use crate::limits::{MESOS_AGENTS_ASKED_MAX, MESOS_FILES_BYTES_MAX};

/// How long one read may take, with all it asks.
const READ_MAX: Duration = Duration::from_secs(15);

/// Reads what the tasks of a store's framework print.
pub struct MesosSandboxes {
    options: Arc<MesosOptions>,
    file: IdFile,
    hosts: Hosts,
}

/// The sandbox of a task, on some agent of a machine.
struct Sandbox<'s> {
    of: &'s MesosSandboxes,
    host: &'s str,
    /// Its path for the agent.
    path: String,
    end: Instant,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadFile {
    size: u64,
    data: String,
}

impl MesosSandboxes {
    /// Those of the framework of the store in that directory.
    pub fn of(store: &Path, options: MesosOptions) -> Self {
        let options = Arc::new(options);
        Self { hosts: Hosts::of(options.clone()), file: IdFile::in_store(store), options }
    }

    fn sandbox<'s>(&'s self, ran: &'s Ran) -> Result<Sandbox<'s>, PieceError> {
        let unreadable = |error: &io::Error| {
            let reason = format!("{}: {error}", self.file.path().display());
            PieceError::Unreadable { reason }
        };
        let framework = self.file.read().map_err(|error| unreadable(&error))?;
        let reason = || "this store has no framework of Mesos".to_owned();
        let framework = framework.ok_or_else(|| PieceError::NotThere { reason: reason() })?;
        let reason = || "it is not on record on which machine it ran".to_owned();
        let host = ran.node.as_deref().ok_or_else(|| PieceError::NotThere { reason: reason() })?;
        let task = task_id(&ran.cluster_id, ran.name);
        let path = format!("/frameworks/{framework}/executors/{task}/runs/latest");
        Ok(Sandbox { of: self, host, path, end: monotonic() + READ_MAX })
    }
}

impl PrintedSource for MesosSandboxes {
    fn read(
        &self,
        ran: &Ran,
        stream: OutputStream,
        from: ReadFrom,
        most: usize,
    ) -> Result<Piece, PieceError> {
        match self.sandbox(ran)?.read(stream.as_str(), from, most) {
            Err(PieceError::NotThere { .. }) if self.options.executor.is_some() => {
                let reason = "its task is one of many of an executor, which has them print where it likes";
                Err(PieceError::Unreadable { reason: reason.to_owned() })
            }
            read => read,
        }
    }
}

impl Sandbox<'_> {
    fn read(&self, name: &str, from: ReadFrom, most: usize) -> Result<Piece, PieceError> {
        let offset = match from {
            ReadFrom::Start(offset) => offset,
            ReadFrom::End(_) => from.offset(self.read_at(name, 0, 0)?.size),
        };
        let piece = self.read_at(name, offset, most)?;
        // Behind the end there is nothing.
        Ok(Piece { offset: piece.offset.min(piece.size), ..piece })
    }

    fn read_at(&self, name: &str, offset: u64, most: usize) -> Result<Piece, PieceError> {
        let path = format!("{}/{name}", self.path);
        let call = json!({ "type": "READ_FILE",
            "read_file": { "path": path, "offset": offset, "length": most } });
        let answer = self.ask(name, &call)?;
        let read = answer.get("read_file").cloned().unwrap_or_default();
        let read: ReadFile = serde_json::from_value(read).unwrap_or_default();
        let reason = || format!("the agent on {} gives {name} in bytes that cannot be read", self.host);
        let bytes = decode(&read.data).ok_or_else(|| PieceError::Unreadable { reason: reason() })?;
        let size = read.size.max(offset.min(read.size) + bytes.len() as u64);
        Ok(Piece { offset, bytes, size })
    }

    /// Asks the machine's agents, and where none of them knows of it, those that the master knows by now.
    fn ask(&self, name: &str, call: &Value) -> Result<Value, PieceError> {
        let agents = self.agents(false)?;
        let first = self.ask_all(&agents, name, call);
        let Err(PieceError::NotThere { .. } | PieceError::Unreachable { .. }) = first else { return first };
        let again = self.agents(true)?;
        if again == agents { first } else { self.ask_all(&again, name, call) }
    }

    fn agents(&self, is_doubted: bool) -> Result<Vec<Agent>, PieceError> {
        let agents = self.of.hosts.on(self.host, is_doubted, self.end);
        agents.map_err(|reason| PieceError::Unreachable { reason })
    }

    fn ask_all(&self, agents: &[Agent], name: &str, call: &Value) -> Result<Value, PieceError> {
        let mut failed = None;
        for agent in agents.iter().take(MESOS_AGENTS_ASKED_MAX) {
            match self.ask_one(agent, name, call) {
                Ok(answer) => return Ok(answer),
                // One that is silent may have it: only all of them together know that it is gone.
                Err(error) if matches!(failed, None | Some(PieceError::NotThere { .. })) => {
                    failed = Some(error);
                }
                Err(_) => {}
            }
        }
        let reason = || format!("the master knows no agent on {} at this moment", self.host);
        Err(failed.unwrap_or_else(|| PieceError::Unreachable { reason: reason() }))
    }

    fn ask_one(&self, agent: &Agent, name: &str, call: &Value) -> Result<Value, PieceError> {
        let authorization = authorization(&self.of.options);
        let asked = Asked {
            to: &agent.address,
            path: &agent.path,
            authorization: authorization.as_deref(),
            end: self.end,
            most: MESOS_FILES_BYTES_MAX,
        };
        let who = || format!("the agent on {} ({})", self.host, agent.address);
        let (head, body) = asked
            .post(call.to_string().as_bytes())
            .map_err(|error| PieceError::Unreachable { reason: format!("{}: {}", who(), told(&error)) })?;
        match head.status {
            200 => serde_json::from_slice(&body).map_err(|error| PieceError::Unreadable {
                reason: format!("{}: no answer to a question for files: {error}", who()),
            }),
            404 => Err(PieceError::NotThere { reason: format!("{} has no {name} of {}", who(), self.path) }),
            status => {
                let told: String = String::from_utf8_lossy(&body).trim().chars().take(300).collect();
                Err(PieceError::Unreadable { reason: format!("{} answers {status} {told}", who()) })
            }
        }
    }
}
