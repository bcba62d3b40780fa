//! Files that other tasks left, for a task that is given them: an agent fetches them into its sandbox.
//!
//! N1  Nothing is fetched but the files of the input of its job, and of those only what is in a sandbox of this
//!     framework, by an address as it goes on record. Whatever else is in a text stays as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::task::Task;
use crate::limits::MESOS_URIS_BYTES_MAX;
use crate::model::FetchUri;

/// The folder of a sandbox with what was fetched: each file in one of its own, so that no two names clash.
pub(super) const INPUTS: &str = "weighbridge-inputs";

/// Where a sandbox is in a container with an image of its own, as agents have it unless told otherwise.
const IN_IMAGE: &str = "/mnt/mesos/sandbox";

const HTTP: &str = "http://";

/// How the address of a file in a sandbox goes on behind that of its agent, up to the framework.
const DOWNLOAD: &str = "/files/download?path=/frameworks/";

/// What Mesos adds to a URI when it tells its fetcher of it.
const URI_BYTES_MORE: usize = 64;

/// The bytes behind a text in which some are written as `%` and two digits.
fn decoded(coded: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = coded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = &after[if byte.is_some() { 2 } else { 0 }..];
    }
    bytes
}

/// Whether it is the address of a file in a sandbox of the framework, as it goes on record.
fn is_of_sandbox(address: &str, framework: &str) -> bool {
    let Some((agent, _)) = address.strip_prefix(HTTP).and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let is_agent = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let path = address[HTTP.len() + agent.len()..].strip_prefix(DOWNLOAD);
    let Some(path) = path.and_then(|path| path.strip_prefix(framework)?.strip_prefix("/executors/")) else {
        return false;
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~%".contains(c);
    let is_within = |part: &str| !["", ".", ".."].map(str::as_bytes).contains(&&*decoded(part));
    !framework.is_empty()
        && !agent.is_empty()
        && agent.chars().all(is_agent)
        && path.chars().all(is_plain)
        && path.split('/').all(is_within)
}

/// The name of the file at an address. What a fetcher refuses in names, and what a shell takes apart, is `_`.
fn name(address: &str) -> String {
    let name = decoded(address.rsplit('/').next().unwrap_or_default());
    let is_good =
        |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || !(c.is_ascii() || c.is_control());
    let name: String =
        String::from_utf8_lossy(&name).chars().map(|c| if is_good(c) { c } else { '_' }).collect();
    if ["", ".", ".."].contains(&name.as_str()) { "_".to_owned() } else { name }
}

/// The longest of the keys that a text begins with.
fn longest<'k>(known: &BTreeMap<&'k str, Option<usize>>, text: &str) -> Option<&'k str> {
    let mut begin = text;
    loop {
        let (&key, _) = known.range::<str, _>((Bound::Unbounded, Bound::Included(begin))).next_back()?;
        if text.starts_with(key) {
            return Some(key);
        }
        // All keys that follow this one are no beginnings: a shorter one is a beginning of what both have.
        let n = key.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        begin = &text[..text.floor_char_boundary(n)];
    }
}

/// The files that a task may have, and those that it is to have.
struct Inputs<'f> {
    /// What stands before the path of one.
    top: String,
    /// All addresses, and which of the paths each has that is wanted.
    known: BTreeMap<&'f str, Option<usize>>,
    /// Those that are wanted in the order in which they came, and their paths below the sandbox.
    wanted: Vec<(&'f str, String)>,
}

impl<'f> Inputs<'f> {
    /// Puts paths in the place of addresses.
    fn found_in(&mut self, text: &mut Cow<'_, str>) {
        if !text.contains(DOWNLOAD) {
            return;
        }
        let (mut new, mut rest) = (String::new(), &**text);
        while let Some(at) = rest.find(HTTP) {
            let (before, from) = rest.split_at(at);
            new.push_str(before);
            let Some(address) = longest(&self.known, from) else {
                new.push_str(HTTP);
                rest = &from[HTTP.len()..];
                continue;
            };
            new.push_str(&self.top);
            let n = self.want(address);
            new.push_str(&self.wanted[n].1);
            rest = &from[address.len()..];
        }
        new.push_str(rest);
        *text = new.into();
    }

    fn want(&mut self, address: &'f str) -> usize {
        let n = self.known.entry(address).or_default();
        *n.get_or_insert_with(|| {
            let path = format!("{INPUTS}/{}/{}", self.wanted.len() + 1, name(address));
            self.wanted.push((address, path));
            self.wanted.len() - 1
        })
    }
}

/// Has an agent fetch those of `files` that the command or the environment of a task names, and names them by
/// where they are then. In an image, `OUTPUT_DIR` is the sandbox.
pub(super) fn fetch<'l>(task: &mut Task<'l>, files: &'l [String], framework: &str) {
    let has_image = task.has_image();
    let Some(command) = &mut task.command else { return };
    let top = if has_image { format!("{IN_IMAGE}/") } else { String::new() };
    let files = files.iter().map(String::as_str).filter(|file| is_of_sandbox(file, framework));
    let mut inputs = Inputs { top, known: files.map(|file| (file, None)).collect(), wanted: Vec::new() };
    command.value.iter_mut().chain(&mut command.arguments).for_each(|text| inputs.found_in(text));
    for variable in command.variables() {
        inputs.found_in(&mut variable.value);
        if has_image && variable.name == "OUTPUT_DIR" && variable.value == "." {
            variable.value = IN_IMAGE.into();
        }
    }
    let uri = |(address, path): (&str, String)| {
        Cow::Owned(FetchUri { extract: false, output_file: Some(path), ..FetchUri::new(address) })
    };
    command.uris.extend(inputs.wanted.into_iter().map(uri));
}

/// Why an agent could not have it all fetched; none where it can.
pub(super) fn too_many(task: &Task<'_>) -> Option<String> {
    let uris = &task.command.as_ref()?.uris;
    // Mesos writes a slash as two characters.
    let bytes_of = |uri: &Cow<'_, FetchUri>| {
        let text = serde_json::to_string(uri).unwrap_or_default();
        text.len() + text.matches('/').count() + URI_BYTES_MORE
    };
    let bytes: usize = uris.iter().map(bytes_of).sum();
    let n = uris.len();
    (bytes > MESOS_URIS_BYTES_MAX).then(|| {
        format!(
            "{n} files are to be fetched for it, which an agent would be told in {bytes} bytes, and \
             {MESOS_URIS_BYTES_MAX} are what it takes: have its job type fetch less, or its job be given fewer files"
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::driver::mesos::task::Command;

    const SANDBOX: &str = "http://10.0.0.1:5051/files/download?path=/frameworks/f/executors/e/runs/latest";

    #[test]
    fn files_of_the_input_are_fetched_and_named_by_where_they_are_then() {
        let (a, b) = (format!("{SANDBOX}/out/a.txt"), format!("{SANDBOX}/b%20%27c%C3%BC.tif"));
        let arguments = ["sh", "-c", &format!("cat '{a}'; cat {b}:{a}")].map(str::to_owned);
        let other = format!("http://h/x http:// {SANDBOX}/other");
        let env = [("BOTH", format!("{a} {b}")), ("OUTPUT_DIR", ".".to_owned()), ("OTHER", other.clone())];
        let env = env.map(|(name, value)| (name.to_owned(), value));
        let files = [b.clone(), a.clone(), format!("{SANDBOX}/unused")];
        let own = FetchUri::new("http://h/x.tgz");
        let told = |container: Value| -> Value {
            let mut command = Command::new("u", &arguments, &env);
            command.uris = vec![Cow::Borrowed(&own)];
            let container = Some(container).filter(|container| !container.is_null());
            let mut task = Task { command: Some(command), container, ..Task::default() };
            fetch(&mut task, &files, "f");
            let mut told: Value = serde_json::from_str(&task.text()).expect("JSON");
            told["command"].take()
        };
        let (near_a, near_b) = ("weighbridge-inputs/1/a.txt", "weighbridge-inputs/2/b__cü.tif");
        let command = told(Value::Null);
        assert_eq!(command["arguments"][2], format!("cat '{near_a}'; cat {near_b}:{near_a}"));
        let variables = &command["environment"]["variables"];
        assert_eq!(variables[0]["value"], format!("{near_a} {near_b}"));
        assert_eq!((&variables[1]["value"], &variables[2]["value"]), (&json!("."), &json!(other)));
        let uri =
            |address: &str, near: &str| json!({ "value": address, "output_file": near, "extract": false });
        assert_eq!(command["uris"], json!([{ "value": "http://h/x.tgz" }, uri(&a, near_a), uri(&b, near_b)]));
        let in_image = told(json!({ "type": "MESOS", "mesos": { "image": { "type": "DOCKER" } } }));
        let variables = &in_image["environment"]["variables"];
        let both = format!("/mnt/mesos/sandbox/{near_a} /mnt/mesos/sandbox/{near_b}");
        assert_eq!(
            (&variables[0]["value"], &variables[1]["value"]),
            (&json!(both), &json!("/mnt/mesos/sandbox"))
        );
        assert_eq!(in_image["uris"], command["uris"], "relative to the sandbox");
    }

    /// A text as a task of a job with those files has it, and the addresses of what is fetched.
    fn given(text: &str, files: &[&str]) -> (String, Vec<String>) {
        let arguments = ["run".to_owned(), text.to_owned()];
        let command = Some(Command::new("u", &arguments, &[]));
        let mut task = Task { command, ..Task::default() };
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        fetch(&mut task, &files, "f");
        let command = task.command.expect("it has one");
        let addresses = command.uris.iter().map(|uri| uri.value.clone()).collect();
        (command.arguments[1].clone().into_owned(), addresses)
    }

    #[test]
    fn nothing_else_that_looks_like_an_address_is_touched() {
        let own = format!("{SANDBOX}/a");
        for text in [own.clone(), format!("{{\"url\": \"{own}\"}}"), "http://h/x".to_owned(), String::new()] {
            assert_eq!(given(&text, &[]), (text.clone(), vec![]), "of a job without files");
            assert_eq!(given(&text, &[&format!("{SANDBOX}/b")]), (text.clone(), vec![]), "of another file");
        }
        // As they may be on record by hand.
        for file in [
            "http://h/x".to_owned(),
            "http://h/files/download?path=/var/log".to_owned(),
            format!("{SANDBOX}/a/"),
            format!("{SANDBOX}/../../x"),
            format!("{SANDBOX}/%2e./x"),
            format!("{SANDBOX}/a&x=1"),
            format!("{SANDBOX}/a b"),
            SANDBOX.replace("/f/", "/g/"),
            SANDBOX.replace("/f/", "/f2/"),
            SANDBOX.replace("10.0.0.1:5051", ""),
            SANDBOX.replace("10.0.0.1", "x@h"),
        ] {
            assert_eq!(given(&file, &[&file]), (file.clone(), vec![]));
        }
        assert!(!is_of_sandbox("http://h/files/download?path=/frameworks//executors/x", ""));
    }

    #[test]
    fn an_address_ends_where_that_of_the_file_ends() {
        let [a, ab] = ["a", "a.b"].map(|name| format!("{SANDBOX}/{name}"));
        let (told, fetched) = given(&format!("see {a}.txt, {a}. {ab}.bak {ab}c"), &[&ab, &a]);
        let (near_a, near_ab) = ("weighbridge-inputs/1/a", "weighbridge-inputs/2/a.b");
        assert_eq!(told, format!("see {near_a}.txt, {near_a}. {near_ab}.bak {near_ab}c"), "the longest wins");
        assert_eq!(fetched, [a, ab]);
    }

    #[test]
    fn the_longest_beginning_is_found_past_keys_that_are_none() {
        let known: BTreeMap<&str, Option<usize>> =
            ["ab", "abcx", "abcy", "abd", "b"].map(|key| (key, None)).into();
        let check = |text: &str, expected| assert_eq!(longest(&known, text), expected, "{text}");
        check("abcz", Some("ab"));
        check("abcyz", Some("abcy"));
        check("abü", Some("ab"));
        check("az", None);
        check("", None);
    }

    #[test]
    fn a_name_has_nothing_that_a_shell_takes_apart() {
        let check = |coded: &str, expected: &str| assert_eq!(name(&format!("{SANDBOX}/{coded}")), expected);
        check("a-b_c.1%C3%BC", "a-b_c.1ü");
        check("%24%3B%26%7C%3C%3E%28%29%2A%3F%5B%60%7E%0A%2F%C2%85%7F", &"_".repeat(17));
        check("%2E%2E", "_");
        check(".", "_");
        check("...", "...");
        check("%zz%2", "_zz_2");
    }

    #[test]
    fn what_an_agent_cannot_be_told_is_too_much() {
        let check = |texts: Vec<String>| {
            let uris = texts.into_iter().map(|text| Cow::Owned(FetchUri::new(text))).collect();
            let command = Some(Command { uris, ..Command::default() });
            too_many(&Task { command, ..Task::default() })
        };
        assert_eq!(check(vec![]), None);
        assert_eq!(check(vec!["x".repeat(1_000); 64]), None);
        let why = check(vec!["x".repeat(2_048); 64]).expect("too much");
        assert!(why.starts_with("64 files"), "{why}");
        // A slash counts twice.
        assert!(check(vec!["/".repeat(MESOS_URIS_BYTES_MAX / 2)]).is_some());
    }
}
