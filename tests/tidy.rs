//! Holds the walls between the folders of `src`, and the house rules that no compiler checks.
//!
//! Inside one crate every module can reach every other, so the direction of imports is held here:
//! each file is cut into tokens, without its comments and literals, and every path is resolved to
//! its place in the crate, whether it is written with `crate::`, `super::` or inside a group.
//! `faults_of` is a pure function of a file's path and text; the tests below show it bad ones.
//!
//! T1  What a folder imports stands in `WALLS`, and `WALLS` has no cycle.
//! T2  The core does no I/O, reads no clock, takes no lock and logs nothing.
//! T3  A dependency with a place of its own in `CRATES` is used nowhere else.
//! T4  ARCHITECTURE.md and SPECIFICATION.md speak of the tree as it is, and so do the tables of docs/coverage.md
//!     and docs/compat.md: files and tests that they name exist.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders (and top-level files) of `src`, lowest first, and what each may import. An entry with a
/// path lets only that item through. Code under `cfg(test)` may import `testing` too.
#[rustfmt::skip]
const WALLS: &[(&str, &str)] = &[
    ("model", ""),
    ("sync", ""),
    ("limits", "model"),
    ("clock", "model"),
    ("time", "model"),
    ("wal", "model limits sync clock"),
    ("launch", "model wal::Durable"),
    ("catalog", "model limits"),
    ("job", "model limits catalog"),
    ("recipe", "model limits catalog job"),
    ("queue", "model limits catalog"),
    ("offer", "model limits"),
    ("load", "model limits catalog job"),
    ("decision", "model limits catalog job queue offer"),
    ("state", "model limits catalog job recipe queue load"),
    ("store", "model limits sync clock load wal state"),
    ("intake", "model limits sync clock"),
    ("engine", "model limits sync clock wal launch catalog job recipe queue offer load decision state store intake"),
    ("message", "model limits time intake engine offer"),
    ("driver", "model limits sync clock launch wal::Durable"),
    ("workload", "model limits launch catalog"),
    ("api", "model limits sync clock time wal launch catalog job recipe queue offer load decision state store \
             intake engine message workload"),
    ("testing", "model limits sync clock wal launch catalog job recipe queue offer load decision state store \
                 intake engine message driver workload api::read_any api::read_instant api::instant_text"),
    ("sim", "model limits sync clock wal launch catalog job recipe queue offer load decision state store intake \
             engine testing"),
    ("replay", "model limits sync clock launch intake engine offer"),
    ("cli", "model limits sync clock wal launch catalog job recipe queue offer load decision state store intake \
             engine message driver workload api replay"),
];

/// A part of a folder that may import more, of what stands further up. The framework of a cluster is no driver
/// of the engine's but its user.
const MORE: &[(&str, &str)] = &[("src/driver/mesos/", "offer engine")];

/// Folders that get time and facts as arguments and fail only by saying "does not fit".
const CORE: &[&str] =
    &["model", "limits", "catalog", "job", "recipe", "queue", "offer", "load", "state", "decision"];

/// What the core may not name, outside its unit tests.
const NOT_IN_CORE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::sync::Condvar",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::atomic",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "arc_swap",
    "crossbeam",
    "crossbeam_channel",
    "crossbeam_epoch",
    "dashmap",
    "libc",
    "parking_lot",
    "redb",
    "rustix",
    "tracing",
];

/// Dependencies that belong to a few places only: files, or folders with a slash at the end.
const CRATES: &[(&str, &[&str])] = &[
    ("tokio", &["src/api/", "src/driver/mesos/", "src/cli/"]),
    ("axum", &["src/api/"]),
    ("clap", &["src/cli/", "src/main.rs"]),
    ("flate2", &["src/replay/"]),
    ("redb", &["src/wal/", "src/store/", "src/testing/"]),
    (
        "bincode",
        &[
            "src/model/",
            "src/load/",
            "src/state/",
            "src/wal/",
            "src/store/",
            "src/launch/",
            "src/driver/local/",
        ],
    ),
];

/// Where `unsafe` may stand: files, or folders with a slash at the end.
const UNSAFE: &[&str] = &["src/driver/local/sys.rs", "src/queue/glance.rs", "src/decision/pass/machine.rs"];

/// Macros that mean "not finished".
const NOT_FINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// Longest file, in lines. A longer one holds more than one noun.
const FILE_LINES_MAX: usize = 900;

/// A broken rule, and where.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Every rule that `text`, the content of `file`, breaks.
fn faults_of(file: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |line, what: String| faults.push(Fault { file: file.to_owned(), line, what });
    if !text.starts_with("//!") {
        fault(1, "opens without `//!`: say what the file is, who owns it and what always holds".into());
    }
    let n_lines = text.lines().count();
    if n_lines > FILE_LINES_MAX {
        fault(n_lines, format!("{n_lines} lines, {FILE_LINES_MAX} at most: split it by nouns"));
    }
    let module = module_of(file);
    let folder = module.first().map_or("", String::as_str);
    let allowed = WALLS.iter().find(|(name, _)| *name == folder).map(|(_, allowed)| *allowed);
    let more = MORE.iter().find(|(part, _)| file.starts_with(part)).map(|(_, more)| *more);
    let both = allowed.zip(more).map(|(allowed, more)| format!("{allowed} {more}"));
    let allowed = both.as_deref().or(allowed);
    if !folder.is_empty() && allowed.is_none() {
        fault(1, format!("`{folder}` has no line in WALLS (tests/tidy.rs): say what it may import"));
    }
    let blanked = blanked(text);
    for found in names_in(&tokens_of(&blanked), &module, is_test_file(file)) {
        for what in [
            import_fault(folder, allowed, &found),
            core_fault(folder, &found),
            crate_fault(file, &found),
            unsafe_fault(file, &found),
            unfinished_fault(&found),
        ]
        .into_iter()
        .flatten()
        {
            fault(found.line, what);
        }
    }
    faults
}

fn import_fault(folder: &str, allowed: Option<&str>, found: &Name) -> Option<String> {
    let allowed = allowed?;
    let target = found.absolute.as_ref()?;
    let first = target.first()?;
    if first == folder {
        return None;
    }
    let path = target.join("::");
    if !WALLS.iter().any(|(name, _)| name == first) {
        return Some(format!(
            "`crate::{path}` names the root of the crate: import from the folder it lives in"
        ));
    }
    let is_allowed = allowed.split(' ').any(|wall| is_under(target, wall));
    if is_allowed || (found.in_test && first == "testing") {
        return None;
    }
    let list = if allowed.is_empty() { "nothing".to_owned() } else { allowed.replace(' ', ", ") };
    Some(format!("`{folder}` may not import `{path}`; it may import {list}"))
}

fn core_fault(folder: &str, found: &Name) -> Option<String> {
    if found.in_test || !CORE.contains(&folder) {
        return None;
    }
    let bad = NOT_IN_CORE.iter().find(|bad| is_under(&found.path, bad) || globs_over(&found.path, bad))?;
    (found.path.len() > 1 || found.after_use)
        .then(|| format!("`{bad}` in `{folder}`: the core gets time and facts as arguments"))
}

fn crate_fault(file: &str, found: &Name) -> Option<String> {
    let (name, places) = CRATES.iter().find(|(name, _)| found.path.first().is_some_and(|f| f == name))?;
    let is_path = found.path.len() > 1 || found.after_use;
    (is_path && !is_in(file, places)).then(|| format!("`{name}` belongs to {} only", places.join(", ")))
}

fn unsafe_fault(file: &str, found: &Name) -> Option<String> {
    (found.path == ["unsafe"] && !is_in(file, UNSAFE))
        .then(|| "`unsafe` in a file that UNSAFE (tests/tidy.rs) does not list".to_owned())
}

fn unfinished_fault(found: &Name) -> Option<String> {
    let last = found.path.last()?;
    (found.is_macro && NOT_FINISHED.contains(&last.as_str())).then(|| format!("`{last}!` is left over"))
}

/// True where `path` is `wall` or lies below it.
fn is_under(path: &[String], wall: &str) -> bool {
    let wall: Vec<&str> = wall.split("::").collect();
    path.len() >= wall.len() && path.iter().zip(&wall).all(|(a, b)| a == b)
}

/// True where `path` ends in `*` above `wall`, so that `wall` comes along unseen.
fn globs_over(path: &[String], wall: &str) -> bool {
    let Some((star, above)) = path.split_last() else { return false };
    star == "*"
        && !above.is_empty()
        && wall.strip_prefix(&above.join("::")).is_some_and(|r| r.starts_with("::"))
}

fn is_in(file: &str, places: &[&str]) -> bool {
    places.iter().any(|place| if place.ends_with('/') { file.starts_with(place) } else { file == *place })
}

fn is_test_file(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.ends_with("_tests.rs") || file.contains("/tests/")
}

/// `src/queue/lane.rs` is the module `queue::lane`; the roots are the empty path.
fn module_of(file: &str) -> Vec<String> {
    let inner = file.strip_prefix("src/").unwrap_or(file);
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    if inner == "lib" || inner == "main" {
        return Vec::new();
    }
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    inner.split('/').map(str::to_owned).collect()
}

/// A path in the text of a file, or a lone name.
struct Name {
    line: usize,
    /// As written, groups unfolded.
    path: Vec<String>,
    /// From the crate's root, where it starts at `crate`, `self` or `super`.
    absolute: Option<Vec<String>>,
    /// Under `cfg(test)`.
    in_test: bool,
    /// Stands right after `use`.
    after_use: bool,
    /// An exclamation mark follows.
    is_macro: bool,
}

struct Token<'t> {
    line: usize,
    text: &'t str,
}

impl Token<'_> {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }

    /// True where a `::` that follows goes on with a path, rather than starting one.
    fn ends_path(&self) -> bool {
        (self.is_name() || matches!(self.text, ">" | "]" | ")")) && !BEFORE_A_PATH.contains(&self.text)
    }
}

/// Words of the language after which a path may start with `::`.
const BEFORE_A_PATH: &[&str] = &[
    "as", "break", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut", "return",
    "unsafe", "use", "where", "while",
];

/// `text` with comments and literals replaced by blanks; lines stay where they are.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself where none starts.
fn skipped(chars: &[char], at: usize) -> usize {
    let peek = |ahead: usize| chars.get(at + ahead).copied().unwrap_or('\0');
    let after_name = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (peek(0), peek(1)) {
        ('/', '/') => chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n),
        ('/', '*') => end_of_block_comment(chars, at),
        ('"', _) => end_of_text(chars, at + 1),
        ('r', '"' | '#') if !after_name => end_of_raw_text(chars, at + 1).unwrap_or(at),
        ('b' | 'c', 'r') if !after_name => end_of_raw_text(chars, at + 2).unwrap_or(at),
        ('\'', '\\') => {
            let from = (at + 3).min(chars.len());
            chars[from..].iter().position(|c| *c == '\'').map_or(chars.len(), |n| from + n + 1)
        }
        ('\'', _) if peek(2) == '\'' => at + 3,
        _ => at,
    }
}

fn end_of_block_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut now = at;
    while now < chars.len() {
        match (chars[now], chars.get(now + 1)) {
            ('/', Some('*')) => (depth, now) = (depth + 1, now + 2),
            ('*', Some('/')) => {
                (depth, now) = (depth - 1, now + 2);
                if depth == 0 {
                    return now;
                }
            }
            _ => now += 1,
        }
    }
    chars.len()
}

fn end_of_text(chars: &[char], from: usize) -> usize {
    let mut now = from;
    while now < chars.len() {
        match chars[now] {
            '\\' => now += 2,
            '"' => return now + 1,
            _ => now += 1,
        }
    }
    chars.len()
}

/// `from` is where the number signs or the quote of a raw text would stand.
fn end_of_raw_text(chars: &[char], from: usize) -> Option<usize> {
    let n_signs = chars[from.min(chars.len())..].iter().take_while(|c| **c == '#').count();
    if chars.get(from + n_signs) != Some(&'"') {
        return None;
    }
    let mut now = from + n_signs + 1;
    while now < chars.len() {
        let signs = chars[now + 1..].iter().take(n_signs).take_while(|c| **c == '#').count();
        if chars[now] == '"' && signs == n_signs {
            return Some(now + 1 + n_signs);
        }
        now += 1;
    }
    Some(chars.len())
}

/// Names, `::` and single signs.
fn tokens_of(blanked: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (idx, text) in blanked.lines().enumerate() {
        let line = idx + 1;
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let len = match first {
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            tokens.push(Token { line, text: &rest[..len] });
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

/// Every name and path of a file, resolved against the module it stands in.
fn names_in(tokens: &[Token<'_>], module: &[String], is_test_file: bool) -> Vec<Name> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut names = Vec::new();
    let mut depth = 0_usize;
    // Inline modules and test code that are open, with the depth at which they close.
    let mut inline: Vec<(usize, String)> = Vec::new();
    let mut tests: Vec<usize> = Vec::new();
    let mut test_item_follows = false;
    let mut at = 0;
    while at < tokens.len() {
        match text(at) {
            "#" if text(at + 1) == "[" && text(at + 2) == "cfg" => {
                let len =
                    tokens[at..].iter().position(|t| t.text == "]").map_or(tokens.len() - at, |n| n + 1);
                let words: Vec<&str> = tokens[at..at + len].iter().map(|t| t.text).collect();
                test_item_follows |= words.contains(&"test") && !words.contains(&"not");
                at += len;
                continue;
            }
            "mod" if text(at + 2) == "{" => inline.push((depth, text(at + 1).to_owned())),
            "{" => {
                if std::mem::take(&mut test_item_follows) {
                    tests.push(depth);
                }
                depth += 1;
            }
            "}" => {
                depth = depth.saturating_sub(1);
                tests.pop_if(|opened| *opened == depth);
                inline.pop_if(|(opened, _)| *opened == depth);
            }
            ";" => test_item_follows = false,
            _ => {}
        }
        let before = at.checked_sub(1).map_or("", text);
        let continues = before == "::" && at > 1 && tokens[at - 2].ends_path();
        if !tokens[at].is_name() || continues {
            at += 1;
            continue;
        }
        let mut paths = Vec::new();
        let end = read_path(tokens, at, &[], &mut paths);
        let here: Vec<String> = module.iter().cloned().chain(inline.iter().map(|(_, n)| n.clone())).collect();
        for (line, path) in paths {
            names.push(Name {
                line,
                absolute: absolute(&here, &path),
                path,
                in_test: is_test_file || test_item_follows || !tests.is_empty(),
                after_use: before == "use" || (before == "::" && at > 1 && text(at - 2) == "use"),
                is_macro: text(end) == "!" && text(end + 1) != "=",
            });
        }
        at = end;
    }
    names
}

/// Reads the path or `use` tree that starts at `at`; gives its leaves to `out`, returns its end.
fn read_path(
    tokens: &[Token<'_>],
    at: usize,
    above: &[String],
    out: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut path = above.to_vec();
    path.push(text(at).to_owned());
    let mut line = tokens[at].line;
    let continues = tokens[at].ends_path();
    let mut at = at + 1;
    while continues && text(at) == "::" {
        match tokens.get(at + 1) {
            Some(next) if next.is_name() || next.text == "*" => {
                path.push(next.text.to_owned());
                line = next.line;
                at += 2;
            }
            Some(next) if next.text == "{" => return read_group(tokens, at + 2, &path, out),
            _ => break,
        }
    }
    out.push((line, path));
    at
}

fn read_group(
    tokens: &[Token<'_>],
    from: usize,
    above: &[String],
    out: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut at = from;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "}" => return at + 1,
            "as" => at += 2,
            "self" => {
                out.push((token.line, above.to_vec()));
                at += 1;
            }
            "*" => at = read_path(tokens, at, above, out),
            _ if token.is_name() => at = read_path(tokens, at, above, out),
            _ => at += 1,
        }
    }
    at
}

/// `path`, written inside the module `here`, from the crate's root.
fn absolute(here: &[String], path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([here, rest].concat()),
        "super" => {
            let n_up = path.iter().take_while(|part| *part == "super").count();
            let base = &here[..here.len().saturating_sub(n_up)];
            Some([base, &path[n_up..]].concat())
        }
        _ => None,
    }
}

/// The first import that the table allows to a folder above it, so that imports could go round.
fn upward_in(walls: &[(&str, &str)]) -> Option<String> {
    for (idx, (folder, allowed)) in walls.iter().enumerate() {
        let is_below =
            |wall: &str| walls[..idx].iter().any(|(name, _)| wall.split("::").next() == Some(name));
        if let Some(wall) = allowed.split_whitespace().find(|wall| !is_below(wall)) {
            return Some(format!(
                "`{folder}` may import `{wall}`, which does not stand before it in the table"
            ));
        }
    }
    None
}

/// Folders that only one of them knows: the code map (rows that start with a folder's name) and
/// the tree.
fn map_faults(map: &str, folders: &BTreeSet<String>) -> Vec<String> {
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once("/`")?.0.to_owned());
    let mapped: BTreeSet<String> = map.lines().filter_map(row).collect();
    let missing = folders.difference(&mapped).map(|f| format!("src/{f} is not in the code map"));
    let gone = mapped.difference(folders).map(|f| format!("the code map has {f}/, src has not"));
    missing.chain(gone).collect()
}

/// Lines of a specification that name a test, bench or example that is not there, without saying
/// that it is not there yet.
fn promise_faults(specification: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for (idx, line) in specification.lines().enumerate() {
        if line.contains("no test yet") || line.contains("not measured yet") {
            continue;
        }
        for name in line.split('`').skip(1).step_by(2) {
            let is_path = ["tests/", "benches/", "examples/", "src/"].iter().any(|at| name.starts_with(at));
            let path = name.split("::").next().unwrap_or(name);
            if is_path && !exists(path) {
                faults.push(format!("line {}: {path} is not there; say \"no test yet\"", idx + 1));
            }
        }
    }
    faults
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("could not read {}: {error}", path.display()))
}

/// Rust files under `folder`, as paths from the root with slashes.
fn rust_files(folder: &Path, out: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder of the repository can be listed").path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let inner = path.strip_prefix(root()).expect("it lies under the root");
            out.push(inner.to_string_lossy().replace('\\', "/"));
        }
    }
}

fn source_files() -> Vec<String> {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    files.sort();
    assert!(files.len() > 10, "only {} files under src: the walk is broken", files.len());
    files
}

fn listed(faults: &[impl fmt::Display]) -> String {
    faults.iter().fold(String::new(), |text, fault| text + "\n  " + &fault.to_string())
}

#[test]
fn the_source_keeps_its_walls_and_house_rules() {
    let root = root();
    let faults: Vec<Fault> =
        source_files().iter().flat_map(|file| faults_of(file, &read(&root.join(file)))).collect();
    assert!(faults.is_empty(), "{} broken rules:{}", faults.len(), listed(&faults));
}

#[test]
fn imports_go_one_way() {
    assert_eq!(upward_in(WALLS), None);
    assert!(upward_in(&[("a", "b"), ("b", "")]).is_some_and(|what| what.contains("`a` may import `b`")));
    assert!(upward_in(&[("a", ""), ("b", "a::x b::y")]).is_some_and(|what| what.contains("`b::y`")));
}

#[test]
fn the_architecture_tells_the_tree() {
    let folders: BTreeSet<String> = source_files()
        .iter()
        .filter_map(|file| file.strip_prefix("src/")?.split_once('/'))
        .map(|(folder, _)| folder.to_owned())
        .collect();
    let faults = map_faults(&read(&root().join("ARCHITECTURE.md")), &folders);
    assert!(faults.is_empty(), "ARCHITECTURE.md:{}", listed(&faults));
}

#[test]
fn a_map_that_differs_from_the_tree_is_named() {
    let folders = BTreeSet::from(["queue".to_owned(), "wal".to_owned()]);
    let map = "| folder | what |\n|---|---|\n| `queue/` | `Queue` |\n| `offer/` | `Pool` |\n";
    assert_eq!(
        map_faults(map, &folders),
        ["src/wal is not in the code map", "the code map has offer/, src has not"]
    );
}

/// Names between backticks that can only be those of tests: of four words at least, or behind a file.
fn tests_named(text: &str) -> Vec<(usize, String)> {
    let is_name =
        |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let mut found = Vec::new();
    for (idx, line) in text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2) {
            let of_file = name.rsplit_once("::").filter(|(file, _)| file.contains(".rs"));
            let name = of_file.map_or(name, |(_, test)| test);
            if is_name(name) && (of_file.is_some() || name.matches('_').count() >= 4) {
                found.push((idx + 1, name.to_owned()));
            }
        }
    }
    found
}

#[test]
fn what_is_promised_names_tests_that_exist() {
    let root = root();
    let mut files = Vec::new();
    for folder in ["src", "tests", "examples"] {
        rust_files(&root.join(folder), &mut files);
    }
    let code: String = files.iter().map(|file| read(&root.join(file))).collect();
    for file in ["SPECIFICATION.md", "docs/coverage.md", "docs/compat.md"] {
        let text = read(&root.join(file));
        let mut faults = promise_faults(&text, |path| root.join(path).exists());
        let named = tests_named(&text);
        assert!(named.len() > 10, "{file}: {} tests are named: they are not found", named.len());
        let is_there = |name: &str| code.contains(&format!("fn {name}("));
        let missing = named.into_iter().filter(|(_, name)| !is_there(name));
        faults.extend(missing.map(|(line, name)| format!("line {line}: no test is called {name}")));
        assert!(faults.is_empty(), "{file}:{}", listed(&faults));
    }
}

#[test]
fn names_of_tests_are_found_in_a_text() {
    let text =
        "`tests/a.rs::short`, `src/b.rs` and `last_modified`\n`one_of_many_words_here`, `A::b_c_d_e_f`";
    assert_eq!(tests_named(text), [(1, "short".to_owned()), (2, "one_of_many_words_here".to_owned())]);
}

#[test]
fn a_promise_without_its_test_is_named() {
    let text =
        "| a | `tests/a.rs::x` |\n| b | `tests/b.rs` |\n| c | `tests/b.rs` (no test yet) |\n| d | `d` |";
    let faults = promise_faults(text, |path| path == "tests/a.rs");
    assert_eq!(faults, ["line 2: tests/b.rs is not there; say \"no test yet\""]);
}

/// Holds that `text`, as the content of `file` below a header line, breaks exactly one rule, in
/// `line` of `text`, with a message that holds `part`.
fn breaks(file: &str, text: &str, line: usize, part: &str) {
    let faults = faults_of(file, &format!("//! Header.\n{text}"));
    assert_eq!(faults.len(), 1, "{text}:{}", listed(&faults));
    let fault = &faults[0];
    assert_eq!((fault.file.as_str(), fault.line), (file, line + 1), "{fault}");
    assert!(fault.what.contains(part), "{fault}");
}

fn keeps(file: &str, text: &str) {
    let faults = faults_of(file, &format!("//! Header.\n{text}"));
    assert!(faults.is_empty(), "{text}:{}", listed(&faults));
}

#[test]
fn a_broken_wall_is_named_with_file_and_line() {
    let fault = &faults_of("src/queue/lane.rs", "//! A lane.\n\nuse crate::engine::Engine;\n")[0];
    assert!(fault.to_string().starts_with("src/queue/lane.rs:3: `queue` may not import `engine::Engine`"));
    breaks("src/model/ids.rs", "use crate::clock::Clock;", 1, "it may import nothing");
    breaks("src/queue/mod.rs", "\nfn f() {\n    crate::store::open();\n}", 3, "`store::open`");
    breaks("src/driver/local/mod.rs", "pub(in crate::engine) fn f() {}", 1, "`engine`");
    breaks("src/driver/mesos/mod.rs", "use crate::store::open;", 1, "`store::open`");
    keeps("src/driver/mesos/mod.rs", "use crate::engine::Engine;");
}

#[test]
fn a_wall_is_seen_through_groups_supers_and_aliases() {
    breaks(
        "src/queue/lane.rs",
        "use crate::{\n    model::JobId,\n    api::{Routes as R},\n};",
        3,
        "`api::Routes`",
    );
    breaks("src/queue/lane.rs", "use crate::{api::{self}, model};", 1, "`api`");
    breaks("src/queue/lane.rs", "use super::super::engine;", 1, "`engine`");
    breaks("src/queue/mod.rs", "use super::engine as model;", 1, "`engine`");
    breaks("src/queue/mod.rs", "mod inner {\n    use super::super::engine::X;\n}", 2, "`engine::X`");
    breaks("src/clock.rs", "use super::sync::Mutex;", 1, "`clock` may not");
    breaks("src/launch/driver.rs", "use crate::wal::{Durable, Writer};", 1, "`wal::Writer`");
}

#[test]
fn names_of_the_root_are_no_way_around_a_wall() {
    breaks("src/queue/lane.rs", "use crate::JobId;", 1, "the root of the crate");
    breaks("src/queue/lane.rs", "use crate::*;", 1, "the root of the crate");
    keeps("src/lib.rs", "pub use model::*;\npub use crate::engine::Engine;");
}

#[test]
fn what_a_wall_lets_through_passes() {
    keeps("src/model/event.rs", "use super::ids::JobId;\nuse std::sync::Arc;");
    keeps("src/queue/lane.rs", "use crate::model::{JobId, ids};\nuse super::Queue;\npub(crate) struct L;");
    keeps("src/launch/driver.rs", "use crate::wal::Durable;\nuse crate::model::JobId;");
    keeps("src/queue/mod.rs", "mod a { pub(super) fn f() { super::super::queue::g(); } }");
    keeps("src/queue/mod.rs", "mod a {}\nmod b { use super::a; }\nuse self::a::X;");
}

#[test]
fn comments_and_literals_are_not_code() {
    keeps(
        "src/queue/lane.rs",
        "// use crate::engine;\n/* crate::api /* nested */ unsafe */\n/// crate::api::X",
    );
    keeps(
        "src/queue/lane.rs",
        r##"const A: &str = "crate::api \" unsafe"; const B: &str = r#"a " todo!()"#;"##,
    );
    keeps("src/queue/lane.rs", "fn f<'a>(x: &'a str) -> char { if x == \"\" { '\"' } else { '\\'' } }");
    breaks("src/queue/lane.rs", "const A: char = '\"';\nuse crate::api::X;\nconst B: char = '\"';", 2, "api");
    breaks("src/queue/lane.rs", "const A: &str = \"two\nlines\";\nuse crate::api::X;", 3, "api");
}

#[test]
fn the_core_reads_no_clock_and_does_no_io() {
    breaks("src/decision/decide.rs", "use std::time::{Duration, Instant};", 1, "`std::time::Instant`");
    breaks("src/queue/lane.rs", "fn f() { std::fs::read(\"x\"); }", 1, "`std::fs`");
    breaks("src/queue/lane.rs", "use std::*;\nuse std::sync::Arc;", 1, "`std::env`");
    breaks("src/offer/pool.rs", "fn f() { tracing::info!(\"x\"); }", 1, "`tracing`");
    breaks("src/load/extra.rs", "use crate::sync::Mutex;", 1, "`load` may not import `sync::Mutex`");
    breaks("src/load/mod.rs", "use ::parking_lot::Mutex;", 1, "`parking_lot`");
    keeps("src/queue/lane.rs", "use std::time::Duration;\nfn f(tracing: bool) -> bool { tracing }");
    keeps("src/engine/mod.rs", "use std::time::Instant;\nuse crate::sync::Mutex;");
}

#[test]
fn unit_tests_may_do_more_than_the_code_they_test() {
    let inner = "use super::*;\n    use std::thread;\n    use crate::testing::naive;\n";
    keeps("src/queue/mod.rs", &format!("#[cfg(test)]\nmod tests {{\n    {inner}}}"));
    keeps("src/queue/lane.rs", "#[cfg(test)]\nuse crate::testing::{a, b};");
    keeps("src/queue/tests.rs", "use std::fs;");
    let after = format!("#[cfg(test)]\nmod tests {{\n    {inner}}}\nuse std::thread;");
    breaks("src/queue/mod.rs", &after, 7, "`std::thread`");
    breaks("src/queue/mod.rs", "#[cfg(not(test))]\nmod real { use std::fs; }", 2, "`std::fs`");
    breaks("src/queue/mod.rs", "#[cfg(test)]\nmod tests { use crate::api::X; }", 2, "`api::X`");
    breaks("src/engine/mod.rs", "use crate::testing::naive;", 1, "`testing::naive`");
}

#[test]
fn dependencies_stay_in_their_places() {
    breaks("src/engine/mod.rs", "async fn f() { tokio::time::sleep(d).await }", 1, "`tokio`");
    breaks("src/driver/local/mod.rs", "use tokio::net::UnixStream;", 1, "`tokio`");
    breaks("src/engine/mod.rs", "use redb::Database;", 1, "`redb` belongs to src/wal/, src/store/");
    breaks("src/api/views.rs", "#[derive(bincode::Encode)]\nstruct X;", 1, "`bincode`");
    keeps("src/api/serve.rs", "use tokio::net::TcpListener;\nuse axum::Router;");
    keeps("src/store/tables.rs", "use redb::Database;\nuse bincode::{Decode, Encode};");
}

#[test]
fn unsafe_and_what_is_not_finished_are_named() {
    breaks("src/queue/lane.rs", "fn f() {\n    unsafe { g() }\n}", 2, "`unsafe`");
    keeps("src/driver/local/sys.rs", "#![expect(unsafe_code)]\nfn f() { unsafe { g() } }");
    breaks("src/api/routes.rs", "fn f() { todo!() }", 1, "`todo!`");
    breaks("src/api/routes.rs", "fn f() { std::unimplemented!() }", 1, "`unimplemented!`");
    breaks("src/api/routes.rs", "#[cfg(test)]\nmod tests { fn f() { dbg!(1); } }", 2, "`dbg!`");
    keeps("src/api/routes.rs", "fn f(todo: u8) -> bool { todo != 1 }");
}

#[test]
fn a_file_has_a_header_a_folder_and_an_end() {
    let whats =
        |file: &str, text: &str| faults_of(file, text).into_iter().map(|f| f.what).collect::<Vec<_>>();
    assert!(whats("src/queue/lane.rs", "use std::sync::Arc;\n")[0].contains("opens without `//!`"));
    assert!(whats("src/misc/x.rs", "//! X.\n")[0].contains("`misc` has no line in WALLS"));
    let long = format!("//! Long.\n{}", "\n".repeat(FILE_LINES_MAX));
    assert!(whats("src/queue/lane.rs", &long)[0].contains("901 lines"));
}
