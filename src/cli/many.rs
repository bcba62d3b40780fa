//! Jobs by filters, to be canceled or queued again: counted first, then changed by one durable order.

use serde_json::{Value, json};

use super::Context;
use super::answer::{job_type, list, number, text};
use super::bulk;
use super::failure::{Exit, Failure};
use super::filters::{FilterArgs, query};
use super::http::Client;
use super::output::{counted, enumerated, lines, table};
use super::selectors::{Selector, confirm};
use crate::model::JobId;

/// Jobs that a look without consequences shows.
const SAMPLE: usize = 10;

/// What is done to jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Cancel,
    Requeue,
}

impl Verb {
    pub(super) fn would(self, jobs: &str) -> String {
        match self {
            Self::Cancel => format!("cancel {jobs}"),
            Self::Requeue => format!("queue {jobs} again"),
        }
    }

    /// As the daemon calls it.
    const fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Requeue => "requeue",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Cancel => "canceled",
            Self::Requeue => "queued again",
        }
    }
}

/// How careful to be.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct CareArgs {
    /// Change nothing; say how many jobs it would be, and show some of them
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Also where it is more than 100 jobs that nobody named one by one
    #[arg(long)]
    pub(super) yes: bool,
}

/// Either jobs or filters, not both and not none.
pub(super) fn check(jobs: &[Selector], filters: &FilterArgs, verb: &str) -> Result<(), Failure> {
    match (jobs.is_empty(), filters.is_empty()) {
        (true, true) => Err(Failure::usage(format_args!("which jobs? none are named, and there is no filter"))
            .help(format_args!(
                "for instance `weighbridge {verb} 7`, `weighbridge {verb} last` or `weighbridge {verb} --job-type NAME`"
            ))),
        (false, false) => Err(Failure::usage("jobs are named and there are filters too")
            .help("give one of them; --id is a filter that names jobs")),
        _ => Ok(()),
    }
}

/// How many jobs filters let through, and the newest of them.
struct Matching {
    n: u64,
    is_exact: bool,
    sample: Vec<Value>,
}

fn matching(client: &Client, filters: &FilterArgs) -> Result<Matching, Failure> {
    let mut pairs = filters.pairs()?;
    pairs.extend([("order", "-id".to_owned()), ("limit", SAMPLE.to_string()), ("count", "true".to_owned())]);
    let answer = client.get(&format!("/api/v1/jobs?{}", query(&pairs)))?;
    let sample = list(&answer, "/jobs").to_vec();
    let is_exact = answer.pointer("/total/is_exact").and_then(Value::as_bool).unwrap_or(false);
    Ok(Matching { n: number(&answer, "/total/n").max(sample.len() as u64), is_exact, sample })
}

fn sampled(verb: Verb, matching: &Matching) -> String {
    let jobs = counted(matching.n, "job");
    let n = if matching.is_exact { jobs } else { format!("at least {jobs}") };
    let first = format!("would {}; nothing was changed", verb.would(&n));
    if matching.sample.is_empty() {
        return first;
    }
    let mut table = table(&[">JOB", "STATUS", "JOB TYPE", ">PRIORITY", "OUTCOME"]);
    for job in &matching.sample {
        table.add_row([
            text(job, "/id"),
            text(job, "/status"),
            job_type(job, "/job_type"),
            text(job, "/priority"),
            text(job, "/end/text"),
        ]);
    }
    let more = matching.n.saturating_sub(matching.sample.len() as u64);
    let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
    format!("{first}\n{}{more}", lines(&table))
}

fn print_dry(verb: Verb, matching: &Matching, context: Context) -> Result<Exit, Failure> {
    let answer = json!({
        "dry_run": true, "n": matching.n, "is_exact": matching.is_exact, "sample": matching.sample,
    });
    context.print(&answer, |_| sampled(verb, matching))?;
    Ok(Exit::Done)
}

/// What would be done to jobs that are named.
pub(super) fn show(client: &Client, verb: Verb, jobs: &[JobId], context: Context) -> Result<Exit, Failure> {
    let few: Vec<String> = jobs.iter().take(SAMPLE).map(ToString::to_string).collect();
    let answer = client.get(&format!("/api/v1/jobs?limit={SAMPLE}&job_id={}", few.join(",")))?;
    let sample = list(&answer, "/jobs").to_vec();
    let matching = Matching { n: jobs.len() as u64, is_exact: true, sample };
    print_dry(verb, &matching, context)
}

/// Does it to all jobs that filters let through.
pub(super) fn run(
    client: &Client,
    verb: Verb,
    filters: &FilterArgs,
    priority: Option<i32>,
    care: CareArgs,
    context: Context,
) -> Result<Exit, Failure> {
    let matching = matching(client, filters)?;
    if care.dry_run {
        return print_dry(verb, &matching, context);
    }
    if matching.n == 0 {
        context.print(&json!({ "n_changed": 0, "n_ignored": 0 }), |_| "no such jobs".to_owned())?;
        return Ok(Exit::Done);
    }
    confirm(matching.n, &verb.would(&counted(matching.n, "job")), care.yes)?;
    bulk::carry_out(client, verb.word(), filters, priority, matching.n, context)
}

/// What came of it, for people.
pub(super) fn told(verb: Verb, answer: &Value) -> String {
    let left = number(answer, "/n_ignored");
    let n = match verb {
        Verb::Cancel => number(answer, "/n_changed"),
        Verb::Requeue => number(answer, "/n_queued"),
    };
    let first = format!("{} {}", counted(n, "job"), verb.done());
    let why = match verb {
        Verb::Cancel => "had ended before",
        Verb::Requeue => "left alone: done, or waiting for others",
    };
    enumerated(first, &[(number(answer, "/n_uncanceled"), "not canceled any more"), (left, why)])
}
