//! Errors that manifests declare: on record with the revision that declares them, found by exit code.

use crate::engine::core::Core;
use crate::model::{Doc, ErrorCategory, ErrorId, ErrorRecord, JobId, JobTypeId, Outcome, Timestamp, kind};

impl Core {
    /// Puts on record what a revision of a job type says of its exit codes.
    pub(super) fn put_declared_errors(&mut self, id: JobTypeId, revision: u32, now: Timestamp) {
        let Some(manifest) = self.state.manifest(id, revision).cloned() else { return };
        for error in manifest.errors() {
            let category = if error.is_of_data { ErrorCategory::Data } else { ErrorCategory::Algorithm };
            let record = ErrorRecord {
                id: ErrorId(0),
                name: error.name.clone(),
                title: error.title.clone(),
                description: error.description.clone(),
                job_type_name: Some(manifest.name().to_owned()),
                category: category.as_str().to_owned(),
                is_builtin: false,
                should_be_retried: false,
                created: now,
                last_modified: now,
            };
            // Where there is no room for it, the exit code stays what it is.
            let _ = self.put_error(record, now);
        }
    }

    /// What the manifest of a job says of the exit code that it ended with; else the outcome as it is.
    pub(in crate::engine) fn declared_outcome(&self, id: JobId, outcome: Outcome) -> Outcome {
        let Outcome::Exited { code } = outcome else { return outcome };
        self.declared_error(id, i64::from(code)).map_or(outcome, |id| Outcome::Error { id })
    }

    fn declared_error(&self, id: JobId, code: i64) -> Option<ErrorId> {
        let job = self.state.job(id).filter(|_| code != 0)?;
        let manifest = self.state.manifest(job.job_type, job.revision)?;
        let declared = manifest.errors().iter().rfind(|error| error.code == code)?;
        self.state.docs().of_kind(kind::ERROR).find_map(|doc| match &**doc {
            Doc::Error(known)
                if known.name == declared.name && known.job_type_name.as_deref() == Some(manifest.name()) =>
            {
                Some(known.id)
            }
            _ => None,
        })
    }
}
