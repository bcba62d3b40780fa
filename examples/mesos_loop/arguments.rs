//! What the example is told, and what it tells.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) type Anything<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) const HELP: &str = "\
Runs jobs as tasks of a Mesos cluster until all are over.

  mesos_loop [--master URL] [--store DIR] [--jobs N] [--sleep S]

  --master URL  of the leading master (http://127.0.0.1:5050)
  --store DIR   of the engine; a run that was killed goes on from it. Without it a temporary one is made, and
                removed again
  --jobs N      how many, each on half a core (100)
  --sleep S     seconds that each of them sleeps (0.2)

Exit code: 0 when all completed; 1 when not, or the master or the store failed; 2 for a wrong call.
";

/// See [`HELP`].
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) master: String,
    pub(crate) store: PathBuf,
    pub(crate) n_jobs: u32,
    /// As `sleep` takes it.
    pub(crate) sleep: String,
}

impl Arguments {
    /// What the words ask for, with `store` where they name none; `None`: for help.
    fn parse(mut words: impl Iterator<Item = String>, store: &Path) -> Result<Option<Self>, String> {
        let master = "http://127.0.0.1:5050".into();
        let mut found = Self { master, store: store.into(), n_jobs: 100, sleep: "0.2".into() };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--master" => found.master = value()?,
                "--store" => found.store = value()?.into(),
                "--jobs" => {
                    let text = value()?;
                    found.n_jobs = text.parse().map_err(|error| format!("--jobs {text:?}: {error}"))?;
                }
                "--sleep" => found.sleep = value()?,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("no option {word:?}; --help lists them")),
            }
        }
        Ok(Some(found))
    }
}

/// What happened in one run.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) n_jobs: u64,
    pub(crate) n_completed: u64,
    pub(crate) took: Duration,
    pub(crate) n_offers: usize,
    pub(crate) n_picks: usize,
    /// Launches that never ran and went back to their places.
    pub(crate) n_refused: u64,
    /// How many launches were their execution's first, second and so on.
    pub(crate) launches: BTreeMap<u32, usize>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_jobs, n_completed, n_offers, n_picks, n_refused, launches, took } = self;
        write!(f, "{n_completed} of {n_jobs} jobs done in {:.1} s: ", took.as_secs_f64())?;
        write!(f, "{n_offers} offers, {n_picks} picks, {n_refused} refused, launches by number:")?;
        launches.iter().try_for_each(|(number, n)| write!(f, " {n} x {number}"))
    }
}

/// Does what the command line says; an error comes with its exit code.
fn told(run: impl Fn(&Arguments) -> Anything<Summary>) -> Result<ExitCode, (u8, String)> {
    let temporary = tempfile::tempdir().map_err(|error| (1, format!("no temporary directory: {error}")))?;
    let arguments = Arguments::parse(std::env::args().skip(1), temporary.path());
    let Some(arguments) = arguments.map_err(|error| (2, error))? else {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let summary = run(&arguments).map_err(|error| (1, error.to_string()))?;
    println!("{summary}");
    Ok(ExitCode::from(u8::from(summary.n_completed < summary.n_jobs)))
}

/// The whole program around `run`.
pub(crate) fn main(run: impl Fn(&Arguments) -> Anything<Summary>) -> ExitCode {
    told(run).unwrap_or_else(|(code, error)| {
        eprintln!("error: {error}");
        ExitCode::from(code)
    })
}
