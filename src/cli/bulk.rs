//! `weighbridge bulk`: requeues or cancels all jobs that a filter lets through, some at a time, and looks after
//! such operations.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::Context;
use super::answer::{age, job_type, list, number, text};
use super::failure::{Exit, Failure};
use super::filters::FilterArgs;
use super::http::{Client, ServerArgs};
use super::output::{Output, counted, lines, note, table};

pub(super) const LONG: &str = "\
Requeues or cancels all jobs that a filter lets through, some at a time, while everything else goes on.

The order is on record before anything is done, and is carried out to its end whatever happens: this command \
only watches. With --dry-run it tells what would be changed, and changes nothing. What was done can be taken \
back with `undo`, as far as nothing followed from it.";

const EXAMPLES: &str = "\
Examples:
  weighbridge bulk requeue --status failed --since 1h --dry-run   how many jobs that would be
  weighbridge bulk requeue --status failed --since 1h --priority 5
  weighbridge bulk cancel --job-type resize --status queued
  weighbridge bulk list                                           what goes on, and what was
  weighbridge bulk undo 3                                         take number 3 back";

/// Pauses between two looks at an operation.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Queue jobs again: failed and canceled ones, and those that wait or run
    #[command(after_help = "Examples:\n  weighbridge bulk requeue --status failed --since 1h --dry-run")]
    Requeue(RequeueArgs),
    /// End jobs, wherever they stand
    #[command(after_help = "Examples:\n  weighbridge bulk cancel --job-type resize --status queued")]
    Cancel(OrderArgs),
    /// Operations that go on, and the last ones that are over
    #[command(after_help = "Examples:\n  weighbridge bulk list")]
    List(ListArgs),
    /// How far an operation is
    #[command(after_help = "Examples:\n  weighbridge bulk show 3")]
    Show(OneArgs),
    /// End an operation where it is; what it changed stays changed
    #[command(after_help = "Examples:\n  weighbridge bulk stop 3")]
    Stop(OneArgs),
    /// Take back what an operation changed, as far as nothing followed from it
    #[command(after_help = "Examples:\n  weighbridge bulk undo 3")]
    Undo(UndoArgs),
}

#[derive(clap::Args)]
struct OrderArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Tell what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not wait until it is done
    #[arg(long, conflicts_with = "dry_run")]
    detach: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct RequeueArgs {
    /// The priority of this time in the queue; the lower number is the more important
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    priority: Option<i32>,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(clap::Args)]
struct ListArgs {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct OneArgs {
    /// The operation's number
    #[arg(value_name = "NUMBER")]
    id: u64,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(clap::Args)]
struct UndoArgs {
    #[command(flatten)]
    one: OneArgs,
    /// Do not wait until it is done
    #[arg(long)]
    detach: bool,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    match &args.command {
        Command::Requeue(args) => order(&args.order, "requeue", args.priority, context),
        Command::Cancel(args) => order(args, "cancel", None, context),
        Command::List(args) => {
            let answer = Client::new(&args.server)?.get(&format!("/api/v1/bulk?limit={}", args.limit))?;
            context.print(&answer, shown_list)?;
            Ok(Exit::Done)
        }
        Command::Show(args) => {
            let answer = Client::new(&args.server)?.get(&format!("/api/v1/bulk/{}", args.id))?;
            context.print(&answer, shown)?;
            Ok(Exit::Done)
        }
        Command::Stop(args) => {
            let client = Client::new(&args.server)?;
            client.post(&format!("/api/v1/bulk/{}/stop", args.id), &json!({}))?;
            let answer = client.get(&format!("/api/v1/bulk/{}", args.id))?;
            context.print(&answer, shown)?;
            Ok(Exit::Done)
        }
        Command::Undo(args) => {
            let client = Client::new(&args.one.server)?;
            let answer = client.post(&format!("/api/v1/bulk/{}/undo", args.one.id), &json!({}))?;
            follow(&client, &answer, None, args.detach, context)
        }
    }
}

/// The filter as members of a body.
fn members(filter: &FilterArgs) -> Result<Map<String, Value>, Failure> {
    let mut members = Map::new();
    for (name, value) in filter.pairs()? {
        let (name, is_list) = match name {
            "job_id" => ("job_ids", true),
            "recipe_id" => ("recipe_ids", true),
            "batch_id" => ("batch_ids", true),
            "error_id" => ("error_ids", true),
            "error_category" => ("error_categories", true),
            "started" | "ended" => (name, false),
            _ => (name, true),
        };
        if !is_list {
            members.insert(name.to_owned(), value.into());
            continue;
        }
        let list = members.entry(name).or_insert_with(|| json!([]));
        let values = if name == "job_type" { vec![value.as_str()] } else { value.split(',').collect() };
        if let Some(list) = list.as_array_mut() {
            list.extend(values.into_iter().map(Value::from));
        }
    }
    Ok(members)
}

fn order(args: &OrderArgs, kind: &str, priority: Option<i32>, context: Context) -> Result<Exit, Failure> {
    let mut body = members(&args.filter)?;
    if body.is_empty() {
        return Err(Failure::usage("a bulk operation needs a filter, so that it is not about every job")
            .help("such as --status failed; --dry-run tells what it would be about"));
    }
    body.extend(priority.map(|priority| ("priority".to_owned(), json!(priority))));
    let client = Client::new(&args.server)?;
    let path = format!("/api/v1/bulk/{kind}");
    if args.dry_run {
        body.insert("preview".to_owned(), json!(true));
        let answer = client.post(&path, &body)?;
        context.print(&answer, |answer| shown_preview(answer, kind))?;
        return Ok(Exit::Done);
    }
    let n = total(&client, &path, &body, args.detach);
    let answer = client.post(&path, &body)?;
    follow(&client, &answer, n, args.detach, context)
}

/// Orders what filters say, and watches it to its end; `n` jobs it is about.
pub(super) fn carry_out(
    client: &Client,
    kind: &str,
    filter: &FilterArgs,
    priority: Option<i32>,
    n: u64,
    context: Context,
) -> Result<Exit, Failure> {
    let mut body = members(filter)?;
    body.extend(priority.map(|priority| ("priority".to_owned(), json!(priority))));
    let answer = client.post(&format!("/api/v1/bulk/{kind}"), &body)?;
    follow(client, &answer, Some(n), false, context)
}

/// How many jobs it is about, for the progress that is shown; nobody else asks.
fn total(client: &Client, path: &str, body: &Map<String, Value>, is_detached: bool) -> Option<u64> {
    if is_detached {
        return None;
    }
    let mut body = body.clone();
    body.insert("preview".to_owned(), json!(true));
    body.insert("sample".to_owned(), json!(1));
    let preview = client.post(path, &body).ok()?;
    preview.pointer("/n").and_then(Value::as_u64)
}

/// Watches an operation to its end.
fn follow(
    client: &Client,
    ordered: &Value,
    n: Option<u64>,
    is_detached: bool,
    context: Context,
) -> Result<Exit, Failure> {
    let id = number(ordered, "/bulk_id");
    let path = format!("/api/v1/bulk/{id}?min_position={}", number(ordered, "/position"));
    let mut answer = client.get(&path)?;
    if is_detached {
        context.print(&answer, shown)?;
        return Ok(Exit::Done);
    }
    let bar = progress(n, context);
    let mut pause = LOOK_EVERY.0;
    while text(&answer, "/phase") == "running" {
        bar.set_position(number(&answer, "/n_changed"));
        std::thread::sleep(pause);
        pause = (pause * 2).min(LOOK_EVERY.1);
        answer = client.get(&path).inspect_err(|_| {
            bar.finish_and_clear();
            note(&format!("operation {id} goes on; `weighbridge bulk show {id}` tells how far it is"));
        })?;
    }
    bar.finish_and_clear();
    context.print(&answer, shown)?;
    Ok(if text(&answer, "/phase") == "stopped" { Exit::Failed } else { Exit::Done })
}

/// A bar on a terminal, and nothing elsewhere.
fn progress(n: Option<u64>, context: Context) -> ProgressBar {
    if context.output == Output::Json {
        return ProgressBar::hidden();
    }
    let (bar, template) = match n {
        Some(n) => (ProgressBar::new(n), "{bar:40} {human_pos} of {human_len} jobs, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} jobs"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}

fn what(operation: &Value) -> String {
    match operation.pointer("/undoes").and_then(Value::as_u64) {
        Some(of) => format!("undo of {of}"),
        None => text(operation, "/kind"),
    }
}

fn shown(operation: &Value) -> String {
    let (id, changed, seen) =
        (text(operation, "/id"), number(operation, "/n_changed"), number(operation, "/n_seen"));
    let end = match text(operation, "/phase").as_str() {
        "running" => format!("goes on; `weighbridge bulk show {id}` tells how far it is"),
        phase => phase.to_owned(),
    };
    format!(
        "operation {id}, {}: {} changed of {seen} looked at; {end}",
        what(operation),
        counted(changed, "job")
    )
}

fn shown_list(answer: &Value) -> String {
    let operations = list(answer, "/operations");
    if operations.is_empty() {
        return "no bulk operations".to_owned();
    }
    let mut table = table(&[">NUMBER", "WHAT", "PHASE", ">CHANGED", ">LOOKED AT", "ORDERED", "FILTER"]);
    for operation in operations {
        table.add_row([
            text(operation, "/id"),
            what(operation),
            text(operation, "/phase"),
            text(operation, "/n_changed"),
            text(operation, "/n_seen"),
            format!("{} ago", age(operation, "/created")),
            text(operation, "/filter"),
        ]);
    }
    lines(&table)
}

fn shown_preview(answer: &Value, kind: &str) -> String {
    let n = number(answer, "/n");
    let is_exact = answer.pointer("/is_exact").and_then(Value::as_bool).unwrap_or(false);
    let first = format!("{}{} to {kind}", if is_exact { "" } else { "at least " }, counted(n, "job"));
    let sample = list(answer, "/sample");
    if sample.is_empty() {
        return first;
    }
    let mut table = table(&[">JOB", "STATUS", "JOB TYPE", "CHANGED"]);
    for job in sample {
        let changed = format!("{} ago", age(job, "/last_status_change"));
        table.add_row([text(job, "/id"), text(job, "/status"), job_type(job, "/job_type"), changed]);
    }
    format!("{first}; the newest of them:\n{}", lines(&table))
}
