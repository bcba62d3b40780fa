//! `weighbridge job`: one job, in full.

use serde_json::{Value, json};

use super::Context;
use super::answer::{age, job_type, number, seconds, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{fields, note};
use super::selectors::{self, Selected, Selector, UNFINISHED};

/// Jobs that are shown at once.
const SHOWN_MAX: usize = 10;

pub(super) const LONG: &str = "\
Jobs in full: where they stand, what they ask for, what they were given, when what happened and how they ended.";

const EXAMPLES: &str = "\
Examples:
  weighbridge job 7
  weighbridge job last
  weighbridge job resize                      those of the type that have not ended, up to 10
  weighbridge job 7 --output json             everything, for programs

`weighbridge jobs` lists jobs in a line each, by filters and order.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Jobs: 7, 1-10, 1,4,7-9, `last`, or a job type for all of it that has not ended
    #[arg(required = true, value_name = "JOB", value_parser = selectors::selector)]
    jobs: Vec<Selector>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    // `show 7` reads well too, and nothing is called like that.
    let selectors = match args.jobs.as_slice() {
        [Selector::Type(word), rest @ ..] if word == "show" && !rest.is_empty() => rest,
        all => all,
    };
    let selected = Selected::of(&client, selectors, &UNFINISHED)?;
    let jobs = selected.jobs.iter().take(SHOWN_MAX);
    let jobs: Vec<Value> =
        jobs.map(|job| client.get(&format!("/api/v1/jobs/{job}"))).collect::<Result<_, _>>()?;
    match jobs.as_slice() {
        [job] if selected.jobs.len() == 1 => context.print(job, shown)?,
        all => context
            .print(&json!({ "jobs": all }), |_| all.iter().map(shown).collect::<Vec<_>>().join("\n\n"))?,
    }
    let more = selected.jobs.len() - jobs.len();
    if more > 0 {
        note(&format!("and {more} more; `weighbridge jobs` lists them"));
    }
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
    }
    if launch_of(job).is_some() {
        rows.push((
            "ran for",
            format!("{}, {} of CPU", seconds(job, "/end/wall_s"), seconds(job, "/end/cpu_s")),
        ));
        rows.push(("memory", format!("{} MiB", number(job, "/end/mem_kib").div_ceil(1_024))));
    }
    if let Some(place) = sandbox(job) {
        rows.push(("sandbox", format!("{place} in the daemon's store, unless it is a cluster's; `weighbridge logs` shows what it prints")));
    }
    let values = job.pointer("/values").and_then(Value::as_object);
    for (name, _) in values.into_iter().flatten() {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        rows.push(("value", format!("{name} = {}", text(job, &format!("/values/{escaped}")))));
    }
    fields(&rows)
}

/// The number of the launch that its newest end is of; none where that waited until it ended.
fn launch_of(job: &Value) -> Option<&str> {
    let name = job.pointer("/end/launch").and_then(Value::as_str)?;
    name.rsplit('.').next().filter(|number| *number != "0")
}

/// Where its newest execution was started, below a store.
fn sandbox(job: &Value) -> Option<String> {
    let (exe_num, launch) = match launch_of(job) {
        Some(launch) => (number(job, "/end/exe_num"), launch.to_owned()),
        None if job["status"] == "RUNNING" => (number(job, "/num_exes"), text(job, "/launches")),
        None => return None,
    };
    Some(format!("sandbox/{}x{exe_num}.{launch}", text(job, "/id")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_is_that_of_the_newest_execution() {
        let check =
            |job: Value, expected: Option<&str>| assert_eq!(sandbox(&job).as_deref(), expected, "{job}");
        check(json!({ "id": 3, "end": { "launch": "9.2", "exe_num": 1 } }), Some("sandbox/3x1.2"));
        check(json!({ "id": 3, "status": "RUNNING", "num_exes": 2, "launches": 1 }), Some("sandbox/3x2.1"));
        check(json!({ "id": 3, "status": "QUEUED", "num_exes": 1 }), None);
        check(json!({ "id": 3, "status": "CANCELED", "end": { "launch": "9.0", "exe_num": 1 } }), None);
    }

    #[test]
    fn what_was_canceled_while_it_waited_never_ran() {
        let job =
            |launch: &str| json!({ "id": 3, "end": { "text": "canceled", "launch": launch, "wall_s": 0.0 } });
        for (launch, ran) in [("9.0", false), ("9.1", true)] {
            let text = shown(&job(launch));
            assert!(text.contains("canceled"), "{text}");
            assert_eq!((text.contains("ran for"), text.contains("sandbox")), (ran, ran), "{text}");
        }
    }
}
