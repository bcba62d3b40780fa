//! `weighbridge submit`: queues a workload file at a daemon, and waits for its end where asked to.
//!
//! U1  The submission has one id per invocation, so sending it again queues nothing twice.
//! U2  Whoever waits outlives a daemon that is started again: only a silence ends it.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Context;
use super::answer::{list, number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, ServerArgs};
use super::output::{counted, enumerated, note};
use super::run::workload_failure;
use crate::clock::monotonic;
use crate::limits::LIST_MAX;
use crate::model::SubmissionId;
use crate::workload::{Expanded, SubmissionBody, Workload};

/// How often a submission is sent while the daemon does not answer.
const TRIES: u32 = 5;

/// Between two looks at jobs that are waited for: grows from the first to the second.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long a daemon may be away while its jobs are waited for, where no `--timeout` says so.
const SILENCE_MAX: Duration = Duration::from_mins(5);

#[derive(clap::Args)]
pub(super) struct Args {
    /// The workload file (JSON; see docs/workload.md)
    workload: PathBuf,
    /// Name of the submission: the same again queues nothing and gives the first answer [default: a
    /// new one]
    #[arg(long, value_parser = |text: &str| SubmissionId::new(text))]
    id: Option<SubmissionId>,
    /// Where jobs put what they make: `{out_dir}` in the workload [default: <name of the workload>.out]
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

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let expanded = expand(args)?;
    let id = args.id.clone().unwrap_or_else(new_id);
    let body = SubmissionBody::new(&id, &expanded);
    let again = |failure: &Failure| note(&format!("{}; trying again", failure.message));
    let answer = client.post_again("/api/v1/submissions", &body, TRIES, again)?;
    let jobs = Jobs::of(&answer).ok_or_else(|| client.stranger("it does not say what it queued"))?;
    if !args.wait {
        context.print(&answer, |answer| accepted(answer, jobs))?;
        return Ok(Exit::Done);
    }
    note(&accepted(&answer, jobs));
    let end = args.timeout.map(|timeout| monotonic() + timeout);
    let counts = Wait::new(&client, jobs, end, &id).run()?;
    let ended = json!({ "submission": answer, "counts": counts.json() });
    context.print(&ended, |_| counts.text())?;
    Ok(counts.exit())
}

fn new_id() -> SubmissionId {
    let draw = || RandomState::new().hash_one("a submission");
    SubmissionId::new(&format!("cli-{:016x}{:016x}", draw(), draw())).expect("printable and short")
}

/// Reads the file and lists its globs here, where its files are.
fn expand(args: &Args) -> Result<Expanded, Failure> {
    let workload = Workload::read(&args.workload).map_err(|error| workload_failure(&error))?;
    let out = args.out.clone().unwrap_or_else(|| args.workload.with_extension("out"));
    let folder = Workload::folder_of(&args.workload);
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

fn accepted(answer: &Value, jobs: Jobs) -> String {
    let was = if answer["is_repeat"] == true { "was accepted before" } else { "accepted" };
    format!("{was}: {jobs}, submission {}", text(answer, "/id"))
}

/// Where the jobs of a submission stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    done: u64,
    failed: u64,
    canceled: u64,
    blocked: u64,
    pending: u64,
    queued: u64,
    running: u64,
    /// Of those queued: can never be placed.
    too_big: u64,
}

impl Counts {
    fn add(&mut self, status: &str) {
        match status {
            "COMPLETED" => self.done += 1,
            "FAILED" => self.failed += 1,
            "CANCELED" => self.canceled += 1,
            "BLOCKED" => self.blocked += 1,
            "QUEUED" => self.queued += 1,
            "RUNNING" => self.running += 1,
            _ => self.pending += 1,
        }
    }

    fn total(&self) -> u64 {
        let Self { done, failed, canceled, blocked, pending, queued, running, too_big: _ } = self;
        done + failed + canceled + blocked + pending + queued + running
    }

    /// True when nothing of it will change by itself. What is PENDING waits for something of the
    /// same submission.
    fn is_settled(&self) -> bool {
        self.running == 0 && self.queued == self.too_big
    }

    fn exit(&self) -> Exit {
        if self.failed > 0 {
            Exit::Failed
        } else if self.too_big > 0 {
            Exit::Unplaceable
        } else if self.canceled + self.blocked + self.pending > 0 {
            Exit::Failed
        } else {
            Exit::Done
        }
    }

    fn text(&self) -> String {
        let done = format!("{} done", counted(self.done, "job"));
        let not_run = self.blocked + self.pending + self.queued;
        let rest = [(self.failed, "failed"), (self.canceled, "canceled"), (not_run, "not run")];
        let text = enumerated(done, &rest);
        match self.too_big {
            0 => text,
            n => format!("{text}; {n} can never be placed, `weighbridge explain` says why"),
        }
    }

    fn json(&self) -> Value {
        let Self { done, failed, canceled, blocked, pending, queued, running, too_big } = self;
        json!({
            "done": done, "failed": failed, "canceled": canceled, "blocked": blocked, "pending": pending,
            "queued": queued, "running": running, "unplaceable": too_big,
        })
    }
}

/// Waits for the jobs of a submission.
struct Wait<'w> {
    client: &'w Client,
    id: &'w SubmissionId,
    jobs: Jobs,
    end: Option<Instant>,
    /// Jobs before it have ended for good.
    from: u64,
    /// And are counted here.
    ended: Counts,
    /// When the daemon answered last.
    heard: Instant,
    /// The newest note: nothing is told twice in a row.
    told: String,
}

impl<'w> Wait<'w> {
    fn new(client: &'w Client, jobs: Jobs, end: Option<Instant>, id: &'w SubmissionId) -> Self {
        let (from, ended, heard) = (jobs.first, Counts::default(), monotonic());
        Self { client, id, jobs, end, from, ended, heard, told: String::new() }
    }

    /// Looks again and again until all of it is settled.
    fn run(mut self) -> Result<Counts, Failure> {
        let mut pause = LOOK_EVERY.0;
        loop {
            match self.look() {
                Ok(counts) if counts.total() < self.jobs.n() => return Err(self.forgotten()),
                Ok(counts) if counts.is_settled() => return Ok(counts),
                Ok(_) => self.heard = monotonic(),
                Err((failure, true)) => self.bear(failure)?,
                Err((failure, false)) => return Err(failure),
            }
            if self.end.is_some_and(|end| monotonic() >= end) {
                return Err(Failure::new(
                    Exit::TimedOut,
                    "timeout",
                    "not all of its jobs have ended in time",
                )
                .help("they go on; `weighbridge status` says how far they are"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK_EVERY.1);
        }
    }

    /// Counts all of its jobs, and moves `from` past those that have ended.
    fn look(&mut self) -> Result<Counts, (Failure, bool)> {
        let mut counts = self.ended;
        // Of each kind of request that waits: one job, and how many.
        let mut waits: Vec<(Value, u64, u64)> = Vec::new();
        let (mut after, mut is_all_ended) = (self.from - 1, true);
        while after + 1 < self.jobs.end {
            let limit = usize::try_from(self.jobs.end - after - 1).unwrap_or(LIST_MAX).min(LIST_MAX);
            let page = self.client.try_get(&format!("/api/v1/jobs?after={after}&limit={limit}"))?;
            let jobs = list(&page, "/jobs");
            for job in jobs {
                let status = text(job, "/status");
                after = number(job, "/id").max(after + 1);
                counts.add(&status);
                is_all_ended &= matches!(status.as_str(), "COMPLETED" | "FAILED" | "CANCELED");
                if is_all_ended {
                    (self.from, self.ended) = (after + 1, counts);
                }
                if status == "QUEUED" {
                    let kind = json!([job["job_type"]["id"], job["resources"]]);
                    match waits.iter_mut().find(|(known, ..)| *known == kind) {
                        Some((_, _, n)) => *n += 1,
                        None => waits.push((kind, after, 1)),
                    }
                }
            }
            if jobs.is_empty() {
                break;
            }
        }
        if counts.running == 0 && counts.queued > 0 {
            counts.too_big = self.ask_why(&waits)?;
        }
        Ok(counts)
    }

    /// How many can never be placed. Tells of the first that waits for somebody to do something.
    fn ask_why(&mut self, waits: &[(Value, u64, u64)]) -> Result<u64, (Failure, bool)> {
        let (mut n_too_big, mut held) = (0, None);
        for (_, job, n) in waits {
            let why = self.client.try_get(&format!("/api/v1/jobs/{job}/explain"))?;
            match text(&why, "/blocker/kind").as_str() {
                "too_big" => n_too_big += n,
                "paused" | "no_nodes" => held = held.or_else(|| Some(text(&why, "/text"))),
                _ => {}
            }
        }
        if let Some(why) = held {
            self.tell(format!("nothing of it runs: {why}"));
        }
        Ok(n_too_big)
    }

    fn tell(&mut self, text: String) {
        if self.told != text {
            note(&text);
            self.told = text;
        }
    }

    /// Takes a failure that may pass for what it is, until that has lasted too long.
    fn bear(&mut self, failure: Failure) -> Result<(), Failure> {
        if self.end.is_none() && monotonic().duration_since(self.heard) >= SILENCE_MAX {
            let id = self.id;
            return Err(failure.help(format_args!(
                "the jobs are queued; the same command with `--id {id}` waits for them again"
            )));
        }
        self.tell(format!("{}; trying again", failure.message));
        Ok(())
    }

    fn forgotten(&self) -> Failure {
        let message = format!("the daemon does not know all of {} any more", self.jobs);
        Failure::new(Exit::NotFound, "no-such-job", message)
            .help("was it started with another store? `weighbridge jobs` lists what it has")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_submission_is_settled_when_nothing_of_it_can_change() {
        let check = |counts: Counts, is_settled, exit: Exit| {
            assert_eq!((counts.is_settled(), counts.exit()), (is_settled, exit), "{counts:?}");
        };
        check(Counts { done: 3, ..Counts::default() }, true, Exit::Done);
        check(Counts { done: 3, failed: 1, ..Counts::default() }, true, Exit::Failed);
        check(Counts { done: 3, blocked: 1, ..Counts::default() }, true, Exit::Failed);
        check(Counts { queued: 2, too_big: 2, pending: 1, ..Counts::default() }, true, Exit::Unplaceable);
        assert!(!Counts { queued: 2, too_big: 1, ..Counts::default() }.is_settled());
        assert!(!Counts { running: 1, ..Counts::default() }.is_settled());
    }
}
