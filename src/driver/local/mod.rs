//! Executions as processes of this machine.
//!
//! Two processes of the same binary share the work. The **supervisor** starts executions, waits for
//! them and writes down their results; it is small, so starting processes stays cheap, and it
//! outlives the daemon. The **client**, [`LocalDriver`], lives in the daemon and speaks to it over a
//! socket in the store's directory. Whoever comes back after a crash finds the other by that
//! directory alone:
//!
//! ```text
//! STORE/supervisor.lock      held by the living supervisor
//! STORE/supervisor.sock      where it listens
//! STORE/supervisor.log       what it has to say to people
//! STORE/sandbox/7x1.1/       job 7, its execution 1, launch 1: the working directory of the command
//!     stdout  stderr  weighbridge-result.json
//!     seed.outputs.json  ...     outputs, where the command leaves any
//! ```
//!
//! The result is missing while the execution runs. A sandbox without a result and without a living
//! supervisor is therefore an execution that was lost.
//!
//! L1  A launch name is started at most once: its sandbox is made before its process, and a sandbox
//!     that is there already is never started in.
//! L2  A result is on disk before its status is sent, and is told again after each reconnect until
//!     it is acknowledged.
//! L3  A supervisor answers a new connection only after it has read the one before to its end. So a
//!     launch it does not know and that has no sandbox never starts: `NeverStarted` is final.
//! L4  A new supervisor ends what an old one left running before it answers anybody.
//! L5  Signals go to process groups whose leader has not been reaped, to children that have not, and
//!     to processes held by a descriptor, so never to a stranger.
//! L6  With the main process of an execution its group ends, and what has left the group but keeps
//!     the execution's environment: at once where the kernel has made it a child of the supervisor,
//!     else when it does.
//!
//! What an execution leaves is read by the daemon when it hears of the end ([`LocalOutputs`]): from the
//! sandbox, so that it is found however often daemon and supervisor are killed.
//!
//! What this cannot see: a process that leaves its group *and* clears its environment, or whose
//! environment this user may not read (a setuid program), outlives its execution, as does one that
//! was just replacing its program when it was looked at, until the next look. After a power failure,
//! sandboxes may be missing that were there: they are not synced, and then an execution counts as
//! never started.
//!
//! Sandboxes are never deleted; that is for the owner of the store to do. Without its sandbox an
//! execution that nobody remembers counts as never started, so only those of jobs that are over may
//! go.

mod adopted;
mod child;
mod client;
mod log;
mod machine;
mod outbox;
mod outputs;
mod printed;
mod protocol;
mod reaper;
mod sandbox;
mod socket;
mod strays;
mod supervisor;
mod sys;
mod table;
#[cfg(test)]
mod tests;

pub use client::{LocalDriver, LocalImages, LocalOptions, SupervisorCommand};
pub use machine::{MachineError, machine_resources};
pub use outputs::LocalOutputs;
pub use sandbox::{RESULT_FILE, sandbox_path};
pub use supervisor::{SupervisorError, SupervisorOptions, run_supervisor};
