//! Looking at job types.

use serde_json::{Value, json};

use crate::cli::Context;
use crate::cli::answer::{age, job_type, list as items, seconds, text};
use crate::cli::failure::{Exit, Failure};
use crate::cli::http::{Client, segment};
use crate::cli::output::{fields, lines, table};

/// The job type of a name.
pub(super) fn find(client: &Client, name: &str) -> Result<Value, Failure> {
    client.get(&format!("/api/v1/job-types/{}", segment(name)))
}

/// What Scale's interface says of it, where it was made from a manifest.
pub(super) fn manifest(client: &Client, found: &Value) -> Result<Option<Value>, Failure> {
    if found["has_manifest"] == true { client.get(&path(found)).map(Some) } else { Ok(None) }
}

fn text_of<'v>(of: &'v Value, pointer: &str) -> &'v str {
    of.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Its address in Scale's interface.
pub(super) fn path(found: &Value) -> String {
    let part = |pointer| segment(text_of(found, pointer));
    format!("/v6/job-types/{}/{}/", part("/name"), part("/version"))
}

pub(super) fn list(client: &Client, context: Context) -> Result<Exit, Failure> {
    let answer = client.get("/api/v1/job-types")?;
    context.print(&answer, |answer| {
        let types = items(answer, "/job_types");
        if types.is_empty() {
            return "no job types yet; `weighbridge job-type create --help` shows how to make one".to_owned();
        }
        let mut table = table(&[
            ">ID",
            "JOB TYPE",
            "ASKS FOR",
            ">PRIORITY",
            ">TRIES",
            ">LIMIT",
            ">QUEUED",
            ">RUNNING",
            "STATE",
        ]);
        for kind in types {
            table.add_row([
                text(kind, "/id"),
                job_type(kind, ""),
                text(kind, "/resources"),
                text(kind, "/priority"),
                text(kind, "/max_tries"),
                text(kind, "/max_scheduled"),
                text(kind, "/counts/queued"),
                text(kind, "/counts/running"),
                state(kind).to_owned(),
            ]);
        }
        lines(&table)
    })?;
    Ok(Exit::Done)
}

fn state(kind: &Value) -> &'static str {
    match (kind["is_active"] == false, kind["is_paused"] == true) {
        (true, _) => "inactive",
        (_, true) => "paused",
        _ => "active",
    }
}

pub(super) fn show(client: &Client, name: &str, context: Context) -> Result<Exit, Failure> {
    let mut found = find(client, name)?;
    if let (Some(full), Some(members)) = (manifest(client, &found)?, found.as_object_mut()) {
        for name in ["manifest", "configuration"] {
            members.insert(name.to_owned(), full[name].clone());
        }
    }
    context.print(&found, shown)?;
    Ok(Exit::Done)
}

fn shown(kind: &Value) -> String {
    let mut rows = vec![
        ("job type", format!("{}:{}", text(kind, "/name"), text(kind, "/version"))),
        ("id", text(kind, "/id")),
        ("state", state(kind).to_owned()),
        ("revision", format!("{}, changed {} ago", text(kind, "/revision"), age(kind, "/last_modified"))),
    ];
    for (name, pointer) in [("title", "/title"), ("description", "/description"), ("image", "/image")] {
        if !matches!(text(kind, pointer).as_str(), "" | "-") {
            rows.push((name, text(kind, pointer)));
        }
    }
    match kind.pointer("/manifest/job/interface") {
        Some(interface) => rows.extend(interface_rows(interface)),
        None => rows.push(("command", command(items(kind, "/command")))),
    }
    rows.extend(items(kind, "/uris").iter().map(|uri| ("fetches", fetched(uri))));
    let resources = text(kind, "/resources");
    let or_none = |text: String| if text == "-" { "no limit".to_owned() } else { text };
    rows.extend([
        ("asks for", if resources == "-" { "nothing".to_owned() } else { resources }),
        ("timeout", or_none(seconds(kind, "/timeout_s"))),
        ("tries", text(kind, "/max_tries")),
        ("runs at once", or_none(text(kind, "/max_scheduled"))),
        ("priority", text(kind, "/priority")),
    ]);
    let counts = ["pending", "blocked", "queued", "running", "failed", "completed", "canceled"];
    let counts = counts.map(|name| (name, text(kind, &format!("/counts/{name}"))));
    let counts = counts.iter().filter(|(_, n)| n != "0").map(|(name, n)| format!("{n} {name}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    rows.push(("jobs", if counts.is_empty() { "none".to_owned() } else { counts }));
    fields(&rows)
}

/// A file to fetch, and how.
fn fetched(uri: &Value) -> String {
    let mut told = text(uri, "/value");
    if let Some(name) = uri["output_file"].as_str() {
        told = format!("{told} as {name}");
    }
    let hows = [("executable", true), ("cache", true), ("extract", false)];
    let hows = hows.into_iter().filter(|(name, is_so)| uri[*name] == *is_so);
    for (name, is_so) in hows {
        told = format!("{told}, {}", if is_so { name } else { "not unpacked" });
    }
    crate::cli::output::printable(&told)
}

/// Arguments as one would type them.
fn command(arguments: &[Value]) -> String {
    let quoted = |argument: &Value| {
        let text = argument.as_str().unwrap_or_default();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=+,@%{}".contains(&b);
        let is_plain = !text.is_empty() && text.bytes().all(is_plain);
        if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    let all = arguments.iter().map(quoted).collect::<Vec<_>>().join(" ");
    crate::cli::output::printable(&all)
}

fn interface_rows(interface: &Value) -> Vec<(&'static str, String)> {
    let mut rows = vec![("command", text(interface, "/command"))];
    for (name, side) in [("input", "inputs"), ("output", "outputs")] {
        for (pointer, kind) in [("files", "file"), ("json", "")] {
            for item in items(interface, &format!("/{side}/{pointer}")) {
                let kind = if kind.is_empty() { text(item, "/type") } else { kind.to_owned() };
                let optional = if item["required"] == false { ", optional" } else { "" };
                let many = if item["multiple"] == true { ", several" } else { "" };
                rows.push((name, format!("{}: {kind}{many}{optional}", text(item, "/name"))));
            }
        }
    }
    rows
}

pub(super) fn revisions(client: &Client, name: &str, context: Context) -> Result<Exit, Failure> {
    let found = find(client, name)?;
    let all = match client.get(&format!("{}revisions/?page_size=1000", path(&found))) {
        Ok(all) => items(&all, "/results").to_vec(),
        Err(failure) if failure.exit == Exit::NotFound => Vec::new(),
        Err(failure) => return Err(failure),
    };
    let answer = json!({ "job_type": found["id"], "revision": found["revision"], "revisions": all });
    context.print(&answer, |answer| {
        let all = items(answer, "/revisions");
        if all.is_empty() {
            let revision = text(&found, "/revision");
            return format!("{} is at revision {revision}; none before it is kept", job_type(&found, ""));
        }
        let mut table = table(&[">REVISION", "IMAGE", "MADE"]);
        for revision in all {
            let made = format!("{} ago", age(revision, "/created"));
            table.add_row([text(revision, "/revision_num"), text(revision, "/docker_image"), made]);
        }
        lines(&table)
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_one_would_type_them() {
        let all = json!(["sh", "-c", "echo \"$0\" 'x'", "{who}", ""]);
        assert_eq!(command(items(&all, "")), r#"sh -c 'echo "$0" '\''x'\''' {who} ''"#);
    }
}
