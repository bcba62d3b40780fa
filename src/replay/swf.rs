//! The Standard Workload Format: a job a line, its fields apart by blanks, -1 where nothing is known.
//!
//! The 18 columns are those of the Parallel Workloads Archive; lines that begin with `;` are comments, of
//! which `MaxNodes` and `MaxProcs` tell the machine. The extended form of 21 columns has three more: the nodes
//! a job ran on, the name of its queue, and `N:ppn=P`, which is N nodes with P processors each. Its column
//! 10 is in bytes for each node; in the plain form it is in KiB for each processor.

use std::path::Path;

use super::cluster::{NodeGroup, machine};
use super::lines::{Line, Lines};
use super::numbers::{MILLIONTHS, known, millionths, quantity_up};
use super::trace::{Asks, By, Format, Gathered, Raw, Reading, Record, TIME_MAX_US, Trace, TraceError};
use crate::model::{PRIORITY_DEFAULT, Quantity};

/// Begins a comment.
pub(super) const COMMENT: char = ';';

/// Columns of a job, and of one in the extended form.
const COLUMNS: usize = 18;
const COLUMNS_EXTENDED: usize = 21;

/// Columns, counted from 0.
const SUBMITTED: usize = 1;
const WAITED: usize = 2;
const RAN: usize = 3;
const ALLOCATED: usize = 4;
const MEM_USED: usize = 6;
const REQUESTED: usize = 7;
const MEM_REQUESTED: usize = 9;
const STATUS: usize = 10;
const USER: usize = 11;
const GROUP: usize = 12;
const QUEUE: usize = 14;
const QUEUE_NAME: usize = 19;
const NODE_SPEC: usize = 20;

/// Numbers of a job that are looked at.
const NUMBERS: usize = QUEUE + 1;

/// The status of a job that was canceled.
const CANCELED: i64 = 5;

/// KiB and bytes in a MiB.
const KIB: u128 = 1 << 10;
const BYTES: u128 = 1 << 20;

/// Queues of the extended form, the most important first: what is short goes before what is long, and what
/// fills gaps is last.
const QUEUES: &[&str] = &[
    "ops",
    "priority_long",
    "q_2h",
    "q_4h",
    "q_1d",
    "q_2d",
    "q_4d",
    "q_1w",
    "q_2w",
    "q_2w_plus",
    "backfill",
];

/// True for what can be the line of a job.
pub(super) fn may_be_job(text: &str) -> bool {
    text.split_whitespace().count() >= COLUMNS
        && text.split_whitespace().take(5).all(|field| millionths(field).is_some())
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Job(Record, Vec<String>),
    /// A job that cannot be replayed, and why.
    Skip(&'static str),
}

pub(super) fn read(path: &Path, reading: &Reading) -> Result<Trace, TraceError> {
    let mut lines = Lines::open(path)?;
    let mut gathered = Gathered::new(reading, &[By::Queue, By::Group, By::User])?;
    let mut head = Head::default();
    while !gathered.is_enough() {
        let Some(line) = lines.next()? else { break };
        let (path, number) = (lines.path(), lines.number());
        let Line::Text(text) = line else {
            gathered.bad(path, number, "the line is too long")?;
            continue;
        };
        if let Some(comment) = text.trim_start().strip_prefix(COMMENT) {
            head.hear(comment);
        } else if !text.trim().is_empty() {
            match job(&text, number, reading.has_priorities) {
                Ok(Said::Job(record, kinds)) => gathered.add(path, &Raw { record, kinds })?,
                Ok(Said::Skip(reason)) => gathered.skip(reason),
                Err(what) => gathered.bad(path, number, what)?,
            }
        }
    }
    gathered.finish(Format::Swf, path, head.machines())
}

/// What comments tell of the machine.
#[derive(Debug, Default)]
struct Head {
    n_nodes: Option<u32>,
    n_cpus: Option<u32>,
}

impl Head {
    fn hear(&mut self, comment: &str) {
        let Some((name, value)) = comment.split_once(':') else { return };
        let number = || value.trim().parse().ok().filter(|n| *n > 0);
        match name.trim() {
            "MaxNodes" => self.n_nodes = number().or(self.n_nodes),
            "MaxProcs" => self.n_cpus = number().or(self.n_cpus),
            _ => {}
        }
    }

    fn machines(&self) -> Vec<NodeGroup> {
        let n_cpus = self.n_cpus.or(self.n_nodes);
        n_cpus.map_or_else(Vec::new, |n_cpus| machine(self.n_nodes.unwrap_or(1), n_cpus))
    }
}

fn job(text: &str, line: u64, has_priorities: bool) -> Result<Said, String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let is_extended = fields.len() == COLUMNS_EXTENDED;
    if fields.len() != COLUMNS && !is_extended {
        return Err(format!("{} fields; a job has {COLUMNS}, or {COLUMNS_EXTENDED}", fields.len()));
    }
    let mut numbers = [0; NUMBERS];
    for (at, (number, field)) in numbers.iter_mut().zip(&fields).enumerate() {
        *number = millionths(field).ok_or_else(|| format!("column {}: {field:?} is no number", at + 1))?;
    }
    let Some(arrival_us) = known(numbers[SUBMITTED]) else { return Ok(Said::Skip("no submit time")) };
    let Some(run_us) = known(numbers[RAN]) else { return Ok(Said::Skip("no run time")) };
    if run_us == 0 && numbers[STATUS] == CANCELED * MILLIONTHS {
        return Ok(Said::Skip("canceled before it ran"));
    }
    if run_us > TIME_MAX_US {
        return Err(format!("column {}: it runs longer than a hundred years", RAN + 1));
    }
    let n_cpus = [REQUESTED, ALLOCATED].map(|column| numbers[column].max(0) / MILLIONTHS);
    let Some(n_cpus) = n_cpus.into_iter().find(|n| *n > 0) else { return Ok(Said::Skip("no processors")) };
    let n_cpus = u32::try_from(n_cpus).map_err(|_| format!("{n_cpus} processors are too many"))?;
    let spec = if is_extended { fields[NODE_SPEC] } else { "" };
    let n_parts = nodes_of(spec, n_cpus);
    let mem =
        mem(&numbers, is_extended, n_cpus, n_parts.unwrap_or(1)).ok_or("it asks for too much memory")?;
    let (queue, priority) = if is_extended {
        (fields[QUEUE_NAME].to_owned(), priority_of_name(fields[QUEUE_NAME]))
    } else {
        (named("queue", fields[QUEUE]), priority_of_number(numbers[QUEUE]))
    };
    let record = Record {
        line,
        arrival_us,
        run_us,
        waited_us: known(numbers[WAITED]),
        asks: Asks { cpus: Quantity::whole(n_cpus.into()), mem, gpus: Quantity::ZERO, n_parts },
        kind: 0,
        priority: if has_priorities { priority } else { PRIORITY_DEFAULT },
    };
    Ok(Said::Job(record, vec![queue, named("group", fields[GROUP]), named("user", fields[USER])]))
}

/// `queue 1`, or `no queue`.
fn named(what: &str, number: &str) -> String {
    if number.starts_with('-') { format!("no {what}") } else { format!("{what} {number}") }
}

/// Memory of all parts of a job: what it asked for, else what it used.
fn mem(numbers: &[i64; NUMBERS], is_extended: bool, n_cpus: u32, n_parts: u32) -> Option<Quantity> {
    let whole = |column: usize| {
        u128::from(numbers[column].max(0).unsigned_abs()).div_ceil(MILLIONTHS.unsigned_abs().into())
    };
    if is_extended {
        return quantity_up(whole(MEM_REQUESTED) * u128::from(n_parts), BYTES);
    }
    let per_cpu = if numbers[MEM_REQUESTED] > 0 { whole(MEM_REQUESTED) } else { whole(MEM_USED) };
    quantity_up(per_cpu * u128::from(n_cpus), KIB)
}

/// On how many nodes, of `N:ppn=P` with a remark behind; none where that is not all of the job.
fn nodes_of(spec: &str, n_cpus: u32) -> Option<u32> {
    let mut parts = spec.split([':', '#']);
    let n_nodes: u32 = parts.next()?.parse().ok()?;
    let per_node: u32 = parts.next()?.strip_prefix("ppn=")?.parse().ok()?;
    (n_nodes > 0 && n_nodes.checked_mul(per_node) == Some(n_cpus)).then_some(n_nodes)
}

/// Queue 0 is for those who sit and wait; the higher the number, the less it matters.
fn priority_of_number(queue: i64) -> i32 {
    let queue = i32::try_from(queue.max(0) / MILLIONTHS).unwrap_or(i32::MAX);
    PRIORITY_DEFAULT.saturating_add(queue)
}

/// Of a queue that has a name; one that is not known is in the middle.
fn priority_of_name(queue: &str) -> i32 {
    let place = QUEUES.iter().position(|known| *known == queue).unwrap_or(QUEUES.len() / 2);
    PRIORITY_DEFAULT + i32::try_from(place).expect("a short list")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "7 100 5 60 4 -1 2048 8 3600 -1 1 11 2 3 1 -1 -1 -1";

    /// `GOOD` with other fields, by column from 1.
    fn with(changes: &[(usize, &str)]) -> String {
        let mut fields: Vec<&str> = GOOD.split(' ').collect();
        for (column, text) in changes {
            fields[column - 1] = text;
        }
        fields.join(" ")
    }

    fn record(text: &str) -> Record {
        match job(text, 3, true) {
            Ok(Said::Job(record, _)) => record,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_job_asks_for_what_was_requested() {
        let known = record(GOOD);
        assert_eq!((known.line, known.arrival_us, known.run_us), (3, 100_000_000, 60_000_000));
        assert_eq!((known.waited_us, known.priority), (Some(5_000_000), 101));
        assert_eq!(known.asks.cpus, Quantity::whole(8));
        assert_eq!(known.asks.mem, Quantity::whole(16), "eight times 2 MiB that it used");
        assert_eq!(record(&with(&[(8, "-1")])).asks.cpus, Quantity::whole(4), "what it was given");
        assert_eq!(record(&with(&[(10, "1024")])).asks.mem, Quantity::whole(8), "what it asked for");
        let unknown = record(&with(&[(3, "-1"), (7, "-1"), (15, "-1")]));
        assert_eq!((unknown.waited_us, unknown.asks.mem, unknown.priority), (None, Quantity::ZERO, 100));
        let Ok(Said::Job(_, kinds)) = job(&with(&[(13, "-1")]), 1, true) else { panic!("a job") };
        assert_eq!(kinds, ["queue 1", "no group", "user 11"]);
    }

    #[test]
    fn what_cannot_be_replayed_is_passed_over_with_its_reason() {
        let check = |changes: &[(usize, &str)], reason| {
            assert_eq!(job(&with(changes), 1, true), Ok(Said::Skip(reason)), "{changes:?}");
        };
        check(&[(2, "-1")], "no submit time");
        check(&[(4, "-1")], "no run time");
        check(&[(5, "-1"), (8, "-1")], "no processors");
        check(&[(4, "0"), (11, "5")], "canceled before it ran");
        assert_eq!(record(&with(&[(4, "0")])).run_us, 0, "one that ended at once");
    }

    #[test]
    fn a_bad_line_says_what_is_wrong() {
        let check = |text: &str, part: &str| {
            let what = job(text, 1, true).expect_err(text);
            assert!(what.contains(part), "{text}: {what}");
        };
        check("1 2 3", "3 fields");
        check(&format!("{GOOD} 1"), "19 fields");
        check(&with(&[(4, "long")]), "column 4: \"long\"");
        check(&with(&[(4, "9999999999")]), "column 4: it runs longer");
        check(&with(&[(8, "99999999999")]), "too many");
        check(&with(&[(10, "999999999999"), (8, "999999999")]), "memory");
    }

    #[test]
    fn the_extended_form_tells_nodes_queue_and_memory_for_each_node() {
        let extended =
            |spec: &str| format!("{} {{1,2}} q_2h {spec}", with(&[(8, "12"), (10, "2097152"), (7, "1024")]));
        let known = record(&extended("3:ppn=4:x86:^cl#excl"));
        assert_eq!((known.asks.n_parts, known.asks.mem), (Some(3), Quantity::whole(6)));
        assert_eq!(known.priority, 102);
        for spec in ["1", "2:node.name", "2:ppn=4", "1:ppn=1.5", "1:ppn=1+2", "0:ppn=0", "4294967295:ppn=9"] {
            let odd = record(&extended(spec));
            assert_eq!((odd.asks.n_parts, odd.asks.mem), (None, Quantity::whole(2)), "{spec}");
        }
        assert_eq!(priority_of_name("backfill"), 110);
        assert_eq!(priority_of_name("unheard of"), 105);
    }

    #[test]
    fn comments_tell_the_machine() {
        let mut head = Head::default();
        assert!(head.machines().is_empty());
        for comment in ["  MaxNodes: 3", " MaxProcs: 8  ", "Note: x", "MaxProcs: -1", "no colon"] {
            head.hear(comment);
        }
        assert_eq!(head.machines(), machine(3, 8));
    }
}
