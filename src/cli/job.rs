//! `weighbridge job`: one job, in full.

use serde_json::Value;

use super::Context;
use super::answer::{age, job_type, number, seconds, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{lines, table};
use crate::model::JobId;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Its id
    job: JobId,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let answer = Client::new(&args.server)?.get(&format!("/api/v1/jobs/{}", args.job))?;
    context.print(&answer, shown)?;
    Ok(Exit::Done)
}

fn shown(job: &Value) -> String {
    let ago = |pointer: &str| match age(job, pointer).as_str() {
        "-" => "-".to_owned(),
        age => format!("{}, {age} ago", text(job, pointer)),
    };
    let mut rows = vec![
        ("job", text(job, "/id")),
        ("status", text(job, "/status")),
        ("job type", job_type(job, "/job_type")),
        ("priority", text(job, "/priority")),
        ("asks for", text(job, "/resources")),
        ("tries", format!("{} of {}", text(job, "/tries"), text(job, "/max_tries"))),
        ("executions", text(job, "/num_exes")),
        ("node", text(job, "/node/name")),
        ("created", ago("/created")),
        ("queued", ago("/queued")),
        ("started", ago("/started")),
        ("ended", ago("/ended")),
    ];
    if job.pointer("/recipe/id").is_some() {
        rows.push(("recipe", format!("{}, node {}", text(job, "/recipe/id"), text(job, "/recipe/node"))));
    }
    if job.pointer("/end/text").is_some() {
        rows.push(("outcome", text(job, "/end/text")));
        rows.push((
            "ran for",
            format!("{}, {} of CPU", seconds(job, "/end/wall_s"), seconds(job, "/end/cpu_s")),
        ));
        rows.push(("memory", format!("{} MiB", number(job, "/end/mem_kib").div_ceil(1_024))));
    }
    let values = job.pointer("/values").and_then(Value::as_object);
    for (name, _) in values.into_iter().flatten() {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        rows.push(("value", format!("{name} = {}", text(job, &format!("/values/{escaped}")))));
    }
    let mut table = table(&["FIELD", ""]);
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    lines(&table)
}
