//! `weighbridge logs`: what a job prints.
//!
//! G1  Without --follow no more is shown than was there when it began: it ends.
//! G2  With --follow each execution is shown to its end, in order, and the end of the job ends it. A daemon that is
//!     away is waited for a while; an agent that is, for as long as the job goes on.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::Context;
use super::answer::{number, text};
use super::failure::{Exit, Failure};
use super::http::{Client, Raw, ServerArgs};
use super::output::{Output, note, printable};
use super::selectors::{self, Selected, Selector, UNFINISHED};
use crate::clock::monotonic;
use crate::launch::OutputStream;
use crate::limits::PRINTED_BYTES_MAX;
use crate::model::JobId;

/// Between two looks at what prints nothing: grows from the first to the second.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How long a daemon may be away.
const SILENCE_MAX: Duration = Duration::from_mins(5);

/// Longest line that is told as one where they are told as JSON.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Codes of what is not there yet.
const NOT_STARTED: &str = "job-not-started";
const NO_EXECUTION: &str = "no-such-execution";

pub(super) const LONG: &str = "\
What an execution of a job prints, of the newest that was started unless --exe says another: its standard output \
on standard output, its standard error on standard error. It is read where the job runs or ran, on this machine or \
from the sandbox on an agent of a Mesos cluster, and is there for as long as that is.

With --follow it goes on until the job is over, also over further tries and restarts of the daemon; what begins is \
said on standard error.";

const EXAMPLES: &str = "\
Examples:
  weighbridge logs 7
  weighbridge logs last --follow              and what comes, until the job is over
  weighbridge logs 7 --tail 20                the last 20 lines of each
  weighbridge logs 7 --stream stderr          one of them alone, on standard output
  weighbridge logs 7 --exe 1                  of its first execution, when it was tried again
  weighbridge logs 7 --output json            a line of JSON for each line";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A job: 7, `last`, or a job type with one job that has not ended
    #[arg(value_name = "JOB", value_parser = selectors::selector)]
    job: Selector,
    /// Go on with what comes, until the job is over
    #[arg(long, short)]
    follow: bool,
    /// Which of the two
    #[arg(long, value_enum, default_value_t)]
    stream: Which,
    /// Of the job's execution of that number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    exe: Option<u32>,
    /// Begin with the last so many lines
    #[arg(long, value_name = "N")]
    tail: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Which {
    Stdout,
    Stderr,
    #[default]
    Both,
}

impl Which {
    fn streams(self) -> &'static [OutputStream] {
        match self {
            Self::Stdout => &[OutputStream::Stdout],
            Self::Stderr => &[OutputStream::Stderr],
            Self::Both => &OutputStream::ALL,
        }
    }
}

/// A failure, and whether it may pass by itself.
type Passing = (Failure, bool);

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let client = Client::new(&args.server)?;
    let selected = Selected::of(&client, std::slice::from_ref(&args.job), &UNFINISHED)?;
    let [job] = selected.jobs.as_slice() else {
        let message = format!("{} names {} jobs", args.job, selected.jobs.len());
        return Err(Failure::usage(message).help("what is printed is shown of one job at a time"));
    };
    let source = Source { client: &client, job: *job };
    let sink = Sink::new(context.output, *job, args.stream == Which::Both);
    let streams = args.stream.streams();
    let mut show = Show { source, sink, streams, exe_num: args.exe, tail: args.tail };
    if args.follow { show.follow() } else { show.once() }
}

/// A piece of what was printed.
struct Piece {
    exe_num: u32,
    next: u64,
    size: u64,
    has_ended: bool,
    raw: Raw,
}

/// The daemon, asked of one job.
#[derive(Clone, Copy)]
struct Source<'c> {
    client: &'c Client,
    job: JobId,
}

impl Source<'_> {
    fn read(
        &self,
        stream: OutputStream,
        exe_num: Option<u32>,
        offset: u64,
        length: usize,
    ) -> Result<Piece, Passing> {
        let exe_num = exe_num.map(|exe_num| format!("&exe_num={exe_num}")).unwrap_or_default();
        let path =
            format!("/api/v1/jobs/{}/logs/{stream}?offset={offset}&length={length}{exe_num}", self.job);
        let raw = self.client.try_get_text(&path)?;
        let number = |name: &str| raw.header(name).parse::<u64>().ok();
        let facts =
            [number("weighbridge-exe-num"), number("weighbridge-next-offset"), number("weighbridge-size")];
        let [Some(exe_num), Some(next), Some(size)] = facts else {
            return Err((self.client.stranger("it does not say where what it answers stands"), false));
        };
        let has_ended = raw.header("weighbridge-has-ended") == "true";
        Ok(Piece { exe_num: u32::try_from(exe_num).unwrap_or(u32::MAX), next, size, has_ended, raw })
    }

    /// The newest execution that was started.
    fn newest(&self) -> Result<u32, Passing> {
        Ok(self.read(OutputStream::Stdout, None, 0, 0)?.exe_num)
    }

    /// Whether the job is over, and how many executions it has.
    fn job(&self) -> Result<(bool, u32), Passing> {
        let job: Value = self.client.try_get(&format!("/api/v1/jobs/{}", self.job))?;
        let is_over = ["COMPLETED", "FAILED", "CANCELED"].contains(&text(&job, "/status").as_str());
        Ok((is_over, u32::try_from(number(&job, "/num_exes")).unwrap_or(u32::MAX)))
    }

    /// Where the last `n` lines begin.
    fn tail(&self, stream: OutputStream, exe_num: u32, n: u64) -> Result<u64, Passing> {
        let end = self.read(stream, Some(exe_num), 0, 0)?.size;
        let (mut at, mut n_left) = (end, n);
        while at > 0 && n_left > 0 {
            let from = at.saturating_sub(PRINTED_BYTES_MAX as u64);
            let bytes = self.between(stream, exe_num, from, at)?;
            let line_ends = bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
            for (index, _) in line_ends {
                let behind = from + index as u64 + 1;
                // What ends the last line begins none.
                n_left -= u64::from(behind < end);
                if n_left == 0 {
                    return Ok(behind);
                }
            }
            at = from;
        }
        Ok(at)
    }

    fn between(&self, stream: OutputStream, exe_num: u32, from: u64, end: u64) -> Result<Vec<u8>, Passing> {
        let (mut bytes, mut at) = (Vec::new(), from);
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(PRINTED_BYTES_MAX).min(PRINTED_BYTES_MAX);
            let piece = self.read(stream, Some(exe_num), at, length)?;
            if piece.next <= at {
                break;
            }
            at = piece.next;
            bytes.extend_from_slice(&piece.raw.bytes);
        }
        Ok(bytes)
    }
}

/// Where it goes.
struct Sink {
    form: Form,
    job: JobId,
    /// Standard error goes to standard error.
    is_split: bool,
    /// Of each stream, what waits for the rest of its line or character.
    held: [Vec<u8>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is.
    Raw,
    /// Without orders to the terminal.
    Terminal,
    /// JSON by lines.
    Json,
}

/// Nobody reads any more.
struct Closed;

impl Sink {
    fn new(output: Output, job: JobId, is_split: bool) -> Self {
        let form = match output {
            Output::Json => Form::Json,
            Output::Table if io::stdout().is_terminal() => Form::Terminal,
            Output::Table => Form::Raw,
        };
        Self { form, job, is_split, held: Default::default() }
    }

    fn take(&mut self, stream: OutputStream, exe_num: u32, bytes: &[u8]) -> Result<(), Closed> {
        if self.form == Form::Raw {
            return self.write(stream, bytes);
        }
        let held = &mut self.held[stream as usize];
        held.extend_from_slice(bytes);
        let n = match self.form {
            Form::Json if held.len() < LINE_BYTES_MAX => {
                held.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
            }
            _ => whole_characters(held),
        };
        let ready: Vec<u8> = held.drain(..n).collect();
        self.tell(stream, exe_num, &ready)
    }

    /// What waits for a rest that does not come.
    fn end(&mut self, exe_num: u32) -> Result<(), Closed> {
        for stream in OutputStream::ALL {
            let rest = std::mem::take(&mut self.held[stream as usize]);
            self.tell(stream, exe_num, &rest)?;
        }
        Ok(())
    }

    fn tell(&self, stream: OutputStream, exe_num: u32, bytes: &[u8]) -> Result<(), Closed> {
        if bytes.is_empty() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(bytes);
        if self.form != Form::Json {
            return self.write(stream, printable(&text).as_bytes());
        }
        let line = |line: &str| {
            let line =
                json!({ "job_id": self.job.0, "exe_num": exe_num, "stream": stream.as_str(), "text": line });
            format!("{line}\n")
        };
        let lines: String = text.lines().map(line).collect();
        self.write(stream, lines.as_bytes())
    }

    fn write(&self, stream: OutputStream, bytes: &[u8]) -> Result<(), Closed> {
        let written = if self.is_split && stream == OutputStream::Stderr && self.form != Form::Json {
            io::stderr().write_all(bytes)
        } else {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        };
        written.map_err(|_| Closed)
    }
}

/// How many bytes are whole characters, or none for certain.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
    let is_cut =
        std::str::from_utf8(&bytes[bytes.len() - last..]).is_err_and(|error| error.error_len().is_none());
    if is_cut { bytes.len() - last } else { bytes.len() }
}

/// Why it does not go on.
enum Stop {
    Closed,
    Failed(Failure, bool),
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<Passing> for Stop {
    fn from((failure, is_passing): Passing) -> Self {
        Self::Failed(failure, is_passing)
    }
}

/// How far one execution was shown.
struct Shown {
    exe_num: u32,
    /// Of each stream that is shown, where to go on.
    at: Vec<u64>,
    /// The same, where nothing more comes.
    is_whole: Vec<bool>,
}

impl Shown {
    fn new(exe_num: u32, at: Vec<u64>) -> Self {
        Self { exe_num, is_whole: vec![false; at.len()], at }
    }

    fn is_whole(&self) -> bool {
        self.is_whole.iter().all(|is_whole| *is_whole)
    }
}

/// Why nothing is shown of what is there.
fn is_of_output(failure: &Failure) -> bool {
    failure.code.starts_with("output-")
}

struct Show<'c> {
    source: Source<'c>,
    sink: Sink,
    streams: &'static [OutputStream],
    exe_num: Option<u32>,
    tail: Option<u64>,
}

impl Show<'_> {
    fn once(&mut self) -> Result<Exit, Failure> {
        match self.all() {
            Ok(()) | Err(Stop::Closed) => Ok(Exit::Done),
            Err(Stop::Failed(failure, _)) => Err(failure),
        }
    }

    fn all(&mut self) -> Result<(), Stop> {
        let Shown { exe_num, at: begin, .. } = self.begin()?;
        for (&stream, mut at) in self.streams.iter().zip(begin) {
            let mut end = u64::MAX;
            while at < end {
                let piece = self.source.read(stream, Some(exe_num), at, PRINTED_BYTES_MAX)?;
                end = end.min(piece.size);
                self.sink.take(stream, exe_num, &piece.raw.bytes)?;
                if piece.next <= at {
                    break;
                }
                at = piece.next;
            }
            self.sink.end(exe_num)?;
        }
        Ok(())
    }

    /// The execution that is meant, and where to begin.
    fn begin(&self) -> Result<Shown, Passing> {
        let exe_num = self.exe_num.map_or_else(|| self.source.newest(), Ok)?;
        let from = |stream: &OutputStream| self.tail.map_or(Ok(0), |n| self.source.tail(*stream, exe_num, n));
        Ok(Shown::new(exe_num, self.streams.iter().map(from).collect::<Result<_, _>>()?))
    }

    fn follow(&mut self) -> Result<Exit, Failure> {
        let (mut wait, mut shown) = (Wait::new(), None);
        loop {
            match self.step(&mut shown) {
                Ok(Step::Over) | Err(Stop::Closed) => return Ok(Exit::Done),
                Ok(Step::Moved) => wait.moved(),
                Ok(Step::Nothing) => wait.nothing(),
                Err(Stop::Failed(failure, true)) => wait.bear(failure)?,
                // The daemon is there, and the job goes on: it ends, or what comes after it can be read.
                Err(Stop::Failed(failure, false)) => {
                    if !self.goes_on(&failure, &mut shown)? {
                        return Err(failure);
                    }
                    wait.nothing();
                    wait.tell(failure.message);
                }
            }
            wait.sleep();
        }
    }

    fn step(&mut self, shown: &mut Option<Shown>) -> Result<Step, Stop> {
        if let Some(one) = shown {
            if self.go_on(one)? {
                return Ok(Step::Moved);
            }
            return if one.is_whole() { self.after(one) } else { Ok(Step::Nothing) };
        }
        let (is_over, _) = self.source.job()?;
        match self.begin() {
            Ok(one) => *shown = Some(one),
            Err((failure, _)) if failure.code == NOT_STARTED && !is_over => return Ok(Step::Nothing),
            Err(failure) => return Err(failure.into()),
        }
        Ok(Step::Moved)
    }

    /// Shows what came; true where there was something.
    fn go_on(&mut self, shown: &mut Shown) -> Result<bool, Stop> {
        let mut is_new = false;
        for (index, &stream) in self.streams.iter().enumerate() {
            if shown.is_whole[index] {
                continue;
            }
            let piece = self.source.read(stream, Some(shown.exe_num), shown.at[index], PRINTED_BYTES_MAX)?;
            is_new |= piece.next > shown.at[index];
            shown.at[index] = shown.at[index].max(piece.next);
            shown.is_whole[index] = piece.has_ended && piece.next >= piece.size;
            self.sink.take(stream, shown.exe_num, &piece.raw.bytes)?;
        }
        Ok(is_new)
    }

    /// What comes after an execution that was shown to its end.
    fn after(&mut self, shown: &mut Shown) -> Result<Step, Stop> {
        let (is_over, n_exes) = if self.exe_num.is_some() { (true, 0) } else { self.source.job()? };
        if self.next(shown, n_exes)? {
            return Ok(Step::Moved);
        }
        if !is_over {
            return Ok(Step::Nothing);
        }
        self.sink.end(shown.exe_num)?;
        Ok(Step::Over)
    }

    /// Turns to the next execution that was started, where there is one.
    fn next(&mut self, shown: &mut Shown, n_exes: u32) -> Result<bool, Stop> {
        for exe_num in shown.exe_num + 1..=n_exes {
            match self.source.read(OutputStream::Stdout, Some(exe_num), 0, 0) {
                // It waits, or was canceled while it did.
                Err((failure, _)) if failure.code == NO_EXECUTION => continue,
                Err((failure, is_passing)) if !is_of_output(&failure) => {
                    return Err(Stop::Failed(failure, is_passing));
                }
                _ => {}
            }
            self.sink.end(shown.exe_num)?;
            note(&format!("execution {exe_num} of job {} begins", self.source.job));
            *shown = Shown::new(exe_num, vec![0; self.streams.len()]);
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether there is something to wait for where an execution cannot be read: perhaps the next one.
    fn goes_on(&mut self, failure: &Failure, shown: &mut Option<Shown>) -> Result<bool, Failure> {
        if !is_of_output(failure) {
            return Ok(false);
        }
        let job = self.source.job();
        let (is_over, n_exes) = match job {
            Ok(job) => job,
            Err((_, true)) => return Ok(true),
            Err((failure, false)) => return Err(failure),
        };
        let Some(one) = shown.as_mut().filter(|_| self.exe_num.is_none()) else { return Ok(!is_over) };
        match self.next(one, n_exes) {
            Ok(is_next) => Ok(is_next || !is_over),
            Err(Stop::Failed(_, true)) => Ok(true),
            Err(Stop::Failed(failure, false)) => Err(failure),
            Err(Stop::Closed) => Ok(false),
        }
    }
}

/// What one look brought.
enum Step {
    /// Something; there may be more.
    Moved,
    Nothing,
    Over,
}

/// The waits between looks.
struct Wait {
    pause: Duration,
    /// Since when nothing answers.
    silent: Option<Instant>,
    told: String,
}

impl Wait {
    fn new() -> Self {
        Self { pause: Duration::ZERO, silent: None, told: String::new() }
    }

    /// Something came: the next look is at once.
    fn moved(&mut self) {
        (self.pause, self.silent) = (Duration::ZERO, None);
    }

    fn nothing(&mut self) {
        self.silent = None;
        self.pause = (self.pause * 3 / 2).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
    }

    /// Takes a failure that may pass for what it is, until that has lasted too long.
    fn bear(&mut self, failure: Failure) -> Result<(), Failure> {
        let now = monotonic();
        if now.duration_since(*self.silent.get_or_insert(now)) >= SILENCE_MAX {
            return Err(failure);
        }
        self.tell(failure.message);
        self.pause = (self.pause * 3 / 2).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        Ok(())
    }

    /// Says it once.
    fn tell(&mut self, message: String) {
        if self.told != message {
            note(&format!("{message}; trying again"));
            self.told = message;
        }
    }

    fn sleep(&self) {
        std::thread::sleep(self.pause);
    }
}
