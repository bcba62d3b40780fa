//! How the framework is set up.

use std::time::Duration;

use super::address::{Address, AddressError};
use super::executor::MesosExecutor;
use super::extras::{MesosContainerizer, MesosTasks};

/// How weighbridge is a framework of a Mesos cluster.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MesosOptions {
    pub(super) masters: Vec<Address>,
    /// The framework's name, as the master shows it. Default: `weighbridge`.
    pub name: String,
    /// As whom tasks run. Default: `$USER`, else `root`.
    pub user: String,
    /// The roles whose resources are offered. Default: `*`.
    pub roles: Vec<String>,
    /// By whose name it is known to a master that asks for one.
    pub principal: Option<String>,
    /// The secret that goes with it; nothing without a principal.
    pub secret: Option<String>,
    /// Where people find more, as the master shows it.
    pub webui_url: Option<String>,
    /// How long tasks run on while no daemon is subscribed. Default: 7 days.
    pub failover: Duration,
    /// Whether tasks outlive an agent that is restarted. Default: they do.
    pub checkpoint: bool,
    /// Whether offers of agents with graphics processors are wanted.
    pub gpus: bool,
    /// How long resources that nothing can use are not offered again, unless there is something new to run. Default:
    /// 5 s.
    pub refuse: Duration,
    /// How long a task may be on an agent that does not answer before it counts as lost. Default: 5 min.
    pub unreachable: Duration,
    /// How long a task that is to end may take before it is ended by force. Default: 5 s.
    pub kill_grace: Duration,
    /// How long before its maintenance nothing new is started on an agent. Default: 5 min.
    pub leave_before: Duration,
    /// How long what a task left is looked for, where its agent does not answer or has no sandbox of it, before it
    /// counts as lost. Default: 1 min.
    pub outputs_wait: Duration,
    /// What runs the tasks; else Mesos' own executor does, one for each.
    pub executor: Option<MesosExecutor>,
    /// What runs tasks in the images of their job types.
    pub containerizer: MesosContainerizer,
    /// What tasks have in place of what their job types say; not with an executor of one's own.
    pub tasks: Option<MesosTasks>,
}

impl MesosOptions {
    /// At one of these masters, by commas: `http://HOST:PORT`, `HOST:PORT` or `HOST`.
    ///
    /// # Errors
    /// Where one of them is no address.
    pub fn new(masters: &str) -> Result<Self, AddressError> {
        Ok(Self {
            masters: masters.split(',').map(str::parse).collect::<Result<_, _>>()?,
            name: "weighbridge".to_owned(),
            user: std::env::var("USER").unwrap_or_else(|_| "root".to_owned()),
            roles: vec!["*".to_owned()],
            principal: None,
            secret: None,
            webui_url: None,
            failover: Duration::from_hours(7 * 24),
            checkpoint: true,
            gpus: false,
            refuse: Duration::from_secs(5),
            unreachable: Duration::from_mins(5),
            kill_grace: Duration::from_secs(5),
            leave_before: Duration::from_mins(5),
            outputs_wait: Duration::from_mins(1),
            executor: None,
            containerizer: MesosContainerizer::default(),
            tasks: None,
        })
    }
}
