//! Types from flags, whose jobs run as processes.

use serde_json::{Map, Value, json};

use super::wanted::split_name;
use super::{CreateArgs, EditArgs};
use crate::cli::Context;
use crate::cli::answer::{job_type, text};
use crate::cli::failure::{Exit, Failure};
use crate::cli::http::{Client, segment};

/// The version of a type that states none.
const VERSION: &str = "1.0";

/// Members that an answer has and a body takes.
const KEPT: [&str; 13] = [
    "name",
    "version",
    "title",
    "description",
    "command",
    "env",
    "image",
    "uris",
    "resources",
    "timeout_s",
    "max_tries",
    "priority",
    "mode",
];

pub(super) fn create(client: &Client, args: &CreateArgs, context: Context) -> Result<Exit, Failure> {
    let Some(name) = &args.name else {
        return Err(Failure::usage("a job type needs a name").help(
            "for instance `weighbridge job-type create hello -- echo hello {who}`, or give a Seed manifest \
             with --manifest",
        ));
    };
    let (name, version) = split_name(name);
    let version = version.unwrap_or(VERSION);
    if args.command.is_empty() {
        return Err(Failure::usage("a job type needs a command").help(format_args!(
            "write it behind --, for instance `weighbridge job-type create {name} -- echo hello {{who}}`; \
             or give a Seed manifest with --manifest"
        )));
    }
    let path = format!("/api/v1/job-types/{}", segment(&format!("{name}:{version}")));
    if client.get(&path).is_ok() {
        return Err(Failure::usage(format_args!("there is a job type {name}:{version} already")).help(
            format_args!(
                "`weighbridge job-type edit {name}:{version}` changes it; or make another version, {name}:VERSION"
            ),
        ));
    }
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(name));
    body.insert("version".to_owned(), json!(version));
    args.wanted.lay_over(&mut body, &args.command);
    if args.paused {
        body.insert("is_paused".to_owned(), json!(true));
    }
    let answer = client.post("/api/v1/job-types", &body).map_err(advised)?;
    let paused = if args.paused { ", paused" } else { "" };
    context.print(&answer, |answer| {
        let (name, id) = (job_type(answer, "/job_type"), text(answer, "/job_type/id"));
        format!("made job type {name}, id {id}{paused}")
    })?;
    Ok(Exit::Done)
}

pub(super) fn edit(
    client: &Client,
    found: &Value,
    args: &EditArgs,
    context: Context,
) -> Result<Exit, Failure> {
    if args.wanted.manifest.is_some() {
        return Err(Failure::usage("this type is from flags or a workload file, and takes no manifest")
            .help("make another version of it: `weighbridge job-type create --manifest FILE`"));
    }
    let mut body = found.as_object().cloned().unwrap_or_default();
    body.retain(|name, value| KEPT.contains(&name.as_str()) && !value.is_null());
    args.wanted.lay_over(&mut body, &args.command);
    let limit = body.remove("max_scheduled");
    let mode = args.wanted.mode.as_ref().map(|mode| mode.to_uppercase());
    client.post("/api/v1/job-types", &body).map_err(advised)?;
    let id = text(found, "/id");
    // Switches are changed by calls of their own.
    if let Some(limit) = limit {
        client.put(&format!("/api/v1/job-types/{id}/limit"), &json!({ "max_scheduled": limit }))?;
    }
    if let Some(mode) = mode {
        client.put("/api/v1/queue/mode", &json!({ "mode": mode, "job_type": id }))?;
    }
    let answer = client.get(&format!("/api/v1/job-types/{id}"))?;
    context.print(&answer, |answer| {
        format!("changed job type {}, revision {}", job_type(answer, ""), text(answer, "/revision"))
    })?;
    Ok(Exit::Done)
}

fn advised(failure: Failure) -> Failure {
    if failure.exit == Exit::Usage && failure.help.is_none() {
        return failure.help("`weighbridge job-type create --help` says what a type takes, with examples");
    }
    failure
}
