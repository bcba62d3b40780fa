//! `--fresh`: sets the store of an earlier run aside, so that a new one begins.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::driver::{LocalDriver, LocalOptions};
use crate::store::StoreFiles;

use super::super::failure::Failure;
use super::super::machine::in_use_help;
use super::super::supervisor;

/// Held by a living supervisor.
const SUPERVISOR_LOCK: &str = "supervisor.lock";

/// Where executions leave their files: who made it may have left executions too.
const SANDBOXES: &str = "sandbox";

/// Names that are tried for one second.
const ASIDE_MAX: u32 = 1_000;

/// Moves what is at `store` to `<store>.old-<time>`; where to, if there was something.
///
/// # Errors
/// Where a process uses it, or executions still run there: they would lose their directory.
pub(super) fn set_aside(store: &Path) -> Result<Option<PathBuf>, Failure> {
    let files = StoreFiles::new(store);
    if !files.is_there() {
        return Ok(None);
    }
    let io = |action: &str, error: std::io::Error| {
        Failure::failed("store", format_args!("could not {action} {}: {error}", store.display()))
    };
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(files.lock());
    let lock = lock.map_err(|error| io("open the lock of", error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let owner = std::fs::read_to_string(files.lock()).ok().and_then(|pid| pid.trim().parse().ok());
            let message = format!("the store {} is in use", store.display());
            return Err(Failure::failed("store-in-use", message).help(in_use_help(owner)));
        }
        Err(TryLockError::Error(error)) => return Err(io("lock", error)),
    }
    end_supervisor(store)?;
    let aside = name_aside(store);
    std::fs::rename(store, &aside).map_err(|error| io("move", error))?;
    Ok(Some(aside))
}

/// Tells an idle supervisor to end. Where there is none, one is started for it: what a killed one
/// left running would else write where the new run writes, and a new one ends that first.
fn end_supervisor(store: &Path) -> Result<(), Failure> {
    if supervisor_of(store).is_none() && !store.join(SANDBOXES).is_dir() {
        return Ok(());
    }
    let sink = Arc::new(drop);
    let driver = LocalDriver::start(store, supervisor::command(store), LocalOptions::default(), sink);
    let closed = driver.and_then(|driver| driver.close());
    match (supervisor_of(store), closed) {
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(Failure::failed(
            "executor",
            format_args!("could not make sure that nothing of the earlier run still runs: {error}"),
        )
        .help(format_args!(
            "{} may say more; the same command tries again",
            store.join("supervisor.log").display()
        ))),
        (Some(pid), Ok(())) => Err(Failure::failed(
            "still-running",
            format_args!("executions of the earlier run still run under its supervisor, process {pid}"),
        )
        .help(format_args!("wait until they end, or end them with `kill {pid}`"))),
        (Some(pid), Err(error)) => Err(Failure::failed(
            "executor",
            format_args!("the supervisor of the earlier run, process {pid}, does not end: {error}"),
        )),
    }
}

/// The process that supervises `store` now.
fn supervisor_of(store: &Path) -> Option<String> {
    let path = store.join(SUPERVISOR_LOCK);
    let lock = File::open(&path).ok()?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Some(std::fs::read_to_string(path).ok()?.trim().to_owned()),
        _ => None,
    }
}

fn name_aside(store: &Path) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |n: u32| {
        let mut name = store.as_os_str().to_owned();
        name.push(if n == 0 { format!(".old-{now}") } else { format!(".old-{now}-{n}") });
        PathBuf::from(name)
    };
    // Several in one second are numbered; a rename over an empty directory would do no harm either.
    (0..ASIDE_MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(ASIDE_MAX))
}
