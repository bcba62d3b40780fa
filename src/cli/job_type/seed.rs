//! Types from Seed manifests, over Scale's interface.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::look::{self, find};
use super::wanted::{WantedArgs, number};
use crate::cli::Context;
use crate::cli::answer::{job_type, text};
use crate::cli::failure::{Exit, Failure};
use crate::cli::http::Client;
use crate::cli::submit::text_of;

const HELP: &str =
    "a Seed manifest is {\"seedVersion\": \"1.0.0\", \"job\": {...}}; docs/cli.md has one to start from";

/// What a file holds: a body with a manifest in it.
fn read(path: &Path) -> Result<Map<String, Value>, Failure> {
    let name = path.display();
    let bad = |why: String| Failure::usage(format_args!("{name}: {why}")).help(HELP);
    let document: Value =
        serde_json::from_slice(&text_of(path)?).map_err(|error| bad(format!("no JSON: {error}")))?;
    let Value::Object(mut body) = document else { return Err(bad("it is no JSON object".to_owned())) };
    if body.contains_key("job") {
        body = Map::from_iter([("manifest".to_owned(), Value::Object(body))]);
    }
    if body.get("manifest").is_some_and(Value::is_object) {
        return Ok(body);
    }
    Err(bad("there is no manifest in it".to_owned()))
}

/// Lays flags over a manifest. True where they say something of it.
fn lay_over(manifest: &mut Value, wanted: &WantedArgs) -> bool {
    let before = manifest.clone();
    let Some(job) = manifest.get_mut("job").and_then(Value::as_object_mut) else { return false };
    let texts = [("title", &wanted.title), ("description", &wanted.description)];
    for (name, value) in texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        job.insert(name.to_owned(), json!(value));
    }
    if let Some(seconds) = wanted.timeout.and_then(|timeout| timeout.0) {
        job.insert("timeout".to_owned(), json!(seconds));
    }
    for (name, amount) in wanted.resources() {
        let resources = job.entry("resources").or_insert_with(|| json!({}));
        let Some(resources) = resources.as_object_mut() else { continue };
        let scalar = resources.entry("scalar").or_insert_with(|| json!([]));
        let Some(scalar) = scalar.as_array_mut() else { continue };
        match scalar.iter_mut().find(|item| item["name"] == name) {
            Some(Value::Object(item)) => drop(item.insert("value".to_owned(), number(amount))),
            _ => scalar.push(json!({ "name": name, "value": number(amount) })),
        }
    }
    *manifest != before
}

/// What of the flags stands beside the manifest.
fn put_switches(body: &mut Map<String, Value>, wanted: &WantedArgs, configuration: Option<&Value>) {
    if let Some(limit) = wanted.max_scheduled {
        body.insert("max_scheduled".to_owned(), json!(limit.0.unwrap_or(0)));
    }
    if let Some(priority) = wanted.priority {
        let given = body.get("configuration").or(configuration).cloned();
        let mut all = given.filter(Value::is_object).unwrap_or_else(|| json!({}));
        all["priority"] = json!(priority);
        body.insert("configuration".to_owned(), all);
    }
    if let Some(image) = wanted.image() {
        body.insert("docker_image".to_owned(), json!(image));
    }
}

pub(super) fn create(
    client: &Client,
    path: &Path,
    wanted: &WantedArgs,
    is_paused: bool,
    context: Context,
) -> Result<Exit, Failure> {
    wanted.check_seed()?;
    let mut body = read(path)?;
    put_switches(&mut body, wanted, None);
    lay_over(&mut body["manifest"], wanted);
    let (name, version) = (text(&body["manifest"], "/job/name"), text(&body["manifest"], "/job/jobVersion"));
    // Scale's interface asks for one; an empty one is none.
    body.entry("docker_image").or_insert_with(|| json!(""));
    let is_new = find(client, &format!("{name}:{version}")).is_err();
    client.post("/v6/job-types/", &body).map_err(|failure| match failure.exit {
        Exit::Usage => failure.help(HELP),
        _ => failure,
    })?;
    let name = format!("{name}:{version}");
    let mut answer = find(client, &name)?;
    after(client, &answer, wanted, is_paused)?;
    if is_paused {
        answer = find(client, &name)?;
    }
    context.print(&answer, |answer| {
        let paused = if is_paused { ", paused" } else { "" };
        if is_new {
            return format!("made job type {}, id {}{paused}", job_type(answer, ""), text(answer, "/id"));
        }
        let (name, revision) = (job_type(answer, ""), text(answer, "/revision"));
        format!("there was a job type {name} already; it is at revision {revision} now{paused}")
    })?;
    Ok(Exit::Done)
}

/// Switches that Scale's interface does not have.
fn after(client: &Client, found: &Value, wanted: &WantedArgs, is_paused: bool) -> Result<(), Failure> {
    let id = text(found, "/id");
    if let Some(mode) = &wanted.mode {
        client.put("/api/v1/queue/mode", &json!({ "mode": mode, "job_type": id }))?;
    }
    if is_paused {
        client.post(&format!("/api/v1/job-types/{id}/pause"), &json!({}))?;
    }
    Ok(())
}

pub(super) fn edit(
    client: &Client,
    found: &Value,
    full: &Value,
    wanted: &WantedArgs,
    command: &[String],
    context: Context,
) -> Result<Exit, Failure> {
    wanted.check_seed()?;
    if !command.is_empty() {
        return Err(Failure::usage("this type has a manifest, and its command stands there")
            .help("change the manifest, and give it with --manifest FILE"));
    }
    let mut body = wanted.manifest.as_deref().map_or_else(|| Ok(Map::new()), read)?;
    put_switches(&mut body, wanted, full.get("configuration"));
    let mut manifest = body.get("manifest").unwrap_or(&full["manifest"]).clone();
    // Jobs run in the image of their revision, so another one is another revision.
    if lay_over(&mut manifest, wanted) || wanted.image().is_some() {
        body.insert("manifest".to_owned(), manifest);
    }
    if !body.is_empty() {
        client.patch(&look::path(found), &body).map_err(|failure| match failure.exit {
            Exit::Usage => failure.help(HELP),
            _ => failure,
        })?;
    }
    // Scale takes a limit of 0 for no change.
    if wanted.max_scheduled.is_some_and(|limit| limit.0.is_none()) {
        let path = format!("/api/v1/job-types/{}/limit", text(found, "/id"));
        client.put(&path, &json!({ "max_scheduled": null }))?;
    }
    after(client, found, wanted, false)?;
    let answer = client.get(&look::path(found))?;
    context.print(&answer, |answer| {
        format!("changed job type {}, revision {}", job_type(answer, ""), text(answer, "/revision_num"))
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Value {
        json!({ "seedVersion": "1.0.0", "job": {
            "name": "resize", "jobVersion": "1.0.0", "packageVersion": "2.0.0", "title": "Resize",
            "resources": { "scalar": [{ "name": "cpus", "value": 1, "inputMultiplier": 2 }] },
        } })
    }

    #[test]
    fn flags_go_over_a_manifest_and_leave_the_rest() {
        let mut changed = manifest();
        assert!(!lay_over(&mut changed, &WantedArgs::default()));
        let mut wanted = WantedArgs::of_amounts("0.5", "64");
        wanted.title = Some("Smaller".to_owned());
        assert!(lay_over(&mut changed, &wanted));
        assert_eq!(changed["job"]["title"], "Smaller");
        let scalar = json!([
            { "name": "cpus", "value": 0.5, "inputMultiplier": 2 }, { "name": "mem", "value": 64 }
        ]);
        assert_eq!(changed["job"]["resources"]["scalar"], scalar);
    }

    #[test]
    fn a_file_holds_a_manifest_or_a_body_with_one() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("m.json");
        let of = |value: &str| {
            std::fs::write(&path, value).expect("writable");
            read(&path).map_err(|failure| failure.to_string())
        };
        assert_eq!(of(&manifest().to_string()).expect("a body")["manifest"], manifest());
        let body = json!({ "manifest": manifest(), "docker_image": "x" });
        assert_eq!(of(&body.to_string()).expect("a body")["docker_image"], "x");
        for (text, part) in [("{", "no JSON"), ("[]", "no JSON object"), ("{}", "no manifest in it")] {
            let told = of(text).expect_err(text);
            assert!(told.contains(part) && told.contains("help: a Seed manifest is"), "{told}");
        }
    }
}
