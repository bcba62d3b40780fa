//! Drivers: what carries out launches, each behind the `Driver` trait of `launch`.
//!
//! `local` runs executions as processes of this machine. `mesos` is more than a driver: the framework that
//! schedules a Mesos cluster, which takes offers in and hands launches out.

#[cfg(feature = "local")]
mod local;
#[cfg(feature = "mesos")]
mod mesos;
#[cfg(any(feature = "local", feature = "mesos"))]
mod walk;

#[cfg(feature = "local")]
pub use local::{
    LocalDriver, LocalImages, LocalOptions, LocalOutputs, MachineError, RESULT_FILE, SupervisorCommand,
    SupervisorError, SupervisorOptions, machine_resources, run_supervisor, sandbox_path,
};
#[cfg(feature = "mesos")]
pub use mesos::{
    AddressError, ExecutorError, FRAMEWORK_ID_FILE, MesosContainerizer, MesosError, MesosExecutor,
    MesosFramework, MesosOptions, MesosSandboxes, MesosStatus, MesosTasks, MesosTasksError,
};
#[cfg(all(feature = "mesos", any(test, fuzzing)))]
pub(crate) use mesos::{Event, Records, Resource, Told, named_by, take, task_id};
