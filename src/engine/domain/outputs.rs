//! What executions gave, handed in with word of their end.

use serde_json::Value;

use crate::engine::core::Core;
use crate::engine::handle::StatusOutcome;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::job::data::read_data;
use crate::launch::{StatusUpdate, TaskState};
use crate::limits::{DATA_BYTES_MAX, FACTS_BYTES_MAX};
use crate::model::{Data, Doc, DocKey, JobId, JobOutput, JobStatus, LaunchName, Timestamp, kind};

use super::recipes::{Files, check_facts};

/// Why an output, and the end it came with, was not taken; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// It is no document of data.
    #[error("{0}")]
    InvalidData(String),
    /// It names a file that nobody registered.
    #[error("the output has the unknown file {0}")]
    UnknownFile(u64),
    /// What is on record of its files is longer than [`FACTS_BYTES_MAX`](crate::limits).
    #[error("what is known of the output's files is {bytes} bytes, at most {FACTS_BYTES_MAX} are kept")]
    TooMuchOfFiles {
        /// How long.
        bytes: usize,
    },
    /// It is longer than [`DATA_BYTES_MAX`](crate::limits).
    #[error("the output is {bytes} bytes, at most {DATA_BYTES_MAX} are kept")]
    TooLarge {
        /// How long.
        bytes: usize,
    },
}

impl Engine {
    /// Takes the end of a launch together with what it gave, `{"files": {...}, "json": {...}}`: one is on
    /// record with the other. What waits for the job gets its input from that. Only what ended well gave
    /// something; news of another kind is taken without it, as by [`Engine::status`].
    ///
    /// Cost: a look into the store for each file.
    pub fn status_with_output(
        &self,
        update: StatusUpdate,
        output: &Value,
    ) -> Result<Ticket<StatusOutcome, OutputError>, IntakeError> {
        let data = match read_data(output) {
            Ok(data) => data,
            Err(error) => return Ok(self.refused(OutputError::InvalidData(error.to_string()))),
        };
        let bytes = data.to_value().to_string().len();
        if bytes > DATA_BYTES_MAX {
            return Ok(self.refused(OutputError::TooLarge { bytes }));
        }
        let files = self.files_of(&data);
        let mut named = data.files.values().flatten();
        if let Some(id) = named.find(|id| !files.iter().any(|file| file.id.0 == **id)) {
            return Ok(self.refused(OutputError::UnknownFile(*id)));
        }
        if let Err(bytes) = check_facts(&files) {
            return Ok(self.refused(OutputError::TooMuchOfFiles { bytes }));
        }
        self.call(move |core, now| Ok(core.status_with_output(update, &data, files, now)))
    }

    /// What an execution of a job gave, as it is on disk.
    pub fn job_output(&self, job: JobId, exe_num: u32) -> Option<JobOutput> {
        let key = DocKey { kind: kind::JOB_OUTPUT, id: job.0, sub: u64::from(exe_num) };
        match self.doc(key).as_deref() {
            Some(Doc::JobOutput(output)) => Some(output.clone()),
            _ => None,
        }
    }
}

impl Core {
    fn status_with_output(
        &mut self,
        update: StatusUpdate,
        data: &Data,
        files: Files,
        now: Timestamp,
    ) -> StatusOutcome {
        let ended_well = matches!(&update.state, TaskState::Ended { outcome, .. } if outcome.is_success());
        if let Some((job, exe_num)) = self.job_that_runs(update.name).filter(|_| ended_well) {
            let output = data.to_value().to_string().into();
            self.put(Doc::JobOutput(JobOutput { job, exe_num, output, files }));
        }
        self.status(update, false, now)
    }

    /// The job whose newest execution is this launch, and the number of that execution.
    fn job_that_runs(&self, name: LaunchName) -> Option<(JobId, u32)> {
        let running = self.state.running.get(&name.exe).filter(|running| running.launch == name.number)?;
        let id = running.entry.job;
        let job = self.state.job(id).filter(|job| job.exe == Some(name.exe))?;
        (job.status == JobStatus::Running).then_some((id, job.num_exes))
    }
}
