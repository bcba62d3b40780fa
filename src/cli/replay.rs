//! `weighbridge replay`: a real trace through the real engine, on a simulated cluster in virtual time.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::Context;
use super::failure::{Exit, Failure};
use super::machine::{close_failure, open_failure};
use super::output::{
    Output, counted, enumerated, fields, human, lines, note, print, print_json, printable, table,
};
use super::{policy, recovery};
use crate::clock::monotonic;
use crate::decision::Policy;
use crate::engine::Engine;
use crate::limits::{TRACE_KINDS_MAX, TRACE_RECORDS_MAX};
use crate::replay::{
    By, Cluster, ClusterError, Format, NodeGroup, Offers, Passes, Progress, Reading, ReplayError, Report,
    Round, Setup, Told, Trace, TraceError, VirtualClock, machine_file, options, plot, read, run as replay,
};

/// Between two redraws.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// Decisions that took less in all are too few for a rate.
const RATE_TIME_MIN_S: f64 = 1.0;

pub(super) const LONG: &str = "\
Runs a trace of a real cluster through the engine: each of its jobs is submitted when it arrived then, a pass \
over all nodes is made whenever something arrived or ended, and an execution ends its recorded run time \
after it started. Time is virtual, so months take seconds; decisions are those of the daemon, by the policy of a file \
where one is given. With --decide-by offer every node that has room is offered instead, one after the other.

TRACE is a log in the Standard Workload Format, plain or packed by gzip, or a directory with Alibaba's lists of \
nodes and pods (openb_node_list*.csv, openb_pod_list*.csv; of several lists of pods, the default one), or one of \
its lists of pods beside the list of nodes.

A job of a log may run on thousands of processors. Unless told otherwise the machine is one node that has all \
of them. With --spread the machine is its nodes, and a job is one execution for each node it needs, which \
start independently of each other. Shares of a graphics processor are amounts of all that a node has, and its \
model is not looked at.";

const AFTER_HELP: &str = "\
Priorities: Alibaba's classes LS and Guaranteed come before Burstable, and that before BE; queues of a log \
come in the order of their numbers, or by their names from short to long. --no-priorities leaves the order of \
arrival.

What is told: how long executions waited (50 and 95 of a hundred no longer, and the longest), their slowdown \
(wait and run time beside the run time, runs below 10 s counted as 10 s), how much of each resource was used from \
the first arrival to the last end, what each type had queued and running, and who starved. The same trace, flags \
and seed give the same JSON, but for what stands under `wall`.

Examples:
  weighbridge replay KTH-SP2-1996.swf.gz
  weighbridge replay openb --compress 200 --by gpu
  weighbridge replay openb --policy spread.json
  weighbridge replay openb --decide-by offer --seed 7
  weighbridge replay log.swf.gz --spread --starved-after 12h
  weighbridge replay log.swf --node 20*cpus:80,mem:517120 --node 48*cpus:12,mem:92160
  weighbridge replay wagap.swf.gz --machines wagap.machines.tsv --spread
  weighbridge replay log.swf --output json --plot log.svg";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(super) struct Args {
    /// A log, or a directory of lists
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// How it is written; found from what it holds unless told
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<TraceFormat>,
    /// Only so many records, from the beginning of the file
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    first: Option<u32>,
    /// Refuse a trace that has a bad line, in place of counting it
    #[arg(long)]
    strict: bool,
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        help = "What job types are made of: qos or gpu of pods, queue, group or user of jobs",
        long_help = format!(
            "What job types are made of: qos or gpu of pods, queue, group or user of jobs. Unless told, qos, or the \
             queue where there are several, else the group. The {TRACE_KINDS_MAX} with the most records are told \
             apart"
        )
    )]
    by: Option<Kinds>,
    /// All of one priority
    #[arg(long)]
    no_priorities: bool,
    /// Let what arrived in N days arrive in one; run times stay as they are
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    compress: u32,
    /// A job of a log is one execution for each node it needs
    #[arg(long)]
    spread: bool,
    /// Nodes in place of those of the trace, such as 20*cpus:80,mem:517120; may be repeated
    #[arg(long, value_name = "[N*]RESOURCES", value_parser = node)]
    node: Vec<NodeGroup>,
    /// A file of machines: id, name, nodes, processors and, last, KiB of a node, a group a line
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    machines: Option<PathBuf>,
    /// What decides: passes over all nodes, by a policy, or offers of one node after the other
    #[arg(long, value_enum, value_name = "WAY", default_value_t)]
    decide_by: Way,
    /// How passes choose (JSON; see docs/policy.md); `weighbridge policy` prints the default
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Offer nodes in an order drawn from this number; 0: as they are listed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// An execution that waits longer is told as starved
    #[arg(long, value_name = "LENGTH", default_value = "1d", value_parser = super::duration::duration)]
    starved_after: Duration,
    /// Put everything on record in a new store here, with syncs, and keep it; else it is in memory alone
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Write a picture of what was used and queued over time, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Show no progress
    #[arg(long)]
    no_progress: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TraceFormat {
    Swf,
    Alibaba,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Way {
    /// All nodes at once
    #[default]
    Pass,
    /// One node after the other
    Offer,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kinds {
    Qos,
    Gpu,
    Queue,
    Group,
    User,
}

impl From<TraceFormat> for Format {
    fn from(format: TraceFormat) -> Self {
        match format {
            TraceFormat::Swf => Self::Swf,
            TraceFormat::Alibaba => Self::Alibaba,
        }
    }
}

impl From<Kinds> for By {
    fn from(kinds: Kinds) -> Self {
        match kinds {
            Kinds::Qos => Self::Qos,
            Kinds::Gpu => Self::Gpu,
            Kinds::Queue => Self::Queue,
            Kinds::Group => Self::Group,
            Kinds::User => Self::User,
        }
    }
}

fn node(text: &str) -> Result<NodeGroup, String> {
    text.parse().map_err(|error: ClusterError| error.to_string())
}

/// The policy of passes; an error where what is asked for would change nothing.
fn policy_of(args: &Args) -> Result<Policy, Failure> {
    if args.decide_by == Way::Offer && args.policy.is_some() {
        return Err(
            Failure::usage("--policy is for passes: an offer is of one node").help("leave out --decide-by")
        );
    }
    if args.decide_by == Way::Pass && args.seed != 0 {
        return Err(Failure::usage("--seed draws an order of offers: a pass looks at all nodes at once")
            .help("add --decide-by offer"));
    }
    policy::read(args.policy.as_deref())
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let policy = policy_of(args)?;
    let reading = Reading {
        format: args.format.map(Format::from),
        first: args.first.map(|n| n as usize),
        is_strict: args.strict,
        by: args.by.map(By::from),
        has_priorities: !args.no_priorities,
        compress: args.compress,
    };
    let trace = read(&args.trace, &reading).map_err(trace_failure)?;
    tell_found(&trace);
    let mut cluster = cluster(args, &trace)?;
    let report = replayed(args, policy, &trace, &mut cluster)?;
    match context.output {
        Output::Json => print_json(&report)?,
        Output::Table => print(&shown(&report))?,
    }
    if let Some(path) = &args.plot {
        std::fs::write(path, plot(&report)).map_err(|error| {
            Failure::failed("plot", format_args!("could not write {}: {error}", path.display()))
        })?;
    }
    Ok(Exit::Done)
}

fn trace_failure(error: TraceError) -> Failure {
    let text = printable(&error.to_string());
    match error {
        TraceError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, "no-such-trace", text)
        }
        TraceError::Read { .. } => Failure::failed("trace", text),
        TraceError::Unknown { .. } => Failure::new(Exit::Usage, "trace", text)
            .help("say how it is written with --format swf or --format alibaba"),
        TraceError::TooMany { .. } => Failure::new(Exit::Usage, "trace", text)
            .help(format_args!("--first N takes the first of them, {TRACE_RECORDS_MAX} at most")),
        TraceError::Bad(_) => Failure::new(Exit::Usage, "bad-line", text)
            .help("without --strict a bad line is counted and passed over"),
        _ => Failure::new(Exit::Usage, "trace", text),
    }
}

/// Tells bad lines on standard error.
fn tell_found(trace: &Trace) {
    for bad in &trace.found.bad {
        note(&printable(&bad.to_string()));
    }
    let n_more = trace.found.n_bad - trace.found.bad.len() as u64;
    if n_more > 0 {
        note(&format!("and {}", counted(n_more, "more bad line")));
    }
}

fn cluster(args: &Args, trace: &Trace) -> Result<Cluster, Failure> {
    if args.spread && trace.format == Format::Alibaba {
        return Err(Failure::usage("--spread is for logs: a pod runs on one node"));
    }
    let from_file = args.machines.as_deref().map(machine_file).transpose();
    let groups = match from_file.map_err(cluster_failure)? {
        Some(groups) => groups,
        None if !args.node.is_empty() => args.node.clone(),
        None => trace.machines.clone(),
    };
    let is_one = trace.format == Format::Swf && !args.spread;
    Cluster::new(&groups, is_one).map_err(cluster_failure)
}

fn cluster_failure(error: ClusterError) -> Failure {
    let text = printable(&error.to_string());
    match error {
        ClusterError::File(error) => trace_failure(error),
        ClusterError::Nothing => {
            Failure::usage(text).help("say what there is with --node N*cpus:80, or --machines FILE")
        }
        _ => Failure::usage(text),
    }
}

fn replay_failure(error: &ReplayError) -> Failure {
    Failure::failed("replay", format_args!("the replay stopped: {error}"))
}

fn replayed(args: &Args, policy: Policy, trace: &Trace, cluster: &mut Cluster) -> Result<Report, Failure> {
    let clock = VirtualClock::default();
    let engine = match &args.store {
        None => Engine::in_memory(options(&clock).policy(policy)),
        Some(store) => recovery::open(store, options(&clock).policy(policy)).map_err(open_failure)?,
    };
    if engine.view().totals.total() > 0 || !engine.view().types.is_empty() {
        let text = "the store holds something already: a replay begins with an empty one";
        return Err(Failure::usage(text).help("give a new directory with --store"));
    }
    let setup = Setup {
        is_spread: args.spread,
        seed: args.seed,
        starved_after: args.starved_after,
        has_priorities: !args.no_priorities,
        compress: args.compress,
        decided_by: if args.decide_by == Way::Pass { "pass" } else { "offer" },
        policy: serde_json::to_value(engine.policy()).ok().filter(|_| args.decide_by == Way::Pass),
    };
    let mut display = Display::new(args.no_progress, trace.records.len());
    let mut round: Box<dyn Round> = match args.decide_by {
        Way::Pass => Box::new(Passes::new(&engine, cluster)),
        Way::Offer => Box::new(Offers::new(cluster.n_nodes(), args.seed)),
    };
    let report = replay((&engine, &clock), trace, cluster, &mut *round, &setup, |at| display.show(at));
    display.finish();
    let closed = engine.close().map_err(|error| close_failure(&error));
    let report = report.map_err(|error| replay_failure(&error))?;
    closed.map(|()| report)
}

/// How far it is, on a terminal.
struct Display {
    bar: Option<ProgressBar>,
    drawn: Instant,
}

impl Display {
    fn new(is_silent: bool, n_records: usize) -> Self {
        let has_bar = !is_silent && std::io::stderr().is_terminal();
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}");
        let style = style.expect("the template is right").progress_chars("=> ");
        let bar = has_bar.then(|| ProgressBar::new(n_records as u64).with_style(style));
        Self { bar, drawn: monotonic() }
    }

    fn show(&mut self, at: Progress) {
        let Some(bar) = &self.bar else { return };
        let now = monotonic();
        if now.duration_since(self.drawn) < DRAW_EVERY {
            return;
        }
        self.drawn = now;
        bar.set_position(at.n_arrived as u64);
        let (n_queued, n_running) = (at.n_queued, at.n_running);
        bar.set_message(format!(
            "{n_running} running, {n_queued} queued, after {}",
            days(at.time.as_secs_f64())
        ));
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A length of virtual time: `3.5 d` from two days on.
fn days(seconds: f64) -> String {
    let days = seconds / 86_400.0;
    if days >= 2.0 { format!("{days:.1} d") } else { human(Duration::from_secs_f64(seconds)) }
}

/// A wait: `-` where nothing waited.
fn length(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(seconds) => days(seconds),
    }
}

fn shown(report: &Report) -> String {
    [head(report), waits(report), tail(report)].join("\n\n")
}

fn head(report: &Report) -> String {
    let trace = &report.trace;
    let skipped = trace.n_skipped.iter().map(|(reason, n)| (*n, *reason));
    let rest: Vec<(u64, &str)> = skipped.chain([(trace.n_bad_lines, "bad lines")]).collect();
    let records =
        enumerated(format!("{} of {} replayed", trace.n_replayed, counted(trace.n_records, "record")), &rest);
    let used = report.utilisation.iter().map(|(name, share)| format!("{name} {:.1} %", 100.0 * share));
    fields(&[
        ("trace", format!("{} ({})", printable(&trace.name), trace.format)),
        ("records", records),
        ("cluster", format!("{}: {}", counted(report.cluster.n_nodes as u64, "node"), report.cluster.total)),
        ("span", days(report.span_s)),
        ("executions", format!("{}, {} started", report.n_executions, report.n_started)),
        ("used", used.collect::<Vec<_>>().join(", ")),
    ])
}

fn waits(report: &Report) -> String {
    let by = report.setup.types_by.to_uppercase();
    let mut table =
        table(&[&by, ">N", ">WAIT P50", ">P95", ">MAX", ">SLOWDOWN", ">P95", ">RUNNING", ">QUEUED", ">MOST"]);
    let row = |name: &str, n: usize, told: &Told, load: [String; 3]| {
        let wait = told.wait_s;
        let slowdown = |of: fn(&crate::replay::Slowdown) -> f64| {
            told.slowdown.as_ref().map_or("-".to_owned(), |all| format!("{:.2}", of(all)))
        };
        let [running, queued, most] = load;
        [
            printable(name),
            n.to_string(),
            length(wait.map(|wait| wait.p50)),
            length(wait.map(|wait| wait.p95)),
            length(wait.map(|wait| wait.max)),
            slowdown(|all| all.mean),
            slowdown(|all| all.p95),
            running,
            queued,
            most,
        ]
    };
    for kind in &report.types {
        let load = [
            format!("{:.1}", kind.running_mean),
            format!("{:.1}", kind.queued_mean),
            kind.queued_max.to_string(),
        ];
        table.add_row(row(&kind.name, kind.n_executions, &kind.told, load));
    }
    let all = [report.running_mean, report.queued_mean].map(|mean| format!("{mean:.1}"));
    let [running, queued] = all;
    let load = [running, queued, report.series.queued_max.to_string()];
    table.add_row(row("all", report.n_executions, &report.told, load));
    if let Some(recorded) = &report.recorded {
        table.add_row(row("as recorded", recorded.n, &recorded.told, ["", "", ""].map(str::to_owned)));
    }
    lines(&table)
}

fn tail(report: &Report) -> String {
    let starved = &report.starved;
    let after = length(Some(report.setup.starved_after_s));
    let never = if starved.n_never_started == 0 {
        "none".to_owned()
    } else {
        format!("{}, {} of them larger than any node", starved.n_never_started, starved.n_never_fit)
    };
    let mut rows = vec![
        ("never started", never),
        ("waited over", format!("{after}: {}", starved.n_waited_longer)),
        ("decisions", format!("{} in {} rounds", report.decisions.n_decisions, report.decisions.n_rounds)),
    ];
    if let Some(parts) = &report.parts {
        let most = length(parts.apart_s.map(|apart| apart.max));
        rows.push((
            "parts",
            format!("{} of {} jobs did not start at once, up to {most} apart", parts.n_apart, parts.n_jobs),
        ));
    }
    if report.cluster.total.get("gpus").0 > 0 {
        let models = report.trace.n_models_ignored;
        let are = if report.setup.gpu_slots { "slots of a node" } else { "amounts of a node, not slots" };
        rows.push(("gpus", format!("{are}; models asked for and ignored: {models}")));
    }
    let wall = &report.wall;
    let rate = wall.decisions_per_s.filter(|_| wall.deciding_s >= RATE_TIME_MIN_S);
    let rate = rate.map_or_else(String::new, |rate| format!(": {rate:.0} decisions/s"));
    let [elapsed, deciding] = [wall.elapsed_s, wall.deciding_s].map(|s| human(Duration::from_secs_f64(s)));
    rows.push(("took", format!("{elapsed}, {deciding} of it deciding{rate}")));
    fields(&rows)
}
