//! A framework as whoever started it sees it: to be looked at, and stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::framework::Loop;
use super::id_file::IdFile;
use super::options::MesosOptions;
use crate::engine::{Engine, Service, ServiceError};
use crate::sync::Mutex;

/// How long an earlier service's last decisions are given to become durable.
const OUTBOX_WAIT: Duration = Duration::from_secs(10);

/// Why there is no framework, or none any more. The daemon ends with it; what runs goes on.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MesosError {
    /// The id of the framework cannot be kept or read.
    #[error("{}: {cause}", path.display())]
    Id {
        /// Where it is kept.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The master does not take this framework, or not any more.
    #[error("the master refuses: {reason}")]
    Refused {
        /// In the words of the master.
        reason: String,
    },
    /// The cluster runs what this store never launched: it is an older copy, or there is another one.
    #[error(
        "task {task} of this framework was launched by a newer state of this store; is it an older copy? Nothing is \
         started or ended"
    )]
    ForeignTask {
        /// The first such task.
        task: String,
    },
    /// A thread cannot be had, or what an earlier engine decided does not reach the disk.
    #[error("{reason}")]
    Start {
        /// What the system says.
        reason: String,
    },
}

/// How it stands with the master, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MesosStatus {
    /// The master it is subscribed at, if any.
    pub master: Option<String>,
    /// The framework's id, once a master gave one.
    pub framework_id: Option<String>,
    /// How often it was subscribed.
    pub n_subscriptions: u64,
}

/// What the thread tells whoever holds the handle.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) failure: Mutex<Option<MesosError>>,
    pub(super) status: Mutex<MesosStatus>,
}

/// A running framework. Stop it, or drop it, before the engine is closed.
pub struct MesosFramework {
    service: Service,
    shared: Arc<Shared>,
}

impl MesosFramework {
    /// Starts to subscribe, and to decide once that went well. `store` is the directory of the engine.
    ///
    /// # Errors
    /// Where the id that is kept there cannot be read, the system gives no thread, or what an earlier service decided
    /// is not on disk within ten seconds, which are waited for.
    pub fn start(engine: Engine, store: &Path, options: MesosOptions) -> Result<Self, MesosError> {
        let file = IdFile::in_store(store);
        let framework_id = file.read().map_err(|error| id_error(&file, &error))?;
        // What an earlier service left was decided, but never reached a master: it is settled by its name like
        // everything else on record, and must not be carried out besides.
        if !engine.settle(OUTBOX_WAIT) {
            let reason = "could not bring the launches on record to the disk".to_owned();
            return Err(MesosError::Start { reason });
        }
        drop(engine.outgoing(Duration::ZERO));
        let shared = Arc::new(Shared::default());
        shared.status.lock().framework_id.clone_from(&framework_id);
        let told = shared.clone();
        let service = Service::start_with(engine, "weighbridge-mesos", move |engine, is_stopped| {
            let _guard = Broken(&told);
            let mut this = Loop::new(engine, options, file, framework_id, &told);
            if let Err(error) = this.run(is_stopped) {
                *told.failure.lock() = Some(error);
            }
            told.status.lock().master = None;
        });
        match service {
            Ok(service) => Ok(Self { service, shared }),
            Err(ServiceError::Driver(error)) => Err(MesosError::Start { reason: error.to_string() }),
            Err(ServiceError::Thread(error)) => Err(MesosError::Start { reason: error.to_string() }),
        }
    }

    /// Why nothing is decided any more, if so.
    pub fn failure(&self) -> Option<MesosError> {
        self.shared.failure.lock().clone()
    }

    /// How it stands with the master.
    pub fn status(&self) -> MesosStatus {
        self.shared.status.lock().clone()
    }

    /// Decides nothing any more and waits for the threads. What runs goes on, for as long as the options say.
    pub fn stop(self) {
        self.service.stop();
    }
}

/// A thread that breaks says so, where somebody looks.
struct Broken<'s>(&'s Shared);

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the thread of the framework broke; this is a bug".to_owned();
            *self.0.failure.lock() = Some(MesosError::Start { reason });
        }
    }
}

pub(super) fn id_error(file: &IdFile, error: &std::io::Error) -> MesosError {
    MesosError::Id { path: file.path().to_owned(), cause: error.to_string() }
}
