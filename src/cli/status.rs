//! `weighbridge status`: what runs, what waits and why.

use serde_json::{Value, json};

use super::Context;
use super::answer::{age, job_type, list, seconds, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{lines, table};

const EXAMPLES: &str = "\
Examples:
  weighbridge status
  watch weighbridge status                    again every two seconds
  weighbridge status --output json";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let mut answer = client.get("/api/v1/status")?;
    let waiting = client.get("/api/v1/waiting")?;
    if let Some(members) = answer.as_object_mut() {
        members.insert("waiting".to_owned(), json!(list(&waiting, "/waiting")));
    }
    context.print(&answer, shown)?;
    Ok(Exit::Done)
}

fn shown(answer: &Value) -> String {
    let count = |of: &Value, name: &str| text(of, &format!("/counts/{name}"));
    let mut parts = vec![format!(
        "weighbridge {}, up for {}, epoch {}, {} running, {} queued",
        text(answer, "/version"),
        seconds(answer, "/uptime_s"),
        text(answer, "/epoch"),
        text(answer, "/n_running"),
        text(answer, "/n_queued"),
    )];
    if answer["driver"].is_object() {
        parts.push(text(answer, "/driver/text"));
    }
    if answer["last_refusal"].is_object() {
        let (when, why) = (age(answer, "/last_refusal/when"), text(answer, "/last_refusal/reason"));
        parts.push(format!("a launch was refused {when} ago and is tried again: {why}"));
    }
    let mut types = table(&[
        "JOB TYPE",
        ">PENDING",
        ">BLOCKED",
        ">QUEUED",
        ">RUNNING",
        ">FAILED",
        ">DONE",
        ">CANCELED",
        "OLDEST",
        "STATE",
    ]);
    for kind in list(answer, "/job_types") {
        types.add_row([
            job_type(kind, ""),
            count(kind, "pending"),
            count(kind, "blocked"),
            count(kind, "queued"),
            count(kind, "running"),
            count(kind, "failed"),
            count(kind, "completed"),
            count(kind, "canceled"),
            age(kind, "/longest_queued"),
            state(kind),
        ]);
    }
    if types.row_count() > 0 {
        parts.push(lines(&types));
    } else {
        parts.push("no job types yet; `weighbridge job-type create --help` shows how to make one".to_owned());
    }
    let mut nodes = table(&["NODE", "IN USE", "OF"]);
    for node in list(answer, "/nodes") {
        nodes.add_row([text(node, "/name"), text(node, "/in_use"), text(node, "/total")]);
    }
    if nodes.row_count() > 0 {
        parts.push(lines(&nodes));
    }
    let waiting: Vec<String> = list(answer, "/waiting").iter().map(|why| text(why, "/text")).collect();
    if !waiting.is_empty() {
        parts.push(waiting.join("\n"));
    }
    if let Some(failure) = answer.pointer("/log/failure").filter(|failure| !failure.is_null()) {
        parts.push(format!("the log takes nothing any more: {failure}"));
    }
    parts.join("\n\n")
}

fn state(kind: &Value) -> String {
    if kind["is_paused"] == true {
        return "paused".to_owned();
    }
    match text(kind, "/max_scheduled").as_str() {
        "-" => String::new(),
        limit => format!("at most {limit}"),
    }
}
