//! A trace: what was asked for when, how long it ran, and on which machines.
//!
//! T1  Records are in the order of their arrival; the first one is at 0. Those of one instant are in the
//!     order of the file.
//! T2  A line that is none, and a record that cannot be replayed, is counted with its reason.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cluster::NodeGroup;
use super::lines::{Line, Lines};
use super::numbers::MILLIONTHS;
use super::{alibaba, swf};
use crate::limits::{
    REPLAY_SECONDS_MAX, TRACE_BYTES_MAX, TRACE_FAULTS_TOLD, TRACE_KINDS_MAX, TRACE_RECORDS_MAX,
};
use crate::model::Quantity;

/// Longest name of a kind, in characters.
const KIND_CHARS_MAX: usize = 64;

/// Lines that are looked at for the format of a file: comments may come first.
const FORMAT_LINES: usize = 1_000;

/// How a trace is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The Standard Workload Format: 18 columns a job, or 21 in its extended form.
    Swf,
    /// Alibaba's lists of nodes and pods of 2023.
    Alibaba,
}

impl Format {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Swf => "swf",
            Self::Alibaba => "alibaba",
        }
    }
}

/// What tells kinds of records apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// The class of service of a pod.
    Qos,
    /// How many graphics processors it asks for, or whether a share of one.
    Gpu,
    /// The queue of a job.
    Queue,
    /// The group of its user.
    Group,
    /// Its user.
    User,
}

impl By {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Qos => "qos",
            Self::Gpu => "gpu",
            Self::Queue => "queue",
            Self::Group => "group",
            Self::User => "user",
        }
    }
}

/// How a trace is read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// None: found from what the file holds.
    pub(crate) format: Option<Format>,
    /// So many records, from the beginning of the file.
    pub(crate) first: Option<usize>,
    /// The first bad line is an error.
    pub(crate) is_strict: bool,
    /// None: what the format says.
    pub(crate) by: Option<By>,
    /// Queues and classes of service have priorities.
    pub(crate) has_priorities: bool,
    /// Between arrivals there is one of so many parts of the time there was.
    pub(crate) compress: u32,
}

/// What a record asks for, all its parts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    pub(crate) cpus: Quantity,
    /// In MiB; zero where it is not known.
    pub(crate) mem: Quantity,
    pub(crate) gpus: Quantity,
    /// On how many nodes it ran, where the trace says so.
    pub(crate) n_parts: Option<u32>,
}

/// One job or pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its line in the file.
    pub(crate) line: u64,
    /// Microseconds since the first arrival.
    pub(crate) arrival_us: u64,
    pub(crate) run_us: u64,
    /// How long it waited when it was recorded, where that is known.
    pub(crate) waited_us: Option<u64>,
    pub(crate) asks: Asks,
    /// Its place among the kinds.
    pub(crate) kind: usize,
    /// The lower number is the more important.
    pub(crate) priority: i32,
}

/// A line that is no record, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) what: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// What was found in the files of a trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Lines that are records, whether they can be replayed or not.
    pub(crate) n_records: u64,
    pub(crate) n_bad: u64,
    /// The first of them.
    pub(crate) bad: Vec<BadLine>,
    /// Records that cannot be replayed, by reason.
    pub(crate) skipped: BTreeMap<&'static str, u64>,
    /// Records that ask for kinds of graphics processors, which is not held against nodes.
    pub(crate) n_models: u64,
}

/// See the file.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// The name of its file or directory.
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) records: Vec<Record>,
    /// Names of kinds; the last may stand for all that are not frequent.
    pub(crate) kinds: Vec<String>,
    pub(crate) by: By,
    /// The machines it is of, where it says so.
    pub(crate) machines: Vec<NodeGroup>,
    pub(crate) found: Found,
}

/// Why a trace is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TraceError {
    /// The system does not give it.
    #[error("could not read {}{}: {source}", path.display(), if *line > 0 { format!(", line {line}") } else { String::new() })]
    Read {
        /// Which file.
        path: PathBuf,
        /// Where in it; 0 before it is open.
        line: u64,
        /// The cause.
        source: io::Error,
    },
    /// Longer than [`TRACE_BYTES_MAX`].
    #[error("{} holds more than {} GiB", path.display(), TRACE_BYTES_MAX >> 30)]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// More than [`TRACE_RECORDS_MAX`] records.
    #[error("{} holds more than {TRACE_RECORDS_MAX} records", path.display())]
    TooMany {
        /// Which file.
        path: PathBuf,
    },
    /// Neither of the formats.
    #[error("{} is no trace that is known", path.display())]
    Unknown {
        /// Which file.
        path: PathBuf,
    },
    /// A list that belongs to the trace is not there.
    #[error("{} holds no {what}", path.display())]
    Missing {
        /// Which directory.
        path: PathBuf,
        /// Which list.
        what: &'static str,
    },
    /// A bad line, where none may be.
    #[error("{0}")]
    Bad(BadLine),
    /// Nothing to replay.
    #[error("{} holds no record that can be replayed", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// The format does not know it.
    #[error("records of this format have no {}", by.name())]
    By {
        /// What was asked for.
        by: By,
    },
}

/// Reads a trace: a file, or a directory with the lists of one.
pub(crate) fn read(path: &Path, reading: &Reading) -> Result<Trace, TraceError> {
    let format = match reading.format {
        Some(format) => format,
        None => format_of(path)?,
    };
    match format {
        Format::Swf => swf::read(path, reading),
        Format::Alibaba => alibaba::read(path, reading),
    }
}

/// The format of a file by its first line that is no comment.
fn format_of(path: &Path) -> Result<Format, TraceError> {
    if path.is_dir() {
        return Ok(Format::Alibaba);
    }
    let mut lines = Lines::open(path)?;
    for _ in 0..FORMAT_LINES {
        let Some(Line::Text(text)) = lines.next()? else { break };
        let text = text.trim();
        if text.is_empty() || text.starts_with(swf::COMMENT) {
            continue;
        }
        if alibaba::is_head(text) {
            return Ok(Format::Alibaba);
        }
        if swf::may_be_job(text) {
            return Ok(Format::Swf);
        }
        break;
    }
    Err(TraceError::Unknown { path: path.to_owned() })
}

/// A record as it is read, before kinds are counted.
pub(super) struct Raw {
    pub(super) record: Record,
    /// By what the format tells kinds apart, in its order.
    pub(super) kinds: Vec<String>,
}

/// Names, numbered as they come.
#[derive(Default)]
struct Names {
    numbers: BTreeMap<String, usize>,
    counts: Vec<u64>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        let plain = |c: char| if c.is_control() { '?' } else { c };
        let name: String = name.chars().take(KIND_CHARS_MAX).map(plain).collect();
        let next = self.counts.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.counts.push(0);
        }
        self.counts[number] += 1;
        number
    }

    /// The most frequent ones in their order, then one name for all others; and for each number its place.
    fn reduced(&self) -> (Vec<String>, Vec<usize>) {
        let mut names: Vec<(&String, usize)> = self.numbers.iter().map(|(name, at)| (name, *at)).collect();
        names.sort_by_key(|(_, at)| (std::cmp::Reverse(self.counts[*at]), *at));
        let n_kept = if names.len() > TRACE_KINDS_MAX { TRACE_KINDS_MAX } else { names.len() };
        let mut places = vec![n_kept; names.len()];
        names.iter().take(n_kept).enumerate().for_each(|(place, (_, at))| places[*at] = place);
        let mut kept: Vec<String> = names.iter().take(n_kept).map(|(name, _)| (*name).clone()).collect();
        if n_kept < names.len() {
            kept.push("the rest".to_owned());
        }
        (kept, places)
    }
}

/// What gathers while a trace is read.
pub(super) struct Gathered<'r> {
    reading: &'r Reading,
    bys: &'static [By],
    records: Vec<Record>,
    /// For each record, its number among the names of each of `bys`.
    keys: Vec<usize>,
    names: Vec<Names>,
    found: Found,
}

impl<'r> Gathered<'r> {
    /// `bys`: what kinds may be told apart by; the first of which there are two is used.
    pub(super) fn new(reading: &'r Reading, bys: &'static [By]) -> Result<Self, TraceError> {
        if let Some(by) = reading.by.filter(|by| !bys.contains(by)) {
            return Err(TraceError::By { by });
        }
        let names = bys.iter().map(|_| Names::default()).collect();
        Ok(Self { reading, bys, records: Vec::new(), keys: Vec::new(), names, found: Found::default() })
    }

    /// True once there are as many records as were asked for.
    pub(super) fn is_enough(&self) -> bool {
        self.reading.first.is_some_and(|most| self.found.n_records >= most as u64)
    }

    /// Takes note of a bad line.
    pub(super) fn bad(&mut self, path: &Path, line: u64, what: impl Into<String>) -> Result<(), TraceError> {
        let bad = BadLine { file: path.display().to_string(), line, what: what.into() };
        if self.reading.is_strict {
            return Err(TraceError::Bad(bad));
        }
        self.found.n_bad += 1;
        if self.found.bad.len() < TRACE_FAULTS_TOLD {
            self.found.bad.push(bad);
        }
        Ok(())
    }

    /// Takes note of a record that cannot be replayed.
    pub(super) fn skip(&mut self, reason: &'static str) {
        self.found.n_records += 1;
        *self.found.skipped.entry(reason).or_default() += 1;
    }

    /// Takes note of one that asks for kinds of graphics processors.
    pub(super) fn named_models(&mut self) {
        self.found.n_models += 1;
    }

    pub(super) fn add(&mut self, path: &Path, raw: &Raw) -> Result<(), TraceError> {
        if self.records.len() >= TRACE_RECORDS_MAX {
            return Err(TraceError::TooMany { path: path.to_owned() });
        }
        self.found.n_records += 1;
        self.records.push(raw.record);
        let numbers = self.names.iter_mut().zip(&raw.kinds).map(|(names, kind)| names.number(kind));
        self.keys.extend(numbers);
        Ok(())
    }

    /// All of it, in order. T1
    pub(super) fn finish(
        mut self,
        format: Format,
        path: &Path,
        machines: Vec<NodeGroup>,
    ) -> Result<Trace, TraceError> {
        let has_kinds = |at: &usize| self.names[*at].counts.len() > 1;
        let asked = self.reading.by.and_then(|by| self.bys.iter().position(|known| *known == by));
        let at = asked.or_else(|| (0..self.bys.len()).find(has_kinds)).unwrap_or(0);
        let (kinds, places) = self.names[at].reduced();
        for (record, keys) in self.records.iter_mut().zip(self.keys.chunks_exact(self.bys.len())) {
            record.kind = places[keys[at]];
        }
        let first = self.records.iter().map(|record| record.arrival_us).min();
        let first = first.ok_or_else(|| TraceError::Empty { path: path.to_owned() })?;
        let mut records = std::mem::take(&mut self.records);
        for record in &mut records {
            record.arrival_us = (record.arrival_us - first) / u64::from(self.reading.compress.max(1));
        }
        records.sort_by_key(|record| record.arrival_us);
        while let Some(late) = records.pop_if(|last| last.arrival_us > TIME_MAX_US) {
            self.bad(path, late.line, "it arrives more than a hundred years after the first one")?;
        }
        let name = path
            .file_name()
            .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Ok(Trace { name, format, records, kinds, by: self.bys[at], machines, found: self.found })
    }
}

/// The longest time that is taken for one.
pub(super) const TIME_MAX_US: u64 = REPLAY_SECONDS_MAX * MILLIONTHS.unsigned_abs();

/// Files of a directory, in order of their names.
pub(super) fn files_in(directory: &Path) -> Result<Vec<PathBuf>, TraceError> {
    let failed = |source| TraceError::Read { path: directory.to_owned(), line: 0, source };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    if let Ok(files) = &mut files {
        files.sort();
    }
    files.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_kinds_are_told_apart_and_the_rest_is_one() {
        let mut names = Names::default();
        for n in 0..TRACE_KINDS_MAX + 5 {
            for _ in 0..=n {
                names.number(&format!("k{n}"));
            }
        }
        let (kept, places) = names.reduced();
        assert_eq!(kept.len(), TRACE_KINDS_MAX + 1);
        let frequent = format!("k{}", TRACE_KINDS_MAX + 4);
        assert_eq!((kept[0].as_str(), kept[TRACE_KINDS_MAX].as_str()), (frequent.as_str(), "the rest"));
        assert_eq!((places[TRACE_KINDS_MAX + 4], places[0]), (0, TRACE_KINDS_MAX));
        let mut two = Names::default();
        for name in ["b\n", "a", "a"] {
            two.number(name);
        }
        assert_eq!(two.reduced(), (vec!["a".to_owned(), "b?".to_owned()], vec![1, 0]));
    }
}
