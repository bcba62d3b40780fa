//! Sessions of a user who has the documentation and `--help`: every command and what it answers, as stored under
//! `tests/transcript`. Times, ports and the name of the machine are masked.
//!
//! `WEIGHBRIDGE_BLESS=1 cargo test --test transcript` stores anew what the commands answer now.
//!
//! T1  Every command of the documentation's blocks for the shell is in its session, in the same order.

mod common;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Daemon, Place, Process};

/// Set to anything: what is answered now is stored.
const BLESS: &str = "WEIGHBRIDGE_BLESS";

/// Begins a line of a command, and each further line of it.
const PROMPTS: [&str; 2] = ["$ ", "> "];

/// Begins the command that starts a daemon; it goes on until the session ends.
const SERVE: &str = "weighbridge serve";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The commands of a stored session; what is before the first one is kept.
fn commands_of(session: &str) -> (String, Vec<String>) {
    let (mut head, mut commands) = (String::new(), Vec::<String>::new());
    let mut is_command = false;
    for line in session.lines() {
        if let Some(command) = line.strip_prefix(PROMPTS[0]) {
            commands.push(command.to_owned());
            is_command = true;
        } else if let (true, Some(more), Some(last)) =
            (is_command, line.strip_prefix(PROMPTS[1]), commands.last_mut())
        {
            let _ = write!(last, "\n{more}");
        } else {
            is_command = false;
            if commands.is_empty() {
                let _ = writeln!(head, "{line}");
            }
        }
    }
    (head, commands)
}

/// The commands of the blocks for a shell in a document, without remarks. One that ends in a backslash, or has a
/// document behind it, is of several lines.
fn documented(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut end: Option<String> = None;
    let (mut is_shell, mut goes_on) = (false, false);
    for line in text.lines() {
        if line.starts_with("```") {
            is_shell = line == "```sh";
        } else if is_shell && (end.is_some() || goes_on) {
            let last = commands.last_mut().expect("something goes on");
            let _ = write!(last, "\n{line}");
            goes_on = end.is_none() && line.ends_with('\\');
            end = end.filter(|end| end != line);
        } else if is_shell {
            let command = line.find("   #").map_or(line, |at| &line[..at]).trim_end();
            if command.is_empty() || command.starts_with('#') {
                continue;
            }
            end = command.split_once("<<'").and_then(|(_, end)| end.split('\'').next()).map(str::to_owned);
            goes_on = command.ends_with('\\');
            commands.push(command.to_owned());
        }
    }
    commands
}

/// A session that is played.
struct Session {
    place: Place,
    daemon: Option<Daemon>,
    /// Texts that differ from machine to machine, and what stands for them.
    masked: Vec<(String, &'static str)>,
}

impl Session {
    fn new() -> Self {
        Self { place: Place::new(), daemon: None, masked: Vec::new() }
    }

    /// Starts the daemon on a free port, as if the machine had two processors.
    fn serve(&mut self, command: &str) -> String {
        let args: Vec<&str> = command[SERVE.len()..].split_whitespace().collect();
        let daemon =
            Daemon::start(&self.place, &[&args[..], &["--resources", "cpus:2,mem:2048,disk:4096"]].concat());
        let status = daemon.ask(&self.place, &["status", "--output", "json"]).expect(0).json();
        let node = status["nodes"][0]["name"].as_str().expect("a node").to_owned();
        let here = self.place.path("").canonicalize().expect("it is there").display().to_string();
        self.masked = vec![
            (daemon.url.clone(), "http://127.0.0.1:7420"),
            (format!("{}/", here.trim_end_matches('/')), "/home/you/"),
            (node, "<node>"),
            (env!("CARGO_PKG_VERSION").to_owned(), "<version>"),
        ];
        let line = daemon.line.clone();
        self.daemon = Some(daemon);
        line
    }

    /// What a command writes, both ways, and its exit code where it is not 0.
    fn run(&mut self, command: &str) -> String {
        if command.starts_with(SERVE) {
            let line = self.serve(command);
            return self.shown(&line);
        }
        let binary = Path::new(env!("CARGO_BIN_EXE_weighbridge"));
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{{ {command}\n}} 2>&1")]).current_dir(self.place.path(""));
        shell.env("PATH", format!("{}:{path}", binary.parent().expect("a folder").display()));
        shell.env_remove("WEIGHBRIDGE_OUTPUT").env_remove("RUST_LOG").stdin(std::process::Stdio::null());
        if let Some(daemon) = &self.daemon {
            shell.env("WEIGHBRIDGE_SERVER", &daemon.url);
        }
        let ended = Process::start(shell).wait();
        let mut said = self.shown(&ended.stdout);
        if ended.code() != 0 {
            let _ = writeln!(said, "[exit code {}]", ended.code());
        }
        said
    }

    fn shown(&self, text: &str) -> String {
        let masked = self.masked.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        without_times(&masked)
    }
}

/// `text` with every length of time, instant and amount of memory masked. Where there is one the columns move, so
/// blanks in a row are made two.
fn without_times(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(masked_line).collect();
    let is_masked = lines.iter().zip(text.lines()).any(|(masked, line)| masked != line);
    let mut out = String::new();
    for line in lines {
        let _ = writeln!(out, "{}", if is_masked { narrowed(&line) } else { line });
    }
    out
}

fn narrowed(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let words = line.split("  ").map(str::trim).filter(|word| !word.is_empty());
    format!("{:1$}{2}", "", indent.min(2), words.collect::<Vec<_>>().join("  "))
}

fn masked_line(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let plain = |at: usize| words.get(at).map_or("", |word| word.trim_end_matches(','));
    let is_number = |at: usize| plain(at).parse::<f64>().is_ok();
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let comma = |last: usize| if words[last].ends_with(',') { "," } else { "" };
        let pair = (plain(at + 1), plain(at + 3));
        if is_number(at) && is_number(at + 2) && matches!(pair, ("m", "s") | ("h", "m")) {
            out.push(format!("<time>{}", comma(at + 3)));
            at += 4;
        } else if is_number(at) && matches!(plain(at + 1), "ms" | "s") {
            out.push(format!("<time>{}", comma(at + 1)));
            at += 2;
        } else if is_number(at) && plain(at + 1) == "MiB" {
            out.push("<n>".to_owned());
            at += 1;
        } else {
            let word = plain(at);
            let is_instant = word.len() >= 20 && word.ends_with('Z') && word.as_bytes()[10] == b'T';
            let whole = format!("<instant>{}", comma(at));
            out.push(if is_instant { whole } else { words[at].to_owned() });
            at += 1;
        }
    }
    out.join(" ")
}

/// Plays a stored session and compares; or stores what is answered now.
fn play(name: &str, document: &str) {
    let path = repository("tests/transcript").join(name);
    let stored = read(&path);
    let (head, commands) = commands_of(&stored);
    let mut left = commands.iter();
    for command in documented(&read(&repository(document))) {
        if ["weighbridge ", "cat >", "echo "].iter().any(|start| command.starts_with(start)) {
            assert!(
                left.any(|known| *known == command),
                "{document}: {command:?} is not in {name}, in this order"
            );
        }
    }
    let mut session = Session::new();
    let mut played = head;
    for command in &commands {
        let mut prompts = PROMPTS.into_iter().chain(std::iter::repeat(PROMPTS[1]));
        for line in command.lines() {
            let _ = writeln!(played, "{}{line}", prompts.next().unwrap_or_default());
        }
        played += &session.run(command);
    }
    if let Some(daemon) = session.daemon.take() {
        assert_eq!(daemon.end().code(), Some(0), "the daemon ends well");
    }
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, &played).expect("writable");
        return;
    }
    let differs = stored.lines().zip(played.lines()).enumerate().find(|(_, (was, is))| was != is);
    if let Some((at, (was, is))) = differs {
        panic!(
            "{name}:{}: stored\n  {was}\nbut now\n  {is}\n\nall of it now:\n{played}\n`just bless` stores it",
            at + 1
        );
    }
    assert_eq!(stored.lines().count(), played.lines().count(), "one is longer:\n{played}");
}

#[test]
fn a_new_user_gets_from_the_readme_what_is_stored() {
    play("new-user.txt", "README.md");
}

#[test]
fn the_commands_of_the_guide_answer_what_is_stored() {
    play("cli.txt", "docs/cli.md");
}

#[test]
fn each_reason_to_wait_is_told_as_is_stored() {
    play("explain.txt", "docs/explain.md");
}

#[test]
fn the_readme_begins_with_two_commands() {
    let commands = documented(&read(&repository("README.md")));
    assert_eq!(commands[..2], ["cargo run --release -- run examples/sample.json", "cargo test"]);
}

#[test]
fn times_are_masked_and_columns_drawn_together() {
    let check =
        |text: &str, expected: &str| assert_eq!(without_times(text), format!("{expected}\n"), "{text}");
    check("up for 1.7 s, epoch 1", "up for <time>, epoch 1");
    check("changed 3 m 20 s ago", "changed <time> ago");
    check("made     2026-11-29T20:01:04.508880Z, 44 ms ago", "made  <instant>, <time> ago");
    check("memory   25 MiB", "memory  <n> MiB");
    check("a    b", "a    b");
    check("3 jobs, 20 s", "3 jobs, <time>");
    check("  1  x   12 ms", "  1  x  <time>");
}

#[test]
fn commands_are_found_in_sessions_and_documents() {
    let (head, commands) = commands_of("# about\n\n$ one\nout\n$ cat > x <<'END'\n> a\n> END\n> not of it\n");
    assert_eq!((head.as_str(), commands[0].as_str()), ("# about\n\n", "one"));
    assert_eq!(commands[1], "cat > x <<'END'\na\nEND\nnot of it");
    let text = "```sh\none   # remark\n\ntwo \\\n  more\ncat > x <<'END'\n{   # kept }\nEND\n```\n```json\n{}\n```\n";
    assert_eq!(documented(text), ["one", "two \\\n  more", "cat > x <<'END'\n{   # kept }\nEND"]);
}
