//! Outputs that are looked for rather than handed in, when a driver says that an execution ended well.
//!
//! Nothing is looked for under the core's lock. The end is taken up with what was found in one command, so a crash
//! in between leaves the launch as it ran: its driver tells the end again, and what it left is found again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::handle::StatusOutcome;
use super::shell::Engine;
use super::ticket::Ticket;
use crate::intake::IntakeError;
use crate::launch::{Left, LeftError, OutputSource, Ran, StatusUpdate, TaskState};
use crate::model::{Interface, LaunchName, cluster_id};

/// Between two tries to put an end on record, where the disk of the store is full.
const RETRY: Duration = Duration::from_millis(10);

impl Engine {
    /// Says where to look for what executions leave. From then on a launch that a driver tells the good end of,
    /// and whose job type declares outputs, gives what is found there. Say it before there is a driver:
    /// what ends before gives nothing.
    ///
    /// What is declared as required and is not there makes the execution fail, as does what is of another type or
    /// more than is kept. Ends that are handed in with [`Engine::status`] or
    /// [`Engine::status_with_output`](Engine::status_with_output) are taken as they come.
    pub fn collect_outputs(&self, source: Arc<dyn OutputSource>) {
        *self.0.output_source.lock() = Some(source);
    }

    /// The launch and its declared outputs, where it runs and its job type declares some: what to look for, and
    /// where, when its end comes.
    ///
    /// No wait for the disk. Cost: a lock, and a copy of the interface's outputs.
    pub fn leaves(&self, name: LaunchName) -> Option<(Ran, Interface)> {
        let owned = self.0.enter();
        let (job, exe_num, manifest) = owned.core.declares_outputs(name)?;
        let node = owned.core.state.running.get(&name.exe).map(|running| running.node);
        let node = node.and_then(|node| owned.core.record_of(node)).map(|record| record.hostname);
        let cluster_id = cluster_id(self.framework(), job, exe_num);
        let ran = Ran { name, job, exe_num, cluster_id, node, has_ended: false };
        Some((ran, manifest.outputs().clone()))
    }

    /// Takes the end of a launch together with what was found of its outputs, where it ended well: one is on
    /// record with the other. What is no output of its job type makes it fail, with an error that says so; what
    /// could not be read counts as lost. Word of it that comes again changes nothing.
    ///
    /// Nothing is waited for; what was found is taken up whole, in the place of the next pump.
    ///
    /// # Errors
    /// Where the intake is full, the disk is, the log has failed or the engine is closed: nothing was taken, and the
    /// end may be told again.
    pub fn status_with_left(
        &self,
        update: StatusUpdate,
        left: Result<Left, LeftError>,
    ) -> Result<Ticket<StatusOutcome, Infallible>, IntakeError> {
        self.call(move |core, now| Ok(core.end_with_left(update, &left, now)))
    }

    /// Takes the end of a launch with what it left; false for news that is to be taken without. Returns once it
    /// is applied, or nothing is taken any more.
    pub(super) fn report_with_output(&self, update: &StatusUpdate) -> bool {
        if !matches!(&update.state, TaskState::Ended { outcome, .. } if outcome.is_success()) {
            return false;
        }
        let Some(source) = self.0.output_source.lock().clone() else { return false };
        let declared = self.0.enter().core.declares_outputs(update.name);
        let Some((job, exe_num, manifest)) = declared else { return false };
        let left = source.collect((update.name, job, exe_num), manifest.outputs());
        if let Err(error) = &left {
            tracing::warn!(%job, exe_num, %error, "an execution gave no output");
        }
        let take = || {
            self.call_here(|_, core, now| Ok::<_, Infallible>(core.end_with_left(update.clone(), &left, now)))
        };
        while take().is_err() && self.failure().is_none() && !self.is_closed() {
            std::thread::sleep(RETRY);
        }
        // Room came free on a node.
        self.wake();
        true
    }
}
