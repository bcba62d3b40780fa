//! Waiting for jobs of a daemon: looked at again and again, less and less often, until nothing of them can
//! change by itself.
//!
//! W1  Whoever waits outlives a daemon that is started again: only a silence ends it.
//! W2  What has ended for good is not asked for again.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::{list, number, text};
use super::failure::{Exit, Failure};
use super::http::Client;
use super::output::{counted, enumerated, note};
use crate::clock::monotonic;
use crate::limits::{LIST_IDS_MAX, LIST_MAX};
use crate::model::JobId;

/// Between two looks: grows from the first to the second.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// How long a daemon may be away, where no time says so.
const SILENCE_MAX: Duration = Duration::from_mins(5);

/// Jobs in a row that are asked for as such; shorter rows by their ids.
const ROW_MIN: u64 = 50;

/// Where jobs stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) canceled: u64,
    pub(super) blocked: u64,
    pub(super) pending: u64,
    pub(super) queued: u64,
    pub(super) running: u64,
    /// Of those queued: can never be placed.
    pub(super) too_big: u64,
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

    fn plus(self, other: Self) -> Self {
        Self {
            done: self.done + other.done,
            failed: self.failed + other.failed,
            canceled: self.canceled + other.canceled,
            blocked: self.blocked + other.blocked,
            pending: self.pending + other.pending,
            queued: self.queued + other.queued,
            running: self.running + other.running,
            too_big: self.too_big + other.too_big,
        }
    }

    pub(super) fn total(&self) -> u64 {
        let Self { done, failed, canceled, blocked, pending, queued, running, too_big: _ } = self;
        done + failed + canceled + blocked + pending + queued + running
    }

    fn n_over(&self) -> u64 {
        self.done + self.failed + self.canceled
    }

    /// True when nothing of it will change by itself. What is PENDING waits for something that is not there.
    pub(super) fn is_settled(&self) -> bool {
        self.running == 0 && self.queued == self.too_big
    }

    pub(super) fn exit(&self) -> Exit {
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

    pub(super) fn text(&self) -> String {
        let done = format!("{} done", counted(self.done, "job"));
        let not_run = self.blocked + self.pending + self.queued;
        let rest = [(self.failed, "failed"), (self.canceled, "canceled"), (not_run, "not run")];
        let text = enumerated(done, &rest);
        match self.too_big {
            0 => text,
            n => format!("{text}; {n} can never be placed, `weighbridge explain` says why"),
        }
    }

    /// What is told while it goes on.
    fn progress(&self) -> String {
        let first = format!("{} of {} over", self.n_over(), counted(self.total(), "job"));
        let waiting = self.pending + self.blocked;
        let parts = [(self.failed, "failed"), (self.running, "running"), (self.queued, "queued")];
        enumerated(first, &[&parts[..], &[(waiting, "waiting for others")]].concat())
    }

    pub(super) fn json(&self) -> Value {
        let Self { done, failed, canceled, blocked, pending, queued, running, too_big } = self;
        json!({
            "done": done, "failed": failed, "canceled": canceled, "blocked": blocked, "pending": pending,
            "queued": queued, "running": running, "unplaceable": too_big,
        })
    }
}

/// A failure, and whether it may pass by itself.
type Passing = (Failure, bool);

/// Something that is looked at until it is settled.
pub(super) trait Looked {
    /// How it stands.
    fn look(&mut self, client: &Client, told: &mut Told) -> Result<Counts, Passing>;

    /// What to do where the daemon stays away.
    fn after_silence(&self) -> String;
}

/// What is told on the way.
#[derive(Default)]
pub(super) struct Told {
    /// The newest note: nothing is told twice in a row.
    note: String,
    has_line: bool,
}

impl Told {
    /// A note on a line of its own.
    fn note(&mut self, text: String) {
        if self.note != text {
            self.clear();
            note(&text);
            self.note = text;
        }
    }

    /// A line that the next one takes the place of; for people at a terminal alone.
    fn line(&mut self, text: &str) {
        if stderr().is_terminal() {
            // Nothing is lost where it cannot be shown.
            let _ = write!(stderr(), "\r\x1b[K{text}");
            self.has_line = true;
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.has_line) {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// Looks at `what` again and again until it is settled, no longer than `timeout` where one is given.
pub(super) fn follow(
    client: &Client,
    what: &mut impl Looked,
    timeout: Option<Duration>,
) -> Result<Counts, Failure> {
    let mut told = Told::default();
    let ended = follow_telling(client, what, timeout, &mut told);
    told.clear();
    ended
}

fn follow_telling(
    client: &Client,
    what: &mut impl Looked,
    timeout: Option<Duration>,
    told: &mut Told,
) -> Result<Counts, Failure> {
    let end = timeout.map(|timeout| monotonic() + timeout);
    let (mut pause, mut heard, mut before) = (LOOK_EVERY.0, monotonic(), Counts::default());
    loop {
        match what.look(client, told) {
            Ok(counts) if counts.is_settled() => return Ok(counts),
            Ok(counts) => {
                heard = monotonic();
                told.line(&counts.progress());
                // What moves is looked at more often than what does not.
                pause = if counts == before { pause } else { pause.min(LOOK_EVERY.1 / 4) };
                before = counts;
            }
            Err((failure, true)) => bear(failure, told, end, heard, &what.after_silence())?,
            Err((failure, false)) => return Err(failure),
        }
        let now = monotonic();
        if end.is_some_and(|end| now >= end) {
            return Err(late(&before));
        }
        let left = end.map_or(pause, |end| end.saturating_duration_since(now));
        std::thread::sleep(pause.min(left));
        pause = (pause * 3 / 2).min(LOOK_EVERY.1);
    }
}

fn late(counts: &Counts) -> Failure {
    let message = format!("not all of it has ended in time: {}", counts.progress());
    Failure::new(Exit::TimedOut, "timeout", message)
        .help("they go on; `weighbridge status` says how far they are, `weighbridge explain` why they wait")
}

/// Takes a failure that may pass for what it is, until that has lasted too long.
fn bear(
    failure: Failure,
    told: &mut Told,
    end: Option<Instant>,
    heard: Instant,
    after: &str,
) -> Result<(), Failure> {
    if end.is_none() && monotonic().duration_since(heard) >= SILENCE_MAX {
        return Err(failure.help(after));
    }
    told.note(format!("{}; trying again", failure.message));
    Ok(())
}

/// Some jobs, as they are asked for at once.
enum Part {
    /// The first, and the one after the last.
    Row(u64, u64),
    Ids(Vec<u64>),
}

impl Part {
    fn n(&self) -> u64 {
        match self {
            Self::Row(first, end) => end - first,
            Self::Ids(ids) => ids.len() as u64,
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Row(first, end) => format!("/api/v1/jobs?after={}&limit={}", first - 1, end - first),
            Self::Ids(ids) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                format!("/api/v1/jobs?limit={LIST_MAX}&job_id={}", ids.join(","))
            }
        }
    }
}

/// Certain jobs.
pub(super) struct Jobs {
    parts: Vec<(Part, Option<Counts>)>,
    /// What to say where the daemon stays away.
    after_silence: String,
}

impl Jobs {
    /// Those of a row: the first, and the one after the last.
    pub(super) fn row(first: u64, end: u64, after_silence: String) -> Self {
        let parts = (first..end).step_by(LIST_MAX);
        let parts = parts.map(|at| (Part::Row(at, end.min(at + LIST_MAX as u64)), None)).collect();
        Self { parts, after_silence }
    }

    /// Those of a list, which may hold rows.
    pub(super) fn list(jobs: &[JobId]) -> Self {
        let mut ids: Vec<u64> = jobs.iter().map(|job| job.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let (mut parts, mut single) = (Vec::new(), Vec::new());
        for row in ids.chunk_by(|a, b| a + 1 == *b) {
            if (row.len() as u64) < ROW_MIN {
                single.extend_from_slice(row);
                continue;
            }
            let some = row.chunks(LIST_MAX);
            parts.extend(some.map(|some| (Part::Row(some[0], some[0] + some.len() as u64), None)));
        }
        parts.extend(single.chunks(LIST_IDS_MAX.min(500)).map(|ids| (Part::Ids(ids.to_vec()), None)));
        let after_silence = "the jobs are queued; the same command waits for them again".to_owned();
        Self { parts, after_silence }
    }
}

impl Looked for Jobs {
    fn look(&mut self, client: &Client, told: &mut Told) -> Result<Counts, Passing> {
        let mut sum = Counts::default();
        let mut waits = Waits::default();
        for (part, ended) in &mut self.parts {
            let counts = match ended {
                Some(counts) => *counts,
                None => look_at(client, part, &mut waits)?,
            };
            if counts.n_over() == part.n() {
                *ended = Some(counts);
            }
            sum = sum.plus(counts);
        }
        if sum.running == 0 && sum.queued > 0 {
            sum.too_big = waits.ask_why(client, told)?;
        }
        Ok(sum)
    }

    fn after_silence(&self) -> String {
        self.after_silence.clone()
    }
}

fn look_at(client: &Client, part: &Part, waits: &mut Waits) -> Result<Counts, Passing> {
    let page = client.try_get(&part.path())?;
    let mut counts = Counts::default();
    for job in list(&page, "/jobs").iter().take(usize::try_from(part.n()).unwrap_or(LIST_MAX)) {
        let status = text(job, "/status");
        counts.add(&status);
        if status == "QUEUED" {
            waits.add(job);
        }
    }
    if counts.total() < part.n() { Err((forgotten(part), false)) } else { Ok(counts) }
}

fn forgotten(part: &Part) -> Failure {
    let jobs = match part {
        Part::Row(first, end) if first + 1 == *end => format!("job {first}"),
        Part::Row(first, end) => format!("all of jobs {first}-{}", end - 1),
        Part::Ids(ids) => match ids.as_slice() {
            [job] => format!("job {job}"),
            ids => format!("all of jobs {}", ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",")),
        },
    };
    Failure::new(Exit::NotFound, "no-such-job", format_args!("the daemon does not know {jobs}"))
        .help("was it started with another store? `weighbridge jobs` lists what it has")
}

/// Of each kind of request that waits: one job, and how many.
#[derive(Default)]
struct Waits(Vec<(Value, u64, u64)>);

impl Waits {
    fn add(&mut self, job: &Value) {
        let kind = json!([job["job_type"]["id"], job["resources"]]);
        match self.0.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, _, n)) => *n += 1,
            None => self.0.push((kind, number(job, "/id"), 1)),
        }
    }

    /// How many can never be placed. Tells of the first that waits for somebody to do something.
    fn ask_why(&self, client: &Client, told: &mut Told) -> Result<u64, Passing> {
        let (mut n_too_big, mut held) = (0, None);
        for (_, job, n) in &self.0 {
            let why = client.try_get(&format!("/api/v1/jobs/{job}/explain"))?;
            match text(&why, "/blocker/kind").as_str() {
                "too_big" => n_too_big += n,
                "paused" | "no_nodes" => held = held.or_else(|| Some(text(&why, "/text"))),
                _ => {}
            }
        }
        if let Some(why) = held {
            told.note(format!("nothing of it runs: {why}"));
        }
        Ok(n_too_big)
    }
}

/// A recipe, by its id.
pub(super) struct Recipe(pub(super) u64);

impl Looked for Recipe {
    fn look(&mut self, client: &Client, told: &mut Told) -> Result<Counts, Passing> {
        let id = self.0;
        let recipe = client.try_get(&format!("/v6/recipes/{id}/"))?;
        let count = |name: &str| number(&recipe, &format!("/jobs_{name}"));
        let mut counts = Counts {
            done: count("completed"),
            failed: count("failed"),
            canceled: count("canceled"),
            blocked: count("blocked"),
            pending: count("pending"),
            queued: count("queued"),
            running: count("running"),
            too_big: 0,
        };
        if counts.running == 0 && counts.queued > 0 {
            let queued = format!("/api/v1/jobs?recipe_id={id}&status=QUEUED&limit={LIST_MAX}");
            let mut waits = Waits::default();
            for job in list(&client.try_get(&queued)?, "/jobs") {
                waits.add(job);
            }
            counts.too_big = waits.ask_why(client, told)?.min(counts.queued);
        }
        Ok(counts)
    }

    fn after_silence(&self) -> String {
        format!("the recipe is made; `weighbridge recipe show {}` says how it stands", self.0)
    }
}

/// All that a daemon has.
#[derive(Default)]
pub(super) struct Everything {
    /// What was over when the first look was taken.
    before: Option<Counts>,
}

impl Looked for Everything {
    fn look(&mut self, client: &Client, told: &mut Told) -> Result<Counts, Passing> {
        let status = client.try_get("/api/v1/status")?;
        let count = |name: &str| number(&status, &format!("/totals/{name}"));
        let mut now = Counts {
            done: count("completed"),
            failed: count("failed"),
            canceled: count("canceled"),
            blocked: 0,
            pending: 0,
            queued: count("queued"),
            running: count("running"),
            too_big: 0,
        };
        let before = self.before.get_or_insert(now);
        now.done = now.done.saturating_sub(before.done);
        now.failed = now.failed.saturating_sub(before.failed);
        now.canceled = now.canceled.saturating_sub(before.canceled);
        if now.running == 0 && now.queued > 0 {
            now.too_big = why_all(client, now.queued, told)?;
        }
        Ok(now)
    }

    fn after_silence(&self) -> String {
        "the jobs are queued; the same command waits for them again".to_owned()
    }
}

/// All `n` that wait, where the first of every type can never be placed; else none of them counts as such.
fn why_all(client: &Client, n: u64, told: &mut Told) -> Result<u64, Passing> {
    let answer = client.try_get("/api/v1/waiting")?;
    let waiting = list(&answer, "/waiting");
    let kind = |why: &Value| text(why, "/blocker/kind");
    if !waiting.is_empty() && waiting.iter().all(|why| kind(why) == "too_big") {
        return Ok(n);
    }
    let held = ["paused", "scheduler_paused", "nodes_paused", "constraints", "no_nodes"];
    let held = waiting.iter().find(|why| held.contains(&kind(why).as_str()));
    if let Some(why) = held {
        told.note(format!("nothing runs: {}", text(why, "/text")));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_settled_when_nothing_of_them_can_change() {
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

    #[test]
    fn what_is_asked_for_holds_every_job_once() {
        let rows = Jobs::row(5, 2_105, String::new());
        assert_eq!(rows.parts.iter().map(|(part, _)| part.n()).collect::<Vec<_>>(), [1_000, 1_000, 100]);
        assert_eq!(rows.parts[2].0.path(), "/api/v1/jobs?after=2004&limit=100");
        let ids: Vec<JobId> = [9, 3, 3].into_iter().chain(100..200).map(JobId).collect();
        let mixed = Jobs::list(&ids);
        assert_eq!(mixed.parts.iter().map(|(part, _)| part.n()).sum::<u64>(), 102);
        let paths: Vec<String> = mixed.parts.iter().map(|(part, _)| part.path()).collect();
        assert_eq!(paths, ["/api/v1/jobs?after=99&limit=100", "/api/v1/jobs?limit=1000&job_id=3,9"]);
    }

    #[test]
    fn progress_names_what_there_is() {
        let counts = Counts { done: 1, failed: 1, running: 2, queued: 3, pending: 4, ..Counts::default() };
        assert_eq!(
            counts.progress(),
            "2 of 11 jobs over, 1 failed, 2 running, 3 queued, 4 waiting for others"
        );
    }
}
