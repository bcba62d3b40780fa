//! This program as a child of itself: it fills a store and is killed, or opens one and tells how
//! long that took and what memory it needs. It tells JSON, one line each.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use weighbridge::{Engine, Options};

use crate::checkpoint::checkpoint_runs;
use crate::figures::{Anything, count, now, real};
use crate::ours::{Accepting, BATCH_JOBS, Ours, SYNC, WINDOW, accepted, node};
use crate::place::{memory_bytes, store_bytes};

/// The first argument of a child.
pub(crate) const CHILD: &str = "as-a-child";

/// Batches that a filling child goes on with, at least and at most, until it is to be killed.
const MORE_MIN: u64 = 50;
const MORE_MAX: u64 = 2_000;

/// A store has settled when its files stayed as they are for that long; no wait is longer than the
/// other one.
const QUIET: Duration = Duration::from_secs(3);
const SETTLE_MAX: Duration = Duration::from_mins(3);
const LOOK: Duration = Duration::from_millis(100);

/// What a child is to do with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Fill it with so many jobs and go on submitting; it says when it may be killed.
    Fill,
    /// Fill it with so many jobs, let it settle, tell memory, wait for the end of its input, close.
    Hold,
    /// Open it, tell how long that and the first pick took, let it settle, tell memory, wait.
    Open,
}

impl Task {
    const ALL: [(&'static str, Self); 3] = [("fill", Self::Fill), ("hold", Self::Hold), ("open", Self::Open)];

    fn word(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, task)| *task == self).map_or("", |(word, _)| word)
    }
}

/// A child; dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(task: Task, directory: &Path, n_jobs: u64) -> Anything<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([CHILD, task.word()])
            .arg(directory)
            .arg(n_jobs.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { input: child.stdin.take(), output, child })
    }

    /// The next line it tells; none when it ended.
    pub(crate) fn line(&mut self) -> Anything<Option<Value>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        // A child that is killed may leave half a line.
        Ok(if line.ends_with('\n') { Some(serde_json::from_str(&line)?) } else { None })
    }

    /// The next line; an error when it ended.
    pub(crate) fn told(&mut self) -> Anything<Value> {
        Ok(self.line()?.ok_or("a child ended before it was done; its error is above")?)
    }

    /// Kills it, so that it has no time for anything.
    pub(crate) fn kill(&mut self) -> Anything<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends its input and waits until it has closed.
    pub(crate) fn finish(mut self) -> Anything<()> {
        drop(self.input.take());
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a child ended with {status}").into()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs as the child that `words` ask for.
pub(crate) fn run(words: &[String]) -> Anything<()> {
    let [task, directory, n_jobs] = words else { return Err("a child is told what, where, how many".into()) };
    let task = Task::ALL.into_iter().find(|(word, _)| word == task).ok_or("no such task")?.1;
    let (directory, n_jobs) = (Path::new(directory), n_jobs.parse()?);
    match task {
        Task::Fill => fill_and_go_on(directory, n_jobs),
        Task::Hold => hold(directory, n_jobs),
        Task::Open => open(directory),
    }
}

fn tell(value: &Value) -> Anything<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

/// Waits until nobody holds the other end of the input any more.
fn wait_for_the_end() -> Anything<()> {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Batches, [`WINDOW`] on their way.
struct Filling {
    ours: Ours,
    under_way: VecDeque<Accepting>,
    n_accepted: u64,
}

impl Filling {
    fn new(directory: &Path) -> Anything<Self> {
        Ok(Self { ours: Ours::open(directory)?, under_way: VecDeque::new(), n_accepted: 0 })
    }

    fn wait_for_one(&mut self) -> Anything<()> {
        if let Some(oldest) = self.under_way.pop_front() {
            accepted(&oldest, BATCH_JOBS)?;
            self.n_accepted += BATCH_JOBS;
        }
        Ok(())
    }

    fn submit(&mut self) -> Anything<()> {
        if self.under_way.len() == WINDOW {
            self.wait_for_one()?;
        }
        let submission = self.ours.submission(BATCH_JOBS);
        self.under_way.push_back(self.ours.engine.submit(submission)?);
        Ok(())
    }

    fn fill(&mut self, n_jobs: u64) -> Anything<()> {
        for _ in 0..n_jobs / BATCH_JOBS {
            self.submit()?;
        }
        while !self.under_way.is_empty() {
            self.wait_for_one()?;
        }
        Ok(())
    }
}

fn fill_and_go_on(directory: &Path, n_jobs: u64) -> Anything<()> {
    let mut filling = Filling::new(directory)?;
    filling.fill(n_jobs)?;
    let mut is_told = false;
    for more in 0..MORE_MAX {
        filling.submit()?;
        // The tail is longest while a checkpoint runs, since what it covers is not removed yet.
        let is_right = checkpoint_runs(&filling.ours.engine) || more + 1 == MORE_MAX;
        is_told |= more >= MORE_MIN && is_right;
        tell(&json!({ "n_accepted": filling.n_accepted, "kill": is_told }))?;
    }
    wait_for_the_end()
}

/// Waits until the files of a store stay as they are, and moves the engine along.
fn settle(engine: &Engine, directory: &Path) -> Anything<()> {
    engine.settle(SYNC);
    let begun = now();
    let (mut last, mut since) = (store_bytes(directory)?, begun);
    while now() - since < QUIET && now() - begun < SETTLE_MAX {
        std::thread::sleep(LOOK);
        engine.pump();
        let bytes = store_bytes(directory)?;
        if bytes != last || checkpoint_runs(engine) {
            (last, since) = (bytes, now());
        }
    }
    Ok(())
}

fn tell_memory(engine: &Engine) -> Anything<()> {
    let (resident, resident_max) = memory_bytes()?;
    let n_queued = engine.fresh_view(SYNC).n_queued;
    tell(&json!({ "resident": resident, "resident_max": resident_max, "n_queued": n_queued }))
}

fn hold(directory: &Path, n_jobs: u64) -> Anything<()> {
    let mut filling = Filling::new(directory)?;
    let from = now();
    filling.fill(n_jobs)?;
    tell(&json!({ "filled_per_s": real(n_jobs) / (now() - from).as_secs_f64() }))?;
    filling.ours.check(false)?;
    settle(&filling.ours.engine, directory)?;
    tell_memory(&filling.ours.engine)?;
    wait_for_the_end()?;
    Ok(filling.ours.engine.close()?)
}

fn open(directory: &Path) -> Anything<()> {
    let offer = node(1, 1)?;
    let from = now();
    let engine = Engine::open(directory, Options::default().load_period(None))?;
    let opened = now();
    let n_picked = engine.offer(&offer).iter().len();
    let picked = now();
    if n_picked != 1 {
        return Err(format!("the first offer, for one job, picked {n_picked}").into());
    }
    let n_queued = count(engine.fresh_view(SYNC).n_queued);
    tell(&json!({
        "open_s": (opened - from).as_secs_f64(),
        "first_pick_s": (picked - opened).as_secs_f64(),
        "n_replayed": engine.n_replayed(),
        "n_queued": n_queued,
    }))?;
    settle(&engine, directory)?;
    tell_memory(&engine)?;
    wait_for_the_end()
}
