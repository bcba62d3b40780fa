//! `weighbridge inspect`: what a store holds, and what is wrong where. The store stays as it is.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Context;
use super::answer::{list, number, text};
use super::failure::{Exit, Failure};
use super::machine::open_code;
use super::output::{enumerated, printable};
use crate::model::{EventNumber, QueueMode, Timestamp};
use crate::store::{
    FileInspection, Inspection, LogInspection, LookError, OpenError, StateInspection, StoreFaults,
};

/// Longest text of an event, in characters.
const EVENT_CHARS_MAX: usize = 400;

const EXAMPLES: &str = "\
Examples:
  weighbridge inspect jobs
  weighbridge inspect jobs --output json";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    store: PathBuf,
    /// List events of the log too, both ends counted; at most 1,000
    #[arg(
        long,
        value_name = "FROM..TO",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "..",
        value_parser = events
    )]
    events: Option<RangeInclusive<EventNumber>>,
}

/// A range of events: `5..20`, `5..`, `..20`, `..` or `7`.
fn events(range: &str) -> Result<RangeInclusive<EventNumber>, String> {
    let bad =
        || format!("{range:?} is no range of events; write for instance 5..20, or 5.. for all from 5 on");
    let end = |text: &str, default| if text.is_empty() { Ok(EventNumber(default)) } else { text.parse() };
    let (from, to) = range.split_once("..").unwrap_or((range, range));
    if range.is_empty() {
        return Err(bad());
    }
    Ok(end(from, 0).map_err(|_| bad())?..=end(to, u64::MAX).map_err(|_| bad())?)
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let found = quietly(|| crate::store::inspect(&args.store, args.events.as_ref()));
    context.print(&answer(&found.map_err(look_failure)?), shown)?;
    Ok(Exit::Done)
}

/// Panics of the storage are caught and told as faults; nothing of them goes to standard error.
pub(super) fn quietly<T>(look: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| tracing::debug!("the storage gave up: {panic}")));
    let found = look();
    std::panic::set_hook(hook);
    found
}

/// Why a store is not looked into.
pub(super) fn look_failure(error: LookError) -> Failure {
    match error {
        LookError::NotFound(_) => Failure::new(Exit::NotFound, "no-such-store", error)
            .help("a store is a directory with log.redb and state.redb, as given with --store"),
        LookError::Open(error) => {
            let failure = Failure::failed(open_code(&error), &error);
            match error {
                OpenError::Locked { .. } => failure.help(
                    "end that process first, or look at a copy of the files; `weighbridge status` shows a daemon \
                     at work",
                ),
                _ => failure,
            }
        }
    }
}

fn instant(at: Timestamp) -> Value {
    jiff::Timestamp::from_microsecond(at.0).map_or(Value::Null, |at| at.to_string().into())
}

/// Faults, counted and listed.
pub(super) fn faults_json(faults: &StoreFaults) -> (Value, Value) {
    let kinds: serde_json::Map<String, Value> =
        faults.by_kind().map(|(kind, n)| (kind.code().to_owned(), n.into())).collect();
    let fault = |fault: &crate::store::StoreFault| json!({ "kind": fault.kind.code(), "file": fault.file, "place": fault.place, "cause": fault.cause });
    (kinds.into(), faults.list().iter().map(fault).collect())
}

fn file(file: &FileInspection) -> Value {
    json!({
        "is_there": file.is_there,
        "bytes": file.bytes,
        "format": file.format,
        "store": file.store.map(|id| id.to_string()),
        "is_repaired": file.is_repaired,
        "pages": file.pages,
    })
}

fn log(log: &LogInspection) -> Value {
    let rows = &log.rows;
    let gap = |gap: &crate::store::Gap| {
        json!({
            "after_row": gap.after.0,
            "after_event": gap.after.1,
            "before_row": gap.before.0,
            "before_event": gap.before.1,
        })
    };
    json!({
        "file": file(&log.file),
        "n_rows": rows.n,
        "row_bytes": rows.bytes,
        "first_row": rows.rows.map(|(first, _)| first),
        "last_row": rows.rows.map(|(_, last)| last),
        "first_event": rows.events.map(|(first, _)| first),
        "last_event": rows.events.map(|(_, last)| last),
        "first_epoch": rows.epochs.map(|(first, _)| first),
        "last_epoch": rows.epochs.map(|(_, last)| last),
        "tail": { "n_rows": rows.n_tail, "n_events": rows.n_tail_events, "bytes": rows.tail_bytes },
        "n_bad": rows.n_bad,
        "first_bad": rows.first_bad.as_ref().map(|(row, cause)| json!({ "row": row, "cause": cause })),
        "n_after_bad": rows.n_after_bad,
        "n_gaps": rows.n_gaps,
        "gaps": rows.gaps.iter().map(gap).collect::<Value>(),
    })
}

fn state(state: &StateInspection) -> Value {
    let segments = &state.segments;
    let totals = state.totals.map(|totals| {
        json!({
            "watermark": totals.last_event,
            "epoch": totals.epoch,
            "now": instant(totals.now),
            "n_jobs": totals.n_jobs,
            "n_dropped": totals.n_dropped,
            "n_recipes": totals.n_recipes,
            "last_execution": totals.last_exe,
            "mode": match totals.mode { QueueMode::Fifo => "FIFO", QueueMode::Lifo => "LIFO" },
            "keep_load_rows": totals.keep_load_rows,
            "hash": format!("{:016x}", totals.hash),
            "open_hash": format!("{:016x}", totals.open_hash),
            "next_segment": totals.next_segment,
            "placed_below": totals.placed_below,
        })
    });
    json!({
        "file": file(&state.file),
        "totals": totals,
        "segments": {
            "n": segments.n,
            "n_rows": segments.n_rows,
            "n_dead": segments.n_dead,
            "n_open": segments.n_open,
            "bytes": segments.bytes,
            "n_sparse": segments.n_sparse,
            "n_missing": segments.n_missing,
            "n_left_behind": segments.n_left_behind,
            "n_bad": segments.n_bad,
            "first_bad": segments.first_bad.as_ref().map(|(number, cause)| {
                json!({ "segment": number, "cause": cause })
            }),
        },
        "creations": {
            "n_pieces": state.n_creation_pieces,
            "n": state.n_creations,
            "bytes": state.creation_bytes,
        },
        "places": { "n_blocks": state.n_place_blocks, "n": state.n_places },
        "n_job_types": state.n_job_types,
        "counts": state.counts,
        "n_submissions": state.n_submissions,
        "load": {
            "n_rows": state.n_load_rows,
            "first": state.load.map(|(first, _)| instant(first)),
            "last": state.load.map(|(_, last)| instant(last)),
        },
    })
}

fn answer(found: &Inspection) -> Value {
    let opens = match &found.opens {
        Ok(opens) => json!({
            "is_ok": true,
            "n_replayed": opens.n_replayed,
            "last_event": opens.last_event,
            "epoch": opens.epoch,
            "n_jobs": opens.n_jobs,
            "counts": opens.counts,
        }),
        Err(error) => json!({ "is_ok": false, "code": open_code(error), "message": error.to_string() }),
    };
    let (kinds, faults) = faults_json(&found.faults);
    let event = |(number, event): &(EventNumber, crate::model::Event)| {
        let mut text = format!("{event:?}");
        if let Some((end, _)) = text.char_indices().nth(EVENT_CHARS_MAX) {
            text.truncate(end);
            text.push('…');
        }
        json!({ "number": number, "event": text })
    };
    json!({
        "store": found.directory.to_string_lossy(),
        "last_owner": found.last_owner,
        "log": log(&found.log),
        "state": state(&found.state),
        "opens": opens,
        "n_faults": found.faults.n(),
        "kinds": kinds,
        "faults": faults,
        "events": found.events.iter().map(event).collect::<Value>(),
        "n_events_left_out": found.n_events_left_out,
    })
}

/// `0 bytes`, `3.2 MiB`.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn bytes(of: &Value, pointer: &str) -> String {
    let n = number(of, pointer);
    match n {
        0..1_024 => format!("{n} bytes"),
        1_024..1_048_576 => format!("{:.1} KiB", n as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}

/// One line per fault, and how many are left out.
pub(super) fn fault_lines(answer: &Value) -> String {
    let faults = list(answer, "/faults");
    let mut lines = String::new();
    for fault in faults {
        let [kind, file, place, cause] =
            ["/kind", "/file", "/place", "/cause"].map(|part| printable(&text(fault, part)));
        let _ = writeln!(lines, "  {kind:<12} {file}, {place}: {cause}");
    }
    let n_more = number(answer, "/n_faults").saturating_sub(faults.len() as u64);
    if n_more > 0 {
        let _ = writeln!(lines, "  and {n_more} more");
    }
    lines
}

fn counts(of: &Value, pointer: &str) -> String {
    let words = ["pending", "blocked", "queued", "running", "failed", "completed", "canceled"];
    let all: Vec<(u64, &str)> =
        words.iter().map(|word| (number(of, &format!("{pointer}/{word}")), *word)).collect();
    let n: u64 = all.iter().map(|(n, _)| n).sum();
    enumerated(super::output::counted(n, "job"), &all)
}

fn file_lines(out: &mut String, name: &str, of: &Value) {
    if of["is_there"] != true {
        let _ = writeln!(out, "{name:<11} is not there");
        return;
    }
    let known = |pointer: &str, what: &str| match of.pointer(pointer) {
        None | Some(Value::Null) => format!("{what} unknown"),
        Some(_) => format!("{what} {}", text(of, pointer)),
    };
    let repaired = if of["is_repaired"] == true { ", was not closed" } else { "" };
    let (format, store) = (known("/format", "format"), known("/store", "store"));
    let _ = writeln!(out, "{name:<11} {}, {format}, {store}{repaired}", bytes(of, "/bytes"));
    if let Some(cause) = of["pages"].as_str() {
        let _ = writeln!(out, "  pages     {}", printable(cause));
    }
}

fn log_lines(out: &mut String, log: &Value) {
    file_lines(out, "log.redb", &log["file"]);
    if log["file"]["is_there"] != true {
        return;
    }
    let span = |what: &str| {
        format!("{}..{}", text(log, &format!("/first_{what}")), text(log, &format!("/last_{what}")))
    };
    let n_rows = number(log, "/n_rows");
    if n_rows > 0 {
        let _ = writeln!(out, "  rows      {n_rows} ({}), {}", span("row"), bytes(log, "/row_bytes"));
        let _ = writeln!(out, "  events    {}, epochs {}", span("event"), span("epoch"));
    } else {
        let _ = writeln!(out, "  rows      0");
    }
    let (rows, events) = (number(log, "/tail/n_rows"), number(log, "/tail/n_events"));
    let tail = bytes(log, "/tail/bytes");
    let _ =
        writeln!(out, "  tail      {events} events in {rows} rows, {tail}, are newer than the state file");
    if let Some(row) = log.pointer("/first_bad/row") {
        let cause = printable(&text(log, "/first_bad/cause"));
        let (n_bad, n_after) = (number(log, "/n_bad"), number(log, "/n_after_bad"));
        let _ = writeln!(out, "  bad       row {row}: {cause}");
        let _ = writeln!(out, "            {n_bad} bad in all; {n_after} rows behind the first can be read");
    }
    for gap in list(log, "/gaps") {
        let part = |name: &str| text(gap, &format!("/{name}"));
        let _ = writeln!(
            out,
            "  gap       between row {} (event {}) and row {} (event {})",
            part("after_row"),
            part("after_event"),
            part("before_row"),
            part("before_event"),
        );
    }
}

fn state_lines(out: &mut String, state: &Value) {
    file_lines(out, "state.redb", &state["file"]);
    if state["file"]["is_there"] != true {
        return;
    }
    let part = |pointer: &str| text(state, pointer);
    if state["totals"].is_null() {
        let _ = writeln!(out, "  totals    none can be read, or no checkpoint was made yet");
    } else {
        let _ = writeln!(
            out,
            "  totals    watermark {}, epoch {}, {} jobs ({} dropped), {} recipes, last execution {}",
            part("/totals/watermark"),
            part("/totals/epoch"),
            part("/totals/n_jobs"),
            part("/totals/n_dropped"),
            part("/totals/n_recipes"),
            part("/totals/last_execution"),
        );
        let _ =
            writeln!(out, "  hash      {}, of open jobs {}", part("/totals/hash"), part("/totals/open_hash"));
    }
    let n = |word: &str| number(state, &format!("/segments/{word}"));
    let first = format!("{} with {} rows, {}", n("n"), n("n_rows"), bytes(state, "/segments/bytes"));
    let segments = [
        (n("n_dead"), "rows replaced"),
        (n("n_open"), "rows of open jobs"),
        (n("n_sparse"), "sparse"),
        (n("n_left_behind"), "left behind by an unfinished checkpoint"),
        (n("n_missing"), "MISSING"),
        (n("n_bad"), "BAD"),
    ];
    let _ = writeln!(out, "  segments  {}", enumerated(first, &segments));
    if let Some(segment) = state.pointer("/segments/first_bad/segment") {
        let _ =
            writeln!(out, "  bad       segment {segment}: {}", printable(&part("/segments/first_bad/cause")));
    }
    let _ = writeln!(
        out,
        "  creations {} in {} pieces, {}",
        part("/creations/n"),
        part("/creations/n_pieces"),
        bytes(state, "/creations/bytes"),
    );
    let _ = writeln!(out, "  places    {} in {} blocks", part("/places/n"), part("/places/n_blocks"));
    let _ = writeln!(out, "  counts    {}", counts(state, "/counts"));
    let _ = writeln!(
        out,
        "  rest      {} job types, {} submissions, {} load rows",
        part("/n_job_types"),
        part("/n_submissions"),
        part("/load/n_rows"),
    );
}

fn shown(answer: &Value) -> String {
    let mut out = String::new();
    let owner = match answer["last_owner"].as_u64() {
        Some(pid) => format!("free; process {pid} had it last"),
        None => "free; nobody is known to have had it".to_owned(),
    };
    let _ = writeln!(out, "{:<11} {}", "store", printable(&text(answer, "/store")));
    let _ = writeln!(out, "{:<11} {owner}", "lock");
    log_lines(&mut out, &answer["log"]);
    state_lines(&mut out, &answer["state"]);
    if answer["opens"]["is_ok"] == true {
        let part = |name: &str| text(answer, &format!("/opens/{name}"));
        let _ = writeln!(
            out,
            "{:<11} yes: {} events from the log, up to event {}, as epoch {}; {}",
            "opens",
            part("n_replayed"),
            part("last_event"),
            part("epoch"),
            counts(answer, "/opens/counts"),
        );
    } else {
        let _ = writeln!(out, "{:<11} no: {}", "opens", printable(&text(answer, "/opens/message")));
    }
    match number(answer, "/n_faults") {
        0 => {
            let _ = writeln!(out, "{:<11} none seen; `weighbridge check` looks closer", "faults");
        }
        n => {
            let _ = writeln!(out, "{:<11} {n}\n{}", "faults", fault_lines(answer).trim_end());
        }
    }
    for event in list(answer, "/events") {
        let _ = writeln!(out, "{:>11} {}", text(event, "/number"), printable(&text(event, "/event")));
    }
    let n_left_out = number(answer, "/n_events_left_out");
    if n_left_out > 0 {
        let last = list(answer, "/events").last().map_or(0, |event| number(event, "/number"));
        let _ = writeln!(out, "{:>11} and {n_left_out} more; --events={}.. goes on", "", last + 1);
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_events_are_read() {
        let check = |text: &str, from, to| assert_eq!(events(text), Ok(EventNumber(from)..=EventNumber(to)));
        check("5..20", 5, 20);
        check("5..", 5, u64::MAX);
        check("..20", 0, 20);
        check("..", 0, u64::MAX);
        check("7", 7, 7);
        for bad in ["", "a", "1-2", "1..b", "..=3"] {
            assert!(events(bad).is_err_and(|error| error.contains("no range of events")), "{bad}");
        }
    }

    #[test]
    fn sizes_read_well() {
        let check = |n: u64, expected| assert_eq!(bytes(&json!({ "n": n }), "/n"), expected);
        check(0, "0 bytes");
        check(1_536, "1.5 KiB");
        check(3 << 20, "3.0 MiB");
        check(5 << 30, "5.0 GiB");
    }
}
