//! `weighbridge serve`: a daemon with REST, whose jobs run on this machine, on a Mesos cluster or nowhere.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::Context;
use super::failure::{Exit, Failure};
use super::http::DEFAULT_LISTEN;
use super::machine::{KeepArgs, Machine, MachineArgs};
use super::mesos::{self, MesosArgs};
use super::output::{Output, print, print_json};
use super::signals::Interrupts;
use crate::api::{ApiState, ServeError, Server};
use crate::driver::MesosFramework;
use crate::engine::Service;

/// Between two looks at the log and the driver.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long requests under way may take once the daemon was told to end.
const GRACE: Duration = Duration::from_secs(5);

/// How long the first view may take.
const VIEW_WAIT: Duration = Duration::from_mins(2);

pub(super) const LONG: &str = "\
Runs as a daemon with REST. It takes jobs from `submit`, runs them as processes of this machine or, \
with --mesos, as tasks of a cluster, and answers the other commands, until Ctrl-C or a signal ends it. What it has is in its store: started again on the same one it \
goes on where it was, also with what still runs.";

const EXAMPLES: &str = "\
Examples:
  weighbridge serve --store jobs                        on http://127.0.0.1:7420, which the other commands ask
  weighbridge serve --store jobs --listen 127.0.0.1:0   any free port; the first line says which
  weighbridge serve --store jobs --resources cpus:2,mem:1024
  weighbridge serve --store jobs --policy policy.json --attribute zone=a
  weighbridge serve --store jobs --keep-for 30d         drop jobs that were over for a month
  weighbridge serve --store jobs --driver none          queue and keep, run nothing
  weighbridge serve --store jobs --mesos http://m1:5050,http://m2:5050

In another terminal: weighbridge job-type create hello -- echo hello {who}
                     weighbridge submit hello --input who=world";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN, value_parser = address)]
    listen: SocketAddr,
    /// Directory of the queue's state
    #[arg(long, value_name = "DIR", default_value = ".weighbridge/serve")]
    store: PathBuf,
    /// What runs the jobs
    #[arg(long, value_enum, default_value_t)]
    driver: Driver,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    keep: KeepArgs,
    #[command(flatten)]
    mesos: MesosArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Driver {
    /// Processes of this machine
    #[default]
    Local,
    /// Nothing: jobs are queued and kept
    None,
}

/// An address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let bad = || format!("{text:?} is no address to listen on; write for instance {DEFAULT_LISTEN}");
    text.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(bad)
}

/// Why there is no server.
pub(super) fn bind_failure(error: &ServeError) -> Failure {
    let code = if matches!(error, ServeError::InUse { .. }) { "address-in-use" } else { "listen" };
    Failure::failed(code, error)
}

pub(super) fn run(args: &Args, context: Context) -> Result<Exit, Failure> {
    let policy = args.machine.policy()?;
    let mesos = args.mesos.options()?;
    let interrupts = Interrupts::listen()
        .map_err(|error| Failure::failed("signals", format_args!("could not listen for signals: {error}")))?;
    let mut machine =
        Machine::open(&args.store, &args.machine, policy, args.keep, args.mesos.has_gpu_slots())?;
    let server = Server::bind(args.listen, ApiState::new(machine.engine.clone()));
    let server = server.map_err(|error| bind_failure(&error))?;
    match (mesos, args.driver) {
        (Some(options), _) => machine.start_on_mesos(options)?,
        (None, Driver::Local) => drop(machine.start()?),
        (None, Driver::None) => machine.start_without_driver()?,
    }
    tell_ready(&machine, server.local_addr(), context.output)?;
    let watched = watch(&machine, &interrupts);
    if !server.shutdown(GRACE) {
        tracing::warn!("requests that took longer than {GRACE:?} were cut");
    }
    watched.and(machine.close()).map(|()| Exit::Done)
}

/// Says where it listens, and what the store holds.
fn tell_ready(machine: &Machine, listen: SocketAddr, output: Output) -> Result<(), Failure> {
    let view = machine.engine.fresh_view(VIEW_WAIT);
    let (version, n_jobs) = (env!("CARGO_PKG_VERSION"), view.totals.total());
    match output {
        Output::Table => print(&format!(
            "weighbridge {version} listens on http://{listen}, store {}, {n_jobs} jobs, epoch {}",
            machine.store.display(),
            view.epoch,
        )),
        Output::Json => print_json(&serde_json::json!({
            "version": version,
            "url": format!("http://{listen}"),
            "store": machine.store,
            "n_jobs": n_jobs,
            "epoch": view.epoch.0,
        })),
    }
}

/// Returns when a signal asks to end, or when the log or the cluster fails.
fn watch(machine: &Machine, interrupts: &Interrupts) -> Result<(), Failure> {
    while !interrupts.wait(LOOK_EVERY) {
        if let Some(error) = machine.service().and_then(Service::take_driver_error) {
            tracing::error!(%error, "the executor did not take something");
        }
        if let Some(error) = machine.engine.failure() {
            return Err(log_failure(&error));
        }
        if let Some(error) = machine.framework().and_then(MesosFramework::failure) {
            return Err(mesos::failure(&error));
        }
    }
    Ok(())
}

/// The log failed while something ran.
pub(super) fn log_failure(error: &crate::wal::LogError) -> Failure {
    Failure::failed("log", format_args!("the log takes nothing any more: {error}"))
        .help("make room on the disk or repair it; the same command goes on where this one stopped")
}
