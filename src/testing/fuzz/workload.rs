//! Any bytes as a workload file: faults that can be shown, or a workload whose expansion is valid and
//! travels as JSON.

use std::path::Path;

use crate::model::SubmissionId;
use crate::workload::{FAULTS_MAX, SubmissionBody, Workload};

/// See the file. Globs are not followed: what they give is not in the bytes.
pub fn workload_file(bytes: &[u8]) {
    let workload = match Workload::parse_bytes("f", bytes) {
        Ok(workload) => workload,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.lines().count() <= FAULTS_MAX + 1, "{text}");
            return;
        }
    };
    if workload.has_files() {
        return;
    }
    // It may still hold too many jobs, or texts that get too long.
    let Ok(expanded) = workload.expand(Path::new("."), Path::new("out")) else { return };
    let id = SubmissionId::new("i").expect("an id");
    let json = serde_json::to_string(&SubmissionBody::new(&id, &expanded)).expect("it can be written");
    let body: SubmissionBody = serde_json::from_str(&json).expect("it was just written");
    assert_eq!(body.validate().expect("what a file gives is valid"), (id, expanded));
}
