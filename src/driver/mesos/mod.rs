//! A framework that schedules a Mesos cluster, over the scheduler's HTTP API (v1) in JSON.
//!
//! ```text
//!   master ──events──▶ session (a thread: http, recordio, event) ──▶ framework (a thread) ◀──▶ engine
//!    ▲ │                                                                 │  offers, statuses in;
//!    │ └──answers──▶ calls (a thread)                                     │  decisions out once durable
//!    └──────────────calls, several at a time (call, calls)────────────────┘
//! ```
//!
//! Beside them, whoever wants to see what tasks print asks the agents (`sandboxes`, `hosts`, `agents`, `ask`), from threads of
//! its own. What tasks left is looked for in the same way by a few threads (`outputs`, `looks`, `left`) before their ends go
//! on record.
//!
//! What is always so stands in `framework`; what each setting does and what happens when something fails, in
//! docs/mesos.md.

mod address;
mod agents;
mod ask;
mod backoff;
mod base64;
mod call;
mod calls;
mod event;
mod executor;
mod extras;
mod figures;
mod framework;
mod handle;
mod hosts;
mod http;
mod id_file;
mod inputs;
mod left;
mod looks;
mod offers;
mod options;
#[cfg(test)]
mod order_tests;
mod outputs;
mod recordio;
mod refusing;
mod reported;
mod resource;
mod sandboxes;
mod session;
mod status;
mod task;
mod tasks;
mod totals;

pub use address::AddressError;
#[cfg(any(test, fuzzing))]
pub(crate) use event::Event;
pub use executor::{ExecutorError, MesosExecutor};
pub use extras::{MesosContainerizer, MesosTasks, MesosTasksError};
pub use handle::{MesosError, MesosFramework, MesosStatus};
pub use id_file::FRAMEWORK_ID_FILE;
pub use options::MesosOptions;
#[cfg(any(test, fuzzing))]
pub(crate) use recordio::Records;
#[cfg(any(test, fuzzing))]
pub(crate) use resource::{Resource, take};
pub use sandboxes::MesosSandboxes;
#[cfg(any(test, fuzzing))]
pub(crate) use status::{Told, named_by, task_id};
