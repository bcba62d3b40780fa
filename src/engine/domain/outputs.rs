//! What executions gave: handed in with word of their end, or found where they ran when that comes.
//!
//! O1  The end, the output and the records of its files are one command: all of it is on record, or nothing.
//! O2  Only the newest launch of a job that runs gives something. Word of it that comes again changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::manifest::Manifest;
use crate::engine::core::Core;
use crate::engine::handle::StatusOutcome;
use crate::engine::shell::Engine;
use crate::engine::ticket::Ticket;
use crate::intake::IntakeError;
use crate::job::data::{DataError, read_data, validate};
use crate::launch::{Left, LeftError, OUTPUTS_FILE, StatusUpdate, TaskState};
use crate::limits::{DATA_BYTES_MAX, FACTS_BYTES_MAX};
use crate::model::{
    Data, Doc, DocKey, ErrorCategory, ErrorId, ErrorRecord, FileFact, FileId, FileRecord, JobId, JobOutput,
    JobStatus, LaunchName, Outcome, Timestamp, kind,
};

use super::recipes::{Files, check_facts, info_of};

/// The exit code that stands for outputs that cannot be taken where the catalog has no room for an error:
/// that of bad data, as programs have it.
const NO_ROOM_CODE: i32 = 65;

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

/// Why what an execution left is no output: a word, a title and a sentence, the same for the same output of the
/// same manifest, so that errors of the catalog stay few.
struct Unfit {
    name: String,
    title: &'static str,
    description: String,
}

impl Unfit {
    fn new(name: impl Into<String>, title: &'static str, description: impl Into<String>) -> Self {
        Self { name: name.into(), title, description: description.into() }
    }

    fn too_large(description: impl Into<String>) -> Self {
        Self::new("outputs-too-large", "Outputs Too Large", description)
    }

    fn of_left(error: &LeftError) -> Self {
        match error {
            LeftError::NoObject | LeftError::NoText { .. } | LeftError::Unreadable { .. } => {
                Self::new("outputs-unreadable", "Outputs Unreadable", error.to_string())
            }
            LeftError::TooLong { .. } | LeftError::TooManyFiles { .. } | LeftError::TooManyEntries { .. } => {
                Self::too_large(error.to_string())
            }
        }
    }

    fn of_data(error: &DataError, manifest: &Manifest) -> Self {
        match error {
            DataError::Required { name } => {
                let sought = where_from(manifest, name);
                let text =
                    format!("The command ended well and left nothing for the output '{name}': {sought}");
                Self::new(format!("missing-output-{name}"), "Missing Output", text)
            }
            DataError::SeveralFiles { name } => {
                let text =
                    format!("The command left several files for the output '{name}', which is one file");
                Self::new(format!("several-files-{name}"), "Several Files for One Output", text)
            }
            DataError::JsonType { name, json_type } => {
                let text = format!("The output '{name}' is of another type than '{}'", json_type.as_str());
                Self::new(format!("wrong-type-{name}"), "Output of a Wrong Type", text)
            }
            error => Self::new("outputs-invalid", "Outputs Invalid", error.to_string()),
        }
    }
}

/// Where an output is looked for, for people.
fn where_from(manifest: &Manifest, name: &str) -> String {
    let file = manifest.outputs().files.iter().find(|parameter| parameter.name == *name);
    if let Some(pattern) = file.and_then(|parameter| parameter.pattern.as_deref()) {
        return format!("no file matches '{pattern}'");
    }
    let value = manifest.outputs().json.iter().find(|parameter| parameter.name == *name);
    let key = value.and_then(|parameter| parameter.key.as_deref()).unwrap_or(name);
    format!("{OUTPUTS_FILE} has no '{key}'")
}

/// What was left as data, with files numbered from `first` on.
fn numbered(left: &Left, first: FileId) -> (Data, Files) {
    let mut by_output: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut files = Files::new();
    for (id, file) in (first.0..).zip(&left.files) {
        by_output.entry(file.output.clone()).or_default().push(id);
        let (media_type, name) = (file.media_type.as_str().into(), file.path.as_str().into());
        files.push(FileFact { id: FileId(id), bytes: file.bytes, media_type, name });
    }
    (Data { files: by_output, json: left.json.clone() }, files)
}

/// Refuses what the manifest does not say or what is too large to be kept.
fn check(manifest: &Manifest, data: &Data, files: &[FileFact]) -> Result<(), Unfit> {
    validate(manifest.outputs(), data, info_of(files)).map_err(|error| Unfit::of_data(&error, manifest))?;
    if data.to_value().to_string().len() > DATA_BYTES_MAX {
        return Err(Unfit::too_large(format!("The outputs have more than {DATA_BYTES_MAX} bytes as JSON")));
    }
    let most = FACTS_BYTES_MAX;
    let too_much = |_| Unfit::too_large(format!("The names of the files left have more than {most} bytes"));
    check_facts(files).map_err(too_much)
}

impl Core {
    /// Takes the end of a launch together with what it left. What is no output of its job type makes it fail,
    /// with an error that says so; what cannot be read is a fault of the machine.
    pub(in crate::engine) fn end_with_left(
        &mut self,
        mut update: StatusUpdate,
        left: &Result<Left, LeftError>,
        now: Timestamp,
    ) -> StatusOutcome {
        if let (Some((job, exe_num)), TaskState::Ended { outcome, .. }) =
            (self.job_that_runs(update.name), &mut update.state)
            && outcome.is_success()
            && let Some(manifest) = self.manifest_of(job)
            && let Err(failed) = self.put_left((job, exe_num), &manifest, left, now)
        {
            *outcome = failed;
        }
        self.status(update, true, now)
    }

    /// The execution of a launch that runs, and its manifest where that declares outputs.
    pub(in crate::engine) fn declares_outputs(
        &self,
        name: LaunchName,
    ) -> Option<(JobId, u32, Arc<Manifest>)> {
        let (job, exe_num) = self.job_that_runs(name)?;
        let manifest = self.manifest_of(job)?;
        let outputs = manifest.outputs();
        (!outputs.files.is_empty() || !outputs.json.is_empty()).then_some((job, exe_num, manifest))
    }

    fn manifest_of(&self, job: JobId) -> Option<Arc<Manifest>> {
        let job = self.state.job(job)?;
        self.state.manifest(job.job_type, job.revision).cloned()
    }

    /// Puts an output on record with its files; else, how the execution ended.
    fn put_left(
        &mut self,
        (job, exe_num): (JobId, u32),
        manifest: &Manifest,
        left: &Result<Left, LeftError>,
        now: Timestamp,
    ) -> Result<(), Outcome> {
        let left = match left {
            Ok(left) => left,
            Err(LeftError::Unreadable { reason }) => return Err(Outcome::Lost { reason: reason.clone() }),
            Err(error) => return Err(self.unfit(manifest, Unfit::of_left(error), now)),
        };
        let (data, files) = numbered(left, self.state.docs().next_file());
        check(manifest, &data, &files).map_err(|unfit| self.unfit(manifest, unfit, now))?;
        let created = self.clamp(now);
        for FileFact { id, bytes, media_type, name } in files.iter().cloned() {
            let (name, media_type) = (name.to_string(), media_type.to_string());
            self.put(Doc::File(FileRecord { id, name, media_type, bytes, created }));
        }
        let output = data.to_value().to_string().into();
        self.put(Doc::JobOutput(JobOutput { job, exe_num, output, files }));
        Ok(())
    }

    /// The error of the catalog that says what is wrong with outputs; made where it is not there yet. A manifest
    /// may declare it in words of its own.
    fn unfit(&mut self, manifest: &Manifest, unfit: Unfit, now: Timestamp) -> Outcome {
        let is_declared = manifest.errors().iter().any(|error| error.name == unfit.name);
        let known = self.state.docs().of_kind(kind::ERROR).find_map(|doc| match &**doc {
            Doc::Error(known)
                if known.name == unfit.name
                    && known.job_type_name.as_deref() == Some(manifest.name())
                    && (is_declared || known.description == unfit.description) =>
            {
                Some(known.id)
            }
            _ => None,
        });
        if let Some(id) = known {
            return Outcome::Error { id };
        }
        let record = ErrorRecord {
            id: ErrorId(0),
            name: unfit.name,
            title: unfit.title.to_owned(),
            description: unfit.description,
            job_type_name: Some(manifest.name().to_owned()),
            category: ErrorCategory::Algorithm.as_str().to_owned(),
            is_builtin: false,
            should_be_retried: false,
            created: now,
            last_modified: now,
        };
        self.put_error(record, now).map_or(Outcome::Exited { code: NO_ROOM_CODE }, |id| Outcome::Error { id })
    }

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
