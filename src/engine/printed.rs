//! What executions print: which launch is meant, and the question to whoever has its sandbox.
//!
//! Nothing is read under the core's lock. Whether an execution has ended is looked up before its file is read,
//! so what says that nothing more comes is true.

use std::sync::Arc;

use super::look::JobRecord;
use super::shell::Engine;
use crate::launch::{OutputStream, Piece, PieceError, PrintedSource, Ran, ReadFrom};
use crate::model::{Doc, DocKey, ExecutionRecord, JobId, LaunchName, NodeId, cluster_id, kind};

/// Why what an execution printed is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrintedError {
    /// There is no such job.
    #[error("no job {job}")]
    NoJob {
        /// Which.
        job: JobId,
    },
    /// It is over, and was dropped by retention.
    #[error("job {job} is over, and was dropped by retention")]
    Dropped {
        /// Which.
        job: JobId,
    },
    /// None of its executions was launched so far.
    #[error("job {job} was not started so far")]
    NotStarted {
        /// Which.
        job: JobId,
    },
    /// It has no such execution, or that was never launched.
    #[error("job {job} has no execution {exe_num} that was started")]
    NoExecution {
        /// Which.
        job: JobId,
        /// Its how-manieth.
        exe_num: u32,
    },
    /// Nothing here knows where executions run.
    #[error("nothing here runs jobs, so nothing is known of what they print")]
    NoSource,
    /// It ended, and what it printed was removed since.
    #[error("what execution {exe_num} of job {job} printed is gone: {reason}")]
    Gone {
        /// Which.
        job: JobId,
        /// Its how-manieth.
        exe_num: u32,
        /// What was looked for.
        reason: String,
    },
    /// Whoever has it does not answer. It may go well another time.
    #[error("what execution {exe_num} of job {job} printed cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        job: JobId,
        /// Its how-manieth.
        exe_num: u32,
        /// Who, and why.
        reason: String,
    },
    /// It is there, and cannot be read.
    #[error("what execution {exe_num} of job {job} printed cannot be read: {reason}")]
    Unreadable {
        /// Which.
        job: JobId,
        /// Its how-manieth.
        exe_num: u32,
        /// Why.
        reason: String,
    },
}

/// A part of what an execution printed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Printed {
    /// The job's how-manieth execution it is of.
    pub exe_num: u32,
    /// The part.
    pub piece: Piece,
    /// Whether the execution had ended before it was read: there never is more than `piece.size`.
    pub has_ended: bool,
}

impl Engine {
    /// Says who reads what executions print.
    pub fn read_printed_of(&self, source: Arc<dyn PrintedSource>) {
        *self.0.printed_source.lock() = Some(source);
    }

    /// The launch whose output is meant: of the job's execution of that number, or of the newest that was
    /// launched.
    ///
    /// Cost: as [`Engine::job`] and [`Engine::job_executions`].
    ///
    /// # Errors
    /// Where there is none.
    pub fn ran(&self, job: JobId, exe_num: Option<u32>) -> Result<Ran, PrintedError> {
        let record = match self.look_up(job) {
            JobRecord::Job(job) => job,
            JobRecord::Dropped => return Err(PrintedError::Dropped { job }),
            JobRecord::Unknown => return Err(PrintedError::NoJob { job }),
        };
        let executions = self.job_executions(&record);
        let is_meant = |one: &&ExecutionRecord| exe_num.is_none_or(|exe_num| exe_num == one.exe_num);
        let found = executions.iter().find(is_meant).and_then(|one| Some((one, self.launch_of(one)?)));
        let Some((execution, (name, is_running))) = found else {
            return Err(match exe_num {
                Some(exe_num) => PrintedError::NoExecution { job, exe_num },
                None => PrintedError::NotStarted { job },
            });
        };
        Ok(Ran {
            name,
            job,
            exe_num: execution.exe_num,
            cluster_id: cluster_id(self.framework(), job, execution.exe_num),
            node: execution.node.and_then(|node| self.node_name(node)),
            has_ended: !is_running,
        })
    }

    /// Its newest launch, and whether it runs.
    fn launch_of(&self, execution: &ExecutionRecord) -> Option<(LaunchName, bool)> {
        let running = self.0.enter().core.state.running.get(&execution.exe).copied();
        match (running, &execution.end) {
            (Some(running), _) => Some((LaunchName { exe: execution.exe, number: running.launch }, true)),
            (None, Some(end)) => Some((end.launch, false)),
            // It ended after its record was read.
            (None, None) => {
                let job = self.job(execution.job)?;
                let mut executions = self.job_executions(&job).into_iter();
                let again = executions.find(|again| again.exe_num == execution.exe_num)?;
                Some((again.end?.launch, false))
            }
        }
        .filter(|(name, _)| name.number > 0)
    }

    /// The name that is on record.
    fn node_name(&self, node: NodeId) -> Option<String> {
        match &*self.doc(DocKey { kind: kind::NODE, id: node.0.into(), sub: 0 })? {
            Doc::Node(record) => Some(record.hostname.clone()),
            _ => None,
        }
    }

    /// Reads at most `most` bytes of what a launch printed, once and without a lock. Of what is not there yet,
    /// while it runs, nothing.
    ///
    /// # Errors
    /// Where it is gone, or cannot be read.
    pub fn read_ran(
        &self,
        ran: &Ran,
        stream: OutputStream,
        from: ReadFrom,
        most: usize,
    ) -> Result<Printed, PrintedError> {
        let (job, exe_num) = (ran.job, ran.exe_num);
        let source = self.0.printed_source.lock().clone().ok_or(PrintedError::NoSource)?;
        let piece = match source.read(ran, stream, from, most) {
            Ok(piece) => piece,
            Err(PieceError::NotThere { .. }) if !ran.has_ended => Piece::default(),
            Err(PieceError::NotThere { reason }) => return Err(PrintedError::Gone { job, exe_num, reason }),
            Err(PieceError::Unreachable { reason }) => {
                return Err(PrintedError::Unreachable { job, exe_num, reason });
            }
            Err(PieceError::Unreadable { reason }) => {
                return Err(PrintedError::Unreadable { job, exe_num, reason });
            }
        };
        Ok(Printed { exe_num, piece, has_ended: ran.has_ended })
    }
}
