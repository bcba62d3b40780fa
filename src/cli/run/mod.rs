//! `weighbridge run`: queues a workload file, runs it on this machine to the end, and tells what
//! came of it.
//!
//! Protocol:
//! 1. The workload is read and checked, and its globs are listed. A fault ends it: nothing is made,
//!    and with `--fresh` nothing is moved.
//! 2. The store is opened; its lock keeps others out.
//! 3. A store without jobs is told which workload it belongs to, then gets all of it in one
//!    submission. A store with jobs goes on with those it has, if it belongs to this workload.
//! 4. The executor is started; what became of earlier launches is taken up.
//! 5. Jobs run until nothing runs and nothing that is queued can start.
//!
//! N1  The jobs of a store come from one submission: after a crash it is there as a whole, or
//!     not at all and then it is made again.

mod fresh;
mod progress;
mod record;
mod room;
mod stats;
mod summary;

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::api::{ApiState, Server};
use crate::clock::monotonic;
use crate::engine::{Engine, Outgoing, Reconciled, Service, TicketError, View};
use crate::model::SubmissionId;
use crate::store::StoreFiles;
use crate::workload::{Expanded, Workload, WorkloadError};

use super::Context;
use super::failure::{Exit, Failure};
use super::machine::{KeepArgs, Machine, MachineArgs};
use super::output::{Output, counted, note, print, print_json};
use super::serve::{address, bind_failure, log_failure};
use super::signals::Interrupts;
use progress::Progress;
use record::{Found, Record};
use summary::{Run, Summary};

/// The submission that holds the whole workload.
const SUBMISSION: &str = "run";

/// Between two looks at how things stand.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How long the disk may take for a submission, or for a view.
const SYNC_WAIT: Duration = Duration::from_mins(2);

const EXAMPLES: &str = "\
Examples:
  weighbridge run work.json                     with progress and a summary
  weighbridge run work.json                     after Ctrl-C or a crash: goes on where it stopped
  weighbridge run work.json --fresh             from the beginning
  weighbridge run work.json --resources cpus:2,mem:1024
  weighbridge run work.json --policy policy.json --attribute zone=a
  weighbridge run work.json --listen 127.0.0.1:7420    to be asked by `status`, `pause` and the others

docs/workload.md says what a workload file holds; examples/sample.json is one.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The workload file (JSON; see docs/workload.md)
    workload: PathBuf,
    /// Directory of the queue's state; the same one goes on where it stopped [default:
    /// .weighbridge/<name of the workload>]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Run everything anew; what the store holds is moved aside
    #[arg(long)]
    fresh: bool,
    /// Where jobs put what they make: `{out_dir}` in the workload [default: <store>/out]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineArgs,
    /// Show no progress
    #[arg(long)]
    no_progress: bool,
    /// Answer REST while it runs, on this address
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
}

/// A workload file that was read, and what it says.
struct Source {
    /// Absolute.
    path: PathBuf,
    text: Vec<u8>,
    workload: Workload,
}

impl Source {
    fn read(path: &Path) -> Result<Self, Failure> {
        let (workload, text) = Workload::read_with_text(path).map_err(|error| workload_failure(&error))?;
        let path = path
            .canonicalize()
            .map_err(|error| Failure::usage(format_args!("could not find {}: {error}", path.display())))?;
        Ok(Self { path, text, workload })
    }

    fn expand(&self, out: &Path) -> Result<Expanded, Failure> {
        self.workload.expand(Workload::folder_of(&self.path), out).map_err(|error| workload_failure(&error))
    }
}

/// A fault in a workload file.
pub(super) fn workload_failure(error: &WorkloadError) -> Failure {
    let help = match error {
        WorkloadError::Read { .. } => "name a workload file; docs/workload.md says what it may hold",
        _ => "nothing was queued; correct the file, docs/workload.md says what it may hold",
    };
    Failure::new(Exit::Usage, "workload", error).help(help)
}

/// Where the store is when nobody says so.
fn default_store(workload: &Path) -> PathBuf {
    let stem = workload.file_stem().unwrap_or(workload.as_os_str());
    Path::new(".weighbridge").join(stem)
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let begun = monotonic();
    let policy = args.machine.policy()?;
    let mut progress = Progress::new(args.no_progress);
    let source = Source::read(&args.workload)?;
    let store = args.store.clone().unwrap_or_else(|| default_store(&args.workload));
    let out = absolute(args.out.as_deref().unwrap_or(&store.join("out")))?;
    if args.fresh {
        begin_anew(&source, &store, &out, &progress)?;
    }
    let is_begun = StoreFiles::new(&store).is_there();
    // Before a store is made: a file with a fault leaves nothing behind.
    let expanded = if is_begun { None } else { Some(source.expand(&out)?) };
    let interrupts = Interrupts::listen()
        .map_err(|error| Failure::failed("signals", format_args!("could not listen for Ctrl-C: {error}")))?;
    let mut machine = Machine::open(&store, &args.machine, policy, KeepArgs::default(), false)?;
    let before = machine.engine.fresh_view(SYNC_WAIT);
    let is_resumed = before.totals.total() > 0;
    let out = if is_resumed {
        resumed(&machine.store, &source, args.out.is_some().then_some(out))?
    } else {
        let expanded = expanded.map_or_else(|| source.expand(&out), Ok)?;
        begin(&machine, &source, &out, &expanded)?;
        out
    };
    let mut run = Run {
        workload: source.path,
        name: source.workload.name().to_owned(),
        store: machine.store.clone(),
        out,
        is_resumed,
        is_interrupted: false,
        n_ended_before: before.totals.n_ended(),
        wall: Duration::ZERO,
        found: Reconciled::default(),
    };
    let view = machine.engine.fresh_view(SYNC_WAIT);
    if !is_settled(&view) {
        let server = args.listen.map(|listen| Server::bind(listen, ApiState::new(machine.engine.clone())));
        let server = server.transpose().map_err(|error| bind_failure(&error))?;
        if let Some(server) = &server {
            progress.note(&format!("listens on http://{}", server.local_addr()));
        }
        progress.begin(&view);
        warn_too_big(&machine, &view, &progress);
        run.found = machine.start()?.reconciled();
        tell_found(run.found, &progress);
        run.is_interrupted = watch(&machine, &interrupts, progress, server.is_some())?;
    }
    run.wall = monotonic().duration_since(begun);
    finish(machine, run, context)
}

/// Sets an earlier run aside, once it is sure that this one can be queued.
fn begin_anew(source: &Source, store: &Path, out: &Path, progress: &Progress) -> Result<(), Failure> {
    if StoreFiles::new(store).is_there() {
        // Only to see a fault: the globs are listed again without the files that move.
        source.expand(out)?;
    }
    if let Some(aside) = fresh::set_aside(store)? {
        progress.note(&format!("the earlier run is kept in {}", aside.display()));
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format_args!("could not find {}: {error}", path.display())))
}

/// Where the results of the run go that `store` holds; an error where that is another run.
fn resumed(store: &Path, source: &Source, out: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let failure = |message: String| {
        Failure::failed("another-workload", message)
            .help("--fresh moves it aside and runs this workload anew; --store DIR uses another place")
    };
    let at = store.display();
    let found = record::look(store, &source.path, &source.text)
        .map_err(|error| Failure::failed("store", format_args!("could not read {at}/run.json: {error}")))?;
    let record = match found {
        Found::Same(record) => record,
        Found::Nothing => return Err(failure(format!("the store {at} holds jobs that no `run` put there"))),
        Found::Changed(record) => {
            let path = record.workload.display();
            return Err(failure(format!("{path} has changed since the store {at} was begun with it")));
        }
        Found::Another(record) => {
            let other = record.workload.display();
            return Err(failure(format!("the store {at} holds another workload, {other}")));
        }
    };
    match out.filter(|out| *out != record.out) {
        None => Ok(record.out),
        Some(_) => Err(failure(format!("the results of this run go to {}", record.out.display()))),
    }
}

/// Queues the whole workload in a store that holds no job.
fn begin(machine: &Machine, source: &Source, out: &Path, expanded: &Expanded) -> Result<(), Failure> {
    let failed = |what: &Path, error: std::io::Error| {
        Failure::failed("store", format_args!("could not write {}: {error}", what.display()))
    };
    std::fs::create_dir_all(out).map_err(|error| failed(out, error))?;
    let record = Record { workload: source.path.clone(), out: out.to_owned() };
    record::write(&machine.store, &record, &source.text).map_err(|error| failed(&machine.store, error))?;
    submit(&machine.engine, expanded)
}

fn submit(engine: &Engine, expanded: &Expanded) -> Result<(), Failure> {
    let tickets = expanded.job_types.iter().map(|spec| engine.put_job_type(spec.clone()));
    let tickets = tickets.collect::<Result<Vec<_>, _>>().map_err(|busy| not_on_disk(&busy))?;
    let ids = tickets.into_iter().map(|ticket| ticket.wait_durable(SYNC_WAIT));
    let ids = ids.collect::<Result<Vec<_>, _>>().map_err(|error| not_queued(&error))?;
    let id = SubmissionId::new(SUBMISSION).expect("a constant that is right");
    let ticket = engine.submit(expanded.submission(id, &ids)).map_err(|busy| not_on_disk(&busy))?;
    ticket.wait_durable(SYNC_WAIT).map_err(|error| not_queued(&error))?;
    Ok(())
}

/// Why the workload is not queued: a fault of its own, or of the disk.
fn not_queued<E: Display>(error: &TicketError<E>) -> Failure {
    match error {
        TicketError::Refused(error) => {
            Failure::new(Exit::Usage, "workload", format_args!("the workload was not accepted: {error}"))
                .help("nothing was queued")
        }
        // Whether it is on disk shows when the store is opened again; then it is queued once.
        TicketError::Lost | TicketError::TimedOut(_) => not_on_disk(error),
    }
}

fn not_on_disk(error: &dyn Display) -> Failure {
    Failure::failed("log", format_args!("the workload may not be on disk: {error}"))
        .help("make room on the disk or repair it; the same command goes on")
}

fn warn_too_big(machine: &Machine, view: &View, progress: &Progress) {
    let name = |id| {
        let kind = view.types.iter().find(|kind| kind.job_type.id == id);
        kind.map_or_else(String::new, |kind| kind.job_type.spec.name.clone())
    };
    for group in room::too_big(&machine.engine, &machine.total, name) {
        progress.note(&format!("warning: {group}; the rest runs"));
    }
}

fn tell_found(found: Reconciled, progress: &Progress) {
    let Reconciled { n_running, n_ended, n_returned, n_lost } = found;
    let parts = [
        (n_ended, "had ended meanwhile"),
        (n_running, "still run"),
        (n_returned, "had not begun and start now"),
        (n_lost, "were lost with the supervisor and are run again"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !told.is_empty() {
        progress.note(&format!("going on: of what an earlier process launched, {}", told.join(", ")));
    }
}

/// True where nothing runs and nothing waits that could ever run. Executions of canceled jobs run
/// until they are ended.
fn is_settled(view: &View) -> bool {
    let n_taken: u32 = view.types.iter().map(|kind| kind.n_running_exes).sum();
    n_taken == 0 && view.totals.queued == 0
}

/// True where nothing runs and none of what is queued can start.
///
/// Exact, whatever the thread that decides does meanwhile: what it has picked is counted by
/// `n_taken`, and what it has done since the first view shows in the position of the second.
fn is_stuck(engine: &Engine, view: &View) -> bool {
    if view.totals.running > 0 {
        return false;
    }
    let before = engine.fresh_view(SYNC_WAIT).position;
    let was_idle = engine.n_taken() == 0;
    let nothing_fits = engine.pass().is_empty();
    let is_idle = engine.n_taken() == 0;
    let after = engine.fresh_view(SYNC_WAIT).position;
    if !nothing_fits {
        engine.wake();
    }
    was_idle && nothing_fits && is_idle && before == after
}

/// True where somebody who can reach us may let something go on.
fn may_be_resumed(view: &View, is_served: bool) -> bool {
    is_served && view.types.iter().any(|kind| kind.job_type.spec.is_paused && kind.counts.queued > 0)
}

/// Watches until all has ended that can; true when a signal came first.
fn watch(
    machine: &Machine,
    interrupts: &Interrupts,
    mut progress: Progress,
    is_served: bool,
) -> Result<bool, Failure> {
    let engine = &machine.engine;
    loop {
        let view = engine.view();
        if is_settled(&view) || (!may_be_resumed(&view, is_served) && is_stuck(engine, &view)) {
            break progress.finish();
        }
        if let Some(error) = engine.failure() {
            progress.finish();
            return Err(log_failure(&error));
        }
        if let Some(error) = machine.service().and_then(Service::take_driver_error) {
            progress.note(&format!("warning: the executor did not take something: {error}"));
        }
        progress.show(engine, &view);
        if interrupts.wait(LOOK_EVERY) {
            progress.finish();
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stops, tells what came of it, and closes everything.
fn finish(mut machine: Machine, run: Run, context: Context) -> Result<Exit, Failure> {
    machine.stop();
    let view = machine.engine.fresh_view(SYNC_WAIT);
    let n_unstarted = n_unstarted(&machine.engine);
    let summary = Summary::new(run, &machine.engine, &view, &machine.total);
    let closed = machine.close();
    match context.output {
        Output::Json => print_json(&summary)?,
        Output::Table if summary.is_interrupted() => note(&interrupted_text(&view, n_unstarted)),
        Output::Table => print(&summary.text())?,
    }
    closed.map(|()| summary.exit())
}

/// Launches on record that reached no executor. The next process on the store starts them.
fn n_unstarted(engine: &Engine) -> u64 {
    let left = engine.outgoing(Duration::ZERO);
    left.iter().map(|outgoing| u64::from(matches!(outgoing, Outgoing::Launch(_)))).sum()
}

fn interrupted_text(view: &View, n_unstarted: u64) -> String {
    let totals = &view.totals;
    let n_left = totals.total() - totals.n_ended();
    let runs = match totals.running.saturating_sub(n_unstarted) {
        0 => String::new(),
        n => format!("; {} still running will finish by themselves and count", counted(n, "job")),
    };
    format!(
        "interrupted with {} left{runs}\nhelp: the same command goes on from here",
        counted(n_left, "job")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::machine::NODE;
    use crate::engine::{Options, SubmitError};
    use crate::model::{JobRequest, JobTypeSpec, NodeResources, Submission};

    const WAIT: Duration = Duration::from_secs(30);

    #[test]
    fn only_a_refusal_blames_the_workload() {
        let check = |error: TicketError<SubmitError>, exit, code: &str, help: &str| {
            let failure = not_queued(&error);
            assert_eq!((failure.exit, failure.code.as_str()), (exit, code), "{failure}");
            assert!(failure.help.as_ref().is_some_and(|text| text.contains(help)), "{failure}");
        };
        let refused = TicketError::Refused(SubmitError::QueueFull);
        check(refused, Exit::Usage, "workload", "nothing was queued");
        check(TicketError::Lost, Exit::Failed, "log", "the same command goes on");
        check(TicketError::TimedOut(WAIT), Exit::Failed, "log", "the same command goes on");
    }

    #[test]
    fn launches_that_reached_no_executor_are_not_told_as_running() {
        let engine = Engine::in_memory(Options::default());
        let total = NodeResources::new().cpus("2").expect("an amount");
        let one = NodeResources::new().cpus("1").expect("an amount");
        let spec = JobTypeSpec::new("t", "1").command(["true"]).needs(one);
        let id = engine.put_job_type(spec).expect("room").wait_durable(WAIT).expect("a job type");
        let id = JobRequest::new(id).count(3);
        let all = Submission::new(SubmissionId::new("all").expect("a name")).jobs(id);
        engine.submit(all).expect("room").wait_durable(WAIT).expect("accepted");
        engine.declare_node(NODE, "here", &total);
        assert_eq!(engine.offer_declared(NODE).hand_over(), 2);
        let view = engine.fresh_view(WAIT);
        assert!(interrupted_text(&view, 0).starts_with("interrupted with 3 jobs left; 2 jobs still running"));
        let n_unstarted = n_unstarted(&engine);
        assert!(interrupted_text(&view, n_unstarted).starts_with("interrupted with 3 jobs left\n"));
    }
}
