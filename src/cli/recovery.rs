//! Opens the store of a daemon or a run, and says how far that is where it takes long.
//!
//! A thread of its own says it, so that something is said also while one step takes long; it ends when the
//! store is open, or does not open.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::output::{counted, human};
use crate::clock::monotonic;
use crate::engine::{Engine, Options};
use crate::store::{OpenError, Recovery};
use crate::sync::Mutex;

/// Until something is said, and then between two lines.
const EVERY: Duration = Duration::from_secs(1);

/// What is said to the log by default: the level of this file's lines.
pub(super) const SHOWN: &str = "weighbridge::cli::recovery=info";

/// Opens a store. What it took is said where something was said before.
pub(super) fn open(store: &Path, options: Options) -> Result<Engine, OpenError> {
    let begun = monotonic();
    let watch = Watch::start(EVERY, |at| tracing::info!("opening the store: {}", text(at)));
    let engine = Engine::open(store, options.on_recovery(watch.ear()));
    let n_said = watch.end();
    let engine = engine?;
    let took = human(monotonic().duration_since(begun));
    let n_jobs = counted(engine.view().totals.total(), "job");
    let n_events = counted(engine.n_replayed(), "event");
    let line = format!("the store is open after {took}: {n_jobs}, {n_events} applied from the log");
    if n_said > 0 {
        tracing::info!("{line}");
    } else {
        tracing::debug!("{line}");
    }
    Ok(engine)
}

fn text(at: Option<Recovery>) -> String {
    at.map_or_else(|| "opening its files".to_owned(), |at| at.to_string())
}

/// The thread that says how far it is.
struct Watch {
    at: Arc<Mutex<Option<Recovery>>>,
    /// Ends it where it is dropped.
    end: mpsc::Sender<()>,
    /// How often it said something. None where the system gives no thread: then nothing is said.
    thread: Option<JoinHandle<u64>>,
}

impl Watch {
    fn start(every: Duration, say: impl Fn(Option<Recovery>) + Send + 'static) -> Self {
        let at = Arc::<Mutex<Option<Recovery>>>::default();
        let (end, ended) = mpsc::channel();
        let seen = at.clone();
        let watch = move || {
            let mut n_said = 0;
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let now = *seen.lock();
                say(now);
                n_said += 1;
            }
            n_said
        };
        let thread = Builder::new().name("recovery".to_owned()).spawn(watch).ok();
        Self { at, end, thread }
    }

    /// What hears of each step.
    fn ear(&self) -> impl Fn(Recovery) + Send + Sync + 'static {
        let at = self.at.clone();
        move |now| *at.lock() = Some(now)
    }

    /// Nothing more is said. How often something was.
    fn end(self) -> u64 {
        drop(self.end);
        self.thread.and_then(|thread| thread.join().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    #[test]
    fn how_far_it_is_is_said_again_and_again_until_the_store_is_open() {
        let (said, heard) = mpsc::channel();
        let watch = Watch::start(Duration::from_millis(1), move |at| _ = said.send(at));
        let next = || heard.recv_timeout(PATIENCE).expect("it says something");
        assert_eq!(text(next()), "opening its files");
        let told = Arc::<Mutex<Vec<Recovery>>>::default();
        let (ear, all) = (watch.ear(), told.clone());
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options::default().on_recovery(move |at| {
            all.lock().push(at);
            ear(at);
        });
        let engine = Engine::open(directory.path(), options).expect("a new store");
        let last = told.lock().last().copied();
        while next() != last {}
        assert_eq!(text(next()), "reading the log, 0 of 0");
        assert!(watch.end() >= 3);
        // It has let go of what it says it to.
        while heard.recv_timeout(PATIENCE).is_ok() {}
        engine.close().expect("closed");
    }

    #[test]
    fn a_store_that_opens_at_once_is_not_talked_about() {
        let watch = Watch::start(PATIENCE, |_| panic!("nothing was long"));
        assert_eq!(watch.end(), 0);
    }
}
