//! `weighbridge submit`: queues a workload file, or jobs of a type, at a daemon, and waits for their end where
//! asked to.
//!
//! U1  The submission has one id per invocation, so sending it again queues nothing twice.

mod by_type;

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::Context;
use super::answer::text;
use super::failure::{Exit, Failure};
use super::following::{self, follow};
use super::http::{Client, ServerArgs};
use super::output::note;
use super::run::workload_failure;
use crate::model::SubmissionId;
use crate::workload::{Expanded, SubmissionBody, Workload};

pub(super) use by_type::{InputArgs, text_of};

/// How often a submission is sent while the daemon does not answer.
const TRIES: u32 = 5;

/// Where `-` is read from.
const STANDARD_INPUT: &str = "/dev/stdin";

pub(super) const LONG: &str = "\
Queues jobs at a daemon. They are on disk when the command returns, all of them or none.

Either jobs of a type that is there, with --input, --file or --json for what they are given; or a workload \
file (docs/workload.md), which brings types, jobs and recipes. What ends in `.json` or has a slash in it is a \
workload file, and `-` is one on standard input; everything else is a job type.";

const EXAMPLES: &str = "\
Examples:
  weighbridge submit resize --input width=320 --input format=png
  weighbridge submit resize:2.0 --input width=320 --count 100 --priority 5 --wait
  weighbridge submit resize --input width=320 --file in=12
  weighbridge submit resize --json inputs.json            a job for each input document in the file
  echo '{\"width\": 320}' | weighbridge submit resize --json -
  weighbridge submit work.json --wait --timeout 10m       a workload file, until all of it has ended
  weighbridge submit ./work                               the same, whatever it is called

A VALUE that reads as JSON is JSON, else it is text: N=3 is a number, N='\"3\"' is text.
`weighbridge job-type list` shows the types there are, `job-type create` makes one.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A job type (NAME, NAME:VERSION or its id), a workload file, or `-`
    #[arg(value_name = "TYPE|WORKLOAD")]
    what: String,
    #[command(flatten)]
    given: by_type::GivenArgs,
    /// Name of the submission: the same again queues nothing and gives the first answer [default: a
    /// new one]
    #[arg(long, value_parser = |text: &str| SubmissionId::new(text))]
    id: Option<SubmissionId>,
    /// Where jobs of a workload put what they make: `{out_dir}` [default: <name of the workload>.out]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Wait until all of its jobs have ended
    #[arg(long)]
    wait: bool,
    /// Wait no longer than that
    #[arg(long, value_name = "LENGTH", requires = "wait", value_parser = super::duration::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What the first argument means.
#[derive(Debug, PartialEq, Eq)]
enum What<'a> {
    Workload(&'a Path),
    /// A workload on standard input.
    Input,
    Type(&'a str),
}

fn meant(what: &str) -> What<'_> {
    let is_json = Path::new(what).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    match what {
        "-" => What::Input,
        _ if is_json || what.contains('/') => What::Workload(Path::new(what)),
        _ => What::Type(what),
    }
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let id = args.id.clone().unwrap_or_else(new_id);
    let again = |failure: &Failure| note(&format!("{}; trying again", failure.message));
    let answer = match meant(&args.what) {
        What::Type(name) => {
            if args.out.is_some() {
                return Err(Failure::usage("--out is for workload files").help(
                    "give jobs of a type their directory as a value, for instance --input out_dir=/tmp/out",
                ));
            }
            let body = by_type::body(&id, name, &args.given)?;
            let answer = client.post_again("/api/v1/jobs", &body, TRIES, again);
            answer.map_err(|failure| by_type::advised(failure, name))?
        }
        workload => {
            args.given.refuse_for_workload()?;
            let body = SubmissionBody::new(&id, &expand(args, &workload)?);
            client.post_again("/api/v1/submissions", &body, TRIES, again)?
        }
    };
    let jobs = Jobs::of(&answer).ok_or_else(|| client.stranger("it does not say what it queued"))?;
    if !args.wait {
        context.print(&answer, |answer| accepted(answer, jobs, args.id.is_some()))?;
        return Ok(Exit::Done);
    }
    note(&accepted(&answer, jobs, args.id.is_some()));
    let silence = format!("the jobs are queued; the same command with `--id {id}` waits for them again");
    let mut watched = following::Jobs::row(jobs.first, jobs.end, silence);
    let counts = follow(&client, &mut watched, args.timeout)?;
    let ended = json!({ "submission": answer, "counts": counts.json() });
    context.print(&ended, |_| counts.text())?;
    Ok(counts.exit())
}

fn new_id() -> SubmissionId {
    let draw = || RandomState::new().hash_one("a submission");
    SubmissionId::new(&format!("cli-{:016x}{:016x}", draw(), draw())).expect("printable and short")
}

/// Reads the file and lists its globs here, where its files are.
fn expand(args: &Args, what: &What<'_>) -> Result<Expanded, Failure> {
    let (path, folder, out) = match what {
        What::Workload(path) => (*path, Workload::folder_of(path), path.with_extension("out")),
        _ => (Path::new(STANDARD_INPUT), Path::new("."), PathBuf::from("workload.out")),
    };
    let workload = Workload::read(path).map_err(|error| workload_failure(&error))?;
    let out = args.out.clone().unwrap_or(out);
    let expanded = workload.expand(folder, &out).map_err(|error| workload_failure(&error))?;
    if uses_out(&expanded) {
        std::fs::create_dir_all(&out).map_err(|error| {
            Failure::failed("output", format_args!("could not make {}: {error}", out.display()))
        })?;
    }
    Ok(expanded)
}

fn uses_out(expanded: &Expanded) -> bool {
    let nodes = expanded.recipes.iter().flat_map(|recipe| &recipe.request.nodes);
    let mut jobs = expanded.jobs.iter().map(|(_, job)| job).chain(nodes.map(|node| &node.job));
    jobs.any(|job| job.values.iter().any(|(name, _)| name == "out_dir"))
}

/// The jobs of a submission, by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Jobs {
    /// From 1.
    first: u64,
    /// The one after the last.
    end: u64,
}

impl Jobs {
    /// Those an answer names; none where it is not the answer to a submission.
    fn of(answer: &Value) -> Option<Self> {
        let first = answer.get("first_job")?.as_u64().filter(|first| *first > 0)?;
        let end = first.checked_add(answer.get("n_jobs")?.as_u64()?)?;
        Some(Self { first, end })
    }

    fn n(self) -> u64 {
        self.end - self.first
    }
}

impl std::fmt::Display for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.n() {
            0 => write!(f, "0 jobs"),
            1 => write!(f, "1 job, job {}", self.first),
            n => write!(f, "{n} jobs, jobs {}-{}", self.first, self.end - 1),
        }
    }
}

fn accepted(answer: &Value, jobs: Jobs, is_named: bool) -> String {
    let was = if answer["is_repeat"] == true { "was accepted before" } else { "accepted" };
    let name = if is_named { format!(", submission {}", text(answer, "/id")) } else { String::new() };
    format!("{was}: {jobs}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_types_by_how_they_are_written() {
        for file in ["w.json", "W.JSON", "./work", "a/b", "/tmp/w"] {
            assert_eq!(meant(file), What::Workload(Path::new(file)));
        }
        for kind in ["resize", "resize:1.0", "7", "json"] {
            assert_eq!(meant(kind), What::Type(kind));
        }
        assert_eq!(meant("-"), What::Input);
    }

    #[test]
    fn an_answer_names_jobs_or_is_none_of_ours() {
        let check = |answer: Value, expected: Option<&str>| {
            assert_eq!(Jobs::of(&answer).map(|jobs| jobs.to_string()).as_deref(), expected, "{answer}");
        };
        check(json!({ "first_job": 7, "n_jobs": 3 }), Some("3 jobs, jobs 7-9"));
        check(json!({ "first_job": 7, "n_jobs": 1 }), Some("1 job, job 7"));
        check(json!({ "first_job": 7, "n_jobs": 0 }), Some("0 jobs"));
        check(json!({ "first_job": 0, "n_jobs": 3 }), None);
        check(json!({ "first_job": u64::MAX, "n_jobs": 3 }), None);
        check(json!({ "first_job": "7", "n_jobs": 3 }), None);
        check(json!({ "n_jobs": 3 }), None);
        check(json!(["first_job"]), None);
    }
}
