//! Files that other tasks left, for a task that is given their addresses: an agent fetches them into its sandbox.

use serde_json::{Value, json};

/// The folder of a sandbox with what was fetched: each file in one of its own, so that no two names clash.
pub(super) const INPUTS: &str = "weighbridge-inputs";

/// Where a sandbox is in a container with an image of its own, as agents have it unless told otherwise.
const IN_IMAGE: &str = "/mnt/mesos/sandbox";

const HTTP: &str = "http://";

/// How the address of a file in a sandbox goes on behind that of its agent.
const DOWNLOAD: &str = "/files/download?path=/frameworks/";

/// The end of the address that begins here; none where it is none of a file in a sandbox.
fn end_of_address(text: &str) -> Option<usize> {
    let (agent, _) = text.strip_prefix(HTTP)?.split_once('/')?;
    let is_agent = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    let begin = HTTP.len() + agent.len();
    let path = text[begin..].strip_prefix(DOWNLOAD)?;
    let end = path.find(|c: char| !c.is_ascii_alphanumeric() && !"/-._~%".contains(c)).unwrap_or(path.len());
    let is_file = end > 0 && !path[..end].ends_with('/');
    let is_whole = is_file && !agent.is_empty() && agent.chars().all(is_agent);
    is_whole.then_some(begin + DOWNLOAD.len() + end)
}

/// The name of the file at an address. What a fetcher refuses in names, and what a shell takes apart, is `_`.
fn name(address: &str) -> String {
    let coded = address.rsplit('/').next().unwrap_or_default();
    let mut bytes = Vec::new();
    let mut rest = coded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = &after[if byte.is_some() { 2 } else { 0 }..];
    }
    let is_good = |c: char| !c.is_control() && !c.is_whitespace() && !"\\'\"/".contains(c);
    String::from_utf8_lossy(&bytes).chars().map(|c| if is_good(c) { c } else { '_' }).collect()
}

/// The files that a task is to have.
struct Inputs {
    /// What stands before the path of one.
    top: String,
    /// Their addresses, in the order in which they came.
    addresses: Vec<String>,
}

impl Inputs {
    fn path(&self, n: usize) -> String {
        format!("{INPUTS}/{}/{}", n + 1, name(&self.addresses[n]))
    }

    /// Puts paths in the place of addresses.
    fn found_in(&mut self, text: &mut Value) {
        let Some(old) = text.as_str().filter(|text| text.contains(DOWNLOAD)) else { return };
        let (mut new, mut rest) = (String::new(), old);
        while let Some(at) = rest.find(HTTP) {
            let (before, from) = rest.split_at(at);
            new.push_str(before);
            let Some(end) = end_of_address(from) else {
                new.push_str(HTTP);
                rest = &from[HTTP.len()..];
                continue;
            };
            let known = self.addresses.iter().position(|known| *known == from[..end]);
            let n = known.unwrap_or_else(|| {
                self.addresses.push(from[..end].to_owned());
                self.addresses.len() - 1
            });
            new.push_str(&self.top);
            new.push_str(&self.path(n));
            rest = &from[end..];
        }
        new.push_str(rest);
        *text = new.into();
    }
}

/// Whether the task runs in a container with an image, where it does not begin in its sandbox.
fn has_image(task: &Value) -> bool {
    ["/container/docker/image", "/container/mesos/image"].iter().any(|path| task.pointer(path).is_some())
}

/// Has an agent fetch the files on agents that the command or the environment of a task names, and names them by
/// where they are then. In an image, `OUTPUT_DIR` is the sandbox.
pub(super) fn fetch(task: &mut Value) {
    let has_image = has_image(task);
    let top = if has_image { format!("{IN_IMAGE}/") } else { String::new() };
    let mut inputs = Inputs { top, addresses: Vec::new() };
    let command = &mut task["command"];
    inputs.found_in(&mut command["value"]);
    for argument in command["arguments"].as_array_mut().into_iter().flatten() {
        inputs.found_in(argument);
    }
    let variables = command.pointer_mut("/environment/variables").and_then(Value::as_array_mut);
    for variable in variables.into_iter().flatten() {
        inputs.found_in(&mut variable["value"]);
        if has_image && variable["name"] == "OUTPUT_DIR" && variable["value"] == "." {
            variable["value"] = IN_IMAGE.into();
        }
    }
    if inputs.addresses.is_empty() {
        return;
    }
    let uri = |(n, address): (usize, &String)| json!({ "value": address, "output_file": inputs.path(n), "extract": false, "cache": false });
    let mut uris = command["uris"].as_array().cloned().unwrap_or_default();
    uris.extend(inputs.addresses.iter().enumerate().map(uri));
    command["uris"] = uris.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SANDBOX: &str = "http://10.0.0.1:5051/files/download?path=/frameworks/f/executors/e/runs/latest";

    #[test]
    fn addresses_of_sandboxes_are_fetched_and_named_by_where_they_are_then() {
        let (a, b) = (format!("{SANDBOX}/out/a.txt"), format!("{SANDBOX}/b%20%27c%C3%BC.tif"));
        let mut task = json!({ "command": {
            "value": "sh",
            "arguments": ["sh", "-c", format!("cat '{a}'; cat {b}:{a}")],
            "environment": { "variables": [
                { "name": "BOTH", "value": format!("{a} {b}") },
                { "name": "OUTPUT_DIR", "value": "." },
                { "name": "OTHER", "value": "http://h/files/download?path=/var/x http:///files/download?path=/frameworks/x" },
            ] },
            "uris": [{ "value": "http://h/x.tgz" }],
        } });
        let mut in_image = task.clone();
        fetch(&mut task);
        let (near_a, near_b) = ("weighbridge-inputs/1/a.txt", "weighbridge-inputs/2/b__cü.tif");
        let command = &task["command"];
        assert_eq!(command["arguments"][2], format!("cat '{near_a}'; cat {near_b}:{near_a}"));
        let variables = &command["environment"]["variables"];
        assert_eq!(variables[0]["value"], format!("{near_a} {near_b}"));
        assert_eq!(
            (&variables[1]["value"], &variables[2]),
            (&json!("."), &in_image["command"]["environment"]["variables"][2])
        );
        let uri = |address: &str, near: &str| json!({ "value": address, "output_file": near, "extract": false, "cache": false });
        assert_eq!(command["uris"], json!([{ "value": "http://h/x.tgz" }, uri(&a, near_a), uri(&b, near_b)]));
        in_image["container"] = json!({ "type": "MESOS", "mesos": { "image": { "type": "DOCKER" } } });
        fetch(&mut in_image);
        let variables = &in_image["command"]["environment"]["variables"];
        let both = format!("/mnt/mesos/sandbox/{near_a} /mnt/mesos/sandbox/{near_b}");
        assert_eq!(
            (&variables[0]["value"], &variables[1]["value"]),
            (&json!(both), &json!("/mnt/mesos/sandbox"))
        );
        assert_eq!(in_image["command"]["uris"], task["command"]["uris"], "relative to the sandbox");
    }

    #[test]
    fn a_task_that_names_none_is_left_as_it_is() {
        let task = json!({ "command": { "value": "run", "arguments": ["run", "http://h/x", "-"] } });
        let mut same = task.clone();
        fetch(&mut same);
        assert_eq!(same, task);
        let check = |text: &str, end| assert_eq!(end_of_address(text), end, "{text}");
        check(&format!("{SANDBOX}/x, and"), Some(SANDBOX.len() + 2));
        for none in
            ["", "http://", "http://h", "http://h/files/download?path=/frameworks/", "http://a b/files"]
        {
            check(none, None);
        }
        check(&format!("{SANDBOX}/"), None);
    }
}
