//! `weighbridge supervisor`: the process that runs executions and outlives whoever started it.
//! Hidden: `run` and `serve` start it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::driver::{SupervisorCommand, SupervisorOptions, run_supervisor};

use super::failure::{Exit, Failure};

/// Its name on the command line.
pub(super) const NAME: &str = "supervisor";

#[derive(clap::Args)]
pub(super) struct Args {
    /// The store it serves
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
}

/// How to start it for `store`.
pub(super) fn command(store: &Path) -> SupervisorCommand {
    let words: [OsString; 3] = [NAME.into(), "--store".into(), store.into()];
    SupervisorCommand::this_program(words)
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    run_supervisor(&args.store, &SupervisorOptions::default())
        .map_err(|error| Failure::failed("supervisor", error))?;
    Ok(Exit::Done)
}
