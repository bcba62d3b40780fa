//! Sandboxes on agents, as what is left in them is looked for.
//!
//! F1  What is found can be had from its agent: what a link leads to outside of the sandbox is not found.
//! F2  A folder is asked for once, and is looked at as a whole.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::agents::Place;
use super::base64::decode;
use super::inputs::INPUTS;
use super::sandboxes::{MesosSandboxes, Sandbox};
use crate::driver::walk::{Tree, collect};
use crate::launch::{Left, LeftError, OUTPUTS_FILE, PieceError, Ran};
use crate::limits::{
    DATA_BYTES_MAX, MESOS_FILES_BYTES_MAX, MESOS_LEFT_LOOK_MAX, MESOS_LIST_BYTES_MAX, OUTPUT_ENTRIES_MAX,
    PRINTED_BYTES_MAX,
};
use crate::model::Interface;
use crate::sync::{AtomicBool, Ordering};

/// What stands for bytes of a name that are no text.
const NO_TEXT: char = '\u{fffd}';

/// What an agent says, among other words, of a file that it must not open.
const NOT_PERMITTED: &str = "Permission denied";

/// Of the mode of a file, what kind it is: a plain one, or a folder.
const KIND: u32 = 0o170_000;
const PLAIN: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// Why a look told nothing. It may another time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// No agent of the machine has the sandbox, or can open all that is in it.
    NotThere(String),
    /// An agent does not answer, or not what it is asked.
    Silent(String),
}

impl From<PieceError> for Unseen {
    fn from(error: PieceError) -> Self {
        match error {
            PieceError::NotThere { reason } => Self::NotThere(reason),
            PieceError::Unreachable { reason } | PieceError::Unreadable { reason } => Self::Silent(reason),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    list_files: List,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct List {
    file_infos: Vec<Info>,
}

#[derive(Deserialize)]
struct Info {
    path: String,
    #[serde(default)]
    mode: u32,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Bytes {
    #[serde(default)]
    read_file: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    data: String,
}

/// The entries of a folder: of each its kind and its size.
type Folder = BTreeMap<String, (u32, u64)>;

/// What an agent tells of a folder.
enum Listed {
    Folder(Folder),
    /// It has more entries than are looked at, by far.
    TooLong,
    /// It is no folder within the sandbox.
    None,
}

/// The address of a file in a sandbox, for whoever can reach its agent.
fn address(agent: &Place, path: &str) -> String {
    let mut text = format!("http://{}/files/download?path=", agent.address);
    text.extend(path.bytes().map(|byte| {
        let is_plain = byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    }));
    text
}

impl MesosSandboxes {
    /// What a launch that has ended left of `declared`. The addresses of files are their names. `is_last`: what an
    /// agent may not have seen now is not there.
    ///
    /// # Errors
    /// Where that could not be seen now, or `is_over`.
    pub(super) fn left(
        &self,
        (ran, agent): (&Ran, Option<&str>),
        declared: &Interface,
        is_last: bool,
        is_over: &AtomicBool,
    ) -> Result<Result<Left, LeftError>, Unseen> {
        let sandbox = self.sandbox(ran, agent, MESOS_LEFT_LOOK_MAX)?;
        let top = Path::new("");
        let (agent, list) = sandbox.of_any(|agent| match list(&sandbox, agent, top) {
            // Nothing at all is also told where the agent could not read the folder.
            Ok(Listed::Folder(list)) if list.is_empty() && !is_last => {
                Err(sandbox.not_there(agent, "sandbox"))
            }
            Ok(list @ (Listed::Folder(_) | Listed::TooLong)) => Ok((agent.clone(), list)),
            Ok(Listed::None) => Err(sandbox.not_there(agent, "sandbox")),
            Err(error) => Err(error),
        })?;
        let mut seen = Seen {
            sandbox: &sandbox,
            agent,
            is_over,
            folders: HashMap::new(),
            n_entries: 0,
            is_unopened: false,
        };
        let left = seen.keep(top, list).and_then(|_| collect(&mut seen, declared));
        match left {
            Err(LeftError::Unreadable { reason }) if seen.is_unopened => Err(Unseen::NotThere(reason)),
            Err(LeftError::Unreadable { reason }) => Err(Unseen::Silent(reason)),
            left => Ok(left),
        }
    }
}

/// What an agent has in a folder of a sandbox.
fn list(sandbox: &Sandbox<'_>, agent: &Place, folder: &Path) -> Result<Listed, PieceError> {
    // Of a sandbox that is gone an agent lists nothing, of what is in it, that it is not there.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let path = format!("{}/{}", sandbox.path, folder.display());
    let call = json!({ "type": "LIST_FILES", "list_files": { "path": path } });
    let (status, body) = match sandbox.exchange(agent, &call, MESOS_LIST_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Ok(Listed::TooLong),
        answer => answer.map_err(|error| sandbox.silent(agent, &error))?,
    };
    match status {
        200 => {
            // Names need not be text.
            let answer = serde_json::from_str::<Answer>(&String::from_utf8_lossy(&body));
            let answer = answer.map_err(|error| {
                let why = format!("no list of files: {error}");
                sandbox.refused(agent, status, why.as_bytes())
            })?;
            let entry = |info: Info| {
                let name = info.path.rsplit('/').next().unwrap_or_default().to_owned();
                (name, (info.mode & KIND, info.size))
            };
            Ok(Listed::Folder(answer.list_files.file_infos.into_iter().map(entry).collect()))
        }
        400 | 404 => Ok(Listed::None),
        status => Err(sandbox.refused(agent, status, &body)),
    }
}

/// A sandbox on the agent that has it.
struct Seen<'s> {
    sandbox: &'s Sandbox<'s>,
    agent: Place,
    is_over: &'s AtomicBool,
    folders: HashMap<PathBuf, Arc<Folder>>,
    /// In all of them but the top one, in which files are looked up by their names however many there are.
    n_entries: usize,
    /// The agent answers, and could not open a file.
    is_unopened: bool,
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: PieceError) -> LeftError {
    LeftError::Unreadable { reason: error.to_string() }
}

impl Seen<'_> {
    fn keep(&mut self, folder: &Path, list: Listed) -> Result<Arc<Folder>, LeftError> {
        let most = OUTPUT_ENTRIES_MAX;
        let list = match list {
            Listed::Folder(list) => list,
            Listed::TooLong => return Err(LeftError::TooManyEntries { most }),
            Listed::None => Folder::new(),
        };
        self.n_entries += if folder.as_os_str().is_empty() { 0 } else { list.len() };
        if self.n_entries > most {
            return Err(LeftError::TooManyEntries { most });
        }
        let list = Arc::new(list);
        self.folders.insert(folder.to_owned(), list.clone());
        Ok(list)
    }

    fn go_on(&self) -> Result<(), LeftError> {
        // Relaxed: nothing else is read because of it.
        if self.is_over.load(Ordering::Relaxed) {
            return Err(LeftError::Unreadable { reason: "the framework ends".to_owned() });
        }
        Ok(())
    }

    /// What is in a folder; nothing where there is none.
    fn folder(&mut self, folder: &Path) -> Result<Arc<Folder>, LeftError> {
        if let Some(known) = self.folders.get(folder) {
            return Ok(known.clone());
        }
        let is_folder = self.entry(folder)?.is_some_and(|(kind, _)| kind == FOLDER);
        if !is_folder {
            return Ok(Arc::default());
        }
        self.go_on()?;
        let list = list(self.sandbox, &self.agent, folder).map_err(unreadable)?;
        self.keep(folder, list)
    }

    /// What is known of an entry.
    fn entry(&mut self, path: &Path) -> Result<Option<(u32, u64)>, LeftError> {
        let Some((folder, name)) = path.parent().zip(path.file_name()) else { return Ok(None) };
        Ok(self.folder(folder)?.get(&*name.to_string_lossy()).copied())
    }

    /// At most so many bytes of a plain file, or fewer; none where the agent does not have it, or must not read it.
    fn read(&mut self, path: &Path, offset: u64, most: usize) -> Result<Option<Vec<u8>>, LeftError> {
        self.go_on()?;
        let (sandbox, agent) = (self.sandbox, &self.agent);
        let file = json!({ "path": format!("{}/{}", sandbox.path, path.display()), "offset": offset,
            "length": most });
        let call: Value = json!({ "type": "READ_FILE", "read_file": file });
        let answer = sandbox.exchange(agent, &call, MESOS_FILES_BYTES_MAX);
        let (status, body) = answer.map_err(|error| unreadable(sandbox.silent(agent, &error)))?;
        match status {
            200 => {
                let read = serde_json::from_slice::<Bytes>(&body).ok();
                let bytes = read.and_then(|read| decode(&read.read_file.data));
                let refused = || sandbox.refused(agent, status, b"with no bytes of a file");
                bytes.map(Some).ok_or_else(|| unreadable(refused()))
            }
            // Outside of the sandbox; gone.
            400 | 404 => Ok(None),
            // An agent says so of whatever it could not open now.
            500 if String::from_utf8_lossy(&body).contains(NOT_PERMITTED) => Ok(None),
            status => {
                self.is_unopened = status == 500;
                Err(unreadable(sandbox.refused(agent, status, &body)))
            }
        }
    }
}

impl Tree for Seen<'_> {
    fn each(
        &mut self,
        folder: &Path,
        tell: &mut dyn FnMut(&OsStr) -> Result<(), LeftError>,
    ) -> Result<(), LeftError> {
        self.folder(folder)?.keys().try_for_each(|name| tell(OsStr::new(name)))
    }

    fn is_there(&mut self, _: &Path) -> Result<bool, LeftError> {
        // The next question tells.
        Ok(true)
    }

    fn plain(&mut self, path: &Path) -> Result<Option<u64>, LeftError> {
        let Some((PLAIN, bytes)) = self.entry(path)? else { return Ok(None) };
        let is_text = !path.to_string_lossy().contains(NO_TEXT);
        if is_text && self.read(path, 0, 0)?.is_none() {
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    fn is_ours(&self, path: &Path) -> bool {
        path.starts_with(INPUTS)
    }

    fn name(&self, path: &Path) -> Option<String> {
        let path = path.to_str().filter(|path| !path.contains(NO_TEXT))?;
        Some(address(&self.agent, &format!("{}/{path}", self.sandbox.path)))
    }

    fn document(&mut self) -> Result<Option<Vec<u8>>, LeftError> {
        let path = Path::new(OUTPUTS_FILE);
        let size = match self.entry(path)? {
            None => return Ok(None),
            Some((PLAIN, size)) => size,
            Some(_) => return Err(LeftError::NoObject),
        };
        if size > DATA_BYTES_MAX as u64 {
            return Err(LeftError::TooLong { most: DATA_BYTES_MAX });
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            let piece = self.read(path, bytes.len() as u64, PRINTED_BYTES_MAX)?.ok_or(LeftError::NoObject)?;
            if piece.is_empty() {
                break;
            }
            bytes.extend(piece);
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::driver::mesos::base64::encode;
    use crate::driver::mesos::options::MesosOptions;
    use crate::limits::{MESOS_AGENTS_ASKED_MAX, OUTPUT_FILES_MAX, OUTPUT_PATTERN_NAMES_MAX};
    use crate::model::{ExeId, FileParameter, JobId, JsonParameter, JsonType, LaunchName};
    use crate::sync::Mutex;

    const SANDBOX: &str = "/frameworks/f-1/executors/scale_job_local_7x3_5.2/runs/latest";

    /// What an agent answers of files, with a folder as the sandbox; told as `status` where that is not 0.
    #[derive(Default)]
    struct Script {
        status: u16,
        /// In place of any list.
        list: Option<String>,
        /// What it says where it opens nothing.
        unopened: String,
        asked: Vec<String>,
        n_connections: usize,
        n_others: usize,
    }

    /// A master and its agent in one, and the folder.
    struct Fixture {
        store: tempfile::TempDir,
        sandbox: PathBuf,
        address: String,
        script: Arc<Mutex<Script>>,
    }

    fn real(sandbox: &Path, path: &str) -> Result<PathBuf, (u16, String)> {
        let found = path.strip_prefix(SANDBOX).map(|rest| format!("{}{rest}", sandbox.display()));
        let found = found.and_then(|path| fs::canonicalize(path).ok()).ok_or((404, String::new()))?;
        if found.starts_with(sandbox) { Ok(found) } else { Err((400, "it is inaccessible".to_owned())) }
    }

    fn listed(sandbox: &Path, path: &str) -> Result<String, (u16, String)> {
        // As Mesos does, also of one that is gone.
        let folder = if path == SANDBOX { sandbox.to_owned() } else { real(sandbox, path)? };
        let mut all: Vec<u8> = b"{\"type\":\"LIST_FILES\",\"list_files\":{\"file_infos\":[".to_vec();
        for (n, entry) in fs::read_dir(folder).into_iter().flatten().enumerate() {
            let entry = entry.expect("readable").path();
            let Ok(about) = fs::metadata(&entry) else { continue };
            all.extend(if n == 0 { &b""[..] } else { b"," });
            all.extend(format!("{{\"path\":\"{path}/").bytes());
            all.extend(entry.file_name().expect("a name").to_owned().into_vec());
            all.extend(format!("\",\"mode\":{},\"size\":{}}}", about.mode(), about.len()).bytes());
        }
        all.extend(b"]}}");
        // As it comes, also where it is no text.
        Ok(as_text(all))
    }

    /// Bytes as a text of as many characters; see `bytes_of`.
    fn as_text(bytes: Vec<u8>) -> String {
        bytes.into_iter().map(char::from).collect()
    }

    fn bytes_of(text: &str) -> Vec<u8> {
        text.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect()
    }

    fn bytes_at(sandbox: &Path, call: &Value) -> Result<String, (u16, String)> {
        let path = real(sandbox, call["path"].as_str().expect("a path"))?;
        assert!(fs::metadata(&path).expect("it is there").is_file(), "nothing else is opened");
        let bytes = fs::read(path).map_err(|error| (500, format!("Failed to open file at 'x': {error}")))?;
        let number = |name: &str| usize::try_from(call[name].as_u64().expect("a number")).expect("small");
        let rest = bytes.get(number("offset")..).unwrap_or_default();
        let piece = &rest[..rest.len().min(number("length")).min(64 << 10)];
        Ok(json!({ "read_file": { "size": bytes.len(), "data": encode(piece) } }).to_string())
    }

    fn answer(sandbox: &Path, address: &str, script: &Mutex<Script>, call: &Value) -> (u16, String) {
        let mut script = script.lock();
        let kind = call["type"].as_str().expect("a type");
        if kind == "GET_AGENTS" {
            let agent = |id: String, address: &str| json!({ "agent_info": { "hostname": "h", "id": { "value": id } }, "pid": format!("slave(1)@{address}") });
            // Of many on the machine.
            let mut agents: Vec<Value> =
                (0..script.n_others).map(|n| agent(format!("b-{n}"), "127.0.0.1:1")).collect();
            agents.push(agent("a-7".to_owned(), address));
            return (200, json!({ "get_agents": { "agents": agents } }).to_string());
        }
        let asked = &call[kind.to_lowercase()];
        script.asked.push(format!("{kind} {}", asked["path"].as_str().expect("a path").replace(SANDBOX, "")));
        if script.status != 0 {
            return (script.status, "so it is".to_owned());
        }
        let told = match (kind, &script.list) {
            ("LIST_FILES", Some(list)) => Ok(list.clone()),
            ("LIST_FILES", None) => listed(sandbox, asked["path"].as_str().expect("a path")),
            _ if !script.unopened.is_empty() => Err((500, script.unopened.clone())),
            _ => bytes_at(sandbox, asked),
        };
        told.map_or_else(|refused| refused, |text| (200, text))
    }

    /// Answers one question; false where there comes none any more.
    fn serve(
        stream: &mut BufReader<TcpStream>,
        sandbox: &Path,
        address: &str,
        script: &Mutex<Script>,
    ) -> bool {
        let (mut line, mut length) = (String::new(), 0);
        while stream.read_line(&mut line).is_ok_and(|n| n > 2) {
            if let Some(n) = line.strip_prefix("Content-Length: ") {
                length = n.trim().parse().expect("a length");
            }
            line.clear();
        }
        if length == 0 {
            return false;
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("a body");
        let call = serde_json::from_slice(&body).expect("JSON");
        let (status, text) = answer(sandbox, address, script, &call);
        let bytes = bytes_of(&text);
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", bytes.len());
        let stream = stream.get_mut();
        // One that has heard enough is gone.
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes)).is_ok()
    }

    impl Fixture {
        fn new() -> Self {
            let store = tempfile::tempdir().expect("a directory");
            let sandbox = store.path().canonicalize().expect("it is there").join("sandbox");
            fs::create_dir(&sandbox).expect("a folder");
            fs::write(store.path().join("mesos-framework-id"), "f-1").expect("written");
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("bound").to_string();
            let script = Arc::new(Mutex::new(Script::default()));
            let (at, here, shared) = (sandbox.clone(), address.clone(), script.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let (at, here, shared) = (at.clone(), here.clone(), shared.clone());
                    shared.lock().n_connections += 1;
                    std::thread::spawn(move || {
                        let mut stream = BufReader::new(stream.expect("a client"));
                        while serve(&mut stream, &at, &here, &shared) {}
                    });
                }
            });
            Self { store, sandbox, address, script }
        }

        fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
            fs::write(self.sandbox.join(name), bytes).expect("written");
        }

        fn left_on(
            &self,
            host: &str,
            declared: &Interface,
            is_last: bool,
        ) -> Result<Result<Left, LeftError>, Unseen> {
            let options = MesosOptions::new(&self.address).expect("an address");
            let ran = Ran {
                name: LaunchName { exe: ExeId(5), number: 2 },
                job: JobId(7),
                exe_num: 3,
                cluster_id: "scale_job_local_7x3".into(),
                node: Some(host.to_owned()),
                has_ended: true,
            };
            let sandboxes = MesosSandboxes::of(self.store.path(), options);
            sandboxes.left((&ran, Some("a-7")), declared, is_last, &AtomicBool::new(false))
        }

        fn left(&self, declared: &Interface) -> Result<Left, LeftError> {
            self.left_on("h", declared, true).expect("it is seen")
        }

        /// The ends of the addresses, and the sizes, of what a pattern finds.
        fn find(&self, pattern: &str) -> Result<Vec<(String, u64)>, LeftError> {
            let begin = format!("http://{}/files/download?path={SANDBOX}/", self.address);
            let name = |path: String| path.strip_prefix(&begin).expect("in the sandbox").to_owned();
            let left = self.left(&files(pattern))?.files;
            Ok(left.into_iter().map(|file| (name(file.path), file.bytes)).collect())
        }
    }

    fn files(pattern: &str) -> Interface {
        let mut interface = Interface::default();
        let mut parameter = FileParameter::new("out");
        parameter.pattern = Some(pattern.to_owned());
        interface.files = vec![parameter];
        interface
    }

    fn values() -> Interface {
        Interface { json: vec![JsonParameter::new("A", JsonType::Integer)], ..Interface::default() }
    }

    #[test]
    fn files_are_found_by_their_pattern_and_named_by_their_address() {
        let fixture = Fixture::new();
        for name in ["stdout", "stderr", OUTPUTS_FILE, "b.txt.metadata.json", ".hidden.txt"] {
            fixture.write(name, "ours or about others");
        }
        fs::create_dir_all(fixture.sandbox.join("sub/deep")).expect("folders");
        fs::create_dir_all(fixture.sandbox.join(INPUTS).join("1")).expect("folders");
        for (name, text) in [("b.txt", "bb"), ("a b%ü.txt", "a"), ("sub/d.txt", "dddd"), ("f.csv", "")] {
            fixture.write(name, text);
        }
        fixture.write(&format!("{INPUTS}/1/i.txt"), "given");
        fs::write(fixture.store.path().join("outside.txt"), "not ours").expect("written");
        fs::create_dir(fixture.store.path().join("away")).expect("a folder");
        fs::write(fixture.store.path().join("away/x.txt"), "not ours").expect("written");
        for (to, name) in [("b.txt", "l.txt"), ("nowhere", "n.txt"), ("../outside.txt", "o.txt")] {
            symlink(to, fixture.sandbox.join(name)).expect("a link");
        }
        symlink("../away", fixture.sandbox.join("away")).expect("a link");
        let check = |pattern: &str, expected: &[(&str, u64)]| {
            let found = fixture.find(pattern).expect(pattern);
            let found: Vec<(&str, u64)> = found.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
            assert_eq!(found, expected, "{pattern}");
        };
        check("*.txt", &[("a%20b%25%C3%BC.txt", 1), ("b.txt", 2), ("l.txt", 2)]);
        check("./*/?.txt", &[("sub/d.txt", 4)]);
        check("/sub//d.txt", &[("sub/d.txt", 4)]);
        check(".h*", &[(".hidden.txt", 20)]);
        for nothing in
            ["", "sub", "*/*/*.txt", "../*.txt", "b.txt/*", "none/*", "none/x", "stdout", "o.txt", "n.txt"]
        {
            check(nothing, &[]);
        }
        // As is one with more names than a thread's stack has room for.
        check(&vec!["a"; 50_000].join("/"), &[]);
        check(&vec!["sub"; OUTPUT_PATTERN_NAMES_MAX].join("/"), &[]);
        let asked = std::mem::take(&mut fixture.script.lock().asked);
        fixture.script.lock().n_connections = 0;
        fixture.find("sub/*.txt").expect("files");
        assert_eq!(fixture.script.lock().n_connections, 2, "one to the master, one to the agent");
        assert_eq!(fixture.script.lock().asked, ["LIST_FILES /.", "LIST_FILES /sub", "READ_FILE /sub/d.txt"]);
        assert!(!asked.iter().any(|asked| asked.contains("csv")), "what no pattern matches is left alone");
        let no_text = OsString::from_vec(b"n\xff.bin".to_vec());
        fs::write(fixture.sandbox.join(no_text), "").expect("written");
        let no_text = LeftError::NoText { output: "out".into() };
        assert_eq!(
            (fixture.find("*.bin"), fixture.find("f.*").map(|found| found.len())),
            (Err(no_text), Ok(1))
        );
    }

    #[test]
    fn of_many_agents_on_a_machine_the_one_that_ran_the_task_is_asked() {
        let fixture = Fixture::new();
        fixture.write("x", "");
        fixture.script.lock().n_others = MESOS_AGENTS_ASKED_MAX;
        assert_eq!(fixture.find("x"), Ok(vec![("x".to_owned(), 0)]));
    }

    #[test]
    fn values_are_read_piece_by_piece_and_from_plain_files_alone() {
        let fixture = Fixture::new();
        assert_eq!(fixture.left(&values()), Ok(Left::default()), "nothing is left");
        let document = |bytes: usize| format!("{{\"A\": 1{}}}", " ".repeat(bytes - 8));
        for bytes in [8, 200_000, DATA_BYTES_MAX] {
            fixture.write(OUTPUTS_FILE, document(bytes));
            assert_eq!(json!(fixture.left(&values()).expect("values").json), json!({ "A": 1 }), "{bytes}");
        }
        fixture.write(OUTPUTS_FILE, document(DATA_BYTES_MAX + 1));
        fixture.script.lock().asked.clear();
        assert_eq!(fixture.left(&values()), Err(LeftError::TooLong { most: DATA_BYTES_MAX }));
        assert_eq!(fixture.script.lock().asked, ["LIST_FILES /."], "its size is known");
        fixture.write(OUTPUTS_FILE, "[]");
        assert_eq!(fixture.left(&values()), Err(LeftError::NoObject));
        assert_eq!(fixture.left(&Interface::default()), Ok(Left::default()), "it is not asked for");
        fs::remove_file(fixture.sandbox.join(OUTPUTS_FILE)).expect("removed");
        fs::write(fixture.store.path().join("outside"), "{}").expect("written");
        symlink("../outside", fixture.sandbox.join(OUTPUTS_FILE)).expect("a link");
        assert_eq!(fixture.left(&values()), Err(LeftError::NoObject));
        fs::remove_file(fixture.sandbox.join(OUTPUTS_FILE)).expect("removed");
        let made = std::process::Command::new("mkfifo").arg(fixture.sandbox.join(OUTPUTS_FILE)).status();
        assert!(made.expect("a program").success());
        assert_eq!(fixture.left(&values()), Err(LeftError::NoObject));
    }

    #[test]
    fn no_more_is_looked_at_than_the_limits_say() {
        let fixture = Fixture::new();
        (0..OUTPUT_FILES_MAX).for_each(|n| fixture.write(&format!("{n}.txt"), ""));
        assert_eq!(fixture.find("*.txt").map(|found| found.len()), Ok(OUTPUT_FILES_MAX));
        fixture.write("more.txt", "");
        assert_eq!(fixture.find("*.txt"), Err(LeftError::TooManyFiles { most: OUTPUT_FILES_MAX }));
        let too_many = LeftError::TooManyEntries { most: OUTPUT_ENTRIES_MAX };
        let list = format!("{{\"list_files\": {{\"file_infos\": []}}}}{}", " ".repeat(33 << 20));
        fixture.script.lock().list = Some(list);
        assert_eq!(fixture.find("more.txt"), Err(too_many.clone()));
        fixture.script.lock().list = None;
        fs::create_dir(fixture.sandbox.join("sub")).expect("a folder");
        fixture.write("sub/x.txt", "");
        for folder in ["", "sub/"] {
            (0..OUTPUT_ENTRIES_MAX).for_each(|n| fixture.write(&format!("{folder}{n}.csv"), ""));
        }
        assert_eq!(fixture.find("more.*"), Err(too_many.clone()));
        assert_eq!(fixture.find("more.txt").map(|found| found.len()), Ok(1), "by its name");
        fixture.write(OUTPUTS_FILE, "{\"A\": 1}");
        assert_eq!(json!(fixture.left(&values()).expect("values").json), json!({ "A": 1 }));
        // A folder further down is one list, and counts as a whole.
        assert_eq!(fixture.find("sub/x.txt"), Err(too_many));
    }

    #[test]
    fn what_cannot_be_seen_now_is_told_by_whose_fault_that_is() {
        let fixture = Fixture::new();
        let check = |host: &str, is_there: bool, part: &str| {
            let (is_of_task, reason) = match fixture.left_on(host, &files("*"), false) {
                Err(Unseen::NotThere(reason)) => (true, reason),
                Err(Unseen::Silent(reason)) => (false, reason),
                Ok(left) => panic!("{left:?}"),
            };
            assert_eq!(is_of_task, !is_there, "{reason}");
            assert!(reason.contains(part), "{reason}");
        };
        check("other", true, "the master knows no agent on other");
        fixture.script.lock().status = 503;
        check("h", true, "answers 503 so it is");
        fixture.script.lock().status = 0;
        fixture.script.lock().list = Some("no list".to_owned());
        check("h", true, "no list of files");
        fixture.script.lock().list = None;
        check("h", false, "has no sandbox of /frameworks/f-1/");
        assert_eq!(fixture.left(&files("*")), Ok(Left::default()), "an empty one, then");
        fixture.write("x", "");
        fixture.script.lock().unopened = "Failed to open file at 'x': Too many open files".to_owned();
        check("h", false, "answers 500 Failed to open file at 'x': Too many open files");
        fixture.script.lock().unopened = "Failed to open file at 'x': Permission denied".to_owned();
        assert_eq!(fixture.left_on("h", &files("*"), false), Ok(Ok(Left::default())), "nobody can have it");
        fs::remove_file(fixture.sandbox.join("x")).expect("removed");
        fs::remove_dir(&fixture.sandbox).expect("removed");
        check("h", false, "has no sandbox of /frameworks/f-1/");
    }
}
