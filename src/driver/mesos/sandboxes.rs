//! Files in the sandboxes of tasks, read from the agents that have them.
//!
//! The agent's API (v1) is used, which gives bytes as they are; the older `/files/read` writes what is no UTF-8
//! into JSON that nobody can read. A command task has an executor of its own, of the same name, and the newest of
//! its sandboxes is at a path that an agent keeps until it removes the sandbox.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::agents::Place;
use super::ask::{Asked, Line, SILENCE, told};
use super::base64::decode;
use super::hosts::Hosts;
use super::id_file::IdFile;
use super::options::MesosOptions;
use super::session::authorization;
use super::status::task_id;
use crate::clock::monotonic;
use crate::launch::{OutputStream, Piece, PieceError, PrintedSource, Ran, ReadFrom};
use crate::limits::{MESOS_AGENTS_ASKED_MAX, MESOS_FILES_BYTES_MAX};

/// How long one read may take, with all it asks.
const READ_MAX: Duration = Duration::from_secs(15);

/// How long one answer may take to come.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// Reads what the tasks of a store's framework print.
pub struct MesosSandboxes {
    options: Arc<MesosOptions>,
    file: IdFile,
    hosts: Hosts,
}

/// The sandbox of a task, on some agent of a machine.
pub(super) struct Sandbox<'s> {
    of: &'s MesosSandboxes,
    host: &'s str,
    /// That ran the task, where it is known: it is asked first.
    agent: Option<&'s str>,
    /// Its path for the agent.
    pub(super) path: String,
    end: Instant,
    /// One connection for all that is asked of an agent.
    line: RefCell<Option<Line>>,
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
        Self::with(IdFile::in_store(store), Arc::new(options))
    }

    pub(super) fn with(file: IdFile, options: Arc<MesosOptions>) -> Self {
        Self { hosts: Hosts::of(options.clone()), file, options }
    }

    /// `most`: how long all that is asked of it may take.
    pub(super) fn sandbox<'s>(
        &'s self,
        ran: &'s Ran,
        agent: Option<&'s str>,
        most: Duration,
    ) -> Result<Sandbox<'s>, PieceError> {
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
        Ok(Sandbox { of: self, host, agent, path, end: monotonic() + most, line: RefCell::new(None) })
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
        match self.sandbox(ran, None, READ_MAX)?.read(stream.as_str(), from, most) {
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
        let answer = self.of_any(|agent| self.ask(agent, name, &call))?;
        let read = answer.get("read_file").cloned().unwrap_or_default();
        let read: ReadFile = serde_json::from_value(read).unwrap_or_default();
        let reason = || format!("the agent on {} gives {name} in bytes that cannot be read", self.host);
        let bytes = decode(&read.data).ok_or_else(|| PieceError::Unreadable { reason: reason() })?;
        let size = read.size.max(offset.min(read.size) + bytes.len() as u64);
        Ok(Piece { offset, bytes, size })
    }

    /// Asks the machine's agents, and where none of them knows of it, those that the master knows by now.
    pub(super) fn of_any<T>(&self, ask: impl Fn(&Place) -> Result<T, PieceError>) -> Result<T, PieceError> {
        let agents = self.agents(false)?;
        let first = self.of_first(&agents, &ask);
        let Err(PieceError::NotThere { .. } | PieceError::Unreachable { .. }) = first else { return first };
        let again = self.agents(true)?;
        if again == agents { first } else { self.of_first(&again, &ask) }
    }

    fn agents(&self, is_doubted: bool) -> Result<Vec<Place>, PieceError> {
        let end = self.end.min(monotonic() + READ_MAX);
        let agents = self.of.hosts.on(self.host, is_doubted, end);
        agents.map_err(|reason| PieceError::Unreachable { reason })
    }

    fn of_first<T>(
        &self,
        agents: &[Place],
        ask: impl Fn(&Place) -> Result<T, PieceError>,
    ) -> Result<T, PieceError> {
        let mut failed = None;
        let is_it = |agent: &&Place| {
            self.agent.is_some_and(|id| agent.id.as_ref().is_some_and(|of| of.as_str() == id))
        };
        let others = agents.iter().filter(|agent| !is_it(agent));
        for agent in agents.iter().filter(is_it).chain(others).take(MESOS_AGENTS_ASKED_MAX) {
            match ask(agent) {
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

    fn ask(&self, agent: &Place, name: &str, call: &Value) -> Result<Value, PieceError> {
        let (status, body) =
            self.exchange(agent, call, MESOS_FILES_BYTES_MAX).map_err(|error| self.silent(agent, &error))?;
        match status {
            200 => serde_json::from_slice(&body).map_err(|error| PieceError::Unreadable {
                reason: format!("{}: no answer to a question for files: {error}", self.who(agent)),
            }),
            404 => Err(self.not_there(agent, name)),
            status => Err(self.refused(agent, status, &body)),
        }
    }

    /// The status of an agent's answer, and its body of at most so many bytes; else it is `FileTooLarge`.
    pub(super) fn exchange(&self, agent: &Place, call: &Value, most: u64) -> io::Result<(u16, Vec<u8>)> {
        let authorization = authorization(&self.of.options);
        let asked = Asked {
            to: &agent.address,
            path: &agent.path,
            authorization: authorization.as_deref(),
            silence: SILENCE,
            end: self.end.min(monotonic() + ANSWER_MAX),
            most,
        };
        let mut line = self.line.take();
        let answer = asked.post_on(&mut line, call.to_string().as_bytes());
        self.line.replace(line);
        answer.map(|(head, body)| (head.status, body))
    }

    fn who(&self, agent: &Place) -> String {
        format!("the agent on {} ({})", self.host, agent.address)
    }

    pub(super) fn silent(&self, agent: &Place, error: &io::Error) -> PieceError {
        PieceError::Unreachable { reason: format!("{}: {}", self.who(agent), told(error)) }
    }

    pub(super) fn not_there(&self, agent: &Place, name: &str) -> PieceError {
        PieceError::NotThere { reason: format!("{} has no {name} of {}", self.who(agent), self.path) }
    }

    pub(super) fn refused(&self, agent: &Place, status: u16, body: &[u8]) -> PieceError {
        let told: String = String::from_utf8_lossy(body).trim().chars().take(300).collect();
        PieceError::Unreadable { reason: format!("{} answers {status} {told}", self.who(agent)) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use super::*;
    use crate::driver::mesos::base64::encode;
    use crate::model::{ExeId, JobId, LaunchName};
    use crate::sync::Mutex;

    /// What a server answers, by what is asked, and what it was asked.
    type Answers = Arc<Mutex<(Vec<(u16, String)>, Vec<Value>)>>;

    /// Answers each question with the next of its answers; the last one again and again.
    fn server(answers: &[(u16, &str)]) -> (SocketAddr, Answers) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let shared: Answers = Arc::new(Mutex::new((answers, Vec::new())));
        let served = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.expect("a client"));
                let (mut head, mut length) = (Vec::new(), 0);
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).expect("a line");
                    if let Some(n) = line.strip_prefix("Content-Length: ") {
                        length = n.trim().parse().expect("a length");
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                    head.push(line);
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).expect("a body");
                let mut shared = served.lock();
                let mut asked: Value = serde_json::from_slice(&body).expect("JSON");
                asked["path"] = head[0].split(' ').nth(1).into();
                asked["is_authorized"] =
                    head.iter().any(|line| line.starts_with("Authorization: Basic ")).into();
                shared.1.push(asked);
                let (status, body) =
                    if shared.0.len() > 1 { shared.0.remove(0) } else { shared.0[0].clone() };
                let more = if status == 307 { format!("Location: {body}\r\n") } else { String::new() };
                let length = body.len();
                let answer = format!("HTTP/1.1 {status} X\r\n{more}Content-Length: {length}\r\n\r\n{body}");
                stream.get_mut().write_all(answer.as_bytes()).expect("answered");
            }
        });
        (address, shared)
    }

    fn agents_at(all: &[(&str, SocketAddr)]) -> String {
        let agent = |(host, address): &(&str, SocketAddr)| json!({ "agent_info": { "hostname": host }, "pid": format!("slave(1)@{address}") });
        let agents: Vec<Value> = all.iter().map(agent).collect();
        json!({ "type": "GET_AGENTS", "get_agents": { "agents": agents } }).to_string()
    }

    fn file(text: &[u8], size: u64) -> String {
        json!({ "type": "READ_FILE", "read_file": { "size": size, "data": encode(text) } }).to_string()
    }

    struct Fixture {
        _store: tempfile::TempDir,
        sandboxes: MesosSandboxes,
    }

    impl Fixture {
        fn new(masters: &str) -> Self {
            let store = tempfile::tempdir().expect("a directory");
            fs::write(store.path().join("mesos-framework-id"), "f-1").expect("written");
            let mut options = MesosOptions::new(masters).expect("addresses");
            (options.principal, options.secret) = (Some("p".into()), Some("s".into()));
            Self { sandboxes: MesosSandboxes::of(store.path(), options), _store: store }
        }

        fn read(&self, host: Option<&str>, from: ReadFrom) -> Result<Piece, PieceError> {
            let ran = Ran {
                name: LaunchName { exe: ExeId(5), number: 2 },
                job: JobId(7),
                exe_num: 3,
                cluster_id: "scale_job_local_7x3".into(),
                node: host.map(str::to_owned),
                has_ended: true,
            };
            self.sandboxes.read(&ran, OutputStream::Stderr, from, 10)
        }
    }

    fn kind(read: &Result<Piece, PieceError>) -> &'static str {
        match read {
            Ok(_) => "read",
            Err(PieceError::NotThere { .. }) => "not there",
            Err(PieceError::Unreachable { .. }) => "unreachable",
            Err(_) => "unreadable",
        }
    }

    #[test]
    fn the_agent_of_the_machine_is_asked_for_the_file_of_the_task() {
        let (agent, asked) =
            server(&[(200, &file(b"a\xffb", 3)), (200, &file(b"", 9)), (200, &file(b"ext", 9))]);
        let (leader, led) =
            server(&[(200, &agents_at(&[("other", SocketAddr::from(([127, 0, 0, 1], 1))), ("h", agent)]))]);
        let (standby, told) = server(&[(307, &format!("//{leader}/api/v1"))]);
        let fixture = Fixture::new(&format!("127.0.0.1:1,{standby}"));
        let piece = Piece { offset: 0, bytes: b"a\xffb".to_vec(), size: 3 };
        assert_eq!(fixture.read(Some("h"), ReadFrom::Start(0)), Ok(piece));
        let piece = Piece { offset: 6, bytes: b"ext".to_vec(), size: 9 };
        assert_eq!(fixture.read(Some("h"), ReadFrom::End(3)), Ok(piece));
        let asked = asked.lock().1.clone();
        let path = "/frameworks/f-1/executors/scale_job_local_7x3_5.2/runs/latest/stderr";
        let question = |offset: u64, length: u64| {
            json!({ "type": "READ_FILE", "read_file": { "path": path, "offset": offset, "length": length },
                "path": "/slave(1)/api/v1", "is_authorized": true })
        };
        assert_eq!(asked, [question(0, 10), question(0, 0), question(6, 10)]);
        assert_eq!((told.lock().1.len(), led.lock().1.len()), (1, 1), "the list is kept");
    }

    #[test]
    fn what_is_not_had_is_told_by_its_kind() {
        let check = |status, body: &str, expected: &str, part: &str| {
            let (agent, _) = server(&[(status, body)]);
            let (master, _) = server(&[(200, &agents_at(&[("h", agent)]))]);
            let read = Fixture::new(&master.to_string()).read(Some("h"), ReadFrom::Start(0));
            assert_eq!(kind(&read), expected, "{status} {body}: {read:?}");
            assert!(format!("{read:?}").contains(part), "{status} {body}: {read:?}");
        };
        check(404, "", "not there", "has no stderr of /frameworks/f-1/");
        check(401, "who are you", "unreadable", "answers 401 who are you");
        check(500, "", "unreadable", "answers 500");
        check(200, "no JSON", "unreadable", "no answer to a question for files");
        check(200, r#"{"read_file": {"size": 3, "data": "???"}}"#, "unreadable", "bytes that cannot be read");
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let (master, _) = server(&[(200, &agents_at(&[("down", nobody)]))]);
        let fixture = Fixture::new(&master.to_string());
        let down = fixture.read(Some("down"), ReadFrom::Start(0));
        assert!(
            (kind(&down) == "unreachable") && format!("{down:?}").contains("the agent on down (127.0.0.1:1)"),
            "{down:?}"
        );
        let unknown = fixture.read(Some("x"), ReadFrom::Start(0));
        assert!(format!("{unknown:?}").contains("the master knows no agent on x"), "{unknown:?}");
        assert_eq!(kind(&fixture.read(None, ReadFrom::Start(0))), "not there");
        let lonely = Fixture::new("127.0.0.1:1").read(Some("h"), ReadFrom::Start(0));
        assert!(format!("{lonely:?}").contains("no master tells where its agents are"), "{lonely:?}");
    }

    #[test]
    fn of_several_agents_on_a_machine_one_that_is_silent_may_have_it() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let (without, _) = server(&[(404, "")]);
        let (with, _) = server(&[(200, &file(b"x", 1))]);
        let check = |agents: &[SocketAddr], expected: &str| {
            let all: Vec<(&str, SocketAddr)> = agents.iter().map(|agent| ("h", *agent)).collect();
            let (master, _) = server(&[(200, &agents_at(&all))]);
            let read = Fixture::new(&master.to_string()).read(Some("h"), ReadFrom::Start(0));
            assert_eq!(kind(&read), expected, "{agents:?}: {read:?}");
        };
        check(&[nobody, without, with], "read");
        check(&[without, without], "not there");
        check(&[nobody, without], "unreachable");
        check(&[without, nobody], "unreachable");
    }
}
