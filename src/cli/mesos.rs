//! What `serve` is told of a Mesos cluster.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::Failure;
use crate::driver::{
    LocalOutputs, MesosContainerizer, MesosError, MesosExecutor, MesosOptions, MesosSandboxes, MesosTasks,
    sandbox_path,
};
use crate::launch::{OutputStream, Piece, PieceError, PrintedSource, Ran, ReadFrom};

/// Bytes of a file with a secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Bytes of a file that describes an executor, or what tasks have.
const DESCRIPTION_BYTES_MAX: u64 = 1 << 20;

/// Settings of the framework; docs/mesos.md says more of each.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Mesos")]
pub(super) struct MesosArgs {
    /// Run jobs as tasks of a Mesos cluster: its masters, by commas; which of them leads is found
    #[arg(long, value_name = "URL,…", value_parser = MesosOptions::new, conflicts_with_all = ["driver", "resources", "attribute", "local_images"])]
    mesos: Option<MesosOptions>,
    /// Name of the framework, as the master shows it
    #[arg(long, value_name = "NAME", requires = "mesos", default_value = "weighbridge")]
    mesos_name: String,
    /// User that tasks run as; who runs this, where it is not said
    #[arg(long, value_name = "USER", requires = "mesos")]
    mesos_user: Option<String>,
    /// Roles whose resources are offered, by commas
    #[arg(long, value_name = "ROLE,…", requires = "mesos", default_value = "*", value_delimiter = ',')]
    mesos_role: Vec<String>,
    /// Name for a master that asks who it is
    #[arg(long, value_name = "NAME", requires_all = ["mesos", "mesos_secret_file"])]
    mesos_principal: Option<String>,
    /// File with the secret for it
    #[arg(long, value_name = "FILE", requires_all = ["mesos", "mesos_principal"])]
    mesos_secret_file: Option<PathBuf>,
    /// Address that the master shows to people
    #[arg(long, value_name = "URL", requires = "mesos")]
    mesos_webui_url: Option<String>,
    /// How long tasks run on while no daemon is subscribed; then the master ends them
    #[arg(long, value_name = "LENGTH", requires = "mesos", default_value = "7d", value_parser = super::duration::duration)]
    mesos_failover: Duration,
    /// Let tasks end with an agent that is restarted
    #[arg(long, requires = "mesos")]
    mesos_no_checkpoint: bool,
    /// Take offers of agents with graphics processors; without a value, each has a number that its execution is told
    #[arg(long, value_name = "HOW", requires = "mesos", num_args = 0..=1, default_missing_value = "slots")]
    mesos_gpus: Option<Gpus>,
    /// How long the master keeps to itself what nothing can use, unless something new comes to run
    #[arg(long, value_name = "LENGTH", requires = "mesos", default_value = "5s", value_parser = super::duration::duration)]
    mesos_refuse: Duration,
    /// How long a task may be on an agent that does not answer before it runs anew elsewhere
    #[arg(long, value_name = "LENGTH", requires = "mesos", default_value = "5m", value_parser = super::duration::duration)]
    mesos_unreachable: Duration,
    /// How long a task that is to end may take before it is ended by force
    #[arg(long, value_name = "LENGTH", requires = "mesos", default_value = "5s", value_parser = super::duration::duration)]
    mesos_kill_grace: Duration,
    /// How long before its maintenance nothing new is started on an agent
    #[arg(long, value_name = "LENGTH", requires = "mesos", default_value = "5m", value_parser = super::duration::duration)]
    mesos_leave_before: Duration,
    /// How long what a job leaves is looked for on an agent that does not answer or does not have it; then the job runs anew
    #[arg(long, value_name = "LENGTH", requires = "mesos", default_value = "1m", value_parser = super::duration::duration)]
    mesos_outputs_wait: Duration,
    /// File with an executor of one's own, in JSON: one on each agent runs all tasks there
    #[arg(long, value_name = "FILE", requires = "mesos")]
    mesos_executor: Option<PathBuf>,
    /// What runs tasks in the images of their job types
    #[arg(
        long,
        value_name = "WHICH",
        requires = "mesos",
        conflicts_with = "mesos_executor",
        value_enum,
        default_value_t
    )]
    mesos_containerizer: Containerizer,
    /// File with what tasks of job types have in place of what those say: files to fetch and containers, in JSON
    #[arg(long, value_name = "FILE", requires = "mesos", conflicts_with = "mesos_executor")]
    mesos_tasks: Option<PathBuf>,
}

/// How graphics processors are given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Gpus {
    /// One by one, as `CUDA_VISIBLE_DEVICES` tells
    Slots,
    /// So many, for agents that hide all others from a task
    Amount,
}

/// What runs images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Containerizer {
    /// Mesos itself, which fetches Docker's images
    #[default]
    Mesos,
    /// Docker
    Docker,
}

impl MesosArgs {
    /// Whether the graphics processors of nodes are numbered.
    pub(super) fn has_gpu_slots(&self) -> bool {
        self.mesos_gpus == Some(Gpus::Slots)
    }

    /// What is asked for; none where it is no cluster.
    pub(super) fn options(&self) -> Result<Option<MesosOptions>, Failure> {
        let Some(mut options) = self.mesos.clone() else { return Ok(None) };
        options.name.clone_from(&self.mesos_name);
        if let Some(user) = &self.mesos_user {
            options.user.clone_from(user);
        }
        options.roles.clone_from(&self.mesos_role);
        options.principal.clone_from(&self.mesos_principal);
        options.secret = self.mesos_secret_file.as_deref().map(secret).transpose()?;
        options.webui_url.clone_from(&self.mesos_webui_url);
        options.failover = self.mesos_failover;
        options.checkpoint = !self.mesos_no_checkpoint;
        options.gpus = self.mesos_gpus.is_some();
        options.refuse = self.mesos_refuse;
        options.unreachable = self.mesos_unreachable;
        options.kill_grace = self.mesos_kill_grace;
        options.leave_before = self.mesos_leave_before;
        options.outputs_wait = self.mesos_outputs_wait;
        let executor = self.mesos_executor.as_deref();
        options.executor =
            executor.map(|path| described("executor", path, MesosExecutor::parse)).transpose()?;
        options.containerizer = match self.mesos_containerizer {
            Containerizer::Mesos => MesosContainerizer::Mesos,
            Containerizer::Docker => MesosContainerizer::Docker,
        };
        let tasks = self.mesos_tasks.as_deref();
        options.tasks = tasks.map(|path| described("tasks", path, MesosTasks::parse)).transpose()?;
        Ok(Some(options))
    }
}

/// What tasks print is with their agents; what ran on this machine before the store was a cluster's, here.
pub(super) struct Sandboxes {
    store: PathBuf,
    here: Option<LocalOutputs>,
    there: MesosSandboxes,
}

impl Sandboxes {
    pub(super) fn of(store: &Path, options: MesosOptions) -> Self {
        let there = MesosSandboxes::of(store, options);
        Self { store: store.to_owned(), here: LocalOutputs::of(store).ok(), there }
    }
}

impl PrintedSource for Sandboxes {
    fn read(
        &self,
        ran: &Ran,
        stream: OutputStream,
        from: ReadFrom,
        most: usize,
    ) -> Result<Piece, PieceError> {
        let is_here = sandbox_path(&self.store, ran.job, ran.exe_num, ran.name.number).is_dir();
        match self.here.as_ref().filter(|_| is_here) {
            Some(here) => here.read(ran, stream, from, most),
            None => self.there.read(ran, stream, from, most),
        }
    }
}

/// What is in a file of at most so many bytes.
fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        Err(io::Error::other(format!("it has more than {most} bytes")))
    } else {
        Ok(text)
    }
}

/// The first line of a file.
fn secret(path: &Path) -> Result<String, Failure> {
    let unreadable = |cause: &dyn std::fmt::Display| {
        Failure::failed("secret", format_args!("could not read the secret in {}: {cause}", path.display()))
    };
    let text = read(path, SECRET_BYTES_MAX).map_err(|error| unreadable(&error))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(unreadable(&"it is to hold one line")),
    }
}

/// What a file in JSON describes.
fn described<T, E: std::fmt::Display>(
    what: &'static str,
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    let unreadable = |cause: &dyn std::fmt::Display| {
        Failure::failed(what, format_args!("could not read the {what} in {}: {cause}", path.display()))
    };
    let text = read(path, DESCRIPTION_BYTES_MAX).map_err(|error| unreadable(&error))?;
    parse(&text).map_err(|error| unreadable(&error))
}

/// The framework is none any more, and the daemon ends.
pub(super) fn failure(error: &MesosError) -> Failure {
    let failure = |code| Failure::failed(code, error);
    match error {
        MesosError::Refused { reason } if reason.to_lowercase().contains("principal") => failure("mesos-refused")
            .help("a framework keeps the principal it began with: give it, or begin anew with another store"),
        MesosError::Refused { .. } => failure("mesos-refused").help(
            "a framework that another one has replaced leaves it the cluster; for one that was removed, move \
             mesos-framework-id out of the store, and it starts anew: what ran is gone and runs again",
        ),
        MesosError::ForeignTask { .. } => failure("mesos-foreign-task")
            .help("put the newest copy of the store back; or tear that framework down, then move mesos-framework-id out"),
        _ => failure("mesos"),
    }
}
