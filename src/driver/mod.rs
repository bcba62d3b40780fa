//! Drivers: what carries out launches, each behind the `Driver` trait of `launch`.
//!
//! `local` runs executions as processes of this machine.

#[cfg(feature = "local")]
mod local;

#[cfg(feature = "local")]
pub use local::{
    LocalDriver, LocalOptions, LocalOutputs, MachineError, RESULT_FILE, SupervisorCommand, SupervisorError,
    SupervisorOptions, machine_resources, run_supervisor, sandbox_path,
};
