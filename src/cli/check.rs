//! `weighbridge check`: everything that can be verified of a store nobody has open. The store stays as
//! it is.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Context;
use super::answer::{number, text};
use super::failure::{Exit, Failure};
use super::inspect::{fault_lines, faults_json, look_failure, quietly};
use super::output::{counted, note, printable};
use crate::clock::monotonic;
use crate::store::{CheckProgress, CheckReport};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Between two redraws on a terminal.
const DRAW_EVERY: Duration = Duration::from_millis(100);

const EXAMPLES: &str = "\
Examples:
  weighbridge check jobs                      exit code 1 where something is wrong";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Directory of the store
    #[arg(value_name = "DIR")]
    store: PathBuf,
    /// Show no progress
    #[arg(long)]
    no_progress: bool,
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let mut display = Display::new(args.no_progress);
    let report = quietly(|| crate::store::check(&args.store, |progress| display.show(progress)));
    display.finish();
    let report = report.map_err(look_failure)?;
    context.print(&answer(&args.store, &report), shown)?;
    Ok(if report.is_sound() { Exit::Done } else { Exit::Failed })
}

/// How far it is, on standard error: one line on a terminal, else a line every few seconds.
struct Display {
    bar: Option<ProgressBar>,
    is_silent: bool,
    told: Instant,
}

impl Display {
    fn new(is_silent: bool) -> Self {
        let has_bar = !is_silent && std::io::stderr().is_terminal();
        let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is right");
        let bar = has_bar.then(|| ProgressBar::no_length().with_style(style));
        Self { bar, is_silent, told: monotonic() }
    }

    fn show(&mut self, progress: CheckProgress) {
        let every = if self.bar.is_some() { DRAW_EVERY } else { LINE_EVERY };
        let now = monotonic();
        if self.is_silent || now.duration_since(self.told) < every {
            return;
        }
        self.told = now;
        let CheckProgress { step, n_done, n_all, .. } = progress;
        let text = match (n_done, n_all) {
            (0, 0) => format!("checking {step}"),
            (_, 0) => format!("checking {step}: {n_done}"),
            _ => format!("checking {step}: {n_done}/{n_all}"),
        };
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.tick();
            }
            None => note(&text),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn answer(store: &Path, report: &CheckReport) -> Value {
    let (kinds, faults) = faults_json(&report.faults);
    json!({
        "store": store.to_string_lossy(),
        "is_sound": report.is_sound(),
        "n_jobs": report.n_jobs,
        "n_segments": report.n_segments,
        "n_log_rows": report.n_log_rows,
        "n_events": report.n_events,
        "n_replayed": report.n_replayed,
        "n_faults": report.faults.n(),
        "kinds": kinds,
        "faults": faults,
    })
}

fn shown(answer: &Value) -> String {
    let n = |name: &str| number(answer, &format!("/{name}"));
    let store = printable(&text(answer, "/store"));
    let read = format!(
        "{}, {}, {} in {} of the log",
        counted(n("n_jobs"), "job"),
        counted(n("n_segments"), "segment"),
        counted(n("n_events"), "event"),
        counted(n("n_log_rows"), "row"),
    );
    if answer["is_sound"] == true {
        return format!("{store} is sound: {read}");
    }
    format!("{store} has {}: {read}\n{}", counted(n("n_faults"), "fault"), fault_lines(answer).trim_end())
}
