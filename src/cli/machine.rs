//! An engine on a store with this machine as its one node: what `run` and `serve` have in common.
//!
//! The store's lock comes first, then the supervisor, then jobs: nobody else's supervisor is spoken
//! to. Starting it does not copy this process (it is spawned, not forked), whatever the engine holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::decision::Policy;
use crate::driver::{
    LocalDriver, LocalImages, LocalOptions, LocalOutputs, MesosFramework, MesosOptions, machine_resources,
};
use crate::engine::{CloseError, Engine, Options, Service, status_sink};
use crate::limits::LOAD_ROWS_DEFAULT;
use crate::load::LoadRetention;
use crate::model::{NodeId, NodeResources, ResourceName, THOUSANDTHS};
use crate::offer::Offer;
use crate::store::{OpenError, Retention};

use super::failure::Failure;
use super::mesos::Sandboxes;
use super::{mesos, policy, recovery, supervisor};

/// The only node.
pub(super) const NODE: NodeId = NodeId(1);

/// How often load is taken down, and what the machine is said to have.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct MachineArgs {
    /// What jobs may use of this machine, in place of what it has: cpus, mem and disk in MiB, gpus,
    /// any other name
    #[arg(long, value_name = "NAME:AMOUNT,…", default_value = "", hide_default_value = true)]
    resources: NodeResources,
    /// What this machine is like, for constraints of a policy; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = attribute)]
    attribute: Vec<(String, String)>,
    /// What becomes of a job that is to run in an image, since this machine runs none
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    local_images: LocalImagesArg,
    /// How passes choose (JSON; see docs/policy.md); `weighbridge policy` prints the default
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How often the counts of pending, queued and running jobs are taken down
    #[arg(long, value_name = "LENGTH", default_value = "1h", value_parser = super::duration::duration)]
    load_period: Duration,
    /// How many rows of such counts are kept; the oldest go
    #[arg(long, value_name = "N", default_value_t = LOAD_ROWS_DEFAULT)]
    load_rows: u32,
    /// Drop such counts at that age (400d); never where it is not said
    #[arg(long, value_name = "LENGTH", value_parser = super::duration::duration)]
    load_keep_for: Option<Duration>,
    /// Thin such counts at that age, to the first of each piece of --load-thin-to; never where it is not said
    #[arg(long, value_name = "LENGTH", value_parser = super::duration::duration)]
    load_thin_after: Option<Duration>,
    /// How long such a piece is, from midnight UTC on; at most a day
    #[arg(long, value_name = "LENGTH", default_value = "1d", value_parser = super::duration::duration)]
    load_thin_to: Duration,
    /// How much gathers in memory before a checkpoint is made, in bytes; tests make it small
    #[arg(long, value_name = "BYTES", hide = true)]
    checkpoint_bytes: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum LocalImagesArg {
    /// It ends, as one that could not be started
    #[default]
    Refuse,
    /// Its command runs on the machine itself
    Ignore,
}

/// `NAME=VALUE`
fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, for instance gpu=a100".to_owned()),
    }
}

impl MachineArgs {
    /// The policy that is asked for. To be called before anything is opened.
    pub(super) fn policy(&self) -> Result<Policy, Failure> {
        policy::read(self.policy.as_deref())
    }
}

/// Which jobs that are over are kept.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub(super) struct KeepArgs {
    /// Keep jobs that are over so long after their last change, and drop them some time later (90s, 30d);
    /// for ever where it is not said
    #[arg(long, value_name = "LENGTH", value_parser = super::duration::duration)]
    keep_for: Option<Duration>,
    /// Keep so many jobs that are over, those that changed last; all where it is not said
    #[arg(long, value_name = "N")]
    keep_jobs: Option<u64>,
}

impl KeepArgs {
    fn retention(self) -> Retention {
        let mut retention = Retention::ALL;
        (retention.age, retention.jobs) = (self.keep_for, self.keep_jobs);
        retention
    }
}

/// A machine whose store is open.
pub(super) struct Machine {
    pub(super) engine: Engine,
    pub(super) store: PathBuf,
    pub(super) total: NodeResources,
    /// The node as it is declared.
    node: Offer,
    images: LocalImages,
    at_work: Option<AtWork>,
}

/// The threads that decide, and who carries out what they decide.
enum AtWork {
    Local(Service, Arc<LocalDriver>),
    Nobody(Service),
    Mesos(MesosFramework),
}

impl Machine {
    /// Opens the store, or makes it. `has_gpu_slots` is for a cluster.
    pub(super) fn open(
        store: &Path,
        args: &MachineArgs,
        policy: Policy,
        keep: KeepArgs,
        has_gpu_slots: bool,
    ) -> Result<Self, Failure> {
        let mut load = LoadRetention::ALL;
        (load.age, load.thin_after, load.thin_to) =
            (args.load_keep_for, args.load_thin_after, args.load_thin_to);
        let options = Options::default().load_period(Some(args.load_period)).load_rows(args.load_rows);
        let options = options.load_retention(load);
        let mut options = options.retention(keep.retention()).policy(policy).gpu_slots(has_gpu_slots);
        if let Some(bytes) = args.checkpoint_bytes {
            options = options.checkpoint_bytes(bytes);
        }
        let engine = recovery::open(store, options).map_err(open_failure)?;
        let store = store.canonicalize().map_err(|error| {
            Failure::failed("store", format_args!("could not find the store {}: {error}", store.display()))
        })?;
        let total = machine_resources(&store, &args.resources)
            .map_err(|error| Failure::failed("resources", error).help("state them with --resources"))?;
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut node = Offer::new(NODE, total.clone()).named(&name);
        node.attributes.extend(args.attribute.iter().cloned());
        node.gpu_slots = usize::try_from(total.get(ResourceName::GPUS).0 / THOUSANDTHS).unwrap_or(usize::MAX);
        let images = match args.local_images {
            LocalImagesArg::Refuse => LocalImages::Refuse,
            LocalImagesArg::Ignore => LocalImages::Ignore,
        };
        Ok(Self { engine, store, total, node, images, at_work: None })
    }

    /// Starts or finds the supervisor, learns what became of earlier launches, and begins to decide.
    pub(super) fn start(&mut self) -> Result<&Service, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            let log = self.store.join("supervisor.log");
            Failure::failed("executor", format_args!("could not start the executor: {error}"))
                .help(format_args!("{} may say more", log.display()))
        };
        if self.images == LocalImages::Refuse {
            warn_of_images(&self.engine);
        }
        let command = supervisor::command(&self.store);
        let sandboxes = Arc::new(LocalOutputs::of(&self.store).map_err(|error| failed(&error))?);
        self.engine.collect_outputs(sandboxes.clone());
        self.engine.read_printed_of(sandboxes);
        let sink = status_sink(&self.engine);
        let options = LocalOptions { images: self.images, ..LocalOptions::default() };
        let driver = LocalDriver::start(&self.store, command, options, sink);
        let driver = Arc::new(driver.map_err(|error| failed(&error))?);
        let service = Service::start(self.engine.clone(), driver.clone(), &self.node);
        let service = service.map_err(|error| failed(&error))?;
        self.at_work = Some(AtWork::Local(service, driver));
        Ok(self.service().expect("it was put there"))
    }

    /// Takes in, keeps and answers, and launches nothing.
    pub(super) fn start_without_driver(&mut self) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::failed("engine", error);
        let sandboxes = LocalOutputs::of(&self.store).map_err(|error| failed(&error))?;
        self.engine.read_printed_of(Arc::new(sandboxes));
        let service = Service::start_without_driver(self.engine.clone());
        let service = service.map_err(|error| failed(&error))?;
        self.at_work = Some(AtWork::Nobody(service));
        Ok(())
    }

    /// Begins to schedule a cluster; this machine runs nothing.
    pub(super) fn start_on_mesos(&mut self, options: MesosOptions) -> Result<(), Failure> {
        self.engine.read_printed_of(Arc::new(Sandboxes::of(&self.store, options.clone())));
        let framework = MesosFramework::start(self.engine.clone(), &self.store, options);
        self.at_work = Some(AtWork::Mesos(framework.map_err(|error| mesos::failure(&error))?));
        Ok(())
    }

    /// The threads that decide, once started.
    pub(super) fn service(&self) -> Option<&Service> {
        match self.at_work.as_ref()? {
            AtWork::Local(service, _) | AtWork::Nobody(service) => Some(service),
            AtWork::Mesos(_) => None,
        }
    }

    /// The framework, once started.
    pub(super) fn framework(&self) -> Option<&MesosFramework> {
        match self.at_work.as_ref()? {
            AtWork::Mesos(framework) => Some(framework),
            AtWork::Local(..) | AtWork::Nobody(_) => None,
        }
    }

    /// Decides nothing any more, and leaves what runs to the supervisor or the cluster; a supervisor with
    /// nothing to do ends.
    pub(super) fn stop(&mut self) {
        match self.at_work.take() {
            None => {}
            Some(AtWork::Nobody(service)) => service.stop(),
            Some(AtWork::Mesos(framework)) => framework.stop(),
            Some(AtWork::Local(service, driver)) => {
                service.stop();
                if let Err(error) = driver.close() {
                    tracing::warn!(%error, "the supervisor was left to itself");
                }
            }
        }
    }

    /// Stops, writes the state and closes the store.
    pub(super) fn close(mut self) -> Result<(), Failure> {
        self.stop();
        self.engine.close().map_err(|error| close_failure(&error))
    }
}

/// Says which types have jobs that end at once, since this machine runs no images.
fn warn_of_images(engine: &Engine) {
    let view = engine.view();
    let kinds = view.types.iter().map(|kind| &kind.job_type);
    let mut boxed = kinds.filter(|kind| kind.spec.is_active && view.catalog.image(kind).is_some()).peekable();
    let Some(first) = boxed.peek().map(|kind| format!("{}:{}", kind.spec.name, kind.spec.version)) else {
        return;
    };
    let n = boxed.count();
    tracing::warn!(
        "job types with an image: {n}, {first} among them; this machine runs none, and their jobs end as not-started: \
         `job-type edit --image none` takes an image away, and --local-images ignore runs commands without"
    );
}

/// A stable word for why a store does not open.
pub(super) fn open_code(error: &OpenError) -> &'static str {
    match error {
        OpenError::Locked { .. } => "store-in-use",
        OpenError::Damaged { .. } | OpenError::Mixed => "store-damaged",
        OpenError::Format { .. } => "store-format",
        _ => "store",
    }
}

pub(super) fn open_failure(error: OpenError) -> Failure {
    let code = open_code(&error);
    let help = match &error {
        OpenError::Locked { owner, .. } => Some(in_use_help(*owner)),
        OpenError::Io { .. } => Some("give another directory with --store".to_owned()),
        _ => None,
    };
    Failure { help, ..Failure::failed(code, error) }
}

/// What to do where another process has the store.
pub(super) fn in_use_help(owner: Option<u32>) -> String {
    match owner {
        Some(pid) => format!(
            "one process at a time uses a store: wait until process {pid} ends, end it with `kill {pid}`, or \
             give another directory with --store"
        ),
        None => "one process at a time uses a store; give another directory with --store".to_owned(),
    }
}

pub(super) fn close_failure(error: &CloseError) -> Failure {
    Failure::failed("store", format_args!("the store was not closed well: {error}"))
        .help("what was answered is on disk; the same command goes on from there")
}
